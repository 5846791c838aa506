"""Access tokens from the endpoint that a service's profile names, over the route that its calls take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.errors import UnreachableError, UnusableEnvironmentError
from pytest_orchestra.model.environment import ServiceProfile
from pytest_orchestra.protocols.http_route import HttpRoute, proxy_refuses
from pytest_orchestra.protocols.oauth_tokens import Token, TokenRequest, TokenStore
from pytest_orchestra.protocols.request import BaseAddress, HttpRequest
from pytest_orchestra.protocols.wire import BrokenReplyError, ConnectFailedError, ProxyRefusedError, RawReply

__all__ = ["Sender", "get_token"]

_LONGEST_S: Final = 30.0


class Sender(Protocol):
    """A client of HTTP."""

    async def send(self, request: HttpRequest, origin: str, timeout_s: float) -> RawReply:
        """Send a request and read the whole reply."""


async def get_token(
    tokens: TokenStore,
    wanted: TokenRequest,
    call: StepCall,
    service: str,
    profile: ServiceProfile,
    client: Callable[[HttpRoute], Sender],
) -> tuple[Token, bool]:
    """Give a token, and whether it had been used before; ``client`` gives who sends over a route.

    Raises ``LoginRefusedError``, ``UnreachableError`` and ``UnusableEnvironmentError``.
    """
    subject = wanted.subject
    try:
        address = BaseAddress.read(wanted.url, service)
    except UnusableEnvironmentError:
        raise UnusableEnvironmentError(
            f"{subject} of service '{service}' is no address of HTTP", hint="write 'tokenUrl' as 'https://host/path'"
        ) from None
    route = HttpRoute.of(profile, call.environment, service, call.secrets, is_https=address.is_https)
    route = replace(route, version="1.1")

    async def fetch(request: HttpRequest) -> RawReply:
        try:
            return await client(route).send(request, address.origin, _LONGEST_S)
        except TimeoutError:
            raise _no_token(subject, _LONGEST_S) from None
        except ProxyRefusedError:
            raise proxy_refuses(route.proxy, service) from None
        except (ConnectFailedError, BrokenReplyError) as error:
            reason = error.reason if isinstance(error, ConnectFailedError) else error.fact
            raise UnreachableError(f"{subject}: {reason}", hint="start it, or correct 'tokenUrl'") from None

    try:
        async with asyncio.timeout(call.timeout_s):
            return await tokens.get(wanted, fetch)
    except TimeoutError:
        raise _no_token(subject, call.timeout_s) from None


def _no_token(subject: str, timeout_s: float) -> UnreachableError:
    return UnreachableError(
        f"{subject}: no reply came within {round(timeout_s * 1000)} ms", hint="start it, or correct 'tokenUrl'"
    )
