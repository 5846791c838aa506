"""How a simulated gRPC service reads and writes what goes over the wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import Operation

__all__ = ["GrpcCodec", "MalformedMessageError"]


class MalformedMessageError(Exception):
    """Bytes that came are no message of their type; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GrpcCodec(Protocol):
    """Messages and metadata, as JSON and as bytes, of one specification; whoever opens the session brings it."""

    def read_request(self, operation: Operation, content: bytes) -> JsonValue:
        """Read a request: all fields, those that are absent with their default. Raises ``MalformedMessageError``."""

    def read_answer(self, operation: Operation, content: bytes) -> JsonValue:
        """Read an answer in the same way."""

    def write_answer(self, operation: Operation, value: JsonValue, path: str) -> bytes:
        """Make an answer of JSON. Raises ``DefinitionError`` with the path of what does not fit, from ``path`` on."""

    def read_metadata(self, came: Iterable[tuple[str, str | bytes]]) -> JsonObject:
        """Give metadata as JSON, keys in lower case, bytes in base64."""

    def write_metadata(self, given: JsonObject) -> tuple[tuple[str, str | bytes], ...]:
        """Give metadata as it is sent. Raises ``StepError``."""

    def write_error_details(
        self, status: str, text: str, details: Sequence[JsonObject]
    ) -> tuple[tuple[str, str | bytes], ...]:
        """Give the trailer that has the details of an error. Raises ``DefinitionError``."""
