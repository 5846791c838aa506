"""What every store promises, held against each of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from store_samples import TTL_S, Harness, begin, claimed, make_run, make_step, make_suite_run, unique

from pytest_orchestra.engine.ports import Lease, RunStore, StepIntent
from pytest_orchestra.errors import LeaseLostError, StoreError
from pytest_orchestra.model.run import (
    Exchange,
    Observation,
    RunFault,
    RunStatus,
    StepStatus,
    SuiteRun,
    SuiteRunStatus,
    Violation,
    ViolationType,
)


async def test_begin_suite_run_new_key_is_in_progress(harness: Harness):
    """A new SuiteRun is in progress, belongs to the store's tenant and has begun."""
    store = await harness.open("acme")
    asked = make_suite_run()
    begun = await store.begin_suite_run(asked)
    assert (begun.id, begun.key, begun.tenant, begun.plugin_version) == (asked.id, asked.key, "acme", "1.2.3")
    assert begun.status is SuiteRunStatus.IN_PROGRESS
    assert begun.context == {}
    assert begun.created_at is not None
    assert begun.started_at is not None
    assert begun.finished_at is None


async def test_begin_suite_run_known_key_takes_it_up_again(store: RunStore):
    """Whoever begins a SuiteRun of a known key gets that one, in progress again, with what it knows."""
    suite_run, runs = await begin(store)
    lease = await claimed(store, runs[0])
    await store.record_step(lease, make_step("place"), None, {"orderId": 7})
    await store.end_suite_run(suite_run.id, SuiteRunStatus.FAILED)
    again = await store.begin_suite_run(make_suite_run(suite_run.key))
    assert again.id == suite_run.id
    assert again.status is SuiteRunStatus.IN_PROGRESS
    assert again.context == {"orderId": 7}
    assert again.started_at == suite_run.started_at
    assert again.finished_at is None


async def test_begin_suite_run_id_of_another_key_is_refused(store: RunStore):
    """An id belongs to one key."""
    suite_run = await store.begin_suite_run(make_suite_run("first"))
    with pytest.raises(StoreError):
        await store.begin_suite_run(SuiteRun(id=suite_run.id, key="second", tenant=""))


async def test_end_suite_run_sets_state_and_moment(store: RunStore):
    """An ended SuiteRun shows its state and when it ended."""
    suite_run, _ = await begin(store)
    assert await store.end_suite_run(suite_run.id, SuiteRunStatus.PASSED) is SuiteRunStatus.PASSED
    assert await store.end_suite_run("there-is-none", SuiteRunStatus.PASSED) is None
    [(ended, _counts)] = await store.history(1)
    assert ended.status is SuiteRunStatus.PASSED
    assert ended.finished_at is not None


async def test_add_runs_come_back_pending_in_their_order(store: RunStore):
    """Runs are pending, in the order in which they were added, with all that they were given."""
    suite_run, runs = await begin(store, "c", "a", "b")
    loaded = await store.load(suite_run.id)
    assert [stored.run.key for stored in loaded] == ["c", "a", "b"]
    for stored, run in zip(loaded, runs, strict=True):
        assert stored.run.created_at is not None
        assert stored.run.status is RunStatus.PENDING
        assert (stored.run.id, stored.run.data_set, stored.run.correlation_id) == (run.id, "vip", run.correlation_id)
        assert (stored.steps, stored.intents, stored.fence, stored.owner) == ((), (), 0, None)


async def test_add_runs_twice_leaves_the_first_as_they_are(store: RunStore):
    """A run whose key the SuiteRun has already keeps its id and its state; new ones are added."""
    suite_run, [first] = await begin(store, "a")
    await claimed(store, first)
    await store.add_runs([make_run(suite_run, "a"), make_run(suite_run, "b")])
    loaded = await store.load(suite_run.id)
    assert [(stored.run.key, stored.run.status) for stored in loaded] == [
        ("a", RunStatus.IN_PROGRESS),
        ("b", RunStatus.PENDING),
    ]
    assert loaded[0].run.id == first.id


async def test_add_runs_id_of_another_key_is_refused(store: RunStore):
    """An id belongs to one run."""
    suite_run, [run] = await begin(store, "a")
    with pytest.raises(StoreError):
        await store.add_runs([replace(run, key="b")])
    assert [stored.run.key for stored in await store.load(suite_run.id)] == ["a"]


async def test_add_runs_without_runs_does_nothing(store: RunStore):
    """An empty suite is no error."""
    suite_run = await store.begin_suite_run(make_suite_run())
    await store.add_runs([])
    assert await store.load(suite_run.id) == ()


async def test_add_runs_of_unknown_suite_run_is_refused(store: RunStore):
    """Runs belong to a SuiteRun that was begun."""
    suite_run = SuiteRun(id="ghost", key="ghost", tenant="")
    with pytest.raises(StoreError, match=r"^store: there is no suite run 'ghost'$"):
        await store.add_runs([make_run(suite_run)])


