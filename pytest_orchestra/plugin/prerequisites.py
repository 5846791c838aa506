"""Prerequisites that a selection left out, taken back in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_orchestra.collection.items import OrchestraItem, ScenarioItem
from pytest_orchestra.plugin.catalogue import Catalogue
from pytest_orchestra.plugin.state import settings_of

__all__ = ["PrerequisiteSelection"]


class PrerequisiteSelection:
    """Completes pytest's list of items by what its scenarios depend on, if the user does not want it otherwise."""

    def __init__(self, config: pytest.Config, catalogue: Catalogue) -> None:
        self._config = config
        self._catalogue = catalogue
        self._is_wanted = settings_of(config).deps == "run"
        self._added: dict[str, ScenarioItem] = {}

    def complete(self, items: list[pytest.Item]) -> None:
        """Put missing prerequisites before the first scenario."""
        chosen = [item for item in items if isinstance(item, ScenarioItem)]
        left = {item.nodeid for item in chosen}  # of those added before, another shard may have taken some
        self._added = {node_id: item for node_id, item in self._added.items() if node_id in left}
        self._catalogue.collect_missing(chosen)
        if not self._is_wanted:
            return
        missing = self._find_missing(chosen)
        if not missing:
            return
        self._added.update((item.nodeid, item) for item in missing)
        self._count_as_selected(missing)
        first = next(index for index, item in enumerate(items) if isinstance(item, OrchestraItem))
        items[first:first] = missing

    def told(self) -> list[str]:
        """Give the lines that tell what was added."""
        if not self._added:
            return []
        return [f"orchestra: runs {_listed(self._added)} as well, because selected scenarios depend on it"]

    def _find_missing(self, chosen: Iterable[ScenarioItem]) -> list[ScenarioItem]:
        pending = list(chosen)
        known = {item.nodeid for item in pending}
        missing: list[ScenarioItem] = []
        while pending:
            item = pending.pop(0)
            for dependency in item.scenario.depends_on:
                for other in self._catalogue.find(item, dependency):
                    if other.nodeid not in known:
                        known.add(other.nodeid)
                        missing.append(other)
                        pending.append(other)
        return missing[::-1]

    def _count_as_selected(self, items: Iterable[pytest.Item]) -> None:
        """Take items from the terminal's count of those that were deselected."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        deselected: list[pytest.Item] = reporter.stats.get("deselected", []) if reporter is not None else []
        back = set(map(id, items))
        deselected[:] = [item for item in deselected if id(item) not in back]


def _listed(node_ids: Iterable[str]) -> str:
    names = [f"'{node_id}'" for node_id in node_ids]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004
