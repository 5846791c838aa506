"""One real server for all tests of the store, and every store behind one harness."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from server_processes import UserProcess
from store_samples import (
    Harness,
    MovedClock,
    expire_lease,
    has_stopped,
    opened,
    silence_suite_run,
    unique,
    wait_until,
)

from pytest_orchestra.engine.ports import RunStore
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.embedded_store import EmbeddedStore
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.store.migration import migrate
from pytest_orchestra.store.place import choose_place
from pytest_orchestra.store.postgres import PostgresStore


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def server(store_folder: Path) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(store_folder)
    with postgres:
        yield postgres
    postgres.remove()


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder whose server is down between the tests."""
    folder = tmp_path_factory.mktemp("own")
    yield folder
    EmbeddedPostgres(folder).remove()


@pytest.fixture
def own_place(own_folder: Path) -> Iterator[Path]:
    place = choose_place(own_folder).folder
    yield place
    wait_until(lambda: has_stopped(place), "the server has stopped after the test")


@pytest.fixture
def another_user(own_folder: Path) -> Iterator[Callable[[], UserProcess]]:
    started: list[UserProcess] = []

    def start() -> UserProcess:
        started.append(UserProcess(own_folder))
        return started[-1]

    yield start
    for user in started:
        user.kill()


@pytest.fixture
def fresh_database(server: EmbeddedPostgres) -> str:
    """Give the URL of a new, empty database."""
    name = f"fresh_{uuid.uuid4().hex}"
    server.create_database(name)
    return server.conninfo(name)


@pytest.fixture(scope="session")
def shared_url(server: EmbeddedPostgres) -> str:
    """Give the URL of a database that stands for a team's server: another one, with another owner, never migrated."""
    server.create_role("team")
    server.create_database("shared", owner="team")
    return server.address.url("shared", user="team")


@pytest.fixture
async def superuser_url(server: EmbeddedPostgres) -> str:
    """Give the URL of a migrated database for a login that row-level security does not bind."""
    server.create_database("unbound")
    url = server.conninfo("unbound")
    await migrate(url)
    return url


@pytest.fixture(params=["memory", "embedded", "shared"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    async with AsyncExitStack() as stack:
        kind: str = request.param
        if kind == "memory":
            yield _memory_harness(stack)
        elif kind == "embedded":
            server: EmbeddedPostgres = request.getfixturevalue("server")
            folder: Path = request.getfixturevalue("store_folder")
            yield _postgres_harness(
                stack, kind, lambda tenant: EmbeddedStore(folder, tenant), server.conninfo("orchestra")
            )
        else:
            server = request.getfixturevalue("server")
            url: str = request.getfixturevalue("shared_url")
            yield _postgres_harness(stack, kind, lambda tenant: PostgresStore(url, tenant), server.conninfo("shared"))


def _memory_harness(stack: AsyncExitStack) -> Harness:
    clock = MovedClock()

    async def open_store(tenant: str) -> RunStore:
        return await opened(stack, MemoryStore(tenant, clock=clock))

    def expire(_id: str) -> None:
        clock.offset += timedelta(days=1)

    return Harness("memory", open_store, expire, expire)


def _postgres_harness(
    stack: AsyncExitStack, kind: str, make: Callable[[str], RunStore], superuser_conninfo: str
) -> Harness:
    async def open_store(tenant: str) -> RunStore:
        return await opened(stack, make(tenant))

    def expire(run_id: str) -> None:
        expire_lease(superuser_conninfo, run_id)

    def silence(suite_run_id: str) -> None:
        silence_suite_run(superuser_conninfo, suite_run_id)

    return Harness(kind, open_store, expire, silence)


@pytest.fixture
async def store(harness: Harness) -> RunStore:
    """Give an open store of a tenant that no other test uses."""
    return await harness.open(f"tenant-{unique()}")
