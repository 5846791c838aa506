"""pytest-html: what a session came to, above the table of its tests."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pytest_orchestra.model.run import CoverageReached, SuiteRun
from pytest_orchestra.reporting.coverage import coverage_names, percent
from pytest_orchestra.reporting.html import STYLE
from pytest_orchestra.reporting.summary import SessionFacts, count_text
from pytest_orchestra.reporting.typography import Page, label, printable
from pytest_orchestra.reporting.verdict import show_command

__all__ = ["summary_html"]


def summary_html(
    facts: SessionFacts, *, suite_run: SuiteRun | None = None, coverage: Sequence[CoverageReached] = ()
) -> str:
    """Give scenarios by state, those that were flaky and why, coverage, and the SuiteRun. Everything is escaped."""
    parts = [_head(facts, suite_run), _flaky(facts.flaky), _coverage(coverage)]
    return f'<div class="orch"><style>{STYLE}</style>{"".join(parts)}</div>'


def _text(text: str) -> str:
    return escape(printable(text))


def _head(facts: SessionFacts, suite_run: SuiteRun | None) -> str:
    counts = count_text(facts.runs, Page())
    known = [("scenarios", counts)] if counts else []
    known += [("violations", ", ".join(f"{number} {kind}" for kind, number in facts.violations.items()))]
    rows = [(name, _text(text)) for name, text in known if text]
    state = "<span>orchestra</span>"
    if suite_run is not None:
        rows.append(("see it again", f"<code>{_text(show_command(suite_run.id))}</code>"))
        status = escape(suite_run.status)
        state = f'<span class="state {status}">{status}</span><span>suite run {_text(suite_run.key)}</span>'
    shown = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in rows)
    return f'<div class="head">{state}</div><dl class="facts">{shown}</dl>'


def _flaky(flaky: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><td><span class="state FLAKY">FLAKY</span></td><td><code>{_text(label(key))}</code></td>'
        f"<td>{_text(reason)}</td></tr>"
        for key, reason in flaky
    )
    return f"<table>{rows}</table>" if rows else ""


def _coverage(coverage: Sequence[CoverageReached]) -> str:
    if not coverage:
        return ""
    names = coverage_names(coverage)
    heads = ("Coverage", "Process", "Planned", "Passed", "Goals that did not pass, or have no scenario")
    header = "".join(f"<th>{head}</th>" for head in heads)
    rows = "".join(_row(each, names[each.file, each.process_id]) for each in coverage)
    return f"<table><tr>{header}</tr>{rows}</table>"


def _row(each: CoverageReached, name: str) -> str:
    shares = (
        f"<td>{part} of {each.total} ({percent(part, each.total)} %)</td>" for part in (each.planned, each.passed)
    )
    left = [f"<code>{_text(label(element))}</code>" for element in each.not_passed]
    left += [f"<code>{_text(label(goal.element))}</code> {_text(goal.reason)}" for goal in each.missing]
    body = ", ".join(left)
    if len(left) > 1:
        body = f"<details><summary>{len(left)} goals</summary>{'<br>'.join(left)}</details>"
    return f"<tr><td>{_text(each.criterion)}s</td><td>{_text(label(name))}</td>{''.join(shares)}<td>{body}</td></tr>"
