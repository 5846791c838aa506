"""How runs ended, as reports are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pytest_orchestra.engine.clock import Clock
from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.engine.ports import StepIntent, StoredRun
from pytest_orchestra.engine.request import RunOutcome, RunRequest
from pytest_orchestra.engine.results import blank_result, fault_of
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.run import RunAttempt, RunFault, RunStatus, StepResult, StepStatus
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["OutcomeWriter", "unreached"]


@dataclass
class OutcomeWriter:
    """Puts outcomes together. ``queued_at`` is when runs were taken on, by key."""

    clock: Clock
    keeps_runs: bool
    queued_at: dict[str, datetime] = field(default_factory=dict)
    _locked_at: dict[str, datetime] = field(default_factory=dict)
    _locked_s: dict[str, float] = field(default_factory=dict)

    def waits_for_lock(self, key: str) -> bool:
        """Note that a run waits for a lock; tell whether it did not before."""
        is_new = key not in self._locked_at
        self._locked_at.setdefault(key, self.clock.now())
        return is_new

    def has_locks(self, key: str) -> None:
        """Note that a run has all of its locks."""
        since = self._locked_at.pop(key, None)
        if since is not None:
            waited = (self.clock.now() - since).total_seconds()
            self._locked_s[key] = self._locked_s.get(key, 0.0) + waited

    def finished(
        self,
        request: RunRequest,
        status: RunStatus,
        steps: tuple[StepResult, ...],
        *,
        fault: RunFault | None = None,
        reason: str | None = None,
        attempts: tuple[RunAttempt, ...] = (),
    ) -> RunFinished:
        """Give the end of a run that ends now."""
        now = self.clock.now()
        self.has_locks(request.run.key)
        queued_at = self.queued_at.pop(request.run.key, now)
        began = request.run.started_at or now
        return RunFinished(
            at=now,
            run=replace(request.run, status=status, reason=reason, finished_at=now),
            status=status,
            steps=steps,
            fault=fault,
            reason=reason,
            queued_s=max(0.0, (began - queued_at).total_seconds()),
            locked_s=self._locked_s.pop(request.run.key, 0.0),
            is_kept=self.keeps_runs,
            attempts=attempts,
        )

    def skipped(
        self, request: RunRequest, status: RunStatus, reason: str, *, fault: RunFault | None = None
    ) -> RunOutcome:
        """Give the end of a run that did not begin."""
        steps = tuple(blank_result(step, StepStatus.SKIPPED, reason=reason) for step in request.scenario.all_steps)
        return RunOutcome(self.finished(request, status, steps, fault=fault, reason=reason))

    def ended_by(
        self, request: RunRequest, error: BaseException, results: tuple[StepResult, ...] | None = None
    ) -> RunOutcome:
        """Give the end of a run that something other than its steps ended; without results, it did not begin."""
        if results is None:
            results = tuple(
                blank_result(step, StepStatus.SKIPPED, reason="the run could not begin")
                for step in request.scenario.all_steps
            )
        if isinstance(error, OrchestraError):
            fault, exception = fault_of(error), None
        else:
            fault, exception = RunFault(type(error).__name__, str(error)), error
        return RunOutcome(self.finished(request, RunStatus.ERROR, results, fault=fault), exception)

    def retold(self, request: RunRequest, stored: StoredRun) -> RunOutcome:
        """Give the end of a run as the store has it, from an earlier session."""
        known = {step.alias: step for step in stored.steps}
        begun = {} if stored.run.status.is_good else {intent.alias: intent for intent in stored.intents}
        reason = stored.run.reason
        steps = tuple(
            known.get(step.alias) or _unended(step, begun.get(step.alias), reason or "the run ended before it")
            for step in request.scenario.all_steps
        )
        fault = next((step.fault for step in steps if step.fault is not None), None)
        status = stored.run.status
        if status is RunStatus.FAILED_STUCK:
            hint = "see what ended the workers; a SuiteRun of another key carries the scenario out anew"
            fault = fault or RunFault("FAILED_STUCK", reason or "the run got stuck", hint)
        elif status is RunStatus.ERROR:
            fault = fault or RunFault("OrchestraError", reason or "the run ended with an error")
        self.queued_at.pop(request.run.key, None)
        finished = RunFinished(
            at=stored.run.finished_at or self.clock.now(),
            run=stored.run,
            status=RunStatus.ERROR if status is RunStatus.FAILED_STUCK else status,
            steps=steps,
            fault=fault,
            reason=reason,
            is_kept=self.keeps_runs,
            attempts=stored.attempts,
        )
        return RunOutcome(finished)


def _unended(step: ScenarioStep, intent: StepIntent | None, reason: str) -> StepResult:
    """Give what is known of a step of which the store has no end: perhaps that it was under way, and what it saw."""
    if intent is None:
        return blank_result(step, StepStatus.SKIPPED, reason=reason)
    result = blank_result(step, StepStatus.SKIPPED, reason="it was under way when the last worker died")
    if intent.seen is None:
        return result
    return replace(result, polls=intent.seen.polls, observations=intent.seen.observations)


def unreached(results: Sequence[StepResult]) -> tuple[StepResult, ...]:
    """Give the steps that were not reached."""
    return tuple(result for result in results if result.status is StepStatus.SKIPPED)
