"""Database steps with a MariaDB server, which speaks as MySQL does, by drivers that block and that do not."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from protocol_calls import make_call

from pytest_orchestra.engine.ports import CallTimeoutError
from pytest_orchestra.errors import LoginRefusedError, StepError, UnreachableError

pytest.importorskip("sqlalchemy", reason="needs 'sqlalchemy' to read mariadb")
pymysql = pytest.importorskip("pymysql", reason="needs 'pymysql' to read mariadb")

GENEROUS_S = 60.0
SCHEMA = """
create database shop;
create database vault;
create user clerk@'%' identified by 'cl3rk-pass';
grant all on shop.* to clerk@'%';
use shop;
create table sale (
  id int primary key, request_id varchar(60), note varchar(30), total decimal(10,2), at datetime(3), day date,
  scan blob, kind enum('A','B'), number bigint unsigned, extra json
);
insert into sale values
  (1, 'corr-1', 'it''s 5% \\\\ \u00fc', 12.50, '2026-01-02 03:04:05.678', '2026-01-02', x'00ff', 'A',
   18446744073709551615, '{"a": [1, 2]}'),
  (2, 'corr-2', null, 7, null, null, null, null, null, null);
"""


@dataclass(frozen=True)
class MariaDb:
    """A server that listens, with two databases, of which ``clerk`` may use ``shop``."""

    port: int
    path: str

    def run(self, *statements: str) -> list[tuple[object, ...]]:
        """Do something as its owner."""
        connection = pymysql.connect(unix_socket=self.path, user="root", autocommit=True, charset="utf8mb4")
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    """Run a server with a folder of its own."""
    server = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("needs 'mariadb' (mariadbd and mariadb-install-db)")
    with tempfile.TemporaryDirectory(prefix="mariadb-") as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        common = ["--no-defaults", f"--datadir={folder / 'data'}"]
        if os.geteuid() == 0:
            common.append("--user=root")
        make = [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        subprocess.run(make, check=True, capture_output=True, timeout=120)
        command = [server, *common, f"--socket={folder / 'sock'}", f"--port={port}", "--bind-address=127.0.0.1"]
        command += [f"--pid-file={folder / 'pid'}", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            running = MariaDb(port, str(folder / "sock"))
            until = time.monotonic() + GENEROUS_S
            while not listens(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.05)
            running.run(*filter(None, (part.strip() for part in SCHEMA.split(";\n"))))
            yield running
        finally:
            process.kill()
            process.wait()


def query(mariadb, driver, sql, parameters=None, *, database="shop", password="cl3rk-pass", timeout_s=20.0, **profile):
    url = f"{driver}://127.0.0.1:{mariadb.port}/{database}"
    return make_call(
        {"dataSource": "shop", "sql": sql, "parameters": parameters or {}},
        {"dbProfiles": {"shop": {"url": url, "usernameRef": "env:USER", "passwordRef": "env:PASSWORD", **profile}}},
        secrets={"env:USER": "clerk", "env:PASSWORD": password},
        timeout_s=timeout_s,
    )


@pytest.fixture(params=["mysql+pymysql", "mysql+aiomysql"])
def driver(request):
    """Give a driver that blocks, and one that does not."""
    pytest.importorskip(request.param.rpartition("+")[2], reason="needs the driver to read mariadb")
    return request.param


async def test_rows_of_mariadb_become_json(database, mariadb, driver):
    """Numbers, moments, bytes and texts as from other databases; a JSON column is a text there."""
    sql = "select * from sale where request_id = :correlationId and note like '%5\\%%' and note <> :note order by id"
    reply = await database.execute(query(mariadb, driver, sql, {"note": "x%s"}), {})
    assert reply.response["row"] == {
        "id": 1,
        "request_id": "corr-1",
        "note": "it's 5% \\ ü",
        "total": 12.5,
        "at": "2026-01-02T03:04:05.678",
        "day": "2026-01-02",
        "scan": "AP8=",
        "kind": "A",
        "number": 18446744073709551615,
        "extra": '{"a": [1, 2]}',
    }
    assert (reply.response["count"], reply.response["value"]) == (1, 1)
    ids = "select id from sale where json_contains(:ids, id) order by id"
    reply = await database.execute(query(mariadb, driver, ids, {"ids": [2, 3]}), {})
    assert reply.response["rows"] == [{"id": 2}]


async def test_each_look_at_mariadb_sees_what_is_there_then_and_locks_nothing(database, mariadb, driver):
    """The default isolation repeats what a transaction has read once; looks are transactions of their own."""
    count = query(mariadb, driver, "select count(*) from sale where id = 50")
    assert (await database.execute(count, {})).response["value"] == 0
    mariadb.run("insert into shop.sale (id) values (50)")
    assert (await database.execute(count, {})).response["value"] == 1
    open_transactions = "select count(*) from information_schema.innodb_trx"
    assert mariadb.run(open_transactions) == [(0,)]
    mariadb.run("delete from shop.sale where id = 50")


async def test_mariadb_is_only_read(database, mariadb, driver):
    """What gets past the look at the SQL is refused by the session."""
    with pytest.raises(StepError) as caught:
        await database.execute(query(mariadb, driver, "select * from sale for update"), {})
    assert caught.value.fact == ("database 'shop' refuses the SQL: Cannot execute statement in a READ ONLY transaction")


async def test_mariadb_ends_what_takes_too_long(database, mariadb, driver):
    """Its drivers cannot stop a statement, so that another connection has the server do it."""
    with pytest.raises(CallTimeoutError):
        await database.execute(query(mariadb, driver, f"select sleep(300), '{driver}'", timeout_s=0.3), {})
    running = f"select count(*) from information_schema.processlist where info like 'select sleep%{driver}%'"
    async with asyncio.timeout(GENEROUS_S):
        while mariadb.run(running) != [(0,)]:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.02)
    assert (await database.execute(query(mariadb, driver, "select 1"), {})).response["value"] == 1


@pytest.mark.parametrize(
    ("wrong", "kind", "fact", "hint"),
    [
        (
            {"password": "wr0ng-pass"},
            LoginRefusedError,
            "login of 'clerk' refused",
            "check 'usernameRef' and 'passwordRef' of 'shop' in environment 'local'",
        ),
        (
            {"database": "vault"},
            LoginRefusedError,
            "'clerk' may not use that database",
            "grant it to that user, or correct the name in environment 'local'",
        ),
        (
            {"url": "{driver}://127.0.0.1:9/shop"},
            UnreachableError,
            "connection refused",
            "start the database, or correct 'shop' in environment 'local'",
        ),
    ],
    ids=["password", "database", "away"],
)
async def test_mariadb_tells_whose_fault_it_is(database, mariadb, driver, wrong, kind, fact, hint):
    """Passwords, rights and absent servers are told apart, and no password is shown."""
    wrong = {name: value.format(driver=driver) for name, value in wrong.items()}
    with pytest.raises(kind) as caught:
        await database.execute(query(mariadb, driver, "select 1", **wrong), {})
    assert caught.value.fact.endswith(f"/{wrong.get('database', 'shop')}': {fact}")
    assert caught.value.hint == hint
    assert "-pass" not in str(caught.value)


async def test_default_schema_of_mariadb_is_used(database, mariadb, driver):
    """A session may begin in a database that the URL does not name."""
    reply = await database.execute(
        query(mariadb, driver, "select count(*) from sale", database="", defaultSchema="shop"), {}
    )
    assert reply.response["value"] == 2


async def test_hundred_readers_of_one_table_of_mariadb_see_their_own_rows(database, mariadb, driver):
    """The correlation id is a bound parameter, and other runs' rows are noise."""
    mariadb.run("create or replace table shop.effect (request_id varchar(60), amount int)")
    rows = ", ".join(f"('corr-{number}', {number})" for number in range(100))
    mariadb.run(f"insert into shop.effect values {rows}, ('corr-none', -1)")
    base = query(mariadb, driver, "select amount from effect where request_id = :correlationId", timeout_s=GENEROUS_S)

    async def see(number):
        call = replace(base, correlation_id=f"corr-{number}", parameters={"correlationId": f"corr-{number}"})
        return (await database.execute(call, {})).response["rows"]

    seen = await asyncio.gather(*map(see, range(100)))
    assert seen == [[{"amount": number}] for number in range(100)]
