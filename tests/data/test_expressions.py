"""Expressions: what they give, what they read, and what is said where they cannot be evaluated."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from types import MappingProxyType
from uuid import UUID

import pytest

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.errors import EvaluationError, TemplateSyntaxError, UndefinedVariableError
from pytest_orchestra.model.run import StepStatus
from pytest_orchestra.problem import Place

PLACE = Place("order.orchestra.yaml", 12, 5)

NAMES = {
    "data": {
        "amount": 42,
        "price": 19.99,
        "quantity": 3,
        "customer": "Ada",
        "tags": ["a", "b"],
        "flag": True,
        "nothing": None,
        "prices": {"EUR": 1, "USD": 2},
    },
    "step": {"place": {"status": "PASSED", "response": {"status": 202, "body": {"id": "o-1"}}}},
    "response": {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": {
            "id": "o-1",
            "total": 59.97,
            "items": [{"sku": "x", "count": 2}, {"sku": "y", "count": 1}],
            "values": [1, 2],
            "keys": "K",
            "customer": None,
            "_links": {"self": {"href": "/orders/o-1"}},
            "active": True,
            "currency": "GBP",
            "0": "zero",
        },
    },
}

THERE = "there are 'amount', 'price', 'quantity', 'customer', 'tags', 'flag', 'nothing' and 'prices'"


def evaluate(text, names=NAMES):
    return compile_expression(text, PLACE).evaluate(names)


def failure(text, kind, names=NAMES):
    with pytest.raises(kind) as caught:
        evaluate(text, names)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data.amount", 42),
        ("data['amount']", 42),
        ("data.flag", True),
        ("data.nothing", None),
        ("data.tags", ["a", "b"]),
        ("data.tags[0]", "a"),
        ("data.tags.1", "b"),
        ("data.tags[-1]", "b"),
        ("data.tags[0:1]", ["a"]),
        ("data.customer[1:]", "da"),
        ("step.place.response.body.id", "o-1"),
        ("response.body.items[1].sku", "y"),
        ("response.body._links.self.href", "/orders/o-1"),
        ("response.body['0']", "zero"),
        ("response.body[0]", "zero"),
        ("response.headers['content-type']", "application/json"),
        ("data.prices[data.customer|default('EUR')|replace('Ada', 'USD')]", 2),
        ("1 < 2 < 3", True),
        ("1 < 3 < 2", False),
        ("not data.flag", False),
        ("data.flag and data.amount", 42),
        ("data.nothing or 'none'", "none"),
        ("'yes' if data.flag else 'no'", "yes"),
        ("'big' if data.amount > 100 else 'small'", "small"),
        ("[data.amount, 'x']", [42, "x"]),
        ("(1, 2)", [1, 2]),
        ("{'a': data.amount, 'b': [null]}", {"a": 42, "b": [None]}),
        ("-data.amount", -42),
        ("+data.amount", 42),
        ("'#' ~ data.amount ~ true ~ null ~ 1.5 ~ [1, 'a']", '#42truenull1.5[1,"a"]'),
        ("'x' in 'xyz'", True),
        ("'a' in data.tags", True),
        ("'z' not in data.tags", True),
        ("'EUR' in data.prices", True),
    ],
)
def test_expression_over_json_gives_the_value_with_its_type(text, value):
    """An expression reads keys and indexes, computes, and keeps JSON's types."""
    result = evaluate(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "text", ["true", "True", "not false", "not False", "null == none", "none == None", "null is null"]
)
def test_literal_of_json_and_of_python_means_the_same(text):
    """The words of JSON and of Python for true, false and null are all understood."""
    assert evaluate(text) is True


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("response.body.items", NAMES["response"]["body"]["items"]),
        ("response.body.values", [1, 2]),
        ("response.body.keys", "K"),
        ("data.prices.keys()", ["EUR", "USD"]),
        ("data.prices.values()", [1, 2]),
        ("data.prices.items()", [["EUR", 1], ["USD", 2]]),
        ("data.prices.get('EUR')", 1),
        ("data.prices.get('GBP', 0)", 0),
    ],
)
def test_key_named_like_a_method_is_read_as_the_key(text, value):
    """Keys come before methods; a method exists only where it is called."""
    assert evaluate(text) == value


