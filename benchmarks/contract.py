"""What holding the contract costs: processor time of an HTTP step with and without it, in one run.

One process calls an operation of a server in another one, with a body of ten lines in the request and in the reply;
rounds with the contract of both, and with ``checkContract: false``, take turns, so that noise falls on both. Prints
microseconds a step, the two validations alone, and the ratio; with ``--check``, the exit status is 1 where that is over
1.2.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from multiprocessing.connection import Connection

from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.specification import (
    HeaderSpec,
    MediaType,
    Operation,
    Parameter,
    ProtocolSpec,
    ResponseSpec,
    SchemaRef,
)
from pytest_orchestra.protocols.http import HttpProtocol
from pytest_orchestra.protocols.request import BaseAddress, build_request
from pytest_orchestra.protocols.request_contract import RequestJudge
from pytest_orchestra.protocols.schema_check import SchemaValidators

ROUNDS = 150  # many short ones: of those that nobody disturbed there are enough for the median
CALLS = 64
AT_ONCE = 16
LIMIT = 1.2

LINE = {
    "type": "object",
    "required": ["sku", "qty"],
    "additionalProperties": False,
    "properties": {
        "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"},
        "qty": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
    },
}
ORDER = {
    "type": "object",
    "required": ["id", "customer", "status", "total", "lines"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "customer": {"type": "string"},
        "status": {"enum": ["PLACED", "SHIPPED", "CANCELLED"]},
        "total": {"type": "number", "minimum": 0},
        "placedAt": {"type": "string", "format": "date-time"},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
    },
}
BODY = json.dumps(
    {
        "id": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "customer": "Ada",
        "status": "SHIPPED",
        "total": 99.5,
        "placedAt": "2026-01-02T03:04:05Z",
        "lines": [{"sku": f"ABC-{number}", "qty": number, "price": 1.25} for number in range(1, 11)],
    }
).encode()
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Version: 3\r\nContent-Length: {len(BODY)}\r\n\r\n"

SPEC = ProtocolSpec(
    "http",
    "orders",
    version="1",
    operations=(
        Operation(
            "putOrder",
            "PUT",
            "/orders/{id}",
            parameters=(Parameter("id", "path", required=True, schema=SchemaRef("urn:orders#/components/schemas/Id")),),
            request_bodies=(MediaType("application/json", SchemaRef("urn:orders#/components/schemas/Order")),),
            request_required=True,
            responses=(
                ResponseSpec(
                    "200",
                    headers=(HeaderSpec("X-Version", True, SchemaRef("urn:orders#/components/schemas/Version")),),
                    media_types=(MediaType("application/json", SchemaRef("urn:orders#/components/schemas/Order")),),
                ),
            ),
        ),
    ),
    documents={
        "urn:orders": {
            "components": {
                "schemas": {
                    "Order": ORDER,
                    "Line": LINE,
                    "Version": {"type": "integer"},
                    "Id": {"type": "string", "minLength": 3},
                }
            }
        }
    },
)
SPECS = {"orders": SPEC}


class _Answers(asyncio.Protocol):
    """Answers each request with the same order."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = int(self._received[:end].lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            self._transport.write(HEAD.encode() + BODY)


def _serve(ready: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Answers, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _call(port: int, *, holds_contract: bool) -> StepCall:
    step = StepDefinition.model_validate(
        {
            "endpointRef": "orders.putOrder",
            "checkContract": holds_contract,
            "inputTemplate": {
                "path": {"id": "o-1"},
                "headers": {"X-Correlation-ID": "c"},
                "body": json.loads(BODY),
            },
        }
    )
    environment = Environment.model_validate({"services": {"orders": f"http://127.0.0.1:{port}"}})
    return StepCall(step, "step", "c", step.input_template, {}, environment, {}, timeout_s=30)


async def _round(http: HttpProtocol, call: StepCall) -> float:
    """Give the microseconds of processor time that one step takes."""
    left = iter(range(CALLS))

    async def work() -> None:
        for _ in left:
            reply = await http.execute(call, SPECS)
            if http.validate(call, reply, SPECS):
                raise SystemExit("the reply does not keep the contract")

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / CALLS * 1e6


def _validations(http: HttpProtocol, call: StepCall, reply: Reply) -> float:
    """Give the microseconds that a request and a reply take to be validated, and nothing else."""
    address = BaseAddress.read("http://127.0.0.1", "orders")
    operation, validators = SPEC.operations[0], SchemaValidators()
    requests = RequestJudge(validators)
    request = build_request(operation, call.input, address, {})
    requests.judge(operation, SPEC, call.input, request)
    began = time.process_time()
    for _ in range(CALLS * 5):
        requests.judge(operation, SPEC, call.input, request)
        http.validate(call, reply, SPECS)
    return (time.process_time() - began) / (CALLS * 5) * 1e6


async def _measure(port: int) -> bool:
    http = HttpProtocol()
    calls = {holds: _call(port, holds_contract=holds) for holds in (False, True)}
    reply = await http.execute(calls[True], SPECS)
    http.validate(calls[True], reply, SPECS)
    took: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS):
        for holds in (number % 2 == 0, number % 2 == 1):  # neither is always the second
            took[holds].append(await _round(http, calls[holds]))
    alone = min(_validations(http, calls[True], reply) for _ in range(20))
    await http.close()
    ratio = statistics.median(took[True]) / statistics.median(took[False])
    print(f"step without contract   {statistics.median(took[False]):8.1f} us of processor time")
    print(f"step with contract      {statistics.median(took[True]):8.1f} us")
    print(f"validations alone       {alone:8.1f} us ({len(BODY)} bytes of body each way, a parameter, a header)")
    print(f"ratio {ratio:.3f}, limit {LIMIT}: {'kept' if ratio <= LIMIT else 'BROKEN'}")
    return ratio <= LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the ratio is over its limit")
    options = parser.parse_args()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(sender,), daemon=True)
    server.start()
    try:
        is_kept = asyncio.run(_measure(receiver.recv()))
    finally:
        server.terminate()
        server.join()
    return 1 if options.check and not is_kept else 0


if __name__ == "__main__":
    sys.exit(main())
