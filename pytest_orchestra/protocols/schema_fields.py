"""Which fields a schema knows: whether a path can lead anywhere in the values that it describes.

Only what is certain is told. A schema that says nothing of its fields, or that lets others in by a word of its own
(``additionalProperties``, ``patternProperties``, a ``discriminator`` without alternatives ...), may have any; one that
lists fields and leaves it there is taken at its word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.protocols.schema_check import resolve_pointer

__all__ = ["MissingField", "SchemaFields"]

Node = tuple[str, JsonValue]
"""A schema, and the URI of the document in which it stands."""

_ALTERNATIVES: Final = ("anyOf", "oneOf")
_IN_ADDITION: Final = ("then", "else")
_LETS_OTHERS_IN: Final = ("additionalProperties", "unevaluatedProperties", "patternProperties", "$dynamicRef")
_DEEPEST: Final = 40


@dataclass(frozen=True, slots=True)
class MissingField:
    """A key of a path that no value has: ``depth`` is its index in the path, ``known`` are those that are there."""

    depth: int
    known: tuple[str, ...]


@dataclass
class _Shape:
    """What schemas say of a value: its fields, its items; ``is_open`` where it may have any."""

    may_be_object: bool = True
    may_be_list: bool = True
    is_open: bool = False
    has_fields: bool = False
    fields: dict[str, list[Node]] = field(default_factory=dict)
    items: list[Node] | None = None

    def add(self, other: _Shape) -> None:
        """Let what another schema says of the same value hold as well."""
        self.may_be_object &= other.may_be_object
        self.may_be_list &= other.may_be_list
        self._merge(other)
        self.has_fields |= other.has_fields
        if other.items is not None:
            self.items = [*(self.items or ()), *other.items]

    def add_one_of(self, others: Sequence[_Shape]) -> None:
        """Let what one of several schemas says hold as well."""
        for other in others:
            self._merge(other)
        objects = [other for other in others if other.may_be_object]
        lists = [other for other in others if other.may_be_list]
        self.may_be_object &= bool(objects)
        self.may_be_list &= bool(lists)
        self.has_fields |= bool(objects) and all(other.has_fields for other in objects)
        if lists and all(other.items is not None for other in lists):
            self.items = [*(self.items or ()), *(node for other in lists for node in other.items or ())]

    def _merge(self, other: _Shape) -> None:
        self.is_open |= other.is_open
        for name, nodes in other.fields.items():
            self.fields.setdefault(name, []).extend(nodes)


class SchemaFields:
    """Follows paths through the schemas of one specification."""

    def __init__(self, documents: Mapping[str, JsonValue]) -> None:
        self._documents = documents

    def find_missing(self, uris: Iterable[str], path: Sequence[str | int]) -> MissingField | None:
        """Give the first key of a path that no value of any of the schemas has; None where that is not certain."""
        nodes: list[Node] = [("", {"$ref": uri}) for uri in uris]
        for depth, key in enumerate(path):
            shape = _Shape()
            shape.add_one_of([self._shape(node, ()) for node in nodes])
            if isinstance(key, int):
                if shape.items is None:
                    return None
                nodes = shape.items
                continue
            if shape.is_open or not shape.has_fields or not shape.may_be_object:
                return None
            if key not in shape.fields:
                return MissingField(depth, tuple(shape.fields))
            nodes = shape.fields[key]
        return None

    def _shape(self, node: Node, trail: tuple[str, ...]) -> _Shape:
        uri, schema = node
        if not isinstance(schema, Mapping):
            return _Shape(is_open=schema is not False)
        shape = _Shape()
        if len(trail) > _DEEPEST or any(schema.get(name) for name in _LETS_OTHERS_IN):
            shape.is_open = True
        if "discriminator" in schema and not any(name in schema for name in _ALTERNATIVES):
            shape.is_open = True  # values of schemas that build upon this one, whichever these are
        kinds = schema.get("type")
        if kinds is not None:
            named = kinds if isinstance(kinds, (list, tuple)) else [kinds]
            shape.may_be_object = "object" in named
            shape.may_be_list = "array" in named
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            shape.has_fields = True
            shape.fields = {name: [(uri, part)] for name, part in properties.items()}
        if "items" in schema and "prefixItems" not in schema:
            shape.items = [(uri, schema["items"])]
        for part in self._parts_that_hold(node, trail):
            shape.add(part)
        for name in _ALTERNATIVES:
            alternatives = schema.get(name)
            if isinstance(alternatives, (list, tuple)):
                shape.add_one_of([self._shape((uri, part), (*trail, "")) for part in alternatives])
        return shape

    def _parts_that_hold(self, node: Node, trail: tuple[str, ...]) -> Iterator[_Shape]:
        """Give the shapes of the schemas that a schema refers to, consists of, or adds under a condition."""
        uri, written = node
        assert isinstance(written, Mapping)
        every = written.get("allOf")
        for part in every if isinstance(every, (list, tuple)) else ():
            yield self._shape((uri, part), (*trail, ""))
        address = written.get("$ref")
        if isinstance(address, str) and address not in trail:
            found = self._at(uri, address)
            yield _Shape(is_open=True) if found is None else self._shape(found, (*trail, address))
        dependent = written.get("dependentSchemas")
        added = [written[name] for name in _IN_ADDITION if name in written]
        for part in (*added, *(dependent.values() if isinstance(dependent, Mapping) else ())):
            shape = self._shape((uri, part), (*trail, ""))
            yield _Shape(is_open=shape.is_open and part is not True, fields=shape.fields)

    def _at(self, uri: str, address: str) -> Node | None:
        document, _, pointer = address.partition("#")
        if document not in self._documents:
            if document:
                return None
            document = uri
        if document not in self._documents or (pointer and not pointer.startswith("/")):
            return None
        try:
            return document, resolve_pointer(self._documents[document], unquote(pointer))
        except LookupError:
            return None
