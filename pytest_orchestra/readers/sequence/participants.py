"""Who takes part in a diagram, and what is exchanged."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Final

from pytest_orchestra.model.process import Collaboration, Lane, MessageFlow, Participant
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.problem_list import ProblemList
from pytest_orchestra.readers.sequence.statements import OUTSIDE, Declaration
from pytest_orchestra.readers.sequence.wording import Identifiers, fold, slug

__all__ = ["Participants"]

_MOST_COMPARED: Final = 50
_LONGEST_COMPARED: Final = 100
_NEAR: Final = 0.8


@dataclass(slots=True)
class _Party:
    name: str
    label: str
    place: Place
    id: str
    lane: str
    nodes: list[str] = field(default_factory=list)


class Participants:
    """The participants of one diagram by their names, and the messages between them, replies included."""

    def __init__(self, problems: ProblemList) -> None:
        self._problems = problems
        self._ids = Identifiers()
        self._parties: dict[str, _Party] = {}
        self._flows: list[MessageFlow] = []
        self._declared: dict[str, str] = {}
        self._compared = 0

    def declare(self, declaration: Declaration) -> None:
        """Take note of a participant. Whoever is declared again, or spoke before, keeps their rank."""
        label = fold(declaration.label) or declaration.name
        party = self._find(declaration.name, declaration.place)
        party.label = label
        self._declared[declaration.name.casefold()] = declaration.name
        self._declared.setdefault(label.casefold(), declaration.name)

    def label(self, name: str, place: Place) -> str:
        """Give what people call a participant; one that is not declared takes part from its first message on."""
        if name not in self._parties:
            self._compare(name, place)
        return self._find(name, place).label

    def give(self, name: str, node: str) -> None:
        """Put a node into the lane of a participant."""
        self._parties[name].nodes.append(node)

    def exchange(self, sender: str, receiver: str, text: str, place: Place) -> None:
        """Take note of a message between two that are known."""
        source, target = self._parties[sender].id, self._parties[receiver].id
        id_ = self._ids.claim(f"message.{slug(text) or 'empty'}")
        self._flows.append(MessageFlow(id_, source, target, fold(text), place=place))

    def _find(self, name: str, place: Place) -> _Party:
        party = self._parties.get(name)
        if party is None:
            said = slug(name) or ("outside" if name == OUTSIDE else "other")
            id_, lane = self._ids.claim(f"participant.{said}"), self._ids.claim(f"lane.{said}")
            party = _Party(name, fold(name) or "outside", place, id_, lane)
            self._parties[name] = party
        return party

    def _compare(self, name: str, place: Place) -> None:
        """Warn of a name that is nearly one of the declared: such a participant comes from a slip of the pen."""
        if not self._declared or name == OUTSIDE or self._compared >= _MOST_COMPARED or len(name) > _LONGEST_COMPARED:
            return
        self._compared += 1
        near = difflib.get_close_matches(name.casefold(), list(self._declared)[:_MOST_COMPARED], n=1, cutoff=_NEAR)
        if near:
            message = f"participant '{name}' is not declared"
            self._problems.add_warning(place, message, f"did you mean '{self._declared[near[0]]}'?")

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """A lane for everyone who receives something, with the nodes that stand for it."""
        return tuple(
            Lane(party.lane, party.label, tuple(party.nodes)) for party in self._parties.values() if party.nodes
        )

    def make_collaboration(self, process: str, name: str, place: Place) -> Collaboration:
        """Make the collaboration of all participants."""
        parties = tuple(Participant(party.id, party.label, place=party.place) for party in self._parties.values())
        return Collaboration(f"{process}.collaboration", name, parties, tuple(self._flows), place=place)
