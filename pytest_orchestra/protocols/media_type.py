"""Media types: what they say about a body (RFC 9110, section 8.3; RFC 6838, section 4.2.8)."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["charset_of", "essence_of", "is_json", "is_text", "media_type_matches"]

_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_TEXTUAL = frozenset(
    {
        "application/graphql",
        "application/javascript",
        "application/sql",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
    }
)


@lru_cache(maxsize=256)
def essence_of(media_type: str) -> str:
    """Give ``type/subtype`` in lower case, without parameters."""
    return media_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def is_json(media_type: str) -> bool:
    """Tell whether a body of this type is one JSON text."""
    essence = essence_of(media_type)
    return essence in {"application/json", "text/json"} or essence.endswith("+json")


@lru_cache(maxsize=256)
def is_text(media_type: str) -> bool:
    """Tell whether a body of this type is for reading."""
    essence = essence_of(media_type)
    return essence.startswith("text/") or essence.endswith(("+xml", "+yaml", "+json")) or essence in _TEXTUAL


def charset_of(media_type: str) -> str | None:
    """Give the ``charset`` parameter, if any."""
    found = _CHARSET.search(media_type)
    return found[1] if found else None


def media_type_matches(media_type: str, declared: str) -> bool:
    """Tell whether a media type falls under a declared one, which may be a range (``text/*``); parameters do not count.

    >>> media_type_matches("application/json; charset=utf-8", "application/*")
    True
    """
    essence, wanted = essence_of(media_type), essence_of(declared)
    if wanted in {"*/*", "*", essence}:
        return True
    return wanted.endswith("/*") and essence.startswith(wanted[:-1])
