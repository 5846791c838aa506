"""Clean-up steps of a sidecar, in a session."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

from orders_service import SIDECAR, Orders

CLEANED = (
    SIDECAR
    + """
finally:
  alias: undo
  endpointRef: orders.placeOrder
  inputTemplate: {body: {amount: 777}}
  expectedStatusCode: 202
"""
)


ENDLESS = (
    SIDECAR
    + """
finally:
  - {alias: undo, endpointRef: orders.placeOrder, inputTemplate: {body: {amount: 777}}, expectedStatusCode: 202}
  - alias: undone
    endpointRef: orders.getOrder
    inputTemplate: {path: {id: "{{step.undo.response.body.id}}"}}
    until: response.body.status == 'FORGOTTEN'
    timeoutMs: 60000
"""
)


def undone(before: int) -> int:
    return sum(amount == 777 for amount, _ in list(Orders.placed.values())[before:])


def test_clean_up_is_in_the_report_of_a_scenario_that_failed(project: Any) -> None:
    """It runs behind the failure, and stands in the table of steps and in JUnit."""
    project.orders({"wrong": {"amount": 13}}, sidecar=CLEANED)
    before = len(Orders.placed)
    result = project.run("--junitxml=j.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FAILED*place*", "*SKIPPED*paid*", "*PASSED*undo*"])
    assert undone(before) == 1
    assert "undo" in (project.path / "j.xml").read_text()


def test_clean_up_runs_at_ctrl_c(project: Any) -> None:
    """One Ctrl-C cleans up behind what is under way before the session ends."""
    project.orders({f"row{n}": {"amount": 1, "settle": 60} for n in range(3)}, sidecar=CLEANED)
    before = len(Orders.placed)
    command = [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-store=memory", "-p", "no:cacheprovider"]
    process = subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 60
    while len(Orders.placed) < before + 3:
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2, text
    assert undone(before) == 3, text
    assert "orchestra: cleaning up behind what was under way; Ctrl-C stops that\n" in text
    assert "scenarios     3 cancelled\n" in text


def test_second_ctrl_c_stops_the_clean_up_and_says_how_to_go_on(project: Any) -> None:
    """Whoever cannot wait for it sees what was cut off, and the command that takes it up again."""
    project.orders({"row": {"amount": 1, "settle": 60}}, sidecar=ENDLESS)
    before = len(Orders.placed)
    command = [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-suite-run=nightly", "-p", "no:cacheprovider"]
    process = subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 60
    while len(Orders.placed) == before:
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    while undone(before) == 0:
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2, text
    assert "scenarios     1 cancelled\n" in text
    assert "IN_PROGRESS\n" in text
    assert "go on         pytest --orchestra --orchestra-resume --orchestra-suite-run=nightly\n" in text


def test_clean_up_step_that_is_a_barrier_is_told_with_its_place(project: Any) -> None:
    """What cannot clean up is refused when the sidecar is read."""
    project.orders(sidecar=SIDECAR + "finally: [{kind: BARRIER}]\n")
    result = project.run()
    told = "*order.orchestra.yaml:*a clean-up step is an action that is waited for, or an assertion"
    result.stdout.fnmatch_lines([told])
