"""What a run asks of the data."""

from __future__ import annotations

from pytest_orchestra.generation.assumptions.fitting import Requirement
from pytest_orchestra.generation.token_game.game import Game, Run

__all__ = ["fitting_data", "requirements_of"]


def requirements_of(game: Game, run: Run) -> tuple[Requirement, ...]:
    """Give what the decisions of a run ask of the data, in order, each once."""
    if not game.table.requirements:
        return ()
    found: dict[Requirement, None] = {}
    visits: dict[int, int] = {}
    for choice in run.choices:
        visit = visits[choice.point] = visits.get(choice.point, 0) + 1
        outcomes = [choice.outcome]
        default = game.decisions[choice.point].default
        if choice.outcome >= 0 and default is not None:
            outcomes.append(~default)  # it ended without any event thrown from inside
        for outcome in outcomes:
            requirement = game.table.requirement(choice.point, outcome, visit)
            if requirement is not None:
                found.setdefault(requirement)
    return tuple(found)


def fitting_data(game: Game, run: Run) -> int:
    """Give the mask of the data sets that fit a run: none of its conditions is known to fail for them."""
    mask = game.table.everyone
    for requirement in requirements_of(game, run):
        mask &= requirement.fitting
    return mask
