"""A simulated service answers as its rules, the examples and the schemas say, and refuses what breaks the contract."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from simulated_shop import PAYMENT

from pytest_orchestra.errors import SettingsError


async def test_without_rules_the_lowest_success_and_a_value_of_the_schema_are_given(start, client):
    """What was sent under the same names stands in the answer."""
    service = await start()
    async with client.post(f"{service.base_url}/payments", json={"amount": 30}) as response:
        assert response.status == 201
        assert response.content_type == "application/json"
        body = await response.json()
    assert body["amount"] == 30
    assert body["state"] in PAYMENT["properties"]["state"]["enum"]
    assert body["id"]


async def test_example_of_the_specification_is_given_at_the_plainest_path(start, client):
    """``/payments/latest`` goes before ``/payments/{id}``, and its example before anything made."""
    service = await start()
    async with client.get(f"{service.base_url}/payments/latest") as response:
        assert await response.json() == {"id": "p-9", "amount": 12.5, "state": "REFUSED"}


async def test_first_rule_that_holds_answers_and_later_requests_read_what_it_remembers(start, client, correlated):
    """POST and GET agree within a correlation id, and others do not see it."""
    service = await start(
        {
            "operations": {
                "charge": [
                    {"when": "request.body.amount > 100", "status": 402, "body": {"title": "too much"}},
                    {
                        "remember": {"paid": "{{request.body.amount}}"},
                        "body": {"id": "p-{{count}}", "amount": "{{state.paid}}", "state": "CHARGED"},
                        "headers": {"Location": "/payments/p-{{count}}"},
                    },
                ],
                "GET /payments/{id}": {
                    "when": "state.paid > 0",
                    "body": {"id": "{{request.path.id}}", "amount": "{{state.paid}}", "state": "CHARGED"},
                },
            }
        }
    )
    url = f"{service.base_url}/payments"
    async with client.post(url, json={"amount": 101}, headers=correlated) as response:
        assert (response.status, response.content_type) == (402, "application/problem+json")
        assert await response.json() == {"title": "too much"}
    async with client.post(url, json={"amount": 60}, headers=correlated) as response:
        assert response.status == 201
        assert response.headers["location"] == "/payments/p-2"
        assert await response.json() == {"id": "p-2", "amount": 60, "state": "CHARGED"}
    async with client.get(f"{url}/p-2", headers=correlated) as response:
        assert await response.json() == {"id": "p-2", "amount": 60, "state": "CHARGED"}
    async with client.get(f"{url}/p-2", headers={"X-Correlation-ID": "other"}) as response:
        assert (await response.json())["amount"] != 60


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "errors"),
    [
        ("POST", "/payments", {"json": {"amount": "x"}}, 400, ["/body/amount: expected number, observed 'x'"]),
        ("POST", "/payments", {}, 400, ["/body: a body is required and there is none"]),
        (
            "POST",
            "/payments",
            {"data": "{", "headers": {"content-type": "application/json"}},
            400,
            ["/body: it is not the JSON that it claims to be"],
        ),
        (
            "POST",
            "/payments",
            {"data": "x", "headers": {"content-type": "text/plain"}},
            400,
            ["/headers/content-type: expected 'application/json', observed 'text/plain'"],
        ),
        ("GET", "/payments/1?depth=5", {}, 400, ["/query/depth: expected at most 3, observed 5"]),
        (
            "GET",
            "/payments/1",
            {"headers": {"X-Tenant": "c"}},
            400,
            ["/headers/X-Tenant: expected one of 'a', 'b', observed 'c'"],
        ),
        ("DELETE", "/payments/1", {}, 405, None),
        ("GET", "/refunds", {}, 404, None),
    ],
)
async def test_request_that_breaks_the_contract_is_told_why(start, client, method, path, options, status, errors):
    """The answer is a problem of RFC 9457 that lists what is wrong."""
    service = await start()
    async with client.request(method, service.base_url + path, **options) as response:
        assert (response.status, response.content_type) == (status, "application/problem+json")
        body = await response.json()
    assert body["status"] == status
    assert body.get("errors") == errors


async def test_prefix_of_the_real_base_url_is_kept(start, client):
    """Whoever knows the service below a prefix finds it there."""
    service = await start(prefix="/api/v1")
    assert service.base_url.endswith("/api/v1")
    async with client.get(f"{service.base_url}/payments/latest") as response:
        assert response.status == 200


async def _fates(client, service, ids):
    fates = []
    for each in ids:
        try:
            url = f"{service.base_url}/payments/latest"
            async with client.get(url, headers={"X-Correlation-ID": each}) as response:
                fates.append(response.status)
        except aiohttp.ClientError:
            fates.append(None)
    return fates


async def test_same_seed_has_the_same_luck_and_another_one_another(start, client):
    """Losses are connections that break off; who is unavailable says 503; both are drawn by seed and id."""
    ids = [f"c{number}" for number in range(30)]
    unreliable = {"loss": 0.3, "unavailable": 0.3}
    first = await _fates(client, await start({**unreliable, "seed": 1}), ids)
    again = await _fates(client, await start({**unreliable, "seed": 1}), list(reversed(ids)))
    other = await _fates(client, await start({**unreliable, "seed": 2}), ids)
    assert set(first) == {None, 200, 503}
    assert again[::-1] == first
    assert other != first


async def test_rule_that_cannot_be_followed_is_told_in_the_answer_and_in_the_end(start, client):
    """Nothing is answered as if the rule were not there."""
    service = await start({"operations": {"getLatest": {"body": {"x": "{{state.nothing}}"}}}})
    async with client.get(f"{service.base_url}/payments/latest") as response:
        assert response.status == 500
        detail = (await response.json())["detail"]
    assert detail.startswith("operation 'getLatest': ")
    assert service.participant.faults == [f"simulated 'payments': {detail}"]


async def test_port_that_is_taken_is_a_mistake_in_the_settings(start):
    """The error names the port and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as raised:
            await start(port=port)
    assert f"simulated 'payments' cannot listen at port {port}: " in str(raised.value)
    assert raised.value.hint == "free the port, or take another 'simulatedPort'"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("numbers", {"id": "p-9", "amount": 13.5, "state": "REFUSED"}),
        ("states", {"id": "not p-9", "amount": 12.5, "state": "CHARGED"}),
    ],
)
async def test_spoiled_answer_differs_and_still_keeps_the_contract(start, client, kind, expected):
    """Only an assertion can notice; the schema cannot."""
    service = await start(distort=f"payments.getLatest:{kind}")
    async with client.get(f"{service.base_url}/payments/latest") as response:
        assert await response.json() == expected


async def test_lost_answer_breaks_off(start, client):
    """Nothing comes of the operation that is spoiled, and all of the others."""
    service = await start(distort="payments.getLatest:lost")
    with pytest.raises(aiohttp.ClientError):
        await client.get(f"{service.base_url}/payments/latest")
    async with client.get(f"{service.base_url}/payments/1") as response:
        assert response.status == 200
