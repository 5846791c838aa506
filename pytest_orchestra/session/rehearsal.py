"""Runs among faulty participants, each fault with an engine of its own, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from pytest_orchestra.engine.engine import Engine, RunRequest
from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.engine.ports import ProtocolPlugin
from pytest_orchestra.engine.waiting import WaitPolicy
from pytest_orchestra.model.definition import Bindings, StepKind
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import SuiteRun, SuiteRunStatus
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.session.simulation import SessionSimulation
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.store.memory import MemoryStore

__all__ = ["run_spoiled", "with_short_waits"]

_FAULTS_AT_ONCE: Final = 12
_RUNS_AT_ONCE: Final = 4
_LEAST_WAIT_MS: Final = 2_000
_PATIENCE: Final = 5
_LOOKS: Final = 10
_LOOK_S: Final = 60.0


def with_short_waits(request: RunRequest, plain: RunFinished) -> RunRequest:
    """Give a request whose assertions wait not much longer than they had to in the undisturbed run.

    What has not come after five times as long, and two seconds at least, does not come; and it is looked for seldom, as
    it is not the moment that counts.
    """
    durations = {step.alias: step.duration_ms for step in plain.steps}
    bindings = request.setting.bindings
    steps = tuple(_shortened(step, durations.get(step.alias), bindings) for step in request.scenario.steps)
    return replace(request, scenario=replace(request.scenario, steps=steps))


def _shortened(step: ScenarioStep, duration_ms: float | None, bindings: Bindings) -> ScenarioStep:
    if step.kind is not StepKind.ASSERTION or duration_ms is None:
        return step
    policy = WaitPolicy.of(step.definition, bindings)
    written_ms = round((policy.timeout_s - policy.stable_s) * 1000)
    timeout_ms = min(written_ms, max(_LEAST_WAIT_MS, round(_PATIENCE * duration_ms)))
    interval_ms = max(round(policy.interval_s * 1000), timeout_ms // _LOOKS)
    changed = {"timeout_ms": timeout_ms, "poll_interval_ms": interval_ms}
    return replace(step, definition=step.definition.model_copy(update=changed))


async def run_spoiled(
    requests: Mapping[Distortion, Sequence[RunRequest]], simulation: SessionSimulation, suite_context: JsonObject
) -> dict[Distortion, list[RunFinished]]:
    """Carry out runs by the fault that they are to meet; give how each of them ended.

    ``suite_context`` is what the undisturbed runs have exported. Nothing is kept, and no listener hears of it.
    """
    places = asyncio.Semaphore(_FAULTS_AT_ONCE)

    async def run(distortion: Distortion, own: Sequence[RunRequest]) -> list[RunFinished]:
        async with places:
            return await _run_all(own, simulation.protocols_of(distortion), suite_context)

    found = await asyncio.gather(*(run(distortion, own) for distortion, own in requests.items()))
    return dict(zip(requests, found, strict=True))


async def _run_all(
    requests: Sequence[RunRequest], protocols: Mapping[str, ProtocolPlugin], suite_context: JsonObject
) -> list[RunFinished]:
    engine = Engine(store=MemoryStore(), protocols=protocols, owner="rehearsal", concurrency=_RUNS_AT_ONCE)
    await engine.start(SuiteRun(uuid4().hex, "rehearsal", "default"))
    engine.suite_context.update(suite_context)
    finished: list[RunFinished] = []
    try:
        suite_run_id = engine.suite_run.id
        own = [replace(each, run=replace(each.run, suite_run_id=suite_run_id)) for each in requests]
        await engine.submit(own)
        while engine.has_work or engine.completed:
            await engine.wait_completed(_LOOK_S)
            while engine.completed:
                finished.append(engine.completed.popleft().finished)
    finally:
        await engine.close(SuiteRunStatus.PASSED)
    return finished
