"""Concurrent steps that touch the same thing, and the orders in which they could meet.

Two steps conflict if they run on branches that nothing orders, touch the same resource, and one of them changes it. A
run has one order of them; for the other one the same run is played with the order of its concurrent branches turned
round. Since that turns round every two steps that nothing orders, one such variant of a run shows all its conflicts the
other way, and as few runs are turned round as hold all conflicts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.lookup import NodeNames
from pytest_orchestra.generation.limits import MAX_CONFLICTS
from pytest_orchestra.generation.scenarios.outcomes import list_unasked
from pytest_orchestra.generation.scenarios.steps import BoundSteps
from pytest_orchestra.generation.token_game.game import Choice, Game, Run, Visit
from pytest_orchestra.generation.token_game.guidance import View
from pytest_orchestra.generation.token_game.semantics import Play
from pytest_orchestra.generation.token_game.walk import walk
from pytest_orchestra.generation.wording import nearest_hint
from pytest_orchestra.model.definition import Bindings, ChannelType, Criterion, StepDefinition, StepKind
from pytest_orchestra.model.scenario import CoverageGoal
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["Races", "Shared", "Touch", "Variant", "find_races", "read_shared"]

_TABLE = re.compile(r"\b(?:from|join|into|update|table)\s+([\w.\"]+)", re.IGNORECASE)
_READING = re.compile(r"^(GET|HEAD|OPTIONS|TRACE)\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Touch:
    """What one visit touches: resource to whether it is changed, and to the number of the first step acting on it."""

    touched: dict[str, bool] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)

    def conflicts(self, other: Touch) -> bool:
        """Whether both touch the same resource and one of them changes it."""
        theirs = other.touched
        return any(resource in theirs and (changes or theirs[resource]) for resource, changes in self.touched.items())


@dataclass(frozen=True)
class Shared:
    """What the steps of a process touch, by node id; ``declared`` are the resources that the sidecar gives nodes."""

    steps: Mapping[str, tuple[StepDefinition, ...]]
    declared: Mapping[str, tuple[str, ...]]
    problems: tuple[Problem, ...] = ()
    _known: dict[tuple[str, frozenset[int]], Touch] = field(default_factory=dict)

    def touches(self, graph: ControlFlow, run: Run) -> Iterator[tuple[int, str, Touch]]:
        """Give the visits of a run at which something is touched: number, node id, and what."""
        left_out = list_unasked(graph, run, self.steps)
        for visit, (point, _) in enumerate(run.occurrences):
            node = graph.points[point].node
            if node is not None and (node.id in self.steps or node.id in self.declared):
                touch = self._touch(node.id, left_out.get(visit, frozenset()))
                if touch.touched:
                    yield visit, node.id, touch

    def _touch(self, node: str, left_out: frozenset[int]) -> Touch:
        """Give what is touched at a visit of a node that leaves some of its steps out."""
        known = self._known.get((node, left_out))
        if known is not None:
            return known
        steps = [(number, each) for number, each in enumerate(self.steps.get(node, ())) if number not in left_out]
        found = self._known[node, left_out] = Touch()
        for number, definition in steps:
            for resource, changes in _resources(definition):
                found.touched[resource] = found.touched.get(resource, False) or changes
                if definition.kind is StepKind.ACTION:
                    found.actions.setdefault(resource, number)
        main = _main_action(steps)
        for resource in self.declared.get(node, ()) if steps or not left_out else ():
            found.touched[resource] = True
            if main is not None:
                found.actions[resource] = main
        return found


def read_shared(names: NodeNames, bindings: Bindings, bound: BoundSteps, home: Place) -> Shared:
    """Give what nodes touch: what the sidecar's ``sharedResources`` say, and their steps' endpoints and tables."""
    declared: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for resource, elements in bindings.shared_resources.items():
        for element in elements:
            nodes = names.find(element)
            if not nodes:
                fact = f"the process has no element '{element}' that could share '{resource}'"
                place = bindings.place_of("shared_resources", resource) or home
                problems.append(Problem(Severity.ERROR, place, fact, hint=nearest_hint(element, names.spellings())))
            for found in nodes:
                declared.setdefault(found.id, []).append(f"declared {resource}")
    steps = {node: definitions for node, definitions in bound.steps.items() if definitions}
    return Shared(steps, {node: tuple(resources) for node, resources in declared.items()}, tuple(problems))


def _main_action(steps: Sequence[tuple[int, StepDefinition]]) -> int | None:
    """Give the number of the step by which a node changes something: its first action that does more than read."""
    actions = [(number, each) for number, each in steps if each.kind is StepKind.ACTION]
    changing = (number for number, each in actions if any(changes for _, changes in _resources(each)))
    return next(changing, actions[0][0] if actions else None)


def _resources(definition: StepDefinition) -> Iterator[tuple[str, bool]]:
    if definition.kind is StepKind.BARRIER:
        return
    if definition.endpoint_ref is not None:
        reads = definition.kind is StepKind.ASSERTION or _READING.match(definition.endpoint_ref.endpoint_name)
        yield f"endpoint {definition.endpoint_ref}", not reads
    if definition.channel_type is ChannelType.DB and definition.sql:
        for table in _TABLE.findall(definition.sql):
            yield f"table {definition.data_source}.{table.casefold()}", definition.kind is StepKind.ACTION
    if definition.topic:
        yield f"topic {definition.cluster_alias or ''}.{definition.topic}", definition.kind is StepKind.ACTION
    for kind, name in (("queue", definition.queue_name), ("exchange", definition.exchange)):
        if name:
            yield f"{kind} {definition.broker_alias or ''}.{name}", definition.kind is StepKind.ACTION


@dataclass(frozen=True, slots=True)
class Variant:
    """A run in another order than the ``base``, an index into the runs; ``serves`` are the goals that only it meets."""

    base: int
    run: Run
    serves: tuple[CoverageGoal, ...]


@dataclass
class Races:
    """The conflicts of a suite: all goals, which of them the runs meet as they are, and the variants for the others."""

    goals: tuple[CoverageGoal, ...] = ()
    served: list[tuple[CoverageGoal, ...]] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    left_out: int = 0

    @property
    def missing(self) -> tuple[CoverageGoal, ...]:
        """The goals that no run meets."""
        met = {goal for goals in (*self.served, *(variant.serves for variant in self.variants)) for goal in goals}
        return tuple(goal for goal in self.goals if goal not in met)


def find_races(view: View, runs: Sequence[Run], shared: Shared) -> Races:
    """Give the goals ``first->second``, both orders of all conflicting nodes, and variants of runs that meet them."""
    races = Races()
    conflicts: dict[frozenset[str], None] = {}
    of_runs = [list(_conflicts(view.game, run, shared)) for run in runs]
    for pairs in of_runs:
        for pair in pairs:
            conflicts.setdefault(frozenset(pair))
    kept = dict.fromkeys(list(conflicts)[:MAX_CONFLICTS])
    races.left_out = len(conflicts) - len(kept)
    races.goals = tuple(_goal(*order) for pair in kept for order in (tuple(sorted(pair)), tuple(sorted(pair))[::-1]))
    for pairs in of_runs:
        races.served.append(tuple(dict.fromkeys(_goal(*pair) for pair in pairs if frozenset(pair) in kept)))
    lacking = set(races.missing)
    turned = [{_goal(second, first) for first, second in pairs} for pairs in of_runs]
    tried: set[int] = set()
    while lacking:
        gains = {number: len(goals & lacking) for number, goals in enumerate(turned) if number not in tried}
        base = max(gains, key=lambda number: (gains[number], -number), default=-1)
        if base < 0 or not gains[base]:
            break
        tried.add(base)
        run = _turned_round(view, runs[base])
        if run is None:
            continue
        goals = dict.fromkeys(_goal(*pair) for pair in _conflicts(view.game, run, shared))
        met = tuple(goal for goal in goals if goal in set(races.goals))
        if lacking.intersection(met):
            lacking.difference_update(met)
            races.variants.append(Variant(base, run, met))
    return races


def _goal(first: str, second: str) -> CoverageGoal:
    return CoverageGoal(Criterion.RACE, f"{first}->{second}")


def _conflicts(game: Game, run: Run, shared: Shared) -> Iterator[tuple[str, str]]:
    """Give the nodes that conflict in a run, in its order."""
    before: list[int] = []
    for occurrence in run.occurrences:
        known = 0
        for causes in occurrence.causes:
            for cause in causes:
                known |= before[cause] | 1 << cause
        before.append(known)
    touching: list[tuple[int, str, Touch]] = []
    for number, node, touch in shared.touches(game.graph, run):
        for earlier, other, theirs in touching:
            if not before[number] >> earlier & 1 and theirs.conflicts(touch):
                yield other, node
        touching.append((number, node, touch))


class _Repeated:
    """Decides as another run did: at every point what it decided there, visit by visit."""

    def __init__(self, choices: Iterable[Choice]) -> None:
        self._left: dict[int, list[int]] = {}
        for choice in choices:
            self._left.setdefault(choice.point, []).append(choice.outcome)
        for outcomes in self._left.values():
            outcomes.reverse()

    def order(self, play: Play, visit: Visit, options: Sequence[int]) -> list[int]:
        """Give the one outcome that was taken at this visit; none if there was no such visit."""
        del play
        left = self._left.get(visit.point)
        return [left.pop()] if left and left[-1] in options else []


def _turned_round(view: View, run: Run) -> Run | None:
    policy = _Repeated(choice for choice in run.choices if choice.outcome >= 0)
    return walk(view, policy, last_first=True).run
