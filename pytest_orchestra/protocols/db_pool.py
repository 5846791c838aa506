"""A few connections to one PostgreSQL database, for reading only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.sql_values import register_loaders
from pytest_orchestra.protocols.timed_task import TimedTasks

__all__ = ["ConnectError", "Login", "Pool", "Rows"]

_CONNECTIONS = 4
_TIMEOUT_SLACK = 2.0

_SESSION = """
    select set_config('default_transaction_read_only', 'on', false),
           set_config('datestyle', 'ISO', false),
           set_config('intervalstyle', 'iso_8601', false),
           case when $1::text is not null then set_config('search_path', quote_ident($1::text), false) end
"""


@dataclass(frozen=True, slots=True)
class Login:
    """Where a database is and who logs in. ``params`` are libpq's, without user and password given by reference."""

    params: tuple[tuple[str, str], ...]
    user: Secret | None = None
    password: Secret | None = field(default=None, repr=False)
    schema: str | None = None

    @classmethod
    def of(cls, url: str, user: Secret | None, password: Secret | None, schema: str | None) -> Login:
        """Read a URL. Raises ``psycopg.ProgrammingError`` where it is none."""
        params = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
        if "password" in params and password is None:
            password = Secret(params["password"])
        params.pop("password", None)
        if user is not None:
            params.pop("user", None)
        return cls(tuple(params.items()), user, password, schema)

    @property
    def address(self) -> str:
        """``host:port/name``, for messages."""
        params = dict(self.params)
        host = params.get("host") or params.get("hostaddr") or "localhost"
        return f"{host}:{params.get('port', '5432')}/{params.get('dbname', self.user_name or '')}"

    @property
    def user_name(self) -> str | None:
        """Who logs in, if the profile or the URL says so."""
        return self.user.reveal() if self.user is not None else dict(self.params).get("user")


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of a query."""

    names: tuple[str, ...]
    rows: Sequence[Sequence[object]]


class ConnectError(Exception):
    """No connection came about; ``__cause__`` is the driver's error."""


@dataclass(slots=True)
class _Session:
    """A connection, with the ``statement_timeout`` that it has (milliseconds; 0 is none)."""

    connection: AsyncConnection[tuple[object, ...]]
    timeout_ms: int = 0


class Pool:
    """At most four connections, opened when needed and kept. Every statement is a transaction of its own."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._free: list[_Session] = []
        self._tasks = TimedTasks[Rows]()

    async def query(self, sql: str, values: Sequence[object], timeout_s: float) -> Rows:
        """Run one statement with values for ``$1``, ``$2`` ...; waiting for a free connection is not part of the time.

        A connection that the server has closed since its last use is replaced once. Raises ``TimeoutError``,
        ``ConnectError`` and the errors of ``psycopg``.
        """
        async with self._slots:
            return await self._tasks.run(self._query(sql, values, timeout_s), timeout_s)

    async def close(self) -> None:
        """Close every connection; statements that are being ended get half a second for it."""
        while self._free:
            await self._free.pop().connection.close()
        await self._tasks.close()

    async def _query(self, sql: str, values: Sequence[object], timeout_s: float) -> Rows:
        session = self._take_free()
        if session is not None:
            try:
                return await self._run(session, sql, values, timeout_s)
            except psycopg.Error:
                if not session.connection.closed:
                    raise
        return await self._run(await self._connect(), sql, values, timeout_s)

    def _take_free(self) -> _Session | None:
        while self._free:
            session = self._free.pop()
            if not session.connection.closed:
                return session
        return None

    async def _run(self, session: _Session, sql: str, values: Sequence[object], timeout_s: float) -> Rows:
        connection = session.connection
        try:
            await _limit_time(session, timeout_s)
            cursor = await connection.execute(sql, values)
            rows = await cursor.fetchall()
            names = tuple(column.name for column in cursor.description or ())
        except psycopg.Error:
            if not connection.closed:
                self._free.append(session)
            raise
        except BaseException:  # abandoned on the way: what state it is in, nobody knows
            await connection.close()
            raise
        self._free.append(session)
        return Rows(names, rows)

    async def _connect(self) -> _Session:
        login = self._login
        params = {"client_encoding": "utf8", "fallback_application_name": "pytest-orchestra", **dict(login.params)}
        if login.user is not None:
            params["user"] = login.user.reveal()
        if login.password is not None:
            params["password"] = login.password.reveal()
        try:
            connection = await AsyncConnection.connect(
                make_conninfo("", **params),
                autocommit=True,
                prepare_threshold=None,  # a prepared plan breaks when the system under test alters its tables
                cursor_factory=AsyncRawCursor,
            )
        except psycopg.Error as error:
            raise ConnectError from error
        try:
            register_loaders(connection)
            await connection.execute(_SESSION, (login.schema,))
        except BaseException:
            await connection.close()
            raise
        return _Session(connection)


async def _limit_time(session: _Session, timeout_s: float) -> None:
    """Let the server end a statement that nobody waits for any more, should this process be gone by then.

    The time on this side is exact; the server's is kept while it is between one and two times that, because polls have
    less time left from one to the next, and each change is a round trip.
    """
    wanted = max(1, round(timeout_s * 1000))
    if not wanted <= session.timeout_ms <= wanted * _TIMEOUT_SLACK:
        limit = max(1, round(wanted * _TIMEOUT_SLACK))
        await session.connection.execute("select set_config('statement_timeout', $1, false)", (str(limit),))
        session.timeout_ms = limit
