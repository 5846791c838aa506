"""Every marking that matters of a kernel: where tokens wait for ever, and where they come together without a join.

In one marking only the foremost step that can go on does so, with all that it may decide: what one step does disables
no other, so that every deadlock is still found (Valmari: "Stubborn Sets for Reduced State Space Generation", 1989).
Steps are in the order of the flow, cycles as one, so that a token waits at a merge until all others have come as far as
they can, and tokens that can come together do.

An inclusive join waits as in the token game (:mod:`.semantics`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, groupby, pairwise

from pytest_orchestra.generation.control_flow.structure import strong_components
from pytest_orchestra.generation.limits import MAX_BRANCHES_COMBINED
from pytest_orchestra.generation.linting.nets import HUNG, SINK, TERMINATED, THROWN, Gate
from pytest_orchestra.generation.linting.reduction import Kernel

__all__ = ["Exploration", "Firing", "Marking", "explore"]

_MOST_ON_AN_EDGE = 3
_MOST_MARKINGS = 8


@dataclass(frozen=True, slots=True)
class Marking:
    """The edges that have tokens, an edge with several once for each, in the order of their steps.

    ``held`` are the terminals where tokens wait; ``is_unsafe`` says that tokens came together without a join before.
    """

    tokens: tuple[int, ...]
    held: frozenset[int] = frozenset()
    is_unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Firing:
    """What led to a marking: the marking before, the step that went on, the edges that it took tokens from and gave."""

    before: Marking
    step: int
    consumed: tuple[int, ...]
    produced: tuple[int, ...]


@dataclass
class Exploration:
    """What was seen. ``ends`` says that some run ends, ``fired`` are the steps that went on in some run.

    ``stuck`` has for a parallel join the first markings found in which it waits for ever, ``merged`` for a watched
    merge those in which tokens wait on several of its edges, ``repeated`` for a step those in which it has sent a token
    after one that is still there. Where ``is_complete`` does not hold, there is more than was looked at.
    """

    kernel: Kernel
    is_complete: bool = True
    ends: bool = False
    spent: int = 0
    fired: set[int] = field(default_factory=set)
    stuck: dict[int, list[Marking]] = field(default_factory=dict)
    merged: dict[int, list[Marking]] = field(default_factory=dict)
    repeated: dict[int, list[Marking]] = field(default_factory=dict)
    firings: dict[Marking, Firing | None] = field(default_factory=dict)

    def way_to(self, marking: Marking) -> tuple[Firing, ...]:
        """Give what led from the start to a marking, in order."""
        way: list[Firing] = []
        firing = self.firings[marking]
        while firing is not None:
            way.append(firing)
            firing = self.firings[firing.before]
        return tuple(reversed(way))


def explore(kernel: Kernel, budget: int) -> Exploration:
    """Look at the markings of a kernel, those near the start first, until ``budget`` tokens have been moved."""
    explorer = _Explorer(kernel)
    explorer.run(budget)
    return explorer.seen


class _Explorer:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.seen = Exploration(kernel)
        self._ending = _ending(kernel)
        self._rank = _ranks(kernel, self._ending)
        self._queue: deque[Marking] = deque()
        self._ways: dict[int, list[int]] = {}
        self._outcomes: dict[int, tuple[tuple[int, ...], ...]] = {}

    def run(self, budget: int) -> None:
        seen = self.seen
        self._reach(Marking(()), None, self._kernel.begins)
        while self._queue:
            marking = self._queue.popleft()
            if seen.spent > budget:
                seen.is_complete = False
                return
            self._go_on(marking)

    def _reach(self, marking: Marking, firing: Firing | None, produced: tuple[int, ...]) -> None:
        """Put tokens on edges, and note the marking that comes of it if it is new."""
        targets = self._kernel.targets
        tokens = list(marking.tokens)
        present = set(tokens)
        held = marking.held
        is_unsafe = marking.is_unsafe
        repeats = False
        for edge in produced:
            target = targets[edge]
            if target >= 0:
                repeats = repeats or edge in present
                tokens.append(edge)
            elif ~target != SINK:
                held |= {~target}
        tokens.sort(key=self._rank.__getitem__)
        found = Marking(tuple(tokens), held, is_unsafe or repeats)
        self.seen.spent += 1 + len(tokens) // 8
        if found in self.seen.firings:
            return
        if repeats and any(tokens.count(edge) > _MOST_ON_AN_EDGE for edge in produced):
            self.seen.is_complete = False
            return
        self.seen.firings[found] = firing
        self._queue.append(found)
        if repeats and not is_unsafe and firing is not None:
            _note(self.seen.repeated, firing.step, found)

    def _go_on(self, marking: Marking) -> None:
        steps, targets = self._kernel.steps, self._kernel.targets
        waiting: list[int] = []
        for number, group in groupby(marking.tokens, key=targets.__getitem__):
            present = tuple(dict.fromkeys(group))
            step = steps[number]
            if step.join is Gate.EXCLUSIVE:
                self._pass_one(number, marking, present)
                return
            if len(present) == len(step.into) or (
                step.join is Gate.INCLUSIVE and not self._is_awaited(number, marking, present)
            ):
                self._fire(number, marking, present)
                return
            waiting.append(number)
        if waiting and not marking.held and all(steps[number].join is Gate.INCLUSIVE for number in waiting):
            present = tuple(dict.fromkeys(edge for edge in marking.tokens if targets[edge] == waiting[0]))
            self._fire(waiting[0], marking, present)
        else:
            self._rest(marking, waiting)

    def _pass_one(self, number: int, marking: Marking, present: tuple[int, ...]) -> None:
        if number not in self._ending:
            self._note_merges(marking)  # the turn of other steps may never come
        if len(present) > 1 and not marking.is_unsafe and self._kernel.steps[number].is_watched:
            if number in self._ending:
                _note(self.seen.merged, number, marking)
            unsafe = Marking(marking.tokens, marking.held, is_unsafe=True)
            if unsafe not in self.seen.firings:
                self.seen.firings[unsafe] = self.seen.firings[marking]
            marking = unsafe
        self._fire(number, marking, present[:1])

    def _note_merges(self, marking: Marking) -> None:
        for number, group in groupby(marking.tokens, key=self._kernel.targets.__getitem__):
            if self._kernel.steps[number].is_watched and len(set(group)) > 1 and not marking.is_unsafe:
                _note(self.seen.merged, number, marking)

    def _fire(self, number: int, marking: Marking, consumed: tuple[int, ...]) -> None:
        self.seen.fired.add(number)
        wanted = set(consumed)
        tokens: list[int] = []
        for edge in marking.tokens:
            if edge in wanted:
                wanted.remove(edge)
            else:
                tokens.append(edge)
        left = Marking(tuple(tokens), marking.held, marking.is_unsafe)
        for produced in self._outcomes_of(number):
            self._reach(left, Firing(marking, number, consumed, produced), produced)

    def _outcomes_of(self, number: int) -> tuple[tuple[int, ...], ...]:
        known = self._outcomes.get(number)
        if known is None:
            known = self._outcomes[number] = tuple(dict.fromkeys(self._list_outcomes(number)))
        return known

    def _list_outcomes(self, number: int) -> Iterator[tuple[int, ...]]:
        step = self._kernel.steps[number]
        if step.split is Gate.PARALLEL:
            yield step.out
            return
        for edge in step.out:
            yield (edge,)
        regular = [edge for edge in step.out if edge not in step.defaults]
        if step.split is Gate.EXCLUSIVE or len(regular) < 2:  # noqa: PLR2004  one alone is there already
            return
        if len(regular) > MAX_BRANCHES_COMBINED:
            self.seen.is_complete = False
            yield from pairwise(regular)
            yield tuple(regular)
            return
        for size in range(2, len(regular) + 1):
            yield from combinations(regular, size)

    def _is_awaited(self, number: int, marking: Marking, present: tuple[int, ...]) -> bool:
        """Whether a token elsewhere can come to an edge of a join that has none, but to none that has one."""
        step, targets = self._kernel.steps[number], self._kernel.targets
        ways = self._ways_into(number)
        here = sum(1 << bit for bit, edge in enumerate(step.into) if edge in present)
        absent = (1 << len(step.into)) - 1 & ~here
        return any(
            ways[targets[edge]] & absent and not ways[targets[edge]] & here
            for edge in marking.tokens
            if targets[edge] != number
        )

    def _ways_into(self, number: int) -> list[int]:
        """Give for every step, as bits, to which edges of a join a way leads from it around the join."""
        known = self._ways.get(number)
        if known is not None:
            return known
        steps, sources = self._kernel.steps, self._kernel.sources
        ways = [0] * len(steps)
        waiting: deque[int] = deque()
        is_waiting = bytearray(len(steps))
        for bit, edge in enumerate(steps[number].into):
            if sources[edge] >= 0:
                ways[sources[edge]] |= 1 << bit
                waiting.append(sources[edge])
        while waiting:
            step = waiting.popleft()
            is_waiting[step] = 0
            if step == number:
                continue
            self.seen.spent += 1 + len(steps[step].into) // 8
            for edge in steps[step].into:
                source = sources[edge]
                if source >= 0 and ways[step] & ~ways[source]:
                    ways[source] |= ways[step]
                    if not is_waiting[source]:
                        is_waiting[source] = 1
                        waiting.append(source)
        self._ways[number] = ways
        return ways

    def _rest(self, marking: Marking, waiting: list[int]) -> None:
        """Judge a marking in which nothing moves any more."""
        seen, steps = self.seen, self._kernel.steps
        if marking.held & {TERMINATED, THROWN}:
            seen.ends = seen.ends or TERMINATED in marking.held
        elif HUNG in marking.held:
            return
        elif not waiting:
            seen.ends = True
        else:
            joins = [number for number in waiting if steps[number].join is Gate.PARALLEL]
            for number in self._blamed(marking, joins):
                _note(seen.stuck, number, marking)

    def _blamed(self, marking: Marking, joins: list[int]) -> list[int]:
        """Give the joins that wait for something else than another one of them; the first if each waits for another."""
        blamed = [join for join in joins if not any(self._lacks_because_of(marking, join, other) for other in joins)]
        return blamed or joins[:1]

    def _lacks_because_of(self, marking: Marking, join: int, other: int) -> bool:
        if join == other:
            return False
        step = self._kernel.steps[join]
        ways = self._ways_into(join)
        absent = sum(1 << bit for bit, edge in enumerate(step.into) if edge not in marking.tokens)
        return bool(ways[other] & absent)


def _note(found: dict[int, list[Marking]], step: int, marking: Marking) -> None:
    markings = found.setdefault(step, [])
    if len(markings) < _MOST_MARKINGS:
        markings.append(marking)


def _ranks(kernel: Kernel, ending: set[int]) -> list[int]:
    """Give for every edge its place in the order of steps: cycles as one, what comes first first.

    What never comes to an end is last, since else it would go on for ever in the place of all others.
    """
    steps, targets = kernel.steps, kernel.targets
    successors = [[targets[edge] for edge in step.out if targets[edge] >= 0] for step in steps]
    part = strong_components(len(steps), successors)
    order = _reverse_postorder(len(steps), successors)
    ordered = sorted(order, key=lambda step: (step not in ending, -part[step], order[step]))
    place = {step: rank for rank, step in enumerate(ordered)}
    edges = sorted(range(len(targets)), key=lambda edge: (place.get(targets[edge], -1), edge))
    ranks = [0] * len(targets)
    for rank, edge in enumerate(edges):
        ranks[edge] = rank
    return ranks


def _ending(kernel: Kernel) -> set[int]:
    """Give the steps from which a token can come to a terminal."""
    waiting = [kernel.sources[edge] for edge, target in enumerate(kernel.targets) if target < 0]
    found: set[int] = set()
    while waiting:
        step = waiting.pop()
        if step >= 0 and step not in found:
            found.add(step)
            waiting.extend(kernel.sources[edge] for edge in kernel.steps[step].into)
    return found


def _reverse_postorder(size: int, successors: list[list[int]]) -> dict[int, int]:
    seen = bytearray(size)
    finished: list[int] = []
    for root in range(size):
        if seen[root]:
            continue
        seen[root] = 1
        stack = [(root, iter(successors[root]))]
        while stack:
            step, remaining = stack[-1]
            for target in remaining:
                if not seen[target]:
                    seen[target] = 1
                    stack.append((target, iter(successors[target])))
                    break
            else:
                finished.append(step)
                stack.pop()
    return {step: len(finished) - index for index, step in enumerate(finished)}
