"""What the reading of the tree yields before references are resolved: records, found by their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pytest_orchestra.problem import Place
from pytest_orchestra.readers.bpmn.binding import BoundRow

__all__ = ["Identifiers", "Lines", "Record"]

_MOST_NAMESAKES = 20
"""So many elements of one id are looked through for what a reference means."""


class Lines(list[str]):
    """Texts of one field, each on lines of its own."""


class Record:
    """One BPMN element as read: the values of the fields of what it will become.

    ``holder`` is the record of the process that it lies in, ``scope`` the id of the flow node that its own children lie
    in. No record refers to itself: it would wait for the garbage collector with all that it holds.
    """

    __slots__ = ("holder", "place", "row", "scope", "values")

    def __init__(self, row: BoundRow, place: Place, values: dict[str, Any], parent: Record | None) -> None:
        self.row = row
        self.place = place
        self.values = values
        self.holder: Record | None = None
        if parent is not None:
            self.holder = parent if parent.row.is_process else parent.holder
        self.scope: str | None = parent.scope if parent else None

    @property
    def id(self) -> str:
        """The element's id in the model, unique in its document; empty if it has none."""
        return self.values.get("id") or ""

    def make(self) -> Any:
        """Make the value of the model."""
        values = self.values
        for field, value in values.items():
            if type(value) is list:
                values[field] = tuple(value)
            elif type(value) is Lines:
                values[field] = "\n".join(value)
        return self.row.row.makes(**values)


class Identifiers:
    """The ids of a document: every one is given once, and every element that claims it is still found by it."""

    def __init__(self) -> None:
        self._first: dict[str, Record] = {}
        self._others: dict[str, list[Record]] = {}
        self._given: set[str] = set()
        self._numbers: dict[str, int] = {}

    def claim(self, id_: str, record: Record) -> Record | None:
        """Give the record an id: the one that it claims, else one like it. Returns who claimed it first, if another."""
        first = self._first.setdefault(id_, record)
        if first is record:
            record.values["id"] = self._free(id_, 2) if id_ in self._given else id_
            self._given.add(record.values["id"])
            return None
        others = self._others.setdefault(id_, [])
        if len(others) < _MOST_NAMESAKES:
            others.append(record)
        record.values["id"] = self._free(id_, 2)
        return first

    def generate(self, record: Record) -> None:
        """Give an id to a record whose element has none: its kind and a number, in document order."""
        record.values["id"] = self._free(record.row.name, 1)

    def find(self, reference: str, accept: Callable[[Record], bool], near: Record | None = None) -> Record | None:
        """Find what a reference means: an id, or the local part of a qualified name.

        Of several that share an id, one in the scope of ``near`` is meant, else one of its process, else the first.
        """
        if reference not in self._others:
            first = self._first.get(reference)
            if first is not None and accept(first):
                return first
        for id_ in (reference, reference.rpartition(":")[2]):
            found = [record for record in self._claimants(id_) if accept(record)]
            if len(found) > 1 and near is not None:
                found.sort(key=lambda record: _distance(record, near))
            if found:
                return found[0]
        return None

    def local_of(self, reference: str) -> str:
        """Take the prefix off a reference that is a qualified name."""
        local = reference.rpartition(":")[2]
        return local if reference not in self._first and local in self._first else reference

    def _claimants(self, id_: str) -> Iterator[Record]:
        first = self._first.get(id_)
        if first is not None:
            yield first
            yield from self._others.get(id_, ())

    def _free(self, name: str, start: int) -> str:
        number = self._numbers.get(name, start)
        while (id_ := f"{name}#{number}") in self._given:
            number += 1
        self._given.add(id_)
        self._numbers[name] = number + 1
        return id_


def _distance(record: Record, near: Record) -> int:
    if record.holder is not near.holder:
        return 2
    return int(record.values.get("scope") != near.scope)
