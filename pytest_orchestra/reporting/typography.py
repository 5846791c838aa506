"""How text is laid out: widths in terminal cells, colours, marks, durations, moments."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Final

__all__ = [
    "ASCII_MARKS",
    "UNICODE_MARKS",
    "Ink",
    "Marks",
    "Page",
    "Tone",
    "cell_width",
    "cut_end",
    "cut_middle",
    "duration_text",
    "label",
    "moment_text",
    "pad",
    "printable",
    "wrap",
]

_TAB: Final = " " * 4
_NARROWEST: Final = 60  # below, tables would be all ellipses; the terminal wraps them then
# controls could drive the reader's terminal, bidirectional controls reorder what is shown, surrogates cannot be encoded
_UNPRINTABLE: Final = {
    code: f"\\u{code:04x}"
    for span in (
        (0x00, 0x20),
        (0x7F, 0xA0),
        (0x61C, 0x61D),
        (0x200E, 0x2010),
        (0x2028, 0x202F),
        (0x2066, 0x206A),
        (0xD800, 0xE000),
        (0xFFFE, 0x10000),
    )
    for code in range(*span)
    if chr(code) not in "\n\t"
}


class Tone(StrEnum):
    """What a colour says; the value is the SGR parameter."""

    GOOD = "32"
    BAD = "31"
    WARN = "33"
    ACCENT = "36"
    STRONG = "1"
    QUIET = "2"


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours text by ANSI escape sequences, or leaves it as it is."""

    is_on: bool = False

    def __call__(self, text: str, *tones: Tone) -> str:
        """Give the text in these colours."""
        if not self.is_on or not tones or not text:
            return text
        return f"\x1b[{';'.join(tones)}m{text}\x1b[0m"


@dataclass(frozen=True, slots=True)
class Marks:
    """The signs that reports use beside words."""

    passed: str
    failed: str
    skipped: str
    flaky: str
    running: str
    pending: str
    ellipsis: str
    rule: str
    separator: str

    def can_be_encoded(self, encoding: str) -> bool:
        """Tell whether a stream of that encoding can carry all of them."""
        try:
            "".join(getattr(self, field.name) for field in fields(self)).encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True


UNICODE_MARKS: Final = Marks("✓", "✗", "○", "≈", "▶", "·", "…", "─", "·")
ASCII_MARKS: Final = Marks("+", "x", "-", "~", ">", ".", "...", "-", "|")


@dataclass(frozen=True, slots=True)
class Page:
    """Where text goes: so many cells wide (60 or more), with or without colours, in an encoding."""

    width: int = 100
    ink: Ink = Ink()
    marks: Marks = UNICODE_MARKS
    encoding: str = "utf-8"

    @classmethod
    def of(cls, width: int, *, color: bool = False, encoding: str | None = None) -> Page:
        """Give the page of a stream: Unicode marks where its encoding has them, else ASCII ones."""
        encoding = encoding or "utf-8"
        marks = UNICODE_MARKS if UNICODE_MARKS.can_be_encoded(encoding) else ASCII_MARKS
        return cls(max(width, _NARROWEST), Ink(color), marks, encoding)

    def finish(self, lines: Sequence[str]) -> str:
        """Join lines without trailing blanks; what the encoding does not have becomes an escape sequence."""
        text = "\n".join(line.rstrip() for line in lines)
        try:
            return text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        except LookupError:
            return text.encode("ascii", "backslashreplace").decode("ascii")


def printable(text: str) -> str:
    """Give the text with control characters made visible, so that no value can drive a terminal; tabs are expanded."""
    return text.replace("\r\n", "\n").translate(_UNPRINTABLE).replace("\t", _TAB)


def label(text: str) -> str:
    """Give the text on one line, white space collapsed: names in diagrams have line breaks."""
    return printable(" ".join(text.split()))


def cell_width(text: str) -> int:
    """Give the number of terminal cells that the text takes (Unicode TR 11; combining characters take none)."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill the text with blanks to a width in cells, on its right or, aligned ``right``, on its left."""
    blanks = " " * (width - cell_width(text))
    return blanks + text if right else text + blanks


def cut_end(text: str, width: int, ellipsis: str = "…") -> str:
    """Give the text in at most ``width`` cells, its end replaced by an ellipsis where it is longer."""
    if cell_width(text) <= width:
        return text
    return _beginning(text, width - len(ellipsis)) + ellipsis[: max(width, 0)]


def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Give the text in at most ``width`` cells, its middle replaced by an ellipsis where it is longer."""
    if cell_width(text) <= width:
        return text
    room = width - len(ellipsis)
    if room < 2:  # noqa: PLR2004  a sign on either side is the least that says something
        return cut_end(text, width, ellipsis)
    end = _beginning(text[::-1], room // 2)[::-1]
    return _beginning(text, room - cell_width(end)) + ellipsis + end


def _beginning(text: str, width: int) -> str:
    taken = 0
    for index, character in enumerate(text):
        taken += _cells(character)
        if taken > width:
            return text[:index]
    return text


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most ``width`` cells, at blanks where possible; its own lines and indents stay."""
    return [line for paragraph in text.split("\n") for line in _wrap_paragraph(paragraph, width)]


def _wrap_paragraph(paragraph: str, width: int) -> list[str]:
    lines: list[str] = []
    current, *words = paragraph.split(" ")
    for word in words:
        if cell_width(current) + 1 + cell_width(word) <= width:
            current = f"{current} {word}"
            continue
        lines += _break(current, width)
        current = word
    return lines + _break(current, width)


def _break(line: str, width: int) -> list[str]:
    """Break a line that has no blank in the right place."""
    pieces: list[str] = []
    while cell_width(line) > width:
        head = _beginning(line, width) or line[0]
        pieces.append(head)
        line = line[len(head) :]
    return [*pieces, line]


def duration_text(milliseconds: float) -> str:
    """Give a duration as people read it: ``42 ms``, ``1.42 s``, ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if 0 < milliseconds < 0.5:  # noqa: PLR2004  what would be rounded to nothing
        return "<1 ms"
    if round(milliseconds) < 1_000:  # noqa: PLR2004  milliseconds of a second
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1_000
    if round(seconds, 2) < 10:  # noqa: PLR2004  three digits are enough to compare durations
        return f"{seconds:.2f} s"
    if round(seconds, 1) < 60:  # noqa: PLR2004  seconds of a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004  minutes of an hour
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def moment_text(at: datetime | None, zone: tzinfo = UTC) -> str:
    """Give a moment to the second, ``2026-11-20 22:45:01``; empty for none."""
    return "" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
