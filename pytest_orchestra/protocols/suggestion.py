"""What a user may have meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest_name", "suggest"]


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Give the known name that looks most like ``name``; None where none comes near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def suggest(name: str, known: Iterable[str], otherwise: str) -> str:
    """Give a hint that names the nearest known name; ``otherwise`` where none comes near."""
    nearest = nearest_name(name, known)
    return f"did you mean '{nearest}'?" if nearest is not None else otherwise
