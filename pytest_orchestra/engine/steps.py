"""Performing one step: render, call, judge, and wait where the step is an assertion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, cast

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.data.expressions import Part
from pytest_orchestra.data.redaction import Redactor
from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.engine.calling import CallMaker
from pytest_orchestra.engine.clock import Clock
from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.events import Event, StepPolled
from pytest_orchestra.engine.judgement import (
    check_rule,
    judge_reply,
    judge_rules,
    observed_value,
    parts_json,
)
from pytest_orchestra.engine.limits import ServiceGates
from pytest_orchestra.engine.listening import Listening, NotReadyError
from pytest_orchestra.engine.polling import History, PollWatch
from pytest_orchestra.engine.ports import (
    CallTimeoutError,
    ProtocolPlugin,
    ProtocolViolation,
    RepeatingProtocol,
    Reply,
    StepCall,
    StepIntent,
)
from pytest_orchestra.engine.results import fault_of, masked_observations, masked_result, result_of
from pytest_orchestra.engine.resumption import find_masked, idempotency_key, is_plain
from pytest_orchestra.engine.waiting import Look, WaitPolicy, wait_for
from pytest_orchestra.errors import OrchestraError, StepError, StoreError
from pytest_orchestra.model.definition import Bindings, ChannelType, OnResume, StepDefinition, StepKind
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import (
    Exchange,
    PollHistory,
    RunFault,
    StepResult,
    StepStatus,
    Violation,
    ViolationType,
)
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.model.specification import ProtocolSpec

__all__ = ["StepPerformer"]

_FAIR_LOOK_S: Final = 5.0
"""How long, in seconds, a look may take whose wait ended while nobody looked: it has to connect first."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What performing a step came to, before it becomes a StepResult."""

    reply: Reply | None = None
    exchange: Exchange | None = None
    violations: tuple[Violation, ...] = ()
    held_at: datetime | None = None
    history: History = field(default_factory=History)


@dataclass
class _LastLook:
    """What the latest poll of an assertion saw."""

    reply: Reply | None = None
    violations: tuple[Violation, ...] = ()
    parts: tuple[Part, ...] = ()
    held_at: datetime | None = None