def test_name_null_is_a_key_where_it_follows_a_dot():
    """``null`` is a literal by itself and a key behind a dot."""
    assert evaluate("data.null", {"data": {"null": 7}}) == 7


def test_mapping_of_any_kind_is_an_object():
    """Whatever is a mapping is read like an object."""
    names = MappingProxyType({"suite": MappingProxyType({"orderId": 5})})
    assert evaluate("suite.orderId + 1", names) == 6


def test_value_of_a_kindred_type_is_what_it_is_kin_to():
    """Enumerations and other kin of strings and numbers are read as such."""
    names = {"status": StepStatus.PASSED, "code": HTTPStatus.OK, "pair": ("a", 1)}
    assert compile_expression("status == 'PASSED' and status ~ '!' == 'PASSED!'").evaluate(names) is True
    assert compile_expression("code + 1 == 201 and code < 300").evaluate(names) is True
    assert compile_expression("pair == ['a', 1] and pair[1] == 1 and pair|length == 2").evaluate(names) is True


def test_text_that_has_no_bytes_is_an_error_where_bytes_are_needed():
    """Half of a surrogate pair, which JSON can hold, ends in an error of ours."""
    error = failure("text|b64encode", EvaluationError, {"text": "\ud800"})
    assert error.fact.startswith("'text|b64encode' cannot be evaluated: 'utf-8' codec can't encode")
    assert error.roots == frozenset({"text"})


def test_value_that_was_read_is_not_copied():
    """Reading costs no copy."""
    assert evaluate("response.body") is NAMES["response"]["body"]


def test_method_of_an_object_that_has_such_a_key_is_refused():
    """Where a key hides a method, calling it says so."""
    error = failure("response.body.keys()", EvaluationError)
    assert str(error) == (
        "order.orchestra.yaml:12:5: 'keys' is a string here and cannot be called, in 'response.body.keys()'"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "step.place.response.body.idd",
            "'idd' is not in 'step.place.response.body'\nhint: did you mean 'id'?",
        ),
        ("step.pay.response", "'pay' is not in 'step'\nhint: there is only 'place'"),
        ("dta.amount", "'dta' is not defined\nhint: did you mean 'data'?"),
        ("qqq", "'qqq' is not defined\nhint: there are 'data', 'step' and 'response'"),
        (
            "response.headers['Content-Type']",
            "'Content-Type' is not in 'response.headers'\nhint: did you mean 'content-type'?",
        ),
        (
            "response.headers.content_type",
            "'content_type' is not in 'response.headers'\nhint: did you mean 'content-type'?",
        ),
        ("response.body.customer.name", "'name' is not in 'response.body.customer', which is null"),
        ("data.customer.name", "'name' is not in 'data.customer', which is a string"),
        ("data.amount.cents", "'cents' is not in 'data.amount', which is a number"),
        ("data.flag.x", "'x' is not in 'data.flag', which is a boolean"),
        ("data.tags[2]", "index 2 is not in 'data.tags', a list of 2"),
        ("data.tags[-3]", "index -3 is not in 'data.tags', a list of 2"),
        (
            "response.body.items.sku",
            (
                "'sku' is not in 'response.body.items', which is a list of 2"
                "\nhint: read it from an item, such as 'response.body.items[0].sku'"
            ),
        ),
        (
            "response.body.items[0].skuu",
            "'skuu' is not in 'response.body.items[0]'\nhint: did you mean 'sku'?",
        ),
        (
            "data.prices[response.body.currency]",
            "'GBP' is not in 'data.prices'\nhint: there are 'EUR' and 'USD'",
        ),
        (f"data.{'x' * 41}", f"'{'x' * 41}' is not in 'data'\nhint: {THERE}"),
        ("{}.a", "'a' is not in '{}'\nhint: it is empty"),
        ("[]|first", "the list is empty, in '[]|first'"),
    ],
)
def test_undefined_name_tells_what_is_missing_where_and_what_is_there(text, message):
    """The error names the missing key, the part of the path that exists, and the nearest name."""
    error = failure(text, UndefinedVariableError)
    assert str(error) == f"order.orchestra.yaml:12:5: {message}"


