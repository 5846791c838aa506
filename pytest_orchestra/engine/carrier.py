"""Carrying out one run that this worker has claimed, from its claim to its recorded end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.clock import Clock
from pytest_orchestra.engine.context import ExecutionContext, current_run
from pytest_orchestra.engine.events import Event, LockAwaited, RunRetried, RunStarted
from pytest_orchestra.engine.execution import Execution
from pytest_orchestra.engine.exports import ExportLedger
from pytest_orchestra.engine.leases import LeaseKeeper
from pytest_orchestra.engine.limits import Deadline, ServiceGates, TimeLimit
from pytest_orchestra.engine.outcomes import OutcomeWriter, unreached
from pytest_orchestra.engine.ports import Lease, ProtocolPlugin
from pytest_orchestra.engine.request import RunOutcome, RunRequest, SuiteSetting
from pytest_orchestra.engine.resumption import Resumption, take_up
from pytest_orchestra.engine.run_log import RunLog
from pytest_orchestra.engine.settling import SettleBudget
from pytest_orchestra.engine.stepping import Stepper, Stepping
from pytest_orchestra.engine.steps import StepPerformer
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.engine.verdict import Verdict
from pytest_orchestra.errors import LeaseLostError, StoreError, SuiteTimeoutError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import RunAttempt, RunStatus, StepResult, Violation, ViolationType

__all__ = ["RunCarrier"]

_LOOK_S: Final = 0.1


class RunCarrier:
    """Carries out runs for one worker. ``suite_context`` is what they share, ``exports`` who writes it.

    ``deadline`` is when all of them must have ended.
    """

    def __init__(
        self,
        *,
        store: StoreGuard,
        protocols: Mapping[str, ProtocolPlugin],
        leases: LeaseKeeper,
        outcomes: OutcomeWriter,
        clock: Clock,
        emit: Callable[[Event], None],
        release_dead: Callable[[set[str]], Awaitable[None]],
        budget: SettleBudget | None = None,
        stepper: Stepper | None = None,
    ) -> None:
        self._release_dead = release_dead
        self.suite_context: dict[str, JsonValue] = {}
        self.exports = ExportLedger()
        self._store = store
        self._protocols = protocols
        self._leases = leases
        self._outcomes = outcomes
        self._clock = clock
        self._emit = emit
        self._budget = budget
        self._stepper = stepper
        self._gates = ServiceGates()
        self.deadline: Deadline | None = None
        self._performers: dict[tuple[int, int], tuple[SuiteSetting, ResolvedEnvironment, StepPerformer]] = {}

    async def carry_out(self, request: RunRequest) -> RunOutcome | None:
        """Claim a run and carry it out, from where an earlier worker left it; None if another worker has it, or got it.

        Errors of the store end the run; nothing of ours is raised.
        """
        current_run.set(request.run.id)
        if self.deadline is not None and self.deadline.is_over:
            return self._outcomes.ended_by(request, self.deadline.error())
        lease: Lease | None = None
        try:
            lease = await self._leases.claim(request.run.id)
            if lease is None:
                return None
            request, earlier, failed = await self._take_up(request, lease)
            if request.locks and not await self._take_locks(request, lease):
                return None
        except (asyncio.CancelledError, StoreError, SuiteTimeoutError) as stop:
            if lease is not None:
                self._leases.drop(lease)
            if isinstance(stop, asyncio.CancelledError):
                if lease is not None and self._is_lost(lease):
                    return None
                raise
            return self._outcomes.ended_by(request, stop)
        started = request.run.started_at or self._clock.now()
        request = replace(request, run=replace(request.run, started_at=started, status=RunStatus.IN_PROGRESS))
        self._emit(RunStarted(at=self._clock.now(), run=request.run, kept_steps=len(earlier.results)))
        try:
            return await self._attempt(request, lease, earlier, failed)
        except asyncio.CancelledError:
            if self._is_lost(lease):  # between two attempts, or while an error was written
                return None
            raise
        finally:
            self._leases.drop(lease)
            if request.locks:
                with contextlib.suppress(StoreError):
                    await self._store.free_locks(lease)

    async def _take_locks(self, request: RunRequest, lease: Lease) -> bool:
        """Take a run's locks from the runs of other sessions, in an order that is the same everywhere.

        Gives whether the run is still this worker's. Raises ``StoreError`` and ``SuiteTimeoutError``.
        """
        try:
            for name in sorted(request.locks):
                while (holder := await self._store.take_lock(lease, name)) is not None:
                    if self._outcomes.waits_for_lock(request.run.key):
                        self._emit(LockAwaited(at=self._clock.now(), run=request.run, lock=name, holder=holder.run_key))
                    if self.deadline is not None and self.deadline.is_over:
                        raise self.deadline.error_at_lock(name, holder.run_key)
                    await self._release_dead({holder.owner})
                    await asyncio.sleep(_LOOK_S)
        except (asyncio.CancelledError, StoreError, SuiteTimeoutError) as stop:
            self._leases.drop(lease)
            if isinstance(stop, LeaseLostError) or (isinstance(stop, asyncio.CancelledError) and self._is_lost(lease)):
                return False
            with contextlib.suppress(StoreError):
                reason = "the session ended before it did"
                await asyncio.shield(self._store.finish_run(lease, RunStatus.CANCELLED, reason))
            raise
        self._outcomes.has_locks(request.run.key)
        return True

    async def _attempt(
        self, request: RunRequest, lease: Lease, earlier: Resumption, failed: tuple[RunAttempt, ...]
    ) -> RunOutcome | None:
        """Carry a run out as often as it may be retried, all attempts under one lease and within one time limit."""
        limit = TimeLimit.after(request.timeout_s, self.deadline)
        while True:
            try:
                earlier = await self._with_reused(request, lease, earlier)
            except LeaseLostError:
                return None
            except StoreError as error:
                return self._outcomes.ended_by(request, error)
            execution = self._execution(request, lease, earlier, limit)
            outcome = await self._carry_on(request, lease, execution, failed)
            if not isinstance(outcome, RunAttempt):
                return outcome
            run = replace(
                request.run, attempt=outcome.number + 1, correlation_id=_next_correlation_id(request, outcome)
            )
            try:
                await execution.log.restart(outcome, run.correlation_id)
            except LeaseLostError:
                return None
            except StoreError as error:
                return await self._record_error(request, execution, error)
            request, earlier, failed = replace(request, run=run), Resumption(), (*failed, outcome)
            self._emit(RunRetried(at=self._clock.now(), run=run, failed=outcome))

    async def _carry_on(
        self,
        request: RunRequest,
        lease: Lease,
        execution: Execution,
        failed: tuple[RunAttempt, ...],
    ) -> RunOutcome | RunAttempt | None:
        """Carry out one attempt; give it as such if another is to follow."""
        try:
            verdict = await self._execute(request, execution)
        except asyncio.CancelledError:
            if self._is_lost(lease):
                return None
            await self._record_cancellation(execution)
            raise
        except LeaseLostError:
            return None
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  whatever a plugin raises becomes an error of this one item
            return await self._record_error(request, execution, error)
        finally:
            with contextlib.suppress(Exception):  # a protocol that cannot forget a run has nothing to tell it any more
                await execution.close()
        if isinstance(verdict, RunAttempt):
            return verdict
        finished = self._outcomes.finished(
            request, verdict.status, verdict.steps, fault=verdict.fault, reason=verdict.reason, attempts=failed
        )
        return RunOutcome(finished, aborts_suite=verdict.aborts_suite)

    async def _take_up(
        self, request: RunRequest, lease: Lease
    ) -> tuple[RunRequest, Resumption, tuple[RunAttempt, ...]]:
        """Give the request and what is done of it already, if this is not the first claim of the run."""
        if lease.fence == 1:
            return request, Resumption(), ()
        [stored] = await self._store.read_runs([lease.run_id])
        return take_up(request, stored), Resumption.of(stored), stored.attempts

    async def _with_reused(self, request: RunRequest, lease: Lease, earlier: Resumption) -> Resumption:
        """Give what is done already, with the results of earlier runs, which are recorded as this run's own."""
        missing = [result for result in request.reused if result.alias not in earlier.results]
        if not missing:
            return earlier
        for result in missing:
            await self._store.record_step(lease, result, None, result.exported)
            self.suite_context.update(result.exported)
        return replace(earlier, results={**{result.alias: result for result in missing}, **earlier.results})

    def _is_lost(self, lease: Lease) -> bool:
        """Tell whether the task was cancelled only because another worker has taken the run over."""
        task = asyncio.current_task()
        if task is None or not self._leases.was_lost(lease) or task.cancelling() > 1:
            return False
        task.uncancel()
        return True

    async def _execute(self, request: RunRequest, execution: Execution) -> Verdict | RunAttempt:
        try:
            async with execution.limit.applied() as running:
                await execution.run()
        except TimeoutError:
            if not running.expired():
                raise
            return await self._record_timeout(request, execution)
        await execution.clean_up()
        verdict = execution.verdict()
        if _is_retried(request, verdict):
            return self._failed_attempt(request, verdict.steps)
        if verdict.status is RunStatus.PASSED and (request.is_rerun or request.run.attempt > 1):
            reason = "it failed before, and was run again" if request.is_rerun else None
            verdict = replace(verdict, status=RunStatus.FLAKY, reason=reason)
        await execution.log.finish(verdict.status, verdict.reason, unreached(verdict.steps))
        return verdict

    def _failed_attempt(self, request: RunRequest, steps: tuple[StepResult, ...]) -> RunAttempt:
        began = min((step.started_at for step in steps if step.started_at is not None), default=None)
        return RunAttempt(
            number=request.run.attempt,
            correlation_id=request.run.correlation_id,
            started_at=began or request.run.started_at,
            finished_at=self._clock.now(),
            steps=steps,
        )

    def _execution(self, request: RunRequest, lease: Lease, earlier: Resumption, limit: TimeLimit) -> Execution:
        context = ExecutionContext(
            run_id=request.run.id,
            run_key=request.run.key,
            correlation_id=request.run.correlation_id,
            data=request.data,
            suite=self.suite_context,
            closer=self.exports.given_to(request.run.key),
            environment={
                "name": request.environment.environment.name,
                **request.environment.environment.variables,
            },
            fixtures=request.fixtures,
            attempt=request.run.attempt,
            explain=lambda error, templates: self.exports.explain(
                error, templates, self.suite_context, request.run.key
            ),
        )
        performer = self._performer(request.setting, request.environment)
        return Execution(
            scenario=request.scenario,
            bindings=request.setting.bindings,
            context=context,
            performer=performer,
            log=RunLog(self._store, lease),
            suite_context=self.suite_context,
            clock=self._clock,
            emit=self._emit,
            earlier=earlier,
            reach=request.reach,
            limit=limit,
            stepping=None
            if self._stepper is None
            else Stepping(self._stepper, context, performer, limit, tuple(request.scenario.all_steps)),
            # how long somebody thinks is not how long an effect takes
            limits={}
            if self._budget is None or self._stepper is not None
            else self._budget.limits(request.run.process_id, request.run.environment),
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
                gates=self._gates,
            )
            known = self._performers[key] = (setting, environment, performer)
        return known[2]

    async def _record_cancellation(self, execution: Execution) -> None:
        execution.stepping = None  # whoever stepped has left
        with contextlib.suppress(StoreError):
            await asyncio.create_task(execution.log.overlook_refusals())
            await execution.keep_polls()
            # in a task of its own: this one is being cancelled, which libraries would take for their own affair
            await asyncio.create_task(execution.clean_up())
            results = unreached(execution.partial_results())
            await asyncio.shield(execution.log.finish(RunStatus.CANCELLED, "the session ended before it did", results))

    async def _record_timeout(self, request: RunRequest, execution: Execution) -> Verdict:
        """End a run whose own time limit is over: the step it was at fails with a violation."""
        if self.deadline is not None and self.deadline.is_over:
            violation = self.deadline.violation()
        else:
            violation = _scenario_timeout(request.timeout_s or 0)
        failed = execution.fail_current(violation)
        if failed is not None:
            execution.log.record(failed)
        await execution.clean_up()
        results = execution.partial_results()
        await execution.log.finish(RunStatus.FAILED, None, unreached(results))
        return Verdict(RunStatus.FAILED, results)

    async def _record_error(self, request: RunRequest, execution: Execution, error: BaseException) -> RunOutcome:
        execution.stepping = None  # which may have raised it
        await execution.log.overlook_refusals()
        with contextlib.suppress(StoreError):
            await execution.clean_up()
        results = execution.partial_results()
        with contextlib.suppress(StoreError):
            await execution.log.finish(RunStatus.ERROR, str(error), unreached(results))
        return self._outcomes.ended_by(request, error, results)


def _is_retried(request: RunRequest, verdict: Verdict) -> bool:
    """Tell whether a run that ended so is carried out again: after violations only, unless they end the whole suite."""
    if verdict.status is not RunStatus.FAILED or verdict.aborts_suite is not None:
        return False
    return request.run.attempt <= request.retries


def _next_correlation_id(request: RunRequest, failed: RunAttempt) -> str:
    """Give an id that no effect of an earlier attempt answers to; the same in whichever session."""
    return str(uuid5(NAMESPACE_URL, f"orchestra:{request.run.id}/attempt/{failed.number + 1}"))


def _scenario_timeout(limit_s: float) -> Violation:
    limit_ms = round(limit_s * 1000)
    return Violation(
        ViolationType.TIMEOUT,
        "scenario-timeout",
        f"the scenario did not end within {limit_ms} ms",
        {"timeoutMs": limit_ms},
    )
