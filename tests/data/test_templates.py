"""Templates: JSON with expressions in its strings."""

from __future__ import annotations

import json
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import EvaluationError, TemplateSyntaxError, UndefinedVariableError
from pytest_orchestra.problem import Place

PLACE = Place("order.orchestra.yaml", 7)
NAMES = {
    "data": {
        "amount": 42,
        "name": "Ada",
        "flag": True,
        "nothing": None,
        "list": [1, "a"],
        "object": {"a": 1},
        "rate": 1.50,
    },
    "step": {"place": {"response": {"body": {"id": "o-1"}}}},
}


def render(value, names=NAMES):
    return compile_template(value, PLACE).render(names)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{data.amount}}", 42),
        ("{{ data.amount }}", 42),
        ("{{\n  data.amount\n}}", 42),
        ("{{data.flag}}", True),
        ("{{data.nothing}}", None),
        ("{{data.list}}", [1, "a"]),
        ("{{data.object}}", {"a": 1}),
        ("{{data.amount * 2 > 80}}", True),
        ("{{ {'a': {'b': data.amount}} }}", {"a": {"b": 42}}),
        ("{{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
        ("{{ '}}' }}", "}}"),
        ("{{ '{{' }}", "{{"),
        ("{{ \"}}\" ~ '\\'}}' }}", "}}'}}"),
        ("{{ [[data.list[0]]][0][0] }}", 1),
    ],
)
def test_string_that_is_one_expression_takes_its_value_with_its_type(template, value):
    """A number stays a number, an object an object."""
    result = render(template)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("order-{{data.amount}}", "order-42"),
        ("{{data.name}}{{data.amount}}", "Ada42"),
        (" {{data.amount}}", " 42"),
        ("{{data.amount}}\n", "42\n"),
        ("a\r\n{{data.amount}}\r\n", "a\r\n42\r\n"),
        ("{{data.flag}}/{{data.nothing}}/{{data.rate}}", "true/null/1.5"),
        ("<{{data.list}}{{data.object}}>", '<[1,"a"]{"a":1}>'),
        ('{"a":{"b":{{data.amount}}}}', '{"a":{"b":42}}'),
        ('{"a":{{data.object|tojson}}}', '{"a":{"a":1}}'),
        ("{{ '{{' }}data.amount}}", "{{data.amount}}"),
        ("{# no comment #} {{data.amount}} {", "{# no comment #} 42 {"),
        ("100 % }} {{data.amount}} {% %", "100 % }} 42 {% %"),
    ],
)
def test_string_with_text_around_its_expressions_is_text(template, text):
    """Strings stand as they are, all else as JSON; what is around is kept character by character."""
    assert render(template) == text


def test_nested_lists_objects_and_keys_are_rendered():
    """Templates may stand anywhere, in keys too."""
    template = {
        "path": {"id": "{{step.place.response.body.id}}"},
        "body": [{"{{data.name}}-{{data.amount}}": "{{data.flag}}"}, "x", 1, None, ["{{data.amount}}"]],
        "still": {"a": [1, 2]},
    }
    assert render(template) == {
        "path": {"id": "o-1"},
        "body": [{"Ada-42": True}, "x", 1, None, [42]],
        "still": {"a": [1, 2]},
    }
    assert list(render(template)) == ["path", "body", "still"]


def test_rendering_leaves_the_template_as_it_was():
    """A template renders again and again, each time anew."""
    template = compile_template({"a": ["{{data.amount}}"], "{{data.name}}": {}})
    first = template.render(NAMES)
    first["a"].append("changed")
    assert template.render(NAMES) == {"a": [42], "Ada": {}}
    assert template.value == {"a": ["{{data.amount}}"], "{{data.name}}": {}}


def test_value_without_expressions_is_given_back_itself():
    """What is constant costs nothing."""
    value = {"a": [1, "text", {"b": None}], "c": "}} { %}"}
    template = compile_template(value)
    assert template.is_constant
    assert template.render({}) is value


