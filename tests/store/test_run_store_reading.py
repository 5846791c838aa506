"""What every store promises to those who read, and how it keeps tenants apart; held against each of them."""

from __future__ import annotations

import asyncio

import pytest
from store_samples import TTL_S, Harness, begin, claimed, make_run, make_step, make_suite_run, unique

from pytest_orchestra.engine.ports import RunStore
from pytest_orchestra.model.run import RunStatus, SuiteRunStatus


async def test_history_is_newest_first_with_counts_by_state(store: RunStore):
    """The history tells, of each of the latest SuiteRuns, how many runs are in which state."""
    first, runs = await begin(store, "a", "b", "c")
    await store.finish_run(await claimed(store, runs[0]), RunStatus.PASSED, None)
    await store.finish_run(await claimed(store, runs[1]), RunStatus.PASSED, None)
    second, _ = await begin(store, "a")
    third = await store.begin_suite_run(make_suite_run())
    listed = await store.history()
    assert [suite_run.id for suite_run, _ in listed] == [third.id, second.id, first.id]
    assert [dict(counts) for _, counts in listed] == [{}, {"PENDING": 1}, {"PASSED": 2, "PENDING": 1}]
    assert [suite_run.id for suite_run, _ in await store.history(limit=2)] == [third.id, second.id]


async def test_load_by_suite_run_id_key_and_beginning(store: RunStore):
    """A SuiteRun is found by its id, its key and the beginning of either."""
    suite_run = await store.begin_suite_run(make_suite_run("nightly-2026-01-02"))
    run = make_run(suite_run)
    await store.add_runs([run])
    for reference in (suite_run.id, "nightly-2026-01-02", suite_run.id[:8], "nightly"):
        assert [stored.run.id for stored in await store.load(reference)] == [run.id]


async def test_load_by_run_id_and_beginning(store: RunStore):
    """One TestRun is found by its id and by the beginning of it."""
    _, runs = await begin(store, "a", "b")
    for reference in (runs[1].id, runs[1].id[:12]):
        assert [stored.run.id for stored in await store.load(reference)] == [runs[1].id]


async def test_load_by_run_key_is_newest_first(store: RunStore):
    """Of a scenario that ran in several SuiteRuns the newest run comes first."""
    _, [older] = await begin(store, "order.bpmn::small[vip]")
    _, [newer] = await begin(store, "order.bpmn::small[vip]")
    for reference in ("order.bpmn::small[vip]", "order.bpmn::small"):
        assert [stored.run.id for stored in await store.load(reference)] == [newer.id, older.id]


async def test_load_exact_goes_before_beginning(store: RunStore):
    """A reference that is a whole key never means a longer one, whatever it belongs to."""
    _, [short, _long] = await begin(store, "nightly", "nightly-2")
    suite_run = await store.begin_suite_run(make_suite_run("nightly-3"))
    await store.add_runs([make_run(suite_run, "x")])
    assert [stored.run.id for stored in await store.load("nightly")] == [short.id]


async def test_load_beginning_of_several_suite_runs_is_the_newest(store: RunStore):
    """Where a beginning fits several SuiteRuns, the newest is meant."""
    for number in (1, 2):
        suite_run = await store.begin_suite_run(make_suite_run(f"nightly-{number}"))
        await store.add_runs([make_run(suite_run, f"run-{number}")])
    assert [stored.run.key for stored in await store.load("nightly")] == ["run-2"]


@pytest.mark.parametrize("reference", ["ghost", "", "%", "_"])
async def test_load_unknown_reference_is_empty(store: RunStore, reference: str):
    """What fits nothing gives nothing; there are no wildcards."""
    await begin(store)
    assert tuple(await store.load(reference)) == ()


async def test_tenants_with_the_same_ids_never_meet(harness: Harness):
    """Two tenants may use the same ids and keys; neither sees, claims, writes or counts what the other has."""
    mark = unique()
    ours, theirs = await harness.open(f"ours-{mark}"), await harness.open(f"theirs-{mark}")
    suite_run = make_suite_run("nightly")
    run = make_run(suite_run, "a")
    assert await theirs.load("nightly") == ()
    await ours.begin_suite_run(suite_run)
    await ours.add_runs([run])
    lease = await claimed(ours, run)
    assert await theirs.load("nightly") == ()
    assert await theirs.history() == ()
    assert await theirs.claim(run.id, "worker-2", TTL_S) is None
    await theirs.begin_suite_run(suite_run)
    await theirs.add_runs([run])
    their_lease = await claimed(theirs, run, "worker-2")
    assert their_lease.fence == lease.fence
    await asyncio.gather(
        ours.record_step(lease, make_step("ours"), None, {"who": "ours"}),
        theirs.record_step(their_lease, make_step("theirs"), None, {"who": "theirs"}),
    )
    await theirs.finish_run(their_lease, RunStatus.FAILED, "theirs")
    await theirs.end_suite_run(suite_run.id, SuiteRunStatus.FAILED)
    assert await ours.suite_context(suite_run.id) == {"who": "ours"}
    assert len(await ours.heartbeat([lease], TTL_S)) == 1
    [stored] = await ours.load("nightly")
    assert [step.alias for step in stored.steps] == ["ours"]
    assert stored.run.status is RunStatus.IN_PROGRESS
    [(listed, counts)] = await ours.history()
    assert (listed.status, counts) == (SuiteRunStatus.IN_PROGRESS, {"IN_PROGRESS": 1})


async def test_close_keeps_what_was_written(harness: Harness):
    """A store that is opened again knows its runs, unless it only ever lived in memory."""
    tenant = f"tenant-{unique()}"
    store = await harness.open(tenant)
    suite_run, _ = await begin(store)
    await store.close()
    again = await harness.open(tenant)
    assert len(await again.load(suite_run.id)) == (0 if harness.kind == "memory" else 1)
