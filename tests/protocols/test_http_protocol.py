"""HTTP steps against real servers on loopback."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from protocol_calls import ORDERS, SPECS, make_call
from protocol_peers import http_reply, read_request

from pytest_orchestra.engine.ports import CallTimeoutError, ProtocolPlugin, ProtocolViolation
from pytest_orchestra.errors import SecretNotFoundError, StepError, UnknownAliasError, UnreachableError
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.run import ViolationType
from pytest_orchestra.problem import Place, Severity
from pytest_orchestra.protocols.http import HttpProtocol

JSON = {"content_type": "application/json"}


def place_order(url, **fields):
    """Give a call that places an order."""
    extra = {key: fields.pop(key) for key in ("timeout_s", "secrets") if key in fields}
    definition = {"endpointRef": "orders.placeOrder", "inputTemplate": {"body": {"amount": 12.5}}, **fields}
    service = url if isinstance(url, dict) else {"baseUrl": url}
    return make_call(definition, {"services": {"orders": service}}, **extra)


def get_order(url, order_id="o-1", **extra):
    """Give a call that reads an order."""
    definition = {"endpointRef": "orders.getOrder", "inputTemplate": {"path": {"id": order_id}}}
    return make_call(definition, {"services": {"orders": url}}, **extra)


def test_http_protocol_is_a_protocol_plugin():
    """The class implements the engine's port."""
    assert isinstance(HttpProtocol(), ProtocolPlugin)
    assert HttpProtocol.unfulfilled is ViolationType.TIMEOUT


async def test_execute_gives_status_headers_body_and_time(http, peers):
    """Rules see the reply under the names that the port promises, with header names in lower case."""
    server = await peers.http(http_reply("202 Accepted", b'{"id": "o-1"}', X_A="1", x_a="2", **JSON))
    reply = await http.execute(place_order(server.url), SPECS)
    assert reply.status_code == reply.response["status"] == 202
    assert reply.response["body"] == {"id": "o-1"}
    assert reply.response["headers"] == {"content-length": "13", "x-a": "1, 2", "content-type": "application/json"}
    assert 0 < reply.response["elapsedMs"] < 5000


async def test_execute_sends_what_the_step_says(http, peers):
    """Method, URL, headers and body arrive as they are written, percent-encoding included."""
    server = await peers.http()
    await http.execute(get_order(f"{server.url}/v1", "a/b,%2E;ü"), SPECS)
    await http.execute(place_order(server.url, inputTemplate={"body": {"a": "ü"}, "headers": {"X-B": "grün"}}), SPECS)
    got, placed = (arrived.without_transport() for arrived in server.arrived)
    assert got == ("GET", "/v1/orders/a%2Fb%2C%252E%3B%C3%BC", {}, b"")
    assert placed == (
        "POST",
        "/orders",
        {"x-b": "grün".encode().decode("latin-1"), "content-type": "application/json"},
        '{"a": "ü"}'.encode(),
    )


async def test_execute_by_method_and_path_finds_the_operation(http, peers):
    """An operation is named by its id or by 'METHOD /path', in any case of the method."""
    server = await peers.http()
    await http.execute(place_order(server.url, endpointRef="orders.post /orders"), SPECS)
    assert server.arrived[0].method == "POST"
    assert http.find_operation(ORDERS, "GET /orders/{id}") is ORDERS.operation["getOrder"]
    assert http.find_operation(ORDERS, "GET /elsewhere") is None


