"""What templates and rules name, held against what there will be: found before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import TemplateSyntaxError
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["check_scenario", "check_syntax"]

_DATA_SETS_LOOKED_AT: Final = 1000
_DATA_SETS_NAMED: Final = 3
_DATA_SET: Final = "data set '{}'"
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
    specs: Mapping[str, ProtocolSpec] | None = None,
    elsewhere: Collection[str] = (),
) -> list[Problem]:
    """Say which names the steps of a scenario read that nobody gives: steps, data, exports, fixtures.

    The same for the steps that barriers track and that ``causedBy`` names; ``elsewhere`` are aliases of steps that only
    other scenarios may have, on branches that this one does not take. ``exported`` are the names that scenarios export,
    None where other files may export more. What a template guards itself, by ``default`` say, is left alone, and so is
    whatever lies deeper than the first name. That a data set lacks something is a warning, because the scenario may
    have others; so is that an earlier reply has no such field by its specification, which is in ``specs``.
    """
    problems: list[Problem] = list(_check_locks(scenario, data_sets, place or Place("")))
    earlier: dict[str, StepDefinition] = {}
    for step in scenario.all_steps:
        names = _names_read(step.definition)
        given: dict[str, Sequence[str]] = {"step": [*earlier], "steps": [*earlier], "fixture": fixtures}
        if exported is not None:
            given["suite"] = exported
        problems += _unknown(step, names, given)
        problems += _lacking(step, names, [data_sets[name] for name in scenario.data_sets[:_DATA_SETS_LOOKED_AT]])
        problems += _unspecified(step, names, earlier, specs or {})
        problems += _unknown_steps(step, earlier, scenario, elsewhere)
        earlier[step.alias] = step.definition
    return list(dict.fromkeys(problems))


def _unknown_steps(
    step: ScenarioStep, earlier: Collection[str], scenario: TestScenario, elsewhere: Collection[str]
) -> Iterator[Problem]:
    """Say which steps are named that are not there, or not yet: a barrier would not wait for them, and say nothing."""
    definition = step.definition
    cause = [] if definition.caused_by is None else [definition.caused_by]
    for field, aliases in (("trackedSteps", definition.tracked_steps), ("causedBy", cause)):
        for alias in aliases:
            is_later = alias in {each.alias for each in scenario.all_steps}
            if alias in earlier or (alias in elsewhere and not is_later):
                continue
            fact = f"'{field}' of step '{step.alias}' names '{alias}', "
            fact += "which does not come before it" if is_later else "which no step is called"
            near = difflib.get_close_matches(alias, earlier, 1)
            hint = f"did you mean '{near[0]}'?" if near else _what_is_there("step", [*earlier])
            yield Problem(
                Severity.ERROR, definition.place or Place(step.element_id), fact, hint, element=step.element_id
            )


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


def _lacking(step: ScenarioStep, names: Iterable[str], data_sets: Iterable[TestDataSet]) -> Iterator[Problem]:
    """Say what data sets lack that a step reads, once for all that lack the same."""
    names, found = tuple(names), dict[str, list[tuple[str, Problem]]]()
    for data_set in data_sets:
        for problem in _unknown(step, names, {"data": tuple(data_set.data)}, owner=_DATA_SET.format(data_set.name)):
            found.setdefault(problem.message.partition(",")[0], []).append((data_set.name, problem))
    for lacking in found.values():
        name, problem = lacking[0]
        message = problem.message
        if len(lacking) > 1:
            listed = ", ".join(f"'{name}'" for name, _ in lacking[:_DATA_SETS_NAMED])
            more = f" and {len(lacking) - _DATA_SETS_NAMED} more" if len(lacking) > _DATA_SETS_NAMED else ""
            message = message.replace(f"{_DATA_SET.format(name)} has", f"data sets {listed}{more} have", 1)
        yield replace(problem, severity=Severity.WARNING, message=message)


def _unspecified(
    step: ScenarioStep,
    names: Iterable[str],
    earlier: Mapping[str, StepDefinition],
    specs: Mapping[str, ProtocolSpec],
) -> Iterator[Problem]:
    """Say what is read of earlier replies that they do not have by their specifications."""
    from pytest_orchestra.protocols.reply_fields import find_later_faults  # noqa: PLC0415  not every session reads any

    for path in sorted(names):
        match path.split("."):
            case ("step" | "steps", alias, "response", *inner) if alias in earlier and inner:
                for fact, hint in find_later_faults(earlier[alias], ("response", *inner), specs):
                    place = step.definition.place or Place(step.element_id)
                    message = f"'{path}' is read, but {fact}"
                    yield Problem(Severity.WARNING, place, message, hint, element=step.element_id)


def _owner(root: str, step: ScenarioStep) -> str:
    if root in ("step", "steps"):
        return f"the scenario before '{step.alias}'"
    return "the suite's context" if root == "suite" else "the sidecar's list of fixtures"


def _what_is_there(root: str, names: Sequence[str]) -> str:
    if names:
        return f"there is {', '.join(repr(name) for name in names[:10])}"
    return _HINTS.get(root, "there is nothing")
