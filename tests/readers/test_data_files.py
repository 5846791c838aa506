"""Test data from YAML, JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.dataset import DataSetOrigin, DataSetScope, TestDataSet
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.data_files import read_data_sets

BEGINNING = "hint: for example dataSets: [{name: small-order, data: {amount: 250}}]"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        Path(name).write_bytes(text.encode())
        return Path(name)

    return write


def told(*paths: Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        read_data_sets(paths)
    return [str(problem) for problem in caught.value.problems]


def test_yaml_data_sets_are_read_with_places(write):
    """Everything that a data set may say is read; a scenario's name makes its scope."""
    path = write(
        "a.yaml",
        "dataSets:\n"
        "  - {name: vip, tags: [large, smoke], scope: GLOBAL, origin: IMPORTED, data: {customer: {name: Ann}, n: 1}}\n"
        "  - name: own\n    scenario: large-order\n"
        "  - {name: theirs, suite: order.bpmn}\n",
    )
    assert read_data_sets([path]) == (
        TestDataSet(
            name="vip",
            data={"customer": {"name": "Ann"}, "n": 1},
            scope=DataSetScope.GLOBAL,
            tags=("large", "smoke"),
            origin=DataSetOrigin.IMPORTED,
            place=Place("a.yaml", 2, 5),
        ),
        TestDataSet(name="own", scope=DataSetScope.SCENARIO, scenario="large-order", place=Place("a.yaml", 3, 5)),
        TestDataSet(name="theirs", suite="order.bpmn", place=Place("a.yaml", 5, 5)),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yml", "- {name: x, data: {n: 1}}"),
        ("a.json", '[{"name": "x", "data": {"n": 1}}]'),
        ("a.json", '{"dataSets": [{"name": "x", "data": {"n": 1}}]}'),
        ("a.json", '{"data_sets": [{"name": "x", "data": {"n": 1}}]}'),
        ("A.CSV", "name,n\nx,1\n"),
    ],
)
def test_list_and_mapping_are_read_alike(write, name, text):
    """The list may stand alone."""
    (data_set,) = read_data_sets([write(name, text)])
    assert (data_set.name, data_set.data) == ("x", {"n": 1})


def test_csv_cells_have_the_type_that_they_read_as(write):
    """JSON numbers, true, false and null are values; anything else, and what only resembles a number, is text."""
    header = "name,a,b,c,d,e,f,g,h,i,j,k\n"
    row = "x,1,-2.5,1e3,true,false,null,,007,+1,1e999,NaN\n"
    (data_set,) = read_data_sets([write("a.csv", header + row)])
    assert data_set.data == {
        "a": 1, "b": -2.5, "c": 1000.0, "d": True, "e": False, "f": None,
        "g": "", "h": "007", "i": "+1", "j": "1e999", "k": "NaN",
    }  # fmt: skip


def test_csv_columns_nest_at_dots_and_tags_are_split(write):
    """Dotted names make objects; tags are separated by semicolons or spaces."""
    text = "tags, name ,customer.name,customer.address.city,total\nlarge;smoke vip,x,Ann,Berlin,3\n,y,Bob,Rome,4\n"
    first, second = read_data_sets([write("a.csv", text)])
    assert first.data == {"customer": {"name": "Ann", "address": {"city": "Berlin"}}, "total": 3}
    assert first.tags == ("large", "smoke", "vip")
    assert second.tags == ()


def test_csv_of_a_spreadsheet_is_read_with_places(write):
    """A byte order mark, CRLF, blank rows and line breaks within quotes do not shift the lines."""
    text = '\ufeffname,note\r\n\r\n"a","two\r\nlines, ""quoted"""\r\nb,x\r\n'
    first, second = read_data_sets([write("a.csv", text)])
    assert (first.name, first.data, first.place) == (
        "a",
        {"note": 'two\r\nlines, "quoted"'},
        Place("a.csv", 3),
    )
    assert (second.name, second.place) == ("b", Place("a.csv", 5))


