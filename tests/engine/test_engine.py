"""Running scenarios: order, failure, waiting, barriers, exports, errors; memory store, scripted protocol."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.events import RunFinished, StepPolled
from pytest_orchestra.engine.ports import ProtocolViolation
from pytest_orchestra.errors import UnreachableError
from pytest_orchestra.model.definition import Bindings, RunMode
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import RunStatus, StepStatus, Violation, ViolationType
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.testing import reply


async def test_engine_passing_steps_run_in_order_with_what_came_before(bench: Any) -> None:
    """A later step sends what an earlier one got, with its type, and every call carries the correlation id."""
    bench.answer(place=[reply({"id": 7}, status=201)])
    steps = await bench.steps(
        {"alias": "place", "inputTemplate": {"body": {"amount": "{{data.amount}}"}}},
        {"alias": "read", "inputTemplate": {"path": {"id": "{{step.place.response.body.id}}"}}},
        data={"amount": 12.5},
    )
    assert bench.outcome.finished.status is RunStatus.PASSED
    assert [result.status for result in steps.values()] == [StepStatus.PASSED, StepStatus.PASSED]
    first, second = bench.protocol.calls
    assert first.input["body"] == {"amount": 12.5}
    assert second.input["path"] == {"id": 7}
    assert {call.input["headers"]["X-Correlation-ID"] for call in bench.protocol.calls} == {"correlation-main"}


async def test_engine_unexpected_status_is_a_violation_and_stops_the_scenario(bench: Any) -> None:
    """A wrong status fails its step, and the steps after it are skipped with the reason."""
    bench.answer(place=[reply(status=500)])
    steps = await bench.steps({"alias": "place"}, {"alias": "read"})
    assert bench.outcome.finished.status is RunStatus.FAILED
    [violation] = steps["place"].violations
    assert violation.type is ViolationType.HTTP_ERROR
    assert violation.message == "status 500 came where 2XX is expected"
    assert (steps["read"].status, steps["read"].reason) == (StepStatus.SKIPPED, "step 'place' failed before it")
    assert len(bench.protocol.calls) == 1


async def test_engine_run_all_steps_goes_on_after_a_failure_but_not_without_its_data(bench: Any) -> None:
    """In RUN_ALL_STEPS a failure stops only the steps that read what was never given."""
    bench.answer(place=[TimeoutError()])
    steps = await bench.steps(
        {"alias": "place", "timeoutMs": 100},
        {"alias": "read", "inputTemplate": {"path": {"id": "{{step.place.response.body.id}}"}}},
        {"alias": "other"},
        mode=RunMode.RUN_ALL_STEPS,
    )
    assert [result.status.value for result in steps.values()] == ["FAILED", "SKIPPED", "PASSED"]
    assert steps["read"].reason == "it reads the reply of step 'place', which has none"
    assert steps["place"].violations[0].message == "no reply came within 100 ms"


async def test_engine_broken_rule_shows_the_value_of_each_part(bench: Any) -> None:
    """A rule that does not hold tells what its parts were."""
    bench.answer(place=[reply({"total": 41})])
    steps = await bench.steps(
        {
            "alias": "place",
            "businessRules": [{"rule": "response.body.total == data.price * data.quantity", "name": "total adds up"}],
        },
        data={"price": 21, "quantity": 2},
    )
    [violation] = steps["place"].violations
    assert violation.type is ViolationType.BUSINESS_RULE_VIOLATION
    assert violation.message == "total adds up: 'response.body.total == data.price * data.quantity' does not hold"
    assert {part["expression"]: part["value"] for part in violation.details["parts"]} == {
        "response.body.total": 41,
        "data.price * data.quantity": 42,
        "data.price": 21,
        "data.quantity": 2,
    }


async def test_engine_rule_over_what_the_reply_lacks_is_a_violation_not_an_error(bench: Any) -> None:
    """A field that the system under test did not send is its fault."""
    bench.answer(place=[reply({})])
    await bench.steps({"alias": "place", "businessRules": ["response.body.total > 3"]})
    assert bench.outcome.finished.status is RunStatus.FAILED


async def test_engine_undefined_variable_is_an_error_not_a_violation(bench: Any) -> None:
    """A template that names what does not exist is our fault: the run is an ERROR, and nothing was sent."""
    steps = await bench.steps({"alias": "place", "inputTemplate": {"body": "{{data.amout}}"}}, data={"amount": 1})
    assert bench.outcome.finished.status is RunStatus.ERROR
    assert steps["place"].fault is not None
    assert steps["place"].fault.error == "UndefinedVariableError"
    assert "did you mean 'amount'?" in (steps["place"].fault.hint or "")
    assert bench.protocol.calls == []


async def test_engine_assertion_polls_until_it_holds_and_measures_settling_from_the_cause(bench: Any) -> None:
    """The settling time runs from the end of the action to the first moment at which the condition held."""
    bench.answer(read=[reply({"status": "NEW"}), reply({"status": "NEW"}), reply({"status": "PAID"})])
    steps = await bench.steps(
        {"alias": "place"}, {"alias": "read", "until": "response.body.status == 'PAID'", "pollIntervalMs": 5}
    )
    read = steps["read"]
    assert (read.status, read.polls) == (StepStatus.PASSED, 3)
    assert [(seen.value, seen.count) for seen in read.observations] == [("NEW", 2), ("PAID", 1)]
    caused = steps["place"].finished_at
    assert read.settling_time_ms is not None
    assert read.settling_time_ms >= 10
    assert read.finished_at is not None
    assert read.settling_time_ms <= (read.finished_at - caused).total_seconds() * 1000
    polls = [event for event in bench.listener.events if isinstance(event, StepPolled)]
    assert [event.observed for event in polls] == ["NEW", "NEW"]


async def test_engine_assertion_that_never_holds_says_what_it_saw(bench: Any) -> None:
    """At the deadline the violation names the condition, the time and the last values."""
    bench.answer(read=[reply({"status": "NEW"})])
    steps = await bench.steps({"alias": "read", "until": "response.body.status == 'PAID'", "timeoutMs": 20})
    [violation] = steps["read"].violations
    assert violation.type is ViolationType.TIMEOUT
    assert violation.message.startswith("'response.body.status == 'PAID'' did not hold within 2")
    assert violation.details["parts"] == [{"expression": "response.body.status", "value": "NEW"}]
    assert steps["read"].settling_time_ms is None


async def test_engine_fail_when_stops_the_wait_at_once(bench: Any) -> None:
    """A terminal bad state ends the wait long before its deadline."""
    bench.answer(read=[reply({"status": "NEW"}), reply({"status": "REJECTED"})])
    steps = await bench.steps(
        {
            "alias": "read",
            "until": "response.body.status == 'PAID'",
            "failWhen": "response.body.status == 'REJECTED'",
            "timeoutMs": 60_000,
        }
    )
    [violation] = steps["read"].violations
    assert (violation.type, violation.code) == (ViolationType.BUSINESS_RULE_VIOLATION, "fail-when")
    assert violation.message == "'response.body.status == 'REJECTED'' came to hold"
    assert steps["read"].polls == 2


async def test_engine_assertion_without_until_waits_for_its_rules(bench: Any) -> None:
    """The rules of an assertion are its condition where it has no other."""
    bench.answer(read=[reply(status=404), reply({"n": 1}), reply({"n": 2})])
    steps = await bench.steps({"alias": "read", "kind": "ASSERTION", "businessRules": ["response.body.n == 2"]})
    assert (steps["read"].status, steps["read"].polls) == (StepStatus.PASSED, 3)


async def test_engine_broken_protocol_is_a_violation(bench: Any) -> None:
    """A peer that breaks the protocol itself is the system under test being wrong."""
    broken = ProtocolViolation(Violation(ViolationType.HTTP_ERROR, "reset", "the connection was reset"))
    bench.answer(place=[broken])
    steps = await bench.steps({"alias": "place"})
    assert bench.outcome.finished.status is RunStatus.FAILED
    assert steps["place"].violations[0].code == "reset"


async def test_engine_unreachable_service_is_an_error(bench: Any) -> None:
    """A service that is not there is our environment being wrong."""
    bench.answer(place=[UnreachableError("service 'orders': connection refused", hint="start it")])
    await bench.steps({"alias": "place"}, {"alias": "read"})
    finished = bench.outcome.finished
    assert finished.status is RunStatus.ERROR
    assert str(finished.fault) == "service 'orders': connection refused\nhint: start it"
    assert bench.outcome.exception is None


async def test_engine_unexpected_exception_of_a_plugin_is_kept_with_the_outcome(bench: Any) -> None:
    """A bug in somebody's protocol errors its own scenario only, and its traceback is there to be shown."""
    bench.answer(bad=[ZeroDivisionError("division by zero")])
    outcomes = await bench.run({"bad": [{"alias": "bad"}], "good": [{"alias": "good"}]})
    assert outcomes["good"].finished.status is RunStatus.PASSED
    assert outcomes["bad"].finished.status is RunStatus.ERROR
    assert isinstance(outcomes["bad"].exception, ZeroDivisionError)


