"""Thresholds of coverage in a session: a red item for the file, in every report, with and without xdist."""

from __future__ import annotations

from typing import Any

import pytest
from orders_service import SIDECAR, bpmn

LOST = "<task id='lost' name='Lost'/>"
BOUND = SIDECAR.replace("bindings:", "bindings:\n  Lost: []")
MESSAGE = "node coverage is 80 % (4 of 5), below the 100 % {} of 'order': not 'lost' (cannot be reached from a start)"
OPTION = "that --orchestra-coverage-threshold requires"


def lose(project: Any, sidecar: str = BOUND) -> None:
    """Write the order project with a task that nothing leads to."""
    project.orders(sidecar=sidecar)
    (project.path / "order.bpmn").write_text(bpmn(["Place order", "Order paid"], extra=LOST))


def test_threshold_of_the_sidecar_that_is_not_reached_fails_the_session(project: Any) -> None:
    """One red item says what is missing and where the threshold stands; the scenarios run all the same."""
    lose(project, BOUND + "coverage: [node]\nthresholds: {node: 100}\n")
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(passed=1, errors=1)
    line = BOUND.count("\n") + 2
    result.stdout.fnmatch_lines(
        [
            f"order.orchestra.yaml:{line}:14: {MESSAGE.format('required')}",
            "hint: mend the model or its data, or lower the threshold of 'node'",
            f"ERROR order.bpmn::coverage - order.orchestra.yaml:{line}:14: node coverage is 8*",
        ]
    )


@pytest.mark.parametrize("given", ["node=100", "100"])
def test_threshold_for_all_files_fails_the_session_by_option_and_configuration(project: Any, given: str) -> None:
    """The option, the ini value and the table of the project say the same."""
    lose(project, BOUND + "coverage: [node]\n")
    result = project.run(f"--orchestra-coverage-threshold={given}")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"order.bpmn: {MESSAGE.format(OPTION)}"])
    (project.path / "pytest.ini").write_text(
        f"[pytest]\nasyncio_default_fixture_loop_scope = function\norchestra_coverage_threshold = {given}\n"
    )
    (project.path / "tox.ini").unlink(missing_ok=True)
    project.run().assert_outcomes(passed=1, errors=1)


def test_threshold_that_is_reached_says_nothing(project: Any) -> None:
    """No item more than there are scenarios."""
    project.orders()
    result = project.run("--orchestra-coverage-threshold=100")
    assert result.ret == 0
    result.assert_outcomes(passed=1)


def test_threshold_under_xdist_is_one_red_item_too(project: Any) -> None:
    """The worker that has the scenarios has it."""
    lose(project, BOUND + "coverage: [node]\n")
    result = project.run("-n", "2", "--orchestra-coverage-threshold=100")
    assert result.ret == 1
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            f"order.bpmn: {MESSAGE.format(OPTION)}",
            "ERROR order.bpmn::coverage - order.bpmn: node coverage is 80 % (4 of 5), belo*",
        ]
    )


def test_selection_of_scenarios_leaves_the_threshold_out(project: Any) -> None:
    """Who runs one scenario does not ask about all of them; who asks for the item gets it."""
    lose(project, BOUND + "coverage: [node]\n")
    one = project.run("--orchestra-coverage-threshold=100", "-k", "main")
    assert one.ret == 0
    one.assert_outcomes(passed=1, deselected=1)
    project.run("--orchestra-coverage-threshold=100", "order.bpmn::coverage").assert_outcomes(errors=1)


def test_threshold_of_what_a_file_does_not_cover_is_an_error(project: Any) -> None:
    """A gate that nobody measures is no gate."""
    project.orders()
    result = project.run("--orchestra-coverage-threshold=node=10")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "order.bpmn: node coverage of 'order' is not measured, and 10 % are required",
            "hint: add 'node' to 'coverage', or take it out of --orchestra-coverage-threshold",
        ]
    )


def test_wrong_threshold_is_wrong_usage(project: Any) -> None:
    """Told before anything is collected."""
    project.orders()
    result = project.run("--orchestra-coverage-threshold=edges=10")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --orchestra-coverage-threshold: 'edges' is not known", "hint: choose of *"])
