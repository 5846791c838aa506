"""``--orchestra-resume`` in real sessions that are killed, interrupted, changed, and over."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from orders_service import SIDECAR, Orders

ROWS = {"fast": {"amount": 10}, "slow": {"amount": 20, "settle": 3}}


def begin(project: Any, *options: str) -> subprocess.Popen[str]:
    """Start pytest in the project, in a process that the test can kill."""
    command = [sys.executable, "-u", "-m", "pytest", "--orchestra", "-p", "no:cacheprovider", "-v", *options]
    return subprocess.Popen(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def placed() -> int:
    return len(Orders.placed)


def kill_in_the_middle(project: Any, *options: str, number: int = signal.SIGKILL) -> str:
    """Run until the fast scenario has passed and the slow one waits, and kill the session there; give what it said."""
    before, deadline = placed(), time.monotonic() + 60
    process = begin(project, *options)
    while placed() < before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.7)  # the fast one has passed by then, and the slow one waits for three seconds
    process.send_signal(number)
    return process.communicate()[0]


def test_killed_session_is_resumed_without_a_second_order(project: Any) -> None:
    """The report is that of the whole SuiteRun: the wait went on, and what had passed was not done again."""
    project.orders(ROWS)
    before = placed()
    kill_in_the_middle(project)
    assert placed() == before + 2
    began = time.monotonic()
    result = project.run("--orchestra-resume", "-v", "--junitxml=junit.xml", store="embedded")
    result.assert_outcomes(passed=2)
    assert placed() == before + 2
    assert time.monotonic() - began < 20, "nobody waited for the lease of a worker that is known to be dead"
    result.stdout.fnmatch_lines(
        [
            "orchestra: resume of the latest, store embedded*",
            "orchestra: resumes suite run 'run-*' of ????-??-?? ??:??:?? UTC: 1 of 2 runs had ended, 1 is left",
        ]
    )
    cases = [case.get("name") for case in ET.parse(project.path / "junit.xml").iter("testcase")]
    assert sorted(cases) == sorted(["main[fast]", "main[slow]", "1 place", "2 paid", "1 place", "2 paid"])


def test_interrupted_session_is_resumed(project: Any) -> None:
    """Ctrl-C is no end that one cannot come back from: the session says so, and how."""
    project.orders(ROWS)
    before = placed()
    said = kill_in_the_middle(project, number=signal.SIGINT)
    assert re.search(r"^suite run     \S+  ○ CANCELLED$", said, re.MULTILINE), said
    command = r"^go on         pytest --orchestra (--orchestra-resume --orchestra-suite-run=run-\w+)$"
    way_on = re.search(command, said, re.MULTILINE)
    assert way_on is not None, said
    project.run(*way_on[1].split(), store="embedded").assert_outcomes(passed=2)
    assert placed() == before + 2


def test_session_that_is_interrupted_before_anything_has_ended_says_how_to_go_on(project: Any) -> None:
    """Also one without a single result can be gone on with."""
    project.orders({"slow": {"amount": 10, "settle": 60}})
    before, process = placed(), begin(project, "--orchestra-suite-run=nightly run")
    deadline = time.monotonic() + 60
    while placed() == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[0]
    assert "go on         pytest --orchestra --orchestra-resume '--orchestra-suite-run=nightly run'\n" in said


def test_resumed_session_with_a_key_goes_on_with_that_suite_run(project: Any) -> None:
    """A key says which one is meant, whatever came after it; without one, nothing is resumed that was done since."""
    project.orders(ROWS)
    kill_in_the_middle(project, "--orchestra-suite-run=nightly")
    project.run("-k", "fast", "--orchestra-suite-run=later", store="embedded").assert_outcomes(passed=1, deselected=1)
    result = project.run("--orchestra-resume", "-k", "fast", store="embedded")
    result.assert_outcomes(passed=1, deselected=1)
    why = "'later' has come to its end since with the same scenarios; --orchestra-suite-run=nightly resumes it"
    result.stdout.fnmatch_lines(
        [
            f"orchestra: suite run 'nightly' of * UTC was interrupted and is not resumed, as {why}",
            "orchestra: there is nothing to resume; suite run 'run-*' begins",
        ]
    )
    result = project.run("--orchestra-resume", "--orchestra-suite-run=nightly", store="embedded")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["orchestra: resumes suite run 'nightly' of *: 1 of 2 runs had ended, 1 is left"])


def test_resumed_session_runs_a_changed_scenario_anew_and_says_so(project: Any) -> None:
    """Results of other definitions say nothing about these."""
    project.orders(ROWS)
    kill_in_the_middle(project)
    before = placed()
    project.write(
        order_dot_orchestra_dot_yaml=SIDECAR.replace("expectedStatusCode: 202", "expectedStatusCode: [201, 202]")
    )
    result = project.run("--orchestra-resume", "--orchestra-suite-run=other", store="embedded")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["orchestra: there is nothing to resume; suite run 'other' begins"])
    assert placed() == before + 2
    result = project.run("--orchestra-resume", store="embedded")
    result.stdout.fnmatch_lines(["orchestra: there is nothing to resume; suite run 'run-*' begins"])


def test_resume_where_nothing_was_left_begins_anew(project: Any) -> None:
    """A job that always says resume works the first time too, and after a session that came to its end."""
    project.orders()
    for _ in range(2):
        result = project.run("--orchestra-resume", store="embedded")
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["orchestra: there is nothing to resume; suite run 'run-*' begins"])


def test_killed_session_in_the_midst_of_an_action_that_must_not_be_repeated(project: Any) -> None:
    """The scenario ends as an error that says what is not known; the service gets no second order."""
    project.orders(
        {"slow": {"amount": 20}}, sidecar=SIDECAR.replace("alias: place\n", "alias: place\n    onResume: fail\n")
    )
    project.write(
        conftest_dot_py="import os, signal\n"
        "from pytest_orchestra.protocols.http import HttpProtocol\n\n"
        "class Dying(HttpProtocol):\n"
        "    async def execute(self, call, specs):\n"
        "        reply = await super().execute(call, specs)\n"
        "        if os.environ.get('DIE'):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return reply\n\n"
        "def pytest_orchestra_protocols(config):\n    return [Dying()]\n"
    )
    before = placed()
    os.environ["DIE"] = "1"
    try:
        begin(project).communicate()
    finally:
        del os.environ["DIE"]
    assert placed() == before + 1
    result = project.run("--orchestra-resume", store="embedded")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*7:5: step 'place' was under way when its run was cut off;"])
    assert placed() == before + 1


@pytest.mark.parametrize("given", ["--orchestra-lease=0", "--orchestra-store-patience=soon"])
def test_wrong_time_limits_are_usage_errors(project: Any, given: str) -> None:
    """Seconds are positive numbers."""
    project.orders()
    assert project.run(given).ret == pytest.ExitCode.USAGE_ERROR
