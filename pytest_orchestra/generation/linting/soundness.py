"""Deadlocks and lacks of synchronisation: joins at which tokens wait for ever, merges at which they come one by one.

Every (sub-)process is judged as a net of its own, from the inside to the outside: reduced to the part that is not sound
at sight, and that part explored marking by marking. What is claimed has been seen in a marking that some decisions lead
to; where the limit of exploration is reached, less is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import EdgeKind, Role
from pytest_orchestra.generation.limits import EXPLORATION_BUDGET
from pytest_orchestra.generation.linting.evidence import common_split, diverting_edge, missing_edges
from pytest_orchestra.generation.linting.exploration import Exploration, Marking, explore
from pytest_orchestra.generation.linting.findings import Finding
from pytest_orchestra.generation.linting.nets import Inside, build_net, scopes_of
from pytest_orchestra.generation.linting.questions import Oracle, can_be_taken, possible_sets
from pytest_orchestra.generation.linting.reduction import reduce_net
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.token_game.game import Game
from pytest_orchestra.generation.wording import caption, describe, quoted
from pytest_orchestra.model.process import FlowNode, NodeKind
from pytest_orchestra.problem import Severity

__all__ = ["Verdict", "judge_soundness"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. ``ends`` says whether any run of the process can come to its end, as far as joins are concerned;
    ``is_complete`` that nothing was left out; ``blamed`` are the points that are named.
    """

    findings: tuple[Finding, ...]
    blamed: frozenset[int]
    ends: bool
    is_complete: bool


def judge_soundness(game: Game, oracle: Oracle) -> Verdict:
    """Look for deadlocks and lacks of synchronisation in a process and in its sub-processes.

    The ``oracle`` knows which decisions contradict each other: what needs such is not claimed.
    """
    judge = _Judge(game, oracle)
    judge.look()
    return judge.verdict()


@dataclass(frozen=True, slots=True)
class _Seen:
    entry: int
    exploration: Exploration


