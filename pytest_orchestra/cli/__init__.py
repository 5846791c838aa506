"""The ``orchestra`` command. Exit codes: 0 fine, 1 findings, 2 wrong usage or input, 3 environment."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from typing import Final, TextIO

from pytest_orchestra import __version__
from pytest_orchestra.cli import exports, models, plans, rehearsals, runs, scaffold
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.errors import DefinitionError, OrchestraError, SettingsError

__all__ = ["build_parser", "main"]

_UNWRITABLE: Final = "error: standard output cannot be written: {}\nhint: make room, or write elsewhere\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], Outcome] = options.run
    try:
        outcome = run(options)
    except (DefinitionError, SettingsError) as error:
        outcome = Outcome(ExitCode.WRONG_INPUT, error=str(error))
    except OrchestraError as error:
        outcome = Outcome(ExitCode.ENVIRONMENT, error=str(error))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the locale cannot write is no reason to say nothing
            stream.reconfigure(errors="backslashreplace")
    try:
        outcome.write(sys.stdout, sys.stderr, as_json=getattr(options, "format", "text") == "json")
    except BrokenPipeError:  # the reader, 'head' say, has seen enough
        sys.stderr.close()
    except OSError as error:
        sys.stderr.write(_UNWRITABLE.format(error.strerror or error))
        _forget(sys.stdout)
        return int(ExitCode.ENVIRONMENT)
    return int(outcome.exit_code)


def _forget(stream: TextIO) -> None:
    """Drop what could not be written, for the interpreter tries again at its end and complains."""
    with contextlib.suppress(OSError, ValueError):
        stream.close()


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="orchestra",
        description="Look at process models, scenarios and runs. 'pytest --orchestra' runs them.",
        epilog="exit codes: 0 fine, 1 findings, 2 wrong usage or input, 3 environment",
    )
    parser.add_argument("--version", action="version", version=f"pytest-orchestra {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    scaffold.add_init_command(commands)
    plans.add_plan_command(commands)
    models.add_commands(commands)
    exports.add_export_command(commands)
    rehearsals.add_rehearse_command(commands)
    runs.add_commands(commands)
    return parser
