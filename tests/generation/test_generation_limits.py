"""Large processes: planning stays quick, and what is cut is told."""

from __future__ import annotations

import random
import time

import pytest
from process_text import process_of
from suites import messages, missing, plan

from pytest_orchestra.generation.limits import MAX_DATA_WORK, MAX_SCENARIOS
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Severity


def timed(process: Process) -> tuple[ScenarioSuite, float]:
    """Give the suite and the processor time that it took, in seconds."""
    begin = time.process_time()
    suite = plan(process)
    return suite, time.process_time() - begin


def series_parallel(count: int, parallel: float, loops: float) -> Process:
    """Give a process of nested blocks, made by replacing flows at random."""
    lots = random.Random(count)
    nodes = [FlowNode("s", NodeKind.START_EVENT), FlowNode("e", NodeKind.END_EVENT)]
    edges = [("s", "e")]
    while len(nodes) < count:
        position = lots.randrange(len(edges))
        source, target = edges[position]
        number, shape = len(nodes), lots.random()
        if shape < 0.5:
            nodes.append(FlowNode(f"t{number}", NodeKind.TASK))
            edges[position] = (source, f"t{number}")
            edges.append((f"t{number}", target))
            continue
        kind = NodeKind.PARALLEL_GATEWAY if lots.random() < parallel else NodeKind.EXCLUSIVE_GATEWAY
        is_loop = shape < 0.5 + loops
        first, second = f"a{number}", f"b{number}"
        kind = NodeKind.EXCLUSIVE_GATEWAY if is_loop else kind
        nodes += [FlowNode(first, kind), FlowNode(second, kind)]
        edges[position] = (source, first)
        edges += [(first, second), (second, target), (second, first) if is_loop else (first, second)]
    flows = tuple(SequenceFlow(f"f{number}", *edge) for number, edge in enumerate(edges))
    return Process("p", "P", nodes=tuple(nodes), flows=flows)


@pytest.mark.parametrize(("parallel", "loops"), [(0.0, 0.0), (0.3, 0.0), (0.2, 0.05)])
def test_thousand_nodes_are_covered_in_a_second(parallel: float, loops: float) -> None:
    """A process ten times the largest of the corpus is planned at once."""
    suite, seconds = timed(series_parallel(1_000, parallel, loops))
    assert missing(suite) == {}
    assert seconds < 60


def test_two_to_the_hundredth_paths_are_two_scenarios() -> None:
    """The number of paths does not matter."""
    text = ";".join(
        f"xor{i} -a> p{i} > m{i}; xor{i} -b> q{i} > m{i}; m{i} > {f'xor{i + 1}' if i < 99 else 'end'}"
        for i in range(100)
    )
    suite, seconds = timed(process_of(f"start > xor0; {text}"))
    assert (len(suite.scenarios), missing(suite)) == (2, {})
    assert seconds < 10


def test_long_chain_and_deep_nesting_need_no_recursion() -> None:
    """Ten thousand tasks in a row and two thousand sub-processes in one another are played."""
    chain = process_of(" > ".join(["start", *(f"t{number}" for number in range(10_000)), "end"]))
    assert len(plan(chain).scenarios[0].nodes) == 10_002
    nodes = [
        FlowNode(f"{kind}{level}", NodeKind.SUB_PROCESS if kind == "s" else NodeKind.TASK, scope=scope)
        for level in range(2_000)
        for scope in [f"s{level - 1}" if level else None]
        for kind in "st"
    ]
    flows = [SequenceFlow(f"f{level}", f"s{level}", f"t{level}") for level in range(2_000)]
    suite = plan(Process("p", "P", nodes=tuple(nodes), flows=tuple(flows)))
    assert (len(suite.scenarios), missing(suite)) == (1, {})


def test_scenarios_beyond_the_limit_are_cut_with_a_problem() -> None:
    """A gateway with more branches than scenarios may be leaves goals open, and says so."""
    count = MAX_SCENARIOS + 20
    nodes = [FlowNode("start", NodeKind.START_EVENT), FlowNode("g", NodeKind.EXCLUSIVE_GATEWAY)]
    nodes += [FlowNode(f"t{number}", NodeKind.TASK) for number in range(count)]
    flows = [SequenceFlow("first", "start", "g")]
    flows += [SequenceFlow(f"f{number}", "g", f"t{number}") for number in range(count)]
    suite = plan(Process("p", "P", nodes=tuple(nodes), flows=tuple(flows)))
    assert len(suite.scenarios) == MAX_SCENARIOS
    assert messages(suite, Severity.WARNING) == [
        "generation stopped at its limit of 1000 scenarios; 20 goals are not covered"
    ]
    assert set(missing(suite).values()) == {"was not searched for: generation stopped at its limit"}


def test_data_beyond_the_limit_is_not_made_and_a_problem_says_so() -> None:
    """Hundreds of conditions on each of hundreds of paths: some paths have data, and the others are told."""
    count = 320
    rungs = (f"xor{i} -yes [x{i} > {i}]> a{i} > end{i}; xor{i} -no> xor{i + 1}" for i in range(count))
    suite = plan(process_of(f"start > xor0; {'; '.join(rungs)}; xor{count} > end"))
    (told,) = (message for message in messages(suite, Severity.WARNING) if "limit" in message)
    made = len(suite.generated_data)
    assert 0 < made < len(suite.scenarios) == count + 1
    lack = f"the data of {count + 1 - made} scenarios was not made, or not all"
    assert told == f"{lack}: the limit is {MAX_DATA_WORK} pairs of conditions"


def test_hopeless_process_is_given_up_in_time() -> None:
    """Deadlocks everywhere end in reasons, not in an endless search."""
    text = ";".join(f"xor{i} > a{i} > and{i}; xor{i} > b{i} > and{i}; and{i} > xor{i + 1}" for i in range(150))
    suite, seconds = timed(process_of(f"start > xor0; {text}; xor150 > end"))
    assert suite.scenarios == ()
    assert len(missing(suite)) == suite.coverage[0].total
    assert seconds < 60
