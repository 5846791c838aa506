"""The listener for webhooks: what arrives is found by path and correlation id, and held against the contract."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from simulated_shop import read_spec

from pytest_orchestra.engine.ports import ListeningProtocol, ProtocolPlugin, StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.definition import ChannelType, StepDefinition, StepKind
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import ViolationType
from pytest_orchestra.protocols.webhook import WebhookProtocol

PAYMENT = {"id": "p-1", "amount": 3, "state": "CHARGED"}


def make_call(run_id="run-1", correlation_id="corr-1", message=None, **fields):
    """Give a call as the engine makes it."""
    step = StepDefinition.model_validate({"webhook": "/settled", **fields})
    return StepCall(
        step=step,
        alias="settled",
        correlation_id=correlation_id,
        input={},
        parameters={},
        environment=Environment(),
        secrets={},
        timeout_s=5.0,
        run_id=run_id,
        address={"webhook": step.webhook},
        message=message or {},
    )


@pytest.fixture
async def protocol():
    webhooks = WebhookProtocol()
    yield webhooks
    await webhooks.close()


@pytest.fixture
async def url(protocol):
    return await protocol.listen()


def test_webhook_is_an_assertion_of_its_own_channel():
    """``webhook`` alone says what kind of step it is."""
    step = StepDefinition.model_validate({"webhook": "/settled"})
    assert (step.kind, step.channel_type) == (StepKind.ASSERTION, ChannelType.WEBHOOK)
    assert isinstance(WebhookProtocol(), ProtocolPlugin)
    assert isinstance(WebhookProtocol(), ListeningProtocol)


async def test_request_is_found_by_path_and_correlation_header(protocol, url, client):
    """Requests of other runs, and at other paths, are not seen; the sender is thanked."""
    call = make_call()
    await protocol.prepare([call], None)
    for path, header in (("settled", "corr-1"), ("settled", "corr-2"), ("other", "corr-1")):
        sent = client.post(f"{url}/{path}/?x=1", json=PAYMENT, headers={"X-Correlation-ID": header})
        async with sent as response:
            assert response.status == 204
    reply = await protocol.execute(call, {})
    assert reply.response["count"] == 1
    message = reply.response["message"]
    assert (message["value"], message["method"], message["path"]) == (PAYMENT, "POST", "/settled")
    assert message["query"] == {"x": "1"}
    assert message["contentType"] == "application/json"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/settled?correlationId=corr-1", {}),
        ("/settled/corr-1", {"webhook": "/settled/corr-1"}),
        ("/settled", {"correlationIdExpr": "message.value.id"}),
    ],
)
async def test_correlation_id_may_stand_in_the_address_or_in_the_body(protocol, url, client, path, fields):
    """Senders that know no correlation header are told apart as well."""
    call = make_call(correlation_id="corr-1", **fields)
    await protocol.prepare([call], None)
    async with client.post(url + path, json={"id": "corr-1"}):
        pass
    assert (await protocol.execute(call, {})).response["count"] == 1


async def test_who_waits_is_told_at_once(protocol, url, client):
    """``news`` returns when the request arrives, long before its time is over."""
    call = make_call()
    await protocol.prepare([call], None)
    waiting = asyncio.create_task(protocol.news(call, 600.0))
    await asyncio.sleep(0)
    async with client.post(f"{url}/settled", json=PAYMENT, headers={"X-Correlation-ID": "corr-1"}):
        pass
    await asyncio.wait_for(waiting, 30.0)
    assert (await protocol.execute(call, {})).response["count"] == 1


async def test_awaited_value_is_compared_like_that_of_a_message(protocol, url, client):
    """``valueTemplate`` chooses among what arrived; the rest is unexplained."""
    call = make_call(message={"value": {"state": "REFUSED"}}, valueTemplate={"state": "REFUSED"})
    await protocol.prepare([call], None)
    async with client.post(f"{url}/settled", json=PAYMENT, headers={"X-Correlation-ID": "corr-1"}):
        pass
    response = (await protocol.execute(call, {})).response
    assert response["count"] == 0
    assert [each["value"] for each in response["unexplained"]] == [PAYMENT]


@pytest.mark.parametrize("name", ["settled", "refunded", "onRefunded"])
async def test_request_is_held_against_the_webhook_of_the_specification(protocol, url, client, tmp_path, name):
    """Callbacks and webhooks, by their names or operation ids, say what a good request is."""
    specs = {"payments": read_spec(tmp_path)}
    call = make_call(endpointRef=f"payments.{name}")
    assert protocol.check(call.step, specs) == []
    await protocol.prepare([call], None)
    headers = {"X-Correlation-ID": "corr-1"}
    async with client.post(f"{url}/settled", json=PAYMENT, headers=headers):
        pass
    assert list(protocol.validate(call, await protocol.execute(call, specs), specs)) == []
    async with client.put(f"{url}/settled", json={**PAYMENT, "amount": -1}, headers=headers):
        pass
    violations = protocol.validate(call, await protocol.execute(call, specs), specs)
    assert [(each.type, each.message) for each in violations] == [
        (ViolationType.CONTRACT_VIOLATION, "/messages/1/method: expected POST, observed PUT"),
        (ViolationType.CONTRACT_VIOLATION, "/messages/1/value/amount: expected at least 0, observed -1"),
    ]


def test_mistakes_in_a_step_are_told_before_it_runs(tmp_path):
    """Each has its hint."""
    specs = {"payments": read_spec(tmp_path)}
    protocol = WebhookProtocol()

    def told(**fields):
        step = StepDefinition.model_validate({"webhook": "/settled", **fields})
        return [(each.message, each.hint) for each in protocol.check(step, specs)]

    assert told(kind="ACTION") == [
        ("webhooks arrive, and no action sends them", "write 'kind: ASSERTION', or send it as an HTTP request")
    ]
    assert told(endpointRef="payments.setled") == [
        ("service 'payments' has no webhook or callback 'setled'", "did you mean 'settled'?")
    ]
    assert told(webhook="") == [("a step with a webhook needs its path", "write 'webhook: /payments/settled'")]


async def test_resumed_run_is_an_error_because_its_listener_is_gone(protocol):
    """Nobody knows what arrived while nobody listened, and so there is no verdict."""
    call = make_call()
    await protocol.prepare([call], datetime.now(UTC))
    with pytest.raises(StepError) as raised:
        await protocol.execute(call, {})
    assert raised.value.fact == "the run was cut off, and what arrived meanwhile is not known"
    await protocol.release(call.run_id)
    fresh = replace(call, run_id="run-2")
    await protocol.prepare([fresh], None)
    assert (await protocol.execute(fresh, {})).response["count"] == 0
