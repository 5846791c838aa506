"""Listening to a Kafka cluster: one reader without a group, for all scenarios of a session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.structs import ConsumerRecord

from pytest_orchestra.errors import LoginRefusedError, OrchestraError, UnreachableError, UnusableEnvironmentError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.protocols.journal import Journal
from pytest_orchestra.protocols.kafka_connection import CLIENT_ID, cluster_fault, is_listening
from pytest_orchestra.protocols.kafka_login import KafkaLogin
from pytest_orchestra.protocols.message_codec import decode_headers, decode_text, decode_value
from pytest_orchestra.protocols.message_matching import Message
from pytest_orchestra.protocols.schema_registry import SchemaRegistry

__all__ = ["KafkaJournal", "make_consumer"]

_Record: TypeAlias = ConsumerRecord[Any, Any]

_REGISTRY_REST_S: Final = 0.25
_MOST_AT_ONCE: Final = 500
_LOOK_AROUND_MS: Final = 1_000
_CONFIRM_S: Final = 0.005
_SILENT_S: Final = 3.0
_CLOCKS_APART: Final = timedelta(seconds=5)
"""How much earlier than a run its messages may be dated, as its clock is not that of the brokers."""


@dataclass(slots=True)
class _Tap:
    """A partition that is listened to: from which offset, since when, and which comes next."""

    first: int
    live_from: int
    next: int
    ready_at: datetime | None = None


def make_consumer(login: KafkaLogin) -> AIOKafkaConsumer:
    """Give a consumer without a group that is not started. What transactions took back is not read."""
    return AIOKafkaConsumer(
        bootstrap_servers=[f"{host}:{port}" for host, port in login.servers],
        client_id=CLIENT_ID,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=25,
        request_timeout_ms=10_000,
        metadata_max_age_ms=2_000,
        **login.options(),
    )


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, also one that cannot reach its brokers at the moment.

    The library cancels its own pause between two attempts then, and stops half-way.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait([stopping])
    if stopping.cancelled():
        await consumer._client.close()  # noqa: SLF001  there is no other way to the rest of it
    else:
        stopping.result()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Makes messages of records that came at one moment."""

    at: datetime
    journal: KafkaJournal

    def message(self, record: _Record) -> Message:
        return self.journal.message_of(record, decode_value(record.value), self.at)


