"""Loading definitions for a command, and problems as commands print them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_orchestra.errors import DefinitionError, SettingsError
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.session.definitions import DefinitionLoader, Definitions
from pytest_orchestra.session.protocols import collect_protocols, command_hooks

__all__ = ["loader_of_commands", "loose_problems", "problems_json", "process_file", "read_criteria", "refuse_unusable"]


def loader_of_commands(*paths: Path) -> DefinitionLoader:
    """Give a loader with the protocols that are installed, and those of the project in which these files are.

    Raises ``SettingsError``.
    """
    hooks = command_hooks([Path.cwd(), *paths])
    return DefinitionLoader(collect_protocols(hooks, None), hooks)


def process_file(file: Path) -> Path:
    """Give the file if it is there. Raises ``SettingsError``."""
    if file.is_dir():
        raise SettingsError(f"'{file}' is a folder", hint="give the path of a process model")
    if not file.is_file():
        raise SettingsError(f"no file '{file}'", hint="give the path of a process model")
    return file


def read_criteria(given: str | None) -> list[Criterion] | None:
    """Read ``--coverage``; None if it is not given. Raises ``SettingsError``."""
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


def loose_problems(definitions: Definitions) -> list[Problem]:
    """Give the problems that no suite has told already."""
    told = {problem for suite in definitions.suites for problem in suite.problems}
    return [problem for problem in definitions.problems if problem not in told]


def refuse_unusable(definitions: Definitions) -> None:
    """Raise ``DefinitionError`` where nothing can be kept or written: no process, a sidecar or data that are wrong."""
    if definitions.suites and definitions.is_runnable:
        return
    nothing = Problem(Severity.ERROR, Place(str(definitions.file)), "the file has no process with content")
    raise DefinitionError.from_problems(definitions.errors or (nothing,))


def problems_json(problems: Iterable[Problem]) -> list[JsonValue]:
    """Give problems as JSON."""
    return [
        {
            "severity": str(problem.severity),
            "code": problem.code,
            "place": str(problem.place),
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems
    ]
