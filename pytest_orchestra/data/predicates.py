"""The tests of the expression language: what can stand after ``is``, and in ``select`` and ``reject``.

Regular expressions are those of Rust's ``regex``: linear in time whatever the pattern, without look-around and
back-references. ``matching`` wants the whole string to match.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from pydantic_core import SchemaError, SchemaValidator, core_schema

from pytest_orchestra.data.arguments import length_of, text_of
from pytest_orchestra.data.faults import Fault
from pytest_orchestra.data.operators import (
    MISSING,
    calculate,
    compare,
    contains,
    is_number,
    kind_of,
    literal,
)

__all__ = ["TESTS", "check_pattern"]


@lru_cache(maxsize=256)
def check_pattern(pattern: str) -> SchemaValidator:
    """Give what tells whether a whole string matches a regular expression. Raises :class:`Fault` if it is none."""
    wrapped = f"\\A(?:{pattern})\\z"
    try:
        _matcher(pattern)  # by itself first: a stray bracket must not find its partner in ours
        return _matcher(wrapped)
    except SchemaError as error:
        reason = str(error).rpartition("rror: ")[2].strip().rstrip(".")
        raise Fault(f"{literal(pattern)} is no regular expression: {reason[:1].lower()}{reason[1:]}") from None


def _matcher(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True))


def _is_matching(value: object, pattern: str) -> bool:
    validator = check_pattern(text_of(pattern))
    return isinstance(value, str) and validator.isinstance_python(value)


def _is_whole(value: Any) -> bool:
    return is_number(value) and math.isfinite(value) and int(value) == value


def _divisible(value: object, divisor: object) -> bool:
    return bool(calculate("%", value, divisor) == 0)


def _is_defined(value: object) -> bool:
    """Hold for every value that there is; the expression itself answers for what is not there."""
    return value is not MISSING


def _test_of(sign: str) -> Callable[[object, object], bool]:
    def test(value: object, other: object) -> bool:
        return compare(sign, value, other)

    return test


def _kind_test(kind: str) -> Callable[[object], bool]:
    def test(value: object) -> bool:
        return kind_of(value) == kind

    return test


TESTS: Final[dict[str, Callable[..., bool]]] = {
    "boolean": _kind_test("boolean"),
    "contains": contains,
    "containing": contains,
    "defined": _is_defined,
    "divisibleby": _divisible,
    "empty": lambda value: length_of(value) == 0,
    "even": lambda value: _divisible(value, 2),
    "false": lambda value: value is False,
    "float": lambda value: is_number(value) and isinstance(value, float),
    "in": _test_of("in"),
    "integer": _is_whole,
    "iterable": lambda value: kind_of(value) in ("list", "string", "object"),
    "list": _kind_test("list"),
    "lower": lambda value: text_of(value).islower(),
    "mapping": _kind_test("object"),
    "matching": _is_matching,
    "none": lambda value: value is None,
    "null": lambda value: value is None,
    "number": is_number,
    "object": _kind_test("object"),
    "odd": lambda value: not _divisible(value, 2) and _is_whole(value),
    "sequence": _kind_test("list"),
    "string": _kind_test("string"),
    "true": lambda value: value is True,
    "undefined": lambda value: not _is_defined(value),
    "upper": lambda value: text_of(value).isupper(),
    "eq": _test_of("=="),
    "equalto": _test_of("=="),
    "ne": _test_of("!="),
    "lt": _test_of("<"),
    "lessthan": _test_of("<"),
    "le": _test_of("<="),
    "gt": _test_of(">"),
    "greaterthan": _test_of(">"),
    "ge": _test_of(">="),
}
