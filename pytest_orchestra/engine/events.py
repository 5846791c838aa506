"""What the engine tells: a stream of frozen events, the only source of every report."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import (
    CoverageReached,
    RunAttempt,
    RunFault,
    RunStatus,
    StepAttempt,
    StepResult,
    SuiteRun,
    TestRun,
)

__all__ = [
    "Event",
    "LockAwaited",
    "RunFinished",
    "RunQueued",
    "RunRetried",
    "RunStarted",
    "StepFinished",
    "StepPolled",
    "StepRetried",
    "StepStarted",
    "SuiteFinished",
    "SuiteStarted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at ``at`` (UTC)."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteStarted(Event):
    """A SuiteRun began."""

    suite_run: SuiteRun


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(Event):
    """A TestRun was taken on; it begins as soon as its prerequisites and the limit allow."""

    run: TestRun


@dataclass(frozen=True, slots=True, kw_only=True)
class LockAwaited(Event):
    """A TestRun could begin, but what it must have for itself (``lock``) is ``holder``'s, another run's by key."""

    run: TestRun
    lock: str
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A TestRun began, or goes on where an earlier worker left it after ``kept_steps`` steps."""

    run: TestRun
    kept_steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step began."""

    run_id: str
    alias: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPolled(Event):
    """A polling assertion looked and its condition did not hold yet; ``observed`` is what it saw."""

    run_id: str
    alias: str
    poll: int
    observed: JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetried(Event):
    """An attempt of a step failed; the next one begins after ``pause_s``."""

    run_id: str
    alias: str
    failed: StepAttempt
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A step ended."""

    run_id: str
    result: StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRetried(Event):
    """An attempt of a TestRun failed; ``run`` is the next one, which begins now."""

    run: TestRun
    failed: RunAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A TestRun ended. ``steps`` has every step of the scenario, also those not reached.

    ``queued_s`` is how long it waited for its start, ``locked_s`` how much of that for locks; ``is_kept`` says
    whether its store can show it later; ``attempts`` are those that failed before the one that is told here.
    """

    run: TestRun
    status: RunStatus
    steps: tuple[StepResult, ...] = ()
    fault: RunFault | None = None
    reason: str | None = None
    queued_s: float = field(default=0.0)
    is_kept: bool = True
    attempts: tuple[RunAttempt, ...] = ()
    locked_s: float = field(default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFinished(Event):
    """A session has done its part of a SuiteRun, whose state is that of all: ``IN_PROGRESS`` while others go on.

    ``coverage`` is what this session's scenarios cover, by plan and by what passed, for each process and criterion.
    """

    suite_run: SuiteRun
    coverage: tuple[CoverageReached, ...] = ()