def test_undefined_name_in_a_large_object_lists_some_of_what_is_there():
    """The list of what is there is short."""
    names = {"data": {f"{letter * 60 if letter == 'a' else letter}": 1 for letter in "abcdefghijklm"}}
    error = failure("data.zz", UndefinedVariableError, names)
    assert error.hint == f"there are '{'a' * 40}…', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 5 others"
    nine = failure("data.zz", UndefinedVariableError, {"data": dict.fromkeys("abcdefghi", 1)})
    assert nine.hint == "there are 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 1 other"


@pytest.mark.parametrize(
    ("text", "root", "roots"),
    [
        ("response.body.nope == data.amount", "response", {"response"}),
        ("response.body.items[9].sku", "response", {"response"}),
        ("response.body.items|map(attribute='price')|sum", "response", {"response"}),
        ("data.prices[response.body.currency]", "data", {"data", "response"}),
        ("nowhere.x", "nowhere", {"nowhere"}),
        ("[]|first", "", set()),
    ],
)
def test_undefined_name_tells_its_root_and_all_that_was_read(text, root, roots):
    """The engine can tell a reply that lacks something from a rule that is wrong."""
    error = failure(text, UndefinedVariableError)
    assert (error.root, error.roots) == (root, frozenset(roots))


def test_evaluation_error_tells_the_roots_of_the_part_that_failed():
    """The engine can tell a reply of the wrong type from a rule that is wrong."""
    error = failure("data.flag and response.body.customer < data.amount", EvaluationError)
    assert error.roots == frozenset({"data", "response"})
    assert failure("1 < 'a'", EvaluationError).roots == frozenset()


@pytest.mark.parametrize("text", ["response.body.nope", "response.body.customer < 1"])
def test_error_of_an_expression_survives_pickling(text):
    """Errors cross process boundaries whole."""
    error = failure(text, (UndefinedVariableError, EvaluationError))
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert vars(copy)["roots"] == frozenset({"response"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 < 'a'", "cannot compare 1 < 'a', in '1 < 'a''"),
        ("data.nothing >= 1", "cannot compare null >= 1, in 'data.nothing >= 1'"),
        ("data.flag < 2", "cannot compare true < 2, in 'data.flag < 2'"),
        ("data.tags < data.tags", "cannot compare ['a', 'b'] < ['a', 'b'], in 'data.tags < data.tags'"),
        (
            "data.customer + 1",
            "cannot calculate 'Ada' + 1, in 'data.customer + 1'\nhint: join text with '~'",
        ),
        ("data.flag * 2", "cannot calculate true * 2, in 'data.flag * 2'"),
        ("data.amount / 0", "cannot calculate 42 / 0: division by zero, in 'data.amount / 0'"),
        ("data.price % 0", "cannot calculate 19.99 % 0: division by zero, in 'data.price % 0'"),
        ("1 in data.customer", "cannot look for 1 in a string, in '1 in data.customer'"),
        ("1 in data.amount", "cannot look for 1 in a number, in '1 in data.amount'"),
        ("-data.customer", "a string has no sign, in '-data.customer'"),
        ("data.amount[0:1]", "cannot cut a number, in 'data.amount[0:1]'"),
        ("data.tags['a':]", "'a' is no index, in 'data.tags['a':]'"),
        ("data.tags[::0]", "the step is 0, in 'data.tags[::0]'"),
        ("{1: 2}", "the key 1 is no string, in '{1: 2}'"),
        ("data.tags.upper()", "a list of 2 has no method 'upper', in 'data.tags.upper()'"),
        (
            "data.customer.startswith(1)",
            "method 'startswith' does not take (1), in 'data.customer.startswith(1)'",
        ),
    ],
)
def test_impossible_operation_tells_the_values_and_the_part(text, message):
    """What has no sensible result is an error that shows both sides and stands in the user's own words."""
    assert str(failure(text, EvaluationError)) == f"order.orchestra.yaml:12:5: {message}"


