"""A simulated gRPC service answers as its rules and types say, by all four kinds of method."""

from __future__ import annotations

import asyncio
import importlib.util
import socket

import pytest
import pytest_asyncio

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

import grpc
import grpc.aio
from aiohttp import web
from simulated_stock import call, make_stock, write_proto

from pytest_orchestra.engine.ports import ProtocolViolation
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.protocols.grpc import GrpcProtocol
from pytest_orchestra.readers.proto import read_proto
from pytest_orchestra.simulation.encounters import Encounters


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return read_proto(write_proto(tmp_path_factory.mktemp("stock")), "stock")


@pytest_asyncio.fixture
async def start(spec):
    """Start a simulated warehouse."""
    started = []

    async def starting(simulation=None, **options):
        service = make_stock(spec, simulation, **options)
        await service.start()
        started.append(service)
        return service

    yield starting
    for service in started:
        await service.close()


@pytest_asyncio.fixture
async def ask(spec):
    """Call a method as a step does; give the response."""
    protocol = GrpcProtocol()

    async def asking(service, endpoint, correlation_id="corr-1", **given):
        made = call(service.base_url, endpoint, correlation_id, **given)
        return (await protocol.execute(made, {"stock": spec})).response

    yield asking
    await protocol.close()


async def test_without_rules_a_message_of_the_type_is_given(start, ask):
    """All fields are filled, one of a choice, no enum's zero; what was sent under the same names comes back."""
    service = await start()
    message = (await ask(service, "Find", message={"sku": "s-7", "quantity": 3}))["message"]
    assert message == {
        "sku": "s-7",
        "quantity": 3,
        "status": "RESERVED",
        "place": {"hall": "hall"},
        "serials": ["serials"],
        "cents": 1,
        "photo": "ZXhhbXBsZQ==",
        "since": "2030-01-31T12:00:00Z",
        "patience": "0s",
        "limit": 1,
        "person": "person",
        "is_final": True,
    }
    assert (await ask(service, "Warehouse.Find", message={"status": "SHIPPED"}))["message"]["status"] == "SHIPPED"


async def test_first_rule_that_holds_answers_and_later_calls_read_what_it_remembers(start, ask):
    """Status, details, metadata and trailers are those of the rule; state belongs to a correlation id."""
    service = await start(
        {
            "operations": {
                "Warehouse.Find": [
                    {
                        "when": "request.body.quantity > 100",
                        "status": "FAILED_PRECONDITION",
                        "details": "not {{request.body.quantity}} of {{request.body.sku}}",
                        "errorDetails": [{"@type": "shop.v1.Total", "count": "{{request.body.quantity}}"}],
                        "trailers": {"reason": "much", "seal-bin": "AAE="},
                    },
                    {
                        "when": "request.metadata.vip == 'yes'",
                        "remember": {"found": "{{request.body.quantity}}"},
                        "headers": {"served-by": "{{request.operation}} {{count}}"},
                        "body": {"sku": "{{request.body.sku}}", "quantity": "{{state.found}}", "status": "SHIPPED"},
                    },
                ],
                "shop.v1.Audit/Count": {"when": "state.found > 0", "body": {"count": "{{state.found}}"}},
            }
        }
    )
    refused = await ask(service, "Find", message={"sku": "s", "quantity": 101})
    assert (refused["status"], refused["details"]) == ("FAILED_PRECONDITION", "not 101 of s")
    assert refused["trailers"].items() >= {"reason": "much", "seal-bin": "AAE="}.items()
    assert refused["errorDetails"] == [{"@type": "type.googleapis.com/shop.v1.Total", "count": 101}]
    assert refused["messages"] == []
    found = await ask(service, "Find", message={"sku": "s", "quantity": 60}, metadata={"VIP": "yes"})
    assert found["metadata"]["served-by"] == "Warehouse.Find 2"
    assert {name: found["message"][name] for name in ("sku", "quantity", "status", "cents")} == {
        "sku": "s",
        "quantity": 60,
        "status": "SHIPPED",
        "cents": 0,
    }
    assert (await ask(service, "Audit.Count"))["message"] == {"count": 60}
    assert (await ask(service, "Audit.Count", "other"))["message"] == {"count": 1}


