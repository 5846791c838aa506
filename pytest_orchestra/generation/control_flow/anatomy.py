"""How the nodes of a process belong together: what lies in what, what is attached to what, what sets off what."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from pytest_orchestra.model.process import EventDefinition, EventKind, FlowNode, NodeKind, Process, SequenceFlow

__all__ = ["THROWING", "Anatomy", "link_of"]

THROWING = (NodeKind.END_EVENT, NodeKind.INTERMEDIATE_THROW_EVENT, NodeKind.IMPLICIT_THROW_EVENT)
"""The kinds of events that set something off."""


class Anatomy:
    """The nodes of a process by id; of several nodes with one id the first."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.known: dict[str, FlowNode] = {}
        for node in process.nodes:
            self.known.setdefault(node.id, node)

    @cached_property
    def targets(self) -> frozenset[str]:
        """The ids of the nodes to which a sequence flow leads."""
        return frozenset(flow.target for flow in self.process.flows)

    @cached_property
    def conditional(self) -> dict[str, SequenceFlow]:
        """The first flow with a condition that leaves a node, by the node's id."""
        found: dict[str, SequenceFlow] = {}
        for flow in self.process.flows:
            if flow.condition is not None:
                found.setdefault(flow.source, flow)
        return found

    @cached_property
    def members(self) -> dict[str | None, tuple[FlowNode, ...]]:
        """The nodes that lie right in each sub-process, by its id; in the process itself under None."""
        found: dict[str | None, list[FlowNode]] = {}
        for node in self.known.values():
            found.setdefault(self.scope(node), []).append(node)
        return {scope: tuple(nodes) for scope, nodes in found.items()}

    def scope(self, node: FlowNode) -> str | None:
        """Give the id of the sub-process that a node lies in."""
        return node.scope if node.scope in self.known else None

    def chain(self, node: FlowNode) -> Iterator[FlowNode]:
        """Give the node and what encloses it, from the inside to the outside."""
        seen: set[str] = set()
        found: FlowNode | None = node
        while found is not None and found.id not in seen:
            seen.add(found.id)
            yield found
            found = self.known.get(found.scope or "")

    def is_event_sub(self, node: FlowNode) -> bool:
        """Whether a node is a sub-process that an event sets off, and no sequence flow."""
        return node.triggered_by_event and node.kind.is_container and node.id not in self.targets

    def starts_of(self, container: FlowNode) -> tuple[FlowNode, ...]:
        """Give the start events that lie right in a sub-process."""
        inner = self.members.get(container.id, ())
        return tuple(node for node in inner if node.kind is NodeKind.START_EVENT)

    def trigger_of(self, event_sub: FlowNode) -> FlowNode:
        """Give the start event of an event sub-process, itself where it has none."""
        return next(iter(self.starts_of(event_sub)), event_sub)

    def definitions_of(self, event_sub: FlowNode) -> tuple[EventDefinition, ...]:
        """Give what an event sub-process waits for."""
        return tuple(event for start in self.starts_of(event_sub) for event in start.events)

    def is_undoing(self, event_sub: FlowNode) -> bool:
        """Whether an event sub-process is for compensation."""
        return any(event.kind is EventKind.COMPENSATE for event in self.definitions_of(event_sub))

    def transaction_of(self, node: FlowNode) -> FlowNode | None:
        """Give the innermost transaction around a node."""
        enclosing = list(self.chain(node))[1:]
        return next((container for container in enclosing if container.kind is NodeKind.TRANSACTION), None)


def link_of(node: FlowNode, *kinds: NodeKind) -> str | None:
    """Give the name of the link, if the node is a link event of one of the kinds."""
    if node.kind not in kinds:
        return None
    for event in node.events:
        if event.kind is EventKind.LINK:
            return event.ref or event.reference or node.name
    return None
