"""What became of the scenarios of a saved plan: told for every kind of change, and never for none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from process_text import process_of
from random_processes import block_processes
from suites import plan

from pytest_orchestra.generation.plans.plan_changes import (
    PlanChanges,
    ScenarioState,
    changes_json,
    changes_text,
    compare_plans,
)
from pytest_orchestra.generation.plans.plan_file import plan_file_text, record_plan
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.model.saved_plan import SavedPlan
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.readers.openapi import read_openapi

TEXT = "start > ask > xor; xor -large> approve > xorm; xor -small> xorm; xorm > ship > end"
NAMES = {
    "ask": {"name": "Ask"},
    "xor": {"name": "Large?"},
    "approve": {"name": "Approve"},
    "ship": {"name": "Ship"},
}
SHIP = {"Ship": [{"alias": "ship", "endpointRef": "orders.ship", "inputTemplate": {"body": {"id": 1}}}]}


def saved(
    process: Process | Sequence[Process],
    bindings: dict[str, Any] | None = None,
    data: Sequence[TestDataSet] = (),
    specs: dict[str, ProtocolSpec] | None = None,
    criteria: Sequence[Criterion] = (Criterion.EDGE,),
) -> SavedPlan:
    """Give the plan of processes as it would be saved."""
    processes = [process] if isinstance(process, Process) else list(process)
    bound = Bindings.model_validate(bindings or {})
    suites = [plan(each, bound, data, criteria) for each in processes]
    known = {data_set.name: data_set for data_set in data}
    return record_plan("folder/order.bpmn", processes, suites, bound, specs or {}, known)


def told(changes: PlanChanges) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Give state and words of each scenario by its key."""
    return {
        scenario.key: (scenario.state.value, scenario.changes)
        for process in changes.processes
        for scenario in process.scenarios
    }


def order(text: str = TEXT, **more: dict[str, Any]) -> Process:
    return process_of(text, **{name: fields for name, fields in {**NAMES, **more}.items() if name in text})


def test_same_plan_is_unchanged_and_says_nothing() -> None:
    """Nothing differs, nothing is told but the keys."""
    changes = compare_plans(saved(order()), saved(order()))
    assert changes.is_unchanged
    assert told(changes) == {"large": ("unchanged", ()), "small": ("unchanged", ())}
    assert changes_text(changes, "p.json") == "Order since p.json: 2 unchanged\n\nunchanged  large, small"


@given(block_processes())
def test_any_process_is_unchanged_against_itself(process: Process) -> None:
    """Whatever the process, its own plan does not differ from it, also after a way through a file."""
    before = saved(process)
    read = SavedPlan.model_validate(json.loads(plan_file_text(before)))
    assert read == before
    assert compare_plans(read, saved(process)).is_unchanged


def test_new_ids_and_names_re_map_scenarios() -> None:
    """The same path by meaning under other ids and names is the same scenario, told as such."""
    text = TEXT.replace("ask", "query").replace("xorm", "xor_9")
    names = {"query": {"name": "Ask"}, "xor": {"name": "Big?"}}
    changes = compare_plans(saved(order()), saved(order(text, **names)))
    assert {state for state, _ in told(changes).values()} == {"re-mapped"}
    (process,) = changes.processes
    assert process.ids["ask"] == "query"
    assert process.ids["xorm"] == "xor_9"
    assert "exclusive gateway 'Large?' is called 'Big?' now" in told(changes)["small"][1]
    assert "6 elements and flows have other ids now" in told(changes)["small"][1]


def test_renamed_branch_gives_another_key_and_re_maps() -> None:
    """The key follows the branch's name; the path tells that it is the same scenario."""
    changes = compare_plans(saved(order()), saved(order(TEXT.replace("-small>", "-little>"))))
    assert told(changes)["little"] == (
        "re-mapped",
        ("its key is 'little' now, was 'small'", "flow 'small' (Large? > xorm) is called 'little' now"),
    )
    (little,) = (one for process in changes.processes for one in process.scenarios if one.key == "little")
    assert little.was == "small"


