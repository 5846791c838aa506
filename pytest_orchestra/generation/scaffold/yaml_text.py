"""Writing YAML 1.2 with comments: mappings and lists in block style, texts in quotes wherever that is safer.

What is written means the same to YAML 1.1 (``yes``, ``010`` and dates are in quotes).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_orchestra.model.json import JsonValue

__all__ = ["as_comment", "block", "key_text", "scalar"]

_PLAIN: Final = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./()+'<>=!-]| (?=[A-Za-z0-9_(/'<>=!]))*", re.ASCII)
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_SHORT: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WIDTH: Final = 110
_LONGEST_KEY: Final = 900
_SURROGATES: Final = range(0xD800, 0xE000)
_BYTE: Final = 0x100
_BASIC: Final = 0x10000


def scalar(value: JsonValue) -> str:
    """Give a text, number, truth value or null in one line."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        return _float(value)
    return json.dumps(value)


def key_text(key: str) -> str:
    """Give a key with its colon; one too long for a simple key (1,024 characters) stands behind ``?``."""
    text = _text(key)
    return f"{text}:" if len(text) <= _LONGEST_KEY else f"? {text}\n:"


def block(value: JsonValue, indent: int = 0) -> Iterator[str]:
    """Give the lines of a value in block style; short mappings and lists of scalars stand in one line."""
    space = " " * indent
    if isinstance(value, Mapping) and value:
        for key, member in value.items():
            yield from _member(f"{space}{_indented(key_text(key), indent)}", member, indent)
    elif isinstance(value, list) and value:
        for item in value:
            lines = _inline(item, _WIDTH - indent)
            if lines is not None:
                yield f"{space}- {lines}"
                continue
            inner = list(block(item, indent + 2))
            yield f"{space}- {inner[0][indent + 2 :]}"
            yield from inner[1:]
    else:
        yield f"{space}{_inline(value, math.inf)}"


def as_comment(lines: Sequence[str], indent: int = 0) -> Iterator[str]:
    """Give lines as comments at an indentation; taken out of the comment they stand as they were."""
    space = " " * indent
    for line in lines:
        for part in line.splitlines() or [""]:
            rest = part.removeprefix(space)
            yield f"{space}# {rest}".rstrip()


def _member(key: str, value: JsonValue, indent: int) -> Iterator[str]:
    text = _inline(value, _WIDTH - len(key))
    if text is not None:
        yield f"{key} {text}"
        return
    yield key
    yield from block(value, indent + 2)


def _inline(value: JsonValue, width: float) -> str | None:
    """Give a value in one line: a scalar always, an empty container always, a flat small container if it is short."""
    if isinstance(value, Mapping):
        if any(isinstance(member, (Mapping, list)) and member for member in value.values()):
            return None
        if any(len(key) > _LONGEST_KEY for key in value):
            return None
        text = "{" + ", ".join(f"{_flow(key)}: {_flow(member)}" for key, member in value.items()) + "}"
    elif isinstance(value, list):
        if any(isinstance(item, (Mapping, list)) and item for item in value):
            return None
        text = "[" + ", ".join(_flow(item) for item in value) + "]"
    else:
        return scalar(value)
    return text if not value or (len(text) <= width and len(value) <= _FEW) else None


_FEW: Final = 3


def _flow(value: JsonValue) -> str:
    """Give a scalar, or an empty container, as it stands within brackets."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{}"
    return "[]" if isinstance(value, list) else scalar(value)


def _indented(key: str, indent: int) -> str:
    return key.replace("\n", f"\n{' ' * indent}")


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code in _SURROGATES:
        return "\\uFFFD"
    if character.isprintable():
        return character
    if code < _BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _BASIC else f"\\U{code:08x}"


def _float(value: float) -> str:
    """Give a float that is read as one: with a point, or as an integer where it is one and short."""
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    if e and "." not in mantissa:
        return f"{mantissa}.0e{exponent}"
    return text
