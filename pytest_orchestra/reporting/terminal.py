"""The terminal's view of one run: its steps as a table, and for each step that broke all that explains it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import (
    Observation,
    RunAttempt,
    RunFault,
    StepAttempt,
    StepResult,
    StepStatus,
    Violation,
)
from pytest_orchestra.reporting.table import Cell, Column, table_lines
from pytest_orchestra.reporting.typography import (
    Page,
    Tone,
    cell_width,
    cut_end,
    duration_text,
    label,
    pad,
    printable,
    wrap,
)
from pytest_orchestra.reporting.values import exchange_lines, value_lines, value_text
from pytest_orchestra.reporting.verdict import (
    changes_text,
    evident_steps,
    headline,
    mark_of,
    observation_notes,
    place_of,
    run_duration_ms,
    show_command,
    step_marks,
    tone_of,
    unclaimed_fault,
    unsaid_rule,
    violation_values,
    was_reached,
)

if TYPE_CHECKING:
    from typing import Protocol

    class _TerminalWriter(Protocol):
        """What pytest hands to a ``longrepr``: where to write, how wide it is, whether it has colours."""

        hasmarkup: bool

        @property
        def fullwidth(self) -> int: ...

        def line(self, s: str = "") -> None: ...


__all__ = ["CrashLine", "FailureReport", "failure_text", "history_lines", "step_text", "steps_table"]

_INDENT = "  "
_SHOWN_OBSERVATIONS: Final = 12
_WIDEST: Final = 120  # longer lines are hard to read, however wide the terminal is


def failure_text(outcome: RunFinished, *, width: int = 100, color: bool = False, encoding: str | None = None) -> str:
    """Give all that explains how a run ended: a headline, the steps, and each broken step with its evidence.

    The first line alone says what went wrong, because pytest's short summary shows no more. ``encoding`` is that
    of the stream: where it lacks a sign, an ASCII one stands in.
    """
    page = Page.of(width, color=color, encoding=encoding)
    sign = f"{mark_of(outcome.status, page.marks)} {outcome.status}"
    reason = cut_end(headline(outcome), page.width - cell_width(sign) - 2, page.marks.ellipsis)
    title = page.ink(sign, tone_of(outcome.status), Tone.STRONG)
    lines = [f"{title}  {page.ink(reason, Tone.STRONG)}" if reason else title, "", *_facts(outcome, reason, page)]
    if outcome.steps:
        lines += ["", *_table(outcome.steps, page), *_unreached(outcome.steps, page)]
    fault = unclaimed_fault(outcome)
    if fault is not None:
        lines += ["", *_fault(fault, page, _INDENT)]
    for step in evident_steps(outcome.steps):
        lines += ["", *_step(step, page)]
    for attempt in outcome.attempts:
        lines += ["", *_run_attempt(attempt, len(outcome.attempts) + 1, page)]
    return page.finish(lines)


def steps_table(
    steps: Sequence[StepResult], *, width: int = 100, color: bool = False, encoding: str | None = None
) -> str:
    """Give the steps as an aligned table: state, alias, name, element, duration, settling time, polls."""
    page = Page.of(width, color=color, encoding=encoding)
    return page.finish(_table(steps, page))


def step_text(step: StepResult, *, width: int = 100, color: bool = False, encoding: str | None = None) -> str:
    """Give the evidence of one step: violations, values, history, what was sent and received, how to repeat it."""
    page = Page.of(width, color=color, encoding=encoding)
    return page.finish(_step(step, page))


@dataclass(frozen=True, slots=True)
class CrashLine:
    """What pytest's short summary and ``--tb=line`` show of a failure."""

    message: str
    path: str
    lineno: int = 0

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class FailureReport:
    """The ``longrepr`` of a run that did not pass: coloured and as wide as the terminal there, plain elsewhere.

    Over xdist only its text travels; the controller makes a new one of the outcome that the report carries.
    """

    def __init__(self, outcome: RunFinished, *, encoding: str | None = None) -> None:
        self.outcome = outcome
        self.reprcrash = CrashLine(headline(outcome) or str(outcome.status), outcome.run.key)
        self._encoding = encoding

    def __str__(self) -> str:
        return failure_text(self.outcome)

    def toterminal(self, tw: _TerminalWriter) -> None:
        """Write the text to pytest's terminal."""
        encoding = self._encoding or getattr(sys.__stdout__, "encoding", None)
        width = min(tw.fullwidth, _WIDEST)
        text = failure_text(self.outcome, width=width, color=tw.hasmarkup, encoding=encoding)
        for line in text.split("\n"):
            tw.line(line)


