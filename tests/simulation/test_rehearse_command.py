"""``orchestra rehearse`` finds the assertion steps that would pass whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys

from simulated_shop import SIDECAR

from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.rehearsal import Noticed, Rehearsed, find_distortions, judge_rehearsal, rehearsal_text


def test_distortions_are_those_of_operations_that_steps_call_and_of_what_rules_send():
    """Nobody is spoiled where no scenario could meet it."""
    steps = [StepDefinition.model_validate({"endpointRef": "payments.charge"})] * 2
    simulations = {
        "payments": Simulation.model_validate({"onMessage": {"topic": "orders", "publish": {"topic": "paid"}}}),
    }
    found = find_distortions(["payments", "stock"], simulations, steps)
    assert [str(each) for each in found] == [
        *(f"payments.charge:{kind}" for kind in ("numbers", "states", "accepted")),
        *(f"payments.messages:{kind}" for kind in ("numbers", "states", "lost")),
    ]


def test_step_is_vacuous_unless_a_violation_of_its_own_shows_in_any_scenario():
    """Steps that were skipped, and steps that failed undisturbed, say nothing."""

    def step(alias, run="one", *, passed=True, violation=False):
        return Rehearsed("pay", alias, alias.title(), run, passed, violation)

    one, two = Distortion.read("payments.charge:numbers"), Distortion.read("payments.charge:lost")
    plain = [step("look"), step("look", "two"), step("dull"), step("broken", passed=False, violation=True)]
    spoiled = {
        one: [step("look"), step("look", "two", passed=False, violation=True), step("dull")],
        two: [step("look", passed=False), step("dull", passed=False)],
    }
    noticed = judge_rehearsal(plain, spoiled)
    assert [(each.alias, each.distortions, each.is_vacuous) for each in noticed] == [
        ("look", (one,), False),
        ("dull", (), True),
    ]


def test_vacuous_step_is_told_and_the_others_with_what_they_notice(project, pytester):
    """The exit code says that there is one."""
    looking = {"kind": "ASSERTION", "endpointRef": "payments.getPayment", "inputTemplate": {"path": {"id": "p-1"}}}
    bindings = {
        "Charge": [],
        "Settled": [],
        "Look": [
            {**looking, "alias": "look", "businessRules": ["response.body.amount == data.amount"], "timeoutMs": 300},
            {**looking, "alias": "dull", "businessRules": ["response.body.id | length > 0"], "timeoutMs": 300},
        ],
    }
    body = {"id": "p-1", "amount": 5, "state": "CHARGED"}
    simulations = {"payments": {"operations": {"getPayment": {"body": body}}}}
    project({**SIDECAR, "bindings": bindings, "simulations": simulations})
    command = [sys.executable, "-m", "pytest_orchestra", "rehearse", "pay.bpmn", "-k", "n5", "--format", "json"]
    done = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "distortions": [f"payments.getPayment:{kind}" for kind in ("numbers", "states", "accepted")],
        "assertions": [
            {
                "process": "pay",
                "alias": "look",
                "name": "Look",
                "failsBy": ["payments.getPayment:numbers"],
                "vacuous": False,
            },
            {"process": "pay", "alias": "dull", "name": "Look", "failsBy": [], "vacuous": True},
        ],
    }


def test_text_tells_of_every_step_and_what_to_do():
    """People read which steps look at something, and which do not."""
    one = Distortion.read("payments.charge:numbers")
    noticed = [Noticed("pay", "look", "Look", (one,)), Noticed("pay", "dull", "Look again", ())]
    assert rehearsal_text("pay.bpmn", noticed, 9) == (
        "pay.bpmn: 2 assertion steps, 9 distortions\n"
        "\n"
        "  ✓ look  fails by payments.charge:numbers\n"
        "  ✗ dull  fails by nothing: vacuous\n"
        "\n"
        "1 assertion step would pass whatever the participants do:\n"
        "  dull: Look again\n"
        "hint: let them look at a value that a participant gives, or leave them out"
    )
