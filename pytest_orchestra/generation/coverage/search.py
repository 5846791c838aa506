"""Choose runs that meet the goals, as few as possible.

Where data restricts the runs, for each kind of data sets the run with the most to gain is played first, over and over.
What no data set reaches is then covered without regard to data, by runs that share out the least flow (see
:mod:`.minimum`). What either of them leaves is aimed at goal by goal. Runs are dropped whose goals others meet, and
where the process has few runs in all and more were chosen than are known to be needed, the best choice of them is made.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pytest_orchestra.generation.assumptions.fitting import DataClass
from pytest_orchestra.generation.assumptions.value_flow import Approach
from pytest_orchestra.generation.coverage.criteria import Goals, prerequisites_of
from pytest_orchestra.generation.coverage.cycles import RepeatPolicy
from pytest_orchestra.generation.coverage.exact import all_attempts, least_cover
from pytest_orchestra.generation.coverage.minimum import Quotas, find_quotas
from pytest_orchestra.generation.coverage.pair_claims import PairClaims
from pytest_orchestra.generation.coverage.pairs import PairPolicy, Ways
from pytest_orchestra.generation.coverage.quota_policy import QuotaPolicy
from pytest_orchestra.generation.limits import (
    ENUMERATION_BUDGET,
    MAX_ATTEMPTS,
    MAX_RUNS_ENUMERATED,
    MAX_SCENARIOS,
    MAX_SETS_OF_BRANCHES,
    MAX_SIZE_ENUMERATED,
    search_budget,
)
from pytest_orchestra.generation.token_game.game import Failure, FailureKind, Run
from pytest_orchestra.generation.token_game.guidance import INFINITE, Gains, View
from pytest_orchestra.generation.token_game.requirements import fitting_data
from pytest_orchestra.generation.token_game.walk import (
    Attempt,
    Budget,
    GainPolicy,
    Policy,
    Target,
    TargetPolicy,
    attempts,
    walk,
)

__all__ = ["Cover", "Found", "find_runs"]

_GREEDY_ATTEMPTS = 10
_CONTRADICTED_ATTEMPTS = 20
_OF_THE_RUN = (FailureKind.LOOPING, FailureKind.CONTRADICTION)
_PAIR_ATTEMPTS = 5
_WORK_A_TOKEN = 10


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
    process itself can be blamed for: at joins, and of runs whose tokens multiply. ``least`` is the number of runs that
    the goals met need at least, whatever is chosen.
    """

    found: list[Found] = field(default_factory=list)
    least: int = 0
    failures: dict[int, Failure] = field(default_factory=dict)
    unsearched: set[int] = field(default_factory=set)
    flaws: dict[Failure, None] = field(default_factory=dict)
    is_cut: bool = False


def find_runs(view: View, goals: Goals, classes: Sequence[DataClass], given: Iterable[Found]) -> Cover:
    """Give runs that meet the goals which the ``given`` runs do not; ``view`` is the game without regard to data.

    ``classes`` are the kinds of data sets there are; without any, nothing restricts. A goal that some data set reaches
    is met by a run that fits data.
    """
    search = _Search(view, goals, tuple(given))
    if classes:
        search.cover(
            [(View(view.game, kind.forbidden, kind.forbidden_visits), kind.members) for kind in classes],
            only_fitting=True,
        )
    search.cover_regardless()
    search.drop_redundant()
    search.improve()
    return search.cover_found


