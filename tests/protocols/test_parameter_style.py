"""OpenAPI's styles of parameters."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.errors import StepError
from pytest_orchestra.protocols.parameter_style import cookie_text, header_text, path_text, query_pairs

COLORS = ["blue", "black", "brown"]
RGB = {"R": 100, "G": 200, "B": 150}

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("style", "explode", "value", "written"),
    [
        (None, None, "blue", "blue"),
        ("simple", False, COLORS, "blue,black,brown"),
        ("simple", True, COLORS, "blue,black,brown"),
        ("simple", False, RGB, "R,100,G,200,B,150"),
        ("simple", True, RGB, "R=100,G=200,B=150"),
        ("label", False, "blue", ".blue"),
        ("label", False, COLORS, ".blue,black,brown"),
        ("label", True, COLORS, ".blue.black.brown"),
        ("label", False, RGB, ".R,100,G,200,B,150"),
        ("label", True, RGB, ".R=100.G=200.B=150"),
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, COLORS, ";color=blue,black,brown"),
        ("matrix", True, COLORS, ";color=blue;color=black;color=brown"),
        ("matrix", False, RGB, ";color=R,100,G,200,B,150"),
        ("matrix", True, RGB, ";R=100;G=200;B=150"),
    ],
)
def test_path_parameter_in_each_style_reads_as_the_specification_shows(style, explode, value, written):
    """Every row of OpenAPI's table of style examples comes out as it is printed there."""
    assert path_text("color", value, style, explode) == written


@pytest.mark.parametrize(
    ("style", "explode", "value", "written"),
    [
        ("form", None, COLORS, "color=blue&color=black&color=brown"),
        ("form", False, COLORS, "color=blue,black,brown"),
        ("form", False, RGB, "color=R,100,G,200,B,150"),
        ("form", True, RGB, "R=100&G=200&B=150"),
        ("form", None, "", "color="),
        ("form", None, [], ""),
        ("form", None, None, ""),
        ("form", None, ["a", None, "b"], "color=a&color=b"),
        ("spaceDelimited", False, COLORS, "color=blue%20black%20brown"),
        ("spaceDelimited", None, RGB, "color=R%20100%20G%20200%20B%20150"),
        ("spaceDelimited", True, COLORS, "color=blue&color=black&color=brown"),
        ("pipeDelimited", None, COLORS, "color=blue%7Cblack%7Cbrown"),
        ("deepObject", True, RGB, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ("deepObject", None, {"a": {"b": [1, 2]}, "c": None}, "color%5Ba%5D%5Bb%5D=1&color%5Ba%5D%5Bb%5D=2"),
        (None, None, RGB, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        (None, None, True, "color=true"),
    ],
)
def test_query_parameter_in_each_style_reads_as_the_specification_shows(style, explode, value, written):
    """Every row of OpenAPI's table of style examples comes out as it is printed there, nulls left out."""
    assert "&".join(query_pairs("color", value, style, explode)) == written


@settings(deadline=None)
@given(TEXTS.filter(lambda text: text not in {".", ".."}))
def test_path_parameter_with_any_text_arrives_as_one_segment(text):
    """Whatever a value holds, it neither ends its segment nor begins a query, and it decodes to itself."""
    written = path_text("id", text)
    assert not set(written) & set("/?#;, ")
    assert unquote(written) == text


@settings(deadline=None)
@given(st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=4))
def test_query_object_exploded_decodes_to_itself(value):
    """Names and values with delimiters in them stay apart."""
    written = "&".join(query_pairs("any", value, "form"))
    assert parse_qsl(written, keep_blank_values=True) == [(name, str(text)) for name, text in value.items()]


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1))
def test_query_list_in_one_value_keeps_its_items_apart(items):
    """A comma inside of an item is not the comma between two."""
    (pair,) = query_pairs("ids", items, "form", explode=False)
    assert [unquote(item) for item in pair.removeprefix("ids=").split(",")] == items


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        (None, "path parameter 'id' is empty"),
        ("", "path parameter 'id' is empty"),
        ([], "path parameter 'id' is empty"),
        ("..", "path parameter 'id' is '..', which a URL takes for a folder"),
        ([["a"]], "path parameter 'id' holds a list where a text or number is needed"),
        ({"a": {}}, "path parameter 'id' holds an object where a text or number is needed"),
    ],
)
def test_path_parameter_that_no_path_can_carry_is_refused(value, fact):
    """A value that would call another resource, or none, is an error of ours and not of the service."""
    with pytest.raises(StepError) as caught:
        path_text("id", value)
    assert caught.value.fact == fact


def test_header_of_a_list_and_an_object_is_written_simply():
    """Headers use style 'simple', and nothing in them is percent-encoded."""
    assert header_text("X", ["a b", 1, None]) == "a b,1"
    assert header_text("X", RGB) == "R,100,G,200,B,150"
    assert header_text("X", RGB, explode=True) == "R=100,G=200,B=150"


@pytest.mark.parametrize("text", ["a\r\nY: b", "a\0", "\x7f"])
def test_header_with_a_control_character_is_refused(text):
    """No value smuggles a second header in."""
    with pytest.raises(StepError, match="header 'X' holds a line break or control character"):
        header_text("X", text)


def test_cookies_keep_tokens_and_encode_delimiters():
    """A token goes as it is; what would end the cookie does not."""
    assert cookie_text({"session": "eyJ+/=.a-b", "note": "a; b", "gone": None}) == "session=eyJ+/=.a-b; note=a%3B%20b"
