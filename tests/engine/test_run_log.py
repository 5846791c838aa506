"""Writes of a run that go on beside it: what waits for them, what does not, and what a refused one comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_orchestra.engine.events import StepFinished
from pytest_orchestra.engine.ports import Lease
from pytest_orchestra.errors import StoreError, StoreUnavailableError
from pytest_orchestra.model.run import RunStatus, StepStatus, SuiteRun
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.testing import reply

WAIT = {"alias": "paid", "until": "response.body.status == 'PAID'", "timeoutMs": 60_000}
NEW, PAID = reply({"status": "NEW"}), reply({"status": "PAID"})


class SlowStore(MemoryStore):
    """A store that a test holds at a write, or lets refuse one; writes of a run take effect in their order.

    A write is called ``begin a``, ``record a``, or ``finish PASSED``. ``asked`` has those that were asked for,
    ``done`` those that took effect.
    """

    def __init__(self) -> None:
        self.offset = timedelta()
        super().__init__("default", clock=lambda: datetime.now(UTC) + self.offset)
        self.asked: list[str] = []
        self.done: list[str] = []
        self.refused: dict[str, StoreError] = {}
        self._stops: dict[str, asyncio.Event] = {}
        self._turn = asyncio.Lock()

    def hold(self, name: str) -> None:
        self._stops[name] = asyncio.Event()

    def let_go(self, name: str) -> None:
        self._stops[name].set()

    async def _write(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self.asked.append(name)
        try:
            async with self._turn:
                if name in self._stops:
                    await self._stops[name].wait()
                await asyncio.sleep(0)
                if name in self.refused:
                    raise self.refused[name]
                await work
        finally:
            work.close()
        self.done.append(name)

    async def begin_step(self, lease: Any, intent: Any, data: Any = None) -> None:
        await self._write(f"begin {intent.alias}", super().begin_step(lease, intent, data))

    async def record_step(self, lease: Any, result: Any, following: Any, exported: Any) -> None:
        work = super().record_step(lease, result, following, exported)
        await self._write(f"record {result.alias}", work)

    async def finish_run(self, lease: Any, status: Any, reason: Any, skipped: Any = ()) -> None:
        await self._write(f"finish {status}", super().finish_run(lease, status, reason, skipped))

    async def read_runs(self, run_ids: Any) -> Any:
        self.asked.append("read")
        if "read" in self._stops:
            await self._stops["read"].wait()
        return await super().read_runs(run_ids)

    async def state(self) -> Any:
        [stored] = await self.load("id-main")
        return stored


@pytest.fixture
def store(bench: Any) -> SlowStore:
    bench.store = SlowStore()
    return bench.store


async def until(holds: Callable[[], object]) -> None:
    """Let everything go on until something holds."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  the loop is what is waited for
            await asyncio.sleep(0.001)


async def rest() -> None:
    """Let everything that can go on do so."""
    for _ in range(50):
        await asyncio.sleep(0)


def called(bench: Any) -> list[str]:
    return [call.alias for call in bench.protocol.calls]


def ended_steps(bench: Any) -> list[tuple[str, Any]]:
    told = [event.result for event in bench.listener.events if isinstance(event, StepFinished)]
    return [(result.alias, result.fault and result.fault.error) for result in told]


async def expire_and_take_over(store: SlowStore) -> Lease:
    """Let the lease of the run end, and another worker have it."""
    store.offset += timedelta(seconds=60)
    lease = await store.claim("id-main", "other", 1000)
    assert lease is not None
    return lease


@pytest.mark.parametrize("mode", ["SYNC", "FIRE_AND_FORGET"])
@pytest.mark.parametrize("held", ["begin a", "record a"])
async def test_action_is_not_sent_before_the_store_has_its_intent(
    bench: Any, store: SlowStore, held: str, mode: str
) -> None:
    """The first action's intent is a write of its own, the next one's comes with the outcome before it."""
    store.hold(held)
    steps = [{"alias": "a"}, {"alias": "b", "mode": mode}]
    running = asyncio.create_task(bench.steps(*steps))
    await until(lambda: held in store.asked)
    await rest()
    assert called(bench) == ([] if held == "begin a" else ["a"])
    store.let_go(held)
    await running
    assert called(bench) == ["a", "b"]
    assert bench.outcome.finished.status is RunStatus.PASSED


