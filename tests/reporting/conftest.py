"""Outcomes to render, and a small pytest project whose items carry them.

The outcomes are frozen, so that one of each serves all tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.definition import ChannelType, StepKind
from pytest_orchestra.model.json import to_json
from pytest_orchestra.model.run import (
    Exchange,
    Observation,
    RunFault,
    RunStatus,
    StepResult,
    StepStatus,
    TestRun,
    Violation,
    ViolationType,
)

BEGAN = datetime(2026, 11, 20, 22, 45, tzinfo=UTC)


def _run(scenario: str, data_set: str | None, status: RunStatus, took_ms: float) -> TestRun:
    return TestRun(
        id=f"run-{scenario}-{data_set}",
        suite_run_id="suite-1",
        key=f"order.bpmn::{scenario}" + (f"[{data_set}]" if data_set else ""),
        process_id="order",
        process_hash="0" * 64,
        scenario_key=scenario,
        scenario_version="1" * 64,
        data_set=data_set,
        environment="local",
        mode="STOP_ON_FIRST_FAILURE",
        correlation_id=f"corr-{scenario}-{data_set}",
        status=status,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(milliseconds=took_ms),
    )


def _place(amount: int = 100) -> StepResult:
    return StepResult(
        alias="place",
        name="Place order",
        kind=StepKind.ACTION,
        channel_type=ChannelType.HTTP_REST,
        element_id="Task_Place",
        order_index=0,
        status=StepStatus.PASSED,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(milliseconds=42),
        duration_ms=42.0,
        actual_status_code=202,
        exchange=Exchange(
            {"method": "POST", "url": "http://127.0.0.1:8000/orders", "body": {"customer": "vip", "amount": amount}},
            {"status": 202, "headers": {"content-type": "application/json"}, "body": {"id": 7}},
            'curl -sS -X POST http://127.0.0.1:8000/orders --json \'{"customer": "vip", "amount": 100}\'',
        ),
    )


def _shipped() -> StepResult:
    return StepResult(
        alias="shipped",
        name="Order\nshipped",
        kind=StepKind.ASSERTION,
        channel_type=ChannelType.HTTP_REST,
        element_id="Event_Shipped",
        order_index=1,
        status=StepStatus.PASSED,
        started_at=BEGAN + timedelta(milliseconds=42),
        finished_at=BEGAN + timedelta(milliseconds=480),
        duration_ms=438.0,
        actual_status_code=200,
        settling_time_ms=430.5,
        polls=4,
        observations=(
            Observation("NEW", 0.0, 100.0, 3),
            Observation("SHIPPED", 430.0, 430.0),
        ),
        exchange=Exchange(
            {"method": "GET", "url": "http://127.0.0.1:8000/orders/7"},
            {"status": 200, "body": {"id": 7, "status": "SHIPPED"}},
            "curl -sS http://127.0.0.1:8000/orders/7",
        ),
    )


def _reserved() -> StepResult:
    return StepResult(
        alias="reserved",
        name="Stock reserved",
        kind=StepKind.ASSERTION,
        channel_type=ChannelType.DB,
        element_id="Event_Shipped",
        order_index=2,
        status=StepStatus.PASSED,
        started_at=BEGAN + timedelta(milliseconds=480),
        finished_at=BEGAN + timedelta(milliseconds=500),
        duration_ms=20.0,
        settling_time_ms=450.0,
        polls=1,
        observations=(Observation(1, 0.0, 0.0),),
        exchange=Exchange(
            {"sql": "select count(*) from reservation where order_id = %(orderId)s", "parameters": {"orderId": 7}}
        ),
    )


def _unreached(step: StepResult, reason: str) -> StepResult:
    return StepResult(
        alias=step.alias,
        name=step.name,
        kind=step.kind,
        channel_type=step.channel_type,
        element_id=step.element_id,
        order_index=step.order_index,
        status=StepStatus.SKIPPED,
        reason=reason,
    )


def _timed_out(step: StepResult) -> StepResult:
    condition = "response.body.status == 'SHIPPED'"
    return replace(
        step,
        status=StepStatus.FAILED,
        finished_at=BEGAN + timedelta(milliseconds=1062),
        duration_ms=1020.0,
        settling_time_ms=None,
        polls=12,
        observations=(Observation("NEW", 0.0, 100.0, 3), Observation("PAID", 150.0, 1010.0, 9)),
        violations=(
            Violation(
                ViolationType.TIMEOUT,
                "until",
                f"'{condition}' did not hold within 1000 ms, looked 12 times",
                {
                    "rule": condition,
                    "parts": [{"expression": "response.body.status", "value": "PAID"}],
                    "place": "order.orchestra.yaml:14",
                    "timeoutMs": 1000,
                    "polls": 12,
                },
            ),
        ),
        exchange=Exchange(
            {
                "method": "GET",
                "url": "http://127.0.0.1:8000/orders/7",
                "headers": {"x-correlation-id": "corr-large-order-vip", "authorization": "***"},
            },
            {"status": 200, "headers": {"content-type": "application/json"}, "body": {"id": 7, "status": "PAID"}},
            "curl -sS -H 'X-Correlation-ID: corr-large-order-vip' http://127.0.0.1:8000/orders/7",
        ),
    )


@pytest.fixture(scope="session")
def passed() -> RunFinished:
    """Give a run of three steps that passed."""
    run = _run("small-order", "vip", RunStatus.PASSED, 500)
    return RunFinished(at=run.finished_at, run=run, status=run.status, steps=(_place(), _shipped(), _reserved()))


@pytest.fixture(scope="session")
def failed() -> RunFinished:
    """Give a run whose second step timed out, so that the third was not reached."""
    run = _run("large-order", "vip", RunStatus.FAILED, 1_062)
    steps = (
        _place(),
        _timed_out(_shipped()),
        _unreached(_reserved(), "step 'shipped' failed before it"),
    )
    return RunFinished(at=run.finished_at, run=run, status=run.status, steps=steps)


@pytest.fixture(scope="session")
def faulty() -> RunFinished:
    """Give a run that our side ended at its first step."""
    fault = RunFault("UnreachableError", "nothing listens at '127.0.0.1:9'", "start the service", "environments.yaml:3")
    run = _run("small-order", "no-service", RunStatus.ERROR, 42)
    place = replace(_place(), status=StepStatus.FAILED, fault=fault, exchange=None, actual_status_code=None)
    rest = tuple(_unreached(step, "step 'place' failed before it") for step in (_shipped(), _reserved()))
    return RunFinished(at=run.finished_at, run=run, status=run.status, steps=(place, *rest), fault=fault)


@pytest.fixture(scope="session")
def flaky() -> RunFinished:
    """Give a run whose first step passed at its second try."""
    run = _run("small-order", "flaky", RunStatus.PASSED, 500)
    steps = (replace(_place(), status=StepStatus.FLAKY), _shipped(), _reserved())
    return RunFinished(at=run.finished_at, run=run, status=run.status, steps=steps)


@pytest.fixture(scope="session")
def expected_failure(failed: RunFinished) -> RunFinished:
    """Give a failed run of a scenario that is marked xfail."""
    run = _run("large-order", "known-defect", RunStatus.FAILED, 1_062)
    return replace(failed, run=run, reason="expected to fail")


@pytest.fixture(scope="session")
def skipped() -> RunFinished:
    """Give a run that never began."""
    run = replace(_run("return-order", "vip", RunStatus.SKIPPED, 0), started_at=None, finished_at=None)
    steps = tuple(_unreached(step, "the scenario did not begin") for step in (_place(), _shipped()))
    return RunFinished(at=BEGAN, run=run, status=run.status, steps=steps, reason="'large-order' did not pass")


@pytest.fixture(scope="session")
def skipped_by_marker(skipped: RunFinished) -> RunFinished:
    """Give what stands for an item that was skipped before its scenario was looked at."""
    run = replace(skipped.run, key="order.bpmn::return-order[marked]", data_set="marked")
    return replace(skipped, run=run, reason="skipped by a marker")


@pytest.fixture(scope="session")
def make_run() -> Callable[..., TestRun]:
    """Give what makes a TestRun of (scenario, data set, state, duration)."""
    return _run


CARRIER = """
import json
import pytest
from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.json import from_json
from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.reporting import allure, html, junit
from pytest_orchestra.reporting.carriage import attach_outcome, outcome_of
from pytest_orchestra.reporting.terminal import FailureReport


