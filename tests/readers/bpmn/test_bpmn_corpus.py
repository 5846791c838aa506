"""Real files of many vendors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pytest_orchestra.model.process import NodeKind, ProcessDocument
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.bpmn import read_process_file

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "bpmn"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
MODEL = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"

pytestmark = pytest.mark.skipif(not FILES, reason="the corpus of real files is not there")

UNUSABLE = {
    "empty.bpmn": "the file is empty",
    "xmlns-redeclaration.bpmn": "the attribute 'xmlns' stands twice in one tag",
    "participant-interfaceRef.bpmn": "the file holds no process",
    "process-with-sub-process.bpmn": "the prefix 'camunda' is not declared",
    "BPMN2-XXE-Process.bpmn2": "a DOCTYPE is not allowed, for it can fetch files and expand without bounds",
    "start-tasks-end_entities_in_attributes.bpmn": "the entity '&reg;' is not defined",
}


@pytest.fixture(params=FILES, ids=lambda path: path.relative_to(CORPUS).as_posix())
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def document(path: Path) -> ProcessDocument:
    return read_process_file(path)


def errors_of(document: ProcessDocument) -> list[Problem]:
    return [problem for problem in document.problems if problem.severity is Severity.ERROR]


def count_elements(root: ET.Element, names: set[str]) -> int:
    """Count BPMN elements in processes and choreographies, those in vendors' extensions left out."""

    def walk(element: ET.Element) -> Iterator[ET.Element]:
        for child in element:
            if child.tag != f"{MODEL}extensionElements":
                yield child
                yield from walk(child)

    holders = [child for child in root if child.tag in {f"{MODEL}process", f"{MODEL}choreography"}]
    return sum(element.tag.removeprefix(MODEL) in names for holder in holders for element in walk(holder))


def test_real_file_yields_processes_or_one_error(path: Path, document: ProcessDocument) -> None:
    """Every real file can be used, or says in one sentence why not."""
    errors = [problem.message for problem in errors_of(document)]
    assert errors == ([UNUSABLE[path.name]] if path.name in UNUSABLE else [])
    assert bool(document.processes) is (path.name not in UNUSABLE)


def test_problems_of_real_file_have_place_and_hint(path: Path, document: ProcessDocument) -> None:
    """Every problem says where it is and what mends it."""
    for problem in document.problems:
        assert problem.place.file == str(path)
        assert problem.hint
        assert (problem.place.line and problem.place.column) or problem.message == "the file is empty"
        assert problem.message[0].islower() or problem.message.startswith(("'", "BPMN"))
        assert not problem.message.endswith(".")


def test_all_nodes_and_flows_of_real_file_are_read(path: Path, document: ProcessDocument) -> None:
    """No flow node and no sequence flow is lost without a problem that names it."""
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError:
        assert path.name in {*UNUSABLE, "C.1.0-export.bpmn"}
        return
    if path.name in UNUSABLE:
        return
    assert sum(len(process.nodes) for process in document.processes) == count_elements(root, set(NodeKind))
    lost = [problem for problem in document.problems if problem.hint and problem.hint.endswith("left out")]
    flows = sum(len(process.flows) for process in document.processes)
    assert flows + len(lost) == count_elements(root, {"sequenceFlow"})


def test_references_in_real_file_lead_somewhere(document: ProcessDocument) -> None:
    """Flows, scopes, boundary events and defaults name elements of their own process, ids are given once."""
    for process in document.processes:
        assert len(process.node) == len(process.nodes)
        assert len(process.flow) == len(process.flows)
        for flow in process.flows:
            assert {flow.source, flow.target} <= process.node.keys()
        for node in process.nodes:
            assert node.scope is None or process.node[node.scope].kind.is_container
            assert node.attached_to is None or node.attached_to in process.node
            assert node.default_flow is None or process.flow[node.default_flow].source == node.id
        for lane in process.lanes:
            assert set(lane.nodes) <= process.node.keys()


def test_places_in_real_file_are_those_of_the_start_tags(path: Path, document: ProcessDocument) -> None:
    """The place of a node is where its start tag begins."""
    lines = path.read_bytes().decode("utf-8-sig", "replace").split("\n")
    for process in document.processes:
        for node in process.nodes:
            assert node.place is not None
            tag = lines[node.place.line - 1][node.place.column - 1 :]
            assert tag.startswith("<")
            assert tag[1:].split(maxsplit=1)[0].rstrip("/>").rpartition(":")[2] == node.kind


def test_reading_real_file_twice_gives_the_same(path: Path, document: ProcessDocument) -> None:
    """Nothing depends on chance or on what was read before."""
    assert read_process_file(path) == document
