"""A simulated HTTP service: it listens on loopback and answers as its specification and its rules say."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.operators import to_text
from pytest_orchestra.errors import OrchestraError, SettingsError, TemplateError
from pytest_orchestra.generation.binding.schemas import Schemas
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.simulation import ReplyRule
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.simulation.answer import Answer, accepted_answer, answer_to, holds, problem_answer, remember
from pytest_orchestra.simulation.contract import Contract
from pytest_orchestra.simulation.distortion import DistortionKind, distort, kinds_of
from pytest_orchestra.simulation.participant import Participant
from pytest_orchestra.simulation.received_request import OperationFinder, ReceivedRequest, find_request_faults

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["LOOPBACK", "SimulatedService"]

LOOPBACK: Final = "127.0.0.1"
_REFUSED: Final = 400
_LARGEST: Final = 64 * 1024 * 1024


class SimulatedService:
    """One service on one event loop. ``prefix`` is the path that the real base URL has, and this one as well."""

    def __init__(
        self, participant: Participant, spec: ProtocolSpec, contract: Contract, *, prefix: str = "", port: int = 0
    ) -> None:
        self.participant = participant
        self.spec = spec
        self._contract = contract
        self._prefix = prefix.rstrip("/")
        self._port = port
        self._finder = OperationFinder(spec.operations, self._prefix)
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """Where it listens, once it does."""
        return f"http://{LOOPBACK}:{self._port}{self._prefix}"

    @property
    def port(self) -> int:
        """The port at which it listens, once it does."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises ``SettingsError`` where the port is taken."""
        from aiohttp import web  # noqa: PLC0415  heavy: only sessions that simulate need it

        application = web.Application(client_max_size=_LARGEST)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, self._port).start()
        except OSError as error:
            await runner.cleanup()
            reason = (error.strerror or str(error)).lower()
            raise SettingsError(
                f"simulated '{self.participant.name}' cannot listen at port {self._port}: {reason}",
                hint="free the port, or take another 'simulatedPort'",
            ) from None
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more, and give up what is on its way."""
        runner, self._runner = self._runner, None
        await self.participant.close()
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, raw: web.Request) -> web.StreamResponse:
        from aiohttp import web  # noqa: PLC0415  as above

        headers = {name.lower(): text for name, text in raw.headers.items()}
        url = raw.rel_url
        content = await raw.read()
        request = ReceivedRequest(raw.method, url.raw_path, url.raw_query_string, headers, content)
        answer = await self.answer(request)
        if answer is None:
            if raw.transport is not None:
                raw.transport.abort()
            return web.Response(status=503)  # nobody gets it
        text = b""
        if answer.has_body and raw.method != "HEAD":
            is_text = isinstance(answer.body, str) and "json" not in answer.media_type
            text = str(answer.body).encode() if is_text else json.dumps(answer.body, ensure_ascii=False).encode()
        out = {"content-type": answer.media_type} if answer.has_body else {}
        out |= {name.lower(): value for name, value in answer.headers.items()}
        return web.Response(status=answer.status, body=text, headers=out)

    async def answer(self, request: ReceivedRequest) -> Answer | None:
        """Give the answer to a request, after its lag; None where the connection is to break off."""
        found = self._finder.find(request.method, request.path)
        operation = found[0] if found is not None else None
        values = found[1] if found is not None else {}
        seen = request.to_json(operation, values)
        if operation is None:
            return self._unknown(request)
        try:
            correlation_id = self._correlation_id(request, seen)
            faults = list(find_request_faults(request, operation, values, self.spec, self._contract))
            if faults:
                detail = f"the request breaks the specification of '{self.spec.service_name}' at {faults[0]}"
                return problem_answer(400, "Bad Request", detail, faults)
            return await self._played(operation, seen, correlation_id)
        except OrchestraError as error:  # a rule or a schema is wrong, and who reads the reply is to see which
            self.participant.fault(f"operation '{operation.name}': {error.fact}")
            return problem_answer(500, "Simulation Error", f"operation '{operation.name}': {error.fact}")

    def _unknown(self, request: ReceivedRequest) -> Answer:
        methods = self._finder.methods(request.path)
        if methods:
            detail = f"'{request.path}' has no {request.method}, but {', '.join(methods)}"
            return problem_answer(405, "Method Not Allowed", detail)
        detail = f"the specification of '{self.spec.service_name}' has no path '{request.path}'"
        return problem_answer(404, "Not Found", detail)

    def _correlation_id(self, request: ReceivedRequest, seen: JsonObject) -> str:
        written = self.participant.simulation.correlation_id_expr
        if written is not None:
            try:
                value = compile_expression(written).evaluate({"request": seen})
            except TemplateError:
                value = None
            if value is not None:
                return to_text(value)
        return request.headers.get(self.participant.correlation_header.lower(), "")

    async def _played(self, operation: Operation, seen: JsonObject, correlation_id: str) -> Answer | None:
        participant, name = self.participant, operation.name
        simulation, chances = participant.simulation, participant.chances
        known = participant.memory.of(correlation_id)
        names = participant.names(known, correlation_id, name, request=seen)
        is_lost = chances.happens(simulation.loss, correlation_id, f"loss {name}")
        is_unavailable = chances.happens(simulation.unavailable, correlation_id, f"unavailable {name}")
        if is_unavailable and not is_lost:
            await asyncio.sleep(participant.lag_s(correlation_id, name, 0))
            return problem_answer(503, "Service Unavailable", f"simulated '{participant.name}' is unavailable just now")
        rule = self._rule(operation, names)
        if rule is not None:
            remember(rule, names, known)
            names = {**names, "state": dict(known.state)}
            participant.act(rule, names, correlation_id)
        answer = answer_to(operation, self.spec, rule, names, self._contract)
        kinds = kinds_of(answer.body)
        participant.meet(
            correlation_id, name, kinds | {DistortionKind.ACCEPTED} if answer.status >= _REFUSED else kinds
        )
        await asyncio.sleep(participant.lag_s(correlation_id, name, answer.delay_ms))
        if is_lost or participant.is_spoiled(DistortionKind.LOST, name, operation.signature):
            return None
        return self._spoilt(operation, answer)

    def _rule(self, operation: Operation, names: JsonObject) -> ReplyRule | None:
        written = self.participant.simulation.operations
        rules = written.get(operation.name) or written.get(operation.signature) or ()
        return next((rule for rule in rules if holds(rule, names)), None)

    def _spoilt(self, operation: Operation, answer: Answer) -> Answer:
        spoiling = self.participant.distortion
        if spoiling is None or not spoiling.meets(self.participant.name, operation.name, operation.signature):
            return answer
        if spoiling.kind is DistortionKind.ACCEPTED:
            return accepted_answer(operation, self.spec, self._contract) if answer.status >= _REFUSED else answer
        uri = answer.schema

        def accepts(value: JsonValue) -> bool:
            return uri is None or self._contract.accepts(self.spec, uri, value)

        schema = None if uri is None else {"$ref": uri}
        body = distort(answer.body, spoiling.kind, accepts, schema, Schemas(self.spec))
        return Answer(
            answer.status, body, answer.has_body, answer.media_type, answer.headers, answer.delay_ms, answer.schema
        )
