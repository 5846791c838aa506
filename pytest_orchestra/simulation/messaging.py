"""Messages of simulated participants, through the protocols of the session."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pytest_orchestra.engine.ports import ListeningProtocol, ProtocolPlugin, StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.definition import ChannelType, StepDefinition, StepKind
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.secret import Secret

__all__ = ["MessageAddress", "Messaging"]

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class MessageAddress:
    """Where messages go or come from; ``fields`` are those of a step, ``topic``, ``exchange`` ..."""

    fields: Mapping[str, str]

    @classmethod
    def of(cls, written: Mapping[str, str | None]) -> MessageAddress:
        """Take the fields that are there."""
        return cls({name: text for name, text in written.items() if text is not None})

    @property
    def channel(self) -> str:
        """The channel that has such addresses."""
        return ChannelType.KAFKA if "topic" in self.fields else ChannelType.QUEUE

    @property
    def subject(self) -> str:
        """The topic, exchange or queue."""
        return next(self.fields[name] for name in ("topic", "exchange", "queueName") if name in self.fields)


@dataclass
class Messaging:
    """Publishes and hears messages in one environment."""

    protocols: Mapping[str, ProtocolPlugin]
    environment: Environment
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    correlation_header: str = "X-Correlation-ID"

    async def publish(
        self, address: MessageAddress, message: JsonObject, headers: JsonObject, correlation_id: str
    ) -> None:
        """Publish a message. Raises what protocols raise."""
        call = self._call(StepKind.ACTION, address, correlation_id, message, headers)
        await self._protocol(address).execute(call, {})

    async def listen(self, address: MessageAddress, listener_id: str) -> Hearing:
        """Be told of all messages that come to an address from now on. Raises what protocols raise."""
        protocol = self._protocol(address)
        if not isinstance(protocol, ListeningProtocol):
            raise StepError(
                f"channel '{address.channel}' cannot listen, and so nobody can be simulated there",
                hint="simulate consumers of Kafka topics, exchanges and queues",
            )
        call = self._call(StepKind.ASSERTION, address, listener_id, {}, {})
        await protocol.prepare([call], None)
        return Hearing(protocol, self._protocol(address), call)

    def _protocol(self, address: MessageAddress) -> ProtocolPlugin:
        protocol = self.protocols.get(address.channel)
        if protocol is None:
            served = ", ".join(sorted(self.protocols))
            raise StepError(
                f"no protocol serves channel '{address.channel}', where '{address.subject}' is",
                hint=f"channels that are served: {served}",
            )
        return protocol

    def _call(
        self,
        kind: StepKind,
        address: MessageAddress,
        correlation_id: str,
        message: JsonObject,
        headers: JsonObject,
    ) -> StepCall:
        written: dict[str, object] = {"kind": kind, **address.fields, "channelType": address.channel}
        if kind is StepKind.ASSERTION:
            written["correlationIdExpr"] = "none"
        else:
            written["valueTemplate"] = message.get("value")
        return StepCall(
            step=StepDefinition.model_validate(written),
            alias="simulation",
            correlation_id=correlation_id,
            input={},
            parameters={},
            environment=self.environment,
            secrets=self.secrets,
            timeout_s=_TIMEOUT_S,
            idempotency_key=uuid.uuid4().hex if kind is StepKind.ACTION else "",
            run_id=f"simulation:{correlation_id}",
            correlation_header=self.correlation_header,
            headers=headers,
            address=dict[str, JsonValue](address.fields),
            message=message,
        )


@dataclass
class Hearing:
    """One who listens; tells each message once, however often they are looked at."""

    listening: ListeningProtocol
    protocol: ProtocolPlugin
    call: StepCall
    _heard: set[str] = field(default_factory=set)

    async def next(self, longest_s: float) -> list[JsonObject]:
        """Give the messages that are new, after ``longest_s`` at the latest. Raises what protocols raise."""
        await self.listening.news(self.call, longest_s)
        reply = await self.protocol.execute(self.call, {})
        messages = reply.response.get("messages")
        fresh: list[JsonObject] = []
        for index, message in enumerate(messages if isinstance(messages, list) else ()):
            identity = _identity(message, index)
            if identity not in self._heard:
                self._heard.add(identity)
                fresh.append(message)
        return fresh

    async def close(self) -> None:
        """Listen no more."""
        await self.listening.release(self.call.run_id)


def _identity(message: JsonObject, index: int) -> str:
    """Give what tells a message from others: its place in the topic, else its id, else its position here."""
    if message.get("offset") is not None:
        return f"{message.get('partition')}:{message['offset']}"
    return str(message.get("messageId") or index)
