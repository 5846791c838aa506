"""Stepping through scenarios in real sessions, at a terminal of their own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from orders_service import SIDECAR, Orders

from pytest_orchestra.session.stepping import PROMPT

LIMIT_S = 60
START = """
import fcntl, sys, termios, pytest
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal is the one that Ctrl-C is typed at
sys.exit(pytest.main(sys.argv[1:]))
"""
CLEAN_UP = """
  Order paid:
    alias: paid
    endpointRef: orders.getOrder
    inputTemplate: {path: {id: "{{step.place.response.body.id}}"}}
    until: response.body.status == 'PAID'
finally:
  - {alias: look, endpointRef: orders.getOrder, inputTemplate: {path: {id: "{{step.place.response.body.id}}"}}}
"""


class Session:
    """Pytest at a pseudo terminal, which somebody reads and types at."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.shown = ""
        self._process = process
        self._terminal = terminal
        self._read = 0

    def wait_for(self, text: str) -> str:
        """Wait until a text is shown that was not read before; give what was shown up to it."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.shown[self._read :]:
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.shown}"
            if not self._take() and self._process.poll() is not None and not self._take():
                raise AssertionError(f"the session ended before {text!r} came:\n{self.shown}")
        begin, self._read = self._read, self.shown.index(text, self._read) + len(text)
        return self.shown[begin : self._read]

    def answer(self, line: str) -> str:
        """Answer the next prompt; give what was shown before it."""
        said = self.wait_for(PROMPT)
        os.write(self._terminal, (line + "\n").encode())
        return said

    def press(self, key: bytes) -> str:
        """Press a key at the next prompt, and nothing else; give what was shown before it."""
        said = self.wait_for(PROMPT)
        os.write(self._terminal, key)
        return said

    def end(self) -> tuple[int, str]:
        """Wait for the end; give the exit code and what was shown since the last answer."""
        deadline = time.monotonic() + LIMIT_S
        while self._process.poll() is None or self._take():
            assert time.monotonic() < deadline, self.shown
            self._take()
        return self._process.wait(), self.shown[self._read :]

    def _take(self) -> bool:
        """Take what is there, or comes within a moment; give whether anything did."""
        if not select.select([self._terminal], [], [], 0.1)[0]:
            return False
        try:
            typed = os.read(self._terminal, 65536)
        except OSError:  # how Linux says that the other side of a terminal is closed
            return False
        self.shown += typed.decode(errors="replace").replace("\r\n", "\n")
        return bool(typed)


@contextmanager
def stepping(project: Any, *options: str, store: str = "memory") -> Iterator[Session]:
    """Start pytest at a terminal."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-c", START, "--orchestra", "--orchestra-step", f"--orchestra-store={store}"]
    environment = {**os.environ, "TERM": "dumb", "PYTHON_COLORS": "0", "COLUMNS": "110"}
    process = subprocess.Popen(
        [*command, "-p", "no:cacheprovider", *options],
        cwd=project.path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Session(process, terminal)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_somebody_looks_changes_data_and_goes_on(project: Any) -> None:
    """Values and what is sent are shown before each step, other data is sent, and the report tells what was changed."""
    project.orders()
    with stepping(project, "--junitxml=junit.xml") as session:
        said = session.answer("p data")
        assert (
            "order.bpmn::main[small]\nstep 1 of 2  place: Place order  (ACTION HTTP_REST orders.placeOrder)\n" in said
        )
        assert '{"amount": 10}' in session.answer("set data.amount = 250")
        assert '{"amount": 250}' in session.answer("i")
        assert '"body": {\n' in (shown := session.answer("c"))
        assert '"amount": 250' in shown
        assert "PASSED  place" in session.answer("p step.place.response.body.total")
        assert "\n  250\n" in session.answer("l")
        assert "PENDING" in session.answer("")
        code, rest = session.end()
    assert (code, Orders.placed[list(Orders.placed)[-1]][0]) == (0, 250)
    assert "1 passed" in rest
    assert "orchestra.changed" in (Path(project.path) / "junit.xml").read_text()


def test_step_that_is_skipped_is_not_sent_and_has_the_reason(project: Any) -> None:
    """Steps that read its reply are skipped as well, and the report says by whom it was."""
    project.orders()
    before = len(Orders.placed)
    with stepping(project, "--junitxml=junit.xml") as session:
        session.answer("s")
        code, _ = session.end()
    assert (code, len(Orders.placed)) == (0, before)
    assert "skipped by hand" in (Path(project.path) / "junit.xml").read_text()
    assert "it reads the reply of step 'place', which has none" in (Path(project.path) / "junit.xml").read_text()


def test_step_that_failed_is_tried_again_and_its_run_is_flaky(project: Any) -> None:
    """The evidence is shown at once; other data may be set before the step is sent again; both attempts are told."""
    project.orders({"bad": {"amount": 13}})
    with stepping(project) as session:
        session.answer("c")
        assert "step 'place' failed; r carries it out again, c goes on" in session.answer("set data.amount = 14")
        session.answer("r")
        session.answer("r")
        code, rest = session.end()
    assert code == 0
    assert "1 flaky" in rest


def test_all_scenarios_are_asked_about_one_after_the_other(project: Any) -> None:
    """Each is reported before the next one asks; who runs on is not asked again until then."""
    project.orders({"one": {"amount": 1}, "two": {"amount": 2}})
    with stepping(project, "-v") as session:
        assert "main[one]" in session.answer("r")
        said = session.answer("r")
        assert "main[one] PASSED" in said
        assert "order.bpmn::main[two]\nstep 1 of 2" in said
        assert session.end()[0] == 0


@pytest.mark.parametrize("leave", [b"q\n", b"\x03"], ids=["q", "ctrl-c"])
def test_who_quits_cancels_the_run_and_cleans_up_behind_it(project: Any, leave: bytes) -> None:
    """The session ends as after Ctrl-C, what had begun is cleaned up without a question, and the run can be resumed."""
    head, _, _ = SIDECAR.partition("\n  Order paid:")
    project.orders(sidecar=head + CLEAN_UP)
    with stepping(project, "--orchestra-events=events.ndjson") as session:
        session.answer("c")
        assert "step 2 of 3  paid" in session.press(leave)
        code, rest = session.end()
    assert code == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in rest
    assert PROMPT not in rest
    events = (Path(project.path) / "events.ndjson").read_text()
    assert '"event": "StepStarted"' in events.split('"alias": "look"')[0]
    assert '"alias": "look"' in events
    assert '"alias": "paid"' not in events


@pytest.mark.parametrize("options", [("-s", "-p", "no:terminal"), ("--capture=sys",)], ids=" ".join)
def test_stepping_works_however_pytest_captures(project: Any, options: Sequence[str]) -> None:
    """The questions go to the terminal itself."""
    project.orders()
    with stepping(project, *options) as session:
        session.answer("c")
        session.answer("p correlationId")
        session.answer("c")
        assert session.end()[0] == 0


def test_stepping_without_a_terminal_is_a_usage_error(project: Any) -> None:
    """Nobody waits for an answer that nobody can give."""
    project.orders()
    result = project.run("--orchestra-step")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "*--orchestra-step: there is no terminal to ask at",
            "hint: start pytest at a terminal, its input and its output not redirected",
        ]
    )


def test_stepping_in_workers_of_xdist_is_a_usage_error(project: Any) -> None:
    """A worker has no terminal."""
    project.orders()
    result = project.run("--orchestra-step", "-n", "1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--orchestra-step: scenarios run in workers of xdist, which have no terminal", "hint: leave -n out"]
    )
