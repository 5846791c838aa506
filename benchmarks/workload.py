"""The workload of the benchmarks: a server that settles orders, and a project that tests it."""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "orders", "version": "1"},
    "paths": {
        "/customers": {
            "post": {"operationId": "createCustomer", "responses": {"201": {"$ref": "#/components/responses/R"}}}
        },
        "/orders": {"post": {"operationId": "placeOrder", "responses": {"202": {"$ref": "#/components/responses/R"}}}},
        "/orders/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "getOrder", "responses": {"200": {"$ref": "#/components/responses/R"}}},
        },
        "/orders/{id}/cancellation": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "post": {"operationId": "cancelOrder", "responses": {"202": {"$ref": "#/components/responses/R"}}},
        },
        "/invoices/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "getInvoice", "responses": {"200": {"$ref": "#/components/responses/R"}}},
        },
    },
    "components": {
        "responses": {
            "R": {
                "description": "ok",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
            }
        },
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["id", "status"],
                "properties": {"id": {"type": "string"}, "status": {"type": "string"}},
            }
        },
    },
}

PROCESS = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="urn:benchmark" id="d">
  <process id="order" isExecutable="false">
    <startEvent id="start"/>
    <task id="customer"/><task id="place"/><task id="shipped"/>
    <task id="invoice"/><task id="cancel"/><task id="cancelled"/>
    <endEvent id="end"/>
    {flows}
  </process>
</definitions>
""".format(
    flows="".join(
        f'<sequenceFlow id="f{n}" sourceRef="{a}" targetRef="{b}"/>'
        for n, (a, b) in enumerate(
            itertools.pairwise(["start", "customer", "place", "shipped", "invoice", "cancel", "cancelled", "end"])
        )
    )
)

SIDECAR = """
specs: {orders: orders.openapi.json}
pollIntervalMs: 50
timeoutMs: 20000
bindings:
  customer: {alias: customer, endpointRef: orders.createCustomer, inputTemplate: {body: {name: "{{data.customer}}"}}}
  place:
    alias: place
    endpointRef: orders.placeOrder
    inputTemplate: {body: {customer: "{{step.customer.response.body.id}}"}}
  shipped:
    endpointRef: orders.getOrder
    inputTemplate: {path: {id: "{{step.place.response.body.id}}"}}
    until: response.body.status == 'SHIPPED'
  invoice: {endpointRef: orders.getInvoice, inputTemplate: {path: {id: "{{step.place.response.body.id}}"}}}
  cancel:
    alias: cancel
    endpointRef: orders.cancelOrder
    inputTemplate: {path: {id: "{{step.place.response.body.id}}"}}
  cancelled:
    endpointRef: orders.getOrder
    inputTemplate: {path: {id: "{{step.place.response.body.id}}"}}
    until: response.body.status == 'CANCELLED'
"""


async def _serve(settle_s: float, ready: object) -> None:
    """Answer over bare sockets, so that the server is never what is measured."""
    counter = itertools.count(1)
    served = 0
    placed: dict[str, float] = {}
    cancelled: dict[str, float] = {}

    def answer(method: str, path: str) -> tuple[int, dict[str, str]]:
        nonlocal served
        now = time.monotonic()
        if path == "/served":
            return 200, {"id": str(served), "status": "COUNTED"}
        served += 1
        if method == "POST" and path == "/customers":
            return 201, {"id": f"c{next(counter)}", "status": "NEW"}
        if method == "POST" and path == "/orders":
            order = f"o{next(counter)}"
            placed[order] = now
            return 202, {"id": order, "status": "ACCEPTED"}
        order = path.split("/")[2]
        if path.endswith("/cancellation"):
            cancelled[order] = now
            return 202, {"id": order, "status": "CANCELLING"}
        if order in cancelled:
            return 200, {"id": order, "status": "CANCELLED" if now - cancelled[order] >= settle_s else "CANCELLING"}
        return 200, {"id": order, "status": "SHIPPED" if now - placed[order] >= settle_s else "ACCEPTED"}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                method, path, _ = lines[0].split(" ")
                length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
                if length:
                    await reader.readexactly(length)
                status, body = answer(method, path)
                text = json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                    % (status, len(text), text)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=2048)
    ready.put(server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
    await server.serve_forever()


def _run_server(settle_s: float, ready: object) -> None:
    asyncio.run(_serve(settle_s, ready))


@contextmanager
def server(settle_s: float) -> Iterator[str]:
    """Start the server in a process of its own and give its base URL."""
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=_run_server, args=(settle_s, ready), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ready.get(timeout=30)}"
    finally:
        process.terminate()
        process.join()


def write_project(folder: Path, base_url: str, scenarios: int) -> None:
    """Write a project with that many scenarios: one path, one data set each."""
    (folder / "data").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "order.bpmn").write_text(PROCESS)
    (folder / "order.orchestra.yaml").write_text(SIDECAR)
    (folder / "orders.openapi.json").write_text(json.dumps(SPEC))
    (folder / "environments.yaml").write_text(f"local:\n  services: {{orders: '{base_url}'}}\n")
    rows = "".join(f"row{n},customer {n}\n" for n in range(scenarios))
    (folder / "data" / "rows.csv").write_text("name,customer\n" + rows)
