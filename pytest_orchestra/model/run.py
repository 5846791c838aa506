"""Runs and their results. States are those of the architecture's sections 4.8 and 5."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pytest_orchestra.model.definition import ChannelName, Criterion, StepKind
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.scenario import MissedGoal

__all__ = [
    "CoverageReached",
    "Exchange",
    "Observation",
    "PollHistory",
    "RunAttempt",
    "RunFault",
    "RunStatus",
    "StepAttempt",
    "StepResult",
    "StepStatus",
    "SuiteRun",
    "SuiteRunStatus",
    "TestRun",
    "Violation",
    "ViolationType",
]


class StepStatus(StrEnum):
    """The state of a step in a run."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PASSED = "PASSED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    FLAKY = "FLAKY"


class RunStatus(StrEnum):
    """The state of a TestRun. ``FAILED`` means violations, ``ERROR`` that our side was wrong.

    ``FLAKY`` is one that passed, but not, or not every step of it, at the first attempt.
    """

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    PASSED = "PASSED"
    FLAKY = "FLAKY"
    FAILED = "FAILED"
    ERROR = "ERROR"
    SKIPPED = "SKIPPED"
    FAILED_STUCK = "FAILED_STUCK"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (RunStatus.PENDING, RunStatus.QUEUED, RunStatus.IN_PROGRESS)

    @property
    def is_good(self) -> bool:
        """Whether the system under test did in the end what was expected of it."""
        return self in (RunStatus.PASSED, RunStatus.FLAKY)

    @property
    def is_harmless(self) -> bool:
        """Whether it leaves a SuiteRun passed: what was skipped says nothing against it."""
        return self.is_good or self is RunStatus.SKIPPED


class SuiteRunStatus(StrEnum):
    """The state of a SuiteRun."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    PASSED = "PASSED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ViolationType(StrEnum):
    """What the system under test did wrong."""

    HTTP_ERROR = "HTTP_ERROR"
    CONTRACT_VIOLATION = "CONTRACT_VIOLATION"
    BUSINESS_RULE_VIOLATION = "BUSINESS_RULE_VIOLATION"
    TIMEOUT = "TIMEOUT"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    DB_ASSERTION_FAILED = "DB_ASSERTION_FAILED"
    GRPC_ERROR = "GRPC_ERROR"
    KAFKA_MESSAGE_NOT_FOUND = "KAFKA_MESSAGE_NOT_FOUND"
    QUEUE_MESSAGE_NOT_FOUND = "QUEUE_MESSAGE_NOT_FOUND"
    WEBHOOK_NOT_RECEIVED = "WEBHOOK_NOT_RECEIVED"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing the system under test did wrong.

    ``code`` is short and stable (``status``, ``schema``, ``rule``, ``until``, ``failWhen`` ...). ``details`` may hold
    ``expected``, ``observed``, ``rule``, ``parts`` (list of ``{"expression", "value"}``), ``pointer``, ``place``.
    """

    type: ViolationType
    code: str
    message: str
    details: JsonObject = field(default_factory=dict)
    settling_time_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What polls saw: a value that stood from ``first_ms`` to ``last_ms`` after the first poll, ``count`` times."""

    value: JsonValue
    first_ms: float
    last_ms: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class PollHistory:
    """What a wait that goes on has seen so far, in ``polls`` looks since ``first_at``; all is masked in a store."""

    first_at: datetime
    polls: int
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call, for people: ``request`` and ``response`` masked and shortened, ``reproduce`` a shell command."""

    request: JsonObject = field(default_factory=dict)
    response: JsonObject | None = None
    reproduce: str = ""


@dataclass(frozen=True, slots=True)
class RunFault:
    """An error of ours that ended a step or a run: its class, its message and its hint."""

    error: str
    message: str
    hint: str | None = None
    place: str | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}\nhint: {self.hint}" if self.hint else text


@dataclass(frozen=True, slots=True)
class StepAttempt:
    """An attempt of a step that failed and was followed by another; ``number`` counts from 1, all is masked."""

    number: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_ms: float = 0.0
    actual_status_code: int | None = None
    polls: int = 0
    observations: tuple[Observation, ...] = ()
    exchange: Exchange | None = None
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class StepResult:
    """The outcome of a step. Durations are milliseconds, moments are UTC, everything is masked already.

    ``response`` is what templates see as ``step.ALIAS.response``. ``settling_time_ms`` runs from the end of the causing
    action to the moment an assertion first held. ``observations`` is the history of polls, equal neighbours merged.
    ``reason`` says why a step was skipped, or failed without a violation of its own. ``masked`` says that something in
    ``response`` was a secret; ``repeated`` that the step was sent again when its run was resumed, because nobody knew
    whether it had arrived. ``reused_from`` is the id of the earlier run that the result was taken from;
    ``clean_up`` says that the step cleaned up behind others. ``timeout_ms`` is how long an assertion waited at most.
    ``attempts`` are those that failed before the one that is told here. ``taken_over`` says that an earlier session
    carried the step out, whose run this one resumed; ``changed`` is the data that somebody changed by hand before the
    step, by dotted name.
    """

    alias: str
    name: str
    kind: StepKind
    channel_type: ChannelName
    element_id: str
    order_index: int
    status: StepStatus
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_ms: float = 0.0
    actual_status_code: int | None = None
    response: JsonObject | None = None
    settling_time_ms: float | None = None
    polls: int = 0
    observations: tuple[Observation, ...] = ()
    exchange: Exchange | None = None
    exported: JsonObject = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    fault: RunFault | None = None
    reason: str | None = None
    masked: bool = False
    repeated: bool = False
    reused_from: str | None = None
    clean_up: bool = False
    attempts: tuple[StepAttempt, ...] = ()
    timeout_ms: float | None = None
    taken_over: bool = False
    changed: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunAttempt:
    """An attempt of a TestRun that failed and was followed by another, with every step; ``number`` counts from 1."""

    number: int
    correlation_id: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    steps: tuple[StepResult, ...] = ()


@dataclass(frozen=True, slots=True)
class TestRun:
    """One execution of one scenario with one data set. ``key`` is the pytest node id without its folder's noise:
    ``order.bpmn::large-order[vip]``, unique in the SuiteRun. ``attempt`` counts from 1; each has a correlation id of
    its own.
    """

    __test__ = False  # pytest would take the class for a test by its name

    id: str
    suite_run_id: str
    key: str
    process_id: str
    process_hash: str
    scenario_key: str
    scenario_version: str
    data_set: str | None
    environment: str
    mode: str
    correlation_id: str
    status: RunStatus = RunStatus.PENDING
    reason: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """One execution of a suite; ``context`` is what its scenarios exported.

    ``priority`` says which SuiteRuns of a tenant have the places of its quota first: the greatest.
    """

    id: str
    key: str
    tenant: str
    status: SuiteRunStatus = SuiteRunStatus.PENDING
    context: JsonObject = field(default_factory=dict)
    plugin_version: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CoverageReached:
    """How much of one criterion the scenarios of a process cover, and how much of that ran and passed.

    Of ``total`` goals ``planned`` are covered by the scenarios that there are, whatever became of them, and ``passed``
    by those of this session that passed with at least one data set and no step skipped. ``not_passed`` names the other
    planned ones, ``missing`` those that no scenario covers.
    """

    file: str
    process_id: str
    process_name: str
    criterion: Criterion
    total: int
    planned: int
    passed: int
    not_passed: tuple[str, ...] = ()
    missing: tuple[MissedGoal, ...] = ()
