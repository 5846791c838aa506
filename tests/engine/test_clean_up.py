"""Steps that clean up: when they run, in which order, and what their failures do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pytest_orchestra.engine.results import blank_result
from pytest_orchestra.model.definition import Bindings, RunMode
from pytest_orchestra.model.run import RunStatus, StepStatus, SuiteRun, SuiteRunStatus
from pytest_orchestra.testing import ScriptedProtocol, reply


def step(alias: str, *undo: str, **more: Any) -> dict[str, Any]:
    """Give a step with the steps that clean up behind it."""
    return {"alias": alias, "finally": [{"alias": each, "endpointRef": "orders.any"} for each in undo], **more}


def sent(bench: Any) -> list[str]:
    return [call.alias for call in bench.protocol.calls]


async def test_clean_up_runs_last_in_first_out_behind_a_run_that_passed(bench: Any) -> None:
    """The last step's goes first, the sidecar's last; those of one list keep their order; each is a result."""
    bindings = Bindings.model_validate(
        {"finally": {"alias": "all", "endpointRef": "orders.any"}, "pollIntervalMs": 1, "timeoutMs": 1000}
    )
    results = await bench.steps(step("a", "a1", "a2"), step("b", "b1"), bindings=bindings)
    assert sent(bench) == ["a", "b", "b1", "a1", "a2", "all"]
    assert list(results) == ["a", "b", "b1", "a1", "a2", "all"]
    assert [result.clean_up for result in results.values()] == [False, False, True, True, True, True]
    assert bench.outcome.finished.status is RunStatus.PASSED


@pytest.mark.parametrize("mode", list(RunMode)[:2])
async def test_clean_up_runs_behind_what_began_before_a_failure(bench: Any, mode: RunMode) -> None:
    """What has begun is cleaned up, also the step that failed; what never began is not, and the report says so."""
    bench.answer(b=[reply(status=500)])
    results = await bench.steps(step("a", "a1"), step("b", "b1"), step("c", "c1"), mode=mode)
    if mode is RunMode.STOP_ON_FIRST_FAILURE:
        assert sent(bench) == ["a", "b", "b1", "a1"]
        assert (results["c1"].status, results["c1"].reason) == (StepStatus.SKIPPED, "step 'c' did not begin")
    else:
        assert sent(bench) == ["a", "b", "c", "c1", "b1", "a1"]
    assert bench.outcome.finished.status is RunStatus.FAILED


async def test_clean_up_that_fails_fails_a_run_that_passed(bench: Any) -> None:
    """A violation makes it FAILED; the other clean-up steps run all the same."""
    bench.answer(b1=[reply(status=500)])
    results = await bench.steps(step("a", "a1"), step("b", "b1"))
    assert sent(bench) == ["a", "b", "b1", "a1"]
    assert (results["b1"].status, results["a1"].status) == (StepStatus.FAILED, StepStatus.PASSED)
    assert bench.outcome.finished.status is RunStatus.FAILED


async def test_clean_up_that_cannot_be_carried_out_is_an_error_of_a_run_that_passed(bench: Any) -> None:
    """What is wrong on our side makes it ERROR."""
    undo = {"alias": "a1", "endpointRef": "orders.any", "inputTemplate": {"body": "{{data.gone}}"}}
    await bench.steps({"alias": "a", "finally": undo})
    assert bench.outcome.finished.status is RunStatus.ERROR


async def test_clean_up_that_fails_hides_no_failure_before_it(bench: Any) -> None:
    """The run stays FAILED by its own step, whatever happens behind it."""
    bench.answer(a=[reply(status=500)])
    undo = {"alias": "a1", "endpointRef": "orders.any", "inputTemplate": {"body": "{{nothing}}"}}
    results = await bench.steps({"alias": "a", "finally": undo})
    finished = bench.outcome.finished
    assert (finished.status, finished.fault) == (RunStatus.FAILED, None)
    assert results["a"].violations[0].message == "status 500 came where 2XX is expected"


async def test_clean_up_that_reads_what_a_failed_step_never_gave_is_skipped(bench: Any) -> None:
    """Where a step failed and left no id, there is nothing to delete, and that is no second failure."""
    bench.answer(a=[reply({}, status=500)])
    undo = {"alias": "a1", "endpointRef": "orders.any", "inputTemplate": {"body": "{{step.a.response.body.id}}"}}
    results = await bench.steps({"alias": "a", "finally": undo})
    assert results["a1"].status is StepStatus.SKIPPED
    assert results["a1"].reason == "the run ended before there was what it reads: 'id' is not in 'step.a.response.body'"


async def test_clean_up_runs_behind_a_run_whose_time_is_over(bench: Any) -> None:
    """The limit is for the scenario; cleaning up has the time that its steps have."""
    bench.protocol = ScriptedProtocol(delay_s=0.05)
    results = await bench.steps(step("a", "a1", timeoutMs=900), step("b", "b1", timeoutMs=900), timeout_s=0.08)
    assert sent(bench) == ["a", "b", "b1", "a1"]
    assert results["b"].violations[0].code == "scenario-timeout"
    assert bench.outcome.finished.status is RunStatus.FAILED
    assert results["a1"].status is StepStatus.PASSED


async def _cancelled(bench: Any, steps: list[Any]) -> None:
    """Run a scenario, and end the session orderly while it is at its last step."""
    running = asyncio.create_task(bench.run({"main": steps}))
    while "b" not in sent(bench):  # noqa: ASYNC110  a script has no event to wait for
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bench.engine.close(SuiteRunStatus.CANCELLED)


async def test_clean_up_runs_when_the_session_is_ended_and_a_resumed_one_begins_anew(bench: Any) -> None:
    """Ctrl-C cleans up; a resume goes on with nothing that is gone, but runs the scenario again under another id."""
    bench.protocol = ScriptedProtocol(delay_s=0.02)
    steps = [step("a", "a1"), step("b", "b1")]
    await _cancelled(bench, steps)
    assert sent(bench) == ["a", "b", "b1", "a1"]
    [stored] = await bench.store.read_runs(["id-main"])
    assert stored.run.status is RunStatus.CANCELLED
    assert {each.alias: str(each.status) for each in stored.steps} == {
        "a": "PASSED",
        "b": "SKIPPED",
        "b1": "PASSED",
        "a1": "PASSED",
    }
    outcomes = await bench.run({"main": steps}, suite_id="again", options={"resumes": True})
    assert sent(bench)[4:] == ["a", "b", "b1", "a1"]
    assert outcomes["main"].finished.status is RunStatus.PASSED
    assert outcomes["main"].finished.run.id != "id-main"
    assert "'main' had been cancelled and cleaned up; it is run anew" in bench.engine.notes


async def test_step_that_was_under_way_when_the_session_ended_is_told_apart_from_those_behind_it(bench: Any) -> None:
    """It was sent, whatever came of it; what would read its reply is skipped and says so, and is no error."""
    bench.protocol = ScriptedProtocol(delay_s=0.02)
    undo = {"alias": "b1", "endpointRef": "orders.any", "inputTemplate": {"body": "{{step.b.response.body.id}}"}}
    await _cancelled(bench, [step("a"), {"alias": "b", "finally": undo}, step("c")])
    [stored] = await bench.store.read_runs(["id-main"])
    known = {each.alias: each for each in stored.steps}
    assert [str(known[alias].status) for alias in ("a", "b", "c", "b1")] == ["PASSED", "SKIPPED", "SKIPPED", "SKIPPED"]
    assert known["b"].reason == ("it was under way when the run was cut short, and nobody knows whether it took effect")
    assert known["b"].started_at is not None
    assert known["c"].reason == "the run ended before it"
    assert known["b1"].reason == ("the run ended before there was what it reads: 'b' is not in 'step'")
    assert known["b1"].fault is None


async def test_clean_up_that_had_not_run_runs_on_resume(bench: Any) -> None:
    """A run that was killed while it cleaned up is cleaned up to the end, once each, and goes on with nothing else."""
    steps = [step("a", "a1"), step("b", "b1")]
    request = bench._request("main", steps)
    await bench.store.begin_suite_run(SuiteRun("suite", "suite", "default"))
    await bench.store.add_runs([request.run])
    lease = await bench.store.claim("id-main", "dead", 30)
    a, b, b1, _ = (blank_result(each, StepStatus.PASSED) for each in request.scenario.all_steps)
    for each in (a, replace(b, status=StepStatus.FAILED), b1):
        await bench.store.record_step(lease, each, None, {})
    await bench.store.release_leases(["dead"])
    outcomes = await bench.run({"main": steps}, suite_id="again", options={"resumes": True})
    assert sent(bench) == ["a1"]
    assert outcomes["main"].finished.status is RunStatus.FAILED
