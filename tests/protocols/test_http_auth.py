"""Authentication by the profile, as the specification's security schemes ask for it."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from protocol_calls import make_call
from protocol_peers import http_reply

from pytest_orchestra.data.environments import resolve_environment
from pytest_orchestra.errors import (
    LoginRefusedError,
    SecretNotFoundError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.model.specification import (
    Operation,
    ProtocolSpec,
    ResponseSpec,
    SecurityNeed,
    SecurityScheme,
)
from pytest_orchestra.protocols.oauth_tokens import TokenRequest, TokenStore
from pytest_orchestra.protocols.wire import RawReply

SCHEMES = {
    "login": SecurityScheme("login", "http", http_scheme="basic"),
    "jwt": SecurityScheme("jwt", "http", http_scheme="bearer"),
    "gate": SecurityScheme("gate", "apiKey", "X-Gate", "header"),
    "param": SecurityScheme("param", "apiKey", "who", "query"),
    "crumb": SecurityScheme("crumb", "apiKey", "sid", "cookie"),
    "oauth": SecurityScheme("oauth", "oauth2", token_urls=(("clientCredentials", "token"), ("password", "token"))),
    "card": SecurityScheme("card", "mutualTLS"),
    "digest": SecurityScheme("digest", "http", http_scheme="digest"),
}


def operation(name, *alternatives, method="GET"):
    """Give an operation that asks for one of these alternatives."""
    needs = tuple(tuple(SecurityNeed(*need) for need in alternative) for alternative in alternatives)
    return Operation(name, method, f"/{name}", security_needs=needs, responses=(ResponseSpec("default"),))


OPERATIONS = (
    operation("basic", [("login",)]),
    operation("bearer", [("jwt",)]),
    operation("header", [("gate",)]),
    operation("query", [("param",)]),
    operation("cookie", [("crumb",)]),
    operation("both", [("gate",), ("jwt",)]),
    operation("either", [("digest",)], [("card",), ("login",)]),
    operation("open"),
    operation("optional", [], [("jwt",)]),
    operation("digest", [("digest",)]),
    operation("read", [("oauth", ("read",))]),
    operation("write", [("oauth", ("write",))], method="POST"),
    Operation("silent", "GET", "/silent", responses=(ResponseSpec("default"),)),
)
SPECS = {"shop": ProtocolSpec("http", "shop", version="c" * 64, operations=OPERATIONS, security_schemes=SCHEMES)}
SECRETS = {
    "env:USER": "ann",
    "env:PASSWORD": "p:äss word",
    "env:TOKEN": "jwt-token-text",
    "env:KEY": "key-of-the-gate",
    "env:OTHER": "key-of-another",
    "env:CLIENT": "client secret+1",
}
ALL = {
    "basic": {"usernameRef": "env:USER", "passwordRef": "env:PASSWORD"},
    "bearer": "env:TOKEN",
    "apiKey": "env:KEY",
}
BASIC = f"Basic {base64.b64encode('ann:p:äss word'.encode()).decode()}"


def call_of(url, name, auth, timeout_s=5.0, key="", profile=None, **data):
    """Give a call of an operation with the profile's credentials."""
    environment = {"services": {"shop": {"baseUrl": url, "auth": auth, **(profile or {})}}}
    call = make_call(
        {"endpointRef": f"shop.{name}", "inputTemplate": data}, environment, secrets=SECRETS, timeout_s=timeout_s
    )
    return replace(call, idempotency_key=key)


async def arrived_of(http, peers, name, auth=None, **data):
    """Call an operation; give what arrived and the reply's exchange."""
    server = await peers.http()
    reply = await http.execute(call_of(server.url, name, ALL if auth is None else auth, **data), SPECS)
    return server.arrived[0], reply.exchange


