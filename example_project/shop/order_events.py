"""What happens to orders, told through Kafka: published by orders, heard by whoever has to do with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError

from shop.correlation import carried, carry, correlation_id
from shop.faults import Fault, Faults
from shop.schemas import CorrelationId, Item, Money, Schema

TOPIC: Final = "orders"
_CONNECT_S: Final = 30.0

_log = logging.getLogger(__name__)


class EventKind(StrEnum):
    """What an event tells."""

    ORDER_CONFIRMED = "ORDER_CONFIRMED"
    ORDER_CANCELLED = "ORDER_CANCELLED"


class OrderMessage(Schema):
    """What is published of an order, under its id as key: all events of one order stay in their order."""

    type: EventKind
    order_id: UUID
    correlation_id: CorrelationId
    items: list[Item]
    total: Money
    currency: Literal["EUR"] = "EUR"


class OrderEvents:
    """Publishes what happens to orders."""

    def __init__(self, producer: AIOKafkaProducer, faults: Faults) -> None:
        self._producer = producer
        self._faults = faults

    async def publish(self, kind: EventKind, order_id: UUID, items: list[Item], total: Decimal) -> None:
        """Publish an event of an order; returns when the broker has it."""
        message = OrderMessage(
            type=kind, order_id=order_id, correlation_id=correlation_id.get(), items=items, total=total
        )
        times = 2 if Fault.DUPLICATE_EVENT in self._faults else 1
        for _ in range(times):
            await self._producer.send_and_wait(
                TOPIC,
                key=str(order_id).encode(),
                value=message.model_dump_json(by_alias=True).encode(),
                headers=[(name, value.encode()) for name, value in carry().items()],
            )
        _log.info("order %s: published %s", order_id, kind)


@asynccontextmanager
async def publishing(servers: str, faults: Faults) -> AsyncIterator[OrderEvents]:
    """Connect to publish."""
    await _create_topic(servers)
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    await producer.start()
    try:
        yield OrderEvents(producer, faults)
    finally:
        await producer.stop()


@asynccontextmanager
async def hearing(servers: str, group: str, handle: Callable[[OrderMessage], Awaitable[None]]) -> AsyncIterator[None]:
    """Hear every event, once and in its order, also those that came while nobody of the group was there."""
    await _create_topic(servers)
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=25,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=1_000,
    )
    await consumer.start()
    reader = asyncio.create_task(_read(consumer, handle))
    try:
        yield
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, handle: Callable[[OrderMessage], Awaitable[None]]) -> None:
    async for record in consumer:
        with carried({name: value.decode() for name, value in record.headers}):
            await _handle(record, handle)
        await consumer.commit()


async def _handle(record: ConsumerRecord, handle: Callable[[OrderMessage], Awaitable[None]]) -> None:
    try:
        await handle(OrderMessage.model_validate_json(record.value))
    except Exception:  # noqa: BLE001 - one bad event must not keep the others from being heard
        _log.exception("an event was not handled")


async def _create_topic(servers: str) -> None:
    until = asyncio.get_running_loop().time() + _CONNECT_S
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        try:
            await admin.start()
            if TOPIC not in await admin.list_topics():
                await admin.create_topics([NewTopic(TOPIC, 1, 1)])  # that somebody else was faster is fine
        except KafkaConnectionError:
            if asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(0.05)
        else:
            return
        finally:
            await admin.close()
