"""Conditions of branches: whether two can hold at once, whether one always does, and what none of them covers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from pytest_orchestra.generation.assumptions.fitting import BranchCondition
from pytest_orchestra.generation.conditions.expressions import Junction, Name, Negation, names_in
from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import EdgeKind
from pytest_orchestra.generation.limits import MAX_QUESTIONS_SOLVED
from pytest_orchestra.generation.linting.findings import Finding
from pytest_orchestra.generation.linting.questions import Oracle
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.solving.formulas import Path
from pytest_orchestra.generation.solving.solver import Solution, Status
from pytest_orchestra.generation.token_game.game import Game
from pytest_orchestra.generation.wording import describe, fold, quoted
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.process import FlowNode, NodeKind
from pytest_orchestra.problem import Severity

__all__ = ["judge_conditions"]

_MOST_BRANCHES = 12
_LONGEST = 100


def judge_conditions(game: Game, oracle: Oracle) -> Iterator[Finding]:
    """Give what is wrong with the conditions of the flows between which a process decides."""
    for point, decision in game.decisions.items():
        node = game.graph.points[point].node
        if node is None or point not in game.structure.reachable or not _chooses_flows(game, decision):
            continue
        conditions = {
            index: game.table.conditions[point, index]
            for index in range(len(decision.branches))
            if (point, index) in game.table.conditions
        }
        if conditions and not any(condition.counts for condition in conditions.values()):
            yield from _judge(oracle, node, decision, conditions)
    if oracle.unasked:
        fact = f"only the first {MAX_QUESTIONS_SOLVED} comparisons of conditions were made; {oracle.unasked} were not"
        yield Finding(Rule.OVERLAPPING_CONDITIONS, Severity.INFO, None, fact, "split the process")


def _chooses_flows(game: Game, decision: Decision) -> bool:
    edges = game.graph.edges
    return all(branch.edges and edges[branch.edges[0]].kind is EdgeKind.FLOW for branch in decision.branches)


def _judge(
    oracle: Oracle, node: FlowNode, decision: Decision, conditions: Mapping[int, BranchCondition]
) -> Iterator[Finding]:
    constant = {index for index, condition in conditions.items() if _always_holds(oracle, condition)}
    for index in sorted(constant if node.kind is not NodeKind.INCLUSIVE_GATEWAY else ()):
        yield _constant(node, decision, index, conditions[index])
    if len(decision.branches) == 1 and not decision.always:
        if not constant:
            yield _only_flow(node, conditions[0])
        return
    if node.kind is NodeKind.EXCLUSIVE_GATEWAY:
        regular = [index for index in conditions if index not in constant]
        yield from _overlap(oracle, node, decision, {index: conditions[index] for index in regular})
    if decision.default is None and not decision.always and len(conditions) == len(decision.branches) and not constant:
        yield from _gap(oracle, node, list(conditions.values()))


def _always_holds(oracle: Oracle, condition: BranchCondition) -> bool:
    expression = condition.expression
    if names_in(expression) and not isinstance(expression, Junction | Negation):
        return False
    answer = oracle.ask([(condition, False)])
    return answer is not None and answer.status is Status.CONTRADICTORY


def _constant(node: FlowNode, decision: Decision, index: int, condition: BranchCondition) -> Finding:
    branch = decision.branches[index]
    name = branch.name or branch.target_name or branch.id
    fact = f"the condition '{_shown(condition)}' of '{name}' at {describe(node)} always holds"
    hint = "make it the default flow, without a condition" if node.kind.is_gateway else "take the condition away"
    return Finding(Rule.CONSTANT_CONDITION, Severity.INFO, node, fact, hint)


def _only_flow(node: FlowNode, condition: BranchCondition) -> Finding:
    fact = f"{describe(node)} has one outgoing flow, and is stuck where '{_shown(condition)}' does not hold"
    hint = "take the condition away, or add a flow for when it does not hold"
    return Finding(Rule.CONDITION_ON_ONLY_FLOW, Severity.INFO, node, fact, hint)


def _overlap(
    oracle: Oracle, node: FlowNode, decision: Decision, conditions: Mapping[int, BranchCondition]
) -> Iterator[Finding]:
    """Find the first two branches that can be taken at once; one that never is taken is told elsewhere."""
    hint = "make the conditions exclude each other"
    for one, other in combinations(list(conditions)[:_MOST_BRANCHES], 2):
        first, second = conditions[one], conditions[other]
        if first.text == second.text:
            if oracle.ask([(first, False), (second, True)]) is None:
                names = quoted(
                    decision.branches[index].name or decision.branches[index].target_name for index in (one, other)
                )
                fact = f"{names} at {describe(node)} have the same condition '{_shown(first)}'"
                yield Finding(Rule.OVERLAPPING_CONDITIONS, Severity.WARNING, node, fact, hint)
                return
            continue
        if _is_word(first) or _is_word(second):
            continue
        answer = oracle.ask([(first, True), (second, True)])
        if answer is None or answer.status is Status.CONTRADICTORY:
            continue
        hidden = oracle.ask([(first, False), (second, True)])
        if hidden is not None and hidden.status is Status.CONTRADICTORY:
            continue
        fact = f"both '{_shown(first)}' and '{_shown(second)}' at {describe(node)} hold{_witness(answer)}"
        shared = set(names_in(first.expression)) & set(names_in(second.expression))
        # different variables may exclude each other in ways that the model does not tell
        yield Finding(Rule.OVERLAPPING_CONDITIONS, Severity.WARNING if shared else Severity.INFO, node, fact, hint)
        return


def _is_word(condition: BranchCondition) -> bool:
    """Whether a condition is a bare word, which may as well be meant for people only."""
    expression = condition.expression
    return isinstance(expression, Name) and condition.text.strip() == ".".join(map(str, expression.path))


def _shown(condition: BranchCondition) -> str:
    text = fold(condition.text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _gap(oracle: Oracle, node: FlowNode, conditions: Sequence[BranchCondition]) -> Iterator[Finding]:
    hint = "set the gateway's default flow" if node.kind.is_gateway else "add a default flow"
    fact = f"{describe(node)} has no default flow"
    answer = None
    if not any(map(_is_word, conditions)):
        answer = oracle.ask([(condition, False) for condition in conditions])
    if answer is None:
        yield Finding(Rule.MISSING_DEFAULT, Severity.INFO, node, fact, hint)
    elif answer.status is Status.SATISFIABLE:
        told = f"{fact}: no branch is taken{_witness(answer)}"
        # of texts only those that are named may ever occur
        is_text = all(isinstance(value, str) for value in answer.assignment.values())
        yield Finding(Rule.MISSING_DEFAULT, Severity.INFO if is_text else Severity.WARNING, node, told, hint)


def _witness(solution: Solution) -> str:
    values = ", ".join(f"{_name(path)} = {_value(value)}" for path, value in solution.assignment.items())
    return f" for {values}" if values else ""


def _name(path: Path) -> str:
    text = str(path[0])
    for step in path[1:]:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text


def _value(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)
