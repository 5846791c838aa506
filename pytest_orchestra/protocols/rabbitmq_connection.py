"""A connection to a RabbitMQ broker, opened at first use and again after a loss, and its errors in words."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection
from pamqp.exceptions import PAMQPException

from pytest_orchestra.errors import LoginRefusedError, OrchestraError, UnreachableError, UnusableEnvironmentError
from pytest_orchestra.protocols.rabbitmq_login import BrokerLogin

__all__ = ["DRIVER_ERRORS", "BrokerConnection", "close_channel", "quiet_driver"]

DRIVER_ERRORS: Final = (aiormq.AMQPError, aiormq.ChannelInvalidStateError, PAMQPException, OSError)
"""What the driver raises when the broker refuses something or is gone."""

_CONNECT_LIMIT_S: Final = 10.0
_CLOSE_LIMIT_S: Final = 2.0
_LAST_WORDS_LIMIT_S: Final = 1.0
_MOST_DOUBTED: Final = 4
_ERRNO_REASONS: Mapping[int | None, str] = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "its network is unreachable",
    errno.ETIMEDOUT: "the connection timed out",
    errno.ECONNRESET: "the broker closed the connection",
    errno.EPIPE: "the broker closed the connection",
}
_REPLY_CODE: Final = re.compile(r"^[A-Z_]+ - ")
_MISSING: Final = re.compile(r"no (exchange|queue) '(.*)' in vhost")

_IS_OURS: ContextVar[bool] = ContextVar("orchestra_rabbitmq", default=False)


class _OthersOnly(logging.Filter):
    """Lets pass what the driver says of connections that are not ours: of ours, errors say it, and once."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.INFO or not _IS_OURS.get()


_OTHERS_ONLY: Final = _OthersOnly()
for _name in ("aiormq.connection", "aiormq.channel", "aio_pika.connection", "aio_pika.channel", "aio_pika.queue"):
    logging.getLogger(_name).addFilter(_OTHERS_ONLY)


@contextmanager
def quiet_driver() -> Iterator[None]:
    """Keep the driver's log free of what is done here, and of what the tasks say that the driver begins here."""
    token = _IS_OURS.set(True)
    try:
        yield
    finally:
        _IS_OURS.reset(token)


class BrokerConnection:
    """One connection of a login. ``purpose`` is what the broker's own lists show it as.

    ``on_lost`` is told, with the reason, when an open connection is gone without :meth:`close`.
    """

    def __init__(self, login: BrokerLogin, purpose: str, on_lost: Callable[[str], None] | None = None) -> None:
        self._login = login
        self._purpose = purpose
        self._on_lost = on_lost
        self._opening = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._doubted: list[AbstractConnection] = []
        self._ended = asyncio.Event()
        self._end: BaseException | None = None

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Open a channel; with ``confirms``, publishing waits for the broker and raises where it is refused.

        Raises ``UnreachableError``, ``LoginRefusedError``, ``UnusableEnvironmentError``.
        """
        connection = await self._open()
        try:
            channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
            await channel.initialize()
        except (*DRIVER_ERRORS, RuntimeError) as error:  # of the latter kind: it was closed in this very moment
            raise await self.explain(error) from None
        return channel

    @asynccontextmanager
    async def passing_channel(self) -> AsyncIterator[AbstractChannel]:
        """Open a channel for a while. What was got on it and not acknowledged goes back to its queue in the end."""
        channel = await self.channel()
        try:
            yield channel
        finally:
            if not self._ended.is_set():  # else it is gone, and the driver would wait for an answer
                await close_channel(channel)

    async def explain(self, error: BaseException) -> OrchestraError:
        """Tell what an error of the driver means to a user, on a connection that had come about."""
        if isinstance(error, aiormq.AMQPChannelError):
            return _explain_refusal(self._login, error)
        # what the broker said when it ended the connection comes a moment later than the end itself
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_LIMIT_S):
                await self._ended.wait()
        reason = _words(self._end if self._ended.is_set() else error)
        return UnreachableError(
            f"{self._login.subject}: the connection was lost: {reason}",
            hint="see whether the broker is up, and its log",
        )

    async def doubt(self) -> None:
        """Let later calls open another connection, because this one does not answer; calls under way may go on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._doubted.append(connection)
        while len(self._doubted) > _MOST_DOUBTED:
            await _close(self._doubted.pop(0))

    async def close(self) -> None:
        """Close the connection; a later call opens another one."""
        connection, self._connection = self._connection, None
        doubted, self._doubted = self._doubted, []
        await asyncio.gather(*(_close(each) for each in (*doubted, connection) if each is not None))

    async def _open(self) -> AbstractConnection:
        async with self._opening:
            known = self._connection
            if known is not None and known.connected.is_set():
                return known
            self._connection = None
            if known is not None:
                await _close(known)
            connection = await self._connect()
            self._ended.clear()
            self._connection = connection
            connection.close_callbacks.add(self._note_end)
            return connection

    async def _connect(self) -> AbstractConnection:
        login = self._login
        context = login.tls_context()
        try:
            async with asyncio.timeout(_CONNECT_LIMIT_S):
                return await aio_pika.connect(
                    login.url,
                    ssl_context=context,
                    client_properties={"connection_name": f"pytest-orchestra: {self._purpose}"},
                )
        except TimeoutError:  # those of the system come wrapped
            raise UnreachableError(
                f"{login.subject}: no answer in {_CONNECT_LIMIT_S:g} s", hint=_start_or_correct(login)
            ) from None
        except DRIVER_ERRORS as error:
            raise _connect_fault(login, error) from None

    def _note_end(self, connection: Any, error: BaseException | None) -> None:
        if connection is not self._connection:  # it was closed by us
            return
        self._end = error
        self._ended.set()
        if self._on_lost is not None:
            self._on_lost(_words(error))


