"""TLS, proxies and HTTP/2, with real peers."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import ssl
import subprocess
import sys
import threading

import h2.config
import h2.connection
import h2.events
import pytest
from protocol_calls import SPECS, make_call
from protocol_peers import http_reply, read_request

from pytest_orchestra.engine.ports import ProtocolViolation
from pytest_orchestra.errors import LoginRefusedError, StepError, UnreachableError, UnusableEnvironmentError
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.problem import Place

GET = {"endpointRef": "orders.getOrder", "inputTemplate": {"path": {"id": "o-1"}}}


def call_of(url, folder=None, secrets=None, step=GET, **profile):
    """Give a call by a profile, whose file of environments lies in that folder."""
    call = make_call(step, {"services": {"orders": {"baseUrl": url, **profile}}}, secrets=secrets)
    if folder is not None:
        place = Place(str(folder / "environments.yaml"), 1)
        object.__setattr__(call, "environment", call.environment.model_copy(update={"place": place}))
    return call


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Make two certificates for 127.0.0.1, 'server' and 'client', the second with a key of a password."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs the program 'openssl' to make certificates")
    folder = tmp_path_factory.mktemp("routes")
    for name, protection in (("server", ["-nodes"]), ("client", ["-passout", "pass:pass phrase"])):
        subprocess.run(
            [
                *(program, "req", "-x509", "-newkey", "rsa:2048", *protection, "-days", "2", "-subj", f"/CN={name}"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-out", str(folder / f"{name}.pem"), "-keyout", str(folder / f"{name}.key")),
            ],
            check=True,
            capture_output=True,
        )
    (folder / "text.pem").write_text("no certificate")
    return folder


def server_context(folder, *, asks=False, alpn=()):
    """Give the TLS of a server that may ask its clients for the certificate 'client'."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "client.pem")
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


# ---- TLS ---------------------------------------------------------------------------------------------------------


async def test_service_with_an_authority_of_ones_own_is_trusted_by_its_profile(http, peers, pairs):
    """'caFile' is found beside the file of environments, and curl is told of it."""
    server = await peers.http(tls=server_context(pairs))
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of(server.url, pairs), SPECS)
    assert caught.value.hint == (
        "name the authority's certificate in 'caFile' of its profile, or set 'verifyTls: false'"
    )
    reply = await http.execute(call_of(server.url, pairs, caFile="server.pem"), SPECS)
    assert reply.status_code == 200
    assert f" --cacert {pairs / 'server.pem'} " in reply.exchange.reproduce


async def test_service_that_asks_for_a_certificate_gets_it(http, peers, pairs):
    """The client's certificate goes along, with its key of a password, which is never shown."""
    server = await peers.http(tls=server_context(pairs, asks=True))
    mine = {"caFile": "server.pem", "certificateFile": "client.pem", "keyFile": "client.key"}
    call = call_of(server.url, pairs, {"env:PHRASE": "pass phrase"}, keyPasswordRef="env:PHRASE", **mine)
    reply = await http.execute(call, SPECS)
    assert reply.status_code == 200
    assert "pass phrase" not in str(reply.exchange)


async def test_service_that_says_that_it_wants_a_certificate_is_unreachable(http, pairs):
    """What TLS 1.3 says only after the handshake is not taken for a fault of the service."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_refuse_without_certificate, args=(listener, server_context(pairs, asks=True)))
        server.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UnreachableError) as caught:
            await http.execute(call_of(url, pairs, caFile="server.pem"), SPECS)
        await http.close()
        server.join()
    assert "it refuses the client's certificate: " in caught.value.fact
    assert caught.value.hint == "name one that it accepts in 'certificateFile'"


def _refuse_without_certificate(listener, context):
    """Let one client shake hands, and stay until it has read why it may not come in."""
    raw, _ = listener.accept()
    held = raw.dup()  # the failing handshake closes its own
    with raw, held:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(raw, server_side=True)
        while held.recv(4096):
            pass


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            {"caFile": "gone.pem"},
            (
                "'caFile' of service 'orders' is '{}/gone.pem', which cannot be read: no such file or directory\n"
                "hint: its path is relative to the file of environments"
            ),
        ),
        (
            {"caFile": "text.pem"},
            (
                "'caFile' of service 'orders' is '{}/text.pem', which cannot be used: it holds no certificate in PEM\n"
                "hint: name files in PEM that belong together"
            ),
        ),
        (
            {"certificateFile": "server.pem", "keyFile": "gone.key"},
            (
                "'keyFile' of service 'orders' is '{}/gone.key', which cannot be read: no such file or directory\n"
                "hint: its path is relative to the file of environments"
            ),
        ),
        (
            {"certificateFile": "client.pem", "keyFile": "server.key"},
            (
                "'certificateFile' of service 'orders' is '{}/client.pem', which cannot be used: "
                "the key does not belong to the certificate\nhint: name files in PEM that belong together"
            ),
        ),
        (
            {"certificateFile": "client.pem", "keyFile": "client.key"},
            "the key of service 'orders' has a password and its profile has none\nhint: set 'keyPasswordRef'",
        ),
        (
            {"certificateFile": "client.pem", "keyFile": "client.key", "keyPasswordRef": "env:WRONG"},
            (
                "'certificateFile' of service 'orders' is '{}/client.pem', which cannot be used: "
                "the key's password is wrong\nhint: name files in PEM that belong together"
            ),
        ),
        (
            {"keyFile": "client.key"},
            "service 'orders' has 'keyFile' and no 'certificateFile'\nhint: name the certificate as well",
        ),
    ],
)
async def test_file_of_tls_that_is_of_no_use_is_an_error_of_the_environment(http, pairs, profile, message):
    """Which file it is, where it was looked for, and what is wrong with it."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        await http.execute(call_of("https://127.0.0.1:9", pairs, {"env:WRONG": "wrong"}, **profile), SPECS)
    assert str(caught.value) == message.format(pairs)


