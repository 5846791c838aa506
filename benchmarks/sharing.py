"""What sharing and resuming cost: claims a second from several processes, and the time to the first step of a resume.

Claims: 4 processes claim 4,000 runs of one SuiteRun on one PostgreSQL, each run once. Resume: 1,000 runs, each with two
of four steps recorded by a worker that died, are taken up by an engine; the time ends when the first step is sent.
With ``--check`` the exit status is 1 below 1,000 claims a second or above 2 s.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from store import make_result, make_run

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.engine import Engine, RunRequest, SuiteSetting
from pytest_orchestra.engine.ports import StepIntent
from pytest_orchestra.model.definition import Bindings, ChannelType, StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import SuiteRun, SuiteRunStatus
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.postgres import PostgresStore
from pytest_orchestra.testing import ScriptedProtocol

CLAIMS, PROCESSES, RESUMED, STEPS = 4_000, 4, 1_000, 4


async def _claim(url: str, ids: list[str], owner: str) -> tuple[int, float]:
    store = PostgresStore(url)
    await store.open()
    began = time.perf_counter()
    taken = 0
    for start in range(0, len(ids), 64):  # as many as an engine has under way
        leases = await asyncio.gather(*(store.claim(run_id, owner, 30) for run_id in ids[start : start + 64]))
        taken += sum(lease is not None for lease in leases)
    took = time.perf_counter() - began
    await store.close()
    return taken, took


def _work(url: str, ids: list[str], owner: str, out: Any) -> None:
    out.put(asyncio.run(_claim(url, ids, owner)))


async def _prepare(url: str, count: int) -> tuple[SuiteRun, list[Any]]:
    store = PostgresStore(url)
    await store.open()
    suite_run = await store.begin_suite_run(SuiteRun(f"suite-{count}", f"suite-{count}", "default"))
    runs = [replace(make_run(suite_run.id, n), id=f"{suite_run.id}-{n}") for n in range(count)]
    await store.add_runs(runs)
    await store.close()
    return suite_run, runs


def claims_a_second(url: str) -> float:
    _, runs = asyncio.run(_prepare(url, CLAIMS))
    ids = [run.id for run in runs]
    out: Any = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=_work, args=(url, ids, f"w{n}", out)) for n in range(PROCESSES)]
    for worker in workers:
        worker.start()
    results = [out.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(taken for taken, _ in results) == CLAIMS, "every run is claimed once"
    return CLAIMS / max(took for _, took in results)


class _Timed(ScriptedProtocol):
    """Notes when its first call comes."""

    first: float | None = None

    async def execute(self, *arguments: Any) -> Any:
        if self.first is None:
            self.first = time.perf_counter()
        return await super().execute(*arguments)


async def seconds_to_first_step(url: str) -> tuple[float, float]:
    suite_run, runs = await _prepare(url, RESUMED)
    store = PostgresStore(url)
    await store.open()
    leases = await asyncio.gather(*(store.claim(run.id, "dead", 30) for run in runs))
    for number in range(STEPS // 2):
        following = StepIntent(f"step-{number + 1}", number + 1)
        await asyncio.gather(
            *(store.record_step(lease, make_result(number), following, {}) for lease in leases if lease is not None)
        )
    await store.release_leases(["dead"])
    definition = StepDefinition.model_validate({"endpointRef": "orders.any", "onResume": "retry"})
    steps = tuple(ScenarioStep(n, f"step-{n}", "", f"e{n}", definition) for n in range(STEPS))
    setting, environment = SuiteSetting(Bindings(), {}), ResolvedEnvironment(Environment(name="local"), {})
    protocol = _Timed()
    began = time.perf_counter()
    engine = Engine(
        store=store, protocols={ChannelType.HTTP_REST: protocol}, owner="benchmark", concurrency=32, resumes=True
    )
    await engine.start(SuiteRun("another", suite_run.key, "default"))
    await engine.submit(
        [
            RunRequest(run, TestScenario(run.scenario_key, "", steps, version="1"), setting, environment, {})
            for run in runs
        ]
    )
    ended = 0
    while ended < RESUMED:
        await engine.wait_completed(1)
        ended += len(engine.completed)
        assert all(outcome.finished.status == "PASSED" for outcome in engine.completed)
        engine.completed.clear()
    took = time.perf_counter() - began
    await engine.close(SuiteRunStatus.PASSED)
    await store.close()
    assert len(protocol.calls) == RESUMED * (STEPS - STEPS // 2), "finished steps are not repeated"
    assert protocol.first is not None
    return protocol.first - began, took


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure claims and resuming.")
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    folder = Path(tempfile.mkdtemp(prefix="orchestra-benchmark-"))
    server = EmbeddedPostgres(folder / "postgres")
    try:
        server.start()
        server.create_database("sharing")
        rate = claims_a_second(server.conninfo("sharing"))
        first, whole = asyncio.run(seconds_to_first_step(server.conninfo("sharing")))
    finally:
        server.remove()
        shutil.rmtree(folder)
    print(f"claims from {PROCESSES} processes: {rate:,.0f} runs a second (at least 1,000)")
    print(
        f"resume of {RESUMED} half-finished runs: first step after {first:.2f} s (at most 2), all after {whole:.2f} s"
    )
    return 1 if check and (rate < 1_000 or first > 2) else 0


if __name__ == "__main__":
    sys.exit(main())