async def test_execute_follows_no_redirect_and_keeps_no_cookie(http, peers):
    """A redirect is a reply like any other, and no scenario meets the cookies of another."""
    server = await peers.http(http_reply("302 Found", Location="/elsewhere", Set_Cookie="sid=1"))
    replies = [await http.execute(get_order(server.url), SPECS) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [302, 302]
    assert [arrived.target for arrived in server.arrived] == ["/orders/o-1"] * 2
    assert "cookie" not in server.arrived[1].headers


async def test_execute_passes_proxies_of_the_process_environment_by(http, peers, monkeypatch):
    """A proxy set for the process does not get between a test and its services."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = await peers.http()
    assert (await http.execute(get_order(server.url), SPECS)).status_code == 200


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_execute_reads_replies_without_body(http, peers, status):
    """A status that has no body gives null, also when the reply announces a length."""
    server = await peers.raw(answer_once(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))
    reply = await http.execute(get_order(server.url), SPECS)
    assert reply.response["body"] is None


async def test_execute_reads_the_head_of_a_reply(http, peers):
    """HEAD gives status and headers, and waits for no body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    server = await peers.http(lambda _: head)
    call = make_call(
        {"endpointRef": "orders.HEAD /orders/{id}", "inputTemplate": {"path": {"id": 1}}},
        {"services": {"orders": server.url}},
    )
    reply = await http.execute(call, SPECS)
    assert reply.response["body"] is None
    assert list(http.validate(call, reply, SPECS)) == []


async def test_execute_decompresses_the_body(http, peers):
    """A compressed body is what it was before."""
    server = await peers.http(http_reply(body=gzip.compress(b"[1]"), Content_Encoding="gzip", **JSON))
    assert (await http.execute(get_order(server.url), SPECS)).response["body"] == [1]


async def test_execute_keeps_one_connection_for_calls_one_after_another(http, peers):
    """Polls do not open a connection each."""
    server = await peers.http(http_reply(body=b"[1]", **JSON))
    for _ in range(3):
        await http.execute(get_order(server.url), SPECS)
    assert server.connections == 1


async def test_execute_sends_profile_headers_and_secrets(http, peers):
    """Headers of the environment go with every call, those by reference with the secret's text."""
    server = await peers.http()
    profile = {"baseUrl": server.url, "headers": {"X-Team": "a"}, "headerRefs": {"X-Gate": "env:GATE"}}
    reply = await http.execute(place_order(profile, secrets={"env:GATE": "open-sesame"}), SPECS)
    assert server.arrived[0].headers["x-team"] == "a"
    assert server.arrived[0].headers["x-gate"] == "open-sesame"
    assert reply.exchange.request["headers"]["X-Gate"] == "***"
    assert "open-sesame" not in str(reply.exchange)
    assert '"X-Gate: $X_GATE"' in reply.exchange.reproduce


async def test_execute_without_the_secret_of_a_header_says_which(http):
    """A secret that was not read is an error of the environment."""
    with pytest.raises(SecretNotFoundError) as caught:
        await http.execute(place_order({"baseUrl": "http://127.0.0.1:9", "headerRefs": {"X-Gate": "env:GATE"}}), SPECS)
    assert str(caught.value) == (
        "header 'X-Gate' of service 'orders' needs secret 'env:GATE', which was not read\n"
        "hint: set what 'env:GATE' refers to"
    )


async def test_exchange_describes_the_call_for_people(http, peers):
    """The exchange has what was sent and what came, credentials masked, and a command that says it again."""
    server = await peers.http(http_reply(body=b'{"id": 1}', Set_Cookie="sid=1", **JSON))
    reply = await http.execute(
        place_order(server.url, inputTemplate={"body": {"a": 1}, "headers": {"Authorization": "Bearer t0ken"}}), SPECS
    )
    assert reply.exchange.request == {
        "method": "POST",
        "url": f"{server.url}/orders",
        "headers": {"Authorization": "Bearer ***", "Content-Type": "application/json"},
        "body": {"a": 1},
    }
    assert reply.exchange.response == {
        "status": 200,
        "headers": {"content-length": "9", "set-cookie": "***", "content-type": "application/json"},
        "body": {"id": 1},
    }
    assert reply.exchange.reproduce == (
        f'curl --include {server.url}/orders --header "Authorization: Bearer $AUTHORIZATION" '
        "--header 'Content-Type: application/json' --data-raw '{\"a\": 1}'"
    )


async def test_execute_beyond_its_time_raises_and_shows_what_was_sent(http, peers):
    """A server that does not answer costs no more than the call's time."""
    server = await peers.raw(read_and_wait)
    with pytest.raises(TimeoutError) as caught:
        await http.execute(place_order(server.url, timeout_s=0.1), SPECS)
    assert isinstance(caught.value, CallTimeoutError)
    assert caught.value.exchange.request["url"] == f"{server.url}/orders"
    assert caught.value.exchange.response is None


async def test_execute_beyond_its_time_in_mid_body_raises(http, peers):
    """The time bounds the whole reply, not only its beginning."""

    async def trickle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        await asyncio.Event().wait()

    server = await peers.raw(trickle)
    with pytest.raises(TimeoutError):
        await http.execute(get_order(server.url, timeout_s=0.1), SPECS)


async def test_cancelled_call_leaves_no_connection_behind(http, peers):
    """A call that is cancelled closes its connection, and the next one works."""
    gone = asyncio.Event()

    async def handler(reader, writer):
        await read_request(reader)
        begun.set()
        await reader.read()
        gone.set()

    begun = asyncio.Event()
    server = await peers.raw(handler)
    task = asyncio.create_task(http.execute(get_order(server.url), SPECS))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(gone.wait(), 5)
    other = await peers.http()
    assert (await http.execute(get_order(other.url), SPECS)).status_code == 200


async def test_close_ends_every_connection_and_a_later_call_opens_a_new_one(http, peers):
    """Closing gives back what is open; the protocol can be used again."""
    server = await peers.http()
    await http.execute(get_order(server.url), SPECS)
    await http.close()
    await asyncio.wait_for(server.is_idle.wait(), 5)
    assert (await http.execute(get_order(server.url), SPECS)).status_code == 200
    assert server.connections == 2


async def test_many_calls_at_once_wait_for_a_connection_outside_of_their_time(http, peers):
    """Of 150 calls to one service 100 are under way at a time; the others' time begins when their turn comes."""
    full, released = asyncio.Event(), asyncio.Event()

    async def handler(reader, writer):
        while await read_request(reader) is not None:
            if server.connections == 100:
                full.set()
            await released.wait()
            writer.write(http_reply())

    server = await peers.raw(handler)
    tasks = [asyncio.create_task(http.execute(get_order(server.url, timeout_s=20), SPECS)) for _ in range(150)]
    await full.wait()
    await asyncio.sleep(2)  # this is what the first hundred wait for, and the others do not
    released.set()
    took = sorted([(await task).response["elapsedMs"] for task in tasks])
    assert server.connections == 100
    assert took[49] < 1900 <= took[50]


# ---- faults of the environment ------------------------------------------------------------------------------------


async def test_execute_where_nothing_listens_is_unreachable(http):
    """A refused connection is an error of the environment, with one action."""
    with pytest.raises(UnreachableError) as caught:
        await http.execute(get_order("http://127.0.0.1:9/api"), SPECS)
    assert str(caught.value) == (
        "service 'orders' at 'http://127.0.0.1:9/api': connection refused\n"
        "hint: start the service, or correct its 'baseUrl' in environment 'local'"
    )


@pytest.mark.parametrize("host", ["nowhere.invalid", "\u2603.invalid"])
async def test_execute_where_the_name_does_not_resolve_is_unreachable(http, host):
    """A host name that nobody knows is told as such."""
    with pytest.raises(UnreachableError) as caught:
        await http.execute(get_order(f"http://user:pw@{host}"), SPECS)
    assert str(caught.value) == (
        f"service 'orders' at 'http://{host}': its name does not resolve\nhint: correct its host name"
    )


@pytest.mark.parametrize("host", ["a..b", "999.1.1.1", "a" * 70])
async def test_execute_where_the_host_is_no_name_is_unreachable(http, host):
    """A host that can be no name at all is an error of the environment as well."""
    with pytest.raises(UnreachableError) as caught:
        await http.execute(get_order(f"http://{host}"), SPECS)
    assert str(caught.value) == (
        f"service 'orders' at 'http://{host}': its host is no valid name\nhint: correct its host name"
    )


async def test_execute_of_a_service_that_the_environment_lacks_names_the_nearest(http):
    """An alias with a typo is told with the alias that is meant."""
    call = make_call(
        {"endpointRef": "orders.getOrder", "inputTemplate": {"path": {"id": 1}}}, {"services": {"order": "http://x"}}
    )
    with pytest.raises(UnknownAliasError) as caught:
        await http.execute(call, SPECS)
    assert str(caught.value) == "environment 'local' has no service 'orders'\nhint: did you mean 'order'?"


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("orders.getOrdr", "unknown operation 'getOrdr' of service 'orders'\nhint: did you mean 'getOrder'?"),
        ("order.getOrder", "unknown service 'order'\nhint: did you mean 'orders'?"),
    ],
)
async def test_execute_of_an_unknown_operation_is_an_error_of_the_step(http, endpoint, message):
    """A step that was never checked is told the same as one that was."""
    call = make_call({"endpointRef": endpoint}, {"services": {"orders": "http://127.0.0.1:9"}})
    with pytest.raises(StepError) as caught:
        await http.execute(call, SPECS)
    assert str(caught.value) == message


