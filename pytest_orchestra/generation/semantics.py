"""The token game: how a process runs, one token at a time (BPMN 2.0.2, chapter 13).

A :class:`Play` moves tokens until something is to be decided, asks for an outcome, and goes on, until the process has
ended or cannot go on. The order is fixed: the token moved last moves next, so that concurrent branches run one after
the other in document order, and a join waits for all of them. That is one of the orders that BPMN permits.

- A parallel gateway waits for a token on each of its flows.
- An inclusive or complex gateway waits while a token elsewhere in its (sub-)process could still reach one of its flows
  that has no token, unless that token could as well reach one that has; no way counts that leads through the gateway
  itself. When all that is left waits at such gateways, the first of them goes on.
- Everything else passes every token on.
- A terminating end, and an event that interrupts its sub-process, take effect when all else in it has come to rest.
- A flow on a cycle may be taken again by the same token as often as its limit says.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_orchestra.generation.game import Choice, Failure, FailureKind, Game, Occurrence, Run, Visit
from pytest_orchestra.generation.graph import EdgeKind, Role
from pytest_orchestra.generation.loops import Loops

__all__ = ["Play"]


class _Instance:
    """One execution of a (sub-)process: its tokens, and what waits in it."""

    __slots__ = ("causes", "choice", "ended_loops", "entry", "live", "parent", "parked", "restless", "throws", "visits")

    def __init__(self, entry: int, parent: _Instance | None, choice: int | None) -> None:
        self.entry = entry
        self.parent = parent
        self.choice = choice
        self.live = 0
        self.restless = 0
        self.parked: dict[int, dict[int, list[_Token]]] = {}
        self.throws: list[tuple[int, _Token]] = []
        self.causes: list[int] = []
        self.ended_loops = Loops()
        self.visits: dict[int, int] = {}


@dataclass(slots=True)
class _Token:
    edge: int
    instance: _Instance
    loops: Loops
    causes: tuple[int, ...]


class Play:
    """One run in the making. ``pending`` is the decision that is due; ``ended`` or ``failure`` say that it is over."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._graph = game.graph
        self._stack: list[_Token] = []
        self._occurrences: list[Occurrence] = []
        self._choices: list[Choice] = []
        self._unsynchronised: dict[int, None] = {}
        self._instances: list[_Instance] = []
        self._decider: tuple[_Instance, Loops, tuple[int, ...]] | None = None
        self.edges: list[int] = []
        self.points: list[int] = []
        self.pending: Visit | None = None
        self.failure: Failure | None = None
        self.ended = False
        root = _Instance(game.graph.entry, None, None)
        root.restless = 1
        self._instances.append(root)
        self._enter(game.graph.entry, root, Loops(), ((),))
        if self.pending is None:
            self._settle(root)
            self._advance()

    def take(self, outcome: int) -> None:
        """Decide the pending visit and go on to the next decision or the end."""
        if self.pending is None or self._decider is None:
            raise ValueError("nothing is to be decided")
        visit, (instance, loops, causes) = self.pending, self._decider
        self.pending = self._decider = None
        self._choose(visit.point, outcome, instance, loops, causes)
        self._settle(instance)
        self._advance()

    def run(self) -> Run:
        """Give the run so far; all of it if ``ended``."""
        return Run(
            tuple(self._occurrences),
            tuple(self.edges),
            tuple(self.points),
            tuple(self._choices),
            tuple(self._unsynchronised),
        )

    def _advance(self) -> None:
        while self.pending is None and self.failure is None and not self.ended:
            if not self._stack:
                self.failure = self._stuck()
                return
            if len(self.edges) >= self._game.max_steps:
                self.failure = Failure(FailureKind.TOO_LONG, (self._graph.edges[self.edges[-1]].target,))
                return
            token = self._stack.pop()
            self._arrive(token)
            if self.pending is None:
                self._settle(token.instance)

    def _put(self, edge: int, instance: _Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Lay a token on an edge; it moves before all that were laid earlier."""
        self._stack.append(_Token(edge, instance, loops, causes))
        instance.live += 1
        self._rouse(instance)

    @staticmethod
    def _rouse(instance: _Instance) -> None:
        """Count one more thing that moves; ``restless`` counts tokens under way and sub-processes with such."""
        current: _Instance | None = instance
        while current is not None:
            current.restless += 1
            current = current.parent if current.restless == 1 else None

    def _arrive(self, token: _Token) -> None:
        game, instance = self._game, token.instance
        self.edges.append(token.edge)
        instance.live -= 1
        edge = self._graph.edges[token.edge]
        target = edge.target
        limit = game.edge_limits.get(token.edge)
        if limit is not None:
            if not token.loops.count(token.edge, limit):
                self.failure = Failure(FailureKind.LOOPING, (edge.source,))
                return
        elif token.loops.counts and game.structure.components[edge.source] != game.structure.components[target]:
            token.loops = Loops()  # it has left that cycle for good
        if target in game.waits_for_all or target in game.waits_for_some:
            self._park(target, token)
        else:
            if target in game.merges:
                self._count(target, token)
            self._enter(target, instance, token.loops, (token.causes,))

    def _count(self, point: int, token: _Token) -> None:
        """Notice tokens that pass a merge one by one although none of them went round a loop."""
        visits = token.instance.visits
        visits[point] = visits.get(point, 0) + 1
        if visits[point] > 1 + sum(token.loops.counts.get(edge, 0) for edge in self._graph.into[point]):
            self._unsynchronised.setdefault(point)

    def _enter(self, point: int, instance: _Instance, loops: Loops, came: tuple[tuple[int, ...], ...]) -> None:
        """Let the tokens that ``came``, each given by what caused it, visit a point as one."""
        graph, game = self._graph, self._game
        self.points.append(point)
        causes = came[0]
        if graph.points[point].role is Role.NODE:
            self._occurrences.append(Occurrence(point, came))
            causes = (len(self._occurrences) - 1,)
        limit = game.point_limits.get(point)
        if limit is not None and not loops.count(~point, limit):
            self.failure = Failure(FailureKind.LOOPING, (point,))
            return
        throw = graph.throws.get(point)
        if throw is not None and not throw.interrupting:
            self._throw(point, instance, loops, causes)
        elif throw is not None or point in graph.terminates:
            self._hold(point, instance, loops, causes)
            return
        outcomes = game.table.outcomes[point]
        if not outcomes:
            self._end(instance, loops, causes)
        elif len(outcomes) == 1:
            self._choose(point, 0, instance, loops, causes)
        else:
            options = self._within_limits(point, loops)
            if not options:
                self.failure = Failure(FailureKind.LOOPING, (point,))
                return
            self.pending = Visit(point, options, loops)
            self._decider = (instance, loops, causes)

    def _within_limits(self, point: int, loops: Loops) -> tuple[int, ...]:
        outcomes = self._game.table.outcomes[point]
        if not loops.is_tight:
            return tuple(range(len(outcomes)))
        return tuple(
            index
            for index, outcome in enumerate(outcomes)
            if all(self._game.permits(edge, loops) for edge in outcome.edges)
        )

    def _choose(self, point: int, index: int, instance: _Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        outcome = self._game.table.outcomes[point][index]
        decision = self._game.decisions.get(point)
        choice = None
        if decision is not None:
            choice = len(self._choices)
            self._choices.append(Choice(point, index, decision.ids(outcome)))
        for position in range(len(outcome.edges) - 1, -1, -1):
            edge = outcome.edges[position]
            own = loops if position == 0 else loops.copy()
            if self._graph.edges[edge].kind is EdgeKind.INSIDE:
                inner = _Instance(self._graph.edges[edge].target, instance, choice)
                self._instances.append(inner)
                instance.live += 1
                self._put(edge, inner, own, causes)
            else:
                self._put(edge, instance, own, causes)
        if not outcome.edges:
            self._end(instance, loops, causes)

    def _end(self, instance: _Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Let a token end; what it knows goes to what its sub-process sends on."""
        instance.causes.extend(causes)
        instance.ended_loops.merge(loops)

    def _park(self, join: int, token: _Token) -> None:
        instance = token.instance
        instance.parked.setdefault(join, {}).setdefault(token.edge, []).append(token)
        instance.live += 1
        if join in self._game.waits_for_all:
            if len(instance.parked[join]) == len(self._graph.into[join]):
                self._fire(join, instance)
        elif not self._is_awaited(join, instance, moving=True):
            self._fire(join, instance)

    def _fire(self, join: int, instance: _Instance) -> None:
        """Let a join go on with one token of each flow that has any."""
        waiting = instance.parked.pop(join)
        loops = Loops()
        causes: list[tuple[int, ...]] = []
        for edge in self._graph.into[join]:
            if edge not in waiting:
                continue
            token = waiting[edge].pop(0)
            instance.live -= 1
            loops.merge(token.loops)
            causes.append(token.causes)
            if waiting[edge]:
                instance.parked.setdefault(join, {})[edge] = waiting[edge]
        self._enter(join, instance, loops, tuple(causes))

    def _is_awaited(self, join: int, instance: _Instance, *, moving: bool) -> bool:
        """Whether an inclusive join must wait for another token of its sub-process (BPMN 2.0.2, 13.4.3)."""
        flows = self._graph.into[join]
        waiting = instance.parked[join]
        present = sum(1 << number for number, edge in enumerate(flows) if edge in waiting)
        absent = (1 << len(flows)) - 1 & ~present
        if not absent:
            return False
        ways = self._game.structure.ways_into(join)
        edges = self._graph.edges
        for token in self._stack if moving else ():
            target = edges[token.edge].target
            if not _is_within(token.instance, instance):
                continue
            if target == join or (ways[target] & absent and not ways[target] & present):
                return True
        return any(
            ways[point] & absent and not ways[point] & present
            for other in self._instances
            if other.parked and _is_within(other, instance)
            for point in other.parked
            if point != join or other is not instance
        )

    def _hold(self, point: int, instance: _Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Keep back a token whose event ends a sub-process until all else there has come to rest."""
        throw = self._graph.throws.get(point)
        instance.live += 1
        holder = instance
        while throw is not None and holder.entry != throw.scope and holder.parent is not None:
            holder = holder.parent
        holder.throws.append((point, _Token(-1, instance, loops, causes)))

    def _throw(self, point: int, instance: _Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Send a token to the boundary event that catches what was thrown."""
        throw = self._graph.throws[point]
        holder = instance
        while holder.entry != throw.scope and holder.parent is not None:
            holder = holder.parent
        if holder.parent is None:
            return
        boundary = self._graph.points[throw.boundary].node
        if holder.choice is not None and boundary is not None:
            self._choices[holder.choice] = self._amended(holder.choice, boundary.id, throw.interrupting)
        self._put(throw.edge, holder.parent, loops.copy(), causes)

    def _amended(self, index: int, thrown: str, interrupting: bool) -> Choice:
        choice = self._choices[index]
        decision = self._game.decisions[choice.point]
        branch = next(number for number, branch in enumerate(decision.branches) if branch.id == thrown)
        kept = () if interrupting else tuple(entry for entry in choice.branches if entry != decision.branches[0].id)
        return Choice(choice.point, ~branch, (*kept, thrown))

    def _settle(self, instance: _Instance) -> None:
        """Count one thing less that moves, and see to every (sub-)process that has come to rest by it."""
        current: _Instance | None = instance
        while current is not None and self.failure is None:
            current.restless -= 1
            self._resume(current)
            if current.restless or self.pending is not None:
                return
            current = current.parent

    def _resume(self, instance: _Instance) -> None:
        """Set a (sub-)process that has come to rest in motion again, or complete it, if the rules say so.

        Until the caller has settled the parent too, the parent counts this one as moving; a decision that comes up
        on the way stands for it in that count.
        """
        while instance.restless == 0 and self.failure is None:
            if instance.live == 0:
                self._complete(instance)
                return
            if not self._resume_join(instance):
                if instance.throws:
                    self._resume_throw(instance)
                return
            if self.pending is not None:
                return
            instance.restless -= 1

    def _resume_join(self, instance: _Instance) -> bool:
        """Let the first inclusive join go on for which nothing is left to wait; it counts as moving from then on."""
        waiting = [join for join in instance.parked if join in self._game.waits_for_some]
        ready = [join for join in waiting if not self._is_awaited(join, instance, moving=False)]
        if not ready and not instance.throws and self._only_some_wait(instance):
            ready = waiting
        if not ready:
            return False
        instance.restless += 1
        self._fire(ready[0], instance)
        return True

    def _only_some_wait(self, instance: _Instance) -> bool:
        return all(
            join in self._game.waits_for_some
            for other in self._instances
            if other.live and _is_within(other, instance)
            for join in other.parked
        )

    def _resume_throw(self, instance: _Instance) -> None:
        """Let the first event that ends the sub-process take effect."""
        point, token = instance.throws[0]
        self._cancel(instance)
        if point in self._graph.throws and instance.parent is not None:
            instance.parent.live -= 1
            self._throw(point, instance, token.loops, token.causes)
        else:
            self._end(instance, token.loops, token.causes)
            self._complete(instance)

    def _cancel(self, instance: _Instance) -> None:
        self._instances = [other for other in self._instances if not _is_within(other, instance)]
        instance.live = 0
        instance.parked = {}
        instance.throws = []

    def _complete(self, instance: _Instance) -> None:
        """Let a (sub-)process in which no token is left end, and its parent go on."""
        if instance in self._instances:
            self._instances.remove(instance)
        if instance.parent is None:
            self.ended = True
            return
        instance.parent.live -= 1
        container = self._graph.container_of[instance.entry]
        causes = tuple(dict.fromkeys(instance.causes))
        self._enter(self._graph.exit_of[container], instance.parent, instance.ended_loops, (causes,))

    def _stuck(self) -> Failure:
        points: dict[int, None] = {}
        missing: dict[int, None] = {}
        for instance in self._instances:
            for join, waiting in instance.parked.items():
                points.setdefault(join)
                missing.update(dict.fromkeys(edge for edge in self._graph.into[join] if edge not in waiting))
        return Failure(FailureKind.STUCK, tuple(points), tuple(missing))


def _is_within(instance: _Instance | None, outer: _Instance) -> bool:
    while instance is not None:
        if instance is outer:
            return True
        instance = instance.parent
    return False
