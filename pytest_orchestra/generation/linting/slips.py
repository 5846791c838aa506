"""Slips of the pen that do not stop a process, and that testers stumble over."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import EdgeKind, Role
from pytest_orchestra.generation.linting.findings import Finding
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.token_game.game import Game
from pytest_orchestra.generation.wording import describe, fold, quoted
from pytest_orchestra.model.process import FlowNode, NodeKind, Process
from pytest_orchestra.problem import Severity

__all__ = ["judge_decisions", "judge_gateways"]

_MOST_NAMED = 3
_DEAF = (NodeKind.PARALLEL_GATEWAY, NodeKind.EVENT_BASED_GATEWAY)
_DECIDING = (NodeKind.EXCLUSIVE_GATEWAY, NodeKind.INCLUSIVE_GATEWAY, NodeKind.COMPLEX_GATEWAY)


def judge_gateways(process: Process) -> Iterator[Finding]:
    """Find default flows with a condition, and gateways that do nothing."""
    for node in process.nodes:
        if node.kind.is_gateway and node.kind is not NodeKind.EVENT_BASED_GATEWAY:
            flows = process.outgoing[node.id]
            if len(flows) == 1 and len(process.incoming[node.id]) == 1 and flows[0].condition is None:
                fact = f"{describe(node)} neither splits nor joins"
                hint = "remove it, or draw the flow that is missing"
                yield Finding(Rule.NEEDLESS_GATEWAY, Severity.INFO, node, fact, hint)
        if node.default_flow is not None and node.kind not in _DEAF:
            default = process.flow.get(node.default_flow)
            if default is not None and default.condition is not None and default.condition.text.strip():
                text = fold(default.condition.text)
                fact = f"the condition '{text}' of default flow '{default.label}' of {describe(node)} is never read"
                hint = "take it away; the default flow is taken when no other is"
                yield Finding(Rule.CONDITION_ON_DEFAULT, Severity.INFO, default, fact, hint)


def judge_decisions(game: Game) -> Iterator[Finding]:
    """Find decisions whose branches cannot be told apart, by a condition or by a name."""
    for point, decision in game.decisions.items():
        found = game.graph.points[point]
        if found.node is None or found.role is Role.LOOP or len(decision.branches) < 2:  # noqa: PLR2004  a choice
            continue
        if _leads_by_flows(game, decision):
            if found.node.kind in _DECIDING:
                yield from _unnamed(game, found.node, decision)
            yield from _alike(found.node, decision)


def _leads_by_flows(game: Game, decision: Decision) -> bool:
    edges = game.graph.edges
    return all(branch.edges and edges[branch.edges[0]].kind is EdgeKind.FLOW for branch in decision.branches)


def _unnamed(game: Game, node: FlowNode, decision: Decision) -> Iterator[Finding]:
    silent = [
        branch
        for index, branch in enumerate(decision.branches)
        if not branch.name and (decision.point, index) not in game.table.conditions and index != decision.default
    ]
    if len(silent) < 2:  # noqa: PLR2004  a single one is what the others are not
        return
    targets = quoted(branch.target_name or branch.target for branch in silent[:_MOST_NAMED])
    if len(silent) > _MOST_NAMED:
        targets += f" and {len(silent) - _MOST_NAMED} more"
    fact = f"{describe(node)} decides without a name or a condition between its ways to {targets}"
    yield Finding(Rule.UNNAMED_DECISION, Severity.INFO, node, fact, "name its flows, as 'yes' and 'no'")


def _alike(node: FlowNode, decision: Decision) -> Iterator[Finding]:
    names: dict[str, int] = {}
    for branch in decision.branches:
        if branch.name:
            names[branch.name] = names.get(branch.name, 0) + 1
    for name, count in names.items():
        if count > 1:
            fact = f"{count} flows of {describe(node)} are called '{name}'"
            hint = "give each flow a name of its own; until then, call them by their ids in the sidecar"
            yield Finding(Rule.DUPLICATE_BRANCH_NAME, Severity.WARNING, node, fact, hint)
