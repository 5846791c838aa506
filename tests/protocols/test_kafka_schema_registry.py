"""Values that name their schema, by a registry that speaks Confluent's protocol."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
from kafka_broker import free_port, kafka_call, started_producer

from pytest_orchestra.errors import (
    LoginRefusedError,
    OrchestraError,
    StepError,
    UnreachableError,
    UnusableEnvironmentError,
)

pytest_plugins = ["kafka_fixtures"]

GENEROUS_S = 30.0
_numbers = count(1)

MONEY = {
    "type": "record",
    "name": "Money",
    "namespace": "shop",
    "fields": [
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "currency", "type": "string"},
    ],
}
ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "total", "type": "shop.Money"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "placedAt", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "seal", "type": "bytes"},
    ],
}


PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "shop/line.proto";
message Other { int32 x = 1; }
message Order {
  string id = 1;
  int32 line_count = 2;
  google.protobuf.Timestamp placed_at = 3;
  repeated Line lines = 4;
  message Note { string text = 1; }
}
"""
ANSWERS = {
    "/schemas/types": ["JSON", "PROTOBUF", "AVRO"],
    "/schemas/ids/1": {
        "schema": json.dumps(ORDER),
        "references": [{"name": "shop.Money", "subject": "money", "version": 3}],
    },
    "/subjects/money/versions/3": {"schema": json.dumps(MONEY), "id": 9, "version": 3},
    "/schemas/ids/2": {
        "schemaType": "PROTOBUF",
        "schema": PROTO,
        "references": [{"name": "shop/line.proto", "subject": "line", "version": 1}],
    },
    "/subjects/line/versions/1": {"schema": 'syntax = "proto3"; package shop; message Line { string sku = 1; }'},
    "/schemas/ids/3": {"schemaType": "JSON", "schema": "{}"},
    "/schemas/ids/4": {"schemaType": "PROTOBUF", "schema": "syntax = 'proto3'; message {"},
    "/schemas/ids/5": {"schemaType": "XML", "schema": "<a/>"},
    "/schemas/ids/6": {
        "schemaType": "JSON",
        "schema": json.dumps(
            {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"total": {"$ref": "money.json"}}}
        ),
        "references": [{"name": "money.json", "subject": "money-json", "version": 1}],
    },
    "/subjects/money-json/versions/1": {"schema": json.dumps({"type": "number"}), "id": 10, "version": 1},
    "/subjects/orders-order/versions/latest": {"id": 1, "version": 4},
    "/subjects": ["money", "orders-order"],
}


