"""HTTP over the wire: aiohttp's connections, and httpx's decoders for bodies that are encoded.

Clients that do more are passed by: cookies, redirects, proxies and authentication of their own are what a test must not
have. httpx's ``AsyncClient`` over aiohttp takes four times the processor time for a request, its models alone double.
"""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
import time
from collections.abc import AsyncIterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from weakref import WeakSet

import aiohttp
from yarl import URL

from pytest_orchestra.protocols.http_route import HttpRoute, tls_context
from pytest_orchestra.protocols.request import HttpRequest, basic_authorization
from pytest_orchestra.protocols.wire import BrokenReplyError, ConnectFailedError, ProxyRefusedError, RawReply

__all__ = ["CONNECTIONS_PER_ORIGIN", "USUAL_HEADERS", "HttpClient", "collect", "connect_failure", "tls_refusal"]

CONNECTIONS_PER_ORIGIN = 100
_IDLE_S = 1.5  # shorter than any usual server keeps an idle connection (gunicorn 2 s; uvicorn, Node and Apache 5 s)
_LINE_LIMIT = 65_536
_PROXY_WANTS_CREDENTIALS = 407
_BODY_LIMIT = 64 * 1024 * 1024
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_ERRNO_REASONS: Mapping[int | None, str] = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "its network is unreachable",
    errno.ETIMEDOUT: "the connection timed out",
}


USUAL_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "gzip, deflate",  # what httpx undoes by itself; aiohttp would offer more
    "user-agent": "pytest-orchestra",
}

_TLS_REASON = re.compile(r"\[SSL: (\w*ALERT\w*)\]")
_RECEIVED = re.compile(r"received (\d+) of (\d+) bytes")
_QUOTED_LINE = re.compile(r"^\s*b'(.*)'$", re.MULTILINE)


@dataclass(slots=True)
class _Attempt:
    """Whether the connection that a request goes over had served before."""

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


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send; repeat only a safe request that met a connection closed while idle.

    aiohttp by itself repeats any PUT, DELETE or GET that a server drops, on new connections too, which would hide that
    fault of the server.
    """
    attempt = _ATTEMPT.get()
    while True:
        try:
            return await handler(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not attempt.on_idle_connection or request.method not in _SAFE_METHODS:
                raise _DroppedError from error


class HttpClient:
    """The connections to all services that are reached by one route.

    Must be made and used on one running loop. Environment variables for proxies do not count.
    """

    def __init__(self, route: HttpRoute, service: str = "") -> None:
        """Be ready to connect. Raises ``UnusableEnvironmentError`` where a file of the route is of no use."""
        context: ssl.SSLContext | bool = tls_context(route, service) if route.is_https else True
        self._session = aiohttp.ClientSession(
            connector=_Connector(context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
            skip_auto_headers=("Content-Type", "User-Agent"),
            auto_decompress=False,
            middlewares=(_send_once,),
        )
        self._proxy = route.proxy
        self._proxy_headers = _proxy_headers(route)
        # through a tunnel, only the proxy itself gets its credentials
        self._headers = USUAL_HEADERS if route.is_https else {**USUAL_HEADERS, **self._proxy_headers}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._origins: dict[str, str] = {}

    async def send(self, request: HttpRequest, origin: str, timeout_s: float) -> RawReply:
        """Send a request and read the whole reply; redirects are replies like any other.

        Of one origin, 100 requests are under way at a time; waiting for a turn is not part of ``timeout_s``, because
        it is no fault of the peer. Raises ``TimeoutError``, ``ConnectFailedError``, ``BrokenReplyError``.
        """
        slots = self._slots.get(origin)
        if slots is None:
            slots = self._slots[origin] = asyncio.Semaphore(CONNECTIONS_PER_ORIGIN)
        async with slots:
            if request.method not in _SAFE_METHODS:
                await _take_notice_of_closed_connections()
            began = time.perf_counter()
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(request, origin, began)
            except (aiohttp.ClientError, _DroppedError, UnicodeError) as error:
                raise _judged(error) from error

    async def _exchange(self, request: HttpRequest, origin: str, began: float) -> RawReply:
        url = URL(self._written(origin) + request.target, encoded=True)
        headers = {**self._headers, **{name.lower(): value for name, value in request.headers.items()}}
        _ATTEMPT.set(_Attempt())
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            data=request.content or None,
            allow_redirects=False,
            compress=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
        ) as response:
            fields, set_cookies = _read_fields(response.raw_headers)
            content = await _read_content(response, is_encoded="content-encoding" in fields)
        if self._proxy is not None and response.status == _PROXY_WANTS_CREDENTIALS:
            raise ProxyRefusedError
        return RawReply(response.status, fields, content, (time.perf_counter() - began) * 1000, set_cookies)

    def _written(self, origin: str) -> str:
        """Give an origin as URLs have it, its host in ASCII. Raises ``UnicodeError`` where that cannot be."""
        known = self._origins.get(origin)
        if known is None:
            try:
                known = self._origins[origin] = str(URL(origin).origin())
            except ValueError as error:
                raise UnicodeError from error
        return known

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


async def _take_notice_of_closed_connections() -> None:
    """Let the loop see what the peers closed while it was busy elsewhere.

    A request that must not be repeated would otherwise go down a dead connection. Two rounds: in the first, this
    task is already ahead of the sockets' news.
    """
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def _proxy_headers(route: HttpRoute) -> dict[str, str]:
    if route.proxy_user is None:
        return {}
    password = route.proxy_password.reveal() if route.proxy_password is not None else ""
    return {"proxy-authorization": basic_authorization(route.proxy_user.reveal(), password)}


def _read_fields(raw: Sequence[tuple[bytes, bytes]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Give the headers by name in lower case, repeated ones joined, and the values of each ``Set-Cookie``."""
    try:
        lines = [(name.decode().lower(), value.decode()) for name, value in raw]
    except UnicodeDecodeError:
        lines = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    fields: dict[str, str] = {}
    for name, value in lines:
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields, tuple(value for name, value in lines if name == "set-cookie")


