"""Play a process through with a policy that decides, and try alternatives where that leads nowhere."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_orchestra.generation.game import Failure, Run, Visit
from pytest_orchestra.generation.guidance import INFINITE, Gains, Side, View
from pytest_orchestra.generation.loops import Loops
from pytest_orchestra.generation.semantics import Play

__all__ = [
    "Attempt",
    "Budget",
    "Forced",
    "GainPolicy",
    "Policy",
    "ShortPolicy",
    "Target",
    "TargetPolicy",
    "attempts",
    "walk",
]


class Policy(Protocol):
    """Decides in one run. A new one is made for every run."""

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the outcomes to consider, the best first; none if no outcome will do."""


@dataclass(slots=True)
class Budget:
    """How many tokens may still be moved."""

    left: int

    @property
    def is_spent(self) -> bool:
        """Whether no further run may begin."""
        return self.left <= 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run as far as it came. ``run`` is None unless it ended; ``widths`` are the options at each decision.

    ``refused`` is the point at which no outcome would do, if the run broke off there.
    """

    run: Run | None
    partial: Run
    failure: Failure | None
    refused: int | None
    widths: tuple[int, ...]
    points: tuple[int, ...]


def walk(view: View, policy: Policy, deviations: Mapping[int, int] | None = None) -> Attempt:
    """Play once. ``deviations`` gives for the n-th decision which of the policy's choices to take, 0 being the best."""
    play = Play(view.game)
    widths: list[int] = []
    points: list[int] = []
    refused = None
    while play.pending is not None:
        visit = play.pending
        allowed = view.allowed[visit.point]
        everything = len(allowed) == len(view.game.table.outcomes[visit.point])
        options = visit.options if everything else sorted(set(allowed).intersection(visit.options))
        ordered = policy.order(play, visit, options)
        if not ordered:
            refused = visit.point
            break
        wanted = deviations.get(len(widths), 0) if deviations else 0
        widths.append(len(ordered))
        points.append(visit.point)
        play.take(_pick(view, visit, ordered, wanted))
    run = play.run()
    ended = run if play.ended and run.occurrences else None
    return Attempt(ended, run, play.failure, refused, tuple(widths), tuple(points))


def _pick(view: View, visit: Visit, ordered: Sequence[int], wanted: int) -> int:
    """Give the outcome of that rank: first those after which the token surely ends, then those where it may."""
    if wanted == 0:
        sure = next((option for option in ordered if can_end(view, visit.point, option, visit.loops)), None)
        if sure is not None:
            return sure
    ranks = {option: _rank(view, visit, option) for option in ordered}
    ranked = sorted(ordered, key=lambda option: ranks[option])
    return ranked[min(wanted, len(ranked) - 1)]


def _rank(view: View, visit: Visit, option: int) -> int:
    if can_end(view, visit.point, option, visit.loops):
        return 0
    return 1 if _might_end(view, visit.point, option, visit.loops) else 2


def attempts(
    view: View,
    policy: Callable[[], Policy],
    limit: int,
    budget: Budget,
) -> Iterable[Attempt]:
    """Give the policy's own run, then runs that deviate from it in one decision, then in two, and so on.

    Decisions nearest to where a run failed are varied first. Harvey, Ginsberg: "Limited Discrepancy Search" (1995).
    """
    waiting: deque[tuple[tuple[int, int], ...]] = deque([()])
    tried: set[tuple[tuple[int, int], ...]] = {()}
    for _ in range(limit):
        if not waiting or budget.is_spent:
            return
        deviations = waiting.popleft()
        attempt = walk(view, policy(), dict(deviations))
        budget.left -= len(attempt.partial.edges) + 1
        yield attempt
        for number in _candidates(view, attempt, limit):
            for rank in range(1, attempt.widths[number]):
                if any(known == number for known, _ in deviations) or len(tried) > limit:
                    continue
                further = tuple(sorted((*deviations, (number, rank))))
                if further not in tried:
                    tried.add(further)
                    waiting.append(further)


def _candidates(view: View, attempt: Attempt, limit: int) -> list[int]:
    """Give the decisions worth varying, the most promising first."""
    open_ones = [number for number, width in enumerate(attempt.widths) if width > 1]
    failed_at = attempt.failure.points if attempt.failure is not None else ()
    if failed_at and len(open_ones) > 1:
        distance = view.distances(failed_at)
        open_ones.sort(key=lambda number: (distance[attempt.points[number]], -number))
    return open_ones[:limit]


def can_end(view: View, point: int, outcome: int, loops: Loops) -> bool:
    """Whether a token surely comes to the end after an outcome, given how often it went round its loops.

    Sure is the shortest way, with all its concurrent branches, if the token may still take each of its flows. A run
    that only ever does what is sure always finds the shortest way open, so that this one need not be looked at again.
    """
    if view.cost(point, outcome) == INFINITE:
        return False
    game = view.game
    part = game.structure.components
    component = part[point]
    way = game.table.outcomes[point][outcome].edges
    if not loops.is_tight or way == view.shortest[point] or component not in game.structure.cyclic_components:
        return True
    edges = game.graph.edges
    waiting = [edges[edge].target for edge in way]
    seen = set(waiting)
    while waiting:
        place = waiting.pop()
        if part[place] != component:
            continue
        for edge in view.shortest[place]:
            if not game.permits(edge, loops):
                return False
            target = edges[edge].target
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return True


