"""Commands over runs and their store: ``history``, ``show``, ``settle``, ``reap``, ``quota``, and what it needs."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, TypedDict

from pytest_orchestra.cli.doctor import examine
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.cli.project import add_store_options, chosen_store, store_of
from pytest_orchestra.engine.ports import RunStore, StoredRun
from pytest_orchestra.engine.settling import SettlingProfile
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.json import JsonValue, to_json
from pytest_orchestra.model.run import SuiteRun
from pytest_orchestra.reporting.history import history_text, show_text
from pytest_orchestra.reporting.settling import settling_text
from pytest_orchestra.store.opening import migrate_store

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's sub-parsers."""
    history = commands.add_parser("history", help="list the latest SuiteRuns")
    history.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
    show = commands.add_parser("show", help="show a SuiteRun, or one of its TestRuns with every step")
    show.add_argument("reference", metavar="RUN", help="id or key of a SuiteRun or TestRun; the beginning is enough")
    settle = commands.add_parser("settle", help="say how long effects take to settle, and propose deadlines")
    settle.add_argument("--environment", metavar="NAME", help="only of this environment")
    settle.add_argument("--process", metavar="ID", help="only of the process of this id")
    reap = commands.add_parser("reap", help="give up runs whose worker died and with which nobody went on")
    reap.add_argument(
        "--after",
        type=float,
        default=1.0,
        metavar="HOURS",
        help="how long ago their lease must have ended (default: 1)",
    )
    quota = commands.add_parser("quota", help="show or set how many runs of the tenant go on at once, in all sessions")
    quota.add_argument("--max-parallel-runs", type=int, metavar="N", help="set it; 0 takes the limit away")
    migrate = commands.add_parser("migrate", help="bring the schema of the store up to date")
    doctor = commands.add_parser("doctor", help="say whether this machine and project have what a run needs")
    for parser, run in (
        (history, _history),
        (show, _show),
        (settle, _settle),
        (reap, _reap),
        (quota, _quota),
        (migrate, _migrate),
        (doctor, _doctor),
    ):
        add_store_options(parser)
        parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
        parser.set_defaults(run=run)


def _history(options: argparse.Namespace) -> Outcome:
    if options.limit < 1:
        raise SettingsError(f"--limit: '{options.limit}' is not positive", hint="for example 20")

    async def read(store: RunStore) -> Sequence[tuple[SuiteRun, Mapping[str, int]]]:
        return await store.history(options.limit)

    found = _read(options, read)
    facts: JsonValue = [{**_object(to_json(suite_run)), "runs": dict(counts)} for suite_run, counts in found]
    return Outcome(text=history_text(found, **_page()), facts=facts)


def _show(options: argparse.Namespace) -> Outcome:
    async def read(store: RunStore) -> Sequence[StoredRun]:
        return await store.load(options.reference)

    found = _read(options, read)
    if not found:
        raise SettingsError(
            f"no run '{options.reference}'", hint="'orchestra history' lists them; --root names another project"
        )
    return Outcome(text=show_text(found, **_page()), facts=[to_json(run) for run in found])


def _settle(options: argparse.Namespace) -> Outcome:
    async def read(store: RunStore) -> tuple[Sequence[SettlingProfile], Sequence[SettlingProfile]]:
        found = await store.settling(options.environment, options.process)
        return found, found or await store.settling(None, None)

    found, known = _read(options, read)
    facts: JsonValue = [
        {
            "process": each.process_id,
            "step": each.alias,
            "environment": each.environment,
            "count": each.count,
            "p50Ms": each.p50_ms,
            "p95Ms": each.p95_ms,
            "p99Ms": each.p99_ms,
            "maxMs": each.max_ms,
            "timeoutMs": each.timeout_ms,
            "waitP99Ms": each.wait_p99_ms,
            "headroom": each.headroom,
            "proposedTimeoutMs": each.proposed_ms,
        }
        for each in found
    ]
    page = _page()
    text = settling_text(found, known=known, width=page["width"], color=page["color"], encoding=page["encoding"])
    return Outcome(text=text, facts=facts)


def _reap(options: argparse.Namespace) -> Outcome:
    if options.after < 0:
        raise SettingsError(f"--after: '{options.after:g}' is negative", hint="for example 1")

    async def reap(store: RunStore) -> Sequence[str]:
        return await store.reap_runs(options.after * 3600)

    keys = _read(options, reap)
    text = "\n".join(f"FAILED_STUCK  {key}" for key in keys) or "no run is stuck"
    return Outcome(ExitCode.FINDINGS if keys else ExitCode.FINE, text, {"reaped": list(keys)})


def _quota(options: argparse.Namespace) -> Outcome:
    wanted = options.max_parallel_runs
    if wanted is not None and wanted < 0:
        raise SettingsError(f"--max-parallel-runs: '{wanted}' is negative", hint="for example 20, or 0 for no limit")

    async def settle(store: RunStore) -> int | None:
        if wanted is not None:
            await store.set_quota(wanted or None)
        return await store.quota()

    most = _read(options, settle)
    text = "no limit" if most is None else f"{most} runs at once"
    return Outcome(text=text, facts={"maxParallelRuns": most})


class _Page(TypedDict):
    width: int
    color: bool
    encoding: str | None
    zone: tzinfo


def _page() -> _Page:
    """Say how wide and how colourful standard output is, and which time people here read."""
    return {
        "width": shutil.get_terminal_size((100, 24)).columns,
        "color": sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        "encoding": sys.stdout.encoding,
        "zone": datetime.now().astimezone().tzinfo or UTC,
    }


def _migrate(options: argparse.Namespace) -> Outcome:
    store, _, folder = chosen_store(options)
    applied = asyncio.run(migrate_store(store, cache_folder=folder))
    text = f"applied: {', '.join(map(str, applied))}" if applied else "the schema is up to date"
    return Outcome(text=text, facts={"applied": list(applied)})


def _doctor(options: argparse.Namespace) -> Outcome:
    store, tenant, folder = chosen_store(options)
    findings = examine(store, tenant=tenant, cache_folder=folder)
    is_well = all(finding.is_well for finding in findings)
    facts: JsonValue = [
        {"subject": each.subject, "ok": each.is_well, "fact": each.fact, "hint": each.hint} for each in findings
    ]
    return Outcome(ExitCode.FINE if is_well else ExitCode.ENVIRONMENT, "\n".join(map(str, findings)), facts)


def _read(options: argparse.Namespace, read: Any) -> Any:
    """Open the store, read, and close it again."""
    store = store_of(options)

    async def opened() -> Any:
        await store.open()
        try:
            return await read(store)
        finally:
            await store.close()

    return asyncio.run(opened())


def _object(value: JsonValue) -> Mapping[str, JsonValue]:
    assert isinstance(value, Mapping)
    return value
