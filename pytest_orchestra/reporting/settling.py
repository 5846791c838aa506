"""How long effects take to settle, in words: what was measured, the deadline in force, and a better one."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.engine.settling import ENOUGH, SettlingProfile
from pytest_orchestra.reporting.table import Cell, Column, table_lines
from pytest_orchestra.reporting.typography import Page, Tone, duration_text, label, wrap

__all__ = ["settling_text"]

_NARROW = 0.25


def settling_text(
    profiles: Sequence[SettlingProfile],
    *,
    known: Sequence[SettlingProfile] = (),
    width: int = 100,
    color: bool = False,
    encoding: str | None = None,
) -> str:
    """Give profiles as a table, with what the figures are and what a proposal rests on.

    ``known`` are all that there are: where none was chosen, they tell what can be.
    """
    page = Page.of(width, color=color, encoding=encoding)
    if not profiles and known:
        there = dict.fromkeys(f"{label(each.process_id)} in {label(each.environment)}" for each in known)
        return page.finish(
            ["no settling times of these are stored; there are those of", *(f"  {one}" for one in there)]
        )
    if not profiles:
        return page.finish(["no settling times are stored"])

    def column(title: str, values: Sequence[str], **layout: bool | int) -> Column:
        return Column(title, tuple(Cell(value) for value in values), **layout)  # type: ignore[arg-type]

    def times(title: str, values: Sequence[float | None]) -> Column:
        return column(title, ["" if value is None else duration_text(value) for value in values], is_right=True)

    columns = [
        column("PROCESS", [label(each.process_id) for each in profiles], least=8),
        column("STEP", [label(each.alias) for each in profiles], least=8),
        column("ENVIRONMENT", [label(each.environment) for each in profiles], least=8),
        column("COUNT", [str(each.count) for each in profiles], is_right=True),
        times("P50", [each.p50_ms for each in profiles]),
        times("P95", [each.p95_ms for each in profiles]),
        times("P99", [each.p99_ms for each in profiles]),
        times("MAX", [each.max_ms for each in profiles]),
        times("DEADLINE", [each.timeout_ms for each in profiles]),
        Column("HEADROOM", tuple(_headroom(each) for each in profiles), is_right=True),
        times("PROPOSED", [each.proposed_ms for each in profiles]),
    ]
    note = (
        "headroom: how much of the deadline the longest of 100 waits leaves, each from the beginning of its step;"
        " proposed: twice that wait, at least 1 s,"
        f" from {ENOUGH} measurements on; only effects that settled count"
    )
    return page.finish(
        [
            *table_lines(columns, page, indent=""),
            "",
            *(page.ink(line, Tone.QUIET) for line in wrap(note, page.width)),
        ]
    )


def _headroom(profile: SettlingProfile) -> Cell:
    if profile.headroom is None:
        return Cell("")
    tones = (Tone.WARN,) if profile.is_telling and profile.headroom < _NARROW else ()
    return Cell(f"{profile.headroom:.0%}", tones)
