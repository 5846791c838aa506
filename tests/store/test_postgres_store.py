"""What only a database can get wrong: races, lost connections, refused logins, row-level security."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import psycopg
import pytest
from store_samples import make_run, make_step, make_suite_run, opened, unique

from pytest_orchestra.engine.ports import Lease, StepIntent
from pytest_orchestra.errors import SettingsError, StoreError, StoreUnavailableError
from pytest_orchestra.model.run import RunStatus, SuiteRun, TestRun
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.embedded_store import EmbeddedStore
from pytest_orchestra.store.postgres import PostgresStore

TTL_S = 30.0
PASSWORD = "s3%63ret"  # percent-encoded for s3cret


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def begin(store: PostgresStore, count: int = 1) -> tuple[SuiteRun, list[TestRun]]:
    suite_run = await store.begin_suite_run(make_suite_run())
    runs = [make_run(suite_run, f"run-{number:03}") for number in range(count)]
    await store.add_runs(runs)
    return suite_run, runs


def break_connections(server: EmbeddedPostgres, url: str) -> int:
    """End every session of a database, as a restart of the server would."""
    database = url.rsplit("/", 1)[1].partition("?")[0]
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
        )
        return ended.rowcount


async def test_claim_from_several_connections_has_one_winner(superuser_url: str, stack: AsyncExitStack):
    """However many workers reach for a run at once, one gets it, and no run is left over."""
    tenant = f"tenant-{unique()}"
    stores = [await opened(stack, PostgresStore(superuser_url, tenant)) for _ in range(4)]
    _, runs = await begin(stores[0], 30)
    orders = [runs, runs[::-1], runs[1::2] + runs[::2], runs[::2] + runs[1::2]]
    claims = await asyncio.gather(
        *(
            store.claim(run.id, f"worker-{number}", TTL_S)
            for number, (store, order) in enumerate(zip(stores, orders, strict=True))
            for run in order
        )
    )
    won = [lease.run_id for lease in claims if lease is not None]
    assert sorted(won) == sorted(run.id for run in runs)


async def test_expired_claims_from_several_connections_have_one_winner(superuser_url: str, stack: AsyncExitStack):
    """Runs of a dead worker are shared out among those who live, each once."""
    tenant = f"tenant-{unique()}"
    stores = [await opened(stack, PostgresStore(superuser_url, tenant)) for _ in range(3)]
    _, runs = await begin(stores[0], 20)
    await asyncio.gather(*(stores[0].claim(run.id, "dead", TTL_S) for run in runs))
    with psycopg.connect(superuser_url) as connection:
        connection.execute("UPDATE orchestra.test_run SET lock_until = lock_until - interval '1 day'")
    claims = await asyncio.gather(
        *(store.claim(run.id, f"worker-{number}", TTL_S) for number, store in enumerate(stores) for run in runs)
    )
    won = [lease for lease in claims if lease is not None]
    assert sorted(lease.run_id for lease in won) == sorted(run.id for run in runs)
    assert {lease.fence for lease in won} == {2}


async def test_exports_from_several_connections_all_arrive(superuser_url: str, stack: AsyncExitStack):
    """Workers on several machines export into one SuiteRun and nothing is overwritten."""
    tenant = f"tenant-{unique()}"
    stores = [await opened(stack, PostgresStore(superuser_url, tenant)) for _ in range(3)]
    suite_run, runs = await begin(stores[0], 30)

    async def run_one(number: int) -> None:
        store = stores[number % 3]
        lease = await store.claim(runs[number].id, f"worker-{number}", TTL_S)
        assert lease is not None
        for step in range(3):
            await store.record_step(lease, make_step(f"step-{step}", step), None, {f"{number}.{step}": number})

    await asyncio.gather(*(run_one(number) for number in range(30)))
    expected = {f"{number}.{step}": number for number in range(30) for step in range(3)}
    assert await stores[0].suite_context(suite_run.id) == expected


async def test_suite_run_begun_from_several_connections_is_one(superuser_url: str, stack: AsyncExitStack):
    """Workers that begin a SuiteRun of one key together share it, and each run in it exists once."""
    tenant, key = f"tenant-{unique()}", unique()
    stores = [await opened(stack, PostgresStore(superuser_url, tenant)) for _ in range(4)]
    begun = await asyncio.gather(*(store.begin_suite_run(make_suite_run(key)) for store in stores))
    assert len({suite_run.id for suite_run in begun}) == 1
    runs = [[make_run(begun[0], f"run-{number}") for number in range(10)] for _ in stores]
    await asyncio.gather(*(store.add_runs(own) for store, own in zip(stores, runs, strict=True)))
    assert [stored.run.key for stored in await stores[0].load(key)] == [f"run-{number}" for number in range(10)]


async def test_tenants_are_apart_even_for_a_superuser(superuser_url: str, stack: AsyncExitStack):
    """Every query filters by tenant itself: where row-level security does not bind, tenants still do not meet."""
    mark = unique()
    ours = await opened(stack, PostgresStore(superuser_url, f"ours-{mark}"))
    theirs = await opened(stack, PostgresStore(superuser_url, f"theirs-{mark}"))
    suite_run = make_suite_run()
    run = make_run(suite_run)
    for store in (ours, theirs):
        await store.begin_suite_run(suite_run)
        await store.add_runs([run])
    lease = await ours.claim(run.id, "worker-1", TTL_S)
    assert lease is not None
    await ours.record_step(lease, make_step("place"), StepIntent("pay", 1), {"who": "ours"})
    await ours.heartbeat([lease], TTL_S)
    await ours.finish_run(lease, RunStatus.PASSED, None)
    [stored] = await theirs.load(suite_run.id)
    assert (stored.run.status, stored.steps, stored.fence) == (RunStatus.PENDING, (), 0)
    assert await theirs.suite_context(suite_run.id) == {}
    assert [dict(counts) for _, counts in await theirs.history()] == [{"PENDING": 1}]
    await theirs.skip_run(run.id, RunStatus.SKIPPED, "theirs")
    assert [dict(counts) for _, counts in await ours.history()] == [{"PASSED": 1}]


async def test_row_level_security_hides_other_tenants(
    server: EmbeddedPostgres, store_folder: Path, stack: AsyncExitStack
):
    """A query that forgets its filter gets the rows of the tenant it named, and none without one; the owner too."""
    tenant = f"tenant-{unique()}"
    for name in (tenant, f"{tenant}-other"):
        store = await opened(stack, EmbeddedStore(store_folder, name))
        await begin(store)
    with psycopg.connect(server.address.url("orchestra", user="orchestra"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM orchestra.test_run").fetchone() == (0,)
        with connection.transaction():
            connection.execute("SELECT set_config('orchestra.tenant', %s, true)", [tenant])
            found = connection.execute("SELECT DISTINCT tenant_id FROM orchestra.test_run").fetchall()
            assert found == [(tenant,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute("INSERT INTO orchestra.tenant (tenant_id) VALUES (%s)", [f"{tenant}-third"])
        assert connection.execute("SELECT count(*) FROM orchestra.test_run").fetchone() == (0,)


async def test_broken_connection_is_sought_again(server: EmbeddedPostgres, fresh_database: str, stack: AsyncExitStack):
    """A session that the server ended is replaced by another, and no caller notices."""
    store = await opened(stack, PostgresStore(fresh_database))
    suite_run, runs = await begin(store, 20)
    leases = [await store.claim(run.id, "worker-1", TTL_S) for run in runs]
    assert break_connections(server, fresh_database) == 1
    await asyncio.gather(*(store.record_step(lease, make_step("place"), None, {}) for lease in leases))
    assert break_connections(server, fresh_database) == 1
    assert [len(stored.steps) for stored in await store.load(suite_run.id)] == [1] * 20


class DeafProxy:
    """Stands between a store and its server; on demand it lets a request through and cuts the line before the answer.

    The store then cannot know whether its transaction was committed. It was.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.cutting = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._sessions)

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        upstream = asyncio.create_task(self._pump(client, to_server))
        while chunk := await server.read(65536):
            if self.cutting:
                self.cutting -= 1
                self.cuts += 1
                break
            to_client.write(chunk)
            await to_client.drain()
        for writer in (to_client, to_server):
            writer.close()
        await upstream

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65536):
                target.write(chunk)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()


