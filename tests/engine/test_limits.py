"""Limits: how many calls a service gets at once, and when a session's time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.engine import Engine
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.engine.waiting import Pace, WaitPolicy
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.environment import Environment, ServiceProfile
from pytest_orchestra.model.run import RunStatus, StepStatus, SuiteRun, SuiteRunStatus, ViolationType
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.testing import ScriptedProtocol, reply


class Counting(ScriptedProtocol):
    """Counts how many calls it serves at once, by service."""

    def __init__(self) -> None:
        super().__init__()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        assert call.step.endpoint_ref is not None
        service = call.step.endpoint_ref.service_name
        self.now[service] = self.now.get(service, 0) + 1
        self.most[service] = max(self.most.get(service, 0), self.now[service])
        await asyncio.sleep(0.002)
        self.now[service] -= 1
        return await super().execute(call, specs)


def environment(**limits: int | None) -> ResolvedEnvironment:
    services = {
        name: ServiceProfile(base_url=f"http://{name}", max_concurrency=limit) for name, limit in limits.items()
    }
    return ResolvedEnvironment(Environment(services=services), {})


@pytest.mark.parametrize("kind", [{}, {"until": "true"}])
async def test_service_gets_no_more_calls_at_once_than_it_may(bench: Any, kind: Mapping[str, str]) -> None:
    """The limit holds over all scenarios of the process, for actions and for polls; other services are free."""
    bench.protocol = protocol = Counting()
    scenarios = {
        f"{service}{number}": [{"endpointRef": f"{service}.any", **kind}]
        for service in ("weak", "strong")
        for number in range(8)
    }
    outcomes = await bench.run(scenarios, concurrency=16, environment=environment(weak=2, strong=None))
    assert {outcome.finished.status for outcome in outcomes.values()} == {RunStatus.PASSED}
    assert protocol.most == {"weak": 2, "strong": 8}


async def test_time_in_the_queue_of_a_service_is_no_time_of_the_call(bench: Any) -> None:
    """A call's time limit begins when it is made, however many wait before it."""
    bench.answer(0.01)
    steps = [{"endpointRef": "weak.any", "timeoutMs": 60}]
    outcomes = await bench.run(
        {f"n{number}": steps for number in range(12)}, concurrency=12, environment=environment(weak=1)
    )
    assert {outcome.finished.status for outcome in outcomes.values()} == {RunStatus.PASSED}


async def test_session_whose_time_is_over_ends_what_is_under_way_and_begins_nothing(bench: Any) -> None:
    """What ran has not ended in time, a violation; of what did not begin nobody knows anything, an error."""
    bench.answer(5.0)
    outcomes = await bench.run(
        {"one": [{"alias": "a", "timeoutMs": 9000}, {"alias": "b"}], "two": [{"alias": "c"}]},
        concurrency=1,
        options={"timeout_s": 0.05},
    )
    one, two = outcomes["one"].finished, outcomes["two"].finished
    assert (one.status, two.status) == (RunStatus.FAILED, RunStatus.ERROR)
    assert [step.status for step in one.steps] == [StepStatus.FAILED, StepStatus.SKIPPED]
    [violation] = one.steps[0].violations
    assert (violation.type, violation.code) == (ViolationType.TIMEOUT, "suite-timeout")
    assert violation.message == "the scenarios of the session did not end within 50 ms"
    assert str(two.fault) == (
        "the session's time, 0.05 s, was over before the scenario began\n"
        "hint: raise --orchestra-timeout or --orchestra-concurrency, or run fewer scenarios"
    )
    stored = {run.run.key: run.run.status for run in await bench.store.load("suite")}
    assert stored == {"one": RunStatus.FAILED, "two": RunStatus.PENDING}


async def test_shorter_of_two_limits_ends_a_scenario(bench: Any) -> None:
    """The scenario's own limit is not made longer by the session's."""
    bench.answer(5.0)
    outcomes = await bench.run(
        {"main": [{"alias": "a", "timeoutMs": 9000}]}, timeout_s=0.02, options={"timeout_s": 60.0}
    )
    assert [violation.code for violation in outcomes["main"].finished.steps[0].violations] == ["scenario-timeout"]


async def test_session_does_not_wait_beyond_its_time_for_runs_of_others(bench: Any) -> None:
    """Another session may hold a run for long; that is its business then."""
    await bench.store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    await bench.store.add_runs([bench._request("main", [{"alias": "a"}]).run])
    assert await bench.store.claim("id-main", "another", 60)
    outcomes = await bench.run({"main": [{"alias": "a"}]}, suite_id="ours", options={"timeout_s": 0.05})
    assert outcomes["main"].finished.status is RunStatus.ERROR


async def test_run_that_is_carried_out_alone_does_not_wait_beyond_the_sessions_time(bench: Any) -> None:
    """An item that is run again waits for a run of others no longer than the others do."""
    await bench.store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    await bench.store.add_runs([bench._request("main", [{"alias": "a"}]).run])
    assert await bench.store.claim("id-main", "another", 600)
    engine = Engine(
        store=bench.store,
        protocols={bench.protocol.channel_type: bench.protocol},
        owner="one",
        concurrency=8,
        timeout_s=0.05,
    )
    await engine.start(SuiteRun("ours", "suite", "default"))
    outcome = await asyncio.wait_for(engine.run_alone(bench._request("main", [{"alias": "a"}])), 30)
    await engine.close(SuiteRunStatus.FAILED)
    assert outcome.finished.status is RunStatus.ERROR
    assert "the session's time, 0.05 s, was over" in str(outcome.finished.fault)


def test_pauses_are_jittered_by_a_tenth_and_the_same_for_the_same_run() -> None:
    """Runs that began together drift apart, and a run that is repeated asks at the same moments."""
    policy = WaitPolicy(10, 0.1)
    first, again, other = (Pace(policy, seed) for seed in ("run-1/paid", "run-1/paid", "run-2/paid"))
    pauses = [first.pause(polls, 0) for polls in range(1, 20)]
    assert pauses == [again.pause(polls, 0) for polls in range(1, 20)]
    assert pauses != [other.pause(polls, 0) for polls in range(1, 20)]
    assert all(0.09 <= pause <= 0.11 for pause in pauses)
    assert len(set(pauses)) > 10


@pytest.mark.parametrize(("look_s", "pause"), [(0.01, 0.1), (0.1, 0.1), (0.4, 0.4), (60, 5)])
def test_pause_is_never_shorter_than_the_look_before_it(look_s: float, pause: float) -> None:
    """A service that needs long to answer is asked less often, but not never."""
    assert Pace(WaitPolicy(10, 0.1)).pause(1, look_s) == pause


async def test_slow_service_is_asked_less_often(bench: Any) -> None:
    """While it answers, and as long again, nobody asks it for the same."""
    bench.answer(0.05, paid=[reply({"paid": False})])
    bindings = Bindings(poll_interval_ms=1, timeout_ms=500)
    result = (await bench.steps({"alias": "paid", "until": "response.body.paid"}, bindings=bindings))["paid"]
    assert 3 <= result.polls <= 7, "half of the ten that would fit, and one at the deadline"
