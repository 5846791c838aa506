"""The execution of one TestRun: its steps in order, each durable before the next begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pytest_orchestra.engine.barriers import barrier_result
from pytest_orchestra.engine.clock import Clock
from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.events import Event, StepFinished, StepRetried, StepStarted
from pytest_orchestra.engine.limits import TimeLimit
from pytest_orchestra.engine.polling import PollWatch, cut_short
from pytest_orchestra.engine.ports import StepIntent
from pytest_orchestra.engine.reach import Reach
from pytest_orchestra.engine.results import blank_result, fault_of, interrupted_result
from pytest_orchestra.engine.resumption import Resumption, doubtful, taken_over
from pytest_orchestra.engine.retrying import UNREPEATABLE, RetryPolicy, concluded, following_intent
from pytest_orchestra.engine.run_log import RunLog
from pytest_orchestra.engine.settling import SettleLimit
from pytest_orchestra.engine.stepping import Stepping, with_value
from pytest_orchestra.engine.steps import StepPerformer
from pytest_orchestra.engine.verdict import Verdict
from pytest_orchestra.engine.waiting import WaitPolicy
from pytest_orchestra.errors import UndefinedVariableError
from pytest_orchestra.model.definition import ActionMode, BarrierReaction, Bindings, RunMode, StepKind
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import (
    PollHistory,
    RunFault,
    RunStatus,
    StepResult,
    StepStatus,
    Violation,
)
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario

__all__ = ["Execution"]


@dataclass
class Execution:
    """One TestRun on its way."""

    scenario: TestScenario
    bindings: Bindings
    context: ExecutionContext
    performer: StepPerformer
    log: RunLog
    suite_context: dict[str, JsonValue]
    clock: Clock
    emit: Callable[[Event], None]
    earlier: Resumption = field(default_factory=Resumption)
    limits: Mapping[str, SettleLimit] = field(default_factory=dict)
    reach: Reach = field(default_factory=Reach)
    limit: TimeLimit = field(default_factory=TimeLimit)
    stepping: Stepping | None = None
    _begun: dict[str, StepIntent] = field(default_factory=dict)
    _watches: dict[str, PollWatch] = field(default_factory=dict)
    _has_repeated: bool = False
    _results: dict[str, StepResult] = field(default_factory=dict)
    _flying: dict[str, asyncio.Task[StepResult]] = field(default_factory=dict)
    _stop_reason: str | None = None
    _aborts_suite: str | None = None
    _cut_short_at: datetime | None = None

    async def run(self) -> None:
        """Run all steps that the mode allows.

        Raises ``LeaseLostError`` and ``StoreUnavailableError``: what the store does not know did not happen.
        """
        try:
            await self._listen()
            await self._run_steps()
            await self._land(self.scenario.steps)
        except asyncio.CancelledError:
            self._cut_short_at = self.clock.now()
            raise
        finally:
            for task in self._flying.values():
                task.cancel()
            await asyncio.gather(*self._flying.values(), return_exceptions=True)

    async def close(self) -> None:
        """Let the protocols forget the run."""
        await self.performer.release(self.context)

    async def clean_up(self) -> None:
        """Clean up behind what has begun; each step of it, whatever becomes of the others, and none of them twice.

        Raises ``LeaseLostError`` and ``StoreUnavailableError``: another worker, or a later session, then does the rest.
        """
        for step in self.scenario.clean_up:
            earlier = self._results.get(step.alias) or self.earlier.results.get(step.alias)
            if earlier is None:
                await self._clean_up_by(step)
            else:
                self._results[step.alias] = taken_over(earlier) if step.alias not in self._results else earlier

    async def _clean_up_by(self, step: ScenarioStep) -> None:
        reason = self._why_not_clean_up(step)
        if reason is not None:
            self._results[step.alias] = blank_result(step, StepStatus.SKIPPED, reason=reason)
            return
        if await self._is_skipped_by_hand(step):
            return
        await self._begin(step)
        if self._is_in_doubt(step):
            await self._give_up(step)
            return
        result = await self._perform_for(step)
        fault = result.fault
        is_lost = fault is not None and fault.error == UndefinedVariableError.__name__
        is_over = self._cut_short_at is not None or not self._verdict_of_scenario().status.is_good
        if fault is not None and is_lost and is_over:
            reason = f"the run ended before there was what it reads: {fault.message}"
            result = self._results[step.alias] = blank_result(step, StepStatus.SKIPPED, reason=reason)
        self.log.record(result)

    def _why_not_clean_up(self, step: ScenarioStep) -> str | None:
        if self.reach.last is not None:
            return "the run is only a part of its scenario, and leaves behind what it made"
        if step.alias in self.reach.left_out:
            return self.reach.left_out[step.alias]
        done = self.earlier.results.get(step.cleans_up or "")
        has_begun = step.cleans_up in self._begun or (done is not None and done.status is not StepStatus.SKIPPED)
        return None if has_begun or not step.cleans_up else f"step '{step.cleans_up}' did not begin"

    async def _perform_for(self, step: ScenarioStep) -> StepResult:
        """Perform a clean-up step, which sees the visit of a loop behind which it cleans up under its plain alias."""
        owner = next((each for each in self.scenario.steps if each.alias == step.cleans_up), None)
        known = self.context.steps
        if owner is not None and owner.definition.alias is not None and owner.alias in known:
            self.context.steps = {**known, owner.definition.alias: known[owner.alias]}
        try:
            return await self._perform(step)
        finally:
            self.context.steps = {**known, step.alias: self.context.steps.get(step.alias, {})}

    def partial_results(self) -> tuple[StepResult, ...]:
        """Give what is known of every step at this moment, for a run that is cut short."""
        return tuple(self._results.get(step.alias) or self._unreached(step) for step in self.scenario.all_steps)

    def fail_current(self, violation: Violation) -> StepResult | None:
        """Let the first step that has no result yet fail, and give its result; None if all have one."""
        current = next((step for step in self.scenario.steps if step.alias not in self._results), None)
        if current is None:
            return None
        now, intent = self.clock.now(), self._begun.get(current.alias)
        result = cut_short(current, violation, intent, now, self._watches.get(current.alias) or PollWatch())
        self._results[current.alias] = self.performer.masked(current, result)
        return self._results[current.alias]

    async def _listen(self) -> None:
        """Be ready for what the run will cause, before it causes anything."""
        self._begun.update(self.earlier.intents)
        steps = self.scenario.steps
        ahead = [
            step
            for step in self.scenario.all_steps
            if step.alias not in self.earlier.results and (step not in steps or self.reach.why_not(step, steps) is None)
        ]
        told = await self.performer.prepare(ahead, self.context, self._began_at())
        if told is None:
            return
        step, fault = told
        for each in steps:
            self._restore(each)
        await self._begin(step)
        await self._fail(step, fault)
        self._stop_reason = f"step '{step.alias}' could not listen"

    def _began_at(self) -> datetime | None:
        """Give when an earlier worker began the run; None if none did."""
        done = [result.started_at for result in self.earlier.results.values() if not result.reused_from]
        begun = [intent.started_at for intent in self.earlier.intents.values()]
        return min((moment for moment in (*done, *begun) if moment is not None), default=None)

    async def _run_steps(self) -> None:
        steps = self.scenario.steps
        if self._was_cleaning_up:
            for step in steps:
                self._restore(step)
            self._stop_reason = "an earlier session was already cleaning up"
        for index, step in enumerate(steps):
            if self._stop_reason is not None:
                return
            if self._restore(step) or self._is_left_out(step) or self._is_out_of_reach(step):
                continue
            if await self._is_skipped_by_hand(step):
                continue
            await self._begin(step)
            following = steps[index + 1] if index + 1 < len(steps) and self.stepping is None else None
            if following is not None and self.reach.why_not(following, steps) is not None:
                following = None
            if self._is_in_doubt(step):
                await self._give_up(step)
            elif step.kind is StepKind.ACTION and step.definition.mode is ActionMode.FIRE_AND_FORGET:
                self._launch(step)
            else:
                result = await self._perform(step)
                await self._record(result, following)
                self._react(step, result)

    @property
    def _was_cleaning_up(self) -> bool:
        """Whether an earlier worker had begun to clean up, so that there is nothing left to go on with."""
        done = {*self.earlier.results, *self.earlier.intents}
        return any(step.alias in done for step in self.scenario.clean_up)

    def _restore(self, step: ScenarioStep) -> bool:
        """Take over the result of a step that an earlier worker finished, as if it had ended now."""
        result = self.earlier.results.get(step.alias)
        if result is None:
            return False
        self._results[step.alias] = taken_over(result)
        self.context.closer.update(result.exported)
        for name, value in result.changed.items():
            self.context.data = with_value(self.context.data, name, value)
        self.context.keep(step.alias, result.status, result.response, result.finished_at or self.clock.now())
        if result.masked and result.response is not None:
            self.context.masked[step.alias] = result.response
        if step.kind is StepKind.ACTION and result.status is not StepStatus.SKIPPED:
            self.context.last_action = step.alias
        if step.definition.mode is not ActionMode.FIRE_AND_FORGET:  # whose failures are for barriers to tell
            self._react(step, result)
        return True

    async def _is_skipped_by_hand(self, step: ScenarioStep) -> bool:
        """Ask whoever steps through the run, if somebody does, and tell whether the step is left out."""
        if self.stepping is None or (skipped := await self.stepping.skipped(step, self._results)) is None:
            return False
        self._results[step.alias] = skipped
        self.log.record(skipped)
        return True

    def _is_left_out(self, step: ScenarioStep) -> bool:
        """Tell whether a step is not to be carried out, because the user wants only others."""
        reason = self.reach.why_not(step, self.scenario.steps)
        if reason is not None:
            self._results[step.alias] = blank_result(step, StepStatus.SKIPPED, reason=reason)
        return reason is not None

    async def _begin(self, step: ScenarioStep) -> None:
        """Record that a step begins, where that was not done together with the end of the one before.

        An action does not begin before the store knows of it, and of all before it; a wait does, as it only looks.
        """
        if step.alias not in self._begun:
            is_first = not self._begun and all(each.reused_from for each in self.earlier.results.values())
            intent = self._begun[step.alias] = self._intent(step)
            self.log.begin(intent, self.performer.kept_data(self.context.data) if is_first else None)
        if step.kind is StepKind.ACTION:
            await self.log.settle()

    def _is_in_doubt(self, step: ScenarioStep) -> bool:
        """Tell whether a step was under way when an earlier worker died, and must not be carried out again."""
        if step.alias not in self.earlier.intents or step.kind is not StepKind.ACTION:
            return False
        self._has_repeated = True
        return not self.performer.may_repeat(step.definition)

    async def _give_up(self, step: ScenarioStep) -> None:
        await self._fail(step, fault_of(doubtful(step)))

    async def _fail(self, step: ScenarioStep, fault: RunFault) -> None:
        """Let a step fail by a fault without carrying it out."""
        now = self.clock.now()
        result = replace(
            blank_result(step, StepStatus.FAILED),
            started_at=self._begun[step.alias].started_at,
            finished_at=now,
            fault=fault,
        )
        self._results[step.alias] = result
        self.emit(StepFinished(at=now, run_id=self.context.run_id, result=result))
        await self._record(result, None)
        self._react(step, result)

    def _is_out_of_reach(self, step: ScenarioStep) -> bool:
        """Tell whether a step reads what a failed step before it never gave; such a step is skipped, not wrong."""
        done = {alias: self._results.get(alias) for alias in self.performer.steps_read(step.definition)}
        failed = [
            alias
            for alias, result in done.items()
            if result is not None
            and result.status not in (StepStatus.PASSED, StepStatus.FLAKY)
            and result.response is None
        ]
        if not failed:
            return False
        culprit = min(failed, key=lambda alias: self._results[alias].order_index)
        self._results[step.alias] = blank_result(
            step, StepStatus.SKIPPED, reason=f"it reads the reply of step '{culprit}', which has none"
        )
        return True

    def _intent(self, step: ScenarioStep) -> StepIntent:
        now = self.clock.now()
        return StepIntent(step.alias, step.order_index, started_at=now, deadline_at=self._deadline(step, now))

    def _deadline(self, step: ScenarioStep, began: datetime) -> datetime | None:
        if step.kind not in (StepKind.ASSERTION, StepKind.BARRIER):
            return None
        return began + timedelta(seconds=WaitPolicy.of(step.definition, self.bindings).timeout_s)

    async def _perform(self, step: ScenarioStep) -> StepResult:
        self.emit(StepStarted(at=self.clock.now(), run_id=self.context.run_id, alias=step.alias, name=step.name))
        if step.kind is StepKind.BARRIER:
            result = await self._hold(step)
        else:
            result = await self._try(step)
            if step.kind is StepKind.ACTION:
                self.context.last_action = step.alias
                if step.alias in self.earlier.intents:
                    result = replace(result, repeated=True)
        result = result if self.stepping is None else self.stepping.marked(result)
        self._results[step.alias] = result
        self.suite_context.update(result.exported)
        self.context.closer.update(result.exported)
        self.emit(StepFinished(at=self.clock.now(), run_id=self.context.run_id, result=result))
        return result

    async def _try(self, step: ScenarioStep) -> StepResult:
        """Perform a step as often as its policy, or whoever steps through the run, says."""
        result = await self._try_by_policy(step, self._earlier_deadline(step))
        while self.stepping is not None and await self.stepping.is_retried(step, result, self._results):
            if result.fault is None:  # what was wrong on our side is no attempt of the system's
                await self._begin_again(step, result, 0.0)
            result = await self._try_by_policy(step)
        result = concluded(result, self._begun[step.alias].earlier)
        if (limit := self.limits.get(step.alias)) is not None:  # not before: who waits again does not settle sooner
            interval_s = WaitPolicy.of(step.definition, self.bindings).interval_s
            result = limit.judge(result, interval_s * 1000)
        self.context.steps[step.alias]["status"] = result.status.value
        return result

    async def _try_by_policy(self, step: ScenarioStep, deadline: datetime | None = None) -> StepResult:
        """Perform a step as often as its policy says; each attempt is recorded before the next one begins."""
        policy = RetryPolicy.of(step.definition, self.bindings)
        result = await self._perform_once(step, deadline)
        while policy is not None and policy.wants_more(result, self._begun[step.alias].attempt):
            if not self.performer.may_repeat(step.definition):
                return replace(result, reason=UNREPEATABLE)
            await self._begin_again(step, result, policy.pause(self._begun[step.alias].attempt))
            result = await self._perform_once(step)
        return result

    async def _perform_once(self, step: ScenarioStep, deadline: datetime | None = None) -> StepResult:
        """Perform one attempt; what it sees is known to those that come later, and to a run that is cut short."""
        intent = self._begun[step.alias]

        async def keep(history: PollHistory) -> None:
            self.log.begin(replace(intent, seen=self.performer.masked_history(history)))
            await self.log.settle()

        watch = self._watches[step.alias] = PollWatch(
            keep, None if deadline is None else intent.seen, goes_on=self.log.raise_refusal
        )
        result = await self.performer.perform(step, self.context, intent, deadline=deadline, watch=watch)
        await watch.settle()
        del self._watches[step.alias]
        return result

    async def keep_polls(self) -> None:
        """Keep what the waits have seen that are under way."""
        for watch in tuple(self._watches.values()):
            await watch.keep_now()

    async def _begin_again(self, step: ScenarioStep, failed: StepResult, pause_s: float) -> StepIntent:
        """Record that an attempt failed and that another follows, and wait for its time."""
        begins_at = self.clock.now() + timedelta(seconds=pause_s)
        intent = following_intent(self._begun[step.alias], failed, begins_at, self._deadline(step, begins_at))
        self._begun[step.alias] = intent
        self.log.begin(intent)
        await self.log.settle()
        self.emit(
            StepRetried(
                at=self.clock.now(),
                run_id=self.context.run_id,
                alias=step.alias,
                failed=intent.earlier[-1],
                pause_s=pause_s,
            )
        )
        await asyncio.sleep(pause_s)
        return intent

    def _earlier_deadline(self, step: ScenarioStep) -> datetime | None:
        """Give the deadline of a wait that an earlier worker began, unless what it waits for was begun anew."""
        intent = self.earlier.intents.get(step.alias)
        return None if intent is None or self._has_repeated else intent.deadline_at

    async def _record(self, result: StepResult, following: ScenarioStep | None) -> None:
        intent = None
        if following is not None and following.alias not in self._begun and not self._stops_after(result):
            intent = self._begun[following.alias] = self._intent(following)
        if self._is_last(result):
            self.log.record_last(result)
            return
        self.log.record(result, intent)
        if result.exported:  # which other runs may read
            await self.log.settle()

    def _is_last(self, result: StepResult) -> bool:
        """Tell whether the end of the run comes at once behind a step, and nobody needs its outcome before."""
        if self.stepping is not None or self._flying or self.scenario.clean_up or result.exported:
            return False
        return result.alias == self.scenario.steps[-1].alias

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

    def _launch(self, step: ScenarioStep) -> None:
        """Begin an action without waiting for its reply; a barrier, or the end of the run, does that."""
        self.context.last_action = step.alias
        self.context.ended_at[step.alias] = self.clock.now()

        async def fly() -> StepResult:
            result = await self._perform(step)
            self.log.record(result)
            await self.log.settle()
            return result

        self._flying[step.alias] = asyncio.create_task(fly(), name=f"{self.context.run_key} {step.alias}")

    async def _hold(self, step: ScenarioStep) -> StepResult:
        """Wait for tracked steps within the barrier's time; a step that failed or did not end makes it fail."""
        started = self.clock.now()
        tracked = step.definition.tracked_steps or tuple(self._flying)
        tasks = [self._flying[alias] for alias in tracked if alias in self._flying]
        timeout_s = WaitPolicy.of(step.definition, self.bindings).timeout_s
        earlier = self._earlier_deadline(step)
        if earlier is not None:
            timeout_s = min(timeout_s, max(0.0, (earlier - started).total_seconds()))
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
            self._raise_from_done(tasks)
        late = [alias for alias in tracked if alias in self._flying and not self._flying[alias].done()]
        failed = [
            alias for alias in tracked if alias in self._results and self._results[alias].status is StepStatus.FAILED
        ]
        return barrier_result(step, started, self.clock.now(), timeout_s=timeout_s, late=late, failed=failed)

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

    def verdict(self) -> Verdict:
        """Give how the run ended. What failed while cleaning up counts only where nothing had failed before it."""
        results = self.partial_results()
        verdict = self._verdict_of_scenario()
        if not verdict.status.is_good:
            return replace(verdict, steps=results)
        behind = Verdict.of([result for result in results if result.clean_up], self._aborts_suite)
        if not behind.status.is_good:
            return replace(behind, steps=results)
        unreached = (step for step in self.scenario.steps if step.alias not in self._results)
        if self._was_cleaning_up and next(unreached, None) is not None:
            return Verdict(RunStatus.CANCELLED, results, reason="it was cancelled, and cleaned up behind")
        return replace(verdict, steps=results)

    def _verdict_of_scenario(self) -> Verdict:
        return Verdict.of([result for result in self.partial_results() if not result.clean_up], self._aborts_suite)

    def _unreached(self, step: ScenarioStep) -> StepResult:
        intent = self._begun.get(step.alias)
        if intent is not None and self._cut_short_at is not None:
            return concluded(interrupted_result(step, intent.started_at, self._cut_short_at), intent.earlier)
        blank = blank_result(step, StepStatus.SKIPPED, reason=self._stop_reason or "the run ended before it")
        return blank if intent is None else concluded(blank, intent.earlier)
