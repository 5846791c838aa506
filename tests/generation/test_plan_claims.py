"""What a plan claims, recomputed from the paths that it lists: goals, what only one scenario serves, sums, reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from process_text import process_of
from random_processes import arbitrary_processes, block_processes, wild_processes
from replay import RANDOM_KINDS, reach
from steered_processes import eventful_processes
from suites import EVERY, plan

from pytest_orchestra.generation.plans.plan import plan_json
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import NodeKind, Process

THOROUGH = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
SHAPES = ("xor", "and", "or", "loop", "interrupted", "accompanied", "awaited", "failing", "stopping", "several")


def plan_of(process: Process, bindings: Bindings | None = None) -> dict[str, Any]:
    return plan_json(plan(process, bindings, criteria=EVERY), "x.bpmn")


def served(scenario: dict[str, Any], criterion: str) -> set[str]:
    """Give the elements of a criterion that a scenario claims to cover."""
    split = (goal.partition(":") for goal in scenario["serves"])
    return {element for name, _, element in split if name == criterion}


def check_sums(found: dict[str, Any]) -> None:
    """Hold the plan's sums, and what it says that only one scenario serves, against what its scenarios claim."""
    claimed = Counter(goal for scenario in found["scenarios"] for goal in scenario["serves"])
    for scenario in found["scenarios"]:
        assert len(scenario["serves"]) == len(set(scenario["serves"]))
        assert scenario["onlyServes"] == [goal for goal in scenario["serves"] if claimed[goal] == 1]
        assert scenario["onlyServes"], f"'{scenario['key']}' could be dropped"
    for criterion, coverage in found["coverage"].items():
        mine = {goal for goal in claimed if goal.partition(":")[0] == criterion}
        lacking = [missed["element"] for missed in coverage["missing"]]
        assert coverage["covered"] == len(mine)
        assert coverage["total"] == len(mine) + len(lacking)
        assert len(lacking) == len(set(lacking))
        assert not {f"{criterion}:{element}" for element in lacking} & mine
        assert all(missed["reason"].strip() for missed in coverage["missing"])
    keys = [scenario["key"] for scenario in found["scenarios"]]
    assert len(set(keys)) == len(keys)


def check_paths(process: Process, found: dict[str, Any]) -> None:
    """Hold goals of nodes, flows and branches against the paths, and the totals against the process."""
    for scenario in found["scenarios"]:
        assert served(scenario, "node") == set(scenario["nodes"])
        assert served(scenario, "edge") == set(scenario["flows"])
        branches = {f"{gate}->{one}" for gate, taken in scenario["decisions"].items() for one in taken}
        loops = served(scenario, "loop")
        assert served(scenario, "decision") | loops >= branches
        assert served(scenario, "decision") <= branches
    assert found["coverage"]["node"]["total"] == len(process.nodes)
    assert found["coverage"]["edge"]["total"] == len(process.flows)


@THOROUGH
@given(block_processes())
def test_claims_of_block_process_are_real(process: Process) -> None:
    """Nested blocks under all criteria at once."""
    found = plan_of(process)
    check_sums(found)
    check_paths(process, found)
    assert not found["coverage"]["edge"]["missing"]
    assert not found["coverage"]["node"]["missing"]


@THOROUGH
@given(wild_processes(RANDOM_KINDS, cyclic=True))
def test_claims_of_any_gateways_are_real(process: Process) -> None:
    """Unsound processes too; what cannot be reached is said to be unreachable and nothing else is."""
    found = plan_of(process)
    check_sums(found)
    check_paths(process, found)
    reachable = reach(process, process.nodes[0].id)
    for missed in found["coverage"]["node"]["missing"]:
        assert (missed["element"] not in reachable) == (missed["reason"] == "cannot be reached from a start")


