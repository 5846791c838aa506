"""JSON as the values that an Avro schema wants."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.protocols.avro_value import ValueMisfitError, avro_of, json_of

fastavro = pytest.importorskip("fastavro", reason="needs 'fastavro' to write Avro")


def moment(kind, base="long"):
    return {"type": base, "logicalType": kind}


MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
LINE = {
    "type": "record",
    "name": "shop.Line",
    "fields": [
        {"name": "sku", "type": "string"},
        {"name": "count", "type": "int", "default": 1},
        {"name": "next", "type": ["null", "Line"]},
    ],
}
STATE = {"type": "enum", "name": "State", "symbols": ["OPEN", "SHIPPED"]}
SEAL = {"type": "fixed", "name": "Seal", "size": 2}


def parsed(schema):
    named = {}
    return fastavro.parse_schema(schema, named_schemas=named), named


def there_and_back(schema, value):
    schema, named = parsed(schema)
    into = io.BytesIO()
    fastavro.schemaless_writer(into, schema, avro_of(value, schema, named))
    into.seek(0)
    return json_of(fastavro.schemaless_reader(into, schema, None))


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        ("null", None, None),
        ("boolean", True, True),
        ("double", 3, 3.0),
        ("double", "nan", "nan"),
        ("bytes", "/wA=", "/wA="),
        (SEAL, "/wA=", "/wA="),
        (STATE, "OPEN", "OPEN"),
        (MONEY, 12.5, 12.5),
        (MONEY, "999.99", 999.99),
        (moment("date", "int"), "2026-01-31", "2026-01-31"),
        (moment("date", "int"), 0, "1970-01-01"),
        (moment("time-millis", "int"), "08:30:00", "08:30:00"),
        (moment("timestamp-millis"), "2026-01-31T08:30:00Z", "2026-01-31T08:30:00+00:00"),
        (moment("timestamp-micros"), "2026-01-31T08:30:00", "2026-01-31T08:30:00+00:00"),
        (moment("local-timestamp-millis"), "2026-01-31T08:30:00", "2026-01-31T08:30:00"),
        ({"type": "string", "logicalType": "uuid"}, *["6f9619ff-8b86-d011-b42d-00cf4fc964ff"] * 2),
        ({"type": "map", "values": MONEY}, {"a": 1}, {"a": 1}),
        (["null", "bytes", "string"], "abcd", "abcd"),
        (["null", MONEY], 1.25, 1.25),
        (["int", "double"], 1.5, 1.5),
        (["null", STATE, {"type": "array", "items": STATE}], ["SHIPPED"], ["SHIPPED"]),
        (
            LINE,
            {"sku": "tea", "next": {"sku": "cup", "count": 2}},
            {"sku": "tea", "count": 1, "next": {"sku": "cup", "count": 2, "next": None}},
        ),
        ([LINE, "null"], {"sku": "tea"}, {"sku": "tea", "count": 1, "next": None}),
    ],
)
def test_value_is_written_as_it_would_be_read(schema, value, read):
    """Also where the schema has alternatives, names itself, or has defaults."""
    assert there_and_back(schema, value) == read


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ("int", 2**31, "/value: expected a number that fits 'int', observed 2147483648"),
        ("int", True, "/value: expected a whole number, observed true"),
        ("string", 5, "/value: expected a text, observed 5"),
        ("bytes", "no base64!", "/value: expected bytes in base64, observed 'no base64!'"),
        (SEAL, "AAAA", "/value: expected 2 bytes in base64, observed 3"),
        (STATE, "CLOSED", "/value: expected 'OPEN' or 'SHIPPED', observed 'CLOSED'"),
        (
            MONEY,
            1.234,
            "/value: expected a decimal number of 5 digits, 2 of them behind the point, observed 1.234",
        ),
        (MONEY, "much", "/value: expected a decimal number of 5 digits, 2 of them behind the point, observed 'much'"),
        (MONEY, "NaN", "/value: expected a decimal number of 5 digits, 2 of them behind the point, observed 'NaN'"),
        (moment("date", "int"), "soon", "/value: expected a day, '2026-01-31', observed 'soon'"),
        (
            moment("timestamp-millis"),
            "soon",
            "/value: expected a moment, '2026-01-31T08:30:00Z', observed 'soon'",
        ),
        ({"type": "string", "logicalType": "uuid"}, "x", "/value: expected a UUID, observed 'x'"),
        (LINE, "tea", "/value: expected an object with the fields of 'shop.Line', observed 'tea'"),
        (LINE, {}, "/value: required field 'sku' is missing"),
        (LINE, {"skuu": "tea"}, "/value: 'shop.Line' has no field 'skuu', did you mean 'sku'?"),
        (LINE, {"sku": "tea", "next": {"sku": 5}}, "/value/next/sku: expected a text, observed 5"),
        ({"type": "array", "items": ["null", "int"]}, [1, "2"], "/value/1: expected a whole number, observed '2'"),
        (["null", "int", "string"], 1.5, "/value: expected null, int or string, observed 1.5"),
        (["int", LINE], None, "/value: expected int or shop.Line, observed null"),
        ({"type": "array", "items": "int"}, {}, "/value: expected a list, observed {}"),
    ],
)
def test_value_that_does_not_fit_is_told_with_its_place(schema, value, fault):
    """What was wanted and what is there."""
    schema, named = parsed(schema)
    with pytest.raises(ValueMisfitError) as caught:
        avro_of(value, schema, named)
    assert str(caught.value) == fault


FIELDS = {
    "text": (st.text(), "string"),
    "whole": (st.integers(-(2**63), 2**63 - 1), "long"),
    "number": (st.floats(allow_nan=False, allow_infinity=False), "double"),
    "truth": (st.booleans(), "boolean"),
    "maybe": (st.none() | st.text(), ["null", "string"]),
    "many": (st.lists(st.integers(-5, 5)), {"type": "array", "items": "int"}),
    "named": (st.dictionaries(st.text(), st.booleans()), {"type": "map", "values": "boolean"}),
}


@given(st.fixed_dictionaries({name: values for name, (values, _) in FIELDS.items()}))
def test_json_comes_back_as_it_was(value):
    """Whatever is written by a schema of plain types is read as the same JSON."""
    fields = [{"name": name, "type": kind} for name, (_, kind) in FIELDS.items()]
    schema = {"type": "record", "name": "Any", "fields": fields}
    assert there_and_back(schema, json.loads(json.dumps(value))) == value
