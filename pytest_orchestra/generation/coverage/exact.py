"""The least set of runs, found by looking at all of them; for processes that have few.

Every run is played that is worth it: one that comes where another one came before, with nothing more on its way, is not
played on. Those are kept whose goals no other one's contain, and the least cover of the goals is searched for by branch
and bound: on the goal that the fewest runs meet, with goals no two of which one run meets as the bound.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.limits import MAX_COVER_NODES
from pytest_orchestra.generation.token_game.game import Visit
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.generation.token_game.semantics import Play
from pytest_orchestra.generation.token_game.walk import Attempt, Budget, walk

__all__ = ["all_attempts", "least_cover"]


class _Prescribed:
    """Takes the options of a list, by their places, and the first one after its end; notes what there was."""

    def __init__(self, prefix: Sequence[int], known: _Known | None) -> None:
        self._prefix = prefix
        self._known = known
        self.taken: list[int] = []
        self.widths: list[int] = []

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the one option whose turn it is; none if there is none, or if it is known what comes of it."""
        del visit
        position = len(self.taken)
        if position >= len(self._prefix) and self._known is not None and self._known.has(play):
            return []
        place = self._prefix[position] if position < len(self._prefix) else 0
        self.taken.append(place)
        self.widths.append(len(options))
        return [options[place]] if place < len(options) else []


class _Known:
    """The states that runs have come to, each with what lay on their ways: edges, points and branches, as bits."""

    def __init__(self, view: View) -> None:
        graph = view.game.graph
        self._first_point = len(graph.edges)
        self._first_choice = self._first_point + len(graph.points)
        self._choices: dict[tuple[int, int], int] = {}
        self._met: dict[Hashable, list[int]] = {}

    def has(self, play: Play) -> bool:
        """Whether a run has come to the same state with as much on its way; if not, note this one."""
        state = play.state
        if state is None:
            return False
        mask = 0
        for edge in play.edges:
            mask |= 1 << edge
        for point in play.points:
            mask |= 1 << self._first_point + point
        for choice in play.choices:
            number = self._choices.setdefault((choice.point, choice.outcome), len(self._choices))
            mask |= 1 << self._first_choice + number
        known = self._met.setdefault(state, [])
        if any(mask | other == other for other in known):
            return True
        known[:] = [other for other in known if other | mask != mask]
        known.append(mask)
        return False


def all_attempts(view: View, limit: int, budget: Budget, *, only_edges: bool) -> Iterator[Attempt | None]:
    """Give every run there is, those that lead nowhere among them; None at the end if a limit was reached first.

    With ``only_edges`` nothing matters but the edges, points and branches on the way, so that some can be left out.
    """
    waiting: list[tuple[int, ...]] = [()]
    known = _Known(view) if only_edges else None
    number = 0
    while waiting:
        if number == limit or budget.is_spent:
            yield None
            return
        number += 1
        prefix = waiting.pop()
        policy = _Prescribed(prefix, known)
        attempt = walk(view, policy)
        budget.left -= len(attempt.partial.edges) + 1
        yield attempt
        for position in range(len(policy.taken) - 1, len(prefix) - 1, -1):
            others = range(policy.widths[position] - 1, 0, -1)
            waiting.extend((*policy.taken[:position], place) for place in others)


@dataclass(slots=True)
class _Search:
    """A branch and bound; ``best`` is the best choice so far."""

    masks: Sequence[int]
    costs: Sequence[int]
    meeting: Mapping[int, Sequence[int]]
    rivals: Mapping[int, int]
    best: tuple[int, int, list[int]]
    left: int

    def choose(self, open_goals: int, chosen: list[int], cost: int) -> None:
        """Look at every choice that begins so and may be better than the best one."""
        self.left -= 1
        if self.left < 0:
            return
        if not open_goals:
            if (len(chosen), cost) < self.best[:2]:
                self.best = (len(chosen), cost, sorted(chosen))
            return
        least, goal = self._bound(open_goals)
        if (len(chosen) + least, cost) >= self.best[:2]:
            return
        options = sorted(self.meeting[goal], key=lambda run: (-(self.masks[run] & open_goals).bit_count(), run))
        for run in options:
            self.choose(open_goals & ~self.masks[run], [*chosen, run], cost + self.costs[run])

    def _bound(self, open_goals: int) -> tuple[int, int]:
        """Give how many runs are needed at least, and the goal that the fewest meet."""
        goals = sorted(_bits(open_goals), key=lambda goal: (len(self.meeting[goal]), goal))
        least = 0
        excluded = 0
        for goal in goals:
            if not excluded >> goal & 1:
                least += 1
                excluded |= self.rivals[goal]
        return least, goals[0]


def least_cover(masks: Sequence[int], costs: Sequence[int], goals: int) -> list[int] | None:
    """Give the fewest sets (indices) that contain all goals, among these the cheapest; None if that takes too long.

    Sets and goals are bit masks; every goal is in some set.
    """
    kept = _undominated(masks, costs, goals)
    reduced = [masks[run] & goals for run in kept]
    meeting = {goal: [run for run, mask in enumerate(reduced) if mask >> goal & 1] for goal in _bits(goals)}
    rivals: dict[int, int] = {}
    for goal, runs in meeting.items():
        together = 0
        for run in runs:
            together |= reduced[run]
        rivals[goal] = together
    weights = [costs[run] for run in kept]
    greedy = _greedy(reduced, weights, goals)
    best = (len(greedy), sum(weights[run] for run in greedy), sorted(greedy))
    search = _Search(reduced, weights, meeting, rivals, best, MAX_COVER_NODES)
    search.choose(goals, [], 0)
    return [kept[run] for run in search.best[2]] if search.left >= 0 else None


def _greedy(masks: Sequence[int], costs: Sequence[int], goals: int) -> list[int]:
    chosen: list[int] = []
    while goals:
        run = max(range(len(masks)), key=lambda run: ((masks[run] & goals).bit_count(), -costs[run], -run))
        chosen.append(run)
        goals &= ~masks[run]
    return chosen


def _undominated(masks: Sequence[int], costs: Sequence[int], goals: int) -> list[int]:
    """Give the sets that no other one contains; of equal ones the cheapest."""
    order = sorted(range(len(masks)), key=lambda run: (-(masks[run] & goals).bit_count(), costs[run], run))
    kept: list[int] = []
    for run in order:
        own = masks[run] & goals
        if own and all(own & ~masks[other] for other in kept):
            kept.append(run)
    return sorted(kept)


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
