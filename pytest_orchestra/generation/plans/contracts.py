"""The contract of an operation as facts that can be kept, compared and told: ``request body.customer: string``.

A fact is what a schema says of one place. What only describes (titles, examples, defaults) is no part of a contract.
Keywords that have no words here are held by a digest of them, so that no change of a schema goes unseen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from pytest_orchestra.generation.limits import MAX_CONTRACT_DEPTH, MAX_CONTRACT_FACTS
from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, SchemaRef

__all__ = ["Contract", "contract_changes", "digest_of", "field_is_gone", "read_contract"]

_DIGEST_LENGTH: Final = 16
_SHORT_DIGEST: Final = 8
_REQUIRED: Final = ", required"
_ANNOTATIONS: Final = frozenset(
    {
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$id",
        "$schema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "example",
        "examples",
        "externalDocs",
        "title",
        "xml",
    }
)
_STRUCTURAL: Final = frozenset({"$ref", "allOf", "anyOf", "items", "oneOf", "properties", "required", "type"})
_SUCCESS_RANGES: Final = frozenset({"2XX", "default"})
_VARIANT: Final = re.compile(r"\(\d+\)")


@dataclass(frozen=True, slots=True)
class Contract:
    """What an operation promises and demands; ``facts`` are sorted by their places, ``digest`` is over all of it."""

    method: str
    path: str
    digest: str
    facts: Mapping[str, str]


def digest_of(value: object) -> str:
    """Give the first 16 hexadecimal digits of the SHA-256 of a plain JSON value; the order of keys does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]


def read_contract(operation: Operation, spec: ProtocolSpec) -> Contract:
    """Give the contract of an operation: its parameters, request bodies, responses, and security.

    Schemas are followed through references; where a contract is larger than the limit, the facts are those that come
    first, and the digest also covers the documents that the rest stands in.
    """
    reading = _Reading(spec.documents)
    for parameter in operation.parameters:
        place = f"{parameter.location} parameter '{parameter.name}'"
        said = [part for part in (parameter.media_type, parameter.style) if part]
        if parameter.explode is not None:
            said.append(f"explode {_word(parameter.explode)}")
        reading.schema(place, parameter.schema, parameter.required, said)
    reading.bodies("request body", operation.request_bodies, required=operation.request_required)
    for response in operation.responses:
        place = f"response {response.status}"
        reading.facts[place] = "declared"
        reading.bodies(f"{place} body", response.media_types)
        for header in response.headers:
            reading.schema(f"{place} header '{header.name}'", header.schema, header.required)
    if operation.security:
        reading.facts["security"] = ", ".join(operation.security)
    facts = dict(sorted(reading.facts.items()))
    whole: dict[str, object] = {"method": operation.method, "path": operation.path, "facts": facts}
    if reading.is_cut:
        whole["version"] = spec.version
    return Contract(operation.method.upper(), operation.path, digest_of(whole), facts)


def contract_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Say in words what differs between the facts of two contracts.

    What is told of a part is not told of the parts in it again.
    """
    found: list[str] = []
    told: list[str] = []
    for place in sorted({*before, *after}):
        if any(_is_within(place, outer) for outer in told):
            continue
        change = _change(place, before.get(place), after.get(place))
        if change is None:
            continue
        found.append(change)
        if place not in before or place not in after:
            told.append(place)
    return tuple(found)


def field_is_gone(path: str, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether a part of the reply's body, ``.items[].sku``, was promised and is not any more.

    What an error's reply has counts only where no other reply had that part.
    """
    was, now = _responses_with(path, before), _responses_with(path, after)
    wanted = {status for status in was if not status.startswith(("4", "5"))} or was
    return bool(wanted) and not any(status in now for status in wanted) and not now & _SUCCESS_RANGES