async def test_wait_begins_while_the_outcome_before_it_is_written(bench: Any, store: SlowStore) -> None:
    """It only looks; an action behind it waits for all that was written before."""
    store.hold("record a")
    bench.answer(paid=[NEW, PAID])
    running = asyncio.create_task(bench.steps({"alias": "a"}, WAIT, {"alias": "c"}))
    await until(lambda: called(bench) == ["a", "paid", "paid"])
    await rest()
    assert store.done == ["begin a"]
    assert called(bench) == ["a", "paid", "paid"]
    store.let_go("record a")
    await running
    assert called(bench) == ["a", "paid", "paid", "c"]


async def test_writes_of_a_run_keep_their_order_and_none_is_left_behind(bench: Any, store: SlowStore) -> None:
    """Whatever the store takes its time for, the run's end is behind everything else, and told when it is stored."""
    bench.answer(paid=[NEW, NEW, PAID])
    flying = {"alias": "b", "mode": "FIRE_AND_FORGET"}
    await bench.steps({"alias": "a"}, flying, WAIT, {"alias": "c"}, {**WAIT, "alias": "paid2", "until": "true"})
    assert [name for name in store.asked if name != "read"] == store.done
    assert store.done[:2] == ["begin a", "record a"]
    in_order = [name for name in store.done if name != "record b"]
    assert in_order == [
        *("begin a", "record a", "begin paid", "record paid"),
        *("record c", "record paid2", "finish PASSED"),
    ]


@pytest.mark.parametrize("name", ["record a", "finish PASSED"])
async def test_refused_outcome_ends_the_run_in_an_error_that_is_stored(bench: Any, store: SlowStore, name: str) -> None:
    """A run of which the store lacks a step has not passed, neither in the report nor in the store."""
    store.refused[name] = StoreError("store: 'db:5432' refused a statement: no space left")
    bench.answer(paid=[PAID])
    await bench.steps({"alias": "a"}, WAIT)
    assert bench.outcome.finished.status is RunStatus.ERROR
    assert str(bench.outcome.finished.fault) == "store: 'db:5432' refused a statement: no space left"
    stored = await store.state()
    assert (stored.run.status, stored.run.reason) == (RunStatus.ERROR, str(store.refused[name]))
    assert [each for each in store.done if each.startswith("finish")] == ["finish ERROR"]


async def test_refused_outcome_stops_the_wait_behind_it(bench: Any, store: SlowStore) -> None:
    """What can no longer be recorded is not waited for; the step that waited has done nothing wrong."""
    store.refused["record a"] = StoreError("store: 'db:5432' refused a statement: no space left")
    async with asyncio.timeout(30):
        await bench.steps({"alias": "a"}, WAIT)
    assert bench.outcome.finished.status is RunStatus.ERROR
    assert ended_steps(bench) == [("a", None)]
    assert (await store.state()).run.status is RunStatus.ERROR


async def test_second_refusal_does_not_keep_the_error_from_the_store(bench: Any, store: SlowStore) -> None:
    """Writes that are under way when one is refused are waited for before the run cleans up and says so."""
    refusal = StoreError("store: 'db:5432' refused a statement: no space left")
    store.refused |= {"record a": refusal, "record paid": refusal}
    store.hold("record a")
    store.hold("record paid")
    bench.answer(paid=[PAID], late=[NEW])
    undone = {"alias": "a", "finally": [{"alias": "undo", "endpointRef": "orders.any"}]}
    running = asyncio.create_task(bench.steps(undone, WAIT, {**WAIT, "alias": "late", "pollIntervalMs": 1}))
    await until(lambda: "late" in called(bench))
    store.let_go("record a")
    looks = len(called(bench))
    await until(lambda: len(called(bench)) > looks or ended_steps(bench)[-1] == ("paid", None))
    await rest()
    assert "undo" not in called(bench)
    store.let_go("record paid")
    await running
    assert (await store.state()).run.status is RunStatus.ERROR
    assert called(bench)[-1] == "undo"


