"""The least flow with lower bounds: what it carries is a flow, keeps its bounds, and cannot be made smaller."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_orchestra.generation.coverage.flow import Arc, least_flow


@st.composite
def networks(draw: st.DrawFn, *, cyclic: bool) -> tuple[int, list[Arc]]:
    """Give a network in which every vertex lies on a way from the first to the last one."""
    size = draw(st.integers(2, 9))
    bounds = st.integers(0, 3)
    arcs = [Arc(vertex, vertex + 1, draw(bounds)) for vertex in range(size - 1)]
    inner = st.integers(1, size - 2) if size > 2 else st.nothing()
    for _ in range(draw(st.integers(0, 12))):
        source = draw(st.integers(0, size - 2))
        target = draw(st.integers(source + 1, size - 1))
        arcs.append(Arc(source, target, draw(bounds)))
    count = draw(st.integers(0, 4)) if cyclic and size > 2 else 0
    arcs += [Arc(draw(inner), draw(inner), draw(bounds)) for _ in range(count)]
    dropped = draw(st.sets(st.integers(0, len(arcs) - 1), max_size=4)) if cyclic else set()
    arcs = [arc for place, arc in enumerate(arcs) if arc.source != arc.target and place not in dropped]
    kept = _between(arcs, 0, size - 1)
    assume(kept)
    return size, kept


def _between(arcs: list[Arc], entry: int, end: int) -> list[Arc]:
    """Give the arcs on ways from the entry to the end."""
    ahead, behind = {entry}, {end}
    for _ in arcs:
        ahead |= {arc.target for arc in arcs if arc.source in ahead}
        behind |= {arc.source for arc in arcs if arc.target in behind}
    return [arc for arc in arcs if arc.source in ahead and arc.target in behind]


def check(size: int, arcs: list[Arc]) -> None:
    value, carried = least_flow(size, arcs, 0, size - 1)
    assert all(flow >= arc.bound for flow, arc in zip(carried, arcs, strict=True))
    for vertex in range(1, size - 1):
        came = sum(flow for flow, arc in zip(carried, arcs, strict=True) if arc.target == vertex)
        went = sum(flow for flow, arc in zip(carried, arcs, strict=True) if arc.source == vertex)
        assert came == went
    assert value == sum(flow for flow, arc in zip(carried, arcs, strict=True) if arc.source == 0)
    seen, waiting = {0}, [0]
    while waiting:  # a way on which the flow can shrink would lead to the end (max-flow min-cut with lower bounds)
        vertex = waiting.pop()
        onward = [
            arc.target for flow, arc in zip(carried, arcs, strict=True) if arc.source == vertex and flow > arc.bound
        ]
        back = [arc.source for arc in arcs if arc.target == vertex]
        for reached in (*onward, *back):
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    assert size - 1 not in seen


@given(networks(cyclic=False))
def test_flow_without_cycles_is_least(network: tuple[int, list[Arc]]) -> None:
    """Bounds hold, nothing is lost on the way, and no smaller flow exists."""
    check(*network)


@settings(max_examples=300)
@given(networks(cyclic=True))
def test_flow_with_cycles_is_least(network: tuple[int, list[Arc]]) -> None:
    """What goes round a cycle comes from nowhere else."""
    check(*network)


def test_flow_that_uses_one_path_twice_is_found() -> None:
    """Two bounds one after the other on different ways: the paths cross over in between."""
    arcs = [Arc(0, 1, 1), Arc(0, 1, 1), Arc(1, 2, 0), Arc(2, 3, 1), Arc(2, 3, 1)]
    assert least_flow(4, arcs, 0, 3) == (2, [1, 1, 2, 1, 1])
