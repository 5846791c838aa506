"""Which operations the elements of a process stand for, where the model itself says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pytest_orchestra.generation.binding.connectors import read_connector, read_literal_url
from pytest_orchestra.generation.binding.inputs import build_input
from pytest_orchestra.generation.binding.interfaces import InterfaceOperations
from pytest_orchestra.generation.binding.matching import Match, OperationIndex
from pytest_orchestra.generation.binding.model_call import BindingRule, ModelCall
from pytest_orchestra.generation.binding.signal_routes import ends_with_status, read_signal_route
from pytest_orchestra.generation.binding.suggestions import Suggestion, Suggestions
from pytest_orchestra.generation.binding.work_items import WorkItems
from pytest_orchestra.generation.control_flow.lookup import NodeNames
from pytest_orchestra.generation.wording import alias_of, describe, quoted
from pytest_orchestra.model.definition import Bindings, EndpointRef, StepDefinition
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind, Process, ProcessDocument
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["InferredBindings", "infer_bindings"]


@dataclass(frozen=True)
class InferredBindings:
    """What follows from a model: steps, by which rule, and calls, by element id.

    ``calls`` are all that the model names, also those of which no specification knows, ``matches`` the operations that
    they are. ``suggestions`` are for elements that nothing binds; nobody uses them without being told to.
    """

    steps: Mapping[str, tuple[StepDefinition, ...]] = field(default_factory=lambda: MappingProxyType({}))
    how: Mapping[str, BindingRule] = field(default_factory=lambda: MappingProxyType({}))
    calls: Mapping[str, ModelCall] = field(default_factory=lambda: MappingProxyType({}))
    matches: Mapping[str, Match] = field(default_factory=lambda: MappingProxyType({}))
    suggestions: Mapping[str, tuple[Suggestion, ...]] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[Problem, ...] = ()

    @property
    def hints(self) -> Mapping[str, str]:
        """The suggestions in words, by element id."""
        return {
            element: f"perhaps it is {' or '.join(map(str, suggestions))}"
            for element, suggestions in self.suggestions.items()
        }


def infer_bindings(
    process: Process,
    document: ProcessDocument | None,
    specs: Mapping[str, ProtocolSpec],
    bindings: Bindings | None,
) -> InferredBindings:
    """Give the steps of the elements that the sidecar does not bind, as far as the model names their operations.

    The rules, in order: ``operationRef``; connectors and routes of vendors; a URL in the model; an ``operationId`` that
    is the element's name, id or implementation. A call that no specification declares is a problem, as is each
    expression that cannot be carried over; nothing is made up. The result depends on the arguments alone.
    """
    return _Inference(process, document, specs, bindings or Bindings()).infer()


class _Inference:
    def __init__(
        self,
        process: Process,
        document: ProcessDocument | None,
        specs: Mapping[str, ProtocolSpec],
        bindings: Bindings,
    ) -> None:
        self._process = process
        self._home = process.place or Place(document.file if document is not None else process.id)
        self._bindings = bindings
        names = NodeNames(process.nodes)
        self._bound = {node.id for element in bindings.bindings for node in names.find(element)}
        self._has_steps = any(steps and names.find(element) for element, steps in bindings.bindings.items())
        self._index = OperationIndex(specs)
        self._interfaces = InterfaceOperations(document)
        self._work_items = WorkItems(process)
        own = {process.id for process in document.processes} if document is not None else set()
        self._callable = own
        self._steps: dict[str, tuple[StepDefinition, ...]] = {}
        self._how: dict[str, BindingRule] = {}
        self._calls: dict[str, ModelCall] = {}
        self._matches: dict[str, Match] = {}
        self._problems: list[Problem] = []

    def infer(self) -> InferredBindings:
        if not self._bindings.infer_bindings:
            return InferredBindings()
        for node in self._process.nodes:
            if node.id not in self._bound:
                self._infer(node)
        return InferredBindings(
            self._steps,
            self._how,
            self._calls,
            self._matches,
            dict(self._suggest()),
            tuple(dict.fromkeys(self._problems)),
        )

    def _infer(self, node: FlowNode) -> None:
        if not (node.extensions or node.operation_ref or node.implementation or node.events):
            self._infer_name(node)
            return
        route = read_signal_route(node, self._process) if node.kind is NodeKind.START_EVENT else None
        if route is not None:
            self._infer_route(node, route)
            return
        call = self._interfaces.read(node) or read_connector(node) or self._work_items.read(node)
        if call is None and _acts(node):
            call = read_literal_url(node)
        match = None
        if call is not None:
            match = self._find(node, call)
            if match is not None or not _is_guess(call):
                self._calls[node.id] = call
        if match is not None and call is not None:
            self._steps[node.id] = (self._step(node, match, call),)
            self._how[node.id] = call.rule
            self._problems += self._losses(node, call, match)
        elif call is None or call.rule is BindingRule.LITERAL_URL or call.url is None:
            self._infer_name(node)

    def _infer_name(self, node: FlowNode) -> None:
        if (
            not self._index.specs
            or not _acts(node)
            or (node.kind is NodeKind.CALL_ACTIVITY and node.called_element in self._callable)
        ):
            return
        found = self._index.find_named((node.name, node.id, node.implementation))
        if len(found) > 1:
            self._problems.append(
                self._problem(
                    Severity.INFO,
                    node,
                    f"{describe(node)} is named like several operations: {quoted(match.label for match in found)}",
                    "bind it to the one that is meant",
                )
            )
        elif found:
            self._problems = [problem for problem in self._problems if problem.element != node.id]
            self._steps[node.id] = (self._step(node, found[0], None),)
            self._how[node.id] = BindingRule.OPERATION_ID

    def _find(self, node: FlowNode, call: ModelCall) -> Match | None:
        """Give the one operation that a call means; say what is wrong where it means none, or several."""
        if call.url is None and call.operation is not None:
            found = self._index.find_named((call.operation,), call.service)
        else:
            found = self._index.find_addressed(call)
        if len(found) == 1 or _is_guess(call):
            return found[0] if len(found) == 1 else None
        if found:
            fact = f"{describe(node)} calls '{call.label}', which may be {quoted(match.label for match in found)}"
            self._problems.append(self._problem(Severity.WARNING, node, fact, "bind it to the one that is meant"))
        elif call.shown and call.url is None and call.operation is None:
            text = quoted(dict.fromkeys(text for part, text in call.untranslated if part == "url"))
            fact = f"{describe(node)} calls a URL that cannot be read: {text or quoted([call.shown])}"
            self._problems.append(self._problem(Severity.INFO, node, fact, "bind it to an operation in the sidecar"))
        elif call.url is not None or (call.operation and self._index.specs):
            fact = f"{describe(node)} calls '{call.label}', which no specification declares"
            hint = "bind it in the sidecar" if self._index.specs else "add the service's specification to 'specs'"
            self._problems.append(self._problem(Severity.INFO, node, fact, hint))
        return None

    def _infer_route(self, start: FlowNode, call: ModelCall) -> None:
        """Bind the call that starts the process, with the status of the end that the path leads to.

        The call is made where the path is known to end. Where the sidecar has steps of its own for this process, it is
        made at the start, so that they follow it, and any of the statuses will do.
        """
        self._calls[start.id] = call
        match = self._find(start, call)
        if match is None:
            return
        self._problems += self._losses(start, call, match)
        ends = {node: status for node, status in ends_with_status(self._process).items() if node not in self._bound}
        if not ends or self._has_steps:
            self._steps[start.id] = (self._step(start, match, call, list(call.statuses) or None),)
            self._how[start.id] = call.rule
            return
        for element, status in ends.items():
            node = self._process.node[element]
            name = f"{match.operation.signature} gives {status}"
            self._calls[element] = call
            self._steps[element] = (self._step(node, match, call, status, name),)
            self._how[element] = call.rule

    def _step(
        self,
        node: FlowNode,
        match: Match,
        call: ModelCall | None,
        status: int | list[int | str] | None = None,
        name: str | None = None,
    ) -> StepDefinition:
        self._matches[node.id] = match
        return StepDefinition.model_validate(
            {
                "alias": alias_of(node.name, node.id),
                "name": name,
                "endpoint_ref": EndpointRef(
                    protocol_id=match.spec.protocol_id,
                    service_name=match.spec.service_name,
                    endpoint_name=match.operation.name,
                ),
                "input_template": build_input(match, call),
                "expected_status_code": status,
                "place": node.place or self._home,
            }
        )

    def _losses(self, node: FlowNode, call: ModelCall, match: Match) -> Iterator[Problem]:
        """Give a problem for each part of a call that is not carried over."""
        for part, text in call.untranslated:
            if text:
                fact = f"'{text}' in the {part} of {describe(node)} cannot be carried over to '{match.label}'"
                yield self._problem(Severity.WARNING, node, fact, "bind the task in the sidecar, with what it sends")
            else:
                fact = f"{part} of {describe(node)} is not carried over: it is a credential"
                yield self._problem(Severity.INFO, node, fact, "give it in 'headerRefs' of environments.yaml")

    def _suggest(self) -> Iterator[tuple[str, tuple[Suggestion, ...]]]:
        suggestions = Suggestions(self._index.specs)
        for node in self._process.nodes if self._index.specs else ():
            if node.id in self._bound or node.id in self._steps or not _may_be_called(node):
                continue
            found = suggestions.of(node.name)
            if found:
                yield node.id, found

    def _problem(self, severity: Severity, node: FlowNode, fact: str, hint: str) -> Problem:
        return Problem(severity, node.place or self._home, fact, hint=hint, element=node.id)


def _may_be_called(node: FlowNode) -> bool:
    """Whether an operation may be suggested for a node: a named activity, or what starts or wakes the process.

    What a process throws, and how it ends, are its own doing; a test looks at that and calls nothing.
    """
    if not node.name or node.kind.is_container or node.kind.is_gateway:
        return False
    if node.kind.is_activity:
        return True
    is_message = any(event.kind is EventKind.MESSAGE for event in node.events)
    if node.kind is NodeKind.START_EVENT:
        return is_message or (not node.events and node.scope is None)
    return is_message and node.kind in (NodeKind.INTERMEDIATE_CATCH_EVENT, NodeKind.BOUNDARY_EVENT)


def _is_guess(call: ModelCall) -> bool:
    """Whether a URL in the model may be anything: a page to read, the name of a language."""
    return call.rule is BindingRule.LITERAL_URL and call.method is None


def _acts(node: FlowNode) -> bool:
    """Whether a node is an activity that may make a call."""
    return node.kind.is_activity and not node.kind.is_container and node.kind is not NodeKind.RECEIVE_TASK
