"""How a TestRun ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pytest_orchestra.model.run import RunFault, RunStatus, StepResult, StepStatus

__all__ = ["Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a TestRun ended: ``steps`` has every step of the scenario in order, also those not reached."""

    status: RunStatus
    steps: tuple[StepResult, ...]
    fault: RunFault | None = None
    aborts_suite: str | None = None
    reason: str | None = None

    @classmethod
    def of(cls, results: Sequence[StepResult], aborts_suite: str | None = None) -> Self:
        """Judge by the results of steps: a fault of ours goes before a failure, and a failure before flakiness."""
        fault = next((result.fault for result in results if result.fault is not None), None)
        if fault is not None:
            status = RunStatus.ERROR
        elif any(result.status is StepStatus.FAILED for result in results):
            status = RunStatus.FAILED
        else:
            is_flaky = any(result.status is StepStatus.FLAKY for result in results)
            status = RunStatus.FLAKY if is_flaky else RunStatus.PASSED
        return cls(status, tuple(results), fault, aborts_suite)
