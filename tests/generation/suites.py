"""What tests of generation ask for again and again: a suite for a drawn process, and its scenarios in short."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion, ScenarioDefinition
from pytest_orchestra.model.process import Process
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Severity

__all__ = ["ALL", "EVERY", "explicit", "fitting", "messages", "missing", "paths", "plan"]

ALL = (Criterion.NODE, Criterion.EDGE, Criterion.DECISION)
EVERY = tuple(Criterion)


def plan(
    process: Process,
    bindings: Bindings | None = None,
    data_sets: Sequence[TestDataSet] = (),
    criteria: Sequence[Criterion] | None = (Criterion.EDGE,),
) -> ScenarioSuite:
    """Give the suite of a process, for edge coverage unless said otherwise."""
    return build_suite(process, bindings, data_sets, criteria=criteria)


def paths(suite: ScenarioSuite) -> dict[str, str]:
    """Give the nodes of each scenario by its key."""
    return {scenario.key: " ".join(scenario.nodes) for scenario in suite.scenarios}


def missing(suite: ScenarioSuite) -> dict[str, str]:
    """Give the reason of every goal that is not covered, by its element."""
    return {missed.element: missed.reason for coverage in suite.coverage for missed in coverage.missing}


def messages(suite: ScenarioSuite, *severities: Severity) -> list[str]:
    """Give the messages of the suite's own problems, of these severities or of all."""
    wanted = severities or tuple(Severity)
    return [problem.message for problem in suite.problems if problem.severity in wanted]


def fitting(suite: ScenarioSuite) -> dict[str, tuple[str, ...]]:
    """Give the data sets of each scenario by its key."""
    return {scenario.key: scenario.data_sets for scenario in suite.scenarios}


def explicit(key: str = "mine", **decisions: str | list[str]) -> Bindings:
    """Give bindings with one scenario of the user's and nothing else."""
    return Bindings(scenarios=[ScenarioDefinition(key=key, decisions=decisions)])
