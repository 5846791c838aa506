"""JSON values, and what was sent and received, as text for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.reporting.typography import Page, cell_width, cut_end, printable, wrap

__all__ = ["MessageView", "exchange_lines", "pretty_json", "value_lines", "value_text"]

# a word that reads as nothing but text: quotes would only be noise around it
_PLAIN_WORD: Final = re.compile(r"/?[^\W\d][\w./@#-]*")
_SHOWN_HEADERS: Final = 12
_LITERALS: Final = frozenset({"true", "false", "null", "none", "nan", "infinity"})


def value_text(value: JsonValue) -> str:
    """Give a value on one line, its type visible: ``NEW`` is text, ``"1"`` is text, ``1`` is a number."""
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) and value.lower() not in _LITERALS:
        return value
    return printable(json.dumps(value, ensure_ascii=False, default=_plain))


def pretty_json(value: JsonValue) -> str:
    """Give a value as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: object) -> JsonValue:
    return dict(value) if isinstance(value, Mapping) else str(value)


def value_lines(value: JsonValue, page: Page, width: int, limit: int = 24) -> list[str]:
    """Give a value in at most ``limit`` lines of at most ``width`` cells; says how many lines were left out."""
    text = value_text(value)
    is_paragraphs = isinstance(value, str) and "\n" in value.strip()
    if cell_width(text) <= width and not is_paragraphs:
        return [text]
    if isinstance(value, str):
        return _limit(wrap(printable(value), width), page, limit)
    lines = printable(pretty_json(value)).split("\n")
    return _limit([cut_end(line, width, page.marks.ellipsis) for line in lines], page, limit)


def _limit(lines: Sequence[str], page: Page, limit: int) -> list[str]:
    if len(lines) <= limit:
        return list(lines)
    left_out = len(lines) - limit + 1
    return [*lines[: limit - 1], f"{page.marks.ellipsis} {left_out} more lines"]


@dataclass(frozen=True, slots=True)
class MessageView:
    """A request or response as people read it: what leads, then headers, then the rest by name, then the body.

    Of HTTP ``METHOD url`` or the status leads, of a database the statement.
    """

    lead: tuple[str, ...]
    headers: tuple[str, ...]
    rest: tuple[tuple[str, JsonValue], ...]
    body: JsonValue

    @classmethod
    def of(cls, message: JsonObject) -> MessageView:
        """Take a message of any channel apart; what is empty is left out."""
        rest = dict(message)
        first = [str(part) for part in (rest.pop("method", None), rest.pop("url", None)) if part]
        lead = [" ".join(first)] if first else []
        lead += [str(part).strip() for part in (rest.pop("status", None), rest.pop("sql", None)) if part is not None]
        headers, body = rest.pop("headers", None), rest.pop("body", None)
        named = headers.items() if isinstance(headers, Mapping) else ()
        return cls(
            tuple(printable(text) for text in lead),
            tuple(f"{printable(str(name))}: {_header_text(value)}" for name, value in named),
            tuple((printable(name), value) for name, value in rest.items() if value not in (None, "", [], {})),
            body,
        )


def exchange_lines(message: JsonObject, page: Page, width: int) -> list[str]:
    """Give a request or response in lines of at most ``width`` cells, long headers and bodies shortened."""
    view = MessageView.of(message)
    lines = [line for text in view.lead for line in wrap(text, width)]
    headers = [cut_end(text, width, page.marks.ellipsis) for text in view.headers]
    lines += _limit(headers, page, _SHOWN_HEADERS)
    for name, value in view.rest:
        first, *following = value_lines(value, page, width - cell_width(name) - 2)
        lines.append(f"{name}: {first}")
        lines += [" " * (cell_width(name) + 2) + line for line in following]
    return lines if view.body is None else [*lines, *value_lines(view.body, page, width)]


def _header_text(value: JsonValue) -> str:
    return printable(value) if isinstance(value, str) else value_text(value)