async def test_claim_free_run_is_in_progress(store: RunStore):
    """A claim gives the first fence, an end in the future and a run in progress."""
    suite_run, [run] = await begin(store)
    before = datetime.now(UTC)
    lease = await claimed(store, run)
    assert (lease.run_id, lease.owner, lease.fence) == (run.id, "worker-1", 1)
    assert lease.until is not None
    assert lease.until > before + timedelta(seconds=TTL_S / 2)
    [stored] = await store.load(suite_run.id)
    assert stored.run.status is RunStatus.IN_PROGRESS
    assert stored.run.started_at is not None
    assert (stored.owner, stored.fence) == ("worker-1", 1)


async def test_claim_held_by_another_is_none(store: RunStore):
    """Nobody takes a run from a worker whose lease has not ended."""
    _, [run] = await begin(store)
    await claimed(store, run)
    assert await store.claim(run.id, "worker-2", TTL_S) is None


async def test_claim_own_lease_again_gives_the_next_fence(store: RunStore):
    """A worker that starts anew may take its own run again; what it held before is void."""
    _, [run] = await begin(store)
    first = await claimed(store, run)
    second = await claimed(store, run)
    assert second.fence == first.fence + 1
    with pytest.raises(LeaseLostError):
        await store.begin_step(first, StepIntent("place", 0))


async def test_claim_unknown_run_is_none(store: RunStore):
    """There is no lease of a run that does not exist."""
    assert await store.claim("ghost", "worker-1", TTL_S) is None


@pytest.mark.parametrize("status", [RunStatus.PASSED, RunStatus.FAILED, RunStatus.ERROR, RunStatus.CANCELLED])
async def test_claim_final_run_is_none(store: RunStore, status: RunStatus):
    """A finished run is never run again."""
    _, [run] = await begin(store)
    await store.finish_run(await claimed(store, run), status, None)
    assert await store.claim(run.id, "worker-1", TTL_S) is None


async def test_claim_expired_lease_passes_to_another(harness: Harness):
    """A run whose worker has fallen silent goes to another one, with a new fence and all that was recorded."""
    store = await harness.open(f"tenant-{unique()}")
    suite_run, [run] = await begin(store)
    lost = await claimed(store, run)
    await store.begin_step(lost, StepIntent("place", 0))
    started = (await store.load(suite_run.id))[0].run.started_at
    harness.expire(run.id)
    taken = await store.claim(run.id, "worker-2", TTL_S)
    assert taken is not None
    assert taken.fence == lost.fence + 1
    [stored] = await store.load(suite_run.id)
    assert stored.owner == "worker-2"
    assert stored.intents == (StepIntent("place", 0),)
    assert stored.run.started_at == started


async def test_writes_with_an_old_fence_are_refused(harness: Harness):
    """A worker that comes back after its run was taken changes nothing: each of its writes is refused."""
    store = await harness.open(f"tenant-{unique()}")
    suite_run, [run] = await begin(store)
    lost = await claimed(store, run)
    harness.expire(run.id)
    taken = await store.claim(run.id, "worker-2", TTL_S)
    assert taken is not None
    await store.record_step(taken, make_step("place"), None, {})
    message = f"^store: the lease of run '{run.id}' with fence '1' is no longer held by 'worker-1'$"
    with pytest.raises(LeaseLostError, match=message):
        await store.begin_step(lost, StepIntent("pay", 1))
    with pytest.raises(LeaseLostError, match=message):
        await store.record_step(lost, make_step("place", status=StepStatus.FAILED), None, {"orderId": "stolen"})
    with pytest.raises(LeaseLostError, match=message):
        await store.finish_run(lost, RunStatus.FAILED, "late")
    assert await store.heartbeat([lost], TTL_S) == ()
    [stored] = await store.load(suite_run.id)
    assert stored.run.status is RunStatus.IN_PROGRESS
    assert [step.status for step in stored.steps] == [StepStatus.PASSED]
    assert stored.intents == ()
    assert await store.suite_context(suite_run.id) == {}


async def test_write_after_expiry_is_accepted_until_another_claims(harness: Harness):
    """A slow worker loses nothing as long as nobody has taken its run."""
    store = await harness.open(f"tenant-{unique()}")
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    harness.expire(run.id)
    await store.record_step(lease, make_step("place"), None, {})
    assert len((await store.load(suite_run.id))[0].steps) == 1


async def test_write_after_finish_is_refused(store: RunStore):
    """A finished run takes no more steps."""
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.finish_run(lease, RunStatus.PASSED, None)
    with pytest.raises(LeaseLostError):
        await store.record_step(lease, make_step("place"), None, {})
    with pytest.raises(LeaseLostError):
        await store.finish_run(lease, RunStatus.FAILED, None)


