"""What is published at the exchanges of a real RabbitMQ broker, as runs hear it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

aio_pika = pytest.importorskip("aio_pika", reason="needs 'aio-pika', the client of rabbitmq")

from rabbitmq_shop import found, outcome, refusal  # noqa: E402

from pytest_orchestra.engine.ports import CallTimeoutError, ListeningProtocol, ProtocolPlugin, RepeatingProtocol  # noqa: E402
from pytest_orchestra.errors import StepError, UnreachableError  # noqa: E402
from pytest_orchestra.loopback_peers import Proxy  # noqa: E402
from pytest_orchestra.model.run import ViolationType  # noqa: E402
from pytest_orchestra.protocols.queue import QueueProtocol  # noqa: E402

pytest_plugins = ["rabbitmq_broker"]


def test_queue_protocol_is_a_listening_protocol_plugin():
    """The class implements the engine's ports, and waits for a message if a step does not say for what."""
    protocol = QueueProtocol()
    assert isinstance(protocol, ProtocolPlugin)
    assert isinstance(protocol, ListeningProtocol)
    assert isinstance(protocol, RepeatingProtocol)
    assert protocol.unfulfilled is ViolationType.QUEUE_MESSAGE_NOT_FOUND
    assert protocol.default_until == "count > 0"


# ---- listening ----------------------------------------------------------------------------------------------------


async def test_published_message_is_heard_with_all_that_belongs_to_it(queues, shop):
    """What an action publishes, an assertion at the exchange sees: value, headers, ids, and what the broker tells."""
    exchange = await shop.exchange()
    waiting = shop.waiting(exchange)
    await queues.prepare([waiting], None)
    publishing = shop.call(
        {
            "exchange": exchange.name,
            "routingKey": "orders.placed",
            "valueTemplate": {"order": 7, "note": "naïve"},
            "headers": {"priority": 3, "absent": None, "token": "s3cret"},
        },
        idempotency_key="key-1",
        trace_parent="00-aa-bb-01",
    )
    sent = await queues.execute(publishing, {})
    assert sent.response == {"exchange": exchange.name, "routingKey": "orders.placed", "messageId": "key-1"}
    assert sent.exchange.request["headers"]["token"] == "***"
    reply = await found(queues, waiting, 1)
    message = reply["message"]
    assert reply == {"messages": [message], "message": message, "count": 1, "unexplained": []}
    assert message.pop("timestamp").startswith("20")
    assert message == {
        "address": f"{exchange.name}/#",
        "key": "orders.placed",
        "value": {"order": 7, "note": "naïve"},
        "headers": {
            "priority": "3",
            "token": "s3cret",
            "X-Correlation-ID": "corr-1",
            "traceparent": "00-aa-bb-01",
        },
        "correlationId": "corr-1",
        "exchange": exchange.name,
        "routingKey": "orders.placed",
        "messageId": "key-1",
        "type": None,
        "contentType": "application/json",
        "replyTo": None,
        "appId": "pytest-orchestra",
        "priority": 0,
        "redelivered": False,
    }


async def test_exchange_of_a_look_shows_where_and_since_when_was_listened(queues, shop):
    """A report says at what exchange, with which pattern, since when, and what was sought."""
    exchange = await shop.exchange()
    before = datetime.now(UTC)
    waiting = shop.waiting(exchange, "orders.*", step={"valueTemplate": {"id": 1}})
    await queues.prepare([waiting], None)
    reply = await queues.execute(waiting, {})
    request = dict(reply.exchange.request)
    assert before <= datetime.fromisoformat(request.pop("listeningSince")) + timedelta(milliseconds=1)
    assert request == {
        "broker": f"127.0.0.1:{shop.broker.port}/shop",
        "exchange": exchange.name,
        "routingKey": "orders.*",
        "sought": {"correlationId": "corr-1", "value": {"id": 1}, "valueMatcherMode": "SUBSET"},
        "messagesSeen": 0,
    }
    assert reply.response == {"messages": [], "message": None, "count": 0, "unexplained": []}
    assert reply.exchange.response == {"count": 0, "messages": [], "unexplained": []}


