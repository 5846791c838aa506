"""The item of one scenario and data set, and the item that stands for problems of a whole file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import pytest

from pytest_orchestra.collection.adapter import ItemFixtures
from pytest_orchestra.collection.failures import (
    DefinitionFault,
    FaultReport,
    ScenarioFault,
    ScenarioViolated,
    stop_at,
)
from pytest_orchestra.engine.engine import RunOutcome
from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import ScenarioStatus
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunStatus
from pytest_orchestra.model.scenario import ScenarioSuite, TestScenario
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.reporting.terminal import FailureReport
from pytest_orchestra.session.definitions import Definitions

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["OrchestraItem", "ProblemItem", "ScenarioItem", "is_open"]

_ENVIRONMENT_FIXTURE: Final = "orchestra_environment"
_DATASET_FIXTURE: Final = "orchestra_dataset"
_REGISTERED_TAGS: Final = pytest.StashKey[set[str]]()
_RESERVED_MARKERS: Final = frozenset(
    {"filterwarnings", "parametrize", "skip", "skipif", "usefixtures", "xfail", "tryfirst", "trylast"}
)


class OrchestraItem(pytest.Item):
    """What both kinds of items share: a file, a line, and failures that are texts and no tracebacks."""

    def __init__(self, *, line: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._line = line

    def reportinfo(self) -> tuple[PathLike[str] | str, int | None, str]:
        """Give file, line (from 0) and name."""
        return self.path, max(0, self._line - 1), self.name

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
        """Keep what is not ours: core shows a dozen of its own frames for errors in fixtures otherwise."""
        shown = excinfo.traceback.filter(lambda entry: not _is_machinery(entry.path))
        return shown or excinfo.traceback

    def _repr_failure_py(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show our own failures as texts and everything else as pytest does; core asks here for every phase."""
        error = excinfo.value
        if isinstance(error, (ScenarioViolated, ScenarioFault)):
            return FailureReport(error.finished)
        if isinstance(error, DefinitionFault):
            return FaultReport(str(error), self.nodeid)
        return super()._repr_failure_py(excinfo, style)


