"""Under xdist: one worker, the lane, gets all scenarios, and runs them concurrently; Python tests fill the others."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.plugin.planned import receive_plans
from pytest_orchestra.plugin.state import SAID_IN_WORKER, cache_folder, session_of, suite_run_key
from pytest_orchestra.plugin.telling import say
from pytest_orchestra.readers.process_file import PROCESS_SUFFIXES
from pytest_orchestra.reporting.carriage import carries_outcome, outcome_of

__all__ = ["LaneScheduling", "ScenarioDistribution"]

_LANE = "orchestra"


class LaneScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands all scenarios to one worker as one unit of work, and every other test alone."""

    def _split_scope(self, nodeid: str) -> str:
        return _LANE if nodeid.partition("::")[0].lower().endswith(PROCESS_SUFFIXES) else nodeid


class ScenarioDistribution:
    """The hooks of xdist's controller."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        folder = cache_folder(config)
        is_writable = os.access(folder, os.W_OK | os.X_OK)
        self._tally = (folder if is_writable else Path(tempfile.gettempdir())) / f"crashed-{uuid.uuid4().hex}"
        self._latest: pytest.TestReport | None = None

    def _has_lane(self) -> bool:
        return bool(self._config.getoption("dist", default="no") == "load")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell every worker which SuiteRun it belongs to, and whether it may run all scenarios at once.

        Workers that are there already take over from one that crashes, and xdist has no message for that: they look at
        a file, a byte of which is a crash.
        """
        node.workerinput["orchestra_suite_run"] = suite_run_key(self._config)
        node.workerinput["orchestra_lane"] = self._has_lane()
        node.workerinput["orchestra_tally"] = str(self._tally)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Tell the user what a worker had to tell, and the workers that are left how many have crashed."""
        if error is not None:
            with self._tally.open("ab") as tally:
                tally.write(b"x")
        told = getattr(node, "workeroutput", {})
        receive_plans(self._config, told)
        for text in told.get(SAID_IN_WORKER, ()):
            say(self._config, text)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a report that tells of a SuiteRun."""
        if carries_outcome(report):
            self._latest = report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the SuiteRun if the worker that should have done it died with nothing left to do but that."""
        finished = outcome_of(self._latest) if self._latest is not None and self._tally.is_file() else None
        if finished is None or not finished.is_kept:
            return
        try:
            session_of(self._config).end_for_others(finished.run.suite_run_id)
        except OrchestraError as error:
            say(self._config, f"orchestra: {error}")

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        self._tally.unlink(missing_ok=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Callable[..., Any]) -> LaneScheduling | None:
        """Use the lane unless the user chose another distribution."""
        return LaneScheduling(config, log) if self._has_lane() else None
