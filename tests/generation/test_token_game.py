"""How each construct of BPMN is played: exact scenarios of small processes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from process_text import events, process_of
from suites import ALL, messages, missing, paths, plan

from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import EventKind, NodeKind, SequenceFlow
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Severity


def decisions(suite: ScenarioSuite) -> dict[str, dict[str, tuple[str, ...]]]:
    return {
        scenario.key: {taken.element: taken.branches for taken in scenario.decisions} for scenario in suite.scenarios
    }


def test_linear_process_is_one_scenario_called_main() -> None:
    """A process without decisions has one scenario."""
    suite = plan(process_of("start > pack > ship > end"), criteria=ALL)
    assert paths(suite) == {"main": "start pack ship end"}
    assert suite.scenarios[0].flows == ("start>pack", "pack>ship", "ship>end")
    assert [(c.criterion, c.covered, c.total) for c in suite.coverage] == [
        (Criterion.NODE, 4, 4),
        (Criterion.EDGE, 3, 3),
        (Criterion.DECISION, 0, 0),
    ]


def test_exclusive_gateway_takes_one_branch() -> None:
    """Each branch has its scenario, and the merge passes the token on."""
    suite = plan(process_of("start > xor; xor -large> a > xorm > end; xor -small> b > xorm"))
    assert paths(suite) == {"large": "start xor a xorm end", "small": "start xor b xorm end"}


def test_parallel_gateway_takes_all_branches_one_after_another_and_waits_for_them() -> None:
    """Branches run in document order; what follows the join runs once, after all of them."""
    suite = plan(process_of("start > and1; and1 > a > b > and2 > c > end; and1 > d > and2; and1 > e > and2"))
    assert paths(suite) == {"main": "start and1 a b d e and2 c end"}


def test_nested_parallel_blocks_run_branch_by_branch() -> None:
    """The inner block is joined before the outer block's second branch begins."""
    suite = plan(
        process_of(
            "start > and1; and1 > and2; and2 > a > and3; and2 > b > and3; and3 > c > and4; and1 > d > and4; and4 > end"
        )
    )
    assert paths(suite) == {"main": "start and1 and2 a b and3 c d and4 end"}


def test_inclusive_gateway_takes_each_branch_alone_and_all_together() -> None:
    """All together covers every flow; forced ones are taken alone, or in the set that is asked for."""
    text = "start > or1; or1 -x> a > or2; or1 -y> b > or2; or1 -z> c > or2; or2 > end"
    assert paths(plan(process_of(text))) == {"main": "start or1 a b c or2 end"}
    bindings = Bindings.model_validate(
        {
            "scenarios": [
                {"key": "one", "decisions": {"or1": "y"}},
                {"key": "two", "decisions": {"or1": "x, z"}},
                {"key": "three", "decisions": {"or1": "all"}},
            ]
        }
    )
    assert paths(plan(process_of(text), bindings)) == {
        "one": "start or1 b or2 end",
        "two": "start or1 a c or2 end",
        "three": "start or1 a b c or2 end",
    }


def test_inclusive_default_branch_comes_alone() -> None:
    """The default branch is taken when no other is, so it needs a scenario of its own."""
    process = process_of(
        "start > or1; or1 -x> a > or2; or1 -y> b > or2; or1 -none> c > or2; or2 > end", or1={"default_flow": "or1>c"}
    )
    assert paths(plan(process)) == {"x-and-y": "start or1 a b or2 end", "none": "start or1 c or2 end"}


def test_inclusive_join_waits_only_for_what_can_still_come() -> None:
    """The inner join goes on before the other branch of the parallel gateway, which cannot reach it, has run."""
    process = process_of(
        "start > and1; and1 > or1; or1 > a > or2; or1 > b > or2; or2 > c > and2; and1 > d > and2; and2 > end"
    )
    assert paths(plan(process)) == {"main": "start and1 or1 a b or2 c d and2 end"}


def test_inclusive_join_waits_for_a_parallel_branch_upstream() -> None:
    """An inclusive gateway joins parallel branches too, whichever comes first."""
    process = process_of("start > and1; and1 > a > or1; and1 > b > c > or1; or1 > end")
    assert paths(plan(process)) == {"main": "start and1 a b c or1 end"}


