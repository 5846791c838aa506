"""The words and signs of a condition, and the language that it is written in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pytest_orchestra.generation.limits import MAX_CONDITION_LENGTH

__all__ = ["Language", "NotUnderstoodError", "Token", "TokenReader", "language_of", "tokens_of", "unquote"]


class Language(StrEnum):
    """What the grammar depends on: how names are spelled, where a list begins, and what ``/`` means."""

    FEEL = "feel"
    XPATH = "xpath"
    PYTHON = "python"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, sign, number, quoted text or quoted name; ``end`` closes the list. ``glued`` follows without a gap."""

    kind: str
    text: str
    glued: bool = False


_XPATH_TEXT = re.compile(r"^\s*\$\w|\bget(?:DataObject|DataInput|DataProperty|ProcessProperty)\s*\(|/@")
_DATE_AND_TIME = re.compile(r"\bdate and time(?=\s*\()")
_WORD = r"[^\W\d]\w*"
_XML_WORD = r"[^\W\d][\w-]*"
_PATTERN = r"""(?P<gap>\s*)(?:
      @?(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | `(?P<name>[^`]+)`
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[LlDdFfMmG]?(?!\w))(?!\.\d))[LlDdFfMmG]?
    | (?P<word>%s)
    | (?P<sign>===|!==|==|!=|<>|<=|>=|&&|\|\||\?\.|\.\.|//|\$\{|\#\{|\{\{|\}\}|[=<>!()\[\],.:;+\-*/%%?{}@$\#])
    | (?P<other>\S)
    )"""
_TOKEN = re.compile(_PATTERN % _WORD, re.VERBOSE)
_XML_TOKEN = re.compile(_PATTERN % _XML_WORD, re.VERBOSE)
_OPENING = frozenset({"${", "#{", "{{"})
_CLOSING = frozenset({"}", "}}"})
_LOGICAL = {"AND": "and", "OR": "or", "NOT": "not"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def language_of(text: str, language: str | None) -> Language:
    """Say how a condition is read: by its text, then by the language that its element states.

    What a file states for all its expressions is mostly the default of a tool, and is not asked.
    """
    bare = text.lstrip()
    if bare.startswith("=") and not bare.startswith("=="):
        return Language.FEEL
    if bare.startswith(("${", "#{", "{{")):
        return Language.OTHER
    stated = (language or "").casefold()
    if "feel" in stated or "dmn" in stated:
        return Language.FEEL
    if "xpath" in stated or (not stated and _XPATH_TEXT.search(text)):
        return Language.XPATH
    return Language.PYTHON if "python" in stated else Language.OTHER


def tokens_of(text: str, language: Language) -> list[Token] | None:
    """Give the tokens of a condition; None if it is empty or too long. What is no token has the kind ``other``."""
    bare = text.strip()
    if language is Language.FEEL:
        bare = _DATE_AND_TIME.sub("date_and_time", bare)
        if bare.startswith("=") and not bare.startswith("=="):
            bare = bare[1:]
    bare = bare.strip()
    if not bare or len(bare) > MAX_CONDITION_LENGTH:
        return None
    pattern = _XML_TOKEN if language is Language.XPATH else _TOKEN
    found: list[Token] = []
    position = 0
    while position < len(bare):
        token = pattern.match(bare, position)
        if token is None:
            return None
        kind = str(token.lastgroup)
        spelling = str(token[kind])
        if kind == "word":
            spelling = _LOGICAL.get(spelling, spelling)
        elif kind == "sign":  # what encloses an expression groups it as parentheses do
            spelling = "(" if spelling in _OPENING else ")" if spelling in _CLOSING else spelling
        found.append(Token(kind, spelling, not token["gap"]))
        position = token.end()
    return found


def unquote(spelling: str) -> str:
    """Give the text that a quoted one stands for."""
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), spelling[1:-1], flags=re.DOTALL)


class NotUnderstoodError(Exception):
    """The text is no expression of the common language."""


class TokenReader:
    """Reads tokens one after the other, with a look at the next two."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = [*tokens, Token("end", ""), Token("end", "")]
        self._at = 0

    def _sees(self, *spellings: str) -> bool:
        token = self._tokens[self._at]
        return token.kind in ("word", "sign") and token.text in spellings

    def _sees_next(self, *spellings: str) -> bool:
        token = self._tokens[self._at + 1]
        return token.kind in ("word", "sign") and token.text in spellings

    def _take(self, *spellings: str) -> str | None:
        if not self._sees(*spellings):
            return None
        self._at += 1
        return self._tokens[self._at - 1].text

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind == "end":
            raise NotUnderstoodError
        self._at += 1
        return token

    def _demand(self, spelling: str) -> None:
        if self._take(spelling) is None:
            raise NotUnderstoodError

    def _skip(self, end: str) -> None:
        """Leave a parenthesis that is not understood: go on behind the sign that closes it."""
        depth = 0
        while depth or not self._sees(end):
            token = self._next()
            if token.kind == "sign":
                depth += (token.text in "([") - (token.text in ")]")
            if depth < 0:
                raise NotUnderstoodError
        self._at += 1
