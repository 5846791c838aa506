"""HTTP over the wire: httpx's requests and responses on aiohttp's connections.

httpx's ``AsyncClient`` is passed by: cookies, redirects, proxies and authentication of its own are what a test
must not have, and they would be two fifths of a request's processor time.
"""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import cast
from weakref import WeakSet

import aiohttp
import httpx
import httpx_aiohttp
from yarl import URL

from pytest_orchestra.protocols.request import HttpRequest
from pytest_orchestra.protocols.wire import BrokenReplyError, ConnectFailedError, RawReply

__all__ = ["HttpClient"]

_CONNECTIONS_PER_ORIGIN = 100
_IDLE_S = 1.5  # shorter than any usual server keeps an idle connection (gunicorn 2 s; uvicorn, Node and Apache 5 s)
_LINE_LIMIT = 65_536
_BODY_LIMIT = 64 * 1024 * 1024
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_ERRNO_REASONS: Mapping[int | None, str] = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "its network is unreachable",
    errno.ETIMEDOUT: "the connection timed out",
}


_USUAL_HEADERS = {
    b"accept": b"*/*",
    b"accept-encoding": b"gzip, deflate",  # what httpx undoes by itself; aiohttp would offer more
    b"user-agent": b"pytest-orchestra",
}

_RECEIVED = re.compile(r"received (\d+) of (\d+) bytes")
_QUOTED_LINE = re.compile(r"^\s*b'(.*)'$", re.MULTILINE)


@dataclass(slots=True)
class _Attempt:
    """What has to get past httpx to the connection and back: the URL as it is to be written; what was reused."""

    url: URL
    on_idle_connection: bool = False


class _DroppedError(Exception):
    """The connection ended before a reply began. No ``OSError``, which aiohttp would answer with another attempt."""


_ATTEMPT: ContextVar[_Attempt] = ContextVar("orchestra_http_attempt")


class _Connector(aiohttp.TCPConnector):
    """Tells an attempt whether its connection had served before."""

    def __init__(self, context: ssl.SSLContext | bool) -> None:
        super().__init__(limit=0, ssl=context, keepalive_timeout=_IDLE_S)
        self._known: WeakSet[asyncio.BaseProtocol] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        assert protocol is not None
        _ATTEMPT.get().on_idle_connection = protocol in self._known
        self._known.add(protocol)
        return connection


