"""How gRPC calls reach a service: with tokens of OAuth 2.0, and through the proxy of its profile."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from urllib.parse import parse_qs

import pytest

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

from grpc_peers import OrdersServer, call, write_protos
from protocol_peers import http_reply, read_request

from pytest_orchestra.errors import LoginRefusedError, UnreachableError, UnusableEnvironmentError
from pytest_orchestra.protocols.grpc import GrpcProtocol

SECRETS = {"env:CLIENT": "client-s3cret", "env:U": "ann", "env:P": "p@ss"}


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """Give the service's specification."""
    return {"orders": GrpcProtocol().parse_spec(write_protos(tmp_path_factory.mktemp("shop")), "orders")}


@pytest.fixture
async def protocol():
    """Give the protocol under test, closed in the end."""
    protocol = GrpcProtocol()
    yield protocol
    await protocol.close()


@pytest.fixture
async def server(specs):
    """Give the service, running."""
    server = await OrdersServer(specs["orders"]).start(reflects="v1")
    yield server
    await server.stop()


# ---- OAuth 2.0 ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def tokens(peers):
    """Give a token endpoint that numbers its tokens, and the forms that came."""
    forms = []

    def answer(arrived):
        forms.append({name: values[0] for name, values in parse_qs(arrived.body.decode()).items()})
        token = {"access_token": f"token-{len(forms)}", "token_type": "bearer", "expires_in": 3600}
        return http_reply(body=json.dumps(token).encode(), Content_Type="application/json")

    endpoint = await peers.http(answer)
    return endpoint, forms


def authenticated(server, endpoint, **oauth2):
    """Give a profile whose calls carry tokens."""
    given = {"clientId": "tests", "clientSecretRef": "env:CLIENT", "tokenUrl": f"{endpoint.url}/token", **oauth2}
    return {"baseUrl": server.url, "auth": {"oauth2": given}}


async def test_token_is_fetched_once_for_all_calls_at_once(protocol, server, specs, tokens):
    """It goes along as metadata, for server reflection as well, and shows nowhere."""
    endpoint, forms = tokens
    made = call(authenticated(server, endpoint, scopes=["read"]), "Orders.Place", secrets=SECRETS)
    replies = await asyncio.gather(*(protocol.execute(made, specs) for _ in range(5)), protocol.execute(made, {}))
    assert {reply.status_name for reply in replies} == {"OK"}
    assert {came["authorization"] for came in server.metadata} == {"Bearer token-1"}
    assert forms == [{"grant_type": "client_credentials", "scope": "read"}]
    assert "token-1" not in str(replies)
    assert '-H "authorization: Bearer $AUTHORIZATION"' in replies[0].exchange.reproduce


@pytest.mark.parametrize(
    ("method", "second", "fetched"), [("Orders.Watch", "OK", 2), ("Orders.Place", "UNAUTHENTICATED", 1)]
)
async def test_token_that_is_over_early_is_renewed_once_where_the_call_may_be_repeated(
    protocol, server, specs, tokens, method, second, fetched
):
    """A method says by its ``idempotency_level`` that it may be; another one's refusal is the reply."""
    endpoint, forms = tokens
    made = call(authenticated(server, endpoint), method, secrets=SECRETS)
    assert (await protocol.execute(made, specs)).status_name == "OK"
    server.accepted = {"Bearer token-2"}
    assert (await protocol.execute(made, specs)).status_name == second
    assert len(forms) == fetched
    assert (await protocol.execute(made, specs)).status_name == "OK"
    server.accepted = set()
    await protocol.close()
    assert (await protocol.execute(made, specs)).status_name == "UNAUTHENTICATED"
    assert len(forms) == 3


async def test_token_endpoint_that_gives_none_is_an_error_of_the_environment(protocol, server, specs, peers):
    """Nothing is called then; the message is about the endpoint."""
    endpoint = await peers.http(lambda _: http_reply("401 Unauthorized", b'{"error": "invalid_client"}'))
    with pytest.raises(LoginRefusedError) as refused:
        await protocol.execute(call(authenticated(server, endpoint), "Orders.Place", secrets=SECRETS), specs)
    assert str(refused.value) == (
        f"token endpoint '{endpoint.url}/token' refuses: invalid_client\n"
        "hint: check client, secret and scopes of 'oauth2' in 'auth' of the service"
    )
    nowhere = authenticated(server, endpoint, tokenUrl=None)
    with pytest.raises(UnusableEnvironmentError) as unnamed:
        await protocol.execute(call(nowhere, "Orders.Place", secrets=SECRETS), specs)
    assert str(unnamed.value) == (
        "nothing says where tokens for service 'orders' are fetched\nhint: add 'tokenUrl' to 'oauth2' of its 'auth'"
    )
    assert server.metadata == []


