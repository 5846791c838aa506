"""The collector of a process file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from pytest_orchestra.collection.items import OrchestraItem, ProblemItem, ScenarioItem
from pytest_orchestra.generation.plans.thresholds import Thresholds, find_shortfalls
from pytest_orchestra.model.scenario import ScenarioSuite, TestScenario
from pytest_orchestra.problem import Place
from pytest_orchestra.session.definitions import Definitions

__all__ = ["ProcessFile"]

PROBLEMS_NAME = "definition"
SHORTFALL_NAME = "coverage"


class ProcessFile(pytest.File):
    """A process file; its items are its scenarios, one for each data set that fits. ``tell`` hears of them all."""

    def __init__(
        self,
        *,
        load: Callable[[], Definitions],
        only_session_autouse: bool,
        thresholds: Thresholds,
        tell: Callable[[Sequence[ScenarioItem]], None] = lambda _: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._tell = tell
        self._load = load
        self._only_session_autouse = only_session_autouse
        self._thresholds = thresholds
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
        if definitions.is_runnable:
            yield from self._shortfall(definitions)
        for suite in definitions.suites if definitions.is_runnable else ():
            prefix = f"{suite.process_id}." if len(definitions.suites) > 1 else ""
            for scenario in suite.scenarios:
                if scenario.active:
                    items = list(self._items(definitions, suite, scenario, prefix))
                    self._tell(items)
                    yield from items

    def _shortfall(self, definitions: Definitions) -> Iterator[ProblemItem]:
        """Give an item if less is covered than must be: it is in every report, and ``-k`` leaves it out."""
        home = Place(str(definitions.file))
        problems = [
            problem
            for suite in definitions.suites
            for problem in find_shortfalls(suite, definitions.bindings, self._thresholds, home)
        ]
        if problems:
            yield ProblemItem.from_parent(self, name=SHORTFALL_NAME, problems=problems, line=problems[0].place.line)

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
