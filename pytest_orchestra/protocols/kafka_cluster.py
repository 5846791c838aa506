"""A Kafka cluster as steps see it: topics are watched, messages are published, all by the same few connections."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer, errors
from aiokafka.admin import AIOKafkaAdminClient

from pytest_orchestra.data.redaction import mask_headers, shorten
from pytest_orchestra.engine.ports import CallTimeoutError, Reply, StepCall
from pytest_orchestra.errors import OrchestraError, StepError, UnusableEnvironmentError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.protocols.journal import read_journal
from pytest_orchestra.protocols.kafka_connection import (
    CLIENT_ID,
    ask_brokers,
    cluster_fault,
    describe_topics,
    is_listening,
    quietly,
)
from pytest_orchestra.protocols.kafka_journal import KafkaJournal
from pytest_orchestra.protocols.kafka_login import KafkaLogin
from pytest_orchestra.protocols.message_codec import encode_value, message_headers, text_of
from pytest_orchestra.protocols.message_matching import MessageQuery
from pytest_orchestra.protocols.schema_registry import PLAIN_VALUE, SchemaRegistry, WrittenValue
from pytest_orchestra.protocols.shell import quote_word

__all__ = ["KafkaCluster"]

_SHOWN_LIMIT: Final = 4_000
_PREPARE_S: Final = 30.0
_PATIENCE_S: Final = 1.0
_Put = TypeVar("_Put")
_ADD: Final = "add 'valueTemplate' or 'keyExpression'"


class KafkaCluster:
    """The clients of one cluster; they connect at first use, once however many ask at the same time."""

    def __init__(self, login: KafkaLogin) -> None:
        self.login = login
        self._registry = SchemaRegistry(login, login.registry) if login.registry is not None else None
        self._listening = KafkaJournal(login, self._registry)
        self._admin: AIOKafkaAdminClient | None = None
        self._producer: AIOKafkaProducer | None = None
        self._known_topics: set[str] = set()
        self._refused: tuple[float, OrchestraError] | None = None
        self._connecting = asyncio.Lock()
        self._tapping = asyncio.Lock()

    @property
    def journal_size(self) -> int:
        """How many messages are kept."""
        return len(self._listening.journal)

    async def watch(self, calls: Iterable[StepCall], since: datetime | None) -> None:
        """Listen to the topics of the calls of a run; return when nothing that comes from now on is missed.

        ``since``: what came since then is wanted as well. Raises ``UnusableEnvironmentError`` and ``StepError``.
        """
        calls = list(calls)
        journal = self._listening.journal
        for call in calls:
            self._listening.know_header(call.correlation_header)
            query = MessageQuery.of(call)
            journal.watch(query.address, query.expression)
            journal.hold(call.run_id, call.correlation_id, since=since)
        topics = {_topic(call) for call in calls}
        if since is None and all(self._listening.is_tapped(topic) for topic in topics):
            return  # nothing is asked of anyone, and nobody waits
        asked_at = time.monotonic()
        with quietly():
            async with self._tapping:
                await self._watch(topics, since, asked_at)

    async def _watch(self, topics: set[str], since: datetime | None, asked_at: float) -> None:
        missing = frozenset(topic for topic in topics if not self._listening.is_tapped(topic))
        try:
            async with asyncio.timeout(_PREPARE_S):
                if missing:
                    admin = await self._connect(_PREPARE_S, asked_at)
                    if self._registry is not None:
                        await self._registry.check()
                    partitions = await describe_topics(admin, self.login, missing)
                    await self._listening.tap(partitions, since)
                if since is not None and missing != topics:
                    await self._listening.reread(topics - missing, since, _PREPARE_S)
        except TimeoutError as error:
            raise await self._why(error) from None
        except (errors.KafkaError, OSError) as error:
            raise await self._why(error) from None

    async def look(self, call: StepCall) -> Reply:
        """Give what an assertion sees of the journal at this moment. Raises what :meth:`watch` raises."""
        topic = _topic(call)
        if not self._listening.is_tapped(topic):
            await self.watch([call], None)
        await self._listening.check(topic)
        query = MessageQuery.of(call)
        reply = read_journal(self._listening.journal, query, self._listening.describe(topic))
        self._check_values(call, query)
        command = ["kcat", "-b", self.login.address, "-C", "-t", topic, "-o", "beginning", "-e"]
        return Reply(reply.response, Exchange(reply.exchange.request, reply.exchange.response, _joined(command)))

    def _check_values(self, call: StepCall, query: MessageQuery) -> None:
        """Raise ``StepError`` if a message of the run cannot be read: nobody knows whether it is the one."""
        journal = self._listening.journal
        for message in (*journal.find(query), *journal.unexplained(query)):
            fault = message.facts.get("valueError")
            if fault is not None and message.correlation_id == call.correlation_id:
                raise StepError(str(fault), place=call.step.place, hint="see what the producer writes")

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Return when another look may see something else, after ``longest_s`` at the latest."""
        await self._listening.journal.news(MessageQuery.of(call), longest_s)

    async def publish(self, call: StepCall) -> Reply:
        """Send the message of a step; give where the brokers have put it. Raises what the port says."""
        topic, key, value = _topic(call), call.message.get("key"), call.message.get("value")
        always = {call.correlation_header: call.correlation_id, "traceparent": call.trace_parent}
        headers = message_headers(call.headers, **always)
        request: dict[str, JsonValue] = {
            "cluster": self.login.alias,
            "servers": self.login.address,
            "topic": topic,
            "key": key,
            "headers": mask_headers(headers),
            "value": shorten(value, _SHOWN_LIMIT),
        }
        raw_key, written = None if key is None else text_of(key).encode(), await self._write(call, topic, value)
        raw_value = written.raw
        if written.schema:
            request["schema"] = written.schema
        if raw_key is None and raw_value is None:
            raise StepError("the message has neither key nor value", place=call.step.place, hint=_ADD)
        command = self._command(topic, raw_key, raw_value, mask_headers(headers))
        try:
            async with asyncio.timeout(call.timeout_s):
                with quietly():
                    producer = await self._ready_producer(topic, call.timeout_s)
                    pairs = [(name, text.encode()) for name, text in headers.items()]
                    put = await self._sent(producer.send_and_wait(topic, raw_value, raw_key, headers=pairs))
        except (errors.KafkaTimeoutError, errors.RequestTimedOutError, TimeoutError):
            raise CallTimeoutError(Exchange(request, None, command)) from None
        except (errors.MessageSizeTooLargeError, errors.InvalidTopicError) as error:
            raise StepError(
                f"{self.login.subject} does not take the message: {_said(error)}",
                place=call.step.place,
                hint="correct the message, or the settings of the topic",
            ) from None
        except (errors.KafkaError, OSError) as error:
            raise await self._why(error) from None
        response = {"topic": topic, "partition": put.partition, "offset": put.offset, "timestamp": put.timestamp}
        return Reply(response, Exchange(request, response, command))

    async def _write(self, call: StepCall, topic: str, value: JsonValue) -> WrittenValue:
        """Give the bytes of a value to publish; raise what is wrong with it, at the place of its step."""
        wanted = call.step.value_schema
        if self._registry is None:
            if wanted is not None and wanted != PLAIN_VALUE:
                raise UnusableEnvironmentError(
                    f"{self.login.subject} has no schema registry, where subject '{wanted}' would be",
                    hint=f"add 'schemaRegistry' to '{self.login.alias}' in environment '{self.login.environment}'",
                )
            return WrittenValue(encode_value(value), {})
        try:
            async with asyncio.timeout(call.timeout_s):
                return await self._registry.write(value, topic, wanted, may_break=call.step.breaks_contract)
        except TimeoutError:
            raise self._registry.silent() from None
        except StepError as error:
            raise StepError(error.fact, place=call.step.place, hint=error.hint) from None

    async def _sent(self, sending: Coroutine[Any, Any, _Put]) -> _Put:
        """Give what comes of sending, unless the brokers are gone: the library would try for a long time.

        What was not delivered is given up then, so that it does not come later, when nobody expects it.
        """
        task = asyncio.ensure_future(sending)
        try:
            while not (await asyncio.wait([task], timeout=_PATIENCE_S))[0]:
                if not await is_listening(self.login):
                    producer, self._producer = self._producer, None
                    task.cancel()
                    if producer is not None:
                        await stop_producer(producer)
                    raise cluster_fault(self.login, ConnectionRefusedError())
            return task.result()
        finally:
            task.cancel()

    def release(self, run_id: str) -> None:
        """Let go what was kept for a run."""
        self._listening.journal.release(run_id)

    async def close(self) -> None:
        """Close every connection."""
        with quietly():
            await self._listening.close()
            if self._registry is not None:
                await self._registry.close()
            producer, self._producer = self._producer, None
            admin, self._admin = self._admin, None
            if producer is not None:
                await stop_producer(producer)
            if admin is not None:
                await admin.close()

    async def _connect(self, timeout_s: float, asked_at: float) -> AIOKafkaAdminClient:
        """Give the client that knows the topics; who asked while another one was refused is refused with it."""
        async with self._connecting:
            if self._admin is None:
                if self._refused is not None and self._refused[0] >= asked_at:
                    raise self._refused[1]
                try:
                    await ask_brokers(self.login, timeout_s)
                except OrchestraError as error:
                    self._refused = time.monotonic(), error
                    raise
                admin = AIOKafkaAdminClient(
                    bootstrap_servers=[f"{host}:{port}" for host, port in self.login.servers],
                    client_id=CLIENT_ID,
                    request_timeout_ms=10_000,
                    **self.login.options(),
                )
                try:
                    await admin.start()
                except BaseException:
                    with suppress(Exception):
                        await admin.close()
                    raise
                self._admin = admin
            return self._admin

    async def _ready_producer(self, topic: str, timeout_s: float) -> AIOKafkaProducer:
        admin = await self._connect(timeout_s, time.monotonic())
        if topic not in self._known_topics:
            await describe_topics(admin, self.login, frozenset([topic]))
        async with self._connecting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=[f"{host}:{port}" for host, port in self.login.servers],
                    client_id=CLIENT_ID,
                    acks="all",
                    request_timeout_ms=10_000,
                    **self.login.options(),
                )
                try:
                    await producer.start()
                except BaseException:
                    with suppress(Exception):
                        await producer.stop()
                    raise
                self._producer = producer
                self._known_topics.clear()
        if topic not in self._known_topics:
            # what the library finds out by itself about one topic, it forgets when it learns of another
            await self._producer.client.add_topic(topic)
            self._known_topics.add(topic)
        return self._producer

    async def _why(self, error: BaseException) -> OrchestraError:
        """Tell why the cluster does not do what it is asked: a fresh connection may know better than an old one."""
        fault = cluster_fault(self.login, error)
        try:
            with quietly():
                await ask_brokers(self.login, 2.0)
        except OrchestraError as known:
            return known
        return fault

    def _command(self, topic: str, key: bytes | None, value: bytes | None, headers: JsonObject) -> str:
        """Give the command that publishes the same, by ``kcat``; credentials are left to the reader."""
        words = ["kcat", "-b", self.login.address, "-P", "-t", topic]
        if key is not None:
            words += ["-k", key.decode()]
        for name, text in headers.items():
            words += ["-H", f"{name}={text}"]
        if value is None:
            return _joined([*words, "-Z"]) + " <<< ''"
        try:
            text = value.decode() if value[:1] != b"\0" else None
        except UnicodeDecodeError:
            text = None
        if text is None:  # of a registry: bytes, which are sent as one message only from a file
            coded = base64.b64encode(value).decode()
            return f"printf %s {quote_word(coded)} | base64 -d | {_joined([*words, '/dev/stdin'])}"
        shown = shorten(text, _SHOWN_LIMIT)
        return f"printf %s {quote_word(str(shown))} | {_joined(words)}"


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer; what it cannot deliver soon is given up."""
    stopping = asyncio.ensure_future(producer.stop())
    if not (await asyncio.wait([stopping], timeout=_PATIENCE_S))[0]:
        # there is no other way: it waits for what is on its way for as long as a request may take
        producer._message_accumulator.fail_all(errors.KafkaConnectionError())  # noqa: SLF001
    await asyncio.wait([stopping])
    if stopping.cancelled() or stopping.exception() is not None:  # it stumbled over what was given up
        await producer.client.close()


def _joined(words: Iterable[str]) -> str:
    return " ".join(quote_word(word) for word in words)


def _said(error: Exception) -> str:
    text = str(error).rstrip(".")
    return text[:1].lower() + text[1:]


def _topic(call: StepCall) -> str:
    topic = call.address.get("topic")
    if not topic or not isinstance(topic, str):
        raise StepError(f"the topic is '{topic}'", place=call.step.place, hint="correct 'topic' of the step")
    return topic
