"""Waiting: until, deadline, backoff, history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.engine.clock import SystemClock
from pytest_orchestra.engine.polling import History
from pytest_orchestra.engine.waiting import Look, WaitPolicy, wait_for
from pytest_orchestra.model.definition import Backoff, Bindings, EndpointRef, StepDefinition

START = datetime(2026, 1, 1, tzinfo=UTC)
ENDPOINT = EndpointRef(service_name="orders", endpoint_name="getOrder")


async def test_wait_for_first_look_final_makes_no_pause() -> None:
    """What holds at once costs one look and no waiting."""
    clock = SystemClock()
    began = clock.now()

    async def look(left_s: float) -> Look:
        return Look(is_final=True, observed="there")

    found, looks = await wait_for(look, WaitPolicy(60, 30), began + timedelta(seconds=60), clock)
    assert (found.observed, looks) == ("there", 1)
    assert clock.now() - began < timedelta(seconds=5)


async def test_wait_for_condition_that_comes_true_stops_there() -> None:
    """Polling ends with the first look that is final."""
    seen = iter([False, False, True, True])
    clock = SystemClock()

    async def look(left_s: float) -> Look:
        return Look(is_final=next(seen))

    found, looks = await wait_for(look, WaitPolicy(5, 0.001), clock.now() + timedelta(seconds=5), clock)
    assert found.is_final
    assert looks == 3


async def test_wait_for_deadline_gives_the_last_look() -> None:
    """After the deadline the last look is given, and it was taken at the deadline, not an interval before."""
    clock = SystemClock()
    deadline = clock.now() + timedelta(seconds=0.05)
    moments: list[datetime] = []

    async def look(left_s: float) -> Look:
        moments.append(clock.now())
        return Look(is_final=False, observed=len(moments))

    found, looks = await wait_for(look, WaitPolicy(0.05, 0.02), deadline, clock)
    assert not found.is_final
    assert found.observed == looks == len(moments)
    assert moments[-1] >= deadline


async def test_wait_for_error_in_a_look_is_raised_at_once() -> None:
    """An error of ours is not something to wait out."""
    clock = SystemClock()

    async def look(left_s: float) -> Look:
        raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        await wait_for(look, WaitPolicy(5, 0.01), clock.now() + timedelta(seconds=5), clock)


async def test_wait_for_cancellation_ends_it() -> None:
    """Cancelling a wait ends it in the middle of a pause."""
    clock = SystemClock()

    async def look(left_s: float) -> Look:
        return Look(is_final=False)

    waiting = asyncio.create_task(wait_for(look, WaitPolicy(60, 30), clock.now() + timedelta(seconds=60), clock))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_wait_policy_step_overrides_the_sidecar() -> None:
    """Times are the step's where it has them, else the sidecar's."""
    bindings = Bindings(timeout_ms=3000, poll_interval_ms=70)
    step = StepDefinition(endpoint_ref=ENDPOINT, timeout_ms=500)
    assert WaitPolicy.of(step, bindings) == WaitPolicy(0.5, 0.07)


@given(st.floats(1.0, 10.0), st.integers(1, 10_000))
def test_wait_policy_backoff_grows_up_to_its_ceiling(factor: float, polls: int) -> None:
    """Pauses never shrink and never exceed the longest one."""
    policy = WaitPolicy.of(
        StepDefinition(endpoint_ref=ENDPOINT, poll_interval_ms=10, backoff=Backoff(factor=factor, max_interval_ms=400)),
        Bindings(),
    )
    assert 0.01 <= policy.pause(polls) <= policy.pause(polls + 1) <= 0.4


def test_history_equal_neighbours_are_merged() -> None:
    """The history tells when each value stood and how often it was seen."""
    history = History()
    for value, ms in (("NEW", 0), ("NEW", 100), ("PAID", 200), ("NEW", 300)):
        history.add(value, START + timedelta(milliseconds=ms))
    told = [(seen.value, seen.first_ms, seen.last_ms, seen.count) for seen in history.observations]
    assert told == [("NEW", 0, 100, 2), ("PAID", 200, 200, 1), ("NEW", 300, 300, 1)]


def test_history_many_values_keep_the_first_and_the_last() -> None:
    """A value that changes at every poll does not fill the memory."""
    history = History()
    for n in range(1000):
        history.add(n, START + timedelta(milliseconds=n))
    values = [seen.value for seen in history.observations]
    assert len(values) == 50
    assert values[0] == 0
    assert values[-1] == 999
