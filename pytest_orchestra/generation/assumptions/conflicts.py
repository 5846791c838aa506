"""How contradictions between conditions are told, and the branches that none of the values that reach them can take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from pytest_orchestra.generation.assumptions.knowledge import Claim, Conflict, Knowledge
from pytest_orchestra.generation.control_flow.decisions import Decision
from pytest_orchestra.generation.control_flow.graph import EdgeKind
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.wording import describe, fold, quoted
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["assumed_before", "explain_conflict", "find_dead_branches", "why_not"]


def assumed_before(decisions: Mapping[int, Decision], conflict: Conflict) -> str:
    """Say what a branch contradicts: ``contradicts 'amount > 1000' assumed at 'Large order?'``."""
    if not conflict.earlier:
        return f"its own conditions contradict each other: {_texts(conflict.own)}"
    return f"contradicts {' and '.join(_assumed(decisions, conflict.earlier))}"


def _assumed(decisions: Mapping[int, Decision], claims: tuple[Claim, ...]) -> Iterator[str]:
    by_point: dict[int, list[Claim]] = {}
    for claim in claims:
        by_point.setdefault(claim.point, []).append(claim)
    for point, own in by_point.items():
        yield f"{_texts(own)} assumed at '{decisions[point].name}'"


def _texts(claims: Iterable[Claim]) -> str:
    return quoted(fold(claim.text) for claim in claims)


def explain_conflict(decisions: Mapping[int, Decision], conflict: Conflict) -> str:
    """Say of both sides what contradicts: ``'amount < 5' at 'Small?' contradicts 'amount > 9' assumed at 'Large?'``."""
    if not conflict.earlier:
        return assumed_before(decisions, conflict)
    return f"{_texts(conflict.own)} at '{decisions[conflict.point].name}' {assumed_before(decisions, conflict)}"


def find_dead_branches(knowledge: Knowledge | None, home: Place) -> tuple[Problem, ...]:
    """Give a warning for every branch whose condition cannot hold on any way to it, with what it contradicts.

    A default branch that nothing is left for is told for information: it may be there to be safe. So is how many
    conditions were not held against others.
    """
    if knowledge is None or knowledge.is_empty:
        return ()
    found = [
        _problem(knowledge, decision, index, conflict, home) for decision, index, conflict in _dead_branches(knowledge)
    ]
    if knowledge.clusters.left_out:
        number = knowledge.clusters.left_out
        fact = f"only some of the conditions that share variables were held against each other; {number} were not"
        found.append(Problem(Severity.INFO, home, fact, hint="split the process"))
    if not knowledge.flow.is_complete:
        fact = "whether branches are dead was not found out: there are too many conditions that share variables"
        found.append(Problem(Severity.INFO, home, fact, hint="split the process"))
    return tuple(found)


def why_not(knowledge: Knowledge, edges: Iterable[int], points: Iterable[int]) -> Conflict | None:
    """Give what contradicts on the way to edges and points which nothing reaches; None if anything reaches them."""
    flow = knowledge.flow
    if any(flow.passes(edge) for edge in edges) or any(flow.reaches(point) for point in points):
        return None
    graph = knowledge.graph
    waiting = deque(dict.fromkeys((*edges, *(edge for point in points for edge in _into(knowledge, point)))))
    seen = set(waiting)
    while waiting:
        edge = waiting.popleft()
        source = graph.edges[edge].source
        for outcome in flow.dead_outcomes(source):
            if edge in knowledge.table.outcomes[source][outcome].edges:
                conflict = _conflict(knowledge, source, outcome)
                if conflict is not None:
                    return conflict
        for before in _into(knowledge, source) if not flow.reaches(source) else ():
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    return None


def _into(knowledge: Knowledge, point: int) -> tuple[int, ...]:
    return knowledge.structure.predecessor_edges[point]


def _dead_branches(knowledge: Knowledge) -> Iterator[tuple[Decision, int, Conflict]]:
    for point, decision in knowledge.decisions.items():
        if decision.is_repetition:
            continue  # how often an activity repeats is no branch that anybody drew
        dead = knowledge.flow.dead_outcomes(point)
        outcomes = knowledge.table.outcomes[point]
        live = {branch for index, one in enumerate(outcomes) if index not in dead for branch in one.branches}
        for index in dead:
            branches = outcomes[index].branches
            if len(branches) != 1 or branches[0] in live:
                continue
            conflict = _conflict(knowledge, point, index)
            if conflict is None or (decision.inclusive and any(one.branch != branches[0] for one in conflict.own)):
                continue  # together with others, the branch of an inclusive decision may yet be taken
            yield decision, branches[0], conflict


def _conflict(knowledge: Knowledge, point: int, outcome: int) -> Conflict | None:
    """Play one way to an outcome, and give what contradicts it there."""
    assumptions = knowledge.begin()
    for passed, taken in knowledge.flow.way_to(point):
        assumptions.pass_points((passed,))
        if taken is not None and len(knowledge.table.outcomes[passed]) > 1:
            assumptions.take(passed, taken)
    assumptions.pass_points((point,))
    return assumptions.broken or assumptions.conflict(point, outcome)


def _problem(knowledge: Knowledge, decision: Decision, index: int, conflict: Conflict, home: Place) -> Problem:
    graph, branch = knowledge.graph, decision.branches[index]
    node = graph.points[decision.point].node
    flow = next((graph.edges[edge].flow for edge in branch.edges if graph.edges[edge].kind is EdgeKind.FLOW), None)
    place = (flow.place if flow is not None else None) or (node.place if node is not None else None) or home
    name = branch.name or branch.target_name or branch.id
    where = describe(node) if node is not None else f"'{decision.name}'"
    severity = Severity.WARNING if (decision.point, index) in knowledge.table.conditions else Severity.INFO
    fact = f"the branch '{name}' of {where} can never be taken: {explain_conflict(knowledge.decisions, conflict)}"
    hint = "mend one of the conditions, or remove the branch"
    return Problem(severity, place, fact, hint=hint, element=branch.id, code=Rule.DEAD_BRANCH.value)
