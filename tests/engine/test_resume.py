"""Going on with runs that an earlier worker left: what is repeated, what is not, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from pytest_orchestra.engine.ports import Lease, StepIntent
from pytest_orchestra.errors import LeaseLostError
from pytest_orchestra.model.definition import Bindings, ChannelType
from pytest_orchestra.model.run import RunStatus, StepResult, StepStatus, SuiteRun
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.testing import ScriptedProtocol, reply


class Clock:
    """A clock that tests set forward."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    __call__ = now


class RepeatingScript(ScriptedProtocol):
    """A script whose actions may be sent again."""

    protocol_id: ClassVar[str] = "http"

    def may_repeat(self, *_: object) -> bool:
        return True


class Wreck:
    """What a worker that died has left in the store."""

    def __init__(self, bench: Any) -> None:
        self.clock = Clock()
        self.store = bench.store = MemoryStore("default", clock=self.clock)
        self._bench = bench

    async def leave(
        self, steps: Sequence[dict[str, Any]], *, done: Sequence[str], begun: Sequence[str] = (), **more: Any
    ) -> Lease:
        """Leave the run 'main': the steps ``done`` have passed, those ``begun`` were under way."""
        await self.store.begin_suite_run(SuiteRun("suite", "suite", "default"))
        request = self._bench._request("main", steps, **more)
        await self.store.add_runs([request.run])
        lease = await self.store.claim(request.run.id, "dead", 30)
        assert lease is not None
        now = self.clock.now()
        for step in request.scenario.steps:
            if step.alias in done:
                result = StepResult(
                    alias=step.alias,
                    name=step.name,
                    kind=step.kind,
                    channel_type=ChannelType.HTTP_REST,
                    element_id=step.element_id,
                    order_index=step.order_index,
                    status=StepStatus.PASSED,
                    started_at=now,
                    finished_at=now,
                    response={"status": 200, "headers": {}, "body": {"id": f"{step.alias}-1"}},
                    **more.get("results", {}),
                )
                await self.store.record_step(lease, result, None, {})
            elif step.alias in begun:
                await self.store.begin_step(lease, self.intent(step.alias, step.order_index, now))
        self.clock.offset += timedelta(seconds=60)
        return lease

    @staticmethod
    def intent(alias: str, order_index: int, now: datetime) -> StepIntent:
        return StepIntent(alias, order_index, started_at=now, deadline_at=now + timedelta(seconds=1))


@pytest.fixture
def wreck(bench: Any) -> Wreck:
    return Wreck(bench)


def resumed(bench: Any, steps: Sequence[dict[str, Any]], **more: Any) -> Any:
    return bench.run({"main": steps}, suite_id="later", options={"resumes": True}, **more)


async def test_resumed_run_repeats_no_finished_step_and_tells_all(bench: Any, wreck: Wreck) -> None:
    """The steps behind the last finished one are carried out, with the replies of those before; the report has all."""
    steps = [
        {"alias": "a"},
        {"alias": "b"},
        {"alias": "c", "inputTemplate": {"path": {"id": "{{step.a.response.body.id}}"}}},
    ]
    await wreck.leave(steps, done=["a", "b"])
    outcome = (await resumed(bench, steps))["main"].finished
    assert outcome.status is RunStatus.PASSED
    assert [call.alias for call in bench.protocol.calls] == ["c"]
    assert bench.protocol.calls[0].input["path"] == {"id": "a-1"}
    assert [(step.alias, step.status) for step in outcome.steps] == [(alias, StepStatus.PASSED) for alias in "abc"]
    began = f"{bench.engine.suite_run.started_at:%Y-%m-%d %H:%M:%S} UTC"
    assert bench.engine.notes == [f"resumes suite run 'suite' of {began}: 0 of 1 runs had ended, 1 is left"]


async def test_resumed_run_keeps_its_correlation_id_and_its_start(bench: Any, wreck: Wreck) -> None:
    """What the system under test has of the run already belongs to it under the id that it was sent with."""
    steps = [{"alias": "a"}, {"alias": "b"}]
    await wreck.leave(steps, done=["a"])
    begun = (await wreck.store.load("id-main"))[0].run
    wreck.store._records["id-main"].run = replace(begun, correlation_id="the-first")
    finished = (await resumed(bench, steps))["main"].finished
    assert bench.protocol.calls[0].correlation_id == finished.run.correlation_id == "the-first"
    assert finished.run.started_at == begun.started_at


