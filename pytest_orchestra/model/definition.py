"""What a user writes beside a process: steps, bindings, decisions, scenarios.

These are the only pydantic models of the model floor: they validate what they are built from, publish their
JSON Schema, and are frozen. Field names are ``snake_case`` here and ``camelCase`` in files; both are read.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from pytest_orchestra.problem import Place

__all__ = [
    "ActionMode",
    "Alias",
    "Backoff",
    "BarrierReaction",
    "Bindings",
    "ChannelType",
    "Criterion",
    "Definition",
    "Dependency",
    "EndpointRef",
    "Rule",
    "RunMode",
    "ScenarioDefinition",
    "ScenarioStatus",
    "StepDefinition",
    "StepKind",
]

Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""A name that templates can use: letters, digits and underscores."""

ScenarioKey = Annotated[str, StringConstraints(pattern=r"^[^\s/:\[\]][^/:\[\]]*$", max_length=120)]
"""A name that node ids can use: no '/', ':', '[' or ']'."""


class Definition(BaseModel):
    """The base of all that users write: frozen, no unknown fields, camelCase in files."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    short_form: ClassVar[str | None] = None
    """What a mere text stands for, where one may be written instead of the fields."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.short_form is None:
            return schema
        return {"anyOf": [{"type": "string", "description": cls.short_form}, schema]}


class StepKind(StrEnum):
    """What a step is for."""

    ACTION = "ACTION"
    ASSERTION = "ASSERTION"
    BARRIER = "BARRIER"


class ChannelType(StrEnum):
    """What a step speaks to the system under test."""

    HTTP_REST = "HTTP_REST"
    KAFKA = "KAFKA"
    GRPC = "GRPC"
    DB = "DB"
    QUEUE = "QUEUE"


class ActionMode(StrEnum):
    """Whether the scenario waits for an action's reply."""

    SYNC = "SYNC"
    FIRE_AND_FORGET = "FIRE_AND_FORGET"


class BarrierReaction(StrEnum):
    """What a barrier does when a step that it tracks failed."""

    ABORT_SUITE = "abortSuite"
    FAIL_SCENARIO = "failScenario"
    CONTINUE = "continue"


class Criterion(StrEnum):
    """A coverage criterion."""

    NODE = "node"
    EDGE = "edge"
    DECISION = "decision"


class ScenarioStatus(StrEnum):
    """The state of a scenario's definition."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DEPRECATED = "DEPRECATED"


class RunMode(StrEnum):
    """How much of a scenario runs."""

    RUN_ALL_STEPS = "RUN_ALL_STEPS"
    STOP_ON_FIRST_FAILURE = "STOP_ON_FIRST_FAILURE"
    SINGLE_STEP = "SINGLE_STEP"
    FROM_STEP = "FROM_STEP"


class EndpointRef(Definition):
    """One operation of a service; in short ``orders.placeOrder`` or ``orders.POST /orders``."""

    short_form: ClassVar[str | None] = "`service.operationId` or `service.METHOD /path`."

    protocol_id: str = "http"
    service_name: str
    endpoint_name: str

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        service, dot, endpoint = value.partition(".")
        if not dot or not service or not endpoint:
            raise ValueError("an endpoint reads 'service.operation'")
        return {"service_name": service, "endpoint_name": endpoint}

    def __str__(self) -> str:
        return f"{self.service_name}.{self.endpoint_name}"


class Rule(Definition):
    """A business rule: an expression that must hold, in short just its text."""

    short_form: ClassVar[str | None] = "The expression."

    rule: str
    """The expression, for example `response.body.total == data.total`."""
    name: str | None = None
    """What the rule means, in words; reports show it."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"rule": value} if isinstance(value, str) else value


class Backoff(Definition):
    """How the pause between two polls grows."""

    factor: float = Field(default=1.0, ge=1.0, le=10.0)
    """What each pause is multiplied by."""
    max_interval_ms: int = Field(default=5_000, gt=0)
    """The longest pause."""


