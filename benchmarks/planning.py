"""What planning costs: time and scenarios at 100, 1,000 and 10,000 nodes, against one depth-first walk over the graph.

Processes are made at random: nested blocks with exclusive gateways only, the same with parallel blocks and with loops,
and flows that jump forward without structure. Prints CPU seconds, the ratio to one walk, the ratio to one walk for each
scenario, the number of scenarios, and how many are needed at least. With ``--check`` the exit status is 1 if planning
takes more than the budget of walks for each scenario and a fixed share, if ten times the nodes take more than n log n
and a margin allow, or if more than 1.1 times the least scenarios are made; where there are exclusive gateways only and
no loop, they must be the least.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow

SIZES = (100, 1_000, 10_000)
WALKS_AT_ALL = 400
WALKS_A_SCENARIO = 15
SHARE_ABOVE_LEAST = 1.1
MARGIN_OF_GROWTH = 1.6


@dataclass(frozen=True)
class Shape:
    """A kind of process to plan."""

    name: str
    make: Callable[[int], Process]
    has_optimum: bool


def make_process(kinds: list[NodeKind], edges: list[tuple[int, int]]) -> Process:
    nodes = tuple(FlowNode(f"n{number}", kind) for number, kind in enumerate(kinds))
    flows = tuple(SequenceFlow(f"f{number}", f"n{a}", f"n{b}") for number, (a, b) in enumerate(edges))
    return Process("p", "P", nodes=nodes, flows=flows)


def nested(count: int, parallel: float, loops: float) -> Process:
    """Give nested blocks, made by replacing flows at random by a task, a block of 2 or 3 branches, or a loop."""
    lots = random.Random(count)
    kinds = [NodeKind.START_EVENT, NodeKind.END_EVENT]
    edges = [(0, 1)]
    while len(kinds) < count:
        position = lots.randrange(len(edges))
        (source, target), first, shape = edges[position], len(kinds), lots.random()
        edges[position] = (source, first)
        if shape < 0.5:
            kinds.append(NodeKind.TASK)
            edges.append((first, target))
            continue
        is_loop = shape < 0.5 + loops
        is_parallel = not is_loop and lots.random() < parallel
        kinds += [NodeKind.PARALLEL_GATEWAY if is_parallel else NodeKind.EXCLUSIVE_GATEWAY] * 2
        branches = [(first, first + 1)] * (1 if is_loop else lots.choice([2, 2, 3]))
        edges += [*branches, (first + 1, target), *([(first + 1, first)] if is_loop else [])]
    return make_process(kinds, edges)


def unstructured(count: int) -> Process:
    """Give a chain of which every second node also jumps forward, up to ten nodes ahead."""
    lots = random.Random(count)
    kinds = [NodeKind.START_EVENT] + [NodeKind.EXCLUSIVE_GATEWAY] * (count - 2) + [NodeKind.END_EVENT]
    edges = [(number, number + 1) for number in range(count - 1)]
    edges += [(number, min(count - 1, number + lots.randrange(2, 11))) for number in range(1, count - 1, 2)]
    return make_process(kinds, edges)


SHAPES = (
    Shape("nested, exclusive", lambda count: nested(count, 0.0, 0.0), has_optimum=True),
    Shape("nested, 30 % parallel", lambda count: nested(count, 0.3, 0.0), has_optimum=False),
    Shape("nested, 5 % loops", lambda count: nested(count, 0.2, 0.05), has_optimum=False),
    Shape("unstructured", unstructured, has_optimum=True),
)


def walk(process: Process) -> int:
    """Walk once over all flows, depth first; the reference."""
    successors: dict[str, list[str]] = {node.id: [] for node in process.nodes}
    for flow in process.flows:
        successors[flow.source].append(flow.target)
    seen = {process.nodes[0].id}
    stack = [process.nodes[0].id]
    passed = 0
    while stack:
        for target in successors[stack.pop()]:
            passed += 1
            if target not in seen:
                seen.add(target)
                stack.append(target)
    return passed


def measure(work: Callable[[], object], passes: int) -> float:
    """Give the least CPU seconds of a few passes."""
    best = float("inf")
    for _ in range(passes):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def compare(shape: Shape, count: int) -> tuple[bool, float]:
    process = shape.make(count)
    suite = build_suite(process, None, [], criteria=[Criterion.EDGE])
    [coverage] = suite.coverage
    assert coverage.covered == coverage.total == len(process.flows)
    walking = measure(lambda: walk(process), 5)
    planning = measure(lambda: build_suite(process, None, [], criteria=[Criterion.EDGE]), 3)
    scenarios, least = suite.minimum.chosen, suite.minimum.lower_bound
    ratio = planning / walking
    print(
        f"{shape.name:22} {len(process.nodes):6} nodes: {planning:7.3f} s, {ratio:7.0f} walks, "
        f"{ratio / scenarios:5.1f} walks a scenario; {scenarios} scenarios, at least {least}"
    )
    is_fast = ratio <= WALKS_AT_ALL + WALKS_A_SCENARIO * scenarios
    is_small = suite.minimum.is_proven if shape.has_optimum else scenarios <= SHARE_ABOVE_LEAST * least + 1
    return is_fast and is_small, planning


def grow(shape: Shape) -> bool:
    """Compare a shape at all sizes; say whether each is fast and small enough, and the time grows as it may."""
    found = [compare(shape, count) for count in SIZES]
    grows_well = True
    for (_, before), (_, after), smaller, larger in zip(found, found[1:], SIZES, SIZES[1:], strict=False):
        grows_well &= after <= MARGIN_OF_GROWTH * before * larger * math.log(larger) / (smaller * math.log(smaller))
    return grows_well and all(verdict for verdict, _ in found)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare planning with a walk over the same graph.")
    parser.add_argument("--check", action="store_true", help="fail above the budget")
    check = parser.parse_args().check
    verdicts = [grow(shape) for shape in SHAPES]
    return 1 if check and not all(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
