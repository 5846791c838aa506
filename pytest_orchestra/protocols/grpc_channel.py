"""Calls over gRPC's channels, and in words why one did not come about.

Every kind of call is read as a stream of bytes: the wire does not tell the kinds apart, and what came before an error
is not lost.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from pytest_orchestra.data.redaction import mask_url
from pytest_orchestra.errors import UnusableEnvironmentError
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.grpc_metadata import Metadata
from pytest_orchestra.protocols.grpc_proxy import GrpcProxy, proxy_refusal, without_exceptions
from pytest_orchestra.protocols.grpc_tls import TlsSettings, make_credentials
from pytest_orchestra.protocols.wire import BrokenReplyError, ConnectFailedError, ProxyRefusedError
from pytest_orchestra.readers.grpc_library import grpc

__all__ = ["CallBrokenError", "Connection", "Outcome", "Target"]

_SCHEMES: Final = {"http": False, "grpc": False, "https": True, "grpcs": True}
_PORTS: Final = {False: 80, True: 443}
_LARGEST_MESSAGE: Final = 64 * 1024 * 1024
_OPTIONS: Final[tuple[tuple[str, str | int], ...]] = (
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel waits as long as its predecessor has to
    ("grpc.service_config_disable_resolution", 1),  # it may bring retries, which a test must not have
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ("grpc.primary_user_agent", "pytest-orchestra"),
)
_NO_PROXY: Final = (("grpc.enable_http_proxy", 0),)
_TOLERANCE_S: Final = 0.005  # the core counts milliseconds
_GRACE_S: Final = 2.0
_LAST_ERROR: Final = re.compile(r"last error: (?:[A-Z_]+: )?(?:ip\S+ )?(?P<reason>.*)", re.DOTALL)
_UNTRUSTED: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED: ([a-z][\w' -]*)")
_HTTP_STATUS: Final = re.compile(r"http2 header with status: (\d+)")
_LOST: Final = re.compile(
    r"^Stream removed|^Cancelling all calls|^Internal error from Core|Socket closed|Connection reset|RST_STREAM|GOAWAY"
)
_ReadCall: TypeAlias = "grpc.aio.UnaryStreamCall[bytes, bytes] | grpc.aio.StreamStreamCall[bytes, bytes]"
_LOCAL_STATUSES: Final = ("UNAVAILABLE", "UNKNOWN", "INTERNAL", "UNIMPLEMENTED")
"""What the library itself says of a peer that breaks off or does not speak gRPC.

That HTTP's 401 and 403 are ``UNAUTHENTICATED`` and ``PERMISSION_DENIED`` is as good as a status: gateways say so.
"""


class CallBrokenError(BrokenReplyError):
    """The peer broke a call off, or does not speak gRPC; ``reason`` is what the library says."""

    def __init__(self, code: str, fact: str, reason: str) -> None:
        super().__init__(code, fact)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Target:
    """Where a service listens."""

    host: str
    port: int
    is_tls: bool

    @classmethod
    def read(cls, base_url: str, service: str) -> Target:
        """Read a base URL: ``grpc://`` or ``http://`` is plain, ``grpcs://`` or ``https://`` TLS.

        Raises ``UnusableEnvironmentError``.
        """
        try:
            parts = urlsplit(base_url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        is_tls = _SCHEMES.get(parts.scheme.lower())
        rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
        if is_tls is None or not host or rest:
            raise UnusableEnvironmentError(
                f"service '{service}' has base URL '{mask_url(base_url)}', which is no address of gRPC",
                hint="write it as 'grpc://host:port', or 'grpcs://host:port' for TLS",
            )
        return cls(host, _PORTS[is_tls] if port is None else port, is_tls)

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: the name and number of its status, and all that came.

    ``is_out_of_time`` says that the caller's deadline ended it, and no word of the server.
    """

    status: str
    code: int
    details: str = ""
    messages: tuple[bytes, ...] = ()
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    elapsed_ms: float = 0.0
    is_out_of_time: bool = False


