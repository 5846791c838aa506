"""Who compensates what: handlers, the events that set them off, and what these can reach (BPMN 2.0.2, 13.5.5).

An activity is undone by the handler at its compensation boundary event, else by the compensation event sub-process
within it, else by undoing what was completed in it. A throwing event undoes one activity, or all that its (sub-)process
has completed; within an event sub-process also what the (sub-)process around that one has. A cancel end event undoes
what its transaction has completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_orchestra.generation.control_flow.anatomy import THROWING, Anatomy
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.wording import describe
from pytest_orchestra.model.process import EventDefinition, EventKind, FlowNode, NodeKind
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["Compensations", "Undoing", "find_compensations"]

_KEEP_ONE = "keep one of them"
_NAME_ONE = "let it name an activity of its own sub-process that has a compensation event"


@dataclass(frozen=True, slots=True)
class Undoing:
    """What one throwing event undoes, by ids; the process itself is None among the ``scopes``, innermost first.

    ``targets`` are the boundary events and event sub-processes that it can set off.
    """

    scopes: tuple[str | None, ...]
    targets: tuple[str, ...]
    activity: str | None = None
    instead: str | None = None


@dataclass(frozen=True)
class Compensations:
    """All compensation of a process, by ids.

    ``undone_by`` has for an activity the boundary event or event sub-process that undoes it, ``handlers`` the handlers
    of a boundary event, ``remembered`` the activities whose completion matters, ``left_out`` what nothing sets off.
    """

    throws: Mapping[str, Undoing] = field(default_factory=dict)
    undone_by: Mapping[str, str] = field(default_factory=dict)
    handlers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remembered: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def find_compensations(anatomy: Anatomy, home: Place) -> Compensations:
    """Give who compensates what in a process."""
    if not any(_is_concerned(node) for node in anatomy.known.values()):
        return Compensations()
    return _Search(anatomy, home).find()


def _is_concerned(node: FlowNode) -> bool:
    if node.is_for_compensation:
        return True
    return any(event.kind in (EventKind.COMPENSATE, EventKind.CANCEL) for event in node.events)


def _compensate(node: FlowNode) -> EventDefinition | None:
    return next((event for event in node.events if event.kind is EventKind.COMPENSATE), None)


class _Search:
    def __init__(self, anatomy: Anatomy, home: Place) -> None:
        self._anatomy = anatomy
        self._home = home
        self._problems: list[Problem] = []
        self._left_out: dict[str, str] = {}
        self._border_of: dict[str, str] = {}
        self._event_sub_of: dict[str | None, str] = {}
        self._handlers: dict[str, tuple[str, ...]] = {}
        self._reached: dict[str, tuple[str, ...]] = {}

    def find(self) -> Compensations:
        self._find_borders()
        self._find_event_subs()
        throws: dict[str, Undoing] = {}
        for node in self._anatomy.known.values():
            undoing = self._undoing(node)
            if undoing is not None:
                throws[node.id] = undoing
        reached = {target for undoing in throws.values() for target in undoing.targets}
        self._leave_out(reached)
        undone_by = {
            node.id: target
            for node in self._anatomy.known.values()
            if (target := self._undone_by(node.id)) is not None and target in reached
        }
        remembered = frozenset(
            node.id
            for node in self._anatomy.known.values()
            if node.kind.is_activity and any(target in reached for target in self._targets(node.id))
        )
        return Compensations(throws, undone_by, self._handlers, remembered, self._left_out, tuple(self._problems))

    def _find_borders(self) -> None:
        known = self._anatomy.known
        borders = {
            node.id: node
            for node in known.values()
            if node.kind is NodeKind.BOUNDARY_EVENT and _compensate(node) is not None
        }
        handlers: dict[str, dict[str, None]] = {border: {} for border in borders}
        for association in self._anatomy.process.associations:
            ends = (association.source or "", association.target or "")
            for border, handler in (ends, ends[::-1]):
                if border in borders and handler in known and known[handler].kind.is_activity:
                    handlers[border].setdefault(handler)
        for border, node in borders.items():
            host = known.get(node.attached_to or "")
            if host is None or not host.kind.is_activity:
                continue
            if host.id in self._border_of:
                self._refuse(node, f"{describe(host)} has a second compensation event '{node.label}'", _KEEP_ONE)
                self._left_out[border] = f"a second compensation event of '{host.label}'"
                continue
            self._border_of[host.id] = border
            self._handlers[border] = tuple(handlers[border])

    def _find_event_subs(self) -> None:
        for node in self._anatomy.known.values():
            if not self._anatomy.is_event_sub(node) or not self._anatomy.is_undoing(node):
                continue
            scope = self._anatomy.scope(node)
            if scope in self._event_sub_of:
                self._refuse(node, f"event {describe(node)} is the second one there for compensation", _KEEP_ONE)
                self._left_out[node.id] = f"a second event sub-process '{node.label}' for compensation"
                continue
            self._event_sub_of[scope] = node.id

    def _undoing(self, node: FlowNode) -> Undoing | None:
        if node.kind not in THROWING:
            return None
        event = _compensate(node)
        if event is not None:
            return self._thrown(node, event)
        if node.kind is NodeKind.END_EVENT and any(event.kind is EventKind.CANCEL for event in node.events):
            transaction = self._anatomy.transaction_of(node)
            if transaction is not None:
                return Undoing((transaction.id,), self._targets_in((transaction.id,)))
        return None

    def _thrown(self, node: FlowNode, event: EventDefinition) -> Undoing | None:
        enclosing = [container.id for container in self._anatomy.chain(node)][1:]
        ref = event.ref
        if ref is None:
            return self._broadcast(node, self._scopes(node), enclosing)
        if ref == self._anatomy.process.id:
            return self._broadcast(node, (None,), enclosing)
        if ref in enclosing:
            return self._broadcast(node, (ref,), enclosing)
        named = self._anatomy.known.get(ref)
        if named is not None and named.kind is NodeKind.BOUNDARY_EVENT:
            named = self._anatomy.known.get(named.attached_to or "")
        if named is not None and self._event_sub_of.get(self._anatomy.scope(named)) == named.id:
            whole = self._anatomy.scope(named)  # naming its event sub-process means the scope that this one undoes
            if whole is None or whole in enclosing:
                return Undoing((whole,), (named.id,), instead=named.id)
            named = self._anatomy.known[whole]
        if named is None or not named.kind.is_activity:
            self._refuse(node, f"'{node.label}' compensates '{ref}', which is no activity of the process", _NAME_ONE)
            return None
        scope = self._anatomy.scope(named)
        if scope is not None and scope not in enclosing:
            fact = f"'{node.label}' compensates '{named.label}', which lies in another sub-process"
            self._refuse(node, fact, _NAME_ONE)
            return None
        return Undoing((scope,), self._targets(named.id), named.id)

    def _scopes(self, node: FlowNode) -> tuple[str | None, ...]:
        """Give the scopes whose activities an event compensates that names none."""
        found = [self._anatomy.scope(node)]
        while found[-1] is not None and self._anatomy.is_event_sub(self._anatomy.known[found[-1]]):
            scope = self._anatomy.scope(self._anatomy.known[found[-1]])
            if scope in found:
                break
            found.append(scope)
        return tuple(found)

    def _broadcast(self, node: FlowNode, scopes: tuple[str | None, ...], enclosing: list[str]) -> Undoing:
        """Say what is undone of whole scopes; one that still runs is undone by its event sub-process only by name.

        The process itself is never completed before, so there no name is needed.
        """
        whole = scopes[-1]
        event = _compensate(node)
        named = whole is None or (event is not None and event.ref == whole)
        instead = self._event_sub_of.get(whole) if named else None
        if instead is not None and instead not in enclosing:
            return Undoing(scopes, (instead,), instead=instead)
        return Undoing(scopes, self._targets_in(scopes))

    def _undone_by(self, activity: str) -> str | None:
        return self._border_of.get(activity) or self._event_sub_of.get(activity)

    def _targets(self, activity: str) -> tuple[str, ...]:
        """Give what may be set off to undo an activity."""
        known = self._reached.get(activity)
        if known is None:
            self._reached[activity] = ()  # what encloses itself has nothing to undo
            own = self._undone_by(activity)
            known = self._targets_in((activity,)) if own is None else (own,)
            self._reached[activity] = known
        return known

    def _targets_in(self, scopes: Iterable[str | None]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for scope in scopes:
            for node in self._anatomy.members.get(scope, ()):
                if node.kind.is_activity and node.id != self._event_sub_of.get(scope):
                    found.update(dict.fromkeys(self._targets(node.id)))
        return tuple(found)

    def _leave_out(self, reached: set[str]) -> None:
        known = self._anatomy.known
        for activity, border in self._border_of.items():
            if border not in reached:
                self._left_out[border] = f"a compensation event, and nothing compensates '{known[activity].label}'"
        for scope, event_sub in self._event_sub_of.items():
            if event_sub not in reached:
                whole = known[scope] if scope is not None else self._anatomy.process
                fact = f"event sub-process '{known[event_sub].label}', and nothing compensates '{whole.label}'"
                self._left_out[event_sub] = fact
        borders: dict[str, list[str]] = {}
        for border, handlers in self._handlers.items():
            for handler in handlers:
                borders.setdefault(handler, []).append(border)
        for node in known.values():
            if not node.kind.is_activity or node.id in self._anatomy.targets:
                continue
            if node.id in borders and not reached.intersection(borders[node.id]):
                host = known[known[borders[node.id][0]].attached_to or ""]
                fact = f"compensation handler '{node.label}', and nothing compensates '{host.label}'"
                self._left_out[node.id] = fact
            elif node.is_for_compensation and node.id not in borders and not self._anatomy.is_event_sub(node):
                self._left_out[node.id] = f"compensation handler '{node.label}', to which no compensation event leads"

    def _refuse(self, node: FlowNode, fact: str, hint: str) -> None:
        place, code = node.place or self._home, Rule.NO_AGREED_MEANING.value
        self._problems.append(Problem(Severity.WARNING, place, fact, hint=hint, element=node.id, code=code))
