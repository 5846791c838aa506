"""What one run has written: in order, and waited for where it matters that the store has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_orchestra.engine.ports import Lease, StepIntent
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.errors import LeaseLostError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunAttempt, RunStatus, StepResult

__all__ = ["RunLog"]


@dataclass
class RunLog:
    """The writes of a run under its lease, each behind those before it.

    They go on beside the run, which may meanwhile do what can be done twice, as a wait can that only looks. Before
    anything else it has to :meth:`settle`.
    """

    store: StoreGuard
    lease: Lease
    _under_way: int = 0
    _settled: asyncio.Future[None] | None = None
    _last: StepResult | None = None
    _refused: BaseException | None = None

    def begin(self, intent: StepIntent, data: JsonObject | None = None) -> None:
        """Write that a step begins; with the first one, what data the run begins with."""
        self._write(self.store.begin_step(self.lease, intent, data))

    def record(self, result: StepResult, following: StepIntent | None = None) -> None:
        """Write a step's outcome with what it exported, and that another begins."""
        self._write(self.store.record_step(self.lease, result, following, result.exported))

    def record_last(self, result: StepResult) -> None:
        """Write the outcome of the step behind which nothing comes but :meth:`finish`, together with that."""
        self._last = result

    async def restart(self, failed: RunAttempt, correlation_id: str) -> None:
        """Write that an attempt of the run failed and the next one begins. Raises ``StoreError``."""
        await self.settle()
        await self.store.restart_run(self.lease, failed, correlation_id)

    async def finish(self, status: RunStatus, reason: str | None, skipped: Sequence[StepResult] = ()) -> None:
        """Write how the run ended, and the steps that were not reached. Raises ``StoreError``."""
        await self._wait()  # if it is cancelled meanwhile, it ends otherwise, and still with its last outcome
        self.raise_refusal()
        last, self._last = self._last, None
        await self.store.finish_run(self.lease, status, reason, skipped if last is None else (last, *skipped))

    async def settle(self) -> None:
        """Wait until the store has all that was written. Raises ``StoreError`` if it refused any of it."""
        last, self._last = self._last, None
        if last is not None:
            self.record(last)
        await self._wait()
        self.raise_refusal()

    def raise_refusal(self) -> None:
        """Raise the ``StoreError`` of a write that was refused, if one was."""
        if self._refused is not None:
            raise self._refused.with_traceback(None)

    async def overlook_refusals(self) -> None:
        """Let a run that ends by a refusal write that it does; one that is another worker's by now cannot."""
        await self._wait()  # what comes behind a refused write may be refused as well
        if not isinstance(self._refused, LeaseLostError):
            self._refused = None

    async def _wait(self) -> None:
        while self._under_way:
            if self._settled is None:
                self._settled = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._settled)

    def _write(self, write: asyncio.Future[None]) -> None:
        self._under_way += 1
        write.add_done_callback(self._has_ended)

    def _has_ended(self, write: asyncio.Future[None]) -> None:
        self._under_way -= 1
        if not write.cancelled() and (error := write.exception()) is not None:
            self._refused = self._refused or error
        if not self._under_way and self._settled is not None:
            self._settled.set_result(None)
            self._settled = None
