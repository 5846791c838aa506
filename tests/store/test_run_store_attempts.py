"""Attempts of runs and of steps, held against each store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from store_samples import Harness, begin, claimed, make_step

from pytest_orchestra.engine.ports import RunStore, StepIntent
from pytest_orchestra.errors import LeaseLostError
from pytest_orchestra.model.run import (
    Exchange,
    Observation,
    PollHistory,
    RunAttempt,
    RunStatus,
    StepAttempt,
    StepStatus,
    Violation,
    ViolationType,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
REFUSED = Violation(ViolationType.HTTP_ERROR, "status", "status 503 came where 2XX is expected", {"observed": 503})
FIRST = StepAttempt(1, NOW, NOW, 12.5, 503, exchange=Exchange({"method": "POST"}), violations=(REFUSED,))


def failed(number: int = 1) -> RunAttempt:
    step = make_step("place", status=StepStatus.FAILED, violations=(REFUSED,))
    return RunAttempt(number, f"correlation-{number}", NOW, NOW, (step,))


async def test_flaky_step_and_run_come_back_with_their_attempts(store: RunStore):
    """What failed before is as much part of the result as what passed then."""
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    step = make_step("place", status=StepStatus.FLAKY, attempts=(FIRST,))
    await store.record_step(lease, step, None, {})
    await store.finish_run(lease, RunStatus.FLAKY, None)
    [stored] = await store.load(run.id)
    assert (stored.run.status, stored.steps) == (RunStatus.FLAKY, (step,))


async def test_intent_of_a_second_attempt_has_the_first(store: RunStore):
    """Whoever goes on with the run knows how often the step was tried, and under which key."""
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.begin_step(lease, StepIntent("place", 0))
    seen = PollHistory(NOW, 3, (Observation({"status": "NEW"}, 0.0, 20.5, 3),))
    second = StepIntent("place", 0, attempt=2, started_at=NOW, keyed_as=1, earlier=(FIRST,), seen=seen)
    await store.begin_step(lease, second)
    [stored] = await store.read_runs([run.id])
    assert stored.intents == (second,)


async def test_restarted_run_has_no_steps_and_keeps_what_failed(store: RunStore):
    """The next attempt begins with nothing but the run's data and its lease; both attempts that failed are there."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    for number in (1, 2):
        await store.begin_step(lease, StepIntent("place", 0), {"amount": 1})
        await store.record_step(lease, make_step("place"), StepIntent("paid", 1), {"order": number})
        await store.restart_run(lease, failed(number), f"correlation-{number + 1}")
    for stored in (*await store.read_runs([run.id]), *await store.load(suite_run.id), *await store.load(run.id)):
        assert (stored.run.attempt, stored.run.correlation_id) == (3, "correlation-3")
        assert (stored.steps, stored.intents, stored.data) == ((), (), {"amount": 1})
        assert stored.attempts == (failed(1), failed(2))
        assert (stored.run.status, stored.fence) == (RunStatus.IN_PROGRESS, lease.fence)


async def test_restart_that_is_repeated_counts_once(store: RunStore):
    """A transaction of which nobody knows whether it was committed may be repeated."""
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    for _ in range(2):
        await store.restart_run(lease, failed(), "correlation-2")
    [stored] = await store.read_runs([run.id])
    assert (stored.run.attempt, stored.attempts) == (2, (failed(),))


async def test_restart_by_a_worker_that_lost_its_lease_is_refused(harness: Harness):
    """A revived worker throws nothing away that another has done."""
    store = await harness.open("acme")
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    harness.expire(run.id)
    later = await claimed(store, run, "worker-2")
    await store.record_step(later, make_step("place"), None, {})
    with pytest.raises(LeaseLostError):
        await store.restart_run(lease, failed(), "correlation-2")
    [stored] = await store.read_runs([run.id])
    assert (stored.run.attempt, len(stored.steps), stored.attempts) == (1, 1, ())


async def test_restart_of_a_run_that_has_ended_is_refused(store: RunStore):
    """An end is an end."""
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.finish_run(lease, RunStatus.FAILED, None)
    with pytest.raises(LeaseLostError):
        await store.restart_run(lease, failed(), "correlation-2")


async def test_attempts_belong_to_their_tenant(harness: Harness):
    """No tenant sees, or changes, an attempt of another's run."""
    ours, theirs = await harness.open("acme"), await harness.open("other")
    _, [run] = await begin(ours)
    lease = await claimed(ours, run)
    with pytest.raises(LeaseLostError):
        await theirs.restart_run(replace(lease), failed(), "correlation-2")
    await ours.restart_run(lease, failed(), "correlation-2")
    assert await theirs.read_runs([run.id]) == ()
