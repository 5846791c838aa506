"""``orchestra rehearse`` finds the assertion steps that would pass whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys

from simulated_shop import SIDECAR, write_project

from pytest_orchestra.cli import main
from pytest_orchestra.simulation.distortion import Distortion, DistortionKind, kinds_of
from pytest_orchestra.simulation.encounters import Encounters
from pytest_orchestra.simulation.rehearsal import (
    LeftOut,
    Noticed,
    PlainRun,
    Rehearsal,
    Rehearsed,
    choose_runs,
    judge_rehearsal,
    rehearsal_text,
)


def met(key, aliases, *distortions):
    """Give an undisturbed run with assertion steps that passed."""
    steps = tuple(Rehearsed("pay", alias, alias.title(), key, True, False) for alias in aliases)
    return PlainRun(key, steps, frozenset(map(Distortion.read, distortions)))


def test_every_fault_is_tried_with_the_fewest_runs_that_it_meets_and_then_with_all_that_may_notice():
    """Runs that a fault does not meet are not run with it, and what has been noticed is not tried again."""
    one, two = "payments.charge:numbers", "stock.messages:lost"
    plain = [met("a", "xy", one), met("b", "x", one, two), met("c", "xyz", one), met("d", "w")]
    first = choose_runs(plain, ["stock", "payments"], {})
    assert {str(each): [run.key for run in runs] for each, runs in first.items()} == {two: ["b"], one: ["c"]}
    assert list(map(str, first)) == [two, one]  # in the order of the participants
    failed = [Rehearsed("pay", alias, alias.title(), "c", alias == "x", alias != "x") for alias in "xyz"]
    tried = {Distortion.read(two): [Rehearsed("pay", "x", "X", "b", True, False)], Distortion.read(one): failed}
    second = choose_runs(plain, ["stock", "payments"], tried)
    assert {str(each): [run.key for run in runs] for each, runs in second.items()} == {one: ["a", "b"]}
    tried[Distortion.read(one)] += [Rehearsed("pay", "x", "X", key, True, False) for key in "ab"]
    assert choose_runs(plain, ["stock", "payments"], tried) == {}


def test_faults_of_what_belongs_to_no_run_meet_every_run():
    """A message without a correlation id may be anyone's."""
    encounters = Encounters()
    encounters.note("one", "stock", "messages", kinds_of({"text": "a", "list": [True]}))
    encounters.note("", "stock", "messages", kinds_of([None, 1.5]) | {DistortionKind.LOST})
    everyones = {Distortion.read(f"stock.messages:{kind}") for kind in ("numbers", "lost")}
    assert encounters.of("one") == everyones | {Distortion.read("stock.messages:states")}
    assert encounters.of("two") == everyones


def test_rehearsal_is_read_as_it_was_written():
    """The session writes it, and the command reads it."""
    step = Rehearsed("pay", "look", "Look", "one", True, False)
    written = Rehearsal([step], {Distortion.read("a.b:lost"): [step]}, [LeftOut("pay", "row", "Row", "why")], ["why"])
    assert Rehearsal.of_json(written.to_json()) == written


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
            {**looking, "alias": "look", "businessRules": ["response.body.amount == data.amount"], "timeoutMs": 5000},
            {**looking, "alias": "dull", "businessRules": ["response.body.id | length > 0"], "timeoutMs": 5000},
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
        "distortions": [f"payments.getPayment:{kind}" for kind in ("numbers", "states")],
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
        "leftOut": [],
    }


def test_scenarios_that_do_not_pass_undisturbed_are_shown_and_not_spoiled(tmp_path, monkeypatch, capsys):
    """What fails among good participants cannot notice bad ones; who selects nothing is told so."""
    body = {"id": "p", "amount": 1, "state": "CHARGED"}
    looking = {**SIDECAR["bindings"]["Look"], "kind": "ACTION", "businessRules": ["response.body.amount == 5"]}
    sidecar = {
        **SIDECAR,
        "bindings": {"Charge": [], "Settled": [], "Look": looking},
        "simulations": {"payments": {"operations": {"getPayment": {"body": body}}}},
    }
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    file = write_project(folder, sidecar)
    assert main(["rehearse", str(file)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["project"]  # nothing is left where it is called
    written = capsys.readouterr()
    assert "response.body.amount  1" in written.out
    assert written.err == (
        "error: the scenarios do not pass with simulated participants\n"
        "hint: say in 'simulations' of the sidecar what they answer and send\n"
    )
    assert main(["rehearse", str(file), "-k", "other"]) == 2
    assert capsys.readouterr().err == (
        f"error: 'pay.bpmn' has no scenario that fits 'other'\nhint: see 'orchestra plan {file}'\n"
    )


def test_text_tells_of_every_step_and_what_to_do():
    """People read which steps look at something, and which do not."""
    one = Distortion.read("payments.charge:numbers")
    noticed = [
        Noticed("pay", "look", "Look", (one,)),
        Noticed("pay", "look", "Look back", (one,)),
        Noticed("pay", "dull", "Look again", ()),
    ]
    assert rehearsal_text("pay.bpmn", noticed, 9, [LeftOut("pay", "row", "Row", "not rehearsed: why")]) == (
        "pay.bpmn: 3 assertion steps, 9 distortions\n"
        "\n"
        "  ✓ look (Look)       fails by payments.charge:numbers\n"
        "  ✓ look (Look back)  fails by payments.charge:numbers\n"
        "  ✗ dull              fails by nothing: vacuous\n"
        "  - row               not rehearsed: why\n"
        "\n"
        "1 assertion step would pass whatever the participants do:\n"
        "  dull: Look again\n"
        "hint: let them look at a value that a participant gives, or leave them out"
    )