def test_data_sets_of_several_files_are_in_order_and_a_file_counts_once(write):
    """Files are read in the order given."""
    first, second = write("a.yaml", "[{name: x}]"), write("b.csv", "name\ny\n")
    assert [data_set.name for data_set in read_data_sets([first, second, first])] == ["x", "y"]


def test_repeated_name_in_one_file_is_told_with_both_places(write):
    """A name must mean one data set."""
    path = write("a.yaml", "- {name: x}\n- {name: y}\n- {name: x}\n")
    assert told(path) == ["a.yaml:3:3: data set 'x' is at a.yaml:1:3 already\nhint: rename one of them"]


def test_repeated_name_in_two_files_is_told_with_both_places(write):
    """It does not matter in which files they are."""
    first, second = write("a.json", '[{"name": "x"}]'), write("b.csv", "name\ny\nx\n")
    assert told(first, second) == ["b.csv:3: data set 'x' is at a.json:1:2 already\nhint: rename one of them"]


def test_problems_of_all_files_are_told_at_once(write):
    """One run shows what is wrong everywhere."""
    assert told(
        write("a.yaml", "- {nme: x}\n"), write("b.csv", "name,a\nx\n"), Path("none.json"), write("c.xlsx", "")
    ) == [
        "a.yaml:1:3: missing field 'name'\nhint: for example name: small-order",
        "a.yaml:1:4: unknown field 'nme'\nhint: did you mean 'name'?",
        "b.csv:2: row has 1 cells, the header has 2\nhint: add the missing cells",
        "none.json: no such file\nhint: check the path",
        "c.xlsx: unknown kind of data file '.xlsx'\nhint: use .yaml, .yml, .json or .csv",
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.yaml",
            "- {name: x, scope: suit}",
            "1:20: 'scope' takes 'GLOBAL', 'SUITE' or 'SCENARIO', not 'suit'\nhint: did you mean 'SUITE'?",
        ),
        (
            "a.yaml",
            "- {name: x, scope: TEAM}",
            "1:20: 'scope' takes 'GLOBAL', 'SUITE' or 'SCENARIO', not 'TEAM'",
        ),
        ("a.yaml", "- {name: x, scope: SCENARIO}", "1:3: scope 'SCENARIO' needs 'scenario'"),
        (
            "a.yaml",
            "- {name: x, tags: smoke}",
            "1:19: 'tags' takes a list, not the text 'smoke'\nhint: write a list: [\"smoke\"]",
        ),
        (
            "a.yaml",
            "- {name: x, data: [1]}",
            "1:19: 'data' takes a mapping, not a list\nhint: for example data: {amount: 250}",
        ),
        (
            "a.yaml",
            "- {name: 'a[1]'}",
            (
                "1:10: a data set's name has at most 120 characters, none of them '[', ']' or a line break,"
                " not 'a[1]'\nhint: for example name: small-order"
            ),
        ),
        ("a.yaml", "{}", f"1:1: missing field 'dataSets'\n{BEGINNING}"),
        ("a.yaml", "x", f"1:1: the file takes a mapping, not the text 'x'\n{BEGINNING}"),
        ("a.yaml", "", f"1:1: missing field 'dataSets'\n{BEGINNING}"),
        (
            "a.json",
            '[{"name": "x",\n "name": "y"}]',
            "2:2: key 'name' occurs twice, first in line 1\nhint: remove one of the two",
        ),
        (
            "a.json",
            '[{"name": "x"},]',
            "1:15: malformed JSON: a comma before a closing bracket\nhint: remove the comma",
        ),
        (
            "a.yaml",
            "- {name: x",
            "1:3: malformed YAML: a bracket is not closed\nhint: close the bracket, or put the text in quotes",
        ),
        ("a.csv", "", "1: the file is empty\nhint: begin with a header row: name,tags,..."),
        ("a.csv", "Name,a\nx,1\n", "1: no column 'name'\nhint: rename 'Name'"),
        ("a.csv", "id,a\nx,1\n", "1: no column 'name'\nhint: begin the header row with 'name'"),
        ("a.csv", "name;tags;a\nx;;1\n", "1: no column 'name'\nhint: separate the columns with commas"),
        ("a.csv", "name,a,a\nx,1,2\n", "1: column 'a' occurs twice\nhint: rename one of them"),
        ("a.csv", "name,a,\nx,1,2\n", "1: column 3 has no name\nhint: name it, or remove it"),
        ("a.csv", "name,a..b\nx,1\n", "1: column 'a..b' has an empty part\nhint: name it, or remove it"),
        (
            "a.csv",
            "name,a,a.b\nx,1,2\n",
            "1: column 'a' is a value and column 'a.b' a part of it\nhint: rename one of them",
        ),
        (
            "a.csv",
            'name,a\n"x\ny",1,2\n',
            "2: row has 3 cells, the header has 2\nhint: put a cell that holds a comma in quotes",
        ),
        ("a.csv", "name,a\n,1\n", "2: data set has no name\nhint: fill the column 'name'"),
        (
            "a.csv",
            "name,a\nx[1],1\n",
            "2: a data set's name has at most 120 characters, none of them '[', ']' or a line break, not 'x[1]'",
        ),
        ("a.csv", 'name,a\ny,1\nx,"1\n\n', "3: malformed CSV: a quote is not closed\nhint: close the quote"),
        (
            "a.csv",
            'name,a\nx,"a"b\n',
            "2: malformed CSV: ',' expected after '\"'\nhint: write a quote within quotes twice: \"\"",
        ),
    ],
)
def test_mistake_is_told_with_its_place(write, name, text, expected):
    """The message has file, line and what to do."""
    assert told(write(name, text)) == [f"{name}:{expected}"]


