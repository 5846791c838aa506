"""Expressions of vendors become templates of ours, or are named as what could not be carried over."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.generation.binding.vendor_text import (
    translate_address,
    translate_feel,
    translate_json,
    translate_juel,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${amount}", "{{data.amount}}"),
        ("#{order.customer.id}", "{{data.order.customer.id}}"),
        ("${items[0]['unit price']}", "{{data.items[0]['unit price']}}"),
        ("${execution.getVariable('orderId')}", "{{data.orderId}}"),
        ('${execution.getVariable("a b")}', "{{data['a b']}}"),
        ("Order ${ id } of ${name}", "Order {{data.id}} of {{data.name}}"),
    ],
)
def test_juel_that_reads_values_is_a_template(text: str, value: str) -> None:
    """Names, paths and variables are carried over, alone and within a text."""
    assert (translate_juel(text).value, translate_juel(text).untranslatable) == (value, ())


@pytest.mark.parametrize(
    "expression", ["${a + b}", "${bean.call(x)}", "${not ready}", "${a == 'b'}", "${secrets.token}"]
)
def test_juel_that_does_more_is_named(expression: str) -> None:
    """Nothing is guessed: the expression comes back as it stands."""
    translation = translate_juel(f"x{expression}")
    assert (translation.value, translation.untranslatable) == (None, (expression,))


@pytest.mark.parametrize("text", ["{{secrets.KEY}}", "{% if x %}", "a {# b #}", "${open"])
def test_text_that_would_be_our_template_is_refused(text: str) -> None:
    """Braces of others never become expressions of ours by accident."""
    assert translate_juel(text).untranslatable == (text,)
    assert translate_json(text).value is None


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("GET", "GET"),
        ("=orderId", "{{data.orderId}}"),
        ("= Employee Badge Number", "{{data['Employee Badge Number']}}"),
        ('="https://shop/orders/" + order.id', "https://shop/orders/{{data.order.id}}"),
        ('= "employee eq " + string(Badge Number)', "employee eq {{data['Badge Number']}}"),
        (
            '={amount: amount, "list": [1, "x", true, null], of: {id: order.id}}',
            {"amount": "{{data.amount}}", "list": [1, "x", True, None], "of": {"id": "{{data.order.id}}"}},
        ),
        ('="{{x}}"', "{{ '{{' }}x}}"),
        ("=-1.5", -1.5),
        ('=("a")', "a"),
    ],
)
def test_feel_that_puts_values_together_is_a_template(source: str, value: object) -> None:
    """Literals, names with spaces, paths, sums of texts, contexts and lists are carried over."""
    translation = translate_feel(source)
    assert (translation.value, translation.untranslatable) == (value, ())
    compile_template(translation.value)


@pytest.mark.parametrize(
    "source",
    [
        "=a + b",
        "=if a then b else c",
        "=now()",
        "=count(items)",
        "=a - 1",
        "=secrets.KEY",
        "=a in (1, 2)",
        "={",
        '="',
        "=",
    ],
)
def test_feel_that_computes_is_named(source: str) -> None:
    """What would need an engine is not carried over."""
    translation = translate_feel(source)
    assert (translation.value, translation.untranslatable) == (None, (source,))


def test_body_of_json_keeps_its_types() -> None:
    """Expressions in place of a value and within quotes are both templates of the JSON's own shape."""
    text = '{"id": "${order.id}", "amount": ${amount}, "note": "for ${name}", "n": 1, "list": [${a}]}'
    assert translate_json(text).value == {
        "id": "{{data.order.id}}",
        "amount": "{{data.amount}}",
        "note": "for {{data.name}}",
        "n": 1,
        "list": ["{{data.a}}"],
    }


def test_body_that_is_no_json_stays_text() -> None:
    """A form or XML is a text with templates in it."""
    assert translate_json("<id>${id}</id>").value == "<id>{{data.id}}</id>"


def test_address_keeps_its_shape_where_a_part_is_lost() -> None:
    """An expression in front is the host and no loss; one behind is a parameter of unknown value."""
    assert translate_address("${env.base()}/orders/${fn(x)}?a=${b}").value == "{_0}/orders/{_21}?a={{data.b}}"
    assert translate_address("${env.base()}/orders/${fn(x)}?a=${b}").untranslatable == ("${fn(x)}",)


@given(st.text(max_size=40))
def test_any_text_is_translated_or_named(text: str) -> None:
    """Whatever a model holds, the result is a template that compiles, or nothing with the reason."""
    for translate in (translate_juel, translate_feel, translate_json, translate_address):
        translation = translate(text)
        if translation.value is None:
            assert translation.untranslatable or text in ("null", "=null") or not text.strip()
        else:
            compile_template(translation.value)


@given(st.recursive(st.integers() | st.booleans() | st.none() | st.text(max_size=8), lambda c: st.lists(c, max_size=3)))
def test_constant_json_is_sent_as_it_stands(value: object) -> None:
    """A body without expressions means the same when it is rendered."""
    translation = translate_json(json.dumps({"value": value}))
    if translation.value is not None:
        assert compile_template(translation.value).render({}) == {"value": value}
