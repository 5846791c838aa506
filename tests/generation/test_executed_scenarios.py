"""Scenarios executed by another engine: SpiffWorkflow runs the same file, steered by what a scenario decided.

It must offer every node at the moment at which the scenario has it, take the same flows, and be complete at the end;
let loose in an order of its own, it must visit the same nodes and take the same flows as often. What it does not know,
or plays otherwise than BPMN says, is left out where the processes are drawn, with the reason there: several flows out
of a task (it refuses them), several tokens on one flow (not implemented), inclusive joins behind merges and beside
unfinished splits (it looks back along one way only, and before all branches have begun), joins on cycles without
structure, parallel ones in a third round and inclusive ones in a second (it counts the tokens of earlier rounds again).
The replay of tokens in ``replay`` holds for those.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from bpmn_text import bpmn_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from process_text import events, process_of
from replay import PLAIN_KINDS, RANDOM_KINDS
from spiff_oracle import Disagreement, Engine, follow, roam
from steered_processes import CALLED, eventful_processes, is_safe, steered, tidy_processes
from suites import ALL, plan

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import EventKind, NodeKind, Process
from pytest_orchestra.model.scenario import DecisionTaken, TestScenario
from pytest_orchestra.readers.bpmn import read_process_file

THOROUGH = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def scenarios_of(process: Process, repetitions: int = 1) -> tuple[TestScenario, ...]:
    return plan(process, Bindings(max_loop_iterations=repetitions), criteria=ALL).scenarios


def check(process: Process, repetitions: int = 1, *, lots: Random | None = None) -> None:
    """Have the engine follow each scenario, and then go its own way with the same decisions if there are lots."""
    engine = Engine(process, bpmn_of(process, CALLED))
    for scenario in scenarios_of(process, repetitions):
        follow(engine, scenario)
        if lots is not None:
            roam(engine, scenario, lots)


@THOROUGH
@given(eventful_processes(("xor", "and", "loop")), st.integers(0, 1), st.randoms(use_true_random=False))
def test_exclusive_and_parallel_blocks_and_loops_run_as_planned(
    process: Process, repetitions: int, lots: Random
) -> None:
    """Nested blocks, sub-processes among them, in our order and in any other."""
    check(process, repetitions, lots=lots)


@THOROUGH
@given(eventful_processes(("xor", "loop")), st.integers(0, 3), st.randoms(use_true_random=False))
def test_loops_repeat_as_planned(process: Process, repetitions: int, lots: Random) -> None:
    """A third round is played without concurrency only: the engine's joins fail on it."""
    check(process, repetitions, lots=lots)


@THOROUGH
@given(eventful_processes(("xor", "and", "or")), st.randoms(use_true_random=False))
def test_inclusive_blocks_run_as_planned(process: Process, lots: Random) -> None:
    """Whatever inclusive gateways choose."""
    check(process, lots=lots)


@THOROUGH
@given(tidy_processes(PLAIN_KINDS, cyclic=True), st.integers(0, 1), st.randoms(use_true_random=False))
def test_exclusive_and_parallel_gateways_without_structure_run_as_planned(
    process: Process, repetitions: int, lots: Random
) -> None:
    """Flows from anywhere to anywhere, as long as no flow gets a second token."""
    if is_safe(process):
        check(process, repetitions, lots=lots)


@THOROUGH
@given(tidy_processes(RANDOM_KINDS, cyclic=False), st.randoms(use_true_random=False))
def test_all_gateways_without_structure_run_as_planned(process: Process, lots: Random) -> None:
    """Inclusive gateways as well, where there are no cycles and no node is passed by two tokens."""
    engine = Engine(process, bpmn_of(process))
    for scenario in scenarios_of(process):
        if max(Counter(scenario.nodes).values()) == 1:
            follow(engine, scenario)
            roam(engine, scenario, lots)


@THOROUGH
@given(eventful_processes(("xor", "and", "loop", "interrupted", "accompanied")))
def test_boundary_events_happen_as_planned(process: Process) -> None:
    """Messages, signals and timers that interrupt tasks and sub-processes or come besides."""
    check(process)