def test_inclusive_joins_that_wait_for_each_other_go_on() -> None:
    """Two inclusive joins on one cycle do not block each other for ever."""
    process = process_of("start > and1; and1 > or1 > a > or2 > b > xor; and1 > or2; xor -again> or1; xor -done> end")
    suite = plan(process)
    assert missing(suite) == {}
    assert messages(suite, Severity.ERROR) == []


def test_event_based_gateway_takes_one_event() -> None:
    """Each event behind it has its scenario."""
    process = process_of(
        "start > event; event > catch1 > a > end; event > catch2 > b > end",
        catch1={"name": "Paid"},
        catch2={"events": events(EventKind.TIMER)},
    )
    assert paths(plan(process)) == {"paid": "start event catch1 a end", "timer": "start event catch2 b end"}


def test_complex_gateway_is_played_as_inclusive_with_a_warning() -> None:
    """What is not understood in full says so."""
    suite = plan(process_of("start > complex1; complex1 > a > complex2; complex1 > b > complex2; complex2 > end"))
    assert paths(suite) == {"main": "start complex1 a b complex2 end"}
    assert messages(suite, Severity.WARNING) == [
        "complex gateway 'complex1' is played as an inclusive gateway",
        "complex gateway 'complex2' is played as an inclusive gateway",
    ]


def test_several_flows_out_of_a_task_are_all_taken() -> None:
    """An implicit split starts all branches, and the end of each takes its token away."""
    suite = plan(process_of("start > a; a > b > end1; a > c > end2"))
    assert paths(suite) == {"main": "start a b end1 c end2"}


def test_implicit_merge_passes_every_token_on_with_a_warning() -> None:
    """What follows a merge of concurrent branches runs once a token, which is hardly ever meant."""
    suite = plan(process_of("start > and1; and1 > a > m; and1 > b > m; m > end"))
    assert paths(suite) == {"main": "start and1 a m end b m end"}
    assert messages(suite) == [
        "task 'm' is passed by concurrent tokens one by one: they come from parallel gateway 'and1'"
    ]


def test_conditional_flows_of_a_task_are_taken_besides_its_unconditional_ones() -> None:
    """An activity decides like an inclusive gateway; flows without a condition are always taken."""
    suite = plan(process_of("start > a; a > b > end1; a -[x > 1]> c > end2"), criteria=ALL)
    assert paths(suite) == {"main": "start a b end1 c end2"}
    assert suite.scenarios[0].conditions == ("x > 1",)


def test_default_flow_of_a_task_is_taken_when_no_condition_holds() -> None:
    """The default flow and the conditional ones exclude each other."""
    process = process_of("start > a; a -big [x > 1]> b > end; a -small> c > end", a={"default_flow": "a>c"})
    suite = plan(process)
    assert paths(suite) == {"small": "start a c end", "big": "start a b end"}
    assert {scenario.key: scenario.conditions for scenario in suite.scenarios} == {
        "big": ("x > 1",),
        "small": ("not (x > 1)",),
    }


def test_interrupting_boundary_event_happens_instead_of_the_normal_end() -> None:
    """The activity begins, then the event leads away."""
    process = process_of(
        "start > pay > ship > end; border > refuse > end", border={"attached_to": "pay", "name": "Card declined"}
    )
    suite = plan(process, criteria=ALL)
    assert paths(suite) == {"card-declined": "start pay border refuse end", "main": "start pay ship end"}
    assert decisions(suite) == {"card-declined": {"pay": ("border",)}, "main": {"pay": ("normal",)}}


def test_non_interrupting_boundary_event_happens_in_addition() -> None:
    """The activity ends normally after the event's branch."""
    process = process_of(
        "start > pay > ship > end; border > remind > end",
        border={"attached_to": "pay", "name": "Late", "is_interrupting": False},
    )
    suite = plan(process, criteria=ALL)
    assert paths(suite) == {"late": "start pay border remind end ship end", "main": "start pay ship end"}
    assert decisions(suite) == {"late": {"pay": ("border",)}, "main": {"pay": ("normal",)}}


def test_sub_process_is_entered_and_left() -> None:
    """Its inside runs between the sub-process and what follows it."""
    process = process_of("start > sub > a > end; begin > b > done", **inside("sub", "begin", "b", "done"))
    assert paths(plan(process)) == {"main": "start sub begin b done a end"}


