"""What a session came to: scenarios by state, violations, settling times, coverage, and how to see it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.run import CoverageReached, RunStatus, SuiteRun, SuiteRunStatus, ViolationType
from pytest_orchestra.reporting.coverage import coverage_names, percent
from pytest_orchestra.reporting.table import Cell, Column, table_lines
from pytest_orchestra.reporting.typography import Page, Tone, duration_text, label, pad, printable, wrap
from pytest_orchestra.reporting.verdict import headline, mark_of, show_command, tone_of

__all__ = ["SessionFacts", "SettlingTime", "collect_facts", "count_text", "summary_text"]

_SLOWEST: Final = 5
_LISTED_GOALS: Final = 5
_TITLE_WIDTH: Final = 12
# what needs attention comes first
_ORDER: Final = (
    RunStatus.FAILED,
    RunStatus.ERROR,
    RunStatus.FAILED_STUCK,
    RunStatus.CANCELLED,
    RunStatus.FLAKY,
    RunStatus.PASSED,
    RunStatus.SKIPPED,
    RunStatus.IN_PROGRESS,
    RunStatus.QUEUED,
    RunStatus.PENDING,
)


@dataclass(frozen=True, slots=True)
class SettlingTime:
    """How long one effect took to settle over all runs of a session, in milliseconds."""

    process_id: str
    alias: str
    name: str
    runs: int
    median_ms: float
    longest_ms: float


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The figures of a session; settling times are sorted, the slowest effect first."""

    runs: Mapping[RunStatus, int]
    violations: Mapping[ViolationType, int]
    settling: tuple[SettlingTime, ...]
    locked: tuple[int, float] = (0, 0.0)
    """How many runs waited for locks, and the longest wait in seconds."""
    flaky: tuple[tuple[str, str], ...] = ()
    """The runs that passed, but not at once, by key, and why."""


def collect_facts(outcomes: Iterable[RunFinished]) -> SessionFacts:
    """Count and measure outcomes. Effects of one process with the same alias are one effect."""
    runs: dict[RunStatus, int] = {}
    violations: dict[ViolationType, int] = {}
    names: dict[tuple[str, str], str] = {}
    times: dict[tuple[str, str], list[float]] = {}
    flaky: list[tuple[str, str]] = []
    locked: list[float] = []
    for outcome in outcomes:
        if outcome.locked_s:
            locked.append(outcome.locked_s)
        runs[outcome.status] = runs.get(outcome.status, 0) + 1
        if outcome.status is RunStatus.FLAKY:
            flaky.append((outcome.run.key, headline(outcome)))
        for step in outcome.steps:
            for violation in step.violations:
                violations[violation.type] = violations.get(violation.type, 0) + 1
            if step.settling_time_ms is not None:
                effect = (outcome.run.process_id, step.alias)
                names[effect] = step.name
                times.setdefault(effect, []).append(step.settling_time_ms)
    settling = (
        SettlingTime(*effect, names[effect], len(measured), median(measured), max(measured))
        for effect, measured in times.items()
    )
    return SessionFacts(
        {status: runs[status] for status in _ORDER if status in runs},
        dict(sorted(violations.items(), key=lambda entry: (-entry[1], entry[0]))),
        tuple(sorted(settling, key=lambda each: (-each.longest_ms, each.process_id, each.alias))),
        flaky=tuple(flaky),
        locked=(len(locked), max(locked, default=0.0)),
    )


def count_text(counts: Mapping[RunStatus, int] | Mapping[str, int], page: Page) -> str:
    """Give the numbers of runs by state, those that need attention first: ``1 failed, 3 passed``."""
    numbers = {str(status): number for status, number in counts.items()}
    known = [status for status in _ORDER if numbers.get(status)]
    return ", ".join(page.ink(f"{numbers[status]} {_word(status)}", tone_of(status)) for status in known)


def _word(status: str) -> str:
    return {"ERROR": "in error", "FAILED_STUCK": "stuck"}.get(status, status.lower().replace("_", " "))


def summary_text(
    facts: SessionFacts,
    *,
    suite_run: SuiteRun | None = None,
    coverage: Sequence[CoverageReached] = (),
    width: int = 100,
    color: bool = False,
    encoding: str | None = None,
) -> str:
    """Give the end of a session. Empty if there is nothing to tell."""
    page = Page.of(width, color=color, encoding=encoding)
    blocks = [
        [*_counts(facts, page), *_flaky(facts.flaky, page)],
        _settling(facts.settling, page),
        _coverage(coverage, page),
        _suite(suite_run, page),
    ]
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block] if lines and block else block
    return page.finish(lines)


