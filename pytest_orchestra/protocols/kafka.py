"""Kafka: steps that publish messages, and steps that wait for those of the system under test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import StepError, TemplateError
from pytest_orchestra.model.definition import ChannelType, OnResume, StepDefinition, StepKind, ValueMatcherMode
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import Violation, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.kafka_login import KafkaLogin, cluster_profile
from pytest_orchestra.protocols.message_contract import MessageContract
from pytest_orchestra.protocols.message_matching import ANY_CORRELATION, check_patterns
from pytest_orchestra.protocols.simulated_kafka import SimulatedCluster

if TYPE_CHECKING:
    from pytest_orchestra.protocols.kafka_cluster import KafkaCluster

__all__ = ["KafkaProtocol"]


class KafkaProtocol:
    """Publishes to Kafka and watches it: one journal and one reader a cluster, for all scenarios of a session."""

    protocol_id: ClassVar[str] = "kafka"
    channel_type: ClassVar[str] = ChannelType.KAFKA
    unfulfilled: ClassVar[ViolationType] = ViolationType.KAFKA_MESSAGE_NOT_FOUND
    default_until: ClassVar[str] = "count > 0"

    def __init__(self) -> None:
        self._clusters: dict[KafkaLogin, KafkaCluster] = {}
        self._simulated: dict[tuple[str, str, str], SimulatedCluster] = {}
        self._contract = MessageContract()

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:  # noqa: ARG002  the port's
        """Give None: topics have no specification."""
        return None

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:  # noqa: ARG002  the port's
        """Give None: topics have no operations."""
        return None

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:
        """Say what is wrong with where the correlation id stands, with regular expressions and ``schemaRefs``."""
        place = step.place or Place(step.alias or step.name or step.topic or "topic")
        faults = self._contract.find_faults(step, specs)
        problems = [Problem(Severity.ERROR, place, fact, hint) for fact, hint in faults]
        doubts = self._contract.find_doubts(step, specs)
        problems += [Problem(Severity.WARNING, place, fact, hint) for fact, hint in doubts]
        if not step.topic:
            problems.append(Problem(Severity.ERROR, place, "a Kafka step needs 'topic'"))
        if step.kind is StepKind.ACTION and step.value_template is None and step.key_expression is None:
            hint = "add 'valueTemplate' or 'keyExpression'"
            problems.append(Problem(Severity.ERROR, place, "the message has neither key nor value", hint))
        if step.kind is StepKind.ASSERTION and step.value_schema is not None:
            hint = "take it away: values that are read name their schema themselves"
            problems.append(Problem(Severity.ERROR, place, "'valueSchema' says how a message is published", hint))
        written = (step.correlation_id_expr or "").strip()
        if written and written != ANY_CORRELATION:
            problems += _check_correlation(step.correlation_id_expr or "", place)
        if step.kind is StepKind.ASSERTION and step.value_matcher_mode is ValueMatcherMode.REGEX:
            try:
                check_patterns(_without_templates(step.value_template))
            except StepError as error:
                problems.append(Problem(Severity.ERROR, place, error.fact, error.hint))
        return problems

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Publish a message, or look what has come. Raises what the port says.

        A message to publish that breaks the schemas of ``schemaRefs`` is a ``StepError``, unless the step says that it
        breaks them on purpose.
        """
        cluster = self._cluster(call)
        if call.step.kind is StepKind.ACTION and not call.step.breaks_contract:
            self._contract.refuse_broken(call, specs)
        return await (cluster.look(call) if call.step.kind is StepKind.ASSERTION else cluster.publish(call))

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:
        """Hold the values of all messages that were found against the schemas of ``schemaRefs``."""
        return self._contract.judge(call, reply, specs)

    def may_repeat(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> bool:  # noqa: ARG002  the port's
        """Say no, unless the step says yes: a message that is sent again is another event."""
        return step.on_resume is OnResume.RETRY

    async def prepare(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        """Listen to the topics that the assertions of a run look at. Raises what ``execute`` raises."""
        by_cluster: dict[KafkaCluster | SimulatedCluster, list[StepCall]] = {}
        for call in calls:
            if call.step.kind is StepKind.ASSERTION:
                by_cluster.setdefault(self._cluster(call), []).append(call)
        for cluster, own in by_cluster.items():
            await cluster.watch(own, since)

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Return as soon as a message has come that may be meant."""
        await self._cluster(call).news(call, longest_s)

    async def release(self, run_id: str) -> None:
        """Forget what was kept for a run."""
        clusters: list[KafkaCluster | SimulatedCluster] = [*self._clusters.values(), *self._simulated.values()]
        for cluster in clusters:
            cluster.release(run_id)

    async def close(self) -> None:
        """Close every connection; a later call opens new ones."""
        clusters: list[KafkaCluster | SimulatedCluster] = [*self._clusters.values(), *self._simulated.values()]
        self._clusters, self._simulated = {}, {}
        for cluster in clusters:
            await cluster.close()

    def _cluster(self, call: StepCall) -> KafkaCluster | SimulatedCluster:
        alias, profile = cluster_profile(call.environment, call.address.get("clusterAlias"))
        if profile.simulated:  # one that has another address is another cluster
            named = (call.environment.name, alias, profile.bootstrap_servers)
            if named not in self._simulated:
                self._simulated[named] = SimulatedCluster(alias)
            return self._simulated[named]
        login = KafkaLogin.of(call)
        known = self._clusters.get(login)
        if known is None:
            try:
                from pytest_orchestra.protocols.kafka_cluster import KafkaCluster  # noqa: PLC0415  heavy: aiokafka
            except ImportError:
                raise StepError(
                    "Kafka steps need the package 'aiokafka'",
                    place=call.step.place,
                    hint="pip install 'pytest-orchestra[kafka]'",
                ) from None
            known = self._clusters[login] = KafkaCluster(login)
        return known


def _check_correlation(written: str, place: Place) -> list[Problem]:
    try:
        expression = compile_expression(written, place)
    except TemplateError as error:
        return [Problem(Severity.ERROR, place, f"'correlationIdExpr': {error.fact}", error.hint)]
    strange = sorted({name.split(".")[0] for name in expression.names} - {"message"})
    if strange or not expression.names:
        named = f"reads '{strange[0]}'" if strange else "reads nothing of the message"
        return [
            Problem(
                Severity.ERROR,
                place,
                f"'correlationIdExpr' {named}",
                "start it with 'message', as in 'message.value.meta.requestId', or write 'none'",
            )
        ]
    return []


def _without_templates(value: JsonValue) -> JsonValue:
    """Leave the texts out that are templates: what they will be is not known yet."""
    if isinstance(value, str):
        return None if "{{" in value else value
    if isinstance(value, Mapping):
        return {name: _without_templates(part) for name, part in value.items()}
    return [_without_templates(part) for part in value] if isinstance(value, list) else value
