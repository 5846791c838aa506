"""Arazzo documents: what is written follows the specification, what cannot be is told step by step."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from process_text import process_of
from suites import plan

from pytest_orchestra.generation.arazzo.document import ARAZZO_VERSIONS, ArazzoExport, export_arazzo
from pytest_orchestra.generation.arazzo.expressions import UntranslatableError, condition_of, value_of_template
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.openapi import read_openapi

# The ABNF of section "Runtime Expressions" of Arazzo 1.1.0, as one regular expression.
_STRICT = r"[A-Za-z0-9_\-]+"
_LOOSE = r"[A-Za-z0-9._\-]+"
_POINTER = r"(?:/(?:[^/{}~]|~[01])*)*"
_CHARS = r"[^{}\"\\\x00-\x1f]"
EXPRESSION = re.compile(
    rf"\$(?:url|method|statusCode|self"
    rf"|(?:request|response)\.(?:header\.[!#$%&'*+\-.^_`|~0-9A-Za-z]+|(?:query|path)\.{_CHARS}*|body(?:\#{_POINTER})?)"
    rf"|(?:inputs|outputs)\.{_LOOSE}(?:\#{_POINTER})?"
    rf"|steps\.{_STRICT}\.outputs\.{_LOOSE}(?:\#{_POINTER})?"
    rf"|workflows\.{_STRICT}\.(?:inputs|outputs)\.{_LOOSE}(?:\#{_POINTER})?"
    rf"|sourceDescriptions\.{_STRICT}\.{_CHARS}+)"
)

SPEC: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {
        "/orders": {
            "post": {
                "operationId": "placeOrder",
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"202": {"description": "ok"}},
            }
        },
        "/orders/{id}/state": {"get": {"responses": {"200": {"description": "ok"}}}},
    },
}
STEPS: dict[str, Any] = {
    "place": [
        {
            "alias": "place",
            "endpointRef": "orders.placeOrder",
            "headers": {"Idempotency-Key": "{{correlationId}}"},
            "inputTemplate": {
                "query": {"dry": False, "left": None},
                "body": {
                    "to": "{{data.customer.name}}",
                    "note": "for {{data.customer.name}}, {{data.amount}} pieces",
                    "amount": "{{data.amount}}",
                    "fixed": "{{ 7 }}",
                },
            },
            "expectedStatusCode": [202, "3XX"],
            "businessRules": ["response.body.total == data.amount", "headers.location is not none"],
        }
    ],
    "paid": [
        {
            "alias": "paid",
            "endpointRef": "orders.GET /orders/{id}/state",
            "inputTemplate": {"path": {"id": "{{step.place.response.body.id}}"}},
            "until": "response.body.state in ['PAID', 'DONE'] and not response.body.items[0].open == true",
            "failWhen": "response.body.state == 'REJECTED'",
            "timeoutMs": 1000,
            "pollIntervalMs": 300,
            "exportAs": {"order": "step.place.response.body.id"},
        }
    ],
}
DATA = (
    TestDataSet("one", {"amount": 1, "customer": {"name": "Ada"}, "pin": "0815"}),
    TestDataSet("two", {"amount": 1.5, "customer": {"name": None}}),
)


@pytest.fixture
def export(tmp_path: Path) -> Any:
    """Export one process whose tasks ``place`` and ``paid`` have the steps given."""

    def run(
        steps: dict[str, Any] | None = None,
        *,
        services: Sequence[str] = ("orders",),
        version: str = "1.1.0",
        **more: Any,
    ) -> ArazzoExport:
        file = tmp_path / "orders.json"
        file.write_text(json.dumps(SPEC))
        bindings = Bindings.model_validate({"bindings": {**STEPS, **(steps or {})}, **more})
        suite = plan(process_of("start > place > paid > end"), bindings, DATA)
        return export_arazzo(
            [suite],
            bindings,
            {service: read_openapi(file, service) for service in services},
            {data_set.name: data_set for data_set in DATA},
            urls=dict.fromkeys(services, "orders.json"),
            home=Place("order.bpmn"),
            version=version,
        )

    return run


def expressions(document: Any) -> Iterator[str]:
    """Give every runtime expression of a document, with those that are embedded in texts."""
    if isinstance(document, dict):
        for name, value in document.items():
            if not name.startswith("x-") and name not in ("description", "summary"):
                yield from expressions(value)
    elif isinstance(document, list):
        for value in document:
            yield from expressions(value)
    elif isinstance(document, str):
        yield from re.findall(r"\{(\$[^{}]*)\}", document)
        if document.startswith("$") and " " not in document:
            yield document
        else:
            yield from re.findall(r"(?<!\{)\$[A-Za-z][^\s(){},]*", re.sub(r"'[^']*'|\{[^}]*\}", "", document))


def test_step_is_written_as_the_specification_has_it(export: Any) -> None:
    """Operation, parameters, body, criteria, outputs: each where it belongs."""
    document = export().document
    assert document["arazzo"] == "1.1.0"
    assert document["sourceDescriptions"] == [{"name": "orders", "url": "orders.json", "type": "openapi"}]
    (workflow,) = document["workflows"]
    assert workflow["workflowId"] == "main"
    assert workflow["inputs"] == {
        "type": "object",
        "required": ["amount", "correlationId", "customer_name"],
        "properties": {
            "amount": {"type": "number"},
            "correlationId": {"type": "string"},
            "customer_name": {"type": ["null", "string"]},
        },
    }
    assert workflow["parameters"] == [{"name": "X-Correlation-ID", "in": "header", "value": "$inputs.correlationId"}]
    place, paid = workflow["steps"]
    assert place == {
        "stepId": "place",
        "description": "place",
        "operationId": "placeOrder",
        "parameters": [
            {"name": "dry", "in": "query", "value": False},
            {"name": "Idempotency-Key", "in": "header", "value": "$inputs.correlationId"},
        ],
        "requestBody": {
            "contentType": "application/json",
            "payload": {
                "to": "$inputs.customer_name",
                "note": "for {$inputs.customer_name}, {$inputs.amount} pieces",
                "amount": "$inputs.amount",
                "fixed": 7,
            },
        },
        "successCriteria": [
            {"condition": "$statusCode == 202 || ($statusCode >= 300 && $statusCode < 400)"},
            {"condition": "$response.body#/total == $inputs.amount"},
            {"condition": "!($response.header.location == null)"},
        ],
        "outputs": {"id": "$response.body#/id"},
    }
    assert paid["operationPath"] == "{$sourceDescriptions.orders.url}#/paths/~1orders~1%7Bid%7D~1state/get"
    assert paid["parameters"] == [{"name": "id", "in": "path", "value": "$steps.place.outputs.id"}]
    assert paid["successCriteria"] == [
        {"condition": "$statusCode >= 200 && $statusCode < 300"},
        {
            "condition": "($response.body#/state == 'PAID' || $response.body#/state == 'DONE')"
            " && !($response.body#/items/0/open == true)"
        },
    ]
    assert paid["onFailure"] == [
        {"name": "paid_fails", "type": "end", "criteria": [{"condition": "$response.body#/state == 'REJECTED'"}]},
        {"name": "paid_polls", "type": "retry", "retryAfter": 0.3, "retryLimit": 4},
    ]
    assert workflow["outputs"] == {"order": "$steps.place.outputs.id"}


def test_every_expression_follows_the_grammar(export: Any) -> None:
    """The ABNF of 1.1.0, the stricter one, accepts all that is written."""
    for services in (("orders",), ("orders", "other")):
        bound = {"place": [*STEPS["place"], {**STEPS["place"][0], "alias": "again", "endpointRef": "other.placeOrder"}]}
        document = export(bound, services=services).document
        found = list(expressions(document))
        assert len(found) > 10
        assert [text for text in found if EXPRESSION.fullmatch(text) is None] == []


def test_operations_of_several_sources_name_theirs(export: Any) -> None:
    """With one source an operationId is enough, with several it says of which."""
    bound = {"paid": [{"alias": "other", "endpointRef": "more.placeOrder"}]}
    document = export(bound, services=("orders", "more")).document
    steps = document["workflows"][0]["steps"]
    assert [step["operationId"] for step in steps] == [
        "$sourceDescriptions.orders.placeOrder",
        "$sourceDescriptions.more.placeOrder",
    ]


def test_values_of_data_do_not_enter(export: Any) -> None:
    """Names and types only, and only of what is read."""
    text = json.dumps(export().document)
    assert "Ada" not in text
    assert "0815" not in text
    assert "pin" not in text


def test_versions_differ_in_nothing_but_their_number(export: Any) -> None:
    """A document holds to the stricter of the two."""
    one, other = (export(version=version).document for version in ARAZZO_VERSIONS)
    assert [one["arazzo"], other["arazzo"]] == list(ARAZZO_VERSIONS)
    assert {**one, "arazzo": ""} == {**other, "arazzo": ""}


DB = {"alias": "row", "dataSource": "shop", "sql": "select 1", "until": "value == 1"}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (DB, "step 'row' is left out: Arazzo has no channel DB"),
        (
            {"alias": "x", "endpointRef": "orders.nothing"},
            "step 'x' is left out: no specification has 'orders.nothing'",
        ),
        (
            {"alias": "x", "endpointRef": "orders.placeOrder", "mode": "FIRE_AND_FORGET"},
            "step 'x' is waited for: Arazzo cannot say otherwise",
        ),
        (
            {"alias": "x", "endpointRef": "orders.placeOrder", "schemaRefs": ["orders#/components/schemas/A"]},
            "'schemaRefs' of step 'x' are left out: Arazzo does not check schemas",
        ),
        (
            {"alias": "x", "endpointRef": "orders.placeOrder", "businessRules": ["response.body | length > 0"]},
            (
                "rule 'response.body | length > 0' of step 'x' is left out: "
                "it has the filter 'length', which Arazzo has not"
            ),
        ),
        (
            {"alias": "x", "endpointRef": "orders.placeOrder", "until": "response.body.done"},
            (
                "until 'response.body.done' of step 'x' is left out, so that nothing is waited for: "
                "it asks whether a value is truthy, which languages see differently"
            ),
        ),
        (
            {"alias": "x", "endpointRef": "orders.placeOrder", "inputTemplate": {"query": "{{data.amount}}"}},
            "'query' of step 'x' is left out: it is one template",
        ),
        (
            {"alias": "x", "endpointRef": "orders.placeOrder", "exportAs": {"n": "response.body | length"}},
            "export 'n' of step 'x' is left out: it has the filter 'length', which Arazzo has not",
        ),
    ],
)
def test_what_arazzo_cannot_say_is_told_with_the_step_and_stands_in_the_document(
    export: Any, step: dict[str, Any], message: str
) -> None:
    """Nothing disappears in silence."""
    exported = export({"paid": [step]})
    assert [problem.message for problem in exported.problems] == [message]
    assert exported.problems[0].severity == "warning"
    assert exported.document["workflows"][0]["x-orchestra-left-out"] == [message]


def test_value_that_arazzo_has_no_expression_for_is_an_input(export: Any) -> None:
    """The workflow can be run all the same, by whoever knows the value."""
    body = {"a": {"b": "{{ data.amount * 2 }}"}, "c": "{{step.row.response.value}}"}
    bound = {"place": [DB, {**STEPS["place"][0], "inputTemplate": {"body": body}}]}
    exported = export(bound)
    (workflow,) = exported.document["workflows"]
    payload = workflow["steps"][0]["requestBody"]["payload"]
    assert payload == {"a": {"b": "$inputs.place_body_a_b"}, "c": "$inputs.place_body_c"}
    assert workflow["inputs"]["properties"]["place_body_a_b"] == {"description": "The value of '{{ data.amount * 2 }}'"}
    assert [problem.message for problem in exported.problems] == [
        "step 'row' is left out: Arazzo has no channel DB",
        (
            "'{{ data.amount * 2 }}' of step 'place' is the input 'place_body_a_b' of the workflow:"
            " it has arithmetic, which Arazzo has not"
        ),
        (
            "'{{step.row.response.value}}' of step 'place' is the input 'place_body_c' of the workflow:"
            " step 'row' is not in the document"
        ),
    ]


def test_scenario_without_anything_over_http_is_no_workflow(export: Any) -> None:
    """A document needs a workflow; without any there is none."""
    exported = export({"place": [DB], "paid": []})
    assert exported.document is None
    assert [problem.message for problem in exported.problems] == ["step 'row' is left out: Arazzo has no channel DB"]


def test_dependencies_are_workflows_whose_outputs_are_read(tmp_path: Path) -> None:
    """What one scenario exports, the next reads from the workflow that must have ended."""
    file = tmp_path / "orders.json"
    file.write_text(json.dumps(SPEC))
    process = process_of("start > xor; xor -a> place > end; xor -b> paid > end")
    give = {"alias": "give", "endpointRef": "orders.placeOrder", "exportAs": {"order": "response.body.id"}}
    take = {
        "alias": "take",
        "endpointRef": "orders.placeOrder",
        "inputTemplate": {"body": {"of": "{{suite.order}}", "by": "{{suite.other}}"}},
    }
    first = {"key": "the first, größer", "decisions": {"xor": "a"}}
    second = {
        "key": "second",
        "decisions": {"xor": "b"},
        "dependsOn": ["the first, größer[one]", {"scenario": "elsewhere.bpmn::x", "outcome": "ANY"}],
    }
    bindings = Bindings.model_validate({"bindings": {"place": [give], "paid": [take]}, "scenarios": [first, second]})
    exported = export_arazzo(
        [plan(process, bindings)],
        bindings,
        {"orders": read_openapi(file, "orders")},
        {},
        urls={"orders": "orders.json"},
        home=Place("order.bpmn"),
    )
    assert exported.document is not None
    one, two = exported.document["workflows"]
    assert (one["workflowId"], one["x-orchestra-scenario"]) == ("the-first-groer", "the first, größer")
    assert two["dependsOn"] == ["the-first-groer"]
    assert two["steps"][0]["requestBody"]["payload"] == {
        "of": "$workflows.the-first-groer.outputs.order",
        "by": "$inputs.suite_other",
    }
    assert [problem.message for problem in exported.problems] == [
        "scenario 'second' depends on 'elsewhere.bpmn::x', which is not in the document"
    ]


def _say(path: tuple[str | int, ...]) -> str:
    return "$" + ".".join(map(str, path))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('a == "it\'s"', "$a == 'it''s'"),
        ("a == none or b != true and c >= -1.5", "$a == null || ($b != true && $c >= -1.5)"),
        ("(a == 1 or b == 2) and c == 3", "($a == 1 || $b == 2) && $c == 3"),
        ("not (a == 1)", "!($a == 1)"),
        ("a in [1]", "$a == 1"),
        ("a not in ['x', 'y']", "!($a == 'x' || $a == 'y')"),
        ("a is none", "$a == null"),
        ("1 < a < 3", None),
        ("a", None),
        ("a.b()", None),
        ("a['x y'] == 1", None),
        ("a ==", None),
        ("a == 1 if b == 2 else c == 3", None),
    ],
)
def test_rule_is_a_simple_condition_or_nothing(rule: str, expected: str | None) -> None:
    """What cannot be said exactly is not said."""
    if expected is None:
        with pytest.raises(UntranslatableError):
            condition_of(rule, _say)
    else:
        assert condition_of(rule, _say) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain {text}", "plain {text}"),
        ("{{ a.b[0]['c'] }}", "$a.b.0.c"),
        ("x{{ a }}y{{ 'z' }}{{ 1 }}", "x{$a}yz1"),
        (["{{ a }}", {"k": "{{ b }}"}], ["$a", {"k": "$b"}]),
        ("{} {{ a }}", None),
        ("$statusCode", None),
        ({"{{ a }}": 1}, None),
        ("{{ a | upper }}", None),
        ("{{ a", None),
    ],
)
def test_template_is_a_value_with_expressions_or_nothing(template: Any, expected: Any) -> None:
    """A text that would be taken for an expression is none."""
    if expected is None:
        with pytest.raises(UntranslatableError):
            value_of_template(template, _say)
    else:
        assert value_of_template(template, _say) == expected
