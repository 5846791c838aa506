"""Scenarios executed by SpiffWorkflow, an engine that knows nothing of this project.

The model is steered by what a scenario decided: every condition asks ``choice(gateway, flow)``, events are sent when
their node is due. :func:`follow` lets the engine go on with the node that the scenario has next, which the engine must
offer at that moment; :func:`roam` lets it go on in an order of its own. Between two nodes the engine does its inner
steps (its start and end, what it puts around boundary events) by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise, product
from random import Random

from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine, TaskDataEnvironment
from SpiffWorkflow.bpmn.specs.defaults import (
    BoundaryEvent,
    EventBasedGateway,
    InclusiveGateway,
    IntermediateCatchEvent,
    ReceiveTask,
)
from SpiffWorkflow.bpmn.specs.mixins.subworkflow_task import SubWorkflowTask as AnySubWorkflow
from SpiffWorkflow.bpmn.specs.mixins.unstructured_join import UnstructuredJoin
from SpiffWorkflow.bpmn.util.event import BpmnEvent
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.task import Task
from SpiffWorkflow.util.task import TaskState

from pytest_orchestra.model.process import EventKind, NodeKind, Process
from pytest_orchestra.model.scenario import TestScenario

__all__ = ["Disagreement", "Engine", "follow", "roam"]

_MOST_READINGS = 200
_INSTANCE = " [child]"
"""What the engine adds to the name of an activity for each of its instances."""
_CATCHING = (IntermediateCatchEvent, ReceiveTask, BoundaryEvent)


class Disagreement(AssertionError):  # noqa: N818 - it is a verdict, as an assertion is
    """The engine does not do what the scenario says."""


class Engine:
    """A process as SpiffWorkflow has read it."""

    def __init__(self, process: Process, text: str) -> None:
        self.process = process
        parser = BpmnParser()
        parser.add_bpmn_str(text.encode())
        self.spec = parser.get_spec(process.id)
        self.inner = parser.get_subprocess_specs(process.id)


@dataclass
class _Execution:
    """One instance: what it has visited and taken, and what each gateway will decide at each visit."""

    engine: Engine
    decided: Mapping[str, Sequence[frozenset[str]]]
    nodes: list[str] = field(default_factory=list)
    flows: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        environment = TaskDataEnvironment({"choice": self._choice})
        self._visits: Counter[str] = Counter()
        self._chosen: frozenset[str] = frozenset()
        self._begun: set[object] = set()
        self._open: list[Task] = []
        self._process = self.engine.process
        self._workflow = BpmnWorkflow(self.engine.spec, self.engine.inner, PythonScriptEngine(environment))
        self._settle()

    def _choice(self, gateway: str, flow: str) -> bool:
        assert gateway in self._process.node
        return flow in self._chosen

    def _tasks(self, state: int) -> list[Task]:
        return self._workflow.get_tasks(state=state)

    def _name(self, task: Task) -> str | None:
        """Give the node that a task visits; of an activity with several instances each instance is a visit."""
        name = task.task_spec.name.removesuffix(_INSTANCE)
        node = self._process.node.get(name)
        is_instance = name != task.task_spec.name
        return name if node is not None and (node.loop is not None) == is_instance else None

    def _settle(self) -> None:
        """Let the engine do its inner steps until only nodes of the process are left to go on with."""
        while True:
            done = False
            for task in self._tasks(TaskState.READY):
                if task.state == TaskState.READY and (self._name(task) is None or self._is_over(task)):
                    self._run(task)
                    done = True
            if not done:
                waiting = [task for task in self._tasks(TaskState.WAITING) if self._name(task) is None]
                for task in waiting:
                    task.task_spec._update(task)
                if not any(task.state == TaskState.READY for task in waiting):
                    return

    def _is_over(self, task: Task) -> bool:
        """Whether it is a sub-process that has come to its end, and no event interrupts it at this moment."""
        return (
            isinstance(task.task_spec, AnySubWorkflow)
            and task.id in self._begun
            and not any(
                isinstance(other.task_spec, BoundaryEvent)
                and other.task_spec.cancel_activity
                and other.state == TaskState.READY
                for other in task.parent.children
            )
        )

    def _run(self, task: Task) -> None:
        task.run()
        source = task.task_spec.name
        if source not in self._process.node:
            return
        if isinstance(task.task_spec, UnstructuredJoin):
            self._consume(task)
        for child in task.children:
            target = child.task_spec.name.removesuffix(".BoundaryEventSplit")
            if target in self._process.node:
                self.flows[source, target] += 1

    @staticmethod
    def _consume(join: Task) -> None:
        """Forget the tokens that a join has merged: the engine would count them again when a loop comes back."""
        for task in list(join.workflow.tasks.values()):
            if task.task_spec is join.task_spec and task.state == TaskState.CANCELLED and not task.children:
                join.workflow._remove_task(task.id)

    def visit(self, node: str) -> None:
        """Go on with the node, which must be due."""
        task = self._due(node)
        while task is None and self._open:
            self._finish(self._open.pop())
            task = self._due(node)
        if task is None:
            raise Disagreement(f"'{node}' is not due after {self.nodes}; due are {self._names()}")
        self._enter(task)

    def _names(self) -> list[str]:
        return [f"{task.task_spec.name} {TaskState.get_name(task.state)}" for task in self._tasks(_ALIVE)]

    def _due(self, node: str) -> Task | None:
        for task in self._tasks(_ALIVE):
            if self._name(task) != node or task.id in self._begun:
                continue
            if task.state == TaskState.WAITING:
                self._waken(task)
            if task.state == TaskState.READY or (
                task.state == TaskState.STARTED and isinstance(task.task_spec, AnySubWorkflow)
            ):
                return task
        return None

    def _waken(self, task: Task) -> None:
        """Send the event that a node waits for, or have a join look again at what is under way."""
        spec = task.task_spec
        if isinstance(spec, EventBasedGateway):
            [flow] = self._decision(spec.name, self._visits[spec.name])
            names = [child.name for child in spec.outputs]
            event = spec.event_definition.event_definitions[names.index(self._process.flow[flow].target)]
            spec.catch(task, BpmnEvent(event))
        elif isinstance(spec, _CATCHING):
            if _is_thrown(self._process, spec.name):
                return
            spec.event_definition.catch(task, BpmnEvent(spec.event_definition))
        elif not isinstance(spec, InclusiveGateway):
            return  # a parallel join notices all that arrives; to ask it again makes it go on twice
        spec._update(task)

    def _decision(self, node: str, visit: int) -> frozenset[str]:
        decided = self.decided.get(node, ())
        if visit >= len(decided):
            raise Disagreement(f"'{node}' is visited {visit + 1} times, and decided {len(decided)} times")
        return decided[visit]

    def _enter(self, task: Task) -> None:
        node = task.task_spec.name.removesuffix(_INSTANCE)
        self.nodes.append(node)
        self._begun.add(task.id)
        kind = self._process.node[node].kind
        if kind.is_gateway and node in self.decided:
            self._chosen = self._decision(node, self._visits[node])
        self._visits[node] += 1
        if isinstance(task.task_spec, AnySubWorkflow):
            self._settle()
        elif any(other.attached_to == node for other in self._process.nodes):
            self._open.append(task)
        else:
            self._run(task)
            self._settle()

    def _finish(self, task: Task) -> None:
        """Let an activity end that was left open for its boundary events."""
        if task.state == TaskState.READY:
            self._run(task)
        self._settle()

    def end(self) -> None:
        """Let what is open end; the process must be complete then."""
        while self._open:
            self._finish(self._open.pop())
        self._settle()
        if not self._workflow.is_completed():
            raise Disagreement(f"is not complete after {self.nodes}: {self._names()}")

    def roam(self, lots: Random) -> None:
        """Go on with whatever is due, in any order, until nothing is."""
        while True:
            names = dict.fromkeys(name for task in self._tasks(_ALIVE) if (name := self._name(task)) is not None)
            ready = [name for name in names if self._due(name) is not None]
            if not ready:
                return
            self.visit(lots.choice(ready))


_ALIVE = TaskState.READY | TaskState.WAITING | TaskState.STARTED


def _is_thrown(process: Process, node: str) -> bool:
    """Whether a boundary event is set off from within and by nobody else."""
    return any(event.kind in (EventKind.ERROR, EventKind.ESCALATION) for event in process.node[node].events)


def follow(engine: Engine, scenario: TestScenario) -> None:
    """Execute the scenario in its own order; raises :class:`Disagreement` if the engine cannot."""
    _try_readings(engine, scenario, None)


def roam(engine: Engine, scenario: TestScenario, lots: Random) -> None:
    """Execute the scenario's decisions in another order; nodes and flows must be the same, as often."""
    _try_readings(engine, scenario, lots)


