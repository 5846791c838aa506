"""From a run and its bindings to the steps of a scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.lookup import NodeNames
from pytest_orchestra.generation.scenarios.outcomes import Borders, list_unasked, read_outcomes
from pytest_orchestra.generation.token_game.game import Occurrence, Run
from pytest_orchestra.generation.wording import alias_of, describe, nearest_hint
from pytest_orchestra.model.definition import ActionMode, Bindings, StepDefinition, StepKind
from pytest_orchestra.model.process import FlowNode
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["UNBOUND", "BoundSteps", "Launch", "bind_steps", "list_steps", "unbound_activities"]

UNBOUND = "is bound to no step"
"""How the problem of an activity without a binding ends."""


@dataclass(frozen=True)
class BoundSteps:
    """The steps of every bound node, by its id; a node with an empty tuple is bound to nothing on purpose.

    ``senders`` has for a node that hears messages of other pools the nodes that may have caused these.
    """

    steps: Mapping[str, tuple[StepDefinition, ...]]
    problems: tuple[Problem, ...] = ()
    senders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def bind_steps(
    names: NodeNames,
    bindings: Bindings | None,
    home: Place,
    inferred: Mapping[str, tuple[StepDefinition, ...]] | None = None,
    borders: Borders | None = None,
) -> BoundSteps:
    """Find the nodes that the bindings name. A node that is named by its id and by its name has the steps of its id.

    Nodes that are not named have the steps that were ``inferred`` for them, by id. ``borders`` has the events that
    outcomes of steps may name.
    """
    by_name: dict[str, tuple[StepDefinition, ...]] = {}
    by_id: dict[str, tuple[StepDefinition, ...]] = {}
    problems: list[Problem] = []
    for element, definitions in (bindings.bindings if bindings else {}).items():
        nodes = names.find(element)
        if not nodes:
            place = bindings.place_of("bindings", element) if bindings else None
            problems.append(
                Problem(
                    Severity.ERROR,
                    place or home,
                    f"the process has no element '{element}' to bind steps to",
                    hint=nearest_hint(element, names.spellings()),
                    element=element,
                )
            )
        read, wrong = read_outcomes(element, nodes, definitions, borders or Borders.of(()), home)
        problems += wrong
        (by_id if element in read else by_name).update(read)
    return BoundSteps({**(inferred or {}), **by_name, **by_id}, tuple(problems))


def unbound_activities(
    graph: ControlFlow, bound: BoundSteps, severity: Severity, home: Place, hints: Mapping[str, str] | None = None
) -> dict[str, Problem]:
    """Give a problem for every task and call activity that is bound to no step, by the activity's id.

    ``hints`` say what it may be, by the activity's id.
    """
    found: dict[str, Problem] = {}
    for node in graph.process.nodes:
        if not node.kind.is_activity or node.kind.is_container or node.id in bound.steps:
            continue
        message = f"{describe(node)} {UNBOUND}"
        hint = f"bind steps to '{node.label}', or an empty list if nothing is to be done there"
        perhaps = (hints or {}).get(node.id)
        hint = f"{hint}; {perhaps}" if perhaps else hint
        found[node.id] = Problem(severity, node.place or home, message, hint=hint, element=node.id)
    return found


@dataclass(frozen=True, slots=True)
class Launch:
    """An action that meets others: the ``visit`` of its node, an index into the run's, and the step's ``number``."""

    visit: int
    number: int


def list_steps(
    graph: ControlFlow, run: Run, bound: BoundSteps, at_once: Sequence[Launch] = ()
) -> tuple[ScenarioStep, ...]:
    """Give the steps of the nodes of a run, in order, with a barrier at every join to which two branches bring steps.

    A barrier tracks the steps of the branches that nobody waited for, or all of them if there are none such; a join
    that is bound to a barrier has that one. Steps whose activity ends in another way than theirs are left out. Actions
    of visits that nothing orders are sent ``at_once``, if so asked: what comes before any of them is done before all,
    and a barrier waits for them before anything else happens.
    """
    return _Listing(graph, run, bound, at_once).steps() if any(bound.steps.values()) else ()


class _Listing:
    def __init__(self, graph: ControlFlow, run: Run, bound: BoundSteps, at_once: Sequence[Launch] = ()) -> None:
        self._launched = {launch.visit: launch.number for launch in sorted(at_once, key=lambda each: each.visit)}
        self._spans: dict[int, tuple[int, int, int]] = {}
        self._graph = graph
        self._run = run
        self._bound = bound
        self._unasked = list_unasked(graph, run, bound.steps)
        self._steps: list[ScenarioStep] = []
        self._latest: dict[str, str] = {}
        self._acted: dict[str, ScenarioStep] = {}
        self._used: set[str] = set()
        self._reserved: frozenset[str] = frozenset()
        self._brought = [0] * len(run.occurrences)

    def steps(self) -> tuple[ScenarioStep, ...]:
        self._reserved = frozenset(
            definition.alias
            for visit in range(len(self._run.occurrences))
            for _, definition in self._definitions(visit)
            if definition.alias is not None
        )
        for visit in self._order():
            self._list(visit, self._run.occurrences[visit])
        if self._launched:
            self._steps = self._sent_at_once()
        return tuple(self._steps)

    def _order(self) -> Sequence[int]:
        """Give the visits in their order, but those that meet one behind the other, after all that comes before any."""
        occurrences = self._run.occurrences
        if not self._launched:
            return range(len(occurrences))
        needed = 0
        for visit in range(len(occurrences) - 1, -1, -1):
            if visit in self._launched or needed >> visit & 1:
                for causes in occurrences[visit].causes:
                    for cause in causes:
                        needed |= 1 << cause
        before = [visit for visit in range(len(occurrences)) if needed >> visit & 1]
        rest = [visit for visit in range(len(occurrences)) if not needed >> visit & 1 and visit not in self._launched]
        return [*before, *self._launched, *rest]

    def _node(self, occurrence: Occurrence) -> FlowNode:
        node = self._graph.points[occurrence.point].node
        if node is None:
            raise ValueError("only nodes occur in a run")
        return node

    def _definitions(self, visit: int) -> Sequence[tuple[int, StepDefinition]]:
        """Give the steps of a visit with their numbers among all that its node is bound to."""
        definitions = self._bound.steps.get(self._node(self._run.occurrences[visit]).id, ())
        unasked = self._unasked.get(visit, ())
        return [(number, each) for number, each in enumerate(definitions) if number not in unasked]

    def _list(self, visit: int, occurrence: Occurrence) -> None:
        """Add the steps of one visit; the bits of ``_brought`` say which steps lie before, and at, each visit."""
        node = self._node(occurrence)
        definitions = self._definitions(visit)
        if len(occurrence.causes) == 1 and not definitions:
            self._brought[visit] = self._union(occurrence.causes[0])
            return
        branches = [self._union(causes) for causes in occurrence.causes]
        first = len(self._steps)
        if len(branches) > 1 and not any(each.kind is StepKind.BARRIER for _, each in definitions):
            self._add_barrier(node, branches)
        launched = len(self._steps)
        cause = self._message_cause(node)
        if cause is None and self._launched:
            cause = self._action_before(branches)
        for number, definition in definitions:
            if number == self._launched.get(visit):
                launched = len(self._steps)
            alias = definition.alias or alias_of(node.name, node.id)
            current = self._current(definition)
            if cause is not None and current.kind is StepKind.ASSERTION and current.caused_by is None:
                current = current.model_copy(update={"caused_by": cause})
            self._add(node, current, alias, definition.name or node.label)
            if current.kind is StepKind.ACTION:
                self._acted[node.id] = self._steps[-1]
                cause = self._steps[-1].alias if self._launched else None
        self._spans[visit] = (first, launched, len(self._steps))
        brought = ((1 << len(self._steps)) - 1) >> first << first
        for branch in branches:
            brought |= branch
        self._brought[visit] = brought

    def _sent_at_once(self) -> list[ScenarioStep]:
        """Put the actions that meet one behind the other: nobody waits for the first ones before the last one is sent.

        What their nodes do besides comes before all of them, or behind the barrier that waits for them.
        """
        before: list[ScenarioStep] = []
        sent: list[ScenarioStep] = []
        behind: list[ScenarioStep] = []
        for visit in self._launched:
            first, launched, end = self._spans[visit]
            before += self._steps[first:launched]
            sent.append(self._steps[launched])
            behind += self._steps[launched + 1 : end]
        start = self._spans[min(self._launched)][0]
        rest = self._steps[start + len(before) + len(sent) + len(behind) :]
        forgotten = [
            replace(step, definition=step.definition.model_copy(update={"mode": ActionMode.FIRE_AND_FORGET}))
            for step in sent[:-1]
        ]
        name = f"{' and '.join(repr(step.name) for step in sent)}, sent at once"
        tracked = [step.alias for step in sent if step is not sent[-1] or step.definition.mode is not ActionMode.SYNC]
        barrier = StepDefinition(kind=StepKind.BARRIER, name=name, tracked_steps=tracked)
        self._add(self._node(self._run.occurrences[max(self._launched)]), barrier, "at_once", name)
        ordered = [*self._steps[:start], *before, *forgotten, sent[-1], self._steps[-1], *behind, *rest]
        return [replace(step, order_index=index) for index, step in enumerate(ordered)]

    def _action_before(self, branches: Sequence[int]) -> str | None:
        """Give the last action of those that lie before a visit; what happens on other branches caused nothing."""
        known = 0
        for branch in branches:
            known |= branch
        for index, step in reversed(list(enumerate(self._steps))):
            if known >> index & 1 and step.kind is StepKind.ACTION:
                return step.alias
        return None

    def _message_cause(self, node: FlowNode) -> str | None:
        """Give the action, the last one before, that caused the message which a node hears."""
        senders = self._bound.senders.get(node.id, ())
        acted = [self._acted[sender] for sender in senders if sender in self._acted]
        return max(acted, key=lambda step: step.order_index).alias if acted else None

    def _union(self, causes: Sequence[int]) -> int:
        union = 0
        for cause in causes:
            union |= self._brought[cause]
        return union

    def _add_barrier(self, node: FlowNode, branches: Sequence[int]) -> None:
        common = branches[0]
        every = 0
        for branch in branches:
            common &= branch
            every |= branch
        if sum(branch & ~common != 0 for branch in branches) < 2:  # noqa: PLR2004  nothing to synchronise
            return
        own = [step for index, step in enumerate(self._steps) if (every & ~common) >> index & 1]
        forgotten = [step for step in own if step.definition.mode is ActionMode.FIRE_AND_FORGET]
        name = f"all branches at '{node.label}'"
        barrier = StepDefinition(
            kind=StepKind.BARRIER,
            name=name,
            tracked_steps=[step.alias for step in forgotten or own],
        )
        alias = f"barrier_{alias_of(node.name, node.id)}" if node.name else "barrier"
        self._add(node, barrier, alias, name)

    def _add(self, node: FlowNode, definition: StepDefinition, base: str, name: str) -> None:
        alias = base
        number = 1
        while alias in self._used or (alias != definition.alias and alias in self._reserved):
            number += 1
            alias = f"{base}_{number}"
        self._used.add(alias)
        self._latest[base] = alias
        self._steps.append(ScenarioStep(len(self._steps), alias, name, node.id, definition))

    def _current(self, definition: StepDefinition) -> StepDefinition:
        """Let references to steps mean the latest visit: the second time round a loop, ``check`` is ``check_2``."""
        cause = definition.caused_by
        changes: dict[str, object] = {}
        if cause is not None and self._latest.get(cause, cause) != cause:
            changes["caused_by"] = self._latest[cause]
        tracked = [self._latest.get(alias, alias) for alias in definition.tracked_steps]
        if tracked != definition.tracked_steps:
            changes["tracked_steps"] = tracked
        return definition.model_copy(update=changes) if changes else definition
