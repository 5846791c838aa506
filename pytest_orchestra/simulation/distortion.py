"""Spoiled simulations: one operation answers, or one message comes, as a faulty participant would have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pytest_orchestra.errors import SettingsError
from pytest_orchestra.generation.binding.schemas import Schema, Schemas
from pytest_orchestra.model.json import JsonValue

__all__ = ["CALLS", "MESSAGES", "Distortion", "DistortionKind", "distort", "kinds_of"]

_ALL: Final = "*"

MESSAGES: Final = "messages"
"""The subject of all messages of a participant."""

CALLS: Final = "calls"
"""The subject of all callbacks and webhooks of a participant."""


class DistortionKind(StrEnum):
    """In what way a participant is faulty."""

    NUMBERS = "numbers"
    """Every number is another one."""
    STATES = "states"
    """Every truth value, every text of a fixed set and every other text is another one."""
    ACCEPTED = "accepted"
    """What is refused, by a status of 400 and above, is accepted."""
    LOST = "lost"
    """Nothing comes: answers break off, messages and calls are not sent."""


@dataclass(frozen=True, slots=True)
class Distortion:
    """What is spoiled of a participant.

    ``subject`` is an operation, an address of messages, ``messages``, ``calls``, or ``*`` for everything.
    """

    participant: str
    subject: str
    kind: DistortionKind

    @classmethod
    def read(cls, text: str) -> Distortion:
        """Read ``payments.charge:numbers``. Raises ``SettingsError``."""
        named, colon, kind = text.rpartition(":")
        participant, dot, subject = named.partition(".")
        if not colon or not dot or kind not in list(DistortionKind):
            kinds = ", ".join(DistortionKind)
            raise SettingsError(f"'{text}' is no distortion", hint=f"write 'participant.operation:KIND' ({kinds})")
        return cls(participant, subject, DistortionKind(kind))

    def __str__(self) -> str:
        return f"{self.participant}.{self.subject}:{self.kind}"

    def meets(self, participant: str, *subjects: str) -> bool:
        """Say whether this is about what a participant does under any of these names."""
        return self.participant == participant and (self.subject == _ALL or self.subject in subjects)


def kinds_of(value: JsonValue) -> frozenset[DistortionKind]:
    """Give the ways in which there is anything in a value to change."""
    found: set[DistortionKind] = set()
    for _, leaf, _schema in _leaves(value, (), {}, None):
        if isinstance(leaf, (bool, str)):
            found.add(DistortionKind.STATES)
        elif isinstance(leaf, (int, float)):
            found.add(DistortionKind.NUMBERS)
    return frozenset(found)


def distort(
    value: JsonValue,
    kind: DistortionKind,
    accepts: Callable[[JsonValue], bool],
    schema: object = None,
    schemas: Schemas | None = None,
) -> JsonValue:
    """Give a value with its numbers or states changed, each as far as the whole is still what its schema allows.

    A place of which the schema allows nothing else stays as it is: assertions need not notice what the contract would.
    """
    result = value
    for path, found, own in _leaves(value, (), schema, schemas):
        for candidate in _candidates(found, kind, own):
            tried = _replaced(result, path, candidate)
            if accepts(tried):
                result = tried
                break
    return result


_Path = tuple[str | int, ...]


def _leaves(
    value: JsonValue, path: _Path, schema: object, schemas: Schemas | None
) -> Iterator[tuple[_Path, JsonValue, Schema]]:
    whole: Schema = schemas.whole(schema) if schemas is not None else {}
    if isinstance(value, Mapping):
        known = whole.get("properties")
        for name, member in value.items():
            own = known.get(name) if isinstance(known, Mapping) else None
            yield from _leaves(member, (*path, name), own, schemas)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index), whole.get("items"), schemas)
    else:
        yield path, value, whole


def _candidates(value: JsonValue, kind: DistortionKind, schema: Schema) -> Iterator[JsonValue]:
    if kind is DistortionKind.NUMBERS and isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from (value + 1, value - 1, value * 2 + 7, value + 0.5, 0)
    elif kind is DistortionKind.STATES and isinstance(value, bool):
        yield not value
    elif kind is DistortionKind.STATES and isinstance(value, str):
        allowed = schema.get("enum")
        if isinstance(allowed, list):
            yield from (each for each in reversed(allowed) if isinstance(each, str) and each != value)
        elif "const" not in schema:
            yield f"not {value}"
            yield f"{value}X"


def _replaced(value: JsonValue, path: _Path, leaf: JsonValue) -> JsonValue:
    if not path:
        return leaf
    first, *rest = path
    if isinstance(value, Mapping):
        return {**value, str(first): _replaced(value[str(first)], tuple(rest), leaf)}
    assert isinstance(value, (list, tuple))
    return [_replaced(item, tuple(rest), leaf) if index == first else item for index, item in enumerate(value)]
