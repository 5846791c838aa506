"""Looks into queues of RabbitMQ that take nothing away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from pytest_orchestra.errors import StepError
from pytest_orchestra.protocols.message_matching import Message
from pytest_orchestra.protocols.rabbitmq_connection import DRIVER_ERRORS, BrokerConnection
from pytest_orchestra.protocols.rabbitmq_login import BrokerLogin
from pytest_orchestra.protocols.rabbitmq_message import read_message
from pytest_orchestra.protocols.timed_task import TimedTasks

__all__ = ["QueueBrowser"]

_MOST_MESSAGES: Final = 1_000
_MOST_DELIVERIES: Final = 10
_DELIVERY_COUNT: Final = "x-delivery-count"
_RETURN_LIMIT_S: Final = 0.2
_RETURN_INTERVAL_S: Final = 0.005


@dataclass(slots=True)
class _Spot:
    """A queue that is looked into: the number of the look that began last, and of the one whose result is there."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    done: int = 0
    found: list[Message] = field(default_factory=list)


class QueueBrowser:
    """Looks into the queues of one broker, one look at a time into each.

    Two looks at once would hide messages from each other. All who ask for a look before it begins share its result.
    """

    def __init__(self, login: BrokerLogin, connection: BrokerConnection) -> None:
        self._login = login
        self._connection = connection
        self._spots: dict[tuple[str, str], _Spot] = {}
        self._tasks: TimedTasks[list[Message]] = TimedTasks()

    async def look(self, queue: str, correlation_header: str, timeout_s: float) -> list[Message]:
        """Give the messages that are ready in a queue, in its order, and leave them there.

        They are got without acknowledging them, and given back all at once: RabbitMQ puts them back to where they were
        (measured on 3.10, classic and quorum queues), and marks them as redelivered. A quorum queue counts that, and
        drops a message that was delivered too often, so that such a message is looked at ten times at most.

        The messages of a look that is cut off go back with its channel, before the next look begins.

        Raises ``TimeoutError``, and ``StepError`` there or where the queue is too long to be looked into.
        """
        return await self._tasks.run(self._look(queue, correlation_header), timeout_s)

    async def close(self) -> None:
        """Wait for looks that are being ended."""
        await self._tasks.close()

    async def _look(self, queue: str, correlation_header: str) -> list[Message]:
        spot = self._spots.setdefault((queue, correlation_header), _Spot())
        wanted = spot.begun + 1
        async with spot.turn:
            if spot.done < wanted:
                spot.begun += 1
                number = spot.begun
                spot.found = await self._browse(queue, correlation_header)
                spot.done = number
            return spot.found

    async def _browse(self, queue: str, correlation_header: str) -> list[Message]:
        async with self._connection.passing_channel() as channel:
            try:
                source = await channel.declare_queue(queue, passive=True)
                count = source.declaration_result.message_count or 0
                if count > _MOST_MESSAGES:
                    raise StepError(
                        f"{self._login.subject}: queue '{queue}' holds {count} messages, and no more than "
                        f"{_MOST_MESSAGES} can be looked at without taking them",
                        hint="purge it before the tests, or listen at its 'exchange'",
                    )
                taken: list[AbstractIncomingMessage] = []
                while len(taken) < count:
                    incoming = await source.get(no_ack=False, fail=False)
                    if incoming is None:
                        break
                    taken.append(incoming)
                if taken:
                    await taken[-1].channel.basic_nack(taken[-1].delivery_tag or 0, multiple=True, requeue=True)
                    await _await_return(channel, queue, len(taken))
            except DRIVER_ERRORS as error:
                raise await self._connection.explain(error) from None
        self._refuse_worn(queue, taken)
        return [read_message(incoming, queue, correlation_header) for incoming in taken]

    def _refuse_worn(self, queue: str, taken: list[AbstractIncomingMessage]) -> None:
        counts = (incoming.headers.get(_DELIVERY_COUNT) for incoming in taken)
        most = max((count for count in counts if isinstance(count, int)), default=0)
        if most >= _MOST_DELIVERIES:
            raise StepError(
                f"{self._login.subject}: queue '{queue}' counts how often a message is delivered, {most} times by now, "
                "and would drop it if it were looked at much more often",
                hint="listen at the 'exchange' that feeds it",
            )


async def _await_return(channel: AbstractChannel, queue: str, count: int) -> None:
    """Wait until messages that were given back are in their queue again, or until a consumer must have taken them.

    A classic queue has them back when it answers the next question; a quorum queue writes them to disk before that.
    """
    limit = asyncio.get_running_loop().time() + _RETURN_LIMIT_S
    while True:
        there = (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0
        if there >= count or asyncio.get_running_loop().time() > limit:
            return
        await asyncio.sleep(_RETURN_INTERVAL_S)
