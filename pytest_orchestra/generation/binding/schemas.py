"""Schemas of a specification as what they demand: references followed, ``allOf`` put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, ResponseSpec, SchemaRef

__all__ = ["Schema", "Schemas", "json_media_type", "success_response"]

Schema = Mapping[str, Any]
"""A schema as an object; ``true`` is the empty one."""

MAX_DEPTH: Final = 24
"""How many references and ``allOf`` are followed one inside the other."""


class Schemas:
    """The schemas of one specification."""

    def __init__(self, spec: ProtocolSpec) -> None:
        self._spec = spec

    def at(self, ref: SchemaRef | None) -> Schema:
        """Give the schema at an address, put together; an empty one if there is none."""
        return {} if ref is None else self.whole({"$ref": ref.uri})

    def whole(self, schema: object, depth: int = 0) -> Schema:
        """Give a schema with its reference followed and its ``allOf`` put together, one level deep."""
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return {}
        parts: list[Schema] = []
        if isinstance(schema.get("$ref"), str):
            parts.append(self.whole(self._find(schema["$ref"]), depth + 1))
        parts += [self.whole(part, depth + 1) for part in _list(schema.get("allOf"))]
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        return _together([*parts, own]) if parts else own

    def name_of(self, schema: object) -> str:
        """Give the name that a referenced schema has in its document; nothing for one that is written in place."""
        if not isinstance(schema, Mapping):
            return ""
        refs = [schema.get("$ref"), *(part.get("$ref") for part in _list(schema.get("allOf")))]
        ref = next((ref for ref in refs if isinstance(ref, str)), "")
        return unquote(ref.rpartition("/")[2]) if "#" in ref else ""

    def raw(self, ref: SchemaRef | None) -> object:
        """Give the schema at an address as it stands."""
        return None if ref is None else self._find(ref.uri)

    def _find(self, uri: str) -> object:
        name, _, pointer = uri.partition("#")
        found: Any = self._spec.documents.get(name)
        for part in pointer.split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(key)
            elif isinstance(found, Sequence) and not isinstance(found, str) and key.isdecimal():
                found = found[int(key)] if int(key) < len(found) else None
            else:
                return None
        return found


def json_media_type(media_types: Sequence[MediaType]) -> MediaType | None:
    """Give the representation that is JSON, else the first one."""
    return next((each for each in media_types if "json" in each.media_type), next(iter(media_types), None))


def success_response(operation: Operation) -> ResponseSpec | None:
    """Give the response that tells of success: the lowest ``2xx``, else ``default`` if nothing else is declared."""
    found = sorted((each for each in operation.responses if each.status.startswith("2")), key=lambda each: each.status)
    if found:
        return found[0]
    return next((each for each in operation.responses if each.status == "default"), None)


def _together(parts: Sequence[Schema]) -> Schema:
    """Put schemas together: objects have the properties of all, of single keywords the last one counts."""
    whole: dict[str, JsonValue] = {}
    properties: dict[str, Any] = {}
    required: dict[str, None] = {}
    for part in parts:
        whole |= part
        for name, schema in _mapping(part.get("properties")).items():
            known = properties.get(name)
            properties[name] = {"allOf": [known, schema]} if known is not None and known != schema else schema
        required |= dict.fromkeys(name for name in _list(part.get("required")) if isinstance(name, str))
    if properties:
        whole["properties"] = properties
    if required:
        whole["required"] = list(required)
    return whole


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