async def test_resumed_action_in_doubt_ends_the_run_as_an_error_that_says_so(bench: Any, wreck: Wreck) -> None:
    """An action that may have arrived and must not arrive twice is not sent: that is no violation of anybody."""
    steps = [{"alias": "a"}, {"alias": "pay"}, {"alias": "c"}]
    await wreck.leave(steps, done=["a"], begun=["pay"])
    finished = (await resumed(bench, steps))["main"].finished
    assert bench.protocol.calls == []
    assert finished.status is RunStatus.ERROR
    assert [step.status for step in finished.steps] == [StepStatus.PASSED, StepStatus.FAILED, StepStatus.SKIPPED]
    assert finished.fault.error == "StepInDoubtError"
    assert str(finished.fault) == (
        "step 'pay' was under way when its run was cut off; nobody knows whether it took effect\n"
        "hint: run the scenario anew, or let the step be repeated with 'onResume: retry'"
    )
    assert finished.steps[1].violations == ()
    [stored] = await wreck.store.load("suite")
    assert (stored.run.status, stored.intents, stored.owner) == (RunStatus.ERROR, (), None)


@pytest.mark.parametrize(
    ("protocol", "on_resume", "suite_wide", "is_sent"),
    [
        (ScriptedProtocol, None, None, False),
        (ScriptedProtocol, "retry", None, True),
        (ScriptedProtocol, None, "retry", True),
        (ScriptedProtocol, "fail", "retry", False),
        (RepeatingScript, None, None, True),
        (RepeatingScript, "fail", None, False),
        (RepeatingScript, None, "fail", False),
        (RepeatingScript, "retry", "fail", True),
    ],
)
async def test_resumed_action_in_doubt_is_repeated_where_step_sidecar_or_protocol_allow_it(
    bench: Any, wreck: Wreck, protocol: Any, on_resume: str | None, suite_wide: str | None, is_sent: bool
) -> None:
    """The step's own word goes first, then the sidecar's, then the protocol's; without any, nothing is repeated."""
    bench.protocol = protocol()
    steps = [{"alias": "pay"} | ({"onResume": on_resume} if on_resume else {})]
    bindings = Bindings(poll_interval_ms=1, timeout_ms=1000, on_resume=suite_wide)
    await wreck.leave(steps, done=[], begun=["pay"], bindings=bindings)
    finished = (await resumed(bench, steps, bindings=bindings))["main"].finished
    assert [call.alias for call in bench.protocol.calls] == (["pay"] if is_sent else [])
    assert finished.status is (RunStatus.PASSED if is_sent else RunStatus.ERROR)
    assert finished.steps[0].repeated is is_sent


async def test_resumed_action_is_sent_under_the_key_of_the_first_time(bench: Any, wreck: Wreck) -> None:
    """A service that recognises the key sees one action, however often it was sent; other steps have other keys."""
    steps = [{"alias": "pay"}, {"alias": "ship"}, {"alias": "look", "until": "status == 200"}]
    await bench.run({"main": steps})
    first = {call.alias: call.idempotency_key for call in bench.protocol.calls}
    assert first["look"] == ""
    assert len(set(first.values())) == 3
    bench.protocol = RepeatingScript()
    again = Wreck(bench)
    await again.leave(steps, done=[], begun=["pay"])
    await resumed(bench, steps)
    assert {call.alias: call.idempotency_key for call in bench.protocol.calls} == first


async def test_resumed_wait_keeps_its_deadline(bench: Any, wreck: Wreck) -> None:
    """A wait whose time went by while nobody looked gets one look more, and no second time limit."""
    steps = [{"alias": "a"}, {"alias": "look", "until": "status == 201", "timeoutMs": 60_000}]
    await wreck.leave(steps, done=["a"], begun=["look"])
    options = {"resumes": True, "clock": wreck.clock}
    finished = (await bench.run({"main": steps}, suite_id="later", options=options))["main"].finished
    assert [call.alias for call in bench.protocol.calls] == ["look"]
    assert finished.status is RunStatus.FAILED
    assert finished.steps[1].violations[0].code == "until"