def test_sub_process_ends_when_all_its_tokens_have_ended() -> None:
    """Concurrent branches inside end apart, and the sub-process goes on once."""
    process = process_of(
        "start > sub > a > end; begin > and1; and1 > b > done; and1 > c > done",
        **inside("sub", "begin", "and1", "b", "c", "done"),
    )
    assert paths(plan(process)) == {"main": "start sub begin and1 b done c done a end"}


def test_sub_process_without_start_event_starts_all_that_nothing_leads_to() -> None:
    """Nodes without incoming flows begin at once, in document order."""
    process = process_of("start > sub > end; b > c; d", d={"scope": "sub"}, **inside("sub", "b", "c"))
    assert paths(plan(process)) == {"main": "start sub b c d end"}


def test_sub_process_that_runs_twice_is_played_twice() -> None:
    """Each execution has tokens of its own."""
    process = process_of("start > sub > xor; xor -again> sub; xor -done> end; b > c", **inside("sub", "b", "c"))
    assert paths(plan(process)) == {"main": "start sub b c xor sub b c xor end"}


def test_error_end_inside_a_sub_process_reaches_the_boundary_event_that_catches_it() -> None:
    """Nobody chooses the boundary event: the way inside leads there."""
    suite = plan(error_process(), criteria=ALL)
    assert paths(suite) == {
        "refused": "start sub begin b xor failed border help end",
        "main": "start sub begin b xor fine ship end",
    }
    assert decisions(suite) == {
        "refused": {"sub": ("border",), "xor": ("xor>failed",)},
        "main": {"sub": ("normal",), "xor": ("xor>fine",)},
    }


def test_explicit_scenario_forces_a_boundary_event_that_is_thrown_inside() -> None:
    """The demanded event is reached by the decisions inside the sub-process."""
    bindings = Bindings.model_validate({"scenarios": [{"key": "bad", "decisions": {"sub": "Refused"}}]})
    assert paths(plan(error_process(), bindings))["bad"] == "start sub begin b xor failed border help end"


def test_error_waits_for_what_else_the_sub_process_does() -> None:
    """The error takes effect last, so that the other branch is played as well, and then ends it all."""
    process = process_of(
        "start > sub > end1; begin > and1; and1 > a > failed; and1 > b > c; border > help > end2",
        failed={"scope": "sub", "kind": NodeKind.END_EVENT, "events": events(EventKind.ERROR)},
        border={"attached_to": "sub", "events": events(EventKind.ERROR)},
        **inside("sub", "begin", "and1", "a", "b", "c"),
    )
    suite = plan(process)
    assert [" ".join(scenario.nodes) for scenario in suite.scenarios] == [
        "start sub begin and1 a b c failed border help end2"
    ]
    assert missing(suite) == {"sub>end1": "every run found takes 'error' at 'sub' instead"}


def test_error_is_caught_by_the_nearest_boundary_event_of_its_code() -> None:
    """A boundary event of another error is passed over, one without an error catches any."""
    process = process_of(
        "start > sub1 > end1; begin > sub2 > done; in > failed; border1 > end2; border2 > end3",
        failed={"scope": "sub2", "kind": NodeKind.END_EVENT, "events": events(EventKind.ERROR, ref="E1")},
        border1={"scope": "sub1", "attached_to": "sub2", "events": events(EventKind.ERROR, ref="E2")},
        border2={"attached_to": "sub1", "events": events(EventKind.ERROR)},
        end2={"scope": "sub1"},
        sub2={"scope": "sub1"},
        **inside("sub1", "begin", "done"),
        **inside("sub2", "in"),
    )
    nodes = [" ".join(scenario.nodes) for scenario in plan(process).scenarios]
    assert "start sub1 begin sub2 in failed border2 end3" in nodes


def test_escalation_that_does_not_interrupt_goes_on_on_both_ways() -> None:
    """The thrown escalation starts the boundary event's branch, and the sub-process goes on."""
    process = process_of(
        "start > sub > end1; begin > throw > a; border > b > end2",
        throw={"scope": "sub", "events": events(EventKind.ESCALATION, ref="X")},
        border={"attached_to": "sub", "is_interrupting": False, "events": events(EventKind.ESCALATION, ref="X")},
        **inside("sub", "begin", "a"),
    )
    assert [" ".join(s.nodes) for s in plan(process).scenarios] == ["start sub begin throw a end1 border b end2"]


