"""Database steps by SQLAlchemy: SQLite files, and PostgreSQL through drivers that block and that do not."""

from __future__ import annotations

import asyncio
import json
import shlex
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import date, datetime, time, timedelta
from urllib.parse import quote

import pytest
from protocol_calls import make_call

from pytest_orchestra.engine.ports import CallTimeoutError
from pytest_orchestra.errors import (
    LoginRefusedError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)

pytest.importorskip("sqlalchemy", reason="needs 'sqlalchemy'")

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


@pytest.fixture
def shop(tmp_path):
    """Give an SQLite database with a few rows."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            create table orders (id integer, ref text, amount numeric, scan blob);
            insert into orders values (1, 'o-1', 12.5, x'00ff'), (2, 'o-1', 7, null), (3, 'it''s', null, null);
        """)
    return path


def write(path, sql):
    """Do something in the database, as the system under test would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


def query(path, sql, parameters=None, *, driver="sqlite", timeout_s=20.0, **profile):
    """Give a call that reads an SQLite file."""
    return make_call(
        {"dataSource": "shop", "sql": sql, "parameters": parameters or {}},
        {"dbProfiles": {"shop": {"url": f"{driver}:///{path}", **profile}}},
        timeout_s=timeout_s,
    )


def through(warehouse, driver, sql, parameters=None, *, timeout_s=20.0, secrets=None, **profile):
    """Give a call that reads the PostgreSQL server of the tests by SQLAlchemy."""
    url = warehouse.url.replace("postgresql", driver)
    return make_call(
        {"dataSource": "warehouse", "sql": sql, "parameters": parameters or {}},
        warehouse.environment(url=url, **profile),
        timeout_s=timeout_s,
        secrets=secrets or warehouse.secrets,
    )


# ---- SQLite -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
async def test_rows_of_sqlite_come_as_those_of_postgres_do(database, shop, driver):
    """Rules see the same names and the same JSON whatever the database is."""
    reply = await database.execute(
        query(shop, "select * from orders where ref = :ref order by id;", {"ref": "o-1"}, driver=driver), {}
    )
    rows = [{"id": 1, "ref": "o-1", "amount": 12.5, "scan": "AP8="}, {"id": 2, "ref": "o-1", "amount": 7, "scan": None}]
    assert reply.response == {"rows": rows, "row": rows[0], "value": 1, "count": 2}
    assert json.loads(json.dumps(reply.response, allow_nan=False)) == reply.response


@pytest.mark.parametrize(
    ("sql", "parameters", "value"),
    [
        ("select :v", {"v": "'; drop table orders; --"}, "'; drop table orders; --"),
        ("select :v || '?%s:v' || ':v' || \"id\" || `ref` from orders where id = 3", {"v": "?"}, "??%s:v:v3it's"),
        ("select :a - :b - :a", {"a": 1, "b": 2.5}, -2.5),
        ("select count(*) from orders where id in (select value from json_each(:v))", {"v": [1, 3]}, 2),
        ("select json_extract(:v, '$.a[1]')", {"v": {"a": [1, "ü"]}}, "ü"),
        ("select :v is null", {"v": None}, 1),
        ("select :v", {"v": True}, 1),
        ("select :correlationId", {}, "corr-1"),
        ("select id from orders where id = 0", {}, None),
        ("values (date('2026-02-03'))", {}, "2026-02-03"),
        ("select 1e999", {}, "Infinity"),
    ],
)
async def test_parameter_of_sqlite_is_bound_and_never_pasted(database, shop, sql, parameters, value):
    """Whatever a value holds, it is a value; lists and objects are JSON texts."""
    assert (await database.execute(query(shop, sql, parameters), {})).response["value"] == value


async def test_trace_parent_is_bound_as_the_correlation_id_is(database, shop):
    """A system that stores the trace of what it did can be asked by it, on every kind of database."""
    call = query(shop, "select :traceparent")
    object.__setattr__(call, "trace_parent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert (await database.execute(call, {})).response["value"].startswith("00-0af7")
    assert list(database.check(call.step, {})) == []


@pytest.mark.parametrize(
    ("sql", "fact"),
    [
        ("delete from orders", "the SQL begins with 'delete', but a step only reads"),
        ("pragma query_only = off", "the SQL begins with 'pragma', but a step only reads"),
        ("select 1; delete from orders", "the SQL has more than one statement"),
        ("select id into copy from orders", "the SQL has 'into', but a step only reads"),
        ("select 1 /*! into outfile @x */", "the SQL has a comment that MySQL executes: '/*! into outfile @x '"),
    ],
)
async def test_statement_that_does_not_only_read_is_refused(database, shop, sql, fact):
    """A step that is no 'select' is told as such, before anything is sent."""
    with pytest.raises(StepError) as caught:
        await database.execute(query(shop, sql), {})
    assert caught.value.fact == fact
    assert (await database.execute(query(shop, "select count(*) from orders"), {})).response["value"] == 3


async def test_connection_itself_cannot_write(database, shop):
    """What the reading of the text does not see, the connection refuses."""
    reply = await database.execute(query(shop, "select query_only from pragma_query_only"), {})
    assert reply.response["value"] == 1


async def test_polls_of_sqlite_see_what_others_commit_and_keep_nobody_from_it(database, shop):
    """No transaction stays open between two polls: a writer gets its exclusive lock, and the next poll sees its row."""
    call = query(shop, "select count(*) from orders")
    assert (await database.execute(call, {})).response["value"] == 3
    write(shop, "insert into orders (id) values (4)")
    assert (await database.execute(call, {})).response["value"] == 4


async def test_writer_in_the_way_is_no_reply_yet(database, shop):
    """A database that is locked for the moment is looked at again: it is not an error of the step."""
    with closing(sqlite3.connect(shop, isolation_level=None)) as writer:
        writer.execute("begin exclusive")
        with pytest.raises(CallTimeoutError) as caught:
            await database.execute(query(f"{shop}?timeout=0.05", "select 1 from orders"), {})
        writer.execute("rollback")
    assert caught.value.exchange.request["sql"] == "select 1 from orders"
    assert (await database.execute(query(shop, "select count(*) from orders"), {})).response["value"] == 3


async def test_query_beyond_its_time_is_stopped(database, shop):
    """A query that takes for ever raises in time, its thread ends, and the next call works."""
    with pytest.raises(CallTimeoutError) as caught:
        await database.execute(query(shop, ENDLESS, timeout_s=0.2), {})
    assert caught.value.exchange.response is None
    assert (await database.execute(query(shop, "select 1"), {})).response["value"] == 1
    await until_no_thread_calls()


async def test_cancelled_query_is_stopped(database, shop):
    """A cancelled call ends at once, its thread soon after, and the next call works; closing twice does no harm."""
    task = asyncio.create_task(database.execute(query(shop, ENDLESS), {}))
    async with asyncio.timeout(20):
        while not calling_threads():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.close()
    await database.close()
    await until_no_thread_calls()
    assert (await database.execute(query(shop, "select 1"), {})).response["value"] == 1


def calling_threads():
    """Give the threads in which queries run."""
    return [thread for thread in threading.enumerate() if thread.name == "orchestra-call"]


async def until_no_thread_calls():
    """Wait until no query runs any more."""
    async with asyncio.timeout(20):
        while calling_threads():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)


async def test_many_scenarios_share_a_few_connections(database, shop):
    """However many poll at once, each gets its answer."""
    calls = [query(shop, "select :n", {"n": number}) for number in range(40)]
    replies = await asyncio.gather(*(database.execute(call, {}) for call in calls))
    assert [reply.response["value"] for reply in replies] == list(range(40))


async def test_any_number_of_databases_is_read_by_their_names(database, shop, tmp_path):
    """Each alias is a database of its own, of whatever kind."""
    other = tmp_path / "other.db"
    write(other, "create table t as select 'other' as name")
    profiles = {"dbProfiles": {"shop": f"sqlite:///{shop}", "other": f"sqlite:///{other}"}}
    first = make_call({"dataSource": "shop", "sql": "select count(*) from orders"}, profiles)
    second = make_call({"dataSource": "other", "sql": "select name from t"}, profiles)
    assert (await database.execute(first, {})).response["value"] == 3
    assert (await database.execute(second, {})).response["value"] == "other"
    with pytest.raises(UnknownAliasError, match=r"has no database 'othr'\nhint: did you mean 'other'\?"):
        await database.execute(make_call({"dataSource": "othr", "sql": "select 1"}, profiles), {})


async def test_exchange_of_sqlite_describes_the_query_for_people(database, shop):
    """The exchange has the SQL as written, its parameters, what came, and a command for the shell."""
    sql = "select id from orders where ref = :ref and id > :least and :flag"
    reply = await database.execute(query(shop, sql, {"ref": "it's", "least": -1, "flag": True}), {})
    assert reply.exchange.request == {
        "database": f"sqlite:///{shop}",
        "sql": sql,
        "parameters": {"ref": "it's", "least": -1, "flag": True},
    }
    assert reply.exchange.response == {"count": 1, "rows": [{"id": 3}]}
    assert shlex.split(reply.exchange.reproduce) == [
        "sqlite3",
        "-readonly",
        str(shop),
        "select id from orders where ref = 'it''s' and id > (-1) and 1",
    ]


async def test_faults_of_sqlite_say_what_is_wrong_and_where(database, shop, tmp_path):
    """A file that is not there is not made; one that is no database, and SQL that is refused, are told in words."""
    absent = tmp_path / "absent.db"
    with pytest.raises(UnreachableError) as unreachable:
        await database.execute(query(absent, "select 1"), {})
    assert str(unreachable.value) == (
        f"database 'shop' at 'sqlite:///{absent}': there is no such file\nhint: correct 'shop' in environment 'local'"
    )
    assert not absent.exists()
    rubbish = tmp_path / "rubbish.db"
    rubbish.write_text("this is no database, whatever its name" * 99)
    with pytest.raises(UnreachableError, match="its file is no SQLite database"):
        await database.execute(query(rubbish, "select * from orders"), {})
    with pytest.raises(StepError) as refused:
        await database.execute(query(shop, "select amout from orders"), {})
    assert str(refused.value) == (
        "database 'shop' refuses the SQL: no such column: amout\nhint: correct 'sql' or 'parameters' of the step"
    )
    with pytest.raises(StepError, match="refuses the SQL: Python int too large"):
        await database.execute(query(shop, "select :n", {"n": 2**70}), {})
    with pytest.raises(StepError, match="gives two columns named 'id'"):
        await database.execute(query(shop, "select id, id from orders"), {})


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (
            {"url": "mysql+nosuch://me:s3cret@host/shop"},
            (
                "database 'shop' has URL 'mysql+nosuch://host/shop', whose dialect SQLAlchemy does not know\n"
                "hint: write it as 'dialect+driver://host:port/name'"
            ),
        ),
        (
            {"url": "mysql://me:s3cret@host:port/shop"},
            (
                "database 'shop' has URL 'mysql://host:port/shop', which is no address of a database\n"
                "hint: write it as 'dialect+driver://host:port/name'"
            ),
        ),
        (
            {"url": "mysql+oursql://me:s3cret@host/shop"},
            None,
        ),
        (
            {"url": "sqlite:///shop.db", "defaultSchema": "main"},
            (
                "database 'shop' has a 'defaultSchema', which 'sqlite' does not have\n"
                "hint: take it away, and name the schema in the SQL"
            ),
        ),
    ],
)
async def test_profile_that_no_driver_can_use_is_an_error_of_the_environment(database, profile, text):
    """Unknown dialects, drivers that are not installed and unreadable URLs are told without their password."""
    call = make_call({"dataSource": "shop", "sql": "select 1"}, {"dbProfiles": {"shop": profile}})
    with pytest.raises(UnusableEnvironmentError) as caught:
        await database.execute(call, {})
    assert "s3cret" not in str(caught.value)
    assert text is None or str(caught.value) == text


def test_without_sqlalchemy_the_extra_is_named():
    """Who has not installed the extra learns its name; PostgreSQL's URLs do not need it."""
    program = """
import asyncio, sys
sys.modules["sqlalchemy"] = None
from protocol_calls import make_call
from pytest_orchestra.protocols.database import DatabaseProtocol
call = make_call({"dataSource": "shop", "sql": "select 1"}, {"dbProfiles": {"shop": "sqlite:///shop.db"}})
try:
    asyncio.run(DatabaseProtocol().execute(call, {}))
except Exception as error:
    print(type(error).__name__, error, sep=": ")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=__file__.rpartition("/")[0], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "StepError: database 'shop' is read by SQLAlchemy, which is not installed\n"
        "hint: pip install 'pytest-orchestra[sqlalchemy]'\n"
    )


# ---- PostgreSQL through SQLAlchemy --------------------------------------------------------------------------------

DRIVERS = pytest.mark.parametrize("driver", ["postgresql+psycopg", "postgresql+psycopg_async"])


@DRIVERS
async def test_second_way_to_postgres_gives_the_same_values(database, warehouse, driver):
    """What the native way gives, SQLAlchemy's gives, by a driver that blocks and by one that does not."""
    sql = """
        select :orderId::text as "id%", 12.50::numeric as amount, 'a:b' as text, interval '2 days 3:04:05' as pause,
               timestamptz '2026-02-03 04:05:06.5+00' as at, date '2026-02-03' as day, '\\x00ff'::bytea as bytes,
               '{"a": [1, 2.5]}'::jsonb as json, '7d444840-9dc0-11d1-b245-5ffdce74fad2'::uuid as uuid,
               array[1, 2] as list
    """
    native = warehouse.environment()
    call = make_call(
        {"dataSource": "warehouse", "sql": sql, "parameters": {"orderId": "50%"}}, native, secrets=warehouse.secrets
    )
    expected = (await database.execute(call, {})).response
    reply = await database.execute(through(warehouse, driver, sql, {"orderId": "50%"}), {})
    assert reply.response == expected
    assert reply.exchange.reproduce.startswith(f"psql 'host=127.0.0.1 port={warehouse.port} dbname=shop' --username ")


