"""Scenarios in the reports that people read: JUnit, Allure, pytest-html; in one process and over xdist."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from orders_service import SIDECAR

ROWS = {"good": {"amount": 10}, "bad": {"amount": 13}}
WORKERS = pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "two workers"])


@WORKERS
def test_junit_has_scenarios_and_their_steps_with_true_totals(project: Any, workers: list[str]) -> None:
    """One test case for each scenario and each step, properties that identify the run, and totals that add up."""
    project.orders(ROWS)
    project.run("--junitxml=report.xml", *workers).assert_outcomes(passed=1, failed=1)
    suite = ET.parse(project.path / "report.xml").getroot()[0]
    cases = suite.findall("testcase")
    assert int(suite.get("tests", 0)) == len(cases) == 2 + 4
    assert int(suite.get("failures", 0)) == len(suite.findall("testcase/failure")) == 2
    assert int(suite.get("skipped", 0)) == len(suite.findall("testcase/skipped")) == 1
    names = {(case.get("classname"), case.get("name")) for case in cases}
    assert ("order.bpmn.main[bad]", "1 place") in names
    properties = {each.get("name"): each.get("value") for each in suite.iterfind(".//property")}
    assert {"orchestra.run_id", "orchestra.correlation_id", "orchestra.data_set"} <= properties.keys()


def test_junit_steps_can_stay_out(project: Any) -> None:
    """With junit-steps=properties only scenarios are test cases."""
    project.orders(ROWS)
    project.run("--junitxml=report.xml", "--orchestra-junit-steps=properties").assert_outcomes(passed=1, failed=1)
    assert len(ET.parse(project.path / "report.xml").getroot()[0].findall("testcase")) == 2


@WORKERS
def test_allure_has_steps_with_attachments_and_a_history_for_each_data_set(project: Any, workers: list[str]) -> None:
    """Each data set is a test of its own, with its steps, their times, and what was sent and received."""
    project.orders(ROWS)
    project.run("--alluredir=allure", *workers).assert_outcomes(passed=1, failed=1)
    results = [json.loads(path.read_text()) for path in Path(project.path, "allure").glob("*-result.json")]
    assert len(results) == len({result["historyId"] for result in results}) == 2
    [bad] = [result for result in results if result["status"] == "failed"]
    assert [step["status"] for step in bad["steps"]] == ["failed", "skipped"]
    first = bad["steps"][0]
    assert first["start"] <= first["stop"]
    assert bad["start"] <= first["start"] <= first["stop"] <= bad["stop"]
    assert {attachment["name"] for attachment in first["attachments"]} >= {"request", "response"}
    assert {"name": "data set", "value": "bad"}.items() <= next(
        parameter for parameter in bad["parameters"] if parameter["name"] == "data set"
    ).items()


@WORKERS
def test_html_has_one_row_for_each_scenario_with_its_steps(project: Any, workers: list[str]) -> None:
    """pytest-html lists each scenario once, with a table of its steps."""
    project.orders(ROWS)
    result = project.run("--html=report.html", "--self-contained-html", *workers)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["coverage      3 of 3 edges planned (100 %), 3 passed (100 %): order"])
    text = (project.path / "report.html").read_text()
    assert "<td>3 of 3 (100 %)</td><td>3 of 3 (100 %)</td>" in text
    assert text.count("BUSINESS_RULE_VIOLATION") >= 1
    data = json.loads(
        text.partition('data-jsonblob="')[2].partition('"')[0].replace("&#34;", '"').replace("&amp;", "&")
    )
    assert {name: [row["result"] for row in rows] for name, rows in data["tests"].items()} == {
        "order.bpmn::main[good]": ["Passed"],
        "order.bpmn::main[bad]": ["Failed"],
    }


def test_coverage_of_scenarios_that_fail_is_planned_and_has_not_passed(project: Any) -> None:
    """What is covered by plan is told apart from what passed: at the terminal, on the page, and in the last event."""
    project.orders({"bad": {"amount": 13}})
    result = project.run("--html=report.html", "--self-contained-html", "--orchestra-events=events.ndjson")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["coverage      3 of 3 edges planned (100 %), 0 passed (0 %): order"])
    assert "<td>3 of 3 (100 %)</td><td>0 of 3 (0 %)</td>" in (project.path / "report.html").read_text()
    last = json.loads((project.path / "events.ndjson").read_text().splitlines()[-1])
    assert last["event"] == "SuiteFinished"
    [edges] = last["coverage"]
    assert (edges["file"], edges["criterion"], edges["total"]) == ("order.bpmn", "edge", 3)
    assert (edges["planned"], edges["passed"], len(edges["not_passed"])) == (3, 0, 3)


def test_xdist_lane_runs_all_scenarios_at_once_beside_python_tests(project: Any) -> None:
    """Under -n 2 one worker has all scenarios, concurrently, with their dependencies; Python tests use the others."""
    sidecar = SIDECAR + "scenarios: [{key: named, dataSets: [row0]}]\n"
    project.orders({f"row{n}": {"amount": 10, "settle": 1} for n in range(8)}, sidecar=sidecar)
    project.write(test_python_dot_py="import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n): pass\n")
    result = project.run("-n", "2", "-v", "--orchestra-events=events.ndjson")
    scenarios = result.parseoutcomes()["passed"] - 6
    assert scenarios >= 1
    workers = {line.split("]")[0] for line in result.outlines if "PASSED" in line and "order.bpmn" in line}
    assert len(workers) == 1, "all scenarios ran in one worker"
    events = [json.loads(line) for line in (project.path / "events.ndjson").read_text().splitlines()]
    starts = [event["at"] for event in events if event["event"] == "RunStarted"]
    ends = [event["at"] for event in events if event["event"] == "RunFinished"]
    assert len(starts) == scenarios
    assert max(starts) < min(ends), "all scenarios ran at once"


def test_xdist_failure_is_explained_on_the_controller(project: Any) -> None:
    """The block of a failed scenario arrives whole, and the short summary has its line."""
    project.orders(ROWS)
    result = project.run("-n", "2")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*response.body.total *14", "*curl *"])
    result.stdout.fnmatch_lines(["FAILED order.bpmn::main[[]bad[]] - place: BUSINESS_RULE_VIOLATION*"])
    result.stdout.fnmatch_lines(["scenarios *1 failed, 1 passed"])


@pytest.mark.parametrize("distribution", ["loadfile", "worksteal", "each"])
def test_xdist_other_distributions_run_every_scenario(project: Any, distribution: str) -> None:
    """Without a lane, scenarios run where xdist sends them, one after another."""
    project.orders({f"row{n}": {"amount": 10} for n in range(4)})
    result = project.run("-n", "2", f"--dist={distribution}")
    result.assert_outcomes(passed=8 if distribution == "each" else 4)
