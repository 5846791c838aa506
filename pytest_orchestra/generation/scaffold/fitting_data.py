"""Data sets for the scenarios that the example data does not fit, found at the borders of the conditions on the way."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_orchestra.generation.conditions.expressions import (
    Comparison,
    Dialect,
    Expression,
    Literal,
    Name,
    names_in,
    parts_of,
    truth_of,
)
from pytest_orchestra.generation.conditions.parser import parse_condition
from pytest_orchestra.model.json import JsonValue

__all__ = ["fit_data"]

MAX_TRIED: Final = 2_000
"""Combinations of values that are tried for one scenario."""

_NEGATION: Final = ("not (", ")")


def fit_data(data: Mapping[str, JsonValue], conditions: Sequence[str]) -> Mapping[str, JsonValue] | None:
    """Give the data changed so that no condition is known to fail; None if no combination of border values does it.

    ``conditions`` are texts as scenarios have them, negations written ``not (...)``. Only top-level fields that the
    data has are changed, each to a literal that it is compared with, or one just beside that.
    """
    wanted = [_read(text) for text in conditions]
    names = {
        path[0]
        for expression, _ in wanted
        for path in names_in(expression)
        if len(path) == 1 and isinstance(path[0], str) and path[0] in data
    }
    ordered = sorted(names)
    choices = [_candidates(name, data[name], [expression for expression, _ in wanted]) for name in ordered]
    for values in itertools.islice(itertools.product(*choices), MAX_TRIED):
        changed = {**data, **dict(zip(ordered, values, strict=True))}
        if all(truth_of(expression, changed, Dialect.MODEL) is not (not holds) for expression, holds in wanted):
            return changed
    return None


def _read(text: str) -> tuple[Expression, bool]:
    """Give a condition, and whether it is to hold."""
    before, after = _NEGATION
    is_negated = text.startswith(before) and text.endswith(after)
    return parse_condition(text[len(before) : -len(after)] if is_negated else text, Dialect.MODEL), not is_negated


def _candidates(name: str, value: JsonValue, expressions: Sequence[Expression]) -> list[JsonValue]:
    found: list[JsonValue] = [value]
    for literal in (literal for expression in expressions for literal in _literals(expression, name)):
        found.append(literal)
        if isinstance(literal, (int, float)) and not isinstance(literal, bool):
            found += [literal + 1, literal - 1]
        elif isinstance(literal, str):
            found.append(f"not {literal}")
    found += [True, False] if isinstance(value, bool) or len(found) == 1 else []
    unique: list[JsonValue] = []
    for each in found:
        if not any(type(each) is type(other) and each == other for other in unique):
            unique.append(each)
    return unique


def _literals(expression: Expression, name: str) -> Iterator[JsonValue]:
    """Give what a name is compared with, anywhere in an expression."""
    if isinstance(expression, Comparison):
        for one, other in ((expression.left, expression.right), (expression.right, expression.left)):
            if isinstance(one, Name) and one.path == (name,) and isinstance(other, Literal):
                yield other.value
    for part in parts_of(expression):
        yield from _literals(part, name)
