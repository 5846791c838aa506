"""A few connections to a database that SQLAlchemy knows, for reading only; drivers that block run in threads."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool, StaticPool

from pytest_orchestra.data.redaction import mask_url
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.db_pool import ConnectError, Rows
from pytest_orchestra.protocols.sql_values import plain_value
from pytest_orchestra.protocols.statement import Statement
from pytest_orchestra.protocols.timed_task import TimedTasks
from pytest_orchestra.protocols.worker_thread import run_in_thread

__all__ = ["AlchemyLogin", "AlchemyPool", "SchemaUnknownError", "bound_statement"]

_CONNECTIONS: Final = 4
_GRACE_S: Final = 0.5
_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 60.0
_READ_ONLY: Final = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
}
"""What makes a session read only, by dialect."""
_READ_ONLY_TRANSACTION: Final = {"oracle": "SET TRANSACTION READ ONLY"}
"""What makes a transaction read only where a session cannot be."""
_KILL: Final = "KILL QUERY {}"
_SCHEMA: Final = {
    "mysql": "USE {}",
    "mariadb": "USE {}",
    "postgresql": "SET search_path TO {}",
    "oracle": "ALTER SESSION SET CURRENT_SCHEMA = {}",
}
_THREADED: Final = {"sqlite+aiosqlite": "sqlite+pysqlite"}
"""Drivers that are threads of their own around one that blocks, which can be stopped in ours."""


class SchemaUnknownError(Exception):
    """The dialect has no schema that a session could begin in."""


@dataclass(frozen=True, slots=True)
class AlchemyLogin:
    """Where a database is and who logs in. ``url`` holds no password, and no user where that is given by reference."""

    url: URL
    user: Secret | None = None
    password: Secret | None = field(default=None, repr=False)
    schema: str | None = None

    @classmethod
    def of(cls, url: str, user: Secret | None, password: Secret | None, schema: str | None) -> AlchemyLogin:
        """Read a URL. Raises ``sqlalchemy.exc.ArgumentError`` where it is none."""
        read = make_url(url)
        if read.password is not None and password is None:
            password = Secret(str(read.password))
        name = None if user is not None else read.username
        driver = _THREADED.get(read.drivername, read.drivername)
        return cls(
            URL.create(driver, name, None, read.host, read.port, read.database, read.query), user, password, schema
        )

    @property
    def address(self) -> str:
        """``dialect://host:port/name``, for messages."""
        bare = URL.create(self.url.get_backend_name(), None, None, self.url.host, self.url.port, self.url.database)
        return mask_url(bare.render_as_string())

    @property
    def user_name(self) -> str | None:
        """Who logs in, if the profile or the URL says so."""
        return self.user.reveal() if self.user is not None else self.url.username

    @property
    def full_url(self) -> URL:
        """The URL for the driver, credentials and all."""
        password = None if self.password is None else self.password.reveal()
        url = self.url
        return URL.create(url.drivername, self.user_name, password, url.host, url.port, url.database, url.query)

    @property
    def missing_file(self) -> str | None:
        """The file of an SQLite database that is not there: opening it would make an empty one."""
        name = self.url.database
        is_file = (
            self.url.get_backend_name() == "sqlite" and name and name != ":memory:" and not name.startswith("file:")
        )
        return name if is_file and not Path(str(name)).is_file() else None


