"""What a user writes of participants that are simulated: how they answer, what they publish, how often they fail."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, StringConstraints, field_validator, model_validator

from pytest_orchestra.model.definition_base import Alias, Definition, RefusedError
from pytest_orchestra.model.vocabulary import GRPC_STATUSES

__all__ = [
    "MessageRule",
    "ReplyRule",
    "SimulatedCall",
    "SimulatedMessage",
    "Simulation",
]

_Probability = Annotated[float, Field(ge=0, le=1)]


def _one_or_many(value: Any) -> Any:
    """Let one rule stand for a list of one."""
    return [value] if isinstance(value, dict) else value


class SimulatedMessage(Definition):
    """A message that a simulated participant publishes, at a `topic`, an `exchange` or a queue."""

    cluster_alias: str | None = None
    """The alias of the Kafka cluster; may be absent where the environment has only one."""
    topic: str | None = None
    """The Kafka topic; may be a template, like everything here."""
    broker_alias: str | None = None
    """The alias of the queue broker; may be absent where the environment has only one."""
    queue_name: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    key: str | None = None
    """The key of a Kafka message, a template."""
    value: JsonValue = None
    """The value, with templates over `request` or `message`, `state`, `correlationId` and `count`."""
    headers: dict[str, str] = Field(default_factory=dict)
    delay_ms: int = Field(default=0, ge=0)
    """How long it waits before it is published, on top of `lagMs`."""

    @model_validator(mode="after")
    def _addressed(self) -> SimulatedMessage:
        _check_address(self.topic, self.queue_name, self.exchange)
        return self


class SimulatedCall(Definition):
    """An HTTP request that a simulated participant sends by itself: a callback or webhook."""

    url: str
    """Where to, a template: `{{request.body.callbackUrl}}`, `{{services.payments}}/payments`."""
    method: Annotated[str, StringConstraints(pattern=r"^[A-Z]+$")] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)
    """Its headers, templates; the correlation header is set anyway."""
    body: JsonValue = None
    """Its body, sent as JSON, with templates as in SimulatedMessage."""
    delay_ms: int = Field(default=0, ge=0)
    """How long it waits before it is sent, on top of `lagMs`."""


class _Effects(Definition):
    """What all rules may do besides answering."""

    when: str | None = None
    """The expression under which the rule holds; always if absent. What it names and is not there lets it not hold."""
    remember: dict[Alias, JsonValue] = Field(default_factory=dict)
    """Values or templates that later rules of the same correlation id read as `state.NAME`."""
    publish: Annotated[list[SimulatedMessage], BeforeValidator(_one_or_many)] = Field(default_factory=list)
    """Messages that it publishes then."""
    call: Annotated[list[SimulatedCall], BeforeValidator(_one_or_many)] = Field(default_factory=list)
    """HTTP requests that it sends then, callbacks and webhooks."""


class ReplyRule(_Effects):
    """How a simulated service answers a request, if `when` holds; the first rule that does so counts."""

    status: int | str | None = None
    """The status, from 200 to 599; the lowest `2xx` that the specification declares if absent. For gRPC the name of
    one, `NOT_FOUND`; `OK` if absent."""
    details: str | None = None
    """What goes with the status of gRPC, a template."""
    error_details: list[dict[str, JsonValue]] = Field(default_factory=list)
    """What goes with an error of gRPC as `google.rpc.Status`: messages with the name of their type as `@type`."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Its headers, templates; for gRPC the metadata that comes before the messages."""
    trailers: dict[str, str] = Field(default_factory=dict)
    """The metadata that comes after the messages of gRPC, templates."""
    body: JsonValue = None
    """The body, for gRPC the message, with templates over `request`, `state`, `correlationId` and `count`; an example
    of the specification, or a value that its schema allows, if absent."""
    messages: list[JsonValue] | str | None = None
    """In place of `body`, all messages of a gRPC method that answers with a stream; or a template that gives a list."""
    delay_ms: int = Field(default=0, ge=0)
    """How long the answer waits, each message of a stream, on top of `lagMs`."""

    @field_validator("status")
    @classmethod
    def _known_status(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and not 200 <= value <= 599:  # noqa: PLR2004  what a server may answer
            raise ValueError(f"'{value}' is no status from 200 to 599")
        if isinstance(value, str) and value not in GRPC_STATUSES:
            raise ValueError("a status is a number from 200 to 599, or a name of gRPC, such as 'NOT_FOUND'")
        return value

    @model_validator(mode="after")
    def _one_answer(self) -> ReplyRule:
        if {"body", "messages"} <= self.model_fields_set:
            raise RefusedError(
                "give one of 'body' and 'messages'", "write a list of messages only where a method streams"
            )
        return self


class MessageRule(_Effects):
    """What a simulated participant does when a message comes at a `topic`, an `exchange` or a queue."""

    cluster_alias: str | None = None
    """The alias of the Kafka cluster; may be absent where the environment has only one."""
    topic: str | None = None
    broker_alias: str | None = None
    """The alias of the queue broker; may be absent where the environment has only one."""
    queue_name: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    """The pattern of what it listens to at the exchange."""
    correlation_id_expr: str | None = None
    """Where the message has its correlation id, over `message`; its header or property if absent."""

    @model_validator(mode="after")
    def _addressed(self) -> MessageRule:
        _check_address(self.topic, self.queue_name, self.exchange)
        return self


class Simulation(Definition):
    """How one participant behaves while it is simulated."""

    operations: dict[str, Annotated[list[ReplyRule], BeforeValidator(_one_or_many)]] = Field(default_factory=dict)
    """Operation (`operationId`, `METHOD /path` or `Service.Method`) to its rules, in the order in which they are
    tried."""
    on_message: Annotated[list[MessageRule], BeforeValidator(_one_or_many)] = Field(default_factory=list)
    """What it does with messages; of each message, the first rule of its address that holds counts."""
    correlation_id_expr: str | None = None
    """Where a request has its correlation id, over `request`; the correlation header, or the metadata of that name, if
    absent."""
    lag_ms: int = Field(default=0, ge=0)
    """The longest that an answer, message or call waits: how long each does is drawn up to it."""
    loss: _Probability = 0.0
    """How many of its answers, messages and calls are lost, from 0 to 1: an answer is a connection that breaks off."""
    unavailable: _Probability = 0.0
    """How many of its requests are answered by status 503, or `UNAVAILABLE`, from 0 to 1."""
    duplicates: _Probability = 0.0
    """How many of its messages and calls come twice, from 0 to 1."""
    reorder: _Probability = 0.0
    """How many of its messages and calls come after the one behind them, from 0 to 1."""
    seed: int = 0
    """What all chances are drawn from, together with the correlation id: the same again has the same luck."""


def _check_address(topic: str | None, queue: str | None, exchange: str | None) -> None:
    if sum(each is not None for each in (topic, queue, exchange)) != 1:
        raise RefusedError("give one of 'topic', 'queueName' and 'exchange'", "write for example 'topic: orders'")
