"""Work with a time limit that is kept even if ending the work takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["TimedTasks"]

_T = TypeVar("_T")
_GRACE_S = 0.5


class TimedTasks(Generic[_T]):
    """Runs coroutines in tasks of their own: a driver may need seconds to end what a server does not answer."""

    def __init__(self) -> None:
        self._abandoned: set[asyncio.Task[_T]] = set()

    async def run(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        """Give the result. Raises ``TimeoutError`` as soon as the time is over; the work is cancelled meanwhile."""
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            self._abandon(task)
            raise TimeoutError
        return task.result()

    async def close(self) -> None:
        """Wait half a second for work that is being ended, then cancel it again: drivers then wait no longer."""
        if not self._abandoned:
            return
        _, pending = await asyncio.wait(tuple(self._abandoned), timeout=_GRACE_S)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _abandon(self, task: asyncio.Task[_T]) -> None:
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[_T]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else will ask for it
