"""What the engine is asked to carry out, and how that ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.engine.reach import Reach
from pytest_orchestra.engine.scheduling import Prerequisite
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import StepResult, TestRun
from pytest_orchestra.model.scenario import TestScenario
from pytest_orchestra.model.specification import ProtocolSpec

__all__ = ["RunOutcome", "RunRequest", "SuiteSetting"]


@dataclass(frozen=True, eq=False)
class SuiteSetting:
    """What the runs of one process file share; compared by identity."""

    bindings: Bindings
    specs: Mapping[str, ProtocolSpec]


@dataclass(frozen=True, eq=False, slots=True)
class RunRequest:
    """A TestRun to be carried out, with all it needs. ``timeout_s`` bounds the whole run, all its attempts together.

    ``retries`` is how often it is carried out again when it failed; ``is_rerun`` says that it stands for one that did.
    ``locks`` are the names of what it must have for itself. ``reach`` says which steps are carried out, ``reused`` are
    results of earlier runs that stand for others.
    """

    run: TestRun
    scenario: TestScenario
    setting: SuiteSetting
    environment: ResolvedEnvironment
    data: JsonObject
    fixtures: Mapping[str, object] = field(default_factory=dict)
    prerequisites: tuple[Prerequisite, ...] = ()
    timeout_s: float | None = None
    locks: tuple[str, ...] = ()
    reach: Reach = field(default_factory=Reach)
    reused: tuple[StepResult, ...] = ()
    retries: int = 0
    is_rerun: bool = False


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended, and the exception, if something ended it that is neither a violation nor an error of ours.

    ``aborts_suite`` says why no other run is to begin, if that is so.
    """

    finished: RunFinished
    exception: BaseException | None = None
    aborts_suite: str | None = None
