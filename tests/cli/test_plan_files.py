"""``orchestra plan --save``, ``--diff`` and ``--threshold``; ``verify``'s stubs; ``export``: as CI calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestra.readers.yaml_source import parse_yaml

SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {"/ship": {"post": {"operationId": "ship", "responses": {"200": {"description": "ok"}}}}},
}
SIDECAR = "specs: {orders: orders.json}\nbindings: {Ship: {endpointRef: orders.ship}, Approve: []}\n"


@pytest.fixture
def bound(project: Path) -> Path:
    """The project with a sidecar and a specification."""
    (project / "orders.json").write_text(json.dumps(SPEC))
    (project / "order.orchestra.yaml").write_text(SIDECAR)
    return project


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_saved_plan_lies_beside_the_model_and_is_the_same_every_time(orchestra: Any, bound: Path) -> None:
    """The plan is shown, kept, and said to be; byte for byte the same, whatever folder the command is called in."""
    done = orchestra("plan", "order.bpmn", "--save")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\nsaved to order.plan.json\n")
    assert "5 of 5" in done.stdout
    kept = (bound / "order.plan.json").read_bytes()
    assert str(bound).encode() not in kept
    elsewhere = bound / "elsewhere"
    elsewhere.mkdir()
    again = orchestra("plan", str(bound / "order.bpmn"), "--save", str(elsewhere), "--format", "json", cwd=elsewhere)
    assert json.loads(again.stdout)["saved"] == str(elsewhere / "order.plan.json")
    assert (elsewhere / "order.plan.json").read_bytes() == kept


def test_diff_of_what_did_not_change_is_fine(orchestra: Any, bound: Path) -> None:
    """Exit code 0, and every scenario is unchanged; also from a path of the user's."""
    orchestra("plan", "order.bpmn", "--save", "kept.json")
    done = orchestra("plan", "order.bpmn", "--diff", "kept.json")
    assert (done.returncode, done.stdout) == (
        0,
        "Order since kept.json: 2 unchanged\n\nunchanged  large-no, large-yes\n",
    )
    facts = json.loads(orchestra("plan", "order.bpmn", "--diff", "kept.json", "--format", "json").stdout)
    assert facts["unchanged"] is True
    assert facts["plan"] == "kept.json"


def test_diff_of_what_changed_is_a_finding(orchestra: Any, bound: Path) -> None:
    """Exit code 1, and for each scenario what became of it, with the errors of the definitions behind."""
    orchestra("plan", "order.bpmn", "--save")
    change(bound / "orders.json", '"ship"', '"send"')
    done = orchestra("plan", "order.bpmn", "--diff")
    assert done.returncode == 1
    assert done.stdout.startswith(
        "Order since order.plan.json: 2 broken\n\n"
        "broken     large-no, large-yes\n"
        "  orders.ship: the operation is gone; POST /ship is called 'send' now\n\n"
    )
    assert "unknown operation 'ship' of service 'orders'" in done.stdout
    facts = json.loads(orchestra("plan", "order.bpmn", "--diff", "--format", "json").stdout)
    assert facts["processes"][0]["counts"]["broken"] == 2
    assert facts["problems"][0]["severity"] == "error"


def test_diff_and_save_together_compare_first_and_then_keep(orchestra: Any, bound: Path) -> None:
    """What changed is told once; the next time it is what was kept."""
    orchestra("plan", "order.bpmn", "--save")
    change(bound / "order.bpmn", 'name="Large?"', 'name="Big?"')
    first = orchestra("plan", "order.bpmn", "--diff", "--save")
    assert first.returncode == 1
    assert "2 re-mapped" in first.stdout
    assert first.stdout.endswith("saved to order.plan.json\n")
    assert orchestra("plan", "order.bpmn", "--diff").returncode == 0


def test_wrong_plan_is_wrong_input(orchestra: Any, bound: Path) -> None:
    """None there, none at all, one that was changed by hand, no place to write: exit code 2, place and hint."""
    none = orchestra("plan", "order.bpmn", "--diff")
    assert (none.returncode, none.stderr) == (
        2,
        "error: --diff: no file 'order.plan.json'\nhint: keep a plan with 'orchestra plan order.bpmn --save' first\n",
    )
    assert not (bound / "order.plan.json").exists()
    (bound / "order.plan.json").write_text("{}")
    rubbish = orchestra("plan", "order.bpmn", "--diff")
    assert (rubbish.returncode, rubbish.stderr) == (
        2,
        "error: order.plan.json:1:1: is no saved plan\nhint: save it anew with 'orchestra plan FILE --save'\n",
    )
    nowhere = orchestra("plan", "order.bpmn", "--save", "no/such/plan.json")
    assert nowhere.returncode == 2
    assert nowhere.stderr.startswith("error: --save: cannot write 'no/such/plan.json': ")


