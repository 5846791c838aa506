"""``orchestra plan``, ``verify`` and ``schema``: facts as text and as JSON, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

BOUND = """
bindings:
  Ship: {dataSource: shop, sql: select 1, until: value == 1}
  Approve: []
"""


def test_plan_as_json_holds_what_the_contract_says(orchestra: Any) -> None:
    """One object: process, criteria, scenarios with paths in execution order, coverage, problems."""
    done = orchestra("plan", "order.bpmn", "--format", "json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["process"].keys() >= {"id", "name", "hash"}
    assert plan["process"]["id"] == "order"
    assert plan["criteria"] == ["edge"]
    paths = {tuple(scenario["nodes"]): scenario for scenario in plan["scenarios"]}
    assert paths.keys() == {("start", "large", "approve", "ship", "end"), ("start", "large", "ship", "end")}
    long = paths["start", "large", "approve", "ship", "end"]
    assert long["flows"] == ["begin", "large_flow", "approved", "done"]
    assert long["decisions"] == {"large": ["large_flow"]}
    assert long["conditions"] == ["${amount > 1000}"]
    assert long.keys() >= {"key", "nodes", "flows", "decisions", "conditions", "data", "serves"}
    assert plan["coverage"] == {"edge": {"covered": 5, "total": 5, "missing": []}}
    assert isinstance(plan["problems"], list)


def test_plan_of_several_criteria_counts_each(orchestra: Any) -> None:
    """--coverage takes criteria with commas."""
    plan = json.loads(orchestra("plan", "order.bpmn", "--coverage", "node,edge,decision", "--format", "json").stdout)
    assert plan["criteria"] == ["node", "edge", "decision"]
    assert {name: (each["covered"], each["total"]) for name, each in plan["coverage"].items()} == {
        "node": (5, 5),
        "edge": (5, 5),
        "decision": (2, 2),
    }


def test_plan_twice_gives_the_same_bytes(orchestra: Any) -> None:
    """The same file gives the same plan, to the byte."""
    assert (
        orchestra("plan", "order.bpmn", "--format=json").stdout
        == orchestra("plan", "order.bpmn", "--format=json").stdout
    )


def test_plan_as_text_names_scenarios_and_coverage(orchestra: Any) -> None:
    """A person reads the keys, the decisions, and how much is covered."""
    done = orchestra("plan", "order.bpmn")
    assert done.returncode == 0
    assert "Large?" in done.stdout
    assert "5 of 5" in done.stdout


def test_plan_of_several_processes_is_a_list(orchestra: Any, project: Path) -> None:
    """A file with two processes gives both under 'processes'."""
    text = (project / "order.bpmn").read_text()
    second = text[text.index("<process") : text.index("</definitions>")].replace('id="', 'id="b_')
    for name in ("sourceRef", "targetRef", "default"):
        second = second.replace(f'{name}="', f'{name}="b_')
    (project / "two.bpmn").write_text(text.replace("</definitions>", f"{second}</definitions>"))
    plan = json.loads(orchestra("plan", "two.bpmn", "--format", "json").stdout)
    assert [each["process"]["id"] for each in plan["processes"]] == ["order", "b_order"]


def test_plan_of_a_broken_file_is_wrong_input_with_its_problems(orchestra: Any, project: Path) -> None:
    """What cannot be read gives exit code 2, place and hint, and no traceback."""
    (project / "bad.bpmn").write_text("<definitions><process></definitions>")
    done = orchestra("plan", "bad.bpmn")
    assert done.returncode == 2
    assert "bad.bpmn:1:" in done.stdout + done.stderr
    assert "hint: " in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    as_json = orchestra("plan", "bad.bpmn", "--format", "json")
    assert as_json.returncode == 2
    [problem] = json.loads(as_json.stdout)["problems"]
    assert problem.keys() == {"severity", "code", "place", "message", "hint"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "nowhere.bpmn"], "error: no file 'nowhere.bpmn'\nhint: give the path of a process model\n"),
        (["plan", "."], "error: '.' is a folder\nhint: give the path of a process model\n"),
        (
            ["plan", "order.bpmn", "--coverage", "edges"],
            "error: --coverage: 'edges' is not known\nhint: choose of node, edge, decision, pairwise, loop, race\n",
        ),
        (
            ["verify", "nowhere"],
            "error: no file or folder 'nowhere'\nhint: give the path of a process model or a folder\n",
        ),
    ],
)
def test_wrong_arguments_are_told_with_exit_code_2(orchestra: Any, arguments: list[str], message: str) -> None:
    """A mistake of the caller is one error with a hint."""
    done = orchestra(*arguments)
    assert (done.returncode, done.stderr) == (2, message)


def test_unknown_command_is_wrong_usage(orchestra: Any) -> None:
    """Argparse's own exit code is the one for wrong usage."""
    assert orchestra("plam").returncode == 2


