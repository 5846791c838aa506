"""What a user means by an id, a key, or the beginning of either."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["MOST_RUNS", "Candidate", "ReferenceKind", "choose_candidates"]

MOST_RUNS: Final = 100
"""How many TestRuns one reference gives at most; those of a SuiteRun are not limited."""


class ReferenceKind(StrEnum):
    """What a reference leads to. In a tie, the first wins."""

    SUITE_RUN = "SUITE_RUN"
    TEST_RUN = "TEST_RUN"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run whose id or key begins with the reference; ``exact`` if it is the reference."""

    kind: ReferenceKind
    id: str
    exact: bool


def choose_candidates(ordered: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Choose among candidates that come exact ones first, SuiteRuns before TestRuns, newest first.

    Gives one SuiteRun, or all TestRuns that match as well as the first one, or nothing.
    """
    candidates = tuple(ordered)
    if not candidates:
        return ()
    first = candidates[0]
    if first.kind is ReferenceKind.SUITE_RUN:
        return (first,)
    return tuple(found for found in candidates if (found.kind, found.exact) == (first.kind, first.exact))[:MOST_RUNS]
