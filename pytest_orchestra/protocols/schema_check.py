"""Values held against the schemas of a specification, by ``jsonschema_rs`` (JSON Schema 2020-12, formats asserted)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["SchemaFault", "SchemaValidators", "pointer_to", "resolve_pointer", "shown"]

_SHOWN_LENGTH = 80
_MOST_READINGS = 8
"""How deep a text may turn out to be a list in a list: a schema that refers to itself would have it without end."""
_ABOUT_TYPE = frozenset({"type", "enum", "const", "anyOf", "oneOf"})
_UNIONS = frozenset({"anyOf", "oneOf"})
_LIMITS: Mapping[str, str] = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} character(s)",
    "maxLength": "at most {} character(s)",
    "minItems": "at least {} item(s)",
    "maxItems": "at most {} item(s)",
    "minProperties": "at least {} member(s)",
    "maxProperties": "at most {} member(s)",
    "format": "a text of format '{}'",
    "pattern": "a text that matches '{}'",
    "contentEncoding": "a text encoded as '{}'",
    "contentMediaType": "a text of media type '{}'",
}


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """One place where a value is not what a schema says.

    ``pointer`` is the JSON Pointer of the place in the value (RFC 6901), ``text`` says what is wrong there,
    ``schema`` is the URI of the keyword that says so, ``expected`` that keyword with what it demands.
    """

    pointer: str
    text: str
    schema: str
    expected: JsonValue
    observed: JsonValue


class SchemaValidators:
    """The compiled schemas of all specifications: each is compiled once, when it is first asked for."""

    def __init__(self) -> None:
        self._registries: dict[tuple[str, str], jsonschema_rs.Registry] = {}
        self._validators: dict[tuple[str, str, str], jsonschema_rs.Validator] = {}

    def find_faults(self, spec: ProtocolSpec, uri: str, value: JsonValue, limit: int) -> tuple[list[SchemaFault], int]:
        """Hold a value against the schema at ``uri``; give the first ``limit`` faults, and how many there are in all.

        What is required but only meant for requests (``writeOnly``) may be absent (OpenAPI 3.0.4, section 4.7.24).
        Raises ``DefinitionError`` where the specification's schema is of no use.
        """
        validator = self._validator(spec, uri)
        if validator.is_valid(value):
            return [], 0
        errors = [error for error in validator.iter_errors(value) if not _is_one_sided(spec, error, "writeOnly")]
        return [_fault(error) for error in islice(errors, limit)], len(errors)

    def find_request_faults(
        self,
        spec: ProtocolSpec,
        uri: str,
        value: JsonValue,
        *,
        is_text: bool = False,
        passed_over: Callable[[Sequence[str | int], JsonValue, str, Sequence[str | int]], bool] | None = None,
    ) -> list[SchemaFault]:
        """Hold what is sent against the schema at ``uri``; ``readOnly`` properties may be absent.

        What goes over the wire as text (``is_text``) is taken as text, as number or truth value, or as a list of one,
        whichever its schema wants. ``passed_over`` tells of which faults nothing is to be said, by the place and the
        value there, the keyword and its place in the schema. Raises ``DefinitionError`` where the schema is of no use.
        """
        validator = self._validator(spec, uri)
        if validator.is_valid(value):
            return []
        errors = list(validator.iter_errors(value))
        if is_text:
            value, errors = _read_as_wanted(validator, value, errors)
        return [
            _fault(error)
            for error in errors
            if not _is_one_sided(spec, error, "readOnly")
            and not (
                passed_over is not None
                and passed_over(
                    error.instance_path, cast("JsonValue", error.instance), error.kind.name, error.schema_path
                )
            )
        ]

    def find_text_fault(self, spec: ProtocolSpec, uri: str, text: str) -> SchemaFault | None:
        """Hold the text of a header against a schema: as text, as number or truth value, and as list of such.

        Raises ``DefinitionError`` where the specification's schema is of no use.
        """
        validator = self._validator(spec, uri)
        if validator.is_valid(text):
            return None
        items = [part.strip() for part in text.split(",")]
        typed = [_scalar(item) for item in items]
        reading: JsonValue = typed if len(items) > 1 else typed[0]
        if any(validator.is_valid(candidate) for candidate in (reading, items, typed)):
            return None
        return _fault(next(iter(validator.iter_errors(reading))))

    def _validator(self, spec: ProtocolSpec, uri: str) -> jsonschema_rs.Validator:
        key = (spec.service_name, spec.version, uri)
        known = self._validators.get(key)
        if known is None:
            known = self._validators[key] = self._compile(spec, uri)
        return known

    def _compile(self, spec: ProtocolSpec, uri: str) -> jsonschema_rs.Validator:
        import jsonschema_rs  # noqa: PLC0415  not needed where no contract is held

        try:
            registry = self._registries.get((spec.service_name, spec.version))
            if registry is None:
                resources = cast("list[tuple[str, Any]]", list(spec.documents.items()))
                registry = jsonschema_rs.Registry(resources, draft=jsonschema_rs.Draft202012)
                self._registries[spec.service_name, spec.version] = registry
            return jsonschema_rs.Draft202012Validator(
                {"$ref": uri}, registry=registry, validate_formats=True, offline=True
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise DefinitionError(
                f"schema '{uri}' of service '{spec.service_name}' cannot be used: {_first_line(str(error))}",
                place=Place(spec.file or spec.service_name),
                hint="mend the specification, or set 'checkContract: false' in the step",
            ) from None


def pointer_to(path: Sequence[str | int]) -> str:
    """Write a JSON Pointer."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def resolve_pointer(document: JsonValue, pointer: str) -> JsonValue:
    """Give what stands at a JSON Pointer of a document. Raises ``LookupError`` where nothing does."""
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found[key]
        elif isinstance(found, list) and key.isdecimal():
            found = found[int(key)]
        else:
            raise KeyError(key)
    return found


