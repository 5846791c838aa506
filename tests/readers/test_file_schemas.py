"""The JSON Schemas of the files that users write."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import jsonschema_rs
import pytest

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.readers.data_files import read_data_sets
from pytest_orchestra.readers.environment_file import read_environments
from pytest_orchestra.readers.json_schema import SchemaKind, json_schema
from pytest_orchestra.readers.sidecar import read_sidecar
from pytest_orchestra.readers.step_library import read_step_libraries
from pytest_orchestra.readers.yaml_source import parse_yaml

READERS = {
    "sidecar": read_sidecar,
    "data": lambda path: read_data_sets([path]),
    "environments": read_environments,
    "steps": lambda path: read_step_libraries({path: None}),
}

SIDECAR = """\
process: order
specs: {orders: specs/orders.openapi.json}
coverage: [node, edge]
maxLoopIterations: 2
loops: {Retry: 3}
bindings:
  Place order:
    - alias: place
      endpointRef: orders.placeOrder
      expectedStatusCode: 202
      businessRules: ["response.body.total == data.amount", {rule: status == 202, name: accepted}]
      exportAs: {orderId: response.body.id}
      backoff: {factor: 2}
    - endpointRef: {serviceName: orders, endpointName: getOrder}
      expectedStatusCode: [200, 2XX]
      until: response.body.status == 'SHIPPED'
      timeoutMs: 5000
    - {dataSource: warehouse, sql: select 1, until: value == 1, causedBy: place}
  Single step:
    endpointRef: orders.ship
  Nothing:
  Nothing else: []
  Grouped:
    action: {endpointRef: orders.ship, mode: FIRE_AND_FORGET, inputTemplate: {}, meta: {timeoutMs: 3}}
    expectations: {expectedStatusCode: 202, businessRules: [a]}
  Barrier: {trackedSteps: [place], onFailure: continue}
decisions:
  Delivery?: {yes: data.express, no: not data.express}
dataSets: [data/*.yaml]
scenarios:
  - {key: large, decisions: {Large?: yes, Retry?: [no, yes]}, dependsOn: [small, {scenario: x, outcome: ANY}]}
  - {key: small, dataSets: ["tag:x"], tags: [smoke], status: DRAFT, active: false}
fixtures: [database]
"""
DATA = """\
dataSets:
  - {name: vip, tags: [a], scope: SCENARIO, scenario: large, origin: GENERATED, data: {a: {b: [1, null]}}}
  - name: plain
"""
ENVIRONMENTS = """\
local:
  services: {orders: http://localhost:1, ship: {baseUrl: x, headers: {A: b}, headerRefs: {C: env:D}, verifyTls: false}}
  dbProfiles: {w: postgresql://localhost/w, v: {url: x, passwordRef: env:P}}
  kafkaProfiles: {k: {bootstrapServers: x}}
  queueProfiles: {q: {endpoint: x}}
  variables: {a: [1]}
empty:
"""

STEPS = """\
customSteps:
  pay:
    description: Pay an order.
    inputs: {amount: , currency: {default: EUR}, note: {required: false, description: what is printed}}
    steps: {alias: charge, endpointRef: payments.charge, expectations: {expectedStatusCode: 201}}
    outputs: {id: step.charge.response.body.id}
  pay_twice: {steps: [{alias: a, use: pay, with: {amount: 1}}, {alias: b, use: pay, with: {amount: "{{data.b}}"}}]}
customAssertions:
  money: {inputs: {of: }, rules: [input.of > 0, {rule: input.of < 9, name: little}]}
"""


def is_valid(kind: SchemaKind, text: str) -> bool:
    schema = json_schema(kind)
    jsonschema_rs.meta.validate(schema)
    return jsonschema_rs.Draft202012Validator(schema).is_valid(parse_yaml(text, "x.yaml").value)


def is_read(kind: SchemaKind, text: str, folder: Path) -> bool:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        READERS[kind](path)
    except DefinitionError:
        return False
    return True


@pytest.mark.parametrize("kind", get_args(SchemaKind))
def test_schema_says_what_it_is(kind):
    """Editors show title and descriptions."""
    schema = json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"].startswith("pytest-orchestra: ")
    assert schema["description"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sidecar", SIDECAR),
        ("sidecar", "{}"),
        ("data", DATA),
        ("data", "- {name: x}\n"),
        ("environments", ENVIRONMENTS),
        ("steps", STEPS),
    ],
)
def test_valid_file_satisfies_schema_and_reader(tmp_path, kind, text):
    """Short forms, nested groups and empty bindings are as good for the editor as for the reader."""
    assert is_valid(kind, text)
    assert is_read(kind, text, tmp_path)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sidecar", "timoutMs: 1"),
        ("sidecar", "timeoutMs: soon"),
        ("sidecar", "coverage: [egde]"),
        ("sidecar", "coverage: edge"),
        ("sidecar", "bindings: {A: {endpointRef: s.o, timoutMs: 1}}"),
        ("sidecar", "bindings: {A: [{endpointRef: s.o, kind: ACT}]}"),
        ("sidecar", "bindings: {A: {endpointRef: 3}}"),
        ("sidecar", "bindings: {A: {endpointRef: {serviceName: x}}}"),
        ("sidecar", "bindings: {A: x}"),
        ("sidecar", "bindings: {A: {action: {endpointRef: s.o, meta: {timoutMs: 1}}}}"),
        ("sidecar", "bindings: {A: {endpointRef: s.o, expectations: {x: 1}}}"),
        ("sidecar", "bindings: {A: {endpointRef: s.o, exportAs: {a-b: x}}}"),
        ("sidecar", "bindings: {A: {endpointRef: s.o, alias: a-b}}"),
        ("sidecar", "scenarios: [{name: x}]"),
        ("sidecar", "scenarios: [{key: a/b}]"),
        ("sidecar", "scenarios: [{key: a, dependsOn: [3]}]"),
        ("sidecar", "scenarios: [{key: a, place: {file: x}}]"),
        ("data", "{}"),
        ("data", "- {nme: x}"),
        ("data", "- {name: x, scope: suite}"),
        ("data", "- {name: 'a[1]'}"),
        ("data", "- {name: x, data: [1]}"),
        ("environments", "a: {service: {}}"),
        ("environments", "a: {services: {o: 1}}"),
        ("environments", "a: {services: {o: {url: x}}}"),
        ("environments", "a: {dbProfiles: {w: {url: x, password: y}}}"),
        ("environments", "a: x"),
        ("steps", "customSteps: {a: {}}"),
        ("steps", "customSteps: {a: {steps: {endpointRef: s.o}, inputs: {b: text}}}"),
        ("steps", "customAssertions: {a: {rules: []}}"),
        ("steps", "bindings: {}"),
    ],
)
def test_mistake_satisfies_neither_schema_nor_reader(tmp_path, kind, text):
    """A typo is underlined in the editor, and refused by the reader."""
    assert not is_valid(kind, text)
    assert not is_read(kind, text, tmp_path)


def test_field_is_described_by_its_docstring():
    """The editor shows what the model says."""
    schema = json_schema("sidecar")
    assert schema["properties"]["timeoutMs"]["description"] == "The default for steps."
    assert (
        schema["$defs"]["StepDefinition"]["properties"]["until"]["description"] == "Poll until this expression holds."
    )
    assert "title" not in schema["properties"]["timeoutMs"]
