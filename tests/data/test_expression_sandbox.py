"""What an expression cannot do."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.filters import FILTERS
from pytest_orchestra.data.methods import METHODS
from pytest_orchestra.data.predicates import TESTS
from pytest_orchestra.errors import EvaluationError, TemplateError, TemplateSyntaxError, UndefinedVariableError
from pytest_orchestra.model.secret import Secret


class Client:
    """Something of Python that a fixture may hand in."""

    token = "hidden"

    def __getitem__(self, key):
        return "hidden"

    def send(self):
        return "sent"


NAMES = {
    "data": {"text": "abc", "list": [1], "big": "x" * 1_000_000, "name": "__class__"},
    "fixture": {"client": Client(), "call": Client().send, "secret": Secret("hidden"), "type": Client},
}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("''.__class__", UndefinedVariableError),
        ("''.__class__.__mro__", UndefinedVariableError),
        ("''['__class__']", UndefinedVariableError),
        ("data.text[data.name]", UndefinedVariableError),
        ("().__class__.__bases__[0].__subclasses__", UndefinedVariableError),
        ("().__class__.__bases__[0].__subclasses__()", TemplateSyntaxError),
        ("data.__init__", UndefinedVariableError),
        ("data.__init__.__globals__", UndefinedVariableError),
        ("data.get.__self__", UndefinedVariableError),
        ("data.text.upper.__globals__", UndefinedVariableError),
        ("data|attr('__class__')", TemplateSyntaxError),
        ("[data]|map('attr', '__class__')", TemplateSyntaxError),
        ("[data]|map(attribute='__class__')", UndefinedVariableError),
        ("[data.text]|map(attribute='__class__')", UndefinedVariableError),
        ("[data]|map(data.name)", EvaluationError),
        ("[1]|select('callable')", TemplateSyntaxError),
        ("cycler", UndefinedVariableError),
        ("lipsum", UndefinedVariableError),
        ("joiner", UndefinedVariableError),
        ("namespace", UndefinedVariableError),
        ("dict", UndefinedVariableError),
        ("self", UndefinedVariableError),
        ("context", UndefinedVariableError),
        ("environment", UndefinedVariableError),
        ("cycler.__init__.__globals__.os", UndefinedVariableError),
        ("lipsum.__globals__.os.popen('id').read()", TemplateSyntaxError),
        ("cycler('a')", TemplateSyntaxError),
        ("dict(a=1)", TemplateSyntaxError),
        ("range(1000000000)", TemplateSyntaxError),
        ("(data.text)(1)", TemplateSyntaxError),
        ("data.list[0](1)", TemplateSyntaxError),
        ("'{0.__class__}'.format(data)", TemplateSyntaxError),
        ("'{:1000000000}'.format(1)", TemplateSyntaxError),
        ("'{a.__class__}'.format_map(data)", TemplateSyntaxError),
        ("'%s'|format(data)", TemplateSyntaxError),
        ("'%1000000000d' % 1", EvaluationError),
        ("'%s' % data", EvaluationError),
        ("'a' * 1000000000", EvaluationError),
        ("[0] * 1000000000", EvaluationError),
        ("1000000000 * 'a'", EvaluationError),
        ("data.text.ljust(1000000000)", TemplateSyntaxError),
        ("data.text.zfill(1000000000)", TemplateSyntaxError),
        ("data.text.expandtabs(1000000000)", TemplateSyntaxError),
        ("data.text.translate(data)", TemplateSyntaxError),
        ("data.text.encode()", TemplateSyntaxError),
        ("data.list.append(1)", TemplateSyntaxError),
        ("data.pop('text')", TemplateSyntaxError),
        ("data.update(data)", TemplateSyntaxError),
        ("2 ** 100000000", EvaluationError),
        ("9 ** 9 ** 9 ** 9 ** 9", EvaluationError),
        ("(2 ** 4000) * (2 ** 4000)", EvaluationError),
        ("2 ** 2047 * 2 ** 2047 * 4", EvaluationError),
        ("1e308 * 10", EvaluationError),
        ("2.0 ** 100000", EvaluationError),
        ("(-8) ** 0.5", EvaluationError),
        ("1.5|round(1000000000)", EvaluationError),
        ("data|tojson(1000000000)", EvaluationError),
        ("data.big|replace('x', data.big)", EvaluationError),
        ("data.big|replace('', data.big)", EvaluationError),
        ("data.big.replace('x', data.big)", EvaluationError),
        ("[1,2,3,4,5,6,7,8,9,10,11]|join(data.big)", EvaluationError),
        ("([data.big] + [data.big] + [data.big])|map('replace', 'x', 'yyyy')", EvaluationError),
        (" ~ ".join(["data.big"] * 11), EvaluationError),
        (" + ".join(["data.big"] * 11), EvaluationError),
        ("'1' ~ ('0' ~ data.big)|int", EvaluationError),
        ("('9' ~ data.big)|int", EvaluationError),
        ("('9' ~ data.big)|float", EvaluationError),
        ("fixture.client", EvaluationError),
        ("fixture.client.token", UndefinedVariableError),
        ("fixture.client['token']", UndefinedVariableError),
        ("fixture.client.send()", TemplateSyntaxError),
        ("fixture.call", EvaluationError),
        ("fixture.call()", TemplateSyntaxError),
        ("fixture.type[0]", UndefinedVariableError),
        ("fixture.secret", EvaluationError),
        ("fixture.secret._text", UndefinedVariableError),
        ("fixture.secret.reveal()", TemplateSyntaxError),
        ("'' ~ fixture.secret", EvaluationError),
        ("fixture|tojson", EvaluationError),
        ("fixture.values()|map('string')", EvaluationError),
        ("[fixture]|map(attribute='secret._text')", UndefinedVariableError),
        ("[fixture]|map(attribute='client.token')", UndefinedVariableError),
        ("fixture.secret == 'hidden'", EvaluationError),
    ],
)
def test_attempt_to_leave_the_sandbox_is_an_error_of_ours(text, kind):
    """No attribute of Python, no call, no time or memory without bound: every attempt ends in an error of ours."""
    began = time.perf_counter()
    with pytest.raises(TemplateError) as caught:
        compile_expression(text).evaluate(NAMES)
    assert type(caught.value) is kind
    assert "hidden" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.perf_counter() - began < 5


def test_key_with_underscores_is_a_key_like_any_other():
    """``_id``, ``_links`` and ``__typename`` are plain keys of real replies."""
    assert (
        compile_expression("body.__typename ~ body._id").evaluate({"body": {"__typename": "Order", "_id": 1}})
        == "Order1"
    )


def test_regular_expression_takes_linear_time():
    """A pattern that keeps a backtracking engine busy for ever does not keep this one."""
    began = time.perf_counter()
    assert compile_expression("a is matching('(a+)+(a+)+(a+)+b')").evaluate({"a": "a" * 20_000}) is False
    assert time.perf_counter() - began < 5


def test_evaluation_changes_nothing_of_what_it_reads():
    """Filters give new values."""
    names = {"a": [3, 1, 2], "b": {"k": [1]}}
    for text in ("a|sort", "a|reverse", "a + [4]", "b.items()", "b['k'] + a", "a|map('string')", "a|unique"):
        compile_expression(text).evaluate(names)
    assert names == {"a": [3, 1, 2], "b": {"k": [1]}}


_WORDS = st.sampled_from(
    [
        "a",
        "b",
        "data",
        ".",
        "__class__",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'x'",
        '"',
        "1",
        "0.5",
        "|",
        "~",
        "+",
        "-",
        "*",
        "**",
        "/",
        "%",
        "==",
        "<",
        "in",
        "is",
        "not",
        "and",
        "or",
        "if",
        "else",
        ",",
        ":",
        "=",
        "null",
        "true",
        "{{",
        "}}",
        "{%",
        *FILTERS,
        *TESTS,
        *METHODS,
    ]
)


@given(st.lists(_WORDS, max_size=12).map(" ".join))
def test_any_text_gives_a_value_or_an_error_of_ours(text):
    """Whatever a user writes, no exception of Python or Jinja comes out."""
    with suppress(TemplateError):
        expression = compile_expression(text)
        expression.explain({"a": 1, "b": [1, "x"], "data": {"x": None}})
        expression.evaluate({"a": 1, "b": [1, "x"], "data": {"x": None}})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(FILTERS)), _JSON, st.lists(_JSON, max_size=3))
def test_any_filter_on_any_value_gives_a_value_or_an_error_of_ours(name, value, arguments):
    """Filters meet every kind of value and argument."""
    names = {"v": value, **{f"a{index}": argument for index, argument in enumerate(arguments)}}
    text = f"v|{name}({', '.join(f'a{index}' for index in range(len(arguments)))})"
    with suppress(TemplateError):
        compile_expression(text).evaluate(names)


@given(st.sampled_from(sorted(TESTS)), _JSON, st.lists(_JSON, max_size=1))
def test_any_test_on_any_value_gives_a_boolean_or_an_error_of_ours(name, value, arguments):
    """Tests meet every kind of value and argument."""
    names = {"v": value, **{f"a{index}": argument for index, argument in enumerate(arguments)}}
    text = f"v is {name}({', '.join(f'a{index}' for index in range(len(arguments)))})"
    with suppress(TemplateError):
        assert type(compile_expression(text).evaluate(names)) is bool


@given(st.sampled_from(sorted(METHODS)), _JSON, st.lists(_JSON, max_size=2))
def test_any_method_on_any_value_gives_a_value_or_an_error_of_ours(name, value, arguments):
    """Methods meet every kind of value and argument."""
    names = {"v": value, **{f"a{index}": argument for index, argument in enumerate(arguments)}}
    text = f"v.{name}({', '.join(f'a{index}' for index in range(len(arguments)))})"
    with suppress(TemplateError):
        compile_expression(text).evaluate(names)


@given(st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "~", "<", "==", "in"]), _JSON, _JSON)
def test_any_operator_on_any_values_gives_a_value_or_an_error_of_ours(sign, left, right):
    """Operators meet every kind of value."""
    with suppress(TemplateError):
        compile_expression(f"a {sign} b").evaluate({"a": left, "b": right})
