"""JUnit XML, as pytest writes it, read back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.reporting.junit import JUnitSteps, find_log_xml, record_steps, user_properties


@pytest.fixture(scope="module")
def run_junit(run_outcomes):
    """Give what runs a session that writes JUnit XML and gives its output and its test suite."""

    def run(folder, *options, outcomes):
        output = run_outcomes(folder, "--junitxml=junit.xml", *options, outcomes=outcomes)
        return output, ET.parse(folder / "junit.xml").getroot().find("testsuite")

    return run


@pytest.fixture(scope="module")
def outcomes(passed, failed, faulty, flaky, expected_failure, evil, skipped):
    """Give all kinds of outcomes."""
    return [passed, failed, faulty, flaky, expected_failure, evil, skipped]


@pytest.fixture(scope="module")
def evil(failed, make_run):
    """Give a failed run with text that XML, or UTF-8, does not have."""
    place, shipped, reserved = failed.steps
    shipped = replace(shipped, violations=(replace(shipped.violations[0], message="got '\x00\x1b[31m\ud800<&\"'"),))
    run = make_run("large-order", "evil", RunStatus.FAILED, 1_062)
    return replace(failed, run=run, steps=(place, shipped, reserved))


@pytest.fixture(scope="module")
def session(run_junit, tmp_path_factory, outcomes):
    """Give the output and the XML of a session that writes steps as test cases."""
    return run_junit(tmp_path_factory.mktemp("junit"), "--junit-steps=testcases", outcomes=outcomes)


@pytest.fixture(scope="module")
def steps(session):
    """Give the test cases of steps by class name and name."""
    found = {(case.get("classname"), case.get("name")): case for case in session[1].findall("testcase")}
    return {key: case for key, case in found.items() if key[0] != "order.bpmn"}


def _totals(suite):
    return {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}


def _counted(suite):
    cases = suite.findall("testcase")
    tags = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": len(cases)} | {name: sum(c.find(tag) is not None for c in cases) for name, tag in tags.items()}


def _properties(case):
    return {each.get("name"): each.get("value") for each in case.iter("property")}


def test_user_properties_of_a_failed_run_name_run_data_and_violations(failed):
    """The properties of a scenario are short and lead to everything else."""
    assert user_properties(replace(failed, queued_s=1.23456)) == [
        ("orchestra.run_id", "run-large-order-vip"),
        ("orchestra.correlation_id", "corr-large-order-vip"),
        ("orchestra.status", "FAILED"),
        ("orchestra.environment", "local"),
        ("orchestra.data_set", "vip"),
        ("orchestra.queued_s", 1.235),
        ("orchestra.violations", "TIMEOUT"),
    ]


def test_user_properties_of_a_passed_run_tell_its_settling_times(passed):
    """Settling times are in the properties, in the order of the steps."""
    assert ("orchestra.settling_times", "shipped=430 ms, reserved=450 ms") in user_properties(passed)


def test_user_properties_of_a_scenario_without_data_have_no_data_set(passed):
    """What there is not is not told."""
    names = [name for name, _ in user_properties(replace(passed, run=replace(passed.run, data_set=None)))]
    assert "orchestra.data_set" not in names
    assert "orchestra.violations" not in names


def test_record_steps_as_properties_adds_no_test_case(run_junit, tmp_path, passed, failed):
    """By default, the XML has one test case for each scenario, with its properties."""
    output, suite = run_junit(tmp_path, outcomes=[passed, failed])
    assert "1 failed, 1 passed" in output
    assert _totals(suite) == {"tests": 2, "failures": 1, "errors": 0, "skipped": 0}
    (case,) = [case for case in suite.findall("testcase") if case.get("name") == "large-order[vip]"]
    assert _properties(case)["orchestra.correlation_id"] == "corr-large-order-vip"
    assert _properties(case)["orchestra.violations"] == "TIMEOUT"


def test_record_steps_as_test_cases_keeps_all_totals_right(session):
    """Each step is a test case, the XML's totals count what is in it, and the terminal counts scenarios."""
    output, suite = session
    assert "2 failed, 2 passed, 1 skipped, 1 xfailed, 1 error" in output
    assert _totals(suite) == _counted(suite)
    assert _totals(suite) == {"tests": 27, "failures": 4, "errors": 2, "skipped": 10}


