"""The system under test of queue steps: exchanges, queues and messages on a real RabbitMQ broker."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from protocol_calls import make_call

from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.protocols.queue import QueueProtocol

__all__ = ["Shop", "found", "outcome", "refusal"]

_ADDRESS = ("brokerAlias", "queueName", "exchange", "routingKey")


class Shop:
    """The system under test: has exchanges and queues on the broker, publishes and consumes."""

    def __init__(self, broker: Any, connection: Any, channel: Any) -> None:
        self.broker = broker
        self.connection = connection
        self.channel = channel

    @property
    def subject(self) -> str:
        """What errors call the broker."""
        return f"broker 'main' at '127.0.0.1:{self.broker.port}/shop'"

    async def exchange(self, kind: str = "topic") -> Any:
        """Declare an exchange of a new name."""
        return await self.channel.declare_exchange(f"x-{uuid4().hex[:8]}", kind, auto_delete=False, durable=True)

    async def queue(self, **arguments: Any) -> Any:
        """Declare a queue of a new name."""
        name = f"q-{uuid4().hex[:8]}"
        return await self.channel.declare_queue(name, durable=bool(arguments), arguments=arguments or None)

    async def put(self, queue: Any, *values: Any, **properties: Any) -> None:
        """Put messages of run ``corr-1`` into a queue."""
        for value in values:
            message = aio_pika.Message(str(value).encode(), **{"correlation_id": "corr-1", **properties})
            await self.channel.default_exchange.publish(message, queue.name)

    def call(self, definition: dict[str, Any], *, port: int | None = None, **fields: Any) -> Any:
        """Give a call as the engine makes it: what it sends or expects is the step's own, rendered."""
        environment = fields.pop("environment", None) or self.broker.environment(port=port)
        secrets = fields.pop("secrets", self.broker.secrets)
        timeout_s = fields.pop("timeout_s", 20.0)
        call = make_call(definition, environment, secrets=secrets, timeout_s=timeout_s)
        step = call.step
        given = {"value": step.value_template, "key": step.key_expression}
        defaults = {
            "run_id": "run-1",
            "headers": step.headers,
            "address": {name: definition[name] for name in _ADDRESS if name in definition},
            "message": {name: value for name, value in given.items() if value is not None},
        }
        return replace(call, **{**defaults, **fields})

    def waiting(self, exchange: Any, pattern: str | None = None, **fields: Any) -> Any:
        """Give an assertion about an exchange."""
        definition = {"kind": "ASSERTION", "exchange": exchange.name, **fields.pop("step", {})}
        if pattern is not None:
            definition["routingKey"] = pattern
        return self.call(definition, **fields)

    def looking(self, queue: Any, **fields: Any) -> Any:
        """Give an assertion about a queue."""
        name = queue if isinstance(queue, str) else queue.name
        return self.call({"kind": "ASSERTION", "queueName": name, **fields.pop("step", {})}, **fields)


async def found(protocol: QueueProtocol, call: Any, count: int) -> dict[str, Any]:
    """Look as the engine does until so many messages are there."""
    async with asyncio.timeout(20):
        while True:
            response: dict[str, Any] = (await protocol.execute(call, {})).response
            if response["count"] >= count:
                return response
            await protocol.news(call, 20)


async def outcome(doing: Any) -> OrchestraError | None:
    """Give the error that something ends with; None if it does not."""
    try:
        await doing
    except OrchestraError as error:
        return error
    return None


async def refusal(doing: Any) -> OrchestraError:
    """Give the error that something ends with."""
    with pytest.raises(OrchestraError) as caught:
        await doing
    return caught.value
