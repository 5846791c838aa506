"""Plays runs that share out a flow: each takes the outcomes of which most is left."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.generation.coverage.minimum import Quotas
from pytest_orchestra.generation.token_game.game import Visit
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.generation.token_game.semantics import Play
from pytest_orchestra.generation.token_game.walk import can_end, shortness

__all__ = ["QuotaPolicy"]


class QuotaPolicy:
    """Takes at every decision the outcome with the most left of its quota, one that repeats a loop before others.

    Where none has anything left, it goes to the end by the shortest way. One policy serves all runs, one after the
    other: what one takes, the next ones no longer have.
    """

    def __init__(self, view: View, quotas: Quotas) -> None:
        self._view = view
        self._left = quotas.taken
        self._repeats = quotas.repeats
        self._shortest: dict[int, list[int]] = {}

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the one option to take; all, the shortest first, if none of them surely leads to the end."""
        del play
        point = visit.point
        left = self._left[point]
        is_tight = visit.loops.is_tight
        best = -1
        best_rank = (False, 0)
        for option in options:
            if left[option] > 0:
                rank = ((point, option) in self._repeats, left[option])
                if rank > best_rank and (not is_tight or can_end(self._view, point, option, visit.loops)):
                    best, best_rank = option, rank
        if best < 0:
            return self._by_length(point, options)
        left[best] -= 1
        return [best]

    def _by_length(self, point: int, options: Sequence[int]) -> list[int]:
        ordered = self._shortest.get(point)
        if ordered is None:
            every = range(len(self._left[point]))
            ordered = sorted(every, key=lambda option: shortness(self._view, point, option))
            self._shortest[point] = ordered
        if len(options) == len(ordered):
            return ordered
        allowed = set(options)
        return [option for option in ordered if option in allowed]
