"""What an earlier worker left of a run, and what of it may be used. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from pytest_orchestra.engine.ports import StepIntent, StoredRun
from pytest_orchestra.engine.request import RunRequest
from pytest_orchestra.errors import DefinitionError, StepError, StepInDoubtError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import StepResult, StepStatus, SuiteRun
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.model.secret import MASK

__all__ = [
    "SKIPPED_BY_HAND",
    "Resumption",
    "dated",
    "doubtful",
    "find_masked",
    "has_changed",
    "idempotency_key",
    "is_plain",
    "masked_value",
    "other_version",
    "resumption_note",
    "take_up",
    "taken_over",
]

SKIPPED_BY_HAND: Final = "skipped by hand"
"""Why a step was skipped that somebody decided to leave out."""

_ENDED = (StepStatus.PASSED, StepStatus.FAILED, StepStatus.FLAKY)


@dataclass(frozen=True, slots=True)
class Resumption:
    """The results of the steps that had ended, and the intents of those that had begun and not ended, by alias."""

    results: Mapping[str, StepResult] = field(default_factory=dict)
    intents: Mapping[str, StepIntent] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: StoredRun) -> Resumption:
        """Take it from what the store has. Steps that a cancelled run skipped are to be carried out yet."""
        results = {step.alias: step for step in stored.steps if step.status in _ENDED or step.reason == SKIPPED_BY_HAND}
        intents = {intent.alias: intent for intent in stored.intents if intent.alias not in results}
        return cls(results, intents)


def take_up(request: RunRequest, stored: StoredRun) -> RunRequest:
    """Give the request as the run began: with its correlation id, its data and its own start."""
    run = replace(
        request.run,
        correlation_id=stored.run.correlation_id,
        attempt=stored.run.attempt,
        created_at=stored.run.created_at,
        started_at=stored.run.started_at,
    )
    return replace(request, run=run, data=request.data if stored.data is None else stored.data)


def has_changed(request: RunRequest, stored: StoredRun) -> bool:
    """Tell whether a stored run is one of another version of the scenario, or of another environment."""
    ours, theirs = request.run, stored.run
    return (ours.scenario_version, ours.environment) != (theirs.scenario_version, theirs.environment)


def idempotency_key(run_id: str, alias: str, attempt: int) -> str:
    """Give the key of an action (UUID 5): the same for the same attempt of the same step of the same run."""
    return str(uuid5(NAMESPACE_URL, f"orchestra:{run_id}/{alias}/{attempt}"))


def other_version(suite_run_key: str, run_key: str) -> DefinitionError:
    """Give the error of a run that another session of its SuiteRun knows differently."""
    return DefinitionError(
        f"suite run '{suite_run_key}' has '{run_key}' in another version, or for another environment",
        hint="let all sessions of a suite run have the same definitions, or give this one another key",
    )


def resumption_note(suite_run: SuiteRun, stored: Sequence[StoredRun]) -> str:
    """Say which SuiteRun a session goes on with, when that began, and what is left of it."""
    ended = sum(each.run.status.is_final for each in stored)
    left = len(stored) - ended
    what_is_left = {0: "none is left", 1: "1 is left"}.get(left, f"{left} are left")
    return f"resumes {dated(suite_run)}: {ended} of {len(stored)} runs had ended, {what_is_left}"


def dated(suite_run: SuiteRun) -> str:
    """Name a SuiteRun by its key and, where that is known, the moment when it began."""
    moment = suite_run.started_at
    return f"suite run '{suite_run.key}'" + (f" of {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "")


def is_plain(value: object) -> bool:
    """Tell whether a value is JSON and so comes back from a store as it was."""
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and is_plain(entry) for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (str, int, float, bool))


def taken_over(result: StepResult) -> StepResult:
    """Mark what an earlier session did of this run, and did not itself take from another run."""
    return result if result.reused_from is not None else replace(result, taken_over=True)


def doubtful(step: ScenarioStep) -> StepInDoubtError:
    """Give the error of an action that nobody knows the outcome of and that must not be repeated."""
    return StepInDoubtError(
        f"step '{step.alias}' was under way when its run was cut off; nobody knows whether it took effect",
        place=step.definition.place,
        hint="run the scenario anew, or let the step be repeated with 'onResume: retry'",
    )


def find_masked(step: ScenarioStep, names: Iterable[str], masked: Mapping[str, JsonObject]) -> StepError | None:
    """Find what a step reads that the store does not have, because it was a secret; ``masked`` are replies by alias."""
    for path in sorted(names):
        root, _, rest = path.partition(".")
        alias, _, inner = rest.partition(".")
        if root in ("step", "steps") and alias in masked and masked_value(masked[alias], inner):
            return StepError(
                f"step '{step.alias}' reads '{path}', which held a secret; the store keeps none, "
                "and so the resumed run does not have it",
                place=step.definition.place,
                hint="run the scenario anew",
            )
    return None


def masked_value(response: JsonObject, path: str) -> bool:
    """Tell whether what a dotted path (``response.body.token``) leads to has something masked in it."""
    value: JsonValue = {"response": response}
    for name in path.split(".") if path else ():
        if not isinstance(value, Mapping) or name not in value:
            break
        value = value[name]
    return _holds_mask(value)


def _holds_mask(value: JsonValue) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_mask(entry) or MASK in name for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return any(map(_holds_mask, value))
    return isinstance(value, str) and MASK in value
