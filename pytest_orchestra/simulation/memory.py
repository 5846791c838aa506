"""What a simulated participant remembers of each correlation id."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from pytest_orchestra.model.json import JsonValue

__all__ = ["Memory", "Recollection"]

_MOST_IDS: Final = 10_000


@dataclass(slots=True, eq=False)
class Recollection:
    """``state`` is what rules remembered, ``counts`` how often each operation or address was met."""

    state: dict[str, JsonValue] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


class Memory:
    """The recollections of the latest 10,000 correlation ids."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Recollection] = OrderedDict()

    def of(self, correlation_id: str) -> Recollection:
        """Give what is known of a correlation id; nothing yet, if it is new."""
        known = self._known.setdefault(correlation_id, Recollection())
        self._known.move_to_end(correlation_id)
        if len(self._known) > _MOST_IDS:
            self._known.popitem(last=False)
        return known
