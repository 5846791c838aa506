"""Bodies of several parts (RFC 7578 for ``multipart/form-data``, RFC 2046, section 5.1, for the rest)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.protocols.body_files import FileRef
from pytest_orchestra.protocols.media_type import essence_of

__all__ = ["decode_base64", "encode_multipart"]

_BOUNDARY = re.compile(r";\s*boundary\s*=\s*(?:\"([^\"]+)\"|([^\s;]+))", re.IGNORECASE)
_BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    content: bytes
    media_type: str | None = None
    filename: str | None = None


def encode_multipart(fields: JsonObject, media_type: str, files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Write fields as parts, in their order; give the body, and the media type with its boundary.

    A field that is null is left out, each item of a list is a part of its own, an object that names a file is that
    file, and another object is JSON. ``files`` has the content of files by path. The boundary depends on the parts
    alone, so that a request that is sent again is the same. Raises ``StepError``.
    """
    is_form = essence_of(media_type) == "multipart/form-data"
    parts = [part for name, value in fields.items() for part in _parts(name, value, files)]
    given = _BOUNDARY.search(media_type)
    boundary = (given[1] or given[2]) if given else _boundary(parts)
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + _head(part, is_form) + b"\r\n\r\n" + part.content + b"\r\n" for part in parts)
    return body + mark + b"--\r\n", media_type if given else f"{media_type}; boundary={boundary}"


def decode_base64(text: str, subject: str = "the body's 'base64'") -> bytes:
    """Give the bytes of a text in Base64. Raises ``StepError``."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise StepError(f"{subject} is not valid Base64", hint="see where its value comes from") from None


def _parts(name: str, value: JsonValue, files: Mapping[str, bytes]) -> Iterator[_Part]:
    if value is None:
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(name, item, files)
        return
    ref = FileRef.of(value)
    if ref is not None:
        yield _file_part(name, ref, files)
    elif isinstance(value, str):
        yield _Part(name, value.encode())
    elif isinstance(value, Mapping):
        yield _Part(name, _json(value), "application/json")
    else:
        yield _Part(name, _json(value))


def _json(value: JsonValue) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise
    except ValueError:
        raise StepError(
            "the body holds NaN or Infinity, which JSON cannot write", hint="see where its value comes from"
        ) from None


def _file_part(name: str, ref: FileRef, files: Mapping[str, bytes]) -> _Part:
    if ref.path is None:
        content, filename = decode_base64(ref.base64 or "", f"the 'base64' of field '{name}'"), ref.filename or name
    else:
        content, filename = files[ref.path], ref.filename or PurePath(ref.path).name
    return _Part(name, content, ref.media_type or mimetypes.guess_type(filename)[0] or _BINARY, filename)


def _head(part: _Part, is_form: bool) -> bytes:
    lines = []
    if is_form or part.filename is not None:
        disposition = f'Content-Disposition: {"form-data" if is_form else "attachment"}; name="{_quoted(part.name)}"'
        if part.filename is not None:
            disposition += f'; filename="{_quoted(part.filename)}"'
        lines.append(disposition)
    if part.media_type is not None:
        if "\r" in part.media_type or "\n" in part.media_type:
            raise StepError(f"the 'mediaType' of field '{part.name}' holds a line break", hint="write a media type")
        lines.append(f"Content-Type: {part.media_type}")
    return "\r\n".join(lines).encode()


def _quoted(text: str) -> str:
    """Escape what would end a quoted text, as browsers do (HTML, section 4.10.21.8)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _boundary(parts: list[_Part]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr((part.name, part.media_type, part.filename, len(part.content))).encode("utf-8", "replace"))
        digest.update(part.content)
    return f"orchestra-{digest.hexdigest()[:40]}"
