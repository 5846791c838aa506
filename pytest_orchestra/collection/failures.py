"""What a scenario item raises."""

from __future__ import annotations

from typing import NoReturn, Protocol

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.reporting.terminal import CrashLine
from pytest_orchestra.reporting.verdict import broken_steps

__all__ = ["DefinitionFault", "FaultReport", "ScenarioFault", "ScenarioViolated", "stop_at"]


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


def stop_at(finished: RunFinished, data: JsonObject, kind: type[ScenarioViolated | ScenarioFault]) -> NoReturn:
    """Raise for a scenario that did not pass. ``--pdb`` opens here: what a developer looks for has a name."""
    steps = {step.alias: step for step in finished.steps}
    step = next(iter(broken_steps(finished.steps)), None)
    exchange = (step.exchange if step is not None else None) or Exchange()
    request, response, violations = exchange.request, exchange.response, step.violations if step is not None else ()
    # at hand: data, steps['ALIAS'], step (the broken one) and its violations, request, response; finished has all
    _keep(data, steps, request, response, violations)
    raise kind(finished)


def _keep(*_: object) -> None:
    """Use values that are there to be looked at."""


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
