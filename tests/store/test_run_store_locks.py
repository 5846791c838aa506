"""What every store does for runs that must have something for themselves."""

from __future__ import annotations

import asyncio

import pytest
from store_samples import Harness, begin, claimed, unique

from pytest_orchestra.engine.ports import LockHolder, RunStore
from pytest_orchestra.errors import LeaseLostError
from pytest_orchestra.model.run import RunStatus


async def test_lock_is_one_runs_until_that_run_has_ended(store: RunStore) -> None:
    """Another run, of another SuiteRun too, is told who has it, and gets it when that one has ended."""
    name = unique()
    _, [first] = await begin(store, "first")
    _, [second] = await begin(store, "second")
    ours, theirs = await claimed(store, first), await claimed(store, second, "worker-2")
    assert await store.take_lock(ours, name) is None
    assert await store.take_lock(ours, name) is None
    assert await store.take_lock(theirs, name) == LockHolder("first", "worker-1")
    assert await store.take_lock(theirs, unique()) is None
    await store.finish_run(ours, RunStatus.PASSED, None)
    assert await store.take_lock(theirs, name) is None
    await store.free_locks(ours)
    _, [third] = await begin(store, "third")
    assert await store.take_lock(await claimed(store, third), name) == LockHolder("second", "worker-2")


async def test_lock_of_a_dead_worker_is_free_and_its_worker_is_fenced_off(harness: Harness, store: RunStore) -> None:
    """Who takes it over is alone with it: the run that had it can write no more, should its worker come back."""
    name = unique()
    _, [first, second] = await begin(store, "first", "second")
    ours = await claimed(store, first)
    assert await store.take_lock(ours, name) is None
    harness.expire(first.id)
    theirs = await claimed(store, second, "worker-2")
    assert await store.take_lock(theirs, name) is None
    with pytest.raises(LeaseLostError):
        await store.finish_run(ours, RunStatus.PASSED, None)
    with pytest.raises(LeaseLostError):
        await store.take_lock(ours, name)
    assert await store.take_lock(await claimed(store, first), name) == LockHolder("second", "worker-2")


async def test_lock_is_given_to_one_of_many_who_ask_at_once(harness: Harness) -> None:
    """Workers with connections of their own that ask in the same moment do not both get it."""
    tenant, name = unique(), unique()
    stores = (
        [await harness.open(tenant) for _ in range(4)] if harness.kind != "memory" else [await harness.open(tenant)]
    )
    _, runs = await begin(stores[0], *(f"run{n}" for n in range(12)))
    leases = [await claimed(stores[0], run, f"worker-{n}") for n, run in enumerate(runs)]
    answers = await asyncio.gather(*(stores[n % len(stores)].take_lock(each, name) for n, each in enumerate(leases)))
    assert sum(answer is None for answer in answers) == 1
    winner = runs[answers.index(None)].key
    assert {answer.run_key for answer in answers if answer is not None} == {winner}
