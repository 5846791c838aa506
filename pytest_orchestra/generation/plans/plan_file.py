"""From suites to a saved plan, and to the text of its file: stable, line by line, without values of data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from pytest_orchestra.generation.control_flow.decisions import NORMAL
from pytest_orchestra.generation.plans.contracts import digest_of, read_contract
from pytest_orchestra.generation.wording import caption
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, EndpointRef, StepDefinition
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.process import FlowNode, Process, SequenceFlow
from pytest_orchestra.model.saved_plan import (
    PLAN_FORMAT,
    PLAN_VERSION,
    SavedBranch,
    SavedCoverage,
    SavedDataSet,
    SavedDecision,
    SavedElement,
    SavedFlow,
    SavedOperation,
    SavedPlan,
    SavedProcess,
    SavedScenario,
    SavedStep,
    SavedStepDefinition,
)
from pytest_orchestra.model.scenario import DecisionTaken, ScenarioStep, ScenarioSuite, TestScenario
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Severity

__all__ = ["find_operation", "plan_file_text", "record_plan"]

_LINE_WIDTH: Final = 120
_OWN_REPLY: Final = re.compile(r"(?<![\w.])(?:response\.)?body(?P<path>(?:\.\w+|\[[^\[\]]*\])*)(?P<call>\()?")
_OTHER_REPLY: Final = re.compile(
    r"(?<![\w.])steps?\.(?P<alias>\w+)\.response\.body(?P<path>(?:\.\w+|\[[^\[\]]*\])*)(?P<call>\()?"
)
_PATH_PART: Final = re.compile(r"\.(\w+)|\[([^\[\]]*)\]")


def record_plan(
    file: str,
    processes: Sequence[Process],
    suites: Sequence[ScenarioSuite],
    bindings: Bindings | None,
    specs: Mapping[str, ProtocolSpec],
    data_sets: Mapping[str, TestDataSet],
) -> SavedPlan:
    """Give the plan of a file's suites as it is saved: sorted, with digests in place of values of data.

    ``processes`` are those of the suites as they were played, with what they call. Of generated data, only that it was
    generated is kept: it follows from the rest.
    """
    recorder = _Recorder(bindings or Bindings(), specs)
    by_id = {process.id: process for process in processes}
    recorded = [recorder.process(suite, by_id) for suite in suites]
    used = sorted({name for process in recorded for scenario in process.scenarios for name in scenario.data})
    return SavedPlan(
        format=PLAN_FORMAT,
        version=PLAN_VERSION,
        file=re.split(r"[/\\]", file)[-1],
        processes=recorded,
        operations=dict(sorted(recorder.operations.items())),
        definitions=dict(sorted(recorder.definitions.items())),
        data_sets={name: _data_set(data_sets[name]) for name in used},
    )


def plan_file_text(plan: SavedPlan) -> str:
    """Give the text of a saved plan's file: JSON, what fits in a line in one line, with a line end at the end."""
    fields = plan.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return "".join((*_written(fields, "", ""), "\n"))


def find_operation(ref: EndpointRef | None, specs: Mapping[str, ProtocolSpec]) -> tuple[str, SavedOperation] | None:
    """Give name and contract of the operation that a step calls, if there is a specification that has it."""
    spec = specs.get(ref.service_name) if ref is not None else None
    operation = spec.operation.get(ref.endpoint_name) if spec is not None and ref is not None else None
    if spec is None or operation is None:
        return None
    contract = read_contract(operation, spec)
    return str(ref), SavedOperation(
        method=contract.method, path=contract.path, digest=contract.digest, contract=dict(contract.facts)
    )


