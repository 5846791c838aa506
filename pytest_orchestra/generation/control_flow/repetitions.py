"""How often an activity repeats by itself: multi-instance and standard loops (BPMN 2.0.2, 13.3.6 and 13.3.7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.generation.limits import MAX_INSTANCES
from pytest_orchestra.model.process import Extension, LoopCharacteristics, LoopKind, Process

__all__ = ["ONCE", "SEVERAL", "SKIPPED", "Repetition", "repetition_of"]

SKIPPED: Final = "0"
ONCE: Final = "1"
SEVERAL: Final = "N"
"""The branches of an activity that repeats: no instance, one, several."""

_WRAPPED = re.compile(r"[$#]\{(.*)\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Repetition:
    """How many instances an activity may have: none, one, several.

    ``fixed`` is the number where the model states one, ``most`` the most that it allows. ``count`` is the expression
    over data that gives the number, where data may hold it.
    """

    may_skip: bool
    may_happen_once: bool
    may_repeat: bool
    is_sequential: bool
    fixed: int | None = None
    most: int | None = None
    count: str | None = None

    def instances(self, wanted: int) -> int:
        """Give how many instances several are: ``wanted``, or fewer where the model allows no more.

        A number that the model fixes is kept, up to ``MAX_INSTANCES``.
        """
        if self.fixed is not None:
            return min(self.fixed, MAX_INSTANCES)
        return wanted if self.most is None else min(wanted, self.most)

    @property
    def is_cut(self) -> bool:
        """Whether fewer instances are played than the model fixes."""
        return self.fixed is not None and self.fixed > MAX_INSTANCES


def repetition_of(loop: LoopCharacteristics, process: Process) -> Repetition:
    """Give how often an activity with these characteristics repeats.

    A standard loop tests its condition after an instance, or before one (then it may have none), and has at most
    ``loopMaximum`` instances. A multi-instance activity has as many as its ``loopCardinality`` says, or as there are
    items in its collection; a literal number leaves no choice.
    """
    if loop.kind is LoopKind.STANDARD:
        most = loop.maximum if loop.maximum is not None and loop.maximum > 0 else None
        may_repeat = most is None or most >= _FEWEST
        return Repetition(loop.test_before, True, may_repeat, is_sequential=True, most=most)
    sequential = loop.kind is LoopKind.SEQUENTIAL_MULTI_INSTANCE
    text = _bare(loop.cardinality.text) if loop.cardinality is not None else ""
    if text.isdecimal() and text.isascii():
        fixed = int(text[:9])
        return Repetition(fixed == 0, fixed == 1, fixed >= _FEWEST, sequential, fixed=fixed)
    count = text if _NAME.fullmatch(text) else None
    if not text:
        collection = _bare(_collection(loop, process))
        count = f"len({collection})" if _NAME.fullmatch(collection) else None
    return Repetition(True, True, True, sequential, count=count)


def _bare(text: str) -> str:
    """Give an expression without what engines wrap it in: ``${items}`` and ``=items`` are ``items``."""
    stripped = text.strip()
    wrapped = _WRAPPED.fullmatch(stripped)
    return (wrapped[1] if wrapped is not None else stripped.removeprefix("=")).strip()


def _collection(loop: LoopCharacteristics, process: Process) -> str:
    for extension in loop.extensions:
        found = _named(extension)
        if found:
            return found
    if loop.collection is None:
        return ""
    sources = (flow.source for flow in process.associations if flow.target == loop.collection and flow.source)
    wanted = next(sources, loop.collection)  # what is read into the data input that the loop names
    element = next((element for element in process.data if element.id == wanted), None)
    return element.name if element is not None and element.name else wanted


def _named(extension: Extension) -> str:
    """Give the collection that a vendor's extension names."""
    local = extension.name.rpartition("}")[2]
    if extension.is_attribute:
        return extension.text if local == "collection" else ""
    return extension.attribute("inputCollection") or ""
