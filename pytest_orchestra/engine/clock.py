"""Time, injected."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Tells the time; tests bring their own."""

    def now(self) -> datetime:
        """Give the present moment in UTC; never goes backwards."""


class SystemClock:
    """The machine's time at construction, carried on by its monotonic clock, so that durations are never wrong."""

    def __init__(self) -> None:
        self._wall = datetime.now(UTC)
        self._monotonic = time.monotonic()

    def now(self) -> datetime:
        """Give the present moment in UTC."""
        return self._wall + timedelta(seconds=time.monotonic() - self._monotonic)
