"""What operators and filters cannot do, before it becomes an error with a place, and the names that were meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

__all__ = ["Absent", "Fault", "suggest"]

_LISTED = 8
_LONGEST_NAME = 40
_COMPARED = 500


class Fault(Exception):  # noqa: N818 - it never leaves the package; what leaves is an EvaluationError
    """An operation is impossible with the values at hand. The expression adds where and in which part of it."""

    def __init__(self, fact: str, hint: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class Absent(Fault):
    """An operation looked for something that is not there."""


def suggest(name: object, known: Iterable[object], *, nothing: str = "it is empty") -> str:
    """Give a hint for a name that is not among the known ones: the nearest of them, else some of them.

    Only names are shown, never values; long lists and long names are shortened.
    """
    names = [str(key) for key in islice(known, _COMPARED)]
    if not names:
        return nothing
    nearest = _nearest(str(name), names)
    if nearest is not None:
        return f"did you mean '{nearest}'?"
    listed = [f"'{_cut(key)}'" for key in names[:_LISTED]]
    more = len(names) - len(listed)
    if more:
        others = "1 other" if more == 1 else f"{more}{' or more' if len(names) == _COMPARED else ''} others"
        return f"there are {', '.join(listed)} and {others}"
    if len(listed) == 1:
        return f"there is only {listed[0]}"
    return f"there are {', '.join(listed[:-1])} and {listed[-1]}"


def _nearest(name: str, names: list[str]) -> str | None:
    if len(name) > _LONGEST_NAME:
        return None
    by_plain = {_plain(key): key for key in reversed(names) if len(key) <= _LONGEST_NAME}
    found = difflib.get_close_matches(_plain(name), by_plain, 1)
    return by_plain[found[0]] if found else None


def _plain(name: str) -> str:
    """Fold what people mistake: case, and the ways to join words."""
    return name.casefold().replace("_", "").replace("-", "")


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
