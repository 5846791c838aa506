"""Paths whose conditions contradict are no scenarios, branches that can never be taken are told, and no others."""

from __future__ import annotations

import itertools
import operator
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from process_text import process_of
from random_processes import decided_processes
from suites import ALL, explicit, messages, missing, paths, plan

from pytest_orchestra.generation.assumptions.fitting import build_table
from pytest_orchestra.generation.assumptions.knowledge import Knowledge
from pytest_orchestra.generation.assumptions.writes import list_writes
from pytest_orchestra.generation.control_flow.compiler import compile_process
from pytest_orchestra.generation.control_flow.decisions import find_decisions
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.limits import MAX_VARIABLE_CELLS
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import (
    Condition,
    Extension,
    FlowNode,
    LoopCharacteristics,
    LoopKind,
    NodeKind,
    Process,
    SequenceFlow,
)
from pytest_orchestra.problem import Place, Severity

HERE = Path(__file__).parent
DEAD = "can never be taken"


def two_gateways(between: str = "approve", **details: Any) -> Process:
    """An order is asked twice for its amount; ``details`` are those of the task between."""
    return process_of(
        f"start > xor1; xor1 -large [amount > 1000]> {between} > xor2; xor1 -small> end;"
        "xor2 -tiny [amount <= 500]> thank > end; xor2 -rest> send > end",
        xor1={"name": "Large order?", "default_flow": "xor1>end"},
        xor2={"name": "Tiny order?", "default_flow": "xor2>send"},
        **{between: details},
    )


def knowledge_of(process: Process, *steady: str) -> Knowledge:
    graph = compile_process(process, Place("order"))
    decisions = find_decisions(graph)
    table = build_table(graph, decisions, {}, [], {})
    return Knowledge(graph, Structure(graph), decisions, table, frozenset(steady), list_writes(process))


def dead(process: Process, bindings: Bindings | None = None, *data: TestDataSet) -> list[str]:
    return [message for message in messages(plan(process, bindings, data)) if DEAD in message]


def test_contradicting_branch_is_not_taken_and_told_with_both_conditions() -> None:
    """No scenario goes there; its flows say why, and a warning names both conditions and both gateways."""
    suite = plan(two_gateways())
    assert paths(suite) == {"large": "start xor1 approve xor2 send end", "small": "start xor1 end"}
    reason = "contradicts 'amount > 1000' assumed at 'Large order?'"
    assert missing(suite) == {"xor2>thank": reason, "thank>end": reason}
    [problem] = [problem for problem in suite.problems if DEAD in problem.message]
    assert str(problem) == (
        "order: the branch 'tiny' of exclusive gateway 'Tiny order?' can never be taken: 'amount <= 500' at "
        "'Tiny order?' contradicts 'amount > 1000' assumed at 'Large order?'\n"
        "hint: mend one of the conditions, or remove the branch"
    )
    assert (problem.severity, problem.element) == (Severity.WARNING, "xor2>thank")


def test_branch_that_one_way_leads_to_is_not_dead() -> None:
    """What contradicts on one way only is reached on the other, and the scenarios go where data can."""
    process = process_of(
        "start > xor1; xor1 -large [amount > 1000]> a > xor2; xor1 -small> b > xor2;"
        "xor2 -tiny [amount <= 500]> c > end; xor2 -rest> d > end",
        xor1={"default_flow": "xor1>b"},
        xor2={"default_flow": "xor2>d"},
    )
    suite = plan(process)
    assert paths(suite) == {"large": "start xor1 a xor2 d end", "small": "start xor1 b xor2 c end"}
    assert missing(suite) == {}
    assert not [message for message in messages(suite) if DEAD in message]


def test_default_branch_assumes_that_no_other_condition_holds() -> None:
    """The way out of a default branch contradicts the condition that led elsewhere."""
    process = process_of(
        "start > xor1; xor1 -vip [${vip}]> a > end; xor1 -others> xor2; xor2 -vip [${vip}]> b > end; xor2 -on> end",
        xor1={"name": "VIP?", "default_flow": "xor1>xor2"},
        xor2={"name": "Sure?", "default_flow": "xor2>end"},
    )
    assert dead(process) == [
        (
            "the branch 'vip' of exclusive gateway 'Sure?' can never be taken: '${vip}' at 'Sure?' contradicts "
            "'not (${vip})' assumed at 'VIP?'"
        )
    ]


