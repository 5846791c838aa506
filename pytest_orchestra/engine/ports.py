"""What the engine asks of the rooms above it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, Protocol, runtime_checkable

from pytest_orchestra.engine.events import Event
from pytest_orchestra.engine.settling import SettlingProfile
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import (
    Exchange,
    PollHistory,
    RunAttempt,
    RunStatus,
    StepAttempt,
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
    "MOST_CLAIMS",
    "MOST_MEASUREMENTS",
    "MOST_UNFINISHED",
    "WISH_S",
    "CallTimeoutError",
    "Lease",
    "Listener",
    "ListeningProtocol",
    "LockHolder",
    "Presence",
    "ProtocolPlugin",
    "ProtocolViolation",
    "RepeatingProtocol",
    "Reply",
    "RunState",
    "RunStore",
    "SignOfLife",
    "StepCall",
    "StepIntent",
    "StoredRun",
    "Unfinished",
]


@dataclass(frozen=True, slots=True)
class StepCall:
    """One call for a protocol to make; everything is rendered, nothing is a template any more.

    ``input`` is the rendered ``inputTemplate`` (for HTTP with the step's ``headers`` merged in and the correlation
    header and ``traceparent`` set), ``headers`` the rendered ``headers`` alone, ``parameters`` the rendered SQL
    parameters with ``correlationId`` among them, ``message`` the rendered ``key`` and ``value`` of a message,
    ``address`` where it goes or comes from: those of ``clusterAlias``, ``topic``, ``brokerAlias``, ``queueName``,
    ``exchange`` and ``routingKey`` that the step has. ``secrets`` are the environment's secrets by reference.
    ``timeout_s`` bounds this one call. ``idempotency_key`` is the same whenever the same attempt of the same step of
    the same run is sent again; empty for assertions, which only look. ``correlation_header`` and ``trace_parent`` (W3C
    Trace Context, section 3.2) are what every action takes with it. ``run_id`` tells the runs apart, ``attempt`` the
    attempts of one.
    """

    step: StepDefinition
    alias: str
    correlation_id: str
    input: JsonObject
    parameters: JsonObject
    environment: Environment
    secrets: Mapping[str, Secret]
    timeout_s: float
    idempotency_key: str = ""
    run_id: str = ""
    attempt: int = 1
    correlation_header: str = "X-Correlation-ID"
    trace_parent: str = ""
    headers: JsonObject = field(default_factory=dict)
    address: JsonObject = field(default_factory=dict)
    message: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    ``response`` is what rules and templates see: for HTTP ``status``, ``headers`` (lower-case names), ``cookies``,
    ``body`` (parsed JSON, else text) and ``elapsedMs``; for a database ``rows`` (list of objects), ``row`` (the first
    or null), ``value`` (its first column or null) and ``count``; for messages ``messages`` (each with ``key``,
    ``value``, ``headers`` and what its broker tells of it), ``message`` (the first or null) and ``count``.
    ``status_code`` is that of HTTP, ``status_name`` that of gRPC; without either nothing is expected of it.
    ``exchange`` describes the call for people; values of secrets are masked by the engine, headers that carry
    credentials by the protocol.
    """

    response: JsonObject
    exchange: Exchange
    status_code: int | None = None
    status_name: str | None = None


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
    channel_type: ClassVar[str]
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