@dataclass(slots=True, eq=False)
class KafkaJournal:
    """The journal of a cluster, and the reader that fills it from the topics that scenarios watch."""

    login: KafkaLogin
    registry: SchemaRegistry | None = None
    journal: Journal = field(default_factory=Journal)
    _correlation_headers: set[str] = field(default_factory=set)
    _names: dict[str, bool] = field(default_factory=dict)
    _consumer: AIOKafkaConsumer | None = None
    _reader: asyncio.Task[None] | None = None
    _taps: dict[TopicPartition, _Tap] = field(default_factory=dict)
    _fault: OrchestraError | None = None
    _topic_faults: dict[str, OrchestraError] = field(default_factory=dict)
    _assigned_at: float = 0.0
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def know_header(self, name: str) -> None:
        """Take a header, whatever its case, for one that carries the correlation id."""
        if name.lower() not in self._correlation_headers:
            self._correlation_headers.add(name.lower())
            self._names.clear()

    def is_tapped(self, topic: str) -> bool:
        """Say whether a topic is listened to."""
        ready = [tap.ready_at is not None for part, tap in self._taps.items() if part.topic == topic]
        return bool(ready) and all(ready)

    async def tap(self, partitions: Mapping[str, Sequence[int]], since: datetime | None) -> None:
        """Listen to topics from now on, or from a moment; return when the brokers have answered from there.

        What is tapped already goes on as it is. Raises ``UnusableEnvironmentError``.
        """
        parts = [TopicPartition(topic, number) for topic, numbers in partitions.items() for number in numbers]
        if self._consumer is None:
            consumer = make_consumer(self.login)
            try:
                await consumer.start()
            except BaseException:
                await stop_consumer(consumer)
                raise
            self._consumer = consumer
        added = [part for part in parts if part not in self._taps]
        if added:
            # where a broker's end is too low, as some are, a little of the past is read; never is anything left out
            ends = await self._consumer.end_offsets(added)
            starts = await self._starts(self._consumer, ends, since)
            self._assign({part: _Tap(starts[part], ends[part], starts[part]) for part in added})
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(self._consumer))
        await self._confirm(self._consumer, parts)

    async def _starts(
        self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], since: datetime | None
    ) -> dict[TopicPartition, int]:
        """Give the first offsets of what came since a moment; the ends where nothing did."""
        if since is None:
            return dict(ends)
        moment = int((since - _CLOCKS_APART).timestamp() * 1000)
        found = await consumer.offsets_for_times(dict.fromkeys(ends, moment))
        return {
            part: end if (at := found.get(part)) is None or at.timestamp < moment else at.offset
            for part, end in ends.items()
        }

    def _assign(self, more: Mapping[TopicPartition, _Tap]) -> None:
        """Listen to more partitions. Between the lines nothing else runs, so that no position is lost."""
        assert self._consumer is not None
        self._taps.update(more)
        self._assigned_at = time.time()
        self._consumer.assign(list(self._taps))
        for part, tap in self._taps.items():
            self._consumer.seek(part, tap.next)

    async def _confirm(self, consumer: AIOKafkaConsumer, parts: Iterable[TopicPartition]) -> None:
        """Wait until the brokers have answered for each partition and all that they had by then was taken."""
        waiting = list(parts)
        while waiting:
            await self._note_ready(consumer)
            waiting = [part for part in waiting if self._taps[part].ready_at is None]
            if waiting:
                await self.check(waiting[0].topic)
                await asyncio.sleep(_CONFIRM_S)

    async def _note_ready(self, consumer: AIOKafkaConsumer) -> None:
        """Note which partitions are listened to by now: their brokers have answered, and nothing of it is left."""
        for part, tap in list(self._taps.items()):
            if tap.ready_at is None:
                end, stable = consumer.highwater(part), consumer.last_stable_offset(part)
                upto = end if stable is None or stable < 0 else stable
                if upto is not None and await consumer.position(part) >= upto:
                    tap.live_from, tap.ready_at = max(tap.live_from, tap.next), datetime.now(UTC)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """Take everything that comes, for as long as the session lasts."""
        looked_around = time.monotonic()
        while True:
            try:
                fetched = await consumer.getmany(timeout_ms=_LOOK_AROUND_MS, max_records=_MOST_AT_ONCE)
                self._fault = None
                for part, records in fetched.items():
                    self._taps[part].next = records[-1].offset + 1
                async with self._taking:
                    for part, records in fetched.items():
                        await self._take(part, records)
                if time.monotonic() - looked_around > _LOOK_AROUND_MS / 1000:
                    await self._look_around(consumer)
                    looked_around = time.monotonic()
            except errors.TopicAuthorizationFailedError as error:
                topic = str(error.args[0]) if error.args else ""
                self._topic_faults[topic] = cluster_fault(self.login, error)
                self.journal.wake()
            except errors.KafkaError as error:
                self._fault = cluster_fault(self.login, error)
                self.journal.wake()
            await asyncio.sleep(0)  # a busy topic leaves the loop to others as well

    async def _look_around(self, consumer: AIOKafkaConsumer) -> None:
        """Listen to partitions that were added meanwhile, from their beginning: all in them is new."""
        for topic in {part.topic for part in self._taps}:
            known = consumer.partitions_for_topic(topic) or ()
            added = [part for number in known if (part := TopicPartition(topic, number)) not in self._taps]
            if added:
                self._assign({part: _Tap(0, 0, 0) for part in added})
        await self._note_ready(consumer)

    async def _take(self, part: TopicPartition, records: Sequence[_Record]) -> None:
        tap = self._taps[part]
        is_past = tap.ready_at is None or records[0].offset < tap.live_from
        await self._add(records, is_past=is_past)

    async def _add(self, records: Sequence[_Record], *, is_past: bool) -> None:
        """Add records of one topic; what is in them is read when someone wants to know, or with a registry at once."""
        if not records:
            return
        topic, now = records[0].topic, datetime.now(UTC)
        if self.registry is None:
            self.journal.add_all(
                topic, records, self._identify, _Reading(now, self).message, arrived_at=now, is_past=is_past
            )
            return
        for record in records:
            value, facts = await self._decode(self.registry, record)
            self.journal.add(self.message_of(record, value, now, facts), is_past=is_past)

    def _identify(self, record: _Record) -> str | None:
        """Give the correlation id of a record by the headers that are known for it."""
        names = self._names
        for name, raw in record.headers:
            is_known = names.get(name)
            if is_known is None:
                is_known = names[name] = name.lower() in self._correlation_headers
            if is_known and raw is not None:
                return decode_text(raw)
        return None

    def message_of(self, record: _Record, value: JsonValue, at: datetime, facts: JsonObject | None = None) -> Message:
        """Give a record as a message."""
        told: JsonObject = {"partition": record.partition, "offset": record.offset, "timestamp": record.timestamp}
        return Message(
            address=record.topic,
            key=None if record.key is None else decode_text(record.key),
            value=value,
            headers=decode_headers(record.headers),
            correlation_id=self._identify(record),
            arrived_at=at,
            facts={**told, **(facts or {})},
        )

    async def _decode(self, registry: SchemaRegistry, record: _Record) -> tuple[JsonValue, JsonObject]:
        """Give the value by its schema, and what is wrong with it.

        While the registry is away, the reader waits for it, so that nothing is lost, and everyone is told.
        """
        while True:
            try:
                return await registry.decode(record.value), {}
            except (UnreachableError, LoginRefusedError) as error:
                self._fault = error
                self.journal.wake()
                await asyncio.sleep(_REGISTRY_REST_S)
            except OrchestraError as error:
                return decode_text(record.value or b""), {"valueError": error.fact}

    async def reread(self, topics: Iterable[str], since: datetime, timeout_s: float) -> None:
        """Bring back what came since a moment and is not in the journal: nobody listened then, or it was dropped.

        Raises ``TimeoutError``.
        """
        parts = [part for topic in topics for part in self._taps if part.topic == topic]
        consumer = make_consumer(self.login)
        try:
            async with asyncio.timeout(timeout_s):
                await consumer.start()
                starts = await self._starts(consumer, {part: self._taps[part].next for part in parts}, since)
                async with self._taking:  # else what the reader is about to add would be added twice
                    left = {part: self._taps[part].next for part in parts if starts[part] < self._taps[part].next}
                    known = {part: self._known(part) for part in left}
                if not left:
                    return
                consumer.assign(list(left))
                for part in left:
                    consumer.seek(part, starts[part])
                while left:
                    fetched = await consumer.getmany(timeout_ms=100, max_records=_MOST_AT_ONCE)
                    for part, records in fetched.items():
                        upto = left.get(part, 0)
                        missing = [one for one in records if one.offset < upto and one.offset not in known[part]]
                        await self._add(missing, is_past=True)
                    for part in list(left):
                        if await consumer.position(part) >= left[part]:
                            del left[part]
        finally:
            await stop_consumer(consumer)

    def _known(self, part: TopicPartition) -> set[object]:
        facts = [message.facts for message in self.journal.messages(part.topic)]
        return {one["offset"] for one in facts if one["partition"] == part.partition}

    async def check(self, topic: str) -> None:
        """Raise the error of ours if the topic cannot be listened to at present."""
        if topic in self._topic_faults:
            raise self._topic_faults[topic]
        if self._fault is not None:
            raise self._fault
        if self._reader is not None and self._reader.done() and not self._reader.cancelled():
            why = self._reader.exception()
            if why is not None:
                raise UnusableEnvironmentError(f"{self.login.subject}: reading it failed: {why}") from why
        if self._is_silent(topic) and not await is_listening(self.login):
            raise cluster_fault(self.login, ConnectionRefusedError())

    def _is_silent(self, topic: str) -> bool:
        """Say whether the brokers of a topic have not answered for a while, though they do all the time."""
        assert self._consumer is not None
        parts = [part for part in self._taps if part.topic == topic]
        answered = max((self._consumer.last_poll_timestamp(part) or 0 for part in parts), default=0) / 1000
        return time.time() - max(answered, self._assigned_at) > _SILENT_S

    def describe(self, topic: str) -> JsonObject:
        """Give for people how a topic is listened to: from which offsets, since when."""
        taps = {part.partition: tap for part, tap in sorted(self._taps.items()) if part.topic == topic}
        ready = [tap.ready_at for tap in taps.values() if tap.ready_at is not None]
        return {
            "cluster": self.login.alias,
            "servers": self.login.address,
            "topic": topic,
            "listensFrom": {str(number): tap.first for number, tap in taps.items()},
            "readyAt": min(ready).isoformat(timespec="milliseconds") if ready else None,
        }

    async def close(self) -> None:
        """Stop listening."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reader
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)
        self._taps.clear()
        self.journal.wake()
