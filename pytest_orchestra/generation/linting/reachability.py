"""What no token ever reaches, and where none ever ends."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_orchestra.generation.control_flow.graph import Role
from pytest_orchestra.generation.linting.findings import Finding
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.token_game.game import Game
from pytest_orchestra.generation.token_game.guidance import INFINITE, View
from pytest_orchestra.generation.wording import describe, quoted
from pytest_orchestra.model.process import Extension, FlowNode, NodeKind
from pytest_orchestra.problem import Severity

__all__ = ["judge_ends", "judge_reach", "judge_starts"]


def judge_ends(view: View) -> Iterator[Finding]:
    """Find the loops that nothing leaves, and the splits that send a token back whatever is decided."""
    game = view.game
    graph, structure = game.graph, game.structure
    if graph.entry not in structure.reachable or not graph.out[graph.entry]:
        return
    severity = Severity.ERROR if view.to_end[graph.entry] == INFINITE else Severity.WARNING
    for point in _dead_ends(game):
        node = graph.points[point].node
        if node is not None:
            fact = f"no end can be reached from {describe(node)}"
            yield Finding(Rule.UNREACHABLE_END, severity, node, fact, "lead a flow from there to an end")
    for point in _returns(view):
        node = graph.points[point].node
        if node is not None:
            fact = f"{describe(node)} sends a token back every time, so that no run through it ends"
            hint = "decide with an exclusive gateway whether to go back"
            yield Finding(Rule.ENDLESS_LOOP, severity, node, fact, hint)


def _returns(view: View) -> list[int]:
    """Give for every cycle that no run leaves for good a point that sends tokens out of it and back as well."""
    game = view.game
    graph, structure = game.graph, game.structure
    part = structure.components
    found: dict[int, tuple[bool, int]] = {}
    for point in sorted(structure.reachable & structure.postdominators.keys()):
        if view.to_end[point] != INFINITE:
            continue
        edges = [graph.edges[edge] for edge in structure.successor_edges[point]]
        staying = [edge for edge in edges if part[edge.target] == part[point] and view.to_end[edge.target] == INFINITE]
        if staying and any(view.to_end[edge.target] != INFINITE for edge in edges):
            closes = any(edge.index in structure.closing for edge in staying)
            known = found.get(part[point])
            if known is None or (closes and not known[0]):
                found[part[point]] = (closes, point)
    return sorted(point for _, point in found.values())


def _dead_ends(game: Game) -> list[int]:
    """Give the first point of every part that has no way to an end, and none to another such part."""
    structure = game.structure
    lost = sorted(structure.reachable - structure.postdominators.keys())
    part = structure.components
    leading_on = {
        part[point] for point in lost for target in game.graph.successors(point) if part[target] != part[point]
    }
    first: dict[int, int] = {}
    for point in lost:
        if part[point] not in leading_on and game.graph.points[point].role is not Role.EXIT:
            first.setdefault(part[point], point)
    return sorted(first.values())


def judge_reach(game: Game) -> Iterator[Finding]:
    """Find the elements that no flow leads to from a start, once for all that lies behind them."""
    graph = game.graph
    for node in graph.process.nodes:
        if node.kind is NodeKind.BOUNDARY_EVENT and graph.left_out.get(node.id, "").startswith("is a boundary event"):
            fact = f"{describe(node)} {graph.left_out[node.id].removeprefix('is a boundary event that ')}"
            yield Finding(Rule.DEAD_ELEMENT, Severity.WARNING, node, fact, "attach it to an activity, or remove it")
    if any(_is_ad_hoc(extension) for extension in graph.process.extensions):
        return  # what nothing leads to is started by hand there
    unreached = [point.index for point in graph.points if point.index not in game.structure.reachable]
    led_to = {target for point in unreached for target in graph.successors(point) if target != point}
    told: set[int] = set()
    for is_root in (True, False):
        for point in unreached:
            owner = graph.points[point].node
            if point in told or (is_root and point in led_to) or owner is None or not _could_be(game, point):
                continue
            behind = _behind(game, point, told)
            told |= behind
            names = {found.id for other in behind if (found := graph.points[other].node) is not None}
            yield _unreached(owner, len(names - {owner.id}))


def _is_ad_hoc(extension: Extension) -> bool:
    return extension.is_attribute and extension.name.endswith("}adHoc") and extension.text == "true"


def _unreached(node: FlowNode, behind: int) -> Finding:
    fact = f"{describe(node)} cannot be reached from a start"
    if behind:
        fact += f", nor can {'the element' if behind == 1 else f'the {behind} elements'} behind it"
    hint = "lead a flow to it, or remove it"
    if node.kind is NodeKind.INTERMEDIATE_CATCH_EVENT:
        hint = "lead a flow to it, make it a start event, or remove it"
    return Finding(Rule.DEAD_ELEMENT, Severity.WARNING, node, fact, hint)


def _could_be(game: Game, point: int) -> bool:
    """Whether a point stands for an element, and something else of its (sub-)process can be reached."""
    found = game.graph.points[point]
    return found.role in (Role.NODE, Role.LOOP) and bool(game.graph.out[found.scope])


def _behind(game: Game, point: int, told: set[int]) -> set[int]:
    """Give the point and all that are not reached because it is not, without those that are told already."""
    graph, reachable = game.graph, game.structure.reachable
    found = {point}
    waiting = [point]
    while waiting:
        for target in graph.successors(waiting.pop()):
            if target not in found and target not in told and target not in reachable:
                found.add(target)
                waiting.append(target)
    return found


def judge_starts(game: Game) -> Iterator[Finding]:
    """Find (sub-)processes with an end event but no start event, the reverse, and starts that nothing tells apart."""
    starts: dict[str | None, list[FlowNode]] = {}
    ends: set[str | None] = set()
    nodes = game.graph.process.node
    owners: dict[str | None, None] = {}
    for node in game.graph.process.nodes:
        scope = node.scope if node.scope in nodes else None
        owners.setdefault(scope)
        if node.kind is NodeKind.START_EVENT or (
            node.instantiate and node.kind in (NodeKind.RECEIVE_TASK, NodeKind.EVENT_BASED_GATEWAY)
        ):
            starts.setdefault(scope, []).append(node)
        elif node.kind is NodeKind.END_EVENT:
            ends.add(scope)
    for scope in owners:
        owner = nodes[scope] if scope is not None else None
        name = describe(owner) if owner is not None else f"process '{game.graph.process.label}'"
        yield from _judge_scope(owner, name, starts.get(scope, []), has_end=scope in ends)


def _judge_scope(owner: FlowNode | None, name: str, starts: list[FlowNode], *, has_end: bool) -> Iterator[Finding]:
    if starts and not has_end:
        fact = f"{name} has a start event but no end event"
        yield Finding(Rule.MISSING_END, Severity.INFO, owner, fact, "end its paths with end events")
    if has_end and not starts:
        fact = f"{name} has an end event but no start event"
        yield Finding(Rule.MISSING_START, Severity.INFO, owner, fact, "add a start event")
    causeless = [node for node in starts if node.kind is NodeKind.START_EVENT and not node.events]
    if len(causeless) > 1:
        fact = f"{name} has {len(causeless)} start events without a cause: {quoted(node.label for node in causeless)}"
        hint = "say what each of them waits for, or begin with one"
        yield Finding(Rule.AMBIGUOUS_START, Severity.INFO, owner, fact, hint)
