"""One scenario as an Arazzo workflow."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from pytest_orchestra.generation.arazzo.expressions import (
    Path,
    UntranslatableError,
    condition_of,
    pointer_of,
    value_of_template,
)
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import ActionMode, Bindings, ChannelType, StepDefinition, StepKind
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["Sources", "WorkflowWriter", "identifier"]

_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_\-]+")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OPERATION_ID: Final = re.compile(r"[^{}\"\\\x00-\x1f]+")
_LOCATIONS: Final = {"path": "path", "query": "query", "headers": "header", "cookies": "cookie"}
_REPLY_PARTS: Final = ("status", "headers", "body")
_CORRELATION: Final = "correlationId"
_CORRELATION_NAMES: Final = (_CORRELATION, "correlation_id")
_GIVEN_FROM_OUTSIDE: Final = ("environment", "fixture", "run", "suite")
_DEFAULT_STATUS: Final = "2XX"
_TYPES: Final = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def identifier(text: str, otherwise: str) -> str:
    """Give a text with nothing but letters, digits, ``-`` and ``_``, as ids of Arazzo should be."""
    return _FORBIDDEN.sub("-", text).strip("-") or otherwise


@dataclass(frozen=True)
class Sources:
    """The services that a document describes, and what each is called there."""

    specs: Mapping[str, ProtocolSpec]
    names: Mapping[str, str]

    def operation(self, definition: StepDefinition) -> Operation | None:
        """Give the operation that a step calls, if a specification has it."""
        ref = definition.endpoint_ref
        spec = self.specs.get(ref.service_name) if ref is not None else None
        return spec.operation.get(ref.endpoint_name) if spec is not None and ref is not None else None

    def address(self, service: str, operation: Operation) -> JsonObject:
        """Give the field of a step that names an operation: by its ``operationId``, else by where it stands."""
        name = self.names[service]
        if operation.name != operation.signature and _OPERATION_ID.fullmatch(operation.name):
            is_only = len(self.specs) == 1
            return {"operationId": operation.name if is_only else f"$sourceDescriptions.{name}.{operation.name}"}
        pointer = pointer_of(("paths", operation.path, operation.method.lower()), is_quoted=True)
        return {"operationPath": f"{{$sourceDescriptions.{name}.url}}#{quote(pointer, safe='/~:@!$&*+,;=-._')}"}


class WorkflowWriter:
    """Writes the workflow of one scenario; ``problems`` are what it could not say."""

    def __init__(
        self,
        scenario: TestScenario,
        workflow_id: str,
        bindings: Bindings,
        sources: Sources,
        data_sets: Mapping[str, TestDataSet],
        home: Place,
    ) -> None:
        self.workflow_id = workflow_id
        self.problems: list[Problem] = []
        self._scenario = scenario
        self._bindings = bindings
        self._sources = sources
        self._data = [data_sets[name] for name in scenario.data_sets if name in data_sets]
        self._home = home
        self._inputs: dict[str, JsonValue] = {}
        self._outputs: dict[str, dict[str, str]] = {}
        self._exports: Mapping[str, str] = {}

    @property
    def is_worth_writing(self) -> bool:
        """Whether any step calls an operation over HTTP that a specification has."""
        return any(self._reason_to_leave_out(step) is None for step in self._scenario.steps)

    def exported(self) -> tuple[str, ...]:
        """Give the names that the scenario exports and a workflow can give as outputs."""
        return tuple(name for step in self._http_steps() for name in step.definition.export_as)

    def write(self, workflow_ids: Mapping[str, str], exports: Mapping[str, Sequence[str]]) -> JsonObject | None:
        """Give the workflow; None if it would have no steps.

        ``workflow_ids`` are those of all scenarios of the suite that are written, ``exports`` what each of these gives.
        """
        depends_on = list(self._depends_on(workflow_ids))
        self._exports = {
            name: f"$workflows.{workflow_ids[key]}.outputs.{name}"
            for key in depends_on
            for name in exports.get(key, ())
        }
        self._ask(_CORRELATION, {"type": "string"})
        steps: list[dict[str, JsonValue]] = []
        for step in self._scenario.steps:
            reason = self._reason_to_leave_out(step)
            if reason is not None:
                self._omit(step, f"step '{step.alias}' is left out: {reason}")
                continue
            self._outputs[step.alias] = {}
            steps.append(self._step(step))
        if not steps:
            return None
        outputs = dict(self._workflow_outputs())
        for written in steps:
            if self._outputs[str(written["stepId"])]:
                written["outputs"] = dict(self._outputs[str(written["stepId"])])
        header = {"name": self._bindings.correlation_header, "in": "header", "value": f"$inputs.{_CORRELATION}"}
        workflow: dict[str, JsonValue] = {
            "workflowId": self.workflow_id,
            "summary": self._scenario.name,
            "inputs": {
                "type": "object",
                "required": sorted(self._inputs),
                "properties": dict(sorted(self._inputs.items())),
            },
            "parameters": [header],
            "dependsOn": [workflow_ids[key] for key in depends_on],
            "steps": steps,
            "outputs": outputs,
            "x-orchestra-scenario": self._scenario.key,
            "x-orchestra-data-sets": list(self._scenario.data_sets),
            "x-orchestra-left-out": list(dict.fromkeys(problem.message for problem in self.problems)),
        }
        return {name: value for name, value in workflow.items() if value not in ([], {})}

    def _http_steps(self) -> Iterator[ScenarioStep]:
        return (step for step in self._scenario.steps if self._reason_to_leave_out(step) is None)

    def _reason_to_leave_out(self, step: ScenarioStep) -> str | None:
        definition = step.definition
        if definition.kind is StepKind.BARRIER:
            return "Arazzo has no barriers, its steps come one after another"
        if definition.channel_type is not ChannelType.HTTP_REST:
            return f"Arazzo has no channel {definition.channel_type}"
        if self._sources.operation(definition) is None:
            return f"no specification has '{definition.endpoint_ref}'"
        return None

    def _omit(self, step: ScenarioStep | None, message: str, hint: str | None = None) -> None:
        place = step.definition.place if step is not None else None
        element = step.element_id if step is not None else None
        self.problems.append(Problem(Severity.WARNING, place or self._home, message, hint, element))

    def _depends_on(self, workflow_ids: Mapping[str, str]) -> Iterator[str]:
        for dependency in self._scenario.depends_on:
            key = dependency.scenario.partition("[")[0]
            if key not in workflow_ids:
                self._omit(None, f"scenario '{self._scenario.key}' depends on '{key}', which is not in the document")
                continue
            if dependency.outcome != "PASSED":
                fact = f"scenario '{self._scenario.key}' wants '{key}' to end {dependency.outcome}"
                self._omit(None, f"{fact}, which Arazzo cannot say")
            yield key

    # -- steps ------------------------------------------------------------------------------------------------------

    def _step(self, step: ScenarioStep) -> dict[str, JsonValue]:
        definition = step.definition
        operation = self._sources.operation(definition)
        assert operation is not None, "asked before"
        assert definition.endpoint_ref is not None, "as above"
        if definition.mode is ActionMode.FIRE_AND_FORGET:
            self._omit(step, f"step '{step.alias}' is waited for: Arazzo cannot say otherwise")
        if definition.schema_refs:
            self._omit(step, f"'schemaRefs' of step '{step.alias}' are left out: Arazzo does not check schemas")
        body = self._request_body(step, operation)
        until = None if definition.until is None else self._condition(step, "until", definition.until)
        written: dict[str, JsonValue] = {
            "stepId": step.alias,
            "description": step.name,
            **self._sources.address(definition.endpoint_ref.service_name, operation),
            "parameters": list(self._parameters(step)),
            "requestBody": body,
            "successCriteria": list(self._criteria(step, until)),
            "onFailure": list(self._on_failure(step)) if until is not None else [],
        }
        return {name: value for name, value in written.items() if value not in ([], None)}

    def _parameters(self, step: ScenarioStep) -> Iterator[JsonValue]:
        groups = {name: step.definition.input_template.get(name) for name in _LOCATIONS}
        given = groups["headers"]
        groups["headers"] = {**step.definition.headers, **(given if isinstance(given, dict) else {})}
        for group, location in _LOCATIONS.items():
            members = groups[group]
            if members is None or not isinstance(members, dict):
                if members is not None:
                    self._omit(step, f"'{group}' of step '{step.alias}' is left out: it is one template")
                continue
            for name, template in members.items():
                if template is not None:
                    value = self._value(step, f"{group}_{name}", template)
                    yield {"name": name, "in": location, "value": value}

    def _request_body(self, step: ScenarioStep, operation: Operation) -> JsonValue:
        body = step.definition.input_template.get("body")
        if body is None:
            return None
        declared = [each.media_type for each in operation.request_bodies]
        json_like = next((each for each in declared if "json" in each), None)
        media_type = (
            step.definition.input_template.get("mediaType") or json_like or (declared or ["application/json"])[0]
        )
        return {"contentType": media_type, "payload": self._value(step, "body", body)}

    def _value(self, step: ScenarioStep, where: str, template: Any) -> JsonValue:
        """Give a template's value; parts that Arazzo has no expression for become inputs of the workflow."""
        if isinstance(template, dict) and not any("{{" in name for name in template):
            return {name: self._value(step, f"{where}_{name}", part) for name, part in template.items()}
        if isinstance(template, list):
            return [self._value(step, f"{where}_{index}", part) for index, part in enumerate(template)]
        try:
            return value_of_template(template, lambda path: self._say(path, has_reply=False))
        except UntranslatableError as error:
            name = identifier(f"{step.alias}_{where}", "value")
            shown = f"'{template}'" if isinstance(template, str) else f"'{where}'"
            self._omit(step, f"{shown} of step '{step.alias}' is the input '{name}' of the workflow: {error}")
            return self._ask(name, {"description": f"The value of {shown}"})

    def _criteria(self, step: ScenarioStep, until: str | None) -> Iterator[JsonValue]:
        rules = [self._condition(step, "rule", rule.rule) for rule in step.definition.business_rules]
        for condition in (_status_condition(step.definition.expected_status_code), *rules, until):
            if condition is not None:
                yield {"condition": condition}

    def _condition(self, step: ScenarioStep, kind: str, text: str) -> str | None:
        try:
            return condition_of(text, lambda path: self._say(path, has_reply=True))
        except UntranslatableError as error:
            consequence = ", so that nothing is waited for" if kind == "until" else ""
            self._omit(step, f"{kind} '{text}' of step '{step.alias}' is left out{consequence}: {error}")
            return None

    def _on_failure(self, step: ScenarioStep) -> Iterator[JsonValue]:
        """Give the end of the waiting where ``failWhen`` holds, and the retries that poll until ``until`` does."""
        definition = step.definition
        if definition.fail_when is not None:
            condition = self._condition(step, "failWhen", definition.fail_when)
            if condition is not None:
                yield {"name": f"{step.alias}_fails", "type": "end", "criteria": [{"condition": condition}]}
        pause = definition.poll_interval_ms or self._bindings.poll_interval_ms
        limit = definition.timeout_ms or self._bindings.timeout_ms
        yield {
            "name": f"{step.alias}_polls",
            "type": "retry",
            "retryAfter": pause / 1000,
            "retryLimit": math.ceil(limit / pause),
        }

    def _workflow_outputs(self) -> Iterator[tuple[str, str]]:
        for step in self._http_steps():
            for name, text in step.definition.export_as.items():
                try:
                    found = value_of_template(
                        text if "{{" in text else f"{{{{ {text} }}}}",
                        lambda path, step=step: self._say(path, has_reply=True, of=step.alias),  # type: ignore[misc]
                    )
                except UntranslatableError as error:
                    self._omit(step, f"export '{name}' of step '{step.alias}' is left out: {error}")
                    continue
                yield name, str(found)

    # -- expressions ------------------------------------------------------------------------------------------------

    def _say(self, path: Path, *, has_reply: bool, of: str | None = None) -> str:
        """Give the runtime expression of a path; ``of`` names the step whose reply is meant from outside of it."""
        root, rest = str(path[0]), path[1:]
        if root == "data" and rest:
            return self._ask_for_data(rest)
        if root in _CORRELATION_NAMES and not rest:
            return f"$inputs.{_CORRELATION}"
        if root in ("step", "steps") and len(rest) > 1 and rest[1] == "response":
            return self._output(str(rest[0]), rest[2:])
        if has_reply and (root == "response" or root in _REPLY_PARTS):
            part = rest if root == "response" else path
            return _reply(part) if of is None else self._output(of, part)
        if root == "suite" and len(rest) == 1 and rest[0] in self._exports:
            return self._exports[str(rest[0])]
        if root in _GIVEN_FROM_OUTSIDE and rest:
            return self._ask(_joined(path), {"description": f"The value of {'.'.join(map(str, path))}"})
        raise UntranslatableError(f"Arazzo has nothing like '{'.'.join(map(str, path))}'")

    def _output(self, alias: str, part: Path) -> str:
        """Give the expression of an output of a step, which declares it from then on."""
        if alias not in self._outputs:
            raise UntranslatableError(f"step '{alias}' is not in the document")
        outputs = self._outputs[alias]
        said = _reply(part)
        base = _joined(part[1:] if part[0] in ("body", "headers") and len(part) > 1 else part)
        number, name = 1, base
        while outputs.get(name, said) != said:
            number += 1
            name = f"{base}_{number}"
        outputs[name] = said
        return f"$steps.{alias}.outputs.{name}"

    def _ask(self, name: str, schema: JsonValue) -> str:
        self._inputs.setdefault(name, schema)
        return f"$inputs.{name}"

    def _ask_for_data(self, path: Path) -> str:
        values = [found for data_set in self._data for found in _values_at(data_set.data, path)]
        return self._ask(_joined(path), _schema_of(values))