def _facts(outcome: RunFinished, reason: str, page: Page) -> list[str]:
    run = outcome.run
    duration = run_duration_ms(outcome)
    facts = [
        ("scenario", run.key),
        ("data set", run.data_set or ""),
        ("environment", run.environment),
        ("waited", f"{duration_text(outcome.locked_s * 1000)} for locks" if outcome.locked_s else ""),
        ("took", "" if duration is None else duration_text(duration)),
        ("correlation id", run.correlation_id),
        ("run", run.id),
        ("see it again", show_command(run.id) if outcome.is_kept else ""),
        ("reason", "" if outcome.reason is None or outcome.reason in reason else outcome.reason),
    ]
    lines = []
    for name, value in facts:
        if value:
            first, *rest = wrap(printable(value), page.width - 18)
            lines.append(f"{_INDENT}{page.ink(pad(name, 14), Tone.QUIET)}  {first}")
            lines += [" " * 18 + line for line in rest]
    return lines


def _table(steps: Sequence[StepResult], page: Page) -> list[str]:
    def column(title: str, texts: Sequence[str], **layout: bool | int) -> Column:
        quiet = [() if was_reached(step) else (Tone.QUIET,) for step in steps]
        cells = tuple(Cell(text, tones) for text, tones in zip(texts, quiet, strict=True))
        return Column(title, cells, **layout)  # type: ignore[arg-type]

    states = tuple(Cell(f"{mark_of(step.status, page.marks)} {step.status}", (tone_of(step.status),)) for step in steps)
    columns = [
        Column("  STATE", states),
        column("STEP", [label(step.alias) for step in steps], least=10),
        column("NAME", [_name(step) for step in steps], least=10),
        column("ELEMENT", [label(step.element_id) for step in steps], least=8),
        column("TOOK", [duration_text(step.duration_ms) if was_reached(step) else "" for step in steps], is_right=True),
        column("SETTLED", [_settling(step) for step in steps], is_right=True),
        column("POLLS", [str(step.polls) if step.polls else "" for step in steps], is_right=True),
        column("TRIES", [str(len(step.attempts) + 1) if step.attempts else "" for step in steps], is_right=True),
    ]
    return table_lines(columns, page)


def _name(step: StepResult) -> str:
    name = label(step.name)
    name = "" if name == step.alias else name
    marks = ", ".join(mark for mark in step_marks(step) if mark != step.reason)  # which is told below the table
    return f"{name} ({marks})".strip() if marks else name


def _settling(step: StepResult) -> str:
    return "" if step.settling_time_ms is None else duration_text(step.settling_time_ms)


