"""Which messages a step takes for its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_calls import make_call

from pytest_orchestra.errors import StepError, TemplateSyntaxError
from pytest_orchestra.model.definition import ValueMatcherMode
from pytest_orchestra.protocols.message_codec import (
    decode_headers,
    decode_value,
    encode_value,
    header_of,
    message_headers,
    text_of,
)
from pytest_orchestra.protocols.message_matching import Message, MessageQuery, matches_value

SUBSET, EXACT, REGEX = ValueMatcherMode.SUBSET, ValueMatcherMode.EXACT, ValueMatcherMode.REGEX

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def message(value=None, *, key="k", headers=None, correlation_id="corr-1", address="orders"):
    return Message(address, key, value, headers or {}, correlation_id, datetime.now(UTC), {"partition": 0, "offset": 7})


def ask(*, rendered=None, headers=None, **step):
    call = make_call({"kind": "ASSERTION", "topic": "orders", **step}, {})
    call = replace(call, run_id="run", address={"topic": "orders"}, message=rendered or {}, headers=headers or {})
    return MessageQuery.of(call)


@pytest.mark.parametrize(
    ("expected", "actual", "modes"),
    [
        ({"a": 1}, {"a": 1.0}, {SUBSET, EXACT, REGEX}),
        ({"a": 1}, {"a": 1, "b": 2}, {SUBSET, REGEX}),
        ({"a": {"b": "x"}}, {"a": {"b": "x", "c": 1}}, {SUBSET, REGEX}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, {SUBSET, REGEX}),
        ({"a": [1]}, {"a": [1, 2]}, set()),
        ({"a": None}, {}, set()),
        ({"a": None}, {"a": None}, {SUBSET, EXACT, REGEX}),
        ({"a": True}, {"a": 1}, set()),
        ({"a": "or"}, {"a": "order"}, {REGEX}),
        ({"a": "^or$"}, {"a": "order"}, set()),
        ({"a": "^o.*r$"}, {"a": "order"}, {REGEX}),
        ({"a": "b\nc"}, {"a": "b\nc"}, {SUBSET, EXACT, REGEX}),
        ({"a": "4[0-9]"}, {"a": 42}, {REGEX}),
        ("placed|shipped", {"status": "shipped"}, {REGEX}),
        ("text", "text", {SUBSET, EXACT, REGEX}),
        ({"a": 1}, "text", set()),
        ([1], {"0": 1}, set()),
        (None, None, {SUBSET, EXACT, REGEX}),
    ],
)
def test_value_in_each_mode_matches_what_the_mode_says(expected, actual, modes):
    """A subset names fields, an exact value names all, a pattern matches somewhere."""
    assert {mode for mode in ValueMatcherMode if matches_value(expected, actual, mode)} == modes


@given(json_values)
def test_any_value_matches_itself_after_a_journey(value):
    """What is sent is what arrives, and it matches itself exactly; only text that reads as JSON becomes JSON."""
    raw = encode_value(value)
    if isinstance(value, str):
        assert raw == value.encode("utf-8", "surrogatepass")
    else:
        arrived = decode_value(raw)
        assert matches_value(value, arrived, EXACT)
        assert matches_value(value, arrived, SUBSET)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (None, None),
        (b"", ""),
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (b"12", 12),
        (b"hello", "hello"),
        (b"NaN", "NaN"),
        (b'{"a": ', '{"a": '),
        ("größe".encode(), "größe"),
        (b"\xff\x00", "/wA="),
        (b"[" * 5_000, "[" * 5_000),
    ],
)
def test_bytes_become_json_else_text_else_base64(raw, value):
    """No message breaks the journal, whatever is in it."""
    assert decode_value(raw) == value


def test_query_wants_address_correlation_key_headers_and_value():
    """A message is meant only if all of it fits."""
    query = ask(rendered={"key": 12, "value": {"a": 1}}, headers={"Kind": "new"})
    fitting = {"value": {"a": 1, "b": 2}, "key": "12", "headers": {"kind": "new"}}
    assert query.matches(message(**fitting))
    for other in (
        {"value": {"a": 2}},
        {"key": "13"},
        {"key": None},
        {"headers": {"kind": "old"}},
        {"headers": {}},
        {"correlation_id": "corr-2"},
        {"correlation_id": None},
        {"address": "orders.dlq"},
    ):
        assert not query.matches(message(**{**fitting, **other}))


def test_query_without_key_and_value_takes_any_of_the_run():
    """What a step does not name is not compared, and a key that is null is one."""
    assert ask().matches(message({"x": 1}))
    assert ask(rendered={"key": None}).matches(message(key=None))
    assert not ask(rendered={"key": None}).matches(message(key="k"))


def test_query_reads_the_named_header_before_the_property():
    """The sidecar's header counts whatever its case; a property where there is no such header."""
    query = ask()
    assert query.matches(message(correlation_id=None, headers={"x-correlation-id": "corr-1"}))
    assert not query.matches(message(correlation_id="corr-1", headers={"x-correlation-id": "corr-2"}))


