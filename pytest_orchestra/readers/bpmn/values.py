"""How the text of an attribute becomes a value: pure functions that raise ``ValueError`` with what was expected."""

from __future__ import annotations

from pytest_orchestra.model.process import LoopCharacteristics, LoopKind

__all__ = ["flag", "folded", "loop_type", "number", "plain", "references"]

_LONGEST_NAME = 10_000
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_LOOP_TYPES = {
    "None": None,
    "Standard": LoopKind.STANDARD,
    "MultiInstanceSequential": LoopKind.SEQUENTIAL_MULTI_INSTANCE,
    "MultiInstanceParallel": LoopKind.PARALLEL_MULTI_INSTANCE,
}


def folded(text: str) -> str:
    """Give a name on one line, each run of white space one space."""
    if len(text) > _LONGEST_NAME:
        raise ValueError(f"at most {_LONGEST_NAME:,} characters")
    return " ".join(text.split())


def plain(text: str) -> str | None:
    """Give the text without outer white space, or None if there is none."""
    return text.strip() or None


def references(text: str) -> list[str] | None:
    """Give the one id that an attribute holds, where an element may say several."""
    return [text.strip()] if text.strip() else None


def flag(text: str) -> bool:
    """Give an XML boolean (XML Schema part 2, section 3.2.2)."""
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def number(text: str) -> int | None:
    """Give a whole number, or None if there is none."""
    if not text.strip():
        return None
    try:
        return int(text.strip()[:20])
    except ValueError:
        raise ValueError("a whole number") from None


def loop_type(text: str) -> LoopCharacteristics | None:
    """Give the loop that a choreography activity states by one word (BPMN 2.0.2, table 11.1)."""
    try:
        kind = _LOOP_TYPES[text.strip()]
    except KeyError:
        raise ValueError(f"one of {', '.join(_LOOP_TYPES)}") from None
    return LoopCharacteristics(kind) if kind else None
