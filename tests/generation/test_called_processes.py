"""Called processes that take part in the scenarios of their callers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from process_text import events, process_of
from scopes import CLASSIC, associated, decided, event_sub, inside, undoing
from suites import messages, missing, paths

from pytest_orchestra.generation.control_flow.called_processes import inline_calls
from pytest_orchestra.generation.limits import MAX_INLINED_NODES
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import (
    Condition,
    DataElement,
    EventKind,
    Extension,
    LoopCharacteristics,
    LoopKind,
    NodeKind,
    Process,
    ProcessDocument,
)
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Place, Severity

HOME = Place("order.bpmn")


def named(process: Process, name: str) -> Process:
    return replace(process, id=name, name=name.title())


def caller(**details: dict) -> Process:
    return process_of(
        "start > call > end; border > x > end2",
        **{
            "call": {"called_element": "pay", "name": "Pay it"},
            "border": {"attached_to": "call", "events": events(EventKind.ERROR)},
        }
        | details,
    )


def payment() -> Process:
    process = process_of(
        "start > check > xor; xor -ok> end; xor -bad> failed; on_late > remind",
        check={"name": "Check card"},
        failed={"kind": NodeKind.END_EVENT, "events": events(EventKind.ERROR)},
        **event_sub("late", {"events": events(EventKind.TIMER), "is_interrupting": False}, "remind"),
    )
    return named(process, "pay")


def plan(process: Process, called: list[Process], **bindings: object) -> ScenarioSuite:
    return build_suite(process, Bindings.model_validate(bindings), [], criteria=CLASSIC, called=called)


def test_calls_are_opaque_unless_wished_otherwise() -> None:
    """One node stands for all that the called process does."""
    suite = plan(caller(), [payment()])
    assert set(decided(suite)) == {"start call end", "start call border x end2"}
    assert set(decided(plan(caller(), [payment()], calls={"*": "inline", "call": "opaque"}))) == set(decided(suite))


def test_inlined_call_that_is_not_waited_for_is_told() -> None:
    """What follows such a call may come before the end of what is called; the plan has one of the orders."""
    mark = Extension("{http://www.jboss.org/drools}waitForCompletion", text="false", is_attribute=True)
    process = caller(call={"called_element": "pay", "name": "Pay it", "extensions": (mark,)})
    told = "call activity 'Pay it' does not wait for what it calls, and is played as if it did"
    assert told in messages(plan(process, [payment()], calls={"*": "inline"}))
    assert told not in messages(plan(process, [payment()]))


@pytest.mark.parametrize("key", ["call", "Pay it", "*"])
def test_inlined_call_is_a_sub_process(key: str) -> None:
    """What the called process throws is caught at the call, and its nodes have paths as ids."""
    suite = plan(caller(), [payment()], calls={key: "inline"})
    begun = "start call call/start call/late call/on_late call/remind call/check call/xor"
    assert set(decided(suite)) == {
        f"{begun} call/failed border x end2",
        "start call call/start call/check call/xor call/end end",
    }
    assert missing(suite) == {}
    assert all("call/start>check" in scenario.flows for scenario in suite.scenarios)


def test_process_of_the_same_file_is_found() -> None:
    """No 'processes' are needed for it; a prefix of its name does not matter."""
    document = ProcessDocument("order.bpmn", "", processes=(caller(), payment()))
    process = caller(call={"called_element": "p:pay"})
    suite = build_suite(process, Bindings.model_validate({"calls": {"*": "inline"}}), [], document=document)
    assert "call/check" in suite.scenarios[0].nodes


@pytest.mark.parametrize("key", ["check", "call/check", "Check card"])
def test_inner_nodes_are_bound_by_inner_id_path_or_name(key: str) -> None:
    """Nobody has to know where a process is called from."""
    step = {"endpointRef": "cards.check", "alias": "card"}
    suite = plan(caller(), [payment()], calls={"call": "inline"}, bindings={key: step})
    assert [step.element_id for step in suite.scenarios[0].steps] == ["call/check"]
    assert all("check" not in problem.message for problem in suite.problems)


@pytest.mark.parametrize("element", ["xor", "call/xor"])
@pytest.mark.parametrize("branch", ["xor>failed", "call/xor>failed", "bad", "failed"])
def test_inner_decisions_are_forced_by_inner_id_or_path(element: str, branch: str) -> None:
    """As in a scenario of the called process itself."""
    scenarios = [{"key": "mine", "decisions": {element: branch}}]
    suite = plan(caller(), [payment()], calls={"call": "inline"}, scenarios=scenarios)
    assert paths(suite)["mine"] == "start call call/start call/check call/xor call/failed border x end2"


def test_calls_within_called_processes_are_inlined_as_well() -> None:
    """Paths grow with each level; a key by path speaks of one call alone."""
    inner = named(process_of("start > c > end"), "inner")
    middle = named(
        process_of("start > again > end", again={"kind": NodeKind.CALL_ACTIVITY, "called_element": "inner"}), "middle"
    )
    outer = process_of("start > call > end", call={"called_element": "middle"})
    suite = plan(outer, [inner, middle], calls={"*": "inline"})
    assert list(decided(suite)) == [
        "start call call/start call/again call/again/start call/again/c call/again/end call/end end"
    ]
    opaque = plan(outer, [inner, middle], calls={"*": "inline", "call/again": "opaque"})
    assert list(decided(opaque)) == ["start call call/start call/again call/end end"]


def test_call_that_leads_round_stays_opaque_with_the_circle() -> None:
    """The second time is one node."""
    one = named(process_of("start > call > end", call={"called_element": "two"}), "one")
    two = named(process_of("start > call > end", call={"called_element": "one"}), "two")
    suite = plan(one, [two], calls={"*": "inline"})
    assert list(decided(suite)) == ["start call call/start call/call call/end end"]
    assert messages(suite, Severity.WARNING) == [
        "call activity 'call/call' stays opaque: the call leads round, 'one' > 'two' > 'one'"
    ]


@pytest.mark.parametrize(
    ("called", "fact"),
    [
        ("nowhere", "no process 'nowhere' is known"),
        (None, "it does not say which process it calls"),
        ("empty", "no process 'empty' is known"),
    ],
)
def test_wish_that_comes_to_nothing_is_an_error_at_its_place(called: str | None, fact: str) -> None:
    """The call stays opaque, and the sidecar's line is told."""
    bindings = Bindings.model_validate({"calls": {"call": "inline"}})
    place = Place("order.orchestra.yaml", 3, 1)
    bindings = bindings.model_copy(update={"places": {("calls", "call"): place}})
    process = process_of("start > call > end", call={"called_element": called})
    suite = build_suite(process, bindings, [], called=[Process("empty")])
    assert list(decided(suite)) == ["start call end"]
    [problem] = [problem for problem in suite.problems if problem.severity is Severity.ERROR]
    assert (problem.place, problem.message) == (place, f"call activity 'call' cannot be inlined: {fact}")
    assert problem.hint == "name the file of its process in 'processes', or write 'call: opaque' in 'calls'"


