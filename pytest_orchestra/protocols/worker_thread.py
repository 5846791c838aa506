"""Calls that block, made beside the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["run_in_thread"]

_T = TypeVar("_T")


async def run_in_thread(function: Callable[[], _T]) -> _T:
    """Call a function in a thread of its own and give what it returns or raises.

    A wait that is cancelled, or whose time is over, ends at once; nothing can stop the function, so that its thread
    goes on and what it gives is dropped. Unlike those of ``asyncio.to_thread``, such a thread never keeps the loop from
    closing, nor the process from ending.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_T] = loop.create_future()

    def deliver(result: _T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # there is one where there is no error
        else:
            outcome.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001  whatever it is, it belongs to who waits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed by now, and nobody waits
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=work, name="orchestra-call", daemon=True).start()
    return await outcome
