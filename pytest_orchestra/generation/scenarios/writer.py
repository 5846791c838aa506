"""From a run to a scenario: its steps, decisions, conditions and data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_orchestra.generation.control_flow.repetitions import ONCE
from pytest_orchestra.generation.coverage.criteria import Goals
from pytest_orchestra.generation.scenarios.clean_up import list_clean_up
from pytest_orchestra.generation.scenarios.steps import BoundSteps, Launch, list_steps
from pytest_orchestra.generation.test_data.data_making import DataMaker
from pytest_orchestra.generation.test_data.suite_data import SuiteData
from pytest_orchestra.generation.token_game.game import Choice, Game, Run
from pytest_orchestra.generation.token_game.requirements import fitting_data, requirements_of
from pytest_orchestra.generation.wording import quoted
from pytest_orchestra.model.definition import Bindings, ScenarioDefinition, StepDefinition
from pytest_orchestra.model.scenario import DecisionTaken, ScenarioStep, TestScenario
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["ScenarioWriter"]


@dataclass
class ScenarioWriter:
    """Makes the scenarios of one suite."""

    game: Game
    goals: Goals
    bound: BoundSteps
    data: SuiteData
    bindings: Bindings
    home: Place
    unbound: Mapping[str, Problem]
    data_maker: DataMaker | None = None
    _texts: dict[int, tuple[StepDefinition, str]] = field(default_factory=dict)

    def generated(
        self,
        run: Run,
        key: str,
        name: str,
        goals: Collection[int] | None = None,
        at_once: Sequence[Launch] = (),
    ) -> TestScenario:
        """Give the scenario of a run that generation chose; ``goals`` are those that it meets, if that is known.

        Actions of the run are sent ``at_once``, if so asked.
        """
        usable = self.data.usable(key)
        fitting = fitting_data(self.game, run) & usable
        made, problems = self._made(run, key, usable, fitting, self.home)
        return self._write(run, key, name, fitting, problems, None, made, goals, at_once)

    def explicit(
        self, run: Run | None, definition: ScenarioDefinition, named: int, problems: Sequence[Problem]
    ) -> TestScenario:
        """Give the scenario that a user named; without a run if its decisions are impossible."""
        place = definition.place or self.home
        name = definition.name or definition.key
        if run is None:
            return self._write(None, definition.key, name, named, tuple(problems), definition)
        usable = self.data.usable(definition.key)
        fitting = fitting_data(self.game, run) & usable
        found = list(problems)
        made: tuple[str, ...] = ()
        own = self.data.named_directly(definition)
        if own:
            found.extend(self._misfits(run, definition.key, own & ~fitting, place))
            fitting = (named & fitting) | own
        elif named or not definition.data_sets:
            fitting &= named or usable
            made, more = self._made(run, definition.key, named or usable, fitting, place)
            found.extend(more)
        else:
            fitting = 0
        return self._write(run, definition.key, name, fitting, tuple(found), definition, made)

    def _write(
        self,
        run: Run | None,
        key: str,
        name: str,
        fitting: int,
        problems: tuple[Problem, ...],
        definition: ScenarioDefinition | None,
        made: tuple[str, ...] = (),
        goals: Collection[int] | None = None,
        at_once: Sequence[Launch] = (),
    ) -> TestScenario:
        graph = self.game.graph
        own = definition or ScenarioDefinition(key=key)
        blank = TestScenario(
            key=key,
            name=name,
            data_sets=tuple(dict.fromkeys((*self.data.names(fitting), *made))),
            tags=tuple(dict.fromkeys((*self.bindings.tags, *own.tags))),
            depends_on=tuple(own.depends_on),
            locks=tuple(dict.fromkeys((*self.bindings.locks, *own.locks))),
            status=own.status,
            active=own.active,
            mode=self.bindings.mode,
            version=_digest("", "", ""),
            line=(own.place or self.home).line,
            problems=problems,
        )
        if run is None:
            return blank
        steps = list_steps(graph, run, self.bound, at_once)
        clean_up = list_clean_up(steps, (self.bindings.clean_up, own.clean_up)) if steps else ()
        nodes = tuple([node.id for point, _ in run.occurrences if (node := graph.points[point].node)])
        decisions = self._decisions(run.choices)
        texts = [text for requirement in requirements_of(self.game, run) for text in requirement.texts]
        met = self.goals.met_by(run) if goals is None else goals
        return replace(
            blank,
            steps=steps,
            clean_up=clean_up,
            nodes=nodes,
            flows=tuple([flow.id for edge in run.edges if (flow := graph.edges[edge].flow)]),
            decisions=decisions,
            conditions=tuple(dict.fromkeys(texts)),
            serves=tuple(map(self.goals.goals.__getitem__, sorted(met))),
            version=_digest(
                json.dumps(nodes),
                json.dumps([(taken.element, taken.branches) for taken in decisions]),
                "\n".join(self._step_text(step) for step in (*steps, *clean_up)),
            ),
            problems=(*problems, *(self.unbound[node] for node in dict.fromkeys(nodes) if node in self.unbound)),
        )

    def _decisions(self, choices: Sequence[Choice]) -> tuple[DecisionTaken, ...]:
        found: dict[str, list[str]] = {}
        unusual: set[int] | None = None
        decisions = self.game.decisions
        for point, _, branches in choices:
            decision = decisions[point]
            if decision.is_repetition:
                if unusual is None:
                    unusual = {choice.point for choice in choices if choice.branches != (ONCE,)}
                if point not in unusual:
                    continue
            if decision.is_open:
                found.setdefault(decision.element, []).extend(branches)
        return tuple(DecisionTaken(element, tuple(branches)) for element, branches in found.items())

    def _step_text(self, step: ScenarioStep) -> str:
        known = self._texts.get(id(step.definition))
        if known is None or known[0] is not step.definition:
            known = (step.definition, _definition_text(step.definition))
            self._texts[id(step.definition)] = known
        return f"{step.alias} {step.element_id} {known[1]}"

    def _made(
        self, run: Run, key: str, usable: int, fitting: int, place: Place
    ) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        """Make the data that a scenario lacks, and say so; and what was asked for around its boundaries."""
        lacking = (self._without_data(run, key, usable, place),) if usable and not fitting else ()
        if self.data_maker is None or not self.game.table.requirements:
            return (), lacking
        steps = [step.definition for step in list_steps(self.game.graph, run, self.bound)]
        return self.data_maker.make(self.game, run, key, steps, (usable, fitting), lacking)

    def _without_data(self, run: Run, key: str, usable: int, place: Place) -> Problem:
        needed = [requirement for requirement in requirements_of(self.game, run) if ~requirement.fitting & usable]
        alone = [requirement for requirement in needed if not requirement.fitting & usable]
        texts = dict.fromkeys(text for requirement in alone or needed for text in requirement.texts)
        together = "" if alone else "all of "
        reason = f": none satisfies {together}{quoted(texts)}" if texts else ""
        return Problem(
            Severity.WARNING,
            place,
            f"no data set fits scenario '{key}'{reason}",
            hint="add a data set for it",
            element=key,
        )

    def _misfits(self, run: Run, key: str, misfits: int, place: Place) -> list[Problem]:
        problems: list[Problem] = []
        for bit, data_set in enumerate(self.data.sets):
            if not misfits >> bit & 1:
                continue
            failing = [one for one in requirements_of(self.game, run) if not one.fitting >> bit & 1]
            texts = quoted(dict.fromkeys(text for requirement in failing for text in requirement.texts))
            fact = f"data set '{data_set.name}' does not fit scenario '{key}'"
            problems.append(
                Problem(
                    Severity.WARNING,
                    place,
                    f"{fact}: it does not satisfy {texts}" if texts else f"{fact}: it takes another branch",
                    hint="change the data set or the scenario's decisions",
                    element=key,
                )
            )
        return problems


def _definition_text(definition: StepDefinition) -> str:
    return json.dumps(definition.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
