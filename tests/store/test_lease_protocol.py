"""The lease protocol, explored: whatever workers and clocks do, no run has two masters, and none is lost.

The second run is of a SuiteRun of higher priority.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from store_samples import expire_lease, make_run, make_step, make_suite_run, silence_suite_run, unique

from pytest_orchestra.engine.ports import MOST_CLAIMS, Lease, RunStore
from pytest_orchestra.errors import LeaseLostError
from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.store.postgres import PostgresStore

WORKERS = st.sampled_from(("anna", "boris", "clara"))
RUNS = st.integers(0, 1)


@dataclass
class Bench:
    """A store, and how time is moved in it: of a run's lease, of what a SuiteRun wished, or on for that wish."""

    store: RunStore
    expire: Callable[[str], None]
    silence: Callable[[str], None]
    keep_wish: Callable[[str], None]


class Protocol(RuleBasedStateMachine):
    """Workers claim, prolong, write and end runs, sleep, wake and die. The model knows who may."""

    make: Callable[[], Bench]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.bench = type(self).make()
        self.store = self.bench.store
        self.do(self.store.open())
        suite_runs = [self.do(self.store.begin_suite_run(make_suite_run(priority=n))) for n in range(2)]
        self.runs = [make_run(suite_run, f"run-{n}") for n, suite_run in enumerate(suite_runs)]
        self.do(self.store.add_runs(self.runs))
        self.holder: list[str | None] = [None, None]
        self.is_live = [False, False]
        self.fence = [0, 0]
        self.final: list[RunStatus | None] = [None, None]
        self.steps: list[set[str]] = [set(), set()]
        self.leases: dict[tuple[str, int], Lease] = {}
        self.quota: int | None = None
        self.waits = [False, False]

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()

    def _is_master(self, worker: str, run: int) -> bool:
        lease = self.leases.get((worker, run))
        return lease is not None and lease.fence == self.fence[run] and self.final[run] is None

    def _is_behind(self, run: int) -> bool:
        return run == 0 and self.waits[1]

    @rule(worker=WORKERS, run=RUNS)
    def claim(self, worker: str, run: int) -> None:
        lease = self.do(self.store.claim(self.runs[run].id, worker, 600))
        is_free = not self.is_live[run] or self.holder[run] == worker
        has_room = self.quota is None or (self.is_live[1 - run] < self.quota and not self._is_behind(run))
        assert (lease is not None) == (self.final[run] is None and is_free and has_room)
        if self.final[run] is None and self.quota is not None:
            self.waits[run] = is_free and not has_room and not self.is_live[run]
            if self.waits[run]:
                self.bench.keep_wish(self.runs[run].suite_run_id)
        if lease is not None:
            assert lease.fence > self.fence[run], "a fence never comes twice"
            self.fence[run], self.holder[run], self.is_live[run] = lease.fence, worker, True
            self.leases[worker, run] = lease

    @rule(worker=WORKERS, run=RUNS)
    def prolong(self, worker: str, run: int) -> None:
        lease = self.leases.get((worker, run))
        if lease is not None:
            held = self.do(self.store.heartbeat([lease], 600))
            assert bool(held) == self._is_master(worker, run)
            self.is_live[run] = self.is_live[run] or bool(held)

    @rule(worker=WORKERS, run=RUNS, number=st.integers(0, 3))
    def write(self, worker: str, run: int, number: int) -> None:
        lease = self.leases.get((worker, run))
        if lease is None:
            return
        alias = f"{worker}-{lease.fence}-{number}"

        async def work() -> None:
            await self.store.record_step(lease, make_step(alias), None, {})

        if self._is_master(worker, run):
            self.do(work())
            self.steps[run].add(alias)
        else:
            with pytest.raises(LeaseLostError):
                self.do(work())

    @rule(worker=WORKERS, run=RUNS)
    def end(self, worker: str, run: int) -> None:
        lease = self.leases.get((worker, run))
        if lease is None:
            return

        async def work() -> None:
            await self.store.finish_run(lease, RunStatus.PASSED, None)

        is_repeated = self.final[run] is RunStatus.PASSED and lease.fence == self.fence[run]
        if self._is_master(worker, run) or is_repeated:
            self.do(work())
            self.final[run], self.is_live[run] = RunStatus.PASSED, False
        else:
            with pytest.raises(LeaseLostError):
                self.do(work())

    @rule(run=RUNS)
    def time_goes_by(self, run: int) -> None:
        if self.is_live[run]:
            self.bench.expire(self.runs[run].id)
            self.is_live[run] = False
            self._forget_all_in_memory()

    @rule(run=RUNS)
    def suite_run_falls_silent(self, run: int) -> None:
        self.bench.silence(self.runs[run].suite_run_id)
        self.waits[run] = False
        self._forget_all_in_memory()

    def _forget_all_in_memory(self) -> None:
        if self.store.keeps_runs is False:  # its clock is that of all runs
            self.is_live, self.waits = [False, False], [False, False]

    @rule(worker=WORKERS)
    def worker_is_known_to_be_dead(self, worker: str) -> None:
        self.do(self.store.release_leases([worker]))
        for run in range(2):
            if self.holder[run] == worker:
                self.is_live[run] = False

    @rule(most=st.sampled_from((None, 1, 2)))
    def quota_is_set(self, most: int | None) -> None:
        self.do(self.store.set_quota(most))
        assert self.do(self.store.quota()) == most
        self.quota = most

    @rule()
    def reap(self) -> None:
        reaped = self.do(self.store.reap_runs(1e9))
        stuck = [
            n
            for n in range(2)
            if self.final[n] is None and self.holder[n] and not self.is_live[n] and self.fence[n] >= MOST_CLAIMS
        ]
        assert sorted(reaped) == [f"run-{n}" for n in stuck]
        for n in stuck:
            self.final[n], self.fence[n] = RunStatus.FAILED_STUCK, self.fence[n] + 1

    @invariant()
    def store_and_model_agree(self) -> None:
        stored = self.do(self.store.read_runs([run.id for run in self.runs]))
        for n, each in enumerate(stored):
            assert (each.fence, each.is_leased) == (self.fence[n], self.is_live[n])
            assert {step.alias for step in each.steps} == self.steps[n], "only the master writes"
            if self.final[n] is not None:
                assert (each.run.status, each.owner) == (self.final[n], None)