def test_removed_task_breaks_the_scenarios_that_pass_it_only() -> None:
    """A scenario elsewhere is unchanged."""
    before = order(TEXT.replace("approve >", "check > approve >"), check={"name": "Check"})
    changes = compare_plans(saved(before), saved(order()))
    assert told(changes)["small"] == ("unchanged", ())
    assert told(changes)["large"][0] == "broken"
    assert told(changes)["large"][1][0] == "removed task 'Check'"
    assert changes.processes[0].changes[0] == "removed task 'Check'"


def test_removed_branch_breaks_its_scenario_and_says_which_flow() -> None:
    """The scenario is not generated any more, because its branch is gone."""
    text = TEXT + "; xor -rejected> refuse > end"
    changes = compare_plans(saved(order(text, refuse={"name": "Refuse"})), saved(order()))
    assert told(changes)["rejected"] == (
        "broken",
        ("removed task 'Refuse'", "removed flow 'rejected' (Large? > Refuse)"),
    )


def test_added_task_makes_the_scenarios_that_pass_it_stale() -> None:
    """What is passed besides is told; with a sidecar that binds others, that it is bound to nothing breaks them."""
    after = order(TEXT.replace("approve >", "approve > check >"), check={"name": "Check"})
    changes = compare_plans(saved(order()), saved(after))
    assert told(changes)["large"] == ("stale", ("passes new task 'Check'",))
    assert told(changes)["small"][0] == "unchanged"


def test_added_branch_is_a_new_scenario() -> None:
    """The others are as they were."""
    after = order(TEXT + "; xor -gift> wrap > xorm", wrap={"name": "Wrap"})
    found = told(compare_plans(saved(order()), saved(after)))
    assert found["gift"] == ("new", ("passes new task 'Wrap'",))
    assert found["large"][0] == found["small"][0] == "unchanged"


def test_scenario_that_the_sidecar_does_not_name_any_more_is_missing() -> None:
    """Its path is there, and nobody asks for it."""
    named = {"scenarios": [{"key": "mine", "decisions": {"Large?": "small"}}]}
    before = saved(
        order(), {**named, "scenarios": [*named["scenarios"], {"key": "twin", "decisions": {"xor": "small"}}]}
    )
    assert told(compare_plans(before, saved(order(), named)))["twin"] == (
        "missing",
        ("the sidecar does not name it any more",),
    )


def test_scenario_that_coverage_does_not_need_any_more_is_missing() -> None:
    """A weaker criterion, and the path is there all the same."""
    process = process_of("start > xor; xor -a> x > end; xor -b> x")
    changes = compare_plans(saved(process), saved(process, criteria=[Criterion.NODE]))
    states = dict(told(changes).values())
    assert states["missing"] == ("its path is still there, but coverage does not need it any more",)
    assert set(changes.processes[0].changes) == {
        "edge coverage is not asked for any more",
        "node coverage is asked for now: 4 of 4",
    }


def test_named_scenario_whose_decision_is_gone_is_broken_with_the_reason() -> None:
    """The reason is the one that the plan itself gives."""
    named = {"scenarios": [{"key": "mine", "decisions": {"Large?": "large"}}]}
    renamed = order(TEXT, xor={"name": "Big?"})
    changes = compare_plans(saved(order(), named), saved(renamed, named))
    state, words = told(changes)["mine"]
    assert state == "broken"
    assert "decides at 'Large?', where the process decides nothing" in words[0]


DATA = (TestDataSet("rich", {"amount": 2000, "pin": "4711"}), TestDataSet("poor", {"amount": 1, "pin": "0815"}))
CONDITION = TEXT.replace("-large>", "-large [amount > 1000]>").replace("-small>", "-small [amount <= 1000]>")


