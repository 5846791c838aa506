"""What scenarios a sequence diagram has."""

from __future__ import annotations

from typing import Any

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Process
from pytest_orchestra.model.scenario import TestScenario


def scenarios(process: Process) -> dict[str, list[str]]:
    """Give for every scenario the names of the tasks on its way."""
    return {scenario.key: tasks(process, scenario) for scenario in build_suite(process, None, []).scenarios}


def tasks(process: Process, scenario: TestScenario) -> list[str]:
    nodes = (process.node[id_] for id_ in scenario.nodes)
    return [node.name for node in nodes if node.kind.is_activity]


def test_straight_diagram_has_one_scenario(diagrams: Any) -> None:
    """Without a fragment there is one way."""
    process = diagrams.mermaid("A->>B: one\nB-->>A: ok\nA-)C: two")
    assert scenarios(process) == {"main": ["one", "two"]}


def test_every_case_is_in_a_scenario(diagrams: Any) -> None:
    """Scenarios are called by the cases of the diagram."""
    process = diagrams.mermaid(
        "A->>B: order\nalt in stock\nB->>C: reserve\nelse sold out\nB->>C: reorder\nelse\nB->>A: refuse\nend\n"
        "A->>B: close"
    )
    assert scenarios(process) == {
        "in-stock": ["order", "reserve", "close"],
        "sold-out": ["order", "reorder", "close"],
        "in-stock-else": ["order", "refuse", "close"],
    }


def test_option_is_taken_and_passed_over(diagrams: Any) -> None:
    """The way around is called after the question."""
    assert scenarios(diagrams.mermaid("opt gift\nA->>B: wrap\nend\nA->>B: ship")) == {
        "gift": ["wrap", "ship"],
        "gift-else": ["ship"],
    }


def test_loop_is_run_once_and_again(diagrams: Any) -> None:
    """One scenario covers the way back and the way out."""
    assert scenarios(diagrams.mermaid("loop retry\nA->>B: ask\nend\nA->>B: use")) == {"main": ["ask", "ask", "use"]}


def test_break_ends_a_scenario_early(diagrams: Any) -> None:
    """Nothing behind a break is done."""
    assert scenarios(diagrams.mermaid("A->>B: ask\nbreak refused\nA->>C: log\nend\nA->>B: use")) == {
        "refused": ["ask", "log"],
        "refused-else": ["ask", "use"],
    }


def test_break_beside_a_concurrent_branch_ends_the_scenario(diagrams: Any) -> None:
    """The join is not waited for, and neither is what lies behind it reached."""
    process = diagrams.plantuml("par\nbreak lost\nA -> B: log\nend\nA -> B: x\nelse\nA -> C: y\nend\nA -> B: z")
    assert scenarios(process) == {"lost": ["log", "y"], "lost-else": ["x", "y", "z"]}


def test_concurrent_branches_are_in_one_scenario(diagrams: Any) -> None:
    """Both branches run, in the order of the diagram."""
    process = diagrams.plantuml("A -> B: one\npar\nA -> B: x\nelse\nA -> C: y\nend\nA -> B: last")
    assert scenarios(process) == {"main": ["one", "x", "y", "last"]}


def test_tasks_wait_to_be_bound(diagrams: Any) -> None:
    """The plan says what has no steps yet, as for any process."""
    suite = build_suite(diagrams.mermaid("A->>B: one\nA-)B: two"), Bindings(), [])
    assert [str(problem) for problem in suite.scenarios[0].problems] == [
        f"flow.mmd:{line}:1: task '{name}' is bound to no step\n"
        f"hint: bind steps to '{name}', or an empty list if nothing is to be done there"
        for line, name in ((2, "one"), (3, "two"))
    ]
