"""JUnit XML: properties of each scenario, and one ``<testcase>`` for each of its steps."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.run import RunStatus, StepResult, StepStatus
from pytest_orchestra.reporting.carriage import outcome_of
from pytest_orchestra.reporting.terminal import failure_text, step_text
from pytest_orchestra.reporting.typography import printable
from pytest_orchestra.reporting.verdict import changes_text, fault_text, step_marks, step_reason, violation_text

if TYPE_CHECKING:
    import pytest

__all__ = ["JUnitSteps", "find_log_xml", "record_steps", "user_properties"]

_LOG_XML: Final = "LogXML"
_FINAL_OUTCOMES: Final = ("passed", "failed", "skipped")


class JUnitSteps(StrEnum):
    """How steps show in JUnit XML: only as properties of their scenario, or as test cases of their own as well."""

    PROPERTIES = "properties"
    TESTCASES = "testcases"


def user_properties(outcome: RunFinished) -> list[tuple[str, object]]:
    """Give what a scenario's ``<properties>`` say; also for ``report.user_properties``, so that xdist carries them.

    Settling times read ``alias=430 ms``, violation types are in the order in which they came up.
    """
    run = outcome.run
    settled = [
        f"{step.alias}={step.settling_time_ms:.0f} ms" for step in outcome.steps if step.settling_time_ms is not None
    ]
    kinds = dict.fromkeys(str(violation.type) for step in outcome.steps for violation in step.violations)
    properties: list[tuple[str, object]] = [
        ("orchestra.run_id", run.id),
        ("orchestra.correlation_id", run.correlation_id),
        ("orchestra.status", str(outcome.status)),
        ("orchestra.environment", run.environment),
    ]
    if run.data_set is not None:
        properties.append(("orchestra.data_set", run.data_set))
    if outcome.queued_s:
        properties.append(("orchestra.queued_s", round(outcome.queued_s, 3)))
    if outcome.run.attempt > 1:
        properties.append(("orchestra.attempts", outcome.run.attempt))
    if outcome.locked_s:
        properties.append(("orchestra.locked_s", round(outcome.locked_s, 3)))
    if settled:
        properties.append(("orchestra.settling_times", ", ".join(settled)))
    if kinds:
        properties.append(("orchestra.violations", ", ".join(kinds)))
    return [(name, printable(value) if isinstance(value, str) else value) for name, value in properties]


def find_log_xml(config: pytest.Config) -> Any | None:
    """Give pytest's JUnit plugin; None where no XML is written, which is so in every xdist worker."""
    # it is registered without a name, and the key of its stash entry is private: its class name is what is public
    return next(
        (plugin for plugin in config.pluginmanager.get_plugins() if type(plugin).__name__ == _LOG_XML),
        None,
    )


def record_steps(config: pytest.Config, report: pytest.TestReport, mode: JUnitSteps) -> int:
    """Write one ``<testcase>`` for each step of the scenario that a report carries; give their number.

    For ``pytest_runtest_logreport``, without a look at where it runs. Only JUnit's plugin hears of the steps, so
    that the terminal's totals count scenarios. The class name is the file and the scenario, which groups the steps.
    A violation is a ``failure``, a fault of ours an ``error``, a step that was not reached ``skipped``, and in a
    scenario that is expected to fail all of these are ``skipped``. Properties say which steps clean up, were reused,
    taken over, sent again or skipped by hand, and before which the data was changed. What passed only when it was
    tried again has all attempts in its ``system-out``.
    """
    if report.outcome not in _FINAL_OUTCOMES:  # "rerun" is not the last word
        return 0
    xml = find_log_xml(config)
    outcome = None if xml is None else outcome_of(report)
    if xml is None or outcome is None:
        return 0
    if outcome.status is RunStatus.FLAKY or outcome.attempts:
        _write_output(xml.node_reporter(report), failure_text(outcome))
    if mode is JUnitSteps.PROPERTIES:
        return 0
    for number, step in enumerate(outcome.steps, 1):
        _record_step(xml, report, step, f"{number:0{len(str(len(outcome.steps)))}d} {step.alias}")
    return len(outcome.steps)


