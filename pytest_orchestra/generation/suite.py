"""From a process, its bindings and its data to a suite of scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.compiler import compile_process
from pytest_orchestra.generation.criteria import Goals, list_goals
from pytest_orchestra.generation.decisions import find_decisions
from pytest_orchestra.generation.explicit import Demand, find_run, read_demand
from pytest_orchestra.generation.fitting import build_table, classify
from pytest_orchestra.generation.game import Game, Run
from pytest_orchestra.generation.guidance import View
from pytest_orchestra.generation.keys import name_scenarios
from pytest_orchestra.generation.limits import MAX_DATA_CLASSES, MAX_SCENARIOS, steps_per_run
from pytest_orchestra.generation.lookup import DecisionNames, NodeNames
from pytest_orchestra.generation.loops import loop_limits
from pytest_orchestra.generation.reasons import find_flaws, reason_of
from pytest_orchestra.generation.requirements import fitting_data
from pytest_orchestra.generation.scenarios import ScenarioWriter
from pytest_orchestra.generation.search import Cover, Found, find_runs
from pytest_orchestra.generation.steps import bind_steps, unbound_activities
from pytest_orchestra.generation.structure import Structure
from pytest_orchestra.generation.suite_data import SuiteData, choose_data
from pytest_orchestra.generation.written import read_conditions, read_loops
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.model.scenario import CriterionCoverage, MissedGoal, ScenarioSuite
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["build_suite"]


def build_suite(
    process: Process,
    bindings: Bindings | None,
    data_sets: Sequence[TestDataSet],
    *,
    document: ProcessDocument | None = None,
    criteria: Sequence[Criterion] | None = None,
    strict: bool = False,
) -> ScenarioSuite:
    """Give the scenarios of a process that meet the coverage criteria, what they cover, what they do not, and why.

    Scenarios that the bindings name come first, as they stand there; the others cover the goals that remain. A scenario
    whose decisions are impossible is there without a path, with the problem. ``criteria`` are those of the bindings if
    absent. ``strict`` makes activities that are bound to nothing errors even where the bindings bind none at all. The
    result depends on the arguments alone, byte for byte; nothing is raised for what is wrong in them.
    """
    home = process.place or Place(document.file if document is not None else process.id)
    planner = _Planner(process, bindings or Bindings(), choose_data(process, document, data_sets), home)
    wanted = tuple(dict.fromkeys(criteria if criteria is not None else planner.bindings.coverage))
    is_bound = bindings is not None and bool(bindings.bindings)
    return planner.plan(wanted, Severity.ERROR if strict or is_bound else Severity.INFO)


@dataclass(frozen=True, slots=True)
class _Named:
    """A scenario that the user named, as far as it was found."""

    demand: Demand
    run: Run | None
    data: int
    problems: tuple[Problem, ...]


class _Planner:
    def __init__(self, process: Process, bindings: Bindings, data: SuiteData, home: Place) -> None:
        self._process = process
        self._data = data
        self._home = home
        self.bindings = bindings
        graph = compile_process(process, home)
        structure = Structure(graph)
        decisions = find_decisions(graph)
        decision_names = DecisionNames(decisions)
        self._node_names = NodeNames(process.nodes)
        written = read_conditions(bindings, decision_names, data, home)
        loops = read_loops(bindings, self._node_names, graph, structure, home)
        self._demands = [read_demand(definition, decision_names, home) for definition in bindings.scenarios]
        demanded: dict[int, tuple[frozenset[int], ...]] = {}
        for demand in self._demands:
            for point, visits in demand.visits.items():
                demanded[point] = (*demanded.get(point, ()), *visits)
        table = build_table(graph, decisions, written.conditions, data.sets, demanded)
        edge_limits, point_limits = loop_limits(structure, bindings.max_loop_iterations, loops.repetitions)
        self._game = Game(graph, structure, decisions, table, edge_limits, point_limits, steps_per_run(graph.size))
        self._view = View(self._game)
        self._problems = [*graph.problems, *written.problems, *loops.problems]

    def plan(self, criteria: tuple[Criterion, ...], unbound: Severity) -> ScenarioSuite:
        game, home = self._game, self._home
        goals = list_goals(game.graph, game.decisions, criteria)
        named = self._named()
        given = [
            Found(one.run, goals.met_by(one.run), fitting_data(game, one.run) & (one.data or -1))
            for one in named
            if one.run is not None and one.demand.definition.active
        ]
        classes, uncounted = classify(game.table, self._data.common)
        cover = find_runs(game, goals, classes, given)
        bound = bind_steps(self._node_names, self.bindings, home)
        writer = ScenarioWriter(
            game, goals, bound, self._data, self.bindings, home, unbound_activities(game.graph, bound, unbound, home)
        )
        keys = [one.demand.definition.key for one in named]
        names = name_scenarios(
            [found.run.choices for found in cover.found],
            [one.run.choices for one in named if one.run is not None],
            game.decisions,
            keys,
            self._process.label,
        )
        scenarios = [writer.explicit(one.run, one.demand.definition, one.data, one.problems) for one in named]
        scenarios += [
            writer.generated(found.run, name.key, name.name) for found, name in zip(cover.found, names, strict=True)
        ]
        coverage, missing = self._coverage(criteria, goals, cover, given)
        runs = [one.run for one in (*given, *cover.found)]
        self._problems += [
            *bound.problems,
            *self._data.strangers([scenario.key for scenario in scenarios], home),
            *find_flaws(game, cover, self._view, runs, home),
            *self._cuts(cover, uncounted, missing),
        ]
        return ScenarioSuite(
            process_id=self._process.id,
            process_name=self._process.name,
            process_hash=self._process.hash,
            criteria=criteria,
            scenarios=tuple(scenarios),
            coverage=coverage,
            problems=tuple(dict.fromkeys(self._problems)),
        )

    def _named(self) -> list[_Named]:
        found: list[_Named] = []
        known: set[str] = set()
        for demand in self._demands:
            definition = demand.definition
            if definition.key in known:
                fact = f"two scenarios have the key '{definition.key}'"
                place = definition.place or self._home
                self._problems.append(Problem(Severity.ERROR, place, fact, hint="give one of them another key"))
                continue
            known.add(definition.key)
            data, problems = self._data.named(definition, self._home)
            run = None
            if not demand.problems:
                run, reasons = find_run(self._game, demand, self._data.usable(definition.key), data, self._home)
                problems = (*problems, *reasons)
            found.append(_Named(demand, run, data, (*demand.problems, *problems)))
        return found

    def _coverage(
        self, criteria: tuple[Criterion, ...], goals: Goals, cover: Cover, given: Sequence[Found]
    ) -> tuple[tuple[CriterionCoverage, ...], int]:
        met: set[int] = set()
        for found in (*given, *cover.found):
            met |= found.goals
        total = dict.fromkeys(criteria, 0)
        missing: dict[Criterion, list[MissedGoal]] = {criterion: [] for criterion in criteria}
        for index, goal in enumerate(goals.goals):
            total[goal.criterion] += 1
            if index not in met:
                reason = reason_of(self._game, goals, cover, self._view, index)
                missing[goal.criterion].append(MissedGoal(goal.element, reason))
        coverage = tuple(
            CriterionCoverage(criterion, total[criterion] - len(missed), total[criterion], tuple(missed))
            for criterion, missed in missing.items()
        )
        return coverage, len(goals.goals) - len(met)

    def _cuts(self, cover: Cover, uncounted: int, missing: int) -> list[Problem]:
        found: list[Problem] = []
        if cover.is_cut:
            limit = f"{MAX_SCENARIOS} scenarios" if len(cover.found) >= MAX_SCENARIOS else "work"
            fact = f"generation stopped at its limit of {limit}; {missing} goals are not covered"
            hint = "split the process, or ask for a weaker coverage criterion"
            found.append(Problem(Severity.WARNING, self._home, fact, hint=hint))
        if uncounted:
            fact = f"only the first {MAX_DATA_CLASSES} kinds of data sets were tried; {uncounted} more were not"
            found.append(Problem(Severity.WARNING, self._home, fact, hint="use fewer data sets for this process"))
        return found