def test_values_of_data_never_enter_a_saved_plan() -> None:
    """Only names and a digest of the whole are kept."""
    text = plan_file_text(saved(order(CONDITION), data=DATA))
    assert "4711" not in text
    assert "0815" not in text
    assert '"fields": ["amount", "pin"]' in text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((replace(DATA[0], data={"amount": 3000, "pin": "4711"}), DATA[1]), "data set 'rich' has other values"),
        ((replace(DATA[0], data={"amount": 2000}), DATA[1]), "data set 'rich' has no 'pin' any more"),
        ((DATA[0].with_data(vip=True), DATA[1]), "data set 'rich' has 'vip' now"),
        ((*DATA, TestDataSet("huge", {"amount": 9000})), "runs with data set 'huge' as well"),
    ],
)
def test_changed_data_makes_its_scenarios_stale(data: tuple[TestDataSet, ...], expected: str) -> None:
    """What changed about the data is told without its values."""
    found = told(compare_plans(saved(order(CONDITION), data=DATA), saved(order(CONDITION), data=data)))
    assert found["large"] == ("stale", (expected,))
    assert found["small"][0] == "unchanged"


def test_scenario_that_no_data_set_fits_any_more_runs_with_generated_data() -> None:
    """Data that is made for it is not what people wrote: it is stale, and the other way round as well."""
    poor = saved(order(CONDITION), data=(replace(DATA[0], data={"amount": 5, "pin": "4711"}), DATA[1]))
    rich = saved(order(CONDITION), data=DATA)
    assert told(compare_plans(rich, poor))["large"] == (
        "stale",
        ("no data set fits any more, it runs with generated data now",),
    )
    state, words = told(compare_plans(poor, rich))["large"]
    assert (state, words[0]) == ("stale", "runs with data sets now, was with generated data")


def test_scenario_without_any_data_any_more_is_broken() -> None:
    """Without data it cannot run."""
    rich = saved(order(CONDITION), data=DATA)
    (process,) = rich.processes
    without = [scenario.model_copy(update={"data": []}) for scenario in process.scenarios]
    after = rich.model_copy(update={"processes": [process.model_copy(update={"scenarios": without})]})
    assert told(compare_plans(rich, after))["large"] == ("broken", ("no data set fits any more",))


def test_changed_condition_makes_its_scenario_stale() -> None:
    """The old condition and the new one are told."""
    after = CONDITION.replace("amount > 1000", "amount > 900")
    found = told(compare_plans(saved(order(CONDITION), data=DATA), saved(order(after), data=DATA)))
    assert found["large"] == (
        "stale",
        ("requires now: amount > 900", "does not require any more: amount > 1000"),
    )


def specification(tmp_path: Path, *, path: str = "/ship", name: str = "ship", **schema: Any) -> dict[str, ProtocolSpec]:
    body = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"], **schema}
    reply = {"type": "object", "properties": {"state": {"type": "string"}}} | schema.pop("reply", {})
    body.pop("reply", None)
    text = json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "t", "version": "1"},
            "paths": {
                path: {
                    "post": {
                        "operationId": name,
                        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                        "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": reply}}}},
                    }
                }
            },
        }
    )
    file = tmp_path / "orders.json"
    file.write_text(text)
    return {"orders": read_openapi(file, "orders")}


def test_contract_of_a_bound_operation_that_changes_makes_scenarios_stale(tmp_path: Path) -> None:
    """The change is told field by field."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    before = saved(process, {"bindings": SHIP}, specs=specification(tmp_path))
    new = {"properties": {"id": {"type": "string"}, "to": {"type": "string"}}, "required": ["id", "to"]}
    after = saved(process, {"bindings": SHIP}, specs=specification(tmp_path, **new))
    assert told(compare_plans(before, after))["main"] == (
        "stale",
        (
            "orders.ship: request body field 'id' is now 'string', was 'integer'",
            "orders.ship: request body field 'to' is new and required",
        ),
    )


def test_operation_at_another_path_re_maps(tmp_path: Path) -> None:
    """The step calls it by its id, so it goes on; what it is called over HTTP is told."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    before = saved(process, {"bindings": SHIP}, specs=specification(tmp_path))
    after = saved(process, {"bindings": SHIP}, specs=specification(tmp_path, path="/shipments"))
    assert told(compare_plans(before, after))["main"] == (
        "re-mapped",
        ("orders.ship: is POST /shipments now, was POST /ship",),
    )


