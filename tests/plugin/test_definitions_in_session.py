"""Wrong input inside a session: each is one red item with an exact message, and everything else goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orders_service import SIDECAR, bpmn

GOOD = {"small": {"amount": 10}}


def told(result: Any) -> str:
    """Give the text between the errors' headline and the summary."""
    return str(result.stdout.str()).partition("= ERRORS =")[2].partition("short test summary info")[0]


def _with(text: str) -> str:
    return SIDECAR + text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "broken.bpmn",
            "<definitions><process></definitions>",
            "broken.bpmn:1:*",
        ),
        (
            "xxe.bpmn",
            '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>\n<x>&e;</x>',
            "xxe.bpmn:2:*DOCTYPE*",
        ),
        (
            "empty.bpmn",
            "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL' targetNamespace='t'/>",
            "empty.bpmn:1:*no process*",
        ),
    ],
)
def test_broken_process_file_is_one_red_item_beside_good_ones(
    project: Any, name: str, content: str, message: str
) -> None:
    """A file that cannot be used costs itself only."""
    project.orders(GOOD)
    (project.path / name).write_text(content)
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([message, "hint: *"])
    assert "Traceback" not in result.stdout.str()
    result.stdout.fnmatch_lines([f"ERROR {name}::definition - {message}"])


def test_unknown_operation_in_a_binding_errors_the_scenarios_that_use_it(project: Any) -> None:
    """The message names place, operation and service, and suggests the nearest."""
    project.orders(GOOD, sidecar=SIDECAR.replace("orders.placeOrder", "orders.placeOrdr"))
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "order.orchestra.yaml:7:*: unknown operation 'placeOrdr' of service 'orders'",
            "hint: did you mean 'placeOrder'?",
        ]
    )
    assert result.parseoutcomes().keys() == {"errors"}


def test_doubt_about_a_step_that_failed_is_told_at_the_end(project: Any) -> None:
    """A rule may name a field that the specification does not have, which is known before anything runs."""
    project.orders(GOOD, sidecar=SIDECAR.replace("response.body.total ==", "response.body.totl =="))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*= orchestra =*",
            "warning: order.orchestra.yaml:7:*: 'body.totl' is no field of the reply of 'orders.placeOrder'",
            "hint: did you mean 'total'?",
        ]
    )


def test_doubt_about_a_step_that_passed_is_not_told(project: Any) -> None:
    """The service gives more than its specification says; 'orchestra verify' tells of it, a session does not."""
    rule = '"response.body.total == data.amount", "response.body.correlation == correlationId"'
    project.orders(GOOD, sidecar=SIDECAR.replace('"response.body.total == data.amount"', rule))
    result = project.run()
    result.assert_outcomes(passed=1)
    assert "is no field" not in result.stdout.str()


def test_typo_in_the_sidecar_is_told_with_line_and_column(project: Any) -> None:
    """A typo of a field is told where it stands, with the nearest name."""
    project.orders(GOOD, sidecar=_with("maxLoopIteration: 2\n"))
    result = project.run()
    result.assert_outcomes(errors=1)
    line = SIDECAR.count("\n") + 1
    result.stdout.fnmatch_lines(
        [f"order.orchestra.yaml:{line}:1: unknown field 'maxLoopIteration'", "hint: did you mean 'maxLoopIterations'?"]
    )


def test_unknown_element_in_a_binding_is_told_and_the_rest_runs(project: Any) -> None:
    """A binding of an element that is not there is an error of the file; the scenarios that can run do."""
    project.orders(GOOD, sidecar=SIDECAR.replace("bindings:", "bindings:\n  Place ordr: []"))
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "order.orchestra.yaml:6:3: the process has no element 'Place ordr' to bind steps to",
            "hint: did you mean 'Place order'?",
        ]
    )


def test_unbound_task_errors_its_scenarios(project: Any) -> None:
    """A task that is bound to nothing is no green scenario; an empty list says that nothing is to be done."""
    project.orders(GOOD)
    (project.path / "order.bpmn").write_text(bpmn(["Place order", "Order paid", "Ship it"]))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*task 'Ship it' is bound to no step*"])
    (project.path / "order.orchestra.yaml").write_text(SIDECAR.replace("bindings:", "bindings:\n  Ship it: []"))
    project.run().assert_outcomes(passed=1)


def test_undefined_template_variable_errors_the_item_with_the_nearest_name(project: Any) -> None:
    """A name that the data set does not have is told with what it has."""
    project.orders(GOOD, sidecar=SIDECAR.replace("{{data.amount}}", "{{data.amuont}}"))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'amuont' is not in 'data'*", "*hint: did you mean 'amount'?"])


def test_duplicate_data_set_name_is_told_with_both_places(project: Any) -> None:
    """Two data sets of one name are an error that names both."""
    project.orders(GOOD)
    project.write(data__more_dot_json=json.dumps([{"name": "small", "data": {}}]))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["data/rows.json:1:15: data set 'small' is at data/more.json:1:2 already", "hint: rename one of them"]
    )


