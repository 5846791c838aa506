"""The security schemes of a specification, and which of them its operations ask for.

OpenAPI 3.1.1, sections 4.8.27 to 4.8.30; Swagger 2.0, "Security Definitions Object".
"""

from __future__ import annotations

from typing import Any, Final

from pytest_orchestra.model.specification import SecurityNeed, SecurityScheme
from pytest_orchestra.readers.openapi.document import Dialect, Location, Node
from pytest_orchestra.readers.openapi.library import Library

__all__ = ["read_security_needs", "read_security_schemes"]

_GRANTS: Final = {"clientCredentials": "clientCredentials", "password": "password", "application": "clientCredentials"}
"""The flows whose tokens need no browser, as OpenAPI 3 and Swagger 2.0 call them."""


def read_security_needs(value: Any) -> tuple[tuple[SecurityNeed, ...], ...] | None:
    """Read a list of security requirements; None where there is none, so that nothing is said."""
    if not isinstance(value, list):
        return None
    return tuple(
        tuple(SecurityNeed(str(name), _texts(scopes)) for name, scopes in alternative.items())
        for alternative in value
        if isinstance(alternative, dict)
    )


def read_security_schemes(library: Library) -> dict[str, SecurityScheme]:
    """Read the security schemes of the root document by name; what leads nowhere or has no type is left out."""
    root: Node = library.root.content
    is_swagger = library.root.dialect is Dialect.SWAGGER_2_0
    location = Location(library.root)
    if is_swagger:
        holder, location = root.get("securityDefinitions"), location / "securityDefinitions"
    else:
        components = root.get("components")
        holder = components.get("securitySchemes") if isinstance(components, dict) else None
        location = location / "components" / "securitySchemes"
    found: dict[str, SecurityScheme] = {}
    for name, raw in holder.items() if isinstance(holder, dict) else ():
        node = raw
        if isinstance(raw, dict) and "$ref" in raw:
            target = library.follow(location / name)
            node = library.content(target) if target is not None else None
        if isinstance(node, dict) and isinstance(node.get("type"), str):
            found[name] = _scheme(name, node)
    return found


def _scheme(name: str, node: Node) -> SecurityScheme:
    kind, http_scheme = node["type"], _text(node.get("scheme")).lower()
    if kind == "basic":  # Swagger's word
        kind, http_scheme = "http", "basic"
    return SecurityScheme(
        name=name,
        kind=kind,
        parameter=_text(node.get("name")),
        location=_text(node.get("in")),
        http_scheme=http_scheme,
        token_urls=_token_urls(node),
    )


def _token_urls(node: Node) -> tuple[tuple[str, str], ...]:
    flows = node.get("flows")
    if not isinstance(flows, dict):
        flows = {node["flow"]: node} if isinstance(node.get("flow"), str) else {}
    return tuple(
        (_GRANTS[name], flow["tokenUrl"])
        for name, flow in flows.items()
        if name in _GRANTS and isinstance(flow, dict) and isinstance(flow.get("tokenUrl"), str)
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
