"""The contract of all protocols, held by gRPC."""

from __future__ import annotations

import importlib.util

import pytest

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

from grpc_peers import OrdersServer, write_protos

from pytest_orchestra.errors import UnreachableError
from pytest_orchestra.protocol_contract import ProtocolContract
from pytest_orchestra.protocols.grpc import GrpcProtocol


class TestGrpcContract(ProtocolContract):
    """gRPC against a server that records metadata."""

    rubbish_raises = (UnreachableError,)

    def make_protocol(self):
        return GrpcProtocol()

    @pytest.fixture
    def specs(self, tmp_path):
        return {"orders": GrpcProtocol().parse_spec(write_protos(tmp_path), "orders")}

    @pytest.fixture
    async def call(self, specs):
        self.server = await OrdersServer(specs["orders"]).start()
        yield self.make_call(
            {
                "channelType": "GRPC",
                "endpointRef": {"protocolId": "grpc", "serviceName": "orders", "endpointName": "Orders.Place"},
                "inputTemplate": {"message": {"order_id": "o-1"}},
            },
            {"services": {"orders": {"baseUrl": self.server.url, "headerRefs": {"x-key": "env:KEY"}}}},
            secrets={"env:KEY": "s3cret-key"},
        )
        await self.server.stop()

    def arrived(self, reply):  # noqa: ARG002  what the server recorded counts
        return str(self.server.metadata[-1])

    def is_of_peer(self, task):
        return "AioServer" in repr(task)
