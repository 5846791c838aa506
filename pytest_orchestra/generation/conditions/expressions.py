"""Conditions of branches as expressions over data, with three-valued evaluation.

What cannot be known stays unknown: a name that the data does not hold (the process decides on it), a call, a
comparison of things that languages compare differently. ``and`` and ``or`` follow Kleene's strong logic, so that an
unknown part does not hide what is known.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from pytest_orchestra.generation.limits import MAX_ITEMS
from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = [
    "UNKNOWN",
    "Arithmetic",
    "Call",
    "Collection",
    "Comparison",
    "Conditional",
    "Dialect",
    "Expression",
    "Junction",
    "Literal",
    "Name",
    "Negation",
    "Opaque",
    "Property",
    "Quantifier",
    "Unknown",
    "is_opaque",
    "names_in",
    "parts_of",
    "rewritten",
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
    """A constant. ``1`` and ``true`` are different ones, though Python takes them for equal."""

    value: JsonValue
    is_truth: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_truth", isinstance(self.value, bool))


@dataclass(frozen=True, slots=True)
class Name:
    """A path into the data, as it is written: ``data.order.amount`` and ``order.amount`` mean the same value.

    ``is_call`` says that the text calls a getter (``order.getAmount()``), which may answer differently each time.
    """

    path: tuple[str | int, ...]
    is_call: bool = False


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


@dataclass(frozen=True, slots=True)
class Conditional:
    """``then`` where ``test`` holds, else ``otherwise``."""

    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Quantifier:
    """Whether ``every`` item of the collection, or some, satisfies the condition, which calls it ``variable``."""

    every: bool
    variable: str
    collection: Expression
    condition: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A pure function: ``lower``, ``upper``, ``trim``, ``starts``, ``ends`` and ``length`` of texts, ``size`` of lists,
    ``compare``, ``absolute``.
    """

    function: str
    arguments: tuple[Expression, ...]


Expression: TypeAlias = (
    Literal
    | Name
    | Opaque
    | Negation
    | Junction
    | Comparison
    | Arithmetic
    | Collection
    | Property
    | Conditional
    | Quantifier
    | Call
)

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
_OF_TEXT: Mapping[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "trim": str.strip}


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """Give the expressions that one is made of, in the order of the text; none for a constant, name or opaque part."""
    match expression:
        case Negation(operand) | Property(_, operand):
            return (operand,)
        case Junction(_, parts) | Collection(parts) | Call(_, parts):
            return parts
        case Comparison(_, left, right) | Arithmetic(_, left, right):
            return (left, right)
        case Conditional(test, then, otherwise):
            return (test, then, otherwise)
        case Quantifier(_, _, collection, condition):
            return (collection, condition)
        case _:
            return ()


def rewritten(expression: Expression, change: Callable[[Name], Expression]) -> Expression:
    """Give an expression in which every name has been changed; the variables of quantifiers stay."""
    match expression:
        case Name():
            return change(expression)
        case Negation(operand):
            return Negation(rewritten(operand, change))
        case Property(name, operand):
            return Property(name, rewritten(operand, change))
        case Junction(conjunctive, parts):
            return Junction(conjunctive, tuple(rewritten(part, change) for part in parts))
        case Collection(items):
            return Collection(tuple(rewritten(item, change) for item in items))
        case Call(function, arguments):
            return Call(function, tuple(rewritten(argument, change) for argument in arguments))
        case Comparison(symbol, left, right):
            return Comparison(symbol, rewritten(left, change), rewritten(right, change))
        case Arithmetic(symbol, left, right):
            return Arithmetic(symbol, rewritten(left, change), rewritten(right, change))
        case Conditional(test, then, otherwise):
            return Conditional(*(rewritten(part, change) for part in (test, then, otherwise)))
        case Quantifier(every, variable, collection, condition):

            def unbound(name: Name) -> Expression:
                return name if name.path[0] == variable else change(name)

            return Quantifier(every, variable, rewritten(collection, change), rewritten(condition, unbound))
        case _:
            return expression


