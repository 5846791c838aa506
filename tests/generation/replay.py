"""An independent check of scenarios: a small token game of its own, over the process as it was drawn.

It knows tasks, start and end events, exclusive, parallel and inclusive gateways, and sub-processes whose one end event
comes last; nothing of it comes from the code under test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from pytest_orchestra.model.process import NodeKind, Process, SequenceFlow

__all__ = ["PLAIN_KINDS", "RANDOM_KINDS", "coverable_flows", "reach", "replay"]

PLAIN_KINDS = (NodeKind.TASK, NodeKind.EXCLUSIVE_GATEWAY, NodeKind.PARALLEL_GATEWAY)
RANDOM_KINDS = (*PLAIN_KINDS, NodeKind.INCLUSIVE_GATEWAY)


class _State(NamedTuple):
    """How far a replay has come: flows taken, nodes fired, tokens under way and tokens that wait at joins."""

    flows: int
    nodes: int
    due: tuple[str, ...]
    parked: tuple[str, ...]


def replay(process: Process, nodes: tuple[str, ...], flows: tuple[str, ...]) -> None:
    """Play the scenario's flows one by one, trying all that gateways may have decided; fails if nothing explains it."""
    replayed = _Replay(process, nodes, flows)
    waiting = list(replayed.fire(_State(0, 0, (), ()), nodes[0]))
    seen = set(waiting)
    while waiting:
        state = waiting.pop()
        if state == (len(flows), len(nodes), (), ()):
            return
        for following in replayed.steps(state):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    raise AssertionError(f"no play of the process takes {flows} and fires {nodes}")


class _Replay:
    def __init__(self, process: Process, nodes: tuple[str, ...], flows: tuple[str, ...]) -> None:
        self._process = process
        self._nodes = nodes
        self._flows = flows

    def steps(self, state: _State) -> Iterator[_State]:
        """Give the states that may come next: an inclusive join goes on, or the next flow is taken."""
        process = self._process
        if state.nodes < len(self._nodes):
            join = self._nodes[state.nodes]
            if (
                self._is_join(join, NodeKind.INCLUSIVE_GATEWAY)
                and self._at(state, join)
                and not self._awaited(state, join)
            ):
                yield from self.fire(state._replace(parked=_without(state.parked, *set(self._at(state, join)))), join)
        if state.flows == len(self._flows) or self._flows[state.flows] not in state.due:
            return
        flow = self._flows[state.flows]
        target = process.flow[flow].target
        moved = state._replace(flows=state.flows + 1, due=_without(state.due, flow))
        if not self._is_join(target, NodeKind.INCLUSIVE_GATEWAY, NodeKind.PARALLEL_GATEWAY):
            yield from self.fire(moved, target)
            return
        moved = moved._replace(parked=tuple(sorted((*moved.parked, flow))))
        complete = {incoming.id for incoming in process.incoming[target]}
        if self._is_join(target, NodeKind.PARALLEL_GATEWAY) and complete == set(self._at(moved, target)):
            yield from self.fire(moved._replace(parked=_without(moved.parked, *complete)), target)
        else:
            yield moved

    def fire(self, state: _State, node: str) -> Iterator[_State]:
        """Give the states after a node fired, if it is its turn: one for each set of flows that may get tokens."""
        if state.nodes == len(self._nodes) or self._nodes[state.nodes] != node:
            return
        state = state._replace(nodes=state.nodes + 1)
        process = self._process
        if process.node[node].kind is NodeKind.SUB_PROCESS:
            yield from self.fire(state, next(inner.id for inner in process.nodes if inner.scope == node))
            return
        left = Counter(self._flows[state.flows :])
        for chosen in _outcomes(process, node):
            due = tuple(sorted((*state.due, *(flow.id for flow in chosen))))
            if not Counter(due) - left:
                yield state._replace(due=due)

    def _is_join(self, node: str, *kinds: NodeKind) -> bool:
        return self._process.node[node].kind in kinds and len(self._process.incoming[node]) > 1

    def _at(self, state: _State, join: str) -> list[str]:
        return [flow for flow in state.parked if self._process.flow[flow].target == join]

    def _awaited(self, state: _State, join: str) -> bool:
        """Whether another token can reach a flow of the join that has none, and no flow that has one."""
        process = self._process
        waiting = {process.flow[flow].target for flow in state.parked}
        if not state.due and all(self._is_join(node, NodeKind.INCLUSIVE_GATEWAY) for node in waiting):
            return False
        present = set(self._at(state, join))
        absent = {flow.id for flow in process.incoming[join]} - present
        for node in [*(process.flow[flow].target for flow in state.due), *(waiting - {join})]:
            ways = reach(process, node, around=join)
            reached = {flow.id for flow in process.incoming[join] if flow.source in ways}
            if absent and (node == join or (reached & absent and not reached & present)):
                return True
        return False


def _outcomes(process: Process, node: str) -> list[tuple[SequenceFlow, ...]]:
    scope = process.node[node].scope
    if process.node[node].kind is NodeKind.END_EVENT and scope:
        return [process.outgoing[scope]]
    flows = process.outgoing[node]
    if process.node[node].kind is NodeKind.EXCLUSIVE_GATEWAY and flows:
        return [(flow,) for flow in flows]
    if process.node[node].kind is NodeKind.INCLUSIVE_GATEWAY and flows:
        return [chosen for size in range(1, len(flows) + 1) for chosen in combinations(flows, size)]
    return [flows]


def _without(tokens: tuple[str, ...], *taken: str) -> tuple[str, ...]:
    return tuple(sorted((Counter(tokens) - Counter(taken)).elements()))


def reach(process: Process, node: str, around: str = "") -> set[str]:
    """Give the nodes that can be reached from a node, itself included; not those behind the node to go around."""
    if node == around:
        return set()
    seen = {node, around}
    waiting = [node]
    while waiting:
        for target in _successors(process, waiting.pop()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen - {around}


def _successors(process: Process, node: str) -> list[str]:
    found = [flow.target for flow in process.outgoing[node]]
    scope = process.node[node].scope
    if process.node[node].kind is NodeKind.END_EVENT and scope:
        found += [flow.target for flow in process.outgoing[scope]]
    return found + [inner.id for inner in process.nodes if inner.scope == node][:1]


def coverable_flows(process: Process) -> set[str]:
    """Give the flows of all runs that end: every marking is tried (exclusive and parallel gateways, no cycles)."""
    start = next(node.id for node in process.nodes if node.kind is NodeKind.START_EVENT)
    waiting = [(chosen, frozenset(chosen)) for chosen in _chosen(process, start)]
    seen = set(waiting)
    covered: set[str] = set()
    while waiting:
        marking, taken = waiting.pop()
        if not marking:
            covered |= taken
        for state in _next_markings(process, marking, taken):
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    return covered


def _next_markings(
    process: Process, marking: tuple[str, ...], taken: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    """Give what the next node that fires makes of the tokens, with all flows taken until then."""
    for node in process.nodes:
        incoming = [flow.id for flow in process.incoming[node.id]]
        present = [flow for flow in incoming if flow in marking]
        waits = node.kind is NodeKind.PARALLEL_GATEWAY and len(incoming) > 1
        consumed = ([present] if len(present) == len(incoming) else []) if waits else [[flow] for flow in present]
        for flows in consumed:
            for chosen in _chosen(process, node.id):
                yield tuple(sorted((*_without(marking, *flows), *chosen))), taken | set(chosen)


def _chosen(process: Process, node: str) -> list[tuple[str, ...]]:
    return [tuple(flow.id for flow in flows) for flows in _outcomes(process, node)]
