"""Rehearsals: which assertion steps notice that a participant is faulty, and which would pass whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_orchestra.model.definition import ChannelType, StepDefinition, StepKind
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.simulation.distortion import CALLS, MESSAGES, Distortion, DistortionKind

__all__ = [
    "Noticed",
    "Rehearsed",
    "find_distortions",
    "judge_rehearsal",
    "read_rehearsed",
    "rehearsal_json",
    "rehearsal_text",
]

_OF_REPLIES: Final = (DistortionKind.NUMBERS, DistortionKind.STATES, DistortionKind.ACCEPTED)
"""A reply that does not come is no distortion: every step notices that, whatever it asserts."""

_OF_MESSAGES: Final = (DistortionKind.NUMBERS, DistortionKind.STATES, DistortionKind.LOST)


@dataclass(frozen=True, slots=True, order=True)
class Rehearsed:
    """An assertion step as one run had it: the process, the step's alias and name, and how it ended."""

    process: str
    alias: str
    name: str
    run_key: str
    has_passed: bool
    has_violation: bool


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


def find_distortions(
    participants: Iterable[str], simulations: Mapping[str, Simulation], steps: Iterable[StepDefinition]
) -> tuple[Distortion, ...]:
    """Give every way in which one of the participants can be faulty that the steps call, or that send by themselves."""
    called: dict[str, dict[str, None]] = {}
    for step in steps:
        if step.channel_type == ChannelType.HTTP_REST and step.endpoint_ref is not None:
            called.setdefault(step.endpoint_ref.service_name, {})[step.endpoint_ref.endpoint_name] = None
    found: list[Distortion] = []
    for name in participants:
        found += (Distortion(name, subject, kind) for subject in called.get(name, ()) for kind in _OF_REPLIES)
        simulation = simulations.get(name, Simulation())
        rules = [*(rule for rules in simulation.operations.values() for rule in rules), *simulation.on_message]
        subjects = [MESSAGES] if any(rule.publish for rule in rules) else []
        subjects += [CALLS] if any(rule.call for rule in rules) else []
        found += (Distortion(name, subject, kind) for subject in subjects for kind in _OF_MESSAGES)
    return tuple(found)


def read_rehearsed(events: Iterable[str]) -> tuple[Rehearsed, ...]:
    """Give the assertion steps of all runs that ended, from the lines of an event file."""
    found: list[Rehearsed] = []
    for line in events:
        event: Mapping[str, Any] = json.loads(line)
        if event["event"] != "RunFinished":
            continue
        run = event["run"]
        found += (
            Rehearsed(
                run["process_id"],
                step["alias"],
                step["name"],
                run["key"],
                step["status"] in ("PASSED", "FLAKY"),
                bool(step["violations"]),
            )
            for step in event["steps"]
            if step["kind"] == StepKind.ASSERTION
        )
    return tuple(found)


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


def rehearsal_text(file: str, noticed: Sequence[Noticed], distortions: int) -> str:
    """Show, for people, what every assertion step notices."""
    vacuous = [each for each in noticed if each.is_vacuous]
    width = max(len(each.alias) for each in noticed)
    lines = [f"{file}: {_counted(len(noticed), 'assertion step')}, {_counted(distortions, 'distortion')}", ""]
    for each in noticed:
        told = ", ".join(map(str, each.distortions)) or "nothing: vacuous"
        lines.append(f"  {'✗' if each.is_vacuous else '✓'} {each.alias:<{width}}  fails by {told}")
    if vacuous:
        lines += ["", f"{_counted(len(vacuous), 'assertion step')} would pass whatever the participants do:"]
        lines += [f"  {each.alias}: {each.name}" for each in vacuous]
        lines.append("hint: let them look at a value that a participant gives, or leave them out")
    return "\n".join(lines)


def rehearsal_json(noticed: Sequence[Noticed], distortions: Sequence[Distortion]) -> JsonValue:
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
    }


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
