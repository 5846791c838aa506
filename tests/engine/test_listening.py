"""Protocols that listen: before anything happens, while a run waits, and until it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.ports import ListeningProtocol, Reply, StepCall
from pytest_orchestra.errors import UnreachableError
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import Exchange, RunStatus, StepStatus, ViolationType
from pytest_orchestra.testing import ScriptedProtocol

LONG = Bindings(poll_interval_ms=60_000, timeout_ms=60_000)
"""Whoever is not told of news waits for a minute, and the test with it."""


class Post(ScriptedProtocol):
    """A protocol whose messages a test sends by hand; actions send one."""

    default_until = "count > 0"

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[str] = []
        self.was_asked = asyncio.Event()
        self.prepared: list[tuple[list[StepCall], datetime | None]] = []
        self.messages: list[Any] = []
        self.refusal: Exception | None = None
        self._came = asyncio.Event()

    def send(self, message: object) -> None:
        self.messages.append(message)
        self._came.set()

    async def execute(self, call: StepCall, specs: Mapping[str, Any]) -> Reply:  # noqa: ARG002
        self.calls.append(call)
        self.happened.append(call.alias)
        self.was_asked.set()
        if call.step.kind == "ACTION":
            self.send(call.message.get("value", "sent"))
        found = list(self.messages)
        response = {"messages": found, "message": found[0] if found else None, "count": len(found)}
        return Reply(response, Exchange({}, None))

    async def prepare(self, calls: Sequence[StepCall], since: datetime | None) -> None:
        self.happened.append("prepare")
        self.prepared.append((list(calls), since))
        if self.refusal is not None:
            raise self.refusal

    async def news(self, call: StepCall, longest_s: float) -> None:  # noqa: ARG002
        self._came.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._came.wait(), longest_s)

    async def release(self, run_id: str) -> None:
        self.happened.append(f"release {run_id}")


def test_a_protocol_that_listens_is_known_by_what_it_has() -> None:
    """What counts is the methods, not a base class."""
    assert isinstance(Post(), ListeningProtocol)
    assert not isinstance(ScriptedProtocol(), ListeningProtocol)


async def test_protocol_is_ready_before_the_first_step_and_told_of_the_end(bench: Any) -> None:
    """Nothing that a scenario causes can be missed, since its protocols listen before it causes anything."""
    bench.protocol = post = Post()
    await bench.steps(
        {"alias": "send", "topic": "orders-{{environment.name}}", "channelType": "HTTP_REST"},
        {"alias": "arrived", "kind": "ASSERTION", "topic": "{{data.topic}}", "channelType": "HTTP_REST"},
        data={"topic": "stock"},
    )
    assert post.happened == ["prepare", "send", "arrived", "release id-main"]
    (calls, since), *_ = post.prepared
    assert [(call.alias, call.address) for call in calls] == [
        ("send", {"topic": "orders-default"}),
        ("arrived", {"topic": "stock"}),
    ]
    assert since is None


async def test_protocol_that_cannot_listen_ends_the_run_before_it_causes_anything(bench: Any) -> None:
    """A run whose effects nobody could see is not begun: the first step that needs the channel tells why."""
    bench.protocol = post = Post()
    post.refusal = UnreachableError("broker 'main' at '127.0.0.1:1': connection refused", hint="start it")
    steps = await bench.steps({"alias": "send"}, {"alias": "arrived", "kind": "ASSERTION"})
    assert bench.outcome.finished.run.status is RunStatus.ERROR
    assert steps["send"].fault is not None
    assert steps["send"].fault.message == "broker 'main' at '127.0.0.1:1': connection refused"
    assert steps["arrived"].status is StepStatus.SKIPPED
    assert steps["arrived"].reason == "step 'send' could not listen"
    assert post.happened == ["prepare", "release id-main"]


async def test_destination_that_only_a_reply_tells_is_an_error_before_the_run(bench: Any) -> None:
    """Where to listen must be known before the first step."""
    bench.protocol = Post()
    steps = await bench.steps(
        {"alias": "send"},
        {"alias": "seen", "kind": "ASSERTION", "topic": "{{step.send.topic}}", "channelType": "HTTP_REST"},
    )
    fault = steps["seen"].fault
    assert fault is not None
    assert fault.error == "UndefinedVariableError"
    assert bench.outcome.finished.run.status is RunStatus.ERROR


async def test_news_ends_the_pause_between_two_looks(bench: Any) -> None:
    """Who waits for a message looks as soon as it has come, and not when the next poll is due."""
    bench.protocol = post = Post()

    async def send_later() -> None:
        await post.was_asked.wait()
        post.send("here")

    sending = asyncio.create_task(send_later())
    steps = await bench.steps({"alias": "arrived", "kind": "ASSERTION"}, bindings=LONG)
    await sending
    assert steps["arrived"].status is StepStatus.PASSED
    assert steps["arrived"].polls == 2


async def test_what_must_not_come_is_watched_for_as_long_as_it_has_to_hold(bench: Any) -> None:
    """``stableForMs`` holds a condition to its word for a while, and its first moment is when it settled."""
    bench.protocol = post = Post()
    steps = await bench.steps(
        {"alias": "silence", "kind": "ASSERTION", "until": "count == 0", "stableForMs": 40},
        bindings=Bindings(poll_interval_ms=5, timeout_ms=1000),
    )
    assert steps["silence"].status is StepStatus.PASSED
    assert steps["silence"].polls > 1
    assert steps["silence"].duration_ms >= 40
    assert steps["silence"].settling_time_ms is None  # nothing caused it
    assert post.happened.count("silence") == steps["silence"].polls


async def test_what_held_and_ceased_to_hold_fails_with_the_span_that_was_asked_for(bench: Any) -> None:
    """A second message within the span is not let through by the first look."""
    bench.protocol = post = Post()
    post.send("one")

    async def send_later() -> None:
        await post.was_asked.wait()
        post.send("two")

    sending = asyncio.create_task(send_later())
    steps = await bench.steps(
        {"alias": "once", "kind": "ASSERTION", "until": "count == 1", "failWhen": "count > 1", "stableForMs": 60_000},
        bindings=LONG,
    )
    await sending
    assert steps["once"].violations[0].message == "'count > 1' came to hold"


async def test_condition_that_never_holds_for_long_enough_says_so(bench: Any) -> None:
    """The violation names the span."""
    bench.protocol = Post()
    steps = await bench.steps(
        {"alias": "silence", "kind": "ASSERTION", "until": "count == 1", "stableForMs": 20},
        bindings=Bindings(poll_interval_ms=5, timeout_ms=10),
    )
    violation = steps["silence"].violations[0]
    assert violation.type is ViolationType.TIMEOUT
    assert re.fullmatch(
        r"'count == 1' did not hold for 20 ms on end within \d+ ms, looked \d+ times", violation.message
    )


async def test_message_is_rendered_with_the_types_of_its_values(bench: Any) -> None:
    """A key may be an expression or a template; values keep their types; the trace and the correlation id travel."""
    bench.protocol = post = Post()
    environment = ResolvedEnvironment(Environment(), {})
    steps = await bench.steps(
        {"alias": "a", "keyExpression": "data.id", "valueTemplate": {"total": "{{data.total}}"}, "headers": {"h": "1"}},
        {"alias": "b", "keyExpression": "key-{{data.id}}", "valueTemplate": "text"},
        data={"id": 7, "total": 1.5},
        environment=environment,
    )
    first, second = post.calls
    assert (first.message, first.headers) == ({"key": 7, "value": {"total": 1.5}}, {"h": "1"})
    assert second.message == {"key": "key-7", "value": "text"}
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", first.trace_parent)
    assert first.trace_parent[:35] == second.trace_parent[:35]
    assert first.trace_parent != second.trace_parent
    assert first.input["headers"]["traceparent"] == first.trace_parent  # type: ignore[index]
    assert first.run_id == "id-main"
    assert steps["a"].status is StepStatus.PASSED


async def test_status_of_a_reply_by_name_is_held_against_what_is_expected(bench: Any) -> None:
    """The statuses of gRPC have names; without an expectation the reply has to be OK."""

    def replied(status: str) -> Reply:
        return Reply({"status": status, "details": "no such price"}, Exchange({}, None), status_name=status)

    bench.answer(a=[replied("OK")], b=[replied("NOT_FOUND")], c=[replied("NOT_FOUND")])
    steps = await bench.steps({"alias": "a"}, {"alias": "b", "expectedStatusCode": ["NOT_FOUND", "OK"]}, {"alias": "c"})
    assert [steps[alias].status for alias in "abc"] == [StepStatus.PASSED, StepStatus.PASSED, StepStatus.FAILED]
    violation = steps["c"].violations[0]
    assert violation.type is ViolationType.GRPC_ERROR
    assert violation.message == "status NOT_FOUND came where OK is expected: no such price"
