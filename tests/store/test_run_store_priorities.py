"""Who has the places of a quota first, and for how long a wish for one counts."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from store_samples import TTL_S, Harness, begin, claimed, make_suite_run, unique

from pytest_orchestra.engine.ports import RunStore
from pytest_orchestra.model.run import RunStatus, SuiteRunStatus
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.postgres import PostgresStore


async def test_priority_of_a_suite_run_is_that_of_its_latest_session(store: RunStore) -> None:
    """It is kept, shown by the history, and changed by whoever takes the SuiteRun up again."""
    first = await store.begin_suite_run(make_suite_run("nightly", priority=-5))
    assert first.priority == -5
    again = await store.begin_suite_run(make_suite_run("nightly", priority=7))
    assert (again.id, again.priority) == (first.id, 7)
    assert [each.priority for each, _ in await store.history()] == [7]


async def test_lower_priority_takes_no_place_while_a_higher_one_waits(store: RunStore) -> None:
    """Runs that go on are left alone; the next place is the urgent SuiteRun's, then the others have theirs again."""
    _, [one, two] = await begin(store, "one", "two")
    _, [urgent] = await begin(store, "urgent", priority=1)
    await store.set_quota(1)
    lease = await claimed(store, one)
    assert await store.claim(urgent.id, "worker-2", TTL_S) is None
    await store.finish_run(lease, RunStatus.PASSED, None)
    assert await store.claim(two.id, "worker-1", TTL_S) is None
    lease = await claimed(store, urgent, "worker-2")
    await store.finish_run(lease, RunStatus.PASSED, None)
    await claimed(store, two)


async def test_equal_priorities_share_what_is_free(store: RunStore) -> None:
    """Who asks first has the place, as without priorities, however many others wait."""
    _, [one, two] = await begin(store, "one", "two", priority=3)
    _, [other] = await begin(store, "other", priority=3)
    await store.set_quota(1)
    lease = await claimed(store, one)
    assert await store.claim(other.id, "worker-2", TTL_S) is None
    await store.finish_run(lease, RunStatus.PASSED, None)
    await claimed(store, two)


async def test_suite_run_that_waits_keeps_its_wish_until_all_its_runs_have_places(store: RunStore) -> None:
    """The first of its runs that finds one does not let the others' places go."""
    _, [one, two] = await begin(store, "one", "two")
    _, urgent = await begin(store, "urgent", "urgent too", priority=1)
    await store.set_quota(2)
    leases = [await claimed(store, run) for run in (one, two)]
    assert await store.claim(urgent[0].id, "worker-2", TTL_S) is None
    for lease in leases:
        await store.finish_run(lease, RunStatus.PASSED, None)
    _, [later, latest] = await begin(store, "later", "latest")
    lease = await claimed(store, urgent[0], "worker-2")
    assert await store.claim(later.id, "worker-1", TTL_S) is None
    await store.finish_run(lease, RunStatus.PASSED, None)
    await claimed(store, urgent[1], "worker-2")
    await claimed(store, later)
    assert await store.claim(latest.id, "worker-1", TTL_S) is None


async def test_wish_of_a_suite_run_that_asks_no_more_expires(store: RunStore, harness: Harness) -> None:
    """Its worker may have died: it stands in nobody's way for longer than its wish counts."""
    _, [one, two] = await begin(store, "one", "two")
    dead, [urgent] = await begin(store, "urgent", priority=1)
    await store.set_quota(1)
    lease = await claimed(store, one)
    assert await store.claim(urgent.id, "worker-2", TTL_S) is None
    await store.finish_run(lease, RunStatus.PASSED, None)
    assert await store.claim(two.id, "worker-1", TTL_S) is None
    harness.silence(dead.id)
    await claimed(store, two)


async def test_suite_run_that_has_ended_waits_no_more(store: RunStore) -> None:
    """Who was stopped while it waited gives way at once."""
    _, [one, two] = await begin(store, "one", "two")
    stopped, [urgent] = await begin(store, "urgent", priority=1)
    await store.set_quota(1)
    lease = await claimed(store, one)
    assert await store.claim(urgent.id, "worker-2", TTL_S) is None
    await store.finish_run(lease, RunStatus.PASSED, None)
    await store.end_suite_run(stopped.id, SuiteRunStatus.CANCELLED)
    await claimed(store, two)