class _Judge:
    def __init__(self, game: Game, oracle: Oracle) -> None:
        self._game = game
        self._oracle = oracle
        self._graph = game.graph
        self._insides: dict[int, Inside] = {}
        self._seen: list[_Seen] = []
        self._blamed: set[int] = set()
        self._left = EXPLORATION_BUDGET
        self._is_complete = True

    def look(self) -> None:
        for entry, points in scopes_of(self._game):
            if self._graph.activations and any(point in self._graph.activations for point in points):
                self._is_complete = False
                self._insides[entry] = Inside(throws=self._throws(entry, points))
                continue
            kernel = reduce_net(build_net(self._game, points, self._insides, self._oracle))
            seen = explore(kernel, self._left)
            self._left = max(0, self._left - seen.spent)
            self._is_complete = self._is_complete and seen.is_complete
            self._insides[entry] = Inside(seen.ends or not seen.is_complete, self._throws(entry, points))
            if seen.stuck or seen.merged or seen.repeated:
                self._seen.append(_Seen(entry, seen))

    def _throws(self, entry: int, points: tuple[int, ...]) -> tuple[int, ...]:
        """Give the points in a scope, and deeper, whose events take effect outside."""
        graph = self._graph
        found = [
            point
            for point in points
            if (throw := graph.throws.get(point)) is not None and not (throw.stays and throw.scope == entry)
        ]
        for point in points:
            inner = graph.entry_of.get(point)
            if inner is not None:
                throws = self._insides.get(inner, Inside()).throws
                found += [
                    thrower
                    for thrower in throws
                    if graph.throws[thrower].scope != inner
                    and not (graph.throws[thrower].stays and graph.throws[thrower].scope == entry)
                ]
        return tuple(found)

    def verdict(self) -> Verdict:
        ends = self._insides.get(self._graph.entry, Inside()).completes
        findings = [finding for seen in self._seen for finding in self._findings(seen, ends=ends)]
        findings += self._leaking_loops()
        return Verdict(tuple(dict.fromkeys(findings)), frozenset(self._blamed), ends, self._is_complete)

    def _findings(self, seen: _Seen, *, ends: bool) -> Iterator[Finding]:
        found = seen.exploration
        if not self._may_be_ended_from_outside(seen.entry):
            for step, markings in found.stuck.items():
                for marking in self._likely(found, markings):
                    yield from self._deadlock(found, step, marking, ends=ends)
        for step, markings in found.merged.items():
            for marking in self._likely(found, markings):
                yield from self._merge(found, step, marking)
        for step, markings in found.repeated.items():
            for _ in self._likely(found, markings):
                yield from self._repetition(found, step)

    def _likely(self, seen: Exploration, markings: Iterable[Marking]) -> Iterator[Marking]:
        """Give the first marking for which the decisions on the way do not contradict each other, if any."""
        for marking in markings:
            ways: dict[int, frozenset[int]] = {}
            for firing in seen.way_to(marking):
                point = seen.kernel.steps[firing.step].split_point
                decision = self._game.decisions.get(point)
                if decision is None:
                    continue
                first = {seen.kernel.first[edge] for edge in firing.produced}
                taken = {index for index, branch in enumerate(decision.branches) if first & set(branch.edges)}
                if taken:
                    ways[point] = frozenset(taken)
            if can_be_taken(self._game, self._oracle, ways.items()):
                yield marking
                return

    def _may_be_ended_from_outside(self, entry: int) -> bool:
        """Whether something beside a sub-process may put an end to what waits in it for ever."""
        graph = self._graph
        ending = [*graph.terminates, *(point for point, throw in graph.throws.items() if throw.interrupting)]
        while entry in graph.container_of:
            entry = graph.points[graph.container_of[entry]].scope
            if any(self._lies_in(point, entry) for point in ending):
                return True
        return False

    def _lies_in(self, point: int, entry: int) -> bool:
        return self._graph.points[point].scope == entry and point in self._game.structure.reachable

    def _deadlock(self, seen: Exploration, step: int, marking: Marking, *, ends: bool) -> Iterator[Finding]:
        kernel = seen.kernel
        point = kernel.steps[step].join_point
        node = self._node(point)
        if node is None:
            return
        missing = missing_edges(kernel, step, marking)
        labels = dict.fromkeys(self._label_of_way(kernel.last[edge]) for edge in missing)
        always = seen.is_complete and step not in seen.fired
        fact = f"{describe(node)} {'waits' if always else 'can wait'} for ever: nothing comes from {quoted(labels)}"
        diverting = diverting_edge(seen, marking, missing[0])
        if diverting is not None:
            decision_point = kernel.steps[kernel.sources[diverting]].split_point
            fact += self._after(decision_point, kernel.first[diverting])
        self._blamed.add(point)
        severity = Severity.WARNING if ends else Severity.ERROR
        hint = "join the branches with a gateway of the kind that split them"
        if self._is_fed_by_own_loop(point):
            hint = "let the loop come back to an exclusive gateway before it"
        yield Finding(Rule.DEADLOCK, severity, node, fact, hint)

    def _is_fed_by_own_loop(self, join: int) -> bool:
        graph, part = self._graph, self._game.structure.components
        return any(part[graph.edges[edge].source] == part[join] for edge in graph.into[join])

    def _label_of_way(self, edge: int) -> str:
        found = self._graph.edges[edge]
        if found.flow is not None and found.flow.name:
            return found.flow.name
        node = self._node(found.source)
        return node.label if node is not None else ""

    def _after(self, point: int, edge: int) -> str:
        """Say which decision went which way."""
        decision = self._game.decisions.get(point)
        branch = _label_of_branch(self._game, decision, edge) if decision is not None else ""
        return f" after '{branch}' at '{decision.name}'" if decision is not None and branch else ""

    def _merge(self, seen: Exploration, step: int, marking: Marking) -> Iterator[Finding]:
        kernel = seen.kernel
        point = kernel.steps[step].join_point
        node = self._node(point)
        if node is None:
            return
        present = tuple(edge for edge in kernel.steps[step].into if edge in marking.tokens)
        split = common_split(seen, marking, present[:2])
        fact = f"{describe(node)} is passed by concurrent tokens one by one"
        hint = "join the concurrent branches with a parallel gateway before it"
        if split is not None:
            cause, hint = self._cause(kernel.steps[split].split_point, hint)
            fact += f": {cause}"
        self._blamed.add(point)
        yield Finding(Rule.LACK_OF_SYNCHRONISATION, Severity.WARNING, node, fact, hint)

    def _cause(self, point: int, hint: str) -> tuple[str, str]:
        """Say what makes one token several, and what to do about it."""
        graph = self._graph
        node = graph.points[point].node
        if node is None or graph.points[point].role is Role.ENTRY:
            within = f"sub-process '{node.label}'" if node is not None else "the process"
            return f"{within} begins with several of its elements at once", "begin with one start event"
        kinds = {graph.edges[edge].kind for edge in graph.out[point]}
        if kinds & {EdgeKind.BOUNDARY, EdgeKind.TRIGGER}:
            fact = f"an event at {describe(node)} that does not interrupt starts one of them"
            return fact, "end the event's branch on its own, or let the event interrupt"
        if node.kind is NodeKind.PARALLEL_GATEWAY:
            return f"they come from {describe(node)}", hint
        if node.kind in (NodeKind.INCLUSIVE_GATEWAY, NodeKind.COMPLEX_GATEWAY):
            return f"they come from {describe(node)}", "join the branches with an inclusive gateway before it"
        fact = f"{describe(node)} sends a token along each of its flows"
        return fact, f"decide with an exclusive gateway behind '{node.label}', or join with a parallel one"

    def _leaking_loops(self) -> Iterator[Finding]:
        """Find the loops whose only way out is an inclusive decision that can go on and back at once."""
        graph, structure = self._graph, self._game.structure
        part = structure.components
        exits: dict[int, set[int]] = {}
        for edge in graph.edges:
            if part[edge.source] != part[edge.target] and part[edge.source] in structure.cyclic_components:
                exits.setdefault(part[edge.source], set()).add(edge.source)
        for point, decision in self._game.decisions.items():
            if not decision.inclusive or decision.always or exits.get(part[point]) != {point}:
                continue
            back = {
                index
                for index, branch in enumerate(decision.branches)
                if any(part[graph.edges[edge].target] == part[point] for edge in branch.edges)
            }
            sets = possible_sets(self._game, self._oracle, decision)
            if sets is None:
                regular = frozenset(range(len(decision.branches))) - {decision.default}
                sets = (regular,)
            if point in structure.reachable and any(taken & back and taken - back for taken in sets):
                yield from self._leak(point)

    def _repetition(self, seen: Exploration, step: int) -> Iterator[Finding]:
        """Tell of a loop that a token leaves while an earlier one that has left it is still under way."""
        yield from self._leak(seen.kernel.steps[step].split_point)

    def _leak(self, point: int) -> Iterator[Finding]:
        node = self._node(point)
        if node is None or self._game.structure.components[point] not in self._game.structure.cyclic_components:
            return
        fact = f"{describe(node)} can send tokens out of a loop again and again: what follows runs more than once"
        self._blamed.add(point)
        hint = "leave the loop through an exclusive gateway"
        yield Finding(Rule.LACK_OF_SYNCHRONISATION, Severity.WARNING, node, fact, hint)

    def _node(self, point: int) -> FlowNode | None:
        return self._graph.points[point].node if point >= 0 else None


def _label_of_branch(game: Game, decision: Decision, edge: int) -> str:
    for branch in decision.branches:
        if edge in branch.edges:
            return branch.name or branch.target_name or branch.target or branch.id
    found = game.graph.edges[edge].target if edge >= 0 else None
    node = game.graph.points[found].node if found is not None else None
    return (caption(node) or node.id) if node is not None else ""
