"""Keys outlive changes elsewhere: what a scenario is called by stays when a task, a choice or a branch comes in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from process_text import process_of
from steered_processes import eventful_processes
from suites import plan

from pytest_orchestra.generation.limits import MAX_KEY_LENGTH
from pytest_orchestra.generation.scenarios.keys import MAIN
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.model.scenario import TestScenario

THOROUGH = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def named(process: Process) -> Process:
    """Give every flow a name: without one, a branch is called by what it leads to."""
    return replace(process, flows=tuple(replace(flow, name=flow.id, condition=None) for flow in process.flows))


NAMED = eventful_processes(("xor", "and")).map(named)


def scenarios_of(process: Process) -> tuple[TestScenario, ...]:
    return plan(process, criteria=[Criterion.EDGE]).scenarios


def with_task(process: Process, flow: SequenceFlow) -> Process:
    """Put a task into a flow."""
    task = FlowNode("inserted", NodeKind.TASK, "Inserted", scope=process.node[flow.source].scope)
    onward = SequenceFlow("inserted_on", task.id, flow.target)
    flows = tuple(replace(one, target=task.id) if one is flow else one for one in process.flows)
    return replace(process, nodes=(*process.nodes, task), flows=(*flows, onward))


def with_choice(process: Process, flow: SequenceFlow) -> Process:
    """Put an exclusive gateway with two ways, and the one where they meet, into a flow."""
    scope = process.node[flow.source].scope
    kinds = {"split": NodeKind.EXCLUSIVE_GATEWAY, "one": NodeKind.TASK, "other": NodeKind.TASK}
    kinds["met"] = NodeKind.EXCLUSIVE_GATEWAY
    nodes = tuple(FlowNode(f"new_{name}", kind, f"New {name}", scope=scope) for name, kind in kinds.items())
    pairs = [("split", "one"), ("split", "other"), ("one", "met"), ("other", "met")]
    added = [SequenceFlow(f"new_{a}_{b}", f"new_{a}", f"new_{b}") for a, b in pairs]
    added.append(SequenceFlow("new_on", "new_met", flow.target))
    flows = tuple(replace(one, target="new_split") if one is flow else one for one in process.flows)
    return replace(process, nodes=(*process.nodes, *nodes), flows=(*flows, *added))


@THOROUGH
@given(NAMED, st.data())
def test_task_put_into_a_flow_leaves_every_key(process: Process, data: st.DataObject) -> None:
    """No decision changes, so that no scenario is called otherwise."""
    flow = data.draw(st.sampled_from(process.flows))
    before = [scenario.key for scenario in scenarios_of(process)]
    assert sorted(scenario.key for scenario in scenarios_of(with_task(process, flow))) == sorted(before)


@THOROUGH
@given(NAMED)
def test_other_names_and_texts_leave_every_key(process: Process) -> None:
    """The names of process and nodes, and documentation, say nothing of a key where branches have names."""
    renamed = tuple(replace(node, name=f"Renamed {node.id}", documentation="text") for node in process.nodes)
    before = [scenario.key for scenario in scenarios_of(process)]
    assert [s.key for s in scenarios_of(replace(process, name="Other", documentation="x", nodes=renamed))] == before


@THOROUGH
@given(NAMED, st.data())
def test_choice_put_into_a_flow_leaves_what_other_keys_are_made_of(process: Process, data: st.DataObject) -> None:
    """A scenario that does not pass the new decision may be told apart by more or fewer branches, never by others."""
    flow = data.draw(st.sampled_from(process.flows))
    before = [scenario for scenario in scenarios_of(process) if flow.id not in scenario.flows]
    assume(before)
    after = {scenario.nodes: scenario.key for scenario in scenarios_of(with_choice(process, flow))}
    for scenario in before:
        old, new = scenario.key, after.get(scenario.nodes, scenario.key)
        if max(len(old), len(new)) < MAX_KEY_LENGTH and MAIN not in (old, new):
            parts = sorted((old.split("-"), new.split("-")), key=len)
            assert is_part(*parts), (old, new)


def is_part(few: list[str], many: list[str]) -> bool:
    """Whether the few are among the many, in the same order."""
    left = iter(many)
    return all(one in left for one in few)


INCLUSIVE = (
    "start > or1; or1 -one> xor1; xor1 -a> t1 > xor2; xor1 -b> t2 > xor2; xor1 -c> t3 > xor2; xor2 > or2;"
    "or1 -two> t4 > or2; or1 -three> t5 > or2; or2 > end"
)
"""Inclusive branches of which the first has alternatives."""

NESTED_LOOPS = (
    "start > xor1 > xor2 > xor3; xor3 -a> t1 > xor4; xor3 -b> t2 > xor4; xor4 > xor5; xor5 -inner> t3 > xor2;"
    "xor5 -on> xor6; xor6 -outer> t4 > xor1; xor6 -off> t5 > end"
)
"""A choice within a loop within a loop."""


def test_choice_beside_an_inclusive_branch_leaves_the_other_keys() -> None:
    """The scenarios that take ``b`` and ``c`` have nothing to do with what is new behind ``a``."""
    process = process_of(INCLUSIVE)
    before = {scenario.nodes: scenario.key for scenario in scenarios_of(process)}
    changed = with_choice(process, process.flow["t1>xor2"])
    after = {scenario.nodes: scenario.key for scenario in scenarios_of(changed)}
    others = {nodes: key for nodes, key in before.items() if "t1" not in nodes}
    assert others
    assert {nodes: after.get(nodes) for nodes in others} == others


@pytest.mark.xfail(strict=True, reason="runs are combined by how many nodes they gain, so that a task moves a choice")
@pytest.mark.parametrize("text", [INCLUSIVE, NESTED_LOOPS], ids=["inclusive", "loops"])
def test_task_leaves_the_keys_where_runs_could_be_combined_otherwise(text: str) -> None:
    """Which alternative goes with which repetition or other branch is not a matter of how long it is."""
    process = process_of(text)
    before = [scenario.key for scenario in scenarios_of(process)]
    for flow in process.flows:
        assert sorted(s.key for s in scenarios_of(with_task(process, flow))) == sorted(before), flow.id


def alternatives(names: list[str], changed: int | None = None) -> Process:
    """Give a gateway with a branch for each name, each through a task; one of them may have a choice of its own."""
    branches = ";".join(f"xor -{name}> do{name} > end" for name in names)
    process = process_of(f"start > xor; {branches}")
    return process if changed is None else with_choice(process, process.flow[f"do{names[changed]}>end"])


_NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=8, unique=True)


@given(_NAMES, st.data())
def test_every_other_branch_keeps_path_and_key_when_one_changes(names: list[str], data: st.DataObject) -> None:
    """Where branches share nothing, no other scenario may be touched by a choice within one of them."""
    changed = data.draw(st.integers(0, len(names) - 1))
    before = {scenario.key: scenario.nodes for scenario in scenarios_of(alternatives(names))}
    after = {scenario.key: scenario.nodes for scenario in scenarios_of(alternatives(names, changed))}
    others = {key: nodes for key, nodes in before.items() if f"do{names[changed]}" not in nodes}
    assert len(others) == len(before) - 1
    assert {key: after.get(key) for key in others} == others


@given(_NAMES, st.data())
def test_new_branch_leaves_the_keys_of_the_others(names: list[str], data: st.DataObject) -> None:
    """A branch more, wherever it is drawn, is a scenario more."""
    position = data.draw(st.integers(0, len(names)))
    more = [*names[:position], "new", *names[position:]]
    before = {scenario.key: scenario.nodes for scenario in scenarios_of(alternatives(names))}
    after = {scenario.key: scenario.nodes for scenario in scenarios_of(alternatives(more))}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
