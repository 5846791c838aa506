"""What taking branches assumes of the data, and whether it contradicts what was assumed before.

A name that a node writes is forgotten there; on a loop, whatever its decisions read is forgotten when it comes round
again. Names of ``data`` in the sidecar never change. What is not understood contradicts nothing. Values are not chosen:
all that are still possible are kept, as bits of a mask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_orchestra.generation.assumptions.fitting import VISIT, BranchCondition, Table, claims_of
from pytest_orchestra.generation.assumptions.value_flow import Rule, ValueFlow
from pytest_orchestra.generation.assumptions.writes import Writes
from pytest_orchestra.generation.conditions.expressions import (
    Dialect,
    Expression,
    Literal,
    Name,
    Negation,
    Opaque,
    names_in,
    rewritten,
)
from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.limits import MAX_LONE_DECISIONS
from pytest_orchestra.generation.solving.cells import Kind
from pytest_orchestra.generation.solving.clusters import Clusters, group_formulas
from pytest_orchestra.generation.solving.formulas import COMPUTED, Clues, Formula, Path, compile_formula, conjuncts

__all__ = ["Assumptions", "Claim", "Conflict", "Knowledge"]

_CHANGING = "\1"
"""How the path of a variable begins that nodes may write."""


@dataclass(frozen=True, slots=True)
class Claim:
    """That the condition of a branch holds, or does not. ``text`` says it as people read it."""

    point: int
    branch: int
    text: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """What contradicts taking an outcome at a point: its ``own`` claims, and those ``earlier`` on the way."""

    point: int
    outcome: int
    own: tuple[Claim, ...]
    earlier: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class _Fact:
    """One claim as far as it concerns one cluster."""

    claim: Claim
    cluster: int
    mask: int
    variables: frozenset[Path]


@dataclass(frozen=True, slots=True)
class _Mark:
    """What passing a point does to what is known: ``forgotten`` variables by cluster, at once, or when it comes again.

    ``counts`` says that visits are counted, ``forced`` that the only outcome there claims something.
    """

    forgotten: Mapping[int, frozenset[Path]]
    forgotten_again: Mapping[int, frozenset[Path]]
    counts: bool
    forced: bool


@dataclass(frozen=True)
class Knowledge:
    """What the outcomes of all decisions claim, and where variables change. Built once for a process.

    ``steady`` names are those of data sets, which only a node that is seen to write them changes; ``writes`` has what
    nodes write, by id. Nothing is raised and nothing is found out before it is asked for.
    """

    graph: ControlFlow
    structure: Structure
    decisions: Mapping[int, Decision]
    table: Table
    steady: frozenset[str] = frozenset()
    writes: Mapping[str, Writes] = field(default_factory=dict)

    def begin(self) -> Assumptions:
        """Begin a run, of which nothing is assumed."""
        return Assumptions(self)

    @cached_property
    def is_empty(self) -> bool:
        """Whether no choice of a branch ever forbids another."""
        readers: dict[int, set[int]] = {}
        for (point, _, visit), facts in self.facts.items() if self._watched else ():
            for cluster, own in facts.items():
                full = self.clusters.clusters[cluster].full
                if visit > 1 or _open(own, full) == 0 or (self._comes_again(point) and not _all_change(own)):
                    return False
                readers.setdefault(cluster, set()).add(point)
        return all(len(points) == 1 for points in readers.values())

    @cached_property
    def _watched(self) -> frozenset[tuple[int, int]]:
        """The conditions, by point and branch, that may contradict others: they read names that another decision reads.

        Of those that share no name with another decision, only that many are looked at which is no trouble.
        """
        readers: dict[tuple[str | int, ...], set[int]] = {}
        names: dict[tuple[int, int], list[tuple[str | int, ...]]] = {}
        for key, condition in self.table.conditions.items():
            paths = [path[:2] if path[0] == "data" else path[:1] for path in names_in(condition.expression)]
            bare = [path[1:] if len(path) > 1 else path for path in paths]
            names[key] = bare
            for path in bare:
                readers.setdefault(path, set()).add(key[0])
        shared = {
            key for key, paths in names.items() if any(len(readers[path]) > 1 or path == (VISIT,) for path in paths)
        }
        points = {point for point, _ in shared} | {point for point, _ in names if self._comes_again(point)}
        alone = [key for key in names if key[0] not in points]
        lone = list(dict.fromkeys(point for point, _ in alone))[:MAX_LONE_DECISIONS]
        return frozenset(key for key in names if key[0] in points or key[0] in set(lone))

    def _comes_again(self, point: int) -> bool:
        return self.structure.components[point] in self.structure.cyclic_components

    @cached_property
    def flow(self) -> ValueFlow:
        """What can reach each point."""
        # what is claimed at some visit only says nothing of all of them
        rules = {(point, outcome): rule for (point, outcome, visit), rule in self.rules.items() if visit == 0}
        forgotten: dict[int, int] = {}
        for point, mark in self.marks.items():
            for cluster in (*mark.forgotten, *mark.forgotten_again):
                forgotten[point] = forgotten.get(point, 0) | self.clusters.clusters[cluster].full
        return ValueFlow(self.graph, self.structure, self.table.outcomes, self.clusters.everything, rules, forgotten)

    @cached_property
    def rules(self) -> dict[tuple[int, int, int], Rule]:
        """What every outcome that claims something lets through, by point, outcome and visit."""
        everything, clusters = self.clusters.everything, self.clusters.clusters
        found: dict[tuple[int, int, int], Rule] = {}
        for key, facts in self.facts.items():
            allowed = everything
            for own in facts.values():
                for fact in own:
                    allowed &= fact.mask | ~clusters[fact.cluster].full
            found[key] = Rule(allowed, tuple(clusters[cluster].full for cluster in facts))
        return found

    @cached_property
    def _written(self) -> frozenset[str]:
        return frozenset(name for writes in self.writes.values() for name in writes.names)

    def _variable(self, name: Name, dialect: Dialect) -> Expression:
        """Give the variable of a name: what a template reads, and names of data that no node writes, never change."""
        root = name.path[0]
        if name.is_call:
            return Opaque(str(root))
        if dialect is Dialect.TEMPLATE:
            if root != "data" or len(name.path) == 1:
                return Opaque(str(root))
            shared = name.path[1] not in self._written
            return Name(name.path[1:] if shared else name.path)
        bare = name.path[1:] if root == "data" and len(name.path) > 1 else name.path
        is_steady = bare[0] in self.steady and bare[0] not in self._written
        return Name(bare if is_steady else (_CHANGING, *bare))

    def _formulas(self, condition: BranchCondition, visit: int, *, holds: bool) -> Iterable[Formula]:
        def change(name: Name) -> Expression:
            if name.path == (VISIT,) and condition.dialect is Dialect.TEMPLATE:
                return Literal(visit) if visit else Opaque(VISIT)
            return self._variable(name, condition.dialect)

        expression = rewritten(condition.expression, change)
        return conjuncts(compile_formula(expression if holds else Negation(expression), condition.dialect))

    @cached_property
    def _claimed(self) -> dict[tuple[int, int, int], list[tuple[Claim, Formula]]]:
        """Give what every outcome claims, by point, outcome and visit (0 where that does not matter)."""
        known: dict[int, dict[int, BranchCondition]] = {}
        for (point, branch), condition in self.table.conditions.items():
            if (point, branch) in self._watched and not self.decisions[point].branches[branch].is_thrown:
                known.setdefault(point, {})[branch] = condition
        found: dict[tuple[int, int, int], list[tuple[Claim, Formula]]] = {}
        formulas: dict[tuple[BranchCondition, bool, int], tuple[Formula, ...]] = {}
        for point, conditions in known.items():
            counts = any(condition.counts for condition in conditions.values())
            visits = range(1, self.table.visits + 1) if counts else (0,)
            for index, outcome in enumerate(self.table.outcomes[point]):
                claims = claims_of(self.decisions[point], outcome, conditions.keys())
                for visit in visits:
                    mine: list[tuple[Claim, Formula]] = []
                    for branch, holds in claims:
                        condition = conditions[branch]
                        key = (condition, holds, visit if condition.counts else 0)
                        if key not in formulas:
                            formulas[key] = tuple(self._formulas(condition, key[2], holds=holds))
                        text = condition.text if holds else f"not ({condition.text})"
                        mine.extend((Claim(point, branch, text), formula) for formula in formulas[key])
                    found[point, index, visit] = mine
        return found

    @cached_property
    def _grouped(self) -> tuple[Clusters, dict[Formula, int]]:
        volatile = self._volatile
        numbers: dict[Formula, int] = {}
        for claims in self._claimed.values():
            for _, formula in claims:
                if not any(self._is_volatile(path, volatile) for path in formula.variables):
                    numbers.setdefault(formula, len(numbers))
        return group_formulas(list(numbers)), numbers

    @property
    def clusters(self) -> Clusters:
        """The variables that conditions read, in groups."""
        return self._grouped[0]

    @cached_property
    def facts(self) -> dict[tuple[int, int, int], dict[int, tuple[_Fact, ...]]]:
        """What every outcome claims, by cluster; outcomes that claim nothing which is understood are left out."""
        clusters, numbers = self._grouped
        found: dict[tuple[int, int, int], dict[int, tuple[_Fact, ...]]] = {}
        for key, claims in self._claimed.items():
            mine: dict[int, list[_Fact]] = {}
            for claim, formula in claims:
                place = clusters.masks.get(numbers.get(formula, -1))
                if place is not None and place[1] != clusters.clusters[place[0]].full:
                    mine.setdefault(place[0], []).append(_Fact(claim, *place, frozenset(formula.variables)))
            if mine:
                found[key] = {cluster: tuple(facts) for cluster, facts in mine.items()}
        return found

    def conflict_between(self, first: tuple[int, int], second: tuple[int, int]) -> Conflict | None:
        """Give what contradicts an outcome, given as its point and index, in whatever run has taken another one.

        None where they do not contradict, or where what they speak of may change on the way.
        """
        earlier, own = (self.facts.get((*one, 0), {}) for one in (first, second))
        for cluster in earlier.keys() & own.keys() - self._passing:
            full = self.clusters.clusters[cluster].full
            if not _open(own[cluster], _open(earlier[cluster], full)):
                assumptions = self.begin()
                assumptions.take(*first)
                return assumptions.conflict(*second)
        return None

    def values_of(self, outcome: tuple[int, int]) -> int:
        """Give the values for which an outcome, given as its point and index, can be taken in a run.

        All, of what may change on the way.
        """
        clusters, values = self.clusters, self.clusters.everything
        for cluster, own in self.facts.get((*outcome, 0), {}).items():
            if cluster not in self._passing:
                full = clusters.clusters[cluster].full
                values &= ~full | _open(own, full)
        return values

    @cached_property
    def _passing(self) -> frozenset[int]:
        """The clusters of which something is forgotten anywhere."""
        marks = self.marks.values()
        return frozenset(cluster for mark in marks for cluster in (*mark.forgotten, *mark.forgotten_again))

    def key_of(self, point: int, outcome: int, visit: int) -> tuple[int, int, int]:
        """Give the key of what an outcome claims at a visit."""
        key = (point, outcome, 0)
        return key if key in self.rules else (point, outcome, visit)

    @cached_property
    def marks(self) -> dict[int, _Mark]:
        """What passing a point does; points that do nothing are left out."""
        graph, structure = self.graph, self.structure
        clusters = self.clusters.clusters
        changing = {path for cluster in clusters for path in cluster.variables if path[0] in (_CHANGING, COMPUTED)}
        counting = {point for point, _, visit in self.facts if visit}
        read: dict[int, set[Path]] = {}
        for (point, _, _), own in self.facts.items():
            component = structure.components[point]
            if component in structure.cyclic_components:
                paths = {path for facts in own.values() for fact in facts for path in fact.variables}
                read.setdefault(component, set()).update(paths & changing)
        forced = {point for point, _, _ in self.facts if len(self.table.outcomes[point]) == 1}
        found: dict[int, _Mark] = {}
        for place in graph.points:
            index, node = place.index, place.node
            writes = self.writes.get(node.id) if node is not None and graph.point_of.get(node.id) == index else None
            gone = {path for path in changing if self._is_written(path, writes)} if writes else set()
            again = read.get(structure.components[index], set())
            if gone or again or index in counting or index in forced:
                found[index] = _Mark(
                    self._by_cluster(gone), self._by_cluster(again), index in counting, index in forced
                )
        return found

    def _is_written(self, path: Path, writes: Writes) -> bool:
        """Whether a node may write a variable; a part that is only computed depends on any name in its text."""
        if path[0] == COMPUTED:
            return _CHANGING in str(path[1]) or "\\x01" in str(path[1])
        name = path[1]
        if name in writes.names:
            return True
        return name not in self.steady and (writes.unseen or (writes.answers and path not in self._numeric))

    def _by_cluster(self, paths: Collection[Path]) -> dict[int, frozenset[Path]]:
        found: dict[int, frozenset[Path]] = {}
        for number, cluster in enumerate(self.clusters.clusters if paths else ()):
            mine = cluster.variables & set(paths)
            if mine:
                found[number] = mine
        return found

    @cached_property
    def _numeric(self) -> frozenset[Path]:
        """The variables that are compared with numbers alone."""
        clues = Clues()
        for claims in self._claimed.values():
            for _, formula in claims:
                formula.give_clues(clues)
        return frozenset(path for path, kinds in clues.kinds.items() if set(kinds) == {Kind.NUMBER})

    @cached_property
    def _volatile(self) -> Writes:
        """What nodes write while other branches run: it may change at any moment, and nothing is assumed of it."""
        relevant = {
            self.graph.point_of[node]: writes for node, writes in self.writes.items() if node in self.graph.point_of
        }
        if not relevant:
            return Writes()
        concurrent = self._concurrent()
        names: set[str] = set()
        unseen = answers = False
        for point, writes in relevant.items():
            if point in concurrent:
                names |= writes.names
                unseen = unseen or writes.unseen
                answers = answers or writes.answers
        return Writes(frozenset(names), unseen, answers)

    def _is_volatile(self, path: Path, volatile: Writes) -> bool:
        return path[0] in (_CHANGING, COMPUTED) and bool(volatile) and self._is_written(path, volatile)

    def _concurrent(self) -> set[int]:
        """Give the points between a split into several tokens and where all its branches come together."""
        graph, structure = self.graph, self.structure
        found: set[int] = set()
        work = 50 * graph.size
        for outcomes in self.table.outcomes:
            for outcome in outcomes:
                if len(outcome.edges) < 2:  # noqa: PLR2004  one token splits nothing
                    continue
                waiting = [graph.edges[edge].target for edge in outcome.edges]
                meeting = structure.meeting_point(waiting)
                seen: set[int] = set()
                while waiting:
                    point = waiting.pop()
                    if point == meeting or point in seen:
                        continue
                    seen.add(point)
                    waiting.extend(graph.successors(point))
                found |= seen
                work -= len(seen)
                if work < 0:
                    return set(range(len(graph.points)))
        return found


class Assumptions:
    """What one run has assumed so far."""

    __slots__ = ("_facts", "_knowledge", "_visits", "broken", "values")

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._facts: dict[int, tuple[_Fact, ...]] = {}
        self._visits: dict[int, int] = {}
        self.values = knowledge.clusters.everything
        """The values that are still possible."""
        self.broken: Conflict | None = None
        """The first contradiction that came up where there was no choice."""

    def pass_points(self, points: Sequence[int]) -> None:
        """Pass points, in order: what their nodes write is forgotten."""
        marks = self._knowledge.marks
        for point in points:
            mark = marks.get(point)
            if mark is None:
                continue
            if mark.forgotten_again or mark.counts:
                visit = self._visits[point] = self._visits.get(point, 0) + 1
                if visit > 1 and mark.forgotten_again:
                    self._forget(mark.forgotten_again)
            if mark.forgotten:
                self._forget(mark.forgotten)
            if mark.forced:
                self.broken = self.broken or self.conflict(point, 0)
                self.take(point, 0)

    def permits(self, point: int, outcome: int) -> bool:
        """Say whether an outcome may be taken: False only if it contradicts for certain what was assumed before."""
        return bool(self.left_by(point, outcome))

    def left_by(self, point: int, outcome: int) -> int:
        """Give the values that taking an outcome leaves; 0 if it contradicts what was assumed before."""
        rule = self._knowledge.rules.get(self._key(point, outcome))
        return self.values or -1 if rule is None else rule.restrict(self.values)

    def take(self, point: int, outcome: int) -> None:
        """Assume what taking an outcome claims."""
        key = self._key(point, outcome)
        rule = self._knowledge.rules.get(key)
        if rule is None:
            return
        self.values &= rule.allowed
        for cluster, facts in self._knowledge.facts[key].items():
            self._facts[cluster] = (*self._facts.get(cluster, ()), *facts)

    def conflict(self, point: int, outcome: int) -> Conflict | None:
        """Give the least that contradicts an outcome, of its own claims and of those made before; None if it may be."""
        clusters = self._knowledge.clusters.clusters
        for cluster, own in self._knowledge.facts.get(self._key(point, outcome), {}).items():
            full = clusters[cluster].full
            if _open(own, self.values & full):
                continue
            kept = _contradicting((*self._facts.get(cluster, ()), *own), full)
            mine = {id(fact) for fact in own}
            earlier = (fact.claim for fact in kept if id(fact) not in mine)
            own_claims = dict.fromkeys(fact.claim for fact in kept if id(fact) in mine)
            return Conflict(point, outcome, tuple(own_claims), tuple(dict.fromkeys(earlier)))
        return None

    def _key(self, point: int, outcome: int) -> tuple[int, int, int]:
        return self._knowledge.key_of(point, outcome, self._visits.get(point, 1))

    def _forget(self, variables: Mapping[int, frozenset[Path]]) -> None:
        for cluster, paths in variables.items():
            if cluster in self._facts:
                full = self._knowledge.clusters.clusters[cluster].full
                kept = tuple(fact for fact in self._facts[cluster] if not fact.variables & paths)
                self._facts[cluster] = kept
                self.values = self.values & ~full | _open(kept, full)


def _all_change(facts: Iterable[_Fact]) -> bool:
    """Whether every fact is forgotten when its loop comes round."""
    return all(any(path[0] in (_CHANGING, COMPUTED) for path in fact.variables) for fact in facts)


def _contradicting(facts: Sequence[_Fact], mask: int) -> list[_Fact]:
    """Give facts that leave nothing of a mask, none of which can be left out, the latest where there is a choice.

    Those behind an early one that leave nothing with it do not need the ones before it: each pass finds one fact.
    """
    kept: list[_Fact] = []
    begin = 0
    while mask:
        left = mask
        for position in range(len(facts) - 1, begin - 1, -1):
            left &= facts[position].mask
            if not left:
                break
        else:
            break
        kept.append(facts[position])
        mask &= facts[position].mask
        begin = position + 1
    return kept


def _open(facts: Iterable[_Fact], mask: int) -> int:
    """Give what the facts leave open of a mask."""
    for fact in facts:
        mask &= fact.mask
    return mask
