"""Messages between pools as cause and effect: which elements of a process bring it about that another hears something.

A message that leaves a pool may be answered by any message that can come of it: along the control flow of the pools
that have one, and from a black box whatever it sends at all (BPMN 2.0.2, 9.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_orchestra.generation.control_flow.anatomy import link_of
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, ProcessDocument

__all__ = ["find_senders"]


def find_senders(process: Process, document: ProcessDocument | None) -> Mapping[str, tuple[str, ...]]:
    """Give for every element that a message of another pool comes to the elements that may have caused it.

    Both are ids of the process, in its order. Without any message flow there are none.
    """
    flows = [flow for one in document.collaborations for flow in one.message_flows] if document is not None else []
    own = {node.id for node in process.nodes}
    sent: dict[str, list[str]] = {}
    heard: dict[str, list[str]] = {}
    between: list[tuple[str, str]] = []
    for flow in flows:
        if flow.source in own:
            sent.setdefault(flow.source, []).append(flow.target)
        if flow.target in own:
            heard.setdefault(flow.target, []).append(flow.source)
        if flow.source not in own and flow.target not in own:
            between.append((flow.source, flow.target))
    if not sent or not heard or document is None:
        return {}
    ways = _ways(process, document, between)
    reached = {sender: _reached(targets, ways) for sender, targets in sent.items()}
    senders = [node.id for node in process.nodes if node.id in sent]
    return {
        node.id: found
        for node in process.nodes
        if node.id in heard
        and (found := tuple(sender for sender in senders if _causes(sender, node.id, heard[node.id], reached[sender])))
    }


def _causes(sender: str, receiver: str, sources: Iterable[str], reached: set[str]) -> bool:
    """Whether what a sender brings about in other pools, or itself, sends a receiver its message."""
    return sender != receiver and any(
        source == sender or source in reached or _left(source) in reached for source in sources
    )


def _left(element: str) -> str:
    """Give what stands for a pool, or a sub-process, out of which something comes: not all that goes in comes out."""
    return f"{element}\0left"


def _open(element: str) -> str:
    """Give what stands for a sub-process while anything happens in it."""
    return f"{element}\0open"


def _ways(process: Process, document: ProcessDocument, between: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Give what may follow what outside of a process."""
    ways: dict[str, list[str]] = {}
    for source, target in between:
        ways.setdefault(source, []).append(target)
        ways.setdefault(_left(source), []).append(target)
    others = {other.id: other for other in document.processes if other.id != process.id}
    for other in others.values():
        for source, target in _steps(other):
            ways.setdefault(source, []).append(target)
    for collaboration in document.collaborations:
        for pool in collaboration.participants:
            inside = others.get(pool.process_ref or "")
            for node in inside.nodes if inside is not None else ():
                ways.setdefault(pool.id, []).append(node.id)
                ways.setdefault(node.id, []).append(_left(pool.id))
    return ways


def _steps(process: Process) -> Iterable[tuple[str, str]]:
    """Give the pairs of elements of which the second may follow the first."""
    links: dict[str | None, list[FlowNode]] = {}
    targets = {flow.target for flow in process.flows}
    for node in process.nodes:
        links.setdefault(link_of(node, NodeKind.INTERMEDIATE_CATCH_EVENT), []).append(node)
        if node.attached_to is not None:
            yield node.attached_to, node.id
            yield _open(node.attached_to), node.id
        if node.scope is not None:
            yield _open(node.id), _open(node.scope)
            yield node.id, _left(node.scope)
            yield node.id, _open(node.scope)
            if node.id not in targets:
                yield node.scope, node.id
    for flow in process.flows:
        yield flow.source, flow.target
        yield _left(flow.source), flow.target
    for node in process.nodes:
        name = link_of(node, NodeKind.INTERMEDIATE_THROW_EVENT, NodeKind.END_EVENT)
        for catch in links.get(name, ()) if name is not None else ():
            yield node.id, catch.id


def _reached(starts: Iterable[str], ways: Mapping[str, Iterable[str]]) -> set[str]:
    found = set(starts)
    waiting = list(found)
    while waiting:
        for target in ways.get(waiting.pop(), ()):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found
