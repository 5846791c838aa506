"""A request held against its operation's declaration, before it is sent, and as far as it can be before it is rendered.

Only the parameters and bodies that the specification describes are held: what it leaves out, a step may send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from pytest_orchestra.data.redaction import is_sensitive_name
from pytest_orchestra.errors import DefinitionError, StepError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import MediaType, Operation, Parameter, ProtocolSpec
from pytest_orchestra.protocols.body_files import FORM, FileRef, is_multipart
from pytest_orchestra.protocols.media_type import essence_of, is_json, media_type_matches
from pytest_orchestra.protocols.request import HttpRequest, sent_media_type
from pytest_orchestra.protocols.schema_check import SchemaFault, SchemaValidators, pointer_to, shown

__all__ = ["RequestJudge"]

_GROUPS: Mapping[str, str] = {"path": "path", "query": "query", "cookie": "cookies"}
_IGNORED_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""Parameters of these names "shall be ignored" (OpenAPI 3.1.1, section 4.8.12.1)."""
_HINT = "correct the input; if a wrong request is what the step is about, set 'breaksContract: true'"
_STRUCTURAL = frozenset({"required", "additionalProperties", "unevaluatedProperties"})
_CONDITIONAL = frozenset({"then", "else", "not", "anyOf", "oneOf", "contains", "dependentSchemas"})


class RequestJudge:
    """Judges requests; the schemas are compiled once."""

    def __init__(self, validators: SchemaValidators) -> None:
        self._validators = validators

    def judge(self, operation: Operation, spec: ProtocolSpec, data: JsonObject, request: HttpRequest) -> None:
        """Raise ``StepError`` where a request breaks what the operation declares.

        ``data`` is the rendered input that the request was built of.
        """
        if not operation.parameters and not operation.request_bodies:
            return
        try:
            faults = list(self._parameter_faults(operation, spec, data, request))
            faults += self._body_faults(operation, spec, data)
        except DefinitionError as error:
            hint = "mend the specification, or set 'breaksContract: true' in the step"
            raise DefinitionError(error.fact, place=error.place, hint=hint) from None
        if faults:
            more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
            raise StepError(
                f"the request breaks the specification of '{spec.service_name}' at {faults[0]}{more}", hint=_HINT
            )

    def find_static_faults(self, operation: Operation, spec: ProtocolSpec, data: JsonObject) -> Iterator[str]:
        """Give what of an input breaks the specification whatever its templates give."""
        try:
            yield from self._static_query_faults(operation, spec, data)
            if _is_template(data.get("mediaType")) or _is_template(data.get("headers")):
                return
            body = data.get("body")
            if not (isinstance(body, str) and _is_template(body)):
                yield from self._body_faults(operation, spec, data, is_static=True)
        except (DefinitionError, StepError):
            return  # carrying the step out says so, and more exactly

    def _static_query_faults(self, operation: Operation, spec: ProtocolSpec, data: JsonObject) -> Iterator[str]:
        for parameter in operation.parameters:
            group = data.get(_GROUPS.get(parameter.location, ""))
            values = {} if group is None else group
            if not isinstance(values, Mapping) or any(_is_template(name) for name in values):
                continue
            value = values.get(parameter.name)
            if value is not None and not _is_template(value):
                yield from self._value_faults(parameter, spec, value)

    def _parameter_faults(
        self, operation: Operation, spec: ProtocolSpec, data: JsonObject, request: HttpRequest
    ) -> Iterator[str]:
        for parameter in operation.parameters:
            if parameter.location == "header":
                yield from self._header_faults(parameter, spec, request)
                continue
            values = cast("JsonObject", data.get(_GROUPS.get(parameter.location, "")) or {})
            value = values.get(parameter.name)
            if value is not None:
                yield from self._value_faults(parameter, spec, value)
            elif parameter.required and not _is_in_cookie(parameter, request):
                group = _GROUPS[parameter.location]
                yield f"/{group}: required {parameter.location} parameter '{parameter.name}' is missing"

    def _header_faults(self, parameter: Parameter, spec: ProtocolSpec, request: HttpRequest) -> Iterator[str]:
        key = parameter.name.lower()
        if key in _IGNORED_HEADERS:
            return
        text = next((value for name, value in request.headers.items() if name.lower() == key), None)
        if text is None:
            if parameter.required:
                yield f"/headers: required header '{parameter.name}' is missing"
        elif parameter.schema is not None and parameter.media_type is None:
            fault = self._validators.find_text_fault(spec, parameter.schema.uri, text)
            if fault is not None:
                yield _told(pointer_to(("headers", parameter.name)), parameter.name, fault)

    def _value_faults(self, parameter: Parameter, spec: ProtocolSpec, value: JsonValue) -> Iterator[str]:
        if parameter.schema is None:
            return
        is_text = parameter.media_type is None
        for fault in self._validators.find_request_faults(
            spec, parameter.schema.uri, _sent(value) if is_text else value, is_text=is_text
        ):
            yield _told(pointer_to((_GROUPS[parameter.location], parameter.name)), parameter.name, fault)

    def _body_faults(
        self, operation: Operation, spec: ProtocolSpec, data: JsonObject, *, is_static: bool = False
    ) -> Iterator[str]:
        if not operation.request_bodies:
            return
        body = data.get("body")
        if body is None:
            if operation.request_required:
                yield "/body: a body is required and there is none"
            return
        media_type = _written_type(operation, data)
        declared = _find_declared(operation.request_bodies, media_type)
        if declared is None:
            names = " or ".join(f"'{each.media_type}'" for each in operation.request_bodies)
            yield f"/mediaType: expected {names}, observed {shown(essence_of(media_type))}"
            return
        if declared.schema is None:
            return
        is_form = essence_of(media_type) == FORM or is_multipart(media_type)
        if is_form and isinstance(body, Mapping):
            files = {name for name, value in body.items() if _is_file(value)}
            body = _sent({name: "" if name in files else value for name, value in body.items()})
        elif is_json(media_type):
            files = set()
        else:
            return

        def passed_over(path: Sequence[str | int], value: JsonValue, keyword: str, schema: Sequence[str | int]) -> bool:
            if path and path[0] in files:
                return True
            return is_static and not _is_certain(value, keyword, schema)

        for fault in self._validators.find_request_faults(
            spec, declared.schema.uri, body, is_text=is_form, passed_over=passed_over if files or is_static else None
        ):
            yield _told("/body", str(fault.pointer.rpartition("/")[2]), fault)


