"""Process models of all languages behind one door."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_orchestra.model.process import SourceType
from pytest_orchestra.readers.process_file import PROCESS_SUFFIXES, is_process_file, read_process
from pytest_orchestra.readers.sidecar import sidecar_path

BPMN = (
    "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL'><process id='p'><task id='t'/></process>"
    "</definitions>"
)
MERMAID = "sequenceDiagram\nA->>B: x"
PLANTUML = "@startuml\nA -> B : x\n@enduml"
TEXTS = {
    "order.bpmn": BPMN,
    "order.bpmn2": BPMN,
    "order.bpmn20.xml": BPMN,
    "order.mmd": MERMAID,
    "ORDER.MERMAID": MERMAID,
    "order.puml": PLANTUML,
    "order.plantuml": PLANTUML,
    "order.pu": PLANTUML,
}


@pytest.mark.parametrize("name", TEXTS)
def test_file_is_read_by_the_reader_of_its_language(tmp_path: Path, name: str) -> None:
    """The suffix says which language it is, whatever its case."""
    path = tmp_path / name
    path.write_text(TEXTS[name])
    document = read_process(path)
    assert is_process_file(path)
    assert document.problems == ()
    assert len(document.processes) == 1
    assert document.source_type is (SourceType.BPMN if "bpmn" in name else SourceType.SEQUENCE)
    assert sidecar_path(path) == tmp_path / f"{name.split('.', maxsplit=1)[0]}.orchestra.yaml"


def test_every_suffix_is_known() -> None:
    """The list that others use is the list of what is read."""
    assert {"." + name.lower().partition(".")[2] for name in TEXTS} == set(PROCESS_SUFFIXES)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.xml", BPMN), ("a.md", MERMAID), ("a.mmd", "flowchart LR\nA-->B"), ("a.puml", "@startuml\nclass A\n@enduml")],
)
def test_other_files_are_no_processes(tmp_path: Path, name: str, text: str) -> None:
    """Neither other suffixes nor diagrams of other kinds are taken."""
    path = tmp_path / name
    path.write_text(text)
    assert not is_process_file(path)
