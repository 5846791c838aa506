"""Fields of earlier replies that later requests need: ``orderId`` is the ``id`` of the order created before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.generation.binding.matching import Match
from pytest_orchestra.generation.binding.schemas import Schema, Schemas, json_media_type, success_response
from pytest_orchestra.generation.binding.template_text import read_path
from pytest_orchestra.generation.binding.words import stem, stems_of, words_of
from pytest_orchestra.generation.scaffold.precedence import Precedence

__all__ = ["Carried", "Producer", "Replies", "last_segment", "resource_of"]

_GENERIC: Final = frozenset(
    {"code", "comment", "content", "created", "data", "date", "description", "detail", "error", "href", "id", "items"}
    | {"key", "kind", "label", "link", "message", "name", "note", "reason", "result", "state", "status", "text"}
    | {"timestamp", "title", "type", "updated", "url", "value", "version"}
)
_IDENTIFIERS: Final = ("id", "uuid", "key", "number", "code", "ref", "reference")
_DEEPEST: Final = 2
_BY_RESOURCE: Final = 4
_BY_NAME: Final = 2


@dataclass(frozen=True, slots=True)
class Producer:
    """A step whose reply later steps may read, and the name of its element."""

    element: str
    label: str
    alias: str
    match: Match


@dataclass(frozen=True, slots=True)
class Carried:
    """A field of an earlier reply: the template that reads it."""

    template: str
    producer: Producer


@dataclass(frozen=True, slots=True)
class _Field:
    """A scalar of a reply. ``own`` says that the service made it up: it was not in the request."""

    path: tuple[str, ...]
    stems: tuple[str, ...]
    kind: str
    form: str
    own: bool


class Replies:
    """The replies of a process's steps; which of their fields a later step may read."""

    def __init__(self, producers: Sequence[Producer], precedence: Precedence) -> None:
        self._precedence = precedence
        self._producers = [
            (producer, tuple(_fields_of(producer.match)), resource_of(producer.match)) for producer in producers
        ]

    def find(self, element: str, name: str, schema: Schema, within: Sequence[str] = ()) -> Carried | None:
        """Give the field that a request at an element needs under a name.

        ``within`` are the stems of the resource that the name belongs to, ``("order",)`` for ``id`` in
        ``/orders/{id}``. Producers that have not always come before do not count; of those that fit equally well the
        latest does, one that creates before one that reads.
        """
        best: tuple[int, int] = (0, -1)
        found: Carried | None = None
        for index, (producer, fields, resource) in enumerate(self._producers):
            if producer.element == element or not self._precedence.is_before(producer.element, element):
                continue
            fit, field = _best(name, schema, tuple(within), fields, resource)
            rank = (fit + (producer.match.operation.method.upper() == "POST"), index)
            if field is not None and rank > best:
                best, found = rank, _carried(producer, field)
        return found

    def find_in(self, producer: Producer, name: str, schema: Schema, within: Sequence[str] = ()) -> Carried | None:
        """Give the field of one step's reply that is needed under a name."""
        for each, fields, resource in self._producers:
            if each == producer:
                _, field = _best(name, schema, tuple(within), fields, resource)
                return None if field is None else _carried(producer, field)
        return None

    def is_given(self, producer: Producer, element: str) -> bool:
        """Tell whether a step's reply is always there when an element, or what follows the step in it, is reached."""
        return producer.element == element or self._precedence.is_before(producer.element, element)


def _best(
    name: str, schema: Schema, within: tuple[str, ...], fields: Sequence[_Field], resource: tuple[str, ...]
) -> tuple[int, _Field | None]:
    fitting = [
        (fit, field)
        for field in fields
        if (fit := _fit(stems_of(name), within, field, resource)) and _is_compatible(schema, field)
    ]
    return max(fitting, key=lambda each: each[0], default=(0, None))


def _carried(producer: Producer, field: _Field) -> Carried:
    path = read_path(("step", producer.alias, "response", "body", *field.path))
    return Carried(f"{{{{{path}}}}}", producer)


def resource_of(match: Match) -> tuple[str, ...]:
    """Give the stems of what an operation is about: its reply's schema, else the last word of its path."""
    response = success_response(match.operation)
    media_type = json_media_type(response.media_types) if response is not None else None
    if media_type is not None and media_type.schema is not None:
        uri = media_type.schema.uri
        if "/schemas/" in uri or "/definitions/" in uri:
            return stems_of(uri.rpartition("/")[2])
    return last_segment(match.operation.path)


def last_segment(path: str, before: str | None = None) -> tuple[str, ...]:
    """Give the stems of the last word of a path, or of that in front of a parameter."""
    parts = [part for part in path.split("/") if part]
    if before is not None and f"{{{before}}}" in parts:
        parts = parts[: parts.index(f"{{{before}}}")]
    named = [part for part in parts if "{" not in part]
    return stems_of(named[-1]) if named else ()


def _fit(wanted: tuple[str, ...], within: tuple[str, ...], field: _Field, resource: tuple[str, ...]) -> int:
    """Give how well a field answers to a name, 0 if not at all."""
    is_identifier = field.stems[-1:] == ("id",) and len(field.stems) == 1
    if is_identifier and resource:
        about = wanted[:-1] if wanted[-1:] and wanted[-1] in _IDENTIFIERS else ()
        if about == resource or (not about and wanted == ("id",) and within == resource):
            return _BY_RESOURCE
    if wanted == field.stems and field.own and not (len(wanted) == 1 and wanted[0] in _GENERIC):
        return _BY_NAME
    return 0


def _is_compatible(schema: Schema, field: _Field) -> bool:
    kinds = _kinds(schema)
    if kinds and field.kind and field.kind not in kinds and not {field.kind, *kinds} <= {"integer", "number"}:
        return False
    form = schema.get("format")
    return not (isinstance(form, str) and field.form and form != field.form)


def _fields_of(match: Match) -> Iterator[_Field]:
    schemas = Schemas(match.spec)
    response = success_response(match.operation)
    media_type = json_media_type(response.media_types) if response is not None else None
    if media_type is None:
        return
    request = json_media_type(match.operation.request_bodies)
    sent = schemas.at(request.schema).get("properties") if request is not None else None
    known = {stems_of(name) for name in sent} if isinstance(sent, Mapping) else set()
    yield from _scalars(schemas.at(media_type.schema), schemas, (), known)


def _scalars(
    schema: Schema, schemas: Schemas, above: tuple[str, ...], sent: Iterable[tuple[str, ...]]
) -> Iterator[_Field]:
    properties = schema.get("properties")
    for name, raw in properties.items() if isinstance(properties, Mapping) else ():
        member = schemas.whole(raw)
        kind = next((each for each in _kinds(member)), "")
        if kind == "object" and len(above) + 1 < _DEEPEST:
            yield from _scalars(member, schemas, (*above, name), sent)
        elif kind in ("string", "integer", "number"):
            stems = tuple(stem(word) for word in words_of(name))
            form = member.get("format")
            if stems and member.get("writeOnly") is not True and not (above and stems == ("id",)):
                yield _Field((*above, name), stems, kind, form if isinstance(form, str) else "", stems not in sent)


def _kinds(schema: Schema) -> tuple[str, ...]:
    kind = schema.get("type")
    if isinstance(kind, list):
        return tuple(each for each in kind if isinstance(each, str) and each != "null")
    if isinstance(kind, str):
        return (kind,)
    if "properties" in schema:
        return ("object",)
    values = schema.get("enum")
    return ("string",) if isinstance(values, list) and all(isinstance(each, str) for each in values) else ()