async def test_execute_with_a_mistake_in_the_step_names_its_place(http):
    """An error of the step says where the step is written."""
    call = get_order("http://127.0.0.1:9", None)
    call.step.__dict__["place"] = Place("order.orchestra.yaml", 7)
    with pytest.raises(StepError) as caught:
        await http.execute(call, SPECS)
    assert str(caught.value) == (
        "order.orchestra.yaml:7: path parameter 'id' is empty\nhint: see where its value comes from"
    )


async def test_execute_with_a_certificate_that_nobody_trusts_is_unreachable(http, peers, certificate):
    """TLS is verified unless the profile says otherwise."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await peers.http(tls=context)
    with pytest.raises(UnreachableError) as caught:
        await http.execute(get_order(server.url), SPECS)
    assert str(caught.value) == (
        f"service 'orders' at '{server.url}': its certificate is not trusted: self-signed certificate\n"
        "hint: name the authority's certificate in 'caFile' of its profile, or set 'verifyTls: false'"
    )
    reply = await http.execute(place_order({"baseUrl": server.url, "verifyTls": False}), SPECS)
    assert reply.status_code == 200
    assert " --insecure " in reply.exchange.reproduce


async def test_execute_with_an_authority_of_ones_own_is_trusted(http, peers, certificate, monkeypatch):
    """SSL_CERT_FILE names authorities, as it does for other programs."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await peers.http(tls=context)
    assert (await http.execute(get_order(server.url), SPECS)).status_code == 200


