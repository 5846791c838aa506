"""What filters, tests and methods take: each function gives its argument, or is a fault where the kind is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_orchestra.data.faults import Fault
from pytest_orchestra.data.operators import describe, is_number, kind_of, literal

__all__ = ["items_of", "length_of", "number_of", "object_of", "text_of", "whole_of"]


def items_of(value: object) -> Sequence[Any]:
    """Give a value that is a list."""
    if kind_of(value) != "list":
        raise Fault(f"a list is needed, not {describe(value)}")
    return value  # type: ignore[return-value]


def text_of(value: object) -> str:
    """Give a value that is a string."""
    if not isinstance(value, str):
        raise Fault(f"a string is needed, not {describe(value)}")
    return value


def number_of(value: Any) -> Any:
    """Give a value that is a number."""
    if not is_number(value):
        raise Fault(f"a number is needed, not {describe(value)}")
    return value


def whole_of(value: object) -> int:
    """Give a value that is a whole number."""
    if type(value) is not int:
        raise Fault(f"a whole number is needed, not {literal(value)}")
    return value


def length_of(value: Any) -> int:
    """Give the length of a list, string or object."""
    if kind_of(value) not in ("list", "string", "object"):
        raise Fault(f"{describe(value)} has no length")
    return len(value)


def object_of(value: object) -> Mapping[Any, Any]:
    """Give a value that is an object."""
    if not isinstance(value, Mapping):
        raise Fault(f"an object is needed, not {describe(value)}")
    return value
