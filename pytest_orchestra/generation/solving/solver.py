"""Whether conditions can hold together, with values for which they do, or the least of them that contradict.

The search is exact for comparisons of variables with numbers, texts, truth values and null, for ``in`` a list of them,
for comparisons and sums of variables among each other, and for ``and``, ``or`` and ``not`` of such. It looks at one
value of every cell in which no comparison changes (see :mod:`cells`). Where numbers depend on each other, the variables
are valued one after the other, and the boundaries of each are those that the forms which contain it and their pairwise
eliminations have: cylindrical decomposition, linear case (Collins, 1975; Fourier and Motzkin's elimination).

Conditions on different variables are solved apart. What is not understood may hold or not; it never contradicts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, product
from types import MappingProxyType
from typing import TypeAlias

from pytest_orchestra.generation.conditions.expressions import Dialect, Expression, names_in, truth_of
from pytest_orchestra.generation.limits import (
    MAX_CORE_PARTS,
    MAX_FORMS,
    MAX_ITEMS_MADE,
    MAX_SOLVER_STEPS,
    MAX_SOLVER_VARIABLES,
)
from pytest_orchestra.generation.solving.axes import sieve_cells
from pytest_orchestra.generation.solving.cells import Cell, Kind, cell_of, number_cells, other_cells, text_cells
from pytest_orchestra.generation.solving.data_paths import build_data
from pytest_orchestra.generation.solving.domains import Domain
from pytest_orchestra.generation.solving.formulas import (
    COMPUTED,
    Clues,
    Form,
    Formula,
    Path,
    compile_formula,
    conjuncts,
    variable_of,
)
from pytest_orchestra.generation.solving.z3_solving import ask_z3
from pytest_orchestra.model.json import JsonValue

__all__ = ["Solution", "Status", "enumerate_cells", "solve"]


class Status(StrEnum):
    """Whether conditions can hold together."""

    SATISFIABLE = "satisfiable"
    CONTRADICTORY = "contradictory"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Solution:
    """What solving came to.

    ``assignment`` has values for which all conditions hold; where the status is ``UNKNOWN``, values for which none is
    known to fail, if such were found. ``core`` has, for a contradiction, the indices of conditions that contradict,
    none of which can be left out.
    """

    status: Status
    assignment: Mapping[Path, JsonValue] = field(default_factory=dict)
    core: tuple[int, ...] = ()


_MANY = 8
"""Formulas on one variable alone from which on they are asked of all its cells at once."""

_STEPS_BEYOND = 500
"""How much longer to look for what surely holds once something is found that may."""

_Part: TypeAlias = tuple[int, Formula]


def solve(
    parts: Sequence[Expression],
    *,
    dialects: Sequence[Dialect] | Dialect = Dialect.MODEL,
    domains: Mapping[Path, Domain] = MappingProxyType({}),
    preferred: Mapping[Path, JsonValue] = MappingProxyType({}),
    asks_z3: bool = True,
) -> Solution:
    """Say whether all conditions can hold at once.

    ``dialects`` says how each compares; ``domains`` what variables may be at all; ``preferred`` has values that are
    kept where the conditions let them. The same arguments give the same solution; without ``asks_z3`` it is the same
    whether z3 is installed or not.
    """
    spoken = [dialects] * len(parts) if isinstance(dialects, Dialect) else list(dialects)
    formulas = [
        (index, formula)
        for index, part in enumerate(parts)
        for formula in conjuncts(compile_formula(part, spoken[index]))
    ]
    values: dict[Path, Cell] = {}
    unknown = False
    elsewhere: dict[Path, JsonValue] = {}
    for members in _components(formulas):
        found = _search([formula for _, formula in members], domains, preferred)
        if asks_z3 and found.kinds and not found.is_certain:
            indices = list(dict.fromkeys(index for index, _ in members))
            answer = ask_z3([parts[index] for index in indices], found.kinds, domains)
            if answer is not None and _holds(
                [parts[index] for index in indices], [spoken[index] for index in indices], answer
            ):
                elsewhere.update(answer)
                continue
        if found.cells is None:
            if found.is_complete:
                return Solution(Status.CONTRADICTORY, core=_core(members, formulas, domains))
            unknown = True
        else:
            unknown = unknown or not found.is_certain
            values.update(found.cells)
    assignment = {**_assignment(values), **elsewhere}
    for path in (variable_of(path) for part in parts for path in names_in(part)):
        if path not in assignment and path not in values and not unknown:
            assignment[path] = preferred.get(path, 0)  # what cancels out in a sum may be any number
    unknown = unknown or not _holds(parts, spoken, assignment)
    return Solution(Status.UNKNOWN if unknown else Status.SATISFIABLE, assignment)


def _holds(parts: Sequence[Expression], dialects: Sequence[Dialect], assignment: Mapping[Path, JsonValue]) -> bool:
    data = build_data(assignment)
    return all(truth_of(part, data, dialect) for part, dialect in zip(parts, dialects, strict=True))


def _assignment(values: Mapping[Path, Cell]) -> dict[Path, JsonValue]:
    return {path: cell.json for path, cell in values.items() if path[0] != COMPUTED and cell.kind is not Kind.MISSING}


def enumerate_cells(formulas: Sequence[Formula], limit: int) -> tuple[Mapping[Path, Cell], ...] | None:
    """Give one assignment of every combination of cells that the formulas tell apart; None beyond the limit."""
    component = _Component(formulas, {}, {})
    return component.enumerate(limit) if component.is_exact else None


def _components(formulas: Iterable[_Part]) -> list[list[_Part]]:
    """Give the formulas in groups that share no variable; those without any variable are a group of their own."""
    leader: dict[Path, Path] = {}

    def lead(path: Path) -> Path:
        while leader.setdefault(path, path) != path:
            leader[path] = leader[leader[path]]
            path = leader[path]
        return path

    known = list(formulas)
    for _, formula in known:
        for other in formula.variables[1:]:
            leader[lead(other)] = lead(formula.variables[0])
    groups: dict[Path | int, list[_Part]] = {}
    for number, part in enumerate(known):
        key = lead(part[1].variables[0]) if part[1].variables else number
        members = groups.pop(key, [])  # the group that is complete first is the first
        members.append(part)
        groups[key] = members
    return list(groups.values())


@dataclass
class _Found:
    """What the search of a component came to; ``is_complete`` if it left nothing out.

    ``kinds`` are those of the variables' values where somebody else may know more.
    """

    cells: dict[Path, Cell] | None
    is_certain: bool
    is_complete: bool
    kinds: Mapping[Path, Kind] = field(default_factory=dict)


def _search(formulas: Sequence[Formula], domains: Mapping[Path, Domain], preferred: Mapping[Path, JsonValue]) -> _Found:
    """Look for cells for which all formulas hold; what was asked before is not looked for again."""
    paths = dict.fromkeys(path for formula in formulas for path in formula.variables)
    own_domains = tuple((path, domains[path]) for path in paths if path in domains)
    wanted = tuple((path, cell_of(preferred[path])) for path in paths if path in preferred)
    return _remembered(tuple(formulas), own_domains, wanted)


@lru_cache(maxsize=4_096)
def _remembered(
    formulas: tuple[Formula, ...], domains: tuple[tuple[Path, Domain], ...], preferred: tuple[tuple[Path, Cell], ...]
) -> _Found:
    return _Component(formulas, dict(domains), dict(preferred)).search()


class _Component:
    def __init__(
        self, formulas: Sequence[Formula], domains: Mapping[Path, Domain], preferred: Mapping[Path, Cell]
    ) -> None:
        self._formulas = formulas
        self._domains = domains
        self._clues = Clues()
        for formula in self._formulas:
            formula.give_clues(self._clues)
        self.variables = tuple(dict.fromkeys(path for formula in self._formulas for path in formula.variables))
        self._preferred = preferred
        for path in self.variables:
            if path in domains:
                domains[path].give_clues(path, self._clues)
        for path, cell in self._preferred.items():
            if cell.kind is Kind.NUMBER and isinstance(cell.value, Fraction):
                self._clues.note_number(path, cell.value)
            elif cell.kind is Kind.TEXT:
                self._clues.note_text(path, str(cell.value))
            elif cell.kind is Kind.TRUTH:
                self._clues.note(path, Kind.TRUTH)
        self._watched: dict[Path, list[Formula]] = {path: [] for path in self.variables}
        for formula in self._formulas:
            for path in formula.variables:
                self._watched[path].append(formula)
        self.is_exact = len(self.variables) <= MAX_SOLVER_VARIABLES
        self._share_kinds()
        self._levels = self._project()
        self._texts = self._share_texts()
        self._alike = {path for pair in self._clues.alike for path in pair}
        self._sieved: dict[Path, list[Cell]] = {}
        self._related: dict[Path, list[Formula]] = {}
        self._is_computed = any(path[0] == COMPUTED for path in self.variables)
        self._steps = 0
        self._cost = 0

    def _share_kinds(self) -> None:
        """Let variables that are compared with each other be of the same kinds."""
        kinds = self._clues.kinds
        changed = True
        while changed:
            changed = False
            for pair in self._clues.alike:
                for one, other in (pair, pair[::-1]):
                    for kind in kinds[one]:
                        if kind not in kinds[other]:
                            kinds[other][kind] = None
                            changed = True
        alike = {path for pair in self._clues.alike for path in pair}
        for path in self.variables:
            if not kinds[path]:
                kinds[path] = dict.fromkeys((Kind.NUMBER, Kind.TEXT) if path in alike else (Kind.TEXT,))

    def _share_texts(self) -> dict[Path, frozenset[str]]:
        shared = frozenset(
            text for pair in self._clues.alike for path in pair for text in self._clues.texts.get(path, ())
        )
        alike = {path for pair in self._clues.alike for path in pair}
        return {
            path: frozenset(self._clues.texts.get(path, ())) | (shared if path in alike else frozenset())
            for path in self.variables
        }

    def _project(self) -> dict[Path, list[Form]]:
        """Give for every variable the forms that it is compared with, once those before it have their values."""
        for path in self._clues.measured:
            if Kind.NUMBER in self._clues.kinds[path]:
                self._clues.note_number(path, Fraction(0))
        levels: dict[Path, list[Form]] = {path: [] for path in self.variables}
        current = dict.fromkeys(_normal(form) for form in self._clues.forms)
        if self._has_lattice() and any(len(form.factors) > 1 for form in current):
            self.is_exact = False
        for path in reversed(self.variables):
            mine = {form: _solved(form, path) for form in current if any(own == path for own, _ in form.factors)}
            levels[path] = list(mine.values())
            current = {form: None for form in current if form not in mine}
            for lower in _differences(levels[path]):
                current.setdefault(_normal(lower))
                if len(current) > MAX_FORMS:
                    self.is_exact = False
                    break
        return levels

    def _has_lattice(self) -> bool:
        return any(domain.step is not None for path, domain in self._domains.items() if path in set(self.variables))

    def _cells(self, path: Path, values: Mapping[Path, Cell]) -> list[Cell]:
        """Give the cells of a variable, those first that are preferred or that its comparisons suggest."""
        if path[0] == COMPUTED:
            return [cell_of(True), cell_of(False)]
        clues, domain = self._clues, self._domains.get(path)
        found: list[Cell] = []
        for kind in clues.kinds[path]:
            if kind is Kind.NUMBER:
                boundaries = [number for form in self._levels[path] if (number := form.value(values)) is not None]
                found.extend(self._judged(path, number_cells(boundaries, domain.step if domain else None)))
            elif kind is Kind.TEXT:
                known = {
                    str(cell.value) for own, cell in values.items() if cell.kind is Kind.TEXT and own[0] != COMPUTED
                }
                nothing = {""} if path in clues.emptied or path in clues.measured else set()
                near = known if any(path in pair for pair in clues.alike) else set()
                found.extend(self._judged(path, text_cells(self._texts[path] | near | nothing)))
            elif kind is Kind.TRUTH:
                found.extend((cell_of(True), cell_of(False)))
            elif kind is Kind.LIST:
                items = tuple(clues.lists.get(path, ()))
                sizes = (size for size in sorted(clues.sizes.get(path, ())) if 0 < size <= MAX_ITEMS_MADE)
                lists = (*((items,) if items else ()), *(("x",) * size for size in sizes), ())
                found.extend(
                    Cell(Kind.LIST, own, is_truthy=bool(own), is_empty=not own) for own in dict.fromkeys(lists)
                )
        judged = path in clues.judged or path in clues.measured
        others = other_cells(
            ordered=path in clues.ordered, judged=judged, emptied=path in clues.emptied, defined=path in clues.defined
        )
        found.extend(others)
        if domain is not None:
            found = [cell for one in found if (cell := domain.admit(one)) is not None]
        own = self._preferred.get(path)
        if own is not None:
            found.sort(key=lambda cell: not _is_same(cell, own))
        return found

    def _judged(self, path: Path, cells: Iterator[Cell]) -> Iterator[Cell]:
        """Give cells of numbers or texts twice where languages differ on which of them count as true."""
        for cell in cells:
            if path not in self._clues.judged:
                yield cell
                continue
            for truthy in (True, False):
                yield Cell(cell.kind, cell.value, cell.is_point, truthy, cell.is_empty)

    def search(self) -> _Found:
        """Look for cells for which all formulas hold, as many of the preferred values kept as can be."""
        found = self._searched()
        if not found.is_certain and (self._is_computed or not self.is_exact or self._steps <= 0):
            found.kinds = self._first_kinds()
        return found

    def _searched(self) -> _Found:
        if len(self.variables) > MAX_SOLVER_VARIABLES:
            return _Found(None, is_certain=False, is_complete=False)
        if any(formula.truth({}) is False for formula in self._formulas):
            return _Found(None, is_certain=True, is_complete=True)
        self._steps = MAX_SOLVER_STEPS
        fallback: dict[Path, Cell] | None = None
        for allowed in range(len(self._preferred) + 1):
            self._cost = allowed
            for values, is_certain in self._leaves({}, 0, 0):
                if is_certain:
                    return _Found(values, is_certain=True, is_complete=True)
                if fallback is None:
                    fallback = values
                    self._steps = min(self._steps, _STEPS_BEYOND)
            if self._steps <= 0:
                break
        if fallback is not None:
            return _Found(fallback, is_certain=False, is_complete=False)
        return _Found(None, is_certain=False, is_complete=self.is_exact and self._steps > 0)

    def _leaves(self, values: dict[Path, Cell], position: int, cost: int) -> Iterator[tuple[dict[Path, Cell], bool]]:
        if position == len(self.variables):
            truths = [formula.truth(values) for formula in self._formulas]
            yield dict(values), all(truths) and self._is_concrete(values)
            return
        path = self.variables[position]
        own = self._preferred.get(path)
        cells, watched = self._choices(path, values)
        for cell in cells:
            spent = cost + (own is not None and not _is_same(cell, own))
            if spent > self._cost or self._steps <= 0:
                continue
            values[path] = cell
            self._steps -= max(1, len(watched))
            if all(formula.truth(values) is not False for formula in watched):
                yield from self._leaves(values, position + 1, spent)
            del values[path]

    def _choices(self, path: Path, values: Mapping[Path, Cell]) -> tuple[list[Cell], list[Formula]]:
        """Give the cells of a variable, and what is to be asked of each of them.

        Many formulas on the variable alone are asked of all cells at once, and these are not looked at again.
        """
        if path in self._sieved:
            return self._sieved[path], self._related[path]
        cells, watched = self._cells(path, values), self._watched[path]
        is_steady = not any(form.factors for form in self._levels[path]) and path not in self._alike
        alone = [formula for formula in watched if len(formula.variables) == 1]
        if not is_steady or len(alone) < _MANY:
            return cells, watched
        self._steps -= len(alone)
        kept = sieve_cells(alone, path, cells)
        if kept is None:
            return cells, watched
        self._sieved[path] = kept
        self._related[path] = [formula for formula in watched if len(formula.variables) > 1]
        return kept, self._related[path]

    def _first_kinds(self) -> dict[Path, Kind]:
        """Give the kinds of values that comparisons suggest first, of those that have words elsewhere."""
        kinds: dict[Path, Kind] = {}
        for path in self.variables:
            known = (kind for kind in self._clues.kinds[path] if kind in (Kind.NUMBER, Kind.TEXT, Kind.TRUTH))
            if path[0] != COMPUTED:
                kinds[path] = next(known, Kind.TEXT)
        return kinds

    def _is_concrete(self, values: Mapping[Path, Cell]) -> bool:
        """Whether the very values of the cells do it, and no supposition about what can only be computed."""
        if any(cell.kind in (Kind.NULL_AS_LOWEST, Kind.NULL_AS_ZERO, Kind.OTHER) for cell in values.values()):
            return False
        if not self._is_computed:
            return True
        exactly = {path: replace(cell, is_point=True) for path, cell in values.items() if path[0] != COMPUTED}
        return all(formula.truth(exactly) for formula in self._formulas)

    def enumerate(self, limit: int) -> tuple[Mapping[Path, Cell], ...] | None:
        """Give every combination of cells; None if there are more than ``limit``."""
        found: list[Mapping[Path, Cell]] = [{}]
        for path in self.variables:
            found = [{**values, path: cell} for values in found for cell in self._cells(path, values)]
            if len(found) > limit:
                return None
        return tuple(found)


def _is_same(cell: Cell, other: Cell) -> bool:
    return cell.kind is other.kind and cell.value == other.value


def _normal(form: Form) -> Form:
    """Give the multiple of a form that stands for all of them."""
    if not form.factors or (len(form.factors) == 1 and form.factors[0][1] == 1):
        return form
    return form.scaled(1 / form.factors[0][1])


def _solved(form: Form, path: Path) -> Form:
    """Give the form that the variable equals where the form is zero."""
    factors = dict(form.factors)
    own = factors.pop(path)
    return Form(tuple((other, -factor / own) for other, factor in factors.items()), -form.constant / own)


def _differences(forms: Sequence[Form]) -> Iterator[Form]:
    """Give what is zero where two of the forms are equal. Of two numbers that says nothing of any variable."""
    depending = [form for form in forms if form.factors]
    numbers = [form for form in forms if not form.factors]
    for one, other in (*combinations(depending, 2), *product(depending, numbers)):
        difference = one.plus(other, Fraction(-1))
        if difference.factors:
            yield difference


def _core(found: Sequence[_Part], parts: Sequence[_Part], domains: Mapping[Path, Domain]) -> tuple[int, ...]:
    """Give conditions that contradict and none of which can be left out, the latest where there is a choice.

    Each is the last one that those behind it need in order to contradict with what was found before, by bisection.
    """
    indices = list(dict.fromkeys(index for index, _ in found))
    if len(indices) > MAX_CORE_PARTS:
        return tuple(indices)

    def contradict(kept: Collection[int]) -> bool:
        return any(_contradicts(group, domains) for group in _components(part for part in parts if part[0] in kept))

    core: list[int] = []
    begin = 0
    while begin < len(indices) and not (core and contradict(core)):
        end = len(indices)
        while end - begin > 1:
            middle = (begin + end) // 2
            if contradict({*core, *indices[middle:]}):
                begin = middle
            else:
                end = middle
        core.append(indices[begin])
        begin += 1
    return tuple(core)


def _contradicts(parts: Sequence[_Part], domains: Mapping[Path, Domain]) -> bool:
    found = _search([formula for _, formula in parts], domains, {})
    return found.cells is None and found.is_complete
