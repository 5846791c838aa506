"""Which credentials of a profile an operation gets, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast
from urllib.parse import urljoin

from pytest_orchestra.errors import UnusableEnvironmentError
from pytest_orchestra.model.environment import BasicAuth, OAuth2Auth, ServiceAuth, ServiceProfile
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.model.specification import Operation, ProtocolSpec, SecurityNeed, SecurityScheme
from pytest_orchestra.protocols.http_route import find_secret
from pytest_orchestra.protocols.oauth_tokens import TokenRequest
from pytest_orchestra.protocols.request import basic_authorization

__all__ = ["AuthKind", "AuthUse", "Credentials", "choose_auth", "token_request", "write_auth"]


class AuthKind(StrEnum):
    """The fields of a profile's ``auth``."""

    BASIC = "basic"
    BEARER = "bearer"
    API_KEY = "apiKey"
    OAUTH2 = "oauth2"


@dataclass(frozen=True, slots=True)
class AuthUse:
    """Credentials that a call is to carry: for an API key ``name``, ``location`` and ``ref``, for OAuth2 ``scopes``."""

    kind: AuthKind
    name: str = "Authorization"
    location: str = "header"
    ref: str = ""
    scopes: tuple[str, ...] = ()
    token_url: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Where it goes: ``(header, authorization)``."""
        return self.location, self.name.lower() if self.location == "header" else self.name


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request carries besides: secret all of it."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)

    def added_to(self, data: JsonObject) -> JsonObject:
        """Give an input with the query parameters and cookies among its own."""
        added: dict[str, object] = dict(data)
        for group, values in (("query", self.query), ("cookies", self.cookies)):
            own = data.get(group) or {}
            if values and isinstance(own, Mapping):
                added[group] = {**own, **values}
        return cast("JsonObject", added)


def choose_auth(
    profile: ServiceProfile, operation: Operation, spec: ProtocolSpec, data: JsonObject
) -> tuple[AuthUse, ...]:
    """Choose the credentials of the profile's ``auth`` for an operation; none for what the step or the profile writes.

    The first alternative of the specification counts that can be met. Where the specification says nothing of
    security, or of none of its schemes what it is, everything that the profile has is used.
    Raises ``UnusableEnvironmentError`` where no alternative can be met.
    """
    auth = profile.auth
    assert auth is not None
    given = set(_places_given(profile, data))
    needs = operation.security_needs
    if needs is None or (needs and not any(need.scheme in spec.security_schemes for all_ in needs for need in all_)):
        return tuple(use for use in _all_uses(auth, spec) if use.place not in given)
    for alternative in sorted(needs, key=lambda each: not each):  # credentials go before going without
        uses = [_use(auth, need, spec) for need in alternative]
        places = [_place(spec.security_schemes.get(need.scheme)) for need in alternative]
        if all(use is not None or place in given or place is None for use, place in zip(uses, places, strict=True)):
            return tuple(use for use in uses if use is not None and use.place not in given)
    if not needs:
        return ()
    wanted = " or ".join(" and ".join(f"'{need.scheme}'" for need in all_) for all_ in needs)
    raise UnusableEnvironmentError(
        f"operation '{operation.name}' of service '{spec.service_name}' asks for {wanted}, "
        "for which 'auth' has nothing",
        hint=_wanted_hint(needs[0], spec),
    )


def _wanted_hint(needs: tuple[SecurityNeed, ...], spec: ProtocolSpec) -> str:
    scheme = next((spec.security_schemes[need.scheme] for need in needs if need.scheme in spec.security_schemes), None)
    if scheme is None:
        return "add it to 'auth' of the service"
    if scheme.kind == "apiKey":
        return "add 'apiKey' to 'auth' of the service"
    if scheme.kind == "http" and scheme.http_scheme not in {"basic", "bearer"}:
        return "give the header by 'headerRefs'"
    kind = AuthKind.OAUTH2 if scheme.kind == "oauth2" else AuthKind.BEARER
    return f"add '{AuthKind.BASIC if scheme.http_scheme == 'basic' else kind}' to 'auth' of the service"


def _places_given(profile: ServiceProfile, data: JsonObject) -> Iterator[tuple[str, str]]:
    for group, location in (("headers", "header"), ("query", "query"), ("cookies", "cookie")):
        own = data.get(group)
        for name in own if isinstance(own, Mapping) else ():
            yield location, name.lower() if location == "header" else name
    for name in (*profile.headers, *profile.header_refs):
        yield "header", name.lower()


def _all_uses(auth: ServiceAuth, spec: ProtocolSpec) -> Iterator[AuthUse]:
    """Give what goes along where the specification does not choose; a scheme of it that is the only one says where."""
    if auth.oauth2 is not None:
        granting = _only_scheme(spec, "oauth2")
        url = dict(granting.token_urls).get(auth.oauth2.grant) if granting is not None else None
        yield AuthUse(AuthKind.OAUTH2, token_url=url)
    elif auth.bearer is not None:
        yield AuthUse(AuthKind.BEARER)
    elif auth.basic is not None:
        yield AuthUse(AuthKind.BASIC)
    if auth.api_key is None:
        return
    if auth.api_key.name is None:
        keyed = _only_scheme(spec, "apiKey")
        if keyed is not None:
            yield AuthUse(AuthKind.API_KEY, keyed.parameter, keyed.location, auth.api_key.value_ref)
            return
        raise UnusableEnvironmentError(
            f"the specification of service '{spec.service_name}' does not say where its API key goes",
            hint="give 'apiKey' of its 'auth' a 'name', and 'in: query' or 'in: cookie' where it is no header",
        )
    yield AuthUse(AuthKind.API_KEY, auth.api_key.name, auth.api_key.location, auth.api_key.value_ref)


def _only_scheme(spec: ProtocolSpec, kind: str) -> SecurityScheme | None:
    """Give the scheme of a kind where there is exactly one."""
    found = [scheme for scheme in spec.security_schemes.values() if scheme.kind == kind]
    return found[0] if len(found) == 1 else None


def _use(auth: ServiceAuth, need: SecurityNeed, spec: ProtocolSpec) -> AuthUse | None:
    """Give the credentials for one scheme; None where the profile has none."""
    scheme = spec.security_schemes.get(need.scheme)
    if scheme is None:
        return None
    if scheme.kind == "apiKey":
        ref = auth.api_key_refs.get(scheme.name) or (auth.api_key.value_ref if auth.api_key is not None else None)
        return AuthUse(AuthKind.API_KEY, scheme.parameter, scheme.location, ref) if ref else None
    if scheme.kind == "http" and scheme.http_scheme == "basic":
        return AuthUse(AuthKind.BASIC) if auth.basic is not None else None
    if scheme.kind not in {"oauth2", "openIdConnect"} and scheme.http_scheme != "bearer":
        return None
    if auth.oauth2 is not None and (scheme.kind != "http" or auth.bearer is None):
        url = dict(scheme.token_urls).get(auth.oauth2.grant)
        return AuthUse(AuthKind.OAUTH2, scopes=need.scopes, token_url=url)
    return AuthUse(AuthKind.BEARER) if auth.bearer is not None else None


def _place(scheme: SecurityScheme | None) -> tuple[str, str] | None:
    """Give where a scheme's credentials go; None for what is no part of a request: the client's certificate."""
    if scheme is None:
        return "header", "authorization"
    if scheme.kind == "mutualTLS":
        return None
    if scheme.kind == "apiKey":
        return AuthUse(AuthKind.API_KEY, scheme.parameter, scheme.location).place
    return "header", "authorization"


def token_request(
    oauth2: OAuth2Auth, use: AuthUse, base_url: str, service: str, secrets: Mapping[str, Secret]
) -> TokenRequest:
    """Give the token that a use asks for. Raises ``SecretNotFoundError`` and ``UnusableEnvironmentError``."""
    url = oauth2.token_url or (urljoin(f"{base_url}/", use.token_url) if use.token_url else None)
    if url is None:
        raise UnusableEnvironmentError(
            f"nothing says where tokens for service '{service}' are fetched",
            hint="add 'tokenUrl' to 'oauth2' of its 'auth'",
        )

    def read(reference: str | None, name: str) -> Secret | None:
        return find_secret(reference, secrets, f"'auth.oauth2.{name}' of service '{service}'")

    client = Secret(oauth2.client_id) if oauth2.client_id is not None else read(oauth2.client_id_ref, "clientIdRef")
    assert client is not None  # one of the two is given
    is_user = oauth2.grant == "password"
    user = Secret(oauth2.username) if oauth2.username is not None else read(oauth2.username_ref, "usernameRef")
    return TokenRequest(
        url=url,
        client_id=client,
        client_secret=read(oauth2.client_secret_ref, "clientSecretRef"),
        in_body=oauth2.client_authentication == "body",
        user=user if is_user else None,
        password=read(oauth2.password_ref, "passwordRef") if is_user else None,
        scopes=tuple(oauth2.scopes) if oauth2.scopes is not None else use.scopes,
        parameters=tuple(oauth2.parameters.items()),
    )


def write_auth(
    auth: ServiceAuth, uses: tuple[AuthUse, ...], service: str, secrets: Mapping[str, Secret], token: Secret | None
) -> Credentials:
    """Write credentials as they are sent; ``token`` is that of OAuth2, if any. Raises ``SecretNotFoundError``."""
    groups: dict[str, dict[str, str]] = {"header": {}, "query": {}, "cookie": {}}
    for use in uses:
        groups.setdefault(use.location, {})[use.name] = _text(auth, use, service, secrets, token)
    return Credentials(groups["header"], groups["query"], groups["cookie"])


def _text(auth: ServiceAuth, use: AuthUse, service: str, secrets: Mapping[str, Secret], token: Secret | None) -> str:
    if use.kind is AuthKind.BASIC:
        assert auth.basic is not None
        return _basic(auth.basic, service, secrets)
    if use.kind is AuthKind.API_KEY:
        key = find_secret(use.ref, secrets, f"'auth.apiKey' of service '{service}'")
        assert key is not None
        return key.reveal()
    if use.kind is AuthKind.BEARER:
        assert auth.bearer is not None
        token = find_secret(auth.bearer.token_ref, secrets, f"'auth.bearer' of service '{service}'")
    assert token is not None
    return f"Bearer {token.reveal()}"


def _basic(basic: BasicAuth, service: str, secrets: Mapping[str, Secret]) -> str:
    password = find_secret(basic.password_ref, secrets, f"'auth.basic.passwordRef' of service '{service}'")
    user = basic.username
    if user is None:
        found = find_secret(basic.username_ref, secrets, f"'auth.basic.usernameRef' of service '{service}'")
        assert found is not None
        user = found.reveal()
    assert password is not None
    return basic_authorization(user, password.reveal())
