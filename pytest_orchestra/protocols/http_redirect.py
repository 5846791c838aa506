"""What is asked next when a reply leads elsewhere (RFC 9110, section 15.4). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from pytest_orchestra.data.redaction import is_sensitive_name
from pytest_orchestra.protocols.request import HttpRequest
from pytest_orchestra.protocols.set_cookie import cookie_header

__all__ = ["MOST_REDIRECTS", "follow", "origin_of"]

MOST_REDIRECTS = 10
_KEEPING = frozenset({307, 308})
_STATUSES = frozenset({301, 302, 303}) | _KEEPING
_OF_BODY = re.compile(r"content-|idempotency-key$|transfer-encoding$", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def follow(
    request: HttpRequest,
    status: int,
    location: str | None,
    *,
    secret_headers: Collection[str],
    cookies: Mapping[str, str],
) -> HttpRequest | None:
    """Give the request that a reply leads to; None where it leads nowhere that HTTP can go.

    303 asks with GET, as do 301 and 302 after a POST; 307 and 308 ask again as before. To another origin no credentials
    go along: no ``secret_headers`` (lower case), and none whose names say that they are credentials. ``cookies`` are
    those that the replies on the way have set at this origin.
    """
    if status not in _STATUSES or location is None:
        return None
    try:
        parts = urlsplit(urljoin(request.url, location.strip()))
        parts = parts._replace(
            path=quote(parts.path, safe="/%:@!$&'()*+,;=~") or "/", query=quote(parts.query, safe="/%:@!$&'()*+,;=?~")
        )
        origin = origin_of(urlunsplit(parts))
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    headers = dict(request.headers)
    method, content, body = request.method, request.content, request.body
    if (status == 303 and method != "HEAD") or (status not in _KEEPING and method == "POST"):  # noqa: PLR2004
        method, content, body = "GET", None, None
        headers = {name: value for name, value in headers.items() if not _OF_BODY.match(name)}
    is_same = origin == origin_of(request.url)
    if not is_same:
        headers = {
            name: value
            for name, value in headers.items()
            if name.lower() not in secret_headers and not is_sensitive_name(name) and name.lower() != "host"
        }
    elif cookies:
        name = next((name for name in headers if name.lower() == "cookie"), "Cookie")
        before = dict(pair.split("=", 1) for pair in headers.get(name, "").split("; ") if "=" in pair)
        headers[name] = cookie_header({**before, **cookies})
    netloc = parts.netloc.rpartition("@")[2]
    return HttpRequest(method, urlunsplit((parts.scheme, netloc, parts.path, parts.query, "")), headers, content, body)


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Give scheme, host and port. Raises ``ValueError`` where the port is none."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
