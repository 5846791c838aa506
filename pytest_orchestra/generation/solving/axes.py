"""Conditions on one variable as masks over its cells, without asking every condition about every cell.

The truth of a comparison changes only at its own boundaries. Between two of them it is asked once, however many cells
the boundaries of other conditions make there, so that hundreds of conditions on one variable take no time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache, reduce
from operator import and_
from typing import Final, Generic, TypeAlias, TypeVar

from pytest_orchestra.generation.solving.cells import Cell, Kind, by_size
from pytest_orchestra.generation.solving.formulas import Clues, Formula, Path

__all__ = ["masks_on_axes", "sieve_cells"]

_TRUTHS: Final = frozenset((Fraction(0), Fraction(1)))
"""Numbers that may count as truth values, as no other does."""

_Spelling: TypeAlias = tuple[int, int]
"""Numerator and denominator: what a number is looked up by, as the hash of a fraction takes long."""

_Value = TypeVar("_Value", Fraction, str)


@dataclass(frozen=True, slots=True)
class _Axis(Generic[_Value]):
    """Cells in the order of their ``values``; ``first`` is the bit of the first of them.

    ``spots`` say where the cells of a value begin and end.
    """

    cells: tuple[Cell, ...]
    values: tuple[_Value, ...]
    first: int
    spots: Mapping[_Spelling | str, tuple[int, int]]

    def regions(self, cuts: Iterable[tuple[_Spelling | str, _Value]]) -> Iterator[tuple[int, Cell, int]]:
        """Give the parts that some values, in order, divide the axis into and that have cells.

        Of each its number among all parts, empty ones among them, one cell, and the mask of all its cells.
        """
        begin = number = 0
        for spelling, cut in cuts:
            known = self.spots.get(spelling)
            low, high = known or (bisect_left(self.values, cut), bisect_right(self.values, cut))
            if begin < low:
                yield number, self.cells[begin], ((1 << low) - (1 << begin)) << self.first
            if low < high:
                yield number + 1, self.cells[low], ((1 << high) - (1 << low)) << self.first
            begin, number = high, number + 2
        if begin < len(self.cells):
            yield number, self.cells[begin], ((1 << len(self.cells)) - (1 << begin)) << self.first


@dataclass(frozen=True, slots=True)
class _Asked:
    """The numbers and the texts at which the truth of a formula changes, and where it is not known to fail.

    That is kept, by the parts of the number axis and by the list of other cells, for the next question of the same.
    """

    numbers: tuple[tuple[_Spelling, Fraction], ...]
    texts: frozenset[str]
    among_numbers: dict[tuple[bool | None, int], bool] = field(default_factory=dict)
    elsewhere: dict[str, int] = field(default_factory=dict)


def masks_on_axes(
    formulas: Sequence[Formula], path: Path, cells: Sequence[Cell], work: int
) -> tuple[list[int], tuple[Cell, ...]] | None:
    """Give for each formula the mask of the cells for which it is not known to fail, and the cells as bits have them.

    None where a part of some formula can only be computed, or where that would take more than ``work`` questions.
    """
    numbers, texts, others = _axes(cells)
    odd = [frozenset(filter(_is_odd, axis.values)) for axis in texts]
    first, listed = len(cells) - len(others), repr(others)
    masks: list[int] = []
    for formula in formulas:
        asked = _asked_of((formula,), path)
        if asked is None:
            return None
        mask = 0
        for number_axis in numbers:
            truthy = number_axis.cells[0].is_truthy
            for number, cell, own in number_axis.regions(asked.numbers):
                work -= 1
                held = asked.among_numbers.get((truthy, number))
                if held is None:
                    held = asked.among_numbers[truthy, number] = formula.truth({path: cell}) is not False
                mask |= own * held
        for text_axis, standing_out in zip(texts, odd, strict=True):
            for _, cell, own in text_axis.regions((cut, cut) for cut in sorted(asked.texts | standing_out)):
                work -= 1
                mask |= own * (formula.truth({path: cell}) is not False)
        work -= len(others)
        if work < 0:
            return None
        elsewhere = asked.elsewhere.get(listed)
        if elsewhere is None:
            open_ones = (formula.truth({path: cell}) is not False for cell in others)
            elsewhere = asked.elsewhere[listed] = sum(is_open << bit for bit, is_open in enumerate(open_ones))
        masks.append(mask | elsewhere << first)
    ordered = [cell for axis in numbers for cell in axis.cells] + [cell for axis in texts for cell in axis.cells]
    return masks, (*ordered, *others)


@lru_cache(maxsize=4_096)
def _asked_of(alone: tuple[Formula], path: Path) -> _Asked | None:
    """Give where the truth of a formula changes; None where it can only be computed."""
    clues = Clues()
    alone[0].give_clues(clues)
    if path in clues.computed:
        return None
    numbers = {-form.constant / form.factors[0][1] for form in clues.forms if form.factors}
    if path in clues.judged | clues.measured or Kind.TRUTH in clues.kinds.get(path, ()):
        numbers |= _TRUTHS
    cuts = tuple((_spelled(number), number) for number in sorted(numbers))
    return _Asked(cuts, frozenset(clues.texts.get(path, ())))


def sieve_cells(formulas: Sequence[Formula], path: Path, cells: Sequence[Cell]) -> list[Cell] | None:
    """Give the cells, in their order, for which no formula is known to fail; None where that can only be computed."""
    found = masks_on_axes(formulas, path, cells, len(cells) * len(formulas) + 1)
    if found is None:
        return None
    masks, ordered = found
    left = reduce(and_, masks, (1 << len(ordered)) - 1)
    kept = {cell for bit, cell in enumerate(ordered) if left >> bit & 1}
    return [cell for cell in cells if cell in kept]


def _axes(cells: Sequence[Cell]) -> tuple[list[_Axis[Fraction]], list[_Axis[str]], list[Cell]]:
    """Give the cells of numbers and of texts, those apart that count differently as truths, and all others."""
    by_number: dict[bool | None, list[tuple[Fraction, Cell]]] = {}
    by_text: dict[bool | None, list[tuple[str, Cell]]] = {}
    rest: list[Cell] = []
    for cell in cells:
        if cell.kind is Kind.NUMBER and isinstance(cell.value, Fraction):
            by_number.setdefault(cell.is_truthy, []).append((cell.value, cell))
        elif cell.kind is Kind.TEXT and isinstance(cell.value, str):
            by_text.setdefault(cell.is_truthy, []).append((cell.value, cell))
        else:
            rest.append(cell)
    first = 0
    numbers: list[_Axis[Fraction]] = []
    for ordered in by_number.values():
        ordered.sort(key=lambda pair: by_size(pair[0]))
        values = tuple(value for value, _ in ordered)
        spots = _spots(map(_spelled, values))
        numbers.append(_Axis(tuple(cell for _, cell in ordered), values, first, spots))
        first += len(ordered)
    texts: list[_Axis[str]] = []
    for spelled in by_text.values():
        spelled.sort(key=lambda pair: pair[0])
        words = tuple(value for value, _ in spelled)
        texts.append(_Axis(tuple(cell for _, cell in spelled), words, first, _spots(words)))
        first += len(spelled)
    return numbers, texts, rest


def _spelled(number: Fraction) -> _Spelling:
    return number.numerator, number.denominator


def _spots(spellings: Iterable[_Spelling | str]) -> dict[_Spelling | str, tuple[int, int]]:
    """Give where equal ones, which lie side by side, begin and end."""
    found: dict[_Spelling | str, tuple[int, int]] = {}
    for index, spelling in enumerate(spellings):
        found[spelling] = (found[spelling][0] if spelling in found else index, index + 1)
    return found


def _is_odd(text: str) -> bool:
    """Whether a text may count as something else: as nothing, a truth value or a number."""
    if not text or text.casefold() in ("true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
