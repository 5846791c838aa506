"""Data that leads along a path which no data set takes, and data at the boundaries of its comparisons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

from pytest_orchestra.generation.assumptions.fitting import VISIT, BranchCondition, claims_of
from pytest_orchestra.generation.assumptions.knowledge import Claim
from pytest_orchestra.generation.conditions.expressions import (
    Comparison,
    Dialect,
    Expression,
    Literal,
    Name,
    Negation,
    Opaque,
    is_opaque,
    parts_of,
    rewritten,
    truth_of,
    value_of,
)
from pytest_orchestra.generation.limits import MAX_BASES_TRIED, MAX_BOUNDARY_SETS, MAX_DATA_WORK
from pytest_orchestra.generation.solving.cells import Kind, exact_number, number_value
from pytest_orchestra.generation.solving.data_paths import Path, changed_data, variable_of
from pytest_orchestra.generation.solving.domains import Domain
from pytest_orchestra.generation.solving.formulas import Clues, compile_formula
from pytest_orchestra.generation.solving.solver import Solution, Status, solve
from pytest_orchestra.generation.token_game.game import Game, Run
from pytest_orchestra.model.dataset import DataSetOrigin, DataSetScope, TestDataSet
from pytest_orchestra.model.json import JsonValue

__all__ = ["PathConditions", "Witness", "WitnessMaker", "conditions_of"]

_VALUES = frozenset({Kind.NUMBER, Kind.TEXT, Kind.TRUTH, Kind.LIST})


@dataclass(frozen=True, slots=True)
class PathConditions:
    """What a run asks of data: expressions that must hold, how each compares, and how people read it."""

    parts: tuple[Expression, ...]
    dialects: tuple[Dialect, ...]
    claims: tuple[Claim, ...]
    opaque: tuple[Claim, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the run asks nothing of data that is understood."""
        return not self.parts


def conditions_of(game: Game, run: Run, names: Collection[str] | None) -> PathConditions:
    """Give what the decisions of a run ask of the data.

    ``names`` are those that data holds; other names of the model's own conditions are what the process decides on by
    itself. Without any data (None) all names are data, except those that a node before writes, or a getter gives.
    """
    written = _written_before(game, run) if names is None else {}
    claims: dict[tuple[Expression, Dialect], Claim] = {}
    opaque: dict[Claim, None] = {}
    visits: dict[int, int] = {}
    for number, choice in enumerate(run.choices):
        visit = visits[choice.point] = visits.get(choice.point, 0) + 1
        known = {
            index: game.table.conditions[choice.point, index]
            for index in range(len(game.decisions[choice.point].branches))
            if (choice.point, index) in game.table.conditions
        }
        for branch, holds in _claims(game, choice.point, choice.outcome, known):
            condition = known[branch]
            own_names = names if names is not None else None
            gone = written.get(number, frozenset())
            expression = rewritten(condition.expression, lambda name: _own(name, condition, visit, own_names, gone))  # noqa: B023
            part = expression if holds else Negation(expression)
            claim = Claim(choice.point, branch, condition.text if holds else f"not ({condition.text})")
            if is_opaque(expression):
                opaque.setdefault(claim)
            else:
                claims.setdefault((part, condition.dialect), claim)
    return PathConditions(
        tuple(part for part, _ in claims),
        tuple(dialect for _, dialect in claims),
        tuple(claims.values()),
        tuple(opaque),
    )


def _claims(game: Game, point: int, outcome: int, known: Mapping[int, BranchCondition]) -> Iterator[tuple[int, bool]]:
    """Give the claims of a choice, those among them of events that are thrown from inside."""
    decision = game.decisions[point]
    thrown = {index for index in known if decision.branches[index].is_thrown}
    if outcome < 0:
        yield from ((index, True) for index in thrown if index == ~outcome)
        return
    yield from claims_of(decision, game.table.outcomes[point][outcome], known.keys() - thrown)
    yield from ((index, False) for index in sorted(thrown) if decision.default is not None)


