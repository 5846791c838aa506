"""The walk through a specification: what each object is, what it may hold, and where its schemas are.

The objects are those of OpenAPI 3.0.4, 3.1.1 and 3.2.0 (section "Specification" of each) and of Swagger 2.0; the table
of fields is data. What has the wrong shape is removed with a warning, so that what reads the result can trust it.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Any, Final

from pytest_orchestra.readers.openapi.document import Dialect, Location, Node
from pytest_orchestra.readers.openapi.library import Library
from pytest_orchestra.readers.openapi.schema import LISTS, MAPPINGS, SINGLES, translate
from pytest_orchestra.readers.openapi.swagger import complete_operation, complete_response, describe_parameter

__all__ = ["METHODS", "Kind", "Walk"]

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


class Kind(StrEnum):
    """What an object of a specification is."""

    DOCUMENT = "document"
    COMPONENTS = "components"
    PATH_ITEM = "path item"
    OPERATION = "operation"
    PARAMETER = "parameter"
    HEADER = "header"
    REQUEST_BODY = "request body"
    RESPONSE = "response"
    MEDIA_TYPE = "media type"
    ENCODING = "encoding"
    CALLBACK = "callback"
    SCHEMA = "schema"


class _Shape(StrEnum):
    ONE = "one"
    BY_NAME = "by name"
    BY_NAME_OR_EXTENSION = "by name, but for 'x-'"
    LIST = "list"


_ONE, _BY_NAME, _OR_EXTENSION, _LIST = _Shape
_CONTENT: Final = {"schema": (_ONE, Kind.SCHEMA), "content": (_BY_NAME, Kind.MEDIA_TYPE)}
_FIELDS: Final[dict[Kind, dict[str, tuple[_Shape, Kind]]]] = {
    Kind.DOCUMENT: {
        "components": (_ONE, Kind.COMPONENTS),
        "definitions": (_BY_NAME, Kind.SCHEMA),
        "parameters": (_BY_NAME, Kind.PARAMETER),
        "responses": (_BY_NAME, Kind.RESPONSE),
        "paths": (_OR_EXTENSION, Kind.PATH_ITEM),
        "webhooks": (_OR_EXTENSION, Kind.PATH_ITEM),
    },
    Kind.COMPONENTS: {
        "schemas": (_BY_NAME, Kind.SCHEMA),
        "responses": (_BY_NAME, Kind.RESPONSE),
        "parameters": (_BY_NAME, Kind.PARAMETER),
        "requestBodies": (_BY_NAME, Kind.REQUEST_BODY),
        "headers": (_BY_NAME, Kind.HEADER),
        "callbacks": (_BY_NAME, Kind.CALLBACK),
        "pathItems": (_BY_NAME, Kind.PATH_ITEM),
        "mediaTypes": (_BY_NAME, Kind.MEDIA_TYPE),
    },
    Kind.PATH_ITEM: {
        "parameters": (_LIST, Kind.PARAMETER),
        **dict.fromkeys(METHODS, (_ONE, Kind.OPERATION)),
        "additionalOperations": (_BY_NAME, Kind.OPERATION),
    },
    Kind.OPERATION: {
        "parameters": (_LIST, Kind.PARAMETER),
        "requestBody": (_ONE, Kind.REQUEST_BODY),
        "responses": (_OR_EXTENSION, Kind.RESPONSE),
        "callbacks": (_BY_NAME, Kind.CALLBACK),
    },
    Kind.PARAMETER: _CONTENT,
    Kind.HEADER: _CONTENT,
    Kind.REQUEST_BODY: {"content": (_BY_NAME, Kind.MEDIA_TYPE)},
    Kind.RESPONSE: {"headers": (_BY_NAME, Kind.HEADER), **_CONTENT},
    Kind.MEDIA_TYPE: {
        "schema": (_ONE, Kind.SCHEMA),
        "itemSchema": (_ONE, Kind.SCHEMA),
        "encoding": (_BY_NAME, Kind.ENCODING),
    },
    Kind.ENCODING: {"headers": (_BY_NAME, Kind.HEADER)},
}
_REFERABLE: Final = frozenset(Kind) - {Kind.DOCUMENT, Kind.COMPONENTS, Kind.OPERATION, Kind.ENCODING}


class Walk:
    """Visits everything that a root document reaches, each object once."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._kinds: dict[int, tuple[Any, Kind]] = {}
        """What was visited, by identity; the objects are kept, so that no identity is used twice."""
        self._referred: deque[tuple[Kind, Location, Location, Node]] = deque()
        """Where references lead: kind, target, place of the reference and the object that holds it."""

    def run(self) -> None:
        """Visit the root document, and whatever references lead to."""
        root = self._library.root
        self._visit(Kind.DOCUMENT, root.content, Location(root))
        while self._referred:
            kind, target, origin, holder = self._referred.popleft()
            node = self._library.content(target)
            if kind is Kind.SCHEMA and isinstance(node, bool):
                continue
            if isinstance(node, dict):
                self._visit(kind, node, target)
            if self.kind_of(node) is not kind:
                self._library.warn(origin, f"'$ref' leads to something that is no {kind}")
                holder.pop("$ref", None)

    def kind_of(self, node: Any) -> Kind | None:
        """Give what an object was visited as."""
        _, kind = self._kinds.get(id(node), (None, None))
        return kind

    def _visit(self, kind: Kind, node: Node, location: Location) -> None:
        if id(node) in self._kinds:
            return
        self._kinds[id(node)] = (node, kind)
        if kind is Kind.SCHEMA:
            self._visit_schema(node, location)
            return
        if kind in _REFERABLE and "$ref" in node and not self._follow(kind, node, location):
            return
        if kind is Kind.CALLBACK:
            self._visit_children(node, _OR_EXTENSION, Kind.PATH_ITEM, location)
            return
        swagger = location.document.dialect is Dialect.SWAGGER_2_0
        if swagger and kind in {Kind.PARAMETER, Kind.HEADER}:
            describe_parameter(node, location, self._library)
        for key, (shape, child) in _FIELDS[kind].items():
            self._visit_field(node, key, shape, child, location)
        if swagger and kind is Kind.RESPONSE:
            complete_response(node, (), self._library)
        if swagger and kind is Kind.PATH_ITEM:
            for method in METHODS:
                if method in node:
                    complete_operation(node[method], node, location / method, self._library)

    def _follow(self, kind: Kind, node: Node, location: Location) -> bool:
        """Have visited what an object refers to; tell whether the object itself is to be visited, too."""
        target = self._library.follow(location)
        if target is not None:
            self._referred.append((kind, target, location / "$ref", node))
        return kind is Kind.PATH_ITEM

    def _visit_field(self, node: Node, key: str, shape: _Shape, kind: Kind, location: Location) -> None:
        value = node.get(key)
        if value is None:
            node.pop(key, None)
            return
        here = location / key
        if shape is _ONE:
            if self._has_shape(value, kind):
                self._visit_child(kind, value, here)
            else:
                self._library.warn(here, f"'{key}' takes a mapping, not {_found(value)}; it is ignored")
                del node[key]
        elif isinstance(value, list if shape is _LIST else dict):
            self._visit_children(value, shape, kind, here)
        else:
            wanted = "a list" if shape is _LIST else "a mapping"
            self._library.warn(here, f"'{key}' takes {wanted}, not {_found(value)}; it is ignored")
            del node[key]

    def _visit_children(self, container: Any, shape: _Shape, kind: Kind, location: Location) -> None:
        keys = range(len(container)) if isinstance(container, list) else list(container)
        for key in keys:
            if shape is _OR_EXTENSION and str(key).startswith("x-"):
                continue
            if not self._has_shape(container[key], kind):
                found = _found(container[key])
                self._library.warn(location / key, f"a {kind} takes a mapping, not {found}; it is ignored")
                container[key] = {}
            self._visit_child(kind, container[key], location / key)

    def _visit_child(self, kind: Kind, value: Any, location: Location) -> None:
        if isinstance(value, dict):
            self._visit(kind, value, location)

    def _has_shape(self, value: Any, kind: Kind) -> bool:
        return isinstance(value, dict) or (kind is Kind.SCHEMA and isinstance(value, bool))

    def _visit_schema(self, schema: Node, location: Location) -> None:
        """Turn a schema and all in it into JSON Schema 2020-12, its references into addresses."""
        for keyword in MAPPINGS:
            if isinstance(schema.get(keyword), dict):
                self._visit_children(schema[keyword], _BY_NAME, Kind.SCHEMA, location / keyword)
        for keyword in (*LISTS, "items"):
            if isinstance(schema.get(keyword), list):
                self._visit_children(schema[keyword], _LIST, Kind.SCHEMA, location / keyword)
        for keyword in SINGLES:
            if keyword in schema and not (keyword == "items" and isinstance(schema["items"], list)):
                self._visit_field(schema, keyword, _ONE, Kind.SCHEMA, location)
        if isinstance(dependencies := schema.get("dependencies"), dict):
            for name, value in dependencies.items():
                self._visit_child(Kind.SCHEMA, value, location / "dependencies" / name)
        target = self._refer(schema, location)
        translate(
            schema,
            location.document.dialect,
            lambda keyword, message, hint: self._library.warn(location / keyword, message, hint),
        )
        if target is not None:
            holder = schema if "$ref" in schema else schema["anyOf"][0]
            self._referred.append((Kind.SCHEMA, target, location / "$ref", holder))

    def _refer(self, schema: Node, location: Location) -> Location | None:
        """Write where the reference of a schema leads as an address; remove it if it leads nowhere."""
        if "$dynamicRef" in schema:
            schema.setdefault("$ref", schema.pop("$dynamicRef"))
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return None
        target = self._library.find(reference, location / "$ref")
        if target is None:
            del schema["$ref"]
            return None
        schema["$ref"] = self._library.target_uri(target)
        return target


def _found(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "a mapping"
    return f"the text '{value[:60]}'" if isinstance(value, str) else str(value).lower()