@runtime_checkable
class RepeatingProtocol(Protocol):
    """What a protocol may implement beside :class:`ProtocolPlugin`, for runs that are resumed."""

    def may_repeat(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> bool:
        """Say whether an action may be sent again, with its ``idempotency_key``, when nobody knows if it arrived."""


@runtime_checkable
class ListeningProtocol(Protocol):
    """What a protocol implements besides if it must listen before anything happens, or is told of news."""

    default_until: ClassVar[str]
    """What an assertion waits for that has neither ``until`` nor rules: ``count > 0``."""

    async def prepare(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        """Be ready for the steps of a run, before the first of them: what comes from now on must not be missed.

        ``calls`` are all steps of this channel in the run; of each only what does not depend on replies is rendered:
        ``address``, and no ``input``, ``headers``, ``message``, ``parameters``. ``since`` is when the run first began,
        if an earlier worker began it: what came since then is wanted as well. Raises what ``execute`` raises; the run
        ends with it.
        """

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Return as soon as another look may see more than the last one, after ``longest_s`` at the latest."""

    async def release(self, run_id: str) -> None:
        """Forget what was kept for a run that has ended. Called once for every ``prepare``."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to run a TestRun until ``until`` (database clock); ``fence`` makes a late writer fail."""

    run_id: str
    owner: str
    fence: int
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StepIntent:
    """The step that begins next: written in the same transaction as the outcome of the one before.

    ``attempt`` counts from 1, ``earlier`` are those that failed; ``keyed_as`` is the attempt whose idempotency key is
    sent: an older one where that may have taken effect. ``seen`` is what an assertion has seen so far, where known.
    """

    alias: str
    order_index: int
    attempt: int = 1
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    keyed_as: int = 1
    earlier: tuple[StepAttempt, ...] = ()
    seen: PollHistory | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A TestRun as the store knows it, with its step results in order.

    ``intents`` are the steps that have begun and not ended; ``data`` is what it began with, None where that may not be
    kept. ``is_leased`` says whether ``owner`` still holds it, by the store's clock; ``ended_by`` is who ended it.
    ``attempts`` are those that failed before the one that is told here.
    """

    run: TestRun
    steps: tuple[StepResult, ...] = ()
    intents: tuple[StepIntent, ...] = ()
    fence: int = 0
    owner: str | None = None
    is_leased: bool = False
    data: JsonObject | None = None
    ended_by: str | None = None
    attempts: tuple[RunAttempt, ...] = ()


@dataclass(frozen=True, slots=True)
class RunState:
    """Who has a TestRun, and whether it has ended: what one asks of the runs of others."""

    run_id: str
    status: RunStatus
    owner: str | None = None
    is_leased: bool = False


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What a worker of a SuiteRun has shown of itself, and whether that still counts, by the store's clock."""

    owner: str
    until: datetime
    is_alive: bool


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A SuiteRun that did not come to its end.

    ``superseded_by`` is the key of the newest SuiteRun after it that did, with all scenarios of it that were asked for
    in the same version and for the same environment; None if there is none. ``environments`` are those of these.
    """

    suite_run: SuiteRun
    superseded_by: str | None = None
    environments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The run that has a lock, by key, and the worker that has the run."""

    run_key: str
    owner: str


MOST_CLAIMS: Final = 5
"""How many workers may die of a run before nobody takes it any more."""


WISH_S: Final = 3.0
"""How long a SuiteRun that found no place under a quota counts as waiting for one, unless it asks again."""


MOST_UNFINISHED: Final = 20
"""How many SuiteRuns without an end are looked at to find the one to resume."""


MOST_MEASUREMENTS: Final = 1_000
"""Over how many settling times of an effect its profile goes: what was long ago says little."""


class RunStore(Protocol):
    """Where runs live. Every call belongs to the tenant that the store was opened for.

    All writes of a run name its lease and raise ``LeaseLostError`` when the fence has moved on. Those that are asked
    for while others of the same run are under way take effect behind them, in the order in which they were asked for.
    """

    keeps_runs: ClassVar[bool]
    """Whether runs can be looked at when the process has ended."""

    async def open(self) -> None:
        """Connect and bring the schema up to date. Raises ``StoreUnavailableError``, ``SchemaVersionError``."""

    async def close(self) -> None:
        """Write what is pending and disconnect."""

    async def begin_suite_run(self, suite_run: SuiteRun) -> SuiteRun:
        """Create the SuiteRun, or give the one of that key, ``IN_PROGRESS``; the latest call says its priority."""

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> SuiteRunStatus | None:
        """Set the final state, unless another session holds runs of it; ``FAILED`` if another's runs have.

        Gives the state that it has then; None if there is none of that id.
        """

    async def reap_runs(self, after_s: float, suite_run_id: str | None = None) -> Sequence[str]:
        """Set runs ``FAILED_STUCK`` whose lease ended that many seconds ago; give their keys.

        So are those that :data:`MOST_CLAIMS` workers took and none ended, of that SuiteRun only if one is given.
        """

    async def adopt_run(self, run_id: str, ended_by: str | None, owner: str) -> bool:
        """Take over the report of a run from the worker that ended it; False if another has done so meanwhile."""

    async def set_quota(self, max_parallel_runs: int | None) -> None:
        """Set how many runs of the tenant go on at once, in all sessions; None for any number."""

    async def quota(self) -> int | None:
        """Give how many runs of the tenant may go on at once; None for any number."""

    async def add_runs(self, runs: Sequence[TestRun]) -> None:
        """Create TestRuns in state ``PENDING``; those whose key the SuiteRun has already are left as they are."""

    async def supersede_runs(self, runs: Sequence[TestRun]) -> None:
        """Let TestRuns of the same keys and other ids give up their keys; they are ``CANCELLED`` if not final."""

    async def find_unfinished(self, versions: Mapping[str, str]) -> Sequence[Unfinished]:
        """Find the newest SuiteRuns without an end that have any of these scenarios, version by run key.

        Newest first, :data:`MOST_UNFINISHED` of them.
        """

    async def list_runs(self, suite_run_id: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun without their steps."""

    async def read_runs(self, run_ids: Sequence[str]) -> Sequence[StoredRun]:
        """Give TestRuns by id with their steps; those that there are not are left out."""

    async def read_states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        """Give the states of TestRuns by id; those that there are not are left out."""

    async def reopen_runs(self, suite_run_id: str) -> None:
        """Make the ``CANCELLED`` TestRuns of a SuiteRun ``PENDING`` again."""

    async def release_leases(self, owners: Sequence[str]) -> None:
        """End the leases of workers that are known to be dead."""

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run and set it ``IN_PROGRESS``; None if another worker holds it or it is final.

        None as well if the tenant's quota has no place for it, or a SuiteRun of higher priority waits for one. Who
        found no place waits for :data:`WISH_S`, and as long as it asks again.
        """

    async def sign_in(self, suite_run_id: str, owner: str, ttl_s: float) -> None:
        """Show that a worker of a SuiteRun is alive for so long; asked again, from now on."""

    async def sign_out(self, suite_run_id: str, owner: str) -> None:
        """Let a worker leave a SuiteRun, having reported all runs that it ended."""

    async def read_signs(self, suite_run_id: str) -> Sequence[SignOfLife]:
        """Give the workers that have not left a SuiteRun, in the order in which they came."""

    async def take_lock(self, lease: Lease, name: str) -> LockHolder | None:
        """Take a lock for a run, in all SuiteRuns of the tenant; give who has it, None if it is the run's by now.

        A lock lasts no longer than the lease under which it was taken. Who takes the lock of a run whose lease has
        ended moves that run's fence on, so that a worker that comes back to life cannot go on without it.
        """

    async def free_locks(self, lease: Lease) -> None:
        """Forget the locks of a run that has ended, which nobody needs to do: they ended with its lease."""

    async def heartbeat(self, leases: Sequence[Lease], ttl_s: float) -> Sequence[Lease]:
        """Prolong leases; give those that are still held."""

    def begin_step(self, lease: Lease, intent: StepIntent, data: JsonObject | None = None) -> Awaitable[None]:
        """Record that a step begins; with the first one, what data the run begins with."""

    def record_step(
        self,
        lease: Lease,
        result: StepResult,
        following: StepIntent | None,
        exported: JsonObject,
    ) -> Awaitable[None]:
        """Record, in one transaction, a step's outcome, the intent of the next and what it exported to the suite."""

    def finish_run(
        self,
        lease: Lease,
        status: RunStatus,
        reason: str | None,
        results: Sequence[StepResult] = (),
    ) -> Awaitable[None]:
        """Record the run's final state, and with it its last step and those not reached, and give the lease back.

        Of a run that is ``CANCELLED`` the intents are kept.
        """

    async def restart_run(self, lease: Lease, failed: RunAttempt, correlation_id: str) -> None:
        """Record, in one transaction, that an attempt of the run failed and that the next one begins, without steps."""

    async def skip_run(self, run_id: str, status: RunStatus, reason: str) -> None:
        """Record that a run ends without having begun."""

    async def suite_context(self, suite_run_id: str) -> JsonObject:
        """Give what the scenarios of the SuiteRun exported so far."""

    async def history(self, limit: int = 20) -> Sequence[tuple[SuiteRun, Mapping[str, int]]]:
        """Give the latest SuiteRuns, newest first, each with the number of its TestRuns by state."""

    async def settling(
        self, environment: str | None = None, process_id: str | None = None, *, without: str | None = None
    ) -> Sequence[SettlingProfile]:
        """Give how long effects took to settle, of that environment and process if given, without that SuiteRun.

        Of each effect the latest :data:`MOST_MEASUREMENTS` count that passed.
        """

    async def load(self, reference: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun, or one TestRun, by id, key or the beginning of either.

        Empty if there is none.
        """


class Presence(Protocol):
    """Knows which workers of this machine are dead, sooner than their leases tell."""

    def is_gone(self, owner: str) -> bool:
        """Say whether that worker is known to have ended; False where nothing is known of it."""


class Listener(Protocol):
    """Hears what the engine does, in order, on the loop's thread; must not block and must not raise."""

    def on_event(self, event: Event) -> None:
        """Take one event."""
