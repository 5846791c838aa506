"""What the engine asks of the rooms above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from pytest_orchestra.engine.events import Event
from pytest_orchestra.model.definition import ChannelType, StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import (
    Exchange,
    RunStatus,
    StepResult,
    SuiteRun,
    SuiteRunStatus,
    TestRun,
    Violation,
    ViolationType,
)
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Problem

__all__ = [
    "CallTimeoutError",
    "Lease",
    "Listener",
    "ProtocolPlugin",
    "ProtocolViolation",
    "Reply",
    "RunStore",
    "StepCall",
    "StepIntent",
    "StoredRun",
]


@dataclass(frozen=True, slots=True)
class StepCall:
    """One call for a protocol to make; everything is rendered, nothing is a template any more.

    ``input`` is the rendered ``inputTemplate`` (for HTTP with the step's ``headers`` merged in and the correlation
    header set), ``parameters`` the rendered SQL parameters with ``correlationId`` among them, ``secrets`` the
    environment's secrets by reference. ``timeout_s`` bounds this one call.
    """

    step: StepDefinition
    alias: str
    correlation_id: str
    input: JsonObject
    parameters: JsonObject
    environment: Environment
    secrets: Mapping[str, Secret]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    ``response`` is what rules and templates see: for HTTP ``status``, ``headers`` (lower-case names),
    ``body`` (parsed JSON, else text) and ``elapsedMs``; for a database ``rows`` (list of objects), ``row`` (the first
    or null), ``value`` (its first column or null) and ``count``. ``exchange`` describes the call for people; values of
    secrets are masked by the engine, headers that carry credentials by the protocol.
    """

    response: JsonObject
    exchange: Exchange
    status_code: int | None = None


class CallTimeoutError(TimeoutError):
    """A call's time is over and no reply came; ``exchange`` describes what was sent."""

    def __init__(self, exchange: Exchange | None = None) -> None:
        super().__init__("no reply came in time")
        self.exchange = exchange


class ProtocolViolation(Exception):  # noqa: N818  it carries a Violation; an Error would be a fault of ours
    """The peer broke the protocol itself, so that there is no reply to judge: reset, truncated, malformed.

    ``exchange`` describes what was sent.
    """

    def __init__(self, violation: Violation, exchange: Exchange | None = None) -> None:
        super().__init__(violation.message)
        self.violation = violation
        self.exchange = exchange


@runtime_checkable
class ProtocolPlugin(Protocol):
    """One protocol: how its specifications are read, its operations found, its steps carried out, its contracts held.

    One instance serves all scenarios of a session on one event loop; connections are opened at first use.
    """

    protocol_id: ClassVar[str]
    channel_type: ClassVar[ChannelType]
    unfulfilled: ClassVar[ViolationType]
    """The type of violation when a polling assertion's condition never held."""

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:
        """Read a specification; None where the protocol has none."""

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:
        """Find the operation that a binding names."""

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:
        """Say, without any connection, what is wrong with a step; specs are by service name."""

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Make one call.

        Raises ``TimeoutError`` when ``timeout_s`` is over (a ``CallTimeoutError`` shows what was sent),
        ``UnknownAliasError``, ``UnreachableError`` and ``LoginRefusedError`` when the environment is wrong,
        ``StepError`` when the step cannot be carried out, ``ProtocolViolation`` when the peer breaks the protocol.
        """

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:
        """Hold a reply against the contract and the step's ``schema_refs``."""

    async def close(self) -> None:
        """Give back every connection."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to run a TestRun until ``until`` (database clock); ``fence`` makes a late writer fail."""

    run_id: str
    owner: str
    fence: int
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StepIntent:
    """The step that begins next: written in the same transaction as the outcome of the one before."""

    alias: str
    order_index: int
    attempt: int = 1
    started_at: datetime | None = None
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A TestRun as the store knows it, with its step results in order."""

    run: TestRun
    steps: tuple[StepResult, ...] = ()
    intents: tuple[StepIntent, ...] = ()
    fence: int = 0
    owner: str | None = None


class RunStore(Protocol):
    """Where runs live. Every call belongs to the tenant that the store was opened for.

    All writes of a run name its lease and raise ``LeaseLostError`` when the fence has moved on.
    """

    keeps_runs: ClassVar[bool]
    """Whether runs can be looked at when the process has ended."""

    async def open(self) -> None:
        """Connect and bring the schema up to date. Raises ``StoreUnavailableError``, ``SchemaVersionError``."""

    async def close(self) -> None:
        """Write what is pending and disconnect."""

    async def begin_suite_run(self, suite_run: SuiteRun) -> SuiteRun:
        """Create the SuiteRun, or give the one of that key, ``IN_PROGRESS``."""

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> None:
        """Set the final state."""

    async def add_runs(self, runs: Sequence[TestRun]) -> None:
        """Create TestRuns in state ``PENDING``; those whose key the SuiteRun has already are left as they are."""

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run and set it ``IN_PROGRESS``; None if another worker holds it or it is final."""

    async def heartbeat(self, leases: Sequence[Lease], ttl_s: float) -> Sequence[Lease]:
        """Prolong leases; give those that are still held."""

    async def begin_step(self, lease: Lease, intent: StepIntent) -> None:
        """Record that the first step of a run begins."""

    async def record_step(
        self,
        lease: Lease,
        result: StepResult,
        following: StepIntent | None,
        exported: JsonObject,
    ) -> None:
        """Record, in one transaction, a step's outcome, the intent of the next and what it exported to the suite."""

    async def finish_run(
        self,
        lease: Lease,
        status: RunStatus,
        reason: str | None,
        skipped: Sequence[StepResult] = (),
    ) -> None:
        """Record the run's final state and its steps that were not reached, and give the lease back."""

    async def skip_run(self, run_id: str, status: RunStatus, reason: str) -> None:
        """Record that a run ends without having begun."""

    async def suite_context(self, suite_run_id: str) -> JsonObject:
        """Give what the scenarios of the SuiteRun exported so far."""

    async def history(self, limit: int = 20) -> Sequence[tuple[SuiteRun, Mapping[str, int]]]:
        """Give the latest SuiteRuns, newest first, each with the number of its TestRuns by state."""

    async def load(self, reference: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun, or one TestRun, by id, key or the beginning of either.

        Empty if there is none.
        """


class Listener(Protocol):
    """Hears what the engine does, in order, on the loop's thread; must not block and must not raise."""

    def on_event(self, event: Event) -> None:
        """Take one event."""
