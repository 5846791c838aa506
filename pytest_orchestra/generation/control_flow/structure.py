"""What the shape of a graph tells before any token moves: cycles, dominators, what can be reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_orchestra.generation.control_flow.graph import ControlFlow, EdgeKind

__all__ = ["Structure", "strong_components"]

_NONE = -1


@dataclass(frozen=True)
class Structure:
    """The shape of one graph; everything is computed at most once, and when first asked for."""

    graph: ControlFlow

    @cached_property
    def successor_edges(self) -> tuple[tuple[int, ...], ...]:
        """For every point all edges that leave it, played and automatic."""
        return tuple((*out, *auto) for out, auto in zip(self.graph.out, self.graph.auto, strict=True))

    @cached_property
    def predecessor_edges(self) -> tuple[tuple[int, ...], ...]:
        """For every point all edges that end there, played and automatic."""
        found: list[list[int]] = [[] for _ in self.graph.points]
        for edge in self.graph.edges:
            if edge.index in self._alive:
                found[edge.target].append(edge.index)
        return tuple(map(tuple, found))

    @cached_property
    def _alive(self) -> frozenset[int]:
        return frozenset(edge for edges in self.successor_edges for edge in edges)

    @cached_property
    def _walk(self) -> tuple[tuple[int, ...], frozenset[int]]:
        """Give the points in post-order of a depth-first walk from the entry, and the edges that closed a cycle."""
        edges = self.graph.edges
        state = bytearray(len(self.graph.points))
        order: list[int] = []
        closing: list[int] = []
        state[self.graph.entry] = 1
        stack = [(self.graph.entry, iter(self.successor_edges[self.graph.entry]))]
        while stack:
            point, remaining = stack[-1]
            for edge in remaining:
                target = edges[edge].target
                if state[target] == 1:
                    closing.append(edge)
                elif state[target] == 0:
                    state[target] = 1
                    stack.append((target, iter(self.successor_edges[target])))
                    break
            else:
                state[point] = 2
                order.append(point)
                stack.pop()
        return tuple(order), frozenset(closing)

    @property
    def postorder(self) -> tuple[int, ...]:
        """The points that can be reached from the entry, successors first, cycles apart."""
        return self._walk[0]

    @property
    def closing(self) -> frozenset[int]:
        """The edges that lead back to a point on the way to them: each closes a cycle."""
        return self._walk[1]

    @cached_property
    def reachable(self) -> frozenset[int]:
        """The points that can be reached from the entry."""
        return frozenset(self.postorder)

    @cached_property
    def components(self) -> tuple[int, ...]:
        """For every point the number of its strongly connected component; successors have smaller numbers."""
        return strong_components(
            len(self.graph.points),
            [[self.graph.edges[edge].target for edge in edges] for edges in self.successor_edges],
        )

    @cached_property
    def cyclic_edges(self) -> frozenset[int]:
        """The flows and links that lie on a cycle."""
        part = self.components
        return frozenset(
            edge.index
            for edge in self.graph.edges
            if edge.kind in (EdgeKind.FLOW, EdgeKind.LINK)
            and edge.index in self._alive
            and part[edge.source] == part[edge.target]
        )

    @cached_property
    def cyclic_components(self) -> frozenset[int]:
        """The components that have a cycle."""
        return frozenset(self.components[self.graph.edges[edge].source] for edge in self.cyclic_edges)

    def loop_of(self, closing: int) -> tuple[int, ...]:
        """Give the natural loop of an edge that closes a cycle: its points in post-order."""
        known = self._loops.get(closing)
        if known is not None:
            return known
        edge = self.graph.edges[closing]
        inside = self.loop_around(edge.target, (edge.source,))
        rank = self._rank
        self._loops[closing] = tuple(sorted(inside, key=lambda point: rank[point]))
        return self._loops[closing]

    def loop_around(self, head: int, tails: Iterable[int]) -> set[int]:
        """Give the points of the natural loops that lead back from the tails to one head."""
        edges, reachable = self.graph.edges, self.reachable
        inside = {head}
        stack = [tail for tail in dict.fromkeys(tails) if tail != head]
        inside.update(stack)
        while stack:
            for edge in self.predecessor_edges[stack.pop()]:
                source = edges[edge].source
                if source not in inside and source in reachable:
                    inside.add(source)
                    stack.append(source)
        return inside

    @cached_property
    def _loops(self) -> dict[int, tuple[int, ...]]:
        return {}

    @cached_property
    def _rank(self) -> dict[int, int]:
        return {point: index for index, point in enumerate(self.postorder)}

    def ways_into(self, join: int) -> Sequence[int]:
        """Give for every point, as bits, to which of a join's flows a way leads that does not pass the join before."""
        known = self._ways.get(join)
        if known is not None:
            return known
        edges = self.graph.edges
        found = [0] * len(self.graph.points)
        waiting: list[int] = []
        for number, edge in enumerate(self.graph.into[join]):
            source = edges[edge].source
            found[source] |= 1 << number
            if source != join:
                waiting.append(source)
        while waiting:
            point = waiting.pop()
            for edge in self.predecessor_edges[point]:
                source = edges[edge].source
                if found[point] & ~found[source]:
                    found[source] |= found[point]
                    if source != join:
                        waiting.append(source)
        self._ways[join] = found
        return found

    @cached_property
    def _ways(self) -> dict[int, Sequence[int]]:
        return {}

    @cached_property
    def postdominators(self) -> Mapping[int, int]:
        """For every point that can reach the exit the next point that all its ways to the exit have in common.

        Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm" (2001), on the reversed graph.
        """
        edges, last = self.graph.edges, self.graph.exit
        order = self._backward_postorder()
        rank = {point: index for index, point in enumerate(order)}
        above = {last: last}
        changed = True
        while changed:
            changed = False
            for point in reversed(order[:-1]):
                common = _NONE
                for edge in self.successor_edges[point]:
                    target = edges[edge].target
                    if target in above:
                        common = target if common == _NONE else _meet(common, target, above, rank)
                if above.get(point) != common:
                    above[point] = common
                    changed = True
        return above

    def _backward_postorder(self) -> list[int]:
        edges = self.graph.edges
        seen = {self.graph.exit}
        order: list[int] = []
        stack = [(self.graph.exit, iter(self.predecessor_edges[self.graph.exit]))]
        while stack:
            point, remaining = stack[-1]
            for edge in remaining:
                source = edges[edge].source
                if source not in seen:
                    seen.add(source)
                    stack.append((source, iter(self.predecessor_edges[source])))
                    break
            else:
                order.append(point)
                stack.pop()
        return order

    @cached_property
    def _backward_rank(self) -> Mapping[int, int]:
        return {point: index for index, point in enumerate(self._backward_postorder())}

    def meeting_point(self, points: Iterable[int]) -> int | None:
        """Give the nearest point through which every way from every one of the points to the exit leads."""
        common: int | None = None
        for point in points:
            if point not in self.postdominators:
                return None
            common = point if common is None else _meet(common, point, self.postdominators, self._backward_rank)
        return common

    def innermost_loop(self, point: int) -> frozenset[int]:
        """Give the points of the smallest loop around a point, empty if it lies on none.

        Loops are nested as by Steensgaard (1993): a strongly connected part, then the parts that remain in it when
        the edges into its entries are taken away, and so on.
        """
        edges = self.graph.edges
        inside = frozenset(self.reachable)
        best: frozenset[int] = frozenset()
        cut: set[int] = set()
        while True:
            members = sorted(inside)
            number = {member: index for index, member in enumerate(members)}
            successors = [
                [
                    number[edges[edge].target]
                    for edge in self.successor_edges[member]
                    if edge not in cut and edges[edge].target in inside
                ]
                for member in members
            ]
            part = strong_components(len(members), successors)
            mine = part[number[point]] if point in number else _NONE
            component = frozenset(member for member in members if part[number[member]] == mine)
            if len(component) == 1 and not any(
                edges[edge].target == point for edge in self.successor_edges[point] if edge not in cut
            ):
                return best
            if not component:
                return best
            best = component
            cut |= self._edges_into_entries(component)
            inside = component

    def _edges_into_entries(self, component: frozenset[int]) -> set[int]:
        edges = self.graph.edges
        entries = {
            member
            for member in component
            if member == self.graph.entry
            or any(
                edges[edge].source not in component and edges[edge].source in self.reachable
                for edge in self.predecessor_edges[member]
            )
        }
        return {edge for entry in entries for edge in self.predecessor_edges[entry] if edges[edge].source in component}


def strong_components(size: int, successors: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Give the number of every node's strongly connected component; successors have smaller ones.

    Tarjan: "Depth-First Search and Linear Graph Algorithms" (1972), without recursion.
    """
    index = [_NONE] * size
    low = [0] * size
    part = [_NONE] * size
    path: list[int] = []
    clock = parts = 0
    for root in range(size):
        if index[root] != _NONE:
            continue
        index[root] = low[root] = clock
        clock += 1
        path.append(root)
        stack = [(root, iter(successors[root]))]
        while stack:
            point, remaining = stack[-1]
            for target in remaining:
                if index[target] == _NONE:
                    index[target] = low[target] = clock
                    clock += 1
                    path.append(target)
                    stack.append((target, iter(successors[target])))
                    break
                if part[target] == _NONE:
                    low[point] = min(low[point], index[target])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[point])
                if low[point] == index[point]:
                    while part[point] == _NONE:
                        part[path.pop()] = parts
                    parts += 1
    return tuple(part)


def _meet(one: int, other: int, above: Mapping[int, int], rank: Mapping[int, int]) -> int:
    while one != other:
        while rank[one] < rank[other]:
            one = above[one]
        while rank[other] < rank[one]:
            other = above[other]
    return one
