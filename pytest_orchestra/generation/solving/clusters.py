"""Conditions of a process in groups that share variables, each with the combinations of values that it tells apart.

The combinations are bits, those of all groups in one row. A condition is the mask of those for which it is not known to
fail, so that what several conditions leave open together is one ``and`` of integers, and a contradiction is zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.limits import (
    MAX_CLUSTER_CELLS,
    MAX_CLUSTER_FORMULAS,
    MAX_CLUSTER_WORK,
    MAX_VARIABLE_CELLS,
)
from pytest_orchestra.generation.solving.axes import masks_on_axes
from pytest_orchestra.generation.solving.formulas import Formula, Path
from pytest_orchestra.generation.solving.solver import enumerate_cells

__all__ = ["Cluster", "Clusters", "group_formulas"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Variables that hang together; ``full`` is the mask of all combinations of their values."""

    variables: frozenset[Path]
    full: int


@dataclass(frozen=True)
class Clusters:
    """All clusters, and for each formula that is watched its cluster and its mask, by the formula's number.

    ``left_out`` is the number of formulas for which there were too many combinations.
    """

    clusters: tuple[Cluster, ...]
    masks: Mapping[int, tuple[int, int]]
    left_out: int = 0

    @property
    def everything(self) -> int:
        """The mask of all combinations of all clusters."""
        return sum(cluster.full for cluster in self.clusters)


def group_formulas(formulas: Sequence[Formula]) -> Clusters:
    """Group formulas by the variables that they share. Of a group with too many combinations, those formulas are left
    out that read several variables, and of those about one variable the last.
    """
    left_out = offset = 0
    clusters: list[Cluster] = []
    masks: dict[int, tuple[int, int]] = {}
    waiting = _groups((number, formula) for number, formula in enumerate(formulas) if formula.variables)
    while waiting:
        members = waiting.pop(0)
        found = _masks([formula for _, formula in members])
        if found is None:
            kept = [(number, formula) for number, formula in members if len(formula.variables) == 1]
            if len(kept) == len(members):
                kept = members[: min(len(members) // 2, MAX_CLUSTER_FORMULAS)]
            left_out += len(members) - len(kept)
            waiting.extend(_groups(kept))
            continue
        variables = frozenset(path for _, formula in members for path in formula.variables)
        own, full = found
        for (number, _), mask in zip(members, own, strict=True):
            masks[number] = (len(clusters), mask << offset)
        clusters.append(Cluster(variables, full << offset))
        offset += full.bit_length()
    return Clusters(tuple(clusters), masks, left_out)


def _groups(formulas: Iterable[tuple[int, Formula]]) -> list[list[tuple[int, Formula]]]:
    leader: dict[Path, Path] = {}

    def lead(path: Path) -> Path:
        while leader.setdefault(path, path) != path:
            leader[path] = leader[leader[path]]
            path = leader[path]
        return path

    known = list(formulas)
    for _, formula in known:
        first, *others = formula.variables
        for other in others:
            leader[lead(other)] = lead(first)
    groups: dict[Path, list[tuple[int, Formula]]] = {}
    for number, formula in known:
        groups.setdefault(lead(formula.variables[0]), []).append((number, formula))
    return list(groups.values())


def _masks(formulas: Sequence[Formula]) -> tuple[list[int], int] | None:
    """Give for each formula the combinations for which it does not fail, and all of them."""
    variables = {path for formula in formulas for path in formula.variables}
    if len(variables) == 1:
        found = _masks_of_one(formulas, *variables)
        if found is not None:
            return found
    limit = min(MAX_CLUSTER_CELLS, MAX_CLUSTER_WORK // max(1, len(formulas)))
    combinations = enumerate_cells(formulas, limit)
    if combinations is None:
        return None
    columns = dict.fromkeys(
        tuple(formula.truth(values) is not False for formula in formulas) for values in combinations
    )
    masks = [0] * len(formulas)
    for bit, column in enumerate(columns):
        for number, is_open in enumerate(column):
            masks[number] |= is_open << bit
    return masks, (1 << len(columns)) - 1


def _masks_of_one(formulas: Sequence[Formula], path: Path) -> tuple[list[int], int] | None:
    combinations = enumerate_cells(formulas, MAX_VARIABLE_CELLS)
    if combinations is None:
        return None
    found = masks_on_axes(formulas, path, [values[path] for values in combinations], MAX_CLUSTER_WORK)
    return None if found is None else (found[0], (1 << len(found[1])) - 1)
