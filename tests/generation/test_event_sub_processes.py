"""How event sub-processes are played: those that may happen, those that an event inside sets off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from process_text import events, process_of
from scopes import CLASSIC, decided, event_sub, inside
from suites import messages, missing, paths, plan

from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import EventKind, LoopCharacteristics, LoopKind, NodeKind
from pytest_orchestra.problem import Severity

MESSAGE = {"events": events(EventKind.MESSAGE)}
BESIDES = {"events": events(EventKind.TIMER), "is_interrupting": False}
ERROR = {"events": events(EventKind.ERROR, ref="E")}
ESCALATION = {"events": events(EventKind.ESCALATION, ref="X"), "is_interrupting": False}


@pytest.mark.parametrize("kind", [EventKind.MESSAGE, EventKind.TIMER, EventKind.SIGNAL, EventKind.CONDITIONAL])
def test_interrupting_event_sub_process_happens_instead_of_what_was_begun(kind: EventKind) -> None:
    """The process begins, then the handler runs, and the process ends with it."""
    process = process_of(
        "start > a > end; on_stop > b > done", **event_sub("stop", {"events": events(kind)}, "b", "done")
    )
    suite = plan(process, criteria=CLASSIC)
    assert decided(suite) == {
        "start a end": {"events": ("normal",)},
        "start stop on_stop b done": {"events": ("stop",)},
    }
    assert missing(suite) == {}


def test_event_sub_process_that_does_not_interrupt_happens_besides() -> None:
    """The handler runs first, as the branch of a boundary event does, and the process goes on."""
    process = process_of("start > a > end; on_ask > b", **event_sub("ask", BESIDES, "b"))
    assert decided(plan(process, criteria=CLASSIC)) == {
        "start a end": {"events": ("normal",)},
        "start ask on_ask b a end": {"events": ("ask",)},
    }


def test_event_sub_process_is_forced_by_its_name_or_its_start_event() -> None:
    """A scenario of the user's decides at 'events', and names the branch as people do."""
    process = process_of(
        "start > a > end; on_stop > b",
        **event_sub("stop", {**MESSAGE, "name": "Order cancelled"}, "b"),
    )
    for branch in ("stop", "on_stop", "order cancelled"):
        bindings = Bindings.model_validate({"scenarios": [{"key": "mine", "decisions": {"events": branch}}]})
        assert paths(plan(process, bindings))["mine"] == "start stop on_stop b"


def test_several_event_sub_processes_stand_beside_boundary_events() -> None:
    """The sub-process decides about its border, its inside about the events in it; each has its scenario."""
    process = process_of(
        "start > sub > end1; begin > a > done; border > x > end2; on_stop > b; on_ask > c",
        border={"attached_to": "sub", "name": "Late"},
        **inside("sub", "begin", "a", "done"),
        **event_sub("stop", MESSAGE, "b", scope="sub"),
        **event_sub("ask", BESIDES, "c", scope="sub"),
    )
    suite = plan(process, criteria=CLASSIC)
    assert decided(suite) == {
        "start sub begin a done end1": {"sub": ("normal",), "sub.events": ("normal",)},
        "start sub begin stop on_stop b end1": {"sub": ("normal",), "sub.events": ("stop",)},
        "start sub begin ask on_ask c a done end1": {"sub": ("normal",), "sub.events": ("ask",)},
        "start sub border x end2": {"sub": ("border",)},
    }
    assert missing(suite) == {}


def test_each_start_event_of_a_process_may_be_followed_by_its_events() -> None:
    """Whichever start begins it, the same events may happen; one scenario of each will do."""
    process = process_of("start1 > a > end; start2 > b > end; on_stop > c", **event_sub("stop", MESSAGE, "c"))
    suite = plan(process, criteria=CLASSIC)
    assert missing(suite) == {}
    assert set(decided(suite)) == {"start1 stop on_stop c", "start1 a end", "start2 b end"}


def test_events_of_a_scope_without_start_event_happen_as_it_begins() -> None:
    """Nothing comes before the handler where nothing says how the scope starts."""
    process = process_of("a > b; c; on_stop > d", **event_sub("stop", MESSAGE, "d"))
    assert decided(plan(process, criteria=CLASSIC)) == {
        "a b c": {"events": ("normal",)},
        "stop on_stop d": {"events": ("stop",)},
    }


