"""The proxy that a gRPC channel goes through."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.wire import ConnectFailedError, ProxyRefusedError

__all__ = ["GrpcProxy", "proxy_refusal", "without_exceptions"]

_EXCEPTIONS: Final = "no_grpc_proxy"
_ANSWER: Final = re.compile(r"HTTP proxy returned response code (\d+)")
_WANTS_CREDENTIALS: Final = "407"
_UNCONNECTED: Final = ("connection refused", "its name does not resolve", "no connection came about in time")


@dataclass(frozen=True, slots=True)
class GrpcProxy:
    """A proxy of HTTP that makes tunnels; ``url`` is without user."""

    url: str
    user: Secret | None = None
    password: Secret | None = None

    @property
    def options(self) -> tuple[tuple[str, str | int], ...]:
        """The channel's options; they have the password."""
        scheme, _, address = self.url.partition("://")
        login = ""
        if self.user is not None:
            password = self.password.reveal() if self.password is not None else ""
            login = f"{quote(self.user.reveal(), safe='')}:{quote(password, safe='')}@"
        return ("grpc.enable_http_proxy", 1), ("grpc.http_proxy", f"{scheme}://{login}{address}")


@contextmanager
def without_exceptions() -> Iterator[None]:
    """Let the process environment except no host from the proxy while a channel is made: a profile says all of it."""
    before = os.environ.get(_EXCEPTIONS)
    os.environ[_EXCEPTIONS] = ""
    try:
        yield
    finally:
        if before is None:
            del os.environ[_EXCEPTIONS]
        else:
            os.environ[_EXCEPTIONS] = before


def proxy_refusal(details: str, told: ConnectFailedError) -> ConnectFailedError | ProxyRefusedError:
    """Give why no connection came about, of which ``told`` is what would be said if there were no proxy."""
    answered = _ANSWER.search(details)
    if answered is not None and answered[1] == _WANTS_CREDENTIALS:
        return ProxyRefusedError()
    if answered is not None:
        return ConnectFailedError(f"its proxy answered with status {answered[1]}", "correct 'proxy' of its profile")
    if told.reason in _UNCONNECTED:
        return ConnectFailedError(f"its proxy cannot be reached: {told.reason}", "start the proxy, or correct 'proxy'")
    return told
