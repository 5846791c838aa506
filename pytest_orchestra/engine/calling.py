"""Making the call of a step: everything that it sends is rendered, and what every call takes with it is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.engine.tracing import trace_parent
from pytest_orchestra.engine.waiting import WaitPolicy
from pytest_orchestra.model.definition import Bindings, ChannelType
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["CallMaker"]

_NOTHING: JsonObject = {}


@dataclass(frozen=True, slots=True)
class CallMaker:
    """Makes the calls of runs that share bindings and an environment."""

    bindings: Bindings
    environment: ResolvedEnvironment

    def make(
        self, step: ScenarioStep, templates: StepTemplates, context: ExecutionContext, *, idempotency_key: str = ""
    ) -> StepCall:
        """Give the call of a step whose turn has come. Raises ``TemplateError``."""
        names = context.names()
        trace = trace_parent(context.correlation_id, step.alias)
        sent = cast("JsonObject", templates.input.render(names))
        headers = cast("JsonObject", templates.headers.render(names))
        if step.definition.channel_type is ChannelType.HTTP_REST:
            carried = {self.bindings.correlation_header: context.correlation_id, "traceparent": trace}
            own = cast("JsonObject", sent.get("headers") or {})
            sent = {**sent, "headers": {**carried, **headers, **own}}
        parameters = cast("JsonObject", templates.parameters.render(names))
        return self._call(
            step,
            context,
            trace,
            sent=sent,
            headers=headers,
            parameters={"correlationId": context.correlation_id, "traceparent": trace, **parameters},
            address=cast("JsonObject", templates.address.render(names)),
            message=cast("JsonObject", templates.message.render(names)),
            idempotency_key=idempotency_key,
        )

    def announce(self, step: ScenarioStep, templates: StepTemplates, context: ExecutionContext) -> StepCall:
        """Give the call of a step as far as it is known before the first reply: where it goes. Raises as ``make``."""
        address = cast("JsonObject", templates.address.render(context.names()))
        return self._call(step, context, trace_parent(context.correlation_id, step.alias), address=address)

    def _call(
        self,
        step: ScenarioStep,
        context: ExecutionContext,
        trace: str,
        *,
        address: JsonObject,
        sent: JsonObject = _NOTHING,
        headers: JsonObject = _NOTHING,
        parameters: JsonObject = _NOTHING,
        message: JsonObject = _NOTHING,
        idempotency_key: str = "",
    ) -> StepCall:
        return StepCall(
            step=step.definition,
            alias=step.alias,
            correlation_id=context.correlation_id,
            input=sent,
            parameters=parameters,
            environment=self.environment.environment,
            secrets=self.environment.secrets,
            timeout_s=WaitPolicy.of(step.definition, self.bindings).timeout_s,
            idempotency_key=idempotency_key,
            run_id=context.run_id,
            attempt=context.attempt,
            correlation_header=self.bindings.correlation_header,
            trace_parent=trace,
            headers=headers,
            address=address,
            message=message,
        )
