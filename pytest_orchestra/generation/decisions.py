"""Where the way of a token is open, and what may come of it.

A *decision* is a point with branches; an *outcome* is what happens there at one visit: the edges that get a token. An
exclusive decision takes one branch, an inclusive one some of them. Activities decide as well: between their boundary
events and their normal end, and between conditional flows.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_orchestra.generation.graph import ControlFlow, Edge, EdgeKind, Role
from pytest_orchestra.generation.wording import caption
from pytest_orchestra.model.process import NodeKind

__all__ = ["NORMAL", "START", "Branch", "Decision", "Outcome", "find_decisions", "list_outcomes"]

NORMAL = "normal"
"""The branch of an activity that ends without any of its boundary events."""

START = "start"
"""The decision among several start events of a process."""

_INCLUSIVE = (NodeKind.INCLUSIVE_GATEWAY, NodeKind.COMPLEX_GATEWAY)
_EXCLUSIVE = (NodeKind.EXCLUSIVE_GATEWAY, NodeKind.EVENT_BASED_GATEWAY)


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative: the id that stands for it (flow, boundary event, start event, ``normal``) and its edges.

    ``name`` is its own name, ``target`` the id and ``target_name`` the name of where it leads. ``is_thrown`` marks a
    boundary event that only an event inside the sub-process sets off: nobody chooses it, so it has no edges.
    """

    id: str
    name: str
    target: str
    target_name: str
    edges: tuple[int, ...]
    condition: str | None = None
    is_thrown: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A point with branches. ``default`` is the index of the branch taken when no other is, ``always`` are edges that
    get a token whatever is decided; ``inclusive`` decisions take one or more branches at a time.
    """

    point: int
    element: str
    name: str
    branches: tuple[Branch, ...]
    inclusive: bool = False
    default: int | None = None
    always: tuple[int, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether anything is to be decided: there are several branches, or one that need not be taken."""
        return len(self.branches) > 1 or bool(self.always)

    def ids(self, outcome: Outcome) -> tuple[str, ...]:
        """Give the ids of the branches that an outcome takes."""
        return tuple(self.branches[index].id for index in outcome.branches)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What may happen at a point: the edges that get a token, in order, and the branches that these stand for."""

    edges: tuple[int, ...]
    branches: tuple[int, ...] = ()


def find_decisions(graph: ControlFlow) -> dict[int, Decision]:
    """Give the decisions of a graph by their points, in document order.

    A point whose single way out has a condition is among them: there is nothing to choose, but something must hold.
    """
    thrown = {throw.boundary for throw in graph.throws.values()}
    found: dict[int, Decision] = {}
    for point in graph.points:
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
        return _start(graph, point)
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


def _start(graph: ControlFlow, point: int) -> Decision | None:
    if point not in graph.alternatives:
        return None
    container = graph.points[point].node
    element = f"{container.id}.{START}" if container else START
    name = f"start of {container.label}" if container else START
    branches = (_from_event(graph, graph.edges[edge], (edge,)) for edge in graph.out[point])
    return Decision(point, element, name, tuple(branches))


def _boundary(graph: ControlFlow, point: int, thrown: set[int]) -> Decision | None:
    node = graph.points[point].node
    borders = [graph.edges[edge] for edge in graph.out[point] if graph.edges[edge].kind is EdgeKind.BOUNDARY]
    onward = tuple(edge for edge in graph.out[point] if graph.edges[edge].kind is not EdgeKind.BOUNDARY)
    if node is None or not borders:
        return None
    branches = [Branch(NORMAL, NORMAL, NORMAL, NORMAL, onward[:1])]
    besides = iter(onward[1:])
    for border in borders:
        event = graph.points[border.target].node
        is_thrown = border.target in thrown
        way_on = () if event is None or event.is_interrupting else (next(besides),)
        edges = () if is_thrown else (border.index, *way_on)
        branches.append(_from_event(graph, border, edges, is_thrown=is_thrown))
    return Decision(point, node.id, node.label, tuple(branches), default=0)


def _from_event(graph: ControlFlow, edge: Edge, edges: tuple[int, ...], *, is_thrown: bool = False) -> Branch:
    event = graph.points[edge.target].node
    event_id, name = (event.id, caption(event)) if event is not None else ("", "")
    return Branch(event_id, name, event_id, name, edges, is_thrown=is_thrown)


def _gateway(graph: ControlFlow, point: int, flows: list[Edge]) -> Decision | None:
    node = graph.points[point].node
    if node is None:
        return None
    reads = node.kind is not NodeKind.EVENT_BASED_GATEWAY
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
    return Branch(flow.id, flow.name, target_id, target_name, (edge.index,), text or None)


def _default(branches: tuple[Branch, ...], default_flow: str | None) -> int | None:
    return next((index for index, branch in enumerate(branches) if branch.id == default_flow), None)