async def test_stream_of_answers_has_all_messages_and_may_end_in_a_status(start, ask):
    """A list, a template that gives one, none at all, or the one that is made."""
    service = await start(
        {
            "operations": {
                "Watch": [
                    {"when": "request.body.quantity == 0", "messages": []},
                    {
                        "when": "request.body.quantity == 2",
                        "messages": [{"status": "RESERVED"}, {"status": "SHIPPED"}],
                        "status": "DATA_LOSS",
                        "delayMs": 1,
                    },
                    {
                        "when": "request.body.quantity == 3",
                        "messages": "{{[request.body, request.body, request.body]}}",
                    },
                ]
            }
        }
    )

    async def watched(quantity):
        response = await ask(service, "Watch", message={"sku": "s", "quantity": quantity})
        return response["status"], [each["status"] for each in response["messages"]]

    assert await watched(0) == ("OK", [])
    assert await watched(2) == ("DATA_LOSS", ["RESERVED", "SHIPPED"])
    assert await watched(3) == ("OK", ["STATUS_UNSPECIFIED"] * 3)
    assert await watched(4) == ("OK", ["RESERVED"])


async def test_streams_of_requests_are_answered_at_their_end_or_one_by_one(start, ask):
    """A rule of a client's stream sees all messages, of a conversation each in its turn."""
    service = await start(
        {
            "operations": {
                "Warehouse.Count": {"body": {"count": "{{request.messages | length}}"}},
                "Chat": [
                    {"when": "request.body.sku == 'hush'", "messages": []},
                    {"when": "request.body.sku == 'bye'", "status": "ABORTED", "details": "after {{count}}"},
                    {"body": {"sku": "{{request.body.sku}}", "quantity": "{{request.messages | length}}"}},
                ],
            }
        }
    )
    counted = await ask(service, "Warehouse.Count", messages=[{"sku": "a"}, {}, {"sku": "b"}])
    assert counted["message"] == {"count": 3}
    assert (await ask(service, "Warehouse.Count", messages=[]))["message"] == {"count": 0}
    said = await ask(service, "Chat", messages=[{"sku": "a"}, {"sku": "hush"}, {"sku": "b"}])
    assert [(each["sku"], each["quantity"]) for each in said["messages"]] == [("a", 1), ("b", 3)]
    assert said["status"] == "OK"
    ended = await ask(service, "Chat", "other", messages=[{"sku": "a"}, {"sku": "bye"}, {"sku": "b"}])
    assert (ended["status"], ended["details"], len(ended["messages"])) == ("ABORTED", "after 2", 1)


async def test_server_reflection_tells_the_specification(start):
    """A client without a specification finds its way; ``grpcurl`` as well."""
    service = await start({"operations": {"Audit.Count": {"body": {"count": 5}}}})
    protocol = GrpcProtocol()
    try:
        reply = await protocol.execute(call(service.base_url, "shop.v1.Audit/Count"), {})
    finally:
        await protocol.close()
    assert reply.response["message"] == {"count": 5}