def _own(
    name: Name, condition: BranchCondition, visit: int, names: Collection[str] | None, written: Collection[str]
) -> Expression:
    """Give a name if it is data, the visit's number, or an opaque part."""
    if name.path[0] == VISIT and condition.dialect is Dialect.TEMPLATE:
        return Literal(visit)
    path = variable_of(name.path)
    if condition.dialect is Dialect.TEMPLATE:
        return Name(path) if name.path[0] == "data" and len(name.path) > 1 else Opaque(str(name.path[0]))
    is_data = path[0] in names if names is not None else not name.is_call and path[0] not in written
    return Name(path) if is_data else Opaque(str(path[0]))


def _written_before(game: Game, run: Run) -> dict[int, frozenset[str]]:
    """Give for each choice of a run the names that nodes have written by then."""
    writes = game.knowledge.writes if game.knowledge is not None else {}
    if not writes:
        return {}
    found: dict[int, frozenset[str]] = {}
    names: frozenset[str] = frozenset()
    choices = iter(enumerate(run.choices))
    waiting = next(choices, None)
    for point in run.points:
        node = game.graph.points[point].node
        if node is not None and node.id in writes:
            names |= writes[node.id].names
        while waiting is not None and waiting[1].point == point and waiting[0] not in found:
            found[waiting[0]] = names
            waiting = next(choices, None)
            break
    for number in range(len(run.choices)):
        found.setdefault(number, names)
    return found


@dataclass(frozen=True, slots=True)
class Witness:
    """Data that was made for a scenario: the set, the data set that it began as, and what was set in it."""

    data_set: TestDataSet
    base: str | None
    changes: tuple[tuple[Path, JsonValue], ...]

    def describe(self) -> str:
        """Say what was set: ``amount = 1001, vip = true``."""
        return ", ".join(f"{_spelled(path)} = {_shown(value)}" for path, value in self.changes)


