"""Every marking of a small process, in every order of steps: an oracle for deadlocks and lacks of synchronisation.

It knows start events, tasks, exclusive, parallel and inclusive gateways, and takes nothing from the code under test. An
inclusive join waits as long as another token can reach it; once nothing else moves, no longer for one that could as
well come along a flow that has a token already (BPMN 2.0.2, 13.4.3). With cycles, that has no agreed meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from replay import reach

from pytest_orchestra.model.process import NodeKind, Process

__all__ = ["Markings", "explore_all"]

_WAITING = (NodeKind.PARALLEL_GATEWAY, NodeKind.INCLUSIVE_GATEWAY)


@dataclass
class Markings:
    """What all markings together show. ``dead`` are those in which tokens wait for ever, as the joins where they wait;
    ``merged`` the other nodes with flows of their own at which tokens wait on two flows at once; ``fired`` what goes on
    at all. ``ends`` says that some run ends, ``is_cut`` that there are more markings or tokens than were followed.
    """

    dead: set[frozenset[str]] = field(default_factory=set)
    merged: set[str] = field(default_factory=set)
    repeated: bool = False
    fired: set[str] = field(default_factory=set)
    ends: bool = False
    is_cut: bool = False


def explore_all(process: Process, *, most_markings: int = 4_000, most_tokens: int = 7) -> Markings:
    """Look at every marking that can be reached from the start event."""
    found = Markings()
    start = next(node.id for node in process.nodes if node.kind is NodeKind.START_EVENT)
    ways = {node.id: reach(process, node.id) for node in process.nodes}
    waiting = [tuple(sorted(flows)) for flows in _outcomes(process, start)]
    seen = set(waiting)
    while waiting:
        marking = waiting.pop()
        _judge_merges(process, marking, found)
        steps = list(_steps(process, marking, ways, found, at_rest=False))
        steps = steps or list(_steps(process, marking, ways, found, at_rest=True))
        for following in steps:
            if len(following) > most_tokens or len(seen) > most_markings:
                found.is_cut = True
            elif following not in seen:
                seen.add(following)
                waiting.append(following)
        if not marking:
            found.ends = True
        elif not steps:
            found.dead.add(frozenset(process.flow[flow].target for flow in marking))
    return found


def _judge_merges(process: Process, marking: tuple[str, ...], found: Markings) -> None:
    found.repeated = found.repeated or len(set(marking)) < len(marking)
    for node in process.nodes:
        present = {flow.id for flow in process.incoming[node.id]} & set(marking)
        if len(present) > 1 and node.kind not in _WAITING and process.outgoing[node.id]:
            found.merged.add(node.id)


def _steps(
    process: Process, marking: tuple[str, ...], ways: dict[str, set[str]], found: Markings, *, at_rest: bool
) -> Iterator[tuple[str, ...]]:
    for node in process.nodes:
        incoming = [flow.id for flow in process.incoming[node.id]]
        present = [flow for flow in incoming if flow in marking]
        if not present:
            continue
        if node.kind not in _WAITING or len(incoming) == 1:
            consumed = [[flow] for flow in present]
        elif len(present) == len(incoming) or _may_go_on(process, marking, node.id, ways, at_rest=at_rest):
            consumed = [present]
        else:
            continue
        found.fired.add(node.id)
        for flows in consumed:
            left = list(marking)
            for flow in flows:
                left.remove(flow)
            for produced in _outcomes(process, node.id):
                yield tuple(sorted((*left, *produced)))


def _may_go_on(
    process: Process, marking: tuple[str, ...], join: str, ways: dict[str, set[str]], *, at_rest: bool
) -> bool:
    """Whether an inclusive join waits for nothing more."""
    if process.node[join].kind is not NodeKind.INCLUSIVE_GATEWAY:
        return False
    absent = {flow.source for flow in process.incoming[join] if flow.id not in marking}
    present = {flow.source for flow in process.incoming[join] if flow.id in marking} if at_rest else set()
    places = {process.flow[flow].target for flow in marking} - {join}
    return not any(ways[place] & absent and not ways[place] & present for place in places)


def _outcomes(process: Process, node: str) -> list[tuple[str, ...]]:
    flows = [flow.id for flow in process.outgoing[node]]
    kind = process.node[node].kind
    if kind is NodeKind.EXCLUSIVE_GATEWAY and flows:
        return [(flow,) for flow in flows]
    if kind is NodeKind.INCLUSIVE_GATEWAY and flows:
        return [chosen for size in range(1, len(flows) + 1) for chosen in combinations(flows, size)]
    return [tuple(flows)]