@dataclass(slots=True)
class Connection:
    """One channel to one service, opened at first use.

    After a failure it is given up, so that the next call has a new one: gRPC would wait before it connects again, and
    go on using a connection whose other end is gone without a word.
    ``reflected`` is what the server told of itself.
    """

    target: Target
    tls: TlsSettings
    proxy: GrpcProxy | None = None
    is_given_up: bool = False
    reflected: ProtocolSpec | None = None
    reflecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _channel: grpc.aio.Channel | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _users: int = 0

    async def call(
        self, path: str, requests: Sequence[bytes], metadata: Metadata, timeout_s: float, most: int | None = None
    ) -> Outcome:
        """Make one call, and read at most ``most`` messages.

        Raises ``TimeoutError`` where not even a connection came about in time, ``ConnectFailedError``,
        ``ProxyRefusedError``, and ``CallBrokenError`` where the peer broke the call off or does not speak gRPC.
        """
        began = time.perf_counter()
        self._users += 1
        try:
            async with asyncio.timeout(timeout_s):
                channel = await self._open()
                is_ready = await _connect(channel)
            left_s = timeout_s - (time.perf_counter() - began)
            outcome = await _exchange(channel, path, requests, metadata, left_s, most)
            if not is_ready and outcome.status == "UNAVAILABLE" and not _is_ready(channel):
                refused = _refused(outcome.details, self.target)
                raise refused if self.proxy is None else proxy_refusal(outcome.details, refused)
            if outcome.status in _LOCAL_STATUSES and not outcome.trailers:
                _hold_against_the_wire(outcome, is_ready_still=_is_ready(channel))
            if outcome.is_out_of_time and not outcome.metadata and not outcome.messages:
                self.is_given_up = True
        except (TimeoutError, ConnectFailedError, ProxyRefusedError, CallBrokenError):
            self.is_given_up = True
            raise
        finally:
            self._users -= 1
            if self.is_given_up and not self._users:
                await self.close()
        return outcome

    async def _open(self) -> grpc.aio.Channel:
        async with self._opening:
            if self._channel is None:
                address, options = self.target.address, (*_OPTIONS, *(self.proxy.options if self.proxy else _NO_PROXY))
                if self.target.is_tls:
                    credentials, more = await make_credentials(self.tls, self.target.host, self.target.port)
                    with without_exceptions():
                        self._channel = grpc.aio.secure_channel(address, credentials, options=(*options, *more))
                else:
                    with without_exceptions():
                        self._channel = grpc.aio.insecure_channel(address, options=options)
            return self._channel

    async def close(self) -> None:
        """Close the channel; calls that are under way are cancelled."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)


def _is_ready(channel: grpc.aio.Channel) -> bool:
    return channel.get_state() is grpc.ChannelConnectivity.READY


async def _connect(channel: grpc.aio.Channel) -> bool:
    """Wait until the channel is connected, or could not be."""
    while True:
        state = channel.get_state(try_to_connect=True)
        if state in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
            return state is grpc.ChannelConnectivity.READY
        await channel.wait_for_state_change(state)


async def _exchange(
    channel: grpc.aio.Channel,
    path: str,
    requests: Sequence[bytes],
    metadata: Metadata,
    timeout_s: float,
    most: int | None,
) -> Outcome:
    began = time.perf_counter()
    messages: list[bytes] = []
    sender: asyncio.Task[None] | None = None
    call: _ReadCall
    if len(requests) == 1:
        call = channel.unary_stream(path, None, None)(requests[0], timeout=timeout_s, metadata=metadata)
    else:
        stream = channel.stream_stream(path, None, None)(None, timeout=timeout_s, metadata=metadata)
        sender = asyncio.create_task(_send(stream, requests))
        call = stream
    try:
        async with asyncio.timeout(timeout_s + _GRACE_S):
            try:
                while isinstance(message := await call.read(), bytes):  # else it is the end
                    messages.append(message)
                    if len(messages) == most:
                        return Outcome(
                            "OK",
                            0,
                            messages=tuple(messages),
                            metadata=tuple(await call.initial_metadata()),
                            elapsed_ms=_since(began) * 1000,
                        )
            except grpc.aio.AioRpcError:
                pass  # the call tells the same and more
            code = await call.code()
            elapsed_s = _since(began)
            return Outcome(
                code.name,
                code.value[0],
                details=await call.details() or "",
                messages=tuple(messages),
                metadata=tuple(await call.initial_metadata() or ()),
                trailers=tuple(await call.trailing_metadata() or ()),
                elapsed_ms=elapsed_s * 1000,
                is_out_of_time=code.name == "DEADLINE_EXCEEDED" and elapsed_s >= timeout_s - _TOLERANCE_S,
            )
    finally:
        call.cancel()  # which does nothing to a call that has ended
        if sender is not None:
            sender.cancel()


async def _send(call: grpc.aio.StreamStreamCall[bytes, bytes], requests: Sequence[bytes]) -> None:
    """Send messages one by one, until the call has ended; its status tells why, if it ends before the last.

    ``call.write`` replaces the server's status by one of its own if that comes while a message is on its way, which a
    server that refuses a stream in the midst of it makes happen nearly always. So the layer below it does the writing.
    """
    wire = getattr(call, "_cython_call", None)
    write = call.write if wire is None else wire.send_serialized_message
    with suppress(grpc.aio.InternalError, grpc.aio.AioRpcError):
        await call.wait_for_connection()
        for request in requests:
            await write(request)
        await call.done_writing()


def _since(began: float) -> float:
    return time.perf_counter() - began


def _hold_against_the_wire(outcome: Outcome, *, is_ready_still: bool) -> None:
    """Raise ``CallBrokenError`` where a status is the library's own word for a peer that did not behave."""
    details = outcome.details
    if found := _HTTP_STATUS.search(details):
        raise CallBrokenError(
            "malformed-reply", f"what answers is no gRPC server: HTTP status {found[1]}", f"HTTP status {found[1]}"
        )
    if outcome.status == "UNIMPLEMENTED" or (is_ready_still and not _LOST.search(details)):
        return
    after = f" after {len(outcome.messages)} messages" if outcome.messages else " before a status came"
    raise CallBrokenError("connection-lost", f"the call broke off{after}", details)


