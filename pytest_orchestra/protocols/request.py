"""An HTTP request: built from an operation, a step's rendered input and a service's profile. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pytest_orchestra.errors import StepError, UnusableEnvironmentError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import Operation, Parameter
from pytest_orchestra.protocols.body_files import FORM, FileRef, find_files, is_multipart
from pytest_orchestra.protocols.media_type import essence_of, is_json, is_text
from pytest_orchestra.protocols.multipart import decode_base64, encode_multipart
from pytest_orchestra.protocols.parameter_style import (
    cookie_text,
    header_text,
    path_text,
    query_pairs,
)
from pytest_orchestra.protocols.suggestion import nearest_name, suggest

__all__ = [
    "BaseAddress",
    "HttpRequest",
    "basic_authorization",
    "body_files",
    "build_request",
    "find_input_faults",
    "sent_media_type",
]

_JSON = "application/json"
_GROUPS = ("path", "query", "headers", "cookies")
_INPUT_KEYS = (*_GROUPS, "body", "mediaType")
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding"})
_SCHEME_AND_AUTHORITY = re.compile(r"^[^:/?]*://[^/?]*")
_VARIABLE = re.compile(r"\{([^{}]+)\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What goes over the wire. ``url`` is percent-encoded throughout, ``body`` is ``content`` as people read it."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None
    body: JsonValue = None

    @property
    def target(self) -> str:
        """What of the URL goes to the server: path and query, which begin with a slash."""
        rest = _SCHEME_AND_AUTHORITY.sub("", self.url, count=1)
        return rest if rest.startswith("/") else f"/{rest}"


@dataclass(frozen=True, slots=True)
class BaseAddress:
    """A service's base URL: ``url`` without user, trailing slash or fragment; ``authorization`` for its user, if any.

    ``origin`` is ``scheme://host:port``.
    """

    url: str
    origin: str
    is_https: bool
    authorization: str | None = None

    @classmethod
    @lru_cache(maxsize=256)
    def read(cls, base_url: str, service: str) -> BaseAddress:
        """Read a base URL; each is read once. Raises ``UnusableEnvironmentError`` where it is none."""
        try:
            parts = urlsplit(base_url.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not host:
            raise UnusableEnvironmentError(
                f"service '{service}' has base URL '{base_url}', which is no address of HTTP",
                hint="write it as 'http://host:port' or 'https://host:port/prefix'",
            )
        del port  # reading it is what checks it
        netloc = parts.netloc.rpartition("@")[2]
        path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        return cls(
            url=urlunsplit((parts.scheme, netloc, path, "", "")),
            origin=f"{parts.scheme}://{netloc}",
            is_https=parts.scheme == "https",
            authorization=_of_user(parts.username, parts.password) if parts.username is not None else None,
        )


def _of_user(user: str, password: str | None) -> str:
    return basic_authorization(unquote(user), unquote(password or ""))


def basic_authorization(user: str, password: str) -> str:
    """Write user and password as the value of ``Authorization`` (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def build_request(
    operation: Operation,
    data: JsonObject,
    address: BaseAddress,
    profile_headers: Mapping[str, str],
    files: Mapping[str, bytes] | None = None,
) -> HttpRequest:
    """Build the request for an operation. ``data`` has the keys of a step's ``inputTemplate``, rendered.

    ``files`` has the content of those that :func:`body_files` gives.

    What the step says goes before what the profile says; a header, parameter or body that is null is left out.
    Raises ``StepError``.
    """
    for fault, hint in find_input_faults(operation, data):
        raise StepError(fault, hint=hint)
    try:
        url = address.url + _path(operation, _group(data, "path"))
        query = _query(operation, _group(data, "query"))
        content, body, media_type = _content(operation, data, files or {})
        headers = _headers(operation, data, address, profile_headers)
    except UnicodeEncodeError:
        raise StepError(
            "the input holds half of a surrogate pair, which is no character", hint="see where its value comes from"
        ) from None
    if media_type is not None and (is_multipart(media_type) or not _names_content_type(data)):
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        headers["Content-Type"] = media_type
    return HttpRequest(operation.method.upper(), f"{url}?{query}" if query else url, headers, content, body)


def _names_content_type(data: JsonObject) -> bool:
    return "content-type" in {name.lower() for name in _group(data, "headers")}


def body_files(operation: Operation, data: JsonObject) -> set[str]:
    """Give the paths of the files that the body is made of."""
    body = data.get("body")
    return set(find_files(body, sent_media_type(operation, data))) if isinstance(body, Mapping) else set()


def sent_media_type(operation: Operation, data: JsonObject) -> str:
    """Give the media type that a body is written in: the input's ``mediaType``, else what the operation takes."""
    asked = data.get("mediaType")
    if asked is not None and not isinstance(asked, str):
        raise StepError("input 'mediaType' is no text", hint=f"write for example '{_JSON}'")
    return asked or _default_media_type(operation)


def find_input_faults(operation: Operation, data: JsonObject) -> Iterator[tuple[str, str]]:
    """Give what is wrong with the keys of an input, rendered or not, each as a fact and a hint.

    What only rendering can tell (a group that is one template) is passed over.
    """
    for key in data:
        if key not in _INPUT_KEYS and "{{" not in key:
            yield (
                f"input of operation '{operation.name}' has an unknown key '{key}'",
                suggest(key, _INPUT_KEYS, f"use one of: {', '.join(_INPUT_KEYS)}"),
            )
    for group in _GROUPS:
        members = data.get(group)
        is_template = isinstance(members, str) and "{{" in members
        if members is not None and not isinstance(members, Mapping) and not is_template:
            yield f"input '{group}' of operation '{operation.name}' is no object", f"write '{group}: {{name: value}}'"
    yield from _find_path_faults(operation, data.get("path"))


def _find_path_faults(operation: Operation, given: JsonValue) -> Iterator[tuple[str, str]]:
    names = {} if given is None else given
    if not isinstance(names, Mapping) or any("{{" in name for name in names):
        return
    wanted = _path_names(operation.path)
    unknown = [name for name in names if name not in wanted]
    for name in wanted:
        if name not in names:
            meant = nearest_name(name, unknown)
            yield (
                f"operation '{operation.name}' needs path parameter '{name}'",
                f"'{meant}' may be meant for it" if meant else f"add 'path: {{{name}: ...}}' to the input",
            )
    for name in unknown:
        if not any(nearest_name(missing, [name]) for missing in wanted if missing not in names):
            yield (
                f"operation '{operation.name}' has no path parameter '{name}'",
                suggest(name, wanted, f"its path is '{operation.path}'"),
            )


@lru_cache(maxsize=1024)
def _path_names(path: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_VARIABLE.findall(path)))


