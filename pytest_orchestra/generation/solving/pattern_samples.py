"""Texts that match a regular expression, for the plain expressions that schemas use."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_orchestra.generation.limits import MAX_PATTERN_LENGTH

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["is_pattern", "matches", "sample_of"]

_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_ALPHABET: tuple[str, ...] = tuple(dict.fromkeys((*"a0A1bB-_ .@/+", *map(chr, range(33, 127)))))


@lru_cache(maxsize=256)
def _validator(pattern: str) -> jsonschema_rs.Draft202012Validator | None:
    """Give what checks a pattern in linear time; None if the pattern is no regular expression."""
    import jsonschema_rs  # noqa: PLC0415  a large library that most plans never need

    try:
        return jsonschema_rs.Draft202012Validator({"type": "string", "pattern": pattern})
    except (ValueError, jsonschema_rs.ValidationError):
        return None


def is_pattern(pattern: str) -> bool:
    """Whether a text is a regular expression that can be checked."""
    return len(pattern) <= MAX_PATTERN_LENGTH and _validator(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether a text has a match of a pattern anywhere, as JSON Schema means it."""
    validator = _validator(pattern)
    return validator is not None and bool(validator.is_valid(text))


class _NotPlainError(Exception):
    """The expression has something for which no sample is made."""


def sample_of(pattern: str, shortest: int = 0) -> str | None:
    """Give a text that matches, with at least so many characters where a repetition allows; None if none is found."""
    for wanted in dict.fromkeys((0, 1, shortest)):
        try:
            sample = _Sampler(pattern, wanted).whole()
        except (_NotPlainError, IndexError):
            return None
        if len(sample) >= shortest and matches(pattern, sample):
            return sample
    return None


class _Sampler:
    """Reads an expression and writes the first text that it describes; repetitions as seldom as ``wanted`` allows."""

    def __init__(self, pattern: str, wanted: int) -> None:
        self._pattern = pattern
        self._wanted = wanted
        self._at = 0
        self._depth = 0

    def whole(self) -> str:
        sample = self._alternatives()
        if self._at < len(self._pattern):
            raise _NotPlainError
        return sample

    def _peek(self) -> str:
        return self._pattern[self._at] if self._at < len(self._pattern) else ""

    def _alternatives(self) -> str:
        self._depth += 1
        if self._depth > 20:  # noqa: PLR2004  deeper ones are no plain expressions
            raise _NotPlainError
        first = self._sequence()
        while self._peek() == "|":
            self._at += 1
            self._sequence()
        self._depth -= 1
        return first

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._peek() not in ("", "|", ")"):
            part = self._one()
            least, most = self._repetition()
            times = least if most is None or least == most else min(most, max(least, self._wanted))
            if most is None:
                times = max(least, self._wanted)
            if times > MAX_PATTERN_LENGTH:
                raise _NotPlainError
            parts.append(part * times)
        return "".join(parts)

    def _one(self) -> str:
        sign: str = self._pattern[self._at]
        self._at += 1
        if sign in "^$":
            return ""
        if sign == ".":
            return "a"
        if sign == "(":
            return self._group()
        if sign == "[":
            return self._choice()
        if sign == "\\":
            return self._escape()
        if sign in "*+?{":
            raise _NotPlainError
        return sign

    def _group(self) -> str:
        if self._peek() == "?":
            if not self._pattern.startswith("?:", self._at):
                raise _NotPlainError
            self._at += 2
        sample = self._alternatives()
        if self._peek() != ")":
            raise _NotPlainError
        self._at += 1
        return sample

    def _escape(self) -> str:
        sign: str = self._pattern[self._at]
        self._at += 1
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign in "bB":
            return ""
        if sign.isalnum():
            raise _NotPlainError
        return sign

    def _choice(self) -> str:
        end = self._at + (self._pattern[self._at] == "^") + 1
        while self._pattern[end] != "]":
            end += 1 + (self._pattern[end] == "\\")
        choice = f"[{self._pattern[self._at : end]}]"
        self._at = end + 1
        for sign in _ALPHABET:
            if matches(f"^{choice}$", sign):
                return sign
        raise _NotPlainError

    def _repetition(self) -> tuple[int, int | None]:
        sign = self._peek()
        found: tuple[int, int | None] = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign, (1, 1))
        if sign == "{":
            numbers = re.match(r"\{(\d+)(,(\d*))?\}", self._pattern[self._at :])
            if numbers is None:
                raise _NotPlainError
            least = int(numbers[1])
            found = (least, least if numbers[2] is None else int(numbers[3]) if numbers[3] else None)
            self._at += len(numbers[0]) - 1
        if sign and sign in "*+?{":
            self._at += 1
            if self._peek() == "?":
                self._at += 1
        return found
