"""Reads elements along the metamodel into records; it decides nothing that the table does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pytest_orchestra.model.process import Condition, Extension, SequenceFlow
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.bpmn.binding import BoundRow, BoundSlot, Metamodel
from pytest_orchestra.readers.bpmn.element_stream import IGNORED, SEPARATOR, ElementStream, Frame, TextFrame, qualified
from pytest_orchestra.readers.bpmn.metamodel import Take
from pytest_orchestra.readers.bpmn.records import Identifiers, Lines, Record
from pytest_orchestra.readers.bpmn.values import folded, plain
from pytest_orchestra.readers.problem_list import ProblemList

__all__ = ["RecordReader"]

_MOST_KEPT = 300_000
_MANY = 20  # more attributes than BPMN gives any element: the rest is kept, and counted
_IGNORE, _PROCESS = Take.IGNORE, Take.PROCESS  # most children are one of these two
_SCHEMA_INSTANCE = f"http://www.w3.org/2001/XMLSchema-instance{SEPARATOR}"


class RecordReader(Frame):
    """The frame of one document.

    ``root`` is the record of its root element, ``ids`` holds all that was found; ``stray_flows`` are sequence flows
    that stand outside of every process. ``others`` are frames for children of the root that another reader reads.
    """

    def __init__(
        self, stream: ElementStream, metamodel: Metamodel, problems: ProblemList, others: Mapping[str, Frame]
    ) -> None:
        self.ids = Identifiers()
        self.stray_flows: list[Record] = []
        self.root = Record(metamodel.definitions, Place(problems.file), {}, None)
        self.metamodel = metamodel
        self._stream = stream
        self._problems = problems
        self._others = others
        self._room = _MOST_KEPT

    def start(self, _tag: str, attributes: dict[str, str]) -> Frame:
        """Take the root element."""
        self.root = self._open(self.metamodel.definitions, self.root, attributes)
        return _Element(self, self.root, {}, "")

    # ---- elements

    def take_room(self, things: int) -> None:
        """Count what is kept, for a file must not fill the memory. Raises ``UnreadableFileError`` when it is enough."""
        self._room -= things
        if self._room < 0:
            fact = f"the file holds more than {_MOST_KEPT:,} elements and extensions"
            self._stream.refuse(fact, "split the process over several files")

    def _open(self, row: BoundRow, parent: Record, attributes: dict[str, str]) -> Record:
        self._room -= 1
        if self._room < 0 or len(attributes) > _MANY:
            self.take_room(len(attributes))
        values = row.preset.copy()
        place = self._stream.place()
        record = Record(row, place, values, parent)
        known = row.attributes
        for name, text in attributes.items():
            attribute = known.get(name)
            if attribute is None:
                _keep_attribute(name, text, record)
                continue
            try:
                value = attribute.convert(text)
            except ValueError as error:
                message = f"attribute '{name}' of '{row.name}' is '{folded(text[:40])}'"
                self._problems.add_warning(place, message, f"write {error}; it is ignored", attributes.get("id"))
                continue
            if value is not None:
                values[attribute.field] = value
        if row.has_id:
            id_ = values.get("id")
            if not id_:
                if row.needs_id:
                    self.ids.generate(record)
            elif (first := self.ids.claim(id_, record)) is not None:
                self._report_second(record, id_, first)
        if row.has_place:
            values["place"] = place
        if row.has_scope and parent.scope is not None:
            values["scope"] = parent.scope
        if row.is_node:
            record.scope = record.id
        elif row.is_lane and parent.row.is_lane:
            values["parent"] = parent.id
        return record

    def _report_second(self, record: Record, id_: str, first: Record) -> None:
        message = f"id '{id_}' of '{record.row.name}' belongs to '{first.row.name}' of line {first.place.line} already"
        hint = f"give it an id of its own; until then it is called '{record.id}'"
        self._problems.add_warning(record.place, message, hint, record.id)

    # ---- children

    def open_child(self, record: Record, slot: BoundSlot, attributes: dict[str, str]) -> Frame:
        """Give the frame of a child that has a slot."""
        take = slot.take
        values = record.values
        if take is Take.MANY:
            return self.open_into(record, slot, record, attributes)
        if take is Take.INLINE:
            return _Inline(self, record, slot.inner)
        if take is Take.EXTENSIONS:
            return _Extensions(self, values.setdefault("extensions", []))
        if take is Take.ONE and slot.row is not None:
            return _Single(self, self._open(slot.row, record, attributes), values, slot.field)
        if take is Take.CONDITION:
            return _Condition(slot, values, attributes.get("language"), self._stream.place())
        if take is Take.NAME:
            values[slot.field] = plain(attributes.get("name") or attributes.get("id") or "")
            return IGNORED
        return _Leaf(slot, values)

    def open_into(self, holder: Record | None, slot: BoundSlot, parent: Record, attributes: dict[str, str]) -> Frame:
        """Give the frame of a child whose value is one of several that the holder has."""
        row = slot.row
        if holder is None or row is None:
            return self._open_kept(parent, slot.name, attributes)
        record = self._open(row, parent, attributes)
        if row.is_deferred:
            holder.values.setdefault(slot.field, []).append(record)
        return (_Text if row.is_kept else _Element)(self, record, holder.values, slot.field)

    def open_other(self, record: Record, tag: str, attributes: dict[str, str]) -> Frame:
        """Give the frame of a child that has no slot: a vendor's is an extension, a standard one is kept."""
        other = self._others.get(tag)
        if other is not None:
            return other
        name = self.metamodel.local_name(tag)
        if name is None:
            if not record.row.has_extensions:
                return IGNORED
            return _Extension(self, record.values.setdefault("extensions", []), tag, attributes)
        row = self.metamodel.row(tag)
        if row is not None and row.row.makes is SequenceFlow:
            flow = self._open(row, record, attributes)
            self.stray_flows.append(flow)
            return _Element(self, flow, {}, "")
        if row is not None and row.is_deferred and not record.row.is_kept:
            self._report_misplaced(record, name, attributes, f"'{name}' does not belong into '{record.row.name}'")
        elif row is None and not self.metamodel.is_leaf(name):
            self._report_misplaced(record, name, attributes, f"BPMN has no element '{name}'")
        return self._open_kept(record, name, attributes)

    def _open_kept(self, record: Record, name: str, attributes: dict[str, str]) -> Frame:
        kept = self._open(self.metamodel.kept_row(name), record, attributes)
        return _Text(self, kept, record.values if record.row.rest else {}, record.row.rest)

    def _report_misplaced(self, record: Record, name: str, attributes: dict[str, str], message: str) -> None:
        hint = f"correct '{name}' in the modeller; it is kept, but takes no part in the flow"
        element = attributes.get("id") or record.id or None
        self._problems.add_warning(self._stream.place(), message, hint, element)


