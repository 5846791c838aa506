"""Elements of BPMN 2.0.2 that have no class of their own in the model and are kept as trees of root elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_orchestra.model.process import RootElement
from pytest_orchestra.readers.bpmn.attributes import DESCRIBED, NAMED, reference_into, text_into
from pytest_orchestra.readers.bpmn.metamodel import Attribute, ElementType, Slot, Take
from pytest_orchestra.readers.bpmn.values import folded

__all__ = ["KEPT", "LEAVES", "kept_as_it_stands"]

_TELLING: Final[Mapping[str, Mapping[str, Attribute]]] = {
    "message": {"itemRef": reference_into("ref")},
    "signal": {"structureRef": reference_into("ref")},
    "error": {"errorCode": text_into("code"), "structureRef": reference_into("ref")},
    "escalation": {"escalationCode": text_into("code"), "structureRef": reference_into("ref")},
    "itemDefinition": {"structureRef": reference_into("ref")},
    "dataStore": {"itemSubjectRef": reference_into("ref")},
    "correlationProperty": {"type": reference_into("ref")},
    "import": {"location": text_into("ref")},
    "categoryValue": {"value": Attribute("name", folded)},
    "group": {"categoryValueRef": reference_into("ref")},
    "textAnnotation": {"text": text_into("text")},
}
"""The attributes that fill ``code``, ``ref``, ``name`` or ``text``."""

KEPT: Final = (
    *_TELLING,
    "auditing",
    "callConversation",
    "category",
    "complexBehaviorDefinition",
    "conversation",
    "conversationAssociation",
    "conversationLink",
    "correlationKey",
    "correlationPropertyBinding",
    "correlationPropertyRetrievalExpression",
    "correlationSubscription",
    "endPoint",
    "extension",
    "formalExpression",
    "globalBusinessRuleTask",
    "globalChoreographyTask",
    "globalManualTask",
    "globalScriptTask",
    "globalTask",
    "globalUserTask",
    "humanPerformer",
    "inputSet",
    "ioBinding",
    "ioSpecification",
    "messageFlowAssociation",
    "monitoring",
    "outputSet",
    "participantAssociation",
    "partnerEntity",
    "partnerRole",
    "performer",
    "potentialOwner",
    "relationship",
    "rendering",
    "resource",
    "resourceAssignmentExpression",
    "resourceParameter",
    "resourceParameterBinding",
    "resourceRole",
    "subConversation",
)
"""The names of elements that are kept so."""

LEAVES: Final = frozenset(
    {
        "activityRef",
        "artifactRef",
        "categoryValueRef",
        "choreographyRef",
        "condition",
        "correlationKeyRef",
        "correlationPropertyRef",
        "dataInputRefs",
        "dataOutputRefs",
        "dataPath",
        "definition",
        "documentation",
        "endPointRef",
        "event",
        "expression",
        "extensionElements",
        "from",
        "incoming",
        "inMessageRef",
        "innerConversationNodeRef",
        "innerMessageFlowRef",
        "innerParticipantRef",
        "inputSetRefs",
        "interfaceRef",
        "loopDataInputRef",
        "loopDataOutputRef",
        "messageFlowRef",
        "messagePath",
        "messageRef",
        "operationRef",
        "optionalInputRefs",
        "optionalOutputRefs",
        "outerConversationNodeRef",
        "outerMessageFlowRef",
        "outerParticipantRef",
        "outgoing",
        "outMessageRef",
        "outputSetRefs",
        "participantRef",
        "partitionElement",
        "partitionElementRef",
        "resourceRef",
        "script",
        "source",
        "sourceRef",
        "supportedInterfaceRef",
        "supports",
        "target",
        "targetRef",
        "text",
        "to",
        "type",
        "value",
        "whileExecutingInputRefs",
        "whileExecutingOutputRefs",
    }
)
"""Standard elements that only say something of the element that holds them."""


def kept_as_it_stands(name: str) -> ElementType:
    """Give the row of an element that has no class of its own."""
    children = {**DESCRIBED, **({"text": Slot(Take.TEXT, "text")} if name == "textAnnotation" else {})}
    attributes = {**NAMED, **_TELLING.get(name, {})}
    return ElementType(name, RootElement, {"kind": name, "id": ""}, attributes, children, rest="children")
