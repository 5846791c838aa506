"""JSON values, and the one way of model values to JSON and back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from pydantic import TypeAdapter

__all__ = ["JsonObject", "JsonValue", "from_json", "to_json"]

if TYPE_CHECKING:
    JsonValue: TypeAlias = str | int | float | bool | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
    JsonObject: TypeAlias = Mapping[str, JsonValue]
else:  # pydantic would otherwise check, and copy, every response body against a recursive union
    JsonValue: TypeAlias = Any
    JsonObject: TypeAlias = Mapping[str, Any]

_T = TypeVar("_T")


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def to_json(value: object) -> JsonValue:
    """Give a model value (dataclass, pydantic model, enum, moment ...) as plain JSON; moments become ISO 8601."""
    return cast("JsonValue", _adapter(cast("Hashable", type(value))).dump_python(value, mode="json"))


def from_json(kind: type[_T], raw: JsonValue) -> _T:
    """Build a model value from what :func:`to_json` gave. Raises ``pydantic.ValidationError``."""
    return cast("_T", _adapter(cast("Hashable", kind)).validate_python(raw))
