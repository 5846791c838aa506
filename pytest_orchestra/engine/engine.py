"""The engine: starts every run that its prerequisites and the limit allow, and hands back what has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.clock import Clock, SystemClock
from pytest_orchestra.engine.context import ExecutionContext, current_run
from pytest_orchestra.engine.events import (
    Event,
    RunFinished,
    RunQueued,
    RunStarted,
    SuiteFinished,
    SuiteStarted,
)
from pytest_orchestra.engine.execution import Execution, Verdict
from pytest_orchestra.engine.ports import Lease, Listener, ProtocolPlugin, RunStore
from pytest_orchestra.engine.scheduling import Prerequisite, RunGraph
from pytest_orchestra.engine.steps import StepPerformer, blank_result, fault_of
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.errors import LeaseLostError, OrchestraError, StoreError
from pytest_orchestra.model.definition import Bindings, ChannelType
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import (
    RunFault,
    RunStatus,
    StepResult,
    StepStatus,
    SuiteRun,
    SuiteRunStatus,
    TestRun,
    Violation,
    ViolationType,
)
from pytest_orchestra.model.scenario import TestScenario
from pytest_orchestra.model.specification import ProtocolSpec

__all__ = ["Engine", "RunOutcome", "RunRequest", "SuiteSetting"]

LEASE_TTL_S: Final = 30.0


@dataclass(frozen=True, eq=False)
class SuiteSetting:
    """What the runs of one process file share; compared by identity."""

    bindings: Bindings
    specs: Mapping[str, ProtocolSpec]


@dataclass(frozen=True, eq=False, slots=True)
class RunRequest:
    """A TestRun to be carried out, with all it needs. ``timeout_s`` bounds the whole run."""

    run: TestRun
    scenario: TestScenario
    setting: SuiteSetting
    environment: ResolvedEnvironment
    data: JsonObject
    fixtures: Mapping[str, object] = field(default_factory=dict)
    prerequisites: tuple[Prerequisite, ...] = ()
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended, and the exception, if something ended it that is neither a violation nor an error of ours."""

    finished: RunFinished
    exception: BaseException | None = None