def _spelled(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _shown(value: JsonValue) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"'{value}'" if isinstance(value, str) else str(value)


@dataclass
class WitnessMaker:
    """Makes data for the scenarios of one suite; ``taken`` are the names that data sets have already.

    ``left_out`` are the keys of scenarios for which it made none, or not all, because its limit was reached.
    """

    suite: str
    taken: set[str]
    suffix: str = ""
    made: list[TestDataSet] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    _work: int = 0

    def make(
        self, key: str, asked: PathConditions, bases: Sequence[TestDataSet], domains: Mapping[Path, Domain]
    ) -> Witness | Solution:
        """Give data for which what is asked holds, or is at least not known to fail; else what solving came to.

        It is made from the data set of which the fewest values have to change, or from nothing.
        """
        best: tuple[int, Witness] | None = None
        worst: Solution | None = None
        for base in bases[:MAX_BASES_TRIED] or (TestDataSet(""),):
            if not self._may_solve(key, asked):
                break
            values = base.data
            solution = _solved(asked, values, domains)
            if not solution.assignment:
                worst = worst or solution
                continue
            changes = tuple(
                (path, value)
                for path, value in solution.assignment.items()
                if value_of(Name(path), values, Dialect.MODEL) != value
            )
            if best is None or len(changes) < best[0]:
                data = changed_data(values, dict(changes))
                if all(
                    truth_of(part, data, dialect) is not False
                    for part, dialect in zip(asked.parts, asked.dialects, strict=True)
                ):
                    own = TestDataSet("", data, DataSetScope.SCENARIO, self.suite, key, origin=DataSetOrigin.GENERATED)
                    best = (len(changes), Witness(own, base.name or None, changes))
        if best is None:
            return worst or Solution(Status.UNKNOWN)
        return replace(best[1], data_set=self._named(best[1].data_set, key))

    def _may_solve(self, key: str, asked: PathConditions) -> bool:
        """Count the work of solving the conditions of a scenario, up to the limit of all scenarios together."""
        if self._work >= MAX_DATA_WORK:
            self.left_out.add(key)
            return False
        self._work += len(asked.parts) ** 2
        return True

    def _named(self, data_set: TestDataSet, wanted: str) -> TestDataSet:
        name = f"{wanted}{self.suffix}"
        number = 1
        while name in self.taken:
            name = f"{wanted}{self.suffix}-witness" if number == 1 else f"{wanted}{self.suffix}-witness-{number}"
            number += 1
        self.taken.add(name)
        named = replace(data_set, name=name)
        self.made.append(named)
        return named

    def boundaries(
        self, key: str, asked: PathConditions, base: TestDataSet, domains: Mapping[Path, Domain]
    ) -> list[TestDataSet]:
        """Give data at, just below and just above the number of every comparison that stays on the path."""
        found: list[TestDataSet] = []
        for path, number, step in _compared(asked):
            unit = max(step, domains[path].step or step) if path in domains else step
            for where, value in (("at", number), ("below", number - unit), ("above", number + unit)):
                if len(found) >= MAX_BOUNDARY_SETS:
                    return found
                if not self._may_solve(key, asked):
                    return found
                exactly = Comparison("==", Name(path), Literal(number_value(value)))
                bounded = replace(asked, parts=(*asked.parts, exactly), dialects=(*asked.dialects, Dialect.TEMPLATE))
                solution = _solved(bounded, base.data, domains)
                if not solution.assignment:
                    continue
                data = changed_data(base.data, solution.assignment)
                if data == base.data or any(one.data == data for one in found):
                    continue
                name = f"{key}-{_spelled(path)}-{where}-{number_value(number)}"
                own = TestDataSet("", data, DataSetScope.SCENARIO, self.suite, key, origin=DataSetOrigin.GENERATED)
                found.append(self._named(own, name))
        return found


def _solved(asked: PathConditions, values: Mapping[str, JsonValue], domains: Mapping[Path, Domain]) -> Solution:
    """Solve for values of the kinds that comparisons suggest, and where that fails for any, null among them."""
    suggested: dict[Path, frozenset[Kind]] = {}
    for part, dialect in zip(asked.parts, asked.dialects, strict=True):
        for path, kinds in _kinds_in(part, dialect):
            known = suggested.get(path)
            if known is None or not kinds <= known:
                suggested[path] = kinds | (known or frozenset())
    typed = {
        path: Domain(kinds=_VALUES & kinds or frozenset({Kind.TEXT}), step=None)
        for path, kinds in suggested.items()
        if path not in domains
    }
    preferred = {
        path: value
        for path in suggested
        if (value := value_of(Name(path), values, Dialect.MODEL)) is None or isinstance(value, str | int | float)
    }
    first = Solution(Status.UNKNOWN)
    for restricted in ({**typed, **domains}, domains):
        solution = solve(asked.parts, dialects=asked.dialects, domains=restricted, preferred=preferred)
        if solution.assignment:
            return solution
        first = solution
    return first


@lru_cache(maxsize=4_096)
def _kinds_in(part: Expression, dialect: Dialect) -> tuple[tuple[Path, frozenset[Kind]], ...]:
    """Give the kinds of values that a condition suggests for each of its variables."""
    clues = Clues()
    compile_formula(part, dialect).give_clues(clues)
    return tuple((path, frozenset(kinds)) for path, kinds in clues.kinds.items())


def _compared(asked: PathConditions) -> Iterator[tuple[Path, Fraction, Fraction]]:
    """Give the numbers with which variables are compared, each once, with the step to the next one."""
    seen: dict[tuple[Path, Fraction], Fraction] = {}
    for part in asked.parts:
        for comparison in _comparisons((part,)):
            for name, literal in ((comparison.left, comparison.right), (comparison.right, comparison.left)):
                if not isinstance(name, Name) or not isinstance(literal, Literal):
                    continue
                value = literal.value
                if isinstance(value, bool) or not isinstance(value, int | float):
                    continue
                number = exact_number(value)
                digits = (
                    len(str(value).partition(".")[2]) if isinstance(value, float) and number.denominator != 1 else 0
                )
                seen.setdefault((variable_of(name.path), number), Fraction(1, 10**digits))
    for (path, number), step in seen.items():
        yield path, number, step


def _comparisons(parts: Iterable[Expression]) -> Iterator[Comparison]:
    for part in parts:
        if isinstance(part, Comparison):
            yield part
        yield from _comparisons(parts_of(part))