def test_dependency_circle_errors_its_members_and_nobody_else(project: Any) -> None:
    """A circle is told with the way round; scenarios outside it run."""
    sidecar = _with("scenarios:\n  - {key: a, dependsOn: [b]}\n  - {key: b, dependsOn: [a]}\n  - {key: c}\n")
    project.orders(GOOD, sidecar=sidecar)
    result = project.run()
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*scenarios depend on each other in a circle: 'a[[]small[]]' -> 'b[[]small[]]' -> 'a[[]small[]]'",
            "hint: remove one 'dependsOn' of the circle",
        ]
    )


def test_unknown_dependency_is_told_with_the_nearest_key(project: Any) -> None:
    """A prerequisite that is not defined anywhere is an error of the scenario that names it."""
    project.orders(GOOD, sidecar=_with("scenarios:\n  - {key: first}\n  - {key: second, dependsOn: [frist]}\n"))
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*depends on unknown scenario 'frist'", "hint: did you mean 'first'?"])


def test_dependency_on_data_that_its_scenario_does_not_have_is_told(project: Any) -> None:
    """Such a run never comes, whatever is selected: to skip for want of it would hide the slip of the pen."""
    project.orders(GOOD, sidecar=_with("scenarios:\n  - {key: a}\n  - {key: b, dependsOn: ['a[smal]']}\n"))
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*: depends on 'a[[]smal[]]', but 'a' has no data set 'smal'", "hint: its data sets are 'small'"]
    )


def test_dependency_passes_data_and_a_failed_one_skips(project: Any) -> None:
    """ExportAs and suite carry data to the dependant; when the prerequisite fails, it is skipped with the reason."""
    sidecar = _with(
        "scenarios:\n  - {key: first, dataSets: [small]}\n  - {key: second, dependsOn: [first], dataSets: [small]}\n"
    ).replace("expectedStatusCode: 202", "expectedStatusCode: 202\n    exportAs: {orderId: response.body.id}")
    project.orders(GOOD, sidecar=sidecar)
    project.run().assert_outcomes(passed=2)
    project.orders({"small": {"amount": 13}}, sidecar=sidecar)
    result = project.run("-rs")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*it depends on 'order.bpmn::first[[]small[]]', which ended as FAILED"])


def test_dependency_that_is_not_selected_skips_with_the_reason(project: Any) -> None:
    """With ``--orchestra-deps=skip``, a prerequisite that the selection leaves out is named."""
    project.orders(GOOD, sidecar=_with("scenarios:\n  - {key: first}\n  - {key: second, dependsOn: [first]}\n"))
    result = project.run("-k", "second", "-rs", "--orchestra-deps=skip")
    result.assert_outcomes(skipped=1, deselected=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED*it depends on 'order.bpmn::first[[]small[]]', which is not part of this session"]
    )


def test_environment_without_the_service_errors_with_the_nearest_alias(project: Any) -> None:
    """An alias that the environment does not have is told with what it has."""
    project.orders(GOOD)
    project.write(environments_dot_yaml=f"local:\n  services: {{order: '{project.orders_url}'}}\n")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'orders'*", "*did you mean 'order'?*"])


def test_unknown_environment_is_told(project: Any) -> None:
    """An environment that is not in the file is an error of every scenario, with the names that are."""
    project.orders(GOOD)
    result = project.run("--orchestra-environment=stage")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no environment 'stage'*", "*environments: local*"])


def test_wrong_option_is_a_usage_error(project: Any) -> None:
    """A value that cannot be is told before anything runs, as pytest tells its own."""
    project.orders(GOOD)
    result = project.run("--orchestra-concurrency=many")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --orchestra-concurrency: 'many' is not a whole number", "hint: for example 32"]
    )


def test_unknown_key_in_pyproject_is_a_usage_error(project: Any) -> None:
    """A typo in [tool.orchestra] is told with the nearest key."""
    project.orders(GOOD)
    project.write(pyproject_dot_toml="[tool.orchestra]\nconcurency = 3\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*unknown key 'concurency' in [[]tool.orchestra[]]", "hint: did you mean 'concurrency'?"]
    )


def test_settings_come_from_pyproject(project: Any) -> None:
    """[tool.orchestra] holds options as the command line does."""
    project.orders(GOOD)
    project.write(pyproject_dot_toml="[tool.orchestra]\nconcurrency = 3\nsuite-run = 'mine'\n")
    project.run().stdout.fnmatch_lines(["orchestra: suite run mine, store memory, concurrency 3"])


