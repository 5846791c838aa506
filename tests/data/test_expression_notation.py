"""Writing expressions back to text."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jinja2 import nodes

from pytest_orchestra.data.expressions import compile_expression, parse
from pytest_orchestra.data.notation import write
from pytest_orchestra.errors import TemplateError, TemplateSyntaxError


@pytest.mark.parametrize(
    "text",
    [
        "data.amount",
        "data['a b'].c[0][-1]",
        "data.list[1:2]",
        "data.list[:]",
        "data.list[::2]",
        "-a ** b",
        "-(a ** b)",
        "a ** (b ** c)",
        "--a",
        "-(a|abs)",
        "-a|abs",
        "a - (b - c)",
        "a - b - c",
        "a * (b + c) / d % e // f",
        "a ~ b * c ~ 1",
        "(a ~ b) * c",
        "(a + b) ~ c + d",
        "a == b != c",
        "(a == b) == c",
        "a not in b and not c in d",
        "not not a",
        "not (a and b) or c and (d or e)",
        "a and (b and c)",
        "a if b else c if d else e",
        "(a if b else c) if d else e",
        "(a and b) if c or d else e and f",
        "a is odd",
        "a is not divisibleby(3)",
        "(a is odd) == (b is even)",
        "(a is odd)|string",
        "(a is odd) if b is even else c is defined",
        "a|map(attribute='x.y')|join(', ')",
        "(a|first).b",
        "(a + b).c",
        "a.split(',')[0].upper()",
        "[]",
        "[1, 'a', 1.5, true, false, null, none]",
        "(1,)",
        "(1, 2)",
        "()",
        "{}",
        "{'a': 1, b: {'c': [2]}}",
        '"it\'s"',
        "'\"'",
        "'line\\nend \\\\ ü'",
        "1e+100",
        "'a' if b else [c if d else e]",
        "a[b if c else d]",
    ],
)
def test_expression_with_the_brackets_it_needs_is_written_as_it_was(text):
    """Writing gives the text back, neither with more brackets nor with fewer."""
    tree = parse(text)
    assert parse(write(tree)) == tree
    assert write(tree).replace("none", "null") == text.replace("none", "null")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("  ( a )  ", "a"),
        ('"x"', "'x'"),
        ("'a' 'b'", "'ab'"),
        ("((a)) and (b)", "a and b"),
        ("not a is odd", "a is not odd"),
        ("a is divisibleby 3", "a is divisibleby(3)"),
        ("a.0", "a[0]"),
        ("0x10", "16"),
        ("1_000", "1000"),
        ("True", "true"),
        ("a  |  upper", "a|upper"),
        ("a[1,2]", "a[(1, 2)]"),
        ("a.b(c)(d)", "a.b(c)(d)"),
        ("(a if b)", "a if b"),
        ("(a ** b) ** c", "a ** b ** c"),
        ("a + (b ~ c) + d", "a + b ~ c + d"),
        ("a + b is in [1, 2]", "a + (b is in([1, 2]))"),
    ],
)
def test_expression_is_written_in_one_plain_form(text, written):
    """What can be written in several ways is written in one."""
    assert write(parse(text)) == written


def test_node_that_is_no_expression_is_refused():
    """A mistake of ours shows as one."""
    with pytest.raises(TypeError, match=r"^no expression: Output$"):
        write(nodes.Output([]))


def _compound(inner):
    def joined(signs):
        return st.builds("({} {} {})".format, inner, st.sampled_from(signs), inner)

    return st.one_of(
        joined(
            ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
        ),
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*", "~", "==", "and", "or", "**"]), inner),
        st.builds("({} < {} < {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({}).k".format, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({})[{}:]".format, inner, inner),
        st.builds("({}|default({}))".format, inner, inner),
        st.builds("({}|string|length)".format, inner),
        st.builds("({}|join(attribute={}))".format, inner, inner),
        st.builds("({} is defined)".format, inner),
        st.builds("({} is not eq({}))".format, inner, inner),
        st.builds("({}).get({})".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({},)".format, inner),
        st.builds("{{'k': {}}}".format, inner),
    )


_ATOMS = st.one_of(
    st.sampled_from(["a", "b.k", "b.list[0]", "missing", "null", "true"]),
    st.integers(0, 9).map(str),
    st.sampled_from(["0.5", "2.25", "1e3"]),
    st.text(max_size=4).map(repr),
)
_EXPRESSIONS = st.recursive(_ATOMS, _compound, max_leaves=12)
_NAMES = {"a": 2, "b": {"k": "x", "list": [1, 2.5]}}


def _outcome(text):
    try:
        return "value", compile_expression(text).evaluate(_NAMES)
    except TemplateError as error:
        return type(error).__name__, error.fact.partition(", in '")[0]


@given(_EXPRESSIONS)
def test_any_expression_written_and_read_again_is_the_same(text):
    """Writing loses nothing: the tree is the same, and so is what it evaluates to."""
    try:
        tree = parse(text)
    except TemplateSyntaxError:
        assume(False)
    written = write(tree)
    assert parse(written) == tree
    assert write(parse(written)) == written
    assert repr(_outcome(written)) == repr(_outcome(text))
