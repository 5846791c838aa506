"""Allure's result files, as allure-pytest writes them, read back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.reporting.allure import find_listener

BEGAN_MS = 1_795_214_700_000


@pytest.fixture(scope="module")
def run_allure(run_outcomes):
    """Give what runs a session with Allure on in a folder and gives its results by name."""

    def run(folder, *options, outcomes):
        run_outcomes(folder, "--alluredir=results", *options, outcomes=outcomes)
        files = folder.joinpath("results").glob("*-result.json")
        results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        assert len(results) == len(outcomes)
        return {result["name"]: result for result in results}

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give the folder of the session that most tests read."""
    return tmp_path_factory.mktemp("allure")


@pytest.fixture(scope="module")
def results(run_allure, folder, passed, failed, faulty, flaky, expected_failure, skipped, skipped_by_marker, surrogate):
    """Give the results of one session of all kinds of outcomes."""
    return run_allure(
        folder, outcomes=[passed, failed, faulty, flaky, expected_failure, skipped, skipped_by_marker, surrogate]
    )


@pytest.fixture(scope="module")
def surrogate(passed, make_run):
    """Give a run with text that UTF-8 does not have."""
    place = passed.steps[0]
    exchange = replace(place.exchange, response={"body": "\ud800"})
    steps = (replace(place, name="Place \ud800", exchange=exchange), *passed.steps[1:])
    return replace(passed, run=make_run("small-order", "surrogate", RunStatus.PASSED, 500), steps=steps)


def _steps(result):
    return {step["name"]: step for step in result.get("steps", [])}


def _labels(result, name):
    return sorted(label["value"] for label in result["labels"] if label["name"] == name)


def _parameters(result):
    return {parameter["name"]: parameter["value"] for parameter in result["parameters"]}


def _attachments(folder, step):
    return {
        each["name"]: (folder / "results" / each["source"]).read_text(encoding="utf-8") for each in step["attachments"]
    }


def test_record_outcome_nests_steps_with_their_real_times(results):
    """The test and its steps have the run's own start and stop, to the millisecond."""
    result = results["small-order[vip]"]
    assert (result["start"], result["stop"]) == (BEGAN_MS, BEGAN_MS + 500)
    assert [(s["name"], s["status"], s["start"] - BEGAN_MS, s["stop"] - BEGAN_MS) for s in result["steps"]] == [
        ("place: Place order", "passed", 0, 42),
        ("shipped: Order shipped", "passed", 42, 480),
        ("reserved: Stock reserved", "passed", 480, 500),
    ]


def test_record_outcome_in_xdist_workers_writes_the_same(run_allure, tmp_path, results, passed, failed):
    """Two processes write what one writes."""
    spread = run_allure(tmp_path, "-n", "2", outcomes=[passed, failed])
    for name, result in spread.items():
        assert _essence(result) == _essence(results[name])


def _essence(result):
    """Give of a result what is not another in every session."""
    plain = {name: result[name] for name in ("historyId", "status", "start", "stop", "parameters")}
    steps = [(s["name"], s["status"], s["start"], s["stop"], len(s.get("attachments", []))) for s in result["steps"]]
    return plain | {"steps": steps, "details": result.get("statusDetails")}


def test_record_outcome_of_a_failure_has_the_failure_text(results):
    """The status details say in one line which step broke and why, and hold all evidence."""
    result = results["large-order[vip]"]
    assert result["status"] == "failed"
    assert result["statusDetails"]["message"] == (
        "shipped: TIMEOUT: 'response.body.status == 'SHIPPED'' did not hold within 1000 ms, looked 12 times"
    )
    assert "150 ms  PAID (x9, last at 1.01 s)" in result["statusDetails"]["trace"]


def test_record_outcome_explains_failed_and_skipped_steps(results):
    """A failed step has its violation, a step that was not reached its reason, at the end of the run."""
    result = results["large-order[vip]"]
    assert [step["status"] for step in result["steps"]] == ["passed", "failed", "skipped"]
    steps = _steps(result)
    assert steps["shipped: Order shipped"]["statusDetails"]["message"].startswith("TIMEOUT: 'response.body.status")
    unreached = steps["reserved: Stock reserved"]
    assert unreached["statusDetails"]["message"] == "step 'shipped' failed before it"
    assert unreached["start"] == unreached["stop"] == BEGAN_MS + 1_062


