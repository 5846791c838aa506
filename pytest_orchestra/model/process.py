"""Business processes: BPMN 2.0.2 (OMG formal/13-12-09) flow elements as frozen values.

A :class:`ProcessDocument` is what one file holds. Each :class:`Process` in it has its nodes and
flows in one flat tuple, sub-processes included; ``FlowNode.scope`` names the sub-process that a
node lies in, so that nesting is data and not a tree of objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from pytest_orchestra.model.source import Place, Problem

__all__ = [
    "Association",
    "Collaboration",
    "Condition",
    "DataElement",
    "Diagram",
    "EventDefinition",
    "EventKind",
    "Extension",
    "FlowNode",
    "Interface",
    "InterfaceOperation",
    "Lane",
    "LoopCharacteristics",
    "LoopKind",
    "MessageFlow",
    "NodeKind",
    "Participant",
    "Point",
    "Process",
    "ProcessDocument",
    "RootElement",
    "SequenceFlow",
    "Shape",
    "SourceType",
]


class SourceType(StrEnum):
    """What a process was read from."""

    BPMN = "BPMN"
    SEQUENCE = "SEQUENCE"


class NodeKind(StrEnum):
    """The kind of a flow node; the value is its BPMN 2.0 element name."""

    TASK = "task"
    USER_TASK = "userTask"
    SERVICE_TASK = "serviceTask"
    SCRIPT_TASK = "scriptTask"
    SEND_TASK = "sendTask"
    RECEIVE_TASK = "receiveTask"
    MANUAL_TASK = "manualTask"
    BUSINESS_RULE_TASK = "businessRuleTask"
    CALL_ACTIVITY = "callActivity"
    SUB_PROCESS = "subProcess"
    TRANSACTION = "transaction"
    AD_HOC_SUB_PROCESS = "adHocSubProcess"
    START_EVENT = "startEvent"
    END_EVENT = "endEvent"
    INTERMEDIATE_CATCH_EVENT = "intermediateCatchEvent"
    INTERMEDIATE_THROW_EVENT = "intermediateThrowEvent"
    BOUNDARY_EVENT = "boundaryEvent"
    IMPLICIT_THROW_EVENT = "implicitThrowEvent"
    EVENT = "event"
    EXCLUSIVE_GATEWAY = "exclusiveGateway"
    INCLUSIVE_GATEWAY = "inclusiveGateway"
    PARALLEL_GATEWAY = "parallelGateway"
    EVENT_BASED_GATEWAY = "eventBasedGateway"
    COMPLEX_GATEWAY = "complexGateway"
    CHOREOGRAPHY_TASK = "choreographyTask"
    SUB_CHOREOGRAPHY = "subChoreography"
    CALL_CHOREOGRAPHY = "callChoreography"

    @property
    def is_gateway(self) -> bool:
        """Whether it splits or joins the flow."""
        return self.value.endswith("Gateway")

    @property
    def is_event(self) -> bool:
        """Whether something happens there."""
        return self.value.endswith("Event") or self is NodeKind.EVENT

    @property
    def is_activity(self) -> bool:
        """Whether work is done there."""
        return not self.is_gateway and not self.is_event

    @property
    def is_container(self) -> bool:
        """Whether nodes of this kind may hold flow nodes of their own."""
        return self in _CONTAINERS


_CONTAINERS = frozenset(
    {
        NodeKind.SUB_PROCESS,
        NodeKind.TRANSACTION,
        NodeKind.AD_HOC_SUB_PROCESS,
        NodeKind.SUB_CHOREOGRAPHY,
    }
)


class EventKind(StrEnum):
    """What an event definition waits for or throws; the value is its BPMN element name."""

    MESSAGE = "messageEventDefinition"
    TIMER = "timerEventDefinition"
    SIGNAL = "signalEventDefinition"
    ERROR = "errorEventDefinition"
    ESCALATION = "escalationEventDefinition"
    CONDITIONAL = "conditionalEventDefinition"
    COMPENSATE = "compensateEventDefinition"
    CANCEL = "cancelEventDefinition"
    LINK = "linkEventDefinition"
    TERMINATE = "terminateEventDefinition"


class LoopKind(StrEnum):
    """How an activity repeats."""

    STANDARD = "standard"
    PARALLEL_MULTI_INSTANCE = "parallelMultiInstance"
    SEQUENTIAL_MULTI_INSTANCE = "sequentialMultiInstance"


@dataclass(frozen=True, slots=True)
class Extension:
    """A vendor's extension element, kept as it stands: qualified name ``{namespace}local``."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    children: tuple[Extension, ...] = ()

    def attribute(self, name: str, default: str | None = None) -> str | None:
        """Give the value of the attribute of that name."""
        return dict(self.attributes).get(name, default)


