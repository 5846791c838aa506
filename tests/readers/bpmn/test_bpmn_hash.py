"""The hash of a process: what it says, not how it is written down."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pytest_orchestra.model.process import ProcessDocument

ReadRoot = Callable[[str], ProcessDocument]

BODY = """
<process id="p" name="Order">
 <startEvent id="s"/><userTask id="t" name="Check"/><exclusiveGateway id="g" default="no"/><endEvent id="e"/>
 <sequenceFlow id="a" sourceRef="s" targetRef="t"/><sequenceFlow id="b" sourceRef="t" targetRef="g"/>
 <sequenceFlow id="yes" sourceRef="g" targetRef="e"><conditionExpression>x</conditionExpression></sequenceFlow>
 <sequenceFlow id="no" sourceRef="g" targetRef="t"/>
 <boundaryEvent id="late" attachedToRef="t"><timerEventDefinition><timeDuration>PT1H</timeDuration>
 </timerEventDefinition></boundaryEvent>
 <boundaryEvent id="undo" attachedToRef="t"><compensateEventDefinition/></boundaryEvent>
 <task id="handler" isForCompensation="true"/><task id="other" isForCompensation="true"/>
 <association id="as" sourceRef="undo" targetRef="handler"/>
 <subProcess id="sub"><task id="in"><multiInstanceLoopCharacteristics/></task></subProcess>
</process>
"""
DIAGRAM = """
<di:BPMNDiagram><di:BPMNPlane><di:BPMNShape bpmnElement="t"><dc:Bounds x="1" y="2" width="3" height="4"/>
</di:BPMNShape></di:BPMNPlane></di:BPMNDiagram>
"""


@pytest.fixture
def hash_of(read_root: ReadRoot) -> Callable[[str], str]:
    return lambda body: read_root(body).processes[0].hash


def replaced(old: str, new: str) -> str:
    assert BODY.count(old) == 1
    return BODY.replace(old, new)


def test_hash_is_a_sha256_that_stays(hash_of: Callable[[str], str]) -> None:
    """The hash is stored for years: it changes with the process, not with the version of this code."""
    assert re.fullmatch("[0-9a-f]{64}", hash_of(BODY))
    assert hash_of('<process id="p"><task id="t"/></process>') == (
        "f3a60841652c97ce8b7fefc054fecab0a25e92e548073cec8ba96071473bcee8"
    )


@pytest.mark.parametrize(
    "same",
    [
        BODY + DIAGRAM,
        DIAGRAM.replace('x="1"', 'x="99"') + BODY,
        BODY.replace("\n", "\n\n  "),
        re.sub(r"<(/?)(\w)", r"<\1b:\2", BODY).replace(
            "<b:process", '<b:process xmlns:b="http://www.omg.org/spec/BPMN/20100524/MODEL"'
        ),
        replaced('name="Check"/>', 'name=" Check "><documentation>why</documentation></userTask>'),
        replaced(
            'name="Check"/>',
            'name="Check" startQuantity="1" v:x="1"><extensionElements><v:y/></extensionElements></userTask>',
        ),
        replaced('<startEvent id="s"/>', "").replace('<endEvent id="e"/>', '<endEvent id="e"/><startEvent id="s"/>'),
        replaced('<sequenceFlow id="a" sourceRef="s" targetRef="t"/>', "").replace(
            "<boundary", '<sequenceFlow id="a" sourceRef="s" targetRef="t"/><boundary', 1
        ),
        replaced(
            '<startEvent id="s"/>', '<startEvent id="s" isInterrupting="true"><outgoing>a</outgoing></startEvent>'
        ),
        replaced("<conditionExpression>x<", '<conditionExpression xsi:type="tFormalExpression">\n x\n<'),
        BODY.replace(
            "</process>", '<dataObject id="d"/><textAnnotation id="ta"/><laneSet><lane id="l"/></laneSet></process>'
        ),
        BODY.replace("</process>", '<association id="drawn" sourceRef="t" targetRef="e"/></process>'),
    ],
)
def test_hash_does_not_change_with_the_notation(hash_of: Callable[[str], str], same: str) -> None:
    """Layout, prefixes, white space, documentation, extensions and the order of nodes say nothing of the flow."""
    assert hash_of(same) == hash_of(BODY)


@pytest.mark.parametrize(
    "other",
    [
        replaced('id="p" name="Order"', 'id="p2" name="Order"'),
        replaced('name="Check"', 'name="Test"'),
        replaced('<userTask id="t"', '<task id="t"'),
        replaced('id="a" sourceRef="s" targetRef="t"', 'id="a" sourceRef="s" targetRef="g"'),
        replaced('id="a"', 'id="a" name="go"'),
        replaced('<sequenceFlow id="a" sourceRef="s" targetRef="t"/>', ""),
        replaced("<conditionExpression>x<", "<conditionExpression>y<"),
        replaced("<conditionExpression>", '<conditionExpression language="feel">'),
        replaced(' default="no"', ""),
        replaced("PT1H", "PT2H"),
        replaced('id="late" attachedToRef="t"', 'id="late" attachedToRef="sub"'),
        replaced('id="late"', 'id="late" cancelActivity="false"'),
        replaced('targetRef="handler"', 'targetRef="other"'),
        replaced("<multiInstanceLoopCharacteristics/>", ""),
        replaced("<multiInstanceLoopCharacteristics/>", '<multiInstanceLoopCharacteristics isSequential="true"/>'),
        replaced('<subProcess id="sub"', '<subProcess id="sub" triggeredByEvent="true"'),
        replaced('<task id="in">', '</subProcess><subProcess><task id="in">'),
        replaced('<sequenceFlow id="no" sourceRef="g" targetRef="t"/>', "").replace(
            '<sequenceFlow id="yes"', '<sequenceFlow id="no" sourceRef="g" targetRef="t"/><sequenceFlow id="yes"'
        ),
    ],
)
def test_hash_changes_with_the_control_flow(hash_of: Callable[[str], str], other: str) -> None:
    """Nodes, names, kinds, flows, their order at a gateway, conditions, events, loops and scopes count."""
    assert hash_of(other) != hash_of(BODY)


def test_hashes_of_two_processes_in_one_file_are_their_own(read_root: ReadRoot) -> None:
    """A process has the same hash alone and in company."""
    alone = read_root(BODY).processes[0].hash
    first, second = read_root(f'<process id="q"><task id="x"/></process>{BODY}').processes
    assert second.hash == alone
    assert first.hash != alone
