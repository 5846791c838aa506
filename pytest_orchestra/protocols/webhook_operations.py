"""The webhooks and callbacks of an OpenAPI document: the requests that a service sends by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, SchemaRef
from pytest_orchestra.protocols.schema_check import pointer_to, resolve_pointer

__all__ = ["find_webhook", "webhooks_of"]

_METHODS: Final = ("post", "put", "patch", "get", "delete", "query", "head", "options", "trace")
_DEEPEST: Final = 20
_SAFE: Final = "/~!$&'()*+,;=:@"
"""What a URI's fragment may hold as it is (RFC 3986, section 3.5)."""

_Found = tuple[Mapping[str, Any], str, str]
"""An object of the document, the URI of its document and its JSON Pointer there."""


def find_webhook(spec: ProtocolSpec, name: str) -> Operation | None:
    """Find a webhook or callback by its name in the document, or by its ``operationId``."""
    return next((found for key, found in webhooks_of(spec) if name in (key, found.name)), None)


def webhooks_of(spec: ProtocolSpec) -> Iterator[tuple[str, Operation]]:
    """Give the webhooks and callbacks by name; the path of a callback is the expression of its address."""
    uri = next(iter(spec.documents), "")
    root = spec.documents.get(uri)
    if not isinstance(root, Mapping):
        return
    for name, item in _members(root, "webhooks"):
        yield from _operations(spec, name, name, (item, uri, pointer_to(("webhooks", name))))
    for path, item in _members(root, "paths"):
        found = _followed(spec, (item, uri, pointer_to(("paths", path))))
        for method in _METHODS:
            operation, place = found[0].get(method), f"{found[2]}/{method}"
            if isinstance(operation, Mapping):
                yield from _callbacks(spec, (operation, found[1], place))


def _callbacks(spec: ProtocolSpec, operation: _Found) -> Iterator[tuple[str, Operation]]:
    for name, raw in _members(operation[0], "callbacks"):
        callback, uri, place = _followed(spec, (raw, operation[1], operation[2] + pointer_to(("callbacks", name))))
        for address, item in callback.items():
            if isinstance(item, Mapping) and not address.startswith("x-"):
                yield from _operations(spec, name, address, (item, uri, place + pointer_to((address,))))


def _operations(spec: ProtocolSpec, name: str, path: str, item: _Found) -> Iterator[tuple[str, Operation]]:
    found = _followed(spec, item)
    for method in _METHODS:
        node = found[0].get(method)
        if not isinstance(node, Mapping):
            continue
        called = node.get("operationId")
        bodies, required = _bodies(spec, (node, found[1], f"{found[2]}/{method}"))
        yield (
            name,
            Operation(
                name=called if isinstance(called, str) else name,
                method=method.upper(),
                path=path,
                request_bodies=bodies,
                request_required=required,
            ),
        )


def _bodies(spec: ProtocolSpec, operation: _Found) -> tuple[tuple[MediaType, ...], bool]:
    raw = operation[0].get("requestBody")
    if not isinstance(raw, Mapping):
        return (), False
    body, uri, place = _followed(spec, (raw, operation[1], f"{operation[2]}/requestBody"))
    found: list[MediaType] = []
    for name, media_type in _members(body, "content"):
        pointer = quote(place + pointer_to(("content", name, "schema")), safe=_SAFE)
        found.append(MediaType(name, SchemaRef(f"{uri}#{pointer}") if "schema" in media_type else None))
    return tuple(found), body.get("required") is True


def _members(holder: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    members = holder.get(name)
    for key, member in members.items() if isinstance(members, Mapping) else ():
        if isinstance(member, Mapping):
            yield str(key), member


def _followed(spec: ProtocolSpec, found: _Found) -> _Found:
    """Give what an object refers to, itself where it refers to nothing that there is."""
    node, uri, place = found
    for _ in range(_DEEPEST):
        ref = node.get("$ref")
        if not isinstance(ref, str):
            break
        target, _, pointer = ref.partition("#")
        target = target or uri
        try:
            there = resolve_pointer(spec.documents[target], unquote(pointer))
        except LookupError:
            break
        if not isinstance(there, Mapping):
            break
        node, uri, place = there, target, unquote(pointer)
    return node, uri, place