def _might_end(view: View, point: int, outcome: int, loops: Loops) -> bool:
    """Whether some branch of a token leads out of its cycle along flows that it may still take, nearest to the end."""
    game, to_end = view.game, view.to_end
    graph, part = game.graph, game.structure.components
    component = part[point]
    edges = game.table.outcomes[point][outcome].edges
    seen = {graph.edges[edge].target for edge in edges}
    queue = [(to_end[point], point) for point in seen]
    heapq.heapify(queue)
    while queue:
        distance, point = heapq.heappop(queue)
        if distance == INFINITE:
            return False
        if part[point] != component:
            return True
        ways = (game.table.outcomes[point][index].edges for index in view.allowed[point])
        for way in (*ways, graph.auto[point]):
            for edge in way:
                target = graph.edges[edge].target
                if target not in seen and game.permits(edge, loops):
                    seen.add(target)
                    heapq.heappush(queue, (to_end[target], target))
    return False


class ShortPolicy:
    """Goes to the end by the fewest steps; at equal length by the default branch, else the first."""

    def __init__(self, view: View) -> None:
        self._view = view

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the options, the shortest way to the end first."""
        del play
        return sorted(options, key=lambda option: shortness(self._view, visit.point, option))


def shortness(view: View, point: int, outcome: int) -> tuple[float, bool, int]:
    """Give what orders outcomes by their way to the end: its length, not being the default, the document's order."""
    decision = view.game.decisions[point]
    taken = view.game.table.outcomes[point][outcome].branches
    return view.cost(point, outcome), decision.default not in taken, outcome


class GainPolicy:
    """Goes where most is to be gained, round loops first, and to the end by the shortest way when nothing is."""

    def __init__(self, view: View, gains: Gains) -> None:
        self._view = view
        self._gains = gains
        self._closing = view.game.structure.closing
        self._seen_edges = 0
        self._seen_points = 0

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the options, the most rewarding first."""
        self._collect(play)
        return sorted(options, key=lambda option: self._key(visit.point, option))

    def _collect(self, play: Play) -> None:
        gains = self._gains
        again: dict[int, None] = {}
        for position in range(self._seen_points, len(play.points)):
            gains.point_weights[play.points[position]] = 0
        for position in range(self._seen_edges, len(play.edges)):
            edge = play.edges[position]
            gains.edge_weights[edge] = 0
            if edge in self._closing:
                again.setdefault(edge)
        self._seen_points, self._seen_edges = len(play.points), len(play.edges)
        for edge in again:
            gains.reconsider(edge)

    def _key(self, point: int, option: int) -> tuple[int, int, float, bool, int]:
        side, gain = self._gains.value(point, option)
        rank = {Side.BACK: 0 if gain > 0 else 2, Side.ON: 1, Side.NOWHERE: 3}[side]
        return rank, -gain, *shortness(self._view, point, option)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that a run is to pass: any of the edges or points; ``distance`` is that from every point."""

    edges: frozenset[int]
    points: frozenset[int]
    distance: Sequence[float]

    @classmethod
    def of(cls, view: View, edges: Iterable[int] = (), points: Iterable[int] = ()) -> Target:
        """Measure the way to the target in a view."""
        edge_set, point_set = frozenset(edges), frozenset(points)
        sources = {view.game.graph.edges[edge].source for edge in edge_set}
        return cls(edge_set, point_set, view.distances(sorted(sources | point_set)))


class TargetPolicy:
    """Goes to its targets, the nearest first, and as another policy says when none is left ahead."""

    def __init__(self, view: View, targets: Iterable[Target], otherwise: Policy) -> None:
        self._view = view
        self._pending = list(targets)
        self._otherwise = otherwise
        self._seen_edges = 0
        self._seen_points = 0

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the options, those from which most targets and the nearest of them can be reached first."""
        self._collect(play)
        ordered = self._otherwise.order(play, visit, options)
        if not self._pending:
            return ordered
        return sorted(ordered, key=lambda option: self._key(visit.point, option))

    def _collect(self, play: Play) -> None:
        edges = set(play.edges[self._seen_edges :])
        points = set(play.points[self._seen_points :])
        self._seen_edges, self._seen_points = len(play.edges), len(play.points)
        self._pending = [
            target for target in self._pending if target.edges.isdisjoint(edges) and target.points.isdisjoint(points)
        ]

    def _key(self, point: int, option: int) -> tuple[int, float]:
        graph = self._view.game.graph
        edges = self._view.game.table.outcomes[point][option].edges
        ways = [
            0.0
            if not target.edges.isdisjoint(edges)
            else 1 + min(target.distance[graph.edges[edge].target] for edge in edges)
            for target in self._pending
        ]
        reached = [way for way in ways if way != INFINITE]
        return -len(reached), min(reached, default=INFINITE)


class Forced:
    """Takes the branches that a user demands, visit by visit, and asks another policy about all else.

    ``demands`` has for each point the branches (as indices) of its visits; the last entry goes for all later visits,
    as long as the limits of loops permit.
    """

    def __init__(self, view: View, demands: Mapping[int, Sequence[frozenset[int]]], otherwise: Policy) -> None:
        self._view = view
        self._demands = demands
        self._otherwise = otherwise
        self._visits: dict[int, int] = {}

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the demanded outcome, if one is demanded here."""
        ordered = self._otherwise.order(play, visit, options)
        demand = self._demands.get(visit.point)
        if demand is None:
            return ordered
        number = self._visits.get(visit.point, 0)
        self._visits[visit.point] = number + 1
        wanted = demand[min(number, len(demand) - 1)]
        decision = self._view.game.decisions[visit.point]
        if any(decision.branches[index].is_thrown for index in wanted):
            return [option for option in ordered if self._takes(visit.point, option, frozenset({0}))]
        matching = [option for option in ordered if self._takes(visit.point, option, wanted)]
        if number < len(demand):
            return matching
        matching = [option for option in matching if can_end(self._view, visit.point, option, visit.loops)]
        return matching or ordered

    def _takes(self, point: int, option: int, wanted: frozenset[int]) -> bool:
        return frozenset(self._view.game.table.outcomes[point][option].branches) == wanted
