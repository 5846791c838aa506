"""A scenario keeps its key when an unrelated part of the process changes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from process_text import process_of
from suites import plan

from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.model.scenario import ScenarioSuite, TestScenario


def with_task(process: Process, flow: str) -> Process:
    """Give the process with a new task on one of its flows; the flow keeps its id and leads to the task."""
    old = process.flow[flow]
    scope = process.node[old.source].scope
    task = FlowNode("new_task", NodeKind.TASK, scope=scope)
    flows = [replace(each, target=task.id) if each is old else each for each in process.flows]
    return replace(
        process,
        nodes=(*process.nodes, task),
        flows=(*flows, SequenceFlow("new_flow", task.id, old.target)),
    )


def with_block(process: Process, flow: str) -> Process:
    """Give the process with a task that can be passed by, in a block of its own, on one of its flows."""
    old = process.flow[flow]
    scope = process.node[old.source].scope
    split = FlowNode("new_split", NodeKind.EXCLUSIVE_GATEWAY, scope=scope)
    task = FlowNode("new_task", NodeKind.TASK, scope=scope)
    join = FlowNode("new_join", NodeKind.EXCLUSIVE_GATEWAY, scope=scope)
    flows = [replace(each, target=split.id) if each is old else each for each in process.flows]
    new = [
        SequenceFlow("new_in", split.id, task.id),
        SequenceFlow("new_by", split.id, join.id),
        SequenceFlow("new_out", task.id, join.id),
        SequenceFlow("new_on", join.id, old.target),
    ]
    return replace(process, nodes=(*process.nodes, split, task, join), flows=(*flows, *new))


def by_key(suite: ScenarioSuite) -> dict[str, TestScenario]:
    return {scenario.key: scenario for scenario in suite.scenarios}


def moved(process: Process, changed: Process, flow: str) -> list[str]:
    """Give the scenarios that do not pass a flow and have not kept their key and path in the changed process."""
    before, after = by_key(plan(process)), by_key(plan(changed))
    return [
        key
        for key, scenario in before.items()
        if flow not in scenario.flows
        and (key not in after or (after[key].nodes, after[key].flows) != (scenario.nodes, scenario.flows))
    ]


@st.composite
def tree_processes(draw: st.DrawFn, max_gateways: int = 6) -> Process:
    """Exclusive gateways whose branches never meet: every way to an end is one scenario, and none could be another."""
    labels = st.lists(st.sampled_from(["", "yes", "no", "large", "small"]), min_size=2, max_size=3, unique=True)
    budget = draw(st.integers(0, max_gateways))
    nodes = [FlowNode("start", NodeKind.START_EVENT)]
    flows: list[SequenceFlow] = []
    waiting = [("start", "")]
    while waiting:
        source, label = waiting.pop()
        is_gateway = budget > 0 and draw(st.booleans())
        name = f"n{len(nodes)}"
        flows.append(SequenceFlow(f"f{len(flows)}", source, name, label))
        if is_gateway:
            budget -= 1
            nodes.append(FlowNode(name, NodeKind.EXCLUSIVE_GATEWAY, name=draw(st.sampled_from(["", "Size?", "Ok?"]))))
            waiting += [(name, label) for label in draw(labels)]
        else:
            nodes.append(FlowNode(name, NodeKind.END_EVENT))
    return Process("p", "P", nodes=tuple(nodes), flows=tuple(flows))


@given(st.data())
def test_new_task_leaves_scenarios_that_do_not_pass_it_alone(data: st.DataObject) -> None:
    """Key and path are the same, wherever the task; where branches never meet, nothing else could be chosen."""
    process = data.draw(tree_processes())
    flow = data.draw(st.sampled_from([flow.id for flow in process.flows]))
    assert moved(process, with_task(process, flow), flow) == []


@given(st.data())
def test_new_block_leaves_scenarios_that_do_not_pass_it_alone(data: st.DataObject) -> None:
    """Key and path are the same, wherever the block, although there are more scenarios then."""
    process = data.draw(tree_processes())
    flow = data.draw(st.sampled_from([flow.id for flow in process.flows]))
    assert moved(process, with_block(process, flow), flow) == []


def test_new_task_leaves_named_branches_alone() -> None:
    """A task in one branch of a process as people draw them."""
    process = process_of(
        "start > xor1; xor1 -large> a > xor2; xor1 -small> b > end; xor2 -express> c > end; xor2 -standard> d > end"
    )
    for flow in (flow.id for flow in process.flows):
        assert moved(process, with_task(process, flow), flow) == []
