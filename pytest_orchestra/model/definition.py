"""What a user writes beside a process: steps, bindings, decisions, scenarios.

These are the only pydantic models of the model floor: they validate what they are built from, publish their
JSON Schema, and are frozen. Field names are ``snake_case`` here and ``camelCase`` in files; both are read.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from pytest_orchestra.model.definition_base import Alias, Definition
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.model.vocabulary import (
    GRPC_STATUSES,
    ActionMode,
    BarrierReaction,
    CallMode,
    ChannelType,
    Criterion,
    OnResume,
    RetryCause,
    RunMode,
    ScenarioStatus,
    StepKind,
    ValueMatcherMode,
)
from pytest_orchestra.problem import Place

__all__ = [
    "ActionMode",
    "Alias",
    "Backoff",
    "BarrierReaction",
    "Bindings",
    "CallMode",
    "ChannelName",
    "ChannelType",
    "Criterion",
    "CustomAssertion",
    "CustomStep",
    "Definition",
    "Dependency",
    "EndpointRef",
    "InputDefinition",
    "OnResume",
    "Retry",
    "RetryCause",
    "Rule",
    "RunMode",
    "ScenarioDefinition",
    "ScenarioStatus",
    "StepDefinition",
    "StepKind",
    "StepLibrary",
    "ValueMatcherMode",
]

ChannelName = Annotated[
    ChannelType | Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")], Field(union_mode="left_to_right")
]
"""One of the channels in the box, or that of a protocol of your own, in capitals."""

ScenarioKey = Annotated[str, StringConstraints(pattern=r"^[^\s/:\[\]][^/:\[\]]*$", max_length=120)]
"""A name that node ids can use: no '/', ':', '[' or ']'."""


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

    rule: str = ""
    """The expression, for example `response.body.total == data.total`."""
    name: str | None = None
    """What the rule means, in words; reports show it."""
    use: Alias | None = None
    """The custom assertion of `customAssertions` whose rules these are, instead of `rule`."""
    arguments: dict[Alias, JsonValue] = Field(default_factory=dict, alias="with")
    """Values or templates for the inputs of that custom assertion."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"rule": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> Rule:
        if bool(self.rule) is bool(self.use):
            raise ValueError("a rule has either 'rule' or 'use'")
        if self.arguments and not self.use:
            raise ValueError("'with' belongs to 'use'")
        return self


class Backoff(Definition):
    """How the pause between two polls grows."""

    factor: float = Field(default=1.0, ge=1.0, le=10.0)
    """What each pause is multiplied by."""
    max_interval_ms: int = Field(default=5_000, gt=0)
    """The longest pause."""


class Retry(Definition):
    """How often a step is tried, and after what."""

    attempts: int = Field(default=3, ge=1, le=20)
    """How often at most, the first time included."""
    delay_ms: int = Field(default=500, ge=0)
    """The pause before the next attempt."""
    backoff: Backoff | None = None
    """How that pause grows."""
    on: list[RetryCause] = Field(default_factory=lambda: [RetryCause.TIMEOUT, RetryCause.HTTP_ERROR], min_length=1)
    """The types of violations after which it is tried again: one of them is enough."""


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


_TELLING_FIELDS: Final = {
    "sql": ChannelType.DB,
    "topic": ChannelType.KAFKA,
    "queueName": ChannelType.QUEUE,
    "queue_name": ChannelType.QUEUE,
    "exchange": ChannelType.QUEUE,
    "webhook": ChannelType.WEBHOOK,
}
"""The fields that only steps of one channel have."""


def _list_of_steps(value: Any) -> Any:
    """Let one step stand for a list of one."""
    return [value] if isinstance(value, dict) else value


def _clean_up_steps(steps: list[StepDefinition]) -> list[StepDefinition]:
    for step in steps:
        if step.clean_up:
            raise ValueError("a clean-up step has no 'finally' of its own")
        if step.kind is StepKind.BARRIER or step.mode is ActionMode.FIRE_AND_FORGET:
            raise ValueError("a clean-up step is an action that is waited for, or an assertion")
    return steps


