"""Requests held against the specification before they are sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from protocol_calls import make_call
from protocol_peers import http_reply

from pytest_orchestra.errors import DefinitionError, StepError
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Severity
from pytest_orchestra.protocols.schema_check import SchemaValidators

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
HINT = "correct the input; if a wrong request is what the step is about, set 'breaksContract: true'"
ORDER = {
    "type": "object",
    "required": ["id", "customer", "lines"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "customer": {"type": "string", "minLength": 2},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "integer"}}}},
        "express": {"type": "boolean"},
    },
}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Orders", "version": "1"},
    "paths": {
        "/orders/{region}": {
            "post": {
                "operationId": "place",
                "parameters": [
                    {"name": "region", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 2}},
                    {"name": "page", "in": "query", "required": True, "schema": {"type": "integer", "minimum": 1}},
                    {"name": "ids", "in": "query", "schema": {"type": "array", "items": {"type": "integer"}}},
                    {"name": "X-Tenant", "in": "header", "required": True, "schema": {"enum": ["a", "b"]}},
                    {"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}},
                    {"name": "api_key", "in": "query", "schema": {"maxLength": 3}},
                    {"name": "sid", "in": "cookie", "schema": {"type": "integer"}},
                ],
                "requestBody": {"required": True, "content": {"application/json": {"schema": ORDER}}},
                "responses": {"default": {"description": "any"}},
            }
        },
        "/forms": {
            "post": {
                "operationId": "submit",
                "requestBody": {
                    "content": {
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "required": ["zip", "picture"],
                                "properties": {
                                    "zip": {"type": "string"},
                                    "qty": {"type": "integer", "maximum": 5},
                                    "tags": {"type": "array", "items": {"type": "string"}},
                                    "picture": {"type": "string", "format": "binary", "minLength": 1},
                                },
                            }
                        },
                        "text/plain": {"schema": {"type": "string"}},
                    }
                },
                "responses": {"200": {"description": "ok"}},
            }
        },
        "/free": {
            "post": {
                "operationId": "free",
                "requestBody": {"content": {"application/json": {}}},
                "responses": {"default": {"description": "any"}},
            }
        },
    },
}
RIGHT = {
    "path": {"region": "eu"},
    "query": {"page": 1, "ids": [1, 2]},
    "headers": {"X-Tenant": "a"},
    "cookies": {"sid": 7},
    "body": {"customer": "Ann", "lines": [{"qty": 1}]},
}


@pytest.fixture
def specs(http, tmp_path):
    """Give the specification, as it is read from its file."""
    path = tmp_path / "orders.json"
    path.write_text(json.dumps(DOCUMENT))
    return {"orders": http.parse_spec(path, "orders")}


def call_of(data, operation="place", url="http://127.0.0.1:9", **fields):
    """Give a call of an operation."""
    return make_call(
        {"endpointRef": f"orders.{operation}", "inputTemplate": data, **fields}, {"services": {"orders": url}}
    )


async def refusal(http, specs, data, operation="place"):
    """Give why a request is refused; nothing listens where it would go."""
    with pytest.raises(StepError) as caught:
        await http.execute(call_of(data, operation), specs)
    assert caught.value.hint == HINT
    return caught.value.fact.removeprefix("the request breaks the specification of 'orders' at ")


async def test_request_as_declared_is_sent(http, peers, specs):
    """A right request passes; values may be written as texts, and readOnly properties be absent."""
    server = await peers.http()
    assert (await http.execute(call_of(RIGHT, url=server.url), specs)).status_code == 200
    texts = {"query": {"page": "2", "ids": "3"}, "path": {"region": 12}, "cookies": {"sid": "8"}}
    assert (await http.execute(call_of({**RIGHT, **texts}, url=server.url), specs)).status_code == 200
    assert len(server.arrived) == 2


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (
            {"body": {"customer": "Ann", "lines": [{"qty": "x"}]}},
            "/body/lines/0/qty: expected integer, observed 'x'",
        ),
        ({"body": {"lines": []}}, "/body: property 'customer' is missing"),
        (
            {"body": {"customer": "A", "lines": [], "more": 1}},
            "/body/customer: expected at least 2 characters, observed 'A', and 1 more",
        ),
        ({"body": None}, "/body: a body is required and there is none"),
        ({"mediaType": "text/csv", "body": "a"}, "/mediaType: expected 'application/json', observed 'text/csv'"),
        ({"query": {"page": 0}}, "/query/page: expected at least 1, observed 0"),
        ({"query": {"page": "many"}}, "/query/page: expected integer, observed 'many'"),
        ({"query": {"page": 1, "ids": [1, "x"]}}, "/query/ids/1: expected integer, observed 'x'"),
        ({"query": {"page": 1, "api_key": "s3cret"}}, "/query/api_key: its value does not fit its schema"),
        ({"query": {"page": None}}, "/query: required query parameter 'page' is missing"),
        ({"path": {"region": "europe"}}, "/path/region: expected at most 2 characters, observed 'europe'"),
        ({"headers": {}}, "/headers: required header 'X-Tenant' is missing"),
        ({"headers": {"X-Tenant": "c"}}, "/headers/X-Tenant: expected one of 'a', 'b', observed 'c'"),
        ({"cookies": {"sid": "x"}}, "/cookies/sid: expected integer, observed 'x'"),
    ],
)
async def test_request_that_breaks_the_specification_is_an_error_of_the_step(http, specs, change, fact):
    """It is not sent, and the message has the place in the input and what is wrong there."""
    assert await refusal(http, specs, {**RIGHT, **change}) == fact


async def test_request_that_breaks_the_specification_on_purpose_is_sent(http, peers, specs):
    """'breaksContract' lets it pass, and the reply is held against the contract all the same."""
    server = await peers.http(http_reply("418 Teapot"))
    call = call_of({"body": {"qty": 1}}, "submit", server.url, breaksContract=True)
    reply = await http.execute(call, specs)
    assert [v.code for v in http.validate(call, reply, specs)] == ["status-undeclared"]
    assert await http.execute(call_of({"body": {"qty": 1}}, "submit", server.url, checkContract=False), specs)


async def test_fields_of_a_form_are_held_by_what_they_mean(http, peers, specs, tmp_path):
    """A field is text on the wire: '12345' fits a text and '2' a number; of a file only its presence counts."""
    server = await peers.http()
    picture = {"base64": "AAAA"}
    right = {"zip": "12345", "qty": "2", "tags": "one", "picture": picture}
    await http.execute(call_of({"body": right}, "submit", server.url), specs)
    assert await refusal(http, specs, {"body": {**right, "qty": "7"}}, "submit") == (
        "/body/qty: expected at most 5, observed 7"
    )
    assert await refusal(http, specs, {"body": {"zip": "1"}}, "submit") == "/body: property 'picture' is missing"


async def test_operation_without_a_schema_is_not_held(http, peers, specs):
    """What the specification does not describe, a step may send."""
    server = await peers.http()
    assert await http.execute(call_of({"body": [1], "query": {"x": 1}}, "free", server.url), specs)


async def test_schema_of_no_use_is_an_error_of_the_specification_with_a_way_out(http, specs):
    """The hint is about the request, since its schema is the one that fails."""
    spec = specs["orders"]
    broken = {**spec.documents["urn:orders"], "components": {}}
    broken["paths"]["/orders/{region}"]["post"]["requestBody"]["content"]["application/json"]["schema"] = {
        "$ref": "urn:nowhere"
    }
    with pytest.raises(DefinitionError) as caught:
        await http.execute(call_of(RIGHT), {"orders": spec})
    assert caught.value.hint == "mend the specification, or set 'breaksContract: true' in the step"


def test_text_against_a_schema_that_refers_to_itself_is_read_no_deeper_than_it_helps():
    """A list of lists without end does not hold up the step."""
    spec = ProtocolSpec("http", "s", version="1", documents={"urn:s": {"type": "array", "items": {"$ref": "#"}}})
    faults = SchemaValidators().find_request_faults(spec, "urn:s", "x", is_text=True)
    assert [fault.text for fault in faults] == ["expected array, observed 'x'"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus of specifications beside the repository")
def test_request_schemas_of_specifications_in_the_wild_are_of_use(http):
    """Every parameter and body of every specification that can be read can be held, whatever is sent."""
    validators, held = SchemaValidators(), 0
    for path in sorted(path for path in CORPUS.rglob("*") if path.suffix in {".json", ".yaml"}):
        try:
            spec = http.parse_spec(path, "service")
        except DefinitionError:  # a part of a specification that lies beside it
            continue
        for operation in spec.operations:
            for part in (*operation.parameters, *operation.request_bodies):
                for value in ("x", 5, ["1", 2], {"a": "1"}) if part.schema is not None else ():
                    validators.find_request_faults(spec, part.schema.uri, value, is_text=True)
                    held += 1
    assert held > 1000


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        ({**RIGHT, "body": {"customer": "{{data.name}}", "lines": "{{data.lines}}"}}, []),
        ({**RIGHT, "body": "{{data.order}}", "query": "{{data.query}}"}, []),
        ({**RIGHT, "body": {"customer": "{{data.name}}"}}, ["/body: property 'lines' is missing"]),
        (
            {**RIGHT, "body": {"customer": "{{data.name}}", "lines": [{"qty": "x"}]}},
            ["/body/lines/0/qty: expected integer, observed 'x'"],
        ),
        ({**RIGHT, "query": {"page": 0, "ids": "{{data.ids}}"}}, ["/query/page: expected at least 1, observed 0"]),
        ({k: v for k, v in RIGHT.items() if k != "body"}, ["/body: a body is required and there is none"]),
    ],
)
def test_check_warns_of_what_breaks_the_specification_whatever_templates_give(http, specs, data, messages):
    """Only what no template can change is told before anything runs."""
    step = StepDefinition.model_validate({"endpointRef": "orders.place", "inputTemplate": data})
    problems = http.check(step, specs)
    assert [problem.message for problem in problems] == [
        f"the request breaks the specification at {message}" for message in messages
    ]
    assert {problem.severity for problem in problems} <= {Severity.WARNING}
    on_purpose = step.model_copy(update={"breaks_contract": True})
    assert list(http.check(on_purpose, specs)) == []
