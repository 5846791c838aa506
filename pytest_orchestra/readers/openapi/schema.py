"""Schemas of OpenAPI 3.0 and Swagger 2.0 as JSON Schema 2020-12.

What differs (OpenAPI 3.0.4, "Schema Object" and "Reference Object"): ``nullable``, boolean ``exclusiveMinimum`` and
``exclusiveMaximum``, ``example``, and that nothing beside ``$ref`` counts. Keywords whose value no validator would
take are removed, with a warning: one misspelt type must not cost the whole contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pytest_orchestra.readers.openapi.document import Dialect, Node
from pytest_orchestra.readers.source_file import KeyPath
from pytest_orchestra.readers.validation import nearest

__all__ = ["LISTS", "MAPPINGS", "SINGLES", "Warn", "is_annotated_reference", "translate", "translated_path"]

Warn = Callable[[str, str, str | None], None]
"""Takes a keyword, what is wrong with it, and what to do."""

MAPPINGS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords that hold schemas by name."""
LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
"""Keywords that hold lists of schemas."""
SINGLES: Final = (
    "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema", "additionalItems",
)  # fmt: skip
"""Keywords that hold one schema."""

_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")
_REMOVED: Final = (
    "$id",
    "$schema",
    "$anchor",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$vocabulary",
    "nullable",
    "x-nullable",
)
_ANNOTATIONS: Final = frozenset({
    "title", "description", "default", "deprecated", "readOnly", "writeOnly", "example", "examples", "externalDocs",
    "xml", "$comment", "nullable", "x-nullable", "summary",
})  # fmt: skip
_REFUSING_NULL: Final = ("$ref", "allOf", "anyOf", "oneOf", "not")
"""Keywords that may refuse null whatever ``type`` says."""


def translate(schema: Node, dialect: Dialect, warn: Warn) -> None:
    """Turn one schema into JSON Schema 2020-12 in place; the schemas in it are turned already.

    ``$ref`` must have been resolved: it is kept as it is.
    """
    if dialect is not Dialect.JSON_SCHEMA_2020_12:
        _ignore_beside_reference(schema, warn)
        _turn_exclusive_limits(schema)
        if "example" in schema and "examples" not in schema:
            schema["examples"] = [schema.pop("example")]
    elif schema.get("nullable") is True:
        warn("nullable", "'nullable' does not count since OpenAPI 3.1", "add 'null' to the list of types")
    nullable = _is_nullable(schema, dialect)
    if isinstance(schema.get("items"), list):
        schema["prefixItems"] = schema.pop("items")
        if "additionalItems" in schema:
            schema["items"] = schema.pop("additionalItems")
    for keyword in _REMOVED:
        schema.pop(keyword, None)
    _drop_unusable(schema, warn)
    _check_types(schema, warn)
    if nullable:
        _allow_null(schema)


def translated_path(path: KeyPath, root: Any, dialect: Dialect) -> KeyPath:
    """Give the path in the translated document of what stands at ``path`` in its source."""
    translated: list[str | int] = []
    value = root
    for key in path:
        if isinstance(value, dict):
            if key in _REFUSING_NULL and _is_nullable(value, dialect):
                translated += ["anyOf", 0]
            translated.append("prefixItems" if key == "items" and isinstance(value[key], list) else key)
        else:
            translated.append(key)
        value = value[key]
    return tuple(translated)


