"""One (sub-)process as a net of joins and splits through which tokens pass.

A sub-process within is one step of the net around it: what its activity brings about is what the inside can do. So the
nets of a process are looked at one by one, from the inside to the outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import Role
from pytest_orchestra.generation.linting.questions import Oracle, possible_sets
from pytest_orchestra.generation.token_game.game import Game

__all__ = [
    "AUTOMATIC",
    "DEAD",
    "HUNG",
    "ROOT",
    "SINK",
    "TERMINALS",
    "TERMINATED",
    "THROWN",
    "Gate",
    "Inside",
    "Net",
    "build_net",
    "scopes_of",
]


class Gate(IntEnum):
    """How tokens pass: one at a time, all together, or some of them."""

    EXCLUSIVE = 0
    PARALLEL = 1
    INCLUSIVE = 2


ROOT, SINK, TERMINATED, THROWN, HUNG, DEAD = range(6)
"""The first nodes of every net: where it begins; where tokens vanish; where they wait to end the whole, normally or by
an event that is caught outside; where they stay for ever inside a sub-process; and what is never reached."""

TERMINALS = (SINK, TERMINATED, THROWN, HUNG)

AUTOMATIC = -1
"""The edge of the graph behind an edge of a net that no edge of the graph stands for."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What a sub-process can do. ``completes`` says that it may come to its end, ``throws`` are the points in it, or
    deeper, whose events take effect outside.
    """

    completes: bool = True
    throws: tuple[int, ...] = ()


@dataclass
class Net:
    """Nodes with a join and a split, and edges from split to join. ``points`` has the point that a node stands for.

    ``first`` and ``last`` are the edges of the graph with which an edge begins and ends. ``watched`` are the merges
    that concurrent tokens must not pass one by one, ``defaults`` the edges that an inclusive split takes alone.
    """

    points: list[int] = field(default_factory=lambda: [AUTOMATIC] * 6)
    joins: list[Gate] = field(default_factory=lambda: [Gate.EXCLUSIVE] * 6)
    splits: list[Gate] = field(default_factory=lambda: [Gate.EXCLUSIVE] * 6)
    sources: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    watched: set[int] = field(default_factory=set)
    defaults: set[int] = field(default_factory=set)

    def add_node(self, point: int, join: Gate = Gate.EXCLUSIVE, split: Gate = Gate.EXCLUSIVE) -> int:
        """Add a node and give its number."""
        self.points.append(point)
        self.joins.append(join)
        self.splits.append(split)
        return len(self.points) - 1

    def add_edge(self, source: int, target: int, edge: int = AUTOMATIC) -> int:
        """Add an edge that one of the graph stands for, and give its number."""
        self.sources.append(source)
        self.targets.append(target)
        self.first.append(edge)
        self.last.append(edge)
        return len(self.sources) - 1


def scopes_of(game: Game) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Give for the entry of every (sub-)process that is reached the points in it, from the inside to the outside."""
    graph, reachable = game.graph, game.structure.reachable
    members: dict[int, list[int]] = {}
    for point in graph.points:
        if point.index in reachable and point.index != graph.exit:
            members.setdefault(point.scope, []).append(point.index)
    return tuple(
        (entry, tuple(members[entry])) for entry in sorted(members, key=lambda entry: (-depth_of(game, entry), entry))
    )


def depth_of(game: Game, entry: int) -> int:
    """Give how many sub-processes lie around the inside that begins at an entry."""
    depth = 0
    while entry in game.graph.container_of:
        entry = game.graph.points[game.graph.container_of[entry]].scope
        depth += 1
    return depth


def build_net(game: Game, points: Iterable[int], insides: Mapping[int, Inside], oracle: Oracle) -> Net:
    """Give the net of one scope from its points; ``insides`` has what sub-processes within can do, by entry.

    The ``oracle`` knows which branches of an inclusive decision can be taken together.
    """
    return _Builder(game, tuple(points), insides, oracle).build()