@pytest.mark.parametrize(
    ("name", "headers", "target"),
    [
        ("basic", {"authorization": BASIC}, "/basic"),
        ("bearer", {"authorization": "Bearer jwt-token-text"}, "/bearer"),
        ("header", {"x-gate": "key-of-the-gate"}, "/header"),
        ("query", {}, "/query?who=key-of-the-gate"),
        ("cookie", {"cookie": "sid=key-of-the-gate"}, "/cookie"),
        ("both", {"x-gate": "key-of-the-gate", "authorization": "Bearer jwt-token-text"}, "/both"),
        ("either", {"authorization": BASIC}, "/either"),
        ("open", {}, "/open"),
        ("optional", {"authorization": "Bearer jwt-token-text"}, "/optional"),
    ],
)
async def test_operation_gets_the_credentials_that_its_scheme_asks_for(http, peers, name, headers, target):
    """Neither more nor less is sent, and nothing of it is shown."""
    arrived, exchange = await arrived_of(http, peers, name)
    assert arrived.without_transport() == ("GET", target, headers, b"")
    for secret in ("jwt-token-text", "key-of-the-gate", BASIC.removeprefix("Basic ")):
        assert secret not in str(exchange)


async def test_secret_parameter_of_a_url_is_a_variable_in_the_command(http, peers):
    """Whatever its name is, the command has a shell variable in its place."""
    _, exchange = await arrived_of(http, peers, "query", query={"page": 1})
    assert exchange.request["url"].endswith("/query?page=1&who=***")
    assert '"$WHO"' in exchange.reproduce


async def test_step_says_otherwise_than_the_profile(http, peers):
    """What a step writes itself goes before the profile's credentials; null sends none."""
    arrived, _ = await arrived_of(http, peers, "bearer", headers={"authorization": "Bearer mine"})
    assert arrived.headers["authorization"] == "Bearer mine"
    arrived, _ = await arrived_of(http, peers, "bearer", headers={"Authorization": None})
    assert "authorization" not in arrived.headers


@pytest.mark.parametrize(
    ("schemes", "header"),
    [({"gate": SCHEMES["gate"], "jwt": SCHEMES["jwt"]}, "key-of-the-gate"), ({"jwt": SCHEMES["jwt"]}, None)],
)
async def test_only_api_key_of_a_specification_says_where_it_goes(http, peers, schemes, header):
    """Also for operations that say nothing of security; where there is none, the profile has to say it."""
    server = await peers.http()
    specs = {"shop": replace(SPECS["shop"], security_schemes=schemes)}
    call = call_of(server.url, "silent", {"apiKey": "env:KEY"})
    if header is not None:
        await http.execute(call, specs)
        assert server.arrived[0].headers["x-gate"] == header
        return
    with pytest.raises(UnusableEnvironmentError) as caught:
        await http.execute(call, specs)
    assert caught.value.fact == "the specification of service 'shop' does not say where its API key goes"


async def test_specification_that_says_nothing_gets_all_that_the_profile_has(http, peers):
    """An API key then needs a name of its own."""
    auth = {"bearer": "env:TOKEN", "apiKey": {"valueRef": "env:KEY", "name": "api", "in": "query"}}
    arrived, _ = await arrived_of(http, peers, "silent", auth)
    assert (arrived.target, arrived.headers["authorization"]) == (
        "/silent?api=key-of-the-gate",
        "Bearer jwt-token-text",
    )
    with pytest.raises(UnusableEnvironmentError) as caught:
        await http.execute(call_of("http://127.0.0.1:9", "silent", {"apiKey": "env:KEY"}), SPECS)
    assert str(caught.value) == (
        "the specification of service 'shop' does not say where its API key goes\n"
        "hint: give 'apiKey' of its 'auth' a 'name', and 'in: query' or 'in: cookie' where it is no header"
    )


async def test_api_keys_by_scheme_go_before_the_one_for_all(http, peers):
    """Of several keys, each scheme has its own."""
    arrived, _ = await arrived_of(http, peers, "header", {"apiKey": "env:KEY", "apiKeyRefs": {"gate": "env:OTHER"}})
    assert arrived.headers["x-gate"] == "key-of-another"


async def test_operation_that_asks_for_what_the_profile_has_not_is_an_error_of_the_environment(http, peers):
    """Nothing is sent without credentials that are asked for, unless the step or the profile gives them itself."""
    with pytest.raises(UnusableEnvironmentError) as caught:
        await http.execute(call_of("http://127.0.0.1:9", "header", {"bearer": "env:TOKEN"}), SPECS)
    assert str(caught.value) == (
        "operation 'header' of service 'shop' asks for 'gate', for which 'auth' has nothing\n"
        "hint: add 'apiKey' to 'auth' of the service"
    )
    arrived, _ = await arrived_of(http, peers, "digest", headers={"Authorization": "Digest a=b"})
    assert arrived.headers["authorization"] == "Digest a=b"


