"""Replies held against contracts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_calls import ORDERS, SCHEMAS, SPECS, URI, make_call

from pytest_orchestra.engine.ports import Reply
from pytest_orchestra.errors import DefinitionError, StepError
from pytest_orchestra.model.run import Exchange, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec, ResponseSpec
from pytest_orchestra.protocols.contract import find_response, resolve_schema_ref
from pytest_orchestra.protocols.http import HttpProtocol, HttpReply
from pytest_orchestra.protocols.schema_check import SchemaValidators, pointer_to, resolve_pointer

JSON = {"content-type": "application/json; charset=utf-8"}
GOOD = {"id": "o-1", "total": 12.5}


def judge(operation, status, body, headers=None, defect=None, **step):
    """Hold a reply against an operation, through the protocol."""
    response = {"status": status, "headers": JSON if headers is None else headers, "body": body, "elapsedMs": 1.0}
    path = {"path": {"id": 1}} if "{id}" in ORDERS.operation[operation].path else {}
    call = make_call({"endpointRef": f"orders.{operation}", "inputTemplate": path, **step}, {})
    return list(HttpProtocol().validate(call, HttpReply(response, Exchange(), status, defect=defect), SPECS))


def told(violations):
    """Give codes and messages."""
    return [(violation.code, violation.message) for violation in violations]


def test_reply_as_declared_has_no_violation():
    """A reply that keeps the contract passes; a required property that only requests carry may be absent."""
    assert judge("placeOrder", 202, GOOD) == []


def test_status_that_is_not_declared_is_a_violation():
    """The status must be declared exactly, by its range or by default."""
    (violation,) = judge("placeOrder", 200, GOOD)
    assert violation.type is ViolationType.CONTRACT_VIOLATION
    assert told([violation]) == [
        (
            "status-undeclared",
            "/status: status 200 is not declared for operation 'placeOrder', which has '202' or '4XX'",
        )
    ]
    assert violation.details == {"pointer": "/status", "schema": "", "expected": ["202", "4XX"], "observed": 200}


@pytest.mark.parametrize(
    ("status", "key"), [(200, "200"), (404, "404"), (409, "4xx"), (500, "default"), (301, "default")]
)
def test_response_is_found_by_code_then_range_then_default(status, key):
    """The most specific key of the responses counts."""
    operation = Operation("o", "GET", "/", responses=tuple(map(ResponseSpec, ("default", "4xx", "404", "200"))))
    found = find_response(operation, status)
    assert found is not None
    assert found.status == key


@pytest.mark.parametrize(
    ("body", "code", "message", "expected", "observed"),
    [
        ([], "schema", "/body: expected object, observed []", {"type": ["object"]}, []),
        (None, "schema", "/body: expected object, observed null", {"type": ["object"]}, None),
        ({"total": 1}, "schema", "/body: property 'id' is missing", {"required": "id"}, {"total": 1}),
        ({**GOOD, "zz": 1}, "schema", "/body: unexpected property 'zz'", {"additionalProperties": ["zz"]}, ...),
        (
            {**GOOD, "y/~": 1, "z": 2},
            "schema",
            "/body: unexpected properties 'y/~', 'z'",
            {"additionalProperties": ["y/~", "z"]},
            ...,
        ),
        (
            {**GOOD, "total": "much"},
            "schema",
            "/body/total: expected number, observed 'much'",
            {"type": ["number"]},
            "much",
        ),
        ({**GOOD, "total": -1}, "schema", "/body/total: expected at least 0, observed -1", {"minimum": 0}, -1),
        (
            {**GOOD, "status": "LOST"},
            "schema",
            "/body/status: expected one of 'PLACED', 'SHIPPED', observed 'LOST'",
            {"enum": ["PLACED", "SHIPPED"]},
            "LOST",
        ),
        (
            {**GOOD, "placedAt": "2026-01-02T03:04:05"},
            "schema",
            "/body/placedAt: expected a text of format 'date-time', observed '2026-01-02T03:04:05'",
            {"format": "date-time"},
            "2026-01-02T03:04:05",
        ),
        (
            {**GOOD, "lines": [{"qty": 1}, {"qty": "two"}]},
            "schema",
            "/body/lines/1/qty: expected integer, observed 'two'",
            {"type": ["integer"]},
            "two",
        ),
        (
            {**GOOD, "payment": {"iban": "DE12"}},
            "schema",
            (
                '/body/payment: expected one of 2 alternatives, observed {"iban": "DE12"}; '
                "the nearest fails at '/iban': expected integer, observed 'DE12'"
            ),
            {"oneOf": True},
            {"iban": "DE12"},
        ),
        (
            {**GOOD, "payment": {"card": "1", "iban": 2}},
            "schema",
            "/body/payment: expected exactly one of 2 alternatives to fit, observed 2 that do",
            {"oneOf": True},
            {"card": "1", "iban": 2},
        ),
    ],
)
def test_body_against_its_schema_tells_pointer_expectation_and_value(body, code, message, expected, observed):
    """A violation says where, what was expected there and what stood there."""
    (violation,) = judge("placeOrder", 202, body)
    assert told([violation]) == [(code, message)]
    assert violation.details["expected"] == expected
    if observed is not ...:
        assert violation.details["observed"] == observed
    assert violation.details["schema"].startswith(f"{URI}#/components/schemas/")
    assert violation.details["pointer"] == message.partition(":")[0]


def test_body_with_many_faults_tells_five_and_counts_the_rest():
    """A body that is wrong all over does not flood the report."""
    body = {"id": 1, "total": -1, "status": 1, "placedAt": 1, "lines": 1, "payment": 1, "zz": 1}
    violations = judge("placeOrder", 202, body)
    assert len(violations) == 6
    assert told(violations)[-1] == ("schema", "and 2 more")
    assert violations[-1].details == {"schema": f"{URI}#/components/schemas/Order", "more": 2}


def test_observed_value_of_great_length_is_shortened():
    """A long text in a reply stays readable in the message and bounded in the details."""
    (violation,) = judge("placeOrder", 202, {**GOOD, "status": "x" * 10_000})
    assert len(violation.message) < 200
    assert len(str(violation.details["observed"])) <= 2_000


@pytest.mark.parametrize(
    ("operation", "status", "headers", "body", "message"),
    [
        (
            "placeOrder",
            202,
            {"content-type": "text/html"},
            "<p>",
            "/headers/content-type: expected media type 'application/json', observed 'text/html'",
        ),
        ("placeOrder", 202, {}, "x", "/headers/content-type: expected media type 'application/json', observed none"),
        ("placeOrder", 202, {}, None, "/body: expected a body of 'application/json', observed none"),
        (
            "placeOrder",
            404,
            JSON,
            {},
            "/headers/content-type: expected media type 'application/problem+json', observed 'application/json'",
        ),
    ],
)
def test_media_type_that_is_not_declared_is_a_violation(operation, status, headers, body, message):
    """The reply's media type must be among those declared, parameters aside."""
    assert told(judge(operation, status, body, headers)) == [("media-type", message)]


