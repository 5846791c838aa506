"""What a scenario item raises."""

from __future__ import annotations

from typing import Protocol

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.reporting.terminal import CrashLine

__all__ = ["DefinitionFault", "FaultReport", "ScenarioFault", "ScenarioViolated"]


class ScenarioViolated(Exception):  # noqa: N818  it stands for violations, which are no errors
    """The system under test did something wrong: the item fails."""

    def __init__(self, finished: RunFinished) -> None:
        super().__init__(finished.run.key)
        self.finished = finished


class ScenarioFault(Exception):  # noqa: N818  it stands for a RunFault
    """Our input or environment is wrong: the item errors."""

    def __init__(self, finished: RunFinished) -> None:
        super().__init__(finished.run.key)
        self.finished = finished


class DefinitionFault(Exception):  # noqa: N818  it stands for problems
    """What a user wrote is wrong: the item errors before anything is sent."""


class _Writer(Protocol):
    def line(self, s: str = "") -> None: ...


class FaultReport:
    """The ``longrepr`` of a definition that is wrong: its problems, and the first line for the short summary."""

    def __init__(self, text: str, nodeid: str) -> None:
        self._text = text
        self.reprcrash = CrashLine(text.partition("\n")[0], nodeid)

    def __str__(self) -> str:
        return self._text

    def toterminal(self, tw: _Writer) -> None:
        """Write the text."""
        for line in self._text.split("\n"):
            tw.line(line)
