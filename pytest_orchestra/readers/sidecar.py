"""The file that a user writes beside a process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.definition import Bindings, ScenarioDefinition, StepDefinition
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.source_file import KeyPath, Source
from pytest_orchestra.readers.step_library import place_custom_steps
from pytest_orchestra.readers.validation import find_field, reserved_fields, validation_problems
from pytest_orchestra.readers.yaml_source import read_source

__all__ = ["read_sidecar", "sidecar_path", "stem_of"]

_PROCESS_SUFFIXES: Final = (".bpmn20.xml", ".bpmn.xml", ".bpmn2", ".bpmn")
_SUFFIXES: Final = (".orchestra.yaml", ".orchestra.yml", ".orchestra.json")


def sidecar_path(process_file: Path) -> Path:
    """Give where the sidecar of a process lies: ``order.orchestra.yaml`` beside ``order.bpmn``.

    ``.yml`` and ``.json`` are given where such a file is there and none before it is.
    """
    stem = stem_of(process_file)
    candidates = [process_file.with_name(stem + suffix) for suffix in _SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])


def stem_of(process_file: Path) -> str:
    """Give the name of a process file without its suffix, ``order`` of ``order.bpmn20.xml``."""
    name = process_file.name
    suffix = next((s for s in _PROCESS_SUFFIXES if name.lower().endswith(s)), process_file.suffix)
    return name[: len(name) - len(suffix)]


def read_sidecar(path: Path) -> Bindings:
    """Read a sidecar; the places of it, its steps and its scenarios are set. An empty file binds nothing.

    Raises ``UnreadableFileError`` if it cannot be parsed, and ``DefinitionError`` with all its problems.
    """
    source = read_source(path)
    raw = source.value if source.value is not None else {}
    problems = list(source.problems)
    bindings = None
    try:
        bindings = Bindings.model_validate(raw)
    except ValidationError as error:
        problems += validation_problems(error, source, Bindings)
    problems += _written_places(source)
    problems += _repeated_scenarios(source)
    problems += _repeated_aliases(source)
    if problems or bindings is None:
        raise DefinitionError.from_problems(tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.place)))
    return _with_places(bindings, source)


def _with_places(bindings: Bindings, source: Source) -> Bindings:
    return bindings.model_copy(
        update={
            "place": source.place(),
            "clean_up": _clean_up_placed(bindings.clean_up, source, ()),
            "custom_steps": place_custom_steps(bindings.custom_steps, source),
            "places": {path: source.place(path, of_key=True) for path in _key_paths(bindings)},
            "bindings": {
                element: [
                    _placed(step, source, path) for step, path in zip(steps, _step_paths(source, element), strict=True)
                ]
                for element, steps in bindings.bindings.items()
            },
            "scenarios": [
                scenario.model_copy(
                    update={"place": source.place(path), "clean_up": _clean_up_placed(scenario.clean_up, source, path)}
                )
                for scenario, path in zip(bindings.scenarios, _scenario_paths(source), strict=True)
            ],
        }
    )


def _placed(step: StepDefinition, source: Source, path: KeyPath) -> StepDefinition:
    changes = {"place": source.place(path), "clean_up": _clean_up_placed(step.clean_up, source, path)}
    return step.model_copy(update=changes)


def _clean_up_placed(steps: list[StepDefinition], source: Source, path: KeyPath) -> list[StepDefinition]:
    """Give clean-up steps with their places, which lie below ``path``."""
    paths = _clean_up_paths(source, path)
    return [step.model_copy(update={"place": source.place(each)}) for step, each in zip(steps, paths, strict=True)]


def _clean_up_paths(source: Source, path: KeyPath) -> list[KeyPath]:
    value = source.value
    for key in path:
        value = value[key]
    found = find_field(value, StepDefinition, "clean_up")
    if found is None:
        return []
    for key in found:
        value = value[key]
    inner = (*path, *found)
    return [inner] if isinstance(value, dict) else [(*inner, index) for index in range(len(value or ()))]


def _key_paths(bindings: Bindings) -> Iterator[tuple[str, ...]]:
    """Give the paths of the keys that name something elsewhere: elements, branches, services."""
    if bindings.processes:
        yield ("processes",)
    if bindings.include:
        yield ("include",)
    for field in ("bindings", "calls", "decisions", "loops", "simulations", "specs", "thresholds"):
        for key in getattr(bindings, field):
            yield field, key
    for element, branches in bindings.decisions.items():
        for branch in branches:
            yield "decisions", element, branch


def _step_paths(source: Source, element: str) -> list[KeyPath]:
    """Give the paths of an element's steps; a single step may stand without a list."""
    path: KeyPath = ("bindings", element)
    steps = source.value["bindings"][element]
    if isinstance(steps, dict):
        return [path]
    return [(*path, index) for index in range(len(steps))] if isinstance(steps, list) else []


