"""Rehearsals: which assertions notice a faulty participant, and which pass whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.definition import StepKind
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import StepStatus
from pytest_orchestra.model.scenario import TestScenario
from pytest_orchestra.simulation.distortion import Distortion, DistortionKind

__all__ = [
    "LeftOut",
    "Noticed",
    "PlainRun",
    "Rehearsal",
    "Rehearsed",
    "choose_runs",
    "judge_rehearsal",
    "rehearsal_json",
    "rehearsal_text",
    "rehearsed_steps",
    "steps_left_out",
]

_GOOD: Final = (StepStatus.PASSED, StepStatus.FLAKY)


@dataclass(frozen=True, slots=True, order=True)
class Rehearsed:
    """A step that asserts something as one run had it: the process, its alias and name, and how it ended."""

    process: str
    alias: str
    name: str
    run_key: str
    has_passed: bool
    has_violation: bool


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """A step that no run carried out, and why."""

    process: str
    alias: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """An assertion step of a process, and the distortions that made it fail in any scenario."""

    process: str
    alias: str
    name: str
    distortions: tuple[Distortion, ...]

    @property
    def is_vacuous(self) -> bool:
        """Whether no distortion made it fail."""
        return not self.distortions


@dataclass(frozen=True, slots=True)
class PlainRun:
    """An undisturbed run: its key, its assertion steps, and the faults that would have met it."""

    key: str
    steps: tuple[Rehearsed, ...]
    distortions: frozenset[Distortion]

    @property
    def assertions(self) -> frozenset[tuple[str, str]]:
        """Process and alias of the assertion steps that passed."""
        return frozenset((step.process, step.alias) for step in self.steps if step.has_passed)


@dataclass(slots=True)
class Rehearsal:
    """All that was rehearsed: the undisturbed runs, the spoiled ones by what was spoiled, and what was left out.

    ``faults`` tell of what could not be tried.
    """

    plain: list[Rehearsed] = field(default_factory=list)
    spoiled: dict[Distortion, list[Rehearsed]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Write it for :meth:`of_json`."""
        written = {
            "plain": [asdict(step) for step in self.plain],
            "spoiled": {str(each): [asdict(step) for step in steps] for each, steps in self.spoiled.items()},
            "leftOut": [asdict(step) for step in self.left_out],
            "faults": self.faults,
        }
        return json.dumps(written)

    @classmethod
    def of_json(cls, text: str) -> Rehearsal:
        """Read what :meth:`to_json` wrote."""
        written: Mapping[str, Any] = json.loads(text)
        return cls(
            [Rehearsed(**step) for step in written["plain"]],
            {
                Distortion.read(named): [Rehearsed(**step) for step in steps]
                for named, steps in written["spoiled"].items()
            },
            [LeftOut(**step) for step in written["leftOut"]],
            list(written["faults"]),
        )


def rehearsed_steps(finished: RunFinished, scenario: TestScenario) -> tuple[Rehearsed, ...]:
    """Give the steps of a run that ended which assert something: assertions, and actions with rules for the reply."""
    run = finished.run
    asserting = {
        step.alias
        for step in scenario.steps
        if step.kind is StepKind.ASSERTION or (step.kind is StepKind.ACTION and step.definition.business_rules)
    }
    return tuple(
        Rehearsed(run.process_id, step.alias, step.name, run.key, step.status in _GOOD, bool(step.violations))
        for step in finished.steps
        if step.alias in asserting
    )


def steps_left_out(runs: Iterable[RunFinished]) -> tuple[LeftOut, ...]:
    """Give the steps that none of the runs carried out, which all ended well."""
    found: dict[tuple[str, str], LeftOut | None] = {}
    for finished in runs:
        process = finished.run.process_id
        for step in finished.steps:
            is_skipped = step.status is StepStatus.SKIPPED and step.reason is not None
            left_out = LeftOut(process, step.alias, step.name, step.reason or "") if is_skipped else None
            known = found.setdefault((process, step.alias), left_out)
            if known is not None and left_out is None:
                found[process, step.alias] = None
    return tuple(each for each in found.values() if each is not None)


