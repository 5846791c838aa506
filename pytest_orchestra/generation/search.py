"""Choose runs that meet the goals: a greedy cover, which a better search can take the place of.

For each kind of data sets the run with the most to gain is played first, over and over. What such runs do not reach is
aimed at goal by goal. What no data set reaches is then covered without regard to data. At last, runs are dropped whose
goals others meet.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pytest_orchestra.generation.criteria import Goals, Spot
from pytest_orchestra.generation.fitting import DataClass
from pytest_orchestra.generation.game import Failure, FailureKind, Game, Run
from pytest_orchestra.generation.guidance import INFINITE, Gains, View
from pytest_orchestra.generation.limits import MAX_ATTEMPTS, MAX_SCENARIOS, search_budget
from pytest_orchestra.generation.requirements import fitting_data
from pytest_orchestra.generation.walk import Attempt, Budget, GainPolicy, Target, TargetPolicy, attempts

__all__ = ["Cover", "Found", "find_runs"]

_GREEDY_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A run that was chosen: the goals that it meets, and the mask of the data sets that fit it."""

    run: Run
    goals: frozenset[int]
    fitting: int


@dataclass
class Cover:
    """What a search came to. ``failures`` has, for goals that no run meets, why the last one tried did not.

    ``unsearched`` are goals that were not tried because a limit was reached; ``flaws`` are the failures that only the
    process itself can be blamed for: at joins, and of runs whose tokens multiply.
    """

    found: list[Found] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    unsearched: set[int] = field(default_factory=set)
    flaws: dict[Failure, None] = field(default_factory=dict)
    is_cut: bool = False


def find_runs(game: Game, goals: Goals, classes: Sequence[DataClass], given: Iterable[Found]) -> Cover:
    """Give runs that meet the goals which the ``given`` runs do not.

    ``classes`` are the kinds of data sets there are; without any, nothing restricts. A goal that some data set reaches
    is met by a run that fits data.
    """
    search = _Search(game, goals, tuple(given))
    if classes:
        search.cover([(View(game, kind.forbidden), kind.members) for kind in classes], only_fitting=True)
    search.cover([(View(game), 0)], only_fitting=False)
    search.drop_redundant()
    return search.cover_found