def test_record_outcome_attaches_what_a_step_sent_saw_and_how_to_repeat_it(results, folder, failed):
    """Request, response and observations are JSON attachments of their step, the command is a text."""
    step = _steps(results["large-order[vip]"])["shipped: Order shipped"]
    assert [(each["name"], each["type"]) for each in step["attachments"]] == [
        ("request", "application/json"),
        ("response", "application/json"),
        ("observed", "application/json"),
        ("reproduce", "text/plain"),
    ]
    attached = _attachments(folder, step)
    assert json.loads(attached["response"])["body"] == {"id": 7, "status": "PAID"}
    assert json.loads(attached["observed"]) == [
        {"from_ms": 0.0, "to_ms": 100.0, "count": 3, "value": "NEW"},
        {"from_ms": 150.0, "to_ms": 1010.0, "count": 9, "value": "PAID"},
    ]
    assert attached["reproduce"] == failed.steps[1].exchange.reproduce


def test_record_outcome_gives_steps_their_parameters(results):
    """A step's parameters are its diagram element, kind, channel, status code, settling time and polls."""
    step = _steps(results["small-order[vip]"])["shipped: Order shipped"]
    assert _parameters(step) == {
        "element": "Event_Shipped",
        "kind": "ASSERTION",
        "channel": "HTTP_REST",
        "status code": "200",
        "settling time": "430 ms",
        "polls": "4",
    }


def test_describe_scenario_labels_process_scenario_and_tags(results):
    """The process is Allure's feature, the scenario its story, tags are tags, each once."""
    result = results["small-order[vip]"]
    assert _labels(result, "feature") == ["Order to cash"]
    assert _labels(result, "story") == ["small-order"]
    assert _labels(result, "tag") == ["smoke"]


def test_describe_scenario_gives_each_data_set_a_history_of_its_own(results):
    """Rows of data are not retries of each other."""
    assert len({result["historyId"] for result in results.values()}) == len(results)


def test_describe_scenario_in_another_session_continues_the_history(run_allure, tmp_path, results, passed):
    """Ids that are new in every run are shown, but do not make another history."""
    again = replace(passed, run=replace(passed.run, id="run-2", correlation_id="corr-2"))
    result = run_allure(tmp_path, outcomes=[again])["small-order[vip]"]
    assert result["historyId"] == results["small-order[vip]"]["historyId"]
    assert _parameters(result) == {
        "data set": "vip",
        "environment": "local",
        "correlation id": "corr-2",
        "run": "run-2",
    }


def test_record_outcome_of_a_scenario_that_never_began_skips_its_steps(results):
    """A scenario whose prerequisite failed is skipped with all its steps, which took no time."""
    result = results["return-order[vip]"]
    assert result["status"] == "skipped"
    assert result["start"] == result["stop"] == BEGAN_MS
    assert [(step["status"], step["stop"] - step["start"]) for step in result["steps"]] == [("skipped", 0)] * 2


def test_describe_scenario_reaches_scenarios_without_an_outcome(results):
    """A scenario that a marker skipped has its data set, so that its history goes on, and no steps."""
    result = results["return-order[marked]"]
    assert result["status"] == "skipped"
    assert _parameters(result) == {"data set": "marked", "environment": "local"}
    assert _labels(result, "feature") == ["Order to cash"]
    assert "steps" not in result


def test_record_outcome_of_a_fault_is_broken_and_not_failed(results):
    """Allure tells a fault of ours, broken, from a violation, failed."""
    result = results["small-order[no-service]"]
    assert result["status"] == "broken"
    assert result["statusDetails"]["message"] == "place: environments.yaml:3: nothing listens at '127.0.0.1:9'"
    step = _steps(result)["place: Place order"]
    assert step["status"] == "broken"
    assert step["statusDetails"]["message"] == (
        "environments.yaml:3: nothing listens at '127.0.0.1:9'\nhint: start the service"
    )


def test_record_outcome_of_a_flaky_step_marks_it_flaky(results):
    """A step that passed at the second try is passed and flaky."""
    step = _steps(results["small-order[flaky]"])["place: Place order"]
    assert (step["status"], step["statusDetails"]["flaky"]) == ("passed", True)


def test_record_outcome_of_a_scenario_expected_to_fail_keeps_allures_verdict(results):
    """An xfailed scenario is skipped in Allure, with all its steps."""
    result = results["large-order[known-defect]"]
    assert result["status"] == "skipped"
    assert len(result["steps"]) == 3


def test_record_outcome_with_a_lone_surrogate_writes_readable_files(results, folder):
    """Text that UTF-8 does not have neither breaks the session nor the result files."""
    step = results["small-order[surrogate]"]["steps"][0]
    assert step["name"] == "place: Place \\ud800"
    assert json.loads(_attachments(folder, step)["response"]) == {"body": "\ud800"}


def test_find_listener_without_allure_gives_none(pytestconfig):
    """Without ``--alluredir`` there is no listener."""
    if pytestconfig.getoption("allure_report_dir", None):
        pytest.skip("this session writes Allure results itself")
    assert find_listener(pytestconfig) is None
