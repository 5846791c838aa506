"""The control flow of a process in the making: nodes, and flows that are drawn as soon as both their ends are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_orchestra.model.process import FlowNode, NodeKind, SequenceFlow
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.sequence.wording import Identifiers, slug

__all__ = ["ControlFlow", "NodeDraft", "Tail"]


@dataclass(slots=True)
class NodeDraft:
    """A node in the making; ``replies`` are what came back to the call that it stands for."""

    id: str
    kind: NodeKind
    name: str
    place: Place
    attributes: tuple[tuple[str, str], ...] = ()
    replies: list[str] = field(default_factory=list)
    default_flow: str | None = None

    def make(self) -> FlowNode:
        """Make the node."""
        return FlowNode(
            self.id,
            self.kind,
            self.name,
            place=self.place,
            default_flow=self.default_flow,
            documentation="\n".join(f"reply: {reply}" for reply in self.replies),
            attributes=self.attributes,
        )


@dataclass(frozen=True, slots=True)
class Tail:
    """A flow that has begun and leads nowhere yet. ``slot`` keeps its rank among the flows of its source.

    A flow without an ``id`` gets that of its two ends.
    """

    source: str
    slot: int
    name: str = ""
    id: str | None = None
    place: Place | None = None


class ControlFlow:
    """Grows at its ``tail``, the flow that the next node will be connected to."""

    def __init__(self, start: Place) -> None:
        self._ids = Identifiers()
        self._flows: list[SequenceFlow | None] = []
        self.drafts: dict[str, NodeDraft] = {}
        event = self.claim("start-event")
        end = self.claim("end-event")
        self._end_id = end
        self._draft(NodeDraft(event, NodeKind.START_EVENT, "", start))
        self.tail = self.begin(event)

    def claim(self, name: str) -> str:
        """Give an id that nothing else in the process has."""
        return self._ids.claim(name)

    def begin(self, source: str) -> Tail:
        """Begin a flow that has nothing to say."""
        self._flows.append(None)
        return Tail(source, len(self._flows) - 1)

    def begin_branch(self, source: str, name: str, place: Place, *, is_default: bool = False) -> Tail:
        """Begin a flow that stands for one of several cases."""
        self._flows.append(None)
        id_ = self.claim(f"{source}.{slug(name) or 'case'}")
        if is_default:
            self.drafts[source].default_flow = self.drafts[source].default_flow or id_
        return Tail(source, len(self._flows) - 1, name, id_, place)

    def connect(self, tails: Iterable[Tail], target: str, place: Place) -> None:
        """Let flows end at a node."""
        for tail in tails:
            id_ = tail.id or self.claim(f"{tail.source}..{target}")
            self._flows[tail.slot] = SequenceFlow(id_, tail.source, target, tail.name, place=tail.place or place)

    def disconnect(self, tail: Tail) -> None:
        """Take back that a flow ended somewhere."""
        self._flows[tail.slot] = None

    def add(self, draft: NodeDraft, tails: Iterable[Tail] | None = None) -> None:
        """Add a node at the end of the tail, or of all those given, and go on from it."""
        self._draft(draft)
        self.connect((self.tail,) if tails is None else tails, draft.id, draft.place)
        self.tail = self.begin(draft.id)

    def end(self, name: str, place: Place, kind: NodeKind = NodeKind.END_EVENT) -> str:
        """End the tail with an event; give its id."""
        id_ = self.claim(name)
        self._draft(NodeDraft(id_, kind, "", place))
        self.connect((self.tail,), id_, place)
        return id_

    def finish(self, place: Place) -> None:
        """End the whole."""
        self._draft(NodeDraft(self._end_id, NodeKind.END_EVENT, "", place))
        self.connect((self.tail,), self._end_id, place)

    def _draft(self, draft: NodeDraft) -> None:
        self.drafts[draft.id] = draft

    @property
    def flows(self) -> tuple[SequenceFlow, ...]:
        """The flows, those of one node in the order of its cases."""
        return tuple(flow for flow in self._flows if flow is not None)
