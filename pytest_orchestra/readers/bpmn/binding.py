"""The metamodel's rows made ready for one namespace, so that a tag of the tree is looked up as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from pytest_orchestra.model.process import (
    Association,
    Collaboration,
    DataElement,
    EventDefinition,
    FlowNode,
    Interface,
    InterfaceOperation,
    Lane,
    MessageFlow,
    Participant,
    Process,
    RootElement,
    SequenceFlow,
)
from pytest_orchestra.readers.bpmn.element_stream import SEPARATOR
from pytest_orchestra.readers.bpmn.elements import DEFINITIONS, ELEMENTS
from pytest_orchestra.readers.bpmn.kept_elements import LEAVES, kept_as_it_stands
from pytest_orchestra.readers.bpmn.metamodel import Attribute, ElementType, Slot, Take

__all__ = ["BoundRow", "BoundSlot", "Metamodel", "bind_metamodel"]

_DEFERRED: Final = frozenset(
    {
        Association,
        Collaboration,
        DataElement,
        EventDefinition,
        FlowNode,
        Interface,
        InterfaceOperation,
        Lane,
        MessageFlow,
        Participant,
        Process,
        SequenceFlow,
        dict,
    }
)
_EXTENSIONS: Final = {"extensionElements": Slot(Take.EXTENSIONS)}


@dataclass(slots=True, eq=False)
class BoundSlot:
    """A slot whose inner slots are looked up by tag; ``name`` is the local name of the child, ``row`` its row."""

    take: Take
    field: str
    name: str
    inner: Mapping[str, BoundSlot]
    also: str
    row: BoundRow | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BoundRow:
    """A row whose slots are looked up by tag, with what the reader asks of it at every element.

    ``is_deferred`` says that other elements must be known before the row's value can be made.
    """

    row: ElementType
    name: str
    preset: dict[str, Any]
    attributes: Mapping[str, Attribute]
    slots: Mapping[str, BoundSlot]
    has_id: bool
    needs_id: bool
    has_place: bool
    has_scope: bool
    has_attributes: bool
    has_extensions: bool
    is_deferred: bool
    is_node: bool
    is_process: bool
    is_lane: bool
    is_kept: bool
    has_vendor: bool
    rest: str


class Metamodel:
    """The rows of the metamodel for documents of one namespace ("" for documents without)."""

    def __init__(self, namespace: str) -> None:
        self._prefix = namespace + SEPARATOR if namespace else ""
        self.definitions = self._bound(DEFINITIONS)
        self._rows = {self._prefix + name: self._bound(row) for name, row in ELEMENTS.items()}
        for row in (self.definitions, *self._rows.values()):
            self._link(row.slots)
        self._unknown = self._bound(kept_as_it_stands(""))
        self._kept: dict[str, BoundRow] = {}

    def row(self, tag: str) -> BoundRow | None:
        """Give the row of a tag, if it has one."""
        return self._rows.get(tag)

    def kept_row(self, name: str) -> BoundRow:
        """Give the row by which an element of that local name is kept as it stands."""
        if name not in ELEMENTS and name not in LEAVES:  # the rows outlive the document: hold no names of its making
            return replace(self._unknown, name=name, preset={"kind": name, "id": ""})
        if name not in self._kept:
            self._kept[name] = self._bound(kept_as_it_stands(name))
        return self._kept[name]

    def is_leaf(self, name: str) -> bool:
        """Whether BPMN has an element of that name that only says something of its parent."""
        return name in LEAVES

    def local_name(self, tag: str) -> str | None:
        """Give the name of a BPMN element, None for a tag of another namespace."""
        if not tag.startswith(self._prefix):
            return None
        name = tag[len(self._prefix) :]
        return None if SEPARATOR in name else name

    def _bound(self, row: ElementType) -> BoundRow:
        names = row.field_names
        return BoundRow(
            row=row,
            name=row.name,
            preset=dict(row.preset),
            attributes=row.attributes,
            slots=self._bound_slots(row.children),
            has_id="id" in names,
            needs_id="id" in names and row.makes not in {RootElement, EventDefinition},
            has_place="place" in names,
            has_scope="scope" in names,
            has_attributes="attributes" in names or row is DEFINITIONS,
            has_extensions="extensions" in names or row is DEFINITIONS,
            is_deferred=row.makes in _DEFERRED,
            is_node=row.makes is FlowNode,
            is_process=row.makes is Process,
            is_lane=row.makes is Lane,
            is_kept=row.makes is RootElement,
            has_vendor=bool(row.vendor),
            rest=row.rest if row.rest in names or row is DEFINITIONS else "",
        )

    def _link(self, slots: Mapping[str, BoundSlot]) -> None:
        for tag, slot in slots.items():
            slot.row = self._rows.get(tag)
            self._link(slot.inner)

    def _bound_slots(self, slots: Mapping[str, Slot]) -> dict[str, BoundSlot]:
        return {
            self._prefix + name: BoundSlot(
                slot.take,
                slot.field,
                name,
                self._bound_slots({**_EXTENSIONS, **slot.inner}) if slot.inner else {},
                slot.also,
            )
            for name, slot in slots.items()
        }


@cache
def bind_metamodel(namespace: str) -> Metamodel:
    """Give the metamodel for documents of one namespace."""
    return Metamodel(namespace)
