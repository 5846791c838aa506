"""Sequence diagrams in a session: collected, bound by a sidecar, and run against a real service."""

from __future__ import annotations

from typing import Any

import pytest
from orders_service import SIDECAR

MERMAID = """sequenceDiagram
    participant Shop
    participant Orders as Order service
    Shop->>+Orders: Place order
    Orders-->>-Shop: 202 Accepted
    alt large order
        Orders->>Orders: Order paid
    else small order
    end
"""
PLANTUML = """@startuml
participant Shop
participant "Order service" as Orders
Shop -> Orders ++ : Place order
return 202 Accepted
alt large order
  Orders -> Orders : Order paid
else small order
end
@enduml
"""
DECISIONS = "decisions: {large order?: {large order: data.amount > 100, small order: data.amount <= 100}}\n"
ROWS = {"small": {"amount": 10}, "large": {"amount": 200}}


@pytest.mark.parametrize(("name", "text"), [("flow.mmd", MERMAID), ("flow.puml", PLANTUML)])
def test_diagram_with_a_sidecar_runs_against_the_service(project: Any, name: str, text: str) -> None:
    """Both languages give the same scenarios, and each runs with the data that fits it."""
    project.orders(ROWS)
    (project.path / "order.bpmn").unlink()
    (project.path / "order.orchestra.yaml").unlink()
    (project.path / name).write_text(text)
    (project.path / "flow.orchestra.yaml").write_text(SIDECAR + DECISIONS)
    result = project.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(
        [f"{name}::large-order[[]large] PASSED*", f"{name}::small-order[[]small] PASSED*"]
    )


def test_failure_in_a_diagram_is_told_like_any_other(project: Any) -> None:
    """The violation names the step and the element of the diagram."""
    project.orders({"odd": {"amount": 13}})
    (project.path / "order.bpmn").unlink()
    (project.path / "order.mmd").write_text("sequenceDiagram\nA->>B: Place order\nA->>B: Order paid\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*BUSINESS_RULE_VIOLATION*response.body.total == data.amount*"])
    assert "Traceback" not in result.stdout.str()


def test_broken_diagram_is_one_red_item_and_other_diagrams_are_left_alone(project: Any) -> None:
    """A mistake is told with its place and a hint; class diagrams and flow charts are none of our business."""
    project.orders()
    (project.path / "broken.mmd").write_text("sequenceDiagram\nalt x\nA->>B: y\n")
    (project.path / "classes.puml").write_text("@startuml\nclass A\n@enduml\n")
    (project.path / "chart.mmd").write_text("flowchart LR\nA-->B\n")
    result = project.run()
    result.stdout.fnmatch_lines(["broken.mmd:2:1: 'alt' is not closed", "hint: close it with 'end'"])
    result.stdout.fnmatch_lines(["ERROR broken.mmd::definition - broken.mmd:2:1: 'alt' is not closed*"])
    assert result.parseoutcomes()["passed"] == 1
    assert "classes" not in result.stdout.str()
    assert "chart.mmd" not in result.stdout.str()


def test_diagrams_go_to_the_lane_of_scenarios_under_xdist(project: Any) -> None:
    """One worker gets all scenarios, whatever language their process is written in."""
    project.orders(ROWS)
    (project.path / "order.bpmn").unlink()
    (project.path / "order.mmd").write_text("sequenceDiagram\nA->>B: Place order\nA->>B: Order paid\n")
    result = project.run("-n", "2", "-v")
    result.assert_outcomes(passed=2)
    workers = {line.split("]")[0] for line in result.outlines if "PASSED" in line and line.startswith("[gw")}
    assert len(workers) == 1
