"""Conditions in the form in which they are solved: logic over atoms, whose truth is asked cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

from pytest_orchestra.generation.conditions.expressions import (
    Arithmetic,
    Collection,
    Comparison,
    Conditional,
    Dialect,
    Expression,
    Junction,
    Literal,
    Name,
    Negation,
    Opaque,
    Property,
    names_in,
    truth_of,
)
from pytest_orchestra.generation.solving.cells import (
    NULLS,
    Cell,
    Kind,
    cell_of,
    compare_cells,
    exact_number,
    number_value,
)
from pytest_orchestra.generation.solving.data_paths import Path, build_data, variable_of
from pytest_orchestra.generation.solving.linear_forms import Form, Values
from pytest_orchestra.generation.solving.mentions import (
    every_part,
    literals_in,
    names_of_lists,
    names_of_sizes,
    names_of_texts,
)

__all__ = ["COMPUTED", "Clues", "Form", "Formula", "Path", "Values", "compile_formula", "conjuncts", "variable_of"]


COMPUTED = "\0"
"""How the path of the variable begins that stands for the truth of a part."""

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass
class Clues:
    """What a set of formulas asks of its variables; from it follows which cells there are to tell apart.

    ``judged`` variables count as true or not, in a way that depends on the language; ``measured`` ones as Python has
    it, for which zero and what is empty are false.
    """

    kinds: dict[Path, dict[Kind, None]] = field(default_factory=dict)
    texts: dict[Path, set[str]] = field(default_factory=dict)
    lists: dict[Path, dict[str | int | float, None]] = field(default_factory=dict)
    sizes: dict[Path, set[int]] = field(default_factory=dict)
    forms: dict[Form, None] = field(default_factory=dict)
    alike: list[tuple[Path, Path]] = field(default_factory=list)
    ordered: set[Path] = field(default_factory=set)
    judged: set[Path] = field(default_factory=set)
    measured: set[Path] = field(default_factory=set)
    emptied: set[Path] = field(default_factory=set)
    defined: set[Path] = field(default_factory=set)
    computed: set[Path] = field(default_factory=set)

    def note(self, path: Path, *kinds: Kind) -> None:
        """Note that a variable may hold values of these kinds."""
        self.kinds.setdefault(path, {}).update(dict.fromkeys(kinds))

    def note_number(self, path: Path, boundary: Fraction) -> None:
        """Note a number at which something changes."""
        self.note(path, Kind.NUMBER)
        self.forms.setdefault(Form(((path, Fraction(1)),), -boundary))

    def note_text(self, path: Path, boundary: str) -> None:
        """Note a text at which something changes."""
        self.note(path, Kind.TEXT)
        self.texts.setdefault(path, set()).add(boundary)


class Formula(Protocol):
    """A condition that can be asked cell by cell."""

    @property
    def variables(self) -> tuple[Path, ...]:
        """The variables that it reads, each once, in the order of the text."""

    def truth(self, values: Values) -> bool | None:
        """Whether it holds; None where that is not known, or some variable has no value yet."""

    def give_clues(self, clues: Clues) -> None:
        """Note what the formula asks of its variables."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    value: bool | None

    @property
    def variables(self) -> tuple[Path, ...]:
        return ()

    def truth(self, values: Values) -> bool | None:
        del values
        return self.value

    def give_clues(self, clues: Clues) -> None:
        del clues


@dataclass(frozen=True, slots=True)
class _Not:
    operand: Formula

    @property
    def variables(self) -> tuple[Path, ...]:
        return self.operand.variables

    def truth(self, values: Values) -> bool | None:
        held = self.operand.truth(values)
        return None if held is None else not held

    def give_clues(self, clues: Clues) -> None:
        self.operand.give_clues(clues)


