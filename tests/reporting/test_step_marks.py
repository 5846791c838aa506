"""What is not usual about a step's result, in every report."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from pytest_orchestra.engine.resumption import SKIPPED_BY_HAND
from pytest_orchestra.model.run import RunStatus, StepStatus
from pytest_orchestra.reporting.html import run_html
from pytest_orchestra.reporting.terminal import failure_text, steps_table
from pytest_orchestra.reporting.verdict import changes_text, step_marks

MARKS = {
    "place": ("reused",),
    "shipped": ("taken over",),
    "sent": ("sent again",),
    "paid": ("skipped by hand",),
    "tidy": ("clean-up", "taken over"),
    "plain": (),
}


@pytest.fixture(scope="module")
def marked(passed, make_run):
    """Give a run that has a step of every kind, and of which somebody changed the data."""
    place, shipped, reserved = passed.steps
    skipped = replace(reserved, status=StepStatus.SKIPPED, reason=SKIPPED_BY_HAND, started_at=None, finished_at=None)
    steps = (
        replace(place, reused_from='run-7"<b>'),
        replace(shipped, taken_over=True),
        replace(place, alias="sent", repeated=True),
        replace(skipped, alias="paid", settling_time_ms=None, polls=0, observations=(), exchange=None),
        replace(place, alias="tidy", clean_up=True, taken_over=True),
        replace(place, alias="plain", changed={"amount": 250, "customer.name": "<Ann>"}),
    )
    run = make_run("small-order", "marked", RunStatus.PASSED, 500)
    return replace(passed, run=run, steps=tuple(replace(step, order_index=n) for n, step in enumerate(steps)))


def test_step_marks_say_where_a_result_comes_from(marked):
    """What is usual has no mark."""
    assert {step.alias: step_marks(step) for step in marked.steps} == MARKS
    assert changes_text(marked.steps[-1]) == 'amount = 250, customer.name = "<Ann>"'


def test_terminal_marks_steps_and_tells_changed_data(marked):
    """Marks stand behind names; that a step was skipped by hand is said once, below the table."""
    table = steps_table(marked.steps, width=120)
    for alias, marks in MARKS.items():
        (line,) = [line for line in table.splitlines() if f" {alias} " in line]
        shown = ", ".join(mark for mark in marks if mark != SKIPPED_BY_HAND)
        assert re.findall(r"\(([a-z, -]+)\)", line) == ([shown] if shown else [])
    text = failure_text(marked, width=120)
    assert "  not reached: paid (skipped by hand)\n" in text
    assert '  changed by hand before plain: amount = 250, customer.name = "<Ann>"' in text


def test_junit_has_marks_as_properties_of_the_steps(run_outcomes, tmp_path, marked):
    """Each step's test case has its own marks, and the run from which it was taken."""
    run_outcomes(tmp_path, "--junitxml=junit.xml", "--junit-steps=testcases", outcomes=[marked])
    found = {
        case.get("name").partition(" ")[2]: {each.get("name"): each.get("value") for each in case.iter("property")}
        for case in ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
        if case.get("classname") != "order.bpmn"
    }
    marks = {alias: properties.get("orchestra.marks", "") for alias, properties in found.items()}
    assert marks == {alias: ", ".join(names) for alias, names in MARKS.items()}
    assert found["place"]["orchestra.reused_from"] == 'run-7"<b>'
    assert found["plain"]["orchestra.changed"] == 'amount = 250, customer.name = "<Ann>"'
    assert "orchestra.changed" not in found["place"]


def test_allure_has_marks_behind_the_names_of_the_steps(run_outcomes, tmp_path, marked):
    """Who looks at the tree of steps sees them; the run and the changed data are parameters."""
    run_outcomes(tmp_path, "--alluredir=results", outcomes=[marked])
    (file,) = tmp_path.joinpath("results").glob("*-result.json")
    steps = {step["name"].partition(":")[0]: step for step in json.loads(file.read_text(encoding="utf-8"))["steps"]}
    marks = {alias: re.findall(r" \((.*)\)$", step["name"]) for alias, step in steps.items()}
    assert marks == {alias: [", ".join(names)] if names else [] for alias, names in MARKS.items()}
    parameters = {alias: {p["name"]: p["value"] for p in step["parameters"]} for alias, step in steps.items()}
    assert "run-7" in parameters["place"]["reused from"]
    assert "amount = 250" in parameters["plain"]["changed by hand"]
    assert "changed by hand" not in parameters["place"]


def test_html_has_marks_beside_the_names_of_the_steps(marked):
    """The run that a result was taken from is the mark's title; everything is escaped."""
    html = run_html(marked)
    shown = re.findall(r'<span class="mark"(?: title="([^"]*)")?>([^<]*)</span>', html)
    assert [mark for _, mark in shown] == [mark for marks in MARKS.values() for mark in marks]
    assert shown[0] == ("run-7&quot;&lt;b&gt;", "reused")
    assert "changed by hand before it: <code>amount = 250, customer.name = &quot;&lt;Ann&gt;&quot;</code>" in html