def _reply(part: Path) -> str:
    match part:
        case ("status",):
            return "$statusCode"
        case ("headers", str() as name) if _TOKEN.fullmatch(name):
            return f"$response.header.{name}"
        case ("body",):
            return "$response.body"
        case ("body", *rest):
            return f"$response.body#{pointer_of(tuple(rest))}"
    raise UntranslatableError(f"Arazzo has nothing like 'response.{'.'.join(map(str, part))}'")


def _joined(path: Path) -> str:
    return identifier("_".join(str(part) for part in path), "value")


def _status_condition(expected: int | str | list[int | str] | None) -> str:
    codes = expected if isinstance(expected, list) else [expected if expected is not None else _DEFAULT_STATUS]
    conditions = []
    for code in map(str, codes):
        if code.endswith("XX"):
            first = int(code[0]) * 100
            text = f"$statusCode >= {first} && $statusCode < {first + 100}"
            conditions.append(f"({text})" if len(codes) > 1 else text)
        else:
            conditions.append(f"$statusCode == {code}")
    return " || ".join(conditions)


def _values_at(data: JsonValue, path: Path) -> Iterator[JsonValue]:
    value: Any = data
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return
    yield value


def _schema_of(values: Sequence[JsonValue]) -> JsonValue:
    """Give the schema of some values by their types alone."""
    types: set[str] = set()
    for value in values:
        if isinstance(value, Mapping):
            types.add("object")
        else:
            types.add(_TYPES.get(type(value), "array"))
    if "number" in types:
        types.discard("integer")
    found = sorted(types)
    return {} if not found else {"type": found[0] if len(found) == 1 else found}
