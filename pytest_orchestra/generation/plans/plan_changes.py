"""A saved plan against the plan as it is now: what became of every scenario, for machines and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from pytest_orchestra.generation.plans.element_matching import match_elements, pair_unique
from pytest_orchestra.generation.plans.scenario_changes import Comparison, ScenarioChange, ScenarioState
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.saved_plan import SavedPlan, SavedProcess, SavedScenario
from pytest_orchestra.model.specification import ProtocolSpec

__all__ = [
    "PlanChanges",
    "ProcessChanges",
    "ScenarioChange",
    "ScenarioState",
    "changes_json",
    "changes_text",
    "compare_plans",
]

_WIDTH = 10

_T = TypeVar("_T")
_Keys: TypeAlias = tuple[Callable[[_T], Hashable | None], Callable[[_T], Hashable | None]]
"""What tells one thing by, in the saved plan and in that of today."""


@dataclass(frozen=True, slots=True)
class ProcessChanges:
    """What became of a process (``changes``) and of its scenarios, those first that need a person's eye.

    ``ids`` are the elements and flows that have other ids now, from the old to the new.
    """

    process_id: str
    name: str
    scenarios: tuple[ScenarioChange, ...]
    changes: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing differs."""
        return not self.changes and all(each.state is ScenarioState.UNCHANGED for each in self.scenarios)

    @property
    def counts(self) -> dict[ScenarioState, int]:
        """How many scenarios are in each state."""
        found = Counter(scenario.state for scenario in self.scenarios)
        return {state: found[state] for state in ScenarioState}


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """What became of a saved plan."""

    processes: tuple[ProcessChanges, ...]

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing differs."""
        return all(process.is_unchanged for process in self.processes)


def compare_plans(before: SavedPlan, after: SavedPlan, specs: Mapping[str, ProtocolSpec] | None = None) -> PlanChanges:
    """Say what became of every scenario of ``before``, and which scenarios of ``after`` are new.

    ``specs`` are those of ``after``: they tell how an operation is called now that is gone under its name. Whatever
    differs makes a scenario stale, except what only names the same thing otherwise (it is re-mapped), and what takes it
    its path, a step or its data (it is broken).
    """
    found = [_compare(was, now, before, after, specs or {}) for was, now in _pairs(before.processes, after.processes)]
    return PlanChanges(tuple(found))


def _pairs(
    before: Sequence[SavedProcess], after: Sequence[SavedProcess]
) -> list[tuple[SavedProcess | None, SavedProcess | None]]:
    """Pair processes by id, then by name; where only one is left on either side, those. In the order of today."""
    keys: tuple[Callable[[SavedProcess], Hashable | None], ...] = (
        lambda process: process.id,
        lambda process: process.name or None,
        lambda _: "the only one",
    )
    pairs = _pair_in_turn(before, after, [(key, key) for key in keys])
    partner = {id(now): was for was, now in pairs}
    left = {id(was) for was, _ in pairs}
    return [
        *((partner.get(id(now)), now) for now in after),
        *((was, None) for was in before if id(was) not in left),
    ]


def _pair_in_turn(before: Sequence[_T], after: Sequence[_T], keys: Sequence[_Keys[_T]]) -> list[tuple[_T, _T]]:
    """Pair those that are alone in having a key, by each of the keys in turn."""
    pairs: list[tuple[_T, _T]] = []
    for key, other in keys:
        taken = {id(value) for pair in pairs for value in pair}
        lost = [value for value in before if id(value) not in taken]
        come = [value for value in after if id(value) not in taken]
        pairs += pair_unique(lost, come, key, other)
    return pairs


def _compare(
    was: SavedProcess | None,
    now: SavedProcess | None,
    before: SavedPlan,
    after: SavedPlan,
    specs: Mapping[str, ProtocolSpec],
) -> ProcessChanges:
    there = now or was
    assert there is not None
    empty = there.model_copy(update={"elements": [], "flows": [], "scenarios": [], "coverage": {}})
    comparison = Comparison(before, after, match_elements(was or empty, now or empty), specs)
    lost, come = (was or empty).scenarios, (now or empty).scenarios
    pairs = _pair_scenarios(comparison, lost, come)
    paired = {id(value) for pair in pairs for value in pair}
    scenarios = [
        *(comparison.of_pair(one, other) for one, other in pairs),
        *(comparison.of_lost(scenario) for scenario in lost if id(scenario) not in paired),
        *(comparison.of_new(scenario) for scenario in come if id(scenario) not in paired),
    ]
    order = list(ScenarioState)
    scenarios.sort(key=lambda scenario: (order.index(scenario.state), scenario.key))
    if was is None:
        changes: tuple[str, ...] = ("the process is new",)
    elif now is None:
        changes = ("the process is gone",)
    else:
        changes = (*_process_changes(was, now), *comparison.match.model_changes())
    return ProcessChanges(there.id, there.name or there.id, tuple(scenarios), changes, comparison.match.ids)


def _process_changes(was: SavedProcess, now: SavedProcess) -> Iterator[str]:
    if was.id != now.id:
        yield f"the process has the id '{now.id}' now, was '{was.id}'"
    if was.name != now.name:
        yield f"the process is called '{now.name}' now, was '{was.name}'"
    for criterion in dict.fromkeys((*was.coverage, *now.coverage)):
        before, after = was.coverage.get(criterion), now.coverage.get(criterion)
        if after is None:
            yield f"{criterion} coverage is not asked for any more"
        elif before is None:
            yield f"{criterion} coverage is asked for now: {after.covered} of {after.total}"
        elif (before.total - before.covered) != (after.total - after.covered):
            now_is, was_is = (f"{each.covered} of {each.total}" for each in (after, before))
            yield f"{criterion} coverage is {now_is} now, was {was_is}"


def _pair_scenarios(
    comparison: Comparison, lost: Sequence[SavedScenario], come: Sequence[SavedScenario]
) -> list[tuple[SavedScenario, SavedScenario]]:
    """Pair scenarios as surely as possible first: by path and key, the user's key, path, key, decisions, and steps."""

    def path_of(scenario: SavedScenario) -> Hashable | None:
        return (tuple(scenario.nodes), tuple(scenario.flows)) if scenario.nodes else None

    def old_path(scenario: SavedScenario) -> Hashable | None:
        return comparison.mapped(scenario) if scenario.nodes else None

    def decisions_of(scenario: SavedScenario) -> Hashable | None:
        taken = ((one.element, tuple(branch.id for branch in one.branches)) for one in scenario.decisions)
        return tuple(taken) or None

    def steps_of(scenario: SavedScenario) -> Hashable | None:
        return tuple((step.alias, step.definition) for step in scenario.steps) or None

    return _pair_in_turn(
        lost,
        come,
        [
            (lambda scenario: (scenario.key, old_path(scenario)), lambda scenario: (scenario.key, path_of(scenario))),
            (lambda scenario: scenario.key if scenario.named else None,) * 2,
            (old_path, path_of),
            (lambda scenario: scenario.key, lambda scenario: scenario.key),
            (
                lambda scenario: comparison.mapped_decisions(scenario) or None,
                decisions_of,
            ),
            (steps_of, steps_of),
        ],
    )


