"""Called processes in the place of their call activities, where the user wants them inside the scenarios.

A call activity that is *inlined* becomes a sub-process whose nodes and flows are those of the called process, with the
ids ``CALL/INNER``. All others stay opaque: one step of the scenario, whatever the called process does.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_orchestra.generation.control_flow.lookup import inner_id
from pytest_orchestra.generation.limits import MAX_INLINED_NODES
from pytest_orchestra.generation.wording import fold, nearest_hint, quoted
from pytest_orchestra.model.definition import Bindings, CallMode
from pytest_orchestra.model.process import (
    Association,
    DataElement,
    EventDefinition,
    EventKind,
    Extension,
    FlowNode,
    NodeKind,
    Process,
    SequenceFlow,
)
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["EVERY_CALL", "Inlined", "inline_calls"]

EVERY_CALL = "*"
"""The key of ``calls`` that speaks of all call activities which no other key names."""


@dataclass(frozen=True, slots=True)
class Inlined:
    """A process with the calls inlined that were to be, and what stood against that."""

    process: Process
    problems: tuple[Problem, ...] = ()


def inline_calls(process: Process, called: Iterable[Process], bindings: Bindings | None, home: Place) -> Inlined:
    """Put called processes into a process, as the bindings' ``calls`` wish; ``called`` are those to choose from.

    Nested calls are inlined as well. A call that leads round to a process in which it lies stays opaque.
    """
    if bindings is None or not bindings.calls:
        return Inlined(process)
    return _Inlining(process, called, bindings, home).inlined()


def _is_unawaited(extension: Extension) -> bool:
    """Whether a vendor's attribute says that a call does not wait for the end of what it calls."""
    return extension.is_attribute and extension.name.endswith("}waitForCompletion") and extension.text == "false"


@dataclass(frozen=True, slots=True)
class _Call:
    """A call activity that is met, and the ids of the processes around it, from the outside to the inside."""

    node: FlowNode
    around: tuple[str, ...]


class _Inlining:
    def __init__(self, process: Process, called: Iterable[Process], bindings: Bindings, home: Place) -> None:
        self._process = process
        self._bindings = bindings
        self._home = home
        self._called: dict[str, Process] = {}
        for candidate in (process, *called):
            if candidate.nodes:
                self._called.setdefault(candidate.id, candidate)
        self._problems: list[Problem] = []
        self._met: set[str] = set()
        self._nodes: dict[str, FlowNode] = {}
        self._inner: dict[str, list[FlowNode]] = {}
        self._flows = list(process.flows)
        self._associations = list(process.associations)
        self._data = list(process.data)
        self._count = len(process.nodes)
        self._hashes = [process.hash]

    def inlined(self) -> Inlined:
        waiting = deque(_Call(node, (self._process.id,)) for node in _calls_in(self._process.nodes))
        while waiting:
            call = waiting.popleft()
            target = self._target(call)
            if target is not None:
                inner = self._put_in(call.node, target)
                waiting.extend(_Call(node, (*call.around, target.id)) for node in _calls_in(inner))
        self._report_unknown()
        problems = tuple(self._problems)
        if not self._inner:
            return Inlined(self._process, problems)
        found = replace(
            self._process,
            hash=hashlib.sha256("\n".join(self._hashes).encode()).hexdigest(),
            nodes=tuple(self._ordered()),
            flows=tuple(self._flows),
            associations=tuple(self._associations),
            data=tuple(self._data),
        )
        return Inlined(found, problems)

    def _target(self, call: _Call) -> Process | None:
        """Give the process that is to take the place of a call."""
        key = self._key(call.node)
        if key is None or self._bindings.calls[key] is not CallMode.INLINE:
            return None
        node = call.node
        place = self._bindings.place_of("calls", key) or node.place or self._home
        wanted = node.called_element or ""
        target = self._called.get(wanted) or self._called.get(wanted.rpartition(":")[2])
        if target is None:
            fact = f"call activity '{node.label}' cannot be inlined: " + (
                f"no process '{wanted}' is known" if wanted else "it does not say which process it calls"
            )
            hint = f"name the file of its process in 'processes', or write '{inner_id(node.id)}: opaque' in 'calls'"
            self._problems.append(Problem(Severity.ERROR, place, fact, hint=hint, element=node.id))
            return None
        if target.id in call.around:
            circle = quoted((*call.around[call.around.index(target.id) :], target.id)).replace(", ", " > ")
            fact = f"call activity '{node.label}' stays opaque: the call leads round, {circle}"
            hint = f"write '{inner_id(node.id)}: opaque' in 'calls'"
            self._problems.append(Problem(Severity.WARNING, place, fact, hint=hint, element=node.id))
            return None
        if self._count + len(target.nodes) > MAX_INLINED_NODES:
            fact = f"call activity '{node.label}' stays opaque: the process would have over {MAX_INLINED_NODES} nodes"
            hint = "inline fewer calls"
            self._problems.append(Problem(Severity.WARNING, place, fact, hint=hint, element=node.id))
            return None
        if any(map(_is_unawaited, node.extensions)):
            fact = f"call activity '{node.label}' does not wait for what it calls, and is played as if it did"
            hint = "check its scenarios by hand"
            self._problems.append(Problem(Severity.WARNING, place, fact, hint=hint, element=node.id))
        return target

    def _key(self, node: FlowNode) -> str | None:
        """Give the key of ``calls`` that speaks of a call activity: its id, its id within, its name, or all."""
        name = fold(node.name)
        for key in self._bindings.calls:
            if key == node.id:
                self._met.add(key)
                return key
        for key in self._bindings.calls:
            if key == inner_id(node.id) or (name and fold(key) == name):
                self._met.add(key)
                return key
        return EVERY_CALL if EVERY_CALL in self._bindings.calls else None

    def _report_unknown(self) -> None:
        known = [node for nodes in (self._process.nodes, *self._inner.values()) for node in _calls_in(nodes)]
        for key in self._bindings.calls:
            if key != EVERY_CALL and key not in self._met:
                fact = f"the process has no call activity '{key}'"
                hint = nearest_hint(key, (text for node in known for text in (node.name, inner_id(node.id))))
                place = self._bindings.place_of("calls", key) or self._home
                self._problems.append(Problem(Severity.ERROR, place, fact, hint=hint, element=key))

    def _put_in(self, node: FlowNode, target: Process) -> Sequence[FlowNode]:
        copy = _Copy(node.id, target)
        inner = [copy.node(one) for one in target.nodes if not _is_other_start(one, target)]
        kept = {one.id for one in inner}
        self._nodes[node.id] = replace(node, kind=NodeKind.SUB_PROCESS, called_element=None)
        self._inner[node.id] = inner
        self._count += len(inner)
        self._hashes.append(f"{node.id} {target.hash}")
        self._flows += (flow for one in target.flows if (flow := copy.flow(one)).source in kept)
        self._associations += (copy.association(one) for one in target.associations)
        self._data += (copy.data(one) for one in target.data)
        return inner

    def _ordered(self) -> list[FlowNode]:
        """Give all nodes, those of a called process right behind its call."""
        found: list[FlowNode] = []
        waiting = list(reversed(self._process.nodes))
        while waiting:
            node = waiting.pop()
            found.append(self._nodes.get(node.id, node))
            waiting.extend(reversed(self._inner.get(node.id, ())))
        return found


