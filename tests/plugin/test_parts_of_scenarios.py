"""Parts of scenarios: until a step, from a step, one step alone, and what failed last time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from orders_service import SIDECAR, Orders


def steps_of(project: Any, file: str) -> dict[str, Any]:
    """Give the steps of the only run in a file of events, by alias."""
    lines = (Path(project.path) / file).read_text().splitlines()
    (finished,) = (event for event in map(json.loads, lines) if event["event"] == "RunFinished")
    return {step["alias"]: step for step in finished["steps"]} | {"run": finished["run"]}


def test_run_until_a_step_skips_the_rest_with_the_reason(project: Any) -> None:
    """The steps behind it appear as not reached, and the run passes."""
    project.orders()
    for step in ("place", "task_0", "Place order"):
        project.run(f"--orchestra-until={step}", "--orchestra-events=e.ndjson").assert_outcomes(passed=1)
        steps = steps_of(project, "e.ndjson")
        assert (steps["place"]["status"], steps["paid"]["status"]) == ("PASSED", "SKIPPED")
        assert steps["paid"]["reason"] == "the run ends after step 'place'"


def test_step_that_no_scenario_has_is_a_usage_error(project: Any) -> None:
    """A slip of the pen is told with what may be meant, before anything is sent."""
    project.orders()
    result = project.run("--orchestra-until=plaice")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--orchestra-until: no scenario has a step 'plaice'", "hint: did you mean 'place'?"])


def test_run_from_a_step_reuses_what_came_before_it(project: Any) -> None:
    """The earlier results come from the store and are marked, with data and correlation id; nothing is sent again."""
    project.orders({"small": {"amount": 2000}})
    options = {"store": "embedded"}
    project.run("--orchestra-from-step=paid", **options).assert_outcomes(errors=1)
    assert project.run("--orchestra-events=first.ndjson", **options).parseoutcomes() == {"failed": 1}
    first, placed = steps_of(project, "first.ndjson"), len(Orders.placed)
    (project.path / "order.orchestra.yaml").write_text(SIDECAR.replace("failWhen", "#").replace("PAID", "REJECTED"))
    result = project.run("--orchestra-from-step=paid", "--orchestra-events=second.ndjson", "-v", **options)
    result.assert_outcomes(passed=1)
    second = steps_of(project, "second.ndjson")
    assert len(Orders.placed) == placed
    assert (second["place"]["status"], second["place"]["reused_from"]) == ("PASSED", first["run"]["id"])
    assert second["paid"]["reused_from"] is None
    assert (second["run"]["mode"], second["run"]["correlation_id"]) == ("FROM_STEP", first["run"]["correlation_id"])
    assert project.run("--orchestra-from-step=place", "--orchestra-data=amount=1500", **options).ret == 0
    assert list(Orders.placed.values())[-1][0] == 1500


def test_single_step_runs_alone_with_the_results_that_it_reads(project: Any) -> None:
    """What comes before it is taken from an earlier run, what comes behind is left out; without one it is an error."""
    project.orders()
    result = project.run("--orchestra-only-step=paid", store="embedded")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "order.bpmn::main[[]small[]]: step 'paid' reads the reply of step 'place', which no earlier run has",
            "hint: run the scenario once, at least with --orchestra-until=place",
        ]
    )
    project.run("--orchestra-until=place", store="embedded").assert_outcomes(passed=1)
    placed = len(Orders.placed)
    project.run("--orchestra-only-step=paid", "--orchestra-events=e.ndjson", store="embedded").assert_outcomes(passed=1)
    steps = steps_of(project, "e.ndjson")
    assert (len(Orders.placed), steps["run"]["mode"], steps["paid"]["status"]) == (placed, "SINGLE_STEP", "PASSED")
    options = ("--orchestra-only-step=place", "--orchestra-events=e.ndjson")
    project.run(*options, store="embedded").assert_outcomes(passed=1)
    assert (len(Orders.placed), steps_of(project, "e.ndjson")["paid"]["status"]) == (placed + 1, "SKIPPED")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--orchestra-from-step=paid"], "--orchestra-from-step: store 'memory' keeps no runs"),
        (["--orchestra-only-step=paid", "--orchestra-until=paid"], "--orchestra-only-step: one step has no other*"),
        (["--orchestra-data=amount"], "--orchestra-data: 'amount' does not read NAME=VALUE"),
        (["--orchestra-rerun=failed"], "--orchestra-rerun: store 'memory' keeps no runs"),
    ],
)
def test_part_that_cannot_be_is_a_usage_error(project: Any, options: list[str], message: str) -> None:
    """What cannot be done is said before anything is."""
    project.orders()
    result = project.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}"])


def test_rerun_runs_what_failed_in_the_latest_suite_run(project: Any) -> None:
    """The store says what failed, not pytest's cache; when nothing is left, that is no failure."""
    rows = {"good": {"amount": 1}, "wrong": {"amount": 13}, "never": {"amount": 2000}}
    project.orders(rows)
    first = project.run("--orchestra-rerun=failed", store="embedded")
    first.assert_outcomes(passed=1, failed=2)
    first.stdout.fnmatch_lines(["orchestra: the store has no run of these scenarios yet; all are run"])
    project.orders({**rows, "wrong": {"amount": 12}})
    second = project.run("--orchestra-rerun=failed", store="embedded")
    second.assert_outcomes(passed=1, failed=1, deselected=1)
    second.stdout.fnmatch_lines(["orchestra: runs the 2 scenarios again that failed in suite run '*'"])
    project.orders({**rows, "never": {"amount": 3}})
    third = project.run("--orchestra-rerun=failed", store="embedded")
    third.assert_outcomes(passed=1, deselected=2)
    third.stdout.fnmatch_lines(["orchestra: runs the scenario again that failed in suite run '*'"])
    last = project.run("--orchestra-rerun=failed", store="embedded")
    assert (last.ret, last.parseoutcomes()) == (0, {"deselected": 3})
    last.stdout.fnmatch_lines(["orchestra: no scenario failed in suite run '*', so none is run again"])
