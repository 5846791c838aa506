"""One connection to PostgreSQL that comes back by itself, and what to say when it does not."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import os
import select
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import conninfo as libpq
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_random_exponential

from pytest_orchestra.errors import SettingsError, StoreError, StoreUnavailableError
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store.jsonb import load_jsonb
from pytest_orchestra.store.queries import load_query

__all__ = ["Connection", "Statement", "StoreLink", "connect", "describe_address"]

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
Statement: TypeAlias = tuple[str, Mapping[str, object]]
"""The name of a query and its parameters; the tenant is added to them."""

_DEFAULTS: Final = {
    "application_name": "pytest-orchestra",
    "tcp_user_timeout": "15000",  # a peer that vanished is noticed by writes, not only by keepalives
}
_CONNECT_WITHIN_S: Final = 10
_LEAST_SILENCE_S: Final = 1.0
_PASSING_STATES: Final = ("08", "25P03", "40", "57P")
"""SQLSTATEs: connection exceptions, transactions left idle or rolled back, and the operator's intervention."""

_LOGIN_MARKS: Final = ("authentication", "pg_hba.conf", "no password supplied", "not permitted to log in")

_logger = logging.getLogger(__name__)


async def connect(conninfo: Secret, *, within_s: int = _CONNECT_WITHIN_S) -> Connection:
    """Connect within some seconds (at least 2), unless the address says otherwise.

    Raises ``SettingsError`` for a malformed address and ``StoreUnavailableError``, without any password.
    """
    user, where = str(_parse(conninfo).get("user", "")), describe_address(conninfo)
    try:
        connection = await psycopg.AsyncConnection.connect(
            **{**_DEFAULTS, "connect_timeout": str(within_s), **_parse(conninfo)}, autocommit=True, row_factory=dict_row
        )
    except psycopg.OperationalError as error:
        # reports may show the variables of a traceback, and the driver's hold the password
        raise _explain_refusal(error, where, user) from error.with_traceback(None)
    connection.prepare_threshold = None  # poolers that share sessions know no prepared statements
    set_json_loads(load_jsonb, connection)
    return connection


def describe_address(conninfo: Secret) -> str:
    """Give ``host:port`` of an address, for people; never raises, as it serves to describe."""
    try:
        parameters = _parse(conninfo)
    except SettingsError:
        return "unreadable address"
    return f"{parameters.get('host') or parameters.get('hostaddr') or 'local socket'}:{parameters.get('port') or 5432}"


