"""Which values can reach each point of a process, over which flows nothing comes, and from where a goal is reached.

Every branch lets through the values for which it is not known to fail; where ways meet, what either leaves open goes
on. Since a value does not change on its way, that is exact for each group of variables. What a node writes, and what
the decisions of a loop read, may be anything from there on. Values are bits of one mask for all groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_orchestra.generation.control_flow.decisions import Outcome
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.limits import MAX_FLOW_WORK

__all__ = ["Approach", "Rule", "ValueFlow"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an outcome lets through: the values ``allowed``, of which some must be left in each of the ``segments``."""

    allowed: int
    segments: tuple[int, ...]

    def restrict(self, values: int) -> int:
        """Give the values that an outcome leaves; 0 if it cannot be taken."""
        left = values & self.allowed
        for segment in self.segments:
            if not left & segment:
                return 0
        return left


@dataclass(frozen=True, slots=True)
class Approach:
    """How a goal is reached: for every point from which it can be, the ``values`` that get there.

    The goal is any of the ``edges`` or ``points``.
    """

    values: Mapping[int, int]
    edges: frozenset[int]
    points: frozenset[int]
    everything: int

    def over(self, edge: int, target: int) -> int:
        """Give the values that get to the goal from an edge on, which ends at ``target``."""
        return self.everything if edge in self.edges else self.values.get(target, 0)


@dataclass
class ValueFlow:
    """What reaches each point.

    ``everything`` is the mask of all values of all groups; ``rules`` has for (point, outcome) what it lets through;
    ``forgotten`` for points the groups of which nothing is known behind them. Where ``is_complete`` is false there was
    too much to follow, and nothing follows from it.
    """

    graph: ControlFlow
    structure: Structure
    outcomes: Sequence[Sequence[Outcome]]
    everything: int
    rules: Mapping[tuple[int, int], Rule]
    forgotten: Mapping[int, int]
    is_complete: bool = field(init=False)
    edges: set[int] = field(init=False, default_factory=set)
    _reaching: dict[int, int] = field(init=False, default_factory=dict)
    _came: dict[int, tuple[int, int | None]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._reaching[self.graph.entry] = self.everything
        self.is_complete = self._spread()

    def reaches(self, point: int) -> bool:
        """Whether anything can come to a point."""
        return not self.is_complete or point in self._reaching

    def passes(self, edge: int) -> bool:
        """Whether anything can come over an edge."""
        return not self.is_complete or edge in self.edges

    def dead_outcomes(self, point: int) -> tuple[int, ...]:
        """Give the outcomes of a point that is reached which nothing that comes there can take."""
        if not self.is_complete or point not in self._reaching:
            return ()
        values = self._behind(point)
        return tuple(index for index in range(len(self.outcomes[point])) if not self._restricted(point, index, values))

    def way_to(self, point: int) -> list[tuple[int, int | None]]:
        """Give one way to a point that is reached: the points before it, each with the outcome taken there."""
        way: list[tuple[int, int | None]] = []
        while point in self._came:
            way.append(self._came[point])
            point = way[-1][0]
        return way[::-1]

    def approach(self, edges: Iterable[int], points: Iterable[int]) -> Approach:
        """Give how one of the edges or points is reached."""
        wanted, places = frozenset(edges), frozenset(points)
        found: dict[int, int] = dict.fromkeys(sorted(places), self.everything)
        waiting = dict.fromkeys(found)
        for edge in sorted(wanted):
            self._back_over(edge, self.everything, found, waiting)
        work = MAX_FLOW_WORK
        while waiting and work > 0:
            point = next(iter(waiting))
            del waiting[point]
            work -= 1
            for edge in self.structure.predecessor_edges[point]:
                if edge not in wanted:
                    self._back_over(edge, found[point], found, waiting)
        return Approach(found, wanted, places, self.everything)

    def _back_over(self, edge: int, values: int, found: dict[int, int], waiting: dict[int, None]) -> None:
        if edge not in self.edges:
            return
        source = self.graph.edges[edge].source
        known = union = found.get(source, 0)
        for outcome in self._outcomes_with[edge]:
            union |= values if outcome is None else self._restricted(source, outcome, values)
        if union:
            union |= self.forgotten.get(source, 0)
        if union != known:
            found[source] = union
            waiting.setdefault(source)

    @cached_property
    def _outcomes_with(self) -> dict[int, list[int | None]]:
        found: dict[int, list[int | None]] = {edge: [] for edge in self.edges}
        for point in self._reaching:
            for outcome, edges in self._ways(point):
                for edge in edges:
                    if edge in found:
                        found[edge].append(outcome)
        return found

    def _spread(self) -> bool:
        work = MAX_FLOW_WORK
        waiting = dict.fromkeys((self.graph.entry,))
        while waiting:
            point = next(iter(waiting))
            del waiting[point]
            values = self._behind(point)
            for outcome, edges in self._ways(point):
                work -= 1
                if work < 0:
                    return False
                left = values if outcome is None else self._restricted(point, outcome, values)
                for edge in edges if left else ():
                    self.edges.add(edge)
                    target = self.graph.edges[edge].target
                    known = self._reaching.get(target, 0)
                    if left | known != known:
                        self._reaching[target] = left | known
                        waiting.setdefault(target)
                        if target != self.graph.entry:
                            self._came.setdefault(target, (point, outcome))
        return True

    def _ways(self, point: int) -> Iterator[tuple[int | None, tuple[int, ...]]]:
        for index, outcome in enumerate(self.outcomes[point]):
            yield index, outcome.edges
        if self.graph.auto[point]:
            yield None, self.graph.auto[point]

    def _behind(self, point: int) -> int:
        return self._reaching[point] | self.forgotten.get(point, 0)

    def _restricted(self, point: int, outcome: int, values: int) -> int:
        rule = self.rules.get((point, outcome))
        return values if rule is None else rule.restrict(values)