# ---- Proxies -----------------------------------------------------------------------------------------------------


async def proxy_of(peers, wanted=None):
    """Serve as a proxy, for plain HTTP and for tunnels; give its address and the lines that it was asked with."""
    asked = []

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader, writer):
        arrived = await read_request(reader)
        asked.append(f"{arrived.method} {arrived.target}")
        if wanted is not None and arrived.headers.get("proxy-authorization") != wanted:
            writer.write(http_reply("407 Proxy Authentication Required"))
            await writer.drain()
            return
        if arrived.method != "CONNECT":
            writer.write(http_reply(body=b"[1]", Content_Type="application/json"))
            await writer.drain()
            return
        host, port = arrived.target.split(":")
        there, back = await asyncio.open_connection(host, int(port))
        try:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await asyncio.gather(pump(reader, back), pump(there, writer))
        finally:
            back.close()

    server = await peers.raw(serve)
    return server.url, asked


async def test_call_goes_through_the_proxy_of_its_profile(http, peers, pairs):
    """Plain HTTP is asked of the proxy, TLS goes through a tunnel, with the proxy's own credentials."""
    wanted = f"Basic {base64.b64encode(b'ann:open sesame').decode()}"
    url, asked = await proxy_of(peers, wanted)
    secrets = {"env:U": "ann", "env:P": "open sesame"}
    login = {"proxy": url, "proxyUsernameRef": "env:U", "proxyPasswordRef": "env:P"}
    reply = await http.execute(call_of("http://shop.invalid/a%2Cb", secrets=secrets, **login), SPECS)
    assert reply.response["body"] == [1]
    assert f" --proxy {url} " in reply.exchange.reproduce
    assert "open sesame" not in str(reply.exchange)
    server = await peers.http(tls=server_context(pairs))
    await http.execute(call_of(server.url, pairs, secrets, caFile="server.pem", **login), SPECS)
    assert len(server.arrived) == 1
    assert asked == ["GET http://shop.invalid/a%2Cb/orders/o-1", f"CONNECT {server.url.removeprefix('https://')}"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_proxy_that_wants_credentials_refuses_the_login(http, peers, scheme):
    """That is an error of the environment, whatever the service would have said."""
    url, _ = await proxy_of(peers, "Basic x")
    with pytest.raises(LoginRefusedError) as caught:
        await http.execute(call_of(f"{scheme}://127.0.0.1:9", proxy=url), SPECS)
    assert str(caught.value) == (
        f"proxy '{url}' of service 'orders' refuses the credentials\n"
        "hint: set 'proxyUsernameRef' and 'proxyPasswordRef'"
    )


async def test_proxy_that_is_away_or_no_address_is_told_as_such(http):
    """The message is about the proxy and not about the service."""
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of("http://shop.invalid", proxy="http://127.0.0.1:9"), SPECS)
    assert str(caught.value) == (
        "service 'orders' at 'http://shop.invalid': its proxy cannot be reached: connection refused\n"
        "hint: start the proxy, or correct 'proxy'"
    )
    with pytest.raises(UnusableEnvironmentError) as caught:
        await http.execute(call_of("http://shop.invalid", proxy="http://ann:pw@127.0.0.1:9"), SPECS)
    assert str(caught.value) == (
        "'proxy' of service 'orders' is no address of a proxy\n"
        "hint: write it as 'http://host:port', and its user as 'proxyUsernameRef' and 'proxyPasswordRef'"
    )


# ---- HTTP/2 ------------------------------------------------------------------------------------------------------


