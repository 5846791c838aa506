"""``orchestra rehearse``: scenarios against simulated participants, good ones and faulty ones."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pytest_orchestra.cli.loading import loader_of_commands, process_file, refuse_unusable
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.session.simulation import participants_of
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.rehearsal import (
    Rehearsed,
    find_distortions,
    judge_rehearsal,
    read_rehearsed,
    rehearsal_json,
    rehearsal_text,
)

__all__ = ["add_rehearse_command"]

_TAIL: Final = 40
"""How many lines of a session that failed are shown."""


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
    definitions = loader_of_commands().load(file)
    refuse_unusable(definitions)
    participants = participants_of(definitions)
    if not participants:
        raise SettingsError(f"'{file.name}' has nobody to simulate", hint="add 'specs' to its sidecar")
    bindings = definitions.bindings or Bindings()
    steps = [step.definition for suite in definitions.suites for each in suite.scenarios for step in each.all_steps]
    distortions = find_distortions(participants, bindings.simulations, steps)
    given = [f"--orchestra-environment={options.environment}"] if options.environment else []
    given += ["-k", options.keyword] if options.keyword else []
    with tempfile.TemporaryDirectory(prefix="orchestra-") as folder:
        events = Path(folder) / "events.ndjson"
        code, output = _rehearse(file, events, given)
        plain = _read(events)
        if code != 0 or not plain:
            why = "the scenarios do not pass with simulated participants" if code else "there is no assertion step"
            tail = "\n".join(output.splitlines()[-_TAIL:])
            return Outcome(ExitCode.FINDINGS, text=tail if code else "", facts={"error": why}, error=why)
        spoiled: dict[Distortion, Sequence[Rehearsed]] = {}
        for distortion in distortions:
            _rehearse(file, events, [*given, f"--orchestra-distort={distortion}"])
            spoiled[distortion] = _read(events)
    noticed = judge_rehearsal(plain, spoiled)
    code = ExitCode.FINDINGS if any(each.is_vacuous for each in noticed) else ExitCode.FINE
    return Outcome(
        code, text=rehearsal_text(file.name, noticed, len(distortions)), facts=rehearsal_json(noticed, distortions)
    )


def _rehearse(file: Path, events: Path, given: Sequence[str]) -> tuple[int, str]:
    """Run a session of its own, so that nothing of one is left to the next; give its exit code and what it wrote."""
    events.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-simulate=all", "--orchestra-store=memory"]
    command += [f"--orchestra-events={events}", "-p", "no:cacheprovider", *given, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


def _read(events: Path) -> tuple[Rehearsed, ...]:
    if not events.is_file():
        return ()
    return read_rehearsed(events.read_text(encoding="ascii").splitlines())
