"""What generation came to, for machines and for people: the output of ``orchestra plan``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pytest_orchestra.generation.scenarios.at_once import AT_ONCE
from pytest_orchestra.generation.scenarios.steps import UNBOUND
from pytest_orchestra.generation.wording import caption
from pytest_orchestra.model.json import JsonObject, to_json
from pytest_orchestra.model.process import Process
from pytest_orchestra.model.scenario import CoverageGoal, CriterionCoverage, ScenarioSuite, TestScenario
from pytest_orchestra.problem import Problem, Severity

__all__ = ["plan_json", "plan_text", "plans_json", "problems_of"]

_WIDTH = 11
_MOST_NAMED = 6
_PAIR = 2


def plans_json(suites: Sequence[ScenarioSuite], file: str) -> JsonObject:
    """Give the JSON object for a file: that of its process, or a list under ``processes`` if it has several or none."""
    if len(suites) == 1:
        return plan_json(suites[0], file)
    return {"file": file, "processes": [plan_json(suite, file) for suite in suites]}


def plan_json(suite: ScenarioSuite, file: str) -> JsonObject:
    """Give the JSON object of one suite.

    Of every scenario ``serves`` lists all goals that it covers, as ``criterion:element``, and ``onlyServes`` those that
    no other covers. ``minimum`` has the number of scenarios that are needed at least. ``decisions`` has for each
    deciding element the branches taken, in order; ``coverage`` is by criterion.
    """
    alone = _served_alone(suite)
    return {
        "file": file,
        "process": {"id": suite.process_id, "name": suite.process_name, "hash": suite.process_hash},
        "criteria": [criterion.value for criterion in suite.criteria],
        "minimum": {
            "lowerBound": suite.minimum.lower_bound,
            "chosen": suite.minimum.chosen,
            "isProven": suite.minimum.is_proven,
        },
        "scenarios": [_scenario_json(scenario, alone) for scenario in suite.scenarios],
        "coverage": {
            coverage.criterion.value: {
                "covered": coverage.covered,
                "total": coverage.total,
                "missing": [{"element": missed.element, "reason": missed.reason} for missed in coverage.missing],
            }
            for coverage in suite.coverage
        },
        "generatedData": {data_set.name: to_json(data_set.data) for data_set in suite.generated_data},
        "problems": [
            {
                "severity": problem.severity.value,
                "code": problem.code,
                "place": str(problem.place),
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in problems_of(suite)
        ],
    }


def problems_of(suite: ScenarioSuite) -> tuple[Problem, ...]:
    """Give all problems of a suite and of its scenarios, each once."""
    return tuple(
        dict.fromkeys(
            (*suite.problems, *(problem for scenario in suite.scenarios for problem in scenario.problems)),
        )
    )


def plan_text(suite: ScenarioSuite, process: Process | None = None) -> str:
    """Give a suite as text for the terminal; with the ``process`` at hand, decisions read as people know them."""
    return "\n".join(_lines(suite, process))


def _served_alone(suite: ScenarioSuite) -> frozenset[CoverageGoal]:
    served = Counter(goal for scenario in suite.scenarios if scenario.active for goal in scenario.serves)
    return frozenset(goal for goal, count in served.items() if count == 1)


def _scenario_json(scenario: TestScenario, alone: frozenset[CoverageGoal]) -> JsonObject:
    return {
        "key": scenario.key,
        "name": scenario.name,
        "nodes": list(scenario.nodes),
        "flows": list(scenario.flows),
        "decisions": {taken.element: list(taken.branches) for taken in scenario.decisions},
        "conditions": list(scenario.conditions),
        "data": list(scenario.data_sets),
        "serves": [str(goal) for goal in scenario.serves],
        "onlyServes": [str(goal) for goal in scenario.serves if scenario.active and goal in alone],
        "steps": [
            {"alias": step.alias, "element": step.element_id, "kind": step.kind.value} for step in scenario.steps
        ],
        "tags": list(scenario.tags),
        "active": scenario.active,
    }


def _lines(suite: ScenarioSuite, process: Process | None) -> Iterator[str]:
    criteria = ", ".join(criterion.value for criterion in suite.criteria)
    name = suite.process_name or suite.process_id
    yield f"{name}: {_count(len(suite.scenarios), 'scenario')} for {criteria} coverage{_minimum(suite)}"
    alone = _served_alone(suite)
    for scenario in suite.scenarios:
        yield ""
        yield from _scenario_lines(scenario, alone, process)
    yield ""
    yield "coverage"
    for coverage in suite.coverage:
        yield from _coverage_lines(coverage, process)
    yield from _problem_lines(problems_of(suite))


def _minimum(suite: ScenarioSuite) -> str:
    if not suite.minimum.chosen:
        return ""
    if suite.minimum.is_proven:
        return ", the least there can be"
    return f", at least {suite.minimum.lower_bound} are needed"


def _problem_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Give problems in full; without a sidecar, that nothing is bound is said once and not for every task."""
    hidden = {problem for problem in problems if _is_unbound(problem)}
    if problems:
        yield ""
        yield "problems"
    for problem in problems:
        if problem in hidden:
            continue
        yield f"  {problem.label} {problem.place}: {problem.message}"
        if problem.hint:
            yield f"    hint: {problem.hint}"
    if hidden:
        yield f"  info {_count(len(hidden), 'activity has', 'activities have')} no steps yet"


