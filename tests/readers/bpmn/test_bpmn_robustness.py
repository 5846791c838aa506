"""No input makes the reader raise."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_orchestra.model.json import from_json, to_json
from pytest_orchestra.model.process import NodeKind, ProcessDocument
from pytest_orchestra.problem import Severity
from pytest_orchestra.readers.bpmn import read_process_file
from pytest_orchestra.readers.bpmn.elements import ELEMENTS
from pytest_orchestra.readers.bpmn.kept_elements import LEAVES
from pytest_orchestra.readers.bpmn.records import Record

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
SEED = f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="{MODEL}" xmlns:di="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:v="urn:v">
 <message id="m" name="Order"/><collaboration id="c"><participant id="a" processRef="p"/></collaboration>
 <process id="p"><laneSet><lane id="l"><flowNodeRef>t</flowNodeRef></lane></laneSet><startEvent id="s">
 <messageEventDefinition messageRef="m"/></startEvent><sequenceFlow id="f" sourceRef="s" targetRef="t">
 <conditionExpression><![CDATA[x < 1]]></conditionExpression></sequenceFlow>
 <subProcess id="t" default="g" v:x="1"><extensionElements><v:y>&amp;</v:y></extensionElements>
 <task id="u"/></subProcess>
 <boundaryEvent id="b" attachedToRef="t"/><sequenceFlow id="g" sourceRef="t" targetRef="s"/></process>
 <di:BPMNDiagram><di:BPMNPlane><di:BPMNShape bpmnElement="t"/></di:BPMNPlane></di:BPMNDiagram>
</definitions>""".encode()
NAMES = sorted({*ELEMENTS, *LEAVES, "definitions", "laneSet", "childLaneSet", "extensionElements", "v:x", "nonsense"})
IDS = st.sampled_from(["a", "b", "c", "a#2", "v:a", "", " a ", "ä"])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "name",
            "sourceRef",
            "targetRef",
            "default",
            "attachedToRef",
            "processRef",
            "calledElement",
            "messageRef",
            "isInterrupting",
            "isSequential",
            "loopMaximum",
            "loopType",
            "text",
            "value",
            "v:collection",
            "bpmnElement",
        ]
    ),
    IDS,
    max_size=4,
)

unhurried = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def read_bytes(folder: Path, data: bytes) -> ProcessDocument:
    path = folder / "any.bpmn"
    path.write_bytes(data)
    document = read_process_file(path)
    assert document.processes or any(problem.severity is Severity.ERROR for problem in document.problems)
    for problem in document.problems:
        assert problem.hint
        assert problem.message.isprintable()
    for process in document.processes:
        assert len({node.id for node in process.nodes}) == len(process.nodes)
        for flow in process.flows:
            assert {flow.source, flow.target} <= process.node.keys()
        for node in process.nodes:
            assert node.scope is None or node.scope in process.node
    return document


@unhurried
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_bytes_give_a_problem(tmp_path: Path, data: bytes) -> None:
    """Whatever lies in the file, the reader answers."""
    assert read_bytes(tmp_path, data).processes == ()


@unhurried
@given(
    start=st.integers(0, len(SEED)),
    length=st.integers(0, 40),
    put=st.binary(max_size=8)
    | st.sampled_from([b"<", b"&", b"]]>", b"<!--", b"\xff", b"\0", b'"', b"<task/>", b"<![CDATA["]),
)
def test_mutated_file_is_read_or_refused(tmp_path: Path, start: int, length: int, put: bytes) -> None:
    """A file with a piece cut out and another put in gives processes or an error, never a traceback."""
    read_bytes(tmp_path, SEED[:start] + put + SEED[start + length :])


ELEMENT = st.recursive(
    st.builds(lambda name, attributes, text: (name, attributes, [text]), st.sampled_from(NAMES), ATTRIBUTES, IDS),
    lambda children: st.builds(
        lambda name, attributes, inner: (name, attributes, inner),
        st.sampled_from(NAMES),
        ATTRIBUTES,
        st.lists(children, max_size=4),
    ),
    max_leaves=25,
)


def to_text(element: object) -> str:
    if isinstance(element, str):
        return element
    name, attributes, children = element  # type: ignore[misc]
    said = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{said}>{''.join(map(to_text, children))}</{name}>"


@unhurried
@given(elements=st.lists(ELEMENT, max_size=6), wrap=st.booleans())
def test_any_tree_of_bpmn_elements_is_read(tmp_path: Path, elements: list[object], wrap: bool) -> None:
    """Well-formed nonsense is read: every element of BPMN may stand in any other, with any ids and references."""
    body = "".join(map(to_text, elements))
    body = f"<process>{body}</process>" if wrap else body
    document = read_bytes(tmp_path, f'<definitions xmlns="{MODEL}" xmlns:v="urn:v">{body}</definitions>'.encode())
    assert read_process_file(tmp_path / "any.bpmn") == document


def test_document_can_be_pickled_and_written_as_json(tmp_path: Path) -> None:
    """Documents travel between processes and into the store."""
    document = read_bytes(tmp_path, SEED)
    assert len(document.processes[0].nodes) == 4
    assert pickle.loads(pickle.dumps(document)) == document
    assert from_json(ProcessDocument, to_json(document)) == document


def test_reading_leaves_nothing_for_the_garbage_collector(tmp_path: Path) -> None:
    """What the reader needed on its way is gone when it returns, and the collector stays as it was."""
    gc.collect()
    gc.disable()
    try:
        read_bytes(tmp_path, SEED)
        assert [found for found in gc.get_objects() if isinstance(found, Record)] == []
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_collector_runs_again_after_a_file_that_is_refused(tmp_path: Path) -> None:
    """A refusal does not leave the collector paused."""
    assert gc.isenabled()
    read_bytes(tmp_path, b"<a>")
    assert gc.isenabled()


def test_deep_but_legal_nesting_is_read(tmp_path: Path) -> None:
    """Sub-processes may nest far deeper than people draw them, and their values can be shown and compared."""
    depth = 90
    text = "".join(f'<subProcess id="s{level}">' for level in range(depth)) + "</subProcess>" * depth
    document = read_bytes(tmp_path, f'<definitions xmlns="{MODEL}"><process>{text}</process></definitions>'.encode())
    nodes = document.processes[0].nodes
    assert [node.scope for node in nodes] == [None, *(f"s{level}" for level in range(depth - 1))]
    assert {node.kind for node in nodes} == {NodeKind.SUB_PROCESS}
    deep = f"<task>{'<extensionElements>'}{'<v:x>' * depth}{'</v:x>' * depth}</extensionElements></task>"
    text = f'<definitions xmlns="{MODEL}" xmlns:v="urn:v"><process>{deep}</process></definitions>'
    document = read_bytes(tmp_path, text.encode())
    assert repr(document).count("{urn:v}x") == depth
    assert pickle.loads(pickle.dumps(document)) == document
