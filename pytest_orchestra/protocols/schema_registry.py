"""Values that name their schema: Confluent's wire format, with Avro, Protobuf or JSON, by the schemas of a registry.

The format is a zero byte, the number of the schema in four bytes, and the value ("Wire format", Confluent's
documentation of the Schema Registry); values of any other beginning are read as they are without a registry.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import io
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from pytest_orchestra.errors import (
    LoginRefusedError,
    OrchestraError,
    StepError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.protocols.kafka_login import KafkaLogin, RegistryLogin
from pytest_orchestra.protocols.message_codec import decode_value

__all__ = ["SchemaRegistry", "json_of"]

_MAGIC: Final = 0
_HEAD: Final = 5
_TIMEOUT_S: Final = 5.0
_VALUE_FILE: Final = "orchestra_value.proto"
_PROTOC: Final = """
import sys
from importlib.resources import files
from grpc_tools import protoc
sys.exit(protoc.main(["protoc", *sys.argv[1:], "-I" + str(files("grpc_tools") / "_proto")]))
"""
_EXTRA: Final = "pip install 'pytest-orchestra[schema-registry]'"

Decode = Callable[[bytes], JsonValue]


class SchemaRegistry:
    """Reads values by the schemas of a registry; each schema is fetched once."""

    def __init__(self, cluster: KafkaLogin, login: RegistryLogin) -> None:
        self._cluster = cluster
        self._login = login
        self._decoders: dict[int, Decode] = {}
        self._client: httpx.AsyncClient | None = None

    @property
    def _subject(self) -> str:
        return f"schema registry of cluster '{self._cluster.alias}' at '{self._login.url}'"

    async def check(self) -> None:
        """Raise what is wrong with the registry: ``UnreachableError``, ``LoginRefusedError``."""
        await self._get("/schemas/types")

    async def decode(self, raw: bytes | None) -> JsonValue:
        """Give the value that bytes say.

        Raises ``UnreachableError`` and ``LoginRefusedError`` where the registry cannot be asked,
        ``UnusableEnvironmentError`` where it has no such schema, ``StepError`` where the value does not fit it.
        """
        if raw is None or len(raw) < _HEAD or raw[0] != _MAGIC:
            return decode_value(raw)
        number = int.from_bytes(raw[1:_HEAD], "big")
        decode = self._decoders.get(number)
        if decode is None:
            decode = await self._learn(number)
        try:
            return decode(raw[_HEAD:])
        except OrchestraError:
            raise
        except Exception as error:  # noqa: BLE001  the libraries raise whatever comes up while they read
            raise StepError(
                f"a value does not fit schema {number} of the {self._subject}: {error}",
                hint="see what the producer writes",
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _learn(self, number: int) -> Decode:
        """Give what decodes the values of a schema; what the registry says once of a schema holds for good."""
        try:
            decode = await self._fetch(number)
        except (UnreachableError, LoginRefusedError):
            raise
        except OrchestraError as error:
            decode = _always(error)
        self._decoders[number] = decode
        return decode

    async def _fetch(self, number: int) -> Decode:
        found = await self._get(f"/schemas/ids/{number}")
        kind = str(found.get("schemaType", "AVRO"))
        if kind == "JSON":
            return decode_value
        if kind == "AVRO":
            return await self._avro(found)
        if kind == "PROTOBUF":
            return await self._protobuf(found)
        raise StepError(
            f"{self._subject} has schema {number} of type '{kind}', which is not read",
            hint="use 'AVRO', 'PROTOBUF' or 'JSON'",
        )

    async def _referenced(self, found: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Give the names and texts of the schemas that one builds upon, those first that nothing else needs."""
        texts: dict[str, str] = {}
        for reference in found.get("references") or ():
            path = f"/subjects/{reference['subject']}/versions/{reference['version']}"
            other = await self._get(path)
            texts.update(await self._referenced(other))
            texts[str(reference["name"])] = str(other["schema"])
        return list(texts.items())

    async def _avro(self, found: Mapping[str, Any]) -> Decode:
        try:
            import fastavro  # noqa: PLC0415  an extra
        except ImportError:
            raise _missing("fastavro", "Avro") from None
        named: dict[str, Any] = {}
        for _, text in await self._referenced(found):
            fastavro.parse_schema(json.loads(text), named_schemas=named)
        schema = fastavro.parse_schema(json.loads(found["schema"]), named_schemas=named)

        def decode(body: bytes) -> JsonValue:
            return json_of(fastavro.schemaless_reader(io.BytesIO(body), schema, None))

        return decode

    async def _protobuf(self, found: Mapping[str, Any]) -> Decode:
        try:
            from google.protobuf import (  # noqa: PLC0415  an extra
                descriptor_pb2,
                descriptor_pool,
                json_format,
                message_factory,
            )
        except ImportError:
            raise _missing("protobuf", "Protobuf") from None
        texts = {**dict(await self._referenced(found)), _VALUE_FILE: str(found["schema"])}
        files = descriptor_pb2.FileDescriptorSet.FromString(await asyncio.to_thread(self._compile, texts))
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:  # each after those that it imports
            pool.AddSerializedFile(file.SerializeToString())
        own = files.file[-1]

        def decode(body: bytes) -> JsonValue:
            indexes, at = _message_indexes(body)
            descriptor = pool.FindMessageTypeByName(_message_name(own, indexes))
            message = message_factory.GetMessageClass(descriptor)()
            message.ParseFromString(body[at:])
            value: JsonValue = json_format.MessageToDict(
                message, always_print_fields_with_no_presence=True, descriptor_pool=pool
            )
            return value

        return decode

    def _compile(self, texts: Mapping[str, str]) -> bytes:
        """Give the descriptors of Protobuf files, the last of them last. Raises ``StepError``."""
        if importlib.util.find_spec("grpc_tools") is None:
            raise _missing("grpcio-tools", "Protobuf")
        with tempfile.TemporaryDirectory(prefix="orchestra-schemas-") as name:
            folder, result = Path(name) / "files", Path(name) / "result"
            for file, text in texts.items():
                path = (folder / file).resolve()
                if not path.is_relative_to(folder.resolve()):
                    raise StepError(f"{self._subject} has a schema of the name '{file}'", hint="see its references")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            options = ["-I.", "--include_imports", f"--descriptor_set_out={result}", _VALUE_FILE]
            command = [sys.executable, "-c", _PROTOC, *options]
            done = subprocess.run(  # noqa: S603  the command is ours, the schemas are files
                command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
            )
            if done.returncode != 0:
                said = done.stderr.strip().partition("\n")[0].rstrip(".")
                raise StepError(f"a schema of the {self._subject} cannot be compiled: {said}", hint="see the schema")
            return result.read_bytes()

    async def _get(self, path: str) -> Any:
        if self._client is None:
            login = self._login
            auth = (login.user.reveal(), login.password.reveal()) if login.user and login.password else None
            self._client = httpx.AsyncClient(auth=auth, timeout=_TIMEOUT_S)
        correct = f"correct 'schemaRegistry' of '{self._cluster.alias}' in environment '{self._cluster.environment}'"
        try:
            answer = await self._client.get(self._login.url + path)
            if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                user = self._login.user.reveal() if self._login.user else ""
                raise LoginRefusedError(
                    f"{self._subject}: login of '{user}' refused",
                    hint=f"check 'usernameRef' and 'passwordRef' of the 'schemaRegistry' of '{self._cluster.alias}'",
                )
            if answer.is_success:
                return answer.json()
            if answer.is_server_error:
                raise UnreachableError(f"{self._subject} answers with {answer.status_code}", hint="see its log")
        except httpx.HTTPError as error:
            reason = "no answer came in time" if isinstance(error, httpx.TimeoutException) else "it cannot be reached"
            raise UnreachableError(f"{self._subject}: {reason}", hint=f"start it, or {correct}") from None
        except ValueError:
            raise UnusableEnvironmentError(
                f"{self._subject}: what answers is no schema registry", hint=correct
            ) from None
        raise UnusableEnvironmentError(f"{self._subject} answers '{path}' with {answer.status_code}", hint=correct)


