"""``orchestra history``, ``show``, ``migrate`` and ``doctor`` over runs that really happened."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

SIDECAR = """
bindings:
  Ship:
    dataSource: shop
    sql: select :answer::int as answer
    parameters: {answer: "{{data.answer}}"}
    until: value == 42
    timeoutMs: 300
  Approve: []
"""
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def orchestra_environment(orchestra_environment, orchestra_postgres):
    orchestra_postgres.create_database("shop")
    return orchestra_environment.with_databases(shop=orchestra_postgres.conninfo("shop"))
"""


@pytest.fixture(scope="module")
def ran(lasting_project: Path) -> Path:
    """A project after one run with the embedded store: one scenario passed, one failed."""
    project = lasting_project
    (project / "order.orchestra.yaml").write_text(SIDECAR)
    (project / "conftest.py").write_text(CONFTEST)
    (project / "data").mkdir()
    rows = [
        {"name": "right", "data": {"answer": 42, "amount": 1}},
        {"name": "wrong", "data": {"answer": 41, "amount": 2000}},
    ]
    (project / "data" / "answers.json").write_text(json.dumps(rows))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--orchestra",
        "-q",
        "-p",
        "no:cacheprovider",
        "--orchestra-suite-run=mine",
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert "1 failed, 1 passed" in done.stdout or "1 passed, 1 failed" in done.stdout, done.stdout + done.stderr
    return project


@pytest.fixture
def there(orchestra: Any, ran: Path) -> Any:
    """Run a command in the folder of that project."""
    return partial(orchestra, cwd=ran)


def test_history_and_show_tell_what_happened(there: Any) -> None:
    """The SuiteRun is listed with its counts; each of its runs can be looked at, step by step."""
    listed = there("history")
    assert listed.returncode == 0, listed.stderr
    assert "mine" in listed.stdout
    entry = next(each for each in json.loads(there("history", "--format", "json").stdout) if each["key"] == "mine")
    assert (entry["key"], entry["status"]) == ("mine", "FAILED")
    assert entry["runs"] == {"PASSED": 1, "FAILED": 1}
    shown = there("show", "mine")
    assert shown.returncode == 0
    assert "order.bpmn::" in shown.stdout
    runs = json.loads(there("show", "mine", "--format", "json").stdout)
    failed = next(run for run in runs if run["run"]["status"] == "FAILED")
    [step] = failed["steps"]
    assert step["violations"][0]["type"] == "DB_ASSERTION_FAILED"
    assert step["observations"][0]["value"] == 41
    one = there("show", failed["run"]["id"][:13])
    assert "value == 42" in one.stdout
    assert "psql" in one.stdout


def test_show_from_the_folder_above_finds_the_project(orchestra: Any, ran: Path, tmp_path: Path) -> None:
    """Where only one project below has runs, it is the one that is meant."""
    above = tmp_path / "above"
    above.mkdir()
    ran_there = above / "project"
    ran_there.symlink_to(ran)
    assert "mine" in orchestra("history", cwd=above).stdout


def test_show_of_an_unknown_run_is_wrong_input(there: Any) -> None:
    """A reference that leads nowhere is told, with where to look."""
    done = there("show", "nowhere")
    assert done.returncode == 2
    assert (
        done.stderr == "error: no run 'nowhere'\nhint: 'orchestra history' lists them; --root names another project\n"
    )


def test_migrate_twice_applies_once(orchestra: Any, project: Path) -> None:
    """A new store gets its schema; a second time there is nothing to do."""
    first = json.loads(orchestra("migrate", "--format", "json").stdout)
    assert first["applied"] == list(range(1, len(first["applied"]) + 1))
    assert first["applied"]
    assert orchestra("migrate").stdout == "the schema is up to date\n"


def test_store_away_is_an_environment_error_without_the_password(orchestra: Any, project: Path) -> None:
    """A store that does not answer is exit code 3, and its password is nobody's."""
    for command in (["history"], ["migrate"], ["show", "x"]):
        done = orchestra(*command, "--store", "postgresql://me:geheim@127.0.0.1:9/db")
        assert done.returncode == 3, command
        assert "127.0.0.1:9" in done.stderr
        assert "geheim" not in done.stdout + done.stderr


def test_doctor_says_what_is_there_and_what_is_wrong(there: Any) -> None:
    """All well is 0; a store that cannot be reached is 3, and named."""
    well = there("doctor")
    assert well.returncode == 0, well.stdout
    assert "store: embedded: reached" in well.stdout
    for library in ("pytest", "pydantic", "pluggy", "grpcio", "grpcio-reflection", "aiokafka", "aio-pika", "h2"):
        assert f"ok     {library}: " in well.stdout
    ill = there("doctor", "--store", "postgresql://me:geheim@127.0.0.1:9/db", "--format", "json")
    assert ill.returncode == 3
    assert [finding["subject"] for finding in json.loads(ill.stdout) if not finding["ok"]] == ["store"]
    assert "geheim" not in ill.stdout


def test_reap_gives_up_what_a_killed_session_left(there: Any, ran: Path) -> None:
    """A run whose worker died, and with which nobody went on, is declared stuck, once; what ended stays as it is."""
    (ran / "order.orchestra.yaml").write_text(SIDECAR.replace("timeoutMs: 300", "timeoutMs: 60000"))
    command = [sys.executable, "-m", "pytest", "--orchestra", "-p", "no:cacheprovider", "--orchestra-suite-run=killed"]
    process = subprocess.Popen([*command, "--orchestra-lease=1"], cwd=ran, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not all(status in there("show", "killed").stdout for status in ("PASSED", "IN_PROGRESS")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(1.2)  # its lease ends by the clock of the store
    assert there("reap").stdout == "no run is stuck\n"
    reaped = there("reap", "--after=0", "--format", "json")
    [key] = json.loads(reaped.stdout)["reaped"]
    assert (reaped.returncode, key.endswith("[wrong]")) == (1, True)
    assert "FAILED_STUCK" in there("show", "killed").stdout
    assert there("reap", "--after=0").returncode == 0


def test_quota_is_set_shown_and_taken_away(there: Any) -> None:
    """A tenant's limit is a row of the store, for all sessions."""
    assert there("quota").stdout == "no limit\n"
    assert json.loads(there("quota", "--max-parallel-runs=2", "--format", "json").stdout) == {"maxParallelRuns": 2}
    assert there("quota").stdout == "2 runs at once\n"
    assert there("quota", "--max-parallel-runs=0").stdout == "no limit\n"
    assert there("quota", "--max-parallel-runs=-1").returncode == 2
