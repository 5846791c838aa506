"""HTTP: steps that call the operations of an OpenAPI specification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from pytest_orchestra.data.redaction import mask_headers, mask_url, shorten
from pytest_orchestra.engine.ports import CallTimeoutError, ProtocolViolation, Reply, StepCall
from pytest_orchestra.errors import SecretNotFoundError, StepError, UnknownAliasError, UnreachableError
from pytest_orchestra.model.definition import ChannelType, EndpointRef, StepDefinition
from pytest_orchestra.model.environment import Environment, ServiceProfile
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Exchange, Violation, ViolationType
from pytest_orchestra.model.secret import MASK
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.body import read_body
from pytest_orchestra.protocols.contract import ContractJudge, resolve_schema_ref
from pytest_orchestra.protocols.curl import curl_command
from pytest_orchestra.protocols.request import BaseAddress, HttpRequest, build_request, find_input_faults
from pytest_orchestra.protocols.schema_check import resolve_pointer
from pytest_orchestra.protocols.suggestion import nearest_name, suggest
from pytest_orchestra.protocols.wire import BrokenReplyError, ConnectFailedError, RawReply

if TYPE_CHECKING:
    from pytest_orchestra.protocols.http_client import HttpClient

__all__ = ["HttpProtocol", "HttpReply"]

_SHOWN_LIMIT = 4_000
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_IDEMPOTENCY_KEY = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class HttpReply(Reply):
    """A reply of HTTP; ``defect`` says why its body is not the JSON that it claims to be."""

    defect: str | None = None


class HttpProtocol:
    """Calls operations of OpenAPI specifications and holds the replies against them.

    Redirects are replies like any other, cookies are not kept, and proxies of the process environment do not count.
    A parameter, header or body that is null is left out.
    """

    protocol_id: ClassVar[str] = "http"
    channel_type: ClassVar[ChannelType] = ChannelType.HTTP_REST
    unfulfilled: ClassVar[ViolationType] = ViolationType.TIMEOUT

    def __init__(self) -> None:
        self._clients: dict[tuple[bool, bool], HttpClient] = {}
        self._judge = ContractJudge()

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:
        """Read an OpenAPI document. Raises ``DefinitionError`` and ``UnreadableFileError``."""
        from pytest_orchestra.readers.openapi import read_openapi  # noqa: PLC0415  its libraries load when needed

        return read_openapi(path, service_name)

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:
        """Find an operation by its ``operationId`` or as ``METHOD /path``."""
        found = spec.operation.get(endpoint_name)
        if found is not None:
            return found
        method, _, path = endpoint_name.strip().partition(" ")
        return spec.operation.get(f"{method.upper()} {path.strip()}")

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:
        """Say what is wrong with the step's operation, its input's keys, and the schemas that it names."""
        if step.endpoint_ref is None:
            return ()
        place = step.place or Place(step.alias or step.name or str(step.endpoint_ref))
        faults = self._find_faults(step, step.endpoint_ref, specs)
        return [Problem(Severity.ERROR, place, fact, hint) for fact, hint in faults]

    def _find_faults(
        self, step: StepDefinition, ref: EndpointRef, specs: Mapping[str, ProtocolSpec]
    ) -> Iterator[tuple[str, str]]:
        spec = specs.get(ref.service_name)
        operation = None if spec is None else self.find_operation(spec, ref.endpoint_name)
        if spec is None:
            yield _no_specification(ref.service_name, specs)
        elif operation is None:
            yield _no_operation(ref, spec)
        else:
            yield from find_input_faults(operation, cast("JsonObject", step.input_template))
        for schema_ref in step.schema_refs:
            yield from _find_schema_ref_faults(schema_ref, ref.service_name, specs)

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Call the operation. A ``TimeoutError`` carries the exchange; a ``ProtocolViolation`` is an ``HTTP_ERROR``."""
        service, operation = self._find(call.step, specs)
        profile = _profile(call.environment, service)
        address = BaseAddress.read(profile.base_url, service)
        secret_headers = _secret_headers(call, service, profile)
        profile_headers = {**profile.headers, **secret_headers}
        try:
            request = build_request(
                operation, _recognisable(call, operation, profile_headers), address, profile_headers
            )
        except StepError as error:
            raise StepError(error.fact, place=call.step.place, hint=error.hint) from None
        client = self._client(address, profile)
        try:
            raw = await client.send(request, address.origin, call.timeout_s)
        except TimeoutError:
            exchange = _exchange(request, secret_headers, profile)
            raise CallTimeoutError(exchange) from None
        except ConnectFailedError as error:
            raise UnreachableError(
                f"service '{service}' at '{address.url}': {error.reason}",
                hint=error.hint
                or f"start the service, or correct its 'baseUrl' in environment '{call.environment.name}'",
            ) from None
        except BrokenReplyError as error:
            violation = Violation(ViolationType.HTTP_ERROR, error.code, error.fact, {"url": mask_url(request.url)})
            raise ProtocolViolation(violation, _exchange(request, secret_headers, profile)) from None
        return _reply(request, raw, secret_headers, profile)

    def may_repeat(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> bool:
        """Say yes for safe methods, and for others unless the step takes the ``Idempotency-Key`` away from them."""
        _, operation = self._find(step, specs)
        given = {name.lower(): value for part in _header_parts(step) for name, value in part.items()}
        return operation.method.upper() in _SAFE_METHODS or given.get(_IDEMPOTENCY_KEY.lower(), "") is not None

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:
        """Hold a reply against the operation's contract, unless the step says otherwise, and its schema references."""
        service, operation = self._find(call.step, specs)
        violations: list[Violation] = []
        if call.step.check_contract:
            defect = reply.defect if isinstance(reply, HttpReply) else None
            violations += self._judge.judge(operation, specs[service], reply.response, defect)
        for ref in call.step.schema_refs:
            for fact, hint in _find_schema_ref_faults(ref, service, specs):
                raise StepError(fact, place=call.step.place, hint=hint)
            name, _, pointer = ref.partition("#")
            spec = specs[name or service]
            uri = resolve_schema_ref(spec, pointer)
            assert uri is not None  # else it would be a fault
            violations += self._judge.judge_schema(uri, spec, reply.response)
        return violations

    async def close(self) -> None:
        """Close every connection; a later call opens new ones."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()

    def _find(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> tuple[str, Operation]:
        ref = step.endpoint_ref
        if ref is None:
            raise StepError("an HTTP step needs 'endpointRef'", place=step.place)
        spec = specs.get(ref.service_name)
        operation = None if spec is None else self.find_operation(spec, ref.endpoint_name)
        if operation is not None:
            return ref.service_name, operation
        fact, hint = _no_specification(ref.service_name, specs) if spec is None else _no_operation(ref, spec)
        raise StepError(fact, place=step.place, hint=hint)

    def _client(self, address: BaseAddress, profile: ServiceProfile) -> HttpClient:
        key = (address.is_https, address.is_https and profile.verify_tls)
        client = self._clients.get(key)
        if client is None:
            from pytest_orchestra.protocols.http_client import HttpClient  # noqa: PLC0415  heavy: aiohttp and httpx

            client = self._clients[key] = HttpClient(is_https=key[0], verify_tls=key[1])
        return client


def _profile(environment: Environment, service: str) -> ServiceProfile:
    profile = environment.services.get(service)
    if profile is None:
        raise UnknownAliasError(
            f"environment '{environment.name}' has no service '{service}'",
            hint=suggest(service, environment.services, f"add '{service}' to its 'services'"),
        )
    return profile


def _recognisable(call: StepCall, operation: Operation, profile_headers: Mapping[str, str]) -> JsonObject:
    """Give the input with the header that lets a service recognise an action that it has got already."""
    own = call.input.get("headers") or {}
    is_safe = not call.idempotency_key or operation.method.upper() in _SAFE_METHODS
    if is_safe or not isinstance(own, Mapping):
        return call.input
    if _IDEMPOTENCY_KEY.lower() in {name.lower() for name in (*own, *profile_headers)}:
        return call.input
    return {**call.input, "headers": {**own, _IDEMPOTENCY_KEY: call.idempotency_key}}


def _header_parts(step: StepDefinition) -> Iterator[Mapping[str, JsonValue]]:
    yield cast("JsonObject", step.headers)
    own = step.input_template.get("headers")
    if isinstance(own, Mapping):
        yield own


def _secret_headers(call: StepCall, service: str, profile: ServiceProfile) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, ref in profile.header_refs.items():
        secret = call.secrets.get(ref)
        if secret is None:
            raise SecretNotFoundError(
                f"header '{name}' of service '{service}' needs secret '{ref}', which was not read",
                hint=f"set what '{ref}' refers to",
            )
        headers[name] = secret.reveal()
    return headers


def _shown(value: JsonValue, content: bytes | None) -> JsonValue:
    """Shorten a body, whose ``content`` is what was sent or came: where that is short, there is nothing to do."""
    return value if content is None or len(content) <= _SHOWN_LIMIT else shorten(value, _SHOWN_LIMIT)


def _reply(
    request: HttpRequest, raw: RawReply, secret_headers: Mapping[str, str], profile: ServiceProfile
) -> HttpReply:
    body = read_body(raw.content, raw.headers.get("content-type"))
    response: JsonObject = {
        "status": raw.status,
        "headers": raw.headers,
        "body": body.value,
        "elapsedMs": round(raw.elapsed_ms, 3),
    }
    exchange = _exchange(request, secret_headers, profile, response, raw.content)
    return HttpReply(response, exchange, raw.status, body.defect)


def _exchange(
    request: HttpRequest,
    secret_headers: Mapping[str, str],
    profile: ServiceProfile,
    response: JsonObject | None = None,
    content: bytes | None = None,
) -> Exchange:
    shown = mask_headers(request.headers)
    # what an environment takes from a secret is masked under any name, unless the step says something else there
    shown |= {name: MASK for name, value in secret_headers.items() if shown.get(name) == value}
    url = mask_url(request.url)
    sent: JsonObject = {
        "method": request.method,
        "url": url,
        "headers": shown,
        "body": _shown(request.body, request.content),
    }
    command = curl_command(
        request.method,
        url,
        request.headers,
        request.content,
        masked={name: str(value) for name, value in shown.items() if value != request.headers[name]},
        verify_tls=profile.verify_tls,
    )
    if response is None:
        return Exchange(sent, None, command)
    came: JsonObject = {
        "status": response["status"],
        "headers": mask_headers(cast("Mapping[str, str]", response["headers"])),
        "body": _shown(response["body"], content),
    }
    return Exchange(sent, came, command)


def _no_specification(service: str, specs: Mapping[str, ProtocolSpec]) -> tuple[str, str]:
    nearest = nearest_name(service, specs)
    if nearest is not None:
        return f"unknown service '{service}'", f"did you mean '{nearest}'?"
    return f"service '{service}' has no specification", f"add '{service}' to 'specs' of the sidecar"


def _no_operation(ref: EndpointRef, spec: ProtocolSpec) -> tuple[str, str]:
    fact = f"unknown operation '{ref.endpoint_name}' of service '{ref.service_name}'"
    some = ", ".join(operation.name for operation in spec.operations[:10]) or "none"
    return fact, suggest(ref.endpoint_name, spec.operation, f"its operations: {some}")


def _find_schema_ref_faults(ref: str, service: str, specs: Mapping[str, ProtocolSpec]) -> Iterator[tuple[str, str]]:
    name, sign, pointer = ref.partition("#")
    if not sign or not pointer.startswith("/"):
        yield f"schema reference '{ref}' names no schema", "write it as 'service#/components/schemas/Name'"
        return
    spec = specs.get(name or service)
    if spec is None:
        yield _no_specification(name or service, specs)
    elif resolve_schema_ref(spec, pointer) is None:
        siblings, _, last = pointer.rpartition("/")
        known = _members(spec, siblings)
        yield (
            f"service '{spec.service_name}' has no schema '{pointer}'",
            suggest(last, known, f"see what its specification has at '{siblings or '/'}'"),
        )


def _members(spec: ProtocolSpec, pointer: str) -> list[str]:
    for document in spec.documents.values():
        try:
            found = resolve_pointer(document, pointer)
        except LookupError:
            continue
        if isinstance(found, Mapping):
            return list(found)
    return []
