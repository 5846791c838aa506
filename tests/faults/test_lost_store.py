"""The store is killed, frozen or cut off under running workers, and workers are frozen under the store."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.place import choose_place
from pytest_orchestra.store.supervisor import CLUSTER, DATA

ALL_PASSED = {"shop.bpmn::run-0": "PASSED", "shop.bpmn::run-1": "PASSED"}


def server_processes(folder: Path) -> list[int]:
    """Give the pids of a server: the postmaster and its children."""
    postmaster = int((choose_place(folder).folder / CLUSTER / DATA / "postmaster.pid").read_text().split()[0])
    found = [postmaster]
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == postmaster:
                found.append(int(entry.name))
    return found


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def statuses(outcomes: Any) -> dict[str, str]:
    return {key: each["status"] for key, each in outcomes.items()}


@pytest.fixture
def doomed(field: Any, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """Give a server of its own, to be killed."""
    with EmbeddedPostgres(tmp_path / "doomed") as own:
        own.create_database("faults")
        yield own
    own.remove()


def at_request(field: Any, number: int, act: Any) -> None:
    """Let something happen when the service gets its n-th request."""
    field.service.strike = lambda at, when: act() if (at, when) == (number, "before") else None


def test_postgres_killed_and_started_again_is_waited_for(field: Any, doomed: EmbeddedPostgres, tmp_path: Path) -> None:
    """Runs stand still while the store is away and go on as soon as it is back; nothing is sent twice."""
    folder = tmp_path / "doomed"
    pids = server_processes(folder)
    at_request(field, 5, lambda: signal_all(pids, signal.SIGKILL))
    worker = field.begin(embedded=str(folder))
    assert statuses(worker.wait()) == ALL_PASSED
    assert set(field.service.effects.values()) == {1}
    assert set(field.service.sent.values()) == {1}


@pytest.mark.parametrize("number", [3, 8, 12])
def test_connection_that_is_cut_comes_back_unnoticed(field: Any, number: int) -> None:
    """A broken line costs a moment, and no run."""
    at_request(field, number, field.proxy.cut)
    assert statuses(field.begin().wait()) == ALL_PASSED
    assert set(field.service.sent.values()) == {1}
    assert field.orphans() == []


def test_postgres_that_never_answers_ends_the_runs_and_what_it_has_is_safe(
    field: Any, doomed: EmbeddedPostgres, tmp_path: Path
) -> None:
    """A server that takes connections and says nothing is lost like one that is away; later, the runs go on."""
    pids = server_processes(tmp_path / "doomed")
    url = doomed.conninfo("faults")

    def freeze() -> None:
        pids[:] = server_processes(tmp_path / "doomed")
        signal_all(pids, signal.SIGSTOP)

    at_request(field, 5, freeze)
    try:
        began = time.monotonic()
        outcomes = field.begin(store=url, patience=3).wait()
        took = time.monotonic() - began
    finally:
        signal_all(pids, signal.SIGCONT)
    assert took < 15
    assert outcomes == {
        "error": f"store: connection to '127.0.0.1:{doomed.address.port}' was lost, and not back within '3' s\n"
        "hint: see why the server went away; every step that it has is safe: "
        "'pytest --orchestra --orchestra-resume' goes on behind it"
    }
    field.service.strike = lambda _number, _moment: None
    assert statuses(field.begin(store=url).wait()) == ALL_PASSED
    assert set(field.service.effects.values()) == {1}


def test_two_workers_that_race_carry_every_run_out_once(field: Any) -> None:
    """Each run is claimed by one of them; the other says whose it was."""
    both = [field.begin(runs=12, resumes=False) for _ in range(2)]
    told = [statuses(worker.wait()) for worker in both]
    for key in told[0]:
        assert sorted(each[key] for each in told) == ["PASSED", "SKIPPED"], key
    assert set(field.service.sent.values()) == {1}
    assert field.orphans() == []


def test_worker_that_is_frozen_and_revived_changes_nothing(field: Any) -> None:
    """While it sleeps, its lease ends and another worker takes the run over; awake again, it finds itself refused."""
    frozen: list[Any] = []

    def freeze() -> None:
        while not frozen:
            time.sleep(0.001)
        frozen[0].signal(signal.SIGSTOP)

    at_request(field, 6, freeze)
    frozen.append(field.begin(runs=1, lease=1, presence=False, resumes=False))
    deadline = time.monotonic() + 20
    while field.service.number < 6 or not _is_stopped(frozen[0].pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    field.service.strike = lambda _number, _moment: None
    other = field.begin(runs=1, lease=1, presence=False, resumes=False).wait()
    before = field.rows("SELECT payload FROM orchestra.test_step_result ORDER BY recorded_at")
    frozen[0].signal(signal.SIGCONT)
    revived = frozen[0].wait()
    assert (statuses(other), statuses(revived)) == ({"shop.bpmn::run-0": "PASSED"}, {"shop.bpmn::run-0": "SKIPPED"})
    assert field.rows("SELECT payload FROM orchestra.test_step_result ORDER BY recorded_at") == before
    assert set(field.service.effects.values()) == {1}
    assert field.orphans() == []


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
