"""What a run knows while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import StepStatus

__all__ = ["REPLY_NAMES", "ExecutionContext", "current_run"]

current_run: Final[ContextVar[str | None]] = ContextVar("orchestra_current_run", default=None)
"""The id of the TestRun whose code is executing, for whoever attributes output and log records."""

Explain: TypeAlias = Callable[[OrchestraError, StepTemplates], OrchestraError]

REPLY_NAMES: Final = (
    *("status", "headers", "body", "cookies", "rows", "row", "value", "count"),
    *("message", "messages", "unexplained", "metadata", "trailers"),
)
"""The parts of replies that rules may read without `response` before them."""


@dataclass
class ExecutionContext:
    """The names that templates and rules of one run can read.

    ``suite`` is the SuiteRun's context itself, shared by all runs of the session: what one exports, the next reads.
    What the run itself exports, and what those export on which it depends, is in ``closer`` and goes before.
    """

    run_id: str
    run_key: str
    correlation_id: str
    data: JsonObject
    suite: Mapping[str, JsonValue]
    environment: JsonObject
    fixtures: Mapping[str, object]
    closer: dict[str, JsonValue] = field(default_factory=dict)
    steps: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    ended_at: dict[str, datetime] = field(default_factory=dict)
    last_action: str | None = None
    masked: dict[str, JsonObject] = field(default_factory=dict)
    """The replies of steps, by alias, of which the store kept no secrets; those of a resumed run's finished steps."""
    explain: Explain | None = None
    """Says more of an error that templates raised."""
    attempt: int = 1
    """Which attempt of the run this is."""
    listens: set[str] = field(default_factory=set)
    """The channels whose protocols listen for the run."""

    def names(self) -> dict[str, object]:
        """Give the names in scope of a template."""
        return {
            "data": self.data,
            "step": self.steps,
            "steps": self.steps,
            "suite": {**self.suite, **self.closer} if self.closer else self.suite,
            "environment": self.environment,
            "fixture": self.fixtures,
            "correlationId": self.correlation_id,
            "correlation_id": self.correlation_id,
            "run": {"id": self.run_id, "key": self.run_key},
        }

    def names_with(self, response: JsonObject) -> dict[str, object]:
        """Give the names in scope of a rule about a response: its parts stand beside ``response`` itself."""
        names = self.names()
        names.update({name: response[name] for name in REPLY_NAMES if name in response})
        names["response"] = response
        return names

    def keep(self, alias: str, status: StepStatus, response: JsonObject | None, ended_at: datetime) -> None:
        """Remember how a step ended, unmasked, for the steps after it."""
        known: dict[str, JsonValue] = {"status": status.value}
        if response is not None:
            known["response"] = response
        self.steps[alias] = known
        self.ended_at[alias] = ended_at