def test_default_branch_for_which_nothing_is_left_is_told_for_information() -> None:
    """A default may be there to be safe."""
    process = process_of(
        "start > xor1; xor1 -yes [a == 1]> xor2; xor1 -no> end; xor2 -one [a == 1]> b > end; xor2 -other> end",
        xor1={"default_flow": "xor1>end"},
        xor2={"default_flow": "xor2>end"},
    )
    [problem] = [problem for problem in plan(process).problems if DEAD in problem.message]
    assert problem.severity is Severity.INFO


def test_condition_that_contradicts_itself_is_told() -> None:
    """One gateway suffices for a dead branch."""
    process = process_of(
        "start > xor; xor -never [x > 5 and x < 3]> a > end; xor -rest> end", xor={"default_flow": "xor>end"}
    )
    assert dead(process) == [
        (
            "the branch 'never' of exclusive gateway 'xor' can never be taken: "
            "its own conditions contradict each other: 'x > 5 and x < 3'"
        )
    ]


@pytest.mark.parametrize(
    "details",
    [
        {"kind": NodeKind.SCRIPT_TASK, "script": "amount = amount - 10"},
        {"kind": NodeKind.SCRIPT_TASK, "script": "execution.setVariable('amount', 3)"},
        {"kind": NodeKind.SCRIPT_TASK, "script": "amount += 1;"},
        {"kind": NodeKind.SCRIPT_TASK, "script": "execution.setVariables(everything)"},
        {"extensions": (Extension("{c}resultVariable", text="amount", is_attribute=True),)},
        {"extensions": (Extension("{z}ioMapping", children=(Extension("{z}output", (("target", "amount.net"),)),)),)},
        {
            "extensions": (
                Extension("{c}inputOutput", children=(Extension("{c}outputParameter", (("name", "amount"),)),)),
            )
        },
        {"kind": NodeKind.USER_TASK, "extensions": (Extension("{c}formField", (("id", "amount"),)),)},
        {"kind": NodeKind.SERVICE_TASK, "extensions": (Extension("{c}class", text="a.B", is_attribute=True),)},
        {"kind": NodeKind.SERVICE_TASK, "extensions": (Extension("{z}taskDefinition", (("type", "job"),)),)},
        {"kind": NodeKind.RECEIVE_TASK},
        {"kind": NodeKind.BUSINESS_RULE_TASK},
        {"kind": NodeKind.SCRIPT_TASK, "script": "new Prepare().run(execution)"},
        {
            "loop": LoopCharacteristics(LoopKind.SEQUENTIAL_MULTI_INSTANCE, output_collection="amount"),
            "kind": NodeKind.SERVICE_TASK,
        },
    ],
    ids=lambda details: str(sorted(details))[:40],
)
def test_variable_that_a_node_may_write_is_forgotten_there(details: dict[str, Any]) -> None:
    """What held before the node need not hold behind it."""
    suite = plan(two_gateways("change", **details))
    assert "xor2>thank" not in missing(suite)
    assert not [message for message in messages(suite) if DEAD in message]


@pytest.mark.parametrize(
    "details",
    [
        {"kind": NodeKind.SCRIPT_TASK, "script": "total = amount; if (amount == 3) { print(amount >= 2) }"},
        {"kind": NodeKind.USER_TASK, "extensions": (Extension("{c}formField", (("id", "comment"),)),)},
        {"kind": NodeKind.SERVICE_TASK},
        {
            "kind": NodeKind.SERVICE_TASK,
            "extensions": (
                Extension("{z}taskDefinition", (("type", "job"),)),
                Extension("{z}ioMapping", children=(Extension("{z}output", (("target", "id"),)),)),
            ),
        },
    ],
)
def test_variable_that_a_node_only_reads_is_kept(details: dict[str, Any]) -> None:
    """Comparisons in a script, and other names, change nothing."""
    assert len(dead(two_gateways("change", **details))) == 1


