"""What is published at the exchanges of a RabbitMQ broker, heard by a queue of one's own for each pattern."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import aiormq
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from pytest_orchestra.engine.ports import CallTimeoutError, Reply, StepCall
from pytest_orchestra.errors import OrchestraError, StepError, UnreachableError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.protocols.journal import Journal, read_journal
from pytest_orchestra.protocols.listening_point import ListeningPoint, has_wildcard
from pytest_orchestra.protocols.message_matching import MessageQuery
from pytest_orchestra.protocols.rabbitmq_connection import (
    DRIVER_ERRORS,
    BrokerConnection,
    close_channel,
)
from pytest_orchestra.protocols.rabbitmq_login import BrokerLogin
from pytest_orchestra.protocols.rabbitmq_message import read_message

__all__ = ["ExchangeListener"]

_LISTEN_LIMIT_S: Final = 30.0
_ALIVE_S: Final = 1.0
_ANSWER_LIMIT_S: Final = 5.0
_BOUND_S: Final = 2.0
"""How long a binding is taken to be there: it goes, without a word, with an exchange that is deleted and made anew."""

_OTHER_TYPE: Final = re.compile(r"inequivalent arg 'type' .* but current is '([^']+)'")


@dataclass(slots=True, eq=False)
class _Ear:
    """A queue that is bound and consumed since a moment; ``lost`` says when and why it is no more.

    ``bound_at`` is when its binding was last seen to, on the clock of the event loop.
    """

    queue: AbstractQueue
    since: datetime
    bound_at: float
    lost: tuple[datetime, str] | None = None


class ExchangeListener:
    """Listens at the exchanges of one broker, over one connection and one channel, into one journal.

    The queues are exclusive: the broker deletes them with the connection, whatever happens to this process.
    """

    def __init__(self, login: BrokerLogin) -> None:
        self._login = login
        self._connection = BrokerConnection(login, "listening", self._lose)
        self._channel: AbstractChannel | None = None
        self._turn = asyncio.Lock()
        self._journal = Journal()
        self._ears: dict[ListeningPoint, _Ear] = {}
        self._begins: dict[str, tuple[datetime, bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alive_at = -_ALIVE_S
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    async def listen(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        """Listen for these assertions, one at least, of one run before this returns; ``since`` is the port's.

        What an earlier worker has heard is not to be had any more: the broker kept it for that worker alone.
        """
        for call in calls:
            query, point = MessageQuery.of(call, str(ListeningPoint.of(call))), ListeningPoint.of(call)
            # a task of its own: the driver closes a channel on which a question is cancelled, for all who listen there
            await asyncio.shield(self._spawn(self._begin_once(point, call)))
            self._journal.watch(query.address, query.expression)
        call = calls[0]
        self._journal.hold(call.run_id, call.correlation_id, since=since)
        self._begins[call.run_id] = (since or datetime.now(UTC), since is not None)

    async def find(self, point: ListeningPoint, call: StepCall) -> Reply:
        """Give what has come for a step; that nothing has, only of a broker that answered within the last second.

        Raises ``UnreachableError`` where the connection was lost meanwhile, ``StepError`` for a resumed run, and
        ``CallTimeoutError``.
        """
        self._refuse_gap(point, call)
        query = MessageQuery.of(call, str(point))
        ear = self._ears[point]
        listening: JsonObject = {
            "broker": self._login.address,
            "exchange": point.exchange,
            "routingKey": point.pattern,
            "listeningSince": _shown(ear.since),
        }
        if not self._journal.find(query):
            await self._see_alive(ear, call.timeout_s, listening)
            self._refuse_gap(point, call)
        return read_journal(self._journal, query, listening)

    def _refuse_gap(self, point: ListeningPoint, call: StepCall) -> None:
        ear, (begin, is_resumed) = self._ears.get(point), self._begins.get(call.run_id, (None, False))
        if ear is None or begin is None:
            raise StepError(
                f"{self._login.subject}: nobody listened at exchange '{point.exchange}' for '{point.pattern}' when the "
                "run began",
                place=call.step.place,
                hint="let 'exchange' and 'routingKey' depend on nothing that is only known later",
            )
        gap = self._gap(point, call, ear, begin, is_resumed=is_resumed)
        if gap is not None:
            raise gap

    async def _see_alive(self, ear: _Ear, longest_s: float, listening: JsonObject) -> None:
        """Ask the broker something, unless it has just been heard of; the heartbeats of AMQP tell after minutes."""
        now = asyncio.get_running_loop().time()
        if now < self._alive_at + _ALIVE_S or self._channel is None:
            return
        if self._asking is None or self._asking.done():
            self._asking, self._asked_at = self._spawn(self._ask(self._channel, ear.queue.name)), now
        await asyncio.wait({self._asking}, timeout=min(longest_s, max(0.0, self._asked_at + _ANSWER_LIMIT_S - now)))
        if self._asking.done():
            return
        if asyncio.get_running_loop().time() < self._asked_at + _ANSWER_LIMIT_S:
            raise CallTimeoutError(Exchange(listening))
        self._channel = self._asking = None
        self._lose("the broker does not answer")
        await self._connection.doubt()

    async def _ask(self, channel: AbstractChannel, queue: str) -> None:
        with suppress(*DRIVER_ERRORS):  # a loss is told on its own way
            await channel.declare_queue(queue, passive=True)
            self._alive_at = asyncio.get_running_loop().time()

    async def news(self, point: ListeningPoint, call: StepCall, longest_s: float) -> None:
        """Wait for messages that a step may be looking for, or for the loss of the connection."""
        ear = self._ears.get(point)
        if ear is not None and ear.lost is None:
            await self._journal.news(MessageQuery.of(call, str(point)), longest_s)

    def release(self, run_id: str) -> None:
        """Forget what was kept for a run."""
        self._begins.pop(run_id, None)
        self._journal.release(run_id)

    async def close(self) -> None:
        """Stop listening everywhere."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._ears.clear()
        self._journal.wake()
        channel, self._channel = self._channel, None
        if channel is not None:
            await close_channel(channel)
        await self._connection.close()

    # ---- listening ---------------------------------------------------------------------------------------------------

    def _spawn(self, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to ask for it

    async def _begin_once(self, point: ListeningPoint, call: StepCall) -> None:
        async with self._turn:
            ear = self._ears.get(point)
            is_live = ear is not None and ear.lost is None
            if is_live and ear is not None and ear.bound_at + _BOUND_S > asyncio.get_running_loop().time():
                return
            try:
                async with asyncio.timeout(_LISTEN_LIMIT_S):
                    await self._refuse_pattern(point, call)
                    if is_live and ear is not None:
                        await self._bind(ear.queue, point)
                        ear.bound_at = asyncio.get_running_loop().time()
                    else:
                        self._ears[point] = await self._begin(point)
            except TimeoutError:
                raise UnreachableError(
                    f"{self._login.subject}: no answer in {_LISTEN_LIMIT_S:g} s",
                    hint="see whether the broker is up, and its log",
                ) from None

    async def _bind(self, queue: AbstractQueue, point: ListeningPoint) -> None:
        try:
            await queue.bind(point.exchange, point.pattern)
        except DRIVER_ERRORS as error:
            raise await self._connection.explain(error) from None

    async def _begin(self, point: ListeningPoint) -> _Ear:
        channel = await self._channel_to_listen()
        try:
            queue = await channel.declare_queue(exclusive=True, auto_delete=True)
            await self._bind(queue, point)
            since = datetime.now(UTC)
            hear = partial(self._hear, channel, point)
            await queue.consume(hear, no_ack=True, exclusive=True)
        except DRIVER_ERRORS as error:
            raise await self._connection.explain(error) from None
        return _Ear(queue, since, asyncio.get_running_loop().time())

    async def _channel_to_listen(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            channel = await self._connection.channel()
            channel.close_callbacks.add(self._note_closed)
            underlay = await channel.get_underlay_channel()
            underlay.on_consumer_cancel_callbacks.add(self._note_cancelled)
            self._channel, self._asking = channel, None
        return self._channel

    async def _refuse_pattern(self, point: ListeningPoint, call: StepCall) -> None:
        """See that the exchange is there, and refuse a pattern where it would be taken for a plain routing key.

        The broker tells the type of an exchange only by refusing another: that of a topic. Where this user may not even
        ask so, the pattern is taken for good.
        """
        if await self._ask_type(point.exchange) == "direct" and has_wildcard(point.pattern):
            raise StepError(
                f"{self._login.subject}: exchange '{point.exchange}' is of type 'direct', to which "
                f"'{point.pattern}' is no pattern",
                place=call.step.place,
                hint="give the very 'routingKey' of the messages",
            )

    async def _ask_type(self, exchange: str) -> str | None:
        async with self._connection.passing_channel() as channel:
            try:
                await channel.get_exchange(exchange)
            except DRIVER_ERRORS as error:
                raise await self._connection.explain(error) from None
            try:
                await channel.declare_exchange(exchange, "topic", durable=True)
            except aiormq.ChannelPreconditionFailed as error:
                found = _OTHER_TYPE.search(str(error))
                return found[1] if found else "topic"
            except aiormq.ChannelAccessRefused:
                return None
            except DRIVER_ERRORS as error:
                raise await self._connection.explain(error) from None
            return "topic"

    async def _hear(self, channel: AbstractChannel, point: ListeningPoint, incoming: AbstractIncomingMessage) -> None:
        if channel is not self._channel:  # given up; what took its place hears the same
            return
        self._alive_at = asyncio.get_running_loop().time()
        try:
            message = read_message(incoming, str(point), point.correlation_header)
        except Exception as error:  # noqa: BLE001  the driver would only log it, and nobody would miss the message
            self._lose(f"a message cannot be read: {error}")
        else:
            self._journal.add(message)

    # ---- losses ------------------------------------------------------------------------------------------------------

    def _lose(self, reason: str) -> None:
        now = datetime.now(UTC)
        for ear in self._ears.values():
            ear.lost = ear.lost or (now, reason)
        self._journal.wake()

    def _note_closed(self, channel: object, error: BaseException | None) -> None:
        if channel is not self._channel:  # given up already
            return
        self._lose(str(error) if isinstance(error, aiormq.AMQPChannelError) else "the broker closed the channel")

    async def _note_cancelled(self, _: object) -> None:
        channel, self._channel = self._channel, None
        self._lose("the broker deleted a queue that listened")
        if channel is not None:  # with it go the queues that are left, which are listened to anew as well
            self._spawn(close_channel(channel))  # not awaited: what reads the answer is waiting for this

    def _gap(
        self, point: ListeningPoint, call: StepCall, ear: _Ear, begin: datetime, *, is_resumed: bool
    ) -> OrchestraError | None:
        """Tell what may be missing of what a run should have heard; None if nothing is."""
        where = f"exchange '{point.exchange}' ('{point.pattern}')"
        if ear.lost is not None:
            at, reason = ear.lost
            return UnreachableError(
                f"{self._login.subject}: the connection was lost at {_shown(at)} ({reason}); messages of {where} may "
                "have been missed since then",
                hint="see whether the broker is up, and its log; then run the scenario again",
            )
        if ear.since <= begin:
            return None
        if is_resumed:
            return StepError(
                f"{self._login.subject}: this run began at {_shown(begin)} under another worker, and what came to "
                f"{where} before {_shown(ear.since)} went to that worker and is gone: messages may have been missed",
                place=call.step.place,
                hint="run the scenario again from its beginning; a durable 'queueName' can be looked at after a resume",
            )
        return UnreachableError(
            f"{self._login.subject}: the connection was lost while this run was under way; messages of {where} may "
            f"have been missed before {_shown(ear.since)}",
            hint="see whether the broker is up, and its log; then run the scenario again",
        )


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
