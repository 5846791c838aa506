"""Conditions on one variable as masks over its cells, without asking every condition about every cell.

The truth of a comparison changes only at its own boundaries. Between two of them it is asked once, however many cells
the boundaries of other conditions make there, so that hundreds of conditions on one variable take no time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from operator import and_
from typing import Final, Generic, TypeVar

from pytest_orchestra.generation.solving.cells import Cell, Kind
from pytest_orchestra.generation.solving.formulas import Clues, Formula, Path

__all__ = ["masks_on_axes", "sieve_cells"]

_TRUTHS: Final = frozenset((Fraction(0), Fraction(1)))
"""Numbers that may count as truth values, as no other does."""

_Value = TypeVar("_Value", Fraction, str)


@dataclass(frozen=True, slots=True)
class _Axis(Generic[_Value]):
    """Cells in the order of their ``values``; ``first`` is the bit of the first of them, ``odd`` stand out anyway."""

    cells: tuple[Cell, ...]
    values: tuple[_Value, ...]
    first: int
    odd: frozenset[_Value]

    def regions(self, cuts: Iterable[_Value]) -> Iterator[tuple[Cell, int]]:
        """Give the parts that some values divide the axis into: one cell of each, and the mask of all its cells."""
        begin = 0
        for cut in sorted({*cuts, *self.odd}):
            low, high = bisect_left(self.values, cut), bisect_right(self.values, cut)
            yield from self._part(begin, low)
            yield from self._part(low, high)
            begin = high
        yield from self._part(begin, len(self.cells))

    def _part(self, begin: int, end: int) -> Iterator[tuple[Cell, int]]:
        if begin < end:
            yield self.cells[begin], ((1 << end) - (1 << begin)) << self.first


def masks_on_axes(
    formulas: Sequence[Formula], path: Path, cells: Sequence[Cell], work: int
) -> tuple[list[int], tuple[Cell, ...]] | None:
    """Give for each formula the mask of the cells for which it is not known to fail, and the cells as bits have them.

    None where a part of some formula can only be computed, or where that would take more than ``work`` questions.
    """
    numbers, texts, others = _axes(cells)
    masks: list[int] = []
    for formula in formulas:
        cuts = _cuts_of((formula,), path)
        if cuts is None:
            return None
        regions = [
            *(region for axis in numbers for region in axis.regions(cuts[0])),
            *(region for axis in texts for region in axis.regions(cuts[1])),
            *others,
        ]
        work -= len(regions)
        if work < 0:
            return None
        mask = 0
        for cell, own in regions:
            if formula.truth({path: cell}) is not False:
                mask |= own
        masks.append(mask)
    ordered = [cell for axis in numbers for cell in axis.cells] + [cell for axis in texts for cell in axis.cells]
    return masks, (*ordered, *(cell for cell, _ in others))


@lru_cache(maxsize=4_096)
def _cuts_of(alone: tuple[Formula], path: Path) -> tuple[frozenset[Fraction], frozenset[str]] | None:
    """Give the numbers and the texts at which the truth of a formula changes; None where it can only be computed."""
    clues = Clues()
    alone[0].give_clues(clues)
    if path in clues.computed:
        return None
    numbers = {-form.constant / form.factors[0][1] for form in clues.forms}
    if path in clues.judged | clues.measured or Kind.TRUTH in clues.kinds.get(path, ()):
        numbers |= _TRUTHS
    return frozenset(numbers), frozenset(clues.texts.get(path, ()))


def sieve_cells(formulas: Sequence[Formula], path: Path, cells: Sequence[Cell]) -> list[Cell] | None:
    """Give the cells, in their order, for which no formula is known to fail; None where that can only be computed."""
    found = masks_on_axes(formulas, path, cells, len(cells) * len(formulas) + 1)
    if found is None:
        return None
    masks, ordered = found
    left = reduce(and_, masks, (1 << len(ordered)) - 1)
    kept = {cell for bit, cell in enumerate(ordered) if left >> bit & 1}
    return [cell for cell in cells if cell in kept]


def _axes(cells: Sequence[Cell]) -> tuple[list[_Axis[Fraction]], list[_Axis[str]], list[tuple[Cell, int]]]:
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
        ordered.sort(key=lambda pair: pair[0])
        values = tuple(value for value, _ in ordered)
        numbers.append(_Axis(tuple(cell for _, cell in ordered), values, first, frozenset()))
        first += len(ordered)
    texts: list[_Axis[str]] = []
    for spelled in by_text.values():
        spelled.sort(key=lambda pair: pair[0])
        words = tuple(value for value, _ in spelled)
        texts.append(_Axis(tuple(cell for _, cell in spelled), words, first, frozenset(filter(_is_odd, words))))
        first += len(spelled)
    return numbers, texts, [(cell, 1 << first + number) for number, cell in enumerate(rest)]


def _is_odd(text: str) -> bool:
    """Whether a text may count as something else: as nothing, a truth value or a number."""
    if not text or text.casefold() in ("true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