def test_body_that_is_not_the_json_it_claims_is_a_violation():
    """A defect that reading the body found is told by the contract."""
    assert told(judge("placeOrder", 202, "{", defect="it ends early")) == [
        ("media-type", "/body: the body is not the 'application/json' that it claims to be: it ends early")
    ]


@pytest.mark.parametrize(
    ("content_type", "body", "faults"),
    [("text/csv", "a,b", 0), ("text/csv", ["a"], 1), ("image/png", {"base64": ""}, 0), ("application/json", ["a"], 1)],
)
def test_media_type_range_gives_way_to_the_exact_type(content_type, body, faults):
    """Of several declared media types the most specific one's schema counts."""
    assert len(judge("findOrders", 200, body, {"content-type": content_type, "x-total": "1"})) == faults


@pytest.mark.parametrize(
    ("headers", "messages"),
    [
        ({"x-total": "3"}, []),
        ({"x-total": "3", "x-ids": "1, 2"}, []),
        ({"x-total": "3", "x-ids": "7"}, []),
        ({}, ["/headers/x-total: required header 'X-Total' is missing"]),
        ({"x-total": "0"}, ["/headers/x-total: expected at least 1, observed 0"]),
        ({"x-total": "many"}, ["/headers/x-total: expected integer, observed 'many'"]),
        ({"x-total": "3", "x-ids": "1,b"}, ["/headers/x-ids: expected integer, observed 'b'"]),
    ],
)
def test_response_header_is_held_against_its_schema(headers, messages):
    """A required header must be there, and a header's text must be readable as its schema says."""
    violations = judge("findOrders", 200, "x", {"content-type": "text/plain", **headers})
    assert told(violations) == [("header", message) for message in messages]


