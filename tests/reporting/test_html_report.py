"""The piece of HTML for pytest-html, parsed, and the page that pytest-html makes of it."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_orchestra.model.run import Exchange, Observation, RunFault, RunStatus, StepAttempt
from pytest_orchestra.reporting.html import escape_node_id, html_extras, run_html

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"img", "br", "meta", "link", "input"}


class Page(HTMLParser):
    """Collects elements and text, and fails on tags that are not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text.append(data)

    def with_class(self, name):
        return [attrs for _, attrs in self.elements if name in attrs.get("class", "").split()]

    def tags(self):
        return {tag for tag, _ in self.elements}


def test_html_extras_are_plain_dictionaries(passed):
    """pytest-html takes them as they are, and JSON, with which xdist and pytest-html store them, too."""
    (extra,) = html_extras(passed)
    assert (extra["format_type"], extra["name"]) == ("html", "Steps")
    assert json.loads(json.dumps(extra)) == extra
    assert extra["content"] == run_html(passed)


def test_run_html_shows_every_step_with_its_state(failed):
    """Every step has a row: state, alias, name without its line break, element."""
    page = Page(run_html(failed))
    assert [each["class"] for each in page.with_class("state")] == [
        "state FAILED",
        "state PASSED",
        "state FAILED",
        "state SKIPPED",
    ]
    text = "".join(page.text)
    for shown in ("place", "Order shipped", "Event_Shipped", "1.02 s", "step 'shipped' failed before it"):
        assert shown in text


def test_run_html_opens_the_evidence_of_broken_steps_only(failed):
    """What was exchanged is folded, and unfolded where a step broke."""
    page = Page(run_html(failed))
    assert ["open" in attrs for tag, attrs in page.elements if tag == "details"] == [False, True]


def test_run_html_shows_history_values_and_command(failed):
    """A broken step has its place, the value of each part of its rule, its history and the command."""
    text = "|".join(Page(run_html(failed)).text)
    assert "order.orchestra.yaml:14" in text
    assert "response.body.status|PAID" in text
    assert "0 ms|NEW|x3|150 ms|PAID|x9, last at 1.01 s" in text
    assert "curl -sS -H 'X-Correlation-ID: corr-large-order-vip' http://127.0.0.1:8000/orders/7" in text


def test_run_html_puts_steps_on_the_time_line_of_the_run(passed):
    """A bar begins and ends where the step did, in per cent of the run."""
    bars = [each["style"] for each in Page(run_html(passed)).with_class("bar")]
    assert bars == ["left:0.0%;width:8.4%", "left:8.4%;width:87.6%", "left:96.0%;width:4.0%"]


def test_run_html_of_a_step_outside_the_run_keeps_its_bar_inside(passed):
    """Clocks that disagree do not draw outside of the table."""
    late = replace(passed.steps[0], started_at=passed.at + timedelta(seconds=9), duration_ms=90_000.0)
    (bar,) = Page(run_html(replace(passed, steps=(late,)))).with_class("bar")
    assert bar["style"] == "left:100.0%;width:0.0%"


def test_run_html_of_a_fault_shows_fact_and_hint(failed):
    """A fault of ours is told with its place and its hint."""
    fault = RunFault("SettingsError", "no environment 'stage'", "add it", "environments.yaml:1")
    text = "".join(Page(run_html(replace(failed, status=RunStatus.ERROR, fault=fault, steps=()))).text)
    assert "environments.yaml:1: no environment 'stage'hint: add it" in text


@pytest.mark.parametrize("where", ["name", "alias", "element_id", "reason"])
def test_run_html_escapes_names_of_steps(failed, where):
    """Names from files bring no elements into the page."""
    steps = tuple(replace(step, **{where: SCRIPT}) for step in failed.steps)
    page = Page(run_html(replace(failed, steps=steps)))
    assert not page.tags() & {"script", "img"}
    assert SCRIPT in "".join(page.text)


