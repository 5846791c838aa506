"""gRPC steps against real servers on loopback."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import shlex
import shutil
import socket
from dataclasses import replace

import pytest

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

from grpc_peers import OrdersServer, call, step, write_protos

from pytest_orchestra.engine.ports import CallTimeoutError, ProtocolPlugin, ProtocolViolation, RepeatingProtocol
from pytest_orchestra.errors import (
    SecretNotFoundError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.run import ViolationType
from pytest_orchestra.protocols.grpc import GrpcProtocol


@pytest.fixture(scope="module")
def proto(tmp_path_factory):
    """Give the service's ``.proto`` file."""
    return write_protos(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def specs(proto):
    """Give its specification."""
    return {"orders": GrpcProtocol().parse_spec(proto, "orders")}


@pytest.fixture
async def protocol():
    """Give the protocol under test, closed in the end."""
    protocol = GrpcProtocol()
    yield protocol
    await protocol.close()


@pytest.fixture
async def server(specs):
    """Give the service, running."""
    server = await OrdersServer(specs["orders"]).start()
    yield server
    await server.stop()


def test_grpc_protocol_is_a_protocol_plugin():
    """The class implements the engine's ports."""
    protocol = GrpcProtocol()
    assert isinstance(protocol, ProtocolPlugin)
    assert isinstance(protocol, RepeatingProtocol)
    assert (protocol.protocol_id, protocol.channel_type) == ("grpc", "GRPC")


# ---- the four kinds -----------------------------------------------------------------------------------------------


async def test_unary_call_gives_status_message_metadata_and_trailers(protocol, server, specs):
    """Rules see the response under the names that the docs promise, fields as the .proto file calls them."""
    order = {"orderId": "o-1", "status": "PLACED", "total": {"cents": 9_007_199_254_740_993}, "serials": ["18", 19]}
    reply = await protocol.execute(call(server.url, "Orders.Place", {"message": order}), specs)
    response = dict(reply.response)
    assert response.pop("elapsedMs") > 0
    message = response.pop("message")
    assert response.pop("messages") == [message]
    assert response == {
        "status": "OK",
        "code": 0,
        "details": "",
        "errorDetails": [],
        "metadata": {"served-by": "a, b", "seal-bin": "/w=="},
        "trailers": {"cost": "7"},
    }
    assert message["order_id"] == "o-1"
    assert message["total"] == {"cents": 9_007_199_254_740_993, "currency": ""}
    assert message["serials"] == [18, 19]
    assert (message["is_gift"], message["lines"], message["weight"]) == (False, [], 0.0)
    assert reply.status_name == "OK"
    assert reply.status_code is None


async def test_every_kind_of_field_comes_back_as_it_was_sent(protocol, server, specs):
    """Maps, well-known types, wrappers, bytes, enums and one of several keep their JSON."""
    order = {
        "order_id": "o-1",
        "labels": {"a": "b"},
        "by_sku": {"s": {"sku": "s", "quantity": 3}},
        "placed_at": "2026-01-02T03:04:05Z",
        "extra": {"a": [1, {"b": None}]},
        "limit": 12,
        "photo": "AAE=",
        "weight": "NaN",
        "anything": {"@type": "type.googleapis.com/shop.v1.Money", "cents": "5"},
        "patience": "1.500s",
        "company": "Acme",
    }
    reply = await protocol.execute(call(server.url, "Orders.Place", {"message": order}), specs)
    got = reply.response["message"]
    assert {name: got[name] for name in order if name != "anything"} == {
        name: value for name, value in order.items() if name != "anything"
    }
    assert got["anything"]["@type"] == "type.googleapis.com/shop.v1.Money"
    assert "person" not in got
    json.dumps(reply.response, allow_nan=False)


async def test_server_stream_collects_all_messages(protocol, server, specs):
    """The stream is read to its end; the first message stands alone as well."""
    reply = await protocol.execute(call(server.url, "Orders.Watch", {"message": {"count": 3}}), specs)
    assert [each["order_id"] for each in reply.response["messages"]] == ["o-0", "o-1", "o-2"]
    assert reply.response["message"]["order_id"] == "o-0"


async def test_server_stream_without_messages_is_a_reply(protocol, server, specs):
    """An empty stream has no first message."""
    reply = await protocol.execute(call(server.url, "Orders.Watch"), specs)
    assert (reply.response["messages"], reply.response["message"], reply.status_name) == ([], None, "OK")


async def test_server_stream_ends_at_most_messages(protocol, server, specs):
    """As soon as there are enough, the call is given up on both sides."""
    given = {"message": {"count": 5, "orderId": "then wait"}, "most": 2}
    reply = await protocol.execute(call(server.url, "Orders.Watch", given), specs)
    assert (len(reply.response["messages"]), reply.status_name) == (2, "OK")


async def test_server_stream_that_never_ends_gives_what_came_by_the_deadline(protocol, server, specs):
    """What came is a reply whose status says that time was over; without a message there is no reply."""
    await protocol.execute(call(server.url, "Orders.Watch"), specs)
    silent = {"message": {"orderId": "then wait"}}
    made = (
        call(server.url, "Orders.Watch", {"message": {"count": 2, "orderId": "then wait"}}, timeout_s=3),
        call(server.url, "Orders.Watch", silent, timeout_s=3, expectedStatusCode=["DEADLINE_EXCEEDED"]),
        call(server.url, "Orders.Watch", silent, timeout_s=3),
    )
    some, none, late = await asyncio.gather(*(protocol.execute(each, specs) for each in made), return_exceptions=True)
    assert (len(some.response["messages"]), some.status_name) == (2, "DEADLINE_EXCEEDED")
    assert (none.response["messages"], none.status_name) == ([], "DEADLINE_EXCEEDED")
    assert isinstance(late, CallTimeoutError)
    assert late.exchange.response["status"] == "DEADLINE_EXCEEDED"


async def test_server_stream_that_fails_keeps_what_came_before(protocol, server, specs):
    """The status is that of the end, the messages are there."""
    given = {"message": {"count": 2, "orderId": "then fail"}}
    reply = await protocol.execute(call(server.url, "Orders.Watch", given), specs)
    assert (len(reply.response["messages"]), reply.status_name) == (2, "DATA_LOSS")


async def test_client_stream_sends_all_messages(protocol, server, specs):
    """A list goes out one by one; a single message is a list of one, an empty list nothing at all."""
    for given, ids in (
        ({"messages": [{"order_id": "a"}, {"order_id": "b"}, None]}, ["a", "b", ""]),
        ({"message": {"order_id": "c"}}, ["c"]),
        ({"messages": []}, []),
    ):
        reply = await protocol.execute(call(server.url, "Orders.Import", given), specs)
        assert reply.response["message"] == {"count": len(ids), "order_ids": ids}


async def test_stream_in_both_directions_does_not_block(protocol, server, specs):
    """More than the windows of flow control hold goes out and comes back."""
    messages = [{"order_id": str(number), "photo": "AAAA" * 8_000} for number in range(40)]
    reply = await protocol.execute(call(server.url, "Orders.Chat", {"messages": messages}), specs)
    assert [each["order_id"] for each in reply.response["messages"]] == [str(number) for number in range(40)]


async def test_server_that_refuses_in_the_midst_of_a_stream_is_heard(protocol, server, specs):
    """Its status counts, though messages were still on their way."""
    messages = [{"order_id": "INVALID_ARGUMENT:not this"}, *({"photo": "AAAA" * 8_000} for _ in range(20))]
    for _ in range(10):
        reply = await protocol.execute(call(server.url, "Orders.Chat", {"messages": messages}), specs)
        assert (reply.status_name, reply.response["details"]) == ("INVALID_ARGUMENT", "not this")


# ---- what goes with a call ----------------------------------------------------------------------------------------


async def test_metadata_is_merged_and_secrets_stay_unseen(protocol, server, specs):
    """The step's metadata goes before the profile's; correlation and trace go along; secrets show nowhere."""
    profile = {
        "baseUrl": server.url,
        "headers": {"X-Stage": "test", "X-Kept": "yes"},
        "headerRefs": {"Authorization": "env:TOKEN", "X-Partner": "env:PARTNER"},
    }
    made = call(
        profile,
        "Orders.Place",
        {"metadata": {"x-many": ["a", 1, True, None], "seal-bin": "AAE", "X-Stage": "own"}},
        headers={"x-more": "m", "x-stage": "header"},
        secrets={"env:TOKEN": "Bearer t0ken", "env:PARTNER": "s3cret"},
        trace_parent="00-1-2-01",
        timeout_s=30,
    )
    reply = await protocol.execute(made, specs)
    came = server.metadata[0]
    assert came.pop("user-agent").startswith("pytest-orchestra ")
    assert came == {
        "x-stage": "own",
        "x-kept": "yes",
        "authorization": "Bearer t0ken",
        "x-partner": "s3cret",
        "x-correlation-id": "corr-1",
        "traceparent": "00-1-2-01",
        "x-more": "m",
        "x-many": "true",
        "seal-bin": b"\x00\x01",
    }
    assert 20 < server.deadlines[0] <= 30
    assert "s3cret" not in str(reply)
    assert "t0ken" not in str(reply)
    assert reply.exchange.request["metadata"]["authorization"] == "Bearer ***"
    assert reply.exchange.request["metadata"]["x-many"] == "a, 1, true"


async def test_auth_of_the_profile_becomes_metadata(protocol, server, specs):
    """Tokens, passwords and API keys go along unless the step says otherwise, and show nowhere."""
    secrets = {"env:TOKEN": "t0ken", "env:KEY": "k3y3"}
    auth = {"bearer": "env:TOKEN", "apiKey": {"valueRef": "env:KEY", "name": "X-Api"}}
    made = call({"baseUrl": server.url, "auth": auth}, "Orders.Place", secrets=secrets)
    reply = await protocol.execute(made, specs)
    assert (server.metadata[-1]["authorization"], server.metadata[-1]["x-api"]) == ("Bearer t0ken", "k3y3")
    assert "t0ken" not in str(reply)
    assert "k3y3" not in str(reply)
    basic = {"basic": {"username": "me", "passwordRef": "env:KEY"}}
    await protocol.execute(call({"baseUrl": server.url, "auth": basic}, "Orders.Place", secrets=secrets), specs)
    assert server.metadata[-1]["authorization"] == "Basic bWU6azN5Mw=="
    own = {"metadata": {"Authorization": "none"}}
    await protocol.execute(call({"baseUrl": server.url, "auth": basic}, "Orders.Place", own, secrets=secrets), specs)
    assert server.metadata[-1]["authorization"] == "none"
    key = {"apiKey": {"valueRef": "env:KEY", "name": "key", "in": "query"}}
    with pytest.raises(UnusableEnvironmentError) as caught:
        await protocol.execute(call({"baseUrl": server.url, "auth": key}, "Orders.Place", secrets=secrets), specs)
    assert str(caught.value) == (
        "'auth' of service 'orders' has an API key in the query, which gRPC calls cannot use\n"
        "hint: leave 'in' away: it is a key of metadata then"
    )


async def test_exchange_has_a_grpcurl_command(protocol, server, specs, proto):
    """What is shown can be sent again by hand; masked values are shell variables."""
    profile = {"baseUrl": server.url, "headerRefs": {"Authorization": "env:TOKEN"}}
    made = call(
        profile,
        "Orders.Place",
        {"message": {"order_id": "it's"}},
        secrets={"env:TOKEN": "Bearer t0ken"},
    )
    exchange = (await protocol.execute(made, specs)).exchange
    assert exchange.request == {
        "target": f"127.0.0.1:{server.port}",
        "method": "shop.v1.Orders/Place",
        "metadata": {"authorization": "Bearer ***", "x-correlation-id": "corr-1"},
        "message": {"order_id": "it's"},
    }
    assert exchange.response["message"]["order_id"] == "it's"
    assert exchange.reproduce == (
        f"grpcurl -plaintext -import-path {proto.parents[2]} -proto shop/v1/orders.proto "
        "-H \"authorization: Bearer $AUTHORIZATION\" -H 'x-correlation-id: corr-1' "
        f'-d \'{{"order_id": "it\'"\'"\'s"}}\' 127.0.0.1:{server.port} shop.v1.Orders/Place'
    )


async def test_grpcurl_command_works(protocol, server, specs):
    """The command makes the same call, for streams too."""
    program = shutil.which("grpcurl")
    if program is None:
        pytest.skip("needs the program 'grpcurl'")
    given = {"messages": [{"order_id": "it's"}, {"order_id": "b"}], "metadata": {"seal-bin": "AAE="}}
    reply = await protocol.execute(call(server.url, "Orders.Import", given), specs)
    words = shlex.split(reply.exchange.reproduce)
    process = await asyncio.create_subprocess_exec(
        program, *words[1:], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaint = await process.communicate()
    assert complaint == b""
    assert json.loads(said) == {"count": 2, "orderIds": ["it's", "b"]}
    ours, theirs = server.metadata
    assert (theirs["seal-bin"], theirs["x-correlation-id"]) == (ours["seal-bin"], "corr-1")


# ---- statuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [("NOT_FOUND", 5), ("UNAVAILABLE", 14), ("DEADLINE_EXCEEDED", 4), ("CANCELLED", 1), ("INTERNAL", 13)],
)
async def test_status_of_the_server_is_a_reply(protocol, server, specs, status, code):
    """Whatever the server itself says is a reply, also what the library says in its own name elsewhere."""
    details = "failed to connect to all addresses; last error: x"
    made = call(server.url, "Orders.Place", {"message": {"order_id": f"{status}:{details}"}})
    reply = await protocol.execute(made, specs)
    assert reply.status_name == status
    assert {name: reply.response[name] for name in ("status", "code", "details", "message", "messages")} == {
        "status": status,
        "code": code,
        "details": details,
        "message": None,
        "messages": [],
    }
    assert reply.response["trailers"] == {"reason": "because", "trace-bin": "AAE="}


async def test_details_of_an_error_are_read_as_far_as_their_types_are_known(protocol, server, specs):
    """Those of the specification and the usual ones become objects; of others, the bytes are shown."""
    details = pytest.importorskip("google.rpc.error_details_pb2", reason="needs 'googleapis-common-protos'")
    status = importlib.import_module("google.rpc.status_pb2").Status(code=5, message="b")
    violations = [{"field": "order_id", "description": "too long"}]
    status.details.add().Pack(details.BadRequest(field_violations=violations))
    status.details.add(type_url="type.googleapis.com/shop.v1.Money", value=b"\x08\x07")
    status.details.add(type_url="type.googleapis.com/shop.v1.Unknown", value=b"\x08\x07")
    server.status_details = status.SerializeToString()
    made = call(server.url, "Orders.Place", {"message": {"order_id": "NOT_FOUND:b"}})
    reply = await protocol.execute(made, specs)
    bad_request, money, unknown = reply.response["errorDetails"]
    assert bad_request["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert bad_request["field_violations"][0].items() >= violations[0].items()
    assert money == {"@type": "type.googleapis.com/shop.v1.Money", "cents": 7, "currency": ""}
    assert unknown == {"@type": "type.googleapis.com/shop.v1.Unknown", "value": "CAc="}
    assert reply.exchange.response["errorDetails"] == [bad_request, money, unknown]
    server.status_details = b"\x0a"
    assert (await protocol.execute(made, specs)).response["errorDetails"] == []


async def test_method_that_the_server_lacks_is_unimplemented(protocol, server, specs):
    """A specification that promises more than the server has is told by the server's status."""
    await server.stop()
    import grpc.aio  # noqa: PLC0415

    empty = grpc.aio.server()
    port = empty.add_insecure_port("127.0.0.1:0")
    await empty.start()
    reply = await protocol.execute(call(f"http://127.0.0.1:{port}", "Orders.Place"), specs)
    assert reply.status_name == "UNIMPLEMENTED"
    await empty.stop(None)


async def test_own_deadline_is_a_timeout_with_what_was_sent(protocol, server, specs):
    """A unary call without an answer in time raises, and ends in the server."""
    await protocol.execute(call(server.url, "Orders.Place"), specs)
    made = call(server.url, "Orders.Place", {"message": {"order_id": "wait"}}, timeout_s=2)
    with pytest.raises(CallTimeoutError) as caught:
        await protocol.execute(made, specs)
    assert caught.value.exchange.request["message"] == {"order_id": "wait"}
    await asyncio.wait_for(server.cancelled.wait(), 20)


async def test_cancelled_call_ends_in_the_server(protocol, server, specs):
    """A step that is cancelled does not leave its call behind, and the channel goes on."""
    made = call(server.url, "Orders.Place", {"message": {"order_id": "wait"}}, timeout_s=60)
    task = asyncio.create_task(protocol.execute(made, specs))
    await asyncio.wait_for(server.began.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.cancelled.wait(), 20)
    assert (await protocol.execute(call(server.url, "Orders.Place"), specs)).status_name == "OK"


async def test_calls_share_one_channel_and_go_on_after_close(protocol, server, specs):
    """Many calls at once use one connection; a closed protocol opens it again."""
    replies = await asyncio.gather(
        *(
            protocol.execute(call(server.url, "Orders.Place", {"message": {"order_id": str(number)}}), specs)
            for number in range(50)
        )
    )
    assert [each.response["message"]["order_id"] for each in replies] == [str(number) for number in range(50)]
    assert len(protocol._caller._connections) == 1
    await protocol.close()
    assert (await protocol.execute(call(server.url, "Orders.Place"), specs)).status_name == "OK"


# ---- peers that are wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "address", "words", "hint"),
    [
        ("127.0.0.1:{port}", "127.0.0.1:{port}", "connection refused", None),
        ("nowhere.invalid:50051", "nowhere.invalid:50051", "its name does not resolve", "correct its host name"),
    ],
)
async def test_nothing_listening_is_unreachable(protocol, specs, host, address, words, hint):
    """An address where no server is, is an error of the environment."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    made = call(f"grpc://{host.format(port=port)}", "Orders.Place")
    with pytest.raises(UnreachableError) as caught:
        await protocol.execute(made, specs)
    usual = "start the service, or correct its 'baseUrl' in environment 'local'"
    assert str(caught.value) == f"service 'orders' at '{address.format(port=port)}': {words}\nhint: {hint or usual}"


async def test_service_that_starts_later_is_reached_at_once(protocol, specs):
    """A refused connection does not make the next call wait or fail."""
    first = await OrdersServer(specs["orders"]).start()
    await first.stop()
    with pytest.raises(UnreachableError):
        await protocol.execute(call(first.url, "Orders.Place"), specs)
    second = await OrdersServer(specs["orders"]).start(port=first.port)
    assert (await protocol.execute(call(second.url, "Orders.Place"), specs)).status_name == "OK"
    await second.stop()


async def test_peer_that_says_nothing_costs_no_more_than_the_time(protocol, specs, peers):
    """A half-open peer raises in time, with what would have been sent; the next call tries anew."""

    async def silent(reader, writer):
        while await reader.read(1024):
            pass

    peer = await peers.raw(silent)
    for _ in range(2):
        with pytest.raises(CallTimeoutError) as caught:
            await protocol.execute(call(peer.url, "Orders.Place", timeout_s=0.3), specs)
        assert caught.value.exchange.request["method"] == "shop.v1.Orders/Place"
    assert peer.connections == 2


async def test_connection_that_went_silent_is_replaced(protocol, server, specs, peers):
    """A peer that vanishes without a word costs the time of one call; the next has a new connection."""
    is_silent = False

    async def forward(reader, writer):
        while data := await reader.read(65536):
            if not is_silent:
                writer.write(data)
                await writer.drain()

    async def proxy(reader, writer):
        theirs, mine = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            await asyncio.gather(forward(reader, mine), forward(theirs, writer))
        finally:
            mine.close()

    peer = await peers.raw(proxy)
    assert (await protocol.execute(call(peer.url, "Orders.Place"), specs)).status_name == "OK"
    is_silent = True
    with pytest.raises(CallTimeoutError):
        await protocol.execute(call(peer.url, "Orders.Place", timeout_s=0.3), specs)
    is_silent = False
    assert (await protocol.execute(call(peer.url, "Orders.Place"), specs)).status_name == "OK"
    assert peer.connections == 2


async def test_peer_that_is_no_grpc_server_is_unreachable(protocol, specs, peers):
    """A port where HTTP/1 or something else answers is told as such."""

    async def greeting(reader, writer):
        writer.write(b"220 mail.example ESMTP ready\r\n" * 4)
        await writer.drain()
        await reader.read()

    async def closing(reader, writer):
        await reader.read(8)

    async def web(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    http, mail, shut = await peers.raw(web), await peers.raw(greeting), await peers.raw(closing)
    for peer, words in (
        (http, "what answers is no gRPC server, but one of HTTP/1"),
        (mail, "what answers is no gRPC server"),
        (shut, "it closed the connection at once"),
    ):
        with pytest.raises(UnreachableError) as caught:
            await protocol.execute(call(peer.url, "Orders.Place"), specs)
        address = peer.url.removeprefix("http://")
        assert caught.value.fact == f"service 'orders' at '{address}': {words}"


SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("answer", "code", "fact"),
    [
        (b"", "connection-lost", "the call broke off before a status came"),
        (b"garbage" * 10, "connection-lost", "the call broke off before a status came"),
    ],
)
async def test_peer_that_breaks_the_call_off_violates_the_protocol(protocol, specs, peers, answer, code, fact):
    """Once connected, a lost or malformed reply is a fault of the system under test."""

    async def breaking(reader, writer):
        writer.write(SETTINGS)
        seen = b""
        while b"corr-1" not in seen:
            seen += await reader.read(4096)
        writer.write(answer)
        await writer.drain()
        if answer:
            await reader.read()

    peer = await peers.raw(breaking)
    with pytest.raises(ProtocolViolation) as caught:
        await protocol.execute(call(peer.url, "Orders.Place"), specs)
    violation = caught.value.violation
    assert (violation.type, violation.code, violation.message) == (ViolationType.GRPC_ERROR, code, fact)
    assert caught.value.exchange.request["method"] == "shop.v1.Orders/Place"


@pytest.mark.parametrize("status", [b"502", b"404"])
async def test_proxy_that_answers_with_a_page_violates_the_protocol(protocol, specs, peers, status):
    """HTTP/2 without gRPC is told with its status."""

    async def page(reader, writer):
        writer.write(SETTINGS)
        seen = b""
        while b"corr-1" not in seen:
            seen += await reader.read(4096)
        headers = b"\x08\x03" + status  # :status, literal, indexed name
        writer.write(bytes([0, 0, len(headers), 1, 5, 0, 0, 0, 1]) + headers)
        await writer.drain()
        await reader.read()

    peer = await peers.raw(page)
    with pytest.raises(ProtocolViolation) as caught:
        await protocol.execute(call(peer.url, "Orders.Place"), specs)
    assert caught.value.violation.message == f"what answers is no gRPC server: HTTP status {status.decode()}"


async def test_server_that_ends_in_mid_call_violates_the_protocol(protocol, server, specs):
    """A server that is stopped under a call has broken it off."""
    task = asyncio.create_task(
        protocol.execute(call(server.url, "Orders.Place", {"message": {"orderId": "wait"}}), specs)
    )
    await asyncio.wait_for(server.began.wait(), 20)
    await server.stop()
    with pytest.raises(ProtocolViolation) as caught:
        await task
    assert caught.value.violation.code == "connection-lost"


async def test_bytes_that_are_no_message_violate_the_protocol(protocol, server, specs):
    """A reply that cannot be read is told with the type that it should have."""
    with pytest.raises(ProtocolViolation) as caught:
        await protocol.execute(call(server.url, "Orders.Place", {"message": {"orderId": "malformed"}}), specs)
    violation = caught.value.violation
    assert (violation.code, violation.details) == ("malformed-reply", {"target": f"127.0.0.1:{server.port}"})
    assert violation.message.startswith("the response is no 'shop.v1.Order': ")


# ---- mistakes in steps and environments ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "given", "fact", "hint"),
    [
        (
            "Orders.Place",
            {"message": {"orderid": "a"}},
            "'message.orderid' is no field of 'shop.v1.Order'",
            "did you mean 'order_id'?",
        ),
        (
            "Orders.Import",
            {"messages": [{}, {"lines": [{}, {"quantity": -1}]}]},
            "'messages[1].lines[1].quantity' takes a whole number that fits its type, not '-1'",
            "correct the value",
        ),
        (
            "Orders.Place",
            {"message": {"status": "SHIPED"}},
            "'message.status' takes a value of 'shop.v1.Status', not 'SHIPED'",
            "did you mean 'SHIPPED'?",
        ),
        (
            "Orders.Place",
            {"message": {"placed_at": "yesterday"}},
            "'message.placed_at' takes a 'google.protobuf.Timestamp', not 'yesterday'",
            "write it as ProtoJSON has it",
        ),
        (
            "Orders.Place",
            {"message": {"by_sku": {"a": {"skuu": 1}}}},
            "'message.by_sku.a.skuu' is no field of 'shop.v1.Line'",
            "did you mean 'sku'?",
        ),
        (
            "Orders.Place",
            {"message": {"person": "a", "company": "b"}},
            "'message' has both 'person' and 'company', of which there is only one",
            "write one of them",
        ),
        (
            "Orders.Place",
            {"metadata": {"grpc-timeout": "1S"}},
            "'metadata.grpc-timeout' is reserved by gRPC",
            "choose a key that does not begin with 'grpc-'",
        ),
        (
            "Orders.Place",
            {"metadata": {"x-name": "Zoë"}},
            "metadata 'x-name' has characters that gRPC cannot send",
            "use printable ASCII, or base64 under 'x-name-bin'",
        ),
        ("Orders.Watch", {"most": 0}, "'most' is '0'", "say how many messages are enough, 1 at least"),
    ],
)
async def test_input_that_does_not_fit_is_an_error_of_the_step(protocol, specs, endpoint, given, fact, hint):
    """What cannot be sent is told with its path before anything is sent."""
    with pytest.raises(StepError) as caught:
        await protocol.execute(call("grpc://127.0.0.1:9", endpoint, given), specs)
    assert str(caught.value) == f"order.orchestra.yaml:7: {fact}\nhint: {hint}"


async def test_environment_that_leads_nowhere_is_told(protocol, specs):
    """Unknown services, unreadable addresses and missing secrets are errors of the environment."""
    made = call("grpc://127.0.0.1:9", "Orders.Place")
    other = made.environment.model_copy(update={"services": {}})
    with pytest.raises(UnknownAliasError) as unknown:
        await protocol.execute(replace(made, environment=other), specs)
    assert str(unknown.value) == "environment 'local' has no service 'orders'\nhint: add 'orders' to its 'services'"
    for url in ("localhost:50051", "ftp://a:1", "grpc://a:1/path", "grpc://me:s3cret@a:1", "grpc://a:port"):
        with pytest.raises(UnusableEnvironmentError) as unreadable:
            await protocol.execute(call(url, "Orders.Place"), specs)
        shown = url.replace("s3cret", "***")
        assert str(unreadable.value) == (
            f"service 'orders' has base URL '{shown}', which is no address of gRPC\n"
            "hint: write it as 'grpc://host:port', or 'grpcs://host:port' for TLS"
        )
    profile = {"baseUrl": "grpc://a:1", "headerRefs": {"X-Key": "env:KEY"}}
    with pytest.raises(SecretNotFoundError) as absent:
        await protocol.execute(call(profile, "Orders.Place"), specs)
    assert absent.value.fact == "header 'X-Key' of service 'orders' needs secret 'env:KEY', which was not read"


# ---- server reflection --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_service_without_specification_is_asked_for_it(protocol, specs, version):
    """Server reflection serves as a specification, asked once for each channel."""
    server = await OrdersServer(specs["orders"]).start(reflects=version)
    for _ in range(2):
        given = {"message": {"order_id": "o-1", "total": {"cents": 5}}}
        reply = await protocol.execute(call(server.url, "shop.v1.Orders/Place", given), {})
        assert reply.response["message"]["total"]["cents"] == 5
    assert reply.exchange.reproduce.startswith("grpcurl -plaintext -H ")
    with pytest.raises(StepError) as caught:
        await protocol.execute(call(server.url, "Orders.Plac"), {})
    assert str(caught.value) == (
        "order.orchestra.yaml:7: unknown operation 'Orders.Plac' of service 'orders'\n"
        "hint: did you mean 'Orders.Place'?"
    )
    await server.stop()


async def test_service_without_specification_and_reflection_is_an_error_of_the_step(protocol, server):
    """Nothing can be called that nobody describes."""
    with pytest.raises(StepError) as caught:
        await protocol.execute(call(server.url, "Orders.Place"), {})
    assert str(caught.value) == (
        "order.orchestra.yaml:7: service 'orders' has no specification, and its server does not offer reflection\n"
        "hint: add 'orders' to 'specs' of the sidecar"
    )
    with pytest.raises(UnreachableError):
        await protocol.execute(call("grpc://127.0.0.1:9", "Orders.Place"), {})


def test_only_methods_that_say_so_may_be_repeated(specs):
    """Without an idempotency level, nobody knows."""
    protocol = GrpcProtocol()
    assert protocol.may_repeat(step("Orders.Watch"), specs)
    assert protocol.may_repeat(step("Orders.Import"), specs)
    assert not protocol.may_repeat(step("Orders.Place"), specs)
    assert not protocol.may_repeat(step("Orders.Watch"), {})
