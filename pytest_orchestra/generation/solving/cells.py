"""What a variable may be, cell by cell: all values of one cell make the same comparisons true.

The values at which comparisons change are boundaries: of numbers the literals (and what arithmetic makes of them), of
texts the literals in the order of texts. The cells are the boundaries themselves, the gaps between two of them, and
what lies beyond both ends; truth values, null and everything else are cells of their own. How null compares with
numbers differs from language to language, so it is there once for each way: as nothing, as zero, as below all.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from pytest_orchestra.model.json import JsonValue

__all__ = [
    "NULLS",
    "Cell",
    "Kind",
    "by_size",
    "cell_of",
    "compare_cells",
    "exact_number",
    "number_cells",
    "number_value",
    "other_cells",
    "text_cells",
]


class Kind(StrEnum):
    """What a cell holds. The three nulls differ in how they compare: never, as zero, as lower than everything."""

    NUMBER = "number"
    TEXT = "text"
    TRUTH = "truth"
    NULL = "null"
    NULL_AS_ZERO = "null as zero"
    NULL_AS_LOWEST = "null as lowest"
    MISSING = "missing"
    LIST = "list"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell by one of its values. ``is_point`` says that the cell has no other value.

    ``is_truthy`` and ``is_empty`` say how the value counts where a truth is asked for, None where that is not fixed.
    """

    kind: Kind
    value: Fraction | str | bool | tuple[str | int | float, ...] | None = None
    is_point: bool = True
    is_truthy: bool | None = None
    is_empty: bool | None = None

    @property
    def json(self) -> JsonValue:
        """The value as data."""
        if self.kind is Kind.NUMBER and isinstance(self.value, Fraction):
            return number_value(self.value)
        if self.kind is Kind.LIST and isinstance(self.value, tuple):
            return list(self.value)
        if isinstance(self.value, str | bool):
            return self.value
        return None if self.kind is not Kind.OTHER else ([] if self.is_empty else ["x"])


NULLS: Final = (Kind.NULL, Kind.NULL_AS_ZERO, Kind.NULL_AS_LOWEST)
_MORE: Final = ("a", "m", "0", "A", " ", "!", "\x00")


def number_value(value: Fraction) -> int | float:
    """Give an exact number as JSON has it: an integer where it is one, or where no float is that large."""
    try:
        return int(value) if value.denominator == 1 else float(value)
    except OverflowError:
        return round(value)


def exact_number(value: float) -> Fraction:
    """Give a number as it is written: 0.1 is a tenth. What is not finite counts as zero."""
    if isinstance(value, int):
        return Fraction(value)
    return Fraction(str(value)) if math.isfinite(value) else Fraction(0)


def cell_of(value: JsonValue) -> Cell:
    """Give the cell of one value."""
    if value is None:
        return Cell(Kind.NULL, is_truthy=False, is_empty=True)
    if isinstance(value, bool):
        return Cell(Kind.TRUTH, value, is_truthy=value, is_empty=False)
    if isinstance(value, int | float):
        return Cell(Kind.NUMBER, exact_number(value), is_empty=False)
    if isinstance(value, str):
        return Cell(Kind.TEXT, value, is_empty=not value)
    return Cell(Kind.OTHER, is_point=False, is_empty=not value)


def by_size(number: Fraction) -> tuple[float, Fraction]:
    """Give a number as what sorts it: its nearest float, which is fast to compare, and itself where these are equal."""
    try:
        return float(number), number
    except OverflowError:
        return math.copysign(math.inf, number), number


def number_cells(boundaries: Iterable[Fraction], step: Fraction | None = None) -> Iterator[Cell]:
    """Give the cells of numbers: the boundaries, then the gaps. With a ``step``, only multiples of it are numbers."""
    points = sorted(set(boundaries), key=by_size)
    for point in points:
        if step is None or (point / step).denominator == 1:
            yield Cell(Kind.NUMBER, point, is_empty=False)
    if not points:
        yield Cell(Kind.NUMBER, step or Fraction(1), is_point=False, is_empty=False)
        return
    yield Cell(Kind.NUMBER, _beyond(points[-1], step, up=True), is_point=False, is_empty=False)
    yield Cell(Kind.NUMBER, _beyond(points[0], step, up=False), is_point=False, is_empty=False)
    for low, high in pairwise(points):
        middle = _between_numbers(low, high, step)
        if middle is not None:
            yield Cell(Kind.NUMBER, middle, is_point=False, is_empty=False)


def _beyond(point: Fraction, step: Fraction | None, *, up: bool) -> Fraction:
    if step is None:
        return Fraction(math.floor(point) + 1 if up else math.ceil(point) - 1)
    return (math.floor(point / step) + 1) * step if up else (math.ceil(point / step) - 1) * step


def _between_numbers(low: Fraction, high: Fraction, step: Fraction | None) -> Fraction | None:
    """Give a number between two: a whole one (or multiple of ``step``) if there is any, the one next above ``low``."""
    above = _beyond(low, step, up=True)
    if above < high:
        return above
    if step is not None:
        return None
    middle = (low + high) / 2
    places = Fraction(1)
    while places.denominator <= _FINEST:  # the shortest decimal between them reads better than the exact middle
        places /= 10
        shorter = Fraction(math.floor(middle / places)) * places
        if low < shorter < high:
            return shorter
    return middle


