"""JSON as plain values with places."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.json_source import parse_json
from pytest_orchestra.readers.source_file import MAX_DEPTH
from pytest_orchestra.readers.yaml_source import read_source


def refusal(text: str) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        parse_json(text, "f.json")
    return str(caught.value)


def test_place_leads_to_values_and_keys():
    """A path gives line and column of a value or of its key."""
    source = parse_json('{\n  "a": [1, {"b": "x"}],\n  "c" : null}', "f.json")
    assert source.place(("a", 1, "b")) == Place("f.json", 2, 18)
    assert source.place(("a", 1, "b"), of_key=True) == Place("f.json", 2, 13)
    assert source.place(("c",)) == Place("f.json", 3, 9)
    assert source.place(("a", 5)) == Place("f.json", 2, 8)


def test_repeated_keys_are_problems_that_name_both_lines():
    """A key that stands twice in one mapping is told, wherever it is."""
    source = parse_json('{"a": 1,\n "b": [{"c": 1,\n "c": 2}],\n "a": 3}', "f.json")
    assert [str(problem) for problem in source.problems] == [
        "f.json:3:2: key 'c' occurs twice, first in line 2\nhint: remove one of the two",
        "f.json:4:2: key 'a' occurs twice, first in line 1\nhint: remove one of the two",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "f.json:1:1: malformed JSON: the file is empty"),
        ('{"a": 1,}', "f.json:1:8: malformed JSON: a comma before a closing bracket\nhint: remove the comma"),
        ("[1,\n]", "f.json:1:3: malformed JSON: a comma before a closing bracket\nhint: remove the comma"),
        ('{"a" 1}', "f.json:1:6: malformed JSON: ':' is missing after a key"),
        ('{"a": 1 "b": 2}', "f.json:1:9: malformed JSON: ',' or a closing bracket is missing"),
        ('{"a": }', "f.json:1:7: malformed JSON: a value is missing"),
        (
            "{'a': 1}",
            "f.json:1:2: malformed JSON: a key in double quotes is missing\nhint: put names and texts in double quotes",
        ),
        ('["a', "f.json:1:2: malformed JSON: a text has no closing quote\nhint: close the quote"),
        (
            '["a\n"]',
            (
                "f.json:1:4: malformed JSON: a text holds a line break or control character\n"
                "hint: write it as '\\n', '\\t' or '\\u0000'"
            ),
        ),
        (
            '["\\q"]',
            "f.json:1:3: malformed JSON: unknown escape in a text\nhint: write a backslash as '\\\\'",
        ),
        ("[1] x", "f.json:1:5: malformed JSON: something follows the value\nhint: keep one value in a file"),
        ('["NaN",\nNaN]', "f.json:2:1: malformed JSON: 'NaN' is no number of JSON"),
        ('["1e999", 1e999]', "f.json:1:11: malformed JSON: '1e999' is too large a number"),
        ("[1, " + "9" * 5000 + "]", "f.json:1:5: malformed JSON: a number has too many digits"),
        (
            '["x", "\\ud83d\\ude00", "\\ud800"]',
            "f.json:1:24: malformed JSON: '\\ud800' is half of a surrogate pair\nhint: write both halves",
        ),
        ("[" * 200 + "]" * 200, f"f.json:1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"),
        ("[" * 100_000, f"f.json:1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_malformed_text_is_refused_with_place_and_hint(text, told):
    """The message has file, line and column, whatever version of Python reads the file."""
    assert refusal(text) == told


def test_deepest_allowed_nesting_is_read():
    """The limit itself is allowed."""
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f.json").problems == ()


def test_file_with_byte_order_mark_is_read(tmp_path):
    """Windows tools write one."""
    (tmp_path / "f.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_source(tmp_path / "f.json").value == {"a": 1}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def parts(value, path=()):
    yield path, value
    if isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from parts(part, (*path, key))


@settings(deadline=None)
@given(_values, st.sampled_from([None, 1]))
def test_every_part_is_found_where_it_stands(value, indent):
    """At the place of each part, the text of that part begins."""
    text = json.dumps(value, indent=indent)
    source = parse_json(text, "f.json")
    assert source.value == value
    lines = text.split("\n")
    for path, part in parts(value):
        place = source.place(path)
        rest = "\n".join([lines[place.line - 1][place.column - 1 :], *lines[place.line :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == part


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:\\u0123456789abcdefDd-+.eE \nntrulse\x00é'))
def test_any_text_gives_a_value_or_an_unreadable_file_error(text):
    """No text brings the reader down, and every refusal has its place."""
    refusal = None
    try:
        json.dumps(parse_json(text, "f.json").value, allow_nan=False).encode()
    except UnreadableFileError as error:
        refusal = error
    assert refusal is None or refusal.place.line >= 1
