"""What is played: the rules of one process, and the values that a run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_orchestra.generation.decisions import Decision
from pytest_orchestra.generation.fitting import Table
from pytest_orchestra.generation.graph import ControlFlow, Role
from pytest_orchestra.generation.loops import Loops
from pytest_orchestra.generation.structure import Structure
from pytest_orchestra.model.process import NodeKind

__all__ = ["Choice", "Failure", "FailureKind", "Game", "Occurrence", "Run", "Visit"]

_WAITING_FOR_SOME = (NodeKind.INCLUSIVE_GATEWAY, NodeKind.COMPLEX_GATEWAY)


@dataclass(frozen=True)
class Game:
    """The rules of one process: its graph, what may come of each decision, and the limits.

    ``edge_limits`` has for each flow on a cycle how often a token may take it, ``point_limits`` the same for visits.
    """

    graph: ControlFlow
    structure: Structure
    decisions: Mapping[int, Decision]
    table: Table
    edge_limits: Mapping[int, int]
    point_limits: Mapping[int, int]
    max_steps: int
    waits_for_all: frozenset[int] = field(init=False)
    waits_for_some: frozenset[int] = field(init=False)
    merges: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.graph
        joins = [point.index for point in graph.points if point.role is Role.NODE and len(graph.into[point.index]) > 1]
        some = [point for point in joins if graph.kind(point) in _WAITING_FOR_SOME]
        every = [point for point in joins if graph.kind(point) is NodeKind.PARALLEL_GATEWAY]
        waiting = {*some, *every}
        merges = [point for point in joins if point not in waiting and (graph.out[point] or point in graph.exit_of)]
        object.__setattr__(self, "waits_for_all", frozenset(every))
        object.__setattr__(self, "waits_for_some", frozenset(some))
        object.__setattr__(self, "merges", frozenset(merges))

    def permits(self, edge: int, loops: Loops) -> bool:
        """Whether a token with these loops may take the edge once more."""
        limit = self.edge_limits.get(edge)
        if limit is not None and loops.counts.get(edge, 0) >= limit:
            return False
        target = self.graph.edges[edge].target
        limit = self.point_limits.get(target)
        return limit is None or loops.counts.get(~target, 0) < limit


class FailureKind(StrEnum):
    """Why a run cannot come to an end."""

    STUCK = "stuck"
    LOOPING = "looping"
    TOO_LONG = "too long"


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that does not end: the points where it failed, and the flows on which joins wait in vain."""

    kind: FailureKind
    points: tuple[int, ...]
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided at one visit: the outcome's index (``~branch`` where it was thrown) and its branches' ids."""

    point: int
    outcome: int
    branches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One visit of a node. ``causes`` has, for each token that came, the indices of the occurrences right before it.

    Only a join sees several tokens at once; the token of a sub-process that ended comes from all its ends.
    """

    point: int
    causes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One play from its start to its end: what was visited, taken and decided, in order.

    ``unsynchronised`` are the merges that several concurrent tokens passed one by one.
    """

    occurrences: tuple[Occurrence, ...]
    edges: tuple[int, ...]
    points: tuple[int, ...]
    choices: tuple[Choice, ...]
    unsynchronised: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """A decision that is due: its point, the outcomes within the limits, and the deciding token's loops."""

    point: int
    options: tuple[int, ...]
    loops: Loops