def shown(value: JsonValue) -> str:
    """Show a value in a message: a text in quotes, anything else as JSON, at most 80 characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > _SHOWN_LENGTH:
        text = f"{text[: _SHOWN_LENGTH - 1]}…"
    return f"'{text}'" if isinstance(value, str) else text


def _scalar(text: str) -> JsonValue:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def _fault(error: jsonschema_rs.ValidationError) -> SchemaFault:
    keyword = error.kind.name
    pointer, text = _explanation(error)
    demanded = {} if keyword in _UNIONS else error.kind.as_dict()
    values = [value for value in demanded.values() if _is_json(value)]
    return SchemaFault(
        pointer=pointer,
        text=text,
        schema=error.absolute_keyword_location or f"#{pointer_to(error.schema_path)}",
        expected={keyword: values[0] if values else True},
        observed=cast("JsonValue", error.instance),
    )


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, list, dict))


def _explanation(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    """Give the pointer of the place and what is wrong there."""
    pointer = pointer_to(error.instance_path)
    kind: Any = error.kind
    observed = cast("JsonValue", error.instance)
    keyword = kind.name
    if keyword in _LIMITS:
        limit = next(iter(kind.as_dict().values()))
        wanted = _LIMITS[keyword].replace("(s)", "" if limit == 1 else "s").format(limit)
        return pointer, f"expected {wanted}, observed {shown(observed)}"
    if keyword in _UNIONS:
        return pointer, _alternatives(kind, observed, len(error.instance_path))
    special = _EXPLANATIONS.get(keyword)
    if special is not None:
        return pointer, special(kind, observed)
    return pointer, f"expected what '{keyword}' demands ({_first_line(error.message)}), observed {shown(observed)}"


def _alternatives(kind: Any, observed: JsonValue, depth: int) -> str:
    fitting = sum(not errors for errors in kind.context)
    if fitting:
        return f"expected exactly one of {len(kind.context)} alternatives to fit, observed {fitting} that do"
    # the alternative that fails deepest, and of those with the fewest errors, is the one that was meant
    nearest = min(kind.context, key=lambda errors: (-max(len(error.instance_path) for error in errors), len(errors)))
    pointer = pointer_to(nearest[0].instance_path[depth:])
    where = f" at '{pointer}'" if pointer else ""
    return (
        f"expected one of {len(kind.context)} alternatives, observed {shown(observed)}; "
        f"the nearest fails{where}: {_explanation(nearest[0])[1]}"
    )


def _null_last(types: list[str]) -> list[str]:
    return sorted(types, key=lambda name: (name == "null", name))


def _unexpected(kind: Any, _: JsonValue) -> str:
    names = [str(name) for name in kind.unexpected]
    what = "item" if kind.name == "unevaluatedItems" else "property"
    if len(names) > 1:
        what = "items" if what == "item" else "properties"
    return f"unexpected {what} {', '.join(map(repr, names))}"


_EXPLANATIONS: Mapping[str, Callable[[Any, JsonValue], str]] = {
    "type": lambda kind, observed: f"expected {' or '.join(_null_last(kind.types))}, observed {shown(observed)}",
    "required": lambda kind, _: f"property '{kind.property}' is missing",
    "enum": lambda kind, observed: f"expected one of {', '.join(map(shown, kind.options))}, observed {shown(observed)}",
    "const": lambda kind, observed: f"expected {shown(kind.expected_value)}, observed {shown(observed)}",
    "additionalProperties": _unexpected,
    "unevaluatedProperties": _unexpected,
    "unevaluatedItems": _unexpected,
    "uniqueItems": lambda _, observed: f"expected distinct items, observed {shown(observed)}",
    "contains": lambda _, observed: f"expected other items that fit 'contains', observed {shown(observed)}",
    "falseSchema": lambda _, observed: f"expected nothing, observed {shown(observed)}",
    "not": lambda kind, observed: f"expected anything but {shown(kind.schema)}, observed {shown(observed)}",
    "propertyNames": lambda kind, _: f"a property's name is wrong: {_explanation(kind.error)[1]}",
}


def _read_as_wanted(
    validator: jsonschema_rs.Validator, value: JsonValue, errors: list[jsonschema_rs.ValidationError]
) -> tuple[JsonValue, list[jsonschema_rs.ValidationError]]:
    """Read texts as numbers, numbers as texts, and single values as lists, one after another, as long as that helps."""
    tried: set[str] = set()
    for _ in range(_MOST_READINGS):
        places = {pointer_to(error.instance_path): error.instance_path for error in errors}
        fresh = [pointer for pointer in places if pointer not in tried]
        if not fresh:
            break  # which is so where no error is left, too
        tried.update(fresh)
        for pointer in fresh:
            here = [error for error in errors if pointer_to(error.instance_path) == pointer]
            if not any(error.kind.name in _ABOUT_TYPE for error in here):
                continue  # another reading would only slip past a limit on texts
            tries = [
                (candidate, list(validator.iter_errors(candidate)))
                for reading in _readings(cast("JsonValue", here[0].instance))
                for candidate in [_replaced(value, places[pointer], reading)]
            ]
            is_of_type = any(error.kind.name == "type" for error in here)
            fitting = [each for each in tries if not any(_is_within(error, pointer) for error in each[1])]
            typed = [each for each in tries if is_of_type and not any(_is_type_error(e, pointer) for e in each[1])]
            value, errors = next(iter(fitting or typed), (value, errors))
    return value, errors


def _is_within(error: jsonschema_rs.ValidationError, pointer: str) -> bool:
    place = pointer_to(error.instance_path)
    return place == pointer or place.startswith(f"{pointer}/")


def _is_type_error(error: jsonschema_rs.ValidationError, pointer: str) -> bool:
    return error.kind.name == "type" and pointer_to(error.instance_path) == pointer


def _readings(value: JsonValue) -> list[JsonValue]:
    """Give what else may be meant by a scalar that goes over the wire as text."""
    if isinstance(value, (bool, int, float)):
        text = json.dumps(value)
        return [text, [value], [text]]
    if isinstance(value, str):
        typed, items = _scalar(value), value.split(",")
        return [typed, [value], [typed], items, [_scalar(item) for item in items]]
    if isinstance(value, list) and len(value) == 1:
        return [value[0]]
    return []


def _replaced(value: JsonValue, path: Sequence[str | int], reading: JsonValue) -> JsonValue:
    if not path:
        return reading
    first, *rest = path
    if isinstance(value, Mapping):
        return {**value, str(first): _replaced(value[str(first)], rest, reading)}
    assert isinstance(value, list)
    assert isinstance(first, int)
    return [_replaced(item, rest, reading) if index == first else item for index, item in enumerate(value)]


def _is_one_sided(spec: ProtocolSpec, error: jsonschema_rs.ValidationError, keyword: str) -> bool:
    """Tell whether what is missing is a property that only requests (``writeOnly``) or replies (``readOnly``) carry."""
    kind: Any = error.kind
    if kind.name != "required" or error.absolute_keyword_location is None:
        return False
    uri, _, pointer = error.absolute_keyword_location.partition("#")
    try:
        parent = resolve_pointer(spec.documents[uri], unquote(pointer.rpartition("/")[0]))
        schema = cast("Mapping[str, Any]", parent)["properties"][kind.property]
        for _ in range(len(spec.documents) + 20):  # a reference to itself ends as well
            if schema.get(keyword) is True:
                return True
            target, _, inner = schema["$ref"].partition("#")
            uri = target or uri
            schema = cast("Mapping[str, Any]", resolve_pointer(spec.documents[uri], unquote(inner)))
    except (LookupError, TypeError, AttributeError):
        return False
    return False


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