async def test_unknown_method_and_bytes_that_are_no_message_are_refused(start):
    """The client is told what it did wrong."""
    service = await start()
    async with grpc.aio.insecure_channel(service.base_url.removeprefix("grpc://")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await channel.unary_unary("/shop.v1.Warehouse/Lose")(b"")
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await channel.unary_unary("/shop.v1.Warehouse/Find")(b"\x0a\x05ab")
        with pytest.raises(grpc.aio.AioRpcError) as several:
            await channel.stream_unary("/shop.v1.Warehouse/Find")(iter([b"", b""]))
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert malformed.value.details().startswith("message 1 is no 'shop.v1.Query': ")
    assert several.value.details() == "'Warehouse.Find' takes one message, not 2"


async def test_rule_calls_others_back(start, ask, aiohttp_address):
    """Callbacks are those of HTTP rules."""
    address, heard = aiohttp_address
    service = await start({"operations": {"Find": {"call": {"url": address, "body": {"sku": "{{request.body.sku}}"}}}}})
    await ask(service, "Find", message={"sku": "s-1"})
    assert await heard == ("corr-1", {"sku": "s-1"})


@pytest_asyncio.fixture
async def aiohttp_address():
    """Give an address, and a future with the first request that comes there."""
    heard = asyncio.get_running_loop().create_future()

    async def hear(request):
        heard.set_result((request.headers["X-Correlation-ID"], await request.json()))
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/", hear)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/", heard
    await runner.cleanup()


async def _fates(ask, service, ids):
    fates = []
    for each in ids:
        try:
            fates.append((await ask(service, "Audit.Count", each))["status"])
        except ProtocolViolation as broken:
            fates.append(broken.violation.code)
    return fates


async def test_same_seed_has_the_same_luck_and_another_one_another(start, ask):
    """A loss looks like a connection that broke off; who is unavailable says so."""
    ids = [f"c{number}" for number in range(30)]
    unreliable = {"loss": 0.3, "unavailable": 0.3}
    first = await _fates(ask, await start({**unreliable, "seed": 1}), ids)
    again = await _fates(ask, await start({**unreliable, "seed": 1}), list(reversed(ids)))
    other = await _fates(ask, await start({**unreliable, "seed": 2}), ids)
    assert set(first) == {"connection-lost", "OK", "UNAVAILABLE"}
    assert again[::-1] == first
    assert other != first


async def test_correlation_id_comes_from_where_the_simulation_says(start, ask):
    """What one message remembers, another one of the same id reads."""
    service = await start(
        {
            "correlationIdExpr": "request.body.sku",
            "operations": {"Find": {"body": {"quantity": "{{count}}", "sku": "{{correlationId}}"}}},
        }
    )
    found = [
        (await ask(service, "Find", str(index), message={"sku": sku}))["message"] for index, sku in enumerate("aab")
    ]
    assert [(each["sku"], each["quantity"]) for each in found] == [("a", 1), ("a", 2), ("b", 1)]


@pytest.mark.parametrize(
    ("rule", "fact"),
    [
        ({"body": {"skuu": 1}}, "'body.skuu' is no field of 'shop.v1.Stock'"),
        ({"body": {"sku": "{{state.nothing}}"}}, None),
        ({"status": 404}, "'404' is no status of gRPC"),
        ({"messages": [{}, {}]}, "'Warehouse.Find' answers one message, not 2"),
        ({"status": "NOT_FOUND", "body": {}}, "'Warehouse.Find' answers no message beside 'NOT_FOUND', not 1"),
        ({"messages": "{{count}}"}, "'messages' is '1'"),
        (
            {"status": "ABORTED", "errorDetails": [{"@type": "{{'a.B'}}"}]},
            "'errorDetails[0]' is of the unknown type 'a.B'",
        ),
        ({"headers": {"a b": "c"}}, "'metadata.a b' is no key of metadata"),
    ],
)
async def test_rule_that_cannot_be_followed_is_told_in_the_status_and_in_the_end(start, ask, rule, fact):
    """Nothing is answered as if the rule were not there."""
    service = await start({"operations": {"Find": rule}})
    response = await ask(service, "Find")
    assert response["status"] == "INTERNAL"
    if fact is not None:
        assert response["details"] == f"operation 'Warehouse.Find': {fact}"
    assert service.participant.faults == [f"simulated 'stock': {response['details']}"]


async def test_port_that_is_taken_is_a_mistake_in_the_settings(start):
    """The error names the port and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as raised:
            await start(port=port)
    assert raised.value.fact == f"simulated 'stock' cannot listen at port {port}: address already in use"
    assert raised.value.hint == "free the port, or take another 'simulatedPort'"


@pytest.mark.parametrize(
    ("distort", "expected"),
    [
        ("Find:numbers", {"sku": "s", "quantity": 4, "cents": 1, "status": "RESERVED", "is_final": False}),
        ("shop.v1.Warehouse/Find:states", {"sku": "not s", "quantity": 3, "status": "SHIPPED", "is_final": True}),
        ("Watch:numbers", {"quantity": 3, "cents": 0}),
    ],
)
async def test_spoiled_answer_differs_and_is_still_of_its_type(start, ask, distort, expected):
    """What the rule left out is spoiled as well: its default is as good as any value."""
    rule = {"body": {"sku": "s", "quantity": 3, "status": "RESERVED"}}
    service = await start({"operations": {"Find": rule}}, distort=f"stock.{distort}")
    message = (await ask(service, "Find"))["message"]
    assert {name: message[name] for name in expected} == expected


async def test_rehearsal_is_told_in_what_ways_answers_could_be_spoiled(start, ask):
    """A default is as good as a value; what is refused could be accepted."""
    service = await start({"operations": {"Find": [{"when": "count == 1", "body": {}}, {"status": "NOT_FOUND"}]}})
    service.participant.encounters = Encounters()
    await ask(service, "Find")
    assert _told(service) == {"stock.Warehouse.Find:numbers", "stock.Warehouse.Find:states"}
    await ask(service, "Find")
    assert "stock.Warehouse.Find:accepted" in _told(service)
    await ask(service, "Audit.Count")
    assert {each for each in _told(service) if "Audit" in each} == {"stock.Audit.Count:numbers"}


def _told(service):
    return {str(each) for each in service.participant.encounters.of("corr-1")}


async def test_refusal_is_accepted_and_an_answer_lost_where_that_is_the_fault(start, ask):
    """A lost stream breaks off before its last message."""
    refusing = {"operations": {"Find": {"status": "NOT_FOUND"}, "Watch": {"messages": [{}, {}]}}}
    accepting = await start(refusing, distort="stock.*:accepted")
    assert (await ask(accepting, "Find"))["status"] == "OK"
    losing = await start(refusing, distort="stock.Watch:lost")
    assert (await ask(losing, "Find"))["status"] == "NOT_FOUND"
    with pytest.raises(ProtocolViolation) as broken:
        await ask(losing, "Watch")
    assert broken.value.violation.message == "the call broke off after 1 messages"
