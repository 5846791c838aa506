"""From a process, its bindings and its data to a suite of scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_orchestra.generation.assumptions.conflicts import find_dead_branches
from pytest_orchestra.generation.assumptions.fitting import build_table, classify
from pytest_orchestra.generation.assumptions.knowledge import Knowledge
from pytest_orchestra.generation.assumptions.unreadable import tell_unreadable
from pytest_orchestra.generation.assumptions.writes import list_writes
from pytest_orchestra.generation.binding.inference import InferredBindings
from pytest_orchestra.generation.control_flow.called_processes import inline_calls
from pytest_orchestra.generation.control_flow.compiler import compile_process
from pytest_orchestra.generation.control_flow.decisions import find_decisions
from pytest_orchestra.generation.control_flow.lookup import DecisionNames, NodeNames
from pytest_orchestra.generation.control_flow.loops import count_instances, loop_limits
from pytest_orchestra.generation.control_flow.messages import find_senders
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.coverage.criteria import Goals, list_goals
from pytest_orchestra.generation.coverage.pairs import sets_of_branches
from pytest_orchestra.generation.coverage.reasons import reason_of
from pytest_orchestra.generation.coverage.search import Cover, Found, find_runs
from pytest_orchestra.generation.limits import (
    MAX_AT_ONCE,
    MAX_CONFLICTS,
    MAX_DATA_CLASSES,
    MAX_DATA_WORK,
    MAX_PAIRS,
    MAX_SCENARIOS,
    steps_per_run,
)
from pytest_orchestra.generation.linting import lint_process
from pytest_orchestra.generation.scenarios.at_once import Encounter, find_encounters
from pytest_orchestra.generation.scenarios.explicit import Demand, find_run, read_demand
from pytest_orchestra.generation.scenarios.keys import companion_key, name_scenarios
from pytest_orchestra.generation.scenarios.outcomes import Borders, tell_unspoken
from pytest_orchestra.generation.scenarios.races import find_races, read_shared
from pytest_orchestra.generation.scenarios.steps import BoundSteps, bind_steps, unbound_activities
from pytest_orchestra.generation.scenarios.writer import ScenarioWriter
from pytest_orchestra.generation.scenarios.written import read_conditions, read_loops
from pytest_orchestra.generation.test_data.data_making import DataMaker
from pytest_orchestra.generation.test_data.suite_data import SuiteData, choose_data
from pytest_orchestra.generation.test_data.witness import WitnessMaker
from pytest_orchestra.generation.token_game.game import Game, Run
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.generation.token_game.requirements import fitting_data
from pytest_orchestra.model.collector import collector_paused
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.model.scenario import CriterionCoverage, Minimum, MissedGoal, ScenarioSuite, TestScenario
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["build_suite"]


@collector_paused()
def build_suite(
    process: Process,
    bindings: Bindings | None,
    data_sets: Sequence[TestDataSet],
    *,
    document: ProcessDocument | None = None,
    criteria: Sequence[Criterion] | None = None,
    strict: bool = False,
    inferred: InferredBindings | None = None,
    called: Sequence[Process] = (),
    specs: Mapping[str, ProtocolSpec] | None = None,
) -> ScenarioSuite:
    """Give the scenarios of a process that meet the coverage criteria, what they cover, what they do not, and why.

    Scenarios that the bindings name come first, as they stand there; the others cover the goals that remain. A scenario
    whose decisions are impossible is there without a path, with the problem. ``criteria`` are those of the bindings if
    absent; concurrent steps that share something are then run in both orders even if nobody asks for it. ``strict``
    makes activities that are bound to nothing errors even where the bindings bind none at all. ``inferred`` has steps
    for elements that the bindings do not name, ``called`` are processes of other files that call activities may call.
    ``specs`` have the schemas that data which is made for scenarios must satisfy. The result depends on the arguments
    alone, byte for byte; nothing is raised for what is wrong in them.
    """
    home = process.place or Place(document.file if document is not None else process.id)
    bindings = bindings or Bindings()
    wanted = tuple(dict.fromkeys(criteria if criteria is not None else bindings.coverage))
    inlined = inline_calls(process, (*(document.processes if document is not None else ()), *called), bindings, home)
    data = choose_data(process, document, data_sets)
    planner = _Planner(inlined.process, bindings, data, home, wanted)
    maker = WitnessMaker(process.id, {one.name for one in data_sets}, _suffix(process, document))
    planner.data_maker = DataMaker(maker, data, bindings, specs or {})
    found = inferred or InferredBindings()
    is_bound = bool(found.steps) or bool(bindings.bindings)
    severity = Severity.ERROR if strict or is_bound else Severity.INFO
    suite = planner.plan(wanted, severity, found, document, may_race=criteria is None)
    return replace(suite, problems=(*inlined.problems, *suite.problems), generated_data=tuple(maker.made))


def _suffix(process: Process, document: ProcessDocument | None) -> str:
    """Give what tells data that is made for one process of a file from that for the others."""
    several = document is not None and sum(bool(one.nodes) for one in document.processes) > 1
    return f"-{process.id}" if several else ""


@dataclass(frozen=True, slots=True)
class _Named:
    """A scenario that the user named, as far as it was found."""

    demand: Demand
    run: Run | None
    data: int
    problems: tuple[Problem, ...]


def _visits(bindings: Bindings) -> int:
    """Give how often a decision may be visited, as far as the sidecar's limits of loops tell."""
    named = (len(taken) for one in bindings.scenarios for taken in one.decisions.values() if not isinstance(taken, str))
    return 1 + max(bindings.max_loop_iterations, *bindings.loops.values(), *named, 0)


