"""Reporting: every scenario's outcome into every report that people read."""

from __future__ import annotations

import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_orchestra.collection.items import ScenarioItem
from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.run import CoverageReached, RunStatus, StepStatus, SuiteRun, SuiteRunStatus
from pytest_orchestra.plugin.planned import coverage_plans, send_plans
from pytest_orchestra.plugin.state import settings_of, suite_run_key, worker_input
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.reporting import allure, html, junit
from pytest_orchestra.reporting.carriage import attach_outcome, outcome_of
from pytest_orchestra.reporting.coverage import measure_coverage
from pytest_orchestra.reporting.html_summary import summary_html
from pytest_orchestra.reporting.summary import SessionFacts, collect_facts, summary_text
from pytest_orchestra.reporting.terminal import FailureReport
from pytest_orchestra.reporting.verdict import place_of
from pytest_orchestra.session.orchestra import OrchestraSession

__all__ = ["ScenarioReporting"]

_OURS: Final = Path(__file__).parents[1]
_MOST_DOUBTS: Final = 20
_RERUN: Final = "rerun"
"""What pytest-rerunfailures calls an outcome that another will replace."""


class ScenarioReporting:
    """The hooks that report scenarios. Reports carry the whole outcome, so that xdist's controller has it as well."""

    def __init__(self, config: pytest.Config, session: OrchestraSession) -> None:
        self._config = config
        self._orchestra = session
        self._settings = settings_of(config)
        self._outcomes: list[RunFinished] = []
        self._is_interrupted = False
        self._positions: dict[str, int] = {}

    def pytest_report_header(self) -> str:
        """Say where runs are kept and under which key."""
        store = self._settings.store.partition("://")[0]
        key, concurrency = f"suite run {suite_run_key(self._config)}", self._settings.concurrency
        if self._settings.resume:
            key = f"resume of {f'suite run {self._settings.suite_run}' if self._settings.suite_run else 'the latest'}"
        pace = "step by step" if self._settings.step else f"concurrency {concurrency}"
        return f"orchestra: {key}, store {store}, {pace}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give the report of a scenario its true times and its outcome."""
        if not isinstance(item, ScenarioItem):
            return (yield)
        finished = item.finished
        if finished is None or call.when != _phase(finished):
            report = _at_item((yield), item)
            if finished is None and call.when == "setup":
                allure.describe_scenario(self._config, self._labels(item), data_set=_data_set_name(item))
            return report
        call.start, call.stop = (finished.run.started_at or finished.at).timestamp(), finished.at.timestamp()
        call.duration = max(0.0, call.stop - call.start)
        item.user_properties = junit.user_properties(finished)
        report = _at_item((yield), item)
        attach_outcome(report, finished, travels=bool(worker_input(self._config)))
        if self._config.getoption("htmlpath", default=None):
            extras = [*getattr(report, "extras", []), *html.html_extras(finished)]
            report.extras = extras  # type: ignore[attr-defined]  # pytest-html reads it
        allure.record_outcome(self._config, report, finished, self._labels(item))
        return report

    @staticmethod
    def _labels(item: ScenarioItem) -> allure.ScenarioLabels:
        markers = [marker.name for marker in item.iter_markers() if not marker.args and not marker.kwargs]
        process = item.suite.process_name or item.suite.process_id
        return allure.ScenarioLabels(process, item.scenario.key, item.scenario.tags, tuple(markers))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Where the reports of all workers come together: keep outcomes, and write JUnit's steps."""
        finished = outcome_of(report)
        if finished is None or worker_input(self._config) or str(report.outcome) == _RERUN:
            return
        is_text = isinstance(report.longrepr, str)
        if report.failed and is_text and finished.status is not RunStatus.PASSED:  # over xdist only the text travels
            report.longrepr = FailureReport(finished)  # type: ignore[assignment]  # duck-typed
        position = self._positions.setdefault(finished.run.id, len(self._outcomes))
        self._outcomes[position : position + 1] = [finished]  # told again where the worker crashed that told it first
        junit.record_steps(self._config, report, junit.JUnitSteps(self._settings.junit_steps))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Call flaky what is: among those that passed nobody would look for it."""
        if report.when != "call" or not report.passed or hasattr(report, "wasxfail"):
            return None
        finished = outcome_of(report)
        if finished is None or finished.status is not RunStatus.FLAKY:
            return None
        return "flaky", "~", ("FLAKY", {"yellow": True})

    def pytest_keyboard_interrupt(self) -> None:
        """Remember it: what xdist's controller tells of its workers' SuiteRun depends on that."""
        self._is_interrupted = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Tell the controller, if there is one, what there is to cover."""
        send_plans(self._config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Keep names of data sets from being taken for markup, and mark what is flaky: its row says 'Passed'."""
        html.escape_node_id(cells, report.nodeid)
        finished = outcome_of(report)
        if finished is not None and finished.status is RunStatus.FLAKY:
            html.mark_flaky(cells)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Say above the table what the terminal says at the end."""
        suite_run = self._suite_run()
        if self._outcomes or suite_run:
            facts = self._facts()
            prefix.append(summary_html(facts, suite_run=suite_run, coverage=self._coverage()))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how effects settled, what is covered, and how to see the runs again."""
        suite_run = self._suite_run()
        is_known = self._outcomes or suite_run or self._orchestra.cut_off
        if not is_known or worker_input(self._config) or self._config.get_verbosity() < 0:
            return
        facts = self._facts()
        writer = terminalreporter._tw  # noqa: SLF001  no public way to its width
        text = summary_text(
            facts,
            suite_run=suite_run,
            coverage=self._coverage(),
            width=writer.fullwidth,
            color=writer.hasmarkup,
            encoding=getattr(sys.__stdout__, "encoding", None),
        )
        terminalreporter.write_sep("=", "orchestra")
        for line in text.splitlines():
            terminalreporter.write_line(line)
        for number, problem in enumerate(self._doubts()):
            terminalreporter.write_line(f"{'' if number else chr(10)}{problem.label}: {problem}")

    def _facts(self) -> SessionFacts:
        """Give the figures, with the runs that the end of the session cut off."""
        facts = collect_facts(self._outcomes)
        if not self._orchestra.cut_off:
            return facts
        cancelled = facts.runs.get(RunStatus.CANCELLED, 0) + self._orchestra.cut_off
        return replace(facts, runs={**facts.runs, RunStatus.CANCELLED: cancelled})

    def _doubts(self) -> list[Problem]:
        """Give what was doubtful, before anything ran, about the steps that failed: it may be why they did."""
        failed = {
            place_of(step) for finished in self._outcomes for step in finished.steps if step.status is StepStatus.FAILED
        }
        known = (problem for definitions in self._orchestra.loader.loaded for problem in definitions.problems)
        found = [each for each in known if each.severity is Severity.WARNING and str(each.place) in failed]
        return found[:_MOST_DOUBTS]

    def _suite_run(self) -> SuiteRun | None:
        """Give the SuiteRun as the session left it, or over xdist as its outcomes tell it.

        None where nobody could look at it again.
        """
        known = self._orchestra.ended or self._orchestra.unfinished
        if known is not None or not self._outcomes or not self._outcomes[-1].is_kept:
            return known
        is_passed = all(each.status.is_good or each.status is RunStatus.SKIPPED for each in self._outcomes)
        status = SuiteRunStatus.PASSED if is_passed else SuiteRunStatus.FAILED
        return SuiteRun(
            self._outcomes[-1].run.suite_run_id,
            suite_run_key(self._config),
            self._settings.tenant,
            SuiteRunStatus.CANCELLED if self._is_interrupted else status,
        )

    def _coverage(self) -> tuple[CoverageReached, ...]:
        """Give what the scenarios of each process are to cover, and how much of that passed."""
        return measure_coverage(coverage_plans(self._config), self._outcomes)


def _at_item(report: pytest.TestReport, item: ScenarioItem) -> pytest.TestReport:
    """Let a skipped scenario be skipped at its place in the process file, not at the line of ours that skips it."""
    if report.skipped and isinstance(report.longrepr, tuple) and Path(report.longrepr[0]).is_relative_to(_OURS):
        path, line, _ = item.reportinfo()
        report.longrepr = (str(path), (line or 0) + 1, report.longrepr[2])
    return report


def _data_set_name(item: ScenarioItem) -> str | None:
    return item.data_set.name if item.data_set else None


def _phase(finished: RunFinished) -> str:
    """Give the phase in which the item tells how its scenario ended: what never ran, or erred, says so in its setup."""
    if finished.status in (RunStatus.ERROR, RunStatus.SKIPPED, RunStatus.CANCELLED):
        return "setup"
    return "call"
