"""Under xdist: one worker, the lane, gets all scenarios, and runs them concurrently; Python tests fill the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from pytest_orchestra.plugin.state import suite_run_key
from pytest_orchestra.session.definitions import PROCESS_SUFFIXES

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

    def _has_lane(self) -> bool:
        return bool(self._config.getoption("dist", default="no") == "load")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell every worker which SuiteRun it belongs to, and whether it may run all scenarios at once."""
        node.workerinput["orchestra_suite_run"] = suite_run_key(self._config)
        node.workerinput["orchestra_lane"] = self._has_lane()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Callable[..., Any]) -> LaneScheduling | None:
        """Use the lane unless the user chose another distribution."""
        return LaneScheduling(config, log) if self._has_lane() else None
