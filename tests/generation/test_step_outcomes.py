"""Steps of activities that end in several ways: which of them a scenario has, and what is wrong with their outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from process_text import events, process_of
from pydantic import ValidationError
from scoped_processes import scoped_processes
from suites import messages, plan

from pytest_orchestra.generation.control_flow.lookup import inner_id
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind, Process
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Severity

CALL = {"endpointRef": "shop.charge"}
LOOK = {"endpointRef": "shop.look", "until": "response.ok"}


def charging(kind: NodeKind = NodeKind.SERVICE_TASK, event: EventKind = EventKind.ERROR, **border: Any) -> Process:
    """Give a process in which an event at the border of ``a`` leads to ``b``, and its normal end to ``c``."""
    return process_of(
        "start > a > c > end; border > b > end",
        a={"name": "Charge card", "kind": kind},
        border={"name": "Card declined", "attached_to": "a", "events": events(event), **border},
    )


def bound(*steps: Mapping[str, Any], **others: Any) -> Bindings:
    return Bindings.model_validate({"bindings": {"Charge card": list(steps), "b": [], "c": [], **others}})


def listed(suite: ScenarioSuite) -> dict[str, list[str]]:
    """Give the aliases of each scenario's steps, by what ended ``Charge card``."""
    assert not [problem for problem in suite.problems if problem.severity is Severity.ERROR]
    found = {}
    for scenario in suite.scenarios:
        taken = next(each.branches for each in scenario.decisions if each.element == "a")
        found[" ".join(taken)] = [step.alias for step in scenario.steps]
    return found


@pytest.mark.parametrize("event", ["Card declined", "card  declined", "border"])
def test_step_is_carried_out_where_its_outcome_comes(event: str) -> None:
    """An outcome is the normal end, or an event by name or id; a list has several, ``any`` has all."""
    suite = plan(
        charging(),
        bound(
            {"alias": "good", "outcome": "normal", **CALL},
            {"alias": "bad", "outcome": event, **CALL},
            {"alias": "both", "outcome": ["normal", event], **LOOK},
            {"alias": "every", "outcome": "any", **LOOK},
        ),
    )
    assert listed(suite) == {"normal": ["good", "both", "every"], "border": ["bad", "both", "every"]}
    assert messages(suite, Severity.WARNING) == []


def test_interrupted_call_is_made_and_its_effect_is_not_awaited() -> None:
    """Whatever comes of a call, it is made; what comes of it in the normal case does not come."""
    suite = plan(charging(event=EventKind.TIMER), bound({"alias": "call", **CALL}, {"alias": "effect", **LOOK}))
    assert listed(suite) == {"normal": ["call", "effect"], "border": ["call"]}
    assert messages(suite, Severity.WARNING) == []


@pytest.mark.parametrize("kind", [NodeKind.USER_TASK, NodeKind.MANUAL_TASK, NodeKind.RECEIVE_TASK])
def test_what_a_person_or_a_message_brings_about_stays_out_where_the_event_comes_instead(kind: NodeKind) -> None:
    """Nobody has approved where the time for it is over."""
    suite = plan(charging(kind, EventKind.TIMER), bound({"alias": "act", **CALL}, {"alias": "effect", **LOOK}))
    assert listed(suite) == {"normal": ["act", "effect"], "border": []}


def test_event_that_does_not_interrupt_comes_besides_the_normal_end() -> None:
    """The activity goes on, so all its steps are carried out, and those of the event."""
    suite = plan(
        charging(event=EventKind.TIMER, is_interrupting=False),
        bound({"alias": "act", **CALL}, {"alias": "late", "outcome": "border", **LOOK}, {"alias": "effect", **LOOK}),
    )
    assert listed(suite)["border"] == ["act", "late", "effect"]
    assert all(steps == ["act", "effect"] for ends, steps in listed(suite).items() if ends == "normal")