def _responses_with(path: str, facts: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for place in facts:
        holder, body, rest = _VARIANT.sub("", place).partition(" body")
        if body and rest == path and holder.startswith("response "):
            found.add(holder.removeprefix("response "))
    return found


def _is_within(place: str, outer: str) -> bool:
    return place != outer and place.startswith(outer) and place[len(outer)] in ".[( "


def _change(place: str, before: str | None, after: str | None) -> str | None:
    subject = _subject(place)
    if before == after:
        return None
    if before is None:
        return f"{subject} is new and required" if (after or "").endswith(_REQUIRED) else f"{subject} is new"
    if after is None:
        return f"{subject} is gone"
    was, now = before.removesuffix(_REQUIRED), after.removesuffix(_REQUIRED)
    parts: list[str] = []
    if was != now:
        parts.append(f"is now '{now}', was '{was}'")
    if before.endswith(_REQUIRED) != after.endswith(_REQUIRED):
        parts.append("is now required" if after.endswith(_REQUIRED) else "is no longer required")
    return f"{subject} {' and '.join(parts)}"


def _subject(place: str) -> str:
    holder, body, path = place.partition(" body")
    if not body:
        return place
    variant = re.match(r"\([^)]*\)", path)
    inner = path[variant.end() :] if variant else path
    shown = f"{holder} body{variant.group() if variant else ''}"
    return f"{shown} field '{inner.lstrip('.')}'" if inner else shown


@dataclass
class _Reading:
    documents: Mapping[str, Any]
    facts: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False

    def bodies(self, place: str, bodies: Sequence[MediaType], *, required: bool = False) -> None:
        """Read the representations of a body; the first JSON one, or the only one, goes without its media type."""
        plain = next((body for body in bodies if "json" in body.media_type), bodies[0] if bodies else None)
        for body in bodies:
            at = place if body is plain else f"{place}({body.media_type})"
            self.schema(at, body.schema, required, [body.media_type])

    def schema(self, place: str, ref: SchemaRef | None, required: bool, said: Sequence[str] = ()) -> None:
        """Read the facts of a schema and of all that it holds."""
        if ref is None:
            self._tell(place, list(said) or ["anything"], required)
            return
        self._read({"$ref": ref.uri}, place, required, list(said), ())

    def _tell(self, place: str, said: Iterable[str], required: bool) -> bool:
        if len(self.facts) >= MAX_CONTRACT_FACTS:
            self.is_cut = True
            return False
        self.facts[place] = ", ".join(said) + (_REQUIRED if required else "")
        return True

    def _read(self, schema: Any, place: str, required: bool, said: list[str], trail: tuple[str, ...]) -> None:
        merged, passed = self._merged(schema, trail)
        recurring = next((uri for uri in passed if passed.count(uri) > 1), None)
        if recurring is not None or merged is None:
            name = (recurring or "").rpartition("/")[2]
            self._tell(place, [*said, f"as '{unquote(name)}' above" if name else "nothing that is there"], required)
            return
        if merged is True or merged is False:
            self._tell(place, [*said, "anything" if merged else "nothing"], required)
            return
        variants, is_nullable = _variants(merged)
        if len(variants) == 1:
            inner = {name: value for name, value in merged.items() if name not in ("anyOf", "oneOf")}
            self._read(
                _joined(inner, variants[0]), place, required, [*said, "nullable"] if is_nullable else said, passed
            )
            return
        if not self._tell(place, [*said, *self._said(merged)], required):
            return
        if place.count(".") + place.count("[]") >= MAX_CONTRACT_DEPTH:
            self.is_cut = True
            return
        for number, variant in enumerate(variants, 1):
            self._read(variant, f"{place}({number})", False, [], passed)
        needed = merged.get("required")
        names = needed if isinstance(needed, list) else []
        for name, part in _mapping(merged.get("properties")).items():
            self._read(part, f"{place}.{name}", name in names, [], passed)
        for name in names:
            if name not in _mapping(merged.get("properties")):
                self._tell(f"{place}.{name}", ["anything"], True)
        for keyword, suffix in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(merged.get(keyword), dict):
                self._read(merged[keyword], f"{place}{suffix}", False, [], passed)

    def _merged(self, schema: Any, trail: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
        """Give a schema with what it refers to and all of its ``allOf`` laid into one; None where it leads nowhere."""
        if not isinstance(schema, dict):
            return schema, trail
        own = {name: value for name, value in schema.items() if name not in ("$ref", "allOf")}
        parts: list[Any] = list(schema["allOf"]) if isinstance(schema.get("allOf"), list) else []
        address = schema.get("$ref")
        if isinstance(address, str):
            if address in trail:
                return None, (*trail, address)
            trail = (*trail, address)
            parts.insert(0, self._at(address))
        merged: dict[str, Any] = own
        passed = trail
        for part in parts:
            inner, deeper = self._merged(part, trail)
            if inner is None:
                return None, deeper
            passed = tuple(dict.fromkeys((*passed, *deeper)))
            merged = _joined(merged, inner)
        return merged, passed

    def _said(self, schema: Mapping[str, Any]) -> Iterator[str]:
        """Give what a schema says of a value itself, each keyword as one part."""
        yield from _kind_of(schema)
        for name in sorted(schema.keys() - _STRUCTURAL - _ANNOTATIONS):
            value = schema[name]
            if name.startswith("x-") or (name == "additionalProperties" and isinstance(value, dict)):
                continue
            if name == "enum" and all(_is_scalar(each) for each in _list(value)):
                yield f"one of {', '.join(map(_word, _list(value)))}"
            elif name == "const" and _is_scalar(value):
                yield f"always {_word(value)}"
            elif name == "additionalProperties" and value is False:
                yield "nothing else"
            elif _is_scalar(value):
                yield f"{name} {_word(value)}"
            elif value not in ([], {}):
                yield f"{name} {digest_of([value, self._referred(value)])[:_SHORT_DIGEST]}"
        if "items" in schema and _is_scalar(schema["items"]):
            yield f"items {_word(schema['items'])}"

    def _referred(self, value: Any) -> dict[str, Any]:
        """Give everything that a value refers to, directly or not, by its address."""
        found: dict[str, Any] = {}
        waiting = [value]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Mapping):
                address = part.get("$ref")
                if isinstance(address, str) and address not in found:
                    found[address] = self._at(address)
                    waiting.append(found[address])
                waiting.extend(part.values())
            elif isinstance(part, list):
                waiting.extend(part)
        return found

    def _at(self, address: str) -> Any:
        document, _, pointer = address.partition("#")
        value: Any = self.documents.get(document)
        for token in pointer.split("/")[1:]:
            name = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping):
                value = value.get(name)
            elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            else:
                return None
        return value