def _told(place: str, name: str, fault: SchemaFault) -> str:
    text = "its value does not fit its schema" if is_sensitive_name(name) else fault.text
    return f"{place}{fault.pointer}: {text}"


def _sent(value: JsonValue) -> JsonValue:
    """Give a value without its members and items that are null, which are left out."""
    if isinstance(value, Mapping):
        return {name: member for name, member in value.items() if member is not None}
    if isinstance(value, (list, tuple)):
        return [item for item in value if item is not None]
    return value


def _is_file(value: JsonValue) -> bool:
    items = value if isinstance(value, (list, tuple)) else [value]
    return any(FileRef.of(item) is not None for item in items)


def _is_in_cookie(parameter: Parameter, request: HttpRequest) -> bool:
    """Tell whether the cookie of a profile, or of its authentication, is sent under the parameter's name."""
    if parameter.location != "cookie":
        return False
    cookie = next((value for name, value in request.headers.items() if name.lower() == "cookie"), "")
    return any(pair.strip().startswith(f"{parameter.name}=") for pair in cookie.split(";"))


def _written_type(operation: Operation, data: JsonObject) -> str:
    headers = cast("JsonObject", data.get("headers") or {})
    own = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    return own if isinstance(own, str) else sent_media_type(operation, data)


def _find_declared(declared: Sequence[MediaType], media_type: str) -> MediaType | None:
    fitting = [each for each in declared if media_type_matches(media_type, each.media_type)]
    return min(fitting, key=lambda each: each.media_type.count("*"), default=None)


def _is_certain(value: JsonValue, keyword: str, schema: Sequence[str | int]) -> bool:
    """Tell whether a fault stands whatever the templates in the value give."""
    if _CONDITIONAL.intersection(map(str, schema)):
        return not _is_template(value)
    if keyword in _STRUCTURAL:
        return not (isinstance(value, Mapping) and any(_is_template(name) for name in value))
    return not _is_template(value)


def _is_template(value: JsonValue) -> bool:
    """Tell whether a value holds a template anywhere."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(_is_template(name) or _is_template(member) for name, member in value.items())
    return isinstance(value, (list, tuple)) and any(map(_is_template, value))
