"""Values of Avro as JSON, and JSON as the values that an Avro schema wants.

What is read can be written: moments are ISO 8601, bytes base64, decimals numbers (Avro 1.11.1, "Logical Types").
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.protocols.schema_check import pointer_to, shown
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["ValueMisfitError", "avro_of", "json_of"]

Path = tuple[str | int, ...]

_BITS: Final = {"int": 31, "long": 63}
_BYTES: Final = ("bytes", "fixed")
_NOT_FINITE: Final = ("nan", "inf", "-inf")


class ValueMisfitError(ValueError):
    """A value is not what its schema wants; the text says where and why."""

    def __init__(self, path: Sequence[str | int], fact: str) -> None:
        super().__init__(f"/value{pointer_to(path)}: {fact}")
        self.path = path


def json_of(value: object) -> JsonValue:
    """Give a value of Avro as JSON: moments in ISO 8601, bytes in base64, decimals as numbers."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            whole = value == value.to_integral_value()
            return int(value) if whole else float(value)
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case Mapping():
            return {str(name): json_of(part) for name, part in value.items()}
        case Sequence():
            return [json_of(part) for part in value]
    return str(value)


def avro_of(value: JsonValue, schema: Any, named: Mapping[str, Any]) -> object:
    """Give JSON as the value that ``fastavro`` writes by a parsed schema; ``named`` are the types that have names.

    A field that is not there is null where its schema lets it be. Raises ``ValueMisfitError``.
    """
    return _Writing(named).value(value, schema, ())


class _Writing:
    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named

    def value(self, value: JsonValue, schema: Any, path: Path) -> object:
        schema = self._named.get(schema, schema) if isinstance(schema, str) else schema
        if isinstance(schema, list):
            return self._union(value, schema, path)
        kind = schema["type"] if isinstance(schema, Mapping) else schema
        if not isinstance(kind, str) or (kind in self._named and kind != _name_of(schema)):
            return self.value(value, kind, path)
        facts: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
        match kind:
            case "record" | "error":
                return self._record(value, facts, path)
            case "map" if isinstance(value, Mapping):
                return {name: self.value(part, facts["values"], (*path, name)) for name, part in value.items()}
            case "array" if isinstance(value, list):
                return [self.value(part, facts["items"], (*path, at)) for at, part in enumerate(value)]
            case "enum" if isinstance(value, str):
                return _symbol(value, facts["symbols"], path)
        return _scalar(value, kind, facts, path)

    def _record(self, value: JsonValue, schema: Mapping[str, Any], path: Path) -> dict[str, object]:
        name = _name_of(schema)
        if not isinstance(value, Mapping):
            raise ValueMisfitError(path, f"expected an object with the fields of '{name}', observed {shown(value)}")
        fields = {field["name"]: field for field in schema["fields"]}
        for given in value:
            if given not in fields:
                hint = suggest(given, fields, f"its fields: {', '.join(fields)}")
                raise ValueMisfitError(path, f"'{name}' has no field '{given}', {hint}")
        written: dict[str, object] = {}
        for each, field in fields.items():
            if each in value:
                written[each] = self.value(value[each], field["type"], (*path, each))
            elif "default" not in field:
                try:
                    written[each] = self.value(None, field["type"], (*path, each))
                except ValueMisfitError:
                    raise ValueMisfitError(path, f"required field '{each}' is missing") from None
        return written

    def _union(self, value: JsonValue, schemas: Sequence[Any], path: Path) -> object:
        faults: list[ValueMisfitError] = []
        for schema in sorted(schemas, key=self._is_bytes):  # many a text looks like base64
            try:
                written = self.value(value, schema, path)
            except ValueMisfitError as fault:
                if schema != "null":
                    faults.append(fault)
                continue
            full = self._full(schema)
            is_record = isinstance(full, Mapping) and full["type"] == "record"
            return (schema if isinstance(schema, str) else _name_of(full), written) if is_record else written
        deepest = max(faults, key=lambda fault: len(fault.path), default=None)
        if deepest is not None and (len(deepest.path) > len(path) or (len(faults) == 1 and value is not None)):
            raise deepest
        raise ValueMisfitError(path, f"expected {_either(map(_kind_of, schemas))}, observed {shown(value)}")

    def _is_bytes(self, schema: Any) -> bool:
        full = self._full(schema)
        kind = full["type"] if isinstance(full, Mapping) else full
        return kind in _BYTES and "logicalType" not in (full if isinstance(full, Mapping) else {})

    def _full(self, schema: Any) -> Any:
        return self._named.get(schema, schema) if isinstance(schema, str) else schema