async def test_secret_that_was_not_read_is_named(http):
    """The message has the field of the profile and the reference."""
    with pytest.raises(SecretNotFoundError) as caught:
        await http.execute(call_of("http://127.0.0.1:9", "bearer", {"bearer": "env:NOWHERE"}), SPECS)
    assert str(caught.value) == (
        "'auth.bearer' of service 'shop' needs secret 'env:NOWHERE', which was not read\n"
        "hint: set what 'env:NOWHERE' refers to"
    )


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({"bearer": "secret-text"}, "a secret is given by reference"),
        ({"basic": {"username": "a", "usernameRef": "env:A", "passwordRef": "env:B"}}, "give one of 'username'"),
        ({"oauth2": {"clientSecretRef": "env:A"}}, "give one of 'clientId' and 'clientIdRef'"),
        ({"oauth2": {"clientId": "a", "grant": "password"}}, "grant 'password' needs 'username'"),
        ({"apiKeyRefs": {"gate": "text"}}, "a secret is given by reference"),
    ],
)
def test_profile_with_half_of_its_credentials_is_refused(auth, message):
    """It is told when the file is read."""
    with pytest.raises(ValueError, match=message):
        Environment.model_validate({"services": {"shop": {"baseUrl": "http://a", "auth": auth}}})


def test_environment_with_credentials_is_resolved_with_all_its_secrets():
    """Short forms, nested references and templates come through, as the engine hands them to the protocol."""
    auth = {
        "bearer": "env:TOKEN",
        "apiKey": {"valueRef": "env:KEY", "name": "k", "in": "cookie"},
        "apiKeyRefs": {"gate": "env:OTHER"},
        "oauth2": {"clientId": "{{env.USER}}", "clientSecretRef": "env:CLIENT", "scopes": ["a"]},
    }
    environment = Environment.model_validate({"services": {"shop": {"baseUrl": "http://a", "auth": auth}}})
    variables = {ref.removeprefix("env:"): text for ref, text in SECRETS.items()}
    resolved = resolve_environment(environment, variables)
    assert set(resolved.secrets) == {"env:TOKEN", "env:KEY", "env:OTHER", "env:CLIENT"}
    read = resolved.environment.services["shop"].auth
    assert (read.oauth2.client_id, read.api_key.location, read.bearer.token_ref) == ("ann", "cookie", "env:TOKEN")


# ---- OAuth 2.0 ---------------------------------------------------------------------------------------------------


class Authority:
    """A token endpoint that numbers its tokens, and a service that accepts only the newest ones."""

    def __init__(self, **answer):
        self.answer = {"token_type": "bearer", "expires_in": 3600, **answer}
        self.forms = []
        self.heads = []
        self.accepted = None

    def __call__(self, arrived):
        if arrived.target.endswith("/token"):
            self.heads.append(arrived.headers)
            self.forms.append({name: values[0] for name, values in parse_qs(arrived.body.decode()).items()})
            token = {"access_token": f"token-{len(self.forms)}", **self.answer}
            return http_reply(body=json.dumps(token).encode(), Content_Type="application/json")
        if self.accepted is not None and arrived.headers["authorization"] not in self.accepted:
            return http_reply("401 Unauthorized")
        return http_reply()


OAUTH = {"oauth2": {"clientId": "tests", "clientSecretRef": "env:CLIENT"}}


async def test_token_is_fetched_once_for_all_calls_at_once(http, peers):
    """Many calls at once share one request, and later ones its token; its URL and scopes are the specification's."""
    authority = Authority()
    server = await peers.http(authority)
    await asyncio.gather(*(http.execute(call_of(f"{server.url}/v1", "read", OAUTH), SPECS) for _ in range(20)))
    reply = await http.execute(call_of(f"{server.url}/v1", "read", OAUTH), SPECS)
    assert authority.forms == [{"grant_type": "client_credentials", "scope": "read"}]
    assert authority.heads[0]["authorization"] == f"Basic {base64.b64encode(b'tests:client+secret%2B1').decode()}"
    used = {arrived.headers["authorization"] for arrived in server.arrived if arrived.target == "/v1/read"}
    assert used == {"Bearer token-1"}
    assert "/v1/token" in {arrived.target for arrived in server.arrived}
    assert "token-1" not in str(reply.exchange)
    await http.execute(call_of(f"{server.url}/v1", "write", OAUTH), SPECS)
    assert [form["scope"] for form in authority.forms] == ["read", "write"]


