"""Every scenario item that there is, selected or not: where prerequisites are found that a selection left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest

from pytest_orchestra.collection.files import ProcessFile
from pytest_orchestra.collection.items import ScenarioItem
from pytest_orchestra.model.definition import Dependency

__all__ = ["Catalogue"]

_CATALOGUE: Final = pytest.StashKey["Catalogue"]()


class Catalogue:
    """The scenario items of all process files that were collected, and of those beside them, collected when asked for.

    Options that select (``-k``, ``-m``, ``--lf``, node ids) take items from pytest's list, not from here.
    """

    def __init__(self) -> None:
        self._files: dict[Path, ProcessFile] = {}
        self._collected: set[Path] = set()
        self._items: dict[tuple[Path, str], list[ScenarioItem]] = {}
        self._known: set[str] = set()

    @classmethod
    def of(cls, config: pytest.Config) -> Catalogue:
        """Give the catalogue of a session."""
        return config.stash.setdefault(_CATALOGUE, cls())

    @property
    def files(self) -> Sequence[ProcessFile]:
        """The process files that pytest has found."""
        return tuple(self._files.values())

    def add_file(self, file: ProcessFile) -> None:
        """Note a process file that pytest has found; it may not collect it."""
        self._files[file.path] = file

    def add(self, items: Iterable[ScenarioItem]) -> None:
        """Note items; of those with one node id the first counts."""
        for item in items:
            self._collected.add(item.path)
            if item.nodeid in self._known:
                continue
            self._known.add(item.nodeid)
            for name in {item.scenario.key, item.name, item.name.partition("[")[0]}:
                self._items.setdefault((item.path, name), []).append(item)

    def find(self, item: ScenarioItem, dependency: Dependency) -> Sequence[ScenarioItem]:
        """Give the items that a ``dependsOn`` of an item means; empty if there are none."""
        path, name = self._meant(item, dependency)
        return self._items.get((path, name), ())

    def has_file(self, item: ScenarioItem, dependency: Dependency) -> bool:
        """Tell whether the process file of a ``dependsOn`` is known, so that a name that is not found is wrong."""
        return self._meant(item, dependency)[0] in self._collected

    def collect_missing(self, items: Sequence[ScenarioItem]) -> None:
        """Collect the files that the ``dependsOn`` of ``items`` name and that pytest did not collect."""
        pending = list(items)
        while pending:
            item = pending.pop()
            for dependency in item.scenario.depends_on:
                path, _ = self._meant(item, dependency)
                if path not in self._collected:
                    pending += self._collect(item, path)

    def _collect(self, item: ScenarioItem, path: Path) -> list[ScenarioItem]:
        """Collect a file that pytest has found, or one beside the item's, for which the same conftests stand."""
        file = self._files.get(path)
        folder = item.parent.parent if item.parent is not None else None
        if file is None and path.parent == item.path.parent and path.is_file() and folder is not None:
            folder.ihook.pytest_collect_file(file_path=path, parent=folder)
            file = self._files.get(path)
        if file is None:
            return []
        self._collected.add(path)
        items = [each for each in file.collect() if isinstance(each, ScenarioItem)]
        self.add(items)
        return items

    @staticmethod
    def _meant(item: ScenarioItem, dependency: Dependency) -> tuple[Path, str]:
        other, separator, name = dependency.scenario.partition("::")
        if not separator:
            return item.path, dependency.scenario
        return Path(os.path.normpath(item.path.parent / other)), name
