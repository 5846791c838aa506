"""Which conditions of a model are not understood, so that any data may take their branches."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_orchestra.generation.assumptions.fitting import Table
from pytest_orchestra.generation.conditions.expressions import Dialect, is_opaque
from pytest_orchestra.generation.control_flow.decisions import Branch, Decision
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.limits import MAX_OPAQUE_TOLD
from pytest_orchestra.model.process import Condition
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["tell_unreadable"]

_SHOWN = 80


def tell_unreadable(graph: ControlFlow, table: Table, decisions: dict[int, Decision], home: Place) -> list[Problem]:
    """Give an information for each condition that cannot be evaluated before the run, the same text once a decision.

    Of more than ``MAX_OPAQUE_TOLD`` the number of the others is told.
    """
    found: dict[tuple[int, str], Problem] = {}
    for (point, index), condition in table.conditions.items():
        if condition.dialect is not Dialect.MODEL or not is_opaque(condition.expression):
            continue
        decision = decisions[point]
        branch = decision.branches[index]
        own = next(_conditions(graph, branch), None)
        text = " ".join(condition.text.split())
        shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
        name = branch.name or branch.target_name or branch.id
        found.setdefault(
            (point, condition.text),
            Problem(
                Severity.INFO,
                (own.place if own is not None else None) or home,
                f"the condition '{shown}' of '{name}' at '{decision.name}' cannot be evaluated before the run",
                hint=f"say in 'decisions' which data leads to '{name}'",
                element=branch.id,
            ),
        )
    told = list(found.values())
    if len(told) > MAX_OPAQUE_TOLD:
        fact = f"{len(told) - MAX_OPAQUE_TOLD} more conditions cannot be evaluated before the run"
        told[MAX_OPAQUE_TOLD:] = [Problem(Severity.INFO, home, fact, hint="say in 'decisions' which data leads where")]
    return told


def _conditions(graph: ControlFlow, branch: Branch) -> Iterator[Condition]:
    for edge in branch.edges:
        flow = graph.edges[edge].flow
        if flow is not None and flow.condition is not None:
            yield flow.condition
