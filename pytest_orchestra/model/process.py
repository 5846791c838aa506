"""Business processes: BPMN 2.0.2 (OMG formal/13-12-09) flow elements as frozen values.

A :class:`ProcessDocument` is what one file holds. Each :class:`Process` in it has its nodes and
flows in one flat tuple, sub-processes included; ``FlowNode.scope`` names the sub-process that a
node lies in, so that nesting is data and not a tree of objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from pytest_orchestra.model.diagram import Diagram, Point, Shape
from pytest_orchestra.problem import Place, Problem

__all__ = [
    "Assignment",
    "Association",
    "Collaboration",
    "Condition",
    "DataElement",
    "Described",
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
    {NodeKind.SUB_PROCESS, NodeKind.TRANSACTION, NodeKind.AD_HOC_SUB_PROCESS, NodeKind.SUB_CHOREOGRAPHY}
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
    """A vendor's extension element, kept as it stands: qualified name ``{namespace}local``.

    A vendor's attribute on a BPMN element is an extension too: ``is_attribute``, its value in ``text``.
    """

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    children: tuple[Extension, ...] = ()
    is_attribute: bool = False

    def attribute(self, name: str, default: str | None = None) -> str | None:
        """Give the value of the attribute of that name."""
        return dict(self.attributes).get(name, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What every BPMN element may say besides its own: documentation, the vendors' ``extensions``, and in
    ``attributes`` and ``details`` the standard attributes and elements that no field of ours holds.
    """

    documentation: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    details: tuple[RootElement, ...] = ()
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """The text that a branch, loop or conditional event depends on; ``language`` as the file states it."""

    text: str
    language: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class EventDefinition(Described):
    """One event definition. ``ref`` is the id of the message, signal, error or escalation (the link's
    name for links, the compensated activity for compensation); ``reference`` its name or code, resolved.
    ``timer`` is ``timeDate``, ``timeDuration`` or ``timeCycle`` with its text in ``expression``.
    ``link_sources`` and ``link_target`` are the ids that a link definition may state beside its name.
    """

    kind: EventKind
    id: str | None = None
    ref: str | None = None
    reference: str | None = None
    expression: Condition | None = None
    timer: str | None = None
    operation_ref: str | None = None
    wait_for_completion: bool = True
    link_sources: tuple[str, ...] = ()
    link_target: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class LoopCharacteristics(Described):
    """How an activity repeats. ``condition`` is the loop condition of a standard loop, the completion condition of a
    multi-instance one; ``collection`` what the latter runs over, ``input_item`` one element of it; likewise ``output``.
    """

    kind: LoopKind
    condition: Condition | None = None
    cardinality: Condition | None = None
    collection: str | None = None
    maximum: int | None = None
    test_before: bool = False
    input_item: str | None = None
    output_collection: str | None = None
    output_item: str | None = None
    behavior: str | None = None


