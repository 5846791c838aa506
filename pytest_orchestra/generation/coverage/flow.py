"""The least flow through a network whose arcs must carry something: how few paths can cover a graph.

A flow that meets all lower bounds is made first, then as much as possible of it is taken away again: each way from the
entry to the exit on which every arc that is passed forwards has more than its bound, and that may pass arcs backwards
as it likes, saves what its tightest arc has to spare (Ford, Fulkerson: "Flows in Networks", 1962, I.9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Arc", "least_flow"]

_NOTHING = -1


class Arc(NamedTuple):
    """A way from one vertex to another, which must carry at least ``bound``."""

    source: int
    target: int
    bound: int


def least_flow(size: int, arcs: Sequence[Arc], entry: int, end: int) -> tuple[int, list[int]]:
    """Give the least value of a flow from ``entry`` to ``end`` that keeps all bounds, and what each arc carries.

    Every arc must lie on a way from ``entry``, into which no arc leads, to ``end``, from which none leads; cycles are
    allowed. ``size`` is the number of vertices. Takes time in proportion to the arcs for each way that saves something.
    """
    network = _Network(size, arcs, entry, end)
    network.fill()
    network.reduce()
    return network.value(), network.carried


class _Network:
    def __init__(self, size: int, arcs: Sequence[Arc], entry: int, end: int) -> None:
        self._arcs = arcs
        self._entry = entry
        self._end = end
        self._out: list[list[int]] = [[] for _ in range(size)]
        self._in: list[list[int]] = [[] for _ in range(size)]
        for number, arc in enumerate(arcs):
            self._out[arc.source].append(number)
            self._in[arc.target].append(number)
        self.carried = [0] * len(arcs)

    def value(self) -> int:
        return sum(self.carried[number] for number in self._out[self._entry])

    def fill(self) -> None:
        """Make a flow that keeps all bounds: once round every cycle, then down the order of the rest and up again.

        On the way down, what a vertex gets beyond the bounds goes on to the next vertex of the order, where it comes by
        most of the others; what it lacks comes, on the way up, from the last vertex before it.
        """
        order, closing, came = self._walk()
        self._go_round(order, closing, came)
        rank = {vertex: place for place, vertex in enumerate(reversed(order))}
        arcs = self._arcs
        flow = [0 if number in closing else max(0, arc.bound - self.carried[number]) for number, arc in enumerate(arcs)]
        lack = [0] * len(self._out)
        stuck: list[tuple[int, int]] = []
        for vertex in reversed(order):
            onward = [number for number in self._out[vertex] if number not in closing]
            spare = sum(flow[number] for number in self._in[vertex] if number not in closing)
            spare -= sum(flow[number] for number in onward)
            if spare > 0 and onward:
                flow[min(onward, key=lambda number: rank[arcs[number].target])] += spare
            elif spare > 0 and vertex != self._end:
                stuck.append((vertex, spare))
            elif spare < 0:
                lack[vertex] = -spare
        for vertex in order:
            before = [number for number in self._in[vertex] if number not in closing and arcs[number].source in rank]
            if lack[vertex] and before:
                nearest = max(before, key=lambda number: rank[arcs[number].source])
                flow[nearest] += lack[vertex]
                lack[arcs[nearest].source] += lack[vertex]
        self.carried = [one + other for one, other in zip(flow, self.carried, strict=True)]
        for vertex, spare in stuck:  # it can only be left by going back
            for number in self._way_out(vertex):
                self.carried[number] += spare

    def _way_out(self, vertex: int) -> list[int]:
        """Give the arcs of a shortest way to the end."""
        came: dict[int, int] = {vertex: _NOTHING}
        wave = [vertex]
        while self._end not in came and wave:
            following: list[int] = []
            for reached in wave:
                for number in self._out[reached]:
                    target = self._arcs[number].target
                    if target not in came:
                        came[target] = number
                        following.append(target)
            wave = following
        way: list[int] = []
        reached = self._end
        while came[reached] != _NOTHING:
            way.append(came[reached])
            reached = self._arcs[came[reached]].source
        return way

    def _walk(self) -> tuple[list[int], set[int], list[int]]:
        """Give the vertices in post-order of a walk from the entry, the arcs that close cycles, how each was met."""
        state = bytearray(len(self._out))
        came = [_NOTHING] * len(self._out)
        order: list[int] = []
        closing: set[int] = set()
        state[self._entry] = 1
        stack = [(self._entry, iter(self._out[self._entry]))]
        while stack:
            vertex, remaining = stack[-1]
            for number in remaining:
                target = self._arcs[number].target
                if state[target] == 1:
                    closing.add(number)
                elif state[target] == 0:
                    state[target] = 1
                    came[target] = number
                    stack.append((target, iter(self._out[target])))
                    break
            else:
                state[vertex] = 2
                order.append(vertex)
                stack.pop()
        return order, closing, came

    def _go_round(self, order: Sequence[int], closing: set[int], came: Sequence[int]) -> None:
        """Let every arc that closes a cycle carry its bound, and the way of the walk from its target to its source."""
        surplus = [0] * len(self._out)
        for number in closing:
            arc = self._arcs[number]
            carried = max(1, arc.bound)
            self.carried[number] = carried
            surplus[arc.source] += carried
            surplus[arc.target] -= carried
        for vertex in order:
            if surplus[vertex] and came[vertex] != _NOTHING:
                self.carried[came[vertex]] += surplus[vertex]
                surplus[self._arcs[came[vertex]].source] += surplus[vertex]

    def reduce(self) -> None:
        """Take away as much as the bounds allow."""
        while (way := self._way_to_save()) is not None:
            least = min(self.carried[number] - self._arcs[number].bound for number in way if number >= 0)
            for number in way:
                if number >= 0:
                    self.carried[number] -= least
                else:
                    self.carried[~number] += least

    def _way_to_save(self) -> list[int] | None:
        """Give the arcs of a shortest way along which one path fewer does; ``~arc`` where it passes one backwards."""
        arcs, carried = self._arcs, self.carried
        came: dict[int, int] = {self._entry: 0}
        wave = [self._entry]
        while wave:
            following: list[int] = []
            for vertex in wave:
                for number in self._out[vertex]:
                    _, target, bound = arcs[number]
                    if target not in came and carried[number] > bound:
                        came[target] = number
                        following.append(target)
                for number in self._in[vertex] if vertex != self._entry else ():
                    source = arcs[number][0]
                    if source not in came:
                        came[source] = ~number
                        following.append(source)
            if self._end in came:
                return self._trace(came)
            wave = following
        return None

    def _trace(self, came: dict[int, int]) -> list[int]:
        way: list[int] = []
        vertex = self._end
        while vertex != self._entry:
            number = came[vertex]
            way.append(number)
            vertex = self._arcs[number].source if number >= 0 else self._arcs[~number].target
        return way
