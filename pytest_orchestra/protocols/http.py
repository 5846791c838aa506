"""HTTP: steps that call the operations of an OpenAPI specification."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from pytest_orchestra.engine.ports import CallTimeoutError, ProtocolViolation, Reply, StepCall
from pytest_orchestra.errors import SecretNotFoundError, StepError, UnknownAliasError, UnreachableError
from pytest_orchestra.model.definition import ChannelType, EndpointRef, StepDefinition
from pytest_orchestra.model.environment import Environment, ServiceAuth, ServiceProfile
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Violation, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.body import read_body
from pytest_orchestra.protocols.body_files import read_files
from pytest_orchestra.protocols.contract import ContractJudge, resolve_schema_ref
from pytest_orchestra.protocols.http_auth import AuthKind, Credentials, choose_auth, token_request, write_auth
from pytest_orchestra.protocols.http_exchange import Disclosure, describe_call
from pytest_orchestra.protocols.http_redirect import MOST_REDIRECTS, follow, origin_of
from pytest_orchestra.protocols.http_route import HttpRoute, proxy_refuses
from pytest_orchestra.protocols.oauth_tokens import Token, TokenRequest, TokenStore
from pytest_orchestra.protocols.reply_fields import find_reply_field_faults
from pytest_orchestra.protocols.request import BaseAddress, HttpRequest, body_files, build_request, find_input_faults
from pytest_orchestra.protocols.request_contract import RequestJudge
from pytest_orchestra.protocols.schema_check import SchemaValidators, resolve_pointer
from pytest_orchestra.protocols.set_cookie import apply_cookies
from pytest_orchestra.protocols.suggestion import nearest_name, suggest
from pytest_orchestra.protocols.token_endpoint import Sender, get_token
from pytest_orchestra.protocols.wire import BrokenReplyError, ConnectFailedError, ProxyRefusedError, RawReply

if TYPE_CHECKING:
    from pytest_orchestra.protocols.http2_client import Http2Client
    from pytest_orchestra.protocols.http_client import HttpClient

__all__ = ["HttpProtocol", "HttpReply"]

_UNAUTHORIZED = 401
_USUAL_ROUTES = {
    (is_https, verify): HttpRoute(is_https=is_https, verify_tls=verify)
    for is_https in (False, True)
    for verify in (False, True)
}
_BROKEN_HINT = "correct the input; if a wrong request is what the step is about, set 'breaksContract: true'"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_IDEMPOTENCY_KEY = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class HttpReply(Reply):
    """A reply of HTTP; ``defect`` says why its body is not the JSON that it claims to be."""

    defect: str | None = None


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a call goes."""

    service: str
    profile: ServiceProfile
    address: BaseAddress
    route: HttpRoute
    environment: str


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request ready to be sent, and what may not be shown of it."""

    request: HttpRequest
    disclosure: Disclosure


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A reply, and the replies that led to it; None where they were not followed."""

    raw: RawReply
    history: list[JsonValue] | None = None


