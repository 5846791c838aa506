"""Pairs of branches that one run is to take: pairwise coverage of independent decisions and of inclusive gateways.

An exclusive decision is a parameter whose values are its branches; every branch of an inclusive one, its default apart,
is a parameter that is on or off. Two decisions are independent if what one decides does not keep a run from the other:
one can be reached from every branch of the other, or they lie on concurrent branches. All pairs of values of two
parameters of independent decisions, and of one inclusive decision, are goals, unless the gateway itself forbids them.

Kuhn, Kacker, Lei: "Practical Combinatorial Testing", NIST SP 800-142 (2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from math import comb

from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.limits import (
    MAX_BRANCHES_PAIRED,
    MAX_DECISIONS_PAIRED,
    MAX_PAIRS,
    MAX_SETS_OF_BRANCHES,
)
from pytest_orchestra.generation.token_game.game import Choice, Run, Visit
from pytest_orchestra.generation.token_game.guidance import INFINITE, View
from pytest_orchestra.generation.token_game.semantics import Play
from pytest_orchestra.generation.token_game.walk import can_end, shortness

__all__ = ["PairPolicy", "Pairs", "Value", "Ways", "list_pairs", "sets_of_branches"]


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a parameter: a branch of a decision, taken or, of an inclusive decision, left out."""

    point: int
    branch: int
    taken: bool = True


@dataclass(frozen=True)
class Pairs:
    """All pairs to be taken, as (index, index) of ``values`` in order; ``left_out`` pairs were too many."""

    values: tuple[Value, ...]
    pairs: tuple[tuple[int, int], ...]
    left_out: int
    decisions: Mapping[int, Decision]

    @cached_property
    def number(self) -> dict[tuple[int, int], int]:
        """The number of every pair."""
        return {pair: number for number, pair in enumerate(self.pairs)}

    @cached_property
    def lower_bound(self) -> int:
        """How many runs are needed at least in which every decision comes up once."""
        most = 0
        for first, second in self.pairs:
            one, other = self.values[first], self.values[second]
            if one.point != other.point and one.taken and other.taken:
                most = max(most, self._width(one.point) * self._width(other.point))
        regular: dict[int, set[int]] = {}
        for value in self.values:
            if not value.taken:
                regular.setdefault(value.point, set()).add(value.branch)
        return max([most, *(least_rows(len(branches)) for branches in regular.values() if len(branches) > 2)])  # noqa: PLR2004

    def _width(self, point: int) -> int:
        decision = self.decisions[point]
        return 2 if decision.inclusive else sum(not branch.is_thrown for branch in decision.branches)

    @cached_property
    def partners(self) -> list[int]:
        """For every value, as bits, those with which it makes a pair."""
        found = [0] * len(self.values)
        for one, other in self.pairs:
            found[one] |= 1 << other
            found[other] |= 1 << one
        return found

    @cached_property
    def of_branches(self) -> dict[tuple[int, str], int]:
        """For a branch of a decision (point, id), as bits, the values that it brings when it is taken."""
        return {
            (value.point, self.decisions[value.point].branches[value.branch].id): 1 << number
            for number, value in enumerate(self.values)
            if value.taken
        }

    @cached_property
    def of_points(self) -> dict[int, int]:
        """For a decision, as bits, all its values."""
        found: dict[int, int] = {}
        for number, value in enumerate(self.values):
            found[value.point] = found.get(value.point, 0) | 1 << number
        return found

    @cached_property
    def left_out_branches(self) -> dict[int, dict[str, int]]:
        """For an inclusive decision and the id of a branch of it, as a bit, the value of leaving it out."""
        found: dict[int, dict[str, int]] = {}
        for number, value in enumerate(self.values):
            if not value.taken:
                branch = self.decisions[value.point].branches[value.branch].id
                found.setdefault(value.point, {})[branch] = 1 << number
        return found

    def brought(self, point: int, branches: Sequence[str]) -> int:
        """Give, as bits, the values that a visit brings which takes the branches of those ids."""
        bits = 0
        for branch in branches:
            bits |= self.of_branches.get((point, branch), 0)
        for branch, bit in self.left_out_branches.get(point, {}).items():
            if branch not in branches:
                bits |= bit
        return bits

    def met_by(self, run: Run) -> Iterator[int]:
        """Give the numbers of the pairs of which a run takes both values."""
        taken = 0
        for choice in run.choices:
            taken |= self.brought(choice.point, choice.branches)
        for one in _bits(taken):
            for beyond in _bits((self.partners[one] & taken) >> one + 1):
                yield self.number[one, one + 1 + beyond]

    def element(self, pair: int) -> str:
        """Give the text of a pair: ``gateway->flow+gateway->flow``, with ``!`` before a branch that is left out."""
        return "+".join(self._text(self.values[number]) for number in self.pairs[pair])

    def _text(self, value: Value) -> str:
        decision = self.decisions[value.point]
        return f"{decision.element}->{'' if value.taken else '!'}{decision.branches[value.branch].id}"


