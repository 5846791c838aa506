"""One file of a specification, and addresses within it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

from pytest_orchestra.problem import Place
from pytest_orchestra.readers.source_file import KeyPath, Source

__all__ = ["Dialect", "Document", "Location", "Node", "own_copy", "pointer", "pointer_path"]

Node: TypeAlias = dict[str, Any]
"""A mapping of a specification."""


class Dialect(StrEnum):
    """Whose words the schemas of a document use."""

    SWAGGER_2_0 = "Swagger 2.0"
    OPENAPI_3_0 = "OpenAPI 3.0"
    JSON_SCHEMA_2020_12 = "JSON Schema 2020-12"


@dataclass(eq=False)
class Document:
    """A file of a specification.

    ``source`` stays as it was read; ``content`` is a copy in which, as the walk goes on, schemas become JSON
    Schema 2020-12 and Swagger's objects those of OpenAPI 3.
    """

    uri: str
    file: str
    source: Source
    dialect: Dialect
    content: Any = field(init=False)

    def __post_init__(self) -> None:
        self.content = own_copy(self.source.value)


@dataclass(frozen=True)
class Location:
    """A part of a document."""

    document: Document
    path: KeyPath = ()

    def __truediv__(self, key: str | int) -> Location:
        return Location(self.document, (*self.path, key))

    @property
    def uri(self) -> str:
        """The address as a schema's ``$ref`` writes it."""
        return f"{self.document.uri}#{pointer(self.path)}"

    def place(self, *, of_key: bool = False) -> Place:
        """Give file, line and column; of the nearest part around it where conversion made this one."""
        return self.document.source.place(self.path, of_key=of_key)


def own_copy(value: Any) -> Any:
    """Copy lists and mappings, each of them once for every place where it stands: YAML's aliases share them."""
    if isinstance(value, dict):
        return {key: own_copy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [own_copy(part) for part in value]
    return value


def pointer(path: KeyPath) -> str:
    """Write a path as JSON Pointer in URI fragment form (RFC 6901 section 6)."""
    return "".join(f"/{quote(str(key).replace('~', '~0').replace('/', '~1'), safe='~$&+,;=:@')}" for key in path)


def pointer_path(fragment: str, root: Any) -> KeyPath | None:
    """Read a JSON Pointer in URI fragment form, as far as ``root`` has such parts; None if it has not."""
    path: list[str | int] = []
    value = root
    for token in unquote(fragment).split("/")[1:]:
        key: str | int = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and str(key).isdecimal() and int(key) < len(value):
            key = int(key)
        elif not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
        path.append(key)
    return tuple(path)