async def test_password_grant_sends_user_and_parameters(http, peers):
    """Client and user go in the body where the profile says so."""
    authority = Authority()
    server = await peers.http(authority)
    oauth2 = {
        **OAUTH["oauth2"],
        "grant": "password",
        "tokenUrl": f"{server.url}/auth/token",
        "clientAuthentication": "body",
        "usernameRef": "env:USER",
        "passwordRef": "env:PASSWORD",
        "scopes": ["a", "b"],
        "parameters": {"audience": "shop"},
    }
    await http.execute(call_of(server.url, "read", {"oauth2": oauth2}), SPECS)
    assert authority.forms == [
        {
            "grant_type": "password",
            "username": "ann",
            "password": "p:äss word",
            "scope": "a b",
            "audience": "shop",
            "client_id": "tests",
            "client_secret": "client secret+1",
        }
    ]
    assert "authorization" not in authority.heads[0]


@pytest.mark.parametrize(
    ("name", "key", "statuses", "fetched"),
    [("read", "", [200, 200], 2), ("write", "key-1", [200, 200], 2), ("write", "", [200, 401], 1)],
)
async def test_token_that_is_over_early_is_renewed_once_where_the_call_may_be_repeated(
    http, peers, name, key, statuses, fetched
):
    """A 401 to a token that had served leads to one more token; an action that must not be repeated fails as it is."""
    authority = Authority()
    server = await peers.http(authority)
    call = call_of(server.url, name, OAUTH, key=key)
    first = await http.execute(call, SPECS)
    authority.accepted = {"Bearer token-2"}
    second = await http.execute(call, SPECS)
    assert [first.status_code, second.status_code] == statuses
    assert len(authority.forms) == fetched
    assert (await http.execute(call, SPECS)).status_code == 200
    assert len(authority.forms) == 2


async def test_token_that_never_served_is_not_renewed(http, peers):
    """A service that refuses a token fresh from the endpoint is wrong itself: its 401 is the reply."""
    authority = Authority()
    authority.accepted = set()
    server = await peers.http(authority)
    assert (await http.execute(call_of(server.url, "read", OAUTH), SPECS)).status_code == 401
    assert len(authority.forms) == 1


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (
            http_reply("400 Bad Request", b'{"error": "invalid_client", "error_description": "who?"}'),
            LoginRefusedError,
            "refuses: invalid_client: who?\nhint: check client, secret and scopes of 'oauth2' in 'auth' of the service",
        ),
        (
            http_reply("400 Bad Request", b'{"error": "invalid_grant"}'),
            LoginRefusedError,
            "refuses: invalid_grant\nhint: check user and password of 'oauth2' in 'auth' of the service",
        ),
        (
            http_reply("401 Unauthorized", b"<html>"),
            LoginRefusedError,
            "refuses: status 401\nhint: check client, secret and scopes of 'oauth2' in 'auth' of the service",
        ),
        (
            http_reply("503 Away"),
            UnreachableError,
            "answered with status 503\nhint: start it, or correct 'tokenUrl'",
        ),
        (
            http_reply(body=b"[]"),
            UnusableEnvironmentError,
            "answered without 'access_token'\nhint: correct 'tokenUrl'",
        ),
        (
            http_reply(body=b'{"access_token": "t", "token_type": "DPoP"}'),
            UnusableEnvironmentError,
            "gave a token of type 'DPoP'\nhint: have it give bearer tokens",
        ),
    ],
)
async def test_token_endpoint_that_gives_no_token_is_an_error_of_the_environment(http, peers, reply, error, message):
    """Each kind of failure has its own message, and no secret in it."""
    server = await peers.http(reply)
    with pytest.raises(error) as caught:
        await http.execute(call_of(server.url, "read", OAUTH), SPECS)
    assert str(caught.value) == f"token endpoint '{server.url}/token' {message}"
    assert type(caught.value) is error