def is_annotated_reference(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema is a reference, with nothing beside it that restricts anything."""
    return "$ref" in schema and all(
        keyword == "$ref" or keyword in _ANNOTATIONS or keyword.startswith("x-") for keyword in schema
    )


def _is_nullable(schema: Mapping[str, Any], dialect: Dialect) -> bool:
    if dialect is Dialect.OPENAPI_3_0:
        return schema.get("nullable") is True
    return dialect is Dialect.SWAGGER_2_0 and schema.get("x-nullable") is True


def _ignore_beside_reference(schema: Node, warn: Warn) -> None:
    """Remove what restricts beside ``$ref``: before OpenAPI 3.1, it does not count."""
    if "$ref" not in schema:
        return
    ignored = [k for k in schema if k != "$ref" and k not in _ANNOTATIONS and not k.startswith("x-")]
    for keyword in ignored:
        del schema[keyword]
        warn(keyword, f"'{keyword}' beside '$ref' does not count before OpenAPI 3.1", "put both in 'allOf'")


def _turn_exclusive_limits(schema: Node) -> None:
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if not isinstance(schema.get(exclusive), bool):
            continue
        if schema.pop(exclusive) and limit in schema:
            schema[exclusive] = schema.pop(limit)


def _allow_null(schema: Node) -> None:
    """Let null pass, whatever else the schema asks.

    By the letter of OpenAPI 3.0, null must also be in ``enum``, and ``nullable`` counts beside ``type`` alone; authors
    who write it elsewhere mean it.
    """
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*types, *(() if "null" in types else ("null",))]
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    refusing = {keyword: schema.pop(keyword) for keyword in _REFUSING_NULL if keyword in schema}
    if refusing:
        schema["anyOf"] = [refusing, {"type": "null"}]


def _check_types(schema: Node, warn: Warn) -> None:
    if "type" not in schema:
        return
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for kind in types:
        if kind in _TYPES or kind == "file":  # 'file' is Swagger's word for any bytes
            continue
        meant = nearest(kind, _TYPES) if isinstance(kind, str) else None
        warn("type", f"unknown type '{kind}'", f"did you mean '{meant}'?" if meant else f"use {', '.join(_TYPES)}")
    known = list(dict.fromkeys(kind for kind in types if kind in _TYPES))
    if not known or len(known) < len(dict.fromkeys(str(kind) for kind in types)):
        del schema["type"]  # what is left would refuse what the unknown type allows
    elif isinstance(schema["type"], list):
        schema["type"] = known


def _drop_unusable(schema: Node, warn: Warn) -> None:
    """Remove keywords whose value is of the wrong kind."""
    for keyword in [keyword for keyword in schema if keyword in _WANTED]:
        fits, wanted = _WANTED[keyword]
        if not fits(schema[keyword]):
            del schema[keyword]
            warn(keyword, f"'{keyword}' takes {wanted}; it is ignored", None)
    for keyword in LISTS:
        if schema.get(keyword) == []:
            del schema[keyword]
    pattern = schema.get("pattern")
    if pattern is not None and not _is_pattern(pattern):
        del schema["pattern"]
        warn("pattern", f"'{pattern}' is no regular expression that can be checked; it is ignored", None)
    for pattern in [p for p in schema.get("patternProperties", ()) if not _is_pattern(p)]:
        del schema["patternProperties"][pattern]
        warn("patternProperties", f"'{pattern}' is no regular expression that can be checked; it is ignored", None)


@cache
def _is_pattern(pattern: str) -> bool:
    import jsonschema_rs  # noqa: PLC0415  heavy, and only who reads a specification pays for it

    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except jsonschema_rs.ValidationError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_dependencies(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_names(each) or isinstance(each, (dict, bool)) for each in value.values())


_MAPPING: Final = (lambda value: isinstance(value, dict), "a mapping")
_LIST: Final = (lambda value: isinstance(value, list), "a list")
_TEXT: Final = (lambda value: isinstance(value, str), "a text")
_NUMBER: Final = (_is_number, "a number")
_SIZE: Final = (_is_size, "a whole number of at least 0")
_FLAG: Final = (lambda value: isinstance(value, bool), "true or false")
_WANTED: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys(MAPPINGS, _MAPPING),
    **dict.fromkeys((*LISTS, "enum"), _LIST),
    **dict.fromkeys(("pattern", "format", "$ref", "contentEncoding", "contentMediaType"), _TEXT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys(
        (
            "minLength", "maxLength", "minItems", "maxItems",
            "minProperties", "maxProperties", "minContains", "maxContains",
        ),
        _SIZE,
    ),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "uniqueItems": _FLAG,
    "required": (_is_names, "a list of names"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(_is_names(names) for names in value.values()),
        "a mapping of lists of names",
    ),
    "dependencies": (_are_dependencies, "a mapping of lists of names or of schemas"),
}  # fmt: skip
