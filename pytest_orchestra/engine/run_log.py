"""What one run has written: in order, and waited for where it matters that the store has it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

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
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _refused: BaseException | None = None

    def begin(self, intent: StepIntent, data: JsonObject | None = None) -> None:
        """Write that a step begins; with the first one, what data the run begins with."""
        self._write(self.store.begin_step(self.lease, intent, data))

    def record(self, result: StepResult, following: StepIntent | None = None) -> None:
        """Write a step's outcome with what it exported, and that another begins."""
        self._write(self.store.record_step(self.lease, result, following, result.exported))

    async def restart(self, failed: RunAttempt, correlation_id: str) -> None:
        """Write that an attempt of the run failed and the next one begins. Raises ``StoreError``."""
        await self.settle()
        await self.store.restart_run(self.lease, failed, correlation_id)

    async def finish(self, status: RunStatus, reason: str | None, skipped: Sequence[StepResult] = ()) -> None:
        """Write how the run ended, and the steps that were not reached. Raises ``StoreError``."""
        self._write(self.store.finish_run(self.lease, status, reason, skipped))
        await self.settle()

    async def settle(self) -> None:
        """Wait until the store has all that was written. Raises ``StoreError`` if it refused any of it."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        self.raise_refusal()

    def raise_refusal(self) -> None:
        """Raise the ``StoreError`` of a write that was refused, if one was."""
        if self._refused is not None:
            raise self._refused.with_traceback(None)

    def overlook_refusal(self) -> None:
        """Let a run that ends by a refusal write that it does; one that is another worker's by now cannot."""
        if not isinstance(self._refused, LeaseLostError):
            self._refused = None

    def _write(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)  # tasks begin in the order in which they are made
        self._under_way.add(task)
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._refused = self._refused or error
