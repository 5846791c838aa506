"""Choosing the SuiteRun that ``--orchestra-resume`` goes on with where no key is given."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pytest_orchestra.engine.ports import Presence, RunStore, Unfinished
from pytest_orchestra.engine.resumption import dated
from pytest_orchestra.model.run import SuiteRun

__all__ = ["Choice", "choose_unfinished"]

_SEEN_AGAIN_S: Final = 6.0
"""How long a session's sign of life is watched: one that goes on renews it every two seconds."""

_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Choice:
    """The key of the SuiteRun to resume, None if there is none, and what to tell of a newer one that was left alone."""

    key: str | None = None
    note: str | None = None


async def choose_unfinished(
    store: RunStore,
    versions: Mapping[str, str],
    presence: Presence,
    *,
    other_environments: AbstractSet[str] = frozenset(),
    joins: bool = False,
) -> Choice:
    """Choose the newest SuiteRun that was interrupted and has any of these scenarios, version by run key.

    One that a later SuiteRun has made out of date is left alone, one of ``other_environments`` than the session's, and
    one that a living session goes on with, unless the session ``joins`` it. Raises ``StoreError``.
    """
    note: str | None = None
    for each in await store.find_unfinished(versions):
        if each.superseded_by is not None:
            note = note or _out_of_date(each, each.superseded_by)
        elif each.environments and other_environments >= frozenset(each.environments):
            note = note or _elsewhere(each)
        elif not joins and (worker := await _find_living(store, each.suite_run.id, presence)) is not None:
            note = note or _under_way(each.suite_run, worker)
        else:
            return Choice(each.suite_run.key, note)
    return Choice(None, note)


async def _find_living(store: RunStore, suite_run_id: str, presence: Presence) -> str | None:
    """Find a worker that shows a new sign of life, or takes its sign along, as only the living do.

    The last sign of a dead one may still count for a while.
    """
    first: dict[str, datetime] = {}
    deadline = asyncio.get_running_loop().time() + _SEEN_AGAIN_S
    while True:
        signs = {sign.owner: sign for sign in await store.read_signs(suite_run_id)}
        moved = (owner for owner, until in first.items() if owner not in signs or signs[owner].until > until)
        if (worker := next(moved, None)) is not None:
            return worker
        counting = [sign for sign in signs.values() if sign.is_alive and not presence.is_gone(sign.owner)]
        if not counting or asyncio.get_running_loop().time() > deadline:
            return None
        first |= {sign.owner: sign.until for sign in counting}
        await asyncio.sleep(_LOOK_S)


def _out_of_date(unfinished: Unfinished, by: str) -> str:
    suite_run = unfinished.suite_run
    return (
        f"{dated(suite_run)} was interrupted and is not resumed, "
        f"as '{by}' has come to its end since with the same scenarios; {_option(suite_run)} resumes it"
    )


def _elsewhere(unfinished: Unfinished) -> str:
    names = ", ".join(f"'{name}'" for name in unfinished.environments)
    return (
        f"{dated(unfinished.suite_run)} ran against {names} and is not resumed; "
        f"{shlex.quote(f'--orchestra-environment={unfinished.environments[0]}')} resumes it"
    )


def _under_way(suite_run: SuiteRun, worker: str) -> str:
    return (
        f"{dated(suite_run)} is another session's, that of '{worker}', and is not resumed; "
        f"{_option(suite_run)} takes part in it"
    )


def _option(suite_run: SuiteRun) -> str:
    return shlex.quote(f"--orchestra-suite-run={suite_run.key}")