class Http2Peer:
    """A server of HTTP/2 that answers once as many requests are under way as it waits for."""

    def __init__(self, at_once=1):
        self.at_once = at_once
        self.arrived = []

    async def __call__(self, reader, writer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        bodies, heads, waiting = {}, {}, []
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    heads[event.stream_id], bodies[event.stream_id] = dict(event.headers), b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    waiting.append(event.stream_id)
                    self.arrived.append((heads[event.stream_id], bodies[event.stream_id]))
            if len(waiting) >= self.at_once:
                for stream_id in waiting:
                    headers = [(":status", "200"), ("content-type", "application/json"), ("set-cookie", "a=1")]
                    connection.send_headers(stream_id, [*headers, ("set-cookie", "b=2")])
                    connection.send_data(stream_id, b'{"id": "o-1"}', end_stream=True)
                waiting.clear()
            writer.write(connection.data_to_send())
            await writer.drain()


async def test_http2_is_spoken_over_tls_and_carries_many_calls_at_once(http, peers, pairs):
    """Body, headers and URL arrive as they are written; ten calls share one connection."""
    peer = Http2Peer()
    server = await peers.raw(peer, server_context(pairs, alpn=("h2", "http/1.1")))
    step = {
        "endpointRef": "orders.placeOrder",
        "inputTemplate": {"body": {"a": "ü"}, "headers": {"X-B": "1"}, "query": {"q": "a,b/%2E"}},
    }
    profile = {"caFile": "server.pem", "httpVersion": "2"}
    reply = await http.execute(call_of(f"{server.url}/v1", pairs, step=step, **profile), SPECS)
    head, body = peer.arrived[0]
    assert (head[":method"], head[":path"], head["x-b"]) == ("POST", "/v1/orders?q=a%2Cb/%252E", "1")
    assert body == '{"a": "ü"}'.encode()
    assert reply.response["body"] == {"id": "o-1"}
    assert reply.response["cookies"] == {"a": "1", "b": "2"}
    assert " --http2 " in reply.exchange.reproduce
    peer.at_once = 10
    await asyncio.gather(*(http.execute(call_of(server.url, pairs, **profile), SPECS) for _ in range(10)))
    assert server.connections == 1


async def test_http2_is_spoken_without_tls_by_prior_knowledge(http, peers):
    """A service of plain HTTP/2 needs no upgrade."""
    server = await peers.raw(Http2Peer())
    reply = await http.execute(call_of(server.url, httpVersion="2"), SPECS)
    assert reply.status_code == 200


async def test_http2_where_the_service_speaks_only_http_1_is_an_error_of_the_environment(http, peers, pairs):
    """Nobody is told that HTTP/2 was tested when it was not; nothing but the environment is to blame."""
    server = await peers.http(tls=server_context(pairs, alpn=("http/1.1",)))
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of(server.url, pairs, caFile="server.pem", httpVersion="2"), SPECS)
    assert str(caught.value) == (
        f"service 'orders' at '{server.url}': it does not speak HTTP/2\n"
        "hint: take 'httpVersion' from its profile, or set it to '1.1'"
    )


async def test_http2_failures_are_told_as_those_of_http_1(http, peers, pairs):
    """Nothing listens; the certificate is not trusted; the connection ends before a reply."""
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of("http://127.0.0.1:9", httpVersion="2"), SPECS)
    assert caught.value.fact == "service 'orders' at 'http://127.0.0.1:9': connection refused"
    server = await peers.raw(Http2Peer(), server_context(pairs, alpn=("h2",)))
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of(server.url, httpVersion="2"), SPECS)
    assert caught.value.fact.endswith("its certificate is not trusted: self-signed certificate")

    async def hang_up(reader, writer):
        await reader.read(10)

    server = await peers.raw(hang_up)
    with pytest.raises(ProtocolViolation) as broken:
        await http.execute(call_of(server.url, httpVersion="2"), SPECS)
    assert broken.value.violation.code == "connection-lost"


async def test_http2_request_that_cannot_be_written_is_an_error_of_the_step(http, peers):
    """Headers about the connection have no place in HTTP/2."""
    server = await peers.raw(Http2Peer())
    step = {**GET, "inputTemplate": {"path": {"id": "o-1"}, "headers": {"TE": "gzip"}}}
    with pytest.raises(StepError) as caught:
        await http.execute(call_of(server.url, step=step, httpVersion="2"), SPECS)
    assert caught.value.fact.startswith("HTTP/2 cannot carry this request: ")
    assert caught.value.hint == "leave out headers that are about the connection"


def test_http2_without_its_package_says_what_to_install():
    """The extra is named, in a process that lacks it."""
    program = (
        "import sys; sys.modules['h2'] = None\n"
        "from pytest_orchestra.errors import StepError\n"
        "from pytest_orchestra.protocols.http2_client import Http2Client\n"
        "from pytest_orchestra.protocols.http_route import HttpRoute\n"
        "try: Http2Client(HttpRoute(version='2'), 'orders')\n"
        "except StepError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "HTTP/2 for service 'orders' needs the package 'h2'\nhint: pip install 'pytest-orchestra[http2]'\n"
    )


def test_profile_of_another_version_is_refused():
    """There are two versions to choose from."""
    with pytest.raises(ValueError, match=r"'1.1' or '2'"):
        Environment.model_validate({"services": {"a": {"baseUrl": "http://a", "httpVersion": "3"}}})


def test_step_of_http_takes_redirects_as_replies_by_default():
    """Following them is asked for."""
    assert StepDefinition.model_validate(GET).follow_redirects is False