def test_terminating_end_ends_its_sub_process_only() -> None:
    """What else the sub-process does is done first; the process goes on behind it."""
    process = process_of(
        "start > sub > after > end; begin > and1; and1 > a > stop; and1 > b > c",
        stop={"scope": "sub", "kind": NodeKind.END_EVENT, "events": events(EventKind.TERMINATE)},
        **inside("sub", "begin", "and1", "a", "b", "c"),
    )
    assert paths(plan(process)) == {"main": "start sub begin and1 a b c stop after end"}


def test_each_of_several_terminating_ends_comes_first_once() -> None:
    """Which of the branches ends the process is nobody's choice: each has a scenario in which it does."""
    ends = {f"end{number}": {"events": events(EventKind.TERMINATE)} for number in (1, 2, 3)}
    process = process_of("start > and1; and1 > a > end1; and1 > b > end2; and1 > c > end3", **ends)
    suite = plan(process, criteria=[Criterion.NODE, Criterion.EDGE])
    assert missing(suite) == {}
    assert sorted(scenario.nodes[-1] for scenario in suite.scenarios) == ["end1", "end2", "end3"]
    assert all({"a", "b", "c"} <= set(scenario.nodes) for scenario in suite.scenarios)


def test_each_of_several_errors_of_a_sub_process_is_caught_once() -> None:
    """Only one of them can end the sub-process, so that the ways behind the others need runs of their own."""
    inner = {
        name: {"scope": "sub", "kind": NodeKind.END_EVENT, "events": events(EventKind.ERROR, ref=name)}
        for name in ("bad", "worse")
    }
    borders = {f"border_{name}": {"attached_to": "sub", "events": events(EventKind.ERROR, ref=name)} for name in inner}
    process = process_of(
        "start > sub > end1; begin > and1; and1 > bad; and1 > worse; border_bad > end2; border_worse > end3",
        **inner,
        **borders,
        **inside("sub", "begin", "and1"),
    )
    suite = plan(process, criteria=[Criterion.EDGE])
    assert missing(suite) == {"sub>end1": "cannot be reached from a start"}
    assert [scenario.nodes[-1] for scenario in suite.scenarios] == ["end2", "end3"]


def test_terminating_end_takes_tokens_that_wait_at_joins_with_it() -> None:
    """A branch that waits for ever is no deadlock if the process is terminated."""
    process = process_of(
        "start > and1; and1 > a > and2; and1 > xor; xor -go> and2; xor -stop> endt; and2 > end",
        endt={"events": events(EventKind.TERMINATE)},
    )
    suite = plan(process)
    assert missing(suite) == {}
    assert messages(suite) == []


def test_link_leads_from_the_throwing_to_the_catching_event() -> None:
    """Link events of one name are one way."""
    process = process_of(
        "start > a > throw; catch > b > end",
        throw={"events": events(EventKind.LINK, ref="over")},
        catch={"events": events(EventKind.LINK, ref="over")},
    )
    assert paths(plan(process)) == {"main": "start a throw catch b end"}


def test_link_without_catching_event_ends_the_path_with_a_warning() -> None:
    """A link to nowhere is told."""
    suite = plan(process_of("start > throw", throw={"events": events(EventKind.LINK, ref="over")}))
    assert paths(suite) == {"main": "start throw"}
    assert messages(suite, Severity.WARNING) == ["link 'over' of 'throw' leads to no catching event"]


def test_several_start_events_are_a_decision() -> None:
    """Each start event has its scenario; users choose among them as 'start'."""
    process = process_of("start1 > a > end; start2 > b > end", start1={"name": "By mail"}, start2={"name": "By phone"})
    suite = plan(process, criteria=ALL)
    assert paths(suite) == {"by-mail": "start1 a end", "by-phone": "start2 b end"}
    assert decisions(suite) == {"by-mail": {"start": ("start1",)}, "by-phone": {"start": ("start2",)}}
    bindings = Bindings.model_validate({"scenarios": [{"key": "phone", "decisions": {"start": "By phone"}}]})
    assert paths(plan(process, bindings))["phone"] == "start2 b end"


