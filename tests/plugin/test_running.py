"""Scenarios inside a pytest session: order, selection, fixtures, output, interruption; each a real process."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from orders_service import SIDECAR, Orders

SLOW = {"amount": 10, "settle": 1.5}
FAST = {"amount": 10}
WRONG = {"amount": 13}


def test_session_passing_scenarios_pass(project: Any) -> None:
    """Every data set is an item that passes, and the summary tells what was covered."""
    project.orders({"small": FAST, "large": {"amount": 900}})
    result = project.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*order.bpmn::main[[]small[]] PASSED*", "*2 passed*"])
    result.stdout.fnmatch_lines(["coverage *3 of 3 edges planned (100 %), 3 passed (100 %): order"])


def test_session_waiting_scenarios_wait_together(project: Any) -> None:
    """Ten scenarios that settle after a second and a half take about that, not ten times as long."""
    project.orders({f"row{n}": SLOW for n in range(10)})
    result = project.run("--durations=0", "-vv", "--orchestra-events=events.ndjson")
    result.assert_outcomes(passed=10)
    events = [json.loads(line) for line in (project.path / "events.ndjson").read_text().splitlines()]
    last_start = max(event["at"] for event in events if event["event"] == "RunStarted")
    assert all(event["at"] > last_start for event in events if event["event"] == "RunFinished"), "all ran at once"
    shown = re.findall(r"(\d+\.\d+)s call +order\.bpmn", result.stdout.str())
    assert len(shown) == 10
    assert all(float(seconds) > 1.4 for seconds in shown), "each item shows its scenario's own time"


def test_session_without_the_flag_collects_nothing_and_imports_nothing(project: Any) -> None:
    """Who does not ask for scenarios neither gets them nor pays for them."""
    project.orders()
    project.write(
        test_plain_dot_py="""
        import sys
        def test_nothing_is_imported():
            ours = {name for name in sys.modules if name.startswith("pytest_orchestra")}
            assert ours == {
                "pytest_orchestra", "pytest_orchestra.errors", "pytest_orchestra.hookspecs",
                "pytest_orchestra.plugin", "pytest_orchestra.settings",
            }
            assert not {"lxml", "pydantic", "httpx", "psycopg", "jinja2"} & set(sys.modules)
        """.replace("\n        ", "\n")
    )
    result = project.pytester.runpytest_subprocess("-p", "no:html")
    result.assert_outcomes(passed=1)


def test_session_violation_fails_its_item_and_explains_itself(project: Any) -> None:
    """A wrong total fails the item; the block names step, rule, values and a command, and no frame of ours."""
    project.orders({"bad": WRONG, "good": FAST})
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    text = result.stdout.str()
    for expected in ("response.body.total == data.amount", "14", "13", "curl", "BUSINESS_RULE_VIOLATION"):
        assert expected in text
    assert "Traceback" not in text
    assert "pytest_orchestra/" not in text
    result.stdout.fnmatch_lines(["FAILED order.bpmn::main[[]bad[]] - place: BUSINESS_RULE_VIOLATION*"])


def test_session_response_that_breaks_its_schema_is_a_contract_violation(project: Any) -> None:
    """The reply is held against the OpenAPI document without being asked to."""
    project.orders({"bad": {"amount": 99}})
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*CONTRACT_VIOLATION*", "*/total*"])


def test_session_unreachable_service_errors_the_item(project: Any) -> None:
    """A service that is not there is an error, not a failure."""
    project.orders()
    project.write(environments_dot_yaml="local:\n  services: {orders: 'http://127.0.0.1:9'}\n")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*service 'orders' at 'http://127.0.0.1:9': connection refused*"])


def test_session_exitfirst_stops_at_the_first_failure_without_waiting(project: Any) -> None:
    """With -x a failure at once ends a session whose other scenarios would take long."""
    project.orders({"slow": {"amount": 10, "settle": 60}, "bad": WRONG}, sidecar=_sidecar(timeout=100_000))
    began = time.monotonic()
    result = project.run("-x")
    result.assert_outcomes(failed=1)
    assert time.monotonic() - began < 30
    assert "slow" not in result.stdout.str().partition("short test summary")[2]


def test_session_maxfail_stops_after_that_many(project: Any) -> None:
    """--maxfail counts scenarios."""
    project.orders({f"bad{n}": WRONG for n in range(6)})
    result = project.run("--maxfail=2")
    assert result.parseoutcomes()["failed"] == 2
    result.stdout.fnmatch_lines(["*stopping after 2 failures*"])


def _sidecar(*, timeout: int = 5000, extra: str = "") -> str:
    return SIDECAR.replace("timeoutMs: 5000", f"timeoutMs: {timeout}") + extra


def test_session_keyword_marker_and_id_select_scenarios(project: Any) -> None:
    """-k, -m and node ids work on scenarios as on any test; tags of data sets are markers."""
    project.orders()
    rows = [{"name": name, "tags": tags, "data": FAST} for name, tags in (("a", ["smoke"]), ("b", []), ("c", ["slow"]))]
    (project.path / "data" / "rows.json").write_text(json.dumps(rows))
    project.run("-k", "main and slow").assert_outcomes(passed=1, deselected=2)
    project.run("-m", "smoke", "--strict-markers").assert_outcomes(passed=1, deselected=2)
    project.run("order.bpmn::main[c]").assert_outcomes(passed=1)
    project.run("order.bpmn::main").assert_outcomes(passed=3)


def test_session_collect_only_and_setup_only_send_nothing(project: Any) -> None:
    """Looking at scenarios does not start them."""
    project.orders()
    project.write(environments_dot_yaml="local:\n  services: {orders: 'http://127.0.0.1:9'}\n")
    result = project.run("--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["order.bpmn::main[[]small[]]"])
    result = project.run("--setup-only")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*SETUP    S orchestra_environment*"])


def test_session_last_failed_runs_only_what_failed(project: Any) -> None:
    """--lf remembers scenarios by their ids."""
    project.orders({"bad": WRONG, "good": FAST})
    run = project.pytester.runpytest_subprocess
    run("--orchestra", "--orchestra-store=memory").assert_outcomes(passed=1, failed=1)
    run("--orchestra", "--orchestra-store=memory", "--lf").assert_outcomes(failed=1)


def test_session_mixed_with_python_tests_runs_these_first_and_apart(project: Any) -> None:
    """Python tests see a sequential session, and fixtures of ours reach them."""
    project.orders()
    project.write(
        test_mixed_dot_py="""
