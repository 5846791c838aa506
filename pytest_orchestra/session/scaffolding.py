"""A first sidecar beside a process file, with the data that its steps read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NoReturn

from pytest_orchestra.engine.ports import ProtocolPlugin
from pytest_orchestra.errors import DefinitionError, SettingsError
from pytest_orchestra.generation.binding import InferredBindings, Suggestion, infer_bindings
from pytest_orchestra.generation.scaffold.fitting_data import fit_data
from pytest_orchestra.generation.scaffold.sidecar_text import data_text, sidecar_text
from pytest_orchestra.generation.scaffold.sketch import ProcessSketch, sketch_process
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, ChannelType
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.schema_check import SchemaValidators
from pytest_orchestra.readers.process_file import read_process
from pytest_orchestra.readers.yaml_source import parse_yaml

__all__ = ["Scaffold", "ScaffoldedElement", "Scaffolder", "find_specs"]

MAX_FITTED: Final = 50
"""Scenarios of one process for which data is looked for."""

_PATTERNS: Final = (
    "*.openapi.json", "*.openapi.yaml", "*.openapi.yml", "openapi.*", "*.swagger.json", "*.swagger.yaml", "swagger.*",
    "specs/*", "openapi/*",
)  # fmt: skip
_SUFFIXES: Final = (".json", ".yaml", ".yml")
_KIND: Final = re.compile(r"[._-]?(?:openapi|swagger|oas)$", re.IGNORECASE)
_NO_NAME: Final = re.compile(r"[^\w-]+")
_EXAMPLE: Final = "example"


@dataclass(frozen=True, slots=True)
class ScaffoldedElement:
    """An element of a process with the operation that it is bound to and why, or those that are suggested."""

    process: str
    element: str
    name: str
    endpoint: str | None = None
    rule: str | None = None
    suggestions: tuple[Suggestion, ...] = ()


@dataclass(frozen=True)
class Scaffold:
    """A sidecar and a data file as texts. ``data`` is None where no step reads data."""

    sidecar: str
    data: str | None
    specs: Mapping[str, str]
    elements: tuple[ScaffoldedElement, ...]
    problems: tuple[Problem, ...]


def find_specs(folder: Path) -> dict[str, Path]:
    """Give the files beside a model that are probably specifications, by the service's name that their names tell."""
    found: dict[str, Path] = {}
    seen: set[Path] = set()
    for pattern in _PATTERNS:
        for path in sorted(folder.glob(pattern)):
            if path.suffix.lower() not in _SUFFIXES or not path.is_file() or path in seen:
                continue
            seen.add(path)
            name = _service_name(path)
            number = 1
            while name in found:
                number += 1
                name = f"{_service_name(path)}-{number}"
            found[name] = path
    return found


