"""What goes wrong around scenarios: it is told clearly, and no scenario is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from orders_service import SIDECAR

ROWS = {"one": {"amount": 1}, "two": {"amount": 2}, "three": {"amount": 3}}

PROTOCOL = """
import os
from pathlib import Path
import pytest
from pytest_orchestra.protocols.http import HttpProtocol

class Adverse(HttpProtocol):
    async def execute(self, call, specs):
        if call.alias == "place" and call.input["body"]["amount"] == 2:
            {act}
        return await super().execute(call, specs)

    async def close(self):
        await super().close()
        {close}

def pytest_orchestra_protocols(config):
    return [Adverse()]
"""

LISTENER = """
class Fragile:
    def on_event(self, event):
        if type(event).__name__ == "RunFinished":
            raise ValueError("no disk")

def pytest_orchestra_listeners(config):
    return [Fragile()]
"""


def adverse(project: Any, act: str = "pass", close: str = "pass") -> None:
    project.orders(ROWS)
    project.write(conftest_dot_py=PROTOCOL.format(act=act, close=close))


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("raise SystemExit(3)", "*protocol 'HTTP_REST' raised SystemExit(3)*"),
        ("import asyncio; raise asyncio.CancelledError", "*protocol 'HTTP_REST' raised CancelledError()*"),
        ("pytest.fail('not so')", "*Failed: not so*"),
    ],
)
def test_session_protocol_that_raises_what_is_no_exception_errors_its_scenario_only(
    project: Any, act: str, told: str
) -> None:
    """Nothing that a protocol raises ends the session or another scenario."""
    adverse(project, act)
    result = project.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([told])


def test_session_interrupt_inside_a_protocol_ends_the_session_as_one(project: Any) -> None:
    """The second Ctrl-C, which strikes the code that blocks the loop, leaves no traceback of asyncio's behind."""
    adverse(project, "raise KeyboardInterrupt")
    result = project.run(apart=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*! KeyboardInterrupt !*"])
    result.stderr.no_fnmatch_line("*never retrieved*")
    result.stdout.no_fnmatch_line("orchestra: closing*")


def test_session_protocol_that_cannot_close_is_told_and_results_stay(project: Any) -> None:
    """What fails when all is over is one line, and no error of pytest's own."""
    adverse(project, close="raise ValueError('still busy')")
    result = project.run()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["orchestra: closing the session raised ValueError: still busy"])


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_session_listener_that_raises_is_told_and_changes_no_outcome(project: Any, workers: list[str]) -> None:
    """A listener only listens: without it the session goes on, and the user reads why, over xdist as well."""
    project.orders(ROWS)
    project.write(conftest_dot_py=LISTENER)
    result = project.run(*workers)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["orchestra: listener 'Fragile' raised ValueError at RunFinished and hears no more: no disk"]
    )


def test_session_crashed_worker_leaves_no_scenario_unrun(project: Any) -> None:
    """The worker that takes over carries out what the crashed one had begun or not, though the store knows it."""
    mark = "mark = Path(__file__).with_name('crashed'); crashed = mark.exists(); mark.touch(); crashed or os._exit(1)"
    adverse(project, mark)
    result = project.run("-n", "2", store="embedded")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["worker 'gw?' crashed while running 'order.bpmn::main[[]*", "scenarios     3 passed"])
    assert sorted(path.name for path in (project.path / ".orchestra").glob("crashed-*")) == []


def test_session_worker_that_crashes_behind_its_last_run_leaves_no_gap(project: Any) -> None:
    """A scenario that is told again counts once, and the controller ends the SuiteRun that no worker could end."""
    project.orders({"row": {"amount": 1}})
    project.write(
        conftest_dot_py="import os, pathlib, pytest\n\n"
        "def die_once(config, name):\n"
        "    mark = pathlib.Path(__file__).with_name(name)\n"
        "    if hasattr(config, 'workerinput') and not mark.exists():\n"
        "        mark.touch()\n        os._exit(1)\n\n"
        "def pytest_runtest_teardown(item):\n    die_once(item.config, 'torn-down')\n\n"
        "@pytest.hookimpl(wrapper=True)\ndef pytest_runtestloop(session):\n"
        "    result = yield\n"
        "    if session.config.pluginmanager.getplugin('orchestra-reporting')._orchestra.is_started:\n"
        "        die_once(session.config, 'over')\n"
        "    return result\n"
    )
    result = project.run("-n", "1", "--orchestra-suite-run=crashed", store="embedded")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["scenarios     1 passed"])
    assert sorted(path.name for path in project.path.iterdir() if path.name in ("torn-down", "over")) == [
        "over",
        "torn-down",
    ]
    command = [sys.executable, "-m", "pytest_orchestra", "history", "--format", "json"]
    listed = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=True)
    assert [(each["key"], each["status"]) for each in json.loads(listed.stdout)] == [("crashed", "PASSED")]