@pytest.mark.parametrize(("one", "other"), [("approved", "!approved"), ("state = 'A'", "state = 'B'")])
def test_person_who_decides_may_answer_anew(one: str, other: str) -> None:
    """A user task gives texts and truth values, though the model does not say so; numbers it must say."""
    process = process_of(
        f"start > xor1; xor1 -yes [{one}]> ask > xor2; xor1 -no> end; xor2 -yes [{other}]> a > end; xor2 -no> end",
        xor1={"default_flow": "xor1>end"},
        xor2={"default_flow": "xor2>end"},
        ask={"kind": NodeKind.USER_TASK},
    )
    assert dead(process) == []
    assert len(dead(two_gateways("approve", kind=NodeKind.USER_TASK))) == 1


def test_name_of_data_is_kept_where_code_is_not_seen() -> None:
    """Who gives a value in a data set says that it decides; only a node that is seen to write it changes that."""
    hidden = {"extensions": (Extension("{c}class", text="a.B", is_attribute=True),)}
    written = {"kind": NodeKind.SCRIPT_TASK, "script": "amount = 0"}
    data = [TestDataSet("small", {"amount": 5}), TestDataSet("large", {"amount": 5_000})]
    assert len(dead(two_gateways("change", **hidden), None, *data)) == 1
    assert dead(two_gateways("change", **written), None, *data) == []


def test_names_of_data_in_the_sidecar_never_change() -> None:
    """``data`` is what the run starts with, whatever the process writes."""
    decisions = {"Large order?": {"large": "data.amount > 1000"}, "Tiny order?": {"tiny": "data.amount <= 500"}}
    process = two_gateways("change", kind=NodeKind.SCRIPT_TASK, script="amount = 0")
    assert len(dead(process, Bindings(decisions=decisions))) == 1


def test_getter_may_answer_differently_each_time() -> None:
    """A call is no variable."""
    process = process_of(
        "start > xor1; xor1 -a [${job.isDone()}]> xor2; xor1 -b> end;xor2 -c [${!job.isDone()}]> a > end; xor2 -d> end",
        xor1={"default_flow": "xor1>end"},
        xor2={"default_flow": "xor2>end"},
    )
    assert dead(process) == []
    assert missing(plan(process)) == {}


def test_loop_forgets_what_its_decisions_read() -> None:
    """A retry may end differently, though no node is seen to write the variable."""
    process = process_of("start > a > xor; xor -again [${!ok}]> a; xor -done> end", xor={"default_flow": "xor>end"})
    suite = plan(process)
    assert missing(suite) == {}
    assert dead(process) == []
    known = {"xor": {"again": "not data.ok"}}
    stuck = plan(process, Bindings(decisions=known))
    assert list(paths(stuck).values()) == ["start a xor end"]
    assert missing(stuck) == {"xor>a": "contradicts 'not data.ok' assumed at 'xor'"}


def test_what_concurrent_branches_write_is_assumed_nowhere() -> None:
    """The order of branches that run at once is not known."""
    process = process_of(
        "start > xor1; xor1 -large [amount > 1000]> and1; xor1 -small> end; and1 > set > and2; and1 > xor2;"
        "xor2 -tiny [amount <= 500]> a > xor3; xor2 -rest> xor3; xor3 > and2; and2 > end",
        xor1={"default_flow": "xor1>end"},
        xor2={"default_flow": "xor2>xor3"},
        set={"kind": NodeKind.SCRIPT_TASK, "script": "amount = 1"},
    )
    assert missing(plan(process)) == {}
    assert dead(process) == []


def test_concurrent_branches_share_what_is_assumed() -> None:
    """After the join, what either branch assumed holds."""
    process = process_of(
        "start > and1; and1 > xor1; xor1 -a [x == 1]> a > xor3; xor1 -b [x == 2]> b > xor3; xor3 > and2;"
        "and1 > t > and2; and2 > xor2;"
        "xor2 -c [x == 1]> c > end; xor2 -d [x == 2]> d > end; xor2 -e [x == 3]> e > end",
    )
    suite = plan(process)
    assert missing(suite) == {
        "xor2>e": "contradicts 'x == 1' assumed at 'xor1'",
        "e>end": "contradicts 'x == 1' assumed at 'xor1'",
    }
    for scenario in suite.scenarios:
        taken = {one.element: one.branches for one in scenario.decisions}
        assert (taken["xor1"] == ("xor1>a",)) == (taken["xor2"] == ("xor2>c",))