def _record_step(xml: Any, report: pytest.TestReport, step: StepResult, name: str) -> None:
    # no brackets: pytest would read what follows one as a parameter of the scenario
    nodeid = f"{report.nodeid}::{name}".replace("[", "(").replace("]", ")")
    first, *following = _reports(report, nodeid, step)
    testcase = xml.node_reporter(first)
    testcase.add_attribute("classname", _class_name(report.nodeid, xml.prefix))
    testcase.add_attribute("name", name)
    if step.fault is not None and not hasattr(report, "wasxfail"):
        # a report that failed in its call is a <failure>, one that failed in its setup speaks of a setup: neither is so
        error = ET.Element("error", message=fault_text(step.fault))
        error.text = step_text(step)
        testcase.append(error)
        testcase.duration = step.duration_ms / 1000
    if step.attempts:
        _write_output(testcase, step_text(step))
    for each in (first, *following):
        xml.pytest_runtest_logreport(each)


def _write_output(testcase: Any, text: str) -> None:
    output = ET.Element("system-out")
    output.text = text
    testcase.append(output)


def _class_name(nodeid: str, prefix: str | None) -> str:
    path, _, scenario = nodeid.partition("::")
    return ".".join(part for part in (prefix, path.replace("/", "."), scenario) if part)


def _reports(report: pytest.TestReport, nodeid: str, step: StepResult) -> Iterator[pytest.TestReport]:
    """Give the reports that pytest would make of a step if it were an item; the last one closes its test case."""
    import pytest  # noqa: PLC0415  a reporter for pytest; the rest of this floor runs without it

    def phase(
        when: Literal["call", "teardown"],
        outcome: Literal["passed", "failed", "skipped"],
        longrepr: Any = None,
        duration: float = 0.0,
        properties: list[tuple[str, object]] | None = None,
        **more: Any,
    ) -> pytest.TestReport:
        path, line, domain = report.location
        return pytest.TestReport(
            nodeid=nodeid,
            location=(path, line, f"{domain}.{step.alias}"),
            keywords={},
            outcome=outcome,
            longrepr=longrepr,
            when=when,
            duration=duration,
            start=_seconds(step.started_at) or report.start,
            stop=_seconds(step.finished_at) or report.stop,
            user_properties=properties,
            **more,
        )

    duration = step.duration_ms / 1000
    is_broken = step.fault is not None or step.status is StepStatus.FAILED
    if is_broken and hasattr(report, "wasxfail"):
        yield phase("call", "skipped", None, duration, wasxfail=report.wasxfail)
    elif step.fault is not None:
        pass  # its <error> is written by whoever reads these reports
    elif step.status is StepStatus.FAILED:
        yield phase("call", "failed", _StepFailure(step), duration)
    elif step.status in (StepStatus.PASSED, StepStatus.FLAKY):
        yield phase("call", "passed", None, duration)
    else:
        reason = step_reason(step) or f"it was {step.status.lower()} when the run ended"
        yield phase("call", "skipped", (report.location[0], (report.location[1] or 0) + 1, reason), duration)
    yield phase("teardown", "passed", properties=_step_properties(step))


def _step_properties(step: StepResult) -> list[tuple[str, object]]:
    properties: list[tuple[str, object]] = [("orchestra.element", step.element_id), ("orchestra.kind", str(step.kind))]
    if step.status is StepStatus.FLAKY:
        properties.append(("orchestra.status", str(step.status)))
    if step.attempts:
        properties.append(("orchestra.attempts", len(step.attempts) + 1))
    if marks := step_marks(step):
        properties.append(("orchestra.marks", ", ".join(marks)))
    if step.reused_from is not None:
        properties.append(("orchestra.reused_from", step.reused_from))
    if step.changed:
        properties.append(("orchestra.changed", changes_text(step)))
    if step.settling_time_ms is not None:
        properties.append(("orchestra.settling_time_ms", round(step.settling_time_ms)))
    if step.polls:
        properties.append(("orchestra.polls", step.polls))
    return properties


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


class _Crash:
    """Where pytest's JUnit plugin looks for the message."""

    def __init__(self, message: str) -> None:
        self.message = message


class _StepFailure:
    """The ``longrepr`` of a step: its message is the violations, its text all the evidence."""

    def __init__(self, step: StepResult) -> None:
        violations = [violation_text(violation) for violation in step.violations]
        self.reprcrash = _Crash("\n".join(violations) or step_reason(step) or str(step.status))
        self._step = step

    def __str__(self) -> str:
        return step_text(self._step)