def test_run_html_escapes_everything_a_service_sent(failed):
    """Values of exchanges, observations, violations and faults bring no elements, attributes or handlers."""
    step = failed.steps[1]
    (violation,) = step.violations
    details = {"rule": SCRIPT, "parts": [{"expression": SCRIPT, "value": [SCRIPT]}], "place": SCRIPT, SCRIPT: SCRIPT}
    message = {"method": SCRIPT, "url": SCRIPT, "status": SCRIPT, "headers": {SCRIPT: SCRIPT}, "body": {SCRIPT: SCRIPT}}
    evil = replace(
        step,
        violations=(replace(violation, code=SCRIPT, message=SCRIPT, details=details),),
        observations=(Observation(SCRIPT, 0, 0), Observation({SCRIPT: SCRIPT}, 1, 1)),
        exchange=Exchange(message, {**message, "body": SCRIPT, SCRIPT: SCRIPT}, SCRIPT),
        fault=RunFault(SCRIPT, SCRIPT, SCRIPT, SCRIPT),
    )
    run = replace(failed.run, **dict.fromkeys(("id", "key", "data_set", "environment", "correlation_id"), SCRIPT))
    page = Page(run_html(replace(failed, run=run, steps=(evil,), reason=SCRIPT)))
    assert not page.tags() & {"script", "img"}
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)


@given(st.text())
@settings(max_examples=50, deadline=None)
def test_escape_node_id_of_any_text_leaves_one_cell(text):
    """No node id opens or closes an element."""
    cells = [f"<td>order.bpmn::{text}</td>"]
    escape_node_id(cells, f"order.bpmn::{text}")
    assert [tag for tag, _ in Page(cells[0]).elements] == ["td"]


def test_run_html_loads_nothing(failed):
    """The page needs neither script nor network."""
    page = Page(run_html(failed))
    assert not page.tags() & {"script", "link", "iframe", "img", "object"}
    assert "url(" not in run_html(failed)
    assert "@import" not in run_html(failed)


def test_run_html_of_a_barrier_tells_which_step_it_tracks(failed):
    """A broken step without a violation of its own names its reason, and has nothing to unfold."""
    step = replace(
        failed.steps[1], violations=(), observations=(), exchange=None, reason="it tracks step 'pay', which failed"
    )
    page = Page(run_html(replace(failed, steps=(step,))))
    assert len(page.with_class("violation")) == 1
    assert "it tracks step 'pay', which failed" in page.text
    assert "details" not in page.tags()


def test_run_html_of_a_violation_without_values_is_its_message(failed):
    """There is no empty grid below a message, and a rule that the message does not quote stands there."""
    (violation,) = failed.steps[1].violations
    violation = replace(violation, message="no reply", details={"rule": "status == 200"})
    page = Page(run_html(replace(failed, steps=(replace(failed.steps[1], violations=(violation,)),))))
    assert page.with_class("values") == []
    assert "status == 200" in page.text


def test_run_html_of_a_long_value_is_cut(failed):
    """One value does not fill the page."""
    step = replace(failed.steps[1], observations=(Observation("x" * 100_000, 0, 0),))
    assert len(run_html(replace(failed, steps=(step,)))) < 20_000


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one-process", "xdist"])
def test_html_extras_in_pytest_html_give_one_row_with_steps(run_outcomes, tmp_path, passed, failed, processes):
    """pytest-html lists each scenario once, with its steps and an escaped name, in every process."""
    name = "<img src=x onerror=alert(2)>"
    evil = replace(passed, run=replace(passed.run, key=f"order.bpmn::small-order[{name}]", data_set=name))
    run_outcomes(tmp_path, "--html=report.html", "--self-contained-html", *processes, outcomes=[evil, failed])
    tests = _tests(tmp_path)
    assert sorted(tests) == ["order.bpmn::large-order[vip]", f"order.bpmn::small-order[{name}]"]
    (row,) = tests["order.bpmn::large-order[vip]"]
    assert [extra["content"] for extra in row["extras"]] == [run_html(failed)]
    (row,) = tests[f"order.bpmn::small-order[{name}]"]
    assert Page("".join(row["resultsTableRow"])).tags() == {"td"}


def _tests(folder):
    page = folder.joinpath("report.html").read_text(encoding="utf-8")
    blob = re.search(r'data-jsonblob="([^"]*)"', page).group(1)
    return json.loads(html.unescape(blob))["tests"]


def test_run_html_of_a_flaky_step_has_each_attempt_on_the_time_line_and_by_number(flaky):
    """The time of an attempt that failed is not lost, and nobody takes its reply for that of the last one."""
    place, *rest = flaky.steps
    earlier = (StepAttempt(1, started_at=place.started_at, duration_ms=153.0), StepAttempt(2, duration_ms=7.0))
    page = run_html(replace(flaky, steps=(replace(place, attempts=earlier), *rest)))
    assert page.count('<div class="bar FAILED"') == 1, "when the second one began is not known"
    assert page.count('<div class="bar FLAKY"') == 1
    assert "<h4>attempt 2 of 3 failed after 7 ms</h4>" in page
    assert "<h4>attempt 3 of 3, the last</h4>" in page
    assert "the last</h4>" not in run_html(flaky)
