"""Kafka steps against a real broker."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from kafka_broker import Broker, free_port, kafka_call, started_producer, tansu

from pytest_orchestra.engine.ports import ListeningProtocol, ProtocolPlugin, RepeatingProtocol
from pytest_orchestra.errors import StepError, UnknownAliasError, UnreachableError
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.run import ViolationType
from pytest_orchestra.problem import Place
from pytest_orchestra.protocols.kafka import KafkaProtocol

pytest_plugins = ["kafka_fixtures"]

GENEROUS_S = 30.0
_numbers = count(1)


@pytest.fixture
def topic(kafka_broker):
    name = f"orders.{next(_numbers)}"
    kafka_broker.make_topics(name)
    return name


@pytest.fixture
async def send(kafka_broker):
    """Give what publishes as the system under test does, in one batch where many are given."""
    producer = await started_producer(kafka_broker, linger_ms=5)

    async def send(topic, *values, correlation_id=None, partition=0, key=None):
        await producer.client.add_topic(topic)  # else it forgets one topic when it learns of another
        headers = [("x-correlation-id", correlation_id.encode())] if correlation_id else []
        sent = [await producer.send(topic, value, key=key, partition=partition, headers=headers) for value in values]
        return [done.offset for done in await asyncio.gather(*sent)]

    yield send
    await producer.stop()


async def found(protocol, call, wanted=1, rest_s=GENEROUS_S):
    """Look as the engine does, until there is enough."""
    async with asyncio.timeout(GENEROUS_S):
        while True:
            reply = await protocol.execute(call, {})
            if reply.response["count"] >= wanted:
                return reply
            await protocol.news(call, rest_s)


def values(reply):
    return [message["value"] for message in reply.response["messages"]]


def test_kafka_protocol_is_what_the_engine_asks_for():
    """The class implements the three ports, and has no specifications."""
    protocol = KafkaProtocol()
    assert isinstance(protocol, ProtocolPlugin)
    assert isinstance(protocol, ListeningProtocol)
    assert isinstance(protocol, RepeatingProtocol)
    assert protocol.unfulfilled is ViolationType.KAFKA_MESSAGE_NOT_FOUND
    assert protocol.default_until == "count > 0"
    assert protocol.parse_spec(Path("a"), "b") is None


def test_may_repeat_is_what_the_step_says():
    """A message that is sent twice is two events, so the user has to say that this is fine."""
    for written, may in ((None, False), ("fail", False), ("retry", True)):
        step = StepDefinition.model_validate({"topic": "t", "onResume": written})
        assert KafkaProtocol().may_repeat(step, {}) is may


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"correlationIdExpr": "message.value."}, "'correlationIdExpr': cannot read the expression", None),
        (
            {"correlationIdExpr": "response.id"},
            "'correlationIdExpr' reads 'response'",
            "start it with 'message', as in 'message.value.meta.requestId', or write 'none'",
        ),
        (
            {"correlationIdExpr": "'fixed'"},
            "'correlationIdExpr' reads nothing of the message",
            "start it with 'message', as in 'message.value.meta.requestId', or write 'none'",
        ),
        (
            {"valueMatcherMode": "REGEX", "valueTemplate": {"a": ["{{data.x}}(", "(b"]}},
            "'valueTemplate' with 'REGEX': '(b' is no regular expression",
            "correct the pattern",
        ),
        ({"correlationIdExpr": "none", "valueTemplate": "("}, None, None),
        ({"correlationIdExpr": "message.headers['x']"}, None, None),
        ({"kind": "ACTION", "keyExpression": "data.id"}, None, None),
    ],
)
def test_check_says_what_is_wrong_without_a_broker(fields, message, hint):
    """What can be known before a run is said before it."""
    step = StepDefinition.model_validate({"kind": "ASSERTION", "topic": "t", **fields})
    problems = KafkaProtocol().check(step, {})
    assert len(problems) == (message is not None)
    for problem in problems:
        assert problem.message.startswith(message)
        assert hint is None or problem.hint == hint


async def test_what_is_published_is_found_with_all_its_parts(kafka, kafka_broker, topic):
    """A message goes out with key, JSON value, headers, correlation id and trace, and comes back as it was."""
    see = kafka_call(kafka_broker, topic, key="o-1", value={"total": 12.5})
    await kafka.prepare([see], None)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    put = await kafka.execute(
        kafka_call(
            kafka_broker,
            topic,
            kind="ACTION",
            key="o-1",
            value={"total": 12.5, "name": "Größe"},
            headers={"kind": "new", "count": 3, "Authorization": "Bearer abc"},
            trace_parent=trace,
        ),
        {},
    )
    assert {**put.response, "timestamp": 0} == {"topic": topic, "partition": 0, "offset": 0, "timestamp": 0}
    assert put.exchange.request["headers"]["Authorization"] == "Bearer ***"
    assert put.exchange.reproduce.startswith('printf %s \'{"total":12.5,"name":"Größe"}\' | kcat -b ')
    reply = await found(kafka, see)
    message = reply.response["message"]
    assert message["key"] == "o-1"
    assert message["value"] == {"total": 12.5, "name": "Größe"}
    assert message["headers"] == {
        "kind": "new",
        "count": "3",
        "Authorization": "Bearer abc",
        "X-Correlation-ID": "corr-run-1",
        "traceparent": trace,
    }
    assert (message["partition"], message["offset"]) == (0, 0)
    assert reply.response["unexplained"] == []


async def test_text_and_no_value_are_published_as_they_are(kafka, kafka_broker, topic):
    """A text is no JSON string, and a message without a value has none."""
    see = kafka_call(kafka_broker, topic)
    await kafka.prepare([see], None)
    for value in ("plain text", None, [1]):
        put = await kafka.execute(kafka_call(kafka_broker, topic, kind="ACTION", key={"id": 1}, value=value), {})
        assert ("-Z" in put.exchange.reproduce.split()) is (value is None)
    reply = await found(kafka, see, 3)
    assert values(reply) == ["plain text", None, [1]]
    assert {message["key"] for message in reply.response["messages"]} == {'{"id":1}'}


async def test_message_of_nothing_is_a_step_error(kafka, kafka_broker, topic):
    """Neither key nor value: that is a mistake, said before anything is sent."""
    with pytest.raises(StepError) as caught:
        await kafka.execute(kafka_call(kafka_broker, topic, kind="ACTION"), {})
    assert caught.value.fact == "the message has neither key nor value"
    assert caught.value.hint == "add 'valueTemplate' or 'keyExpression'"
    (problem,) = kafka.check(StepDefinition.model_validate({"topic": "t"}), {})
    assert (problem.message, problem.hint) == (caught.value.fact, caught.value.hint)


async def test_prepare_listens_from_its_return_on_after_batches_of_messages(kafka, kafka_broker, topic, send):
    """Where a broker reports too low an end, what was there before is still no news, and nothing after is missed."""
    await send(topic, *(b"%d" % number for number in range(2_000)), correlation_id="corr-run-1")
    see = kafka_call(kafka_broker, topic, correlationIdExpr="none")
    await kafka.prepare([see], None)
    first = await kafka.execute(see, {})
    assert first.response["count"] == 0
    assert datetime.fromisoformat(first.exchange.request["readyAt"]) <= datetime.now(UTC)
    await send(topic, b'"new"')
    assert values(await found(kafka, see)) == ["new"]
    request = (await kafka.execute(see, {})).exchange.request
    assert request["cluster"] == "main"
    assert request["topic"] == topic
    assert 0 < request["listensFrom"]["0"] <= 2_000
    assert request["messagesSeen"] >= 1
    assert request["sought"] == {"correlationIdExpr": "none"}


async def test_concurrent_prepares_share_one_reader_and_miss_nothing(kafka, kafka_broker, topic, send):
    """A hundred scenarios that begin at once tap a topic once, and each finds its own message."""
    other = f"{topic}.other"
    kafka_broker.make_topics(other)
    sees = [kafka_call(kafka_broker, (topic, other)[number % 2], run=f"run-{number}") for number in range(100)]

    async def scenario(see):
        await kafka.prepare([see], None)
        await send(see.address["topic"], b'"mine"', correlation_id=see.correlation_id)
        return values(await found(kafka, see))

    assert await asyncio.gather(*map(scenario, sees)) == [["mine"]] * 100
    assert len(kafka._clusters) == 1


async def test_hundred_queries_on_a_busy_topic_see_only_their_own(kafka, kafka_broker, topic, send):
    """Unrelated traffic, and that of each other, is invisible: by header, and by an id in the value."""
    sees = [kafka_call(kafka_broker, topic, run=f"run-{number}") for number in range(50)]
    by_value = {"correlationIdExpr": "message.value.meta.id"}
    sees += [kafka_call(kafka_broker, topic, run=f"inner-{number}", **by_value) for number in range(50)]
    for see in sees:
        await kafka.prepare([see], None)
    for turn in range(3):
        await send(topic, *(b'{"meta": {"id": "noise"}}' for _ in range(200)), correlation_id=f"noise-{turn}")
        await send(topic, b"\xff\xfe", b"", b"[]", b"null")
        for see in sees:
            own = see.correlation_id
            if own.startswith("corr-run"):
                await send(topic, b'{"own": "%s"}' % own.encode(), correlation_id=own)
            else:
                await send(topic, b'{"own": "%s", "meta": {"id": "%s"}}' % (own.encode(), own.encode()))
    for see in sees:
        reply = await found(kafka, see, 3)
        assert [value["own"] for value in values(reply)] == [see.correlation_id] * 3
        assert reply.response["unexplained"] == []


async def test_messages_are_held_against_the_schemas_that_a_step_names(kafka, kafka_broker, topic, tmp_path):
    """What arrives and breaks a schema is a violation; what is to be sent and breaks it is a mistake, or a purpose."""
    (tmp_path / "order.json").write_text('{"required": ["total"], "properties": {"total": {"type": "number"}}}')

    def at_home(call):
        return replace(call, step=call.step.model_copy(update={"place": Place(str(tmp_path / "a.orchestra.yaml"))}))

    refs = {"schemaRefs": ["order.json"]}
    see = at_home(kafka_call(kafka_broker, topic, **refs))
    assert kafka.check(see.step, {}) == []
    assert len(kafka.check(StepDefinition.model_validate({"topic": "t", "keyExpression": "1", **refs}), {})) == 1
    await kafka.prepare([see], None)
    wrong = {"kind": "ACTION", "value": {"total": "x"}}
    with pytest.raises(StepError):
        await kafka.execute(at_home(kafka_call(kafka_broker, topic, **wrong, **refs)), {})
    await kafka.execute(at_home(kafka_call(kafka_broker, topic, **wrong, **refs, breaksContract=True)), {})
    await kafka.execute(at_home(kafka_call(kafka_broker, topic, kind="ACTION", value={"total": 1}, **refs)), {})
    (violation,) = kafka.validate(see, await found(kafka, see, 2), {})
    assert violation.type is ViolationType.CONTRACT_VIOLATION
    assert violation.details["pointer"] == "/messages/0/value/total"


async def test_unexplained_messages_of_the_run_are_told(kafka, kafka_broker, topic, send):
    """A message of the run that no assertion expects is shown beside those that are found."""
    see = kafka_call(kafka_broker, topic, value={"kind": "placed"})
    await kafka.prepare([see], None)
    await send(topic, b'{"kind": "cancelled"}', b'{"kind": "placed"}', correlation_id="corr-run-1")
    reply = await found(kafka, see)
    assert values(reply) == [{"kind": "placed"}]
    assert [message["value"] for message in reply.response["unexplained"]] == [{"kind": "cancelled"}]


async def test_resumed_run_finds_what_came_since_it_began(kafka_broker, topic, send):
    """Another worker takes a run over: messages of the time between count, also if the topic is tapped already."""
    began = datetime.now(UTC)
    await send(topic, b'"between"', correlation_id="corr-run-1")
    see = kafka_call(kafka_broker, topic)
    for tapped_before in (False, True):
        protocol = KafkaProtocol()
        try:
            if tapped_before:
                await protocol.prepare([kafka_call(kafka_broker, topic, run="run-2")], None)
                assert (await protocol.execute(see, {})).response["count"] == 0
            await protocol.prepare([see], began)
            await protocol.prepare([see], began)
            assert values(await found(protocol, see)) == ["between"]
        finally:
            await protocol.close()


async def test_fresh_run_does_not_find_what_came_before(kafka, kafka_broker, topic, send):
    """A run that is not resumed begins with nothing."""
    await send(topic, b'"before"', correlation_id="corr-run-1")
    see = kafka_call(kafka_broker, topic)
    await kafka.prepare([see], datetime.now(UTC) + timedelta(minutes=1))
    assert (await kafka.execute(see, {})).response["count"] == 0


async def test_release_forgets_the_run(kafka, kafka_broker, topic, send):
    """What was kept for a run goes with it; releasing a run that nobody knows is no fault."""
    see = kafka_call(kafka_broker, topic)
    await kafka.prepare([see], None)
    await send(topic, b"1", correlation_id="corr-run-1")
    await found(kafka, see)
    await kafka.release("run-1")
    await kafka.release("run-unknown")
    (cluster,) = kafka._clusters.values()
    assert not cluster._listening.journal._runs


# ---- what is wrong ------------------------------------------------------------------------------------------------


async def test_unknown_alias_is_told_with_the_nearest(kafka, kafka_broker):
    """A name that the environment does not know."""
    call = kafka_call(kafka_broker, "t", clusterAlias="mian")
    with pytest.raises(UnknownAliasError) as caught:
        await kafka.execute(call, {})
    assert str(caught.value) == "environment 'local' has no Kafka cluster 'mian'\nhint: did you mean 'main'?"


async def test_topic_that_does_not_exist_is_an_error_and_stays_so(kafka, kafka_broker, topic):
    """Neither looking for a topic nor publishing to it brings it into being."""
    missing = topic.replace("orders", "order")
    for kind in ("ASSERTION", "ACTION", "ASSERTION"):
        call = kafka_call(kafka_broker, missing, kind=kind, value=1)
        with pytest.raises(UnknownAliasError) as caught:
            await (kafka.prepare([call], None) if kind == "ASSERTION" else kafka.execute(call, {}))
        assert caught.value.fact == f"cluster 'main' at '{kafka_broker.address}' has no topic '{missing}'"
        assert caught.value.hint == f"did you mean '{topic}'?"


async def test_topic_is_created_where_the_profile_says_so(kafka, kafka_broker, topic):
    """For clusters that come and go with the test."""
    environment = kafka_broker.environment(createTopics=True)
    see = kafka_call(kafka_broker, f"{topic}.made", environment=environment)
    await kafka.prepare([see], None)
    await kafka.execute(replace(see, step=see.step.model_copy(update={"kind": "ACTION"}), message={"value": 1}), {})
    assert values(await found(kafka, see)) == [1]


@pytest.mark.parametrize("kind", ["ASSERTION", "ACTION"])
async def test_broker_that_is_away_is_told_at_once_and_quietly(kafka, caplog, kind):
    """No endless retries, no noise in the log, nothing left open (warnings are errors here)."""
    port = free_port()
    call = kafka_call(Broker(f"127.0.0.1:{port}"), "t", kind=kind, value=1)
    with caplog.at_level(logging.DEBUG), pytest.raises(UnreachableError) as caught:
        await (kafka.prepare([call], None) if kind == "ASSERTION" else kafka.execute(call, {}))
    assert caught.value.fact == f"cluster 'main' at '127.0.0.1:{port}': connection refused"
    assert caught.value.hint == "start the cluster, or correct 'main' in environment 'local'"
    assert [record for record in caplog.records if record.name.startswith("aiokafka")] == []


async def test_scenarios_that_wait_for_a_refused_connection_are_refused_with_it(kafka):
    """Where a broker does not answer, a hundred scenarios do not try one after another."""
    asked = 0

    async def hang_up(reader, writer):
        nonlocal asked
        asked += 1
        await reader.read(4)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    calls = [kafka_call(Broker(f"{host}:{port}"), "t", run=f"run-{number}") for number in range(100)]
    ends = await asyncio.gather(*(kafka.prepare([call], None) for call in calls), return_exceptions=True)
    server.close()
    await server.wait_closed()
    assert [type(end) for end in ends] == [UnreachableError] * 100
    assert asked == 1


async def test_host_that_does_not_resolve_is_told(kafka):
    """A name of no host."""
    call = kafka_call(Broker("kafka.invalid:9092"), "t")
    with pytest.raises(UnreachableError) as caught:
        await kafka.prepare([call], None)
    assert caught.value.fact == "cluster 'main' at 'kafka.invalid:9092': its host name does not resolve"


async def test_what_answers_is_no_broker_is_told(kafka):
    """Something else may listen at that port."""

    async def hang_up(reader, writer):
        await reader.read(4)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    with pytest.raises(UnreachableError) as caught:
        await kafka.prepare([kafka_call(Broker(f"{host}:{port}"), "t")], None)
    server.close()
    await server.wait_closed()
    assert caught.value.fact == f"cluster 'main' at '{host}:{port}': the broker closed the connection"
    assert caught.value.hint == "check 'securityProtocol' of 'main' in environment 'local'"


async def test_broker_that_goes_away_while_publishing_is_told_and_nothing_is_sent_later(caplog):
    """The call is not awaited to its end, closing does not wait either, and a new broker never gets the message."""
    port = free_port()
    protocol = KafkaProtocol()
    try:
        with tansu(port) as broker:
            broker.make_topics("orders")
            await protocol.execute(kafka_call(broker, "orders", kind="ACTION", value="first"), {})
        with caplog.at_level(logging.WARNING), pytest.raises(UnreachableError) as caught:
            await protocol.execute(kafka_call(broker, "orders", kind="ACTION", value="lost", timeout_s=3_600), {})
        assert caught.value.fact == f"cluster 'main' at '127.0.0.1:{port}': connection refused"
        with tansu(port) as broker:
            broker.make_topics("orders")
            put = await protocol.execute(kafka_call(broker, "orders", kind="ACTION", value="second"), {})
            assert put.response["offset"] == 0
    finally:
        await protocol.close()
    assert [record for record in caplog.records if record.name.startswith(("aiokafka", "asyncio"))] == []


async def test_broker_that_goes_away_is_told_and_one_that_comes_back_is_read_on(caplog):
    """A look after the broker has died is an error; when it is there again, the session goes on."""
    port = free_port()
    protocol = KafkaProtocol()
    try:
        with tansu(port) as broker:
            broker.make_topics("orders")
            see = kafka_call(broker, "orders")
            await protocol.prepare([see], None)
        caplog.clear()
        with caplog.at_level(logging.WARNING), pytest.raises(UnreachableError) as caught:
            await found(protocol, see, rest_s=0.1)
        assert caught.value.fact == f"cluster 'main' at '127.0.0.1:{port}': connection refused"
        with pytest.raises(UnreachableError):
            await protocol.execute(kafka_call(broker, "orders", kind="ACTION", value=6, timeout_s=1.0), {})
        assert [record for record in caplog.records if record.name.startswith("aiokafka")] == []
        with tansu(port) as broker:
            broker.make_topics("orders")
            await protocol.execute(kafka_call(broker, "orders", kind="ACTION", value=7), {})
            async with asyncio.timeout(GENEROUS_S):
                while True:
                    try:
                        assert values(await found(protocol, see)) == [7]
                        break
                    except UnreachableError:
                        await asyncio.sleep(0.1)
    finally:
        await protocol.close()


@pytest.mark.parametrize("written", [None, "", 5])
async def test_topic_that_is_none_is_a_step_error(kafka, kafka_broker, written):
    """A template may give anything."""
    call = replace(kafka_call(kafka_broker, "t"), address={"topic": written})
    with pytest.raises(StepError) as caught:
        await kafka.execute(call, {})
    assert str(caught.value) == f"the topic is '{written}'\nhint: correct 'topic' of the step"


async def test_protocol_can_be_closed_and_used_again(kafka, kafka_broker, topic):
    """Closing gives back everything; a later call opens new connections; closing twice is no fault."""
    see = kafka_call(kafka_broker, topic)
    await kafka.prepare([see], None)
    before = len(asyncio.all_tasks())
    await kafka.close()
    await kafka.close()
    assert len(asyncio.all_tasks()) < before
    assert len(asyncio.all_tasks()) == 1
    await kafka.prepare([see], None)
