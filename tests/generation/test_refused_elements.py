"""What BPMN gives no meaning to is named, and nothing is lost by it."""

from __future__ import annotations

import pytest
from process_text import events, process_of
from scopes import CLASSIC, decided
from suites import messages, missing, plan

from pytest_orchestra.model.process import EventDefinition, EventKind, NodeKind
from pytest_orchestra.problem import Severity

SUB = {"begin": {"scope": "sub", "kind": NodeKind.START_EVENT}}


@pytest.mark.parametrize(
    ("text", "details", "message"),
    [
        (
            "start > a > end; border > x",
            {"border": {"attached_to": "a"}},
            "boundary event 'border' does not say what it waits for; it may happen or not",
        ),
        (
            "start > a > end; border > x",
            {"border": {"attached_to": "a", "events": events(EventKind.TERMINATE)}},
            "boundary event 'border' is of type terminate, which cannot happen at a border",
        ),
        (
            "start > a > end; border > x",
            {"border": {"attached_to": "a", "events": events(EventKind.CANCEL)}},
            "boundary event 'border' waits for a cancellation, but task 'a' is no transaction",
        ),
        (
            "start > catch > end",
            {"catch": {}},
            "intermediate catch event 'catch' does not say what it waits for",
        ),
        (
            "start > catch > end",
            {"catch": {"events": events(EventKind.CANCEL, EventKind.TERMINATE)}},
            "intermediate catch event 'catch' is of type cancel and terminate, which no process waits for on its way",
        ),
        (
            "start > throw > end",
            {"throw": {"events": events(EventKind.TIMER)}},
            "intermediate throw event 'throw' is of type timer, which is not thrown on the way",
        ),
        (
            "start > a > end",
            {"end": {"events": events(EventKind.CONDITIONAL)}},
            "end event 'end' is of type conditional, which an end cannot throw",
        ),
        (
            "start > throw > end",
            {"throw": {"events": (EventDefinition(EventKind.COMPENSATE, wait_for_completion=False),)}},
            "intermediate throw event 'throw' does not wait for what it compensates, and is played as if it did",
        ),
        (
            "start > a > end",
            {"end": {"events": events(EventKind.CANCEL)}},
            "end event 'end' cancels, but lies in no transaction",
        ),
        (
            "start > a > end",
            {"start": {"events": events(EventKind.ERROR)}},
            "start event 'start' is of type error, which starts nothing",
        ),
        (
            "start > sub > end; begin > a",
            {"begin": {**SUB["begin"], "events": events(EventKind.MESSAGE)}, "a": {"scope": "sub"}},
            "start event 'begin' of sub-process 'sub' waits for message, though the sub-process is entered anyway",
        ),
        (
            "start > and; and -[x > 1]> a > end; and > b > end",
            {},
            "parallel gateway 'and' takes all its flows, whatever the condition of 'and>a' says",
        ),
        (
            "start > event; event -[x > 1]> catch1 > end; event > catch2 > end",
            {"catch1": {"events": events(EventKind.TIMER)}, "catch2": {"events": events(EventKind.TIMER)}},
            "event based gateway 'event' waits for events, whatever the condition of 'event>catch1' says",
        ),
    ],
)
def test_element_without_an_agreed_meaning_is_named_and_played(text: str, details: dict, message: str) -> None:
    """A warning says what was made of it, and every element and flow is covered."""
    suite = plan(process_of(text, **details), criteria=CLASSIC)
    assert message in messages(suite, Severity.WARNING)
    assert missing(suite) == {}


def test_ordinary_elements_are_not_refused() -> None:
    """Nothing is said of what BPMN allows."""
    process = process_of(
        "start > event; event > catch1 > throw > and; event > catch2 > and2; and > a > end; and2 > b > endt;"
        "border > x > ende",
        catch1={"events": events(EventKind.MESSAGE)},
        catch2={"events": events(EventKind.TIMER)},
        throw={"events": events(EventKind.SIGNAL)},
        border={"attached_to": "a", "events": events(EventKind.ERROR)},
        start={"events": events(EventKind.MESSAGE)},
        endt={"events": events(EventKind.TERMINATE)},
        ende={"events": events(EventKind.ERROR)},
    )
    suite = plan(process, criteria=CLASSIC)
    assert messages(suite, Severity.WARNING, Severity.ERROR) == []
    assert len(decided(suite)) == 3
