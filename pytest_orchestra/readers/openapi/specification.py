"""Reading a whole specification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.openapi.document import Dialect, Node
from pytest_orchestra.readers.openapi.library import Library, dialect_of
from pytest_orchestra.readers.openapi.operations import OperationReader
from pytest_orchestra.readers.openapi.security import read_security_schemes
from pytest_orchestra.readers.openapi.structure import Walk
from pytest_orchestra.readers.openapi.swagger import base_urls
from pytest_orchestra.readers.source_text import unreadable

__all__ = ["read_openapi"]


def read_openapi(path: Path, service_name: str) -> ProtocolSpec:
    """Read the OpenAPI 3.0, 3.1, 3.2 or Swagger 2.0 document of a service, with all local files that it refers to.

    ``documents`` begins with the root document, whose URI is ``urn:`` and the percent-encoded service name; a file
    that it refers to has that URI, ``:`` and its percent-encoded path relative to the root's folder. All schemas in
    them are JSON Schema 2020-12, every ``$ref`` of a schema is an address in ``documents``.

    Nothing is fetched: references to the network are problems. Problems are warnings; raises ``UnreadableFileError``
    only where the root document is missing, malformed or something else.
    """
    library = Library(path, service_name)
    _check_version(library.root.source.value, str(path))
    walk = Walk(library)
    walk.run()
    operations = OperationReader(library, walk).read()
    schemes = read_security_schemes(library)
    root: Node = library.root.content
    info = root.get("info")
    title = info.get("title") if isinstance(info, dict) else None
    return ProtocolSpec(
        protocol_id="http",
        service_name=service_name,
        version=library.version,
        title=title if isinstance(title, str) else "",
        file=str(path),
        servers=base_urls(root) if library.root.dialect is Dialect.SWAGGER_2_0 else tuple(_servers(root)),
        operations=operations,
        documents=library.contents,
        problems=library.problems,
        security_schemes=schemes,
    )


def _check_version(value: Any, file: str) -> None:
    if dialect_of(value) is not None:
        return
    place = Place(file, 1, 1)
    for key in ("openapi", "swagger"):
        if isinstance(value, dict) and key in value:
            raise unreadable(place, f"version '{value[key]}' of {key} is not known", "use OpenAPI 3.0, 3.1 or 3.2")
    raise unreadable(place, "is neither OpenAPI nor Swagger", "begin the document with 'openapi: 3.1.0'")


def _servers(root: Node) -> Iterator[str]:
    """Give the servers' URLs, with the default values of their variables."""
    servers = root.get("servers")
    for server in servers if isinstance(servers, list) else ():
        if not isinstance(server, dict) or not isinstance(server.get("url"), str):
            continue
        variables = server.get("variables")
        defaults = {
            name: str(variable["default"])
            for name, variable in (variables.items() if isinstance(variables, dict) else ())
            if isinstance(variable, dict) and "default" in variable
        }
        url: str = server["url"]
        for name, default in defaults.items():
            url = url.replace(f"{{{name}}}", default)
        yield url
