"""Schemas of message values, each of which reads and writes: Avro, Protobuf and JSON Schema."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urljoin

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.avro_value import ValueMisfitError, avro_of, json_of
from pytest_orchestra.protocols.message_codec import decode_value, encode_value
from pytest_orchestra.protocols.schema_check import SchemaValidators
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["AvroSchema", "JsonSchema", "ProtobufSchema", "ValueSchema"]

_SCHEMA_URI: Final = "http://schema-registry.invalid/value.json"  # nothing is ever fetched from there
_SEVEN_BITS: Final = 0x7F
_EXTRA: Final = "pip install 'pytest-orchestra[schema-registry]'"
_VALUE_FILE: Final = "orchestra_value.proto"
_PROTOC: Final = """
import sys
from importlib.resources import files
from grpc_tools import protoc
sys.exit(protoc.main(["protoc", *sys.argv[1:], "-I" + str(files("grpc_tools") / "_proto")]))
"""


class ValueSchema(Protocol):
    """What reads and writes the values of one schema, without the head that names it."""

    def decode(self, body: bytes) -> JsonValue:
        """Give what bytes say. Raises whatever its library does where they do not fit."""

    def encode(self, value: JsonValue, message: str | None) -> bytes:
        """Give the bytes of a value; ``message`` is its type in a schema with several.

        Raises ``ValueMisfitError`` where the value does not fit.
        """


@dataclass(frozen=True, slots=True)
class AvroSchema:
    """A schema of Avro, parsed; ``named`` are the types that have names."""

    schema: Any
    named: Mapping[str, Any]

    @classmethod
    def of(cls, text: str, others: Sequence[tuple[str, str]]) -> AvroSchema:
        """Parse a schema and those that it builds upon. Raises ``StepError`` without its library."""
        try:
            import fastavro  # noqa: PLC0415  an extra
        except ImportError:
            raise _missing("fastavro", "Avro") from None
        named: dict[str, Any] = {}
        for _, other in others:
            fastavro.parse_schema(json.loads(other), named_schemas=named)
        return cls(fastavro.parse_schema(json.loads(text), named_schemas=named), named)

    def decode(self, body: bytes) -> JsonValue:
        """Give what bytes say."""
        import fastavro  # noqa: PLC0415  an extra

        return json_of(fastavro.schemaless_reader(io.BytesIO(body), self.schema, None))

    def encode(self, value: JsonValue, message: str | None) -> bytes:
        """Give the bytes of a value."""
        import fastavro  # noqa: PLC0415  an extra

        schema = self.schema
        if message is not None:
            if message not in self.named:
                raise ValueMisfitError((), f"the schema has no type '{message}', {_known(message, self.named)}")
            if isinstance(schema, list):
                schema = next((one for one in schema if message in (one, _name_of(one))), schema)
        into = io.BytesIO()
        fastavro.schemaless_writer(into, self.schema, avro_of(value, schema, self.named))
        return into.getvalue()


@dataclass(frozen=True, slots=True)
class ProtobufSchema:
    """A file of Protobuf, compiled."""

    pool: Any
    file: Any

    @classmethod
    def of(cls, text: str, others: Sequence[tuple[str, str]], subject: str) -> ProtobufSchema:
        """Compile a file and those that it imports. Raises ``StepError`` where that does not work."""
        try:
            from google.protobuf import descriptor_pb2, descriptor_pool  # noqa: PLC0415  an extra
        except ImportError:
            raise _missing("protobuf", "Protobuf") from None
        files = descriptor_pb2.FileDescriptorSet.FromString(_compile({**dict(others), _VALUE_FILE: text}, subject))
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:  # each after those that it imports
            pool.AddSerializedFile(file.SerializeToString())
        return cls(pool, files.file[-1])

    def decode(self, body: bytes) -> JsonValue:
        """Give what bytes say, as JSON of Protobuf."""
        from google.protobuf import json_format, message_factory  # noqa: PLC0415  an extra

        indexes, at = _message_indexes(body)
        descriptor = self.pool.FindMessageTypeByName(_message_name(self.file, indexes))
        message = message_factory.GetMessageClass(descriptor)()
        message.ParseFromString(body[at:])
        value: JsonValue = json_format.MessageToDict(
            message, always_print_fields_with_no_presence=True, descriptor_pool=self.pool
        )
        return value

    def encode(self, value: JsonValue, message: str | None) -> bytes:
        """Give the bytes of a value, with which message of the file it is: the first one, if nothing is said."""
        from google.protobuf import json_format, message_factory  # noqa: PLC0415  an extra

        names = {_message_name(self.file, indexes): indexes for indexes in _all_indexes(self.file.message_type)}
        wanted = next(iter(names)) if message is None else message
        if wanted not in names:
            raise ValueMisfitError((), f"the schema has no message '{wanted}', {_known(wanted, names)}")
        if not isinstance(value, Mapping):
            raise ValueMisfitError((), f"expected an object with the fields of '{wanted}'")
        filled = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(wanted))()
        try:
            json_format.ParseDict(dict(value), filled, descriptor_pool=self.pool)
        except (json_format.ParseError, ValueError, TypeError) as error:
            said = str(error).strip().partition("\n")[0].rstrip(".")
            raise ValueMisfitError((), said[:1].lower() + said[1:]) from None
        return _index_bytes(names[wanted]) + filled.SerializeToString()


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON Schema; values are read without it."""

    spec: ProtocolSpec
    uri: str
    validators: SchemaValidators = field(default_factory=SchemaValidators, compare=False)

    @classmethod
    def of(cls, text: str, others: Sequence[tuple[str, str]], subject: str) -> JsonSchema:
        """Take a schema and those that it refers to, by the names under which it does."""
        document = json.loads(text)
        own = document.get("$id") if isinstance(document, Mapping) else None
        uri = urljoin(_SCHEMA_URI, own) if isinstance(own, str) else _SCHEMA_URI
        documents: dict[str, JsonValue] = {urljoin(uri, name): json.loads(other) for name, other in others}
        documents[uri] = document
        version = hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest()
        return cls(ProtocolSpec("json-schema", subject, version, documents=documents), uri)

    def decode(self, body: bytes) -> JsonValue:
        """Give what bytes say."""
        return decode_value(body)

    def encode(self, value: JsonValue, message: str | None) -> bytes:  # noqa: ARG002  the protocol's
        """Give a value as JSON."""
        for fault in self.validators.find_faults(self.spec, self.uri, value, 1)[0]:
            raise ValueMisfitError(fault.pointer.split("/")[1:], fault.text)
        return json.dumps(value).encode() if isinstance(value, str) else encode_value(value) or b"null"


