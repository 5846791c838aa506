"""The second half of a rehearsal: what passed is run once more for each way in which a participant can be faulty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_orchestra.collection.items import ScenarioItem
from pytest_orchestra.engine.engine import RunRequest
from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.plugin.requests import RequestBuilder
from pytest_orchestra.session.orchestra import OrchestraSession
from pytest_orchestra.session.rehearsal import run_spoiled, with_short_waits
from pytest_orchestra.session.simulation import participants_of
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.rehearsal import (
    PlainRun,
    Rehearsal,
    choose_runs,
    rehearsed_steps,
    steps_left_out,
)

__all__ = ["Rehearsing"]


@dataclass
class Rehearsing:
    """Rehearses runs as long as the fixtures of their items are there, and writes down what came of it."""

    file: Path
    session: OrchestraSession
    builder: RequestBuilder
    say: Callable[[str], None]
    _rehearsal: Rehearsal = field(default_factory=Rehearsal)
    _ended: list[RunFinished] = field(default_factory=list)

    @classmethod
    def of(
        cls, config: pytest.Config, session: OrchestraSession, builder: RequestBuilder, say: Callable[[str], None]
    ) -> Rehearsing | None:
        """Make it if the session is a rehearsal."""
        written = session.settings.rehearsal
        return cls(config.invocation_params.dir / written, session, builder, say) if written else None

    def rehearse(self, ended: Sequence[tuple[ScenarioItem, RunRequest, RunFinished | None]]) -> None:
        """Run what passed among faulty participants; nothing, if anything did not pass."""
        known = {
            request.run.key: (item, request, finished) for item, request, finished in ended if finished is not None
        }
        try:
            self._rehearse(known)
        except OrchestraError as error:
            self._rehearsal.faults.append(str(error))

    def _rehearse(self, known: Mapping[str, tuple[ScenarioItem, RunRequest, RunFinished]]) -> None:
        ended = list(known.values())
        self._ended += (finished for _, _, finished in ended)
        self._rehearsal.plain += (
            step for _, request, finished in ended for step in rehearsed_steps(finished, request.scenario)
        )
        if not all(finished.status.is_good or finished.status is RunStatus.SKIPPED for finished in self._ended):
            return
        simulation = self.session.simulation
        plain = [
            PlainRun(
                key,
                rehearsed_steps(finished, request.scenario),
                simulation.encounters_of(request.run.correlation_id),
            )
            for key, (_, request, finished) in known.items()
        ]
        participants = list(dict.fromkeys(name for item, _, _ in ended for name in participants_of(item.definitions)))
        tried = Rehearsal(plain=list(self._rehearsal.plain))
        while chosen := choose_runs(plain, participants, tried.spoiled):
            requests = {
                distortion: [self._spoiled(*known[run.key], distortion) for run in runs]
                for distortion, runs in chosen.items()
            }
            context = dict(self.session.engine.suite_context)
            found = self.session.host.run(run_spoiled(requests, simulation, context))
            for distortion, runs in found.items():
                self._tell_of_errors(distortion, runs)
                steps = [
                    step for finished in runs for step in rehearsed_steps(finished, known[finished.run.key][1].scenario)
                ]
                tried.spoiled.setdefault(distortion, []).extend(steps)
        for distortion, steps in tried.spoiled.items():
            self._rehearsal.spoiled.setdefault(distortion, []).extend(steps)

    def _tell_of_errors(self, distortion: Distortion, runs: Sequence[RunFinished]) -> None:
        """Note which runs did not even begin: what did not look has noticed nothing."""
        for finished in runs:
            if finished.fault is not None and all(step.started_at is None for step in finished.steps):
                self._rehearsal.faults.append(f"'{finished.run.key}' with '{distortion}': {finished.fault.message}")

    def write(self) -> None:
        """Write down what was found out, and say so if that cannot be done."""
        self._rehearsal.left_out[:] = steps_left_out(self._ended)
        try:
            self.file.write_text(self._rehearsal.to_json(), encoding="utf-8")
        except OSError as error:
            self.say(f"orchestra: '{self.file.name}' cannot be written: {error.strerror}")

    def _spoiled(
        self, item: ScenarioItem, request: RunRequest, finished: RunFinished, distortion: Distortion
    ) -> RunRequest:
        return with_short_waits(self.builder.spoil(item, request, distortion), finished)