def test_instantiating_events_are_starts_as_well() -> None:
    """A receive task that creates the process is an alternative to its start event."""
    process = process_of(
        "start > a > end; receive > b > end", receive={"kind": NodeKind.RECEIVE_TASK, "instantiate": True}
    )
    assert paths(plan(process)) == {"start": "start a end", "receive": "receive b end"}


def test_ad_hoc_sub_process_is_played_in_document_order_with_a_warning() -> None:
    """Its activities run once each, as they stand in the file."""
    process = process_of(
        "start > sub > end; a; b", sub={"kind": NodeKind.AD_HOC_SUB_PROCESS}, **inside("sub", "a", "b")
    )
    suite = plan(process)
    assert paths(suite) == {"main": "start sub a b end"}
    assert messages(suite) == ["ad-hoc sub-process 'sub' is played once through, in document order"]


def test_deadlock_on_every_run_is_an_error_and_no_scenario() -> None:
    """An exclusive split closed by a parallel join gets stuck whatever is decided."""
    suite = plan(process_of("start > xor; xor > a > and; xor > b > and; and > end"))
    assert suite.scenarios == ()
    assert set(missing(suite).values()) == {"every run found through it gets stuck at parallel gateway 'and'"}
    assert messages(suite, Severity.ERROR) == [
        "parallel gateway 'and' waits for ever: nothing comes from 'b' after 'a' at 'xor'"
    ]


def test_deadlock_on_some_runs_is_a_warning_and_its_goals_have_the_reason() -> None:
    """Goals that only stuck runs would serve are missing; the others are covered."""
    suite = plan(process_of("start > xor; xor -fine> c > end; xor -stuck> a > and; b > and; and > end"))
    assert paths(suite) == {"main": "start xor c end"}
    assert missing(suite) == {
        "xor>a": "every run found through it gets stuck at parallel gateway 'and'",
        "a>and": "every run found through it gets stuck at parallel gateway 'and'",
        "b>and": "cannot be reached from a start",
        "and>end": "every run found through it gets stuck at parallel gateway 'and'",
    }
    assert messages(suite, Severity.WARNING) == [
        "task 'b' cannot be reached from a start",
        "parallel gateway 'and' waits for ever: nothing comes from 'b'",
    ]


def test_runs_that_would_get_stuck_are_avoided_where_another_choice_ends() -> None:
    """The second branch decides for the join because the first already waits there."""
    suite = plan(process_of("start > and1; and1 > xor; xor -out> end1; xor -in> and2; and1 > a > and2; and2 > end2"))
    assert [" ".join(scenario.nodes) for scenario in suite.scenarios] == ["start and1 xor a and2 end2"]
    assert missing(suite) == {"xor>end1": "every run found through it gets stuck at parallel gateway 'and2'"}


def test_process_without_start_is_an_error() -> None:
    """A cycle into which nothing leads cannot be played."""
    suite = plan(process_of("a > b > a"))
    assert suite.scenarios == ()
    assert messages(suite, Severity.ERROR) == ["process 'Order' has nothing to start with"]
    assert set(missing(suite).values()) == {"cannot be reached from a start"}


def test_process_without_end_is_an_error() -> None:
    """A cycle out of which nothing leads has no scenario."""
    suite = plan(process_of("start > a > b > a"))
    assert suite.scenarios == ()
    assert messages(suite, Severity.ERROR) == ["no end can be reached from task 'a'"]
    assert set(missing(suite).values()) == {"no run of the process comes to an end"}


def test_part_from_which_no_end_is_reached_is_a_warning() -> None:
    """What leads into an endless cycle is missing, the rest is covered."""
    suite = plan(process_of("start > xor; xor > end; xor > a > b > a"))
    assert paths(suite) == {"main": "start xor end"}
    assert messages(suite, Severity.WARNING) == ["no end can be reached from task 'a'"]
    assert missing(suite) == dict.fromkeys(("xor>a", "a>b", "b>a"), "no end can be reached from it")