import pytest

@pytest.mark.orchestra_dataset("small")
def test_data(orchestra_dataset, orchestra_environment, orchestra_suite_context):
    assert orchestra_dataset.data == {"amount": 10}
    assert set(orchestra_environment.services) == {"orders"}
    assert orchestra_suite_context == {}
"""
    )
    result = project.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_mixed.py::test_data PASSED*", "order.bpmn::main*PASSED*"])


def test_session_fixture_of_session_scope_is_set_up_once_and_torn_down_at_the_end(project: Any) -> None:
    """The conftest's environment is made once, before the first scenario, and ends after the last."""
    project.orders({"a": FAST, "b": FAST, "c": FAST})
    project.write(environments_dot_yaml="local: {services: {orders: 'http://127.0.0.1:9'}}\n")
    project.write(
        conftest_dot_py=f"""
import pathlib
import pytest
log = pathlib.Path("log.txt")

@pytest.fixture(scope="session")
def orchestra_environment(orchestra_environment):
    log.write_text("setup ")
    yield orchestra_environment.with_services(orders="{project.orders_url}")
    log.write_text(log.read_text() + "teardown")
"""
    )
    project.run().assert_outcomes(passed=3)
    assert (project.path / "log.txt").read_text() == "setup teardown"


def test_session_failing_session_fixture_errors_every_scenario_that_needs_it(project: Any) -> None:
    """Nothing is sent where the environment could not be made, and each item says why."""
    project.orders({"a": FAST, "b": FAST})
    project.write(
        conftest_dot_py="""
import pytest

@pytest.fixture(scope="session")
def orchestra_environment():
    print("about to fail")
    raise RuntimeError("no system today")
"""
    )
    result = project.run()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*RuntimeError: no system today*"])
    assert "pytest_orchestra" not in result.stdout.str().partition("ERRORS")[2]


