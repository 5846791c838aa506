"""A first sidecar: what is sure is bound, what is likely is a comment, and later requests read earlier replies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from process_text import process_of
from service_models import document_of, infer, spec_of

from pytest_orchestra.generation.scaffold.precedence import Precedence
from pytest_orchestra.generation.scaffold.sidecar_text import data_text, sidecar_text
from pytest_orchestra.generation.scaffold.sketch import ProcessSketch, sketch_process
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.readers.yaml_source import parse_yaml


def _ref(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _operation(
    name: str, *, gives: str | None = None, takes: str | None = None, status: str = "200", **path: str
) -> Any:
    operation: dict[str, Any] = {
        "operationId": name,
        "parameters": [
            {"name": key, "in": "path", "required": True, "schema": {"type": kind}} for key, kind in path.items()
        ],
        "responses": {status: {"description": "ok", **({"content": _ref(gives)} if gives else {})}},
    }
    return {**operation, "requestBody": {"required": True, "content": _ref(takes)}} if takes else operation


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*required, *properties], "properties": properties}


TEXT = {"type": "string"}
SCHEMAS = {
    "NewOrder": _object(customer={"type": "string", "examples": ["Ada"]}, quantity={"type": "integer"}),
    "Order": _object(id=TEXT, customer=TEXT, status={"enum": ["PLACED", "SHIPPED"]}, trackingCode=TEXT),
    "Shipment": _object(orderId=TEXT, trackingCode=TEXT, priority={"type": "integer"}),
}


@pytest.fixture
def shop(tmp_path: Path) -> ProtocolSpec:
    """Orders are placed, read and shipped."""
    paths = {
        "/orders": {"post": _operation("placeOrder", gives="Order", takes="NewOrder", status="201")},
        "/orders/{orderId}": {"get": _operation("getOrder", gives="Order", orderId="string")},
        "/orders/{id}/approval": {"post": _operation("approve", status="204", id="string")},
        "/shipments": {"post": _operation("ship", takes="Shipment", status="202")},
    }
    return spec_of(tmp_path, "shop", paths, components={"schemas": SCHEMAS})


MODEL = """<startEvent id="s"/><task id="place" name="Place order"/><exclusiveGateway id="big" name="Big?"/>
<task id="approve" name="Approve"/><task id="ship" name="Ship"/><task id="pack" name="Pack things"/>
<endEvent id="end" name="Order shipped"/>
<sequenceFlow id="1" sourceRef="s" targetRef="place"/><sequenceFlow id="2" sourceRef="place" targetRef="big"/>
<sequenceFlow id="3" name="yes" sourceRef="big" targetRef="approve"/>
<sequenceFlow id="4" name="no" sourceRef="big" targetRef="ship"/>
<sequenceFlow id="5" sourceRef="approve" targetRef="ship"/><sequenceFlow id="6" sourceRef="ship" targetRef="pack"/>
<sequenceFlow id="7" sourceRef="pack" targetRef="end"/>"""


def _sketch(folder: Path, shop: ProtocolSpec, model: str = MODEL) -> ProcessSketch:
    document = document_of(folder, model)
    return sketch_process(document.processes[0], infer(document, shop), lambda *_: True)


def test_sidecar_of_a_sketch_is_the_one_that_a_person_would_write(tmp_path: Path, shop: ProtocolSpec) -> None:
    """Requests from schemas and examples, fields of earlier replies by name and schema, the rest from the data."""
    text = sidecar_text("model.bpmn", {"shop": "shop.yaml"}, [_sketch(tmp_path, shop)], "data/model.yaml")
    assert (
        text
        == """\
# What the elements of model.bpmn stand for in tests. Written by 'orchestra init'; now it is yours.

specs:
  shop: shop.yaml

coverage: [edge]

