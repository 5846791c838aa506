"""What each store tells of settling times."""

from __future__ import annotations

import psycopg
from store_samples import Harness, begin, claimed, make_run, make_step, make_suite_run

from pytest_orchestra.engine.ports import RunStore
from pytest_orchestra.engine.settling import SettlingProfile
from pytest_orchestra.model.run import StepStatus
from pytest_orchestra.store.queries import load_query


async def measured(store: RunStore, times: dict[str, list[float]], **run: object) -> str:
    """Store a SuiteRun in which effects, by alias, took these times; give its id."""
    suite_run = await store.begin_suite_run(make_suite_run())
    for number in range(max(map(len, times.values()))):
        made = make_run(suite_run, f"order.bpmn::{number}", **run)
        await store.add_runs([made])
        lease = await claimed(store, made)
        for alias, values in times.items():
            if number < len(values):
                step = make_step(
                    alias, settling_time_ms=values[number], duration_ms=values[number], timeout_ms=1000.0 + number
                )
                await store.record_step(lease, step, None, {})
    return suite_run.id


async def test_settling_times_are_told_by_process_step_and_environment(store: RunStore):
    """Each effect has a profile, with the time limit that its latest measurement had."""
    await measured(store, {"paid": [30, 10, 20], "sent": [5]})
    await measured(store, {"paid": [100]}, environment="stage")
    await measured(store, {"paid": [7]}, process_id="return", process_hash="hash-2")
    assert list(await store.settling()) == [
        SettlingProfile("order", "paid", "local", 3, 20, 30, 30, 30, 1002, 30),
        SettlingProfile("order", "sent", "local", 1, 5, 5, 5, 5, 1000, 5),
        SettlingProfile("order", "paid", "stage", 1, 100, 100, 100, 100, 1000, 100),
        SettlingProfile("return", "paid", "local", 1, 7, 7, 7, 7, 1000, 7),
    ]


async def test_settling_times_are_chosen_by_environment_process_and_suite_run(store: RunStore):
    """One asks for one stage, one process, or for what was before a SuiteRun."""
    await measured(store, {"paid": [10]})
    await measured(store, {"paid": [100]}, environment="stage")
    latest = await measured(store, {"paid": [7]}, process_id="return", process_hash="hash-2")
    assert [each.p50_ms for each in await store.settling("stage")] == [100]
    assert [each.p50_ms for each in await store.settling(None, "return")] == [7]
    assert [each.p50_ms for each in await store.settling("local", without=latest)] == [10]
    assert list(await store.settling("nowhere")) == []


async def test_only_effects_of_passed_steps_count(store: RunStore):
    """What failed, by its budget say, must not move the budget, nor what another run measured; a flaky step settled."""
    _, [run] = await begin(store)
    lease = await claimed(store, run)
    for status in StepStatus:
        step = make_step(f"a_{status.lower()}", status=status, settling_time_ms=1.0)
        await store.record_step(lease, step, None, {})
    await store.record_step(lease, make_step("unmeasured"), None, {})
    await store.record_step(lease, make_step("reused", settling_time_ms=1.0, reused_from="another"), None, {})
    assert [each.alias for each in await store.settling()] == ["a_flaky", "a_passed"]


async def test_settling_times_belong_to_their_tenant(harness: Harness):
    """A tenant's figures are made of its own runs."""
    ours, theirs = await harness.open("acme"), await harness.open("other")
    await measured(ours, {"paid": [10, 20]})
    await measured(theirs, {"paid": [500]})
    assert [(each.count, each.max_ms) for each in await ours.settling()] == [(2, 20)]
    assert [(each.count, each.max_ms) for each in await theirs.settling()] == [(1, 500)]


def test_settling_times_are_read_from_an_index(superuser_url: str):
    """The results themselves, most of which measured nothing and all of which are long, need not be read."""
    parameters = {"tenant": "acme", "environment": None, "process_id": None, "without": None, "most": 10}
    with psycopg.connect(superuser_url) as connection:
        for costly in ("seqscan", "bitmapscan"):  # which are cheaper while the tables are empty
            connection.execute(f"SET enable_{costly} = off")
        plan = connection.execute(b"EXPLAIN " + load_query("measure_settling"), parameters).fetchall()
    assert any("Index Only Scan using test_step_result_settled" in line for (line,) in plan), plan
