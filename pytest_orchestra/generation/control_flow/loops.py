"""How often loops may be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.structure import Structure

__all__ = ["Loops", "count_instances", "loop_limits"]


class Loops:
    """How often one token has taken the flows on the cycle where it is, and (as ``~point``) visited limited points.

    ``is_tight`` says that one of them has reached its limit.
    """

    __slots__ = ("counts", "is_tight")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.is_tight = False

    @property
    def state(self) -> frozenset[tuple[int, int]]:
        """The counts as a value."""
        return frozenset(self.counts.items())

    def copy(self) -> Self:
        """Give what another token starts with that goes another way from here."""
        other = type(self)()
        if self.counts:
            other.counts = self.counts.copy()
            other.is_tight = self.is_tight
        return other

    def count(self, key: int, limit: int) -> bool:
        """Count one more; tell whether that is within the limit."""
        number = self.counts.get(key, 0) + 1
        self.counts[key] = number
        self.is_tight = self.is_tight or number >= limit
        return number <= limit

    def merge(self, other: Loops) -> None:
        """Know what another token knows as well: the tokens go on as one."""
        if not self.counts:
            self.counts = other.counts.copy()
        else:
            counts = self.counts
            for key, number in other.counts.items():
                if number > counts.get(key, 0):
                    counts[key] = number
        self.is_tight = self.is_tight or other.is_tight


def count_instances(graph: ControlFlow, repetitions: int, overrides: Mapping[int, int]) -> dict[int, int]:
    """Give how many instances several are, for the points where activities repeat.

    That is 2, or 1 where loops may not be repeated at all; an override (point to repetitions) counts in full.
    """
    usual = 1 + min(repetitions, 1)
    return {point: 1 + overrides[point] if point in overrides else usual for point in graph.repetitions}


def loop_limits(
    structure: Structure, repetitions: int, overrides: Mapping[int, int]
) -> tuple[dict[int, int], dict[int, int]]:
    """Give how often a token may take each flow on a cycle, and how often it may visit the points of ``overrides``.

    Every such flow may be taken once and again ``repetitions`` times. An override (point to repetitions) holds for all
    flows of the smallest loop around its point, those of loops within it included, unless one of these has its own.
    """
    edges = structure.graph.edges
    limits = dict.fromkeys(sorted(structure.cyclic_edges), 1 + repetitions)
    loops = {point: structure.innermost_loop(point) for point in overrides}
    for point in sorted(overrides, key=lambda point: (-len(loops[point]), overrides[point])):
        for edge in limits:
            if edges[edge].source in loops[point] and edges[edge].target in loops[point]:
                limits[edge] = 1 + overrides[point]
    return limits, {point: 1 + count for point, count in overrides.items()}