def changes_json(changes: PlanChanges) -> JsonObject:
    """Give the JSON object: ``unchanged``, and for each process what changed and every scenario with its state."""
    return {
        "unchanged": changes.is_unchanged,
        "processes": [
            {
                "process": {"id": process.process_id, "name": process.name},
                "changes": list(process.changes),
                "ids": dict(process.ids),
                "counts": {state.value: count for state, count in process.counts.items()},
                "scenarios": [
                    {
                        "key": scenario.key,
                        "was": scenario.was or (None if scenario.state is ScenarioState.NEW else scenario.key),
                        "state": scenario.state.value,
                        "changes": list(scenario.changes),
                    }
                    for scenario in process.scenarios
                ],
            }
            for process in changes.processes
        ],
    }


def changes_text(changes: PlanChanges, plan: str) -> str:
    """Give the changes since ``plan`` as text for the terminal; scenarios that changed alike stand together."""
    return "\n\n".join("\n".join(_lines(process, plan)) for process in changes.processes)


def _lines(process: ProcessChanges, plan: str) -> Iterator[str]:
    told = ", ".join(f"{count} {state}" for state, count in process.counts.items() if count)
    yield f"{process.name} since {plan}: {told or 'no scenarios'}"
    if process.changes:
        yield ""
        yield "model"
        yield from (f"  {change}" for change in process.changes)
    groups: dict[tuple[ScenarioState, tuple[str, ...]], list[str]] = {}
    for scenario in process.scenarios:
        groups.setdefault((scenario.state, scenario.changes), []).append(scenario.key)
    for (state, words), keys in groups.items():
        yield ""
        yield f"{state:<{_WIDTH}} {', '.join(keys)}"
        yield from (f"  {word}" for word in words)
