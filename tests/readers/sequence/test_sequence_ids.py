"""Ids, hashes and places of what a sequence diagram becomes."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BODY = "A->>B: Place order\nalt paid\nA->>B: Ship\nelse\nA->>B: Place order\nend\nloop x\nA->>C: Ship\nend"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    at=st.integers(0, 9), what=st.sampled_from(["A->>B: Other", "%% c", "Note over A: x", "A-)D: Send", "opt y\nend"])
)
def test_insertion_renames_nothing_else(diagrams: Any, at: int, what: str) -> None:
    """An id comes from the text and how often it has occurred, not from the line."""
    lines = BODY.split("\n")
    before = diagrams.mermaid(BODY)
    after = diagrams.mermaid("\n".join([*lines[:at], what, *lines[at:]]))
    kept = {node.id: (node.kind, node.name) for node in before.nodes}
    assert {node.id: (node.kind, node.name) for node in after.nodes if node.id in kept} == kept


def test_namesakes_are_numbered(diagrams: Any) -> None:
    """The second of a text is told by a number behind a mark that no text leads to."""
    process = diagrams.mermaid("A->>B: Pay!\nA->>B: pay\nA->>B: pay 2\nopt a\nA->>B: x\nend\nopt a\nA->>B: x\nend")
    assert [node.id for node in process.nodes if node.kind.is_activity] == ["pay", "pay#2", "pay-2", "x", "x#2"]
    assert [node.id for node in process.nodes if node.kind.is_gateway] == [
        "opt-a",
        "opt-a.join",
        "opt-a#2",
        "opt-a#2.join",
    ]


def test_long_text_has_a_short_id(diagrams: Any) -> None:
    """Texts that only differ far behind have different ids."""
    text = "a very long text " * 10
    ids = [node.id for node in diagrams.mermaid(f"A->>B: {text}1\nA->>B: {text}2").nodes[1:3]]
    assert len({*ids}) == 2
    assert all(len(id_) < 70 for id_ in ids)


def test_text_of_signs_alone_has_an_id(diagrams: Any) -> None:
    """Something must stand for it."""
    assert diagrams.nodes(diagrams.mermaid("A->>B: ???")) == ["task message: ???"]


def test_ids_are_unique_and_everything_has_its_place(diagrams: Any) -> None:
    """Nodes, flows, lanes, participants and notes share one space of names with nobody."""
    process = diagrams.mermaid(
        "participant join\nopt join\nA->>join: a\nend\nloop begin\nA->>join: opt a\nend\nA->>B: start event\n"
        "A->>B: end event\nNote over A: a\nNote over A: a\nbreak end\nA->>B: x\nend\n"
        "par case\nA->>B: y\nand\nA->>B: z\nend"
    )
    ids = [each.id for part in (process.nodes, process.flows, process.lanes, process.artifacts) for each in part]
    assert len({*ids}) == len(ids)
    assert all(each.place and each.place.line for part in (process.nodes, process.flows) for each in part)


def test_hash_tells_flow_and_not_layout(diagrams: Any) -> None:
    """Notes, comments and blank lines change no version; another order does."""
    plain = diagrams.mermaid("A->>B: x\nA->>B: y").hash
    assert diagrams.mermaid("%% c\n\nA->>B: x\nNote over A: n\n  A->>+B: y").hash == plain
    assert diagrams.mermaid("A->>B: y\nA->>B: x").hash != plain


def test_same_diagram_in_both_languages_has_the_same_hash(diagrams: Any) -> None:
    """The model does not depend on the notation."""
    mermaid = diagrams.mermaid("alt in\nA->>B: x\nelse\nA-)B: y\nend\npar\nA->>B: z\nand\nA->>A: w\nend")
    plantuml = diagrams.plantuml("alt in\nA -> B: x\nelse\nA ->> B: y\nend\npar\nA -> B: z\nelse\nA -> A: w\nend")
    assert mermaid.hash == plantuml.hash