@dataclass(frozen=True, slots=True)
class FlowNode(Described):
    """An activity, event or gateway.

    ``scope`` is the id of the enclosing sub-process, or None at the top; ``name`` has its white space
    folded. ``attached_to`` and ``is_interrupting`` speak of boundary events and event sub-process starts.
    ``event_gateway_type`` is ``Exclusive`` or ``Parallel``, ``ordering`` an ad-hoc sub-process's ``Parallel`` or
    ``Sequential``; ``participants``, ``initiating_participant`` and ``message_flows`` belong to choreography.
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
    script_format: str | None = None
    instantiate: bool = False
    event_gateway_type: str | None = None
    ordering: str | None = None
    participants: tuple[str, ...] = ()
    initiating_participant: str | None = None
    message_flows: tuple[str, ...] = ()
    activation_condition: Condition | None = None
    completion_condition: Condition | None = None

    @property
    def label(self) -> str:
        """The name that a person knows the node by: its name, else its id."""
        return self.name or self.id


@dataclass(frozen=True, slots=True)
class SequenceFlow(Described):
    """An edge of the control flow from ``source`` to ``target`` (ids of flow nodes of the same process).

    Where the two have different scopes, the flow crosses the border of a sub-process; BPMN forbids that, files hold it.
    """

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
class Lane(Described):
    """A lane and the ids of the flow nodes in it; ``scope`` is the sub-process that it divides, if any."""

    id: str
    name: str = ""
    nodes: tuple[str, ...] = ()
    parent: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class DataElement(Described):
    """A data object, data object reference, data store (reference), property, data input or output. ``ref`` is the
    object or store that a reference stands for, ``item_ref`` its item definition, ``scope`` the node that holds it.
    """

    id: str
    kind: str
    name: str = ""
    ref: str | None = None
    scope: str | None = None
    item_ref: str | None = None
    is_collection: bool = False
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment of a data association: the value of ``source`` is written to ``target``."""

    source: Condition | None = None
    target: Condition | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Association(Described):
    """An association or data association between two elements. ``source`` is the first of ``sources``; ``scope`` the
    node that a data association belongs to.
    """

    id: str
    source: str | None
    target: str | None
    kind: str = "association"
    sources: tuple[str, ...] = ()
    direction: str | None = None
    scope: str | None = None
    transformation: Condition | None = None
    assignments: tuple[Assignment, ...] = ()


@dataclass(frozen=True, slots=True)
class Participant(Described):
    """A pool. ``process_ref`` is None for a black box."""

    id: str
    name: str = ""
    process_ref: str | None = None
    multiplicity: tuple[int, int] | None = None
    interfaces: tuple[str, ...] = ()
    end_points: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class MessageFlow(Described):
    """A message between two pools or elements of them."""

    id: str
    source: str
    target: str
    name: str = ""
    message_ref: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Collaboration(Described):
    """The pools of a file and the messages between them.

    ``kind`` is ``collaboration``, ``globalConversation`` or ``choreography`` (the process of the same id is its flow).
    ``conversations`` holds conversation nodes and links, ``details`` correlation keys and what else belongs to it.
    """

    id: str
    name: str = ""
    participants: tuple[Participant, ...] = ()
    message_flows: tuple[MessageFlow, ...] = ()
    kind: str = "collaboration"
    is_closed: bool = False
    conversations: tuple[RootElement, ...] = ()
    associations: tuple[Association, ...] = ()
    artifacts: tuple[RootElement, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class RootElement(Described):
    """A named thing beside the processes: message, signal, error, escalation, item definition, data
    store, resource, global task, choreography, correlation property, import ... ``kind`` is its BPMN
    element name, ``code`` an ``errorCode`` or ``escalationCode``, ``ref`` a ``structureRef``/``itemRef``.

    Also any standard element that has no class of its own, kept as a tree: ``children``, ``attributes`` and ``text``
    as they stand, ``id`` empty where the file gives none.
    """

    id: str
    kind: str
    name: str = ""
    code: str | None = None
    ref: str | None = None
    children: tuple[RootElement, ...] = ()
    text: str = ""
    scope: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class InterfaceOperation(Described):
    """One ``bpmn:operation`` of an interface, which tasks name by ``operationRef``."""

    id: str
    name: str = ""
    in_message: str | None = None
    out_message: str | None = None
    errors: tuple[str, ...] = ()
    implementation: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Interface(Described):
    """A ``bpmn:interface`` with its operations."""

    id: str
    name: str = ""
    implementation: str | None = None
    operations: tuple[InterfaceOperation, ...] = ()
    place: Place | None = None


@dataclass(frozen=True)
class Process(Described):
    """One process with its control flow graph: ``nodes`` and ``flows`` in document order.

    ``kind`` is ``process`` or ``choreography``; ``artifacts`` are text annotations and groups.
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
    kind: str = "process"
    artifacts: tuple[RootElement, ...] = ()

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
    id: str = ""
    name: str = ""
    target_namespace: str | None = None
    exporter_version: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    documentation: str = ""
    extensions: tuple[Extension, ...] = ()
