"""Processes at random with all that has a scope, and a check of scenarios that knows nothing of how they are made.

Blocks of tasks, gateways, loops and sub-processes; on them boundary events, event sub-processes, compensation, and
activities that repeat. Whatever is drawn can end on every way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from hypothesis import strategies as st

from pytest_orchestra.model.process import (
    Association,
    EventDefinition,
    EventKind,
    FlowNode,
    LoopCharacteristics,
    LoopKind,
    NodeKind,
    Process,
    SequenceFlow,
)

__all__ = ["check_play", "scoped_processes"]

_SHAPES = ("task", "sequence", "xor", "and", "loop", "sub", "bordered", "beside", "repeated", "undoable")


class _Drawing:
    def __init__(self, draw: st.DrawFn, budget: int) -> None:
        self.draw = draw
        self.budget = budget
        self.nodes: list[FlowNode] = []
        self.flows: list[SequenceFlow] = []
        self.associations: list[Association] = []

    def node(self, kind: NodeKind, scope: str | None, **fields: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(FlowNode(name, kind, scope=scope, **fields))  # type: ignore[arg-type]
        return name

    def flow(self, *names: str) -> None:
        for source, target in pairwise(names):
            self.flows.append(SequenceFlow(f"f{len(self.flows)}", source, target))

    def block(self, source: str, scope: str | None) -> str:
        """Draw a block behind a node; give its last node."""
        self.budget -= 1
        shape = self.draw(st.sampled_from(_SHAPES)) if self.budget > 0 else "task"
        if shape == "sequence":
            return self.block(self.block(source, scope), scope)
        if shape in ("xor", "and"):
            return self.branches(source, scope, shape)
        if shape == "loop":
            return self.loop(source, scope)
        if shape == "sub":
            sub = self.node(NodeKind.SUB_PROCESS, scope, loop=self.loop_marker())
            self.flow(source, sub)
            self.inside(sub)
            return self.bordered(sub, scope) if self.draw(st.booleans()) else sub
        task = self.node(NodeKind.TASK, scope, loop=self.loop_marker() if shape == "repeated" else None)
        self.flow(source, task)
        if shape == "bordered":
            return self.bordered(task, scope)
        if shape == "beside":
            self.beside(task, scope)
        if shape == "undoable":
            border = self.node(NodeKind.BOUNDARY_EVENT, scope, attached_to=task, events=_events(EventKind.COMPENSATE))
            undo = self.node(NodeKind.TASK, scope, is_for_compensation=True)
            self.associations.append(Association(f"a{len(self.associations)}", border, undo))
        return task

    def loop_marker(self) -> LoopCharacteristics | None:
        kind = self.draw(st.sampled_from([None, *LoopKind]))
        return LoopCharacteristics(kind) if kind is not None else None

    def branches(self, source: str, scope: str | None, shape: str) -> str:
        kind = NodeKind.EXCLUSIVE_GATEWAY if shape == "xor" else NodeKind.PARALLEL_GATEWAY
        split = self.node(kind, scope)
        self.flow(source, split)
        ends = [self.block(split, scope) for _ in range(self.draw(st.integers(2, 3)))]
        join = self.node(kind, scope)
        for end in ends:
            self.flow(end, join)
        return join

    def loop(self, source: str, scope: str | None) -> str:
        head = self.node(NodeKind.EXCLUSIVE_GATEWAY, scope)
        self.flow(source, head)
        last = self.block(head, scope)
        tail = self.node(NodeKind.EXCLUSIVE_GATEWAY, scope)
        self.flow(last, tail, head)
        return tail

    def bordered(self, activity: str, scope: str | None) -> str:
        """Let an event interrupt an activity; both ways meet again."""
        border = self.node(NodeKind.BOUNDARY_EVENT, scope, attached_to=activity, events=_events(EventKind.TIMER))
        help_task = self.node(NodeKind.TASK, scope)
        merge = self.node(NodeKind.EXCLUSIVE_GATEWAY, scope)
        self.flow(activity, merge)
        self.flow(border, help_task, merge)
        return merge

    def beside(self, activity: str, scope: str | None) -> None:
        """Let an event happen during an activity that does not interrupt it."""
        events = _events(EventKind.MESSAGE)
        border = self.node(NodeKind.BOUNDARY_EVENT, scope, attached_to=activity, events=events, is_interrupting=False)
        self.flow(border, self.node(NodeKind.TASK, scope), self.node(NodeKind.END_EVENT, scope))

    def inside(self, scope: str | None) -> None:
        """Draw all that a (sub-)process holds."""
        last = self.block(self.node(NodeKind.START_EVENT, scope), scope)
        if self.draw(st.booleans()):
            throw = self.node(NodeKind.INTERMEDIATE_THROW_EVENT, scope, events=_events(EventKind.COMPENSATE))
            self.flow(last, throw)
            last = throw
        self.flow(last, self.node(NodeKind.END_EVENT, scope))
        for _ in range(self.draw(st.integers(0, 2)) if self.budget > 0 else 0):
            event_sub = self.node(NodeKind.SUB_PROCESS, scope, triggered_by_event=True)
            start = self.node(
                NodeKind.START_EVENT,
                event_sub,
                events=_events(EventKind.SIGNAL),
                is_interrupting=self.draw(st.booleans()),
            )
            self.flow(self.block(start, event_sub), self.node(NodeKind.END_EVENT, event_sub))


def _events(kind: EventKind) -> tuple[EventDefinition, ...]:
    return (EventDefinition(kind),)


@st.composite
def scoped_processes(draw: st.DrawFn, max_blocks: int = 12) -> Process:
    """Give a well-formed process with sub-processes and all that happens at their borders and in them."""
    drawing = _Drawing(draw, draw(st.integers(1, max_blocks)))
    drawing.inside(None)
    return Process(
        "p",
        "P",
        nodes=tuple(drawing.nodes),
        flows=tuple(drawing.flows),
        associations=tuple(drawing.associations),
    )


def check_play(process: Process, nodes: tuple[str, ...], flows: tuple[str, ...]) -> None:
    """Fail unless every node of a scenario had a reason to come when it came, and every flow came to its target.

    A node comes by a flow that was taken, as the first of a scope that has begun, as an event at the border of an
    activity that has begun, or as a handler of what has been completed. Nothing but the process as drawn is known here.
    """
    taken = Counter(flows)
    begun: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for node in nodes:
        for incoming in _needed(process, node, taken, came, begun):
            came[incoming] += 1
            source = process.flow[incoming].source
            skipped = process.node[source].loop is not None
            assert begun[source] or skipped, f"'{node}' comes by '{incoming}' before '{source}'"
        if not process.incoming[node]:
            assert _has_reason(process, node, begun), f"'{node}' comes without a reason, after {dict(begun)}"
        begun[node] += 1
    for flow, times in taken.items():
        skipped = process.node[process.flow[flow].target].loop is not None
        assert came[flow] == times or (skipped and came[flow] < times), f"'{flow}' leads nowhere"
    _check_undone(process, nodes)


def _needed(process: Process, node: str, taken: Counter[str], came: Counter[str], begun: Counter[str]) -> Iterator[str]:
    incoming = [flow.id for flow in process.incoming[node]]
    if process.node[node].kind is NodeKind.PARALLEL_GATEWAY:
        yield from incoming
        return
    due = [flow for flow in incoming if came[flow] < taken[flow]]
    assert due or not incoming or process.node[node].loop is not None, f"no flow leads to '{node}' any more"
    ready = [flow for flow in due if begun[process.flow[flow].source] > came[flow]]
    skipped = [flow for flow in due if process.node[process.flow[flow].source].loop is not None]
    yield from (ready or skipped or due)[:1]


def _has_reason(process: Process, name: str, begun: Counter[str]) -> bool:
    node = process.node[name]
    if node.attached_to is not None:
        return begun[node.attached_to] > 0
    if node.is_for_compensation:
        return begun[name] < sum(begun[one.source or ""] for one in process.associations if one.target == name)
    if node.scope is None and node.kind is NodeKind.START_EVENT:
        return not begun
    return node.scope is None or begun[node.scope] > 0


def _check_undone(process: Process, nodes: tuple[str, ...]) -> None:
    """Handlers that follow each other undo what was done last first, and each visit of an activity at most once."""
    undone_by = {one.target: process.node[one.source or ""].attached_to for one in process.associations}
    done = Counter(nodes)
    for handler, activity in undone_by.items():
        assert done[handler or ""] <= done[activity or ""]
    for position, node in enumerate(nodes[3:], 3):
        earlier = nodes[position - 2]
        if node in undone_by and earlier in undone_by:
            one, other = undone_by[earlier], undone_by[node]
            before = nodes[:position]
            assert one == other or before.index(other) < _last(before, one)


def _last(nodes: tuple[str, ...], name: str | None) -> int:
    return max(index for index, node in enumerate(nodes) if node == name)
