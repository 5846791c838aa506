"""The embedded store in the middle of a run, while what it stands on is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from store_samples import has_stopped, make_run, make_step, make_suite_run, wait_until

from pytest_orchestra.engine.ports import StepIntent
from pytest_orchestra.errors import SchemaVersionError
from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.embedded_store import EmbeddedStore
from pytest_orchestra.store.supervisor import STATE


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path)
    await store.open()
    yield store
    await store.close()
    EmbeddedPostgres(tmp_path).remove()


@pytest.mark.parametrize("victim", ["supervisor", "postmaster"])
async def test_killed_server_in_mid_run_loses_nothing(store: EmbeddedStore, tmp_path: Path, victim: str):
    """Scenarios go on over the death of the server: each step that was recorded is there, each that comes is taken."""
    with EmbeddedPostgres(tmp_path) as server:
        state = server.place / STATE
    suite_run = await store.begin_suite_run(make_suite_run())
    runs = [make_run(suite_run, f"run-{number:02}") for number in range(20)]
    await store.add_runs(runs)
    killed = asyncio.Event()

    async def run_one(number: int) -> None:
        lease = await store.claim(runs[number].id, "worker", 30)
        assert lease is not None
        await store.begin_step(lease, StepIntent("step-0", 0))
        for step in range(6):
            if step == 3 and not killed.is_set():
                killed.set()
                os.kill(json.loads(state.read_text())[victim], signal.SIGKILL)
            following = StepIntent(f"step-{step + 1}", step + 1) if step < 5 else None
            await store.record_step(lease, make_step(f"step-{step}", step), following, {f"{number}.{step}": step})
        await store.finish_run(lease, RunStatus.PASSED, None)

    await asyncio.gather(*(run_one(number) for number in range(20)))
    loaded = await store.load(suite_run.id)
    assert [stored.run.status for stored in loaded] == [RunStatus.PASSED] * 20
    assert [len(stored.steps) for stored in loaded] == [6] * 20
    assert len(await store.suite_context(suite_run.id)) == 120


async def test_open_needs_no_superuser(store: EmbeddedStore, tmp_path: Path):
    """The store logs in as the owner of its database, whom row-level security binds."""
    await store.history()
    with EmbeddedPostgres(tmp_path) as server, psycopg.connect(server.conninfo()) as connection:
        found = connection.execute(
            "SELECT usename FROM pg_stat_activity WHERE application_name = 'pytest-orchestra'"
        ).fetchall()
    assert found == [("orchestra",)]


async def test_open_that_fails_does_not_keep_the_server(tmp_path: Path):
    """A store that cannot be opened leaves nothing running."""
    store = EmbeddedStore(tmp_path)
    assert await store.migrate() != ()
    server = EmbeddedPostgres(tmp_path)
    with server, psycopg.connect(server.conninfo("orchestra")) as connection:
        connection.execute(
            "INSERT INTO orchestra.schema_migration (version, name, checksum) VALUES (9999, '9999_future', 'x')"
        )
        place = server.place
    with pytest.raises(SchemaVersionError):
        await store.open()
    wait_until(lambda: has_stopped(place), "the server stops")
    server.remove()


async def test_open_makes_the_database_once(store: EmbeddedStore, tmp_path: Path):
    """A store that is opened again asks the superuser for nothing, not even whether the database is there."""
    with psycopg.connect(store._server.conninfo(), autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres NOLOGIN")
    again = EmbeddedStore(tmp_path)
    await again.open()
    await again.close()


async def test_each_session_of_the_server_sees_its_tenant_only(store: EmbeddedStore, tmp_path: Path):
    """Where the session and not the transaction names the tenant, row-level security holds all the same."""
    await store.begin_suite_run(make_suite_run())
    other = EmbeddedStore(tmp_path, "other")
    await other.open()
    try:
        assert await other.history() == ()
        assert len(await store.history()) == 1
    finally:
        await other.close()


async def test_call_cancelled_while_it_reconnects_leaves_the_store_usable(store: EmbeddedStore):
    """At whatever moment somebody gives up waiting for a new connection, the next one knows its tenant."""
    await store.begin_suite_run(make_suite_run())
    rounds = 0
    while True:
        await store._link.close()
        call = asyncio.create_task(store.history())
        for _ in range(rounds):
            if not call.done():
                await asyncio.sleep(0)
        if call.done():
            break
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert len(await store.history()) == 1
        rounds += 1 + rounds // 20
    assert rounds > 10
