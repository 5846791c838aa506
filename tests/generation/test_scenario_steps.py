"""From bindings to steps: order, aliases, barriers, and activities that nobody bound."""

from __future__ import annotations

from typing import Any

import pytest
from process_text import process_of
from suites import messages, plan

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings, StepKind
from pytest_orchestra.model.process import NodeKind, Process
from pytest_orchestra.model.scenario import ScenarioStep, ScenarioSuite
from pytest_orchestra.problem import Place, Severity


def call(alias: str | None = None, **more: Any) -> dict[str, Any]:
    return {"alias": alias, "endpointRef": "orders.place", **more}


def bound(**elements: Any) -> Bindings:
    return Bindings.model_validate({"bindings": elements})


def steps(suite: ScenarioSuite, number: int = 0) -> tuple[ScenarioStep, ...]:
    return suite.scenarios[number].steps


def aliases(suite: ScenarioSuite, number: int = 0) -> list[str]:
    return [step.alias for step in steps(suite, number)]


def linear() -> Process:
    return process_of("start > a > b > end", a={"name": "Place order"}, b={"name": "Ship"})


def parallel() -> Process:
    return process_of("start > z > and1; and1 > a > and2; and1 > b > and2; and2 > c > end", and2={"name": "Both done"})


def test_steps_follow_the_nodes_in_order() -> None:
    """Each executed node brings its steps, gateways and events too; names and aliases come from the element."""
    suite = plan(
        linear(), bound(**{"Place  order": [call(), call("check", name="Looks good")], "b": call(), "end": call()})
    )
    assert [(s.order_index, s.alias, s.name, s.element_id) for s in steps(suite)] == [
        (0, "place_order", "Place order", "a"),
        (1, "check", "Looks good", "a"),
        (2, "ship", "Ship", "b"),
        (3, "end", "end", "end"),
    ]


def test_element_bound_by_id_and_name_has_the_steps_of_its_id() -> None:
    """The id is the more exact of the two."""
    assert aliases(plan(linear(), bound(**{"Place order": call("by_name"), "a": call("by_id"), "b": []}))) == ["by_id"]


def test_name_binds_every_element_of_that_name() -> None:
    """Two tasks of one name do the same."""
    process = process_of("start > a > b > end", a={"name": "Check"}, b={"name": "Check"})
    assert aliases(plan(process, bound(Check=call()))) == ["check", "check_2"]


@pytest.mark.parametrize(
    ("name", "alias"),
    [("Place order!", "place_order"), ("Prüfe Größe", "prufe_grosse"), ("заказ", "a"), ("3 checks", "_3_checks")],
)
def test_default_alias_is_made_from_the_name(name: str, alias: str) -> None:
    """Aliases are ASCII identifiers; where a name has nothing of that, the id serves."""
    process = process_of("start > a > end", a={"name": name})
    assert aliases(plan(process, bound(a=call()))) == [alias]


def test_alias_is_unique_in_a_loop_and_references_mean_the_latest_visit() -> None:
    """The second time round, ``check`` is ``check_2``, also where other steps name it."""
    process = process_of("start > a > xor; xor -again> a; xor -done> end")
    suite = plan(process, bound(a=[call("act"), call("check", until="response.ok", causedBy="act")]))
    assert aliases(suite) == ["act", "check", "act_2", "check_2"]
    assert [step.definition.caused_by for step in steps(suite)] == [None, "act", None, "act_2"]


def test_alias_that_a_user_gave_is_not_taken_by_another() -> None:
    """Made-up aliases go out of the way of written ones."""
    process = process_of("start > a > b > c > end", a={"name": "Check"}, b={"name": "Check"})
    suite = plan(process, bound(a=call(), b=call(), c=call("check_2")))
    assert aliases(suite) == ["check", "check_3", "check_2"]


def test_barrier_stands_at_a_join_to_which_two_branches_bring_steps() -> None:
    """It tracks the steps of the branches, not those before the split."""
    suite = plan(parallel(), bound(z=call("z"), a=call("a"), b=[call("b"), call("b2")], c=call("c")))
    assert aliases(suite) == ["z", "a", "b", "b2", "barrier_both_done", "c"]
    barrier = steps(suite)[4]
    assert (barrier.kind, barrier.element_id, barrier.name) == (StepKind.BARRIER, "and2", "all branches at 'Both done'")
    assert barrier.definition.tracked_steps == ["a", "b", "b2"]


def test_barrier_tracks_what_was_sent_off_without_waiting() -> None:
    """Where some steps are fired and forgotten, the barrier is for them."""
    suite = plan(parallel(), bound(z=[], a=call("a", mode="FIRE_AND_FORGET"), b=call("b"), c=[]))
    assert steps(suite)[2].definition.tracked_steps == ["a"]


def test_barrier_that_a_join_is_bound_to_stands_there_alone() -> None:
    """What it tracks, how long, and how it reacts is the user's to say; one put before it would decide all that."""
    own = {"kind": "BARRIER", "alias": "wait", "trackedSteps": ["a"], "timeoutMs": 200, "onFailure": "continue"}
    branches = {"a": call("a", mode="FIRE_AND_FORGET"), "b": call("b", mode="FIRE_AND_FORGET")}
    suite = plan(parallel(), bound(z=[], c=[], and2=[call("before"), own], **branches))
    assert aliases(suite) == ["a", "b", "before", "wait"]
    assert steps(suite)[3].definition.tracked_steps == ["a"]


