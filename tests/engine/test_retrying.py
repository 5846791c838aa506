"""Trying again: steps and whole runs that failed, what is sent then, and what is kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from pytest_orchestra.engine.events import RunRetried, StepRetried
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.engine.retrying import UNREPEATABLE, RetryPolicy
from pytest_orchestra.errors import UnreachableError
from pytest_orchestra.model.definition import Bindings, StepDefinition
from pytest_orchestra.model.run import RunStatus, StepStatus
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.testing import ScriptedProtocol, reply

QUICK = {"attempts": 3, "delayMs": 1}
UNHURRIED = Bindings(poll_interval_ms=1, timeout_ms=1000)


class Repeating(ScriptedProtocol):
    """A script whose actions may be sent again."""

    protocol_id: ClassVar[str] = "http"

    def may_repeat(self, *_: object) -> bool:
        return True


def repeating(bench: Any, **answers: Sequence[Any]) -> None:
    bench.protocol = Repeating(answers)


def keys(bench: Any, alias: str) -> list[str]:
    return [call.idempotency_key for call in bench.protocol.calls if call.alias == alias]


async def test_step_that_passes_at_its_second_attempt_is_flaky_and_keeps_the_first(bench: Any) -> None:
    """What went wrong before is in the result, with what was sent and what came; the run is flaky too."""
    repeating(bench, place=[reply(status=503), reply({"id": 7})])
    result = (await bench.steps({"alias": "place", "retry": QUICK}))["place"]
    assert (result.status, bench.outcome.finished.status) == (StepStatus.FLAKY, RunStatus.FLAKY)
    assert [(each.number, each.actual_status_code) for each in result.attempts] == [(1, 503)]
    assert [violation.message for violation in result.attempts[0].violations] == [
        "status 503 came where 2XX is expected"
    ]
    assert result.attempts[0].exchange is not None
    assert (result.violations, result.response["body"]) == ((), {"id": 7})
    stored = (await bench.store.load("id-main"))[0]
    assert (stored.run.status, stored.steps[0].attempts) == (RunStatus.FLAKY, result.attempts)


async def test_steps_after_a_flaky_one_run_and_see_its_state(bench: Any) -> None:
    """A flaky step has a reply to read, and its state says what it is."""
    repeating(bench, place=[reply(status=503), reply({"id": 7})])
    steps = await bench.steps(
        {"alias": "place", "retry": QUICK},
        {"alias": "look", "inputTemplate": {"query": {"of": "{{step.place.response.body.id}} {{step.place.status}}"}}},
    )
    assert steps["look"].status is StepStatus.PASSED
    assert bench.protocol.calls[-1].input["query"] == {"of": "7 FLAKY"}


async def test_step_that_fails_at_all_attempts_fails_with_all_of_them(bench: Any) -> None:
    """The last attempt is told as the step's, those before it as such."""
    repeating(bench, place=[reply(status=500), reply(status=502), reply(status=503)])
    result = (await bench.steps({"alias": "place", "retry": QUICK}))["place"]
    assert (result.status, result.actual_status_code) == (StepStatus.FAILED, 503)
    assert [each.actual_status_code for each in result.attempts] == [500, 502]
    assert len(bench.protocol.calls) == 3


async def test_retried_step_tells_an_event_for_each_failed_attempt(bench: Any) -> None:
    """Whoever listens learns of each attempt when it has ended, and how long the pause is."""
    repeating(bench, place=[reply(status=500), reply(status=500), reply()])
    policy = {"attempts": 3, "delayMs": 2, "backoff": {"factor": 2}}
    await bench.steps({"alias": "place", "retry": policy})
    told = [event for event in bench.listener.events if isinstance(event, StepRetried)]
    assert [(event.alias, event.failed.number, event.pause_s) for event in told] == [
        ("place", 1, 0.002),
        ("place", 2, 0.004),
    ]


async def test_step_is_tried_again_only_after_violations_that_its_policy_names(bench: Any) -> None:
    """A wrong answer is no stutter, unless the policy says so."""
    rules = {"alias": "place", "businessRules": ["response.body.ok"]}
    repeating(bench, place=[reply({"ok": False}), reply({"ok": True})])
    assert (await bench.steps({**rules, "retry": QUICK}))["place"].status is StepStatus.FAILED
    bench.store = type(bench.store)("default")
    repeating(bench, place=[reply({"ok": False}), reply({"ok": True})])
    policy = {**QUICK, "on": ["BUSINESS_RULE_VIOLATION"]}
    assert (await bench.steps({**rules, "retry": policy}))["place"].status is StepStatus.FLAKY


