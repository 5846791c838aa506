"""A request as a simulated service takes it: which operation it means, and what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl, unquote

from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import MediaType, Operation, Parameter, ProtocolSpec
from pytest_orchestra.simulation.contract import Contract

__all__ = ["OperationFinder", "ReceivedRequest", "find_request_faults"]

_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_IGNORED_HEADERS: Final = frozenset({"accept", "content-type", "authorization"})
_SEPARATORS: Final[Mapping[str, str]] = {"pipeDelimited": "|", "spaceDelimited": " "}
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class ReceivedRequest:
    """``path`` is decoded only where it is read; ``headers`` have lower-case names."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def media_type(self) -> str:
        """What the body says it is, without parameters, in lower case; empty if it says nothing."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the body claims to be JSON."""
        return self.media_type == "application/json" or self.media_type.endswith("+json")

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The query's names and values, in order."""
        return tuple(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        parts = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name: value for name, _, value in parts if name}

    @cached_property
    def body(self) -> JsonValue:
        """JSON where it is JSON, an object of a form's fields, else the text; null where there is none."""
        if not self.content:
            return None
        text = self.content.decode("utf-8", errors="replace")
        if self.media_type == _FORM:
            return dict(parse_qsl(text, keep_blank_values=True))
        try:
            value: JsonValue = json.loads(text)
        except ValueError:
            return text
        return value

    @property
    def is_malformed(self) -> bool:
        """Whether the body claims to be JSON and is none."""
        if not self.is_json or not self.content:
            return False
        try:
            json.loads(self.content)
        except ValueError:
            return True
        return False

    def to_json(self, operation: Operation | None, values: Mapping[str, str]) -> JsonObject:
        """Give what rules and templates see."""
        return {
            "method": self.method,
            "operation": operation.name if operation is not None else None,
            "path": dict(values),
            "url": f"{self.path}?{self.query}" if self.query else self.path,
            "query": dict(self.pairs),
            "headers": dict(self.headers),
            "body": self.body,
        }


class OperationFinder:
    """Finds operations by method and path; where several paths fit, the one with the fewest placeholders."""

    def __init__(self, operations: Sequence[Operation], prefix: str = "") -> None:
        self._prefix = prefix.rstrip("/")
        ordered = sorted(operations, key=lambda each: len(_PLACEHOLDER.findall(each.path)))
        self._known = [(_pattern(each.path), each) for each in ordered]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """Give the operation and the values of its path parameters."""
        return next((found for found in self._fitting(path) if found[0].method.upper() == method.upper()), None)

    def methods(self, path: str) -> tuple[str, ...]:
        """Give the methods that the path has."""
        return tuple(sorted({operation.method.upper() for operation, _ in self._fitting(path)}))

    def _fitting(self, path: str) -> Iterator[tuple[Operation, dict[str, str]]]:
        within = path[len(self._prefix) :] if self._prefix and path.startswith(f"{self._prefix}/") else path
        for (pattern, names), operation in self._known:
            found = pattern.fullmatch(within)
            if found is not None:
                yield operation, {name: unquote(text) for name, text in zip(names, found.groups(), strict=True)}


def _pattern(path: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    pieces = _PLACEHOLDER.split(path)
    text = "".join("([^/]+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
    return re.compile(text), tuple(pieces[1::2])


def find_request_faults(
    request: ReceivedRequest,
    operation: Operation,
    values: Mapping[str, str],
    spec: ProtocolSpec,
    contract: Contract,
) -> Iterator[str]:
    """Say what of a request breaks its operation: parameters that the specification declares, and the body."""
    for parameter in operation.parameters:
        yield from _parameter_faults(request, parameter, values, spec, contract)
    if not operation.request_bodies:
        return
    if not request.content:
        if operation.request_required:
            yield "/body: a body is required and there is none"
        return
    declared = _declared(operation.request_bodies, request.media_type)
    if declared is None:
        names = " or ".join(f"'{each.media_type}'" for each in operation.request_bodies)
        yield f"/headers/content-type: expected {names}, observed '{request.media_type}'"
    elif request.is_malformed:
        yield "/body: it is not the JSON that it claims to be"
    elif declared.schema is not None and (request.is_json or request.media_type == _FORM):
        is_text = not request.is_json
        for fault in contract.request_faults(spec, declared.schema.uri, request.body, is_text=is_text):
            yield f"/body{fault}"


def _parameter_faults(
    request: ReceivedRequest,
    parameter: Parameter,
    values: Mapping[str, str],
    spec: ProtocolSpec,
    contract: Contract,
) -> Iterator[str]:
    if parameter.location == "header" and parameter.name.lower() in _IGNORED_HEADERS:
        return
    place = {"path": "/path", "query": "/query", "header": "/headers", "cookie": "/cookies"}[parameter.location]
    value = _value_of(request, parameter, values)
    if value is None:
        if parameter.required and not _is_spread(parameter, spec):
            yield f"{place}: required {parameter.location} parameter '{parameter.name}' is missing"
        return
    if parameter.schema is None or parameter.media_type is not None:
        return
    for fault in contract.request_faults(spec, parameter.schema.uri, value, is_text=True):
        yield f"{place}/{parameter.name}{fault}"


def _value_of(request: ReceivedRequest, parameter: Parameter, values: Mapping[str, str]) -> JsonValue:
    """Give a parameter as it came, read as far as its style says; None where it did not come."""
    name = parameter.name
    if parameter.location == "path":
        return values.get(name)
    if parameter.location == "header":
        return request.headers.get(name.lower())
    if parameter.location == "cookie":
        return request.cookies.get(name)
    if parameter.style == "deepObject":
        members: dict[str, JsonValue] = {
            key[len(name) + 1 : -1]: text for key, text in request.pairs if key.startswith(f"{name}[")
        }
        return members or None
    found = [text for key, text in request.pairs if key == name]
    separator = _SEPARATORS.get(parameter.style or "")
    if separator is not None and len(found) == 1 and separator in found[0]:
        found = found[0].split(separator)
    return (found[0] if len(found) == 1 else list[JsonValue](found)) if found else None


def _is_spread(parameter: Parameter, spec: ProtocolSpec) -> bool:
    """Tell whether a parameter's members may have come under names of their own: an object that is exploded."""
    from pytest_orchestra.generation.binding.schemas import Schemas  # noqa: PLC0415  rarely asked

    is_form = parameter.location in ("query", "cookie") and parameter.style in (None, "form")
    return is_form and parameter.explode is not False and Schemas(spec).at(parameter.schema).get("type") == "object"


def _declared(declared: Sequence[MediaType], media_type: str) -> MediaType | None:
    def fits(range_: str) -> bool:
        wanted = range_.partition(";")[0].strip().lower()
        kind, _, rest = wanted.partition("/")
        return wanted in ("*/*", media_type) or (rest == "*" and media_type.startswith(f"{kind}/"))

    fitting = [each for each in declared if fits(each.media_type)]
    return min(fitting, key=lambda each: each.media_type.count("*"), default=None)
