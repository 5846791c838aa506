"""Messages of AMQP 0-9-1 as rules see them, and as they are sent."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import aio_pika

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.protocols.amqp_headers import amqp_headers
from pytest_orchestra.protocols.message_codec import decode_value, encode_value, header_of, text_of
from pytest_orchestra.protocols.message_matching import Message

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

__all__ = ["build_message", "read_message"]


def read_message(incoming: AbstractIncomingMessage, address: str, correlation_header: str) -> Message:
    """Give a message as rules see it.

    Its key is the routing key; its correlation id that of the header, else of the property ``correlation_id``.
    """
    headers = {name: text_of(_plain(value)) for name, value in incoming.headers.items()}
    correlation_id = header_of(headers, correlation_header)
    sent_at = incoming.timestamp
    facts: dict[str, JsonValue] = {
        "exchange": incoming.exchange or "",
        "routingKey": incoming.routing_key or "",
        "messageId": incoming.message_id,
        "type": incoming.type,
        "contentType": incoming.content_type,
        "replyTo": incoming.reply_to,
        "appId": incoming.app_id,
        "priority": incoming.priority,
        "timestamp": None if sent_at is None else _plain(sent_at),
        "redelivered": bool(incoming.redelivered),
    }
    return Message(
        address=address,
        key=incoming.routing_key,
        value=decode_value(incoming.body or None),
        headers=headers,
        correlation_id=incoming.correlation_id if correlation_id is None else correlation_id,
        arrived_at=datetime.now(UTC),
        facts=facts,
    )


def build_message(call: StepCall) -> aio_pika.Message:
    """Give the message that an action publishes. Raises ``StepError`` where a header cannot be sent.

    Its id is the idempotency key, by which a consumer recognises what it has got already.
    """
    value = call.message.get("value")
    content_type = None
    if value is not None:
        content_type = "text/plain" if isinstance(value, str) else "application/json"
    return aio_pika.Message(
        body=encode_value(value) or b"",
        headers=cast("Any", amqp_headers(call)),  # which are narrower than the driver's, and its dictionaries invariant
        content_type=content_type,
        content_encoding="utf-8" if content_type else None,
        correlation_id=call.correlation_id or None,
        message_id=call.idempotency_key or uuid4().hex,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        timestamp=datetime.now(UTC),
        app_id="pytest-orchestra",
    )


def _plain(value: object) -> JsonValue:
    """Give a value of a field table as JSON."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, (bytes, bytearray)):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, Sequence):
        return [_plain(entry) for entry in value]
    return str(value)