async def test_error_of_ours_is_never_retried(bench: Any) -> None:
    """A service that cannot be reached is a matter of the environment, and the run an error."""
    repeating(bench, place=[UnreachableError("orders: nobody answers"), reply()])
    result = (await bench.steps({"alias": "place", "retry": QUICK}))["place"]
    assert (result.attempts, len(bench.protocol.calls)) == ((), 1)
    assert bench.outcome.finished.status is RunStatus.ERROR


async def test_action_that_must_not_be_repeated_is_tried_once_and_says_so(bench: Any) -> None:
    """An action may have taken effect though its answer was bad; where nobody vouches for it, it is not sent again."""
    bench.answer(place=[reply(status=503), reply()])
    result = (await bench.steps({"alias": "place", "retry": QUICK}))["place"]
    assert (result.status, result.reason, len(bench.protocol.calls)) == (StepStatus.FAILED, UNREPEATABLE, 1)


@pytest.mark.parametrize(("says", "calls"), [("retry", 2), ("fail", 1)])
async def test_word_of_the_step_about_repeating_goes_first(bench: Any, says: str, calls: int) -> None:
    """What holds for a resumed run holds for another attempt."""
    answers = {"place": [reply(status=503), reply()]}
    bench.protocol = Repeating(answers) if says == "fail" else ScriptedProtocol(answers)
    await bench.steps({"alias": "place", "retry": QUICK, "onResume": says})
    assert len(bench.protocol.calls) == calls


async def test_attempt_after_one_that_may_have_taken_effect_has_the_same_key(bench: Any) -> None:
    """A service that heeds keys takes an unanswered action, or one that broke, once; after a refusal it is another."""
    repeating(bench, place=[reply(status=503), reply(status=429), reply(status=500), reply()])
    await bench.steps({"alias": "place", "retry": {"attempts": 4, "delayMs": 0}})
    first, second, third, fourth = keys(bench, "place")
    assert first == second != third == fourth


async def test_sidecars_policy_holds_for_actions_and_not_for_assertions(bench: Any) -> None:
    """An assertion that is not fulfilled has waited already; to wait again is for its own word to say."""
    bindings = Bindings(poll_interval_ms=1, timeout_ms=5, retry=QUICK)
    repeating(bench, place=[reply(status=503), reply()], paid=[reply({"paid": False})])
    steps = await bench.steps({"alias": "place"}, {"alias": "paid", "until": "response.body.paid"}, bindings=bindings)
    assert (len(steps["place"].attempts), len(steps["paid"].attempts)) == (1, 0)


async def test_assertion_with_a_policy_waits_anew(bench: Any) -> None:
    """Each attempt of an assertion has a deadline of its own, and keeps what it saw."""
    seen: list[StepCall] = []

    def paid(call: StepCall) -> Reply:
        seen.append(call)
        return reply({"paid": any(event for event in bench.listener.events if isinstance(event, StepRetried))})

    repeating(bench, paid=[paid])
    bindings = Bindings(poll_interval_ms=2, timeout_ms=20)
    result = (await bench.steps({"alias": "paid", "until": "response.body.paid", "retry": QUICK}, bindings=bindings))[
        "paid"
    ]
    assert result.status is StepStatus.FLAKY
    assert [observation.value for observation in result.attempts[0].observations] == [False]
    assert result.attempts[0].polls > 1


async def test_run_that_passes_at_its_second_attempt_is_flaky_and_keeps_the_first(bench: Any) -> None:
    """The whole scenario runs again, with another correlation id; both attempts are in the outcome and the store."""
    bench.answer(place=[reply({"ok": 1})], paid=[reply(status=500), reply()])
    outcome = (await bench.run({"main": [{"alias": "place"}, {"alias": "paid"}]}, retries=2))["main"].finished
    assert (outcome.status, outcome.run.attempt) == (RunStatus.FLAKY, 2)
    [failed] = outcome.attempts
    assert [(step.alias, step.status) for step in failed.steps] == [
        ("place", StepStatus.PASSED),
        ("paid", StepStatus.FAILED),
    ]
    assert failed.correlation_id != outcome.run.correlation_id
    sent = [(call.alias, call.correlation_id) for call in bench.protocol.calls]
    assert [alias for alias, _ in sent] == ["place", "paid", "place", "paid"]
    assert [each for _, each in sent] == [failed.correlation_id] * 2 + [outcome.run.correlation_id] * 2
    assert keys(bench, "place")[0] != keys(bench, "place")[1], "another attempt of the run is another action"
    stored = (await bench.store.load("id-main"))[0]
    assert (stored.run.status, stored.run.attempt, stored.attempts) == (RunStatus.FLAKY, 2, outcome.attempts)
    assert sum(isinstance(event, RunRetried) for event in bench.listener.events) == 1