def test_store_that_cannot_be_opened_errors_every_scenario_and_tells_no_password(project: Any) -> None:
    """Python tests still run; every scenario says what is wrong with the store."""
    project.orders(GOOD)
    project.write(test_python_dot_py="def test_it(): pass\n")
    result = project.run(store="postgresql://nobody:secret@127.0.0.1:9/x")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*127.0.0.1:9*"])
    assert "secret" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("configuration", "options", "lines"),
    [
        (
            "",
            ["--orchestra", "--orchestra-store=mysql://me:secret@x"],
            [
                "ERROR: store: unknown store 'mysql://...'",
                "hint: choose --orchestra-store=embedded, --orchestra-store=memory or --orchestra-store=postgresql://...",
            ],
        ),
        (
            "",
            ["--orchestra", "--orchestra-resume", "--orchestra-store=memory"],
            ["ERROR: --orchestra-resume: store 'memory' keeps no runs", "hint: resume with the store of the session"],
        ),
        ("", ["--orchestra-resume"], ["ERROR: --orchestra-resume: no scenario runs without --orchestra"]),
        ("", ["--orchestra-store=memory"], ["ERROR: --orchestra-store: no scenario runs without --orchestra"]),
        (
            "orchestra_concurrency = many\n",
            ["--orchestra"],
            ["ERROR: orchestra_concurrency: *'many'*", "hint: mend pytest's configuration"],
        ),
    ],
)
def test_options_that_cannot_mean_anything_are_usage_errors(
    pytester: pytest.Pytester, loaded: None, configuration: str, options: list[str], lines: list[str]
) -> None:
    """A slip in a command stops it at once, with the exit code for that; it does not paint every scenario red."""
    pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = function\n{configuration}")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(lines)
    assert "secret" not in result.stdout.str() + result.stderr.str()


def test_options_that_serve_fixtures_or_stand_in_a_configuration_need_no_switch(project: Any) -> None:
    """Python tests use environments too, and a configuration is for sessions of both kinds."""
    project.orders(GOOD)
    project.write(
        pytest_dot_toml="[pytest]\nasyncio_default_fixture_loop_scope = 'function'\n"
        "addopts = ['--orchestra-retries=1']\norchestra_store = 'memory'\n",
        test_python_dot_py="def test_it(orchestra_environment): assert orchestra_environment.name == 'local'\n",
    )
    result = project.pytester.runpytest_inprocess("-p", "no:cacheprovider", "--orchestra-environment=local")
    result.assert_outcomes(passed=1)


def test_scenario_without_steps_is_skipped_with_the_reason(project: Any) -> None:
    """What does nothing would pass whatever the system does: a model alone, and a path on which nothing is bound."""
    project.orders(GOOD, sidecar="bindings: {Place order: [], Order paid: []}\n")
    project.pytester.path.joinpath("bare.bpmn").write_text(project.path.joinpath("order.bpmn").read_text())
    result = project.run("-rs")
    result.assert_outcomes(skipped=2)
    reason = "no step is bound on its path: it would pass whatever the system does"
    result.stdout.fnmatch_lines([f"SKIPPED * {reason}"])


def test_project_that_can_only_be_read_is_run_all_the_same(project: Any) -> None:
    """Nothing of a session needs the folder of the project to be writable; a file in its place is as bad as a lock."""
    project.orders(GOOD)
    project.path.joinpath(".orchestra").write_text("in the way")
    project.run().assert_outcomes(passed=1)
    project.run("-n", "1").assert_outcomes(passed=1)


def test_scenario_that_no_data_set_fits_errors_with_its_conditions(project: Any) -> None:
    """A path without data is red and says what data it needs; the others run."""
    project.orders(GOOD, sidecar=_with("witnesses: false\n"))
    _decide_by_amount(project)
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "order.bpmn:1:*: no data set fits scenario 'big': none satisfies '${amount > 500}'",
            "hint: add a data set for it",
        ]
    )


def test_scenario_that_no_data_set_fits_runs_with_data_that_is_made_for_it(project: Any) -> None:
    """What the path needs is set, and what another data set has besides is kept: here that orders settle at once."""
    sidecar = SIDECAR.replace("data.settle | default(0)", "data.settle")
    project.orders({"small": {"amount": 10, "settle": 0}}, sidecar=sidecar)
    _decide_by_amount(project, "task_0")
    result = project.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["order.bpmn::small[[]small[]] PASSED*", "order.bpmn::big[[]big[]] PASSED*"])


def _decide_by_amount(project: Any, target: str = "task_1") -> None:
    """Let a gateway before the first task ask for the amount."""
    text = bpmn(["Place order", "Order paid"])
    text = text.replace(
        "<sequenceFlow id='flow_0' sourceRef='start' targetRef='task_0'/>",
        "<exclusiveGateway id='large' default='small'/><sequenceFlow id='flow_0' sourceRef='start' targetRef='large'/>"
        "<sequenceFlow id='small' name='small' sourceRef='large' targetRef='task_0'/><sequenceFlow id='big' name='big' "
        f"sourceRef='large' targetRef='{target}'><conditionExpression>${{amount > 500}}</conditionExpression>"
        "</sequenceFlow>",
    )
    (project.path / "order.bpmn").write_text(text)
