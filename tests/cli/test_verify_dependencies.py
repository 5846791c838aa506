"""What ``orchestra verify`` says of scenarios that depend on each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BOUND = """
bindings:
  Ship: {dataSource: shop, sql: select 1, until: value == 1}
  Approve: []
scenarios:
"""
DATA = "dataSets: [{name: one, data: {amount: 5}}, {name: two, data: {amount: 5}}]\n"


def write(project: Path, scenarios: str, folder: str = ".") -> None:
    """Write the project's sidecar with these scenarios, and data that fits each."""
    place = project / folder
    (place / "data").mkdir(parents=True, exist_ok=True)
    (place / "data" / "rows.yaml").write_text(DATA)
    (place / "order.bpmn").write_text((project / "order.bpmn").read_text())
    (place / "order.orchestra.yaml").write_text(BOUND + scenarios)
    (project / "environments.yaml").write_text("local: {dbProfiles: {shop: 'postgresql://x/shop'}}\n")


def test_verify_tells_dependencies_on_what_there_is_not(orchestra: Any, project: Path) -> None:
    """Unknown scenarios, data sets and files, also of other files, which are read although they were not named."""
    write(project, "  - {key: base, decisions: {Large?: 'no'}}\n", "other")
    write(
        project,
        "  - {key: first, decisions: {Large?: 'no'}, dataSets: [one]}\n"
        "  - {key: a, decisions: {Large?: 'no'}, dependsOn: [frist]}\n"
        "  - {key: b, decisions: {Large?: 'no'}, dependsOn: ['first[two]']}\n"
        "  - {key: c, decisions: {Large?: 'no'}, dependsOn: ['gone.bpmn::base']}\n"
        "  - {key: d, decisions: {Large?: 'no'}, dependsOn: ['other/order.bpmn::bas']}\n"
        "  - {key: e, decisions: {Large?: 'no'}, dependsOn: ['other/order.bpmn::base[two]', 'first[one]', b]}\n",
    )
    done = orchestra("verify", "order.bpmn")
    assert done.returncode == 1
    assert done.stdout.split("\n")[:8] == [
        "error: order.orchestra.yaml:7:5: scenario 'a' depends on unknown scenario 'frist'",
        "hint: did you mean 'first'?",
        "error: order.orchestra.yaml:8:5: scenario 'b' depends on 'first[two]', but 'first' has no data set 'two'",
        "hint: its data sets are 'one'",
        "error: order.orchestra.yaml:9:5: scenario 'c' depends on 'gone.bpmn::base', and there is no such file",
        "hint: write 'file.bpmn::key', with the path from here",
        "error: order.orchestra.yaml:10:5: scenario 'd' depends on unknown scenario 'other/order.bpmn::bas'",
        "hint: did you mean 'base'?",
    ]


def test_verify_tells_circles_of_runs(orchestra: Any, project: Path) -> None:
    """A circle goes through data sets: where scenarios wait for each other's other runs there is none."""
    fine = (
        "  - {key: a, decisions: {Large?: 'no'}, dataSets: [one], dependsOn: ['b[two]']}\n"
        "  - {key: b, decisions: {Large?: 'no'}, dataSets: [two]}\n"
    )
    write(project, fine)
    assert orchestra("verify", "order.bpmn").returncode == 0
    write(project, fine.replace("dataSets: [two]", "dataSets: [two], dependsOn: [a]"))
    done = orchestra("verify", "order.bpmn")
    assert done.returncode == 1
    assert (
        "error: order.orchestra.yaml:6:5: scenarios depend on each other in a circle: "
        "'a[one]' -> 'b[two]' -> 'a[one]'\nhint: remove one 'dependsOn' of the circle\n"
    ) in done.stdout
