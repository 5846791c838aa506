"""The files of a specification, opened as references lead to them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.openapi.document import Dialect, Document, Location, pointer_path
from pytest_orchestra.readers.openapi.schema import translated_path
from pytest_orchestra.readers.source_file import KeyPath
from pytest_orchestra.readers.source_text import decode_text, read_bytes
from pytest_orchestra.readers.validation import nearest
from pytest_orchestra.readers.yaml_source import parse_source

__all__ = ["Library", "dialect_of"]


def dialect_of(value: Any) -> Dialect | None:
    """Give the dialect of an OpenAPI or Swagger document; None if the value is none, or of an unknown version."""
    if not isinstance(value, dict):
        return None
    if str(value.get("swagger", "")).startswith("2"):
        return Dialect.SWAGGER_2_0
    version = str(value.get("openapi", ""))
    if version.startswith("3.0"):
        return Dialect.OPENAPI_3_0
    return Dialect.JSON_SCHEMA_2020_12 if version.startswith(("3.1", "3.2")) else None


class Library:
    """All files of one specification: reads them, resolves references, collects problems."""

    def __init__(self, root: Path, service_name: str) -> None:
        """Read the root file. Raises ``UnreadableFileError``."""
        self._folder = root.parent
        self._uri = f"urn:{quote(service_name, safe='')}"
        self._documents: dict[str, Document] = {}
        self._missing: dict[str, str] = {}
        """Why a file cannot be read, by its absolute path."""
        self._declared: dict[str, Location] = {}
        """Schemas by the ``$id`` that they declare."""
        self._digests: list[bytes] = []
        self._problems: dict[Problem, None] = {}
        self.root = self._read(root, str(root), self._uri, Dialect.JSON_SCHEMA_2020_12)

    @property
    def version(self) -> str:
        """SHA-256 (hex) over the SHA-256 of every file, in the order in which references lead to them."""
        return hashlib.sha256(b"".join(self._digests)).hexdigest()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All warnings, by place."""
        return tuple(sorted(self._problems, key=lambda problem: problem.place))

    @property
    def contents(self) -> dict[str, JsonValue]:
        """What the documents hold, by URI, the root's first."""
        return {document.uri: document.content for document in self._documents.values()}

    def warn(self, location: Location, message: str, hint: str | None = None, *, of_key: bool = False) -> None:
        """Note what is wrong but leaves the specification usable."""
        self._problems[Problem(Severity.WARNING, location.place(of_key=of_key), message, hint)] = None

    def resolve(self, location: Location) -> Location | None:
        """Give where the ``$ref`` at ``location`` leads, in terms of the source; None, with a warning, if nowhere."""
        reference = _value_at(location.document.source.value, location.path)
        if not isinstance(reference, str):
            self.warn(location, "'$ref' takes a text")
            return None
        return self.find(reference, location)

    def find(self, reference: str, location: Location) -> Location | None:
        """Give where a reference leads that stands at ``location``."""
        address, _, fragment = reference.partition("#")
        resources = self._resources(address, location)
        for resource in resources:
            root = _value_at(resource.document.source.value, resource.path)
            path = _path_of(fragment, root)
            if path is not None:
                return Location(resource.document, (*resource.path, *path))
        if resources:
            hint = _suggestion(fragment, resources[-1].document.source.value)
            self.warn(location, f"'$ref' leads to '{reference}', which is not there", hint)
        return None

    def follow(self, location: Location) -> Location | None:
        """Follow references from an object until there is none; None, with a warning, if they lead nowhere."""
        seen: set[tuple[str, KeyPath]] = set()
        while True:
            value = _value_at(location.document.source.value, location.path)
            if not isinstance(value, dict) or "$ref" not in value:
                return location
            if (location.document.uri, location.path) in seen:
                self.warn(location / "$ref", "'$ref' leads back to itself")
                return None
            seen.add((location.document.uri, location.path))
            target = self.resolve(location / "$ref")
            if target is None:
                return None
            location = target

    def content(self, location: Location) -> Any:
        """Give what stands at a location of the source, as it is by now."""
        path = translated_path(location.path, location.document.source.value, location.document.dialect)
        return _value_at(location.document.content, path)

    def target_uri(self, location: Location) -> str:
        """Give the address that a location of the source has in the translated document."""
        path = translated_path(location.path, location.document.source.value, location.document.dialect)
        return Location(location.document, path).uri

    def at_uri(self, uri: str) -> Any:
        """Give what stands at an address in the translated documents; None if it is not there."""
        base, _, fragment = uri.partition("#")
        document = next((document for document in self._documents.values() if document.uri == base), None)
        path = pointer_path(fragment, document.content) if document is not None else None
        return _value_at(document.content, path) if document is not None and path is not None else None

    def _read(self, path: Path, file: str, uri: str, dialect: Dialect) -> Document:
        raw = read_bytes(path)
        source = parse_source(decode_text(raw, file), file)
        document = Document(uri, file, source, dialect_of(source.value) or dialect)
        self._documents[str(path.resolve())] = document
        self._digests.append(hashlib.sha256(raw).digest())
        for node, at in _mappings(source.value):
            if isinstance(node.get("$id"), str):
                self._declared.setdefault(node["$id"], Location(document, at))
        for problem in source.problems:
            self._problems[replace(problem, severity=Severity.WARNING)] = None
        return document

    def _resources(self, address: str, location: Location) -> list[Location]:
        """Give what an address may mean: this document, another file, or a schema with that ``$id``."""
        document = location.document
        if not address:
            return [*_identified_around(location), Location(document)]
        if address in self._declared:
            return [self._declared[address]]
        try:
            parts = urlsplit(address)
            remote, name = bool(parts.scheme or parts.netloc), unquote(parts.path)
        except ValueError:  # malformed, such as an unclosed bracket of IPv6
            remote, name = True, ""
        if remote:
            hint = "save it beside the specification, and refer to the copy"
            self.warn(location, f"'$ref' leads to '{address}', which is not fetched", hint)
            return []
        opened = self._open_file(Path(document.file).parent / name, address, location)
        return [Location(opened)] if opened is not None else []

    def _open_file(self, path: Path, address: str, location: Location) -> Document | None:
        try:
            absolute = str(path.resolve())
        except (OSError, ValueError, RuntimeError):  # a loop of links, or a null character
            absolute = str(path)
        if absolute in self._documents:
            return self._documents[absolute]
        if absolute not in self._missing:
            file = os.path.normpath(path)
            name = os.path.relpath(file, self._folder).replace(os.sep, "/")
            uri = f"{self._uri}:{quote(name, safe='')}"
            try:
                return self._read(path, file, uri, location.document.dialect)
            except DefinitionError as error:
                self._missing[absolute] = _reason(error)
                if error.place is not None and error.place.line:
                    problems = (replace(problem, severity=Severity.WARNING) for problem in error.problems)
                    self._problems.update(dict.fromkeys(problems))
        self.warn(location, f"'$ref' leads to '{address}', {self._missing[absolute]}", "check the path")
        return None


