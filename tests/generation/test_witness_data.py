"""Data for paths that no data set takes: made by changing as little as possible, within the schemas, and told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from process_text import process_of
from random_processes import decided_processes
from suites import explicit, fitting, missing, paths, plan

from pytest_orchestra.generation.plans.plan import plan_json, plan_text
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import DataSetOrigin, DataSetScope, TestDataSet
from pytest_orchestra.model.definition import Bindings, ScenarioDefinition
from pytest_orchestra.model.process import NodeKind, Process, ProcessDocument
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.model.specification import MediaType, Operation, Parameter, ProtocolSpec, SchemaRef
from pytest_orchestra.problem import Severity


def order() -> Process:
    return process_of(
        "start > place > xor1; xor1 -large [${amount > 1000}]> approve > xor2; xor1 -small> xor2;"
        "xor2 -express> fast > end; xor2 -standard> slow > end",
        xor1={"name": "Large?", "default_flow": "xor1>xor2"},
        xor2={"name": "Delivery?"},
    )


DECISIONS = {"Delivery?": {"express": "data.delivery == 'EXPRESS'", "standard": "data.delivery == 'STANDARD'"}}
TEA = TestDataSet("tea", {"amount": 5, "delivery": "STANDARD", "customer": {"name": "Ada"}}, tags=("small",))
POT = TestDataSet("pot", {"amount": 900, "delivery": "EXPRESS", "customer": {"name": "Bo"}}, tags=("big",))


def made(suite: ScenarioSuite) -> dict[str, Any]:
    return {data_set.name: data_set.data for data_set in suite.generated_data}


def told(suite: ScenarioSuite) -> list[str]:
    found = [problem for scenario in suite.scenarios for problem in scenario.problems]
    return [str(problem) for problem in found if "no data set fits" in problem.message]


def test_path_without_data_gets_the_data_set_that_changes_least() -> None:
    """All other values are kept, and the plan says from what it was made and how."""
    suite = plan(order(), Bindings(decisions=DECISIONS), [TEA, POT])
    assert fitting(suite) == {"small-standard": ("tea",), "small-express": ("pot",), "large": ("large",)}
    [witness] = suite.generated_data
    assert witness.data == {"amount": 1001, "delivery": "STANDARD", "customer": {"name": "Ada"}}
    assert (witness.origin, witness.scope, witness.scenario, witness.suite) == (
        DataSetOrigin.GENERATED,
        DataSetScope.SCENARIO,
        "large",
        "order",
    )
    assert told(suite) == [
        (
            "order: no data set fits scenario 'large': none satisfies '${amount > 1000}'; "
            "'large' was made from 'tea' with amount = 1001\nhint: add a data set for it to choose the values yourself"
        )
    ]
    assert {one.severity for scenario in suite.scenarios for one in scenario.problems} == {Severity.INFO}


def test_without_any_data_all_names_of_conditions_are_data() -> None:
    """A bare model gets data for each of its paths, and no problem is made of it."""
    suite = plan(order())
    assert made(suite) == {"large": {"amount": 1001}, "small": {"amount": 1000}}
    assert fitting(suite) == {"large": ("large",), "small": ("small",)}
    assert told(suite) == []


def test_name_that_data_does_not_hold_is_left_to_the_process() -> None:
    """Where there is data, what it does not name is decided at run time and set by nobody."""
    process = process_of(
        "start > xor1; xor1 -large [amount > 1000]> xor2; xor1 -small> end;"
        "xor2 -yes [approved]> a > end; xor2 -no> end",
        xor1={"default_flow": "xor1>end"},
        xor2={"default_flow": "xor2>end"},
    )
    assert set(map(str, made(plan(process, None, [TEA])).values())) == {str({**TEA.data, "amount": 1001})}


def test_variable_that_a_node_writes_is_no_data() -> None:
    """Without data sets, names that a script gives are not made up."""
    process = process_of(
        "start > work > xor; xor -good [score > 5 and limit < 3]> a > end; xor -bad> end",
        work={"kind": NodeKind.SCRIPT_TASK, "script": "score = 7"},
        xor={"default_flow": "xor>end"},
    )
    assert made(plan(process))["good"] == {"limit": 2}


def test_collection_is_made_with_as_many_items_as_asked() -> None:
    """A condition on the number of items gets a list."""
    process = process_of(
        "start > xor; xor -many [items.size() > 2]> a > end; xor -few> end", xor={"default_flow": "xor>end"}
    )
    assert made(plan(process)) == {"many": {"items": ["x", "x", "x"]}, "few": {"items": ["x"]}}


def test_data_is_made_only_if_wanted() -> None:
    """``witnesses: false`` leaves a path without data, with the warning as before."""
    suite = plan(order(), Bindings(decisions=DECISIONS, witnesses=False), [TEA])
    assert suite.generated_data == ()
    assert all("hint: add a data set for it" in text for text in told(suite))


def test_name_of_made_data_is_free() -> None:
    """A data set of the scenario's name stays what it is."""
    taken = TestDataSet("large", {"amount": 1, "delivery": "STANDARD"})
    suite = plan(order(), Bindings(decisions=DECISIONS), [taken])
    names = [data_set.name for data_set in suite.generated_data]
    assert "large-witness" in names
    assert len(names) == len(set(names))