def test_verify_lists_what_is_not_bound(orchestra: Any, project: Path) -> None:
    """Unbound tasks and unknown operations are findings: exit code 1, each with its place."""
    (project / "order.orchestra.yaml").write_text(
        "specs: {orders: orders.json}\nbindings:\n  Ship: {endpointRef: orders.shp}\n"
    )
    (project / "orders.json").write_text(
        json.dumps(
            {
                "openapi": "3.1.0",
                "info": {"title": "t", "version": "1"},
                "paths": {"/ship": {"post": {"operationId": "ship", "responses": {"200": {"description": "ok"}}}}},
            }
        )
    )
    done = orchestra("verify")
    assert done.returncode == 1
    assert "task 'Approve' is bound to no step" in done.stdout
    assert "unknown operation 'shp' of service 'orders'\nhint: did you mean 'ship'?" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 process file, 2 scenarios, ")
    facts = json.loads(orchestra("verify", "--format", "json").stdout)
    assert facts["files"] == ["order.bpmn"]
    assert {problem["severity"] for problem in facts["problems"]} >= {"error"}


def test_verify_of_a_project_that_is_well_is_fine(orchestra: Any, project: Path) -> None:
    """Nothing to say is exit code 0."""
    (project / "order.orchestra.yaml").write_text(BOUND)
    (project / "environments.yaml").write_text("local: {dbProfiles: {shop: 'postgresql://x/shop'}}\n")
    done = orchestra("verify", ".")
    assert (done.returncode, done.stdout) == (0, "1 process file, 2 scenarios, 0 errors, 0 warnings\n")


def test_verify_warns_of_scenarios_without_steps(orchestra: Any, project: Path) -> None:
    """What would pass whatever the system does is told: at once for a whole file, else by the scenario's key."""
    fact = "order.bpmn: no scenario has a step: 'pytest --orchestra' skips them all"
    counts = "1 process file, 2 scenarios, 0 errors, 1 warning\n"
    done = orchestra("verify")
    hint = "hint: 'orchestra init order.bpmn' writes a first sidecar"
    assert (done.returncode, done.stdout) == (0, f"warning: {fact}\n{hint}\n{counts}")
    (project / "order.orchestra.yaml").write_text("bindings: {Ship: [], Approve: []}\n")
    done = orchestra("verify")
    assert done.stdout == f"warning: {fact}\nhint: bind elements to steps in order.orchestra.yaml\n{counts}"
    (project / "order.orchestra.yaml").write_text(
        BOUND.replace("Ship", "Swap").replace("Approve", "Ship").replace("Swap", "Approve")
    )
    done = orchestra("verify")
    assert done.stdout == (
        "warning: order.bpmn: scenario 'large-no' has no step: 'pytest --orchestra' skips it\n"
        f"hint: bind one of the elements on its path to a step\n{counts}"
    )