def _joined(one: Mapping[str, Any], other: Any) -> dict[str, Any]:
    """Lay two schemas that both hold into one. What both say differently is kept as a digest beside it."""
    if not isinstance(other, Mapping):
        return dict(one)
    joined = {**other, **one}
    for name in sorted(one.keys() & other.keys() - _ANNOTATIONS):
        if name == "properties":
            joined[name] = {**_mapping(other[name]), **_mapping(one[name])}
        elif name == "required":
            joined[name] = list(dict.fromkeys([*_list(other[name]), *_list(one[name])]))
        elif one[name] != other[name]:
            joined[f"also {name}"] = digest_of(other[name])[:_SHORT_DIGEST]
    return joined


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _variants(schema: Mapping[str, Any]) -> tuple[list[Any], bool]:
    """Give the alternatives of a schema without that of null, and whether there is that one."""
    every = [*(schema.get("anyOf") or ()), *(schema.get("oneOf") or ())]
    real = [variant for variant in every if not (isinstance(variant, dict) and variant.get("type") == "null")]
    return real, len(real) < len(every)


def _kind_of(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = schema.get("type")
    if isinstance(kind, str):
        yield kind
    elif isinstance(kind, list):
        yield " or ".join(map(str, kind))
    elif "properties" in schema:
        yield "object"
    elif "anyOf" in schema or "oneOf" in schema:
        yield f"{'any' if 'anyOf' in schema else 'one'} of {len(_variants(schema)[0])}"
    elif "enum" not in schema and "const" not in schema:
        yield "anything"


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _word(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)
