"""What durability costs: the embedded store against memory, 200 concurrent scenarios of 6 steps, in one run.

Every step waits 0.25 s, as a system under test would let it, and is then recorded with the intent of the next one.
Prints wall and CPU seconds of each store and their ratio, and the time of the same writes without any waits. With
``--check`` the exit status is 1 if the embedded store takes more than 1.1 times the wall time of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_orchestra.engine.ports import RunStore, StepIntent
from pytest_orchestra.model.definition import ChannelType, StepKind
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange, RunStatus, StepResult, StepStatus, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.opening import open_store

SCENARIOS = 200
STEPS = 6
WAIT_S = 0.25
BUDGET = 1.1


@dataclass(frozen=True)
class Cost:
    """Seconds of one pass."""

    wall: float
    cpu: float


def make_run(suite_run_id: str, number: int) -> TestRun:
    return TestRun(
        id=str(uuid.uuid4()),
        suite_run_id=suite_run_id,
        key=f"order.bpmn::scenario-{number}",
        process_id="order",
        process_hash="0" * 64,
        scenario_key=f"scenario-{number}",
        scenario_version="1",
        data_set=None,
        environment="local",
        mode="RUN_ALL_STEPS",
        correlation_id=str(uuid.uuid4()),
    )


def make_result(number: int) -> StepResult:
    body: JsonObject = {
        "id": number,
        "status": "SHIPPED",
        "lines": [{"sku": f"sku-{line}", "amount": line} for line in range(10)],
    }
    return StepResult(
        alias=f"step-{number}",
        name=f"Step {number}",
        kind=StepKind.ACTION,
        channel_type=ChannelType.HTTP_REST,
        element_id=f"Activity_{number}",
        order_index=number,
        status=StepStatus.PASSED,
        duration_ms=250.0,
        actual_status_code=200,
        response={"status": 200, "headers": {"content-type": "application/json"}, "body": body},
        exchange=Exchange({"method": "GET", "url": f"http://localhost/orders/{number}"}, {"status": 200, "body": body}),
    )


async def run_scenario(store: RunStore, run: TestRun, wait_s: float) -> None:
    lease = await store.claim(run.id, "worker", 30)
    assert lease is not None
    await store.begin_step(lease, StepIntent("step-0", 0))
    for number in range(STEPS):
        await asyncio.sleep(wait_s)
        following = StepIntent(f"step-{number + 1}", number + 1) if number + 1 < STEPS else None
        await store.record_step(lease, make_result(number), following, {})
    await store.finish_run(lease, RunStatus.PASSED, None)


async def run_suite(store: RunStore, wait_s: float) -> Cost:
    key = str(uuid.uuid4())
    suite_run = await store.begin_suite_run(SuiteRun(id=key, key=key, tenant="default"))
    runs = [make_run(suite_run.id, number) for number in range(SCENARIOS)]
    await store.add_runs(runs)
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(run_scenario(store, run, wait_s) for run in runs))
    cost = Cost(time.perf_counter() - wall, time.process_time() - cpu)
    await store.end_suite_run(suite_run.id, SuiteRunStatus.PASSED)
    assert sum(len(stored.steps) for stored in await store.load(suite_run.id)) == SCENARIOS * STEPS
    return cost


async def measure(work: Callable[[], Awaitable[Cost]], passes: int = 3) -> Cost:
    """Give the median of a few passes, by wall time."""
    costs = [await work() for _ in range(passes)]
    return sorted(costs, key=lambda cost: cost.wall)[passes // 2]


async def compare(folder: Path) -> bool:
    costs: dict[tuple[str, float], Cost] = {}
    for name in ("memory", "embedded"):
        store = open_store(name, tenant="default", cache_folder=folder)
        await store.open()
        try:
            for wait_s in (WAIT_S, 0.0):
                cost = await measure(functools.partial(run_suite, store, wait_s))
                costs[name, wait_s] = cost
                print(f"{name:8} waits {wait_s:.2f} s: wall {cost.wall:.3f} s, CPU {cost.cpu:.3f} s")
        finally:
            await store.close()
    ratio = costs["embedded", WAIT_S].wall / costs["memory", WAIT_S].wall
    print(f"embedded / memory: {ratio:.3f} (budget {BUDGET})")
    return ratio <= BUDGET


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the embedded store with memory.")
    parser.add_argument("--check", action="store_true", help=f"fail above a ratio of {BUDGET}")
    check = parser.parse_args().check
    folder = Path(tempfile.mkdtemp(prefix="orchestra-benchmark-"))
    try:
        is_fast = asyncio.run(compare(folder))
    finally:
        EmbeddedPostgres(folder / "postgres").remove()
        shutil.rmtree(folder)
    return 1 if check and not is_fast else 0


if __name__ == "__main__":
    sys.exit(main())