def test_split_that_always_sends_a_token_back_is_an_error() -> None:
    """A parallel split with one branch back into the loop never runs out of tokens."""
    suite = plan(process_of("start > a > and; and > a; and > end"))
    assert suite.scenarios == ()
    assert messages(suite, Severity.ERROR) == [
        "parallel gateway 'and' sends a token back every time, so that no run through it ends"
    ]


def test_tokens_that_multiply_are_cut_with_a_problem() -> None:
    """Parallel splits merged without a join double the tokens each time; the limit stops that."""
    text = "start > and0;" + "".join(
        f"and{i} > a{i} > m{i}; and{i} > b{i} > m{i}; m{i} > {f'and{i + 1}' if i < 15 else 'end'};" for i in range(16)
    )
    suite = plan(process_of(text))
    assert suite.scenarios == ()
    assert any(message.startswith("tokens multiply until the limit") for message in messages(suite, Severity.ERROR))
    assert any(message.startswith("generation stopped at its limit of work") for message in messages(suite))
    assert len(missing(suite)) == suite.coverage[0].total


def test_flow_across_the_border_of_a_sub_process_is_left_out_with_a_warning() -> None:
    """Such a flow is no BPMN; it is named, and the rest is played."""
    suite = plan(process_of("start > sub > end; b > c > end", **inside("sub", "b", "c")))
    assert paths(suite) == {"main": "start sub b c end"}
    assert messages(suite) == ["sequence flow 'c>end' crosses the border of a sub-process"]
    assert missing(suite) == {"c>end": "crosses the border of a sub-process"}


@pytest.mark.parametrize("kind", [NodeKind.CALL_ACTIVITY, NodeKind.SUB_PROCESS, NodeKind.TRANSACTION])
def test_activity_without_inside_is_opaque(kind: NodeKind) -> None:
    """Call activities and collapsed sub-processes are passed like tasks."""
    assert paths(plan(process_of("start > a > end", a={"kind": kind}))) == {"main": "start a end"}


def test_flow_out_of_a_terminating_end_is_left_out() -> None:
    """Where every path ends, what is drawn behind is not played."""
    suite = plan(process_of("start > endt > a", endt={"events": events(EventKind.TERMINATE)}))
    assert paths(suite) == {"main": "start endt"}
    assert missing(suite) == {"endt>a": "leaves end event 'endt', where every path ends"}


def test_flow_without_an_end_is_left_out_with_a_warning() -> None:
    """A dangling flow is named; the rest is played."""
    process = process_of("start > end")
    dangling = SequenceFlow("loose", "start", "gone")
    suite = plan(replace(process, flows=(*process.flows, dangling)))
    assert paths(suite) == {"main": "start end"}
    assert missing(suite) == {"loose": "has no target 'gone' in the process"}
    assert messages(suite) == ["sequence flow 'loose' has no target 'gone' in the process"]


def test_unreachable_node_has_the_reason() -> None:
    """A node to which nothing leads is no start where there are start events."""
    assert missing(plan(process_of("start > end; lost > end"), criteria=ALL)) == {
        "lost": "cannot be reached from a start",
        "lost>end": "cannot be reached from a start",
    }


def test_process_without_nodes_has_an_empty_suite() -> None:
    """Nothing to play is no mistake."""
    suite = plan(process_of(""), criteria=ALL)
    assert (suite.scenarios, suite.problems) == ((), ())
    assert [(c.covered, c.total) for c in suite.coverage] == [(0, 0)] * 3


def inside(scope: str, *nodes: str) -> dict[str, dict[str, object]]:
    kinds = {"begin": NodeKind.START_EVENT, "in": NodeKind.START_EVENT, "done": NodeKind.END_EVENT}
    return {node: {"scope": scope} | ({"kind": kinds[node]} if node in kinds else {}) for node in nodes}


def error_process():
    return process_of(
        "start > sub > ship > end; begin > b > xor; xor -ok> fine; xor -bad> failed; border > help > end",
        fine={"scope": "sub", "kind": NodeKind.END_EVENT},
        failed={"scope": "sub", "kind": NodeKind.END_EVENT, "events": events(EventKind.ERROR, ref="E")},
        border={"attached_to": "sub", "name": "Refused", "events": events(EventKind.ERROR, ref="E")},
        **inside("sub", "begin", "b", "xor"),
    )