@DRIVERS
async def test_second_way_to_postgres_reads_only_and_knows_the_schema(database, warehouse, driver):
    """The session cannot write, begins in the profile's schema, and leaves no transaction open."""
    warehouse.run("create sequence if not exists counted")
    warehouse.run("grant all on sequence counted to clerk")
    reply = await database.execute(through(warehouse, driver, "table reservation", defaultSchema="Main shop"), {})
    assert reply.response["rows"] == [{"id": 99}]
    with pytest.raises(StepError, match="read-only transaction"):
        await database.execute(through(warehouse, driver, "select nextval('counted')"), {})
    with pytest.raises(StepError, match='refuses the SQL: column "amout" does not exist'):
        await database.execute(through(warehouse, driver, "select amout from reservation"), {})
    idle = "select count(*) from pg_stat_activity where state like 'idle in%'"
    assert (await database.execute(through(warehouse, driver, idle), {})).response["value"] == 0


@DRIVERS
async def test_second_way_to_postgres_ends_what_takes_too_long(database, warehouse, driver):
    """A query beyond its time raises in time and is ended in the server; the next call works."""
    with pytest.raises(CallTimeoutError):
        await database.execute(through(warehouse, driver, f"select pg_sleep(60), '{driver}-1'", timeout_s=0.3), {})
    active = f"""
        select count(*) from pg_stat_activity
        where query like '%{driver}-1%' and state = 'active' and pid <> pg_backend_pid()
    """
    async with asyncio.timeout(20):
        while (await database.execute(through(warehouse, driver, active), {})).response["value"]:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.02)


