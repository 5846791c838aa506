"""What the operators of the expression language do with JSON values.

The values are those of JSON, not of Python: ``true`` is not ``1``, ``1`` is ``1.0``, ``0.1 + 0.2`` is ``0.3`` (decimals
are calculated exactly as written), numbers are ordered among numbers and strings among strings. Whatever has no
sensible answer is a :class:`Fault`, and no operation can be made to fill the memory.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from typing import Any, Final

from pytest_orchestra.data.faults import Fault

__all__ = [
    "LONGEST_TEXT",
    "MISSING",
    "calculate",
    "check_length",
    "compare",
    "contains",
    "describe",
    "fingerprint",
    "is_equal",
    "is_number",
    "item",
    "kind_of",
    "literal",
    "quote",
    "to_json_text",
    "to_text",
]

LONGEST_TEXT: Final = 10_000_000
"""The longest string or list that an operator or filter makes, in characters or items."""

_MOST_BITS: Final = 4096
"""The largest whole number that an operator makes."""

MISSING: Final = object()
"""What :func:`item` gives where there is nothing; null is a value."""

_FOREIGN: Final = "foreign"
_KINDS: Final[dict[type, str]] = {
    dict: "object",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "list",
    tuple: "list",
}
_SCALARS: Final = frozenset({str, int, bool, type(None)})


def kind_of(value: object) -> str:
    """Give the JSON kind: null, boolean, number, string, list, object; ``foreign`` for all else."""
    known = _KINDS.get(type(value))
    if known is not None:
        return known
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, (list, tuple)) else _FOREIGN


def is_number(value: object) -> bool:
    """Tell whether a value is a JSON number; booleans are not."""
    return kind_of(value) == "number"


def describe(value: object) -> str:
    """Say in words what a value is."""
    kind = kind_of(value)
    if kind == "null":
        return "null"
    if kind == "list":
        return f"a list of {len(value)}"  # type: ignore[arg-type]
    if kind == _FOREIGN:
        return f"a '{type(value).__name__}'"
    return f"an {kind}" if kind == "object" else f"a {kind}"


def quote(text: str) -> str:
    """Write a string as the expression language reads it; its escapes are Python's."""
    return repr(str(text))


def literal(value: object, limit: int = 80) -> str:
    """Write a value as the expression language reads it, cut to about ``limit`` characters."""
    kind = kind_of(value)
    if kind == "string":
        text = str(value)
        return quote(text) if len(text) <= limit else quote(text[:limit]) + "…"
    if kind in ("null", "boolean"):
        return {None: "null", True: "true", False: "false"}[value]  # type: ignore[index]
    if kind == "number":
        return _cut(repr(value), limit)
    if kind in ("list", "object"):
        try:
            shown = _container(value, limit)
        except RecursionError:
            return describe(value)
        return _cut(shown, limit)
    return describe(value)