@THOROUGH
@given(eventful_processes(SHAPES))
def test_claims_of_process_with_events_are_real(process: Process) -> None:
    """Boundary events, event-based gateways, errors, terminating ends, several instances."""
    found = plan_of(process)
    check_sums(found)
    check_paths(process, found)
    assert not found["coverage"]["edge"]["missing"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(arbitrary_processes(), st.integers(0, 2))
def test_sums_hold_for_whatever_a_file_says(process: Process, repetitions: int) -> None:
    """Elements that no modeller draws."""
    check_sums(plan_of(process, Bindings(max_loop_iterations=repetitions)))


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
def test_loop_goals_count_how_often_a_run_goes_back(first: int, second: int, repetitions: int) -> None:
    """Two loops in a row: ``0``, ``1`` and ``N`` are claimed for exactly so many flows back."""
    body = " > ".join(f"a{number}" for number in range(first))
    other = " > ".join(f"b{number}" for number in range(second))
    process = process_of(
        f"start > xor1 > {body} > xor2; xor2 > back1 > xor1; xor2 > xor3 > {other} > xor4; xor4 > xor3; xor4 > end"
    )
    found = plan_of(process, Bindings(max_loop_iterations=repetitions))
    check_sums(found)
    names = ("0", "1", "N")
    for scenario in found["scenarios"]:
        taken = Counter(scenario["flows"])
        expected = {
            f"{head}->{names[min(2, taken[back])]}" for head, back in (("xor1", "back1>xor1"), ("xor3", "xor4>xor3"))
        }
        assert served(scenario, "loop") == expected
    lacking = {missed["element"] for missed in found["coverage"]["loop"]["missing"]}
    assert not lacking
    assert found["coverage"]["loop"]["total"] == 2 * (min(repetitions, 2) + 1)


@st.composite
def rows_of_decisions(draw: st.DrawFn) -> Process:
    """Give independent exclusive decisions in a row, of two to four branches."""
    parts = []
    count = draw(st.integers(2, 4))
    for number in range(count):
        following = f"xor{number + 1}" if number + 1 < count else "end"
        parts += [f"xor{number} > t{number}_{way} > xorm{number}_{following}" for way in range(draw(st.integers(2, 4)))]
        parts.append(f"xorm{number}_{following} > {following}")
    return process_of(f"start > xor0; {';'.join(parts)}")


@settings(max_examples=40)
@given(rows_of_decisions())
def test_every_pair_of_independent_branches_is_in_a_scenario(process: Process) -> None:
    """Pairs are claimed for scenarios that take both branches, all pairs are covered, and there are no others."""
    found = plan_json(plan(process, criteria=[Criterion.PAIRWISE]), "x")
    check_sums(found)
    splits = [node.id for node in process.nodes if len(process.outgoing[node.id]) > 1]
    expected = {
        frozenset((f"{one}->{mine.id}", f"{other}->{theirs.id}"))
        for one, other in combinations(splits, 2)
        for mine in process.outgoing[one]
        for theirs in process.outgoing[other]
    }
    claimed = {
        frozenset(element.split("+")) for scenario in found["scenarios"] for element in served(scenario, "pairwise")
    }
    assert claimed == expected
    assert found["coverage"]["pairwise"]["missing"] == []
    for scenario in found["scenarios"]:
        taken = {f"{process.flow[flow].source}->{flow}" for flow in scenario["flows"]}
        own = {pair for pair in expected if pair <= taken}
        assert {frozenset(element.split("+")) for element in served(scenario, "pairwise")} == own


@settings(max_examples=40)
@given(st.integers(2, 5))
def test_every_two_branches_of_an_inclusive_gateway_are_paired(ways: int) -> None:
    """Both taken, one alone, the other alone, neither: as far as the gateway permits, since one must be taken."""
    text = ";".join(f"or1 > t{way} > or2" for way in range(ways))
    process = process_of(f"start > or1; {text}; or2 > end")
    found = plan_json(plan(process, criteria=[Criterion.PAIRWISE]), "x")
    check_sums(found)
    assert found["coverage"]["pairwise"]["missing"] == []
    combinations_seen = set()
    for scenario in found["scenarios"]:
        nodes = set(scenario["nodes"])
        for one, other in combinations(range(ways), 2):
            combinations_seen.add((one, other, f"t{one}" in nodes, f"t{other}" in nodes))
    possible = {(True, True), (True, False), (False, True)} | ({(False, False)} if ways > 2 else set())
    assert combinations_seen == {(*pair, *way) for pair in combinations(range(ways), 2) for way in possible}


def concurrent_pairs(process: Process) -> Iterator[tuple[str, str]]:
    """Give the tasks of different branches of the one parallel block."""
    branches = [flow.target for flow in process.outgoing["and1"]]
    inner = [[node for node in reach(process, branch, around="and2") if node.startswith("t")] for branch in branches]
    for one, other in combinations(inner, 2):
        yield from ((mine, theirs) for mine in one for theirs in other)


@settings(max_examples=40)
@given(st.integers(2, 4), st.integers(1, 3), st.data())
def test_conflicting_steps_are_shown_in_both_orders(ways: int, length: int, data: st.DataObject) -> None:
    """Steps of concurrent branches that share a resource come in each order in some scenario, and no claim is false."""
    rows = [[f"t{way}_{number}" for number in range(length)] for way in range(ways)]
    branches = ";".join(f"and1 > {' > '.join(row)} > and2" for row in rows)
    process = process_of(f"start > and1; {branches}; and2 > end")
    tasks = [node.id for node in process.nodes if node.kind is NodeKind.TASK]
    sharing = data.draw(st.lists(st.sampled_from(tasks), min_size=2, max_size=4, unique=True))
    found = plan_of(process, Bindings.model_validate({"sharedResources": {"stock": sharing}}))
    check_sums(found)
    pairs = {pair for pair in concurrent_pairs(process) if set(pair) <= set(sharing)}
    expected = {f"{one}->{other}" for one, other in pairs} | {f"{other}->{one}" for one, other in pairs}
    assert {element for scenario in found["scenarios"] for element in served(scenario, "race")} == expected
    for scenario in found["scenarios"]:
        for element in served(scenario, "race"):
            one, other = element.split("->")
            assert scenario["nodes"].index(one) < scenario["nodes"].index(other)
