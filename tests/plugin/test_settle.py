"""``orchestra settle`` and ``--orchestra-settle-budget`` over runs that really happened."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from orders_service import SIDECAR

MANY = {f"n{number}": {"amount": 10} for number in range(20)}


def settle(project: Any, *options: str) -> pytest.RunResult:
    return project.pytester.run(sys.executable, "-m", "pytest_orchestra", "settle", *options)


def test_effect_that_got_slower_fails_by_its_history(project: Any) -> None:
    """The history of one session is the measure of the next; a tenant has its own; settle prints what it is."""
    project.orders(MANY, sidecar=SIDECAR)
    assert project.run("--orchestra-settle-budget=2", store="embedded").ret == 0
    facts = json.loads(settle(project, "--format", "json").stdout.str())
    [paid] = facts
    assert (paid["process"], paid["step"], paid["environment"]) == ("order", "paid", "local")
    assert (paid["count"], paid["timeoutMs"]) == (20, 5000)
    assert paid["p50Ms"] <= paid["p95Ms"] <= paid["p99Ms"] <= paid["maxMs"]
    assert paid["headroom"] == pytest.approx(1 - paid["p99Ms"] / 5000)
    assert paid["proposedTimeoutMs"] >= 1000
    shown = settle(project, "--environment", "local")
    shown.stdout.fnmatch_lines(["PROCESS*STEP*ENVIRONMENT*COUNT*P50*P95*P99*MAX*DEADLINE*HEADROOM*PROPOSED*"])
    settle(project, "--environment", "stage").stdout.fnmatch_lines(["no settling times are stored"])
    settle(project, "--process", "other").stdout.fnmatch_lines(["no settling times are stored"])
    settle(project, "--tenant", "other").stdout.fnmatch_lines(["no settling times are stored"])

    project.orders({"slow": {"amount": 10, "settle": 2.5}}, sidecar=SIDECAR)
    result = project.run("--orchestra-settle-budget=2", store="embedded")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "orchestra: settle budget 2: 1 of 1 effects with a history have 20 measurements or more;*",
            "*TIMEOUT  the effect settled after * ms, which is * times p95 of its*",
            "*history: * ms in 20 measurements; * ms is the limit",
        ]
    )
    assert project.run("--orchestra-settle-budget=2", "--orchestra-tenant=other", store="embedded").ret == 0
    assert project.run(store="embedded").ret == 0, "without the budget nobody minds, and the new speed is accepted"
    [paid] = json.loads(settle(project, "--format", "json").stdout.str())
    assert (paid["count"], paid["maxMs"] > 2000) == (21, True)
