"""Any JSON value through ``jsonb`` and back."""

from __future__ import annotations

import math

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.jsonb import dump_jsonb, escape_text, load_jsonb, unescape_text

texts = st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from("\x00\ue000\ud800\udfffnu0e+")))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@given(texts)
def test_escape_text_any_text_comes_back(text: str):
    """An escaped text holds nothing that PostgreSQL refuses, and comes back as it was."""
    escaped = escape_text(text)
    assert "\x00" not in escaped
    escaped.encode()
    assert unescape_text(escaped) == text


@given(values)
def test_dump_jsonb_any_value_comes_back(value: JsonValue):
    """What is dumped is valid UTF-8 without NUL, and loads as it was."""
    dumped = dump_jsonb(value)
    assert "\\u0000" not in dumped.replace("\\\\", "")
    assert load_jsonb(dumped.encode()) == value


def test_dump_jsonb_nan_comes_back():
    """A float that JSON does not know is no reason to lose a result."""
    [value] = load_jsonb(dump_jsonb([math.nan]))
    assert math.isnan(value)


@pytest.fixture(scope="module")
def database(server: EmbeddedPostgres):
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        yield connection


@given(value=values)
@settings(max_examples=60, deadline=None)
def test_dump_jsonb_any_value_survives_the_database(value: JsonValue, database: psycopg.Connection):
    """PostgreSQL takes whatever is dumped and gives back an equal value."""
    [stored] = database.execute("SELECT %s::jsonb::text", [dump_jsonb(value)]).fetchone()
    assert load_jsonb(stored) == value