async def test_resumed_wait_that_is_fulfilled_has_no_settling_time(bench: Any, wreck: Wreck) -> None:
    """What held at the first look after a pause may have held for long: that is no measurement."""
    steps = [{"alias": "a"}, {"alias": "look", "until": "status == 200"}]
    await wreck.leave(steps, done=["a"], begun=["look"])
    finished = (await resumed(bench, steps))["main"].finished
    assert finished.status is RunStatus.PASSED
    assert finished.steps[1].settling_time_ms is None


async def test_resumed_wait_behind_a_repeated_action_has_its_full_time(bench: Any, wreck: Wreck) -> None:
    """An effect cannot be there in time of an action that was only now sent again."""
    bench.protocol = RepeatingScript({"look": [reply(status=202), reply(status=202), reply()]})
    steps = [{"alias": "fire", "mode": "FIRE_AND_FORGET"}, {"alias": "look", "until": "status == 200"}]
    await wreck.leave(steps, done=[], begun=["fire", "look"])
    finished = (await resumed(bench, steps))["main"].finished
    assert finished.status is RunStatus.PASSED
    assert finished.steps[1].polls == 3


async def test_resumed_barrier_waits_for_the_flights_that_began_anew(bench: Any, wreck: Wreck) -> None:
    """A step that nobody waited for is sent again if it may be, and its barrier waits for it."""
    bench.protocol = RepeatingScript(delay_s=0.02)
    steps = [
        {"alias": "one", "mode": "FIRE_AND_FORGET"},
        {"alias": "two", "mode": "FIRE_AND_FORGET"},
        {"alias": "wall", "kind": "BARRIER", "trackedSteps": ["one", "two"]},
        {"alias": "end"},
    ]
    await wreck.leave(steps, done=["one"], begun=["two", "wall"])
    finished = (await resumed(bench, steps))["main"].finished
    assert [call.alias for call in bench.protocol.calls] == ["two", "end"]
    assert [step.status for step in finished.steps] == [StepStatus.PASSED] * 4


async def test_resumed_run_whose_step_failed_goes_no_further(bench: Any, wreck: Wreck) -> None:
    """A failure that was recorded and whose run was not ended ends it now, as it would have done then."""
    steps = [{"alias": "a"}, {"alias": "b"}]
    await wreck.leave(steps, done=["a"])
    record = wreck.store._records["id-main"]
    record.steps["a"] = replace(record.steps["a"], status=StepStatus.FAILED)
    finished = (await resumed(bench, steps))["main"].finished
    assert bench.protocol.calls == []
    assert finished.status is RunStatus.FAILED
    assert [step.status for step in finished.steps] == [StepStatus.FAILED, StepStatus.SKIPPED]


async def test_resumed_session_tells_of_ended_runs_again_and_runs_none(bench: Any, wreck: Wreck) -> None:
    """Passed, failed: the report of a resumed session is that of the whole SuiteRun."""
    bench.answer(bad=[reply(status=500)])
    scenarios = {"good": [{"alias": "a"}], "bad": [{"alias": "bad"}], "next": [{"alias": "c"}]}
    before = await bench.run(scenarios, needs={"next": ["bad"]})
    bench.answer()
    after = await bench.run(scenarios, suite_id="later", options={"resumes": True}, needs={"next": ["bad"]})
    assert bench.protocol.calls == []
    told = {key: (outcome.finished.status, outcome.finished.steps) for key, outcome in after.items()}
    assert told == {key: (outcome.finished.status, outcome.finished.steps) for key, outcome in before.items()}
    [note] = bench.engine.notes
    assert note.startswith("resumes suite run 'suite' of ")
    assert note.endswith(": 3 of 3 runs had ended, none is left")


