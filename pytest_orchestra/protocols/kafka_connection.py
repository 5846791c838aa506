"""Connections to Kafka clusters: the first one tells what is wrong, and none says anything in the log."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

from pytest_orchestra.errors import (
    LoginRefusedError,
    OrchestraError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.protocols.kafka_login import KafkaLogin
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["CLIENT_ID", "ask_brokers", "cluster_fault", "describe_topics", "is_listening", "quietly"]

CLIENT_ID: Final = "pytest-orchestra"
_CONNECT_S: Final = 10.0
_MOST_COPIES: Final = 3

_is_ours: ContextVar[bool] = ContextVar("_is_ours", default=False)


class _Quiet(logging.Filter):
    """Drops what clients of ours say: what is wrong becomes an error, and what they retry is nobody's concern."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  logging's signature
        """Let everything pass that other clients say."""
        return not _is_ours.get()


_QUIET: Final = _Quiet()


@contextmanager
def quietly() -> Iterator[None]:
    """Let clients that are made and used in here, and their tasks for as long as they live, say nothing in the log."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("aiokafka") and isinstance(logger, logging.Logger):
            logger.addFilter(_QUIET)  # once, however often
    token = _is_ours.set(True)
    try:
        yield
    finally:
        _is_ours.reset(token)


async def ask_brokers(login: KafkaLogin, timeout_s: float) -> None:
    """Connect to the first broker that answers, log in and ask for the brokers of the cluster.

    Clients of the library tell only the log why they cannot connect. Raises ``UnreachableError``,
    ``LoginRefusedError``, ``UnusableEnvironmentError``.
    """
    options = login.options()
    within = min(timeout_s, _CONNECT_S)
    fault: OrchestraError | None = None
    for host, port in login.servers:
        try:
            async with asyncio.timeout(within):
                await _ask(host, port, within, options)
        except (OSError, errors.KafkaError, AssertionError, ValueError) as error:  # TimeoutError is an OSError
            found = cluster_fault(login, error)
            if isinstance(found, LoginRefusedError):
                raise found from None
            fault = fault or found
        else:
            return
    assert fault is not None
    raise fault from None


async def _ask(host: str, port: int, within_s: float, options: dict[str, Any]) -> None:
    named = {"client_id": CLIENT_ID, "request_timeout_ms": int(within_s * 1000)}
    connection = await create_conn(host, port, **named, **options)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        closed = connection.close()
        if closed is not None:
            await closed


def cluster_fault(login: KafkaLogin, error: BaseException) -> OrchestraError:
    """Tell in words what went wrong with a cluster."""
    correct = f"correct '{login.alias}' in environment '{login.environment}'"
    start = f"start the cluster, or {correct}"
    security = f"check 'securityProtocol' of '{login.alias}' in environment '{login.environment}'"
    credentials = f"check 'usernameRef' and 'passwordRef' of '{login.alias}' in environment '{login.environment}'"
    cause = next((one for one in _causes(error) if isinstance(one, (ssl.SSLError, socket.gaierror))), error)
    user = login.user.reveal() if login.user is not None else ""
    match cause:
        case errors.AuthenticationFailedError() | errors.SaslAuthenticationFailed():
            return LoginRefusedError(f"{login.subject}: login of '{user}' refused", hint=credentials)
        case errors.UnsupportedSaslMechanismError():
            return UnusableEnvironmentError(
                f"{login.subject}: the broker does not let log in by '{login.mechanism}'",
                hint=f"check 'saslMechanism' of '{login.alias}' in environment '{login.environment}'",
            )
        case errors.TopicAuthorizationFailedError() | errors.ClusterAuthorizationFailedError():
            who = f"'{user}'" if user else "who does not log in"
            return LoginRefusedError(f"{login.subject}: {who} may not do that there", hint="grant it to that user")
        case ssl.SSLCertVerificationError():
            return UnusableEnvironmentError(
                f"{login.subject}: its certificate is not trusted: {cause.verify_message}",
                hint=f"name the file of its issuer as 'caFile' of '{login.alias}'",
            )
        case ssl.SSLError():
            return UnusableEnvironmentError(f"{login.subject}: no TLS connection came about", hint=security)
        case socket.gaierror():
            return UnreachableError(f"{login.subject}: its host name does not resolve", hint=correct)
        case ConnectionRefusedError():
            return UnreachableError(f"{login.subject}: connection refused", hint=start)
        case TimeoutError():
            return UnreachableError(f"{login.subject}: no answer came in time", hint=f"{start}; {security}")
        case errors.KafkaConnectionError() | ConnectionError() | EOFError():
            return UnreachableError(f"{login.subject}: the broker closed the connection", hint=security)
        case OSError():
            return UnreachableError(f"{login.subject}: {str(cause.strerror or cause).lower()}", hint=start)
        case errors.KafkaError():
            return UnusableEnvironmentError(f"{login.subject}: {_words(cause)}", hint="see the log of the broker")
    return UnreachableError(f"{login.subject}: what answers is no Kafka broker", hint=correct)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _words(error: errors.KafkaError) -> str:
    text = str(getattr(error, "description", None) or error).rstrip(".")
    return text[:1].lower() + text[1:]


async def is_listening(login: KafkaLogin, within_s: float = 2.0) -> bool:
    """Tell whether a bootstrap server takes connections."""
    for host, port in login.servers:
        try:
            async with asyncio.timeout(within_s):
                _, writer = await asyncio.open_connection(host, port)
        except OSError:
            continue
        writer.close()
        return True
    return False


async def describe_topics(
    admin: AIOKafkaAdminClient, login: KafkaLogin, topics: frozenset[str]
) -> dict[str, tuple[int, ...]]:
    """Give the partitions of topics; make those that do not exist where the profile says so.

    All topics are asked for, as asking for one by name makes many brokers create it. Raises ``UnknownAliasError``.
    """
    known = await _partitions(admin)
    missing = sorted(topics - known.keys())
    if missing and login.creates_topics:
        await _create(admin, login, missing)
        known = await _partitions(admin)
        missing = sorted(topics - known.keys())
    for topic in missing:
        hint = suggest(topic, known, "create it, or set 'createTopics: true' in the cluster's profile")
        raise UnknownAliasError(f"{login.subject} has no topic '{topic}'", hint=hint)
    return {topic: known[topic] for topic in topics}


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, tuple[int, ...]]:
    described = await admin.describe_topics()
    found = {one["topic"]: tuple(sorted(part["partition"] for part in one["partitions"])) for one in described}
    return {topic: partitions for topic, partitions in found.items() if partitions}


async def _create(admin: AIOKafkaAdminClient, login: KafkaLogin, topics: list[str]) -> None:
    copies = min(_MOST_COPIES, len((await admin.describe_cluster())["brokers"]))
    answer = await admin.create_topics([NewTopic(topic, 1, copies) for topic in topics])
    for topic, code, *_ in answer.topic_errors:
        kind = errors.for_code(code)
        if kind in (errors.NoError, errors.TopicAlreadyExistsError):
            continue
        raise StepError(
            f"{login.subject} does not create topic '{topic}': {_words(kind())}", hint="create it, or correct its name"
        )
