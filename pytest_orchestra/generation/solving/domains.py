"""What a variable may be at all, apart from any condition: as the schema of the field that it is sent in has it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pytest_orchestra.generation.solving.cells import Cell, Kind
from pytest_orchestra.generation.solving.formulas import Clues, Path
from pytest_orchestra.generation.solving.pattern_samples import matches

__all__ = ["Domain"]


@dataclass(frozen=True, slots=True)
class Domain:
    """The values that a schema allows. ``kinds`` are empty where any kind is allowed.

    ``step`` is what numbers are multiples of, 1 for integers; ``low`` and ``high`` bound them, themselves left out
    where ``is_open_low`` or ``is_open_high``. ``choices`` are the only texts, numbers or truth values, if any are
    listed; ``examples`` are texts that certainly fit. A text has ``shortest`` to ``longest`` characters and holds
    ``pattern``.
    """

    kinds: frozenset[Kind] = frozenset()
    step: Fraction | None = None
    low: Fraction | None = None
    high: Fraction | None = None
    is_open_low: bool = False
    is_open_high: bool = False
    choices: tuple[Cell, ...] = ()
    examples: tuple[str, ...] = ()
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(self.kinds))  # a view of a dictionary's keys is a set as well

    def give_clues(self, path: Path, clues: Clues) -> None:
        """Note the boundaries at which the domain begins and ends."""
        clues.note(path, *(kind for kind in (Kind.NUMBER, Kind.TEXT, Kind.TRUTH) if kind in self.kinds))
        for bound in (self.low, self.high):
            if bound is not None and Kind.NUMBER in clues.kinds[path]:
                clues.note_number(path, bound)
        for choice in self.choices:
            if choice.kind is Kind.NUMBER and isinstance(choice.value, Fraction):
                clues.note_number(path, choice.value)
            elif choice.kind is Kind.TEXT:
                clues.note_text(path, str(choice.value))
        if Kind.TEXT in self.kinds:
            for example in self.examples:
                clues.note_text(path, example)

    def admit(self, cell: Cell) -> Cell | None:
        """Give the cell, or another value of it, if the domain allows one."""
        if self.kinds and cell.kind not in self.kinds:
            return None
        if self.choices:
            return cell if any(cell.kind is one.kind and cell.value == one.value for one in self.choices) else None
        if cell.kind is Kind.NUMBER and isinstance(cell.value, Fraction):
            return cell if self._has_number(cell.value) else None
        if cell.kind is Kind.TEXT and isinstance(cell.value, str):
            return cell if self._has_text(cell.value) else self._stretched(cell)
        return cell

    def _has_number(self, value: Fraction) -> bool:
        if self.low is not None and (value < self.low or (self.is_open_low and value == self.low)):
            return False
        return self.high is None or not (value > self.high or (self.is_open_high and value == self.high))

    def _has_text(self, value: str) -> bool:
        if len(value) < self.shortest or (self.longest is not None and len(value) > self.longest):
            return False
        return self.pattern is None or matches(self.pattern, value)

    def _stretched(self, cell: Cell) -> Cell | None:
        """Give a longer text of the same cell; one that stands for others may be as long as the domain wants."""
        if cell.is_point or not isinstance(cell.value, str) or self.pattern is not None:
            return None
        longer = cell.value + "x" * max(0, self.shortest - len(cell.value))
        return Cell(cell.kind, longer, False, cell.is_truthy, cell.is_empty) if self._has_text(longer) else None
