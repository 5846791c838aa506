"""``orchestra init``: what it writes, where, what it tells, and that the result is sound."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestra.readers.sidecar import read_sidecar

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {
        "/approvals": {
            "post": {
                "operationId": "approve",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["amount"],
                                "properties": {"amount": {"type": "integer"}},
                            }
                        }
                    },
                },
                "responses": {"201": {"description": "ok"}},
            }
        },
        "/shipments": {"post": {"operationId": "sendShipment", "responses": {"202": {"description": "ok"}}}},
    },
}


@pytest.fixture
def shop(project: Path) -> Path:
    """The project with a specification beside its model."""
    (project / "specs").mkdir()
    (project / "specs" / "shop.json").write_text(json.dumps(SPEC))
    (project / "specs" / "notes.json").write_text('{"no": "specification"}')
    return project


def test_init_writes_a_sidecar_that_verifies(orchestra: Any, shop: Path) -> None:
    """What is written is told; nothing in it is an error, and each branch has data that fits."""
    done = orchestra("init", "order.bpmn")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "wrote order.orchestra.yaml\n"
        "wrote data/order.yaml\n"
        "\n"
        "  shop       specs/shop.json\n"
        "  bound      1 (1 by operationId)\n"
        "  suggested  0, as comments\n"
        "  nothing    1\n"
        "\n"
        "next: edit order.orchestra.yaml, then 'orchestra verify order.bpmn'\n"
    )
    bindings = read_sidecar(shop / "order.orchestra.yaml")
    assert bindings.specs == {"shop": "specs/shop.json"}
    assert [str(step.endpoint_ref) for step in bindings.bindings["Approve"]] == ["shop.approve"]
    assert bindings.bindings["Ship"] == []
    verified = orchestra("verify")
    assert (verified.returncode, verified.stdout) == (
        0,
        (
            "warning: order.bpmn: scenario 'large-no' has no step: 'pytest --orchestra' skips it\n"
            "hint: bind one of the elements on its path to a step\n"
            "1 process file, 2 scenarios, 0 errors, 1 warning\n"
        ),
    )


def test_init_gives_data_to_every_scenario(orchestra: Any, shop: Path) -> None:
    """The condition of the model decides which data set fits; the example alone would leave a path without."""
    orchestra("init", "order.bpmn")
    plan = json.loads(orchestra("plan", "order.bpmn", "--format", "json").stdout)
    assert {scenario["key"]: bool(scenario["data"]) for scenario in plan["scenarios"]} == {
        "large-yes": True,
        "large-no": True,
    }


def test_init_never_writes_over_a_sidecar_unless_told_to(orchestra: Any, shop: Path) -> None:
    """What people wrote is theirs; data files stay even then."""
    (shop / "order.orchestra.yaml").write_text("tags: [mine]\n")
    done = orchestra("init", "order.bpmn")
    assert (done.returncode, done.stderr) == (
        2,
        "error: 'order.orchestra.yaml' is there already\nhint: --force writes over it, --output writes elsewhere\n",
    )
    assert (shop / "order.orchestra.yaml").read_text() == "tags: [mine]\n"
    (shop / "data").mkdir()
    (shop / "data" / "order.yaml").write_text("[]\n")
    forced = orchestra("init", "order.bpmn", "--force")
    assert forced.returncode == 0
    assert forced.stdout.startswith("wrote order.orchestra.yaml\n\n")
    assert read_sidecar(shop / "order.orchestra.yaml").tags == []
    assert (shop / "data" / "order.yaml").read_text() == "[]\n"


def test_init_to_standard_output_writes_no_file(orchestra: Any, shop: Path) -> None:
    """The data file follows as a comment."""
    done = orchestra("init", "order.bpmn", "--output", "-")
    assert done.returncode == 0
    assert not (shop / "order.orchestra.yaml").exists()
    assert not (shop / "data").exists()
    assert "endpointRef: shop.approve" in done.stdout
    assert "# data/order.yaml:\n# # Data for the scenarios of order.bpmn." in done.stdout


def test_init_elsewhere_refers_to_specifications_from_there(orchestra: Any, shop: Path) -> None:
    """Paths of specifications are relative to the sidecar."""
    done = orchestra("init", "order.bpmn", "--output", "tests/order.orchestra.yaml")
    assert done.returncode == 0, done.stderr
    assert read_sidecar(shop / "tests" / "order.orchestra.yaml").specs == {"shop": "../specs/shop.json"}
    assert (shop / "tests" / "data" / "order.yaml").is_file()


def test_init_takes_the_specifications_that_are_given(orchestra: Any, project: Path) -> None:
    """Their names are the services'."""
    (project / "api.json").write_text(json.dumps(SPEC))
    assert orchestra("init", "order.bpmn", "--spec", "backend=api.json").returncode == 0
    bindings = read_sidecar(project / "order.orchestra.yaml")
    assert bindings.specs == {"backend": "api.json"}
    assert str(bindings.bindings["Approve"][0].endpoint_ref) == "backend.approve"


