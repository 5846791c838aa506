"""JSON Schemas of the files that users write, for editors."""

from __future__ import annotations

from typing import Any, Final, Literal

from pytest_orchestra.model.definition import Bindings, StepLibrary
from pytest_orchestra.readers.data_files import data_file_adapter
from pytest_orchestra.readers.environment_file import environments_adapter

__all__ = ["SchemaKind", "json_schema"]

SchemaKind = Literal["sidecar", "data", "environments", "steps"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TITLES: Final = {
    "sidecar": "pytest-orchestra: sidecar of a process",
    "data": "pytest-orchestra: test data",
    "environments": "pytest-orchestra: environments",
    "steps": "pytest-orchestra: custom steps and assertions",
}
_DESCRIPTIONS: Final = {
    "data": "Data sets, by `dataSets` or as a list.",
    "environments": "Environments by name.",
}
_STEP_GROUPS: Final = {
    "action": "What the step does; its fields may stand in the step itself as well.",
    "expectations": "What must hold; its fields may stand in the step itself as well.",
    "meta": "Settings of the channel; its fields may stand in the step itself as well.",
}


def json_schema(kind: SchemaKind) -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a file, for editors that complete and check while one writes.

    It knows the short forms and the nested groups of steps. Field names are in camelCase; the reader takes them in
    ``snake_case``, too. What depends on several fields or files, such as a repeated alias, only the reader tells.
    """
    schema = _generated(kind)
    _tidy(schema)
    if kind == "sidecar":
        _allow_short_bindings(schema)
    if kind in {"sidecar", "steps"}:
        _allow_groups(schema["$defs"])
        _allow_short_custom_steps(schema["$defs"])
    if kind == "environments":
        schema["additionalProperties"] = {"anyOf": [schema["additionalProperties"], {"type": "null"}]}
    schema.pop("title", None)
    schema.pop("$schema", None)
    described = {"description": _DESCRIPTIONS[kind]} if kind in _DESCRIPTIONS else {}
    return {"$schema": _DIALECT, "title": _TITLES[kind], **described, **schema}


def _generated(kind: SchemaKind) -> dict[str, Any]:
    if kind == "sidecar":
        return Bindings.model_json_schema()
    if kind == "steps":
        return StepLibrary.model_json_schema()
    adapter: Any = data_file_adapter() if kind == "data" else environments_adapter()
    return dict(adapter.json_schema())


def _tidy(schema: Any) -> None:
    """Remove the titles that pydantic makes of field names, and let no misspelt name through."""
    if isinstance(schema, list):
        for part in schema:
            _tidy(part)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if isinstance(schema.get("description"), str):
        schema["description"] = " ".join(schema["description"].replace("``", "`").split())
    if "patternProperties" in schema:
        schema.setdefault("additionalProperties", False)
    for keyword, part in schema.items():
        if keyword in {"properties", "$defs", "patternProperties"}:
            for value in part.values():
                _tidy(value)
        elif keyword not in {"default", "enum", "const", "examples"}:
            _tidy(part)


def _allow_short_bindings(schema: dict[str, Any]) -> None:
    """Let one step stand for a list of one, and nothing for an empty list."""
    bindings = schema["properties"]["bindings"]
    steps = bindings["additionalProperties"]
    bindings["additionalProperties"] = {"anyOf": [steps["items"], steps, {"type": "null"}]}


def _allow_short_custom_steps(definitions: dict[str, Any]) -> None:
    """Let one step stand for a list of one, and nothing for an input that is required."""
    custom = definitions["CustomStep"]["properties"]
    custom["steps"]["anyOf"] = [{"type": custom["steps"].pop("type"), "items": custom["steps"]["items"]}]
    custom["steps"]["anyOf"].append(custom["steps"].pop("items"))
    for model in ("CustomStep", "CustomAssertion"):
        inputs = definitions[model]["properties"]["inputs"]
        inputs["additionalProperties"] = False
        for pattern, value in inputs.get("patternProperties", {}).items():
            inputs["patternProperties"][pattern] = {"anyOf": [value, {"type": "null"}]}


def _allow_groups(definitions: dict[str, Any]) -> None:
    """Let a step's fields stand in its groups."""
    step = definitions["StepDefinition"]
    group: dict[str, Any] = {
        "type": "object",
        "properties": {name: {"$ref": f"#/$defs/StepDefinition/properties/{name}"} for name in step["properties"]},
        "additionalProperties": False,
    }
    group["properties"]["meta"] = {"$ref": "#/$defs/StepGroup", "description": _STEP_GROUPS["meta"]}
    definitions["StepGroup"] = group
    for name, description in _STEP_GROUPS.items():
        step["properties"][name] = {"$ref": "#/$defs/StepGroup", "description": description}
