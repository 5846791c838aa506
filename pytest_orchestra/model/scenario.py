"""Scenarios: paths through a process, with their steps, data and reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import (
    Criterion,
    Dependency,
    RunMode,
    ScenarioStatus,
    StepDefinition,
    StepKind,
)
from pytest_orchestra.problem import Problem

__all__ = [
    "CoverageGoal",
    "CriterionCoverage",
    "DecisionTaken",
    "Minimum",
    "MissedGoal",
    "ScenarioStep",
    "ScenarioSuite",
    "TestScenario",
]


@dataclass(frozen=True, slots=True, order=True)
class CoverageGoal:
    """One thing to cover: a node or flow by its BPMN id, or a decision's outcome as ``gateway->flow``."""

    criterion: Criterion
    element: str

    def __str__(self) -> str:
        return f"{self.criterion}:{self.element}"


@dataclass(frozen=True, slots=True)
class MissedGoal:
    """A goal that no scenario covers, and why."""

    element: str
    reason: str


@dataclass(frozen=True, slots=True)
class CriterionCoverage:
    """How much of a criterion the suite covers, out of all the process has."""

    criterion: Criterion
    covered: int
    total: int
    missing: tuple[MissedGoal, ...] = ()


@dataclass(frozen=True, slots=True)
class Minimum:
    """How few scenarios can cover what the suite covers: at least ``lower_bound``; ``chosen`` are there."""

    lower_bound: int
    chosen: int

    @property
    def is_proven(self) -> bool:
        """Whether no smaller set covers as much."""
        return self.chosen <= self.lower_bound


@dataclass(frozen=True, slots=True)
class DecisionTaken:
    """The branches that one scenario took at one decision point, in the order of its visits.

    ``element`` is a gateway, a node with conditional flows, or an activity with boundary events; each entry of
    ``branches`` is a flow id, or the id of a boundary event (``normal`` where the activity ended normally), or the
    number of instances of an activity that repeats (``0``, ``N``; where all are single nothing is said). What happens
    as a whole (sub-)process begins is decided at ``start`` and ``events``, ``SUB.start`` and ``SUB.events``.
    """

    element: str
    branches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """A step at its place in a scenario. ``alias`` is unique there: the second time a loop brings the step it is
    ``alias_2``. ``element_id`` is the BPMN element that it stands for. ``cleans_up`` is
    the alias of the step behind which it cleans up, empty for the scenario; None for all that do something else.
    """

    order_index: int
    alias: str
    name: str
    element_id: str
    definition: StepDefinition
    cleans_up: str | None = None

    @property
    def kind(self) -> StepKind:
        """What the step is for."""
        return self.definition.kind


@dataclass(frozen=True, slots=True)
class TestScenario:
    """One path through the process.

    ``nodes`` and ``flows`` are BPMN ids in execution order. ``conditions`` are the texts that must hold along the way.
    ``data_sets`` names the data that fits; ``serves`` the goals that it covers; ``version`` is the
    SHA-256 (hex) of what it does. ``locks`` are the names, or templates of them, of what it must have for itself;
    ``clean_up`` are the steps that clean up, in the order in which they do.
    """

    __test__ = False  # pytest would take the class for a test by its name

    key: str
    name: str
    steps: tuple[ScenarioStep, ...] = ()
    nodes: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    decisions: tuple[DecisionTaken, ...] = ()
    conditions: tuple[str, ...] = ()
    data_sets: tuple[str, ...] = ()
    serves: tuple[CoverageGoal, ...] = ()
    tags: tuple[str, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    status: ScenarioStatus = ScenarioStatus.PUBLISHED
    active: bool = True
    mode: RunMode = RunMode.STOP_ON_FIRST_FAILURE
    version: str = ""
    line: int = 0
    problems: tuple[Problem, ...] = ()
    locks: tuple[str, ...] = ()
    clean_up: tuple[ScenarioStep, ...] = ()

    @property
    def all_steps(self) -> tuple[ScenarioStep, ...]:
        """Its steps, and behind them those that clean up."""
        return (*self.steps, *self.clean_up)


@dataclass(frozen=True, slots=True)
class ScenarioSuite:
    """All scenarios of one process, with what they cover and what they do not, and why.

    ``generated_data`` are the data sets that were made for scenarios which no other data set fits.
    """

    process_id: str
    process_name: str
    process_hash: str
    criteria: tuple[Criterion, ...]
    scenarios: tuple[TestScenario, ...] = ()
    coverage: tuple[CriterionCoverage, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    minimum: Minimum = Minimum(0, 0)
    generated_data: tuple[TestDataSet, ...] = ()