def _keep_attribute(name: str, text: str, record: Record) -> None:
    if SEPARATOR in name:
        if record.row.has_extensions and not name.startswith(_SCHEMA_INSTANCE):
            extension = Extension(qualified(name), text=text, is_attribute=True)
            record.values.setdefault("extensions", []).append(extension)
    elif record.row.has_attributes:
        record.values.setdefault("attributes", []).append((name, text))


class _Element(Frame):
    """An element of which a record is made; what it becomes goes to a field of its holder."""

    __slots__ = ("_field", "_holder", "_reader", "_record", "_slots")

    def __init__(self, reader: RecordReader, record: Record, holder: dict[str, Any], field: str) -> None:
        self._reader = reader
        self._record = record
        self._slots = record.row.slots
        self._holder = holder
        self._field = field

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        slot = self._slots.get(tag)
        if slot is None:
            return self._reader.open_other(self._record, tag, attributes)
        take = slot.take
        if take is _IGNORE:
            return IGNORED
        record = self._record
        if take is _PROCESS:
            holder = record if record.row.is_process else record.holder
            return self._reader.open_into(holder, slot, record, attributes)
        return self._reader.open_child(record, slot, attributes)

    def end(self) -> None:
        row = self._record.row
        if row.has_vendor and "extensions" in self._record.values:
            _read_vendor_facts(self._record)
        if not row.is_deferred:
            self._holder.setdefault(self._field, []).append(self._record.make())


