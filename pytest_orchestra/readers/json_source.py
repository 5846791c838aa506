"""JSON as plain values; places are looked up only when they are asked for."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final

from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.readers.source_file import MAX_DEPTH, Source, Spot, Spots
from pytest_orchestra.readers.source_text import unreadable

__all__ = ["parse_json"]

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s\[\]{},:"]+')
_LONE_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_QUOTE_HINT: Final = "put names and texts in double quotes"
_SAYINGS: Final = {
    "Expecting value": ("a value is missing", None),
    "Expecting property name enclosed in double quotes": ("a key in double quotes is missing", _QUOTE_HINT),
    "Expecting ':' delimiter": ("':' is missing after a key", None),
    "Expecting ',' delimiter": ("',' or a closing bracket is missing", None),
    "Unterminated string starting at": ("a text has no closing quote", "close the quote"),
    "Invalid control character at": (
        "a text holds a line break or control character",
        "write it as '\\n', '\\t' or '\\u0000'",
    ),
    "Invalid \\escape": ("unknown escape in a text", "write a backslash as '\\\\'"),
    "Invalid \\uXXXX escape": ("'\\u' is not followed by four hexadecimal digits", None),
    "Extra data": ("something follows the value", "keep one value in a file"),
}


class _NotJsonError(ValueError):
    """A number that JSON does not have: what is wrong, and how the number is written."""

    def __init__(self, fact: str, token: str) -> None:
        super().__init__(fact)
        self.fact = fact
        self.token = token


class _Lines:
    """Offsets in a text to lines and columns."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] = []

    def spot(self, offset: int) -> Spot:
        if not self._starts:
            self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class _JsonSpots(Spots):
    """The spots of a value of well-formed JSON text.

    Only the containers on the way to what is asked for are opened; the decoder written in C skips over the rest.
    """

    __slots__ = ("_items", "_keys", "_lines", "_offset", "_parts", "_text", "repeated")

    _decoder: Final = json.JSONDecoder()

    def __init__(self, text: str, offset: int, lines: _Lines) -> None:
        self._text = text
        self._offset = offset
        self._lines = lines
        self._items: dict[str | int, int] | None = None
        self._keys: dict[str, int] = {}
        self._parts: dict[str | int, _JsonSpots] = {}
        self.repeated: list[tuple[str, int, int]] = []
        """Keys that stand here again, with the offsets of the first and the later one; filled by :meth:`items`."""

    @property
    def spot(self) -> Spot:
        return self._lines.spot(self._offset)

    def key_spot(self, key: str) -> Spot | None:
        self.items()
        offset = self._keys.get(key)
        return None if offset is None else self._lines.spot(offset)

    def part(self, key: str | int) -> Spots | None:
        if key not in self._parts:
            offset = self.items().get(key)
            if offset is None:
                return None
            self._parts[key] = _JsonSpots(self._text, offset, self._lines)
        return self._parts[key]

    def parts(self) -> list[_JsonSpots]:
        """Give the spots of all values of the mapping or list."""
        return [_JsonSpots(self._text, offset, self._lines) for offset in self.items().values()]

    def spot_of(self, offset: int) -> Spot:
        """Give line and column of an offset into the text."""
        return self._lines.spot(offset)

    def items(self) -> dict[str | int, int]:
        """Give the offset of each value of the mapping or list."""
        if self._items is None:
            opening = self._text[self._offset]
            if opening == "{":
                self._items = self._members()
            elif opening == "[":
                self._items = self._elements()
            else:
                self._items = {}
        return self._items

    def _members(self) -> dict[str | int, int]:
        found: dict[str | int, int] = {}
        at = self._skip(self._offset + 1)
        while self._text[at] == '"':
            key, end = self._decoder.raw_decode(self._text, at)
            if key in self._keys:
                self.repeated.append((key, self._keys[key], at))
            self._keys[key] = at
            found[key] = self._skip(self._skip(end) + 1)
            at = self._after_value(found[key])
        return found

    def _elements(self) -> dict[str | int, int]:
        found: dict[str | int, int] = {}
        at = self._skip(self._offset + 1)
        while self._text[at] != "]":
            found[len(found)] = at
            at = self._after_value(at)
        return found

    def _after_value(self, offset: int) -> int:
        """Give where the next member begins, or the closing bracket is."""
        _, end = self._decoder.raw_decode(self._text, offset)
        at = self._skip(end)
        return self._skip(at + 1) if self._text[at] == "," else at

    def _skip(self, offset: int) -> int:
        match = _SPACE.match(self._text, offset)
        return match.end() if match else offset


