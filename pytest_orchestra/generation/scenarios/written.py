"""What the sidecar says about decisions and loops, found in the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_orchestra.generation.conditions.expressions import Dialect, Expression, Opaque, names_in
from pytest_orchestra.generation.conditions.parser import parse_condition
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.lookup import DecisionNames, NodeNames, find_branch, names_of_branches
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.test_data.suite_data import SuiteData
from pytest_orchestra.generation.wording import describe, nearest_hint
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["WrittenConditions", "WrittenLoops", "read_conditions", "read_loops"]


@dataclass(frozen=True)
class WrittenConditions:
    """The conditions that users wrote, by point and index of the branch."""

    conditions: Mapping[tuple[int, int], str]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class WrittenLoops:
    """How often points may be visited again, where users said so; ``instances`` the same for activities that repeat."""

    repetitions: Mapping[int, int]
    instances: Mapping[int, int]
    problems: tuple[Problem, ...]


def read_conditions(bindings: Bindings, names: DecisionNames, data: SuiteData, home: Place) -> WrittenConditions:
    """Find the branches to which the sidecar's ``decisions`` give conditions, and say where these cannot be told."""
    conditions: dict[tuple[int, int], str] = {}
    problems: list[Problem] = []
    for element, branches in bindings.decisions.items():
        place = bindings.place_of("decisions", element) or home
        decisions = names.find(element)
        if not decisions:
            fact = f"the process decides nothing at '{element}'"
            problems.append(Problem(Severity.ERROR, place, fact, hint=nearest_hint(element, names.spellings())))
            continue
        for branch, text in branches.items():
            place = bindings.place_of("decisions", element, branch) or home
            found = [
                (decision.point, index)
                for decision in decisions
                if (index := find_branch(decision, branch)) is not None
            ]
            conditions.update(dict.fromkeys(found, text))
            if not found:
                fact = f"no branch at '{element}' is called '{branch}'"
                known = (name for decision in decisions for name in names_of_branches(decision))
                problems.append(Problem(Severity.ERROR, place, fact, hint=nearest_hint(branch, known), element=element))
                continue
            expression = parse_condition(text, Dialect.TEMPLATE)
            if isinstance(expression, Opaque):
                fact = f"the condition '{text}' of '{branch}' at '{element}' cannot be evaluated before the run"
                hint = "compare names of 'data' with values"
                problems.append(Problem(Severity.INFO, place, fact, hint=hint, element=element))
            for name in _absent(expression, data):
                fact = f"the condition '{text}' of '{branch}' at '{element}' reads '{name}', which no data set has"
                near = nearest_hint(name, data.keys())
                problems.append(Problem(Severity.WARNING, place, fact, hint=near, element=element))
    return WrittenConditions(conditions, tuple(problems))


def _absent(expression: Expression, data: SuiteData) -> list[str]:
    """Give the names of ``data`` that a condition reads although no data set has them; none where there is no data."""
    read = [str(path[1]) for path in names_in(expression) if len(path) > 1 and path[0] == "data"]
    known = set(data.keys())
    return [name for name in dict.fromkeys(read) if name not in known] if data.sets else []


def read_loops(
    bindings: Bindings, names: NodeNames, graph: ControlFlow, structure: Structure, home: Place
) -> WrittenLoops:
    """Find the nodes to which the sidecar's ``loops`` give limits of their own."""
    repetitions: dict[int, int] = {}
    instances: dict[int, int] = {}
    problems: list[Problem] = []
    for element, count in bindings.loops.items():
        place = bindings.place_of("loops", element) or home
        nodes = names.find(element)
        if not nodes:
            fact = f"the process has no element '{element}' to repeat"
            problems.append(Problem(Severity.ERROR, place, fact, hint=nearest_hint(element, names.spellings())))
        if count < 0:
            fact = f"'{element}' cannot be repeated {count} times"
            problems.append(Problem(Severity.ERROR, place, fact, hint="write 0 or more", element=element))
            continue
        for node in nodes:
            point = graph.point_of.get(node.id)
            before = None if point is None else graph.loop_of.get(point)
            if before is not None:
                instances[before] = count
            if point is not None and structure.innermost_loop(point):
                repetitions[point if before is None else before] = count
            elif before is None:
                fact = f"{describe(node)} lies on no loop"
                problems.append(Problem(Severity.WARNING, place, fact, hint="leave it out of 'loops'", element=node.id))
    return WrittenLoops(repetitions, instances, tuple(problems))
