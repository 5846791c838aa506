"""What a step is: what is called or looked at, with what, and what has to hold then."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from pytest_orchestra.model.definition_base import Alias, Definition, RefusedError
from pytest_orchestra.model.vocabulary import (
    GRPC_STATUSES,
    ActionMode,
    BarrierReaction,
    ChannelType,
    OnResume,
    RetryCause,
    StepKind,
    ValueMatcherMode,
)
from pytest_orchestra.problem import Place

__all__ = ["Backoff", "ChannelName", "CleanUp", "EndpointRef", "Retry", "Rule", "StepDefinition", "list_of_steps"]

ChannelName = Annotated[
    ChannelType | Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")], Field(union_mode="left_to_right")
]
"""One of the channels in the box, or that of a protocol of your own, in capitals."""


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
            raise RefusedError("a rule has either 'rule' or 'use'", "write for example 'rule: response.body.total > 0'")
        if self.arguments and not self.use:
            raise RefusedError("'with' belongs to 'use'", "name a custom assertion with 'use', or leave 'with' out")
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
            raise RefusedError(f"'{path}' holds fields", f"write '{path}:' and the fields below it")
        for name, value in group.items():
            if name in flat:
                raise RefusedError(f"'{name}' is given twice, once in '{path}'", "leave one of them out")
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


def list_of_steps(value: Any) -> Any:
    """Let one step stand for a list of one."""
    return [value] if isinstance(value, dict) else value


def _clean_up_steps(steps: list[StepDefinition]) -> list[StepDefinition]:
    for step in steps:
        if step.clean_up:
            raise RefusedError(
                "a clean-up step has no 'finally' of its own", "write its steps beside it, in the same list"
            )
        if step.outcome is not None:
            raise RefusedError(
                "a clean-up step has no 'outcome': it runs if the step that it belongs to has begun",
                "leave 'outcome' out",
            )
        if step.kind is StepKind.BARRIER or step.mode is ActionMode.FIRE_AND_FORGET:
            raise RefusedError(
                "a clean-up step is an action that is waited for, or an assertion",
                "leave out its 'kind' and its 'mode'",
            )
    return steps


class StepDefinition(Definition):
    """One step as a user writes it, flat; the nested `action.meta` and `expectations` are read as well."""

    alias: Alias | None = None
    """How templates call the step's result; made from the element's name if absent."""
    name: str | None = None
    """The step in words; the element's name if absent."""
    use: Alias | None = None
    """The custom step of `customSteps` whose steps stand here; nothing but `alias`, `with`, `outcome` and `finally`
    stands beside it."""
    arguments: dict[Alias, JsonValue] = Field(default_factory=dict, alias="with")
    """Values or templates for the inputs of that custom step."""
    outcome: str | list[str] | None = None
    """With which end of its activity the step is carried out: `normal`, an event at the activity's border (id or name),
    a list of these, or `any`. If absent and an event interrupts: actions are, assertions and barriers are not; at user,
    manual and receive tasks none is."""
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
        if self.outcome is not None and not self.outcome:
            raise RefusedError(
                "'outcome' names no end of an activity: 'normal', a boundary event, or 'any'",
                "write for example 'outcome: normal', or leave it out",
            )
        if self.kind is StepKind.BARRIER:
            if self.retry is not None:
                raise RefusedError(
                    "a barrier has no 'retry'; the steps that it tracks may have one", "move 'retry' to those steps"
                )
            return self
        if self.use is not None:
            other = self.model_fields_set - {"use", "alias", "arguments", "outcome", "clean_up", "place"}
            if other:
                fields = type(self).model_fields
                named = ", ".join(f"'{fields[name].alias}'" for name in sorted(other))
                raise RefusedError(
                    f"{named} cannot stand beside 'use': the custom step has that",
                    "leave it out, or write the step in full, without 'use'",
                )
            return self
        if self.arguments:
            raise RefusedError("'with' belongs to 'use'", "name a custom step with 'use', or leave 'with' out")
        if self.channel_type is ChannelType.HTTP_REST and self.endpoint_ref is None:
            raise RefusedError(
                "an HTTP step needs 'endpointRef'",
                "write for example 'endpointRef: orders.placeOrder'",
            )
        if self.channel_type is ChannelType.DB and (not self.sql or not self.data_source):
            raise RefusedError(
                "a database step needs 'dataSource' and 'sql'",
                "write for example 'dataSource: orders' and 'sql: SELECT status FROM orders WHERE id = :id'",
            )
        return self


CleanUp = Annotated[list[StepDefinition], BeforeValidator(list_of_steps), AfterValidator(_clean_up_steps)]
StepDefinition.model_rebuild()
