"""Messages between pools that nothing can ever send."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_orchestra.generation.linting.findings import Finding
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.token_game.game import Game
from pytest_orchestra.generation.wording import describe
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind, Process, ProcessDocument
from pytest_orchestra.problem import Severity

__all__ = ["judge_messages"]

_RECEIVING = (NodeKind.INTERMEDIATE_CATCH_EVENT, NodeKind.BOUNDARY_EVENT, NodeKind.RECEIVE_TASK, NodeKind.START_EVENT)


def judge_messages(game: Game, document: ProcessDocument | None) -> Iterator[Finding]:
    """Find the events and tasks that wait for a message which nothing can send: its sender is never reached."""
    process = game.graph.process
    senders: dict[str, list[str]] = {}
    for collaboration in document.collaborations if document is not None else ():
        for flow in collaboration.message_flows:
            node = process.node.get(flow.target)
            if node is not None and node.kind in _RECEIVING:
                senders.setdefault(node.id, []).append(flow.source)
    if document is None or not senders:
        return
    owner = {node.id: other for other in document.processes for node in other.nodes if other.id != process.id}
    reached: dict[str, frozenset[str]] = {}
    for element, sources in senders.items():
        others = [owner[source] for source in sources if source in owner]
        if len(others) < len(sources):
            continue  # a pool of which nothing is known may send it
        for other in others:
            if other.id not in reached:
                reached[other.id] = _reachable_nodes(other)
        if any(source in reached[other.id] for source, other in zip(sources, others, strict=True)):
            continue
        node, sender = process.node[element], others[0].node[sources[0]]
        fact = f"{describe(node)} waits for a message of {describe(sender)}, which cannot be reached from a start"
        yield Finding(
            Rule.DEAD_MESSAGE, Severity.WARNING, node, fact, "lead a flow to the sender, or remove the message"
        )


def _reachable_nodes(process: Process) -> frozenset[str]:
    """Give the nodes that may be reached, in doubt one more: what has no flow to it and may be set off by an event."""
    inside: dict[str | None, list[FlowNode]] = {}
    hosted: dict[str | None, list[FlowNode]] = {}
    for node in process.nodes:
        if node.kind is NodeKind.BOUNDARY_EVENT:
            hosted.setdefault(node.attached_to, []).append(node)
        else:
            inside.setdefault(node.scope if node.scope in process.node else None, []).append(node)
    found: dict[str, None] = {}
    waiting = _begins(process, inside.get(None, []))
    while waiting:
        node = waiting.pop()
        if node.id not in found:
            found[node.id] = None
            waiting += _begins(process, inside.get(node.id, []))
            waiting += hosted.get(node.id, [])
            waiting += [process.node[flow.target] for flow in process.outgoing[node.id] if flow.target in process.node]
    return frozenset(found)


def _begins(process: Process, nodes: list[FlowNode]) -> list[FlowNode]:
    unasked = [node for node in nodes if not process.incoming[node.id]]
    starts = [node for node in unasked if node.kind is NodeKind.START_EVENT or node.instantiate]
    if not starts:
        return unasked
    return starts + [node for node in unasked if _is_set_off(node)]


def _is_set_off(node: FlowNode) -> bool:
    is_link = any(event.kind is EventKind.LINK for event in node.events)
    return is_link or node.triggered_by_event or node.is_for_compensation