async def test_refusal_while_the_session_is_interrupted_leaves_a_run_to_go_on_with(
    bench: Any, store: SlowStore
) -> None:
    """Ctrl-C behind a refused write still gives the run back; the step whose outcome is lost is in doubt."""
    store.hold("record a")
    store.refused["record a"] = StoreError("store: 'db:5432' refused a statement: no space left")
    bench.answer(paid=[NEW])
    running = asyncio.create_task(bench.steps({"alias": "a"}, WAIT))
    await until(lambda: "paid" in called(bench))
    running.cancel()
    closing = asyncio.create_task(bench.engine.close("CANCELLED"))
    await rest()
    store.let_go("record a")
    await asyncio.gather(running, closing, return_exceptions=True)
    stored = await store.state()
    assert (stored.run.status, stored.is_leased) == (RunStatus.CANCELLED, False)
    assert "a" in [intent.alias for intent in stored.intents]


async def test_interrupted_run_leaves_nothing_unwritten(bench: Any, store: SlowStore) -> None:
    """What had ended when Ctrl-C came is in the store when the session ends, and behind it that it was cancelled."""
    store.hold("record a")
    bench.answer(paid=[NEW])
    running = asyncio.create_task(bench.steps({"alias": "a"}, WAIT))
    await until(lambda: "paid" in called(bench))
    running.cancel()
    closing = asyncio.create_task(bench.engine.close("CANCELLED"))
    await rest()
    assert not closing.done()
    store.let_go("record a")
    await asyncio.gather(running, closing, return_exceptions=True)
    assert [name for name in store.asked if name != "read"] == store.done
    stored = await store.state()
    assert stored.run.status is RunStatus.CANCELLED
    assert [(step.alias, step.status) for step in stored.steps] == [
        ("a", StepStatus.PASSED),
        ("paid", StepStatus.SKIPPED),
    ]
    [intent] = stored.intents
    assert (intent.alias, intent.seen is not None) == ("paid", True)


async def test_run_that_is_interrupted_at_its_end_keeps_its_last_outcome(bench: Any, store: SlowStore) -> None:
    """Ctrl-C while the end waits for writes before it costs no step that has ended: a resume does not repeat it."""
    store.hold("record a")
    bench.answer(paid=[PAID])
    running = asyncio.create_task(bench.steps({"alias": "a"}, WAIT))
    await until(lambda: ("paid", None) in ended_steps(bench))
    await rest()
    running.cancel()
    closing = asyncio.create_task(bench.engine.close("CANCELLED"))
    await rest()
    store.let_go("record a")
    await asyncio.gather(running, closing, return_exceptions=True)
    stored = await store.state()
    assert [(step.alias, step.status) for step in stored.steps] == [
        ("a", StepStatus.PASSED),
        ("paid", StepStatus.PASSED),
    ]
    assert stored.run.status is RunStatus.CANCELLED


async def test_lost_lease_stops_a_wait_at_its_next_look(bench: Any, store: SlowStore) -> None:
    """A refused write says so before the heartbeat does; the report is the other worker's, and no step is to blame."""
    store.hold("record a")
    bench.answer(paid=[NEW])
    running = asyncio.create_task(bench.steps({"alias": "a"}, WAIT))
    await until(lambda: "paid" in called(bench))
    lease = await expire_and_take_over(store)
    store.let_go("record a")
    await until(lambda: len(bench.engine._elsewhere) == 1)
    looks = len(bench.protocol.calls)
    await asyncio.sleep(0.02)
    assert len(bench.protocol.calls) == looks
    await store.finish_run(lease, RunStatus.PASSED, None)
    await running
    assert (bench.outcome.finished.status, bench.outcome.finished.reason) == (
        RunStatus.SKIPPED,
        "run by 'other', which reports it: PASSED",
    )
    assert ended_steps(bench) == [("a", None)]


