"""The RabbitMQ brokers of a session: what is open to each, for all scenarios."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_orchestra.data.redaction import shorten
from pytest_orchestra.engine.ports import CallTimeoutError, Reply, StepCall
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.model.vocabulary import StepKind
from pytest_orchestra.protocols.journal import Journal, read_journal
from pytest_orchestra.protocols.listening_point import ListeningPoint, is_listened_for
from pytest_orchestra.protocols.message_matching import MessageQuery
from pytest_orchestra.protocols.rabbitmq_browser import QueueBrowser
from pytest_orchestra.protocols.rabbitmq_connection import BrokerConnection, quiet_driver
from pytest_orchestra.protocols.rabbitmq_listener import ExchangeListener
from pytest_orchestra.protocols.rabbitmq_login import BrokerLogin
from pytest_orchestra.protocols.rabbitmq_publisher import Publisher

__all__ = ["BrokerSession"]


@dataclass(frozen=True, slots=True)
class _Broker:
    """What is open to a broker.

    Listening has a connection of its own: the broker stops reading from one that publishes when it runs short of
    memory, and closes one that asks something it cannot do, such as to look into a stream.
    """

    connection: BrokerConnection
    publisher: Publisher
    browser: QueueBrowser
    listener: ExchangeListener

    @classmethod
    def of(cls, login: BrokerLogin) -> _Broker:
        """Make it; nothing is opened before it is used."""
        connection = BrokerConnection(login, "steps")
        publisher = Publisher(login, connection)
        return cls(connection, publisher, QueueBrowser(login, connection), ExchangeListener(login))


class BrokerSession:
    """Publishes, listens and looks at the brokers of environments; must be made and used on one running loop."""

    def __init__(self) -> None:
        self._brokers: dict[BrokerLogin, _Broker] = {}

    async def prepare(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        """Listen at the exchanges of all assertions among the calls, which are those of one run."""
        wanted: dict[BrokerLogin, list[StepCall]] = {}
        for call in calls:
            if is_listened_for(call):
                wanted.setdefault(BrokerLogin.of(call), []).append(call)
        for login, assertions in wanted.items():
            with quiet_driver():
                await self._broker(login).listener.listen(assertions, since)

    async def execute(self, call: StepCall) -> Reply:
        """Publish, or look for messages."""
        login = BrokerLogin.of(call)
        broker = self._broker(login)
        with quiet_driver():
            if call.step.kind is StepKind.ACTION:
                return await broker.publisher.publish(call)
            if is_listened_for(call):
                return await broker.listener.find(ListeningPoint.of(call), call)
            return await _look(broker, login, call)

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Wait for messages at an exchange; nobody tells of those in a queue."""
        if is_listened_for(call):
            await self._broker(BrokerLogin.of(call)).listener.news(ListeningPoint.of(call), call, longest_s)
        else:
            await asyncio.sleep(longest_s)

    def release(self, run_id: str) -> None:
        """Forget what was kept for a run."""
        for broker in self._brokers.values():
            broker.listener.release(run_id)

    async def close(self) -> None:
        """Close every connection."""
        with quiet_driver():
            while self._brokers:
                _, broker = self._brokers.popitem()
                await broker.listener.close()
                await broker.publisher.close()
                await broker.browser.close()
                await broker.connection.close()

    def _broker(self, login: BrokerLogin) -> _Broker:
        broker = self._brokers.get(login)
        if broker is None:
            broker = self._brokers[login] = _Broker.of(login)
        return broker


async def _look(broker: _Broker, login: BrokerLogin, call: StepCall) -> Reply:
    """Look into a queue. ``unexplained`` are those of the run in it that this assertion does not mean."""
    queue = str(call.address["queueName"])
    query = MessageQuery.of(call, queue)
    looking: JsonObject = {"broker": login.address, "queue": queue}
    try:
        found = await broker.browser.look(queue, call.correlation_header, call.timeout_s)
    except TimeoutError:
        await broker.connection.doubt()
        raise CallTimeoutError(Exchange({**looking, "sought": shorten(query.to_json(), 4_000)})) from None
    journal = Journal()
    for message in found:
        journal.add(message)
    return read_journal(journal, query, {**looking, "messagesInQueue": len(found)})
