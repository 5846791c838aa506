"""Reports that other workers owe: they ended the runs, and may die before they have told of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pytest_orchestra.engine.company import Company
from pytest_orchestra.engine.ports import StoredRun
from pytest_orchestra.engine.request import RunOutcome, RunRequest
from pytest_orchestra.errors import StoreError
from pytest_orchestra.model.run import RunStatus, StepResult

__all__ = ["OwedReport", "OwedReports", "Told", "lateness"]

_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class OwedReport:
    """A run that another worker ended; ``outcome`` is what is told here if that worker reports it."""

    request: RunRequest
    stored: StoredRun
    outcome: RunOutcome

    @property
    def owner(self) -> str:
        """Who owes it."""
        return self.stored.ended_by or ""


@dataclass(frozen=True, slots=True)
class Told:
    """An outcome, and the state in which the run itself ended where another session carried it out.

    ``owed`` is set if the other session has still to report it.
    """

    outcome: RunOutcome
    ended_as: RunStatus | None = None
    owed: OwedReport | None = None

    @property
    def key(self) -> str:
        """The run's key."""
        return self.outcome.finished.run.key

    @property
    def status(self) -> RunStatus:
        """How the run ended, for those that depend on it."""
        return self.ended_as or self.outcome.finished.status

    @property
    def steps(self) -> tuple[StepResult, ...]:
        """What its steps came to, whoever carried them out."""
        return self.outcome.finished.steps if self.owed is None else tuple(self.owed.stored.steps)


def lateness(suite_run_key: str, told: Iterable[Told]) -> str:
    """Say that a session came when other sessions had done everything, so that it reports nothing."""
    counts = Counter(str(each.status) for each in told)
    states = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    return (
        f"suite run '{suite_run_key}' has ended already, {states}: nothing is run again; give this one another key, "
        "or have it told again with --orchestra-resume"
    )


class OwedReports:
    """Puts off what is told of other workers' runs until nothing else is left to do here.

    Then each worker has left in order, or shows a sign of life once more, and reports what it ended; or its sign
    expires, and ``adopt`` takes its reports over. ``on_certain`` is told which it was. All who wait so renew their own
    signs meanwhile, so that nobody waits for long for another that waits.
    """

    def __init__(
        self,
        company: Company,
        *,
        is_idle: Callable[[], bool],
        adopt: Callable[[StoredRun], Awaitable[bool]],
        on_certain: Callable[[OwedReport, bool], Awaitable[None]],
    ) -> None:
        self._company = company
        self._is_idle = is_idle
        self._adopt = adopt
        self._on_certain = on_certain
        self._owed: dict[str, OwedReport] = {}
        self._first_seen: dict[str, datetime] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._owed)

    def add(self, report: OwedReport) -> None:
        """Put a report off."""
        self._owed[report.request.run.id] = report
        self._wake.set()

    def withdraw_all(self) -> list[OwedReport]:
        """Wait no longer; give what was put off."""
        owed = list(self._owed.values())
        self._owed.clear()
        return owed

    async def keep_looking(self) -> None:
        """Look a few times a second while there is nothing else to do, until cancelled."""
        while True:
            await self._wake.wait()
            if self._is_idle():
                try:
                    await self._look()
                except StoreError:  # nobody can be asked any more
                    for report in self.withdraw_all():
                        await self._on_certain(report, False)
            else:
                self._first_seen.clear()
            await asyncio.sleep(_LOOK_S)
            if not self._owed:
                self._wake.clear()

    async def _look(self) -> None:
        await self._company.show()
        signs = await self._company.look()
        for run_id, report in list(self._owed.items()):
            sign = signs.get(report.owner)
            is_gone = self._company.is_gone(report.owner)
            if sign is not None and not is_gone and sign.until <= self._first_seen.setdefault(sign.owner, sign.until):
                continue
            is_adopted = is_gone and await self._adopt(report.stored)
            if self._owed.pop(run_id, None) is not None:
                await self._on_certain(report, is_adopted)
