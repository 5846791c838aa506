"""Debuggers in real sessions, at a terminal of their own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

BREAKING = """
from pytest_orchestra.protocols.http import HttpProtocol

class Breaking(HttpProtocol):
    async def execute(self, call, specs):
        if call.alias == "place":
            seen = f"about to send {call.alias}"
            breakpoint()
        return await super().execute(call, specs)

def pytest_orchestra_protocols(config):
    return [Breaking()]
"""


def debug(project: Any, *options: str, answers: Sequence[str]) -> tuple[int, str]:
    """Run pytest at a terminal and answer each prompt of the debugger; give its exit code and what was shown."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-store=memory", "-p", "no:cacheprovider"]
    environment = {**os.environ, "TERM": "dumb", "PYTHON_COLORS": "0"}
    process = subprocess.Popen(
        [*command, *options], cwd=project.path, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown, left, deadline = "", list(answers), time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.2)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                shown += os.read(terminal, 65536).decode(errors="replace")
            except OSError:  # how Linux says that the other side of a terminal is closed
                break
            if left and shown.count("(Pdb) ") > len(answers) - len(left):
                os.write(terminal, (left.pop(0) + "\n").encode())
        return process.wait(10), shown
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_breakpoint_in_a_hook_stops_there_with_the_terminal_at_hand(project: Any) -> None:
    """The code of a protocol can be looked at while it runs, and the run goes on behind it with its output captured."""
    project.orders()
    project.write(conftest_dot_py=BREAKING)
    code, shown = debug(project, answers=["p seen.upper()", "c"])
    assert "PDB set_trace" in shown
    assert "'ABOUT TO SEND PLACE'" in shown
    assert "PDB continue" in shown
    assert code == 0
    assert "1 passed" in shown


def test_pdb_opens_where_a_scenario_failed_with_its_outcome_at_hand(project: Any) -> None:
    """What the scenario came to is in reach of the debugger, and those after it go on."""
    project.orders({"bad": {"amount": 13}, "good": {"amount": 10}})
    looks = ["p step.alias, response['status']", "p request['body']", "p data", "p finished.run.key"]
    looks += ["p violations[0].type.value", "p steps.keys()"]
    code, shown = debug(project, "--pdb", answers=[*looks, "c"])
    assert "PDB post_mortem" in shown
    assert "-> raise kind(finished)" in shown
    assert "('place', 202)" in shown
    assert "\r\n{'amount': 13, 'settle': 0}" in shown
    assert "\r\n{'amount': 13}" in shown
    assert "'order.bpmn::main[bad]'" in shown
    assert "'BUSINESS_RULE_VIOLATION'" in shown
    assert "dict_keys(['place', 'paid'])" in shown
    assert code == 1
    assert "1 failed, 1 passed" in shown
