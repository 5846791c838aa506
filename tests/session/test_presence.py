"""Which workers of a machine live: told by locks that the system frees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pytest_orchestra.session.presence import WorkerPresence

WORKER = """
import sys
from pathlib import Path
from pytest_orchestra.session.presence import WorkerPresence
presence = WorkerPresence(Path(sys.argv[1]))
presence.announce()
print(presence.owner, flush=True)
sys.stdin.read()
"""


def begin(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def test_killed_worker_is_known_to_be_gone(tmp_path: Path) -> None:
    """While it lives nobody takes it for dead, stopped or not; once killed it is known to be gone at once."""
    ours = WorkerPresence(tmp_path)
    ours.announce()
    process, owner = begin(tmp_path)
    assert not ours.is_gone(owner)
    process.send_signal(signal.SIGSTOP)
    assert not ours.is_gone(owner)
    process.kill()
    process.communicate()
    assert ours.is_gone(owner)
    ours.leave()


def test_worker_of_another_machine_and_oneself_are_not_known_to_be_gone(tmp_path: Path) -> None:
    """What left no trace here may be alive elsewhere."""
    ours = WorkerPresence(tmp_path)
    assert not ours.is_gone(ours.owner)
    ours.announce()
    assert not ours.is_gone(ours.owner)
    for owner in ("elsewhere:12:abcdef", "dead", "", "host:1:../../etc/passwd"):
        assert not ours.is_gone(owner)
    ours.leave()


def test_worker_that_left_in_order_is_not_taken_for_dead(tmp_path: Path) -> None:
    """It has reported what it ended: nobody is to report that again."""
    first, second = WorkerPresence(tmp_path), WorkerPresence(tmp_path)
    first.announce()
    first.leave()
    assert not second.is_gone(first.owner)
    assert list((tmp_path / "workers").iterdir()) == []


def test_worker_that_left_with_debts_is_gone_and_forgotten_after_a_day(tmp_path: Path) -> None:
    """A worker that lost its store ends, and still holds leases; its trace stays as long as they may."""
    first = WorkerPresence(tmp_path)
    first.announce()
    first.leave(owes=True)
    second = WorkerPresence(tmp_path)
    second.announce()
    assert second.is_gone(first.owner)
    for path in (tmp_path / "workers").iterdir():
        os.utime(path, (time.time() - 90_000, time.time() - 90_000))
    third = WorkerPresence(tmp_path)
    third.announce()
    assert not third.is_gone(first.owner)
    assert not third.is_gone(second.owner)
    assert len(list((tmp_path / "workers").iterdir())) == 2
    second.leave()
    third.leave()
