"""What a scaffold says of each element: the steps that are sure, those that are suggested, and what else is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pytest_orchestra.generation.binding.inference import InferredBindings
from pytest_orchestra.generation.binding.matching import Match
from pytest_orchestra.generation.binding.schemas import Schemas, json_media_type, success_response
from pytest_orchestra.generation.binding.suggestions import Suggestion
from pytest_orchestra.generation.binding.words import stems_of
from pytest_orchestra.generation.scaffold.carrying import Producer, Replies, last_segment, resource_of
from pytest_orchestra.generation.scaffold.data_names import DataNames
from pytest_orchestra.generation.scaffold.precedence import Precedence
from pytest_orchestra.generation.scaffold.requests import Checker, Request, RequestWriter, expected_status
from pytest_orchestra.generation.wording import alias_of, caption
from pytest_orchestra.model.definition import Bindings, StepDefinition
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind, Process

__all__ = ["ElementSketch", "ProcessSketch", "StepSketch", "sketch_process"]

ACCEPTED: Final = 202
_WAITED: Final = frozenset({EventKind.MESSAGE, EventKind.TIMER, EventKind.SIGNAL, EventKind.CONDITIONAL})
_STATES: Final = ("status", "state")


@dataclass(frozen=True, slots=True)
class StepSketch:
    """A step as it is written in a sidecar, and what its reader should know."""

    fields: JsonObject
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ElementSketch:
    """An element with its steps; ``reason`` says where they come from, or why there are none."""

    node: FlowNode
    steps: tuple[StepSketch, ...] = ()
    reason: str = ""
    suggested: StepSketch | None = None
    suggestions: tuple[Suggestion, ...] = ()
    effect: StepSketch | None = None

    @property
    def must_be_bound(self) -> bool:
        """Whether a sidecar has to say something of it."""
        return self.node.kind.is_activity and not self.node.kind.is_container


@dataclass(frozen=True, slots=True)
class ProcessSketch:
    """The elements of a process, and the data that their steps read: ``possible`` is that of suggested ones."""

    process: Process
    elements: tuple[ElementSketch, ...]
    data: Mapping[str, JsonValue]
    possible: Mapping[str, JsonValue]


def sketch_process(
    process: Process,
    inferred: InferredBindings,
    check: Checker,
    known: Mapping[str, JsonValue] | None = None,
) -> ProcessSketch:
    """Give the sketch of a process; ``known`` is the data that other processes of its file read."""
    return _Sketching(process, inferred, check, known or {}).sketch()


class _Sketching:
    def __init__(
        self,
        process: Process,
        inferred: InferredBindings,
        check: Checker,
        known: Mapping[str, JsonValue],
    ) -> None:
        self._process = process
        self._inferred = inferred
        self._aliases = _aliases(process)
        precedence = Precedence(process)
        sure = [self._producer(node, inferred.matches[node.id]) for node in process.nodes if node.id in inferred.steps]
        likely = [
            self._producer(node, suggestions[0].match)
            for node in process.nodes
            if (suggestions := inferred.suggestions.get(node.id))
        ]
        order = {node.id: index for index, node in enumerate(process.nodes)}
        every = sorted([*sure, *likely], key=lambda producer: order[producer.element])
        self._sure = Replies(sure, precedence)
        self._every = Replies(every, precedence)
        header = Bindings().correlation_header
        self._writer = RequestWriter(check, self._sure, self._every, header)
        self._possible_writer = RequestWriter(check, self._every, self._every, header)
        self._data = DataNames(known)
        self._produced = [(producer, resource_of(producer.match)) for producer in every]

    def sketch(self) -> ProcessSketch:
        sure = {
            node.id: self._bound(node, self._inferred.steps[node.id][0])
            for node in self._process.nodes
            if node.id in self._inferred.steps
        }
        self._possible = DataNames(dict(self._data.values))
        elements = tuple(self._element(node, sure.get(node.id)) for node in self._process.nodes)
        return ProcessSketch(self._process, elements, dict(self._data.values), dict(self._possible.values))

    def _producer(self, node: FlowNode, match: Match) -> Producer:
        return Producer(node.id, node.label, self._aliases[node.id], match)

    def _element(self, node: FlowNode, sure: StepSketch | None) -> ElementSketch:
        element = ElementSketch(node, effect=self._effect(node))
        call = self._inferred.calls.get(node.id)
        if sure is not None:
            origin = call.label if call is not None else str(sure.fields["endpointRef"])
            return replace(element, steps=(sure,), reason=f"{self._inferred.how[node.id].value}: {origin}")
        suggestions = self._inferred.suggestions.get(node.id, ())
        reason = f"{call.rule.value}: {call.label}, which no specification declares" if call is not None else ""
        if not suggestions:
            return replace(element, reason=reason)
        match = suggestions[0].match
        alias = self._aliases[node.id]
        request = self._possible_writer.write(node.id, alias, match, None, self._possible)
        suggested = _step(alias, match, request, expected_status(match))
        return replace(element, reason=reason, suggested=suggested, suggestions=suggestions)

    def _bound(self, node: FlowNode, definition: StepDefinition) -> StepSketch:
        match = self._inferred.matches[node.id]
        call = self._inferred.calls.get(node.id)
        alias = self._aliases[node.id]
        request = self._writer.write(node.id, alias, match, call, self._data)
        status = definition.expected_status_code
        lost = tuple(
            f"not carried over: '{text}' in the {part}" if text else f"not carried over: {part}, a credential"
            for part, text in (call.untranslated if call is not None else ())
        )
        step = _step(alias, match, request, expected_status(match) if status is None else status, definition.name)
        return replace(step, notes=(*lost, *step.notes, *self._other_ends(node)))

    def _other_ends(self, node: FlowNode) -> tuple[str, ...]:
        """Say of the errors at the border of a task that its call replies otherwise where they come."""
        borders = (each for each in self._process.nodes if each.attached_to == node.id and each.is_interrupting)
        errors = (each for each in borders if any(event.kind is EventKind.ERROR for event in each.events))
        names = (caption(event) or event.id for event in errors)
        return tuple(
            f"where '{name}' ends it, the reply is another: say 'outcome: normal' here, and bind that call with"
            f" 'outcome: {name}'"
            for name in names
        )

    def _effect(self, node: FlowNode) -> StepSketch | None:
        """Give an assertion that waits for what should have happened when the process is at a node."""
        if not self._is_waited_for(node):
            return None
        for producer, resource in reversed(self._produced):
            if self._every.is_given(producer, node.id):
                found = self._poll(node, producer, resource)
                if found is not None:
                    return found
        return None

    def _is_waited_for(self, node: FlowNode) -> bool:
        if node.kind is NodeKind.RECEIVE_TASK or (node.kind is NodeKind.END_EVENT and node.name):
            return node.id not in self._inferred.steps
        if node.kind in (NodeKind.INTERMEDIATE_CATCH_EVENT, NodeKind.BOUNDARY_EVENT):
            return any(event.kind in _WAITED for event in node.events)
        match = self._inferred.matches.get(node.id)
        return match is not None and expected_status(match) == ACCEPTED

    def _poll(self, node: FlowNode, producer: Producer, resource: tuple[str, ...]) -> StepSketch | None:
        """Give a poll of the resource that a step created, by an operation that reads it with its state."""
        spec = producer.match.spec
        schemas = Schemas(spec)
        for operation in spec.operations:
            match = Match(spec, operation)
            if operation.method.upper() != "GET" or "{" not in operation.path or resource_of(match) != resource:
                continue
            state = _state_of(match, schemas)
            path: dict[str, JsonValue] = {}
            for parameter in operation.parameters:
                if parameter.location != "path":
                    continue
                sought = (parameter.name, schemas.at(parameter.schema), last_segment(operation.path, parameter.name))
                carried = self._every.find_in(producer, *sought) or self._every.find(node.id, *sought)
                if carried is not None:
                    path[parameter.name] = carried.template
            if state is not None and len(path) == operation.path.count("{"):
                name, values = state
                step = _step(f"{self._aliases[node.id]}_seen", match, Request({"path": path}), None)
                return StepSketch({**step.fields, "until": _until(name, values, node)}, _values_note(name, values))
        return None


def _step(
    alias: str,
    match: Match,
    request: Request,
    status: object,
    name: str | None = None,
) -> StepSketch:
    fields: dict[str, JsonValue] = {"alias": alias}
    if name is not None:
        fields["name"] = name
    fields["endpointRef"] = match.label
    if request.input:
        fields["inputTemplate"] = request.input
    if isinstance(status, (int, str, list)):
        fields["expectedStatusCode"] = status
    return StepSketch(fields, request.notes)


def _aliases(process: Process) -> Mapping[str, str]:
    """Give an alias of its own to every node."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for node in process.nodes:
        base = alias_of(node.name, node.id)
        alias, number = base, 1
        while alias in used:
            number += 1
            alias = f"{base}_{number}"
        used.add(alias)
        found[node.id] = alias
    return found


def _state_of(match: Match, schemas: Schemas) -> tuple[str, tuple[str, ...]] | None:
    """Give the field of a reply that tells the state of what it shows, with the values that it may have."""
    response = success_response(match.operation)
    media_type = json_media_type(response.media_types) if response is not None else None
    properties = schemas.at(media_type.schema).get("properties") if media_type is not None else None
    for name, raw in properties.items() if isinstance(properties, Mapping) else ():
        stems = stems_of(name)
        if stems and stems[-1] in _STATES and name.isidentifier():
            values = schemas.whole(raw).get("enum")
            texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
            return name, tuple(texts)
    return None


def _until(name: str, values: Sequence[str], node: FlowNode) -> str:
    """Give the condition to wait for: the state that is called like the element, else any but the first."""
    wanted = set(stems_of(node.name))
    fitting = [value for value in values if set(stems_of(value)) <= wanted and stems_of(value)]
    if fitting:
        return f"response.body.{name} == '{fitting[0]}'"
    return f"response.body.{name} != '{values[0]}'" if values else f"response.body.{name} == 'DONE'"


def _values_note(name: str, values: Sequence[str]) -> tuple[str, ...]:
    return (f"{name} is one of {', '.join(values)}",) if values else (f"put the {name} that is expected",)
