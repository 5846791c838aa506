"""What each coverage criterion asks for, and what a run gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.control_flow.decisions import NORMAL, Branch, Decision
from pytest_orchestra.generation.control_flow.graph import ControlFlow, EdgeKind
from pytest_orchestra.generation.coverage.cycles import COUNTS, Cycle, list_cycles
from pytest_orchestra.generation.coverage.pairs import Pairs, list_pairs
from pytest_orchestra.generation.token_game.game import Game, Run
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import NodeKind
from pytest_orchestra.model.scenario import CoverageGoal

__all__ = ["Goals", "Spot", "list_goals", "prerequisites_of"]

_DECIDING = frozenset(
    {
        NodeKind.EXCLUSIVE_GATEWAY,
        NodeKind.INCLUSIVE_GATEWAY,
        NodeKind.EVENT_BASED_GATEWAY,
        NodeKind.COMPLEX_GATEWAY,
    }
)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a goal is met: on any of these edges, or at any of these points."""

    edges: tuple[int, ...] = ()
    points: tuple[int, ...] = ()


@dataclass(frozen=True)
class Goals:
    """The goals of a suite, in order, with where each is met; ``spots`` is None for what is not in the graph.

    Where a decision's goal is to be aimed at is a spot as well, but it is met only when its branch is decided on.
    Likewise those of loops, ``repeated``: by number the loop and how often; and of ``pairs``, the first of which has
    the number ``first_pair``.
    """

    goals: tuple[CoverageGoal, ...]
    spots: tuple[Spot | None, ...]
    at_edge: Mapping[int, tuple[int, ...]]
    at_point: Mapping[int, tuple[int, ...]]
    at_branch: Mapping[tuple[int, str], int]
    repeated: Mapping[int, tuple[Cycle, int]]
    pairs: Pairs | None
    first_pair: int

    def met_by(self, run: Run) -> frozenset[int]:
        """Give the indices of the goals that a run meets."""
        met: set[int] = set()
        if self.at_edge:
            met.update(*(self.at_edge[edge] for edge in set(run.edges) if edge in self.at_edge))
        if self.at_point:
            met.update(*(self.at_point[point] for point in set(run.points) if point in self.at_point))
        for choice in run.choices if self.at_branch else ():
            for branch in choice.branches:
                if (choice.point, branch) in self.at_branch:
                    met.add(self.at_branch[choice.point, branch])
        if self.repeated:
            counts = {cycle: cycle.count(run) for cycle, _ in self.repeated.values()}
            met.update(goal for goal, (cycle, times) in self.repeated.items() if counts[cycle] == times)
        if self.pairs is not None:
            met.update(self.first_pair + pair for pair in self.pairs.met_by(run))
        return frozenset(met)

    def pair_of(self, goal: int) -> tuple[int, int] | None:
        """Give the two values of a goal that is a pair."""
        if self.pairs is None or not 0 <= goal - self.first_pair < len(self.pairs.pairs):
            return None
        return self.pairs.pairs[goal - self.first_pair]

    def is_plain(self, goal: int) -> bool:
        """Whether a goal is met by whoever comes to its spot."""
        return goal not in self.repeated and self.pair_of(goal) is None


def list_goals(game: Game, criteria: Sequence[Criterion]) -> Goals:
    """Give the goals of the criteria, except those of races, which depend on the steps.

    A decision's outcomes are its branches, the default one among them; for an activity with boundary events these are
    the events and its normal end. A loop's are ``0``, ``1`` and ``N``, as far as its limit permits.
    """
    graph, decisions = game.graph, game.decisions
    found: dict[CoverageGoal, Spot | None] = {}
    repeated: dict[CoverageGoal, tuple[Cycle, int]] = {}
    pairs: Pairs | None = None
    first_pair = 0
    for criterion in dict.fromkeys(criteria):
        if criterion is Criterion.NODE:
            found.update(_nodes(graph))
        elif criterion is Criterion.EDGE:
            found.update(_edges(graph))
        elif criterion is Criterion.DECISION:
            found.update(_branches(graph, decisions))
        elif criterion is Criterion.LOOP:
            found.update(_repetitions(graph, decisions))
            repeated = _loops(game)
            found.update((goal, _loop_spot(cycle, times)) for goal, (cycle, times) in repeated.items())
        elif criterion is Criterion.PAIRWISE:
            pairs = list_pairs(graph, game.structure, decisions)
            first_pair = len(found)
            for place, (one, other) in enumerate(pairs.pairs):
                spot = Spot(points=(pairs.values[one].point, pairs.values[other].point))
                found[CoverageGoal(criterion, pairs.element(place))] = spot
    number = {goal: index for index, goal in enumerate(found)}
    passed = [
        (number[goal], spot)
        for goal, spot in found.items()
        if spot is not None and goal.criterion in (Criterion.NODE, Criterion.EDGE)
    ]
    return Goals(
        tuple(found),
        tuple(found.values()),
        _inverted((index, spot.edges) for index, spot in passed),
        _inverted((index, spot.points) for index, spot in passed),
        {
            (decision.point, branch.id): number[goal]
            for decision in decisions.values()
            for branch in decision.branches
            if (goal := _goal(decision, branch)) in number
        },
        {number[goal]: loop for goal, loop in repeated.items()},
        pairs,
        first_pair,
    )


