"""What the warehouse answers to orders: through RabbitMQ, or over HTTP where there is none."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aio_pika
import httpx
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from shop.correlation import carried, carry, correlation_id

EXCHANGE: Final = "warehouse"
_QUEUE: Final = "orders.answers"
_CONNECT_S: Final = 90.0
_MOST_AT_ONCE: Final = 16

_log = logging.getLogger(__name__)


class Answers(Protocol):
    """A way to answer."""

    async def send(self, order_id: UUID, event: str) -> None:
        """Tell orders what was done for an order."""


class HttpAnswers:
    """Answers by a call of the orders service."""

    def __init__(self, http: httpx.AsyncClient, orders_url: str) -> None:
        self._http = http
        self._url = orders_url

    async def send(self, order_id: UUID, event: str) -> None:
        """Tell orders what was done for an order."""
        (await self._http.post(f"{self._url}/orders/{order_id}/events", json={"type": event})).raise_for_status()


class QueueAnswers:
    """Answers by messages that say their event in the routing key too: ``order.stock_reserved``."""

    def __init__(self, exchange: AbstractExchange) -> None:
        self._exchange = exchange

    async def send(self, order_id: UUID, event: str) -> None:
        """Tell orders what was done for an order; returns when the broker has it."""
        message = Message(
            json.dumps({"type": event, "orderId": str(order_id)}).encode(),
            content_type="application/json",
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=str(uuid4()),
            correlation_id=correlation_id.get(),
            headers=dict(carry()),
        )
        await self._exchange.publish(message, routing_key=f"order.{event.lower()}")


@asynccontextmanager
async def answering(amqp_url: str, http: httpx.AsyncClient, orders_url: str) -> AsyncIterator[Answers]:
    """Give the way to answer: by the broker if there is one."""
    if not amqp_url:
        yield HttpAnswers(http, orders_url)
        return
    async with _exchange(amqp_url) as (_, exchange):
        yield QueueAnswers(exchange)


@asynccontextmanager
async def hearing(amqp_url: str, handle: Callable[[UUID, str], Awaitable[None]]) -> AsyncIterator[None]:
    """Hear every answer that comes by the broker, if there is one."""
    if not amqp_url:
        yield
        return
    async with _exchange(amqp_url) as (channel, exchange):
        queue = await channel.declare_queue(_QUEUE, durable=True)
        await queue.bind(exchange, "order.#")

        async def hear(message: AbstractIncomingMessage) -> None:
            names = {name: str(value) for name, value in message.headers.items()}
            with carried(names):
                await _handle(message, handle)

        await queue.consume(hear)
        yield


async def _handle(message: AbstractIncomingMessage, handle: Callable[[UUID, str], Awaitable[None]]) -> None:
    try:
        async with message.process(requeue=False):
            answer = json.loads(message.body)
            await handle(UUID(answer["orderId"]), answer["type"])
    except Exception:  # noqa: BLE001 - one bad answer must not keep the others from being heard
        _log.exception("an answer was not handled")


@asynccontextmanager
async def _exchange(amqp_url: str) -> AsyncIterator[tuple[aio_pika.abc.AbstractChannel, AbstractExchange]]:
    await _wait_for_broker(amqp_url)
    async with await aio_pika.connect_robust(amqp_url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=_MOST_AT_ONCE)
        yield (channel, await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True))


async def _wait_for_broker(amqp_url: str) -> None:
    """Wait for its port: the client tells of every attempt that is refused."""
    parts = urlsplit(amqp_url)
    async with asyncio.timeout(_CONNECT_S):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or 5672)
                writer.close()
                return
            await asyncio.sleep(0.1)