class StepPerformer:
    """Performs the steps of runs that share bindings, specifications and an environment."""

    def __init__(
        self,
        *,
        protocols: Mapping[str, ProtocolPlugin],
        specs: Mapping[str, ProtocolSpec],
        bindings: Bindings,
        environment: ResolvedEnvironment,
        clock: Clock,
        emit: Callable[[Event], None],
        gates: ServiceGates | None = None,
    ) -> None:
        self._protocols = protocols
        self._listening = Listening(protocols)
        self._calls = CallMaker(bindings, environment)
        self._specs = specs
        self._bindings = bindings
        self._environment = environment
        self._redactor = Redactor(environment.secrets.values())
        self._clock = clock
        self._emit = emit
        self._gates = gates or ServiceGates()
        self._templates: dict[int, tuple[StepDefinition, StepTemplates]] = {}

    def protocol(self, step: StepDefinition) -> ProtocolPlugin:
        """Give the protocol of the step's channel. Raises ``StepError`` where there is none."""
        found = self._protocols.get(step.channel_type)
        if found is None:
            raise StepError(
                f"no protocol serves channel '{step.channel_type}'",
                place=step.place,
                hint=f"channels that are served: {', '.join(sorted(self._protocols))}",
            )
        return found

    def steps_read(self, step: StepDefinition) -> frozenset[str]:
        """Give the aliases of the steps whose results this one reads. A template that is broken reads nothing."""
        try:
            return self._templates_of(step).steps_read
        except OrchestraError:  # performing the step will say so, with its place
            return frozenset()

    def may_repeat(self, step: StepDefinition) -> bool:
        """Tell whether a step may be carried out when nobody knows whether it has been: looking is always allowed."""
        if step.kind is not StepKind.ACTION:
            return True
        said = step.on_resume or self._bindings.on_resume
        if said is not None:
            return said is OnResume.RETRY
        protocol: object = self._protocols.get(step.channel_type)  # which may be both kinds, or only the one
        return isinstance(protocol, RepeatingProtocol) and protocol.may_repeat(step, self._specs)

    def call(self, step: ScenarioStep, context: ExecutionContext) -> StepCall:
        """Give the call that a step would make now. Raises ``TemplateError``."""
        return self._calls.make(step, self._templates_of(step.definition), context)

    def mask(self, value: JsonValue) -> JsonValue:
        """Give a value without the environment's secrets."""
        return self._redactor.mask(value)

    def masked(self, step: ScenarioStep, result: StepResult) -> StepResult:
        """Give a result as reports and the store may have it."""
        return masked_result(step, result, self._redactor)

    def masked_history(self, history: PollHistory) -> PollHistory:
        """Give what a wait has seen as the store may have it."""
        return replace(history, observations=masked_observations(history.observations, self._redactor))

    def kept_data(self, data: JsonObject) -> JsonObject | None:
        """Give a run's data as the store may have it; None where it holds a secret, or what is no JSON."""
        return data if is_plain(data) and self._redactor.mask(data) is data else None

    async def perform(
        self,
        step: ScenarioStep,
        context: ExecutionContext,
        intent: StepIntent | None = None,
        *,
        deadline: datetime | None = None,
        watch: PollWatch | None = None,
    ) -> StepResult:
        """Perform an action or assertion. Errors of ours become the result's ``fault``; nothing of ours is raised.

        What the step got is kept in the context, unmasked, and what it exports is in the result's ``exported``. An
        assertion whose wait began in an earlier process keeps its start and its ``deadline``; ``watch`` is told of
        its polls. Raises the ``StoreError`` of a watch that cannot go on.
        """
        started = self._clock.now()
        if deadline is not None and intent is not None and intent.started_at is not None:
            started = min(started, intent.started_at)
        run_id = context.run_id if context.attempt == 1 else f"{context.run_id}#{context.attempt}"
        is_action = step.kind is StepKind.ACTION
        key = idempotency_key(run_id, step.alias, intent.keyed_as if intent else 1) if is_action else ""
        try:
            templates = self._templates_of(step.definition)
            if context.masked and (lost := find_masked(step, templates.paths, context.masked)):
                raise lost
            outcome = await self._carry_out(step, templates, context, key, deadline, watch or PollWatch())
            exported = self._export(templates, outcome, context)
            fault = None
        except StoreError:  # no fault of the step, which may be another worker's by now
            raise
        except OrchestraError as error:
            outcome, exported, fault = _Outcome(), {}, fault_of(self._explained(step, context, error))
        except (SystemExit, asyncio.CancelledError) as stop:  # asyncio would let the first end the whole session
            if _is_cancelled(stop):
                raise
            outcome, exported, fault = _Outcome(), {}, fault_of(_given_up(step, stop))
        finished = self._clock.now()
        failed = bool(outcome.violations or fault)
        status = StepStatus.FAILED if failed else StepStatus.PASSED
        response = None if outcome.reply is None else outcome.reply.response
        context.keep(step.alias, status, response, finished)
        return self.masked(
            step,
            result_of(
                step,
                status,
                started_at=started,
                finished_at=finished,
                duration_ms=(finished - started) / timedelta(milliseconds=1),
                actual_status_code=None if outcome.reply is None else outcome.reply.status_code,
                response=response,
                settling_time_ms=self._settling_time(step, outcome, context),
                polls=outcome.history.polls,
                timeout_ms=self._timeout_ms(step),
                observations=outcome.history.observations,
                exchange=outcome.exchange,
                exported=exported,
                violations=outcome.violations,
                fault=fault,
            ),
        )

    def _explained(self, step: ScenarioStep, context: ExecutionContext, error: OrchestraError) -> OrchestraError:
        known = self._templates.get(id(step.definition))
        return error if known is None or context.explain is None else context.explain(error, known[1])

    def _templates_of(self, step: StepDefinition) -> StepTemplates:
        known = self._templates.get(id(step))
        if known is None:  # the definition is kept beside its templates, so that its id stays its own
            known = self._templates[id(step)] = (step, StepTemplates.of(step, self._listening.default_until(step)))
        return known[1]

    async def prepare(
        self, steps: Sequence[ScenarioStep], context: ExecutionContext, since: datetime | None
    ) -> tuple[ScenarioStep, RunFault] | None:
        """Let the protocols that listen be ready for the steps of a run; give the step at which one is not, and why.

        ``since`` is when the run began, if an earlier worker began it.
        """

        def announce(step: ScenarioStep) -> StepCall:
            return self._calls.announce(step, self._templates_of(step.definition), context)

        try:
            await self._listening.prepare(steps, context, since, announce)
        except NotReadyError as unready:
            return unready.step, fault_of(self._explained(unready.step, context, unready.why))
        return None

    async def release(self, context: ExecutionContext) -> None:
        """Let the protocols forget a run."""
        await self._listening.release(context)

    async def _carry_out(
        self,
        step: ScenarioStep,
        templates: StepTemplates,
        context: ExecutionContext,
        key: str,
        deadline: datetime | None,
        watch: PollWatch,
    ) -> _Outcome:
        policy = WaitPolicy.of(step.definition, self._bindings)
        call = self._calls.make(step, templates, context, idempotency_key=key)
        if step.kind is StepKind.ASSERTION:
            return await self._assert(step, templates, call, context, policy, deadline, watch)
        return await self._act(step, call, context)

    async def _act(self, step: ScenarioStep, call: StepCall, context: ExecutionContext) -> _Outcome:
        try:
            async with self._gates.of(step.definition, call.environment):
                reply = await self.protocol(step.definition).execute(call, self._specs)
        except TimeoutError as late:
            return _Outcome(exchange=_exchange_of(late), violations=(_no_reply(call.timeout_s),))
        except ProtocolViolation as broken:
            return _Outcome(exchange=broken.exchange, violations=(broken.violation,))
        return _Outcome(reply, reply.exchange, self._judge(step, call, reply, context))

    def _judge(
        self, step: ScenarioStep, call: StepCall, reply: Reply, context: ExecutionContext
    ) -> tuple[Violation, ...]:
        """Hold a reply against everything that the step expects of it."""
        unexpected = judge_reply(reply, step.definition)
        contract = tuple(self.protocol(step.definition).validate(call, reply, self._specs))
        if unexpected:  # rules about a reply of another kind would only repeat that
            return unexpected + contract
        rules = self._templates_of(step.definition).rules
        if not rules:
            return contract
        return contract + judge_rules(rules, context.names_with(reply.response), step.definition)

    async def _assert(
        self,
        step: ScenarioStep,
        templates: StepTemplates,
        call: StepCall,
        context: ExecutionContext,
        policy: WaitPolicy,
        earlier_deadline: datetime | None,
        watch: PollWatch,
    ) -> _Outcome:
        last, history = _LastLook(), watch.history
        protocol = self.protocol(step.definition)
        began, polls_before = self._clock.now(), history.polls
        waits_since = min(began, history.began or began)
        deadline = began + timedelta(seconds=policy.timeout_s)
        if earlier_deadline is not None:  # never later than a wait that begins now: the clocks of two machines differ
            deadline = min(deadline, earlier_deadline)
        fair_s = 0.0 if earlier_deadline is None else min(policy.timeout_s, _FAIR_LOOK_S)

        async def look(left_s: float) -> Look:
            history.polls += 1
            left_s = max(left_s, fair_s)
            try:
                async with self._gates.of(step.definition, call.environment):
                    reply = await protocol.execute(replace(call, timeout_s=left_s), self._specs)
            except TimeoutError as late:
                watch.exchange = _exchange_of(late) or watch.exchange
                last.violations, last.held_at = (_no_reply(left_s),), None
                return Look(is_final=False)
            except ProtocolViolation as broken:
                watch.exchange, last.violations, last.held_at = broken.exchange, (broken.violation,), None
                return Look(is_final=False)
            last.reply, watch.exchange = reply, reply.exchange
            found = self._find(step, templates, call, reply, context, last)
            history.add(found.observed, self._clock.now())
            if not found.is_final:
                self._emit(
                    StepPolled(
                        at=self._clock.now(),
                        run_id=context.run_id,
                        alias=step.alias,
                        poll=history.polls,
                        observed=self._redactor.mask(found.observed),
                    )
                )
                watch.looked()
            return found

        rest = self._listening.rest(step.definition, call)
        found, _ = await wait_for(look, policy, deadline, self._clock, f"{context.run_id}/{step.alias}", rest=rest)
        violations = last.violations
        if not found.is_final:
            last.held_at = None
            waited = round((self._clock.now() - waits_since) / timedelta(milliseconds=1))
            violations = (self._unfulfilled(step, last, history.polls, policy, waited),)
            if last.reply is not None:
                violations += tuple(protocol.validate(call, last.reply, self._specs))
        if earlier_deadline is not None and history.polls == polls_before + 1:
            last.held_at = None  # it may have held for long while nobody looked
        return _Outcome(last.reply, watch.exchange, violations, last.held_at, history)

    def _find(
        self,
        step: ScenarioStep,
        templates: StepTemplates,
        call: StepCall,
        reply: Reply,
        context: ExecutionContext,
        last: _LastLook,
    ) -> Look:
        """Judge one poll: over by success, over by a terminal bad state, or not over."""
        names = context.names_with(reply.response)
        definition = step.definition
        if templates.fail_when is not None and check_rule(templates.fail_when, names).holds:
            parts = templates.fail_when.explain(names)
            last.violations = (_gave_up(definition, parts),)
            return Look(is_final=True, observed=observed_value(parts))
        unexpected = judge_reply(reply, definition)
        if unexpected:
            last.violations, last.held_at = unexpected, None
            return Look(is_final=False, observed={"status": reply.status_name or reply.status_code})
        if templates.until is None:
            return self._find_by_rules(step, call, reply, names, last)
        finding = check_rule(templates.until, names)
        if not finding.holds:
            last.violations, last.parts, last.held_at = (), finding.parts, None
            return Look(is_final=False, observed=observed_value(finding.parts))
        observed = observed_value(templates.until.explain(names))
        if not self._is_stable(definition, last):
            last.violations, last.parts = (), ()
            return Look(is_final=False, observed=observed)
        last.violations = self._judge(step, call, reply, context)
        return Look(is_final=True, observed=observed)

    def _is_stable(self, definition: StepDefinition, last: _LastLook) -> bool:
        """Note that what is awaited holds now, and tell whether it has held for as long as it has to."""
        now = self._clock.now()
        last.held_at = last.held_at or now
        return now - last.held_at >= timedelta(milliseconds=definition.stable_for_ms or 0)

    def _find_by_rules(
        self, step: ScenarioStep, call: StepCall, reply: Reply, names: Mapping[str, object], last: _LastLook
    ) -> Look:
        """Judge one poll of an assertion without ``until``: it is over as soon as all its rules hold."""
        broken = judge_rules(self._templates_of(step.definition).rules, names, step.definition)
        if broken:
            last.violations, last.held_at = broken, None
            return Look(is_final=False, observed=_first_parts(broken))
        if not self._is_stable(step.definition, last):
            last.violations = ()
            return Look(is_final=False, observed=True)
        last.violations = tuple(self.protocol(step.definition).validate(call, reply, self._specs))
        return Look(is_final=True, observed=True)

    def _unfulfilled(
        self, step: ScenarioStep, last: _LastLook, polls: int, policy: WaitPolicy, waited_ms: int
    ) -> Violation:
        definition = step.definition
        kind = self.protocol(definition).unfulfilled
        looked = "once" if polls == 1 else f"{polls} times"
        rules = " and ".join(rule.rule for rule in definition.business_rules)
        condition = definition.until or rules or self._listening.default_until(definition) or "a reply"
        stable_ms = definition.stable_for_ms
        span = f" for {stable_ms} ms on end" if stable_ms else ""
        details: dict[str, JsonValue] = {
            "rule": condition,
            "timeoutMs": round(policy.timeout_s * 1000),
            "polls": polls,
        }
        if last.parts:
            details["parts"] = parts_json(last.parts)
        elif last.violations:
            details["parts"] = last.violations[0].details.get("parts", [])
            details["because"] = "; ".join(violation.message for violation in last.violations)
        return Violation(
            kind, "until", f"'{condition}' did not hold{span} within {waited_ms} ms, looked {looked}", details
        )

    def _export(self, templates: StepTemplates, outcome: _Outcome, context: ExecutionContext) -> dict[str, JsonValue]:
        if outcome.reply is None or outcome.violations or not templates.exports:
            return {}
        names = context.names_with(outcome.reply.response)
        return {name: template.render(names) for name, template in templates.exports}

    def _timeout_ms(self, step: ScenarioStep) -> float | None:
        if step.kind is not StepKind.ASSERTION:
            return None
        return WaitPolicy.of(step.definition, self._bindings).timeout_s * 1000

    def _settling_time(self, step: ScenarioStep, outcome: _Outcome, context: ExecutionContext) -> float | None:
        cause = step.definition.caused_by or context.last_action
        caused_at = context.ended_at.get(cause) if cause else None
        if outcome.held_at is None or caused_at is None:
            return None
        return max(0.0, (outcome.held_at - caused_at) / timedelta(milliseconds=1))