class StepDefinition(Definition):
    """One step as a user writes it, flat; the nested `action.meta` and `expectations` are read as well."""

    alias: Alias | None = None
    """How templates call the step's result; made from the element's name if absent."""
    name: str | None = None
    """The step in words; the element's name if absent."""
    use: Alias | None = None
    """The custom step of `customSteps` whose steps stand here; nothing but `alias`, `with` and `finally` stands beside
    it."""
    arguments: dict[Alias, JsonValue] = Field(default_factory=dict, alias="with")
    """Values or templates for the inputs of that custom step."""
    kind: StepKind = StepKind.ACTION
    """`ACTION`, `ASSERTION` or `BARRIER`; inferred from `until`, `sql` or `webhook` (assertion) and `trackedSteps`
    (barrier)."""
    channel_type: ChannelName = ChannelType.HTTP_REST
    """What the step speaks: `HTTP_REST`, `DB`, `KAFKA`, `QUEUE`, `GRPC`, `WEBHOOK`, or the channel of a protocol of
    your own. `DB` is inferred from `sql`, `KAFKA` from `topic`, `QUEUE` from `queueName` and `exchange`, `WEBHOOK` from
    `webhook`, `GRPC` from a `.proto` file or descriptor set among `specs`."""
    endpoint_ref: EndpointRef | None = None
    """The operation to call: `service.operationId`, `service.METHOD /path`, or for gRPC `service.Service.Method`."""
    mode: ActionMode = ActionMode.SYNC
    """`SYNC` waits for the reply, `FIRE_AND_FORGET` leaves that to a later barrier."""
    input_template: dict[str, JsonValue] = Field(default_factory=dict)
    """What is sent; for HTTP: `path`, `query`, `headers`, `cookies`, `body`, `mediaType`."""
    headers: dict[str, JsonValue] = Field(default_factory=dict)
    """More headers: of the HTTP request, of the message that is published, or that a message which is awaited must
    have; for gRPC, its metadata."""
    breaks_contract: bool = False
    """Whether the request breaks the specification on purpose; else such a request is an error."""
    follow_redirects: bool = False
    """Whether HTTP redirects are followed; else they are replies like any other."""
    cluster_alias: str | None = None
    """The alias of the Kafka cluster; may be absent where the environment has only one."""
    topic: str | None = None
    """The Kafka topic, which may be a template over `data`, `environment`, `suite`, `fixture` and `correlationId`."""
    broker_alias: str | None = None
    """The alias of the queue broker; may be absent where the environment has only one."""
    queue_name: str | None = None
    """The queue to publish to or, in an assertion, to look at; may be a template like `topic`."""
    exchange: str | None = None
    """The exchange to publish to or, in an assertion, to listen at; may be a template like `topic`."""
    routing_key: str | None = None
    """The routing key of what is published, or the pattern of what is listened to (`orders.#`); may be a template."""
    webhook: str | None = None
    """The path at the session's own listener, `environment.callbackUrl`, at which the system under test calls back; may
    be a template like `topic`."""
    key_expression: str | None = None
    """The key of a Kafka message: what is sent, or what a message that is awaited must have."""
    value_template: JsonValue = None
    """The value of a message: what is sent, or what that of an awaited message must match."""
    value_matcher_mode: ValueMatcherMode = ValueMatcherMode.SUBSET
    """How an awaited message's value is compared with `valueTemplate`: `SUBSET`, `EXACT` or `REGEX`."""
    value_schema: str | None = None
    """The subject of the schema registry by whose latest schema a Kafka message is written, `orders-value`, or one
    message of it, `orders-value#shop.Order`; `none` writes JSON or text. `TOPIC-value` if absent, if there is one."""
    correlation_id_expr: str | None = None
    """Where a message has the correlation id, over `message`: `message.value.meta.requestId`. Its header or property is
    looked at if absent; `none` lets any message in."""
    data_source: str | None = None
    """The alias of the database."""
    sql: str | None = None
    """A `SELECT` with named parameters `:name`, which are bound, never pasted."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """Values or templates of the SQL parameters; `correlationId` is there already."""
    expected_status_code: int | str | list[int | str] | None = None
    """A status code, a range such as `2XX`, or a list of them; `2XX` if absent. For gRPC the name of a status,
    `NOT_FOUND`; `OK` if absent."""
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
    stable_for_ms: int | None = Field(default=None, gt=0)
    """How long what is awaited must go on to hold, before it counts: `until: count == 0` with `stableForMs: 2000` is
    for what must not happen. It comes on top of `timeoutMs`."""
    caused_by: Alias | None = None
    """The action whose effect is awaited; the action before it if absent."""
    export_as: dict[Alias, str] = Field(default_factory=dict)
    """What other scenarios may read as `{{suite.*}}`: name to expression."""
    tracked_steps: list[Alias] = Field(default_factory=list)
    """What a barrier waits for; all steps begun and not ended if empty."""
    on_failure: BarrierReaction = BarrierReaction.FAIL_SCENARIO
    """What a barrier does when a tracked step failed."""
    on_resume: OnResume | None = None
    """What a resumed run does about this action if it was under way when the run was cut off: `retry` sends it again,
    `fail` ends the run with an error. If absent, it is sent again where its protocol can do that safely."""
    retry: Retry | None = None
    """Whether the step is tried again when it failed, which makes it `FLAKY` if it passes then. An action is, only if
    `onResume` or its protocol lets it be repeated."""
    clean_up: CleanUp = Field(default_factory=list, alias="finally")
    """Steps that clean up behind this one, in the end, however that is, if it has begun."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _flatten_and_infer(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        flat = _flattened(value)
        if "channelType" not in flat:
            channel = next((channel for name, channel in _TELLING_FIELDS.items() if name in flat), None)
            if channel is not None:
                flat.setdefault("channel_type", channel)
        if "sql" in flat or "until" in flat or "webhook" in flat:
            flat.setdefault("kind", StepKind.ASSERTION)
        elif "trackedSteps" in flat or "tracked_steps" in flat:
            flat.setdefault("kind", StepKind.BARRIER)
        return flat

    @field_validator("expected_status_code")
    @classmethod
    def _known_status(cls, value: int | str | list[int | str] | None) -> Any:
        for code in value if isinstance(value, list) else [value]:
            if code is not None and not re.fullmatch(r"[1-5](\d\d|XX)", str(code)) and code not in GRPC_STATUSES:
                raise ValueError(f"'{code}' is neither a status code nor a range such as '2XX'")
        return value

    @model_validator(mode="after")
    def _complete(self) -> StepDefinition:
        if self.kind is StepKind.BARRIER:
            if self.retry is not None:
                raise ValueError("a barrier has no 'retry'; the steps that it tracks may have one")
            return self
        if self.use is not None:
            other = self.model_fields_set - {"use", "alias", "arguments", "clean_up", "place"}
            if other:
                fields = type(self).model_fields
                named = ", ".join(f"'{fields[name].alias}'" for name in sorted(other))
                raise ValueError(f"{named} cannot stand beside 'use': the custom step has that")
            return self
        if self.arguments:
            raise ValueError("'with' belongs to 'use'")
        if self.channel_type is ChannelType.HTTP_REST and self.endpoint_ref is None:
            raise ValueError("an HTTP step needs 'endpointRef'")
        if self.channel_type is ChannelType.DB and (not self.sql or not self.data_source):
            raise ValueError("a database step needs 'dataSource' and 'sql'")
        return self


