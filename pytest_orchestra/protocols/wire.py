"""What comes back over the wire, or why nothing does."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BrokenReplyError", "ConnectFailedError", "ProxyRefusedError", "RawReply"]


class ConnectFailedError(Exception):
    """No connection came about: ``reason`` says why, ``hint`` what to do where more is known than that."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class ProxyRefusedError(Exception):
    """The proxy wants credentials that it was not given."""


class BrokenReplyError(Exception):
    """The peer took the connection and broke it, or answered with something else than HTTP.

    ``code`` is short and stable: ``connection-lost``, ``malformed-reply``, ``body-too-long``.
    """

    def __init__(self, code: str, fact: str) -> None:
        super().__init__(fact)
        self.code = code
        self.fact = fact


@dataclass(frozen=True, slots=True)
class RawReply:
    """A reply as it came: header names in lower case, repeated headers joined, ``content`` decompressed.

    ``set_cookies`` are the ``Set-Cookie`` headers one by one: joined, they could not be told apart.
    """

    status: int
    headers: dict[str, str]
    content: bytes
    elapsed_ms: float
    set_cookies: tuple[str, ...] = ()
