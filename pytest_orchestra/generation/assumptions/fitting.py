"""Which outcomes of decisions the data at hand allows.

A set of data sets is a bit mask, one bit a data set. What is not known to be impossible is allowed: a data set fits a
path unless a condition on the way is known to be false for it, or another branch is known to be taken instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_orchestra.generation.conditions.expressions import Dialect, Expression, names_in, truth_of
from pytest_orchestra.generation.conditions.parser import parse_condition
from pytest_orchestra.generation.control_flow.decisions import Decision, Outcome, list_outcomes
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.limits import MAX_DATA_CLASSES, MAX_VISITS
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.json import JsonObject

__all__ = ["VISIT", "BranchCondition", "DataClass", "Requirement", "Table", "build_table", "claims_of", "classify"]

VISIT = "visit"
"""The name by which a condition of the sidecar reads how often the decision has been visited, this time included."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What taking an outcome asks of the data: condition texts, and the data sets for which none of them fails."""

    texts: tuple[str, ...]
    fitting: int


@dataclass(frozen=True, slots=True)
class BranchCondition:
    """The condition of a branch, read; ``counts`` says that it reads the number of the visit."""

    text: str
    expression: Expression
    dialect: Dialect
    counts: bool = False


@dataclass(frozen=True)
class Table:
    """The outcomes of every point; ``requirements`` of those that a condition restricts or describes.

    A requirement belongs to (point, outcome), or to (point, ``~branch``) where the branch shows only later: a boundary
    event that is thrown from inside a sub-process, or the sub-process's end without it. ``everyone`` is the mask of all
    data sets. ``conditions`` has those of branches, by point and index of the branch. Where one of them ``counts``,
    what is asked of the data depends on the visit: ``by_visit`` has it by (point, outcome, visit), up to ``visits`` of
    them.
    """

    outcomes: tuple[tuple[Outcome, ...], ...]
    requirements: Mapping[tuple[int, int], Requirement]
    everyone: int
    conditions: Mapping[tuple[int, int], BranchCondition] = field(default_factory=dict)
    by_visit: Mapping[tuple[int, int, int], Requirement] = field(default_factory=dict)
    visits: int = 0

    def requirement(self, point: int, outcome: int, visit: int) -> Requirement | None:
        """Give what taking an outcome at the n-th visit asks of the data, None if nothing."""
        return self.by_visit.get((point, outcome, visit), self.requirements.get((point, outcome)))


@dataclass(frozen=True, slots=True)
class DataClass:
    """Data sets that allow the same outcomes everywhere, as a mask; ``forbidden`` are the other (point, outcome).

    ``forbidden_visits`` are (point, outcome, visit) which they forbid at that visit only.
    """

    members: int
    forbidden: frozenset[tuple[int, int]]
    forbidden_visits: frozenset[tuple[int, int, int]] = frozenset()


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
    visits: int = 0,
) -> Table:
    """Give all outcomes with what they ask of the data.

    ``written`` has the conditions that users wrote for branches, by point and index of the branch; they are read as
    templates are and take the place of the model's own. ``demanded`` has, by point, the sets of branches that a user
    wants to be taken together. ``visits`` is how often a decision may be visited, as far as conditions ask for that.
    """
    everyone = (1 << len(data_sets)) - 1
    outcomes: list[tuple[Outcome, ...]] = [(Outcome(edges),) if edges else () for edges in graph.out]
    requirements: dict[tuple[int, int], Requirement] = {}
    by_visit: dict[tuple[int, int, int], Requirement] = {}
    conditions: dict[tuple[int, int], BranchCondition] = {}
    data = [data_set.data for data_set in data_sets]
    visits = min(visits, MAX_VISITS)
    for point, decision in decisions.items():
        read = _read(decision, written)
        conditions.update({(point, index): condition for index, condition in read.items()})
        truths = _truths(read, data)
        certain = _certain_sets(truths, len(data_sets)) if decision.inclusive else ()
        outcomes[point] = list_outcomes(graph, decision, (*certain, *demanded.get(point, ())))
        for key, requirement in _requirements(decision, outcomes[point], truths, everyone):
            requirements[point, key] = requirement
        if not any(condition.counts for condition in read.values()):
            continue
        for visit in range(1, visits + 1):
            truths = _truths(read, [{**values, VISIT: visit} for values in data])
            for key, requirement in _requirements(decision, outcomes[point], truths, everyone):
                by_visit[point, key, visit] = requirement
    return Table(tuple(outcomes), requirements, everyone, conditions, by_visit, visits)


