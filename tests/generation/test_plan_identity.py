"""The same plan, byte for byte, however often it is made and however what has no order is written."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from random_processes import arbitrary_processes, block_processes, wild_processes
from replay import RANDOM_KINDS
from suites import EVERY, plan

from pytest_orchestra.generation.plans.plan import plan_json, plan_text
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Process
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.readers.bpmn import read_process_file

ANY = st.one_of(block_processes(), wild_processes(RANDOM_KINDS, cyclic=True), arbitrary_processes())
THOROUGH = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def written(process: Process, bindings: Bindings | None = None, data: tuple[TestDataSet, ...] = ()) -> str:
    suite = plan(process, bindings, data, criteria=EVERY)
    return json.dumps([plan_json(suite, "x"), plan_text(suite, process), repr(suite)])


@THOROUGH
@given(ANY)
def test_plan_made_twice_is_the_same(process: Process) -> None:
    """Nothing is kept from one call to the next, and what a process computes lazily changes nothing."""
    fresh = replace(process)
    first = written(process)
    assert written(process) == first
    assert written(fresh) == first


def apart_from_the_order_of_problems(suite: ScenarioSuite) -> str:
    """Give the plan as text. Problems come in the order of what they are about, as it is written."""
    found = plan_json(suite, "x")
    return json.dumps({**found, "problems": sorted(map(json.dumps, found["problems"]))})


def shuffled(value: Any, lots: random.Random) -> Any:
    """Give the value with the keys of all mappings in it in another order."""
    if isinstance(value, dict):
        keys = list(value)
        lots.shuffle(keys)
        return {key: shuffled(value[key], lots) for key in keys}
    return [shuffled(one, lots) for one in value] if isinstance(value, list) else value


@THOROUGH
@given(block_processes(max_blocks=8), st.integers(0, 2), st.randoms(use_true_random=False))
def test_order_of_keys_in_the_sidecar_says_nothing(process: Process, repetitions: int, lots: random.Random) -> None:
    """Bindings, decisions, loops and shared resources are mappings: their order is the writer's, not the plan's."""
    tasks = [node.id for node in process.nodes if node.kind == "task"]
    splits = [node for node in process.nodes if node.kind.is_gateway and len(process.outgoing[node.id]) > 1]
    text = {
        "maxLoopIterations": repetitions,
        "bindings": {task: [{"endpointRef": f"service.op{number % 3}"}] for number, task in enumerate(tasks)},
        "decisions": {
            node.id: {flow.id: f"data.a == {number}" for number, flow in enumerate(process.outgoing[node.id])}
            for node in splits[:3]
        },
        "loops": {node.id: repetitions for node in splits[-2:]},
        "sharedResources": {"stock": tasks[:2], "ledger": tasks[1:3]},
    }
    values = [{"a": number, "b": {"c": 1, "d": [number]}} for number in range(3)]
    data = tuple(TestDataSet(f"d{number}", value) for number, value in enumerate(values))
    other = tuple(TestDataSet(f"d{number}", shuffled(value, lots)) for number, value in enumerate(values))
    expected = plan(process, Bindings.model_validate(text), data, criteria=EVERY)
    found = plan(process, Bindings.model_validate(shuffled(text, lots)), other, criteria=EVERY)
    assert apart_from_the_order_of_problems(found) == apart_from_the_order_of_problems(expected)


@THOROUGH
@given(arbitrary_processes(), st.randoms(use_true_random=False))
def test_order_of_wrong_keys_in_the_sidecar_says_nothing(process: Process, lots: random.Random) -> None:
    """What names nothing, or only half of something, is no exception."""
    text = {
        "bindings": {name: [] for name in ("n0", "n1", "nowhere", "Same", "zz")},
        "decisions": {name: {"f0": "data.a > 1", "no": "data.b"} for name in ("n0", "n2", "nowhere", "zz")},
        "loops": {"n0": 2, "n1": 0, "nowhere": 1},
    }
    expected = plan(process, Bindings.model_validate(text), criteria=EVERY)
    found = plan(process, Bindings.model_validate(shuffled(text, lots)), criteria=EVERY)
    assert apart_from_the_order_of_problems(found) == apart_from_the_order_of_problems(expected)


def test_order_of_attributes_in_the_file_says_nothing(tmp_path: Path) -> None:
    """XML attributes have no order: the plan is the same, the place of every problem included."""
    corpus = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "bpmn"
    names = ["camunda+camunda-bpm-examples/loan-granting.bpmn", "berndruecker+flowing-retail/payment.bpmn"]
    files = [corpus / name for name in names if (corpus / name).is_file()]
    own = tmp_path / "own.bpmn"
    own.write_text(_OWN, encoding="utf-8")
    for path in (own, *files):
        tree = etree.parse(str(path))
        for element in tree.iter(etree.Element):
            attributes = sorted(element.attrib.items(), reverse=True)
            element.attrib.clear()
            element.attrib.update(attributes)
        turned = tmp_path / "turned.bpmn"
        tree.write(str(turned), xml_declaration=True, encoding="UTF-8")
        plain = tmp_path / "plain.bpmn"
        etree.parse(str(path)).write(str(plain), xml_declaration=True, encoding="UTF-8")
        plans = []
        for file in (plain, turned):
            document = read_process_file(file)
            suites = [build_suite(one, None, [], document=document, criteria=EVERY) for one in document.processes]
            plans.append(json.dumps([plan_json(suite, "x") for suite in suites]).replace(file.name, "x"))
        assert plans[0] == plans[1], path.name


_OWN = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="urn:t">
  <process id="p" name="Own" isExecutable="true">
    <startEvent id="s"/>
    <exclusiveGateway id="g" name="Sure?" default="no"/>
    <userTask id="t" name="Ask"/>
    <boundaryEvent id="b" attachedToRef="t" cancelActivity="false"><timerEventDefinition/></boundaryEvent>
    <endEvent id="e"/>
    <endEvent id="late"/>
    <sequenceFlow id="f1" sourceRef="s" targetRef="g"/>
    <sequenceFlow id="yes" name="yes" sourceRef="g" targetRef="t"/>
    <sequenceFlow id="no" name="no" sourceRef="g" targetRef="e"/>
    <sequenceFlow id="f2" sourceRef="t" targetRef="e"/>
    <sequenceFlow id="f3" sourceRef="b" targetRef="late"/>
  </process>
</definitions>
"""
