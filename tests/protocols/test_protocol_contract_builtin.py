"""The contract of all protocols, held by HTTP and by databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

import pytest
from protocol_calls import ORDERS
from protocol_peers import http_reply

from pytest_orchestra.engine.ports import ProtocolViolation
from pytest_orchestra.errors import UnreachableError
from pytest_orchestra.protocol_contract import ProtocolContract
from pytest_orchestra.protocols.database import DatabaseProtocol
from pytest_orchestra.protocols.http import HttpProtocol


class TestHttpContract(ProtocolContract):
    """HTTP against a server that records what arrives."""

    def make_protocol(self):
        return HttpProtocol()

    @pytest.fixture
    def specs(self):
        return {"orders": ORDERS}

    @pytest.fixture
    async def call(self, peers):
        body = b'{"id": "o-1", "total": 1, "pin": "x"}'
        self.server = await peers.http(http_reply("202 Accepted", body, content_type="application/json"))
        return self.make_call(
            {
                "endpointRef": "orders.placeOrder",
                "inputTemplate": {"body": {"id": "o-1", "total": 1, "pin": "x"}},
                "checkContract": False,
            },
            {"services": {"orders": {"baseUrl": self.server.url, "headerRefs": {"X-Key": "env:KEY"}}}},
            secrets={"env:KEY": "s3cret-key"},
        )

    def arrived(self, reply):  # noqa: ARG002  what the server recorded counts
        return str(self.server.arrived[-1].headers)


class TestPostgresContract(ProtocolContract):
    """PostgreSQL by its own driver: what answers rubbish or hangs up there is no database."""

    scheme = "postgresql"
    rubbish_raises = (UnreachableError,)
    hang_up_raises = (UnreachableError,)

    def make_protocol(self):
        return DatabaseProtocol()

    @pytest.fixture
    def call(self, warehouse):
        environment = warehouse.environment(url=warehouse.url.replace("postgresql", self.scheme))
        step = {"dataSource": "warehouse", "sql": "select :correlationId::text as id"}
        return self.make_call(step, environment, secrets=warehouse.secrets)


class TestAlchemyContract(TestPostgresContract):
    """PostgreSQL by SQLAlchemy and a driver that blocks."""

    scheme = "postgresql+psycopg"


class TestAsyncAlchemyContract(TestPostgresContract):
    """PostgreSQL by SQLAlchemy and a driver that does not block."""

    scheme = "postgresql+psycopg_async"


ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


class TestSqliteContract(ProtocolContract):
    """SQLite, where files take the place of peers."""

    rubbish_raises = (UnreachableError,)

    def make_protocol(self):
        return DatabaseProtocol()

    @pytest.fixture
    def call(self, tmp_path):
        self.folder = tmp_path
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            connection.execute("create table orders (id)")
        return self.reading("shop.db", "select :correlationId from (select count(*) from orders)")

    def reading(self, name, sql):
        profile = {"url": f"sqlite:///{self.folder / name}"}
        return self.make_call({"dataSource": "shop", "sql": sql}, {"dbProfiles": {"shop": profile}})

    @contextmanager
    def away(self, call):
        yield self.reading("absent.db", call.step.sql)

    @contextmanager
    def silent(self, call):  # noqa: ARG002  it is the SQL that takes for ever
        yield self.reading("shop.db", ENDLESS)

    @contextmanager
    def rubbish(self, call):
        (self.folder / "rubbish.db").write_text("no database" * 999)
        yield self.reading("rubbish.db", call.step.sql)

    @contextmanager
    def hang_up(self, call):
        pytest.skip("a file does not hang up")
        yield call


# ---- the suite itself -----------------------------------------------------------------------------------------------

FAULTY = """
import asyncio
import pytest
from pytest_orchestra.protocol_contract import ProtocolContract
from pytest_orchestra.spi import Exchange, Reply, StepProtocol, find_connection

LEAKED = set()

class Careless(StepProtocol):
    channel_type = "CARELESS"

    async def execute(self, call, specs):
        connection = find_connection(call, "peer")
        LEAKED.add(asyncio.create_task(asyncio.sleep(3600)))
        host, _, port = connection.url.rpartition("//")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        password = connection.secrets["password"].reveal()
        writer.write(password.encode() + b"\\n")
        said = (await reader.readline()).decode()
        writer.close()
        return Reply({"said": said, "odd": float("nan")}, Exchange({"password": password}))

class TestCareless(ProtocolContract):
    patience_s = 0.4

    def make_protocol(self):
        return Careless()

    @pytest.fixture
    async def call(self):
        async def serve(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        environment = {"connections": {"peer": {"url": url, "secretRefs": {"password": "env:P"}}}}
        yield self.make_call({"channelType": "CARELESS"}, environment, secrets={"env:P": "hush-hush"})
        server.close()

class TestNothing(ProtocolContract):
    pass
"""


def test_contract_suite_finds_what_a_careless_protocol_does_wrong(pytester):
    """Every promise that is broken turns a test of its own red; a subclass that says nothing is told what to say."""
    pytester.makepyfile(test_careless=FAULTY)
    result = pytester.runpytest_subprocess(
        *("-q", "-p", "asyncio", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-W", "ignore", "-rfE")
    )
    lines = [line for line in result.outlines if line.startswith(("FAILED", "ERROR"))]
    careless = {line.split("::")[2].partition(" ")[0] for line in lines if "TestCareless" in line}
    assert careless == {
        "test_call_that_works_gives_a_reply_of_json",
        "test_correlation_id_travels",
        "test_many_calls_at_once_are_all_answered",
        "test_peer_that_is_away_is_unreachable",
        "test_peer_that_never_answers_costs_the_time_and_no_more",
        "test_connection_that_falls_silent_costs_the_time_and_no_more",
        "test_peer_that_answers_rubbish_breaks_the_protocol",
        "test_peer_that_hangs_up_breaks_the_protocol",
        "test_cancelled_call_ends_and_leaves_nothing_behind",
        "test_secrets_are_never_shown",
        "test_close_may_be_repeated_and_a_later_call_works",
    }
    text = result.stdout.str()
    assert "the secret 'env:P' is shown: Exchange" in text
    assert "tasks are left behind" in text
    assert "'TestNothing' must say what a call that works is:" in text
    assert "def call(self): ..." in text


def test_violation_is_no_error_of_ours():
    """A broken protocol is told apart from a broken environment by its class."""
    assert not issubclass(ProtocolViolation, UnreachableError)
