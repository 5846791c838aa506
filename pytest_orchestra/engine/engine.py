"""The engine: starts every run that its prerequisites and the limit allow, and hands back what has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

from pytest_orchestra.engine.carrier import RunCarrier
from pytest_orchestra.engine.clock import Clock, SystemClock
from pytest_orchestra.engine.company import Company
from pytest_orchestra.engine.elsewhere import NEVER_S, Elsewhere, stop
from pytest_orchestra.engine.events import Event, LockAwaited, RunQueued, SuiteFinished, SuiteStarted
from pytest_orchestra.engine.leases import LeaseKeeper
from pytest_orchestra.engine.limits import Deadline
from pytest_orchestra.engine.locks import LockQueue
from pytest_orchestra.engine.outcomes import OutcomeWriter
from pytest_orchestra.engine.owed_reports import OwedReport, OwedReports, Told, lateness
from pytest_orchestra.engine.ports import Listener, Presence, ProtocolPlugin, RunStore, StoredRun
from pytest_orchestra.engine.request import RunOutcome, RunRequest, SuiteSetting
from pytest_orchestra.engine.results import fault_of
from pytest_orchestra.engine.resumption import has_changed, other_version, resumption_note
from pytest_orchestra.engine.scheduling import RunGraph
from pytest_orchestra.engine.settling import SettleBudget
from pytest_orchestra.engine.stepping import Stepper
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.errors import StoreError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import CoverageReached, RunStatus, StepStatus, SuiteRun, SuiteRunStatus

__all__ = ["LEASE_S", "Engine", "RunOutcome", "RunRequest", "SuiteSetting"]

LEASE_S = 30.0
"""How long a lease lasts that nobody prolongs, unless the user says otherwise."""


class Engine:
    """Runs scenarios concurrently on the event loop that calls it; nothing happens while the loop stands still.

    The caller alternates between :meth:`wait_completed` and taking outcomes from :attr:`completed`. With ``resumes``,
    the engine goes on with a SuiteRun that an earlier session left: what had ended is told again from the store.
    """

    def __init__(
        self,
        *,
        store: RunStore,
        protocols: Mapping[str, ProtocolPlugin],
        listeners: Sequence[Listener] = (),
        owner: str,
        concurrency: int,
        clock: Clock | None = None,
        lease_s: float = LEASE_S,
        presence: Presence | None = None,
        resumes: bool = False,
        budget: SettleBudget | None = None,
        timeout_s: float | None = None,
        stepper: Stepper | None = None,
    ) -> None:
        self.completed: deque[RunOutcome] = deque()
        self.listener_failures: list[str] = []
        self.notes: list[str] = [] if budget is None else [str(budget)]
        self.came_after_failures = False
        self._store = StoreGuard(store)
        self._listeners = list(listeners)
        self._concurrency = concurrency
        self._clock = clock or SystemClock()
        self._resumes = resumes
        self._timeout_s = timeout_s
        self._graph = RunGraph()
        self._requests: dict[str, RunRequest] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._known: dict[str, StoredRun] = {}
        self._alive: frozenset[str] = frozenset()
        self._outcomes = OutcomeWriter(self._clock, self._store.keeps_runs)
        self._leases = LeaseKeeper(self._store, owner, lease_s)
        self._elsewhere = Elsewhere(
            self._store, presence, on_ended=self._on_ended, on_free=self._on_free, on_error=self._on_lost
        )
        self._carrier = RunCarrier(
            store=self._store,
            protocols=protocols,
            leases=self._leases,
            outcomes=self._outcomes,
            clock=self._clock,
            emit=self._emit,
            release_dead=self._elsewhere.release_dead,
            budget=budget,
            stepper=stepper,
        )
        self._company = Company(self._store, owner, lease_s, presence)
        self._owed = OwedReports(
            self._company, is_idle=lambda: not self._is_busy, adopt=self._adopt, on_certain=self._on_certain
        )
        self._untold: set[str] = set()
        self._handing_over = 0
        self._locks = LockQueue()
        self._freed = asyncio.Event()
        self._wake = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._suite_run: SuiteRun | None = None

    @property
    def suite_run(self) -> SuiteRun:
        """The SuiteRun that is going on."""
        assert self._suite_run is not None, "start() comes first"
        return self._suite_run

    @property
    def suite_context(self) -> dict[str, JsonValue]:
        """What the runs have exported so far."""
        return self._carrier.suite_context

    @property
    def has_work(self) -> bool:
        """Whether runs are going on, here or elsewhere, or could start, or others may still have to be reported."""
        return self._is_busy or bool(self._owed or self._handing_over)

    @property
    def _is_busy(self) -> bool:
        return bool(self._tasks or self._graph.ready_count or self._elsewhere)

    async def start(self, suite_run: SuiteRun) -> None:
        """Begin a SuiteRun, or join the one of that key. Raises ``StoreError``."""
        self._suite_run = await self._store.begin_suite_run(suite_run)
        self.suite_context.update(self._suite_run.context)
        await self._company.join(self._suite_run.id)
        if self._suite_run.id != suite_run.id:
            await self._look_back(self._suite_run.id)
        elif self._resumes:
            self.notes.append(f"there is nothing to resume; suite run '{self._suite_run.key}' begins")
        self._background = [
            asyncio.create_task(self._leases.keep(), name="orchestra heartbeat"),
            asyncio.create_task(self._elsewhere.keep_looking(), name="orchestra watch"),
            asyncio.create_task(self._company.keep_showing(), name="orchestra sign of life"),
            asyncio.create_task(self._owed.keep_looking(), name="orchestra reports of others"),
        ]
        if self._timeout_s is not None:
            self._carrier.deadline = deadline = Deadline.after(self._timeout_s)
            self._background.append(asyncio.create_task(self._forgo(deadline), name="orchestra deadline"))
        self._emit(SuiteStarted(at=self._clock.now(), suite_run=self._suite_run))

    async def _look_back(self, suite_run_id: str) -> None:
        """Learn what other workers have done of the SuiteRun, and free what the dead ones hold."""
        if self._resumes:
            await self._store.reopen_runs(suite_run_id)
        stored = await self._store.list_runs(suite_run_id)
        await self._elsewhere.release_dead({each.owner for each in stored if each.is_leased and each.owner})
        await self._store.reap_runs(NEVER_S, suite_run_id)
        stored = await self._store.list_runs(suite_run_id)
        await self._company.look()
        leasing = {each.owner for each in stored if each.is_leased and each.owner}
        self._alive = self._company.living | leasing
        self._known = {each.run.key: each for each in stored}
        if self._resumes:
            self.notes.append(resumption_note(self.suite_run, stored))

    async def submit(self, requests: Sequence[RunRequest]) -> None:
        """Take runs on; those that may start do so as soon as the limit allows.

        Where the store does not take them, each ends as an error at once. Raises ``DependencyCycleError``.
        """
        try:
            await self._company.show()
            admitted, told = await self._admit(requests)
        except StoreError as error:
            admitted, told = [], [Told(self._outcomes.ended_by(request, error)) for request in requests]
        self._untold.update(request.run.key for request in requests)
        for request in requests:
            self._carrier.exports.expect(request)
        for each in told:
            self._carrier.exports.end(each.key, each.status, each.steps)
            self._graph.end(each.key, each.status)
        self._requests.update({request.run.key: request for request in admitted})
        if told and not admitted and all(each.owed for each in told) and self._alive <= {self._leases.owner}:
            self.notes.append(lateness(self.suite_run.key, told))
            self.came_after_failures = any(not each.status.is_harmless for each in told)
        hopeless = self._graph.add({request.run.key: request.prerequisites for request in admitted})
        for request in admitted:
            self._queue(request)
        for each in told:
            if each.owed is None:
                self._complete(each.outcome)
            else:
                self._owed.add(each.owed)
        for unmet in hopeless:
            await self._skip(unmet.run_key, RunStatus.SKIPPED, unmet.reason)
        await self._leave_if_done()
        self._start_ready()

    async def _admit(self, requests: Sequence[RunRequest]) -> tuple[list[RunRequest], list[Told]]:
        """Make runs known to the store; give those that are to be carried out, and what there is to tell of others."""
        requests = await self._begin_anew(requests)
        changed = [each for each in requests if (old := self._known.get(each.run.key)) and has_changed(each, old)]
        if changed and self._resumes:
            await self._store.supersede_runs([request.run for request in changed])
            for request in changed:
                del self._known[request.run.key]
                self.notes.append(f"'{request.run.key}' has changed since; it is run anew")
            changed = []
        key = self.suite_run.key
        told = [Told(self._outcomes.ended_by(each, other_version(key, each.run.key))) for each in changed]
        rest = [self._as_known(request) for request in requests if request not in changed]
        await self._store.add_runs([request.run for request in rest if request.run.key not in self._known])
        ended = [request.run.id for request in rest if self._has_ended(request)]
        stored = {each.run.id: each for each in await self._store.read_runs(ended)} if ended else {}
        told += [await self._tell(request, stored[request.run.id]) for request in rest if request.run.id in stored]
        return [request for request in rest if request.run.id not in stored], told

    async def _begin_anew(self, requests: Sequence[RunRequest]) -> Sequence[RunRequest]:
        """Give other ids to cancelled runs behind which a session has cleaned up: there is nothing to go on with."""
        asked: dict[str, RunRequest] = {}
        for request in requests:
            known = self._known.get(request.run.key)
            if not self._resumes or not request.scenario.clean_up or known is None:
                continue
            if known.run.status is RunStatus.PENDING:
                asked[known.run.id] = request
        stored = await self._store.read_runs(list(asked)) if asked else ()
        cleaned = [each.run for each in stored if not each.is_leased and _is_cleaned_up(each)]
        renewed: dict[str, RunRequest] = {}
        for run in cleaned:
            request, new_id = asked[run.id], str(uuid5(NAMESPACE_URL, f"orchestra:{run.id}/anew"))
            correlation_id = str(uuid5(NAMESPACE_URL, f"orchestra:{new_id}/correlation"))
            renewed[run.key] = replace(request, run=replace(request.run, id=new_id, correlation_id=correlation_id))
            del self._known[run.key]
            self.notes.append(f"'{run.key}' had been cancelled and cleaned up; it is run anew")
        if renewed:
            await self._store.supersede_runs([request.run for request in renewed.values()])
        return [renewed.get(request.run.key, request) for request in requests]

    def _has_ended(self, request: RunRequest) -> bool:
        known = self._known.get(request.run.key)
        return known is not None and known.run.status.is_final

    def _as_known(self, request: RunRequest) -> RunRequest:
        """Give the request under the id that the store has for its key."""
        known = self._known.get(request.run.key)
        if known is None or known.run.id == request.run.id:
            return request
        return replace(request, run=replace(request.run, id=known.run.id))

    async def _tell(self, request: RunRequest, stored: StoredRun) -> Told:
        """Give what there is to tell of a run that has ended elsewhere.

        Who ended it reports it. Whose report is lost, because he died or his session was resumed, another adopts, once.
        """
        if await self._is_adopted(request, stored):
            return Told(self._outcomes.retold(request, stored))
        reason = f"run by '{stored.ended_by}', which reports it: {stored.run.status}"
        finished = self._outcomes.finished(request, RunStatus.SKIPPED, (), reason=reason)
        outcome = RunOutcome(finished)
        return Told(outcome, stored.run.status, OwedReport(request, stored, outcome))

    async def _is_adopted(self, request: RunRequest, stored: StoredRun) -> bool:
        by, ours = stored.ended_by, self._leases.owner
        if by is None or by == ours:
            return True
        is_left = self._resumes and self._has_ended(request) and by not in self._alive
        return (is_left or self._company.is_gone(by)) and await self._adopt(stored)

    async def _adopt(self, stored: StoredRun) -> bool:
        return await self._store.adopt_run(stored.run.id, stored.ended_by, self._leases.owner)

    def _queue(self, request: RunRequest) -> None:
        now = self._clock.now()
        self._outcomes.queued_at[request.run.key] = now
        self._emit(RunQueued(at=now, run=request.run))

    async def run_alone(self, request: RunRequest) -> RunOutcome:
        """Carry out one run now, beside those that are going on; its outcome is given, not put into ``completed``."""
        self._untold.add(request.run.key)
        try:
            await self._company.show()
            admitted, told = await self._admit([request])
            if told:
                end = told[0]
            else:
                self._queue(admitted[0])
                end = await asyncio.create_task(self._carry_out_locked(admitted[0]), name=request.run.key)
        except StoreError as error:
            end = Told(self._outcomes.ended_by(request, error))
        await self._settle(end)
        self._untold.discard(request.run.key)
        await self._leave_if_done()
        return end.outcome

    async def _carry_out_locked(self, request: RunRequest) -> Told:
        try:
            while not self._has_locks(request):
                await self._freed.wait()
            return await self._carry_out_here(request)
        finally:
            self._leave_locks(request.run.key)

    def _has_locks(self, request: RunRequest) -> bool:
        """Give a run its locks, as far as this session goes, or tell that it waits for them."""
        key = request.run.key
        obstacle = self._locks.enter(key, request.locks)
        if obstacle is None:
            self._outcomes.has_locks(key)
        elif self._outcomes.waits_for_lock(key):
            lock, holder = obstacle
            self._emit(LockAwaited(at=self._clock.now(), run=request.run, lock=lock, holder=holder))
        return obstacle is None

    def _leave_locks(self, key: str) -> None:
        for freed in reversed(self._locks.leave(key)):
            if freed in self._requests:
                self._graph.retry(freed)
        self._freed.set()
        self._freed.clear()

    async def _carry_out_here(self, request: RunRequest) -> Told:
        """Carry out a run, or wait until whoever has it has ended it."""
        while (outcome := await self._carrier.carry_out(request)) is None:
            stored = await self._elsewhere.follow(request, self._carrier.deadline)
            if stored is not None:
                return await self._tell(request, stored)
        return Told(outcome)

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

    async def close(self, status: SuiteRunStatus, coverage: tuple[CoverageReached, ...] = ()) -> None:
        """Cancel what is going on, skip what has not begun, and end the SuiteRun. Raises ``StoreError``.

        A SuiteRun with which other sessions go on does not end, and one of which a run of theirs failed has not passed.
        ``coverage`` is told with its end.
        """
        for request in self._elsewhere.withdraw_all():
            reason = "the session ended before another worker had carried it out"
            self._complete(self._outcomes.skipped(request, RunStatus.CANCELLED, reason))
        for report in self._owed.withdraw_all():
            self._complete(report.outcome)
        withdrawn = self._withdraw()
        is_shared = bool(withdrawn) and await self._elsewhere.has_company(self.suite_run.id, self._leases.owner)
        for key in withdrawn:
            await self._skip(key, RunStatus.CANCELLED, "the session ended before it began", is_for_all=not is_shared)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # which, unlike gather, a second Ctrl-C ends at once
        for background in self._background:
            await stop(background)
        if self._suite_run is None:
            return
        status = await self._store.end_suite_run(self._suite_run.id, status) or status
        await self._company.leave()
        now = self._clock.now()
        self._suite_run = replace(self._suite_run, status=status, finished_at=now, context=dict(self.suite_context))
        self._emit(SuiteFinished(at=now, suite_run=self._suite_run, coverage=coverage))

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

    def _start_ready(self) -> None:
        while len(self._tasks) < self._concurrency and (key := self._graph.next_ready()) is not None:
            request = self._requests[key]
            if not self._has_locks(request):
                continue  # whoever frees them makes it ready again
            self._graph.started(key)
            task = self._tasks[key] = asyncio.create_task(self._run(request), name=key)
            task.add_done_callback(_raise_unexpected)

    async def _run(self, request: RunRequest) -> None:
        key = request.run.key
        try:
            outcome = await self._carrier.carry_out(request)
            if outcome is None:
                self._elsewhere.watch(request)
            else:
                await self._end(Told(outcome))
        finally:
            self._tasks.pop(key, None)
            self._leave_locks(key)
            self._start_ready()
            self._wake.set()

    async def _forgo(self, deadline: Deadline) -> None:
        """When the session's time is over, wait no longer for runs that other sessions have; ours end by themselves."""
        await deadline.passed()
        for request in self._elsewhere.withdraw_all():
            await self._end(Told(self._outcomes.ended_by(request, deadline.error())))
        for report in self._owed.withdraw_all():
            await self._on_certain(report, is_adopted=False)

    async def _on_ended(self, request: RunRequest, stored: StoredRun) -> None:
        told = await self._tell(request, stored)
        if told.owed is None:
            await self._end(told)
        else:
            await self._settle(told, is_told=False)
            self._owed.add(told.owed)
        self._start_ready()

    async def _on_certain(self, report: OwedReport, is_adopted: bool) -> None:
        """Tell of a run that another worker ended: how it ended if that worker is dead, else who tells of it."""
        outcome = self._outcomes.retold(report.request, report.stored) if is_adopted else report.outcome
        self._emit(outcome.finished)
        await self._hand_over(outcome)

    async def _on_lost(self, request: RunRequest, error: StoreError) -> None:
        await self._end(Told(self._outcomes.ended_by(request, error)))
        self._start_ready()

    def _on_free(self, request: RunRequest) -> None:
        self._graph.retry(request.run.key)
        self._start_ready()

    async def _end(self, told: Told) -> None:
        await self._settle(told)
        await self._hand_over(told.outcome)

    async def _hand_over(self, outcome: RunOutcome) -> None:
        self._handing_over += 1
        self._untold.discard(outcome.finished.run.key)
        try:
            await self._leave_if_done()
        finally:
            self._handing_over -= 1
            self.completed.append(outcome)
            self._wake.set()

    async def _leave_if_done(self) -> None:
        """Let nobody wait for this worker that has nothing more to do: from here on its loop may stand still."""
        if not self._untold:
            with contextlib.suppress(StoreError):
                await self._company.leave()

    async def _settle(self, told: Told, *, is_told: bool = True) -> None:
        """Tell everyone of an ended run and skip what can no longer start."""
        self._requests.pop(told.key, None)
        self._carrier.exports.end(told.key, told.status, told.steps)
        if is_told:
            self._emit(told.outcome.finished)
        for unmet in self._graph.end(told.key, told.status):
            await self._skip(unmet.run_key, RunStatus.SKIPPED, unmet.reason)
        if told.outcome.aborts_suite is not None:
            for key in self._withdraw():
                await self._skip(key, RunStatus.SKIPPED, told.outcome.aborts_suite)

    def _withdraw(self) -> list[str]:
        """Take back every run that has not begun, also those that wait for locks."""
        keys = self._graph.withdraw_all()
        self._locks.forget(keys)
        return keys

    async def _skip(self, key: str, status: RunStatus, reason: str, *, is_for_all: bool = True) -> None:
        request = self._requests.pop(key)
        self._carrier.exports.end(key, status)
        fault = None
        try:
            if is_for_all:
                await self._store.skip_run(request.run.id, status, reason)
        except StoreError as error:
            status, fault = RunStatus.ERROR, fault_of(error)
        self._complete(self._outcomes.skipped(request, status, reason, fault=fault))

    def _complete(self, outcome: RunOutcome) -> None:
        self._untold.discard(outcome.finished.run.key)
        self._emit(outcome.finished)
        self.completed.append(outcome)
        self._wake.set()


def _is_cleaned_up(stored: StoredRun) -> bool:
    return any(step.clean_up and step.status is not StepStatus.SKIPPED for step in stored.steps)


def _raise_unexpected(task: asyncio.Task[None]) -> None:
    """Have the loop log what should not be; a Ctrl-C has been raised by asyncio already."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, KeyboardInterrupt):
        raise error