async def test_priorities_mean_nothing_without_a_quota_and_to_other_tenants(harness: Harness) -> None:
    """Nobody waits where there is room for all, nor for the places of others."""
    ours, theirs = await harness.open(f"a-{unique()}"), await harness.open(f"b-{unique()}")
    _, [one, two] = await begin(ours, "one", "two")
    _, [urgent] = await begin(ours, "urgent", priority=1)
    _, [foreign] = await begin(theirs, "foreign")
    await ours.set_quota(1)
    await theirs.set_quota(1)
    await claimed(ours, one)
    assert await ours.claim(urgent.id, "worker-2", TTL_S) is None
    await claimed(theirs, foreign)
    await ours.set_quota(None)
    await claimed(ours, two)


async def test_quota_holds_for_claims_that_come_at_once(superuser_url: str, server: EmbeddedPostgres) -> None:
    """Of many sessions that claim in the same moment, no more get a place than there are."""
    del server
    tenant = f"tenant-{unique()}"
    stores = [PostgresStore(superuser_url, tenant) for _ in range(6)]
    for store in stores:
        await store.open()
    try:
        _, runs = await begin(stores[0], *(f"run-{n}" for n in range(60)))
        await stores[0].set_quota(2)
        for round_ in range(10):
            asked = zip(stores, runs[round_ * 6 :], strict=False)
            leases = await asyncio.gather(
                *(store.claim(run.id, f"worker-{n}", TTL_S) for n, (store, run) in enumerate(asked))
            )
            taken = [(store, lease) for store, lease in zip(stores, leases, strict=True) if lease is not None]
            assert len(taken) == 2
            for store, lease in taken:
                await store.finish_run(lease, RunStatus.PASSED, None)
    finally:
        for store in stores:
            await store.close()


async def test_wish_is_not_written_by_every_claim(superuser_url: str, server: EmbeddedPostgres) -> None:
    """One that counts for long enough is left alone, however often a SuiteRun asks."""
    del server
    store = PostgresStore(superuser_url, f"tenant-{unique()}")
    await store.open()
    try:
        _, [one] = await begin(store, "one")
        waiting, [two] = await begin(store, "two")
        await store.set_quota(1)
        await claimed(store, one)
        versions = []
        for hours in (0, 1, 0):
            assert await store.claim(two.id, "worker-2", TTL_S) is None
            with psycopg.connect(superuser_url) as connection:
                edited = "UPDATE orchestra.suite_run SET waits_until = waits_until + make_interval(hours => %s)"
                asked = f"{edited} WHERE suite_run_id = %s RETURNING waits_until"
                versions += connection.execute(asked, [hours, waiting.id]).fetchall()
        first, longer, last = (until for (until,) in versions)
        assert longer > first
        assert last == longer
    finally:
        await store.close()


@pytest.mark.parametrize("owners", [("worker-1",), ("worker-2", "worker-1")])
async def test_signs_of_life_count_until_they_expire_and_go_with_their_worker(
    store: RunStore, harness: Harness, owners: tuple[str, ...]
) -> None:
    """A worker that lives, one that died and one that left are told apart, in the order in which they came."""
    suite_run, _ = await begin(store)
    other, _ = await begin(store)
    await store.sign_in(other.id, "elsewhere", TTL_S)
    for owner in owners:
        await store.sign_in(suite_run.id, owner, TTL_S)
    harness.silence(suite_run.id)
    assert [(sign.owner, sign.is_alive) for sign in await store.read_signs(suite_run.id)] == [
        (owner, False) for owner in owners
    ]
    await store.sign_in(suite_run.id, "worker-1", TTL_S)
    signs = {sign.owner: sign for sign in await store.read_signs(suite_run.id)}
    assert {owner: sign.is_alive for owner, sign in signs.items()} == {owner: owner == "worker-1" for owner in owners}
    for owner in owners:
        await store.sign_out(suite_run.id, owner)
    assert await store.read_signs(suite_run.id) == ()
