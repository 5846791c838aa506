"""Peers on loopback that misbehave, for tests of protocols. They run in threads, so that no event loop is theirs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

__all__ = ["Proxy", "closed_address", "rude_peer", "silent_peer"]

_HOST = "127.0.0.1"
_FIRST_WORD_S = 0.5


@contextmanager
def closed_address() -> Iterator[tuple[str, int]]:
    """Give an address at which connections are refused, and which nobody else gets meanwhile."""
    with socket.socket() as bound:
        bound.bind((_HOST, 0))
        yield _address(bound)


@contextmanager
def silent_peer() -> Iterator[tuple[str, int]]:
    """Give the address of a peer that takes connections and never says a word."""
    with socket.create_server((_HOST, 0), backlog=64) as server:
        yield _address(server)


@contextmanager
def rude_peer(words: bytes) -> Iterator[tuple[str, int]]:
    """Give the address of a peer that says these words to whoever connects, whatever that says, and hangs up."""

    def serve(connection: socket.socket) -> None:
        connection.settimeout(_FIRST_WORD_S)  # a client that waits to be greeted says nothing
        with contextlib.suppress(OSError):
            connection.recv(65536)
        with contextlib.suppress(OSError):
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)  # with unread bytes, closing would reset what was said

    with _Server(serve) as server:
        yield server.address


class Proxy:
    """Passes bytes between clients and a peer until it falls silent: then connections stay open, and nothing comes."""

    def __init__(self, peer: tuple[str, int]) -> None:
        self._peer = peer
        self._generation = 0
        self._is_silent = False
        self._server = _Server(self._serve)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect to."""
        return self._server.address

    def fall_silent(self) -> None:
        """Let nothing pass any more, on no connection."""
        self._generation += 1
        self._is_silent = True

    def recover(self) -> None:
        """Serve new connections; those from before stay silent for ever."""
        self._is_silent = False

    def _serve(self, client: socket.socket) -> None:
        generation = -1 if self._is_silent else self._generation
        with socket.create_connection(self._peer) as peer:
            self._server.keep(peer)
            back = threading.Thread(target=self._pass, args=(peer, client, generation), daemon=True)
            back.start()
            self._pass(client, peer, generation)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if generation == self._generation:
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


class _Server:
    """Serves each connection in a thread, and ends them all in the end."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._socket = socket.create_server((_HOST, 0), backlog=64)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_over = False

    @property
    def address(self) -> tuple[str, int]:
        return _address(self._socket)

    def keep(self, connection: socket.socket) -> None:
        """End a connection of the thread's own when the server ends."""
        self._open.add(connection)

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        with contextlib.suppress(OSError), socket.create_connection(self.address, timeout=1):
            pass  # accept() waits for a connection, and closing its socket does not wake it
        self._accepting.join()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._is_over:
                connection.close()
                return
            thread = threading.Thread(target=self._handle, args=(connection,), daemon=True)
            self._open.add(connection)
            self._threads.append(thread)
            thread.start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._serve(connection)


def _address(server: socket.socket) -> tuple[str, int]:
    host, port = server.getsockname()
    return host, port
