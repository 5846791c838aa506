"""A simulated gRPC service: it listens on loopback and answers as its specification and its rules say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

from grpc_reflection.v1alpha import reflection, reflection_pb2

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.operators import to_text
from pytest_orchestra.errors import OrchestraError, SettingsError, TemplateError
from pytest_orchestra.model.grpc_operation import STREAMS_OUT, find_grpc_operation, names_of
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.simulation import ReplyRule
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.readers.grpc_library import grpc
from pytest_orchestra.readers.proto import descriptor_set_of, pool_of
from pytest_orchestra.simulation.answer import holds, remember
from pytest_orchestra.simulation.distortion import DistortionKind
from pytest_orchestra.simulation.grpc_answer import (
    OK,
    GrpcAnswer,
    distortions_of,
    grpc_answer_to,
    placed_messages,
    spoilt_answer,
)
from pytest_orchestra.simulation.grpc_codec import GrpcCodec, MalformedMessageError
from pytest_orchestra.simulation.participant import Participant
from pytest_orchestra.simulation.service import LOOPBACK

__all__ = ["SimulatedGrpcService"]

_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
_LARGEST: Final = 64 * 1024 * 1024
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # else two services would share a port, and calls with it
    ("grpc.max_receive_message_length", _LARGEST),
    ("grpc.max_send_message_length", _LARGEST),
)
_GRACE_S: Final = 0.5
_BIDI: Final = "BIDI_STREAM"
_REFLECTION: Final = tuple(f"grpc.reflection.{version}.ServerReflection" for version in ("v1", "v1alpha"))
_CUT: Final = GrpcAnswer(status="UNAVAILABLE", details="Socket closed")
"""What the library of a client says when the connection breaks off; a real cut would hit its other calls as well."""


class SimulatedGrpcService:
    """One service on one event loop, with server reflection.

    All methods are served as streams in both directions: on the wire there is no difference.
    """

    def __init__(self, participant: Participant, spec: ProtocolSpec, codec: GrpcCodec, *, port: int = 0) -> None:
        self.participant = participant
        self.spec = spec
        self._codec = codec
        self._port = port
        self._server: grpc.aio.Server | None = None
        self._rules: dict[str, Sequence[ReplyRule]] = {}
        for name, rules in participant.simulation.operations.items():
            operation = find_grpc_operation(spec, name)
            if operation is not None:
                self._rules.setdefault(operation.path, rules)

    @property
    def base_url(self) -> str:
        """Where it listens, once it does."""
        return f"grpc://{LOOPBACK}:{self._port}"

    @property
    def port(self) -> int:
        """The port at which it listens, once it does."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises ``SettingsError`` where the port is taken."""
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers(tuple(self._handlers()))
        try:
            _try_to_bind(self._port)  # of the reason why it cannot, gRPC tells nothing
            self._port = server.add_insecure_port(f"{LOOPBACK}:{self._port}")
        except (OSError, RuntimeError) as error:
            reason = (getattr(error, "strerror", None) or "it is taken").lower()
            raise SettingsError(
                f"simulated '{self.participant.name}' cannot listen at port {self._port}: {reason}",
                hint="free the port, or take another 'simulatedPort'",
            ) from None
        await server.start()
        self._server = server

    async def close(self) -> None:
        """Listen no more, and give up what is on its way."""
        server, self._server = self._server, None
        await self.participant.close()
        if server is not None:
            await server.stop(_GRACE_S)

    def _handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
        for operation in self.spec.operations:
            name, _, method = operation.path.lstrip("/").rpartition("/")
            services.setdefault(name, {})[method] = grpc.stream_stream_rpc_method_handler(
                partial(self._serve, operation)
            )
        servicer = reflection.aio.ReflectionServicer(
            (*services, *_REFLECTION), pool=pool_of(descriptor_set_of(self.spec))
        )
        asking = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        for name in _REFLECTION:
            services[name] = {"ServerReflectionInfo": asking}
        for name, methods in services.items():
            yield grpc.method_handlers_generic_handler(name, methods)

    # -- one call --------------------------------------------------------------------------------------------------

    async def _serve(
        self, operation: Operation, requests: AsyncIterable[bytes], context: _Context
    ) -> AsyncIterator[bytes]:
        metadata = self._codec.read_metadata(context.invocation_metadata() or ())
        seen: list[JsonValue] = []
        async for content in requests:
            try:
                seen.append(self._codec.read_request(operation, content))
            except MalformedMessageError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"message {len(seen) + 1} {error.reason}")
            if operation.method == _BIDI:
                async for answered in self._answered(operation, seen, metadata, context):
                    yield answered
        if operation.method not in STREAMS_OUT and len(seen) != 1:
            details = f"'{operation.name}' takes one message, not {len(seen)}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, details)
        if operation.method != _BIDI:
            async for answered in self._answered(operation, seen, metadata, context):
                yield answered

    async def _answered(
        self, operation: Operation, seen: Sequence[JsonValue], metadata: JsonObject, context: _Context
    ) -> AsyncIterator[bytes]:
        request = _request_json(operation, seen, metadata)
        correlation_id = self._correlation_id(request)
        try:
            answer = self._answer(operation, request, correlation_id)
            messages = [
                self._codec.write_answer(operation, message, place) for place, message in placed_messages(answer)
            ]
            first = self._codec.write_metadata(answer.metadata)
            last = self._codec.write_metadata(answer.trailers)
            if answer.error_details:
                last += self._codec.write_error_details(answer.status, answer.details, answer.error_details)
        except OrchestraError as error:  # a rule is wrong, and who reads the status is to see which
            said = f"operation '{operation.name}': {error.fact}"
            self.participant.fault(said)
            await context.abort(grpc.StatusCode.INTERNAL, said)
        if first and (operation.method != _BIDI or len(seen) == 1):  # it comes before all messages, or never
            await context.send_initial_metadata(first)
        for message in messages:
            await asyncio.sleep(self.participant.lag_s(correlation_id, operation.name, answer.delay_ms))
            yield message
        if not messages:
            await asyncio.sleep(self.participant.lag_s(correlation_id, operation.name, answer.delay_ms))
        if answer.status != OK:
            await context.abort(grpc.StatusCode[answer.status], answer.details, last)
        context.set_details(answer.details)
        context.set_trailing_metadata(last)

    def _answer(self, operation: Operation, request: JsonObject, correlation_id: str) -> GrpcAnswer:
        participant, name = self.participant, operation.name
        simulation, chances = participant.simulation, participant.chances
        known = participant.memory.of(correlation_id)
        names = participant.names(known, correlation_id, name, request=request)
        is_lost = chances.happens(simulation.loss, correlation_id, f"loss {name}")
        is_unavailable = chances.happens(simulation.unavailable, correlation_id, f"unavailable {name}")
        if is_unavailable and not is_lost:
            return GrpcAnswer(status="UNAVAILABLE", details=f"simulated '{participant.name}' is unavailable just now")
        rule = next((rule for rule in self._rules.get(operation.path, ()) if holds(rule, names)), None)
        if rule is not None:
            remember(rule, names, known)
            names = {**names, "state": dict(known.state)}
            participant.act(rule, names, correlation_id)
        answer = grpc_answer_to(operation, self.spec, rule, names, self._codec)
        if participant.encounters is not None:
            participant.meet(correlation_id, name, distortions_of(answer, operation, self._codec))
        subjects = names_of(self.spec, operation) if participant.distortion is not None else ()
        if is_lost or participant.is_spoiled(DistortionKind.LOST, *subjects):
            return GrpcAnswer(answer.messages[:-1], _CUT.status, _CUT.details, delay_ms=answer.delay_ms)
        spoiling = participant.distortion
        if spoiling is None or not spoiling.meets(participant.name, *subjects):
            return answer
        return spoilt_answer(answer, operation, self.spec, spoiling.kind, self._codec)

    def _correlation_id(self, request: JsonObject) -> str:
        written = self.participant.simulation.correlation_id_expr
        if written is not None:
            try:
                value = compile_expression(written).evaluate({"request": request})
            except TemplateError:
                value = None
            if value is not None:
                return to_text(value)
        metadata = request["metadata"]
        assert isinstance(metadata, Mapping)
        return str(metadata.get(self.participant.correlation_header.lower(), ""))


def _request_json(operation: Operation, seen: Sequence[JsonValue], metadata: JsonObject) -> JsonObject:
    """Give what rules and templates see; of a stream, ``body`` is the latest message."""
    return {
        "method": operation.path.lstrip("/"),
        "operation": operation.name,
        "body": seen[-1] if seen else None,
        "messages": list(seen),
        "metadata": metadata,
    }


def _try_to_bind(port: int) -> None:
    """Raise ``OSError`` where a port cannot be had."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind((LOOPBACK, port))