def _scalar(value: JsonValue, kind: str, schema: Mapping[str, Any], path: Path) -> object:
    logical = str(schema.get("logicalType", ""))
    if logical == "decimal" and kind in _BYTES:
        return _decimal(value, schema, path)
    if isinstance(value, str) and kind in _BITS and logical:
        return _moment(value, logical, path)
    match kind:
        case "null" if value is None:
            return None
        case "boolean" if isinstance(value, bool):
            return value
        case "int" | "long" if isinstance(value, int) and not isinstance(value, bool):
            if not -(2 ** _BITS[kind]) <= value < 2 ** _BITS[kind]:
                raise ValueMisfitError(path, f"expected a number that fits '{kind}', observed {value}")
            return value
        case "float" | "double" if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        case "float" | "double" if value in _NOT_FINITE:
            return float(str(value))
        case "string" if isinstance(value, str):
            return _uuid(value, path) if logical == "uuid" else value
        case "bytes" | "fixed" if isinstance(value, str):
            return _bytes(value, schema.get("size"), path)
    raise ValueMisfitError(path, f"expected {_word_for(kind, logical)}, observed {shown(value)}")


def _decimal(value: JsonValue, schema: Mapping[str, Any], path: Path) -> Decimal:
    scale, precision = int(schema.get("scale", 0)), int(schema["precision"])
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ArithmeticError):  # no number
            number = Decimal(str(value))
            digits = number.scaleb(scale)
            if digits == digits.to_integral_value() and abs(digits) < 10**precision:
                return number
    wanted = f"expected a decimal number of {precision} digits, {scale} of them behind the point"
    raise ValueMisfitError(path, f"{wanted}, observed {shown(value)}")


def _moment(value: str, logical: str, path: Path) -> object:
    """Give a day, a time of day or a moment; one without an offset is of UTC."""
    try:
        if logical == "date":
            return date.fromisoformat(value)
        if logical.startswith("time-"):
            return time.fromisoformat(value)
        if logical.startswith("local-timestamp-"):
            return datetime.fromisoformat(value).replace(tzinfo=None)
        if logical.startswith("timestamp-"):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        pass
    raise ValueMisfitError(path, f"expected {_word_for('int', logical)}, observed {shown(value)}")


def _uuid(value: str, path: Path) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueMisfitError(path, f"expected a UUID, observed {shown(value)}") from None


def _bytes(value: str, size: int | None, path: Path) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        raise ValueMisfitError(path, f"expected bytes in base64, observed {shown(value)}") from None
    if size is not None and len(raw) != size:
        raise ValueMisfitError(path, f"expected {size} bytes in base64, observed {len(raw)}")
    return raw


def _symbol(value: str, symbols: Sequence[str], path: Path) -> str:
    if value not in symbols:
        either = _either(f"'{symbol}'" for symbol in symbols)
        raise ValueMisfitError(path, f"expected {either}, observed {shown(value)}")
    return value


def _name_of(schema: Any) -> str:
    return str(schema.get("name", "")) if isinstance(schema, Mapping) else str(schema)


def _kind_of(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return str(schema)
    return str(schema.get("logicalType") or schema.get("name") or schema["type"])


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _word_for(kind: str, logical: str) -> str:
    if logical == "date":
        return "a day, '2026-01-31'"
    if logical.startswith("time-"):
        return "a time of day, '08:30:00'"
    if "timestamp-" in logical:
        return "a moment, '2026-01-31T08:30:00Z'"
    words = {
        "null": "null",
        "boolean": "true or false",
        "int": "a whole number",
        "long": "a whole number",
        "float": "a number",
        "double": "a number",
        "string": "a text",
        "bytes": "bytes in base64",
        "fixed": "bytes in base64",
        "array": "a list",
        "map": "an object",
        "enum": "a text",
    }
    return words.get(kind, f"'{kind}'")
