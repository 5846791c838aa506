"""The ``orchestra`` command, and a project to call it in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestra.cli import main

PROCESS = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="urn:test">
  <process id="order" name="Order">
    <startEvent id="start"/>
    <exclusiveGateway id="large" name="Large?" default="small_flow"/>
    <task id="approve" name="Approve"/>
    <task id="ship" name="Ship"/>
    <endEvent id="end"/>
    <sequenceFlow id="begin" sourceRef="start" targetRef="large"/>
    <sequenceFlow id="large_flow" name="yes" sourceRef="large" targetRef="approve">
      <conditionExpression>${amount &gt; 1000}</conditionExpression>
    </sequenceFlow>
    <sequenceFlow id="small_flow" name="no" sourceRef="large" targetRef="ship"/>
    <sequenceFlow id="approved" sourceRef="approve" targetRef="ship"/>
    <sequenceFlow id="done" sourceRef="ship" targetRef="end"/>
  </process>
</definitions>
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one process and nothing beside it."""
    return _write_project(tmp_path)


@pytest.fixture(scope="module")
def lasting_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all tests of a module."""
    return _write_project(tmp_path_factory.mktemp("lasting"))


def _write_project(folder: Path) -> Path:
    (folder / "order.bpmn").write_text(PROCESS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


@pytest.fixture
def orchestra(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in the project's folder, in this process: starting an interpreter takes longer than any command.

    ``test_command_process.py`` runs it in a process of its own.
    """
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, cwd: Path = project) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse's own errors, and --help
            code = int(ended.code or 0)
        written = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, written.out, written.err)

    return run


def facts(done: subprocess.CompletedProcess[str]) -> object:
    return json.loads(done.stdout)
