"""Limits of time in real sessions: a scenario's, the session's, and a service that takes one call at a time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from orders_service import SIDECAR

NEVER = {"never": {"amount": 10, "settle": 600}, "soon": {"amount": 10}}
PATIENT = SIDECAR.replace("timeoutMs: 5000", "timeoutMs: 100000")


@pytest.mark.parametrize(
    "said",
    ["scenarioTimeoutMs: 700\n", "scenarioTimeoutMs: 90000\nscenarios: [{key: main, scenarioTimeoutMs: 700}]\n"],
)
def test_scenario_that_takes_longer_than_it_may_fails_by_a_timeout(project: Any, said: str) -> None:
    """The step that it was at has the violation; the scenario's own word goes before the sidecar's."""
    project.orders(NEVER, sidecar=PATIENT + said)
    began = time.monotonic()
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    assert time.monotonic() - began < 30
    result.stdout.fnmatch_lines(["*TIMEOUT  the scenario did not end within 700 ms*"])


def test_session_that_takes_longer_than_it_may_ends_with_reasons(project: Any) -> None:
    """What ran fails, what did not begin is an error; nothing is silently left out."""
    project.orders(NEVER | {"late": {"amount": 10}}, sidecar=PATIENT)
    began = time.monotonic()
    result = project.run("--orchestra-timeout=1.5", "--orchestra-concurrency=1", "-rfE")
    result.assert_outcomes(failed=1, errors=2)
    assert time.monotonic() - began < 30
    result.stdout.fnmatch_lines(
        [
            "*TIMEOUT  the scenarios of the session did not end within 1500 ms*",
            "FAILED order.bpmn::main[[]never[]]*",
            "ERROR order.bpmn::main[[]*[]]*the session's time, 1.5 s, was over before*",
        ],
        consecutive=False,
    )


def test_service_with_a_limit_gets_its_calls_one_after_another(project: Any) -> None:
    """The limit is written where the address is."""
    project.orders({f"n{number}": {"amount": 10} for number in range(5)})
    project.write(
        environments_dot_yaml=(
            f"local:\n  services:\n    orders: {{baseUrl: '{project.orders_url}', maxConcurrency: 1}}\n"
        )
    )
    project.run().assert_outcomes(passed=5)
