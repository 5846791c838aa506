"""The shape of graphs: cycles, post-dominators, ways into joins, loops, against definitions tried out one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from process_text import process_of
from random_processes import wild_processes
from replay import RANDOM_KINDS

from pytest_orchestra.generation.control_flow.compiler import compile_process
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.structure import Structure, strong_components
from pytest_orchestra.model.process import Process
from pytest_orchestra.problem import Place


def graph_of(process: Process) -> ControlFlow:
    return compile_process(process, Place("test"))


def reachable_without(graph: ControlFlow, start: int, avoided: int | None = None) -> set[int]:
    """Give the points to which ways lead from a point that do not pass the avoided one."""
    if start == avoided:
        return set()
    seen = {start}
    waiting = [start]
    while waiting:
        for target in graph.successors(waiting.pop()):
            if target not in seen and target != avoided:
                seen.add(target)
                waiting.append(target)
    return seen


@given(st.lists(st.lists(st.integers(0, 7), max_size=4), min_size=8, max_size=8))
def test_components_are_points_that_reach_each_other(successors: list[list[int]]) -> None:
    """Two points share a component if and only if each can be reached from the other; successors come first."""
    part = strong_components(8, successors)
    reach = [closure(successors, point) for point in range(8)]
    for one in range(8):
        for other in range(8):
            assert (part[one] == part[other]) == (other in reach[one] and one in reach[other])
            if other in reach[one]:
                assert part[other] <= part[one]


def closure(successors: list[list[int]], start: int) -> set[int]:
    seen = {start}
    waiting = [start]
    while waiting:
        for target in successors[waiting.pop()]:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


@given(wild_processes(RANDOM_KINDS, cyclic=True))
def test_postdominator_lies_on_every_way_to_the_exit(process: Process) -> None:
    """Without it the exit is out of reach, and of all such points it is the nearest."""
    graph = graph_of(process)
    above = Structure(graph).postdominators
    for point in range(len(graph.points)):
        ends = graph.exit in reachable_without(graph, point)
        assert (point in above) == ends
        if not ends or point == graph.exit:
            continue
        dominators = {
            other
            for other in range(len(graph.points))
            if other != point and graph.exit not in reachable_without(graph, point, other)
        }
        chain = set()
        current = point
        while current != graph.exit:
            current = above[current]
            chain.add(current)
        assert chain == dominators


@given(wild_processes(RANDOM_KINDS, cyclic=True))
def test_closing_edges_are_what_makes_cycles(process: Process) -> None:
    """Without them no cycle is left, and each lies on one; the post-order has successors first."""
    graph = graph_of(process)
    structure = Structure(graph)
    rank = {point: number for number, point in enumerate(structure.postorder)}
    for point in structure.postorder:
        for edge in structure.successor_edges[point]:
            target = graph.edges[edge].target
            if edge in structure.closing:
                assert point in reachable_without(graph, target)
            else:
                assert rank[target] < rank[point]


@given(wild_processes(RANDOM_KINDS, cyclic=True))
def test_ways_into_a_join_do_not_pass_it(process: Process) -> None:
    """A bit is set where a way leads to the source of that flow around the join."""
    graph = graph_of(process)
    structure = Structure(graph)
    for join in range(len(graph.points)):
        if len(graph.into[join]) < 2:
            continue
        ways = structure.ways_into(join)
        for point in range(len(graph.points)):
            if point == join:
                continue
            around = reachable_without(graph, point, join)
            expected = [graph.edges[edge].source in around for edge in graph.into[join]]
            assert [bool(ways[point] >> number & 1) for number in range(len(expected))] == expected


def test_innermost_loop_is_the_smallest_around_an_element() -> None:
    """Nested loops are told apart; outside of loops there is none."""
    graph = graph_of(process_of("start > a > b > c > xor1; xor1 > b; xor1 > d > xor2; xor2 > a; xor2 > e > end"))
    structure = Structure(graph)

    def names(node: str) -> set[str]:
        found = (graph.points[point].node for point in structure.innermost_loop(graph.point_of[node]))
        return {node.id for node in found if node is not None}

    assert names("c") == names("b") == names("xor1") == {"b", "c", "xor1"}
    assert names("d") == names("a") == {"a", "b", "c", "xor1", "d", "xor2"}
    assert names("e") == names("start") == set()


def test_loop_of_one_element_is_its_own() -> None:
    """A flow from a node to itself is a loop."""
    graph = graph_of(process_of("start > xor > xor; xor > end"))
    structure = Structure(graph)
    xor = graph.point_of["xor"]
    assert structure.innermost_loop(xor) == {xor}
    [closing] = structure.closing
    assert structure.loop_of(closing) == (xor,)


def test_natural_loop_is_what_leads_to_the_closing_edge() -> None:
    """The points between head and tail, and not what leaves the loop."""
    graph = graph_of(process_of("start > a > xor1; xor1 > b > m; xor1 > c > m; m > xor2; xor2 > a; xor2 > end"))
    structure = Structure(graph)
    [closing] = structure.closing
    found = {graph.points[point].node for point in structure.loop_of(closing)}
    assert {node.id for node in found if node is not None} == {"a", "xor1", "b", "c", "m", "xor2"}