@DRIVERS
async def test_second_way_to_postgres_tells_whose_fault_it_is(database, warehouse, driver):
    """Refused logins, absent servers, and connections that are lost are told apart, without any password."""
    wrong = {"env:DB_USER": "clerk", "env:DB_PASSWORD": "wr0ng pass"}
    with pytest.raises(LoginRefusedError) as refused:
        await database.execute(through(warehouse, driver, "select 1", secrets=wrong), {})
    assert str(refused.value) == (
        f"database 'warehouse' at 'postgresql://127.0.0.1:{warehouse.port}/shop': login of 'clerk' refused\n"
        "hint: check 'usernameRef' and 'passwordRef' of 'warehouse' in environment 'local'"
    )
    away = make_call({"dataSource": "w", "sql": "select 1"}, {"dbProfiles": {"w": f"{driver}://127.0.0.1:9/shop"}})
    with pytest.raises(UnreachableError) as unreachable:
        await database.execute(away, {})
    assert str(unreachable.value) == (
        "database 'w' at 'postgresql://127.0.0.1:9/shop': connection refused\n"
        "hint: start the database, or correct 'w' in environment 'local'"
    )
    with pytest.raises(UnreachableError, match="the connection was lost\nhint: see whether the server is up"):
        await database.execute(through(warehouse, driver, "select pg_terminate_backend(pg_backend_pid())"), {})
    inside = warehouse.url.replace("postgresql://", f"{driver}://clerk:{quote(warehouse.password)}@")
    call = make_call({"dataSource": "w", "sql": "select 1"}, {"dbProfiles": {"w": inside}})
    reply = await database.execute(call, {})
    assert reply.response["value"] == 1
    assert "lerk" + " pass" not in str(reply)


