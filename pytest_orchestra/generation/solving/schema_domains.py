"""What the fields in which data is sent may hold: the schemas of requests as domains of the data's names.

A field counts where the template of a step gives it one value of the data and nothing else: ``"{{data.amount}}"``.
Keywords are those of JSON Schema 2020-12, to which the reader of specifications translates all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final
from urllib.parse import unquote

from pytest_orchestra.generation.limits import MAX_CONTRACT_DEPTH
from pytest_orchestra.generation.solving.cells import Cell, Kind, cell_of, exact_number
from pytest_orchestra.generation.solving.domains import Domain
from pytest_orchestra.generation.solving.formulas import Path
from pytest_orchestra.generation.solving.pattern_samples import is_pattern, sample_of
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import Operation, ProtocolSpec, SchemaRef

__all__ = ["list_domains"]

_SENT: Final = re.compile(r"\s*\{\{\s*data((?:\.[A-Za-z_]\w*|\[\d+\]|\['[^']*'\])+)\s*\}\}\s*")
_STEP: Final = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|\['([^']*)'\]")
_LOCATIONS: Final = {"path": "path", "query": "query", "headers": "header", "cookies": "cookie"}
_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "integer": (Kind.NUMBER,),
    "number": (Kind.NUMBER,),
    "string": (Kind.TEXT,),
    "boolean": (Kind.TRUTH,),
    "null": (Kind.NULL,),
    "array": (Kind.LIST, Kind.OTHER),
    "object": (Kind.OTHER,),
}
_FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    "date": (r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", "2025-01-31"),
    "date-time": (r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$", "2025-01-31T12:00:00Z"),
    "time": (r"^\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$", "12:00:00Z"),
    "email": (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "someone@example.com"),
    "uuid": (
        r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        "7d444840-9dc0-41d1-b245-5ffdce74fad2",
    ),
    "uri": (r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]*$", "https://example.com/"),
}
_MOST_CHOICES: Final = 100


def list_domains(steps: Iterable[StepDefinition], specs: Mapping[str, ProtocolSpec]) -> dict[Path, Domain]:
    """Give for every path of the data that steps send in a field of its own what all these fields allow."""
    found: dict[Path, Domain] = {}
    for step in steps:
        spec = specs.get(step.endpoint_ref.service_name) if step.endpoint_ref is not None else None
        if spec is None or step.endpoint_ref is None:
            continue
        operation = spec.operation.get(step.endpoint_ref.endpoint_name)
        for path, domain in _sent(step, operation, spec) if operation is not None else ():
            found[path] = _both(found[path], domain) if path in found else domain
    return found


def _sent(step: StepDefinition, operation: Operation, spec: ProtocolSpec) -> Iterator[tuple[Path, Domain]]:
    reader = _Reader(spec)
    template = step.input_template
    for group, location in _LOCATIONS.items():
        values = template.get(group)
        by_name = {one.name: one.schema for one in operation.parameters if one.location == location}
        for name, value in values.items() if isinstance(values, Mapping) else ():
            schema = by_name.get(name)
            if schema is not None:
                yield from reader.fields(value, reader.resolved(schema), 0)
    wanted = template.get("mediaType")
    bodies = [
        body
        for body in operation.request_bodies
        if body.schema is not None and (body.media_type == wanted if wanted else "json" in body.media_type)
    ]
    for body in bodies[:1]:
        if body.schema is not None:
            yield from reader.fields(template.get("body"), reader.resolved(body.schema), 0)


@dataclass
class _Reader:
    """Follows references inside the documents of one specification."""

    spec: ProtocolSpec
    _bases: dict[int, str] = field(default_factory=dict)

    def resolved(self, ref: SchemaRef) -> list[Mapping[str, Any]]:
        """Give all schemas that hold at an address: its own, and those of ``$ref`` and ``allOf``."""
        return list(self._every(ref.uri, 0))

    def _every(self, uri: str, depth: int) -> Iterator[Mapping[str, Any]]:
        schema = self._at(uri)
        if isinstance(schema, Mapping) and depth < MAX_CONTRACT_DEPTH:
            yield from self._parts(schema, uri.partition("#")[0], depth)

    def _parts(self, schema: Mapping[str, Any], base: str, depth: int) -> Iterator[Mapping[str, Any]]:
        self._bases[id(schema)] = base
        yield schema
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield from self._every(reference if not reference.startswith("#") else f"{base}{reference}", depth + 1)
        for part in schema.get("allOf", ()) if isinstance(schema.get("allOf"), Sequence) else ():
            if isinstance(part, Mapping) and depth < MAX_CONTRACT_DEPTH:
                yield from self._parts(part, base, depth + 1)

    def _at(self, uri: str) -> object:
        document, _, pointer = uri.partition("#")
        value: object = self.spec.documents.get(document)
        for step in pointer.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping):
                value = value.get(name)
            elif (
                isinstance(value, Sequence) and not isinstance(value, str) and name.isdigit() and int(name) < len(value)
            ):
                value = value[int(name)]
            else:
                return None
        return value

    def fields(
        self, template: JsonValue, schemas: Sequence[Mapping[str, Any]], depth: int
    ) -> Iterator[tuple[Path, Domain]]:
        """Give the domains of the data that a template sends, by its paths."""
        if depth > MAX_CONTRACT_DEPTH:
            return
        if isinstance(template, str):
            sent = _SENT.fullmatch(template)
            if sent is not None:
                yield _path(sent[1]), _domain(schemas)
        elif isinstance(template, Mapping):
            for name, value in template.items():
                yield from self.fields(value, list(self._under(schemas, "properties", name)), depth + 1)
        elif isinstance(template, Sequence):
            for value in template:
                yield from self.fields(value, list(self._under(schemas, "items", None)), depth + 1)

    def _under(
        self, schemas: Sequence[Mapping[str, Any]], keyword: str, name: str | None
    ) -> Iterator[Mapping[str, Any]]:
        for schema in schemas:
            part = schema.get(keyword)
            if name is not None:
                part = part.get(name) if isinstance(part, Mapping) else None
            if isinstance(part, Mapping):
                yield from self._parts(part, self._bases.get(id(schema), ""), 0)


def _path(text: str) -> Path:
    return tuple(int(index) if index else name or quoted for name, index, quoted in _STEP.findall(text))


def _domain(schemas: Iterable[Mapping[str, Any]]) -> Domain:
    domain = Domain()
    for schema in schemas:
        domain = _both(domain, _own(schema))
    return domain


def _own(schema: Mapping[str, Any]) -> Domain:
    stated = schema.get("type")
    types = [stated] if isinstance(stated, str) else stated if isinstance(stated, Sequence) else []
    domain = Domain(
        kinds=frozenset(kind for name in types for kind in _KINDS.get(str(name), ())),
        step=_step(schema, types),
        low=_number(schema.get("minimum")),
        high=_number(schema.get("maximum")),
        shortest=_count(schema.get("minLength")) or 0,
        longest=_count(schema.get("maxLength")),
        examples=tuple(_texts(schema)),
    )
    above, below = _number(schema.get("exclusiveMinimum")), _number(schema.get("exclusiveMaximum"))
    if above is not None and (domain.low is None or above >= domain.low):
        domain = replace(domain, low=above, is_open_low=True)
    if below is not None and (domain.high is None or below <= domain.high):
        domain = replace(domain, high=below, is_open_high=True)
    if "const" in schema:
        return replace(domain, choices=_choices([schema["const"]]))
    values = schema.get("enum")
    if isinstance(values, Sequence) and not isinstance(values, str) and len(values) <= _MOST_CHOICES:
        return replace(domain, choices=_choices(values))
    return _patterned(domain, schema)


def _patterned(domain: Domain, schema: Mapping[str, Any]) -> Domain:
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and is_pattern(pattern):
        sample = sample_of(pattern, domain.shortest)
        return replace(domain, pattern=pattern, examples=(*domain.examples, *((sample,) if sample is not None else ())))
    known = _FORMATS.get(str(schema.get("format")))
    if known is not None:
        return replace(domain, pattern=known[0], examples=(*domain.examples, known[1]))
    return domain


def _step(schema: Mapping[str, Any], types: Sequence[object]) -> Fraction | None:
    multiple = _number(schema.get("multipleOf"))
    if multiple is not None and multiple > 0:
        return multiple if "integer" not in types or multiple.denominator == 1 else Fraction(multiple.numerator)
    return Fraction(1) if "integer" in types and "number" not in types else None


def _number(value: object) -> Fraction | None:
    return exact_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _texts(schema: Mapping[str, Any]) -> Iterator[str]:
    many = schema.get("examples")
    for value in (schema.get("default"), schema.get("example"), *(many if isinstance(many, list) else ())):
        if isinstance(value, str):
            yield value


def _choices(values: Iterable[JsonValue]) -> tuple[Cell, ...]:
    simple = (value for value in values if value is None or isinstance(value, str | int | float))
    return tuple(dict.fromkeys(cell_of(value) for value in simple))


def _both(one: Domain, other: Domain) -> Domain:
    """Give the domain of values that both allow; of two patterns or steps that differ, the first."""
    kinds = one.kinds & other.kinds if one.kinds and other.kinds else one.kinds or other.kinds
    low, open_low = _tighter(one.low, one.is_open_low, other.low, other.is_open_low, sign=1)
    high, open_high = _tighter(one.high, one.is_open_high, other.high, other.is_open_high, sign=-1)
    if one.choices and other.choices:
        choices = tuple(choice for choice in one.choices if choice in other.choices) or one.choices
    else:
        choices = one.choices or other.choices
    limits = [longest for longest in (one.longest, other.longest) if longest is not None]
    return Domain(
        kinds=kinds,
        step=one.step or other.step,
        low=low,
        high=high,
        is_open_low=open_low,
        is_open_high=open_high,
        choices=choices,
        examples=tuple(dict.fromkeys((*one.examples, *other.examples))),
        shortest=max(one.shortest, other.shortest),
        longest=min(limits, default=None),
        pattern=one.pattern or other.pattern,
    )


def _tighter(
    one: Fraction | None, is_one_open: bool, other: Fraction | None, is_other_open: bool, *, sign: int
) -> tuple[Fraction | None, bool]:
    if one is None or other is None:
        return (one, is_one_open) if other is None else (other, is_other_open)
    if one == other:
        return one, is_one_open or is_other_open
    return (one, is_one_open) if sign * one > sign * other else (other, is_other_open)
