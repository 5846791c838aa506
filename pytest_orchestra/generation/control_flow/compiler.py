"""From a process to the graph on which its tokens move."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_orchestra.generation.control_flow.anatomy import Anatomy, link_of
from pytest_orchestra.generation.control_flow.catching import Catch, find_catches
from pytest_orchestra.generation.control_flow.compensation import find_compensations
from pytest_orchestra.generation.control_flow.graph import Compensation, ControlFlow, Edge, EdgeKind, Point, Role, Throw
from pytest_orchestra.generation.control_flow.refusals import find_refusals
from pytest_orchestra.generation.control_flow.repetitions import Repetition, repetition_of
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.wording import describe
from pytest_orchestra.model.process import EventKind, FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["compile_process"]

_ODD = frozenset({NodeKind.COMPLEX_GATEWAY, NodeKind.AD_HOC_SUB_PROCESS})
_INSTANTIATING = (NodeKind.RECEIVE_TASK, NodeKind.EVENT_BASED_GATEWAY)
_ACTIVATION = re.compile(r"\s*(?:[$#]\{|=|return\b)?\s*activationCount\s*(>=|>|==|=|ge|gt|eq)\s*(\d{1,4})\s*\}?;?\s*")


def compile_process(process: Process, home: Place) -> ControlFlow:
    """Give the graph of a process; ``home`` is the place of problems whose element has none."""
    return _Compiler(process, home).compile()


class _Compiler:
    def __init__(self, process: Process, home: Place) -> None:
        self._process = process
        self._home = home
        self._anatomy = Anatomy(process)
        self._known = self._anatomy.known
        self._scope = self._anatomy.scope
        self._undoing = find_compensations(self._anatomy, home)
        self._handlers = frozenset(handler for found in self._undoing.handlers.values() for handler in found)
        self._problems: list[Problem] = [*find_refusals(self._anatomy, home), *self._undoing.problems]
        self._left_out: dict[str, str] = {}
        self._kept: list[FlowNode] = []
        self._points: list[Point] = []
        self._edges: list[Edge] = []
        self._out: list[list[int]] = []
        self._auto: list[list[int]] = []
        self._into: list[list[int]] = []
        self._point_of: dict[str, int] = {}
        self._exit_of: dict[int, int] = {}
        self._entry_of: dict[int, int] = {}
        self._loop_of: dict[int, int] = {}
        self._repetitions: dict[int, Repetition] = {}
        self._scope_entry: dict[str | None, int] = {None: 0}
        self._hosted: dict[str, list[FlowNode]] = {}
        self._event_subs: dict[str | None, list[FlowNode]] = {}
        self._alternatives: set[int] = set()
        self._throws: dict[int, Catch] = {}
        self._terminates: set[int] = set()
        self._watches: set[int] = set()
        self._compensations: dict[int, Compensation] = {}
        self._onward: dict[int, int] = {}
        self._activations: dict[int, int] = {}

    def compile(self) -> ControlFlow:
        self._leave_out()
        self._add_points()
        self._find_throws()
        self._add_flows()
        self._add_links()
        self._add_insides()
        self._add_starts()
        self._add_compensations()
        self._add_leaves()
        throws = {point: self._throw(point, catch) for point, catch in self._throws.items()}
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
            loop_of=self._loop_of,
            repetitions=self._repetitions,
            watches=frozenset(self._watches),
            triggers=self._triggers(),
            compensations=self._compensations,
            undone_by=self._points_by_point(self._undoing.undone_by),
            remembered=self._remembered(),
            prerequisites=self._prerequisites(),
            activations=self._activations,
        )

    def _leave_out(self) -> None:
        for node in self._known.values():
            reason = self._reason(node)
            if reason is None:
                self._kept.append(node)
            else:
                self._left_out[node.id] = reason
        for node in self._kept:
            if node.kind is NodeKind.BOUNDARY_EVENT:
                if node.attached_to is not None and node.id not in self._undoing.handlers:
                    self._hosted.setdefault(node.attached_to, []).append(node)
            elif self._anatomy.is_event_sub(node) and not self._anatomy.is_undoing(node):
                self._event_subs.setdefault(self._scope(node), []).append(node)

    def _reason(self, node: FlowNode) -> str | None:
        if self._undoing.left_out:
            for step, enclosing in enumerate(self._anatomy.chain(node)):
                fact = self._undoing.left_out.get(enclosing.id)
                if fact is not None:
                    return f"{'lies in' if step else 'is'} {fact}"
        if node.kind is not NodeKind.BOUNDARY_EVENT:
            return None
        host = self._known.get(node.attached_to or "")
        if host is None or host is node or host.kind is NodeKind.BOUNDARY_EVENT:
            return "is a boundary event that is attached to no activity"
        if self._scope(host) != self._scope(node):
            return "is a boundary event that lies in another sub-process than its activity"
        return self._reason(host)

    def _add_points(self) -> None:
        inhabited = {self._scope(node) for node in self._kept}
        left_by = self._left_by_exits(inhabited)
        plan: list[tuple[Role, FlowNode | None]] = [(Role.ENTRY, None)]
        for node in self._kept:
            repeats = node.loop is not None and node.kind.is_activity and not self._anatomy.is_event_sub(node)
            if repeats:
                self._loop_of[len(plan) + 1] = len(plan)
                plan.append((Role.LOOP, node))
            point = self._point_of[node.id] = len(plan)
            plan.append((Role.NODE, node))
            if node.id in inhabited:
                self._scope_entry[node.id] = len(plan)
                self._entry_of[point] = len(plan)
                plan.append((Role.ENTRY, node))
            if repeats or node.id in left_by:
                self._exit_of[point] = len(plan)
                plan.append((Role.EXIT, node))
            if node.kind in _ODD:
                self._warn_of_kind(node)
        plan.append((Role.EXIT, None))
        for index, (role, owner) in enumerate(plan):
            inside = role is Role.ENTRY or owner is None
            scope = (owner.id if owner else None) if inside else self._scope(owner) if owner else None
            self._points.append(Point(index, role, owner, self._scope_entry.get(scope, 0)))
        self._out = [[] for _ in plan]
        self._auto = [[] for _ in plan]
        self._into = [[] for _ in plan]

    def _left_by_exits(self, inhabited: set[str | None]) -> set[str | None]:
        """Give the ids of the nodes that more happens at than that a token passes."""
        undoing = self._undoing
        undone = (self._known[border].attached_to for border in undoing.handlers if border not in self._left_out)
        watches = (
            node.id
            for node in (self._kept if self._event_subs else ())
            if node.kind is NodeKind.START_EVENT and self._scope(node) in self._event_subs
        )
        return {*inhabited, *self._hosted, *undone, *watches, *undoing.throws, *undoing.remembered}

    def _arrival(self, node: str) -> int:
        """Give the point to which tokens that are sent to a node come first."""
        point = self._point_of[node]
        return self._loop_of.get(point, point)

    def _warn_of_kind(self, node: FlowNode) -> None:
        if node.kind is NodeKind.COMPLEX_GATEWAY:
            count = self._activation(node)
            if count is not None:
                self._activations[self._point_of[node.id]] = count
                return
            fact = f"{describe(node)} is played as an inclusive gateway"
            self._warn(node, fact, "check its scenarios by hand", Rule.NO_AGREED_MEANING)
        if node.kind is NodeKind.AD_HOC_SUB_PROCESS:
            fact = f"{describe(node)} is played once through, in document order"
            self._warn(node, fact, "check its scenarios by hand", Rule.NO_AGREED_MEANING)

    def _activation(self, node: FlowNode) -> int | None:
        """Give how many tokens a complex gateway that only joins waits for, where its condition says that."""
        if node.activation_condition is None or len(self._process.outgoing[node.id]) > 1:
            return None
        found = _ACTIVATION.fullmatch(node.activation_condition.text)
        if found is None:
            return None
        count = int(found[2]) + (found[1] in (">", "gt"))
        return count if 0 < count <= len(self._process.incoming[node.id]) else None

    def _find_throws(self) -> None:
        for node in self._kept:
            if node.kind is NodeKind.END_EVENT and any(event.kind is EventKind.TERMINATE for event in node.events):
                self._terminates.add(self._point_of[node.id])
        catches = find_catches(self._anatomy, self._kept, self._hosted, self._event_subs)
        for thrower, catch in catches.items():
            self._throws[self._point_of[thrower]] = catch
        for thrower in self._undoing.throws:
            point = self._point_of.get(thrower)
            if point is not None and point not in self._throws and _is_cancel(self._known[thrower]):
                self._cancel_unheard(self._known[thrower])

    def _cancel_unheard(self, node: FlowNode) -> None:
        transaction = self._anatomy.transaction_of(node)
        if transaction is None:
            return
        fact = f"{describe(transaction)} is cancelled by '{node.label}', and has no cancel boundary event"
        self._warn(node, fact, "attach a cancel event to the transaction", Rule.NO_AGREED_MEANING)
        if self._scope(node) == transaction.id:
            self._terminates.add(self._point_of[node.id])

    def _throw(self, point: int, catch: Catch) -> Throw:
        edge = next(edge for edge in self._auto[point] if self._edges[edge].kind is EdgeKind.THROW)
        catcher = self._point_of[catch.catcher.id]
        return Throw(edge, catcher, self._scope_entry[catch.scope], catch.interrupting, catch.stays)

    def _ends_here(self, point: int) -> bool:
        """Whether a token that comes there goes nowhere else, whatever flows are drawn."""
        return point in self._terminates or (point in self._throws and self._throws[point].interrupting)

    def _add_flows(self) -> None:
        for flow in self._process.flows:
            reason = self._flow_reason(flow)
            if reason is not None:
                self._left_out[flow.id] = reason
                continue
            source = self._point_of[flow.source]
            self._edge(EdgeKind.FLOW, self._exit_of.get(source, source), self._arrival(flow.target), flow)

    def _flow_reason(self, flow: SequenceFlow) -> str | None:
        source, target = self._known.get(flow.source), self._known.get(flow.target)
        if source is None or target is None:
            end, missing = ("source", flow.source) if source is None else ("target", flow.target)
            fact = f"has no {end}" + (f" '{missing}'" if missing else "")
            told = f"sequence flow '{flow.label}' {fact} in the process"
            self._warn_flow(flow, told, f"connect its {end}", Rule.DANGLING_FLOW)
            return f"{fact} in the process"
        for node in (source, target):
            if node.id in self._left_out:
                return f"begins or ends at '{node.label}', which {self._left_out[node.id]}"
        if self._scope(source) != self._scope(target):
            fact = "crosses the border of a sub-process"
            told = f"sequence flow '{flow.label}' {fact}"
            self._warn_flow(flow, told, "end it at the sub-process itself", Rule.CROSSING_FLOW)
            return fact
        if self._ends_here(self._point_of[source.id]):
            return f"leaves {describe(source)}, where every path ends"
        return None

    def _add_links(self) -> None:
        catches: dict[tuple[str | None, str], int] = {}
        for node in self._kept:
            name = link_of(node, NodeKind.INTERMEDIATE_CATCH_EVENT)
            if name is not None:
                catches.setdefault((self._scope(node), name), self._point_of[node.id])
        for node in self._kept:
            name = link_of(node, NodeKind.INTERMEDIATE_THROW_EVENT, NodeKind.END_EVENT)
            if name is None:
                continue
            source = self._point_of[node.id]
            target = catches.get((self._scope(node), name))
            if target is None:
                fact = f"link '{name}' of '{node.label}' leads to no catching event"
                self._warn(node, fact, "add a catching link event of that name", Rule.DANGLING_LINK)
            else:
                self._edge(EdgeKind.LINK, self._exit_of.get(source, source), target)

    def _add_insides(self) -> None:
        for node in self._kept:
            point = self._point_of[node.id]
            if point not in self._exit_of:
                continue
            self._add_repetition(node, point)
            borders = self._hosted.get(node.id, ())
            for border in borders:
                self._edge(EdgeKind.BOUNDARY, point, self._point_of[border.id])
            besides = sum(not border.is_interrupting for border in borders)
            if node.kind is NodeKind.START_EVENT:
                besides += self._add_triggers(point, self._scope(node))
            kind = EdgeKind.INSIDE if point in self._entry_of else EdgeKind.NORMAL
            target = self._entry_of.get(point, self._exit_of[point])
            # an event that does not interrupt has a way on of its own, so that the normal end can be told from it
            for _ in range(1 + besides if not self._ends_here(point) else 0):
                self._edge(kind, point, target)

    def _add_repetition(self, node: FlowNode, point: int) -> None:
        before = self._loop_of.get(point)
        if before is None or node.loop is None:
            return
        repetition = self._repetitions[before] = repetition_of(node.loop, self._process)
        if repetition.may_happen_once:
            self._edge(EdgeKind.ONCE, before, point)
        if repetition.may_repeat:
            self._edge(EdgeKind.REPEAT, before, point)
        if repetition.may_skip:
            self._edge(EdgeKind.SKIP, before, self._exit_of[point])
        if repetition.is_cut:
            fact = f"{describe(node)} is played with {repetition.instances(0)} of its {repetition.fixed} instances"
            self._warn(node, fact, "check by other means what only so many instances show")

    def _add_triggers(self, point: int, scope: str | None) -> int:
        """Let event sub-processes happen from there on; give how many of them do not interrupt."""
        event_subs = self._event_subs.get(scope, ())
        for event_sub in event_subs:
            self._edge(EdgeKind.TRIGGER, point, self._point_of[event_sub.id])
            self._watches.add(point)
        return sum(not self._anatomy.trigger_of(event_sub).is_interrupting for event_sub in event_subs)

    def _triggers(self) -> dict[int, FlowNode]:
        return {
            self._point_of[event_sub.id]: self._anatomy.trigger_of(event_sub)
            for event_subs in self._event_subs.values()
            for event_sub in event_subs
        }

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
                self._edge(EdgeKind.START, entry, self._arrival(node.id))
            owner = self._points[entry].node
            if not any(node.kind is NodeKind.START_EVENT for node in starts):
                self._add_triggers(entry, owner.id if owner is not None else None)
            if nodes and not starts:
                self._report_no_start(owner)

    def _is_start(self, node: FlowNode) -> bool:
        if node.kind is NodeKind.START_EVENT:
            return True
        return node.instantiate and node.kind in _INSTANTIATING and not self._into[self._arrival(node.id)]

    def _begins_unasked(self, node: FlowNode) -> bool:
        if node.kind is NodeKind.BOUNDARY_EVENT or link_of(node, NodeKind.INTERMEDIATE_CATCH_EVENT) is not None:
            return False
        if self._anatomy.is_event_sub(node) or node.id in self._handlers:
            return False
        return not self._into[self._arrival(node.id)]

    def _report_no_start(self, container: FlowNode | None) -> None:
        hint = "add a start event"
        if container is not None:
            self._warn(container, f"{describe(container)} has nothing to start with", hint, Rule.MISSING_START)
            return
        process = self._process
        message = f"process '{process.label}' has nothing to start with"
        place, code = process.place or self._home, Rule.MISSING_START.value
        self._problems.append(Problem(Severity.ERROR, place, message, hint=hint, element=process.id, code=code))

    def _add_compensations(self) -> None:
        """Lead from what throws a compensation to what it may set off, from there to the handlers, and back on."""
        reached: dict[int, list[int]] = {}
        for node, undoing in self._undoing.throws.items():
            point = self._point_of.get(node)
            scopes = tuple(self._scope_entry[scope] for scope in undoing.scopes if scope in self._scope_entry)
            targets = [self._point_of[target] for target in undoing.targets if target in self._point_of]
            if point is None or not targets:
                continue
            edges: dict[int, int] = {}
            for target in targets:
                edges[target] = len(self._edges)
                self._edge(EdgeKind.COMPENSATE, point, target, is_automatic=True)
                reached.setdefault(target, []).append(self._after(point))
            activity = None if undoing.activity is None else self._point_of.get(undoing.activity)
            instead = None if undoing.instead is None else self._point_of.get(undoing.instead)
            self._compensations[point] = Compensation(scopes, edges, activity, instead)
        for target, onward in reached.items():
            self._lead_on(target, onward[0] if len(onward) == 1 else len(self._points) - 1)

    def _after(self, thrower: int) -> int:
        """Give where a process goes on after a compensation."""
        catch = self._throws.get(thrower)
        if catch is not None:
            return self._point_of[catch.catcher.id]
        if thrower not in self._terminates:
            return self._exit_of[thrower]
        container = self._points[self._points[thrower].scope].node
        return len(self._points) - 1 if container is None else self._exit_of[self._point_of[container.id]]

    def _lead_on(self, target: int, onward: int) -> None:
        border = self._points[target].node
        handlers = self._undoing.handlers.get(border.id, ()) if border is not None else ()
        for handler in handlers:
            if handler in self._point_of:
                self._edge(EdgeKind.COMPENSATE, target, self._arrival(handler))
                point = self._point_of[handler]
                self._onward.setdefault(self._exit_of.get(point, point), onward)
        self._onward[self._exit_of.get(target, target)] = onward

    def _points_by_point(self, found: Mapping[str, str]) -> dict[int, int]:
        points = self._point_of
        return {points[one]: points[other] for one, other in found.items() if one in points and other in points}

    def _remembered(self) -> dict[int, int]:
        points = (self._point_of[node] for node in self._undoing.remembered if node in self._point_of)
        return {self._exit_of[point]: point for point in sorted(points)}

    def _prerequisites(self) -> dict[int, tuple[int, ...]]:
        """Give for what only a compensation comes to the exit of the activity that must have been completed before."""
        needed: dict[str, int] = {}
        for activity, target in self._undoing.undone_by.items():
            point = self._point_of.get(activity)
            if point is not None:
                for node in (target, *self._undoing.handlers.get(target, ())):
                    needed.setdefault(node, self._exit_of[point])
        if not needed:
            return {}
        return {
            point.index: (needed[enclosing.id],)
            for point in self._points
            if point.node is not None
            for enclosing in self._anatomy.chain(point.node)
            if enclosing.id in needed
        }

    def _add_leaves(self) -> None:
        last = len(self._points) - 1
        for thrower, catch in self._throws.items():
            self._edge(EdgeKind.THROW, thrower, self._point_of[catch.catcher.id])
        for point in self._points[:-1]:
            if self._out[point.index] or (point.index in self._throws and self._ends_here(point.index)):
                continue
            container = self._points[point.scope].node
            target = last if container is None else self._exit_of[self._point_of[container.id]]
            if point.index or not self._kept:  # a process in which nothing starts does not end either
                self._edge(EdgeKind.LEAVE, point.index, self._onward.get(point.index, target))

    def _edge(
        self, kind: EdgeKind, source: int, target: int, flow: SequenceFlow | None = None, *, is_automatic: bool = False
    ) -> None:
        edge = Edge(len(self._edges), kind, source, target, flow)
        self._edges.append(edge)
        automatic = is_automatic or kind in (EdgeKind.LEAVE, EdgeKind.THROW)
        (self._auto if automatic else self._out)[source].append(edge.index)
        if kind in (EdgeKind.FLOW, EdgeKind.LINK):
            self._into[target].append(edge.index)

    def _warn(self, node: FlowNode, message: str, hint: str, rule: Rule | None = None) -> None:
        place, code = node.place or self._home, rule.value if rule is not None else ""
        self._problems.append(Problem(Severity.WARNING, place, message, hint=hint, element=node.id, code=code))

    def _warn_flow(self, flow: SequenceFlow, message: str, hint: str, rule: Rule) -> None:
        place = flow.place or self._home
        self._problems.append(Problem(Severity.WARNING, place, message, hint=hint, element=flow.id, code=rule.value))


def _is_cancel(node: FlowNode) -> bool:
    return any(event.kind is EventKind.CANCEL for event in node.events)
