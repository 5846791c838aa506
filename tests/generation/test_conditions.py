"""Conditions in the languages that occur in BPMN files: what they mean, and what stays unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.generation.conditions.expressions import Dialect, Expression, Name, Opaque, names_in, truth_of
from pytest_orchestra.generation.conditions.parser import parse_condition
from pytest_orchestra.generation.limits import MAX_CONDITION_LENGTH

DATA: dict[str, Any] = {
    "amount": 1500,
    "rate": 0.5,
    "vip": True,
    "blocked": False,
    "delivery": "express",
    "flag": "true",
    "nothing": None,
    "blank": "",
    "tags": ["new", "big"],
    "order": {"lines": [{"count": 3}], "state": "OPEN"},
    "Vacation Approval": "Approved",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${amount > 1000}", True),
        ("#{amount gt 1000}", True),
        ("= amount <= 1000", False),
        ("amount = 1500", True),
        ("amount == 1500.0", True),
        ("amount <> 1500", False),
        ("amount ne 7", True),
        ("${delivery == 'express'}", True),
        ('delivery eq "standard"', False),
        ("data.amount > 1000", True),
        ("data.order.state == 'OPEN'", True),
        ("order.lines[0].count == 3", True),
        ("order['state'] == 'OPEN'", True),
        ("${vip}", True),
        ("${!vip}", False),
        ("not(vip)", False),
        ("not vip or amount > 1", True),
        ("${vip && !blocked}", True),
        ("vip and (blocked or amount < 5)", False),
        ("${true}", True),
        ("=false", False),
        ("true()", True),
        ("return amount > 0;", True),
        ('${execution.getVariable("delivery") == "express"}', True),
        ("kcontext.getVariable('delivery') == 'standard'", False),
        ("bpmn:getDataObject('delivery') = 'express'", True),
        ('"express".equals(delivery)', True),
        ("delivery.equals('standard')", False),
        ("${empty blank}", True),
        ("nothing == null", True),
        ("amount != null", True),
        ("delivery == nil", False),
        ('Vacation Approval = "Approved"', True),
        ("delivery in ('express', 'air')", True),
        ("amount in [1, 2]", False),
        ("'new' in tags", True),
        ("amount - 500 == 1000", True),
        ("amount / 2 * rate == 375", True),
        ("-amount < 0", True),
        ("amount % 7 == 2", True),
        ("flag == true", True),
        ("${flag}", True),
        ("delivery + '!' == 'express!'", True),
        (r"delivery == 'ex\'press'", False),
    ],
)
def test_known_condition_has_its_truth(text: str, expected: bool) -> None:
    """Spelling differs between languages, meaning does not."""
    assert truth_of(parse_condition(text), DATA, Dialect.MODEL) is expected


@pytest.mark.parametrize(
    "text",
    [
        "approved",
        "${approved == true}",
        "amount > '7'",
        "amount == 'express'",
        "${delivery}",
        "amount",
        "order.missing == 1",
        "order.lines[7].count == 3",
        "${service.isReady(order)}",
        "= some risk in levels satisfies risk = 'red'",
        "amount / 0 == 1",
        "amount < 1 < 2",
        "#Previous.DataSet?.Any() == true",
        "contract is to be written",
        "",
        "((((",
        "'open",
    ],
)
def test_condition_that_cannot_be_known_is_unknown(text: str) -> None:
    """A missing name, a call, a comparison of different things, and what does not parse are neither true nor false."""
    assert truth_of(parse_condition(text), DATA, Dialect.MODEL) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service.call() and blocked", False),
        ("service.call() or vip", True),
        ("service.call() and vip", None),
        ("approved or not approved", None),
        ("not service.call()", None),
    ],
)
def test_unknown_part_does_not_hide_what_is_known(text: str, expected: bool | None) -> None:
    """And, or and not follow Kleene's logic."""
    assert truth_of(parse_condition(text), DATA, Dialect.MODEL) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data.amount", True),
        ("{{ data.blank }}", False),
        ("data.amount == 'express'", False),
        ("data.coupon is defined", False),
        ("data.amount is defined", True),
        ("data.nothing is none", True),
        ("data.vip is not none", True),
        ("data.delivery not in ['air']", True),
        ("data.coupon == 1", None),
        ("data.tags | length > 1", None),
    ],
)
def test_template_condition_compares_as_templates_do(text: str, expected: bool | None) -> None:
    """What users write in the sidecar has the truth values and comparisons of templates."""
    assert truth_of(parse_condition(text, Dialect.TEMPLATE), DATA, Dialect.TEMPLATE) is expected


def test_key_called_data_is_found_before_the_prefix() -> None:
    """``data.x`` means the key ``data`` where a data set has one."""
    expression = parse_condition("data.x == 1")
    assert truth_of(expression, {"x": 1}, Dialect.MODEL) is True
    assert truth_of(expression, {"x": 1, "data": {"x": 2}}, Dialect.MODEL) is False


def test_names_are_given_in_the_order_of_the_text() -> None:
    """Later work can ask which values a condition reads."""
    text = "order.amount > limit and not vip or order.amount in [floor, 2] and 1 + rate > 0 and nothing is none"
    assert names_in(parse_condition(text, Dialect.TEMPLATE)) == (
        ("order", "amount"),
        ("limit",),
        ("vip",),
        ("floor",),
        ("rate",),
        ("nothing",),
    )


@pytest.mark.parametrize("text", ["(" * 5_000, "not " * 5_000 + "x", "x" * (MAX_CONDITION_LENGTH + 1), "[" * 1_500])
def test_condition_beyond_the_limits_is_opaque(text: str) -> None:
    """Length and nesting are bounded; no text overflows the stack."""
    assert isinstance(parse_condition(text), Opaque)


@given(st.text(alphabet="ab.'\"()[]=<>!&|+-*/%,0123 \n\t\\notandrin${}#?", max_size=60))
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    """Whatever a file says gives a condition that can be evaluated."""
    for dialect in Dialect:
        assert truth_of(parse_condition(text, dialect), DATA, dialect) in (True, False, None)


def _expressions() -> st.SearchStrategy[tuple[str, bool]]:
    """Expressions over constants in Python's spelling, with the value that Python gives them."""
    comparisons = st.builds(
        lambda left, symbol, right: f"{left} {symbol} {right}",
        st.integers(-3, 3),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.integers(-3, 3),
    )
    leaves = comparisons | st.sampled_from(["True", "False"])
    texts = st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds("({}) and ({})".format, inner, inner),
            st.builds("({}) or ({})".format, inner, inner),
            st.builds("not ({})".format, inner),
            st.builds("{} or {} and {}".format, comparisons, comparisons, comparisons),
        ),
        max_leaves=8,
    )
    return texts.map(lambda text: (text, eval(text)))


@given(_expressions())
def test_constant_expression_is_what_python_says(pair: tuple[str, bool]) -> None:
    """Precedence and logic are those of the languages, for which Python's evaluation stands."""
    text, expected = pair
    for dialect in Dialect:
        assert truth_of(parse_condition(text, dialect), {}, dialect) is expected


def test_plain_name_is_a_path_of_one() -> None:
    """The simplest condition is a variable."""
    expected: Expression = Name(("approved",))
    assert parse_condition("${approved}") == expected
