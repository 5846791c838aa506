"""Contracts as the reader of OpenAPI gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from protocol_calls import make_call
from protocol_peers import http_reply

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.protocols.http import HttpProtocol
from pytest_orchestra.protocols.schema_check import SchemaValidators

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "openapi"

ORDER = {
    "type": "object",
    "nullable": True,
    "required": ["id", "pin"],
    "properties": {
        "id": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "pin": {"$ref": "#/components/schemas/Pin"},
    },
}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "orders", "version": "1"},
    "paths": {
        "/orders/{order id}/items": {
            "get": {
                "parameters": [{"name": "order id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {
                    "200": {
                        "description": "one order",
                        "headers": {"X-Count": {"required": True, "schema": {"type": "integer"}}},
                        "content": {"application/json": {"schema": ORDER}},
                    }
                },
            }
        }
    },
    "components": {"schemas": {"Pin": {"type": "string", "writeOnly": True}}},
}


@pytest.mark.parametrize(
    ("body", "count", "messages"),
    [
        (b'{"id": 1}', "2", []),
        (b"null", "2", []),
        (b'{"id": 0}', "2", ["/body/id: expected more than 0, observed 0"]),
        (b'{"id": 1}', "two", ["/headers/x-count: expected integer, observed 'two'"]),
        (
            b'{"id":',
            "2",
            [
                (
                    "/body: the body is not the 'application/json' that it claims to be: "
                    "expecting value at line 1, column 7"
                )
            ],
        ),
    ],
)
async def test_reply_is_held_against_a_document_of_openapi_3_0(http, peers, tmp_path, body, count, messages):
    """A specification read from a file, its dialect translated, holds for replies of a real server."""
    path = tmp_path / "orders.json"
    path.write_text(json.dumps(DOCUMENT))
    spec = http.parse_spec(path, "my orders")
    assert spec is not None
    server = await peers.http(http_reply(body=body, Content_Type="application/json", X_Count=count))
    call = make_call(
        {
            "endpointRef": "my orders.GET /orders/{order id}/items",
            "inputTemplate": {"path": {"order id": "a/b"}},
        },
        {"services": {"my orders": server.url}},
    )
    specs = {"my orders": spec}
    assert list(HttpProtocol().check(call.step, specs)) == []
    reply = await http.execute(call, specs)
    assert server.arrived[0].target == "/orders/a%2Fb/items"
    assert [violation.message for violation in http.validate(call, reply, specs)] == messages


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus of specifications beside the repository")
def test_schemas_of_specifications_in_the_wild_are_of_use():
    """Every response schema of every specification that can be read can be held against a reply."""
    validators, held = SchemaValidators(), 0
    for path in sorted(path for path in CORPUS.rglob("*") if path.suffix in {".json", ".yaml"}):
        try:
            spec = HttpProtocol().parse_spec(path, "service")
        except DefinitionError:  # a part of a specification that lies beside it
            continue
        assert spec is not None
        responses = [response for operation in spec.operations for response in operation.responses]
        for response in responses:
            for part in (*response.media_types, *response.headers):
                if part.schema is not None:
                    validators.find_faults(spec, part.schema.uri, {}, 1)
                    held += 1
    assert held > 300