class _Builder:
    def __init__(self, game: Game, points: tuple[int, ...], insides: Mapping[int, Inside], oracle: Oracle) -> None:
        self._game = game
        self._graph = game.graph
        self._points = points
        self._insides = insides
        self._oracle = oracle
        self._net = Net()
        self._nodes: dict[int, int] = {}

    def build(self) -> Net:
        game, graph, net = self._game, self._graph, self._net
        for point in self._points:
            join = Gate.EXCLUSIVE
            if point in game.waits_for_all:
                join = Gate.PARALLEL
            elif point in game.waits_for_some:
                join = Gate.INCLUSIVE
            node = self._nodes[point] = net.add_node(point, join)
            if point in game.merges:
                net.watched.add(node)
            if graph.points[point].role is Role.ENTRY:
                net.add_edge(ROOT, node)
        reachable = game.structure.reachable
        for point, node in self._nodes.items():
            self._add_ways(point, node)
            if point in game.waits_for_all:
                for edge in graph.into[point]:
                    if graph.edges[edge].source not in reachable:
                        net.add_edge(DEAD, node, edge)
        return net

    def _add_ways(self, point: int, node: int) -> None:
        graph, net = self._graph, self._net
        throw = graph.throws.get(point)
        if point in graph.terminates or (throw is not None and throw.interrupting):
            stays = throw is None or (throw.stays and throw.scope == graph.points[point].scope)
            net.add_edge(node, TERMINATED if stays else THROWN)
            return
        decision = self._game.decisions.get(point)
        if point in graph.entry_of:
            self._add_inside(point, node, decision)
        elif decision is None:
            self._add_all(node, graph.out[point])
        elif decision.inclusive:
            self._add_inclusive(node, decision)
        else:
            for branch in decision.branches:
                if not branch.is_thrown:
                    self._add_branch(node, branch.edges)

    def _add_all(self, node: int, edges: Iterable[int]) -> None:
        net = self._net
        net.splits[node] = Gate.PARALLEL
        count = 0
        for edge in edges:
            net.add_edge(node, self._target(edge), edge)
            count += 1
        if not count:
            net.add_edge(node, SINK)

    def _target(self, edge: int) -> int:
        """Give the node to which an edge leads; to the inside of a sub-process it leads as far as its end."""
        graph = self._graph
        target = graph.edges[edge].target
        if target in self._nodes:
            return self._nodes[target]
        container = graph.container_of.get(target)
        if container is None:
            return SINK
        if not self._insides.get(target, Inside()).completes:
            return HUNG
        return self._nodes.get(graph.exit_of[container], SINK)

    def _add_inside(self, point: int, node: int, decision: Decision | None) -> None:
        """Add what comes of a sub-process: its end, its boundary events, and what events in it set off."""
        graph = self._graph
        if decision is None:
            self._add_branch(node, graph.out[point])
        for branch in decision.branches if decision is not None else ():
            if not branch.is_thrown:
                self._add_branch(node, branch.edges)
        entry = graph.entry_of[point]
        for thrower in self._insides.get(entry, Inside()).throws:
            throw = graph.throws[thrower]
            if throw.scope == entry and throw.boundary in self._nodes:
                self._add_thrown(node, point, self._nodes[throw.boundary], interrupting=throw.interrupting)
            elif throw.scope != entry and throw.interrupting:
                stays = throw.stays and throw.scope == graph.points[point].scope
                self._net.add_edge(node, TERMINATED if stays else THROWN)

    def _add_thrown(self, node: int, point: int, target: int, *, interrupting: bool) -> None:
        if interrupting:
            self._net.add_edge(node, target)
            return
        graph = self._graph
        entry = graph.entry_of[point]
        onward = next((edge for edge in graph.out[point] if graph.edges[edge].target == entry), None)
        aside = self._aside(node, AUTOMATIC)
        self._net.add_edge(aside, target)
        if onward is not None:
            self._net.add_edge(aside, self._target(onward), onward)

    def _add_branch(self, node: int, edges: tuple[int, ...]) -> None:
        if len(edges) == 1:
            self._net.add_edge(node, self._target(edges[0]), edges[0])
            return
        aside = self._aside(node, edges[0] if edges else AUTOMATIC)
        for edge in edges:
            self._net.add_edge(aside, self._target(edge), edge)
        if not edges:
            self._net.add_edge(aside, SINK)

    def _aside(self, node: int, edge: int) -> int:
        """Give a node behind the split where a token becomes several."""
        aside = self._net.add_node(self._net.points[node], split=Gate.PARALLEL)
        self._net.add_edge(node, aside, edge)
        return aside

    def _add_inclusive(self, node: int, decision: Decision) -> None:
        """Add a split that takes some branches; beside edges that are always taken, or none at all, it stands aside."""
        net = self._net
        split, is_optional = node, False
        if decision.always:
            net.splits[node] = Gate.PARALLEL
            for edge in decision.always:
                net.add_edge(node, self._target(edge), edge)
            split = net.add_node(net.points[node])
            net.add_edge(node, split, decision.branches[0].edges[0])
            is_optional = decision.default is None
        sets = possible_sets(self._game, self._oracle, decision)
        if sets is not None:
            self._add_sets(split, decision, sets)
            return
        regular = sum(index != decision.default for index in range(len(decision.branches)))
        net.splits[split] = Gate.INCLUSIVE if regular > 1 else Gate.EXCLUSIVE
        for index, branch in enumerate(decision.branches):
            for edge in branch.edges:
                added = net.add_edge(split, self._target(edge), edge)
                if index == decision.default:
                    net.defaults.add(added)
        if is_optional:
            net.defaults.add(net.add_edge(split, SINK))

    def _add_sets(self, split: int, decision: Decision, sets: Iterable[frozenset[int]]) -> None:
        """Let exactly these sets of branches be taken, each branch over a node of its own where they come together."""
        net = self._net
        relays = [net.add_node(net.points[split]) for _ in decision.branches]
        for branch, relay in zip(decision.branches, relays, strict=True):
            net.add_edge(relay, self._target(branch.edges[0]), branch.edges[0])
        for taken in sets:
            branches = sorted(taken) or ([decision.default] if decision.default is not None else [])
            if len(branches) == 1:
                net.add_edge(split, relays[branches[0]], decision.branches[branches[0]].edges[0])
            elif branches:
                aside = self._aside(split, decision.branches[branches[0]].edges[0])
                for index in branches:
                    net.add_edge(aside, relays[index], decision.branches[index].edges[0])
            elif decision.always:
                net.add_edge(split, SINK)