async def test_listening_by_pattern_hears_only_what_the_pattern_means(queues, shop):
    """Two assertions at one exchange with different patterns each see their own, in the order of arrival."""
    exchange = await shop.exchange()
    placed = shop.waiting(exchange, "orders.placed")
    orders = replace(shop.waiting(exchange, "orders.*"), alias="orders")
    await queues.prepare([placed, orders, orders], None)
    for key in ("orders.placed", "orders.paid", "stock.moved", "orders.placed"):
        await exchange.publish(aio_pika.Message(b"1", correlation_id="corr-1"), key, mandatory=False)
    seen = await found(queues, orders, 3)
    assert [message["key"] for message in seen["messages"]] == ["orders.placed", "orders.paid", "orders.placed"]
    assert (await found(queues, placed, 2))["count"] == 2


async def test_hundred_runs_at_one_exchange_never_see_each_others_messages(queues, shop):
    """One queue feeds all scenarios, and each sees exactly its own messages, amid traffic of nobody's."""
    exchange = await shop.exchange("fanout")
    runs = [f"run-{number}" for number in range(100)]
    waiting = [shop.waiting(exchange, run_id=run, correlation_id=f"id-{run}") for run in runs]
    await asyncio.gather(*(queues.prepare([call], None) for call in waiting))
    plan = [run for run in runs for _ in range(3)] + ["nobody"] * 300
    random.Random(7).shuffle(plan)
    numbers: dict[str, list[int]] = {}
    for number, run in enumerate(plan):
        numbers.setdefault(run, []).append(number)
        by_header = {"headers": {"x-correlation-id": f"id-{run}"}}
        identified = by_header if number % 2 else {"correlation_id": f"id-{run}"}
        body = b'{"number": %d}' % number
        await exchange.publish(aio_pika.Message(body, **identified), "", mandatory=False)
    replies = await asyncio.gather(*(found(queues, call, 3) for call in waiting))
    for run, reply in zip(runs, replies, strict=True):
        assert [message["value"]["number"] for message in reply["messages"]] == numbers[run]


async def test_exchange_that_is_made_anew_is_heard_by_the_next_run(queues, shop):
    """Deleting an exchange takes the binding away, which nobody tells; who prepares later sees to it, and says it."""
    exchange = await shop.exchange("fanout")
    await queues.prepare([shop.waiting(exchange)], None)
    next(iter(next(iter(queues._session._brokers.values())).listener._ears.values())).bound_at -= 60  # a minute ago
    later = shop.waiting(exchange, run_id="later")
    await shop.channel.exchange_delete(exchange.name)
    error = await refusal(queues.prepare([later], None))
    assert error.fact == f"{shop.subject} has no exchange '{exchange.name}'"
    await shop.channel.declare_exchange(exchange.name, "headers")
    await queues.prepare([later], None)
    await exchange.publish(aio_pika.Message(b"1", correlation_id="corr-1"), "", mandatory=False)
    assert (await found(queues, later, 1))["count"] == 1


async def test_correlation_id_is_found_where_the_run_says(queues, shop):
    """The header of the sidecar counts, whatever others call theirs; so does an expression over the message."""
    exchange = await shop.exchange("fanout")
    usual = shop.waiting(exchange)
    named = shop.waiting(exchange, run_id="run-2", correlation_header="Request-Id")
    inside = shop.waiting(exchange, run_id="run-3", step={"correlationIdExpr": "message.value.meta.id"})
    for call in (usual, named, inside):
        await queues.prepare([call], None)
    await exchange.publish(aio_pika.Message(b"1", headers={"x-correlation-id": "corr-1"}), "", mandatory=False)
    await exchange.publish(aio_pika.Message(b"2", headers={"request-id": "corr-1"}), "", mandatory=False)
    await exchange.publish(aio_pika.Message(b'{"meta": {"id": "corr-1"}}'), "", mandatory=False)
    for call, value in ((usual, 1), (named, 2), (inside, {"meta": {"id": "corr-1"}})):
        assert [message["value"] for message in (await found(queues, call, 1))["messages"]] == [value]


async def test_message_before_the_run_is_not_seen(queues, shop):
    """A run that lets any message in sees those from its beginning on, and not what came for others before it."""
    exchange = await shop.exchange("fanout")
    await queues.prepare([shop.waiting(exchange, run_id="earlier")], None)
    await exchange.publish(aio_pika.Message(b"old"), "", mandatory=False)
    earlier = shop.waiting(exchange, run_id="earlier", step={"correlationIdExpr": "none"})
    assert (await found(queues, earlier, 1))["message"]["value"] == "old"
    later = shop.waiting(exchange, run_id="later", step={"correlationIdExpr": "none"})
    await queues.prepare([later], None)
    await exchange.publish(aio_pika.Message(b"new"), "", mandatory=False)
    assert [message["value"] for message in (await found(queues, later, 1))["messages"]] == ["new"]