def list_pairs(graph: ControlFlow, structure: Structure, decisions: Mapping[int, Decision]) -> Pairs:
    """Give the pairs of a process, those of near decisions first; at most ``MAX_PAIRS``."""
    by_element: dict[str, Decision] = {}
    for decision in decisions.values():
        if decision.is_open and not decision.is_repetition and decision.point in structure.reachable:
            by_element.setdefault(decision.element, decision)  # of the same at several start events the first
    counted = list(by_element.values())
    wide = [decision for decision in counted if len(decision.branches) > MAX_BRANCHES_PAIRED]
    kept = [decision for decision in counted if decision not in wide][:MAX_DECISIONS_PAIRED]
    values: list[Value] = []
    parameters: list[list[list[int]]] = []
    for decision in kept:
        parameters.append([])
        for parameter in _parameters(decision):
            parameters[-1].append(list(range(len(values), len(values) + len(parameter))))
            values += parameter
    reach = _Reach(graph, structure, kept)
    found: list[tuple[int, int]] = []
    left_out = 0
    for distance in range(len(kept)):
        for first in range(len(kept) - distance):
            second = first + distance
            if distance and not reach.are_independent(first, second):
                continue
            before = len(found)
            pairs = _pairs_of(kept[first], parameters[first], parameters[second], values)
            found += islice(pairs, MAX_PAIRS - before)
            if len(found) == MAX_PAIRS:
                left_out += _count_pairs(kept[first], parameters[first], parameters[second]) - (MAX_PAIRS - before)
    for decision in wide:
        own = [list(range(len(parameter))) for parameter in _parameters(decision)]
        left_out += _count_pairs(decision, own, own)
    return Pairs(tuple(values), tuple(found), left_out + len(counted) - len(kept), decisions)


def _parameters(decision: Decision) -> list[list[Value]]:
    indices = [index for index, branch in enumerate(decision.branches) if not branch.is_thrown]
    if not decision.inclusive:
        return [[Value(decision.point, index) for index in indices]]
    regular = [index for index in indices if index != decision.default]
    return [[Value(decision.point, index), Value(decision.point, index, taken=False)] for index in regular]


def _pairs_of(
    decision: Decision, parameters: list[list[int]], others: list[list[int]], values: Sequence[Value]
) -> Iterator[tuple[int, int]]:
    forbids_neither = _forbids_neither(decision, parameters)
    for place, mine in enumerate(parameters):
        for theirs in parameters[place + 1 :] if parameters is others else others:
            for one in mine:
                for other in theirs:
                    is_neither = not values[one].taken and not values[other].taken
                    if parameters is not others or not (is_neither and forbids_neither):
                        yield one, other


def _count_pairs(decision: Decision, parameters: list[list[int]], others: list[list[int]]) -> int:
    mine, theirs = sum(map(len, parameters)), sum(map(len, others))
    if parameters is not others:
        return mine * theirs
    return mine * (mine - 2) // 2 - _forbids_neither(decision, parameters) if decision.inclusive else 0


def _forbids_neither(decision: Decision, parameters: list[list[int]]) -> bool:
    """Whether a gateway has two branches only, of which it takes one at least."""
    return decision.default is None and not decision.always and len(parameters) == 2  # noqa: PLR2004  two branches


class _Reach:
    """Which decisions can be reached from where, as bits."""

    def __init__(self, graph: ControlFlow, structure: Structure, decisions: Sequence[Decision]) -> None:
        self._graph = graph
        self._decisions = decisions
        place = {decision.point: number for number, decision in enumerate(decisions)}
        parts = structure.components
        members: list[list[int]] = [[] for _ in range(max(parts, default=-1) + 1)]
        for point, part in enumerate(parts):
            members[part].append(point)
        of_part = [0] * len(members)
        for part, points in enumerate(members):  # successors have smaller numbers
            for point in points:
                if point in place:
                    of_part[part] |= 1 << place[point]
                for target in graph.successors(point):
                    of_part[part] |= of_part[parts[target]]
        self._from = [of_part[part] for part in parts]
        self._after = [self._after_every_branch(decision) for decision in decisions]
        self._beside = self._concurrent(structure)

    def _after_every_branch(self, decision: Decision) -> int:
        edges = self._graph.edges
        common = -1
        for branch in decision.branches:
            bits = 0
            for edge in (*branch.edges, *decision.always):
                bits |= self._from[edges[edge].target]
            if branch.edges:
                common &= bits
        return common

    def _concurrent(self, structure: Structure) -> list[int]:
        """Give for every decision, as bits, those on branches that run beside its own."""
        edges = self._graph.edges
        found = [0] * len(self._decisions)
        exclusive = {decision.point for decision in self._decisions if not decision.inclusive}
        for point in sorted(structure.reachable):
            out = self._graph.out[point]
            if len(out) < 2 or point in exclusive:  # noqa: PLR2004  branches
                continue
            meeting = structure.meeting_point(edges[edge].target for edge in out)
            behind = self._from[meeting] if meeting is not None else 0
            regions = [self._from[edges[edge].target] & ~behind for edge in out]
            seen = several = 0
            for region in regions:
                several |= seen & region
                seen |= region
            for region in regions:
                own = region & ~several
                for number in _bits(own):
                    found[number] |= seen & ~several & ~own
        return found

    def are_independent(self, first: int, second: int) -> bool:
        """Whether each branch of either decision goes with each of the other."""
        return bool(
            self._after[first] >> second & 1 or self._after[second] >> first & 1 or self._beside[first] >> second & 1
        )


