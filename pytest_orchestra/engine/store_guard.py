"""The store as a session sees it: once lost, it stays lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pytest_orchestra.engine.ports import Lease, RunStore, StepIntent
from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunStatus, StepResult, SuiteRun, SuiteRunStatus, TestRun

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

    async def begin_suite_run(self, suite_run: SuiteRun) -> SuiteRun:
        """Create or join the SuiteRun."""
        return await self._ask(lambda: self._store.begin_suite_run(suite_run))

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> None:
        """Set the SuiteRun's final state."""
        await self._ask(lambda: self._store.end_suite_run(suite_run_id, status))

    async def add_runs(self, runs: Sequence[TestRun]) -> None:
        """Create TestRuns."""
        await self._ask(lambda: self._store.add_runs(runs))

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run, if it is free."""
        return await self._ask(lambda: self._store.claim(run_id, owner, ttl_s))

    async def heartbeat(self, leases: Sequence[Lease], ttl_s: float) -> Sequence[Lease]:
        """Prolong leases."""
        return await self._ask(lambda: self._store.heartbeat(leases, ttl_s))

    async def begin_step(self, lease: Lease, intent: StepIntent) -> None:
        """Record that a step begins."""
        await self._ask(lambda: self._store.begin_step(lease, intent))

    async def record_step(
        self, lease: Lease, result: StepResult, following: StepIntent | None, exported: JsonObject
    ) -> None:
        """Record a step's outcome."""
        await self._ask(lambda: self._store.record_step(lease, result, following, exported))

    async def finish_run(
        self, lease: Lease, status: RunStatus, reason: str | None, skipped: Sequence[StepResult] = ()
    ) -> None:
        """Record a run's final state."""
        await self._ask(lambda: self._store.finish_run(lease, status, reason, skipped))

    async def skip_run(self, run_id: str, status: RunStatus, reason: str) -> None:
        """Record that a run ends without having begun."""
        await self._ask(lambda: self._store.skip_run(run_id, status, reason))