async def test_engine_waiting_scenarios_wait_together(bench: Any) -> None:
    """Every one of twenty scenarios has begun to wait before the first of them has done so."""
    bench.answer(delay_s=0.5)
    outcomes = await bench.run({f"s{n}": [{"alias": "a"}] for n in range(20)}, concurrency=20)
    assert all(outcome.finished.status is RunStatus.PASSED for outcome in outcomes.values())
    waits = [outcome.finished.steps[0] for outcome in outcomes.values()]
    assert max(wait.started_at for wait in waits) < min(wait.finished_at for wait in waits)


async def test_engine_limit_is_never_exceeded(bench: Any) -> None:
    """No more scenarios run at once than the limit allows."""
    running = peak = 0

    class Counting:
        def on_event(self, event: object) -> None:
            nonlocal running, peak
            name = type(event).__name__
            running += (name == "RunStarted") - (name == "RunFinished")
            peak = max(peak, running)

    bench.listener = Counting()
    bench.answer(delay_s=0.01)
    await bench.run({f"s{n}": [{"alias": "a"}] for n in range(10)}, concurrency=3)
    assert peak == 3


async def test_engine_fire_and_forget_is_joined_by_its_barrier(bench: Any) -> None:
    """Actions in flight overlap; the barrier waits for them, and later steps read their replies."""
    bench.answer(delay_s=0.2, pay=[reply({"id": "p"})], reserve=[reply({"id": "r"})])
    steps = await bench.steps(
        {"alias": "pay", "mode": "FIRE_AND_FORGET"},
        {"alias": "reserve", "mode": "FIRE_AND_FORGET"},
        {"alias": "join", "kind": "BARRIER", "trackedSteps": ["pay", "reserve"]},
        {
            "alias": "ship",
            "inputTemplate": {"body": ["{{step.pay.response.body.id}}", "{{step.reserve.response.body.id}}"]},
        },
    )
    assert [result.status.value for result in steps.values()] == ["PASSED"] * 4
    assert bench.protocol.calls[-1].input["body"] == ["p", "r"]
    assert steps["reserve"].started_at < steps["pay"].finished_at