def sets_of_branches(decision: Decision) -> tuple[frozenset[int], ...]:
    """Give sets of branches of an inclusive decision that hold every pair of on and off.

    These are all sets there are, if the branches are few, else the fewest that do: all branches, and rows in which each
    branch is left out as often and no two branches in the same rows (Kleitman, Spencer: "Families of k-independent
    sets", 1973).
    """
    regular = [index for index in range(len(decision.branches)) if index != decision.default]
    count = len(regular)
    if count < 2:  # noqa: PLR2004  a pair
        return ()
    if 1 << count <= MAX_SETS_OF_BRANCHES:
        return tuple(frozenset(regular[place] for place in _bits(mask)) for mask in range(1, 1 << count))
    rows = least_rows(count)
    every = list(combinations(range(rows - 1), (rows + 1) // 2))
    absent = [frozenset(every[place * len(every) // count]) for place in range(count)]
    sets = (
        frozenset(index for index, out in zip(regular, absent, strict=True) if row not in out)
        for row in range(rows - 1)
    )
    return (frozenset(regular), *(one for one in sets if one))


def least_rows(count: int) -> int:
    """Give the fewest rows in which ``count`` things that are on or off show every pair of both."""
    rows = 4
    while comb(rows - 1, (rows + 1) // 2) < count:
        rows += 1
    return rows


class PairPolicy:
    """Takes branches that make the most open pairs with those taken before, then those that can make the most later.

    ``open_pairs`` has for every value, as bits, those with which it is still to be taken; ``wanted`` are values that
    this run is to take before all.
    """

    def __init__(self, view: View, pairs: Pairs, open_pairs: Sequence[int], wanted: Sequence[int], ways: Ways) -> None:
        self._view = view
        self._pairs = pairs
        self._open = open_pairs
        self._wanted = {pairs.values[number].point: 0 for number in wanted}
        for number in wanted:
            self._wanted[pairs.values[number].point] |= 1 << number
        self._ways = ways
        self._seen = 0
        self._taken = 0
        self._undecided = (1 << len(pairs.values)) - 1

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the options, the most rewarding first."""
        for choice in play.choices[self._seen :]:
            self._note(choice)
        self._seen = len(play.choices)
        return sorted(options, key=lambda option: self._key(visit, option))

    def _note(self, choice: Choice) -> None:
        self._taken |= self._pairs.brought(choice.point, choice.branches)
        self._undecided &= ~self._pairs.of_points.get(choice.point, 0)
        self._wanted.pop(choice.point, None)

    def _key(self, visit: Visit, option: int) -> tuple[int, bool, int, int, tuple[float, bool, int]]:
        point = visit.point
        game = self._view.game
        outcome = game.table.outcomes[point][option]
        values = self._pairs.brought(point, game.decisions[point].ids(outcome))
        wanted = self._wanted.get(point, 0)
        lost = sum(
            other != point and not any(self._ways.lead(game.graph.edges[edge].target, other) for edge in outcome.edges)
            for other in self._wanted
        )
        if not can_end(self._view, point, option, visit.loops):
            lost += len(self._pairs.values)
        now = later = 0
        for value in _bits(values):
            now += (self._open[value] & self._taken).bit_count()
            later += (self._open[value] & self._undecided).bit_count()
        return lost, bool(wanted & ~values), -now, -later, shortness(self._view, point, option)


class Ways:
    """Whether decisions can still be come to, measured once for each."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[int, list[float]] = {}

    def lead(self, point: int, target: int) -> bool:
        """Whether a way leads from a point to a target."""
        if target not in self._known:
            self._known[target] = self._view.distances((target,))
        return self._known[target][point] != INFINITE


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