def _group(data: JsonObject, name: str) -> JsonObject:
    return cast("JsonObject", data.get(name) or {})


def _path(operation: Operation, values: JsonObject) -> str:
    declared = operation.declared["path"]

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        parameter = declared.get(name)
        if parameter is None:
            return path_text(name, values[name])
        return path_text(name, _written(values[name], parameter), parameter.style, parameter.explode)

    return _VARIABLE.sub(fill, _quoted_template(operation.path))


@lru_cache(maxsize=1024)
def _quoted_template(path: str) -> str:
    """Percent-encode the specification's own text of a path, which may hold spaces or umlauts, around its names."""
    parts = _VARIABLE.split(path)  # the odd ones are names
    return "".join(
        f"{{{part}}}" if index % 2 else quote(part, safe="/%:@!$&'()*+,;=~") for index, part in enumerate(parts)
    )


def _query(operation: Operation, values: JsonObject) -> str:
    declared = operation.declared["query"]
    pairs: list[str] = []
    for name, value in values.items():
        parameter = declared.get(name)
        if parameter is None:
            pairs += query_pairs(name, value)
        else:
            pairs += query_pairs(name, _written(value, parameter), parameter.style or "form", parameter.explode)
    return "&".join(pairs)


def _headers(
    operation: Operation, data: JsonObject, address: BaseAddress, profile_headers: Mapping[str, str]
) -> dict[str, str]:
    declared = operation.declared["header"]
    merged: dict[str, tuple[str, JsonValue]] = {}
    if address.authorization is not None:
        merged["authorization"] = ("Authorization", address.authorization)
    cookies = cookie_text(_group(data, "cookies"))
    for source in (cast("JsonObject", profile_headers), _group(data, "headers")):
        merged |= {name.lower(): (name, value) for name, value in source.items()}
    if cookies:
        _, before = merged.get("cookie", ("", None))
        merged["cookie"] = ("Cookie", f"{before}; {cookies}" if before else cookies)
    written: dict[str, str] = {}
    for key, (name, value) in merged.items():
        if value is None:
            continue
        if not _HEADER_NAME.fullmatch(name):
            raise StepError(f"'{name}' is no name of a header", hint="use letters, digits and hyphens")
        if key in _FRAMING_HEADERS:
            raise StepError(f"header '{name}' is for the client to write", hint="leave it out")
        parameter = declared.get(key)
        if parameter is None:
            written[name] = header_text(name, value)
        else:
            written[name] = header_text(name, _written(value, parameter), parameter.explode)
    return written