def test_no_barrier_where_one_branch_has_steps() -> None:
    """With nothing concurrent there is nothing to wait for."""
    assert aliases(plan(parallel(), bound(z=[], a=call("a"), b=[], c=call("c")))) == ["a", "c"]


def test_barrier_of_a_nested_join_tracks_its_own_branches() -> None:
    """The outer barrier has the steps of both its branches, the inner one's among them."""
    process = process_of(
        "start > and1; and1 > and2; and2 > a > and3; and2 > b > and3; and3 > and4; and1 > c > and4; and4 > end"
    )
    suite = plan(process, bound(a=call("a"), b=call("b"), c=call("c")))
    assert aliases(suite) == ["a", "b", "barrier", "c", "barrier_2"]
    assert steps(suite)[2].definition.tracked_steps == ["a", "b"]
    assert steps(suite)[4].definition.tracked_steps == ["a", "b", "barrier", "c"]


def test_barrier_stands_at_an_inclusive_join_too_and_before_its_own_steps() -> None:
    """Steps that are bound to the gateway come after the barrier."""
    process = process_of("start > or1; or1 > a > or2; or1 > b > or2; or2 > end")
    assert aliases(plan(process, bound(a=call("a"), b=call("b"), or2=call("after")))) == ["a", "b", "barrier", "after"]


def test_concurrent_ends_inside_one_branch_are_no_branches_of_the_join() -> None:
    """A sub-process with two ends is one branch."""
    process = process_of(
        "start > and1; and1 > sub > and2; and1 > c > and2; and2 > end; x > a; x > b",
        x={"scope": "sub"},
        a={"scope": "sub"},
        b={"scope": "sub"},
    )
    assert aliases(plan(process, bound(a=call("a"), b=call("b"), c=[], x=[]))) == ["a", "b"]


def test_unbound_activity_is_an_error_of_each_scenario_that_comes_by() -> None:
    """Once anything is bound, a task without a binding is an error with its place."""
    process = process_of(
        "start > xor; xor -long> a > b > end; xor -short> end",
        a={"name": "Ship goods", "place": Place("order.bpmn", 9), "kind": NodeKind.SERVICE_TASK},
        b={"kind": NodeKind.CALL_ACTIVITY},
    )
    suite = plan(process, bound(start=call()))
    hint = "hint: bind steps to '{}', or an empty list if nothing is to be done there"
    assert {scenario.key: [str(problem) for problem in scenario.problems] for scenario in suite.scenarios} == {
        "long": [
            f"order.bpmn:9: task 'Ship goods' is bound to no step\n{hint.format('Ship goods')}",
            f"order: call activity 'b' is bound to no step\n{hint.format('b')}",
        ],
        "short": [],
    }
    assert {problem.severity for scenario in suite.scenarios for problem in scenario.problems} == {Severity.ERROR}


def test_empty_list_says_that_nothing_is_to_be_done() -> None:
    """A task bound to no step on purpose is fine."""
    suite = plan(linear(), bound(a=[], b=[]))
    assert (steps(suite), suite.scenarios[0].problems) == ((), ())


def test_without_any_binding_unbound_tasks_are_mentioned_only() -> None:
    """The plan of a bare model is no list of errors, unless the caller is strict."""
    for bindings in (None, Bindings()):
        suite = plan(linear(), bindings)
        assert {problem.severity for problem in suite.scenarios[0].problems} == {Severity.INFO}
    strict = build_suite(linear(), None, [], strict=True)
    assert {problem.severity for problem in strict.scenarios[0].problems} == {Severity.ERROR}


def test_sub_processes_and_gateways_may_be_bound_and_need_not_be() -> None:
    """Only tasks and call activities must be."""
    process = process_of("start > sub > xor > end; b", sub={"name": "Prepare"}, b={"scope": "sub"})
    assert plan(process, bound(b=call("b"))).scenarios[0].problems == ()
    assert aliases(plan(process, bound(b=call("b"), Prepare=call(), xor=call()))) == ["prepare", "b", "xor"]


def test_unknown_element_is_an_error_with_the_nearest_name() -> None:
    """A renamed task turns its binding into an error."""
    bindings = Bindings.model_validate({"bindings": {"Plce order": call(), "a": [], "b": []}})
    bindings = bindings.model_copy(update={"place": Place("order.orchestra.yaml")})
    suite = plan(linear(), bindings)
    [problem] = suite.problems
    assert str(problem) == (
        "order.orchestra.yaml: the process has no element 'Plce order' to bind steps to\n"
        "hint: did you mean 'Place order'?"
    )


def test_unknown_element_of_bindings_is_told_where_it_is_written() -> None:
    """The line of the element's key is nearer than the file."""
    places = {("bindings", "zzz"): Place("order.orchestra.yaml", 4, 3)}
    suite = plan(linear(), Bindings(bindings={"zzz": [], "a": [], "b": []}, places=places))
    assert str(suite.problems[0]).startswith("order.orchestra.yaml:4:3: the process has no element 'zzz'")
    assert messages(suite, Severity.ERROR) == ["the process has no element 'zzz' to bind steps to"]
