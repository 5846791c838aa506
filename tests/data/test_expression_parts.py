"""What a rule that does not hold shows: the values of its parts."""

from __future__ import annotations

import pytest

from pytest_orchestra.data.expressions import Part, compile_expression

NAMES = {
    "data": {"price": 21, "quantity": 2, "name": "O'Neil", "list": [3, 1], "prices": {"EUR": 1}},
    "response": {"body": {"total": 41, "status": "NEW", "items": [{"id": 1}], "currency": "EUR", "customer": None}},
}


def explain(text):
    return [str(part) for part in compile_expression(text).explain(NAMES)]


def test_rule_of_comparisons_shows_their_operands_each_before_what_it_consists_of():
    """A failed rule shows every value that it was decided by, in order."""
    text = "response.body.total == data.price * data.quantity and response.body.status in ['NEW', 'PAID']"
    assert compile_expression(text).explain(NAMES) == (
        Part("response.body.total", 41),
        Part("data.price * data.quantity", 42),
        Part("data.price", 21),
        Part("data.quantity", 2),
        Part("response.body.status", "NEW"),
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("response.body.total", ["response.body.total = 41"]),
        ("not response.body.total", ["response.body.total = 41"]),
        ("1 == 1 and 'a' == null", []),
        ("2 * 3 > 7", []),
        ("data.price == 21 or data.price == 22", ["data.price = 21"]),
        (
            "response.body.items|length == 2",
            ["response.body.items|length = 1", "response.body.items = [{'id': 1}]"],
        ),
        (
            "data.list|sort|join(data.name) == ''",
            ['data.list|sort|join(data.name) = "1O\'Neil3"', "data.list = [3, 1]", 'data.name = "O\'Neil"'],
        ),
        (
            "data.list|join(data.name)|replace(data.name, '') == ''",
            [
                "data.list|join(data.name)|replace(data.name, '') = '31'",
                "data.list = [3, 1]",
                'data.name = "O\'Neil"',
            ],
        ),
        ("data.name.upper() == 'X'", ['data.name.upper() = "O\'NEIL"', 'data.name = "O\'Neil"']),
        (
            "data.name.replace(response.body.currency, '') == ''",
            [
                "data.name.replace(response.body.currency, '') = \"O'Neil\"",
                'data.name = "O\'Neil"',
                "response.body.currency = 'EUR'",
            ],
        ),
        (
            "data.prices[response.body.currency] == 2",
            ["data.prices[response.body.currency] = 1", "response.body.currency = 'EUR'"],
        ),
        ("response.body.items[0].id == 2", ["response.body.items[0].id = 1"]),
        (
            "(response.body.items|first).id == 2",
            ["(response.body.items|first).id = 1", "response.body.items = [{'id': 1}]"],
        ),
        ("data.list[0:1] == []", ["data.list[0:1] = [3]"]),
        ("response.body.status is in(['PAID'])", ["response.body.status = 'NEW'"]),
        ("response.body.status is not matching('N.*')", ["response.body.status = 'NEW'"]),
        (
            "data.price > 1 if data.quantity else data.list",
            ["data.quantity = 2", "data.price = 21", "data.list = [3, 1]"],
        ),
        ("[data.price, 1] == {'a': data.quantity}", ["data.price = 21", "data.quantity = 2"]),
        ("-data.price == 1", ["-data.price = -21", "data.price = 21"]),
        ("'x' ~ data.price == 'y'", ["'x' ~ data.price = 'x21'", "data.price = 21"]),
        ("data.price < data.quantity < 3", ["data.price = 21", "data.quantity = 2"]),
        ("response.body.customer == 1", ["response.body.customer = null"]),
    ],
)
def test_expression_shows_its_parts(text, parts):
    """Parts are operands, calculations, filters, calls and whole paths; no literals, no beginnings, no repeats."""
    assert explain(text) == parts


def test_part_that_is_undefined_shows_as_undefined():
    """What is not there has no value but says so."""
    (part,) = compile_expression("response.body.totl == 1").explain(NAMES)
    assert part == Part("response.body.totl", "undefined", "'totl' is not in 'response.body'")
    assert str(part) == "response.body.totl = undefined"


def test_part_that_cannot_be_evaluated_shows_why():
    """What fails says how."""
    parts = compile_expression("response.body.status * 2 == 1").explain(NAMES)
    fact = "cannot calculate 'NEW' * 2, in 'response.body.status * 2'"
    assert parts == (Part("response.body.status * 2", fact, fact), Part("response.body.status", "NEW"))
    assert str(parts[0]) == f"response.body.status * 2 = {fact}"


def test_text_undefined_is_not_mistaken_for_what_is_undefined():
    """A value that reads 'undefined' is a value."""
    (part,) = compile_expression("a == 1").explain({"a": "undefined"})
    assert (part.error, str(part)) == (None, "a = 'undefined'")


def test_long_value_is_cut_where_a_part_is_printed():
    """The value is whole, its printed form is short."""
    (part,) = compile_expression("a").explain({"a": "x" * 500})
    assert part.value == "x" * 500
    assert str(part) == f"a = '{'x' * 80}'…"
