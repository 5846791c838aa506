"""Schemas of all dialects as JSON Schema 2020-12."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.readers.openapi import read_openapi


def schemas_of(spec: ProtocolSpec) -> list[str]:
    found = []
    for operation in spec.operations:
        bodies = [*operation.request_bodies, *(m for r in operation.responses for m in r.media_types)]
        headers = [header for response in operation.responses for header in response.headers]
        found += [part.schema.uri for part in (*operation.parameters, *bodies, *headers) if part.schema is not None]
    return list(dict.fromkeys(found))


def validator(spec: ProtocolSpec, uri: str) -> jsonschema_rs.Validator:
    registry = jsonschema_rs.Registry(list(spec.documents.items()), draft=jsonschema_rs.Draft202012)
    return jsonschema_rs.validator_for({"$ref": uri}, registry=registry, offline=True)


@pytest.fixture
def translate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def translate(schema: str, version: str = "3.0.3", others: str = "    Name: {type: string}\n") -> ProtocolSpec:
        text = f"openapi: '{version}'\npaths: {{}}\ncomponents:\n  schemas:\n    X: {schema}\n{others}"
        Path("a.yaml").write_text(text, encoding="utf-8")
        return read_openapi(Path("a.yaml"), "s")

    return translate


def translated(spec: ProtocolSpec) -> object:
    return spec.documents["urn:s"]["components"]["schemas"]["X"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("{type: string, nullable: true}", {"type": ["string", "null"]}),
        ("{type: string, nullable: false}", {"type": "string"}),
        ("{type: string, enum: [a], nullable: true}", {"type": ["string", "null"], "enum": ["a", None]}),
        ("{nullable: true}", {}),
        (
            "{$ref: '#/components/schemas/Name', nullable: true, description: d}",
            {"description": "d", "anyOf": [{"$ref": "urn:s#/components/schemas/Name"}, {"type": "null"}]},
        ),
        (
            "{allOf: [{$ref: '#/components/schemas/Name'}], nullable: true}",
            {"anyOf": [{"allOf": [{"$ref": "urn:s#/components/schemas/Name"}]}, {"type": "null"}]},
        ),
        ("{minimum: 1, exclusiveMinimum: true}", {"exclusiveMinimum": 1}),
        ("{minimum: 1, exclusiveMinimum: false}", {"minimum": 1}),
        ("{maximum: 1, exclusiveMaximum: true, minimum: 0}", {"exclusiveMaximum": 1, "minimum": 0}),
        ("{exclusiveMaximum: true}", {}),
        ("{type: string, format: date, example: x}", {"type": "string", "format": "date", "examples": ["x"]}),
        (
            "{type: object, discriminator: {propertyName: k, mapping: {a: '#/x'}}, readOnly: true, x-y: 1}",
            {
                "type": "object",
                "discriminator": {"propertyName": "k", "mapping": {"a": "#/x"}},
                "readOnly": True,
                "x-y": 1,
            },
        ),
        (
            "{properties: {nullable: {type: integer, nullable: true}, example: {example: 1}}}",
            {"properties": {"nullable": {"type": ["integer", "null"]}, "example": {"examples": [1]}}},
        ),
        (
            "{default: {nullable: true}, enum: [{example: 1}], x-a: {nullable: true}}",
            {"default": {"nullable": True}, "enum": [{"example": 1}], "x-a": {"nullable": True}},
        ),
        (
            "{additionalProperties: {type: string, nullable: true}}",
            {"additionalProperties": {"type": ["string", "null"]}},
        ),
        ("{additionalProperties: false}", {"additionalProperties": False}),
        ("{type: array, items: {}}", {"type": "array", "items": {}}),
    ],
)
def test_schema_of_openapi_3_0_is_translated(translate, schema, expected):
    """What JSON Schema 2020-12 says otherwise is turned; what is data is left alone."""
    spec = translate(schema)
    assert translated(spec) == expected
    assert spec.problems == ()


def test_reference_into_a_translated_schema_is_found(translate):
    """Where nullability moves a part, addresses of that part move, too."""
    spec = translate(
        "{properties: {a: {$ref: '#/components/schemas/Y/allOf/0/properties/n'}}}",
        others="    Y: {nullable: true, allOf: [{properties: {n: {type: integer}}}]}\n",
    )
    assert spec.problems == ()
    check = validator(spec, "urn:s#/components/schemas/X")
    assert check.is_valid({"a": 1})
    assert not check.is_valid({"a": "x"})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("{type: [string, 'null'], const: a}", {"type": ["string", "null"], "const": "a"}),
        ("{minimum: 1, exclusiveMinimum: 0}", {"minimum": 1, "exclusiveMinimum": 0}),
        (
            "{$ref: '#/components/schemas/Name', minLength: 3}",
            {"$ref": "urn:s#/components/schemas/Name", "minLength": 3},
        ),
        ("{$id: 'x', $schema: 'y', $anchor: z, type: string}", {"type": "string"}),
        ("{prefixItems: [{type: string}], items: false}", {"prefixItems": [{"type": "string"}], "items": False}),
        (
            "{if: {type: string}, then: {minLength: 1}, example: 1}",
            {"if": {"type": "string"}, "then": {"minLength": 1}, "example": 1},
        ),
        (
            "{dependencies: {a: [b], c: {$ref: '#/components/schemas/Name'}}}",
            {"dependencies": {"a": ["b"], "c": {"$ref": "urn:s#/components/schemas/Name"}}},
        ),
        ("true", True),
    ],
)
def test_schema_of_openapi_3_1_is_json_schema_already(translate, schema, expected):
    """Only what identifies a schema is taken away: addresses do that."""
    spec = translate(schema, version="3.1.0")
    assert translated(spec) == expected
    assert spec.problems == ()


@pytest.mark.parametrize(
    ("schema", "version", "expected", "told"),
    [
        ("{type: int}", "3.0.0", {}, ["15: unknown type 'int'\nhint: did you mean 'integer'?"]),
        (
            "{type: date}",
            "3.1.0",
            {},
            ["15: unknown type 'date'\nhint: use string, number, integer, boolean, array, object, null"],
        ),
        (
            "{type: [string, text]}",
            "3.1.0",
            {},
            ["15: unknown type 'text'\nhint: use string, number, integer, boolean, array, object, null"],
        ),
        ("{required: true}", "3.0.0", {}, ["19: 'required' takes a list of names; it is ignored"]),
        ("{minimum: '3'}", "3.0.0", {}, ["18: 'minimum' takes a number; it is ignored"]),
        ("{maxLength: -1}", "3.0.0", {}, ["20: 'maxLength' takes a whole number of at least 0; it is ignored"]),
        ("{properties: []}", "3.0.0", {}, ["21: 'properties' takes a mapping; it is ignored"]),
        ("{multipleOf: 0}", "3.0.0", {}, ["21: 'multipleOf' takes a number above 0; it is ignored"]),
        ("{exclusiveMinimum: true}", "3.1.0", {}, ["27: 'exclusiveMinimum' takes a number; it is ignored"]),
        (
            "{pattern: '(?<a'}",
            "3.0.0",
            {},
            ["18: '(?<a' is no regular expression that can be checked; it is ignored"],
        ),
        (
            "{patternProperties: {'(': {}, '^a': {}}}",
            "3.1.0",
            {"patternProperties": {"^a": {}}},
            ["28: '(' is no regular expression that can be checked; it is ignored"],
        ),
        ("{items: x}", "3.0.0", {}, ["16: 'items' takes a mapping, not the text 'x'; it is ignored"]),
        ("{allOf: [x]}", "3.0.0", {"allOf": [{}]}, ["17: a schema takes a mapping, not the text 'x'; it is ignored"]),
        ("{items: [{type: string}]}", "3.0.0", {"prefixItems": [{"type": "string"}]}, []),
        (
            "{$ref: '#/components/schemas/Name', minLength: 3, description: d}",
            "3.0.0",
            {"$ref": "urn:s#/components/schemas/Name", "description": "d"},
            ["55: 'minLength' beside '$ref' does not count before OpenAPI 3.1\nhint: put both in 'allOf'"],
        ),
        (
            "{type: string, nullable: true}",
            "3.1.0",
            {"type": "string"},
            ["33: 'nullable' does not count since OpenAPI 3.1\nhint: add 'null' to the list of types"],
        ),
    ],
)
def test_unusable_keyword_is_ignored_with_a_warning(translate, schema, version, expected, told):
    """A validator can always be built, and the author learns what does not count."""
    spec = translate(schema, version)
    assert translated(spec) == expected
    assert [str(problem).removeprefix("a.yaml:5:") for problem in spec.problems] == told


_keys = st.sampled_from([
    "a", "b", "/a", "/b/{c}", "200", "default", "X", "Y", "x-z", "paths", "get", "post", "parameters", "responses",
    "requestBody", "content", "schema", "headers", "components", "schemas", "definitions", "properties", "items",
    "allOf",
    "anyOf", "not", "type", "required", "enum", "nullable", "$ref", "example", "examples", "name", "in", "operationId",
    "callbacks", "webhooks", "servers", "security", "consumes", "produces", "application/json", "minimum",
    "exclusiveMinimum", "pattern", "additionalProperties", "$defs", "$id", "$anchor", "$dynamicRef", "dependencies",
    "collectionFormat", "url", "variables", "pathItems", "discriminator",
])  # fmt: skip
_leaves = st.sampled_from([
    None, True, False, 0, 1, -1, 2.5, "string", "integer", "array", "object", "file", "path", "query", "body",
    "formData",
    "header", "#/components/schemas/X", "#/components/schemas/Y", "#/definitions/X", "#/paths/~1a/get",
    "#/parameters/X",
    "#", "#a", "a.yaml#/components/schemas/X", "b.yaml", "https://example.com/x", "http://[", "(", "^a", "csv", "multi",
    "x", "\0",
])  # fmt: skip
_parts = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=5), max_leaves=25
)
_schemas = st.dictionaries(st.sampled_from(["X", "Y"]), _parts)
_media_type = st.fixed_dictionaries({"schema": _parts})
_parameter = st.fixed_dictionaries(
    {"name": st.just("p"), "in": st.sampled_from(["query", "body", "formData"]), "schema": _parts}
)
_response = st.fixed_dictionaries(
    {
        "schema": _parts,
        "content": st.fixed_dictionaries({"application/json": _media_type}),
        "headers": st.dictionaries(_keys, _parts, max_size=1),
    }
)
_operation = st.fixed_dictionaries(
    {
        "parameters": st.lists(_parameter | _parts, max_size=2),
        "requestBody": st.fixed_dictionaries({"content": st.dictionaries(_keys, _media_type, max_size=2)}),
        "responses": st.dictionaries(st.sampled_from(["200", "4XX", "default"]), _response | _parts, max_size=2),
    }
)
_path_item = st.fixed_dictionaries({"get": _operation | _parts})
_specifications = st.fixed_dictionaries(
    {"paths": st.dictionaries(st.sampled_from(["/a", "/b"]), _path_item | _parts)},
    optional={
        "components": st.fixed_dictionaries({"schemas": _schemas, "parameters": _schemas}) | _parts,
        "definitions": _schemas,
        "parameters": _schemas,
        "servers": _parts,
        "security": _parts,
        "webhooks": _parts,
    },
)


@settings(deadline=None)
@given(
    st.sampled_from([{"openapi": "3.0.3"}, {"openapi": "3.1.0"}, {"swagger": "2.0"}, {"openapi": "2"}]),
    _specifications | _parts,
)
def test_any_tree_gives_a_usable_specification_or_an_unreadable_file_error(tmp_path_factory, version, content):
    """Whatever a document holds, every schema of every operation can be built, and nothing is fetched."""
    path = tmp_path_factory.getbasetemp() / "a.yaml"
    document = {**version, **content} if isinstance(content, dict) else content
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    spec = None
    try:
        spec = read_openapi(path, "s")
    except UnreadableFileError:
        assert version == {"openapi": "2"} or not isinstance(content, dict)
    for uri in schemas_of(spec) if spec is not None else ():
        validator(spec, uri)
