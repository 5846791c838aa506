"""The file in which a plan is kept, to be compared with later ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.saved_plan import PLAN_FORMAT, PLAN_VERSION, SavedPlan
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.json_source import parse_json
from pytest_orchestra.readers.sidecar import stem_of
from pytest_orchestra.readers.source_file import Source
from pytest_orchestra.readers.source_text import read_text
from pytest_orchestra.readers.validation import validation_problems

__all__ = ["plan_path", "read_saved_plan"]

_SAVE_ANEW: Final = "save it anew with 'orchestra plan FILE --save'"


def plan_path(process_file: Path) -> Path:
    """Give where the saved plan of a process lies: ``order.plan.json`` beside ``order.bpmn``."""
    return process_file.with_name(f"{stem_of(process_file)}.plan.json")


def read_saved_plan(path: Path) -> SavedPlan:
    """Read a saved plan.

    Raises ``UnreadableFileError`` if it is no JSON, and ``DefinitionError`` with all its problems if it is no plan, one
    of a newer version, or was changed by hand so that its parts do not fit together.
    """
    source = parse_json(read_text(path), str(path))
    foreign = _foreign(source)
    if foreign is not None:
        raise DefinitionError.from_problems((foreign,))
    problems = list(source.problems)
    plan = None
    try:
        plan = SavedPlan.model_validate(source.value)
    except ValidationError as error:
        problems += validation_problems(error, source, SavedPlan)
    if plan is not None:
        problems += _loose_ends(plan, source)
    if problems or plan is None:
        raise DefinitionError.from_problems(tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.place)))
    return plan


def _foreign(source: Source) -> Problem | None:
    """Say if it is another file than a saved plan, or one of another version."""
    value: Any = source.value
    if not isinstance(value, dict) or value.get("format") != PLAN_FORMAT:
        is_output = isinstance(value, dict) and {"scenarios", "coverage"} <= value.keys()
        fact = "is the output of '--format json', which is no saved plan" if is_output else "is no saved plan"
        return Problem(Severity.ERROR, source.place(), fact, _SAVE_ANEW)
    version = value.get("version")
    if version == PLAN_VERSION and not isinstance(version, bool):
        return None
    place = source.place(("version",))
    if isinstance(version, int) and version > PLAN_VERSION:
        fact = f"the plan has format version {version}, and this version of pytest-orchestra reads {PLAN_VERSION}"
        return Problem(Severity.ERROR, place, fact, "update pytest-orchestra, or save the plan anew")
    return Problem(Severity.ERROR, place, "the plan has no format version that is known", _SAVE_ANEW)


def _loose_ends(plan: SavedPlan, source: Source) -> Iterator[Problem]:
    """Tell of names that lead nowhere, which only a change by hand can have made."""
    for number, process in enumerate(plan.processes):
        elements = {element.id for element in process.elements}
        flows = {flow.id for flow in process.flows}
        keys: set[str] = set()
        for index, scenario in enumerate(process.scenarios):
            at = ("processes", number, "scenarios", index)
            if scenario.key in keys:
                yield _problem(source, (*at, "key"), f"two scenarios have the key '{scenario.key}'")
            keys.add(scenario.key)
            for field, names, known, what in (
                ("nodes", scenario.nodes, elements, "element"),
                ("flows", scenario.flows, flows, "flow"),
                ("data", scenario.data, plan.data_sets.keys(), "data set"),
            ):
                for place, name in enumerate(names):
                    if name not in known:
                        yield _problem(source, (*at, field, place), f"the plan has no {what} '{name}'")
            for place, step in enumerate(scenario.steps):
                if step.definition not in plan.definitions:
                    fact = f"the plan has no definition '{step.definition}'"
                    yield _problem(source, (*at, "steps", place, "definition"), fact)


def _problem(source: Source, path: tuple[str | int, ...], fact: str) -> Problem:
    return Problem(Severity.ERROR, source.place(path), fact, _SAVE_ANEW)
