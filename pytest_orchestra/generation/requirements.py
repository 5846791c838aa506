"""What a run asks of the data."""

from __future__ import annotations

from pytest_orchestra.generation.fitting import Requirement
from pytest_orchestra.generation.game import Game, Run

__all__ = ["fitting_data", "requirements_of"]


def requirements_of(game: Game, run: Run) -> tuple[Requirement, ...]:
    """Give what the decisions of a run ask of the data, in order, each once."""
    found: dict[Requirement, None] = {}
    requirements = game.table.requirements
    for choice in run.choices:
        keys = [(choice.point, choice.outcome)]
        default = game.decisions[choice.point].default
        if choice.outcome >= 0 and default is not None:
            keys.append((choice.point, ~default))  # it ended without any event thrown from inside
        for key in keys:
            if key in requirements:
                found.setdefault(requirements[key])
    return tuple(found)


def fitting_data(game: Game, run: Run) -> int:
    """Give the mask of the data sets that fit a run: none of its conditions is known to fail for them."""
    mask = game.table.everyone
    for requirement in requirements_of(game, run):
        mask &= requirement.fitting
    return mask
