"""Conflicting actions of concurrent branches that are sent at once, so that they meet in the system under test.

To turn an order round shows what happens when one comes after the other; that they overlap, only sending them without
waiting shows. Actions on one resource that nothing orders meet together, however many they are, so that few scenarios
hold all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

from pytest_orchestra.generation.limits import MAX_AT_ONCE
from pytest_orchestra.generation.scenarios.races import Shared, Touch
from pytest_orchestra.generation.scenarios.steps import Launch
from pytest_orchestra.generation.token_game.game import Game, Run
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.scenario import CoverageGoal

__all__ = ["AT_ONCE", "Encounter", "find_encounters"]

AT_ONCE: Final = "||"
"""What stands between the elements of a goal that wants both at once."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """Actions that meet in a run, the ``base``, an index into the runs; ``serves`` are the pairs that do."""

    base: int
    launches: tuple[Launch, ...]
    serves: tuple[CoverageGoal, ...]


class _Visit(NamedTuple):
    number: int
    node: str
    touch: Touch


def find_encounters(
    game: Game, runs: Sequence[Run], shared: Shared
) -> tuple[tuple[Encounter, ...], tuple[CoverageGoal, ...]]:
    """Give the encounters that let all conflicting pairs of actions meet once, and the pairs that were left out."""
    found: list[Encounter] = []
    met: set[CoverageGoal] = set()
    left_out: dict[CoverageGoal, None] = {}
    for base, run in enumerate(runs):
        for resource, group in _groups(game, run, shared):
            goals = tuple(goal for goal in _goals(group, resource) if goal not in met)
            if not goals:
                continue
            if len(found) == MAX_AT_ONCE:
                left_out.update(dict.fromkeys(goals))
                continue
            met.update(goals)
            launches = tuple(Launch(visit.number, visit.touch.actions[resource]) for visit in group)
            found.append(Encounter(base, launches, goals))
    return tuple(found), tuple(goal for goal in left_out if goal not in met)


def _groups(game: Game, run: Run, shared: Shared) -> Iterator[tuple[str, tuple[_Visit, ...]]]:
    """Give, of each resource, visits of which nothing orders any two, such that every conflicting pair is in one."""
    before = _list_before(run)
    acting: dict[str, list[_Visit]] = {}
    for number, node, touch in shared.touches(game.graph, run):
        for resource in touch.actions:
            acting.setdefault(resource, []).append(_Visit(number, node, touch))

    def may_meet(one: _Visit, other: _Visit) -> bool:
        first, second = sorted((one.number, other.number))
        return one.node != other.node and not before[second] >> first & 1

    for resource, visits in acting.items():
        done: set[tuple[int, int]] = set()
        for pair in combinations(visits, 2):
            if (pair[0].number, pair[1].number) in done or not may_meet(*pair) or not _conflict(*pair, resource):
                continue
            group = list(pair)
            for visit in visits:
                if visit not in group and all(may_meet(visit, member) for member in group):
                    group.append(visit)
            group.sort(key=lambda visit: visit.number)
            done.update(combinations([visit.number for visit in group], 2))
            yield resource, tuple(group)


def _list_before(run: Run) -> list[int]:
    """Give for each visit the set, as bits, of those that come before it in whatever order the branches go."""
    before: list[int] = []
    for occurrence in run.occurrences:
        known = 0
        for causes in occurrence.causes:
            for cause in causes:
                known |= before[cause] | 1 << cause
        before.append(known)
    return before


def _conflict(one: _Visit, other: _Visit, resource: str) -> bool:
    return one.touch.touched[resource] or other.touch.touched[resource]


def _goals(group: Sequence[_Visit], resource: str) -> Iterator[CoverageGoal]:
    for one, other in combinations(group, 2):
        if _conflict(one, other, resource):
            yield CoverageGoal(Criterion.RACE, AT_ONCE.join(sorted((one.node, other.node))))
