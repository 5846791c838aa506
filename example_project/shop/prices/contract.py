"""The gRPC contract of the prices service, read from ``specs/prices.proto`` when it is imported."""

from __future__ import annotations

import grpc

messages, services = grpc.protos_and_services("specs/prices.proto")
"""The message classes, and the stubs and servicers. The file is found because the example's folder is on the path."""
