"""The results of steps: what is known of one that did nothing, and one as reports and the store may have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from pytest_orchestra.data.redaction import Redactor, mask_headers
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange, RunFault, StepResult, StepStatus
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["blank_result", "fault_of", "masked_result"]


def blank_result(step: ScenarioStep, status: StepStatus, *, reason: str | None = None) -> StepResult:
    """Give the result of a step of which nothing but its state is known."""
    return StepResult(
        alias=step.alias,
        name=step.name,
        kind=step.kind,
        channel_type=step.definition.channel_type,
        element_id=step.element_id,
        order_index=step.order_index,
        status=status,
        reason=reason,
        clean_up=step.cleans_up is not None,
    )


def fault_of(error: OrchestraError) -> RunFault:
    """Give an error of ours as reports and the store carry it."""
    return RunFault(type(error).__name__, error.fact, error.hint, None if error.place is None else str(error.place))


def masked_result(step: ScenarioStep, result: StepResult, redactor: Redactor) -> StepResult:
    """Give the result without secrets, its violations with the place of the step in the sidecar."""
    mask = redactor.mask
    place = step.definition.place
    placed: JsonObject = {} if place is None else {"place": str(place)}
    response = result.response
    if response is not None and isinstance(headers := response.get("headers"), Mapping):
        response = {**response, "headers": mask_headers(headers)}
    exchange = result.exchange
    if exchange is not None:
        exchange = Exchange(
            cast("JsonObject", mask(exchange.request)),
            cast("JsonObject | None", mask(exchange.response)),
            redactor.mask_text(exchange.reproduce),
        )
    shown = cast("JsonObject | None", mask(response))
    return replace(
        result,
        response=shown,
        masked=shown != result.response,
        exchange=exchange,
        exported=cast("JsonObject", mask(result.exported)),
        observations=tuple(replace(seen, value=mask(seen.value)) for seen in result.observations),
        violations=tuple(
            replace(
                violation,
                message=redactor.mask_text(violation.message),
                details=cast("JsonObject", mask({**violation.details, **placed})),
            )
            for violation in result.violations
        ),
        fault=None if result.fault is None else replace(result.fault, message=redactor.mask_text(result.fault.message)),
    )