class _Planner:
    def __init__(
        self, process: Process, bindings: Bindings, data: SuiteData, home: Place, criteria: Sequence[Criterion]
    ) -> None:
        self._process = process
        self._data = data
        self._home = home
        self.bindings = bindings
        graph = compile_process(process, home)
        structure = Structure(graph)
        self._node_names = NodeNames(process.nodes)
        loops = read_loops(bindings, self._node_names, graph, structure, home)
        instances = count_instances(graph, bindings.max_loop_iterations, loops.instances)
        decisions = find_decisions(graph, instances)
        decision_names = DecisionNames(decisions)
        written = read_conditions(bindings, decision_names, data, home)
        self._demands = [read_demand(definition, decision_names, home) for definition in bindings.scenarios]
        demanded: dict[int, tuple[frozenset[int], ...]] = {}
        for demand in self._demands:
            for point, visits in demand.visits.items():
                demanded[point] = (*demanded.get(point, ()), *visits)
        if Criterion.PAIRWISE in criteria:
            for point, decision in decisions.items():
                if decision.inclusive:
                    demanded[point] = (*demanded.get(point, ()), *sets_of_branches(decision))
        table = build_table(graph, decisions, written.conditions, data.sets, demanded, _visits(bindings))
        edge_limits, point_limits = loop_limits(structure, bindings.max_loop_iterations, loops.repetitions)
        most = steps_per_run(graph.size)
        knowledge = Knowledge(graph, structure, decisions, table, frozenset(data.keys()), list_writes(process))
        self._game = Game(graph, structure, decisions, table, edge_limits, point_limits, most, instances, knowledge)
        self._view = View(self._game)
        self.data_maker: DataMaker | None = None
        self._reordered = 0
        self._encounters: tuple[Encounter, ...] = ()
        self._problems = [*graph.problems, *written.problems, *loops.problems]
        self._problems += tell_unreadable(graph, table, decisions, home)

    def plan(
        self,
        criteria: tuple[Criterion, ...],
        severity: Severity,
        inferred: InferredBindings,
        document: ProcessDocument | None,
        *,
        may_race: bool,
    ) -> ScenarioSuite:
        game, home = self._game, self._home
        goals = list_goals(game, criteria)
        named = self._named()
        given = [
            Found(one.run, goals.met_by(one.run), fitting_data(game, one.run) & (one.data or -1))
            for one in named
            if one.run is not None and one.demand.definition.active
        ]
        classes, uncounted = classify(game.table, self._data.common)
        cover = find_runs(self._view, goals, classes, given)
        borders = Borders.of(self._process.nodes)
        bound = bind_steps(self._node_names, self.bindings, home, inferred.steps, borders)
        bound = replace(bound, senders=find_senders(self._process, document))
        unbound = unbound_activities(game.graph, bound, severity, home, inferred.hints)
        writer = ScenarioWriter(game, goals, bound, self._data, self.bindings, home, unbound, self.data_maker)
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
            writer.generated(found.run, name.key, name.name, found.goals)
            for found, name in zip(cover.found, names, strict=True)
        ]
        coverage, missing = self._coverage(criteria, goals, cover, given)
        runs = [one.run for one in (*given, *cover.found)]
        active = [bool(one.run and one.demand.definition.active) for one in named] + [True] * len(cover.found)
        if Criterion.RACE in criteria or (may_race and self.bindings.races):
            coverage += self._add_races(writer, bound, runs, scenarios, active, is_wanted=Criterion.RACE in criteria)
        visited = {node for scenario in scenarios for node in scenario.nodes}
        self._problems += [
            *bound.problems,
            *tell_unspoken(self._process.nodes, bound.steps, borders, visited, home),
            *inferred.problems,
            *self._data.strangers([scenario.key for scenario in scenarios], home),
            *find_dead_branches(game.knowledge, home),
            *lint_process(self._view, cover.flaws, runs, document, home),
            *self._cuts(goals, cover, uncounted, missing),
        ]
        return ScenarioSuite(
            process_id=self._process.id,
            process_name=self._process.name,
            process_hash=self._process.hash,
            criteria=tuple(one.criterion for one in coverage),
            scenarios=tuple(scenarios),
            coverage=coverage,
            problems=tuple(dict.fromkeys(self._problems)),
            minimum=Minimum(*self._fewest(cover, len(runs))),
        )

    def _fewest(self, cover: Cover, chosen: int) -> tuple[int, int]:
        """Give how many scenarios are needed at least, and how many there are.

        Two orders need two of them, and to meet is neither order.
        """
        needed = 1 + bool(self._reordered) + bool(self._encounters)
        companions = self._reordered + len(self._encounters)
        return max(cover.least, needed if companions else 0), chosen + companions

    def _add_races(
        self,
        writer: ScenarioWriter,
        bound: BoundSteps,
        runs: Sequence[Run],
        scenarios: list[TestScenario],
        active: Sequence[bool],
        *,
        is_wanted: bool,
    ) -> tuple[CriterionCoverage, ...]:
        """Add the scenarios that run concurrent steps in another order, and say of all which orders they show."""
        shared = read_shared(self._node_names, self.bindings, bound, self._home)
        self._problems += shared.problems
        races = find_races(self._view, runs, shared)
        if not races.goals and not is_wanted:
            return ()
        places = [place for place, is_active in enumerate(active) if is_active]
        for place, served in zip(places, races.served, strict=True):
            scenarios[place] = replace(scenarios[place], serves=(*scenarios[place].serves, *served))
        used = {scenario.key for scenario in scenarios}
        for variant in races.variants:
            base = scenarios[places[variant.base]]
            key = companion_key(base.key, "reordered", used)
            used.add(key)
            scenario = writer.generated(variant.run, key, f"{base.name}, concurrent branches in another order")
            scenarios.append(replace(scenario, serves=(*scenario.serves, *variant.serves)))
        if races.left_out:
            fact = f"only the first {MAX_CONFLICTS} conflicts of concurrent steps were looked at; {races.left_out} more"
            hint = "name fewer shared resources"
            self._problems.append(Problem(Severity.WARNING, self._home, f"{fact} were not", hint=hint))
        self._reordered = len(races.variants)
        missing = tuple(MissedGoal(goal.element, "no run was found that has this order") for goal in races.missing)
        total = len(races.goals)
        if self.bindings.races == "at-once":
            met, left_out = find_encounters(self._game, runs, shared)
            for encounter in met:
                base = scenarios[places[encounter.base]]
                key = companion_key(base.key, "at-once", used)
                used.add(key)
                run, name = runs[encounter.base], f"{base.name}, conflicting actions at once"
                scenario = writer.generated(run, key, name, at_once=encounter.launches)
                scenarios.append(replace(scenario, serves=(*scenario.serves, *encounter.serves)))
            self._encounters = met
            total += len(left_out) + sum(len(encounter.serves) for encounter in met)
            reason = f"only the first {MAX_AT_ONCE} scenarios were made that send actions at once"
            missing += tuple(MissedGoal(goal.element, reason) for goal in left_out)
        return (CriterionCoverage(Criterion.RACE, total - len(missing), total, missing),)

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
        total: dict[Criterion, int] = {criterion: 0 for criterion in criteria if criterion is not Criterion.RACE}
        missing: dict[Criterion, list[MissedGoal]] = {criterion: [] for criterion in total}
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

    def _cuts(self, goals: Goals, cover: Cover, uncounted: int, missing: int) -> list[Problem]:
        found: list[Problem] = []
        if cover.is_cut:
            limit = f"{MAX_SCENARIOS} scenarios" if len(cover.found) >= MAX_SCENARIOS else "work"
            fact = f"generation stopped at its limit of {limit}; {missing} goals are not covered"
            hint = "split the process, or ask for a weaker coverage criterion"
            found.append(Problem(Severity.WARNING, self._home, fact, hint=hint))
        if goals.pairs is not None and goals.pairs.left_out:
            fact = f"only the first {MAX_PAIRS} pairs of branches are covered; {goals.pairs.left_out} more are not"
            hint = "ask for 'decision' coverage, or split the process"
            found.append(Problem(Severity.WARNING, self._home, fact, hint=hint))
        left_out = len(self.data_maker.maker.left_out) if self.data_maker is not None else 0
        if left_out:
            scenarios = "1 scenario" if left_out == 1 else f"{left_out} scenarios"
            fact = f"the data of {scenarios} was not made, or not all: the limit is {MAX_DATA_WORK} pairs of conditions"
            found.append(Problem(Severity.WARNING, self._home, fact, hint="add data sets, or split the process"))
        if uncounted:
            fact = f"only the first {MAX_DATA_CLASSES} kinds of data sets were tried; {uncounted} more were not"
            found.append(Problem(Severity.WARNING, self._home, fact, hint="use fewer data sets for this process"))
        return found
