"""Bytes of messages as JSON values, and JSON values as bytes of messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping

from pydantic_core import from_json

from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = ["decode_headers", "decode_text", "decode_value", "encode_value", "header_of", "message_headers", "text_of"]


def decode_value(raw: bytes | None) -> JsonValue:
    """Give what the bytes of a message say: JSON parsed, else text, else base64; null where there are none."""
    if raw is None:
        return None
    try:
        value: JsonValue = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return decode_text(raw)
    return value


def decode_text(raw: bytes) -> str:
    """Give bytes as text if they are UTF-8, else as base64."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def decode_headers(pairs: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Give headers as text; of several of one name the last, which is the one that counts in Kafka."""
    return {name: "" if raw is None else decode_text(raw) for name, raw in pairs}


def encode_value(value: JsonValue) -> bytes | None:
    """Give the bytes to send: text as it is, everything else as JSON; null is a message without a value."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def text_of(value: JsonValue) -> str:
    """Give a key or header as text: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def message_headers(headers: JsonObject, **always: str) -> dict[str, str]:
    """Give the headers of a message to send, those without a value left out."""
    given = {name: text_of(value) for name, value in headers.items() if value is not None}
    known = {name.lower() for name in given}
    return given | {name: text for name, text in always.items() if text and name.lower() not in known}


def header_of(headers: Mapping[str, str], name: str) -> str | None:
    """Give a header by its name, whatever its case."""
    exact = headers.get(name)
    if exact is not None:
        return exact
    folded = name.lower()
    return next((text for known, text in headers.items() if known.lower() == folded), None)
