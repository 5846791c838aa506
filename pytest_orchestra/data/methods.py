"""The methods of the expression language: the harmless ones of strings, lists and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pytest_orchestra.data.faults import Fault
from pytest_orchestra.data.filters import FILTERS
from pytest_orchestra.data.operators import MISSING, describe, is_equal, item, kind_of, literal

__all__ = ["METHODS", "call_method"]


def _count(values: Sequence[object], value: object) -> int:
    return sum(is_equal(entry, value) for entry in values)


def _get(value: Mapping[str, object], key: str, default: object = None) -> object:
    found = item(value, key)
    return default if found is MISSING else found


METHODS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "capitalize": {"string": str.capitalize},
    "count": {"string": str.count, "list": _count},
    "endswith": {"string": str.endswith},
    "find": {"string": str.find},
    "get": {"object": _get},
    "isalnum": {"string": str.isalnum},
    "isalpha": {"string": str.isalpha},
    "isdigit": {"string": str.isdigit},
    "items": {"object": FILTERS["items"]},
    "keys": {"object": FILTERS["keys"]},
    "lower": {"string": str.lower},
    "lstrip": {"string": str.lstrip},
    "removeprefix": {"string": str.removeprefix},
    "removesuffix": {"string": str.removesuffix},
    "replace": {"string": FILTERS["replace"]},
    "rstrip": {"string": str.rstrip},
    "split": {"string": FILTERS["split"]},
    "splitlines": {"string": str.splitlines},
    "startswith": {"string": str.startswith},
    "strip": {"string": str.strip},
    "title": {"string": str.title},
    "upper": {"string": str.upper},
    "values": {"object": FILTERS["values"]},
}
"""The methods that can be called, by name and by the kind of what has them. An object's key of that name hides them."""


def call_method(value: object, name: str, args: Sequence[object]) -> Any:
    """Call a method of a string, list or object."""
    hidden = item(value, name) if isinstance(value, Mapping) else MISSING
    if hidden is not MISSING:
        raise Fault(f"'{name}' is {describe(hidden)} here and cannot be called")
    method = METHODS[name].get(kind_of(value))
    if method is None:
        raise Fault(f"{describe(value)} has no method '{name}'")
    try:
        return method(value, *args)
    except TypeError:
        raise Fault(f"method '{name}' does not take ({', '.join(literal(arg) for arg in args)})") from None