def test_operation_renamed_in_specification_and_sidecar_re_maps(tmp_path: Path) -> None:
    """The contract is the same, so the step does the same."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    before = saved(process, {"bindings": SHIP}, specs=specification(tmp_path))
    renamed = {"Ship": [{**SHIP["Ship"][0], "endpointRef": "orders.send"}]}
    after = saved(process, {"bindings": renamed}, specs=specification(tmp_path, name="send"))
    assert told(compare_plans(before, after))["main"] == (
        "re-mapped",
        ("operation 'orders.ship' is called 'orders.send' now",),
    )


def test_operation_gone_from_the_specification_breaks_and_says_what_it_is_called_now(tmp_path: Path) -> None:
    """The same method and path under another id is probably it."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    before = saved(process, {"bindings": SHIP}, specs=specification(tmp_path))
    specs = specification(tmp_path, name="send")
    changes = compare_plans(before, saved(process, {"bindings": SHIP}, specs=specs), specs)
    assert told(changes)["main"] == (
        "broken",
        ("orders.ship: the operation is gone; POST /ship is called 'send' now",),
    )
    gone = specification(tmp_path, name="send", path="/elsewhere")
    changes = compare_plans(before, saved(process, {"bindings": SHIP}, specs=gone), gone)
    assert told(changes)["main"][1] == ("orders.ship: the operation POST /ship is gone from the specification",)
    changes = compare_plans(before, saved(process, {"bindings": SHIP}))
    assert told(changes)["main"][1] == ("orders.ship: service 'orders' has no specification any more",)


@pytest.mark.parametrize("rule", ["response.body.state == 'SENT'", "body['state'] == 'SENT'"])
def test_field_that_a_rule_reads_and_the_reply_has_no_more_breaks(tmp_path: Path, rule: str) -> None:
    """The step that reads it is named."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    bound = {"Ship": [{**SHIP["Ship"][0], "businessRules": [rule]}]}
    before = saved(process, {"bindings": bound}, specs=specification(tmp_path))
    after = saved(process, {"bindings": bound}, specs=specification(tmp_path, reply={"properties": {}}))
    assert told(compare_plans(before, after))["main"] == (
        "broken",
        (
            "orders.ship: response field 'state' is gone, which step 'ship' reads",
            "orders.ship: response 200 body field 'state' is gone",
        ),
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timeoutMs": 5}, "step 'ship' is defined otherwise: 'timeoutMs'"),
        ({"inputTemplate": {"body": {"id": 2}}}, "step 'ship' is defined otherwise: 'inputTemplate.body'"),
    ],
)
def test_changed_step_makes_its_scenarios_stale(change: dict[str, Any], expected: str) -> None:
    """The fields that changed are named, their values are not."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    after = {"Ship": [{**SHIP["Ship"][0], **change}]}
    found = told(compare_plans(saved(process, {"bindings": SHIP}), saved(process, {"bindings": after})))
    assert found["main"] == ("stale", (expected,))