def names_in(expression: Expression) -> tuple[tuple[str | int, ...], ...]:
    """Give the paths that an expression reads, each once, in the order of the text."""
    found: dict[tuple[str | int, ...], None] = {}
    waiting: list[tuple[Expression, frozenset[str | int]]] = [(expression, frozenset())]
    while waiting:
        part, bound = waiting.pop()
        if isinstance(part, Name):
            if part.path[0] not in bound:
                found.setdefault(part.path)
        elif isinstance(part, Quantifier):
            waiting.append((part.condition, bound | {part.variable}))
            waiting.append((part.collection, bound))
        else:
            waiting.extend((inner, bound) for inner in reversed(parts_of(part)))
    return tuple(found)


def is_opaque(expression: Expression) -> bool:
    """Whether nothing of an expression is understood: it compares nothing but opaque parts and constants."""
    waiting = [expression]
    seen = False
    while waiting:
        part = waiting.pop()
        if isinstance(part, Name):
            return False
        seen = seen or isinstance(part, Opaque)
        waiting.extend(parts_of(part))
    return seen


def truth_of(expression: Expression, data: JsonObject, dialect: Dialect) -> bool | None:
    """Say whether an expression holds for the data: True, False, or None where that is unknown."""
    if isinstance(expression, Negation):
        inner = truth_of(expression.operand, data, dialect)
        return None if inner is None else not inner
    if isinstance(expression, Quantifier):
        return _quantified(expression, data, dialect)
    if isinstance(expression, Conditional):
        chosen = truth_of(expression.test, data, dialect)
        then, otherwise = (truth_of(part, data, dialect) for part in (expression.then, expression.otherwise))
        return then if chosen or then is otherwise else (None if chosen is None else otherwise)
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
        case Negation() | Junction() | Quantifier():
            held = truth_of(expression, data, dialect)
            return UNKNOWN if held is None else held
        case Conditional(test, then, otherwise):
            chosen = truth_of(test, data, dialect)
            return UNKNOWN if chosen is None else value_of(then if chosen else otherwise, data, dialect)
        case Call(function, arguments):
            return _call(function, [value_of(argument, data, dialect) for argument in arguments])
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


def _quantified(quantifier: Quantifier, data: JsonObject, dialect: Dialect) -> bool | None:
    items = value_of(quantifier.collection, data, dialect)
    if isinstance(items, str | Unknown) or not isinstance(items, Sequence):
        return None
    decisive = not quantifier.every
    unknown = False
    for item in items[:MAX_ITEMS]:
        held = truth_of(quantifier.condition, {**data, quantifier.variable: item}, dialect)
        if held is decisive:
            return decisive
        unknown = unknown or held is None
    return None if unknown or len(items) > MAX_ITEMS else not decisive


def _call(function: str, arguments: Sequence[JsonValue | Unknown]) -> JsonValue | Unknown:
    first = arguments[0]
    if function in _OF_TEXT:
        return _OF_TEXT[function](first) if isinstance(first, str) else UNKNOWN
    if function in ("length", "size"):
        return len(first) if isinstance(first, str | Sequence | Mapping) else UNKNOWN
    if function == "absolute":
        return abs(first) if isinstance(first, int | float) and not isinstance(first, bool) else UNKNOWN
    second = arguments[1]
    if function == "compare":
        if isinstance(first, Unknown) or isinstance(second, Unknown) or _family(first) != _family(second):
            return UNKNOWN
        if _family(first) not in ("number", "text"):
            return UNKNOWN
        return bool(_ORDERINGS[">"](first, second)) - bool(_ORDERINGS["<"](first, second))
    if not isinstance(first, str) or not isinstance(second, str):
        return UNKNOWN
    return first.startswith(second) if function == "starts" else first.endswith(second)


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
