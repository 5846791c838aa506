"""What every store does for sessions that resume and share: find, reopen, supersede, adopt, reap, limit."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from store_samples import TTL_S, Harness, begin, claimed, make_run, make_step, make_suite_run, unique

from pytest_orchestra.engine.ports import MOST_CLAIMS, RunStore, StepIntent
from pytest_orchestra.model.run import RunStatus, SuiteRunStatus


async def test_unfinished_suite_run_is_found_by_its_scenarios(store: RunStore) -> None:
    """Those that did not come to their end and have one of them in that version, newest first."""
    first, _ = await begin(store, "a", "b")
    second, _ = await begin(store, "a")
    versions = {"a": "1", "c": "1"}
    assert [each.suite_run.id for each in await store.find_unfinished(versions)] == [second.id, first.id]
    await store.end_suite_run(second.id, SuiteRunStatus.CANCELLED)
    [cancelled, going_on] = await store.find_unfinished(versions)
    assert (cancelled.suite_run.id, cancelled.superseded_by) == (second.id, None)
    assert (going_on.suite_run.key, going_on.superseded_by) == (first.key, None)
    assert await store.find_unfinished({"a": "2", "c": "1"}) == ()
    assert await store.find_unfinished({}) == ()


async def test_unfinished_suite_run_is_superseded_by_a_later_one_with_all_that_it_has(store: RunStore) -> None:
    """Of the scenarios that are asked for, in their versions; one that came before says nothing, nor does a part."""
    versions = {"a": "1", "b": "1", "c": "1"}

    async def superseding(asked: Mapping[str, str] = versions) -> list[str | None]:
        return [each.superseded_by for each in await store.find_unfinished(asked)]

    earlier, _ = await begin(store, "a", "b")
    await store.end_suite_run(earlier.id, SuiteRunStatus.PASSED)
    await begin(store, "a", "b")
    part, _ = await begin(store, "a")
    await store.end_suite_run(part.id, SuiteRunStatus.PASSED)
    assert await superseding() == [None]
    assert await superseding({"a": "1"}) == [part.key]
    whole, _ = await begin(store, "a", "b", "c")
    assert await superseding() == [None, None]
    await store.end_suite_run(whole.id, SuiteRunStatus.FAILED)
    assert await superseding() == [whole.key]
    assert (await superseding({"b": "2", "a": "1"})) == [whole.key]


@pytest.mark.parametrize("changes", [{"environment": "staging"}, {"scenario_version": "2"}])
async def test_unfinished_suite_run_is_not_superseded_by_one_of_something_else(
    store: RunStore, changes: dict[str, str]
) -> None:
    """Another environment, or another version, is another question."""
    await begin(store, "a")
    later = await store.begin_suite_run(make_suite_run())
    await store.add_runs([make_run(later, "a", **changes)])
    await store.end_suite_run(later.id, SuiteRunStatus.PASSED)
    [unfinished] = await store.find_unfinished({"a": "1"})
    assert (unfinished.superseded_by, unfinished.environments) == (None, ("local",))


async def test_unfinished_suite_run_is_not_superseded_by_one_that_left_its_scenario_out(store: RunStore) -> None:
    """A run that was cancelled has not said how the scenario ends."""
    await begin(store, "a")
    later, [run] = await begin(store, "a")
    await store.skip_run(run.id, RunStatus.CANCELLED, "the session ended before it began")
    await store.end_suite_run(later.id, SuiteRunStatus.FAILED)
    [unfinished] = await store.find_unfinished({"a": "1"})
    assert unfinished.superseded_by is None


async def test_cancelled_run_keeps_its_intents_and_is_reopened(store: RunStore) -> None:
    """What was under way when a run was cancelled is in doubt later; other ends leave no doubt."""
    suite_run, [run, other] = await begin(store, "a", "b")
    lease, other_lease = await claimed(store, run), await claimed(store, other)
    for each in (lease, other_lease):
        await store.begin_step(each, StepIntent("place", 0), {"amount": 1})
    await store.finish_run(lease, RunStatus.CANCELLED, "stopped")
    await store.finish_run(other_lease, RunStatus.PASSED, None)
    await store.reopen_runs(suite_run.id)
    cancelled, passed = await store.read_runs([run.id, other.id])
    assert (cancelled.run.status, cancelled.run.reason, cancelled.run.finished_at) == (RunStatus.PENDING, None, None)
    assert [intent.alias for intent in cancelled.intents] == ["place"]
    assert (passed.run.status, passed.intents) == (RunStatus.PASSED, ())
    assert cancelled.data == passed.data == {"amount": 1}
    assert (await store.claim(run.id, "worker-2", TTL_S)).fence == 2


async def test_superseded_run_gives_its_key_up_and_keeps_what_it_recorded(store: RunStore) -> None:
    """A run of other definitions makes room, with a reason; its worker can write no more."""
    suite_run, [run] = await begin(store, "a")
    lease = await claimed(store, run)
    await store.record_step(lease, make_step("place"), None, {})
    anew = make_run(suite_run, "a", scenario_version="2")
    await store.supersede_runs([anew])
    await store.add_runs([anew])
    old, new = await store.load(suite_run.id)
    assert (old.run.key, old.run.status) == (f"a@{run.id[:8]}", RunStatus.CANCELLED)
    assert old.run.reason == "its scenario has changed; it was started anew"
    assert [step.alias for step in old.steps] == ["place"]
    assert (old.owner, old.fence > lease.fence) == (None, True)
    assert (new.run.id, new.run.key) == (anew.id, "a")


async def test_report_of_a_run_is_adopted_once(store: RunStore) -> None:
    """Of two who would tell of a dead worker's run, one does."""
    _, [run] = await begin(store)
    await store.finish_run(await claimed(store, run, "dead"), RunStatus.PASSED, None)
    [stored] = await store.read_runs([run.id])
    assert stored.ended_by == "dead"
    assert await store.adopt_run(run.id, "dead", "one")
    assert not await store.adopt_run(run.id, "dead", "two")
    assert await store.adopt_run(run.id, "dead", "one"), "asking again, after a lost answer, changes nothing"