class _Call:
    """A query that a thread carries out and that can be given up from outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a connection that is back in the pool must not be stopped
        self._stop: Callable[[], object] | None = None
        self._is_given_up = False
        self.is_over = threading.Event()

    def begin(self, stop: Callable[[], object] | None) -> bool:
        """Take what stops the statement, if anything does; False if nobody waits any more."""
        with self._lock:
            self._stop = stop
            return not self._is_given_up

    def end(self) -> bool:
        """Let go of the connection; False if it was given up, and its state is nobody's."""
        with self._lock:
            self._stop = None
            return not self._is_given_up

    def give_up(self) -> None:
        """Have the driver stop the statement, if it can; a thread asks for it until it is over."""
        with self._lock:
            self._is_given_up = True
        threading.Thread(target=self._stop_it, name="orchestra-stop", daemon=True).start()

    def _stop_it(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self.is_over.is_set() and pause_s < _LAST_PAUSE_S:
            with self._lock, contextlib.suppress(Exception):  # what a driver says of it helps nobody
                if self._stop is not None:
                    self._stop()
            self.is_over.wait(pause_s)
            pause_s *= 2


class AlchemyPool:
    """At most four connections, opened when needed and kept. Every statement is a transaction that is rolled back."""

    def __init__(self, login: AlchemyLogin) -> None:
        """Raise ``sqlalchemy.exc.NoSuchModuleError``, ``ImportError`` for a driver, ``SchemaUnknownError``."""
        self._login = login
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._tasks = TimedTasks[Rows]()
        self._calls: set[_Call] = set()
        self._async_engine: AsyncEngine | None = None
        url = login.full_url
        dialect = url.get_dialect()
        if login.schema is not None and dialect.name not in _SCHEMA:
            raise SchemaUnknownError(dialect.name)
        is_memory = dialect.name == "sqlite" and url.database in (None, "", ":memory:")
        options: dict[str, Any] = {"hide_parameters": True}
        if is_memory:
            options |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        else:
            pool = AsyncAdaptedQueuePool if dialect.is_async else QueuePool
            options |= {"poolclass": pool, "pool_size": _CONNECTIONS, "max_overflow": -1, "pool_pre_ping": True}
        if dialect.is_async:
            self._async_engine = create_async_engine(url, **options)
            self._engine = self._async_engine.sync_engine
        else:
            self._engine = sqlalchemy.create_engine(url, **options)
        sqlalchemy.event.listen(self._engine, "connect", self._begin_session)

    async def query(self, statement: Statement, values: JsonObject, timeout_s: float) -> Rows:
        """Run one statement; waiting for a free connection is not part of the time.

        Raises ``TimeoutError``, ``ConnectError`` and whatever the driver raises about the statement.
        """
        text, bound = bound_statement(statement, values, self._engine.dialect.paramstyle)
        async with self._slots:
            query = self._query if self._async_engine is None else self._query_async
            return await self._tasks.run(query(text, bound), timeout_s)

    async def close(self) -> None:
        """Close every connection; statements that are being ended get half a second for it."""
        await self._tasks.close()
        calls = tuple(self._calls)
        if calls:
            await run_in_thread(lambda: [call.is_over.wait(_GRACE_S) for call in calls])
        if self._async_engine is not None:
            await self._async_engine.dispose()
        else:
            await run_in_thread(self._engine.dispose)

    async def _query_async(self, text: str, bound: Any) -> Rows:
        assert self._async_engine is not None
        try:
            connection = await self._async_engine.connect()
        except Exception as error:
            raise ConnectError from error
        number = _session_number(connection.sync_connection)
        try:
            return await connection.run_sync(self._read_on, text, bound)
        except asyncio.CancelledError:
            if number is not None:
                async with self._async_engine.connect() as other:
                    await other.exec_driver_sql(_KILL.format(number))
            raise
        finally:
            await connection.close()

    async def _query(self, text: str, bound: Any) -> Rows:
        call = _Call()
        self._calls.add(call)
        try:
            return await run_in_thread(lambda: self._read(text, bound, call))
        except asyncio.CancelledError:
            call.give_up()
            raise

    def _read(self, text: str, bound: Any, call: _Call) -> Rows:
        """Do it, in a thread. What nobody waits for any more gives no rows."""
        try:
            try:
                connection = self._engine.connect()
            except Exception as error:
                raise ConnectError from error
            rows = Rows((), ())
            try:
                if call.begin(self._stopper(connection)):
                    rows = self._read_on(connection, text, bound)
            finally:
                if not call.end():
                    connection.invalidate()
                connection.close()
        finally:
            call.is_over.set()
            self._calls.discard(call)
        return rows

    def _stopper(self, connection: sqlalchemy.Connection) -> Callable[[], object] | None:
        """Give what has the database end the statement of a connection: its driver, else another connection."""
        driver = connection.connection.driver_connection
        stop: Callable[[], object] | None = getattr(driver, "interrupt", None) or getattr(driver, "cancel", None)
        number = _session_number(connection)
        if stop is not None or number is None:
            return stop

        def kill() -> None:
            with self._engine.connect() as other:
                other.exec_driver_sql(_KILL.format(number))

        return kill

    def _read_on(self, connection: sqlalchemy.Connection, text: str, bound: Any) -> Rows:
        if (beginning := _READ_ONLY_TRANSACTION.get(connection.dialect.name)) is not None:
            connection.exec_driver_sql(beginning)
        result = connection.exec_driver_sql(text, bound)
        rows = Rows(tuple(result.keys()), [tuple(row) for row in result.fetchall()])
        connection.rollback()
        return rows

    def _begin_session(self, connection: Any, _: object) -> None:
        dialect = self._engine.dialect
        statements = [_READ_ONLY[dialect.name]] if dialect.name in _READ_ONLY else []
        if self._login.schema is not None:
            quoted = dialect.identifier_preparer.quote_identifier(self._login.schema)
            statements.append(_SCHEMA[dialect.name].format(quoted))
        cursor = connection.cursor()
        try:
            for text in statements:
                cursor.execute(text)
        finally:
            cursor.close()
        connection.commit()  # PostgreSQL would take the settings back with the first transaction


def _session_number(connection: sqlalchemy.Connection | None) -> int | None:
    """Give the number by which MySQL and MariaDB know a session; None where the driver does not tell, and elsewhere."""
    if connection is None or connection.dialect.name not in ("mysql", "mariadb"):
        return None
    driver = connection.connection.driver_connection
    number = getattr(driver, "thread_id", None) or getattr(driver, "connection_id", None)
    found = number() if callable(number) else number
    return found if isinstance(found, int) else None


def bound_statement(statement: Statement, values: JsonObject, style: str) -> tuple[str, Any]:
    """Write the statement as a driver of that parameter style (PEP 249) takes it, with its values."""
    place = {name: f"p{index}" for index, name in enumerate(statement.names, 1)}
    by_place: Mapping[str, object] = {place[name]: plain_value(values[name]) for name in statement.names}
    if style == "named":
        return statement.filled(lambda name: f":{place[name]}"), by_place
    if style == "pyformat":
        return statement.filled(lambda name: f"%({place[name]})s", _percent), by_place
    if style in ("numeric", "numeric_dollar"):
        sign = "$" if style == "numeric_dollar" else ":"
        return statement.filled(lambda name: sign + place[name][1:]), tuple(by_place.values())
    in_order = tuple(by_place[place[name]] for name in statement.parts[1::2])
    if style == "format":
        return statement.filled(lambda _: "%s", _percent), in_order
    return statement.filled(lambda _: "?"), in_order


def _percent(text: str) -> str:
    return re.sub("%", "%%", text)