_FINEST: Final = 10**6


def text_cells(boundaries: Iterable[str]) -> Iterator[Cell]:
    """Give the cells of texts: the boundaries, then a text beyond them, the empty one, and one in each gap."""
    points = sorted(set(boundaries))
    for point in points:
        yield Cell(Kind.TEXT, point, is_empty=not point)
    beyond = f"{points[-1]}-other" if points and points[-1] else "other"
    yield Cell(Kind.TEXT, beyond, is_point=False, is_empty=False)
    if points and points[0]:
        yield Cell(Kind.TEXT, "", is_empty=True)
        points.insert(0, "")
    for low, high in pairwise(points):
        between = next((f"{low}{more}" for more in _MORE if f"{low}{more}" < high), None)
        if between is not None:
            yield Cell(Kind.TEXT, between, is_point=False, is_empty=False)


def other_cells(*, ordered: bool, judged: bool, emptied: bool, defined: bool) -> Iterator[Cell]:
    """Give the cells of null and of what is neither number, text nor truth.

    More of them are told apart where the variable is ``ordered`` against others, ``judged`` as a truth, asked whether
    it is empty (``emptied``) or ``defined``.
    """
    yield Cell(Kind.NULL, is_truthy=False, is_empty=True)
    if ordered:
        yield Cell(Kind.NULL_AS_ZERO, Fraction(0), is_truthy=False, is_empty=True)
        yield Cell(Kind.NULL_AS_LOWEST, is_truthy=False, is_empty=True)
    if defined:
        yield Cell(Kind.MISSING, is_truthy=False, is_empty=True)
    for truthy in (True, False) if judged else (None,):
        for empty in (False, True) if emptied else (False,):
            yield Cell(Kind.OTHER, is_point=False, is_truthy=truthy, is_empty=empty)


def compare_cells(symbol: str, left: Cell, right: Cell, *, strictly: bool) -> bool | None:
    """Say whether a comparison holds between two cells; None where languages differ.

    ``strictly`` keeps values of different kinds apart, as templates do; otherwise ``'true'`` may equal true.
    """
    if symbol == "!=":
        equal = compare_cells("==", left, right, strictly=strictly)
        return None if equal is None else not equal
    if left.kind is right.kind:
        return _compare_alike(symbol, left, right)
    if left.kind in NULLS or right.kind in NULLS or Kind.MISSING in (left.kind, right.kind):
        return _compare_null(symbol, left, right)
    if {left.kind, right.kind} & {Kind.OTHER, Kind.LIST} or (strictly and symbol == "=="):
        return _strict_truth(left, right) if strictly else False
    return _compare_mixed(symbol, left, right)


def _compare_alike(symbol: str, left: Cell, right: Cell) -> bool | None:
    if left.kind in (Kind.NUMBER, Kind.TEXT):
        return _ORDERS[symbol](left.value, right.value)
    if symbol == "==":
        return (left.value, left.is_truthy, left.is_empty) == (right.value, right.is_truthy, right.is_empty)
    return None if left.kind is Kind.TRUTH or symbol in ("<=", ">=") else False


_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _compare_null(symbol: str, left: Cell, right: Cell) -> bool | None:
    if Kind.MISSING in (left.kind, right.kind):
        return False
    if left.kind in NULLS and right.kind in NULLS:
        return {"==": True, "<": False, ">": False}.get(symbol)
    if symbol == "==":
        return False
    if Kind.NULL in (left.kind, right.kind):
        return False
    if Kind.NULL_AS_LOWEST in (left.kind, right.kind):
        return (left.kind is Kind.NULL_AS_LOWEST) == symbol.startswith("<")
    if Kind.NUMBER in (left.kind, right.kind):
        return _compare_alike(symbol, Cell(Kind.NUMBER, left.value), Cell(Kind.NUMBER, right.value))
    return None if Kind.TRUTH in (left.kind, right.kind) else False


def _strict_truth(left: Cell, right: Cell) -> bool | None:
    """Compare as Python does, for which 1 equals True."""
    values = [cell.value for cell in (left, right) if cell.kind in (Kind.TRUTH, Kind.NUMBER)]
    return values[0] == values[1] if len(values) == len((left, right)) else False


def _compare_mixed(symbol: str, left: Cell, right: Cell) -> bool | None:
    kinds = {left.kind, right.kind}
    by_kind = {left.kind: left.value, right.kind: right.value}
    if kinds == {Kind.NUMBER, Kind.TEXT}:
        return None if _is_numeric(by_kind[Kind.TEXT]) else False
    if symbol != "==":
        return None
    truth = by_kind[Kind.TRUTH]
    if Kind.TEXT in kinds:
        word = str(by_kind[Kind.TEXT]).casefold()
        if word in ("true", "false"):
            return (word == "true") is truth
        return False if truth else None  # some read every other word as false
    return None if by_kind[Kind.NUMBER] in (0, 1) else False


def _is_numeric(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return False
    return True
