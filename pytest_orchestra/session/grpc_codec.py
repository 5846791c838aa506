"""Messages of simulated gRPC services, read and written as the steps' own are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.descriptor import Descriptor

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.model.vocabulary import GRPC_STATUSES
from pytest_orchestra.protocols.grpc_error_details import write_error_details
from pytest_orchestra.protocols.grpc_message import MessageTypes, UndecodableError, UnencodableError
from pytest_orchestra.protocols.grpc_metadata import Metadata, read_metadata, write_metadata
from pytest_orchestra.simulation.grpc_codec import MalformedMessageError

__all__ = ["SpecificationCodec"]


class SpecificationCodec:
    """The messages of one specification."""

    def __init__(self, spec: ProtocolSpec) -> None:
        self._types = MessageTypes(spec)

    def read_request(self, operation: Operation, content: bytes) -> JsonValue:
        """Read a request. Raises ``MalformedMessageError``."""
        return self._read(self._types.request_of(operation), content)

    def read_answer(self, operation: Operation, content: bytes) -> JsonValue:
        """Read an answer. Raises ``MalformedMessageError``."""
        return self._read(self._types.response_of(operation), content)

    def write_answer(self, operation: Operation, value: JsonValue, path: str) -> bytes:
        """Make an answer of JSON. Raises ``DefinitionError``."""
        try:
            return self._types.encode(self._types.response_of(operation), value, path)
        except UnencodableError as error:
            raise DefinitionError(error.fact, hint=error.hint) from None

    def read_metadata(self, came: Iterable[tuple[str, str | bytes]]) -> JsonObject:
        """Give metadata as JSON."""
        return read_metadata(came)

    def write_metadata(self, given: JsonObject) -> Metadata:
        """Give metadata as it is sent. Raises ``StepError``."""
        return write_metadata(given)

    def write_error_details(self, status: str, text: str, details: Sequence[JsonObject]) -> Metadata:
        """Give the trailer that has the details of an error. Raises ``DefinitionError``."""
        try:
            return write_error_details(GRPC_STATUSES.index(status), text, details, self._types)
        except UnencodableError as error:
            raise DefinitionError(error.fact, hint=error.hint) from None

    def _read(self, kind: Descriptor, content: bytes) -> JsonValue:
        try:
            return self._types.decode(kind, content)
        except UndecodableError as error:
            raise MalformedMessageError(f"is no '{kind.full_name}': {error.reason}") from None
