"""What an expression mentions: its parts, its literals, and the variables of which functions are asked."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_orchestra.generation.conditions.expressions import (
    Call,
    Comparison,
    Expression,
    Literal,
    Name,
    Quantifier,
    parts_of,
)
from pytest_orchestra.generation.solving.data_paths import Path, variable_of

__all__ = ["every_part", "literals_in", "names_of_lists", "names_of_sizes", "names_of_texts"]


def every_part(expression: Expression) -> Iterator[Expression]:
    """Give an expression and all its parts."""
    waiting = [expression]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(parts_of(part))


def literals_in(expression: Expression) -> Iterator[str | int | float]:
    """Give the texts and numbers in an expression, in the order of its text."""
    waiting = [expression]
    while waiting:
        part = waiting.pop()
        waiting.extend(reversed(parts_of(part)))
        if isinstance(part, Literal) and isinstance(part.value, str | int | float) and not isinstance(part.value, bool):
            yield part.value


def names_of_texts(expression: Expression) -> frozenset[Path]:
    """Give the variables of which functions of texts are asked."""
    return frozenset(path for name, path in _asked(expression) if name not in ("compare", "absolute", "size"))


def names_of_sizes(expression: Expression) -> frozenset[Path]:
    """Give the variables of which the number of items is asked."""
    return frozenset(path for name, path in _asked(expression) if name == "size")


def _asked(expression: Expression) -> Iterator[tuple[str, Path]]:
    for part in every_part(expression):
        if isinstance(part, Call):
            yield from ((part.function, variable_of(one.path)) for one in part.arguments if isinstance(one, Name))


def names_of_lists(expression: Expression) -> frozenset[Path]:
    """Give the variables that are searched for items."""
    found: list[Path] = []
    for part in every_part(expression):
        if isinstance(part, Comparison) and part.operator == "in" and isinstance(part.right, Name):
            found.append(variable_of(part.right.path))
        elif isinstance(part, Quantifier) and isinstance(part.collection, Name):
            found.append(variable_of(part.collection.path))
    return frozenset(found)