def test_processes_of_one_file_make_data_of_different_names() -> None:
    """Scenarios of two processes may have the same key."""
    document = ProcessDocument("a.bpmn", processes=(order(), process_of("start > end")))
    suite = build_suite(order(), None, [], document=document)
    assert [data_set.name for data_set in suite.generated_data] == ["large-order", "small-order"]


def test_contradicting_conditions_are_said_to_be_why_there_is_no_data() -> None:
    """A path that the user demands though no data can take it says which conditions exclude each other."""
    process = process_of(
        "start > xor1; xor1 -a [amount > 10]> xor2; xor1 -b> end; xor2 -c [amount < 5]> t > end; xor2 -d> end",
        xor1={"default_flow": "xor1>end"},
        xor2={"default_flow": "xor2>end"},
    )
    suite = plan(process, explicit("mine", xor1="a", xor2="c"), [TEA])
    assert told(suite)[0] == (
        "order: no data set fits scenario 'mine': none satisfies 'amount > 10', 'amount < 5', and none can: "
        "'amount > 10', 'amount < 5' contradict each other\nhint: add a data set for it"
    )
    assert fitting(suite)["mine"] == ()


def test_opaque_condition_is_said_to_be_why_there_may_be_no_data() -> None:
    """What is understood is solved; a path of which nothing is understood needs no data of its own."""
    process = process_of(
        "start > xor1; xor1 -a [${bean.ask(x)} and amount > 10]> t > end; xor1 -b> end",
        xor1={"default_flow": "xor1>end"},
    )
    suite = plan(process, None, [TEA])
    assert made(suite) == {"a": {**TEA.data, "amount": 11}}
    only_opaque = process_of(
        "start > xor1; xor1 -a [${bean.ask(x)}]> t > end; xor1 -b> end", xor1={"default_flow": "xor1>end"}
    )
    assert fitting(plan(only_opaque, None, [TEA])) == {"a": ("tea",), "b": ("tea",)}


def test_text_of_the_plan_and_its_json_have_the_data() -> None:
    """The values can be read without running anything."""
    suite = plan(order())
    assert plan_json(suite, "order.bpmn")["generatedData"] == {"large": {"amount": 1001}, "small": {"amount": 1000}}
    assert "  data       large" in plan_text(suite).splitlines()


def test_boundary_values_are_data_at_below_and_above_each_number() -> None:
    """On request, and as far as they stay on the path."""
    process = process_of(
        "start > xor1; xor1 -mid [amount > 10 and amount <= 20]> a > end; xor1 -rest> end",
        xor1={"default_flow": "xor1>end"},
    )
    data = [TestDataSet("fifteen", {"amount": 15, "note": "x"}), TestDataSet("one", {"amount": 1, "note": "y"})]
    suite = plan(process, Bindings(boundary_values=True), data)
    amounts = {name: values["amount"] for name, values in made(suite).items()}
    assert amounts == {
        "mid-amount-above-10": 11,
        "mid-amount-at-20": 20,
        "mid-amount-below-20": 19,
        "rest-amount-at-10": 10,
        "rest-amount-below-10": 9,
        "rest-amount-above-20": 21,
    }
    assert fitting(suite)["mid"] == ("fifteen", "mid-amount-above-10", "mid-amount-at-20", "mid-amount-below-20")
    assert all(values["note"] == "x" for name, values in made(suite).items() if name.startswith("mid"))
    assert plan(process, None, data).generated_data == ()


def test_boundaries_of_decimals_have_their_step() -> None:
    """Just above 0.25 is 0.26."""
    process = process_of("start > xor; xor -a [rate >= 0.25]> t > end; xor -b> end", xor={"default_flow": "xor>end"})
    suite = plan(process, Bindings(boundary_values=True), [TestDataSet("r", {"rate": 0.5})])
    assert made(suite)["a-rate-above-0.25"] == {"rate": 0.26}
    assert made(suite)["a-rate-at-0.25"] == {"rate": 0.25}