async def test_writes_of_unknown_outcome_are_repeated_without_harm(
    server: EmbeddedPostgres, fresh_database: str, stack: AsyncExitStack
):
    """A line that breaks between commit and answer leads to the same rows as one that does not."""
    proxy = await stack.enter_async_context(DeafProxy(server.address.port))
    url = fresh_database.replace(f":{server.address.port}/", f":{proxy.port}/")
    store = await opened(stack, PostgresStore(url))
    suite_run = make_suite_run()
    run = make_run(suite_run)

    proxy.cutting = 1
    assert (await store.begin_suite_run(suite_run)).id == suite_run.id
    proxy.cutting = 1
    await store.add_runs([run])
    proxy.cutting = 1
    lease = await store.claim(run.id, "worker-1", TTL_S)
    assert lease is not None
    proxy.cutting = 1
    await store.begin_step(lease, StepIntent("place", 0))
    proxy.cutting = 1
    await store.record_step(lease, make_step("place"), StepIntent("pay", 1), {"orderId": 1})
    proxy.cutting = 1
    [held] = await store.heartbeat([lease], TTL_S)
    proxy.cutting = 1
    await store.finish_run(held, RunStatus.PASSED, "done")

    assert proxy.cuts == 7
    [stored] = await store.load(run.id)
    assert (stored.run.status, stored.run.reason, stored.fence) == (RunStatus.PASSED, "done", lease.fence)
    assert [step.alias for step in stored.steps] == ["place"]
    assert await store.suite_context(suite_run.id) == {"orderId": 1}


