"""What every protocol promises, as tests that its author inherits.

A subclass says how to make the protocol and gives one call that works; peers that are away, silent, rude or gone are
made of the address on loopback that this call goes to. The tests are coroutines: pytest-asyncio or anyio runs them.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, NoReturn

import pytest

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.engine.calling import CallMaker
from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.ports import (
    CallTimeoutError,
    ListeningProtocol,
    ProtocolPlugin,
    ProtocolViolation,
    RepeatingProtocol,
    Reply,
    StepCall,
)
from pytest_orchestra.errors import SecretNotFoundError, UnknownAliasError, UnreachableError
from pytest_orchestra.loopback_peers import Proxy, closed_address, rude_peer, silent_peer
from pytest_orchestra.model.definition import Bindings, StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.json import to_json
from pytest_orchestra.model.run import Exchange, ViolationType
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Severity

__all__ = ["ProtocolContract"]

_ADDRESS = re.compile(r"(127\.0\.0\.1|localhost):(\d+)")
_RUBBISH = b"\x00\xff\x15 this is no reply of any protocol \x00\xff" * 8
_SHORT_S = 0.3
_SHORTEST_SECRET = 6


class ProtocolContract:
    """The tests of one protocol. A subclass, whose name begins with ``Test``, gives :meth:`make_protocol` and ``call``.

    Where something does not apply to a protocol, its fixture or method is overridden with a ``pytest.skip`` that says
    why.
    """

    rubbish_raises: ClassVar[tuple[type[Exception], ...]] = (ProtocolViolation,)
    """What a peer that answers rubbish leads to."""
    hang_up_raises: ClassVar[tuple[type[Exception], ...]] = (ProtocolViolation, UnreachableError)
    """What a peer that hangs up without an answer leads to."""
    patience_s: ClassVar[float] = 30.0
    """After how long anything that should have happened counts as missing."""

    # ---- what a subclass gives ------------------------------------------------------------------------------------

    def make_protocol(self) -> ProtocolPlugin:
        """Give a new instance of the protocol."""
        self._missing("def make_protocol(self)", "the protocol")

    @pytest.fixture
    def call(self) -> StepCall:
        """Give a call that works, made by :meth:`make_call`.

        Let it have a secret of six characters or more, if the protocol knows any.
        """
        self._missing("@pytest.fixture\ndef call(self)", "a call that works")

    @pytest.fixture
    def look(self) -> StepCall:
        """Give the assertion that finds what ``call`` did, and nothing else, by the same correlation id."""
        pytest.skip("the protocol gives no 'look' that finds what 'call' did")

    @pytest.fixture
    def specs(self) -> Mapping[str, ProtocolSpec]:
        """Give the specifications by service; none, if not overridden."""
        return {}

    def redirect(self, call: StepCall, host: str, port: int) -> StepCall:
        """Give the same call to another address: everywhere in the environment it replaces the one on loopback."""
        text = json.dumps(to_json(call.environment))
        known = _ADDRESS.search(text)
        if known is None:
            pytest.skip("the call goes to no address on loopback, '127.0.0.1:port'; override 'redirect' if it can")
        moved = text.replace(known[0], f"{host}:{port}")
        return replace(call, environment=Environment.model_validate_json(moved))

    @contextmanager
    def away(self, call: StepCall) -> Iterator[StepCall]:
        """Give the call to an address where nobody listens."""
        with closed_address() as address:
            yield self.redirect(call, *address)

    @contextmanager
    def silent(self, call: StepCall) -> Iterator[StepCall]:
        """Give the call to a peer that takes connections and never says a word."""
        with silent_peer() as address:
            yield self.redirect(call, *address)

    @contextmanager
    def rubbish(self, call: StepCall) -> Iterator[StepCall]:
        """Give the call to a peer that answers what no protocol understands."""
        with rude_peer(_RUBBISH) as address:
            yield self.redirect(call, *address)

    @contextmanager
    def hang_up(self, call: StepCall) -> Iterator[StepCall]:
        """Give the call to a peer that ends the connection instead of answering."""
        with rude_peer(b"") as address:
            yield self.redirect(call, *address)

    @contextmanager
    def proxied(self, call: StepCall) -> Iterator[tuple[StepCall, Proxy]]:
        """Give the call by way of a proxy that can fall silent while connections through it are open."""
        known = _ADDRESS.search(json.dumps(to_json(call.environment)))
        if known is None:
            pytest.skip("the call goes to no address on loopback, '127.0.0.1:port'; override 'proxied' if it can")
        with Proxy((known[1], int(known[2]))) as proxy:
            yield self.redirect(call, *proxy.address), proxy

    def arrived(self, reply: Reply) -> str | Awaitable[str]:
        """Give all that the peer got of the last call; what it says in its reply, if not overridden.

        May be a coroutine function.
        """
        return json.dumps(to_json(reply.response))

    def has_found(self, reply: Reply) -> bool:
        """Tell whether ``look`` found what ``call`` did: whether the reply's ``count`` is not 0."""
        return bool(reply.response.get("count"))

    def is_of_peer(self, task: asyncio.Task[Any]) -> bool:  # noqa: ARG002  for those who override it
        """Tell whether a task is one of the test's own peer, which may outlive the protocol.

        None is, if not overridden.
        """
        return False

    def make_call(
        self,
        step: Mapping[str, Any],
        environment: Mapping[str, Any],
        *,
        secrets: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> StepCall:
        """Make a call as the engine does, of a step as in a sidecar and an environment as in ``environments.yaml``.

        ``secrets`` are texts by reference, ``{"env:TOKEN": "s3cret"}``; ``data`` is what templates read. All calls of
        one test belong to one run: they have one correlation id.
        """
        definition = StepDefinition.model_validate(dict(step))
        resolved = ResolvedEnvironment(
            Environment.model_validate({"name": "contract", **environment}),
            {reference: Secret(text) for reference, text in (secrets or {}).items()},
        )
        run_id = self._run_id()
        context = ExecutionContext(
            run_id=run_id,
            run_key="contract",
            correlation_id=f"corr-{run_id}",
            data=dict(data or {}),
            suite={},
            environment={},
            fixtures={},
        )
        alias = definition.alias or definition.name or "step"
        placed = ScenarioStep(0, alias, alias, alias, definition)
        made = CallMaker(Bindings(), resolved).make(placed, StepTemplates.of(definition), context)
        return replace(made, timeout_s=self.patience_s)

    # ---- the port -------------------------------------------------------------------------------------------------

    def test_class_implements_the_port(self) -> None:
        """The engine can ask everything of it that it asks of a protocol."""
        protocol = self.make_protocol()
        assert isinstance(protocol, ProtocolPlugin)
        assert protocol.protocol_id, "a protocol has an id"
        step = StepDefinition.model_validate({"kind": "BARRIER", "channelType": protocol.channel_type})
        assert step.channel_type == protocol.channel_type, "a step can name the channel"
        assert isinstance(protocol.unfulfilled, ViolationType)

    async def test_call_that_works_gives_a_reply_of_json(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """Nothing is wrong with the step, the reply can be stored and shown, and keeps the contract."""
        async with self._opened() as protocol:
            errors = [
                str(problem) for problem in protocol.check(call.step, specs) if problem.severity is Severity.ERROR
            ]
            assert errors == []
            reply = await self._make(protocol, call, specs)
            assert _from_json(reply.response) == to_json(reply.response), "the response is JSON"
            assert _from_json(to_json(reply.exchange)), "the exchange says what was sent"
            assert [violation.message for violation in protocol.validate(call, reply, specs)] == []

    async def test_correlation_id_travels(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> None:
        """The peer gets the run's correlation id with the call."""
        async with self._opened() as protocol:
            reply = await self._make(protocol, call, specs)
            arrived = self.arrived(reply)
            assert call.correlation_id in (arrived if isinstance(arrived, str) else await arrived)

    async def test_many_calls_at_once_are_all_answered(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> None:
        """One instance serves all scenarios of a session."""
        async with self._opened() as protocol:
            replies = await asyncio.gather(*(self._make(protocol, call, specs) for _ in range(8)))
            assert len(replies) == 8  # noqa: PLR2004  as many as calls

    # ---- peers that fail ------------------------------------------------------------------------------------------

    async def test_peer_that_is_away_is_unreachable(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> None:
        """An address where nobody listens is an error of the environment, which names the alias; later calls work."""
        async with self._opened() as protocol:
            with self.away(call) as away, pytest.raises(UnreachableError) as caught:
                await self._make(protocol, away, specs)
            aliases = _aliases(call.environment)
            assert any(f"'{alias}'" in str(caught.value) for alias in aliases), (
                f"{caught.value} names none of {aliases}"
            )
            assert caught.value.hint, "the error says what to do"
            _assert_no_secret(call, caught.value)
            await self._make(protocol, call, specs)

    async def test_peer_that_never_answers_costs_the_time_and_no_more(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """A call beyond its time raises, shows what was sent, and leaves nothing behind; later calls work."""
        async with self._opened() as protocol:
            with self.silent(call) as silent:
                await self._expect_timeout(protocol, replace(silent, timeout_s=_SHORT_S), specs)
                await self._make(protocol, call, specs)

    async def test_connection_that_falls_silent_costs_the_time_and_no_more(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """A peer that vanishes without a word after good calls is a time that is over; a new connection works."""
        with self.proxied(call) as (through, proxy):
            async with self._opened() as protocol:
                await self._make(protocol, through, specs)
                proxy.fall_silent()
                await self._expect_timeout(protocol, replace(through, timeout_s=_SHORT_S), specs)
                proxy.recover()
                await self._make(protocol, through, specs)

    async def test_peer_that_answers_rubbish_breaks_the_protocol(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """What nobody can read is told as such, never as an error of ours; later calls work."""
        async with self._opened() as protocol:
            with self.rubbish(call) as rubbish, pytest.raises(self.rubbish_raises) as caught:
                await self._make(protocol, rubbish, specs)
            _assert_no_secret(call, caught.value)
            await self._make(protocol, call, specs)

    async def test_peer_that_hangs_up_breaks_the_protocol(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """A connection that ends instead of an answer is told as such; later calls work."""
        async with self._opened() as protocol:
            with self.hang_up(call) as hung_up, pytest.raises(self.hang_up_raises) as caught:
                await self._make(protocol, hung_up, specs)
            _assert_no_secret(call, caught.value)
            await self._make(protocol, call, specs)

    async def test_cancelled_call_ends_and_leaves_nothing_behind(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """Whenever a call is cancelled, it ends so, and later calls work."""
        async with self._opened() as protocol:
            with self.silent(call) as silent:
                for turns in (0, 1, 50):
                    task = asyncio.create_task(self._make(protocol, silent, specs))
                    for _ in range(turns):
                        await asyncio.sleep(0.002)
                    assert not task.done(), "the peer is silent"
                    task.cancel()
                    await asyncio.wait({task}, timeout=self.patience_s)
                    assert task.cancelled(), "a cancelled call ends as cancelled"
            await self._make(protocol, call, specs)

    # ---- environments ---------------------------------------------------------------------------------------------

    async def test_alias_that_the_environment_lacks_is_told(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """An environment without the connection is named, with what to do."""
        async with self._opened() as protocol:
            with pytest.raises(UnknownAliasError, match="environment 'empty' ") as caught:
                await self._make(protocol, replace(call, environment=Environment(name="empty")), specs)
            assert caught.value.hint, "the error says what to do"

    async def test_secret_that_was_not_read_is_told(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> None:
        """A secret that is not there is told by its reference."""
        self._need_secret(call)
        async with self._opened() as protocol:
            with pytest.raises(SecretNotFoundError) as caught:
                await self._make(protocol, replace(call, secrets={}), specs)
            assert any(f"'{reference}'" in str(caught.value) for reference in call.secrets)

    async def test_secrets_are_never_shown(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> None:
        """No secret is in what people see of a call, nor in what the call's objects print as."""
        self._need_secret(call)
        async with self._opened() as protocol:
            reply = await self._make(protocol, call, specs)
            _assert_no_secret(call, reply.exchange, repr(reply.exchange), repr(call))

    # ---- closing and resuming -------------------------------------------------------------------------------------

    async def test_close_may_be_repeated_and_a_later_call_works(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """Closing what was never used, or is closed already, does nothing; a call after it opens a new connection."""
        async with self._opened() as protocol:
            await protocol.close()
            await self._make(protocol, call, specs)
            await protocol.close()
            await protocol.close()
            await self._make(protocol, call, specs)

    async def test_resumed_run_is_told_whether_an_action_may_be_repeated(
        self, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """A protocol that says anything of it says yes or no, for a call that works."""
        protocol: object = self.make_protocol()
        if not isinstance(protocol, RepeatingProtocol):
            pytest.skip("the protocol leaves it to 'onResume' whether an action may be repeated")
        assert protocol.may_repeat(call.step, specs) in (True, False)

    async def test_effect_is_found_by_its_run_only_also_when_resumed(
        self, call: StepCall, look: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        """The assertion finds what the action did, another instance finds it as well, and no other run does."""
        began = datetime.now(UTC)
        other = f"corr-{uuid.uuid4().hex}"
        strange = replace(
            look, correlation_id=other, run_id=other, parameters={**look.parameters, "correlationId": other}
        )
        async with self._opened() as first, self._ready(first, look), self._ready(first, strange):
            assert not self.has_found(await first.execute(look, specs)), "nothing was done yet"
            await first.execute(call, specs)
            await self._await_effect(first, look, specs)
            assert not self.has_found(await first.execute(strange, specs)), "another run finds nothing"
        async with self._opened() as second, self._ready(second, look, began):
            await self._await_effect(second, look, specs)

    # ---- the parts of the tests -----------------------------------------------------------------------------------

    def _missing(self, signature: str, what: str) -> NoReturn:
        pytest.fail(f"'{type(self).__name__}' must say what {what} is:\n{signature}: ...", pytrace=False)

    def _need_secret(self, call: StepCall) -> None:
        if not any(len(secret.reveal()) >= _SHORTEST_SECRET for secret in call.secrets.values()):
            pytest.skip("the call has no secret of six characters or more; give it one if the protocol knows any")

    def _run_id(self) -> str:
        known: str | None = getattr(self, "_known_run_id", None)
        if known is None:  # pytest makes an instance for each test, and wants no constructor
            known = self._known_run_id = uuid.uuid4().hex
        return known

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ProtocolPlugin]:
        """Give a new protocol; when it is closed, none of its tasks may be left."""
        before = asyncio.all_tasks()
        protocol = self.make_protocol()
        try:
            yield protocol
        finally:
            await protocol.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience_s
        while left := {task for task in asyncio.all_tasks() - before if not task.done() and not self.is_of_peer(task)}:
            assert loop.time() < deadline, f"tasks are left behind: {left}"
            await asyncio.sleep(0.01)  # those of the test's own peers end when they see the connection end

    @asynccontextmanager
    async def _ready(
        self, protocol: ProtocolPlugin, call: StepCall, since: datetime | None = None
    ) -> AsyncIterator[None]:
        """Let a protocol that listens be ready for a call."""
        if not isinstance(protocol, ListeningProtocol):
            yield
            return
        announced = replace(call, input={}, headers={}, message={}, parameters={})
        try:
            await protocol.prepare([announced], since)
            yield
        finally:
            await protocol.release(call.run_id)

    async def _make(self, protocol: ProtocolPlugin, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Make a call, within the test's patience."""
        async with asyncio.timeout(self.patience_s), self._ready(protocol, call):
            return await protocol.execute(call, specs)

    async def _expect_timeout(
        self, protocol: ProtocolPlugin, call: StepCall, specs: Mapping[str, ProtocolSpec]
    ) -> None:
        patience = asyncio.timeout(self.patience_s)
        with pytest.raises(TimeoutError) as caught:
            async with patience:
                await self._make(protocol, call, specs)
        assert not patience.expired(), f"the call did not end within {self.patience_s} s, though it had {_SHORT_S} s"
        if not isinstance(protocol, ListeningProtocol):  # which may not even be ready
            assert isinstance(caught.value, CallTimeoutError), "a 'CallTimeoutError' shows what was sent"
            assert caught.value.exchange is not None
            _assert_no_secret(call, caught.value, caught.value.exchange)

    async def _await_effect(self, protocol: ProtocolPlugin, look: StepCall, specs: Mapping[str, ProtocolSpec]) -> None:
        async with asyncio.timeout(self.patience_s):
            while not self.has_found(await protocol.execute(look, specs)):
                if isinstance(protocol, ListeningProtocol):
                    await protocol.news(look, 1.0)
                else:
                    await asyncio.sleep(0.02)


def _aliases(environment: Environment) -> list[str]:
    groups = (
        environment.services,
        environment.db_profiles,
        environment.kafka_profiles,
        environment.queue_profiles,
        environment.connections,
    )
    return [alias for group in groups for alias in group]


def _from_json(value: object) -> object:
    return json.loads(json.dumps(value, allow_nan=False))


def _assert_no_secret(call: StepCall, *shown: object) -> None:
    for each in shown:
        seen = json.dumps(to_json(each)) if isinstance(each, Exchange) else f"{each} {each!r}"
        for reference, secret in call.secrets.items():
            if len(secret.reveal()) < _SHORTEST_SECRET:
                continue  # it is met by chance in other words
            assert secret.reveal() not in seen, f"the secret '{reference}' is shown: {type(each).__name__}"
