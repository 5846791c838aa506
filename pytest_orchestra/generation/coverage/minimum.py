"""The least number of runs that cover a process, and how often they take each branch.

Runs are a flow. Where one outcome of several is taken, the flow divides; where a token goes several ways at once, each
of them carries the whole of it; where a loop goes back, what it carries comes on top. To meet a goal on an edge is a
lower bound of 1 on its flow. The least flow from the start to the end is the least number of runs:

- Nested blocks are reduced to single arcs (Valdes, Tarjan, Lawler: "The Recognition of Series Parallel Digraphs",
  1982). The need of an arc is the flow that it must carry at least: that of a sequence is the greatest of its parts,
  that of alternatives their sum, that of concurrent branches the greatest, that of a loop what its limit leaves.
- What is left, if it is made of alternatives only, is a flow with lower bounds, which :mod:`.flow` makes least.
- Where concurrency is left that no block contains, nothing is claimed.

The flow tells as well how to play: a run takes an outcome as long as the flow has some of it left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pytest_orchestra.generation.coverage.flow import Arc, least_flow
from pytest_orchestra.generation.token_game.game import Game
from pytest_orchestra.generation.token_game.guidance import INFINITE, View

__all__ = ["Quotas", "find_quotas"]

_NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Quotas:
    """The least number of ``runs``, and how often they take each outcome of each point, all together.

    ``repeats`` are the outcomes, as (point, outcome), that lead once more round a loop: a run takes them before others.
    """

    runs: int
    taken: Sequence[list[int]]
    repeats: frozenset[tuple[int, int]]


class _Split(IntEnum):
    """How many of the arcs that leave a vertex one token takes."""

    ONE = 0
    ALL = 1


class _Join(IntEnum):
    """What a vertex waits for: one token, one on every arc, or whatever is under way."""

    ONE = 0
    ALL = 1
    ANY = 2


class _Form(IntEnum):
    """What an arc stands for: an outcome, parts one after the other, alternatives, concurrent branches, a vertex."""

    LEAF = 0
    SERIES = 1
    CHOICE = 2
    BRANCHES = 3
    VERTEX = 4


@dataclass(slots=True)
class _Arc:
    """A way from vertex to vertex, or what many ways have been reduced to.

    ``need`` is the flow that it must carry at least, ``limit`` how often a token may take it in one run, ``steps`` how
    many edges lie on the shortest way along it. ``parts`` are arcs; (point, outcome) of a LEAF, empty where it is no
    outcome of its own; (arc, vertex, arc) of a SERIES.
    """

    source: int
    target: int
    need: int
    limit: int
    form: _Form
    parts: tuple[int, ...]
    steps: int = 1


@dataclass(slots=True)
class _Vertex:
    """A point, an outcome of several edges, or points that are always passed together.

    ``passes`` is how often it must be passed, the ways round its ``loops`` included; ``limit`` how often a run may do
    that; ``inner`` are arcs that are passed as often.
    """

    split: _Split = _Split.ONE
    join: _Join = _Join.ONE
    passes: int = 0
    limit: int = _NO_LIMIT
    inner: tuple[int, ...] = ()
    loops: tuple[int, ...] = ()


def find_quotas(view: View, edge_goals: Iterable[int], point_goals: Iterable[int]) -> Quotas | None:
    """Give the least runs that pass all edges and points, None where the graph does not tell.

    Edges and points that no run can pass count for nothing. Takes time in proportion to the graph for nested blocks.
    Nothing is told where one pass of an activity may be several of its inside: instances, and handlers that compensate.
    """
    if view.game.multiplies:
        return None
    return _Reduction(view, frozenset(edge_goals), frozenset(point_goals)).solve()


class _Reduction:
    """The graph while it shrinks."""

    def __init__(self, view: View, edge_goals: frozenset[int], point_goals: frozenset[int]) -> None:
        self._view = view
        self._game = view.game
        self._edge_goals = edge_goals
        self._arcs: list[_Arc] = []
        self._vertices = [_vertex(view.game, point, point_goals) for point in range(len(view.game.graph.points))]
        self._out: list[dict[int, None]] = [{} for _ in self._vertices]
        self._in: list[dict[int, None]] = [{} for _ in self._vertices]
        self._between: dict[tuple[int, int], int] = {}
        self._work: list[int] = []

    def solve(self) -> Quotas | None:
        """Reduce the graph, and give the flow through what is left of it."""
        graph = self._game.graph
        if graph.entry not in self._game.structure.reachable or self._view.to_end[graph.entry] == INFINITE:
            return None
        self._add_arcs()
        self._work = [vertex for vertex in range(len(self._vertices) - 1, -1, -1) if self._out[vertex]]
        while self._work:
            self._simplify(self._work.pop())
        arcs = [number for arcs in self._out for number in arcs]
        if len(arcs) == 1:
            runs = max(1, self._arcs[arcs[0]].need)
            return self._quotas(runs, [(arcs[0], runs)], [])
        return self._solve_rest(arcs)

    def _add_arcs(self) -> None:
        graph, to_end = self._game.graph, self._view.to_end
        outcomes = self._game.table.outcomes
        reachable = self._game.structure.reachable
        for point in range(len(graph.points)):
            if point not in reachable or to_end[point] == INFINITE:
                continue
            automatic = graph.auto[point]
            chosen = self._usual(point, _covering(self._view, point))
            if len(chosen) == 1 and not automatic:
                edges = outcomes[point][chosen[0]].edges
                self._vertices[point].split = _Split.ALL if len(edges) > 1 else _Split.ONE
                for edge in edges:
                    self._leaf(point, edge, ())
                continue
            for index in chosen:
                edges = outcomes[point][index].edges
                if len(edges) == 1:
                    self._leaf(point, edges[0], (point, index))
                else:
                    self._fan(point, edges, (point, index))
            if automatic:
                self._vertices[point].split = _Split.ALL if chosen and len(automatic) else _Split.ONE
                for edge in automatic:
                    self._leaf(point, edge, ())

    def _usual(self, point: int, chosen: list[int]) -> list[int]:
        """Leave out numbers of instances that no goal asks for: one is the usual number, though none is shorter."""
        decision = self._game.decisions.get(point)
        if decision is None or not decision.is_repetition:
            return chosen
        outcomes = self._game.table.outcomes[point]
        wanted = [index for index in chosen if not self._edge_goals.isdisjoint(outcomes[index].edges)]
        return wanted or chosen[:1]

    def _leaf(self, source: int, edge: int, outcome: tuple[int, ...]) -> None:
        limit = self._game.edge_limits.get(edge, _NO_LIMIT)
        target = self._game.graph.edges[edge].target
        self._add(_Arc(source, target, int(edge in self._edge_goals), limit, _Form.LEAF, outcome))

    def _fan(self, point: int, edges: Sequence[int], outcome: tuple[int, int]) -> None:
        """Add a vertex for an outcome that sends a token along several edges."""
        fan = len(self._vertices)
        self._vertices.append(_Vertex(_Split.ALL))
        self._out.append({})
        self._in.append({})
        self._add(_Arc(point, fan, 0, _NO_LIMIT, _Form.LEAF, outcome))
        for edge in edges:
            self._leaf(fan, edge, ())

    def _add(self, arc: _Arc) -> None:
        """Add an arc; one that runs beside another becomes one with it, one that leads back a loop of its vertex."""
        source, target = arc.source, arc.target
        split, join = self._vertices[source].split, self._vertices[target].join
        if source == target:
            if split is _Split.ONE and join is _Join.ONE:
                self._absorb(arc)
                return
        else:
            beside = self._between.get((source, target))
            form = _parallel(split, join)
            if beside is not None and form is not None:
                self._unlink(beside)
                other = self._arcs[beside]
                need = other.need + arc.need if form is _Form.CHOICE else max(other.need, arc.need)
                number = self._keep(arc)
                steps = min(other.steps, arc.steps) if form is _Form.CHOICE else other.steps + arc.steps
                limit = min(_NO_LIMIT, other.limit + arc.limit) if form is _Form.CHOICE else min(other.limit, arc.limit)
                arc = _Arc(source, target, need, limit, form, (beside, number), steps)
            self._between[source, target] = len(self._arcs)
        number = self._keep(arc)
        self._out[source][number] = None
        self._in[target][number] = None
        self._work.append(source)
        self._work.append(target)

    def _keep(self, arc: _Arc) -> int:
        self._arcs.append(arc)
        return len(self._arcs) - 1

    def _unlink(self, number: int) -> None:
        arc = self._arcs[number]
        del self._out[arc.source][number]
        del self._in[arc.target][number]
        if self._between.get((arc.source, arc.target)) == number:
            del self._between[arc.source, arc.target]

    def _absorb(self, arc: _Arc) -> None:
        vertex = self._vertices[arc.source]
        if vertex.limit > 1:  # else no run may go round
            vertex.loops = (*vertex.loops, self._keep(arc))
        self._work.append(arc.source)

    def _simplify(self, index: int) -> None:
        vertex = self._vertices[index]
        out, into = self._out[index], self._in[index]
        if len(out) == 1:
            vertex.split = _Split.ONE
        if len(into) == 1:
            vertex.join = _Join.ONE
        if len(into) == 1 and len(out) == 1:
            self._splice(index, next(iter(into)), next(iter(out)))
        elif len(out) == 1 and index != self._game.graph.entry:
            target = self._arcs[next(iter(out))].target
            if target not in (index, self._game.graph.exit) and len(self._in[target]) == 1:
                self._contract(index, next(iter(out)), target)
        elif len(into) == 1 and index != self._game.graph.exit:
            source = self._arcs[next(iter(into))].source
            if source not in (index, self._game.graph.entry) and len(self._out[source]) == 1:
                self._contract(source, next(iter(into)), index)

    def _splice(self, index: int, before: int, after: int) -> None:
        """Put one arc in the place of a vertex with one way in and one way out."""
        if before == after:
            return
        one, other = self._arcs[before], self._arcs[after]
        self._unlink(before)
        self._unlink(after)
        need = max(one.need, self._throughput(index), other.need)
        limit = min(one.limit, self._vertices[index].limit, other.limit)
        steps = one.steps + other.steps + sum(self._arcs[number].steps for number in self._vertices[index].inner)
        self._add(_Arc(one.source, other.target, need, limit, _Form.SERIES, (before, index, after), steps))

    def _contract(self, first: int, between: int, second: int) -> None:
        """Make one vertex of two between which there is only one way."""
        arc = self._arcs[between]
        self._unlink(between)
        needs = (self._throughput(first), arc.need, self._throughput(second))
        limit = min(self._vertices[first].limit, arc.limit, self._vertices[second].limit)
        inner = (self._set_aside(first), between, self._set_aside(second))
        join, split = self._vertices[first].join, self._vertices[second].split
        self._vertices[first] = _Vertex(split, join, max(needs), limit, inner)
        for number in list(self._out[second]):
            moved = self._arcs[number]
            self._unlink(number)
            moved.source = first
            self._readd(number)
        self._work.append(first)

    def _readd(self, number: int) -> None:
        """Link an arc anew whose ends have changed."""
        arc = self._arcs[number]
        self._add(_Arc(arc.source, arc.target, arc.need, arc.limit, arc.form, arc.parts, arc.steps))

    def _set_aside(self, index: int) -> int:
        """Keep what a vertex is under another number, as an arc."""
        self._vertices.append(self._vertices[index])
        self._out.append({})
        self._in.append({})
        return self._keep(_Arc(index, index, 0, _NO_LIMIT, _Form.VERTEX, (len(self._vertices) - 1,)))

    def _throughput(self, index: int) -> int:
        """Give how often a vertex must be come to from elsewhere, so that it is passed as often as it must be."""
        vertex = self._vertices[index]
        if not vertex.loops:
            return vertex.passes
        loops = [self._arcs[number] for number in vertex.loops]
        repeats = sum(loop.need for loop in loops)
        most = min(vertex.limit, 1 + sum(loop.limit for loop in loops))
        least = max(min(1, vertex.passes + repeats), -(-vertex.passes // most), -(-repeats // (most - 1)))
        return max(least, *(-(-loop.need // loop.limit) for loop in loops))

    def _solve_rest(self, numbers: Sequence[int]) -> Quotas | None:
        """Give the least flow through what could not be reduced, if that is made of alternatives."""
        graph = self._game.graph
        used = sorted({end for number in numbers for end in (self._arcs[number].source, self._arcs[number].target)})
        for index in used:
            vertex = self._vertices[index]
            if vertex.split is _Split.ALL or vertex.join is _Join.ALL:
                return None
        if graph.entry not in used or graph.exit not in used:
            return None
        place = {index: 2 * rank for rank, index in enumerate(used)}
        arcs = [Arc(place[index], place[index] + 1, self._throughput(index)) for index in used]
        arcs += [
            Arc(place[self._arcs[number].source] + 1, place[self._arcs[number].target], self._arcs[number].need)
            for number in numbers
        ]
        runs, carried = least_flow(2 * len(used), arcs, place[graph.entry], place[graph.exit] + 1)
        passed = list(zip(used, carried, strict=False))
        return self._quotas(max(1, runs), list(zip(numbers, carried[len(used) :], strict=True)), passed)

    def _quotas(self, runs: int, arcs: list[tuple[int, int]], vertices: list[tuple[int, int]]) -> Quotas:
        """Give back to all outcomes what the arcs and vertices carry that they were reduced to."""
        taken = [[0] * len(outcomes) for outcomes in self._game.table.outcomes]
        repeats: set[tuple[int, int]] = set()
        waiting = [(number, count, False) for number, count in arcs]
        for index, count in vertices:
            waiting += self._within(index, count)
        while waiting:
            number, count, leads_back = waiting.pop()
            arc = self._arcs[number]
            if arc.form is _Form.LEAF:
                if arc.parts:
                    point, outcome = arc.parts
                    taken[point][outcome] += count
                    if leads_back:
                        repeats.add((point, outcome))
            elif arc.form is _Form.SERIES:
                before, vertex, after = arc.parts
                waiting.append((before, count, leads_back))
                waiting.append((after, count, leads_back and self._is_plain(before)))
                waiting += self._within(vertex, count)
            elif arc.form is _Form.VERTEX:
                waiting += self._within(arc.parts[0], count)
            elif arc.form is _Form.BRANCHES:
                waiting.extend((part, count, leads_back) for part in arc.parts)
            else:
                needs = [self._arcs[part].need for part in arc.parts]
                shortest = min(range(len(needs)), key=lambda place: self._arcs[arc.parts[place]].steps)
                needs[shortest] += max(0, count - sum(needs))
                waiting.extend((part, need, leads_back) for part, need in zip(arc.parts, needs, strict=True))
        return Quotas(runs, taken, frozenset(repeats))

    def _is_plain(self, number: int) -> bool:
        """Whether nothing is decided on an arc, so that what comes after it decides for it."""
        arc = self._arcs[number]
        return arc.form is _Form.LEAF and not arc.parts

    def _within(self, index: int, count: int) -> list[tuple[int, int, bool]]:
        """Give what a vertex that is come to so often has its inner arcs and loops carry."""
        vertex = self._vertices[index]
        needs = [self._arcs[number].need for number in vertex.loops]
        passes = max(count + sum(needs), vertex.passes)
        found = [(number, passes, False) for number in vertex.inner]
        lack = passes - count - sum(needs)
        for number, need in zip(vertex.loops, needs, strict=True):
            found.append((number, need + lack, True))
            lack = 0
        return found


def _vertex(game: Game, point: int, point_goals: frozenset[int]) -> _Vertex:
    join = _Join.ONE
    if point in game.waits_for_all:
        join = _Join.ALL
    elif point in game.waits_for_some or point in game.completions:
        join = _Join.ANY
    return _Vertex(join=join, passes=int(point in point_goals))


def _parallel(split: _Split, join: _Join) -> _Form | None:
    """Say what two arcs between the same vertices are together, None where they do not belong together."""
    if split is _Split.ONE:
        return None if join is _Join.ALL else _Form.CHOICE
    return None if join is _Join.ONE else _Form.BRANCHES


def _covering(view: View, point: int) -> list[int]:
    """Give outcomes that together take every edge which any of them takes, and that lead to the end; few and large."""
    outcomes = view.game.table.outcomes[point]
    usable = [index for index in view.allowed[point] if view.cost(point, index) != INFINITE]
    if all(len(outcomes[index].edges) == 1 for index in usable):
        return usable
    chosen: list[int] = []
    covered: set[int] = set()
    for index in sorted(usable, key=lambda index: (-len(outcomes[index].edges), index)):
        if not covered.issuperset(outcomes[index].edges):
            covered.update(outcomes[index].edges)
            chosen.append(index)
    return sorted(chosen)