def test_reply_without_body_by_its_status_or_method_needs_none():
    """204 and HEAD have no body, whatever else is declared."""
    assert judge("findOrders", 204, None, {}) == []
    assert judge("HEAD /orders/{id}", 200, None, {}) == []


def test_undescribed_response_is_not_held_against_a_body():
    """Where nothing is declared for a body, anything goes."""
    assert judge("getOrder", 500, "anything", {"content-type": "text/html"}) == []


def test_schema_refs_hold_a_body_beside_the_contract():
    """A schema that the step names is checked too, also where the contract is not."""
    refs = ["orders#/components/schemas/Line", "#/components/schemas/Text"]
    violations = judge("placeOrder", 202, GOOD, schemaRefs=refs)
    assert [violation.type for violation in violations] == [ViolationType.VALIDATION_ERROR] * 2
    assert told(violations) == [
        ("schema-ref", "/body: property 'qty' is missing"),
        ("schema-ref", '/body: expected string, observed {"id": "o-1", "total": 12.5}'),
    ]
    assert told(judge("placeOrder", 500, GOOD, schemaRefs=refs[:1], checkContract=False)) == told(violations[:1])


def test_schema_ref_that_leads_nowhere_is_an_error_of_the_step():
    """A schema that does not exist is no fault of the service."""
    with pytest.raises(StepError) as caught:
        judge("placeOrder", 202, GOOD, schemaRefs=["orders#/components/schemas/Lines"])
    assert str(caught.value) == (
        "service 'orders' has no schema '/components/schemas/Lines'\nhint: did you mean 'Line'?"
    )


def test_contract_switched_off_judges_nothing():
    """'checkContract: false' leaves the reply alone."""
    assert judge("placeOrder", 500, None, checkContract=False) == []


def test_schema_of_no_use_is_an_error_of_the_specification():
    """A dangling reference in the specification is told as its fault, with the file."""
    with pytest.raises(DefinitionError) as caught:
        judge("breakOrder", 200, {})
    assert str(caught.value) == (
        "orders.openapi.json: schema 'urn:orders#/components/schemas/Broken' of service 'orders' cannot be used: "
        "Pointer '/components/schemas/Nowhere' does not exist\n"
        "hint: mend the specification, or set 'checkContract: false' in the step"
    )