async def test_lease_lost_while_the_end_is_written_leaves_the_run_to_the_other(bench: Any, store: SlowStore) -> None:
    """A run that another worker has taken over ends as that one says."""
    store.hold("finish PASSED")
    running = asyncio.create_task(bench.steps({"alias": "a"}))
    await until(lambda: "finish PASSED" in store.asked)
    lease = await expire_and_take_over(store)
    store.let_go("finish PASSED")
    await until(lambda: len(bench.engine._elsewhere) == 1)
    assert (await store.state()).run.status is RunStatus.IN_PROGRESS
    await store.finish_run(lease, RunStatus.FAILED, "as the other says")
    await running
    assert bench.outcome.finished.reason == "run by 'other', which reports it: FAILED"


async def test_lease_lost_between_two_attempts_leaves_the_run_to_the_other(bench: Any, store: SlowStore) -> None:
    """Also there the heartbeat's word ends only this worker's part, and not the session's report of the run."""
    store.hold("record a")
    bench.answer(a=[replace(reply(), status_code=500)])
    options = {"lease_s": 0.09}
    running = asyncio.create_task(bench.run({"main": [{"alias": "a"}]}, retries=1, options=options))
    await until(lambda: "record a" in store.asked)
    lease = await expire_and_take_over(store)
    await until(lambda: len(bench.engine._elsewhere) == 1)
    store.let_go("record a")
    await store.finish_run(lease, RunStatus.PASSED, None)
    await running
    assert bench.outcomes["main"].finished.reason == "run by 'other', which reports it: PASSED"
    assert called(bench) == ["a"]


async def test_lease_lost_before_the_run_goes_on_leaves_it_to_the_other(bench: Any, store: SlowStore) -> None:
    """Who takes a run over may lose it again while it reads what was done of it."""
    held = bench._request("main", [{"alias": "a"}]).run
    await store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    await store.add_runs([held])
    await store.claim(held.id, "dead", 1)
    store.offset += timedelta(seconds=60)
    store.hold("read")
    running = asyncio.create_task(bench.run({"main": [{"alias": "a"}]}, options={"lease_s": 0.09}))
    await until(lambda: "read" in store.asked)
    lease = await expire_and_take_over(store)
    await until(lambda: len(bench.engine._elsewhere) == 1)
    store.let_go("read")
    await store.finish_run(lease, RunStatus.PASSED, None)
    await running
    assert bench.outcomes["main"].finished.reason == "run by 'other', which reports it: PASSED"
    assert called(bench) == []


async def test_store_lost_while_a_wait_polls_ends_the_run_in_an_error(bench: Any, store: SlowStore) -> None:
    """What is written as a wait goes on finds out; nothing is sent behind it."""
    store.refused["begin paid"] = lost = StoreUnavailableError(
        "store: connection to 'db:5432' was lost", hint="see why"
    )
    bench.answer(paid=[NEW])
    with pytest.raises(StoreUnavailableError):
        await bench.steps({"alias": "a"}, WAIT, {"alias": "c"})
    finished = bench.outcomes["main"].finished
    assert (finished.status, str(finished.fault)) == (RunStatus.ERROR, str(lost))
    assert "c" not in called(bench)
    assert [(step.alias, step.status, step.fault) for step in finished.steps] == [
        ("a", StepStatus.PASSED, None),
        ("paid", StepStatus.SKIPPED, None),
        ("c", StepStatus.SKIPPED, None),
    ]


async def test_refused_outcome_of_a_failed_attempt_begins_no_other(bench: Any, store: SlowStore) -> None:
    """A retry of the whole run rests on what the store has of the attempt before it."""
    store.refused["record a"] = StoreError("store: 'db:5432' refused a statement: no space left")
    bench.answer(a=[replace(reply(), status_code=500)])
    await bench.run({"main": [{"alias": "a"}]}, retries=2)
    assert called(bench) == ["a"]
    assert (await store.state()).run.status is RunStatus.ERROR
    assert (await store.state()).attempts == ()
