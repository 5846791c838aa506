"""The ways in which an activity ends, and which of its steps belong to which.

An activity with events at its border ends normally, or one of these takes over. Steps say by ``outcome`` where they
belong. Of those that say nothing it is the activity that tells: who calls a service calls it whatever comes of it, and
waits for an effect only where that is to come; what a person, or a message, is to bring about stays out where the event
comes instead (BPMN 2.0.2, 13.3.3 and 13.5.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.generation.control_flow.decisions import NORMAL
from pytest_orchestra.generation.control_flow.graph import ControlFlow, EdgeKind
from pytest_orchestra.generation.control_flow.lookup import inner_id
from pytest_orchestra.generation.token_game.game import Run
from pytest_orchestra.generation.wording import caption, describe, fold, nearest_hint, quoted
from pytest_orchestra.model.definition import StepDefinition, StepKind
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["Borders", "list_unasked", "read_outcomes", "tell_unspoken"]

_ANY: Final = "any"
_BROUGHT_ABOUT: Final = frozenset({NodeKind.USER_TASK, NodeKind.MANUAL_TASK, NodeKind.RECEIVE_TASK})
"""Activities that somebody outside ends: their steps play that somebody."""


@dataclass(frozen=True)
class Borders:
    """The events at the borders of activities, by the activity's id, without those that only compensate.

    ``labels`` has what the activities are called.
    """

    events: Mapping[str, tuple[FlowNode, ...]]
    labels: Mapping[str, str]

    @classmethod
    def of(cls, nodes: Iterable[FlowNode]) -> Borders:
        """Find them among the nodes of a process."""
        found: dict[str, list[FlowNode]] = {}
        labels: dict[str, str] = {}
        for node in nodes:
            labels.setdefault(node.id, node.label)
            if node.kind is NodeKind.BOUNDARY_EVENT and node.attached_to is not None and not _undoes(node):
                found.setdefault(node.attached_to, []).append(node)
        return cls({host: tuple(events) for host, events in found.items()}, labels)

    def at(self, host: str) -> tuple[FlowNode, ...]:
        """Give the events at the border of an activity."""
        return self.events.get(host, ())


def _undoes(node: FlowNode) -> bool:
    return bool(node.events) and all(event.kind is EventKind.COMPENSATE for event in node.events)


def read_outcomes(
    element: str, nodes: Sequence[FlowNode], definitions: Sequence[StepDefinition], borders: Borders, home: Place
) -> tuple[dict[str, tuple[StepDefinition, ...]], tuple[Problem, ...]]:
    """Give the steps that an ``element`` of the sidecar is bound to, by the id of each node that it means.

    In their ``outcome`` stand ids of events in place of names. What is no activity has no outcomes, and an event has to
    be at the border of one of the nodes; a step whose outcomes are wrong belongs to none.
    """
    problems: list[Problem] = []
    found: dict[str, list[StepDefinition]] = {node.id: [] for node in nodes}
    for definition in definitions:
        wanted = _texts(definition)
        if wanted is None:
            for steps in found.values():
                steps.append(definition)
            continue
        problems += _wrong(element, nodes, wanted, borders, definition.place or home)
        for node in nodes:
            known = [id_ for text in wanted for id_ in _meant(text, borders.at(node.id))]
            found[node.id].append(definition.model_copy(update={"outcome": known}))
    return {node: tuple(steps) for node, steps in found.items()}, tuple(problems)


def _texts(definition: StepDefinition) -> list[str] | None:
    outcome = definition.outcome
    return [outcome] if isinstance(outcome, str) else outcome


def _meant(text: str, events: Iterable[FlowNode]) -> list[str]:
    """Give the ids that a text means among the events of one activity: by id, else by name."""
    wanted = fold(text)
    if wanted.casefold() in (NORMAL, _ANY):
        return [wanted.casefold()]
    events = tuple(events)
    for key in (lambda event: event.id, lambda event: inner_id(event.id), caption):
        for spelling in (str, str.casefold):
            known = [event.id for event in events if spelling(fold(key(event))) == spelling(wanted)]
            if known:
                return known
    return []


def _wrong(
    element: str, nodes: Sequence[FlowNode], wanted: Sequence[str], borders: Borders, place: Place
) -> Iterator[Problem]:
    others = [node for node in nodes if not node.kind.is_activity]
    if others:
        fact = f"{describe(others[0])} has no outcomes: only activities end in several ways"
        yield Problem(Severity.ERROR, place, fact, "leave 'outcome' out", element=element)
        return
    events = [event for node in nodes for event in borders.at(node.id)]
    for text in wanted:
        if _meant(text, events):
            continue
        elsewhere = [borders.labels.get(host, host) for host, theirs in borders.events.items() if _meant(text, theirs)]
        fact = f"{describe(nodes[0])} has no boundary event '{text}'"
        if elsewhere:
            fact += f", which is at the border of {quoted(elsewhere)}"
        names = [caption(event) or event.id for event in events]
        hint = nearest_hint(text, (*names, NORMAL, _ANY)) if names else "its outcomes are 'normal' and 'any'"
        yield Problem(Severity.ERROR, place, fact, hint, element=element)


def tell_unspoken(
    nodes: Iterable[FlowNode],
    steps: Mapping[str, Sequence[StepDefinition]],
    borders: Borders,
    visited: Collection[str],
    home: Place,
) -> Iterator[Problem]:
    """Warn of calls that an error ends in some scenario, and of which nobody says what their reply is then."""
    for node in nodes:
        actions = [each for each in steps.get(node.id, ()) if each.kind is StepKind.ACTION]
        is_spoken = any(each.outcome is not None for each in steps.get(node.id, ()))
        if not actions or is_spoken or node.kind in _BROUGHT_ABOUT or node.kind.is_container:
            continue
        for event in borders.at(node.id):
            if event.id in visited and event.is_interrupting and _is_error(event):
                name = caption(event) or event.id
                fact = f"{describe(node)} expects the reply of its normal end also where '{name}' ends it"
                hint = f"bind a step with 'outcome: normal' and one with 'outcome: {name}', or say 'outcome: any'"
                place = actions[-1].place or node.place or home
                yield Problem(Severity.WARNING, place, fact, hint, element=node.id)


def _is_error(event: FlowNode) -> bool:
    return bool(event.events) and all(definition.kind is EventKind.ERROR for definition in event.events)


def list_unasked(
    graph: ControlFlow, run: Run, steps: Mapping[str, Sequence[StepDefinition]]
) -> dict[int, frozenset[int]]:
    """Give, by the visit, the numbers of the steps that a run leaves out, because their activity ends another way."""
    open_ended = dict(_open_ended(graph, steps))
    if not open_ended:
        return {}
    taken: dict[int, deque[tuple[str, ...]]] = {point: deque() for point in open_ended}
    for choice in run.choices:
        if choice.point in taken:
            taken[choice.point].append(choice.branches)
    found: dict[int, frozenset[int]] = {}
    for visit, (point, _) in enumerate(run.occurrences):
        if point not in open_ended:
            continue
        node, interrupting = open_ended[point]
        branches = frozenset(taken[point].popleft() if interrupting is not None and taken[point] else ())
        ends = branches if interrupting and not branches.isdisjoint(interrupting) else branches | {NORMAL}
        is_entered = point in graph.entry_of
        left_out = frozenset(
            number
            for number, definition in enumerate(steps[node.id])
            if not _belongs(definition, node, ends, is_entered=is_entered)
        )
        if left_out:
            found[visit] = left_out
    return found


def _open_ended(
    graph: ControlFlow, steps: Mapping[str, Sequence[StepDefinition]]
) -> Iterator[tuple[int, tuple[FlowNode, frozenset[str] | None]]]:
    """Give the points of nodes some of whose steps may be left out, with the events at the border that interrupt.

    These are None where there is no event at all, so that nothing is decided.
    """
    for element, definitions in steps.items():
        point = graph.point_of.get(element)
        node = graph.points[point].node if point is not None else None
        if point is None or node is None:
            continue
        edges = [graph.edges[edge] for edge in graph.out[point]]
        events = [graph.points[edge.target].node for edge in edges if edge.kind is EdgeKind.BOUNDARY]
        if events:
            ids = frozenset(event.id for event in events if event is not None and event.is_interrupting)
            yield point, (node, ids)
        elif any(definition.outcome is not None for definition in definitions):
            yield point, (node, None)


def _belongs(definition: StepDefinition, node: FlowNode, ends: frozenset[str], *, is_entered: bool) -> bool:
    wanted = _texts(definition)
    if wanted is not None:
        return _ANY in wanted or not ends.isdisjoint(wanted)
    if NORMAL in ends or is_entered:
        return True
    return definition.kind is StepKind.ACTION and node.kind not in _BROUGHT_ABOUT
