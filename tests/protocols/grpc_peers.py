"""A gRPC service on loopback, its specification, and calls of it as the engine makes them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection, reflection_pb2

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.proto import descriptor_set_of, pool_of

MONEY = """
syntax = "proto3";
package shop.v1;

message Money {
  int64 cents = 1;
  string currency = 2;
}
"""

ORDERS = """
syntax = "proto3";
package shop.v1;

import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "shop/v1/money.proto";

// Takes orders.
service Orders {
  // Places one order.
  rpc Place(Order) returns (Order);
  rpc Watch(Query) returns (stream Order) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Import(stream Order) returns (Summary) { option idempotency_level = IDEMPOTENT; }
  rpc Chat(stream Order) returns (stream Order);
}

service Stock {
  rpc Place(Order) returns (Order);
  rpc Count(Query) returns (Summary) { option deprecated = true; }
}

enum Status {
  UNKNOWN = 0;
  PLACED = 1;
  SHIPPED = 2;
}

message Line {
  string sku = 1;
  uint32 quantity = 2;
}

message Order {
  string order_id = 1;
  Status status = 2;
  Money total = 3;
  repeated Line lines = 4;
  map<string, string> labels = 5;
  map<string, Line> by_sku = 6;
  google.protobuf.Timestamp placed_at = 7;
  google.protobuf.Struct extra = 8;
  google.protobuf.Int64Value limit = 9;
  repeated uint64 serials = 10;
  bytes photo = 11;
  double weight = 12;
  bool is_gift = 13;
  google.protobuf.Any anything = 14;
  google.protobuf.Duration patience = 15;
  oneof buyer {
    string person = 16;
    string company = 17;
  }
}

message Query {
  string order_id = 1;
  int32 count = 2;
}

message Summary {
  int32 count = 1;
  repeated string order_ids = 2;
}
"""


def write_protos(folder: Path) -> Path:
    """Write the service's files as a repository has them; give the one that is named in ``specs``."""
    package = folder / "proto" / "shop" / "v1"
    package.mkdir(parents=True)
    (package / "money.proto").write_text(MONEY)
    (package / "orders.proto").write_text(ORDERS)
    return package / "orders.proto"


