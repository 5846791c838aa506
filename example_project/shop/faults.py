"""Ways for a service to misbehave, so that tests have something to find."""

from __future__ import annotations

import json
from enum import StrEnum

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Fault(StrEnum):
    """One way to misbehave."""

    WRONG_TOTAL = "wrong-total"
    """orders: a tenth is added to every total."""
    LOST_EVENT = "lost-event"
    """payments: orders never learns of a payment; warehouse: a reservation never appears."""
    SLOW_SETTLING = "slow-settling"
    """payments, warehouse: work takes longer than anyone waits."""
    DUPLICATE_EVENT = "duplicate-event"
    """orders: every event is published twice."""
    WRONG_PRICE = "wrong-price"
    """prices: who asks for a price hears a tenth more than an order is charged."""
    LOST_REPLY = "lost-reply"
    """warehouse: it does its work and never answers."""
    BROKEN_SCHEMA = "broken-schema"
    """all that speak HTTP: what a service returns is not what its specification says."""


class Faults:
    """The faults that are active in one service, chosen at start and changed at run time."""

    def __init__(self, service: str, chosen: str = "") -> None:
        self._service = service
        self.active: frozenset[Fault] = frozenset()
        self.choose(chosen)

    def choose(self, text: str) -> None:
        """Read ``lost-event,slow-settling``: faults for every service, or ``payments:lost-event`` for one.

        Raises ``ValueError`` for a fault that does not exist.
        """
        chosen = [part.strip().rpartition(":") for part in text.split(",") if part.strip()]
        faults = [(service, Fault(fault)) for service, _, fault in chosen]
        self.active = frozenset(fault for service, fault in faults if service in {"", self._service})

    def __contains__(self, fault: Fault) -> bool:
        return fault in self.active


class SchemaBreaker:
    """Middleware that spoils successful JSON replies while ``broken-schema`` is active."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or Fault.BROKEN_SCHEMA not in self._faults:
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def spoil(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            spoilt = _spoilt(start["status"], bytes(body))
            MutableHeaders(raw=start["headers"])["content-length"] = str(len(spoilt))
            await send(start)
            await send({"type": "http.response.body", "body": spoilt})

        await self._app(scope, receive, spoil)


def _spoilt(status: int, body: bytes) -> bytes:
    if not body or status >= 400:
        return body
    content = json.loads(body)
    for thing in content if isinstance(content, list) else [content]:
        if "correlationId" in thing:
            thing["correlationId"] = None
            thing.pop("createdAt", None)
    return bytes(JSONResponse(content).body)