CleanUp = Annotated[list[StepDefinition], BeforeValidator(_list_of_steps), AfterValidator(_clean_up_steps)]
StepDefinition.model_rebuild()


class InputDefinition(Definition):
    """An input of a custom step or assertion."""

    description: str | None = None
    """What it is for."""
    required: bool = True
    """Whether it must be given; what is neither given nor has a `default` is null."""
    default: JsonValue = None
    """Its value, or a template of it, where none is given."""

    @model_validator(mode="before")
    @classmethod
    def _optional_by_default(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {"required": False, **value} if isinstance(value, dict) and "default" in value else value


class CustomStep(Definition):
    """A step of your own, made of others: `{{input.NAME}}` in them is what it is used with."""

    description: str | None = None
    inputs: dict[Alias, InputDefinition] = Field(default_factory=dict)
    """What it is used `with`, by name; an empty entry is a required input."""
    steps: Annotated[list[StepDefinition], BeforeValidator(_list_of_steps)] = Field(min_length=1)
    """What is done. Their aliases are its own: outside they are `ALIAS_inner`."""
    outputs: dict[Alias, str] = Field(default_factory=dict)
    """What later steps read as `step.ALIAS.outputs.NAME`: name to expression over its own steps and inputs."""


class CustomAssertion(Definition):
    """Rules under a name, which `businessRules` may `use`."""

    description: str | None = None
    inputs: dict[Alias, InputDefinition] = Field(default_factory=dict)
    rules: list[Rule] = Field(min_length=1)


class StepLibrary(Definition):
    """A file of custom steps and assertions, which sidecars include."""

    include: list[str] = Field(default_factory=list)
    """More such files, relative to this one."""
    custom_steps: dict[Alias, CustomStep] = Field(default_factory=dict)
    custom_assertions: dict[Alias, CustomAssertion] = Field(default_factory=dict)
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)


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
    with boundary events to the event's id or name, one that repeats to `0`, `1` or `N`; `start` to a start event, and
    `events` (`SUB.events` in a sub-process) to an event sub-process."""
    data_sets: list[str] = Field(default_factory=list)
    """Names of data sets, or `tag:NAME`; all that fit the path if absent."""
    tags: list[str] = Field(default_factory=list)
    depends_on: list[Dependency] = Field(default_factory=list)
    locks: list[str] = Field(default_factory=list)
    """What it must have for itself, under names of your own, which may be templates over `data` and `environment`:
    `customer:{{data.customer}}`."""
    clean_up: CleanUp = Field(default_factory=list, alias="finally")
    """Steps that clean up behind the scenario, in the end, however that is, if it has begun."""
    status: ScenarioStatus = ScenarioStatus.PUBLISHED
    """Only `PUBLISHED` scenarios run; `DRAFT` and `DEPRECATED` ones are skipped with that reason."""
    active: bool = True
    """Whether it is collected."""
    retries: int | None = Field(default=None, ge=0, le=20)
    """How often the scenario is run again when it failed; what the sidecar says if absent."""
    scenario_timeout_ms: int | None = Field(default=None, gt=0)
    """How long the scenario may take with all its retries; what the sidecar says if absent."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)


