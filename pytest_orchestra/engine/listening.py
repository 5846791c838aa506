"""The protocols that listen: ready before a run causes anything, heard while it waits, told when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.ports import ListeningProtocol, ProtocolPlugin, StepCall
from pytest_orchestra.errors import OrchestraError, StepError
from pytest_orchestra.model.definition import StepDefinition, StepKind
from pytest_orchestra.model.scenario import ScenarioStep

__all__ = ["Listening", "NotReadyError"]


class NotReadyError(Exception):
    """A protocol cannot listen for a ``step``; ``why`` is the error of ours that says so."""

    def __init__(self, step: ScenarioStep, why: OrchestraError) -> None:
        super().__init__(str(why))
        self.step = step
        self.why = why


class Listening:
    """Those protocols of a session that listen, by channel."""

    def __init__(self, protocols: Mapping[str, ProtocolPlugin]) -> None:
        served: Mapping[str, object] = protocols
        self._by_channel = {name: each for name, each in served.items() if isinstance(each, ListeningProtocol)}

    def default_until(self, step: StepDefinition) -> str | None:
        """Give what an assertion waits for that says nothing of it; None where the first reply will do."""
        protocol = self._by_channel.get(step.channel_type)
        return None if protocol is None else protocol.default_until

    def rest(self, step: StepDefinition, call: StepCall) -> Callable[[float], Awaitable[None]]:
        """Give what spends the pause between two looks: who is told of news looks again as soon as there is some."""
        protocol = self._by_channel.get(step.channel_type)
        if protocol is None:
            return asyncio.sleep

        async def rest(seconds: float) -> None:
            await protocol.news(call, seconds)

        return rest

    async def prepare(
        self,
        steps: Sequence[ScenarioStep],
        context: ExecutionContext,
        since: datetime | None,
        announce: Callable[[ScenarioStep], StepCall],
    ) -> None:
        """Let every protocol be ready for these steps of a run. Raises ``NotReadyError``.

        ``since`` is when the run began, if an earlier worker began it; ``announce`` makes the call of a step.
        """
        for channel, protocol in self._by_channel.items():
            own = [step for step in steps if step.definition.channel_type == channel]
            own = [step for step in own if step.kind is not StepKind.BARRIER]
            if not own:
                continue
            step = own[0]
            try:
                calls = [announce(step := each) for each in own]
                step = own[0]
                context.listens.add(channel)
                await protocol.prepare(calls, since)
            except OrchestraError as error:
                raise NotReadyError(step, error) from None
            except TimeoutError:
                late = StepError(f"channel '{channel}' was not ready to listen in time", place=step.definition.place)
                raise NotReadyError(step, late) from None

    async def release(self, context: ExecutionContext) -> None:
        """Let the protocols forget a run for which they were ready."""
        while context.listens:
            await self._by_channel[context.listens.pop()].release(context.run_id)
