"""A simulated consumer: it hears messages at topics, exchanges and queues, and does what its rules say."""

from __future__ import annotations

import asyncio
from typing import Final

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.operators import to_text
from pytest_orchestra.errors import OrchestraError, TemplateError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.simulation import MessageRule
from pytest_orchestra.simulation.answer import holds, remember
from pytest_orchestra.simulation.messaging import Hearing, MessageAddress, Messaging
from pytest_orchestra.simulation.participant import Participant, address_of

__all__ = ["SimulatedConsumer"]

_LOOK_S: Final = 0.1
_LONGEST_S: Final = 5.0
_AGAIN_S: Final = 1.0


class SimulatedConsumer:
    """Follows the message rules of one participant, all those of an address in the order in which they are written."""

    def __init__(self, participant: Participant, messaging: Messaging) -> None:
        self.participant = participant
        self._messaging = messaging
        self._hearings: list[Hearing] = []

    async def start(self) -> None:
        """Listen at every address of the rules. Raises what protocols raise."""
        rules: dict[tuple[tuple[str, str], ...], list[MessageRule]] = {}
        for rule in self.participant.simulation.on_message:
            rules.setdefault(tuple(address_of(rule).fields.items()), []).append(rule)
        for fields, own in rules.items():
            address = MessageAddress(dict(fields))
            hearing = await self._messaging.listen(address, f"{self.participant.name} {address.subject}")
            self._hearings.append(hearing)
            self.participant.spawn(self._follow(hearing, address, own))

    async def close(self) -> None:
        """Listen no more."""
        await self.participant.close()
        for hearing in self._hearings:
            await hearing.close()
        self._hearings.clear()

    async def _follow(self, hearing: Hearing, address: MessageAddress, rules: list[MessageRule]) -> None:
        # a queue tells nobody of news
        pause = _LOOK_S if "queueName" in address.fields else _LONGEST_S
        while True:
            await asyncio.sleep(0)  # whatever a protocol does, others have their turn
            try:
                messages = await hearing.next(pause)
            except OrchestraError as error:
                self.participant.fault(f"at '{address.subject}': {error.fact}")
                await asyncio.sleep(_AGAIN_S)
                continue
            for message in messages:
                try:
                    self.take(message, address.subject, rules)
                except TemplateError as error:
                    self.participant.fault(f"at '{address.subject}': {error.fact}")

    def take(self, message: JsonObject, subject: str, rules: list[MessageRule]) -> None:
        """Do what the first rule says that holds for a message. Raises ``TemplateError``."""
        participant = self.participant
        for rule in rules:
            correlation_id = _correlation_id(rule, message)
            known = participant.memory.of(correlation_id)
            names: JsonObject = {
                "message": message,
                "state": dict(known.state),
                "correlationId": correlation_id,
                "count": known.counts[subject] + 1,
                "services": dict(participant.services),
            }
            if holds(rule, names):
                known.counts[subject] += 1
                remember(rule, names, known)
                participant.act(rule, {**names, "state": dict(known.state)}, correlation_id)
                return


def _correlation_id(rule: MessageRule, message: JsonObject) -> str:
    found = message.get("correlationId")
    if rule.correlation_id_expr is not None:
        try:
            found = compile_expression(rule.correlation_id_expr).evaluate({"message": message})
        except TemplateError:  # a message of another kind
            found = None
    return "" if found is None else to_text(found)
