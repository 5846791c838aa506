"""Play a process through with a policy that decides, and try alternatives where that leads nowhere."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_orchestra.generation.assumptions.knowledge import Assumptions, Conflict
from pytest_orchestra.generation.assumptions.value_flow import Approach
from pytest_orchestra.generation.control_flow.loops import Loops
from pytest_orchestra.generation.token_game.game import Failure, FailureKind, Run, Visit
from pytest_orchestra.generation.token_game.guidance import INFINITE, Gains, Side, View
from pytest_orchestra.generation.token_game.semantics import Play

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


_ENDLESS = 5
_WIDE = 16


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

    ``refused`` is the point at which no outcome would do, if the run broke off there. ``contradictions`` are the
    outcomes that could not be taken because of what others before had assumed.
    """

    run: Run | None
    partial: Run
    failure: Failure | None
    refused: int | None
    widths: tuple[int, ...]
    points: tuple[int, ...]
    contradictions: tuple[Failure, ...] = ()

    @property
    def work(self) -> int:
        """What the run counts for in a budget; one whose tokens multiply without end is slow, as are others like it."""
        moved = len(self.partial.edges) + sum(self.widths) + 1
        is_endless = self.failure is not None and self.failure.kind is FailureKind.TOO_LONG
        return _ENDLESS * moved if is_endless else moved


def walk(
    view: View,
    policy: Policy,
    deviations: Mapping[int, int] | None = None,
    *,
    last_first: bool = False,
    toward: Approach | None = None,
    near: Sequence[float] = (),
) -> Attempt:
    """Play once. ``deviations`` gives for the n-th decision which of the policy's choices to take, 0 being the best.

    ``last_first`` turns the order of concurrent branches round. ``toward`` is the approach to a goal: until that is
    reached, no outcome is taken that leaves no values which get there, as long as there is another. ``near`` has the
    distance of every point to a goal: of concurrent events that end a (sub-)process, the nearest happens first.
    """
    play = Play(view.game, last_first=last_first, near=near)
    widths: list[int] = []
    points: list[int] = []
    refused = None
    checks = _Checks(view, play, toward)
    while play.pending is not None:
        visit = play.pending
        allowed = view.allowed[visit.point]
        everything = len(allowed) == len(view.game.table.outcomes[visit.point])
        options: Sequence[int] = visit.options if everything else sorted(set(allowed).intersection(visit.options))
        if checks.are_needed:
            options = checks.filter(visit, options)
        ordered = policy.order(play, visit, options) if options else []
        if not ordered:
            refused = visit.point
            break
        wanted = deviations.get(len(widths), 0) if deviations else 0
        widths.append(len(ordered))
        points.append(visit.point)
        option = _pick(view, visit, ordered, wanted)
        if checks.are_needed:
            checks.take(visit.point, option)
        play.take(option)
    run = play.run()
    failure = play.failure or checks.failure(refused)
    ended = run if play.ended and run.occurrences and failure is None else None
    return Attempt(ended, run, failure, refused, tuple(widths), tuple(points), _each_once(checks.contradictions))


def _each_once(contradictions: Sequence[Failure]) -> tuple[Failure, ...]:
    """Leave out what is there again, which only the same outcome of the same point can be."""
    spots = {(one.conflict.point, one.conflict.outcome) for one in contradictions if one.conflict is not None}
    return tuple(contradictions if len(spots) == len(contradictions) else dict.fromkeys(contradictions))


