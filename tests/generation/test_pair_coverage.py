"""Pairwise coverage: which pairs are goals, and how few scenarios hold them all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from random_processes import block_processes
from suites import missing, plan

from pytest_orchestra.generation.coverage.pairs import least_rows
from pytest_orchestra.generation.plans.plan import plan_text, problems_of
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.model.scenario import ScenarioSuite


def row(count: int, ways: int) -> Process:
    """Give so many exclusive decisions one after the other, with so many ways each."""
    nodes = [FlowNode("start", NodeKind.START_EVENT)]
    flows: list[SequenceFlow] = []
    last = "start"
    for place in range(count):
        nodes += [FlowNode(f"x{place}", NodeKind.EXCLUSIVE_GATEWAY), FlowNode(f"j{place}", NodeKind.EXCLUSIVE_GATEWAY)]
        flows.append(SequenceFlow(f"to{place}", last, f"x{place}"))
        for way in range(ways):
            nodes.append(FlowNode(f"t{place}.{way}", NodeKind.TASK))
            flows.append(SequenceFlow(f"{place}.{way}", f"x{place}", f"t{place}.{way}"))
            flows.append(SequenceFlow(f"{place}.{way}.", f"t{place}.{way}", f"j{place}"))
        last = f"j{place}"
    nodes.append(FlowNode("end", NodeKind.END_EVENT))
    return Process("p", "P", nodes=tuple(nodes), flows=(*flows, SequenceFlow("last", last, "end")))


def inclusive(count: int, *, default: bool = False) -> Process:
    """Give one inclusive gateway of so many branches, the first of them its default if there is one."""
    nodes = [
        FlowNode("start", NodeKind.START_EVENT),
        FlowNode("o", NodeKind.INCLUSIVE_GATEWAY, default_flow="f0" if default else None),
        FlowNode("j", NodeKind.INCLUSIVE_GATEWAY),
        FlowNode("end", NodeKind.END_EVENT),
    ]
    flows = [SequenceFlow("a", "start", "o"), SequenceFlow("z", "j", "end")]
    for way in range(count):
        nodes.append(FlowNode(f"t{way}", NodeKind.TASK))
        flows += [SequenceFlow(f"f{way}", "o", f"t{way}"), SequenceFlow(f"g{way}", f"t{way}", "j")]
    return Process("p", "P", nodes=tuple(nodes), flows=tuple(flows))


def pairs_held(suite: ScenarioSuite) -> int:
    [coverage] = suite.coverage
    assert coverage.covered == coverage.total
    return coverage.total


@pytest.mark.parametrize(("count", "ways", "most"), [(2, 2, 4), (3, 2, 4), (10, 4, 31), (20, 3, 23), (50, 2, 14)])
def test_independent_decisions_are_paired_in_few_scenarios(count: int, ways: int, most: int) -> None:
    """All pairs, in no more scenarios than PICT makes rows."""
    process = row(count, ways)
    suite = plan(process, criteria=[Criterion.PAIRWISE])
    assert pairs_held(suite) == count * (count - 1) // 2 * ways * ways
    assert len(suite.scenarios) <= most
    taken = [{taken.element: taken.branches for taken in scenario.decisions} for scenario in suite.scenarios]
    for first in range(count):
        for second in range(first + 1, count):
            held = {(one[f"x{first}"], one[f"x{second}"]) for one in taken}
            assert len(held) == ways * ways


@pytest.mark.parametrize(("count", "least"), [(3, 4), (4, 5), (6, 6), (10, 6), (15, 7)])
def test_inclusive_gateway_has_the_fewest_rows(count: int, least: int) -> None:
    """Each two branches are seen both, neither, and one without the other; the number is the least there can be."""
    suite = plan(inclusive(count), criteria=[Criterion.PAIRWISE])
    assert pairs_held(suite) == count * (count - 1) // 2 * 4
    assert (len(suite.scenarios), suite.minimum.is_proven) == (least, True)
    sets = [set(scenario.decisions[0].branches) for scenario in suite.scenarios]
    assert all(sets)
    for one in range(count):
        for other in range(one + 1, count):
            assert len({(f"f{one}" in taken, f"f{other}" in taken) for taken in sets}) == 4


def test_two_inclusive_branches_are_never_both_left_out() -> None:
    """A gateway without a default takes one of its branches at least."""
    suite = plan(inclusive(2), criteria=[Criterion.PAIRWISE])
    assert pairs_held(suite) == 3
    assert {scenario.decisions[0].branches for scenario in suite.scenarios} == {("f0",), ("f1",), ("f0", "f1")}


def test_default_branch_leaves_out_all_others() -> None:
    """The default is no parameter of its own: it is what is taken when the others are left out."""
    suite = plan(inclusive(3, default=True), criteria=[Criterion.PAIRWISE])
    assert pairs_held(suite) == 4
    assert ("f0",) in {scenario.decisions[0].branches for scenario in suite.scenarios}


def test_decision_within_a_branch_of_another_is_not_paired_with_it() -> None:
    """Its branches go with one branch of the outer decision only."""
    nodes = tuple(
        FlowNode(name, kind)
        for name, kind in [
            ("start", NodeKind.START_EVENT),
            ("outer", NodeKind.EXCLUSIVE_GATEWAY),
            ("inner", NodeKind.EXCLUSIVE_GATEWAY),
            ("end", NodeKind.END_EVENT),
        ]
    )
    ways = [("start", "outer"), ("outer", "inner"), ("outer", "end"), ("inner", "end"), ("inner", "end")]
    process = Process(
        "p", "P", nodes=nodes, flows=tuple(SequenceFlow(f"f{place}", *way) for place, way in enumerate(ways))
    )
    assert pairs_held(plan(process, criteria=[Criterion.PAIRWISE])) == 0


def test_goal_of_a_pair_names_both_branches() -> None:
    """``gateway->flow+gateway->flow``, in the order of the document."""
    suite = plan(row(2, 2), criteria=[Criterion.PAIRWISE])
    assert {goal.element for scenario in suite.scenarios for goal in scenario.serves} == {
        "x0->0.0+x1->1.0",
        "x0->0.0+x1->1.1",
        "x0->0.1+x1->1.0",
        "x0->0.1+x1->1.1",
    }


def test_pairs_beyond_the_limit_are_told() -> None:
    """What is cut is said, with its number."""
    suite = plan(row(60, 4), criteria=[Criterion.PAIRWISE])
    [coverage] = suite.coverage
    assert coverage.total == 20_000
    told = [problem.message for problem in problems_of(suite) if "pairs" in problem.message]
    assert told == ["only the first 20000 pairs of branches are covered; 8320 more are not"]


@settings(max_examples=40)
@given(block_processes(max_blocks=8))
def test_pairs_of_any_process_are_held_or_explained(process: Process) -> None:
    """Each scenario comes to both decisions of the pairs that it says it serves, and takes what they take."""
    suite = plan(process, criteria=[Criterion.PAIRWISE])
    for scenario in suite.scenarios:
        taken = {one.element: set(one.branches) for one in scenario.decisions}
        for goal in scenario.serves:
            for element, branch in (half.split("->") for half in goal.element.split("+")):
                assert element in taken
                assert branch.startswith("!") or branch in taken[element]
    assert all(missing(suite).values())


def test_rows_follow_the_formula() -> None:
    """The least rows for binary parameters of strength 2 (Kleitman, Spencer 1973)."""
    assert [least_rows(count) for count in (3, 4, 10, 11, 15, 16, 35, 36)] == [4, 5, 6, 7, 7, 8, 8, 9]


def test_plan_names_pairs_as_people_know_them() -> None:
    """Two branches by their names; one that is left out says so."""
    lines = plan_text(plan(inclusive(2), criteria=[Criterion.PAIRWISE]), inclusive(2)).splitlines()
    assert "  only here  pairwise o -> t0 with o -> not t1" in lines