class _Single(_Element):
    """An element whose field holds it alone."""

    __slots__ = ()

    def end(self) -> None:
        if "extensions" in self._record.values:
            _read_vendor_facts(self._record)
        self._holder[self._field] = self._record.make()


class _Text(_Element):
    """An element that is kept as it stands, its text included."""

    __slots__ = ()
    takes_text: ClassVar[bool] = True

    def __init__(self, reader: RecordReader, record: Record, holder: dict[str, Any], field: str) -> None:
        super().__init__(reader, record, holder, field)
        self.texts = []

    def end(self) -> None:
        text = "".join(self.texts).strip()
        if text:
            self._record.values["text"] = text
        super().end()


class _Inline(_Element):
    """An element whose children count as those of the element around it."""

    __slots__ = ()

    def __init__(self, reader: RecordReader, record: Record, slots: Mapping[str, BoundSlot]) -> None:
        super().__init__(reader, record, {}, "")
        self._slots = slots

    def end(self) -> None:
        """Leave it to the element around it."""


class _Leaf(TextFrame):
    """An element of which only the text counts; an empty one says nothing."""

    __slots__ = ("_slot", "_values")

    def __init__(self, slot: BoundSlot, values: dict[str, Any]) -> None:
        super().__init__()
        self._slot = slot
        self._values = values

    def end(self) -> None:
        take, field = self._slot.take, self._slot.field
        text = "".join(self.texts)
        if take is not Take.CODE or text.isspace():
            text = text.strip()
        if not text:
            return
        if take is Take.REFERENCES:
            self._values.setdefault(field, []).append(text)
        elif take is Take.TEXT:
            self._values.setdefault(field, Lines()).append(text)
        else:
            self._values[field] = text


class _Condition(TextFrame):
    """An expression with its language and place."""

    __slots__ = ("_language", "_place", "_slot", "_values")

    def __init__(self, slot: BoundSlot, values: dict[str, Any], language: str | None, place: Place) -> None:
        super().__init__()
        self._slot = slot
        self._values = values
        self._language = language
        self._place = place

    def end(self) -> None:
        slot, values = self._slot, self._values
        text = "".join(self.texts).strip()
        if text:
            values[slot.field] = Condition(text, self._language, self._place)
        if slot.also and (text or slot.also not in values):
            values[slot.also] = slot.name


class _Extensions(Frame):
    """The place where BPMN wants vendors to put their elements."""

    __slots__ = ("_found", "_reader")

    def __init__(self, reader: RecordReader, found: list[Extension]) -> None:
        self._reader = reader
        self._found = found

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        return _Extension(self._reader, self._found, tag, attributes)


class _Extension(Frame):
    """A vendor's element, kept as it stands."""

    __slots__ = ("_attributes", "_children", "_found", "_reader", "_tag")
    takes_text: ClassVar[bool] = True

    def __init__(self, reader: RecordReader, found: list[Extension], tag: str, attributes: dict[str, str]) -> None:
        reader.take_room(1 + len(attributes))
        self.texts = []
        self._reader = reader
        self._found = found
        self._tag = tag
        self._attributes = attributes
        self._children: list[Extension] = []

    def start(self, tag: str, attributes: dict[str, str]) -> Frame:
        return _Extension(self._reader, self._children, tag, attributes)

    def end(self) -> None:
        text = "".join(self.texts)
        attributes = tuple((qualified(name), value) for name, value in self._attributes.items())
        kept = "" if text.isspace() else text
        self._found.append(Extension(qualified(self._tag), attributes, kept, tuple(self._children)))


def _read_vendor_facts(record: Record) -> None:
    """Fill fields that the file leaves open from extensions that are understood."""
    vendor = record.row.row.vendor
    for extension in record.values["extensions"]:
        for attribute, field in vendor.get(extension.name, {}).items():
            value = extension.attribute(attribute) if attribute else extension.text
            if value and field not in record.values:
                record.values[field] = value