def _scenario_lines(scenario: TestScenario, alone: frozenset[CoverageGoal], process: Process | None) -> Iterator[str]:
    yield scenario.key if scenario.active else f"{scenario.key} (inactive)"
    if scenario.name != scenario.key:
        yield _row("name", scenario.name)
    if scenario.decisions:
        decisions = (
            f"{_name(taken.element, process)} -> {', '.join(_name(branch, process) for branch in taken.branches)}"
            for taken in scenario.decisions
        )
        yield _row("decides", "; ".join(decisions))
    yield _row("path", f"{_count(len(scenario.nodes), 'node')}, {_count(len(scenario.steps), 'step')}")
    if scenario.conditions:
        yield _row("requires", "; ".join(scenario.conditions))
    if scenario.data_sets:
        yield _row("data", ", ".join(scenario.data_sets))
    own = [goal for goal in scenario.serves if scenario.active and goal in alone]
    if own:
        yield _row("only here", _enumerated(_goal_label(goal, process) for goal in own))


def _coverage_lines(coverage: CriterionCoverage, process: Process | None) -> Iterator[str]:
    share = f" ({coverage.covered * 100 // coverage.total} %)" if coverage.total else ""
    yield _row(coverage.criterion.value, f"{coverage.covered} of {coverage.total}{share}")
    by_reason: dict[str, list[str]] = {}
    for missed in coverage.missing:
        by_reason.setdefault(missed.reason, []).append(_element_label(missed.element, process))
    for reason, elements in by_reason.items():
        yield f"    not {_enumerated(elements)}: {reason}"


def _goal_label(goal: CoverageGoal, process: Process | None) -> str:
    return f"{goal.criterion.value} {_element_label(goal.element, process)}"


def _element_label(element: str, process: Process | None) -> str:
    """Give a goal's element as people know it; a flow by its ends, a pair as two branches."""
    if process is None:
        return element
    pair = element.split("+")
    if len(pair) == _PAIR and all("->" in half for half in pair):
        return " with ".join(_element_label(half, process) for half in pair)
    flow = process.flow.get(element)
    if flow is not None:
        ends = f"{_name(flow.source, process)} > {_name(flow.target, process)}"
        return f"{ends} ({flow.name})" if flow.name else ends
    meeting = element.split(AT_ONCE)
    if len(meeting) == _PAIR:
        return " and ".join(_name(node, process) for node in meeting) + " at once"
    decision, arrow, branch = element.partition("->")
    if element in process.node or not arrow:
        return _name(element, process)
    left_out = "not " if branch.startswith("!") else ""
    return f"{_name(decision, process)} -> {left_out}{_name(branch.removeprefix('!'), process)}"


def _name(element: str, process: Process | None) -> str:
    """Give the name of a node, or of a branch: an unnamed flow is known by where it leads."""
    if process is None:
        return element
    if element in process.node:
        return caption(process.node[element]) or element
    flow = process.flow.get(element)
    if flow is None:
        return element
    return flow.name or _name(flow.target, process)


def _row(title: str, text: str) -> str:
    return f"  {title:<{_WIDTH}}{text}"


def _is_unbound(problem: Problem) -> bool:
    return problem.severity is Severity.INFO and problem.message.endswith(UNBOUND)


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or f'{noun}s'}"


def _enumerated(names: Iterable[str]) -> str:
    known = list(names)
    rest = len(known) - _MOST_NAMED
    return ", ".join(known) if rest <= 1 else ", ".join(known[:_MOST_NAMED]) + f" and {rest} more"
