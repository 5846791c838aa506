"""The operations of a specification, from what the walk has put in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import (
    HeaderSpec,
    MediaType,
    Operation,
    Parameter,
    ResponseSpec,
    SchemaRef,
)
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.openapi.document import Dialect, Location, Node
from pytest_orchestra.readers.openapi.library import Library
from pytest_orchestra.readers.openapi.schema import is_annotated_reference
from pytest_orchestra.readers.openapi.security import read_security_needs
from pytest_orchestra.readers.openapi.structure import METHODS, Kind, Walk

__all__ = ["OperationReader"]

_LOCATIONS = frozenset({"path", "query", "header", "cookie"})
_BODY_LOCATIONS = frozenset({"body", "formData"})


class OperationReader:
    """Reads the operations of a library whose root was walked."""

    def __init__(self, library: Library, walk: Walk) -> None:
        self._library = library
        self._walk = walk
        self._root: Node = library.root.content
        self._named: dict[str, Place] = {}

    def read(self) -> tuple[Operation, ...]:
        """Give all operations, in the order of the file."""
        operations: list[Operation] = []
        for path, item in self._root.get("paths", {}).items():
            if path.startswith("x-"):
                continue
            location = Location(self._library.root, ("paths", path))
            if not path.startswith("/"):
                self._library.warn(location, f"path '{path}' does not begin with '/'", of_key=True)
            operations += self._path_operations(path, self._referred(item, location))
        return tuple(operations)

    def _referred(self, item: Node, location: Location) -> list[tuple[Node, Location]]:
        """Give a path item, and the one that it refers to: fields of the first override the other's."""
        items = [(item, location)]
        if "$ref" in item:
            target = self._resolved(item, location, Kind.PATH_ITEM)
            if target is not None:
                items.append(target)
        return items

    def _path_operations(self, path: str, items: list[tuple[Node, Location]]) -> Iterator[Operation]:
        shared: dict[tuple[str, str], Parameter] = {}
        for item, location in reversed(items):
            shared |= self._parameters(item, location)
        done: set[str] = set()
        for item, location in items:
            found = [(key, item[key], location / key) for key in item if key in METHODS]
            more = item.get("additionalOperations", {})
            found += [(method, more[method], location / "additionalOperations" / method) for method in more]
            for method, node, at in found:
                if method.upper() not in done:
                    done.add(method.upper())
                    yield self._operation(method.upper(), path, node, at, shared)

    def _operation(
        self, method: str, path: str, node: Node, location: Location, shared: Mapping[tuple[str, str], Parameter]
    ) -> Operation:
        parameters = {**shared, **self._parameters(node, location)}
        bodies, required = self._request(node, location)
        return Operation(
            name=self._name(node, f"{method} {path}", location),
            method=method,
            path=path,
            summary=_text(node.get("summary")),
            tags=_texts(node.get("tags")),
            deprecated=node.get("deprecated") is True,
            parameters=tuple(parameters.values()),
            request_bodies=bodies,
            request_required=required,
            responses=tuple(self._responses(node, location)),
            security=self._security(node),
            security_needs=read_security_needs(node.get("security", self._root.get("security"))),
            extensions=tuple((key, value) for key, value in node.items() if key.startswith("x-")),
            place=location.place(of_key=True),
        )

    def _name(self, node: Node, signature: str, location: Location) -> str:
        """Give the ``operationId`` if there is one, and no earlier operation has it."""
        name = node.get("operationId")
        if not isinstance(name, str) or not name:
            return signature
        place = (location / "operationId").place()
        if name in self._named:
            self._library.warn(
                location / "operationId",
                f"operationId '{name}' occurs twice, first at {self._named[name]}",
                f"give it another id; until then it is called '{signature}'",
            )
            return signature
        self._named[name] = place
        return name

    def _parameters(self, holder: Node, location: Location) -> dict[tuple[str, str], Parameter]:
        """Give the parameters of a path item or operation by location and name."""
        found: dict[tuple[str, str], Parameter] = {}
        for index, raw in enumerate(holder.get("parameters", ())):
            resolved = self._resolved(raw, location / "parameters" / index, Kind.PARAMETER)
            if resolved is None:
                continue
            node, at = resolved
            name, place = node.get("name"), node.get("in")
            if not isinstance(name, str) or not name:
                self._library.warn(at, "parameter has no 'name'; it is ignored")
            elif place not in _LOCATIONS:
                if place not in _BODY_LOCATIONS or at.document.dialect is not Dialect.SWAGGER_2_0:
                    self._library.warn(
                        at, f"parameter '{name}' is in '{place}'; it is ignored", "use path, query, header or cookie"
                    )
            else:
                found[place, name] = self._parameter(node, at, name, place)
        return found

    def _parameter(self, node: Node, location: Location, name: str, place: str) -> Parameter:
        written_as = None if "schema" in node else next(iter(self._media_types(node, location)), None)
        return Parameter(
            name=name,
            location=place,
            required=place == "path" or node.get("required") is True,
            schema=self._schema(node, location) if written_as is None else written_as.schema,
            media_type=written_as.media_type if written_as is not None else None,
            style=node["style"] if isinstance(node.get("style"), str) else None,
            explode=node["explode"] if isinstance(node.get("explode"), bool) else None,
            examples=self._examples(node, location) or (written_as.examples if written_as is not None else ()),
        )

    def _request(self, node: Node, location: Location) -> tuple[tuple[MediaType, ...], bool]:
        if "requestBody" not in node:
            return (), False
        resolved = self._resolved(node["requestBody"], location / "requestBody", Kind.REQUEST_BODY)
        if resolved is None:
            return (), False
        body, at = resolved
        return self._media_types(body, at), body.get("required") is True

    def _responses(self, node: Node, location: Location) -> Iterator[ResponseSpec]:
        for status, raw in node.get("responses", {}).items():
            if status.startswith("x-"):
                continue
            resolved = self._resolved(raw, location / "responses" / status, Kind.RESPONSE)
            if resolved is not None:
                response, at = resolved
                yield ResponseSpec(
                    status=status if status == "default" else status.upper(),
                    description=_text(response.get("description")),
                    media_types=self._media_types(response, at),
                    headers=tuple(self._headers(response, at)),
                )

    def _headers(self, response: Node, location: Location) -> Iterator[HeaderSpec]:
        for name, raw in response.get("headers", {}).items():
            resolved = self._resolved(raw, location / "headers" / name, Kind.HEADER)
            if resolved is not None and name.lower() != "content-type":  # the specification says to ignore it
                header, at = resolved
                yield HeaderSpec(name, header.get("required") is True, self._header_schema(header, at))

    def _media_types(self, holder: Node, location: Location) -> tuple[MediaType, ...]:
        found = []
        for name, raw in holder.get("content", {}).items():
            resolved = self._resolved(raw, location / "content" / name, Kind.MEDIA_TYPE)
            if resolved is not None:
                node, at = resolved
                found.append(MediaType(name, self._schema(node, at), self._examples(node, at)))
        return tuple(found)

    def _header_schema(self, node: Node, location: Location) -> SchemaRef | None:
        """Give the schema of a header: its own, or that of its only media type."""
        if "schema" in node:
            return self._schema(node, location)
        media_types = self._media_types(node, location)
        return media_types[0].schema if media_types else None

    def _schema(self, holder: Node, location: Location) -> SchemaRef | None:
        """Give the address of the schema, of the one that it refers to if it does no more than that."""
        if "schema" not in holder:
            return None
        schema = holder["schema"]
        if isinstance(schema, dict) and is_annotated_reference(schema):
            return SchemaRef(schema["$ref"])
        return SchemaRef((location / "schema").uri)

    def _examples(self, holder: Node, location: Location) -> tuple[JsonValue, ...]:
        """Give the examples of a media type or parameter, else those of its schema."""
        found: list[JsonValue] = [holder["example"]] if "example" in holder else []
        examples = holder.get("examples")
        for name, raw in examples.items() if isinstance(examples, dict) else ():
            example = raw
            if isinstance(raw, dict) and "$ref" in raw:
                target = self._library.follow(location / "examples" / name)
                example = self._library.content(target) if target is not None else None
            if isinstance(example, dict):
                found += [example[key] for key in ("value", "dataValue") if key in example]
        if found:
            return tuple(found)
        return self._schema_examples(holder.get("schema"))

    def _schema_examples(self, schema: Any) -> tuple[JsonValue, ...]:
        """Give the examples of a schema, or of the one that it refers to."""
        seen: set[str] = set()
        while isinstance(schema, dict):
            if isinstance(schema.get("examples"), list):
                return tuple(schema["examples"])
            address = schema.get("$ref")
            if not isinstance(address, str) or address in seen:
                return ()
            seen.add(address)
            schema = self._library.at_uri(address)
        return ()

    def _security(self, node: Node) -> tuple[str, ...]:
        """Give the names of the security schemes that an operation accepts."""
        requirements = node.get("security", self._root.get("security"))
        names = [name for each in _list(requirements) if isinstance(each, dict) for name in each]
        return tuple(dict.fromkeys(names))

    def _resolved(self, node: Node, location: Location, kind: Kind) -> tuple[Node, Location] | None:
        """Give the object that is meant: this one, or the one that it refers to."""
        if "$ref" not in node:
            return node, location
        target = self._library.follow(location)
        if target is None:
            return None
        found = self._library.content(target)
        return (found, target) if self._walk.kind_of(found) is kind else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in _list(value) if isinstance(text, str))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