async def test_run_that_fails_at_all_attempts_fails(bench: Any) -> None:
    """Retries have an end."""
    bench.answer(place=[reply(status=500)])
    outcome = (await bench.run({"main": [{"alias": "place"}]}, retries=2))["main"].finished
    assert (outcome.status, outcome.run.attempt, len(outcome.attempts)) == (RunStatus.FAILED, 3, 2)


async def test_run_in_error_is_not_retried(bench: Any) -> None:
    """What is wrong on our side stays wrong."""
    repeating(bench, place=[UnreachableError("orders: nobody answers"), reply()])
    outcome = (await bench.run({"main": [{"alias": "place"}]}, retries=2))["main"].finished
    assert (outcome.status, outcome.run.attempt) == (RunStatus.ERROR, 1)


async def test_dependant_waits_for_the_last_attempt_and_starts_after_a_flaky_one(bench: Any) -> None:
    """What was needed came about; how often it was tried is not the dependant's business."""
    bench.answer(first=[reply(status=500), reply()])
    scenarios = {"one": [{"alias": "first"}], "two": [{"alias": "second"}]}
    outcomes = await bench.run(scenarios, retries=1, needs={"two": ["one"]})
    assert [outcomes[key].finished.status for key in ("one", "two")] == [RunStatus.FLAKY, RunStatus.PASSED]


async def test_rerun_of_a_failed_run_that_passes_is_flaky(bench: Any) -> None:
    """Whoever runs a failed scenario again, by whatever means, is told that it failed before."""
    outcome = (await bench.run({"main": [{"alias": "place"}]}, is_rerun=True))["main"].finished
    assert outcome.status is RunStatus.FLAKY


async def test_time_limit_of_a_run_holds_for_all_attempts_together(bench: Any) -> None:
    """A limit that began anew with each attempt would be none."""
    bench.answer(0.05, place=[reply(status=500)])
    outcome = (await bench.run({"main": [{"alias": "place"}]}, retries=20, timeout_s=0.12))["main"].finished
    assert outcome.status is RunStatus.FAILED
    assert [violation.code for violation in outcome.steps[0].violations] == ["scenario-timeout"]
    assert 1 <= len(outcome.attempts) <= 3


async def test_resumed_run_goes_on_with_the_attempt_it_was_at(bench: Any) -> None:
    """Neither the attempts of the step nor those of the run are forgotten, and none is granted twice."""
    steps = [{"alias": "place", "retry": {"attempts": 3, "delayMs": 0}}]
    entered = asyncio.Event()

    class Dying(Repeating):
        async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
            if len(self.calls) == 4:
                self.calls.append(call)
                entered.set()
                await asyncio.Event().wait()
            return await super().execute(call, specs)

    bench.protocol = dying = Dying({"place": [reply(status=500)]})
    session = asyncio.create_task(bench.run({"main": steps}, retries=1))
    await entered.wait()
    session.cancel()
    await asyncio.wait([session])
    begun = (await bench.store.load("id-main"))[0]
    assert (begun.run.attempt, begun.intents[0].attempt) == (2, 2)

    bench.protocol = Repeating({"place": [reply(status=500), reply()]})
    await bench.store.release_leases(["bench"])
    later = await bench.run({"main": steps}, suite_id="later", options={"resumes": True, "owner": "later"}, retries=1)
    finished = later["main"].finished
    assert (finished.status, finished.run.attempt) == (RunStatus.FLAKY, 2)
    assert (len(finished.attempts), len(finished.steps[0].attempts)) == (1, 2)
    assert keys(bench, "place")[0] == dying.calls[-1].idempotency_key
    assert finished.steps[0].repeated


def test_pause_grows_up_to_its_ceiling() -> None:
    """The pause is multiplied for each attempt, and never longer than said."""
    step = StepDefinition.model_validate(
        {
            "endpointRef": "a.b",
            "retry": {"delayMs": 1000, "backoff": {"factor": 3, "maxIntervalMs": 5000}},
        }
    )
    policy = RetryPolicy.of(step, UNHURRIED)
    assert policy is not None
    assert [policy.pause(attempt) for attempt in (1, 2, 3, 4)] == [1, 3, 5, 5]


def test_barrier_with_retry_is_refused() -> None:
    """A barrier only waits; what it waits for may be retried."""
    with pytest.raises(ValueError, match=r"a barrier has no 'retry'; the steps that it tracks may have one"):
        StepDefinition.model_validate({"kind": "BARRIER", "retry": {"attempts": 2}})