def _always(error: OrchestraError) -> Decode:
    def decode(_: bytes) -> JsonValue:
        raise error

    return decode


def _missing(package: str, what: str) -> StepError:
    return StepError(f"{what} values need the package '{package}'", hint=_EXTRA)


def _message_name(file: Any, indexes: Sequence[int]) -> str:
    """Give the full name of a message of a file, by where it stands."""
    names, kinds = [file.package] if file.package else [], file.message_type
    for index in indexes:
        names.append(kinds[index].name)
        kinds = kinds[index].nested_type
    return ".".join(names)


def _message_indexes(body: bytes) -> tuple[list[int], int]:
    """Give which message of a file a value is, from the outermost to the innermost, and where its bytes begin."""
    count, at = _zigzag(body, 0)
    if count == 0:  # short for the first message of the file
        return [0], at
    indexes = []
    for _ in range(count):
        index, at = _zigzag(body, at)
        indexes.append(index)
    return indexes, at


def _zigzag(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (number >> 1) ^ -(number & 1), at


def json_of(value: object) -> JsonValue:
    """Give a value of Avro as JSON: moments in ISO 8601, bytes in base64, decimals as numbers."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            whole = value == value.to_integral_value()
            return int(value) if whole else float(value)
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case Mapping():
            return {str(name): json_of(part) for name, part in value.items()}
        case Sequence():
            return [json_of(part) for part in value]
    return str(value)