class Bindings(Definition):
    """The sidecar of a process, `order.orchestra.yaml` beside `order.bpmn`."""

    process: str | None = None
    """The process of the file that is meant (id or name), where there are several."""
    processes: list[str] = Field(default_factory=list)
    """More process files, as globs relative to this file, in which call activities find the processes they call."""
    calls: dict[str, CallMode] = Field(default_factory=dict)
    """Call activity (id or name, `*` for all others) to `inline`, the called process takes part in the scenarios, or
    `opaque`, one step; `opaque` if absent."""
    specs: dict[str, str] = Field(default_factory=dict)
    """Service name to its specification, a path relative to this file."""
    coverage: list[Criterion] = Field(default_factory=lambda: [Criterion.EDGE])
    """What the scenarios must cover."""
    thresholds: dict[Criterion, Annotated[float, Field(ge=0, le=100)]] = Field(default_factory=dict)
    """Criterion to the percentage of it that must be covered: below it, `orchestra plan` and the session fail. Only
    criteria among `coverage`."""
    max_loop_iterations: int = Field(default=1, ge=0, le=100)
    """How often a loop may be repeated."""
    loops: dict[str, int] = Field(default_factory=dict)
    """The same for single nodes: how often they may be visited again."""
    bindings: dict[str, list[StepDefinition]] = Field(default_factory=dict)
    """Element (id or name) to its steps; an empty list says that nothing is to be done there."""
    include: list[str] = Field(default_factory=list)
    """Files of custom steps and assertions, relative to this file."""
    custom_steps: dict[Alias, CustomStep] = Field(default_factory=dict)
    """Steps of your own by name, each made of others; a step says `use: NAME` and `with: {input: value}`."""
    custom_assertions: dict[Alias, CustomAssertion] = Field(default_factory=dict)
    """Rules of your own by name; a rule says `use: NAME` and `with: {input: value}`."""
    simulations: dict[str, Simulation] = Field(default_factory=dict)
    """Service, or other participant, to how it behaves where it is simulated."""
    infer_bindings: bool = True
    """Whether elements that are not bound here get a step where the model itself names their operation: by
    `operationRef`, a vendor's connector, or an `operationId` as name."""
    decisions: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Gateway (id or name) to branch (flow id, name or target) to the expression over `data` that leads there; `visit`
    is the number of the visit, from 1."""
    shared_resources: dict[str, list[str]] = Field(default_factory=dict)
    """What concurrent elements (ids or names) share, by a name of your own; steps of the same endpoint or table share
    it without being told."""
    races: bool | Literal["at-once"] = True
    """Whether concurrent elements that share something, of which one changes it, are also run in the other order; with
    `at-once` their actions also meet: each is sent without waiting for the others, and a barrier waits for all."""
    witnesses: bool = True
    """Whether a scenario that no data set fits gets one that is made for it."""
    boundary_values: bool = False
    """Whether scenarios also run with data at, just below and just above the numbers that their conditions compare."""
    data_sets: list[str] = Field(default_factory=list)
    """Data files, as globs relative to this file; `data/*` beside it if absent."""
    scenarios: list[ScenarioDefinition] = Field(default_factory=list)
    """Scenarios with names of their own; the rest of the coverage is generated around them."""
    tags: list[str] = Field(default_factory=list)
    """Tags of every scenario; each is a pytest marker."""
    locks: list[str] = Field(default_factory=list)
    """What every scenario must have for itself; see ScenarioDefinition."""
    clean_up: CleanUp = Field(default_factory=list, alias="finally")
    """Steps that clean up behind every scenario, after those of the scenario and of its steps."""
    fixtures: list[str] = Field(default_factory=list)
    """pytest fixtures that the scenarios use; templates see their values as `fixture.NAME`."""
    correlation_header: str = "X-Correlation-ID"
    """The HTTP header that carries the correlation id."""
    mode: RunMode = RunMode.STOP_ON_FIRST_FAILURE
    """`STOP_ON_FIRST_FAILURE` or `RUN_ALL_STEPS`."""
    on_resume: OnResume | None = None
    """The default for steps."""
    retry: Retry | None = None
    """The default for actions. An assertion waits anyway; it is tried again only if it has a `retry` of its own."""
    retries: int | None = Field(default=None, ge=0, le=20)
    """How often each scenario is run again when it failed; `--orchestra-retries` if absent."""
    scenario_timeout_ms: int | None = Field(default=None, gt=0)
    """How long each scenario may take with all its retries; any time if absent."""
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

    @field_validator("thresholds")
    @classmethod
    def _thresholds_of_coverage(cls, value: dict[Criterion, float], info: ValidationInfo) -> dict[Criterion, float]:
        covered = info.data.get("coverage", value)
        for criterion in value:
            if criterion not in covered:
                raise ValueError(f"'{criterion}' is not among 'coverage', which is {', '.join(covered)}")
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
