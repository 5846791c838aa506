"""The correlation id and the trace: taken from the caller, kept for every row and log line, handed on to every peer."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

import httpx
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Correlation-ID"
TRACE_HEADER = "traceparent"

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="-")
trace_parent: ContextVar[str] = ContextVar("trace_parent", default="")

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
        began = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = correlation_id.get()
                took_ms = (time.perf_counter() - began) * 1000
                level = logging.DEBUG if scope["method"] == "GET" else logging.INFO  # reading changes nothing
                _log.log(level, "%s %s -> %s in %.0f ms", scope["method"], scope["path"], message["status"], took_ms)
            await send(message)

        with carried(Headers(scope=scope)):
            await self._app(scope, receive, send_with_id)


@contextmanager
def carried(headers: Mapping[str, str]) -> Iterator[None]:
    """Take over what a request or a message brought along, while the block runs."""
    given = {name.lower(): value for name, value in headers.items()}
    current = given.get(HEADER.lower(), "")
    tokens = (
        correlation_id.set(current if _WELL_FORMED.fullmatch(current) else str(uuid4())),
        trace_parent.set(given.get(TRACE_HEADER, "")),
    )
    try:
        yield
    finally:
        correlation_id.reset(tokens[0])
        trace_parent.reset(tokens[1])


def carry() -> dict[str, str]:
    """Give what a request or a message takes along, as headers."""
    trace = trace_parent.get()
    return {HEADER: correlation_id.get()} | ({TRACE_HEADER: trace} if trace else {})


async def hand_on(request: httpx.Request) -> None:
    """Give an outgoing request what it takes along; an httpx event hook."""
    request.headers.update(carry())


class CorrelationFilter(logging.Filter):
    """Gives every log record the correlation id at hand."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = correlation_id.get()
        return True
