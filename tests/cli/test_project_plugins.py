"""Protocols and data sets of a project's own, as the command sees them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

PROTOCOL = """
from pytest_orchestra.spi import Reply, StepProtocol, step_problem
from stamps import STAMP

class Pigeons(StepProtocol):
    channel_type = "PIGEON"

    def check(self, step, specs):
        if "message" not in step.input_template:
            yield step_problem(step, "the pigeon has no 'message'", f"write one, with a {STAMP}")

    async def execute(self, call, specs):
        return Reply({}, None)

def pytest_orchestra_protocols(config):
    assert config is None
    return [Pigeons()]

def pytest_configure(config):
    raise RuntimeError("there is no session")
"""
BPMN = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="x"><process id="p">
<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="t"/><task id="t" name="Fly"/>
<sequenceFlow id="g" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""
SIDECAR = "bindings:\n  Fly: {alias: fly, channelType: PIGEON, inputTemplate: {mesage: coo}}\n"
TOLD = """error: pigeons/fly.orchestra.yaml:2:8: the pigeon has no 'message'
hint: write one, with a penny
1 process file, 1 scenario, 1 error, 0 warnings
"""


@pytest.fixture
def flight(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a process that needs a protocol of the project's own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = project / "pigeons"
    folder.mkdir()
    (folder / "fly.bpmn").write_text(BPMN)
    (folder / "fly.orchestra.yaml").write_text(SIDECAR)
    (folder / "stamps.py").write_text("STAMP = 'penny'")
    return folder


@pytest.mark.parametrize("path", ["pigeons/fly.bpmn", "pigeons"])
def test_protocol_of_a_conftest_checks_its_steps(orchestra: Any, flight: Path, path: str) -> None:
    """It stands beside the process file, and what else it has for pytest is left alone."""
    (flight / "conftest.py").write_text(PROTOCOL)
    done = orchestra("verify", path)
    assert (done.returncode, done.stdout, done.stderr) == (1, TOLD, "")


def test_conftest_without_hooks_of_ours_is_not_executed(orchestra: Any, flight: Path) -> None:
    """What a conftest does is for pytest; a command has no need of it."""
    (flight / "conftest.py").write_text("raise RuntimeError('for pytest only')")
    done = orchestra("verify", "pigeons")
    assert "no protocol serves channel 'PIGEON'" in done.stdout


def test_conftest_that_cannot_be_executed_is_wrong_input(orchestra: Any, flight: Path) -> None:
    """The file is named, and why; there is no traceback."""
    conftest = flight / "conftest.py"
    conftest.write_text(PROTOCOL.replace("from stamps", "from nowhere_at_all"))
    done = orchestra("verify", "pigeons")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: '{conftest}' cannot be executed: ModuleNotFoundError: No module named 'nowhere_at_all'\n"
        "hint: mend it; pytest executes it as well\n"
    )
