"""Commands over definitions: ``verify``, ``schema``. They need no store and no network."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_orchestra.cli.connections import connection_problems
from pytest_orchestra.cli.dependencies import dependency_problems
from pytest_orchestra.cli.loading import loader_of_commands, problems_json
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.cli.project import project_root
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.generation.scaffold.stubs import DecisionStub, find_stubs, stub_text
from pytest_orchestra.model.dataset import DataSetScope
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.readers.json_schema import json_schema
from pytest_orchestra.readers.process_file import is_process_file
from pytest_orchestra.readers.sidecar import sidecar_path
from pytest_orchestra.session.definitions import Definitions

__all__ = ["add_commands"]

_NAMED = 5
"""How many data sets are named in one warning."""

_SCHEMAS = ("sidecar", "data", "environments", "steps")


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's sub-parsers."""
    verify = commands.add_parser(
        "verify",
        help="say what is not bound and what does not resolve",
        description="Check process models with everything beside them, without running anything.",
    )
    verify.add_argument("paths", type=Path, nargs="*", default=[Path()], help="process models, or folders with them")
    verify.add_argument(
        "--stubs",
        action="store_true",
        help="print 'decisions' to paste for files without a sidecar, too; for those with one they are printed anyway",
    )
    _add_format(verify)
    verify.set_defaults(run=_verify)

    schema = commands.add_parser("schema", help="print the JSON Schema of a file that users write")
    schema.add_argument("kind", choices=_SCHEMAS, help="which file")
    schema.set_defaults(run=_schema, format="json")


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def _verify(options: argparse.Namespace) -> Outcome:
    loader = loader_of_commands(*options.paths)
    problems: list[Problem] = []
    files = list(_process_files(options.paths))
    stubs: list[_FileStubs] = []
    scenarios = 0
    loaded = [loader.load(file) for file in files]
    for definitions in loaded:
        found = [*definitions.problems]
        for suite in definitions.suites:
            scenarios += len(suite.scenarios)
            found += [problem for scenario in suite.scenarios for problem in scenario.problems]
        found += _empty_scenarios(definitions)
        found += _idle_data(definitions)
        problems += dict.fromkeys(found)
        stubs += _stubs_of(definitions, even_unbound=options.stubs)
    problems += dependency_problems(loaded, loader.load)
    problems += connection_problems(loaded, project_root())
    told = [problem for problem in problems if problem.severity is not Severity.INFO]
    errors = sum(problem.severity is Severity.ERROR for problem in told)
    counts = ", ".join(
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in (
            (len(files), "process file"),
            (scenarios, "scenario"),
            (errors, "error"),
            (len(told) - errors, "warning"),
        )
    )
    lines = [f"{problem.label}: {problem}" for problem in told]
    lines += [each.text for each in stubs]
    facts: JsonValue = {
        "files": [str(file) for file in files],
        "scenarios": scenarios,
        "problems": problems_json(problems),
        "stubs": [each.facts for each in stubs],
    }
    return Outcome(ExitCode.FINDINGS if errors else ExitCode.FINE, "\n".join([*lines, counts]), facts)


@dataclass(frozen=True)
class _FileStubs:
    """The decisions of one file of which nobody says what data leads where."""

    file: Path
    sidecar: Path
    has_decisions: bool
    stubs: Sequence[DecisionStub]

    @property
    def text(self) -> str:
        """What is lacking, and one block to paste."""
        are = "1 decision says" if len(self.stubs) == 1 else f"{len(self.stubs)} decisions say"
        where = "below 'decisions' of" if self.has_decisions else "to"
        return f"{self.file}: {are} nothing of data; add {where} {self.sidecar}:\n\n{stub_text(self.stubs)}"

    @property
    def facts(self) -> JsonValue:
        """The same for programs."""
        return {
            "file": str(self.file),
            "sidecar": str(self.sidecar),
            "decisions": [
                {"element": stub.element, "name": stub.name, "place": str(stub.place), "branches": dict(stub.branches)}
                for stub in self.stubs
            ],
            "yaml": stub_text(self.stubs),
        }


def _stubs_of(definitions: Definitions, *, even_unbound: bool) -> list[_FileStubs]:
    """Give the stubs of a file, none where nobody has begun to bind it or its sidecar cannot be read."""
    bindings = definitions.bindings
    if not definitions.is_runnable or (bindings is None and not even_unbound):
        return []
    home = Place(str(definitions.file))
    processes = {process.id: process for process in definitions.processes}
    found = [stub for suite in definitions.suites for stub in find_stubs(processes[suite.process_id], bindings, home)]
    has_decisions = bindings is not None and bool(bindings.decisions)
    return [_FileStubs(definitions.file, sidecar_path(definitions.file), has_decisions, found)] if found else []


def _empty_scenarios(definitions: Definitions) -> Iterator[Problem]:
    """Warn of scenarios without steps, once for a file that has no others."""
    scenarios = [scenario for suite in definitions.suites for scenario in suite.scenarios]
    empty = [scenario for scenario in scenarios if not scenario.steps]
    place = Place(str(definitions.file))
    if empty and len(empty) == len(scenarios):
        hint = f"bind elements to steps in {sidecar_path(definitions.file).name}"
        if not sidecar_path(definitions.file).is_file():
            hint = f"'orchestra init {definitions.file}' writes a first sidecar"
        fact = "no scenario has a step: 'pytest --orchestra' skips them all"
        yield Problem(Severity.WARNING, place, fact, hint)
        return
    for scenario in empty:
        fact = f"scenario '{scenario.key}' has no step: 'pytest --orchestra' skips it"
        yield Problem(Severity.WARNING, place, fact, "bind one of the elements on its path to a step")


def _idle_data(definitions: Definitions) -> Iterator[Problem]:
    """Warn of data sets of the file that no scenario uses: all that they were to show is left untried."""
    if not definitions.is_runnable:
        return
    used = {name for suite in definitions.suites for scenario in suite.scenarios for name in scenario.data_sets}
    own = (each for each in definitions.data_sets.values() if each.scope is not DataSetScope.GLOBAL)
    idle = [each for each in own if each.name not in used]
    if not idle:
        return
    names = ", ".join(f"'{each.name}'" for each in idle[:_NAMED])
    more = f" and {len(idle) - _NAMED} more" if len(idle) > _NAMED else ""
    fact = f"data set {names} fits no scenario" if len(idle) == 1 else f"data sets {names}{more} fit no scenario"
    hint = f"'orchestra plan {definitions.file}' shows the conditions of scenarios; change the data, or leave it out"
    yield Problem(Severity.WARNING, idle[0].place or Place(str(definitions.file)), fact, hint)


def _process_files(paths: Iterable[Path]) -> Iterable[Path]:
    """Give the process files among and below paths, in order. Raises ``SettingsError``."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                file
                for file in path.rglob("*")
                if not any(part.startswith(".") for part in file.relative_to(path).parts) and is_process_file(file)
            )
        elif path.is_file():
            yield path
        else:
            raise SettingsError(f"no file or folder '{path}'", hint="give the path of a process model or a folder")


def _schema(options: argparse.Namespace) -> Outcome:
    return Outcome(facts=json_schema(options.kind))
