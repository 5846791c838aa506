"""How the BPMN metamodel is written down as data: what an element becomes, and which attributes and children count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, auto
from typing import Any

__all__ = ["Attribute", "ElementType", "Slot", "Take"]


class Take(Enum):
    """How a child element counts for the element that holds it."""

    IGNORE = auto()
    """Not at all: it repeats what is said elsewhere."""
    TEXT = auto()
    """Its text, joined to that of its like."""
    CODE = auto()
    """Its text as it stands."""
    CONDITION = auto()
    """Its text with its language and place."""
    REFERENCE = auto()
    """Its text, an id."""
    REFERENCES = auto()
    """Its text, one id of several."""
    NAME = auto()
    """Its name, else its id."""
    ONE = auto()
    """What it becomes itself."""
    MANY = auto()
    """What it becomes itself, one of several."""
    PROCESS = auto()
    """What it becomes itself, one of several that its process holds, however deep it lies."""
    INLINE = auto()
    """Its own children, as if they stood in its place."""
    EXTENSIONS = auto()
    """Its children, which are vendors' extensions."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: the field that it fills, and how its text is read.

    ``convert`` gives None where the field keeps its default, and raises ``ValueError`` with what was expected.
    """

    field: str
    convert: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for child elements: how they count, and the field that they fill.

    ``inner`` describes children that are INLINE; ``also`` names a field that takes the name of the child element.
    """

    take: Take
    field: str = ""
    inner: Mapping[str, Slot] | None = None
    also: str = ""


@dataclass(frozen=True)
class ElementType:
    """One row of the metamodel.

    ``makes`` is the class of the model (or a function) that takes the values of the fields; ``preset`` are values that
    the element's name alone decides. ``rest`` is the field for standard children that have no slot. ``vendor`` says
    which extensions are understood: name of the extension -> its attribute ("" for its text) -> field.
    """

    name: str
    makes: Callable[..., Any]
    preset: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    children: Mapping[str, Slot] = field(default_factory=dict)
    vendor: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rest: str = "details"

    @property
    def field_names(self) -> frozenset[str]:
        """The fields of what the element becomes."""
        return frozenset(f.name for f in fields(self.makes)) if is_dataclass(self.makes) else frozenset()