def test_record_steps_under_xdist_writes_the_same(run_junit, tmp_path, session, outcomes):
    """The controller makes of reports from workers what one process makes, and keeps the terminal's totals."""
    output, suite = run_junit(tmp_path, "--junit-steps=testcases", "-n", "2", outcomes=outcomes)
    assert "2 failed, 2 passed, 1 skipped, 1 xfailed, 1 error" in output
    assert _totals(suite) == _totals(session[1])
    assert {_essence(case) for case in suite.findall("testcase")} == {
        _essence(case) for case in session[1].findall("testcase")
    }


def _essence(case):
    """Give of a test case what is not another in every session; durations of scenarios are the session's own."""
    time = None if case.get("classname") == "order.bpmn" else case.get("time")
    verdict = tuple((child.tag, child.get("message")) for child in case if child.tag != "properties")
    return case.get("classname"), case.get("name"), time, verdict, tuple(_properties(case).items())


def test_record_steps_groups_steps_by_file_and_scenario(steps):
    """Steps of one scenario share a class name, are numbered in order and have their own durations."""
    assert [(*key, case.get("time")) for key, case in steps.items()][:6] == [
        ("order.bpmn.small-order[vip]", "1 place", "0.042"),
        ("order.bpmn.small-order[vip]", "2 shipped", "0.438"),
        ("order.bpmn.small-order[vip]", "3 reserved", "0.020"),
        ("order.bpmn.large-order[vip]", "1 place", "0.042"),
        ("order.bpmn.large-order[vip]", "2 shipped", "1.020"),
        ("order.bpmn.large-order[vip]", "3 reserved", "0.000"),
    ]


def test_record_steps_tells_a_violation_as_failure(steps):
    """The message is the violation, the text is all the evidence."""
    failure = steps["order.bpmn.large-order[vip]", "2 shipped"].find("failure")
    assert failure.get("message") == (
        "TIMEOUT: 'response.body.status == 'SHIPPED'' did not hold within 1000 ms, looked 12 times"
    )
    assert "150 ms  PAID (x9, last at 1.01 s)" in failure.text
    assert "curl -sS -H 'X-Correlation-ID: corr-large-order-vip' http://127.0.0.1:8000/orders/7" in failure.text


def test_record_steps_tells_a_step_that_was_not_reached_as_skipped(steps):
    """The message is the reason."""
    skipped = steps["order.bpmn.large-order[vip]", "3 reserved"].find("skipped")
    assert skipped.get("message") == "step 'shipped' failed before it"


def test_record_steps_tells_a_fault_as_error(steps):
    """A fault of ours is no failure of the system under test; its message has the hint."""
    case = steps["order.bpmn.small-order[no-service]", "1 place"]
    assert case.find("failure") is None
    assert case.find("error").get("message") == (
        "environments.yaml:3: nothing listens at '127.0.0.1:9'\nhint: start the service"
    )
    assert case.get("time") == "0.042"


def test_record_steps_gives_steps_their_properties(steps):
    """A step's test case names its diagram element, its settling time and its polls, and whether it is flaky."""
    assert _properties(steps["order.bpmn.small-order[vip]", "2 shipped"]) == {
        "orchestra.element": "Event_Shipped",
        "orchestra.kind": "ASSERTION",
        "orchestra.settling_time_ms": "430",
        "orchestra.polls": "4",
    }
    assert _properties(steps["order.bpmn.small-order[flaky]", "1 place"])["orchestra.status"] == "FLAKY"


def test_record_steps_of_a_scenario_expected_to_fail_fails_nothing(steps):
    """The steps of an xfailed scenario do not turn a green session red."""
    case = steps["order.bpmn.large-order[known-defect]", "2 shipped"]
    assert case.find("failure") is None
    assert case.find("skipped").get("type") == "pytest.xfail"


def test_record_steps_escapes_what_xml_does_not_allow(steps):
    """Control characters and lone surrogates from a service leave the XML well formed."""
    failure = steps["order.bpmn.large-order[evil]", "2 shipped"].find("failure")
    assert failure.get("message") == "TIMEOUT: got '\\u0000\\u001b[31m\\ud800<&\"'"


def test_find_log_xml_without_junit_xml_gives_none(pytestconfig):
    """Where no XML is written there is nobody to tell, and nothing is told."""
    if pytestconfig.getoption("xmlpath"):
        pytest.skip("this session writes JUnit XML itself")
    assert find_log_xml(pytestconfig) is None
    report = pytest.TestReport("order.bpmn::x", ("order.bpmn", 0, "x"), {}, "passed", None, "call")
    assert record_steps(pytestconfig, report, JUnitSteps.TESTCASES) == 0