def _container(value: Any, limit: int) -> str:
    left, parts = limit, []
    is_object = isinstance(value, Mapping)
    for entry in value.items() if is_object else value:
        if left <= 0:
            parts.append("…")
            break
        shown = f"{quote(str(entry[0]))}: {literal(entry[1], left)}" if is_object else literal(entry, left)
        left -= len(shown)
        parts.append(shown)
    joined = ", ".join(parts)
    return f"{{{joined}}}" if is_object else f"[{joined}]"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def to_text(value: object) -> str:
    """Give a value as it stands inside a longer text: strings as they are, all else as compact JSON."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str(value)
    return to_json_text(value)


def to_json_text(value: object, indent: int | None = None) -> str:
    """Give a value as JSON text: compact, or indented by that many spaces."""
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=separators, indent=indent, default=_plain
        )
    except (ValueError, TypeError):  # not finite, or a key that is no string
        raise Fault(f"{literal(value)} cannot be written as JSON") from None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise Fault(f"{describe(value)} is no JSON value")


def item(value: object, key: object) -> Any:
    """Give what an object has at a key, or a list or string at an index; ``MISSING`` if nothing. No attributes."""
    if isinstance(value, Mapping):
        try:
            if key in value:
                return value[key]
            return value[str(key)] if type(key) is int and str(key) in value else MISSING
        except TypeError:  # a list or object as key
            return MISSING
    if type(key) is int and isinstance(value, (list, tuple, str)) and -len(value) <= key < len(value):
        return value[key]
    return MISSING


def is_equal(left: object, right: object) -> bool:
    """Tell whether two JSON values are the same. Raises :class:`Fault` on values that are not JSON."""
    kind = type(left)
    if kind is type(right) and kind in _SCALARS:
        return left == right
    left_kind, right_kind = kind_of(left), kind_of(right)
    for side, its_kind in ((left, left_kind), (right, right_kind)):
        if its_kind == _FOREIGN:
            raise Fault(f"{describe(side)} is no JSON value and cannot be compared")
    if left_kind != right_kind:
        return False
    if left_kind == "object":
        return _are_equal_objects(left, right)  # type: ignore[arg-type]
    if left_kind == "list":
        return len(left) == len(right) and all(map(is_equal, left, right))  # type: ignore[arg-type, call-overload]
    return left == right


def _are_equal_objects(left: Mapping[object, object], right: Mapping[object, object]) -> bool:
    if len(left) != len(right):
        return False
    return all(key in right for key in left) and all(is_equal(value, right[key]) for key, value in left.items())


def fingerprint(value: object) -> Hashable:
    """Give something hashable that is equal exactly where the values are."""
    kind = kind_of(value)
    if kind == "list":
        return kind, tuple(map(fingerprint, value))  # type: ignore[call-overload]
    if kind == "object":
        return kind, frozenset((key, fingerprint(entry)) for key, entry in value.items())  # type: ignore[attr-defined]
    if kind == _FOREIGN:
        raise Fault(f"{describe(value)} is no JSON value and cannot be compared")
    return kind, value


_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(sign: str, left: object, right: object) -> bool:
    """Hold two values against each other: ``== != < <= > >= in`` and ``not in``."""
    if sign == "==":
        return is_equal(left, right)
    if sign == "!=":
        return not is_equal(left, right)
    if sign == "in":
        return contains(right, left)
    if sign == "not in":
        return not contains(right, left)
    kind = kind_of(left)
    if kind != kind_of(right) or kind not in ("number", "string"):
        raise Fault(f"cannot compare {literal(left)} {sign} {literal(right)}")
    return _ORDERS[sign](left, right)


def contains(container: object, value: object) -> bool:
    """Tell whether a list has an item, a string a part, an object a key."""
    kind = kind_of(container)
    if kind == "list":
        return any(is_equal(entry, value) for entry in container)  # type: ignore[attr-defined]
    if kind in ("string", "object"):
        if not isinstance(value, str):
            raise Fault(f"cannot look for {literal(value)} in {describe(container)}")
        return value in container  # type: ignore[operator]
    raise Fault(f"cannot look for {literal(value)} in {describe(container)}")


def check_length(length: int) -> None:
    """Raise :class:`Fault` where a result would be longer than anything sensible."""
    if length > LONGEST_TEXT:
        raise Fault(f"the result would be longer than {LONGEST_TEXT} characters or items")


def calculate(sign: str, left: Any, right: Any) -> Any:
    """Do ``+ - * / // % **`` on numbers; ``+`` also joins two strings or two lists."""
    kinds = {kind_of(left), kind_of(right)}
    if kinds != {"number"}:
        if sign == "+" and kinds in ({"string"}, {"list"}):
            check_length(len(left) + len(right))
            return left + right if kinds == {"string"} else [*left, *right]
        hint = "join text with '~'" if sign == "+" and "string" in kinds else None
        raise Fault(f"cannot calculate {literal(left)} {sign} {literal(right)}", hint)
    try:
        if sign == "**":
            result = _power(left, right)
        elif isinstance(left, int) and isinstance(right, int):
            result = _whole(sign, left, right)
        else:
            result = float(_ARITHMETIC[sign](_exact(left), _exact(right)))
    except ZeroDivisionError:
        raise Fault(f"cannot calculate {literal(left)} {sign} {literal(right)}: division by zero") from None
    except OverflowError:
        raise _too_large(left, sign, right) from None
    return result


_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def _whole(sign: str, left: int, right: int) -> Any:
    if left.bit_length() + right.bit_length() > _MOST_BITS:
        raise _too_large(left, sign, right)
    return _ARITHMETIC[sign](left, right)


def _power(left: float, right: float) -> int | float:
    if isinstance(left, int) and isinstance(right, int) and right >= 0:
        if left.bit_length() * right > _MOST_BITS:
            raise _too_large(left, "**", right)
        return int(left**right)
    if left < 0 and not float(right).is_integer():
        raise Fault(f"cannot calculate {literal(left)} ** {literal(right)}: the result is no real number")
    return float(float(left) ** float(right))


def _exact(number: float) -> Fraction:
    if isinstance(number, int):
        return Fraction(number)
    if not math.isfinite(number):
        raise Fault(f"cannot calculate with {literal(number)}")
    return Fraction(repr(float(number)))


def _too_large(left: float, sign: str, right: float) -> Fault:
    return Fault(f"cannot calculate {literal(left, 30)} {sign} {literal(right, 30)}: the result is too large")
