"""The control flow of a process as the graph on which tokens move.

Nodes become points, sequence flows become edges, and what BPMN does without drawing it becomes edges as well: entering
a sub-process and its end, a boundary event as an outcome of its activity, an event sub-process that an event sets off,
a link, an error that is caught, a handler that compensates. Nesting is flattened: an activity with an inside or with
boundary events has a second point, its *exit*, where its outgoing flows begin, and the inside of a sub-process has an
*entry*. An activity that repeats has a point before it, where the number of its instances is decided and where the
flows to it end. What is not played is left out with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_orchestra.generation.control_flow.repetitions import Repetition
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.problem import Problem

__all__ = ["Compensation", "ControlFlow", "Edge", "EdgeKind", "Point", "Role", "Throw"]


class Role(StrEnum):
    """What a point is: a node, the entry or exit of one, or where the number of its instances is decided."""

    NODE = "node"
    ENTRY = "entry"
    EXIT = "exit"
    LOOP = "loop"


class EdgeKind(StrEnum):
    """Why a token may move along an edge."""

    FLOW = "flow"
    LINK = "link"
    START = "start"
    INSIDE = "inside"
    NORMAL = "normal"
    BOUNDARY = "boundary"
    LEAVE = "leave"
    THROW = "throw"
    TRIGGER = "trigger"
    COMPENSATE = "compensate"
    ONCE = "once"
    REPEAT = "repeat"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Point:
    """A place where a token can be. ``scope`` is the index of the entry of the (sub-)process that it lies in.

    ``node`` is the node that the point belongs to, None for the entry and exit of the process itself.
    """

    index: int
    role: Role
    node: FlowNode | None
    scope: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from one point to another; ``flow`` is set for sequence flows."""

    index: int
    kind: EdgeKind
    source: int
    target: int
    flow: SequenceFlow | None = None


@dataclass(frozen=True, slots=True)
class Throw:
    """What a throwing event sets off: the boundary event that catches it, on the sub-process entered at ``scope``.

    Where it ``stays`` inside, ``boundary`` is an event sub-process of the (sub-)process entered at ``scope``.
    """

    edge: int
    boundary: int
    scope: int
    interrupting: bool
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Compensation:
    """What a throwing event compensates: all that has been completed in the (sub-)processes entered at ``scopes``.

    With an ``activity`` (a point) only that; with ``instead``, the point of an event sub-process, that one runs in the
    place of the handlers. ``edges`` has the edge to each boundary event or event sub-process that may be set off.
    """

    scopes: tuple[int, ...]
    edges: Mapping[int, int]
    activity: int | None = None
    instead: int | None = None


@dataclass(frozen=True)
class ControlFlow:
    """The graph of one process.

    ``out`` has for every point the edges that a token may take of its own accord, in document order; ``auto`` those
    that it takes without moving on (``LEAVE``, ``THROW``, a throwing event's ``COMPENSATE``); ``into`` the flows and
    links that end there.
    ``alternatives`` are the entries of which one start event is chosen, where all others begin with every start at
    once. ``left_out`` gives for the id of every node and flow that is not in the graph the reason.

    ``loop_of`` has for an activity that repeats the point before it, ``repetitions`` for that how often it may.
    ``watches`` are the points where event sub-processes may happen, ``triggers`` has for each of these its start event.
    ``undone_by`` has for the point of an activity what compensates it (a boundary event, or an event sub-process within
    it), ``remembered`` for the exits of activities that may have to be compensated these activities, ``prerequisites``
    for a point the points that a run must have passed before: what is compensated must have been completed.
    ``activations`` says how many tokens a complex gateway waits for, where that is known.
    """

    process: Process
    points: tuple[Point, ...]
    edges: tuple[Edge, ...]
    out: tuple[tuple[int, ...], ...]
    auto: tuple[tuple[int, ...], ...]
    into: tuple[tuple[int, ...], ...]
    entry: int
    exit: int
    point_of: Mapping[str, int]
    exit_of: Mapping[int, int]
    entry_of: Mapping[int, int]
    container_of: Mapping[int, int]
    alternatives: frozenset[int]
    throws: Mapping[int, Throw]
    terminates: frozenset[int]
    left_out: Mapping[str, str]
    problems: tuple[Problem, ...]
    loop_of: Mapping[int, int] = field(default_factory=dict)
    repetitions: Mapping[int, Repetition] = field(default_factory=dict)
    watches: frozenset[int] = frozenset()
    triggers: Mapping[int, FlowNode] = field(default_factory=dict)
    compensations: Mapping[int, Compensation] = field(default_factory=dict)
    undone_by: Mapping[int, int] = field(default_factory=dict)
    remembered: Mapping[int, int] = field(default_factory=dict)
    prerequisites: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    activations: Mapping[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of points and edges."""
        return len(self.points) + len(self.edges)

    def successors(self, point: int) -> list[int]:
        """Give the points that a token at ``point`` may bring about next."""
        return [self.edges[edge].target for edge in (*self.out[point], *self.auto[point])]

    def kind(self, point: int) -> NodeKind | None:
        """Give the kind of the node at the point; None at entries and exits."""
        found = self.points[point]
        return found.node.kind if found.node is not None and found.role is Role.NODE else None