def pytest_addoption(parser):
    parser.addoption("--junit-steps", default="properties")


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".bpmn":
        return OutcomeFile.from_parent(parent, path=file_path)


class OutcomeFile(pytest.File):
    def collect(self):
        for raw in json.loads(self.path.read_text(encoding="utf-8")):
            outcome = from_json(RunFinished, raw)
            name = outcome.run.key.partition("::")[2]
            yield OutcomeItem.from_parent(self, name=name, nodeid=f"{self.nodeid}::{name}", outcome=outcome)


class Broken(Exception):
    pass


class OutcomeItem(pytest.Item):
    def __init__(self, *, outcome, **kwargs):
        super().__init__(**kwargs)
        self.outcome = outcome
        self.user_properties += junit.user_properties(outcome)
        if "expected to fail" in (outcome.reason or ""):
            self.add_marker(pytest.mark.xfail(reason="known"))

    @property
    def phase(self):
        return "setup" if self.outcome.status in (RunStatus.SKIPPED, RunStatus.ERROR) else "call"

    def setup(self):
        if self.outcome.reason == "skipped by a marker":
            pytest.skip(self.outcome.reason)
        if self.outcome.status is RunStatus.SKIPPED:
            pytest.skip(self.outcome.reason)
        if self.outcome.status is RunStatus.ERROR:
            raise Broken

    def runtest(self):
        if self.outcome.status is not RunStatus.PASSED:
            raise Broken

    def repr_failure(self, excinfo, style=None):
        return FailureReport(self.outcome)

    _repr_failure_py = repr_failure

    def reportinfo(self):
        return self.path, 0, self.name


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    labels = allure.ScenarioLabels.of(item, item.outcome.run, process="Order to cash", tags=("smoke",))
    if item.outcome.reason == "skipped by a marker":
        allure.describe_scenario(item.config, labels, data_set=item.outcome.run.data_set, environment="local")
    elif report.when == item.phase:
        attach_outcome(report, item.outcome)
        report.extras = html.html_extras(item.outcome)
        allure.record_outcome(item.config, report, item.outcome, labels)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_report_from_serializable(config, data):
    report = yield
    outcome = outcome_of(report) if isinstance(report, pytest.TestReport) else None
    if outcome is not None and report.failed:
        report.longrepr = FailureReport(outcome)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_logreport(report):
    yield
    junit.record_steps(CONFIG, report, junit.JUnitSteps(CONFIG.getoption("--junit-steps")))


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_row(report, cells):
    html.escape_node_id(cells, report.nodeid)


def pytest_configure(config):
    global CONFIG
    CONFIG = config
"""


@pytest.fixture(scope="session")
def run_outcomes() -> Callable[..., str]:
    """Give what runs a pytest session in a folder, in a process of its own, whose items carry the given outcomes.

    It gives the session's output. The session's plugins are those that this test needs, and warnings are errors.
    """

    def run(folder: Path, *options: str, outcomes: Sequence[RunFinished]) -> str:
        folder.joinpath("conftest.py").write_text(CARRIER, encoding="utf-8")
        folder.joinpath("pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        folder.joinpath("order.bpmn").write_text(
            json.dumps([to_json(outcome) for outcome in outcomes]), encoding="utf-8"
        )
        plugins = ("-p", "no:orchestra", "-p", "no:asyncio", "-p", "no:cacheprovider")
        command = (sys.executable, "-m", "pytest", "-W", "error", *plugins, *options)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COLUMNS"))}
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode in (0, 1), ended.stdout + ended.stderr
        return ended.stdout

    return run
