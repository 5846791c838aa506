"""All runs of a small process, and the least number of them that covers what any covers.

Made for exclusive and parallel gateways only, and of nothing that generation is made of: tokens are moved one by one,
every decision is tried, and the exact cover is found by branching. Order does not matter there (what one token does
disables no other), so that one order stands for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

from replay import reach

from pytest_orchestra.model.process import NodeKind, Process

__all__ = ["TooMany", "least_cover", "maximal_runs"]

_MOST_TOKENS = 8

_Token = tuple[int, tuple[tuple[int, int], ...]]
"""A flow, and how often the token has taken each flow of the cycle that it is on."""


class TooMany(Exception):  # noqa: N818 - a test gives the example up, nothing is wrong
    """There are too many states or tokens to follow, or which tokens meet at a join depends on the order."""


def maximal_runs(process: Process, repetitions: int, *, most_states: int = 20_000) -> frozenset[frozenset[str]]:
    """Give the sets of flows that runs which end may take, without those that another one contains.

    A token takes a flow on a cycle once and again ``repetitions`` times, and knows nothing of that once it has left
    the cycle; where tokens meet, the one that goes on knows the most that any of them did.
    """
    found = _Enumeration(process, repetitions, most_states).masks()
    flows = [flow.id for flow in process.flows]
    return frozenset(frozenset(flow for bit, flow in enumerate(flows) if mask >> bit & 1) for mask in found)


class _Enumeration:
    def __init__(self, process: Process, repetitions: int, most_states: int) -> None:
        self._process = process
        self._limit = 1 + repetitions
        self._left = most_states
        self._flows = process.flows
        number = {flow.id: index for index, flow in enumerate(process.flows)}
        self._out = {node.id: tuple(number[flow.id] for flow in process.outgoing[node.id]) for node in process.nodes}
        self._into = {node.id: tuple(number[flow.id] for flow in process.incoming[node.id]) for node in process.nodes}
        reached = {node.id: reach(process, node.id) for node in process.nodes}
        self._is_cyclic = [flow.source in reached[flow.target] for flow in process.flows]
        self._known = cache(self._masks)

    def masks(self) -> frozenset[int]:
        start = next(node.id for node in self._process.nodes if node.kind is NodeKind.START_EVENT)
        return _maximal(
            bits | mask for bits, tokens in self._enter(start, ()) for mask in self._known(_sorted(tokens), ())
        )

    def _masks(self, moving: tuple[_Token, ...], parked: tuple[_Token, ...]) -> frozenset[int]:
        """Give the flows, as bits, that runs from there to the end may take; nothing if none ends."""
        self._left -= 1
        if self._left < 0 or len(moving) + len(parked) > _MOST_TOKENS:
            raise TooMany
        if not moving:
            return frozenset() if parked else frozenset((0,))
        (number, counts), moving = moving[0], moving[1:]
        flow = self._flows[number]
        if self._is_cyclic[number]:
            taken = Counter(dict(counts))
            taken[number] += 1
            if taken[number] > self._limit:
                return frozenset()
            counts = tuple(sorted(taken.items()))
        else:
            counts = ()
        if self._waits(flow.target):
            parked = (*parked, (number, counts))
            present = {number for number, _ in parked if self._flows[number].target == flow.target}
            if present != set(self._into[flow.target]):
                return self._known(moving, _sorted(parked))
            parked, counts = self._meet(parked, flow.target)
        return _maximal(
            bits | mask
            for bits, tokens in self._enter(flow.target, counts)
            for mask in self._known(_sorted((*moving, *tokens)), parked)
        )

    def _waits(self, node: str) -> bool:
        return self._process.node[node].kind is NodeKind.PARALLEL_GATEWAY and len(self._into[node]) > 1

    def _meet(self, parked: tuple[_Token, ...], join: str) -> tuple[tuple[_Token, ...], tuple[tuple[int, int], ...]]:
        """Take one token of each flow of the join; the one that goes on knows what any of them did."""
        left = list(parked)
        most: Counter[int] = Counter()
        for number in self._into[join]:
            waiting = [token for token in left if token[0] == number]
            if len({counts for _, counts in waiting}) > 1:
                raise TooMany
            left.remove(waiting[0])
            most |= Counter(dict(waiting[0][1]))
        return _sorted(left), tuple(sorted(most.items()))

    def _enter(self, node: str, counts: tuple[tuple[int, int], ...]) -> list[tuple[int, list[_Token]]]:
        """Give what the node may do: the flows that it takes, as bits, and their tokens."""
        flows = self._out[node]
        one_of = self._process.node[node].kind is NodeKind.EXCLUSIVE_GATEWAY and flows
        choices = [(flow,) for flow in flows] if one_of else [flows]
        return [(sum(1 << flow for flow in set(choice)), [(flow, counts) for flow in choice]) for choice in choices]


def _sorted(tokens: Iterable[_Token]) -> tuple[_Token, ...]:
    return tuple(sorted(tokens))


def _maximal(masks: Iterable[int]) -> frozenset[int]:
    kept: list[int] = []
    for mask in sorted(set(masks), key=lambda mask: -mask.bit_count()):
        if not any(mask | other == other for other in kept):
            kept.append(mask)
    return frozenset(kept)


def least_cover(runs: Iterable[frozenset[str]]) -> int:
    """Give the least number of sets whose union is the union of all of them.

    Branches on the element that the fewest sets hold, deeper and deeper until a cover is found: exact, for small input.
    """
    known = sorted(runs, key=lambda run: (-len(run), sorted(run)))
    everything = frozenset().union(*known)
    count = 0
    while not _can_cover(everything, known, count):
        count += 1
    return count


def _can_cover(lacking: frozenset[str], runs: list[frozenset[str]], count: int) -> bool:
    if not lacking:
        return True
    if count * max((len(run & lacking) for run in runs), default=0) < len(lacking):
        return False
    rarest = min(sorted(lacking), key=lambda element: sum(element in run for run in runs))
    return any(_can_cover(lacking - run, runs, count - 1) for run in runs if rarest in run)