def test_plan_of_what_cannot_be_read_is_not_saved(orchestra: Any, bound: Path) -> None:
    """A sidecar that is wrong leaves the plan that was kept alone."""
    orchestra("plan", "order.bpmn", "--save")
    kept = (bound / "order.plan.json").read_text()
    (bound / "order.orchestra.yaml").write_text("bindngs: {}\n")
    for option in ("--save", "--diff"):
        done = orchestra("plan", "order.bpmn", option)
        assert done.returncode == 2
        assert "unknown field 'bindngs'" in done.stderr
    assert (bound / "order.plan.json").read_text() == kept


def test_saved_plan_of_several_processes_is_compared_process_by_process(orchestra: Any, project: Path) -> None:
    """Each has its own line, in the order of the file."""
    text = (project / "order.bpmn").read_text()
    second = text[text.index("<process") : text.index("</definitions>")].replace('id="', 'id="b_')
    for name in ("sourceRef", "targetRef", "default"):
        second = second.replace(f'{name}="', f'{name}="b_')
    second = second.replace('name="Order"', 'name="Second"')
    (project / "two.bpmn").write_text(text.replace("</definitions>", f"{second}</definitions>"))
    assert orchestra("plan", "two.bpmn", "--save").returncode == 0
    change(project / "two.bpmn", 'id="b_approve" name="Approve"', 'id="b_approve" name="Agree"')
    done = orchestra("plan", "two.bpmn", "--diff")
    assert "Order since two.plan.json: 2 unchanged\n" in done.stdout
    assert "Second since two.plan.json: 1 re-mapped, 1 unchanged\n" in done.stdout


def test_threshold_that_is_not_reached_is_a_finding(orchestra: Any, bound: Path) -> None:
    """By option, by sidecar, by project: exit code 1 and what is missing, also in the JSON."""
    change(bound / "order.bpmn", "</process>", '<task id="lost" name="Lost"/></process>')
    change(bound / "order.orchestra.yaml", "Approve: []", "Approve: [], Lost: []")
    fine = orchestra("plan", "order.bpmn", "--coverage", "node")
    assert fine.returncode == 0, fine.stdout
    told = "node coverage is 83.33 % (5 of 6), below the 90 % {} of 'Order': not 'lost' (cannot be reached"
    done = orchestra("plan", "order.bpmn", "--coverage", "node", "--threshold", "node=90")
    assert done.returncode == 1
    assert told.format("that --threshold requires") in done.stdout
    (bound / "pyproject.toml").write_text('[tool.orchestra]\ncoverage-threshold = "90"\n')
    by_project = orchestra("plan", "order.bpmn", "--coverage", "node")
    assert by_project.returncode == 1
    assert told.format("that [tool.orchestra] coverage_threshold requires") in by_project.stdout
    (bound / "order.orchestra.yaml").write_text((bound / "order.orchestra.yaml").read_text() + "coverage: [node]\n")
    change(bound / "order.orchestra.yaml", "coverage: [node]", "coverage: [node]\nthresholds: {node: 90}")
    by_sidecar = orchestra("plan", "order.bpmn", "--format", "json")
    assert by_sidecar.returncode == 1
    facts = json.loads(by_sidecar.stdout)
    assert facts["thresholds"] == {"node": {"required": 90, "reached": 83.33, "isMet": False}}
    assert facts["problems"][-1]["message"].startswith(told.format("required"))
    assert facts["problems"][-1]["place"] == "order.orchestra.yaml:4:14"


def test_threshold_of_what_the_sidecar_does_not_cover_is_wrong(orchestra: Any, bound: Path) -> None:
    """The two are written side by side, so that is a slip; it is told where it stands."""
    change(bound / "order.orchestra.yaml", "specs:", "thresholds: {node: 90}\nspecs:")
    done = orchestra("plan", "order.bpmn")
    assert done.returncode == 1
    assert "order.orchestra.yaml:1:13: 'node' is not among 'coverage', which is edge" in done.stdout


