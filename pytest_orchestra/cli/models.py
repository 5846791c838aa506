"""Commands over definitions: ``plan``, ``verify``, ``schema``. They need no store and no network."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.generation.plan import plan_json, plan_text
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.json_schema import json_schema
from pytest_orchestra.readers.process_file import is_process_file
from pytest_orchestra.session.definitions import DefinitionLoader, Definitions
from pytest_orchestra.session.protocols import collect_protocols, command_hooks

__all__ = ["add_commands"]

_SCHEMAS = ("sidecar", "data", "environments")


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's sub-parsers."""
    plan = commands.add_parser(
        "plan",
        help="show the scenarios of a process, what they cover, and why each is there",
        description="Show the scenarios of a process model. Needs no sidecar, no store and no network.",
    )
    plan.add_argument("file", type=Path, help="the process model")
    plan.add_argument("--coverage", metavar="CRITERIA", help=f"of {', '.join(Criterion)}; several with commas")
    _add_format(plan)
    plan.set_defaults(run=_plan)

    verify = commands.add_parser(
        "verify",
        help="say what is not bound and what does not resolve",
        description="Check process models with everything beside them, without running anything.",
    )
    verify.add_argument("paths", type=Path, nargs="*", default=[Path()], help="process models, or folders with them")
    _add_format(verify)
    verify.set_defaults(run=_verify)

    schema = commands.add_parser("schema", help="print the JSON Schema of a file that users write")
    schema.add_argument("kind", choices=_SCHEMAS, help="which file")
    schema.set_defaults(run=_schema, format="json")


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def _loader() -> DefinitionLoader:
    hooks = command_hooks()
    return DefinitionLoader(collect_protocols(hooks, None), hooks)


def _plan(options: argparse.Namespace) -> Outcome:
    file: Path = options.file
    if not file.is_file():
        raise SettingsError(f"no file '{file}'", hint="give the path of a process model")
    definitions = _loader().load(file, _criteria(options.coverage))
    plans = [plan_json(suite, str(file)) for suite in definitions.suites]
    loose = _beyond_suites(definitions)
    facts: JsonValue
    if len(plans) == 1:
        facts = {**plans[0], "problems": [*_listed(plans[0].get("problems")), *map(_problem_json, loose)]}
    else:
        facts = {"processes": plans, "problems": [_problem_json(problem) for problem in loose]}
    process = {each.id: each for each in definitions.document.processes}
    texts = [plan_text(suite, process.get(suite.process_id)) for suite in definitions.suites]
    text = "\n\n".join([*texts, *map(str, loose)])
    code = ExitCode.FINE
    if not plans:
        code = ExitCode.WRONG_INPUT
    elif definitions.errors:
        code = ExitCode.FINDINGS
    return Outcome(code, text, facts)


def _listed(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else []


def _criteria(given: str | None) -> list[Criterion] | None:
    if given is None:
        return None
    found = []
    for name in given.split(","):
        try:
            found.append(Criterion(name.strip()))
        except ValueError:
            raise SettingsError(
                f"--coverage: '{name.strip()}' is not known", hint=f"choose of {', '.join(Criterion)}"
            ) from None
    return found


def _beyond_suites(definitions: Definitions) -> list[Problem]:
    """Give the problems that no suite has told already."""
    told = {problem for suite in definitions.suites for problem in suite.problems}
    return [problem for problem in definitions.problems if problem not in told]


def _problem_json(problem: Problem) -> JsonValue:
    return {
        "severity": str(problem.severity),
        "place": str(problem.place),
        "message": problem.message,
        "hint": problem.hint,
    }


def _verify(options: argparse.Namespace) -> Outcome:
    loader = _loader()
    problems: list[Problem] = []
    files = list(_process_files(options.paths))
    scenarios = 0
    for file in files:
        definitions = loader.load(file)
        found = [*definitions.problems]
        for suite in definitions.suites:
            scenarios += len(suite.scenarios)
            found += [problem for scenario in suite.scenarios for problem in scenario.problems]
        problems += dict.fromkeys(found)
    told = [problem for problem in problems if problem.severity is not Severity.INFO]
    errors = sum(problem.severity is Severity.ERROR for problem in told)
    counts = f"{len(files)} process files, {scenarios} scenarios, {errors} errors, {len(told) - errors} warnings"
    lines = [f"{problem.severity}: {problem}" for problem in told]
    facts: JsonValue = {
        "files": [str(file) for file in files],
        "scenarios": scenarios,
        "problems": _problems_json(problems),
    }
    return Outcome(ExitCode.FINDINGS if errors else ExitCode.FINE, "\n".join([*lines, counts]), facts)


def _problems_json(problems: Iterable[Problem]) -> list[JsonValue]:
    """Give problems as JSON."""
    return [_problem_json(problem) for problem in problems]


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
