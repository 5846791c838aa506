"""Coverage by plan, and by what ran and passed."""

from __future__ import annotations

from dataclasses import replace

from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.run import CoverageReached, RunStatus, StepStatus
from pytest_orchestra.model.scenario import CoverageGoal, CriterionCoverage, MissedGoal
from pytest_orchestra.reporting.coverage import CoveragePlan, coverage_names, measure_coverage, percent
from pytest_orchestra.reporting.html_summary import summary_html
from pytest_orchestra.reporting.summary import collect_facts

MISSED = MissedGoal("Flow_9", "no data set makes '<amount>' true")


def _plan(key: str, other: str, file: str = "order.bpmn") -> CoveragePlan:
    """A process with two scenarios that share one edge, have one each, and leave one out."""
    common, own, others = (CoverageGoal(Criterion.EDGE, name) for name in ("common", "own", "others"))
    criteria = (CriterionCoverage(Criterion.EDGE, 3, 4, (MISSED,)), CriterionCoverage(Criterion.NODE, 0, 0))
    return CoveragePlan(file, "order", "Order", criteria, {key: (common, own), other: (common, others)})


def _edges(plan, outcomes):
    edges, nodes = measure_coverage([plan], outcomes)
    assert (nodes.criterion, nodes.total) == (Criterion.NODE, 0)
    return edges.passed, edges.not_passed


def test_measure_coverage_counts_the_goals_of_scenarios_that_passed(passed):
    """The plan stays what it is; what no passed scenario covers is named."""
    key = passed.run.scenario_key
    edges, _ = measure_coverage([_plan(key, "another")], [passed])
    assert edges == CoverageReached(
        "order.bpmn", "order", "Order", Criterion.EDGE, 4, 3, 2, not_passed=("others",), missing=(MISSED,)
    )


def test_measure_coverage_leaves_out_what_failed_was_skipped_or_is_not_whole(passed, failed):
    """Of a scenario that failed, or of which steps were left out, nothing counts; what was flaky counts."""
    key = passed.run.scenario_key
    plan = _plan(key, "another")
    partly = replace(passed, steps=(*passed.steps[:-1], replace(passed.steps[-1], status=StepStatus.SKIPPED)))
    nothing = (0, ("common", "own", "others"))
    assert _edges(plan, []) == nothing
    assert _edges(_plan(failed.run.scenario_key, "another"), [failed]) == nothing
    assert _edges(plan, [replace(passed, status=RunStatus.SKIPPED)]) == nothing
    assert _edges(plan, [partly]) == nothing
    assert _edges(plan, [replace(passed, status=RunStatus.FLAKY)]) == (2, ("others",))


def test_measure_coverage_does_not_care_about_clean_up_that_was_not_needed(passed):
    """A clean-up step stands for nothing of the process."""
    last = replace(passed.steps[-1], status=StepStatus.SKIPPED, clean_up=True)
    outcome = replace(passed, steps=(*passed.steps, last))
    assert _edges(_plan(passed.run.scenario_key, "another"), [outcome]) == (2, ("others",))


def test_measure_coverage_keeps_two_files_with_the_same_process_apart(passed):
    """A copy of a process is covered by its own scenarios only, and people see which is which."""
    key = passed.run.scenario_key
    reached = measure_coverage([_plan(key, "another"), _plan(key, "another", "copy/order.bpmn")], [passed])
    assert [(each.file, each.passed) for each in reached if each.criterion is Criterion.EDGE] == [
        ("order.bpmn", 2),
        ("copy/order.bpmn", 0),
    ]
    assert set(coverage_names(reached).values()) == {"Order (order.bpmn)", "Order (copy/order.bpmn)"}


def test_percent_is_100_only_for_all():
    """Nearly all is 99 %; all of nothing is all."""
    assert (percent(9_999, 10_000), percent(2, 2), percent(0, 0), percent(0, 3)) == (99, 100, 100, 0)


def test_summary_html_has_both_figures_the_goals_that_are_left_and_what_was_flaky(passed):
    """The page says what the terminal says, and nothing of it is markup."""
    flaky = replace(passed, status=RunStatus.FLAKY, run=replace(passed.run, key="order.bpmn::main[<b>]"))
    coverage = measure_coverage([_plan(passed.run.scenario_key, "another")], [passed])
    page = summary_html(collect_facts([flaky]), coverage=coverage)
    assert "<td>3 of 4 (75 %)</td><td>2 of 4 (50 %)</td>" in page
    assert "<code>others</code><br><code>Flow_9</code> no data set makes &#x27;&lt;amount&gt;&#x27; true" in page
    assert "<code>order.bpmn::main[&lt;b&gt;]</code>" in page
    assert "<dt>scenarios</dt><dd>1 flaky</dd>" in page
