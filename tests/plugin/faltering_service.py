"""The service of orders on a bad day: it refuses some orders first, by their amount."""

from __future__ import annotations

import json
import threading
from typing import Any, ClassVar

from orders_service import Orders


class Faltering(Orders):
    """Answers 503 to the first orders of an amount, as many as ``faults`` says; ``keys`` are what they carried."""

    placed: ClassVar[dict[str, tuple[float, float]]] = {}
    lock: ClassVar[threading.Lock] = threading.Lock()
    faults: ClassVar[dict[float, int]] = {}
    keys: ClassVar[dict[float, list[tuple[str, str]]]] = {}
    body: dict[str, Any]

    def do_POST(self) -> None:  # noqa: N802  the name that http.server calls
        length = int(self.headers["content-length"])
        text = self.rfile.read(length)
        amount = json.loads(text)["amount"]
        sent = (self.headers.get("Idempotency-Key", ""), self.headers.get("X-Correlation-ID", ""))
        with self.lock:
            self.keys.setdefault(amount, []).append(sent)
            left = self.faults.get(amount, 0)
            self.faults[amount] = left - 1
        if left > 0:
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        with self.lock:
            order = f"o{len(self.placed) + 1}"
            self.placed[order] = (amount, 0.0)
        self._answer(202, order, "NEW", amount, "")
