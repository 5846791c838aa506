"""Looks into queues, publishing, and what is not there, with a real RabbitMQ broker."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest

aio_pika = pytest.importorskip("aio_pika", reason="needs 'aio-pika', the client of rabbitmq")

from rabbitmq_shop import found, outcome, refusal  # noqa: E402

from pytest_orchestra.engine.ports import CallTimeoutError  # noqa: E402
from pytest_orchestra.errors import (  # noqa: E402
    LoginRefusedError,
    OrchestraError,
    StepError,
    UnreachableError,
    UnusableEnvironmentError,
)

pytest_plugins = ["rabbitmq_broker"]


# ---- queues -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{}, {"x-queue-type": "quorum"}], ids=["classic", "quorum"])
async def test_look_into_a_queue_takes_nothing_and_keeps_the_order(queues, shop, arguments):
    """Whoever consumes the queue afterwards gets every message, in order; only 'redelivered' tells of the look."""
    queue = await shop.queue(**arguments)
    await shop.put(queue, 0, 1, 2, 3, 4)
    looking = shop.looking(queue)
    first = (await queues.execute(looking, {})).response
    assert [message["value"] for message in first["messages"]] == [0, 1, 2, 3, 4]
    assert {message["redelivered"] for message in first["messages"]} == {False}
    await shop.put(queue, 5)
    second = (await queues.execute(looking, {})).response
    assert [message["value"] for message in second["messages"]] == [0, 1, 2, 3, 4, 5]
    assert [message["redelivered"] for message in second["messages"]] == [True] * 5 + [False]
    assert [(await queue.get(no_ack=True)).body for _ in range(6)] == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_looks_of_many_runs_at_once_each_see_the_whole_queue(queues, shop):
    """Looks never hide messages from each other, and each run finds its own."""
    queue = await shop.queue()
    for number in range(30):
        await shop.put(queue, number, correlation_id=f"id-{number}")
    calls = [shop.looking(queue, run_id=f"run-{n}", correlation_id=f"id-{n}") for n in range(30)]
    for _ in range(3):
        replies = await asyncio.gather(*(queues.execute(call, {}) for call in calls))
        assert [[m["value"] for m in reply.response["messages"]] for reply in replies] == [[n] for n in range(30)]


async def test_look_tells_what_is_there_of_the_run_but_not_meant(queues, shop):
    """A message of the run that the assertion does not match is unexplained; those of others are not shown."""
    queue = await shop.queue()
    await shop.put(queue, '{"id": 1}', '{"id": 2}')
    await shop.put(queue, '{"id": 1}', correlation_id="other")
    reply = await queues.execute(shop.looking(queue, step={"valueTemplate": {"id": 1}}), {})
    assert [message["value"] for message in reply.response["messages"]] == [{"id": 1}]
    assert [message["value"] for message in reply.response["unexplained"]] == [{"id": 2}]
    assert reply.exchange.request["messagesInQueue"] == 3
    assert reply.exchange.request["queue"] == queue.name


async def test_look_that_is_cut_off_gives_everything_back(queues, shop):
    """A look that is cancelled or runs out of time leaves no message behind in nobody's hands."""
    queue = await shop.queue()
    await shop.put(queue, *range(200))
    task = asyncio.create_task(queues.execute(shop.looking(queue), {}))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(CallTimeoutError) as caught:
        await queues.execute(shop.looking(queue, timeout_s=0.001), {})
    assert caught.value.exchange.request["queue"] == queue.name
    seen = (await queues.execute(shop.looking(queue), {})).response
    assert [message["value"] for message in seen["messages"]] == list(range(200))


