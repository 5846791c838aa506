"""How compensation is played: which handlers run, in which order, and how often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from process_text import events, process_of
from scopes import CLASSIC, associated, decided, event_sub, inside, undoing
from suites import messages, missing, plan

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import Association, EventKind, LoopCharacteristics, LoopKind, NodeKind
from pytest_orchestra.problem import Severity
from pytest_orchestra.readers.bpmn import read_process_file

COMPENSATE = {"events": events(EventKind.COMPENSATE)}
CANCEL = {"events": events(EventKind.CANCEL)}


def ref(activity: str) -> dict[str, object]:
    return {"events": events(EventKind.COMPENSATE, ref=activity)}


def test_handlers_of_what_was_completed_run_in_reverse_order() -> None:
    """The throwing event waits for them; events and handlers are on the path and covered."""
    process = associated(process_of("start > a > b > throw > end", throw=COMPENSATE, **undoing("a"), **undoing("b")))
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == ["start a b throw border_b undo_b border_a undo_a end"]
    assert missing(suite) == {}


def test_end_event_compensates_before_the_process_ends() -> None:
    """Nothing comes after it but the handlers."""
    process = associated(process_of("start > a > end", end=COMPENSATE, **undoing("a")))
    assert list(decided(plan(process))) == ["start a end border_a undo_a"]


def test_named_activity_alone_is_compensated() -> None:
    """An event that names an activity leaves the others as they are, and their handlers have the reason."""
    process = associated(process_of("start > a > b > throw > end", throw=ref("a"), **undoing("a"), **undoing("b")))
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == ["start a b throw border_a undo_a end"]
    assert missing(suite) == {
        "border_b": "is a compensation event, and nothing compensates 'b'",
        "undo_b": "is compensation handler 'undo_b', and nothing compensates 'b'",
    }


def test_what_was_not_completed_is_not_compensated() -> None:
    """The other branch has nothing to undo; the search finds the way that has."""
    process = associated(
        process_of(
            "start > xor; xor -with> a > m; xor -without> c > m; m > xor2; xor2 -bad> throw > end; xor2 -ok> end",
            throw=COMPENSATE,
            **undoing("a"),
        )
    )
    suite = plan(process, criteria=CLASSIC)
    assert missing(suite) == {}
    for path in decided(suite):
        assert ("border_a undo_a" in path) == ("a m xor2 throw" in path)


def test_every_completion_is_compensated_once() -> None:
    """An activity in a loop is undone as often as it was done, and not again by the next event."""
    process = associated(
        process_of(
            "start > a > xor; xor -again> a; xor -on> throw > throw2 > end",
            throw=COMPENSATE,
            throw2=COMPENSATE,
            **undoing("a"),
        )
    )
    suite = plan(process)
    assert list(decided(suite)) == ["start a xor a xor throw border_a undo_a border_a undo_a throw2 end"]


def test_every_instance_of_a_repeated_activity_is_compensated() -> None:
    """Two instances are two completions; none is none."""
    process = process_of("start > a > throw > end", throw=COMPENSATE, **undoing("a"))
    loop = LoopCharacteristics(LoopKind.PARALLEL_MULTI_INSTANCE)
    nodes = tuple(replace(node, loop=loop) if node.id == "a" else node for node in process.nodes)
    suite = plan(associated(replace(process, nodes=nodes)), criteria=[Criterion.LOOP])
    assert sorted(decided(suite)) == [
        "start a a throw border_a undo_a border_a undo_a end",
        "start a throw border_a undo_a end",
        "start throw end",
    ]


def test_completed_sub_process_is_undone_from_the_inside() -> None:
    """Without a handler of its own, what was completed in it is undone, in its place among the others."""
    process = associated(
        process_of(
            "start > a > sub > b > throw > end; begin > c > d",
            throw=COMPENSATE,
            **inside("sub", "begin", "c", "d"),
            **undoing("a"),
            **undoing("b"),
            **undoing("c", "sub"),
            **undoing("d", "sub"),
        )
    )
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == [
        "start a sub begin c d b throw border_b undo_b border_d undo_d border_c undo_c border_a undo_a end"
    ]
    assert missing(suite) == {}


def test_handler_of_a_sub_process_goes_before_its_inside() -> None:
    """What has a handler is undone by it alone."""
    process = associated(
        process_of(
            "start > sub > throw > end; begin > c",
            throw=ref("sub"),
            **inside("sub", "begin", "c"),
            **undoing("sub"),
            **undoing("c", "sub"),
        )
    )
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == ["start sub begin c throw border_sub undo_sub end"]
    assert missing(suite) == {
        "border_c": "is a compensation event, and nothing compensates 'c'",
        "undo_c": "is compensation handler 'undo_c', and nothing compensates 'c'",
    }


def test_compensation_event_sub_process_undoes_its_completed_sub_process() -> None:
    """It runs when the sub-process is compensated, and may undo what was completed there."""
    process = associated(
        process_of(
            "start > sub > throw > end; begin > c; on_undo > d > throw_in > e",
            throw=ref("sub"),
            throw_in={"scope": "undo", "kind": NodeKind.INTERMEDIATE_THROW_EVENT, **ref("c")},
            **inside("sub", "begin", "c"),
            **undoing("c", "sub"),
            **event_sub("undo", COMPENSATE, "d", "e", scope="sub"),
        )
    )
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == ["start sub begin c throw undo on_undo d throw_in border_c undo_c e end"]
    assert missing(suite) == {}


@pytest.mark.parametrize("naming", [None, "order", "undo"])
def test_compensation_event_sub_process_of_the_process_runs_where_all_is_compensated(naming: str | None) -> None:
    """Nobody outside could set it off, so an event inside does, be it by name or by naming nothing."""
    process = process_of(
        "start > a > throw > end; on_undo > b",
        throw={"events": events(EventKind.COMPENSATE, ref=naming)},
        **event_sub("undo", COMPENSATE, "b"),
    )
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == ["start a throw undo on_undo b end"]
    assert missing(suite) == {}


def test_event_sub_process_compensates_what_the_scope_around_it_completed() -> None:
    """An error handler that compensates means the process that failed."""
    process = associated(
        process_of(
            "start > a > failed; on_e > throw > b",
            failed={"kind": NodeKind.END_EVENT, "events": events(EventKind.ERROR)},
            throw={"scope": "e", "kind": NodeKind.INTERMEDIATE_THROW_EVENT, **COMPENSATE},
            **undoing("a"),
            **event_sub("e", {"events": events(EventKind.ERROR)}, "b"),
        )
    )
    suite = plan(process, criteria=CLASSIC)
    assert "start a failed e on_e throw border_a undo_a b" in decided(suite)


def test_cancelled_transaction_is_undone_before_it_is_left() -> None:
    """What it completed is undone, the last first, then its cancel event leads on."""
    suite = plan(transaction(), criteria=CLASSIC)
    assert decided(suite) == {
        "start sub begin a b xor stop border_b undo_b border_a undo_a cancelled x end2": {
            "sub": ("cancelled",),
            "xor": ("xor>stop",),
        },
        "start sub begin a b xor done end": {"sub": ("normal",), "xor": ("xor>done",)},
    }
    assert missing(suite) == {}


def test_transaction_without_cancel_event_ends_when_it_is_cancelled() -> None:
    """That nobody hears of it is told; what it completed is undone all the same."""
    process = transaction()
    kept = tuple(node for node in process.nodes if node.id not in ("cancelled", "x", "end2"))
    flows = tuple(flow for flow in process.flows if flow.source not in ("cancelled", "x"))
    suite = plan(replace(process, nodes=kept, flows=flows), criteria=CLASSIC)
    assert "start sub begin a b xor stop border_b undo_b border_a undo_a end" in decided(suite)
    assert "transaction 'sub' is cancelled by 'stop', and has no cancel boundary event" in messages(
        suite, Severity.WARNING
    )


def test_handler_may_be_a_sub_process() -> None:
    """Its inside is played as anywhere else."""
    process = associated(
        process_of(
            "start > a > throw > end; begin > c > done",
            throw=COMPENSATE,
            **undoing("a"),
            **inside("undo_a", "begin", "c", "done"),
        )
    )
    process = replace(
        process,
        nodes=tuple(
            replace(node, kind=NodeKind.SUB_PROCESS) if node.id == "undo_a" else node for node in process.nodes
        ),
    )
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == ["start a throw border_a undo_a begin c done end"]
    assert missing(suite) == {}


def test_concurrent_branches_are_undone_in_the_reverse_of_how_they_were_played() -> None:
    """The order of completion is that of the scenario."""
    process = associated(
        process_of(
            "start > and; and > a > and2; and > b > and2; and2 > throw > end",
            throw=COMPENSATE,
            **undoing("a"),
            **undoing("b"),
        )
    )
    assert list(decided(plan(process))) == ["start and a b and2 throw border_b undo_b border_a undo_a end"]


def test_direction_of_the_association_does_not_matter() -> None:
    """Some tools draw it from the handler to the event."""
    process = process_of("start > a > throw > end", throw=COMPENSATE, **undoing("a"))
    turned = replace(process, associations=(Association("x", "undo_a", "border_a"),))
    assert list(decided(plan(turned))) == ["start a throw border_a undo_a end"]


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"throw": ref("nobody")}, "'throw' compensates 'nobody', which is no activity of the process"),
        ({"throw": ref("c")}, "'throw' compensates 'c', which lies in another sub-process"),
    ],
)
def test_event_that_compensates_nothing_that_there_is_is_refused(details: dict, message: str) -> None:
    """It is passed, and the problem names it."""
    process = process_of("start > sub > throw > end; begin > c", **inside("sub", "begin", "c"), **details)
    suite = plan(process, criteria=CLASSIC)
    assert list(decided(suite)) == ["start sub begin c throw end"]
    assert message in messages(suite, Severity.WARNING)


def test_second_compensation_event_of_an_activity_is_refused() -> None:
    """One handler undoes an activity."""
    second = {"border2": {"attached_to": "a", **COMPENSATE}}
    process = associated(process_of("start > a > throw > end", throw=COMPENSATE, **undoing("a"), **second))
    suite = plan(process, criteria=CLASSIC)
    assert missing(suite) == {"border2": "is a second compensation event of 'a'"}
    assert "task 'a' has a second compensation event 'border2'" in messages(suite, Severity.WARNING)


def test_handler_to_which_nothing_leads_is_left_out() -> None:
    """A marker alone does not say what is undone."""
    process = process_of("start > a > end", undo={"is_for_compensation": True, "name": "Undo"})
    assert missing(plan(process, criteria=CLASSIC)) == {
        "undo": "is compensation handler 'Undo', to which no compensation event leads"
    }


def test_marked_activity_in_the_normal_flow_is_played_there_with_a_warning() -> None:
    """A sequence flow says more than a marker."""
    process = process_of("start > a > end", a={"is_for_compensation": True})
    suite = plan(process)
    assert list(decided(suite)) == ["start a end"]
    assert messages(suite, Severity.WARNING) == [
        "a sequence flow leads to compensation handler 'a', which is played as any activity"
    ]


def test_compensation_is_read_from_a_file(tmp_path: Path) -> None:
    """The association in the text makes the handler."""
    file = tmp_path / "trip.bpmn"
    file.write_text(_TRIP, encoding="utf-8")
    document = read_process_file(file)
    suite = build_suite(document.processes[0], None, [], document=document, criteria=CLASSIC)
    assert list(decided(suite)) == ["start book failed sub-error onError undoAll border cancel"]
    assert missing(suite) == {"events->normal": missing(suite)["events->normal"]}


def transaction():
    return associated(
        process_of(
            "start > sub > end; begin > a > b > xor; xor -bad> stop; xor -ok> done; cancelled > x > end2",
            sub={"kind": NodeKind.TRANSACTION},
            stop={"scope": "sub", "kind": NodeKind.END_EVENT, **CANCEL},
            cancelled={"kind": NodeKind.BOUNDARY_EVENT, "attached_to": "sub", **CANCEL},
            **inside("sub", "begin", "a", "b", "xor", "done"),
            **undoing("a", "sub"),
            **undoing("b", "sub"),
        )
    )


_TRIP = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t">
  <process id="trip">
    <startEvent id="start"/>
    <sequenceFlow id="f1" sourceRef="start" targetRef="book"/>
    <serviceTask id="book"/>
    <boundaryEvent id="border" attachedToRef="book"><compensateEventDefinition/></boundaryEvent>
    <serviceTask id="cancel" isForCompensation="true"/>
    <association id="a1" associationDirection="One" sourceRef="border" targetRef="cancel"/>
    <sequenceFlow id="f2" sourceRef="book" targetRef="failed"/>
    <endEvent id="failed"><errorEventDefinition errorRef="E"/></endEvent>
    <subProcess id="sub-error" triggeredByEvent="true">
      <startEvent id="onError"><errorEventDefinition/></startEvent>
      <sequenceFlow id="f3" sourceRef="onError" targetRef="undoAll"/>
      <endEvent id="undoAll"><compensateEventDefinition/></endEvent>
    </subProcess>
  </process>
  <error id="E" errorCode="no-money"/>
</definitions>
"""