def test_ten_thousand_rows_take_no_special_care(write):
    """A big table is read whole, each row with its line."""
    rows = "".join(f"customer-{n},smoke,{n}\n" for n in range(10_000))
    data_sets = read_data_sets([write("a.csv", f"name,tags,amount\n{rows}")])
    assert len(data_sets) == 10_000
    assert data_sets[-1].data == {"amount": 9_999}
    assert data_sets[-1].place == Place("a.csv", 10_001)


def test_ten_thousand_json_data_sets_have_their_places(write):
    """Places are right at the end of a long file."""
    sets = [{"name": f"customer-{n}", "data": {"n": n}} for n in range(10_000)]
    data_sets = read_data_sets([write("a.json", json.dumps(sets, indent=1))])
    assert data_sets[-1].place == Place("a.json", 6 * 9_999 + 2, 2)


_names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="[]"), min_size=1, max_size=20)
_cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@settings(deadline=None)
@given(st.lists(st.tuples(_names, _cells, _cells), unique_by=lambda row: row[0]))
def test_what_csv_writes_is_read_back(tmp_path_factory, rows):
    """Any text in a cell survives, unless it reads as a JSON scalar."""
    path = tmp_path_factory.getbasetemp() / "round.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["name", "a", "b"])
        writer.writerows(rows)
    data_sets = read_data_sets([path])
    assert [data_set.name for data_set in data_sets] == [name for name, _, _ in rows]
    for data_set, (_, *cells) in zip(data_sets, rows, strict=True):
        for value, cell in zip(data_set.data.values(), cells, strict=True):
            if isinstance(value, str):
                assert value == cell
            else:
                expected = json.loads(cell)
                assert value == expected or math.isclose(value, expected)


@settings(deadline=None)
@given(st.sampled_from(["csv", "json", "yaml"]), st.binary() | st.text().map(str.encode))
def test_any_content_gives_data_sets_or_a_definition_error(tmp_path_factory, kind, content):
    """No file brings the reader down."""
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"
    path.write_bytes(content)
    problems = None
    try:
        read_data_sets([path])
    except DefinitionError as error:
        problems = error.problems
    assert problems is None or {problem.place.file for problem in problems} == {str(path)}
