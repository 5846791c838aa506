"""What of a rule's answer the protocol of its service does not have, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pytest_orchestra.model.grpc_operation import STREAMS_IN
from pytest_orchestra.model.simulation import ReplyRule
from pytest_orchestra.model.specification import Operation, ProtocolSpec

if TYPE_CHECKING:
    from pytest_orchestra.protocols.grpc_message import MessageTypes

__all__ = ["AnswerCheck"]

_OF_GRPC: Final[Mapping[str, str]] = {
    "details": "details",
    "error_details": "errorDetails",
    "trailers": "trailers",
    "messages": "messages",
}

_Fault = tuple[str, str]


class AnswerCheck:
    """Holds the rules of one service against its specification."""

    def __init__(self, spec: ProtocolSpec) -> None:
        self._spec = spec

    @cached_property
    def _types(self) -> MessageTypes:
        from pytest_orchestra.protocols.grpc_message import MessageTypes  # noqa: PLC0415  heavy: protobuf

        return MessageTypes(self._spec)

    def find_faults(self, operation: Operation, rule: ReplyRule) -> Iterator[_Fault]:
        """Say, with a hint, what the operation cannot answer."""
        if self._spec.protocol_id != "grpc":
            return _http_faults(operation, rule)
        return _grpc_faults(self._types, operation, rule)


def _http_faults(operation: Operation, rule: ReplyRule) -> Iterator[_Fault]:
    if isinstance(rule.status, str):
        yield f"'{operation.name}' answers by HTTP, which has no status '{rule.status}'", "write a number: '404'"
    for field, name in _OF_GRPC.items():
        if field in rule.model_fields_set:
            yield f"'{operation.name}' answers by HTTP, which has no '{name}'", "write 'body', and 'headers'"


def _grpc_faults(types: MessageTypes, operation: Operation, rule: ReplyRule) -> Iterator[_Fault]:
    from pytest_orchestra.protocols.grpc_error_details import find_detail_faults  # noqa: PLC0415  heavy: protobuf
    from pytest_orchestra.protocols.grpc_message import has_template  # noqa: PLC0415  as above
    from pytest_orchestra.protocols.grpc_metadata import find_metadata_faults  # noqa: PLC0415  as above

    name = operation.name
    if rule.error_details and rule.status in (None, "OK"):
        yield "'errorDetails' go with an error, and there is none", "give a 'status' that is not 'OK'"
    if isinstance(rule.status, int):
        yield f"'{name}' answers by gRPC, which has no status '{rule.status}'", "write its name: 'NOT_FOUND'"
    for where, group in (("headers", rule.headers), ("trailers", rule.trailers)):
        yield from find_metadata_faults(group, where)
    for number, detail in enumerate(rule.error_details):
        yield from find_detail_faults(detail, number, types)
    is_refusal = isinstance(rule.status, str) and rule.status != "OK"
    if "messages" in rule.model_fields_set and operation.method not in STREAMS_IN:
        yield f"'{name}' answers one message, not 'messages'", "write it as 'body'"
        return
    if "body" in rule.model_fields_set and is_refusal and operation.method not in STREAMS_IN:
        yield f"'{name}' answers '{rule.status}', and so no 'body'", "write 'details' in place of 'body'"
        return
    kind = types.response_of(operation)
    if "body" in rule.model_fields_set:
        yield from types.find_faults(kind, rule.body, "body", may_have_templates=True)
    if isinstance(rule.messages, list):
        for index, message in enumerate(rule.messages):
            yield from types.find_faults(kind, message, f"messages[{index}]", may_have_templates=True)
    elif rule.messages is not None and not has_template(rule.messages):
        yield f"'messages' is '{rule.messages}'", "write a list of messages, or a template that gives one"