def test_steps_of_a_sub_process_are_carried_out_as_it_begins_however_it_ends() -> None:
    """They come before what is inside, of which nobody knows yet how it ends; an outcome says otherwise."""
    process = process_of(
        "start > sub > c > end; border > b > end",
        sub={"name": "Charge card"},
        inner={"scope": "sub"},
        border={"attached_to": "sub", "events": events(EventKind.TIMER)},
    )
    bindings = bound({"alias": "seen", **LOOK}, {"alias": "good", "outcome": "normal", **LOOK}, inner=[])
    suite = plan(process, bindings)
    steps = {scenario.nodes[-2]: [step.alias for step in scenario.steps] for scenario in suite.scenarios}
    assert steps == {"b": ["seen"], "c": ["seen", "good"]}


def test_each_visit_of_a_loop_has_the_steps_of_its_own_end() -> None:
    """What ended the first visit says nothing of the second."""
    process = process_of(
        "start > a > end; border > a", a={}, border={"attached_to": "a", "events": events(EventKind.ERROR)}
    )
    steps = [{"alias": "good", "outcome": "normal", **CALL}, {"alias": "bad", "outcome": "border", **CALL}]
    suite = plan(process, Bindings.model_validate({"bindings": {"a": steps}}))
    assert [[step.alias for step in scenario.steps] for scenario in suite.scenarios] == [["bad", "good"]]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(scoped_processes())
def test_steps_tell_of_every_visit_how_it_ended(process: Process) -> None:
    """Round loops, in several instances and on concurrent branches, a step is there as often as its outcome was."""
    borders: dict[str, list[FlowNode]] = {}
    for node in process.nodes:
        if node.kind is NodeKind.BOUNDARY_EVENT and node.events[0].kind is not EventKind.COMPENSATE:
            borders.setdefault(str(node.attached_to), []).append(node)
    steps = {
        host: [{"alias": f"{host}_{end}", "outcome": end, **LOOK} for end in ("normal", *(each.id for each in events_))]
        for host, events_ in borders.items()
    }
    suite = plan(process, Bindings.model_validate({"bindings": steps}), criteria=(Criterion.EDGE,))
    interrupting = {each.id for events_ in borders.values() for each in events_ if each.is_interrupting}
    for scenario in suite.scenarios:
        made = Counter(str(step.definition.alias) for step in scenario.steps if not step.alias.startswith("barrier"))
        visits = Counter(scenario.nodes)
        for host, events_ in borders.items():
            came = {each.id: visits[each.id] for each in events_}
            assert {end: made[f"{host}_{end}"] for end in came} == came
            normal = visits[host] - sum(count for end, count in came.items() if end in interrupting)
            assert made[f"{host}_normal"] == normal


def test_step_that_is_left_out_touches_nothing_that_others_share() -> None:
    """Where a visit leaves its steps out there is nothing to race with."""
    process = process_of(
        "start > and1; and1 > a > xor > and2; and1 > d > and2; and2 > end; border > b > xor",
        a={"kind": NodeKind.USER_TASK},
        border={"attached_to": "a", "events": events(EventKind.TIMER)},
    )
    bindings = Bindings.model_validate(
        {"bindings": {"a": {"alias": "a", **CALL}, "d": {"alias": "d", **CALL}, "b": []}, "races": "at-once"}
    )
    suite = plan(process, bindings, criteria=None)
    races = {
        scenario.key: {goal.element for goal in scenario.serves if goal.criterion is Criterion.RACE}
        for scenario in suite.scenarios
    }
    for scenario in suite.scenarios:
        assert bool(races[scenario.key]) is ("border" not in scenario.nodes)
    assert set().union(*races.values()) == {"a->d", "d->a", "a||d"}