def test_session_function_fixture_gives_each_scenario_its_own(project: Any) -> None:
    """Fixtures of function scope live while their scenario runs; their values are in templates."""
    sidecar = _sidecar(extra="fixtures: [price]\n").replace("{{data.amount}}", "{{fixture.price}}")
    project.orders({"a": {"amount": 21}, "b": {"amount": 21}}, sidecar=sidecar)
    project.write(
        conftest_dot_py="""
import pathlib
import pytest

@pytest.fixture
def price(request):
    log = pathlib.Path("log.txt")
    log.write_text((log.read_text() if log.exists() else "") + f"+{request.node.name}")
    yield 21
    log.write_text(log.read_text() + "-")
"""
    )
    project.run().assert_outcomes(passed=2)
    assert (project.path / "log.txt").read_text() == "+main[a]-+main[b]-"


def test_session_module_fixture_is_refused_with_a_hint(project: Any) -> None:
    """A scope that a process file does not have is said so in words."""
    project.orders(sidecar=_sidecar(extra="fixtures: [price]\n"))
    project.write(
        conftest_dot_py="""
import pytest

@pytest.fixture(scope="module")
def price():
    return 1
"""
    )
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "order.bpmn::main[[]small[]]: fixture 'price' has scope 'module', which scenarios do not have",
            "hint: give it scope 'session' or 'function'",
        ]
    )


def test_session_skip_in_a_conftest_hook_keeps_the_scenario_from_running(project: Any) -> None:
    """The gate: what is skipped before it starts has no effect on the system under test."""
    project.orders({"a": {"amount": 77.5}, "b": FAST})
    project.write(
        conftest_dot_py="""
import pytest

def pytest_runtest_setup(item):
    if "[a]" in item.name:
        pytest.skip("not today")
"""
    )
    before = _orders_placed(77.5)
    result = project.run("-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*not today"])
    assert _orders_placed(77.5) == before


def _orders_placed(amount: float) -> int:
    return sum(placed == amount for placed, _ in Orders.placed.values())


def test_session_output_logs_and_warnings_go_to_the_scenario_they_come_from(project: Any) -> None:
    """What a protocol prints, logs or warns of while many scenarios run is shown with its own scenario only."""
    project.orders({"bad": WRONG, "other": {"amount": 13, "settle": 0.2}})
    project.write(
        conftest_dot_py="""
import logging
import sys
import warnings
from pytest_orchestra.protocols.http import HttpProtocol

class Talking(HttpProtocol):
    async def execute(self, call, specs):
        if call.input.get("body"):
            name = "bad" if not call.input["body"]["settle"] else "other"
            print("printed by", name)
            print("err by", name, file=sys.stderr)
            logging.getLogger("talk").warning("logged by %s", name)
            warnings.warn(f"warned by {name}", UserWarning)
        return await super().execute(call, specs)

def pytest_orchestra_protocols(config):
    return [Talking()]
"""
    )
    result = project.run("-W", "default::UserWarning")
    result.assert_outcomes(failed=2, warnings=2)
    text = result.stdout.str()
    blocks = re.split(r"_{3,} (?:order\.bpmn::)?main\[(bad|other)\] _{3,}", text.partition("warnings summary")[0])
    found = dict(zip(blocks[1::2], blocks[2::2], strict=True))
    for name, foreign in (("bad", "other"), ("other", "bad")):
        for word in ("printed by", "err by", "logged by"):
            assert f"{word} {name}" in found[name]
            assert f"{word} {foreign}" not in found[name]
    result.stdout.fnmatch_lines(["order.bpmn::main[[]*[]]", "*UserWarning: warned by *"])


def test_session_capture_off_lets_output_through(project: Any) -> None:
    """With -s nothing is swallowed, and with plugins switched off the session still works."""
    project.orders()
    for options in (
        ["-s"],
        ["--capture=sys"],
        ["-p", "no:logging"],
        ["-p", "no:warnings"],
        ["-p", "no:assertion"],
        ["-p", "no:skipping"],
        ["-p", "no:terminal"],
        ["-p", "no:xdist", "-p", "no:allure_pytest", "-p", "no:html", "-p", "no:timeout"],
    ):
        assert project.run(*options).ret == 0, options


