"""When an inclusive join may go on (BPMN 2.0.2, 13.4.3), and which joins wait in vain."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.generation.token_game.game import Failure, FailureKind, Game
from pytest_orchestra.generation.token_game.instances import Instance, Token, is_within

__all__ = ["is_awaited", "only_some_wait", "stuck"]


def is_awaited(
    game: Game, join: int, instance: Instance, moving: Sequence[Token], instances: Sequence[Instance]
) -> bool:
    """Whether an inclusive join must wait for another token of its (sub-)process.

    ``moving`` are the tokens under way; among the ``instances`` are those in which tokens wait.
    """
    flows = game.graph.into[join]
    waiting = instance.parked[join]
    present = sum(1 << number for number, edge in enumerate(flows) if edge in waiting)
    absent = (1 << len(flows)) - 1 & ~present
    if not absent:
        return False
    ways = game.structure.ways_into(join)
    edges = game.graph.edges
    for token in moving:
        target = edges[token.edge].target
        if not is_within(token.instance, instance):
            continue
        if target == join or (ways[target] & absent and not ways[target] & present):
            return True
    return any(
        ways[point] & absent and not ways[point] & present
        for other in instances
        if other.parked and is_within(other, instance)
        for point in other.parked
        if point != join or other is not instance
    )


def only_some_wait(game: Game, instance: Instance, instances: Sequence[Instance]) -> bool:
    """Whether all that is left in an instance waits at inclusive joins."""
    return all(
        join in game.waits_for_some
        for other in instances
        if other.live and is_within(other, instance)
        for join in other.parked
    )


def stuck(game: Game, instances: Sequence[Instance]) -> Failure:
    """Give the failure of a run in which nothing moves any more: the joins, and the flows on which they wait."""
    points: dict[int, None] = {}
    missing: dict[int, None] = {}
    for instance in instances:
        for join, waiting in instance.parked.items():
            points.setdefault(join)
            missing.update(dict.fromkeys(edge for edge in game.graph.into[join] if edge not in waiting))
    return Failure(FailureKind.STUCK, tuple(points), tuple(missing))
