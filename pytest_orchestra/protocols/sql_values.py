"""Values between JSON and databases."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.types.json import Jsonb

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = ["bound_value", "plain_value", "read_rows", "register_loaders"]

_MOMENT = re.compile(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)")
_OFFSET = re.compile(r"(?<=[\d.])([+-]\d\d)$")
_ZEROS = re.compile(r"(\.\d+?)0+(?!\d)")
_WIDEST_BIGINT = 2**63


class _TextLoader(Loader):
    """Gives what the server wrote: an interval in ISO 8601, as the session asks for it, or a date."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _MomentLoader(Loader):
    """Gives ISO 8601, with an offset where the type has one; ``infinity`` and years before Christ as they are written.

    The driver's own reader knows years 1 to 9999 only.
    """

    def load(self, data: Buffer) -> str:
        return _OFFSET.sub(r"\1:00", _MOMENT.sub(r"\1T\2", bytes(data).decode(), count=1))


def register_loaders(context: AdaptContext) -> None:
    """Make a connection read moments and intervals as text."""
    for name in ("date", "interval"):
        context.adapters.register_loader(name, _TextLoader)
    for name in ("time", "timetz", "timestamp", "timestamptz"):
        context.adapters.register_loader(name, _MomentLoader)


def bound_value(value: JsonValue) -> object:
    """Give a JSON value as the driver binds it: lists as arrays, objects and lists of objects as ``jsonb``."""
    if isinstance(value, Mapping):
        return Jsonb(value)
    if isinstance(value, str) or not isinstance(value, Sequence):
        # an integer beyond bigint has no type of its own in the driver's eyes
        return Decimal(value) if isinstance(value, int) and abs(value) >= _WIDEST_BIGINT else value
    if any(isinstance(item, Mapping) for item in value):
        return Jsonb(value)
    items = [bound_value(item) for item in value]
    kinds = {type(item) for item in items} - {type(None)}
    if kinds == {int, float}:
        return [float(item) if isinstance(item, int) else item for item in items]
    return items


def plain_value(value: JsonValue) -> object:
    """Give a JSON value as any driver binds it: lists and objects as JSON texts."""
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return json.dumps(value, ensure_ascii=False)
    return value


def read_rows(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[JsonObject]:
    """Give rows as objects of JSON values. Raises ``StepError`` where two columns have one name."""
    for name in names:
        if names.count(name) > 1:
            raise StepError(
                f"the SQL gives two columns named '{name}'", hint=f"name one of them otherwise: '... as {name}_2'"
            )
    return [dict(zip(names, map(_json_value, row), strict=True)) for row in rows]


def _json_value(value: object) -> JsonValue:
    """Give a number as int or float (``NaN`` and infinities as text), bytes as Base64, what JSON lacks as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(Decimal(value))
        case Decimal():
            return _number(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return _ZEROS.sub(r"\1", value.isoformat())
        case timedelta():
            return _duration(value)
        case list() | tuple():
            return [_json_value(item) for item in value]
        case dict():
            return {str(key): _json_value(item) for key, item in value.items()}
        case _:
            return str(value)


def _duration(value: timedelta) -> str:
    """Write a duration as PostgreSQL writes it in ISO 8601: ``P2DT3H4M5S``, each part with its own sign."""
    sign = "-" if value < timedelta() else ""
    left = abs(value)
    minutes, seconds = divmod(left.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{left.microseconds:06}".rstrip("0") if left.microseconds else ""
    days = f"{sign}{left.days}D" if left.days else ""
    parts = [f"{sign}{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number]
    if seconds or fraction:
        parts.append(f"{sign}{seconds}{fraction}S")
    return f"P{days}{'T' if parts else ''}{''.join(parts)}" if days or parts else "PT0S"


def _number(value: Decimal) -> JsonValue:
    if not value.is_finite():
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)
