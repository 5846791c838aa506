"""Names as words: how ``placeOrder``, ``place_order`` and ``Place orders`` are seen to speak of the same."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["joined", "stem", "stems_of", "words_of"]

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SIBILANT = ("ses", "xes", "zes", "ches", "shes")
_SHORTEST_PLURAL = 4


@lru_cache(maxsize=20_000)
def words_of(text: str) -> tuple[str, ...]:
    """Give the words of a name in lower case, without accents: ``("get", "url")`` for ``getURL``."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    spaced = "".join(c if c.isalnum() else " " for c in _HUMP.sub(" ", plain))
    return tuple(spaced.casefold().split())


def joined(text: str) -> str:
    """Give a name as all its spellings have it in common: ``placeorder`` for ``place_order`` and ``PlaceOrder``."""
    return "".join(words_of(text))


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Give the singular of an English word, as far as its ending tells."""
    if len(word) < _SHORTEST_PLURAL or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(_SIBILANT) else word[:-1]


def stems_of(text: str) -> tuple[str, ...]:
    """Give the stems of the words of a name."""
    return tuple(stem(word) for word in words_of(text))
