"""Chances that come out the same whenever the same is simulated again."""

from __future__ import annotations

from collections import Counter, OrderedDict
from hashlib import sha256
from typing import Final

__all__ = ["Chances"]

_MOST_IDS: Final = 10_000
_RANGE: Final = 2**64


class Chances:
    """Draws numbers from a seed, a correlation id, a subject, and how often that was drawn for already.

    Scenarios that run at once do not disturb each other's luck, for each has a correlation id of its own; one that is
    to have the same luck again needs the same id.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn: OrderedDict[str, Counter[str]] = OrderedDict()

    def draw(self, correlation_id: str, subject: str) -> float:
        """Give the next number of a subject, from 0 up to and without 1."""
        counts = self._drawn.setdefault(correlation_id, Counter())
        self._drawn.move_to_end(correlation_id)
        if len(self._drawn) > _MOST_IDS:
            self._drawn.popitem(last=False)
        counts[subject] += 1
        named = "\0".join((str(self._seed), correlation_id, subject, str(counts[subject])))
        return int.from_bytes(sha256(named.encode()).digest()[:8]) / _RANGE

    def happens(self, probability: float, correlation_id: str, subject: str) -> bool:
        """Say whether something of that probability happens now."""
        return self.draw(correlation_id, subject) < probability
