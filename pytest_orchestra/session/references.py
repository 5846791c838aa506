"""What templates and rules name, held against what there will be: found before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import TemplateSyntaxError
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["check_scenario", "check_syntax"]

_DATA_SETS_LOOKED_AT: Final = 1000
_HINTS: Final = {"suite": "let a step export it with 'exportAs'", "fixture": "add it to 'fixtures'"}


def check_syntax(step: StepDefinition) -> list[Problem]:
    """Say which template or rule of a step cannot be compiled."""
    try:
        StepTemplates.of(step)
    except TemplateSyntaxError as error:
        return [Problem(Severity.ERROR, error.place or Place(""), error.fact, error.hint)]
    return []


def check_scenario(
    scenario: TestScenario,
    data_sets: Mapping[str, TestDataSet],
    exported: Sequence[str] | None,
    fixtures: Sequence[str],
    place: Place | None = None,
) -> list[Problem]:
    """Say which names the steps of a scenario read that nobody gives: steps, data, exports, fixtures.

    ``exported`` are the names that scenarios export, None where other files may export more. What a template guards
    itself, by ``default`` say, is left alone, and so is whatever lies deeper than the first name. That a data set
    lacks something is a warning, because the scenario may have others.
    """
    problems: list[Problem] = list(_check_locks(scenario, data_sets, place or Place("")))
    earlier: list[str] = []
    for step in scenario.all_steps:
        names = _names_read(step.definition)
        given: dict[str, Sequence[str]] = {"step": earlier, "steps": earlier, "fixture": fixtures}
        if exported is not None:
            given["suite"] = exported
        problems += _unknown(step, names, given)
        for name in scenario.data_sets[:_DATA_SETS_LOOKED_AT]:
            of_data = _unknown(step, names, {"data": tuple(data_sets[name].data)}, owner=f"data set '{name}'")
            problems += (replace(problem, severity=Severity.WARNING) for problem in of_data)
        earlier.append(step.alias)
    return list(dict.fromkeys(problems))


def _check_locks(scenario: TestScenario, data_sets: Mapping[str, TestDataSet], place: Place) -> Iterator[Problem]:
    """Say which lock cannot be named: its template is broken, or reads other things than data and environment."""
    for text in scenario.locks:
        try:
            paths = compile_template(text, place).required_names
        except TemplateSyntaxError as error:
            yield Problem(Severity.ERROR, error.place or place, error.fact, error.hint)
            continue
        for path in sorted(paths):
            root, _, rest = path.partition(".")
            if root not in ("data", "environment"):
                fact = f"lock '{text}' reads '{path}', which is not known when a scenario begins"
                yield Problem(Severity.ERROR, place, fact, "name it by 'data' and 'environment' alone")
                continue
            for name in scenario.data_sets[:_DATA_SETS_LOOKED_AT] if root == "data" else ():
                if rest and rest.partition(".")[0] not in data_sets[name].data:
                    fact = f"lock '{text}' reads '{path}', but data set '{name}' has none"
                    yield Problem(Severity.WARNING, place, fact)


def _names_read(step: StepDefinition) -> Iterable[str]:
    try:
        return StepTemplates.of(step).names
    except TemplateSyntaxError:  # check_syntax tells of it
        return ()


def _unknown(
    step: ScenarioStep, names: Iterable[str], given: Mapping[str, Sequence[str]], owner: str = ""
) -> Iterator[Problem]:
    for path in sorted(names):
        root, dot, rest = path.partition(".")
        first = rest.partition(".")[0]
        if not dot or root not in given or first in given[root]:
            continue
        nearest = difflib.get_close_matches(first, given[root], 1)
        yield Problem(
            Severity.ERROR,
            step.definition.place or Place(step.element_id),
            f"'{path}' is read, but {owner or _owner(root, step)} has no '{first}'",
            f"did you mean '{nearest[0]}'?" if nearest else _what_is_there(root, given[root]),
            element=step.element_id,
        )


def _owner(root: str, step: ScenarioStep) -> str:
    if root in ("step", "steps"):
        return f"the scenario before '{step.alias}'"
    return "the suite's context" if root == "suite" else "the sidecar's list of fixtures"


def _what_is_there(root: str, names: Sequence[str]) -> str:
    if names:
        return f"there is {', '.join(repr(name) for name in names[:10])}"
    return _HINTS.get(root, "there is nothing")
