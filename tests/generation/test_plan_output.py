"""The plan as JSON and as text."""

from __future__ import annotations

import json

from process_text import process_of
from suites import ALL, explicit, plan

from pytest_orchestra.generation.plans.plan import plan_json, plan_text, plans_json, problems_of
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Process
from pytest_orchestra.problem import Severity


def delivery() -> Process:
    return process_of(
        "start > a > xor; xor -express [data.fast]> b > end; xor -standard> c > end; lost > end",
        name="Delivery",
        a={"name": "Pack"},
        xor={"name": "How fast?", "default_flow": "xor>c"},
        c={"name": "Send by mail"},
    )


def test_plan_as_json_keeps_the_contract() -> None:
    """One object with process, criteria, scenarios, coverage and problems, made of plain JSON values."""
    suite = plan(delivery(), Bindings(tags=["smoke"], witnesses=False), [TestDataSet("quick", {"fast": True})])
    found = plan_json(suite, "delivery.bpmn")
    assert json.loads(json.dumps(found)) == found
    assert found["file"] == "delivery.bpmn"
    assert found["process"] == {"id": "order", "name": "Delivery", "hash": "0" * 64}
    assert found["criteria"] == ["edge"]
    assert found["scenarios"][0] == {
        "key": "express",
        "name": "How fast? express",
        "nodes": ["start", "a", "xor", "b", "end"],
        "flows": ["start>a", "a>xor", "xor>b", "b>end"],
        "decisions": {"xor": ["xor>b"]},
        "conditions": ["data.fast"],
        "data": ["quick"],
        "serves": ["edge:start>a", "edge:a>xor", "edge:xor>b", "edge:b>end"],
        "onlyServes": ["edge:xor>b", "edge:b>end"],
        "steps": [],
        "tags": ["smoke"],
        "active": True,
    }
    assert found["coverage"] == {
        "edge": {
            "covered": 6,
            "total": 7,
            "missing": [{"element": "lost>end", "reason": "cannot be reached from a start"}],
        }
    }
    assert found["minimum"] == {"lowerBound": 2, "chosen": 2, "isProven": True}
    assert {
        "severity": "warning",
        "code": "",
        "place": "order",
        "message": "no data set fits scenario 'standard': none satisfies 'not (data.fast)'",
        "hint": "add a data set for it",
    } in found["problems"]


def test_steps_are_in_the_json() -> None:
    """A reader sees which steps a scenario has, and for which element."""
    bindings = Bindings.model_validate({"bindings": {"Pack": {"endpointRef": "shop.pack"}, "b": [], "c": []}})
    found = plan_json(plan(delivery(), bindings), "delivery.bpmn")
    assert found["scenarios"][0]["steps"] == [{"alias": "pack", "element": "a", "kind": "ACTION"}]


def test_plans_of_several_processes_are_a_list() -> None:
    """A file with one process gives its object, with several a list under 'processes'."""
    suite = plan(delivery())
    assert plans_json([suite], "a.bpmn") == plan_json(suite, "a.bpmn")
    both = plans_json([suite, suite], "a.bpmn")
    assert both == {"file": "a.bpmn", "processes": [plan_json(suite, "a.bpmn")] * 2}
    assert plans_json([], "a.bpmn") == {"file": "a.bpmn", "processes": []}


def test_problems_are_each_told_once() -> None:
    """A task that two scenarios pass is one problem."""
    found = problems_of(plan(delivery()))
    assert len(found) == len(set(found))
    assert [problem.message for problem in found if problem.severity is Severity.INFO] == [
        "task 'Pack' is bound to no step",
        "task 'b' is bound to no step",
        "task 'Send by mail' is bound to no step",
    ]


def test_plan_as_text_reads_as_people_speak() -> None:
    """Names instead of ids, what only a scenario serves, coverage with reasons, problems with hints."""
    suite = plan(delivery(), Bindings(witnesses=False), [TestDataSet("quick", {"fast": True})], criteria=ALL)
    text = plan_text(suite, delivery())
    only_by_mail = (
        "node Send by mail, edge How fast? > Send by mail (standard), edge Send by mail > end, "
        "decision How fast? -> standard"
    )
    assert text.splitlines() == [
        "Delivery: 2 scenarios for node, edge, decision coverage, the least there can be",
        "",
        "express",
        "  name       How fast? express",
        "  decides    How fast? -> express",
        "  path       5 nodes, 0 steps",
        "  requires   data.fast",
        "  data       quick",
        "  only here  node b, edge How fast? > b (express), edge b > end, decision How fast? -> express",
        "",
        "standard",
        "  name       How fast? standard",
        "  decides    How fast? -> standard",
        "  path       5 nodes, 0 steps",
        "  requires   not (data.fast)",
        f"  only here  {only_by_mail}",
        "",
        "coverage",
        "  node       6 of 7 (85 %)",
        "    not lost: cannot be reached from a start",
        "  edge       6 of 7 (85 %)",
        "    not lost > end: cannot be reached from a start",
        "  decision   2 of 2 (100 %)",
        "",
        "problems",
        "  warning[dead-element] order: task 'lost' cannot be reached from a start",
        "    hint: lead a flow to it, or remove it",
        "  warning order: no data set fits scenario 'standard': none satisfies 'not (data.fast)'",
        "    hint: add a data set for it",
        "  info 3 activities have no steps yet",
    ]


def test_plan_as_text_without_the_process_uses_ids() -> None:
    """The suite alone suffices for a plan."""
    text = plan_text(plan(delivery()))
    assert "  decides    xor -> xor>b" in text.splitlines()
    assert "    not lost>end: cannot be reached from a start" in text.splitlines()


def test_many_goals_are_cut_short_in_the_text() -> None:
    """A long list ends in a number."""
    text = plan_text(plan(process_of("start > " + " > ".join(f"t{number}" for number in range(20)) + " > end")))
    [line] = [line for line in text.splitlines() if line.startswith("  only here")]
    assert line.endswith(" and 15 more")


def test_inactive_scenario_is_marked_and_serves_nothing_alone() -> None:
    """What does not run is shown as such."""
    bindings = explicit("mine", xor="express")
    bindings = bindings.model_copy(update={"scenarios": [bindings.scenarios[0].model_copy(update={"active": False})]})
    suite = plan(delivery(), bindings)
    assert "mine (inactive)" in plan_text(suite).splitlines()
    assert plan_json(suite, "x")["scenarios"][0]["onlyServes"] == []
