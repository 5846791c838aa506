"""Conditions of branches as expressions over data, with three-valued evaluation.

What cannot be known stays unknown: a name that the data does not hold (the process decides on it), a call, a
comparison of things that languages compare differently. ``and`` and ``or`` follow Kleene's strong logic, so that an
unknown part does not hide what is known.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = [
    "UNKNOWN",
    "Arithmetic",
    "Collection",
    "Comparison",
    "Dialect",
    "Expression",
    "Junction",
    "Literal",
    "Name",
    "Negation",
    "Opaque",
    "Property",
    "Unknown",
    "names_in",
    "truth_of",
    "value_of",
]


class Dialect(StrEnum):
    """How values are compared: as templates do (Python), or carefully, where the model's language is anyone's guess."""

    TEMPLATE = "template"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The value of what cannot be known before the run."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class Name:
    """A path into the data: ``data.order.amount`` and ``order.amount`` alike are ``("order", "amount")``."""

    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part that is not understood."""

    text: str


@dataclass(frozen=True, slots=True)
class Negation:
    """``not operand``."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Junction:
    """``and`` (``conjunctive``) or ``or`` of two or more parts."""

    conjunctive: bool
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` or ``in`` between two operands."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``+``, ``-``, ``*``, ``/`` or ``%`` of two numbers (``+`` also of two texts)."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Collection:
    """A list of values."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Property:
    """Whether the operand is ``defined``, ``none`` or ``empty``."""

    name: str
    operand: Expression


Expression: TypeAlias = Literal | Name | Opaque | Negation | Junction | Comparison | Arithmetic | Collection | Property

_ORDERINGS: Mapping[str, Callable[[Any, Any], object]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMERIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def names_in(expression: Expression) -> tuple[tuple[str | int, ...], ...]:
    """Give the paths that an expression reads, each once, in the order of the text."""
    found: dict[tuple[str | int, ...], None] = {}
    waiting: list[Expression] = [expression]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Name):
            found.setdefault(part.path)
        elif isinstance(part, Negation | Property):
            waiting.append(part.operand)
        elif isinstance(part, Junction):
            waiting.extend(reversed(part.parts))
        elif isinstance(part, Comparison | Arithmetic):
            waiting.extend((part.right, part.left))
        elif isinstance(part, Collection):
            waiting.extend(reversed(part.items))
    return tuple(found)


def truth_of(expression: Expression, data: JsonObject, dialect: Dialect) -> bool | None:
    """Say whether an expression holds for the data: True, False, or None where that is unknown."""
    if isinstance(expression, Negation):
        inner = truth_of(expression.operand, data, dialect)
        return None if inner is None else not inner
    if isinstance(expression, Junction):
        decisive = not expression.conjunctive
        unknown = False
        for part in expression.parts:
            held = truth_of(part, data, dialect)
            if held is decisive:
                return decisive
            unknown = unknown or held is None
        return None if unknown else not decisive
    value = value_of(expression, data, dialect)
    return None if isinstance(value, Unknown) else _truthiness(value, dialect)


def value_of(expression: Expression, data: JsonObject, dialect: Dialect) -> JsonValue | Unknown:
    """Give the value of an expression for the data, or ``UNKNOWN``."""
    match expression:
        case Literal(value):
            return value
        case Name(path):
            return _look_up(path, data)
        case Opaque():
            return UNKNOWN
        case Negation() | Junction():
            held = truth_of(expression, data, dialect)
            return UNKNOWN if held is None else held
        case Collection(items):
            return _collect([value_of(item, data, dialect) for item in items])
        case Property(name, operand):
            return _has_property(name, operand, data, dialect)
        case Comparison(symbol, left, right):
            return _compare(symbol, value_of(left, data, dialect), value_of(right, data, dialect), dialect)
        case Arithmetic(symbol, left, right):
            return _calculate(symbol, value_of(left, data, dialect), value_of(right, data, dialect))


def _look_up(path: tuple[str | int, ...], data: JsonObject) -> JsonValue | Unknown:
    steps = path[1:] if path[0] == "data" and len(path) > 1 and "data" not in data else path
    value: JsonValue | Unknown = data
    for step in steps:
        value = _member(value, step)
    return value


def _member(value: JsonValue | Unknown, step: str | int) -> JsonValue | Unknown:
    if isinstance(step, str):
        return value[step] if isinstance(value, Mapping) and step in value else UNKNOWN
    if isinstance(value, Sequence) and not isinstance(value, str) and -len(value) <= step < len(value):
        return value[step]
    return UNKNOWN


def _collect(values: list[JsonValue | Unknown]) -> JsonValue | Unknown:
    known = [value for value in values if not isinstance(value, Unknown)]
    return known if len(known) == len(values) else UNKNOWN


def _has_property(name: str, operand: Expression, data: JsonObject, dialect: Dialect) -> JsonValue | Unknown:
    value = value_of(operand, data, dialect)
    if name == "defined":
        is_data = isinstance(operand, Name) and operand.path[0] == "data"
        return (not isinstance(value, Unknown)) if is_data or not isinstance(value, Unknown) else UNKNOWN
    if isinstance(value, Unknown):
        return UNKNOWN
    return value is None if name == "none" else value is None or value in ("", [], {})


def _truthiness(value: JsonValue, dialect: Dialect) -> bool | None:
    if isinstance(value, bool):
        return value
    if dialect is Dialect.TEMPLATE:
        return bool(value)
    if value is None:
        return False
    return {"true": True, "false": False}.get(value.casefold()) if isinstance(value, str) else None


def _compare(
    symbol: str, left: JsonValue | Unknown, right: JsonValue | Unknown, dialect: Dialect
) -> JsonValue | Unknown:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if symbol in ("==", "!="):
        equal = _equal(left, right, dialect)
        return UNKNOWN if equal is None else equal is (symbol == "==")
    if symbol == "in":
        return _contains(right, left, dialect)
    if _family(left) != _family(right) or _family(left) not in ("number", "text"):
        return UNKNOWN
    return bool(_ORDERINGS[symbol](left, right))


def _contains(container: JsonValue, item: JsonValue, dialect: Dialect) -> JsonValue | Unknown:
    if isinstance(container, str):
        return item in container if isinstance(item, str) else UNKNOWN
    if isinstance(container, Mapping):
        return item in container if isinstance(item, str) else UNKNOWN
    if not isinstance(container, Sequence):
        return UNKNOWN
    answers = [_equal(item, member, dialect) for member in container]
    if True in answers:
        return True
    return UNKNOWN if None in answers else False


def _equal(left: JsonValue, right: JsonValue, dialect: Dialect) -> bool | None:
    families = {_family(left), _family(right)}
    if len(families) == 1 or dialect is Dialect.TEMPLATE:
        return left == right
    if "none" in families:
        return False
    if families == {"truth", "text"}:
        words = {str(value).casefold() for value in (left, right)}
        return len(words) == 1 if words <= {"true", "false"} else None
    return None


def _family(value: JsonValue) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__


def _calculate(symbol: str, left: JsonValue | Unknown, right: JsonValue | Unknown) -> JsonValue | Unknown:
    if isinstance(left, str) and isinstance(right, str) and symbol == "+":
        return left + right
    numbers = [value for value in (left, right) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) != 2 or (symbol in ("/", "%") and numbers[1] == 0):  # noqa: PLR2004  both operands
        return UNKNOWN
    try:
        return _NUMERIC[symbol](numbers[0], numbers[1])
    except OverflowError:
        return UNKNOWN
