"""pytest sessions in which participants are simulated, and call back."""

from __future__ import annotations

import socket

from simulated_shop import SIDECAR


def test_service_is_simulated_where_the_option_says_so_and_calls_back(project):
    """The real one is not asked, and each of several scenarios hears its own callback."""
    run = project()
    run("--orchestra-simulate=payments").assert_outcomes(passed=3)


def test_profile_says_so_and_the_option_none_overrules_it(project):
    """A simulated service needs no base URL; without the simulation nobody is there."""
    run = project(environments="local:\n  services: {payments: {simulated: true, baseUrl: 'http://127.0.0.1:9'}}\n")
    run().assert_outcomes(passed=3)
    run("--orchestra-simulate=none").assert_outcomes(errors=3)


def test_port_of_the_simulation_may_be_fixed(project, pytester):
    """Others than the scenarios find it where the profile says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = project(environments=f"local:\n  services: {{payments: {{simulated: true, simulatedPort: {port}}}}}\n")
    run("--orchestra-events=events.ndjson", "-k", "n5").assert_outcomes(passed=1)
    assert f"http://127.0.0.1:{port}/payments" in (pytester.path / "events.ndjson").read_text()


def test_name_that_nobody_has_is_refused(project):
    """A typing mistake must not reach a real service."""
    result = project()("--orchestra-simulate=payment")
    result.stdout.fnmatch_lines(["*--orchestra-simulate: nobody is called 'payment'", "*did you mean 'payments'?*"])


def test_mistakes_in_simulations_are_problems_of_the_file(project):
    """Unknown operations and names are told with the place in the sidecar."""
    simulations = {"payments": {"operations": {"chargd": {"when": "requst.body.amount > 1"}}}}
    result = project({**SIDECAR, "simulations": simulations})("--orchestra-simulate=none")
    result.stdout.fnmatch_lines(
        [
            "*pay.orchestra.yaml:1:*simulation of 'payments': it has no operation 'chargd'",
            "*did you mean 'charge'?",
            "*simulation of 'payments': a rule reads 'requst', which there is not",
        ]
    )
    assert result.ret != 0


def test_spoiled_simulation_is_noticed_by_the_assertions_that_look(project):
    """``--orchestra-distort`` is for seeing which ones do."""
    result = project()("--orchestra-simulate=all", "--orchestra-distort=payments.getPayment:numbers", "-k", "n5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*response.body.amount == data.amount*"])