def choose_runs(
    plain: Sequence[PlainRun], participants: Sequence[str], tried: Mapping[Distortion, Sequence[Rehearsed]]
) -> dict[Distortion, tuple[PlainRun, ...]]:
    """Give the runs to try next, by what is to be spoiled; nothing, when there is nothing left to find out.

    At first, for each fault the fewest of the runs that it would have met, taken greedily, that have all assertion
    steps of these runs. Then, for steps that noticed nothing so far, all other runs as well.
    """
    met = sorted({each for run in plain for each in run.distortions}, key=lambda each: _order_of(each, participants))
    if not tried:
        return {each: _cover([run for run in plain if each in run.distortions]) for each in met}
    noticed = judge_rehearsal([step for run in plain for step in run.steps], tried)
    doubtful = {(each.process, each.alias) for each in noticed if each.is_vacuous}
    done = {each: {step.run_key for step in steps} for each, steps in tried.items()}
    rest = {
        each: tuple(
            run
            for run in plain
            if each in run.distortions and run.key not in done.get(each, ()) and run.assertions & doubtful
        )
        for each in met
    }
    return {each: runs for each, runs in rest.items() if runs}


def _order_of(distortion: Distortion, participants: Sequence[str]) -> tuple[int, str, str, int]:
    named = distortion.participant
    place = participants.index(named) if named in participants else len(participants)
    return place, named, distortion.subject, list(DistortionKind).index(distortion.kind)


def _cover(runs: Sequence[PlainRun]) -> tuple[PlainRun, ...]:
    chosen: list[PlainRun] = []
    left = {step for run in runs for step in run.assertions}
    while left:
        best = max(runs, key=lambda run: len(run.assertions & left))  # the first of equals
        chosen.append(best)
        left -= best.assertions
    return tuple(chosen)


def judge_rehearsal(
    plain: Sequence[Rehearsed], spoiled: Mapping[Distortion, Sequence[Rehearsed]]
) -> tuple[Noticed, ...]:
    """Give, of every assertion step that passed undisturbed, what made it fail: a violation, and not mere absence."""
    passed = {(step.run_key, step.alias) for step in plain if step.has_passed}
    noticed: dict[tuple[str, str, str], dict[Distortion, None]] = {
        (step.process, step.alias, step.name): {} for step in plain if step.has_passed
    }
    for distortion, steps in spoiled.items():
        for step in steps:
            if step.has_violation and (step.run_key, step.alias) in passed:
                noticed[step.process, step.alias, step.name][distortion] = None
    return tuple(Noticed(*step, tuple(found)) for step, found in noticed.items())


def rehearsal_text(file: str, noticed: Sequence[Noticed], distortions: int, left_out: Sequence[LeftOut] = ()) -> str:
    """Show, for people, what every assertion step notices."""
    vacuous = [each for each in noticed if each.is_vacuous]
    shown = [_shown(each.alias, each.name, noticed) for each in noticed]
    width = max(map(len, (*shown, *(each.alias for each in left_out))))
    lines = [f"{file}: {_counted(len(noticed), 'assertion step')}, {_counted(distortions, 'distortion')}", ""]
    for each, name in zip(noticed, shown, strict=True):
        told = ", ".join(map(str, each.distortions)) or "nothing: vacuous"
        lines.append(f"  {'✗' if each.is_vacuous else '✓'} {name:<{width}}  fails by {told}")
    lines += [f"  - {each.alias:<{width}}  {each.reason}" for each in left_out]
    if vacuous:
        lines += ["", f"{_counted(len(vacuous), 'assertion step')} would pass whatever the participants do:"]
        lines += [f"  {each.alias}: {each.name}" for each in vacuous]
        lines.append("hint: let them look at a value that a participant gives, or leave them out")
    return "\n".join(lines)


def rehearsal_json(
    noticed: Sequence[Noticed], distortions: Iterable[Distortion], left_out: Sequence[LeftOut] = ()
) -> JsonValue:
    """Give the same for programs."""
    return {
        "distortions": [str(each) for each in distortions],
        "assertions": [
            {
                "process": each.process,
                "alias": each.alias,
                "name": each.name,
                "failsBy": [str(one) for one in each.distortions],
                "vacuous": each.is_vacuous,
            }
            for each in noticed
        ],
        "leftOut": [asdict(each) for each in left_out],
    }


def _shown(alias: str, name: str, others: Sequence[Noticed]) -> str:
    """Give an alias, with the name where other elements have the same one."""
    return f"{alias} ({name})" if sum(each.alias == alias for each in others) > 1 else alias


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