@pytest.mark.parametrize(
    ("reaction", "after", "other"),
    [("failScenario", "SKIPPED", "PASSED"), ("continue", "PASSED", "PASSED"), ("abortSuite", "SKIPPED", "SKIPPED")],
)
async def test_engine_barrier_reacts_to_a_failed_step_as_it_is_told(
    bench: Any, reaction: str, after: str, other: str
) -> None:
    """A barrier ends the scenario, goes on, or ends the suite."""
    bench.answer(pay=[reply(status=500)])
    outcomes = await bench.run(
        {
            "main": [
                {"alias": "pay", "mode": "FIRE_AND_FORGET"},
                {"alias": "join", "kind": "BARRIER", "trackedSteps": ["pay"], "onFailure": reaction},
                {"alias": "ship"},
            ],
            "other": [{"alias": "ok"}],
        },
        concurrency=1,
    )
    results = {result.alias: result for result in outcomes["main"].finished.steps}
    assert outcomes["main"].finished.status is RunStatus.FAILED
    assert results["join"].status is StepStatus.FAILED
    assert results["join"].reason == "it tracks step 'pay', which failed"
    assert results["ship"].status.value == after
    assert outcomes["other"].finished.status.value == other


async def test_engine_barrier_out_of_time_names_who_is_late(bench: Any) -> None:
    """A tracked step that does not end in time is a violation of the barrier."""
    bench.answer(delay_s=0.3)
    steps = await bench.steps(
        {"alias": "pay", "mode": "FIRE_AND_FORGET"},
        {"alias": "join", "kind": "BARRIER", "trackedSteps": ["pay"], "timeoutMs": 20},
    )
    [violation] = steps["join"].violations
    assert (violation.type, violation.message) == (ViolationType.TIMEOUT, "step 'pay' did not end within 20 ms")
    assert steps["pay"].status is StepStatus.PASSED


