"""The JSON of Protocol Buffers' messages, told in JSON Schema.

Fields have the names of the ``.proto`` file, and 64-bit integers are numbers; all else is the ProtoJSON format
(https://protobuf.dev/programming-guides/json/).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = ["message_schemas"]

_WELL_KNOWN: Final[dict[str, JsonObject]] = {
    "google.protobuf.Any": {"type": "object"},
    "google.protobuf.BoolValue": {"type": ["boolean", "null"]},
    "google.protobuf.BytesValue": {"type": ["string", "null"]},
    "google.protobuf.DoubleValue": {"type": ["number", "string", "null"]},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d+)?s$"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.FloatValue": {"type": ["number", "string", "null"]},
    "google.protobuf.Int32Value": {"type": ["integer", "null"]},
    "google.protobuf.Int64Value": {"type": ["integer", "null"]},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.StringValue": {"type": ["string", "null"]},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.UInt32Value": {"type": ["integer", "null"]},
    "google.protobuf.UInt64Value": {"type": ["integer", "null"]},
    "google.protobuf.Value": {},
}
_KINDS: Final[dict[int, JsonObject]] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "minimum": -(1 << 31), "maximum": (1 << 31) - 1},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer", "minimum": -(1 << 63), "maximum": (1 << 63) - 1},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "integer", "minimum": 0, "maximum": (1 << 64) - 1},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": ["number", "string"]},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": ["number", "string"]},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
}


def message_schemas(pool: DescriptorPool, names: Iterable[str], uri: str) -> JsonObject:
    """Give the schemas of these message types, and of all that they refer to, by full name.

    They are the ``$defs`` of the document at ``uri``, which references name as those of all specifications do.
    """
    found: dict[str, JsonValue] = {}
    waiting = [pool.FindMessageTypeByName(name) for name in names]
    while waiting:
        message = waiting.pop()
        if message.full_name in found:
            continue
        found[message.full_name] = _message(message, uri)
        if message.full_name not in _WELL_KNOWN:
            waiting += [field.message_type for field in message.fields if field.message_type is not None]
    return {name: found[name] for name in sorted(found)}


def _message(message: Descriptor, uri: str) -> JsonObject:
    known = _WELL_KNOWN.get(message.full_name)
    if known is not None:
        return dict(known)
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {field.name: _field(field, uri) for field in message.fields},
    }
    exclusive: list[JsonValue] = [
        {"required": [one.name, other.name]}
        for choice in message.oneofs
        for one, other in combinations(choice.fields, 2)
    ]
    return {**schema, "not": {"anyOf": exclusive}} if exclusive else schema


def _field(field: FieldDescriptor, uri: str) -> JsonObject:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _value(field.message_type.fields_by_name["value"], uri)}
    if field.is_repeated:
        return {"type": "array", "items": _value(field, uri)}
    return _value(field, uri)


def _value(field: FieldDescriptor, uri: str) -> JsonObject:
    if field.message_type is not None:
        return {"$ref": f"{uri}#/$defs/{field.message_type.full_name}"}
    if field.enum_type is not None:
        return _enum([value.name for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"type": "string", "contentEncoding": "base64"}
    return dict(_KINDS.get(field.cpp_type, {"type": "string"}))


def _enum(names: list[str]) -> JsonObject:
    """Give the names; the first means by custom that none is given, so the next one is the example."""
    return {"type": "string", "enum": list(names), **({"examples": [names[1]]} if len(names) > 1 else {})}
