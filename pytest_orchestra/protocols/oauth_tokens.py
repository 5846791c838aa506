"""Access tokens of OAuth 2.0 (RFC 6749), fetched once and shared by all calls until they expire."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from pytest_orchestra.data.redaction import mask_url
from pytest_orchestra.errors import LoginRefusedError, UnreachableError, UnusableEnvironmentError
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.request import HttpRequest
from pytest_orchestra.protocols.wire import RawReply

__all__ = ["Fetch", "Token", "TokenRequest", "TokenStore"]

_MOST_SLACK_S = 30.0
_SHOWN = 200
_REFUSALS = frozenset({400, 401, 403})

Fetch = Callable[[HttpRequest], Awaitable[RawReply]]
"""Sends a token request; raises ``UnreachableError`` where no reply comes."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token as a client asks for it. Equal requests share a token. With ``user``, the grant is ``password``."""

    url: str
    client_id: Secret
    client_secret: Secret | None = None
    in_body: bool = False
    user: Secret | None = None
    password: Secret | None = None
    scopes: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def subject(self) -> str:
        """How messages call the endpoint."""
        return f"token endpoint '{mask_url(self.url)}'"


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token that was given; on the store's clock, ``renew_at`` is when another one is fetched, None for never."""

    text: Secret
    renew_at: float | None = None
    refresh: Secret | None = None


class TokenStore:
    """The tokens of a session. Of each, one request is under way at most, whoever wants it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens: dict[TokenRequest, Token] = {}
        self._refresh: dict[TokenRequest, Secret] = {}
        self._fetching: dict[TokenRequest, asyncio.Task[Token]] = {}

    async def get(self, wanted: TokenRequest, fetch: Fetch) -> tuple[Token, bool]:
        """Give a token, and whether it had been used before.

        Raises ``LoginRefusedError`` where the token endpoint refuses, ``UnreachableError`` where it is away, and
        ``UnusableEnvironmentError`` where it answers with something else than a token.
        """
        known = self._tokens.get(wanted)
        if known is not None and (known.renew_at is None or self._clock() < known.renew_at):
            return known, True
        task = self._fetching.get(wanted)
        if task is None:
            task = self._fetching[wanted] = asyncio.create_task(self._renew(wanted, fetch))
            task.add_done_callback(lambda done: self._forget(wanted, done))
        # who gives up waiting must not take the token away from the others
        return await asyncio.shield(task), False

    def discard(self, wanted: TokenRequest, token: Token) -> None:
        """Forget a token that was not accepted, unless there is another one by now."""
        if self._tokens.get(wanted) is token:
            del self._tokens[wanted]

    async def close(self) -> None:
        """Forget all tokens."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tokens.clear()
        self._refresh.clear()

    def _forget(self, wanted: TokenRequest, done: asyncio.Task[Token]) -> None:
        self._fetching.pop(wanted, None)
        if not done.cancelled():
            done.exception()  # those who waited have it; if nobody did any more, nobody has to know

    async def _renew(self, wanted: TokenRequest, fetch: Fetch) -> Token:
        refresh = self._refresh.pop(wanted, None)
        token: Token | None = None
        if refresh is not None:
            reply = await fetch(_request(wanted, {"grant_type": "refresh_token", "refresh_token": refresh.reveal()}))
            if reply.status not in _REFUSALS:  # else the refresh token is over as well
                token = self._read(wanted, reply, refresh)
        if token is None:
            token = self._read(wanted, await fetch(_request(wanted, _grant(wanted))), None)
        self._tokens[wanted] = token
        if token.refresh is not None:
            self._refresh[wanted] = token.refresh
        return token

    def _read(self, wanted: TokenRequest, reply: RawReply, refresh: Secret | None) -> Token:
        """Read the reply of a token endpoint (RFC 6749, sections 5.1 and 5.2)."""
        subject = wanted.subject
        answer = _json(reply.content)
        if reply.status in _REFUSALS:
            reason = ": ".join(str(answer[key])[:_SHOWN] for key in ("error", "error_description") if answer.get(key))
            suspects = "user and password" if answer.get("error") == "invalid_grant" else "client, secret and scopes"
            raise LoginRefusedError(
                f"{subject} refuses: {reason or f'status {reply.status}'}",
                hint=f"check {suspects} of 'oauth2' in 'auth' of the service",
            )
        if reply.status != 200:  # noqa: PLR2004  the only status of a token
            raise UnreachableError(
                f"{subject} answered with status {reply.status}", hint="start it, or correct 'tokenUrl'"
            )
        text = answer.get("access_token")
        if not isinstance(text, str) or not text:
            raise UnusableEnvironmentError(f"{subject} answered without 'access_token'", hint="correct 'tokenUrl'")
        kind = answer.get("token_type", "Bearer")
        if str(kind).lower() != "bearer":
            raise UnusableEnvironmentError(
                f"{subject} gave a token of type '{str(kind)[:_SHOWN]}'", hint="have it give bearer tokens"
            )
        again = answer.get("refresh_token")
        return Token(
            Secret(text),
            self._renew_at(answer.get("expires_in")),
            Secret(again) if isinstance(again, str) and again else refresh,
        )

    def _renew_at(self, expires_in: object) -> float | None:
        try:
            lasts = float(str(expires_in))
        except ValueError:
            return None
        return self._clock() + lasts - min(_MOST_SLACK_S, lasts / 10)


def _grant(wanted: TokenRequest) -> dict[str, str]:
    fields = {"grant_type": "client_credentials"}
    if wanted.user is not None:
        password = wanted.password.reveal() if wanted.password is not None else ""
        fields = {"grant_type": "password", "username": wanted.user.reveal(), "password": password}
    if wanted.scopes:
        fields["scope"] = " ".join(wanted.scopes)
    return fields | dict(wanted.parameters)


def _request(wanted: TokenRequest, fields: Mapping[str, str]) -> HttpRequest:
    """Write a token request; the client says who it is as RFC 6749, section 2.3.1, tells."""
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    client, secret = wanted.client_id.reveal(), wanted.client_secret
    if wanted.in_body or secret is None:
        fields = {**fields, "client_id": client, **({"client_secret": secret.reveal()} if secret is not None else {})}
    else:
        pair = f"{quote_plus(client)}:{quote_plus(secret.reveal())}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return HttpRequest("POST", wanted.url, headers, urlencode(fields).encode())


def _json(content: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
