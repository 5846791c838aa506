"""The attributes and children that most elements share."""

from __future__ import annotations

from typing import Final

from pytest_orchestra.readers.bpmn.metamodel import Attribute, Slot, Take
from pytest_orchestra.readers.bpmn.values import flag, folded, plain

__all__ = ["DESCRIBED", "NAMED", "flag_into", "reference_into", "text_into"]


def reference_into(field: str) -> Attribute:
    """Say that an attribute is an id, and the field that it fills."""
    return Attribute(field, plain)


def flag_into(field: str) -> Attribute:
    """Say that an attribute is true or false, and the field that it fills."""
    return Attribute(field, flag)


def text_into(field: str) -> Attribute:
    """Say that an attribute is a text, and the field that it fills."""
    return Attribute(field, plain)


NAMED: Final = {"id": reference_into("id"), "name": Attribute("name", folded)}
"""Every element may have an id, most have a name."""

DESCRIBED: Final = {"documentation": Slot(Take.TEXT, "documentation"), "extensionElements": Slot(Take.EXTENSIONS)}
"""Every element may be documented and extended."""
