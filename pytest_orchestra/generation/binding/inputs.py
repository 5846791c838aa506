"""What a step sends: what the model says, and for what is required besides, the data by the names of the fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pytest_orchestra.generation.binding.matching import Match
from pytest_orchestra.generation.binding.model_call import ModelCall
from pytest_orchestra.generation.binding.schemas import Schemas, json_media_type
from pytest_orchestra.generation.binding.template_text import read_data
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import Parameter

__all__ = ["GROUPS", "Input", "build_input", "given_input", "missing_parameters"]

Input = dict[str, JsonValue]
"""An ``inputTemplate`` of HTTP."""

GROUPS: Final[Mapping[str, str]] = {"path": "path", "query": "query", "header": "headers", "cookie": "cookies"}
"""Where the parameters of a location stand in an input."""

_UNKNOWN: Final = "{_"


def build_input(match: Match, call: ModelCall | None) -> Input:
    """Give the input of a step for an operation. Without a ``call`` the model has named nothing but the operation."""
    built = given_input(match, call)
    for parameter in missing_parameters(match, built):
        group = GROUPS[parameter.location]
        members = built.get(group)
        known = members if isinstance(members, dict) else {}
        built[group] = {**known, parameter.name: read_data((parameter.name,))}
    body = _required_body(match) if "body" not in built else None
    return built if body is None else {**built, "body": body}


def given_input(match: Match, call: ModelCall | None) -> Input:
    """Give what the model itself says that is sent; nothing without a ``call``."""
    if call is None:
        return {}
    path: dict[str, JsonValue] = {name: _path_value(name, text, call) for name, text in match.path.items()}
    headers = {name: value for name, value in call.headers.items() if name.lower() != "content-type"}
    known = {parameter.name for parameter in match.operation.parameters if parameter.location == "path"}
    path |= {name: value for name, value in call.path.items() if name in known and name not in path}
    groups: Input = {"path": path, "query": {**dict(match.query), **call.query}, "headers": headers}
    built: Input = {group: members for group, members in groups.items() if members}
    if call.body is not None:
        media_type = _media_type(match, call)
        built |= {"body": call.body} if media_type is None else {"body": call.body, "mediaType": media_type}
    return built


def missing_parameters(match: Match, given: Input) -> Iterator[Parameter]:
    """Give the required parameters of an operation that an input lacks."""
    for parameter in match.operation.parameters:
        members = given.get(GROUPS[parameter.location])
        names = list(members) if isinstance(members, dict) else []
        if parameter.location == "header":
            is_given = parameter.name.lower() in (name.lower() for name in names)
        else:
            is_given = parameter.name in names
        if parameter.required and not is_given:
            yield parameter


def _path_value(name: str, text: str, call: ModelCall) -> JsonValue:
    """Give the value of a path parameter: what the URL has there, or what fills the parameter that it has there."""
    if text.startswith("{") and text.endswith("}") and not text.startswith("{{"):
        inner = text[1:-1]
        return call.path.get(inner, read_data((name if text.startswith(_UNKNOWN) else inner,)))
    return text


def _required_body(match: Match) -> JsonValue:
    """Give the required members of a body that is required, each from the data; all of it where there are none."""
    operation = match.operation
    if not operation.request_required or not operation.request_bodies:
        return None
    media_type = json_media_type(operation.request_bodies)
    schema = Schemas(match.spec).at(media_type.schema) if media_type is not None else {}
    required = [name for name in schema.get("required", ()) if isinstance(name, str)]
    return {name: read_data((name,)) for name in required} or read_data(("body",))


def _media_type(match: Match, call: ModelCall) -> str | None:
    """Give the media type that the model names for a body, where the operation takes another by default."""
    declared = [each.media_type for each in match.operation.request_bodies]
    named = next((value for name, value in call.headers.items() if name.lower() == "content-type"), None)
    return named if isinstance(named, str) and named in declared[1:] else None
