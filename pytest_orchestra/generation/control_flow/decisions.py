"""Where the way of a token is open, and what may come of it.

A *decision* is a point with branches; an *outcome* is what happens there at one visit: the edges that get a token. An
exclusive decision takes one branch, an inclusive one some of them. Activities decide as well: between their boundary
events and their normal end, between conditional flows, and how often they repeat. Where a (sub-)process has begun, it
is decided which of its event sub-processes happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from pytest_orchestra.generation.control_flow.catching import CAUGHT
from pytest_orchestra.generation.control_flow.graph import ControlFlow, Edge, EdgeKind, Role
from pytest_orchestra.generation.control_flow.repetitions import ONCE, SEVERAL, SKIPPED
from pytest_orchestra.generation.wording import caption
from pytest_orchestra.model.process import EventDefinition, NodeKind

__all__ = ["EVENTS", "NORMAL", "START", "Branch", "Decision", "Outcome", "find_decisions", "list_outcomes"]

NORMAL = "normal"
"""The branch of what ends without any of its boundary events or event sub-processes."""

START = "start"
"""The decision among several start events of a process."""

EVENTS = "events"
"""The decision among the event sub-processes of a process, and none of them."""

_INCLUSIVE = (NodeKind.INCLUSIVE_GATEWAY, NodeKind.COMPLEX_GATEWAY)
_EXCLUSIVE = (NodeKind.EXCLUSIVE_GATEWAY, NodeKind.EVENT_BASED_GATEWAY)
_NUMBERS = ((EdgeKind.ONCE, ONCE, "== 1"), (EdgeKind.REPEAT, SEVERAL, "> 1"), (EdgeKind.SKIP, SKIPPED, "== 0"))


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative: the id that stands for it and its edges.

    That is the id of a flow, of a boundary event, start event or event sub-process, ``normal``, or the number of
    instances. ``name`` is its own name, ``target`` the id and ``target_name`` the name of where it leads. ``is_thrown``
    marks what only an event inside the (sub-)process sets off: nobody chooses it, so it has no edges.
    """

    id: str
    name: str
    target: str
    target_name: str
    edges: tuple[int, ...]
    condition: str | None = None
    is_thrown: bool = False
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A point with branches. ``default`` is the index of the branch taken when no other is, ``always`` are edges that
    get a token whatever is decided; ``inclusive`` decisions take one or more branches at a time. ``is_repetition``
    marks those about the number of instances of an activity; one instance comes first among their branches.
    """

    point: int
    element: str
    name: str
    branches: tuple[Branch, ...]
    inclusive: bool = False
    default: int | None = None
    always: tuple[int, ...] = ()
    is_repetition: bool = False

    @property
    def is_open(self) -> bool:
        """Whether anything is to be decided: there are several branches, or one that need not be taken."""
        return len(self.branches) > 1 or bool(self.always)

    def ids(self, outcome: Outcome) -> tuple[str, ...]:
        """Give the ids of the branches that an outcome takes."""
        return tuple(self.branches[index].id for index in outcome.branches)


class Outcome(NamedTuple):
    """What may happen at a point: the edges that get a token, in order, and the branches that these stand for."""

    edges: tuple[int, ...]
    branches: tuple[int, ...] = ()


def find_decisions(graph: ControlFlow, instances: Mapping[int, int] | None = None) -> dict[int, Decision]:
    """Give the decisions of a graph by their points, in document order.

    A point whose single way out has a condition is among them: there is nothing to choose, but something must hold.
    ``instances`` has for the points where activities repeat how many instances several are, 2 where it says nothing;
    with fewer, several are no alternative.
    """
    thrown = {throw.boundary for throw in graph.throws.values()}
    numbers = instances or {}
    found: dict[int, Decision] = {}
    for point in graph.points:
        if point.role is Role.LOOP:
            decision = _repetition(graph, point.index, numbers.get(point.index, 2))
        else:
            decision = _decide(graph, point.index, thrown)
        if decision is not None:
            found[point.index] = decision
    return found


def list_outcomes(graph: ControlFlow, decision: Decision, sets: tuple[frozenset[int], ...] = ()) -> tuple[Outcome, ...]:
    """Give what may come of a decision: each branch; for an inclusive one each alone, all, the given ``sets``.

    The default branch of an inclusive decision comes alone. Sets of other branches than these exist; the first form of
    generation chooses one of them only where data demands it.
    """
    if not decision.inclusive:
        return tuple(
            Outcome(branch.edges, (index,)) for index, branch in enumerate(decision.branches) if not branch.is_thrown
        )
    regular = [index for index in range(len(decision.branches)) if index != decision.default]
    choices = [frozenset({index}) for index in regular]
    if len(regular) > 1:
        choices.append(frozenset(regular))
    if decision.default is not None:
        choices.append(frozenset({decision.default}))
    elif decision.always:
        choices.append(frozenset())
    choices.extend(sets)
    order = {edge: index for index, edge in enumerate(graph.out[decision.point])}
    outcomes: dict[tuple[int, ...], Outcome] = {}
    for choice in choices:
        taken = tuple(sorted(choice))
        edges = {*decision.always, *(edge for index in taken for edge in decision.branches[index].edges)}
        outcomes.setdefault(taken, Outcome(tuple(sorted(edges, key=order.__getitem__)), taken))
    return tuple(outcomes.values())


def _decide(graph: ControlFlow, point: int, thrown: set[int]) -> Decision | None:
    found = graph.points[point]
    if found.role is Role.ENTRY:
        return _start(graph, point, thrown)
    if found.role is Role.NODE and point in graph.exit_of:
        return _boundary(graph, point, thrown)
    flows = [graph.edges[edge] for edge in graph.out[point]]
    if found.node is None or not flows:
        return None
    if found.node.kind in _EXCLUSIVE or found.node.kind in _INCLUSIVE:
        return _gateway(graph, point, flows)
    if found.node.kind is NodeKind.PARALLEL_GATEWAY:
        return None
    return _conditional(graph, point, flows)


def _start(graph: ControlFlow, point: int, thrown: set[int]) -> Decision | None:
    """Decide among start events, and where there are none among event sub-processes."""
    if point not in graph.alternatives and point not in graph.watches:
        return None
    edges = [graph.edges[edge] for edge in graph.out[point]]
    starts = [edge for edge in edges if edge.kind is EdgeKind.START]
    if point in graph.alternatives:
        element, name = _scope_names(graph, point, START)
        branches = [_from_event(graph, edge, (edge.index,)) for edge in starts]
    else:
        element, name = _scope_names(graph, point, EVENTS)
        every = tuple(edge.index for edge in starts)
        branches = [Branch(NORMAL, NORMAL, NORMAL, NORMAL, every)] if starts else []
    default = 0 if branches and branches[0].id == NORMAL else None
    ways_on = branches[0].edges if branches else ()
    for edge in edges:
        if edge.kind is EdgeKind.TRIGGER:
            branch = _from_trigger(graph, edge, ways_on, thrown)
            # what starts the process comes first
            branches.append(replace(branch, edges=(*branch.edges[1:], *branch.edges[:1])))
    return Decision(point, element, name, tuple(branches), default=default)


def _scope_names(graph: ControlFlow, point: int, what: str) -> tuple[str, str]:
    """Give the id and the name of what is decided as a (sub-)process begins."""
    container = graph.points[graph.points[point].scope].node
    if container is None:
        return what, what
    return f"{container.id}.{what}", f"{what} of {container.label}"


def _boundary(graph: ControlFlow, point: int, thrown: set[int]) -> Decision | None:
    """Decide between the normal end of an activity and its boundary events; at a start event among the handlers."""
    node = graph.points[point].node
    if node is None:
        return None
    events = [
        edge for index in graph.out[point] if (edge := graph.edges[index]).kind in (EdgeKind.BOUNDARY, EdgeKind.TRIGGER)
    ]
    if not events:
        return None
    taken = {edge.index for edge in events}
    onward = tuple(edge for edge in graph.out[point] if edge not in taken)
    branches = [Branch(NORMAL, NORMAL, NORMAL, NORMAL, onward[:1])]
    besides = iter(onward[1:])
    for edge in events:
        way_on = () if _interrupts(graph, edge) else (next(besides),)
        if edge.kind is EdgeKind.TRIGGER:
            branches.append(_from_trigger(graph, edge, way_on, thrown))
        else:
            event = graph.points[edge.target].node
            is_thrown = edge.target in thrown and _only_thrown(event.events if event is not None else ())
            branches.append(_from_event(graph, edge, () if is_thrown else (edge.index, *way_on), is_thrown=is_thrown))
    element, name = node.id, node.label
    if point in graph.watches:
        element, name = _scope_names(graph, point, EVENTS)
    return Decision(point, element, name, tuple(branches), default=0)


def _interrupts(graph: ControlFlow, edge: Edge) -> bool:
    event = graph.triggers.get(edge.target, graph.points[edge.target].node)
    return event is None or event.is_interrupting


def _only_thrown(definitions: tuple[EventDefinition, ...]) -> bool:
    """Whether nothing but what somebody throws can set off an event."""
    return all(event.kind in CAUGHT for event in definitions)


def _from_trigger(graph: ControlFlow, edge: Edge, way_on: tuple[int, ...], thrown: set[int]) -> Branch:
    """Give the branch of an event sub-process: it happens instead of what was begun, or besides."""
    node, event = graph.points[edge.target].node, graph.triggers[edge.target]
    node_id, name = (node.id, node.name) if node is not None else ("", "")
    is_thrown = edge.target in thrown and _only_thrown(event.events)
    edges = () if is_thrown else (edge.index, *(() if event.is_interrupting else way_on))
    return Branch(node_id, name or caption(event), event.id, caption(event), edges, is_thrown=is_thrown)


def _repetition(graph: ControlFlow, point: int, count: int) -> Decision | None:
    """Decide how many instances of an activity there are: one, several, none."""
    node, repetition = graph.points[point].node, graph.repetitions[point]
    if node is None:
        return None
    kinds = {graph.edges[edge].kind: edge for edge in graph.out[point]}
    if repetition.instances(count) < 2 and len(kinds) > 1:  # noqa: PLR2004  several are at least two
        kinds.pop(EdgeKind.REPEAT, None)
    counted = repetition.count
    branches = tuple(
        Branch(name, name, "", "", (kinds[kind],), f"{counted} {comparison}" if counted is not None else None)
        for kind, name, comparison in _NUMBERS
        if kind in kinds
    )
    return Decision(point, node.id, node.label, branches, is_repetition=True)


def _from_event(graph: ControlFlow, edge: Edge, edges: tuple[int, ...], *, is_thrown: bool = False) -> Branch:
    event = graph.points[edge.target].node
    event_id, name = (event.id, caption(event)) if event is not None else ("", "")
    return Branch(event_id, name, event_id, name, edges, is_thrown=is_thrown)


def _gateway(graph: ControlFlow, point: int, flows: list[Edge]) -> Decision | None:
    node = graph.points[point].node
    if node is None:
        return None
    reads = node.kind is not NodeKind.EVENT_BASED_GATEWAY
    if not reads and node.event_gateway_type == "Parallel" and node.instantiate:
        return None  # all its events must come
    branches = tuple(_from_flow(graph, edge, reads=reads) for edge in flows)
    if len(branches) == 1 and branches[0].condition is None:
        return None
    default = _default(branches, node.default_flow)
    inclusive = node.kind in _INCLUSIVE
    if default is not None and len(branches) == 1:
        return None
    return Decision(point, node.id, node.label, branches, inclusive, default)


def _conditional(graph: ControlFlow, point: int, flows: list[Edge]) -> Decision | None:
    node = graph.points[point].node
    if node is None:
        return None
    always: list[int] = []
    branches: list[Branch] = []
    for edge in flows:
        branch = _from_flow(graph, edge, reads=True)
        if branch.condition is not None or branch.id == node.default_flow:
            branches.append(branch)
        else:
            always.append(edge.index)
    default = _default(tuple(branches), node.default_flow)
    if not branches or (default is not None and len(branches) == 1):
        return None
    return Decision(point, node.id, node.label, tuple(branches), True, default, tuple(always))


def _from_flow(graph: ControlFlow, edge: Edge, *, reads: bool) -> Branch:
    target = graph.points[edge.target].node
    target_id, target_name = (target.id, caption(target)) if target is not None else ("", "")
    flow = edge.flow
    if flow is None:
        return Branch(target_id, target_name, target_id, target_name, (edge.index,))
    text = flow.condition.text.strip() if reads and flow.condition is not None else ""
    language = flow.condition.language if flow.condition is not None else None
    return Branch(flow.id, flow.name, target_id, target_name, (edge.index,), text or None, language=language)


def _default(branches: tuple[Branch, ...], default_flow: str | None) -> int | None:
    return next((index for index, branch in enumerate(branches) if branch.id == default_flow), None)
