"""Loops in the control flow as things to cover: not repeated, repeated once, repeated more than once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.token_game.game import Run, Visit
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.generation.token_game.semantics import Play
from pytest_orchestra.generation.token_game.walk import Target, can_end, shortness

__all__ = ["COUNTS", "Cycle", "RepeatPolicy", "list_cycles"]

COUNTS = ("0", "1", "N")
"""How often a run goes back to the head of a loop: never, once, more often."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A loop: its ``head``, the edges that lead back to it, and how often one run may go back at the ``most``."""

    head: int
    element: str
    closing: frozenset[int]
    most: int

    def count(self, run: Run) -> int | None:
        """Give how often a run goes back, 2 standing for more often too; None if it does not come to the loop."""
        if self.head not in run.points:
            return None
        return min(2, sum(edge in self.closing for edge in run.edges))


def list_cycles(graph: ControlFlow, structure: Structure, limits: Mapping[int, int]) -> tuple[Cycle, ...]:
    """Give the loops of a graph by their heads, in the order of the document.

    ``limits`` has for edges on cycles how often a token may take them. A loop that is left at its head may go back as
    often as that; one that is left further on has then been passed once more than it goes back.
    """
    closing: dict[int, list[int]] = {}
    for edge in sorted(structure.closing):
        closing.setdefault(graph.edges[edge].target, []).append(edge)
    found: list[Cycle] = []
    for head, edges in sorted(closing.items()):
        node = graph.points[head].node
        if node is None:
            continue
        inside = structure.loop_around(head, (graph.edges[edge].source for edge in edges))
        limit = min(limits.get(edge, 1) for edge in edges)
        leaves_at_head = any(target not in inside for target in graph.successors(head))
        found.append(Cycle(head, node.id, frozenset(edges), limit if leaves_at_head else limit - 1))
    return tuple(found)


class RepeatPolicy:
    """Goes to a loop, back to its head as often as wanted, and then by the shortest way to the end."""

    def __init__(self, view: View, cycle: Cycle, times: int) -> None:
        self._view = view
        self._cycle = cycle
        self._times = times
        self._to_head = Target.of(view, points=(cycle.head,))
        self._to_back = Target.of(view, edges=cycle.closing)
        self._seen = 0
        self._came = False
        self._back = 0

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the options, the one that leads most directly to what is wanted first."""
        self._came = self._came or self._cycle.head in play.points
        self._back += sum(edge in self._cycle.closing for edge in play.edges[self._seen :])
        self._seen = len(play.edges)
        return sorted(options, key=lambda option: self._key(visit, option))

    def _key(self, visit: Visit, option: int) -> tuple[bool, float, tuple[float, bool, int]]:
        graph = self._view.game.graph
        edges = self._view.game.table.outcomes[visit.point][option].edges
        ends = can_end(self._view, visit.point, option, visit.loops)
        goes_back = any(edge in self._cycle.closing for edge in edges)
        distance = 0.0
        if not self._came:
            distance = min(self._to_head.distance[graph.edges[edge].target] for edge in edges)
        elif self._back < self._times:
            distance = -1.0 if goes_back else min(self._to_back.distance[graph.edges[edge].target] for edge in edges)
        elif goes_back:
            distance = 1.0
        return not ends, distance, shortness(self._view, visit.point, option)