def _orders(schema: dict[str, Any], parameters: tuple[Parameter, ...] = ()) -> dict[str, ProtocolSpec]:
    operation = Operation(
        "place",
        "post",
        "/orders/{id}",
        parameters=parameters,
        request_bodies=(MediaType("application/json", SchemaRef("urn:orders#/components/schemas/Order")),),
    )
    documents = {
        "urn:orders": {
            "components": {"schemas": {"Order": schema, "Money": {"type": "integer", "minimum": 1}}},
            "parameters": {"id": {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"}},
        }
    }
    return {"orders": ProtocolSpec("http", "orders", "0", operations=(operation,), documents=documents)}


def _plan_with(
    schema: dict[str, Any], condition: str, template: Any, *data: TestDataSet, **fields: Any
) -> ScenarioSuite:
    process = process_of(
        f"start > place > xor; xor -yes [{condition}]> a > end; xor -no> end", xor={"default_flow": "xor>end"}
    )
    step = {"endpointRef": "orders.place", "inputTemplate": {"body": template, **fields}}
    bindings = Bindings.model_validate({"bindings": {"place": step, "a": []}})
    parameters = (Parameter("id", "path", schema=SchemaRef("urn:orders#/parameters/id")),)
    return build_suite(process, bindings, data, specs=_orders(schema, parameters))


@pytest.mark.parametrize(
    ("schema", "condition", "expected"),
    [
        ({"type": "integer", "multipleOf": 50}, "x > 1000", 1050),
        ({"type": "number", "minimum": 1500}, "x > 1000", 1500),
        ({"type": "number", "exclusiveMinimum": 1500}, "x > 1000", 1501),
        ({"type": "integer", "exclusiveMaximum": 1002}, "x > 1000", 1001),
        ({"enum": ["A", "B", "C"]}, "x != 'A'", "B"),
        ({"const": "Z"}, "x != 'A'", "Z"),
        ({"type": "string", "minLength": 12}, "x != 'A'", "A-otherxxxxx"),
        ({"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"}, "x != 'A'", "AA0"),
        ({"type": "string", "format": "date"}, "x != 'A'", "2025-01-31"),
        ({"type": "string", "pattern": "^a|b$", "examples": ["ab"]}, "x != 'a'", "ab"),
        ({"type": ["integer", "null"]}, "x == null", None),
        ({"allOf": [{"$ref": "#/components/schemas/Money"}, {"maximum": 3}]}, "x != 2", 1),
        ({"type": "boolean"}, "x", True),
    ],
)
def test_made_value_satisfies_the_schema_of_its_field(schema: dict[str, Any], condition: str, expected: Any) -> None:
    """Where a step sends a value in a field, the field's schema is part of what is solved."""
    suite = _plan_with({"properties": {"field": schema}}, condition, {"field": "{{data.x}}"})
    assert made(suite)["yes"] == {"x": expected}


def test_schema_that_forbids_what_a_path_needs_is_said_to_be_why() -> None:
    """No order can be sent that takes the path."""
    schema = {"properties": {"lines": {"items": {"properties": {"n": {"type": "integer", "maximum": 5}}}}}}
    data = TestDataSet("few", {"x": 1})
    suite = _plan_with(schema, "x > 1000", {"lines": [{"n": "{{ data.x }}"}]}, data)
    assert "and none can: the schema of its field forbids it" in told(suite)[0]


def test_parameter_restricts_data_as_a_body_does() -> None:
    """Path, query, header and cookie parameters have schemas too; a text with more than the value has none."""
    suite = _plan_with({}, "x != 'ABC-1234'", {}, path={"id": "{{data.x}}"})
    assert made(suite)["yes"] == {"x": "AAA-0000"}
    loose = _plan_with({}, "x != 'ABC-1234'", {}, path={"id": "no {{data.x}}"})
    assert made(loose)["yes"] == {"x": "ABC-1234-other"}


def test_tag_means_the_data_sets_of_that_tag_that_fit() -> None:
    """A tag is narrowed to what the path allows; a name is taken at its word, with a warning."""
    bindings = Bindings(
        decisions=DECISIONS,
        scenarios=[
            ScenarioDefinition(key="tagged", decisions={"Delivery?": "standard"}, data_sets=["tag:small"]),
            ScenarioDefinition(key="named", decisions={"Delivery?": "standard"}, data_sets=["pot", "tag:small"]),
        ],
    )
    other = TestDataSet("cup", {"amount": 9, "delivery": "EXPRESS"}, tags=("small",))
    suite = plan(order(), bindings, [TEA, POT, other])
    assert fitting(suite)["tagged"] == ("tea",)
    assert fitting(suite)["named"] == ("tea", "pot")
    warned = {
        scenario.key: [one.message for one in scenario.problems if one.severity is Severity.WARNING]
        for scenario in suite.scenarios
    }
    assert warned["tagged"] == []
    assert warned["named"] == [
        "data set 'pot' does not fit scenario 'named': it does not satisfy 'data.delivery == 'STANDARD''"
    ]


def test_tag_of_which_nothing_fits_is_where_data_is_made_from() -> None:
    """The scenario keeps to the data that it names."""
    large = ScenarioDefinition(key="mine", decisions={"Large?": "large"}, data_sets=["tag:big"])
    suite = plan(order(), Bindings(decisions=DECISIONS, scenarios=[large]), [TEA, POT])
    assert made(suite)["mine"] == {**POT.data, "amount": 1001}


def retry(maximum: int = 2, **decisions: str) -> tuple[Process, Bindings]:
    process = process_of("start > pay > xor; xor -again> pay; xor -done> end", xor={"name": "Again?"})
    return process, Bindings(decisions={"Again?": decisions}, max_loop_iterations=maximum)


def test_visit_lets_data_decide_how_often_a_loop_is_repeated() -> None:
    """The number of the visit, from 1, can be compared with data."""
    process, bindings = retry(again="visit <= data.retries", done="visit > data.retries")
    data = [TestDataSet(f"r{number}", {"retries": number}) for number in range(4)]
    suite = plan(process, bindings, data)
    assert missing(suite) == {}
    for scenario in suite.scenarios:
        again = scenario.nodes.count("pay") - 1
        assert scenario.data_sets in ((), (f"r{again}",))
    twice = Bindings(
        decisions=bindings.decisions,
        scenarios=[
            ScenarioDefinition(key=f"{times}-times", decisions={"Again?": [*["again"] * times, "done"]})
            for times in range(4)
        ],
    )
    assert fitting(plan(process, twice, data)) == {f"{times}-times": (f"r{times}",) for times in range(4)}


def test_visit_is_part_of_what_is_solved() -> None:
    """Without a fitting data set one is made that repeats the loop as often as the path does."""
    process, bindings = retry(again="visit <= data.retries")
    named = bindings.model_copy(
        update={"scenarios": [ScenarioDefinition(key="twice", decisions={"Again?": ["again", "again", "done"]})]}
    )
    suite = plan(process, named)
    assert made(suite)["twice"] == {"retries": 2}
    assert fitting(plan(process, named, [TestDataSet("one", {"retries": 1})]))["twice"] == ("twice",)


def test_data_that_decides_every_visit_alike_cannot_leave_a_loop() -> None:
    """Without the number of the visit, what sends data round once sends it round for ever."""
    process, bindings = retry(again="data.declined")
    suite = plan(process, bindings, [TestDataSet("bad", {"declined": True}), TestDataSet("good", {"declined": False})])
    assert paths(suite) == {"main": "start pay xor end"}
    assert missing(suite) == {"xor>pay": "contradicts 'data.declined' assumed at 'Again?'"}


@given(
    decided_processes(),
    st.lists(st.fixed_dictionaries({name: st.integers(0, 3) for name in "abc"}), max_size=3),
)
def test_every_scenario_has_data_that_leads_along_its_path(process: Process, values: list[dict[str, int]]) -> None:
    """Made or found, data fits the path that it is bound to, and other values than the conditions' are kept."""
    data = [TestDataSet(f"d{number}", {**value, "kept": number}) for number, value in enumerate(values)]
    suite = plan(process, None, data)
    known = {data_set.name: data_set.data for data_set in (*data, *suite.generated_data)}
    for scenario in suite.scenarios:
        if not scenario.conditions:
            continue
        for name in scenario.data_sets:
            led = _led(process, known[name])
            assert led is None or led == scenario.flows
            assert not data or known[name]["kept"] in range(len(data))
        assert scenario.data_sets or any("no data set" in one.message for one in scenario.problems)
    assert plan(process, None, data) == suite


def _led(process: Process, data: Any) -> tuple[str, ...] | None:
    """Give the flows that data takes; None where a value that decides is missing or null."""
    node, flows = process.nodes[0].id, []
    while process.outgoing[node]:
        taken = process.outgoing[node][-1]
        for flow in process.outgoing[node]:
            if flow.condition is None:
                continue
            if data.get(flow.condition.text.split()[0]) is None:
                return None
            if eval(flow.condition.text, {}, dict(data)):
                taken = flow
                break
        flows.append(taken.id)
        node = taken.target
    return tuple(flows)
