"""The embedded server starts beside what comes before the first scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.place import choose_place
from pytest_orchestra.store.supervisor import CLUSTER

PROCESS = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="urn:t">
<process id="p"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process>
</definitions>"""


@pytest.fixture(autouse=True)
def configured(pytester: pytest.Pytester) -> None:
    """Say what pytest-asyncio wants to be told."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")


def folder_of(path: Path) -> Path:
    return path / ".orchestra" / "postgres"


def has_data(path: Path) -> bool:
    return (choose_place(folder_of(path)).folder / CLUSTER).is_dir()


def test_server_is_started_where_sessions_have_been_and_given_back(pytester: pytest.Pytester) -> None:
    """It is started before anything is collected, and nobody holds it up when the session has ended."""
    pytester.mkdir(".orchestra")
    result = pytester.runpytest("--orchestra", "--rootdir", pytester.path)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert has_data(pytester.path)
    EmbeddedPostgres(folder_of(pytester.path)).remove()  # which refuses while somebody uses it


def test_server_is_started_at_the_first_process_of_a_new_project(pytester: pytest.Pytester) -> None:
    """Without a process file a project in which nothing has ever run stays without a server."""
    pytester.makepyfile("def test_nothing(): pass")
    pytester.runpytest("--orchestra", "--rootdir", pytester.path).assert_outcomes(passed=1)
    assert not has_data(pytester.path)
    (pytester.path / ".orchestra" / ".gitignore").unlink()
    (pytester.path / ".orchestra").rmdir()
    (pytester.path / "p.bpmn").write_text(PROCESS)
    pytester.runpytest("--orchestra", "--rootdir", pytester.path, "-k", "test_nothing").assert_outcomes(passed=1)
    assert has_data(pytester.path)
    EmbeddedPostgres(folder_of(pytester.path)).remove()


@pytest.mark.parametrize("options", [["--collect-only"], ["--orchestra-store=memory"], ["--orchestra-lease=0"]])
def test_server_is_not_started_where_no_run_needs_it(pytester: pytest.Pytester, options: list[str]) -> None:
    """Nothing is started to look at, for another store, or with settings that are wrong."""
    pytester.mkdir(".orchestra")
    (pytester.path / "p.bpmn").write_text(PROCESS)
    pytester.runpytest("--orchestra", "--rootdir", pytester.path, *options)
    assert not has_data(pytester.path)