async def test_engine_fire_and_forget_without_barrier_is_waited_for_at_the_end(bench: Any) -> None:
    """No outcome is lost because nobody asked for it."""
    bench.answer(delay_s=0.02, pay=[reply(status=500)])
    steps = await bench.steps({"alias": "pay", "mode": "FIRE_AND_FORGET"})
    assert steps["pay"].status is StepStatus.FAILED
    assert bench.outcome.finished.status is RunStatus.FAILED


async def test_engine_exports_reach_scenarios_that_depend_on_it(bench: Any) -> None:
    """What one scenario exports the next one reads, and the store has it."""
    bench.answer(place=[reply({"id": 42})])
    outcomes = await bench.run(
        {
            "cancel": [{"alias": "cancel", "inputTemplate": {"path": {"id": "{{suite.orderId}}"}}}],
            "place": [{"alias": "place", "exportAs": {"orderId": "response.body.id"}}],
        },
        needs={"cancel": ["place"]},
    )
    assert outcomes["cancel"].finished.status is RunStatus.PASSED
    assert bench.protocol.calls[-1].input["path"] == {"id": 42}
    assert bench.suite_context == {"orderId": 42}
    assert await bench.store.suite_context("suite") == {"orderId": 42}


async def test_engine_failed_prerequisite_skips_its_dependants(bench: Any) -> None:
    """A scenario whose prerequisite failed is skipped, with the reason, and all its steps are there."""
    bench.answer(place=[reply(status=500)])
    outcomes = await bench.run({"b": [{"alias": "x"}], "a": [{"alias": "place"}]}, needs={"b": ["a"]})
    finished = outcomes["b"].finished
    assert (finished.status, finished.reason) == (RunStatus.SKIPPED, "it depends on 'a', which ended as FAILED")
    assert [step.status for step in finished.steps] == [StepStatus.SKIPPED]


async def test_engine_scenario_out_of_its_time_fails_at_the_step_it_was_at(bench: Any) -> None:
    """A limit for the whole scenario ends it with a violation that names the limit."""
    bench.answer(delay_s=5)
    steps = await bench.steps({"alias": "slow", "timeoutMs": 60_000}, {"alias": "after"}, timeout_s=0.05)
    assert bench.outcome.finished.status is RunStatus.FAILED
    assert steps["slow"].violations[0].message == "the scenario did not end within 50 ms"
    assert steps["after"].status is StepStatus.SKIPPED


async def test_engine_secrets_are_masked_in_results_but_not_for_later_steps(bench: Any) -> None:
    """A secret in a reply reaches the next call, and no event, no result and no store."""
    secret = "s3cr3t-token"
    bench.answer(login=[reply({"token": secret})])
    environment = ResolvedEnvironment(Environment(), {"env:TOKEN": Secret(secret)})
    steps = await bench.steps(
        {"alias": "login"},
        {"alias": "use", "inputTemplate": {"body": "{{step.login.response.body.token}}"}},
        environment=environment,
    )
    assert bench.protocol.calls[-1].input["body"] == secret
    assert steps["login"].response["body"] == {"token": "***"}
    assert secret not in repr(bench.listener.events)
    assert secret not in repr(await bench.store.load("suite"))


async def test_engine_store_has_every_step_of_every_run(bench: Any) -> None:
    """What the events tell is what the store keeps, steps that were not reached included."""
    bench.answer(place=[reply(status=500)])
    await bench.steps({"alias": "place"}, {"alias": "read"})
    [stored] = await bench.store.load("suite")
    assert stored.run.status is RunStatus.FAILED
    assert [(step.alias, step.status.value) for step in stored.steps] == [("place", "FAILED"), ("read", "SKIPPED")]
    finished = next(event for event in bench.listener.events if isinstance(event, RunFinished))
    assert [step.alias for step in finished.steps] == ["place", "read"]


async def test_engine_custom_correlation_header_is_used(bench: Any) -> None:
    """The sidecar decides which header carries the correlation id."""
    await bench.steps({"alias": "a"}, bindings=Bindings(correlation_header="Traceparent-Like"))
    headers = bench.protocol.calls[0].input["headers"]
    assert {name: value for name, value in headers.items() if name != "traceparent"} == {
        "Traceparent-Like": "correlation-main"
    }
