"""A simulated Kafka cluster: topics in memory, to steps and simulated participants like those of a real one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from pytest_orchestra.data.redaction import mask_headers, shorten
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.protocols.journal import Journal, read_journal
from pytest_orchestra.protocols.message_codec import (
    decode_text,
    decode_value,
    encode_value,
    header_of,
    message_headers,
    text_of,
)
from pytest_orchestra.protocols.message_matching import Message, MessageQuery

__all__ = ["SimulatedCluster"]

_SHOWN_LIMIT: Final = 4_000
_LOST_HINT: Final = "run the scenario from its beginning: what was published is gone with the session that ended"


class SimulatedCluster:
    """The topics of one simulated cluster, each with one partition; a topic is there as soon as it is named.

    Values pass through bytes as they do on their way to real brokers, so that rules see the same.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._journal = Journal()
        self._ends: Counter[str] = Counter()
        self._missed: set[str] = set()

    async def watch(self, calls: Iterable[StepCall], since: datetime | None) -> None:
        """Keep what comes for a run from now on. What came before is gone, if another session began the run."""
        for call in calls:
            query = MessageQuery.of(call)
            self._journal.watch(query.address, query.expression)
            self._journal.hold(call.run_id, call.correlation_id)
            if since is not None:
                self._missed.add(call.run_id)

    async def look(self, call: StepCall) -> Reply:
        """Give what an assertion sees at this moment. Raises ``StepError`` for a resumed run."""
        topic = _topic(call)
        if call.run_id in self._missed:
            fact = f"simulated cluster '{self._alias}': nobody knows what came to topic '{topic}' before this session"
            raise StepError(fact, place=call.step.place, hint=_LOST_HINT)
        listening: JsonObject = {"cluster": self._alias, "servers": "simulated", "topic": topic}
        return read_journal(self._journal, MessageQuery.of(call), listening)

    async def news(self, call: StepCall, longest_s: float) -> None:
        """Return when another look may see something else, after ``longest_s`` at the latest."""
        await self._journal.news(MessageQuery.of(call), longest_s)

    async def publish(self, call: StepCall) -> Reply:
        """Put the message of a step into its topic. Raises ``StepError`` where it is none."""
        topic, key, value = _topic(call), call.message.get("key"), call.message.get("value")
        raw = encode_value(value)
        if key is None and raw is None:
            hint = "add 'valueTemplate' or 'keyExpression'"
            raise StepError("the message has neither key nor value", place=call.step.place, hint=hint)
        always = {call.correlation_header: call.correlation_id, "traceparent": call.trace_parent}
        headers = message_headers(call.headers, **always)
        offset, self._ends[topic] = self._ends[topic], self._ends[topic] + 1
        facts: JsonObject = {"partition": 0, "offset": offset, "timestamp": time.time_ns() // 1_000_000}
        self._journal.add(
            Message(
                address=topic,
                key=None if key is None else decode_text(text_of(key).encode()),
                value=decode_value(raw),
                headers=headers,
                correlation_id=header_of(headers, call.correlation_header),
                arrived_at=datetime.now(UTC),
                facts=facts,
            )
        )
        request: JsonObject = {
            "cluster": self._alias,
            "servers": "simulated",
            "topic": topic,
            "key": key,
            "headers": mask_headers(headers),
            "value": shorten(value, _SHOWN_LIMIT),
        }
        response: JsonObject = {"topic": topic, **facts}
        return Reply(response, Exchange(request, response))

    def release(self, run_id: str) -> None:
        """Let go what was kept for a run."""
        self._missed.discard(run_id)
        self._journal.release(run_id)

    async def close(self) -> None:
        """Wake whoever waits: nothing comes any more."""
        self._journal.wake()


def _topic(call: StepCall) -> str:
    topic = call.address.get("topic")
    if not topic or not isinstance(topic, str):
        raise StepError(f"the topic is '{topic}'", place=call.step.place, hint="correct 'topic' of the step")
    return topic
