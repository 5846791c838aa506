"""Simulated Kafka clusters and queue brokers: to steps like real ones, without a server and without an extra."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from protocol_calls import make_call

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.kafka import KafkaProtocol
from pytest_orchestra.protocols.queue import QueueProtocol
from pytest_orchestra.protocols.simulated_queue import matches_topic

pytest_plugins = ["kafka_fixtures", "rabbitmq_broker"]

SIMULATED = {
    "kafkaProfiles": {"main": {"simulated": True}},
    "queueProfiles": {
        "main": {
            "simulated": True,
            "exchanges": {"audit": "fanout", "tasks": {"type": "direct", "queues": {"inbox": "new"}}},
        }
    },
}
ADDRESS = ("topic", "exchange", "queueName", "routingKey", "clusterAlias", "brokerAlias")
GENEROUS_S = 20.0


def call_of(environment, run="run-1", **definition):
    """Give a call as the engine makes it; an assertion unless ``kind`` says otherwise."""
    call = make_call({"kind": "ASSERTION", **definition}, environment, timeout_s=GENEROUS_S)
    step = call.step
    rendered = {"value": step.value_template, "key": step.key_expression}
    return replace(
        call,
        run_id=run,
        correlation_id=f"corr-{run}",
        address={name: definition[name] for name in ADDRESS if name in definition},
        message={name: value for name, value in rendered.items() if value is not None},
        headers=step.headers,
    )


def simulated(run="run-1", **definition):
    return call_of(SIMULATED, run, **definition)


@pytest.fixture
async def kafka():
    protocol = KafkaProtocol()
    yield protocol
    await protocol.close()


@pytest.fixture
async def queue():
    protocol = QueueProtocol()
    yield protocol
    await protocol.close()


async def talk(protocol, environment, topic):
    """Publish all kinds of messages, and give what assertions of two runs see of them, without places and times."""
    looks = [
        call_of(environment, topic=topic),
        call_of(environment, topic=topic, valueTemplate={"n": 1}),
        call_of(environment, topic=topic, keyExpression="b", headers={"x-origin": "test"}),
        call_of(environment, topic=topic, correlationIdExpr="message.value.id"),
        call_of(
            environment, "run-2", topic=topic, correlationIdExpr="none", valueTemplate="^5", valueMatcherMode="REGEX"
        ),
    ]
    for look in looks:
        await protocol.prepare([look], None)
    for fields in (
        {"keyExpression": "a", "valueTemplate": {"n": 1, "id": "corr-run-1"}},
        {"keyExpression": "b", "valueTemplate": "5", "headers": {"x-origin": "test", "left": None, "n": 3}},
        {"keyExpression": "b"},
        {"valueTemplate": [1.5, "ä"], "headers": {"X-CORRELATION-ID": "corr-run-2"}},
        {"valueTemplate": "no JSON"},
    ):
        await protocol.execute(call_of(environment, kind="ACTION", topic=topic, **fields), {})
    seen = []
    async with asyncio.timeout(GENEROUS_S):
        while (await protocol.execute(looks[0], {})).response["count"] < 4:
            await protocol.news(looks[0], 1.0)
    for look in looks:
        response = (await protocol.execute(look, {})).response
        seen.append(
            {
                name: [{**each, "timestamp": None, "partition": None, "offset": None} for each in response[name]]
                for name in ("messages", "unexplained")
            }
        )
    return seen


async def test_simulated_cluster_shows_steps_what_a_real_one_does(kafka, kafka_broker):
    """Keys, headers, tombstones, texts that are numbers, matchers and correlation are the same, message by message."""
    kafka_broker.make_topics("simulated.like-real")
    real = await talk(kafka, kafka_broker.environment(), "simulated.like-real")
    assert await talk(kafka, SIMULATED, "simulated.like-real") == real
    assert [len(each["messages"]) for each in real] == [4, 1, 1, 1, 1]


async def test_waiting_at_a_simulated_cluster_ends_with_the_message(kafka):
    """Nobody polls: the message itself wakes who waits for it, and gives its place in the topic."""
    look = simulated(topic="orders")
    await kafka.prepare([look], None)
    waiting = asyncio.create_task(kafka.news(look, GENEROUS_S))
    await asyncio.sleep(0)
    put = await kafka.execute(simulated(kind="ACTION", topic="orders", valueTemplate={"n": 1}), {})
    async with asyncio.timeout(GENEROUS_S):
        await waiting
    assert (put.response["partition"], put.response["offset"]) == (0, 0)
    again = await kafka.execute(simulated(kind="ACTION", topic="orders", valueTemplate={"n": 2}), {})
    assert again.response["offset"] == 1
    assert (await kafka.execute(look, {})).response["count"] == 2


async def test_clusters_of_other_addresses_are_others(kafka):
    """Process files, and spoiled rehearsals, do not hear each other."""
    other = {"kafkaProfiles": {"main": {"simulated": True, "bootstrapServers": "second"}}}
    looks = [simulated(topic="orders"), call_of(other, topic="orders")]
    await kafka.prepare(looks, None)
    await kafka.execute(call_of(other, kind="ACTION", topic="orders", valueTemplate=1), {})
    assert [(await kafka.execute(look, {})).response["count"] for look in looks] == [0, 1]


@pytest.mark.parametrize("definition", [{"topic": "orders"}, {"exchange": "orders"}, {"queueName": "orders"}])
async def test_resumed_run_is_told_that_messages_are_gone(kafka, queue, definition):
    """What another session simulated is not there any more, and that is no verdict about anyone."""
    protocol = kafka if "topic" in definition else queue
    look = simulated(**definition)
    await protocol.prepare([look], datetime.now(UTC))
    with pytest.raises(StepError, match="nobody knows what came"):
        await protocol.execute(look, {})
    await protocol.release("run-1")


async def talk_of_queues(protocol, environment, secrets, exchange, queue):
    """Publish at an exchange and into a queue, and give what assertions see there, without ids and times."""

    def call(**definition):
        return replace(call_of(environment, **definition), secrets={ref: Secret(text) for ref, text in secrets.items()})

    looks = [
        call(exchange=exchange, routingKey="order.*"),
        call(exchange=exchange, valueTemplate={"n": 1}, headers={"x-count": 3}),
        call(exchange=exchange, keyExpression="order.late"),
        call(queueName=queue),
    ]
    await protocol.prepare(looks, None)
    for fields in (
        {"exchange": exchange, "routingKey": "order.late", "valueTemplate": {"n": 1}, "headers": {"x-count": 3}},
        {"exchange": exchange, "routingKey": "order.late.again", "valueTemplate": "5"},
        {"exchange": exchange, "routingKey": "order.other", "valueTemplate": "no JSON", "headers": {"left": None}},
        {"queueName": queue, "valueTemplate": [1, {"n": None}]},
        {"queueName": queue, "valueTemplate": None},
    ):
        await protocol.execute(call(kind="ACTION", **fields), {})
    seen = []
    for look, count in zip(looks, (2, 1, 1, 2), strict=True):
        async with asyncio.timeout(GENEROUS_S):
            while (await protocol.execute(look, {})).response["count"] < count:
                await protocol.news(look, 0.2)
        response = (await protocol.execute(look, {})).response
        own = {"exchange": "", "address": "", "messageId": "", "timestamp": "", "routingKey": "", "key": ""}
        for message in response["messages"]:
            message["headers"].pop("traceparent", None)
        hidden = own if "queueName" in look.address else {**own, "routingKey": None, "key": None}
        hidden = {name: "" for name, given in hidden.items() if given is not None}
        seen.append([{**each, **hidden, "redelivered": False} for each in response["messages"]])
    return seen


async def test_simulated_broker_shows_steps_what_a_real_one_does(queues, shop):
    """Routing, headers, texts that are numbers and empty messages are the same, message by message."""
    exchange, inbox = await shop.exchange(), await shop.queue()
    real = await talk_of_queues(queues, shop.broker.environment(), shop.broker.secrets, exchange.name, inbox.name)
    assert [len(each) for each in real] == [2, 1, 1, 2]
    assert await talk_of_queues(queues, SIMULATED, {}, "orders", "parcels") == real


async def test_message_without_key_and_value_is_refused(kafka):
    """As a real cluster refuses it."""
    with pytest.raises(StepError, match="the message has neither key nor value"):
        await kafka.execute(replace(simulated(kind="ACTION", topic="orders"), message={}), {})


async def test_exchanges_route_as_their_types_say(queue):
    """Patterns count at topic exchanges, which those are that nobody describes; at fanout ones everything is heard."""
    points = [("orders", "order.*"), ("orders", "order.#"), ("audit", "other"), ("tasks", "new"), ("orders", None)]
    looks = [simulated(exchange=name, **({"routingKey": key} if key else {})) for name, key in points]
    await queue.prepare(looks, None)
    for exchange, key in (
        ("orders", "order.placed"),
        ("orders", "order.placed.late"),
        ("audit", "x"),
        ("tasks", "new"),
    ):
        fields = {"exchange": exchange, "routingKey": key, "valueTemplate": {"at": key}}
        await queue.execute(simulated(kind="ACTION", **fields), {})
    seen = [[each["routingKey"] for each in (await queue.execute(look, {})).response["messages"]] for look in looks]
    assert seen == [
        ["order.placed"],
        ["order.placed", "order.placed.late"],
        ["x"],
        ["new"],
        ["order.placed", "order.placed.late"],
    ]


async def test_message_of_a_queue_stays_there_and_wakes_who_waits(queue):
    """Messages come to a queue directly, and by way of the exchange to which it is bound."""
    look = simulated(queueName="inbox")
    await queue.prepare([look], None)
    assert (await queue.execute(look, {})).response["count"] == 0
    waiting = asyncio.create_task(queue.news(look, GENEROUS_S))
    await asyncio.sleep(0)
    await queue.execute(simulated(kind="ACTION", queueName="inbox", valueTemplate={"n": 1}), {})
    async with asyncio.timeout(GENEROUS_S):
        await waiting
    await queue.execute(simulated(kind="ACTION", exchange="tasks", routingKey="new", valueTemplate={"n": 2}), {})
    await queue.execute(simulated(kind="ACTION", exchange="tasks", routingKey="old", valueTemplate={"n": 3}), {})
    await queue.execute(simulated("run-2", kind="ACTION", queueName="inbox", valueTemplate={"n": 4}), {})
    for _ in range(2):
        response = (await queue.execute(look, {})).response
        assert [each["value"]["n"] for each in response["messages"]] == [1, 2]
    assert response["message"]["correlationId"] == "corr-run-1"


async def test_pattern_at_a_direct_exchange_is_refused(queue):
    """As a real broker would hear nothing by it."""
    with pytest.raises(StepError, match=r"exchange 'tasks' is of type 'direct', to which 'new\.#' is no pattern"):
        await queue.prepare([simulated(exchange="tasks", routingKey="new.#")], None)


async def test_place_that_was_not_known_when_the_run_began_is_an_error(queue):
    """As at a real broker: who did not listen cannot say that nothing came."""
    with pytest.raises(StepError, match="nobody listened at exchange 'orders' for '#' when the run began"):
        await queue.execute(simulated(exchange="orders"), {})


def test_simulated_brokers_need_no_client_library():
    """Neither aiokafka nor aio-pika is imported for them."""
    lines = (
        "import asyncio, sys",
        "sys.modules['aiokafka'] = sys.modules['aio_pika'] = None",
        "sys.path.insert(0, sys.argv[1])",
        "from test_simulated_brokers import simulated, KafkaProtocol, QueueProtocol",
        "async def main():",
        "    for protocol, place in ((KafkaProtocol(), {'topic': 't'}), (QueueProtocol(), {'queueName': 'q'})):",
        "        await protocol.prepare([simulated(**place)], None)",
        "        await protocol.execute(simulated(kind='ACTION', valueTemplate={'n': 1}, **place), {})",
        "        print((await protocol.execute(simulated(**place), {})).response['count'])",
        "asyncio.run(main())",
    )
    folder = str(__import__("pathlib").Path(__file__).parent)
    command = [sys.executable, "-c", "\n".join(lines), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n1\n", "")


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("#", "", True),
        ("#", "a.b", True),
        ("*", "", False),
        ("a.*.c", "a.b.c", True),
        ("a.*", "a.b.c", False),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.b.b.c", True),
        ("a.#.c", "a.b", False),
        ("#.#", "a", True),
        ("#.b.#", "a.b.c", True),
        ("a#", "a#", True),
        ("a#", "ab", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_patterns_of_topics(pattern, key, fits):
    """``*`` is one word, ``#`` any number of them, and nothing else means anything."""
    assert matches_topic(pattern, key) is fits


def fits_by_trying(words, key):
    """Match by trying every possibility, as the definition says it."""
    if not words:
        return not key
    if words[0] == "#":
        return fits_by_trying(words[1:], key) or (bool(key) and fits_by_trying(words, key[1:]))
    return bool(key) and words[0] in ("*", key[0]) and fits_by_trying(words[1:], key[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6),
)
@example(["#", "*", "#"], ["a"])
def test_patterns_of_topics_fit_as_the_definition_says(words, key):
    """The quick way gives what trying everything gives."""
    assert matches_topic(".".join(words), ".".join(key)) is fits_by_trying(words, key)
