"""What waits have seen so far: kept as they go on, told when they are cut short, taken up by those that come later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.events import StepRetried
from pytest_orchestra.engine.polling import History, PollWatch
from pytest_orchestra.engine.ports import StepIntent
from pytest_orchestra.errors import StoreError
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import Observation, PollHistory, RunStatus, SuiteRun
from pytest_orchestra.model.secret import MASK, Secret
from pytest_orchestra.testing import ScriptedProtocol, reply

START = datetime(2026, 1, 1, tzinfo=UTC)
WAIT = {"alias": "paid", "until": "response.body.status == 'PAID'", "timeoutMs": 60_000}


def told(observations: Sequence[Observation]) -> list[tuple[object, int]]:
    return [(seen.value, seen.count) for seen in observations]


async def leave_waiting(bench: Any, steps: Sequence[dict[str, Any]], looks: int, **more: Any) -> None:
    """Interrupt a session when its wait has looked that many times."""
    task = asyncio.create_task(bench.run({"main": steps}, **more))
    while len(bench.protocol.calls) <= looks:  # noqa: ASYNC110  the next look has begun, so the one before is noted
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.engine.close("CANCELLED")


async def test_resumed_wait_goes_on_with_what_was_seen_before(bench: Any) -> None:
    """Reports show all polls of a wait, whoever made them, and count them."""
    bench.answer(paid=[reply({"status": "NEW"})])
    await leave_waiting(bench, [WAIT], looks=3)
    [stored] = await bench.store.load("suite")
    seen = stored.intents[0].seen
    assert seen is not None
    assert (told(seen.observations), seen.polls >= 3) == ([("NEW", seen.polls)], True)
    bench.answer(paid=[reply({"status": "NEW"}), reply({"status": "PACKED"}), reply({"status": "PAID"})])
    outcome = await bench.run({"main": [WAIT]}, suite_id="later", options={"resumes": True, "owner": "two"})
    [step] = outcome["main"].finished.steps
    assert (outcome["main"].finished.status, step.polls) == (RunStatus.PASSED, seen.polls + 3)
    assert told(step.observations) == [("NEW", seen.polls + 1), ("PACKED", 1), ("PAID", 1)]
    assert (step.started_at, step.duration_ms > step.observations[-1].first_ms) == (stored.intents[0].started_at, True)
    moments = [moment for each in step.observations for moment in (each.first_ms, each.last_ms)]
    assert moments == sorted(moments)


async def test_resumed_wait_behind_a_repeated_action_has_a_history_of_its_own(bench: Any) -> None:
    """What was seen before the action was sent again is not what that one caused."""
    await bench.store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    steps = [{"alias": "fire", "mode": "FIRE_AND_FORGET", "onResume": "retry"}, WAIT]
    await bench.store.add_runs([bench._request("main", steps).run])
    lease = await bench.store.claim("id-main", "dead", 30)
    seen = PollHistory(START, 7, (Observation("NEW", 0, 60, 7),))
    await bench.store.begin_step(lease, StepIntent("fire", 0, started_at=START))
    await bench.store.begin_step(lease, StepIntent("paid", 1, started_at=START, deadline_at=START, seen=seen))
    await bench.store.release_leases(["dead"])
    bench.answer(paid=[reply({"status": "PAID"})])
    outcome = await bench.run({"main": steps}, suite_id="later", options={"resumes": True})
    assert outcome["main"].finished.steps[1].polls == 1
    assert told(outcome["main"].finished.steps[1].observations) == [("PAID", 1)]


async def test_run_interrupted_between_two_attempts_of_a_wait_goes_on_with_the_second(bench: Any) -> None:
    """What the first attempt saw is its own: the next one begins with nothing seen."""
    bench.answer(paid=[reply({"status": "NEW"})])
    wait = {**WAIT, "timeoutMs": 5, "retry": {"attempts": 2, "delayMs": 60_000}}
    task = asyncio.create_task(bench.run({"main": [wait]}))
    while not any(isinstance(event, StepRetried) for event in bench.listener.events):  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.engine.close("CANCELLED")
    [stored] = await bench.store.load("suite")
    [intent] = stored.intents
    assert (intent.attempt, intent.seen, len(intent.earlier)) == (2, None, 1)


async def test_what_a_wait_has_seen_is_kept_without_secrets(bench: Any) -> None:
    """The store learns no more of a wait that goes on than of one that has ended."""
    environment = ResolvedEnvironment(Environment(), {"env:TOKEN": Secret("hush-hush")})
    bench.answer(paid=[reply({"status": "for hush-hush"})])
    await leave_waiting(bench, [WAIT], looks=2, environment=environment)
    [stored] = await bench.store.load("suite")
    assert stored.intents[0].seen is not None
    assert [seen.value for seen in stored.intents[0].seen.observations] == [f"for {MASK}"]


async def test_scenario_whose_time_is_over_tells_what_its_wait_had_seen(bench: Any) -> None:
    """The step that it was at shows its polls, its last call and how long it took, as one that fails by itself."""
    bench.answer(paid=[reply({"status": "NEW"})])
    outcome = (await bench.run({"main": [WAIT]}, timeout_s=0.1))["main"].finished
    [step] = outcome.steps
    assert [violation.code for violation in step.violations] == ["scenario-timeout"]
    assert told(step.observations) == [("NEW", step.polls)]
    assert step.exchange is not None
    assert step.duration_ms > 0
    assert step.started_at is not None


async def test_watch_keeps_the_history_more_seldom_the_longer_the_wait() -> None:
    """The first time after a second, then at twice the time, and every ten seconds in the end."""
    now, kept = 0.0, list[tuple[float, int]]()

    async def keep(history: PollHistory) -> None:
        kept.append((now, history.polls))

    watch = PollWatch(keep, clock=lambda: now)
    for tenth in range(1, 451):
        now = tenth / 10
        watch.history.polls += 1
        watch.history.add("NEW", START)
        watch.looked()
        await watch.settle()
    assert kept == [(float(at), at * 10) for at in (1, 2, 4, 8, 16, 26, 36)]


async def test_watch_that_cannot_keep_lets_the_wait_go_on() -> None:
    """The next write of the run says what is wrong with the store; polls do not wait for that."""
    asked = asyncio.Event()

    async def keep(_: PollHistory) -> None:
        asked.set()
        raise StoreError("store: gone")

    watch = PollWatch(keep, clock=iter((0.0, 2.0)).__next__)
    watch.history.add("NEW", START)
    watch.looked()
    await watch.settle()
    assert asked.is_set()


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(hours=1)])
async def test_wait_of_a_machine_whose_clock_is_wrong_is_no_longer_than_a_new_one(bench: Any, ahead: timedelta) -> None:
    """A deadline from a clock that is ahead does not make a session wait for an hour; moments never go back."""
    now = datetime.now(UTC) + ahead
    wait = {**WAIT, "timeoutMs": 100}
    await bench.store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    await bench.store.add_runs([bench._request("main", [wait]).run])
    lease = await bench.store.claim("id-main", "dead", 30)
    seen = PollHistory(now, 1, (Observation("NEW", 0, 0),))
    deadline_at = now + timedelta(milliseconds=100)
    await bench.store.begin_step(lease, StepIntent("paid", 0, started_at=now, deadline_at=deadline_at, seen=seen))
    await bench.store.release_leases(["dead"])
    bench.protocol = ScriptedProtocol({"paid": [reply({"status": "PACKED"})]})
    running = bench.run({"main": [wait]}, suite_id="later", options={"resumes": True})
    finished = (await asyncio.wait_for(running, 60))["main"].finished
    [step] = finished.steps
    assert (finished.status, step.violations[0].code) == (RunStatus.FAILED, "until")
    assert [value for value, _ in told(step.observations)] == ["NEW", "PACKED"]
    assert 0 <= step.observations[0].last_ms <= step.observations[1].first_ms <= step.observations[1].last_ms


def test_history_goes_on_with_that_of_an_earlier_worker() -> None:
    """Its moments count from the first poll of all."""
    history = History(PollHistory(START, 2, (Observation("NEW", 0, 100, 2),)))
    history.add("NEW", START + timedelta(seconds=9))
    history.add("PAID", START + timedelta(seconds=10))
    assert history.observations == (Observation("NEW", 0, 9000, 3), Observation("PAID", 10_000, 10_000))
