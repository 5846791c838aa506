"""The event loop, pumped in the main thread: it runs only while somebody waits for something."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["LoopHost"]

_T = TypeVar("_T")


class LoopHost:
    """Owns one event loop. Between two calls of :meth:`run` its tasks stand still."""

    def __init__(self) -> None:
        # the factory keeps Runner away from the global loop and policy, which belong to the user and to pytest-asyncio
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run the loop until ``work`` is done and give what it gave. Ctrl-C cancels it and raises KeyboardInterrupt."""
        try:
            return self._runner.run(work)
        except KeyboardInterrupt:
            # raised inside a task, it leaves asyncio's own order to stop behind, which would end the next run at once
            loop = self._runner.get_loop()
            loop.call_soon(loop.stop)
            with contextlib.suppress(KeyboardInterrupt):
                loop.run_forever()
            raise

    def close(self) -> None:
        """Cancel every task and close the loop."""
        self._runner.close()
