"""Operators over JSON values."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.operators import fingerprint, is_equal, literal
from pytest_orchestra.errors import EvaluationError

_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def evaluate(text, **names):
    return compile_expression(text).evaluate(names)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 == 1.0", True),
        ("1 != 1.0", False),
        ("true == 1", False),
        ("false == 0", False),
        ("true == true", True),
        ("null == false", False),
        ("null == 0", False),
        ("'1' == 1", False),
        ("'' == null", False),
        ("[1, {'a': [2]}] == [1.0, {'a': [2.0]}]", True),
        ("[true] == [1]", False),
        ("{'a': 1} == {'a': true}", False),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True),
        ("{'a': 1} == {'b': 1}", False),
        ("{'a': 1} == {'a': 1, 'b': 2}", False),
        ("[1, 2] == [2, 1]", False),
        ("[1] == [1, 2]", False),
        ("1 in [true]", False),
        ("1.0 in [1]", True),
        ("{'a': 1} in [{'a': 1}]", True),
    ],
)
def test_equality_is_that_of_json(text, value):
    """Numbers are equal by value, booleans are no numbers, structures are compared whole."""
    assert evaluate(text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1 + 0.2", 0.3),
        ("0.3 - 0.1", 0.2),
        ("19.99 * 3", 59.97),
        ("1.1 * 1.1", 1.21),
        ("4.35 * 100", 435.0),
        ("1.1 % 0.1", 0.0),
        ("0.3 / 0.1", 3.0),
        ("7.5 // 2", 3.0),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("7 / 2", 3.5),
        ("4 / 2", 2.0),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("2 ** 0.5 > 1.414", True),
        ("1 + 2 * 3", 7),
        ("-2 ** 2", 4),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", [1, 2]),
        ("9007199254740993 + 0", 9007199254740993),
    ],
)
def test_arithmetic_is_exact_on_decimals_as_they_are_written(text, value):
    """Sums of money come out as on paper, not as in binary."""
    result = evaluate(text)
    assert result == value
    assert type(result) is type(value)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.sampled_from(["+", "-", "*"]))
def test_arithmetic_on_cents_is_the_same_as_on_whole_numbers(left, right, sign):
    """Adding, subtracting and multiplying amounts with two decimals is exact."""
    scale = 100 if sign != "*" else 10_000
    exact = {"+": left + right, "-": left - right, "*": left * right}[sign]
    assert evaluate(f"a {sign} b", a=left / 100, b=right / 100) == exact / scale


@pytest.mark.parametrize(
    ("text", "value"),
    [("2 < 10", True), ("'2' < '10'", False), ("1 <= 1.0", True), ("'b' > 'a'", True), ("2 >= 3", False)],
)
def test_order_is_that_of_numbers_or_of_strings(text, value):
    """Numbers are ordered among numbers, strings among strings."""
    assert evaluate(text) is value


@pytest.mark.parametrize("text", ["a + 1", "a * 1.5", "a|round", "a|tojson", "'' ~ a"])
def test_number_that_is_not_finite_is_refused(text):
    """Infinity and NaN, which some replies hold against the standard, do not travel on."""
    for value in (float("inf"), float("nan")):
        with pytest.raises(EvaluationError):
            evaluate(text, a=value)


@given(_JSON, _JSON)
def test_equality_is_symmetric_and_agrees_with_the_fingerprint(left, right):
    """Two values are equal exactly if their fingerprints are."""
    assert is_equal(left, right) is is_equal(right, left)
    assert is_equal(left, right) is (fingerprint(left) == fingerprint(right))


@given(_JSON)
def test_value_is_equal_to_its_copy(value):
    """Equality does not depend on identity."""
    assert is_equal(value, json.loads(json.dumps(value)))


@given(_JSON)
def test_literal_of_a_value_evaluates_to_the_value(value):
    """What messages and parts show can be written into an expression."""
    assert is_equal(evaluate(literal(value, 10**9)), value)


def test_literal_is_cut_to_its_limit():
    """Messages stay short."""
    assert literal("x" * 100, 5) == "'xxxxx'…"
    assert literal(list(range(100)), 8) == "[0, 1, 2…"
    assert literal({"a": {"b": ["x" * 50]}}, 20) == "{'a': {'b': ['xxxxxx…"
    assert literal(10**50, 5) == "10000…"


def test_literal_of_what_has_no_end_or_is_not_json_describes_it():
    """Whatever comes, a message can be made of it."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert literal(deep) == "[" * 80 + "…"
    assert literal(Decimal(1)) == "a 'Decimal'"
