"""Expectations of fields that the schema of the reply does not have."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, ResponseSpec, SchemaRef
from pytest_orchestra.problem import Severity
from pytest_orchestra.protocols.http import HttpProtocol
from pytest_orchestra.protocols.schema_fields import SchemaFields

URI = "urn:orders"
SCHEMAS = {
    "Order": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "status": {"type": "string"},
            "customer": {"$ref": "#/components/schemas/Customer"},
            "lines": {"type": "array", "items": {"$ref": "urn:orders#/components/schemas/Line"}},
            "payment": {
                "oneOf": [
                    {"$ref": "#/components/schemas/Card"},
                    {"$ref": "#/components/schemas/Invoice"},
                    {"type": "null"},
                ]
            },
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "meta": {"type": "object"},
            "any": {},
            "pet": {"$ref": "#/components/schemas/Pet"},
            "parent": {"$ref": "#/components/schemas/Order"},
            "loop": {"$ref": "#/components/schemas/Loop"},
            "lost": {"$ref": "#/components/schemas/Nowhere"},
            "either": {"properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "mixed": {"anyOf": [{"$ref": "#/components/schemas/Card"}, {"type": "object"}]},
            "x-trace": {"type": "object", "properties": {"span": {}}},
        },
    },
    "Customer": {
        "allOf": [
            {"type": "object", "properties": {"name": {"type": "string"}}},
            {"properties": {"address": {"properties": {"city": {}}}}, "then": {"properties": {"vat": {}}}},
        ]
    },
    "Line": {"type": ["object", "null"], "properties": {"sku": {"type": "string"}, "price": {"type": "number"}}},
    "Card": {"type": "object", "properties": {"card": {"type": "string"}}, "additionalProperties": False},
    "Invoice": {"type": "object", "properties": {"iban": {"type": "string"}}},
    "Pet": {"type": "object", "properties": {"kind": {}}, "discriminator": {"propertyName": "kind"}},
    "Loop": {"$ref": "#/components/schemas/Loop"},
    "Error": {"type": "object", "properties": {"detail": {"type": "string"}}},
    "Orders": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}},
}


def content(name, media_type="application/json"):
    return (MediaType(media_type, SchemaRef(f"{URI}#/components/schemas/{name}") if name else None),)


def spec(*responses):
    operation = Operation("getOrder", "GET", "/order", responses=responses)
    documents = {URI: {"components": {"schemas": SCHEMAS}}}
    return ProtocolSpec("http", "orders", version="a" * 64, operations=(operation,), documents=documents)


ORDERS = spec(
    ResponseSpec("200", media_types=content("Order")),
    ResponseSpec("404", description="no such order"),
    ResponseSpec("default", media_types=content("Error")),
)


def told(known=ORDERS, **step):
    definition = StepDefinition.model_validate({"alias": "order", "endpointRef": "orders.getOrder", **step})
    problems = HttpProtocol().check(definition, {"orders": known})
    assert {problem.severity for problem in problems} <= {Severity.WARNING}
    return [(problem.message, problem.hint) for problem in problems]


def no_field(path):
    return f"'{path}' is no field of the reply of 'orders.getOrder'"


@pytest.mark.parametrize(
    ("rule", "path", "hint"),
    [
        ("response.body.stats == 'OPEN'", "body.stats", "did you mean 'status'?"),
        ("body.customer.adress.city == 'Bern'", "body.customer.adress", "did you mean 'address'?"),
        ("body.customer.address.street == ''", "body.customer.address.street", "its fields: city"),
        ("body.lines[0].prise > 5", "body.lines[0].prise", "did you mean 'price'?"),
        ("body.payment.ibn == 'x'", "body.payment.ibn", "did you mean 'iban'?"),
        ("body.parent.parent.lines[-1].skuu == 'x'", "body.parent.parent.lines[-1].skuu", "did you mean 'sku'?"),
        ("body.either.c == 1", "body.either.c", "its fields: a, b"),
        ("body['x-trace'].spam == 1", "body.x-trace.spam", "did you mean 'span'?"),
        ("body.customer.nam.lower() == 'ada'", "body.customer.nam", "did you mean 'name'?"),
        ("(body.lins | length) > 1", "body.lins", "did you mean 'lines'?"),
        ("body.id == 1 or (body.state | default('')) == body.stat", "body.stat", "did you mean 'status'?"),
    ],
)
def test_field_that_the_reply_does_not_have_is_told_with_what_may_be_meant(rule, path, hint):
    """Through references, lists, alternatives and schemas that are put together."""
    assert told(businessRules=[rule]) == [(no_field(path), hint)]


@pytest.mark.parametrize(
    "rule",
    [
        "body.status == 'OPEN' and body.lines[0].price > 1 and body.payment.iban == 'x' and body.payment.card == 'y'",
        "body.labels.anything == 'x'",
        "body.meta.anything == 1 and body.any.thing[3].at.all == 1",
        "body.pet.barks",
        "body.loop.x == 1 or body.lost.x == 1 or body.mixed.x == 1",
        "body.customer.vat == 'x'",
        "body.gone is undefined and (body.extra | default(0)) == 0 and (body.more is defined and body.more.x == 1)",
        "'extra' in body and body.extra == 1",
        "body.lines.total == 1 and body.status.length == 1",
        "body[data.field].deep == 1",
        "data.body.nothing == step.other.response.body.nothing",
        "body.status.startswith('O') and body.labels.get('a') == 'b' and body.lines | map(attribute='sku') | list",
        "headers['x-total'] == '1' and response.headers.location == 'x'",
    ],
)
def test_field_that_may_be_there_is_not_told(rule):
    """What a schema lets in, what it does not describe, what the rule asks for itself, and other things' fields."""
    assert told(businessRules=[rule]) == []