NAMES_ONLY = "<conditionExpression>${amount &gt; 1000}</conditionExpression>"


def test_verify_prints_stubs_that_can_be_pasted(orchestra: Any, bound: Path) -> None:
    """Exit code 0 all the same; pasted, nothing is lacking any more."""
    change(bound / "order.bpmn", NAMES_ONLY, "")
    change(bound / "order.bpmn", ' default="small_flow"', "")
    done = orchestra("verify")
    assert done.returncode == 0, done.stdout
    block = 'decisions:\n  Large?:\n    "yes": "data.large == true"\n    "no": "data.large == false"\n'
    assert done.stdout == (
        "order.bpmn: 1 decision says nothing of data; add to order.orchestra.yaml:\n\n"
        f"{block}\n1 process file, 2 scenarios, 0 errors, 0 warnings\n"
    )
    (stub,) = json.loads(orchestra("verify", "--format", "json").stdout)["stubs"]
    assert stub["yaml"] == block
    assert stub["decisions"] == [
        {
            "element": "large",
            "name": "Large?",
            "place": "order.bpmn:5:5",
            "branches": parse_yaml(block, "block").value["decisions"]["Large?"],
        }
    ]
    with (bound / "order.orchestra.yaml").open("a") as sidecar:
        sidecar.write(block)
    again = orchestra("verify")
    assert (again.returncode, again.stdout) == (0, "1 process file, 2 scenarios, 0 errors, 0 warnings\n")


def test_verify_prints_stubs_of_what_nobody_binds_only_if_asked(orchestra: Any, project: Path) -> None:
    """A model without a sidecar is nobody's test yet."""
    change(project / "order.bpmn", NAMES_ONLY, "")
    assert "decisions:" not in orchestra("verify").stdout
    assert "  Large?:\n" in orchestra("verify", "--stubs").stdout


def test_export_writes_a_document_and_tells_what_it_leaves_out(orchestra: Any, bound: Path) -> None:
    """To standard output or to a file, whose folder the specifications are seen from; omissions on standard error."""
    change(bound / "order.orchestra.yaml", "orders.ship}", "orders.ship, mode: FIRE_AND_FORGET}")
    done = orchestra("export", "arazzo", "order.bpmn")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["arazzo"] == "1.1.0"
    assert sorted(workflow["workflowId"] for workflow in document["workflows"]) == ["large-no", "large-yes"]
    note = "step 'ship' is waited for: Arazzo cannot say otherwise"
    assert done.stderr == f"warning: order.orchestra.yaml:2:18: {note}\n"
    (bound / "out").mkdir()
    arguments = ("export", "arazzo", "order.bpmn", "--output", "out/order.arazzo.yaml", "--arazzo-version", "1.0.1")
    told = orchestra(*arguments)
    assert told.stdout == "2 workflows written to out/order.arazzo.yaml\n"
    written = parse_yaml((bound / "out" / "order.arazzo.yaml").read_text(), "out").value
    assert written["arazzo"] == "1.0.1"
    assert written["sourceDescriptions"] == [{"name": "orders", "url": "../orders.json", "type": "openapi"}]
    facts = json.loads(orchestra("export", "arazzo", "order.bpmn", "--format", "json").stdout)
    assert facts["document"] == document
    assert [problem["message"] for problem in facts["problems"]] == [note]


def test_export_of_what_calls_nothing_is_wrong_input(orchestra: Any, project: Path) -> None:
    """A document needs something to call."""
    done = orchestra("export", "arazzo", "order.bpmn")
    assert (done.returncode, done.stderr) == (
        2,
        (
            "error: order.bpmn: no scenario calls an operation over HTTP that a specification has\n"
            "hint: bind tasks to operations in the sidecar, and name the specifications in 'specs'\n"
        ),
    )


def test_file_without_a_process_is_neither_saved_nor_exported(orchestra: Any, project: Path) -> None:
    """There is nothing to keep: exit code 2 and the reason."""
    (project / "empty.bpmn").write_text(
        "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL' targetNamespace='t'/>"
    )
    for arguments in (("plan", "empty.bpmn", "--save"), ("export", "arazzo", "empty.bpmn")):
        done = orchestra(*arguments)
        assert done.returncode == 2
        assert "empty.bpmn:1:1: " in done.stderr
        assert "no process" in done.stderr
    assert not (project / "empty.plan.json").exists()