def _try_readings(engine: Engine, scenario: TestScenario, lots: Random | None) -> None:
    """Try all that the decisions may mean: which branches of an inclusive gateway belong to one visit is not said."""
    failure: Disagreement | None = None
    for decided in islice(_readings(engine.process, scenario), _MOST_READINGS):
        try:
            _execute(engine, scenario, decided, lots)
        except Disagreement as raised:
            failure = failure or raised
        else:
            return
    raise failure or Disagreement("the decisions do not fit the visits")


def _execute(
    engine: Engine, scenario: TestScenario, decided: Mapping[str, Sequence[frozenset[str]]], lots: Random | None
) -> None:
    execution = _Execution(engine, decided)
    if lots is None:
        for node in scenario.nodes:
            execution.visit(node)
    else:
        execution.roam(lots)
    execution.end()
    if Counter(execution.nodes) != Counter(scenario.nodes):
        raise Disagreement(f"visits {execution.nodes}, not {scenario.nodes}")
    flows = [engine.process.flow[flow] for flow in scenario.flows]
    expected = Counter((flow.source, flow.target) for flow in flows)
    if execution.flows != expected:
        raise Disagreement(f"takes {execution.flows - expected} besides, and {expected - execution.flows} not")


def _readings(process: Process, scenario: TestScenario) -> Iterator[Mapping[str, Sequence[frozenset[str]]]]:
    visits = Counter(scenario.nodes)
    taken = {one.element: one.branches for one in scenario.decisions}
    names = [node for node in taken if node in process.node and process.node[node].kind.is_gateway]
    for cuts in product(*(list(_cut(process, node, taken[node], visits[node])) for node in names)):
        yield dict(zip(names, cuts, strict=True))


def _cut(process: Process, node: str, branches: tuple[str, ...], visits: int) -> Iterator[list[frozenset[str]]]:
    """Give the ways to share out branches among visits: one each, or some each in the order of the document."""
    if process.node[node].kind is not NodeKind.INCLUSIVE_GATEWAY:
        yield [frozenset((branch,)) for branch in branches]
        return
    order = {flow.id: number for number, flow in enumerate(process.outgoing[node])}

    def rest(start: int, left: int) -> Iterator[list[frozenset[str]]]:
        if left == 0:
            if start == len(branches):
                yield []
            return
        end = start + 1
        while end <= len(branches):
            part = branches[start:end]
            if any(order[one] >= order[other] for one, other in pairwise(part)):
                return
            for others in rest(end, left - 1):
                yield [frozenset(part), *others]
            end += 1

    yield from rest(0, visits)