def test_every_expectation_of_a_step_is_looked_at_and_each_field_told_once():
    """Conditions of polling, rules and exports."""
    found = told(
        until="response.body.stat == 'OPEN' and body.stat != ''",
        businessRules=["body.idd == 1"],
        exportAs={"order": "response.body.ids", "text": "Order {{ body.idd }} of {{body.custom.name}}"},
    )
    assert [fact for fact, _ in found] == [
        no_field("body.stat"),
        no_field("body.idd"),
        no_field("body.ids"),
        no_field("body.custom"),
    ]


def test_part_that_no_reply_has_is_told():
    """A reply of HTTP has a few parts, and they are known."""
    assert told(businessRules=["response.bodi.id == 1"]) == [("a reply has no 'bodi'", "did you mean 'body'?")]


@pytest.mark.parametrize(
    ("known", "step"),
    [
        (ORDERS, {"checkContract": False, "businessRules": ["body.nothing"]}),
        (ORDERS, {"expectedStatusCode": 404, "businessRules": ["body.nothing"]}),
        (ORDERS, {"expectedStatusCode": 500, "businessRules": ["body.detail == 'x'"]}),
        (ORDERS, {"expectedStatusCode": [200, 404], "until": "body.nothing"}),
        (ORDERS, {"failWhen": "body.detail == 'gone' or body.nothing"}),
        (spec(ResponseSpec("200", media_types=content(None))), {"until": "body.nothing"}),
        (spec(ResponseSpec("200")), {"until": "body.nothing"}),
        (spec(ResponseSpec("200", media_types=content("Order", "application/xml"))), {"until": "body.nothing"}),
        (spec(ResponseSpec("200", media_types=content("Orders"))), {"until": "body.nothing"}),
    ],
    ids=["no-contract", "other", "default", "several", "failing", "no-schema", "no-content", "xml", "list"],
)
def test_reply_that_is_not_described_may_have_any_field(known, step):
    """So may one whose contract the step does not hold, and errors have fields of their own."""
    assert told(known, **step) == []


@pytest.mark.parametrize(
    ("responses", "step", "fact"),
    [
        ((ResponseSpec("200", media_types=content("Orders")),), {}, "body[0].nothing"),
        ((ResponseSpec("2XX", media_types=content("Orders", "*/*")), ResponseSpec("204")), {}, "body[0].nothing"),
        ((ResponseSpec("409", media_types=content("Error")),), {"expectedStatusCode": "4XX"}, "body.nothing"),
        ((ResponseSpec("default", media_types=content("Error")),), {}, "body.nothing"),
    ],
)
def test_schema_is_that_of_the_status_which_is_expected(responses, step, fact):
    """The very code, a range, or what is said of all others."""
    assert told(spec(*responses), until=f"{fact} == 1", **step)[0][0] == no_field(fact)


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.sampled_from([({"type": "integer"}, 1), ({"type": "string"}, "x"), ({}, {"free": [{"a": 1}]})])


def _extended(inner):
    """Give schemas with a value that fits each."""

    def closed(pairs):
        return {"type": "object", "properties": {name: schema for name, (schema, _) in pairs.items()}}

    def values(pairs):
        return {name: value for name, (_, value) in pairs.items()}

    objects = st.dictionaries(NAMES, inner, min_size=1)
    return st.one_of(
        objects.map(lambda pairs: (closed(pairs), values(pairs))),
        st.tuples(objects, objects).map(
            lambda two: ({"allOf": [closed(two[0]), closed(two[1])]}, {**values(two[0]), **values(two[1])})
        ),
        st.tuples(inner, inner, st.sampled_from(["anyOf", "oneOf"])).map(
            lambda of: ({of[2]: [of[0][0], of[1][0]]}, of[0][1])
        ),
        inner.map(lambda pair: ({"type": "array", "items": pair[0]}, [pair[1]])),
        objects.map(lambda pairs: ({**closed(pairs), "additionalProperties": True}, {**values(pairs), "z": {"y": 1}})),
        inner.map(lambda pair: ({"$defs": {"inner": pair[0]}, "anyOf": [{"type": "null"}, pair[0]]}, pair[1])),
    )


def _paths(value, path=()):
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _paths(part, (*path, name))
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from _paths(part, (*path, index))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(LEAVES, _extended, max_leaves=12))
def test_path_that_leads_somewhere_is_never_told(pair):
    """Whatever the schema: where a value that it lets in has something, nothing is said to be missing."""
    schema, value = json.loads(json.dumps(pair))
    fields = SchemaFields({URI: schema})
    for path in _paths(value):
        assert fields.find_missing([URI], path) is None
