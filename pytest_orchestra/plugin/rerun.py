"""``--orchestra-rerun=failed``: what failed in the latest SuiteRun, as the store knows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import pytest

from pytest_orchestra.collection.items import OrchestraItem, ScenarioItem
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.plugin.state import settings_of
from pytest_orchestra.session.orchestra import OrchestraSession

__all__ = ["Rerun"]

_BAD: Final = (RunStatus.FAILED, RunStatus.ERROR, RunStatus.FAILED_STUCK)
_AGAIN: Final = re.compile(r"(.+)#(\d+)")


class Rerun:
    """Leaves scenarios out that did not fail last time; without a last time, none."""

    def __init__(self, config: pytest.Config, session: OrchestraSession) -> None:
        self._config = config
        self._session = session
        self._is_wanted = bool(settings_of(config).rerun)
        self._told: list[str] = []
        self.found_nothing = False

    def deselect(self, items: list[pytest.Item]) -> None:
        """Take scenarios out that did not fail. Raises ``pytest.UsageError`` where the store cannot say."""
        scenarios = {item.nodeid for item in items if isinstance(item, ScenarioItem)}
        if not self._is_wanted or not scenarios:
            return
        settings = self._session.settings
        if settings.store == "memory":
            raise pytest.UsageError("--orchestra-rerun: store 'memory' keeps no runs\nhint: use a store that does")
        try:
            latest = self._session.latest_states(scenarios)
        except OrchestraError as error:
            raise pytest.UsageError(str(error)) from None
        if latest is None:
            self._told = ["orchestra: the store has no run of these scenarios yet; all are run"]
            return
        key, states = latest
        failed = {node_id for node_id in scenarios if _last(node_id, states) in _BAD}
        self.found_nothing = not failed
        self._told = [_told(len(failed), key)]
        left = [item for item in items if isinstance(item, OrchestraItem) and item.nodeid not in failed]
        if left:
            self._config.hook.pytest_deselected(items=left)
            gone = set(map(id, left))
            items[:] = [item for item in items if id(item) not in gone]

    def told(self) -> list[str]:
        """Give the lines that tell what was chosen."""
        return self._told


def _told(failed: int, key: str) -> str:
    if not failed:
        return f"orchestra: no scenario failed in suite run '{key}', so none is run again"
    scenarios = "the scenario" if failed == 1 else f"the {failed} scenarios"
    return f"orchestra: runs {scenarios} again that failed in suite run '{key}'"


def _last(node_id: str, states: Mapping[str, RunStatus]) -> RunStatus | None:
    """Give how a scenario ended at last; a rerun within its session is a run of its own, with a number."""
    attempts = {0: states[node_id]} if node_id in states else {}
    for key, status in states.items():
        again = _AGAIN.fullmatch(key)
        if again is not None and again[1] == node_id:
            attempts[int(again[2])] = status
    return attempts[max(attempts)] if attempts else None
