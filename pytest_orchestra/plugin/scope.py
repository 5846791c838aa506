"""Parts of scenarios: until a step, from a step, or one step alone, with results of an earlier run and other data."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_orchestra.collection.items import ScenarioItem
from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.engine.engine import RunRequest
from pytest_orchestra.engine.ports import StoredRun
from pytest_orchestra.engine.reach import Reach, find_steps
from pytest_orchestra.engine.stepping import with_value
from pytest_orchestra.errors import OrchestraError, SettingsError, StepError
from pytest_orchestra.model.definition import RunMode
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import StepResult, StepStatus
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.settings import Settings

__all__ = ["Scope"]

_GOOD = (StepStatus.PASSED, StepStatus.FLAKY)


@dataclass(frozen=True, slots=True)
class Scope:
    """What of every scenario is run; empty texts for no limit. ``changes`` are dotted names of data with values."""

    until: str = ""
    from_step: str = ""
    only_step: str = ""
    changes: tuple[tuple[str, JsonValue], ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Scope:
        """Take it from the settings. Raises ``SettingsError``."""
        if settings.only_step and (settings.until or settings.from_step):
            raise SettingsError(
                "--orchestra-only-step: one step has no other beginning or end",
                hint="leave --orchestra-until and --orchestra-from-step out",
            )
        scope = cls(settings.until, settings.from_step, settings.only_step, tuple(map(_change, settings.data)))
        if scope.reads_earlier_runs and settings.store == "memory":
            option = "--orchestra-from-step" if settings.from_step else "--orchestra-only-step"
            raise SettingsError(f"{option}: store 'memory' keeps no runs", hint="use the store of the earlier run")
        return scope

    @property
    def reads_earlier_runs(self) -> bool:
        """Whether results of earlier runs are wanted."""
        return bool(self.from_step or self.only_step)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that are named."""
        return tuple(filter(None, (self.until, self.from_step, self.only_step)))

    def version(self, version: str) -> str:
        """Give the version of a scenario of which only this is run: one run never goes on with another's part."""
        if self == Scope():
            return version
        text = json.dumps([version, self.until, self.from_step, self.only_step, self.changes])
        return hashlib.sha256(text.encode()).hexdigest()

    def missing_step(self, steps: Sequence[ScenarioStep]) -> str | None:
        """Give the first step that is named and that a scenario does not have."""
        return next((text for text in self.steps if find_steps(steps, text) is None), None)

    def check(self, items: Iterable[ScenarioItem]) -> None:
        """Refuse a step that no scenario has. Raises ``SettingsError``."""
        steps = [step for item in items for step in item.scenario.steps]
        for option, text in (("until", self.until), ("from-step", self.from_step), ("only-step", self.only_step)):
            if text and steps and find_steps(steps, text) is None:
                aliases = sorted({step.alias for step in steps})
                nearest = difflib.get_close_matches(text, aliases, 1)
                hint = f"did you mean '{nearest[0]}'?" if nearest else f"steps: {', '.join(aliases[:10])}"
                raise SettingsError(f"--orchestra-{option}: no scenario has a step '{text}'", hint=hint)

    def apply(self, request: RunRequest, earlier: Sequence[StoredRun]) -> RunRequest:
        """Give the request for this part of its scenario. ``earlier`` are runs of the same key, newest first.

        Raises ``StepError`` where none of them has what is needed.
        """
        steps = request.scenario.steps
        reach = replace(self._reach(steps), left_out=request.reach.left_out)
        run, data = request.run, request.data
        reused: tuple[StepResult, ...] = ()
        if self.reads_earlier_runs and reach.first:
            found = self._choose(request, earlier, reach)
            if found is not None:
                reused = _results_before(found, steps, reach.first)
                data = data if found.data is None else found.data
                run = replace(run, correlation_id=found.run.correlation_id)
            self._refuse_lacks(request, reach, reused)
        for name, value in self.changes:
            data = with_value(data, name, value)
        return replace(request, run=replace(run, mode=str(self._mode(run.mode))), data=data, reach=reach, reused=reused)

    def _mode(self, mode: str) -> str:
        if self.only_step:
            return RunMode.SINGLE_STEP
        return RunMode.FROM_STEP if self.from_step else mode

    def _reach(self, steps: Sequence[ScenarioStep]) -> Reach:
        first, last = 0, None
        if self.only_step and (found := find_steps(steps, self.only_step)):
            return Reach(*found)
        if self.from_step and (found := find_steps(steps, self.from_step)):
            first = found[0]
        if self.until and (found := find_steps(steps, self.until)):
            last = found[1]
        return Reach(first, last)

    def _choose(self, request: RunRequest, earlier: Sequence[StoredRun], reach: Reach) -> StoredRun | None:
        """Choose the newest run that passed all steps before; for a single step, the newest that passed any."""
        others = [
            stored
            for stored in earlier
            if stored.run.id != request.run.id and stored.run.environment == request.run.environment
        ]
        results = [_results_before(stored, request.scenario.steps, reach.first) for stored in others]
        complete = (stored for stored, found in zip(others, results, strict=True) if len(found) == reach.first)
        if self.only_step:
            return next(complete, None) or next(
                (stored for stored, found in zip(others, results, strict=True) if found), None
            )
        return next(complete, None)

    def _refuse_lacks(self, request: RunRequest, reach: Reach, reused: Sequence[StepResult]) -> None:
        steps = request.scenario.steps
        hint = f"run the scenario once, at least with --orchestra-until={steps[reach.first - 1].alias}"
        key = request.run.key
        if self.from_step and len(reused) < reach.first:
            alias = steps[reach.first].alias
            raise StepError(f"{key}: the store has no earlier run that passed all steps before '{alias}'", hint=hint)
        there = {result.alias for result in reused} | {step.alias for step in steps[reach.first :]}
        for step in steps[reach.first : None if reach.last is None else reach.last + 1]:
            lacks = sorted(_steps_read(step) - there)
            if lacks:
                fact = f"step '{step.alias}' reads the reply of step '{lacks[0]}', which no earlier run has"
                raise StepError(f"{key}: {fact}", hint=hint)


def _steps_read(step: ScenarioStep) -> frozenset[str]:
    try:
        return StepTemplates.of(step.definition).steps_read
    except OrchestraError:  # the step's own problem, told as such
        return frozenset()


def _results_before(stored: StoredRun, steps: Sequence[ScenarioStep], first: int) -> tuple[StepResult, ...]:
    """Give the good results that a run has of the steps before ``first``, marked with where they come from."""
    known = {result.alias: result for result in stored.steps if result.status in _GOOD}
    return tuple(
        replace(
            found,
            order_index=step.order_index,
            reused_from=found.reused_from or stored.run.id,
            settling_time_ms=None,  # it was measured once, and is not to count twice
        )
        for step in steps[:first]
        if (found := known.get(step.alias)) is not None
    )


def _change(text: str) -> tuple[str, JsonValue]:
    """Read ``customer.id=5``; the value is JSON, or else a text."""
    name, equals, written = text.partition("=")
    if not equals or not all(part for part in name.split(".")):
        raise SettingsError(f"--orchestra-data: '{text}' does not read NAME=VALUE", hint="for example amount=250")
    try:
        value: JsonValue = json.loads(written)
    except ValueError:
        value = written
    return name, value