def test_inclusive_gateway_takes_exactly_what_holds() -> None:
    """A set of branches assumes that the others fail."""
    process = process_of(
        "start > or1; or1 -a [x > 5]> a > or2; or1 -b [x > 3]> b > or2; or2 > xor;"
        "xor -c [x == 4]> c > end; xor -d> end",
        xor={"default_flow": "xor>end"},
    )
    suite = plan(process)
    assert missing(suite) == {}
    for path in paths(suite).values():
        nodes = path.split()
        assert "a" not in nodes or "b" in nodes
        assert "c" not in nodes or "a" not in nodes


def test_named_scenario_goes_where_the_user_says_with_a_warning() -> None:
    """What conditions say of a demanded path is a warning, not a refusal."""
    suite = plan(two_gateways(), explicit("mine", xor1="large", xor2="tiny"))
    assert paths(suite)["mine"] == "start xor1 approve xor2 thank end"
    [problem] = [problem for problem in suite.scenarios[0].problems if problem.severity is Severity.WARNING]
    assert str(problem) == (
        "order: the decisions of scenario 'mine' contradict each other: 'amount <= 500' at 'Tiny order?' contradicts "
        "'amount > 1000' assumed at 'Large order?'\nhint: change its decisions, or mend the conditions"
    )


def test_flow_with_the_only_condition_is_held_against_what_was_assumed() -> None:
    """Where there is nothing to choose, something must hold all the same."""
    process = process_of(
        "start > xor1; xor1 -one [a == 1]> xor2; xor1 -two [a == 2]> xor3; xor2 -two [a == 2]> b > end; xor3 > end",
    )
    suite = plan(process)
    assert list(paths(suite).values()) == ["start xor1 xor3 end"]
    assert missing(suite)["xor2>b"] == "contradicts 'a == 1' assumed at 'xor1'"


def test_knowledge_is_empty_where_no_decisions_share_a_variable() -> None:
    """Then playing costs nothing more than before."""
    process = process_of(
        "start > xor1; xor1 -a [x > 1]> xor2; xor1 -b> xor2; xor2 -c [y > 1]> end; xor2 -d> end",
        xor1={"default_flow": "xor1>xor2#2"},
        xor2={"default_flow": "xor2>end#2"},
    )
    assert knowledge_of(process).is_empty
    assert knowledge_of(process_of("start > end")).is_empty
    assert not knowledge_of(two_gateways()).is_empty


def test_assumptions_of_a_run_are_held_against_each_other() -> None:
    """The interface that the search plays with: pass, permit, take, and the conflict in words."""
    knowledge = knowledge_of(two_gateways("change", kind=NodeKind.SCRIPT_TASK, script="amount = 1"))
    graph = knowledge.graph
    first, second, change = (graph.point_of[name] for name in ("xor1", "xor2", "change"))
    assumptions = knowledge.begin()
    assert assumptions.permits(second, 0)
    assert assumptions.conflict(second, 0) is None
    assumptions.take(first, 0)
    assert not assumptions.permits(second, 0)
    assert assumptions.permits(second, 1)
    conflict = assumptions.conflict(second, 0)
    assert conflict is not None
    assert [claim.text for claim in (*conflict.own, *conflict.earlier)] == ["amount <= 500", "amount > 1000"]
    assumptions.pass_points([graph.entry, change])
    assert assumptions.permits(second, 0)


def _takes(process: Process, data: dict[str, float | None]) -> list[str]:
    """Give the flows that a process of exclusive gateways takes; nothing compares with null."""
    symbols = {"==": operator.eq, ">": operator.gt, "<=": operator.le}
    node, flows = process.nodes[0].id, []
    while process.outgoing[node]:
        taken = process.outgoing[node][-1]
        for flow in process.outgoing[node]:
            if flow.condition is not None:
                name, symbol, number = flow.condition.text.split()
                value = data[name]
                if value is not None and symbols[symbol](value, int(number)):
                    taken = flow
                    break
        flows.append(taken.id)
        node = taken.target
    return flows


