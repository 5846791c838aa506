"""The token game: how a process runs, one token at a time (BPMN 2.0.2, chapter 13).

A :class:`Play` moves tokens until something is to be decided, asks for an outcome, and goes on, until the process has
ended or cannot go on. The order is fixed: the token moved last moves next, so that concurrent branches run one after
the other in document order, and a join waits for all of them. That is one of the orders that BPMN permits.

- A parallel gateway waits for a token on each of its flows.
- An inclusive or complex gateway waits while a token elsewhere in its (sub-)process could still reach one of its flows
  that has no token, unless that token could as well reach one that has; no way counts that leads through the gateway
  itself. When all that is left waits at such gateways, the first of them goes on.
- A complex gateway whose condition counts tokens goes on when so many flows have brought one; what the other flows
  bring afterwards ends there.
- Everything else passes every token on.
- A terminating end, and an event that interrupts its (sub-)process, take effect when all else in it has come to rest;
  of several, one does.
- Of an activity that repeats all instances run one after the other, and it is left when the last has ended. An event at
  its border that interrupts ends them all.
- A compensation runs the handlers of what has been completed, the last completed first, before its event goes on; what
  has been undone is not undone again. A transaction that is cancelled is undone before it is left.
- A flow on a cycle may be taken again by the same token as often as its limit says.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from pytest_orchestra.generation.control_flow.graph import EdgeKind, Role, Throw
from pytest_orchestra.generation.control_flow.loops import Loops
from pytest_orchestra.generation.token_game.board import Board
from pytest_orchestra.generation.token_game.completed import Completed
from pytest_orchestra.generation.token_game.game import Failure, FailureKind, Game, Occurrence, Visit, amend
from pytest_orchestra.generation.token_game.instances import NOWHERE, Again, Due, Held, Instance, Token
from pytest_orchestra.generation.token_game.joining import is_awaited, only_some_wait, stuck
from pytest_orchestra.model.process import NodeKind

__all__ = ["Play"]


class Play(Board):
    """One run in the making. ``pending`` is the decision that is due; ``ended`` or ``failure`` say that it is over.

    ``last_first`` turns the order of concurrent branches round. Of several events that each would end a (sub-)process,
    the one that comes first takes effect: the first in the play, or that from which ``near`` has the least distance.
    """

    def __init__(self, game: Game, *, last_first: bool = False, near: Sequence[float] = ()) -> None:
        super().__init__(game)
        self._last_first = last_first
        self._near = near
        self._completed = Completed(game.graph)
        self._remembered = game.graph.remembered
        self._decider: tuple[Instance, Loops, tuple[int, ...]] | None = None
        self.pending: Visit | None = None
        self.failure: Failure | None = None
        self.ended = False
        root = Instance(game.graph.entry, None)
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

    @property
    def state(self) -> Hashable | None:
        """What all that may come depends on, None where that is more than the tokens outside of sub-processes."""
        if len(self._instances) > 1 or self._decider is None or self.pending is None:
            return None
        root = self._instances[0]
        if root.held or root.fired or root.records:
            return None
        moving = tuple((token.edge, token.loops.state) for token in self._stack)
        parked = tuple(
            sorted(
                (edge, token.loops.state)
                for waiting in root.parked.values()
                for edge, tokens in waiting.items()
                for token in tokens
            )
        )
        return self.pending.point, self._decider[1].state, moving, parked

    def _advance(self) -> None:
        while self.pending is None and self.failure is None and not self.ended:
            if not self._stack:
                self.failure = stuck(self._game, self._instances)
                return
            if len(self.edges) >= self._game.max_steps:
                self.failure = Failure(FailureKind.TOO_LONG, (self._graph.edges[self.edges[-1]].target,))
                return
            token = self._stack.pop()
            self._arrive(token)
            if self.pending is None:
                self._settle(token.instance)

    def _arrive(self, token: Token) -> None:
        game, instance = self._game, token.instance
        passages, limits, all_edges = game.passages, game.edge_limits, self._graph.edges
        while True:
            self.edges.append(token.edge)
            edge = all_edges[token.edge]
            target = edge.target
            limit = limits.get(token.edge) if limits else None
            if limit is not None:
                if not token.loops.count(token.edge, limit):
                    instance.live -= 1
                    self.failure = Failure(FailureKind.LOOPING, (edge.source,))
                    return
            elif token.loops.counts and game.structure.components[edge.source] != game.structure.components[target]:
                token.loops = Loops()  # it has left that cycle for good
            onward = passages[target]
            if onward < 0:
                break
            if target in game.merges:
                self._count(target, token)
            self.points.append(target)
            token.causes = (self._occur(target, (token.causes,)),)
            token.edge = onward
        instance.live -= 1
        if target in game.waits:
            self._park(target, token)
        else:
            if target in game.merges:
                self._count(target, token)
            if target in self._remembered and edge.kind is EdgeKind.NORMAL:
                self._completed.remember(target, instance, ())
            self._enter(target, instance, token.loops, (token.causes,))

    def _enter(self, point: int, instance: Instance, loops: Loops, came: tuple[tuple[int, ...], ...]) -> None:
        """Let the tokens that ``came``, each given by what caused it, visit a point as one."""
        game = self._game
        if point in game.ends and self._is_held(point, instance, loops, came):
            return
        self.points.append(point)
        causes = came[0]
        if self._graph.points[point].role is Role.NODE:
            causes = (self._occur(point, came),)
        limit = game.point_limits.get(point)
        if limit is not None and not loops.count(~point, limit):
            self.failure = Failure(FailureKind.LOOPING, (point,))
            return
        if point in game.turns and self._is_turned(point, instance, loops, causes):
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

    def _is_turned(self, point: int, instance: Instance, loops: Loops, causes: tuple[int, ...]) -> bool:
        """Do what comes before the outcomes of a point; tell whether the token is kept from these."""
        if point == instance.until:
            self._end(instance, loops, causes)
            return True
        throw = self._graph.throws.get(point)
        if throw is not None:
            self._throw(throw, instance, loops, causes)
        return point in self._graph.compensations and self._compensates(point, instance, loops, causes)

    def _within_limits(self, point: int, loops: Loops) -> tuple[int, ...]:
        outcomes = self._game.table.outcomes[point]
        if not loops.is_tight:
            return self._game.options[point]
        permits = self._game.permits
        if self._game.point_limits:
            return tuple(
                [index for index, (edges, _) in enumerate(outcomes) if all(permits(edge, loops) for edge in edges)]
            )
        limits, counts = self._game.edge_limits, loops.counts
        allowed: list[int] = []
        for index, (edges, _) in enumerate(outcomes):
            for edge in edges:
                count = counts.get(edge)
                if count is not None and count >= limits.get(edge, count + 1):
                    break
            else:
                allowed.append(index)
        return tuple(allowed)

    def _choose(self, point: int, index: int, instance: Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        game = self._game
        outcome = game.table.outcomes[point][index]
        decision = game.decisions.get(point)
        choice = None
        if decision is not None:
            choice = len(self._choices)
            self._choices.append(game.choices[point][index])
        if len(outcome.edges) == 1 and outcome.edges[0] not in game.forks:
            self._put(outcome.edges[0], instance, loops, causes)
            positions = range(0)
        else:
            positions = range(len(outcome.edges))
        for position in positions if self._last_first else reversed(positions):
            edge = outcome.edges[position]
            own = loops if position == 0 else loops.copy()
            if edge in game.forks:
                self._fork(edge, instance, own, causes, choice, interrupting=len(outcome.edges) == 1)
            else:
                self._put(edge, instance, own, causes)
        if choice is not None and point in self._graph.watches:
            instance.watched = choice
        if not outcome.edges:
            self._end(instance, loops, causes)

    def _fork(
        self,
        edge: int,
        instance: Instance,
        loops: Loops,
        causes: tuple[int, ...],
        choice: int | None,
        *,
        interrupting: bool,
    ) -> None:
        """Send a token into another instance than it comes from."""
        way = self._graph.edges[edge]
        if way.kind is EdgeKind.INSIDE:
            inner = self._begin(way.target, instance)
            inner.choice = choice
            self._put(edge, inner, loops, causes)
        elif way.kind is EdgeKind.REPEAT:
            self._repeat(edge, instance, loops, causes)
        else:
            is_repeated = instance.until == self._graph.exit_of[way.source]
            outside = self._outside(instance, interrupting=interrupting) if is_repeated else instance
            self._put(edge, outside, loops, causes)

    def _repeat(self, edge: int, parent: Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Begin several instances of an activity, or the first of them where one follows the other."""
        graph = self._graph
        before = graph.edges[edge].source
        repetition = graph.repetitions[before]
        count = repetition.instances(self._game.instances.get(before, 2))
        several = self._begin(NOWHERE, parent)
        several.until = graph.exit_of[graph.edges[edge].target]
        if repetition.is_sequential:
            several.again = Again(edge, count - 1, loops.copy())
            count = 1
        for _ in range(count):
            self._put(edge, several, loops.copy(), causes)

    def _park(self, join: int, token: Token) -> None:
        instance = token.instance
        if join in self._game.waits_for_count and self._comes_late(join, token):
            return
        instance.parked.setdefault(join, {}).setdefault(token.edge, []).append(token)
        instance.live += 1
        if join in self._game.waits_for_count:
            if join not in instance.fired:
                self._fire_if_enough(join, instance)
        elif join in self._game.waits_for_all:
            if len(instance.parked[join]) == len(self._graph.into[join]):
                self._fire(join, instance)
        elif not is_awaited(self._game, join, instance, self._stack, self._instances):
            self._fire(join, instance)

    def _fire(self, join: int, instance: Instance) -> None:
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

    def _comes_late(self, join: int, token: Token) -> bool:
        """Let a token end that comes after a complex gateway has gone on without it (BPMN 2.0.2, 13.4.5)."""
        instance = token.instance
        fired = instance.fired.get(join)
        if fired is None or token.edge in fired:
            return False
        fired.add(token.edge)
        self._end(instance, token.loops, token.causes)
        if len(fired) == len(self._graph.into[join]):
            del instance.fired[join]
            self._fire_if_enough(join, instance)
        return True

    def _fire_if_enough(self, join: int, instance: Instance) -> None:
        waiting = instance.parked.get(join, {})
        if len(waiting) >= self._game.waits_for_count[join]:
            if len(waiting) < len(self._graph.into[join]):
                instance.fired[join] = set(waiting)
            self._fire(join, instance)

    def _is_held(self, point: int, instance: Instance, loops: Loops, came: tuple[tuple[int, ...], ...]) -> bool:
        """Keep back a token whose event ends a (sub-)process until all else there has come to rest.

        An event that nobody is there any more to catch is not held.
        """
        throw = self._graph.throws.get(point)
        holder: Instance | None = instance
        while throw is not None and holder is not None and holder.entry != throw.scope:
            holder = holder.parent
        if holder is None:
            return False
        instance.live += 1
        holder.held.append(Held(point, loops, came))
        return True

    def _throw(self, throw: Throw, instance: Instance, loops: Loops, causes: tuple[int, ...]) -> None:
        """Send a token to the boundary event or event sub-process that catches what was thrown."""
        holder = instance
        while holder.entry != throw.scope:
            if holder.parent is None:
                return
            holder = holder.parent
        catcher = self._graph.points[throw.boundary].node
        choice = holder.watched if throw.stays else holder.choice
        if choice is not None and catcher is not None:
            decision = self._game.decisions[self._choices[choice].point]
            self._choices[choice] = amend(self._choices[choice], decision, catcher.id, interrupting=throw.interrupting)
        if throw.stays:
            self._put(throw.edge, holder, loops.copy(), causes)
        elif holder.parent is not None:
            outside = self._outside(holder.parent, interrupting=throw.interrupting)
            self._put(throw.edge, outside, loops.copy(), causes)

    def _settle(self, instance: Instance) -> None:
        """Count one thing less that moves, and see to every (sub-)process that has come to rest by it."""
        current: Instance | None = instance
        while current is not None and self.failure is None:
            current.restless -= 1
            self._resume(current)
            if current.restless or self.pending is not None:
                return
            current = current.parent

    def _resume(self, instance: Instance) -> None:
        """Set a (sub-)process that has come to rest in motion again, or complete it, if the rules say so.

        Until the caller has settled the parent too, the parent counts this one as moving; a decision that comes up
        on the way stands for it in that count.
        """
        while instance.restless == 0 and self.failure is None:
            if instance.live == 0:
                self._complete(instance)
                return
            if not self._resume_join(instance) and not self._resume_held(instance):
                return
            if self.pending is not None:
                return
            instance.restless -= 1

    def _resume_join(self, instance: Instance) -> bool:
        """Let the first inclusive join go on for which nothing is left to wait; it counts as moving from then on."""
        waiting = [join for join in instance.parked if join in self._game.waits_for_some]
        ready = [join for join in waiting if not is_awaited(self._game, join, instance, (), self._instances)]
        if instance.fired:
            counts = self._game.waits_for_count
            ready += [join for join, flows in instance.parked.items() if len(flows) >= counts.get(join, len(flows) + 1)]
        if not ready and not instance.held and only_some_wait(self._game, instance, self._instances):
            ready = waiting
        if not ready:
            return False
        instance.restless += 1
        if ready[0] in instance.fired:
            del instance.fired[ready[0]]
            self._fire_if_enough(ready[0], instance)
        else:
            self._fire(ready[0], instance)
        return True

    def _resume_held(self, instance: Instance) -> bool:
        """Let the first event that ends the (sub-)process take effect; tell whether it moves again by that."""
        if not instance.held:
            return False
        held = instance.held[0]
        if self._near and not held.is_visited:
            held = min(instance.held, key=lambda one: self._near[one.point])
        self._cancel(instance)
        point = held.point
        if not held.is_visited:
            self.points.append(point)
            self._occurrences.append(Occurrence(point, held.came))
            held.came = ((len(self._occurrences) - 1,),)
            held.is_visited = True
        causes = held.came[0]
        if point in self._graph.compensations and (waiting := self._completed.take(point, instance)):
            instance.held.append(held)  # it takes effect when its compensation has come to rest
            instance.live = 1
            instance.restless = 1
            self._undo_next(Due(point, instance, held.loops, causes, waiting, held))
            return True
        throw = self._graph.throws.get(point)
        if throw is not None and throw.stays:
            instance.restless = 1
            self._throw(throw, instance, held.loops, causes)
            return True
        if throw is None or instance.due is not None:  # what undoes is out of reach of what would catch its events
            self._end(instance, held.loops, causes)
            self._complete(instance)
        elif instance.parent is not None:
            self._instances.remove(instance)
            instance.parent.live -= 1
            self._throw(throw, instance, held.loops, causes)
        return False

    def _compensates(self, point: int, instance: Instance, loops: Loops, causes: tuple[int, ...]) -> bool:
        """Begin to undo what an event compensates; tell whether there is anything to undo."""
        waiting = self._completed.take(point, instance)
        if not waiting:
            return False
        instance.live += 1
        self._undo_next(Due(point, instance, loops, causes, waiting))
        return True

    def _undo_next(self, due: Due) -> None:
        """Run the next handler of a compensation, or let its event go on when all have run."""
        graph = self._graph
        if due.waiting:
            target, record = due.waiting.pop()
            # an event sub-process sees what was completed beside it, a handler at a border does not
            entry = NOWHERE if graph.kind(target) is NodeKind.BOUNDARY_EVENT else graph.points[target].scope
            handling = self._begin(entry, due.holder)
            handling.records = list(record.inner)
            handling.due = due
            self._put(graph.compensations[due.point].edges[target], handling, due.loops.copy(), due.causes)
        elif due.held is not None:
            due.held.came = (due.causes,)
        else:
            due.holder.live -= 1
            self._choose(due.point, 0, due.holder, due.loops, due.causes)

    def _complete(self, instance: Instance) -> None:
        """Let a (sub-)process in which no token is left end, and its parent go on."""
        causes = tuple(dict.fromkeys(instance.causes))
        again = instance.again
        if again is not None and again.left and not instance.is_given_up:
            again.left -= 1
            instance.causes = []
            instance.restless = 1  # its parent counts it as moving already
            self._put(again.edge, instance, again.loops.copy(), causes)
            instance.restless -= 1
            return
        if instance in self._instances:
            self._instances.remove(instance)
        if instance.parent is None:
            self.ended = True
            return
        instance.parent.live -= 1
        if instance.due is not None:
            instance.due.causes = causes
            self._undo_next(instance.due)
        elif instance.until != NOWHERE:
            if not instance.is_given_up:
                self._enter(instance.until, instance.parent, instance.ended_loops, (causes,))
        else:
            left = self._graph.exit_of[self._graph.container_of[instance.entry]]
            if left in self._graph.remembered:
                self._completed.remember(left, instance.parent, instance.records)
            self._enter(left, instance.parent, instance.ended_loops, (causes,))
