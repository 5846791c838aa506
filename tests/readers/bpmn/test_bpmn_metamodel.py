"""The table that says what becomes of each element."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from pytest_orchestra.readers.bpmn.elements import DEFINITIONS, ELEMENTS
from pytest_orchestra.readers.bpmn.kept_elements import LEAVES
from pytest_orchestra.readers.bpmn.metamodel import ElementType, Take

SPECIFIED = [
    "adHocSubProcess",
    "artifact",
    "assignment",
    "association",
    "auditing",
    "boundaryEvent",
    "businessRuleTask",
    "callActivity",
    "callChoreography",
    "callConversation",
    "cancelEventDefinition",
    "category",
    "categoryValue",
    "choreography",
    "choreographyTask",
    "collaboration",
    "compensateEventDefinition",
    "complexBehaviorDefinition",
    "complexGateway",
    "conditionalEventDefinition",
    "conversation",
    "conversationAssociation",
    "conversationLink",
    "correlationKey",
    "correlationProperty",
    "correlationPropertyBinding",
    "correlationPropertyRetrievalExpression",
    "correlationSubscription",
    "dataInput",
    "dataInputAssociation",
    "dataObject",
    "dataObjectReference",
    "dataOutput",
    "dataOutputAssociation",
    "dataState",
    "dataStore",
    "dataStoreReference",
    "documentation",
    "endEvent",
    "endPoint",
    "error",
    "errorEventDefinition",
    "escalation",
    "escalationEventDefinition",
    "event",
    "eventBasedGateway",
    "exclusiveGateway",
    "expression",
    "extension",
    "extensionElements",
    "formalExpression",
    "globalBusinessRuleTask",
    "globalChoreographyTask",
    "globalConversation",
    "globalManualTask",
    "globalScriptTask",
    "globalTask",
    "globalUserTask",
    "group",
    "humanPerformer",
    "implicitThrowEvent",
    "import",
    "inclusiveGateway",
    "inputSet",
    "interface",
    "intermediateCatchEvent",
    "intermediateThrowEvent",
    "ioBinding",
    "ioSpecification",
    "itemDefinition",
    "lane",
    "laneSet",
    "linkEventDefinition",
    "manualTask",
    "message",
    "messageEventDefinition",
    "messageFlow",
    "messageFlowAssociation",
    "monitoring",
    "multiInstanceLoopCharacteristics",
    "operation",
    "outputSet",
    "parallelGateway",
    "participant",
    "participantAssociation",
    "participantMultiplicity",
    "partnerEntity",
    "partnerRole",
    "performer",
    "potentialOwner",
    "process",
    "property",
    "receiveTask",
    "relationship",
    "rendering",
    "resource",
    "resourceAssignmentExpression",
    "resourceParameter",
    "resourceParameterBinding",
    "resourceRole",
    "scriptTask",
    "script",
    "sendTask",
    "sequenceFlow",
    "serviceTask",
    "signal",
    "signalEventDefinition",
    "standardLoopCharacteristics",
    "startEvent",
    "subChoreography",
    "subConversation",
    "subProcess",
    "task",
    "terminateEventDefinition",
    "textAnnotation",
    "text",
    "timerEventDefinition",
    "transaction",
    "userTask",
]
ABSTRACT = {"artifact"}
ROWS = [DEFINITIONS, *ELEMENTS.values()]


def slots_of(row: ElementType) -> list[str]:
    return [*row.children, *(name for slot in row.children.values() for name in slot.inner or ())]


@pytest.mark.parametrize("name", SPECIFIED)
def test_every_element_of_the_specification_has_a_place(name: str) -> None:
    """An element of BPMN 2.0.2 is a row, a leaf, or has a slot in another's row."""
    assert name in ELEMENTS or name in LEAVES or name in ABSTRACT or any(name in slots_of(row) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_fills_fields_that_exist(row: ElementType) -> None:
    """The table and the model agree: no row fills a field that its class lacks."""
    if not is_dataclass(row.makes):
        return
    own = {field.name for field in fields(row.makes)}
    filled = {attribute.field for attribute in row.attributes.values()}
    kept_elsewhere = {Take.PROCESS, Take.INLINE, Take.IGNORE, Take.EXTENSIONS}
    filled |= {slot.field for slot in row.children.values() if slot.take not in kept_elsewhere}
    filled |= {"extensions" for slot in row.children.values() if slot.take is Take.EXTENSIONS}
    filled |= {slot.also for slot in row.children.values() if slot.also} | row.preset.keys()
    filled |= {field for facts in row.vendor.values() for field in facts.values()}
    moved_to_collaboration = {"participants", "message_flows", "conversations"} if row.name == "choreography" else set()
    assert filled - moved_to_collaboration <= own


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_slot_for_elements_names_a_row(row: ElementType) -> None:
    """A child that becomes something itself has a row that says what."""
    made = {name for name, slot in row.children.items() if slot.take in {Take.ONE, Take.MANY, Take.PROCESS}}
    assert made <= ELEMENTS.keys()
