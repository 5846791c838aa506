"""Which message a step waits for: its address, correlation id, key, headers and value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pytest_orchestra.data.expressions import Expression, compile_expression
from pytest_orchestra.data.faults import Fault
from pytest_orchestra.data.operators import is_equal
from pytest_orchestra.data.predicates import check_pattern
from pytest_orchestra.data.redaction import mask_headers
from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.errors import StepError, TemplateError
from pytest_orchestra.model.definition import ValueMatcherMode
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.problem import Place
from pytest_orchestra.protocols.message_codec import header_of, text_of

__all__ = ["ANY_CORRELATION", "Message", "MessageQuery", "matches_value"]

ANY_CORRELATION = "none"
"""What ``correlationIdExpr`` says where messages of any correlation id are let in."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived.

    ``address`` is the topic, or the exchange or queue; ``key`` the key as text, or the routing key; ``value`` JSON
    where it is JSON, else text, else base64. ``facts`` is what its broker tells of it, under the names that rules use.
    """

    address: str
    key: str | None
    value: JsonValue
    headers: Mapping[str, str]
    correlation_id: str | None
    arrived_at: datetime
    facts: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Give what rules and templates see."""
        return {
            "key": self.key,
            "value": self.value,
            "headers": dict(self.headers),
            "address": self.address,
            "correlationId": self.correlation_id,
            **self.facts,
        }

    def shown(self) -> JsonObject:
        """Give what people see: the same, with the headers masked that carry credentials."""
        return {**self.to_json(), "headers": mask_headers(self.headers)}


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """What an assertion looks for; build it with :meth:`of`.

    ``correlation_id`` is the one that a message must have, None where any will do; ``own_id`` that of the run in either
    case. ``expression`` says where it stands, if not in the header ``correlation_header`` or a property of the message.
    ``key`` and ``value`` are compared only where ``has_key`` and ``has_value`` say so.
    """

    address: str
    run_id: str
    alias: str
    own_id: str
    correlation_id: str | None
    correlation_header: str = "X-Correlation-ID"
    expression: Expression | None = None
    key: str | None = None
    has_key: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    value: JsonValue = None
    has_value: bool = False
    mode: ValueMatcherMode = ValueMatcherMode.SUBSET
    identity: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """What two queries have in common if they ask for the same, for two looks of the same step say."""

    def __post_init__(self) -> None:
        sought = json.dumps([self.to_json(), self.key, dict(self.headers)], sort_keys=True, default=str)
        named = (self.address, self.run_id, self.alias, self.own_id, self.correlation_header, sought)
        object.__setattr__(self, "identity", named)  # frozen for everyone else

    @classmethod
    def of(cls, call: StepCall, address: str | None = None) -> MessageQuery:
        """Take it from a call; ``address`` is the topic, exchange or queue of the step if it is not given.

        Raises ``StepError`` where a regular expression cannot be read, ``TemplateSyntaxError`` where
        ``correlationIdExpr`` cannot.
        """
        step, message = call.step, call.message
        written = (step.correlation_id_expr or "").strip()
        is_any = written == ANY_CORRELATION
        mode = step.value_matcher_mode
        if address is None:
            address = next((str(call.address[name]) for name in _ADDRESSES if call.address.get(name)), "")
        if mode is ValueMatcherMode.REGEX and "value" in message:
            check_patterns(message["value"], step.place)
        return cls(
            address=address,
            run_id=call.run_id,
            alias=call.alias,
            own_id=call.correlation_id,
            correlation_id=None if is_any else call.correlation_id,
            correlation_header=call.correlation_header,
            expression=compile_expression(written, step.place) if written and not is_any else None,
            key=None if message.get("key") is None else text_of(message["key"]),
            has_key="key" in message,
            headers={name: text_of(value) for name, value in call.headers.items()},
            value=message.get("value"),
            has_value="value" in message,
            mode=mode,
        )

    @property
    def lens(self) -> str:
        """The text of the expression that finds the correlation id; empty for the header or property."""
        return "" if self.expression is None else self.expression.text

    def matches(self, message: Message) -> bool:
        """Say whether this is a message that the assertion looks for."""
        return (
            message.address == self.address
            and (self.correlation_id is None or self._correlation_of(message) == self.correlation_id)
            and (not self.has_key or message.key == self.key)
            and all(header_of(message.headers, name) == text for name, text in self.headers.items())
            and (not self.has_value or matches_value(self.value, message.value, self.mode))
        )

    def _correlation_of(self, message: Message) -> str | None:
        if self.expression is not None:
            return read_correlation(self.expression, message)
        named = header_of(message.headers, self.correlation_header)
        return message.correlation_id if named is None else named

    def to_json(self) -> JsonObject:
        """Give what people see of it."""
        sought: dict[str, JsonValue] = {}
        if self.correlation_id is not None:
            sought["correlationId"] = self.correlation_id
            if self.expression is not None:
                sought["correlationIdExpr"] = self.expression.text
        else:
            sought["correlationIdExpr"] = ANY_CORRELATION
        if self.has_key:
            sought["key"] = self.key
        if self.headers:
            sought["headers"] = mask_headers(self.headers)
        if self.has_value:
            sought |= {"value": self.value, "valueMatcherMode": str(self.mode)}
        return sought


_ADDRESSES = ("topic", "exchange", "queueName")


def read_correlation(expression: Expression, message: Message) -> str | None:
    """Give the correlation id that an expression finds in a message; None where there is none."""
    try:
        found = expression.evaluate({"message": message.to_json()})
    except TemplateError:  # this message is of another kind
        return None
    return None if found is None else text_of(found)


def matches_value(expected: JsonValue, actual: JsonValue, mode: ValueMatcherMode) -> bool:
    """Compare a value with what is expected of it.

    Numbers are compared by value, lists item by item and at their full length. In ``SUBSET`` and ``REGEX``, objects may
    have more fields than are named. In ``REGEX``, a text matches if it is found in the text, or in the JSON of what is
    no text; patterns are those of Rust's ``regex``.
    """
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping) or not expected.keys() <= actual.keys():
            return False
        if mode is ValueMatcherMode.EXACT and len(actual) != len(expected):
            return False
        return all(matches_value(value, actual[name], mode) for name, value in expected.items())
    if isinstance(expected, (list, tuple)):
        if not isinstance(actual, (list, tuple)) or len(expected) != len(actual):
            return False
        return all(matches_value(one, other, mode) for one, other in zip(expected, actual, strict=True))
    if mode is ValueMatcherMode.REGEX and isinstance(expected, str):
        return check_pattern(_anywhere(expected)).isinstance_python(text_of(actual))
    return is_equal(expected, actual)


def _anywhere(pattern: str) -> str:
    return f"(?s:.*)(?:{pattern})(?s:.*)"


def check_patterns(expected: JsonValue, place: Place | None = None) -> None:
    """Raise ``StepError`` if a text in it is no regular expression."""
    if isinstance(expected, str):
        try:
            check_pattern(expected)
        except Fault as fault:
            raise StepError(f"'valueTemplate' with 'REGEX': {fault}", place=place, hint="correct the pattern") from None
    elif isinstance(expected, Mapping):
        for value in expected.values():
            check_patterns(value, place)
    elif isinstance(expected, (list, tuple)):
        for value in expected:
            check_patterns(value, place)