def _requirements(
    decision: Decision, outcomes: Sequence[Outcome], truths: Mapping[int, _Truth], everyone: int
) -> list[tuple[int, Requirement]]:
    """Give what the outcomes of a decision ask of the data; by ``~branch`` where the branch shows only later."""
    found: list[tuple[int, Requirement]] = []
    thrown = {index: truth for index, truth in truths.items() if decision.branches[index].is_thrown}
    direct = {index: truth for index, truth in truths.items() if index not in thrown}
    for index, outcome in enumerate(outcomes if direct else ()):
        found.append((index, _requirement(decision, outcome, direct, everyone)))
    for index, truth in thrown.items():
        found.append((~index, Requirement((truth.text,), everyone & ~truth.fails)))
    if thrown:
        holds = _union(truth.holds for truth in thrown.values())
        found.append((~(decision.default or 0), Requirement(_negated(thrown), everyone & ~holds)))
    return found


def classify(table: Table, members: int) -> tuple[tuple[DataClass, ...], int]:
    """Group data sets by what they allow; give at most ``MAX_DATA_CLASSES`` classes, and how many more there are."""
    restricting = [
        (key, requirement.fitting)
        for key, requirement in table.requirements.items()
        if requirement.fitting & members != members
    ]
    visited = [
        (key, requirement.fitting)
        for key, requirement in table.by_visit.items()
        if requirement.fitting & members != members
    ]
    groups: dict[tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int, int]]], int] = {}
    for position in range(members.bit_length()):
        bit = 1 << position
        if members & bit:
            forbidden = frozenset(key for key, fitting in restricting if not fitting & bit)
            at_visits = frozenset(triple for triple, fitting in visited if not fitting & bit)
            groups[forbidden, at_visits] = groups.get((forbidden, at_visits), 0) | bit
    classes = [DataClass(mask, forbidden, at_visits) for (forbidden, at_visits), mask in groups.items()]
    return tuple(classes[:MAX_DATA_CLASSES]), max(0, len(classes) - MAX_DATA_CLASSES)


def _read(decision: Decision, written: Mapping[tuple[int, int], str]) -> dict[int, BranchCondition]:
    """Give the conditions of a decision's branches: what the user wrote, else what the model says."""
    found: dict[int, BranchCondition] = {}
    for index, branch in enumerate(decision.branches):
        own = written.get((decision.point, index))
        if own is not None:
            expression = parse_condition(own, Dialect.TEMPLATE)
            counts = any(path[0] == VISIT for path in names_in(expression))
            found[index] = BranchCondition(own, expression, Dialect.TEMPLATE, counts)
        elif branch.condition is not None and index != decision.default:
            expression = parse_condition(branch.condition, Dialect.MODEL, branch.language)
            found[index] = BranchCondition(branch.condition, expression, Dialect.MODEL)
    return found


def _truths(conditions: Mapping[int, BranchCondition], data: Sequence[JsonObject]) -> dict[int, _Truth]:
    found: dict[int, _Truth] = {}
    for index, condition in conditions.items():
        holds = fails = 0
        for position, values in enumerate(data):
            truth = truth_of(condition.expression, values, condition.dialect)
            holds |= (truth is True) << position
            fails |= (truth is False) << position
        found[index] = _Truth(condition.text, holds, fails)
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


def claims_of(decision: Decision, outcome: Outcome, known: Collection[int]) -> tuple[tuple[int, bool], ...]:
    """Give what taking an outcome says of the conditions of branches: each with whether it holds, in document order.

    ``known`` are the branches that have conditions. The first condition that holds decides (BPMN 2.0.2, 13.4.2), so
    that one which holds earlier excludes a branch; the default branch excludes all others, and so does a branch that
    alone has no condition. An inclusive decision takes exactly the branches that hold.
    """
    if decision.inclusive:
        return tuple((index, index in outcome.branches) for index in sorted(known))
    taken = outcome.branches[0]
    others = [index for index in sorted(known) if index != taken]
    if taken not in known and (taken == decision.default or _is_remainder(decision, known)):
        return tuple((index, False) for index in others)
    earlier = tuple((index, False) for index in others if index < taken and index != decision.default)
    return (*earlier, (taken, True)) if taken in known else earlier


def _requirement(decision: Decision, outcome: Outcome, truths: Mapping[int, _Truth], everyone: int) -> Requirement:
    fitting = everyone
    claims = claims_of(decision, outcome, truths.keys())
    for index, holds in claims:
        fitting &= ~(truths[index].fails if holds else truths[index].holds)
    texts = tuple(truths[index].text for index, holds in claims if holds)
    denies = not texts and any(not holds for _, holds in claims)
    if decision.inclusive:
        denies = not outcome.branches or decision.default in outcome.branches
    elif denies:
        denies = outcome.branches[0] == decision.default or _is_remainder(decision, truths)
    if denies:
        texts += _negated({index: truths[index] for index, holds in claims if not holds})
    return Requirement(texts, fitting)


def _is_remainder(decision: Decision, known: Collection[int]) -> bool:
    """Whether exactly one branch has no condition, so that it can only mean "otherwise"."""
    return decision.default is None and len(decision.branches) - len(known) == 1


def _negated(truths: Mapping[int, _Truth]) -> tuple[str, ...]:
    return tuple(f"not ({truth.text})" for truth in truths.values())


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union