class OrdersServer:
    """A server that echoes orders, and does what their ``order_id`` says; it records the metadata of each call."""

    def __init__(self, spec: ProtocolSpec) -> None:
        pool = pool_of(descriptor_set_of(spec))
        self.pool = pool
        self.order, self.query, self.summary = (
            GetMessageClass(pool.FindMessageTypeByName(f"shop.v1.{name}")) for name in ("Order", "Query", "Summary")
        )
        self.metadata: list[dict[str, Any]] = []
        self.deadlines: list[float | None] = []
        self.accepted: set[str] | None = None
        self.status_details = b""
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.port = 0
        self._server = grpc.aio.server()

    @property
    def url(self) -> str:
        """Its base URL, without TLS."""
        return f"grpc://127.0.0.1:{self.port}"

    async def start(
        self, *, reflects: str | None = None, credentials: grpc.ServerCredentials | None = None, port: int = 0
    ) -> OrdersServer:
        """Listen; ``reflects`` is the version of server reflection that is offered."""
        orders = {
            "Place": self._unary(self.order, self._place),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, self.query.FromString, _serialize),
            "Import": grpc.stream_unary_rpc_method_handler(self._import, self.order.FromString, _serialize),
            "Chat": grpc.stream_stream_rpc_method_handler(self._chat, self.order.FromString, _serialize),
        }
        stock = {"Place": self._unary(self.order, self._place), "Count": self._unary(self.query, self._count)}
        handlers = [
            grpc.method_handlers_generic_handler("shop.v1.Orders", orders),
            grpc.method_handlers_generic_handler("shop.v1.Stock", stock),
        ]
        if reflects is not None:
            handlers.append(self._reflection(f"grpc.reflection.{reflects}.ServerReflection"))
        self._server.add_generic_rpc_handlers(handlers)
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        await self._server.start()
        return self

    async def stop(self) -> None:
        """End at once, with all calls."""
        await self._server.stop(None)

    def _reflection(self, name: str) -> grpc.GenericRpcHandler:
        known = ("shop.v1.Orders", "shop.v1.Stock", name)
        servicer = reflection.aio.ReflectionServicer(known, pool=self.pool)
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})

    def _unary(self, request: Any, answer: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(answer, request.FromString, _serialize)

    def _note(self, context: grpc.aio.ServicerContext) -> None:
        self.metadata.append(dict(context.invocation_metadata()))
        self.deadlines.append(context.time_remaining())
        self.began.set()

    async def _admit(self, context: grpc.aio.ServicerContext) -> None:
        """Turn away who has none of the tokens that are accepted."""
        if self.accepted is not None and self.metadata[-1].get("authorization") not in self.accepted:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

    async def _place(self, order: Any, context: grpc.aio.ServicerContext) -> Any:
        self._note(context)
        await self._admit(context)
        said, _, details = order.order_id.partition(":")
        if hasattr(grpc.StatusCode, said):
            more = (("grpc-status-details-bin", self.status_details),) if self.status_details else ()
            context.set_trailing_metadata((("reason", "because"), ("trace-bin", b"\x00\x01"), *more))
            await context.abort(grpc.StatusCode[said], details)
        if said == "wait":
            await self._wait()
        await context.send_initial_metadata((("served-by", "a"), ("served-by", "b"), ("seal-bin", b"\xff")))
        context.set_trailing_metadata((("cost", "7"),))
        return b"\x0a\x05ab" if said == "malformed" else order

    async def _wait(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _watch(self, query: Any, context: grpc.aio.ServicerContext) -> Any:
        self._note(context)
        await self._admit(context)
        for number in range(query.count):
            yield self.order(order_id=f"o-{number}")
        if query.order_id == "then wait":
            await self._wait()
        if query.order_id == "then fail":
            await context.abort(grpc.StatusCode.DATA_LOSS, "no more")

    async def _import(self, orders: Any, context: grpc.aio.ServicerContext) -> Any:
        self._note(context)
        ids = [order.order_id async for order in orders]
        return self.summary(count=len(ids), order_ids=ids)

    async def _chat(self, orders: Any, context: grpc.aio.ServicerContext) -> Any:
        self._note(context)
        async for order in orders:
            said, _, details = order.order_id.partition(":")
            if hasattr(grpc.StatusCode, said):
                await context.abort(grpc.StatusCode[said], details)
            yield order

    async def _count(self, query: Any, context: grpc.aio.ServicerContext) -> Any:
        self._note(context)
        return self.summary(count=query.count)


def _serialize(message: Any) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def step(endpoint: str, given: Mapping[str, Any] | None = None, **fields: Any) -> StepDefinition:
    """Give a step that calls an operation of the service ``orders``."""
    ref = {"protocolId": "grpc", "serviceName": "orders", "endpointName": endpoint}
    return StepDefinition.model_validate(
        {
            "channelType": "GRPC",
            "endpointRef": ref,
            "inputTemplate": dict(given or {}),
            "place": Place("order.orchestra.yaml", 7),
            **fields,
        }
    )


def call(
    service: str | Mapping[str, Any],
    endpoint: str,
    given: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = 20.0,
    secrets: Mapping[str, str] | None = None,
    trace_parent: str = "",
    folder: Path | None = None,
    **fields: Any,
) -> StepCall:
    """Give a call of an operation of ``orders``, whose base URL or profile is ``service``."""
    definition = step(endpoint, given, **fields)
    place = Place(str(folder / "environments.yaml")) if folder else None
    return StepCall(
        step=definition,
        alias="place",
        correlation_id="corr-1",
        input=definition.input_template,
        parameters={},
        environment=Environment.model_validate({"name": "local", "services": {"orders": service}, "place": place}),
        secrets={ref: Secret(text) for ref, text in (secrets or {}).items()},
        timeout_s=timeout_s,
        trace_parent=trace_parent,
        headers=definition.headers,
    )


def server_credentials(certificate: Path, key: Path, client_ca: Path | None = None) -> grpc.ServerCredentials:
    """Give TLS to a server; with ``client_ca``, it wants a certificate of its clients."""
    return grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        client_ca.read_bytes() if client_ca else None,
        require_client_auth=client_ca is not None,
    )


def plain_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Give TLS to a server that is none of gRPC."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
