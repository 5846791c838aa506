"""What the user sees while scenarios wait."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.engine.events import (
    RunFinished,
    RunStarted,
    StepFinished,
    StepPolled,
    StepStarted,
    SuiteFinished,
)
from pytest_orchestra.model.run import RunStatus, SuiteRun
from pytest_orchestra.reporting.progress import LiveProgress, ProgressState, RunningScenario, advance, progress_line
from pytest_orchestra.reporting.typography import cell_width


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Screen:
    """A terminal: rows of text and a cursor, and the few control sequences that the progress line uses."""

    def __init__(self):
        self.rows, self.row, self.column, self.writes = [""], 0, 0, 0

    def write(self, text):
        self.writes += 1
        for token in re.findall(r"\x1b\[\d*[A-Z]|.", text, re.DOTALL):
            self._take(token)

    def _take(self, token):
        if token == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.rows):
                self.rows.append("")
        elif token == "\r":
            self.column = 0
        elif token == "\x1b[2K":
            self.rows[self.row] = ""
        elif token == "\x1b[1A":
            self.row -= 1
        elif token.startswith("\x1b["):
            assert token.endswith("G"), f"unknown control sequence {token!r}"
            self.column = int(token[2:-1]) - 1
        else:
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + token + row[self.column + 1 :]
            self.column += 1


def _no_line(line):
    raise AssertionError(f"a terminal gets no lines, but got {line!r}")


@pytest.fixture
def clock():
    """Give a clock."""
    return Clock()


@pytest.fixture
def events(passed, make_run):
    """Give what makes the events of a run by number."""

    class Events:
        @staticmethod
        def run(number):
            return replace(make_run("large-order", str(number), RunStatus.IN_PROGRESS, 0), id=str(number))

        def started(self, number=1):
            return RunStarted(at=passed.at, run=self.run(number))

        def step(self, number=1, alias="shipped"):
            return StepStarted(at=passed.at, run_id=str(number), alias=alias, name="Order shipped")

        def polled(self, number=1, alias="shipped", poll=1):
            return StepPolled(at=passed.at, run_id=str(number), alias=alias, poll=poll, observed="NEW")

        def step_finished(self, number=1):
            return StepFinished(at=passed.at, run_id=str(number), result=passed.steps[1])

        def finished(self, number=1, status=RunStatus.PASSED):
            return RunFinished(at=passed.at, run=self.run(number), status=status)

    return Events()


def test_advance_follows_runs_steps_and_polls(events):
    """The state tells for each run its step and its polls, and counts those that ended by state."""
    state = ProgressState(4)
    for now, event in enumerate([events.started(1), events.started(2), events.step(1), events.polled(1, poll=7)]):
        state = advance(state, event, float(now))
    assert state.running["1"] == RunningScenario("order.bpmn::large-order[1]", 0.0, "shipped", 7)
    assert (state.slowest, state.waiting, state.finished) == (state.running["1"], 2, 0)
    state = advance(state, events.step_finished(1), 5.0)
    assert state.running["1"] == RunningScenario("order.bpmn::large-order[1]", 0.0)
    state = advance(state, events.finished(1, RunStatus.FAILED), 6.0)
    assert (list(state.running), state.done, state.waiting) == (["2"], {RunStatus.FAILED: 1}, 2)


def test_advance_ignores_what_it_does_not_know(events, passed):
    """Events of runs that were not announced, and of suites, change nothing; runs that never began are counted."""
    state = ProgressState(1)
    suite = SuiteFinished(at=passed.at, suite_run=SuiteRun("1", "1", "default"))
    for event in (events.step(), events.polled(), events.step_finished(), suite):
        assert advance(state, event, 0.0) is state
    assert advance(state, events.finished(status=RunStatus.SKIPPED), 0.0).finished == 1


def test_progress_line_tells_counts_and_the_slowest():
    """How many are done, run and wait, what failed, which takes longest, for how long and where."""
    running = {
        "1": RunningScenario("order.bpmn::large-order[vip]", 10.0, "shipped", 14),
        "2": RunningScenario("order.bpmn::small-order", 15.0),
    }
    state = ProgressState(200, running, {RunStatus.PASSED: 155, RunStatus.FAILED: 2, RunStatus.ERROR: 1})
    assert progress_line(state, 22.3, 200) == (
        "orchestra: 158/200 done, 2 running, 40 waiting, 2 failed, 1 in error, "
        "slowest order.bpmn::large-order[vip] 12.3 s at shipped (poll 14)"
    )


def test_progress_line_that_is_narrow_tells_less_of_the_slowest():
    """Counts stay; of the slowest, first its file gives way, then its step, then its name."""
    running = {"1": RunningScenario("order.bpmn::large-order[vip]", 0.0, "shipped")}
    state = ProgressState(3, running, {RunStatus.PASSED: 1})
    opening = "orchestra: 1/3 done, 1 running, 1 waiting, slowest"
    assert progress_line(state, 1.0, 92) == f"{opening} large-order[vip] 1.00 s at shipped"
    assert progress_line(state, 1.0, 79) == f"{opening} larg...ip] 1.00 s at shipped"
    assert progress_line(state, 1.0, 76) == f"{opening} large-order[vip] 1.00 s"
    assert progress_line(state, 1.0, 60) == "orchestra: 1/3 done, 1 running, 1 waiting"
    assert progress_line(state, 1.0, 20) == "orchestra: 1/3 do..."


@given(st.integers(10, 120), st.integers(0, 10**6), st.text(max_size=40), st.text(max_size=10))
def test_progress_line_of_any_state_fits_on_one_line(width, total, key, step):
    """The line never wraps and never breaks."""
    state = ProgressState(total, {"1": RunningScenario(key, 0.0, step, 3)}, {RunStatus.FAILED: 3})
    line = progress_line(state, 5.0, width)
    assert cell_width(line) <= width
    assert "\n" not in line


def test_live_progress_on_a_terminal_rewrites_one_line(clock, events):
    """New states replace the old one, on one row."""
    screen = Screen()
    progress = LiveProgress(total=2, clock=clock, write=screen.write, write_line=_no_line, width=lambda: 120)
    opening = "orchestra: 0/2 done, 1 running, 1 waiting, slowest order.bpmn::large-order[1]"
    progress.on_event(events.started())
    assert screen.rows == [f"{opening} 0 ms"]
    clock.now = 2.0
    progress.on_event(events.step())
    assert screen.rows == [f"{opening} 2.00 s at shipped"]
    clock.now = 4.5
    progress.show()
    assert screen.rows == [f"{opening} 4.50 s at shipped"]


def test_live_progress_on_a_terminal_draws_ten_times_a_second_at_most(clock, events):
    """A flood of events is no flood of output, across erasing too."""
    screen = Screen()
    progress = LiveProgress(total=1, clock=clock, write=screen.write, write_line=_no_line)
    progress.on_event(events.started())
    drawn = screen.writes
    for poll in range(1000):
        clock.now = poll * 0.001
        progress.on_event(events.polled(poll=poll))
        progress.erase()
    assert screen.writes - drawn <= 2 * 10


def test_live_progress_goes_below_a_row_of_dots_and_gives_the_cursor_back(clock, events):
    """What pytest has printed stays, and what it prints next goes on where it was."""
    screen = Screen()
    progress = LiveProgress(
        total=2, clock=clock, write=screen.write, write_line=_no_line, column=lambda: screen.column, width=lambda: 60
    )
    screen.write("order.bpmn ..")
    progress.on_event(events.started())
    assert screen.rows == ["order.bpmn ..", "orchestra: 0/2 done, 1 running, 1 waiting"]
    progress.erase()
    screen.write("F.")
    assert screen.rows == ["order.bpmn ..F.", ""]
    clock.now = 1.0
    progress.show()
    progress.erase()
    screen.write("\nend")
    assert screen.rows == ["order.bpmn ..F.", "end"]


def test_live_progress_on_a_free_row_leaves_no_trace(clock, events):
    """With the cursor at the beginning of a row, the line takes that row and gives it back."""
    screen = Screen()
    progress = LiveProgress(total=1, clock=clock, write=screen.write, write_line=_no_line)
    progress.on_event(events.started())
    progress.erase()
    progress.erase()
    screen.write("PASSED")
    assert screen.rows == ["PASSED"]


def test_live_progress_with_nothing_running_takes_the_line_away(clock, events):
    """When the last scenario has ended, the line goes."""
    screen = Screen()
    progress = LiveProgress(total=1, clock=clock, write=screen.write, write_line=_no_line)
    progress.on_event(events.started())
    clock.now = 1.0
    progress.on_event(events.finished())
    assert screen.rows == [""]


def test_live_progress_never_fills_the_last_column(clock, events):
    """A line as wide as the terminal would wrap and could not be erased."""
    screen = Screen()
    progress = LiveProgress(total=10**9, clock=clock, write=screen.write, write_line=_no_line, width=lambda: 30)
    progress.on_event(events.started())
    assert screen.rows == ["orchestra: 0/1000000000 do..."]


def test_live_progress_elsewhere_says_a_line_every_interval(clock, events):
    """In a log there is a sign of life every so many seconds, and nothing when nothing runs."""
    lines = []
    progress = LiveProgress(total=0, clock=clock, write_line=lines.append, heartbeat_s=30.0, width=lambda: 120)
    progress.expect(3)
    for now in range(100):
        clock.now = float(now)
        if now == 10:
            progress.on_event(events.started())
        progress.show()
    assert lines == [
        "orchestra: 0/3 done, 1 running, 2 waiting, slowest order.bpmn::large-order[1] 20.0 s",
        "orchestra: 0/3 done, 1 running, 2 waiting, slowest order.bpmn::large-order[1] 50.0 s",
        "orchestra: 0/3 done, 1 running, 2 waiting, slowest order.bpmn::large-order[1] 1 min 20 s",
    ]
    progress.erase()
