"""Waiting for an effect: one vocabulary and one implementation for every channel."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pytest_orchestra.engine.clock import Clock
from pytest_orchestra.model.definition import Bindings, StepDefinition
from pytest_orchestra.model.json import JsonValue

__all__ = ["Look", "Pace", "WaitPolicy", "wait_for"]

_LONGEST_RESPECT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long to wait and how often to look. Seconds.

    ``stable_s`` is how long what is awaited must go on to hold; ``timeout_s`` is all the time there is, that included.
    """

    timeout_s: float
    interval_s: float
    factor: float = 1.0
    longest_interval_s: float = 5.0
    stable_s: float = 0.0

    @classmethod
    def of(cls, step: StepDefinition, bindings: Bindings) -> WaitPolicy:
        """Take what the step says, else what its sidecar says."""
        timeout = step.timeout_ms if step.timeout_ms is not None else bindings.timeout_ms
        interval = step.poll_interval_ms if step.poll_interval_ms is not None else bindings.poll_interval_ms
        stable_s = (step.stable_for_ms or 0) / 1000
        timeout_s = timeout / 1000 + stable_s
        if step.backoff is None:
            return cls(timeout_s, interval / 1000, stable_s=stable_s)
        return cls(timeout_s, interval / 1000, step.backoff.factor, step.backoff.max_interval_ms / 1000, stable_s)

    def pause(self, polls: int) -> float:
        """Give the pause after that many polls (at least 1), in seconds."""
        if self.factor == 1.0:
            return self.interval_s
        # beyond this exponent the ceiling holds for any factor and the power would overflow
        grown = self.interval_s * self.factor ** min(polls - 1, 100)
        return min(grown, max(self.longest_interval_s, self.interval_s))


@dataclass(frozen=True, slots=True)
class Look:
    """What one poll found: whether the waiting is over, and the value that people want to see."""

    is_final: bool
    observed: JsonValue = None


class Pace:
    """How long the pauses between looks really are.

    None is shorter than the look before it took, up to five seconds: who is slow, as many wait for it say, is asked
    less often. And each is up to a tenth longer or shorter, so that those who began together do not ask together; the
    same for the same ``seed``. Without one, pauses are as exact as the policy has them.
    """

    def __init__(self, policy: WaitPolicy, seed: str = "") -> None:
        self._policy = policy
        self._chance = random.Random(seed) if seed else None  # noqa: S311  it hides nothing

    def pause(self, polls: int, look_s: float) -> float:
        """Give the pause after that many polls, of which the last took ``look_s``; in seconds."""
        wanted = max(self._policy.pause(polls), min(look_s, _LONGEST_RESPECT_S))
        return wanted if self._chance is None else wanted * self._chance.uniform(0.9, 1.1)


async def wait_for(
    look: Callable[[float], Awaitable[Look]],
    policy: WaitPolicy,
    deadline: datetime,
    clock: Clock,
    seed: str = "",
    *,
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[Look, int]:
    """Look again and again until a look is final or the deadline has passed; give the last look and their number.

    ``look`` gets the seconds that are left (never less than one interval, so that the last look has a chance).
    There is no pause after a final look, and the last look falls on the deadline. Pauses are those of :class:`Pace`;
    ``rest`` spends them, and may return sooner where there is news.
    """
    pace, polls = Pace(policy, seed), 0

    def left() -> float:
        return (deadline - clock.now()).total_seconds()

    while True:
        polls += 1
        began = time.monotonic()
        found = await look(max(left(), policy.interval_s))
        if found.is_final or left() <= 0:
            return found, polls
        await rest(max(0.0, min(pace.pause(polls, time.monotonic() - began), left())))
