"""How much work generation puts into one process.

Every limit is stated once, here. Where one of them cuts something short, the suite has a problem that says so.
"""

from __future__ import annotations

__all__ = [
    "MAX_ATTEMPTS",
    "MAX_CONDITION_DEPTH",
    "MAX_CONDITION_LENGTH",
    "MAX_DATA_CLASSES",
    "MAX_KEY_LENGTH",
    "MAX_NAMES_COMPARED",
    "MAX_SCENARIOS",
    "search_budget",
    "steps_per_run",
]

MAX_SCENARIOS = 1_000
"""Generated scenarios of one suite."""

MAX_DATA_CLASSES = 200
"""Kinds of data sets (those that allow the same branches are one kind) that are tried one by one."""

MAX_ATTEMPTS = 100
"""Runs that are tried for one goal before it is given up."""

MAX_KEY_LENGTH = 60
"""Characters of a scenario's key."""

MAX_CONDITION_LENGTH = 2_000
"""Characters of a condition that is still read; a longer one is opaque."""

MAX_CONDITION_DEPTH = 40
"""Nesting of parentheses and operators in a condition that is still read."""

MAX_NAMES_COMPARED = 2_000
"""Names among which the nearest is looked for."""


def steps_per_run(size: int) -> int:
    """Give how many tokens one run may move in a process of ``size`` points and edges."""
    return 10_000 + 20 * size


def search_budget(size: int) -> int:
    """Give how many tokens all runs of one search may move together in a process of ``size`` points and edges."""
    return 200_000 + 100 * size
