"""What lies ahead of every point: the way to the end, the way to a goal, and how much is still to be gained."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from pytest_orchestra.generation.token_game.game import Game

__all__ = ["INFINITE", "Gains", "Side", "View"]

INFINITE = float("inf")
_NOTHING = -1
_REFRESHED = 20
"""How often all edges may be looked at anew in one run."""


@dataclass(frozen=True)
class View:
    """A game in which some outcomes are forbidden, as (point, outcome): what one kind of data sets leaves open.

    ``forbidden_visits`` are (point, outcome, visit) which are forbidden at that visit only.
    """

    game: Game
    forbidden: frozenset[tuple[int, int]] = frozenset()
    forbidden_visits: frozenset[tuple[int, int, int]] = frozenset()

    @cached_property
    def allowed(self) -> tuple[tuple[int, ...], ...]:
        """For every point the outcomes that may be taken."""
        every = [tuple(range(len(outcomes))) for outcomes in self.game.table.outcomes]
        for point in sorted({point for point, outcome in self.forbidden if outcome >= 0}):
            every[point] = tuple(index for index in every[point] if (point, index) not in self.forbidden)
        return tuple(every)

    @cached_property
    def meeting(self) -> dict[tuple[int, int], int | None]:
        """For every outcome with several edges the point where their ways come together again."""
        edges = self.game.graph.edges
        return {
            (point, index): self.game.structure.meeting_point(edges[edge].target for edge in outcome.edges)
            for point, outcomes in enumerate(self.game.table.outcomes)
            for index, outcome in enumerate(outcomes)
            if len(outcome.edges) > 1
        }

    @cached_property
    def to_end(self) -> tuple[float, ...]:
        """For every point the fewest steps to the end, those of all concurrent branches added.

        Knuth: "A Generalization of Dijkstra's Algorithm" (1977), on the graph of points and outcomes.
        """
        graph, outcomes = self.game.graph, self.game.table.outcomes
        found = [INFINITE] * len(graph.points)
        users: list[list[tuple[int, int]]] = [[] for _ in graph.points]
        awaited: dict[tuple[int, int], int] = {}
        for point, indices in enumerate(self.allowed):
            for index in indices:
                targets = [graph.edges[edge].target for edge in outcomes[point][index].edges]
                awaited[point, index] = len(targets)
                for target in targets:
                    users[target].append((point, index))
            for edge in graph.auto[point]:
                users[graph.edges[edge].target].append((point, ~edge))
        queue: list[tuple[float, int]] = [(0, graph.exit)]
        while queue:
            distance, point = heapq.heappop(queue)
            if found[point] <= distance:
                continue
            found[point] = distance
            for user, index in users[point]:
                if index >= 0:
                    awaited[user, index] -= 1
                    if awaited[user, index]:
                        continue
                    distance_there = 1 + self._cost(user, index, found)
                else:
                    distance_there = 1 + found[point]
                if distance_there < found[user]:
                    heapq.heappush(queue, (distance_there, user))
        return tuple(found)

    def _cost(self, point: int, index: int, known: Sequence[float]) -> float:
        edges = self.game.graph.edges
        targets = [edges[edge].target for edge in self.game.table.outcomes[point][index].edges]
        if len(targets) == 1:
            return known[targets[0]]
        meeting = self.meeting[point, index]
        after = 0.0 if meeting is None or known[meeting] == INFINITE else known[meeting]
        return after + sum(max(known[target] - after, 0) for target in targets)

    @cached_property
    def costs(self) -> tuple[tuple[float, ...], ...]:
        """For every point and outcome, those that may not be taken among them, the fewest steps to the end after it."""
        to_end, edges = self.to_end, self.game.graph.edges
        return tuple(
            (to_end[edges[outcomes[0].edges[0]].target],)
            if len(outcomes) == 1 and len(outcomes[0].edges) == 1
            else tuple(self._cost(point, index, to_end) for index in range(len(outcomes)))
            for point, outcomes in enumerate(self.game.table.outcomes)
        )

    def cost(self, point: int, outcome: int) -> float:
        """Give the fewest steps to the end after an outcome."""
        return self.costs[point][outcome]

    @cached_property
    def shortest(self) -> tuple[tuple[int, ...], ...]:
        """For every point the edges of the outcome from which the end is nearest; the automatic ones without any."""
        outcomes, costs = self.game.table.outcomes, self.costs
        return tuple(
            outcomes[point][min(indices, key=costs[point].__getitem__)].edges
            if indices
            else self.game.graph.auto[point]
            for point, indices in enumerate(self.allowed)
        )

    def distances(self, points: Iterable[int]) -> list[float]:
        """Give for every point the fewest steps to one of the given points, by outcomes that may be taken."""
        found = [INFINITE] * len(self.game.graph.points)
        level = list(dict.fromkeys(points))
        distance = 0
        while level:
            above: list[int] = []
            for point in level:
                if found[point] != INFINITE:
                    continue
                found[point] = distance
                above.extend(self._predecessors[point])
            level = above
            distance += 1
        return found

    @cached_property
    def _predecessors(self) -> tuple[tuple[int, ...], ...]:
        graph, outcomes = self.game.graph, self.game.table.outcomes
        found: list[dict[int, None]] = [{} for _ in graph.points]
        for point, indices in enumerate(self.allowed):
            for index in indices:
                for edge in outcomes[point][index].edges:
                    found[graph.edges[edge].target].setdefault(point)
            for edge in graph.auto[point]:
                found[graph.edges[edge].target].setdefault(point)
        return tuple(map(tuple, found))


class Side(IntEnum):
    """Where an outcome leads: once more round a loop, on to the end, or neither within the graph."""

    BACK = 0
    ON = 1
    NOWHERE = 2


class Gains:
    """How many goals that nothing covers yet can be gained from every point on.

    Cycles are cut at the edges that close them. For a point from which ways lead to the end, ``_on`` has the gain of
    the best of them, with what a detour back round a loop would add before; for a point from which every way leads back
    first, ``_back`` has the gain up to there. What lies behind the meeting point of concurrent branches counts once.

    The weights, goals by edge and by point, belong to this object: set them to 0 as a run collects them. The edges
    that are looked at are counted in ``work``.
    """

    def __init__(self, view: View, edge_weights: Sequence[int], point_weights: Sequence[int]) -> None:
        graph, structure = view.game.graph, view.game.structure
        self._view = view
        self._structure = structure
        self._edges = graph.edges
        self._closing = structure.closing
        self._singles: list[tuple[tuple[int, int, bool], ...]] = []
        self._several: dict[int, tuple[int, ...]] = {}
        outcomes = view.game.table.outcomes
        for point, indices in enumerate(view.allowed):
            edges = [*(outcomes[point][index].edges for index in indices), *((edge,) for edge in graph.auto[point])]
            self._singles.append(
                tuple(
                    (edge[0], graph.edges[edge[0]].target, edge[0] in self._closing) for edge in edges if len(edge) == 1
                )
            )
            several = tuple(index for index in indices if len(outcomes[point][index].edges) > 1)
            if several:
                self._several[point] = several
        self._on = [_NOTHING] * len(graph.points)
        self._back = [_NOTHING] * len(graph.points)
        self.edge_weights = list(edge_weights)
        self.point_weights = list(point_weights)
        self.work = 0
        self._left = 0
        self._refresh(structure.postorder)

    def restart(self, edge_weights: Sequence[int], point_weights: Sequence[int]) -> None:
        """Begin anew with other weights."""
        self.edge_weights[:] = edge_weights
        self.point_weights[:] = point_weights
        self._left = _REFRESHED * len(self._edges)
        self._refresh(self._structure.postorder)

    @property
    def total(self) -> int:
        """The gain from the beginning on."""
        entry = self._view.game.graph.entry
        return max(self._on[entry], self._back[entry], 0)

    def reconsider(self, closing: int) -> None:
        """Value the points of a loop anew, after a run has gone back along the edge that closes it.

        A run that goes back again and again in a large loop is not valued anew each time.
        """
        if self._left <= 0:
            return
        points = self._structure.loop_of(closing)
        done = self.work
        self._refresh(points)
        self._left -= self.work - done

    def value(self, point: int, outcome: int) -> tuple[Side, int]:
        """Say where an outcome leads and what is to be gained there."""
        edges = self._view.game.table.outcomes[point][outcome].edges
        if len(edges) > 1:
            return self._value_of_several(point, outcome)
        edge = edges[0]
        target = self._edges[edge].target
        gain = self.edge_weights[edge]
        if edge in self._closing:
            return Side.BACK, gain
        if self._on[target] >= 0:
            return Side.ON, gain + self._on[target]
        if self._back[target] >= 0:
            return Side.BACK, gain + self._back[target]
        return Side.NOWHERE, 0

    def _value_of_several(self, point: int, outcome: int) -> tuple[Side, int]:
        meeting = self._view.meeting[point, outcome]
        after = 0 if meeting is None else max(self._on[meeting], 0)
        on = back = 0
        leads_on = leads_back = False
        for edge in self._view.game.table.outcomes[point][outcome].edges:
            target = self._edges[edge].target
            gain = self.edge_weights[edge]
            if edge not in self._closing and self._on[target] >= 0:
                leads_on = True
                on += gain + max(self._on[target] - after, 0)
            elif edge in self._closing or self._back[target] >= 0:
                leads_back = True
                back += gain + (0 if edge in self._closing else self._back[target])
        if leads_on:
            return Side.ON, on + back + after
        return (Side.BACK, back) if leads_back else (Side.NOWHERE, 0)

    def _refresh(self, order: Sequence[int]) -> None:
        on_values, back_values, last = self._on, self._back, self._view.game.graph.exit
        edge_weights, point_weights = self.edge_weights, self.point_weights
        for point in order:
            self.work += 1 + len(self._singles[point])
            on = back = _NOTHING
            for edge, target, closes in self._singles[point]:
                gain = edge_weights[edge]
                value = on_values[target]
                if closes:
                    back = max(back, gain)
                elif value >= 0:
                    on = max(on, gain + value)
                elif (value := back_values[target]) >= 0:
                    back = max(back, gain + value)
            for outcome in self._several.get(point, ()):
                side, gain = self._value_of_several(point, outcome)
                if side is Side.ON:
                    on = max(on, gain)
                elif side is Side.BACK:
                    back = max(back, gain)
            if point == last:
                on = 0
            if on >= 0:
                on_values[point] = point_weights[point] + on + (max(0, back))
                back_values[point] = _NOTHING
            else:
                on_values[point] = _NOTHING
                back_values[point] = point_weights[point] + back if back >= 0 else _NOTHING
