"""Any JSON value as ``jsonb`` and back, also the few that PostgreSQL refuses.

``jsonb`` takes no NUL character, no lone surrogate, no NaN and no infinity, and gives large floats back as integers; a
system under test may well answer with them. They are written with an escape, which :func:`load_jsonb` takes back.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Final

import pydantic_core

from pytest_orchestra.model.json import JsonValue

__all__ = ["dump_jsonb", "escape_text", "load_jsonb", "unescape_text"]

_ESCAPE: Final = "\ue000"  # of the private use area; doubled where a text holds it itself
_REFUSED: Final = re.compile(f"[\x00\ud800-\udfff{_ESCAPE}]")
_ESCAPED: Final = re.compile(f"{_ESCAPE}(?:{_ESCAPE}|[0-9a-f]{{4}})")
_NUMBER: Final = f"{_ESCAPE}n"  # before a float that jsonb would refuse or change
_SUSPECT: Final = (b"\\u0000", b"e+", b"NaN", b"Infinity", _ESCAPE.encode())  # sometimes harmless, seldom there


def dump_jsonb(value: object) -> str:
    """Give a value as JSON text that ``jsonb`` takes; model values in it are written as ``model.json`` writes them."""
    try:
        text = pydantic_core.to_json(value, inf_nan_mode="constants")
    except ValueError:  # a lone surrogate
        return _dump_escaped(value)
    return _dump_escaped(value) if any(mark in text for mark in _SUSPECT) else text.decode()


def load_jsonb(data: str | bytes | bytearray) -> JsonValue:
    """Give the value that :func:`dump_jsonb` was given."""
    text = data if isinstance(data, str) else bytes(data).decode()
    value: JsonValue = json.loads(text)
    return _unescape(value) if _ESCAPE in text else value


def escape_text(text: str) -> str:
    """Give a text that a text column takes."""
    return _REFUSED.sub(lambda found: _ESCAPE * 2 if found[0] == _ESCAPE else f"{_ESCAPE}{ord(found[0]):04x}", text)


def unescape_text(text: str) -> str:
    """Give the text that :func:`escape_text` was given."""
    return _ESCAPED.sub(lambda found: _ESCAPE if found[0] == _ESCAPE * 2 else chr(int(found[0][1:], 16)), text)


def _dump_escaped(value: object) -> str:
    return json.dumps(_escape(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _escape(value: object) -> JsonValue:
    if isinstance(value, str):
        return escape_text(value)
    if isinstance(value, float) and (not math.isfinite(value) or "e+" in repr(value)):
        return f"{_NUMBER}{value!r}"
    if isinstance(value, Mapping):
        return {escape_text(name): _escape(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escape(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {part.name: _escape(getattr(value, part.name)) for part in dataclasses.fields(value)}
    plain: JsonValue = pydantic_core.to_jsonable_python(value)
    return plain


def _unescape(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return float(value.removeprefix(_NUMBER)) if value.startswith(_NUMBER) else unescape_text(value)
    if isinstance(value, Mapping):
        return {unescape_text(name): _unescape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_unescape(item) for item in value]
    return value