@given(decided_processes(max_nodes=9))
def test_exactly_the_flows_that_some_data_takes_are_covered(process: Process) -> None:
    """Every path is one that data takes, every flow that data takes is covered, and no other branch is told as dead."""
    grid = (None, -1, 0, 0.5, 1, 1.5, 2, 3)
    ways = {
        tuple(_takes(process, dict(zip("abc", values, strict=True)))) for values in itertools.product(grid, repeat=3)
    }
    suite = plan(process)
    assert {scenario.flows for scenario in suite.scenarios} <= ways
    covered = {flow for scenario in suite.scenarios for flow in scenario.flows}
    assert covered == {flow for way in ways for flow in way}
    told = {problem.element for problem in suite.problems if DEAD in problem.message}
    assert told.isdisjoint(covered)


@given(decided_processes())
def test_search_with_all_criteria_takes_only_what_data_can(process: Process) -> None:
    """Whatever is asked for, no scenario contradicts itself."""
    grid = (None, -1, 0, 0.5, 1, 1.5, 2, 3)
    ways = {
        tuple(_takes(process, dict(zip("abc", values, strict=True)))) for values in itertools.product(grid, repeat=3)
    }
    assert {scenario.flows for scenario in plan(process, criteria=ALL).scenarios} <= ways


def _diamonds(count: int, variables: int) -> Process:
    """A row of exclusive diamonds that compare a few variables with rising numbers."""
    nodes = [FlowNode("start", NodeKind.START_EVENT)]
    flows: list[SequenceFlow] = []
    last = "start"
    for number in range(count):
        split, one, join = f"x{number}", f"t{number}", f"j{number}"
        nodes += [
            FlowNode(split, NodeKind.EXCLUSIVE_GATEWAY, default_flow=f"{split}-no"),
            FlowNode(one, NodeKind.TASK),
            FlowNode(join, NodeKind.EXCLUSIVE_GATEWAY),
        ]
        condition = Condition(f"${{v{number % variables} > {number}}}")
        flows += [
            SequenceFlow(f"{last}>{split}", last, split),
            SequenceFlow(f"{split}-yes", split, one, condition=condition),
            SequenceFlow(f"{split}-no", split, join),
            SequenceFlow(f"{one}>{join}", one, join),
        ]
        last = join
    nodes.append(FlowNode("end", NodeKind.END_EVENT))
    flows.append(SequenceFlow("out", last, "end"))
    return Process("p", "P", nodes=tuple(nodes), flows=tuple(flows))


@pytest.mark.parametrize(("count", "variables"), [(100, 1), (100, 100), (250, 80), (250, 5)])
def test_correlated_decisions_are_planned_in_time(count: int, variables: int) -> None:
    """A thousand nodes whose conditions share variables are no reason to search for long."""
    process = _diamonds(count, variables)
    begin = time.process_time()
    suite = plan(process, Bindings(witnesses=False))
    assert time.process_time() - begin < 10
    assert missing(suite) == {}


def test_variables_beyond_the_limit_are_told() -> None:
    """Of a variable that very many conditions compare, the first ones are watched, and the plan says so."""
    suite = plan(_diamonds(MAX_VARIABLE_CELLS // 2 + 100, 1), Bindings(witnesses=False))
    assert [message for message in messages(suite) if "held against" in message] == [
        "only some of the conditions that share variables were held against each other; 5080 were not"
    ]


def test_hash_seed_does_not_show_in_a_plan_with_conditions() -> None:
    """Reasons, data and dead branches are the same in every interpreter."""
    script = (
        "import json, test_path_assumptions as t\n"
        "from pytest_orchestra.generation.plans.plan import plan_json\n"
        "from suites import plan, ALL\n"
        "print(json.dumps(plan_json(plan(t.two_gateways(), criteria=ALL), 'f')))\n"
        "print(json.dumps(plan_json(plan(t._diamonds(12, 3), criteria=ALL), 'f')))\n"
    )
    outputs = set()
    for seed in ("0", "5", "99"):
        folders = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": folders}
        done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1
