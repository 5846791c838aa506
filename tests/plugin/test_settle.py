"""``orchestra settle`` and ``--orchestra-settle-budget`` over runs that really happened."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orders_service import SIDECAR

from pytest_orchestra.cli import main
from pytest_orchestra.cli.outcome import ExitCode

MANY = {f"n{number}": {"amount": 10} for number in range(20)}


def settle(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    capsys.readouterr()
    assert main(["settle", *options]) == ExitCode.FINE
    return capsys.readouterr().out


def test_effect_that_got_slower_fails_by_its_history(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The history of one session is the measure of the next; a tenant has its own; settle prints what it is."""
    project.orders(MANY, sidecar=SIDECAR)
    assert project.run("--orchestra-settle-budget=2", store="embedded").ret == 0
    facts = json.loads(settle(capsys, "--format", "json"))
    [paid] = facts
    assert (paid["process"], paid["step"], paid["environment"]) == ("order", "paid", "local")
    assert (paid["count"], paid["timeoutMs"]) == (20, 5000)
    assert paid["p50Ms"] <= paid["p95Ms"] <= paid["p99Ms"] <= paid["maxMs"]
    assert paid["headroom"] == pytest.approx(1 - paid["waitP99Ms"] / 5000)
    assert paid["proposedTimeoutMs"] >= 1000
    heading = settle(capsys, "--environment", "local").splitlines()[0]
    columns = "PROCESS STEP ENVIRONMENT COUNT P50 P95 P99 MAX DEADLINE HEADROOM PROPOSED"
    assert heading.split() == columns.split()
    for foreign in (["--environment", "stage"], ["--process", "other"]):
        assert settle(capsys, *foreign) == (
            "no settling times of these are stored; there are those of\n  order in local\n"
        )
    assert settle(capsys, "--tenant", "other") == "no settling times are stored\n"

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
    [paid] = json.loads(settle(capsys, "--format", "json"))
    assert (paid["count"], paid["maxMs"] > 2000) == (21, True)
