"""Models and specifications for tests of binding: BPMN with vendors' extensions, OpenAPI in a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_orchestra.generation.binding import InferredBindings, infer_bindings
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.readers.openapi import read_openapi
from pytest_orchestra.readers.process_file import read_process

__all__ = ["document_of", "infer", "messages_of", "spec_of", "step_of"]

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
  xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:flowable="http://flowable.org/bpmn"
  xmlns:activiti="http://activiti.org/bpmn" xmlns:drools="http://www.jboss.org/drools"
  xmlns:ep="http://some-company/schema/bpmn/ep" xmlns:openapi="https://openapis.org/omg/extension/1.0"
  xmlns:dmn="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" targetNamespace="urn:test">
"""


def document_of(folder: Path, elements: str, roots: str = "", name: str = "Order") -> ProcessDocument:
    """Read a model that holds these elements in one process, and these beside it."""
    path = folder / "model.bpmn"
    path.write_text(f'{_HEAD}{roots}<process id="order" name="{name}">{elements}</process></definitions>')
    document = read_process(path)
    assert [str(problem) for problem in document.problems if problem.severity == "error"] == []
    return document


def spec_of(folder: Path, service: str, paths: dict[str, Any], **more: Any) -> ProtocolSpec:
    """Read a specification with these paths; an operation that is a text has that operationId and nothing else."""
    operations = {
        path: {
            method: {"operationId": each, "responses": {"200": {"description": "ok"}}}
            if isinstance(each, str)
            else each
            for method, each in item.items()
        }
        for path, item in paths.items()
    }
    file = folder / f"{service}.openapi.json"
    info = {"title": service, "version": "1"}
    file.write_text(json.dumps({"openapi": "3.1.0", "info": info, "paths": operations, **more}))
    return read_openapi(file, service)


def infer(document: ProcessDocument, *specs: ProtocolSpec, bindings: Bindings | None = None) -> InferredBindings:
    """Infer the bindings of a document's first process."""
    process: Process = document.processes[0]
    return infer_bindings(process, document, {spec.service_name: spec for spec in specs}, bindings)


def step_of(inferred: InferredBindings, element: str) -> tuple[str, dict[str, Any]]:
    """Give the endpoint and the input of the one step of an element."""
    (step,) = inferred.steps[element]
    return str(step.endpoint_ref), dict(step.input_template)


def messages_of(inferred: InferredBindings) -> list[str]:
    """Give the messages of the problems."""
    return [problem.message for problem in inferred.problems]