async def test_queue_that_counts_deliveries_is_looked_at_ten_times_at_most(queues, shop):
    """A quorum queue drops what is delivered too often, so that looking stops before that, with an error."""
    queue = await shop.queue(**{"x-queue-type": "quorum"})
    await shop.put(queue, "a")
    looking = shop.looking(queue)
    for _ in range(10):
        assert (await queues.execute(looking, {})).response["count"] == 1
    error = await refusal(queues.execute(looking, {}))
    assert isinstance(error, StepError)
    assert error.fact == (
        f"{shop.subject}: queue '{queue.name}' counts how often a message is "
        "delivered, 10 times by now, and would drop it if it were looked at much more often"
    )
    assert error.hint == "listen at the 'exchange' that feeds it"
    assert (await queue.get(no_ack=True)).body == b"a"


async def test_queue_that_is_too_long_is_not_looked_into(queues, shop):
    """Beyond a thousand messages, a look would be no look any more."""
    queue = await shop.queue()
    messages = [aio_pika.Message(b"1") for _ in range(1001)]
    await asyncio.gather(*(shop.channel.default_exchange.publish(message, queue.name) for message in messages))
    error = await refusal(queues.execute(shop.looking(queue), {}))
    assert isinstance(error, StepError)
    assert error.fact.endswith(
        f"queue '{queue.name}' holds 1001 messages, and no more than 1000 can be looked at without taking them"
    )


async def test_look_into_a_stream_is_refused_and_leaves_listening_alone(queues, shop):
    """A stream cannot be looked into; the broker closes the connection for that, which is not the one that listens."""
    stream = await shop.queue(**{"x-queue-type": "stream"})
    exchange = await shop.exchange("fanout")
    waiting = shop.waiting(exchange)
    await queues.prepare([waiting], None)
    await shop.put(stream, 1)
    async with asyncio.timeout(20):  # a stream counts its messages from time to time
        while (error := await outcome(queues.execute(shop.looking(stream), {}))) is None:
            await queues.news(shop.looking(stream), 0.01)
    assert error.fact.startswith(f"{shop.subject}: the connection was lost: basic.get not supported by stream queues")
    await exchange.publish(aio_pika.Message(b"1", correlation_id="corr-1"), "", mandatory=False)
    assert (await found(queues, waiting, 1))["count"] == 1


# ---- publishing ---------------------------------------------------------------------------------------------------


async def test_message_to_a_queue_is_persistent_and_has_the_ids(queues, shop):
    """Straight to a queue: the default exchange, persistent, text as text; null takes a header of ours away."""
    queue = await shop.queue()
    definition = {"queueName": queue.name, "valueTemplate": "hello", "headers": {"x-correlation-id": None}}
    reply = await queues.execute(shop.call(definition, idempotency_key="k"), {})
    assert reply.response == {"exchange": "", "routingKey": queue.name, "messageId": "k"}
    incoming = await queue.get(no_ack=True)
    assert incoming.body == b"hello"
    assert incoming.content_type == "text/plain"
    assert incoming.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
    assert (incoming.correlation_id, incoming.message_id) == ("corr-1", "k")
    assert incoming.headers == {}
    await queues.execute(shop.call({"queueName": queue.name}), {})
    incoming = await queue.get(no_ack=True)
    assert (incoming.body, incoming.content_type) == (b"", None)
    assert incoming.headers == {"X-Correlation-ID": "corr-1"}
    assert incoming.message_id


async def test_headers_keep_their_types(queues, shop):
    """An exchange of type 'headers' compares typed values, so that a number is sent as a number."""
    exchange = await shop.exchange("headers")
    queue = await shop.queue()
    await queue.bind(exchange, arguments={"x-match": "all", "level": 3})
    definition = {"exchange": exchange.name, "valueTemplate": 1, "headers": {"level": 3, "deep": {"list": [1, "a"]}}}
    await queues.execute(shop.call(definition), {})
    incoming = await queue.get(no_ack=True)
    assert incoming.headers["deep"] == {"list": [1, "a"]}
    error = await refusal(queues.execute(shop.call({**definition, "headers": {"big": 2**63}}), {}))
    assert error.fact == "header 'big' cannot be sent: AMQP has integers of 64 bits, under names of 128 bytes"


