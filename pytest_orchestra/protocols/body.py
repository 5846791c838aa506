"""The body of an HTTP reply as templates and rules see it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.protocols.media_type import charset_of, is_json, is_text

__all__ = ["Body", "read_body"]


@dataclass(frozen=True, slots=True)
class Body:
    """``value`` is parsed JSON, else text, else ``{"base64": ...}``, and None where there is none.

    ``defect`` says why a body that claims to be JSON is not, where that is so; ``value`` is then its text.
    """

    value: JsonValue = None
    defect: str | None = None


class _NoJsonError(ValueError):
    """A constant that Python's reader takes and JSON does not have."""


def _refuse(constant: str) -> JsonValue:
    raise _NoJsonError(f"'{constant}' is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def read_body(content: bytes, media_type: str | None) -> Body:
    """Read a body by what its ``Content-Type`` says; without one, what is valid UTF-8 is text."""
    if not content:
        return Body(None, "it is empty" if media_type is not None and is_json(media_type) else None)
    if media_type is not None and is_json(media_type):
        return _read_json(content)
    if media_type is None:
        try:
            return Body(content.decode())
        except UnicodeDecodeError:
            return Body({"base64": base64.b64encode(content).decode()})
    if is_text(media_type) or charset_of(media_type) is not None:
        return Body(_text(content, charset_of(media_type) or "utf-8"))
    return Body({"base64": base64.b64encode(content).decode()})


def _read_json(content: bytes) -> Body:
    encoding = json.detect_encoding(content)
    try:
        return Body(_DECODER.decode(content.decode(encoding)))
    except UnicodeDecodeError:
        return Body(_text(content, encoding), f"it is not valid {encoding.upper()}")
    except json.JSONDecodeError as error:
        return Body(_text(content, encoding), f"{error.msg.lower()} at line {error.lineno}, column {error.colno}")
    except _NoJsonError as error:
        return Body(_text(content, encoding), str(error))
    except ValueError:  # the interpreter's limit, sys.get_int_max_str_digits()
        return Body(_text(content, encoding), "one of its numbers has too many digits")
    except RecursionError:
        return Body(_text(content, encoding), "it nests too deep to be read")


def _text(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, errors="replace")
    except LookupError:
        return content.decode(errors="replace")
