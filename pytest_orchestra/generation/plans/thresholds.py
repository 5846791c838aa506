"""How much of each criterion must be covered, in percent, and where that is not so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pytest_orchestra.errors import SettingsError
from pytest_orchestra.generation.wording import quoted
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.scenario import CriterionCoverage, MissedGoal, ScenarioSuite
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["Thresholds", "find_shortfalls", "parse_thresholds", "thresholds_json"]

_WHOLE: Final = 100
_MOST_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Percentages by criterion, and one for whatever criterion a file covers. ``source`` is where they were given."""

    by_criterion: Mapping[Criterion, float] = field(default_factory=dict)
    every: float | None = None
    source: str = ""


def parse_thresholds(text: str, source: str) -> Thresholds:
    """Read ``edge=100,node=90``, or ``95`` for every criterion. Raises ``SettingsError``."""
    found: dict[Criterion, float] = {}
    every: float | None = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, number = part.rpartition("=")
        percent = _percent(number.strip(), part, source)
        if not equals:
            every = percent
        elif name.strip() in tuple(Criterion):
            found[Criterion(name.strip())] = percent
        else:
            fact = f"{source}: '{name.strip()}' is not known"
            raise SettingsError(fact, hint=f"choose of {', '.join(Criterion)}")
    return Thresholds(found, every, source)


def _percent(number: str, part: str, source: str) -> float:
    try:
        percent = float(number.removesuffix("%").strip())
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= _WHOLE:
        raise SettingsError(f"{source}: '{part}' is no criterion with a percentage", hint="for example edge=100")
    return percent


def find_shortfalls(
    suite: ScenarioSuite, bindings: Bindings | None, general: Thresholds, home: Place
) -> tuple[Problem, ...]:
    """Give an error for every criterion of which a suite covers less than it must.

    What the sidecar says goes before ``general``, criterion by criterion. A criterion that is asked for by name and not
    covered by this suite at all is an error too: nobody would know whether it is met.
    """
    reached = {each.criterion: each for each in suite.coverage}
    found: list[Problem] = []
    for criterion, (percent, source) in _wanted(suite, bindings, general).items():
        place = (bindings.place_of("thresholds", criterion) if bindings and source is None else None) or home
        coverage = reached.get(criterion)
        label = f"'{suite.process_name or suite.process_id}'"
        if coverage is None:
            fact = f"{criterion} coverage of {label} is not measured, and {_percent_text(percent)} are required"
            hint = f"add '{criterion}' to 'coverage', or take it out of {source or 'thresholds'}"
            found.append(Problem(Severity.ERROR, place, fact, hint))
        elif not _is_met(coverage, percent):
            found.append(Problem(Severity.ERROR, place, _shortfall(coverage, percent, label, source), _hint(coverage)))
    return tuple(found)


def thresholds_json(suite: ScenarioSuite, bindings: Bindings | None, general: Thresholds) -> JsonObject:
    """Give by criterion what is ``required`` and ``reached``, in percent, and whether it ``isMet``."""
    reached = {each.criterion: each for each in suite.coverage}
    return {
        criterion.value: {
            "required": int(percent) if percent == int(percent) else percent,
            "reached": _reached(reached[criterion]) if criterion in reached else None,
            "isMet": criterion in reached and _is_met(reached[criterion], percent),
        }
        for criterion, (percent, _) in _wanted(suite, bindings, general).items()
    }


def _wanted(
    suite: ScenarioSuite, bindings: Bindings | None, general: Thresholds
) -> dict[Criterion, tuple[float, str | None]]:
    """Give for each criterion what is required, and who says so; the sidecar where that is None."""
    wanted: dict[Criterion, tuple[float, str | None]] = {}
    if general.every is not None:
        wanted |= {each.criterion: (general.every, general.source) for each in suite.coverage}
    wanted |= {criterion: (percent, general.source) for criterion, percent in general.by_criterion.items()}
    if bindings is not None:
        wanted |= {criterion: (percent, None) for criterion, percent in bindings.thresholds.items()}
    return {criterion: wanted[criterion] for criterion in Criterion if criterion in wanted}


def _is_met(coverage: CriterionCoverage, percent: float) -> bool:
    return coverage.covered * _WHOLE >= percent * coverage.total


def _reached(coverage: CriterionCoverage) -> float:
    """Give the percentage with two decimals, rounded down: 100 means all."""
    return _WHOLE if not coverage.total else int(coverage.covered * _WHOLE * 100 / coverage.total) / 100


def _shortfall(coverage: CriterionCoverage, percent: float, label: str, source: str | None) -> str:
    """Say what is reached first: a line of pytest's summary may be cut."""
    reached = f"{_percent_text(_reached(coverage))} ({coverage.covered} of {coverage.total})"
    required = f"that {source} requires" if source else "required"
    missing = "; ".join(_missing(coverage.missing))
    limit = f"below the {_percent_text(percent)} {required} of {label}"
    return f"{coverage.criterion} coverage is {reached}, {limit}: not {missing}"


def _missing(missing: tuple[MissedGoal, ...]) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for goal in missing[:_MOST_NAMED]:
        by_reason.setdefault(goal.reason, []).append(goal.element)
    for reason, elements in by_reason.items():
        yield f"{quoted(elements)} ({reason})"
    if len(missing) > _MOST_NAMED:
        yield f"{len(missing) - _MOST_NAMED} more"


def _hint(coverage: CriterionCoverage) -> str:
    return f"mend the model or its data, or lower the threshold of '{coverage.criterion}'"


def _percent_text(percent: float) -> str:
    return f"{percent:g} %"