class ProblemItem(OrchestraItem):
    """Stands for what is wrong with a file as a whole: one red item, and everything else goes on."""

    def __init__(self, *, problems: Sequence[Problem], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problems = tuple(problems)

    def setup(self) -> None:
        """Raise what is wrong: our input, hence an error and no failure."""
        raise DefinitionFault("\n".join(str(problem) for problem in self.problems))

    def runtest(self) -> None:
        """Never reached: setup raises."""
        raise AssertionError("setup raises")


class ScenarioItem(OrchestraItem):
    """One scenario with one data set.

    By the time that pytest runs the item, the engine has usually carried the scenario out; the item then only tells how
    it ended. ``run_now`` carries it out on the spot where that is not so: in reruns, and for function-scoped fixtures.
    """

    def __init__(
        self,
        *,
        scenario: TestScenario,
        data_set: TestDataSet | None,
        suite: ScenarioSuite,
        definitions: Definitions,
        only_session_autouse: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(line=scenario.line, **kwargs)
        self.scenario = scenario
        self.data_set = data_set
        self.suite = suite
        self.definitions = definitions
        self.outcome: RunOutcome | None = None
        self.fault: str | None = None
        self.skip_reason = _reason_not_to_run(scenario)
        self.run_now: Callable[[ScenarioItem], RunOutcome] | None = None
        self.attempts = 0
        self.fails_if_flaky = False
        self.is_ahead = False
        self.funcargs: dict[str, object] = {}
        self.fixturenames: list[str] = []
        self._request: Any = None
        bindings = definitions.bindings
        names = [_ENVIRONMENT_FIXTURE, *(bindings.fixtures if bindings else ())]
        self.fixtures = ItemFixtures(
            self, names, if_overridden=[_DATASET_FIXTURE], only_session_autouse=only_session_autouse
        )
        self._add_tags((*scenario.tags, *(data_set.tags if data_set else ())))

    def _add_tags(self, tags: Iterable[str]) -> None:
        registered = self.config.stash.setdefault(_REGISTERED_TAGS, set())
        for tag in dict.fromkeys(tags):
            marker = f"tag_{tag}" if tag in _RESERVED_MARKERS or tag.startswith("_") else tag
            if marker not in registered:
                self.config.addinivalue_line("markers", f"{marker}: tag of a scenario or data set")
                registered.add(marker)
            self.add_marker(marker)
        self.extra_keyword_matches.update((self.scenario.name, self.suite.process_name, self.suite.process_id))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What stops this very scenario from running."""
        return tuple(problem for problem in self.scenario.problems if problem.severity is Severity.ERROR)

    @property
    def is_sequential(self) -> bool:
        """Whether it uses fixtures of function scope, which live only while the item itself runs."""
        return "function" in self.fixtures.scopes().values()

    def unusable_fixture(self) -> str | None:
        """Say which fixture there is not, wants parameters or has a scope that scenarios do not have, if one does."""
        missing = self.fixtures.missing()
        if missing is not None:
            return (
                f"{self.nodeid}: no fixture '{missing}'\n"
                f"hint: define it in a conftest.py, or mend 'fixtures'; 'pytest --fixtures' lists those that there are"
            )
        parametrized = self.fixtures.parametrized()
        if parametrized is not None:
            return (
                f"{self.nodeid}: fixture '{parametrized}' has params, which scenarios do not have\n"
                f"hint: write a data set for each, or give it no params"
            )
        for name, scope in self.fixtures.scopes().items():
            if scope in ("module", "class", "package"):
                return (
                    f"{self.nodeid}: fixture '{name}' has scope '{scope}', which scenarios do not have\n"
                    f"hint: give it scope 'session' or 'function'"
                )
        return None

    def _initrequest(self) -> None:
        """Begin anew, as core asks when an item is run again."""
        self.fixtures.request()

    def setup(self) -> None:
        """Set the fixtures up, have the scenario carried out if it was not yet, and raise if our side was wrong.

        Ahead of the item's own time only the session's fixtures are set up, for the engine to have them.
        """
        if self.is_ahead:
            self.fixtures.fill("session")
            return
        if self.problems:
            raise DefinitionFault("\n".join(str(problem) for problem in self.problems))
        if self.fault is not None:
            raise DefinitionFault(self.fault)
        if self.skip_reason is not None:
            pytest.skip(self.skip_reason)
        self.fixtures.fill()
        if self.config.getoption("setuponly", default=False):
            return
        outcome = self._take_outcome()
        finished = outcome.finished
        if outcome.exception is not None:
            raise outcome.exception
        if finished.status is RunStatus.ERROR:
            stop_at(finished, self._data, ScenarioFault)
        if finished.status in (RunStatus.SKIPPED, RunStatus.CANCELLED):
            pytest.skip(finished.reason or "it was not run")

    def _take_outcome(self) -> RunOutcome:
        """Give the outcome once; a second time, or without one, the scenario is carried out now."""
        if self.outcome is None or self.attempts:
            assert self.run_now is not None, "the plugin sets it"
            self.outcome = self.run_now(self)
        self.attempts += 1
        return self.outcome

    def runtest(self) -> None:
        """Tell how the scenario ended."""
        assert self.outcome is not None
        status = self.outcome.finished.status
        if not status.is_good or (self.fails_if_flaky and status is RunStatus.FLAKY):
            stop_at(self.outcome.finished, self._data, ScenarioViolated)

    @property
    def _data(self) -> JsonObject:
        data_set = self.funcargs.get(_DATASET_FIXTURE, self.data_set)
        return data_set.data if isinstance(data_set, TestDataSet) else {}

    @property
    def finished(self) -> RunFinished | None:
        """How the scenario ended, if it did."""
        return self.outcome.finished if self.outcome is not None else None


def is_open(item: OrchestraItem) -> TypeGuard[ScenarioItem]:
    """Tell whether an item is a scenario that is to run and has no outcome yet."""
    if not isinstance(item, ScenarioItem) or item.problems:
        return False
    return item.fault is None and item.skip_reason is None and item.outcome is None


def _reason_not_to_run(scenario: TestScenario) -> str | None:
    if scenario.status is not ScenarioStatus.PUBLISHED:
        return f"its status is {scenario.status}"
    if not scenario.steps:
        return "no step is bound on its path: it would pass whatever the system does"
    return None


def _is_machinery(path: Path | str) -> bool:
    parts = Path(path).parts
    return any(part in ("_pytest", "pluggy", "pytest_orchestra", "asyncio") for part in parts)