class Scaffolder:
    """Writes first sidecars; reads specifications by the protocols that are there."""

    def __init__(self, protocols: Mapping[str, ProtocolPlugin]) -> None:
        self._http = protocols.get(ChannelType.HTTP_REST)
        self._validators = SchemaValidators()
        self._specs: dict[tuple[Path, str], ProtocolSpec | None] = {}

    def scaffold(self, file: Path, folder: Path, given: Mapping[str, Path], data_file: str) -> Scaffold:
        """Give the scaffold of a process file for a sidecar in a folder.

        Specifications that are ``given`` must be readable; where none are, those beside the model that can be read are
        taken. Raises ``DefinitionError`` and ``SettingsError``.
        """
        document = read_process(file)
        processes = [process for process in document.processes if process.nodes]
        problems = list(document.problems)
        if not processes:
            _refuse(file, problems)
        specs, paths = self._read_specs(file, folder, given, problems)
        inferred = [infer_bindings(process, document, specs, None) for process in processes]
        sketches: list[ProcessSketch] = []
        data: dict[str, JsonValue] = {}
        possible: dict[str, JsonValue] = {}
        for process, found in zip(processes, inferred, strict=True):
            sketch = sketch_process(process, found, self._check, data)
            sketches.append(sketch)
            data |= sketch.data
            possible |= sketch.possible
            problems += found.problems
        possible = {name: value for name, value in possible.items() if name not in data}
        has_data = bool(data or possible)
        text = sidecar_text(file.name, paths, sketches, data_file if has_data else None)
        bindings = Bindings.model_validate(parse_yaml(text, "sidecar").value)
        sets = _data_sets(document, processes, bindings, data)
        return Scaffold(
            text,
            data_text(file.name, sets, possible) if has_data else None,
            paths,
            tuple(_elements(processes, inferred)),
            tuple(dict.fromkeys(problems)),
        )

    def _read_specs(
        self, file: Path, folder: Path, given: Mapping[str, Path], problems: list[Problem]
    ) -> tuple[dict[str, ProtocolSpec], dict[str, str]]:
        specs: dict[str, ProtocolSpec] = {}
        paths: dict[str, str] = {}
        for name, path in (given or find_specs(file.parent)).items():
            try:
                spec = self._read_spec(path, name)
            except DefinitionError:
                if given:
                    raise
                continue
            if spec is not None:
                specs[name] = spec
                paths[name] = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
                problems += spec.problems
                if not spec.operations:
                    problems.append(_without_operations(path, name))
        return specs, paths

    def _read_spec(self, path: Path, name: str) -> ProtocolSpec | None:
        if (path, name) not in self._specs:
            self._specs[path, name] = self._http.parse_spec(path, name) if self._http is not None else None
        return self._specs[path, name]

    def _check(self, spec: ProtocolSpec, uri: str, value: JsonValue) -> bool:
        try:
            faults, _ = self._validators.find_faults(spec, uri, value, 1)
        except DefinitionError:
            return False
        return not faults


def _without_operations(path: Path, name: str) -> Problem:
    return Problem(
        Severity.WARNING,
        Place(str(path)),
        f"specification '{name}' has no operations, so nothing can be bound to it",
        "describe the service's operations under 'paths', or give its other document with --spec",
    )


def _refuse(file: Path, problems: Sequence[Problem]) -> NoReturn:
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise DefinitionError.from_problems(tuple(errors))
    raise SettingsError(f"'{file.name}' has no process with content", hint="draw the process first")


def _service_name(path: Path) -> str:
    """Give the name of a service from that of its specification's file: ``orders`` for ``orders.openapi.json``."""
    stem = _KIND.sub("", path.stem)
    name = _NO_NAME.sub("-", stem or path.resolve().parent.name).strip("-").lower()
    return name or "service"


def _data_sets(
    document: ProcessDocument, processes: Sequence[Process], bindings: Bindings, data: Mapping[str, JsonValue]
) -> dict[str, Mapping[str, JsonValue]]:
    """Give the example, and a data set for each scenario that it does not fit, as far as one is found."""
    sets: dict[str, Mapping[str, JsonValue]] = {_EXAMPLE: data}
    for process in processes if data else ():
        known = [TestDataSet(name, values) for name, values in sets.items()]
        own = bindings.model_copy(update={"witnesses": False})
        suite = build_suite(process, own, known, document=document)
        for scenario in [each for each in suite.scenarios if not each.data_sets][:MAX_FITTED]:
            fitted = fit_data(data, scenario.conditions)
            if fitted is not None and fitted not in sets.values():
                sets[scenario.key if scenario.key not in sets else f"{scenario.key} {len(sets)}"] = fitted
    return sets


def _elements(processes: Sequence[Process], inferred: Sequence[InferredBindings]) -> Iterator[ScaffoldedElement]:
    for process, found in zip(processes, inferred, strict=True):
        for node in process.nodes:
            element = ScaffoldedElement(process.id, node.id, node.name)
            if node.id in found.steps:
                endpoint = str(found.steps[node.id][0].endpoint_ref)
                yield replace(element, endpoint=endpoint, rule=found.how[node.id].value)
            elif node.id in found.suggestions or (node.kind.is_activity and not node.kind.is_container):
                yield replace(element, suggestions=found.suggestions.get(node.id, ()))