async def _send_as_written(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send under the very URL of the attempt; repeat a safe request that met a connection closed while idle.

    aiohttp by itself decodes ``%2C`` and resolves ``%2E%2E`` in a URL, and repeats any PUT, DELETE or GET that
    a server drops, on new connections too, which would hide that fault of the server.
    """
    attempt = _ATTEMPT.get()
    request.url = attempt.url
    while True:
        try:
            return await handler(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not attempt.on_idle_connection or request.method not in _SAFE_METHODS:
                raise _DroppedError from error


class HttpClient:
    """The connections to all services of one kind: plain, TLS with verified certificates, TLS without.

    Must be made and used on one running loop. Environment variables for proxies do not count.
    """

    def __init__(self, *, is_https: bool, verify_tls: bool) -> None:
        context: ssl.SSLContext | bool = True
        if is_https:
            context = httpx.create_ssl_context(verify=verify_tls)  # heeds SSL_CERT_FILE and SSL_CERT_DIR
        session = aiohttp.ClientSession(
            connector=_Connector(context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
            skip_auto_headers=("Content-Type", "User-Agent"),
            middlewares=(_send_as_written,),
        )
        self._transport = httpx_aiohttp.AiohttpTransport(verify=False, client=session)
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._origins: dict[str, httpx.URL] = {}

    async def send(self, request: HttpRequest, origin: str, timeout_s: float) -> RawReply:
        """Send a request and read the whole reply; redirects are replies like any other.

        Of one origin, 100 requests are under way at a time; waiting for a turn is not part of ``timeout_s``, because
        it is no fault of the peer. Raises ``TimeoutError``, ``ConnectFailedError``, ``BrokenReplyError``.
        """
        slots = self._slots.get(origin)
        if slots is None:
            slots = self._slots[origin] = asyncio.Semaphore(_CONNECTIONS_PER_ORIGIN)
        async with slots:
            if request.method not in _SAFE_METHODS:
                await _take_notice_of_closed_connections()
            began = time.perf_counter()
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(request, origin, began)
            except (httpx.InvalidURL, UnicodeError) as error:
                raise ConnectFailedError("its host is no valid name", "correct its host name") from error
            except (httpx.HTTPError, aiohttp.ClientError, _DroppedError) as error:
                raise _judged(error) from error

    async def _exchange(self, request: HttpRequest, origin: str, began: float) -> RawReply:
        url = self._origins.get(origin)
        if url is None:
            url = self._origins[origin] = httpx.URL(origin)
        _ATTEMPT.set(_Attempt(URL(request.url, encoded=True)))
        headers = {
            **_USUAL_HEADERS,
            **{name.lower().encode(): value.encode() for name, value in request.headers.items()},
        }
        response = await self._transport.handle_async_request(
            httpx.Request(request.method, url, headers=headers, content=request.content)
        )
        try:
            content = await _read(response)
        finally:
            await response.aclose()
        return RawReply(response.status_code, dict(response.headers), content, (time.perf_counter() - began) * 1000)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


async def _take_notice_of_closed_connections() -> None:
    """Let the loop see what the peers closed while it was busy elsewhere.

    A request that must not be repeated would otherwise go down a dead connection. Two rounds: in the first, this
    task is already ahead of the sockets' news.
    """
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _read(response: httpx.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    # what is not encoded needs none of httpx's decoders, which cost as much as the rest of the reading
    is_encoded = "content-encoding" in response.headers
    source = response.aiter_bytes() if is_encoded else cast("httpx.AsyncByteStream", response.stream)
    async for chunk in source:
        chunks.append(chunk)
        size += len(chunk)
        if size > _BODY_LIMIT:
            raise BrokenReplyError("body-too-long", f"the reply's body is longer than {_BODY_LIMIT >> 20} MiB")
    return b"".join(chunks)


def _judged(error: Exception) -> Exception:
    """Tell whose fault an error of the libraries is; httpx-aiohttp's own mapping takes a reset for a timeout."""
    is_wrapped = isinstance(error, httpx.HTTPError) and isinstance(error.__cause__, aiohttp.ClientError)
    cause = error.__cause__ if is_wrapped else error
    match cause:
        case _DroppedError():
            return BrokenReplyError("connection-lost", "the connection ended before a reply came")
        case aiohttp.ClientConnectorDNSError():
            return ConnectFailedError("its name does not resolve", "correct its host name")
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(cause.certificate_error, "verify_message", "") or str(cause.certificate_error)
            return ConnectFailedError(
                f"its certificate is not trusted: {reason[:1].lower()}{reason[1:]}",
                "name the authority's certificate in SSL_CERT_FILE, or set 'verifyTls: false'",
            )
        case aiohttp.ClientConnectorError():
            return _refused(cause.os_error)
        case aiohttp.ClientPayloadError():
            counted = _RECEIVED.search(str(cause))
            came = f"after {counted[1]} of {counted[2]} bytes" if counted else "before its end"
            return BrokenReplyError("connection-lost", f"the reply broke off {came}")
        case aiohttp.ClientResponseError():
            return BrokenReplyError("malformed-reply", f"the reply is no valid HTTP: {_complaint(cause.message)}")
        case httpx.DecodingError():
            return BrokenReplyError("malformed-reply", "the reply's body is not encoded as its 'content-encoding' says")
        case _:
            return BrokenReplyError("connection-lost", f"the exchange broke off: {cause}")


def _refused(error: OSError) -> ConnectFailedError:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return ConnectFailedError(f"the TLS handshake failed: {reason}", "see whether its address speaks https")
    reason = _ERRNO_REASONS.get(error.errno) or (error.strerror or str(error)).lower()
    return ConnectFailedError(reason)


def _complaint(message: str) -> str:
    """Give the line of the reply that aiohttp's parser complains about, else the first line of its complaint."""
    line = _QUOTED_LINE.search(message)
    return f"'{line[1][:80]}'" if line else message.strip().partition("\n")[0].rstrip(":.").lower()