def test_session_warning_as_error_from_a_protocol_errors_only_its_scenario(project: Any) -> None:
    """Filters of warnings hold while scenarios run."""
    project.orders()
    project.write(
        conftest_dot_py="""
import warnings
from pytest_orchestra.protocols.http import HttpProtocol

class Warning_(HttpProtocol):
    async def execute(self, call, specs):
        warnings.warn("this is deprecated", DeprecationWarning)
        return await super().execute(call, specs)

def pytest_orchestra_protocols(config):
    return [Warning_()]
"""
    )
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*DeprecationWarning: this is deprecated*"])


def test_session_rerun_of_a_failed_scenario_is_a_new_run(project: Any) -> None:
    """pytest-rerunfailures runs the scenario again, with a correlation id of its own."""
    project.orders({"bad": WRONG})
    before = _orders_placed(13)
    result = project.run("--reruns=2")
    result.assert_outcomes(failed=1)
    assert "2 rerun" in result.stdout.str()
    assert _orders_placed(13) == before + 3


def test_session_timeout_marker_ends_the_scenario(project: Any) -> None:
    """pytest-timeout's limit holds for concurrent scenarios too."""
    project.orders({"slow": {"amount": 10, "settle": 60}}, sidecar=_sidecar(timeout=100_000))
    began = time.monotonic()
    result = project.run("--timeout=1")
    result.assert_outcomes(failed=1)
    assert time.monotonic() - began < 30
    result.stdout.fnmatch_lines(["*the scenario did not end within 1000 ms*"])


