"""Names of operations, what the sidecar leaves to inference, and suggestions that nobody uses by accident."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_models import document_of, infer, messages_of, spec_of, step_of

from pytest_orchestra.generation.binding.suggestions import LEAST, MOST, Suggestions
from pytest_orchestra.generation.binding.words import joined, stem, words_of
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.readers.process_file import read_process

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"


@pytest.mark.parametrize(
    "element",
    [
        '<task id="t" name="placeOrder"/>',
        '<task id="t" name="Place order"/>',
        '<serviceTask id="t" name="Do it" implementation="orders.placeOrder"/>',
        '<serviceTask id="t" name="Do it" implementation="POST /orders"/>',
        '<userTask id="place_order" name="Do it"/>',
        '<task id="t" name="PLACEORDER"/>',
    ],
)
def test_name_id_or_implementation_that_is_an_operation_id_binds(tmp_path: Path, element: str) -> None:
    """All spellings of one name are the same: camel case, snake case, words."""
    spec = spec_of(tmp_path, "orders", {"/orders": {"post": "placeOrder", "get": "listOrders"}})
    inferred = infer(document_of(tmp_path, element), spec)
    [node] = inferred.steps
    assert step_of(inferred, node)[0] == "orders.placeOrder"
    assert inferred.how[node] == "operationId"


@pytest.mark.parametrize("name", ["Place orders", "Place an order", "order", "POST", ""])
def test_name_that_is_only_like_an_operation_id_binds_nothing(tmp_path: Path, name: str) -> None:
    """What is near is a suggestion and no binding."""
    spec = spec_of(tmp_path, "orders", {"/orders": {"post": "placeOrder"}})
    inferred = infer(document_of(tmp_path, f'<task id="t" name="{name}"/>'), spec)
    assert inferred.steps == {}


def test_name_of_two_operations_binds_nothing_and_says_so(tmp_path: Path) -> None:
    """Spellings count as the same only where that is unique."""
    one = spec_of(tmp_path, "one", {"/a": {"post": "placeOrder"}})
    two = spec_of(tmp_path, "two", {"/b": {"post": "place_order"}})
    inferred = infer(document_of(tmp_path, '<task id="t" name="Place order"/>'), one, two)
    assert inferred.steps == {}
    assert messages_of(inferred) == [
        "task 'Place order' is named like several operations: 'one.placeOrder', 'two.place_order'"
    ]
    exact = infer(document_of(tmp_path, '<task id="t" name="placeOrder"/>'), one, two)
    assert step_of(exact, "t")[0] == "one.placeOrder"


def test_required_input_is_read_from_the_data_by_name(tmp_path: Path) -> None:
    """Parameters and members of the body that must be there are; nothing else is sent."""
    operation = {
        "operationId": "ship",
        "parameters": [
            {"name": "order_id", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "X-Mode", "in": "header", "required": True, "schema": {"type": "string"}},
            {"name": "verbose", "in": "query", "schema": {"type": "boolean"}},
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ship"}}},
        },
        "responses": {"202": {"description": "ok"}},
    }
    ship = {"type": "object", "required": ["carrier", "unit price"], "properties": {"carrier": {}, "note": {}}}
    spec = spec_of(tmp_path, "s", {"/o/{order_id}": {"post": operation}}, components={"schemas": {"Ship": ship}})
    inferred = infer(document_of(tmp_path, '<task id="t" name="Ship"/>'), spec)
    assert step_of(inferred, "t")[1] == {
        "path": {"order_id": "{{data.order_id}}"},
        "headers": {"X-Mode": "{{data['X-Mode']}}"},
        "body": {"carrier": "{{data.carrier}}", "unit price": "{{data['unit price']}}"},
    }


@pytest.mark.parametrize("written", [{"Ship": []}, {"t": {"endpointRef": "s.other"}}])
def test_element_that_the_sidecar_binds_is_left_alone(tmp_path: Path, written: dict[str, object]) -> None:
    """By name or by id, also to nothing."""
    spec = spec_of(tmp_path, "s", {"/o": {"post": "ship"}})
    document = document_of(tmp_path, '<task id="t" name="Ship"/>')
    assert infer(document, spec, bindings=Bindings.model_validate({"bindings": written})).steps == {}
    assert infer(document, spec, bindings=Bindings(infer_bindings=False)).steps == {}


def test_inferred_steps_are_those_of_scenarios_and_make_the_unbound_errors(tmp_path: Path) -> None:
    """A scenario that calls something must not pass over the rest in silence."""
    text = """<startEvent id="s"/><task id="a" name="Ship"/><task id="b" name="Ship the goods"/><endEvent id="e"/>
      <sequenceFlow id="1" sourceRef="s" targetRef="a"/><sequenceFlow id="2" sourceRef="a" targetRef="b"/>
      <sequenceFlow id="3" sourceRef="b" targetRef="e"/>"""
    document = document_of(tmp_path, text)
    inferred = infer(document, spec_of(tmp_path, "s", {"/goods": {"post": "ship"}}))
    suite = build_suite(document.processes[0], None, [], document=document, inferred=inferred)
    [scenario] = suite.scenarios
    assert [(step.element_id, str(step.definition.endpoint_ref)) for step in scenario.steps] == [("a", "s.ship")]
    [problem] = scenario.problems
    assert (problem.severity, problem.message) == ("error", "task 'Ship the goods' is bound to no step")
    assert problem.hint == (
        "bind steps to 'Ship the goods', or an empty list if nothing is to be done there; perhaps it is 's.ship' (0.95)"
    )
    bare = build_suite(document.processes[0], None, [], document=document)
    assert {problem.severity for problem in bare.scenarios[0].problems} == {"info"}


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("Order placed", "orders.placeOrder"),
        ("Place the order", "orders.placeOrder"),
        ("Approve order", "orders.decideOrder"),
        ("Get the order", "orders.getOrder"),
        ("Look at orders", "orders.getOrder"),
        ("Take payment", "payments.chargeCard"),
        ("Charge the card", "payments.chargeCard"),
        ("Refund the order", "payments.refundOrder"),
        ("Reserve goods for order", "warehouse.reserveGoods"),
        ("Ship goods", "warehouse.shipGoods"),
        ("Release the reserved goods", "warehouse.releaseGoods"),
    ],
)
def test_suggestion_for_the_example_is_the_one_that_a_person_would_take(name: str, best: str) -> None:
    """Verbs, paths, summaries and fields together find it."""
    services = ("orders", "payments", "warehouse")
    specs = [read_openapi(EXAMPLE / "specs" / f"{service}.openapi.json", service) for service in services]
    found = Suggestions(specs).of(name)
    assert found[0].endpoint == best
    assert len(found) <= MOST
    assert all(LEAST <= each.score <= 1 for each in found)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


@pytest.mark.parametrize("name", ["Task 1", "End Event", "Activity", "X", "", "do", "Überweisung prüfen"])
def test_name_that_says_nothing_of_the_services_has_no_suggestion(name: str) -> None:
    """Words of the notation and foreign words do not match by chance."""
    spec = read_openapi(EXAMPLE / "specs" / "orders.openapi.json", "orders")
    assert Suggestions([spec]).of(name) == ()


def test_suggestions_are_for_what_may_be_called(tmp_path: Path) -> None:
    """Activities, starts and messages that come; not for what the process itself throws, nor for gateways."""
    message = "<messageEventDefinition/>"
    text = f"""<startEvent id="start" name="Order placed"/><task id="task" name="Place the order"/>
      <intermediateCatchEvent id="catch" name="Order placed">{message}</intermediateCatchEvent>
      <intermediateThrowEvent id="throw" name="Order placed">{message}</intermediateThrowEvent>
      <endEvent id="end" name="Order placed">{message}</endEvent><exclusiveGateway id="gate" name="Order placed"/>
      <subProcess id="sub" name="Place the order"/>"""
    spec = spec_of(tmp_path, "orders", {"/orders": {"post": "placeOrder"}})
    inferred = infer(document_of(tmp_path, text), spec)
    assert inferred.suggestions.keys() == {"start", "task", "catch"}
    assert inferred.steps == {}


def test_inference_depends_on_its_arguments_alone() -> None:
    """Twice the same is the same."""
    document = read_process(EXAMPLE / "order.bpmn")
    services = ("orders", "payments", "warehouse")
    specs = [read_openapi(EXAMPLE / "specs" / f"{service}.openapi.json", service) for service in services]
    assert infer(document, *specs) == infer(document, *specs)


@given(st.text(max_size=30))
def test_any_name_has_words(name: str) -> None:
    """Names of any script are taken apart and put together again."""
    assert joined(name) == "".join(words_of(name))
    assert all(stem(word) for word in words_of(name))


@given(st.lists(st.text(max_size=12), max_size=4), st.text(max_size=12))
def test_any_names_are_ranked_between_nothing_and_all(names: list[str], sought: str) -> None:
    """Scores stay within their bounds whatever the names are."""
    operations = tuple(Operation(name or "GET /", "GET", f"/{number}") for number, name in enumerate(names))
    spec = ProtocolSpec("http", "s", "v", operations=operations)
    assert all(LEAST <= each.score <= 1 for each in Suggestions([spec]).of(sought))
