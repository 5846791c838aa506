"""The store as a session sees it: once lost, it stays lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pytest_orchestra.engine.ports import Lease, LockHolder, RunState, RunStore, SignOfLife, StepIntent, StoredRun
from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunAttempt, RunStatus, StepResult, SuiteRun, SuiteRunStatus, TestRun

__all__ = ["StoreGuard"]

_T = TypeVar("_T")


class StoreGuard:
    """Passes on what the engine asks of its store, until the store cannot be reached.

    A store has patience of its own before it says so. Were every call of every run to wait for that anew, a session
    would end hours later; instead each fails at once with what the first one met.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._lost: StoreUnavailableError | None = None
        self.keeps_runs = store.keeps_runs

    async def _ask(self, work: Callable[[], Awaitable[_T]]) -> _T:
        if self._lost is not None:
            raise self._lost.with_traceback(None)
        try:
            return await work()
        except StoreUnavailableError as error:
            self._lost = error
            raise

    def _begin(self, work: Callable[[], Awaitable[None]]) -> asyncio.Future[None]:
        """Have something written beside whatever the caller does next."""
        if self._lost is not None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_exception(self._lost.with_traceback(None))
            return future
        future = asyncio.ensure_future(work())
        future.add_done_callback(self._notice_loss)
        return future

    def _notice_loss(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled() and isinstance(error := future.exception(), StoreUnavailableError):
            self._lost = self._lost or error

    async def begin_suite_run(self, suite_run: SuiteRun) -> SuiteRun:
        """Create or join the SuiteRun."""
        return await self._ask(lambda: self._store.begin_suite_run(suite_run))

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> SuiteRunStatus | None:
        """Set the SuiteRun's final state."""
        return await self._ask(lambda: self._store.end_suite_run(suite_run_id, status))

    async def reap_runs(self, after_s: float, suite_run_id: str | None = None) -> Sequence[str]:
        """Give up runs with which nobody goes on."""
        return await self._ask(lambda: self._store.reap_runs(after_s, suite_run_id))

    async def adopt_run(self, run_id: str, ended_by: str | None, owner: str) -> bool:
        """Take over the report of a run."""
        return await self._ask(lambda: self._store.adopt_run(run_id, ended_by, owner))

    async def add_runs(self, runs: Sequence[TestRun]) -> None:
        """Create TestRuns."""
        await self._ask(lambda: self._store.add_runs(runs))

    async def supersede_runs(self, runs: Sequence[TestRun]) -> None:
        """Let runs of the same keys and other ids give up their keys."""
        await self._ask(lambda: self._store.supersede_runs(runs))

    async def list_runs(self, suite_run_id: str) -> Sequence[StoredRun]:
        """Give the runs of a SuiteRun without their steps."""
        return await self._ask(lambda: self._store.list_runs(suite_run_id))

    async def read_runs(self, run_ids: Sequence[str]) -> Sequence[StoredRun]:
        """Give runs by id with their steps."""
        return await self._ask(lambda: self._store.read_runs(run_ids))

    async def read_states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        """Give the states of runs by id."""
        return await self._ask(lambda: self._store.read_states(run_ids))

    async def reopen_runs(self, suite_run_id: str) -> None:
        """Let cancelled runs go on."""
        await self._ask(lambda: self._store.reopen_runs(suite_run_id))

    async def release_leases(self, owners: Sequence[str]) -> None:
        """End the leases of dead workers."""
        await self._ask(lambda: self._store.release_leases(owners))

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run, if it is free."""
        return await self._ask(lambda: self._store.claim(run_id, owner, ttl_s))

    async def sign_in(self, suite_run_id: str, owner: str, ttl_s: float) -> None:
        """Show that a worker is alive."""
        await self._ask(lambda: self._store.sign_in(suite_run_id, owner, ttl_s))

    async def sign_out(self, suite_run_id: str, owner: str) -> None:
        """Let a worker leave."""
        await self._ask(lambda: self._store.sign_out(suite_run_id, owner))

    async def read_signs(self, suite_run_id: str) -> Sequence[SignOfLife]:
        """Give the workers that have not left."""
        return await self._ask(lambda: self._store.read_signs(suite_run_id))

    async def take_lock(self, lease: Lease, name: str) -> LockHolder | None:
        """Take a lock for a run, if it is free."""
        return await self._ask(lambda: self._store.take_lock(lease, name))

    async def free_locks(self, lease: Lease) -> None:
        """Forget the locks of a run that has ended."""
        await self._ask(lambda: self._store.free_locks(lease))

    async def heartbeat(self, leases: Sequence[Lease], ttl_s: float) -> Sequence[Lease]:
        """Prolong leases."""
        return await self._ask(lambda: self._store.heartbeat(leases, ttl_s))

    def begin_step(self, lease: Lease, intent: StepIntent, data: JsonObject | None = None) -> asyncio.Future[None]:
        """Record that a step begins."""
        return self._begin(lambda: self._store.begin_step(lease, intent, data))

    def record_step(
        self, lease: Lease, result: StepResult, following: StepIntent | None, exported: JsonObject
    ) -> asyncio.Future[None]:
        """Record a step's outcome."""
        return self._begin(lambda: self._store.record_step(lease, result, following, exported))

    def finish_run(
        self, lease: Lease, status: RunStatus, reason: str | None, results: Sequence[StepResult] = ()
    ) -> asyncio.Future[None]:
        """Record a run's final state."""
        return self._begin(lambda: self._store.finish_run(lease, status, reason, results))

    async def restart_run(self, lease: Lease, failed: RunAttempt, correlation_id: str) -> None:
        """Record that an attempt of a run failed and the next one begins."""
        await self._ask(lambda: self._store.restart_run(lease, failed, correlation_id))

    async def skip_run(self, run_id: str, status: RunStatus, reason: str) -> None:
        """Record that a run ends without having begun."""
        await self._ask(lambda: self._store.skip_run(run_id, status, reason))
