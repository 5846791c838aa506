"""Retries in real sessions: what is flaky passes, and nobody can overlook it."""

from __future__ import annotations

import json
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from faltering_service import Faltering
from orders_service import SIDECAR

STEP = SIDECAR.replace("    expectedStatusCode: 202", "    retry: {delayMs: 1}\n    expectedStatusCode: 202")


@pytest.fixture
def faltering(project: Any) -> Iterator[Any]:
    """The project against a service that answers 503 twice to orders of 50."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faltering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    Faltering.faults.clear()
    Faltering.keys.clear()
    Faltering.faults[50] = 2
    project.orders_url = f"http://127.0.0.1:{server.server_port}"
    yield project
    server.shutdown()
    server.server_close()
    thread.join()


ROWS = {"shaky": {"amount": 50}, "sound": {"amount": 10}}


def test_flaky_step_passes_and_is_shown_at_the_terminal(faltering: Any) -> None:
    """The session is green, its totals have a word for it, and the summary says what went wrong before."""
    faltering.orders(ROWS, sidecar=STEP)
    result = faltering.run("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*main[[]shaky[]] FLAKY*",
            "scenarios     1 flaky, 1 passed",
            "flaky         order.bpmn::main[[]shaky[]]: place: it passed at attempt 3, after",
            "              HTTP_ERROR: status 503 came where 202 is expected",
        ]
    )
    assert "1 flaky, 1 passed" in result.outlines[-1] or "1 passed, 1 flaky" in result.outlines[-1]
    assert len({key for key, _ in Faltering.keys[50]}) == 1, "a 503 may have taken effect, so the key stays"


def test_flaky_scenario_fails_where_that_is_asked_for(faltering: Any) -> None:
    """Who wants no flaky scenarios gets a failure with all attempts."""
    faltering.orders(ROWS, sidecar=STEP)
    result = faltering.run("--orchestra-fail-flaky")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*FLAKY*place: it passed at attempt 3, after HTTP_ERROR*",
            "*attempt 1 of 3 failed after *",
            "*HTTP_ERROR*503*",
        ]
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_flaky_step_is_in_junit(faltering: Any, workers: tuple[str, ...]) -> None:
    """The scenario and the step are passed, say FLAKY in a property, and every attempt in their output."""
    faltering.orders(ROWS, sidecar=STEP)
    assert faltering.run("--junitxml=junit.xml", *workers).ret == 0
    cases = {case.get("name"): case for case in ET.parse(faltering.path / "junit.xml").iter("testcase")}
    scenario = cases["main[shaky]"]
    [step] = [
        case
        for case in ET.parse(faltering.path / "junit.xml").iter("testcase")
        if case.get("name") == "1 place" and "shaky" in case.get("classname", "")
    ]
    for case in (scenario, step):
        properties = {each.get("name"): each.get("value") for each in case.iter("property")}
        assert properties["orchestra.status"] == "FLAKY"
        assert "attempt 2 of 3 failed" in case.findtext("system-out", "")
        assert case.find("failure") is None
    assert {each.get("name"): each.get("value") for each in step.iter("property")}["orchestra.attempts"] == "3"
    assert cases["main[sound]"].find("system-out") is None


def test_flaky_scenario_is_in_allure_html_and_events(faltering: Any) -> None:
    """Allure marks it, with every attempt below; so do the page and the events."""
    faltering.orders(ROWS, sidecar=STEP)
    options = ["--alluredir=allure", "--html=report.html", "--self-contained-html", "--orchestra-events=events.ndjson"]
    assert faltering.run(*options, "--orchestra-retries=1").ret == 0
    tests = [json.loads(path.read_text()) for path in (faltering.path / "allure").glob("*-result.json")]
    by_flaky = {bool(test.get("statusDetails", {}).get("flaky")): test for test in tests}
    assert by_flaky.keys() == {True, False}
    flaky = by_flaky[True]
    assert flaky["status"] == "passed"
    place = flaky["steps"][0]
    assert place["statusDetails"]["flaky"] is True
    assert [(step["name"], step["status"]) for step in place["steps"]] == [
        ("attempt 1", "failed"),
        ("attempt 2", "failed"),
    ]
    page = (faltering.path / "report.html").read_text()
    assert "main[shaky] &lt;span style=" in page, "its row has a mark, though pytest-html calls it passed"
    assert page.count('<span class="state FLAKY">FLAKY</span>') == 1, "above the table it is said why"
    assert "attempt 2 of 3 failed" in page
    events = [json.loads(line) for line in (faltering.path / "events.ndjson").read_text().splitlines()]
    assert [event["failed"]["number"] for event in events if event["event"] == "StepRetried"] == [1, 2]
    [finished] = [event for event in events if event["event"] == "RunFinished" and event["status"] == "FLAKY"]
    assert finished["steps"][0]["status"] == "FLAKY"


def test_retried_scenario_is_kept_with_every_attempt(faltering: Any) -> None:
    """History counts it as flaky, and show tells the attempts with their steps; each was another action."""
    faltering.orders(ROWS)
    result = faltering.run("--orchestra-retries=2", "--junitxml=junit.xml", store="embedded")
    assert result.ret == 0
    assert len({key for key, _ in Faltering.keys[50]}) == len({each for _, each in Faltering.keys[50]}) == 3
    shown = faltering.pytester.run(sys.executable, "-m", "pytest_orchestra", "history")
    shown.stdout.fnmatch_lines(["*1 flaky, 1 passed*"])
    shown = faltering.pytester.run(sys.executable, "-m", "pytest_orchestra", "show", "order.bpmn::main[shaky]")
    shown.stdout.fnmatch_lines(
        [
            "*FLAKY  it passed at attempt 3, after place: HTTP_ERROR: status 503 came where 202 is expected*",
            "attempt 1 of 3 failed, correlation id *",
            "attempt 2 of 3 failed, correlation id *",
        ]
    )
    facts = json.loads(
        faltering.pytester.run(
            sys.executable, "-m", "pytest_orchestra", "show", "order.bpmn::main[shaky]", "--format", "json"
        ).stdout.str()
    )
    assert [attempt["steps"][0]["status"] for attempt in facts[0]["attempts"]] == ["FAILED", "FAILED"]
    case = next(
        case for case in ET.parse(faltering.path / "junit.xml").iter("testcase") if case.get("name") == "main[shaky]"
    )
    assert {each.get("name"): each.get("value") for each in case.iter("property")}["orchestra.attempts"] == "3"


def test_retries_of_a_scenario_go_before_the_sidecars_and_the_users(faltering: Any) -> None:
    """The one who knows most has the word: scenario, sidecar, option."""
    faltering.orders(ROWS, sidecar=SIDECAR + "retries: 5\nscenarios:\n  - {key: precious, retries: 1}\n")
    result = faltering.run("--orchestra-retries=7", "-k", "shaky")
    result.assert_outcomes(failed=1, deselected=1)
    assert len(Faltering.keys[50]) == 2


def test_rerun_adds_one_attempt_and_is_flaky_when_it_passes(faltering: Any) -> None:
    """pytest-rerunfailures and our retries do not multiply, and a scenario that it saved is not called sound."""
    faltering.orders(ROWS)
    result = faltering.run("--reruns=4", "--orchestra-retries=1", "-v")
    assert result.ret == 0
    assert len(Faltering.keys[50]) == 3, "two attempts, and one rerun"
    result.stdout.fnmatch_lines(["*main[[]shaky[]] RERUN*", "*main[[]shaky[]] FLAKY*"])
    result.stdout.fnmatch_lines(
        [
            "scenarios     1 flaky, 1 passed",
            "flaky         order.bpmn::main[[]shaky[]]#2: it failed before, and was run again",
        ]
    )


def test_option_that_is_no_number_of_retries_is_refused(faltering: Any) -> None:
    """None is a number of retries; less than none is not."""
    faltering.orders()
    assert faltering.run("--orchestra-retries=0").ret == 0
    result = faltering.run("--orchestra-retries=-1")
    result.stderr.fnmatch_lines(["ERROR: --orchestra-retries: '-1' is less than 0", "hint: for example 2"])
