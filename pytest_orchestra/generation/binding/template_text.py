"""Writing templates: what reads a path of the data, and texts that are to be taken as they stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["as_literal", "read_data", "read_path"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGN: Final = re.compile(r"\{\{|\{%|\{#")


def read_path(path: Sequence[str | int]) -> str:
    """Give the expression that reads a path: ``data.order['unit price']``. The first part is a plain name."""
    text = str(path[0])
    for part in path[1:]:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _NAME.fullmatch(part):
            text += f".{part}"
        else:
            escaped = part.replace("\\", "\\\\").replace("'", "\\'")
            text += f"['{escaped}']"
    return text


def read_data(path: Sequence[str | int]) -> str:
    """Give the template that reads a path of the data."""
    return f"{{{{{read_path(('data', *path))}}}}}"


def as_literal(text: str) -> str:
    """Give the template that stands for a text with braces in it."""
    return _SIGN.sub(lambda match: f"{{{{ '{match[0]}' }}}}", text)