async def test_token_endpoint_that_is_away_is_unreachable(http, peers):
    """Nothing listens there, or it does not answer in the time of the call."""
    oauth2 = {**OAUTH["oauth2"], "tokenUrl": "http://127.0.0.1:9/token"}
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of("http://127.0.0.1:9", "read", {"oauth2": oauth2}), SPECS)
    assert str(caught.value) == (
        "token endpoint 'http://127.0.0.1:9/token': connection refused\nhint: start it, or correct 'tokenUrl'"
    )

    async def silent(reader, writer):
        await reader.read(-1)

    server = await peers.raw(silent)
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of(server.url, "read", OAUTH, timeout_s=0.05), SPECS)
    assert caught.value.fact == f"token endpoint '{server.url}/token': no reply came within 50 ms"


async def test_token_endpoint_that_nothing_names_is_an_error_of_the_environment(http):
    """A profile whose specification has no flow must say where tokens are."""
    specs = {"shop": replace(SPECS["shop"], security_schemes={})}
    with pytest.raises(UnusableEnvironmentError) as caught:
        await http.execute(call_of("http://127.0.0.1:9", "silent", OAUTH), specs)
    assert str(caught.value) == (
        "nothing says where tokens for service 'shop' are fetched\nhint: add 'tokenUrl' to 'oauth2' of its 'auth'"
    )


async def test_token_endpoint_that_is_no_address_is_an_error_of_the_environment(http):
    """It is told as the token endpoint and not as the service."""
    oauth2 = {**OAUTH["oauth2"], "tokenUrl": "login.example/token"}
    with pytest.raises(UnusableEnvironmentError) as caught:
        await http.execute(call_of("http://127.0.0.1:9", "read", {"oauth2": oauth2}), SPECS)
    assert str(caught.value) == (
        "token endpoint 'login.example/token' of service 'shop' is no address of HTTP\n"
        "hint: write 'tokenUrl' as 'https://host/path'"
    )


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self):
        return self.now


async def test_token_store_renews_shortly_before_the_end_with_the_refresh_token_while_it_is_taken():
    """A token serves until a tenth of its life is left; a refresh token that is over is not the end."""
    clock, grants = Clock(), []
    store = TokenStore(clock)
    refuse_refresh = False

    async def fetch(request):
        grant = parse_qs(request.content.decode())["grant_type"][0]
        grants.append(grant)
        if grant == "refresh_token" and refuse_refresh:
            return RawReply(400, {}, b'{"error": "invalid_grant"}', 1.0)
        answer = {"access_token": f"t{len(grants)}", "expires_in": 100, "refresh_token": "again"}
        return RawReply(200, {}, json.dumps(answer).encode(), 1.0)

    wanted = TokenRequest("http://a/token", Secret("tests"))
    first, was_used = await store.get(wanted, fetch)
    assert (first.text.reveal(), was_used) == ("t1", False)
    clock.now += 89
    assert await store.get(wanted, fetch) == (first, True)
    clock.now += 2
    assert (await store.get(wanted, fetch))[0].text.reveal() == "t2"
    refuse_refresh = True
    clock.now += 91
    assert (await store.get(wanted, fetch))[0].text.reveal() == "t4"
    assert grants == ["client_credentials", "refresh_token", "refresh_token", "client_credentials"]
    await store.close()


async def test_token_store_goes_on_when_one_of_those_who_wait_gives_up():
    """The token is for all: whoever leaves takes it from nobody."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def fetch(request):
        asked.set()
        await may_answer.wait()
        return RawReply(200, {}, b'{"access_token": "t1"}', 1.0)

    store, wanted = TokenStore(), TokenRequest("http://a/token", Secret("tests"))
    impatient = asyncio.create_task(store.get(wanted, fetch))
    await asked.wait()
    patient = asyncio.create_task(store.get(wanted, fetch))
    await asyncio.sleep(0)
    impatient.cancel()
    may_answer.set()
    token, _ = await patient
    assert token.text.reveal() == "t1"
    assert impatient.cancelled()
    await store.close()
