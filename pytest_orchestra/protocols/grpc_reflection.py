"""What a server tells of its own services (gRPC Server Reflection Protocol, v1 and v1alpha)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.grpc_channel import Connection, Outcome
from pytest_orchestra.protocols.grpc_metadata import Metadata
from pytest_orchestra.readers.proto import MissingFileError, specification_of

__all__ = ["NoReflectionError", "reflect"]

_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
_OWN: Final = "grpc.reflection."


class NoReflectionError(Exception):
    """A server does not tell of its services: ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def reflect(connection: Connection, service: str, metadata: Metadata, timeout_s: float) -> ProtocolSpec:
    """Give the specification that a server tells of itself; it is asked once for each connection.

    Raises ``NoReflectionError``, ``TimeoutError``, and what :meth:`Connection.call` raises.
    """
    async with connection.reflecting:
        if connection.reflected is None:
            asker = _Asker(connection, metadata, timeout_s)
            try:
                connection.reflected = specification_of(await asker.read_files(), service)
            except MissingFileError as missing:
                raise NoReflectionError(f"lacks file '{missing.name}', which '{missing.importer}' imports") from None
            except (TypeError, ValueError) as error:
                raise NoReflectionError(f"contradicts itself: {str(error).partition(chr(10))[0]}") from None
        return connection.reflected


class _Asker:
    """Asks one server; the messages of both versions of the protocol are the same."""

    def __init__(self, connection: Connection, metadata: Metadata, timeout_s: float) -> None:
        self._connection = connection
        self._metadata = metadata
        self._timeout_s = timeout_s
        self._path = _PATHS[0]

    async def read_files(self) -> FileDescriptorSet:
        """Give the files of all services, with all that they import."""
        listed = await self._ask([ServerReflectionRequest(list_services="")])
        services = [each.name for reply in listed for each in reply.list_services_response.service]
        wanted = [name for name in services if not name.startswith(_OWN)]
        files: dict[str, FileDescriptorProto] = {}
        _add(files, await self._ask([ServerReflectionRequest(file_containing_symbol=name) for name in wanted]))
        asked: set[str] = set()
        while missing := sorted({name for each in files.values() for name in each.dependency} - set(files) - asked):
            asked.update(missing)
            _add(files, await self._ask([ServerReflectionRequest(file_by_filename=name) for name in missing]))
        return FileDescriptorSet(file=list(files.values()))

    async def _ask(self, requests: list[ServerReflectionRequest]) -> list[ServerReflectionResponse]:
        if not requests:
            return []
        outcome = await self._send(requests)
        if outcome.status == "UNIMPLEMENTED" and self._path == _PATHS[0]:
            self._path = _PATHS[1]
            outcome = await self._send(requests)
        if outcome.is_out_of_time:
            raise TimeoutError
        if outcome.status == "UNIMPLEMENTED":
            raise NoReflectionError("does not offer reflection")
        if outcome.status != "OK":
            said = f": {outcome.details}" if outcome.details else ""
            raise NoReflectionError(f"answers {outcome.status}{said}")
        try:
            return [ServerReflectionResponse.FromString(each) for each in outcome.messages]
        except DecodeError:
            raise NoReflectionError("does not speak the protocol of reflection") from None

    async def _send(self, requests: list[ServerReflectionRequest]) -> Outcome:
        return await self._connection.call(
            self._path, [each.SerializeToString() for each in requests], self._metadata, self._timeout_s, len(requests)
        )


def _add(files: dict[str, FileDescriptorProto], replies: Iterable[ServerReflectionResponse]) -> None:
    """Add what replies hold; a symbol or file that the server does not know is left out."""
    for reply in replies:
        for content in reply.file_descriptor_response.file_descriptor_proto:
            try:
                file = FileDescriptorProto.FromString(content)
            except DecodeError:
                raise NoReflectionError("tells of a file that is none") from None
            files.setdefault(file.name, file)
