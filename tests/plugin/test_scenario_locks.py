"""Scenarios that must have something for themselves."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

from orders_service import SIDECAR, Orders

LOCKED = SIDECAR + "locks: ['customer:{{data.customer}}']\n"


def test_scenarios_of_two_sessions_with_a_common_lock_follow_each_other(project: Any) -> None:
    """Two processes that share a store do what locks the same customer one after the other, and say who waited."""
    project.orders({f"row{n}": {"amount": 1, "settle": 0.3, "customer": 42} for n in range(3)}, sidecar=LOCKED)
    command = [sys.executable, "-m", "pytest", "--orchestra", "-p", "no:cacheprovider", "--junitxml"]
    before = len(Orders.placed)
    both = [
        subprocess.Popen(
            [*command, f"{n}.xml"], cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for n in "ab"
    ]
    texts = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    paid = sorted(moment for _, moment in list(Orders.placed.values())[before:])
    assert len(paid) == 6
    gaps = [after - earlier for earlier, after in itertools.pairwise(paid)]
    assert min(gaps) > 0.3, "each was placed when the one before had been paid"
    assert all("waited, the longest" in text for text in texts)
    assert "orchestra.locked_s" in (project.path / "a.xml").read_text()


def test_lock_that_reads_a_step_is_an_error(project: Any) -> None:
    """What is locked must be known when the scenario begins."""
    project.orders(sidecar=SIDECAR + "locks: ['order:{{step.place.response.body.id}}']\n")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*lock 'order:{{step.place.response.body.id}}' reads 'step.place.response.body.id', which is not known*"]
    )
