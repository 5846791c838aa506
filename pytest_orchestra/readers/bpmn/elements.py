"""The BPMN 2.0.2 metamodel as a table: element name -> what it becomes in the process model.

Where a standard element or attribute has no row, slot or field of its own, it is kept as it stands: elements as
:class:`RootElement` trees in ``details``, attributes as pairs in ``attributes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pytest_orchestra.model.process import (
    Assignment,
    Association,
    Collaboration,
    DataElement,
    EventDefinition,
    EventKind,
    FlowNode,
    Interface,
    InterfaceOperation,
    Lane,
    LoopCharacteristics,
    LoopKind,
    MessageFlow,
    NodeKind,
    Participant,
    Process,
    SequenceFlow,
)
from pytest_orchestra.readers.bpmn.attributes import DESCRIBED, NAMED, flag_into, reference_into, text_into
from pytest_orchestra.readers.bpmn.kept_elements import KEPT, kept_as_it_stands
from pytest_orchestra.readers.bpmn.metamodel import Attribute, ElementType, Slot, Take
from pytest_orchestra.readers.bpmn.values import flag, folded, loop_type, number, references

__all__ = ["DEFINITIONS", "ELEMENTS"]

_ZEEBE: Final = "{http://camunda.org/schema/zeebe/1.0}"
_ENGINES: Final = (
    "{http://camunda.org/schema/1.0/bpmn}",
    "{http://activiti.org/bpmn}",
    "{http://flowable.org/bpmn}",
)

# ---- children that several elements share

_DATA: Final = Slot(Take.PROCESS, "data")
_DATA_FLOW: Final = {
    "property": _DATA,
    "dataInput": _DATA,
    "dataOutput": _DATA,
    "dataInputAssociation": Slot(Take.PROCESS, "associations"),
    "dataOutputAssociation": Slot(Take.PROCESS, "associations"),
}
_SPECIFIED: Final = {
    **_DATA_FLOW,
    "ioSpecification": Slot(Take.INLINE, inner={"dataInput": _DATA, "dataOutput": _DATA}),
}
_IN_THE_FLOW: Final = {**DESCRIBED, "incoming": Slot(Take.IGNORE), "outgoing": Slot(Take.IGNORE)}
_EVENT_DEFINITIONS: Final = {
    **{str(kind): Slot(Take.MANY, "events") for kind in EventKind},
    "eventDefinitionRef": Slot(Take.REFERENCES, "events"),
}
_CHILD_LANES: Final[dict[str, Slot]] = {"lane": Slot(Take.PROCESS, "lanes")}
_ARTIFACTS: Final = {
    "association": Slot(Take.PROCESS, "associations"),
    "textAnnotation": Slot(Take.PROCESS, "artifacts"),
    "group": Slot(Take.PROCESS, "artifacts"),
}
_FLOW_ELEMENTS: Final = {
    **{str(kind): Slot(Take.PROCESS, "nodes") for kind in NodeKind},
    **_ARTIFACTS,
    "sequenceFlow": Slot(Take.PROCESS, "flows"),
    "dataObject": _DATA,
    "dataObjectReference": _DATA,
    "dataStoreReference": _DATA,
    "laneSet": Slot(Take.INLINE, inner=_CHILD_LANES),
}
_CONVERSATION: Final = {
    "participant": Slot(Take.MANY, "participants"),
    "messageFlow": Slot(Take.MANY, "message_flows"),
    "conversation": Slot(Take.MANY, "conversations"),
    "subConversation": Slot(Take.MANY, "conversations"),
    "callConversation": Slot(Take.MANY, "conversations"),
    "conversationLink": Slot(Take.MANY, "conversations"),
    "conversationAssociation": Slot(Take.MANY, "conversations"),
}

# ---- flow nodes (BPMN 2.0.2, chapters 10 and 11)

_ACTIVITY_ATTRIBUTES: Final = {
    **NAMED,
    "default": reference_into("default_flow"),
    "isForCompensation": flag_into("is_for_compensation"),
}
_ACTIVITY: Final = {
    **_IN_THE_FLOW,
    **_SPECIFIED,
    "standardLoopCharacteristics": Slot(Take.ONE, "loop"),
    "multiInstanceLoopCharacteristics": Slot(Take.ONE, "loop"),
}
_TASK_ATTRIBUTES: Final = {
    **_ACTIVITY_ATTRIBUTES,
    "implementation": text_into("implementation"),
    "operationRef": reference_into("operation_ref"),
    "messageRef": reference_into("message_ref"),
    "instantiate": flag_into("instantiate"),
    "scriptFormat": text_into("script_format"),
    "calledElement": reference_into("called_element"),
}
_TASK: Final = {**_ACTIVITY, "script": Slot(Take.CODE, "script")}
_SUB_PROCESS_ATTRIBUTES: Final = {
    **_ACTIVITY_ATTRIBUTES,
    "triggeredByEvent": flag_into("triggered_by_event"),
    "ordering": text_into("ordering"),
}
_SUB_PROCESS: Final = {
    **_FLOW_ELEMENTS,
    **_ACTIVITY,
    "completionCondition": Slot(Take.CONDITION, "completion_condition"),
}
_EVENT_ATTRIBUTES: Final = {
    **NAMED,
    "parallelMultiple": flag_into("parallel_multiple"),
    "isInterrupting": flag_into("is_interrupting"),
    "cancelActivity": flag_into("is_interrupting"),
    "attachedToRef": reference_into("attached_to"),
}
_EVENT: Final = {**_IN_THE_FLOW, **_SPECIFIED, **_EVENT_DEFINITIONS}
_GATEWAY_ATTRIBUTES: Final = {
    **NAMED,
    "default": reference_into("default_flow"),
    "instantiate": flag_into("instantiate"),
    "eventGatewayType": text_into("event_gateway_type"),
}
_GATEWAY: Final = {**_IN_THE_FLOW, "activationCondition": Slot(Take.CONDITION, "activation_condition")}
_CHOREOGRAPHY_ATTRIBUTES: Final = {
    **NAMED,
    "initiatingParticipantRef": reference_into("initiating_participant"),
    "loopType": Attribute("loop", loop_type),
    "calledChoreographyRef": reference_into("called_element"),
}
_CHOREOGRAPHY: Final = {
    **_IN_THE_FLOW,
    "participantRef": Slot(Take.REFERENCES, "participants"),
    "messageFlowRef": Slot(Take.REFERENCES, "message_flows"),
}


def _row_of_node(kind: NodeKind) -> ElementType:
    if kind in {NodeKind.CHOREOGRAPHY_TASK, NodeKind.SUB_CHOREOGRAPHY, NodeKind.CALL_CHOREOGRAPHY}:
        inner = _FLOW_ELEMENTS if kind.is_container else {}
        attributes, children = _CHOREOGRAPHY_ATTRIBUTES, {**inner, **_CHOREOGRAPHY}
    elif kind.is_container:
        attributes, children = _SUB_PROCESS_ATTRIBUTES, _SUB_PROCESS
    elif kind.is_event:
        attributes, children = _EVENT_ATTRIBUTES, _EVENT
    elif kind.is_gateway:
        attributes, children = _GATEWAY_ATTRIBUTES, _GATEWAY
    else:
        attributes, children = _TASK_ATTRIBUTES, _TASK
    vendor = {f"{_ZEEBE}calledElement": {"processId": "called_element"}} if kind is NodeKind.CALL_ACTIVITY else {}
    return ElementType(str(kind), FlowNode, {"kind": kind}, attributes, children, vendor)


_SEQUENCE_FLOW: Final = ElementType(
    "sequenceFlow",
    SequenceFlow,
    attributes={**NAMED, "sourceRef": reference_into("source"), "targetRef": reference_into("target")},
    children={**DESCRIBED, "conditionExpression": Slot(Take.CONDITION, "condition")},
)

# ---- events and loops (sections 10.5.5 and 10.3.8)

_EVENT_REFERENCES: Final = {
    "messageRef": reference_into("ref"),
    "signalRef": reference_into("ref"),
    "errorRef": reference_into("ref"),
    "escalationRef": reference_into("ref"),
    "activityRef": reference_into("ref"),
    "operationRef": reference_into("operation_ref"),
    "waitForCompletion": flag_into("wait_for_completion"),
    "id": reference_into("id"),
}
_EVENT_CONTENT: Final = {
    **DESCRIBED,
    "operationRef": Slot(Take.REFERENCE, "operation_ref"),
    "condition": Slot(Take.CONDITION, "expression"),
    "timeDate": Slot(Take.CONDITION, "expression", also="timer"),
    "timeDuration": Slot(Take.CONDITION, "expression", also="timer"),
    "timeCycle": Slot(Take.CONDITION, "expression", also="timer"),
}
_LINK: Final = ElementType(
    str(EventKind.LINK),
    EventDefinition,
    {"kind": EventKind.LINK},
    {"id": reference_into("id"), "name": Attribute("ref", lambda text: folded(text) or None)},
    {**DESCRIBED, "source": Slot(Take.REFERENCES, "link_sources"), "target": Slot(Take.REFERENCE, "link_target")},
)


def _row_of_event_definition(kind: EventKind) -> ElementType:
    if kind is EventKind.LINK:
        return _LINK
    return ElementType(str(kind), EventDefinition, {"kind": kind}, _EVENT_REFERENCES, _EVENT_CONTENT)


_STANDARD_LOOP: Final = ElementType(
    "standardLoopCharacteristics",
    LoopCharacteristics,
    {"kind": LoopKind.STANDARD},
    {"testBefore": flag_into("test_before"), "loopMaximum": Attribute("maximum", number)},
    {**DESCRIBED, "loopCondition": Slot(Take.CONDITION, "condition")},
)
_MULTI_INSTANCE: Final = ElementType(
    "multiInstanceLoopCharacteristics",
    LoopCharacteristics,
    {"kind": LoopKind.PARALLEL_MULTI_INSTANCE},
    {
        "isSequential": Attribute("kind", lambda text: LoopKind.SEQUENTIAL_MULTI_INSTANCE if flag(text) else None),
        "behavior": text_into("behavior"),
    },
    {
        **DESCRIBED,
        "loopCardinality": Slot(Take.CONDITION, "cardinality"),
        "completionCondition": Slot(Take.CONDITION, "condition"),
        "loopDataInputRef": Slot(Take.REFERENCE, "collection"),
        "loopDataOutputRef": Slot(Take.REFERENCE, "output_collection"),
        "inputDataItem": Slot(Take.NAME, "input_item"),
        "outputDataItem": Slot(Take.NAME, "output_item"),
    },
    vendor={
        f"{_ZEEBE}loopCharacteristics": {
            "inputCollection": "collection",
            "inputElement": "input_item",
            "outputCollection": "output_collection",
        },
        **{f"{engine}collection": {"": "collection"} for engine in _ENGINES},
        **{f"{engine}elementVariable": {"": "input_item"} for engine in _ENGINES},
    },
)

# ---- data (section 10.4), lanes (10.8), artifacts (8.4.1)


def _row_of_data(name: str) -> ElementType:
    attributes = {
        **NAMED,
        "itemSubjectRef": reference_into("item_ref"),
        "isCollection": flag_into("is_collection"),
        "dataObjectRef": reference_into("ref"),
        "dataStoreRef": reference_into("ref"),
    }
    children = {**DESCRIBED, "dataState": Slot(Take.NAME, "state")}
    return ElementType(name, DataElement, {"kind": name}, attributes, children)


def _row_of_data_association(name: str) -> ElementType:
    children = {
        **DESCRIBED,
        "sourceRef": Slot(Take.REFERENCES, "sources"),
        "targetRef": Slot(Take.REFERENCE, "target"),
        "transformation": Slot(Take.CONDITION, "transformation"),
        "assignment": Slot(Take.MANY, "assignments"),
    }
    return ElementType(name, Association, {"kind": name}, {"id": reference_into("id")}, children)


_ASSOCIATION: Final = ElementType(
    "association",
    Association,
    attributes={
        "id": reference_into("id"),
        "sourceRef": Attribute("sources", references),
        "targetRef": reference_into("target"),
        "associationDirection": text_into("direction"),
    },
    children=DESCRIBED,
)
_ASSIGNMENT: Final = ElementType(
    "assignment",
    Assignment,
    attributes={"language": text_into("language")},
    children={"from": Slot(Take.CONDITION, "source"), "to": Slot(Take.CONDITION, "target")},
)
_LANE: Final = ElementType(
    "lane",
    Lane,
    attributes=NAMED,
    children={
        **DESCRIBED,
        "flowNodeRef": Slot(Take.REFERENCES, "nodes"),
        "childLaneSet": Slot(Take.INLINE, inner=_CHILD_LANES),
    },
)

# ---- processes and what surrounds them (chapters 8, 9 and 11)

_PROCESS: Final = ElementType(
    "process",
    Process,
    attributes={**NAMED, "isExecutable": flag_into("is_executable")},
    children={**_FLOW_ELEMENTS, **_SPECIFIED, **DESCRIBED},
)
_WHOLE_CHOREOGRAPHY: Final = ElementType(
    "choreography",
    Process,
    {"kind": "choreography"},
    NAMED,
    {**_FLOW_ELEMENTS, **_CONVERSATION, **DESCRIBED},
)


def _row_of_collaboration(name: str) -> ElementType:
    children = {
        **DESCRIBED,
        **_CONVERSATION,
        "association": Slot(Take.MANY, "associations"),
        "textAnnotation": Slot(Take.MANY, "artifacts"),
        "group": Slot(Take.MANY, "artifacts"),
    }
    return ElementType(name, Collaboration, {"kind": name}, {**NAMED, "isClosed": flag_into("is_closed")}, children)


def _multiplicity(minimum: int = 0, maximum: int = 1) -> tuple[int, int]:
    return (minimum, maximum)


_PARTICIPANT: Final = ElementType(
    "participant",
    Participant,
    attributes={**NAMED, "processRef": reference_into("process_ref")},
    children={
        **DESCRIBED,
        "interfaceRef": Slot(Take.REFERENCES, "interfaces"),
        "endPointRef": Slot(Take.REFERENCES, "end_points"),
        "participantMultiplicity": Slot(Take.ONE, "multiplicity"),
    },
)
_PARTICIPANT_MULTIPLICITY: Final = ElementType(
    "participantMultiplicity",
    _multiplicity,
    attributes={"minimum": Attribute("minimum", number), "maximum": Attribute("maximum", number)},
)
_MESSAGE_FLOW: Final = ElementType(
    "messageFlow",
    MessageFlow,
    attributes={
        **NAMED,
        "sourceRef": reference_into("source"),
        "targetRef": reference_into("target"),
        "messageRef": reference_into("message_ref"),
    },
    children=DESCRIBED,
)
_INTERFACE: Final = ElementType(
    "interface",
    Interface,
    attributes={**NAMED, "implementationRef": text_into("implementation")},
    children={**DESCRIBED, "operation": Slot(Take.MANY, "operations")},
)
_OPERATION: Final = ElementType(
    "operation",
    InterfaceOperation,
    attributes={**NAMED, "implementationRef": text_into("implementation")},
    children={
        **DESCRIBED,
        "inMessageRef": Slot(Take.REFERENCE, "in_message"),
        "outMessageRef": Slot(Take.REFERENCE, "out_message"),
        "errorRef": Slot(Take.REFERENCES, "errors"),
    },
)

_DATA_KINDS: Final = (
    "dataObject",
    "dataObjectReference",
    "dataStoreReference",
    "property",
    "dataInput",
    "dataOutput",
    "inputDataItem",
    "outputDataItem",
)
ELEMENTS: Final[Mapping[str, ElementType]] = MappingProxyType(
    {
        row.name: row
        for row in (
            *(kept_as_it_stands(name) for name in KEPT),
            *(_row_of_node(kind) for kind in NodeKind),
            *(_row_of_event_definition(kind) for kind in EventKind),
            *(_row_of_data(name) for name in _DATA_KINDS),
            _row_of_data_association("dataInputAssociation"),
            _row_of_data_association("dataOutputAssociation"),
            _row_of_collaboration("collaboration"),
            _row_of_collaboration("globalConversation"),
            *(_SEQUENCE_FLOW, _STANDARD_LOOP, _MULTI_INSTANCE, _ASSOCIATION, _ASSIGNMENT, _LANE, _PROCESS),
            *(_WHOLE_CHOREOGRAPHY, _PARTICIPANT, _PARTICIPANT_MULTIPLICITY, _MESSAGE_FLOW, _INTERFACE, _OPERATION),
        )
    }
)
"""All elements of the specification that are more than leaves, by name."""

DEFINITIONS: Final = ElementType(
    "definitions",
    dict,
    attributes={
        **NAMED,
        "targetNamespace": text_into("target_namespace"),
        "expressionLanguage": text_into("expression_language"),
        "exporter": text_into("exporter"),
        "exporterVersion": text_into("exporter_version"),
    },
    children={
        **DESCRIBED,
        **{str(kind): Slot(Take.MANY, "event_definitions") for kind in EventKind},
        "process": Slot(Take.MANY, "processes"),
        "choreography": Slot(Take.MANY, "processes"),
        "collaboration": Slot(Take.MANY, "collaborations"),
        "globalConversation": Slot(Take.MANY, "collaborations"),
        "interface": Slot(Take.MANY, "interfaces"),
    },
    rest="elements",
)
"""The row of the root element; what has no slot there is a root element of the document."""
