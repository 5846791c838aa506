"""RabbitMQ: steps that publish messages, listen at exchanges and look into queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.definition import ChannelType, StepDefinition
from pytest_orchestra.model.run import Violation, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.model.vocabulary import StepKind
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.message_contract import MessageContract
from pytest_orchestra.protocols.rabbitmq_login import broker_profile
from pytest_orchestra.protocols.simulated_queue import SimulatedBroker

if TYPE_CHECKING:
    from pytest_orchestra.protocols.rabbitmq_session import BrokerSession

__all__ = ["QueueProtocol"]


class QueueProtocol:
    """Publishes messages to RabbitMQ, each confirmed, and finds those of a run at exchanges and in queues.

    All scenarios share one connection to listen and one for the rest, and one queue for each exchange and pattern.
    """

    protocol_id: ClassVar[str] = "queue"
    channel_type: ClassVar[str] = ChannelType.QUEUE
    unfulfilled: ClassVar[ViolationType] = ViolationType.QUEUE_MESSAGE_NOT_FOUND
    default_until: ClassVar[str] = "count > 0"

    def __init__(self) -> None:
        self._session: BrokerSession | None = None
        self._simulated: dict[tuple[str, str, str], SimulatedBroker] = {}
        self._contract = MessageContract()

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:  # noqa: ARG002  the port's
        """Give None: brokers have no specification."""
        return None

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:  # noqa: ARG002  the port's
        """Give None: brokers have no operations."""
        return None

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:
        """Say what is wrong with where a message goes or comes from, and with the schemas that the step names."""
        place = step.place or Place(step.alias or step.name or step.exchange or step.queue_name or "queue")
        faults = [*_find_faults(step), *self._contract.find_faults(step, specs)]
        problems = [Problem(Severity.ERROR, place, fact, hint) for fact, hint in faults]
        doubts = self._contract.find_doubts(step, specs)
        return problems + [Problem(Severity.WARNING, place, fact, hint) for fact, hint in doubts]

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Publish a message, or look for messages. Raises what the port says.

        A message to publish that breaks the schemas of ``schemaRefs`` is a ``StepError``, unless the step says that it
        breaks them on purpose.
        """
        for fact, hint in _find_faults(call.step):
            raise StepError(fact, place=call.step.place, hint=hint)
        if call.step.kind is StepKind.ACTION and not call.step.breaks_contract:
            self._contract.refuse_broken(call, specs)
        simulated = self._simulated_broker(call)
        return await (self._open(call.step) if simulated is None else simulated).execute(call)

    def may_repeat(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> bool:  # noqa: ARG002  the port's
        """Say yes: the message has the same id again, and consumers of AMQP must expect to get messages twice."""
        return True

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:
        """Hold the values of all messages that were found against the schemas of ``schemaRefs``."""
        return self._contract.judge(call, reply, specs)

    async def prepare(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        """Listen at every exchange that assertions of the run name; queues need nothing. Raises what the port says."""
        real: list[StepCall] = []
        imagined: dict[SimulatedBroker, list[StepCall]] = {}
        for call in calls:
            simulated = self._simulated_broker(call)
            (real if simulated is None else imagined.setdefault(simulated, [])).append(call)
        for broker, own in imagined.items():
            await broker.prepare(own, since)
        if real:
            await self._open(real[0].step).prepare(real, since)

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Return when another message has come to the exchange; into a queue, one looks again after ``longest_s``."""
        simulated = self._simulated_broker(call)
        await (self._open(call.step) if simulated is None else simulated).news(call, longest_s)

    async def release(self, run_id: str) -> None:
        """Forget the messages of a run."""
        for broker in self._simulated.values():
            broker.release(run_id)
        if self._session is not None:
            self._session.release(run_id)

    async def close(self) -> None:
        """Close every connection; a later call opens new ones."""
        simulated, self._simulated = self._simulated, {}
        for broker in simulated.values():
            await broker.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _simulated_broker(self, call: StepCall) -> SimulatedBroker | None:
        """Give the broker of a call if it is a simulated one."""
        if not any(profile.simulated for profile in call.environment.queue_profiles.values()):
            return None
        alias, profile = broker_profile(call.environment, call.address.get("brokerAlias"))
        if not profile.simulated:
            return None
        named = (call.environment.name, alias, profile.endpoint)  # one that has another address is another broker
        if named not in self._simulated:
            self._simulated[named] = SimulatedBroker(alias, profile)
        return self._simulated[named]

    def _open(self, step: StepDefinition) -> BrokerSession:
        if self._session is None:
            if find_spec("aio_pika") is None:
                raise StepError(
                    "steps with a queue broker need the package 'aio-pika', which is not installed",
                    place=step.place,
                    hint="pip install 'pytest-orchestra[rabbitmq]'",
                )
            from pytest_orchestra.protocols.rabbitmq_session import BrokerSession  # noqa: PLC0415  heavy: aio-pika

            self._session = BrokerSession()
        return self._session


def _find_faults(step: StepDefinition) -> Iterator[tuple[str, str | None]]:
    if not (step.exchange or step.queue_name):
        yield "a step with a queue broker needs 'queueName' or 'exchange'", None
    if step.exchange and step.queue_name:
        if step.kind is StepKind.ACTION:
            yield "'exchange' and 'queueName' are both given", "publish to one of them"
        else:
            yield "'exchange' and 'queueName' are both given", "listen at the exchange, or look into the queue"
    if step.queue_name and step.routing_key is not None:
        yield "'routingKey' means nothing to a queue", "name the 'exchange' as well as the key, and no 'queueName'"
    if step.input_template:
        yield "'inputTemplate' means nothing to a queue broker", "write 'valueTemplate' and 'headers'"
    if step.kind is StepKind.ACTION and step.key_expression is not None:
        yield "'keyExpression' means nothing to what is published here", "write 'routingKey'"
