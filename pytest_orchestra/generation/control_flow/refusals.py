"""What a process says that has no agreed meaning in BPMN: each is named, and played in the most sensible way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pytest_orchestra.generation.control_flow.anatomy import Anatomy
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.wording import describe
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["find_refusals"]

_WORDS: Final = {kind: kind.value.removesuffix("EventDefinition") for kind in EventKind} | {
    EventKind.COMPENSATE: "compensation"
}
_NOT_ON_A_BORDER: Final = frozenset({EventKind.LINK, EventKind.TERMINATE})
_NOT_WAITED_FOR: Final = frozenset(
    {EventKind.ERROR, EventKind.ESCALATION, EventKind.CANCEL, EventKind.COMPENSATE, EventKind.TERMINATE}
)
_NOT_THROWN_ON_THE_WAY: Final = frozenset(
    {EventKind.ERROR, EventKind.CANCEL, EventKind.TERMINATE, EventKind.TIMER, EventKind.CONDITIONAL}
)
_NOT_AT_AN_END: Final = frozenset({EventKind.TIMER, EventKind.CONDITIONAL})
_NOT_AT_A_START: Final = frozenset({*_NOT_WAITED_FOR, EventKind.LINK})
_NOT_FOR_EVENT_SUBS: Final = frozenset({EventKind.CANCEL, EventKind.TERMINATE, EventKind.LINK})
_CHOOSE: Final = "choose another type of event"
_BY_HAND: Final = "check its scenarios by hand"


def find_refusals(anatomy: Anatomy, home: Place) -> list[Problem]:
    """Give a warning for every element that says what BPMN 2.0.2 gives no meaning to."""
    problems: list[Problem] = []
    for node in anatomy.known.values():
        judge = _judge_of(node)
        if judge is None:
            continue
        for fact, hint in judge(anatomy, node):
            place, code = node.place or home, Rule.NO_AGREED_MEANING.value
            problems.append(Problem(Severity.WARNING, place, fact, hint=hint, element=node.id, code=code))
    return problems


def _judge_of(node: FlowNode) -> Callable[[Anatomy, FlowNode], Iterator[tuple[str, str]]] | None:
    if node.triggered_by_event and node.kind.is_container:
        return _event_sub
    if node.is_for_compensation:
        return _handler
    return _JUDGES.get(node.kind)


def _misplaced(node: FlowNode, kinds: frozenset[EventKind]) -> str:
    """Give the types of an event that it may not have, in words."""
    return " and ".join(_WORDS[event.kind] for event in node.events if event.kind in kinds)


def _boundary(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    if not node.events:
        yield f"{describe(node)} does not say what it waits for; it may happen or not", "give it a type"
    if misplaced := _misplaced(node, _NOT_ON_A_BORDER):
        yield f"{describe(node)} is of type {misplaced}, which cannot happen at a border", _CHOOSE
    host = anatomy.known.get(node.attached_to or "")
    if host is None or host.kind is NodeKind.TRANSACTION:
        return
    if any(event.kind is EventKind.CANCEL for event in node.events):
        yield f"{describe(node)} waits for a cancellation, but {describe(host)} is no transaction", _CHOOSE


def _catch(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    del anatomy
    if not node.events:
        yield f"{describe(node)} does not say what it waits for", "give it a type"
    if misplaced := _misplaced(node, _NOT_WAITED_FOR):
        yield f"{describe(node)} is of type {misplaced}, which no process waits for on its way", _CHOOSE


def _throw(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    del anatomy
    if misplaced := _misplaced(node, _NOT_THROWN_ON_THE_WAY):
        yield f"{describe(node)} is of type {misplaced}, which is not thrown on the way", _CHOOSE
    yield from _unawaited(node)


def _unawaited(node: FlowNode) -> Iterator[tuple[str, str]]:
    if any(event.kind is EventKind.COMPENSATE and not event.wait_for_completion for event in node.events):
        yield f"{describe(node)} does not wait for what it compensates, and is played as if it did", _BY_HAND


def _end(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    if misplaced := _misplaced(node, _NOT_AT_AN_END):
        yield f"{describe(node)} is of type {misplaced}, which an end cannot throw", _CHOOSE
    if any(event.kind is EventKind.CANCEL for event in node.events) and anatomy.transaction_of(node) is None:
        yield f"{describe(node)} cancels, but lies in no transaction", "put it into a transaction"
    yield from _unawaited(node)


def _start(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    container = anatomy.known.get(node.scope or "")
    if container is not None and container.triggered_by_event:
        return  # its event sub-process is judged with it
    if misplaced := _misplaced(node, _NOT_AT_A_START):
        yield f"{describe(node)} is of type {misplaced}, which starts nothing", _CHOOSE
    elif container is not None and container.kind.is_container and node.events:
        kinds = " and ".join(_WORDS[event.kind] for event in node.events)
        fact = f"{describe(node)} of {describe(container)} waits for {kinds}, though the sub-process is entered anyway"
        yield fact, "make it a plain start event, or the sub-process an event sub-process"


def _event_sub(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    called = f"event {describe(node)}"
    if node.id in anatomy.targets:
        fact = f"{called} has a sequence flow that leads to it, and is played as one that is entered by it"
        yield fact, "remove the flow, or make it a plain sub-process"
        return
    starts = anatomy.starts_of(node)
    if len(starts) > 1:
        yield f"{called} has {len(starts)} start events; each may begin it", "give it one start event"
    definitions = anatomy.definitions_of(node)
    if starts and not definitions:
        fact = f"{called} does not say at its start what sets it off; it may happen or not"
        yield fact, "give its start event a type"
    if not starts and anatomy.members.get(node.id):
        yield f"{called} has no start event; it may happen or not", "add a start event with a type"
    misplaced = " and ".join(_WORDS[event.kind] for event in definitions if event.kind in _NOT_FOR_EVENT_SUBS)
    if misplaced:
        yield f"{called} starts with type {misplaced}, which sets off nothing", _CHOOSE
    if node.loop is not None:
        yield f"{called} repeats, and is played once each time", "remove its loop"


def _handler(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    if node.id in anatomy.targets:
        fact = f"a sequence flow leads to compensation handler '{node.label}', which is played as any activity"
        yield fact, "remove the flow, or the compensation marker"


def _parallel(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    flow = anatomy.conditional.get(node.id)
    if flow is not None:
        fact = f"{describe(node)} takes all its flows, whatever the condition of '{flow.label}' says"
        yield fact, "use an inclusive gateway, or remove the condition"


def _event_based(anatomy: Anatomy, node: FlowNode) -> Iterator[tuple[str, str]]:
    flow = anatomy.conditional.get(node.id)
    if flow is not None:
        fact = f"{describe(node)} waits for events, whatever the condition of '{flow.label}' says"
        yield fact, "use an exclusive gateway, or remove the condition"
    if node.event_gateway_type == "Parallel" and not node.instantiate:
        fact = f"{describe(node)} waits for all its events, which only one that starts a process may; it waits for one"
        yield fact, "let it start the process, or make it exclusive"


_JUDGES: Final[dict[NodeKind, Callable[[Anatomy, FlowNode], Iterator[tuple[str, str]]]]] = {
    NodeKind.BOUNDARY_EVENT: _boundary,
    NodeKind.INTERMEDIATE_CATCH_EVENT: _catch,
    NodeKind.INTERMEDIATE_THROW_EVENT: _throw,
    NodeKind.END_EVENT: _end,
    NodeKind.START_EVENT: _start,
    NodeKind.PARALLEL_GATEWAY: _parallel,
    NodeKind.EVENT_BASED_GATEWAY: _event_based,
}
