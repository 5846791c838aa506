"""Allure: the steps of a scenario under its test, with their times, values and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.run import RunAttempt, RunStatus, StepAttempt, StepResult, StepStatus, TestRun
from pytest_orchestra.reporting.terminal import failure_text, step_text
from pytest_orchestra.reporting.typography import label
from pytest_orchestra.reporting.values import pretty_json
from pytest_orchestra.reporting.verdict import (
    broken_steps,
    changes_text,
    fault_text,
    headline,
    step_marks,
    step_reason,
    violation_text,
)

if TYPE_CHECKING:
    import pytest

__all__ = ["ScenarioLabels", "describe_scenario", "find_listener", "record_outcome"]

_LISTENER: Final = "AllureListener"


@dataclass(frozen=True, slots=True)
class ScenarioLabels:
    """How Allure groups a scenario: the process is its feature, the scenario its story.

    ``markers`` are names that Allure makes tags of by itself.
    """

    process: str
    scenario: str
    tags: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, item: pytest.Item, run: TestRun, *, process: str | None = None, tags: Iterable[str] = ()
    ) -> ScenarioLabels:
        """Take them from an item and its run; ``process`` is the process's name, its id if absent."""
        markers = tuple(marker.name for marker in item.iter_markers() if not marker.args and not marker.kwargs)
        return cls(label(process or run.process_id), label(run.scenario_key), tuple(tags), markers)


def find_listener(config: pytest.Config) -> Any | None:
    """Give allure-pytest's listener; None without ``--alluredir``."""
    # allure-pytest registers it without a name of its own and offers no way to a test that is being reported
    return next(
        (plugin for plugin in config.pluginmanager.get_plugins() if type(plugin).__name__ == _LISTENER),
        None,
    )


def describe_scenario(
    config: pytest.Config,
    labels: ScenarioLabels,
    *,
    data_set: str | None,
    environment: str | None = None,
    run: TestRun | None = None,
) -> None:
    """Add parameters and labels to the Allure test of the item under way; what is there already stays.

    For ``pytest_runtest_makereport``, in the setup phase of a scenario that has no outcome, because a marker or a
    fixture skipped it say: :func:`record_outcome` does the same for all others. The data set is a parameter:
    allure-pytest drops ``[data]`` from names, and without it all rows of data had one history and would pass for
    retries of each other.
    """
    test = _current_test(find_listener(config))
    if test is None:
        return
    from allure_commons.model2 import Label, Parameter  # noqa: PLC0415  optional

    known = {parameter.name for parameter in test.parameters}
    parameters = [
        ("data set", data_set, None),
        ("environment", environment, None),
        # excluded: another id in every run must not make another history of every run
        ("correlation id", run and run.correlation_id, True),
        ("run", run and run.id, True),
    ]
    test.parameters.extend(
        Parameter(name=name, value=value, excluded=excluded)
        for name, value, excluded in parameters
        if value is not None and name not in known
    )
    said = {(each.name, each.value) for each in test.labels}
    wanted = [("feature", labels.process), ("story", labels.scenario)]
    wanted += [("tag", tag) for tag in labels.tags if tag not in labels.markers]
    test.labels.extend(Label(name=name, value=value) for name, value in wanted if (name, value) not in said)


def record_outcome(
    config: pytest.Config, report: pytest.TestReport, outcome: RunFinished, labels: ScenarioLabels
) -> int:
    """Add the steps of an outcome to the Allure test of the item under way; give their number.

    For ``pytest_runtest_makereport``, in the phase that tells the outcome, after allure-pytest has made its own
    entries: the test's times are set anew, and where the report failed its status, ``broken`` for a fault of ours,
    and its details.
    """
    listener = find_listener(config)
    test = _current_test(listener)
    if listener is None or test is None:
        return 0
    run = outcome.run
    describe_scenario(config, labels, data_set=run.data_set, environment=run.environment, run=run)
    stop = _milliseconds(run.finished_at or outcome.at)
    start = _milliseconds(run.started_at) or stop
    test.start, test.stop = start, stop
    for attempt in outcome.attempts:
        _record_run_attempt(listener.allure_logger, test.uuid, attempt)
    _record_steps(listener.allure_logger, test.uuid, outcome.steps, start)
    if report.failed:
        _judge(test, outcome)
    elif outcome.status is RunStatus.FLAKY:
        _mark_flaky(test, outcome)
    return len(outcome.steps)


def _record_steps(logger: Any, parent: str, steps: Sequence[StepResult], moment: int) -> None:
    for step in steps:
        began = _milliseconds(step.started_at) or moment
        moment = _milliseconds(step.finished_at) or began
        _record_step(logger, parent, step, (began, moment))


def _record_run_attempt(logger: Any, parent: str, attempt: RunAttempt) -> None:
    """Add an attempt of the whole scenario that failed, with its steps below it."""
    from allure_commons.model2 import Parameter, Status, TestStepResult  # noqa: PLC0415  optional

    uuid, start, stop = str(uuid4()), _milliseconds(attempt.started_at), _milliseconds(attempt.finished_at)
    parameters = [Parameter(name="correlation id", value=attempt.correlation_id)]
    logger.start_step(
        parent, uuid, TestStepResult(name=f"attempt {attempt.number}", start=start, parameters=parameters)
    )
    _record_steps(logger, uuid, attempt.steps, start)
    logger.stop_step(uuid, stop=stop, status=Status.FAILED, stage="finished")


