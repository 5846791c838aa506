"""The contract of all protocols, held by RabbitMQ."""

from __future__ import annotations

import uuid

import pytest

aio_pika = pytest.importorskip("aio_pika", reason="needs 'aio-pika', the client of rabbitmq")

from pytest_orchestra.errors import UnusableEnvironmentError  # noqa: E402
from pytest_orchestra.protocol_contract import ProtocolContract  # noqa: E402
from pytest_orchestra.protocols.queue import QueueProtocol  # noqa: E402

pytest_plugins = ["rabbitmq_broker"]


class TestRabbitContract(ProtocolContract):
    """RabbitMQ: an action publishes, an assertion finds it in the queue."""

    rubbish_raises = hang_up_raises = (UnusableEnvironmentError,)

    def make_protocol(self):
        return QueueProtocol()

    @pytest.fixture
    async def call(self, rabbit):
        user, password = rabbit.secrets.values()
        self.rabbit, name = rabbit, f"contract-{uuid.uuid4().hex[:8]}"
        connection = await aio_pika.connect(
            host=rabbit.host, port=rabbit.port, virtualhost="shop", login=user, password=password
        )
        channel = await connection.channel()
        self.queue = await channel.declare_queue(name, durable=True)
        yield self.step(kind="ACTION", valueTemplate={"total": 12.5})
        await connection.close()

    @pytest.fixture
    def look(self, call):  # noqa: ARG002  it makes the queue
        return self.step(kind="ASSERTION")

    def step(self, **fields):
        environment = self.rabbit.environment()
        return self.make_call({"queueName": self.queue.name, **fields}, environment, secrets=self.rabbit.secrets)

    async def arrived(self, reply):  # noqa: ARG002  what the queue holds counts
        message = await self.queue.get(no_ack=True)
        return f"{message.correlation_id} {message.headers}"
