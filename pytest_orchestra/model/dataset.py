"""Named test data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.problem import Place

__all__ = ["DataSetOrigin", "DataSetScope", "TestDataSet"]


class DataSetScope(StrEnum):
    """Who may use a data set: everyone, the scenarios of one suite, or one scenario."""

    GLOBAL = "GLOBAL"
    SUITE = "SUITE"
    SCENARIO = "SCENARIO"


class DataSetOrigin(StrEnum):
    """Where a data set came from."""

    MANUAL = "MANUAL"
    AI_GENERATED = "AI_GENERATED"
    IMPORTED = "IMPORTED"
    GENERATED = "GENERATED"


@dataclass(frozen=True, slots=True)
class TestDataSet:
    """Values that templates read as ``{{data.*}}``. ``suite`` and ``scenario`` name the owner where the
    scope is ``SUITE`` (a process id or file) or ``SCENARIO`` (a scenario key).
    """

    __test__ = False  # pytest would take the class for a test by its name

    name: str
    data: JsonObject = field(default_factory=dict)
    scope: DataSetScope = DataSetScope.SUITE
    suite: str | None = None
    scenario: str | None = None
    tags: tuple[str, ...] = ()
    origin: DataSetOrigin = DataSetOrigin.MANUAL
    place: Place | None = None

    def with_data(self, **values: JsonValue) -> TestDataSet:
        """Give a copy in which these values are added or changed."""
        return replace(self, data={**self.data, **values})
