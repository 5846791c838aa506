"""From the statements of a diagram to a process: messages are tasks, fragments are gateways (UML 2.5.1, 17.6.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.model.process import (
    Collaboration,
    EventDefinition,
    EventKind,
    FlowNode,
    NodeKind,
    Process,
    RootElement,
)
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.fingerprint import hash_process
from pytest_orchestra.readers.problem_list import ProblemList
from pytest_orchestra.readers.sequence.control_flow import ControlFlow, NodeDraft, Tail
from pytest_orchestra.readers.sequence.open_calls import Call, OpenCalls
from pytest_orchestra.readers.sequence.participants import Participants
from pytest_orchestra.readers.sequence.statements import (
    Activation,
    Block,
    BlockEnd,
    BlockPart,
    BlockStart,
    Declaration,
    Diagram,
    Message,
    MessageKind,
    Note,
    Reference,
    Return,
)
from pytest_orchestra.readers.sequence.wording import fold, slug

__all__ = ["assemble_process"]

_DEEPEST: Final = 100
_OTHERWISE: Final = "else"
"""The branch of a gateway that the diagram does not draw: the fragment is passed over, or left."""

_AGAIN: Final = "again"
_CHOICES: Final = frozenset({Block.ALT, Block.OPT})


@dataclass(slots=True)
class _Frame:
    """A fragment that is open: where it began, its gateway, and the flows that lead out of it so far."""

    block: Block
    keyword: str
    text: str
    place: Place
    before: Tail
    size: int
    gateway: str = ""
    parts: int = 1
    tails: list[Tail] = field(default_factory=list)
    exits: list[Tail] = field(default_factory=list)


def assemble_process(diagram: Diagram, id_: str, problems: ProblemList) -> tuple[Process, Collaboration]:
    """Make the process of a diagram; the diagram says afterwards whether it is broken.

    Raises ``UnreadableFileError`` where fragments are nested too deep.
    """
    return _Assembly(diagram, id_, problems).assemble()


class _Assembly:
    def __init__(self, diagram: Diagram, id_: str, problems: ProblemList) -> None:
        self._diagram = diagram
        self._id = id_
        self._problems = problems
        self._flow = ControlFlow(diagram.place)
        self._participants = Participants(problems)
        self._calls = OpenCalls()
        self._frames: list[_Frame] = []
        self._notes: list[RootElement] = []
        self._terminating: set[str] = set()

    def assemble(self) -> tuple[Process, Collaboration]:
        diagram = self._diagram
        read: dict[type, Callable[[Any], None]] = {
            Declaration: self._participants.declare,
            Message: self._add_message,
            Return: self._add_return,
            Activation: lambda said: self._calls.activate(said.name),
            Reference: self._add_reference,
            Note: self._add_note,
            BlockStart: self._open,
            BlockPart: self._divide,
            BlockEnd: self._close,
        }
        for statement in diagram.statements:
            read[type(statement)](statement)
        end = diagram.end or diagram.place
        self._close_all(end)
        holds_tasks = any(draft.kind.is_activity for draft in self._flow.drafts.values())
        self._flow.finish(end)
        name = fold(diagram.title) or fold(diagram.name)
        process = Process(
            self._id,
            name,
            diagram.place,
            nodes=tuple(self._make(draft) for draft in self._flow.drafts.values()) if holds_tasks else (),
            flows=self._flow.flows if holds_tasks else (),
            lanes=self._participants.lanes,
            artifacts=tuple(self._notes),
        )
        collaboration = self._participants.make_collaboration(self._id, name, diagram.place)
        return replace(process, hash=hash_process(process)), collaboration

    def _make(self, draft: NodeDraft) -> FlowNode:
        node = draft.make()
        if draft.id not in self._terminating:
            return node
        return replace(node, events=(EventDefinition(EventKind.TERMINATE, place=draft.place),))

    # ---- messages

    def _add_message(self, message: Message) -> None:
        sender = self._participants.label(message.sender, message.place)
        receiver = self._participants.label(message.receiver, message.place)
        self._participants.exchange(message.sender, message.receiver, message.text, message.place)
        kind = message.kind
        if kind in (MessageKind.DOTTED_CALL, MessageKind.DOTTED_SEND):
            answered = self._calls.close(message.sender, message.receiver)
            if answered is not None:
                self._answer(answered, message.text)
                return
        is_send = kind in (MessageKind.SEND, MessageKind.DOTTED_SEND)
        name = fold(message.text) or f"{sender} -> {receiver}"
        id_ = self._flow.claim(slug(name) or "message")
        draft = NodeDraft(
            id_,
            NodeKind.SEND_TASK if is_send else NodeKind.SERVICE_TASK,
            name,
            message.place,
            (("sender", sender), ("receiver", receiver)),
        )
        self._flow.add(draft)
        self._participants.give(message.receiver, id_)
        if kind is MessageKind.CALL:
            self._calls.add(Call(id_, message.sender, message.receiver))
            if message.activates:
                self._calls.activate(message.receiver)

    def _answer(self, call: Call, text: str) -> None:
        reply = fold(text)
        if reply:
            self._flow.drafts[call.node].replies.append(reply)

    def _add_return(self, statement: Return) -> None:
        call = self._calls.close_latest()
        if call is None:
            message = "'return' answers nothing, for no call is open"
            hint = "delete it, or write the message as an arrow; it is left out"
            self._problems.add_warning(statement.place, message, hint)
            return
        self._participants.exchange(call.receiver, call.sender, statement.text, statement.place)
        self._answer(call, statement.text)

    def _add_reference(self, reference: Reference) -> None:
        name = fold(reference.text)
        id_ = self._flow.claim(slug(name) or "ref")
        self._flow.add(NodeDraft(id_, NodeKind.CALL_ACTIVITY, name, reference.place))

    def _add_note(self, note: Note) -> None:
        text = fold(note.text)
        id_ = self._flow.claim(f"note.{slug(text) or 'empty'}")
        self._notes.append(RootElement(id_, "textAnnotation", text=text, place=note.place))

    # ---- fragments

    def _open(self, start: BlockStart) -> None:
        if len(self._frames) == _DEEPEST:
            fact = f"blocks are nested more than {_DEEPEST} deep"
            raise UnreadableFileError(fact, place=start.place, hint="move the inner blocks to a diagram of their own")
        text = fold(start.text)
        frame = _Frame(start.block, start.keyword, text, start.place, self._flow.tail, len(self._flow.drafts))
        self._frames.append(frame)
        if start.block in (Block.ALT, Block.OPT, Block.BREAK):
            self._begin_choice(frame)
        elif start.block is Block.LOOP:
            frame.gateway = self._claim(frame)
            self._add_gateway(f"{frame.gateway}.begin", frame.place)
        elif start.block is Block.PAR:
            frame.gateway = self._claim(frame)
            self._flow.add(NodeDraft(frame.gateway, NodeKind.PARALLEL_GATEWAY, "", frame.place), (frame.before,))
            self._branch(frame, text, frame.place)

    def _claim(self, frame: _Frame) -> str:
        said = slug(frame.text)
        return self._flow.claim(f"{frame.block}-{said}" if said else str(frame.block))

    def _add_gateway(self, id_: str, place: Place, tails: list[Tail] | None = None) -> None:
        """Add an exclusive gateway where ways come together."""
        self._flow.add(NodeDraft(self._flow.claim(id_), NodeKind.EXCLUSIVE_GATEWAY, "", place), tails)

    def _decide(self, frame: _Frame) -> None:
        """Add the gateway of a fragment, with the fragment's text as its question."""
        frame.gateway = frame.gateway or self._claim(frame)
        name = frame.text if frame.text.endswith("?") or not frame.text else f"{frame.text}?"
        self._flow.add(NodeDraft(frame.gateway, NodeKind.EXCLUSIVE_GATEWAY, name, frame.place))

    def _begin_choice(self, frame: _Frame) -> None:
        self._decide(frame)
        self._branch(frame, frame.text, frame.place)
        self._calls.split()

    def _branch(self, frame: _Frame, name: str, place: Place, *, is_default: bool = False) -> None:
        self._flow.tail = self._flow.begin_branch(frame.gateway, name, place, is_default=is_default)

    def _divide(self, part: BlockPart) -> None:
        frame = self._frames[-1] if self._frames else None
        owners = [block for block, words in self._diagram.parts.items() if part.keyword in words]
        if frame is None or frame.block not in owners:
            expected = " or ".join(f"'{block}'" for block in owners)
            within = f"stands in '{frame.keyword}' of line {frame.place.line}" if frame else "stands alone"
            message = f"'{part.keyword}' {within}, and belongs into {expected}"
            hint = "delete it, or open the block before it"
            if frame is not None:
                hint = f"close '{frame.keyword}' with 'end' before it, or make it {expected}"
            self._break(part.place, message, hint)
            return
        frame.parts += 1
        text = fold(part.text)
        if frame.block is Block.CRITICAL and not frame.gateway:
            self._decide(frame)
            frame.tails.append(self._flow.begin_branch(frame.gateway, frame.text or _OTHERWISE, frame.place))
            self._calls.split()
        else:
            frame.tails.append(self._flow.tail)
        if frame.block is not Block.PAR:
            self._calls.next_way()
        is_else = not text and frame.block in _CHOICES
        self._branch(frame, _OTHERWISE if is_else else text, part.place, is_default=is_else)

    def _close(self, end: BlockEnd) -> None:
        if not self._frames:
            hint = "delete it, or open a block before it"
            self._break(end.place, "'end' closes nothing", hint)
            return
        frame = self._frames.pop()
        finish = {
            Block.ALT: self._end_choice,
            Block.OPT: self._end_choice,
            Block.LOOP: self._end_loop,
            Block.PAR: self._end_parallel,
            Block.BREAK: self._end_break,
            Block.CRITICAL: self._end_critical,
        }.get(frame.block)
        if finish is not None:
            finish(frame, end.place)

    def _break(self, place: Place, message: str, hint: str) -> None:
        self._diagram.is_broken = True
        self._problems.add_error(place, message, hint)

    def _close_all(self, place: Place) -> None:
        while self._frames:
            frame = self._frames[-1]
            self._break(frame.place, f"'{frame.keyword}' is not closed", "close it with 'end'")
            self._close(BlockEnd(place))

    def _end_choice(self, frame: _Frame, place: Place) -> None:
        frame.tails.append(self._flow.tail)
        if frame.parts == 1:
            self._calls.next_way()
            frame.tails.append(self._flow.begin_branch(frame.gateway, _OTHERWISE, frame.place, is_default=True))
        self._calls.join()
        self._add_gateway(f"{frame.gateway}.join", place, tails=frame.tails)

    def _end_loop(self, frame: _Frame, place: Place) -> None:
        if len(self._flow.drafts) == frame.size + 1:
            self._undo_loop(frame)
            return
        head = f"{frame.gateway}.begin"
        self._decide(frame)
        again = self._flow.begin_branch(frame.gateway, frame.text or _AGAIN, frame.place)
        self._flow.connect((again,), head, place)
        self._branch(frame, _OTHERWISE, place, is_default=True)
        if frame.exits:
            self._add_gateway(f"{frame.gateway}.join", place, tails=[self._flow.tail, *frame.exits])

    def _undo_loop(self, frame: _Frame) -> None:
        """Take a loop back in which nothing happens: it would only go round and round."""
        self._flow.drafts.popitem()
        self._flow.disconnect(frame.before)
        self._flow.tail = frame.before
        hint = "put a message into it, or delete it; it is left out"
        self._problems.add_warning(frame.place, f"'{frame.keyword}' holds no message", hint)

    def _end_parallel(self, frame: _Frame, place: Place) -> None:
        frame.tails.append(self._flow.tail)
        join = self._flow.claim(f"{frame.gateway}.join")
        self._flow.add(NodeDraft(join, NodeKind.PARALLEL_GATEWAY, "", place), frame.tails)

    def _end_break(self, frame: _Frame, place: Place) -> None:
        """Leave the loop around it; without one, or where concurrent branches lie between, end the whole."""
        self._calls.forget()
        around = next((outer for outer in reversed(self._frames) if outer.block in (Block.LOOP, Block.PAR)), None)
        if around is not None and around.block is Block.LOOP:
            around.exits.append(self._flow.tail)
        else:
            end = self._flow.end(f"{frame.gateway}.end", place)
            if around is not None:
                self._terminating.add(end)
        self._branch(frame, _OTHERWISE, frame.place, is_default=True)

    def _end_critical(self, frame: _Frame, place: Place) -> None:
        if not frame.gateway:
            return
        frame.tails.append(self._flow.tail)
        self._calls.join()
        self._add_gateway(f"{frame.gateway}.join", place, tails=frame.tails)