FOREIGN = {
    "row": {
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "total": Decimal("1.5"),
        "id": UUID(int=1),
        "list": [Decimal(1)],
        "object": {"a": Decimal(1)},
    },
    "fixture": {"client": object()},
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row.at == '2026-01-02'", "'row.at' is a 'datetime', which is no JSON value"),
        ("row.total > 1", "'row.total' is a 'Decimal', which is no JSON value"),
        ("'x' ~ row.id", "'row.id' is a 'UUID', which is no JSON value"),
        ("row.list[0] + 1", "'row.list[0]' is a 'Decimal', which is no JSON value"),
        ("fixture.client", "'fixture.client' is a 'object', which is no JSON value"),
    ],
)
def test_value_that_is_not_json_is_refused_where_it_is_read(text, message):
    """A moment, a Decimal or any object is named as what it is; nothing crashes and nothing compares by luck."""
    error = failure(text, EvaluationError, FOREIGN)
    assert str(error) == f"order.orchestra.yaml:12:5: {message}\nhint: give it as text or as a number"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row.list == [1]", "a 'Decimal' is no JSON value and cannot be compared, in 'row.list == [1]'"),
        ("1 in row.list", "a 'Decimal' is no JSON value and cannot be compared, in '1 in row.list'"),
        (
            "row.object == {'a': 1}",
            "a 'Decimal' is no JSON value and cannot be compared, in 'row.object == {'a': 1}'",
        ),
        ("row.list|unique", "a 'Decimal' is no JSON value and cannot be compared, in 'row.list|unique'"),
        ("row.object|tojson", "a 'Decimal' is no JSON value, in 'row.object|tojson'"),
        ("'' ~ row.list", "a 'Decimal' is no JSON value, in ''' ~ row.list'"),
        ("[row.object]|map(attribute='a')", "a 'Decimal' is no JSON value, in '[row.object]|map(attribute='a')'"),
    ],
)
def test_value_that_is_not_json_inside_of_another_is_refused_where_it_matters(text, message):
    """What is hidden in a list or object is found as soon as it is compared or written."""
    assert str(failure(text, EvaluationError, FOREIGN)) == f"order.orchestra.yaml:12:5: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the expression is empty"),
        ("   ", "the expression is empty"),
        (
            "a && b",
            "cannot read the expression 'a && b': unexpected char '&' at 2\nhint: write 'and' instead of '&&'",
        ),
        (
            "a || b",
            "cannot read the expression 'a || b': expected token 'name', got '|'\nhint: write 'or' instead of '||'",
        ),
        ("!a", "cannot read the expression '!a': unexpected char '!' at 0\nhint: write 'not' instead of '!'"),
        (
            "data.amount = 1",
            (
                "cannot read the expression 'data.amount = 1': unexpected '=' after 'data.amount'"
                "\nhint: write '==' to compare"
            ),
        ),
        ("a === b", "cannot read the expression 'a === b': unexpected '='\nhint: write '==' or '!='"),
        (
            "{{ data.amount }}",
            (
                "cannot read the expression '{{ data.amount }}': expected token ':', got '}'"
                "\nhint: write the expression without '{{' and '}}'"
            ),
        ),
        (
            "${amount > 1}",
            (
                "cannot read the expression '${amount > 1}': unexpected char '$' at 0"
                "\nhint: write the expression without '${' and '}'"
            ),
        ),
        (
            "a ? 1 : 2",
            (
                "cannot read the expression 'a ? 1 : 2': unexpected char '?' at 2"
                "\nhint: write 'VALUE if CONDITION else OTHER'"
            ),
        ),
        (
            "1 if a is odd if b else 2",
            (
                "cannot read the expression '1 if a is odd if b else 2': unexpected 'b' after '1 if a is odd(if)'"
                "\nhint: put brackets around the test before 'if'"
            ),
        ),
        ("'a && b' c", "cannot read the expression \"'a && b' c\": unexpected 'c' after ''a && b''"),
        ("1 +", "cannot read the expression '1 +': unexpected 'end of the expression'"),
        ("(1", "cannot read the expression '(1': unexpected end of the expression, expected ')'"),
        ("a b", "cannot read the expression 'a b': unexpected 'b' after 'a'"),
        ("1e999", "a number of the expression is too large"),
        (
            "9" * 5000,
            f"cannot read the expression '{'9' * 80}'…: exceeds the limit (4300 digits) for integer string conversion",
        ),
        ("1 if true", "an 'if' has no 'else'\nhint: write 'VALUE if CONDITION else OTHER'"),
        ("data|uper", "there is no filter 'uper'\nhint: did you mean 'upper'?"),
        ("data|map('uper')", "there is no filter 'uper'\nhint: did you mean 'upper'?"),
        ("data|selectattr('x', 'equalsto')", "there is no test 'equalsto'\nhint: did you mean 'equalto'?"),
        ("data is matchin('x')", "there is no test 'matchin'\nhint: did you mean 'matching'?"),
        ("data is matching('(')", "'(' is no regular expression: unclosed group"),
        ("data|round(1, 2, 3)", "filter 'round' is used wrongly: too many positional arguments"),
        ("data|join(by=',')", "filter 'join' is used wrongly: got an unexpected keyword argument 'by'"),
        ("data is divisibleby", "test 'divisibleby' is used wrongly: missing a required argument: 'divisor'"),
        (
            "length(data)",
            "'length' is not a function\nhint: use filters: 'VALUE|length', not 'length(VALUE)'",
        ),
        ("data.x.uppr()", "there is no method 'uppr'\nhint: did you mean 'upper'?"),
        ("data.x.split(sep=',')", "method 'split' takes no named arguments"),
        ("data.x.split(*data.y)", "arguments cannot be unpacked with '*'\nhint: write them one by one"),
        ("data[1:2, 3]", "'slice' is not part of the language"),
    ],
)
def test_text_that_is_no_expression_is_refused_with_a_way_out(text, message):
    """What cannot be compiled says why, and how what other languages write is written here."""
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_expression(text, PLACE)
    assert str(caught.value) == f"order.orchestra.yaml:12:5: {message}"