async def test_server_that_stays_away_is_given_up(tmp_path: Path):
    """After its patience the store says that the connection is lost, to everyone who waits."""
    with EmbeddedPostgres(tmp_path) as own:
        port = own.address.port
        store = PostgresStore(own.conninfo(), patience_s=0.3)
        await store.open()
        _, runs = await begin(store, 3)
        leases = [await store.claim(run.id, "worker-1", TTL_S) for run in runs]
    own.remove()
    outcomes = await asyncio.gather(
        *(store.record_step(lease, make_step("place"), None, {}) for lease in leases), return_exceptions=True
    )
    await store.close()
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 3
    assert str(outcomes[0]) == (
        f"store: connection to '127.0.0.1:{port}' was lost, and not back within '0.3' s\n"
        "hint: see why the server went away; every step that it has is safe: "
        "'pytest --orchestra --orchestra-resume' goes on behind it"
    )


async def test_refused_item_fails_only_its_caller(superuser_url: str, stack: AsyncExitStack):
    """A result that the database cannot take fails for its caller; those of the same batch are written."""
    store = await opened(stack, PostgresStore(superuser_url, f"tenant-{unique()}"))
    suite_run, runs = await begin(store, 3)
    leases = [await store.claim(run.id, "worker-1", TTL_S) for run in runs]
    twice = [make_step("pay", 1), make_step("pay", 2)]
    outcomes = await asyncio.gather(
        store.record_step(leases[0], make_step("place"), None, {}),
        store.finish_run(leases[1], RunStatus.FAILED, None, twice),
        store.record_step(leases[2], make_step("place"), None, {}),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), StoreError, type(None)]
    assert str(outcomes[1]) == (
        f"store: '{store._link._where}' refused a statement: "
        "ON CONFLICT DO UPDATE command cannot affect row a second time"
    )
    assert [len(stored.steps) for stored in await store.load(suite_run.id)] == [1, 0, 1]


async def test_cancelled_call_leaves_the_store_usable(superuser_url: str, stack: AsyncExitStack):
    """Whoever cancels a call, in whatever moment of it, finds the store in order."""
    store = await opened(stack, PostgresStore(superuser_url, f"tenant-{unique()}"))
    suite_run, runs = await begin(store, 20)
    for number, run in enumerate(runs):
        reading = asyncio.create_task(store.load(suite_run.id))
        claiming = asyncio.create_task(store.claim(run.id, "worker-1", TTL_S))
        for _ in range(number + 1):  # one round is what it takes to begin
            await asyncio.sleep(0)
        reading.cancel()
        claiming.cancel()
        await asyncio.gather(reading, claiming, return_exceptions=True)
    assert {stored.owner for stored in await store.load(suite_run.id)} == {"worker-1"}


async def test_close_writes_what_is_pending(superuser_url: str, stack: AsyncExitStack):
    """What was submitted before closing is committed."""
    tenant = f"tenant-{unique()}"
    store = PostgresStore(superuser_url, tenant)
    await store.open()
    suite_run, [run] = await begin(store)
    lease = await store.claim(run.id, "worker-1", TTL_S)
    assert lease is not None
    pending = asyncio.ensure_future(store.record_step(lease, make_step("place"), None, {}))
    await store.close()
    assert pending.done()
    again = await opened(stack, PostgresStore(superuser_url, tenant))
    [stored] = await again.load(suite_run.id)
    assert [step.alias for step in stored.steps] == ["place"]


