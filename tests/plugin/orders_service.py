"""A small real service, its specification, and a sidecar that tests it."""

from __future__ import annotations

import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "orders", "version": "1"},
    "paths": {
        "/orders": {
            "post": {"operationId": "placeOrder", "responses": {"202": {"$ref": "#/components/responses/Order"}}}
        },
        "/orders/{id}": {
            "get": {
                "operationId": "getOrder",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"$ref": "#/components/responses/Order"}},
            }
        },
    },
    "components": {
        "responses": {
            "Order": {
                "description": "an order",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
            }
        },
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["id", "status", "total"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"enum": ["NEW", "PAID", "REJECTED"]},
                    "total": {"type": "number"},
                },
            }
        },
    },
}

SIDECAR = """
specs: {orders: orders.json}
pollIntervalMs: 10
timeoutMs: 5000
bindings:
  Place order:
    alias: place
    endpointRef: orders.placeOrder
    inputTemplate: {body: {amount: "{{data.amount}}", settle: "{{data.settle | default(0)}}"}}
    expectedStatusCode: 202
    businessRules: ["response.body.total == data.amount"]
  Order paid:
    alias: paid
    endpointRef: orders.getOrder
    inputTemplate: {path: {id: "{{step.place.response.body.id}}"}}
    until: response.body.status == 'PAID'
    failWhen: response.body.status == 'REJECTED'
"""


class Orders(BaseHTTPRequestHandler):
    """Accepts orders, which are paid after a while. Amounts above 1000 are rejected; 13 gets a wrong total."""

    protocol_version = "HTTP/1.1"
    placed: ClassVar[dict[str, tuple[float, float]]] = {}
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        with self.lock:
            order = f"o{len(self.placed) + 1}"
            self.placed[order] = (body["amount"], time.monotonic() + body.get("settle", 0))
        print_headers = self.headers.get("X-Correlation-ID", "")
        self._answer(202, order, "NEW", body["amount"], print_headers)

    def do_GET(self) -> None:
        order = self.path.rpartition("/")[2]
        amount, settled_at = self.placed[order]
        status = "REJECTED" if amount > 1000 else "PAID" if time.monotonic() >= settled_at else "NEW"
        self._answer(200, order, status, amount, "")

    def _answer(self, status: int, order: str, state: str, amount: float, correlation: str) -> None:
        total: Any = 14 if amount == 13 else "much" if amount == 99 else amount
        text = json.dumps({"id": order, "status": state, "total": total, "correlation": correlation}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        pass


def bpmn(tasks: list[str], *, process: str = "order", extra: str = "") -> str:
    """Give a process that runs tasks (by name) one after another."""
    nodes = ["<startEvent id='start'/>"]
    nodes += [f"<task id='task_{n}' name='{name}'/>" for n, name in enumerate(tasks)]
    nodes += ["<endEvent id='end'/>"]
    ids = ["start", *(f"task_{n}" for n in range(len(tasks))), "end"]
    flows = [
        f"<sequenceFlow id='flow_{n}' sourceRef='{a}' targetRef='{b}'/>"
        for n, (a, b) in enumerate(itertools.pairwise(ids))
    ]
    return (
        "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL' id='d' targetNamespace='urn:test'>"
        f"<process id='{process}'>{''.join(nodes)}{''.join(flows)}{extra}</process></definitions>"
    )