def _scenario_paths(source: Source) -> list[KeyPath]:
    scenarios = _part(source.value, "scenarios")
    return [("scenarios", index) for index in range(len(scenarios))] if isinstance(scenarios, list) else []


def _written_places(source: Source) -> Iterator[Problem]:
    bindings = _part(source.value, "bindings")
    elements = bindings if isinstance(bindings, dict) else ()
    yield from reserved_fields(source, Bindings, [()])
    yield from reserved_fields(source, ScenarioDefinition, _scenario_paths(source))
    yield from reserved_fields(source, StepDefinition, (path for e in elements for path in _step_paths(source, e)))


def _repeated_scenarios(source: Source) -> Iterator[Problem]:
    keys = (_field(source, path, ScenarioDefinition, "key") for path in _scenario_paths(source))
    return _repeated(source, keys, "scenario '{}' occurs twice", "give one of them another key")


def _repeated_aliases(source: Source) -> Iterator[Problem]:
    """Say which alias occurs twice at one element, unless the element never has both steps: their outcomes differ."""
    bindings = _part(source.value, "bindings")
    for element in bindings if isinstance(bindings, dict) else ():
        named: list[tuple[set[str], tuple[KeyPath, str]]] = []
        for path in _step_paths(source, element):
            field = _field(source, path, StepDefinition, "alias")
            if field is None:
                continue
            outcomes = _outcomes_at(source, path)
            rivals = [
                other
                for others, other in named
                if other[1] == field[1] and not (outcomes and others and outcomes.isdisjoint(others))
            ]
            fact = f"alias '{{}}' occurs twice in '{element}'"
            yield from _repeated(source, [*rivals[:1], field], fact, "give one of them another alias")
            named.append((outcomes, field))


def _outcomes_at(source: Source, path: KeyPath) -> set[str]:
    """Give the outcomes that a step names; none if it names none, or has them all."""
    value = source.value
    for key in path:
        value = value[key]
    found = find_field(value, StepDefinition, "outcome")
    for key in found or ():
        value = value[key]
    texts = [] if found is None else [value] if isinstance(value, str) else value if isinstance(value, list) else []
    names = {" ".join(text.split()).casefold() for text in texts if isinstance(text, str)}
    return set() if "any" in names else names


def _repeated(source: Source, fields: Iterable[tuple[KeyPath, str] | None], fact: str, hint: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for field in fields:
        if field is None:
            continue
        path, name = field
        place = source.place(path)
        if name in first:
            message = f"{fact.format(name)}, first in line {first[name]}"
            yield Problem(Severity.ERROR, place, message, hint)
        first.setdefault(name, place.line)


def _field(source: Source, path: KeyPath, model: type[Any], name: str) -> tuple[KeyPath, str] | None:
    """Give path and text of a field that may stand in nested groups."""
    value = source.value
    for key in path:
        value = value[key]
    found = find_field(value, model, name)
    if found is None:
        return None
    for key in found:
        value = value[key]
    return ((*path, *found), value) if isinstance(value, str) else None


def _part(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