def test_query_with_expression_finds_the_id_in_the_value():
    """``correlationIdExpr`` says where the id stands; a message without such a place is another's."""
    query = ask(correlationIdExpr="message.value.meta.requestId")
    assert query.matches(message({"meta": {"requestId": "corr-1"}}, correlation_id=None))
    assert not query.matches(message({"meta": {"requestId": "corr-2"}}, correlation_id="corr-1"))
    assert not query.matches(message({"meta": None}))
    assert not query.matches(message("text"))


def test_query_with_none_lets_any_message_in():
    """``none`` is for systems that pass no correlation id on."""
    assert ask(correlationIdExpr="none").matches(message(correlation_id="corr-2"))


def test_query_with_broken_pattern_is_a_step_error():
    """A pattern that cannot be read is the step's fault, said before anything is awaited."""
    with pytest.raises(StepError) as caught:
        ask(rendered={"value": {"a": ["x", "(b"]}}, valueMatcherMode="REGEX")
    assert caught.value.fact.startswith("'valueTemplate' with 'REGEX': '(b' is no regular expression: ")
    assert caught.value.hint == "correct the pattern"


def test_query_with_broken_expression_is_a_template_error():
    """So is an expression."""
    with pytest.raises(TemplateSyntaxError):
        ask(correlationIdExpr="message.value.")


def test_query_for_people_masks_credentials():
    """Reports show what was sought, without the values of headers that carry credentials."""
    query = ask(rendered={"key": "k", "value": {"a": 1}}, headers={"Authorization": "Bearer abc", "Kind": "new"})
    assert query.to_json() == {
        "correlationId": "corr-1",
        "key": "k",
        "headers": {"Authorization": "Bearer ***", "Kind": "new"},
        "value": {"a": 1},
        "valueMatcherMode": "SUBSET",
    }
    assert message(headers={"Authorization": "Bearer abc"}).shown()["headers"] == {"Authorization": "Bearer ***"}


def test_queries_for_different_things_have_different_identities():
    """Two looks of one step are the same query, two steps are not, and a secret in a header tells two apart."""
    assert ask(rendered={"value": {"a": 1, "b": 2}}).identity == ask(rendered={"value": {"b": 2, "a": 1}}).identity
    others = [ask(), ask(rendered={"key": "1"}), ask(rendered={"key": None}), ask(correlationIdExpr="none")]
    others += [ask(headers={"Authorization": text}) for text in ("a", "b")]
    assert len({query.identity for query in others}) == len(others)


def test_headers_of_a_message_are_text_and_the_users_win():
    """Values become text, null is left out, and what a user sets is not set again."""
    given = message_headers({"n": 1, "gone": None, "x-correlation-id": "mine"}, **{"X-Correlation-ID": "ours", "t": ""})
    assert given == {"n": "1", "x-correlation-id": "mine"}
    assert decode_headers([("a", b"1"), ("b", None), ("a", b"2")]) == {"a": "2", "b": ""}
    assert header_of({"KIND": "x"}, "kind") == "x"
    assert header_of({}, "kind") is None
    assert text_of({"a": [1, "ö"]}) == '{"a":[1,"ö"]}'


def test_message_for_rules_has_its_facts_beside_its_parts():
    """Rules read ``message.offset`` as they read ``message.value``."""
    assert message({"a": 1}).to_json() == {
        "key": "k",
        "value": {"a": 1},
        "headers": {},
        "address": "orders",
        "correlationId": "corr-1",
        "partition": 0,
        "offset": 7,
    }
