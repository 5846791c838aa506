"""How a barrier ended, from what it tracks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pytest_orchestra.engine.results import blank_result
from pytest_orchestra.model.run import StepResult, StepStatus, Violation, ViolationType
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["barrier_result"]


def barrier_result(
    step: ScenarioStep,
    started: datetime,
    finished: datetime,
    *,
    timeout_s: float,
    late: Sequence[str],
    failed: Sequence[str],
) -> StepResult:
    """Give the result of a barrier: steps that did not end in time are its violation, failed ones its reason."""
    violations = _late_steps(late, round(timeout_s * 1000)) if late else ()
    broken = bool(violations or failed)
    return replace(
        blank_result(step, StepStatus.FAILED if broken else StepStatus.PASSED),
        started_at=started,
        finished_at=finished,
        duration_ms=(finished - started) / timedelta(milliseconds=1),
        violations=violations,
        reason=f"it tracks {_listed(failed)}, which failed" if failed else None,
    )


def _late_steps(aliases: Sequence[str], waited_ms: int) -> tuple[Violation, ...]:
    return (
        Violation(
            ViolationType.TIMEOUT,
            "barrier",
            f"{_listed(aliases)} did not end within {waited_ms} ms",
            {"late": list(aliases), "timeoutMs": waited_ms},
        ),
    )


def _listed(aliases: Sequence[str]) -> str:
    return ("step " if len(aliases) == 1 else "steps ") + ", ".join(f"'{alias}'" for alias in aliases)
