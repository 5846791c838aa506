"""What a play is made of while it runs: executions of (sub-)processes, the tokens in them, what they have completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_orchestra.generation.control_flow.loops import Loops

__all__ = ["NOWHERE", "Again", "Due", "Held", "Instance", "Record", "Token", "is_within"]

NOWHERE = -1
"""The entry of an instance that is no (sub-)process: the repetitions of an activity, a handler that compensates."""


@dataclass(slots=True)
class Token:
    """A token on its way along an edge; ``causes`` are the occurrences right before it."""

    edge: int
    instance: Instance
    loops: Loops
    causes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """An activity (a point) that has been completed as the ``number``-th, and what was completed in it."""

    number: int
    point: int
    inner: Sequence[Record] = ()


@dataclass(slots=True)
class Held:
    """An event that ends a (sub-)process, kept back until all else there has come to rest."""

    point: int
    loops: Loops
    came: tuple[tuple[int, ...], ...]
    is_visited: bool = False


@dataclass(slots=True)
class Due:
    """The compensation that the event at ``point`` has thrown, in ``holder``: what is still to be undone.

    Each entry is the point of a boundary event or event sub-process with what it undoes, the last to be done first.
    """

    point: int
    holder: Instance
    loops: Loops
    causes: tuple[int, ...]
    waiting: list[tuple[int, Record]]
    held: Held | None = None


@dataclass(slots=True)
class Again:
    """The token that a sequential repetition sends ``left`` times more, as soon as an instance has ended."""

    edge: int
    left: int
    loops: Loops


@dataclass(slots=True, eq=False)
class Instance:
    """One execution of a (sub-)process: its tokens, and what waits in it.

    ``live`` counts its tokens and the instances within, ``restless`` those of them that move. ``choice`` is what was
    decided about its activity, ``watched`` what about its event sub-processes. The instances of an activity that
    repeats lie in one that ends them at the exit ``until``. ``due`` is the compensation that it is a part of.
    """

    entry: int
    parent: Instance | None
    choice: int | None = None
    live: int = 0
    restless: int = 0
    parked: dict[int, dict[int, list[Token]]] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    causes: list[int] = field(default_factory=list)
    ended_loops: Loops = field(default_factory=Loops)
    visits: dict[int, int] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    fired: dict[int, set[int]] = field(default_factory=dict)
    watched: int | None = None
    until: int = NOWHERE
    again: Again | None = None
    due: Due | None = None
    is_given_up: bool = False


def is_within(instance: Instance | None, outer: Instance) -> bool:
    """Whether an instance is, or lies in, another."""
    while instance is not None:
        if instance is outer:
            return True
        instance = instance.parent
    return False
