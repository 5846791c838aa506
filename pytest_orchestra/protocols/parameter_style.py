"""Parameters as text: OpenAPI's ``style`` and ``explode`` (OpenAPI 3.1.1, section 4.8.12), after RFC 6570.

Null is "undefined" there: a parameter, member or item that is null is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonObject, JsonValue

__all__ = ["cookie_text", "header_text", "path_text", "query_pairs", "scalar_text"]

_DELIMITERS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}

_QUERY_SAFE = ":@/?"
"""Reserved characters that may stand in a query and that no style uses as a delimiter (RFC 3986, section 3.4)."""

_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_COOKIE_SAFE = "!#$%&'()*+-./:<=>?@[]^_`{|}~"
"""The cookie-octets of RFC 6265, section 4.1.1, that are neither letters nor digits."""


def scalar_text(value: JsonValue, subject: str) -> str:
    """Give a string as it is and a number or truth value as JSON writes it.

    ``subject`` names the parameter in the ``StepError`` that a list or object raises.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    raise StepError(
        f"{subject} holds {'a list' if isinstance(value, Sequence) else 'an object'} where a text or number is needed",
        hint="give it a flat value",
    )


def path_text(name: str, value: JsonValue, style: str | None = None, explode: bool | None = None) -> str:
    """Give the text that takes the place of ``{name}`` in a path, percent-encoded.

    Raises ``StepError`` for a value that no path can carry: null, an empty text, ``.`` and ``..``.
    """
    subject = f"path parameter '{name}'"
    texts = _flat(value, subject, "")
    joined = ".".join(texts)
    if value is None or not joined:
        raise StepError(f"{subject} is empty", hint="see where its value comes from")
    if joined in {".", ".."} and style in {None, "simple"}:
        raise StepError(f"{subject} is '{joined}', which a URL takes for a folder", hint="use another value")
    is_object = isinstance(value, Mapping)
    pairs = [f"{k}={v}" for k, v in zip(texts[::2], texts[1::2], strict=True)] if is_object else []
    match style:
        case "label":
            return "." + (".".join(pairs or texts) if explode else ",".join(texts))
        case "matrix":
            escaped = quote(name, safe="")
            if not explode:
                return f";{escaped}={','.join(texts)}"
            return "".join(f";{pair}" for pair in pairs or [f"{escaped}={text}" for text in texts])
        case _:
            return ",".join(pairs if is_object and explode else texts)


def query_pairs(
    name: str, value: JsonValue, style: str | None = None, explode: bool | None = None, *, safe: str = _QUERY_SAFE
) -> list[str]:
    """Give a query parameter as ``name=value`` pairs, percent-encoded; none where the value is null or an empty list.

    ``style`` None is ``form``, and ``deepObject`` for an object, which ``form`` would strip of its name.
    """
    subject = f"query parameter '{name}'"
    if value is None:
        return []
    if style == "deepObject" or (style is None and isinstance(value, Mapping)):
        return _deep_pairs(name, value, safe)
    delimiter = _DELIMITERS.get(style or "form", ",")
    explodes = (style in {None, "form"}) if explode is None else explode
    texts = _flat(value, subject, safe)
    escaped = quote(name, safe=safe)
    if not explodes or not isinstance(value, (Mapping, list, tuple)):
        return [f"{escaped}={delimiter.join(texts)}"] if texts else []
    if isinstance(value, Mapping):
        return [f"{k}={v}" for k, v in zip(texts[::2], texts[1::2], strict=True)]
    return [f"{escaped}={text}" for text in texts]


def header_text(name: str, value: JsonValue, explode: bool | None = None) -> str:
    """Give a header's value, not encoded (style ``simple``). Raises ``StepError`` for control characters."""
    subject = f"header '{name}'"
    if isinstance(value, str):
        text = value
    elif isinstance(value, Mapping):
        sign = "=" if explode else ","
        text = ",".join(f"{k}{sign}{scalar_text(v, subject)}" for k, v in value.items() if v is not None)
    elif isinstance(value, (list, tuple)):
        text = ",".join(scalar_text(item, subject) for item in value if item is not None)
    else:
        text = scalar_text(value, subject)
    if _CONTROL_CHARACTER.search(text):
        raise StepError(f"{subject} holds a line break or control character", hint="see where its value comes from")
    return text.strip(" \t")


def cookie_text(cookies: JsonObject) -> str:
    """Give the value of a ``Cookie`` header; characters that a cookie cannot hold are percent-encoded."""
    pairs: list[str] = []
    for name, value in cookies.items():
        if value is not None:
            texts = _flat(value, f"cookie '{name}'", _COOKIE_SAFE)
            pairs.append(f"{quote(name, safe='!#$&*+-.^_`|~')}={','.join(texts)}")
    return "; ".join(pairs)


def _flat(value: JsonValue, subject: str, safe: str) -> list[str]:
    """Give the encoded texts of a scalar, of a list's items, or of an object's names and values in turn."""
    if isinstance(value, str):
        return [quote(value, safe=safe)]
    if isinstance(value, Mapping):
        members = [(k, v) for k, v in value.items() if v is not None]
        return [quote(text, safe=safe) for k, v in members for text in (k, scalar_text(v, subject))]
    items = value if isinstance(value, (list, tuple)) else [value]
    return [quote(scalar_text(item, subject), safe=safe) for item in items if item is not None]


def _deep_pairs(name: str, value: JsonValue, safe: str) -> list[str]:
    """Write ``name[key]=value``; nested objects go deeper, lists repeat their name, as most servers read it."""
    if isinstance(value, Mapping):
        return [pair for key, member in value.items() for pair in _deep_pairs(f"{name}[{key}]", member, safe)]
    subject = f"query parameter '{name}'"
    return [f"{quote(name, safe=safe)}={text}" for text in _flat(value, subject, safe)]