class _Search:
    def __init__(self, view: View, goals: Goals, given: tuple[Found, ...]) -> None:
        self._free = view
        self._game = view.game
        self._goals = goals
        self._given = given
        self._reachable = self._find_reachable()
        self._budget = Budget(search_budget(view.game.graph.size))
        self._open: set[int] = set()
        self._plain = {
            index: spot for index, spot in enumerate(goals.spots) if spot is not None and goals.is_plain(index)
        }
        self._least: int | None = None
        self._claims = PairClaims(view.game)
        self._refused: set[int] = set()
        self.cover_found = Cover()

    def cover_regardless(self) -> None:
        """Add runs without regard to data until every goal that one of them can reach is met."""
        self._open = self._still_open(only_fitting=False)
        is_all = len(self._open) == len(self._reachable)
        quotas = self._quotas(self._open) if self._open else None
        if quotas is not None:
            self._follow(quotas)
            if is_all and not self._open:
                self._least = quotas.runs
        self.cover([(self._free, 0)], only_fitting=False)

    def _quotas(self, goals: Iterable[int]) -> Quotas | None:
        """Give the least flow through all that meets the goals; a goal with several places is left out."""
        edges: set[int] = set()
        points: set[int] = set()
        for index in goals:
            spot = self._goals.spots[index]
            if spot is not None and len(spot.edges) + len(spot.points) == 1 and self._goals.is_plain(index):
                edges.update(spot.edges)
                points.update(spot.points)
        return find_quotas(self._free, edges, points)

    def _follow(self, quotas: Quotas) -> None:
        """Play the runs of a flow, as long as each of them gains something."""
        policy = QuotaPolicy(self._free, quotas)
        for _ in range(quotas.runs):
            if not self._open or self._must_stop():
                return
            attempt = walk(self._free, policy)
            self._budget.left -= len(attempt.partial.edges) + 1
            self._accept(attempt, 0)

    def _still_open(self, *, only_fitting: bool) -> set[int]:
        """Give the goals that can be reached and that no run meets; ``only_fitting`` counts runs that fit data."""
        met: set[int] = set()
        for found in (*self._given, *self.cover_found.found):
            if found.fitting or not only_fitting:
                met |= found.goals
        return set(self._reachable) - met

    def cover(self, views: list[tuple[View, int]], *, only_fitting: bool) -> None:
        """Add runs of the views until every goal that one of them can reach is met."""
        self._open = self._still_open(only_fitting=only_fitting)
        if not self._open:
            return
        entry = self._game.graph.entry
        ending = [(view, members) for view, members in views if view.to_end[entry] != INFINITE]
        self._cover_greedily(ending)
        if ending:
            self._pair_up(ending)
        for index in sorted(self._open if ending else ()):
            if index in self._open and self._goals.pair_of(index) is None:
                self._aim(index, ending)
        self.cover_found.is_cut = self.cover_found.is_cut or not self.cover_found.unsearched.isdisjoint(self._open)

    def _find_reachable(self) -> frozenset[int]:
        """Give the goals whose spot is in the graph and can be come to, by some values at least."""
        reachable, edges = self._game.structure.reachable, self._game.graph.edges
        knowledge = self._game.knowledge
        flow = None if knowledge is None or knowledge.is_empty else knowledge.flow
        return frozenset(
            index
            for index, spot in enumerate(self._goals.spots)
            if spot is not None
            and (
                any(edges[edge].source in reachable for edge in spot.edges)
                or any(point in reachable for point in spot.points)
            )
            and (flow is None or any(map(flow.passes, spot.edges)) or any(map(flow.reaches, spot.points)))
        )

    def _weights(self) -> tuple[list[int], list[int]]:
        edges = [0] * len(self._game.graph.edges)
        points = [0] * len(self._game.graph.points)
        for index, spot in self._plain.items():
            if index not in self._open:
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
        done = gains.work
        for attempt in attempts(view, policies, _GREEDY_ATTEMPTS, self._budget):
            self._budget.left -= (gains.work - done) // _WORK_A_TOKEN
            done = gains.work
            if self._accept(attempt, members):
                return True
        return False

    def _accept(self, attempt: Attempt, members: int, goal: int | None = None) -> bool:
        if attempt.failure is not None and attempt.failure.kind not in _OF_THE_RUN:
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
        for index in self.cover_found.failures.keys() & met:
            del self.cover_found.failures[index]
        return True

    def _pair_up(self, views: list[tuple[View, int]]) -> None:
        """Play a run for every pair that no run has taken yet, each with as many other such pairs as possible."""
        pairs = self._goals.pairs
        if pairs is None:
            return
        first = self._goals.first_pair
        open_pairs = [0] * len(pairs.values)
        for number, (one, other) in enumerate(pairs.pairs):
            if first + number in self._open:
                open_pairs[one] |= 1 << other
                open_pairs[other] |= 1 << one
                conflict = self._claims.conflict(pairs.values[one], pairs.values[other])
                if conflict is not None:
                    self._refused.add(first + number)
                    failure = Failure(FailureKind.CONTRADICTION, (pairs.values[one].point,), conflict=conflict)
                    self.cover_found.failures[first + number] = failure
        reserve = self._budget.left // 2  # pairs are many: what they need must not be missing for everything else
        for view, members in views:
            ways = Ways(view)
            for number, wanted in enumerate(pairs.pairs):
                goal = first + number
                if goal not in self._open or goal in self._refused:
                    continue
                if self._budget.left <= reserve or self._must_stop():
                    self.cover_found.unsearched.add(goal)
                    continue
                before = len(self.cover_found.found)
                toward = self._claims.approach(*(pairs.values[index] for index in wanted))
                self._try_pair(view, members, goal, lambda: PairPolicy(view, pairs, open_pairs, wanted, ways), toward)  # noqa: B023
                for found in self.cover_found.found[before:]:
                    for met in found.goals:
                        if 0 <= met - first < len(pairs.pairs):  # a call for each would take as long as the run
                            one, other = pairs.pairs[met - first]
                            open_pairs[one] &= ~(1 << other)
                            open_pairs[other] &= ~(1 << one)

    def _try_pair(
        self, view: View, members: int, goal: int, policy: Callable[[], PairPolicy], toward: Approach | None
    ) -> None:
        for attempt in attempts(view, policy, _PAIR_ATTEMPTS, self._budget, toward):
            if self._accept(attempt, members, goal):
                return
            failure = self._failure(attempt, goal)
            if failure is not None:
                self.cover_found.failures.setdefault(goal, failure)

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
        before = prerequisites_of(self._game.graph, self._goals.spots[goal])
        more = [Target.of(view, points=(point,)) for point in before]
        repeated = self._goals.repeated.get(goal)

        def policy() -> Policy:
            if repeated is not None:
                cycle, times = repeated
                return RepeatPolicy(view, cycle, cycle.most if times > 1 else times)
            return TargetPolicy(view, [target, *more], inner())

        toward = self._toward(goal)
        for number, attempt in enumerate(attempts(view, policy, limit, self._budget, toward, target.distance)):
            if self._accept(attempt, members, goal):
                return True
            if attempt.contradictions and number >= _CONTRADICTED_ATTEMPTS:
                break
            failure = self._failure(attempt, goal)
            if failure is None:
                continue
            self.cover_found.failures.setdefault(goal, failure)
            if failure.missing and len(more) == len(before):
                more.append(Target.of(view, failure.missing))  # a join waited for these: the next runs go there too
        return False

    def _toward(self, goal: int) -> Approach | None:
        """Give from where, and with which values, a goal can be met, if conditions have a say in that."""
        spot, knowledge = self._goals.spots[goal], self._game.knowledge
        if spot is None or knowledge is None or knowledge.is_empty or not self._goals.is_plain(goal):
            return None
        return knowledge.flow.approach(spot.edges, spot.points)

    def _failure(self, attempt: Attempt, goal: int) -> Failure | None:
        """Give why an attempt did not meet a goal: it failed, or conditions forbade what leads there."""
        if not attempt.contradictions or (attempt.failure is not None and attempt.failure.kind not in _OF_THE_RUN):
            return attempt.failure
        spot = self._goals.spots[goal]
        outcomes = self._game.table.outcomes
        for failure in attempt.contradictions:
            conflict = failure.conflict
            edges = outcomes[conflict.point][conflict.outcome].edges if conflict is not None else ()
            if spot is not None and not set(spot.edges).isdisjoint(edges):
                return failure
        return attempt.contradictions[-1]

    def _must_stop(self) -> bool:
        if self._budget.is_spent or len(self.cover_found.found) >= MAX_SCENARIOS:
            self.cover_found.is_cut = True
        return self.cover_found.is_cut

    def drop_redundant(self) -> None:
        """Drop runs, the latest first, whose goals others meet; one that fits data only for others that do."""
        counts: Counter[int] = Counter()
        fitting: Counter[int] = Counter()
        for found in (*self._given, *self.cover_found.found):
            counts.update(found.goals)
            if found.fitting:
                fitting.update(found.goals)
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

    def improve(self) -> None:
        """Find out how few runs would do, and choose the fewest where the process has few runs in all."""
        cover = self.cover_found
        every = (*self._given, *cover.found)
        met = frozenset().union(*(found.goals for found in every))
        if self._least is None:
            quotas = self._quotas(met) if met else None
            self._least = quotas.runs if quotas is not None else min(1, len(met))
        cover.least = max(self._least, self._least_for_pairs(met))
        is_doubtful = len(every) > max(cover.least, 1)
        if (is_doubtful or self._still_open(only_fitting=False)) and not cover.is_cut:
            self._enumerate()

    def _least_for_pairs(self, met: frozenset[int]) -> int:
        """Give how many runs all pairs need, if all are met and no run comes to a decision twice."""
        pairs = self._goals.pairs
        if pairs is None or not pairs.pairs or self._game.structure.cyclic_components or self._quotas(met) is None:
            return 0
        first = self._goals.first_pair
        return pairs.lower_bound if all(first + number in met for number in range(len(pairs.pairs))) else 0

    def _knows_all_outcomes(self) -> bool:
        """Whether every set of branches that could matter is among those that are played."""
        return self._goals.pairs is None or not any(
            decision.inclusive and 1 << len(decision.branches) > MAX_SETS_OF_BRANCHES
            for decision in self._game.decisions.values()
        )

    def _enumerate(self) -> None:
        """Choose the least set among all runs, if these are few; goals that fitting runs meet are met by such."""
        if self._game.graph.size > MAX_SIZE_ENUMERATED:
            return
        best: dict[tuple[frozenset[int], int], Found] = {}
        only_edges = self._goals.pairs is None and not self._goals.repeated and not self._game.table.requirements
        budget = Budget(ENUMERATION_BUDGET)
        for attempt in all_attempts(self._free, MAX_RUNS_ENUMERATED, budget, only_edges=only_edges):
            if attempt is None:
                return
            if attempt.run is not None:
                run = Found(attempt.run, self._goals.met_by(attempt.run), fitting_data(self._game, attempt.run))
                known = best.setdefault((run.goals, run.fitting), run)
                if len(run.run.edges) < len(known.run.edges):
                    best[run.goals, run.fitting] = run
        listed = frozenset().union(*(goals for goals, _ in best))
        candidates = [*best.values(), *(found for found in self.cover_found.found if not found.goals <= listed)]
        every = (*self._given, *candidates)
        by_fitting = frozenset().union(*(found.goals for found in every if found.fitting))
        masks = [_mask(found.goals if found.fitting else found.goals - by_fitting) for found in every]
        costs = [len(found.run.edges) for found in every]
        goals = 0
        for mask in masks:
            goals |= mask
        for mask in masks[: len(self._given)]:
            goals &= ~mask
        chosen = least_cover(masks[len(self._given) :], costs[len(self._given) :], goals)
        if chosen is None:
            return
        if self._knows_all_outcomes():
            self.cover_found.least = len(self._given) + len(chosen)
        met = frozenset().union(*(found.goals for found in (*self._given, *self.cover_found.found)))
        if len(chosen) < len(self.cover_found.found) or any(candidates[number].goals - met for number in chosen):
            self.cover_found.found = _in_order([candidates[number] for number in chosen])
            for found in self.cover_found.found:
                for goal in found.goals:
                    self.cover_found.failures.pop(goal, None)


def _mask(goals: Iterable[int]) -> int:
    mask = 0
    for goal in goals:
        mask |= 1 << goal
    return mask


def _in_order(runs: list[Found]) -> list[Found]:
    """Put the runs first that add the most to those before them."""
    ordered: list[Found] = []
    met: frozenset[int] = frozenset()
    while runs:
        best = max(range(len(runs)), key=lambda number: (len(runs[number].goals - met), -number))
        ordered.append(runs.pop(best))
        met |= ordered[-1].goals
    return ordered


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
