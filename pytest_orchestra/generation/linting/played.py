"""What only playing the process has shown: where the shape is too large to be judged, or the play knows more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_orchestra.generation.linting.findings import Finding
from pytest_orchestra.generation.linting.soundness import Verdict
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.token_game.game import Failure, FailureKind, Game, Run
from pytest_orchestra.generation.wording import describe, quoted
from pytest_orchestra.model.process import FlowNode
from pytest_orchestra.problem import Severity

__all__ = ["judge_play"]


def judge_play(game: Game, verdict: Verdict, flaws: Iterable[Failure], runs: Iterable[Run]) -> Iterator[Finding]:
    """Give what failed runs and ended ones show and the ``verdict`` on the shape does not say already."""
    played = list(runs)
    failures = list(flaws)
    severity = Severity.WARNING if played or verdict.ends else Severity.ERROR
    # where all is judged and some run ends, a run that got stuck has decided what its data would not
    for failure in failures if not verdict.is_complete or not played else ():
        if failure.kind is FailureKind.STUCK and not verdict.blamed & set(failure.points):
            yield from _deadlock(game, failure, severity)
    for node in _nodes(game, [failure.points[0] for failure in failures if failure.kind is FailureKind.TOO_LONG][:1]):
        fact = f"tokens multiply until the limit of one run is reached, at {describe(node)}"
        hint = "join concurrent branches with a gateway of the kind that split them"
        kind = Severity.WARNING if played else Severity.ERROR
        yield Finding(Rule.LACK_OF_SYNCHRONISATION, kind, node, fact, hint)
    if verdict.is_complete or any(finding.rule is Rule.LACK_OF_SYNCHRONISATION for finding in verdict.findings):
        return  # the shape tells all, or at least where it begins
    points = sorted({point for run in played for point in run.unsynchronised} - verdict.blamed)
    for node in _nodes(game, points):
        fact = f"{describe(node)} is passed by concurrent tokens one by one"
        hint = "join the concurrent branches with a parallel gateway before it"
        yield Finding(Rule.LACK_OF_SYNCHRONISATION, Severity.WARNING, node, fact, hint)


def _deadlock(game: Game, failure: Failure, severity: Severity) -> Iterator[Finding]:
    edges = game.graph.edges
    for point in failure.points:
        node = game.graph.points[point].node
        flows = [edges[edge] for edge in failure.missing if edges[edge].target == point]
        labels = [edge.flow.name or _label(game, edge.source) for edge in flows if edge.flow is not None]
        if node is not None and labels:
            fact = f"{describe(node)} can wait for ever: nothing comes from {quoted(labels)}"
            hint = "join the branches with a gateway of the kind that split them"
            yield Finding(Rule.DEADLOCK, severity, node, fact, hint)


def _label(game: Game, point: int) -> str:
    node = game.graph.points[point].node
    return node.label if node is not None else ""


def _nodes(game: Game, points: Iterable[int]) -> list[FlowNode]:
    found = (game.graph.points[point].node for point in points)
    return [node for node in found if node is not None]
