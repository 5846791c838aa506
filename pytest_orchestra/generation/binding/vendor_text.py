"""Expressions of vendors as templates of ours: ``${order.id}`` is ``{{data.order.id}}``.

Only what reads a value is carried over: names, paths, texts that are put together of such, objects and lists of FEEL.
All else is *untranslatable* and named, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.generation.binding.feel_value import FeelError, read_feel
from pytest_orchestra.generation.binding.template_text import read_data
from pytest_orchestra.model.json import JsonValue

__all__ = ["Translation", "translate_address", "translate_feel", "translate_json", "translate_juel"]

_EXPRESSION: Final = re.compile(r"[$#]\{([^{}]*)\}")
_NAME: Final = r"[^\W\d]\w*"
_PATH: Final = re.compile(rf"{_NAME}(?:\.{_NAME}(?!\s*\()|\[\s*(?:\d+|'[^']*'|\"[^\"]*\")\s*\])*")
_VARIABLE: Final = re.compile(r"execution\.getVariable\(\s*(?:'([^']*)'|\"([^\"]*)\")\s*\)")
_PART: Final = re.compile(rf"({_NAME})|\[\s*(\d+|'[^']*'|\"[^\"]*\")\s*\]")
_OURS: Final = ("{{", "{%", "{#")
_HELD: Final = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True, slots=True)
class Translation:
    """A value as a template of ours, None where nothing of it could be carried over, and what could not."""

    value: JsonValue
    untranslatable: tuple[str, ...] = ()


def translate_juel(text: str) -> Translation:
    """Translate a text with ``${...}`` or ``#{...}`` in it."""
    failed = _failing(text)
    return Translation(None, failed) if failed else Translation(_EXPRESSION.sub(_template, text))


def translate_feel(text: str) -> Translation:
    """Translate a source of Camunda 8: FEEL behind ``=``, else a constant."""
    stripped = text.strip()
    if not stripped.startswith("="):
        return Translation(None, (text,)) if _is_ours(text) else Translation(text)
    try:
        return Translation(read_feel(stripped[1:]))
    except FeelError:
        return Translation(None, (stripped,))


def translate_address(text: str) -> Translation:
    """Translate a URL with ``${...}`` in it. What cannot be translated is a parameter of which only the place is known.

    Where the URL begins with such an expression it stands for the host, which the environment gives: nothing is lost.
    """
    rest = _EXPRESSION.sub("", text)
    if _is_ours(rest) or "${" in rest or "#{" in rest:
        return Translation(None, (text,))
    failed: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if _path(match[1]) is not None:
            return _template(match)
        if match.start() > 0:
            failed.append(match[0])
        return f"{{_{match.start()}}}"

    value = _EXPRESSION.sub(replace, text)
    return Translation(value, tuple(dict.fromkeys(failed)))


def translate_json(text: str) -> Translation:
    """Translate a body: JSON with ``${...}`` in it, within quotes or in place of a value; any other text as it is."""
    failed = _failing(text)
    if failed:
        return Translation(None, failed)
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(_template(match))
        token = f"\ue000{len(held) - 1}\ue001"
        return token if _is_quoted(text, match.start()) else f'"{token}"'

    try:
        return Translation(_released(json.loads(_EXPRESSION.sub(hold, text)), held))
    except (ValueError, RecursionError):
        return Translation(_EXPRESSION.sub(_template, text))


def _failing(text: str) -> tuple[str, ...]:
    """Give the expressions of a text that cannot be translated; the text itself where it looks like our templates."""
    failed = tuple(dict.fromkeys(match[0] for match in _EXPRESSION.finditer(text) if _path(match[1]) is None))
    rest = _EXPRESSION.sub("", text)
    if not failed and (_is_ours(rest) or "${" in rest or "#{" in rest):
        return (text,)
    return failed


def _template(match: re.Match[str]) -> str:
    path = _path(match[1])
    assert path is not None  # else it would have failed
    return read_data(path)


def _path(expression: str) -> tuple[str | int, ...] | None:
    """Give the path into the data that an expression reads, None if it does more than that."""
    text = expression.strip()
    variable = _VARIABLE.fullmatch(text)
    if variable is not None:
        name = variable[1] or variable[2]
        return (name,) if name else None
    if _PATH.fullmatch(text) is None or text in ("true", "false", "null", "execution", "task"):
        return None
    parts: list[str | int] = []
    for name, bracketed in _PART.findall(text):
        if name:
            parts.append(name)
        else:
            parts.append(int(bracketed) if bracketed.isdecimal() else bracketed[1:-1])
    return None if parts[0] in ("execution", "secrets", "env") else tuple(parts)


def _is_ours(text: str) -> bool:
    return any(sign in text for sign in _OURS)


def _is_quoted(text: str, position: int) -> bool:
    """Tell whether a position of a JSON text lies within a string."""
    quoted = escaped = False
    for character in text[:position]:
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
    return quoted


def _released(value: JsonValue, held: Sequence[str]) -> JsonValue:
    """Put the templates back in the place of their tokens."""
    if isinstance(value, str):
        return _HELD.sub(lambda match: held[int(match[1])], value)
    if isinstance(value, list):
        return [_released(item, held) for item in value]
    if isinstance(value, dict):
        return {str(_released(key, held)): _released(item, held) for key, item in value.items()}
    return value
