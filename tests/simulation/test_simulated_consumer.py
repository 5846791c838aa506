"""A simulated consumer hears messages and publishes its own: late, twice, in another order, or not at all."""

from __future__ import annotations

import asyncio
from types import MappingProxyType

import pytest
from simulated_shop import make_service

from pytest_orchestra.engine.ports import Reply
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import Exchange, ViolationType
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.protocols.webhook import WebhookProtocol
from pytest_orchestra.simulation.consumer import SimulatedConsumer
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.messaging import Messaging
from pytest_orchestra.simulation.participant import Participant


class Broker:
    """A broker in memory, behind the port of protocols."""

    protocol_id = "kafka"
    channel_type = "KAFKA"
    unfulfilled = ViolationType.KAFKA_MESSAGE_NOT_FOUND
    default_until = "count > 0"

    def __init__(self):
        self.topics = {}
        self.prepared = []
        self.released = []
        self._news = asyncio.Condition()

    def parse_spec(self, *_):
        return None

    def find_operation(self, *_):
        return None

    def check(self, *_):
        return []

    def validate(self, *_):
        return []

    async def close(self):
        pass

    async def execute(self, call, _):
        messages = self.topics.setdefault(call.address["topic"], [])
        if call.step.kind == "ASSERTION":
            return Reply({"messages": list(messages), "count": len(messages)}, Exchange())
        await self.put(call.address["topic"], call.message["value"], call.correlation_id)
        return Reply({}, Exchange())

    async def put(self, topic, value, correlation_id="corr-1"):
        messages = self.topics.setdefault(topic, [])
        async with self._news:
            facts = {"value": value, "correlationId": correlation_id, "partition": 0, "offset": len(messages)}
            messages.append(facts)
            self._news.notify_all()

    async def prepare(self, calls, _):
        self.prepared += [call.address["topic"] for call in calls]

    async def news(self, _, longest_s):
        await asyncio.sleep(min(longest_s, 0.005))

    async def release(self, run_id):
        self.released.append(run_id)

    async def values(self, topic, count):
        """Wait until so many messages have come to a topic."""
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: len(self.topics.get(topic, ())) >= count)
        return [message["value"] for message in self.topics[topic]]


RULES = [
    {
        "topic": "orders",
        "when": "message.value.qty > 10",
        "publish": {"topic": "refused", "value": "{{message.value}}"},
    },
    {
        "topic": "orders",
        "remember": {"qty": "{{message.value.qty + (state.qty | default(0))}}"},
        "publish": {"topic": "reserved", "value": {"qty": "{{state.qty}}", "nth": "{{count}}"}},
    },
]


@pytest.fixture
async def broker():
    return Broker()


@pytest.fixture
async def consume(broker):
    """Start a simulated consumer."""
    started = []

    async def starting(simulation, distort=None):
        spoiling = Distortion.read(distort) if distort else None
        messaging = Messaging({"KAFKA": broker}, Environment(), MappingProxyType({}))
        participant = Participant("stock", Simulation.model_validate(simulation), "X-Correlation-ID", spoiling)
        participant.messaging = messaging
        consumer = SimulatedConsumer(participant, messaging)
        await consumer.start()
        started.append(consumer)
        return participant

    yield starting
    for consumer in started:
        await consumer.close()


async def test_first_rule_that_holds_publishes_and_state_is_kept_by_correlation_id(broker, consume):
    """Each message is taken once, and replies carry the correlation id of what they reply to."""
    await consume({"onMessage": RULES})
    assert broker.prepared == ["orders"]
    for qty, correlation_id in ((3, "a"), (20, "a"), (4, "a"), (5, "b")):
        await broker.put("orders", {"qty": qty}, correlation_id)
    assert await broker.values("refused", 1) == [{"qty": 20}]
    reserved = await broker.values("reserved", 3)
    assert sorted(map(str, reserved)) == sorted(
        map(str, [{"qty": 3, "nth": 1}, {"qty": 7, "nth": 3}, {"qty": 5, "nth": 1}])
    )
    assert sorted(each["correlationId"] for each in broker.topics["reserved"]) == ["a", "a", "b"]


async def test_messages_come_twice_where_all_are_doubled(broker, consume):
    """``duplicates`` is for consumers that must expect that."""
    await consume({"onMessage": RULES, "duplicates": 1})
    await broker.put("orders", {"qty": 1})
    assert await broker.values("reserved", 2) == [{"qty": 1, "nth": 1}] * 2


async def test_late_message_comes_after_the_one_behind_it(broker, consume):
    """``reorder`` holds a message back until the next of its correlation id has been sent."""
    two = [{"topic": "out", "value": 1}, {"topic": "out", "value": 2, "delayMs": 5}]
    chances = {"reorder": 0.5}
    for seed in range(50):  # a seed by which the first is held back and the second is not
        tried = Participant("stock", Simulation(reorder=0.5, seed=seed)).chances
        if tried.happens(0.5, "corr-1", "reorder out") and not tried.happens(0.5, "corr-1", "reorder out"):
            chances["seed"] = seed
            break
    await consume({"onMessage": {"topic": "orders", "publish": two}, **chances})
    await broker.put("orders", {})
    assert await broker.values("out", 2) == [2, 1]


async def test_nothing_comes_of_lost_messages(broker, consume):
    """What is lost by chance, and what is spoiled by a rehearsal, look the same."""
    await consume({"onMessage": {"topic": "one", "publish": {"topic": "out", "value": 1}}, "loss": 1})
    await consume({"onMessage": {"topic": "two", "publish": {"topic": "out", "value": 2}}}, "stock.messages:lost")
    await consume({"onMessage": {"topic": "three", "publish": {"topic": "out", "value": 3}}}, "stock.messages:numbers")
    for topic in ("one", "two", "three"):
        await broker.put(topic, {})
    assert await broker.values("out", 1) == [4]


async def test_rule_that_cannot_be_followed_is_noted_and_the_next_message_is_taken(broker, consume):
    """One bad message does not silence the participant."""
    participant = await consume(
        {"onMessage": {"topic": "orders", "publish": {"topic": "out", "value": "{{message.value.qty}}"}}}
    )
    await broker.put("orders", {})
    await broker.put("orders", {"qty": 2})
    assert await broker.values("out", 1) == [2]
    assert len(participant.faults) == 1
    assert participant.faults[0].startswith("simulated 'stock': at 'orders': ")


async def test_callback_reaches_the_listener_with_its_correlation_id(tmp_path, client):
    """A simulated service calls back by itself, and refusals of that are noted."""
    webhooks = WebhookProtocol()
    url = await webhooks.listen()
    rules = {"operations": {"getLatest": {"call": {"url": "{{services.shop}}/hook", "body": {"n": "{{count}}"}}}}}
    service = make_service(tmp_path, rules)
    service.participant.services = {"shop": url}
    await service.start()
    try:
        async with client.get(f"{service.base_url}/payments/latest", headers={"X-Correlation-ID": "corr-7"}):
            pass
        journal = webhooks._listener.journal
        async with asyncio.timeout(30):
            while not journal.messages("/hook"):  # noqa: ASYNC110  nobody waits at the port here
                await asyncio.sleep(0.01)
        (message,) = journal.messages("/hook")
        assert (message.value, message.headers["x-correlation-id"]) == ({"n": 1}, "corr-7")
    finally:
        await service.close()
        await webhooks.close()
