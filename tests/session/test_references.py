"""Names that templates read and nobody gives are found before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.scenario import ScenarioStep, TestScenario
from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, ResponseSpec, SchemaRef
from pytest_orchestra.problem import Place
from pytest_orchestra.session.references import check_scenario, check_syntax

PLACE = Place("order.orchestra.yaml", 7, 5)


def step(**fields: Any) -> StepDefinition:
    definition = StepDefinition.model_validate({"endpointRef": "orders.any", **fields})
    return definition.model_copy(update={"place": PLACE})


def told(
    *steps: Mapping[str, Any], data: Mapping[str, Any] | None = None, exported: list[str] | None = None, **more: Any
) -> list[str]:
    definitions = [step(**fields) for fields in steps]
    scenario = TestScenario(
        key="main",
        name="main",
        data_sets=("small",),
        steps=tuple(
            ScenarioStep(n, definition.alias or f"step_{n}", "", f"task_{n}", definition)
            for n, definition in enumerate(definitions)
        ),
    )
    data_sets = {"small": TestDataSet("small", data or {})}
    problems = check_scenario(
        scenario,
        data_sets,
        exported,
        more.get("fixtures", []),
        specs=more.get("specs"),
        elsewhere=more.get("elsewhere", ()),
    )
    return [str(problem) for problem in problems]


def test_check_scenario_names_that_are_given_are_fine() -> None:
    """Steps before, data, exports, fixtures, and all that the engine gives itself."""
    assert (
        told(
            {"alias": "place", "inputTemplate": {"body": "{{data.amount}} {{correlationId}} {{run.id}}"}},
            {"inputTemplate": {"path": {"id": "{{step.place.response.body.id}}"}}, "until": "response.body.ok"},
            {"inputTemplate": {"body": ["{{suite.orderId}}", "{{fixture.price}}", "{{data.x | default(1)}}"]}},
            data={"amount": 1},
            exported=["orderId"],
            fixtures=["price"],
        )
        == []
    )


def test_check_scenario_step_that_comes_later_or_never_is_told() -> None:
    """A step can read only what came before it in this very scenario."""
    assert told(
        {"alias": "read", "inputTemplate": {"body": "{{step.plce.id}}"}},
        {"alias": "place"},
        {"inputTemplate": {"body": "{{step.plce.id}}"}},
    ) == [
        (
            "order.orchestra.yaml:7:5: 'step.plce.id' is read, but the scenario before 'read' has no 'plce'\n"
            "hint: there is nothing"
        ),
        (
            "order.orchestra.yaml:7:5: 'step.plce.id' is read, but the scenario before 'step_2' has no 'plce'\n"
            "hint: did you mean 'place'?"
        ),
    ]


def test_check_scenario_data_export_and_fixture_that_nobody_gives_are_told() -> None:
    """Each is told with who should have given it."""
    assert told(
        {"businessRules": ["response.body.total == data.amuont"], "headers": {"a": "{{suite.id}}{{fixture.x}}"}},
        data={"amount": 1},
        exported=[],
    ) == [
        (
            "order.orchestra.yaml:7:5: 'fixture.x' is read, but the sidecar's list of fixtures has no 'x'\n"
            "hint: add it to 'fixtures'"
        ),
        (
            "order.orchestra.yaml:7:5: 'suite.id' is read, but the suite's context has no 'id'\n"
            "hint: let a step export it with 'exportAs'"
        ),
        (
            "order.orchestra.yaml:7:5: 'data.amuont' is read, but data set 'small' has no 'amuont'\n"
            "hint: did you mean 'amount'?"
        ),
    ]


def test_check_scenario_field_that_an_earlier_reply_does_not_have_is_told() -> None:
    """By the specification of the service that was called; what the step guards itself is left alone."""
    order = {"type": "object", "properties": {"id": {"type": "string"}, "lines": {"items": {"type": "object"}}}}
    responses = (ResponseSpec("201", media_types=(MediaType("application/json", SchemaRef("urn:orders#")),)),)
    operation = Operation("any", "POST", "/orders", responses=responses)
    spec = ProtocolSpec("http", "orders", version="1", operations=(operation,), documents={"urn:orders": order})
    found = told(
        {"alias": "place"},
        {"inputTemplate": {"path": {"id": "{{step.place.response.body.idd}}", "n": "{{step.place.response.body.id}}"}}},
        {"headers": {"a": "{{step.place.response.body.more | default('')}}", "b": "{{steps.place.response.bodi.id}}"}},
        {"businessRules": ["response.body.id == step.place.response.body.lines[0].anything"]},
        specs={"orders": spec},
    )
    assert found == [
        (
            "order.orchestra.yaml:7:5: 'step.place.response.body.idd' is read, but 'body.idd' is no field of the reply "
            "of 'orders.any'\nhint: did you mean 'id'?"
        ),
        (
            "order.orchestra.yaml:7:5: 'steps.place.response.bodi.id' is read, but a reply has no 'bodi'\n"
            "hint: did you mean 'body'?"
        ),
    ]


def test_check_scenario_tells_once_what_many_data_sets_lack() -> None:
    """A typo is one problem, however many data sets there are."""
    definition = step(headers={"a": "{{data.ordr}}"})
    data_sets = {name: TestDataSet(name, {"order": name}) for name in ("a", "b", "c", "d", "e")}
    data_sets["e"] = TestDataSet("e", {"ordr": 1})
    steps = (ScenarioStep(0, "ask", "", "task_0", definition),)
    scenario = TestScenario(key="main", name="main", data_sets=tuple(data_sets), steps=steps)
    [problem] = check_scenario(scenario, data_sets, [], [])
    assert str(problem) == (
        "order.orchestra.yaml:7:5: 'data.ordr' is read, but data sets 'a', 'b', 'c' and 1 more have no 'ordr'\n"
        "hint: did you mean 'order'?"
    )


def test_check_scenario_exports_of_other_files_are_not_guessed_at() -> None:
    """Where another file may export, nothing is said."""
    assert told({"headers": {"a": "{{suite.id}}"}}, exported=None) == []


def test_check_syntax_tells_a_broken_template_at_its_step() -> None:
    """A template that cannot be compiled is told before the run."""
    [problem] = check_syntax(step(inputTemplate={"body": "{{data.}}"}))
    assert str(problem).startswith("order.orchestra.yaml:7:5: ")
    assert check_syntax(step(until="response.body.ok")) == []


def test_check_scenario_step_that_is_named_and_not_there_is_told() -> None:
    """A barrier that tracks nobody would pass at once; one that tracks a step of another branch is right."""
    wait = {"kind": "BARRIER", "alias": "wait", "trackedSteps": ["lefft", "right", "later"]}
    look = {"alias": "look", "until": "true", "causedBy": "acct"}
    assert told({"alias": "left"}, wait, {"alias": "later"}, look, elsewhere=["right"]) == [
        f"order.orchestra.yaml:7:5: {fact}\nhint: {hint}"
        for fact, hint in (
            ("'trackedSteps' of step 'wait' names 'lefft', which no step is called", "did you mean 'left'?"),
            ("'trackedSteps' of step 'wait' names 'later', which does not come before it", "there is 'left'"),
            ("'causedBy' of step 'look' names 'acct', which no step is called", "there is 'left', 'wait', 'later'"),
        )
    ]