def test_constant_part_of_a_template_is_shared():
    """Only what changes is made anew."""
    still = {"large": ["text"] * 10}
    assert render({"still": still, "moving": "{{data.amount}}"})["still"] is still


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text().filter(lambda text: "{" not in text)
    | st.sampled_from(["{", "}", "}}", "{ {", "{%", "%}", "{#", "a{b}c", "{'a': 1}", "$.{x}", "%} {%"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text().filter(lambda t: "{" not in t), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_JSON)
def test_any_value_without_braces_of_expressions_renders_as_itself(value):
    """Rendering is the identity where there is nothing to render."""
    template = compile_template(value)
    assert template.render({}) is value
    assert (template.is_constant, template.names) == (True, frozenset())


@given(_JSON)
def test_any_value_comes_through_a_template_unchanged(value):
    """Types and content survive, whatever they are."""
    names = {"v": value}
    assert compile_template(["{{v}}", {"k": "{{ v }}"}]).render(names) == [value, {"k": value}]


@given(st.text(), st.text())
def test_text_around_an_expression_is_kept(before, after):
    """Text is never trimmed, unescaped or normalized."""
    before, after = before.replace("{", "").replace("%}", ""), after.replace("{", "").replace("%}", "")
    assert compile_template(f"{before}{{{{v}}}}{after}x").render({"v": "V"}) == f"{before}V{after}x"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{% if data.flag %}a{% endif %}",
            (
                "'{% if data.flag %}' is a statement, and templates hold expressions only"
                "\nhint: write {{ VALUE if CONDITION else OTHER }}"
            ),
        ),
        (
            "{{data.amount}} {%- set x = 1 %}",
            (
                "'{%- set x = 1 %}' is a statement, and templates hold expressions only"
                "\nhint: write {{ VALUE if CONDITION else OTHER }}"
            ),
        ),
        (
            "a {{data.amount",
            "'{{' has no '}}' in 'a {{data.amount'\nhint: write {{ '{{' }} for two braces as text",
        ),
        ("{{ {'a': 1 }}", "'{{' has no '}}' in \"{{ {'a': 1 }}\"\nhint: write {{ '{{' }} for two braces as text"),
        ("{{}}", "the expression is empty"),
        (
            "{{- data.amount }}",
            (
                "'-' stands at the braces of '{{- data.amount }}'"
                "\nhint: put a space between the braces and '-'; text around them is never trimmed"
            ),
        ),
        (
            "{{ data.amount +}}",
            (
                "'+' stands at the braces of '{{ data.amount +}}'"
                "\nhint: put a space between the braces and '+'; text around them is never trimmed"
            ),
        ),
        (
            "{{ data.amount && 1 }}",
            (
                "cannot read the expression 'data.amount && 1': unexpected char '&' at 12"
                "\nhint: write 'and' instead of '&&'"
            ),
        ),
        ("{{ a }} {{ b c }}", "cannot read the expression 'b c': unexpected 'c' after 'b'"),
    ],
)
def test_template_that_cannot_be_compiled_is_refused(template, message):
    """Statements and broken expressions are refused before anything runs, wherever they stand."""
    for nested in (template, [template], {"a": template}, {template: 1}):
        with pytest.raises(TemplateSyntaxError) as caught:
            compile_template(nested, PLACE)
        assert str(caught.value) == f"order.orchestra.yaml:7: {message}"


def test_undefined_name_in_a_template_is_an_error_with_its_place():
    """A template is as strict as a rule."""
    with pytest.raises(UndefinedVariableError) as caught:
        render({"a": ["x {{step.place.response.body.idd}}"]})
    assert str(caught.value) == (
        "order.orchestra.yaml:7: 'idd' is not in 'step.place.response.body'\nhint: did you mean 'id'?"
    )


@pytest.mark.parametrize(
    ("template", "names", "message"),
    [
        ({"{{a}}": 1, "x": 2}, {"a": "x"}, "two keys of an object are 'x'"),
        ("a{{v}}", {"v": float("nan")}, "nan cannot be written as JSON, in 'a{{v}}'"),
        ("a{{v}}", {"v": [object()]}, "a 'object' is no JSON value, in 'a{{v}}'"),
        ("{{v}}" * 11, {"v": "x" * 1_000_000}, "the result would be longer than 10000000 characters or items"),
    ],
)
def test_template_that_cannot_be_rendered_is_an_error_with_its_place(template, names, message):
    """What cannot become text or a key says so."""
    with pytest.raises(EvaluationError) as caught:
        render(template, names)
    assert str(caught.value) == f"order.orchestra.yaml:7: {message}"


def test_value_nested_without_end_in_a_text_is_an_error_of_ours():
    """Depth ends in an error of ours, not in Python's."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EvaluationError, match=r"a value is nested too deeply, in 'a\{\{v\}\}'$"):
        render("a{{v}}", {"v": deep})
    with pytest.raises(TemplateSyntaxError, match=r"the template is nested too deeply$"):
        compile_template(deep)


def test_names_of_a_template_are_those_of_all_its_expressions():
    """Static checks learn what a template reads."""
    template = compile_template({"{{data.key}}": ["{{data.a}} {{step.x.response.body.id|default(data.b)}}"]})
    assert template.names == {"data.key", "data.a", "data.b", "step.x.response.body.id"}
    assert template.required_names == {"data.key", "data.a", "data.b"}
    assert [expression.text for expression in template.expressions] == [
        "data.key",
        "data.a",
        "step.x.response.body.id|default(data.b)",
    ]


def test_string_is_compiled_once():
    """The same string at the same place is the same template."""
    assert compile_template("{{data.a}}-", PLACE) is compile_template("{{data.a}}-", PLACE)


def test_template_survives_pickling_and_prints_as_its_value():
    """Templates travel by their value."""
    template = compile_template({"a": "{{data.amount}}"}, PLACE)
    assert pickle.loads(pickle.dumps(template)).render(NAMES) == {"a": 42}
    assert repr(template) == "Template({'a': '{{data.amount}}'})"


def test_rendering_a_typical_body_takes_microseconds():
    """Templates are no cost beside a call over the network."""
    template = compile_template(
        {
            "id": "{{step.place.response.body.id}}",
            "customer": "{{data.name}}",
            "amount": "{{data.amount}}",
            "double": "{{data.amount * 2}}",
            "label": "order {{data.amount}} of {{data.name}}",
            "nested": {"flag": "{{data.flag}}"},
        }
    )
    fastest = min(_seconds(template) for _ in range(20))
    assert fastest / 100 < 100e-6
    assert json.dumps(template.render(NAMES))


def _seconds(template):
    began = time.perf_counter()
    for _ in range(100):
        template.render(NAMES)
    return time.perf_counter() - began
