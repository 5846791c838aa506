"""The number of scenarios against the least there can be: by trying all runs, by a formula, by a certificate."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from drawn_processes import drawn, drawn_blocks, drawn_graph, drawn_tree
from enumeration import TooMany, least_cover, maximal_runs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_processes import wild_processes
from replay import PLAIN_KINDS
from suites import missing, plan

from pytest_orchestra.generation.plans.plan import plan_json
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Process
from pytest_orchestra.model.scenario import ScenarioSuite

_SEEDS = 600
_MOST_FLOWS = 24


def suite_of(process: Process, repetitions: int) -> ScenarioSuite:
    return plan(process, Bindings(max_loop_iterations=repetitions))


def outline(process: Process) -> str:
    """Give a process as the arguments of ``drawn``, to be made a regression."""
    kinds = "".join({"startEvent": "s", "endEvent": "e", "task": "t"}.get(n.kind, n.kind[0]) for n in process.nodes)
    kinds = kinds.replace("p", "a").replace("e", "x", max(0, kinds.count("e") - kinds.endswith("e")))
    return f"{kinds} {[(int(flow.source[1:]), int(flow.target[1:])) for flow in process.flows]}"


def shortfall(process: Process, repetitions: int) -> str:
    """Say how a suite falls short of the best there is; nothing if it does not."""
    runs = maximal_runs(process, repetitions)
    coverable = frozenset().union(*runs)
    suite = suite_of(process, repetitions)
    covered = frozenset().union(*(scenario.flows for scenario in suite.scenarios))
    if covered != coverable:
        return f"covers {len(covered)} of {len(coverable)} flows, {repetitions} repetitions: {outline(process)}"
    least = least_cover(runs)
    if len(suite.scenarios) != least:
        return f"{len(suite.scenarios)} scenarios, not {least}, {repetitions} repetitions: {outline(process)}"
    return ""


def shortfalls(processes: dict[int, Process], repetitions: int) -> list[str]:
    found: list[str] = []
    tried = 0
    for process in processes.values():
        if len(process.flows) > _MOST_FLOWS:
            continue
        try:
            found.append(shortfall(process, repetitions))
        except TooMany:
            continue
        tried += 1
    assert tried > len(processes) // 2
    return sorted(filter(None, found), key=len)


@pytest.mark.parametrize("repetitions", [0, 1, 2])
@pytest.mark.parametrize("kind", ["acyclic", "cyclic", "blocks", "exclusive"])
def test_no_smaller_set_of_runs_covers_as_much(kind: str, repetitions: int) -> None:
    """Small graphs by the hundred, sound and not: all runs are tried, and the exact cover is no smaller."""
    seeds = range(repetitions, _SEEDS, 3)
    if kind == "blocks":
        processes = {seed: drawn_blocks(seed) for seed in seeds}
    else:
        parallel = 0.0 if kind == "exclusive" else 0.25
        processes = {seed: drawn_graph(seed, cyclic=kind != "acyclic", parallel=parallel) for seed in seeds}
    assert shortfalls(processes, repetitions) == []


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.booleans().flatmap(lambda cyclic: wild_processes(PLAIN_KINDS, cyclic=cyclic, max_nodes=7)), st.integers(0, 2))
def test_any_graph_has_the_least_scenarios(process: Process, repetitions: int) -> None:
    """As above, for whatever hypothesis comes up with."""
    assume(len(process.flows) <= _MOST_FLOWS)
    try:
        found = shortfall(process, repetitions)
    except TooMany:
        assume(False)
    assert found == ""


REGRESSIONS = [
    # kinds, flows, repetitions, the least number of scenarios
    ("sxttxe", [(0, 1), (1, 3), (1, 2), (3, 4), (3, 4), (4, 5), (4, 1)], 1, 1),
    ("sttxte", [(0, 2), (1, 4), (2, 3), (2, 3), (3, 1), (3, 5), (4, 5)], 1, 1),
    ("stxtxe", [(0, 1), (1, 2), (2, 3), (2, 3), (2, 3), (3, 4), (4, 1), (4, 5)], 2, 1),
    ("sxxte", [(0, 2), (1, 2), (1, 2), (2, 4), (2, 3), (2, 4), (3, 1), (3, 4)], 0, 2),
    ("stxxxe", [(0, 1), (1, 2), (1, 3), (2, 5), (2, 3), (3, 4), (3, 4), (4, 2), (4, 5)], 2, 1),
    ("sttxxe", [(0, 4), (1, 2), (1, 4), (2, 3), (3, 5), (3, 5), (3, 5), (4, 2), (4, 1)], 1, 1),
    ("stxtttxe", [(0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (4, 5), (5, 6), (6, 1), (6, 7)], 1, 1),
    ("stxttttxe", [(0, 1), (1, 2), (2, 6), (2, 3), (3, 5), (3, 4), (4, 5), (5, 6), (6, 7), (7, 1), (7, 8)], 2, 1),
    (
        "stxxxae",  # one run alone does not get stuck
        [(0, 1), (1, 2), (1, 3), (1, 4), (2, 3), (2, 5), (3, 4), (3, 5), (4, 5), (4, 6), (4, 5), (5, 6)],
        0,
        1,
    ),
    (
        "sxxtttxe",
        [(0, 3), (1, 3), (1, 4), (2, 6), (2, 1), (3, 5), (4, 6), (4, 2), (5, 2), (5, 7), (6, 7), (6, 7)],
        0,
        1,
    ),
    (
        "stxxaxte",
        [(0, 2), (1, 4), (2, 3), (2, 5), (2, 5), (3, 5), (3, 4), (4, 7), (4, 7), (5, 6), (5, 7), (5, 7)],
        1,
        3,
    ),
    ("sxxe", [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3), (2, 1)], 1, 1),
    ("sxxtxe", [(0, 2), (1, 3), (1, 5), (2, 4), (2, 3), (3, 4), (4, 5), (4, 1)], 2, 2),
    ("sxxxxte", [(0, 2), (1, 2), (1, 3), (2, 4), (2, 1), (3, 4), (3, 4), (4, 5), (4, 1)], 1, 1),
    ("sxxtxe", [(0, 2), (1, 4), (1, 3), (2, 4), (2, 3), (3, 4), (4, 5), (4, 1), (4, 5)], 2, 2),
    ("sttxxxe", [(0, 2), (1, 3), (2, 3), (2, 4), (3, 4), (3, 5), (3, 5), (4, 5), (4, 5), (5, 1), (5, 6)], 1, 1),
    (
        "sxxxxxt",
        [
            *[(0, 1), (0, 4), (1, 4), (1, 4), (2, 6), (2, 5), (2, 3), (3, 5), (3, 4), (3, 6)],
            *[(4, 5), (4, 5), (5, 6), (5, 2)],
        ],
        0,
        3,
    ),
]


@pytest.mark.parametrize(("kinds", "flows", "repetitions", "least"), REGRESSIONS)
def test_known_graph_has_the_least_scenarios(
    kinds: str, flows: list[tuple[int, int]], repetitions: int, least: int
) -> None:
    """The smallest graphs on which a greedy choice of runs is not the best."""
    process = drawn(kinds, flows)
    assert least_cover(maximal_runs(process, repetitions)) == least
    assert len(suite_of(process, repetitions).scenarios) == least


def test_hundred_choices_in_a_row_are_two_scenarios() -> None:
    """There are 2^100 paths, and two of them take every flow."""
    kinds, flows = "s", []
    for number in range(100):
        first = 1 + 4 * number
        kinds += "xttx"
        flows += [(first - 1, first), *((first, first + way) for way in (1, 2)), (first + 1, first + 3)]
        flows.append((first + 2, first + 3))
    suite = suite_of(drawn(kinds + "e", [*flows, (400, 401)]), 1)
    assert (len(suite.scenarios), missing(suite)) == (2, {})


@pytest.mark.parametrize(
    ("kinds", "flows", "least"),
    [
        ("sattae", [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)], 1),
        (
            "saxxttttxxae",
            [
                *[(0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7), (4, 8), (5, 8), (6, 9), (7, 9)],
                *[(8, 10), (9, 10), (10, 11)],
            ],
            2,
        ),
        (
            "sxaattttaaxe",
            [
                *[(0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7), (4, 8), (5, 8), (6, 9), (7, 9)],
                *[(8, 10), (9, 10), (10, 11)],
            ],
            2,
        ),
    ],
    ids=["one block", "choices within branches", "branches within choices"],
)
def test_parallel_blocks_need_as_many_as_their_widest_branch(
    kinds: str, flows: list[tuple[int, int]], least: int
) -> None:
    """Concurrent branches are covered by the same runs."""
    process = drawn(kinds, flows)
    assert least_cover(maximal_runs(process, 1)) == least
    suite = suite_of(process, 1)
    assert (len(suite.scenarios), missing(suite)) == (least, {})


@pytest.mark.parametrize(("ways", "repetitions", "least"), [(2, 0, 2), (2, 1, 1), (3, 1, 2), (3, 2, 1), (7, 2, 3)])
def test_loop_whose_body_splits_is_gone_round_for_each_way(ways: int, repetitions: int, least: int) -> None:
    """A run that repeats the body takes another way each time."""
    flows = [(0, 1), (1, 2), *((2, 3 + way) for way in range(ways)), *((3 + way, 3 + ways) for way in range(ways))]
    flows += [(3 + ways, 4 + ways), (4 + ways, 1), (4 + ways, 5 + ways)]
    suite = suite_of(drawn("sxx" + "t" * ways + "xxe", flows), repetitions)
    assert len(suite.scenarios) == least  # without repetition the flow back leads nowhere within the limit
    assert set(missing(suite)) == (set() if repetitions else {f"f{len(flows) - 2}"})


@pytest.mark.parametrize("parallel", [0.0, 0.2, 0.4])
@pytest.mark.parametrize(("count", "seeds"), [(100, 20), (1_000, 4), (5_000, 1)])
def test_nested_blocks_have_as_many_scenarios_as_the_formula_says(count: int, seeds: int, parallel: float) -> None:
    """Series-parallel processes of every size: the greatest of a row and of branches, the sum of alternatives."""
    for seed in range(seeds):
        process, least = drawn_tree(seed, count, parallel)
        suite = suite_of(process, 1)
        assert (len(suite.scenarios), missing(suite)) == (least, {}), seed


def jungle(seed: int, count: int, far: int) -> Process:
    """Give exclusive gateways in a row, each with a flow or two besides that lead at most so far on."""
    lots = random.Random(seed)
    flows = [(number, number + 1) for number in range(count - 1)]
    for source in range(1, count - 1):
        flows += [(source, lots.randint(source + 1, min(count - 1, source + far))) for _ in range(lots.randint(0, 2))]
    return drawn("s" + "x" * (count - 2) + "e", flows)


def can_do_with_less(process: Process, suite: ScenarioSuite) -> bool:
    """Whether a flow with at least 1 everywhere can be made smaller: a way from start to end on which it shrinks.

    Runs are a flow where only alternatives divide it. It is least if and only if there is no such way (max-flow min-cut
    with lower bounds; Ford and Fulkerson, 1962).
    """
    used = Counter(flow for scenario in suite.scenarios for flow in scenario.flows)
    start, end = process.nodes[0].id, process.nodes[-1].id
    seen, waiting = {start}, [start]
    while waiting:
        node = waiting.pop()
        onward = [flow.target for flow in process.outgoing[node] if used[flow.id] > 1]
        back = [flow.source for flow in process.incoming[node]]
        for reached in (*onward, *back):
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return end in seen


@pytest.mark.parametrize("far", [5, 1_000])
@pytest.mark.parametrize(("count", "seeds"), [(100, 10), (1_000, 2)])
def test_large_unstructured_graph_has_a_certificate(count: int, seeds: int, far: int) -> None:
    """Exclusive gateways without cycles, to near and to far targets: no flow that covers them is smaller."""
    for seed in range(seeds):
        process = jungle(seed, count, far)
        suite = suite_of(process, 1)
        assert missing(suite) == {}
        assert not can_do_with_less(process, suite), (seed, len(suite.scenarios))


def test_plan_states_the_minimum() -> None:
    """The bound that is printed lies below what was chosen, and is reached where the minimum is proven."""
    for seed in range(0, 150, 3):
        process = drawn_graph(seed, cyclic=False)
        suite = suite_of(process, 0)
        try:
            least = least_cover(maximal_runs(process, 0))
        except TooMany:
            continue
        stated = plan_json(suite, "x")["minimum"]
        assert isinstance(stated, dict)
        assert stated["chosen"] == len(suite.scenarios)
        assert stated["lowerBound"] <= least <= stated["chosen"], seed
        assert stated["isProven"] is (stated["lowerBound"] == stated["chosen"])
