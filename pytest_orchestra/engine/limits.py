"""What bounds a session: how many calls a service gets at once, and when everything must have ended."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pytest_orchestra.errors import SuiteTimeoutError
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import Violation, ViolationType

__all__ = ["Deadline", "ServiceGates"]


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


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the time of a whole session is over: ``at`` is a moment of the loop's clock, ``limit_s`` how long it had."""

    at: float
    limit_s: float

    @classmethod
    def after(cls, limit_s: float) -> Deadline:
        """Give the one that is so many seconds away."""
        return cls(asyncio.get_running_loop().time() + limit_s, limit_s)

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return asyncio.get_running_loop().time() >= self.at

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