def test_events_of_a_process_that_a_receive_task_starts_are_alternatives_to_it() -> None:
    """Several such tasks are told apart as starts are, and the event is one more."""
    receive = {"kind": NodeKind.RECEIVE_TASK, "instantiate": True}
    process = process_of(
        "ra > a; rb > b; on_stop > c; on_ask > d",
        ra=receive,
        rb=receive,
        **event_sub("stop", MESSAGE, "c"),
        **event_sub("ask", BESIDES, "d"),
    )
    suite = plan(process, criteria=CLASSIC)
    assert set(decided(suite)) == {"ra a", "rb b", "stop on_stop c", "ra a ask on_ask d"}
    assert missing(suite) == {}


def test_error_is_caught_by_the_event_sub_process_of_its_scope() -> None:
    """Nobody chooses it: the way to the error leads there, and all else in the scope is ended by it."""
    process = process_of(
        "start > xor; xor -ok> end1; xor -bad> failed; on_e > b",
        failed={"kind": NodeKind.END_EVENT, **ERROR},
        **event_sub("e", ERROR, "b"),
    )
    suite = plan(process, criteria=CLASSIC)
    assert decided(suite) == {
        "start xor end1": {"events": ("normal",), "xor": ("xor>end1",)},
        "start xor failed e on_e b": {"events": ("e",), "xor": ("xor>failed",)},
    }
    bindings = Bindings.model_validate({"scenarios": [{"key": "mine", "decisions": {"events": "e"}}]})
    assert paths(plan(process, bindings))["mine"] == "start xor failed e on_e b"


def test_error_that_nobody_throws_may_happen_by_itself() -> None:
    """An activity may fail without the model showing where."""
    process = process_of("start > a > end; on_e > b", **event_sub("e", ERROR, "b"))
    assert set(decided(plan(process, criteria=CLASSIC))) == {"start a end", "start e on_e b"}


def test_error_is_caught_inside_before_the_border() -> None:
    """The event sub-process goes before the boundary event of the same activity, which then nobody sets off."""
    process = process_of(
        "start > sub > end1; begin > failed; border > x > end2; on_e > b",
        border={"attached_to": "sub", **ERROR},
        failed={"scope": "sub", "kind": NodeKind.END_EVENT, **ERROR},
        **inside("sub", "begin"),
        **event_sub("e", ERROR, "b", scope="sub"),
    )
    nodes = [" ".join(scenario.nodes) for scenario in plan(process, criteria=CLASSIC).scenarios]
    assert "start sub begin failed e on_e b end1" in nodes
    assert "start sub border x end2" in nodes


def test_error_of_a_handler_is_not_caught_by_its_siblings() -> None:
    """What fails in an event sub-process goes on outwards, to the border of the activity around it."""
    process = process_of(
        "start > sub > end1; begin > a > done; border > x > end2; on_m > failed; on_e > b",
        border={"attached_to": "sub", **ERROR},
        failed={"scope": "m", "kind": NodeKind.END_EVENT, **ERROR},
        **inside("sub", "begin", "a", "done"),
        **event_sub("m", MESSAGE, scope="sub"),
        **event_sub("e", ERROR, "b", scope="sub"),
    )
    nodes = [" ".join(scenario.nodes) for scenario in plan(process, criteria=CLASSIC).scenarios]
    assert "start sub begin m on_m failed border x end2" in nodes


def test_escalation_that_does_not_interrupt_starts_the_handler_and_goes_on() -> None:
    """Both ways are gone, the handler first."""
    process = process_of(
        "start > throw > a > end; on_x > b",
        throw={"events": events(EventKind.ESCALATION, ref="X")},
        **event_sub("x", ESCALATION, "b"),
    )
    suite = plan(process, criteria=CLASSIC)
    assert decided(suite) == {"start throw a end x on_x b": {"events": ("x",)}}


