"""Values for schemas: valid, the same every time, and YAML that reads back as what was written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from service_models import spec_of

from pytest_orchestra.generation.binding.schemas import Schemas, json_media_type
from pytest_orchestra.generation.scaffold.data_names import DataNames
from pytest_orchestra.generation.scaffold.fitting_data import fit_data
from pytest_orchestra.generation.scaffold.patterns import text_matching
from pytest_orchestra.generation.scaffold.samples import Sample, sample_body, sample_value
from pytest_orchestra.generation.scaffold.yaml_text import as_comment, block, scalar
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.schema_check import SchemaValidators
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.readers.yaml_source import parse_yaml

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "openapi"

ODD = """yes|No|010|2020-01-01|a: b|a #b|{{data.x}}|- a|~|1e3|0x1|=|<<|null|a:|? b|a 'b'|x == 'y'|it's|!tag|a, b|[a]|{a}
%a|@a|`a|a\u2028b|\x85|\ufeff"""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [*re.split(r"[|\n]", ODD), "|"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_yaml_reads_back_as_what_was_written(value: dict[str, Any]) -> None:
    """By our reader, and by one of YAML 1.1."""
    text = "\n".join(block(value)) + "\n"
    assert parse_yaml(text, "x.yaml").value == value
    assert yaml.safe_load(text) == value


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3))
def test_yaml_in_a_comment_is_one_and_comes_out_of_it_unchanged(value: dict[str, Any]) -> None:
    """A suggestion is put to use by taking '# ' away."""
    lines = list(block({"a": value}, 4))
    commented = list(as_comment(lines, 4))
    assert parse_yaml("\n".join(["k: 1", *commented]), "x.yaml").value == {"k": 1}
    bare = [line[:4] + line[6:] if line.startswith("    # ") else "" for line in commented]
    assert parse_yaml("\n".join(bare), "x.yaml").value == {"a": value}


def test_yaml_key_that_is_too_long_for_one_line_is_written_apart() -> None:
    """YAML allows simple keys of 1,024 characters."""
    value = {"x" * 2000: {"y" * 2000: 1}}
    assert parse_yaml("\n".join(block(value)), "x.yaml").value == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Order placed", "Order placed"),
        ("response.body.status == 'PAID'", "response.body.status == 'PAID'"),
        ("yes", '"yes"'),
        ("{{data.id}}", '"{{data.id}}"'),
        ("no, again", '"no, again"'),
        (None, "null"),
        (1e300, "1.0e+300"),
        (float("inf"), ".inf"),
        ("\ud800", '"\\uFFFD"'),
    ],
)
def test_scalar_is_plain_where_that_is_safe(value: Any, text: str) -> None:
    """People read it; quotes stand where YAML would mean something else."""
    assert scalar(value) == text


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]+-[A-Z0-9]+$", r"^\d{3}-\d{2,}$", "^tok_[a-z_]+$", "(red|green)", "^a?b*c+$", "[^0-9]",
        r"^\w+@\w+\.com$", "^(?:x|y){2}$", r"^\+?[1-9]\d{1,14}$", "^[\u4e00-\u4e05]$", r"[\]\-]", "", "^(?P<a>b)$",
    ],
)  # fmt: skip
def test_text_is_one_in_which_the_pattern_is_found(pattern: str) -> None:
    """Classes, groups, alternatives, counts and anchors are understood."""
    text = text_matching(pattern)
    assert text is not None
    assert re.search(pattern, text)


@pytest.mark.parametrize("pattern", [r"^(?=a)b", r"(a)\1", "(", "[", "a{9999999}", "x" * 5000, r"\p{L}"])
def test_pattern_that_is_not_understood_gives_nothing(pattern: str) -> None:
    """No text is given that does not match."""
    assert text_matching(pattern) is None


@given(st.text(max_size=15), st.integers(0, 30))
def test_any_pattern_gives_a_match_or_nothing(pattern: str, minimum: int) -> None:
    """Whatever a specification has for a pattern."""
    text = text_matching(pattern, minimum)
    if text is not None:
        assert re.search(pattern, text)
        assert len(text) >= minimum


def _sample(tmp_path: Path, schema: object, **schemas: object) -> Sample:
    operation = {
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {"200": {"description": "ok"}},
    }
    spec = spec_of(tmp_path, "s", {"/a": {"post": operation}}, components={"schemas": schemas})
    return _sample_of(spec)


def _sample_of(spec: ProtocolSpec) -> Sample:
    validators = SchemaValidators()
    media_type = json_media_type(spec.operations[0].request_bodies)
    assert media_type is not None
    assert media_type.schema is not None
    uri = media_type.schema.uri
    return sample_body(media_type, Schemas(spec), lambda value: not validators.find_faults(spec, uri, value, 1)[0])


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "required": list(properties), "properties": properties}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (_object(name={"type": "string"}), {"name": "name"}),
        (_object(firstName={"type": "string", "minLength": 12}), {"firstName": "first name first name"}),
        (_object(n={"type": "integer", "minimum": 5}), {"n": 5}),
        (_object(n={"type": "number", "exclusiveMinimum": 1, "multipleOf": 0.5}), {"n": 1.5}),
        (_object(n={"type": "integer", "maximum": -3}), {"n": -3}),
        (_object(n={"type": ["null", "boolean"]}), {"n": True}),
        (_object(s={"enum": ["SMALL", "LARGE"]}), {"s": "SMALL"}),
        (_object(s={"type": "string", "examples": ["Ada"]}), {"s": "Ada"}),
        (_object(s={"type": "string", "default": "x"}), {"s": "x"}),
        (_object(s={"const": "fixed"}), {"s": "fixed"}),
        (_object(a={"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True}), {"a": [1, 2]}),
        (_object(a={"type": "array", "items": {"type": "string"}, "maxItems": 0}), {"a": []}),
        (_object(d={"type": "string", "format": "date"}), {"d": "2030-01-31"}),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"readOnly": True}}}, {"a": "a"}),
        ({"allOf": [_object(a={"type": "string"}), _object(b={"type": "boolean"})]}, {"a": "a", "b": True}),
        ({"oneOf": [{"type": "null"}, _object(a={"type": "string"})]}, {"a": "a"}),
        ({"type": "object", "minProperties": 1, "additionalProperties": {"type": "integer"}}, {"key1": 1}),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}, ["body", 2]),
        (True, "text"),
    ],
)
def test_sample_satisfies_its_schema(tmp_path: Path, schema: object, value: object) -> None:
    """Examples, defaults, limits, formats and alternatives are kept to."""
    sample = _sample(tmp_path, schema)
    assert sample.is_valid
    assert sample.value == value or schema is True or isinstance(value, list)


def test_sample_of_an_example_that_lies_is_made_anew(tmp_path: Path) -> None:
    """Examples in specifications are often wrong; a value that the schema refuses is not taken."""
    schema = {**_object(n={"type": "integer", "examples": ["one"]}), "examples": [{"n": "one"}]}
    assert _sample(tmp_path, schema) == Sample({"n": 1}, is_valid=True)


def test_sample_of_a_schema_in_a_circle_ends(tmp_path: Path) -> None:
    """Optional members that lead back are left out, required ones end somewhere."""
    tree = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {}, "left": {"$ref": "#/components/schemas/T"}},
    }
    assert _sample(tmp_path, {"$ref": "#/components/schemas/T"}, T=tree).is_valid
    endless = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/components/schemas/E"}}}
    assert not _sample(tmp_path, {"$ref": "#/components/schemas/E"}, E=endless).is_valid


def test_sample_of_a_union_says_which_it_is(tmp_path: Path) -> None:
    """A discriminator has the name that its mapping gives."""
    card = _object(kind={"type": "string"}, number={"type": "string"})
    union = {
        "oneOf": [{"$ref": "#/components/schemas/Card"}],
        "discriminator": {"propertyName": "kind", "mapping": {"card": "#/components/schemas/Card"}},
    }
    assert _sample(tmp_path, union, Card=card).value == {"kind": "card", "number": "number"}


def test_samples_of_real_specifications_are_valid() -> None:
    """Of all bodies and parameters of the corpus, all but one: its own constraints contradict each other."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside this repository")
    validators = SchemaValidators()
    total, refused = 0, []
    for number, file in enumerate(sorted(path for path in CORPUS.rglob("*") if path.is_file())):
        if "kubeshop+tracetest" in str(file) and file.name != "openapi.yaml":
            continue
        spec = read_openapi(file, f"service-{number}")
        schemas = Schemas(spec)
        for operation in spec.operations:
            body = json_media_type(operation.request_bodies)
            refs = [body.schema] if body is not None else []
            for ref in (*refs, *(parameter.schema for parameter in operation.parameters)):
                if ref is None:
                    continue
                total += 1
                uri = ref.uri
                found = sample_value(
                    {"$ref": uri},
                    schemas,
                    lambda value, spec=spec, uri=uri: not validators.find_faults(spec, uri, value, 1)[0],  # type: ignore[misc]
                )
                if not found.is_valid:
                    refused.append(operation.name)
    assert total > 600
    assert refused == ["createServiceInstance"]


def test_data_names_share_equal_values_and_keep_others_apart() -> None:
    """The same name with another value gets that of its owner in front; true is not 1."""
    data = DataNames({"known": 1})
    assert data.read("id", 1, "place") == "{{data.id}}"
    assert data.read("id", 1, "ship") == "{{data.id}}"
    assert data.read("id", True, "ship") == "{{data.ship_id}}"
    assert data.read("known", 2, "ship") == "{{data.ship_known}}"
    assert data.read("id", 3, "ship") == "{{data.ship_id_2}}"
    assert data.values == {"id": 1, "ship_id": True, "ship_known": 2, "ship_id_2": 3}


def test_data_names_have_what_templates_read_already() -> None:
    """Paths become nested values, so that a run finds them."""
    data = DataNames()
    data.note({"a": "{{data.order.id}}", "b": ["{{data.order['unit price']}} of {{data.items[1].sku}}"], "c": "x"})
    assert data.values == {"order": {"id": "text", "unit price": "text"}, "items": [None, {"sku": "text"}]}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["${amount > 1000}"], {"amount": 1001, "kind": "a"}),
        (["not (${amount > 0})"], {"amount": 0, "kind": "a"}),
        (["${amount > 10}", "not (${amount > 12})"], {"amount": 11, "kind": "a"}),
        (["${kind == 'b'}"], {"amount": 1, "kind": "b"}),
        (["not (${kind == 'a'})"], {"amount": 1, "kind": "not a"}),
        (["${unknown > 5}"], {"amount": 1, "kind": "a"}),
        (["${amount > 5}", "${amount < 5}"], None),
    ],
)
def test_data_is_changed_to_fit_conditions(conditions: list[str], expected: object) -> None:
    """Literals of the conditions and their neighbours are tried; what the data lacks is left to the process."""
    assert fit_data({"amount": 1, "kind": "a"}, conditions) == expected