def test_init_without_specifications_lists_what_is_to_be_bound(orchestra: Any, project: Path) -> None:
    """Empty lists say what is not tested yet, and there is no data to read."""
    done = orchestra("init", "order.bpmn")
    assert done.returncode == 0
    assert "  no specification found; --spec NAME=PATH gives one\n" in done.stdout
    assert (project / "order.orchestra.yaml").read_text() == (
        "# What the elements of order.bpmn stand for in tests. Written by 'orchestra init'; now it is yours.\n"
        "\n"
        "# specs:  # service to the path of its OpenAPI document\n"
        "#   orders: specs/orders.openapi.yaml\n"
        "\n"
        "coverage: [edge]\n"
        "\n"
        "bindings:\n"
        "  # no operation found\n"
        "  Approve: []\n"
        "  # no operation found\n"
        "  Ship: []\n"
    )
    assert not (project / "data").exists()
    assert orchestra("verify").returncode == 0


def test_init_as_json_tells_rules_and_suggestions(orchestra: Any, shop: Path) -> None:
    """Programs get what people see, element by element."""
    (shop / "order.bpmn").write_text((shop / "order.bpmn").read_text().replace('name="Ship"', 'name="Make shipment"'))
    facts = json.loads(orchestra("init", "order.bpmn", "--format", "json").stdout)
    assert facts["written"] == ["order.orchestra.yaml", "data/order.yaml"]
    assert facts["specs"] == {"shop": "specs/shop.json"}
    assert facts["elements"] == [
        {
            "process": "order",
            "element": "approve",
            "name": "Approve",
            "endpoint": "shop.approve",
            "rule": "operationId",
            "suggestions": [],
        },
        {
            "process": "order",
            "element": "ship",
            "name": "Make shipment",
            "endpoint": None,
            "rule": None,
            "suggestions": [{"endpoint": "shop.sendShipment", "score": 0.62}],
        },
    ]
    assert facts["problems"] == []


def test_init_twice_gives_the_same_bytes(orchestra: Any, shop: Path) -> None:
    """The same files give the same sidecar."""
    assert (
        orchestra("init", "order.bpmn", "--output", "-").stdout
        == orchestra("init", "order.bpmn", "--output", "-").stdout
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.bpmn"], "error: no file 'nowhere.bpmn'\nhint: give the path of a process model\n"),
        (
            ["order.bpmn", "--spec", "shop"],
            "error: --spec: 'shop' is not NAME=PATH\nhint: for example orders=specs/orders.yaml\n",
        ),
        (
            ["order.bpmn", "--spec", "shop=none.json"],
            "error: --spec: no file 'none.json'\nhint: give the path of an OpenAPI document\n",
        ),
        (
            ["order.bpmn", "--spec", "a.b=pytest.ini"],
            "error: --spec: 'a.b' has a dot in it\nhint: give each service a name of its own, without dots\n",
        ),
        (["order.bpmn", "--output", "."], "error: --output: '.' is a folder\nhint: give the path of a file, or '-'\n"),
    ],
)
def test_init_with_wrong_arguments_is_told_with_exit_code_2(
    orchestra: Any, project: Path, arguments: list[str], message: str
) -> None:
    """A mistake of the caller is one error with a hint, and nothing is written."""
    done = orchestra("init", *arguments)
    assert (done.returncode, done.stderr) == (2, message)
    assert not list(project.glob("*.orchestra.*"))


def test_init_of_a_broken_model_is_wrong_input(orchestra: Any, project: Path) -> None:
    """What cannot be read gives place and hint, and no traceback."""
    (project / "bad.bpmn").write_text("<definitions><process></definitions>")
    done = orchestra("init", "bad.bpmn")
    assert done.returncode == 2
    assert "bad.bpmn:1:" in done.stderr
    assert "Traceback" not in done.stderr


def test_init_of_the_example_finds_what_its_own_sidecar_says(orchestra: Any, project: Path) -> None:
    """Against the sidecar that people wrote: the same services, and the start's and the picking's operations."""
    shutil.copy(EXAMPLE / "order.bpmn", project / "shop.bpmn")
    shutil.copytree(EXAMPLE / "specs", project / "specs")
    facts = json.loads(orchestra("init", "shop.bpmn", "--format", "json").stdout)
    written = read_sidecar(EXAMPLE / "order.orchestra.yaml")
    assert facts["specs"] == {name: path for name, path in written.specs.items() if path.endswith(".json")}  # of HTTP
    found = {each["name"]: each for each in facts["elements"]}
    assert found["Pick goods"]["endpoint"] == str(written.bindings["Pick goods"][0].endpoint_ref)
    for element, position in (("Order placed", 0), ("Approve order", 1)):
        assert found[element]["suggestions"][0]["endpoint"] == str(written.bindings[element][position].endpoint_ref)
    verified = orchestra("verify", "shop.bpmn")
    assert (verified.returncode, verified.stdout.splitlines()[-1]) == (
        0,
        "1 process file, 4 scenarios, 0 errors, 1 warning",  # one without a step yet
    )


def test_init_says_that_a_specification_has_no_operations(orchestra: Any, shop: Path) -> None:
    """Nothing can be bound to it, so it is told at once, at the terminal and as JSON."""
    (shop / "specs" / "empty.yaml").write_text("openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths: {}\n")
    done = orchestra("init", "order.bpmn")
    assert done.returncode == 0
    message = "specification 'empty' has no operations, so nothing can be bound to it"
    assert (
        f"\nwarning: specs/empty.yaml: {message}\n"
        "hint: describe the service's operations under 'paths', or give its other document with --spec\n"
    ) in done.stdout
    facts = json.loads(orchestra("init", "order.bpmn", "--output", "-", "--format", "json").stdout)
    assert message in [problem["message"] for problem in facts["problems"]]