def prerequisites_of(graph: ControlFlow, spot: Spot | None) -> tuple[int, ...]:
    """Give the points that a run must have passed before it can come to a spot, where the graph does not show that."""
    if spot is None or not graph.prerequisites:
        return ()
    places = (*spot.points, *(graph.edges[edge].source for edge in spot.edges))
    return tuple(dict.fromkeys(point for place in places for point in graph.prerequisites.get(place, ())))


def _goal(decision: Decision, branch: Branch) -> CoverageGoal:
    criterion = Criterion.LOOP if decision.is_repetition else Criterion.DECISION
    return CoverageGoal(criterion, f"{decision.element}->{branch.id}")


def _repetitions(graph: ControlFlow, decisions: Mapping[int, Decision]) -> dict[CoverageGoal, Spot | None]:
    """Give the goals of activities that are repeated: not at all, once, more often."""
    return {
        _goal(decision, branch): _spot(graph, decision, branch, {})
        for decision in decisions.values()
        if decision.is_repetition
        for branch in decision.branches
    }


def _loops(game: Game) -> dict[CoverageGoal, tuple[Cycle, int]]:
    return {
        CoverageGoal(Criterion.LOOP, f"{cycle.element}->{COUNTS[times]}"): (cycle, times)
        for cycle in list_cycles(game.graph, game.structure, game.edge_limits)
        for times in range(min(cycle.most, 2) + 1)
    }


def _loop_spot(cycle: Cycle, times: int) -> Spot:
    return Spot(edges=tuple(sorted(cycle.closing))) if times else Spot(points=(cycle.head,))


def _nodes(graph: ControlFlow) -> dict[CoverageGoal, Spot | None]:
    found: dict[CoverageGoal, Spot | None] = {}
    for node in graph.process.nodes:
        point = graph.point_of.get(node.id)
        spot = None if point is None else Spot(points=(point,))
        found.setdefault(CoverageGoal(Criterion.NODE, node.id), spot)
    return found


def _edges(graph: ControlFlow) -> dict[CoverageGoal, Spot | None]:
    carried: dict[str, list[int]] = {}
    for edge in graph.edges:
        if edge.flow is not None:
            carried.setdefault(edge.flow.id, []).append(edge.index)
    found: dict[CoverageGoal, Spot | None] = {}
    for flow in graph.process.flows:
        spot = Spot(edges=tuple(carried[flow.id])) if flow.id in carried else None
        found.setdefault(CoverageGoal(Criterion.EDGE, flow.id), spot)
    return found


def _branches(graph: ControlFlow, decisions: Mapping[int, Decision]) -> dict[CoverageGoal, Spot | None]:
    thrown: dict[int, list[int]] = {}
    for edge in graph.edges:
        if edge.kind is EdgeKind.THROW:
            thrown.setdefault(edge.target, []).append(edge.index)
    found: dict[CoverageGoal, Spot | None] = {}
    for decision in decisions.values():
        if not decision.is_open or decision.is_repetition:
            continue
        for branch in decision.branches:
            goal, spot = _goal(decision, branch), _spot(graph, decision, branch, thrown)
            known = found.get(goal)  # a process with several start events decides about its events at each of them
            found[goal] = spot if known is None else Spot(known.edges + spot.edges, known.points + spot.points)
    for node in graph.process.nodes:
        flows = graph.process.outgoing[node.id]
        if node.kind in _DECIDING and len(flows) > 1:
            for flow in flows:
                if flow.id in graph.left_out:
                    found.setdefault(CoverageGoal(Criterion.DECISION, f"{node.id}->{flow.id}"), None)
    return found


def _spot(graph: ControlFlow, decision: Decision, branch: Branch, thrown: Mapping[int, Sequence[int]]) -> Spot:
    if branch.is_thrown:
        return Spot(edges=tuple(thrown[graph.point_of[branch.id]]))
    if branch.id == NORMAL and any(other.is_thrown for other in decision.branches):
        return Spot(points=(graph.exit_of.get(decision.point, graph.exit),))
    triggers = tuple(edge for edge in branch.edges if graph.edges[edge].kind is EdgeKind.TRIGGER)
    return Spot(edges=triggers or branch.edges[:1])


def _inverted(pairs: Iterable[tuple[int, tuple[int, ...]]]) -> dict[int, tuple[int, ...]]:
    found: dict[int, list[int]] = {}
    for index, places in pairs:
        for place in places:
            found.setdefault(place, []).append(index)
    return {place: tuple(indices) for place, indices in found.items()}
