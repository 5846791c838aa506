"""The collector of a process file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pytest_orchestra.collection.items import OrchestraItem, ProblemItem, ScenarioItem
from pytest_orchestra.model.scenario import ScenarioSuite, TestScenario
from pytest_orchestra.session.definitions import Definitions

__all__ = ["ProcessFile"]

PROBLEMS_NAME = "definition"


class ProcessFile(pytest.File):
    """A process file; its items are its scenarios, one for each data set that fits."""

    def __init__(self, *, load: Callable[[], Definitions], only_session_autouse: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._load = load
        self._only_session_autouse = only_session_autouse
        self.definitions: Definitions | None = None

    def collect(self) -> Iterable[OrchestraItem]:
        """Give the scenarios; what is wrong with the whole file is an item of its own, never a broken collection."""
        definitions = self.definitions = self._load()
        if definitions.errors:
            yield ProblemItem.from_parent(
                self,
                name=PROBLEMS_NAME,
                problems=definitions.errors,
                line=definitions.errors[0].place.line,
            )
        for suite in definitions.suites if definitions.is_runnable else ():
            prefix = f"{suite.process_id}." if len(definitions.suites) > 1 else ""
            for scenario in suite.scenarios:
                if scenario.active:
                    yield from self._items(definitions, suite, scenario, prefix)

    def _items(
        self, definitions: Definitions, suite: ScenarioSuite, scenario: TestScenario, prefix: str
    ) -> Iterator[ScenarioItem]:
        for name in scenario.data_sets or (None,):
            data_set = None if name is None else definitions.data_sets[name]
            item_name = f"{prefix}{scenario.key}" + ("" if name is None else f"[{name}]")
            yield ScenarioItem.from_parent(
                self,
                name=item_name,
                # pytest would take the brackets for a part of its own making and count the item twice in JUnit
                nodeid=f"{self.nodeid}::{item_name}",
                scenario=scenario,
                data_set=data_set,
                suite=suite,
                definitions=definitions,
                only_session_autouse=self._only_session_autouse,
            )