async def test_execute_of_https_against_plain_http_is_unreachable(http, peers):
    """The wrong scheme is told as a handshake that failed."""
    server = await peers.http(lambda _: http_reply())

    async def plain(reader, writer):
        await reader.read(5)
        writer.write(http_reply("400 Bad Request"))
        await reader.read()

    server = await peers.raw(plain)
    url = server.url.replace("http:", "https:")
    with pytest.raises(UnreachableError) as caught:
        await http.execute(get_order(url), SPECS)
    assert caught.value.fact.startswith(f"service 'orders' at '{url}': the TLS handshake failed: ")
    assert caught.value.hint == "see whether its address speaks https"


# ---- faults of the system under test ------------------------------------------------------------------------------


def answer_once(content):
    """Give a handler that reads one request, writes something and closes."""

    async def handler(reader, writer):
        await read_request(reader)
        writer.write(content)
        await writer.drain()

    return handler


async def read_and_wait(reader, writer):
    """Read one request and answer never."""
    await read_request(reader)
    await asyncio.Event().wait()


async def abort(reader, writer):
    """Read one request and reset the connection."""
    await read_request(reader)
    writer.transport.abort()


@pytest.mark.parametrize(
    ("handler", "code", "message"),
    [
        (answer_once(b""), "connection-lost", "the connection ended before a reply came"),
        (abort, "connection-lost", "the connection ended before a reply came"),
        (answer_once(b"HTTP/1.1 200 O"), "connection-lost", "the connection ended before a reply came"),
        (
            answer_once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"),
            "connection-lost",
            "the reply broke off (after 2 of 9 bytes|before its end)",  # older releases of aiohttp do not count
        ),
        (
            answer_once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            "connection-lost",
            "the reply broke off before its end",
        ),
        (
            answer_once(b"SSH-2.0-OpenSSH\r\n\r\n"),
            "malformed-reply",
            "the reply is no valid HTTP: 'SSH-2.0-OpenSSH'",
        ),
        (
            answer_once(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
            "malformed-reply",
            "the reply is no valid HTTP: 'Content-Length: x'",
        ),
        (
            answer_once(http_reply(body=b"ab", Content_Encoding="gzip")),
            "malformed-reply",
            "the reply's body is not encoded as its 'content-encoding' says",
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_execute_against_a_broken_server_is_a_violation(http, peers, handler, code, message, method):
    """A server that breaks the connection or HTTP itself is wrong; the call is not made a second time."""
    server = await peers.raw(handler)
    call = get_order(server.url) if method == "GET" else place_order(server.url)
    with pytest.raises(ProtocolViolation) as caught:
        await http.execute(call, SPECS)
    violation = caught.value.violation
    assert (violation.type, violation.code) == (ViolationType.HTTP_ERROR, code)
    assert re.fullmatch(message, violation.message)
    assert caught.value.exchange.request["method"] == method
    assert server.connections == 1


async def test_reply_without_end_is_a_violation_before_memory_is_full(http, peers):
    """A body of more than 64 MiB is not taken."""

    async def endless(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 1_048_576)
            await writer.drain()

    server = await peers.raw(endless)
    with pytest.raises(ProtocolViolation, match="the reply's body is longer than 64 MiB"):
        await http.execute(get_order(server.url, timeout_s=60), SPECS)
    await asyncio.wait_for(server.is_idle.wait(), 5)


def serve_two_and_close(arrived):
    """Give a handler that answers one request of a connection, takes the next, and closes without an answer."""

    async def handler(reader, writer):
        arrived.append((await read_request(reader)).method)
        writer.write(http_reply())
        second = await read_request(reader)
        if second is not None:
            arrived.append(second.method)

    return handler


async def test_safe_call_on_a_connection_closed_while_idle_is_repeated(http, peers):
    """A keep-alive connection that the server gave up is no fault of the service."""
    arrived = []
    server = await peers.raw(serve_two_and_close(arrived))
    for _ in range(2):
        assert (await http.execute(get_order(server.url), SPECS)).status_code == 200
    assert arrived == ["GET", "GET", "GET"]


async def test_unsafe_call_that_was_taken_is_never_repeated(http, peers):
    """What may have had an effect is sent once, whatever becomes of the connection."""
    arrived = []
    server = await peers.raw(serve_two_and_close(arrived))
    await http.execute(place_order(server.url), SPECS)
    with pytest.raises(ProtocolViolation):
        await http.execute(place_order(server.url), SPECS)
    assert arrived == ["POST", "POST"]


async def test_unsafe_call_sees_that_its_connection_was_closed_while_the_loop_was_busy(http):
    """A connection that the server closed before the call began is not used for it, however busy the loop was."""
    answered, closed = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(http_reply())
                    answered.wait(5)
                closed.set()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert (await http.execute(place_order(url), SPECS)).status_code == 200
        answered.set()
        closed.wait(5)  # blocks the loop, which so cannot see the end of the connection
        assert (await http.execute(place_order(url), SPECS)).status_code == 200
        thread.join(5)


# ---- check --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (
            {"endpointRef": "order.placeOrder"},
            "s.yaml:3: unknown service 'order'\nhint: did you mean 'orders'?",
        ),
        (
            {"endpointRef": "billing.pay"},
            "s.yaml:3: service 'billing' has no specification\nhint: add 'billing' to 'specs' of the sidecar",
        ),
        (
            {"endpointRef": "orders.placeOrdr"},
            "s.yaml:3: unknown operation 'placeOrdr' of service 'orders'\nhint: did you mean 'placeOrder'?",
        ),
        (
            {"endpointRef": "orders.zzz"},
            (
                "s.yaml:3: unknown operation 'zzz' of service 'orders'\nhint: its operations: placeOrder, getOrder, "
                "findOrders, HEAD /orders/{id}, breakOrder, submitForm"
            ),
        ),
        (
            {"endpointRef": "orders.getOrder", "inputTemplate": {"query": {}}},
            "s.yaml:3: operation 'getOrder' needs path parameter 'id'\nhint: add 'path: {id: ...}' to the input",
        ),
        (
            {"endpointRef": "orders.placeOrder", "inputTemplate": {"boby": 1}},
            "s.yaml:3: input of operation 'placeOrder' has an unknown key 'boby'\nhint: did you mean 'body'?",
        ),
        (
            {"endpointRef": "orders.placeOrder", "schemaRefs": ["orders#/components/schemas/Ordr"]},
            "s.yaml:3: service 'orders' has no schema '/components/schemas/Ordr'\nhint: did you mean 'Order'?",
        ),
        (
            {"endpointRef": "orders.placeOrder", "schemaRefs": ["Order"]},
            "s.yaml:3: schema reference 'Order' names no schema\nhint: write it as 'service#/components/schemas/Name'",
        ),
        (
            {"endpointRef": "orders.placeOrder", "schemaRefs": ["ordres#/components/schemas/Order"]},
            "s.yaml:3: unknown service 'ordres'\nhint: did you mean 'orders'?",
        ),
    ],
)
def test_check_tells_a_mistake_with_its_place_and_one_action(definition, problem):
    """What can be known without a connection is known before the run."""
    step = StepDefinition.model_validate({**definition, "place": Place("s.yaml", 3)})
    (found,) = HttpProtocol().check(step, SPECS)
    assert str(found) == problem
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize(
    "definition",
    [
        {"endpointRef": "orders.getOrder", "inputTemplate": {"path": {"id": "{{data.id}}"}}},
        {"endpointRef": "orders.getOrder", "inputTemplate": {"path": "{{data.path}}"}},
        {"endpointRef": "orders.getOrder", "inputTemplate": {"path": {"{{data.name}}": 1}}},
        {"endpointRef": "orders.placeOrder", "schemaRefs": ["#/components/schemas/Order"]},
        {"kind": "BARRIER"},
    ],
)
def test_check_of_a_right_step_finds_nothing(definition):
    """Templates are taken as they come; only what is certainly wrong is told."""
    assert list(HttpProtocol().check(StepDefinition.model_validate(definition), SPECS)) == []


def test_protocols_load_no_client_before_the_first_call():
    """Importing the protocols costs neither aiohttp, httpx, psycopg nor the schema library."""
    code = (
        "import sys; import pytest_orchestra.protocols.http, pytest_orchestra.protocols.database; "
        "print([m for m in ('aiohttp', 'httpx', 'psycopg', 'jsonschema_rs') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
