"""Messages of Protocol Buffers from JSON and back, and what is wrong with the JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.protocols.suggestion import suggest
from pytest_orchestra.readers.proto import descriptor_set_of, pool_of

__all__ = ["MessageTypes", "UndecodableError", "UnencodableError", "has_template"]

_WELL_KNOWN: Final = "google.protobuf."
_NULLABLE: Final = ("google.protobuf.Value", "google.protobuf.NullValue")
_LONG: Final = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_LONG_WRAPPERS: Final = ("google.protobuf.Int64Value", "google.protobuf.UInt64Value")
_SHOWN_NAMES: Final = 10
_KINDS: Final[Mapping[int, str]] = {
    FieldDescriptor.TYPE_BYTES: "bytes in base64",
    FieldDescriptor.TYPE_STRING: "a string",
    FieldDescriptor.TYPE_BOOL: "true or false",
    FieldDescriptor.TYPE_DOUBLE: "a number",
    FieldDescriptor.TYPE_FLOAT: "a number",
}


class UnencodableError(Exception):
    """A message cannot be made: ``fact`` says why, ``hint`` what to do."""

    def __init__(self, fact: str, hint: str) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class UndecodableError(Exception):
    """Bytes that came are no message of the type; ``reason`` says why.

    ``type_url`` is that of a message inside, if it is only this type that is not known.
    """

    def __init__(self, reason: str, type_url: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.type_url = type_url


class MessageTypes:
    """The message types of a specification."""

    def __init__(self, spec: ProtocolSpec) -> None:
        self._pool: DescriptorPool = pool_of(descriptor_set_of(spec))

    def request_of(self, operation: Operation) -> Descriptor:
        """Give the type of an operation's requests."""
        return self._type(operation, "request")

    def response_of(self, operation: Operation) -> Descriptor:
        """Give the type of an operation's responses."""
        return self._type(operation, "response")

    def find(self, name: str) -> Descriptor | None:
        """Give a type by its full name; None where the specification lacks it."""
        try:
            return self._pool.FindMessageTypeByName(name)
        except KeyError:
            return None

    def _type(self, operation: Operation, end: str) -> Descriptor:
        return self._pool.FindMessageTypeByName(str(dict(operation.extensions)[end]))

    def encode(self, kind: Descriptor, value: JsonValue, path: str) -> bytes:
        """Make a message of JSON, whose fields have the names of the ``.proto`` file or those in camelCase.

        Raises ``UnencodableError`` with the path of what does not fit, which begins with ``path``.
        """
        try:
            return self._parse(kind, value).SerializeToString()
        except (json_format.ParseError, ValueError, TypeError, AttributeError) as error:
            for fact, hint in self.find_faults(kind, value, path):
                raise UnencodableError(fact, hint) from None
            raise UnencodableError(f"'{path}' is no '{kind.full_name}': {_first_line(error)}", "correct it") from None
        except EncodeError as error:  # a required field of proto2
            fact = f"'{path}' is no complete '{kind.full_name}': {_first_line(error)}"
            raise UnencodableError(fact, "give its required fields") from None

    def decode(self, kind: Descriptor, content: bytes) -> JsonValue:
        """Read a message as JSON: fields as the ``.proto`` file calls them, absent ones with their default.

        64-bit integers are numbers, all else is as ProtoJSON has it. Raises ``UndecodableError``.
        """
        try:
            message = GetMessageClass(kind).FromString(content)
        except DecodeError as error:
            raise UndecodableError(_first_line(error)) from None
        try:
            found = json_format.MessageToDict(
                message,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
                descriptor_pool=self._pool,
            )
        except TypeError as error:
            type_url = str(error).rpartition(" ")[2].strip("'\".")
            raise UndecodableError(f"has a message of the unknown type '{type_url}'", type_url) from None
        except (json_format.Error, ValueError) as error:
            raise UndecodableError(_first_line(error)) from None
        return _with_numbers(kind, cast("JsonValue", found))

    def find_faults(
        self, kind: Descriptor, value: JsonValue, path: str, *, may_have_templates: bool = False
    ) -> Iterator[tuple[str, str]]:
        """Say what in a value is no message of the type; where templates may be, what holds one is passed over."""
        if may_have_templates and isinstance(value, str) and has_template(value):
            return
        if kind.full_name.startswith(_WELL_KNOWN):
            if not (may_have_templates and has_template(value)) and self._is_refused(kind, value):
                yield f"'{path}' takes a '{kind.full_name}', not {_shown(value)}", "write it as ProtoJSON has it"
            return
        if not isinstance(value, Mapping):
            yield f"'{path}' takes an object of type '{kind.full_name}', not {_shown(value)}", "give its fields"
            return
        named = {field.name: field for field in kind.fields}
        named |= {field.json_name: field for field in kind.fields if field.json_name not in named}
        given: dict[str, str] = {}
        for key, item in value.items():
            if key.startswith("[") or (may_have_templates and has_template(key)):  # an extension of proto2
                continue
            field = named.get(key)
            if field is None:
                known = [each.name for each in kind.fields]
                listed = ", ".join(known[:_SHOWN_NAMES]) or "none"
                fact = f"'{path}.{key}' is no field of '{kind.full_name}'"
                yield fact, suggest(key, known, f"its fields: {listed}")
            elif item is not None:
                choice = field.containing_oneof.name if field.containing_oneof is not None else field.name
                other = given.setdefault(choice, key)
                if other != key:
                    yield f"'{path}' has both '{other}' and '{key}', of which there is only one", "write one of them"
                yield from self._field_faults(field, item, f"{path}.{key}", may_have_templates)

    def _field_faults(
        self, field: FieldDescriptor, value: JsonValue, path: str, may_have_templates: bool
    ) -> Iterator[tuple[str, str]]:
        if may_have_templates and isinstance(value, str) and has_template(value):
            return
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if not isinstance(value, Mapping):
                yield f"'{path}' takes an object, not {_shown(value)}", "give its keys and values"
                return
            of_values = field.message_type.fields_by_name["value"]
            for key, item in value.items():
                yield from self._value_faults(of_values, item, f"{path}.{key}", may_have_templates)
        elif field.is_repeated:
            if not isinstance(value, (list, tuple)):
                yield f"'{path}' takes a list, not {_shown(value)}", f"write '[{value}]'"
                return
            for index, item in enumerate(value):
                yield from self._value_faults(field, item, f"{path}[{index}]", may_have_templates)
        else:
            yield from self._value_faults(field, value, path, may_have_templates)

    def _value_faults(
        self, field: FieldDescriptor, value: JsonValue, path: str, may_have_templates: bool
    ) -> Iterator[tuple[str, str]]:
        if field.message_type is not None:
            yield from self.find_faults(field.message_type, value, path, may_have_templates=may_have_templates)
            return
        if may_have_templates and has_template(value):
            return
        owner = field.containing_type
        assert owner is not None  # only extensions have none
        if not self._is_refused(owner, {field.name: [value] if field.is_repeated else value}):
            return
        if field.enum_type is not None:
            names = [each.name for each in field.enum_type.values]
            listed = ", ".join(names[:_SHOWN_NAMES])
            fact = f"'{path}' takes a value of '{field.enum_type.full_name}', not {_shown(value)}"
            yield fact, suggest(str(value), names, f"its values: {listed}")
            return
        wanted = _KINDS.get(field.type, "a whole number that fits its type")
        yield f"'{path}' takes {wanted}, not {_shown(value)}", "correct the value"

    def _is_refused(self, kind: Descriptor, value: JsonValue) -> bool:
        try:
            self._parse(kind, value)
        except (json_format.ParseError, ValueError, TypeError, AttributeError):
            return True
        return False

    def _parse(self, kind: Descriptor, value: JsonValue) -> Message:
        message = GetMessageClass(kind)()
        if value is None and kind.full_name not in _NULLABLE:
            return message
        # the stubs know objects only, but the messages of well-known types are written as any JSON
        return json_format.ParseDict(cast("dict[str, object]", value), message, descriptor_pool=self._pool)