async def test_write_to_unknown_run_is_refused(store: RunStore):
    """A lease of a run that does not exist is held by nobody."""
    with pytest.raises(LeaseLostError):
        await store.begin_step(Lease("ghost", "worker-1", 1), StepIntent("place", 0))


async def test_lost_fence_fails_only_its_caller(store: RunStore):
    """Among writes that are committed together, one that is refused takes no other with it."""
    suite_run, runs = await begin(store, *(f"run-{number}" for number in range(5)))
    leases = [await claimed(store, run) for run in runs]
    await store.claim(runs[2].id, "worker-1", TTL_S)
    outcomes = await asyncio.gather(
        *(store.record_step(lease, make_step("place"), None, {}) for lease in leases), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), LeaseLostError, type(None), type(None)]
    assert [len(stored.steps) for stored in await store.load(suite_run.id)] == [1, 1, 0, 1, 1]


async def test_heartbeat_prolongs_what_is_held(harness: Harness):
    """A heartbeat makes a lease last, gives those that are held, and leaves out those that are not."""
    store = await harness.open(f"tenant-{unique()}")
    _, runs = await begin(store, "held", "finished", "reclaimed")
    leases = [await claimed(store, run) for run in runs]
    await store.finish_run(leases[1], RunStatus.PASSED, None)
    await claimed(store, runs[2])
    harness.expire(runs[0].id)
    [held] = await store.heartbeat(leases, TTL_S)
    assert (held.run_id, held.fence) == (runs[0].id, leases[0].fence)
    assert held.until is not None
    assert await store.claim(runs[0].id, "worker-2", TTL_S) is None


async def test_heartbeat_of_nothing_is_nothing(store: RunStore):
    """A worker without runs needs no sign of life."""
    assert await store.heartbeat([], TTL_S) == ()


async def test_record_step_keeps_all_of_a_result(store: RunStore):
    """A result comes back as it was given, to the last field."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    result = make_step(
        "place",
        status=StepStatus.FAILED,
        started_at=moment,
        finished_at=moment + timedelta(milliseconds=7),
        actual_status_code=500,
        response={"status": 500, "body": {"b": [1, 2.5, None, True, "ü"], "a": {}}},
        settling_time_ms=3.25,
        polls=4,
        observations=(Observation({"n": 1}, 0.0, 2.0, 3), Observation(None, 2.0, 3.0)),
        exchange=Exchange({"method": "GET"}, {"status": 500}, "curl -X GET http://localhost"),
        exported={"orderId": 7},
        violations=(Violation(ViolationType.HTTP_ERROR, "status", "500 is not 200", {"expected": 200}, 3.25),),
        fault=RunFault("StepError", "cannot", "try", "a.bpmn:1"),
        reason="because",
    )
    await store.record_step(lease, result, None, {})
    [stored] = await store.load(suite_run.id)
    assert stored.steps == (result,)


@pytest.mark.parametrize(
    "value",
    [
        "a\x00b",
        "\ud800",
        "\ue000n1",
        "\ue000",
        "emoji 😀",
        1e23,
        1e300,
        -0.5e-300,
        10**30,
        float("inf"),
        "\\u0000",
        "e+1",
    ],
)
async def test_record_step_keeps_values_that_are_awkward(store: RunStore, value: object):
    """Whatever a system under test answers comes back as it was, also what a database would refuse or change."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    result = make_step("place", response={"body": {"value": value, "list": [value], "text": f"<{value}>"}})
    await store.record_step(lease, result, None, {"value": value})
    [stored] = await store.load(suite_run.id)
    assert stored.steps == (result,)
    assert type(stored.steps[0].response["body"]["value"]) is type(value)
    assert await store.suite_context(suite_run.id) == {"value": value}


async def test_record_step_keeps_names_that_are_awkward(store: RunStore):
    """Names in objects are kept like values, and so are moments beside them."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    body = {"\ud800": {"a\x00": [1.5, "x"]}, "\ue000": None}
    result = make_step("place", started_at=datetime(2026, 1, 2, tzinfo=UTC), response={"body": body})
    await store.record_step(lease, result, None, body)
    [stored] = await store.load(suite_run.id)
    assert stored.steps == (result,)
    assert await store.suite_context(suite_run.id) == body


async def test_record_step_replaces_the_intent_by_the_next(store: RunStore):
    """Outcome of this step and intent of the next appear together, and the intent of this one is gone."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    await store.begin_step(lease, StepIntent("place", 0))
    following = StepIntent("shipped", 1, 2, moment, moment + timedelta(seconds=5))
    await store.record_step(lease, make_step("place"), following, {})
    [stored] = await store.load(suite_run.id)
    assert [step.alias for step in stored.steps] == ["place"]
    assert stored.intents == (following,)
    await store.record_step(lease, make_step("shipped", 1), None, {})
    [stored] = await store.load(suite_run.id)
    assert stored.intents == ()