@THOROUGH
@given(eventful_processes(("xor", "and", "loop", "awaited", "throw")))
def test_event_based_gateways_wait_as_planned(process: Process) -> None:
    """The event that a scenario decided on comes."""
    check(process)


@THOROUGH
@given(eventful_processes(("xor", "and", "failing")))
def test_errors_are_caught_as_planned(process: Process) -> None:
    """An error end inside a sub-process takes the way of the boundary event."""
    check(process)


@THOROUGH
@given(eventful_processes(("xor", "and", "loop", "stopping")))
def test_terminating_ends_end_as_planned(process: Process) -> None:
    """A terminating end ends its process or sub-process."""
    check(process)


@THOROUGH
@given(eventful_processes(("xor", "and", "call", "several")))
def test_calls_and_repeated_tasks_run_as_planned(process: Process) -> None:
    """Called processes, and tasks of several instances."""
    check(process)


def test_what_is_concurrent_with_a_terminating_end_comes_before_it() -> None:
    """Nothing can happen in a process any more that has been terminated: the end is the last node of the scenario."""
    process = steered(
        process_of(
            "start > and; and > xor; xor > a > endstop; xor > b > end1; and > c > end2",
            endstop={"events": events(EventKind.TERMINATE)},
        )
    )
    check(process)


def test_file_is_read_and_executed_alike(tmp_path: Path) -> None:
    """The same text goes through our reader and through the other engine."""
    process = steered(
        process_of("start > xor1; xor1 > a > xor2; xor1 > b > xor2; xor2 > and1 > c > and2; and1 > and2 > end")
    )
    text = bpmn_of(process)
    file = tmp_path / "drawn.bpmn"
    file.write_text(text, encoding="utf-8")
    document = read_process_file(file)
    suite = build_suite(document.processes[0], None, [], document=document, criteria=ALL)
    assert len(suite.scenarios) == 2
    engine = Engine(document.processes[0], text)
    for scenario in suite.scenarios:
        follow(engine, scenario)


@pytest.fixture
def known() -> tuple[Engine, TestScenario]:
    """Give a process with a choice and concurrent branches, and the scenario that takes the first way."""
    process = steered(
        process_of(
            "start > xor1; xor1 > a > xor2; xor1 > b > xor2; xor2 > and1 > c > and2; and1 > d > and2; and2 > end"
        )
    )
    scenario = next(one for one in scenarios_of(process) if "a" in one.nodes)
    return Engine(process, bpmn_of(process)), scenario


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"nodes": ("start", "xor1", "xor2", "a", "and1", "c", "d", "and2", "end")}, "'xor2' is not due"),
        ({"nodes": ("start", "xor1", "a", "xor2", "and1", "c", "and2", "d", "end")}, "'and2' is not due"),
        ({"nodes": ("start", "xor1", "a", "xor2", "and1", "c", "d")}, "is not complete"),
        ({"decisions": (DecisionTaken("xor1", ("xor1>b",)),)}, "'a' is not due"),
        ({"flows": ("start>xor1", "xor1>a", "a>xor2", "xor2>and1", "and1>c", "c>and2", "and1>d")}, "besides"),
    ],
    ids=["before its cause", "join too early", "not to the end", "other decision", "flow kept back"],
)
def test_wrong_scenario_is_refused(
    known: tuple[Engine, TestScenario], fields: dict[str, tuple[object, ...]], expected: str
) -> None:
    """The check itself can fail: what no run does is not accepted."""
    engine, scenario = known
    follow(engine, scenario)
    with pytest.raises(Disagreement, match=expected):
        follow(engine, replace(scenario, **fields))


def test_several_flows_out_of_a_task_are_not_known_to_the_engine() -> None:
    """Why such processes are not drawn here; the day the engine takes them, this fails and they can be."""
    process = process_of("start > a; a > b > end1; a > c > end2")
    with pytest.raises(Exception, match="Multiple outgoing flows are not supported"):
        Engine(process, bpmn_of(process))
    assert {node.kind for node in process.nodes} == {NodeKind.START_EVENT, NodeKind.TASK, NodeKind.END_EVENT}