class Engine:
    """Runs scenarios concurrently on the event loop that calls it; nothing happens while the loop stands still.

    The caller alternates between :meth:`wait_completed` and taking outcomes from :attr:`completed`.
    """

    def __init__(
        self,
        *,
        store: RunStore,
        protocols: Mapping[ChannelType, ProtocolPlugin],
        listeners: Sequence[Listener] = (),
        owner: str,
        concurrency: int,
        clock: Clock | None = None,
    ) -> None:
        self.completed: deque[RunOutcome] = deque()
        self._store = StoreGuard(store)
        self._protocols = protocols
        self._listeners = list(listeners)
        self.listener_failures: list[str] = []
        self._owner = owner
        self._concurrency = concurrency
        self._clock = clock or SystemClock()
        self._graph = RunGraph()
        self._requests: dict[str, RunRequest] = {}
        self._queued_at: dict[str, datetime] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leases: dict[str, Lease] = {}
        self._performers: dict[tuple[int, int], tuple[SuiteSetting, ResolvedEnvironment, StepPerformer]] = {}
        self._wake = asyncio.Event()
        self._heartbeat: asyncio.Task[None] | None = None
        self._suite_run: SuiteRun | None = None
        self.suite_context: dict[str, JsonValue] = {}

    @property
    def suite_run(self) -> SuiteRun:
        """The SuiteRun that is going on."""
        assert self._suite_run is not None, "start() comes first"
        return self._suite_run

    @property
    def has_work(self) -> bool:
        """Whether runs are going on or could start."""
        return bool(self._tasks or self._graph.ready_count)

    async def start(self, suite_run: SuiteRun) -> None:
        """Begin a SuiteRun, or join the one of that key. Raises ``StoreError``."""
        self._suite_run = await self._store.begin_suite_run(suite_run)
        self.suite_context.update(self._suite_run.context)
        self._heartbeat = asyncio.create_task(self._keep_leases(), name="orchestra heartbeat")
        self._emit(SuiteStarted(at=self._clock.now(), suite_run=self._suite_run))

    async def submit(self, requests: Sequence[RunRequest]) -> None:
        """Take runs on; those that may start do so as soon as the limit allows.

        Where the store does not take them, each ends as an error at once. Raises ``DependencyCycleError``.
        """
        self._requests.update({request.run.key: request for request in requests})
        hopeless = self._graph.add({request.run.key: request.prerequisites for request in requests})
        try:
            await self._store.add_runs([request.run for request in requests])
        except StoreError as error:
            self._refuse(requests, error)
            return
        now = self._clock.now()
        for request in requests:
            self._queued_at[request.run.key] = now
            self._emit(RunQueued(at=now, run=request.run))
        for unmet in hopeless:
            await self._skip(unmet.run_key, RunStatus.SKIPPED, unmet.reason)
        self._start_ready()

    async def run_alone(self, request: RunRequest) -> RunOutcome:
        """Carry out one run now, beside those that are going on; its outcome is given, not put into ``completed``."""
        self._requests[request.run.key] = request
        self._queued_at[request.run.key] = self._clock.now()
        try:
            await self._store.add_runs([request.run])
            self._emit(RunQueued(at=self._clock.now(), run=request.run))
            outcome = await asyncio.create_task(self._carry_out(request), name=request.run.key)
        except StoreError as error:
            outcome = self._ended_by(request, error, None)
        await self._settle(outcome)
        return outcome

    async def wait_completed(self, timeout_s: float) -> None:
        """Let runs go on until at least one has ended, nothing is left to do, or the time is over."""
        if self.completed or not self.has_work:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()

    async def breathe(self) -> None:
        """Let every task that can go on do so once, without waiting for anything."""
        for _ in range(3):  # a reply, the write of its result and the next call are a turn of the loop each
            await asyncio.sleep(0)

    async def close(self, status: SuiteRunStatus) -> None:
        """Cancel what is going on, skip what has not begun, and end the SuiteRun. Raises ``StoreError``."""
        for key in self._graph.withdraw_all():
            await self._skip(key, RunStatus.CANCELLED, "the session ended before it began")
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # which, unlike gather, a second Ctrl-C ends at once
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.gather(self._heartbeat, return_exceptions=True)
        if self._suite_run is None:
            return
        await self._store.end_suite_run(self._suite_run.id, status)
        ended = replace(self._suite_run, status=status, finished_at=self._clock.now(), context=dict(self.suite_context))
        self._emit(SuiteFinished(at=self._clock.now(), suite_run=ended))

    def _emit(self, event: Event) -> None:
        """Tell every listener. One that raises hears no more; that is kept to be told, and changes no outcome."""
        for listener in tuple(self._listeners):
            try:
                listener.on_event(event)
            except Exception as error:  # noqa: BLE001  it is somebody else's code, and only listens
                self._listeners.remove(listener)
                self.listener_failures.append(
                    f"listener '{type(listener).__name__}' raised {type(error).__name__} at {type(event).__name__}"
                    f" and hears no more: {error}"
                )

    def _refuse(self, requests: Sequence[RunRequest], error: StoreError) -> None:
        for request in requests:
            self._requests.pop(request.run.key, None)
            self._graph.end(request.run.key, RunStatus.ERROR)
            outcome = self._ended_by(request, error, None)
            self._emit(outcome.finished)
            self.completed.append(outcome)
        self._wake.set()

    def _start_ready(self) -> None:
        while len(self._tasks) < self._concurrency and (key := self._graph.next_ready()) is not None:
            self._graph.started(key)
            request = self._requests[key]
            task = self._tasks[key] = asyncio.create_task(self._run(request), name=key)
            task.add_done_callback(_raise_unexpected)

    async def _run(self, request: RunRequest) -> None:
        key = request.run.key
        try:
            outcome = await self._carry_out(request)
            await self._settle(outcome)
            self.completed.append(outcome)
        finally:
            self._tasks.pop(key, None)
            self._start_ready()
            self._wake.set()

    async def _settle(self, outcome: RunOutcome) -> None:
        """Tell everyone of an ended run and skip what can no longer start."""
        run = outcome.finished.run
        self._requests.pop(run.key, None)
        self._emit(outcome.finished)
        for unmet in self._graph.end(run.key, outcome.finished.status):
            await self._skip(unmet.run_key, RunStatus.SKIPPED, unmet.reason)

    async def _skip(self, key: str, status: RunStatus, reason: str) -> None:
        request = self._requests.pop(key)
        fault = None
        try:
            await self._store.skip_run(request.run.id, status, reason)
        except StoreError as error:
            status, fault = RunStatus.ERROR, fault_of(error)
        steps = tuple(blank_result(step, StepStatus.SKIPPED, reason=reason) for step in request.scenario.steps)
        finished = self._finished(request, status, steps, fault=fault, reason=reason)
        self._emit(finished)
        self.completed.append(RunOutcome(finished))
        self._wake.set()

    async def _carry_out(self, request: RunRequest) -> RunOutcome:
        current_run.set(request.run.id)
        try:
            lease = await self._store.claim(request.run.id, self._owner, LEASE_TTL_S)
        except StoreError as error:
            return self._ended_by(request, error, None)
        if lease is None:
            reason = f"SuiteRun '{self.suite_run.key}' has carried it out already, or another worker holds it"
            return RunOutcome(self._finished(request, RunStatus.SKIPPED, (), reason=reason))
        self._leases[lease.run_id] = lease
        started = self._clock.now()
        request = replace(request, run=replace(request.run, started_at=started, status=RunStatus.IN_PROGRESS))
        self._emit(RunStarted(at=started, run=request.run))
        execution = self._execution(request, lease)
        try:
            verdict = await self._execute(request, lease, execution)
        except asyncio.CancelledError:
            await self._record_cancellation(lease, execution)
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  whatever a plugin raises becomes an error of this one item
            return await self._record_error(request, lease, execution, error)
        finally:
            self._leases.pop(lease.run_id, None)
        if verdict.aborts_suite is not None:
            for key in self._graph.withdraw_all():
                await self._skip(key, RunStatus.SKIPPED, verdict.aborts_suite)
        return RunOutcome(self._finished(request, verdict.status, verdict.steps, fault=verdict.fault))

    async def _execute(self, request: RunRequest, lease: Lease, execution: Execution) -> Verdict:
        try:
            async with asyncio.timeout(request.timeout_s) as limit:
                verdict = await execution.run()
        except TimeoutError:
            if not limit.expired():
                raise
            return await self._record_timeout(request, lease, execution)
        await self._store.finish_run(lease, verdict.status, None, _unreached(verdict.steps))
        return verdict

    def _execution(self, request: RunRequest, lease: Lease) -> Execution:
        context = ExecutionContext(
            run_id=request.run.id,
            run_key=request.run.key,
            correlation_id=request.run.correlation_id,
            data=request.data,
            suite=self.suite_context,
            environment={
                "name": request.environment.environment.name,
                **request.environment.environment.variables,
            },
            fixtures=request.fixtures,
        )
        return Execution(
            scenario=request.scenario,
            bindings=request.setting.bindings,
            context=context,
            performer=self._performer(request.setting, request.environment),
            store=self._store,
            lease=lease,
            suite_context=self.suite_context,
            clock=self._clock,
            emit=self._emit,
        )

    def _performer(self, setting: SuiteSetting, environment: ResolvedEnvironment) -> StepPerformer:
        """Give the performer of a setting and an environment, so that templates are compiled once for all runs."""
        key = (id(setting), id(environment))
        known = self._performers.get(key)
        if known is None:  # both are kept beside the performer, so that their ids stay their own
            performer = StepPerformer(
                protocols=self._protocols,
                specs=setting.specs,
                bindings=setting.bindings,
                environment=environment,
                clock=self._clock,
                emit=self._emit,
            )
            known = self._performers[key] = (setting, environment, performer)
        return known[2]

    async def _record_cancellation(self, lease: Lease, execution: Execution) -> None:
        with contextlib.suppress(StoreError):
            results = _unreached(execution.partial_results())
            await asyncio.shield(
                self._store.finish_run(lease, RunStatus.CANCELLED, "the session ended before it did", results)
            )

    async def _record_timeout(self, request: RunRequest, lease: Lease, execution: Execution) -> Verdict:
        """End a run whose own time limit is over: the step it was at fails with a violation."""
        limit_ms = round((request.timeout_s or 0) * 1000)
        results = list(execution.partial_results())
        current = next((i for i, result in enumerate(results) if result.status is StepStatus.SKIPPED), None)
        if current is not None:
            violation = Violation(
                ViolationType.TIMEOUT,
                "scenario-timeout",
                f"the scenario did not end within {limit_ms} ms",
                {"timeoutMs": limit_ms},
            )
            results[current] = replace(
                results[current],
                status=StepStatus.FAILED,
                reason=None,
                violations=(violation,),
                finished_at=self._clock.now(),
            )
            await self._store.record_step(lease, results[current], None, {})
        await self._store.finish_run(lease, RunStatus.FAILED, None, _unreached(results))
        return Verdict(RunStatus.FAILED, tuple(results))

    async def _record_error(
        self, request: RunRequest, lease: Lease, execution: Execution, error: BaseException
    ) -> RunOutcome:
        results = execution.partial_results()
        if not isinstance(error, LeaseLostError):
            with contextlib.suppress(StoreError):
                await self._store.finish_run(lease, RunStatus.ERROR, str(error), _unreached(results))
        return self._ended_by(request, error, results)

    def _ended_by(
        self, request: RunRequest, error: BaseException, results: tuple[StepResult, ...] | None
    ) -> RunOutcome:
        if results is None:
            results = tuple(
                blank_result(step, StepStatus.SKIPPED, reason="the run could not begin")
                for step in request.scenario.steps
            )
        if isinstance(error, OrchestraError):
            fault, exception = fault_of(error), None
        else:
            fault, exception = RunFault(type(error).__name__, str(error)), error
        return RunOutcome(self._finished(request, RunStatus.ERROR, results, fault=fault), exception)

    def _finished(
        self,
        request: RunRequest,
        status: RunStatus,
        steps: tuple[StepResult, ...],
        *,
        fault: RunFault | None = None,
        reason: str | None = None,
    ) -> RunFinished:
        now = self._clock.now()
        queued_at = self._queued_at.pop(request.run.key, now)
        began = request.run.started_at or now
        return RunFinished(
            at=now,
            run=replace(request.run, status=status, reason=reason, finished_at=now),
            status=status,
            steps=steps,
            fault=fault,
            reason=reason,
            queued_s=max(0.0, (began - queued_at).total_seconds()),
            is_kept=self._store.keeps_runs,
        )

    async def _keep_leases(self) -> None:
        """Prolong the leases of all running runs, three times in their lifetime; stop the runs that lost theirs."""
        while True:
            await asyncio.sleep(LEASE_TTL_S / 3)
            if not self._leases:
                continue
            asked = list(self._leases.values())
            with contextlib.suppress(StoreError):  # the next write of each run will say what is wrong
                held = {lease.run_id: lease for lease in await self._store.heartbeat(asked, LEASE_TTL_S)}
                self._leases.update({run_id: lease for run_id, lease in held.items() if run_id in self._leases})


def _raise_unexpected(task: asyncio.Task[None]) -> None:
    """Have the loop log what should not be; a Ctrl-C has been raised by asyncio already."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, KeyboardInterrupt):
        raise error


def _unreached(results: Sequence[StepResult]) -> tuple[StepResult, ...]:
    return tuple(result for result in results if result.status is StepStatus.SKIPPED)
