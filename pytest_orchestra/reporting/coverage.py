"""Coverage twice: what the scenarios that there are cover, and what those cover that ran and passed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.run import CoverageReached, StepStatus
from pytest_orchestra.model.scenario import CoverageGoal, CriterionCoverage, ScenarioSuite

__all__ = ["CoveragePlan", "coverage_names", "measure_coverage", "percent"]


@dataclass(frozen=True, slots=True)
class CoveragePlan:
    """What the scenarios of one process of a file are to cover; ``serves`` has the goals of each by its key."""

    file: str
    process_id: str
    process_name: str
    criteria: tuple[CriterionCoverage, ...]
    serves: Mapping[str, tuple[CoverageGoal, ...]]

    @classmethod
    def of(cls, file: str, suite: ScenarioSuite) -> CoveragePlan:
        """Give that of a suite; ``file`` is the part of its node ids that stands before ``::``."""
        serves = {scenario.key: scenario.serves for scenario in suite.scenarios}
        return cls(file, suite.process_id, suite.process_name, suite.coverage, serves)

    def goals_of(self, outcome: RunFinished) -> tuple[CoverageGoal, ...]:
        """Give what the scenario of an outcome covers; nothing if it is not one of this process."""
        run = outcome.run
        is_own = run.process_id == self.process_id and run.key.startswith(f"{self.file}::")
        return self.serves.get(run.scenario_key, ()) if is_own else ()


def measure_coverage(plans: Iterable[CoveragePlan], outcomes: Iterable[RunFinished]) -> tuple[CoverageReached, ...]:
    """Give plan and reality of each criterion of each process, in their order."""
    passed = [outcome for outcome in outcomes if _is_whole(outcome)]
    return tuple(reached for plan in plans for reached in _measure(plan, passed))


def _is_whole(outcome: RunFinished) -> bool:
    """Tell whether a run passed to its end: one that left steps out shows nothing of what they stand for."""
    return outcome.status.is_good and not any(
        step.status is StepStatus.SKIPPED and not step.clean_up for step in outcome.steps
    )


def _measure(plan: CoveragePlan, passed: Sequence[RunFinished]) -> Iterable[CoverageReached]:
    reached = {goal for outcome in passed for goal in plan.goals_of(outcome)}
    served = dict.fromkeys(goal for goals in plan.serves.values() for goal in goals)
    for each in plan.criteria:
        planned = [goal for goal in served if goal.criterion is each.criterion]
        yield CoverageReached(
            plan.file,
            plan.process_id,
            plan.process_name,
            each.criterion,
            total=each.total,
            planned=each.covered,
            passed=sum(goal in reached for goal in planned),
            not_passed=tuple(goal.element for goal in planned if goal not in reached),
            missing=each.missing,
        )


def coverage_names(coverage: Iterable[CoverageReached]) -> Mapping[tuple[str, str], str]:
    """Give what people call each process, by file and id: its name, and the file where that is not enough."""
    names = {(each.file, each.process_id): each.process_name or each.process_id for each in coverage}
    known = list(names.values())
    return {key: name if known.count(name) == 1 else f"{name} ({key[0]})" for key, name in names.items()}


def percent(part: int, whole: int) -> int:
    """Give a share in whole percent, rounded down: 100 means all, never nearly all."""
    return 100 if part >= whole else part * 100 // whole
