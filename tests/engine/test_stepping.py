"""Stepping: what somebody decides before each step, and what the engine makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.events import StepFinished
from pytest_orchestra.engine.limits import TimeLimit
from pytest_orchestra.engine.stepping import Decision, Pause, with_value
from pytest_orchestra.errors import StepError, UndefinedVariableError, UnreachableError
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import RunStatus, StepResult, StepStatus, SuiteRunStatus
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.testing import reply

Answers = Callable[[Pause], Decision | None]


class Person:
    """Answers as a test says: by the alias of the step, and of a step that failed by ``ALIAS!``; else goes on."""

    def __init__(self, **answers: Decision | Answers) -> None:
        self.asked: list[str] = []
        self.waits = asyncio.Event()
        self._answers = answers

    async def before(self, pause: Pause) -> Decision:
        return await self._decide(pause, pause.step.alias)

    async def after(self, pause: Pause, failed: StepResult) -> Decision:
        assert (failed.alias, failed.status) == (pause.step.alias, StepStatus.FAILED)
        return await self._decide(pause, f"{failed.alias}!")

    async def _decide(self, pause: Pause, question: str) -> Decision:
        self.asked.append(question)
        if question == "thinks":
            self.waits.set()
            await asyncio.Event().wait()
        answer = self._answers.get(question.replace("!", "_failed"), Decision.GO_ON)
        return answer if isinstance(answer, Decision) else answer(pause) or Decision.GO_ON


def stepped(person: Person) -> dict[str, Any]:
    return {"options": {"stepper": person}}


def sent(bench: Any) -> list[str]:
    return [call.alias for call in bench.protocol.calls]


def undone(alias: str, **more: Any) -> dict[str, Any]:
    return {"alias": alias, "finally": [{"alias": f"un{alias}", "endpointRef": "orders.any"}], **more}


async def test_every_step_that_is_carried_out_is_asked_about_also_those_that_clean_up(bench: Any) -> None:
    """Each is asked about once, right before it; what is not carried out anyway is not."""
    bench.answer(a=[reply(status=500)])
    person = Person()
    await bench.steps(undone("a"), {"alias": "b"}, **stepped(person))
    assert person.asked == ["a", "a!", "una"]
    assert sent(bench) == ["a", "una"]


async def test_skipped_step_is_not_sent_and_its_run_goes_on(bench: Any) -> None:
    """It is SKIPPED with the reason, in the store as well; what reads its reply, or cleans up behind it, is too."""
    results = await bench.steps(
        undone("a"),
        {"alias": "b", "inputTemplate": {"body": "{{step.a.response.body}}"}},
        {"alias": "c"},
        **stepped(Person(a=Decision.SKIP)),
    )
    assert sent(bench) == ["c"]
    assert (results["a"].status, results["a"].reason) == (StepStatus.SKIPPED, "skipped by hand")
    assert results["b"].reason == "it reads the reply of step 'a', which has none"
    assert results["una"].reason == "step 'a' did not begin"
    assert bench.outcome.finished.status is RunStatus.PASSED
    [stored] = await bench.store.read_runs(["id-main"])
    assert next(step for step in stored.steps if step.alias == "a").reason == "skipped by hand"


async def test_changed_data_is_sent_and_told(bench: Any) -> None:
    """The step before which it was changed says so, with the value; further steps have it too."""

    def change(pause: Pause) -> None:
        pause.change("amount", 5)
        pause.change("customer.name", "Ann")

    body = {"body": "{{data}}"}
    results = await bench.steps(
        {"alias": "a", "inputTemplate": body},
        {"alias": "b", "inputTemplate": body},
        {"alias": "c", "inputTemplate": body},
        data={"amount": 1, "customer": {"id": 7}},
        **stepped(Person(b=change)),
    )
    assert [call.input["body"]["amount"] for call in bench.protocol.calls] == [1, 5, 5]
    assert bench.protocol.calls[2].input["body"]["customer"] == {"id": 7, "name": "Ann"}
    assert {alias: dict(result.changed) for alias, result in results.items()} == {
        "a": {},
        "b": {"amount": 5, "customer.name": "Ann"},
        "c": {},
    }


async def test_pause_shows_values_and_what_is_sent_without_secrets(bench: Any) -> None:
    """Known secrets and credentials in headers are masked; names that there are not are told."""
    seen: dict[str, Any] = {}

    def look(pause: Pause) -> None:
        seen["sent"] = pause.preview()
        seen["body"] = pause.evaluate("step.a.response.body")
        seen["headers"] = pause.evaluate("step.a.response.headers")
        seen["states"] = [(each.alias, str(each.status)) for each in pause.results]
        seen["text"] = pause.mask("it is s3cret-word")
        with pytest.raises(UndefinedVariableError):
            pause.evaluate("data.gone")
        with pytest.raises(StepError) as refused:
            pause.change("amount", "s3cret-word")
        seen["refused"] = str(refused.value)

    answer = reply({"note": "s3cret-word", "id": 1})
    answer.response["headers"]["set-cookie"] = "a=b"  # type: ignore[index]
    bench.answer(a=[answer])
    await bench.steps(
        {"alias": "a"},
        {"alias": "b", "headers": {"Authorization": "Bearer x"}, "inputTemplate": {"body": {"n": "{{data.amount}}"}}},
        data={"amount": 3},
        environment=ResolvedEnvironment(Environment(), {"env:WORD": Secret("s3cret-word")}),
        **stepped(Person(b=look)),
    )
    assert seen["sent"]["operation"] == "orders.any"
    assert seen["sent"]["body"] == {"n": 3}
    assert seen["sent"]["headers"]["Authorization"] == "Bearer ***"
    assert seen["body"] == {"note": "***", "id": 1}
    assert seen["headers"] == {"set-cookie": "***"}
    assert seen["states"] == [("a", "PASSED"), ("b", "PENDING")]
    assert seen["text"] == "it is ***"
    assert seen["refused"] == (
        "'data.amount' is not changed: the value holds a secret of the environment, and data is shown\n"
        "hint: let a template read it from where it belongs"
    )


async def test_step_that_failed_is_carried_out_again_as_another_attempt(bench: Any) -> None:
    """It is FLAKY if it passes then, with the attempt that failed; whoever asks again is asked again."""
    bench.answer(a=[reply(status=500), reply(status=503), reply()])
    person = Person(a_failed=Decision.RETRY)
    results = await bench.steps({"alias": "a"}, **stepped(person))
    assert person.asked == ["a", "a!", "a!"]
    assert results["a"].status is StepStatus.FLAKY
    assert [attempt.actual_status_code for attempt in results["a"].attempts] == [500, 503]
    assert bench.outcome.finished.status is RunStatus.FLAKY
    assert sum(isinstance(event, StepFinished) for event in bench.listener.events) == 1


async def test_step_that_erred_is_carried_out_again_and_passes(bench: Any) -> None:
    """A service that was not started is no attempt of the system under test."""
    bench.answer(a=[UnreachableError("nothing listens"), reply()])
    results = await bench.steps({"alias": "a"}, **stepped(Person(a_failed=Decision.RETRY)))
    assert (results["a"].status, results["a"].attempts, results["a"].fault) == (StepStatus.PASSED, (), None)
    assert bench.outcome.finished.status is RunStatus.PASSED


async def test_failure_of_a_step_that_nobody_waits_for_is_no_question(bench: Any) -> None:
    """The run is elsewhere by then."""
    bench.answer(a=[reply(status=500)])
    person = Person()
    await bench.steps({"alias": "a", "mode": "FIRE_AND_FORGET"}, {"kind": "BARRIER", "alias": "b"}, **stepped(person))
    assert person.asked == ["a", "b"]
    assert bench.outcome.finished.status is RunStatus.FAILED


async def test_settling_is_not_measured_while_somebody_steps(bench: Any) -> None:
    """How long somebody thinks is not how long an effect takes."""
    steps = ({"alias": "a"}, {"alias": "b", "until": "true"})
    assert (await bench.steps(*steps, **stepped(Person())))["b"].settling_time_ms is None
    bench.store = MemoryStore("default")
    assert (await bench.steps(*steps))["b"].settling_time_ms is not None


async def _left_thinking(bench: Any, steps: list[dict[str, Any]], person: Person, **options: Any) -> asyncio.Task[Any]:
    running = asyncio.create_task(
        bench.run({"main": steps}, options={"stepper": person, **options}, data={"amount": 1}), name="session"
    )
    await asyncio.wait_for(person.waits.wait(), 60)
    return running


async def _leave(bench: Any, running: asyncio.Task[Any]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bench.engine.close(SuiteRunStatus.CANCELLED)


async def test_who_leaves_is_not_asked_any_more_and_what_began_is_cleaned_up(bench: Any) -> None:
    """The run is CANCELLED; the step that was asked about did not begin."""
    person = Person()
    await _leave(bench, await _left_thinking(bench, [undone("a"), undone("thinks")], person))
    assert person.asked == ["a", "thinks"]
    assert sent(bench) == ["a", "una"]
    [stored] = await bench.store.read_runs(["id-main"])
    assert stored.run.status is RunStatus.CANCELLED


async def test_resumed_run_keeps_what_was_decided_by_hand(bench: Any) -> None:
    """Skipped steps stay so, data stays changed, and what the earlier session did is marked as taken over."""
    body = {"inputTemplate": {"body": "{{data.amount}}"}}
    steps = [{"alias": "a", **body}, {"alias": "b"}, {"alias": "thinks", **body}]
    person = Person(a=lambda pause: pause.change("amount", 5), b=Decision.SKIP)
    await _leave(bench, await _left_thinking(bench, steps, person))
    outcome = (await bench.run({"main": steps}, suite_id="later", options={"resumes": True}, data={"amount": 1}))[
        "main"
    ]
    assert [(call.alias, call.input["body"]) for call in bench.protocol.calls] == [("a", 5), ("thinks", 5)]
    assert [(step.alias, str(step.status), step.taken_over) for step in outcome.finished.steps] == [
        ("a", "PASSED", True),
        ("b", "SKIPPED", True),
        ("thinks", "PASSED", False),
    ]


async def test_lease_is_kept_while_somebody_thinks(bench: Any) -> None:
    """No other worker may take the run over meanwhile."""
    running = await _left_thinking(bench, [{"alias": "thinks"}], Person(), lease_s=0.06)
    record = bench.store._records["id-main"]
    first = record.until
    async with asyncio.timeout(60):
        while record.until <= first:  # noqa: ASYNC110  the store tells nobody
            await asyncio.sleep(0.01)
    assert record.owner == "bench"
    await _leave(bench, running)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test sets forward."""

    offset = 0.0

    def time(self) -> float:
        return super().time() + self.offset


