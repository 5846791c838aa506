"""A file's content as plain values, and where each of them stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pytest_orchestra.problem import Place, Problem

__all__ = ["MAX_DEPTH", "KeyPath", "Source", "Spot", "Spots"]

MAX_DEPTH: Final = 100
"""How deep lists and mappings may be nested in a file."""

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way from a file's root to a part of it: keys of mappings, indices of lists."""

Spot: TypeAlias = tuple[int, int]
"""Line and column, from 1."""


class Spots(ABC):
    """Where a value stands, and where its parts stand."""

    @property
    @abstractmethod
    def spot(self) -> Spot:
        """Where the value itself begins."""

    @abstractmethod
    def key_spot(self, key: str) -> Spot | None:
        """Where a key of the mapping stands; None if it has none such."""

    @abstractmethod
    def part(self, key: str | int) -> Spots | None:
        """Give the spots of the value of a key, or of an item of a list; None if there is none such."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a YAML or JSON file holds: ``value`` is plain data, every mapping's keys are text.

    ``problems`` are what is wrong but does not hinder reading: duplicate keys, unknown tags.
    """

    file: str
    value: Any
    spots: Spots
    problems: tuple[Problem, ...] = ()

    def place(self, path: Sequence[str | int] = (), *, of_key: bool = False) -> Place:
        """Give the place of the value at ``path``, or of its key.

        Where the path leads nowhere, the place of the last part that there is.
        """
        spots = self.spots
        spot = spots.spot
        for depth, key in enumerate(path, start=1):
            part = spots.part(key)
            if part is None:
                break
            last = depth == len(path)
            key_spot = spots.key_spot(key) if of_key and last and isinstance(key, str) else None
            spots, spot = part, key_spot or part.spot
        return Place(self.file, *spot)
