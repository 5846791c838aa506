"""The execution of one TestRun: its steps in order, each durable before the next begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pytest_orchestra.engine.clock import Clock
from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.events import Event, StepFinished, StepStarted
from pytest_orchestra.engine.ports import Lease, StepIntent
from pytest_orchestra.engine.steps import StepPerformer, blank_result
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.engine.waiting import WaitPolicy
from pytest_orchestra.model.definition import (
    ActionMode,
    BarrierReaction,
    Bindings,
    RunMode,
    StepKind,
)
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import (
    RunFault,
    RunStatus,
    StepResult,
    StepStatus,
    Violation,
    ViolationType,
)
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario

__all__ = ["Execution", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a TestRun ended: ``steps`` has every step of the scenario in order, also those not reached."""

    status: RunStatus
    steps: tuple[StepResult, ...]
    fault: RunFault | None = None
    aborts_suite: str | None = None


@dataclass
class Execution:
    """One TestRun on its way."""

    scenario: TestScenario
    bindings: Bindings
    context: ExecutionContext
    performer: StepPerformer
    store: StoreGuard
    lease: Lease
    suite_context: dict[str, JsonValue]
    clock: Clock
    emit: Callable[[Event], None]
    _results: dict[str, StepResult] = field(default_factory=dict)
    _flying: dict[str, asyncio.Task[StepResult]] = field(default_factory=dict)
    _stop_reason: str | None = None
    _aborts_suite: str | None = None

    async def run(self) -> Verdict:
        """Run all steps that the mode allows and give the verdict.

        Raises ``LeaseLostError`` and ``StoreUnavailableError``: what the store does not know did not happen.
        """
        try:
            await self._run_steps()
            await self._land(self.scenario.steps)
        finally:
            for task in self._flying.values():
                task.cancel()
            await asyncio.gather(*self._flying.values(), return_exceptions=True)
        return self._verdict()

    def partial_results(self) -> tuple[StepResult, ...]:
        """Give what is known of every step at this moment, for a run that is cut short."""
        return tuple(self._results.get(step.alias) or self._unreached(step) for step in self.scenario.steps)

    async def _run_steps(self) -> None:
        steps = self.scenario.steps
        for index, step in enumerate(steps):
            if self._stop_reason is not None:
                return
            if index == 0:
                await self.store.begin_step(self.lease, self._intent(step))
            if self._is_out_of_reach(step):
                continue
            following = steps[index + 1] if index + 1 < len(steps) else None
            if step.kind is StepKind.ACTION and step.definition.mode is ActionMode.FIRE_AND_FORGET:
                await self._launch(step, following)
                continue
            result = await self._perform(step)
            await self._record(result, following)
            self._react(step, result)

    def _is_out_of_reach(self, step: ScenarioStep) -> bool:
        """Tell whether a step reads what a failed step before it never gave; such a step is skipped, not wrong."""
        failed = {
            alias
            for alias, result in self._results.items()
            if result.status is not StepStatus.PASSED and result.response is None
        }
        needed = self.performer.steps_read(step.definition) & failed
        if not needed:
            return False
        culprit = min(needed, key=lambda alias: self._results[alias].order_index)
        self._results[step.alias] = blank_result(
            step, StepStatus.SKIPPED, reason=f"it reads the reply of step '{culprit}', which has none"
        )
        return True

    def _intent(self, step: ScenarioStep) -> StepIntent:
        now = self.clock.now()
        deadline = None
        if step.kind is StepKind.ASSERTION:
            deadline = now + timedelta(seconds=WaitPolicy.of(step.definition, self.bindings).timeout_s)
        return StepIntent(step.alias, step.order_index, started_at=now, deadline_at=deadline)

    async def _perform(self, step: ScenarioStep) -> StepResult:
        self.emit(StepStarted(at=self.clock.now(), run_id=self.context.run_id, alias=step.alias, name=step.name))
        if step.kind is StepKind.BARRIER:
            result = await self._hold(step)
        else:
            result = await self.performer.perform(step, self.context)
            if step.kind is StepKind.ACTION:
                self.context.last_action = step.alias
        self._results[step.alias] = result
        self.suite_context.update(result.exported)
        self.emit(StepFinished(at=self.clock.now(), run_id=self.context.run_id, result=result))
        return result

    async def _record(self, result: StepResult, following: ScenarioStep | None) -> None:
        intent = None
        if following is not None and not self._stops_after(result):
            intent = self._intent(following)
        await self.store.record_step(self.lease, result, intent, result.exported)

    def _stops_after(self, result: StepResult) -> bool:
        if result.status is not StepStatus.FAILED:
            return False
        return result.fault is not None or self.scenario.mode is RunMode.STOP_ON_FIRST_FAILURE

    def _react(self, step: ScenarioStep, result: StepResult) -> None:
        if step.kind is StepKind.BARRIER and result.status is StepStatus.FAILED:
            self._react_to_barrier(step)
        elif self._stops_after(result):
            self._stop_reason = f"step '{step.alias}' failed before it"

    def _react_to_barrier(self, step: ScenarioStep) -> None:
        reaction = step.definition.on_failure
        if reaction is BarrierReaction.CONTINUE:
            return
        self._stop_reason = f"barrier '{step.alias}' ended the scenario"
        if reaction is BarrierReaction.ABORT_SUITE:
            self._aborts_suite = f"barrier '{step.alias}' of '{self.context.run_key}' aborted the suite"

    async def _launch(self, step: ScenarioStep, following: ScenarioStep | None) -> None:
        """Begin an action without waiting for its reply; a barrier, or the end of the run, does that."""
        self.context.last_action = step.alias
        self.context.ended_at[step.alias] = self.clock.now()

        async def fly() -> StepResult:
            result = await self._perform(step)
            await self.store.record_step(self.lease, result, None, result.exported)
            return result

        self._flying[step.alias] = asyncio.create_task(fly(), name=f"{self.context.run_key} {step.alias}")
        if following is not None:
            await self.store.begin_step(self.lease, self._intent(following))

    async def _hold(self, step: ScenarioStep) -> StepResult:
        """Wait for tracked steps within the barrier's time; a step that failed or did not end makes it fail."""
        started = self.clock.now()
        tracked = step.definition.tracked_steps or tuple(self._flying)
        tasks = [self._flying[alias] for alias in tracked if alias in self._flying]
        timeout_s = WaitPolicy.of(step.definition, self.bindings).timeout_s
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
            self._raise_from_done(tasks)
        late = [alias for alias in tracked if alias in self._flying and not self._flying[alias].done()]
        failed = [
            alias for alias in tracked if alias in self._results and self._results[alias].status is StepStatus.FAILED
        ]
        finished = self.clock.now()
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

    async def _land(self, steps: Sequence[ScenarioStep]) -> None:
        """Wait for what is still flying when the last step has ended; each call has a time limit of its own."""
        tasks = [self._flying[step.alias] for step in steps if step.alias in self._flying]
        if tasks:
            await asyncio.wait(tasks)
            self._raise_from_done(tasks)

    @staticmethod
    def _raise_from_done(tasks: Sequence[asyncio.Task[StepResult]]) -> None:
        for task in tasks:
            if task.done():
                task.result()

    def _verdict(self) -> Verdict:
        results = self.partial_results()
        fault = next((result.fault for result in results if result.fault is not None), None)
        if fault is not None:
            status = RunStatus.ERROR
        elif any(result.status is StepStatus.FAILED for result in results):
            status = RunStatus.FAILED
        else:
            status = RunStatus.PASSED
        return Verdict(status, results, fault, self._aborts_suite)

    def _unreached(self, step: ScenarioStep) -> StepResult:
        return blank_result(step, StepStatus.SKIPPED, reason=self._stop_reason or "the run ended before it")


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