def _flattened(step: dict[str, Any]) -> dict[str, Any]:
    """Lift the fields of the seeds' groups, ``action``, its ``meta`` and ``expectations``, beside the others."""
    flat = {name: value for name, value in step.items() if name not in ("action", "expectations", "meta")}
    action = step.get("action")
    groups = {"action": action, "expectations": step.get("expectations"), "meta": step.get("meta")}
    if isinstance(action, dict) and "meta" in action:
        groups |= {
            "action": {name: value for name, value in action.items() if name != "meta"},
            "action.meta": action["meta"],
        }
    for path, group in groups.items():
        if group is None:
            continue
        if not isinstance(group, dict):
            raise ValueError(f"'{path}' holds fields")
        for name, value in group.items():
            if name in flat:
                raise ValueError(f"'{name}' is given twice, once in '{path}'")
            flat[name] = value
    return flat


class StepDefinition(Definition):
    """One step as a user writes it, flat; the nested `action.meta` and `expectations` are read as well."""

    alias: Alias | None = None
    """How templates call the step's result; made from the element's name if absent."""
    name: str | None = None
    """The step in words; the element's name if absent."""
    kind: StepKind = StepKind.ACTION
    """`ACTION`, `ASSERTION` or `BARRIER`; inferred from `until` or `sql` (assertion) and `trackedSteps` (barrier)."""
    channel_type: ChannelType = ChannelType.HTTP_REST
    """What the step speaks; `DB` is inferred from `sql`."""
    endpoint_ref: EndpointRef | None = None
    """The operation to call: `service.operationId` or `service.METHOD /path`."""
    mode: ActionMode = ActionMode.SYNC
    """`SYNC` waits for the reply, `FIRE_AND_FORGET` leaves that to a later barrier."""
    input_template: dict[str, JsonValue] = Field(default_factory=dict)
    """What is sent; for HTTP: `path`, `query`, `headers`, `cookies`, `body`, `mediaType`."""
    headers: dict[str, JsonValue] = Field(default_factory=dict)
    """More HTTP headers."""
    data_source: str | None = None
    """The alias of the database."""
    sql: str | None = None
    """A `SELECT` with named parameters `:name`, which are bound, never pasted."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """Values or templates of the SQL parameters; `correlationId` is there already."""
    expected_status_code: int | str | list[int | str] | None = None
    """A status code, a range such as `2XX`, or a list of them; `2XX` if absent."""
    business_rules: list[Rule] = Field(default_factory=list)
    """Expressions over the response that must hold."""
    schema_refs: list[str] = Field(default_factory=list)
    """Schemas that the body must satisfy: `service#/components/schemas/Order`."""
    check_contract: bool = True
    """Whether the response is held against the specification."""
    until: str | None = None
    """Poll until this expression holds."""
    fail_when: str | None = None
    """Stop polling and fail as soon as this expression holds."""
    timeout_ms: int | None = Field(default=None, gt=0)
    """How long one call may take, or how long to poll."""
    poll_interval_ms: int | None = Field(default=None, gt=0)
    """The pause between two polls."""
    backoff: Backoff | None = None
    """How that pause grows."""
    caused_by: Alias | None = None
    """The action whose effect is awaited; the action before it if absent."""
    export_as: dict[Alias, str] = Field(default_factory=dict)
    """What other scenarios may read as `{{suite.*}}`: name to expression."""
    tracked_steps: list[Alias] = Field(default_factory=list)
    """What a barrier waits for; all steps begun and not ended if empty."""
    on_failure: BarrierReaction = BarrierReaction.FAIL_SCENARIO
    """What a barrier does when a tracked step failed."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _flatten_and_infer(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        flat = _flattened(value)
        if "sql" in flat:
            flat.setdefault("kind", StepKind.ASSERTION)
            if "channelType" not in flat:
                flat.setdefault("channel_type", ChannelType.DB)
        elif "until" in flat:
            flat.setdefault("kind", StepKind.ASSERTION)
        elif "trackedSteps" in flat or "tracked_steps" in flat:
            flat.setdefault("kind", StepKind.BARRIER)
        return flat

    @field_validator("expected_status_code")
    @classmethod
    def _known_status(cls, value: int | str | list[int | str] | None) -> Any:
        for code in value if isinstance(value, list) else [value]:
            if code is not None and not re.fullmatch(r"[1-5](\d\d|XX)", str(code)):
                raise ValueError(f"'{code}' is neither a status code nor a range such as '2XX'")
        return value

    @model_validator(mode="after")
    def _complete(self) -> StepDefinition:
        if self.kind is StepKind.BARRIER:
            return self
        if self.channel_type is ChannelType.HTTP_REST and self.endpoint_ref is None:
            raise ValueError("an HTTP step needs 'endpointRef'")
        if self.channel_type is ChannelType.DB and (not self.sql or not self.data_source):
            raise ValueError("a database step needs 'dataSource' and 'sql'")
        return self


