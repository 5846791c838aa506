"""The results store in words: past SuiteRuns, one SuiteRun, one TestRun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.engine.ports import StoredRun
from pytest_orchestra.model.run import RunStatus, SuiteRun
from pytest_orchestra.reporting.summary import collect_facts, count_text, summary_text
from pytest_orchestra.reporting.table import Cell, Column, table_lines
from pytest_orchestra.reporting.terminal import failure_text, history_lines
from pytest_orchestra.reporting.typography import Page, Tone, duration_text, label, moment_text, printable, wrap
from pytest_orchestra.reporting.verdict import headline, mark_of, run_duration_ms, show_command, tone_of

__all__ = ["history_text", "outcome_of_stored", "short_references", "show_text"]

_LEAST_REFERENCE: Final = 13
_SHORT_ENOUGH: Final = 20
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def history_text(
    rows: Sequence[tuple[SuiteRun, Mapping[str, int]]],
    *,
    zone: tzinfo = UTC,
    width: int = 100,
    color: bool = False,
    encoding: str | None = None,
) -> str:
    """Give past SuiteRuns as a table, as :meth:`RunStore.history` gives them; moments in the given time zone."""
    page = Page.of(width, color=color, encoding=encoding)
    if not rows:
        return page.finish(["no suite runs are stored"])
    suites = [suite for suite, _ in rows]
    plain = Page(page.width, marks=page.marks)
    columns = [
        Column("  STATE", tuple(_state(suite.status, page) for suite in suites)),
        Column("WHEN", tuple(Cell(moment_text(suite.started_at or suite.created_at, zone)) for suite in suites)),
        Column("TOOK", tuple(Cell(_took(suite)) for suite in suites), is_right=True),
        Column("SCENARIOS", tuple(Cell(count_text(counts, plain)) for _, counts in rows)),
        Column("KEY", tuple(Cell(_key(suite)) for suite in suites), least=12, keeps_ends=True),
        Column("RUN", tuple(Cell(text) for text in short_references([suite.id for suite in suites]))),
    ]
    return page.finish([*table_lines(columns, page), "", f"see one again: {show_command('RUN')}"])


def short_references(ids: Sequence[str]) -> list[str]:
    """Give for each id its shortest beginning that no other of them has, at least 13 characters: a UUID's moment.

    An id that is not much longer than that stays whole.
    """
    shown = []
    for each in ids:
        if len(each) <= _SHORT_ENOUGH:
            shown.append(printable(each))
            continue
        others = [other for other in ids if other != each]
        length = _LEAST_REFERENCE
        while length < len(each) and any(other.startswith(each[:length]) for other in others):
            length += 1
        shown.append(printable(each[:length]))
    return shown


def _state(status: str, page: Page) -> Cell:
    return Cell(f"{mark_of(status, page.marks)} {status}", (tone_of(status),))


def _key(suite: SuiteRun) -> str:
    return "" if suite.key == suite.id else label(suite.key)


def _took(suite: SuiteRun) -> str:
    if suite.started_at is None or suite.finished_at is None:
        return ""
    return duration_text((suite.finished_at - suite.started_at) / timedelta(milliseconds=1))


def show_text(
    runs: Sequence[StoredRun],
    *,
    suite_run: SuiteRun | None = None,
    zone: tzinfo = UTC,
    width: int = 100,
    color: bool = False,
    encoding: str | None = None,
) -> str:
    """Give what the store knows: of several TestRuns a table and a summary, of a single one all its evidence.

    With ``suite_run``, even a single TestRun is shown as a table. Empty for no runs.
    """
    page = Page.of(width, color=color, encoding=encoding)
    if not runs:
        return ""
    if len(runs) == 1 and suite_run is None:
        return page.finish([*_one(runs[0], zone, page)])
    return page.finish(_many(runs, suite_run, page))


def outcome_of_stored(stored: StoredRun) -> RunFinished:
    """Give a stored run as the value that all reports are made of; the run's fault is that of its steps."""
    run = stored.run
    ended = run.finished_at or max(
        (step.finished_at for step in stored.steps if step.finished_at is not None),
        default=run.started_at or run.created_at or _NEVER,
    )
    return RunFinished(
        at=ended,
        run=run,
        status=run.status,
        steps=stored.steps,
        fault=next((step.fault for step in stored.steps if step.fault is not None), None),
        reason=run.reason,
        attempts=stored.attempts,
    )


def _one(stored: StoredRun, zone: tzinfo, page: Page) -> list[str]:
    outcome = outcome_of_stored(stored)
    text = failure_text(outcome, width=page.width, color=page.ink.is_on, encoding=page.encoding)
    run = stored.run
    began = moment_text(run.started_at, zone)
    lines = [f"began {began}, suite run {printable(run.suite_run_id)}" if began else f"suite run {run.suite_run_id}"]
    said = [page.ink(line, Tone.QUIET) for each in lines for line in wrap(each, page.width)]
    return [*text.split("\n"), "", *said, *_under_way(stored, zone, page)]


def _under_way(stored: StoredRun, zone: tzinfo, page: Page) -> list[str]:
    """Say what the worker was doing, and had seen, when the store last heard of it."""
    ended = {step.alias for step in stored.steps}
    lines: list[str] = []
    for intent in stored.intents:
        if intent.alias in ended:
            continue
        fact = f"step {label(intent.alias)} began {moment_text(intent.started_at, zone)} and has not ended"
        fact += f", attempt {intent.attempt}" if intent.attempt > 1 else ""
        seen = intent.seen
        looked = "" if seen is None else f", looked {'once' if seen.polls == 1 else f'{seen.polls} times'}:"
        lines += [page.ink(line, Tone.QUIET) for line in wrap(fact + looked, page.width)]
        lines += [f"    {line}" for line in history_lines(seen.observations if seen else (), page)]
    if stored.owner:
        holder = f"held by worker {printable(stored.owner)}"
        lines += [page.ink(line, Tone.QUIET) for line in wrap(holder, page.width)]
    return lines


def _many(runs: Sequence[StoredRun], suite_run: SuiteRun | None, page: Page) -> list[str]:
    outcomes = [outcome_of_stored(stored) for stored in runs]
    columns = [
        Column("  STATE", tuple(_state(outcome.status, page) for outcome in outcomes)),
        Column("SCENARIO", tuple(Cell(label(outcome.run.key)) for outcome in outcomes), least=16, keeps_ends=True),
        Column("TOOK", tuple(Cell(_run_took(outcome)) for outcome in outcomes), is_right=True),
        Column("RUN", tuple(Cell(text) for text in short_references([outcome.run.id for outcome in outcomes]))),
        Column("WHY", tuple(Cell(headline(outcome)) for outcome in outcomes), least=16),
    ]
    facts = collect_facts(outcomes)
    summary = summary_text(facts, suite_run=suite_run, width=page.width, color=page.ink.is_on, encoding=page.encoding)
    return [
        *table_lines(columns, page, indent=""),
        "",
        *summary.split("\n"),
        "",
        f"see one again: {show_command('RUN')}",
    ]


def _run_took(outcome: RunFinished) -> str:
    duration = run_duration_ms(outcome)
    return "" if duration is None or outcome.status is RunStatus.IN_PROGRESS else duration_text(duration)