def test_interrupting_error_waits_for_the_rest_of_its_scope() -> None:
    """What runs beside comes first, then the error, then its handler; the scope ends when the handler ends."""
    process = process_of(
        "start > sub > end1; begin > and; and > failed; and > c > d; on_e > b",
        failed={"scope": "sub", "kind": NodeKind.END_EVENT, **ERROR},
        **inside("sub", "begin", "and", "c", "d"),
        **event_sub("e", ERROR, "b", scope="sub"),
    )
    assert list(decided(plan(process))) == ["start sub begin and c d failed e on_e b end1"]


def test_event_sub_process_in_an_event_sub_process_is_played() -> None:
    """A handler is a scope of its own."""
    process = process_of(
        "start > a > end; on_out > b > done; on_in > c",
        **event_sub("out", MESSAGE, "b", "done"),
        **event_sub("in", BESIDES, "c", scope="out"),
    )
    assert set(decided(plan(process, criteria=CLASSIC))) == {
        "start a end",
        "start out on_out b done",
        "start out on_out in on_in c b done",
    }


def test_event_sub_process_without_content_happens_as_one_node() -> None:
    """A collapsed one has no start event to go before it."""
    process = process_of("start > a > end", stop={"kind": NodeKind.SUB_PROCESS, "triggered_by_event": True})
    assert set(decided(plan(process, criteria=CLASSIC))) == {"start a end", "start stop"}


def test_event_sub_process_whose_start_says_nothing_may_happen_with_a_warning() -> None:
    """A start event without a type is refused by name, and still played."""
    process = process_of("start > a > end; on_stop > b", **event_sub("stop", {"events": ()}, "b"))
    suite = plan(process, criteria=CLASSIC)
    assert set(decided(suite)) == {"start a end", "start stop on_stop b"}
    assert "event sub-process 'stop' does not say at its start what sets it off; it may happen or not" in messages(
        suite, Severity.WARNING
    )


def test_several_start_events_of_an_event_sub_process_are_told_and_chosen_from() -> None:
    """BPMN allows one; each of them has its scenario."""
    process = process_of(
        "start > a > end; on_stop > b; on_stop2 > c",
        on_stop2={"scope": "stop", "kind": NodeKind.START_EVENT, **MESSAGE},
        **event_sub("stop", MESSAGE, "b", "c"),
    )
    suite = plan(process, criteria=CLASSIC)
    assert missing(suite) == {}
    assert "event sub-process 'stop' has 2 start events; each may begin it" in messages(suite, Severity.WARNING)


def test_event_sub_process_to_which_a_flow_leads_is_entered_by_it_with_a_warning() -> None:
    """It is played as the embedded sub-process that it looks like."""
    process = process_of("start > stop > end; on_stop > b", **event_sub("stop", MESSAGE, "b"))
    suite = plan(process)
    assert list(decided(suite)) == ["start stop on_stop b end"]
    assert messages(suite, Severity.WARNING) == [
        "event sub-process 'stop' has a sequence flow that leads to it, and is played as one that is entered by it"
    ]


def test_loop_of_an_event_sub_process_is_refused() -> None:
    """It is played once each time it happens."""
    process = process_of("start > a > end; on_stop > b", **event_sub("stop", MESSAGE, "b"))
    loop = LoopCharacteristics(LoopKind.STANDARD)
    nodes = tuple(replace(node, loop=loop) if node.id == "stop" else node for node in process.nodes)
    suite = plan(replace(process, nodes=nodes), criteria=CLASSIC)
    assert set(decided(suite)) == {"start a end", "start stop on_stop b"}
    assert "event sub-process 'stop' repeats, and is played once each time" in messages(suite, Severity.WARNING)


def test_events_happen_in_every_run_of_a_sub_process_apart() -> None:
    """A sub-process that runs twice may be interrupted the second time only."""
    process = process_of(
        "start > sub > xor; xor -again> sub; xor -done> end; begin > a; on_stop > b",
        **inside("sub", "begin", "a"),
        **event_sub("stop", MESSAGE, "b", scope="sub"),
    )
    bindings = Bindings.model_validate(
        {"scenarios": [{"key": "mine", "decisions": {"sub.events": ["normal", "stop"], "xor": ["again", "done"]}}]}
    )
    assert paths(plan(process, bindings))["mine"] == "start sub begin a xor sub begin stop on_stop b xor end"
