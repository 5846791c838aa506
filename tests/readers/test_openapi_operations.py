"""Operations of OpenAPI documents."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.model.specification import HeaderSpec, MediaType, Parameter, SchemaRef
from pytest_orchestra.problem import Place, Severity
from pytest_orchestra.readers.openapi import read_openapi

ORDERS = """\
openapi: 3.1.0
info: {title: Orders, version: "1"}
servers:
  - {url: "https://{stage}.example.com/{unknown}", variables: {stage: {default: test}}}
  - {url: /relative}
security: [{key: []}, {oauth: [read]}]
paths:
  /orders:
    parameters:
      - {name: tenant, in: header, required: true, schema: {type: string}}
      - {name: page, in: query, schema: {type: integer}}
    post:
      operationId: placeOrder
      summary: Place an order
      tags: [orders]
      deprecated: true
      x-orchestra-entity: order
      parameters:
        - {name: page, in: query, schema: {type: string}, style: form, explode: false, example: "1"}
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Order"}
            examples: {small: {value: {id: 1}}, shared: {$ref: "#/components/examples/large"}}
          text/plain: {}
      responses:
        201:
          description: made
          headers:
            Location: {required: true, schema: {type: string}}
            Content-Type: {schema: {type: string}}
          content:
            application/json: {schema: {type: object}, example: {id: 2}}
        4xx: {description: refused}
        default: {description: else}
        x-note: nothing
  /orders/{id}:
    get:
      security: []
      parameters:
        - {name: id, in: path, content: {application/json: {schema: {type: integer, examples: [7]}}}}
      responses: {200: {description: ok}}
  x-paths: {}
components:
  examples: {large: {value: {id: 100}}}
  schemas:
    Order: {type: object, examples: [{id: 3}]}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "orders.yaml") -> Path:
        Path(name).write_text(text, encoding="utf-8")
        return Path(name)

    return write


def test_operation_is_read_with_all_it_promises(write):
    """Parameters of path and operation, bodies, responses, headers, examples, security, extensions, place."""
    spec = read_openapi(write(ORDERS), "orders")
    assert (spec.protocol_id, spec.service_name, spec.title, spec.file) == ("http", "orders", "Orders", "orders.yaml")
    assert spec.servers == ("https://test.example.com/{unknown}", "/relative")
    assert spec.problems == ()
    place = spec.operation["placeOrder"]
    assert spec.operation["POST /orders"] is place
    base = "urn:orders#/paths/~1orders"
    assert place.summary == "Place an order"
    assert (place.tags, place.deprecated) == (("orders",), True)
    assert place.security == ("key", "oauth")
    assert place.extensions == (("x-orchestra-entity", "order"),)
    assert place.place == Place("orders.yaml", 12, 5)
    assert place.parameters == (
        Parameter("tenant", "header", required=True, schema=SchemaRef(f"{base}/parameters/0/schema")),
        Parameter(
            "page",
            "query",
            schema=SchemaRef(f"{base}/post/parameters/0/schema"),
            style="form",
            explode=False,
            examples=("1",),
        ),
    )
    assert place.request_required
    assert place.request_bodies == (
        MediaType("application/json", SchemaRef("urn:orders#/components/schemas/Order"), ({"id": 1}, {"id": 100})),
        MediaType("text/plain"),
    )
    made, refused, other = place.responses
    assert (made.status, refused.status, other.status) == ("201", "4XX", "default")
    assert made.headers == (
        HeaderSpec("Location", required=True, schema=SchemaRef(f"{base}/post/responses/201/headers/Location/schema")),
    )
    schema = SchemaRef(f"{base}/post/responses/201/content/application~1json/schema")
    assert made.media_types == (MediaType("application/json", schema, ({"id": 2},)),)


def test_operation_without_id_is_called_by_its_signature(write):
    """'METHOD /path' names it; a parameter in the path is required, and may be described by content."""
    get = read_openapi(write(ORDERS), "orders").operation["GET /orders/{id}"]
    assert get.name == get.signature == "GET /orders/{id}"
    assert get.security == ()
    (parameter,) = get.parameters
    assert parameter == Parameter(
        "id",
        "path",
        required=True,
        schema=SchemaRef("urn:orders#/paths/~1orders~1%7Bid%7D/get/parameters/0/content/application~1json/schema"),
        examples=(7,),
        media_type="application/json",
    )


def test_example_of_a_schema_serves_where_there_is_no_other(write):
    """Examples of the referred schema are given for a body without examples of its own."""
    text = ORDERS.replace("examples: {small", "x-examples: {small")
    body = read_openapi(write(text), "orders").operation["placeOrder"].request_bodies[0]
    assert body.examples == ({"id": 3},)


