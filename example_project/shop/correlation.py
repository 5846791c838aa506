"""The correlation id: taken from the caller, kept for every row and log line, handed on to every peer."""

from __future__ import annotations

import logging
import re
import time
from contextvars import ContextVar
from uuid import uuid4

import httpx
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Correlation-ID"

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="-")

_WELL_FORMED = re.compile(r"[\w.:/-]{1,200}")
_log = logging.getLogger("shop.http")


class CorrelationMiddleware:
    """Sets the correlation id for the time of a request, returns it to the caller and logs the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        current = given if _WELL_FORMED.fullmatch(given) else str(uuid4())
        token = correlation_id.set(current)
        began = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = current
                took_ms = (time.perf_counter() - began) * 1000
                level = logging.DEBUG if scope["method"] == "GET" else logging.INFO  # reading changes nothing
                _log.log(level, "%s %s -> %s in %.0f ms", scope["method"], scope["path"], message["status"], took_ms)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            correlation_id.reset(token)


async def hand_on(request: httpx.Request) -> None:
    """Give an outgoing request the correlation id at hand; an httpx event hook."""
    request.headers[HEADER] = correlation_id.get()


class CorrelationFilter(logging.Filter):
    """Gives every log record the correlation id at hand."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = correlation_id.get()
        return True