@dataclass(frozen=True, slots=True)
class _Several:
    conjunctive: bool
    parts: tuple[Formula, ...]
    variables: tuple[Path, ...] = field(init=False, repr=False, compare=False)
    own_hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(dict.fromkeys(path for p in self.parts for path in p.variables)))
        object.__setattr__(self, "own_hash", hash((self.conjunctive, self.parts)))

    def __hash__(self) -> int:
        """Give the hash, which is calculated once: formulas are looked up again and again."""
        return self.own_hash

    def truth(self, values: Values) -> bool | None:
        unknown = False
        for part in self.parts:
            held = part.truth(values)
            if held is not self.conjunctive:
                if held is not None:
                    return held
                unknown = True
        return None if unknown else self.conjunctive

    def give_clues(self, clues: Clues) -> None:
        for part in self.parts:
            part.give_clues(clues)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Whether a variable counts as true."""

    path: Path
    strictly: bool

    @property
    def variables(self) -> tuple[Path, ...]:
        return (self.path,)

    def truth(self, values: Values) -> bool | None:
        cell = values.get(self.path)
        if cell is None or not self.strictly or cell.kind not in (Kind.NUMBER, Kind.TEXT):
            return None if cell is None else _word(cell)
        return bool(cell.value)

    def give_clues(self, clues: Clues) -> None:
        clues.note(self.path, Kind.TRUTH)
        (clues.measured if self.strictly else clues.judged).add(self.path)


def _word(cell: Cell) -> bool | None:
    if cell.kind is Kind.TEXT and isinstance(cell.value, str) and cell.value.casefold() in ("true", "false"):
        return cell.value.casefold() == "true"
    return cell.is_truthy


@dataclass(frozen=True, slots=True)
class _Relation:
    """A comparison of linear forms and constants."""

    symbol: str
    left: Form | Cell
    right: Form | Cell
    strictly: bool
    variables: tuple[Path, ...] = field(init=False, repr=False, compare=False)
    difference: Form | None = field(init=False, repr=False, compare=False, default=None)
    sides: tuple[Form | Cell | Path, ...] = field(init=False, repr=False, compare=False, default=())
    own_hash: int = field(init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        """Give the hash, which is calculated once: formulas are looked up again and again."""
        return self.own_hash

    def __post_init__(self) -> None:
        left, right = self.left, self.right
        object.__setattr__(self, "own_hash", hash((self.symbol, left, right, self.strictly)))
        factors = (factor for side in (left, right) if isinstance(side, Form) for factor in side.factors)
        object.__setattr__(self, "variables", tuple(dict.fromkeys(path for path, _ in factors)))
        object.__setattr__(self, "sides", (_prepared(left), _prepared(right)))
        if isinstance(left, Form) and isinstance(right, Form):
            object.__setattr__(self, "difference", left.plus(right, Fraction(-1)))

    def truth(self, values: Values) -> bool | None:
        one, other = self.sides
        left = values.get(one) if isinstance(one, tuple) else _cell(one, values)
        if left is None:
            return None
        right = values.get(other) if isinstance(other, tuple) else _cell(other, values)
        if right is None:
            return None
        return compare_cells(self.symbol, left, right, strictly=self.strictly)

    def give_clues(self, clues: Clues) -> None:
        left, right = self.left, self.right
        for path in self.variables:
            clues.note(path)
            if self.symbol not in ("==", "!="):
                clues.ordered.add(path)
        if isinstance(left, Form) and isinstance(right, Form) and self.difference is not None:
            clues.forms.setdefault(self.difference)
            if left.variable is not None and right.variable is not None:
                clues.alike.append((left.variable, right.variable))
                return
            for side in (left, right):
                for path, _ in side.factors:
                    clues.note(path, Kind.NUMBER)
            return
        form, cell = (left, right) if isinstance(left, Form) else (right, left)
        if not isinstance(form, Form) or not isinstance(cell, Cell) or form.variable is None:
            return
        if cell.kind is Kind.TEXT:
            clues.note_text(form.variable, str(cell.value))
            if str(cell.value).casefold() in ("true", "false"):
                clues.note(form.variable, Kind.TRUTH)
        elif cell.kind is Kind.TRUTH:
            clues.note(form.variable, Kind.TRUTH)


def _prepared(side: Form | Cell) -> Form | Cell | Path:
    """Give a side as what it is looked up by: a value, the path of a variable, or a form to be calculated."""
    if isinstance(side, Form) and not side.factors:
        return Cell(Kind.NUMBER, side.constant)
    return side.variable or side if isinstance(side, Form) else side


def _cell(side: Form | Cell, values: Values) -> Cell | None:
    return side if isinstance(side, Cell) else _calculated(side, values)


def _calculated(form: Form, values: Values) -> Cell | None:
    """Give what comes of a calculation: with null nothing that compares, or what zero gives; with texts who knows."""
    total = form.constant
    spoilt: Cell | None = None
    for path, factor in form.factors:
        cell = values.get(path)
        if cell is None or cell.kind in (Kind.TEXT, Kind.TRUTH):
            return None
        if isinstance(cell.value, Fraction):
            total += factor * cell.value
        else:
            spoilt = Cell(Kind.NULL if cell.kind in NULLS else Kind.OTHER, is_point=False)
    return spoilt or Cell(Kind.NUMBER, total)


@dataclass(frozen=True, slots=True)
class _Is:
    """Whether a variable is ``none``, ``empty`` or ``defined``."""

    name: str
    path: Path

    @property
    def variables(self) -> tuple[Path, ...]:
        return (self.path,)

    def truth(self, values: Values) -> bool | None:
        cell = values.get(self.path)
        if cell is None:
            return None
        if self.name == "defined":
            return cell.kind is not Kind.MISSING
        if cell.kind is Kind.MISSING:
            return self.name == "empty"
        return cell.kind in NULLS if self.name == "none" else bool(cell.is_empty)

    def give_clues(self, clues: Clues) -> None:
        clues.note(self.path)
        if self.name == "empty":
            clues.emptied.add(self.path)
        elif self.name == "defined":
            clues.defined.add(self.path)


@dataclass(frozen=True, slots=True)
class _Computed:
    """A part whose truth can only be computed from values, not from cells.

    Where its variables have no values, but cells, its truth is a variable of its own: the same text has the same truth.
    """

    expression: Expression
    dialect: Dialect
    paths: tuple[Path, ...]
    own: Path | None

    @property
    def variables(self) -> tuple[Path, ...]:
        return self.paths if self.own is None else (*self.paths, self.own)

    def truth(self, values: Values) -> bool | None:
        cells = {path: values[path] for path in self.paths if path in values}
        if len(cells) == len(self.paths) and all(cell.is_point for cell in cells.values()):
            data = build_data({path: cell.json for path, cell in cells.items()})
            held = truth_of(self.expression, data, self.dialect)
            if held is not None:
                return held
        own = values.get(self.own) if self.own is not None else None
        return own.is_truthy if own is not None else None

    def give_clues(self, clues: Clues) -> None:
        lists, texts = names_of_lists(self.expression), names_of_texts(self.expression)
        sized = names_of_sizes(self.expression)
        for value in literals_in(self.expression):
            for path in self.paths:
                if path in sized and isinstance(value, int):
                    clues.note(path, Kind.LIST)
                    clues.sizes.setdefault(path, set()).update((value - 1, value, value + 1))
                    continue
                if path in lists:
                    clues.note(path, Kind.LIST)
                    clues.lists.setdefault(path, {}).setdefault(value)
                if isinstance(value, str):
                    clues.note_text(path, value)
                elif path not in lists and path not in texts:
                    clues.note_number(path, exact_number(value))
        for path in self.paths:
            clues.note(path)
            clues.computed.add(path)
        if self.own is not None:
            clues.note(self.own, Kind.TRUTH)


def conjuncts(formula: Formula) -> Iterator[Formula]:
    """Give the parts that must all hold."""
    if isinstance(formula, _Several) and formula.conjunctive:
        for part in formula.parts:
            yield from conjuncts(part)
    elif isinstance(formula, _Not) and isinstance(formula.operand, _Several) and not formula.operand.conjunctive:
        for part in formula.operand.parts:
            yield from conjuncts(_negated(part))
    else:
        yield formula


def _negated(formula: Formula) -> Formula:
    if isinstance(formula, _Not):
        return formula.operand
    if isinstance(formula, _Fixed):
        return _Fixed(None if formula.value is None else not formula.value)
    return _Not(formula)


@lru_cache(maxsize=4_096)
def compile_formula(expression: Expression, dialect: Dialect) -> Formula:
    """Give the formula of a condition."""
    match expression:
        case Negation(operand):
            return _negated(compile_formula(operand, dialect))
        case Junction(conjunctive, parts):
            return _Several(conjunctive, tuple(compile_formula(part, dialect) for part in parts))
        case Conditional(test, then, otherwise):
            return _either(test, then, otherwise, dialect)
        case Comparison(symbol, left, right):
            return _comparison(symbol, left, right, dialect)
        case Name(path):
            return _Judged(variable_of(path), dialect is Dialect.TEMPLATE)
        case Property(name, Name(path)):
            return _Is(name, variable_of(path))
        case _:
            return _computed(expression, dialect)


def _computed(expression: Expression, dialect: Dialect) -> Formula:
    paths = tuple(dict.fromkeys(variable_of(path) for path in names_in(expression)))
    if not paths:
        return _Fixed(truth_of(expression, {}, dialect))
    if any(isinstance(part, Opaque) for part in every_part(expression)):
        return _Fixed(None)
    is_steady = not any(isinstance(part, Name) and part.is_call for part in every_part(expression))
    return _Computed(expression, dialect, paths, (COMPUTED, str(expression)) if is_steady else None)


def _either(test: Expression, then: Expression, otherwise: Expression, dialect: Dialect) -> Formula:
    condition = compile_formula(test, dialect)
    return _Several(
        conjunctive=False,
        parts=(
            _Several(conjunctive=True, parts=(condition, compile_formula(then, dialect))),
            _Several(conjunctive=True, parts=(_negated(condition), compile_formula(otherwise, dialect))),
        ),
    )


def _comparison(symbol: str, left: Expression, right: Expression, dialect: Dialect) -> Formula:
    for side, other, own in ((left, right, symbol), (right, left, _MIRRORED.get(symbol))):
        if isinstance(side, Conditional) and own is not None:
            then, otherwise = (Comparison(own, part, other) for part in (side.then, side.otherwise))
            return _either(side.test, then, otherwise, dialect)
        is_truth = isinstance(other, Literal) and isinstance(other.value, bool) and symbol in ("==", "!=")
        if is_truth and isinstance(side, Negation | Junction | Comparison):
            assert isinstance(other, Literal)
            formula = compile_formula(side, dialect)
            return formula if other.value is (symbol == "==") else _negated(formula)
    strictly = dialect is Dialect.TEMPLATE
    if symbol == "in":
        if not isinstance(right, Collection):
            return _computed(Comparison(symbol, left, right), dialect)
        parts = tuple(_comparison("==", left, item, dialect) for item in right.items)
        return _Several(conjunctive=False, parts=parts)
    one, other_one = _side(left), _side(right)
    if one is None or other_one is None:
        return _computed(Comparison(symbol, left, right), dialect)
    sides = (one, other_one)
    if not any(isinstance(side, Form) and side.factors for side in sides):
        plain = [
            Literal(number_value(side.constant)) if isinstance(side, Form) else Literal(side.json) for side in sides
        ]
        return _Fixed(truth_of(Comparison(symbol, *plain), {}, dialect))
    relation = _Relation("==" if symbol == "!=" else symbol, *sides, strictly)
    return _Not(relation) if symbol == "!=" else relation


def _side(expression: Expression) -> Form | Cell | None:
    if isinstance(expression, Literal):
        value = expression.value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number or value is None or isinstance(value, bool | str):
            return _linear(expression) if is_number else cell_of(value)
        return None
    return _linear(expression)


def _linear(expression: Expression) -> Form | None:
    """Give the linear form of an expression: sums and differences of numbers and variables, and their multiples."""
    if isinstance(expression, Literal):
        value = expression.value
        if isinstance(value, bool) or not isinstance(value, int | float) or value in (float("inf"), float("-inf")):
            return None
        return Form((), exact_number(value))
    if isinstance(expression, Name):
        return Form(((variable_of(expression.path), Fraction(1)),), Fraction(0))
    if not isinstance(expression, Arithmetic):
        return None
    left, right = _linear(expression.left), _linear(expression.right)
    if left is None or right is None:
        return None
    if expression.operator in ("+", "-"):
        return left.plus(right, Fraction(1 if expression.operator == "+" else -1))
    if expression.operator == "*" and (not left.factors or not right.factors):
        return right.scaled(left.constant) if not left.factors else left.scaled(right.constant)
    if expression.operator == "/" and not right.factors and right.constant:
        return left.scaled(1 / right.constant)
    return None
