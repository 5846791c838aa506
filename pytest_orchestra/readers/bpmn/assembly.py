"""From records to processes: references are resolved, and what leads nowhere is told."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pytest_orchestra.model.process import (
    Association,
    Collaboration,
    DataElement,
    EventDefinition,
    EventKind,
    FlowNode,
    Interface,
    InterfaceOperation,
    Lane,
    MessageFlow,
    Participant,
    Process,
    RootElement,
    SequenceFlow,
)
from pytest_orchestra.readers.bpmn.records import Identifiers, Record
from pytest_orchestra.readers.fingerprint import hash_process
from pytest_orchestra.readers.problem_list import ProblemList

__all__ = ["Assembly"]

_REFERRED = {
    EventKind.MESSAGE: "message",
    EventKind.SIGNAL: "signal",
    EventKind.ERROR: "error",
    EventKind.ESCALATION: "escalation",
}
_QUALIFIED = re.compile(r"[\w.-]+:[\w.-]+")
_NODE_REFERENCES = ("message_ref", "operation_ref", "initiating_participant", "participants", "message_flows")
_RECONNECT = "reconnect it in the modeller, or delete it"


def _is_node(record: Record) -> bool:
    return record.row.is_node


def _is_flow(record: Record) -> bool:
    return record.row.row.makes is SequenceFlow


def _is_process(record: Record) -> bool:
    return record.row.is_process


def _is_message_end(record: Record) -> bool:
    return record.row.is_node or record.row.row.makes in {Participant, Lane, Process}


def _is_any(_record: Record) -> bool:
    return True


class Assembly:
    """Makes the model of one document from its records."""

    def __init__(self, ids: Identifiers, problems: ProblemList) -> None:
        self._ids = ids
        self._problems = problems
        self._flows: dict[Record, list[SequenceFlow]] = {}
        self._kept_flows: dict[str, SequenceFlow] = {}

    # ---- sequence flows

    def place_flows(self, processes: list[Record], stray: list[Record]) -> None:
        """Give every sequence flow to the process of the nodes that it connects, wherever it was declared."""
        for process in processes:
            for flow in process.values.pop("flows", ()):
                self._place_flow(flow)
        for flow in stray:
            self._place_flow(flow)

    def _place_flow(self, flow: Record) -> None:
        source = self._end_of(flow, "source")
        target = self._end_of(flow, "target")
        if source is None or target is None:
            faults = [
                self._fault_of(flow, end) for end, node in (("source", source), ("target", target)) if node is None
            ]
            self._warn(flow, f"sequence flow '{flow.id}' {' and '.join(faults)}", f"{_RECONNECT}; it is left out")
            return
        if source.holder is None or source.holder is not target.holder:
            message = f"sequence flow '{flow.id}' leads from '{source.id}' to '{target.id}' in another process"
            hint = "use a message flow between pools; the flow is left out"
            self._warn(flow, message, hint)
            return
        if source.values.get("scope") != target.values.get("scope"):
            message = (
                f"sequence flow '{flow.id}' from '{source.id}' to '{target.id}' crosses the border of a sub-process"
            )
            hint = "end the flow inside, and let another one leave the sub-process itself"
            self._warn(flow, message, hint)
        flow.values["source"] = source.id
        flow.values["target"] = target.id
        made: SequenceFlow = flow.make()
        self._kept_flows[made.id] = made
        self._flows.setdefault(source.holder, []).append(made)

    def _end_of(self, flow: Record, end: str) -> Record | None:
        reference = flow.values.get(end)
        return self._ids.find(reference, _is_node, flow) if reference else None

    def _fault_of(self, flow: Record, end: str) -> str:
        reference = flow.values.get(end)
        if not reference:
            return f"has no {end}"
        fact = "is no flow node" if self._ids.find(reference, _is_any) else "does not exist"
        return f"has '{reference}' as its {end}, which {fact}"

    # ---- processes

    def make_process(self, record: Record) -> Process:
        """Make a process with its control flow, and its hash."""
        values = record.values
        values["nodes"] = [self._make_node(node) for node in values.get("nodes", ())]
        values["flows"] = self._flows.get(record, [])
        values["lanes"] = [self._make_lane(lane) for lane in values.get("lanes", ())]
        values["associations"] = [self._make_association(item) for item in values.get("associations", ())]
        values["data"] = [self._make_data(item) for item in values.get("data", ())]
        process: Process = record.make()
        return replace(process, hash=hash_process(process))

    def _make_node(self, record: Record) -> FlowNode:
        values = record.values
        if "attached_to" in values:
            values["attached_to"] = self._host_of(record, values["attached_to"])
        if "default_flow" in values:
            values["default_flow"] = self._default_of(record, values["default_flow"])
        if "events" in values:
            values["events"] = self._make_events(record, values["events"])
        if ":" in values.get("called_element", ""):
            values["called_element"] = self._called(values["called_element"])
        self._localize(values, _NODE_REFERENCES)
        node: FlowNode = record.make()
        return node

    def _make_data(self, record: Record) -> DataElement:
        self._localize(record.values, ("ref", "item_ref"))
        element: DataElement = record.make()
        return element

    def _host_of(self, record: Record, reference: str) -> str | None:
        host = self._ids.find(reference, _is_node, record)
        if host is not None:
            return host.id
        message = f"boundary event '{record.id}' is attached to '{reference}', which is no flow node of this file"
        self._warn(record, message, "attach it to an activity in the modeller")
        return None

    def _default_of(self, record: Record, reference: str) -> str | None:
        found = self._ids.find(
            reference, lambda flow: _is_flow(flow) and flow.values.get("source") == record.id, record
        )
        if found is not None and found.id in self._kept_flows:
            return found.id
        message = f"'{record.id}' has '{reference}' as its default flow, which does not leave it"
        self._warn(record, message, "choose the default among its outgoing flows")
        return None

    def _called(self, reference: str) -> str:
        """Take the prefix off a qualified name, but not off an expression (``${a ? b : c}``)."""
        found = self._ids.find(reference, _is_process)
        if found is not None:
            return found.id
        return reference.partition(":")[2] if _QUALIFIED.fullmatch(reference) else reference

    def _make_events(self, record: Record, found: list[Any]) -> list[EventDefinition]:
        events: list[EventDefinition] = []
        for event in found:
            definition = event
            if isinstance(event, str):
                definition = self._ids.find(event, lambda item: item.row.row.makes is EventDefinition)
                if definition is None:
                    message = f"'{record.id}' refers to event definition '{event}', which does not exist"
                    self._warn(record, message, "define the event in the modeller")
                    continue
            events.append(self.make_event(definition))
        return events

    def make_event(self, record: Record) -> EventDefinition:
        """Make an event definition with the name or code of what it refers to."""
        self._localize(record.values, ("operation_ref", *(("ref",) if record.row.name == EventKind.COMPENSATE else ())))
        event: EventDefinition = record.make()
        kind = _REFERRED.get(event.kind)
        if kind is None or event.ref is None:
            return event
        referred = self._ids.find(event.ref, lambda item: item.row.name == kind)
        if referred is None:
            return event
        reference = referred.values.get("code") or referred.values.get("name") or None
        return replace(event, ref=referred.id, reference=reference)

    def _make_lane(self, record: Record) -> Lane:
        nodes: list[str] = []
        lost: list[str] = []
        for reference in record.values.get("nodes", ()):
            node = self._ids.find(reference, _is_node, record)
            if node is not None:
                nodes.append(node.id)
            elif self._ids.find(reference, _is_any) is None:
                lost.append(reference)
        record.values["nodes"] = nodes
        if lost:
            message = f"lane '{record.id}' holds '{lost[0]}', which does not exist"
            self._warn(record, message, "save the process again in the modeller; the lane is used without it")
        lane: Lane = record.make()
        return lane

    def _make_association(self, record: Record) -> Association:
        values = record.values
        values["sources"] = [self._resolved(reference, record) for reference in values.get("sources", ())]
        values["source"] = values["sources"][0] if values["sources"] else None
        target = values.get("target")
        values["target"] = self._resolved(target, record) if target else None
        association: Association = record.make()
        return association

    def _localize(self, values: dict[str, Any], fields: tuple[str, ...]) -> None:
        """Take the prefix off references that are qualified names."""
        for field in fields:
            said = values.get(field)
            if isinstance(said, str):
                if ":" in said:
                    values[field] = self._resolved(said)
            elif said:
                values[field] = [self._resolved(reference) for reference in said]

    def _resolved(self, reference: str, near: Record | None = None) -> str:
        found = self._ids.find(reference, _is_any, near)
        return found.id if found is not None and found.id else reference

    # ---- collaborations

    def make_collaboration(self, record: Record) -> Collaboration:
        """Make a collaboration; message flows that lead nowhere are left out."""
        values = record.values
        values["participants"] = [self._make_participant(item) for item in values.get("participants", ())]
        flows = [self._make_message_flow(item) for item in values.get("message_flows", ())]
        values["message_flows"] = [flow for flow in flows if flow is not None]
        values["associations"] = [self._make_association(item) for item in values.get("associations", ())]
        collaboration: Collaboration = record.make()
        return collaboration

    def split_choreography(self, record: Record) -> Collaboration:
        """Take the collaboration out of a choreography's record, for a choreography is both (BPMN 2.0.2, 11.1)."""
        parts = {name: record.values.pop(name, []) for name in ("participants", "message_flows", "conversations")}
        flows = [self._make_message_flow(item) for item in parts["message_flows"]]
        return Collaboration(
            record.id,
            record.values.get("name", ""),
            tuple(self._make_participant(item) for item in parts["participants"]),
            tuple(flow for flow in flows if flow is not None),
            kind=record.row.name,
            conversations=tuple(parts["conversations"]),
            place=record.values.get("place"),
        )

    def _make_participant(self, record: Record) -> Participant:
        reference = record.values.get("process_ref")
        if reference:
            process = self._ids.find(reference, _is_process)
            if process is None:
                message = f"participant '{record.id}' refers to process '{reference}', which does not exist"
                self._warn(record, message, "give the pool a process, or make it a black box")
            record.values["process_ref"] = process.id if process is not None else None
        self._localize(record.values, ("interfaces", "end_points"))
        participant: Participant = record.make()
        return participant

    def _make_message_flow(self, record: Record) -> MessageFlow | None:
        for end in ("source", "target"):
            reference = record.values.get(end)
            found = self._ids.find(reference, _is_message_end) if reference else None
            if found is None:
                fact = (
                    f"has '{reference}' as its {end}, which is no pool or flow node" if reference else f"has no {end}"
                )
                self._warn(record, f"message flow '{record.id}' {fact}", f"{_RECONNECT}; it is left out")
                return None
            record.values[end] = found.id
        self._localize(record.values, ("message_ref",))
        flow: MessageFlow = record.make()
        return flow

    # ---- root elements

    def make_interface(self, record: Record) -> Interface:
        """Make an interface with its operations."""
        record.values["operations"] = [self._make_operation(item) for item in record.values.get("operations", ())]
        interface: Interface = record.make()
        return interface

    def _make_operation(self, record: Record) -> InterfaceOperation:
        self._localize(record.values, ("in_message", "out_message", "errors"))
        operation: InterfaceOperation = record.make()
        return operation

    def make_root_event(self, record: Record) -> RootElement:
        """Make the root element that stands for an event definition which events refer to."""
        event = self.make_event(record)
        return RootElement(
            event.id or "",
            str(event.kind),
            ref=event.ref,
            text=event.expression.text if event.expression else "",
            place=event.place,
            documentation=event.documentation,
            attributes=event.attributes,
            details=event.details,
            extensions=event.extensions,
        )

    def _warn(self, record: Record, message: str, hint: str) -> None:
        self._problems.add_warning(record.place, message, hint, record.id or None)
