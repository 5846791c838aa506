"""Results as stores and reports get them, without secrets."""

from __future__ import annotations

from dataclasses import replace

from pytest_orchestra.data.redaction import Redactor
from pytest_orchestra.engine.results import blank_result, masked_result
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.run import StepStatus, Violation, ViolationType
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.problem import Place


def test_place_of_a_violation_is_no_secret_though_a_user_is_called_as_the_file_is() -> None:
    """A user's name by reference is masked wherever it stands, and a place that is masked leads nowhere."""
    definition = StepDefinition.model_validate({"alias": "a", "endpointRef": "orders.any"})
    definition = definition.model_copy(update={"place": Place("shop.orchestra.yaml", 5, 7)})
    step = ScenarioStep(0, "a", "", "task", definition)
    violation = Violation(ViolationType.HTTP_ERROR, "x", "shop said no", {"observed": "shop"})
    result = replace(blank_result(step, StepStatus.FAILED), violations=(violation,))
    [shown] = masked_result(step, result, Redactor([Secret("shop")])).violations
    assert shown.message == "*** said no"
    assert shown.details == {"observed": "***", "place": "shop.orchestra.yaml:5:7"}
