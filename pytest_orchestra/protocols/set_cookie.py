"""The cookies that replies set (RFC 6265, section 4.1), by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

__all__ = ["apply_cookies", "cookie_header"]


def apply_cookies(known: Mapping[str, str], set_cookies: Iterable[str]) -> dict[str, str]:
    """Give the cookies, name to value, as they are after these ``Set-Cookie`` headers; those that end are gone."""
    cookies = dict(known)
    for line in set_cookies:
        pair, *attributes = line.split(";")
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            continue
        if _is_over(attributes):
            cookies.pop(name.strip(), None)
        else:
            cookies[name.strip()] = _unquoted(value.strip())
    return cookies


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Write cookies as they are sent back, unchanged."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _is_over(attributes: Iterable[str]) -> bool:
    given = {name.strip().lower(): value.strip() for name, _, value in (each.partition("=") for each in attributes)}
    max_age = given.get("max-age", "")
    if max_age.removeprefix("-").isdecimal():
        return int(max_age) <= 0
    if "expires" not in given:
        return False
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  heavy, and cookies with a date are few

    try:
        expires = parsedate_to_datetime(given["expires"].replace("-", " "))
    except (ValueError, TypeError):
        return False
    return (expires if expires.tzinfo else expires.replace(tzinfo=UTC)) <= datetime.now(UTC)
