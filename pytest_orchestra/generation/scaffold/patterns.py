"""A text that matches a regular expression, for the part of the syntax that schemas use."""

from __future__ import annotations

import re
import string
from typing import Final

__all__ = ["text_matching"]

MAX_LENGTH: Final = 2_000
"""Characters of a pattern that is still read, and of a text that is still made."""

_CLASSES: Final = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_COUNT: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_CANDIDATES: Final = string.ascii_lowercase + string.ascii_uppercase + string.digits + "-_ .:/+@#" + string.punctuation


class _TooHardError(ValueError):
    """The pattern uses what is not understood here."""


def text_matching(pattern: str, minimum: int = 0) -> str | None:
    """Give a short text, of at least ``minimum`` characters if that is possible, in which the pattern is found.

    None where the pattern is not understood; what is given has been tried.
    """
    if len(pattern) > MAX_LENGTH:
        return None
    for repeat in (1, max(minimum, 1)):
        try:
            maker = _Maker(pattern, repeat)
            text = maker.alternatives()
            maker.end()
            if len(text) >= minimum and len(text) <= MAX_LENGTH and re.search(pattern, text) is not None:
                return text
        except (_TooHardError, re.error, RecursionError, OverflowError):
            return None
    return None


class _Maker:
    """Reads a pattern and makes a text on the way; what repeats without end is made ``repeat`` times."""

    def __init__(self, pattern: str, repeat: int) -> None:
        self._pattern = pattern
        self._repeat = repeat
        self._next = 0

    def end(self) -> None:
        if self._next < len(self._pattern):
            raise _TooHardError

    def alternatives(self) -> str:
        first = self._sequence()
        while self._take("|"):
            self._sequence()
        return first

    def _sequence(self) -> str:
        made: list[str] = []
        while self._next < len(self._pattern) and self._pattern[self._next] not in "|)":
            if self._take("^") or self._take("$"):
                continue
            atom = self._atom()
            made.append(atom * self._count())
            if sum(map(len, made)) > MAX_LENGTH:
                raise _TooHardError
        return "".join(made)

    def _atom(self) -> str:
        character = self._pattern[self._next]
        self._next += 1
        if character == "\\":
            return self._escaped()
        if character == "[":
            return self._one_of_class()
        if character == "(":
            if self._take("?") and not (self._take(":") or self._take_name()):
                raise _TooHardError
            inner = self.alternatives()
            if not self._take(")"):
                raise _TooHardError
            return inner
        if character in "*+?{":
            raise _TooHardError
        return "a" if character == "." else character

    def _take_name(self) -> bool:
        match = re.match(r"P?<\w+>", self._pattern[self._next :])
        self._next += match.end() if match else 0
        return match is not None

    def _escaped(self) -> str:
        if self._next >= len(self._pattern):
            raise _TooHardError
        character = self._pattern[self._next]
        self._next += 1
        if character in "bBAZz":
            return ""
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            raise _TooHardError
        return character

    def _one_of_class(self) -> str:
        start = self._next - 1
        self._take("^")
        self._take("]")
        while self._next < len(self._pattern) and self._pattern[self._next] != "]":
            self._next += 2 if self._pattern[self._next] == "\\" else 1
        self._next += 1
        try:
            compiled = re.compile(self._pattern[start : self._next])
        except re.error:
            raise _TooHardError from None
        written = self._pattern[start : self._next]
        found: str | None = next((each for each in (*_CANDIDATES, *written) if compiled.fullmatch(each)), None)
        if found is None:
            raise _TooHardError
        return found

    def _count(self) -> int:
        count = 1
        match = _COUNT.match(self._pattern, self._next)
        if match is not None:
            self._next = match.end()
            low = int(match[1])
            high = low if match[2] is None else int(match[2]) if match[2] else None
            count = max(low, self._repeat) if high is None else max(low, min(high, self._repeat))
        elif self._take("*") or self._take("+"):
            count = self._repeat
        elif self._take("?"):
            count = 1
        else:
            return 1
        self._take("?")  # lazy
        self._take("+")  # possessive
        return count

    def _take(self, sign: str) -> bool:
        is_there = self._pattern.startswith(sign, self._next)
        self._next += len(sign) if is_there else 0
        return is_there
