"""Values that satisfy a schema, made from its examples, defaults and limits; always the same for the same schema."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_orchestra.generation.binding.schemas import Schema, Schemas
from pytest_orchestra.generation.binding.words import words_of
from pytest_orchestra.generation.scaffold.patterns import text_matching
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import MediaType

__all__ = ["Accepts", "Sample", "sample_body", "sample_value"]

Accepts = Callable[[JsonValue], bool]
"""Whether a value satisfies the schema that is asked about."""

MAX_DEPTH: Final = 8
"""Nesting of the values that are made."""

MAX_OPTIONAL: Final = 6
"""How many members are given to an object of which none is required."""

MAX_ITEMS: Final = 20
MAX_LENGTH: Final = 200

_FORMATS: Final[Mapping[str, str]] = {
    "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "date": "2030-01-31",
    "date-time": "2030-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uri-reference": "/example",
    "iri": "https://example.com/",
    "iri-reference": "/example",
    "uri-template": "/example/{id}",
    "json-pointer": "/example",
    "relative-json-pointer": "0",
    "regex": "^a+$",
    "byte": "ZXhhbXBsZQ==",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A value, and whether it was found to satisfy its schema."""

    value: JsonValue
    is_valid: bool


@dataclass(frozen=True, slots=True)
class _Way:
    """How a value is made: with the schemas' own examples, with optional members, with which of alternatives."""

    examples: bool = True
    optional: bool = False
    alternative: int = 0


_WAYS: Final = (
    _Way(),
    _Way(examples=False),
    _Way(optional=True),
    _Way(examples=False, optional=True),
    *(_Way(examples=False, alternative=number) for number in (1, 2, 3)),
    *(_Way(examples=False, optional=True, alternative=number) for number in (1, 2, 3)),
)


def sample_body(media_type: MediaType, schemas: Schemas, accepts: Accepts) -> Sample:
    """Give a body: the first declared example that is valid, else one that is made; else the first one made."""
    for example in media_type.examples:
        if accepts(example):
            return Sample(example, is_valid=True)
    if media_type.schema is None:
        return Sample(next(iter(media_type.examples), {}), is_valid=True)
    return sample_value({"$ref": media_type.schema.uri}, schemas, accepts)


def sample_value(schema: object, schemas: Schemas, accepts: Accepts, name: str = "") -> Sample:
    """Give a value for a schema, valid if any way to make one gives such. ``name`` is what people call it."""
    first: list[JsonValue] = []
    for way in _WAYS:
        value = _Maker(schemas, way).make(schema, name, ())
        if accepts(value):
            return Sample(value, is_valid=True)
        first.append(value)
    return Sample(first[0], is_valid=False)


