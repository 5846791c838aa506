"""gRPC calls of steps: to the services of an environment, and back as replies."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from pytest_orchestra.data.redaction import mask_headers, shorten
from pytest_orchestra.engine.ports import CallTimeoutError, ProtocolViolation, Reply, StepCall
from pytest_orchestra.errors import (
    OrchestraError,
    SecretNotFoundError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.environment import Environment, ServiceProfile
from pytest_orchestra.model.grpc_operation import STREAMS_IN, STREAMS_OUT
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Exchange, Violation, ViolationType
from pytest_orchestra.model.secret import MASK, Secret
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.protocols.grpc_channel import CallBrokenError, Connection, Outcome, Target
from pytest_orchestra.protocols.grpc_command import grpcurl_command
from pytest_orchestra.protocols.grpc_error_details import read_error_details
from pytest_orchestra.protocols.grpc_message import MessageTypes, UndecodableError, UnencodableError
from pytest_orchestra.protocols.grpc_metadata import Metadata, read_metadata, write_metadata
from pytest_orchestra.protocols.grpc_proxy import GrpcProxy
from pytest_orchestra.protocols.grpc_reflection import NoReflectionError, reflect
from pytest_orchestra.protocols.grpc_tls import TlsSettings
from pytest_orchestra.protocols.http_auth import AuthKind, AuthUse, choose_auth, token_request, write_auth
from pytest_orchestra.protocols.http_route import HttpRoute, proxy_refuses
from pytest_orchestra.protocols.oauth_tokens import Token, TokenRequest, TokenStore
from pytest_orchestra.protocols.suggestion import suggest
from pytest_orchestra.protocols.token_endpoint import get_token
from pytest_orchestra.protocols.wire import ConnectFailedError, ProxyRefusedError

if TYPE_CHECKING:
    from pytest_orchestra.protocols.http_client import HttpClient

__all__ = ["GrpcCaller"]

_SHOWN_LIMIT: Final = 4_000
_UNAUTHENTICATED: Final = "UNAUTHENTICATED"


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a call sends, and all that is needed to show it."""

    target: Target
    tls: TlsSettings
    operation: Operation
    spec_file: str
    messages: tuple[JsonValue, ...]
    metadata: Metadata
    secret_keys: frozenset[str]
    proxy: GrpcProxy | None = None

    def exchange(self, response: JsonObject | None = None) -> Exchange:
        """Show it, with the response as far as it came."""
        given = cast("dict[str, str]", read_metadata(self.metadata))
        shown = mask_headers(given)
        shown |= {key: MASK for key in self.secret_keys if key in shown and shown[key] == given[key]}
        operation = self.operation
        messages = shorten(list(self.messages), _SHOWN_LIMIT)
        one = {"message": messages[0]} if isinstance(messages, list) and len(messages) == 1 else {"messages": messages}
        request: JsonObject = {
            "target": self.target.address,
            "method": operation.path.lstrip("/"),
            "metadata": shown,
            **one,
        }
        command = grpcurl_command(
            self.target,
            self.tls,
            operation,
            spec_file=self.spec_file,
            metadata=[(key, _text(key, value)) for key, value in self.metadata],
            masked={key: str(value) for key, value in shown.items() if value != given[key]},
            messages=self.messages,
            proxy=self.proxy,
        )
        return Exchange(request, None if response is None else _shown_response(response), command)


@dataclass(frozen=True, slots=True)
class _Login:
    """What the ``auth`` of a profile adds to metadata, and the token among it, if there is one."""

    headers: Mapping[str, str] = field(default_factory=dict)
    wanted: TokenRequest | None = None
    token: Token | None = None
    was_used: bool = False