class _Search:
    def __init__(self, game: Game, goals: Goals, given: tuple[Found, ...]) -> None:
        self._game = game
        self._goals = goals
        self._given = given
        self._budget = Budget(search_budget(game.graph.size))
        self._open: set[int] = set()
        self.cover_found = Cover()

    def cover(self, views: list[tuple[View, int]], *, only_fitting: bool) -> None:
        """Add runs of the views until every goal that one of them can reach is met."""
        met: set[int] = set()
        for found in (*self._given, *self.cover_found.found):
            if found.fitting or not only_fitting:
                met |= found.goals
        self._open = {
            index
            for index, spot in enumerate(self._goals.spots)
            if spot is not None and index not in met and self._is_reachable(spot)
        }
        entry = self._game.graph.entry
        ending = [(view, members) for view, members in views if view.to_end[entry] != INFINITE]
        self._cover_greedily(ending)
        for index in sorted(self._open if ending else ()):
            if index in self._open:
                self._aim(index, ending)

    def _is_reachable(self, spot: Spot) -> bool:
        structure, edges = self._game.structure, self._game.graph.edges
        places = [*(edges[edge].source for edge in spot.edges), *spot.points]
        return any(place in structure.reachable for place in places)

    def _weights(self) -> tuple[list[int], list[int]]:
        edges = [0] * len(self._game.graph.edges)
        points = [0] * len(self._game.graph.points)
        for index in self._open:
            spot = self._goals.spots[index]
            if spot is None:
                continue
            for edge in spot.edges:
                edges[edge] += 1
            for point in spot.points:
                points[point] += 1
        return edges, points

    def _cover_greedily(self, views: list[tuple[View, int]]) -> None:
        """Play the view with the most to gain, as long as that gains anything.

        Gains only shrink, so that an old value is a bound and only the best view is valued anew (Minoux, 1978).
        """
        if not self._open:
            return
        weights = self._weights()
        gains = [Gains(view, *weights) for view, _ in views]
        queue = [(-gain.total, number) for number, gain in enumerate(gains)]
        heapq.heapify(queue)
        while queue and self._open and not self._must_stop():
            _, number = heapq.heappop(queue)
            self._budget.left -= self._game.graph.size // 10
            weights = self._weights()
            gains[number].restart(*weights)
            value = gains[number].total
            if queue and -value > queue[0][0]:
                heapq.heappush(queue, (-value, number))
                continue
            if value and self._play_greedily(views[number], gains[number], weights):
                heapq.heappush(queue, (-value, number))

    def _play_greedily(
        self, viewed: tuple[View, int], gains: Gains, weights: tuple[Sequence[int], Sequence[int]]
    ) -> bool:
        view, members = viewed
        policies = _policies(view, gains, weights)
        return any(
            self._accept(attempt, members) for attempt in attempts(view, policies, _GREEDY_ATTEMPTS, self._budget)
        )

    def _accept(self, attempt: Attempt, members: int, goal: int | None = None) -> bool:
        if attempt.failure is not None and attempt.failure.kind is not FailureKind.LOOPING:
            self.cover_found.flaws.setdefault(attempt.failure)
        if attempt.run is None:
            return False
        fitting = fitting_data(self._game, attempt.run)
        met = self._goals.met_by(attempt.run)
        new = met & self._open
        if (members and not fitting & members) or not new or (goal is not None and goal not in new):
            return False
        self.cover_found.found.append(Found(attempt.run, met, fitting))
        self._open -= met
        for index in met:
            self.cover_found.failures.pop(index, None)
        return True

    def _aim(self, goal: int, views: list[tuple[View, int]]) -> None:
        spot = self._goals.spots[goal]
        if spot is None:
            return
        limit = max(5, min(MAX_ATTEMPTS, 500_000 // max(1, self._game.graph.size)))
        weights: tuple[list[int], list[int]] | None = None
        for view, members in views:
            if self._must_stop():
                self.cover_found.unsearched.add(goal)
                return
            self._budget.left -= self._game.graph.size // 4
            target = Target.of(view, spot.edges, spot.points)
            if target.distance[self._game.graph.entry] == INFINITE:
                continue
            weights = weights or self._weights()
            if self._reach(view, members, goal, target, weights, limit):
                return

    def _reach(
        self,
        view: View,
        members: int,
        goal: int,
        target: Target,
        weights: tuple[Sequence[int], Sequence[int]],
        limit: int,
    ) -> bool:
        inner = _policies(view, Gains(view, *weights), weights)
        more: list[Target] = []

        def policy() -> TargetPolicy:
            return TargetPolicy(view, [target, *more], inner())

        for attempt in attempts(view, policy, limit, self._budget):
            if self._accept(attempt, members, goal):
                return True
            failure = attempt.failure
            if failure is None:
                continue
            self.cover_found.failures.setdefault(goal, failure)
            if failure.missing and not more:
                more.append(Target.of(view, failure.missing))  # a join waited for these: the next runs go there too
        return False

    def _must_stop(self) -> bool:
        if self._budget.is_spent or len(self.cover_found.found) >= MAX_SCENARIOS:
            self.cover_found.is_cut = True
        return self.cover_found.is_cut

    def drop_redundant(self) -> None:
        """Drop runs, the latest first, whose goals others meet; one that fits data only for others that do."""
        counts: dict[int, int] = {}
        fitting: dict[int, int] = {}
        for found in (*self._given, *self.cover_found.found):
            for goal in found.goals:
                counts[goal] = counts.get(goal, 0) + 1
                fitting[goal] = fitting.get(goal, 0) + (found.fitting != 0)
        kept: list[Found] = []
        for found in reversed(self.cover_found.found):
            served = fitting if found.fitting else counts
            if any(served[goal] <= 1 for goal in found.goals):
                kept.append(found)
                continue
            for goal in found.goals:
                counts[goal] -= 1
                fitting[goal] -= found.fitting != 0
        self.cover_found.found = kept[::-1]


def _policies(view: View, gains: Gains, weights: tuple[Sequence[int], Sequence[int]]) -> Callable[[], GainPolicy]:
    """Give what makes a policy for every run; ``gains`` are fresh for the first, and begin anew for each other."""
    used = False

    def policy() -> GainPolicy:
        nonlocal used
        if used:
            gains.restart(*weights)
        used = True
        return GainPolicy(view, gains)

    return policy
