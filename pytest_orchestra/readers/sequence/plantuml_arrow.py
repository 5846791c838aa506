"""PlantUML's arrows in their many spellings (https://plantuml.com/sequence-diagram)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.readers.sequence.statements import OUTSIDE, MessageKind

__all__ = ["NAME", "Arrow", "read_arrow", "read_name"]

NAME: Final = r'(?:"[^"]+"(?:\s+as\s+[\w.@]+)?|[\w.@]+(?:\s+as\s+(?:"[^"]+"|[\w.@]+))?)'
"""A participant: a word or a text in quotes, with an alias on either side."""

_SLANT: Final = r"(?:\(\d+\))?"
_ARROW: Final = re.compile(
    rf"(?P<left>{NAME}|[\[?])?\s*"
    rf"{_SLANT}(?P<left_end>(?<![\w\"])[ox]|)(?P<left_head><<?|\\\\?|//?|)"
    r"(?P<body>-+(?:\[[^\]]*\]-*)?|\[[^\]]*\]-+)"
    rf"(?P<right_head>>>?|\\\\?|//?|)(?P<right_end>[ox](?=\s*[\]?]|\s+[\w\"])|)"
    rf"(?:\(\d+\)(?P<early>[-+*!]{{2,}})?)?\s*(?P<right>{NAME}|[\]?])?"
    r"(?P<more>\s*(?:\+\+|--|\*\*|!!)[-+*!]*)?(?:\s*#[^\s:]+)?\s*(?::(?P<text>.*))?"
)
_NAMED: Final = re.compile(
    r'(?:"(?P<quoted>[^"]+)"|(?P<word>[\w.@]+))(?:\s+as\s+(?:"(?P<label>[^"]+)"|(?P<code>\S+)))?'
)
_COLOUR: Final = re.compile(r"\[[^\]]*\]")
_THIN: Final = (">>", "<<", "\\\\", "//")
_EDGES: Final = ("", "[", "]", "?")


@dataclass(frozen=True, slots=True)
class Arrow:
    """One arrow, turned so that it leads from ``sender`` to ``receiver``: each a name and a label.

    ``activates`` says that the receiver is active from then on.
    """

    sender: tuple[str, str]
    receiver: tuple[str, str]
    kind: MessageKind
    text: str
    activates: bool


def read_arrow(statement: str) -> Arrow | None:
    """Read a message; None if it is none."""
    found = _ARROW.fullmatch(statement)
    if found is None:
        return None
    left_head, right_head = found["left_head"], found["right_head"]
    if not left_head and not right_head:
        return None
    left, right = (read_name(found[side] or "") for side in ("left", "right"))
    if left[0] == right[0] == OUTSIDE:
        return None
    is_turned = bool(left_head) and not right_head
    both = bool(left_head) and bool(right_head)
    is_lost = (found["left_end"] if is_turned else found["right_end"]) == "x"
    is_thin = (left_head if is_turned else right_head) in _THIN
    is_dotted = _COLOUR.sub("", found["body"]).count("-") > 1 and not both
    sender, receiver = (right, left) if is_turned else (left, right)
    return Arrow(
        sender,
        receiver,
        _kind(is_send=is_lost or is_thin, is_dotted=is_dotted),
        (found["text"] or "").strip(),
        "++" in (found["more"] or found["early"] or ""),
    )


def _kind(*, is_send: bool, is_dotted: bool) -> MessageKind:
    if is_dotted:
        return MessageKind.DOTTED_SEND if is_send else MessageKind.DOTTED_CALL
    return MessageKind.SEND if is_send else MessageKind.CALL


def read_name(text: str) -> tuple[str, str]:
    """Give the name and the label of a participant as written: ``"Order service" as orders``, or turned round."""
    if text in _EDGES:
        return OUTSIDE, OUTSIDE
    found = _NAMED.fullmatch(text)
    if found is None:
        return text, text
    first = found["quoted"] or found["word"]
    if found["label"]:
        return first, found["label"]
    return found["code"] or first, first