class Dependency(Definition):
    """A scenario that must have ended before this one starts; in short just its key."""

    short_form: ClassVar[str | None] = "The scenario's key."

    scenario: str
    """Its key, or `key[data set]`, or `file.bpmn::key` for one of another process."""
    outcome: Literal["PASSED", "FAILED", "ANY"] = "PASSED"
    """The outcome that is required."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"scenario": value} if isinstance(value, str) else value


class ScenarioDefinition(Definition):
    """A scenario that the user names: the decisions that make it, and what else is to be known of it."""

    key: ScenarioKey
    """The scenario's name in node ids."""
    name: str | None = None
    """The scenario in words."""
    decisions: dict[str, str | list[str]] = Field(default_factory=dict)
    """Gateway (id or name) to branch (flow id, branch name or target), one for each visit if a list; an activity
    with boundary events to the event's id or name."""
    data_sets: list[str] = Field(default_factory=list)
    """Names of data sets, or `tag:NAME`; all that fit the path if absent."""
    tags: list[str] = Field(default_factory=list)
    depends_on: list[Dependency] = Field(default_factory=list)
    status: ScenarioStatus = ScenarioStatus.PUBLISHED
    """Only `PUBLISHED` scenarios run; `DRAFT` and `DEPRECATED` ones are skipped with that reason."""
    active: bool = True
    """Whether it is collected."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)


class Bindings(Definition):
    """The sidecar of a process, `order.orchestra.yaml` beside `order.bpmn`."""

    process: str | None = None
    """The process of the file that is meant (id or name), where there are several."""
    specs: dict[str, str] = Field(default_factory=dict)
    """Service name to its specification, a path relative to this file."""
    coverage: list[Criterion] = Field(default_factory=lambda: [Criterion.EDGE])
    """What the scenarios must cover."""
    max_loop_iterations: int = Field(default=1, ge=0, le=100)
    """How often a loop may be repeated."""
    loops: dict[str, int] = Field(default_factory=dict)
    """The same for single nodes: how often they may be visited again."""
    bindings: dict[str, list[StepDefinition]] = Field(default_factory=dict)
    """Element (id or name) to its steps; an empty list says that nothing is to be done there."""
    decisions: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Gateway (id or name) to branch (flow id, name or target) to the expression over `data` that leads there."""
    data_sets: list[str] = Field(default_factory=list)
    """Data files, as globs relative to this file; `data/*` beside it if absent."""
    scenarios: list[ScenarioDefinition] = Field(default_factory=list)
    """Scenarios with names of their own; the rest of the coverage is generated around them."""
    tags: list[str] = Field(default_factory=list)
    """Tags of every scenario; each is a pytest marker."""
    fixtures: list[str] = Field(default_factory=list)
    """pytest fixtures that the scenarios use; templates see their values as `fixture.NAME`."""
    correlation_header: str = "X-Correlation-ID"
    """The HTTP header that carries the correlation id."""
    mode: RunMode = RunMode.STOP_ON_FIRST_FAILURE
    """`STOP_ON_FIRST_FAILURE` or `RUN_ALL_STEPS`."""
    timeout_ms: int = Field(default=10_000, gt=0)
    """The default for steps."""
    poll_interval_ms: int = Field(default=100, gt=0)
    """The default for steps."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)
    places: SkipJsonSchema[dict[tuple[str, ...], Place]] = Field(default_factory=dict, exclude=True, repr=False)

    def place_of(self, *path: str) -> Place | None:
        """Give where a key is written, ``place_of("decisions", gateway, branch)``, else the place of the sidecar."""
        return self.places.get(path, self.place)

    @field_validator("mode")
    @classmethod
    def _mode_of_suites(cls, value: RunMode) -> RunMode:
        if value not in (RunMode.RUN_ALL_STEPS, RunMode.STOP_ON_FIRST_FAILURE):
            raise ValueError(f"'{value}' is a mode of a single run; a suite has RUN_ALL_STEPS or STOP_ON_FIRST_FAILURE")
        return value

    @field_validator("bindings", mode="before")
    @classmethod
    def _one_step_or_many(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            element: [steps] if isinstance(steps, dict) else ([] if steps is None else steps)
            for element, steps in value.items()
        }
