"""What PlantUML's statements mean."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("A -> B : hi", "task A > B"),
        ("A->B:hi", "task A > B"),
        ("A ->> B : hi", "send A > B"),
        ("A -\\ B : hi", "task A > B"),
        ("A -/ B : hi", "task A > B"),
        ("A -\\\\ B : hi", "send A > B"),
        ("A -// B : hi", "send A > B"),
        ("A --> B : hi", "task A > B"),
        ("A -->> B : hi", "send A > B"),
        ("A --\\\\ B : hi", "send A > B"),
        ("A ->x B : hi", "send A > B"),
        ("A ->o B : hi", "task A > B"),
        ("A ->>o B : hi", "send A > B"),
        ("A <-> B : hi", "task A > B"),
        ("A <--> B : hi", "task A > B"),
        ("A <->o B : hi", "task A > B"),
        ("A <- B : hi", "task B > A"),
        ("A <-- B : hi", "task B > A"),
        ("A <<- B : hi", "send B > A"),
        ("A \\- B : hi", "task B > A"),
        ("A //-- B : hi", "send B > A"),
        ("A x<- B : hi", "send B > A"),
        ("A o<- B : hi", "task B > A"),
        ("A -[#red]> B : hi", "task A > B"),
        ("A -[#0000FF]->> B : hi", "send A > B"),
        ("A -[#red,dashed]> B : hi", "task A > B"),
        ("A <[#red]- B : hi", "task B > A"),
        ("A ->(40)++ B : hi", "task A > B"),
        ("A ->(40) B : hi", "task A > B"),
        ("A (10)<- B : hi", "task B > A"),
        ("[-> A : hi", "task outside > A"),
        ("[o-> A : hi", "task outside > A"),
        ("[x<- A : hi", "send A > outside"),
        ("[<- A : hi", "task A > outside"),
        ("[->> A : hi", "send outside > A"),
        ("A ->] : hi", "task A > outside"),
        ("A ->o] : hi", "task A > outside"),
        ("A ->x] : hi", "send A > outside"),
        ("A <-] : hi", "task outside > A"),
        ("?-> A : hi", "task outside > A"),
        ("A ->? : hi", "task A > outside"),
        ("-> A : hi", "task outside > A"),
        ("A -> : hi", "task A > outside"),
        ("A -> A : hi", "task A > A"),
        ("A -> B ++ : hi", "task A > B"),
        ("A -> B ++ #gold : hi", "task A > B"),
        ("A -> B --++ : hi", "task A > B"),
        ("A -> B ** : hi", "task A > B"),
        ("A -> B !! : hi", "task A > B"),
        ("A -> B #red : hi", "task A > B"),
        ("& A -> B : hi", "task A > B"),
        ("{start} A -> B : hi", "task A > B"),
        ('"A a" -> "B: -> b" : hi', "task A a > B: -> b"),
        ('"A a" as A -> B as "B b" : hi', "task A a > B b"),
        ("Ünal -> x.y@z : hi", "task Ünal > x.y@z"),
        ("A->xray:hi", "task A > xray"),
        ("ox->A:hi", "task ox > A"),
        ("A -> B: <b>hi</b>", "task A > B"),
        ("A -> B: **hi**", "task A > B"),
        ("A -> B: <color:red>hi</color> <&heart>", "task A > B"),
        ("A -> B: h<U+0069>", "task A > B"),
        ("A -> B: /' no '/ hi", "task A > B"),
        ("A -> B: \\\n   hi", "task A > B"),
    ],
)
def test_arrow_of_any_spelling_is_a_message(diagrams: Any, statement: str, expected: str) -> None:
    """Thin heads and crosses send, all others call; the arrowhead says where the message goes."""
    kind, _, ends = expected.partition(" ")
    process = diagrams.plantuml(statement)
    assert diagrams.nodes(process) == [f"{kind} hi: hi"]
    assert diagrams.exchange(process) == [f"{ends}: hi"]


def test_participants_have_names_and_aliases(diagrams: Any) -> None:
    """Lanes bear what people see, whichever way round it is declared."""
    process = diagrams.plantuml(
        'actor "The user" as U #red\nparticipant Store as Shop <<svc>> order 10\ncreate database DB as "Data\\nbase"\n'
        'queue "Mail box"\nparticipant Rich [\n  =Title\n  ----\n  A -> B: no\n]\n'
        'U -> Shop : a\nShop -> DB : b\nShop -> "Mail box" : c\nShop -> Rich : d'
    )
    assert [lane.name for lane in process.lanes] == ["Store", "Data base", "Mail box", "Rich"]
    assert diagrams.exchange(process)[0] == "The user > Store: a"


def test_return_answers_the_call_that_activated_last(diagrams: Any) -> None:
    """A call that activates nobody does not take the answer of one that does."""
    process = diagrams.plantuml("A -> B ++ : one\nB -> C : two\nreturn first\nA -> C : three\nactivate C\nreturn last")
    assert [node.documentation for node in process.nodes[1:-1]] == ["reply: first", "", "reply: last"]


def test_return_without_activation_answers_the_latest_call(diagrams: Any) -> None:
    """Where nobody is active, the call before is meant."""
    process = diagrams.plantuml("A -> B : one\nB -> C : two\nreturn inner\nreturn outer")
    assert [node.documentation for node in process.nodes[1:-1]] == ["reply: outer", "reply: inner"]


def test_autoactivate_makes_every_receiver_active(diagrams: Any) -> None:
    """Then ``return`` answers call after call."""
    process = diagrams.plantuml("autoactivate on\nA -> B : one\nautoactivate off\nB -> C : two\nreturn first")
    assert [node.documentation for node in process.nodes[1:-1]] == ["reply: first", ""]


def test_blocks_have_colours_and_comments(diagrams: Any) -> None:
    """What decorates a block is no part of its name."""
    process = diagrams.plantuml(
        "alt#Gold #LightBlue good\nA -> B : x\nelse #Pink bad\nA -> B : y\nelse\nend alt\n"
        "group My own [label]\nA -> B : z\nend\nloop 3 times\nA -> B : w\nend loop\nbox Inside #red\nactor Q\nend box"
    )
    assert [flow.name for flow in process.outgoing["alt-good"]] == ["good", "bad", "else"]
    assert "loop-3-times -[3 times]-> loop-3-times.begin" in diagrams.flows(process)


@pytest.mark.parametrize("word", ["else", "also"])
def test_parallel_branches_are_parted_by_else(diagrams: Any, word: str) -> None:
    """In PlantUML ``else`` parts concurrent branches as well."""
    process = diagrams.plantuml(f"par a\nA -> B : x\n{word} b\nA -> B : y\nend")
    assert diagrams.nodes(process) == ["and par-a", "task x: x", "task y: y", "and par-a.join"]


def test_reference_is_a_call_activity(diagrams: Any) -> None:
    """Another interaction takes place there; what it does is bound like a task."""
    process = diagrams.plantuml("ref over A, B : Log in\nref over A\n  Check\n  out\nend ref")
    assert diagrams.nodes(process) == ["call log-in: Log in", "call check-out: Check out"]


def test_what_says_nothing_about_the_flow_is_passed_over(diagrams: Any) -> None:
    """Looks, notes, dividers, delays and comments leave the one message alone."""
    process = diagrams.plantuml(
        """' a comment
