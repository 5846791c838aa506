"""What users read when a sequence diagram is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_orchestra.problem import Severity
from pytest_orchestra.readers.sequence import holds_sequence, read_sequence_file

MERMAID = "hint: write a message as 'A->>B: text'; this is left out"
PLANTUML = "hint: write a message as 'A -> B: text', with names of several words in quotes; this is left out"
END = "hint: close it with 'end'"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A->>B: x\n  tell B\n", [f"warning flow.mmd:3:3: 'tell B' is not understood\n{MERMAID}"]),
        (
            "A->>B: {a: 1; b: 2}",
            [
                (
                    "warning flow.mmd:2:15: 'b: 2}' is not understood\n"
                    "hint: a ';' ends a statement; write '#59;' for one in a text; this is left out"
                )
            ],
        ),
        ("A->>B: x\nparticipant", [f"warning flow.mmd:3:1: 'participant' is not understood\n{MERMAID}"]),
        ("A->>B: x\nnote B", [f"warning flow.mmd:3:1: 'note B' is not understood\n{MERMAID}"]),
        ("A->>B: x\ncreate B", [f"warning flow.mmd:3:1: 'create B' is not understood\n{MERMAID}"]),
        ("A->>B: x\n->>B: y", [f"warning flow.mmd:3:1: '->>B: y' is not understood\n{MERMAID}"]),
        ("alt a\nA->>B: x", [f"error flow.mmd:2:1: 'alt' is not closed\n{END}"]),
        (
            "opt a\nrect red\nA->>B: x\nend",
            [f"error flow.mmd:2:1: 'opt' is not closed\n{END}"],
        ),
        (
            "A->>B: x\n end",
            ["error flow.mmd:3:2: 'end' closes nothing\nhint: delete it, or open a block before it"],
        ),
        (
            "A->>B: x\nelse y",
            [
                (
                    "error flow.mmd:3:1: 'else' stands alone, and belongs into 'alt'\n"
                    "hint: delete it, or open the block before it"
                )
            ],
        ),
        (
            "loop x\nA->>B: x\nand y\nend",
            [
                (
                    "error flow.mmd:4:1: 'and' stands in 'loop' of line 2, and belongs into 'par'\n"
                    "hint: close 'loop' with 'end' before it, or make it 'par'"
                )
            ],
        ),
        (
            "A->>B: x\nloop y\nend",
            [
                (
                    "warning flow.mmd:3:1: 'loop' holds no message\n"
                    "hint: put a message into it, or delete it; it is left out"
                )
            ],
        ),
        (
            "participant Orders\nparticipant Stock as Warehouse\nA->>Order: x\nA->>Order: y\nA->>warehouse: z",
            [
                "warning flow.mmd:4:1: participant 'Order' is not declared\nhint: did you mean 'Orders'?",
                "warning flow.mmd:6:1: participant 'warehouse' is not declared\nhint: did you mean 'Stock'?",
            ],
        ),
        (
            "%% nothing",
            [
                (
                    "error flow.mmd:1:1: diagram 'flow' holds no message\n"
                    "hint: write what happens as messages, such as 'A->>B: text'"
                )
            ],
        ),
    ],
)
def test_mermaid_problem(diagrams: Any, body: str, expected: list[str]) -> None:
    """What is not understood is told with its place and one action."""
    assert diagrams.mermaid_problems(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A -> B: x\n  tell B\n", [f"warning flow.puml:3:3: 'tell B' is not understood\n{PLANTUML}"]),
        ("A -> B: x\nA - B: x\n", [f"warning flow.puml:3:1: 'A - B: x' is not understood\n{PLANTUML}"]),
        ("A -> B: x\n[->]: x\n", [f"warning flow.puml:3:1: '[->]: x' is not understood\n{PLANTUML}"]),
        (
            "A -> B: x\nmy shop -> B: x\n",
            [f"warning flow.puml:3:1: 'my shop -> B: x' is not understood\n{PLANTUML}"],
        ),
        (
            "return x\nA -> B: x",
            [
                (
                    "warning flow.puml:2:1: 'return' answers nothing, for no call is open\n"
                    "hint: delete it, or write the message as an arrow; it is left out"
                )
            ],
        ),
        (
            "!include common.puml\nA -> B: x",
            [
                (
                    "warning flow.puml:2:1: '!include common.puml' is for PlantUML's preprocessor, which is not run\n"
                    "hint: give the text as PlantUML's option '-preproc' writes it; this line is left out"
                )
            ],
        ),
        (
            "!procedure $x()\nA -> B: y\n!endprocedure\n!$a = 1\nA -> B: x",
            [
                f"warning flow.puml:{place}: '{text}' is for PlantUML's preprocessor, which is not run\n"
                "hint: give the text as PlantUML's option '-preproc' writes it; this line is left out"
                for place, text in (("2:1", "!procedure $x()"), ("5:1", "!$a = 1"))
            ],
        ),
        (
            "A -> B: x\nnote left\nA -> B: y",
            ["error flow.puml:3:1: 'note' is not closed\nhint: close it with 'end note'"],
        ),
        (
            "alt\nA -> B: x\nopt\nA -> B: y\nelse\nend\nend",
            [
                (
                    "error flow.puml:6:1: 'else' stands in 'opt' of line 4, and belongs into 'alt' or 'par'\n"
                    "hint: close 'opt' with 'end' before it, or make it 'alt' or 'par'"
                )
            ],
        ),
    ],
)
def test_plantuml_problem(diagrams: Any, body: str, expected: list[str]) -> None:
    """What is not understood is told with its place and one action."""
    assert diagrams.plantuml_problems(body) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "x.mmd",
            "",
            ["error x.mmd: the file holds no diagram\nhint: begin with the line 'sequenceDiagram'"],
        ),
        (
            "x.mmd",
            "\n  flowchart TD\nA-->B",
            [
                (
                    "error x.mmd:2:3: the file begins with 'flowchart', not with 'sequenceDiagram'\n"
                    "hint: give a sequence diagram; other kinds of diagrams hold no process"
                )
            ],
        ),
        (
            "x.puml",
            "A -> B: x",
            [
                (
                    "error x.puml: the file holds no '@startuml'\n"
                    "hint: write '@startuml' before the diagram and '@enduml' behind it"
                )
            ],
        ),
        (
            "x.puml",
            "@startmindmap\n* x\n@endmindmap",
            [
                (
                    "error x.puml:1:1: '@startmindmap' is no sequence diagram\n"
                    "hint: give sequence diagrams; this one is left out"
                )
            ],
        ),
        (
            "x.puml",
            "@startuml classes\nclass A\nA --> B : uses\n@enduml",
            [
                (
                    "error x.puml:1:1: '@startuml classes' is no sequence diagram\n"
                    "hint: give sequence diagrams; this one is left out"
                )
            ],
        ),
        (
            "x.puml",
            "@startuml\nA -> B: x\n@enduml\n@startuml\n[A] --> [B]\n@enduml\n@startuml e\nparticipant A\n@enduml",
            [
                (
                    "warning x.puml:4:1: '@startuml' is no sequence diagram\n"
                    "hint: give sequence diagrams; this one is left out"
                ),
                (
                    "warning x.puml:7:1: diagram 'e' holds no message\n"
                    "hint: write what happens as messages, such as 'A->>B: text'"
                ),
            ],
        ),
        (
            "x.puml",
            "@startuml\nA -> B: x",
            ["warning x.puml:1:1: '@startuml' is not closed\nhint: write '@enduml' behind the diagram"],
        ),
        (
            "x.mmd",
            b"sequenceDiagram\nA->>B: \xff",
            ["error x.mmd:2:8: byte '0xff' is not UTF-8\nhint: save the file in the encoding UTF-8"],
        ),
        (
            "x.mmd",
            "sequenceDiagram\n" + "opt x\n" * 101,
            [
                (
                    "error x.mmd:102:1: blocks are nested more than 100 deep\n"
                    "hint: move the inner blocks to a diagram of their own"
                )
            ],
        ),
        (
            "x.mmd",
            b"x" * 4_000_001,
            ["error x.mmd: the file is larger than 4 MB\nhint: split the diagram over several files"],
        ),
    ],
)
def test_file_problem(diagrams: Any, name: str, text: str | bytes, expected: list[str]) -> None:
    """What is wrong with a whole file is told once."""
    assert diagrams.problems(text, name) == expected


def test_blocks_may_be_nested_a_hundred_deep(diagrams: Any) -> None:
    """The limit is far from what anybody draws."""
    process = diagrams.mermaid("opt x\n" * 100 + "A->>B: y\n" + "end\n" * 100)
    assert len(process.nodes) == 203


def test_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """Nothing is raised for what the operating system refuses."""
    for path in (tmp_path / "absent.mmd", tmp_path, Path("a\0b.mmd")):
        document = read_sequence_file(path)
        assert document.processes == ()
        assert [problem.severity for problem in document.problems] == [Severity.ERROR]


def test_broken_diagram_gives_no_process(diagrams: Any) -> None:
    """Nobody knows what it means; the other diagrams of the file are used."""
    text = "@startuml a\nalt x\nA -> B : y\n@enduml\n@startuml b\nA -> B : y\n@enduml\n"
    text += "@startuml c\nA -> B : y\nnote left\n@enduml"
    document = diagrams.document(text, "flow.puml")
    assert [process.id for process in document.processes] == ["b"]
    assert [str(problem.place) for problem in document.problems] == ["flow.puml:2:1", "flow.puml:10:1"]


@pytest.mark.parametrize(
    ("name", "text", "holds"),
    [
        ("a.mmd", "sequenceDiagram", True),
        ("a.mmd", "%% x\n---\nerDiagram", False),
        ("a.mmd", "", False),
        ("a.mmd", b"\xff", True),
        ("a.puml", "@startuml\nA -> B\n@enduml", True),
        ("a.puml", "@startuml\nparticipant A\nstate x\n@enduml", True),
        ("a.puml", "@startuml\nstart\n:do it;\nstop\n@enduml", False),
        ("a.puml", "@startuml\n[*] --> Idle\n@enduml", False),
        ("a.puml", '@startuml\n!include <C4/C4_Container>\nPerson(alice, "Alice")\n@enduml', False),
        ("a.puml", "@startuml\nentity A {\nid\n}\n@enduml", False),
        ("a.puml", "@startuml\n@enduml", False),
        ("a.puml", "@startuml\nactor U\nU --> (Log in)\n@enduml", False),
        ("a.puml", "@startuml\nA <|-- B\n@enduml", False),
        ("a.puml", "skinparam x y", False),
    ],
)
def test_diagram_of_another_kind_is_no_process(tmp_path: Path, name: str, text: str | bytes, holds: bool) -> None:
    """A project's other diagrams are left alone; what cannot be read is somebody's business."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert holds_sequence(path) is holds
    assert holds_sequence(tmp_path) is False
