"""Messages between pools: which action caused what another element waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from process_text import events, process_of

from pytest_orchestra.generation.control_flow.messages import find_senders
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import (
    Collaboration,
    EventKind,
    MessageFlow,
    NodeKind,
    Participant,
    Process,
    ProcessDocument,
)
from pytest_orchestra.model.scenario import TestScenario

ORDER = "start > send > other > hear > end"


def document(own: Process, partner: Process | None, *flows: str) -> ProcessDocument:
    pools = (
        Participant("P1", "Ours", own.id),
        Participant("P2", "Theirs", partner.id if partner else None),
    )
    messages = tuple(MessageFlow(flow, *flow.split(">")) for flow in flows)
    processes = (own, partner) if partner else (own,)
    return ProcessDocument("order.bpmn", processes=processes, collaborations=(Collaboration("c", "", pools, messages),))


def partner_of(text: str, **details: dict) -> Process:
    return replace(process_of(text, **details), id="partner")


@pytest.mark.parametrize(
    ("partner", "flows", "senders"),
    [
        (None, ["send>P2", "P2>hear"], {"hear": ("send",)}),
        (None, ["send>P2", "other>P2", "P2>hear"], {"hear": ("send", "other")}),
        (None, ["P2>hear"], {}),
        ("in > out", ["send>in", "out>hear"], {"hear": ("send",)}),
        ("in > out", ["send>out", "in>hear"], {}),
        ("in > out", ["send>P2", "out>hear"], {"hear": ("send",)}),
        ("in > out", ["send>in", "P2>hear"], {"hear": ("send",)}),
        ("in", ["send>in", "in>hear"], {"hear": ("send",)}),
        ("in > a; b > out", ["send>in", "out>hear"], {}),
        (
            "in > out1; in2 > out2",
            ["send>in", "other>in2", "out1>hear", "out2>end"],
            {"hear": ("send",), "end": ("other",)},
        ),
        (None, ["send>hear"], {"hear": ("send",)}),
    ],
)
def test_message_is_caused_by_what_leads_to_it_through_the_partner(
    partner: str | None, flows: list[str], senders: dict[str, tuple[str, ...]]
) -> None:
    """Along the partner's control flow where it is drawn; a black box may answer anything with anything."""
    own = process_of(ORDER)
    theirs = partner_of(partner) if partner else None
    assert find_senders(own, document(own, theirs, *flows)) == senders


def test_way_through_the_partner_may_lead_over_borders_links_and_sub_processes() -> None:
    """All that control flow is."""
    theirs = partner_of(
        "sub > a; border > throw; catch > out",
        border={"attached_to": "sub"},
        throw={"events": events(EventKind.LINK, ref="l")},
        catch={"events": events(EventKind.LINK, ref="l")},
        inner={"scope": "sub", "kind": NodeKind.RECEIVE_TASK},
    )
    own = process_of(ORDER)
    assert find_senders(own, document(own, theirs, "send>inner", "out>hear")) == {"hear": ("send",)}


def test_message_may_go_through_a_third_pool() -> None:
    """What the partner sends on may come back from elsewhere."""
    own, theirs = process_of(ORDER), partner_of("in > out")
    found = document(own, theirs, "send>in", "out>P3", "P3>hear")
    assert find_senders(own, found) == {"hear": ("send",)}
    assert find_senders(own, None) == {}


def scenario_of(bindings: dict[str, object], text: str = ORDER, **details: dict) -> TestScenario:
    own = process_of(text, **details)
    found = document(own, None, "send>P2", "other>P2", "P2>hear")
    suite = build_suite(own, Bindings.model_validate({"bindings": bindings}), [], document=found)
    return suite.scenarios[0]


SENT = {"endpointRef": "s.send"}
HEARD = {"endpointRef": "s.get", "until": "true"}


def causes(scenario: TestScenario) -> dict[str, str | None]:
    return {step.alias: step.definition.caused_by for step in scenario.steps}


def test_assertion_is_caused_by_the_latest_action_that_sent_something() -> None:
    """The last action of the sender that came last, whatever else was done meanwhile."""
    bindings = {"start": SENT, "send": [SENT, {**SENT, "alias": "second"}], "hear": HEARD}
    assert causes(scenario_of(bindings)) == {"start": None, "send": None, "second": None, "hear": "second"}
    bindings["other"] = SENT
    assert causes(scenario_of(bindings))["hear"] == "other"


def test_cause_that_the_user_wrote_stays() -> None:
    """Who says it knows it."""
    bindings = {"start": SENT, "send": SENT, "hear": {**HEARD, "causedBy": "start"}}
    assert causes(scenario_of(bindings))["hear"] == "start"


def test_action_of_the_element_itself_is_nearer() -> None:
    """An assertion behind an action of the same element is about that one."""
    bindings = {"send": SENT, "hear": [HEARD, {**SENT, "alias": "own"}, {**HEARD, "alias": "after"}]}
    assert causes(scenario_of(bindings)) == {"send": None, "hear": "send", "own": None, "after": None}


def test_sender_that_was_not_passed_causes_nothing() -> None:
    """Without an action before, nothing is said."""
    bindings = {"start": SENT, "hear": HEARD}
    assert causes(scenario_of(bindings))["hear"] is None


def test_cause_in_a_loop_is_the_latest_visit() -> None:
    """The second time round, the second message is awaited."""
    text = "start > send > hear > xor; xor -again> send; xor -done> other > end"
    scenario = scenario_of({"send": SENT, "hear": HEARD}, text)
    assert causes(scenario) == {"send": None, "hear": "send", "send_2": None, "hear_2": "send_2"}