def test_key_that_names_no_call_is_an_error_with_a_hint() -> None:
    """A slip of the pen is told."""
    suite = plan(caller(), [payment()], calls={"cal": "inline"})
    [problem] = [problem for problem in suite.problems if problem.severity is Severity.ERROR]
    assert (problem.message, problem.hint) == ("the process has no call activity 'cal'", "did you mean 'call'?")


def test_called_process_begins_with_its_plain_start_event() -> None:
    """Start events that wait for a message of their own are not how a call begins."""
    called = process_of("start > a > end; start2 > b > end", start2={"events": events(EventKind.MESSAGE)})
    suite = plan(caller(), [named(called, "pay")], calls={"*": "inline"})
    assert "start call call/start call/a call/end end" in decided(suite)
    assert missing(suite) == {
        "call/b": "cannot be reached from a start",
        "call/b>end": "cannot be reached from a start",
    }


def test_inlined_call_repeats_and_is_compensated_as_any_activity() -> None:
    """Loops, associations, references of events and data keep their meaning under new ids."""
    called = associated(
        process_of(
            "start > a > throw > end; begin > b > done",
            throw={"events": events(EventKind.COMPENSATE, ref="pay")},
            sub={"loop": LoopCharacteristics(LoopKind.PARALLEL_MULTI_INSTANCE, collection="d")},
            **undoing("a"),
            **inside("sub", "begin", "b", "done"),
        )
    )
    called = replace(named(called, "pay"), data=(DataElement("d", "dataObject", "lines"),))
    loop = LoopCharacteristics(LoopKind.SEQUENTIAL_MULTI_INSTANCE, cardinality=Condition("2"))
    process = process_of("start > call > end", call={"called_element": "pay", "loop": loop})
    suite = plan(process, [called], calls={"*": "inline"})
    body = "call call/start call/a call/throw call/border_a call/undo_a call/end"
    assert list(decided(suite)) == [f"start {body} {body} end"]


def test_hash_of_the_suite_is_that_of_all_that_was_taken_in() -> None:
    """A change of the called process is a change of the caller's scenarios."""
    changed = replace(payment(), hash="1" * 64)
    hashes = {
        plan(caller(), [called], calls={"*": wish}).process_hash
        for called in (payment(), changed)
        for wish in ("inline", "opaque")
    }
    assert len(hashes) == 3


def test_calls_that_double_at_each_level_are_cut_with_a_warning() -> None:
    """Twenty levels would be a million copies."""
    called = [
        named(
            process_of(
                "start > call1 > call2 > end",
                call1={"called_element": f"p{level + 1}"},
                call2={"called_element": f"p{level + 1}"},
            ),
            f"p{level}",
        )
        for level in range(25)
    ]
    inlined = inline_calls(called[0], called, Bindings.model_validate({"calls": {"*": "inline"}}), HOME)
    assert len(inlined.process.nodes) <= MAX_INLINED_NODES
    assert any(
        f"stays opaque: the process would have over {MAX_INLINED_NODES} nodes" in problem.message
        for problem in inlined.problems
    )
