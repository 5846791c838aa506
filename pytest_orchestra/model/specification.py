"""Protocol specifications: what a service promises, operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Place, Problem

__all__ = [
    "HeaderSpec",
    "MediaType",
    "Operation",
    "Parameter",
    "ProtocolSpec",
    "ResponseSpec",
    "SchemaRef",
    "SecurityNeed",
    "SecurityScheme",
]


@dataclass(frozen=True, slots=True)
class SchemaRef:
    """A schema by address: ``uri`` is the document's URI and a JSON Pointer, ``urn:orders#/components/...``.

    The document is ``ProtocolSpec.documents[uri before '#']``.
    """

    uri: str


@dataclass(frozen=True, slots=True)
class MediaType:
    """One representation of a body: its media type (``application/json``), schema and examples."""

    media_type: str
    schema: SchemaRef | None = None
    examples: tuple[JsonValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in ``path``, ``query``, ``header`` or ``cookie``.

    ``media_type`` is that of a parameter described by ``content``, which is written so and not by ``style``.
    """

    name: str
    location: str
    required: bool = False
    schema: SchemaRef | None = None
    style: str | None = None
    explode: bool | None = None
    examples: tuple[JsonValue, ...] = ()
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class HeaderSpec:
    """A response header."""

    name: str
    required: bool = False
    schema: SchemaRef | None = None


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A response by its key: ``200``, a range ``2XX`` or ``default``."""

    status: str
    description: str = ""
    media_types: tuple[MediaType, ...] = ()
    headers: tuple[HeaderSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityNeed:
    """A security scheme that an operation asks for, with the scopes that its token must have."""

    scheme: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityScheme:
    """One way of authentication: ``kind`` is ``apiKey``, ``http``, ``oauth2``, ``openIdConnect`` or ``mutualTLS``.

    ``parameter`` and ``location`` say where an API key goes, ``http_scheme`` is ``basic``, ``bearer`` ... in lower
    case, ``token_urls`` maps the grants ``clientCredentials`` and ``password`` to where their tokens are fetched.
    """

    name: str
    kind: str
    parameter: str = ""
    location: str = ""
    http_scheme: str = ""
    token_urls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Operation:
    """One operation of a service. ``name`` is its ``operationId``, else ``METHOD /path``.

    ``security`` names all schemes that it accepts; ``security_needs`` are the alternatives, of each of which all must
    be met: None where the specification says nothing, empty where the operation is open to all.
    """

    name: str
    method: str
    path: str
    summary: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    parameters: tuple[Parameter, ...] = ()
    request_bodies: tuple[MediaType, ...] = ()
    request_required: bool = False
    responses: tuple[ResponseSpec, ...] = ()
    security: tuple[str, ...] = ()
    extensions: tuple[tuple[str, JsonValue], ...] = ()
    place: Place | None = None
    security_needs: tuple[tuple[SecurityNeed, ...], ...] | None = None

    @property
    def signature(self) -> str:
        """``METHOD /path``, which names the operation as well as its ``operationId`` does."""
        return f"{self.method.upper()} {self.path}"

    @cached_property
    def declared(self) -> Mapping[str, Mapping[str, Parameter]]:
        """The parameters by location and then by name, in lower case for headers; every location is there."""
        found: dict[str, dict[str, Parameter]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
        for parameter in self.parameters:
            name = parameter.name.lower() if parameter.location == "header" else parameter.name
            found.setdefault(parameter.location, {})[name] = parameter
        return found

    @cached_property
    def response(self) -> Mapping[str, ResponseSpec]:
        """The responses by status in upper case."""
        return {response.status.upper(): response for response in self.responses}


@dataclass(frozen=True)
class ProtocolSpec:
    """The parsed specification of one service.

    ``version`` is the SHA-256 (hex) over the content of all its files; ``documents`` maps a document's URI to its
    content, all schemas in it in JSON Schema 2020-12 (OpenAPI 3.0's dialect translated).
    """

    protocol_id: str
    service_name: str
    version: str
    title: str = ""
    file: str = ""
    servers: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()
    documents: Mapping[str, JsonValue] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    security_schemes: Mapping[str, SecurityScheme] = field(default_factory=dict)

    @cached_property
    def operation(self) -> dict[str, Operation]:
        """The operations by name and by signature."""
        return {o.signature: o for o in self.operations} | {o.name: o for o in self.operations}
