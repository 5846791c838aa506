"""What a server says of an error beyond status and text: the details of ``google.rpc.Status``.

They come in the trailer ``grpc-status-details-bin`` (https://google.aip.dev/193, https://grpc.io/docs/guides/error).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.protocols.grpc_message import MessageTypes, UndecodableError, UnencodableError, has_template

__all__ = ["find_detail_faults", "read_error_details", "write_error_details"]

_TRAILER: Final = "grpc-status-details-bin"
_TYPE: Final = "@type"
_PREFIX: Final = "type.googleapis.com/"
_USUAL_TYPES: Final = "google.rpc.error_details_pb2"


def read_error_details(trailers: Iterable[tuple[str, str | bytes]], types: MessageTypes) -> list[JsonValue]:
    """Give the details as ProtoJSON has an ``Any``: with ``@type``, and ``value`` in base64 where that is not known.

    Known are the types of the specification, and the usual ones of ``google.rpc`` where ``googleapis-common-protos``
    is installed.
    """
    found: list[JsonValue] = []
    for key, content in trailers:
        if key == _TRAILER and isinstance(content, bytes):
            try:
                status: Any = _status_class().FromString(content)
            except DecodeError:
                continue  # it stays to be seen among the trailers
            found += [_detail(each.type_url, each.value, types) for each in status.details]
    return found


def write_error_details(
    code: int, text: str, details: Iterable[JsonObject], types: MessageTypes
) -> tuple[tuple[str, bytes], ...]:
    """Give the trailer that has details, written as :func:`read_error_details` gives them; a type's name is enough.

    Raises ``UnencodableError``.
    """
    status: Any = _status_class()(code=code, message=text)
    for number, detail in enumerate(details):
        for fact, hint in find_detail_faults(detail, number, types):
            raise UnencodableError(fact, hint)
        name = str(detail[_TYPE]).rpartition("/")[2]
        kind = _type_of(name, types)
        assert kind is not None  # else it would be a fault
        status.details.add(
            type_url=f"{_PREFIX}{name}", value=types.encode(kind, _fields(detail), f"errorDetails[{number}]")
        )
    return ((_TRAILER, status.SerializeToString()),)


def find_detail_faults(detail: JsonObject, number: int, types: MessageTypes) -> Iterator[tuple[str, str]]:
    """Say what is wrong with a detail that may hold templates."""
    name = detail.get(_TYPE)
    if not isinstance(name, str):
        yield f"'errorDetails[{number}]' has no '{_TYPE}'", f"name its type: '{_TYPE}: google.rpc.ErrorInfo'"
    elif not has_template(name):
        kind = _type_of(name.rpartition("/")[2], types)
        if kind is None:
            hint = "import the file that defines it, or install 'googleapis-common-protos' for those of 'google.rpc'"
            yield f"'errorDetails[{number}]' is of the unknown type '{name}'", hint
        else:
            yield from types.find_faults(kind, _fields(detail), f"errorDetails[{number}]", may_have_templates=True)


def _fields(detail: JsonObject) -> JsonObject:
    return {name: value for name, value in detail.items() if name != _TYPE}


def _type_of(name: str, types: MessageTypes) -> Descriptor | None:
    return types.find(name) or _usual_type(name)


def _detail(type_url: str, content: bytes, types: MessageTypes) -> JsonValue:
    kind = _type_of(type_url.rpartition("/")[2], types)
    if kind is not None:
        try:
            value = types.decode(kind, content)
        except UndecodableError:
            pass
        else:
            return {_TYPE: type_url, **value} if isinstance(value, dict) else {_TYPE: type_url, "value": value}
    return {_TYPE: type_url, "value": base64.b64encode(content).decode()}


@cache
def _status_class() -> type[Message]:
    """Make the type of ``google.rpc.Status`` in a pool of its own."""
    field = FieldDescriptorProto
    file = FileDescriptorProto(name="google/rpc/status.proto", package="google.rpc", syntax="proto3")
    file.dependency.append(any_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="Status")
    message.field.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    message.field.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    message.field.add(
        name="details",
        number=3,
        type=field.TYPE_MESSAGE,
        type_name=".google.protobuf.Any",
        label=field.LABEL_REPEATED,
    )
    pool = DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))


def _usual_type(name: str) -> Descriptor | None:
    try:
        module = import_module(_USUAL_TYPES)
    except ImportError:
        return None
    package, _, short = name.rpartition(".")
    found: Descriptor | None = module.DESCRIPTOR.message_types_by_name.get(short)
    return found if package == module.DESCRIPTOR.package else None
