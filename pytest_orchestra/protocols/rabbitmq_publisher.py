"""Messages published to RabbitMQ, each confirmed by the broker."""

from __future__ import annotations

import asyncio
from typing import Final

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel
from pamqp.commands import Basic

from pytest_orchestra.data.redaction import mask_headers, shorten
from pytest_orchestra.engine.ports import CallTimeoutError, Reply, StepCall
from pytest_orchestra.errors import OrchestraError, StepError, UnusableEnvironmentError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.protocols.rabbitmq_connection import (
    DRIVER_ERRORS,
    BrokerConnection,
    close_channel,
)
from pytest_orchestra.protocols.rabbitmq_login import BrokerLogin
from pytest_orchestra.protocols.rabbitmq_message import build_message
from pytest_orchestra.protocols.timed_task import TimedTasks

__all__ = ["Publisher"]

_SHOWN_LIMIT: Final = 4_000


class Publisher:
    """Publishes to the exchanges of one broker, over a channel for each.

    The broker answers a publish to an exchange that is not there by closing the channel, for everyone on it.
    """

    def __init__(self, login: BrokerLogin, connection: BrokerConnection) -> None:
        self._login = login
        self._connection = connection
        self._channels: dict[str, AbstractChannel] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._tasks: TimedTasks[None] = TimedTasks()

    async def publish(self, call: StepCall) -> Reply:
        """Publish a call's message and wait until the broker has it, in a queue at least.

        A message that the exchange routes to no queue is an error and no violation: neither the broker nor a consumer
        did anything wrong that can be known; the routing key may be mistyped or the consumer not be deployed yet, and
        nothing that this run waits for could ever happen. Raises ``CallTimeoutError`` and what the port says.
        """
        queue, exchange = call.address.get("queueName"), str(call.address.get("exchange") or "")
        routing_key = str(call.address.get("routingKey") or "") if exchange else str(queue)
        message = build_message(call)
        sent: dict[str, JsonValue] = {
            "broker": self._login.address,
            "exchange": exchange,
            "routingKey": routing_key,
            "messageId": message.message_id,
            "headers": mask_headers(_headers_of(message.headers)),
            "value": shorten(call.message.get("value"), _SHOWN_LIMIT),
        }
        try:
            await self._tasks.run(self._send(message, exchange, routing_key), call.timeout_s)
        except TimeoutError:
            self._channels.pop(exchange, None)
            await self._connection.doubt()
            raise CallTimeoutError(Exchange(sent)) from None
        except aiormq.DeliveryError as error:
            raise self._refused(call, exchange, routing_key, error) from None
        except DRIVER_ERRORS as error:
            raise await self._connection.explain(error) from None
        response: JsonObject = {
            "exchange": exchange,
            "routingKey": routing_key,
            "messageId": message.message_id,
        }
        return Reply(response, Exchange(sent, {"confirmed": True}))

    async def close(self) -> None:
        """Close every channel."""
        await self._tasks.close()
        while self._channels:
            _, channel = self._channels.popitem()
            await close_channel(channel)

    async def _send(self, message: aio_pika.Message, exchange: str, routing_key: str) -> None:
        channel = await self._channel(exchange)
        target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        await target.publish(message, routing_key, mandatory=True)

    async def _channel(self, exchange: str) -> AbstractChannel:
        async with self._opening.setdefault(exchange, asyncio.Lock()):
            known = self._channels.get(exchange)
            if known is not None and not known.is_closed:
                return known
            channel = await self._connection.channel(confirms=True)
            if exchange:
                await channel.get_exchange(exchange)  # closes the channel where there is none
            self._channels[exchange] = channel
            return channel

    def _refused(self, call: StepCall, exchange: str, routing_key: str, error: aiormq.DeliveryError) -> OrchestraError:
        if not isinstance(error, aiormq.PublishError):
            kind = type(error.frame).__name__ if not isinstance(error.frame, Basic.Nack) else "nack"
            return UnusableEnvironmentError(
                f"{self._login.subject} refuses the message to '{exchange or routing_key}' ({kind})",
                hint="see whether a queue is full that it is routed to, and the broker's log",
            )
        if not exchange:
            return UnusableEnvironmentError(
                f"{self._login.subject} has no queue '{routing_key}'",
                hint="declare the queue before the tests, or correct its name in the step",
            )
        return StepError(
            f"{self._login.subject}: exchange '{exchange}' routes the message to no queue, with routing key "
            f"'{routing_key}'",
            place=call.step.place,
            hint="correct 'routingKey', or see whether the consumer is up that binds its queue there",
        )


def _headers_of(headers: object) -> dict[str, JsonValue]:
    assert isinstance(headers, dict)
    return headers