class GrpcCaller:
    """Calls the gRPC services of environments; keeps one channel for each address, TLS setting and proxy."""

    def __init__(self) -> None:
        self._connections: dict[tuple[Target, TlsSettings, GrpcProxy | None], Connection] = {}
        self._tokens = TokenStore()
        self._clients: dict[HttpRoute, HttpClient] = {}

    async def reflect(self, call: StepCall) -> ProtocolSpec:
        """Ask the server of a step's service for its specification. Raises what the port says."""
        service, profile = _profile(call)
        connection = self._connection(call, service, profile)
        login = await self._login(call, service, profile, {})
        metadata = write_metadata(_profile_metadata(call, service, profile, login)[0])
        try:
            return await reflect(connection, service, metadata, call.timeout_s)
        except NoReflectionError as error:
            raise StepError(
                f"service '{service}' has no specification, and its server {error.reason}",
                hint=f"add '{service}' to 'specs' of the sidecar",
            ) from None
        except TimeoutError:
            raise CallTimeoutError from None
        except (ConnectFailedError, ProxyRefusedError) as error:
            raise _unreachable(call, service, connection, error) from None
        except CallBrokenError as error:
            raise ProtocolViolation(_violation(error, connection.target)) from None

    async def call(
        self, call: StepCall, spec: ProtocolSpec, operation: Operation, types: MessageTypes, *, may_repeat: bool
    ) -> Reply:
        """Make a call; with another token once, if the first is over and it may be repeated.

        Raises what the port says.
        """
        service, profile = _profile(call)
        given = _given_metadata(call)
        messages = _messages(call.input, operation)
        requests = _encode(messages, call.input, operation, types)
        most = _most(call.input, operation)
        login = await self._login(call, service, profile, given)
        began = time.perf_counter()
        while True:
            connection = self._connection(call, service, profile)
            metadata, secret_keys = _metadata(call, service, profile, given, login)
            sent = _Sent(
                connection.target,
                connection.tls,
                operation,
                spec.file,
                messages,
                metadata,
                secret_keys,
                connection.proxy,
            )
            left_s = max(call.timeout_s - (time.perf_counter() - began), 0.001)
            outcome = await _made(call, service, connection, sent, requests, left_s, most)
            if outcome.status != _UNAUTHENTICATED or not login.was_used:
                break
            assert login.wanted is not None  # else nothing had been used
            assert login.token is not None
            self._tokens.discard(login.wanted, login.token)
            if not may_repeat:
                break
            login = await self._login(call, service, profile, given)
        response = _response(outcome, operation, types, sent)
        exchange = sent.exchange(response)
        # of a stream, what came until then is a reply; else there is none
        if outcome.is_out_of_time and not outcome.messages and not _expects(call, outcome.status):
            raise CallTimeoutError(exchange)
        return Reply(response, exchange, status_name=outcome.status)

    async def close(self) -> None:
        """Close every channel, and forget all tokens."""
        await self._tokens.close()
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()
        while self._connections:
            _, connection = self._connections.popitem()
            await connection.close()

    def _connection(self, call: StepCall, service: str, profile: ServiceProfile) -> Connection:
        target = Target.read(profile.base_url, service)
        tls = _tls(call, service, profile) if target.is_tls else TlsSettings(f"service '{service}'")
        proxy = _proxy(call, service, profile, tls)
        key = (target, tls, proxy)
        known = self._connections.get(key)
        if known is None or known.is_given_up:
            known = self._connections[key] = Connection(target, tls, proxy)
        return known

    async def _login(self, call: StepCall, service: str, profile: ServiceProfile, own: JsonObject) -> _Login:
        """Give what the profile's ``auth`` stands for; a specification of gRPC says nothing of security."""
        auth = profile.auth
        if auth is None:
            return _Login()
        bare = ProtocolSpec("grpc", service, "")
        uses = choose_auth(profile, Operation("", "", ""), bare, {"headers": own})
        _refuse_foreign(uses, service)
        asked = next((use for use in uses if use.kind is AuthKind.OAUTH2), None)
        if asked is None or auth.oauth2 is None:
            return _Login(write_auth(auth, uses, service, call.secrets, None).headers)
        wanted = token_request(auth.oauth2, asked, "", service, call.secrets)

        def client(route: HttpRoute) -> HttpClient:
            return self._client(route, service)

        token, was_used = await get_token(self._tokens, wanted, call, service, profile, client)
        return _Login(write_auth(auth, uses, service, call.secrets, token.text).headers, wanted, token, was_used)

    def _client(self, route: HttpRoute, service: str) -> HttpClient:
        from pytest_orchestra.protocols.http_client import HttpClient  # noqa: PLC0415  heavy: aiohttp

        known = self._clients.get(route)
        if known is None:
            known = self._clients[route] = HttpClient(route, service)
        return known


# ---- what is sent -------------------------------------------------------------------------------------------------


def _profile(call: StepCall) -> tuple[str, ServiceProfile]:
    assert call.step.endpoint_ref is not None  # the protocol has seen to it
    service, environment = call.step.endpoint_ref.service_name, call.environment
    profile = environment.services.get(service)
    if profile is None:
        raise UnknownAliasError(
            f"environment '{environment.name}' has no service '{service}'",
            hint=suggest(service, environment.services, f"add '{service}' to its 'services'"),
        )
    return service, profile


