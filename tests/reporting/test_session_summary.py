"""The end of a session."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.run import CoverageReached, RunStatus, SuiteRun, SuiteRunStatus, ViolationType
from pytest_orchestra.model.scenario import MissedGoal
from pytest_orchestra.reporting.summary import SettlingTime, collect_facts, count_text, summary_text
from pytest_orchestra.reporting.typography import Page, Tone

SUITE = SuiteRun("0199a3c2-7e11-7abc-8def-001122334455", "nightly", "default", SuiteRunStatus.FAILED)

SUMMARY = """\
scenarios     1 failed, 1 in error, 2 passed
violations    1 TIMEOUT

settling times
  STEP      NAME            RUNS     P50     MAX
  shipped   Order shipped      2  715 ms  1.00 s
  reserved  Stock reserved     2  450 ms  450 ms

coverage      11 of 12 edges planned (91 %), 7 passed (58 %): Order to cash
                Flow_9: no data set makes 'data.amount > 1000' true
coverage      9 of 9 nodes planned (100 %), 9 passed (100 %): Order to cash

suite run     0199a3c2-7e11-7abc-8def-001122334455  ✗ FAILED
see it again  orchestra show 0199a3c2-7e11-7abc-8def-001122334455"""


def _reached(process, criterion, total, planned, passed, missing=()):
    return CoverageReached("order.bpmn", "order", process, criterion, total, planned, passed, missing=missing)


def _settling(passed, milliseconds, *, alias="shipped", process="order"):
    place, shipped, reserved = passed.steps
    steps = (place, replace(shipped, alias=alias, settling_time_ms=milliseconds), reserved)
    return replace(passed, run=replace(passed.run, process_id=process), steps=steps)


def test_collect_facts_measures_each_effect_over_all_runs(passed):
    """An effect has its median and its longest settling time; the slowest comes first."""
    facts = collect_facts([_settling(passed, milliseconds) for milliseconds in (100.0, 900.0, 200.0)])
    assert facts.settling == (
        SettlingTime("order", "shipped", "Order\nshipped", 3, 200.0, 900.0),
        SettlingTime("order", "reserved", "Stock reserved", 3, 450.0, 450.0),
    )


def test_collect_facts_keeps_effects_of_two_processes_apart(passed):
    """The same alias in another process is another effect."""
    facts = collect_facts([_settling(passed, 100.0), _settling(passed, 900.0, process="return")])
    assert [(each.process_id, each.longest_ms) for each in facts.settling if each.alias == "shipped"] == [
        ("return", 900.0),
        ("order", 100.0),
    ]


def test_collect_facts_counts_runs_and_violations(passed, failed, faulty, skipped):
    """States and violations are counted, those that need attention first."""
    facts = collect_facts([passed, skipped, failed, failed, faulty])
    assert list(facts.runs.items()) == [
        (RunStatus.FAILED, 2),
        (RunStatus.ERROR, 1),
        (RunStatus.PASSED, 1),
        (RunStatus.SKIPPED, 1),
    ]
    assert facts.violations == {ViolationType.TIMEOUT: 2}


@given(times=st.lists(st.floats(0, 10**7), min_size=1, max_size=30))
def test_collect_facts_of_any_times_has_its_median_below_its_longest(passed, times):
    """The median and the longest are what they are called."""
    measured = collect_facts([_settling(passed, each) for each in times]).settling
    (shipped,) = [each for each in measured if each.alias == "shipped"]
    assert shipped.longest_ms == max(times)
    assert sum(each <= shipped.median_ms for each in times) * 2 >= len(times)
    assert sum(each >= shipped.median_ms for each in times) * 2 >= len(times)


def test_summary_text_tells_counts_settling_coverage_and_the_way_back(passed, failed, faulty):
    """Everything that a session came to, in the order of its importance."""
    facts = collect_facts([_settling(passed, 1_000.0), failed, passed, faulty])
    missing = (MissedGoal("Flow_9", "no data set makes 'data.amount > 1000' true"),)
    coverage = (
        _reached("Order to cash", Criterion.EDGE, 12, 11, 7, missing),
        _reached("Order to cash", Criterion.NODE, 9, 9, 9),
    )
    assert summary_text(facts, suite_run=SUITE, coverage=coverage) == SUMMARY


def test_summary_text_of_many_effects_shows_the_slowest(passed):
    """Five effects are shown, and how many there are."""
    facts = collect_facts([_settling(passed, 1_000.0 * n, alias=f"effect{n}", process=f"p{n}") for n in range(1, 9)])
    lines = summary_text(facts).split("\n")
    assert lines[2] == "settling times, the 5 slowest of 16 effects"
    assert [line.split()[0] for line in lines[4:]] == ["effect8", "effect7", "effect6", "effect5", "effect4"]
    assert lines[3].split() == ["STEP", "NAME", "PROCESS", "RUNS", "P50", "MAX"]


def test_summary_text_of_poor_coverage_lists_the_first_missing_goals():
    """Long lists end after five goals; a long reason is wrapped below its goal."""
    missing = tuple(MissedGoal(f"Flow_{number}", "no reason " * 8) for number in range(7))
    coverage = (_reached("Order", Criterion.DECISION, 7, 0, 0, missing),)
    lines = summary_text(collect_facts([]), coverage=coverage, width=80).split("\n")
    assert lines[0] == "coverage      0 of 7 decisions planned (0 %), 0 passed (0 %): Order"
    assert lines[1].startswith("                Flow_0: no reason")
    assert lines[2].startswith("                  reason")
    assert lines[-1] == "                … 2 more"


def test_summary_text_of_nearly_full_coverage_is_not_100_percent():
    """Only all is 100 %."""
    coverage = (_reached("Order", Criterion.EDGE, 10_000, 9_999, 9_998),)
    assert summary_text(collect_facts([]), coverage=coverage) == (
        "coverage      9999 of 10000 edges planned (99 %), 9998 passed (99 %): Order"
    )


def test_summary_text_of_nothing_is_empty():
    """A session without scenarios has no summary."""
    assert summary_text(collect_facts([])) == ""


def test_count_text_names_every_state_and_colours_it():
    """All states have words; a state that is only text is as good."""
    counts = dict.fromkeys(RunStatus, 1)
    assert count_text(counts, Page()) == (
        "1 failed, 1 in error, 1 stuck, 1 cancelled, 1 flaky, 1 passed, 1 skipped, 1 in progress, 1 queued, 1 pending"
    )
    assert count_text({"PASSED": 2, "FAILED": 0}, Page.of(80, color=True)) == f"\x1b[{Tone.GOOD}m2 passed\x1b[0m"
