"""Which runs may start, and which never can."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.engine.scheduling import Prerequisite, RunGraph, find_cycle
from pytest_orchestra.errors import DependencyCycleError
from pytest_orchestra.model.run import RunStatus


def take_all(graph: RunGraph) -> list[str]:
    taken = []
    while (key := graph.next_ready()) is not None:
        graph.started(key)
        taken.append(key)
    return taken


def test_run_graph_run_without_prerequisites_is_ready_in_the_order_given() -> None:
    """Runs that need nothing start in the order in which they were added."""
    graph = RunGraph()
    assert graph.add({"b": (), "a": ()}) == []
    assert take_all(graph) == ["b", "a"]


def test_run_graph_dependant_is_ready_only_after_its_prerequisite_passed() -> None:
    """A run waits until what it needs has ended as it needs it."""
    graph = RunGraph()
    graph.add({"second": (Prerequisite("first"),), "first": ()})
    assert take_all(graph) == ["first"]
    assert graph.end("first", RunStatus.PASSED) == []
    assert take_all(graph) == ["second"]


def test_run_graph_failed_prerequisite_skips_all_who_need_it_with_the_reason() -> None:
    """A failure takes its direct and indirect dependants with it, and says why."""
    graph = RunGraph()
    graph.add({"a": (), "b": (Prerequisite("a"),), "c": (Prerequisite("b"),)})
    take_all(graph)
    unmet = graph.end("a", RunStatus.FAILED)
    assert [(each.run_key, each.reason) for each in unmet] == [
        ("b", "it depends on 'a', which ended as FAILED"),
        ("c", "it depends on 'b', which was skipped"),
    ]
    assert take_all(graph) == []


def test_run_graph_required_failure_lets_the_dependant_start() -> None:
    """Who needs a failure starts after one, and not after a pass."""
    for status, started in ((RunStatus.FAILED, ["b"]), (RunStatus.PASSED, [])):
        graph = RunGraph()
        graph.add({"a": (), "b": (Prerequisite("a", "FAILED"),)})
        take_all(graph)
        graph.end("a", status)
        assert take_all(graph) == started


def test_run_graph_unknown_prerequisite_can_never_start() -> None:
    """What depends on a scenario that is not there is told so at once."""
    unmet = RunGraph().add({"a": (Prerequisite("nowhere"),)})
    assert [each.reason for each in unmet] == ["it depends on 'nowhere', which is not part of this session"]


def test_run_graph_circle_is_refused_with_its_members() -> None:
    """A circle of dependencies is an error that shows the way round."""
    with pytest.raises(DependencyCycleError) as error:
        RunGraph().add({"a": (Prerequisite("b"),), "b": (Prerequisite("a"),)})
    assert str(error.value) == (
        "scenarios depend on each other in a circle: 'a' -> 'b' -> 'a'\nhint: remove one 'dependsOn' of the circle"
    )


@given(st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 12), max_size=3), max_size=12))
def test_find_cycle_any_graph_gives_a_real_circle_or_proves_there_is_none(raw: dict[int, list[int]]) -> None:
    """What is found is a circle along edges; where none is found, the nodes can be put in order."""
    graph = {str(node): [str(other) for other in others] for node, others in raw.items()}
    cycle = find_cycle(graph)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in graph[before] for before, after in itertools.pairwise(cycle))
        return
    remaining = dict(graph)
    while remaining:
        free = [node for node, needs in remaining.items() if not any(need in remaining for need in needs)]
        assert free, "no circle was found, but no node is free"
        for node in free:
            del remaining[node]


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), min_size=1, max_size=30), st.data())
def test_run_graph_any_acyclic_graph_ends_every_run_once_and_after_its_needs(
    needs: list[list[int]], data: st.DataObject
) -> None:
    """Whatever the outcomes, every run either starts after its prerequisites or is said never to start."""
    runs = {
        str(n): tuple(Prerequisite(str(need)) for need in dict.fromkeys(wanted) if need < n)
        for n, wanted in enumerate(needs)
    }
    graph = RunGraph()
    assert graph.add(runs) == []
    ended: dict[str, RunStatus] = {}
    while (key := graph.next_ready()) is not None:
        graph.started(key)
        assert all(ended[need.run_key] is RunStatus.PASSED for need in runs[key])
        status = data.draw(st.sampled_from([RunStatus.PASSED, RunStatus.FAILED]))
        assert key not in ended
        ended[key] = status
        for unmet in graph.end(key, status):
            assert unmet.run_key not in ended
            ended[unmet.run_key] = RunStatus.SKIPPED
    assert ended.keys() == runs.keys()