def _row(title: str, text: str, page: Page) -> str:
    return f"{page.ink(pad(title, _TITLE_WIDTH), Tone.QUIET)}  {text}"


def _counts(facts: SessionFacts, page: Page) -> list[str]:
    if not facts.runs:
        return []
    lines = [_row("scenarios", count_text(facts.runs, page), page)]
    number, longest = facts.locked
    if number:
        waited = "1 scenario" if number == 1 else f"{number} scenarios"
        lines.append(_row("locks", f"{waited} waited, the longest {duration_text(longest * 1000)}", page))
    if facts.violations:
        kinds = ", ".join(f"{number} {kind}" for kind, number in facts.violations.items())
        first, *rest = wrap(kinds, page.width - _TITLE_WIDTH - 2)
        lines.append(_row("violations", page.ink(first, Tone.BAD), page))
        lines += [" " * (_TITLE_WIDTH + 2) + page.ink(line, Tone.BAD) for line in rest]
    return lines


def _flaky(flaky: Sequence[tuple[str, str]], page: Page) -> list[str]:
    """Name every run that passed only when it, or a step of it, was tried again: nobody looks for it elsewhere."""
    lines = []
    for key, reason in flaky:
        first, *rest = wrap(f"{label(key)}: {reason}", page.width - _TITLE_WIDTH - 2)
        lines.append(_row("flaky", page.ink(first, Tone.WARN), page))
        lines += [" " * (_TITLE_WIDTH + 2) + page.ink(line, Tone.WARN) for line in rest]
    return lines


def _settling(settling: Sequence[SettlingTime], page: Page) -> list[str]:
    if not settling:
        return []
    slowest = settling[:_SLOWEST]
    processes = len({each.process_id for each in settling}) > 1
    columns = [
        Column("STEP", tuple(Cell(label(each.alias)) for each in slowest), least=10),
        Column("NAME", tuple(Cell(label(each.name)) for each in slowest), least=10),
        Column("PROCESS", tuple(Cell(label(each.process_id) if processes else "") for each in slowest), least=8),
        Column("RUNS", tuple(Cell(str(each.runs)) for each in slowest), is_right=True),
        Column("P50", tuple(Cell(duration_text(each.median_ms)) for each in slowest), is_right=True),
        Column("MAX", tuple(Cell(duration_text(each.longest_ms)) for each in slowest), is_right=True),
    ]
    left_out = len(settling) - len(slowest)
    title = f"settling times, the {len(slowest)} slowest of {len(settling)} effects" if left_out else "settling times"
    return [page.ink(title, Tone.QUIET), *table_lines(columns, page)]


def _coverage(coverage: Sequence[CoverageReached], page: Page) -> list[str]:
    """Give a line for each criterion, and below it the first goals that no scenario covers, with their reasons."""
    lines = []
    names = coverage_names(coverage)
    for each in coverage:
        planned, passed = percent(each.planned, each.total), percent(each.passed, each.total)
        plan = page.ink(f"{each.planned} of {each.total} {each.criterion}s planned ({planned} %)", _tone(planned))
        real = page.ink(f"{each.passed} passed ({passed} %)", _tone(passed))
        lines.append(_row("coverage", f"{plan}, {real}: {label(names[each.file, each.process_id])}", page))
        missing = [f"{label(goal.element)}: {printable(goal.reason)}" for goal in each.missing[:_LISTED_GOALS]]
        if len(each.missing) > _LISTED_GOALS:
            missing.append(f"{page.marks.ellipsis} {len(each.missing) - _LISTED_GOALS} more")
        for goal in missing:
            room = page.width - _TITLE_WIDTH - 6
            first, *rest = wrap(goal, room)
            indent = " " * (_TITLE_WIDTH + 4)
            lines += [f"{indent}{first}", *(f"{indent}  {line}" for line in rest)]
    return lines


def _tone(share: int) -> Tone:
    return Tone.GOOD if share == 100 else Tone.WARN  # noqa: PLR2004  percent


def _suite(suite_run: SuiteRun | None, page: Page) -> list[str]:
    if suite_run is None:
        return []
    status = suite_run.status
    state = page.ink(f"{mark_of(status, page.marks)} {status}", tone_of(status))
    lines = [
        _row("suite run", f"{printable(suite_run.id)}  {state}", page),
        _row("see it again", show_command(printable(suite_run.id)), page),
    ]
    if status in (SuiteRunStatus.CANCELLED, SuiteRunStatus.IN_PROGRESS):
        key = shlex.quote(f"--orchestra-suite-run={printable(suite_run.key)}")
        lines.append(_row("go on", f"pytest --orchestra --orchestra-resume {key}", page))
    return lines