def test_verify_warns_of_data_that_no_scenario_uses(orchestra: Any, project: Path) -> None:
    """A data set that somebody wrote and that is never run is told with its place."""
    (project / "environments.yaml").write_text("local: {dbProfiles: {shop: 'postgresql://x/shop'}}\n")
    decisions = "decisions:\n  'Large?': {'yes': data.amount > 1000, 'no': data.amount < 500}\n"
    (project / "order.orchestra.yaml").write_text(f"{BOUND}{decisions}dataSets:\n  - middling.yaml\n")
    (project / "middling.yaml").write_text(
        "dataSets:\n  - {name: few, data: {amount: 5}}\n  - {name: many, data: {amount: 5000}}\n"
        "  - {name: middling, data: {amount: 700}}\n"
    )
    done = orchestra("verify")
    assert done.returncode == 0
    assert done.stdout == (
        "warning: middling.yaml:4:5: data set 'middling' fits no scenario\n"
        "hint: 'orchestra plan order.bpmn' shows the conditions of scenarios; change the data, or leave it out\n"
        "1 process file, 2 scenarios, 0 errors, 1 warning\n"
    )


@pytest.mark.parametrize(
    ("environments", "told", "code"),
    [
        (
            "local: {services: {orders: {url: 'http://x'}}}\n",
            (
                "error: environments.yaml:1:29: unknown field 'url'\nhint: did you mean 'baseUrl'?\n"
                "1 process file, 2 scenarios, 1 error, 0 warnings\n"
            ),
            1,
        ),
        (
            "local: {services: {orders: 8000}}\n",
            (
                "error: environments.yaml:1:28: 'orders' takes a text or a mapping, not the number 8000\n"
                'hint: put it in quotes: "8000"\n'
                "1 process file, 2 scenarios, 1 error, 0 warnings\n"
            ),
            1,
        ),
        (
            "local: {\n",
            (
                "error: environments.yaml:2:1: malformed YAML: did not find expected node content\n"
                "1 process file, 2 scenarios, 1 error, 0 warnings\n"
            ),
            1,
        ),
        (
            "local: {services: {orders: 'http://{{env.NOWHERE}}'}}\n",
            (
                "warning: order.bpmn: no environment of 'environments.yaml' has database 'shop'\n"
                "hint: add 'shop' to the 'dbProfiles' of 'local', or have a fixture give it\n"
                "1 process file, 2 scenarios, 0 errors, 1 warning\n"
            ),
            0,
        ),
        ("", "1 process file, 2 scenarios, 0 errors, 0 warnings\n", 0),
    ],
)
def test_verify_reads_the_environments(orchestra: Any, project: Path, environments: str, told: str, code: int) -> None:
    """A file of environments that cannot be used, or lacks whom steps speak to, is told before anything runs."""
    (project / "order.orchestra.yaml").write_text(BOUND)
    (project / "environments.yaml").write_text(environments)
    done = orchestra("verify")
    assert (done.stdout, done.returncode) == (told, code)


@pytest.mark.parametrize(
    ("written", "fact"),
    [
        (
            None,
            (
                "order.orchestra.yaml:1:9: the specification of service 'orders' is missing: no file 'orders.json'\n"
                "hint: put it at 'specs/orders.json', or mend 'specs'\n"
            ),
        ),
        (
            "{}",
            "specs/orders.json:1:1: is neither OpenAPI nor Swagger\nhint: begin the document with 'openapi: 3.1.0'\n",
        ),
    ],
)
def test_verify_tells_what_is_wrong_with_a_specification_by_its_path_from_here(
    orchestra: Any, project: Path, written: str | None, fact: str
) -> None:
    """A step whose specification cannot be used says so, and not that nobody gave one."""
    (project / "specs").mkdir()
    if written is not None:
        (project / "specs" / "orders.json").write_text(written)
    (project / "order.orchestra.yaml").write_text(
        "specs: {orders: specs/orders.json}\nbindings:\n  Ship: {endpointRef: orders.ship}\n  Approve: []\n"
    )
    done = orchestra("verify")
    assert (done.returncode, done.stdout) == (
        1,
        (
            f"error: {fact}"
            "error: order.orchestra.yaml:3:9: the specification of service 'orders' cannot be used\n"
            "hint: mend it first; its own problem says what is wrong\n"
            "1 process file, 2 scenarios, 2 errors, 0 warnings\n"
        ),
    )


@pytest.mark.parametrize("kind", ["sidecar", "data", "environments", "steps"])
def test_schema_is_a_json_schema(orchestra: Any, kind: str) -> None:
    """Editors get a schema that is one."""
    done = orchestra("schema", kind)
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
