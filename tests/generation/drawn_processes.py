"""Processes drawn by lot from a seed, the same in every run, and drawn from pairs of numbers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow

__all__ = ["drawn", "drawn_blocks", "drawn_graph", "drawn_tree"]

_KINDS = {
    "s": NodeKind.START_EVENT,
    "e": NodeKind.END_EVENT,
    "t": NodeKind.TASK,
    "x": NodeKind.EXCLUSIVE_GATEWAY,
    "a": NodeKind.PARALLEL_GATEWAY,
}


def drawn(kinds: Sequence[str], flows: Iterable[tuple[int, int]]) -> Process:
    """Give the process of these nodes (s start, e end, t task, x exclusive, a parallel) and flows between them."""
    return Process(
        "p",
        "P",
        nodes=tuple(FlowNode(f"n{number}", _KINDS[kind]) for number, kind in enumerate(kinds)),
        flows=tuple(SequenceFlow(f"f{number}", f"n{a}", f"n{b}") for number, (a, b) in enumerate(flows)),
    )


def drawn_graph(seed: int, *, cyclic: bool, count: int = 0, far: int = 4, parallel: float = 0.25) -> Process:
    """Give gateways and tasks whose flows go at most ``far`` nodes on, or back where ``cyclic`` allows it."""
    lots = random.Random(seed)
    count = count or lots.randint(5, 9)
    inner = ["a" if lots.random() < parallel else lots.choice("xxxxxt") for _ in range(count - 2)]
    flows: list[tuple[int, int]] = []
    for source in range(count - 1):
        for _ in range(lots.randint(1, 3) if source else 1):
            lowest = 1 if cyclic and lots.random() < 0.25 else source + 1
            flows.append((source, lots.randint(lowest, min(count - 1, source + far))))
    return drawn(["s", *inner, "e"], flows)


def drawn_blocks(seed: int, depth: int = 3) -> Process:
    """Give well-formed exclusive and parallel blocks and loops, one in another."""
    lots = random.Random(seed)
    kinds, flows = ["s"], list[tuple[int, int]]()

    def add(kind: str, *sources: int) -> int:
        kinds.append(kind)
        flows.extend((source, len(kinds) - 1) for source in sources)
        return len(kinds) - 1

    def block(source: int, depth: int) -> int:
        shape = lots.random()
        if depth == 0 or shape < 0.15:
            return add("t", source)
        if shape < 0.35:
            return block(block(source, depth - 1), depth - 1)
        if shape < 0.5:
            head = add("x", source)
            tail = add("x", block(head, depth - 1))
            flows.append((tail, head))
            return tail
        kind = "x" if shape < 0.8 else "a"
        split = add(kind, source)
        return add(kind, *[block(split, depth - 1) for _ in range(lots.randint(2, 3))])

    add("e", block(0, depth))
    return drawn(kinds, flows)


def drawn_tree(seed: int, count: int, parallel: float) -> tuple[Process, int]:
    """Give blocks without loops, about ``count`` nodes, and the least number of runs that take every flow.

    A row needs as many as the part that needs most, as do concurrent branches; alternatives need the sum of their own.
    """
    lots = random.Random(seed)
    kinds, flows = ["s"], list[tuple[int, int]]()

    def add(kind: str, *sources: int) -> int:
        kinds.append(kind)
        flows.extend((source, len(kinds) - 1) for source in sources)
        return len(kinds) - 1

    def block(source: int, size: int) -> tuple[int, int]:
        if size <= 1:
            return add("t", source), 1
        if size < 4 or lots.random() < 0.5:
            first = lots.randint(1, size - 1)
            middle, most = block(source, first)
            last, other = block(middle, size - first)
            return last, max(most, other)
        kind = "a" if lots.random() < parallel else "x"
        split = add(kind, source)
        first = lots.randint(1, size - 3)
        (one, needs), (other, also_needs) = block(split, first), block(split, size - 2 - first)
        return add(kind, one, other), max(needs, also_needs) if kind == "a" else needs + also_needs

    last, needs = block(0, count - 2)
    add("e", last)
    return drawn(kinds, flows), needs
