"""What a simulated participant is made of, and what it sends by itself: messages, callbacks, webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

from pytest_orchestra.data.operators import to_text
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.simulation import MessageRule, ReplyRule, SimulatedCall, SimulatedMessage, Simulation
from pytest_orchestra.simulation.chance import Chances
from pytest_orchestra.simulation.distortion import CALLS, MESSAGES, Distortion, DistortionKind, distort, kinds_of
from pytest_orchestra.simulation.encounters import Encounters
from pytest_orchestra.simulation.memory import Memory, Recollection
from pytest_orchestra.simulation.messaging import MessageAddress, Messaging

__all__ = ["Participant", "address_of"]

_HELD_S: Final = 1.0
"""How long something that is to come late waits for what it comes after."""

_CALL_S: Final = 30.0
_MOST_FAULTS: Final = 20

Sending = Callable[[], Coroutine[Any, Any, None]]

_Sent = tuple[tuple[str, ...], int, Sending]
"""The names of what is sent, its own delay in milliseconds, and how it is sent."""


@dataclass
class Participant:
    """One simulated participant: its behaviour, its memory, its luck and what it has on its way.

    ``services`` are the base URLs of all services, which rules may call. ``faults`` are what went wrong behind the
    scenes, where no reply could say so.
    """

    name: str
    simulation: Simulation = field(default_factory=Simulation)
    correlation_header: str = "X-Correlation-ID"
    distortion: Distortion | None = None
    messaging: Messaging | None = None
    encounters: Encounters | None = None
    services: Mapping[str, str] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    faults: list[str] = field(default_factory=list)
    chances: Chances = field(init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _held: dict[str, list[Sending]] = field(default_factory=dict)
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def __post_init__(self) -> None:
        self.chances = Chances(self.simulation.seed)

    def names(self, known: Recollection, correlation_id: str, subject: str, **seen: JsonValue) -> JsonObject:
        """Give what templates see of one request or message; it is counted by that."""
        known.counts[subject] += 1
        return {
            **seen,
            "state": dict(known.state),
            "correlationId": correlation_id,
            "count": known.counts[subject],
            "services": dict(self.services),
        }

    def lag_s(self, correlation_id: str, subject: str, delay_ms: int) -> float:
        """Give how long something waits, in seconds: its own delay, and a drawn part of the lag."""
        lag_ms = self.simulation.lag_ms
        drawn = lag_ms * self.chances.draw(correlation_id, f"lag {subject}") if lag_ms else 0.0
        return (delay_ms + drawn) / 1000

    def act(self, rule: ReplyRule | MessageRule, names: JsonObject, correlation_id: str) -> None:
        """Send what a rule sends besides answering, each when its time has come. Raises ``TemplateError``."""
        sendings = [
            *(self._published(message, names, correlation_id) for message in rule.publish),
            *(self._called(call, names, correlation_id) for call in rule.call),
        ]
        for subjects, delay_ms, sending in sendings:
            self._schedule(subjects, delay_ms, sending, correlation_id)

    def fault(self, text: str) -> None:
        """Note what went wrong behind the scenes; the first few are enough."""
        told = f"simulated '{self.name}': {text}"
        if told not in self.faults and len(self.faults) < _MOST_FAULTS:
            self.faults.append(told)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on in the background until it has ended or the participant is closed."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- sending ---------------------------------------------------------------------------------------------------

    def _schedule(self, subjects: tuple[str, ...], delay_ms: int, sending: Sending, correlation_id: str) -> None:
        simulation, chances, subject = self.simulation, self.chances, subjects[0]
        is_lost = chances.happens(simulation.loss, correlation_id, f"loss {subject}")
        is_double = chances.happens(simulation.duplicates, correlation_id, f"duplicate {subject}")
        is_late = chances.happens(simulation.reorder, correlation_id, f"reorder {subject}")
        if is_lost or self.is_spoiled(DistortionKind.LOST, *subjects):
            return
        pause = self.lag_s(correlation_id, subject, delay_ms)
        self.spawn(self._send([sending] * (2 if is_double else 1), pause, correlation_id, is_late=is_late))

    async def _send(self, sendings: Sequence[Sending], pause: float, correlation_id: str, *, is_late: bool) -> None:
        await asyncio.sleep(pause)
        if is_late:
            held = self._held.setdefault(correlation_id, [])
            held += sendings
            await asyncio.sleep(_HELD_S)
            if self._held.get(correlation_id) is not held:
                return  # what it comes after has taken it along
            sendings = self._held.pop(correlation_id)
        else:
            sendings = [*sendings, *self._held.pop(correlation_id, ())]
        turn = self._turns.get(correlation_id)
        if turn is None:
            turn = self._turns[correlation_id] = asyncio.Lock()
        async with turn:  # which is given in the order of asking: none overtakes another on its way out
            for sending in sendings:
                await self._sent(sending)

    async def _sent(self, sending: Sending) -> None:
        try:
            await sending()
        except OrchestraError as error:
            self.fault(error.fact)
        except Exception as error:  # noqa: BLE001  a protocol's own, or the network's: nobody waits for it here
            self.fault(f"{type(error).__name__}: {error}")

    def meet(self, correlation_id: str, subject: str, kinds: Iterable[DistortionKind]) -> None:
        """Note that something is given under this name that can be spoiled in these ways, if anyone wants to know."""
        if self.encounters is not None:
            self.encounters.note(correlation_id, self.name, subject, kinds)

    def is_spoiled(self, kind: DistortionKind, *subjects: str) -> bool:
        """Say whether what it does under any of these names is spoiled in that way."""
        found = self.distortion
        return found is not None and found.kind is kind and found.meets(self.name, *subjects)

    def _spoilt(self, value: JsonValue, *subjects: str) -> JsonValue:
        found = self.distortion
        if found is None or found.kind is DistortionKind.LOST or not found.meets(self.name, *subjects):
            return value
        return distort(value, found.kind, lambda _: True)

    def _published(self, message: SimulatedMessage, names: JsonObject, correlation_id: str) -> _Sent:
        address = address_of(message, names)
        value = compile_template(message.value).render(names)
        self.meet(correlation_id, MESSAGES, kinds_of(value) | {DistortionKind.LOST})
        rendered: dict[str, JsonValue] = {"value": self._spoilt(value, address.subject, MESSAGES)}
        if message.key is not None:
            rendered["key"] = compile_template(message.key).render(names)
        headers: JsonObject = {name: compile_template(text).render(names) for name, text in message.headers.items()}

        async def send() -> None:
            if self.messaging is None:
                self.fault(f"nobody can publish at '{address.subject}' here")
                return
            await self.messaging.publish(address, rendered, headers, correlation_id)

        return (address.subject, MESSAGES), message.delay_ms, send

    def _called(self, call: SimulatedCall, names: JsonObject, correlation_id: str) -> _Sent:
        url = to_text(compile_template(call.url).render(names))
        written = compile_template(call.body).render(names)
        self.meet(correlation_id, CALLS, kinds_of(written) | {DistortionKind.LOST})
        body = self._spoilt(written, CALLS)
        headers = {self.correlation_header: correlation_id} if correlation_id else {}
        headers |= {name: to_text(compile_template(text).render(names)) for name, text in call.headers.items()}
        has_body = "body" in call.model_fields_set

        async def send() -> None:
            from aiohttp import ClientSession, ClientTimeout  # noqa: PLC0415  heavy, and rarely needed

            async with ClientSession(timeout=ClientTimeout(total=_CALL_S)) as session:
                given: dict[str, Any] = {"json": body} if has_body else {}
                async with session.request(call.method, url, headers=headers, **given) as response:
                    if response.status >= 400:  # noqa: PLR2004  the first status of a refusal
                        self.fault(f"{call.method} {url} was answered by status {response.status}")

        return (CALLS,), call.delay_ms, send


def address_of(written: SimulatedMessage | MessageRule, names: Mapping[str, object] | None = None) -> MessageAddress:
    """Give where a message goes, or comes from, with its templates rendered."""
    fields = {
        "clusterAlias": written.cluster_alias,
        "topic": written.topic,
        "brokerAlias": written.broker_alias,
        "queueName": written.queue_name,
        "exchange": written.exchange,
        "routingKey": written.routing_key,
    }
    return MessageAddress.of(
        {
            name: None if text is None else to_text(compile_template(text).render(names or {}))
            for name, text in fields.items()
        }
    )
