"""Definitions of a file whose model names operations itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_orchestra.session.definitions import DefinitionLoader, Definitions
from pytest_orchestra.session.protocols import collect_protocols, command_hooks

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="urn:test">
<process id="order"><startEvent id="s"/><task id="ship" name="Ship order"/><endEvent id="e"/>
<sequenceFlow id="1" sourceRef="s" targetRef="ship"/><sequenceFlow id="2" sourceRef="ship" targetRef="e"/>
</process></definitions>"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model whose one task is called like the operation of a service."""
    (tmp_path / "order.bpmn").write_text(MODEL)
    parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    operation = {"operationId": "shipOrder", "parameters": [parameter], "responses": {"200": {"description": "ok"}}}
    document = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/o/{id}": {"post": operation}}}
    (tmp_path / "shop.json").write_text(json.dumps(document))
    return tmp_path


def load(project: Path, sidecar: str) -> Definitions:
    (project / "order.orchestra.yaml").write_text(sidecar)
    hooks = command_hooks()
    return DefinitionLoader(collect_protocols(hooks, None), hooks).load(project / "order.bpmn")


def test_definitions_bind_what_the_model_names(project: Path) -> None:
    """A sidecar with nothing but specifications is enough; where the step comes from is said."""
    definitions = load(project, "specs: {shop: shop.json}\n")
    [scenario] = definitions.suites[0].scenarios
    [step] = scenario.steps
    assert (step.alias, str(step.definition.endpoint_ref)) == ("ship_order", "shop.shipOrder")
    assert step.definition.input_template == {"path": {"id": "{{data.id}}"}}
    assert definitions.inferred["order"].how == {"ship": "operationId"}
    assert scenario.problems == ()
    assert definitions.errors == ()


def test_definitions_infer_nothing_where_that_is_switched_off(project: Path) -> None:
    """``inferBindings: false`` leaves tasks unbound."""
    definitions = load(project, "specs: {shop: shop.json}\ninferBindings: false\n")
    assert definitions.suites[0].scenarios[0].steps == ()
    assert definitions.inferred["order"].how == {}


def test_definitions_prefer_the_sidecar(project: Path) -> None:
    """What is bound there stays as it is, also to nothing."""
    definitions = load(project, "specs: {shop: shop.json}\nbindings: {Ship order: []}\n")
    assert definitions.suites[0].scenarios[0].steps == ()


def test_definitions_tell_what_data_lacks_for_inferred_steps(project: Path) -> None:
    """What an inferred step reads is checked like any other, with the place of the element."""
    (project / "data").mkdir()
    (project / "data" / "small.yaml").write_text("- {name: small, data: {ident: A1}}\n")
    definitions = load(project, "specs: {shop: shop.json}\n")
    [problem] = definitions.suites[0].scenarios[0].problems
    assert problem.message == "'data.id' is read, but data set 'small' has no 'id'"
    assert (problem.severity, problem.place.file, problem.place.line) == ("warning", str(project / "order.bpmn"), 2)
