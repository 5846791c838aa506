"""Simulated consumers at real brokers, through the protocols that steps use."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

pytest.importorskip("aiokafka", reason="needs 'aiokafka', the Kafka client")

from kafka_broker import kafka_call

from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.simulation.consumer import SimulatedConsumer
from pytest_orchestra.simulation.messaging import Messaging
from pytest_orchestra.simulation.participant import Participant

pytest_plugins = ["kafka_fixtures"]

GENEROUS_S = 30.0


async def test_simulated_consumer_of_a_topic_answers_a_step_with_its_correlation_id(kafka, kafka_broker):
    """A step publishes, the participant replies once for each message, and another step sees the replies of its run."""
    kafka_broker.make_topics("simulated.asked", "simulated.done")
    rule = {
        "topic": "simulated.asked",
        "remember": {"sum": "{{message.value.qty + (state.sum | default(0))}}"},
        "publish": {"topic": "simulated.done", "key": "{{correlationId}}", "value": {"sum": "{{state.sum}}"}},
    }
    messaging = Messaging({"KAFKA": kafka}, Environment.model_validate(kafka_broker.environment()))
    participant = Participant("stock", Simulation.model_validate({"onMessage": rule}), messaging=messaging)
    consumer = SimulatedConsumer(participant, messaging)
    await consumer.start()
    look = kafka_call(kafka_broker, "simulated.done")
    await kafka.prepare([look], None)
    ask = kafka_call(kafka_broker, "simulated.asked", kind="ACTION", value={"qty": 2}, valueTemplate={"qty": 2})
    try:
        await kafka.execute(ask, {})
        await kafka.execute(replace(ask, correlation_id="corr-2"), {})
        await kafka.execute(ask, {})
        async with asyncio.timeout(GENEROUS_S):
            while (reply := await kafka.execute(look, {})).response["count"] < 2:
                await kafka.news(look, 1.0)
    finally:
        await consumer.close()
    seen = [(each["key"], each["value"]) for each in reply.response["messages"]]
    assert seen == [("corr-run-1", {"sum": 2}), ("corr-run-1", {"sum": 4})]
    assert participant.faults == []