# ---- proxies ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def proxy(peers):
    """Give a proxy that makes tunnels, the heads that came, and a switch for what it answers."""
    heads = []
    answers = []

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader, writer):
        arrived = await read_request(reader)
        heads.append(arrived)
        if answers:
            writer.write(http_reply(answers[0]))
            await writer.drain()
            return
        host, port = arrived.target.split(":")
        there, back = await asyncio.open_connection(host, int(port))
        try:
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await asyncio.gather(pump(reader, back), pump(there, writer))
        finally:
            back.close()

    return await peers.raw(serve), heads, answers


async def test_call_goes_through_the_proxy_of_its_profile(protocol, server, specs, proxy, monkeypatch):
    """With the proxy's credentials, which show nowhere, whatever the process environment excepts from proxies."""
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    peer, heads, _ = proxy
    profile = {"proxy": peer.url, "proxyUsernameRef": "env:U", "proxyPasswordRef": "env:P", "baseUrl": server.url}
    reply = await protocol.execute(call(profile, "Orders.Place", secrets=SECRETS), specs)
    assert reply.status_name == "OK"
    assert [(head.method, head.target) for head in heads] == [("CONNECT", f"127.0.0.1:{server.port}")]
    assert heads[0].headers["proxy-authorization"] == "Basic YW5uOnBAc3M="
    assert "p@ss" not in str(reply)
    assert reply.exchange.reproduce.startswith(f"https_proxy={peer.url} grpcurl -plaintext ")
    assert "no_grpc_proxy" not in os.environ


@pytest.mark.parametrize(
    ("answer", "error", "fact", "hint"),
    [
        (
            "407 Proxy Authentication Required",
            LoginRefusedError,
            "proxy '{proxy}' of service 'orders' refuses the credentials",
            "set 'proxyUsernameRef' and 'proxyPasswordRef'",
        ),
        (
            "502 Bad Gateway",
            UnreachableError,
            "service 'orders' at '{service}': its proxy answered with status 502",
            "correct 'proxy' of its profile",
        ),
    ],
)
async def test_proxy_that_makes_no_tunnel_is_told_as_such(protocol, server, specs, proxy, answer, error, fact, hint):
    """The message is about the proxy and not about the service."""
    peer, _, answers = proxy
    answers.append(answer)
    with pytest.raises(error) as caught:
        await protocol.execute(call({"baseUrl": server.url, "proxy": peer.url}, "Orders.Place"), specs)
    assert caught.value.fact == fact.format(proxy=peer.url, service=f"127.0.0.1:{server.port}")
    assert caught.value.hint == hint


async def test_proxy_that_is_away_or_of_no_use_is_told_as_such(protocol, server, specs):
    """What is asked of a proxy that gRPC cannot do, too."""
    away = {"baseUrl": server.url, "proxy": "http://127.0.0.1:9"}
    with pytest.raises(UnreachableError) as absent:
        await protocol.execute(call(away, "Orders.Place"), specs)
    assert str(absent.value) == (
        f"service 'orders' at '127.0.0.1:{server.port}': its proxy cannot be reached: connection refused\n"
        "hint: start the proxy, or correct 'proxy'"
    )
    unverified = {"baseUrl": "grpcs://shop.invalid", "proxy": "http://127.0.0.1:9", "verifyTls": False}
    with pytest.raises(UnusableEnvironmentError) as unseen:
        await protocol.execute(call(unverified, "Orders.Place"), specs)
    assert str(unseen.value) == (
        "service 'orders' has 'verifyTls: false' and a 'proxy', behind which gRPC cannot look at a certificate\n"
        "hint: name the authority's certificate in 'caFile', and take 'verifyTls' away"
    )