@dataclass(frozen=True, slots=True)
class Condition:
    """The text that a branch, loop or conditional event depends on; ``language`` as the file states it."""

    text: str
    language: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class EventDefinition:
    """One event definition. ``ref`` is the id of the message, signal, error or escalation (the link's
    name for links, the compensated activity for compensation); ``reference`` its name or code, resolved.
    ``timer`` is ``timeDate``, ``timeDuration`` or ``timeCycle`` with its text in ``expression``.
    """

    kind: EventKind
    id: str | None = None
    ref: str | None = None
    reference: str | None = None
    expression: Condition | None = None
    timer: str | None = None
    operation_ref: str | None = None


@dataclass(frozen=True, slots=True)
class LoopCharacteristics:
    """How an activity repeats: standard loop or multi-instance."""

    kind: LoopKind
    condition: Condition | None = None
    cardinality: Condition | None = None
    collection: str | None = None
    maximum: int | None = None
    test_before: bool = False


@dataclass(frozen=True, slots=True)
class FlowNode:
    """An activity, event or gateway.

    ``scope`` is the id of the enclosing sub-process, or None at the top; ``name`` has its white space
    folded. ``attached_to`` and ``is_interrupting`` speak of boundary events and event sub-process starts.
    """

    id: str
    kind: NodeKind
    name: str = ""
    scope: str | None = None
    place: Place | None = None
    default_flow: str | None = None
    events: tuple[EventDefinition, ...] = ()
    parallel_multiple: bool = False
    attached_to: str | None = None
    is_interrupting: bool = True
    triggered_by_event: bool = False
    is_for_compensation: bool = False
    loop: LoopCharacteristics | None = None
    called_element: str | None = None
    operation_ref: str | None = None
    message_ref: str | None = None
    implementation: str | None = None
    script: str | None = None
    instantiate: bool = False
    activation_condition: Condition | None = None
    completion_condition: Condition | None = None
    documentation: str = ""
    extensions: tuple[Extension, ...] = ()

    @property
    def label(self) -> str:
        """The name that a person knows the node by: its name, else its id."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class SequenceFlow:
    """An edge of the control flow from ``source`` to ``target`` (ids of flow nodes)."""

    id: str
    source: str
    target: str
    name: str = ""
    condition: Condition | None = None
    place: Place | None = None

    @property
    def label(self) -> str:
        """The name that a person knows it by: its name, else its id."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane and the ids of the flow nodes in it."""

    id: str
    name: str = ""
    nodes: tuple[str, ...] = ()
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class DataElement:
    """A data object, data object reference, data store (reference), property, data input or output."""

    id: str
    kind: str
    name: str = ""
    ref: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Association:
    """An association or data association between two elements."""

    id: str
    source: str | None
    target: str | None
    kind: str = "association"


@dataclass(frozen=True, slots=True)
class Participant:
    """A pool. ``process_ref`` is None for a black box."""

    id: str
    name: str = ""
    process_ref: str | None = None
    multiplicity: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class MessageFlow:
    """A message between two pools or elements of them."""

    id: str
    source: str
    target: str
    name: str = ""
    message_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Collaboration:
    """The pools of a file and the messages between them."""

    id: str
    name: str = ""
    participants: tuple[Participant, ...] = ()
    message_flows: tuple[MessageFlow, ...] = ()