/' a block
A -> B : comment
'/
!theme plain
!pragma teoz true
skinparam responseMessageBelowArrow true
skinparam sequence {
  ArrowColor red
}
<style>
sequenceDiagram { }
</style>
title
 My **title**
end title
header x
legend right
 A -> B : legend
endlegend
hide footbox
autonumber 1 "<b>[000]"
== Part ==
A -> B : hi
note left: one line
note over A, B #aqua
 A -> B : several
end note
/ hnote across: all
rnote right of B
 x
endrnote
note as N
 y
end note
...
...5 minutes later...
|||
||45||
newpage Next
deactivate B
destroy B
{start} <-> {end} : some time
caption x"""
    )
    assert diagrams.nodes(process) == ["task hi: hi"]
    assert process.name == "My title"
    assert [note.text for note in process.artifacts] == ["one line", "A -> B : several", "all", "x", "y"]
    assert str(process.nodes[1].place) == "flow.puml:25:1"


def test_file_may_hold_several_diagrams(diagrams: Any) -> None:
    """Each is a process, named by what follows ``@startuml``; what lies between is nobody's."""
    text = (
        '@startuml check-out\nA -> B : x\n@enduml\nprose\n@startuml "Log in"\nA -> B : x\n@enduml\n'
        "@startuml\nA -> B : x\n@enduml\n@startuml\nA -> B : y\n@enduml\n@startuml(id=last)\nA -> B : z\n@enduml"
    )
    document = diagrams.document(text, "flows.pu")
    assert document.problems == ()
    assert [(each.id, each.name) for each in document.processes] == [
        ("check-out", "check-out"),
        ("log-in", "Log in"),
        ("flows", ""),
        ("flows#2", ""),
        ("last", "last"),
    ]
    assert [each.nodes[1].id for each in document.processes] == ["x", "x", "x", "y", "z"]
