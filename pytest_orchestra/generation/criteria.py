"""What each coverage criterion asks for, and what a run gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.decisions import NORMAL, Branch, Decision
from pytest_orchestra.generation.game import Run
from pytest_orchestra.generation.graph import ControlFlow, EdgeKind
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import NodeKind
from pytest_orchestra.model.scenario import CoverageGoal

__all__ = ["Goals", "Spot", "list_goals"]

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
    """

    goals: tuple[CoverageGoal, ...]
    spots: tuple[Spot | None, ...]
    at_edge: Mapping[int, tuple[int, ...]]
    at_point: Mapping[int, tuple[int, ...]]
    at_branch: Mapping[tuple[int, str], int]

    def met_by(self, run: Run) -> frozenset[int]:
        """Give the indices of the goals that a run meets."""
        met: set[int] = set()
        for edge in run.edges:
            met.update(self.at_edge.get(edge, ()))
        for point in run.points:
            met.update(self.at_point.get(point, ()))
        for choice in run.choices:
            for branch in choice.branches:
                if (choice.point, branch) in self.at_branch:
                    met.add(self.at_branch[choice.point, branch])
        return frozenset(met)


def list_goals(graph: ControlFlow, decisions: Mapping[int, Decision], criteria: Sequence[Criterion]) -> Goals:
    """Give the goals of the criteria: every node, every sequence flow, every outcome of every decision.

    A decision's outcomes are its branches, the default one among them; for an activity with boundary events these are
    the events and its normal end.
    """
    found: dict[CoverageGoal, Spot | None] = {}
    for criterion in dict.fromkeys(criteria):
        if criterion is Criterion.NODE:
            found.update(_nodes(graph))
        elif criterion is Criterion.EDGE:
            found.update(_edges(graph))
        else:
            found.update(_branches(graph, decisions))
    number = {goal: index for index, goal in enumerate(found)}
    passed = [
        (number[goal], spot)
        for goal, spot in found.items()
        if spot is not None and goal.criterion is not Criterion.DECISION
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
    )


def _goal(decision: Decision, branch: Branch) -> CoverageGoal:
    return CoverageGoal(Criterion.DECISION, f"{decision.element}->{branch.id}")


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
        if not decision.is_open:
            continue
        for branch in decision.branches:
            found.setdefault(_goal(decision, branch), _spot(graph, decision, branch, thrown))
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
        return Spot(points=(graph.exit_of[decision.point],))
    return Spot(edges=branch.edges[:1])


def _inverted(pairs: Iterable[tuple[int, tuple[int, ...]]]) -> dict[int, tuple[int, ...]]:
    found: dict[int, list[int]] = {}
    for index, places in pairs:
        for place in places:
            found.setdefault(place, []).append(index)
    return {place: tuple(indices) for place, indices in found.items()}
