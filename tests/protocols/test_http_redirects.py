"""Redirects that a step follows, and the cookies of replies."""

from __future__ import annotations

import pytest
from protocol_calls import SPECS, make_call
from protocol_peers import http_reply

from pytest_orchestra.engine.ports import CallTimeoutError, ProtocolViolation
from pytest_orchestra.errors import UnreachableError
from pytest_orchestra.protocols.set_cookie import apply_cookies


def call_of(url, *, timeout_s=5.0, secrets=None, profile=None, operation="placeOrder", follows=True, **data):
    """Give a call that follows redirects."""
    data = data or ({"body": {"a": 1}} if operation == "placeOrder" else {"path": {"id": "o-1"}})
    step = {"endpointRef": f"orders.{operation}", "followRedirects": follows, "inputTemplate": data}
    environment = {"services": {"orders": {"baseUrl": url, **(profile or {})}}}
    return make_call(step, environment, timeout_s=timeout_s, secrets=secrets)


def redirects(routes):
    """Answer by target: a status and a location, or the reply itself."""

    def answer(arrived):
        found = routes[arrived.target]
        return found if isinstance(found, bytes) else http_reply(found[0], Location=found[1])

    return answer


@pytest.mark.parametrize(
    ("status", "method", "has_body"),
    [
        ("301 Moved", "GET", False),
        ("302 Found", "GET", False),
        ("303 See Other", "GET", False),
        ("307 Temporary", "POST", True),
        ("308 Permanent", "POST", True),
    ],
)
async def test_redirect_that_a_step_follows_leads_to_the_reply(http, peers, status, method, has_body):
    """The method and body are those that the status asks for, and the way there can be read."""
    server = await peers.http(redirects({"/orders": (status, "/there?a=ü b#top"), "/there?a=%C3%BC%20b": http_reply()}))
    reply = await http.execute(call_of(server.url), SPECS)
    assert reply.status_code == 200
    assert reply.response["history"] == [{"status": int(status[:3]), "url": f"{server.url}/orders"}]
    last = server.arrived[-1]
    assert (last.method, last.target) == (method, "/there?a=%C3%BC%20b")
    assert last.body == (b'{"a": 1}' if has_body else b"")
    assert ("content-type" in last.headers) is has_body
    assert reply.exchange.response["history"] == reply.response["history"]
    assert " --location " in reply.exchange.reproduce


async def test_redirect_to_the_same_origin_written_otherwise_leads_to_its_path(http, peers):
    """A port with a zero in front is the same port, and nothing of the path is lost for it."""
    server = await peers.http(
        lambda arrived: (
            http_reply()
            if arrived.target == "/there"
            else http_reply("303 See Other", Location=f"{server.url.replace('127.0.0.1:', '127.0.0.1:0')}/there")
        )
    )
    reply = await http.execute(call_of(server.url), SPECS)
    assert (reply.status_code, server.arrived[-1].target) == (200, "/there")


async def test_redirect_to_another_origin_takes_no_credentials_along(http, peers):
    """Secrets, cookies and authorization stay at home; what says nothing of anybody goes on."""
    stranger = await peers.http()
    server = await peers.http(redirects({"/orders": ("307 Temporary", f"{stranger.url}/x")}))
    profile = {
        "headers": {"X-Team": "a"},
        "headerRefs": {"X-Gate": "env:GATE", "Authorization": "env:TOKEN"},
    }
    secrets = {"env:GATE": "open-sesame", "env:TOKEN": "Bearer t0ken"}
    call = call_of(server.url, secrets=secrets, profile=profile, body={"a": 1}, cookies={"sid": "1"})
    await http.execute(call, SPECS)
    at_home, abroad = server.arrived[0].headers, stranger.arrived[0].headers
    assert at_home["x-gate"] == "open-sesame"
    assert abroad["x-team"] == "a"
    assert not {"x-gate", "authorization", "cookie"} & set(abroad)
    assert stranger.arrived[0].body == b'{"a": 1}'


