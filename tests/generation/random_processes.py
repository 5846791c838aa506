"""Processes at random: of nested blocks with loops, and without any structure."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_orchestra.model.process import (
    Association,
    Condition,
    EventDefinition,
    EventKind,
    FlowNode,
    LoopCharacteristics,
    LoopKind,
    NodeKind,
    Process,
    SequenceFlow,
)

__all__ = ["arbitrary_processes", "block_processes", "decided_processes", "wild_processes"]


class _Drawing:
    def __init__(self) -> None:
        self.nodes: list[FlowNode] = []
        self.flows: list[SequenceFlow] = []

    def node(self, kind: NodeKind, scope: str | None = None) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(FlowNode(name, kind, scope=scope))
        return name

    def flow(self, source: str, target: str) -> None:
        self.flows.append(SequenceFlow(f"f{len(self.flows)}", source, target))


@st.composite
def block_processes(draw: st.DrawFn, max_blocks: int = 14) -> Process:
    """Well-formed blocks: sequences, exclusive, parallel and inclusive ones, loops, sub-processes, one in another."""
    drawing = _Drawing()
    budget = [draw(st.integers(1, max_blocks))]

    def block(source: str, scope: str | None) -> str:
        budget[0] -= 1
        shape = (
            draw(st.sampled_from(["task", "sequence", "xor", "and", "or", "loop", "sub"])) if budget[0] > 0 else "task"
        )
        if shape == "task":
            task = drawing.node(NodeKind.TASK, scope)
            drawing.flow(source, task)
            return task
        if shape == "sequence":
            return block(block(source, scope), scope)
        if shape == "sub":
            sub = drawing.node(NodeKind.SUB_PROCESS, scope)
            drawing.flow(source, sub)
            last = block(drawing.node(NodeKind.START_EVENT, sub), sub)
            drawing.flow(last, drawing.node(NodeKind.END_EVENT, sub))
            return sub
        if shape == "loop":
            head = drawing.node(NodeKind.EXCLUSIVE_GATEWAY, scope)
            drawing.flow(source, head)
            last = block(head, scope)
            tail = drawing.node(NodeKind.EXCLUSIVE_GATEWAY, scope)
            drawing.flow(last, tail)
            drawing.flow(block(tail, scope) if draw(st.booleans()) else tail, head)
            return tail
        kind = {
            "xor": NodeKind.EXCLUSIVE_GATEWAY,
            "and": NodeKind.PARALLEL_GATEWAY,
            "or": NodeKind.INCLUSIVE_GATEWAY,
        }[shape]
        split = drawing.node(kind, scope)
        drawing.flow(source, split)
        ends = [block(split, scope) for _ in range(draw(st.integers(2, 3)))]
        join = drawing.node(kind, scope)
        for end in ends:
            drawing.flow(end, join)
        return join

    last = block(drawing.node(NodeKind.START_EVENT), None)
    drawing.flow(last, drawing.node(NodeKind.END_EVENT))
    return Process("p", "P", nodes=tuple(drawing.nodes), flows=tuple(drawing.flows))


@st.composite
def wild_processes(draw: st.DrawFn, kinds: tuple[NodeKind, ...], *, cyclic: bool, max_nodes: int = 9) -> Process:
    """Any gateways and flows at random; what nothing leads to and what leads nowhere included."""
    drawing = _Drawing()
    drawing.node(NodeKind.START_EVENT)
    for _ in range(draw(st.integers(1, max_nodes))):
        drawing.node(draw(st.sampled_from(kinds)))
    count = len(drawing.nodes)
    for source in range(count - 1):
        for _ in range(draw(st.integers(1, 3))):
            lowest = 1 if cyclic and draw(st.integers(0, 4)) == 0 else source + 1
            drawing.flow(f"n{source}", f"n{draw(st.integers(lowest, count - 1))}")
    return Process("p", "P", nodes=tuple(drawing.nodes), flows=tuple(drawing.flows))


@st.composite
def decided_processes(draw: st.DrawFn, max_nodes: int = 8) -> Process:
    """Exclusive gateways without cycles, whose conditions compare ``a``, ``b`` or ``c``; the last flow is the default.

    The start event decides nothing: of its flows only one is kept.
    """
    count = draw(st.integers(2, max_nodes))
    nodes: list[FlowNode] = []
    flows: list[SequenceFlow] = []
    for source in range(count):
        targets = draw(st.lists(st.integers(source + 1, count), min_size=1, max_size=3))
        for target in targets[:-1]:
            text = (
                f"{draw(st.sampled_from('abc'))} {draw(st.sampled_from(['==', '>', '<=']))} {draw(st.integers(0, 2))}"
            )
            flows.append(SequenceFlow(f"f{len(flows)}", f"n{source}", f"n{target}", condition=Condition(text)))
        default = f"f{len(flows)}"
        flows.append(SequenceFlow(default, f"n{source}", f"n{targets[-1]}"))
        kind = NodeKind.EXCLUSIVE_GATEWAY if source else NodeKind.START_EVENT
        nodes.append(FlowNode(f"n{source}", kind, default_flow=default if len(targets) > 1 else None))
    nodes.append(FlowNode(f"n{count}", NodeKind.END_EVENT))
    if nodes[0].default_flow is not None:
        flows = [flow for flow in flows if flow.source != "n0" or flow.id == nodes[0].default_flow]
    return Process("p", "P", nodes=tuple(nodes), flows=tuple(flows))


_LOOPS = st.none() | st.builds(
    LoopCharacteristics,
    st.sampled_from(LoopKind),
    cardinality=st.sampled_from([None, Condition("0"), Condition("${3}"), Condition("n"), Condition("?")]),
    collection=st.sampled_from([None, "items"]),
    maximum=st.sampled_from([None, -1, 1, 3]),
    test_before=st.booleans(),
)


@st.composite
def arbitrary_processes(draw: st.DrawFn, max_nodes: int = 8) -> Process:
    """Elements of every kind with fields at random: what no modeller draws and a broken file may still say."""
    count = draw(st.integers(1, max_nodes))
    names = [f"n{number}" for number in range(count)]
    anything = st.sampled_from([*names, "nowhere", ""])
    nodes = []
    for name in names:
        event = st.builds(
            EventDefinition,
            st.sampled_from([*EventKind, EventKind.COMPENSATE]),
            ref=st.sampled_from([None, "E1", "E2", "n0", "n1", "p"]),
        )
        nodes.append(
            FlowNode(
                name,
                draw(st.sampled_from(NodeKind)),
                name=draw(st.sampled_from(["", "Same", name.upper()])),
                scope=draw(st.none() | anything),
                default_flow=draw(st.none() | st.sampled_from(["f0", "f1", "f9"])),
                events=tuple(draw(st.lists(event, max_size=2))),
                attached_to=draw(st.none() | anything),
                is_interrupting=draw(st.booleans()),
                triggered_by_event=draw(st.integers(0, 4)) == 0,
                is_for_compensation=draw(st.integers(0, 6)) == 0,
                instantiate=draw(st.booleans()),
                loop=draw(_LOOPS),
                event_gateway_type=draw(st.sampled_from([None, "Exclusive", "Parallel"])),
                activation_condition=draw(st.sampled_from([None, Condition("activationCount >= 2"), Condition("")])),
            )
        )
    conditions = st.sampled_from([None, Condition("a > 1"), Condition("${b}"), Condition("")])
    flows = [
        SequenceFlow(f"f{number}", draw(anything), draw(anything), draw(st.sampled_from(["", "yes"])), draw(conditions))
        for number in range(draw(st.integers(0, 2 * count)))
    ]
    associations = tuple(
        Association(f"a{number}", draw(anything), draw(anything)) for number in range(draw(st.integers(0, count)))
    )
    return Process("p", "P", nodes=tuple(nodes), flows=tuple(flows), associations=associations)