def _tls(call: StepCall, service: str, profile: ServiceProfile) -> TlsSettings:
    ref = profile.key_password_ref
    return TlsSettings(
        f"service '{service}'",
        profile.verify_tls,
        _path(call.environment, profile.ca_file),
        _path(call.environment, profile.certificate_file),
        _path(call.environment, profile.key_file),
        None if ref is None else _secret(call, ref, f"'keyPasswordRef' of service '{service}'"),
    )


def _path(environment: Environment, name: str | None) -> Path | None:
    if name is None:
        return None
    folder = Path(environment.place.file).parent if environment.place else Path()
    return folder / Path(name).expanduser()


def _secret(call: StepCall, ref: str, subject: str) -> Secret:
    secret = call.secrets.get(ref)
    if secret is None:
        raise SecretNotFoundError(
            f"{subject} needs secret '{ref}', which was not read", hint=f"set what '{ref}' refers to"
        )
    return secret


def _proxy(call: StepCall, service: str, profile: ServiceProfile, tls: TlsSettings) -> GrpcProxy | None:
    if profile.proxy is None:
        return None
    if not tls.verify:
        raise UnusableEnvironmentError(
            f"service '{service}' has 'verifyTls: false' and a 'proxy', behind which gRPC cannot look at a certificate",
            hint="name the authority's certificate in 'caFile', and take 'verifyTls' away",
        )
    route = HttpRoute.of(profile, call.environment, service, call.secrets, is_https=False)
    assert route.proxy is not None  # the profile has one
    return GrpcProxy(route.proxy, route.proxy_user, route.proxy_password)


def _profile_metadata(
    call: StepCall, service: str, profile: ServiceProfile, login: _Login
) -> tuple[dict[str, JsonValue], set[str]]:
    """Give what the environment adds to the step's own metadata, and which keys of it have secrets as values."""
    found: dict[str, JsonValue] = {name.lower(): value for name, value in profile.headers.items()}
    secret: dict[str, JsonValue] = {}
    for name, ref in profile.header_refs.items():
        secret[name.lower()] = _secret(call, ref, f"header '{name}' of service '{service}'").reveal()
    secret |= {name.lower(): value for name, value in login.headers.items()}
    return {**found, **secret}, set(secret)


def _refuse_foreign(uses: Sequence[AuthUse], service: str) -> None:
    """Raise ``UnusableEnvironmentError`` where credentials go where gRPC has no place for them."""
    for use in uses:
        if use.location != "header":
            raise UnusableEnvironmentError(
                f"'auth' of service '{service}' has an API key in the {use.location}, which gRPC calls cannot use",
                hint="leave 'in' away: it is a key of metadata then",
            )


def _given_metadata(call: StepCall) -> JsonObject:
    """Give what the step itself says."""
    own = call.input.get("metadata") or {}
    if not isinstance(own, Mapping):
        raise StepError("'metadata' holds keys and values", hint="write them as an object")
    return {**call.headers, **own}


def _metadata(
    call: StepCall, service: str, profile: ServiceProfile, given: JsonObject, login: _Login
) -> tuple[Metadata, frozenset[str]]:
    """Give the metadata of a call, and the keys whose values are secrets of the environment."""
    merged, secret_keys = _profile_metadata(call, service, profile, login)
    merged[call.correlation_header.lower()] = call.correlation_id
    if call.trace_parent:
        merged["traceparent"] = call.trace_parent
    for key, value in given.items():
        merged[key.lower()] = value
        secret_keys.discard(key.lower())
    return write_metadata(merged), frozenset(secret_keys)


def _messages(given: JsonObject, operation: Operation) -> tuple[JsonValue, ...]:
    many = given.get("messages")
    if many is None:
        message = given.get("message")
        return ({} if message is None else message,)
    if operation.method not in STREAMS_OUT:
        raise StepError(f"'{operation.name}' takes one message, not 'messages'", hint="write it as 'message'")
    if not isinstance(many, (list, tuple)):
        raise StepError("'messages' is a list of messages", hint="write each as an item of a list")
    return tuple({} if each is None else each for each in many)


