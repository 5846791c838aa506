"""Deadlocks and lacks of synchronisation: against all markings of processes at random, and told in words."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from drawn_processes import drawn_graph, drawn_tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lint_examples import told
from markings import explore_all
from process_text import events, process_of
from random_processes import block_processes, wild_processes
from replay import PLAIN_KINDS, RANDOM_KINDS

from pytest_orchestra.generation.assumptions.fitting import build_table
from pytest_orchestra.generation.control_flow.compiler import compile_process
from pytest_orchestra.generation.control_flow.decisions import find_decisions
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.linting import lint_process
from pytest_orchestra.generation.linting.questions import Oracle
from pytest_orchestra.generation.linting.soundness import Verdict, judge_soundness
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.token_game.game import Game
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.problem import Place

_LEAK = "again and again"
_ONE_BY_ONE = "is passed by concurrent tokens one by one"


def game_of(process: Process) -> Game:
    graph = compile_process(process, Place("test"))
    decisions = find_decisions(graph)
    return Game(graph, Structure(graph), decisions, build_table(graph, decisions, {}, [], {}), {}, {}, 1_000)


def judged(process: Process) -> Verdict:
    return judge_soundness(game_of(process), Oracle())


def subjects(verdict: Verdict, rule: Rule) -> dict[str, str]:
    """Give the messages of a rule by the elements that they name."""
    return {
        finding.subject.id: finding.message
        for finding in verdict.findings
        if finding.rule is rule and finding.subject is not None
    }


def check_against_all_markings(process: Process) -> None:
    seen = explore_all(process)
    verdict = judged(process)
    deadlocks = subjects(verdict, Rule.DEADLOCK)
    lacks = subjects(verdict, Rule.LACK_OF_SYNCHRONISATION)
    if seen.is_cut:
        return
    for join, message in deadlocks.items():
        assert any(join in dead for dead in seen.dead), f"no token waits for ever at {join}"
        assert " can wait " in message or join not in seen.fired, f"{join} does go on"
    for merge, message in lacks.items():
        assert merge in seen.merged or _LEAK in message, f"tokens never come together at {merge}"
        assert _LEAK not in message or seen.repeated, f"{merge} sends no token after another"
    if not verdict.is_complete:
        return
    for dead in seen.dead:
        assert dead & deadlocks.keys(), f"tokens wait for ever at {dead}, and none of these is told"
    assert verdict.ends == seen.ends
    assert lacks or not seen.merged, f"tokens come together at {seen.merged}"


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(wild_processes(PLAIN_KINDS, cyclic=False))
def test_without_cycles_all_faults_are_found_and_nothing_else(process: Process) -> None:
    """What is told comes about in some marking, and each marking where tokens wait for ever is told."""
    check_against_all_markings(process)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(wild_processes(PLAIN_KINDS, cyclic=True, max_nodes=8))
def test_with_cycles_all_faults_are_found_and_nothing_else(process: Process) -> None:
    """Loops that wait for themselves, that multiply tokens, that never end."""
    check_against_all_markings(process)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(wild_processes(RANDOM_KINDS, cyclic=False, max_nodes=8))
def test_with_inclusive_gateways_all_faults_are_found_and_nothing_else(process: Process) -> None:
    """Inclusive splits, and joins that wait for what can still come."""
    check_against_all_markings(process)


@given(st.integers(0, 10**9), st.booleans())
def test_graphs_of_gateways_are_judged_as_all_their_markings_are(seed: int, cyclic: bool) -> None:
    """More branches than the other processes at random have."""
    check_against_all_markings(drawn_graph(seed, cyclic=cyclic))


@given(block_processes())
def test_well_formed_blocks_have_no_faults(process: Process) -> None:
    """Blocks of all gateways, loops and sub-processes, one in another, are sound."""
    verdict = judged(process)
    assert (verdict.findings, verdict.ends, verdict.is_complete) == ((), True, True)


# --- deadlocks in words


def deadlocks(drawing: str, **details: dict[str, object]) -> list[str]:
    return [text for text in told(drawing, **details) if "[deadlock]" in text]


def stuck(severity: str, join: str, fact: str) -> str:
    return f"{severity}[deadlock] {join}: parallel gateway '{join}' {fact}"


def lacks(drawing: str, **details: dict[str, object]) -> list[str]:
    return [text for text in told(drawing, **details) if "[lack-of-synchronisation]" in text]


def test_exclusive_split_closed_by_parallel_join_waits_in_every_run() -> None:
    """The join, the flow on which nothing comes, and the decision are named."""
    assert deadlocks("start > xor; xor -yes> a > and; xor -no> b > and; and > end", xor={"name": "OK?"}) == [
        stuck("error", "and", "waits for ever: nothing comes from 'b' after 'yes' at 'OK?'")
    ]


def test_event_based_split_closed_by_parallel_join_waits_in_every_run() -> None:
    """The event that came stands for the branch."""
    caught = {"events": events(EventKind.MESSAGE)}
    assert deadlocks(
        "start > event; event > catch1 > and; event > catch2 > and; and > end",
        catch1={"name": "paid", **caught},
        catch2={"name": "cancelled", **caught},
    ) == [stuck("error", "and", "waits for ever: nothing comes from 'cancelled' after 'paid' at 'event'")]


def test_inclusive_split_closed_by_parallel_join_can_wait() -> None:
    """If all branches are taken, it does go on."""
    assert deadlocks("start > or; or -x> a > and; or -y> b > and; and > end") == [
        stuck("warning", "and", "can wait for ever: nothing comes from 'b' after 'x' at 'or'")
    ]


def test_loop_that_is_entered_through_a_parallel_join_waits_for_itself() -> None:
    """No decision is to blame."""
    assert deadlocks("start > and > a > xor; xor -again> and; xor -done> end") == [
        stuck("error", "and", "waits for ever: nothing comes from 'again'")
    ]


def test_join_that_a_branch_ends_before_can_wait() -> None:
    """A branch that ends elsewhere never brings its token."""
    drawing = "start > and1; and1 > xor; xor -out> end1; xor -in> and2; and1 > a > and2; and2 > end2"
    assert deadlocks(drawing) == [
        stuck("warning", "and2", "can wait for ever: nothing comes from 'in' after 'out' at 'xor'")
    ]


def test_join_with_a_flow_from_what_is_never_reached_waits() -> None:
    """A flow that never gets a token is as good as none."""
    assert deadlocks("start > a > and; b > and; and > end") == [
        stuck("error", "and", "waits for ever: nothing comes from 'b'")
    ]


def test_join_that_waits_for_another_that_waits_is_not_told() -> None:
    """One cause, one problem."""
    drawing = "start > and1; and1 > xor; xor -x> a > and2; xor -y> b > and2; and2 > and3; and1 > c > and3; and3 > end"
    assert [text.split()[1] for text in deadlocks(drawing)] == ["and2:"]


def test_terminating_end_frees_what_waits() -> None:
    """A branch that waits for ever is no deadlock if the process is terminated."""
    drawing = "start > and1; and1 > a > and2; b > and2; and2 > end; and1 > c > end2"
    assert deadlocks(drawing, end2={"events": events(EventKind.TERMINATE)}) == []


def test_deadlock_in_a_sub_process_is_told_there_and_ends_no_run() -> None:
    """What comes behind the sub-process is not blamed."""
    inside = {name: {"scope": "sub"} for name in ("xor", "a", "b", "and2")}
    inside |= {"begin": {"kind": NodeKind.START_EVENT, "scope": "sub"}}
    inside |= {"stop": {"kind": NodeKind.END_EVENT, "scope": "sub"}}
    drawing = """
        start > and1; and1 > sub > and3; and1 > c > and3; and3 > end
        begin > xor; xor -x> a > and2; xor -y> b > and2; and2 > stop
    """
    assert deadlocks(drawing, **inside) == [
        stuck("error", "and2", "waits for ever: nothing comes from 'b' after 'x' at 'xor'")
    ]


def test_error_that_leaves_a_sub_process_lets_a_join_wait() -> None:
    """A parallel join behind the normal end and the boundary event gets only one of them."""
    drawing = "start > sub > and; border > and; and > end; begin > xor; xor -bad> failed; xor -good> stop"
    assert deadlocks(
        drawing,
        sub={"name": "Pay"},
        begin={"kind": NodeKind.START_EVENT, "scope": "sub"},
        xor={"scope": "sub"},
        failed={"kind": NodeKind.END_EVENT, "scope": "sub", "events": events(EventKind.ERROR, ref="E")},
        stop={"kind": NodeKind.END_EVENT, "scope": "sub"},
        border={"attached_to": "sub", "name": "failed", "events": events(EventKind.ERROR, ref="E")},
    ) == [stuck("error", "and", "waits for ever: nothing comes from 'failed' after 'normal' at 'Pay'")]


def test_timer_that_interrupts_one_of_concurrent_branches_lets_their_join_wait() -> None:
    """The branch of the timer goes elsewhere."""
    timer = {"attached_to": "a", "name": "too late", "events": events(EventKind.TIMER)}
    assert deadlocks("start > and1; and1 > a > and2; and1 > b > and2; and2 > end; border > c > end1", border=timer) == [
        stuck("warning", "and2", "can wait for ever: nothing comes from 'a' after 'too late' at 'a'")
    ]


def test_conditions_that_contradict_each_other_make_no_deadlock() -> None:
    """Both branches decide alike, so that the join gets both tokens or none."""
    drawing = """
        start > and1; and1 > xor1; xor1 -large [n > 5]> and2; xor1 -small [n <= 5]> end1
        and1 > xor2; xor2 -large [n > 5]> and2; xor2 -small [n <= 5]> end2; and2 > end3
    """
    assert deadlocks(drawing) == []
    other = drawing.replace("xor2 -large [n > 5]", "xor2 -large [n > 6]").replace("[n <= 5]> end2", "[n <= 6]> end2")
    assert len(deadlocks(other)) == 1


def test_inclusive_gateway_whose_conditions_always_hold_is_a_parallel_one() -> None:
    """Nothing is missing at the join then."""
    assert deadlocks("start > or; or -x [${true}]> a > and; or -y [${true}]> b > and; and > end") == []


# --- lack of synchronisation in words


def test_task_with_several_flows_is_named_as_the_cause() -> None:
    """The most frequent slip: a second flow out of a task is meant as an alternative."""
    cause = "task 'a' sends a token along each of its flows"
    assert lacks("start > a; a > b > xor; a > c > xor; xor > d > end") == [
        f"warning[lack-of-synchronisation] xor: exclusive gateway 'xor' {_ONE_BY_ONE}: {cause}"
    ]


def test_event_that_does_not_interrupt_is_named_as_the_cause() -> None:
    """What it starts goes on beside its activity."""
    timer = {"attached_to": "a", "is_interrupting": False, "events": events(EventKind.TIMER)}
    cause = "an event at task 'a' that does not interrupt starts one of them"
    assert lacks("start > a > b > end; border > b", border=timer) == [
        f"warning[lack-of-synchronisation] b: task 'b' {_ONE_BY_ONE}: {cause}"
    ]


def test_second_merge_behind_a_lack_of_synchronisation_is_not_told() -> None:
    """The tokens have come together before."""
    drawing = "start > and; and > a > m; and > b > m; m > xor; xor -x> c > n; xor -y> d > n; n > end"
    assert [text.split()[1] for text in lacks(drawing)] == ["m:"]


def test_loop_that_is_left_by_an_inclusive_gateway_leaks() -> None:
    """It can go back and on at once."""
    drawing = "start > xor > a > or; or -again> xor; or -done> b > end"
    leak = "out of a loop again and again: what follows runs more than once"
    assert lacks(drawing) == [f"warning[lack-of-synchronisation] or: inclusive gateway 'or' can send tokens {leak}"]
    exclusive = drawing.replace("-again>", "-again [n > 5]>").replace("-done>", "-done [n <= 5]>")
    assert lacks(exclusive) == []


def test_conditional_flows_that_exclude_each_other_are_no_concurrent_ones() -> None:
    """A task may decide without a gateway."""
    assert lacks("start > a; a -x [n > 5]> b > m; a -y [n <= 5]> c > m; m > end") == []
    assert len(lacks("start > a; a -x [n > 5]> b > m; a -y [n <= 6]> c > m; m > end")) == 1


def test_branches_that_end_on_their_own_need_no_join() -> None:
    """Only what merges has to be synchronised; an end event is no merge."""
    assert lacks("start > and; and > a > end; and > b > end") == []


# --- size


def wide(kind: NodeKind, count: int) -> Process:
    """Give a split into many branches, each of which may end, and a parallel join of all."""
    gates = [FlowNode(f"x{number}", NodeKind.EXCLUSIVE_GATEWAY) for number in range(count)]
    first = [FlowNode("start", NodeKind.START_EVENT), FlowNode("split", kind)]
    last = [FlowNode("join", NodeKind.PARALLEL_GATEWAY), FlowNode("end", NodeKind.END_EVENT)]
    pairs = [("start", "split"), ("join", "end")]
    for gate in gates:
        pairs += [("split", gate.id), (gate.id, "join"), (gate.id, "end")]
    flows = [SequenceFlow(f"f{number}", one, other) for number, (one, other) in enumerate(pairs)]
    return Process("p", "P", nodes=(*first, *gates, *last), flows=tuple(flows))


@pytest.mark.parametrize(
    "process",
    [
        drawn_tree(1, 10_000, 0.3)[0],
        drawn_graph(1, cyclic=False, count=10_000),
        drawn_graph(1, cyclic=True, count=10_000),
        wide(NodeKind.PARALLEL_GATEWAY, 3_000),
        wide(NodeKind.INCLUSIVE_GATEWAY, 3_000),
    ],
    ids=["blocks", "graph", "graph with cycles", "wide parallel", "wide inclusive"],
)
def test_large_process_is_judged_in_a_moment(process: Process) -> None:
    """Ten thousand nodes take a fraction of a second, well-structured or not."""
    view = View(game_of(process))
    assert view.to_end
    begin = time.process_time()
    lint_process(view, [], [], None, Place("test"))
    assert time.process_time() - begin < 10


def test_findings_do_not_depend_on_the_order_of_the_file() -> None:
    """The same elements are blamed however nodes and flows are sorted."""

    def blamed(nodes: Sequence[FlowNode], flows: Sequence[SequenceFlow]) -> set[str]:
        verdict = judged(Process("p", "P", nodes=tuple(nodes), flows=tuple(flows)))
        return {finding.subject.id for finding in verdict.findings if finding.subject is not None}

    drawn = process_of(
        """start > and1; and1 > xor1; xor1 -x> a > and2; xor1 -y> b > xor2; and1 > c > and2; and2 > xor2; xor2 > d > end
        and1 > e; e > f > m; e > g > m; m > end2"""
    )
    expected = blamed(drawn.nodes, drawn.flows)
    assert expected == {"and2", "m"}
    assert blamed(drawn.nodes[::-1], drawn.flows[::-1]) == expected