def _written(value: JsonValue, parameter: Parameter) -> JsonValue:
    """Give a value as the text that the parameter's own media type makes of it, where it has one."""
    if value is None or parameter.media_type is None or not is_json(parameter.media_type):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _content(
    operation: Operation, data: JsonObject, files: Mapping[str, bytes]
) -> tuple[bytes | None, JsonValue, str | None]:
    """Give the body's bytes, the body as people read it, and its media type; all None where there is none."""
    body = data.get("body")
    if body is None:
        return None, None, None
    media_type = sent_media_type(operation, data)
    if is_multipart(media_type) and isinstance(body, Mapping):
        content, media_type = encode_multipart(body, media_type, files)
        return content, body, media_type
    return _encode(body, media_type, files), body, media_type


def _default_media_type(operation: Operation) -> str:
    """Give JSON, unless the operation declares media types and none of them is JSON: then its first."""
    declared = [body.media_type for body in operation.request_bodies]
    if any("*" in media_type for media_type in declared):
        declared = []
    return next((media_type for media_type in declared if is_json(media_type)), declared[0] if declared else _JSON)


def _encode(body: JsonValue, media_type: str, files: Mapping[str, bytes]) -> bytes:
    if is_json(media_type):
        try:
            return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except ValueError as error:
            if isinstance(error, UnicodeEncodeError):
                raise
            raise StepError(
                "the body holds NaN or Infinity, which JSON cannot write", hint="see where its value comes from"
            ) from None
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, Mapping):
        if essence_of(media_type) == FORM:
            return "&".join(_form_pairs(body)).encode()
        ref = FileRef.of(body)
        if ref is not None:
            return files[ref.path] if ref.path is not None else decode_base64(ref.base64 or "")
    if is_text(media_type) and isinstance(body, (bool, int, float)):
        return json.dumps(body).encode()
    raise StepError(
        f"a body of media type '{media_type}' cannot be made of this input",
        hint="give it as a text, as '{base64: ...}' or '{file: ...}', or choose another 'mediaType'",
    )


def _form_pairs(body: JsonObject) -> Iterator[str]:
    for name, value in body.items():
        style = "deepObject" if isinstance(value, Mapping) else "form"
        # the form's own encoding (WHATWG URL, section 5) leaves fewer characters as they are and writes '+' for a space
        yield from (pair.replace("%20", "+") for pair in query_pairs(name, value, style, safe="*"))
