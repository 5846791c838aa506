"""URLs of models held against the servers and path templates of specifications."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from pytest_orchestra.generation.binding.words import joined

__all__ = ["Address", "Server", "match_path", "read_address"]

_TOKEN: Final = re.compile(r"\{\{.*?\}\}|\{[^{}]*\}")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)
_FIRST: Final = 0xE000
_LAST: Final = 0xF8FF
_HELD: Final = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_PARAMETER: Final = re.compile(r"\{([^{}]*)\}")
_PORTS: Final = {"http": "80", "https": "443"}
_HERE: Final = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "host.docker.internal")  # noqa: S104  nothing listens


@dataclass(frozen=True, slots=True)
class Address:
    """A URL whose expressions are single characters of a private range, so that paths can be compared.

    ``host`` is None where the URL does not tell the service's: it is a template, a loopback address, or not there.
    ``is_open`` says that a part of the path may be hidden in front of what is written.
    """

    host: str | None
    path: str
    query: tuple[tuple[str, str], ...] = ()
    is_open: bool = False
    held: tuple[str, ...] = field(default=(), repr=False)

    def value(self, text: str) -> str:
        """Give a part of the URL as a template: expressions as they were, the rest decoded."""
        pieces = []
        position = 0
        for match in _HELD.finditer(text):
            pieces += [unquote(text[position : match.start()]), self.held[ord(match[0]) - _FIRST]]
            position = match.end()
        return "".join([*pieces, unquote(text[position:])])


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a specification; ``host`` is None where it is relative to the place of the document."""

    host: str | None
    path: str

    @classmethod
    def read(cls, url: str) -> Server:
        """Read a URL of ``servers``."""
        match = _SCHEME.match(url)
        if match is None:
            return cls(None, f"/{url.strip('/')}".rstrip("/"))
        return cls(_host(match[1], match[2]), url[match.end() :].rstrip("/"))


def read_address(url: str) -> Address | None:
    """Read a URL with templates ``{{...}}`` and parameters ``{...}`` in it; None if it has more of them than anyone."""
    held = [match[0] for match in _TOKEN.finditer(url)]
    if len(held) > _LAST - _FIRST or _HELD.search(url):
        return None
    numbers = iter(range(len(held)))
    text = _TOKEN.sub(lambda _: chr(_FIRST + next(numbers)), url.strip())
    host: str | None = None
    is_open = False
    match = _SCHEME.match(text)
    if match is not None:
        host = None if _HELD.search(match[2]) or _is_here(match[2]) else _host(match[1], match[2])
        text = text[match.end() :]
    elif not text.startswith("/"):
        first, slash, rest = text.partition("/")
        is_open = True
        text = f"{slash}{rest}" if _HELD.match(first) else f"/{text}"
    path, _, query = text.partition("#")[0].partition("?")
    return Address(host, path or "/", tuple(parse_qsl(query, keep_blank_values=True)), is_open, tuple(held))


def match_path(address: Address, server: Server, template: str, suffix_of: str | None) -> dict[str, str] | None:
    """Give the parameters of a path template as an address has them, None if it is not an address of that path.

    ``suffix_of`` is the last word of what must stand in front of the address's path.
    """
    full = f"{server.path}{template}"
    if suffix_of is not None:
        return _match_end(address, full, suffix_of)
    wanted = [full]
    if address.is_open or (address.host is None and server.path):
        wanted.append(template)
    for candidate in wanted:
        found = _match(address, address.path, candidate)
        if found is not None:
            return found
    return None


def _match_end(address: Address, full: str, resource: str) -> dict[str, str] | None:
    tail = [part for part in address.path.split("/") if part]
    parts = [part for part in full.split("/") if part]
    front = parts[: len(parts) - len(tail)]
    if len(parts) <= len(tail) or joined(front[-1]) != joined(resource):
        return None
    return _match(address, "/" + "/".join(tail), "/" + "/".join(parts[len(front) :]))


def _match(address: Address, path: str, template: str) -> dict[str, str] | None:
    names = [match[1] for match in _PARAMETER.finditer(template)]
    match = re.fullmatch("".join(_pattern(template)), path if path == "/" else path.rstrip("/"))
    if match is None:
        return None
    return {name: address.value(text) for name, text in zip(names, match.groups(), strict=True)}


def _pattern(template: str) -> Iterator[str]:
    position = 0
    text = template if template == "/" else template.rstrip("/")
    for match in _PARAMETER.finditer(text):
        yield re.escape(text[position : match.start()])
        yield "([^/]+?)"
        position = match.end()
    yield re.escape(text[position:])


def _host(scheme: str, authority: str) -> str:
    host = authority.rpartition("@")[2].casefold()
    return host.removesuffix(f":{_PORTS.get(scheme.lower(), '')}")


def _is_here(authority: str) -> bool:
    host = authority.rpartition("@")[2].casefold()
    return host.partition(":")[0] in _HERE or host.startswith("[::1]")
