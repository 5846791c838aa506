"""Which scenarios get data of their own: those that no data set fits, and those whose boundaries are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_orchestra.generation.solving.schema_domains import list_domains
from pytest_orchestra.generation.solving.solver import Solution, Status
from pytest_orchestra.generation.test_data.suite_data import SuiteData
from pytest_orchestra.generation.test_data.witness import PathConditions, Witness, WitnessMaker, conditions_of
from pytest_orchestra.generation.token_game.game import Game, Run
from pytest_orchestra.generation.wording import quoted
from pytest_orchestra.model.definition import Bindings, StepDefinition
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Problem, Severity

__all__ = ["DataMaker"]


@dataclass(frozen=True)
class DataMaker:
    """Makes data as the sidecar wants it. ``specs`` have the schemas of the fields in which data is sent."""

    maker: WitnessMaker
    data: SuiteData
    bindings: Bindings
    specs: Mapping[str, ProtocolSpec]

    def make(
        self,
        game: Game,
        run: Run,
        key: str,
        steps: Sequence[StepDefinition],
        masks: tuple[int, int],
        lacking: tuple[Problem, ...],
    ) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        """Give the names of the data sets that were made for a scenario, and its problems.

        ``masks`` are those of the data sets that it may use, and of those that fit it; ``lacking`` is the problem that
        none does, which becomes news where data was made.
        """
        usable, fitting = masks
        wants_witness = self.bindings.witnesses and not fitting
        if not wants_witness and not self.bindings.boundary_values:
            return (), lacking
        asked = conditions_of(game, run, self.data.keys() if self.data.sets else None)
        if asked.is_empty:
            return (), lacking
        domains = list_domains(steps, self.specs)
        base = next((one for bit, one in enumerate(self.data.sets) if fitting >> bit & 1), None)
        names: list[str] = []
        if wants_witness:
            bases = [one for bit, one in enumerate(self.data.sets) if usable >> bit & 1]
            found = self.maker.make(key, asked, bases, domains)
            lacking = tuple(_told(problem, found, asked) for problem in lacking)
            if isinstance(found, Witness):
                base = found.data_set
                names.append(base.name)
        if self.bindings.boundary_values and base is not None:
            names += (one.name for one in self.maker.boundaries(key, asked, base, domains))
        return tuple(names), lacking


def _told(problem: Problem, found: Witness | Solution, asked: PathConditions) -> Problem:
    """Say of missing data what was made in its place, or why nothing could be."""
    if isinstance(found, Witness):
        origin = f"from '{found.base}' " if found.base is not None else ""
        message = f"{problem.message}; '{found.data_set.name}' was made {origin}with {found.describe()}"
        return replace(
            problem, severity=Severity.INFO, message=message, hint="add a data set for it to choose the values yourself"
        )
    if found.status is Status.CONTRADICTORY:
        texts = [asked.claims[index].text for index in found.core]
        if len(texts) > 1:
            return replace(problem, message=f"{problem.message}, and none can: {quoted(texts)} contradict each other")
        return replace(problem, message=f"{problem.message}, and none can: the schema of its field forbids it")
    texts = [claim.text for claim in (*asked.opaque, *asked.claims)]
    return replace(problem, message=f"{problem.message}, and none was found for {quoted(dict.fromkeys(texts))}")
