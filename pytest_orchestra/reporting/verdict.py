"""What an outcome means in words: which step broke, why, and what to call it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.engine.resumption import SKIPPED_BY_HAND
from pytest_orchestra.model.json import JsonValue, from_json
from pytest_orchestra.model.run import (
    Observation,
    RunFault,
    RunStatus,
    StepResult,
    StepStatus,
    Violation,
)
from pytest_orchestra.problem import Place
from pytest_orchestra.reporting.typography import Marks, Tone, duration_text, label, printable
from pytest_orchestra.reporting.values import value_text

__all__ = [
    "broken_steps",
    "changes_text",
    "evident_steps",
    "fault_text",
    "headline",
    "mark_of",
    "observation_notes",
    "place_of",
    "run_duration_ms",
    "show_command",
    "step_marks",
    "step_reason",
    "tone_of",
    "unclaimed_fault",
    "unsaid_rule",
    "violation_text",
    "violation_values",
    "was_reached",
]

# told by the message, or at a place of their own
_TOLD_DETAILS: Final = frozenset({"rule", "parts", "place", "timeoutMs", "polls", "late"})
_DETAIL_ORDER: Final = ("expected", "observed")
_NOT_REACHED: Final = "it was not reached"

_TONES: Final = {
    "PASSED": Tone.GOOD,
    "FLAKY": Tone.WARN,
    "FAILED": Tone.BAD,
    "ERROR": Tone.BAD,
    "FAILED_STUCK": Tone.BAD,
    "RUNNING": Tone.ACCENT,
    "IN_PROGRESS": Tone.ACCENT,
}


def tone_of(status: str) -> Tone:
    """Give the colour of a step's, run's or suite run's state."""
    return _TONES.get(status, Tone.QUIET)


def mark_of(status: str, marks: Marks) -> str:
    """Give the sign of a step's, run's or suite run's state."""
    signs = {
        "PASSED": marks.passed,
        "FAILED": marks.failed,
        "ERROR": marks.failed,
        "FAILED_STUCK": marks.failed,
        "FLAKY": marks.flaky,
        "RUNNING": marks.running,
        "IN_PROGRESS": marks.running,
        "SKIPPED": marks.skipped,
        "CANCELLED": marks.skipped,
    }
    return signs.get(status, marks.pending)


def was_reached(step: StepResult) -> bool:
    """Tell whether the step began."""
    return step.started_at is not None or step.status in (StepStatus.PASSED, StepStatus.FAILED, StepStatus.FLAKY)


def step_marks(step: StepResult) -> tuple[str, ...]:
    """Say what is not usual about how a step came to its result: from where it was taken, by whom it was skipped."""
    marks = (
        ("clean-up", step.clean_up),
        ("reused", step.reused_from is not None),
        ("taken over", step.taken_over),
        ("sent again", step.repeated),
        (SKIPPED_BY_HAND, step.status is StepStatus.SKIPPED and step.reason == SKIPPED_BY_HAND),
    )
    return tuple(mark for mark, applies in marks if applies)


def changes_text(step: StepResult) -> str:
    """Give on one line the data that somebody changed before a step: ``amount = 250, customer.id = "k7"``."""
    return ", ".join(f"{label(name)} = {value_text(value)}" for name, value in step.changed.items())


def broken_steps(steps: tuple[StepResult, ...]) -> tuple[StepResult, ...]:
    """Give the steps that explain why a run did not pass, in order."""
    return tuple(step for step in steps if step.status is StepStatus.FAILED or step.fault is not None)


def evident_steps(steps: tuple[StepResult, ...]) -> tuple[StepResult, ...]:
    """Give the steps whose evidence a reader wants to see: those that broke, also if they passed in the end."""
    broken = broken_steps(steps)
    return tuple(step for step in steps if step in broken or step.attempts)


def unclaimed_fault(outcome: RunFinished) -> RunFault | None:
    """Give the run's fault unless a step tells it already."""
    if outcome.fault is None or any(step.fault == outcome.fault for step in outcome.steps):
        return None
    return outcome.fault


def fault_text(fault: RunFault) -> str:
    """Give ``place: fact`` and, on a line of its own, the hint."""
    return printable(str(fault))


def violation_text(violation: Violation) -> str:
    """Give ``TYPE: message``."""
    return f"{violation.type}: {printable(violation.message)}"


