"""A system under test that remembers every request, recognises idempotency keys, and can strike at any of them."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "shop", "version": "1"},
    "paths": {
        "/customers": {"post": {"operationId": "create", "responses": {"201": {"description": "made"}}}},
        "/notices": {"post": {"operationId": "notify", "responses": {"201": {"description": "made"}}}},
        "/orders": {"post": {"operationId": "place", "responses": {"201": {"description": "made"}}}},
        "/orders/{id}": {
            "get": {"operationId": "look", "responses": {"200": {"description": "found"}}},
            "delete": {"operationId": "cancel", "responses": {"200": {"description": "gone"}}},
        },
    },
}

LOOKS = 2
"""How often an order is looked at before it is shipped."""


class CountingService:
    """Serves on a port of its own. ``strike`` is called with the number of a request, before or after its effect."""

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, str]] = Counter()
        self.effects: Counter[str] = Counter()
        self.strike: Callable[[int, str], None] = lambda _number, _moment: None
        self._lock = threading.Lock()
        self.number = 0
        self._replies: dict[str, dict[str, Any]] = {}
        self._looks: Counter[str] = Counter()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def _serve(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status, reply = service.serve(
                    self.command, self.path, {name.lower(): value for name, value in self.headers.items()}
                )
                text = json.dumps(reply).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:  # the peer was killed
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815  the base class wants these names

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: object) -> None:  # peers are killed on purpose
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self.sent.clear()
            self.effects.clear()
            self._replies.clear()
            self._looks.clear()
            self.number = 0
            self.strike = lambda _number, _moment: None

    def serve(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.number += 1
            number = self.number
        self.strike(number, "before")
        correlation, key = headers.get("x-correlation-id", ""), headers.get("idempotency-key", "")
        with self._lock:
            if method != "GET":
                self.sent[correlation, f"{method} {path.split('/')[1]}"] += 1
            reply = self._replies.get(key) if key else None
            if reply is None:
                reply = self._take_effect(method, path, correlation)
                if key:
                    self._replies[key] = reply
        if path == "/notices":
            time.sleep(0.02)
        self.strike(number, "after")
        return (201 if method == "POST" else 200), reply

    def _take_effect(self, method: str, path: str, correlation: str) -> dict[str, Any]:
        if method == "GET":
            self._looks[path] += 1
            return {"status": "SHIPPED" if self._looks[path] > LOOKS else "NEW"}
        self.effects[f"{correlation} {method} {path.split('/')[1]}"] += 1
        return {"id": f"{path.strip('/').replace('/', '-')}-{sum(self.effects.values())}"}