async def test_value_that_is_no_json_is_text_or_base64(queues, shop):
    """Rules see JSON where it is JSON, else text, else base64; typed headers become text."""
    exchange = await shop.exchange("fanout")
    waiting = shop.waiting(exchange)
    await queues.prepare([waiting], None)
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for body in (b"[1]", b"plain", b"\xff\x00", b""):
        headers = {"when": at, "raw": bytearray(b"\xff"), "deep": {"a": [1, True]}, "half": 0.5}
        await exchange.publish(aio_pika.Message(body, correlation_id="corr-1", headers=headers), "", mandatory=False)
    seen = await found(queues, waiting, 4)
    assert [message["value"] for message in seen["messages"]] == [[1], "plain", "/wA=", None]
    assert seen["message"]["headers"] == {
        "when": "2026-01-02T03:04:05Z",
        "raw": "/w==",
        "deep": '{"a":[1,true]}',
        "half": "0.5",
    }


async def test_resumed_run_that_may_have_missed_messages_ends_in_an_error(queues, shop):
    """What an earlier worker heard is gone with its queue, so there is no verdict, and the error says what to do."""
    exchange = await shop.exchange()
    waiting = shop.waiting(exchange)
    await queues.prepare([waiting], datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    error = await refusal(queues.execute(waiting, {}))
    assert isinstance(error, StepError)
    since = error.fact.partition(" before ")[2].partition(" went ")[0]
    assert error.fact == (
        f"{shop.subject}: this run began at 2026-01-02T03:04:05.000Z under another "
        f"worker, and what came to exchange '{exchange.name}' ('#') before {since} went to that worker and is gone: "
        "messages may have been missed"
    )
    assert error.hint == (
        "run the scenario again from its beginning; a durable 'queueName' can be looked at after a resume"
    )


async def test_assertion_that_nobody_prepared_for_is_an_error(queues, shop):
    """An exchange that nobody listened at gives no verdict."""
    exchange = await shop.exchange()
    error = await refusal(queues.execute(shop.waiting(exchange, "a.b"), {}))
    assert isinstance(error, StepError)
    assert error.fact.endswith(f"nobody listened at exchange '{exchange.name}' for 'a.b' when the run began")


async def test_released_run_is_forgotten_and_others_go_on(queues, shop):
    """After release, a run has no verdict any more; the next one listens over the same queue."""
    exchange = await shop.exchange("fanout")
    waiting = shop.waiting(exchange)
    await queues.prepare([waiting], None)
    await queues.release("run-1")
    assert isinstance(await refusal(queues.execute(waiting, {})), StepError)
    other = shop.waiting(exchange, run_id="run-2", correlation_id="corr-2")
    await queues.prepare([other], None)
    await exchange.publish(aio_pika.Message(b"1", correlation_id="corr-2"), "", mandatory=False)
    assert (await found(queues, other, 1))["count"] == 1


async def test_direct_exchange_refuses_a_pattern_and_takes_a_key(queues, shop):
    """At a direct exchange '#' would hear nothing for ever, so it is an error; a plain key hears its messages."""
    exchange = await shop.exchange("direct")
    error = await refusal(queues.prepare([shop.waiting(exchange)], None))
    assert isinstance(error, StepError)
    assert error.fact == (f"{shop.subject}: exchange '{exchange.name}' is of type 'direct', to which '#' is no pattern")
    waiting = shop.waiting(exchange, "paid")
    await queues.prepare([waiting], None)
    await exchange.publish(aio_pika.Message(b"1", correlation_id="corr-1"), "paid")
    assert (await found(queues, waiting, 1))["count"] == 1


# ---- losses -------------------------------------------------------------------------------------------------------


class Wire:
    """A port that forwards to the broker until it is cut."""

    def __init__(self) -> None:
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def forward(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection in both directions."""
        there, here = await asyncio.open_connection("127.0.0.1", port)
        self._writers |= {writer, here}
        await asyncio.gather(self._pump(reader, here), self._pump(there, writer))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    def cut(self) -> None:
        """End all connections, without a word."""
        while self._writers:
            self._writers.pop().transport.abort()


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """Give a port that forwards to another one."""
    found = Wire()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(found.forward(port, reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        found.cut()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_connection_that_is_lost_midway_is_an_error_and_the_next_run_hears_again(queues, shop, caplog):
    """A run whose connection was lost gets no verdict, at once, also when others have listened again since then."""
    exchange = await shop.exchange("fanout")
    async with wire(shop.broker.port) as line:
        waiting = shop.waiting(exchange, port=line.port)
        await queues.prepare([waiting], None)
        assert (await queues.execute(waiting, {})).response["count"] == 0
        resting = asyncio.create_task(queues.news(waiting, 60))
        await asyncio.sleep(0)
        line.cut()
        async with asyncio.timeout(20):
            await resting
        subject = f"broker 'main' at '127.0.0.1:{line.port}/shop'"
        error = await refusal(queues.execute(waiting, {}))
        assert isinstance(error, UnreachableError)
        assert error.fact.startswith(f"{subject}: the connection was lost at 20")
        assert error.fact.endswith(
            f"(the broker closed it); messages of exchange '{exchange.name}' ('#') may have been missed since then"
        )
        assert error.hint == "see whether the broker is up, and its log; then run the scenario again"

        later = shop.waiting(exchange, port=line.port, run_id="later", correlation_id="corr-2")
        await queues.prepare([later], None)
        await exchange.publish(aio_pika.Message(b"1", correlation_id="corr-2"), "", mandatory=False)
        assert (await found(queues, later, 1))["count"] == 1
        error = await refusal(queues.execute(waiting, {}))
        assert error.fact.startswith(f"{subject}: the connection was lost while this run was under way; messages of ")
        await queues.close()
    assert [record for record in caplog.records if record.name.startswith(("aio_pika", "aiormq", "asyncio"))] == []


async def test_broker_that_falls_silent_gives_no_verdict(queues, shop):
    """That nothing has come is only said of a broker that answers; of one that does not, the run is told so."""
    exchange = await shop.exchange("fanout")
    with Proxy((shop.broker.host, shop.broker.port)) as proxy:
        waiting = shop.waiting(exchange, port=proxy.address[1], timeout_s=0.1)
        await queues.prepare([waiting], None)
        assert (await queues.execute(replace(waiting, timeout_s=20), {})).response["count"] == 0
        proxy.fall_silent()
        listener = next(iter(queues._session._brokers.values())).listener
        listener._alive_at -= 60  # the broker was last heard of a minute ago
        with pytest.raises(CallTimeoutError):
            await queues.execute(waiting, {})
        listener._asked_at -= 60  # and asked
        error = await refusal(queues.execute(waiting, {}))
        assert isinstance(error, UnreachableError)
        assert "(the broker does not answer); messages of" in error.fact

        proxy.recover()
        later = shop.waiting(exchange, port=proxy.address[1], run_id="later", correlation_id="corr-2")
        await queues.prepare([later], None)
        await exchange.publish(aio_pika.Message(b"1", correlation_id="corr-2"), "", mandatory=False)
        assert (await found(queues, later, 1))["count"] == 1
        await queues.close()


async def test_publishing_after_a_loss_connects_again(queues, shop, caplog):
    """An action on a connection that was lost while idle opens another one."""
    queue = await shop.queue()
    async with wire(shop.broker.port) as line:
        call = shop.call({"queueName": queue.name, "valueTemplate": "a"}, port=line.port)
        await queues.execute(call, {})
        line.cut()
        async with asyncio.timeout(20):
            while (fault := await outcome(queues.execute(call, {}))) is not None:  # the driver has not noticed yet
                assert fault.fact.startswith(
                    f"broker 'main' at '127.0.0.1:{line.port}/shop': the connection was lost: "
                )
                await asyncio.sleep(0.01)
        await queues.close()
    assert [record for record in caplog.records if record.name.startswith(("aio_pika", "aiormq", "asyncio"))] == []


async def test_queue_that_listens_and_is_deleted_is_a_loss(queues, shop):
    """When an administrator deletes what listens, the run is told."""
    exchange = await shop.exchange("fanout")
    waiting = shop.waiting(exchange)
    await queues.prepare([waiting], None)
    listener = next(iter(queues._session._brokers.values())).listener
    ear = next(iter(listener._ears.values()))  # exclusive: only its own connection may delete it
    underlay = await listener._channel.get_underlay_channel()
    await underlay.queue_delete(ear.queue.name)
    async with asyncio.timeout(20):
        while (error := await outcome(queues.execute(waiting, {}))) is None:
            await queues.news(waiting, 20)
    assert "(the broker deleted a queue that listened)" in error.fact
