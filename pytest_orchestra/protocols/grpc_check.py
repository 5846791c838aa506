"""What can be known to be wrong with a gRPC step before anything is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.grpc_operation import STREAMS_IN, STREAMS_OUT
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import Operation
from pytest_orchestra.protocols.grpc_message import MessageTypes, has_template
from pytest_orchestra.protocols.reply_fields import paths_read
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["find_expectation_faults", "find_message_faults"]

_MEMBERS: Final = (
    "status",
    "code",
    "details",
    "errorDetails",
    "message",
    "messages",
    "metadata",
    "trailers",
    "elapsedMs",
)
_TEMPLATE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def find_message_faults(types: MessageTypes, operation: Operation, given: JsonObject) -> Iterator[tuple[str, str]]:
    """Say what is wrong with ``message``, ``messages`` and ``most`` of an input that may hold templates."""
    kind = types.request_of(operation)
    if "messages" in given and operation.method not in STREAMS_OUT:
        yield f"'{operation.name}' takes one message, not 'messages'", "write it as 'message'"
        return
    if "most" in given and operation.method not in STREAMS_IN:
        yield f"'{operation.name}' gives one message, there is no 'most' of them", "take 'most' away"
    if "message" in given:
        yield from types.find_faults(kind, _or_empty(given["message"]), "message", may_have_templates=True)
    many = given.get("messages")
    if isinstance(many, (list, tuple)):
        for index, each in enumerate(many):
            yield from types.find_faults(kind, _or_empty(each), f"messages[{index}]", may_have_templates=True)
    elif many is not None and not has_template(many):
        yield "'messages' is a list of messages", "write each as an item of a list"


def _or_empty(message: JsonValue) -> JsonValue:
    return {} if message is None else message


def find_expectation_faults(
    types: MessageTypes, operation: Operation, step: StepDefinition
) -> Iterator[tuple[str, str]]:
    """Say which fields of the response are expected that its type does not have, as far as paths tell it.

    What an expression guards itself (``default``, ``is defined``) is left alone.
    """
    kind = types.response_of(operation)
    paths = (path for text in _expressions(step) for path in paths_read(text))
    yield from dict.fromkeys(fault for path in paths for fault in _response_faults(kind, path))


def _expressions(step: StepDefinition) -> Iterator[str]:
    yield from filter(None, (step.until, step.fail_when, *(rule.rule for rule in step.business_rules)))
    for text in step.export_as.values():
        yield from _TEMPLATE.findall(text) if "{{" in text else [text]


def _response_faults(kind: Descriptor, path: Sequence[str | int]) -> Iterator[tuple[str, str]]:
    root, *rest = path if path[0] == "response" else ("", *path)
    if root and rest and rest[0] not in _MEMBERS:
        listed = f"it has: {', '.join(_MEMBERS)}"
        hint = "write 'response.message'" if rest[0] == "body" else suggest(str(rest[0]), _MEMBERS, listed)
        yield f"'response.{rest[0]}' is nothing that a response of gRPC has", hint
    read = f"{root}.{rest[0]}".lstrip(".") if rest else ""
    if rest[:1] == ["message"]:
        yield from _field_faults(kind, read, rest[1:])
    elif rest[:1] == ["messages"] and len(rest) > 1 and isinstance(rest[1], int):
        yield from _field_faults(kind, f"{read}[{rest[1]}]", rest[2:])


def _field_faults(kind: Descriptor, read: str, path: Sequence[str | int]) -> Iterator[tuple[str, str]]:
    current: Descriptor | None = kind
    is_list = False
    for part in path:
        if current is None or current.full_name.startswith("google.protobuf.") or is_list != isinstance(part, int):
            return
        if isinstance(part, int):
            is_list, read = False, f"{read}[{part}]"
            continue
        field = current.fields_by_name.get(part)
        if field is None:
            yield f"'{read}.{part}' is no field of '{current.full_name}'", _field_hint(current, part)
            return
        read = f"{read}.{part}"
        is_list, current = field.is_repeated, _message_of(field)


def _message_of(field: FieldDescriptor) -> Descriptor | None:
    message = field.message_type
    return None if message is None or message.GetOptions().map_entry else message


def _field_hint(kind: Descriptor, name: str) -> str:
    meant = next((field.name for field in kind.fields if field.json_name == name), None)
    if meant is not None:
        return f"write '{meant}', as its '.proto' file does"
    names = [field.name for field in kind.fields]
    return suggest(name, names, f"its fields: {', '.join(names[:10]) or 'none'}")