@dataclass(frozen=True, slots=True)
class RootElement:
    """A named thing beside the processes: message, signal, error, escalation, item definition, data
    store, resource, global task, choreography, correlation property, import ... ``kind`` is its BPMN
    element name, ``code`` an ``errorCode`` or ``escalationCode``, ``ref`` a ``structureRef``/``itemRef``.
    """

    id: str
    kind: str
    name: str = ""
    code: str | None = None
    ref: str | None = None
    extensions: tuple[Extension, ...] = ()
    children: tuple[RootElement, ...] = ()


@dataclass(frozen=True, slots=True)
class InterfaceOperation:
    """One ``bpmn:operation`` of an interface, which tasks name by ``operationRef``."""

    id: str
    name: str = ""
    in_message: str | None = None
    out_message: str | None = None
    errors: tuple[str, ...] = ()
    implementation: str | None = None
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A ``bpmn:interface`` with its operations."""

    id: str
    name: str = ""
    implementation: str | None = None
    operations: tuple[InterfaceOperation, ...] = ()
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the diagram, in its own units (pixels, in practice)."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Shape:
    """The box of an element in the diagram."""

    element: str
    x: float
    y: float
    width: float
    height: float
    is_expanded: bool | None = None
    is_horizontal: bool | None = None


@dataclass(frozen=True, slots=True)
class Diagram:
    """The diagram interchange of a file: shapes by element, way points of edges by element."""

    shapes: tuple[Shape, ...] = ()
    edges: tuple[tuple[str, tuple[Point, ...]], ...] = ()


@dataclass(frozen=True)
class Process:
    """One process with its control flow graph: ``nodes`` and ``flows`` in document order.

    ``hash`` is the SHA-256 (hex) of what the control flow says; layout and documentation do not change it.
    """

    id: str
    name: str = ""
    place: Place | None = None
    hash: str = ""
    is_executable: bool | None = None
    nodes: tuple[FlowNode, ...] = ()
    flows: tuple[SequenceFlow, ...] = ()
    lanes: tuple[Lane, ...] = ()
    data: tuple[DataElement, ...] = ()
    associations: tuple[Association, ...] = ()
    documentation: str = ""
    extensions: tuple[Extension, ...] = ()

    @property
    def label(self) -> str:
        """The name that a person knows it by: its name, else its id."""
        return self.name or self.id

    @cached_property
    def node(self) -> dict[str, FlowNode]:
        """The nodes by id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def flow(self) -> dict[str, SequenceFlow]:
        """The flows by id."""
        return {flow.id: flow for flow in self.flows}

    @cached_property
    def outgoing(self) -> dict[str, tuple[SequenceFlow, ...]]:
        """For every node id its outgoing flows, in document order."""
        return _grouped(self.nodes, self.flows, "source")

    @cached_property
    def incoming(self) -> dict[str, tuple[SequenceFlow, ...]]:
        """For every node id its incoming flows, in document order."""
        return _grouped(self.nodes, self.flows, "target")


def _grouped(
    nodes: tuple[FlowNode, ...], flows: tuple[SequenceFlow, ...], end: str
) -> dict[str, tuple[SequenceFlow, ...]]:
    found: dict[str, list[SequenceFlow]] = {node.id: [] for node in nodes}
    for flow in flows:
        found.setdefault(flow.source if end == "source" else flow.target, []).append(flow)
    return {node: tuple(flows_there) for node, flows_there in found.items()}


@dataclass(frozen=True)
class ProcessDocument:
    """All that one process file holds, with the problems found on the way.

    ``text_hash`` is the SHA-256 (hex) of the file's bytes.
    """

    file: str
    source_type: SourceType = SourceType.BPMN
    text_hash: str = ""
    processes: tuple[Process, ...] = ()
    collaborations: tuple[Collaboration, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    elements: tuple[RootElement, ...] = ()
    diagram: Diagram = field(default_factory=Diagram)
    exporter: str | None = None
    expression_language: str | None = None
    problems: tuple[Problem, ...] = ()
