"""YAML as plain values with places."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.source_file import MAX_DEPTH
from pytest_orchestra.readers.yaml_source import parse_yaml, read_source


def refusal(text: str) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        parse_yaml(text, "f.yaml")
    assert [str(problem) for problem in caught.value.problems] == [str(caught.value)]
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("-3", -3),
        ("+3", 3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        (".", "."),
        ("-", [None]),
        ('"1"', "1"),
        ("! 1", "1"),
        ("!!str 1", "1"),
        ("!!int '1'", 1),
        ("!!float 1", 1.0),
        ("!!bool 'true'", True),
        ("!!null ''", None),
        ("!!map {}", {}),
        ("!!seq []", []),
        ("", None),
        ("# nothing", None),
    ],
)
def test_scalar_is_resolved_by_core_schema_of_yaml_1_2(text, value):
    """Of the words, only true, false and null are more than text; numbers are those of YAML 1.2."""
    source = parse_yaml(text, "f.yaml")
    assert source.value == value
    assert type(source.value) is type(value)
    assert source.problems == ()


def test_key_of_mapping_is_the_text_as_written():
    """Branches may be called yes, no, 1 or 1.0 without quotes."""
    source = parse_yaml("{yes: a, no: b, 1: c, 1.0: d, true: e, ~: f, '': g}", "f.yaml")
    assert source.value == {"yes": "a", "no": "b", "1": "c", "1.0": "d", "true": "e", "~": "f", "": "g"}


def test_place_leads_to_values_and_keys():
    """A path gives line and column, from 1, of a value or of its key; a path that ends early, of what there is."""
    source = parse_yaml("a:\n  - b: 1\n    cc: [x, y]\n", "f.yaml")
    assert source.place() == Place("f.yaml", 1, 1)
    assert source.place(("a", 0, "cc", 1)) == Place("f.yaml", 3, 13)
    assert source.place(("a", 0, "cc"), of_key=True) == Place("f.yaml", 3, 5)
    assert source.place(("a", 0, "cc", 7)) == Place("f.yaml", 3, 9)
    assert source.place(("a", 0, "dd"), of_key=True) == Place("f.yaml", 2, 5)


def test_alias_stands_where_it_is_used_and_its_parts_where_the_anchor_is():
    """An alias is a value of its own at its own place."""
    source = parse_yaml("a: &x {b: 1}\nc: *x\nd: &s text\ne: *s\n*s : f\n", "f.yaml")
    assert source.value == {"a": {"b": 1}, "c": {"b": 1}, "d": "text", "e": "text", "text": "f"}
    assert source.place(("c",)) == Place("f.yaml", 2, 4)
    assert source.place(("c", "b")) == Place("f.yaml", 1, 11)
    assert source.place(("e",)) == Place("f.yaml", 4, 4)


def test_merge_adds_what_is_not_there():
    """'<<' takes a mapping or a list of them; what the mapping itself says wins, then the first of the list."""
    source = parse_yaml("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 0\n", "f.yaml")
    assert source.value["z"] == {"a": 0, "b": 1, "c": 2}
    assert source.place(("z", "c")) == Place("f.yaml", 2, 17)
    assert source.problems == ()


def test_quoted_merge_key_is_an_ordinary_key():
    """Who means the text '<<' can write it in quotes."""
    assert parse_yaml("'<<': 1", "f.yaml").value == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key 'a' occurs twice, first in line 1\nhint: remove one of the two"),
        ("1: x\n'1': y\n", "f.yaml:2:1: key '1' occurs twice, first in line 1\nhint: remove one of the two"),
        ("a: !!python/object:x {}", "f.yaml:1:4: tag '!!python/object:x' cannot be used here\nhint: remove the tag"),
        ("a: !secret x", "f.yaml:1:4: tag '!secret' cannot be used here\nhint: remove the tag"),
        ("a: !!int x", "f.yaml:1:4: tag '!!int' cannot be used here\nhint: remove the tag"),
        ("a: .inf", "f.yaml:1:4: '.inf' is no number that JSON can hold\nhint: put it in quotes: \".inf\""),
        ("a: 1e999", "f.yaml:1:4: '1e999' is no number that JSON can hold\nhint: put it in quotes: \"1e999\""),
        (
            "<<: 3",
            "f.yaml:1:5: '<<' takes a mapping, or a list of mappings\nhint: refer to a mapping: '<<: *anchor'",
        ),
    ],
)
def test_oddity_is_a_problem_with_its_place(text, told):
    """What does not hinder reading is collected."""
    assert [str(problem) for problem in parse_yaml(text, "f.yaml").problems] == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: b: c",
            (
                "f.yaml:1:5: malformed YAML: mapping values are not allowed in this context\n"
                "hint: put a text that holds ': ' in quotes, or mend the indentation"
            ),
        ),
        ("a:\n\tb: 1", "f.yaml:2:1: malformed YAML: a tab cannot indent\nhint: indent with spaces"),
        ("a: @x", "f.yaml:1:4: malformed YAML: a text cannot begin with '@'\nhint: put the text in quotes"),
        ("a: 'x\nb: 2\n", "f.yaml:1:4: malformed YAML: a quote is not closed\nhint: close the quote"),
        (
            "a: [1, 2\nb: 3\n",
            ("f.yaml:1:4: malformed YAML: a bracket is not closed\nhint: close the bracket, or put the text in quotes"),
        ),
        ("a: 1\n}\n", "f.yaml:2:1: malformed YAML: did not find expected key"),
        ("a: \x01", "f.yaml:1:4: malformed YAML: character '\\x01' is not allowed\nhint: remove it"),
        (
            "id: {{data.id}}",
            'f.yaml:1:5: a template must stand in quotes\nhint: write it as "{{data.id}}"',
        ),
        ("? [a]\n: b\n", "f.yaml:1:3: a key must be a text\nhint: put the key in quotes"),
        ("a: *b", "f.yaml:1:4: alias '*b' has no anchor '&b' before it"),
        ("a: &a [*a]", "f.yaml:1:8: anchor '&a' contains itself"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here\nhint: keep one document in a file"),
        ("[" * 200, f"f.yaml:1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"),
        ("- " * 200, f"f.yaml:1:{2 * MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_malformed_text_is_refused_with_place_and_hint(text, told):
    """The message has file, line and column, and says what to do."""
    assert refusal(text) == told


def test_alias_bomb_is_refused():
    """A few lines whose aliases stand for a hundred million values are not let in."""
    levels = [f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]" for below, name in pairwise("abcdefghi")]
    assert refusal("\n".join(["a: &a [x]", *levels])) == "f.yaml:7:20: aliases repeat more than 1,000,000 values"


def test_chain_of_aliases_cannot_nest_without_end():
    """Aliases count into the depth."""
    chain = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))
    assert refusal(chain) == f"f.yaml:{MAX_DEPTH}:12: nested deeper than {MAX_DEPTH} levels"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_file_with_byte_order_mark_and_crlf_is_read(tmp_path, encoding):
    """What editors on other systems write is read."""
    path = tmp_path / "f.yaml"
    path.write_bytes("näme: välue\r\nb: 2\r\n".encode(encoding))
    source = read_source(path)
    assert source.value == {"näme": "välue", "b": 2}
    assert source.place(("b",)) == Place(str(path), 2, 4)


def test_file_in_another_encoding_is_refused_at_the_byte(tmp_path):
    """Latin-1 is told by line and column of the first foreign byte."""
    path = tmp_path / "f.yaml"
    path.write_bytes("a: 1\nb: ä\n".encode("latin-1"))
    with pytest.raises(UnreadableFileError) as caught:
        read_source(path)
    assert str(caught.value) == f"{path}:2:4: byte '0xe4' is not UTF-8\nhint: save the file in the encoding UTF-8"


def test_missing_file_is_refused(tmp_path):
    """A path that leads nowhere is told as such."""
    with pytest.raises(UnreadableFileError) as caught:
        read_source(tmp_path / "f.yaml")
    assert str(caught.value) == f"{tmp_path / 'f.yaml'}: no such file\nhint: check the path"


def test_folder_is_refused(tmp_path):
    """A folder is no file."""
    with pytest.raises(UnreadableFileError) as caught:
        read_source(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is not a file\nhint: name a file"


@settings(deadline=None)
@given(st.text())
def test_any_text_gives_a_value_or_an_unreadable_file_error(text):
    """No text brings the reader down."""
    refusal = None
    try:
        json.dumps(parse_yaml(text, "f.yaml").value, allow_nan=False).encode()
    except UnreadableFileError as error:
        refusal = error
    assert refusal is None or refusal.place.line >= 1


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(_values)
def test_what_pyyaml_dumps_is_read_back(value):
    """Values written as YAML 1.1 by PyYAML, all texts quoted, are the same values."""
    text = yaml.safe_dump(value, default_style='"', allow_unicode=False)
    read = parse_yaml(text, "f.yaml").value
    if isinstance(value, float):
        assert math.isclose(read, value)
    else:
        assert read == value
