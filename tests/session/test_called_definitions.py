"""Definitions of a file whose call activities lead into other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_orchestra.session.definitions import DefinitionLoader, Definitions
from pytest_orchestra.session.protocols import collect_protocols, command_hooks

HEAD = '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="urn:test">'
ORDER = f"""{HEAD}
<process id="order"><startEvent id="s"/><callActivity id="pay" name="Pay" calledElement="payment"/><endEvent id="e"/>
<sequenceFlow id="1" sourceRef="s" targetRef="pay"/><sequenceFlow id="2" sourceRef="pay" targetRef="e"/>
</process></definitions>"""
PAYMENT = f"""{HEAD}
<process id="payment"><startEvent id="s"/><task id="card" name="Charge card"/>
<sequenceFlow id="1" sourceRef="s" targetRef="card"/>
</process></definitions>"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A caller, and the process that it calls in a folder beside."""
    (tmp_path / "order.bpmn").write_text(ORDER)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "payment.bpmn").write_text(PAYMENT)
    return tmp_path


def load(project: Path, sidecar: str) -> Definitions:
    (project / "order.orchestra.yaml").write_text(sidecar)
    hooks = command_hooks()
    return DefinitionLoader(collect_protocols(hooks, None), hooks).load(project / "order.bpmn")


def test_called_process_is_read_from_the_files_that_the_sidecar_names(project: Path) -> None:
    """Its elements are on the path, bound by their own ids, and there for whoever shows the plan."""
    definitions = load(project, "processes: [shared/*.bpmn]\ncalls: {Pay: inline}\nbindings: {card: []}\n")
    assert definitions.errors == ()
    [scenario] = definitions.suites[0].scenarios
    assert scenario.nodes == ("s", "pay", "pay/s", "pay/card", "e")
    assert scenario.problems == ()
    assert definitions.processes[0].node["pay/card"].name == "Charge card"


def test_calls_stay_opaque_where_nobody_wishes_otherwise(project: Path) -> None:
    """To name the files is not to take them in."""
    definitions = load(project, "processes: [shared/*.bpmn]\n")
    assert definitions.suites[0].scenarios[0].nodes == ("s", "pay", "e")


@pytest.mark.parametrize("pattern", ["nowhere/*.bpmn", "/absolute/*.bpmn", "''"])
def test_pattern_that_finds_nothing_is_an_error(project: Path, pattern: str) -> None:
    """It is told once, at its place in the sidecar, beside the call that finds nothing."""
    definitions = load(project, f"bindings: {{pay: []}}\nprocesses: [{pattern}]\ncalls: {{pay: inline}}\n")
    text = pattern.strip("'")
    assert [(problem.message, problem.place.line) for problem in definitions.errors] == [
        (f"no process file is called '{text}'", 2),
        ("call activity 'Pay' cannot be inlined: no process 'payment' is known", 3),
    ]
    assert definitions.suites[0].scenarios[0].nodes == ("s", "pay", "e")


def test_calls_of_one_process_of_a_file_say_nothing_of_another(project: Path) -> None:
    """A key that names a call of one process is no mistake in the others of the file."""
    flow = '<sequenceFlow id="q" sourceRef="o" targetRef="p"/>'
    other = f'<process id="other"><startEvent id="o"/><endEvent id="p"/>{flow}</process></definitions>'
    (project / "order.bpmn").write_text(ORDER.replace("</definitions>", other))
    definitions = load(project, "processes: [shared/payment.bpmn]\ncalls: {pay: inline}\nbindings: {card: []}\n")
    assert definitions.errors == ()
    assert [suite.scenarios[0].nodes[0] for suite in definitions.suites] == ["s", "o"]


def test_file_that_cannot_be_read_is_told(project: Path) -> None:
    """What is wrong with a called process's file is an error of its callers too."""
    (project / "shared" / "payment.bpmn").write_text("<definitions")
    definitions = load(project, "processes: [shared/payment.bpmn]\ncalls: {pay: inline}\nbindings: {pay: []}\n")
    assert len(definitions.errors) == 2
    assert str(project / "shared" / "payment.bpmn") in definitions.errors[0].place.file
