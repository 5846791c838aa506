"""The ``orchestra`` command in a process of its own, and a project to call it in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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

Orchestra = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one process and nothing beside it."""
    (tmp_path / "order.bpmn").write_text(PROCESS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


@pytest.fixture
def orchestra(project: Path) -> Orchestra:
    """Run the command in the project's folder."""

    def run(*arguments: str, cwd: Path = project) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1", "COLUMNS": "100"}
        command = [sys.executable, "-m", "pytest_orchestra", *arguments]
        return subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120, env=environment
        )

    return run


def facts(done: subprocess.CompletedProcess[str]) -> object:
    return json.loads(done.stdout)