def test_session_fixture_that_is_not_there_is_told_by_name(project: Any) -> None:
    """A typo in 'fixtures' is told without a frame of ours."""
    project.orders(sidecar=SIDECAR + "fixtures: [warehose]\n")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["order.bpmn::main[[]small[]]: no fixture 'warehose'", "hint: define it in a conftest.py*"]
    )
    result.stdout.no_fnmatch_line("*adapter.py*")


def test_session_fixture_with_params_is_refused_with_a_hint(project: Any) -> None:
    """Only pytest's own functions can be multiplied by params; scenarios have data sets."""
    project.orders(sidecar=SIDECAR + "fixtures: [warehouse]\n")
    project.write(
        conftest_dot_py="import pytest\n\n"
        "@pytest.fixture(scope='session', params=[1, 2])\ndef warehouse(request):\n    return request.param\n"
    )
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "order.bpmn::main[[]small[]]: fixture 'warehouse' has params, which scenarios do not have",
            "hint: write a data set for each, or give it no params",
        ]
    )


def test_session_fixture_that_exits_errors_its_scenario(project: Any) -> None:
    """SystemExit in a fixture of the session is an error of the item that asked, as it is in core."""
    project.orders(sidecar=SIDECAR + "fixtures: [warehouse]\n")
    project.write(
        conftest_dot_py="import pytest\n\n@pytest.fixture(scope='session')\ndef warehouse():\n    raise SystemExit(3)\n"
    )
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["order.bpmn::main[[]small[]]: a fixture raised SystemExit(3)"])


def test_session_strict_xfail_that_passes_says_so(project: Any) -> None:
    """A scenario that passes against its strict xfail fails with core's words."""
    project.orders()
    project.write(
        conftest_dot_py="import pytest\n\ndef pytest_collection_modifyitems(items):\n"
        "    items[0].add_marker(pytest.mark.xfail(reason='known', strict=True))\n"
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["[[]XPASS(strict)[]] known", "FAILED order.bpmn::main[[]small[]] - [[]XPASS(strict)[]] known"]
    )


def test_session_without_capture_plugin_runs(project: Any) -> None:
    """The plugin needs none of core's optional plugins."""
    project.orders()
    project.run("-p", "no:capture", "-p", "no:logging", "-p", "no:warnings", "-p", "no:assertion").assert_outcomes(
        passed=1
    )


def test_session_repeated_arguments_run_a_scenario_once(project: Any) -> None:
    """A scenario is one run of its SuiteRun, however often the arguments name it; nothing vanishes without a word."""
    project.orders(ROWS)
    result = project.run("--keep-duplicates", ".", ".", "order.bpmn::main[one]")
    result.assert_outcomes(passed=3, deselected=4)


def test_session_two_equal_environment_files_are_no_contradiction(project: Any) -> None:
    """Environments are compared by what they say and not by where."""
    for folder in ("north", "south"):
        project.orders()
        (project.path / folder).mkdir()
        for name in ("order.bpmn", "order.orchestra.yaml", "orders.json", "environments.yaml", "data"):
            (project.path / name).rename(project.path / folder / name)
    text = (project.path / "south" / "environments.yaml").read_text()
    (project.path / "south" / "environments.yaml").write_text(f"# the same\n{text}")
    project.run().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool]\norchestra = 3\n", "*'tool.orchestra' is no table"),
        ("[tool.orchestra]\norchestra = true\n", "*unknown key 'orchestra' in [[]tool.orchestra[]]"),
        ("[tool.orchestra]\nconcurrency = 3.5\n", "*concurrency: '3.5' is not a whole number"),
        ("[tool.orchestra]\nheartbeat = true\n", "*heartbeat: 'True' is not a number"),
    ],
)
def test_session_wrong_project_table_is_a_usage_error(project: Any, text: str, told: str) -> None:
    """What [tool.orchestra] cannot mean is refused and neither cut to size nor ignored."""
    project.orders()
    project.write(pyproject_dot_toml=text)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])
