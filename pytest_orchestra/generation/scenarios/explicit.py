"""Scenarios that users name: their decisions are taken, everything else is short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_orchestra.generation.assumptions.conflicts import explain_conflict
from pytest_orchestra.generation.assumptions.fitting import classify
from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.lookup import DecisionNames, find_branches, names_of_branches
from pytest_orchestra.generation.control_flow.loops import loop_limits
from pytest_orchestra.generation.limits import MAX_ATTEMPTS, search_budget
from pytest_orchestra.generation.token_game.game import FailureKind, Game, Run
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.generation.token_game.requirements import fitting_data
from pytest_orchestra.generation.token_game.walk import (
    Attempt,
    Budget,
    Forced,
    Policy,
    ShortPolicy,
    Target,
    TargetPolicy,
    attempts,
)
from pytest_orchestra.generation.wording import nearest_hint
from pytest_orchestra.model.definition import ScenarioDefinition
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["Demand", "find_run", "read_demand"]


@dataclass(frozen=True)
class Demand:
    """What a scenario demands: for each decision (by point) the branches (as indices) of its visits."""

    definition: ScenarioDefinition
    visits: Mapping[int, tuple[frozenset[int], ...]]
    problems: tuple[Problem, ...] = ()


def read_demand(definition: ScenarioDefinition, names: DecisionNames, home: Place) -> Demand:
    """Find the decisions and branches that a scenario names, with a problem for each that does not exist."""
    visits: dict[int, tuple[frozenset[int], ...]] = {}
    problems: list[Problem] = []
    place = definition.place or home
    for element, wanted in definition.decisions.items():
        decisions = names.find(element)
        if not decisions:
            fact = f"scenario '{definition.key}' decides at '{element}', where the process decides nothing"
            problems.append(Problem(Severity.ERROR, place, fact, hint=nearest_hint(element, names.spellings())))
            continue
        texts = [wanted] if isinstance(wanted, str) else wanted
        for text in texts:
            if all(find_branches(decision, text) is None for decision in decisions):
                fact = f"scenario '{definition.key}' takes '{text}' at '{element}', where no branch has that name"
                known = (name for decision in decisions for name in names_of_branches(decision))
                problems.append(Problem(Severity.ERROR, place, fact, hint=nearest_hint(text, known), element=element))
        for decision in decisions:
            found = tuple(branches for text in texts if (branches := find_branches(decision, text)) is not None)
            if found:
                visits[decision.point] = found
    return Demand(definition, visits, tuple(problems))


def find_run(
    game: Game, demand: Demand, usable: int, named: int, home: Place
) -> tuple[Run | None, tuple[Problem, ...]]:
    """Give the shortest run found that takes the demanded branches, for as many of the ``named`` data sets as possible.

    Without named data sets it fits at least one of the ``usable`` ones, if such a run is found. Loops may be repeated
    as often as the scenario lists visits. The second value says why there is no run.
    """
    own_game = _with_room(game, demand)
    members = named or usable
    best: tuple[tuple[int, int], Run] | None = None
    for kind in classify(game.table, members)[0]:
        run, _ = _attempt(View(own_game, kind.forbidden, kind.forbidden_visits), demand)
        if run is None or not fitting_data(own_game, run) & kind.members:
            continue
        merit = ((fitting_data(own_game, run) & members).bit_count() if named else 1, -len(run.edges))
        if best is None or merit > best[0]:
            best = (merit, run)
    if best is not None:
        return best[1], ()
    run, closest = _attempt(View(own_game), demand)
    if run is not None:
        return run, ()
    if own_game.knowledge is not None and not own_game.knowledge.is_empty:
        run, free = _attempt(View(replace(own_game, knowledge=None)), demand)
        if run is not None:  # what the user demands goes before what conditions say
            return run, (_contradictory(own_game, demand, closest, demand.definition.place or home),)
        closest = free
    return None, (_impossible(own_game, demand, closest, demand.definition.place or home),)


def _with_room(game: Game, demand: Demand) -> Game:
    """Give the game in which the loops may be repeated as often as the demand lists visits."""
    cyclic = game.structure.cyclic_components
    overrides = {
        point: len(visits) - 1
        for point, visits in demand.visits.items()
        if len(visits) > 1 and game.structure.components[point] in cyclic
    }
    if not overrides:
        return game
    wanted, visits = loop_limits(game.structure, 0, overrides)
    edges = {edge: max(limit, wanted[edge]) for edge, limit in game.edge_limits.items()}
    points = {point: max(limit, visits.get(point, 0)) for point, limit in game.point_limits.items()}
    return replace(game, edge_limits=edges, point_limits=points)


def _attempt(view: View, demand: Demand) -> tuple[Run | None, Attempt | None]:
    """Give a run that takes what is demanded, and the first attempt at it."""
    targets = [
        target
        for point, visits in demand.visits.items()
        for target in (Target.of(view, points=(point,)), *_thrown(view, view.game.decisions[point], visits))
    ]
    first: Attempt | None = None

    def policy() -> Policy:
        return Forced(view, demand.visits, TargetPolicy(view, targets, ShortPolicy(view)))

    for attempt in attempts(view, policy, MAX_ATTEMPTS, Budget(search_budget(view.game.graph.size))):
        first = first or attempt
        if attempt.run is not None and _unmet(view.game, demand, attempt.run) is None:
            return attempt.run, first
    return None, first


def _thrown(view: View, decision: Decision, visits: Sequence[frozenset[int]]) -> list[Target]:
    """Give the events to pass so that demanded boundary events are thrown."""
    graph = view.game.graph
    demanded = [decision.branches[index] for visit in visits for index in visit]
    wanted = {graph.point_of[branch.id] for branch in demanded if branch.is_thrown}
    sources = sorted(point for point, throw in graph.throws.items() if throw.boundary in wanted)
    return [Target.of(view, points=sources)] if sources else []


def _unmet(game: Game, demand: Demand, run: Run) -> int | None:
    """Give the first decision at which a run does not do what is demanded."""
    for point, visits in demand.visits.items():
        decision = game.decisions[point]
        taken = [choice.branches for choice in run.choices if choice.point == point]
        wanted = [{decision.branches[index].id for index in visit} for visit in visits]
        if len(taken) < len(wanted) or any(set(one) != other for one, other in zip(taken, wanted, strict=False)):
            return point
    return None


def _contradictory(game: Game, demand: Demand, closest: Attempt | None, place: Place) -> Problem:
    fact = f"the decisions of scenario '{demand.definition.key}' contradict each other"
    failures = closest.contradictions if closest is not None else ()
    if failures and failures[-1].conflict is not None:
        fact += f": {explain_conflict(game.decisions, failures[-1].conflict)}"
    hint = "change its decisions, or mend the conditions"
    return Problem(Severity.WARNING, place, fact, hint=hint, element=demand.definition.key)


def _impossible(game: Game, demand: Demand, closest: Attempt | None, place: Place) -> Problem:
    key = demand.definition.key
    unmet = _unmet(game, demand, closest.partial) if closest is not None else None
    name = game.decisions[unmet].name if unmet is not None else None
    fact = f"no run takes the decisions of scenario '{key}'"
    failure = closest.failure if closest is not None else None
    if failure is not None:
        node = game.graph.points[failure.points[0]].node if failure.points else None
        where = f" at '{node.label}'" if node is not None else ""
        reasons = {
            FailureKind.STUCK: f"it gets stuck{where}",
            FailureKind.LOOPING: f"it repeats a loop too often{where}",
            FailureKind.TOO_LONG: f"its tokens multiply without end{where}",
            FailureKind.CONTRADICTION: f"its conditions contradict each other{where}",
        }
        fact += f": {reasons[failure.kind]}"
    elif name is not None:
        fact += f": it does not come to '{name}' as demanded"
    hint = f"change or leave out its decision at '{name}'" if name else "change its decisions"
    return Problem(Severity.ERROR, place, fact, hint=hint, element=demand.definition.key)
