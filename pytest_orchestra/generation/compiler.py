"""From a process to the graph on which its tokens move."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_orchestra.generation.graph import ControlFlow, Edge, EdgeKind, Point, Role, Throw
from pytest_orchestra.generation.wording import describe
from pytest_orchestra.model.process import EventDefinition, EventKind, FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["compile_process"]

_THROWING = (NodeKind.END_EVENT, NodeKind.INTERMEDIATE_THROW_EVENT, NodeKind.IMPLICIT_THROW_EVENT)
_CAUGHT_ON_BORDERS = (EventKind.ERROR, EventKind.ESCALATION, EventKind.CANCEL)
_INSTANTIATING = (NodeKind.RECEIVE_TASK, NodeKind.EVENT_BASED_GATEWAY)


def compile_process(process: Process, home: Place) -> ControlFlow:
    """Give the graph of a process; ``home`` is the place of problems whose element has none."""
    return _Compiler(process, home).compile()


class _Compiler:
    def __init__(self, process: Process, home: Place) -> None:
        self._process = process
        self._home = home
        self._problems: list[Problem] = []
        self._left_out: dict[str, str] = {}
        self._known: dict[str, FlowNode] = {}
        for node in process.nodes:
            self._known.setdefault(node.id, node)
        self._kept: list[FlowNode] = []
        self._points: list[Point] = []
        self._edges: list[Edge] = []
        self._out: list[list[int]] = []
        self._auto: list[list[int]] = []
        self._into: list[list[int]] = []
        self._point_of: dict[str, int] = {}
        self._exit_of: dict[int, int] = {}
        self._entry_of: dict[int, int] = {}
        self._scope_entry: dict[str | None, int] = {None: 0}
        self._hosted: dict[str, list[FlowNode]] = {}
        self._alternatives: set[int] = set()
        self._throws: dict[int, tuple[FlowNode, int]] = {}
        self._terminates: set[int] = set()

    def compile(self) -> ControlFlow:
        self._leave_out()
        self._add_points()
        self._find_throws()
        self._add_flows()
        self._add_links()
        self._add_insides()
        self._add_starts()
        self._add_leaves()
        throws = {point: self._throw(point, boundary, scope) for point, (boundary, scope) in self._throws.items()}
        return ControlFlow(
            process=self._process,
            points=tuple(self._points),
            edges=tuple(self._edges),
            out=tuple(map(tuple, self._out)),
            auto=tuple(map(tuple, self._auto)),
            into=tuple(map(tuple, self._into)),
            entry=0,
            exit=len(self._points) - 1,
            point_of=self._point_of,
            exit_of=self._exit_of,
            entry_of=self._entry_of,
            container_of={entry: container for container, entry in self._entry_of.items()},
            alternatives=frozenset(self._alternatives),
            throws=throws,
            terminates=frozenset(self._terminates),
            left_out=self._left_out,
            problems=tuple(self._problems),
        )

    def _leave_out(self) -> None:
        targets = {flow.target for flow in self._process.flows}
        for node in self._known.values():
            reason = self._reason(node, targets)
            if reason is None:
                self._kept.append(node)
            else:
                self._left_out[node.id] = reason
        for node in self._kept:
            if node.kind is NodeKind.BOUNDARY_EVENT and node.attached_to is not None:
                self._hosted.setdefault(node.attached_to, []).append(node)

    def _reason(self, node: FlowNode, targets: set[str]) -> str | None:
        for step, enclosing in enumerate(self._chain(node)):
            within = "lies in" if step else "is"
            if enclosing.triggered_by_event and enclosing.kind.is_container and enclosing.id not in targets:
                return f"{within} event {describe(enclosing)}, which is not entered"
            if enclosing.is_for_compensation:
                return f"{within} compensation handler '{enclosing.label}', and compensation is not played"
        if node.kind is not NodeKind.BOUNDARY_EVENT:
            return None
        if any(event.kind is EventKind.COMPENSATE for event in node.events):
            return "is a compensation event, and compensation is not played"
        host = self._known.get(node.attached_to or "")
        if host is None or host is node or host.kind is NodeKind.BOUNDARY_EVENT:
            return "is a boundary event that is attached to no activity"
        if self._scope(host) != self._scope(node):
            return "is a boundary event that lies in another sub-process than its activity"
        return self._reason(host, targets)

    def _chain(self, node: FlowNode) -> Iterator[FlowNode]:
        """Give the node and what encloses it, from the inside to the outside."""
        seen: set[str] = set()
        found: FlowNode | None = node
        while found is not None and found.id not in seen:
            seen.add(found.id)
            yield found
            found = self._known.get(found.scope or "")

    def _scope(self, node: FlowNode) -> str | None:
        return node.scope if node.scope in self._known else None

    def _add_points(self) -> None:
        inhabited = {self._scope(node) for node in self._kept}
        plan: list[tuple[Role, FlowNode | None]] = [(Role.ENTRY, None)]
        for node in self._kept:
            self._point_of[node.id] = len(plan)
            plan.append((Role.NODE, node))
            if node.id in inhabited:
                self._scope_entry[node.id] = len(plan)
                self._entry_of[self._point_of[node.id]] = len(plan)
                plan.append((Role.ENTRY, node))
            if node.id in inhabited or node.id in self._hosted:
                self._exit_of[self._point_of[node.id]] = len(plan)
                plan.append((Role.EXIT, node))
            self._warn_of_kind(node)
        plan.append((Role.EXIT, None))
        for index, (role, owner) in enumerate(plan):
            inside = role is Role.ENTRY or owner is None
            scope = (owner.id if owner else None) if inside else self._scope(owner) if owner else None
            self._points.append(Point(index, role, owner, self._scope_entry.get(scope, 0)))
        self._out = [[] for _ in plan]
        self._auto = [[] for _ in plan]
        self._into = [[] for _ in plan]

    def _warn_of_kind(self, node: FlowNode) -> None:
        if node.kind is NodeKind.COMPLEX_GATEWAY:
            self._warn(node, f"{describe(node)} is played as an inclusive gateway", "check its scenarios by hand")
        if node.kind is NodeKind.AD_HOC_SUB_PROCESS:
            self._warn(
                node, f"{describe(node)} is played once through, in document order", "check its scenarios by hand"
            )

    def _find_throws(self) -> None:
        for node in self._kept:
            if node.kind not in _THROWING:
                continue
            point = self._point_of[node.id]
            for event in node.events:
                if event.kind is EventKind.TERMINATE and node.kind is NodeKind.END_EVENT:
                    self._terminates.add(point)
                elif event.kind in _CAUGHT_ON_BORDERS:
                    caught = self._catching(node, event)
                    if caught is not None and point not in self._throws:
                        self._throws[point] = caught

    def _catching(self, node: FlowNode, event: EventDefinition) -> tuple[FlowNode, int] | None:
        for container in list(self._chain(node))[1:]:
            borders = [
                (border, caught)
                for border in self._hosted.get(container.id, ())
                for caught in border.events
                if caught.kind is event.kind
            ]
            exact = (border for border, caught in borders if _same_code(caught, event))
            general = (border for border, caught in borders if caught.ref is None or event.ref is None)
            found = next(exact, None) or next(general, None)
            if found is not None:
                return found, self._scope_entry[container.id]
        return None

    def _throw(self, point: int, boundary: FlowNode, scope: int) -> Throw:
        edge = next(edge for edge in self._auto[point] if self._edges[edge].kind is EdgeKind.THROW)
        return Throw(edge, self._point_of[boundary.id], scope, boundary.is_interrupting)

    def _ends_here(self, point: int) -> bool:
        """Whether a token that comes there goes nowhere else, whatever flows are drawn."""
        return point in self._terminates or (point in self._throws and self._throws[point][0].is_interrupting)

    def _add_flows(self) -> None:
        for flow in self._process.flows:
            reason = self._flow_reason(flow)
            if reason is not None:
                self._left_out[flow.id] = reason
                continue
            source = self._point_of[flow.source]
            self._edge(EdgeKind.FLOW, self._exit_of.get(source, source), self._point_of[flow.target], flow)

    def _flow_reason(self, flow: SequenceFlow) -> str | None:
        source, target = self._known.get(flow.source), self._known.get(flow.target)
        if source is None or target is None:
            end, missing = ("source", flow.source) if source is None else ("target", flow.target)
            fact = f"has no {end}" + (f" '{missing}'" if missing else "")
            self._warn_flow(flow, f"sequence flow '{flow.label}' {fact} in the process", f"connect its {end}")
            return f"{fact} in the process"
        for node in (source, target):
            if node.id in self._left_out:
                return f"begins or ends at '{node.label}', which {self._left_out[node.id]}"
        if self._scope(source) != self._scope(target):
            fact = "crosses the border of a sub-process"
            self._warn_flow(flow, f"sequence flow '{flow.label}' {fact}", "end it at the sub-process itself")
            return fact
        if self._ends_here(self._point_of[source.id]):
            return f"leaves {describe(source)}, where every path ends"
        return None

    def _add_links(self) -> None:
        catches: dict[tuple[str | None, str], int] = {}
        for node in self._kept:
            name = _link(node, NodeKind.INTERMEDIATE_CATCH_EVENT)
            if name is not None:
                catches.setdefault((self._scope(node), name), self._point_of[node.id])
        for node in self._kept:
            name = _link(node, NodeKind.INTERMEDIATE_THROW_EVENT, NodeKind.END_EVENT)
            if name is None:
                continue
            target = catches.get((self._scope(node), name))
            if target is None:
                fact = f"link '{name}' of '{node.label}' leads to no catching event"
                self._warn(node, fact, "add a catching link event of that name")
            else:
                self._edge(EdgeKind.LINK, self._point_of[node.id], target)

    def _add_insides(self) -> None:
        for node in self._kept:
            point = self._point_of[node.id]
            if point not in self._exit_of:
                continue
            borders = self._hosted.get(node.id, ())
            for border in borders:
                self._edge(EdgeKind.BOUNDARY, point, self._point_of[border.id])
            kind = EdgeKind.INSIDE if point in self._entry_of else EdgeKind.NORMAL
            target = self._entry_of.get(point, self._exit_of[point])
            # an event that does not interrupt has a way on of its own, so that the normal end can be told from it
            for _ in range(1 + sum(not border.is_interrupting for border in borders)):
                self._edge(kind, point, target)

    def _add_starts(self) -> None:
        members: dict[int, list[FlowNode]] = {entry: [] for entry in self._scope_entry.values()}
        for node in self._kept:
            members[self._points[self._point_of[node.id]].scope].append(node)
        for entry, nodes in members.items():
            starts = [node for node in nodes if self._is_start(node)]
            if len(starts) > 1:
                self._alternatives.add(entry)
            if not starts:
                starts = [node for node in nodes if self._begins_unasked(node)]
            for node in starts:
                self._edge(EdgeKind.START, entry, self._point_of[node.id])
            if nodes and not starts:
                self._report_no_start(self._points[entry].node)

    def _is_start(self, node: FlowNode) -> bool:
        if node.kind is NodeKind.START_EVENT:
            return True
        return node.instantiate and node.kind in _INSTANTIATING and not self._into[self._point_of[node.id]]

    def _begins_unasked(self, node: FlowNode) -> bool:
        if node.kind is NodeKind.BOUNDARY_EVENT or _link(node, NodeKind.INTERMEDIATE_CATCH_EVENT) is not None:
            return False
        return not self._into[self._point_of[node.id]]

    def _report_no_start(self, container: FlowNode | None) -> None:
        hint = "add a start event"
        if container is not None:
            self._warn(container, f"{describe(container)} has nothing to start with", hint)
            return
        process = self._process
        message = f"process '{process.label}' has nothing to start with"
        self._problems.append(
            Problem(Severity.ERROR, process.place or self._home, message, hint=hint, element=process.id)
        )

    def _add_leaves(self) -> None:
        last = len(self._points) - 1
        for thrower, (boundary, _) in self._throws.items():
            self._edge(EdgeKind.THROW, thrower, self._point_of[boundary.id])
        for point in self._points[:-1]:
            if self._out[point.index] or (point.index in self._throws and self._ends_here(point.index)):
                continue
            container = self._points[point.scope].node
            target = last if container is None else self._exit_of[self._point_of[container.id]]
            if point.index or not self._kept:  # a process in which nothing starts does not end either
                self._edge(EdgeKind.LEAVE, point.index, target)

    def _edge(self, kind: EdgeKind, source: int, target: int, flow: SequenceFlow | None = None) -> None:
        edge = Edge(len(self._edges), kind, source, target, flow)
        self._edges.append(edge)
        automatic = kind in (EdgeKind.LEAVE, EdgeKind.THROW)
        (self._auto if automatic else self._out)[source].append(edge.index)
        if kind in (EdgeKind.FLOW, EdgeKind.LINK):
            self._into[target].append(edge.index)

    def _warn(self, node: FlowNode, message: str, hint: str) -> None:
        place = node.place or self._home
        self._problems.append(Problem(Severity.WARNING, place, message, hint=hint, element=node.id))

    def _warn_flow(self, flow: SequenceFlow, message: str, hint: str) -> None:
        place = flow.place or self._home
        self._problems.append(Problem(Severity.WARNING, place, message, hint=hint, element=flow.id))


def _same_code(caught: EventDefinition, thrown: EventDefinition) -> bool:
    if caught.ref is not None and caught.ref == thrown.ref:
        return True
    return caught.reference is not None and caught.reference == thrown.reference


def _link(node: FlowNode, *kinds: NodeKind) -> str | None:
    """Give the name of the link, if the node is a link event of one of the kinds."""
    if node.kind not in kinds:
        return None
    for event in node.events:
        if event.kind is EventKind.LINK:
            return event.ref or event.reference or node.name
    return None
