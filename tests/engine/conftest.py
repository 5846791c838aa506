"""An engine over the memory store and a scripted protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.engine import Engine, RunOutcome, RunRequest, SuiteSetting
from pytest_orchestra.engine.scheduling import Prerequisite
from pytest_orchestra.generation.scenarios.clean_up import list_clean_up
from pytest_orchestra.model.definition import Bindings, RunMode, StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import StepResult, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.testing import Answer, RecordingListener, ScriptedProtocol


class Bench:
    """Runs scenarios made of step definitions, and keeps what can be looked at."""

    def __init__(self) -> None:
        self.store = MemoryStore("default")
        self.listener = RecordingListener()
        self.protocol = ScriptedProtocol()
        self.more_listeners: list[Any] = []

    def answer(self, delay_s: float = 0.0, **answers: Sequence[Answer]) -> None:
        self.protocol = ScriptedProtocol(answers, delay_s=delay_s)

    async def run(
        self,
        scenarios: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        concurrency: int = 8,
        suite_id: str = "suite",
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, RunOutcome]:
        """Run scenarios, each a list of steps as a sidecar holds them; give the outcomes by key.

        ``options`` are the engine's own; another ``suite_id`` is another session of the same SuiteRun.
        """
        await self.store.open()
        engine = Engine(
            store=self.store,
            protocols={self.protocol.channel_type: self.protocol},
            listeners=[*self.more_listeners, self.listener],
            concurrency=concurrency,
            **{"owner": "bench", **(options or {})},
        )
        self.engine = engine
        await engine.start(SuiteRun(suite_id, "suite", "default"))
        requests = [self._request(key, steps, **more) for key, steps in scenarios.items()]
        await engine.submit(requests)
        outcomes: dict[str, RunOutcome] = {}
        self.outcomes = outcomes
        while len(outcomes) < len(requests):
            await engine.wait_completed(5)
            while engine.completed:
                outcome = engine.completed.popleft()
                outcomes[outcome.finished.run.key] = outcome
        await engine.close(SuiteRunStatus.PASSED)
        self.suite_context = dict(engine.suite_context)
        return outcomes

    @staticmethod
    def _request(
        key: str,
        steps: Sequence[Mapping[str, Any]],
        *,
        bindings: Bindings | None = None,
        mode: RunMode = RunMode.STOP_ON_FIRST_FAILURE,
        data: Mapping[str, Any] | None = None,
        environment: ResolvedEnvironment | None = None,
        needs: Mapping[str, Sequence[str]] | None = None,
        timeout_s: float | None = None,
        retries: int = 0,
        is_rerun: bool = False,
    ) -> RunRequest:
        definitions = [
            StepDefinition.model_validate({"endpointRef": "orders.any", **step})
            if step.get("kind") != "BARRIER"
            else StepDefinition.model_validate(step)
            for step in steps
        ]
        own = tuple(
            ScenarioStep(n, definition.alias or f"step_{n}", definition.name or "", f"element_{n}", definition)
            for n, definition in enumerate(definitions)
        )
        general = (bindings.clean_up,) if bindings is not None else ()
        scenario = TestScenario(key=key, name=key, mode=mode, steps=own, clean_up=list_clean_up(own, general))
        run = TestRun(f"id-{key}", "suite", key, "p", "h", key, "v", None, "default", str(mode), f"correlation-{key}")
        return RunRequest(
            run=run,
            scenario=scenario,
            setting=SuiteSetting(bindings or Bindings(poll_interval_ms=1, timeout_ms=1000), {}),
            environment=environment or ResolvedEnvironment(Environment(), {}),
            data=data or {},
            prerequisites=tuple(Prerequisite(need) for need in (needs or {}).get(key, ())),
            timeout_s=timeout_s,
            retries=retries,
            is_rerun=is_rerun,
        )

    async def steps(self, *steps: Mapping[str, Any], **more: Any) -> dict[str, StepResult]:
        """Run one scenario and give its step results by alias."""
        outcomes = await self.run({"main": steps}, **more)
        self.outcome = outcomes["main"]
        return {result.alias: result for result in self.outcome.finished.steps}


@pytest.fixture
def bench() -> Bench:
    return Bench()
