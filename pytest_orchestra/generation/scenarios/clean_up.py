"""The steps that clean up behind a scenario, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["list_clean_up"]


def list_clean_up(
    steps: Sequence[ScenarioStep], general: Sequence[Sequence[StepDefinition]]
) -> tuple[ScenarioStep, ...]:
    """Give the clean-up steps of a scenario: those of its last step first, those of the first ``general`` list last.

    The steps of one list stay in their order. Aliases are made unique in the order in which the lists are written.
    """
    lists: list[tuple[ScenarioStep | None, Sequence[StepDefinition]]] = [
        *((None, definitions) for definitions in general),
        *((step, step.definition.clean_up) for step in steps),
    ]
    used = {step.alias for step in steps}
    named = [
        [_step(owner, definition, used) for definition in definitions] for owner, definitions in lists if definitions
    ]
    ordered = [step for group in reversed(named) for step in group]
    return tuple(
        ScenarioStep(len(steps) + place, each.alias, each.name, each.element_id, each.definition, each.cleans_up)
        for place, each in enumerate(ordered)
    )


def _step(owner: ScenarioStep | None, definition: StepDefinition, used: set[str]) -> ScenarioStep:
    base = definition.alias or (f"clean_up_{owner.alias}" if owner is not None else "clean_up")
    alias, number = base, 1
    while alias in used:
        number += 1
        alias = f"{base}_{number}"
    used.add(alias)
    name = definition.name or (f"clean up behind '{owner.name}'" if owner is not None else "clean up")
    element = owner.element_id if owner is not None else ""
    return ScenarioStep(0, alias, name, element, definition, owner.alias if owner is not None else "")