def _record_attempt(logger: Any, parent: str, attempt: StepAttempt) -> None:
    """Add an attempt of a step that failed, below the step."""
    from allure_commons.model2 import Status, StatusDetails, TestStepResult  # noqa: PLC0415  optional

    uuid = str(uuid4())
    logger.start_step(
        parent, uuid, TestStepResult(name=f"attempt {attempt.number}", start=_milliseconds(attempt.started_at))
    )
    _attach(logger, uuid, _attachments(attempt))
    message = "\n".join(violation_text(violation) for violation in attempt.violations)
    stop = _milliseconds(attempt.finished_at)
    logger.stop_step(
        uuid, stop=stop, status=Status.FAILED, statusDetails=StatusDetails(message=message), stage="finished"
    )


def _mark_flaky(test: Any, outcome: RunFinished) -> None:
    from allure_commons.model2 import StatusDetails  # noqa: PLC0415  optional

    test.statusDetails = StatusDetails(flaky=True, message=headline(outcome), trace=failure_text(outcome))


def _current_test(listener: Any | None) -> Any | None:
    return None if listener is None else listener.allure_logger.get_test(None)


def _judge(test: Any, outcome: RunFinished) -> None:
    from allure_commons.model2 import Status, StatusDetails  # noqa: PLC0415  optional

    is_ours = not outcome.status.is_good and outcome.status is not RunStatus.FAILED
    test.status = Status.BROKEN if is_ours else Status.FAILED
    messages = [f"{step.alias}: {step_reason(step)}" for step in broken_steps(outcome.steps)]
    test.statusDetails = StatusDetails(
        message="\n".join(messages) or headline(outcome) or str(outcome.status),
        trace=failure_text(outcome),
        flaky=outcome.status is RunStatus.FLAKY or None,
    )


def _record_step(logger: Any, test_uuid: str, step: StepResult, times: tuple[int, int]) -> None:
    from allure_commons.model2 import TestStepResult  # noqa: PLC0415  optional

    uuid = str(uuid4())
    result = TestStepResult(name=_title(step), start=times[0], parameters=_parameters(step))
    logger.start_step(test_uuid, uuid, result)
    for attempt in step.attempts:
        _record_attempt(logger, uuid, attempt)
    _attach(logger, uuid, _attachments(step))
    status, details = _status(step)
    logger.stop_step(uuid, stop=times[1], status=status, statusDetails=details, stage="finished")


def _attach(logger: Any, uuid: str, attachments: Sequence[tuple[str, str, Any]]) -> None:
    for name, body, kind in attachments:
        # a lone surrogate from a service becomes an escape sequence, which JSON has too
        logger.attach_data(
            str(uuid4()), body.encode("utf-8", "backslashreplace"), name=name, attachment_type=kind, parent_uuid=uuid
        )


def _title(step: StepResult) -> str:
    name, marks = label(step.name), ", ".join(step_marks(step))
    title = f"{step.alias}: {name}" if name and name != step.alias else step.alias
    return f"{title} ({marks})" if marks else title


def _parameters(step: StepResult) -> list[Any]:
    from allure_commons.model2 import Parameter  # noqa: PLC0415  optional

    facts = [
        ("element", step.element_id),
        ("kind", str(step.kind)),
        ("channel", str(step.channel_type)),
        ("status code", None if step.actual_status_code is None else str(step.actual_status_code)),
        ("settling time", None if step.settling_time_ms is None else f"{step.settling_time_ms:.0f} ms"),
        ("polls", str(step.polls) if step.polls else None),
        ("reused from", step.reused_from),
        ("changed by hand", changes_text(step)),
    ]
    return [Parameter(name=name, value=value) for name, value in facts if value]


def _attachments(step: StepResult | StepAttempt) -> Sequence[tuple[str, str, Any]]:
    from allure_commons.types import AttachmentType  # noqa: PLC0415  optional

    found: list[tuple[str, str, Any]] = []
    if step.exchange is not None:
        if step.exchange.request:
            found.append(("request", pretty_json(step.exchange.request), AttachmentType.JSON))
        if step.exchange.response is not None:
            found.append(("response", pretty_json(step.exchange.response), AttachmentType.JSON))
    if step.observations:
        history = [
            {"from_ms": seen.first_ms, "to_ms": seen.last_ms, "count": seen.count, "value": seen.value}
            for seen in step.observations
        ]
        found.append(("observed", pretty_json(history), AttachmentType.JSON))
    if step.exchange is not None and step.exchange.reproduce:
        found.append(("reproduce", step.exchange.reproduce, AttachmentType.TEXT))
    return found


def _status(step: StepResult) -> tuple[str, Any | None]:
    from allure_commons.model2 import Status, StatusDetails  # noqa: PLC0415  optional

    if step.fault is not None:
        return Status.BROKEN, StatusDetails(message=fault_text(step.fault), trace=step_text(step))
    if step.status is StepStatus.FAILED:
        message = "\n".join(violation_text(violation) for violation in step.violations) or step_reason(step)
        return Status.FAILED, StatusDetails(message=message, trace=step_text(step))
    if step.status is StepStatus.FLAKY:
        return Status.PASSED, StatusDetails(flaky=True, message=step_reason(step) or None)
    if step.status is StepStatus.PASSED:
        return Status.PASSED, None
    return Status.SKIPPED, StatusDetails(
        message=step_reason(step) or f"it was {step.status.lower()} when the run ended"
    )


def _milliseconds(at: datetime | None) -> int:
    return 0 if at is None else round(at.timestamp() * 1000)
