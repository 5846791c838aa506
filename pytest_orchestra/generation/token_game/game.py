"""What is played: the rules of one process, and the values that a run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from pytest_orchestra.generation.assumptions.fitting import Table
from pytest_orchestra.generation.assumptions.knowledge import Conflict, Knowledge
from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import ControlFlow, EdgeKind, Role
from pytest_orchestra.generation.control_flow.loops import Loops
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.model.process import NodeKind

__all__ = ["Choice", "Failure", "FailureKind", "Game", "Occurrence", "Run", "Visit", "amend"]

_FORKING = (EdgeKind.INSIDE, EdgeKind.REPEAT, EdgeKind.BOUNDARY)
_PASSED = (Role.NODE, Role.LOOP)
_WAITING_FOR_SOME = (NodeKind.INCLUSIVE_GATEWAY, NodeKind.COMPLEX_GATEWAY)


@dataclass(frozen=True)
class Game:
    """The rules of one process: its graph, what may come of each decision, and the limits.

    ``edge_limits`` has for each flow on a cycle how often a token may take it, ``point_limits`` the same for visits,
    ``instances`` for the points where activities repeat how many instances several are. ``knowledge`` says what taking
    branches assumes; without any, conditions are not held against each other. ``turns`` are the points at
    which more happens than that a token passes, ``ends`` those whose events end a (sub-)process;
    ``forks`` are the edges that lead from one instance of a (sub-)process into another.
    """

    graph: ControlFlow
    structure: Structure
    decisions: Mapping[int, Decision]
    table: Table
    edge_limits: Mapping[int, int]
    point_limits: Mapping[int, int]
    max_steps: int
    instances: Mapping[int, int] = field(default_factory=dict)
    knowledge: Knowledge | None = None
    waits_for_all: frozenset[int] = field(init=False)
    waits_for_some: frozenset[int] = field(init=False)
    waits_for_count: Mapping[int, int] = field(init=False)
    waits: frozenset[int] = field(init=False)
    turns: frozenset[int] = field(init=False)
    ends: frozenset[int] = field(init=False)
    forks: frozenset[int] = field(init=False)
    merges: frozenset[int] = field(init=False)
    completions: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.graph
        joins = [point.index for point in graph.points if point.role in _PASSED and len(graph.into[point.index]) > 1]
        counted = {point: graph.activations[point] for point in joins if point in graph.activations}
        some = [point for point in joins if graph.kind(point) in _WAITING_FOR_SOME and point not in counted]
        every = [point for point in joins if graph.kind(point) is NodeKind.PARALLEL_GATEWAY]
        waiting = frozenset((*some, *every, *counted))
        merges = [point for point in joins if point not in waiting and (graph.out[point] or point in graph.exit_of)]
        object.__setattr__(self, "waits_for_all", frozenset(every))
        object.__setattr__(self, "waits_for_some", frozenset(some))
        object.__setattr__(self, "waits_for_count", counted)
        object.__setattr__(self, "waits", waiting)
        object.__setattr__(self, "merges", frozenset(merges))
        repeated = (graph.exit_of[point] for point in graph.loop_of)
        interrupting = [point for point, throw in graph.throws.items() if throw.interrupting]
        forks = (edge.index for edge in graph.edges if edge.kind in _FORKING)
        object.__setattr__(self, "forks", frozenset(forks))
        object.__setattr__(self, "ends", frozenset((*interrupting, *graph.terminates)))
        object.__setattr__(self, "turns", frozenset((*graph.throws, *graph.compensations, *repeated)))
        inner = (graph.exit_of[container] for container in graph.entry_of)
        object.__setattr__(self, "completions", frozenset((graph.exit, *inner)))

    @cached_property
    def passages(self) -> tuple[int, ...]:
        """For every point the edge on which a token goes on at once; -1 where more happens than that it passes."""
        graph = self.graph
        busy = {*self.waits, *self.turns, *self.ends, *self.decisions, *self.point_limits, *graph.remembered}
        found = [-1] * len(graph.points)
        for point, outcomes in enumerate(self.table.outcomes):
            if graph.points[point].role is Role.NODE and len(outcomes) == 1 and point not in busy:
                edges = outcomes[0].edges
                if len(edges) == 1 and edges[0] not in self.forks:
                    found[point] = edges[0]
        return tuple(found)

    @cached_property
    def choices(self) -> Mapping[int, tuple[Choice, ...]]:
        """For every decision what deciding for each outcome is."""
        return {
            point: tuple(
                Choice(point, index, decision.ids(outcome)) for index, outcome in enumerate(self.table.outcomes[point])
            )
            for point, decision in self.decisions.items()
        }

    @cached_property
    def options(self) -> tuple[tuple[int, ...], ...]:
        """For every point the indices of all its outcomes."""
        return tuple(tuple(range(len(outcomes))) for outcomes in self.table.outcomes)

    @cached_property
    def multiplies(self) -> bool:
        """Whether a run may pass the inside of an activity, or its border, several times at one visit."""
        graph = self.graph
        if graph.compensations:
            return True
        kinds = {EdgeKind.INSIDE, EdgeKind.BOUNDARY}
        return any(
            graph.repetitions[before].instances(self.instances.get(before, 2)) > 1
            and any(graph.edges[edge].kind in kinds for edge in graph.out[point])
            for point, before in graph.loop_of.items()
        )

    def permits(self, edge: int, loops: Loops) -> bool:
        """Whether a token with these loops may take the edge once more."""
        limit = self.edge_limits.get(edge)
        if limit is not None and loops.counts.get(edge, 0) >= limit:
            return False
        target = self.graph.edges[edge].target
        limit = self.point_limits.get(target)
        return limit is None or loops.counts.get(~target, 0) < limit


class FailureKind(StrEnum):
    """Why a run cannot come to an end."""

    STUCK = "stuck"
    LOOPING = "looping"
    TOO_LONG = "too long"
    CONTRADICTION = "contradiction"


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that does not end: the points where it failed, and the flows on which joins wait in vain.

    Where conditions contradict, ``conflict`` says which, and ``points`` are the decisions that made the claims.
    """

    kind: FailureKind
    points: tuple[int, ...]
    missing: tuple[int, ...] = ()
    conflict: Conflict | None = None


class Choice(NamedTuple):
    """What was decided at one visit: the outcome's index (``~branch`` where it was thrown) and its branches' ids."""

    point: int
    outcome: int
    branches: tuple[str, ...]


class Occurrence(NamedTuple):
    """One visit of a node. ``causes`` has, for each token that came, the indices of the occurrences right before it.

    Only a join sees several tokens at once; the token of a sub-process that ended comes from all its ends.
    """

    point: int
    causes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One play from its start to its end: what was visited, taken and decided, in order.

    ``unsynchronised`` are the merges that several concurrent tokens passed one by one.
    """

    occurrences: tuple[Occurrence, ...]
    edges: tuple[int, ...]
    points: tuple[int, ...]
    choices: tuple[Choice, ...]
    unsynchronised: tuple[int, ...] = ()


class Visit(NamedTuple):
    """A decision that is due: its point, the outcomes within the limits, and the deciding token's loops."""

    point: int
    options: tuple[int, ...]
    loops: Loops


def amend(choice: Choice, decision: Decision, thrown: str, *, interrupting: bool) -> Choice:
    """Give what was decided after all: an event that was thrown, instead of the normal end or besides others."""
    branch = next(number for number, branch in enumerate(decision.branches) if branch.id == thrown)
    kept = () if interrupting else tuple(entry for entry in choice.branches if entry != decision.branches[0].id)
    return Choice(choice.point, ~branch, (*kept, thrown))