async def test_resumed_session_starts_a_changed_scenario_anew(bench: Any, wreck: Wreck) -> None:
    """Results of other definitions say nothing of these: the run begins again, and the old one stays."""
    steps = [{"alias": "a"}, {"alias": "b"}]
    await wreck.leave(steps, done=["a"], begun=["b"])
    old = wreck.store._records["id-main"]
    old.run = replace(old.run, scenario_version="old")
    wreck.store._records["id-old"] = wreck.store._records.pop("id-main")
    old.run = replace(old.run, id="id-old")
    finished = (await resumed(bench, steps))["main"].finished
    assert finished.status is RunStatus.PASSED
    assert [call.alias for call in bench.protocol.calls] == ["a", "b"]
    assert "'main' has changed since; it is run anew" in bench.engine.notes
    states = {stored.run.key: (stored.run.status, stored.run.reason) for stored in await wreck.store.load("suite")}
    assert states == {
        "main@id-old": (RunStatus.CANCELLED, "its scenario has changed; it was started anew"),
        "main": (RunStatus.PASSED, None),
    }


async def test_joined_session_refuses_a_scenario_of_another_version(bench: Any, wreck: Wreck) -> None:
    """Two sessions of one SuiteRun with different definitions would each undo the other's work."""
    steps = [{"alias": "a"}]
    await wreck.leave(steps, done=[])
    record = wreck.store._records["id-main"]
    record.run = replace(record.run, scenario_version="old")
    finished = (await bench.run({"main": steps}, suite_id="later"))["main"].finished
    assert finished.status is RunStatus.ERROR
    assert finished.fault.message == "suite run 'suite' has 'main' in another version, or for another environment"


async def test_resumed_run_has_the_data_that_it_began_with(bench: Any, wreck: Wreck) -> None:
    """Data that a fixture makes anew in every session does not change in the middle of a run."""
    steps = [{"alias": "a"}, {"alias": "b", "inputTemplate": {"body": {"who": "{{data.who}}"}}}]
    hang = asyncio.Event()
    bench.protocol = type("Hanging", (ScriptedProtocol,), {"execute": lambda *_: hang.wait()})()
    wreck.clock.offset = timedelta()
    task = asyncio.create_task(bench.run({"main": steps}, data={"who": "first"}))
    while not (await wreck.store.load("id-main")) or not (await wreck.store.load("id-main"))[0].intents:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for running in bench.engine._tasks.values():
        running.cancel()
    wreck.clock.offset += timedelta(seconds=60)
    bench.protocol = RepeatingScript()
    await resumed(bench, steps, data={"who": "second"})
    assert bench.protocol.calls[-1].input["body"] == {"who": "first"}


async def test_resumed_step_that_reads_a_masked_reply_is_an_error(bench: Any, wreck: Wreck) -> None:
    """Secrets are in no store: a step that needs one of an earlier process says so instead of sending asterisks."""
    steps = [{"alias": "login"}, {"alias": "b", "inputTemplate": {"body": {"t": "{{step.login.response.body.token}}"}}}]
    await wreck.leave(steps, done=["login"])
    record = wreck.store._records["id-main"]
    record.steps["login"] = replace(
        record.steps["login"], masked=True, response={"status": 200, "headers": {}, "body": {"token": "***", "id": "x"}}
    )
    finished = (await resumed(bench, steps))["main"].finished
    assert bench.protocol.calls == []
    assert finished.status is RunStatus.ERROR
    assert finished.fault.message == (
        "step 'b' reads 'step.login.response.body.token', which held a secret; the store keeps none, "
        "and so the resumed run does not have it"
    )


async def test_cancelled_run_goes_on_when_resumed(bench: Any) -> None:
    """Ctrl-C is no end that one cannot come back from: what was done stays done, and what was under way is in doubt."""
    bench.protocol = RepeatingScript(delay_s=0.05)
    steps = [{"alias": "a"}, {"alias": "b"}, {"alias": "c"}]
    task = asyncio.create_task(bench.run({"main": steps}))
    while len(bench.protocol.calls) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.engine.close("CANCELLED")
    [stored] = await bench.store.load("suite")
    assert (stored.run.status, [intent.alias for intent in stored.intents]) == (RunStatus.CANCELLED, ["b"])
    first = [call.alias for call in bench.protocol.calls]
    bench.protocol = RepeatingScript()
    finished = (await resumed(bench, steps))["main"].finished
    assert finished.status is RunStatus.PASSED
    assert (first, [call.alias for call in bench.protocol.calls]) == (["a", "b"], ["b", "c"])
    assert [step.status for step in finished.steps] == [StepStatus.PASSED] * 3


