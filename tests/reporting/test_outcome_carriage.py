"""An outcome in a pytest report, there and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_orchestra.reporting.carriage import ATTRIBUTE, attach_outcome, outcome_of


@pytest.fixture
def report():
    """Give a report of pytest."""
    return pytest.TestReport("order.bpmn::x", ("order.bpmn", 0, "x"), {}, "passed", None, "call")


def test_outcome_of_a_report_gives_what_was_attached(report, passed, failed, faulty, skipped):
    """Nothing of an outcome is lost on its way, which is plain JSON."""
    for outcome in (passed, failed, faulty, skipped):
        attach_outcome(report, outcome)
        assert isinstance(getattr(report, ATTRIBUTE), dict)
        assert outcome_of(report) == outcome


def test_outcome_of_a_report_without_one_is_none(report):
    """Reports of Python tests carry no outcome."""
    assert outcome_of(report) is None


def test_attach_outcome_with_a_lone_surrogate_can_be_encoded(report, passed):
    """What UTF-8 does not have becomes an escape sequence that can be read."""
    place = replace(passed.steps[0], name="a\ud800\\ud800", response={"body": ["\udfff"]})
    attach_outcome(report, replace(passed, steps=(place,)))
    (carried,) = outcome_of(report).steps
    assert carried.name == "a\\ud800\\ud800"
    assert carried.response == {"body": ["\\udfff"]}


def test_outcome_of_a_report_that_stays_is_the_very_one(report, passed):
    """In one process nothing is encoded, and nothing is put into the report that another plugin could stumble over."""
    attach_outcome(report, passed, travels=False)
    assert outcome_of(report) is passed
    assert not hasattr(report, ATTRIBUTE)
