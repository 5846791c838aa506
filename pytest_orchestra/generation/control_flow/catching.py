"""Who catches what an event throws: errors, escalations and cancellations go outwards until something catches them.

The innermost scope comes first, and there its event sub-process before the boundary events of its activity. What is
thrown within an event sub-process is not caught by others of the same scope (BPMN 2.0.2, 13.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.control_flow.anatomy import THROWING, Anatomy
from pytest_orchestra.model.process import EventDefinition, EventKind, FlowNode, NodeKind

__all__ = ["CAUGHT", "Catch", "find_catches"]

CAUGHT = (EventKind.ERROR, EventKind.ESCALATION, EventKind.CANCEL)
"""What goes outwards from where it is thrown."""


@dataclass(frozen=True, slots=True)
class Catch:
    """What catches an event: a boundary event, or an event sub-process, of the (sub-)process ``scope``."""

    catcher: FlowNode
    scope: str | None
    interrupting: bool
    stays: bool


def find_catches(
    anatomy: Anatomy,
    nodes: Iterable[FlowNode],
    hosted: Mapping[str, Sequence[FlowNode]],
    event_subs: Mapping[str | None, Sequence[FlowNode]],
) -> dict[str, Catch]:
    """Give for every throwing event what catches it, where anything does.

    ``hosted`` has the boundary events by activity, ``event_subs`` the event sub-processes by the scope they lie in.
    """
    found: dict[str, Catch] = {}
    for node in nodes:
        if node.kind not in THROWING:
            continue
        for event in node.events:
            if event.kind in CAUGHT and node.id not in found:
                catch = _catch(anatomy, node, event, hosted, event_subs)
                if catch is not None:
                    found[node.id] = catch
    return found


def _catch(
    anatomy: Anatomy,
    node: FlowNode,
    event: EventDefinition,
    hosted: Mapping[str, Sequence[FlowNode]],
    event_subs: Mapping[str | None, Sequence[FlowNode]],
) -> Catch | None:
    inside: FlowNode = node
    for container in (*list(anatomy.chain(node))[1:], None):
        scope = container.id if container is not None else None
        if not anatomy.is_event_sub(inside):
            found = _matching(event, event_subs.get(scope, ()), anatomy.definitions_of)
            if found is not None:
                return Catch(found, scope, anatomy.trigger_of(found).is_interrupting, stays=True)
        if container is None:
            return None
        found = _matching(event, hosted.get(container.id, ()), lambda border: border.events)
        if found is not None:
            return Catch(found, scope, found.is_interrupting, stays=False)
        if event.kind is EventKind.CANCEL and container.kind is NodeKind.TRANSACTION:
            return None
        inside = container
    return None


def _matching(
    thrown: EventDefinition,
    catchers: Iterable[FlowNode],
    definitions: Callable[[FlowNode], Iterable[EventDefinition]],
) -> FlowNode | None:
    """Give the catcher of the very error or escalation, else one that catches any."""
    borders = [
        (catcher, caught) for catcher in catchers for caught in definitions(catcher) if caught.kind is thrown.kind
    ]
    exact = (catcher for catcher, caught in borders if _same_code(caught, thrown))
    general = (catcher for catcher, caught in borders if caught.ref is None or thrown.ref is None)
    return next(exact, None) or next(general, None)


def _same_code(caught: EventDefinition, thrown: EventDefinition) -> bool:
    if caught.ref is not None and caught.ref == thrown.ref:
        return True
    return caught.reference is not None and caught.reference == thrown.reference