async def test_cookies_of_the_way_are_sent_where_they_were_set(http, peers):
    """A login that sets a cookie and redirects is followed with that cookie, and the step sees all of them."""
    login = http_reply("303 See Other", Location="/home", Set_Cookie="sid=new; Path=/; HttpOnly", set_cookie="lang=de")
    home = http_reply(Set_Cookie='theme="dark"', set_cookie="lang=; Max-Age=0")
    server = await peers.http(redirects({"/orders": login, "/home": home}))
    reply = await http.execute(call_of(server.url, body={}, cookies={"sid": "old", "a": "b"}), SPECS)
    assert server.arrived[1].headers["cookie"] == "sid=new; a=b; lang=de"
    assert reply.response["cookies"] == {"sid": "new", "theme": "dark"}


async def test_redirect_that_leads_out_of_http_is_the_reply(http, peers):
    """An address for a program or without any place is nothing to be asked."""
    server = await peers.http(redirects({"/orders": ("302 Found", "myapp://callback?code=1")}))
    reply = await http.execute(call_of(server.url), SPECS)
    assert (reply.status_code, reply.response["history"]) == (302, [])


async def test_redirect_without_end_is_a_violation(http, peers):
    """Ten are followed; a service that still redirects is wrong."""
    server = await peers.http(lambda _: http_reply("302 Found", Location="/orders"))
    with pytest.raises(ProtocolViolation) as caught:
        await http.execute(call_of(server.url), SPECS)
    assert caught.value.violation.code == "too-many-redirects"
    assert caught.value.violation.message == (
        f"more than 10 redirects followed each other, the last to '{server.url}/orders'"
    )
    assert len(server.arrived) == 11


async def test_redirect_to_where_nothing_listens_names_that_place(http, peers):
    """The message has the address that failed, not the first one."""
    server = await peers.http(redirects({"/orders": ("302 Found", "http://127.0.0.1:9/x")}))
    with pytest.raises(UnreachableError) as caught:
        await http.execute(call_of(server.url), SPECS)
    assert caught.value.fact == "service 'orders' at 'http://127.0.0.1:9/x': connection refused"


async def test_redirects_share_the_time_of_the_call(http, peers):
    """The time bounds the whole way, and what was sent first is shown."""

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(-1)

    silent = await peers.raw(slow)
    server = await peers.http(redirects({"/orders": ("302 Found", silent.url)}))
    with pytest.raises(CallTimeoutError) as caught:
        await http.execute(call_of(server.url, timeout_s=0.2), SPECS)
    assert caught.value.exchange.request["url"] == f"{server.url}/orders"


async def test_cookies_of_a_reply_are_there_by_name(http, peers):
    """A template sends them on; without redirects followed, there is no history."""
    server = await peers.http(http_reply(Set_Cookie="sid=a=b; Expires=Wed, 21 Oct 2099 07:28:00 GMT", set_cookie="x=1"))
    reply = await http.execute(call_of(server.url, follows=False), SPECS)
    assert reply.response["cookies"] == {"sid": "a=b", "x": "1"}
    assert "history" not in reply.response


@pytest.mark.parametrize(
    ("lines", "cookies"),
    [
        (["a=1", "a=2"], {"a": "2"}),
        (["a=1", "a=; expires=Thu, 01-Jan-1970 00:00:00 GMT"], {}),
        (["a=1; Max-Age=-1; Expires=Wed, 21 Oct 2099 07:28:00 GMT"], {}),
        (["a=1; Max-Age=x; Expires=never"], {"a": "1"}),
        (["nonsense", "=x", ' b = "q" ; Secure'], {"b": "q"}),
    ],
)
def test_cookies_that_end_are_gone(lines, cookies):
    """The later one counts, 'Max-Age' goes before 'Expires', and what is no cookie is passed over."""
    assert apply_cookies({}, lines) == cookies
