"""Runs that another worker ended: who reports them, when that worker lives, has left, or died on another machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_orchestra.engine.ports import MOST_CLAIMS, StepIntent
from pytest_orchestra.model.run import Observation, PollHistory, RunStatus, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.store.memory import MemoryStore

TTL_S = 0.2
LONG_S = 3600.0
STEPS = {"main": [{"alias": "place"}]}


async def end_elsewhere(bench: Any, owner: str, *keys: str) -> None:
    """Let a worker of another machine end runs, which it then owes reports of."""
    store = bench.store
    await store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    runs = [
        TestRun(f"id-{key}", "suite", key, "p", "h", key, "v", None, "default", "STOP_ON_FIRST_FAILURE", "c")
        for key in keys
    ]
    await store.add_runs(runs)
    for run in runs:
        lease = await store.claim(run.id, owner, LONG_S)
        await store.finish_run(lease, RunStatus.PASSED, None)


@asynccontextmanager
async def living(bench: Any, owner: str) -> AsyncIterator[None]:
    """Let a worker show signs of life."""

    async def show() -> None:
        while True:
            await bench.store.sign_in("suite", owner, LONG_S)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(show())
    try:
        await asyncio.sleep(0)
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_worker_that_lives_reports_what_it_ended(bench: Any) -> None:
    """Once it has shown itself again, its run is skipped here with its name."""
    await end_elsewhere(bench, "far", "main")
    async with living(bench, "far"):
        outcome = (await bench.run(STEPS, suite_id="other"))["main"].finished
    assert (outcome.status, outcome.reason) == (RunStatus.SKIPPED, "run by 'far', which reports it: PASSED")
    assert bench.protocol.calls == []


async def test_worker_that_left_has_reported_what_it_ended(bench: Any) -> None:
    """It took its sign of life along, and nobody waits for it."""
    await end_elsewhere(bench, "far", "main")
    await bench.store.sign_in("suite", "far", LONG_S)
    await bench.store.sign_out("suite", "far")
    assert (await bench.run(STEPS, suite_id="other"))["main"].finished.status is RunStatus.SKIPPED


async def test_reports_of_a_worker_whose_sign_of_life_expires_are_adopted(bench: Any) -> None:
    """What it had ended is told here as it ended, and the store knows by whom; nothing is sent again."""
    await end_elsewhere(bench, "far", "main")
    await bench.store.sign_in("suite", "far", TTL_S)
    outcome = (await bench.run(STEPS, suite_id="other"))["main"].finished
    assert (outcome.status, outcome.reason) == (RunStatus.PASSED, None)
    assert bench.protocol.calls == []
    assert (await bench.store.read_runs(["id-main"]))[0].ended_by == "bench"


async def test_report_of_the_dead_is_adopted_by_one_of_two_sessions(bench: Any) -> None:
    """Of two who wait for the same sign, one tells the run and the other says that somebody else does."""
    await end_elsewhere(bench, "far", "main")
    await bench.store.sign_in("suite", "far", TTL_S)
    both = await asyncio.gather(
        *(bench.run(STEPS, suite_id=owner, options={"owner": owner}) for owner in ("one", "two"))
    )
    assert sorted(str(outcomes["main"].finished.status) for outcomes in both) == ["PASSED", "SKIPPED"]


async def test_owed_report_holds_up_no_run_that_depends_on_it(bench: Any) -> None:
    """That a run has passed counts at once; only what is told of it is put off until all else has been done."""
    await end_elsewhere(bench, "far", "main")
    async with living(bench, "far"):
        outcomes = await bench.run({"next": [{"alias": "ship"}], **STEPS}, suite_id="other", needs={"next": ["main"]})
    assert {key: outcome.finished.status for key, outcome in outcomes.items()} == {
        "main": RunStatus.SKIPPED,
        "next": RunStatus.PASSED,
    }
    assert list(outcomes) == ["next", "main"]


async def test_sessions_that_end_together_wait_for_each_other_no_longer_than_to_be_seen(bench: Any) -> None:
    """Each owes the other a report; both see the other live, tell so, and leave no sign of life behind."""
    await bench.store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    scenarios = {f"s{n}": [{"alias": "place"}] for n in range(6)}
    bench.answer(delay_s=0.01)
    both = await asyncio.gather(
        *(
            bench.run(scenarios, suite_id=owner, concurrency=1, options={"owner": owner, "lease_s": LONG_S})
            for owner in ("one", "two")
        )
    )
    for key in scenarios:
        assert sorted(str(outcomes[key].finished.status) for outcomes in both) == ["PASSED", "SKIPPED"]
    assert await bench.store.read_signs("suite") == ()


async def test_session_that_is_stopped_tells_what_it_was_owed(bench: Any) -> None:
    """Nobody waits for a sign of life when the session is over."""
    await end_elsewhere(bench, "far", "main")
    await bench.store.sign_in("suite", "far", LONG_S)
    task = asyncio.create_task(bench.run(STEPS, suite_id="other", options={"lease_s": LONG_S}))
    async with asyncio.timeout(60):
        while not hasattr(bench, "outcomes"):  # noqa: ASYNC110  the bench has no event for having submitted
            await asyncio.sleep(0.01)
    await bench.engine.close(SuiteRunStatus.CANCELLED)
    assert (await task)["main"].finished.reason == "run by 'far', which reports it: PASSED"


@pytest.mark.parametrize("resumes", [False, True])
async def test_session_that_comes_when_all_is_over_says_so(bench: Any, resumes: bool) -> None:
    """A CI job that is run again under the same key reports nothing, and must not look as if it had passed."""
    await end_elsewhere(bench, "gone", "a", "b")
    steps = [{"alias": "place"}]
    await bench.run({"a": steps, "b": steps}, suite_id="later", options={"resumes": resumes})
    told = [note for note in bench.engine.notes if "has ended already" in note]
    said = (
        "suite run 'suite' has ended already, 2 PASSED: nothing is run again; give this one another key, "
        "or have it told again with --orchestra-resume"
    )
    assert told == ([] if resumes else [said])


async def test_session_that_finds_all_runs_ended_beside_a_living_worker_says_nothing(bench: Any) -> None:
    """Who comes last to a SuiteRun that is shared has company."""
    await end_elsewhere(bench, "other", "a")
    async with living(bench, "other"):
        await bench.run({"a": [{"alias": "place"}]}, suite_id="later")
    assert bench.engine.notes == []


async def test_run_that_killed_its_workers_tells_at_which_step_and_what_that_had_seen(bench: Any) -> None:
    """What was under way when the last worker died is where to look first."""
    steps = [{"alias": "place"}, {"alias": "paid", "until": "response.body == 'PAID'"}, {"alias": "last"}]
    now = datetime.now(UTC)
    store = bench.store = MemoryStore("default", clock=lambda: now)
    await store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    await store.add_runs([bench._request("main", steps).run])
    seen = PollHistory(datetime(2026, 1, 1, tzinfo=UTC), 3, (Observation("NEW", 0, 20, 3),))
    for number in range(MOST_CLAIMS):
        lease = await store.claim("id-main", f"worker-{number}", TTL_S)
        assert lease is not None
        await store.begin_step(lease, StepIntent("paid", 1, seen=seen))
        now += timedelta(seconds=60)
    finished = (await bench.run({"main": steps}, suite_id="later", options={"resumes": True}))["main"].finished
    assert finished.status is RunStatus.ERROR
    assert str(finished.fault) == (
        "every worker that took it died: 5 did\n"
        "hint: see what ended the workers; a SuiteRun of another key carries the scenario out anew"
    )
    assert [(step.alias, step.reason, step.polls) for step in finished.steps] == [
        ("place", "every worker that took it died: 5 did", 0),
        ("paid", "it was under way when the last worker died", 3),
        ("last", "every worker that took it died: 5 did", 0),
    ]
    assert finished.steps[1].observations == seen.observations
