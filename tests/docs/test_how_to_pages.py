"""How-to pages that are whole projects, done by a reader who takes them literally."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doc_pages import DOCS, blocks

from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.problem import Severity
from pytest_orchestra.readers.process_file import read_process
from pytest_orchestra.readers.sidecar import read_sidecar
from pytest_orchestra.readers.yaml_source import parse_yaml


def test_plugin_page_followed_to_the_letter_shows_what_it_says(reader: Any) -> None:
    """The protocol, the listener and the test of the page are written as shown, and work."""
    assert reader.follow(DOCS / "how-to" / "write-a-plugin.md") == 3


def test_page_on_changes_followed_to_the_letter_shows_what_it_says(reader: Any) -> None:
    """The model and the specification are changed as shown, and each comparison prints what the page prints."""
    assert reader.follow(DOCS / "how-to" / "review-plan-changes.md") == 5


def test_page_on_arazzo_followed_to_the_letter_shows_what_it_says(reader: Any) -> None:
    """The export of the page's project is written, and says of its project what the page's table says."""
    assert reader.follow(DOCS / "how-to" / "export-to-arazzo.md") == 1
    document = parse_yaml((reader.folder / "ticket.arazzo.yaml").read_text(encoding="utf-8"), "ticket").value
    steps = {step["stepId"]: step for workflow in document["workflows"] for step in workflow["steps"]}
    assert steps["open"]["requestBody"]["payload"] == {"subject": "$inputs.subject"}
    assert steps["open"]["outputs"] == {"id": "$response.body#/id"}
    assert steps["answer"]["parameters"] == [{"name": "id", "in": "path", "value": "$steps.open.outputs.id"}]


def test_diagram_of_the_sequence_page_has_the_scenarios_that_it_names(tmp_path: Path) -> None:
    """The diagram, its sidecar and the prose of the page belong together: messages are bound, cases decided."""
    page = DOCS / "how-to" / "sequence-diagrams.md"
    texts = {block.file: block.text for block in blocks(page) if block.file is not None}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (process,) = read_process(tmp_path / "checkout.mmd").processes
    suite = build_suite(process, read_sidecar(tmp_path / "checkout.orchestra.yaml"), [])
    assert [scenario.key for scenario in suite.scenarios] == ["in-stock", "sold-out"]
    assert [problem.message for problem in (*suite.problems, *(p for s in suite.scenarios for p in s.problems))] == []
    assert [[step.name for step in scenario.steps] for scenario in suite.scenarios] == [
        ["Place order", "Reserve goods"],
        ["Place order", "Apologise"],
    ]


def test_model_page_followed_to_the_letter_shows_what_it_says(reader: Any) -> None:
    """The model and the specification of the page give the sidecar that it shows, which verifies before and after."""
    assert reader.follow(DOCS / "how-to" / "start-from-a-model.md") == 4


def test_process_of_the_page_on_outcomes_has_the_steps_that_it_tells(tmp_path: Path) -> None:
    """Each end of the two tasks has its own steps, and nothing is left to warn of."""
    texts = {block.file: block.text for block in blocks(DOCS / "how-to" / "outcomes.md") if block.file is not None}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (process,) = read_process(tmp_path / "pay.bpmn").processes
    suite = build_suite(process, read_sidecar(tmp_path / "pay.orchestra.yaml"), [])
    assert [str(problem) for problem in suite.problems if problem.severity is not Severity.INFO] == []
    assert {scenario.nodes[-1]: [step.alias for step in scenario.steps] for scenario in suite.scenarios} == {
        "NotPaid": ["charge"],
        "SentBack": ["charge", "charged", "overdue", "refund"],
        "Done": ["charge", "charged", "pick_up"],
    }
    declined = next(scenario for scenario in suite.scenarios if scenario.nodes[-1] == "NotPaid")
    assert declined.steps[0].definition.expected_status_code == 402
