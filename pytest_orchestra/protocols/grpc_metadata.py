"""The metadata of gRPC calls, in JSON and on the wire.

Keys end in ``-bin`` where the value is bytes, which JSON has in base64 (gRPC over HTTP/2, section "Requests").
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Final

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = ["Metadata", "find_metadata_faults", "read_metadata", "write_metadata"]

Metadata = tuple[tuple[str, str | bytes], ...]
"""Keys and values as they go over the wire."""

_KEY: Final = re.compile(r"[0-9a-z_.-]+")
_RESERVED: Final = "grpc-"
_BINARY: Final = "-bin"


def find_metadata_faults(given: Mapping[str, JsonValue], where: str) -> Iterable[tuple[str, str]]:
    """Say which keys cannot be those of metadata."""
    for key in given:
        if not _KEY.fullmatch(key.lower()):
            yield f"'{where}.{key}' is no key of metadata", "use letters, digits, '-', '_' and '.'"
        elif key.lower().startswith(_RESERVED):
            yield f"'{where}.{key}' is reserved by gRPC", "choose a key that does not begin with 'grpc-'"


def write_metadata(given: JsonObject) -> Metadata:
    """Make metadata of JSON: keys in lower case, a list is a key several times, null is left out.

    Raises ``StepError`` where a key or value cannot be sent.
    """
    for fact, hint in find_metadata_faults(given, "metadata"):
        raise StepError(fact, hint=hint)
    return tuple(
        (key.lower(), _written(key.lower(), item))
        for key, value in given.items()
        for item in (value if isinstance(value, (list, tuple)) else [value])
        if item is not None
    )


def _written(key: str, value: JsonValue) -> str | bytes:
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (str, int, float)):
        text = str(value)
    else:
        raise StepError(f"metadata '{key}' is neither text nor number", hint="give one value, or a list of them")
    if key.endswith(_BINARY):
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except binascii.Error:
            raise StepError(f"metadata '{key}' is not base64", hint="values of keys in '-bin' are base64") from None
    if not text.isascii() or not text.isprintable():
        raise StepError(
            f"metadata '{key}' has characters that gRPC cannot send",
            hint=f"use printable ASCII, or base64 under '{key}{_BINARY}'",
        )
    return text


def read_metadata(came: Iterable[tuple[str, str | bytes]] | None) -> JsonObject:
    """Give metadata as JSON: bytes in base64, the values of a key that came several times joined by commas."""
    found: dict[str, JsonValue] = {}
    for key, value in came or ():
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