def _missing(package: str, what: str) -> StepError:
    return StepError(f"{what} values need the package '{package}'", hint=_EXTRA)


def _known(name: str, known: Mapping[str, Any]) -> str:
    return suggest(name, known, f"it has {', '.join(known)}")


def _name_of(schema: Any) -> str | None:
    return schema.get("name") if isinstance(schema, Mapping) else None


def _compile(texts: Mapping[str, str], subject: str) -> bytes:
    """Give the descriptors of Protobuf files, the last of them last. Raises ``StepError``."""
    if importlib.util.find_spec("grpc_tools") is None:
        raise _missing("grpcio-tools", "Protobuf")
    with tempfile.TemporaryDirectory(prefix="orchestra-schemas-") as name:
        folder, result = Path(name) / "files", Path(name) / "result"
        for file, text in texts.items():
            path = (folder / file).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise StepError(f"{subject} has a schema of the name '{file}'", hint="see its references")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        options = ["-I.", "--include_imports", f"--descriptor_set_out={result}", _VALUE_FILE]
        command = [sys.executable, "-c", _PROTOC, *options]
        done = subprocess.run(  # noqa: S603  the command is ours, the schemas are files
            command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            said = done.stderr.strip().partition("\n")[0].rstrip(".")
            raise StepError(f"a schema of the {subject} cannot be compiled: {said}", hint="see the schema")
        return result.read_bytes()


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
        number |= (byte & _SEVEN_BITS) << shift
        shift += 7
        if not byte & 0x80:
            return (number >> 1) ^ -(number & 1), at


def _all_indexes(kinds: Sequence[Any]) -> Iterator[list[int]]:
    """Give where every message of a file stands, the outer ones first."""
    deeper: list[tuple[int, Any]] = []
    for at, kind in enumerate(kinds):
        if not kind.options.map_entry:
            yield [at]
            deeper.append((at, kind))
    for at, kind in deeper:
        for inner in _all_indexes(kind.nested_type):
            yield [at, *inner]


def _index_bytes(indexes: Sequence[int]) -> bytes:
    """Write where a message stands; the first one of a file is a single zero."""
    return b"\0" if list(indexes) == [0] else b"".join(map(_zigzag_bytes, (len(indexes), *indexes)))


def _zigzag_bytes(number: int) -> bytes:
    rest, written = number << 1, bytearray()
    while rest > _SEVEN_BITS:
        written.append(rest & _SEVEN_BITS | 0x80)
        rest >>= 7
    return bytes([*written, rest])
