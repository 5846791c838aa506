"""Contracts as facts: nothing of a schema goes unseen, and what changed is said in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestra.generation.limits import MAX_CONTRACT_FACTS
from pytest_orchestra.generation.plans.contracts import Contract, contract_changes, field_is_gone, read_contract
from pytest_orchestra.readers.openapi import read_openapi


@pytest.fixture
def contract(tmp_path: Path) -> Any:
    """Read the contract of ``POST /things`` with a schema of its body."""

    def read(schema: Any, components: dict[str, Any] | None = None, **more: Any) -> Contract:
        body = {"content": {"application/json": {"schema": schema}}, "required": True}
        operation = {"operationId": "add", "requestBody": body, "responses": {"200": {"description": "ok"}}, **more}
        document = {
            "openapi": "3.1.0",
            "info": {"title": "t", "version": "1"},
            "paths": {"/things": {"post": operation}},
            "components": {"schemas": components or {}},
        }
        file = tmp_path / "things.json"
        file.write_text(json.dumps(document))
        spec = read_openapi(file, "things")
        return read_contract(spec.operation["add"], spec)

    return read


def test_facts_are_fields_with_what_is_said_of_them(contract: Any) -> None:
    """Objects, arrays, references, required fields, nullable values, in one flat list."""
    found = contract(
        {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
                "owner": {"anyOf": [{"$ref": "#/components/schemas/Person"}, {"type": "null"}]},
            },
        },
        {"Person": {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}}},
        parameters=[{"name": "dry", "in": "query", "schema": {"type": "boolean"}}],
    )
    assert found.facts == {
        "query parameter 'dry'": "boolean",
        "request body": "application/json, object, required",
        "request body.id": "string, format uuid, required",
        "request body.owner": "nullable, object",
        "request body.owner.age": "integer, minimum 0",
        "request body.tags": "array",
        "request body.tags[]": "one of a, b",
        "response 200": "declared",
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"type": "string"}, {"type": "string", "description": "new words"}, ()),
        ({"type": "string"}, {"type": "string", "default": "x", "examples": ["y"]}, ()),
        ({"type": "string"}, {"type": "integer"}, ("is now 'integer', was 'string'",)),
        ({"enum": ["A", "B"]}, {"enum": ["A"]}, ("is now 'one of A', was 'one of A, B'",)),
        (
            {"type": "object"},
            {"type": "object", "additionalProperties": False},
            ("is now 'object, nothing else', was 'object'",),
        ),
    ],
)
def test_changes_of_a_value_are_told_and_descriptions_are_not(
    contract: Any, before: Any, after: Any, expected: tuple[str, ...]
) -> None:
    """Only what validates counts."""
    one, other = (contract({"type": "object", "properties": {"x": schema}}) for schema in (before, after))
    assert contract_changes(one.facts, other.facts) == tuple(f"request body field 'x' {text}" for text in expected)
    assert (one.digest == other.digest) is (not expected)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"not": {"const": 1}}, {"not": {"const": 2}}),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"oneOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"patternProperties": {"^a": {"type": "string"}}}, {"patternProperties": {"^a": {"type": "integer"}}}),
        ({"additionalProperties": {"type": "string"}}, {"additionalProperties": {"type": "integer"}}),
        ({"items": False}, {"items": True}),
        ({"prefixItems": [{"$ref": "#/components/schemas/A"}]}, {"prefixItems": [{"$ref": "#/components/schemas/B"}]}),
        (
            {"allOf": [{"minLength": 1, "type": "string"}, {"minLength": 2}]},
            {"allOf": [{"minLength": 1, "type": "string"}, {"minLength": 3}]},
        ),
    ],
)
def test_no_change_of_a_schema_goes_unseen(contract: Any, before: Any, after: Any) -> None:
    """Keywords without words of their own are held by a digest."""
    components = {"A": {"type": "string"}, "B": {"type": "integer"}}
    one, other = contract(before, components), contract(after, components)
    assert one.digest != other.digest
    assert contract_changes(one.facts, other.facts)


def test_change_behind_a_reference_in_a_keyword_without_words_is_seen(contract: Any) -> None:
    """What a keyword refers to counts as if it stood there."""
    schema = {"not": {"$ref": "#/components/schemas/A"}}
    one, other = (contract(schema, {"A": {"const": value}}) for value in (1, 2))
    assert one.digest != other.digest


def test_schema_moved_behind_a_reference_is_the_same_contract(contract: Any) -> None:
    """How a specification is organised is nobody's business."""
    inline = contract({"type": "object", "properties": {"x": {"type": "string"}}})
    moved = contract(
        {"$ref": "#/components/schemas/A"}, {"A": {"type": "object", "properties": {"x": {"type": "string"}}}}
    )
    assert inline.facts == moved.facts
    assert inline.digest == moved.digest


def test_recursive_schema_ends(contract: Any) -> None:
    """A tree is told once, and its children are said to be like it."""
    tree = {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/Tree"}}}
    found = contract({"$ref": "#/components/schemas/Tree"}, {"Tree": tree})
    assert found.facts["request body.left"] == "as 'Tree' above"


def test_schema_beyond_the_limit_is_cut_and_its_changes_are_seen_all_the_same(contract: Any) -> None:
    """A plan lists as many parts as the limit allows; the digest is over the whole specification then."""

    def wide(kind: str) -> Any:
        names = [f"f{number:04}" for number in range(MAX_CONTRACT_FACTS + 50)]
        return {
            "type": "object",
            "properties": {name: {"type": kind if name == names[-1] else "string"} for name in names},
        }

    one, other = contract(wide("string")), contract(wide("integer"))
    assert len(one.facts) <= MAX_CONTRACT_FACTS + 1
    assert contract_changes(one.facts, other.facts) == ()
    assert one.digest != other.digest


def test_parts_of_a_part_that_came_or_went_are_not_told_again(contract: Any) -> None:
    """A new object is one change, not one for each of its fields."""
    address = {"type": "object", "required": ["street"], "properties": {"street": {"type": "string"}}}
    before = contract({"type": "object"})
    after = contract({"type": "object", "properties": {"address": address}})
    assert contract_changes(before.facts, after.facts) == ("request body field 'address' is new",)
    assert contract_changes(after.facts, before.facts) == ("request body field 'address' is gone",)


def test_field_of_a_reply_is_gone_when_no_success_has_it() -> None:
    """That an error's reply has a field of that name says nothing."""
    before = {"response 200 body": "object", "response 200 body.id": "string", "response 404 body.id": "string"}
    after = {"response 200 body": "object", "response 404 body.id": "string"}
    assert field_is_gone(".id", before, after)
    assert not field_is_gone(".id", before, before)
    assert not field_is_gone(".other", before, after)
    assert not field_is_gone(".id", before, {**after, "response 2XX body.id": "string"})
