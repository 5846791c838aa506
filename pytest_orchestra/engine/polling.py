"""What a wait has seen so far: kept in the store as it goes on, so that a later session knows of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pytest_orchestra.engine.ports import StepIntent
from pytest_orchestra.engine.results import blank_result
from pytest_orchestra.errors import StoreError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import Exchange, Observation, PollHistory, StepResult, StepStatus, Violation
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["History", "PollWatch", "cut_short"]

_KEPT_OBSERVATIONS: Final = 50
_SOONEST_S: Final = 1.0
_LATEST_S: Final = 10.0


class History:
    """The values that polls saw, equal neighbours merged; of very many, the first and the last are kept.

    It goes on with what an ``earlier`` worker saw of the same wait. ``polls`` counts all looks, also those that saw
    nothing.
    """

    def __init__(self, earlier: PollHistory | None = None) -> None:
        self.polls = 0 if earlier is None else earlier.polls
        self.began = None if earlier is None else earlier.first_at
        self._seen: list[Observation] = [] if earlier is None else list(earlier.observations)

    def add(self, value: JsonValue, at: datetime) -> None:
        """Note what a poll saw."""
        self.began = self.began or at
        # the clocks of two machines differ, and no poll comes before the one before it
        moment = max((at - self.began) / timedelta(milliseconds=1), self._seen[-1].last_ms if self._seen else 0.0)
        if self._seen and self._seen[-1].value == value:
            last = self._seen[-1]
            self._seen[-1] = Observation(value, last.first_ms, moment, last.count + 1)
            return
        self._seen.append(Observation(value, moment, moment))
        if len(self._seen) > _KEPT_OBSERVATIONS:
            del self._seen[_KEPT_OBSERVATIONS // 2]

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What was seen, oldest first."""
        return tuple(self._seen)


class PollWatch:
    """One wait as its run sees it: its ``history``, and the ``exchange`` of its last look.

    ``keep`` writes the history where another worker finds it, beside the polls, which wait for nothing: first after a
    second, then whenever the wait has become twice as long, or ten seconds longer. ``goes_on`` is asked at each look,
    and raises where nobody needs the wait any more.
    """

    def __init__(
        self,
        keep: Callable[[PollHistory], Awaitable[None]] | None = None,
        earlier: PollHistory | None = None,
        *,
        goes_on: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.history = History(earlier)
        self.exchange: Exchange | None = None
        self._keep = keep
        self._goes_on = goes_on
        self._clock = clock
        self._began = clock()
        self._due = self._began + _SOONEST_S
        self._writing: asyncio.Task[None] | None = None

    def looked(self) -> None:
        """Have the history kept, if it is time."""
        self._goes_on()
        now = self._clock()
        if self._keep is None or now < self._due or self._writing is not None:
            return
        self._due = now + min(max(now - self._began, _SOONEST_S), _LATEST_S)
        self._writing = asyncio.create_task(self.keep_now(), name="orchestra poll history")
        self._writing.add_done_callback(self._has_written)

    async def keep_now(self) -> None:
        """Have the history kept, however long ago that was done. The next write of the run says if it could not be."""
        began = self.history.began
        if self._keep is not None and began is not None:
            with contextlib.suppress(StoreError):
                await self._keep(PollHistory(began, self.history.polls, self.history.observations))

    async def settle(self) -> None:
        """Wait for a write that is under way: behind the end of its step, it would begin that step anew."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def _has_written(self, task: asyncio.Task[None]) -> None:
        self._writing = None
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def cut_short(
    step: ScenarioStep, violation: Violation, intent: StepIntent | None, now: datetime, watch: PollWatch
) -> StepResult:
    """Give the result of a step that did not end in time, with what it had seen until then; it may not have begun."""
    began = now if intent is None or intent.started_at is None else min(now, intent.started_at)
    return replace(
        blank_result(step, StepStatus.FAILED),
        violations=(violation,),
        started_at=began,
        finished_at=now,
        duration_ms=(now - began) / timedelta(milliseconds=1),
        polls=watch.history.polls,
        observations=watch.history.observations,
        exchange=watch.exchange,
    )