def parse_json(text: str, file: str) -> Source:
    """Read JSON strictly: no NaN, no endless nesting. Duplicate keys are problems.

    Raises ``UnreadableFileError`` with the place.
    """
    repeats = False

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        value = dict(members)
        if len(value) != len(members):
            repeats = True
        return value

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise _malformed(text, file, error.msg, error.pos) from None
    except RecursionError:
        raise _too_deep(text, file) from None
    except _NotJsonError as error:
        offset = next(match.start() for match in _TOKEN.finditer(text) if match[0] == error.token)
        raise _refused(text, file, offset, error.fact) from None
    except ValueError:  # the limit of int() on digits
        offset = next(match.start() for match in _TOKEN.finditer(text) if _has_too_many_digits(match[0]))
        raise _refused(text, file, offset, "a number has too many digits") from None
    if _is_deeper(value, MAX_DEPTH):
        raise _too_deep(text, file)
    lone = _LONE_SURROGATE.search(text) if "\\u" in text else None
    if lone is not None and not _is_unicode(value):
        fact = f"'{lone[0]}' is half of a surrogate pair"
        raise _refused(text, file, lone.start(), fact, "write both halves")
    spots = _JsonSpots(text, _SPACE.match(text).end(), _Lines(text))  # type: ignore[union-attr]
    return Source(file, value, spots, _repeated_keys(spots, file) if repeats else ())


def _refuse(constant: str) -> Any:
    raise _NotJsonError(f"'{constant}' is no number of JSON", constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _NotJsonError(f"'{digits[:40]}' is too large a number", digits)
    return number


def _has_too_many_digits(token: str) -> bool:
    try:
        int(token)
    except ValueError:
        return token.lstrip("-").isdecimal()
    return False


def _refused(text: str, file: str, offset: int, fact: str, hint: str | None = None) -> Exception:
    return unreadable(Place(file, *_Lines(text).spot(offset)), f"malformed JSON: {fact}", hint)


def _too_deep(text: str, file: str) -> Exception:
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match[0] in {"[", "{"}) - (match[0] in {"]", "}"})
        if depth > MAX_DEPTH:
            break
    return unreadable(Place(file, *_Lines(text).spot(match.start())), f"nested deeper than {MAX_DEPTH} levels")


def _is_deeper(value: Any, limit: int) -> bool:
    level = _containers([value])
    for _ in range(limit):
        level = _containers(
            part for container in level for part in (container.values() if isinstance(container, dict) else container)
        )
        if not level:
            return False
    return True


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, (dict, list))]


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _malformed(text: str, file: str, message: str, offset: int) -> Exception:
    fact, hint = _SAYINGS.get(message, (message[:1].lower() + message[1:], None))
    before = text[:offset].rstrip(" \t\r\n")
    if before.endswith(",") and text[offset : offset + 1] in ("}", "]"):
        fact, hint, offset = "a comma before a closing bracket", "remove the comma", len(before) - 1
    elif message.startswith("Illegal trailing comma"):  # what Python 3.13 says of the same
        fact, hint = "a comma before a closing bracket", "remove the comma"
    elif text[offset : offset + 1] == "'":
        hint = _QUOTE_HINT
    elif not text.strip(" \t\r\n"):
        fact, hint = "the file is empty", None
    return _refused(text, file, offset, fact, hint)


def _repeated_keys(spots: _JsonSpots, file: str) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    waiting = [spots]
    while waiting:
        here = waiting.pop()
        waiting.extend(here.parts())
        for key, first, again in here.repeated:
            line, _ = here.spot_of(first)
            problems.append(
                Problem(
                    Severity.ERROR,
                    Place(file, *here.spot_of(again)),
                    f"key '{key}' occurs twice, first in line {line}",
                    "remove one of the two",
                )
            )
    return tuple(sorted(problems, key=lambda problem: problem.place))
