"""What Mermaid's statements mean."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_orchestra.model.process import SourceType


def test_messages_become_tasks_in_order_and_replies_belong_to_their_calls(diagrams: Any) -> None:
    """A saga as architects draw it: calls, self messages and replies with activation marks, notes and unicode."""
    process = diagrams.mermaid(
        """
    participant GW as Шлюз
    participant Saga as Saga<br/>runner
    participant Repo
    actor U
    U->>+GW: POST /saga/settle
    GW->>+Saga: [forwards]
    Saga->>Saga: Begin, step 1: check input
    Saga->>Repo: GET /input.json
    Repo-->>Saga: 404 Not Found
    Note over Saga: Nothing there<br/>yet
    Saga->>Repo: POST /commit
    Repo-->>Saga: 201 Created
    Saga-->>-GW: 200 OK, {status: 'waiting'}
    GW-->>-U: [forwards]"""
    )
    assert diagrams.nodes(process) == [
        "task post-saga-settle: POST /saga/settle",
        "task forwards: [forwards]",
        "task begin-step-1-check-input: Begin, step 1: check input",
        "task get-input-json: GET /input.json",
        "task post-commit: POST /commit",
    ]
    assert diagrams.exchange(process) == [
        "U > Шлюз: POST /saga/settle",
        "Шлюз > Saga runner: [forwards]",
        "Saga runner > Saga runner: Begin, step 1: check input",
        "Saga runner > Repo: GET /input.json",
        "Saga runner > Repo: POST /commit",
    ]
    assert [node.documentation for node in process.nodes] == [
        "",
        "reply: [forwards]",
        "reply: 200 OK, {status: 'waiting'}",
        "",
        "reply: 404 Not Found",
        "reply: 201 Created",
        "",
    ]
    assert diagrams.flows(process) == [
        "start-event -> post-saga-settle",
        "post-saga-settle -> forwards",
        "forwards -> begin-step-1-check-input",
        "begin-step-1-check-input -> get-input-json",
        "get-input-json -> post-commit",
        "post-commit -> end-event",
    ]
    assert [(lane.id, lane.name, lane.nodes) for lane in process.lanes] == [
        ("lane.gw", "Шлюз", ("post-saga-settle",)),
        ("lane.saga", "Saga runner", ("forwards", "begin-step-1-check-input")),
        ("lane.repo", "Repo", ("get-input-json", "post-commit")),
    ]
    assert [(note.kind, note.text) for note in process.artifacts] == [("textAnnotation", "Nothing there yet")]


def test_document_has_source_participants_and_messages(diagrams: Any) -> None:
    """The collaboration keeps who spoke to whom, replies included."""
    document = diagrams.document("sequenceDiagram\nA->>B: ask\nB-->>A: tell", "flow.mmd")
    (collaboration,) = document.collaborations
    assert document.source_type is SourceType.SEQUENCE
    assert [(each.id, each.name) for each in collaboration.participants] == [
        ("participant.a", "A"),
        ("participant.b", "B"),
    ]
    assert [(flow.name, flow.source, flow.target) for flow in collaboration.message_flows] == [
        ("ask", "participant.a", "participant.b"),
        ("tell", "participant.b", "participant.a"),
    ]


@pytest.mark.parametrize(
    ("arrow", "kind"),
    [
        ("->>", "task"),
        ("->", "task"),
        ("<<->>", "task"),
        ("<<-->>", "task"),
        ("-)", "send"),
        ("-x", "send"),
        ("-->>", "task"),
        ("-->", "task"),
        ("--)", "send"),
        ("--x", "send"),
        ("-|\\", "task"),
        ("-|/", "task"),
        ("-\\\\", "task"),
        ("-//", "task"),
    ],
)
@pytest.mark.parametrize("form", ["A{}B: hi", "A {} B : hi", "A{}+B:hi", "A{}-B: hi", "A(){}()B: hi", "a-b{}c-d: hi"])
def test_arrow_of_any_kind_is_a_message(diagrams: Any, arrow: str, kind: str, form: str) -> None:
    """Open arrowheads and crosses send, all others call; a dotted one that answers nothing is a message as well."""
    process = diagrams.mermaid(form.format(arrow))
    assert diagrams.nodes(process) == [f"{kind} hi: hi"]
    sender, receiver = ("a-b", "c-d") if form.startswith("a-b") else ("A", "B")
    assert diagrams.exchange(process) == [f"{sender} > {receiver}: hi"]


@pytest.mark.parametrize("arrow", ["\\|-", "/|--", "\\\\-", "//--"])
def test_arrow_with_its_head_on_the_left_leads_there(diagrams: Any, arrow: str) -> None:
    """Mermaid's reversed half arrows are messages from right to left."""
    assert diagrams.exchange(diagrams.mermaid(f"A{arrow}B: hi")) == ["B > A: hi"]