class StoreLink:
    """Runs statements of one tenant over one connection, a transaction at a time.

    ``address`` is asked anew for every connection, as a server may come back elsewhere. A transaction that a lost
    connection or a deadlock interrupts is repeated, for ``patience_s`` at most, so statements
    have to be repeatable. A server that does not answer within a third of that is as good as lost.

    ``is_direct`` says that no pooler is in between, which would share the session with others: then the session knows
    its tenant and its statements, and one statement is a transaction of its own.
    """

    def __init__(
        self,
        address: Callable[[], Awaitable[Secret]],
        tenant: str,
        patience_s: float,
        *,
        is_direct: bool = False,
    ) -> None:
        self._address = address
        self._tenant = tenant
        self._patience_s = patience_s
        self._is_direct = is_direct
        self._where = ""
        self._connection: Connection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._given_up_at = float("-inf")

    async def open(self, prepare: Callable[[Connection], Awaitable[object]]) -> None:
        """Connect, at once or not at all, and prepare what is there. Raises ``StoreUnavailableError``."""
        self._connection = await self._connect()
        await prepare(self._connection)
        await self._take_over(self._connection)

    async def run(self, query: str, parameters: Mapping[str, object] | None = None) -> list[DictRow]:
        """Run one statement in a transaction of its own; give its rows."""
        return (await self.run_all([(query, parameters or {})]))[-1]

    async def run_all(self, statements: Sequence[Statement]) -> list[list[DictRow]]:
        """Run statements in one transaction and one round trip; give the rows of each.

        Raises ``StoreUnavailableError`` when the server stays away, ``StoreError`` when it refuses a statement.
        """
        asked = time.monotonic()
        async with self._one_at_a_time:
            if asked < self._given_up_at:  # who waited meanwhile has been as patient as the one before
                raise self._explain(None)
            try:
                return await self._repeatedly(functools.partial(self._transact, statements))
            except (psycopg.Error, StoreUnavailableError) as error:
                explained = self._explain(error)
                if isinstance(explained, StoreUnavailableError):
                    self._given_up_at = time.monotonic()
                raise explained from error

    async def close(self) -> None:
        """Disconnect."""
        async with self._one_at_a_time:
            await self._disconnect()

    def _explain(self, error: psycopg.Error | StoreUnavailableError | None) -> StoreError:
        if isinstance(error, psycopg.Error) and not _is_passing(error):
            return StoreError(f"store: '{self._where}' refused a statement: {first_line(error)}")
        return StoreUnavailableError(
            f"store: connection to '{self._where}' was lost, and not back within '{self._patience_s:g}' s",
            hint="see why the server went away; every step that it has is safe: "
            "'pytest --orchestra --orchestra-resume' goes on behind it",
        )

    async def _connect(self) -> Connection:
        conninfo = await self._address()
        self._where = describe_address(conninfo)
        return await connect(conninfo, within_s=min(_CONNECT_WITHIN_S, math.ceil(self._patience_s)))

    async def _reconnect(self) -> Connection:
        """Connect anew, wholly or not at all: a session that did not hear its tenant would see nothing."""
        connection = await self._connect()
        try:
            await self._take_over(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _take_over(self, connection: Connection) -> None:
        """Let a new connection serve the statements of the store."""
        if self._is_direct:
            connection.prepare_threshold = 0
            await self._name_tenant(connection)

    async def _name_tenant(self, connection: Connection) -> None:
        """Tell the session its tenant, or the transaction where the session is shared."""
        await connection.execute(load_query("set_tenant"), {"tenant": self._tenant, "is_local": not self._is_direct})

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()

    async def _repeatedly(self, work: Callable[[], Awaitable[list[list[DictRow]]]]) -> list[list[DictRow]]:
        attempts = AsyncRetrying(
            retry=retry_if_exception(_is_passing),
            stop=stop_after_delay(self._patience_s),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            before_sleep=self._note,
            reraise=True,
        )
        return await attempts(work)

    def _note(self, state: RetryCallState) -> None:
        if state.attempt_number == 1:
            _logger.warning("store: connection to '%s' was lost; trying to get it back", self._where)

    async def _transact(self, statements: Sequence[Statement]) -> list[list[DictRow]]:
        if self._connection is None:
            self._connection = await self._reconnect()
        connection = self._connection
        try:
            async with self._cut_if_silent(connection):
                if self._is_direct and len(statements) == 1:
                    cursors = await self._execute(connection, statements)
                else:
                    async with connection.pipeline(), connection.transaction():
                        if not self._is_direct:
                            await self._name_tenant(connection)
                        cursors = await self._execute(connection, statements)
            return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]
        except BaseException:
            if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                await self._disconnect()
            raise

    async def _execute(
        self, connection: Connection, statements: Sequence[Statement]
    ) -> list[psycopg.AsyncCursor[DictRow]]:
        return [
            await connection.execute(load_query(name), {**parameters, "tenant": self._tenant})
            for name, parameters in statements
        ]

    @asynccontextmanager
    async def _cut_if_silent(self, connection: Connection) -> AsyncIterator[None]:
        """Break a connection off on which nothing comes to an end in time, as a server that is stopped never says so.

        The driver waits without limit, and to be cancelled it would ask the very server that does not answer.
        """
        loop, seconds = asyncio.get_running_loop(), max(_LEAST_SILENCE_S, self._patience_s / 3)
        timers: list[asyncio.TimerHandle] = []

        def look() -> None:
            if connection.closed:
                return
            number = connection.fileno()
            if select.select([number], [], [], 0)[0]:  # it was this process that had no time to read
                timers[:] = [loop.call_later(seconds, look)]
                return
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as copy:
                copy.shutdown(socket.SHUT_RDWR)

        timers.append(loop.call_later(seconds, look))
        try:
            yield
        finally:
            timers[0].cancel()


def first_line(error: psycopg.Error) -> str:
    """Give what the server says, without the statement and its values."""
    return error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_passing(error: BaseException) -> bool:
    """Whether the same statements may succeed later: no connection, or one that was broken off, or a deadlock."""
    if isinstance(error, psycopg.OperationalError):
        return error.sqlstate is None or error.sqlstate.startswith(_PASSING_STATES)
    return isinstance(error, StoreUnavailableError)


def _parse(conninfo: Secret) -> dict[str, Any]:
    try:
        return libpq.conninfo_to_dict(conninfo.reveal())
    except psycopg.ProgrammingError:
        pass  # its text quotes the address, and so perhaps the password
    raise SettingsError(
        "store: the address of the results store cannot be read",
        hint="write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded",
    )


def _explain_refusal(error: psycopg.OperationalError, where: str, user: str) -> StoreUnavailableError:
    text = str(error)
    if any(mark in text for mark in _LOGIN_MARKS):
        return StoreUnavailableError(
            f"store: login of '{user}' refused by '{where}'",
            hint="check the user and the password in --orchestra-store",
        )
    if "Connection refused" in text or "No such file or directory" in text:
        return StoreUnavailableError(
            f"store: nothing listens at '{where}'",
            hint="start the server, or choose --orchestra-store=embedded or --orchestra-store=memory",
        )
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return StoreUnavailableError(f"store: no answer from '{where}'", hint="check the host and the network")
    if "resolve host" in text:
        return StoreUnavailableError(f"store: host of '{where}' is unknown", hint="check the host in --orchestra-store")
    return StoreUnavailableError(
        f"store: connection to '{where}' failed: {text.rsplit('FATAL:', 1)[-1].strip().splitlines()[0]}",
        hint="check the address in --orchestra-store",
    )
