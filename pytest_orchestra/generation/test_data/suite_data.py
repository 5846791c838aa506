"""Which data sets a suite has, and which of them each scenario may use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.wording import nearest_hint
from pytest_orchestra.model.dataset import DataSetScope, TestDataSet
from pytest_orchestra.model.definition import ScenarioDefinition
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["SuiteData", "choose_data"]

_TAG = "tag:"


@dataclass(frozen=True)
class SuiteData:
    """The data sets of one suite, as bits of a mask in this order."""

    sets: tuple[TestDataSet, ...]

    @property
    def common(self) -> int:
        """The mask of the data sets that any scenario may use."""
        return self._mask(lambda data_set: data_set.scope is not DataSetScope.SCENARIO)

    def usable(self, key: str) -> int:
        """Give the mask of the data sets that the scenario of that key may use."""
        return self._mask(lambda data_set: data_set.scope is not DataSetScope.SCENARIO or data_set.scenario == key)

    def keys(self) -> tuple[str, ...]:
        """Give every name under which some data set holds a value."""
        return tuple(dict.fromkeys(key for data_set in self.sets for key in data_set.data))

    def names(self, mask: int) -> tuple[str, ...]:
        """Give the names of the data sets of a mask."""
        return tuple(dict.fromkeys(data_set.name for bit, data_set in enumerate(self.sets) if mask >> bit & 1))

    def named(self, definition: ScenarioDefinition, home: Place) -> tuple[int, tuple[Problem, ...]]:
        """Give the mask of the data sets that a scenario names, by name or ``tag:NAME``, and what it names in vain."""
        usable = self.usable(definition.key)
        mask = 0
        problems: list[Problem] = []
        for text in definition.data_sets:
            tag = text.removeprefix(_TAG) if text.startswith(_TAG) else None
            found = usable & (self._with_name(text) if tag is None else self._with_tag(tag))
            mask |= found
            if not found:
                problems.append(self._unknown(definition, text, tag, usable, home))
        return mask, tuple(problems)

    def named_directly(self, definition: ScenarioDefinition) -> int:
        """Give the mask of the data sets that a scenario names by their names, and not by a tag."""
        mask = 0
        for text in definition.data_sets:
            if not text.startswith(_TAG):
                mask |= self.usable(definition.key) & self._with_name(text)
        return mask

    def _with_name(self, name: str) -> int:
        return self._mask(lambda data_set: data_set.name == name)

    def _with_tag(self, tag: str) -> int:
        return self._mask(lambda data_set: tag in data_set.tags)

    def _unknown(self, definition: ScenarioDefinition, text: str, tag: str | None, usable: int, home: Place) -> Problem:
        sets = [data_set for bit, data_set in enumerate(self.sets) if usable >> bit & 1]
        if tag is not None:
            fact = f"scenario '{definition.key}' wants data sets with the tag '{tag}', which none has"
            near = nearest_hint(text, (f"{_TAG}{known}" for data_set in sets for known in data_set.tags))
        else:
            fact = f"scenario '{definition.key}' wants data set '{text}', which does not exist for it"
            near = nearest_hint(text, (data_set.name for data_set in sets))
        return Problem(Severity.ERROR, definition.place or home, fact, hint=near)

    def strangers(self, keys: Sequence[str], home: Place) -> tuple[Problem, ...]:
        """Give a problem for every data set that belongs to a scenario which does not exist."""
        return tuple(
            Problem(
                Severity.WARNING,
                data_set.place or home,
                f"data set '{data_set.name}' belongs to scenario '{data_set.scenario}', which does not exist",
                hint=nearest_hint(data_set.scenario or "", keys),
            )
            for data_set in self.sets
            if data_set.scope is DataSetScope.SCENARIO and data_set.scenario not in keys
        )

    def _mask(self, belongs: Callable[[TestDataSet], bool]) -> int:
        return sum(1 << bit for bit, data_set in enumerate(self.sets) if belongs(data_set))


def choose_data(process: Process, document: ProcessDocument | None, data_sets: Sequence[TestDataSet]) -> SuiteData:
    """Give the data sets of a process: all but those that belong to the suite of another process or file."""
    owners = {process.id, process.name}
    if document is not None:
        owners |= {document.file, document.file.replace("\\", "/").rsplit("/", 1)[-1]}
    return SuiteData(
        tuple(
            data_set
            for data_set in data_sets
            if data_set.scope is DataSetScope.GLOBAL or data_set.suite is None or data_set.suite in owners
        )
    )
