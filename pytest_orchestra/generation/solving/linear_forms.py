"""Linear forms: sums of variables, each times a factor, and a constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from pytest_orchestra.generation.solving.cells import Cell, Kind
from pytest_orchestra.generation.solving.data_paths import Path

__all__ = ["Form", "Values"]

Values: TypeAlias = Mapping[Path, Cell]


@dataclass(frozen=True, slots=True)
class Form:
    """A linear form: ``constant`` plus each variable times its factor; sorted, so that equal forms are equal."""

    factors: tuple[tuple[Path, Fraction], ...]
    constant: Fraction
    _hash: int | None = field(init=False, repr=False, compare=False, default=None)

    def __hash__(self) -> int:
        """Give the hash, which is calculated once: those of fractions take long."""
        if self._hash is None:
            object.__setattr__(self, "_hash", hash((self.factors, self.constant)))
        return self._hash or 0

    @classmethod
    def of(cls, factors: Mapping[Path, Fraction], constant: Fraction) -> Form:
        """Give the form with these factors, without those that are zero."""
        kept = sorted(((path, factor) for path, factor in factors.items() if factor), key=lambda pair: _key(pair[0]))
        return cls(tuple(kept), constant)

    def plus(self, other: Form, times: Fraction = Fraction(1)) -> Form:
        """Give the sum with a multiple of another form."""
        factors = dict(self.factors)
        for path, factor in other.factors:
            factors[path] = factors.get(path, Fraction(0)) + factor * times
        return Form.of(factors, self.constant + other.constant * times)

    def scaled(self, times: Fraction) -> Form:
        """Give a multiple of the form."""
        return Form.of({path: factor * times for path, factor in self.factors}, self.constant * times)

    @property
    def variable(self) -> Path | None:
        """The variable that the form is, if it is just one."""
        is_one = not self.constant and len(self.factors) == 1 and self.factors[0][1] == 1
        return self.factors[0][0] if is_one else None

    def value(self, values: Values) -> Fraction | None:
        """Give the form's number; None where a variable has no number."""
        total = self.constant
        for path, factor in self.factors:
            cell = values.get(path)
            if cell is None or cell.kind is not Kind.NUMBER or not isinstance(cell.value, Fraction):
                return None
            total += factor * cell.value
        return total


def _key(path: Path) -> tuple[str, ...]:
    return tuple(f"{type(step).__name__}:{step}" for step in path)
