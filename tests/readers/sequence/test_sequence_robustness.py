"""No text makes the reader raise, and none makes it slow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.process import ProcessDocument
from pytest_orchestra.problem import Severity
from pytest_orchestra.readers.sequence import holds_sequence, read_sequence_file

unhurried = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
NAMES = ["mmd", "puml", "other"]
MERMAID = [
    *("sequenceDiagram", "alt a", "else", "else b", "opt c", "loop d", "par e", "and f", "break g", "critical h"),
    *("option i", "end", "rect red", "box x", "Note over A: n", "participant A as B", "create actor C", "activate B"),
    *(
        "A->>B: x",
        "B-->>A: y",
        "A->>B",
        "A-)C: z",
        "C--)A:",
        "A-xB: #59; #",
        "->>",
        ";",
        ":",
        "---",
        "%%{",
        "}%%",
        "%%",
    ),
    *("accDescr {", "}", "title t", "A->>+B: e\u0301<br/>", "end end", "\ue0005\ue001", "autonumber"),
]
PLANTUML = [
    *("@startuml", "@enduml", "@startuml n", "@startsalt", "alt a", "else", "also b", "opt c", "loop d", "par e"),
    *(
        "break g",
        "critical h",
        "group i",
        "end",
        "end note",
        "end ref",
        "note left",
        "note over A : n",
        "ref over A : r",
    ),
    *(
        "ref over A",
        "participant A [",
        "]",
        "A -> B ++ : x",
        "B --> A : y",
        "return z",
        "activate B",
        "A ->> B",
        "[-> A",
    ),
    *(
        "A ->x]",
        "?<- B",
        "/'",
        "'/",
        "' c",
        "!include x",
        "!procedure x",
        "!endprocedure",
        "\\",
        "class A",
        "title",
        "{",
    ),
    *("skinparam x {", "<style>", "== d ==", "...", '"', "A -[#r]> B : x", "box", "end box", "autoactivate on"),
]


def read(folder: Path, data: bytes, suffix: str) -> ProcessDocument:
    path = folder / f"any.{suffix}"
    path.write_bytes(data)
    document = read_sequence_file(path)
    holds_sequence(path)
    assert document.processes or any(problem.severity is Severity.ERROR for problem in document.problems)
    for problem in document.problems:
        assert problem.hint
        assert problem.message.isprintable()
    for process in document.processes:
        ids = [each.id for each in (*process.nodes, *process.flows)]
        assert len({*ids}) == len(ids)
        targets = {flow.target for flow in process.flows}
        for flow in process.flows:
            assert {flow.source, flow.target} <= process.node.keys()
        for node in process.nodes:
            assert node.place
            assert node.place.line
            assert (node.id in targets) is (node.kind != "startEvent")
            assert bool(process.outgoing[node.id]) is (node.kind != "endEvent")
    return document


@unhurried
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode), suffix=st.sampled_from(NAMES))
def test_arbitrary_text_is_read_or_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    """Whatever lies in the file, the reader answers."""
    read(tmp_path, data, suffix)


@unhurried
@given(
    lines=st.lists(st.sampled_from(MERMAID) | st.text(max_size=8), max_size=40),
    separator=st.sampled_from(["\n", "\r\n", ";", " ", ""]),
)
def test_soup_of_mermaid_words_gives_a_process_that_can_be_planned(
    tmp_path: Path, lines: list[str], separator: str
) -> None:
    """Whatever order the statements come in, every node lies on a way from the start to an end."""
    text = "sequenceDiagram\n" + separator.join(lines)
    for process in read(tmp_path, text.encode("utf-8", "replace"), "mmd").processes:
        suite = build_suite(process, None, [])
        assert suite.scenarios or not process.nodes


@unhurried
@given(
    lines=st.lists(st.sampled_from(PLANTUML) | st.text(max_size=8), max_size=40),
    separator=st.sampled_from(["\n", "\r\n", " ", ""]),
)
def test_soup_of_plantuml_words_gives_processes_that_can_be_planned(
    tmp_path: Path, lines: list[str], separator: str
) -> None:
    """The same for the other language."""
    text = "@startuml\n" + separator.join(lines)
    for process in read(tmp_path, text.encode("utf-8", "replace"), "puml").processes:
        suite = build_suite(process, None, [])
        assert suite.scenarios or not process.nodes


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("mmd", "sequenceDiagram\n" + "".join(f"A->>+B{n % 9}: Step {n}\nB{n % 9}-->>-A: ok\n" for n in range(10_000))),
        (
            "puml",
            "@startuml\n" + "".join(f"A -> B{n % 9} ++ : Step {n}\nreturn ok\n" for n in range(10_000)) + "@enduml",
        ),
        ("mmd", "sequenceDiagram\n" + "A->>B: x\n" * 5_000 + "opt a\nB-->>A: y\nend\n" * 5_000),
        ("puml", "@startuml\n" + "A -> B: x\n" * 5_000 + "alt\n" + "return\n" * 5_000 + "else\n" * 5_000 + "end\n"),
        ("mmd", "sequenceDiagram\n" + "no message\n" * 50_000),
    ],
)
def test_ten_thousand_messages_take_about_a_second(tmp_path: Path, suffix: str, text: str) -> None:
    """The time grows with the file; five seconds leave room for a slow and busy machine."""
    begun = time.process_time()
    read(tmp_path, text.encode(), suffix)
    assert time.process_time() - begun < 5


SPACES = " " * 1_000_000
LONG = 300_000


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("mmd", "%%{" * LONG),
        ("mmd", f"---\ntitle: a{SPACES}b\n---\nsequenceDiagram"),
        ("mmd", "sequenceDiagram\nA->>B: " + "x-" * LONG),
        ("mmd", "sequenceDiagram\n" + "-x" * LONG),
        ("mmd", f"sequenceDiagram\nparticipant A{SPACES}b"),
        ("mmd", "sequenceDiagram\nparticipant A" + "@{" * LONG),
        ("mmd", "sequenceDiagram\nA->>B:" + "<br" * LONG + SPACES),
        ("mmd", "sequenceDiagram\nA->>B:" + "#a" * LONG),
        ("puml", "@startuml\nA -> B : " + "/'" * LONG),
        ("puml", "@startuml\nA -> B : " + "<b" * LONG),
        ("puml", "@startuml\nA -> B : " + "**x" * LONG),
        ("puml", "@startuml\nA -> B : " + "&#1" * LONG),
        ("puml", f"@startuml\nA ->{SPACES}b!"),
        ("puml", "@startuml\nA -> B" + "  #a" * LONG + " !"),
        ("puml", "@startuml\nA" + "<<" * LONG),
        ("puml", "@startuml\nparticipant A" + "<<" * LONG),
        ("puml", "@startuml\nparticipant A" + " #a" * LONG + " !"),
        ("puml", "@startuml\n" + "A ->[ " * LONG),
        ("puml", "@startuml\n" + "(-->" * LONG),
        ("puml", "@startuml\n" + "-" * LONG),
        ("puml", "@startuml\n" + "note over x " * LONG),
        ("puml", "@startuml\n" + "ref over x " * LONG),
        ("puml", "@startuml\n" + "legend a " * LONG + "!"),
        ("puml", "@startuml\nalt" + "#a" * LONG + "!"),
        ("puml", "@startuml\n" + "!final " * LONG),
        ("puml", "@startuml\n" + "\\\n" * LONG),
        ("puml", "@startuml\n" + '"' * LONG),
    ],
)
def test_no_line_is_slow_to_match(tmp_path: Path, suffix: str, text: str) -> None:
    """A line that nobody would write costs no more than its length."""
    begun = time.process_time()
    read(tmp_path, text.encode(), suffix)
    assert time.process_time() - begun < 5