def test_action_that_meets_others_is_found_behind_steps_that_are_left_out() -> None:
    """What is sent at once is the action itself, wherever it stands among the steps of its element."""
    process = process_of(
        "start > and1; and1 > a > xor > and2; and1 > d > and2; and2 > end; border > b > xor",
        border={"attached_to": "a", "events": events(EventKind.TIMER)},
    )
    steps = [
        {"alias": "late", "outcome": "border", "endpointRef": "shop.late"},
        {"alias": "before", "endpointRef": "shop.before"},
        {"alias": "take", **CALL},
    ]
    bindings = Bindings.model_validate(
        {"bindings": {"a": steps, "d": {"alias": "d", **CALL}, "b": []}, "races": "at-once"}
    )
    suite = plan(process, bindings, criteria=None)
    together = [each for each in suite.scenarios if "at-once" in each.key and "border" not in each.nodes]
    assert [[step.alias for step in each.steps] for each in together] == [["before", "take", "d", "at_once", "barrier"]]


def test_call_that_an_error_ends_without_a_word_on_its_reply_is_a_warning() -> None:
    """The reply is the error then; only the user knows how it looks."""
    call = {"alias": "call", **CALL}
    told = "task 'Charge card' expects the reply of its normal end also where 'Card declined' ends it"
    suite = plan(charging(), bound(call))
    assert messages(suite, Severity.WARNING) == [told]
    [problem] = [problem for problem in suite.problems if problem.severity is Severity.WARNING]
    assert problem.hint == (
        "bind a step with 'outcome: normal' and one with 'outcome: Card declined', or say 'outcome: any'"
    )
    spoken = plan(charging(), bound({**call, "outcome": "any"}))
    assert messages(spoken, Severity.WARNING) == []


@pytest.mark.parametrize(
    ("element", "outcome", "message", "hint"),
    [
        ("Charge card", "Card declind", "task 'Charge card' has no boundary event 'Card declind'", "Card declined"),
        (
            "c",
            "Card declined",
            "task 'c' has no boundary event 'Card declined', which is at the border of 'Charge card'",
            "its outcomes are 'normal' and 'any'",
        ),
        (
            "end",
            "normal",
            "end event 'end' has no outcomes: only activities end in several ways",
            "leave 'outcome' out",
        ),
    ],
)
def test_outcome_that_there_is_not_is_an_error(element: str, outcome: str, message: str, hint: str) -> None:
    """An unknown event, one of another activity, and an element that ends in one way only."""
    step = {"alias": "x", "outcome": outcome, **CALL}
    suite = plan(charging(), Bindings.model_validate({"bindings": {"a": [], "b": [], "c": [], element: [step]}}))
    [problem] = [problem for problem in suite.problems if problem.severity is Severity.ERROR]
    assert problem.message == message
    assert hint in (problem.hint or "")
    assert problem.element == element


@pytest.mark.parametrize(
    ("step", "fact"),
    [
        ({"outcome": [], **CALL}, "'outcome' names no end of an activity"),
        ({**CALL, "finally": {"outcome": "any", **CALL}}, "a clean-up step has no 'outcome'"),
    ],
)
def test_outcome_where_none_can_be_is_refused(step: dict[str, Any], fact: str) -> None:
    """A list of nothing, and a step that runs in the end, however that is."""
    with pytest.raises(ValidationError, match=fact):
        Bindings.model_validate({"bindings": {"a": [step]}})


def test_event_of_a_called_process_is_known_by_its_own_id() -> None:
    """As with all else that a call took in."""
    inner = Process(
        "inner",
        "Inner",
        hash="1" * 64,
        nodes=charging().nodes,
        flows=charging().flows,
    )
    outer = process_of("start > call > end", call={"called_element": "inner"})
    bindings = Bindings.model_validate(
        {
            "calls": {"call": "inline"},
            "bindings": {
                "Charge card": [
                    {"alias": "good", "outcome": "normal", **CALL},
                    {"alias": "bad", "outcome": "border", **CALL},
                ],
                "b": [],
                "c": [],
            },
        }
    )
    suite = build_suite(outer, bindings, (), called=(inner,))
    steps = {
        "border" if any(inner_id(node) == "border" for node in scenario.nodes) else "normal": [
            step.alias for step in scenario.steps
        ]
        for scenario in suite.scenarios
    }
    assert steps == {"normal": ["good"], "border": ["bad"]}
