"""Stepping: somebody is asked before each step of a run, may look at what it knows, and may change its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, cast

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.redaction import mask_headers
from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.limits import TimeLimit
from pytest_orchestra.engine.results import blank_result
from pytest_orchestra.engine.resumption import SKIPPED_BY_HAND, is_plain
from pytest_orchestra.engine.steps import StepPerformer
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.definition import ActionMode, StepKind
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import StepResult, StepStatus
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["Decision", "Pause", "Stepper", "Stepping", "with_value"]


class Decision(StrEnum):
    """What becomes of a step: it is carried out, or its failure stands; it is skipped; it is carried out again."""

    GO_ON = "GO_ON"
    SKIP = "SKIP"
    RETRY = "RETRY"


@dataclass
class Pause:
    """A run that stands still at a step: what there is to see, and what may be changed.

    ``results`` has every step of the run in order, those that have not ended as ``PENDING``; ``changed`` is the data
    that was changed before the step, by dotted name.
    """

    step: ScenarioStep
    context: ExecutionContext
    performer: StepPerformer
    results: tuple[StepResult, ...]
    changed: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.context.run_id

    @property
    def run_key(self) -> str:
        """The key of the run."""
        return self.context.run_key

    def preview(self) -> JsonObject:
        """Give what the step would send, rendered and masked; empty for a barrier. Raises ``TemplateError``."""
        if self.step.kind is StepKind.BARRIER:
            return {}
        call = self.performer.call(self.step, self.context)
        definition = self.step.definition
        shown: dict[str, JsonValue] = {
            "operation": None if definition.endpoint_ref is None else str(definition.endpoint_ref),
            "dataSource": definition.data_source,
            **call.address,
            "sql": definition.sql,
            "parameters": call.parameters if definition.sql else None,
            **call.message,
            **_masked_headers({"headers": call.headers, **call.input}),
        }
        return cast("JsonObject", self.performer.mask({name: each for name, each in shown.items() if each}))

    def evaluate(self, expression: str) -> JsonValue:
        """Give the value of an expression over what the templates of the step read, masked.

        Raises ``TemplateSyntaxError``, ``UndefinedVariableError``, ``EvaluationError``.
        """
        names = self.context.names()
        names["step"] = names["steps"] = {
            alias: {name: _masked_headers(each) if isinstance(each, Mapping) else each for name, each in known.items()}
            for alias, known in self.context.steps.items()
        }
        return self.performer.mask(_plain(compile_expression(expression).evaluate(names)))

    def mask(self, text: str) -> str:
        """Give a text without the environment's secrets."""
        return str(self.performer.mask(text))

    def change(self, name: str, value: JsonValue) -> None:
        """Give the run other data: ``customer.id`` is a dotted name of it. Raises ``StepError`` for a secret."""
        if not is_plain(value) or self.performer.mask({name: value}) != {name: value}:
            raise StepError(
                f"'data.{name}' is not changed: the value holds a secret of the environment, and data is shown",
                hint="let a template read it from where it belongs",
            )
        self.context.data = with_value(self.context.data, name, value)
        self.changed[name] = value


def _masked_headers(message: JsonObject) -> JsonObject:
    """Give a request or a reply without the credentials in its headers."""
    headers = message.get("headers")
    return {**message, "headers": mask_headers(headers)} if isinstance(headers, Mapping) else message


def _plain(value: object) -> JsonValue:
    """Give a value as JSON; what has no JSON, of a fixture say, as Python shows it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)


class Stepper(Protocol):
    """Decides, step by step, how a run goes on. The run, and its time, stand still meanwhile; its lease is kept.

    Whoever wants the session to end interrupts it, as Ctrl-C does, and waits to be cancelled.
    """

    async def before(self, pause: Pause) -> Decision:
        """Say whether a step is carried out or skipped, before it begins; also one that cleans up."""

    async def after(self, pause: Pause, failed: StepResult) -> Decision:
        """Say whether a step that failed is carried out again, ``RETRY``, or whether the run goes on with that."""


@dataclass
class Stepping:
    """The pauses of one run, in which time stands still; ``steps`` are all of it, results are by alias."""

    stepper: Stepper
    context: ExecutionContext
    performer: StepPerformer
    limit: TimeLimit
    steps: tuple[ScenarioStep, ...]
    _changed: dict[str, dict[str, JsonValue]] = field(default_factory=dict)

    async def skipped(self, step: ScenarioStep, results: Mapping[str, StepResult]) -> StepResult | None:
        """Give the result of a step that is skipped by hand; None for one that is to be carried out."""
        with self.limit.standing_still():
            decision = await self.stepper.before(self._pause(step, results))
        if decision is not Decision.SKIP:
            return None
        return self.marked(blank_result(step, StepStatus.SKIPPED, reason=SKIPPED_BY_HAND))

    async def is_retried(self, step: ScenarioStep, result: StepResult, results: Mapping[str, StepResult]) -> bool:
        """Tell whether a step that failed is carried out again; of one that nobody waits for, nobody is asked."""
        waits = step.definition.mode is not ActionMode.FIRE_AND_FORGET or step.cleans_up is not None
        if result.status is not StepStatus.FAILED or not waits:
            return False
        with self.limit.standing_still():
            return await self.stepper.after(self._pause(step, results), result) is Decision.RETRY

    def marked(self, result: StepResult) -> StepResult:
        """Give a result with the data that was changed before it, and without what somebody's thinking makes longer."""
        return replace(result, changed=dict(self._changed.get(result.alias, {})), settling_time_ms=None)

    def _pause(self, step: ScenarioStep, results: Mapping[str, StepResult]) -> Pause:
        standing = tuple(results.get(each.alias) or blank_result(each, StepStatus.PENDING) for each in self.steps)
        return Pause(step, self.context, self.performer, standing, self._changed.setdefault(step.alias, {}))


def with_value(data: JsonObject, name: str, value: JsonValue) -> JsonObject:
    """Give data with another value under a dotted name; objects on the way are made where there are none."""
    first, _, rest = name.partition(".")
    if not rest:
        return {**data, first: value}
    inner = data.get(first)
    return {**data, first: with_value(inner if isinstance(inner, Mapping) else {}, rest, value)}
