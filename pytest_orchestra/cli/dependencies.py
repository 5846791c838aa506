"""What ``verify`` says of ``dependsOn``: whether each scenario that is named is there, and none waits for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pytest_orchestra.engine.scheduling import find_cycle
from pytest_orchestra.generation.wording import nearest_hint, quoted
from pytest_orchestra.model.scenario import TestScenario
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.session.definitions import Definitions

__all__ = ["dependency_problems"]


class _Run(NamedTuple):
    """A scenario with one data set, or with none."""

    file: Path
    name: str


@dataclass(frozen=True)
class _File:
    """The scenarios of a file, each with its place and its runs by the names that ``dependsOn`` may call them."""

    scenarios: Sequence[tuple[TestScenario, Place, str]]
    runs: Mapping[str, Sequence[_Run]]

    @classmethod
    def of(cls, path: Path, definitions: Definitions) -> _File:
        """Name what a file defines as collection does."""
        written = {each.key: each.place for each in definitions.bindings.scenarios} if definitions.bindings else {}
        home = Place(str(definitions.file))
        scenarios: list[tuple[TestScenario, Place, str]] = []
        runs: dict[str, list[_Run]] = {}
        for suite in definitions.suites:
            prefix = f"{suite.process_id}." if len(definitions.suites) > 1 else ""
            for scenario in suite.scenarios:
                name = f"{prefix}{scenario.key}"
                scenarios.append((scenario, written.get(scenario.key) or home, name))
                for run in _runs_of(path, name, scenario):
                    for called in {scenario.key, name, run.name, run.name.removeprefix(prefix)}:
                        runs.setdefault(called, []).append(run)
        return cls(scenarios, runs)


def _runs_of(path: Path, name: str, scenario: TestScenario) -> list[_Run]:
    if not scenario.data_sets:
        return [_Run(path, name)]
    return [_Run(path, f"{name}[{data_set}]") for data_set in scenario.data_sets]


def dependency_problems(loaded: Iterable[Definitions], load: Callable[[Path], Definitions]) -> list[Problem]:
    """Give the problems of the ``dependsOn`` of scenarios; ``load`` is asked for files that they name besides."""
    files = {each.file.resolve(): _File.of(each.file.resolve(), each) for each in loaded}
    pending, problems = list(files), []
    graph: dict[_Run, list[_Run]] = {}
    while pending:
        path = pending.pop(0)
        for scenario, place, name in files[path].scenarios:
            needed: list[_Run] = []
            for text in (each.scenario for each in scenario.depends_on):
                other, separator, wanted = text.partition("::")
                target = (path.parent / other).resolve() if separator else path
                if target not in files and target.is_file():
                    files[target] = _File.of(target, load(target))
                    pending.append(target)
                found = files[target].runs.get(wanted if separator else text, ()) if target in files else ()
                needed += found
                if not found:
                    problems.append(_unknown(scenario.key, text, place, files.get(target)))
            for run in _runs_of(path, name, scenario) if needed else ():
                graph[run] = needed
    return list(dict.fromkeys((*problems, *_circles(graph, files))))


def _unknown(key: str, text: str, place: Place, file: _File | None) -> Problem:
    name = text.rpartition("::")[2]
    if file is None:
        fact = f"scenario '{key}' depends on '{text}', and there is no such file"
        return Problem(Severity.ERROR, place, fact, "write 'file.bpmn::key', with the path from here", element=key)
    scenario, bracket, data_set = name.partition("[")
    known = next((each for each, _, called in file.scenarios if scenario in (each.key, called)), None)
    if bracket and known is not None:
        fact = f"scenario '{key}' depends on '{text}', but '{scenario}' has no data set '{data_set.rstrip(']')}'"
        hint = f"its data sets are {quoted(known.data_sets)}" if known.data_sets else "it has no data sets"
        return Problem(Severity.ERROR, place, fact, hint, element=key)
    fact = f"scenario '{key}' depends on unknown scenario '{text}'"
    return Problem(Severity.ERROR, place, fact, nearest_hint(name, file.runs), element=key)


def _circles(graph: dict[_Run, list[_Run]], files: Mapping[Path, _File]) -> Iterator[Problem]:
    while cycle := find_cycle(_named(graph)):
        shown = " -> ".join(quoted([name.rpartition("::")[2]]) for name in cycle)
        first = next(run for run in graph if _name(run) == cycle[0])
        scenario = first.name.partition("[")[0]
        place = next(place for _, place, name in files[first.file].scenarios if name == scenario)
        fact = f"scenarios depend on each other in a circle: {shown}"
        yield Problem(Severity.ERROR, place, fact, "remove one 'dependsOn' of the circle", element=scenario)
        for run in [run for run in graph if _name(run) in cycle]:
            del graph[run]


def _name(run: _Run) -> str:
    return f"{run.file}::{run.name}"


def _named(graph: Mapping[_Run, Iterable[_Run]]) -> dict[str, list[str]]:
    return {_name(run): [_name(needed) for needed in others] for run, others in graph.items()}