def test_alternatives_become_branches(diagrams: Any) -> None:
    """Every case is a flow of its name out of one gateway; all come together again."""
    process = diagrams.mermaid(
        """alt in stock
          S->>W: Reserve
        else sold out
        else
          S->>C: Ask
        end"""
    )
    assert diagrams.nodes(process) == [
        "xor alt-in-stock: in stock?",
        "task reserve: Reserve",
        "task ask: Ask",
        "xor alt-in-stock.join",
    ]
    assert diagrams.flows(process) == [
        "start-event -> alt-in-stock",
        "alt-in-stock -[in stock]-> reserve",
        "reserve -> alt-in-stock.join",
        "alt-in-stock -[sold out]-> alt-in-stock.join",
        "alt-in-stock -[else]-> ask",
        "ask -> alt-in-stock.join",
        "alt-in-stock.join -> end-event",
    ]
    assert process.node["alt-in-stock"].default_flow == "alt-in-stock.else"
    assert [str(flow.place) for flow in process.outgoing["alt-in-stock"]] == [
        "flow.mmd:2:1",
        "flow.mmd:4:9",
        "flow.mmd:5:9",
    ]


@pytest.mark.parametrize("keyword", ["opt", "alt"])
def test_single_case_can_be_passed_over(diagrams: Any, keyword: str) -> None:
    """What happens only in one case has a branch around it."""
    process = diagrams.mermaid(f"{keyword} gift\nS->>W: Wrap\nend")
    assert diagrams.flows(process) == [
        f"start-event -> {keyword}-gift",
        f"{keyword}-gift -[gift]-> wrap",
        f"wrap -> {keyword}-gift.join",
        f"{keyword}-gift -[else]-> {keyword}-gift.join",
        f"{keyword}-gift.join -> end-event",
    ]


def test_loop_runs_once_and_can_go_back(diagrams: Any) -> None:
    """The way back bears the loop's text."""
    process = diagrams.mermaid("loop every minute\nA->>B: Poll\nend\nA->>B: Stop")
    assert diagrams.nodes(process) == [
        "xor loop-every-minute.begin",
        "task poll: Poll",
        "xor loop-every-minute: every minute?",
        "task stop: Stop",
    ]
    assert diagrams.flows(process) == [
        "start-event -> loop-every-minute.begin",
        "loop-every-minute.begin -> poll",
        "poll -> loop-every-minute",
        "loop-every-minute -[every minute]-> loop-every-minute.begin",
        "loop-every-minute -[else]-> stop",
        "stop -> end-event",
    ]


def test_parallel_branches_are_forked_and_joined(diagrams: Any) -> None:
    """``par`` and ``and`` are concurrent branches."""
    process = diagrams.mermaid("par mail\nA->>B: Mail\nand\nA->>C: Print\nend")
    assert diagrams.nodes(process) == ["and par-mail", "task mail: Mail", "task print: Print", "and par-mail.join"]
    assert diagrams.flows(process) == [
        "start-event -> par-mail",
        "par-mail -[mail]-> mail",
        "mail -> par-mail.join",
        "par-mail -> print",
        "print -> par-mail.join",
        "par-mail.join -> end-event",
    ]


def test_break_ends_the_whole(diagrams: Any) -> None:
    """A break outside of loops leads to an end event of its own."""
    process = diagrams.mermaid("A->>B: Ask\nbreak refused\nA->>A: Log\nend\nA->>B: Go on")
    assert diagrams.flows(process) == [
        "start-event -> ask",
        "ask -> break-refused",
        "break-refused -[refused]-> log",
        "log -> break-refused.end",
        "break-refused -[else]-> go-on",
        "go-on -> end-event",
    ]
    assert process.node["break-refused.end"].events == ()


def test_break_in_a_loop_leaves_the_loop(diagrams: Any) -> None:
    """As in UML, a break replaces the rest of what encloses it, here of the loop, from whatever depth within."""
    process = diagrams.mermaid("loop retry\nopt hurry\nbreak done\nA->>B: Thank\nend\nend\nA->>B: Ask\nend")
    assert "thank -> loop-retry.join" in diagrams.flows(process)
    assert "loop-retry -[else]-> loop-retry.join" in diagrams.flows(process)
    assert "break-done.end" not in process.node


