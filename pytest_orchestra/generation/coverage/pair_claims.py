"""What the conditions of two branches say of a run that takes both."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_orchestra.generation.assumptions.knowledge import Conflict
from pytest_orchestra.generation.assumptions.value_flow import Approach
from pytest_orchestra.generation.coverage.pairs import Value
from pytest_orchestra.generation.token_game.game import Game

__all__ = ["PairClaims"]


@dataclass(frozen=True)
class PairClaims:
    """The conditions of the pairs of a game."""

    game: Game

    def conflict(self, one: Value, other: Value) -> Conflict | None:
        """Give what contradicts taking both in any run; None where nothing is known to."""
        knowledge = self.game.knowledge
        first, second = self._outcome(one), self._outcome(other)
        if knowledge is None or knowledge.is_empty or first is None or second is None:
            return None
        return knowledge.conflict_between(first, second)

    def approach(self, one: Value, other: Value) -> Approach | None:
        """Give with which values both can be taken, from wherever in the process, if conditions have a say in that."""
        knowledge = self.game.knowledge
        first, second = self._outcome(one), self._outcome(other)
        if knowledge is None or knowledge.is_empty or first is None or second is None:
            return None
        values = knowledge.values_of(first) & knowledge.values_of(second)
        everything = knowledge.clusters.everything
        if values == everything:
            return None
        points = range(len(self.game.graph.points))
        return Approach(dict.fromkeys(points, values), frozenset(), frozenset(), everything)

    def _outcome(self, value: Value) -> tuple[int, int] | None:
        """Give the point and the outcome of a branch, if that is the only one which takes it."""
        if not value.taken:
            return None
        outcomes = self.game.table.outcomes[value.point]
        found = [index for index, outcome in enumerate(outcomes) if value.branch in outcome.branches]
        return (value.point, found[0]) if len(found) == 1 else None
