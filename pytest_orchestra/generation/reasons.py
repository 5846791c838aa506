"""Why goals are not covered, and what is wrong with a process that leaves them so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_orchestra.generation.criteria import Goals, Spot
from pytest_orchestra.generation.decisions import Decision
from pytest_orchestra.generation.game import Failure, FailureKind, Game, Run
from pytest_orchestra.generation.graph import EdgeKind
from pytest_orchestra.generation.guidance import INFINITE, View
from pytest_orchestra.generation.search import Cover
from pytest_orchestra.generation.wording import describe, quoted
from pytest_orchestra.model.process import FlowNode, NodeKind
from pytest_orchestra.model.scenario import CoverageGoal
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["find_flaws", "reason_of"]


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
    if failure.kind is FailureKind.LOOPING:
        return "is reached only by repeating a loop more often than its limit allows"
    return f"the tokens of every run found through it multiply beyond the limit, at {names}"


def _nodes(game: Game, points: Iterable[int]) -> list[FlowNode]:
    found = (game.graph.points[point].node for point in points)
    return [node for node in found if node is not None]


def find_flaws(game: Game, cover: Cover, view: View, runs: Iterable[Run], home: Place) -> tuple[Problem, ...]:
    """Give what is wrong with the process as far as playing it has shown."""
    played = list(runs)
    severity = Severity.WARNING if played else Severity.ERROR
    return (
        *_unending(game, view, home),
        *_endless_loops(game, view, home),
        *_deadlocks(game, cover, home, severity),
        *_multiplying(game, cover, home, severity),
        *_unsynchronised(game, played, home),
        *_without_default(game, home),
    )


def _unending(game: Game, view: View, home: Place) -> Iterator[Problem]:
    graph, structure = game.graph, game.structure
    if graph.entry not in structure.reachable or not graph.out[graph.entry]:
        return
    severity = Severity.ERROR if view.to_end[graph.entry] == INFINITE else Severity.WARNING
    for point in sorted(structure.reachable):
        node = graph.points[point].node
        if node is not None and point not in structure.postdominators:
            message = f"no end can be reached from {describe(node)}"
            hint = "lead a flow from there to an end"
            yield Problem(severity, node.place or home, message, hint=hint, element=node.id)
            return


def _endless_loops(game: Game, view: View, home: Place) -> Iterator[Problem]:
    """Find the splits that send a token back whatever is decided, so that the process never runs out of tokens."""
    graph = game.graph
    for point in sorted(game.structure.reachable):
        node = graph.points[point].node
        if node is None or point not in game.structure.postdominators or view.to_end[point] != INFINITE:
            continue
        if any(view.to_end[target] != INFINITE for target in graph.successors(point)):
            message = f"{describe(node)} sends a token back every time, so that no run through it ends"
            hint = "decide with an exclusive gateway whether to go back"
            yield Problem(Severity.ERROR, node.place or home, message, hint=hint, element=node.id)


def _multiplying(game: Game, cover: Cover, home: Place, severity: Severity) -> Iterator[Problem]:
    points = [failure.points[0] for failure in cover.flaws if failure.kind is FailureKind.TOO_LONG]
    for node in _nodes(game, points[:1]):
        message = f"tokens multiply until the limit of one run is reached, at {describe(node)}"
        hint = "join concurrent branches with a gateway of the kind that split them"
        yield Problem(severity, node.place or home, message, hint=hint, element=node.id)


def _deadlocks(game: Game, cover: Cover, home: Place, severity: Severity) -> Iterator[Problem]:
    graph = game.graph
    missing: dict[int, list[str]] = {}
    for failure in cover.flaws:
        for point in failure.points if failure.kind is FailureKind.STUCK else ():
            flows = [graph.edges[edge] for edge in failure.missing if graph.edges[edge].target == point]
            missing.setdefault(
                point,
                [edge.flow.name or _label_of_source(game, edge.source) for edge in flows if edge.flow is not None],
            )
    for point, labels in sorted(missing.items()):
        node = graph.points[point].node
        if node is None:
            continue
        runs = "some runs" if severity is Severity.WARNING else "every run"
        message = f"{describe(node)} waits for ever in {runs}: nothing comes from {quoted(labels)}"
        hint = "join the branches with a gateway of the kind that split them"
        yield Problem(severity, node.place or home, message, hint=hint, element=node.id)


def _label_of_source(game: Game, point: int) -> str:
    node = game.graph.points[point].node
    return node.label if node is not None else ""


def _unsynchronised(game: Game, runs: Iterable[Run], home: Place) -> Iterator[Problem]:
    points = sorted({point for run in runs for point in run.unsynchronised})
    for node in _nodes(game, points):
        message = f"{describe(node)} is passed by concurrent tokens one by one"
        hint = "join the concurrent branches with a parallel gateway before it"
        yield Problem(Severity.WARNING, node.place or home, message, hint=hint, element=node.id)


def _without_default(game: Game, home: Place) -> Iterator[Problem]:
    for decision in game.decisions.values():
        node = game.graph.points[decision.point].node
        if node is None or node.kind is not NodeKind.EXCLUSIVE_GATEWAY or decision.default is not None:
            continue
        if decision.is_open and _all_conditional(game, decision):
            message = f"{describe(node)} has no default flow"
            hint = "set the gateway's default flow"
            yield Problem(Severity.INFO, node.place or home, message, hint=hint, element=node.id)


def _all_conditional(game: Game, decision: Decision) -> bool:
    edges = game.graph.edges
    return all(
        branch.condition is not None and all(edges[edge].kind is EdgeKind.FLOW for edge in branch.edges)
        for branch in decision.branches
    )