def _encode(
    messages: Sequence[JsonValue], given: JsonObject, operation: Operation, types: MessageTypes
) -> tuple[bytes, ...]:
    kind = types.request_of(operation)
    is_one = given.get("messages") is None
    try:
        return tuple(
            types.encode(kind, each, "message" if is_one else f"messages[{index}]")
            for index, each in enumerate(messages)
        )
    except UnencodableError as error:
        raise StepError(error.fact, hint=error.hint) from None


def _most(given: JsonObject, operation: Operation) -> int | None:
    most = given.get("most")
    if most is None:
        return None
    if operation.method not in STREAMS_IN:
        raise StepError(f"'{operation.name}' gives one message, there is no 'most' of them", hint="take 'most' away")
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise StepError(f"'most' is '{most}'", hint="say how many messages are enough, 1 at least")
    return most


# ---- what came ----------------------------------------------------------------------------------------------------


async def _made(
    call: StepCall,
    service: str,
    connection: Connection,
    sent: _Sent,
    requests: Sequence[bytes],
    timeout_s: float,
    most: int | None,
) -> Outcome:
    """Make one call, with what it is told in of a reply that did not come. Raises what the port says."""
    try:
        return await connection.call(sent.operation.path, requests, sent.metadata, timeout_s, most)
    except TimeoutError:
        raise CallTimeoutError(sent.exchange()) from None
    except (ConnectFailedError, ProxyRefusedError) as error:
        raise _unreachable(call, service, connection, error) from None
    except CallBrokenError as error:
        raise ProtocolViolation(_violation(error, connection.target), sent.exchange()) from None


def _response(outcome: Outcome, operation: Operation, types: MessageTypes, sent: _Sent) -> JsonObject:
    kind = types.response_of(operation)
    try:
        messages = [types.decode(kind, each) for each in outcome.messages]
    except UndecodableError as error:
        if error.type_url is not None:
            raise StepError(
                f"the response {error.reason}, which the specification of '{operation.name}' lacks",
                hint="import the file that defines it",
            ) from None
        raise _malformed(f"the response is no '{kind.full_name}': {error.reason}", sent) from None
    if operation.method not in STREAMS_IN and outcome.status == "OK" and len(messages) != 1:
        came = "no message" if not messages else f"{len(messages)} messages"
        raise _malformed(f"status OK came with {came} where one belongs", sent)
    return {
        "status": outcome.status,
        "code": outcome.code,
        "details": outcome.details,
        "errorDetails": read_error_details(outcome.trailers, types),
        "message": messages[0] if messages else None,
        "messages": messages,
        "metadata": read_metadata(outcome.metadata),
        "trailers": read_metadata(outcome.trailers),
        "elapsedMs": round(outcome.elapsed_ms, 3),
    }


def _malformed(fact: str, sent: _Sent) -> ProtocolViolation:
    details: JsonObject = {"target": sent.target.address}
    return ProtocolViolation(Violation(ViolationType.GRPC_ERROR, "malformed-reply", fact, details), sent.exchange())


def _violation(error: CallBrokenError, target: Target) -> Violation:
    details: JsonObject = {"target": target.address, "reason": error.reason}
    return Violation(ViolationType.GRPC_ERROR, error.code, error.fact, details)


def _unreachable(
    call: StepCall, service: str, connection: Connection, error: ConnectFailedError | ProxyRefusedError
) -> OrchestraError:
    if isinstance(error, ProxyRefusedError):
        return proxy_refuses(connection.proxy.url if connection.proxy is not None else None, service)
    return UnreachableError(
        f"service '{service}' at '{connection.target.address}': {error.reason}",
        hint=error.hint or f"start the service, or correct its 'baseUrl' in environment '{call.environment.name}'",
    )


def _expects(call: StepCall, status: str) -> bool:
    expected = call.step.expected_status_code
    return status in (expected if isinstance(expected, list) else [expected])


def _shown_response(response: JsonObject) -> JsonObject:
    shown: dict[str, JsonValue] = {name: response[name] for name in ("status", "code", "details")}
    if response["errorDetails"]:
        shown["errorDetails"] = shorten(response["errorDetails"], _SHOWN_LIMIT)
    for name in ("metadata", "trailers"):
        shown[name] = mask_headers(cast("JsonObject", response[name]))
    messages = response["messages"]
    if isinstance(messages, list) and len(messages) <= 1:
        shown["message"] = shorten(response["message"], _SHOWN_LIMIT)
    else:
        shown["messages"] = shorten(messages, _SHOWN_LIMIT)
    return shown


def _text(key: str, value: str | bytes) -> str:
    return str(read_metadata([(key, value)])[key])
