"""Widths, cuts, wraps, durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.reporting.table import Cell, Column, table_lines
from pytest_orchestra.reporting.typography import (
    ASCII_MARKS,
    UNICODE_MARKS,
    Page,
    cell_width,
    cut_end,
    cut_middle,
    duration_text,
    label,
    moment_text,
    pad,
    printable,
    wrap,
)
from pytest_orchestra.reporting.values import value_lines, value_text

TEXT = st.text(alphabet=st.one_of(st.sampled_from(" ab\n注e\u0301🚀"), st.characters()), max_size=60)


@given(TEXT, st.integers(1, 30))
def test_cut_end_of_any_text_fits_and_keeps_its_beginning(text, width):
    """A cut text is never wider than allowed, and one that fits is not touched."""
    cut = cut_end(text, width)
    assert cell_width(cut) <= width
    assert cut == text if cell_width(text) <= width else text.startswith(cut[:-1])


@given(TEXT, st.integers(1, 30))
def test_cut_middle_of_any_text_fits_and_keeps_both_ends(text, width):
    """A text cut in its middle begins and ends as it did."""
    cut = cut_middle(text, width)
    assert cell_width(cut) <= width
    if cell_width(text) > width >= 3:
        head, _, tail = cut.partition("…") if "…" not in text else (cut[:1], "", cut[-1:])
        assert text.startswith(head)
        assert text.endswith(tail)


@given(TEXT, st.integers(2, 30))
def test_wrap_of_any_text_fits_and_loses_nothing_but_blanks(text, width):
    """Wrapping keeps every character that is not white space, in order."""
    lines = wrap(text, width)
    assert all(cell_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(TEXT)
def test_printable_of_any_text_has_no_control_characters_and_can_be_encoded(text):
    """Whatever came, it can be printed, and control characters show as escapes."""
    shown = printable(text)
    shown.encode("utf-8")
    assert not any(ord(character) < 0x20 and character != "\n" for character in shown)
    assert not any(0x7F <= ord(character) < 0xA0 for character in shown)


@pytest.mark.parametrize(
    ("text", "width"),
    [("order", 5), ("注文", 4), ("e\u0301", 1), ("🚀", 2), ("\u200b", 0), ("", 0)],
)
def test_cell_width_counts_terminal_cells(text, width):
    """Wide characters take two cells, combining and invisible ones none."""
    assert cell_width(text) == width


def test_pad_fills_to_cells_on_either_side():
    """Padding counts cells, not characters."""
    assert (pad("注", 4), pad("注", 4, right=True), pad("long", 2)) == ("注  ", "  注", "long")


def test_label_puts_a_name_with_line_breaks_on_one_line():
    """Names in diagrams have line breaks and indents."""
    assert label("Approve\r\n\t  order ") == "Approve order"


def test_wrap_keeps_lines_and_indents():
    """Lines that the text has stay, with what they begin with."""
    assert wrap("a:\n    b c\n\nd", 80) == ["a:", "    b c", "", "d"]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (0.2, "<1 ms"),
        (0.7, "1 ms"),
        (42.4, "42 ms"),
        (999.4, "999 ms"),
        (999.9, "1.00 s"),
        (1_420, "1.42 s"),
        (9_994, "9.99 s"),
        (9_996, "10.0 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 00 s"),
        (125_000, "2 min 05 s"),
        (3_599_600, "1 h 00 min"),
        (7_380_000, "2 h 03 min"),
    ],
)
def test_duration_text_changes_its_unit_without_a_gap(milliseconds, text):
    """No duration reads 1000 ms, 60.0 s or 60 min."""
    assert duration_text(milliseconds) == text


def test_moment_text_is_in_the_given_zone():
    """Moments are shown in UTC, or in the zone of the reader."""
    at = datetime(2026, 11, 20, 22, 45, 1, tzinfo=UTC)
    assert moment_text(at) == "2026-11-20 22:45:01"
    assert moment_text(at, timezone(timedelta(hours=3))) == "2026-11-21 01:45:01"
    assert moment_text(None) == ""


@pytest.mark.parametrize(
    ("encoding", "marks"),
    [("utf-8", UNICODE_MARKS), (None, UNICODE_MARKS), ("ascii", ASCII_MARKS), ("cp1252", ASCII_MARKS)],
)
def test_page_takes_the_marks_that_the_encoding_has(encoding, marks):
    """All marks are Unicode, or all are ASCII."""
    assert Page.of(80, encoding=encoding).marks is marks


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("NEW", "NEW"),
        ("A-1", "A-1"),
        ("/lines/0", "/lines/0"),
        ("1", '"1"'),
        ("true", '"true"'),
        ("NULL", '"NULL"'),
        ("two words", '"two words"'),
        ("", '""'),
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ({"a": [1, "x"]}, '{"a": [1, "x"]}'),
        ("a\nb\x1b", '"a\\nb\\u001b"'),
    ],
)
def test_value_text_shows_the_type_of_a_value(value, text):
    """Quotes stand where text could be taken for something else, and only there."""
    assert value_text(value) == text


def test_value_lines_cuts_what_is_too_wide_and_too_long():
    """A value takes a limited room and says what is missing."""
    page = Page()
    assert value_lines({"key": "x" * 20, "n": 1}, page, 16, 4) == ["{", '  "key": "xxxxx…', '  "n": 1', "}"]
    assert value_lines("x" * 40, page, 10, 3) == ["xxxxxxxxxx", "xxxxxxxxxx", "… 2 more lines"]


@given(st.lists(st.tuples(TEXT.map(label), TEXT.map(label)), min_size=1, max_size=5), st.integers(60, 120))
def test_table_lines_of_any_cells_align_and_fit(rows, width):
    """Every column begins in the same cell of every line, and no line is wider than the page."""
    page = Page(width)
    left = Column("LEFT", tuple(Cell(row[0]) for row in rows), least=10)
    right = Column("RIGHT", tuple(Cell(row[1]) for row in rows), is_right=True, least=10, keeps_ends=True)
    lines = table_lines([left, right], page)
    if any(text for row in rows for text in row):
        assert len(lines) == len(rows) + 1
    assert all(cell_width(line) <= width for line in lines)
    assert len({cell_width(line) for line in lines}) <= 1


def test_table_lines_leaves_out_columns_without_text():
    """A column that says nothing takes no room."""
    columns = [
        Column("A", (Cell("1"), Cell("2"))),
        Column("B", (Cell(""), Cell(""))),
        Column("C", (Cell(""), Cell("x"))),
    ]
    assert table_lines(columns, Page()) == ["  A  C", "  1   ", "  2  x"]
