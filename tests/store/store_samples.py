"""Values and waits that the tests of the store share."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import psycopg

from pytest_orchestra.engine.ports import Lease, RunStore
from pytest_orchestra.model.definition import ChannelType, StepKind
from pytest_orchestra.model.run import StepResult, StepStatus, SuiteRun, TestRun
from pytest_orchestra.store.supervisor import POSTGRES_LOCK, SUPERVISOR_LOCK, open_lock_file, try_lock

TTL_S = 30.0
Store = TypeVar("Store", bound=RunStore)


def wait_until(condition: Callable[[], object], what: str, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s} s in vain: {what}"
        time.sleep(0.005)


def has_stopped(place: Path) -> bool:
    """Whether neither the supervisor nor any process of the server is left: each holds its lock while it lives."""
    return all(is_free(place / name) for name in (SUPERVISOR_LOCK, POSTGRES_LOCK))


def is_free(lock_file: Path) -> bool:
    lock = open_lock_file(str(lock_file))
    try:
        return try_lock(lock)
    finally:
        os.close(lock)


def unique() -> str:
    return uuid.uuid4().hex


def make_suite_run(key: str | None = None, *, priority: int = 0) -> SuiteRun:
    run_id = unique()
    return SuiteRun(id=run_id, key=key or f"key-{run_id}", tenant="ignored", plugin_version="1.2.3", priority=priority)


def make_run(suite_run: SuiteRun, key: str = "order.bpmn::small", **changes: object) -> TestRun:
    run = TestRun(
        id=unique(),
        suite_run_id=suite_run.id,
        key=key,
        process_id="order",
        process_hash="hash-1",
        scenario_key="small",
        scenario_version="1",
        data_set="vip",
        environment="local",
        mode="RUN_ALL_STEPS",
        correlation_id=unique(),
    )
    return replace(run, **changes)


def make_step(alias: str, order_index: int = 0, **changes: object) -> StepResult:
    step = StepResult(
        alias=alias,
        name=alias.title(),
        kind=StepKind.ACTION,
        channel_type=ChannelType.HTTP_REST,
        element_id=f"Activity_{alias}",
        order_index=order_index,
        status=StepStatus.PASSED,
        duration_ms=12.5,
    )
    return replace(step, **changes)


async def begin(store: RunStore, *keys: str, priority: int = 0) -> tuple[SuiteRun, list[TestRun]]:
    suite_run = await store.begin_suite_run(make_suite_run(priority=priority))
    runs = [make_run(suite_run, key) for key in keys or ("order.bpmn::small",)]
    await store.add_runs(runs)
    return suite_run, runs


async def claimed(store: RunStore, run: TestRun, owner: str = "worker-1") -> Lease:
    lease = await store.claim(run.id, owner, TTL_S)
    assert lease is not None
    return lease


@dataclass
class MovedClock:
    """A clock that tests set forward."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass
class Harness:
    """One kind of store: how a store of a tenant is opened, how a lease is made to expire, and what a SuiteRun said."""

    kind: str
    open: Callable[[str], Awaitable[RunStore]]
    expire: Callable[[str], None]
    silence: Callable[[str], None]


async def opened(stack: AsyncExitStack, store: Store) -> Store:
    await store.open()
    stack.push_async_callback(store.close)
    return store


def expire_lease(superuser_conninfo: str, run_id: str) -> None:
    """Move time by editing the row."""
    with psycopg.connect(superuser_conninfo) as connection:
        edited = connection.execute(
            "UPDATE orchestra.test_run SET lock_until = lock_until - interval '1 day' WHERE test_run_id = %s", [run_id]
        )
        assert edited.rowcount == 1


def silence_suite_run(superuser_conninfo: str, suite_run_id: str) -> None:
    """Let a SuiteRun's wish for a place and its workers' signs of life be a day old."""
    day = "interval '1 day'"
    with psycopg.connect(superuser_conninfo) as connection:
        for table, column in (("suite_run", "waits_until"), ("sign_of_life", "alive_until")):
            connection.execute(
                f"UPDATE orchestra.{table} SET {column} = {column} - {day} WHERE suite_run_id = %s", [suite_run_id]
            )
