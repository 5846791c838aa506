"""Why a marking comes about: the branch after which a token is missing, the split that made one token two."""

from __future__ import annotations

from collections import defaultdict

from pytest_orchestra.generation.linting.exploration import Exploration, Firing, Marking
from pytest_orchestra.generation.linting.nets import Gate
from pytest_orchestra.generation.linting.reduction import Kernel

__all__ = ["common_split", "diverting_edge", "missing_edges"]


def missing_edges(kernel: Kernel, join: int, marking: Marking) -> tuple[int, ...]:
    """Give the edges of a join on which no token waits."""
    return tuple(edge for edge in kernel.steps[join].into if edge not in marking.tokens)


def diverting_edge(seen: Exploration, marking: Marking, missing: int) -> int | None:
    """Give the edge last taken, on the way to a marking, in the place of one that leads to the missing edge."""
    kernel = seen.kernel
    near = _steps_before(kernel, missing)

    def leads_there(edge: int) -> bool:
        return edge == missing or kernel.targets[edge] in near

    for firing in reversed(seen.way_to(marking)):
        step = kernel.steps[firing.step]
        if (
            step.split is not Gate.PARALLEL
            and not any(map(leads_there, firing.produced))
            and any(map(leads_there, step.out))
        ):
            return firing.produced[0]
    return None


def _steps_before(kernel: Kernel, edge: int) -> set[int]:
    """Give the steps from which ways lead to an edge."""
    found: set[int] = set()
    waiting = [kernel.sources[edge]]
    while waiting:
        step = waiting.pop()
        if step >= 0 and step not in found:
            found.add(step)
            waiting.extend(kernel.sources[before] for before in kernel.steps[step].into)
    return found


def common_split(seen: Exploration, marking: Marking, edges: tuple[int, ...]) -> int | None:
    """Give the step that last turned one token into those that wait on several edges of a marking."""
    way = seen.way_to(marking)
    tokens: dict[int, list[int]] = defaultdict(list)  # by edge, the numbers of the firings that put them there
    causes: list[list[int]] = []
    for number, firing in enumerate(way):
        causes.append([tokens[edge].pop(0) for edge in firing.consumed if tokens[edge]])
        for edge in firing.produced:
            tokens[edge].append(number)
    shared: set[int] | None = None
    for edge in edges:
        ancestors = _ancestors(causes, tokens[edge])
        shared = ancestors if shared is None else shared & ancestors
    splits = [number for number in shared or () if _splits(way[number])]
    return way[max(splits)].step if splits else None


def _ancestors(causes: list[list[int]], firings: list[int]) -> set[int]:
    found: set[int] = set()
    waiting = list(firings)
    while waiting:
        firing = waiting.pop()
        if firing not in found:
            found.add(firing)
            waiting.extend(causes[firing])
    return found


def _splits(firing: Firing) -> bool:
    return len(firing.produced) > 1