def _calls_in(nodes: Iterable[FlowNode]) -> list[FlowNode]:
    return [node for node in nodes if node.kind is NodeKind.CALL_ACTIVITY]


def _is_other_start(node: FlowNode, process: Process) -> bool:
    """Whether a start event is not the one that a call begins with: it waits for something, and another does not."""
    if node.kind is not NodeKind.START_EVENT or node.scope is not None or not node.events:
        return False
    return any(
        other.kind is NodeKind.START_EVENT and other.scope is None and not other.events for other in process.nodes
    )


class _Copy:
    """Gives the elements of a called process the ids that they have within a call."""

    def __init__(self, call: str, process: Process) -> None:
        self._call = call
        self._process = process
        self._data: Mapping[str, str] = {element.id: self._within(element.id) for element in process.data}

    def _within(self, element: str) -> str:
        return f"{self._call}/{element}"

    def _maybe(self, element: str | None) -> str | None:
        return None if element is None else self._within(element)

    def node(self, node: FlowNode) -> FlowNode:
        loop = node.loop
        if loop is not None and loop.collection is not None:
            loop = replace(loop, collection=self._data.get(loop.collection, loop.collection))
        return replace(
            node,
            id=self._within(node.id),
            scope=self._call if node.scope is None else self._within(node.scope),
            attached_to=self._maybe(node.attached_to),
            default_flow=self._maybe(node.default_flow),
            events=tuple(map(self._event, node.events)),
            loop=loop,
        )

    def _event(self, event: EventDefinition) -> EventDefinition:
        if event.kind is not EventKind.COMPENSATE or event.ref is None:
            return event
        return replace(event, ref=self._call if event.ref == self._process.id else self._within(event.ref))

    def flow(self, flow: SequenceFlow) -> SequenceFlow:
        within = self._within
        return replace(flow, id=within(flow.id), source=within(flow.source), target=within(flow.target))

    def association(self, association: Association) -> Association:
        return replace(
            association,
            id=self._within(association.id),
            source=self._maybe(association.source),
            target=self._maybe(association.target),
            sources=tuple(map(self._within, association.sources)),
            scope=self._maybe(association.scope),
        )

    def data(self, element: DataElement) -> DataElement:
        return replace(element, id=self._within(element.id), scope=self._maybe(element.scope))