async def test_reaper_gives_up_runs_that_nobody_went_on_with(store: RunStore, harness: Harness) -> None:
    """Only an ended lease makes a run stuck; who holds one, or never began, is left alone."""
    _, [left, held, _new] = await begin(store, "left", "held", "new")
    lease = await claimed(store, left)
    assert await store.reap_runs(0) == ()
    harness.expire(left.id)
    await claimed(store, held)
    assert await store.reap_runs(7 * 86_400) == ()
    assert await store.reap_runs(3600) == ("left",)
    [stuck] = await store.read_runs([left.id])
    assert (stuck.run.status, stuck.owner, stuck.ended_by) == (RunStatus.FAILED_STUCK, None, None)
    assert stuck.run.reason == "its worker died, and nobody went on with it"
    assert stuck.fence > lease.fence
    assert await store.claim(left.id, "worker-2", TTL_S) is None


async def test_reaper_gives_up_a_run_that_kills_its_workers(store: RunStore, harness: Harness) -> None:
    """After so many deaths nobody takes it any more, however short ago the last one was."""
    suite_run, [run] = await begin(store)
    for number in range(MOST_CLAIMS):
        assert await store.reap_runs(1e9, suite_run.id) == ()
        await claimed(store, run, f"worker-{number}")
        harness.expire(run.id)
    assert await store.reap_runs(1e9, unique()) == ()
    assert await store.reap_runs(1e9, suite_run.id) == (run.key,)
    [stuck] = await store.read_runs([run.id])
    assert stuck.run.reason == f"every worker that took it died: {MOST_CLAIMS} did"


async def test_quota_holds_for_all_sessions_of_the_tenant(store: RunStore, harness: Harness) -> None:
    """No more runs are leased at once than that, in whatever SuiteRun; what ends or expires makes room."""
    _, [one, two] = await begin(store, "one", "two")
    _, [three] = await begin(store, "three")
    await store.set_quota(1)
    assert await store.quota() == 1
    lease = await claimed(store, one)
    assert await store.claim(three.id, "worker-2", TTL_S) is None
    await store.finish_run(lease, RunStatus.PASSED, None)
    await claimed(store, three, "worker-2")
    assert await store.claim(two.id, "worker-1", TTL_S) is None
    harness.expire(three.id)
    await claimed(store, two)
    await store.set_quota(None)
    assert await store.quota() is None
    await claimed(store, three, "worker-2")


async def test_suite_run_ends_with_its_last_session(store: RunStore) -> None:
    """While another session holds runs, it goes on; and what failed there is not called passed here."""
    suite_run, [one, two] = await begin(store, "one", "two")
    ours, theirs = await claimed(store, one), await claimed(store, two, "worker-2")
    await store.finish_run(ours, RunStatus.FAILED, None)
    assert await store.end_suite_run(suite_run.id, SuiteRunStatus.FAILED) is SuiteRunStatus.IN_PROGRESS
    [(going_on, _)] = await store.history(1)
    assert (going_on.status, going_on.finished_at) == (SuiteRunStatus.IN_PROGRESS, None)
    await store.finish_run(theirs, RunStatus.PASSED, None)
    assert await store.end_suite_run(suite_run.id, SuiteRunStatus.PASSED) is SuiteRunStatus.FAILED
    [(ended, _)] = await store.history(1)
    assert ended.status is SuiteRunStatus.FAILED


async def test_states_tell_who_has_a_run_and_whether_it_ended(store: RunStore) -> None:
    """What one asks of the runs of others costs one small query."""
    _, [one, two] = await begin(store, "one", "two")
    await claimed(store, one)
    states = {state.run_id: state for state in await store.read_states([one.id, two.id, "none"])}
    assert {run_id: (each.status, each.owner, each.is_leased) for run_id, each in states.items()} == {
        one.id: (RunStatus.IN_PROGRESS, "worker-1", True),
        two.id: (RunStatus.PENDING, None, False),
    }
    await store.release_leases(["worker-1"])
    [released] = await store.read_states([one.id])
    assert (released.owner, released.is_leased) == ("worker-1", False)