async def close_channel(channel: AbstractChannel) -> None:
    """Close a channel, whatever state it is in."""
    with suppress(*DRIVER_ERRORS, RuntimeError, TimeoutError):
        async with asyncio.timeout(_CLOSE_LIMIT_S):
            if not channel.is_closed:
                await channel.close()


async def _close(connection: AbstractConnection) -> None:
    with suppress(*DRIVER_ERRORS, RuntimeError, TimeoutError):
        async with asyncio.timeout(_CLOSE_LIMIT_S):
            await connection.close()


def _explain_refusal(login: BrokerLogin, error: aiormq.AMQPChannelError) -> OrchestraError:
    text = str(error)
    missing = _MISSING.search(text)
    if missing is not None:
        kind, name = missing.groups()
        return UnusableEnvironmentError(
            f"{login.subject} has no {kind} '{name}'",
            hint=f"declare the {kind} before the tests, or correct its name in the step",
        )
    hint = "see what the step asks of the broker, and its log"
    if isinstance(error, aiormq.ChannelAccessRefused):
        hint = f"grant it to the user of '{login.alias}' in environment '{login.environment}', or take another"
    return UnusableEnvironmentError(f"{login.subject} refuses: {_REPLY_CODE.sub('', text)}", hint=hint)


def _connect_fault(login: BrokerLogin, error: BaseException) -> OrchestraError:
    """Tell why no connection came about."""
    correct = f"correct '{login.alias}' in environment '{login.environment}'"
    cause = error if error.__cause__ is None else error.__cause__
    if isinstance(error, (aiormq.exceptions.ProbableAuthenticationError, aiormq.exceptions.AuthenticationError)):
        return LoginRefusedError(
            f"{login.subject}: login of '{login.user.reveal()}' refused",
            hint=f"check 'usernameRef' and 'passwordRef' of '{login.alias}' in environment '{login.environment}'",
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UnreachableError(
            f"{login.subject}: its certificate is not trusted: {cause.verify_message.lower()}",
            hint=f"name the file of the certificates to trust as 'caFile' of '{login.alias}'",
        )
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or str(cause)).lower().replace("_", " ")
        return UnreachableError(f"{login.subject}: TLS failed: {reason}", hint=correct)
    if isinstance(cause, socket.gaierror):
        return UnreachableError(f"{login.subject}: its host name does not resolve", hint=correct)
    if "Connection.Close" in str(error) or isinstance(error, aiormq.exceptions.ConnectionNotAllowed):
        return UnusableEnvironmentError(
            f"{login.subject} does not open the virtual host '{login.vhost}' to '{login.user.reveal()}'",
            hint=f"see whether it exists and the user has rights there, or {correct}",
        )
    if isinstance(cause, OSError) and cause.errno in _ERRNO_REASONS:
        return UnreachableError(f"{login.subject}: {_ERRNO_REASONS[cause.errno]}", hint=_start_or_correct(login))
    protocol_faults = (aiormq.exceptions.ProtocolSyntaxError, aiormq.exceptions.IncompatibleProtocolError)
    if isinstance(error, (*protocol_faults, PAMQPException)) or isinstance(cause, asyncio.IncompleteReadError):
        return UnusableEnvironmentError(f"{login.subject}: what answers is no broker of AMQP 0-9-1", hint=correct)
    return UnreachableError(f"{login.subject}: {_words(cause)}", hint=_start_or_correct(login))


def _start_or_correct(login: BrokerLogin) -> str:
    return f"start the broker, or correct '{login.alias}' in environment '{login.environment}'"


def _words(error: BaseException | None) -> str:
    """Say in a few words why a connection ended."""
    if isinstance(error, aiormq.exceptions.ConnectionClosed) and error.args:  # the broker said so
        return _REPLY_CODE.sub("", str(error.args[-1])).strip()
    cause = error if error is None or error.__cause__ is None else error.__cause__
    if cause is None or isinstance(cause, (asyncio.CancelledError, asyncio.IncompleteReadError, EOFError)):
        return "the broker closed it"
    if isinstance(cause, OSError) and cause.errno in _ERRNO_REASONS:
        return _ERRNO_REASONS[cause.errno]
    text = str(cause.args[-1]) if cause.args else ""
    return _REPLY_CODE.sub("", text).strip() or type(cause).__name__
