"""Loop coverage: not repeated, repeated once, repeated as often as may be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_processes import block_processes
from suites import missing, plan

from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow

KINDS = {"s": NodeKind.START_EVENT, "e": NodeKind.END_EVENT, "x": NodeKind.EXCLUSIVE_GATEWAY, "t": NodeKind.TASK}


def process(names: str, *ways: str) -> Process:
    """Give a process of nodes whose names begin with their kind, and of ways such as ``x1 t1``."""
    return Process(
        "p",
        "P",
        nodes=tuple(FlowNode(name, KINDS[name[0]]) for name in names.split()),
        flows=tuple(SequenceFlow(way.replace(" ", ">"), *way.split()) for way in ways),
    )


WHILE = process("s x1 t1 e", "s x1", "x1 t1", "t1 x1", "x1 e")
UNTIL = process("s x1 t1 x2 e", "s x1", "x1 t1", "t1 x2", "x2 x1", "x2 e")


@pytest.mark.parametrize(
    ("looping", "back", "repetitions", "counts"),
    [
        (WHILE, "t1>x1", 0, [0, 1]),
        (WHILE, "t1>x1", 1, [0, 1, 2]),
        (WHILE, "t1>x1", 3, [0, 1, 4]),
        (UNTIL, "x2>x1", 0, [0]),
        (UNTIL, "x2>x1", 1, [0, 1]),
        (UNTIL, "x2>x1", 2, [0, 1, 2]),
        (UNTIL, "x2>x1", 5, [0, 1, 5]),
    ],
)
def test_loop_is_passed_never_once_and_most_often(
    looping: Process, back: str, repetitions: int, counts: list[int]
) -> None:
    """A flow may be taken once and again as often as ``maxLoopIterations`` says; N is as often as that permits."""
    suite = plan(looping, Bindings(max_loop_iterations=repetitions), criteria=[Criterion.LOOP])
    assert sorted(scenario.flows.count(back) for scenario in suite.scenarios) == counts
    goals = sorted(goal.element for scenario in suite.scenarios for goal in scenario.serves)
    assert goals == ["x1->0", "x1->1", "x1->N"][: len(counts)]
    assert missing(suite) == {}


def test_two_loops_share_scenarios() -> None:
    """Loops one after the other are repeated in the same runs."""
    both = process("s x1 x2 x3 x4 e", "s x1", "x1 x2", "x2 x1", "x2 x3", "x3 x4", "x4 x3", "x4 e")
    suite = plan(both, Bindings(max_loop_iterations=2), criteria=[Criterion.LOOP])
    assert missing(suite) == {}
    assert (len(suite.scenarios), suite.minimum.is_proven) == (3, True)


@settings(max_examples=60)
@given(block_processes(max_blocks=10), st.integers(0, 2))
def test_loops_of_any_process_are_counted_or_explained(drawn: Process, repetitions: int) -> None:
    """Goals that no scenario meets have a reason; the others are met by the scenario that says so."""
    suite = plan(drawn, Bindings(max_loop_iterations=repetitions), criteria=[Criterion.LOOP])
    assert all(missing(suite).values())
    for scenario in suite.scenarios:
        for goal in scenario.serves:
            head, _, count = goal.element.partition("->")
            visits = scenario.nodes.count(head)
            assert visits >= {"0": 1, "1": 2, "N": 3}[count]
