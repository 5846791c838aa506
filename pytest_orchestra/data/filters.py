"""The filters of the expression language: all there are.

They are functions of JSON values alone: no time, no randomness, no access to Python's attributes, and no result that
grows beyond :data:`~pytest_orchestra.data.operators.LONGEST_TEXT`. Names and arguments are Jinja's. Where Jinja
guesses, these are strict: ``'abc'|int`` is an error and not 0, an attribute that an item lacks is an error and not
skipped, ``round`` rounds half away from zero on the decimals as written, ``sort`` and ``unique`` mind case, and what
``map`` and ``select`` give is a list already.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote as percent_encode

from pytest_orchestra.data.arguments import items_of, length_of, number_of, object_of, text_of, whole_of
from pytest_orchestra.data.faults import Absent, Fault, suggest
from pytest_orchestra.data.operators import (
    MISSING,
    calculate,
    check_length,
    compare,
    describe,
    fingerprint,
    is_number,
    item,
    kind_of,
    literal,
    to_json_text,
    to_text,
)
from pytest_orchestra.data.predicates import TESTS

__all__ = ["FILTERS"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,1000}(\.[0-9]{0,1000})?")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,4})?")
_ROUNDING: Final = {"common": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}
_WIDE: Final = Context(prec=400)  # the longest finite float has 309 digits before its point
_MOST_PLACES: Final = 20
_WIDEST_INDENT: Final = 8


def _at(value: object, path: object) -> Any:
    """Follow a dotted path, ``customer.name`` or ``lines.0.sku``."""
    if type(path) is int:
        return item(value, path)
    for name in text_of(path).split("."):
        found = item(value, name)
        if found is MISSING and name.isdecimal():
            found = item(value, int(name))
        if found is MISSING:
            return MISSING
        value = found
    return value


def _each(values: Sequence[Any], attribute: str | None) -> Sequence[Any]:
    """Give the items, or one attribute of each."""
    if attribute is None:
        return values
    return [_needed(value, attribute, index) for index, value in enumerate(values)]


def _needed(value: object, attribute: object, index: int) -> Any:
    found = _at(value, attribute)
    if found is MISSING:
        raise Absent(
            f"'{attribute}' is not in the item at index {index}",
            suggest(attribute, value) if isinstance(value, Mapping) else None,
        )
    if kind_of(found) == "foreign":
        raise Fault(f"{describe(found)} is no JSON value")
    return found


# ---- numbers and text --------------------------------------------------------------------------------------------


def _to_int(value: Any, default: object = MISSING) -> Any:
    if is_number(value) and math.isfinite(value):
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if default is MISSING:
        raise Fault(f"{literal(value)} is no whole number")
    return default


def _to_float(value: Any, default: object = MISSING) -> Any:
    if is_number(value) or (isinstance(value, str) and _DECIMAL.fullmatch(value.strip())):
        number = float(value)
        if math.isfinite(number):
            return number
    if default is MISSING:
        raise Fault(f"{literal(value)} is no number")
    return default


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    if method not in _ROUNDING:
        raise Fault(f"{literal(method)} is no way to round", suggest(method, _ROUNDING))
    if not -_MOST_PLACES <= whole_of(precision) <= _MOST_PLACES:
        raise Fault(f"cannot round to {precision} places")
    if not math.isfinite(number_of(value)):
        raise Fault(f"cannot round {literal(value)}")
    exact = Decimal(value) if isinstance(value, int) else Decimal(repr(float(value)))
    rounded = exact.quantize(Decimal(1).scaleb(-precision), rounding=_ROUNDING[method], context=_WIDE)
    return int(rounded) if precision <= 0 or isinstance(value, int) else float(rounded)


def _absolute(value: Any) -> Any:
    return abs(number_of(value))


def _replace(value: object, old: str, new: str) -> str:
    text = text_of(value)
    count = text.count(text_of(old))
    check_length(len(text) + count * (len(text_of(new)) - len(old)))
    return text.replace(old, new)


def _split(value: object, separator: str | None = None) -> list[str]:
    if separator == "":
        raise Fault("cannot split at nothing")
    return text_of(value).split(None if separator is None else text_of(separator))


def _join(value: object, separator: str = "", attribute: str | None = None) -> str:
    texts = [to_text(entry) for entry in _each(items_of(value), attribute)]
    check_length(sum(map(len, texts)) + len(text_of(separator)) * len(texts))
    return separator.join(texts)


def _to_json(value: object, indent: int | None = None) -> str:
    if indent is not None and not 0 <= whole_of(indent) <= _WIDEST_INDENT:
        raise Fault(f"cannot indent by {indent}")
    return to_json_text(value, indent)


def _b64encode(value: object) -> str:
    return base64.b64encode(text_of(value).encode()).decode("ascii")


def _b64decode(value: object) -> str:
    try:
        return base64.b64decode(text_of(value), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Fault(f"{literal(value)} is no text in base64") from None


def _url_encode(value: object) -> str:
    if isinstance(value, Mapping):
        return "&".join(f"{_url_encode(str(key))}={_url_encode(entry)}" for key, entry in value.items())
    return percent_encode(to_text(value), safe="")


# ---- lists and objects -------------------------------------------------------------------------------------------


def _first(value: object) -> Any:
    return _end(value, 0)


def _last(value: object) -> Any:
    return _end(value, -1)


def _end(value: Any, index: int) -> Any:
    values = value if isinstance(value, str) else items_of(value)
    if not values:
        raise Absent("the list is empty" if not isinstance(value, str) else "the string is empty")
    return values[index]


def _reverse(value: object) -> Any:
    return value[::-1] if isinstance(value, str) else list(reversed(items_of(value)))


def _to_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, (str, Mapping)) else list(items_of(value))


def _keys(value: object) -> list[Any]:
    return list(object_of(value))


def _values(value: object) -> list[Any]:
    return list(object_of(value).values())


def _pairs(value: object) -> list[list[Any]]:
    return [[key, entry] for key, entry in object_of(value).items()]


def _sum(value: object, attribute: str | None = None) -> Any:
    total: Any = 0
    for entry in _each(items_of(value), attribute):
        total = calculate("+", total, number_of(entry))
    return total


def _extreme(sign: str, value: object, attribute: str | None = None) -> Any:
    values = items_of(value)
    if not values:
        raise Absent("the list is empty")
    keys = _each(values, attribute)
    best = 0
    for index in range(1, len(values)):
        if compare(sign, keys[index], keys[best]):
            best = index
    return values[best]


def _minimum(value: object, attribute: str | None = None) -> Any:
    return _extreme("<", value, attribute)


def _maximum(value: object, attribute: str | None = None) -> Any:
    return _extreme(">", value, attribute)


def _sort(value: object, reverse: bool = False, attribute: str | None = None) -> list[Any]:
    values = items_of(value)
    keys = _each(values, attribute)
    for one, other in pairwise(keys):
        compare("<", one, other)  # says what cannot be ordered
    order = sorted(range(len(values)), key=lambda index: keys[index], reverse=bool(reverse))
    return [values[index] for index in order]


def _unique(value: object, attribute: str | None = None) -> list[Any]:
    values = items_of(value)
    found: dict[Any, Any] = {}
    for entry, key in zip(values, _each(values, attribute), strict=True):
        found.setdefault(fingerprint(key), entry)
    return list(found.values())


def _map(
    value: object, name: str | None = None, *args: object, attribute: object = None, default: object = MISSING
) -> list[Any]:
    values = items_of(value)
    if name is None:
        if attribute is None:
            raise Fault("'map' needs the name of a filter, or 'attribute'")
        return [_mapped(entry, attribute, default, index) for index, entry in enumerate(values)]
    mapped, length = [], 0
    for entry in values:
        mapped.append(_apply(FILTERS, "filter", name, entry, args))
        length += len(mapped[-1]) if isinstance(mapped[-1], (str, list)) else 0
        check_length(length)
    return mapped


def _mapped(value: object, attribute: object, default: object, index: int) -> Any:
    if default is not MISSING and _at(value, attribute) is MISSING:
        return default
    return _needed(value, attribute, index)


def _select(value: object, name: str | None = None, *args: object) -> list[Any]:
    return [entry for entry in items_of(value) if _passes(entry, name, args)]


def _reject(value: object, name: str | None = None, *args: object) -> list[Any]:
    return [entry for entry in items_of(value) if not _passes(entry, name, args)]


def _select_by(value: object, attribute: str, name: str | None = None, *args: object) -> list[Any]:
    return [e for index, e in enumerate(items_of(value)) if _passes_by(e, attribute, index, name, args)]


def _reject_by(value: object, attribute: str, name: str | None = None, *args: object) -> list[Any]:
    return [e for index, e in enumerate(items_of(value)) if not _passes_by(e, attribute, index, name, args)]


def _passes(value: object, name: str | None, args: Sequence[object]) -> bool:
    return bool(value) if name is None else bool(_apply(TESTS, "test", name, value, args))


def _passes_by(value: object, attribute: str, index: int, name: str | None, args: Sequence[object]) -> bool:
    if name in ("defined", "undefined"):
        return (_at(value, attribute) is MISSING) is (name == "undefined")
    if name is None:
        found = _at(value, attribute)
        return found is not MISSING and bool(found)
    return _passes(_needed(value, attribute, index), name, args)


def _apply(
    table: Mapping[str, Callable[..., Any]], noun: str, name: object, value: object, args: Sequence[object]
) -> Any:
    """Apply a filter or test that is given by its name."""
    function = table.get(name) if isinstance(name, str) else None
    if function is None:
        raise Fault(f"there is no {noun} {literal(name)}", suggest(name, table))
    try:
        return function(value, *args)
    except TypeError:
        raise Fault(f"{noun} '{name}' does not take ({', '.join(literal(arg) for arg in args)})") from None


def _default(value: Any, default_value: object = "", boolean: bool = False) -> Any:
    """Give the value; the expression itself answers for what is undefined."""
    return default_value if boolean and not value else value


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "abs": _absolute,
    "b64decode": _b64decode,
    "b64encode": _b64encode,
    "capitalize": lambda value: text_of(value).capitalize(),
    "count": length_of,
    "d": _default,
    "default": _default,
    "first": _first,
    "float": _to_float,
    "int": _to_int,
    "items": _pairs,
    "join": _join,
    "keys": _keys,
    "last": _last,
    "length": length_of,
    "list": _to_list,
    "lower": lambda value: text_of(value).lower(),
    "map": _map,
    "max": _maximum,
    "min": _minimum,
    "reject": _reject,
    "rejectattr": _reject_by,
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "select": _select,
    "selectattr": _select_by,
    "sort": _sort,
    "split": _split,
    "string": to_text,
    "sum": _sum,
    "tojson": _to_json,
    "trim": lambda value: text_of(value).strip(),
    "unique": _unique,
    "upper": lambda value: text_of(value).upper(),
    "urlencode": _url_encode,
    "values": _values,
}
