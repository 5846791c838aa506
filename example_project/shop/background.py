"""Work that goes on after the reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

_log = logging.getLogger("shop.background")


class BackgroundJobs:
    """Jobs of one service; each keeps the correlation id of the request that started it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None], *, after_ms: int = 0) -> None:
        """Do this, now or a little later."""
        job = asyncio.create_task(_run(work, after_ms))
        self._running.add(job)
        job.add_done_callback(self._running.discard)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[BackgroundJobs]:
        """Give up on all jobs at the end."""
        try:
            yield self
        finally:
            for job in self._running:
                job.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)


async def _run(work: Coroutine[object, object, None], after_ms: int) -> None:
    try:
        await asyncio.sleep(after_ms / 1000)
        await work
    except Exception:  # noqa: BLE001 - whatever it was, the service goes on and the log tells
        _log.exception("a job failed")
    finally:
        work.close()