class Registry(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = "Basic " + base64.b64encode(b"reader:s3cret-word").decode()
        answer = ANSWERS.get(self.path)
        status = 404 if answer is None else 200 if self.headers.get("Authorization") == wanted else 401
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.end_headers()
        self.wfile.write(json.dumps(answer if status == 200 else {"message": "no"}).encode())

    def log_message(self, *_):
        pass


@contextmanager
def registry(port: int = 0) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", port), Registry)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def registry_url():
    with registry() as url:
        yield url


@pytest.fixture
def topic(kafka_broker):
    name = f"typed.{next(_numbers)}"
    kafka_broker.make_topics(name)
    return name


def see(broker, topic, url, password="s3cret-word", **step):
    login = {"usernameRef": "env:USER", "passwordRef": "env:PASSWORD"}
    environment = broker.environment(schemaRegistry={"url": url, **login})
    secrets = {"env:USER": "reader", "env:PASSWORD": password}
    return kafka_call(broker, topic, environment=environment, secrets=secrets, **step)


async def send(broker, topic, *values, correlation_id="corr-run-1"):
    producer = await started_producer(broker)
    for value in values:
        await producer.send_and_wait(topic, value, headers=[("X-Correlation-ID", correlation_id.encode())])
    await producer.stop()


async def found(protocol, call, wanted=1):
    async with asyncio.timeout(GENEROUS_S):
        while True:
            reply = await protocol.execute(call, {})
            if reply.response["count"] >= wanted:
                return [message["value"] for message in reply.response["messages"]]
            await protocol.news(call, GENEROUS_S)


def framed(number, body):
    return b"\x00" + number.to_bytes(4, "big") + body


def avro():
    fastavro = pytest.importorskip("fastavro", reason="needs 'fastavro' to write Avro for Kafka")
    named = {}
    fastavro.parse_schema(MONEY, named_schemas=named)
    into = io.BytesIO()
    order = {
        "id": "o-1",
        "total": {"amount": Decimal("12.50"), "currency": "EUR"},
        "note": None,
        "placedAt": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "seal": b"\xff\x00",
    }
    fastavro.schemaless_writer(into, fastavro.parse_schema(ORDER, named_schemas=named), order)
    return into.getvalue()


async def test_values_of_every_kind_are_read_by_their_schemas(kafka, kafka_broker, topic, registry_url):
    """Avro with references, Protobuf with nested messages, JSON; and plain JSON beside them, as ever."""
    for library in ("google.protobuf", "grpc_tools"):
        pytest.importorskip(library, reason="needs 'protobuf' and 'grpcio-tools' to read Protobuf from Kafka")
    call = see(kafka_broker, topic, registry_url)
    await kafka.prepare([call], None)
    order = b"\x0a\x03o-1" + b"\x1a\x02\x08\x05" + b"\x22\x05\x0a\x03abc"
    note = b"\x0a\x03sku"
    await send(
        kafka_broker,
        topic,
        framed(1, avro()),
        framed(2, b"\x02\x02" + order),
        framed(2, b"\x04\x02\x00" + note),
        framed(2, b"\x00" + b"\x08\x07"),
        framed(3, b'{"a": 1}'),
        b'{"plain": true}',
    )
    assert await found(kafka, call, 6) == [
        {
            "id": "o-1",
            "total": {"amount": 12.5, "currency": "EUR"},
            "note": None,
            "placedAt": "2026-01-02T03:04:05+00:00",
            "seal": "/wA=",
        },
        {"id": "o-1", "lineCount": 0, "placedAt": "1970-01-01T00:00:05Z", "lines": [{"sku": "abc"}]},
        {"text": "sku"},
        {"x": 7},
        {"a": 1},
        {"plain": True},
    ]


async def test_registry_that_is_away_is_told_before_the_run(kafka, kafka_broker, topic):
    """A run whose messages could not be read does not begin."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError) as caught:
        await kafka.prepare([see(kafka_broker, topic, url)], None)
    assert caught.value.fact == f"schema registry of cluster 'main' at '{url}': it cannot be reached"
    assert caught.value.hint == "start it, or correct 'schemaRegistry' of 'main' in environment 'local'"


async def test_registry_that_goes_away_is_told_and_works_again_when_it_is_back(kafka, kafka_broker, topic):
    """While it is away, all who wait are told; when it is back, nothing is lost."""
    port = free_port()
    with registry(port) as url:
        call = see(kafka_broker, topic, url)
        await kafka.prepare([call], None)
    await send(kafka_broker, topic, framed(3, b'{"a": 1}'))
    with pytest.raises(UnreachableError):
        await found(kafka, call)
    with registry(port):
        async with asyncio.timeout(GENEROUS_S):
            while True:
                try:
                    assert await found(kafka, call) == [{"a": 1}]
                    break
                except UnreachableError:
                    await asyncio.sleep(0.02)


async def test_registry_that_refuses_the_login_is_told(kafka, kafka_broker, topic, registry_url):
    """The user is named, the password is not."""
    with pytest.raises(LoginRefusedError) as caught:
        await kafka.prepare([see(kafka_broker, topic, registry_url, "wr0ng-word")], None)
    assert caught.value.fact == f"schema registry of cluster 'main' at '{registry_url}': login of 'reader' refused"
    assert "wr0ng-word" not in str(caught.value)


async def test_url_that_is_none_is_told(kafka, kafka_broker, topic):
    """A registry is spoken to by HTTP."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        await kafka.prepare([see(kafka_broker, topic, "registry:8081")], None)
    assert caught.value.fact == ("the schema registry of cluster 'main' has URL 'registry:8081', which is none of HTTP")


@pytest.mark.parametrize(
    ("raw", "fact"),
    [
        (framed(1, b"\x06"), "a value does not fit schema 1 of the schema registry of cluster 'main' at "),
        (framed(2, b"\x02"), "a value does not fit schema 2 of the schema registry of cluster 'main' at "),
        (framed(77, b""), "answers '/schemas/ids/77' with 404"),
        (framed(4, b"\x00"), "cannot be compiled: orchestra_value.proto:1:"),
        (framed(5, b""), "has schema 5 of type 'XML', which is not read"),
    ],
)
async def test_value_that_cannot_be_read_is_told(kafka, kafka_broker, topic, registry_url, raw, fact):
    """The run whose message it is is told why; the reader goes on, and other runs with it."""
    call = see(kafka_broker, topic, registry_url)
    await kafka.prepare([call], None)
    await send(kafka_broker, topic, raw)
    with pytest.raises(StepError) as caught:
        await found(kafka, call)
    assert fact in caught.value.fact
    assert caught.value.hint == "see what the producer writes"
    await send(kafka_broker, topic, framed(3, b'{"a": 1}'), correlation_id="corr-run-2")
    assert await found(kafka, replace(call, run_id="run-2", correlation_id="corr-run-2")) == [{"a": 1}]


ORDER_VALUE = {
    "id": "o-1",
    "total": {"amount": 12.5, "currency": "EUR"},
    "placedAt": "2026-01-02T03:04:05Z",
    "seal": "/wA=",
}


async def published(protocol, broker, topic, url, value, **step):
    """Publish, and give the reply and the bytes that are in the topic then."""
    from aiokafka import AIOKafkaConsumer  # noqa: PLC0415  an extra

    reply = await protocol.execute(see(broker, topic, url, kind="ACTION", value=value, **step), {})
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(GENEROUS_S):
            raw = (await consumer.getone()).value
    finally:
        await consumer.stop()
    return reply, raw


@pytest.fixture
def subject(topic):
    """Let the registry have a schema for a topic."""
    paths = []

    def know(number):
        paths.append(f"/subjects/{topic}-value/versions/latest")
        ANSWERS[paths[-1]] = {"id": number, "version": 2}

    yield know
    for path in paths:
        del ANSWERS[path]


async def test_value_is_published_by_the_latest_schema_of_its_topic(kafka, kafka_broker, topic, registry_url, subject):
    """Avro as its own library writes it: decimals, moments, bytes, a nullable field that is left out, references."""
    subject(1)
    reply, raw = await published(kafka, kafka_broker, topic, registry_url, ORDER_VALUE)
    assert raw == framed(1, avro())
    assert reply.exchange.request["schema"] == {"subject": f"{topic}-value", "version": 2, "id": 1}
    assert reply.exchange.request["value"] == ORDER_VALUE
    coded = base64.b64encode(raw).decode()
    assert reply.exchange.reproduce == (
        f"printf %s {coded} | base64 -d | kcat -b {kafka_broker.address} -P -t {topic} "
        "-H X-Correlation-ID=corr-run-1 /dev/stdin"
    )


@pytest.mark.parametrize(
    ("named", "value", "body"),
    [
        (None, {"x": 7}, b"\x00" + b"\x08\x07"),
        (
            "{topic}-value#shop.Order",
            {"id": "o-1", "placedAt": "1970-01-01T00:00:05Z", "lines": [{"sku": "abc"}]},
            b"\x02\x02" + b"\x0a\x03o-1" + b"\x1a\x02\x08\x05" + b"\x22\x05\x0a\x03abc",
        ),
        ("{topic}-value#shop.Order.Note", {"text": "sku"}, b"\x04\x02\x00" + b"\x0a\x03sku"),
    ],
)
async def test_protobuf_is_published_as_the_message_that_is_named(
    kafka, kafka_broker, topic, registry_url, subject, named, value, body
):
    """The first message of the file, unless another one is named, which may be within one."""
    pytest.importorskip("grpc_tools", reason="needs 'grpcio-tools' to write Protobuf to Kafka")
    subject(2)
    step = {"valueSchema": named.format(topic=topic)} if named else {}
    _, raw = await published(kafka, kafka_broker, topic, registry_url, value, **step)
    assert raw == framed(2, body)


async def test_value_of_json_schema_is_published_with_its_number(kafka, kafka_broker, topic, registry_url, subject):
    """And held against the schema, with what that refers to."""
    subject(6)
    _, raw = await published(kafka, kafka_broker, topic, registry_url, {"total": 1})
    assert raw == framed(6, b'{"total":1}')
    with pytest.raises(StepError) as caught:
        await kafka.execute(see(kafka_broker, topic, registry_url, kind="ACTION", value={"total": "one"}), {})
    assert caught.value.fact == (
        f"the message does not fit version 2 of subject '{topic}-value' of the schema registry of cluster 'main' at "
        f"'{registry_url}': /value/total: expected number, observed 'one'"
    )
    assert caught.value.hint == "correct 'valueTemplate', or set 'breaksContract: true' if that is the purpose"


@pytest.mark.parametrize(
    ("number", "step", "value", "raw"),
    [
        (None, {}, {"a": 1}, b'{"a":1}'),
        (1, {"valueSchema": "none"}, {"a": 1}, b'{"a":1}'),
        (1, {"breaksContract": True}, {"a": 1}, b'{"a":1}'),
        (1, {"key": "k"}, None, None),
    ],
    ids=["no-subject", "none", "broken-on-purpose", "tombstone"],
)
async def test_value_without_a_schema_is_published_as_it_is(
    kafka, kafka_broker, topic, registry_url, subject, number, step, value, raw
):
    """Where the topic has no subject, where the step says so, and where it breaks the schema on purpose."""
    if number is not None:
        subject(number)
    reply, found = await published(kafka, kafka_broker, topic, registry_url, value, **step)
    assert found == raw
    assert "schema" not in reply.exchange.request


async def test_subject_that_is_named_is_taken(kafka, kafka_broker, topic, registry_url):
    """Topics with several kinds of messages name them otherwise than themselves."""
    _, raw = await published(kafka, kafka_broker, topic, registry_url, ORDER_VALUE, valueSchema="orders-order")
    assert raw == framed(1, avro())


MISFIT = "the message does not fit version 2 of subject '{topic}-value' of the {registry}: /value: "


@pytest.mark.parametrize(
    ("number", "named", "value", "fact", "hint"),
    [
        (None, "orders-ordr", {}, "{registry} has no subject 'orders-ordr'", "did you mean 'orders-order'?"),
        (
            None,
            "billing",
            {},
            "{registry} has no subject 'billing'",
            "correct 'valueSchema', or register its schema",
        ),
        (
            2,
            "{topic}-value#shop.Ordr",
            {},
            MISFIT + "the schema has no message 'shop.Ordr', did you mean 'shop.Order'?",
            "correct 'valueTemplate', or set 'breaksContract: true' if that is the purpose",
        ),
        (
            2,
            None,
            {"y": 1},
            MISFIT + 'message type "shop.Other" has no field named "y" at "Other"',
            "correct 'valueTemplate', or set 'breaksContract: true' if that is the purpose",
        ),
    ],
)
async def test_value_that_cannot_be_written_is_told(
    kafka, kafka_broker, topic, registry_url, subject, number, named, value, fact, hint
):
    """Before anything is sent."""
    if number is not None:
        pytest.importorskip("grpc_tools", reason="needs 'grpcio-tools' to write Protobuf to Kafka")
        subject(number)
    step = {"valueSchema": named.format(topic=topic)} if named else {}
    with pytest.raises(OrchestraError) as caught:
        await kafka.execute(see(kafka_broker, topic, registry_url, kind="ACTION", value=value, **step), {})
    registry = f"schema registry of cluster 'main' at '{registry_url}'"
    assert (caught.value.fact, caught.value.hint) == (fact.format(registry=registry, topic=topic), hint)


async def test_registry_that_is_away_is_told_when_publishing(kafka, kafka_broker, topic):
    """Nothing is sent that no consumer could read."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError) as caught:
        await kafka.execute(see(kafka_broker, topic, url, kind="ACTION", value={}), {})
    assert caught.value.fact == f"schema registry of cluster 'main' at '{url}': it cannot be reached"


async def test_subject_without_a_registry_is_told(kafka, kafka_broker, topic):
    """The cluster is named, and what it needs."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        await kafka.execute(kafka_call(kafka_broker, topic, kind="ACTION", value={}, valueSchema="orders-order"), {})
    assert caught.value.fact == (
        f"cluster 'main' at '{kafka_broker.address}' has no schema registry, where subject 'orders-order' would be"
    )
    assert caught.value.hint == "add 'schemaRegistry' to 'main' in environment 'local'"


def test_schema_of_a_value_that_is_awaited_is_told_before_anything_runs(kafka, kafka_broker):
    """Values that are read name their schema themselves."""
    (problem,) = kafka.check(kafka_call(kafka_broker, "orders", valueSchema="orders-order").step, {})
    assert problem.message == "'valueSchema' says how a message is published"
