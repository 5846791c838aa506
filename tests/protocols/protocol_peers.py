"""Small servers on loopback that record what arrives."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Arrived:
    """A request as it arrived at a loopback server."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def without_transport(self) -> tuple[str, str, dict[str, str], bytes]:
        """Give what the caller decided, without what every client adds by itself."""
        usual = {"host", "user-agent", "accept", "accept-encoding", "content-length", "connection"}
        return self.method, self.target, {k: v for k, v in self.headers.items() if k not in usual}, self.body


@dataclass
class Loopback:
    """A server on loopback, with what arrived there."""

    url: str
    arrived: list[Arrived] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    is_idle: asyncio.Event = field(default_factory=asyncio.Event)


async def read_request(reader: asyncio.StreamReader) -> Arrived | None:
    """Read one request; None when the client has gone."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Arrived(method, target, headers, body)


def http_reply(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """Write a reply; ``content_type="text/plain"`` becomes a header."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Peers:
    """Starts loopback servers and stops them in the end."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def raw(self, handler: Handler, tls: ssl.SSLContext | None = None) -> Loopback:
        """Serve connections by a handler of the test's own."""
        loopback = Loopback("")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            loopback.connections += 1
            loopback.open_connections += 1
            loopback.is_idle.clear()
            try:
                await handler(reader, writer)
            except (asyncio.CancelledError, ConnectionError):
                pass
            finally:
                loopback.open_connections -= 1
                self._tasks.discard(task)
                writer.close()
                if not loopback.open_connections:
                    loopback.is_idle.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        loopback.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
        return loopback

    async def http(
        self, answer: Callable[[Arrived], bytes] | bytes = b"", tls: ssl.SSLContext | None = None
    ) -> Loopback:
        """Serve HTTP and keep connections open; every request is recorded. The answer is an empty 200 by default."""

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while (arrived := await read_request(reader)) is not None:
                loopback.arrived.append(arrived)
                writer.write((answer or http_reply()) if isinstance(answer, bytes) else answer(arrived))
                await writer.drain()

        loopback = await self.raw(handler, tls)
        return loopback

    async def close(self) -> None:
        """Stop all servers and end their connections."""
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
