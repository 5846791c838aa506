"""What a session is doing right now, while scenarios wait: one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pytest_orchestra.engine.events import (
    Event,
    LockAwaited,
    RunFinished,
    RunStarted,
    StepFinished,
    StepPolled,
    StepStarted,
)
from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.reporting.typography import cell_width, cut_end, cut_middle, duration_text, label

__all__ = ["LiveProgress", "ProgressState", "RunningScenario", "advance", "progress_line"]

_SHORTEST_KEY: Final = 10
_REDRAW_S: Final = 0.1
_LOG_WIDTH: Final = 160  # a log has no width; what is slow must be named there
_ALARMING: Final = (
    (RunStatus.FAILED, "failed"),
    (RunStatus.ERROR, "in error"),
    (RunStatus.FAILED_STUCK, "stuck"),
)


@dataclass(slots=True)
class RunningScenario:
    """A TestRun under way: since when (seconds of the session's clock), at which step, after how many polls."""

    key: str
    since: float
    step: str | None = None
    polls: int = 0


@dataclass(slots=True)
class ProgressState:
    """How far the session is: of ``total`` scenarios, those that run, by run id, and how many ended, by state."""

    total: int
    running: dict[str, RunningScenario] = field(default_factory=dict)
    done: dict[RunStatus, int] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """How many have ended."""
        return sum(self.done.values())

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        return max(0, self.total - self.finished - len(self.running))

    @property
    def slowest(self) -> RunningScenario | None:
        """The one that has been running longest."""
        return min(self.running.values(), key=lambda scenario: scenario.since, default=None)


def advance(state: ProgressState, event: Event, now: float) -> ProgressState:
    """Bring the state up to date with an event that came at ``now`` (seconds of the session's clock), and give it.

    It is changed in place: events are as many as polls, and there may be a thousand scenarios in it.
    """
    match event:
        case LockAwaited():
            state.running[event.run.id] = RunningScenario(event.run.key, now, f"lock {event.lock}")
        case RunStarted():
            state.running[event.run.id] = RunningScenario(event.run.key, now)
        case StepStarted() if known := state.running.get(event.run_id):
            known.step, known.polls = event.alias, 0
        case StepPolled() if known := state.running.get(event.run_id):
            known.step, known.polls = event.alias, event.poll
        case StepFinished() if (known := state.running.get(event.run_id)) and known.step == event.result.alias:
            known.step, known.polls = None, 0
        case RunFinished():
            state.running.pop(event.run.id, None)
            state.done[event.status] = state.done.get(event.status, 0) + 1
    return state


def progress_line(state: ProgressState, now: float, width: int, *, separator: str = ", ", ellipsis: str = "...") -> str:
    """Give the state on one line of at most ``width`` cells; of the slowest, what fits is told."""
    counts = [f"{state.finished}/{state.total} done", f"{len(state.running)} running", f"{state.waiting} waiting"]
    counts += [f"{state.done[status]} {word}" for status, word in _ALARMING if state.done.get(status)]
    line = f"orchestra: {separator.join(counts)}"
    slowest = state.slowest
    if slowest is None:
        return cut_end(line, width, ellipsis)
    opening = f"{separator}slowest "
    since = f" {duration_text((now - slowest.since) * 1000)}"
    at = f" at {label(slowest.step)}" if slowest.step else ""
    polls = f" (poll {slowest.polls})" if slowest.polls else ""
    full = label(slowest.key)
    short = full.partition("::")[2] or full
    for key, tail in ((full, since + at + polls), (short, since + at + polls), (short, since + at), (short, since)):
        room = width - cell_width(line) - cell_width(opening) - cell_width(tail)
        if room >= min(_SHORTEST_KEY, cell_width(key)) and (key is short or room >= cell_width(key)):
            return f"{line}{opening}{cut_middle(key, room, ellipsis)}{tail}"
    return cut_end(line, width, ellipsis)


class LiveProgress:
    """Shows what runs: on a terminal one line, rewritten in place; elsewhere a line from time to time.

    ``write`` takes raw terminal output and ``column`` tells at which column the cursor stands, so that the line goes
    below a row of dots and the cursor returns to its end. Both are None where there is no terminal; then
    ``write_line`` gets a line every ``heartbeat_s`` seconds. ``clock`` gives seconds and never goes backwards.
    Call :meth:`erase` before anyone else prints and :meth:`show` a few times a second; events bring the line back too.
    """

    def __init__(
        self,
        *,
        total: int,
        clock: Callable[[], float],
        write_line: Callable[[str], None],
        write: Callable[[str], None] | None = None,
        column: Callable[[], int] = lambda: 0,
        width: Callable[[], int] = lambda: 80,
        heartbeat_s: float = 30.0,
    ) -> None:
        self.state = ProgressState(total)
        self._clock = clock
        self._write_line = write_line
        self._write = write
        self._column = column
        self._width = width
        self._heartbeat_s = heartbeat_s
        self._drawn_at: float | None = None
        self._said_at = clock()
        self._returns_to: int | None = None

    def expect(self, total: int) -> None:
        """Set how many scenarios there are, where that was not known before."""
        self.state.total = total

    def on_event(self, event: Event) -> None:
        """Take one event and show what it changed."""
        advance(self.state, event, self._clock())
        self.show()

    def show(self) -> None:
        """Bring the line up to date, at most ten times a second; elsewhere say a line if it is time for one."""
        now = self._clock()
        if self._write is None:
            self._say(now)
            return
        if self._drawn_at is not None and now - self._drawn_at < _REDRAW_S:
            return
        if not self.state.running:
            self.erase()
            return
        self._drawn_at = now
        if self._returns_to is None:
            self._returns_to = self._column()
            if self._returns_to:
                self._write("\n")
        # a line that fills the last column would wrap, and then be rewritten one row too low
        self._write(f"\r\x1b[2K{progress_line(self.state, now, self._width() - 1)}")

    def erase(self) -> None:
        """Take the line away and put the cursor back to where it was."""
        if self._write is None or self._returns_to is None:
            return
        column, self._returns_to = self._returns_to, None
        back = f"\x1b[1A\x1b[{column + 1}G" if column else ""
        self._write(f"\r\x1b[2K{back}")

    def _say(self, now: float) -> None:
        if now - self._said_at < self._heartbeat_s or not self.state.running:
            return
        self._said_at = now
        self._write_line(progress_line(self.state, now, _LOG_WIDTH))