async def test_run_of_a_living_worker_is_waited_for(bench: Any, wreck: Wreck) -> None:
    """What another worker holds is left to it; when it has ended, that is told, and who depends on it may start."""
    steps = [{"alias": "a"}]
    lease = await wreck.leave(steps, done=["a"])
    wreck.clock.offset = timedelta()
    task = asyncio.create_task(
        bench.run({"main": steps, "next": [{"alias": "n"}]}, suite_id="later", needs={"next": ["main"]})
    )
    await asyncio.sleep(0.1)
    assert bench.protocol.calls == []
    await wreck.store.finish_run(lease, RunStatus.PASSED, None)
    outcomes = await task
    assert outcomes["main"].finished.status is RunStatus.SKIPPED
    assert outcomes["main"].finished.reason == "run by 'dead', which reports it: PASSED"
    assert outcomes["next"].finished.status is RunStatus.PASSED


async def test_run_of_a_worker_that_died_is_taken_over_when_its_lease_ends(bench: Any, wreck: Wreck) -> None:
    """A lease that nobody prolongs any more ends, and whoever waits goes on with the run."""
    steps = [{"alias": "a"}, {"alias": "b"}]
    await wreck.leave(steps, done=["a"])
    wreck.clock.offset = timedelta()
    task = asyncio.create_task(bench.run({"main": steps}, suite_id="later"))
    await asyncio.sleep(0.1)
    assert bench.protocol.calls == []
    wreck.clock.offset = timedelta(seconds=60)
    outcome = (await task)["main"].finished
    assert (outcome.status, [call.alias for call in bench.protocol.calls]) == (RunStatus.PASSED, ["b"])


async def test_run_of_a_worker_known_to_be_dead_is_taken_over_at_once(bench: Any, wreck: Wreck) -> None:
    """Where the machine knows that a worker is gone, nobody waits for its lease."""

    class Knowing:
        def is_gone(self, owner: str) -> bool:
            return owner == "dead"

    steps = [{"alias": "a"}, {"alias": "b"}]
    await wreck.leave(steps, done=["a"])
    wreck.clock.offset = timedelta()
    options = {"presence": Knowing()}
    async with asyncio.timeout(5):
        outcome = (await bench.run({"main": steps}, suite_id="later", options=options))["main"].finished
    assert outcome.status is RunStatus.PASSED


async def test_revived_worker_is_stopped_and_writes_nothing(bench: Any, wreck: Wreck) -> None:
    """A worker that was frozen finds its run taken over: it stops, and what it would have written is refused."""
    steps = [{"alias": "slow"}, {"alias": "b"}]
    bench.protocol = ScriptedProtocol(delay_s=0.3)
    task = asyncio.create_task(bench.run({"main": steps}, options={"lease_s": 0.15}))
    while not bench.protocol.calls:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    wreck.clock.offset = timedelta(seconds=60)
    other = await wreck.store.claim("id-main", "other", 600)
    assert other is not None
    with pytest.raises(LeaseLostError):
        await wreck.store.begin_step(replace(other, fence=other.fence - 1), StepIntent("b", 1))
    await wreck.store.finish_run(other, RunStatus.PASSED, None)
    outcome = (await task)["main"].finished
    assert outcome.status is RunStatus.SKIPPED
    assert [call.alias for call in bench.protocol.calls] == ["slow"]


async def test_skipped_step_leaves_the_next_one_with_an_intent(bench: Any) -> None:
    """Whatever comes before it, a step is known to have begun before it does: also behind one that was skipped."""
    seen: list[tuple[str, ...]] = []

    class Looking(ScriptedProtocol):
        async def execute(self, call: Any, specs: Any) -> Any:
            [stored] = await bench.store.load("id-main")
            seen.append(tuple(intent.alias for intent in stored.intents))
            return await super().execute(call, specs)

    bench.protocol = Looking({"a": [TimeoutError()]})
    steps = [{"alias": "a"}, {"alias": "b", "inputTemplate": {"body": "{{step.a.response.body}}"}}, {"alias": "c"}]
    await bench.run({"main": steps}, mode="RUN_ALL_STEPS")
    assert [set(aliases) >= {alias} for aliases, alias in zip(seen, ["a", "c"], strict=True)] == [True, True]