async def test_begin_step_again_raises_the_attempt(store: RunStore):
    """Of a step there is one intent: the latest."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.begin_step(lease, StepIntent("place", 0))
    await store.begin_step(lease, StepIntent("place", 0, attempt=2))
    [stored] = await store.load(suite_run.id)
    assert stored.intents == (StepIntent("place", 0, attempt=2),)


async def test_several_intents_come_in_the_order_of_their_steps(store: RunStore):
    """Branches that run at once each have an intent."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    await asyncio.gather(*(store.begin_step(lease, StepIntent(f"step-{n}", n)) for n in (2, 0, 1)))
    [stored] = await store.load(suite_run.id)
    assert [intent.alias for intent in stored.intents] == ["step-0", "step-1", "step-2"]


async def test_record_step_again_replaces_the_result(store: RunStore):
    """Of a step there is one result: the latest."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.record_step(lease, make_step("place", status=StepStatus.FAILED), None, {})
    await store.record_step(lease, make_step("place"), None, {})
    [stored] = await store.load(suite_run.id)
    assert [step.status for step in stored.steps] == [StepStatus.PASSED]


async def test_exports_of_concurrent_runs_all_arrive(store: RunStore):
    """What scenarios export at the same moment is all in the SuiteRun's context."""
    suite_run, runs = await begin(store, *(f"run-{number}" for number in range(20)))
    leases = [await claimed(store, run) for run in runs]
    await asyncio.gather(
        *(
            store.record_step(lease, make_step("place"), None, {f"order-{number}": {"id": number}})
            for number, lease in enumerate(leases)
        )
    )
    assert await store.suite_context(suite_run.id) == {f"order-{number}": {"id": number} for number in range(20)}


async def test_export_of_a_known_name_replaces_it(store: RunStore):
    """The last export of a name counts, whole."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.record_step(lease, make_step("a"), None, {"order": {"id": 1, "old": True}, "kept": 1})
    await store.record_step(lease, make_step("b", 1), None, {"order": {"id": 2}})
    assert await store.suite_context(suite_run.id) == {"order": {"id": 2}, "kept": 1}


async def test_suite_context_of_unknown_suite_run_is_empty(store: RunStore):
    """Nothing was exported to what does not exist."""
    assert await store.suite_context("ghost") == {}


async def test_finish_run_records_all_and_gives_the_lease_back(store: RunStore):
    """A finished run has its state, its reason, the steps that were not reached, no intent and no owner."""
    suite_run, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.begin_step(lease, StepIntent("place", 0))
    await store.record_step(lease, make_step("place", status=StepStatus.FAILED), StepIntent("pay", 1), {})
    skipped = [make_step(name, number, status=StepStatus.SKIPPED) for number, name in ((2, "ship"), (1, "pay"))]
    await store.finish_run(lease, RunStatus.FAILED, "a\x00 reason", skipped)
    [stored] = await store.load(suite_run.id)
    assert (stored.run.status, stored.run.reason) == (RunStatus.FAILED, "a\x00 reason")
    assert stored.run.finished_at is not None
    assert [step.alias for step in stored.steps] == ["place", "pay", "ship"]
    assert (stored.intents, stored.owner, stored.fence) == ((), None, lease.fence)


async def test_finish_run_again_in_the_same_state_is_accepted(store: RunStore):
    """A worker that does not know whether its last write arrived may repeat it."""
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    await store.finish_run(lease, RunStatus.PASSED, None)
    await store.finish_run(lease, RunStatus.PASSED, None)


async def test_skip_run_ends_a_run_that_has_not_begun(store: RunStore):
    """A run whose prerequisite failed ends with the reason."""
    suite_run, [run] = await begin(store)
    await store.skip_run(run.id, RunStatus.SKIPPED, "depends on 'b', which failed")
    [stored] = await store.load(suite_run.id)
    assert (stored.run.status, stored.run.reason) == (RunStatus.SKIPPED, "depends on 'b', which failed")
    assert stored.run.started_at is None
    assert stored.run.finished_at is not None
    assert await store.claim(run.id, "worker-1", TTL_S) is None


async def test_skip_run_leaves_a_run_that_has_begun(store: RunStore):
    """A run in a worker's hands is not skipped behind its back."""
    suite_run, [run] = await begin(store)
    await claimed(store, run)
    await store.skip_run(run.id, RunStatus.SKIPPED, "late")
    [stored] = await store.load(suite_run.id)
    assert (stored.run.status, stored.run.reason) == (RunStatus.IN_PROGRESS, None)