def _reason(error: DefinitionError) -> str:
    if error.fact == "no such file":
        return "and there is no such file"
    return f"which {error.fact}" if error.fact.startswith(("is ", "cannot ")) else "which cannot be read"


def _path_of(fragment: str, root: Any) -> KeyPath | None:
    """Read a fragment: a JSON Pointer, or the name of an anchor."""
    if not fragment or fragment.startswith("/"):
        return pointer_path(fragment, root)
    name = unquote(fragment)
    for node, path in _mappings(root):
        if name in (node.get("$anchor"), node.get("$dynamicAnchor")):
            return path
    return None


def _identified_around(location: Location) -> list[Location]:
    """Give the schemas with an ``$id`` around a location, the innermost first: pointers in them begin there."""
    found: list[Location] = []
    value = location.document.source.value
    for depth, key in enumerate(location.path):
        if isinstance(value, dict) and isinstance(value.get("$id"), str):
            found.insert(0, Location(location.document, location.path[:depth]))
        value = _part(value, key)
    return found


def _mappings(root: Any) -> Iterator[tuple[dict[str, Any], KeyPath]]:
    """Give all mappings in a value, with their paths."""
    waiting: list[tuple[Any, KeyPath]] = [(root, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict):
            yield value, path
            waiting.extend((part, (*path, key)) for key, part in value.items() if isinstance(part, (dict, list)))
        elif isinstance(value, list):
            waiting.extend((part, (*path, index)) for index, part in enumerate(value) if isinstance(part, (dict, list)))


def _suggestion(fragment: str, root: Any) -> str | None:
    """Name the neighbour that was probably meant."""
    above, _, name = fragment.rpartition("/")
    path = pointer_path(above, root)
    siblings = _value_at(root, path) if path is not None else None
    meant = nearest(unquote(name), siblings) if isinstance(siblings, dict) else None
    return f"did you mean '{meant}'?" if meant else None


def _part(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(key))
    return value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else None


def _value_at(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value[key]
    return value
