"""Texts of a diagram as the names and ids of a process."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

__all__ = ["Identifiers", "fold", "slug"]

_LONGEST_NAME: Final = 2_000
_LONGEST_SLUG: Final = 60
_HASH_LENGTH: Final = 6
_LINE_BREAK: Final = re.compile(r"<br\s{0,9}/?\s{0,9}>", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def fold(text: str) -> str:
    """Give a text on one line: line breaks and control characters are spaces, each run of white space is one."""
    folded = " ".join(_CONTROL.sub(" ", _LINE_BREAK.sub(" ", text)).split())
    return folded if len(folded) <= _LONGEST_NAME else f"{folded[:_LONGEST_NAME]}…"


def slug(text: str) -> str:
    """Give a text as an id: lower case, letters and digits of any script, the rest as ``-``; a long one is cut short,
    and ends in a hash of the whole.
    """
    kept = (
        character if character.isalnum() or unicodedata.category(character).startswith("M") else " "
        for character in unicodedata.normalize("NFC", text).lower()
    )
    whole = "-".join("".join(kept).split())
    if len(whole) <= _LONGEST_SLUG:
        return whole
    digest = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:_HASH_LENGTH]
    return f"{whole[:_LONGEST_SLUG].rstrip('-')}-{digest}"


class Identifiers:
    """Gives every id once: what would be the second ``pay`` is ``pay#2``."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def claim(self, name: str) -> str:
        """Give an id that is that name, and the number of its occurrence from the second on."""
        number = self._counts.get(name, 0) + 1
        self._counts[name] = number
        return name if number == 1 else f"{name}#{number}"
