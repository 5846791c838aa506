"""Processes at random that another engine can execute as a scenario decides: conditions ask ``choice``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import strategies as st
from process_text import events
from random_processes import wild_processes
from replay import reach

from pytest_orchestra.model.process import (
    Condition,
    EventKind,
    FlowNode,
    LoopCharacteristics,
    LoopKind,
    NodeKind,
    Process,
    SequenceFlow,
)

__all__ = ["CALLED", "eventful_processes", "is_safe", "steered", "tidy_processes"]

CALLED = Process(
    "called",
    "Called",
    nodes=(
        FlowNode("called_start", NodeKind.START_EVENT),
        FlowNode("called_task", NodeKind.TASK),
        FlowNode("called_end", NodeKind.END_EVENT),
    ),
    flows=(
        SequenceFlow("called_1", "called_start", "called_task"),
        SequenceFlow("called_2", "called_task", "called_end"),
    ),
)
"""What every call activity calls."""

_STEERED = (NodeKind.EXCLUSIVE_GATEWAY, NodeKind.INCLUSIVE_GATEWAY)


def steered(process: Process) -> Process:
    """Give the process with a condition on every flow that a gateway may choose."""
    return replace(
        process,
        flows=tuple(
            replace(flow, condition=Condition(f"choice('{flow.source}', '{flow.id}')"))
            if process.node[flow.source].kind in _STEERED and len(process.outgoing[flow.source]) > 1
            else flow
            for flow in process.flows
        ),
    )


@st.composite
def tidy_processes(draw: st.DrawFn, kinds: tuple[NodeKind, ...], *, cyclic: bool, max_nodes: int = 11) -> Process:
    """Any gateways and flows, as far as SpiffWorkflow takes them.

    It tells flows apart by their ends, and refuses several flows out of a task; what leads nowhere has to be an end.
    """
    process = draw(wild_processes(kinds, cyclic=cyclic, max_nodes=max_nodes))
    flows = {(flow.source, flow.target): flow for flow in reversed(process.flows)}
    process = replace(process, flows=tuple(flow for flow in process.flows if flow in flows.values()))
    return steered(_spaced(replace(process, nodes=tuple(_tidy(process, node) for node in process.nodes))))


def _spaced(process: Process) -> Process:
    """Put a task before every inclusive join that a split leads to.

    SpiffWorkflow asks the join whether to wait before the other branches of that split have their tokens.
    """
    nodes, flows = list(process.nodes), list[SequenceFlow]()
    for flow in process.flows:
        is_join = (
            process.node[flow.target].kind is NodeKind.INCLUSIVE_GATEWAY and len(process.incoming[flow.target]) > 1
        )
        if is_join and len(process.outgoing[flow.source]) > 1:
            nodes.append(FlowNode(f"between_{flow.id}", NodeKind.TASK))
            flows.append(SequenceFlow(f"{flow.id}_on", f"between_{flow.id}", flow.target))
            flow = replace(flow, target=f"between_{flow.id}")  # noqa: PLW2901 - the flow ends there now
        flows.append(flow)
    return replace(process, nodes=tuple(nodes), flows=tuple(flows))


def _tidy(process: Process, node: FlowNode) -> FlowNode:
    """Give the node as SpiffWorkflow takes it; a parallel join on a cycle without structure it plays too early."""
    if node.kind is NodeKind.START_EVENT:
        return node
    if not process.outgoing[node.id]:
        return replace(node, kind=NodeKind.END_EVENT)
    if node.kind is NodeKind.TASK and len(process.outgoing[node.id]) > 1:
        node = replace(node, kind=NodeKind.PARALLEL_GATEWAY)
    joins = node.kind is NodeKind.PARALLEL_GATEWAY and len(process.incoming[node.id]) > 1
    if joins and any(node.id in reach(process, flow.target) for flow in process.outgoing[node.id]):
        return replace(node, kind=NodeKind.EXCLUSIVE_GATEWAY)
    return node


def is_safe(process: Process) -> bool:
    """Whether no flow ever carries two tokens at once, whatever exclusive gateways decide; inclusive ones are unknown.

    SpiffWorkflow has no place for a second token ("TODO: not implemented" in its parallel and inclusive gateways).
    """
    start = next(node.id for node in process.nodes if node.kind is NodeKind.START_EVENT)
    waiting = [frozenset(flow.id for flow in process.outgoing[start])]
    seen = set(waiting)
    while waiting:
        marking = waiting.pop()
        for node in process.nodes:
            incoming = frozenset(flow.id for flow in process.incoming[node.id])
            present = incoming & marking
            is_parallel = node.kind is NodeKind.PARALLEL_GATEWAY
            consumed = ([incoming] if present == incoming else []) if is_parallel else [{flow} for flow in present]
            outgoing = [flow.id for flow in process.outgoing[node.id]]
            one_of = node.kind is NodeKind.EXCLUSIVE_GATEWAY and outgoing
            for used in consumed if present else ():
                for chosen in [{flow} for flow in outgoing] if one_of else [set(outgoing)]:
                    rest = marking - used
                    if rest & chosen:
                        return False
                    following = rest | chosen
                    if following not in seen:
                        seen.add(following)
                        waiting.append(following)
    return True


_PLAIN = ("task", "sequence", "sub")
_SPLITS = {
    "xor": NodeKind.EXCLUSIVE_GATEWAY,
    "and": NodeKind.PARALLEL_GATEWAY,
    "or": NodeKind.INCLUSIVE_GATEWAY,
}


class _Builder:
    def __init__(self, draw: st.DrawFn, shapes: Iterable[str], blocks: int) -> None:
        self._draw = draw
        self._shapes = tuple(shapes)
        self._left = blocks
        self._is_alone = False
        self.nodes: list[FlowNode] = []
        self.flows: list[SequenceFlow] = []

    def add(self, kind: NodeKind, scope: str | None, *sources: str, **details: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(FlowNode(**{"id": name, "kind": kind, "scope": scope, **details}))
        self.lead(name, *sources)
        return name

    def lead(self, target: str, *sources: str) -> None:
        for source in sources:
            self.flows.append(SequenceFlow(f"f{len(self.flows)}", source, target))

    def block(self, source: str, scope: str | None) -> str:
        self._left -= 1
        shapes = _PLAIN if self._is_alone else self._shapes
        shape = self._draw(st.sampled_from(shapes)) if self._left > 0 else "task"
        if shape in _SPLITS:
            return self._split(_SPLITS[shape], source, scope)
        return getattr(self, f"_{shape}")(source, scope)

    def _task(self, source: str, scope: str | None) -> str:
        return self.add(NodeKind.TASK, scope, source)

    def _sequence(self, source: str, scope: str | None) -> str:
        return self.block(self.block(source, scope), scope)

    def _sub(self, source: str, scope: str | None) -> str:
        sub = self.add(NodeKind.SUB_PROCESS, scope, source)
        self._fill(sub)
        return sub

    def _fill(self, sub: str) -> None:
        before, self._is_alone = self._is_alone, False
        start = self.add(NodeKind.START_EVENT, sub)
        self.add(NodeKind.END_EVENT, sub, self.block(start, sub))
        self._is_alone = before

    def _split(self, kind: NodeKind, source: str, scope: str | None) -> str:
        """Give a block; within an inclusive one no branch divides, but for what sub-processes hold.

        SpiffWorkflow looks for what an inclusive join must wait for on one way back only, where branches have merged.
        """
        split = self.add(kind, scope, source)
        before, self._is_alone = self._is_alone, self._is_alone or kind is NodeKind.INCLUSIVE_GATEWAY
        ends = [self.block(split, scope) for _ in range(self._draw(st.integers(2, 3)))]
        self._is_alone = before
        return self.add(kind, scope, *ends)

    def _loop(self, source: str, scope: str | None) -> str:
        head = self.add(NodeKind.EXCLUSIVE_GATEWAY, scope, source)
        tail = self.add(NodeKind.EXCLUSIVE_GATEWAY, scope, self.block(head, scope))
        self.lead(head, self.block(tail, scope))
        return tail

    def _border(self, host: str, kind: EventKind, scope: str | None, *, interrupting: bool) -> str:
        name = f"n{len(self.nodes)}"
        return self.add(
            NodeKind.BOUNDARY_EVENT,
            scope,
            attached_to=host,
            is_interrupting=interrupting,
            events=events(kind, ref=f"ref_{name}"),
        )

    def _interrupted(self, source: str, scope: str | None) -> str:
        """Give an activity with one or two events that interrupt it; all ways meet again."""
        host = self.add(NodeKind.TASK, scope, source) if self._draw(st.booleans()) else self._sub(source, scope)
        kinds = st.sampled_from([EventKind.MESSAGE, EventKind.SIGNAL, EventKind.TIMER])
        borders = [
            self._border(host, self._draw(kinds), scope, interrupting=True)
            for _ in range(self._draw(st.integers(1, 2)))
        ]
        return self.add(NodeKind.EXCLUSIVE_GATEWAY, scope, host, *(self.block(border, scope) for border in borders))

    def _accompanied(self, source: str, scope: str | None) -> str:
        """Give a task with an event that does not interrupt it and has an end of its own."""
        host = self.add(NodeKind.TASK, scope, source)
        border = self._border(host, EventKind.MESSAGE, scope, interrupting=False)
        self.add(NodeKind.END_EVENT, scope, self.add(NodeKind.TASK, scope, border))
        return host

    def _awaited(self, source: str, scope: str | None) -> str:
        """Give an event-based gateway and what it waits for."""
        gateway = self.add(NodeKind.EVENT_BASED_GATEWAY, scope, source)
        ends = [self.block(self._catch(gateway, scope), scope) for _ in range(self._draw(st.integers(2, 3)))]
        return self.add(NodeKind.EXCLUSIVE_GATEWAY, scope, *ends)

    def _catch(self, source: str, scope: str | None) -> str:
        kind = self._draw(st.sampled_from([EventKind.MESSAGE, EventKind.SIGNAL]))
        ref = f"ref_n{len(self.nodes)}"
        return self.add(NodeKind.INTERMEDIATE_CATCH_EVENT, scope, source, events=events(kind, ref=ref))

    def _throw(self, source: str, scope: str | None) -> str:
        return self.add(NodeKind.INTERMEDIATE_THROW_EVENT, scope, source)

    def _failing(self, source: str, scope: str | None) -> str:
        """Give a sub-process that may end with an error, which is caught at its border."""
        sub = self.add(NodeKind.SUB_PROCESS, scope, source)
        gateway = self.add(NodeKind.EXCLUSIVE_GATEWAY, sub, self.add(NodeKind.START_EVENT, sub))
        self.add(NodeKind.END_EVENT, sub, self.block(gateway, sub))
        error = events(EventKind.ERROR, ref=f"error_{sub}")
        self.add(NodeKind.END_EVENT, sub, self.block(gateway, sub), events=error)
        border = self.add(NodeKind.BOUNDARY_EVENT, scope, attached_to=sub, events=error)
        return self.add(NodeKind.EXCLUSIVE_GATEWAY, scope, sub, self.block(border, scope))

    def _stopping(self, source: str, scope: str | None) -> str:
        """Give a choice one branch of which ends the whole (sub-)process."""
        gateway = self.add(NodeKind.EXCLUSIVE_GATEWAY, scope, source)
        self.add(NodeKind.END_EVENT, scope, self.block(gateway, scope), events=events(EventKind.TERMINATE))
        return self.block(gateway, scope)

    def _call(self, source: str, scope: str | None) -> str:
        return self.add(NodeKind.CALL_ACTIVITY, scope, source, called_element=CALLED.id)

    def _several(self, source: str, scope: str | None) -> str:
        kind = self._draw(st.sampled_from([LoopKind.PARALLEL_MULTI_INSTANCE, LoopKind.SEQUENTIAL_MULTI_INSTANCE]))
        loop = LoopCharacteristics(kind=kind, cardinality=Condition("2"))
        return self.add(NodeKind.TASK, scope, source, loop=loop)


@st.composite
def eventful_processes(draw: st.DrawFn, shapes: tuple[str, ...], max_blocks: int = 9) -> Process:
    """Give nested blocks of the shapes, of which sequences, tasks and sub-processes are always some."""
    builder = _Builder(draw, (*_PLAIN, *shapes), draw(st.integers(2, max_blocks)))
    last = builder.block(builder.add(NodeKind.START_EVENT, None), None)
    builder.add(NodeKind.END_EVENT, None, last)
    return steered(Process("p", "P", nodes=tuple(builder.nodes), flows=tuple(builder.flows)))
