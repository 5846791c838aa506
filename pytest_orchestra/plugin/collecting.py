"""Collecting process files."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_orchestra.collection.files import ProcessFile
from pytest_orchestra.collection.items import OrchestraItem, ScenarioItem
from pytest_orchestra.collection.shards import Shard
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.generation.plans.thresholds import parse_thresholds
from pytest_orchestra.plugin.catalogue import Catalogue
from pytest_orchestra.plugin.prerequisites import PrerequisiteSelection
from pytest_orchestra.plugin.requests import Dependencies
from pytest_orchestra.plugin.rerun import Rerun
from pytest_orchestra.plugin.scope import Scope
from pytest_orchestra.plugin.state import settings_of, shown_path
from pytest_orchestra.readers.process_file import is_process_file
from pytest_orchestra.session.orchestra import OrchestraSession

__all__ = ["ScenarioCollection"]


class ScenarioCollection:
    """The hooks of collection."""

    def __init__(self, config: pytest.Config, session: OrchestraSession) -> None:
        self._config = config
        self._session = session
        self._catalogue = Catalogue.of(config)
        self._prerequisites = PrerequisiteSelection(config, self._catalogue)
        settings = settings_of(config)
        self._only_session_autouse = settings.autouse == "session"
        self._rerun = Rerun(config, session)
        try:
            self._scope = Scope.of(settings)
            self._thresholds = parse_thresholds(settings.coverage_threshold, "--orchestra-coverage-threshold")
            self._shard = Shard.read(settings.shard)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Take process files."""
        if not is_process_file(file_path):
            return None
        shown = shown_path(self._config, file_path)
        file: ProcessFile = ProcessFile.from_parent(
            parent,
            path=file_path,
            load=lambda: self._session.loader.load(shown),
            only_session_autouse=self._only_session_autouse,
            thresholds=self._thresholds,
            tell=self._catalogue.add,
        )
        self._catalogue.add_file(file)
        return file

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
        self._rerun.deselect(items)
        self._prerequisites.complete(items)
        self._deselect_other_shards(items)
        items.sort(key=lambda item: isinstance(item, OrchestraItem))

    @pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_collection_modifyitems")
    def pytest_collection_modifyitems_in_the_end(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Look once more for prerequisites that are left out: ``--lf`` selects when all others have."""
        result = yield
        self._prerequisites.complete(items)
        try:
            self._scope.check(item for item in items if isinstance(item, ScenarioItem))
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None
        return result

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say what is run though it was not selected."""
        return [*self._rerun.told(), *self._prerequisites.told()]

    def _deselect_other_shards(self, items: list[pytest.Item]) -> None:
        if self._shard is None:
            return
        scenarios = [item for item in items if isinstance(item, ScenarioItem)]
        prerequisites = Dependencies(scenarios, self._catalogue).prerequisites
        needs = {key: [need.run_key for need in found] for key, found in prerequisites.items()}
        kept = self._shard.choose((item.nodeid for item in items if isinstance(item, OrchestraItem)), needs)
        left = [item for item in items if isinstance(item, OrchestraItem) and item.nodeid not in kept]
        if left:
            self._config.hook.pytest_deselected(items=left)
            gone = set(map(id, left))
            items[:] = [item for item in items if id(item) not in gone]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let it be no failure that a shard has nothing to do, because the others have it, or that nothing failed."""
        may_be_empty = self._shard is not None or self._rerun.found_nothing
        if may_be_empty and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK
