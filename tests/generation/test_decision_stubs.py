"""Stubs of ``decisions``: for what says nothing of data, ready to be pasted, and read as they were meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from process_text import events, process_of
from suites import plan

from pytest_orchestra.generation.scaffold.stubs import find_stubs, stub_text
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import EventKind, Process
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.yaml_source import parse_yaml

HOME = Place("order.bpmn")


def stubs(process: Process, bindings: dict[str, Any] | None = None) -> dict[str, dict[str, str]]:
    """Give the stubs of a process as the sidecar would have them, read back from their text."""
    found = find_stubs(process, Bindings.model_validate(bindings or {}), HOME)
    return dict(parse_yaml(stub_text(found), "stub.yaml").value["decisions"] or {}) if found else {}


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (
            "start > xor; xor -yes> a > end; xor -no> b > end",
            "Large order?",
            {"Large order?": {"yes": "data.large_order == true", "no": "data.large_order == false"}},
        ),
        (
            "start > xor; xor -express> a > end; xor -it's late> b > end",
            "Delivery?",
            {"Delivery?": {"express": "data.delivery == 'express'", "it's late": "data.delivery == 'it\\'s late'"}},
        ),
        (
            "start > or; or -wrap> a > orm; or -insure> b > orm; orm > end",
            "Extras",
            {"Extras": {"wrap": "data.wrap == true", "insure": "data.insure == true"}},
        ),
        (
            "start > event; event > catch1 > end; event > catch2 > end",
            "Wait",
            {"Wait": {"Paid": "data.wait == 'Paid'", "event>catch2": "data.wait == 'event>catch2'"}},
        ),
    ],
)
def test_placeholder_follows_the_names_of_gateway_and_branches(
    text: str, name: str, expected: dict[str, dict[str, str]]
) -> None:
    """Answers to a question are truth values, other branches are values, what goes together is a flag each."""
    gateway = text.split(">")[1].split(";", maxsplit=1)[0].strip()
    names = {gateway: {"name": name}, **({"catch1": {"name": "Paid"}} if "catch1" in text else {})}
    assert stubs(process_of(text, **names)) == expected


def test_unnamed_gateway_is_about_what_comes_before_it() -> None:
    """It is called by its id, and the data by the task that finds it out."""
    process = process_of("start > check > xor; xor -ok> a > end; xor -late> b > end", check={"name": "Check stock"})
    assert stubs(process) == {"xor": {"ok": "data.check_stock == true", "late": "data.check_stock == 'late'"}}


def test_boundary_event_is_a_flag_and_the_normal_end_needs_no_word() -> None:
    """What is left needs no condition, be it a default branch or the normal end."""
    process = process_of(
        "start > work > end; border > b > end",
        border={"name": "Too late", "attached_to": "work", "events": events(EventKind.TIMER)},
        work={"name": "Work"},
    )
    assert stubs(process) == {"Work": {"Too late": "data.too_late == true"}}


def test_branch_with_condition_default_branch_and_what_the_sidecar_says_are_left_out() -> None:
    """Only what lacks data is listed."""
    process = process_of(
        "start > xor; xor -big [amount > 1]> a > end; xor -small> b > end; xor -odd> c > end",
        xor={"name": "Size?", "default_flow": "xor>b"},
    )
    assert stubs(process) == {"Size?": {"odd": "data.size == 'odd'"}}
    assert stubs(process, {"decisions": {"Size?": {"odd": "data.odd"}}}) == {}


def test_whether_to_repeat_a_loop_is_not_asked() -> None:
    """No data set can say another thing at every visit."""
    process = process_of("start > a > xor; xor -again> a; xor -done> end", xor={"name": "Done?"})
    assert stubs(process) == {}


def test_gateways_of_one_name_and_branches_of_one_name_are_called_by_their_ids() -> None:
    """What is pasted must mean what it was written for."""
    process = process_of(
        "start > xor1; xor1 -x> xor2; xor1 -x> end; xor2 -y> a > end; xor2 -z> b > end",
        xor1={"name": "Same"},
        xor2={"name": "Same"},
    )
    assert list(stubs(process)) == ["xor1", "xor2"]
    assert list(stubs(process)["xor1"]) == ["x", "xor1>end"]


_NAMES = st.text(min_size=1, max_size=8).filter(lambda text: bool(text.split()))


@given(_NAMES, _NAMES, _NAMES)
def test_stub_reads_back_and_means_its_branches_whatever_the_names(gateway: str, one: str, other: str) -> None:
    """Quoting is right, and after pasting nothing is lacking and nothing is unknown."""
    names = [" ".join(text.split()) for text in (gateway, one, other)]
    drawn = process_of("start > xor; xor -one> a > end; xor -two> b > end", xor={"name": names[0]})
    flows = tuple(
        flow if flow.source != "xor" else type(flow)(flow.id, flow.source, flow.target, names[1 + (flow.target == "b")])
        for flow in drawn.flows
    )
    process = Process(drawn.id, drawn.name, nodes=drawn.nodes, flows=flows)
    pasted = stubs(process)
    assert sum(map(len, pasted.values())) == 2
    assert stubs(process, {"decisions": pasted}) == {}
    suite = plan(process, Bindings.model_validate({"decisions": pasted}))
    assert [str(problem) for problem in suite.problems if problem.severity == "error"] == []