@pytest.mark.parametrize("text", ["(" * 500 + "1" + ")" * 500, "-" * 4000 + "1", " and ".join(["a"] * 500)])
def test_expression_nested_too_deeply_is_refused(text):
    """Depth ends in an error of ours, not in Python's."""
    with pytest.raises(TemplateSyntaxError, match=r"^the expression is nested too deeply$"):
        compile_expression(text)


def test_expression_that_is_too_long_is_refused():
    """Length is bounded."""
    with pytest.raises(TemplateSyntaxError, match=r"^the expression is longer than 8000 characters$"):
        compile_expression("1" + " " * 8000 + "+ 1")


def test_value_nested_too_deeply_is_an_error_of_ours():
    """Comparing what is nested without end does not crash."""
    deep, other = [], []
    for _ in range(3000):
        deep, other = [deep], [other]
    with pytest.raises(EvaluationError, match=r"^values are nested too deeply, in 'a == b'$"):
        compile_expression("a == b").evaluate({"a": deep, "b": other})


@pytest.mark.parametrize(
    ("text", "names", "required"),
    [
        ("data.amount", {"data.amount"}, {"data.amount"}),
        ("step.place.response.body.id", {"step.place.response.body.id"}, {"step.place.response.body.id"}),
        ("data['a-b'].c", {"data.a-b.c"}, {"data.a-b.c"}),
        ("data['a.b'].c", {"data"}, {"data"}),
        ("data.list[0].x", {"data.list"}, {"data.list"}),
        ("data.map[data.key].x", {"data.map", "data.key"}, {"data.map", "data.key"}),
        ("data.list[data.a:data.b]", {"data.list", "data.a", "data.b"}, {"data.list", "data.a", "data.b"}),
        ("data.name.upper()", {"data.name"}, {"data.name"}),
        ("data.x|default(data.y)", {"data.x", "data.y"}, {"data.y"}),
        ("data.x if data.x is defined else 0", {"data.x"}, set()),
        ("value == 1", {"value"}, {"value"}),
        ("[data.a, {'b': data.b}]", {"data.a", "data.b"}, {"data.a", "data.b"}),
        ("rows|selectattr('x', 'eq', data.a)|length", {"rows", "data.a"}, {"rows", "data.a"}),
        ("(rows|first).id", {"rows"}, {"rows"}),
        ("null == 1", set(), set()),
        ("'data.x'", set(), set()),
    ],
)
def test_names_are_the_paths_that_are_read(text, names, required):
    """Static checks learn what an expression reads, and what it can do without."""
    expression = compile_expression(text)
    assert (expression.names, expression.required_names) == (frozenset(names), frozenset(required))


