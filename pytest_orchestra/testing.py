"""Fakes for tests of plugins: a protocol that answers from a script, and a listener that remembers.

They stand at the ports of the engine, so that a test with them is a test of everything else for real.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pytest_orchestra.engine.events import Event
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.model.definition import ChannelType, StepDefinition
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange, Violation, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Problem

__all__ = ["RecordingListener", "ScriptedProtocol", "reply"]

Answer = Reply | Exception | Callable[[StepCall], Reply]


def reply(body: object = None, *, status: int = 200) -> Reply:
    """Give a reply as HTTP would."""
    response: JsonObject = {"status": status, "headers": {}, "body": body}  # type: ignore[dict-item]  # any JSON
    return Reply(response, Exchange({"method": "GET", "url": "scripted:"}, response), status)


class ScriptedProtocol:
    """A protocol whose answers a test writes down, by the alias of the step; the last answer of a step repeats.

    An answer is a ``Reply``, an exception to raise, or a function of the call. ``delay_s`` passes before each.
    ``calls`` remembers every call in order.
    """

    protocol_id: ClassVar[str] = "http"
    channel_type: ClassVar[str] = ChannelType.HTTP_REST
    unfulfilled: ClassVar[ViolationType] = ViolationType.TIMEOUT

    def __init__(self, answers: Mapping[str, Sequence[Answer]] | None = None, *, delay_s: float = 0.0) -> None:
        self._answers: defaultdict[str, deque[Answer]] = defaultdict(lambda: deque([reply()]))
        for alias, given in (answers or {}).items():
            self._answers[alias] = deque(given)
        self._delay_s = delay_s
        self.calls: list[StepCall] = []
        self.is_closed = False

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:  # noqa: ARG002  the port's signature
        """Give none: a script needs no specification."""
        return None

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:
        """Give the operation of that name."""
        return spec.operation.get(endpoint_name)

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:  # noqa: ARG002
        """Find nothing wrong."""
        return ()

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:  # noqa: ARG002
        """Answer by the script. Raises ``TimeoutError`` when the delay is longer than the call may take."""
        self.calls.append(call)
        async with asyncio.timeout(call.timeout_s):
            await asyncio.sleep(self._delay_s)
        answers = self._answers[call.alias]
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else answer(call)

    def validate(
        self,
        call: StepCall,  # noqa: ARG002
        reply: Reply,  # noqa: ARG002
        specs: Mapping[str, ProtocolSpec],  # noqa: ARG002
    ) -> Sequence[Violation]:
        """Find no violation."""
        return ()

    async def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True


class RecordingListener:
    """Remembers every event, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        """Take an event."""
        self.events.append(event)
