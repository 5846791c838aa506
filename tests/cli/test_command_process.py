"""The ``orchestra`` command in a process of its own: what its streams and their encoding do to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def _run(project: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "timeout": 120, "env": environment}
    command = [sys.executable, "-m", "pytest_orchestra", *arguments]
    return subprocess.run(command, cwd=project, check=False, **{**given, **options})  # type: ignore[call-overload,no-any-return]


def test_names_that_the_encoding_of_the_terminal_lacks_are_escaped(project: Path) -> None:
    """A locale without the letters of a process still gets its plan."""
    model = project / "order.bpmn"
    model.write_text(model.read_text().replace('name="Order"', 'name="Größe 🚀"'), encoding="utf-8")
    done = _run(project, "plan", "order.bpmn")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Gr\\xf6\\xdfe \\U0001f680: 2 scenarios for edge coverage")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_the_fault_of_the_environment(project: Path) -> None:
    """A full disk is said in one line, and the exit code tells that nothing arrived."""
    with Path("/dev/full").open("w") as full:
        done = _run(project, "schema", "sidecar", stdout=full)
    assert (done.returncode, done.stderr) == (
        3,
        "error: standard output cannot be written: No space left on device\nhint: make room, or write elsewhere\n",
    )