def unsaid_rule(violation: Violation) -> str | None:
    """Give the rule that was broken, unless the message quotes it."""
    rule = violation.details.get("rule")
    return printable(rule) if isinstance(rule, str) and rule not in violation.message else None


def violation_values(violation: Violation) -> tuple[tuple[str, JsonValue], ...]:
    """Give what a reader compares: the value of each part of the rule, what was expected and observed, the rest."""
    details = violation.details
    parts = details.get("parts")
    found: list[tuple[str, JsonValue]] = []
    if isinstance(parts, Sequence) and not isinstance(parts, str):
        found += [(str(part.get("expression", "")), part.get("value")) for part in parts if isinstance(part, Mapping)]
    found += [(name, details[name]) for name in _DETAIL_ORDER if name in details]
    told = {*_TOLD_DETAILS, *_DETAIL_ORDER}
    rest = [(name, value) for name, value in details.items() if name not in told and value not in (None, [], {}, "")]
    found += [(name, value) for name, value in rest if not (isinstance(value, str) and value in violation.message)]
    return tuple((label(name), value) for name, value in found)


def step_reason(step: StepResult) -> str:
    """Give on one line why a step did not pass, or not at once: its fault, its violations, why it was not reached."""
    if step.fault is not None:
        return _one_line(fault_text(step.fault).partition("\nhint: ")[0])
    if step.violations:
        more = len(step.violations) - 1
        others = f" (and {more} more violation{'s' if more > 1 else ''})" if more else ""
        return _one_line(violation_text(step.violations[0])) + others
    if step.status is StepStatus.FLAKY and step.attempts:
        before = violation_text(step.attempts[-1].violations[0])
        return _one_line(f"it passed at attempt {len(step.attempts) + 1}, after {before}")
    if step.reason:
        return _one_line(printable(step.reason))
    return "" if was_reached(step) else _NOT_REACHED


def headline(outcome: RunFinished) -> str:
    """Give on one line why a run ended as it did; empty where nothing more than its state is known."""
    broken = broken_steps(outcome.steps)
    fault = unclaimed_fault(outcome)
    if fault is not None:
        return _one_line(fault_text(fault).partition("\nhint: ")[0])
    if broken:
        reason = step_reason(broken[0]) or str(broken[0].status)
        more = len(broken) - 1
        others = f" (and {more} more step{'s' if more > 1 else ''})" if more else ""
        return f"{broken[0].alias}: {reason}{others}"
    if outcome.status is RunStatus.FLAKY:
        return _flaky_headline(outcome)
    return _one_line(printable(outcome.reason or ""))


def _flaky_headline(outcome: RunFinished) -> str:
    flaky = [step for step in outcome.steps if step.status is StepStatus.FLAKY]
    if outcome.attempts:
        before = broken_steps(outcome.attempts[-1].steps)
        because = f", after {before[0].alias}: {step_reason(before[0])}" if before else ""
        return f"it passed at attempt {len(outcome.attempts) + 1}{because}"
    if flaky:
        more = len(flaky) - 1
        others = f" (and {more} more step{'s' if more > 1 else ''})" if more else ""
        return f"{flaky[0].alias}: {step_reason(flaky[0])}{others}"
    return _one_line(printable(outcome.reason or ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def place_of(step: StepResult) -> str | None:
    """Give where the step was written, as far as its violations or its fault tell."""
    for violation in step.violations:
        place = violation.details.get("place")
        if place:
            return printable(_place_text(place))
    return None


def _place_text(place: JsonValue) -> str:
    return str(from_json(Place, place)) if isinstance(place, Mapping) else str(place)


def observation_notes(observations: Sequence[Observation]) -> tuple[str, ...]:
    """Say of each observation how often it was seen in a row, and of the last one when it was seen last.

    Empty where a value was seen once: ``x3``, ``x9, last at 1.02 s``.
    """
    notes = [[f"x{seen.count}"] if seen.count > 1 else [] for seen in observations]
    if notes and notes[-1]:
        notes[-1].append(f"last at {duration_text(observations[-1].last_ms)}")
    return tuple(", ".join(parts) for parts in notes)


def run_duration_ms(outcome: RunFinished) -> float | None:
    """Give how long the run took; None where it did not begin."""
    began, ended = outcome.run.started_at, outcome.run.finished_at or outcome.at
    return None if began is None else max(0.0, (ended - began) / timedelta(milliseconds=1))


def show_command(reference: str) -> str:
    """Give the command that shows a run again."""
    return f"orchestra show {reference}"