async def test_record_step_returns_after_its_commit(superuser_url: str, stack: AsyncExitStack):
    """Once the call returns, everybody else sees the result."""
    tenant = f"tenant-{unique()}"
    writer = await opened(stack, PostgresStore(superuser_url, tenant))
    reader = await opened(stack, PostgresStore(superuser_url, tenant))
    suite_run, [run] = await begin(writer)
    lease = await writer.claim(run.id, "worker-1", TTL_S)
    assert lease is not None
    for number in range(5):
        await writer.record_step(lease, make_step(f"step-{number}", number), None, {})
        assert len((await reader.load(suite_run.id))[0].steps) == number + 1


def shown(error: BaseException) -> str:
    """All that a user, a log or a report could see of an error, the variables of the traceback included."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()) + repr(error)


async def test_open_wrong_password_is_explained_without_it(server: EmbeddedPostgres):
    """A refused login names the user and the server, never the password."""
    port = server.address.port
    with pytest.raises(StoreUnavailableError) as caught:
        await PostgresStore(f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres").open()
    assert str(caught.value) == (
        f"store: login of 'postgres' refused by '127.0.0.1:{port}'\n"
        "hint: check the user and the password in --orchestra-store"
    )
    for line in shown(caught.value).splitlines():
        assert "s3cret" not in line


async def test_open_missing_password_is_explained(server: EmbeddedPostgres):
    """A login without a password is refused like one with a wrong one."""
    port = server.address.port
    with pytest.raises(StoreUnavailableError, match=f"^store: login of 'team' refused by '127.0.0.1:{port}'\n"):
        await PostgresStore(f"postgresql://team@127.0.0.1:{port}/postgres?passfile=/dev/null").open()


async def test_open_nothing_listens_is_explained(unused_tcp_port: int):
    """A server that is not there is named."""
    with pytest.raises(StoreUnavailableError) as caught:
        await PostgresStore(f"postgresql://team:{PASSWORD}@127.0.0.1:{unused_tcp_port}/orchestra").open()
    assert str(caught.value) == (
        f"store: nothing listens at '127.0.0.1:{unused_tcp_port}'\n"
        "hint: start the server, or choose --orchestra-store=embedded or --orchestra-store=memory"
    )
    for line in shown(caught.value).splitlines():
        assert "s3cret" not in line


async def test_open_unknown_host_is_explained():
    """A host that no name service knows is named."""
    with pytest.raises(StoreUnavailableError) as caught:
        await PostgresStore(f"postgresql://team:{PASSWORD}@no_such_host.invalid/orchestra").open()
    assert str(caught.value) == (
        "store: host of 'no_such_host.invalid:5432' is unknown\nhint: check the host in --orchestra-store"
    )


async def test_open_unknown_database_is_explained(server: EmbeddedPostgres):
    """A database that does not exist is named by the server's own words."""
    with pytest.raises(StoreUnavailableError) as caught:
        await PostgresStore(server.conninfo("ghost")).open()
    assert str(caught.value) == (
        f"store: connection to '127.0.0.1:{server.address.port}' failed: database \"ghost\" does not exist\n"
        "hint: check the address in --orchestra-store"
    )


async def test_open_malformed_address_is_refused_without_showing_it():
    """An address that cannot be read is not repeated, as nobody knows which part of it is the password."""
    with pytest.raises(SettingsError) as caught:
        await PostgresStore(f"postgresql://team:{PASSWORD}%@[db/orchestra").open()
    assert str(caught.value) == (
        "store: the address of the results store cannot be read\n"
        "hint: write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded"
    )
    assert PASSWORD not in shown(caught.value)


async def test_lease_of_another_tenant_is_refused(superuser_url: str, stack: AsyncExitStack):
    """A lease opens nothing in another tenant."""
    mark = unique()
    ours = await opened(stack, PostgresStore(superuser_url, f"ours-{mark}"))
    theirs = await opened(stack, PostgresStore(superuser_url, f"theirs-{mark}"))
    _, [run] = await begin(ours)
    lease = await ours.claim(run.id, "worker-1", TTL_S)
    assert isinstance(lease, Lease)
    with pytest.raises(StoreError):
        await theirs.record_step(lease, make_step("place"), None, {})