def test_repeated_operation_id_is_a_problem_and_the_first_keeps_it(write):
    """No operation hides another."""
    spec = read_openapi(
        write(
            "openapi: 3.0.0\npaths:\n  /a:\n    get: {operationId: x, responses: {}}\n"
            "    put: {operationId: x, responses: {}}\n"
        ),
        "s",
    )
    assert [operation.name for operation in spec.operations] == ["x", "PUT /a"]
    (problem,) = spec.problems
    assert problem.severity is Severity.WARNING
    assert str(problem) == (
        "orders.yaml:5:24: operationId 'x' occurs twice, first at orders.yaml:4:24\n"
        "hint: give it another id; until then it is called 'PUT /a'"
    )


def test_document_of_webhooks_alone_has_no_operations(write):
    """Nothing to call is no mistake."""
    spec = read_openapi(
        write("openapi: 3.1.0\nwebhooks: {new: {post: {requestBody: {content: {application/json: {schema: {}}}}}}}"),
        "s",
    )
    assert spec.operations == ()
    assert spec.problems == ()


def test_methods_of_openapi_3_2_are_read(write):
    """QUERY and additional operations are operations."""
    spec = read_openapi(
        write("openapi: 3.2.0\npaths: {/a: {query: {}, additionalOperations: {LINK: {operationId: link}}}}"), "s"
    )
    assert [operation.signature for operation in spec.operations] == ["QUERY /a", "LINK /a"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "orders.yaml:1:1: is neither OpenAPI nor Swagger\nhint: begin the document with 'openapi: 3.1.0'"),
        ("", "orders.yaml:1:1: is neither OpenAPI nor Swagger\nhint: begin the document with 'openapi: 3.1.0'"),
        (
            "openapi: 4.0.0",
            "orders.yaml:1:1: version '4.0.0' of openapi is not known\nhint: use OpenAPI 3.0, 3.1 or 3.2",
        ),
        ("swagger: '1.2'", "orders.yaml:1:1: version '1.2' of swagger is not known\nhint: use OpenAPI 3.0, 3.1 or 3.2"),
        ("openapi: [", "orders.yaml:2:1: malformed YAML: did not find expected node content"),
    ],
)
def test_file_that_is_no_specification_is_unreadable(write, text, told):
    """Only then an error is raised."""
    with pytest.raises(UnreadableFileError) as caught:
        read_openapi(write(text), "s")
    assert str(caught.value) == told


def test_version_written_as_a_number_is_understood(write):
    """YAML reads 'openapi: 3.0' as a number."""
    assert read_openapi(write("openapi: 3.0\npaths: {/a: {get: {}}}"), "s").operation["GET /a"].method == "GET"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("paths: []", "orders.yaml:2:8: 'paths' takes a mapping, not a list; it is ignored"),
        ("paths: {/a: 3}", "orders.yaml:2:13: a path item takes a mapping, not 3; it is ignored"),
        ("paths: {/a: {get: x}}", "orders.yaml:2:19: 'get' takes a mapping, not the text 'x'; it is ignored"),
        (
            "paths: {/a: {get: {parameters: {}}}}",
            "orders.yaml:2:32: 'parameters' takes a list, not a mapping; it is ignored",
        ),
        (
            "paths: {/a: {get: {parameters: [{in: query}]}}}",
            "orders.yaml:2:33: parameter has no 'name'; it is ignored",
        ),
        (
            "paths: {/a: {get: {parameters: [{name: x, in: body}]}}}",
            "orders.yaml:2:33: parameter 'x' is in 'body'; it is ignored\nhint: use path, query, header or cookie",
        ),
        ("paths: {a: {get: {}}}", "orders.yaml:2:9: path 'a' does not begin with '/'"),
        (
            "paths: {/a: {get: {}}}\npaths: {/a: {get: {}}}",
            "orders.yaml:3:1: key 'paths' occurs twice, first in line 2\nhint: remove one of the two",
        ),
    ],
)
def test_what_is_misshapen_is_a_warning(write, text, told):
    """A mistake in one place leaves the rest of the specification usable."""
    spec = read_openapi(write(f"openapi: 3.0.0\n{text}\n"), "s")
    assert [str(problem) for problem in spec.problems] == [told]
    assert all(problem.severity is Severity.WARNING for problem in spec.problems)


def test_version_is_a_hash_of_the_content(write):
    """The same content has the same version wherever it lies; any change changes it."""
    first = read_openapi(write(ORDERS, "a.yaml"), "x").version
    assert first == read_openapi(write(ORDERS, "b.yaml"), "y").version
    assert first == hashlib.sha256(hashlib.sha256(ORDERS.encode()).digest()).hexdigest()
    assert first != read_openapi(write(f"{ORDERS} ", "c.yaml"), "x").version
