"""pytest-html: a run as a piece of a page that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Final

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import (
    Exchange,
    Observation,
    RunAttempt,
    RunFault,
    StepAttempt,
    StepResult,
    StepStatus,
    Violation,
)
from pytest_orchestra.reporting.typography import cut_end, duration_text, label, printable
from pytest_orchestra.reporting.values import MessageView, pretty_json, value_text
from pytest_orchestra.reporting.verdict import (
    broken_steps,
    changes_text,
    headline,
    observation_notes,
    place_of,
    run_duration_ms,
    show_command,
    step_marks,
    step_reason,
    unclaimed_fault,
    unsaid_rule,
    violation_values,
    was_reached,
)

_LONGEST_LINE: Final = 120
_LONGEST_VALUE: Final = 4_000
__all__ = ["STYLE", "escape_node_id", "html_extras", "mark_flaky", "run_html"]

# ":not(#_)" weighs as much as the ids by which pytest-html styles its own table
STYLE: Final = """
.orch:not(#_){font:13px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:#1f2328;background:#fff;
border:1px solid #d0d7de;border-radius:8px;padding:14px 16px;margin:8px 0;text-align:left}
.orch:not(#_) *{box-sizing:border-box}
.orch:not(#_) .head{display:flex;gap:10px;align-items:baseline;font-size:14px;font-weight:600}
.orch:not(#_) .state{display:inline-block;min-width:68px;padding:1px 8px;border-radius:10px;font-size:11px;
font-weight:600;letter-spacing:.03em;text-align:center;color:#57606a;background:#eaeef2;white-space:nowrap}
.orch:not(#_) .PASSED{color:#116329;background:#dafbe1}
.orch:not(#_) .FAILED,.orch:not(#_) .ERROR,.orch:not(#_) .FAILED_STUCK{color:#a40e26;background:#ffebe9}
.orch:not(#_) .FLAKY{color:#7d4e00;background:#fff8c5}
.orch:not(#_) .mark{padding:0 6px;border:1px solid #d0d7de;border-radius:8px;font-size:11px;color:#57606a;
white-space:nowrap}
.orch:not(#_) .facts{display:flex;flex-wrap:wrap;gap:2px 22px;margin:10px 0 12px;color:#1f2328}
.orch:not(#_) .facts div{white-space:nowrap}
.orch:not(#_) dt,.orch:not(#_) dd{display:inline;margin:0}
.orch:not(#_) dt{color:#57606a;margin-right:6px}
.orch:not(#_) table{width:100%;border-collapse:collapse;font-size:13px;color:inherit}
.orch:not(#_) table td,.orch:not(#_) table th{border:0;border-bottom:1px solid #eaeef2;padding:5px 10px 5px 0;
text-align:left;vertical-align:middle;color:inherit}
.orch:not(#_) table th{font-size:11px;font-weight:600;color:#57606a;white-space:nowrap}
.orch:not(#_) table .num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.orch:not(#_) table tr.told td,.orch:not(#_) table tr:last-child td{border-bottom:0}
.orch:not(#_) table td:first-child{width:88px;padding-right:14px}
.orch:not(#_) table .when{width:30%;padding:5px 0 5px 10px}
.orch:not(#_) table .more{padding:0 0 5px}
.orch:not(#_) table td>code{overflow-wrap:break-word}
.orch:not(#_) .dim{color:#57606a}
.orch:not(#_) .track{position:relative;width:100%;min-width:90px;height:8px;border-radius:4px;background:#f0f3f6}
.orch:not(#_) .bar{position:absolute;top:0;height:8px;min-width:3px;border-radius:4px;background:#8c959f}
.orch:not(#_) .bar.PASSED{background:#2da44e}
.orch:not(#_) .bar.FAILED{background:#cf222e}
.orch:not(#_) .bar.FLAKY{background:#bf8700}
.orch:not(#_) .violation{margin:4px 0 8px;padding:8px 12px;border-left:3px solid #cf222e;background:#fff5f5;
border-radius:0 6px 6px 0}
.orch:not(#_) .fault{border-left-color:#bf8700;background:#fffbe6}
.orch:not(#_) .violation b{font-size:11px;letter-spacing:.03em;color:#a40e26;margin-right:6px}
.orch:not(#_) .values{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:6px 0 0}
.orch:not(#_) code,.orch:not(#_) pre{font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.orch:not(#_) pre{margin:2px 0 8px;padding:8px 10px;background:#f6f8fa;border-radius:6px;color:#1f2328;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:360px;overflow:auto}
.orch:not(#_) code{overflow-wrap:anywhere;white-space:pre-wrap}
.orch:not(#_) details{margin:0 0 6px}
.orch:not(#_) summary{cursor:pointer;color:#0969da;font-size:12px}
.orch:not(#_) h4{margin:8px 0 2px;font-size:11px;font-weight:600;color:#57606a}
.orch:not(#_) .pair{display:grid;grid-template-columns:1fr 1fr;gap:0 14px}
.orch:not(#_) .history{display:grid;grid-template-columns:max-content max-content 1fr;gap:0 12px;
align-items:baseline;margin:2px 0 8px;max-height:240px;overflow:auto}
""".replace("\n", "")

_FLAKY: Final = (
    '<span style="padding:1px 8px;border-radius:10px;font-size:11px;font-weight:600;color:#7d4e00;background:#fff8c5">'
    "FLAKY</span>"
)


def html_extras(outcome: RunFinished) -> list[dict[str, str | None]]:
    """Give what ``report.extras`` takes: plain dictionaries, so that pytest-html need not be installed."""
    return [
        {"name": "Steps", "format_type": "html", "content": run_html(outcome), "mime_type": None, "extension": None}
    ]


def escape_node_id(cells: list[str], nodeid: str) -> None:
    """Escape a node id in the cells of a row, for ``pytest_html_results_table_row``.

    pytest-html puts it there as it is, so that the name of a data set could bring a script.
    """
    cells[:] = [cell.replace(nodeid, escape(printable(nodeid))) for cell in cells]


def mark_flaky(cells: list[str]) -> None:
    """Say behind the node id of a row that its scenario was flaky, for ``pytest_html_results_table_row``.

    The cell of the result stays as it is: pytest-html filters by its text.
    """
    cells[1] = cells[1].replace("</td>", f" {_FLAKY}</td>")


def run_html(outcome: RunFinished) -> str:
    """Give a run as HTML with its style: headline, facts, the steps on a time line, and the evidence of each step.

    Everything that comes from outside is escaped; there is no script, and nothing is loaded.
    """
    reason = headline(outcome)
    fault = unclaimed_fault(outcome)
    return "".join(
        (
            f'<div class="orch"><style>{STYLE}</style>',
            f'<div class="head">{_state(outcome.status)}<span>{_text(reason or outcome.run.key)}</span></div>',
            _facts(outcome),
            "" if fault is None else _fault(fault),
            _steps(outcome.steps, outcome),
            *(_run_attempt(attempt, outcome) for attempt in outcome.attempts),
            "</div>",
        )
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _state(status: str) -> str:
    return f'<span class="state {escape(status)}">{escape(status)}</span>'


def _facts(outcome: RunFinished) -> str:
    run = outcome.run
    duration = run_duration_ms(outcome)
    facts = [
        ("scenario", _text(run.key)),
        ("data set", _text(run.data_set or "")),
        ("environment", _text(run.environment)),
        ("took", "" if duration is None else duration_text(duration)),
        ("correlation id", f"<code>{_text(run.correlation_id)}</code>"),
        ("see it again", f"<code>{_text(show_command(run.id))}</code>" if outcome.is_kept else ""),
    ]
    rows = (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts if value)
    return f'<dl class="facts">{"".join(rows)}</dl>'


def _run_attempt(attempt: RunAttempt, outcome: RunFinished) -> str:
    """Give an attempt of the whole run that failed, behind a line that names it."""
    title = f"attempt {attempt.number} of {len(outcome.attempts) + 1} failed"
    correlation = f'<div class="dim">correlation id <code>{_text(attempt.correlation_id)}</code></div>'
    return f"<details><summary>{title}</summary>{correlation}{_steps(attempt.steps, outcome)}</details>"


def _attempt(attempt: StepAttempt, of: int) -> str:
    """Give an attempt of a step that failed: what was wrong, and what was sent and received behind a line."""
    title = f"attempt {attempt.number} of {of} failed after {duration_text(attempt.duration_ms)}"
    violations = "".join(_violation(violation) for violation in attempt.violations)
    return f"<h4>{title}</h4>{violations}{_folded(attempt, is_open=False)}"


def _steps(steps: tuple[StepResult, ...], outcome: RunFinished) -> str:
    if not steps:
        return ""
    heads = ("State", "Step", "Name", "Element", "Took", "Settled", "Polls", "When")
    classes = {"Took": "num", "Settled": "num", "Polls": "num", "When": "when"}
    header = "".join(f'<th class="{classes.get(head, "")}">{head}</th>' for head in heads)
    broken = broken_steps(steps)
    rows = "".join(_step(step, outcome, is_broken=step in broken) for step in steps)
    return f"<table><tr>{header}</tr>{rows}</table>"


def _step(step: StepResult, outcome: RunFinished, *, is_broken: bool) -> str:
    evidence = _evidence(step, is_broken=is_broken)
    reached = was_reached(step)
    cells = (
        f"<td>{_state(step.status)}</td>",
        f"<td><code>{_text(step.alias)}</code></td>",
        f"<td>{_text(label(step.name))}{_marks(step)}</td>",
        f'<td class="dim">{_text(label(step.element_id))}</td>',
        f'<td class="num">{duration_text(step.duration_ms) if reached else ""}</td>',
        f'<td class="num">{"" if step.settling_time_ms is None else duration_text(step.settling_time_ms)}</td>',
        f'<td class="num">{step.polls or ""}</td>',
        f'<td class="when">{_bar(step, outcome)}</td>',
    )
    row = f"<tr{' class=told' if evidence else ''}{'' if reached else ' style=color:#57606a'}>{''.join(cells)}</tr>"
    return row + (f'<tr><td></td><td colspan="7" class="more">{evidence}</td></tr>' if evidence else "")


def _marks(step: StepResult) -> str:
    """Give what is not usual about a step's result; of what was reused, the run that it comes from is its title."""
    titles = {"reused": f' title="{_text(step.reused_from)}"'} if step.reused_from is not None else {}
    return "".join(f' <span class="mark"{titles.get(mark, "")}>{escape(mark)}</span>' for mark in step_marks(step))


def _bar(step: StepResult, outcome: RunFinished) -> str:
    """Give the step's place on the run's time line; its reason where it was not reached."""
    began, whole = outcome.run.started_at, run_duration_ms(outcome)
    is_skipped = step.status is StepStatus.SKIPPED
    if step.started_at is None or is_skipped or began is None or not whole:
        return "" if was_reached(step) and not is_skipped else f'<span class="dim">{_text(step_reason(step))}</span>'
    bars: list[str] = []
    tried = [("FAILED", attempt.started_at, attempt.duration_ms) for attempt in step.attempts if attempt.started_at]
    for status, started, took_ms in [*tried, (escape(step.status), step.started_at, step.duration_ms)]:
        left = min(max((started - began) / timedelta(milliseconds=1) / whole, 0.0), 1.0)
        width = min(max(took_ms / whole, 0.0), 1.0 - left)
        bars.append(f'<div class="bar {status}" style="left:{left:.1%};width:{width:.1%}"></div>')
    return f'<div class="track">{"".join(bars)}</div>'


def _evidence(step: StepResult, *, is_broken: bool) -> str:
    parts = []
    place = place_of(step)
    if place:
        parts.append(f'<div class="dim"><code>{_text(place)}</code></div>')
    if step.changed:
        parts.append(f'<div class="dim">changed by hand before it: <code>{_text(changes_text(step))}</code></div>')
    if step.fault is not None:
        parts.append(_fault(step.fault))
    parts += [_violation(violation) for violation in step.violations]
    if is_broken and step.fault is None and step.reason:
        parts.append(f'<div class="violation">{_text(step.reason)}</div>')
    tries = len(step.attempts) + 1
    parts += [_attempt(attempt, tries) for attempt in step.attempts]
    if step.attempts:
        parts.append(f"<h4>attempt {tries} of {tries}, the last</h4>")
    parts.append(_folded(step, is_open=is_broken))
    return "".join(parts)


def _folded(step: StepResult | StepAttempt, *, is_open: bool) -> str:
    """Give what only some readers want to see, behind a line that names it."""
    exchange = step.exchange or Exchange()
    polls = sum(seen.count for seen in step.observations)
    sides = [("request", exchange.request), ("response", exchange.response or {})]
    messages = [(name, message) for name, message in sides if message]
    titles = [f"{polls} observation{'s' if polls > 1 else ''}"] if polls else []
    titles += [name for name, _ in messages] + (["reproduce"] if exchange.reproduce else [])
    if not titles:
        return ""
    body = _history(step.observations) if polls else ""
    if messages:
        shown = "".join(f"<div><h4>{name}</h4>{_message(message)}</div>" for name, message in messages)
        body += f'<div class="pair">{shown}</div>'
    if exchange.reproduce:
        body += f"<h4>reproduce</h4><pre>{_text(exchange.reproduce)}</pre>"
    return f"<details{' open' if is_open else ''}><summary>{', '.join(titles)}</summary>{body}</details>"


def _fault(fault: RunFault) -> str:
    fact = f"{fault.place}: {fault.message}" if fault.place else fault.message
    hint = f'<div class="dim">hint: {_text(fault.hint)}</div>' if fault.hint else ""
    return f'<div class="violation fault">{_text(fact)}{hint}</div>'


def _violation(violation: Violation) -> str:
    rule = unsaid_rule(violation)
    said = "" if rule is None else f"<div><code>{escape(rule)}</code></div>"
    return (
        f'<div class="violation"><b>{escape(violation.type)}</b>{_text(violation.message)}{said}'
        f"{_values(violation_values(violation))}</div>"
    )


def _values(rows: Sequence[tuple[str, JsonValue]]) -> str:
    if not rows:
        return ""
    cells = "".join(f'<code class="dim">{_text(name)}</code><code>{_value(value)}</code>' for name, value in rows)
    return f'<div class="values">{cells}</div>'


def _value(value: JsonValue) -> str:
    text = value_text(value)
    if len(text) > _LONGEST_LINE:
        text = printable(value if isinstance(value, str) else pretty_json(value))
    return escape(cut_end(text, _LONGEST_VALUE))


def _history(observations: Sequence[Observation]) -> str:
    rows = "".join(
        f'<span class="num dim">{duration_text(seen.first_ms)}</span><code>{_value(seen.value)}</code>'
        f'<span class="dim">{escape(note)}</span>'
        for seen, note in zip(observations, observation_notes(observations), strict=True)
    )
    return f'<h4>observed</h4><div class="history">{rows}</div>'


def _message(message: JsonObject) -> str:
    view = MessageView.of(message)
    lines = [*view.lead, *view.headers, *(f"{name}: {value_text(value)}" for name, value in view.rest)]
    if view.body is not None:
        lines.append(view.body if isinstance(view.body, str) else pretty_json(view.body))
    return f"<pre>{_text(chr(10).join(lines))}</pre>"
