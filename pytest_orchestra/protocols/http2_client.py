"""HTTP/2 over the wire, by httpx's own transport: over TLS as negotiated, else with prior knowledge (RFC 9113)."""

from __future__ import annotations

import asyncio
import ssl
import time

import httpx

from pytest_orchestra.errors import StepError
from pytest_orchestra.protocols.http_client import (
    CONNECTIONS_PER_ORIGIN,
    USUAL_HEADERS,
    collect,
    connect_failure,
    tls_refusal,
)
from pytest_orchestra.protocols.http_route import HttpRoute, tls_context
from pytest_orchestra.protocols.request import HttpRequest
from pytest_orchestra.protocols.wire import BrokenReplyError, ConnectFailedError, ProxyRefusedError, RawReply

__all__ = ["Http2Client"]

_IDLE_S = 1.5
_SHOWN = 200
_NO_HTTP2 = "it does not speak HTTP/2"
_NO_HTTP2_HINT = "take 'httpVersion' from its profile, or set it to '1.1'"


class Http2Client:
    """The HTTP/2 connections to all services that are reached by one route; each carries many calls at once."""

    def __init__(self, route: HttpRoute, service: str = "") -> None:
        """Be ready to connect. Raises ``StepError`` without ``h2``, and ``UnusableEnvironmentError``."""
        try:
            import h2  # noqa: F401, PLC0415  httpx would miss it only when it has connected
        except ImportError:
            raise StepError(
                f"HTTP/2 for service '{service}' needs the package 'h2'",
                hint="pip install 'pytest-orchestra[http2]'",
            ) from None
        user, password = route.proxy_user, route.proxy_password
        auth = (user.reveal(), password.reveal() if password else "") if user is not None else None
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls_context(route, service) if route.is_https else False,
            http1=route.is_https,  # over TLS, so that a server without HTTP/2 can say so
            http2=True,
            limits=httpx.Limits(max_connections=CONNECTIONS_PER_ORIGIN, keepalive_expiry=_IDLE_S),
            trust_env=False,
            proxy=httpx.Proxy(route.proxy, auth=auth) if route.proxy is not None else None,
        )
        self._slots: dict[str, asyncio.Semaphore] = {}

    async def send(self, request: HttpRequest, origin: str, timeout_s: float) -> RawReply:
        """Send a request and read the whole reply, as ``HttpClient.send`` does."""
        slots = self._slots.setdefault(origin, asyncio.Semaphore(CONNECTIONS_PER_ORIGIN))
        async with slots:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(request, origin, began)
            except (httpx.InvalidURL, UnicodeError) as error:
                raise ConnectFailedError("its host is no valid name", "correct its host name") from error
            except httpx.HTTPError as error:
                raise _judged(error) from error

    async def _exchange(self, request: HttpRequest, origin: str, began: float) -> RawReply:
        fields = {**USUAL_HEADERS, **{name.lower(): value for name, value in request.headers.items()}}
        headers = {name.encode(): value.encode() for name, value in fields.items()}
        built = httpx.Request(
            request.method,
            httpx.URL(origin),
            headers=headers,
            content=request.content,
            # the URL as it is written: httpx would write some of it anew
            extensions={"target": request.target.encode()},
        )
        response = await self._transport.handle_async_request(built)
        try:
            if response.extensions.get("http_version") != b"HTTP/2":
                raise ConnectFailedError(_NO_HTTP2, _NO_HTTP2_HINT)
            content = await collect(response.aiter_bytes())
        finally:
            await response.aclose()
        came = response.headers
        elapsed_ms = (time.perf_counter() - began) * 1000
        set_cookies = tuple(came.get_list("set-cookie"))
        return RawReply(response.status_code, dict(came), content, elapsed_ms, set_cookies)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


def _judged(error: httpx.HTTPError) -> Exception:
    match error:
        case httpx.LocalProtocolError():
            return StepError(
                f"HTTP/2 cannot carry this request: {str(error)[:_SHOWN]}",
                hint="leave out headers that are about the connection",
            )
        case httpx.ProxyError() if "407" in str(error):
            return ProxyRefusedError()
        case httpx.ProxyError():
            return ConnectFailedError(f"its proxy refuses: {str(error).lower()}", "correct 'proxy' of its profile")
        case httpx.ConnectError():
            return connect_failure(_root(error))
        case httpx.DecodingError():
            return BrokenReplyError("malformed-reply", "the reply's body is not encoded as its 'content-encoding' says")
        case httpx.RemoteProtocolError():
            return BrokenReplyError("connection-lost", f"the exchange broke off: {error}")
        case _:
            refusal = tls_refusal(error)
            return refusal or BrokenReplyError("connection-lost", "the connection ended before a reply came")


def _root(error: BaseException) -> Exception:
    """Give the system's own error beneath those of the libraries."""
    found: BaseException = error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (ssl.SSLError, OSError)):
            found = cause
        cause = cause.__cause__ or cause.__context__
    return found if isinstance(found, Exception) else Exception(str(found))
