"""Several sessions with one SuiteRun, and static shards: together they do everything once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from orders_service import SIDECAR, Orders

ROWS = {f"row{n}": {"amount": n + 1, "settle": 0.3} for n in range(8)}


def begin(project: Any, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "--orchestra", "-p", "no:cacheprovider", "-rs", *options]
    return subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def outcomes_of(path: Any) -> dict[str, str]:
    """Give each scenario's outcome in a JUnit file."""
    found = {}
    for case in ET.parse(path).iter("testcase"):
        if case.get("name", "").startswith("main["):
            kinds = {child.tag for child in case} & {"skipped", "failure", "error"}
            found[case.get("name")] = kinds.pop() if kinds else "passed"
    return found


def test_sessions_that_share_a_suite_run_do_everything_once(project: Any) -> None:
    """Each scenario is run and reported by one of them; the others say by whom. The sum of the files is complete.

    Each calls the SuiteRun what it is, whoever had the run that failed.
    """
    project.orders(ROWS | {"wrong": {"amount": 13}})
    before = len(Orders.placed)
    options = ("--orchestra-suite-run=shared", "--orchestra-concurrency=2")
    both = [begin(project, *options, f"--junitxml={n}.xml") for n in "ab"]
    texts = [process.communicate()[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], texts
    assert [re.findall(r"^suite run     \S+  (.*)$", text, re.MULTILINE) for text in texts] == [["✗ FAILED"]] * 2, texts
    assert len(Orders.placed) == before + len(ROWS) + 1
    files = [outcomes_of(project.path / f"{n}.xml") for n in "ab"]
    for row in ROWS:
        assert sorted(found[f"main[{row}]"] for found in files) == ["passed", "skipped"], texts
    assert sorted(found["main[wrong]"] for found in files) == ["failure", "skipped"], texts
    assert re.search(
        r"^SKIPPED \[\d\] order\.bpmn:1: run by '.*', which reports it: PASSED$", "".join(texts), re.MULTILINE
    )
    command = [sys.executable, "-m", "pytest_orchestra", "history"]
    listed = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=True)
    assert "shared" in listed.stdout
    assert "8 passed" in listed.stdout
    assert "FAILED" in listed.stdout
    late = begin(project, *options)
    told = late.communicate()[0]
    assert "suite run 'shared' has ended already, 1 FAILED, 8 PASSED: nothing is run again" in told
    assert (late.returncode, len(Orders.placed)) == (1, before + len(ROWS) + 1), told


def test_shards_together_run_every_scenario_once(project: Any) -> None:
    """Each shard deselects what the others run, the same on every machine, and has its share."""
    project.orders({f"row{n}": {"amount": 1} for n in range(12)})
    counts = []
    for number in (1, 2, 3):
        outcomes = project.run(f"--orchestra-shard={number}/3").parseoutcomes()
        counts.append(outcomes.get("passed", 0))
        assert outcomes.get("passed", 0) + outcomes.get("deselected", 0) == 12
    assert counts == [4, 4, 4]


def test_shard_takes_a_scenario_along_with_its_prerequisites(project: Any) -> None:
    """What depends on each other stays together, so that no shard skips for want of another."""
    sidecar = SIDECAR + (
        "scenarios:\n- {key: first}\n" + "".join(f"- {{key: next{n}, dependsOn: [first]}}\n" for n in range(4))
    )
    project.orders(sidecar=sidecar)
    results = [project.run(f"--orchestra-shard={number}/2") for number in (1, 2)]
    assert sorted(result.parseoutcomes().get("passed", 0) for result in results) == [0, 5]
    assert [result.ret for result in results] == [0, 0], "a shard that has nothing to do is no failure"


def test_wrong_shard_is_a_usage_error(project: Any) -> None:
    """A part that there is not is refused before anything runs."""
    project.orders()
    result = project.run("--orchestra-shard=3/2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--orchestra-shard: '3/2' is no part of a whole"])


def test_priority_of_a_session_is_that_of_its_suite_run(project: Any) -> None:
    """It is an option like any other, and the history shows it to machines."""
    project.orders({"row": {"amount": 1}})
    session = begin(project, "--orchestra-suite-run=nightly", "--orchestra-priority=-10")
    assert session.communicate()[0].count("1 passed") > 0
    command = [sys.executable, "-m", "pytest_orchestra", "history", "--format", "json"]
    listed = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=True)
    assert [(each["key"], each["priority"]) for each in json.loads(listed.stdout)] == [("nightly", -10)]


@pytest.mark.parametrize(("given", "fault"), [("1001", "more than 1000"), ("-1001", "less than -1000")])
def test_priority_out_of_range_is_a_usage_error(project: Any, given: str, fault: str) -> None:
    """What the store could not keep is refused before anything runs."""
    project.orders()
    result = project.run(f"--orchestra-priority={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --orchestra-priority: '{given}' is {fault}", "hint: for example 2"])
