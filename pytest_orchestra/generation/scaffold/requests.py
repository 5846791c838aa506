"""The requests of a scaffold: what earlier replies give, else fields of the data, with values that schemas allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pytest_orchestra.generation.binding.inputs import GROUPS, Input, given_input
from pytest_orchestra.generation.binding.matching import Match
from pytest_orchestra.generation.binding.model_call import ModelCall
from pytest_orchestra.generation.binding.schemas import Schema, Schemas, json_media_type, success_response
from pytest_orchestra.generation.binding.template_text import as_literal
from pytest_orchestra.generation.binding.words import joined
from pytest_orchestra.generation.scaffold.carrying import Replies, last_segment
from pytest_orchestra.generation.scaffold.data_names import DataNames
from pytest_orchestra.generation.scaffold.samples import sample_body, sample_value
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import Parameter, ProtocolSpec

__all__ = ["Checker", "Request", "RequestWriter", "expected_status"]

Checker = Callable[[ProtocolSpec, str, JsonValue], bool]
"""Whether a value satisfies the schema at an address of a specification."""

_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_SENT_ANYWAY: Final = frozenset({"accept", "authorization", "contenttype", "traceparent", "tracestate"})
_ONCE: Final = "idempotencykey"


@dataclass(frozen=True, slots=True)
class Request:
    """The input of a step, and what a reader should know of it."""

    input: Input
    notes: tuple[str, ...] = ()


@dataclass
class RequestWriter:
    """Writes the requests of the steps of one process.

    ``replies`` are those that steps may read, ``possible`` those that they might if what is suggested were used.
    """

    check: Checker
    replies: Replies
    possible: Replies
    correlation_header: str
    _notes: list[str] = field(default_factory=list)

    def write(self, element: str, alias: str, match: Match, call: ModelCall | None, data: DataNames) -> Request:
        """Give the request of a step at an element."""
        self._notes = []
        writing = _Writing(self, element, alias, match, data)
        built = writing.build(given_input(match, call))
        return Request(built, tuple(dict.fromkeys(self._notes)))

    def note(self, text: str) -> None:
        """Note something for the reader."""
        self._notes.append(text)


def expected_status(match: Match) -> int | str | None:
    """Give the status of success that the specification declares; None where ``2XX`` says it all."""
    response = success_response(match.operation)
    return int(response.status) if response is not None and response.status.isdecimal() else None


@dataclass
class _Writing:
    """One request that is being written."""

    writer: RequestWriter
    element: str
    alias: str
    match: Match
    data: DataNames

    def build(self, given: Input) -> Input:
        schemas = Schemas(self.match.spec)
        groups: dict[str, dict[str, JsonValue]] = {}
        for group in GROUPS.values():
            members = given.get(group)
            groups[group] = dict(members) if isinstance(members, dict) else {}
        for parameter in self.match.operation.parameters:
            members = groups[GROUPS[parameter.location]]
            schema = schemas.at(parameter.schema)
            if joined(parameter.name) in (joined(name) for name in members):
                self.data.note(members.get(parameter.name), self._sample(parameter))
                continue
            value = self._parameter(parameter, schema)
            if value is not None:
                members[parameter.name] = value
        built: Input = {group: members for group, members in groups.items() if members}
        for members in built.values():
            self.data.note(members)
        if "body" in given:
            self.data.note(given["body"])
            return {**built, **{key: given[key] for key in ("body", "mediaType") if key in given}}
        return {**built, **self._body(schemas)}

    def _parameter(self, parameter: Parameter, schema: Schema) -> JsonValue:
        name = joined(parameter.name)
        if parameter.location == "header":
            if name in _SENT_ANYWAY or name == joined(self.writer.correlation_header):
                return None
            if name == _ONCE:
                return "{{correlationId}}"
        within = last_segment(self.match.operation.path, parameter.name) if parameter.location == "path" else ()
        carried = self.writer.replies.find(self.element, parameter.name, schema, within)
        if carried is not None:
            return carried.template
        if not parameter.required:
            return None
        self._note_possible(parameter.name, schema, within)
        return self.data.read(parameter.name, self._sample(parameter), self.alias)

    def _sample(self, parameter: Parameter) -> JsonValue:
        uri = parameter.schema.uri if parameter.schema is not None else None
        if uri is None:
            return next(iter(parameter.examples), "text")
        known = self.data.known(parameter.name)
        for example in (*parameter.examples, *([known] if known is not None else [])):
            if self.writer.check(self.match.spec, uri, example):
                return example
        return sample_value(
            {"$ref": uri},
            Schemas(self.match.spec),
            lambda value: self.writer.check(self.match.spec, uri, value),
            parameter.name,
        ).value

    def _note_possible(self, name: str, schema: Schema, within: tuple[str, ...]) -> None:
        carried = self.writer.possible.find(self.element, name, schema, within)
        if carried is not None:
            self.writer.note(f"{name}: {carried.template} once '{carried.producer.label}' is bound")

    def _body(self, schemas: Schemas) -> Input:
        operation = self.match.operation
        media_type = json_media_type(operation.request_bodies)
        if media_type is None or not (operation.request_required or operation.method.upper() in _WITH_BODY):
            return {}
        uri = media_type.schema.uri if media_type.schema is not None else None
        sample = sample_body(
            media_type,
            schemas,
            lambda value: uri is None or self.writer.check(self.match.spec, uri, value),
        )
        if not sample.is_valid:
            self.writer.note("the body is not yet what its schema demands")
        value = sample.value
        shared = self._with_known(value, "body")
        if sample.is_valid and shared != value and uri is not None and self.writer.check(self.match.spec, uri, shared):
            value = shared
        body = self._templated(value, schemas.at(media_type.schema), schemas, "body")
        is_default = media_type is operation.request_bodies[0]
        return {"body": body} if is_default else {"body": body, "mediaType": media_type.media_type}

    def _with_known(self, value: JsonValue, name: str) -> JsonValue:
        """Give a body with the values that the data has already under the names of its fields."""
        if isinstance(value, Mapping):
            return {key: self._with_known(member, key) for key, member in value.items()}
        if isinstance(value, list):
            return [self._with_known(item, name) for item in value]
        known = self.data.known(name)
        return known if known is not None and not isinstance(known, (Mapping, list)) else value

    def _templated(self, value: JsonValue, schema: Schema, schemas: Schemas, name: str) -> JsonValue:
        """Give a body with its scalars read from earlier replies or from the data."""
        if isinstance(value, Mapping):
            properties = schema.get("properties")
            known = properties if isinstance(properties, Mapping) else {}
            return {
                as_literal(key): self._templated(member, schemas.whole(known.get(key)), schemas, key)
                for key, member in value.items()
            }
        if isinstance(value, list):
            items = schemas.whole(schema.get("items"))
            return [self._templated(item, items, schemas, name) for item in value]
        if value is None or "const" in schema:
            return as_literal(value) if isinstance(value, str) else value
        carried = self.writer.replies.find(self.element, name, schema)
        if carried is not None:
            return carried.template
        self._note_possible(name, schema, ())
        return self.data.read(name, value, self.alias)
