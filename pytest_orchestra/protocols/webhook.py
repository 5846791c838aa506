"""Webhooks and callbacks: steps that wait for requests which the system under test sends by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, cast

from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.definition import ChannelType, StepDefinition, StepKind
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange, Violation, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.journal import read_journal
from pytest_orchestra.protocols.media_type import media_type_matches
from pytest_orchestra.protocols.message_contract import MessageContract
from pytest_orchestra.protocols.message_matching import MessageQuery
from pytest_orchestra.protocols.schema_check import SchemaValidators
from pytest_orchestra.protocols.suggestion import suggest
from pytest_orchestra.protocols.webhook_listener import WebhookListener, path_of
from pytest_orchestra.protocols.webhook_operations import find_webhook, webhooks_of

__all__ = ["WebhookProtocol"]

_FAULTS_SHOWN: Final = 5
_LOST_HINT: Final = "run the scenario from its beginning: the listener of a session that has ended heard it, if anyone"


class WebhookProtocol:
    """Waits for requests at the session's own listener, one for all scenarios, and holds them against the contract."""

    protocol_id: ClassVar[str] = "webhook"
    channel_type: ClassVar[str] = ChannelType.WEBHOOK
    unfulfilled: ClassVar[ViolationType] = ViolationType.WEBHOOK_NOT_RECEIVED
    default_until: ClassVar[str] = "count > 0"

    def __init__(self) -> None:
        self._listener = WebhookListener()
        self._contract = MessageContract()
        self._validators = SchemaValidators()
        self._expected: dict[str, list[str]] = {}
        self._missed: set[str] = set()

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:
        """Read an OpenAPI document. Raises ``DefinitionError`` and ``UnreadableFileError``."""
        from pytest_orchestra.readers.openapi import read_openapi  # noqa: PLC0415  its libraries load when needed

        return read_openapi(path, service_name)

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:
        """Find a webhook or callback by its name, or by its ``operationId``."""
        return find_webhook(spec, endpoint_name)

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:
        """Say what is wrong with the path, the webhook that is named, and the schemas."""
        place = step.place or Place(step.alias or step.name or step.webhook or "webhook")
        faults = [*_find_faults(step), *self._endpoint_faults(step, specs), *self._contract.find_faults(step, specs)]
        return [Problem(Severity.ERROR, place, fact, hint) for fact, hint in faults]

    def _endpoint_faults(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Iterator[tuple[str, str]]:
        ref = step.endpoint_ref
        if ref is None:
            return
        spec = specs.get(ref.service_name)
        if spec is None:
            hint = suggest(ref.service_name, specs, f"add '{ref.service_name}' to 'specs' of the sidecar")
            yield f"service '{ref.service_name}' has no specification", hint
        elif find_webhook(spec, ref.endpoint_name) is None:
            known = [name for name, _ in webhooks_of(spec)]
            there = f"webhooks and callbacks: {', '.join(known)}" if known else "its specification has none"
            fact = f"service '{ref.service_name}' has no webhook or callback '{ref.endpoint_name}'"
            yield fact, suggest(ref.endpoint_name, known, there)

    async def listen(self, port: int = 0) -> str:
        """Listen, if that is not so yet; give the listener's URL. Raises ``SettingsError``."""
        if not self._listener.is_listening:
            await self._listener.start(port)
        return self._listener.url

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:  # noqa: ARG002  the port's
        """Look what has arrived. Raises ``StepError`` and ``SettingsError``."""
        for fact, hint in _find_faults(call.step):
            raise StepError(fact, place=call.step.place, hint=hint)
        await self.listen()
        if call.run_id in self._missed:
            raise StepError(
                "the run was cut off, and what arrived meanwhile is not known", place=call.step.place, hint=_LOST_HINT
            )
        query = _query(call)
        listening: JsonObject = {"listener": self._listener.url, "path": query.address}
        reply = read_journal(self._listener.journal, query, listening)
        return Reply(reply.response, Exchange(reply.exchange.request, reply.exchange.response))

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:
        """Hold every request that was found against its webhook in the specification, and against ``schemaRefs``."""
        violations = list(self._contract.judge(call, reply, specs))
        ref = call.step.endpoint_ref
        spec = specs.get(ref.service_name) if ref is not None else None
        if ref is None or spec is None or not call.step.check_contract:
            return violations
        operation = find_webhook(spec, ref.endpoint_name)
        messages = cast("Sequence[JsonObject]", reply.response.get("messages") or ())
        for index, message in enumerate(messages if operation is not None else ()):
            assert operation is not None
            violations += self._judge(f"/messages/{index}", message, operation, spec)
        return violations

    def _judge(self, place: str, message: JsonObject, operation: Operation, spec: ProtocolSpec) -> Iterator[Violation]:
        if message.get("method") != operation.method:
            yield _violation(
                "method", f"{place}/method", f"expected {operation.method}, observed {message.get('method')}"
            )
        if not operation.request_bodies:
            return
        content_type = message.get("contentType")
        if content_type is None:
            if operation.request_required:
                yield _violation("media-type", f"{place}/value", "a body is required and there is none")
            return
        fitting = [each for each in operation.request_bodies if media_type_matches(str(content_type), each.media_type)]
        if not fitting:
            names = " or ".join(f"'{each.media_type}'" for each in operation.request_bodies)
            yield _violation("media-type", f"{place}/contentType", f"expected {names}, observed '{content_type}'")
            return
        schema = min(fitting, key=lambda each: each.media_type.count("*")).schema
        if schema is not None:
            faults, total = self._validators.find_faults(spec, schema.uri, message["value"], _FAULTS_SHOWN)
            for fault in faults:
                yield _violation("schema", f"{place}/value{fault.pointer}", fault.text)
            if total > len(faults):
                yield _violation("schema", place, f"and {total - len(faults)} more")

    async def prepare(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        """Listen, and keep what comes for the run from now on. Raises ``SettingsError`` and ``StepError``."""
        await self.listen()
        for call in calls:
            self._listener.expect(call.correlation_id, call.correlation_header)
            self._expected.setdefault(call.run_id, []).append(call.correlation_id)
            query = _query(call)
            self._listener.journal.watch(query.address, query.expression)
            self._listener.journal.hold(call.run_id, call.correlation_id)
            if since is not None:
                self._missed.add(call.run_id)

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Return as soon as a request has come that may be meant."""
        await self._listener.journal.news(_query(call), longest_s)

    async def release(self, run_id: str) -> None:
        """Forget what was kept for a run."""
        self._listener.journal.release(run_id)
        self._missed.discard(run_id)
        for correlation_id in self._expected.pop(run_id, ()):
            self._listener.forget(correlation_id)

    async def close(self) -> None:
        """Listen no more; a later call begins anew."""
        listener, self._listener = self._listener, WebhookListener()
        self._expected.clear()
        self._missed.clear()
        await listener.close()


def _query(call: StepCall) -> MessageQuery:
    return MessageQuery.of(call, path_of(str(call.address.get("webhook") or "")))


def _find_faults(step: StepDefinition) -> Iterator[tuple[str, str]]:
    if not step.webhook:
        yield "a step with a webhook needs its path", "write 'webhook: /payments/settled'"
    if step.kind is not StepKind.ASSERTION:
        yield "webhooks arrive, and no action sends them", "write 'kind: ASSERTION', or send it as an HTTP request"
    if step.input_template:
        yield "'inputTemplate' means nothing to a webhook", "write 'valueTemplate' and 'headers'"


def _violation(code: str, pointer: str, fact: str) -> Violation:
    details: JsonObject = {"pointer": pointer}
    return Violation(ViolationType.CONTRACT_VIOLATION, code, f"{pointer}: {fact}", details)
