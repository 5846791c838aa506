"""Aligned columns in a given width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_orchestra.reporting.typography import Page, Tone, cell_width, cut_end, cut_middle, pad

__all__ = ["Cell", "Column", "table_lines"]

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text and its colours."""

    text: str
    tones: tuple[Tone, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``least`` is how narrow it may become where the table is too wide; None means never narrower.

    A column without any text is left out. ``keeps_ends`` cuts long texts in the middle.
    """

    title: str
    cells: tuple[Cell, ...] = field(default=())
    is_right: bool = False
    least: int | None = None
    keeps_ends: bool = False

    @property
    def width(self) -> int:
        """The cells that its widest text takes."""
        return max(cell_width(text) for text in (self.title, *(cell.text for cell in self.cells)))


def table_lines(columns: Sequence[Column], page: Page, indent: str = "  ") -> list[str]:
    """Give the table's lines, its header first; flexible columns shrink, the widest first, until it fits the page."""
    shown = [column for column in columns if any(cell.text for cell in column.cells)]
    if not shown:
        return []
    widths = _fit([column.width for column in shown], [column.least for column in shown], page.width - len(indent))
    header = [Cell(column.title, (Tone.QUIET,)) for column in shown]
    rows = zip(*(column.cells for column in shown), strict=True)
    return [_row(shown, widths, cells, page, indent) for cells in (header, *rows)]


def _fit(widths: list[int], least: list[int | None], room: int) -> list[int]:
    widths = list(widths)
    room -= len(_GAP) * (len(widths) - 1)
    while sum(widths) > room:
        can_shrink = [index for index, limit in enumerate(least) if limit is not None and widths[index] > limit]
        if not can_shrink:
            break
        widths[max(can_shrink, key=lambda index: widths[index])] -= 1
    return widths


def _row(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Cell], page: Page, indent: str) -> str:
    parts = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        cut = cut_middle if column.keeps_ends else cut_end
        text = cut(cell.text, width, page.marks.ellipsis)
        blanks = pad("", width - cell_width(text))
        inked = page.ink(text, *cell.tones)
        parts.append(blanks + inked if column.is_right else inked + blanks)
    return indent + _GAP.join(parts)
