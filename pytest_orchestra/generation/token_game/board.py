"""The tokens of a play, the executions of (sub-)processes that they are in, and what they have passed so far."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.generation.control_flow.loops import Loops
from pytest_orchestra.generation.token_game.game import Choice, Game, Occurrence, Run
from pytest_orchestra.generation.token_game.instances import NOWHERE, Instance, Token, is_within

__all__ = ["Board"]


class Board:
    """Where tokens are laid and taken away; which of them moves, and whereto, is decided elsewhere."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._graph = game.graph
        self._stack: list[Token] = []
        self._instances: list[Instance] = []
        self._occurrences: list[Occurrence] = []
        self._choices: list[Choice] = []
        self._unsynchronised: dict[int, None] = {}
        self.edges: list[int] = []
        self.points: list[int] = []

    @property
    def choices(self) -> Sequence[Choice]:
        """What has been decided so far."""
        return self._choices

    def run(self) -> Run:
        """Give the run so far; all of it if ``ended``."""
        return Run(
            tuple(self._occurrences),
            tuple(self.edges),
            tuple(self.points),
            tuple(self._choices),
            tuple(self._unsynchronised),
        )

    def _put(self, edge: int, instance: Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Lay a token on an edge; it moves before all that were laid earlier."""
        self._stack.append(Token(edge, instance, loops, causes))
        instance.live += 1
        self._rouse(instance)

    @staticmethod
    def _rouse(instance: Instance) -> None:
        """Count one more thing that moves; ``restless`` counts tokens under way and sub-processes with such."""
        current: Instance | None = instance
        while current is not None:
            current.restless += 1
            current = current.parent if current.restless == 1 else None

    def _occur(self, point: int, came: tuple[tuple[int, ...], ...]) -> int:
        """Note the visit of a node; give its number."""
        self._occurrences.append(Occurrence(point, came))
        return len(self._occurrences) - 1

    def _count(self, point: int, token: Token) -> None:
        """Notice tokens that pass a merge one by one although none of them went round a loop."""
        visits = token.instance.visits
        visits[point] = visits.get(point, 0) + 1
        if visits[point] > 1:
            counts = token.loops.counts
            if visits[point] > 1 + sum(counts.get(edge, 0) for edge in self._graph.into[point]):
                self._unsynchronised.setdefault(point)

    def _begin(self, entry: int, parent: Instance) -> Instance:
        """Make an instance within another."""
        inner = Instance(entry, parent)
        self._instances.append(inner)
        parent.live += 1
        return inner

    def _outside(self, instance: Instance, *, interrupting: bool) -> Instance:
        """Give where an event at the border of an activity leads on; all its instances end if it interrupts."""
        if instance.until == NOWHERE or instance.parent is None:
            return instance
        if interrupting:
            self._stack = [token for token in self._stack if not is_within(token.instance, instance)]
            self._cancel(instance)
            instance.is_given_up = True
            instance.restless = 1  # the token that brought this about, which is not settled yet
        return instance.parent

    def _end(self, instance: Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Let a token end; what it knows goes to what its sub-process sends on."""
        instance.causes.extend(causes)
        instance.ended_loops.merge(loops)

    def _cancel(self, instance: Instance) -> None:
        self._instances = [other for other in self._instances if other is instance or not is_within(other, instance)]
        instance.live = 0
        instance.parked = {}
        instance.held = []