bindings:
  # operationId: shop.placeOrder
  Place order:
    - alias: place_order
      endpointRef: shop.placeOrder
      inputTemplate:
        body: {customer: "{{data.customer}}", quantity: "{{data.quantity}}"}
      expectedStatusCode: 201
  # operationId: shop.approve
  Approve:
    - alias: approve
      endpointRef: shop.approve
      inputTemplate:
        path: {id: "{{step.place_order.response.body.id}}"}
      expectedStatusCode: 204
  # operationId: shop.ship
  Ship:
    - alias: ship
      endpointRef: shop.ship
      inputTemplate:
        body:
          orderId: "{{step.place_order.response.body.id}}"
          trackingCode: "{{step.place_order.response.body.trackingCode}}"
          priority: "{{data.priority}}"
      expectedStatusCode: 202
    # to wait for the effect: status is one of PLACED, SHIPPED
    # - alias: ship_seen
    #   endpointRef: shop.getOrder
    #   inputTemplate:
    #     path: {orderId: "{{step.place_order.response.body.id}}"}
    #   until: response.body.status != 'PLACED'
  # no operation found
  Pack things: []
  # Order shipped:
    # an event, which need not be bound
    # to wait for the effect: status is one of PLACED, SHIPPED
    # - alias: order_shipped_seen
    #   endpointRef: shop.getOrder
    #   inputTemplate:
    #     path: {orderId: "{{step.place_order.response.body.id}}"}
    #   until: response.body.status == 'SHIPPED'

# which data leads where; the model has only names for these branches
# decisions:
#   Big?:
#     "yes": "data.big == true"
#     "no": "data.big == false"

# what the steps read as data.* is in data/model.yaml
"""
    )


def test_data_of_a_sketch_has_an_example_for_each_field(tmp_path: Path, shop: ProtocolSpec) -> None:
    """Examples of the schema where there are some, else values that it allows."""
    sketch = _sketch(tmp_path, shop)
    assert dict(sketch.data) == {"customer": "Ada", "quantity": 1, "priority": 1}
    text = data_text("model.bpmn", {"example": sketch.data}, {"other": 1})
    assert parse_yaml(text, "data.yaml").value == {"dataSets": [{"name": "example", "data": dict(sketch.data)}]}
    assert "      # other: 1\n" in text


def test_field_of_a_reply_that_may_be_absent_is_not_read(tmp_path: Path, shop: ProtocolSpec) -> None:
    """Only what lies on every way to a step has a reply to read."""
    model = (
        MODEL.replace('sourceRef="s" targetRef="place"', 'sourceRef="s" targetRef="big"')
        .replace('sourceRef="place" targetRef="big"', 'sourceRef="place" targetRef="ship"')
        .replace('sourceRef="big" targetRef="ship"', 'sourceRef="big" targetRef="place"')
    )
    sketch = _sketch(tmp_path, shop, model)
    [ship] = [element for element in sketch.elements if element.node.id == "ship"]
    body = ship.steps[0].fields["inputTemplate"]["body"]
    assert body["orderId"] == "{{data.orderId}}"


def test_suggestion_may_read_what_another_suggestion_gives(tmp_path: Path, shop: ProtocolSpec) -> None:
    """In comments, the whole chain is there; the data of suggestions is told apart."""
    model = MODEL.replace('name="Place order"', 'name="Place the order"').replace('"ship"', '"send"')
    model = model.replace('name="Ship"', 'name="Send shipment"')
    sketch = _sketch(tmp_path, shop, model)
    text = sidecar_text("model.bpmn", {}, [sketch], None)
    assert "  Send shipment: []\n    # suggested in place of [], " in text
    assert '    #       orderId: "{{step.place_the_order.response.body.id}}"\n' in text
    assert "customer" not in sketch.data
    assert sketch.possible["customer"] == "Ada"
    uncommented = parse_yaml(text, "sidecar.yaml").value
    assert uncommented["bindings"]["Send shipment"] == []


def test_error_at_the_border_of_a_bound_task_is_noted_at_its_step(tmp_path: Path, shop: ProtocolSpec) -> None:
    """What the call replies then is in no specification's success; the note says how to tell."""
    border = '<boundaryEvent id="b" name="Refused" attachedToRef="place"><errorEventDefinition/></boundaryEvent>'
    model = MODEL.replace('name="Place order"', 'name="placeOrder"') + border
    model += '<sequenceFlow id="8" sourceRef="b" targetRef="end"/>'
    text = sidecar_text("model.bpmn", {"shop": "shop.yaml"}, [_sketch(tmp_path, shop, model)], None)
    assert (
        "# where 'Refused' ends it, the reply is another: say 'outcome: normal' here, and bind that call with"
        " 'outcome: Refused'"
    ) in text