def test_break_between_concurrent_branches_terminates(diagrams: Any) -> None:
    """The other branches would wait at the join for ever."""
    process = diagrams.mermaid("par\nbreak lost\nA->>B: x\nend\nand\nA->>B: y\nend")
    (event,) = process.node["break-lost.end"].events
    assert event.kind == "terminateEventDefinition"


def test_critical_region_is_followed_by_what_may_have_happened(diagrams: Any) -> None:
    """The region runs; then either it went well, or one of the options is dealt with."""
    process = diagrams.mermaid("critical connect\nA->>B: Dial\noption timeout\nA->>A: Retry\noption busy\nend")
    assert diagrams.flows(process) == [
        "start-event -> dial",
        "dial -> critical-connect",
        "critical-connect -[connect]-> critical-connect.join",
        "critical-connect -[timeout]-> retry",
        "retry -> critical-connect.join",
        "critical-connect -[busy]-> critical-connect.join",
        "critical-connect.join -> end-event",
    ]


def test_critical_region_without_options_is_what_it_holds(diagrams: Any) -> None:
    """Nothing is to be decided there."""
    assert diagrams.nodes(diagrams.mermaid("critical\nA->>B: Dial\nend")) == ["task dial: Dial"]


def test_blocks_nest(diagrams: Any) -> None:
    """Inner blocks lie whole within one branch of the outer."""
    process = diagrams.mermaid("alt a\nloop b\npar c\nA->>B: x\nand\nA->>B: y\nend\nend\nelse d\nend")
    assert diagrams.flows(process) == [
        "start-event -> alt-a",
        "alt-a -[a]-> loop-b.begin",
        "loop-b.begin -> par-c",
        "par-c -[c]-> x",
        "x -> par-c.join",
        "par-c -> y",
        "y -> par-c.join",
        "par-c.join -> loop-b",
        "loop-b -[b]-> loop-b.begin",
        "loop-b -[else]-> alt-a.join",
        "alt-a -[d]-> alt-a.join",
        "alt-a.join -> end-event",
    ]


def test_what_says_nothing_about_the_flow_is_passed_over(diagrams: Any) -> None:
    """Looks, links, numbers, activations and descriptions leave the one message alone."""
    process = diagrams.mermaid(
        """%% a comment
    autonumber 10 5
    accTitle: title
    accDescr: one line
    accDescr {
      several
      A->>B: not a message
    }
    box rgb(1,2,3) Inside
      participant A@{ "type": "database", "alias": "Store" }
      create participant B as "B, the second"
    end
    rect rgb(0, 255, 0)
      link A: Wiki @ https://example.org
      links A: {"x": "y"}
      properties A: {"a": "b"}
      details A: x
      A->>B:wrap: Say #35;1 &lt;b#gt;<br>and more # a comment; A->>B: nothing
    end
    activate B;deactivate B
    note right of A: x
    Note over A,B: y
    destroy B"""
    )
    assert diagrams.exchange(process) == ["Store > B, the second: Say #1 <b> and more"]


def test_title_and_front_matter_name_the_process(diagrams: Any) -> None:
    """The id comes from the file's name, so that a better title renames nothing."""
    text = (
        "---\nconfig:\n  theme: dark\ntitle: 'Check out'\n---\n%%{init: {\n 'x': 1}}%%\n\n  sequenceDiagram\nA->>B: x"
    )
    process = diagrams.document(text, "Check Out.v2.mermaid").processes[0]
    assert (process.id, process.name, str(process.place)) == ("check-out-v2", "Check out", "Check Out.v2.mermaid:9:3")
    assert str(process.nodes[1].place) == "Check Out.v2.mermaid:10:1"
    assert diagrams.mermaid("title: Other\nA->>B: x").name == "Other"


def test_statements_may_share_a_line(diagrams: Any) -> None:
    """A semicolon ends a statement; columns are told right."""
    process = diagrams.mermaid("A->>B: one;  B->>C: two")
    assert [str(node.place) for node in process.nodes[1:3]] == ["flow.mmd:2:1", "flow.mmd:2:14"]


def test_keywords_have_any_case_and_do_not_swallow_participants(diagrams: Any) -> None:
    """Mermaid's words are words only where a space follows."""
    process = diagrams.mermaid("OPT x\noptimizer->>end_user: a\nEND\nActor ->> B: b\nloopback-)note-taker: c")
    assert diagrams.exchange(process) == ["optimizer > end_user: a", "Actor > B: b", "loopback > note-taker: c"]


def test_message_without_text_is_named_by_its_ends(diagrams: Any) -> None:
    """Something must name it."""
    process = diagrams.mermaid("participant A as Shop\nA->>B\nA->>B:")
    assert diagrams.nodes(process) == ["task shop-b: Shop -> B", "task shop-b#2: Shop -> B"]
