"""The header by which a service recognises an action that it has got already."""

from __future__ import annotations

from dataclasses import replace

import pytest
from protocol_calls import SPECS, make_call

from pytest_orchestra.engine.ports import RepeatingProtocol
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.protocols.http import HttpProtocol

PLACE = {"endpointRef": "orders.placeOrder", "inputTemplate": {"body": {"amount": 12.5}}}
LOOK = {"endpointRef": "orders.getOrder", "inputTemplate": {"path": {"id": "o-1"}}}


def call_of(url, definition, key="key-1", **service):
    """Give a call with an idempotency key, as the engine gives it to every action."""
    call = make_call(definition, {"services": {"orders": {"baseUrl": url, **service}}})
    return replace(call, idempotency_key=key)


async def sent_key(http, peers, definition, key="key-1", **service):
    """Send a call; give the header that arrived, None if none did."""
    server = await peers.http()
    reply = await http.execute(call_of(server.url, definition, key, **service), SPECS)
    headers = {name.lower(): value for name, value in reply.exchange.request["headers"].items()}
    return headers.get("idempotency-key")


async def test_unsafe_action_carries_its_key(http, peers):
    """A service can tell a repetition from a second order."""
    assert await sent_key(http, peers, PLACE) == "key-1"


async def test_safe_action_and_assertion_carry_none(http, peers):
    """What changes nothing needs no key, and polls must not be answered from a memory of the first."""
    assert await sent_key(http, peers, LOOK) is None
    assert await sent_key(http, peers, PLACE, key="") is None


@pytest.mark.parametrize(("own", "arrives"), [("mine", "mine"), (None, None)])
async def test_own_key_of_a_step_goes_first(http, peers, own, arrives):
    """Who writes the header, or takes it away, means it."""
    definition = {**PLACE, "inputTemplate": {"body": {"amount": 1}, "headers": {"idempotency-KEY": own}}}
    assert await sent_key(http, peers, definition) == arrives


async def test_key_of_the_environment_goes_before_the_engines(http, peers):
    """A header of the profile is there for a reason too."""
    assert await sent_key(http, peers, PLACE, headers={"Idempotency-Key": "theirs"}) == "theirs"


@pytest.mark.parametrize(
    ("definition", "may"),
    [
        (PLACE, True),
        (LOOK, True),
        ({**PLACE, "headers": {"Idempotency-Key": "{{data.id}}"}}, True),
        ({**PLACE, "headers": {"Idempotency-Key": None}}, False),
        ({**PLACE, "inputTemplate": {"headers": {"idempotency-key": None}}}, False),
        ({**LOOK, "headers": {"Idempotency-Key": None}}, True),
    ],
)
def test_action_may_be_repeated_unless_it_carries_no_key(definition, may):
    """Safe methods may always be, others only under a key."""
    http = HttpProtocol()
    assert isinstance(http, RepeatingProtocol)
    assert http.may_repeat(StepDefinition.model_validate(definition), SPECS) is may
