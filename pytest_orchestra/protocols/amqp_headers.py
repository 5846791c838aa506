"""The headers of a message of AMQP 0-9-1, of which a real broker and a simulated one see the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonValue

__all__ = ["amqp_headers"]

_TRACE_PARENT: Final = "traceparent"
_LARGEST_INTEGER: Final = 2**63
_LONGEST_NAME: Final = 128


def amqp_headers(call: StepCall) -> dict[str, JsonValue]:
    """Give the headers of the message that an action publishes. Raises ``StepError`` where one cannot be sent.

    They keep their types, because those of an exchange of type ``headers`` are compared with them; a header that is
    null is left out.
    """
    headers = {name: _sent(name, entry, call) for name, entry in call.headers.items() if entry is not None}
    given = {name.lower() for name in call.headers}
    ours = {call.correlation_header: call.correlation_id, _TRACE_PARENT: call.trace_parent}
    return headers | {name: text for name, text in ours.items() if text and name.lower() not in given}


def _sent(name: str, value: JsonValue, call: StepCall) -> JsonValue:
    """Give the value of a header, which must be one that the field tables of AMQP can hold."""
    if isinstance(value, Mapping):
        return {key: _sent(name, entry, call) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_sent(name, entry, call) for entry in value]
    is_too_large = isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER
    if is_too_large or len(name.encode()) > _LONGEST_NAME:
        raise StepError(
            f"header '{name}' cannot be sent: AMQP has integers of 64 bits, under names of {_LONGEST_NAME} bytes",
            place=call.step.place,
            hint="send it as a text, or under a shorter name",
        )
    return value