async def test_message_that_goes_nowhere_is_an_error_of_ours(queues, shop):
    """The broker did nothing wrong with a routing key that no queue is bound to, and the channel does not suffer."""
    exchange = await shop.exchange()
    call = shop.call({"exchange": exchange.name, "routingKey": "nobody.cares", "valueTemplate": 1})
    error = await refusal(queues.execute(call, {}))
    assert isinstance(error, StepError)
    assert error.fact == (
        f"{shop.subject}: exchange '{exchange.name}' routes the message to no queue, with routing key 'nobody.cares'"
    )
    queue = await shop.queue()
    await queue.bind(exchange, "nobody.#")
    await queues.execute(call, {})
    assert (await queue.get(no_ack=True)).body == b"1"


async def test_message_that_a_full_queue_rejects_is_an_error(queues, shop):
    """A publish that the broker does not confirm is never taken for done."""
    queue = await shop.queue(**{"x-max-length": 1, "x-overflow": "reject-publish"})
    call = shop.call({"queueName": queue.name, "valueTemplate": 1})
    await queues.execute(call, {})
    error = await refusal(queues.execute(call, {}))
    assert isinstance(error, UnusableEnvironmentError)
    assert error.fact.endswith(f"refuses the message to '{queue.name}' (nack)")


async def test_many_messages_at_once_are_all_confirmed(queues, shop):
    """Publishing of concurrent scenarios shares a channel and mixes nothing up."""
    queue = await shop.queue()
    calls = [shop.call({"queueName": queue.name, "valueTemplate": n}, idempotency_key=f"k{n}") for n in range(200)]
    replies = await asyncio.gather(*(queues.execute(call, {}) for call in calls))
    assert [reply.response["messageId"] for reply in replies] == [f"k{n}" for n in range(200)]
    assert (await shop.channel.declare_queue(queue.name, passive=True)).declaration_result.message_count == 200


# ---- what is not there --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A call that cannot work, and what is said of it."""

    kind: type[OrchestraError]
    fact: str
    hint: str
    environment: dict[str, Any]
    step: dict[str, Any]


def _cases() -> dict[str, Case]:
    here = {"queueName": "nowhere", "valueTemplate": 1}
    return {
        "no queue": Case(
            UnusableEnvironmentError,
            "broker 'main' at '127.0.0.1:{port}/shop' has no queue 'nowhere'",
            "declare the queue before the tests, or correct its name in the step",
            {},
            here,
        ),
        "no queue to look into": Case(
            UnusableEnvironmentError,
            "broker 'main' at '127.0.0.1:{port}/shop' has no queue 'nowhere'",
            "declare the queue before the tests, or correct its name in the step",
            {},
            {"kind": "ASSERTION", "queueName": "nowhere"},
        ),
        "no exchange": Case(
            UnusableEnvironmentError,
            "broker 'main' at '127.0.0.1:{port}/shop' has no exchange 'nowhere'",
            "declare the exchange before the tests, or correct its name in the step",
            {},
            {"exchange": "nowhere", "valueTemplate": 1},
        ),
        "refused": Case(
            LoginRefusedError,
            "broker 'main' at '127.0.0.1:{port}/shop': login of 'stranger' refused",
            "check 'usernameRef' and 'passwordRef' of 'main' in environment 'local'",
            {"endpoint": "amqp://stranger@127.0.0.1:{port}/shop", "usernameRef": None},
            here,
        ),
        "no virtual host": Case(
            UnusableEnvironmentError,
            "broker 'main' at '127.0.0.1:{port}/mall' does not open the virtual host 'mall' to 'shop'",
            "see whether it exists and the user has rights there, or correct 'main' in environment 'local'",
            {"endpoint": "amqp://127.0.0.1:{port}/mall"},
            here,
        ),
        "away": Case(
            UnreachableError,
            "broker 'main' at '127.0.0.1:1/': connection refused",
            "start the broker, or correct 'main' in environment 'local'",
            {"endpoint": "amqp://127.0.0.1:1"},
            here,
        ),
        "no such host": Case(
            UnreachableError,
            "broker 'main' at 'broker.invalid:5672/shop': its host name does not resolve",
            "correct 'main' in environment 'local'",
            {"endpoint": "amqp://broker.invalid/shop"},
            here,
        ),
        "no TLS there": Case(
            UnreachableError,
            "broker 'main' at '127.0.0.1:{port}/shop': TLS failed: wrong version number",
            "correct 'main' in environment 'local'",
            {"endpoint": "amqps://127.0.0.1:{port}/shop"},
            here,
        ),
    }


