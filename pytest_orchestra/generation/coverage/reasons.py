"""Why goals are not covered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_orchestra.generation.assumptions.conflicts import assumed_before, why_not
from pytest_orchestra.generation.coverage.criteria import Goals, Spot
from pytest_orchestra.generation.coverage.search import Cover
from pytest_orchestra.generation.token_game.game import Failure, FailureKind, Game, Run
from pytest_orchestra.generation.token_game.guidance import INFINITE, View
from pytest_orchestra.generation.wording import describe, quoted
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
        return _reason_unfound(game, goals, cover, goal)
    return _reason_of_failure(game, failure)


def _reason_unfound(game: Game, goals: Goals, cover: Cover, goal: int) -> str:
    """Say of a goal to which no run failed to come, but which none meets, what the runs did instead."""
    runs = [found.run for found in cover.found]
    spot = goals.spots[goal]
    if runs and spot is not None and goals.pair_of(goal) is None:
        instead = _thrown_instead(game, runs, spot, goals.goals[goal].element)
        if instead is not None:
            return instead
    within = " within the limits of loops" if game.structure.cyclic_components else ""
    return f"no run was found that {'takes both' if goals.pair_of(goal) is not None else 'reaches it'}{within}"


def _thrown_instead(game: Game, runs: Sequence[Run], spot: Spot, element: str) -> str | None:
    """Name the decision that must come out normally to meet a goal, where an event is thrown from inside each time."""
    for point, decision in game.decisions.items():
        if decision.default is None or not any(branch.is_thrown for branch in decision.branches):
            continue
        normal = decision.branches[decision.default]
        taken = {
            branch for run in runs for choice in run.choices if choice.point == point for branch in choice.branches
        }
        if not taken or normal.id in taken:
            continue
        leaving = game.graph.exit_of.get(point)
        is_normal = element == f"{decision.element}->{normal.id}"
        if is_normal or (leaving is not None and not _is_reached(game, spot, leaving)):
            names = [branch.name or branch.id for branch in decision.branches if branch.id in taken]
            return f"every run found takes {quoted(names)} at '{decision.name}' instead"
    return None


def _is_reached(game: Game, spot: Spot, avoided: int) -> bool:
    """Whether a spot can be come to without passing a point."""
    edges, structure = game.graph.edges, game.structure
    waiting = [game.graph.entry]
    seen = {avoided, *waiting}
    while waiting:
        for edge in structure.successor_edges[waiting.pop()]:
            target = edges[edge].target
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    seen.discard(avoided)
    return any(source in seen for source, _ in _places(game, spot))


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
