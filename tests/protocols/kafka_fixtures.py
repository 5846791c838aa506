"""Fixtures of tests with Kafka: brokers for the whole session, and the protocol under test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kafka_broker import Broker, apache_kafka, tansu

from pytest_orchestra.protocols.kafka import KafkaProtocol


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Broker]:
    """Give a broker for all tests."""
    with tansu() as broker:
        yield broker


@pytest.fixture(scope="session")
def real_kafka(certificate: tuple[Path, Path]) -> Iterator[Broker]:
    """Give an Apache Kafka for all tests."""
    with apache_kafka(certificate) as broker:
        yield broker


@pytest.fixture
async def kafka() -> AsyncIterator[KafkaProtocol]:
    """Give the protocol under test, closed in the end."""
    pytest.importorskip("aiokafka", reason="needs 'aiokafka', the Kafka client")
    protocol = KafkaProtocol()
    yield protocol
    await protocol.close()
