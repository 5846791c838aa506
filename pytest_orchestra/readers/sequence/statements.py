"""What a sequence diagram says, one statement after another, in whichever language it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from pytest_orchestra.problem import Place

__all__ = [
    "OUTSIDE",
    "Activation",
    "Block",
    "BlockEnd",
    "BlockPart",
    "BlockStart",
    "Declaration",
    "Diagram",
    "Message",
    "MessageKind",
    "Note",
    "Reference",
    "Return",
    "Statement",
]

OUTSIDE: Final = ""
"""The name of what lies beyond the diagram's edge: a found message comes from there, a lost one goes there."""


class MessageKind(StrEnum):
    """What an arrow says. A dotted one is the reply to an open call; where none is open, it is a message of its own."""

    CALL = "call"
    SEND = "send"
    DOTTED_CALL = "dotted call"
    DOTTED_SEND = "dotted send"


class Block(StrEnum):
    """A fragment with a beginning and an end (UML 2.5.1, 17.6.3); ``FRAME`` is any that changes nothing."""

    ALT = "alt"
    OPT = "opt"
    LOOP = "loop"
    PAR = "par"
    BREAK = "break"
    CRITICAL = "critical"
    FRAME = "frame"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A participant: ``name`` is what messages call it, ``label`` what people see."""

    name: str
    label: str
    place: Place


@dataclass(frozen=True, slots=True)
class Message:
    """An arrow from ``sender`` to ``receiver``; ``activates`` says that the receiver is active from then on."""

    sender: str
    receiver: str
    text: str
    kind: MessageKind
    place: Place
    activates: bool = False


@dataclass(frozen=True, slots=True)
class Return:
    """The reply to the call that activated last."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Activation:
    """The participant of that name is active from here on."""

    name: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Another interaction that takes place here."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Note:
    """A note to the reader."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class BlockStart:
    """A fragment begins; ``keyword`` is how the file calls it."""

    block: Block
    keyword: str
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class BlockPart:
    """The next part of the fragment begins: ``else``, ``and``, ``option``."""

    keyword: str
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """The innermost fragment ends."""

    place: Place


Statement: TypeAlias = (
    Declaration | Message | Return | Activation | Reference | Note | BlockStart | BlockPart | BlockEnd
)


@dataclass(slots=True)
class Diagram:
    """One diagram. ``parts`` has for each fragment the words that begin its next part in the diagram's language.

    ``is_broken`` says that its fragments or texts do not end where they should, so that nobody knows what it means.
    """

    place: Place
    parts: Mapping[Block, frozenset[str]]
    name: str = ""
    title: str = ""
    statements: list[Statement] = field(default_factory=list)
    end: Place | None = None
    is_broken: bool = False
