"""What scenarios must have for themselves: the queue of one session, and runs that wait for each other."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.engine.engine import Engine
from pytest_orchestra.engine.events import LockAwaited, RunStarted
from pytest_orchestra.engine.locks import LockQueue
from pytest_orchestra.model.run import RunStatus, SuiteRun, SuiteRunStatus
from pytest_orchestra.testing import RecordingListener, ScriptedProtocol

WANTED = st.lists(st.sets(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=12)


@given(WANTED, st.randoms(use_true_random=False))
def test_lock_queue_lets_everybody_in_once_and_nobody_together(wanted: list[set[str]], random: Any) -> None:
    """Whoever leaves when, no two have the same lock at once, and all have had theirs in the end."""
    queue = LockQueue()
    names = {f"run{n}": sorted(each) for n, each in enumerate(wanted)}
    inside = {key for key in names if queue.enter(key, names[key]) is None}
    done: set[str] = set()
    while inside:
        held = [name for key in inside for name in names[key]]
        assert len(held) == len(set(held))
        leaving = random.choice(sorted(inside))
        inside.remove(leaving)
        done.add(leaving)
        for freed in queue.leave(leaving):
            assert queue.enter(freed, names[freed]) is None
            inside.add(freed)
    assert done == set(names)


def test_lock_queue_nobody_overtakes_one_who_wants_the_same() -> None:
    """A run that waits for two locks gets them before those that came later and want one of them."""
    queue = LockQueue()
    assert queue.enter("first", ["a"]) is None
    assert queue.enter("both", ["a", "b"]) == ("a", "first")
    assert queue.enter("late", ["b"]) == ("b", "both")
    assert queue.leave("first") == ["both"]
    assert queue.enter("both", ["a", "b"]) is None
    assert queue.leave("both") == ["late"]


def _engine(bench: Any, owner: str, listener: RecordingListener) -> Engine:
    protocol = bench.protocol
    return Engine(
        store=bench.store, protocols={protocol.channel_type: protocol}, listeners=[listener], owner=owner, concurrency=8
    )


async def _drive(engine: Engine, requests: list[Any]) -> dict[str, Any]:
    await engine.submit(requests)
    ended: dict[str, Any] = {}
    while len(ended) < len(requests):
        await engine.wait_completed(5)
        while engine.completed:
            finished = engine.completed.popleft().finished
            ended[finished.run.key] = finished
    await engine.close(SuiteRunStatus.PASSED)
    return ended


async def test_runs_of_one_session_with_a_common_lock_follow_each_other(bench: Any) -> None:
    """They never overlap, others go on beside them, and how long each waited is in its outcome, but in no deadline."""
    bench.protocol = ScriptedProtocol(delay_s=0.03)
    requests = [bench._request(key, [{"alias": "work", "timeoutMs": 45}]) for key in ("a", "b", "c", "free")]
    requests = [replace(each, locks=("customer:42",) if each.run.key != "free" else ()) for each in requests]
    engine = _engine(bench, "one", bench.listener)
    await engine.start(SuiteRun("suite", "suite", "default"))
    ended = await _drive(engine, requests)
    assert {each.status for each in ended.values()} == {RunStatus.PASSED}
    spans = sorted((ended[key].run.started_at, ended[key].at) for key in "abc")
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert [ended[key].locked_s > 0.02 for key in ("a", "b", "c", "free")] == [False, True, True, False]
    awaited = [event for event in bench.listener.events if isinstance(event, LockAwaited)]
    assert [(event.run.key, event.lock, event.holder) for event in awaited] == [
        ("b", "customer:42", "a"),
        ("c", "customer:42", "a"),
    ]
    started = [event.run.key for event in bench.listener.events if isinstance(event, RunStarted)]
    assert started == ["a", "free", "b", "c"]


async def test_runs_of_two_sessions_with_a_common_lock_exclude_each_other(bench: Any) -> None:
    """Sessions that share a store, each with a SuiteRun of its own, wait for each other's locks."""
    bench.protocol = ScriptedProtocol(delay_s=0.05)

    async def session(name: str) -> dict[str, Any]:
        engine = _engine(bench, name, bench.listener)
        await engine.start(SuiteRun(name, name, "default"))
        request = bench._request(name, [{"alias": "work"}])
        return await _drive(
            engine, [replace(request, run=replace(request.run, suite_run_id=name), locks=("a", "customer:42"))]
        )

    one, two = await asyncio.gather(session("one"), session("two"))
    first, second = sorted([one["one"], two["two"]], key=lambda each: each.at)
    assert first.at <= second.run.started_at
    assert (first.locked_s, second.locked_s > 0.03) == (0.0, True)


async def test_session_that_ends_while_a_run_waits_for_a_lock_cancels_it(bench: Any) -> None:
    """What waits is cancelled like everything that has not begun, and leaves no lock behind."""
    bench.protocol = ScriptedProtocol(delay_s=5)
    requests = [replace(bench._request(key, [{"alias": "work"}]), locks=("x",)) for key in "ab"]
    engine = _engine(bench, "one", bench.listener)
    await engine.start(SuiteRun("suite", "suite", "default"))
    await engine.submit(requests)
    await engine.wait_completed(0.02)
    await engine.close(SuiteRunStatus.CANCELLED)
    stored = await bench.store.read_runs(["id-a", "id-b"])
    assert [each.run.status for each in stored] == [RunStatus.CANCELLED, RunStatus.CANCELLED]


async def _held_elsewhere(bench: Any, name: str) -> None:
    """Let a run of another session have a lock, for as long as anybody looks."""
    await bench.store.begin_suite_run(SuiteRun("theirs", "theirs", "default"))
    run = replace(bench._request("their-run", [{"alias": "work"}]).run, suite_run_id="theirs")
    await bench.store.add_runs([run])
    lease = await bench.store.claim(run.id, "another", 600)
    assert await bench.store.take_lock(lease, name) is None


async def test_wait_for_a_lock_of_another_session_ends_with_the_sessions_time(bench: Any) -> None:
    """Who never gets a lock is told which one, and who has it; what waits behind him in line ends as well."""
    await _held_elsewhere(bench, "x")
    engine = Engine(
        store=bench.store,
        protocols={bench.protocol.channel_type: bench.protocol},
        owner="one",
        concurrency=8,
        timeout_s=1.5,
    )
    await engine.start(SuiteRun("suite", "suite", "default"))
    ended = await _drive(engine, [replace(bench._request(key, [{"alias": "work"}]), locks=("x",)) for key in "ab"])
    assert {each.status for each in ended.values()} == {RunStatus.ERROR}
    assert str(ended["a"].fault) == (
        "the session's time, 1.5 s, was over while the scenario waited for lock 'x', which 'their-run' has\n"
        "hint: raise --orchestra-timeout, or see why the other session needs so long"
    )
    assert str(ended["b"].fault) == (
        "the session's time, 1.5 s, was over before the scenario began\n"
        "hint: raise --orchestra-timeout or --orchestra-concurrency, or run fewer scenarios"
    )
    [stored] = await bench.store.read_runs(["id-a"])
    assert (stored.run.status, stored.is_leased, stored.run.reason) == (
        RunStatus.CANCELLED,
        False,
        "the session ended before it did",
    )
    assert bench.protocol.calls == []