class _Recorder:
    def __init__(self, bindings: Bindings, specs: Mapping[str, ProtocolSpec]) -> None:
        self._named = {definition.key for definition in bindings.scenarios}
        self._specs = specs
        self.operations: dict[str, SavedOperation] = {}
        self.definitions: dict[str, SavedStepDefinition] = {}
        self._known: dict[int, tuple[StepDefinition, str]] = {}

    def process(self, suite: ScenarioSuite, processes: Mapping[str, Process]) -> SavedProcess:
        process = processes.get(suite.process_id) or Process(suite.process_id, suite.process_name)
        nodes = {node.id: node for each in processes.values() for node in each.nodes} | process.node
        ways = {flow.id: flow for each in processes.values() for flow in each.flows} | process.flow
        elements = sorted({node for one in suite.scenarios for node in one.nodes} | process.node.keys())
        flows = sorted({flow for one in suite.scenarios for flow in one.flows} | process.flow.keys())
        return SavedProcess(
            id=suite.process_id,
            name=suite.process_name,
            hash=suite.process_hash,
            coverage={each.criterion: SavedCoverage(covered=each.covered, total=each.total) for each in suite.coverage},
            elements=[_element(element, nodes.get(element)) for element in elements],
            flows=[_flow(flow, ways.get(flow)) for flow in flows],
            scenarios=[
                self._scenario(scenario, process, nodes, {data_set.name for data_set in suite.generated_data})
                for scenario in sorted(suite.scenarios, key=lambda scenario: scenario.key)
            ],
        )

    def _scenario(
        self, scenario: TestScenario, process: Process, nodes: Mapping[str, FlowNode], generated: AbstractSet[str]
    ) -> SavedScenario:
        faults = (problem.message for problem in scenario.problems if problem.severity is Severity.ERROR)
        return SavedScenario(
            key=scenario.key,
            name=scenario.name,
            named=scenario.key in self._named,
            active=scenario.active,
            nodes=list(scenario.nodes),
            flows=list(scenario.flows),
            decisions=[_decision(taken, process, nodes) for taken in scenario.decisions],
            conditions=list(scenario.conditions),
            data=[name for name in scenario.data_sets if name not in generated],
            generated_data=not generated.isdisjoint(scenario.data_sets),
            steps=[self._step(step) for step in scenario.steps],
            faults=sorted(set(faults)),
        )

    def _step(self, step: ScenarioStep) -> SavedStep:
        ref = step.definition.endpoint_ref
        if ref is not None and str(ref) not in self.operations:
            found = find_operation(ref, self._specs)
            if found is not None:
                self.operations[found[0]] = found[1]
        return SavedStep(
            alias=step.alias,
            element=step.element_id,
            kind=step.kind,
            definition=self._define(step.definition),
            operation=str(ref) if ref is not None else None,
        )

    def _define(self, definition: StepDefinition) -> str:
        """Keep what a definition says, as digests, and give the digest of it all."""
        known = self._known.get(id(definition))
        if known is not None:
            return known[1]
        said = definition.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"alias"})
        inputs = said.pop("inputTemplate", {})
        said |= {f"inputTemplate.{name}": value for name, value in inputs.items()}
        if definition.endpoint_ref is not None:
            said["endpointRef"] = str(definition.endpoint_ref)
        fields = {name: digest_of(value) for name, value in sorted(said.items())}
        digest = digest_of(fields)
        texts = "\n".join(_texts(said))
        self.definitions[digest] = SavedStepDefinition(fields=fields, reads=sorted(set(_reads(texts))))
        self._known[id(definition)] = (definition, digest)
        return digest


def _element(element: str, node: FlowNode | None) -> SavedElement:
    if node is None:
        return SavedElement(id=element, kind="")
    return SavedElement(id=element, kind=node.kind.value, name=caption(node))


def _flow(name: str, flow: SequenceFlow | None) -> SavedFlow:
    if flow is None:
        return SavedFlow(id=name, source="", target="")
    return SavedFlow(id=name, source=flow.source, target=flow.target, name=flow.name)


def _decision(taken: DecisionTaken, process: Process, nodes: Mapping[str, FlowNode]) -> SavedDecision:
    node = nodes.get(taken.element)
    return SavedDecision(
        element=taken.element,
        name=caption(node) if node is not None else "",
        branches=[SavedBranch(id=branch, name=_name_of_branch(branch, process, nodes)) for branch in taken.branches],
    )


def _name_of_branch(branch: str, process: Process, nodes: Mapping[str, FlowNode]) -> str:
    if branch == NORMAL:
        return ""
    flow = process.flow.get(branch)
    target = nodes.get(branch if flow is None else flow.target)
    return (flow.name if flow is not None else "") or (caption(target) if target is not None else "")


def _data_set(data_set: TestDataSet) -> SavedDataSet:
    return SavedDataSet(digest=digest_of([data_set.name, data_set.data]), fields=sorted(data_set.data))


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from (name, *_texts(part))
    elif isinstance(value, Sequence):
        for part in value:
            yield from _texts(part)


def _reads(text: str) -> Iterator[str]:
    """Give the parts of replies that templates and rules read, ``place.items[].sku`` and ``.status``."""
    for pattern in (_OTHER_REPLY, _OWN_REPLY):
        for found in pattern.finditer(text):
            parts = list(_PATH_PART.finditer(found["path"]))
            if found["call"] and parts:  # a method of the value, not a field in it
                parts.pop()
            path = "".join(map(_part, parts))
            if path:
                yield f"{found.groupdict().get('alias') or ''}{path}"


def _part(part: re.Match[str]) -> str:
    if part[1] is not None:
        return f".{part[1]}"
    inner = part[2].strip()
    quoted = re.fullmatch(r"(['\"])(.*)\1", inner)
    return f".{quoted[2]}" if quoted else "[]"


def _written(value: Any, indent: str, before: str) -> Iterable[str]:
    """Give the pieces of JSON text: an object, and a list of plain values, stand in one line where they fit."""
    line = json.dumps(value, ensure_ascii=False)
    holds = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    is_plain = isinstance(value, dict) or not any(isinstance(part, dict | list) for part in holds)
    if not holds or (is_plain and len(indent) + len(before) + len(line) < _LINE_WIDTH):
        yield line
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    inner = f"{indent}  "
    yield opening
    for number, part in enumerate(value):
        title = f"{json.dumps(part, ensure_ascii=False)}: " if isinstance(value, dict) else ""
        yield f"{',' if number else ''}\n{inner}{title}"
        yield from _written(value[part] if isinstance(value, dict) else part, inner, title)
    yield f"\n{indent}{closing}"
