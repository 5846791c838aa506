"""Thresholds of coverage: read from a text, met or not, and told with what is missing."""

from __future__ import annotations

from typing import Any

import pytest
from process_text import process_of
from suites import plan

from pytest_orchestra.errors import SettingsError
from pytest_orchestra.generation.plans.thresholds import Thresholds, find_shortfalls, parse_thresholds, thresholds_json
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Place

HOME = Place("order.bpmn")
NOBODY = Thresholds()


@pytest.fixture
def suite() -> ScenarioSuite:
    """Three of four flows are covered."""
    return plan(process_of("start > a > b > end; lost > end"), criteria=[Criterion.EDGE])


def told(suite: ScenarioSuite, bindings: dict[str, Any] | None = None, text: str = "") -> list[tuple[str, str | None]]:
    bound = None if bindings is None else Bindings.model_validate(bindings)
    found = find_shortfalls(suite, bound, parse_thresholds(text, "--threshold"), HOME)
    return [(problem.message, problem.hint) for problem in found]


def test_less_than_the_threshold_is_an_error_that_says_what_is_missing(suite: ScenarioSuite) -> None:
    """Reached, required, by whom, and each goal that is missing with its reason."""
    fact = (
        "edge coverage is 75 % (3 of 4), below the 80 % that --threshold requires of 'Order': "
        "not 'lost>end' (cannot be reached from a start)"
    )
    assert told(suite, text="edge=80") == [(fact, "mend the model or its data, or lower the threshold of 'edge'")]
    assert [message for message, _ in told(suite, {"thresholds": {"edge": 80}})] == [
        fact.replace("that --threshold requires", "required")
    ]


@pytest.mark.parametrize("text", ["edge=75", "75", " edge = 75 % ", "", "0"])
def test_threshold_that_is_reached_is_met(suite: ScenarioSuite, text: str) -> None:
    """Exactly enough is enough."""
    assert told(suite, text=text) == []


def test_sidecar_goes_before_the_general_threshold(suite: ScenarioSuite) -> None:
    """What is said of one file is meant for it."""
    assert told(suite, {"thresholds": {"edge": 50}}, "edge=100") == []
    assert told(suite, {"thresholds": {"edge": 50}}, "100") == []


def test_threshold_of_what_is_not_measured_is_an_error(suite: ScenarioSuite) -> None:
    """Nobody would know whether it is met."""
    assert told(suite, text="node=10") == [
        (
            "node coverage of 'Order' is not measured, and 10 % are required",
            "add 'node' to 'coverage', or take it out of --threshold",
        )
    ]


def test_mere_number_is_for_whatever_is_measured(suite: ScenarioSuite) -> None:
    """Files with different criteria can share it."""
    assert thresholds_json(suite, None, parse_thresholds("75.5", "x")) == {
        "edge": {"required": 75.5, "reached": 75.0, "isMet": False}
    }
    assert thresholds_json(suite, None, NOBODY) == {}


def test_hundred_percent_means_all() -> None:
    """Nothing is rounded up."""
    text = ";".join(f"a{number} > a{number + 1}" for number in range(400))
    suite = plan(process_of(f"start > a0; {text}; a400 > end; lost > end"))
    facts: Any = thresholds_json(suite, None, parse_thresholds("edge=100", "x"))
    assert facts["edge"]["reached"] < 100
    assert len(told(suite, text="100")) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("edges=1", f"--threshold: 'edges' is not known\nhint: choose of {', '.join(Criterion)}"),
        ("edge=lots", "--threshold: 'edge=lots' is no criterion with a percentage\nhint: for example edge=100"),
        ("edge=101", "--threshold: 'edge=101' is no criterion with a percentage\nhint: for example edge=100"),
        ("edge=nan", "--threshold: 'edge=nan' is no criterion with a percentage\nhint: for example edge=100"),
        ("-1", "--threshold: '-1' is no criterion with a percentage\nhint: for example edge=100"),
        ("edge", "--threshold: 'edge' is no criterion with a percentage\nhint: for example edge=100"),
    ],
)
def test_wrong_text_is_told_with_an_example(text: str, message: str) -> None:
    """A criterion that there is not, a number that is none."""
    with pytest.raises(SettingsError) as raised:
        parse_thresholds(text, "--threshold")
    assert str(raised.value).startswith(message)
