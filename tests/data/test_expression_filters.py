"""Filters, tests and methods of expressions."""

from __future__ import annotations

import pytest

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.filters import FILTERS
from pytest_orchestra.data.methods import METHODS
from pytest_orchestra.data.predicates import TESTS
from pytest_orchestra.errors import EvaluationError, UndefinedVariableError

NAMES = {
    "items": [
        {"sku": "x", "price": 2.5, "line": {"no": 1}, "tags": ["t"]},
        {"sku": "y", "price": 1, "line": {"no": 2}, "error": "e"},
    ],
    "numbers": [3, 1, 2],
    "words": ["b", "A", "c"],
    "mixed": [1, "a"],
    "text": "Hello World",
    "object": {"a": 1, "b c": "d&e"},
}

VALUES = [
    ("-1.5|abs", 1.5),
    ("'héllo'|b64encode", "aMOpbGxv"),
    ("'aMOpbGxv'|b64decode", "héllo"),
    ("'ada LOVELACE'|capitalize", "Ada lovelace"),
    ("numbers|count", 3),
    ("nothing|d(1)", 1),
    ("nothing|default(1)", 1),
    ("numbers|first", 3),
    ("text|first", "H"),
    ("'1.50'|float", 1.5),
    ("' -2e3 '|float", -2000.0),
    ("'x'|float(0)", 0),
    ("'12'|int", 12),
    ("'12.9'|int", 12),
    ("-12.9|int", -12),
    ("'x'|int(default=0)", 0),
    ("null|int(0)", 0),
    ("object|items", [["a", 1], ["b c", "d&e"]]),
    ("numbers|join", "312"),
    ("numbers|join(', ')", "3, 1, 2"),
    ("items|join('-', attribute='sku')", "x-y"),
    ("[true, null, 1.0, 'a', {'b': []}]|join('|')", 'true|null|1.0|a|{"b":[]}'),
    ("object|keys", ["a", "b c"]),
    ("numbers|last", 2),
    ("object|length", 2),
    ("'añb'|length", 3),
    ("object|list", ["a", "b c"]),
    ("'ab'|list", ["a", "b"]),
    ("numbers|list", [3, 1, 2]),
    ("text|lower", "hello world"),
    ("items|map(attribute='sku')", ["x", "y"]),
    ("items|map(attribute='line.no')", [1, 2]),
    ("[[1, 2], [3, 4]]|map(attribute=1)", [2, 4]),
    ("[{'l': [5, 6]}]|map(attribute='l.1')", [6]),
    ("items|map(attribute='error', default='none')", ["none", "e"]),
    ("words|map('upper')", ["B", "A", "C"]),
    ("numbers|map('float')|map('round', 1)", [3.0, 1.0, 2.0]),
    ("numbers|max", 3),
    ("(items|max(attribute='price')).sku", "x"),
    ("numbers|min", 1),
    ("(items|min(attribute='price')).sku", "y"),
    ("['', 'a', null, 0]|reject", ["", None, 0]),
    ("numbers|reject('odd')", [2]),
    ("items|rejectattr('error')|map(attribute='sku')", ["x"]),
    ("text|replace('l', 'L')", "HeLLo WorLd"),
    ("numbers|reverse", [2, 1, 3]),
    ("'abc'|reverse", "cba"),
    ("2.5|round", 3),
    ("-2.5|round", -3),
    ("2.675|round(2)", 2.68),
    ("2.671|round(2, 'ceil')", 2.68),
    ("2.679|round(2, 'floor')", 2.67),
    ("1234|round(-2)", 1200),
    ("5|round(2)", 5),
    ("numbers|select('gt', 1)", [3, 2]),
    ("[0, 1, '']|select", [1]),
    ("[0, null]|select('defined')", [0, None]),
    ("items|selectattr('price', 'gt', 2)|map(attribute='sku')", ["x"]),
    ("items|selectattr('error')|map(attribute='sku')", ["y"]),
    ("items|selectattr('error', 'undefined')|map(attribute='sku')", ["x"]),
    ("items|selectattr('line.no', 'in', [2, 3])|map(attribute='sku')", ["y"]),
    ("items|selectattr('tags', 'defined')|selectattr('tags', 'contains', 't')|length", 1),
    ("numbers|sort", [1, 2, 3]),
    ("numbers|sort(reverse=true)", [3, 2, 1]),
    ("words|sort", ["A", "b", "c"]),
    ("items|sort(attribute='price')|map(attribute='sku')", ["y", "x"]),
    ("'a,b'|split(',')", ["a", "b"]),
    ("' a  b '|split", ["a", "b"]),
    ("1.5|string", "1.5"),
    ("object|string", '{"a":1,"b c":"d&e"}'),
    ("numbers|sum", 6),
    ("[]|sum", 0),
    ("[0.1, 0.2]|sum", 0.3),
    ("items|sum(attribute='price')", 3.5),
    ("text|tojson", '"Hello World"'),
    ("numbers|tojson", "[3,1,2]"),
    ("{'ü': null}|tojson(1)", '{\n "ü": null\n}'),
    ("'  a '|trim", "a"),
    ("[1, 1.0, true, 'a', 'a', [1], [1], {'a': 1}, {'a': 1}]|unique", [1, True, "a", [1], {"a": 1}]),
    ("items|unique(attribute='sku')|length", 2),
    ("text|upper", "HELLO WORLD"),
    ("'a b/ü&'|urlencode", "a%20b%2F%C3%BC%26"),
    ("object|urlencode", "a=1&b%20c=d%26e"),
    ("object|values", [1, "d&e"]),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_filter_gives_its_value(text, value):
    """Each filter does what its name says, and keeps types."""
    result = compile_expression(text).evaluate(NAMES)
    assert result == value
    assert type(result) is type(value)


HOLDING = [
    "true is boolean",
    "numbers is contains(3)",
    "text is containing('World')",
    "text is defined",
    "9 is divisibleby(3)",
    "'' is empty",
    "[] is empty",
    "4 is even",
    "false is false",
    "1.0 is float",
    "1 is in([1.0])",
    "1.0 is integer",
    "'a' is iterable",
    "numbers is list",
    "'abc' is lower",
    "object is mapping",
    "'ORD-17' is matching('ORD-[0-9]+')",
    "null is none",
    "null is null",
    "1.5 is number",
    "object is object",
    "3 is odd",
    "numbers is sequence",
    "text is string",
    "true is true",
    "nope is undefined",
    "'ABC' is upper",
    "1 is eq(1.0)",
    "1 is equalto(1)",
    "1 is ne(2)",
    "1 is lt(2)",
    "1 is lessthan(2)",
    "1 is le(1)",
    "2 is gt(1)",
    "2 is greaterthan(1)",
    "2 is ge(2)",
]


@pytest.mark.parametrize("text", HOLDING)
def test_test_holds_where_it_should(text):
    """Each test holds for what its name says."""
    assert compile_expression(text).evaluate(NAMES) is True


@pytest.mark.parametrize(
    "text",
    [
        "1 is boolean",
        "numbers is contains(4)",
        "nope is defined",
        "[0] is empty",
        "3 is even",
        "0 is false",
        "1 is float",
        "1.5 is integer",
        "true is integer",
        "1 is iterable",
        "'Abc' is lower",
        "[] is mapping",
        "'XORD-17' is matching('ORD-[0-9]+')",
        "'ORD-17\n' is matching('ORD-[0-9]+')",
        "17 is matching('[0-9]+')",
        "'ab' is matching('a|b')",
        "0 is null",
        "true is number",
        "'1' is number",
        "2 is odd",
        "2.5 is odd",
        "'a' is list",
        "1 is true",
        "text is undefined",
        "'Abc' is upper",
    ],
)
def test_test_does_not_hold_where_it_should_not(text):
    """No test holds by accident of Python's types."""
    assert compile_expression(text).evaluate(NAMES) is False


CALLS = [
    ("text.capitalize()", "Hello world"),
    ("text.count('l')", 3),
    ("[1, true, 1.0].count(1)", 2),
    ("text.endswith('World')", True),
    ("text.find('World')", 6),
    ("object.get('a')", 1),
    ("object.get('z')", None),
    ("'a1'.isalnum()", True),
    ("'a1'.isalpha()", False),
    ("'12'.isdigit()", True),
    ("object.items()", [["a", 1], ["b c", "d&e"]]),
    ("object.keys()", ["a", "b c"]),
    ("text.lower()", "hello world"),
    ("'xxa'.lstrip('x')", "a"),
    ("text.removeprefix('Hello ')", "World"),
    ("text.removesuffix(' World')", "Hello"),
    ("text.replace('Hello', 'Bye')", "Bye World"),
    ("'a  '.rstrip()", "a"),
    ("text.split()", ["Hello", "World"]),
    ("'a\\nb'.splitlines()", ["a", "b"]),
    ("text.startswith('Hello')", True),
    ("' a '.strip()", "a"),
    ("'ada'.title()", "Ada"),
    ("text.upper()", "HELLO WORLD"),
    ("object.values()", [1, "d&e"]),
]


@pytest.mark.parametrize(("text", "value"), CALLS)
def test_method_gives_its_value(text, value):
    """The methods that there are do what Python's do."""
    assert compile_expression(text).evaluate(NAMES) == value


def test_every_filter_test_and_method_is_covered_here():
    """What is added to the language is added to these tests."""
    assert {name for name in FILTERS if not any(f"|{name}" in text for text, _ in VALUES)} == set()
    assert {name for name in TESTS if not any(f"is {name}" in text for text in HOLDING)} == set()
    assert {name for name in METHODS if not any(f".{name}(" in text for text, _ in CALLS)} == set()


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ("'abc'|int", "'abc' is no whole number", None),
        ("true|int", "true is no whole number", None),
        ("'1e999'|float", "'1e999' is no number", None),
        ("'x'|round", "a number is needed, not a string", None),
        ("1|round(1, 'up')", "'up' is no way to round", "there are 'common', 'ceil' and 'floor'"),
        ("1|round(99)", "cannot round to 99 places", None),
        ("1|round(0.5)", "a whole number is needed, not 0.5", None),
        ("1|length", "a number has no length", None),
        ("text|sum", "a list is needed, not a string", None),
        ("words|sum", "a number is needed, not a string", None),
        ("1|upper", "a string is needed, not a number", None),
        ("text|keys", "an object is needed, not a string", None),
        ("text|split('')", "cannot split at nothing", None),
        ("mixed|sort", "cannot compare 1 < 'a'", None),
        ("mixed|max", "cannot compare 'a' > 1", None),
        ("numbers|map", "'map' needs the name of a filter, or 'attribute'", None),
        ("words|map(words[0] ~ 'pper')", "there is no filter 'bpper'", "did you mean 'upper'?"),
        ("words|select(words[0] ~ 'dd')", "there is no test 'bdd'", "did you mean 'odd'?"),
        ("'%%'|b64decode", "'%%' is no text in base64", None),
        ("text is matching(text ~ '(')", "'Hello World(' is no regular expression: unclosed group", None),
        (
            "text is matching('(?=a)' ~ 'b')",
            "'(?=a)b' is no regular expression: look-around, including look-ahead and look-behind, is not supported",
            None,
        ),
        ("text is matching('a)' ~ '|(?:b')", "'a)|(?:b' is no regular expression: unopened group", None),
        ("1 is empty", "a number has no length", None),
        ("'a' is even", "cannot calculate 'a' % 2", None),
        ("numbers|tojson(9)", "cannot indent by 9", None),
        ("numbers|map('round', 1, 'ceil', 2)", "filter 'round' does not take (1, 'ceil', 2)", None),
        ("numbers|select('eq')", "test 'eq' does not take ()", None),
        ("text|map('upper')", "a list is needed, not a string", None),
        ("numbers|sort(attribute=[1])", "a string is needed, not a list of 1", None),
    ],
)
def test_filter_or_test_that_cannot_be_applied_says_why(text, fact, hint):
    """Nothing is guessed: what a filter cannot do is an error."""
    with pytest.raises(EvaluationError) as caught:
        compile_expression(text).evaluate(NAMES)
    assert (caught.value.fact, caught.value.hint) == (f"{fact}, in '{text}'", hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "items|map(attribute='error')",
            (
                "'error' is not in the item at index 0, in 'items|map(attribute='error')'"
                "\nhint: there are 'sku', 'price', 'line' and 'tags'"
            ),
        ),
        (
            "items|selectattr('eror', 'eq', 'e')",
            (
                "'eror' is not in the item at index 0, in 'items|selectattr('eror', 'eq', 'e')'"
                "\nhint: there are 'sku', 'price', 'line' and 'tags'"
            ),
        ),
        (
            "numbers|map(attribute='x')",
            "'x' is not in the item at index 0, in 'numbers|map(attribute='x')'",
        ),
        ("[]|max", "the list is empty, in '[]|max'"),
        ("''|last", "the string is empty, in '''|last'"),
    ],
)
def test_filter_that_looks_for_what_is_not_there_says_where(text, message):
    """What an item lacks is named with the item, and counts as undefined."""
    with pytest.raises(UndefinedVariableError) as caught:
        compile_expression(text).evaluate(NAMES)
    assert str(caught.value) == message
