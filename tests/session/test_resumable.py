"""Which SuiteRun is resumed where no key is given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_orchestra.model.run import SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.session.resumable import choose_unfinished
from pytest_orchestra.store.memory import MemoryStore

VERSIONS = {"a": "1", "b": "1"}


@dataclass
class Dead:
    """Knows the dead of this machine."""

    owners: Sequence[str] = field(default_factory=tuple)

    def is_gone(self, owner: str) -> bool:
        return owner in self.owners


async def left_behind(store: MemoryStore, key: str, *run_keys: str, ends: bool = False) -> SuiteRun:
    suite_run = await store.begin_suite_run(SuiteRun(f"id-{key}", key, "default"))
    runs = [
        TestRun(f"{key}/{run_key}", suite_run.id, run_key, "p", "h", run_key, "1", None, "local", "m", "c")
        for run_key in run_keys or VERSIONS
    ]
    await store.add_runs(runs)
    if ends:
        await store.end_suite_run(suite_run.id, SuiteRunStatus.PASSED)
    return suite_run


async def test_newest_interrupted_suite_run_is_chosen() -> None:
    """What came to its end is none, nor is one of other scenarios."""
    store = MemoryStore()
    assert (await choose_unfinished(store, VERSIONS, Dead())).key is None
    await left_behind(store, "older")
    await left_behind(store, "newer")
    await left_behind(store, "other", "c")
    choice = await choose_unfinished(store, VERSIONS, Dead())
    assert (choice.key, choice.note) == ("newer", None)


async def test_one_that_is_out_of_date_is_told_and_an_older_one_chosen_that_is_not() -> None:
    """Only the newest that is left alone is told of: the others are older still."""
    store = MemoryStore()
    await left_behind(store, "whole")
    await left_behind(store, "part", "a")
    newest = await left_behind(store, "it's part", "a")
    await left_behind(store, "part again", "a", ends=True)
    choice = await choose_unfinished(store, VERSIONS, Dead())
    assert choice.key == "whole"
    assert choice.note == (
        f"suite run 'it's part' of {newest.started_at:%Y-%m-%d %H:%M:%S} UTC was interrupted and is not resumed, as "
        "'part again' has come to its end since with the same scenarios; "
        "'--orchestra-suite-run=it'\"'\"'s part' resumes it"
    )


async def test_one_of_another_environment_is_left_for_that() -> None:
    """Jobs for several environments share a store; none takes up what another has to go on with."""
    store = MemoryStore()
    suite_run = await left_behind(store, "there")
    choice = await choose_unfinished(store, VERSIONS, Dead(), other_environments=frozenset({"local", "staging"}))
    assert choice.key is None
    assert choice.note == (
        f"suite run 'there' of {suite_run.started_at:%Y-%m-%d %H:%M:%S} UTC ran against 'local' and is not resumed; "
        "--orchestra-environment=local resumes it"
    )
    assert (await choose_unfinished(store, VERSIONS, Dead(), other_environments=frozenset({"staging"}))).key == "there"


async def test_one_whose_worker_is_known_to_be_dead_is_chosen_at_once() -> None:
    """Its sign of life still counts in the store, and says nothing."""
    store = MemoryStore()
    suite_run = await left_behind(store, "killed")
    await store.sign_in(suite_run.id, "dead", 1000)
    async with asyncio.timeout(2):
        assert (await choose_unfinished(store, VERSIONS, Dead(["dead"]))).key == "killed"


async def test_one_with_which_a_session_goes_on_is_left_to_it_unless_one_takes_part() -> None:
    """Two jobs that both say resume do not become one by chance; workers of one session belong together."""
    store = MemoryStore()
    suite_run = await left_behind(store, "going-on")

    async def live() -> None:
        while True:
            await store.sign_in(suite_run.id, "host:1:abc", 1000)
            await asyncio.sleep(0.05)

    living = asyncio.create_task(live())
    await asyncio.sleep(0)
    try:
        choice = await choose_unfinished(store, VERSIONS, Dead())
        joined = await choose_unfinished(store, VERSIONS, Dead(), joins=True)
    finally:
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
    assert choice.key is None
    assert choice.note == (
        f"suite run 'going-on' of {suite_run.started_at:%Y-%m-%d %H:%M:%S} UTC is another session's, that of "
        "'host:1:abc', and is not resumed; --orchestra-suite-run=going-on takes part in it"
    )
    assert (joined.key, joined.note) == ("going-on", None)


async def test_one_whose_session_leaves_in_order_meanwhile_is_left_to_it() -> None:
    """Who takes its sign of life along tells of what it did."""
    store = MemoryStore()
    suite_run = await left_behind(store, "ending")
    await store.sign_in(suite_run.id, "host:1:abc", 1000)
    choosing = asyncio.create_task(choose_unfinished(store, VERSIONS, Dead()))
    await asyncio.sleep(0.01)
    await store.sign_out(suite_run.id, "host:1:abc")
    assert (await choosing).key is None


async def test_one_whose_sign_of_life_expires_unrenewed_is_chosen() -> None:
    """A worker that died on another machine is silent, and that is waited for."""
    store = MemoryStore()
    suite_run = await left_behind(store, "killed-elsewhere")
    await store.sign_in(suite_run.id, "host:1:abc", 0.3)
    assert (await choose_unfinished(store, VERSIONS, Dead())).key == "killed-elsewhere"
