"""Which elements come before an element on every way to it.

A forward data-flow analysis to its greatest fixed point: where ways meet, only what lies on all of them is certain,
except at a parallel join, which waits for all of them (Aho, Sethi, Ullman, Compilers, 10.6: available expressions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_orchestra.model.process import FlowNode, NodeKind, Process

__all__ = ["Precedence"]


class Precedence:
    """Knows which nodes of a process have come before a node, however it is reached.

    What lies within a sub-process comes before what follows it if it lies on every way through. A node that cannot be
    reached has everything before it; that does no harm.
    """

    def __init__(self, process: Process) -> None:
        self._bit = {node.id: 1 << index for index, node in enumerate(process.nodes)}
        self._before = _analyse(process, self._bit)

    def is_before(self, first: str, second: str) -> bool:
        """Tell whether the first node has always come before the second."""
        return bool(self._before.get(second, 0) & self._bit.get(first, 0))


def _analyse(process: Process, bit: Mapping[str, int]) -> Mapping[str, int]:
    nodes = {node.id: node for node in process.nodes}
    order = list(nodes)
    sources = {node: _sources(process, nodes, nodes[node]) for node in order}
    ends = _ends(process, nodes)
    everything = (1 << len(order)) - 1
    before = dict.fromkeys(order, everything)
    after = dict.fromkeys(order, everything)
    followers: dict[str, list[str]] = {node: [] for node in order}
    for node in order:
        for source in sources[node]:
            followers[source].append(node)
    for container, inner in ends.items():
        for end in inner:
            followers[end].append(container)
    waiting = dict.fromkeys(order)
    while waiting:
        node = next(iter(waiting))
        del waiting[node]
        entered = _met(nodes[node], [_given(nodes[node], nodes[s], before[s], after[s]) for s in sources[node]])
        left = entered | bit[node]
        if ends.get(node):
            left |= _met(None, [after[end] for end in ends[node]])
        if (entered, left) != (before[node], after[node]):
            before[node], after[node] = entered, left
            waiting |= dict.fromkeys(followers[node])
    return before


def _sources(process: Process, nodes: Mapping[str, FlowNode], node: FlowNode) -> list[str]:
    """Give the nodes that a node is reached from: by flows, from what it is attached to, from what it lies in."""
    found = [flow.source for flow in process.incoming.get(node.id, ()) if flow.source in nodes]
    if node.attached_to in nodes and node.attached_to is not None:
        found.append(node.attached_to)
    if not found and node.scope in nodes and node.scope is not None:
        found.append(node.scope)
    return found


def _given(node: FlowNode, source: FlowNode, before: int, after: int) -> int:
    """Give what is certain at a node that is reached from a source: while that still runs, only what came before."""
    return before if source.id in (node.attached_to, node.scope) else after


def _met(node: FlowNode | None, ways: Sequence[int]) -> int:
    if not ways:
        return 0
    met = ways[0]
    for way in ways[1:]:
        met = met | way if node is not None and node.kind is NodeKind.PARALLEL_GATEWAY else met & way
    return met


def _ends(process: Process, nodes: Mapping[str, FlowNode]) -> dict[str, list[str]]:
    """Give, for each sub-process, the nodes in it at which a way through it ends."""
    found: dict[str, list[str]] = {}
    for node in nodes.values():
        holder = nodes.get(node.scope or "")
        if holder is None or holder.triggered_by_event or node.triggered_by_event:
            continue
        if not process.outgoing.get(node.id) and not node.is_for_compensation and node.attached_to is None:
            found.setdefault(holder.id, []).append(node.id)
    return found