class HttpProtocol:
    """Calls operations of OpenAPI specifications and holds requests and replies against them.

    Redirects are replies like any other unless the step follows them, cookies are not kept from one call to the next,
    and proxies of the process environment do not count.
    A parameter, header or body that is null is left out.
    """

    protocol_id: ClassVar[str] = "http"
    channel_type: ClassVar[str] = ChannelType.HTTP_REST
    unfulfilled: ClassVar[ViolationType] = ViolationType.TIMEOUT

    def __init__(self) -> None:
        self._clients: dict[HttpRoute, HttpClient | Http2Client] = {}
        self._tokens = TokenStore()
        validators = SchemaValidators()
        self._judge = ContractJudge(validators)
        self._requests = RequestJudge(validators)

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
        faults = [
            Problem(Severity.ERROR, place, fact, hint)
            for fact, hint in self._find_faults(step, step.endpoint_ref, specs)
        ]
        return faults or [
            Problem(Severity.WARNING, place, fact, hint)
            for fact, hint in self._find_doubts(step, step.endpoint_ref, specs)
        ]

    def _find_doubts(
        self, step: StepDefinition, ref: EndpointRef, specs: Mapping[str, ProtocolSpec]
    ) -> Iterator[tuple[str, str]]:
        """Say what of the request breaks the specification, and what of the reply it does not have."""
        spec = specs.get(ref.service_name)
        operation = None if spec is None else self.find_operation(spec, ref.endpoint_name)
        if spec is None or operation is None or not step.check_contract:
            return
        if not step.breaks_contract:
            data = cast("JsonObject", step.input_template)
            for fault in self._requests.find_static_faults(operation, spec, data):
                yield f"the request breaks the specification at {fault}", _BROKEN_HINT
        yield from find_reply_field_faults(operation, spec, step)

    def _find_faults(
        self, step: StepDefinition, ref: EndpointRef, specs: Mapping[str, ProtocolSpec]
    ) -> Iterator[tuple[str, str]]:
        spec = specs.get(ref.service_name)
        operation = None if spec is None else self.find_operation(spec, ref.endpoint_name)
        if spec is None:
            yield _no_specification(ref.service_name, specs)
        elif spec.protocol_id != self.protocol_id:
            yield _foreign(spec)
        elif operation is None:
            yield _no_operation(ref, spec)
        else:
            yield from find_input_faults(operation, cast("JsonObject", step.input_template))
        for schema_ref in step.schema_refs:
            yield from _find_schema_ref_faults(schema_ref, ref.service_name, specs)

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Call the operation. A ``TimeoutError`` carries the exchange; a ``ProtocolViolation`` is an ``HTTP_ERROR``.

        A request that breaks the contract is a ``StepError``, unless the step breaks it on purpose or holds none.
        """
        service, operation = self._find(call.step, specs)
        profile = _profile(call.environment, service)
        address = BaseAddress.read(profile.base_url, service)
        target = _Target(service, profile, address, _route(call, service, profile, address), call.environment.name)
        if profile.auth is None:
            prepared = await self._prepare(call, operation, specs[service], target, Credentials())
            return _reply(prepared, await self._send(prepared, target, call.timeout_s))
        return await self._execute_authenticated(call, operation, specs[service], target, profile.auth)

    async def _execute_authenticated(
        self, call: StepCall, operation: Operation, spec: ProtocolSpec, target: _Target, auth: ServiceAuth
    ) -> Reply:
        """Call with the credentials that the operation asks for; with another token once, if the first is over."""
        uses = choose_auth(target.profile, operation, spec, call.input)
        asked = next((use for use in uses if use.kind is AuthKind.OAUTH2), None)
        if asked is None or auth.oauth2 is None:
            credentials = write_auth(auth, uses, target.service, call.secrets, None)
            prepared = await self._prepare(call, operation, spec, target, credentials)
            return _reply(prepared, await self._send(prepared, target, call.timeout_s))
        wanted = token_request(auth.oauth2, asked, target.address.url, target.service, call.secrets)
        token, was_used = await self._token(wanted, call, target)
        credentials = write_auth(auth, uses, target.service, call.secrets, token.text)
        prepared = await self._prepare(call, operation, spec, target, credentials)
        began = time.monotonic()
        arrived = await self._send(prepared, target, call.timeout_s)
        if arrived.raw.status == _UNAUTHORIZED and was_used:
            self._tokens.discard(wanted, token)
            left_s = call.timeout_s - (time.monotonic() - began)
            if left_s > 0 and _is_repeatable(prepared.request):
                token, _ = await self._token(wanted, call, target)
                credentials = write_auth(auth, uses, target.service, call.secrets, token.text)
                prepared = await self._prepare(call, operation, spec, target, credentials)
                arrived = await self._send(prepared, target, left_s)
        return _reply(prepared, arrived)

    async def _token(self, wanted: TokenRequest, call: StepCall, target: _Target) -> tuple[Token, bool]:
        def client(route: HttpRoute) -> Sender:
            return self._client(route, target.service)

        return await get_token(self._tokens, wanted, call, target.service, target.profile, client)

    async def _prepare(
        self, call: StepCall, operation: Operation, spec: ProtocolSpec, target: _Target, credentials: Credentials
    ) -> _Prepared:
        profile, step = target.profile, call.step
        secret_headers = {**_secret_headers(call, target.service, profile), **credentials.headers}
        profile_headers = {**profile.headers, **secret_headers}
        data = _recognisable(call, operation, profile_headers)
        if credentials.query or credentials.cookies:
            data = credentials.added_to(data)
        try:
            paths = body_files(operation, data)
            files = await asyncio.to_thread(read_files, paths, _folder(step)) if paths else {}
            request = build_request(operation, data, target.address, profile_headers, files)
            if step.check_contract and not step.breaks_contract:
                self._requests.judge(operation, spec, data, request)
        except StepError as error:
            raise StepError(error.fact, place=step.place, hint=error.hint) from None
        return _Prepared(
            request, Disclosure(target.route, secret_headers, tuple(credentials.query), step.follow_redirects)
        )

    async def _send(self, prepared: _Prepared, target: _Target, timeout_s: float) -> _Arrived:
        if not prepared.disclosure.follows_redirects:
            return _Arrived(await self._send_once(prepared, prepared.request, target, timeout_s))
        return await self._send_and_follow(prepared, target, timeout_s)

    async def _send_and_follow(self, prepared: _Prepared, target: _Target, timeout_s: float) -> _Arrived:
        request, here, left_s = prepared.request, target, timeout_s
        history: list[JsonValue] = []
        cookies: dict[str, str] = {}
        set_cookies: tuple[str, ...] = ()
        elapsed_ms = 0.0
        secret = frozenset(name.lower() for name in prepared.disclosure.secret_headers)
        while True:
            began = time.monotonic()
            raw = await self._send_once(prepared, request, here, left_s)
            left_s -= time.monotonic() - began
            elapsed_ms += raw.elapsed_ms
            set_cookies += raw.set_cookies
            cookies = apply_cookies(cookies, raw.set_cookies)
            following = follow(request, raw.status, raw.headers.get("location"), secret_headers=secret, cookies=cookies)
            if following is None:
                return _Arrived(replace(raw, elapsed_ms=elapsed_ms, set_cookies=set_cookies), history)
            history.append({"status": raw.status, "url": request.url})
            if len(history) > MOST_REDIRECTS:
                url = prepared.disclosure.masked_url(following.url)
                fact = f"more than {MOST_REDIRECTS} redirects followed each other, the last to '{url}'"
                violation = Violation(ViolationType.HTTP_ERROR, "too-many-redirects", fact, {"url": url})
                raise ProtocolViolation(violation, describe_call(prepared.request, prepared.disclosure))
            if left_s <= 0:
                raise CallTimeoutError(describe_call(prepared.request, prepared.disclosure))
            if origin_of(following.url) != origin_of(request.url):
                address = BaseAddress.read(following.url, target.service)
                here = replace(target, address=address, route=target.route.to_stranger(is_https=address.is_https))
                cookies = {}
            request = following

    async def _send_once(
        self, prepared: _Prepared, request: HttpRequest, target: _Target, timeout_s: float
    ) -> RawReply:
        client = self._client(target.route, target.service)
        try:
            return await client.send(request, target.address.origin, timeout_s)
        except TimeoutError:
            raise CallTimeoutError(describe_call(prepared.request, prepared.disclosure)) from None
        except ProxyRefusedError:
            raise proxy_refuses(target.route.proxy, target.service) from None
        except ConnectFailedError as error:
            raise UnreachableError(
                f"service '{target.service}' at '{target.address.url}': {error.reason}",
                hint=error.hint or f"start the service, or correct its 'baseUrl' in environment '{target.environment}'",
            ) from None
        except BrokenReplyError as error:
            url = prepared.disclosure.masked_url(request.url)
            violation = Violation(ViolationType.HTTP_ERROR, error.code, error.fact, {"url": url})
            raise ProtocolViolation(violation, describe_call(prepared.request, prepared.disclosure)) from None

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
        await self._tokens.close()
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()

    def _find(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> tuple[str, Operation]:
        ref = step.endpoint_ref
        if ref is None:
            raise StepError("an HTTP step needs 'endpointRef'", place=step.place)
        spec = specs.get(ref.service_name)
        operation = None if spec is None else self.find_operation(spec, ref.endpoint_name)
        if spec is not None and spec.protocol_id != self.protocol_id:
            fact, hint = _foreign(spec)
            raise StepError(fact, place=step.place, hint=hint)
        if operation is not None:
            return ref.service_name, operation
        fact, hint = _no_specification(ref.service_name, specs) if spec is None else _no_operation(ref, spec)
        raise StepError(fact, place=step.place, hint=hint)

    def _client(self, route: HttpRoute, service: str) -> HttpClient | Http2Client:
        client = self._clients.get(route)
        if client is None:
            client = self._clients[route] = _new_client(route, service)
        return client


def _new_client(route: HttpRoute, service: str) -> HttpClient | Http2Client:
    if route.version == "2":
        from pytest_orchestra.protocols.http2_client import Http2Client  # noqa: PLC0415  an extra

        return Http2Client(route, service)
    from pytest_orchestra.protocols.http_client import HttpClient  # noqa: PLC0415  heavy: aiohttp

    return HttpClient(route, service)


def _route(call: StepCall, service: str, profile: ServiceProfile, address: BaseAddress) -> HttpRoute:
    is_https = address.is_https
    has_files = profile.ca_file or profile.certificate_file or profile.key_file
    if profile.proxy is None and profile.http_version == "1.1" and not (is_https and has_files):
        return _USUAL_ROUTES[is_https, profile.verify_tls]
    return HttpRoute.of(profile, call.environment, service, call.secrets, is_https=is_https)


def _folder(step: StepDefinition) -> Path:
    return Path(step.place.file).parent if step.place is not None else Path()


def _is_repeatable(request: HttpRequest) -> bool:
    names = {name.lower() for name in request.headers}
    return request.method in _SAFE_METHODS or _IDEMPOTENCY_KEY.lower() in names


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


def _reply(prepared: _Prepared, arrived: _Arrived) -> HttpReply:
    raw = arrived.raw
    body = read_body(raw.content, raw.headers.get("content-type"))
    response: dict[str, JsonValue] = {
        "status": raw.status,
        "headers": cast("JsonObject", raw.headers),
        "body": body.value,
        "cookies": cast("JsonObject", apply_cookies({}, raw.set_cookies) if raw.set_cookies else {}),
        "elapsedMs": round(raw.elapsed_ms, 3),
    }
    if arrived.history is not None:
        response["history"] = arrived.history
    exchange = describe_call(prepared.request, prepared.disclosure, response, raw.content)
    return HttpReply(response, exchange, raw.status, defect=body.defect)


def _no_specification(service: str, specs: Mapping[str, ProtocolSpec]) -> tuple[str, str]:
    nearest = nearest_name(service, specs)
    if nearest is not None:
        return f"unknown service '{service}'", f"did you mean '{nearest}'?"
    return f"service '{service}' has no specification", f"add '{service}' to 'specs' of the sidecar"


def _foreign(spec: ProtocolSpec) -> tuple[str, str]:
    fact = f"the specification of service '{spec.service_name}' is one of protocol '{spec.protocol_id}', not of HTTP"
    return fact, "name an OpenAPI document in 'specs', or the step's channel in 'channelType'"


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
