"""Gateways that wait for some of their branches, and events of which several or all must come."""

from __future__ import annotations

import pytest
from process_text import events, process_of
from scopes import CLASSIC, decided, inside
from suites import explicit, messages, missing, paths, plan

from pytest_orchestra.model.process import Condition, EventKind
from pytest_orchestra.problem import Severity

SPLIT = "start > and; and > a > complex; and > b > complex; and > c > complex; complex > d > end"


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ("activationCount >= 1", "start and a complex d end b c"),
        ("activationCount >= 2", "start and a b complex d end c"),
        ("${activationCount > 1}", "start and a b complex d end c"),
        ("= activationCount = 2", "start and a b complex d end c"),
        ("return activationCount == 3;", "start and a b c complex d end"),
    ],
)
def test_complex_gateway_goes_on_with_so_many_branches(condition: str, path: str) -> None:
    """What the other branches bring afterwards ends at the gateway."""
    process = process_of(SPLIT, complex={"activation_condition": Condition(condition)})
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == [path]
    assert missing(suite) == {}
    assert messages(suite) == []


@pytest.mark.parametrize("condition", ["activationCount >= 4", "x > 2", "activationCount >= 2 and y", ""])
def test_condition_that_is_not_understood_is_told(condition: str) -> None:
    """The gateway then waits as an inclusive one does."""
    suite = plan(process_of(SPLIT, complex={"activation_condition": Condition(condition)}))
    assert list(decided(suite)) == ["start and a b c complex d end"]
    assert messages(suite, Severity.WARNING) == ["complex gateway 'complex' is played as an inclusive gateway"]


def test_gateway_that_counts_is_ready_again_when_all_its_branches_have_come() -> None:
    """In a loop it goes on once a round, late tokens of the round before included."""
    process = process_of(
        "start > m > and; and > a > complex; and > b > complex; and > c > complex; complex > xor; xor -again> m;"
        "xor -done> end",
        complex={"activation_condition": Condition("activationCount >= 2")},
    )
    suite = plan(process, criteria=CLASSIC)
    assert missing(suite) == {}
    [scenario] = suite.scenarios
    assert scenario.nodes.count("complex") == 2
    assert [scenario.nodes.count(node) for node in "abc"] == [2, 2, 2]


def test_too_few_branches_for_its_count_are_a_deadlock() -> None:
    """Where only one of two can come, the gateway waits for ever."""
    process = process_of(
        "start > xor; xor > a > complex; xor > b > complex; complex > end",
        complex={"activation_condition": Condition("activationCount >= 2")},
    )
    suite = plan(process)
    assert suite.scenarios == ()
    assert set(missing(suite).values()) == {"every run found through it gets stuck at complex gateway 'complex'"}


def test_parallel_event_gateway_that_starts_a_process_waits_for_all_its_events() -> None:
    """There is nothing to decide: each event comes (BPMN 2.0.2, 10.6.6)."""
    process = process_of(
        "event > catch1 > a > and; event > catch2 > b > and; and > end",
        event={"instantiate": True, "event_gateway_type": "Parallel"},
        catch1={"events": events(EventKind.MESSAGE)},
        catch2={"events": events(EventKind.MESSAGE)},
    )
    assert decided(plan(process, criteria=CLASSIC)) == {"event catch1 a catch2 b and end": {}}


def test_parallel_event_gateway_on_the_way_waits_for_one_with_a_warning() -> None:
    """BPMN has it at the start of a process only."""
    process = process_of("start > event; event > a > end; event > b > end", event={"event_gateway_type": "Parallel"})
    suite = plan(process)
    assert set(decided(suite)) == {"start event a end", "start event b end"}
    [message] = messages(suite, Severity.WARNING)
    assert message == (
        "event based gateway 'event' waits for all its events, which only one that starts a process may; it waits for"
        " one"
    )


@pytest.mark.parametrize("parallel", [True, False])
def test_event_with_several_definitions_is_one_visit(parallel: bool) -> None:
    """One of them or all: the scenario passes the event once."""
    several = {"events": events(EventKind.MESSAGE, EventKind.TIMER), "parallel_multiple": parallel}
    suite = plan(process_of("start > catch > end", catch=several), criteria=CLASSIC)
    assert decided(suite) == {"start catch end": {}}


def test_boundary_event_of_several_types_may_happen_although_one_of_them_is_thrown() -> None:
    """A timer among its definitions makes it a choice."""
    process = process_of(
        "start > sub > end; border > x; begin > throw > a",
        border={"attached_to": "sub", "events": events(EventKind.ESCALATION, EventKind.TIMER)},
        throw={"scope": "sub", "events": events(EventKind.ESCALATION)},
        **inside("sub", "begin", "a"),
    )
    assert paths(plan(process, explicit(sub="border")))["mine"] == "start sub border x"
