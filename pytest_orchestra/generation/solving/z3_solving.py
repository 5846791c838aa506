"""What the exact search leaves open, asked of the Z3 solver where it is installed (the extra ``z3``).

Of a variable only the kinds are considered with which it is compared: its numbers are reals, its texts sequences. Every
assignment that Z3 gives is checked by the caller. That it finds none says nothing: the value might be of another kind.

de Moura, Bjørner: "Z3: An Efficient SMT Solver" (2008). The work is bounded by Z3's own count of steps, not by time, so
that the same conditions give the same answer on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from types import ModuleType
from typing import Any, cast

from pytest_orchestra.generation.conditions.expressions import (
    Arithmetic,
    Call,
    Collection,
    Comparison,
    Conditional,
    Expression,
    Junction,
    Literal,
    Name,
    Negation,
    Property,
)
from pytest_orchestra.generation.limits import MAX_Z3_STEPS
from pytest_orchestra.generation.solving.cells import Kind, number_value
from pytest_orchestra.generation.solving.domains import Domain
from pytest_orchestra.generation.solving.formulas import Path, variable_of
from pytest_orchestra.model.json import JsonValue

__all__ = ["ask_z3"]

_ESCAPE = re.compile(r"\\u\{([0-9a-fA-F]+)\}")


@cache
def _z3() -> ModuleType | None:
    """Give the library; None where it is not installed, or its native part cannot be loaded."""
    try:
        import z3  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415  an optional and large library
    except (ImportError, OSError):
        return None
    return cast("ModuleType", z3)


def ask_z3(
    parts: Sequence[Expression], kinds: Mapping[Path, Kind], domains: Mapping[Path, Domain]
) -> dict[Path, JsonValue] | None:
    """Give values of the ``kinds`` for which all parts hold; None if there are none, or nobody knows."""
    z3 = _z3()
    if z3 is None:
        return None
    context = z3.Context()  # what was asked before would otherwise show in the answer
    solver = z3.Solver(ctx=context)
    solver.set("rlimit", MAX_Z3_STEPS)
    solver.set("random_seed", 0)
    try:
        asking = _Asking(z3, context, kinds)
        for part in parts:
            solver.add(asking.truth(part))
        for path, domain in domains.items():
            if path in kinds:
                solver.add(*asking.within(path, domain))
        if solver.check() != z3.sat:
            return None
        model = solver.model()
        return {path: asking.value(model, path) for path in kinds}
    except (_NotSaidError, z3.Z3Exception, OverflowError, ValueError):
        return None


class _NotSaidError(Exception):
    """A part for which Z3 has no words, or of which the kinds do not go together."""


class _Asking:
    def __init__(self, z3: ModuleType, context: object, kinds: Mapping[Path, Kind]) -> None:
        self._z3 = z3
        self._context = context
        sorts = {Kind.NUMBER: z3.Real, Kind.TEXT: z3.String, Kind.TRUTH: z3.Bool}
        if not all(kind in sorts for kind in kinds.values()):
            raise _NotSaidError
        self._variables = {
            path: sorts[kind](f"v{number}", context) for number, (path, kind) in enumerate(kinds.items())
        }
        self._kinds = kinds

    def truth(self, part: Expression) -> Any:
        """Give a condition as a formula of Z3."""
        z3 = self._z3
        match part:
            case Negation(operand):
                return z3.Not(self.truth(operand))
            case Junction(conjunctive, parts):
                return (z3.And if conjunctive else z3.Or)(*map(self.truth, parts))
            case Conditional(test, then, otherwise):
                return z3.If(self.truth(test), self.truth(then), self.truth(otherwise))
            case Comparison("in", left, Collection(items)):
                return z3.Or(*(self.truth(Comparison("==", left, item)) for item in items))
            case Comparison("in", left, right):
                return z3.Contains(self._text(right), self._text(left))
            case Comparison(symbol, left, right):
                return self._compared(symbol, self.term(left), self.term(right))
            case Call(function, (first, second)) if function in ("starts", "ends"):
                affix, text = self._text(second), self._text(first)
                return z3.PrefixOf(affix, text) if function == "starts" else z3.SuffixOf(affix, text)
            case Property("empty", operand):
                return self._text(operand) == z3.StringVal("", self._context)
        found = self.term(part)
        if not z3.is_bool(found):
            raise _NotSaidError
        return found

    def _compared(self, symbol: str, left: Any, right: Any) -> Any:
        if left.sort() != right.sort():
            raise _NotSaidError
        if symbol in ("==", "!="):
            return left == right if symbol == "==" else left != right
        if not self._z3.is_real(left) and not self._z3.is_string(left):
            raise _NotSaidError
        return {"<": left < right, "<=": left <= right, ">": right < left, ">=": right <= left}[symbol]

    def _text(self, part: Expression) -> Any:
        found = self.term(part)
        if not self._z3.is_string(found):
            raise _NotSaidError
        return found

    def term(self, part: Expression) -> Any:
        """Give an operand as a term of Z3."""
        z3 = self._z3
        match part:
            case Literal(value) if isinstance(value, bool):
                return z3.BoolVal(value, self._context)
            case Literal(value) if isinstance(value, int | float):
                return z3.RealVal(str(value), self._context)
            case Literal(value) if isinstance(value, str):
                return z3.StringVal(value, self._context)
            case Name(path) if variable_of(path) in self._variables:
                return self._variables[variable_of(path)]
            case Call("length", (operand,)):
                return z3.ToReal(z3.Length(self._text(operand)))
            case Arithmetic(symbol, left, right):
                return self._calculated(symbol, self.term(left), self.term(right))
            case Conditional(test, then, otherwise):
                return z3.If(self.truth(test), self.term(then), self.term(otherwise))
            case Negation() | Junction() | Comparison():
                return self.truth(part)
        raise _NotSaidError

    def _calculated(self, symbol: str, left: Any, right: Any) -> Any:
        z3 = self._z3
        if symbol == "+" and z3.is_string(left) and z3.is_string(right):
            return z3.Concat(left, right)
        if not z3.is_real(left) or not z3.is_real(right):
            raise _NotSaidError
        if symbol == "%":
            if not z3.is_rational_value(right) or right.as_fraction() <= 0:
                raise _NotSaidError
            whole = z3.ToReal(z3.ToInt(left / right))  # the largest multiple below, as Python's remainder has it
            return left - right * whole
        return {"+": left + right, "-": left - right, "*": left * right, "/": left / right}[symbol]

    def within(self, path: Path, domain: Domain) -> list[Any]:
        """Give what a domain says of a variable."""
        variable, z3 = self._variables[path], self._z3
        if self._kinds[path] is not Kind.NUMBER:
            return []
        found = []
        if domain.low is not None:
            low = z3.RealVal(str(domain.low), self._context)
            found.append(low < variable if domain.is_open_low else low <= variable)
        if domain.high is not None:
            high = z3.RealVal(str(domain.high), self._context)
            found.append(variable < high if domain.is_open_high else variable <= high)
        if domain.step is not None:
            found.append(z3.IsInt(variable / z3.RealVal(str(domain.step), self._context)))
        return found

    def value(self, model: Any, path: Path) -> JsonValue:
        """Give the value of a variable in a model."""
        found = model.eval(self._variables[path], model_completion=True)
        if self._kinds[path] is Kind.TRUTH:
            return bool(self._z3.is_true(found))
        if self._kinds[path] is Kind.TEXT:
            return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), str(found.as_string()))
        if not self._z3.is_rational_value(found):
            raise _NotSaidError
        return number_value(Fraction(found.numerator_as_long(), found.denominator_as_long()))
