"""The operations of gRPC services by the names under which people write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_orchestra.model.specification import Operation, ProtocolSpec

__all__ = ["STREAMS_IN", "STREAMS_OUT", "find_grpc_operation", "full_name", "named_alike", "names_of"]

STREAMS_OUT: Final = ("CLIENT_STREAM", "BIDI_STREAM")
"""The methods that take several messages."""

STREAMS_IN: Final = ("SERVER_STREAM", "BIDI_STREAM")
"""The methods that give several messages."""


def full_name(operation: Operation) -> str:
    """Give ``package.Service.Method``."""
    return _dotted(operation.path)


def find_grpc_operation(spec: ProtocolSpec, name: str) -> Operation | None:
    """Find ``Service.Method``, ``package.Service/Method``, or a method alone that only one service has."""
    by_end = named_alike(spec, name)
    exact = [each for each in by_end if _dotted(name) in (full_name(each), each.name)]
    found = exact or by_end
    return found[0] if len(found) == 1 else None


def named_alike(spec: ProtocolSpec, name: str) -> Sequence[Operation]:
    """Give all operations whose full name ends in these parts."""
    end = f".{_dotted(name)}"
    return [each for each in spec.operations if f".{full_name(each)}".endswith(end)]


def names_of(spec: ProtocolSpec, operation: Operation) -> tuple[str, ...]:
    """Give all names under which :func:`find_grpc_operation` finds an operation."""
    service, _, method = operation.path.lstrip("/").rpartition("/")
    parts = service.split(".")
    within = [".".join(parts[start:]) for start in range(len(parts))]
    names = [operation.path, method]
    names += [f"{owner}{sign}{method}" for owner in within for sign in "./"]
    return tuple(name for name in names if find_grpc_operation(spec, name) is operation)


def _dotted(name: str) -> str:
    return name.strip().lstrip("/").replace("/", ".")
