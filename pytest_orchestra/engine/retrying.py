"""Whether a step that failed is tried again, when, and under which name. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pytest_orchestra.engine.ports import StepIntent
from pytest_orchestra.model.definition import Bindings, StepDefinition, StepKind
from pytest_orchestra.model.run import StepAttempt, StepResult, StepStatus

__all__ = ["UNREPEATABLE", "RetryPolicy", "concluded", "following_intent"]

UNREPEATABLE: Final = (
    "it was not tried again: it may have taken effect, and nothing says that it may be repeated; 'onResume: retry' does"
)
"""Why a step that has a policy was tried once only."""

_REFUSALS: Final = range(400, 500)
"""The statuses by which a service says that it has done nothing."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a step is tried, after which violations, and with what pauses (seconds)."""

    attempts: int
    causes: frozenset[str]
    delay_s: float = 0.0
    factor: float = 1.0
    longest_delay_s: float = 5.0

    @classmethod
    def of(cls, step: StepDefinition, bindings: Bindings) -> RetryPolicy | None:
        """Take what the step says; of an action else what its sidecar says, for an assertion waits anyway."""
        said = step.retry or (bindings.retry if step.kind is StepKind.ACTION else None)
        if said is None or step.kind is StepKind.BARRIER:
            return None
        causes = frozenset(map(str, said.on))
        if said.backoff is None:
            return cls(said.attempts, causes, said.delay_ms / 1000)
        return cls(
            said.attempts,
            causes,
            said.delay_ms / 1000,
            said.backoff.factor,
            said.backoff.max_interval_ms / 1000,
        )

    def wants_more(self, result: StepResult, attempt: int) -> bool:
        """Tell whether an attempt is followed by another: errors of ours never are."""
        if result.status is not StepStatus.FAILED or result.fault is not None or attempt >= self.attempts:
            return False
        return any(str(violation.type) in self.causes for violation in result.violations)

    def pause(self, attempt: int) -> float:
        """Give the pause after that many attempts (at least 1), in seconds."""
        if self.factor == 1.0:
            return self.delay_s
        return min(self.delay_s * self.factor ** (attempt - 1), max(self.longest_delay_s, self.delay_s))


def following_intent(
    intent: StepIntent, result: StepResult, started_at: datetime, deadline_at: datetime | None
) -> StepIntent:
    """Give the intent of the next attempt, which keeps the one that failed.

    An attempt that was not answered, or not by a refusal, may have taken effect: the next one is the same action to
    whoever heeds its key. After a refusal it is another.
    """
    attempt = intent.attempt + 1
    was_refused = result.actual_status_code in _REFUSALS
    return replace(
        intent,
        attempt=attempt,
        keyed_as=attempt if was_refused else intent.keyed_as,
        started_at=started_at,
        deadline_at=deadline_at,
        earlier=(*intent.earlier, _failed(intent.attempt, result)),
        seen=None,
    )


def _failed(number: int, result: StepResult) -> StepAttempt:
    return StepAttempt(
        number=number,
        started_at=result.started_at,
        finished_at=result.finished_at,
        duration_ms=result.duration_ms,
        actual_status_code=result.actual_status_code,
        polls=result.polls,
        observations=result.observations,
        exchange=result.exchange,
        violations=result.violations,
    )


def concluded(result: StepResult, earlier: Sequence[StepAttempt]) -> StepResult:
    """Give the result of a step's last attempt with those before it; one that passes then is ``FLAKY``."""
    if not earlier:
        return result
    status = StepStatus.FLAKY if result.status is StepStatus.PASSED else result.status
    return replace(result, status=status, attempts=tuple(earlier))
