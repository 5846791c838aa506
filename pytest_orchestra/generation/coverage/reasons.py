"""Why goals are not covered."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_orchestra.generation.assumptions.conflicts import assumed_before, why_not
from pytest_orchestra.generation.coverage.criteria import Goals, Spot
from pytest_orchestra.generation.coverage.search import Cover
from pytest_orchestra.generation.token_game.game import Failure, FailureKind, Game
from pytest_orchestra.generation.token_game.guidance import INFINITE, View
from pytest_orchestra.generation.wording import describe
from pytest_orchestra.model.process import FlowNode
from pytest_orchestra.model.scenario import CoverageGoal

__all__ = ["reason_of"]


def reason_of(game: Game, goals: Goals, cover: Cover, view: View, goal: int) -> str:
    """Say why no scenario covers a goal; ``view`` is the game without regard to data."""
    spot = goals.spots[goal]
    if spot is None:
        return _reason_left_out(game, goals.goals[goal])
    graph = game.graph
    places = _places(game, spot)
    if not any(source in game.structure.reachable for source, _ in places):
        return "cannot be reached from a start"
    if view.to_end[graph.entry] == INFINITE:
        return "no run of the process comes to an end"
    if all(view.to_end[target] == INFINITE for _, target in places):
        return "no end can be reached from it"
    conflict = None
    if game.knowledge is not None and not game.knowledge.is_empty:
        conflict = why_not(game.knowledge, spot.edges, spot.points)
    if conflict is not None:
        return assumed_before(game.decisions, conflict)
    failure = cover.failures.get(goal)
    if failure is None and not cover.found:
        failure = next(iter(cover.flaws), None)
    if failure is None and goal in cover.unsearched:
        return "was not searched for: generation stopped at its limit"
    if failure is None:
        return "no run was found that reaches it within the limits of loops"
    return _reason_of_failure(game, failure)


def _reason_left_out(game: Game, goal: CoverageGoal) -> str:
    left_out = game.graph.left_out
    element = goal.element
    return left_out[element] if element in left_out else left_out[element.partition("->")[2]]


def _places(game: Game, spot: Spot) -> list[tuple[int, int]]:
    """Give for every place of a goal the point to come to, and the point to go on from."""
    edges = game.graph.edges
    return [
        *((edges[edge].source, edges[edge].target) for edge in spot.edges),
        *((point, point) for point in spot.points),
    ]


def _reason_of_failure(game: Game, failure: Failure) -> str:
    nodes = _nodes(game, failure.points)
    names = ", ".join(describe(node) for node in nodes)
    if failure.kind is FailureKind.STUCK:
        return f"every run found through it gets stuck at {names}"
    if failure.kind is FailureKind.CONTRADICTION and failure.conflict is not None:
        return assumed_before(game.decisions, failure.conflict)
    if failure.kind is FailureKind.LOOPING:
        return "is reached only by repeating a loop more often than its limit allows"
    return f"the tokens of every run found through it multiply beyond the limit, at {names}"


def _nodes(game: Game, points: Iterable[int]) -> list[FlowNode]:
    found = (game.graph.points[point].node for point in points)
    return [node for node in found if node is not None]
