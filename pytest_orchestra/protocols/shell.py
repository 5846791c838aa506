"""Words of a bash command."""

from __future__ import annotations

import re
import shlex

__all__ = ["quote_word"]

_SPECIAL_IN_DOUBLE_QUOTES = re.compile(r"[\"$`\\!]")


def quote_word(text: str) -> str:
    """Quote a text as one word of bash, in the quotes that leave it readable."""
    if "'" in text and not _SPECIAL_IN_DOUBLE_QUOTES.search(text):
        return f'"{text}"'
    return shlex.quote(text)