@pytest.fixture
def jumping() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        yield runner


async def _jump() -> None:
    """Let an hour pass, and whatever is due then happen."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.offset += 3600
    await asyncio.sleep(0.01)


class Slow(Person):
    """Takes an hour for each answer."""

    async def _decide(self, pause: Pause, question: str) -> Decision:
        await _jump()
        return await super()._decide(pause, question)


def test_time_limits_stand_still_while_somebody_thinks(bench: Any, jumping: asyncio.Runner) -> None:
    """Neither that of the scenario nor that of the session is over by it."""
    options = {"stepper": Slow(), "timeout_s": 600.0}
    results = jumping.run(bench.steps({"alias": "a"}, {"alias": "b"}, timeout_s=300.0, options=options))
    assert [str(result.status) for result in results.values()] == ["PASSED", "PASSED"]


def test_time_limits_go_on_behind_a_question(jumping: asyncio.Runner) -> None:
    """What was left of the time before it is left behind it, and no more."""
    left: list[float] = []

    async def think_and_dawdle() -> None:
        limit = TimeLimit.after(300.0)
        async with limit.applied():
            with limit.standing_still():
                await _jump()
            left.append((limit.at or 0) - asyncio.get_running_loop().time())
            await _jump()

    with pytest.raises(TimeoutError):
        jumping.run(think_and_dawdle())
    assert 0 < left[0] <= 300.0


def test_changed_data_leaves_what_was_there_as_it_is() -> None:
    """Objects on the way are made where there are none."""
    data = {"a": {"b": 1, "c": 2}, "d": 3}
    assert with_value(data, "a.b", 5) == {"a": {"b": 5, "c": 2}, "d": 3}
    assert with_value(data, "d.e.f", None) == {"a": {"b": 1, "c": 2}, "d": {"e": {"f": None}}}
    assert data == {"a": {"b": 1, "c": 2}, "d": 3}
