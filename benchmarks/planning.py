"""What planning costs: time and scenarios at 100, 1,000 and 10,000 nodes, against one depth-first walk over the graph.

Processes are made at random: nested blocks with exclusive gateways only, the same with parallel blocks and with loops,
and flows that jump forward without structure. Prints CPU seconds, the ratio to one walk, the ratio to one walk for each
scenario, the number of scenarios and, where there is no concurrency and no loop, the least number that can cover every
flow (a flow with a lower bound of 1 on every edge). With ``--check`` the exit status is 1 if planning takes more than
the budget of walks for each scenario and a fixed share, or if it needs more than 1.1 times the least scenarios.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.model.scenario import ScenarioSuite

SIZES = (100, 1_000, 10_000)
WALKS_AT_ALL = 400
WALKS_A_SCENARIO = 15
SHARE_ABOVE_LEAST = 1.1


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


def least_scenarios(process: Process, suite: ScenarioSuite) -> int:
    """Give the least number of paths that cover all flows: the suite's paths, less what can be cancelled among them.

    A path from end to start that only takes away where two paths pass, and adds anywhere, saves one scenario.
    """
    passing: dict[str, int] = {}
    for scenario in suite.scenarios:
        for flow in scenario.flows:
            passing[flow] = passing.get(flow, 0) + 1
    count = len(suite.scenarios)
    start = process.nodes[0].id
    ends = {node.id for node in process.nodes if not process.outgoing[node.id]}
    while True:
        came: dict[str, tuple[str, str, int]] = {}
        waiting = deque([start])
        reached = None
        while waiting and reached is None:
            node = waiting.popleft()
            steps = [(flow.target, flow.id, -1) for flow in process.outgoing[node] if passing[flow.id] > 1]
            steps += [(flow.source, flow.id, 1) for flow in process.incoming[node]]
            for target, flow, change in steps:
                if target not in came and target != start:
                    came[target] = (node, flow, change)
                    waiting.append(target)
                    reached = target if target in ends else reached
        if reached is None:
            return count
        while reached != start:
            reached, flow, change = came[reached]
            passing[flow] += change
        count -= 1


def compare(shape: Shape, count: int) -> bool:
    process = shape.make(count)
    suite = build_suite(process, None, [], criteria=[Criterion.EDGE])
    [coverage] = suite.coverage
    assert coverage.covered == coverage.total == len(process.flows)
    walking = measure(lambda: walk(process), 5)
    planning = measure(lambda: build_suite(process, None, [], criteria=[Criterion.EDGE]), 3 if count < 10_000 else 1)
    scenarios = len(suite.scenarios)
    least = least_scenarios(process, suite) if shape.has_optimum else None
    ratio = planning / walking
    print(
        f"{shape.name:22} {len(process.nodes):6} nodes: {planning:7.3f} s, {ratio:7.0f} walks, "
        f"{ratio / scenarios:5.1f} walks a scenario; {scenarios} scenarios" + (f", least {least}" if least else "")
    )
    is_fast = ratio <= WALKS_AT_ALL + WALKS_A_SCENARIO * scenarios
    return is_fast and (least is None or scenarios <= SHARE_ABOVE_LEAST * least + 1)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare planning with a walk over the same graph.")
    parser.add_argument("--check", action="store_true", help="fail above the budget")
    check = parser.parse_args().check
    verdicts = [compare(shape, count) for shape in SHAPES for count in SIZES]
    return 1 if check and not all(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
