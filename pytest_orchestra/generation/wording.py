"""How elements are named in keys, aliases, problems and reasons."""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections.abc import Iterable

from pytest_orchestra.generation.limits import MAX_NAMES_COMPARED
from pytest_orchestra.model.process import FlowNode, NodeKind

__all__ = ["alias_of", "caption", "describe", "fold", "nearest_hint", "quoted", "slug"]

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def fold(text: str) -> str:
    """Give a name with its white space folded, as the reader folds names of elements."""
    return " ".join(text.split())


def slug(text: str) -> str:
    """Give a text as a readable part of a key: lower case, letters and digits of any script, the rest as ``-``."""
    kept = (
        character if character.isalnum() or unicodedata.category(character).startswith("M") else " "
        for character in unicodedata.normalize("NFC", text).lower()
    )
    return "-".join("".join(kept).split())


def alias_of(*texts: str) -> str:
    """Give the first of the texts that can be written as an alias: ``place_order`` for ``Place order``.

    Accents are dropped; a text without any ASCII letter or digit is passed over; ``step`` if all are.
    """
    for text in texts:
        plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
        words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
        if words:
            return f"_{words}" if words[0].isdigit() else words
    return "step"


def nearest_hint(text: str, candidates: Iterable[str]) -> str | None:
    """Say which of the names was probably meant, or, where none is near and few exist, which there are."""
    names = list(dict.fromkeys(itertools.islice((name for name in candidates if name), MAX_NAMES_COMPARED)))
    folded = {name.casefold(): name for name in reversed(names)}
    near = difflib.get_close_matches(text.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    few = 6
    return f"known here: {quoted(names)}" if 0 < len(names) <= few else None


def caption(node: FlowNode) -> str:
    """Give what people call a node: its name, or for an unnamed event what it waits for (``timer``); else nothing."""
    if node.name or not node.events:
        return node.name
    event = node.events[0]
    return event.reference or event.kind.value.removesuffix("EventDefinition")


def quoted(names: Iterable[str]) -> str:
    """Give names in quotes, separated by commas."""
    return ", ".join(f"'{name}'" for name in names)


def describe(node: FlowNode) -> str:
    """Give an element as messages call it: ``parallel gateway 'Ship'``; every kind of task is a ``task``."""
    if node.kind.value.lower().endswith("task") and node.kind is not NodeKind.CHOREOGRAPHY_TASK:
        return f"task '{node.label}'"
    words = _HUMP.sub(" ", node.kind.value).lower()
    return f"{words.replace('sub process', 'sub-process').replace('ad hoc', 'ad-hoc')} '{node.label}'"