def test_steps_that_come_and_go_are_told() -> None:
    """By their aliases."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    more = {"Ship": [*SHIP["Ship"], {"alias": "bill", "endpointRef": "orders.bill"}]}
    one, two = saved(process, {"bindings": SHIP}), saved(process, {"bindings": more})
    assert told(compare_plans(one, two))["main"][1] == ("step 'bill' is new",)
    assert told(compare_plans(two, one))["main"][1] == ("step 'bill' is gone",)


def test_renamed_step_re_maps() -> None:
    """A name is for people."""
    process = process_of("start > ship > end", ship={"name": "Ship"})
    after = {"Ship": [{**SHIP["Ship"][0], "name": "Send it off"}]}
    found = told(compare_plans(saved(process, {"bindings": SHIP}), saved(process, {"bindings": after})))
    assert found["main"] == ("re-mapped", ("step 'ship' has another name",))


def test_several_processes_are_paired_by_id_name_and_what_is_left() -> None:
    """A process that comes or goes is told as one; a renamed one is found."""
    one, two = order(), replace(process_of("start > a > end", name="Other"), id="two")
    changes = compare_plans(saved([one, two]), saved([two, replace(one, id="renamed")]))
    assert [process.process_id for process in changes.processes] == ["two", "renamed"]
    assert changes.processes[1].changes == ("the process has the id 'renamed' now, was 'order'",)
    assert set(told(changes).values()) == {("unchanged", ())}
    gone = compare_plans(saved([one, two]), saved(one))
    assert [(process.name, process.changes) for process in gone.processes] == [
        ("Order", ()),
        ("Other", ("the process is gone",)),
    ]
    assert told(gone)["main"][0] == "broken"
    come = compare_plans(saved(one), saved([one, two]))
    assert come.processes[1].changes == ("the process is new",)
    assert told(come)["main"][0] == "new"


def test_coverage_that_changes_is_told_of_the_process() -> None:
    """Goals that are missing now are news, although no scenario changed."""
    dead = order(TEXT + "; lost > xorm", lost={"name": "Lost"})
    changes = compare_plans(saved(order()), saved(dead))
    assert "edge coverage is 7 of 8 now, was 7 of 7" in changes.processes[0].changes
    assert set(told(changes).values()) == {("unchanged", ())}
    assert not changes.is_unchanged


def test_changes_as_json_have_every_state_and_the_ids() -> None:
    """What programs read: counts of all states, words, and ids from the old to the new."""
    after = order(TEXT.replace("approve", "approval"), approval={"name": "Approve"})
    facts: Any = changes_json(compare_plans(saved(order()), saved(after)))
    assert facts["unchanged"] is False
    (process,) = facts["processes"]
    assert process["process"] == {"id": "order", "name": "Order"}
    assert set(process["counts"]) == {state.value for state in ScenarioState}
    assert process["ids"]["approve"] == "approval"
    assert [(one["key"], one["was"], one["state"]) for one in process["scenarios"]] == [
        ("large", "large", "re-mapped"),
        ("small", "small", "unchanged"),
    ]


def test_saved_plan_holds_no_path_of_the_machine_and_ends_in_a_newline() -> None:
    """The name of the model's file is all; lines are sorted, so that unrelated changes stay apart."""
    text = plan_file_text(saved(order()))
    assert text.endswith("}\n")
    assert '"file": "order.bpmn"' in text
    assert "folder" not in text
    assert text == plan_file_text(saved(order()))
    elements = [element["id"] for element in json.loads(text)["processes"][0]["elements"]]
    assert elements == sorted(elements)


def test_order_of_elements_in_the_file_does_not_count() -> None:
    """Modellers write a file anew in another order; the plan is the same but for what generation makes of it."""
    nodes = [FlowNode("s", NodeKind.START_EVENT), FlowNode("t", NodeKind.TASK), FlowNode("e", NodeKind.END_EVENT)]
    flows = [SequenceFlow("f1", "s", "t"), SequenceFlow("f2", "t", "e")]
    one = Process("p", "P", nodes=tuple(nodes), flows=tuple(flows))
    other = Process("p", "P", nodes=tuple(reversed(nodes)), flows=tuple(reversed(flows)))
    assert plan_file_text(saved(one)) == plan_file_text(saved(other))
    assert Criterion.EDGE in saved(one).processes[0].coverage


def test_elements_and_flows_of_called_processes_are_kept_with_those_that_pass_them() -> None:
    """A scenario that leads through what its process does not have itself is saved whole, and reads back."""
    process = process_of("start > a > end")
    suite = plan(process)
    (scenario,) = suite.scenarios
    through = replace(
        scenario, nodes=(*scenario.nodes[:2], "inner", "elsewhere", "end"), flows=(*scenario.flows, "inner_flow", "far")
    )
    called = Process(
        "called",
        "Called",
        nodes=(FlowNode("inner", NodeKind.TASK, name="Inner"), FlowNode("inner_end", NodeKind.END_EVENT)),
        flows=(SequenceFlow("inner_flow", "inner", "inner_end"),),
    )
    whole = replace(suite, scenarios=(through,))
    kept = record_plan("order.bpmn", [process, called], [whole], None, {}, {}).processes[0]
    assert {element.id: element.name for element in kept.elements}["inner"] == "Inner"
    assert {"inner", "elsewhere"} <= {element.id for element in kept.elements}
    assert {(flow.id, flow.source) for flow in kept.flows} >= {("inner_flow", "inner"), ("far", "")}