@pytest.mark.parametrize(
    "text",
    [
        "data.nope|default(1)",
        "data.nope.deeper|default(1)",
        "data.nothing.x|d(1)",
        "nowhere|default(1)",
        "[]|first|default(1)",
    ],
)
def test_default_stands_in_for_what_is_undefined_anywhere_on_the_path(text):
    """A default answers for every missing part of its operand."""
    assert evaluate(text) == 1


def test_default_is_evaluated_only_where_it_is_needed():
    """A default that cannot be evaluated does no harm while it is not needed."""
    assert evaluate("data.amount|default(1 / 0)") == 42
    assert evaluate("data.nope|default") == ""
    assert evaluate("data.nothing|default(5)") is None
    assert evaluate("data.nothing|default(5, true)") == 5
    assert evaluate("data.nothing|default(default_value=5, boolean=true)") == 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data.amount is defined", True),
        ("data.nope is defined", False),
        ("data.nope.x is undefined", True),
        ("data.nothing is defined", True),
        ("response.body.customer is defined and response.body.customer.name is defined", False),
    ],
)
def test_presence_can_be_asked_for(text, value):
    """``is defined`` tells presence without an error; null is present."""
    assert evaluate(text) is value


def test_and_or_and_if_evaluate_no_more_than_they_need():
    """What is guarded is not evaluated."""
    assert evaluate("data.nope is defined and data.nope.x > 1") is False
    assert evaluate("data.flag or data.nope") is True
    assert evaluate("1 if data.flag else data.nope") == 1


def test_compiling_the_same_text_twice_gives_the_same_expression():
    """Compiling costs once."""
    assert compile_expression("data.a", PLACE) is compile_expression("data.a", PLACE)
    assert compile_expression("data.a", PLACE) is not compile_expression("data.a")


def test_expression_survives_pickling_and_prints_as_its_text():
    """Expressions travel by their text."""
    expression = compile_expression(" data.amount + 1 ", PLACE)
    assert expression.text == "data.amount + 1"
    assert pickle.loads(pickle.dumps(expression)).evaluate(NAMES) == 43
    assert repr(expression) == "Expression('data.amount + 1')"


def test_long_part_is_cut_in_messages():
    """A message stays readable however long the expression is."""
    text = "data.customer < " + " + ".join(["100000"] * 60)
    error = failure(text, EvaluationError)
    assert error.fact == f"cannot compare 'Ada' < 6000000, in '{text[:200]}…'"
