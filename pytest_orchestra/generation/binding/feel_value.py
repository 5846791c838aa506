"""The part of FEEL that puts values together (DMN 1.3, 10.3.1.2).

That is literals, names, paths, ``+`` of texts, contexts and lists. The result is a template of ours. Names may hold
spaces, as FEEL has it.
"""

from __future__ import annotations

import json
import re
from typing import Final

from pytest_orchestra.generation.binding.template_text import as_literal, read_data
from pytest_orchestra.model.json import JsonValue

__all__ = ["FeelError", "read_feel"]

MAX_DEPTH: Final = 40
"""Nesting of contexts and lists that is still read."""

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[^\W\d][\w'?]*)|(?P<sign>[{}\[\](),:.+]))",
    re.DOTALL,
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_KEYWORDS: Final = frozenset(
    {"and", "between", "else", "every", "external", "for", "function", "if", "in", "instance", "not", "of", "or"}
    | {"return", "satisfies", "some", "then"}
)
_REFUSED: Final = frozenset({"camunda", "secrets"})


class FeelError(ValueError):
    """The text is no FEEL that only puts values together."""


class _Sum:
    """Something of which a text is put together, as it stands within that text."""

    def __init__(self, value: JsonValue, *, is_template: bool) -> None:
        self.value = value
        self.is_template = is_template

    def as_text(self) -> str:
        if isinstance(self.value, str):
            return self.value
        raise FeelError("only texts are put together")


def read_feel(text: str) -> JsonValue:
    """Give the value of an expression, with templates for what it reads. Raises ``FeelError``."""
    reader = _Reader(text)
    value = reader.value(0)
    reader.end()
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise FeelError(text[position:])
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind]))
            position = match.end()

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise FeelError(self._tokens[self._next][1])

    def value(self, depth: int) -> JsonValue:
        parts = [self._operand(depth)]
        while self._take("+"):
            parts.append(self._operand(depth))
        if len(parts) == 1:
            return parts[0].value
        if not any(isinstance(part.value, str) and not part.is_template for part in parts):
            raise FeelError("names that are added may be numbers")
        return "".join(part.as_text() for part in parts)

    def _operand(self, depth: int) -> _Sum:
        if depth > MAX_DEPTH or self._next >= len(self._tokens):
            raise FeelError("nested too deeply, or ends too early")
        kind, text = self._tokens[self._next]
        if kind == "text":
            self._next += 1
            return _Sum(as_literal(_unquoted(text)), is_template=False)
        if kind == "number":
            self._next += 1
            return _Sum(json.loads(text) if "." in text else int(text), is_template=False)
        if kind == "word":
            return self._named(depth)
        if self._take("{"):
            return _Sum(self._context(depth + 1), is_template=False)
        if self._take("["):
            return _Sum(self._items("]", depth + 1), is_template=False)
        if self._take("("):
            value = self.value(depth + 1)
            self._expect(")")
            return _Sum(value, is_template=isinstance(value, str) and value.startswith("{{"))
        raise FeelError(text)

    def _named(self, depth: int) -> _Sum:
        path = [self._name()]
        while self._take("."):
            path.append(self._name())
        if path == ["string"] and self._take("("):
            inner = self._operand(depth + 1)
            self._expect(")")
            value = inner.value
            return _Sum(value if isinstance(value, str) else json.dumps(value), is_template=inner.is_template)
        if len(path) == 1 and path[0] in _WORDS:
            return _Sum(_WORDS[path[0]], is_template=False)
        if path[0] in _REFUSED:
            raise FeelError(path[0])
        return _Sum(read_data(path), is_template=True)

    def _name(self) -> str:
        words: list[str] = []
        while self._next < len(self._tokens) and self._tokens[self._next][0] in ("word", "number"):
            kind, text = self._tokens[self._next]
            if text in _KEYWORDS or (kind == "number" and (not words or text.startswith("-"))):
                raise FeelError(text)
            words.append(text)
            self._next += 1
        if not words:
            raise FeelError("a name is missing")
        return " ".join(words)

    def _context(self, depth: int) -> JsonValue:
        members: dict[str, JsonValue] = {}
        if self._take("}"):
            return members
        while True:
            kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
            if kind == "text":
                self._next += 1
                key = _unquoted(text)
            else:
                key = self._key()
            self._expect(":")
            members[as_literal(key)] = self.value(depth)
            if self._take("}"):
                return members
            self._expect(",")

    def _key(self) -> str:
        """Give the name of a member, which may be a word of the language."""
        words: list[str] = []
        while self._next < len(self._tokens) and self._tokens[self._next][0] == "word":
            words.append(self._tokens[self._next][1])
            self._next += 1
        if not words:
            raise FeelError("a name is missing")
        return " ".join(words)

    def _items(self, closing: str, depth: int) -> JsonValue:
        items: list[JsonValue] = []
        if self._take(closing):
            return items
        while True:
            items.append(self.value(depth))
            if self._take(closing):
                return items
            self._expect(",")

    def _take(self, sign: str) -> bool:
        is_there = self._next < len(self._tokens) and self._tokens[self._next] == ("sign", sign)
        self._next += is_there
        return is_there

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise FeelError(f"'{sign}' is missing")


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        raise FeelError(text) from None
    return str(value)
