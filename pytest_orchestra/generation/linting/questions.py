"""Questions about conditions, put to the solver (:mod:`.solver`), each of them once.

Of numbers, texts and truth values only those are tried that a condition compares the variable with: that a number may
be missing is no gap between ``> 5`` and ``<= 5``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from pytest_orchestra.generation.assumptions.fitting import BranchCondition, claims_of
from pytest_orchestra.generation.conditions.expressions import Dialect, Expression, Negation, names_in
from pytest_orchestra.generation.control_flow.decisions import Decision, Outcome
from pytest_orchestra.generation.limits import MAX_QUESTIONS_SOLVED
from pytest_orchestra.generation.solving.cells import Kind
from pytest_orchestra.generation.solving.domains import Domain
from pytest_orchestra.generation.solving.formulas import Clues, Path, compile_formula
from pytest_orchestra.generation.solving.solver import Solution, Status, solve
from pytest_orchestra.generation.token_game.game import Game

__all__ = ["Oracle", "can_be_taken", "possible_sets"]

_MOST_VARIABLES = 12
_MOST_BRANCHES = 3
_KINDS = frozenset({Kind.NUMBER, Kind.TEXT, Kind.TRUTH})


class Oracle:
    """Answers about conditions. ``unasked`` is the number of questions that were one too many."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, bool, Dialect], ...], Solution | None] = {}
        self.unasked = 0

    def ask(self, conditions: Sequence[tuple[BranchCondition, bool]]) -> Solution | None:
        """Say whether conditions can hold, or fail, together; None where that is not asked or not known."""
        question = tuple((condition.text, holds, condition.dialect) for condition, holds in conditions)
        if question in self._known:
            return self._known[question]
        if len(self._known) >= MAX_QUESTIONS_SOLVED:
            self.unasked += 1
            return None
        answer = self._known[question] = _answer(conditions)
        return answer


def _answer(conditions: Sequence[tuple[BranchCondition, bool]]) -> Solution | None:
    expressions = [condition.expression for condition, _ in conditions]
    if len({path for expression in expressions for path in names_in(expression)}) > _MOST_VARIABLES:
        return None
    dialects = [condition.dialect for condition, _ in conditions]
    parts = [
        expression if holds else Negation(expression)
        for expression, (_, holds) in zip(expressions, conditions, strict=True)
    ]
    solution = solve(parts, dialects=dialects, domains=_domains(expressions, dialects), asks_z3=False)
    return None if solution.status is Status.UNKNOWN else solution


def _domains(expressions: Sequence[Expression], dialects: Sequence[Dialect]) -> dict[Path, Domain]:
    """Give for every variable the kinds of values with which it is compared."""
    clues = Clues()
    for expression, dialect in zip(expressions, dialects, strict=True):
        compile_formula(expression, dialect).give_clues(clues)
    domains: dict[Path, Domain] = {}
    for path, noted in clues.kinds.items():
        kinds = _KINDS & noted.keys()
        if not kinds and path in clues.ordered:
            kinds = frozenset({Kind.NUMBER})
        if kinds:
            domains[path] = Domain(kinds=kinds)
    return domains


def possible_sets(game: Game, oracle: Oracle, decision: Decision) -> tuple[frozenset[int], ...] | None:
    """Give the sets of branches that an inclusive decision can take together, its default apart; None if any.

    An empty set is among them where it may be that no condition holds.
    """
    conditions = _conditions(game, decision)
    regular = [index for index in range(len(decision.branches)) if index != decision.default]
    if not 1 < len(regular) <= _MOST_BRANCHES or len(conditions) < len(regular):
        return None
    found: list[frozenset[int]] = []
    for held in product((True, False), repeat=len(regular)):
        asked = [(conditions[index], holds) for index, holds in zip(regular, held, strict=True)]
        answer = oracle.ask(asked)
        if answer is None or answer.status is not Status.CONTRADICTORY:
            found.append(frozenset(index for index, holds in zip(regular, held, strict=True) if holds))
    return tuple(found) if len(found) < 1 << len(regular) else None


def can_be_taken(game: Game, oracle: Oracle, ways: Iterable[tuple[int, frozenset[int]]]) -> bool:
    """Whether nothing contradicts that decisions (by point) take these branches, one and the same data given."""
    asked: list[tuple[BranchCondition, bool]] = []
    for point, branches in ways:
        decision = game.decisions[point]
        conditions = _conditions(game, decision)
        outcome = Outcome((), tuple(sorted(branches)))
        asked += [(conditions[index], holds) for index, holds in claims_of(decision, outcome, conditions.keys())]
    if len(asked) < 2:  # noqa: PLR2004  a single one contradicts nothing
        return True
    answer = oracle.ask(asked)
    return answer is None or answer.status is not Status.CONTRADICTORY


def _conditions(game: Game, decision: Decision) -> dict[int, BranchCondition]:
    found = {
        index: game.table.conditions[decision.point, index]
        for index in range(len(decision.branches))
        if (decision.point, index) in game.table.conditions
    }
    return {} if any(condition.counts for condition in found.values()) else found
