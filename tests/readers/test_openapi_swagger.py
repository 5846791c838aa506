"""Swagger 2.0 as if it were OpenAPI 3."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest

from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.openapi import read_openapi

PETS = """\
swagger: "2.0"
info: {title: Pets, version: 1}
host: api.example.com
basePath: /v1
schemes: [https, http]
consumes: [application/json]
produces: [application/json, text/xml]
parameters:
  limit: {name: limit, in: query, type: integer, maximum: 100, exclusiveMaximum: true}
  Pet: {name: pet, in: body, required: true, schema: {$ref: '#/definitions/Pet'}}
  File: {name: photo, in: formData, type: file}
responses:
  NotFound: {description: none, schema: {$ref: '#/definitions/Error'}}
paths:
  /pets:
    parameters:
      - {$ref: '#/parameters/limit'}
    get:
      operationId: listPets
      produces: [application/json]
      parameters:
        - {name: tags, in: query, type: array, items: {type: string}, collectionFormat: multi}
        - {name: ids, in: query, type: array, items: {type: integer}}
        - {name: X-Ids, in: header, type: array, items: {type: integer}, collectionFormat: csv}
        - {name: piped, in: query, type: array, items: {type: integer}, collectionFormat: pipes}
      responses:
        200:
          description: ok
          headers: {X-Next: {type: string}}
          schema: {type: array, items: {$ref: '#/definitions/Pet'}}
          examples: {application/json: [{name: a}]}
        404: {$ref: '#/responses/NotFound'}
    post:
      operationId: addPet
      parameters: [{$ref: '#/parameters/Pet'}]
      responses: {201: {description: made}}
  /pets/{id}/photo:
    parameters:
      - {name: id, in: path, required: true, type: integer}
      - {name: note, in: formData, type: string, required: true, minLength: 2}
    put:
      operationId: addPhoto
      parameters: [{$ref: '#/parameters/File'}]
      responses: {204: {description: done}}
    post:
      operationId: addNote
      responses: {204: {description: done}}
definitions:
  Pet:
    type: object
    required: [name]
    discriminator: kind
    properties:
      name: {type: string, x-nullable: true}
      owner: {$ref: '#/definitions/Owner'}
  Owner: {type: object, properties: {pets: {type: array, items: {$ref: '#/definitions/Pet'}}}}
  Error: {type: object, properties: {code: {type: integer, minimum: 0, exclusiveMinimum: true}}}
"""


@pytest.fixture
def pets(tmp_path, monkeypatch) -> ProtocolSpec:
    monkeypatch.chdir(tmp_path)
    Path("pets.yaml").write_text(PETS, encoding="utf-8")
    return read_openapi(Path("pets.yaml"), "pets")


def is_valid(spec: ProtocolSpec, uri: str, value: object) -> bool:
    registry = jsonschema_rs.Registry(list(spec.documents.items()), draft=jsonschema_rs.Draft202012)
    return jsonschema_rs.validator_for({"$ref": uri}, registry=registry, offline=True).is_valid(value)


def test_document_is_read_without_problems(pets):
    """Title, servers and operations are there; operations know their lines."""
    assert pets.problems == ()
    assert pets.title == "Pets"
    assert pets.servers == ("https://api.example.com/v1", "http://api.example.com/v1")
    assert [operation.name for operation in pets.operations] == ["listPets", "addPet", "addPhoto", "addNote"]
    assert pets.operation["POST /pets"].place == Place("pets.yaml", 33, 5)


def test_parameter_has_a_schema_and_a_style(pets):
    """What stands in the parameter becomes its schema, and 'collectionFormat' style and explode."""
    limit, tags, ids, header, piped = pets.operation["listPets"].parameters
    assert limit.schema.uri == "urn:pets#/parameters/limit/schema"
    assert is_valid(pets, limit.schema.uri, 99)
    assert not is_valid(pets, limit.schema.uri, 100)
    assert (tags.style, tags.explode) == ("form", True)
    assert (ids.style, ids.explode) == ("form", False)
    assert (header.style, header.explode) == ("simple", False)
    assert (piped.style, piped.explode) == ("pipeDelimited", False)
    assert not is_valid(pets, ids.schema.uri, ["x"])


def test_response_has_a_schema_for_every_media_type(pets):
    """'produces' of the operation goes before that of the document; examples stay with their media type."""
    ok, not_found = pets.operation["listPets"].responses
    (media_type,) = ok.media_types
    assert media_type.media_type == "application/json"
    assert media_type.examples == ([{"name": "a"}],)
    assert is_valid(pets, media_type.schema.uri, [{"name": None, "owner": {"pets": []}}])
    assert not is_valid(pets, media_type.schema.uri, [{"name": 1}])
    assert is_valid(pets, ok.headers[0].schema.uri, "x")
    assert not is_valid(pets, ok.headers[0].schema.uri, 1)
    assert [each.media_type for each in not_found.media_types] == ["application/json", "text/xml"]
    assert {each.schema.uri for each in not_found.media_types} == {"urn:pets#/definitions/Error"}
    assert not is_valid(pets, "urn:pets#/definitions/Error", {"code": 0})


def test_body_parameter_is_the_request_body(pets):
    """A parameter 'in: body', even by reference, is no parameter any more."""
    operation = pets.operation["addPet"]
    assert [parameter.name for parameter in operation.parameters] == ["limit"]
    assert operation.request_required
    (body,) = operation.request_bodies
    assert body.media_type == "application/json"
    assert is_valid(pets, body.schema.uri, {"name": "x"})
    assert not is_valid(pets, body.schema.uri, {})


def test_form_parameters_are_an_object_in_the_body(pets):
    """Fields of path and operation make one form; a file makes it multipart."""
    photo = pets.operation["addPhoto"]
    assert [parameter.name for parameter in photo.parameters] == ["id"]
    assert photo.request_required
    (body,) = photo.request_bodies
    assert body.media_type == "multipart/form-data"
    assert is_valid(pets, body.schema.uri, {"note": "xx", "photo": "bytes"})
    assert not is_valid(pets, body.schema.uri, {"photo": "bytes"})
    assert not is_valid(pets, body.schema.uri, {"note": "x"})
    assert pets.operation["addNote"].request_bodies[0].media_type == "application/x-www-form-urlencoded"


def test_separator_without_counterpart_is_a_warning(tmp_path, monkeypatch):
    """Tabs between values have no style in OpenAPI 3."""
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(
        "swagger: '2.0'\npaths:\n  /a:\n    get:\n      parameters:\n"
        "        - {name: x, in: query, type: array, items: {type: string}, collectionFormat: tsv}\n",
        encoding="utf-8",
    )
    spec = read_openapi(Path("a.yaml"), "s")
    assert [str(problem) for problem in spec.problems] == [
        "a.yaml:6:86: 'collectionFormat' 'tsv' has no counterpart; it is ignored"
    ]
    assert spec.operations[0].parameters[0].style is None