def test_sidecar_names_elements_by_id_where_names_are_not_unique(tmp_path: Path) -> None:
    """Two tasks of one name are two entries; an odd name is in quotes."""
    model = """<task id="a" name="Same"/><task id="b" name="Same"/><task id="c" name="a"/>
      <task id="d" name="x: [y] # &quot;"/>"""
    document = document_of(tmp_path, model)
    sketch = sketch_process(document.processes[0], infer(document), lambda *_: True)
    text = sidecar_text("model.bpmn", {}, [sketch], None)
    bindings = Bindings.model_validate(parse_yaml(text, "sidecar.yaml").value)
    assert list(bindings.bindings) == ["a", "b", "c", 'x: [y] # "']


def test_sidecar_of_a_process_without_activities_is_valid(tmp_path: Path) -> None:
    """There is nothing to bind."""
    document = document_of(tmp_path, '<startEvent id="s"/>')
    sketch = sketch_process(document.processes[0], infer(document), lambda *_: True)
    assert Bindings.model_validate(parse_yaml(sidecar_text("m", {}, [sketch], None), "s").value).bindings == {}


def test_header_that_makes_a_call_safe_to_repeat_is_the_correlation_id(tmp_path: Path) -> None:
    """An idempotency key is new for every run and the same for a repetition."""
    parameters = [
        {"name": name, "in": "header", "schema": TEXT} for name in ("Idempotency-Key", "X-Correlation-ID", "Accept")
    ]
    operation = {"operationId": "ship", "parameters": parameters, "responses": {"200": {"description": "ok"}}}
    sketch = _sketch(tmp_path, spec_of(tmp_path, "s", {"/a": {"post": operation}}))
    [ship] = [element for element in sketch.elements if element.node.id == "ship"]
    assert ship.steps[0].fields["inputTemplate"] == {"headers": {"Idempotency-Key": "{{correlationId}}"}}


@pytest.mark.parametrize(
    ("drawing", "before"),
    [
        ("start > a > b > end", {"b": "start a", "end": "start a b"}),
        ("start > xor1 > a > xor2 > c; xor1 > b > xor2", {"c": "start xor1 xor2"}),
        ("start > and1 > a > and2 > c; and1 > b > and2", {"c": "start and1 a b and2", "b": "start and1"}),
        ("start > xor1 > a > xor2 > b > xor1; xor2 > end", {"a": "start xor1", "end": "start xor1 a xor2"}),
        ("start > a > c; b > c", {"c": ""}),
    ],
)
def test_precedence_is_what_lies_on_every_way(drawing: str, before: dict[str, str]) -> None:
    """Alternatives meet in what they share; a parallel join waits for all."""
    process = process_of(drawing)
    precedence = Precedence(process)
    for node, expected in before.items():
        found = [each.id for each in process.nodes if precedence.is_before(each.id, node)]
        assert sorted(found) == sorted(expected.split())


def test_precedence_goes_into_sub_processes_and_out_of_them() -> None:
    """What is certain within is certain behind; a boundary event knows only what came before."""
    process = process_of(
        "start > sub > after > end; inner1 > inner2; border > late",
        inner1={"scope": "sub"},
        inner2={"scope": "sub"},
        border={"attached_to": "sub"},
    )
    precedence = Precedence(process)

    def before(node: str) -> str:
        return " ".join(sorted(each.id for each in process.nodes if precedence.is_before(each.id, node)))

    assert before("inner2") == "inner1 start"
    assert before("after") == "inner1 inner2 start sub"
    assert before("late") == "border start"