def test_session_interrupt_keeps_what_has_ended(project: Any) -> None:
    """Ctrl-C reports every scenario that had ended, ends with exit code 2, and leaves nothing running."""
    project.orders({"slow": {"amount": 10, "settle": 60}, "fast": FAST}, sidecar=_sidecar(timeout=100_000))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--orchestra",
        "--orchestra-store=memory",
        "-v",
        "--orchestra-heartbeat=0.2",
        "-p",
        "no:cacheprovider",
    ]
    process = subprocess.Popen(
        command,
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "main[fast] PASSED" in line:
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "1 passed" in rest
    assert "KeyboardInterrupt" in rest


def test_session_interrupt_under_xdist_is_no_suite_run_that_passed(project: Any) -> None:
    """What the controller knows passed, but the SuiteRun did not come to its end: it says how to go on."""
    project.orders({"fast": FAST, "slow": {"amount": 10, "settle": 60}}, sidecar=_sidecar(timeout=100_000))
    command = [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-suite-run=nightly", "-v", "-n", "1"]
    process = subprocess.Popen(
        [*command, "-p", "no:cacheprovider"],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    shown = ""
    while "PASSED" not in shown:  # pytest ends the line only when it begins another
        read = os.read(process.stdout.fileno(), 4096).decode()
        assert read, shown
        shown += read
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, rest
    assert re.search(r"^suite run .* CANCELLED$", rest, re.MULTILINE), rest
    assert "go on         pytest --orchestra --orchestra-resume --orchestra-suite-run=nightly\n" in rest


def test_session_in_collection_order_reports_in_that_order(project: Any) -> None:
    """The order of reports can be that of collection, whatever completes first."""
    project.orders({"slow": {"amount": 10, "settle": 0.5}, "fast": FAST})
    completed = [line for line in project.run("-v").outlines if "PASSED" in line]
    assert ["fast" in line for line in completed] == [True, False]
    ordered = [line for line in project.run("-v", "--orchestra-order=collection").outlines if "PASSED" in line]
    assert ["fast" in line for line in ordered] == [False, True]


def test_session_stepwise_stops_at_the_first_failure_and_goes_on_from_there(project: Any) -> None:
    """--sw counts in the order of collection."""
    project.orders({"a": FAST, "b": WRONG, "c": FAST})
    run = project.pytester.runpytest_subprocess
    first = run("--orchestra", "--orchestra-store=memory", "--sw")
    first.assert_outcomes(passed=1, failed=1)
    second = run("--orchestra", "--orchestra-store=memory", "--sw")
    second.assert_outcomes(failed=1, deselected=1)


def test_session_pdb_stops_in_a_failing_item(project: Any) -> None:
    """--pdb opens a debugger for a failed scenario, one scenario at a time."""
    project.orders({"bad": WRONG})
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-store=memory", "--pdb", "-p", "no:cacheprovider"],
        cwd=project.path,
        input="p 'pdb' + 'works'\nq\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "pdbworks" in child.stdout


def test_session_breakpoint_in_a_protocol_opens_the_debugger(project: Any) -> None:
    """breakpoint() works inside a step, because steps run in the main thread."""
    project.orders()
    project.write(
        conftest_dot_py="""
from pytest_orchestra.protocols.http import HttpProtocol

class Stopping(HttpProtocol):
    stopped = False
    async def execute(self, call, specs):
        if not self.stopped:
            self.stopped = True
            breakpoint()
        return await super().execute(call, specs)

def pytest_orchestra_protocols(config):
    return [Stopping()]
"""
    )
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "--orchestra", "--orchestra-store=memory", "-p", "no:cacheprovider"],
        cwd=project.path,
        input="p 'alias is ' + call.alias\nc\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "alias is place" in child.stdout
    assert "1 passed" in child.stdout


def test_session_heartbeat_tells_what_runs_where_there_is_no_terminal(project: Any) -> None:
    """In a log one reads from time to time how many run, how many wait and which is slowest."""
    project.orders({"slow": {"amount": 10, "settle": 3}, "fast": FAST})
    result = project.run("--orchestra-heartbeat=0.3")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["orchestra: 1/2 done, 1 running, 0 waiting, slowest *main[[]slow[]]*at paid*"])


def test_session_events_are_written_as_ndjson(project: Any) -> None:
    """--orchestra-events writes what happened, one JSON object a line."""
    project.orders()
    project.run("--orchestra-events=out/events.ndjson").assert_outcomes(passed=1)
    events = [json.loads(line) for line in (project.path / "out" / "events.ndjson").read_text().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "SuiteStarted"
    assert kinds[-1] == "SuiteFinished"
    assert kinds.count("StepFinished") == 2


def test_session_draft_scenario_is_skipped_with_that_reason(project: Any) -> None:
    """A scenario that is not published is shown and not run."""
    project.orders(sidecar=_sidecar(extra="scenarios: [{key: later, status: DRAFT}]\n"))
    result = project.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*its status is DRAFT"])


def test_session_suite_context_fixture_sees_what_is_exported_later(project: Any) -> None:
    """A fixture that was set up before the first scenario sees what the scenarios exported."""
    sidecar = _sidecar().replace("expectedStatusCode: 202", "exportAs: {order: response.body.id}")
    project.orders(sidecar=sidecar)
    project.write(
        conftest_dot_py="""
import pytest

@pytest.fixture(scope="session", autouse=True)
def watch(orchestra_suite_context):
    yield
    print("\\nexported at the end:", sorted(orchestra_suite_context))
"""
    )
    result = project.run("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["exported at the end: ['order']"])


def test_session_memory_store_names_no_command_that_leads_nowhere(project: Any) -> None:
    """Where nothing is kept, nobody is told to look at it again."""
    project.orders({"bad": WRONG})
    assert "orchestra show" not in project.run().stdout.str()
    assert "orchestra show" in project.run(store="embedded").stdout.str()


def test_session_overridden_data_set_reaches_the_scenario(project: Any) -> None:
    """A conftest may change what a scenario's data set holds, knowing which scenario it is."""
    project.orders({"bad": WRONG})
    project.write(
        conftest_dot_py="""
import pytest

@pytest.fixture
def orchestra_dataset(orchestra_dataset, request):
    assert request.node.name == "main[bad]"
    return orchestra_dataset.with_data(amount=14.5)
"""
    )
    project.run().assert_outcomes(passed=1)


def test_session_has_the_collector_look_seldom_only_while_it_has_scenarios(project: Any) -> None:
    """Python tests beside scenarios see the threshold raised; alone, and afterwards, they find the usual one."""
    usual = gc.get_threshold()
    project.orders({"small": FAST})
    project.write(test_look_dot_py="import gc\n\ndef test_look():\n    assert gc.get_threshold()[0] == 20_000\n")
    project.run().assert_outcomes(passed=2)
    assert gc.get_threshold() == usual
    project.run("test_look.py").assert_outcomes(failed=1)