class _Checks:
    """Holds the decisions of one run against each other, and against what its data leaves open at each visit."""

    def __init__(self, view: View, play: Play, toward: Approach | None) -> None:
        knowledge = view.game.knowledge
        self._game = view.game
        self._assumptions = None if knowledge is None or knowledge.is_empty else knowledge.begin()
        self._toward = toward
        self._forbidden = view.forbidden_visits
        self._play = play
        self._visits: dict[int, int] = {}
        self._seen = 0
        self.are_needed = self._assumptions is not None or bool(self._forbidden)
        self.contradictions: list[Failure] = []

    def filter(self, visit: Visit, options: Sequence[int]) -> Sequence[int]:
        """Give the options that contradict nothing."""
        point = visit.point
        if self._forbidden:
            number = self._visits[point] = self._visits.get(point, 0) + 1
            options = [option for option in options if (point, option, number) not in self._forbidden]
        assumptions = self._assumptions
        if assumptions is None:
            return options
        self._pass(assumptions)
        if assumptions.broken is not None:
            return []
        permitted = [option for option in options if assumptions.permits(point, option)]
        for option in options if len(permitted) < len(options) else ():
            conflict = assumptions.conflict(point, option) if option not in permitted else None
            if conflict is not None:
                self._note(conflict)
        return self._leading(assumptions, point, permitted)

    def _leading(self, assumptions: Assumptions, point: int, options: list[int]) -> list[int]:
        """Give the options that leave values which get to the goal; all of them if none does."""
        toward = self._toward
        knowledge = self._game.knowledge
        if toward is None or knowledge is None or len(options) < 2:  # noqa: PLR2004  nothing to choose
            return options
        edges, outcomes = self._game.graph.edges, self._game.table.outcomes[point]
        segments = [cluster.full for cluster in knowledge.clusters.clusters]
        leading = []
        for option in options:
            left = assumptions.left_by(point, option)
            ways = (toward.over(edge, edges[edge].target) & left for edge in outcomes[option].edges)
            if any(way and all(way & segment for segment in segments) for way in ways):
                leading.append(option)
        return leading or options

    def take(self, point: int, option: int) -> None:
        """Assume what an option claims."""
        if self._assumptions is not None:
            self._assumptions.take(point, option)
            if self._toward is not None:
                edges = self._game.table.outcomes[point][option].edges
                self._toward = self._toward if self._toward.edges.isdisjoint(edges) else None

    def failure(self, refused: int | None) -> Failure | None:
        """Say why the run cannot go on or never could, if that is because of a contradiction."""
        if self._assumptions is None:
            return None
        self._pass(self._assumptions)
        if self._assumptions.broken is not None:
            self._note(self._assumptions.broken)
            return self.contradictions[-1]
        return self.contradictions[-1] if refused is not None and self.contradictions else None

    def _pass(self, assumptions: Assumptions) -> None:
        points = self._play.points[self._seen :]
        self._seen += len(points)
        assumptions.pass_points(points)
        if self._toward is not None and not self._toward.points.isdisjoint(points):
            self._toward = None

    def _note(self, conflict: Conflict) -> None:
        points = dict.fromkeys(claim.point for claim in conflict.earlier)
        failure = Failure(FailureKind.CONTRADICTION, tuple(points) or (conflict.point,), conflict=conflict)
        self.contradictions.append(failure)


def _pick(view: View, visit: Visit, ordered: Sequence[int], wanted: int) -> int:
    """Give the outcome of that rank: first those after which the token surely ends, then those where it may."""
    if len(ordered) == 1:
        return ordered[0]
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
    toward: Approach | None = None,
    near: Sequence[float] = (),
) -> Iterable[Attempt]:
    """Give the policy's own run, then runs that deviate from it in one decision, then in two, and so on.

    Decisions nearest to where a run failed are varied first, or those because of which it could not go where it might
    have gone. Harvey, Ginsberg: "Limited Discrepancy Search" (1995).
    """
    waiting: deque[tuple[tuple[int, int], ...]] = deque([()])
    tried: set[tuple[tuple[int, int], ...]] = {()}
    for _ in range(limit):
        if not waiting or budget.is_spent:
            return
        deviations = waiting.popleft()
        attempt = walk(view, policy(), dict(deviations), toward=toward, near=near)
        budget.left -= attempt.work
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
    failures = (attempt.failure,) if attempt.failure is not None else attempt.contradictions
    failed_at = [point for failure in failures for point in failure.points]
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
    cost = view.cost(point, outcome)
    if decision.is_repetition and cost != INFINITE:
        cost = 0.0  # one instance, the first alternative, is the usual one, though none is shorter
    return cost, decision.default not in taken, outcome


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
        if len(options) > _WIDE:
            return self._best_first(visit.point, options)
        return sorted(options, key=lambda option: self._key(visit.point, option))

    def _best_first(self, point: int, options: Sequence[int]) -> list[int]:
        """Give the best of many options, and the others as they come."""
        values = [(*self._rank(*self._gains.value(point, option)), option) for option in options]
        rank, gain, _ = min(values)
        equal = [option for other_rank, other_gain, option in values if (other_rank, other_gain) == (rank, gain)]
        best = min(equal, key=lambda option: shortness(self._view, point, option))
        return [best, *(option for option in options if option != best)]

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
        return *self._rank(*self._gains.value(point, option)), *shortness(self._view, point, option)

    @staticmethod
    def _rank(side: Side, gain: int) -> tuple[int, int]:
        if side is Side.BACK:
            return (0 if gain > 0 else 2), -gain
        return (1 if side is Side.ON else 3), -gain


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