def explore(make: Callable[[], Bench], examples: int) -> None:
    machine = type("Explored", (Protocol,), {"make": staticmethod(make)})
    limits = settings(
        max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=limits)


def test_leases_in_memory_have_one_master_and_lose_no_run() -> None:
    """Every sequence of claims, writes, deaths and clocks leaves one master, and no run that nobody can take."""

    def make() -> Bench:
        moment = datetime(2030, 1, 1, tzinfo=UTC)

        def pass_a_day(_id: str) -> None:
            nonlocal moment
            moment += timedelta(days=1)

        return Bench(MemoryStore("default", clock=lambda: moment), pass_a_day, pass_a_day, lambda _id: None)

    explore(make, 150)


def test_leases_in_postgres_have_one_master_and_lose_no_run(superuser_url: str, server: EmbeddedPostgres) -> None:
    """The same over the real thing."""
    del server
    wish = "UPDATE orchestra.suite_run SET waits_until = waits_until + interval '10 minutes' WHERE suite_run_id = %s"

    def keep_wish(suite_run_id: str) -> None:  # however slow this machine is
        with psycopg.connect(superuser_url) as connection:
            connection.execute(wish, [suite_run_id])

    def make() -> Bench:
        return Bench(
            PostgresStore(superuser_url, f"tenant-{unique()}"),
            lambda run_id: expire_lease(superuser_url, run_id),
            lambda suite_run_id: silence_suite_run(superuser_url, suite_run_id),
            keep_wish,
        )

    explore(make, 12)
