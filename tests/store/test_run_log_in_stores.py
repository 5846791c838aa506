"""What a run writes without waiting, as every store keeps it: in order, fenced, and told when it is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from store_samples import Harness, begin, claimed, make_step, unique

from pytest_orchestra.engine.ports import RunStore, StepIntent
from pytest_orchestra.engine.run_log import RunLog
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.errors import LeaseLostError
from pytest_orchestra.model.run import RunStatus

COUNT = 30


async def test_writes_that_nobody_waits_for_take_effect_in_their_order(store: RunStore) -> None:
    """However many of several runs are under way at once, each intent is ended by its outcome, and the end is last."""
    _, runs = await begin(store, "a", "b", "c")
    logs = [RunLog(StoreGuard(store), await claimed(store, run)) for run in runs]
    for number in range(COUNT):
        for log in logs:
            log.begin(StepIntent(f"s{number}", number))
            log.record(replace(make_step(f"s{number}", number), exported={"last": number}))
    logs[0].record_last(make_step("last", COUNT))
    await asyncio.gather(*(log.finish(RunStatus.PASSED, None) for log in logs))
    told = await store.read_runs([run.id for run in runs])
    assert [each.run.status for each in told] == [RunStatus.PASSED] * 3
    assert [each.intents for each in told] == [()] * 3
    assert [len(each.steps) for each in told] == [COUNT + 1, COUNT, COUNT]
    assert await store.suite_context(runs[0].suite_run_id) == {"last": COUNT - 1}


async def test_writes_behind_a_lost_lease_are_refused_and_the_end_with_them(harness: Harness) -> None:
    """A revived worker learns of it when it settles; the run is as its new worker has it."""
    store = await harness.open(unique())
    _, [run] = await begin(store)
    log = RunLog(StoreGuard(store), await claimed(store, run))
    log.begin(StepIntent("place", 0))
    await log.settle()
    harness.expire(run.id)
    await claimed(store, run, "worker-2")
    log.record(make_step("place"), StepIntent("paid", 1))
    with pytest.raises(LeaseLostError):
        await log.settle()
    with pytest.raises(LeaseLostError):
        await log.finish(RunStatus.PASSED, None)
    await log.overlook_refusals()
    with pytest.raises(LeaseLostError):
        log.raise_refusal()
    [stored] = await store.read_runs([run.id])
    assert (stored.run.status, stored.steps) == (RunStatus.IN_PROGRESS, ())
    assert [intent.alias for intent in stored.intents] == ["place"]