def _unreached(steps: Sequence[StepResult], page: Page) -> list[str]:
    """Say once for each reason which steps were not reached or cut short, and before which the data was changed."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        if not was_reached(step) or step.status is StepStatus.SKIPPED:
            what = "cut short" if was_reached(step) else "not reached"
            reasons.setdefault((what, printable(step.reason or "")), []).append(label(step.alias))
    texts = [
        f"{what}: {', '.join(aliases)}" + (f" ({reason})" if reason else "")
        for (what, reason), aliases in reasons.items()
    ]
    texts += [f"changed by hand before {label(step.alias)}: {changes_text(step)}" for step in steps if step.changed]
    lines: list[str] = []
    for text in texts:
        lines += [_INDENT + page.ink(line, Tone.QUIET) for line in wrap(text, page.width - len(_INDENT))]
    return ["", *lines] if lines else []


def _step(step: StepResult, page: Page) -> list[str]:
    lines = [_title(step, page)]
    place = place_of(step)
    if place:
        lines.append(_INDENT + page.ink(place, Tone.ACCENT))
    if step.fault is not None:
        lines += ["", *_fault(step.fault, page, _INDENT)]
    for violation in step.violations:
        lines += ["", *_violation(violation, page)]
    if step.fault is None and step.reason:
        lines += ["", *(_INDENT + line for line in wrap(printable(step.reason), page.width - len(_INDENT)))]
    for attempt in step.attempts:
        lines += _attempt(attempt, len(step.attempts) + 1, page)
    if step.observations:
        lines += _section("observed", history_lines(step.observations, page), page)
    if step.exchange is not None:
        width = page.width - 2 * len(_INDENT)
        lines += _section("request", exchange_lines(step.exchange.request, page, width), page)
        lines += _section("response", exchange_lines(step.exchange.response or {}, page, width), page)
        if step.exchange.reproduce:
            # not indented and not wrapped: what is selected here is the command and nothing else
            lines += ["", _heading("reproduce", page), *printable(step.exchange.reproduce).split("\n")]
    return lines


def _attempt(attempt: StepAttempt, of: int, page: Page) -> list[str]:
    """Give an attempt that failed: what was wrong, what it saw, what came back."""
    lines = ["", _heading(f"attempt {attempt.number} of {of} failed after {duration_text(attempt.duration_ms)}", page)]
    for violation in attempt.violations:
        lines += [_INDENT + line for line in _violation(violation, page)]
    if attempt.observations:
        lines += [_INDENT * 2 + line for line in history_lines(attempt.observations, page)]
    if attempt.exchange is not None and attempt.exchange.response:
        width = page.width - 2 * len(_INDENT)
        lines += [_INDENT * 2 + line for line in exchange_lines(attempt.exchange.response, page, width)]
    return lines


def _run_attempt(attempt: RunAttempt, of: int, page: Page) -> list[str]:
    """Give an attempt of the whole run that failed: its steps, and the evidence of those that broke."""
    text = f"attempt {attempt.number} of {of} failed, correlation id {printable(attempt.correlation_id)}"
    lines = [page.ink(text, Tone.BAD, Tone.STRONG), "", *_table(attempt.steps, page)]
    for step in evident_steps(attempt.steps):
        lines += ["", *_step(step, page)]
    return lines


def _title(step: StepResult, page: Page) -> str:
    name = _name(step)
    element = f" ({label(step.element_id)})" if step.element_id else ""
    text = f"{label(step.alias)}: {name}{element}" if name else f"{label(step.alias)}{element}"
    text = cut_end(text, max(page.width - 7, len(label(step.alias))), page.marks.ellipsis)
    rule = page.marks.rule
    tail = rule * max(page.width - cell_width(text) - 4, 2)
    return f"{page.ink(rule * 2, Tone.QUIET)} {page.ink(text, Tone.STRONG)} {page.ink(tail, Tone.QUIET)}"


def _heading(text: str, page: Page) -> str:
    return _INDENT + page.ink(text, Tone.ACCENT)


def _section(title: str, lines: Sequence[str], page: Page) -> list[str]:
    if not lines:
        return []
    return ["", _heading(title, page), *(_INDENT * 2 + line for line in lines)]


def _fault(fault: RunFault, page: Page, indent: str) -> list[str]:
    width = page.width - len(indent)
    fact = f"{fault.place}: {fault.message}" if fault.place else fault.message
    lines = [indent + page.ink(line, Tone.BAD) for line in wrap(printable(fact), width)]
    if fault.hint:
        lines += [indent + page.ink(line, Tone.WARN) for line in wrap(f"hint: {printable(fault.hint)}", width)]
    return lines


def _violation(violation: Violation, page: Page) -> list[str]:
    width = page.width - len(_INDENT)
    message = wrap(f"{violation.type}  {printable(violation.message)}", width)
    kind = str(violation.type)
    first = message[0].removeprefix(kind)
    lines = [_INDENT + page.ink(kind, Tone.BAD, Tone.STRONG) + first]
    lines += [_INDENT * 2 + line for line in message[1:]]
    rule = unsaid_rule(violation)
    if rule is not None:
        lines += [_INDENT * 2 + line for line in wrap(f"rule: {rule}", width - len(_INDENT))]
    return lines + _rows(violation_values(violation), page)


def _rows(rows: Sequence[tuple[str, JsonValue]], page: Page) -> list[str]:
    """Give names and values in two columns; a long name has its value on the lines below it."""
    indent = _INDENT * 2
    room = page.width - len(indent)
    widest = max((width for name, _ in rows if (width := cell_width(name)) <= room // 2), default=0)
    lines = []
    for name, value in rows:
        if cell_width(name) > widest:
            lines += [indent + page.ink(line, Tone.QUIET) for line in wrap(name, room)]
            lines += [indent + _INDENT + line for line in value_lines(value, page, room - len(_INDENT), 12)]
            continue
        shown = value_lines(value, page, room - widest - 2, 12)
        lines.append(f"{indent}{page.ink(pad(name, widest), Tone.QUIET)}  {shown[0]}")
        lines += [f"{indent}{' ' * widest}  {line}" for line in shown[1:]]
    return lines


def history_lines(observations: Sequence[Observation], page: Page) -> list[str]:
    """Give what polls saw, one line for each value, with the moment of its first sight; cut in the middle when long."""
    moments = [duration_text(seen.first_ms) for seen in observations]
    widest = max(map(cell_width, moments), default=0)
    room = page.width - 2 * len(_INDENT) - widest - 2
    rows = []
    for moment, seen, said in zip(moments, observations, observation_notes(observations), strict=True):
        note = f" ({said})" if said else ""
        value = cut_end(value_text(seen.value), room - len(note), page.marks.ellipsis)
        rows.append(f"{pad(moment, widest, right=True)}  {value}{page.ink(note, Tone.QUIET)}")
    if len(rows) <= _SHOWN_OBSERVATIONS:
        return rows
    half = _SHOWN_OBSERVATIONS // 2
    left_out = len(rows) - 2 * half
    gap = f"{pad(page.marks.ellipsis, widest, right=True)}  {left_out} more values"
    return [*rows[:half], page.ink(gap, Tone.QUIET), *rows[-half:]]
