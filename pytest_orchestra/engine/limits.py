"""What bounds a session: how many calls a service gets at once, and when everything must have ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from pytest_orchestra.errors import SuiteTimeoutError
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import Violation, ViolationType

__all__ = ["Deadline", "ServiceGates", "TimeLimit"]


class ServiceGates:
    """Lets no more calls through to a service at once than its ``maxConcurrency``, from all runs of this process.

    A service is known by its address: two aliases of one share its limit.
    """

    def __init__(self) -> None:
        self._gates: dict[tuple[str, int], asyncio.Semaphore] = {}

    def of(self, step: StepDefinition, environment: Environment) -> AbstractAsyncContextManager[object]:
        """Give what a call of the step has to be made in."""
        profile = environment.services.get(step.endpoint_ref.service_name) if step.endpoint_ref else None
        if profile is None or profile.max_concurrency is None:
            return contextlib.nullcontext()
        key = (profile.base_url, profile.max_concurrency)
        return self._gates.setdefault(key, asyncio.Semaphore(profile.max_concurrency))


@dataclass(slots=True)
class Deadline:
    """When the time of a whole session is over: ``at`` is a moment of the loop's clock, ``limit_s`` how long it had.

    It moves on while :meth:`standing_still`.
    """

    at: float
    limit_s: float
    _is_still: bool = False
    _goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._goes_on.set()

    @classmethod
    def after(cls, limit_s: float) -> Deadline:
        """Give the one that is so many seconds away."""
        return cls(asyncio.get_running_loop().time() + limit_s, limit_s)

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return not self._is_still and asyncio.get_running_loop().time() >= self.at

    async def passed(self) -> None:
        """Wait until it has passed."""
        while not self.is_over:
            await self._goes_on.wait()
            await asyncio.sleep(max(0.0, self.at - asyncio.get_running_loop().time()))

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let no time pass meanwhile."""
        clock = asyncio.get_running_loop().time
        began, self._is_still = clock(), True
        self._goes_on.clear()
        try:
            yield
        finally:
            self.at += clock() - began
            self._is_still = False
            self._goes_on.set()

    def violation(self) -> Violation:
        """Give what is wrong with a run that was under way then."""
        limit_ms = round(self.limit_s * 1000)
        return Violation(
            ViolationType.TIMEOUT,
            "suite-timeout",
            f"the scenarios of the session did not end within {limit_ms} ms",
            {"timeoutMs": limit_ms},
        )

    def error(self) -> SuiteTimeoutError:
        """Give why a run did not even begin."""
        return SuiteTimeoutError(
            f"the session's time, {self.limit_s:g} s, was over before the scenario began",
            hint="raise --orchestra-timeout or --orchestra-concurrency, or run fewer scenarios",
        )

    def error_at_lock(self, lock: str, holder: str) -> SuiteTimeoutError:
        """Give why a run did not begin that waited for a lock, which the run ``holder`` has."""
        return SuiteTimeoutError(
            f"the session's time, {self.limit_s:g} s, was over while the scenario waited for lock '{lock}', "
            f"which '{holder}' has",
            hint="raise --orchestra-timeout, or see why the other session needs so long",
        )


@dataclass(slots=True)
class TimeLimit:
    """When a run must have ended: at a moment of the loop's clock of its own, and at the session's deadline."""

    at: float | None = None
    deadline: Deadline | None = None
    _running: asyncio.Timeout | None = None

    @classmethod
    def after(cls, limit_s: float | None, deadline: Deadline | None = None) -> TimeLimit:
        """Give the one that is so many seconds away, and no later than the deadline."""
        at = None if limit_s is None else asyncio.get_running_loop().time() + limit_s
        if deadline is not None:
            at = deadline.at if at is None else min(at, deadline.at)
        return cls(at, deadline)

    @asynccontextmanager
    async def applied(self) -> AsyncIterator[asyncio.Timeout]:
        """Raise ``TimeoutError`` when it is over."""
        async with asyncio.timeout_at(self.at) as running:
            self._running = running
            try:
                yield running
            finally:
                self._running = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let no time pass meanwhile, neither for the run nor for the session."""
        clock = asyncio.get_running_loop().time
        began = clock()
        running = None if self._running is None or self._running.expired() else self._running
        if running is not None:
            running.reschedule(None)
        try:
            with contextlib.nullcontext() if self.deadline is None else self.deadline.standing_still():
                yield
        finally:
            if self.at is not None:
                self.at += clock() - began
                if running is not None:
                    running.reschedule(self.at)
