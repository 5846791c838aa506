"""Collecting process files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_orchestra.collection.files import ProcessFile
from pytest_orchestra.collection.items import OrchestraItem
from pytest_orchestra.plugin.state import settings_of, shown_path
from pytest_orchestra.readers.process_file import is_process_file
from pytest_orchestra.session.orchestra import OrchestraSession

__all__ = ["ScenarioCollection"]


class ScenarioCollection:
    """The hooks of collection."""

    def __init__(self, config: pytest.Config, session: OrchestraSession) -> None:
        self._config = config
        self._session = session
        self._only_session_autouse = settings_of(config).autouse == "session"

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Take process files."""
        if not is_process_file(file_path):
            return None
        shown = shown_path(self._config, file_path)
        return ProcessFile.from_parent(
            parent,
            path=file_path,
            load=lambda: self._session.loader.load(shown),
            only_session_autouse=self._only_session_autouse,
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put scenarios behind the Python tests, in one batch that runs concurrently; both keep their own order.

        A scenario that overlapping arguments with ``--keep-duplicates`` name twice is one run of its SuiteRun all the
        same: the second is deselected.
        """
        kept = {(type(item), item.nodeid): item for item in reversed(items) if isinstance(item, OrchestraItem)}
        repeated = [
            item for item in items if isinstance(item, OrchestraItem) and kept[type(item), item.nodeid] is not item
        ]
        if repeated:
            self._config.hook.pytest_deselected(items=repeated)
            items[:] = [item for item in items if item not in repeated]
        items.sort(key=lambda item: isinstance(item, OrchestraItem))