# ---- what drivers are given and give ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "text", "values"),
    [
        ("qmark", "select ?, ?, '%' || ? || ':b'", ("x", "[1]", "x")),
        ("format", "select %s, %s, '%%' || %s || ':b'", ("x", "[1]", "x")),
        ("pyformat", "select %(p1)s, %(p2)s, '%%' || %(p1)s || ':b'", {"p1": "x", "p2": "[1]"}),
        ("named", "select :p1, :p2, '%' || :p1 || ':b'", {"p1": "x", "p2": "[1]"}),
        ("numeric", "select :1, :2, '%' || :1 || ':b'", ("x", "[1]")),
        ("numeric_dollar", "select $1, $2, '%' || $1 || ':b'", ("x", "[1]")),
    ],
)
def test_statement_is_written_as_each_driver_takes_it(style, text, values):
    """Every parameter style of PEP 249 binds the same values; what only looks like a parameter stays as it is."""
    from pytest_orchestra.protocols.db_engine import bound_statement  # noqa: PLC0415  an extra
    from pytest_orchestra.protocols.statement import read_statement  # noqa: PLC0415

    statement = read_statement("select :a, :b, '%' || :a || ':b'")
    assert bound_statement(statement, {"a": "x", "b": [1]}, style) == (text, values)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (timedelta(days=2, hours=3, seconds=5.5), "P2DT3H5.5S"),
        (-timedelta(minutes=1), "PT-1M"),
        (timedelta(), "PT0S"),
        (timedelta(days=-1), "P-1D"),
        (datetime(2026, 2, 3, 4, 5, 6, 789000), "2026-02-03T04:05:06.789"),  # noqa: DTZ001  as databases give it
        (date(2026, 2, 3), "2026-02-03"),
        (time(4, 5), "04:05:00"),
        (memoryview(b"\x00\xff"), "AP8="),
        (bytearray(b"\x00\xff"), "AP8="),
    ],
)
def test_values_of_drivers_are_written_as_postgres_writes_them(value, written):
    """A moment or a duration reads the same whatever driver gave it."""
    from pytest_orchestra.protocols.sql_values import read_rows  # noqa: PLC0415

    assert read_rows(["v"], [[value]]) == [{"v": written}]