class _Maker:
    def __init__(self, schemas: Schemas, way: _Way) -> None:
        self._schemas = schemas
        self._way = way

    def make(self, raw: object, name: str, above: tuple[str, ...], index: int = 0) -> JsonValue:
        ref = raw.get("$ref") if isinstance(raw, Mapping) else None
        inside = (*above, ref) if isinstance(ref, str) else above
        schema = self._chosen(self._schemas.whole(raw), inside)
        for value in self._given(schema):
            return value
        kind = _type_of(schema)
        if kind == "object":
            return self._object(schema, inside) if len(inside) <= MAX_DEPTH else {}
        if kind == "array":
            return self._array(schema, name, inside)
        if kind == "string":
            return _string(schema, name, index)
        if kind in ("integer", "number"):
            return _number(schema, is_integer=kind == "integer") + index
        if kind == "boolean":
            return index % 2 == 0
        return None if kind == "null" else _string(schema, name, index)

    def _given(self, schema: Schema) -> Iterator[JsonValue]:
        """Give what the schema itself offers as a value."""
        if "const" in schema:
            yield schema["const"]
        if self._way.examples:
            examples = schema.get("examples")
            yield from examples[:1] if isinstance(examples, list) else ()
            if "example" in schema:
                yield schema["example"]
            if schema.get("default") is not None:
                yield schema["default"]
        values = schema.get("enum")
        if isinstance(values, list):
            yield from [value for value in values if value is not None] or values[:1]

    def _chosen(self, schema: Schema, above: tuple[str, ...]) -> Schema:
        """Give the schema together with one of its alternatives, if it has such."""
        for keyword in ("oneOf", "anyOf"):
            options = schema.get(keyword)
            if not isinstance(options, list) or not options:
                continue
            fresh = [o for o in options if not (isinstance(o, Mapping) and o.get("$ref") in above)] or options
            real = [option for option in fresh if self._schemas.whole(option).get("type") != "null"] or fresh
            option = real[min(self._way.alternative, len(real) - 1)]
            rest = {key: value for key, value in schema.items() if key != keyword}
            whole = self._schemas.whole({"allOf": [rest, option]})
            return self._chosen(self._discriminated(schema, option, whole), above)
        return schema

    def _discriminated(self, schema: Schema, option: object, whole: Schema) -> Schema:
        """Give the alternative with the property that tells which one it is."""
        discriminator = schema.get("discriminator")
        name = discriminator.get("propertyName") if isinstance(discriminator, Mapping) else None
        called = self._schemas.name_of(option)
        if not isinstance(name, str) or not called or not isinstance(discriminator, Mapping):
            return whole
        mapping = discriminator.get("mapping")
        pairs = mapping.items() if isinstance(mapping, Mapping) else ()
        key = next((key for key, target in pairs if str(target).rpartition("/")[2] == called), called)
        properties = {**whole.get("properties", {}), name: {"const": key}}
        return {**whole, "properties": properties, "required": [*whole.get("required", ()), name]}

    def _object(self, schema: Schema, above: tuple[str, ...]) -> JsonValue:
        properties = schema.get("properties")
        known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
        required = [name for name in schema.get("required", ()) if isinstance(name, str)]
        names = list(dict.fromkeys(required))
        least = _whole_number(schema.get("minProperties"), 0)
        optional = [
            name for name, member in known.items() if name not in names and not self._is_left_out(member, above)
        ]
        if self._way.optional:
            names += optional
        elif not names:
            names += optional[:MAX_OPTIONAL]
        names += [name for name in optional if name not in names][: max(least - len(names), 0)]
        names = _without_exclusive(names, schema)
        more = schema.get("additionalProperties")
        others = more if isinstance(more, Mapping) else {}
        made = {name: self.make(known.get(name, others), name, above) for name in names}
        for number in range(max(least - len(made), 0)):
            made[f"key{number + 1}"] = self.make(more, "value", above)
        return made

    def _is_left_out(self, member: object, above: tuple[str, ...]) -> bool:
        """Whether an optional member is not sent: it is the server's, or it leads back to where it comes from."""
        ref = member.get("$ref") if isinstance(member, Mapping) else None
        whole = self._schemas.whole(member)
        items = whole.get("items")
        within = items.get("$ref") if isinstance(items, Mapping) else None
        return (
            whole.get("readOnly") is True
            or whole.get("deprecated") is True
            or ref in above
            or within in above
            or len(above) >= MAX_DEPTH
        )

    def _array(self, schema: Schema, name: str, above: tuple[str, ...]) -> JsonValue:
        least = min(_whole_number(schema.get("minItems"), 0), MAX_ITEMS)
        most = _whole_number(schema.get("maxItems"), MAX_ITEMS)
        if len(above) > MAX_DEPTH:
            return []
        first = schema.get("prefixItems")
        fixed: Sequence[Any] = first if isinstance(first, list) else ()
        count = min(max(least, 1, len(fixed)), most)
        rest = schema.get("items", {})
        count = min(count, len(fixed)) if rest is False else count
        return [
            self.make(fixed[number] if number < len(fixed) else rest, name, (*above, "[]"), number)
            for number in range(count)
        ]


def _without_exclusive(names: Sequence[str], schema: Schema) -> list[str]:
    """Leave out what must not stand beside a name that comes before it: ``not`` of members that are ``required``."""
    refused = schema.get("not")
    choices = refused.get("anyOf", [refused]) if isinstance(refused, Mapping) else []
    groups = [set(each["required"]) for each in choices if isinstance(each, Mapping) and each.keys() == {"required"}]
    kept: list[str] = []
    for name in names:
        if not any(name in group and group <= {*kept, name} for group in groups):
            kept.append(name)
    return kept


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "additionalProperties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    if {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} & schema.keys():
        return "number"
    return "string"


def _string(schema: Schema, name: str, index: int) -> str:
    least = min(_whole_number(schema.get("minLength"), 0), MAX_LENGTH)
    most = _whole_number(schema.get("maxLength"), MAX_LENGTH)
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        made = text_matching(pattern, least)
        if made is not None:
            return made
    form = "byte" if schema.get("contentEncoding") == "base64" else schema.get("format")
    if isinstance(form, str) and form in _FORMATS:
        text = _FORMATS[form]
        return f"{text[:-1]}{index}" if index and form == "uuid" else text
    text = " ".join(words_of(name)) or "text"
    text = f"{text} {index + 1}" if index else text
    while len(text) < least:
        text += f" {text}"
    return text[: max(most, least)].strip() or "a" * min(most, 1)


def _number(schema: Schema, *, is_integer: bool) -> int | float:
    """Give 1 if that is allowed, else the nearest number to it that is."""
    low = _bound(schema, "minimum", "exclusiveMinimum", is_integer=is_integer, sign=1)
    high = _bound(schema, "maximum", "exclusiveMaximum", is_integer=is_integer, sign=-1)
    value: int | float = 1
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high
    step = schema.get("multipleOf")
    if isinstance(step, (int, float)) and not isinstance(step, bool) and step > 0:
        value = math.ceil(value / step) * step
    if is_integer and isinstance(value, float) and math.isfinite(value):
        value = math.ceil(value) if high is None or math.ceil(value) <= high else math.floor(value)
    return value


def _bound(schema: Schema, inclusive: str, exclusive: str, *, is_integer: bool, sign: int) -> int | float | None:
    found: list[int | float] = []
    value = schema.get(inclusive)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found.append(value)
    value = schema.get(exclusive)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found.append(value + sign * (1 if is_integer else 0.5))
    if not found:
        return None
    return max(found) if sign > 0 else min(found)


def _whole_number(value: object, default: int) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default
