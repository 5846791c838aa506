"""Random processes with scopes: every scenario is a legal play, everything is covered, the same again each time."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scoped_processes import check_play, scoped_processes
from scopes import CLASSIC
from suites import plan

from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import EventKind, Process

THOROUGH = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@THOROUGH
@given(scoped_processes(), st.sampled_from([CLASSIC, (*CLASSIC, Criterion.LOOP), (Criterion.EDGE,)]))
def test_scenarios_of_processes_with_scopes_are_legal_plays(process: Process, criteria: tuple[Criterion, ...]) -> None:
    """Every node of a scenario has a reason to come when it comes, handlers in the reverse order of completion."""
    suite = plan(process, Bindings(), criteria=criteria)
    for scenario in suite.scenarios:
        check_play(process, scenario.nodes, scenario.flows)


@THOROUGH
@given(scoped_processes())
def test_processes_with_scopes_are_covered_but_for_what_nothing_compensates(process: Process) -> None:
    """Where all ways end there is nothing that no scenario reaches, except handlers that nobody sets off."""
    suite = plan(process, Bindings(), criteria=CLASSIC)
    handlers = {node.id for node in process.nodes if node.is_for_compensation}
    handlers |= {node.id for node in process.nodes if _is_compensation(process, node.id)}
    for coverage in suite.coverage:
        for missed in coverage.missing:
            assert missed.element in handlers, f"{coverage.criterion} {missed.element}: {missed.reason}"


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(scoped_processes())
def test_suites_of_processes_with_scopes_are_the_same_each_time(process: Process) -> None:
    """Nothing depends on anything but the process."""
    assert plan(process, Bindings(), criteria=CLASSIC) == plan(process, Bindings(), criteria=CLASSIC)


def _is_compensation(process: Process, node: str) -> bool:
    return any(event.kind is EventKind.COMPENSATE for event in process.node[node].events)
