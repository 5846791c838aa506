"""``orchestra rehearse``: scenarios against simulated participants, good ones and faulty ones."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pytest_orchestra.cli.loading import loader_of_commands, process_file, refuse_unusable
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.cli.project import project_root
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.session.simulation import participants_of
from pytest_orchestra.simulation.rehearsal import (
    Rehearsal,
    judge_rehearsal,
    rehearsal_json,
    rehearsal_text,
)

__all__ = ["add_rehearse_command"]

_TAIL: Final = 100
"""How many lines of a session that failed are shown."""

_NOTHING_COLLECTED: Final = 5
"""pytest's exit code where no test was selected."""


def add_rehearse_command(commands: Any) -> None:
    """Add the command to a parser's sub-parsers."""
    rehearse = commands.add_parser(
        "rehearse",
        help="find the assertion steps that would pass whatever happens",
        description="Run the scenarios of a process with all participants simulated, and once more for each way in"
        " which one of them can be faulty. An assertion step that nothing makes fail is vacuous (exit code 1).",
    )
    rehearse.add_argument("file", type=Path, help="the process model")
    rehearse.add_argument("--environment", metavar="NAME", help="the environment; the first of its file by default")
    rehearse.add_argument("-k", dest="keyword", metavar="EXPRESSION", help="only these scenarios, as pytest selects")
    rehearse.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    rehearse.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    file = process_file(options.file)
    definitions = loader_of_commands(file).load(file)
    refuse_unusable(definitions)
    participants = participants_of(definitions)
    if not participants:
        raise SettingsError(f"'{file.name}' has nobody to simulate", hint="add 'specs' or 'simulations' to its sidecar")
    given = [f"--orchestra-environment={options.environment}"] if options.environment else []
    given += ["-k", options.keyword] if options.keyword else []
    with tempfile.TemporaryDirectory(prefix="orchestra-") as folder:
        written = Path(folder) / "rehearsal.json"
        code, output = _rehearse(file, written, given)
        rehearsal = Rehearsal.of_json(written.read_text(encoding="utf-8")) if written.is_file() else Rehearsal()
    if code == _NOTHING_COLLECTED:
        wanted = f" that fits '{options.keyword}'" if options.keyword else ""
        raise SettingsError(f"'{file.name}' has no scenario{wanted}", hint=f"see 'orchestra plan {options.file}'")
    if code != 0 or not rehearsal.plain:
        why = "the scenarios do not pass with simulated participants" if code else "there is no assertion step"
        tail = "\n".join(output.splitlines()[-_TAIL:])
        hint = "\nhint: say in 'simulations' of the sidecar what they answer and send" if code else ""
        return Outcome(ExitCode.FINDINGS, text=tail if code else "", facts={"error": why}, error=why + hint)
    if rehearsal.faults:
        return Outcome(
            ExitCode.FINDINGS, facts={"error": rehearsal.faults[0]}, error=f"not tried: {rehearsal.faults[0]}"
        )
    noticed = judge_rehearsal(rehearsal.plain, rehearsal.spoiled)
    return Outcome(
        ExitCode.FINDINGS if any(each.is_vacuous for each in noticed) else ExitCode.FINE,
        text=rehearsal_text(file.name, noticed, len(rehearsal.spoiled), rehearsal.left_out),
        facts=rehearsal_json(noticed, rehearsal.spoiled, rehearsal.left_out),
    )


def _rehearse(file: Path, written: Path, given: Sequence[str]) -> tuple[int, str]:
    """Run a session of its own, with the project's fixtures and plugins; give its exit code and what it wrote."""
    command = [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-simulate=all", "--orchestra-store=memory"]
    command += [f"--orchestra-rehearsal={written}", "-p", "no:cacheprovider", *given, str(file)]
    command.append(f"--rootdir={project_root(file.parent)}")  # pytest's own may lie above all that is the project's
    if find_spec("xdist") is not None:
        command.append("-n0")  # all runs wait together anyway
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    return done.returncode, done.stderr + done.stdout