def has_template(value: object) -> bool:
    """Tell whether a value has a template anywhere."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(has_template(key) or has_template(item) for key, item in value.items())
    return isinstance(value, (list, tuple)) and any(map(has_template, value))


def _with_numbers(kind: Descriptor, value: JsonValue) -> JsonValue:
    """Make numbers of the strings that ProtoJSON writes for 64-bit integers."""
    if kind.full_name in _LONG_WRAPPERS:
        return int(str(value))
    if kind.full_name.startswith(_WELL_KNOWN) or not isinstance(value, Mapping):
        return value
    found: dict[str, JsonValue] = {}
    for key, item in value.items():
        field = kind.fields_by_name.get(key)
        found[key] = item if field is None or item is None else _field_with_numbers(field, item)
    return found


def _field_with_numbers(field: FieldDescriptor, value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping) and field.message_type is not None and field.message_type.GetOptions().map_entry:
        of_values = field.message_type.fields_by_name["value"]
        return {key: _field_with_numbers(of_values, item) for key, item in value.items()}
    # the value of a ListValue is a list without being repeated
    if field.is_repeated and isinstance(value, (list, tuple)):
        return [_one_with_numbers(field, item) for item in value]
    return _one_with_numbers(field, value)


def _one_with_numbers(field: FieldDescriptor, value: JsonValue) -> JsonValue:
    if field.message_type is not None:
        return _with_numbers(field.message_type, value)
    return int(str(value)) if field.cpp_type in _LONG else value


def _shown(value: object) -> str:
    text = str(value)
    return f"'{text[:80]}…'" if len(text) > 80 else f"'{text}'"  # noqa: PLR2004  a line of a terminal


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