def _is_cancelled(stop: BaseException) -> bool:
    task = asyncio.current_task()
    return isinstance(stop, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _given_up(step: ScenarioStep, stop: BaseException) -> StepError:
    return StepError(
        f"protocol '{step.definition.channel_type}' raised {stop!r}",
        place=step.definition.place,
        hint="a protocol tells what went wrong by an exception of its own",
    )


def _exchange_of(late: TimeoutError) -> Exchange | None:
    return late.exchange if isinstance(late, CallTimeoutError) else None


def _no_reply(timeout_s: float) -> Violation:
    waited = round(timeout_s * 1000)
    return Violation(ViolationType.TIMEOUT, "no-reply", f"no reply came within {waited} ms", {"timeoutMs": waited})


def _gave_up(step: StepDefinition, parts: Sequence[Part]) -> Violation:
    return Violation(
        ViolationType.DB_ASSERTION_FAILED
        if step.channel_type is ChannelType.DB
        else ViolationType.BUSINESS_RULE_VIOLATION,
        "fail-when",
        f"'{step.fail_when}' came to hold",
        {"rule": step.fail_when, "parts": parts_json(parts)},
    )


def _first_parts(broken: Sequence[Violation]) -> JsonValue:
    parts = cast("Sequence[Mapping[str, JsonValue]]", broken[0].details.get("parts", []))
    if len(parts) == 1:
        return parts[0]["value"]
    return {str(part["expression"]): part["value"] for part in parts}