@pytest.mark.parametrize("name", _cases())
async def test_what_is_not_there_is_said(queues, shop, caplog, name):
    """Each fault of the environment is an error that names it and one thing to do, and nothing in the driver's log."""
    case = _cases()[name]

    def filled(value: Any) -> Any:
        return value.format(port=shop.broker.port) if isinstance(value, str) else value

    environment = shop.broker.environment(**{field: filled(value) for field, value in case.environment.items()})
    error = await refusal(queues.execute(shop.call(case.step, environment=environment), {}))
    assert type(error) is case.kind
    assert (error.fact, error.hint) == (filled(case.fact), case.hint)
    assert "p@ss" not in repr(error)
    assert [record for record in caplog.records if record.name.startswith(("aio_pika", "aiormq", "asyncio"))] == []


async def test_other_connections_of_the_driver_may_log(queues, shop, caplog):
    """What tests of one's own do with the same driver is logged as ever."""
    await refusal(queues.execute(shop.call({"queueName": "nowhere", "valueTemplate": 1}), {}))
    with pytest.raises(ConnectionError):
        await aio_pika.connect("amqp://127.0.0.1:1/")
    assert [record.levelno for record in caplog.records if record.name == "aiormq.connection"] == [logging.ERROR]


async def test_what_answers_and_is_no_broker_is_said(queues, shop):
    """A web server on the broker's port is told from a broker."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await refusal(queues.execute(shop.call({"queueName": "q", "valueTemplate": 1}, port=port), {}))
    assert error.fact == f"broker 'main' at '127.0.0.1:{port}/shop': what answers is no broker of AMQP 0-9-1"


# ---- TLS ----------------------------------------------------------------------------------------------------------


async def test_broker_with_tls_is_spoken_to_by_its_certificates(queues, shop):
    """'caFile', 'certificateFile' and 'keyFile' are what a broker with TLS on both sides wants."""
    queue = await shop.queue()
    broker = shop.broker
    url = f"amqps://127.0.0.1:{broker.tls_port}/shop"
    trusted = {"endpoint": url, "caFile": str(broker.authority)}
    known = {**trusted, "certificateFile": str(broker.certificate), "keyFile": str(broker.key)}
    step = {"queueName": queue.name, "valueTemplate": "over TLS"}
    await queues.execute(shop.call(step, environment=broker.environment(**known)), {})
    assert (await queue.get(no_ack=True)).body == b"over TLS"

    error = await refusal(queues.execute(shop.call(step, environment=broker.environment(endpoint=url)), {}))
    assert isinstance(error, UnreachableError)
    assert error.fact.startswith(  # what follows is OpenSSL's
        f"broker 'main' at '127.0.0.1:{broker.tls_port}/shop': its certificate is not trusted: self"
    )
    assert error.hint == "name the file of the certificates to trust as 'caFile' of 'main'"
    error = await refusal(queues.execute(shop.call(step, environment=broker.environment(**trusted)), {}))
    assert isinstance(error, UnreachableError)
    assert error.fact.startswith(f"broker 'main' at '127.0.0.1:{broker.tls_port}/shop': ")  # as the system sees it end
    missing = broker.environment(endpoint=url, caFile="nowhere.pem")
    error = await refusal(queues.execute(shop.call(step, environment=missing), {}))
    assert error.fact == "broker 'main': 'caFile' cannot be used: no such file or directory"