def _refused(details: str, target: Target) -> ConnectFailedError:
    found = _LAST_ERROR.search(details)
    reason = found["reason"] if found else details
    folded = reason.lower()
    if "resolving" in folded or "domain name not found" in folded or "dns" in folded:
        return ConnectFailedError("its name does not resolve", "correct its host name")
    if "connection refused" in folded:
        return ConnectFailedError("connection refused")
    if "certificate_verify_failed" in folded:
        told = _UNTRUSTED.search(reason)
        return ConnectFailedError(
            f"its certificate is not trusted{f': {told[1]}' if told else ''}",
            "name the authority's certificate in 'caFile', or set 'verifyTls: false'",
        )
    if "verification check failed" in folded or "not in peer certificate" in folded:
        return ConnectFailedError(
            f"its certificate is not for '{target.host}'", "correct the host name, or set 'verifyTls: false'"
        )
    if "wrong_version_number" in folded:
        return ConnectFailedError("it does not speak TLS", "write its 'baseUrl' with 'grpc://'")
    if "alpn" in folded:
        return ConnectFailedError("what answers is no gRPC server", "correct the port: it speaks TLS, but not HTTP/2")
    if "handshake failed" in folded or "alert" in folded:
        return ConnectFailedError("the TLS handshake failed", "see whether it wants a certificate: 'certificateFile'")
    if "http1.x server" in folded:
        return ConnectFailedError("what answers is no gRPC server, but one of HTTP/1", "correct the port")
    if "http/2" in folded:
        return ConnectFailedError("what answers is no gRPC server", "correct the port, or write 'grpcs://' for TLS")
    if "reset by peer" in folded or "socket closed" in folded:
        hint = (
            "name a certificate in 'certificateFile', if it wants one"
            if target.is_tls
            else "if it speaks TLS, write 'grpcs://'"
        )
        return ConnectFailedError("it closed the connection at once", hint)
    if "timed out" in folded or "timeout" in folded or "deadline" in folded:
        return ConnectFailedError("no connection came about in time")
    for words in ("no route to host", "network is unreachable"):
        if words in folded:
            return ConnectFailedError(words)
    return ConnectFailedError(reason.partition("\n")[0][:200])
