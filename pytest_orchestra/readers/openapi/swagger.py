"""Objects of Swagger 2.0 as those of OpenAPI 3: parameters with schemas, bodies and responses by media type.

The layout of the document stays (``#/definitions/Order`` is still there), so that references keep their meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pytest_orchestra.readers.openapi.document import Location, Node, own_copy
from pytest_orchestra.readers.openapi.library import Library

__all__ = ["base_urls", "complete_operation", "complete_response", "describe_parameter"]

_SCHEMA_KEYWORDS: Final = (
    "type", "format", "items", "default", "enum", "pattern", "multipleOf", "uniqueItems", "maximum", "exclusiveMaximum",
    "minimum", "exclusiveMinimum", "maxLength", "minLength", "maxItems", "minItems", "x-nullable",
)  # fmt: skip
_STYLES: Final = {"ssv": ("spaceDelimited", False), "pipes": ("pipeDelimited", False), "multi": ("form", True)}
_JSON: Final = "application/json"
_MULTIPART: Final = "multipart/form-data"
_URLENCODED: Final = "application/x-www-form-urlencoded"


def base_urls(root: Node) -> tuple[str, ...]:
    """Give what OpenAPI 3 calls ``servers``: schemes, host and base path."""
    host, path = root.get("host"), root.get("basePath")
    base = path if isinstance(path, str) else ""
    if not isinstance(host, str):
        return (base,) if base else ()
    return tuple(f"{scheme}://{host}{base}" for scheme in _texts(root.get("schemes")) or ("https",))


def describe_parameter(node: Node, location: Location, library: Library) -> None:
    """Gather what a parameter or header says of its values in a schema, and translate ``collectionFormat``."""
    if node.get("in") == "body" or "schema" in node or "$ref" in node:
        return
    keywords = [keyword for keyword in _SCHEMA_KEYWORDS if keyword in node]
    if not keywords:
        return
    node["schema"] = {keyword: node[keyword] for keyword in keywords}
    if node.get("type") != "array":
        return
    separator = node.get("collectionFormat", "csv")
    in_query = node.get("in") in {"query", "formData"}
    if separator == "csv":
        node["style"], node["explode"] = ("form" if in_query else "simple"), False
    elif isinstance(separator, str) and separator in _STYLES:
        node["style"], node["explode"] = _STYLES[separator]
    else:
        library.warn(
            location / "collectionFormat", f"'collectionFormat' '{separator}' has no counterpart; it is ignored"
        )


def complete_response(node: Node, produces: Sequence[str], library: Library) -> None:
    """Give a response its ``content``: its schema, for all media types of the operation or document."""
    if "schema" not in node and "examples" not in node:
        return
    media_types = produces or _texts(library.root.content.get("produces")) or (_JSON,)
    examples = _mapping(node.get("examples"))
    content: dict[str, Node] = {}
    for media_type in dict.fromkeys((*media_types, *examples)):
        content[media_type] = {}
        if "schema" in node:
            content[media_type]["schema"] = node["schema"]
        if media_type in examples:
            content[media_type]["example"] = examples[media_type]
    node["content"] = content


def complete_operation(node: Node, path_item: Node, location: Location, library: Library) -> None:
    """Give an operation its ``requestBody``, of its parameters and the path's, and its responses their ``content``."""
    produces = _texts(node.get("produces"))
    for key, response in _mapping(node.get("responses")).items():
        if isinstance(response, dict) and "$ref" not in response and not key.startswith("x-"):
            complete_response(response, produces, library)
    own = _parameters(node, location, library)
    inherited = _parameters(path_item, Location(location.document, location.path[:-1]), library)
    by_name = {(parameter.get("in"), parameter.get("name")): (parameter, at) for parameter, at in (*inherited, *own)}
    form = [(p, at) for (place, _), (p, at) in by_name.items() if place == "formData"]
    body = next(((p, at) for (place, _), (p, at) in by_name.items() if place == "body"), None)
    consumes = _texts(node.get("consumes")) or _texts(library.root.content.get("consumes"))
    if body is not None:
        parameter, at = body
        media: Node = {"schema": {"$ref": library.target_uri(at / "schema")}} if "schema" in parameter else {}
        node["requestBody"] = _body(media, consumes or (_JSON,), required=parameter.get("required") is True)
    elif form:
        has_file = any(parameter.get("type") == "file" for parameter, _ in form)
        usual = _MULTIPART if has_file else _URLENCODED
        media_types = [media_type for media_type in consumes if media_type in {_MULTIPART, _URLENCODED}] or [usual]
        required = any(parameter.get("required") is True for parameter, _ in form)
        node["requestBody"] = _body({"schema": _form_schema(form)}, media_types, required=required)


def _parameters(holder: Node, location: Location, library: Library) -> list[tuple[Node, Location]]:
    """Give the parameters of an operation or path, as the source has them, with their locations."""
    found = []
    parameters = holder.get("parameters")
    for index, parameter in enumerate(parameters if isinstance(parameters, list) else ()):
        if not isinstance(parameter, dict):
            continue
        target = library.follow(location / "parameters" / index) if "$ref" in parameter else None
        if "$ref" in parameter and target is None:
            continue
        at = target or location / "parameters" / index
        node = library.content(at)
        if isinstance(node, dict) and isinstance(node.get("name"), str):
            found.append((node, at))
    return found


def _form_schema(form: Sequence[tuple[Node, Location]]) -> Node:
    """Give the schema of a form: an object of its fields."""
    schema: Node = {"type": "object", "properties": {}}
    for parameter, at in form:
        described = "schema" in parameter or any(keyword in parameter for keyword in _SCHEMA_KEYWORDS)
        schema["properties"][parameter["name"]] = {"$ref": (at / "schema").uri} if described else {}
    required = [parameter["name"] for parameter, _ in form if parameter.get("required") is True]
    if required:
        schema["required"] = required
    return schema


def _body(media: Node, media_types: Sequence[str], *, required: bool) -> Node:
    return {"required": required, "content": {media_type: own_copy(media) for media_type in media_types}}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
