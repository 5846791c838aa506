"""Where a value lies in data: the path that a name means, and data in which a path has a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = ["Path", "build_data", "changed_data", "variable_of"]

Path: TypeAlias = tuple[str | int, ...]

_MOST_ITEMS: Final = 100


def variable_of(path: Path) -> Path:
    """Give the variable that a name means: ``data.amount`` and ``amount`` are the same."""
    return path[1:] if path[0] == "data" and len(path) > 1 else path


def build_data(assignment: Mapping[Path, JsonValue]) -> JsonObject:
    """Give the data in which every path has its value."""
    return changed_data({}, assignment)


def changed_data(data: JsonObject, assignment: Mapping[Path, JsonValue]) -> JsonObject:
    """Give a copy of data in which every path has its value; values that paths lead through become objects."""
    result: dict[str, JsonValue] = dict(data)
    for path, value in assignment.items():
        changed = _placed(result, path, value)
        if isinstance(changed, dict):
            result = changed
    return result


def _placed(owner: JsonValue, path: Path, value: JsonValue) -> JsonValue:
    if not path:
        return owner if isinstance(owner, Mapping) and not isinstance(value, Mapping) and owner else value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = list(owner) if isinstance(owner, list | tuple) else []
        position = step if step >= 0 else len(items) + step
        while len(items) <= max(position, 0) and len(items) < _MOST_ITEMS:
            items.append(None)
        if 0 <= position < len(items):
            items[position] = _placed(items[position], rest, value)
        elif items:
            items[-1] = _placed(items[-1], rest, value)
        return items
    members: dict[str, JsonValue] = dict(owner) if isinstance(owner, Mapping) else {}
    members[step] = _placed(members.get(step), rest, value)
    return members
