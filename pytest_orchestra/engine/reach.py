"""Which of a scenario's steps a run carries out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["Reach", "find_steps"]


@dataclass(frozen=True, slots=True)
class Reach:
    """The steps from ``first`` to ``last``, by their place in the scenario, both included; None for no end.

    ``left_out`` says of others among them, by alias, why they are not carried out.
    """

    first: int = 0
    last: int | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, step: ScenarioStep, steps: Sequence[ScenarioStep]) -> str | None:
        """Say why a step is not carried out; None if it is."""
        if step.order_index < self.first:
            return f"the run begins at step '{steps[self.first].alias}'"
        if self.last is not None and step.order_index > self.last:
            return f"the run ends after step '{steps[self.last].alias}'"
        return self.left_out.get(step.alias)


def find_steps(steps: Sequence[ScenarioStep], text: str) -> tuple[int, int] | None:
    """Find what a user means by an alias, the id of an element, or the name of a step: its first and last place."""
    for names in zip(*((step.alias, step.element_id, step.name) for step in steps), strict=True):
        found = [place for place, name in enumerate(names) if name == text]
        if found:
            return found[0], found[-1]
    return None