def test_reply_of_another_making_is_judged_as_well():
    """A reply without the HTTP protocol's own addition has no defect."""
    call = make_call({"endpointRef": "orders.placeOrder"}, {})
    reply = Reply({"status": 202, "headers": JSON, "body": GOOD}, Exchange(), 202)
    assert list(HttpProtocol().validate(call, reply, SPECS)) == []


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        ({"type": ["integer", "null"]}, "x", "expected integer or null, observed 'x'"),
        ({"const": 1}, 2, "expected 1, observed 2"),
        ({"exclusiveMinimum": 1}, 1, "expected more than 1, observed 1"),
        ({"maximum": 1}, 2, "expected at most 1, observed 2"),
        ({"exclusiveMaximum": 1}, 1, "expected less than 1, observed 1"),
        ({"multipleOf": 5}, 7, "expected a multiple of 5, observed 7"),
        ({"pattern": "^a"}, "b", "expected a text that matches '^a', observed 'b'"),
        ({"minLength": 2}, "a", "expected at least 2 characters, observed 'a'"),
        ({"maxLength": 1}, "ab", "expected at most 1 character, observed 'ab'"),
        ({"minItems": 1}, [], "expected at least 1 item, observed []"),
        ({"maxItems": 0}, [1], "expected at most 0 items, observed [1]"),
        ({"uniqueItems": True}, [1, 1], "expected distinct items, observed [1, 1]"),
        ({"minProperties": 1}, {}, "expected at least 1 member, observed {}"),
        ({"maxProperties": 0}, {"a": 1}, 'expected at most 0 members, observed {"a": 1}'),
        ({"not": {"type": "string"}}, "x", 'expected anything but {"type": "string"}, observed \'x\''),
        ({"properties": {"a": False}}, {"a": 1}, "expected nothing, observed 1"),
        ({"contains": {"type": "null"}}, [1], "expected other items that fit 'contains', observed [1]"),
        ({"unevaluatedItems": False}, [1], "unexpected item '1'"),
        (
            {"propertyNames": {"pattern": "^a"}},
            {"b": 1},
            "a property's name is wrong: expected a text that matches '^a', observed 'b'",
        ),
        (
            {"anyOf": [{"type": "string"}, {"required": ["z"]}]},
            {},
            "expected one of 2 alternatives, observed {}; the nearest fails: expected string, observed {}",
        ),
        ({"type": "object", "required": ["a"]}, {"b": "x" * 100}, "property 'a' is missing"),
        ({"type": "integer"}, "ü" * 100, f"expected integer, observed '{'ü' * 79}…'"),
    ],
)
def test_each_keyword_is_told_in_words(schema, value, text):
    """Every keyword of JSON Schema that fails says what it wanted and what it saw."""
    spec = ProtocolSpec("http", "s", "v", documents={"urn:s": {"x": schema}})
    (fault,), total = SchemaValidators().find_faults(spec, "urn:s#/x", value, 5)
    assert (fault.text, total) == (text, 1)
    assert fault.pointer in {"", "/a"}


def test_write_only_property_may_be_absent_only_where_it_is_one():
    """A reference in a circle neither hides a missing property nor hangs."""
    document = {
        "x": {"required": ["a"], "properties": {"a": {"$ref": "#/y"}}},
        "y": {"$ref": "#/z"},
        "z": {"$ref": "urn:s#/y"},
        "w": {"required": ["a"], "properties": {"a": {"$ref": "#/v"}}},
        "v": {"writeOnly": True},
    }
    spec = ProtocolSpec("http", "s", "v", documents={"urn:s": document})
    validators = SchemaValidators()
    assert validators.find_faults(spec, "urn:s#/x", {}, 5)[1] == 1
    assert validators.find_faults(spec, "urn:s#/w", {}, 5) == ([], 0)


def test_specifications_of_one_address_and_another_version_do_not_mix():
    """A changed specification is compiled anew."""
    validators = SchemaValidators()
    texts = ProtocolSpec("http", "s", "1", documents={"urn:s": {"x": {"type": "string"}}})
    numbers = ProtocolSpec("http", "s", "2", documents={"urn:s": {"x": {"type": "number"}}})
    assert validators.find_faults(texts, "urn:s#/x", "a", 5)[1] == 0
    assert validators.find_faults(numbers, "urn:s#/x", "a", 5)[1] == 1


@settings(deadline=None)
@given(st.lists(st.text() | st.integers(min_value=0, max_value=2), max_size=4))
def test_json_pointer_leads_to_what_it_was_written_for(path):
    """Any path through a document can be written as a pointer and followed again."""
    document: object = "here"
    for part in reversed(path):
        document = {part: document} if isinstance(part, str) else [None] * part + [document]
    assert resolve_pointer(document, pointer_to(path)) == "here"


def test_schema_ref_is_found_in_any_document_of_the_specification():
    """A specification of several files is searched in all of them."""
    spec = ProtocolSpec("http", "s", "1", documents={"urn:s": {}, "urn:s:b": {"a b": [SCHEMAS["Text"]]}})
    assert resolve_schema_ref(spec, "/a%20b/0") == "urn:s:b#/a%20b/0"
    assert resolve_schema_ref(spec, "/a%20b/1") is None
    assert resolve_schema_ref(spec, "/nowhere") is None
