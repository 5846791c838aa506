"""The fields of the data that a scaffold reads, with a value for each as an example."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pytest_orchestra.generation.binding.template_text import read_data
from pytest_orchestra.model.json import JsonValue

__all__ = ["DataNames"]

_READ: Final = re.compile(r"\{\{data((?:\.\w+|\['(?:[^'\\]|\\.)*'\]|\[\d+\])+)\}\}")
_PART: Final = re.compile(r"\.(\w+)|\['((?:[^'\\]|\\.)*)'\]|\[(\d+)\]")


class DataNames:
    """Gives names to values; equal values share a name, others get that of their owner in front."""

    def __init__(self, known: Mapping[str, JsonValue] | None = None) -> None:
        self._known = known or {}
        self._values: dict[str, JsonValue] = {}

    @property
    def values(self) -> Mapping[str, JsonValue]:
        """The values that were named here, in order."""
        return self._values

    def known(self, name: str) -> JsonValue:
        """Give the value of a name, None if it has none yet."""
        return self._values.get(name, self._known.get(name))

    def read(self, name: str, value: JsonValue, owner: str) -> str:
        """Give the template that reads a value."""
        for candidate in (name, f"{owner}_{name}"):
            if self._takes(candidate, value):
                return read_data((candidate,))
        number = 2
        while not self._takes(f"{owner}_{name}_{number}", value):
            number += 1
        return read_data((f"{owner}_{name}_{number}",))

    def note(self, template: JsonValue, value: JsonValue = "text") -> None:
        """Give example values to the fields that a template reads already; ``value`` where it is only one field."""
        if isinstance(template, Mapping):
            for member in template.values():
                self.note(member)
        elif isinstance(template, list):
            for item in template:
                self.note(item)
        elif isinstance(template, str):
            for match in _READ.finditer(template):
                path = [name or quoted or int(index) for name, quoted, index in _PART.findall(match[1])]
                self._place([_plain(part) for part in path], value if match[0] == template else "text")

    def _takes(self, name: str, value: JsonValue) -> bool:
        for values in (self._known, self._values):
            if name in values:
                return _same(values[name], value)
        self._values[name] = value
        return True

    def _place(self, path: Sequence[str | int], value: JsonValue) -> None:
        """Put a value at a path, unless there is something already."""
        first, rest = str(path[0]), path[1:]
        if first in self._known:
            return
        current = self._values.get(first)
        if first in self._values and not (rest and isinstance(current, (dict, list))):
            return
        self._values[first] = _placed(current, rest, value)


def _placed(current: JsonValue, path: Sequence[str | int], value: JsonValue) -> JsonValue:
    if not path:
        return value if current is None else current
    part, rest = path[0], path[1:]
    if isinstance(part, int):
        items = list(current) if isinstance(current, list) else []
        items += [None] * (min(part, _MOST) + 1 - len(items))
        index = min(part, _MOST)
        items[index] = _placed(items[index], rest, value)
        return items
    members = dict(current) if isinstance(current, Mapping) else {}
    members[part] = _placed(members.get(part), rest, value)
    return members


_MOST: Final = 20


def _plain(part: str | int) -> str | int:
    return re.sub(r"\\(.)", r"\1", part) if isinstance(part, str) else part


def _same(one: JsonValue, other: JsonValue) -> bool:
    """Compare as JSON does: true is not 1."""
    return type(one) is type(other) and one == other
