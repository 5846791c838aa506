"""A simulated queue broker: exchanges and queues in memory, to steps and simulated participants like real ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from pytest_orchestra.data.redaction import mask_headers, shorten
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.definition import StepKind
from pytest_orchestra.model.environment import QueueBrokerProfile, SimulatedExchange
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.protocols.amqp_headers import amqp_headers
from pytest_orchestra.protocols.journal import Journal, read_journal
from pytest_orchestra.protocols.listening_point import ListeningPoint, has_wildcard, is_listened_for
from pytest_orchestra.protocols.message_codec import decode_value, encode_value, header_of, text_of
from pytest_orchestra.protocols.message_matching import Message, MessageQuery

__all__ = ["SimulatedBroker", "matches_topic"]

_SHOWN_LIMIT: Final = 4_000
_MOST_IN_QUEUE: Final = 1_000
_LOST_HINT: Final = "run the scenario from its beginning: what was published is gone with the session that ended"


class SimulatedBroker:
    """The exchanges and queues of one simulated broker; each is there as soon as it is named.

    An exchange that the profile does not name is of type ``topic``, whose patterns say what those of ``direct`` do as
    long as they have no wildcard. Nothing is taken out of a queue; the latest 1,000 messages stay.
    """

    def __init__(self, alias: str, profile: QueueBrokerProfile) -> None:
        self._alias = alias
        self._exchanges = profile.exchanges
        self._journal = Journal()
        self._points: dict[ListeningPoint, None] = {}
        self._queues: dict[str, deque[Message]] = {}
        self._missed: set[str] = set()

    async def prepare(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        """Listen at the exchanges of all assertions among the calls, which are those of one run.

        Raises ``StepError`` for a pattern at an exchange of type ``direct``, to which it is none.
        """
        for call in calls:
            if call.step.kind is StepKind.ACTION:
                continue
            point = ListeningPoint.of(call) if is_listened_for(call) else None
            if point is not None:
                self._refuse_pattern(point, call)
                self._points[point] = None
            query = MessageQuery.of(call, None if point is None else str(point))
            self._journal.watch(query.address, query.expression)
            self._journal.hold(call.run_id, call.correlation_id)
            if since is not None:
                self._missed.add(call.run_id)

    async def execute(self, call: StepCall) -> Reply:
        """Publish, or look for messages. Raises ``StepError``, also for a resumed run that looks."""
        if call.step.kind is StepKind.ACTION:
            return self._publish(call)
        if call.run_id in self._missed:
            fact = f"simulated broker '{self._alias}': nobody knows what came before this session"
            raise StepError(fact, place=call.step.place, hint=_LOST_HINT)
        return self._find(ListeningPoint.of(call), call) if is_listened_for(call) else self._look(call)

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Return when another look may see something else, after ``longest_s`` at the latest."""
        point = str(ListeningPoint.of(call)) if is_listened_for(call) else None
        await self._journal.news(MessageQuery.of(call, point), longest_s)

    def release(self, run_id: str) -> None:
        """Forget what was kept for a run."""
        self._missed.discard(run_id)
        self._journal.release(run_id)

    async def close(self) -> None:
        """Wake whoever waits: nothing comes any more."""
        self._journal.wake()

    def _exchange(self, name: str) -> SimulatedExchange:
        return self._exchanges.get(name) or SimulatedExchange()

    def _refuse_pattern(self, point: ListeningPoint, call: StepCall) -> None:
        if self._exchange(point.exchange).type == "direct" and has_wildcard(point.pattern):
            raise StepError(
                f"simulated broker '{self._alias}': exchange '{point.exchange}' is of type 'direct', to which "
                f"'{point.pattern}' is no pattern",
                place=call.step.place,
                hint="give the very 'routingKey' of the messages",
            )

    def _find(self, point: ListeningPoint, call: StepCall) -> Reply:
        if point not in self._points:
            raise StepError(
                f"simulated broker '{self._alias}': nobody listened at exchange '{point.exchange}' for "
                f"'{point.pattern}' when the run began",
                place=call.step.place,
                hint="let 'exchange' and 'routingKey' depend on nothing that is only known later",
            )
        listening: JsonObject = {
            "broker": f"simulated '{self._alias}'",
            "exchange": point.exchange,
            "routingKey": point.pattern,
        }
        return read_journal(self._journal, MessageQuery.of(call, str(point)), listening)

    def _look(self, call: StepCall) -> Reply:
        """Look into a queue. ``unexplained`` are those of the run in it that this assertion does not mean."""
        queue = str(call.address["queueName"])
        messages = self._queues.get(queue, ())
        journal, query = Journal(), MessageQuery.of(call, queue)
        for message in messages:
            journal.add(message)
        self._journal.find(query)  # what is news is told from here on
        looking: JsonObject = {"broker": f"simulated '{self._alias}'", "queue": queue}
        return read_journal(journal, query, {**looking, "messagesInQueue": len(messages)})

    def _publish(self, call: StepCall) -> Reply:
        exchange, queue = str(call.address.get("exchange") or ""), call.address.get("queueName")
        routing_key = str(call.address.get("routingKey") or "") if exchange else str(queue)
        headers = {name: text_of(value) for name, value in amqp_headers(call).items()}
        value = call.message.get("value")
        content_type = None
        if value is not None:
            content_type = "text/plain" if isinstance(value, str) else "application/json"
        now = datetime.now(UTC)
        facts: JsonObject = {
            "exchange": exchange,
            "routingKey": routing_key,
            "messageId": call.idempotency_key or uuid4().hex,
            "type": None,
            "contentType": content_type,
            "replyTo": None,
            "appId": "pytest-orchestra",
            "priority": 0,
            "timestamp": now.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
            "redelivered": False,
        }
        named = header_of(headers, call.correlation_header)
        message = Message(
            address="",
            key=routing_key,
            value=decode_value(encode_value(value) or None),
            headers=headers,
            correlation_id=(call.correlation_id or None) if named is None else named,
            arrived_at=now,
            facts=facts,
        )
        if exchange:
            self._route(exchange, routing_key, message)
        else:
            self._put(routing_key, message)
        request: JsonObject = {
            "broker": f"simulated '{self._alias}'",
            "exchange": exchange,
            "routingKey": routing_key,
            "messageId": facts["messageId"],
            "headers": mask_headers(headers),
            "value": shorten(value, _SHOWN_LIMIT),
        }
        response: JsonObject = {name: facts[name] for name in ("exchange", "routingKey", "messageId")}
        return Reply(response, Exchange(request, {"confirmed": True}))

    def _route(self, exchange: str, routing_key: str, message: Message) -> None:
        """Let everyone have a message who listens at the exchange, and the queues that are bound to it."""
        known = self._exchange(exchange)
        for point in self._points:
            if point.exchange == exchange and _is_meant(known, point.pattern, routing_key):
                self._journal.add(replace(message, address=str(point)))
        for queue, patterns in known.queues.items():
            if any(_is_meant(known, pattern, routing_key) for pattern in patterns):
                self._put(queue, message)

    def _put(self, queue: str, message: Message) -> None:
        there = replace(message, address=queue)
        self._queues.setdefault(queue, deque(maxlen=_MOST_IN_QUEUE)).append(there)
        self._journal.add(there)


def matches_topic(pattern: str, routing_key: str) -> bool:
    """Say whether a routing key fits a pattern: ``*`` is one word, ``#`` any number of them (RabbitMQ, topics)."""
    places = {0}  # of the pattern, up to which the words so far may have come
    words = pattern.split(".") if pattern else []
    for word in routing_key.split(".") if routing_key else []:
        places = {
            place if words[place] == "#" else place + 1
            for place in _with_skipped(places, words)
            if place < len(words) and words[place] in ("#", "*", word)
        }
    return len(words) in _with_skipped(places, words)


def _with_skipped(places: set[int], words: Sequence[str]) -> set[int]:
    """Give the places, and those behind each ``#`` that stands for no words."""
    found = set(places)
    for place in places:
        at = place
        while at < len(words) and words[at] == "#":
            at += 1
            found.add(at)
    return found


def _is_meant(exchange: SimulatedExchange, pattern: str, routing_key: str) -> bool:
    if exchange.type == "fanout":
        return True
    if exchange.type == "direct":
        return pattern == routing_key
    return matches_topic(pattern, routing_key)
