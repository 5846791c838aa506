"""The results of steps: what is known of one that did nothing, and one as reports and the store may have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from pytest_orchestra.data.redaction import Redactor, mask_headers
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.definition import StepKind
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange, Observation, RunFault, StepResult, StepStatus, Violation
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["blank_result", "fault_of", "interrupted_result", "masked_observations", "masked_result", "result_of"]


def blank_result(step: ScenarioStep, status: StepStatus, *, reason: str | None = None) -> StepResult:
    """Give the result of a step of which nothing but its state is known."""
    return result_of(step, status, reason=reason)


def interrupted_result(step: ScenarioStep, began: datetime | None, ended: datetime) -> StepResult:
    """Give the result of a step that was cut short: an action may have taken effect, others only looked."""
    doubt = ", and nobody knows whether it took effect" if step.kind is StepKind.ACTION else ""
    reason = f"it was under way when the run was cut short{doubt}"
    began = began or ended
    lasted = max(0.0, (ended - began) / timedelta(milliseconds=1))
    return result_of(step, StepStatus.SKIPPED, reason=reason, started_at=began, finished_at=ended, duration_ms=lasted)


def result_of(step: ScenarioStep, status: StepStatus, **known: Any) -> StepResult:
    """Give the result of a step with what is ``known`` of it, by the fields of ``StepResult``."""
    return StepResult(
        alias=step.alias,
        name=step.name,
        kind=step.kind,
        channel_type=step.definition.channel_type,
        element_id=step.element_id,
        order_index=step.order_index,
        status=status,
        clean_up=step.cleans_up is not None,
        **known,
    )


def fault_of(error: OrchestraError) -> RunFault:
    """Give an error of ours as reports and the store carry it."""
    return RunFault(type(error).__name__, error.fact, error.hint, None if error.place is None else str(error.place))


def masked_observations(observations: tuple[Observation, ...], redactor: Redactor) -> tuple[Observation, ...]:
    """Give what polls saw without secrets."""
    values = [redactor.mask(seen.value) for seen in observations]
    if all(value is seen.value for value, seen in zip(values, observations, strict=True)):
        return observations
    return tuple(replace(seen, value=value) for value, seen in zip(values, observations, strict=True))


def masked_result(step: ScenarioStep, result: StepResult, redactor: Redactor) -> StepResult:
    """Give the result without secrets, its violations with the place of the step in the sidecar."""
    place = step.definition.place
    placed: JsonObject = {} if place is None else {"place": str(place)}
    fault = result.fault
    shown: dict[str, Any] = {
        "response": _masked_response(result.response, redactor),
        "exchange": None if result.exchange is None else _masked_exchange(result.exchange, redactor),
        "exported": redactor.mask(result.exported),
        "observations": masked_observations(result.observations, redactor),
        "violations": tuple(_masked_violation(each, placed, redactor) for each in result.violations),
        "fault": None if fault is None else replace(fault, message=redactor.mask_text(fault.message)),
    }
    changes = {name: value for name, value in shown.items() if value is not getattr(result, name)}
    if not changes:  # of most results nothing is to be hidden, and a copy of one is not for nothing
        return result
    return replace(result, masked="response" in changes, **changes)


def _masked_response(response: JsonObject | None, redactor: Redactor) -> JsonObject | None:
    """Give a response without secrets, and without the values of headers that carry credentials."""
    if response is not None and isinstance(headers := response.get("headers"), Mapping):
        shown = mask_headers(headers)
        response = response if shown == headers else {**response, "headers": shown}
    return cast("JsonObject | None", redactor.mask(response))


def _masked_exchange(exchange: Exchange, redactor: Redactor) -> Exchange:
    request = cast("JsonObject", redactor.mask(exchange.request))
    response = cast("JsonObject | None", redactor.mask(exchange.response))
    reproduce = redactor.mask_text(exchange.reproduce)
    is_same = request is exchange.request and response is exchange.response and reproduce == exchange.reproduce
    return exchange if is_same else Exchange(request, response, reproduce)


def _masked_violation(violation: Violation, placed: JsonObject, redactor: Redactor) -> Violation:
    """Give a violation without secrets; where it is written is no secret, even if a user is called as the file is."""
    details: JsonObject = {**cast("JsonObject", redactor.mask(violation.details)), **placed}
    return replace(violation, message=redactor.mask_text(violation.message), details=details)