async def _read_content(response: aiohttp.ClientResponse, *, is_encoded: bool) -> bytes:
    """Read a whole body, decompressed. Raises ``BrokenReplyError``."""
    if not is_encoded:
        return await collect(response.content.iter_any())
    import httpx  # noqa: PLC0415  heavy, and few replies are encoded

    encoded = httpx.Response(response.status, headers=response.raw_headers, content=response.content.iter_any())
    try:
        return await collect(encoded.aiter_bytes())
    except httpx.DecodingError as error:
        fact = "the reply's body is not encoded as its 'content-encoding' says"
        raise BrokenReplyError("malformed-reply", fact) from error


async def collect(chunks_of_body: AsyncIterable[bytes]) -> bytes:
    """Put a body together. Raises ``BrokenReplyError`` for one without end."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in chunks_of_body:
        chunks.append(chunk)
        size += len(chunk)
        if size > _BODY_LIMIT:
            raise BrokenReplyError("body-too-long", f"the reply's body is longer than {_BODY_LIMIT >> 20} MiB")
    return b"".join(chunks)


def _judged(error: Exception) -> Exception:
    """Tell whose fault an error of aiohttp is."""
    match error:
        case _DroppedError():
            refusal = tls_refusal(error)
            return refusal or BrokenReplyError("connection-lost", "the connection ended before a reply came")
        case aiohttp.ClientHttpProxyError():
            if error.status == _PROXY_WANTS_CREDENTIALS:
                return ProxyRefusedError()
            fact = f"its proxy answered with status {error.status}"
            return ConnectFailedError(fact, "correct 'proxy' of its profile")
        case aiohttp.ClientProxyConnectionError():
            reason = _refused(error.os_error).reason
            return ConnectFailedError(f"its proxy cannot be reached: {reason}", "start the proxy, or correct 'proxy'")
        case aiohttp.ClientConnectorDNSError():
            return ConnectFailedError("its name does not resolve", "correct its host name")
        case aiohttp.ClientConnectorCertificateError():
            return connect_failure(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return _refused(error.os_error)
        case aiohttp.ClientPayloadError():
            counted = _RECEIVED.search(str(error))
            came = f"after {counted[1]} of {counted[2]} bytes" if counted else "before its end"
            return BrokenReplyError("connection-lost", f"the reply broke off {came}")
        case UnicodeError() | aiohttp.InvalidURL():
            return ConnectFailedError("its host is no valid name", "correct its host name")
        case aiohttp.ClientResponseError():
            return BrokenReplyError("malformed-reply", f"the reply is no valid HTTP: {_complaint(error.message)}")
        case _:
            return BrokenReplyError("connection-lost", f"the exchange broke off: {error}")


def connect_failure(error: Exception) -> ConnectFailedError:
    """Tell why no connection came about."""
    if isinstance(error, ssl.CertificateError):
        reason = getattr(error, "verify_message", "") or str(error)
        return ConnectFailedError(
            f"its certificate is not trusted: {reason[:1].lower()}{reason[1:]}",
            "name the authority's certificate in 'caFile' of its profile, or set 'verifyTls: false'",
        )
    return _refused(error) if isinstance(error, OSError) else ConnectFailedError(str(error))


def tls_refusal(error: BaseException | None) -> ConnectFailedError | None:
    """Tell whether the peer ended TLS because of the client's certificate, which it says after the handshake."""
    while error is not None:
        named = _TLS_REASON.search(str(error)) if isinstance(error, Exception) else None
        reason = named[1] if named else ""
        if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
            said = reason.replace("_", " ").lower()
            return ConnectFailedError(
                f"it refuses the client's certificate: {said}", "name one that it accepts in 'certificateFile'"
            )
        error = error.__cause__ or error.__context__
    return None


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
