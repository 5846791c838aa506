"""Which outcomes of decisions the data at hand allows.

A set of data sets is a bit mask, one bit a data set. What is not known to be impossible is allowed: a data set fits a
path unless a condition on the way is known to be false for it, or another branch is known to be taken instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.condition_parser import parse_condition
from pytest_orchestra.generation.conditions import Dialect, truth_of
from pytest_orchestra.generation.decisions import Decision, Outcome, list_outcomes
from pytest_orchestra.generation.graph import ControlFlow
from pytest_orchestra.generation.limits import MAX_DATA_CLASSES
from pytest_orchestra.model.dataset import TestDataSet

__all__ = ["DataClass", "Requirement", "Table", "build_table", "classify"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What taking an outcome asks of the data: condition texts, and the data sets for which none of them fails."""

    texts: tuple[str, ...]
    fitting: int


@dataclass(frozen=True)
class Table:
    """The outcomes of every point; ``requirements`` of those that a condition restricts or describes.

    A requirement belongs to (point, outcome), or to (point, ``~branch``) where the branch shows only later: a boundary
    event that is thrown from inside a sub-process, or the sub-process's end without it. ``everyone`` is the mask of all
    data sets.
    """

    outcomes: tuple[tuple[Outcome, ...], ...]
    requirements: Mapping[tuple[int, int], Requirement]
    everyone: int


@dataclass(frozen=True, slots=True)
class DataClass:
    """Data sets that allow the same outcomes everywhere, as a mask; ``forbidden`` are the other (point, outcome)."""

    members: int
    forbidden: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Truth:
    """For which data sets a condition is known to hold, and to fail."""

    text: str
    holds: int
    fails: int


def build_table(
    graph: ControlFlow,
    decisions: Mapping[int, Decision],
    written: Mapping[tuple[int, int], str],
    data_sets: Sequence[TestDataSet],
    demanded: Mapping[int, tuple[frozenset[int], ...]],
) -> Table:
    """Give all outcomes with what they ask of the data.

    ``written`` has the conditions that users wrote for branches, by point and index of the branch; they are read as
    templates are and take the place of the model's own. ``demanded`` has, by point, the sets of branches that a user
    wants to be taken together.
    """
    everyone = (1 << len(data_sets)) - 1
    outcomes: list[tuple[Outcome, ...]] = [(Outcome(edges),) if edges else () for edges in graph.out]
    requirements: dict[tuple[int, int], Requirement] = {}
    for point, decision in decisions.items():
        truths = _truths(decision, written, data_sets)
        certain = _certain_sets(truths, len(data_sets)) if decision.inclusive else ()
        outcomes[point] = list_outcomes(graph, decision, (*certain, *demanded.get(point, ())))
        thrown = {index: truth for index, truth in truths.items() if decision.branches[index].is_thrown}
        direct = {index: truth for index, truth in truths.items() if index not in thrown}
        for index, outcome in enumerate(outcomes[point] if direct else ()):
            requirements[point, index] = _requirement(decision, outcome, direct, everyone)
        for index, truth in thrown.items():
            requirements[point, ~index] = Requirement((truth.text,), everyone & ~truth.fails)
        if thrown:
            holds = _union(truth.holds for truth in thrown.values())
            requirements[point, ~(decision.default or 0)] = Requirement(_negated(thrown), everyone & ~holds)
    return Table(tuple(outcomes), requirements, everyone)


def classify(table: Table, members: int) -> tuple[tuple[DataClass, ...], int]:
    """Group data sets by what they allow; give at most ``MAX_DATA_CLASSES`` classes, and how many more there are."""
    restricting = [
        (key, requirement.fitting)
        for key, requirement in table.requirements.items()
        if requirement.fitting & members != members
    ]
    groups: dict[frozenset[tuple[int, int]], int] = {}
    for position in range(members.bit_length()):
        bit = 1 << position
        if members & bit:
            forbidden = frozenset(key for key, fitting in restricting if not fitting & bit)
            groups[forbidden] = groups.get(forbidden, 0) | bit
    classes = [DataClass(mask, forbidden) for forbidden, mask in groups.items()]
    return tuple(classes[:MAX_DATA_CLASSES]), max(0, len(classes) - MAX_DATA_CLASSES)


def _truths(
    decision: Decision, written: Mapping[tuple[int, int], str], data_sets: Sequence[TestDataSet]
) -> dict[int, _Truth]:
    found: dict[int, _Truth] = {}
    for index, branch in enumerate(decision.branches):
        own = written.get((decision.point, index))
        text = own if own is not None else branch.condition if index != decision.default else None
        if text is None:
            continue
        dialect = Dialect.MODEL if own is None else Dialect.TEMPLATE
        expression = parse_condition(text, dialect)
        holds = fails = 0
        for position, data_set in enumerate(data_sets):
            truth = truth_of(expression, data_set.data, dialect)
            holds |= (truth is True) << position
            fails |= (truth is False) << position
        found[index] = _Truth(text, holds, fails)
    return found


def _certain_sets(truths: Mapping[int, _Truth], count: int) -> tuple[frozenset[int], ...]:
    """Give the sets of branches that some data set is known to take together."""
    sets: dict[frozenset[int], None] = {}
    for position in range(count):
        taken = frozenset(index for index, truth in truths.items() if truth.holds >> position & 1)
        if taken:
            sets.setdefault(taken)
        if len(sets) == MAX_DATA_CLASSES:
            break
    return tuple(sets)


def _requirement(decision: Decision, outcome: Outcome, truths: Mapping[int, _Truth], everyone: int) -> Requirement:
    if decision.inclusive:
        return _inclusive_requirement(decision, outcome, truths, everyone)
    taken = outcome.branches[0]
    others = {index: truth for index, truth in truths.items() if index != taken}
    if taken in truths:
        # the first condition that holds decides (BPMN 2.0.2, 13.4.2): one that holds earlier excludes this branch
        earlier = (truth.holds for index, truth in others.items() if index < taken and index != decision.default)
        return Requirement((truths[taken].text,), everyone & ~truths[taken].fails & ~_union(earlier))
    if taken == decision.default or _is_remainder(decision, truths):
        return Requirement(_negated(others), everyone & ~_union(truth.holds for truth in others.values()))
    return Requirement((), everyone & ~_union(truth.holds for index, truth in others.items() if index < taken))


def _inclusive_requirement(
    decision: Decision, outcome: Outcome, truths: Mapping[int, _Truth], everyone: int
) -> Requirement:
    taken = frozenset(outcome.branches)
    others = {index: truth for index, truth in truths.items() if index not in taken}
    mine = {index: truth for index, truth in truths.items() if index in taken}
    failing = _union(truth.fails for truth in mine.values())
    excluded = _union(truth.holds for truth in others.values())
    texts = tuple(truth.text for truth in mine.values())
    if not taken or decision.default in taken:
        texts += _negated(others)
    return Requirement(texts, everyone & ~failing & ~excluded)


def _is_remainder(decision: Decision, truths: Mapping[int, _Truth]) -> bool:
    """Whether exactly one branch has no condition, so that it can only mean "otherwise"."""
    return decision.default is None and len(decision.branches) - len(truths) == 1


def _negated(truths: Mapping[int, _Truth]) -> tuple[str, ...]:
    return tuple(f"not ({truth.text})" for truth in truths.values())


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union
