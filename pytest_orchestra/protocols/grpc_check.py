"""What can be known to be wrong with a gRPC step before anything is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import Operation
from pytest_orchestra.protocols.grpc_message import MessageTypes, has_template
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["find_expectation_faults", "find_message_faults"]

_STREAMS_OUT: Final = ("CLIENT_STREAM", "BIDI_STREAM")
_STREAMS_IN: Final = ("SERVER_STREAM", "BIDI_STREAM")
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_READ: Final = re.compile(
    r"(?<![\w.\]])(?P<root>(?:response\.)?(?:message|messages\[-?\d+\]))(?P<path>(?:\.\w+|\[-?\d+\])+)(?P<call>\s*\()?"
)
_PART: Final = re.compile(r"\.(\w+)|\[-?\d+\]")


def find_message_faults(types: MessageTypes, operation: Operation, given: JsonObject) -> Iterator[tuple[str, str]]:
    """Say what is wrong with ``message``, ``messages`` and ``most`` of an input that may hold templates."""
    kind = types.request_of(operation)
    if "messages" in given and operation.method not in _STREAMS_OUT:
        yield f"'{operation.name}' takes one message, not 'messages'", "write it as 'message'"
        return
    if "most" in given and operation.method not in _STREAMS_IN:
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
    """Say which fields of the response are expected that its type does not have, as far as paths tell it."""
    kind = types.response_of(operation)
    told: set[str] = set()
    for text in _expressions(step):
        for found in _READ.finditer(_QUOTED.sub("''", text)):
            for fact, hint in _path_faults(kind, found["root"], found["path"], is_call=found["call"] is not None):
                if fact not in told:
                    told.add(fact)
                    yield fact, hint


def _expressions(step: StepDefinition) -> Iterable[str]:
    texts = (step.until, step.fail_when, *(rule.rule for rule in step.business_rules), *step.export_as.values())
    return (text for text in texts if text)


def _path_faults(kind: Descriptor, root: str, path: str, *, is_call: bool) -> Iterator[tuple[str, str]]:
    current: Descriptor | None = kind
    is_list, read = False, root
    parts = list(_PART.finditer(path))
    for number, part in enumerate(parts):
        name = part[1]
        if current is None or current.full_name.startswith("google.protobuf."):
            return
        if name is None:  # an index, which only a list has
            if not is_list:
                return
            is_list, read = False, read + part[0]
            continue
        if is_list or (is_call and number == len(parts) - 1):  # what lists, and objects of Python, can do
            return
        field = current.fields_by_name.get(name)
        if field is None:
            yield f"'{read}.{name}' is no field of '{current.full_name}'", _field_hint(current, name)
            return
        read = f"{read}.{name}"
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
