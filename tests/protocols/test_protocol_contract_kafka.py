"""The contract of all protocols, held by Kafka."""

from __future__ import annotations

import uuid

import pytest

pytest.importorskip("aiokafka", reason="needs 'aiokafka', the client of Kafka")

from aiokafka import AIOKafkaConsumer

from pytest_orchestra.errors import UnreachableError
from pytest_orchestra.protocol_contract import ProtocolContract
from pytest_orchestra.protocols.kafka import KafkaProtocol

pytest_plugins = ["kafka_fixtures"]


class TestKafkaContract(ProtocolContract):
    """Kafka: an action publishes, an assertion finds it."""

    rubbish_raises = (UnreachableError,)

    def make_protocol(self):
        return KafkaProtocol()

    @pytest.fixture
    def call(self, kafka_broker):
        self.broker = kafka_broker
        self.topic = f"contract.{uuid.uuid4().hex}"
        kafka_broker.make_topics(self.topic)
        return self.step(kind="ACTION", valueTemplate={"total": 12.5})

    @pytest.fixture
    def look(self, call):  # noqa: ARG002  it makes the topic
        return self.step(kind="ASSERTION")

    def step(self, **fields):
        return self.make_call({"topic": self.topic, **fields}, self.broker.environment())

    async def arrived(self, reply):  # noqa: ARG002  what the topic holds counts
        async with AIOKafkaConsumer(
            self.topic, bootstrap_servers=self.broker.address, auto_offset_reset="earliest"
        ) as consumer:
            return str((await consumer.getone()).headers)

    def proxied(self, call):  # noqa: ARG002  there is no way
        pytest.skip("the broker itself says where clients connect to, so that nothing goes by way of the proxy")
