"""Nets without what is sound at sight: sequences, blocks that close as they open, loops of one way in and one way out.

Every rule keeps deadlocks and lacks of synchronisation as they are, in both directions. What is left is the part whose
faults have to be looked for, for well-structured processes nothing. After Sadiq and Orlowska: "Analyzing Process Models
Using Graph Reduction Techniques" (2000), and Vanhatalo, Völzer and Leymann: "Faster and More Focused Control-Flow
Analysis for Business Process Models Through SESE Decomposition" (2007).

Joins and splits are kept apart, so that a join and the split that follows it become one step by being linked: each rule
takes a time that does not depend on the size of what it joins, and all of them together a linear one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_orchestra.generation.linting.nets import DEAD, ROOT, SINK, TERMINALS, Gate, Net

__all__ = ["Kernel", "Step", "reduce_net"]


@dataclass(frozen=True, slots=True)
class Step:
    """A join and the split behind it. ``into`` and ``out`` are edges of the kernel, ``defaults`` those taken alone.

    ``join_point`` and ``split_point`` are the points that they stand for.
    """

    join: Gate
    split: Gate
    into: tuple[int, ...]
    out: tuple[int, ...]
    defaults: frozenset[int]
    join_point: int
    split_point: int
    is_watched: bool


@dataclass(frozen=True)
class Kernel:
    """What is left of a net. ``targets`` has for every edge the step that it leads to, or a terminal as ``~terminal``.

    ``sources`` has the step that an edge comes from, or -1; ``first`` and ``last`` the edges of the graph with which it
    begins and ends; ``begins`` are the edges with a token at the start.
    """

    steps: tuple[Step, ...]
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]
    begins: tuple[int, ...]


def reduce_net(net: Net) -> Kernel:
    """Give the kernel of a net; it has no steps where the net has no faults."""
    reduction = _Reduction(net)
    reduction.run()
    return reduction.kernel()


class _Reduction:
    """The net while it shrinks. A join is known by its node, and so is a split; ``split_of`` links them anew."""

    def __init__(self, net: Net) -> None:
        self._net = net
        size = len(net.points)
        self._into: list[dict[int, None]] = [{} for _ in range(size)]
        self._out: list[dict[int, None]] = [{} for _ in range(size)]
        self._split_of = list(range(size))
        self._join_of = list(range(size))
        self._gone = bytearray(size)
        self._edge_between: dict[tuple[int, int], int] = {}
        self._waiting = list(range(size - 1, -1, -1))
        self._is_waiting = bytearray(b"\1" * size)
        for edge in range(len(net.sources)):
            self._out[net.sources[edge]][edge] = None
            self._attach(edge, net.targets[edge])

    def run(self) -> None:
        while self._waiting:
            join = self._waiting.pop()
            self._is_waiting[join] = 0
            if not self._gone[join] and join not in TERMINALS and join != DEAD:
                self._shrink(join)

    def _revisit(self, join: int) -> None:
        if not self._is_waiting[join]:
            self._is_waiting[join] = 1
            self._waiting.append(join)

    def _attach(self, edge: int, join: int) -> None:
        """Let an edge end at a join; where another one brings the same tokens there already, only that one stays."""
        net, split = self._net, self._net.sources[edge]
        twin = self._edge_between.get((split, join))
        if twin is not None and (
            join in TERMINALS or net.joins[join] is Gate.INCLUSIVE or net.joins[join] is net.splits[split]
        ):
            del self._out[split][edge]
            if (twin in net.defaults) != (edge in net.defaults):
                net.defaults.discard(twin)
            self._revisit(join)
        else:
            net.targets[edge] = join
            self._into[join][edge] = None
            if twin is None:
                self._edge_between[split, join] = edge
        self._revisit(self._join_of[split])

    def _detach(self, edge: int) -> None:
        key = (self._net.sources[edge], self._net.targets[edge])
        del self._into[key[1]][edge]
        if self._edge_between.get(key) == edge:
            del self._edge_between[key]

    def _remove(self, edge: int) -> None:
        self._detach(edge)
        split = self._net.sources[edge]
        del self._out[split][edge]
        self._revisit(self._join_of[split])
        self._revisit(self._net.targets[edge])

    def _starve(self, edge: int) -> None:
        """Take away an edge on which no token ever comes; a parallel join goes on waiting for it."""
        net, target = self._net, self._net.targets[edge]
        self._remove(edge)
        if net.joins[target] is Gate.PARALLEL and target not in TERMINALS:
            net.sources[edge] = DEAD
            self._out[DEAD][edge] = None
            self._into[target][edge] = None

    def _shrink(self, join: int) -> None:
        """Apply the first rule that fits a join and the split behind it."""
        net, split = self._net, self._split_of[join]
        into, out = self._into[join], self._out[split]
        if len(out) > 1:
            if net.splits[split] is Gate.PARALLEL:
                vanishing = self._edge_between.get((split, SINK))
                if vanishing is not None:
                    self._remove(vanishing)
                    return
            elif net.splits[split] is Gate.EXCLUSIVE and net.joins[join] is Gate.EXCLUSIVE:
                back = self._edge_between.get((split, join))
                if back is not None:
                    self._remove(back)
                    return
        if len(out) == 1 and join != ROOT:
            self._shrink_way(join, split, next(iter(out)))
        elif len(out) == 1:
            self._link(join, next(iter(out)))
        elif not into and join != ROOT:
            for edge in list(out):
                self._starve(edge)
            self._gone[join] = 1

    def _shrink_way(self, join: int, split: int, edge: int) -> None:
        net, into = self._net, self._into[join]
        target = net.targets[edge]
        is_plain = len(into) == 1 or (net.joins[join] is Gate.EXCLUSIVE and join not in net.watched)
        if not into:
            self._starve(edge)
            self._gone[join] = 1
        elif is_plain if target in TERMINALS else self._is_on_a_line(join, split, target):
            self._remove(edge)
            self._redirect(join, target, net.last[edge])
        else:
            self._link(join, edge)

    def _is_on_a_line(self, join: int, split: int, target: int) -> bool:
        into = self._into[join]
        return target != join and len(into) == 1 and self._net.sources[next(iter(into))] != split

    def _redirect(self, join: int, target: int, last: int) -> None:
        """Let all that came to a join go straight to what was the only way on from there."""
        self._gone[join] = 1
        for edge in list(self._into[join]):
            self._detach(edge)
            self._net.last[edge] = last
            self._attach(edge, target)

    def _link(self, join: int, edge: int) -> None:
        """Make one step of a split with a single way out and a join with a single way in."""
        target = self._net.targets[edge]
        if target in TERMINALS or len(self._into[target]) != 1 or target == join:
            return
        self._remove(edge)
        behind = self._split_of[target]
        self._gone[target] = 1
        self._split_of[join] = behind
        self._join_of[behind] = join
        self._revisit(join)

    def kernel(self) -> Kernel:
        """Give what is left, numbered in the order of the net."""
        net = self._net
        joins = [
            join
            for join in range(len(net.points))
            if not self._gone[join] and join not in (*TERMINALS, ROOT, DEAD) and (self._into[join])
        ]
        root = self._split_of[ROOT]
        if root != ROOT:
            joins.insert(0, ROOT)
        edges = [edge for split in range(len(net.points)) for edge in self._out[split]]
        number = {edge: index for index, edge in enumerate(edges)}
        step_of = {join: index for index, join in enumerate(joins)}
        begins = [number[edge] for edge in self._out[ROOT]]
        steps: list[Step] = []
        for join in joins:
            split = self._split_of[join]
            into = tuple(number[edge] for edge in self._into[join])
            if join == ROOT:
                into = (len(edges),)
                begins = [len(edges)]
            steps.append(
                Step(
                    net.joins[join],
                    net.splits[split],
                    into,
                    tuple(number[edge] for edge in self._out[split]),
                    frozenset(number[edge] for edge in self._out[split] if edge in net.defaults),
                    net.points[join],
                    net.points[split],
                    join in net.watched,
                )
            )
        sources = [step_of.get(self._join_of[net.sources[edge]], -1) for edge in edges]
        targets = [
            ~net.targets[edge] if net.targets[edge] in TERMINALS else step_of[net.targets[edge]] for edge in edges
        ]
        first, last = [net.first[edge] for edge in edges], [net.last[edge] for edge in edges]
        if root != ROOT:
            sources.append(-1)
            targets.append(0)
            first.append(-1)
            last.append(-1)
        return Kernel(tuple(steps), tuple(sources), tuple(targets), tuple(first), tuple(last), tuple(begins))
