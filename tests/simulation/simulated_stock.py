"""A specification of a warehouse that speaks gRPC, services that are simulated after it, and calls of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.session.grpc_codec import SpecificationCodec
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.grpc_service import SimulatedGrpcService
from pytest_orchestra.simulation.participant import Participant

PROTO = """
syntax = "proto3";
package shop.v1;

import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

service Warehouse {
  rpc Find(Query) returns (Stock);
  rpc Watch(Query) returns (stream Stock);
  rpc Count(stream Query) returns (Total);
  rpc Chat(stream Query) returns (stream Stock);
}

service Audit {
  rpc Count(Query) returns (Total);
}

enum Status {
  STATUS_UNSPECIFIED = 0;
  RESERVED = 1;
  SHIPPED = 2;
}

message Query {
  string sku = 1;
  int32 quantity = 2;
  Status status = 3;
}

message Place {
  string hall = 1;
  Place inside = 2;
}

message Stock {
  string sku = 1;
  int32 quantity = 2;
  Status status = 3;
  Place place = 4;
  repeated string serials = 5;
  int64 cents = 6;
  bytes photo = 7;
  google.protobuf.Timestamp since = 8;
  google.protobuf.Duration patience = 9;
  google.protobuf.Int64Value limit = 10;
  oneof owner {
    string person = 11;
    string company = 12;
  }
  bool is_final = 13;
}

message Total {
  int32 count = 1;
}
"""


def write_proto(folder: Path) -> Path:
    """Write the specification."""
    path = folder / "stock.proto"
    path.write_text(PROTO, encoding="utf-8")
    return path


def make_stock(
    spec: ProtocolSpec, simulation: Mapping[str, Any] | None = None, *, distort: str = "", port: int = 0
) -> SimulatedGrpcService:
    """Give a simulated warehouse that behaves so."""
    participant = Participant(
        "stock",
        Simulation.model_validate(simulation or {}),
        distortion=Distortion.read(distort) if distort else None,
    )
    return SimulatedGrpcService(participant, spec, SpecificationCodec(spec), port=port)


def call(url: str, endpoint: str, correlation_id: str = "corr-1", **given: Any) -> StepCall:
    """Give a call of the warehouse as the engine makes it."""
    step = StepDefinition.model_validate(
        {
            "channelType": "GRPC",
            "endpointRef": {"protocolId": "grpc", "serviceName": "stock", "endpointName": endpoint},
            "inputTemplate": given,
        }
    )
    return StepCall(
        step=step,
        alias="find",
        correlation_id=correlation_id,
        input=step.input_template,
        parameters={},
        environment=Environment.model_validate({"name": "local", "services": {"stock": url}}),
        secrets={},
        timeout_s=20.0,
    )
