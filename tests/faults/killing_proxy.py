"""A line to PostgreSQL that does something at the n-th message of a client, before the server has it or after."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class KillingProxy:
    """Forwards one port to another; ``strike`` is called with the number of a client's message, before or after it.

    A message is what one ``recv`` gives, which for a pipelined transaction on the loopback is the whole of it. After:
    the server has answered, and the client has not heard of it. ``message`` is the latest one. One before which
    ``strike`` raises an ``OSError`` is not forwarded, and the line is cut.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._lock = threading.Lock()
        self.strike: Callable[[int, str], None] = lambda _number, _moment: None
        self.number = 0
        self.message = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        self.number = 0
        self.strike = lambda _number, _moment: None

    def cut(self) -> None:
        """Cut every line."""
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        pending: list[int] = []
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._upstream)) as server:
            for line in (client, server):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {client, server}
            back = threading.Thread(target=self._answer, args=(server, client, pending), daemon=True)
            back.start()
            try:
                self._forward(client, server, pending)
            finally:
                with contextlib.suppress(OSError):  # closing alone would not end what another thread reads from
                    server.shutdown(socket.SHUT_RDWR)
                back.join()
            self._open -= {client, server}

    def _forward(self, client: socket.socket, server: socket.socket, pending: list[int]) -> None:
        while data := client.recv(1 << 20):
            with self._lock:
                self.number += 1
                number = self.number
            self.message = data
            self.strike(number, "before")
            pending.append(number)
            server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, pending: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                if pending:
                    self.strike(pending.pop(), "after")
                    pending.clear()
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
