"""Running scenarios: concurrently on the engine, reported one after another through pytest's ordinary protocol."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import pytest

from pytest_orchestra.collection.adapter import Anchor, refusal, set_up_ahead
from pytest_orchestra.collection.items import OrchestraItem, ScenarioItem, is_open
from pytest_orchestra.engine.engine import RunOutcome, RunRequest
from pytest_orchestra.engine.scheduling import Prerequisite
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.collector import collector_relaxed
from pytest_orchestra.model.run import RunStatus, SuiteRunStatus
from pytest_orchestra.plugin.catalogue import Catalogue
from pytest_orchestra.plugin.fixtures import other_environments
from pytest_orchestra.plugin.planned import coverage_of
from pytest_orchestra.plugin.rehearsing import Rehearsing
from pytest_orchestra.plugin.requests import Dependencies, RequestBuilder
from pytest_orchestra.plugin.routing import OutputRouter
from pytest_orchestra.plugin.state import SAID_IN_WORKER, crashed_workers, settings_of, worker_input
from pytest_orchestra.plugin.stepping import conversation_of
from pytest_orchestra.plugin.telling import say, uncaptured
from pytest_orchestra.reporting.ndjson import NdjsonListener
from pytest_orchestra.reporting.progress import LiveProgress
from pytest_orchestra.session.orchestra import OrchestraSession

__all__ = ["ScenarioRunning"]

_REPORTING_SLICE_S: Final = 0.02
"""How long reports may keep the event loop waiting."""

_LOOK_S: Final = 0.1
"""How often the line of progress is brought up to date."""


@dataclass
class _Batch:
    """The scenarios of a session, by how they get their outcome."""

    dependencies: Dependencies
    concurrent: dict[str, ScenarioItem] = field(default_factory=dict)
    by_run: dict[str, ScenarioItem] = field(default_factory=dict)
    requests: dict[str, RunRequest] = field(default_factory=dict)
    rest: list[OrchestraItem] = field(default_factory=list)
    statuses: dict[str, RunStatus] = field(default_factory=dict)


class ScenarioRunning:
    """The hooks that run scenarios.

    The engine's loop runs only between items and inside items that wait for it, so every other plugin sees a
    sequential, well-nested session.
    """

    def __init__(self, config: pytest.Config, session: OrchestraSession) -> None:
        self._config = config
        self._orchestra = session
        self._settings = settings_of(config)
        self._builder = RequestBuilder(session)
        self._router = OutputRouter(config)
        self._batch: _Batch | None = None
        self._start_fault: OrchestraError | None = None
        self._anchor: Anchor | None = None
        self._progress: LiveProgress | None = None
        self._ndjson: NdjsonListener | None = None
        self._worst = SuiteRunStatus.PASSED
        self._rehearsing = Rehearsing.of(config, session, self._builder, self._say)

    # -- the session ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Close the engine whatever ends the session. A SuiteRun that had failed before it came is no success now."""
        status = SuiteRunStatus.CANCELLED
        is_late = False
        try:
            with collector_relaxed() if self._has_scenarios(session) else nullcontext():
                result = yield
            status = self._worst
            is_late = self._orchestra.is_started and self._orchestra.engine.came_after_failures
        finally:
            self._close(status)
        if is_late:
            raise session.Failed("the suite run had failed before this session came")
        return result

    @staticmethod
    def _has_scenarios(session: pytest.Session) -> bool:
        return not session.config.option.collectonly and any(isinstance(item, OrchestraItem) for item in session.items)

    def _close(self, status: SuiteRunStatus) -> None:
        self._erase_progress()
        engine = self._orchestra.engine if self._orchestra.is_started else None
        faults = (*self._orchestra.simulation.notes, *self._orchestra.simulation.faults)
        if self._rehearsing is not None:
            self._rehearsing.write()
        try:
            if self._anchor is not None:
                items = [*self._batch.concurrent.values(), *self._batch.rest] if self._batch is not None else []
                if status is SuiteRunStatus.CANCELLED:
                    self._orchestra.cut_off = sum(is_open(item) for item in items)
                    if any(item.scenario.clean_up for item in items if is_open(item)):
                        self._say("orchestra: cleaning up behind what was under way; Ctrl-C stops that")
                with self._router.routing(self._anchor):
                    self._orchestra.close(status, coverage_of(self._config, items))
        except OrchestraError as error:
            self._say(f"orchestra: {error}")
        except Exception as error:  # noqa: BLE001  a protocol's own; every result is known by now
            self._say(f"orchestra: closing the session raised {type(error).__name__}: {error}")
        finally:
            if self._ndjson is not None:
                self._ndjson.close()
                if self._ndjson.failure is not None:
                    self._say(f"orchestra: {self._ndjson.failure}")
            for told in (*faults, *(engine.listener_failures if engine is not None else ())):
                self._say(f"orchestra: {told}")

    @property
    def _is_ordered(self) -> bool:
        in_order = self._settings.order == "collection" or self._config.getoption("stepwise", default=False)
        return bool(in_order or self._rehearsing)  # which has waited for all of them

    @property
    def _is_distributed(self) -> bool:
        """Whether xdist hands the items out: in its controller and in its workers."""
        return bool(worker_input(self._config)) or self._config.pluginmanager.hasplugin("dsession")

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtestloop")
    def pytest_runtestloop_of_scenarios(self, session: pytest.Session) -> bool | None:
        """Run Python tests first and then all scenarios at once; core's own loop runs where there are none."""
        option = session.config.option
        scenarios = [item for item in session.items if isinstance(item, OrchestraItem)]
        if not scenarios or option.collectonly or option.setuponly or self._is_distributed:
            return None
        if session.testsfailed and not option.continue_on_collection_errors:
            plural = "s" if session.testsfailed != 1 else ""
            raise session.Interrupted(f"{session.testsfailed} error{plural} during collection")
        python = [item for item in session.items if not isinstance(item, OrchestraItem)]
        self._anchor = Anchor.from_parent(session, name="orchestra")
        for item, following in _with_next([*python, self._anchor])[:-1]:
            self._report(session, item, following)
        self._run_batch(session, scenarios)
        return True

    def _report(self, session: pytest.Session, item: pytest.Item, following: pytest.Item | None) -> None:
        self._erase_progress()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        self._stop_if_asked(session)

    @staticmethod
    def _stop_if_asked(session: pytest.Session) -> None:
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)

    # -- the batch -----------------------------------------------------------------------------------------------

    def _run_batch(self, session: pytest.Session, items: Sequence[OrchestraItem]) -> None:
        batch = self._prepare(session, items)
        try:
            if self._rehearsing is not None:
                self._rehearse(self._rehearsing, batch)
            if self._is_ordered:
                self._report_in_order(session, batch, items)
            else:
                self._report_as_completed(session, batch)
                self._report_rest(session, batch)
        except KeyboardInterrupt:
            self._report_what_has_ended(batch)
            raise

    def _prepare(self, session: pytest.Session, items: Sequence[OrchestraItem], *, ahead: bool = True) -> _Batch:
        """Start the engine; if ``ahead``, submit every scenario that needs nothing of its own item's time."""
        scenarios = [item for item in items if isinstance(item, ScenarioItem)]
        batch = self._batch = _Batch(self._dependencies(scenarios))
        self._anchor = self._anchor or Anchor.from_parent(session, name="orchestra")
        for item in scenarios:
            item.run_now = self._run_now
            item.fails_if_flaky = self._settings.fail_flaky
        if not self._start(scenarios):
            for item in scenarios:
                item.fault = str(self._start_fault)
        requests: list[RunRequest] = []
        with self._capturing_fixtures(scenarios):
            for item in scenarios:
                if self._may_run_ahead(item, batch) and ahead and not self._settings.step:
                    requests += self._request(item, batch)
        sequential = {item.nodeid for item in scenarios if item.nodeid not in batch.concurrent}
        sequential = batch.dependencies.closure(sequential)
        for key in sequential & batch.concurrent.keys():
            del batch.concurrent[key]
        batch.rest = batch.dependencies.in_order_of_need(
            [each for each in items if each.nodeid not in batch.concurrent]
        )
        batch.by_run = {self._builder.key(key): item for key, item in batch.concurrent.items()}
        batch.requests = {each.run.key: each for each in requests if each.run.key in batch.by_run}
        if batch.requests:
            with self._router.routing(self._anchor):
                self._orchestra.host.run(self._orchestra.engine.submit(list(batch.requests.values())))
        self._tell_notes()
        return batch

    def _dependencies(self, scenarios: Sequence[ScenarioItem]) -> Dependencies:
        catalogue = Catalogue.of(self._config)
        return Dependencies(scenarios, catalogue, ignores_left_out=self._settings.deps == "ignore")

    def _tell_notes(self) -> None:
        for note in self._orchestra.engine.notes if self._orchestra.is_started else ():
            self._say(f"orchestra: {note}")

    def _start(self, scenarios: Sequence[ScenarioItem]) -> bool:
        if not self._orchestra.is_started and self._start_fault is None:
            assert self._anchor is not None
            listeners: list[Any] = [self._make_progress(len(scenarios))]
            try:
                if self._settings.events:
                    path = self._config.invocation_params.dir / self._settings.events
                    self._ndjson = NdjsonListener(path)
                    listeners.append(self._ndjson)
                one_by_one = self._config.getoption("usepdb", default=False) or self._config.getoption(
                    "trace", default=False
                )
                with self._router.routing(self._anchor):
                    self._orchestra.start(
                        listeners,
                        concurrency=1 if one_by_one else None,
                        versions={self._builder.key(item.nodeid): self._builder.version(item) for item in scenarios},
                        takes_over=crashed_workers(self._config) > 0,
                        joins=bool(worker_input(self._config)),
                        other_environments=other_environments(self._config, scenarios),
                        stepper=conversation_of(self._config),
                    )
            except OrchestraError as error:
                self._start_fault = error
        return self._start_fault is None

    def _may_run_ahead(self, item: ScenarioItem, batch: _Batch) -> bool:
        """Tell whether an item's scenario may start before the item itself; whatever is wrong is told when it runs."""
        item.fault = item.fault or batch.dependencies.faults.get(item.nodeid)
        step = self._builder.scope.missing_step(item.scenario.steps)
        if step is not None and item.skip_reason is None:
            item.skip_reason = f"it has no step '{step}'"
        if item.problems or item.fault is not None or item.skip_reason is not None:
            return False
        if refusal(item) is not None:
            return False
        item.fixtures.resolve()
        item.fault = item.unusable_fixture()
        return item.fault is None and not item.is_sequential

    def _request(self, item: ScenarioItem, batch: _Batch) -> list[RunRequest]:
        """Set up the session's fixtures for an item and build its request; a failing fixture fails its own items."""
        assert self._anchor is not None
        item.is_ahead = True
        try:
            with set_up_ahead(item, self._anchor):
                request = self._builder.build(item, batch.dependencies.prerequisites[item.nodeid])
        except OrchestraError as error:
            item.fault = str(error)
            return []
        except pytest.exit.Exception:
            raise
        except SystemExit as stop:  # pytest does not keep this one
            item.fault = f"{item.nodeid}: a fixture raised {stop!r}"
            return []
        except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: BLE001
            return []  # pytest keeps the exception with the fixture and raises it again when the item runs
        finally:
            item.is_ahead = False
        batch.concurrent[item.nodeid] = item
        return [request]

    @contextmanager
    def _capturing_fixtures(self, items: Sequence[ScenarioItem]) -> Iterator[None]:
        """Set fixtures up ahead of their items; what they print belongs to the first item, as it does in core."""
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            yield
            return
        capture.resume_global_capture()
        try:
            yield
        finally:
            capture.suspend_global_capture(in_=False)
            for name, text in zip(("stdout", "stderr"), capture.read_global_capture(), strict=True):
                if text and items:
                    items[0].add_report_section("setup", name, text)

    def _rehearse(self, rehearsing: Rehearsing, batch: _Batch) -> None:
        """Rehearse what runs at once while the fixtures of the session are there."""
        assert self._anchor is not None
        ended = []
        for key, item in batch.by_run.items():
            self.await_outcome(item)
            ended.append((item, batch.requests[key], item.finished))
        with self._router.routing(self._anchor):
            rehearsing.rehearse(ended)

    # -- reporting -----------------------------------------------------------------------------------------------

    def _report_as_completed(self, session: pytest.Session, batch: _Batch) -> None:
        assert self._anchor is not None
        unreported = dict(batch.concurrent)
        while unreported:
            self._pump()
            until = time.monotonic() + _REPORTING_SLICE_S
            ended = self._orchestra.engine.completed
            while ended and time.monotonic() < until:
                item = self._take(batch, ended)
                unreported.pop(item.nodeid, None)
                following: pytest.Item | None = self._anchor
                if not unreported:
                    following = batch.rest[0] if batch.rest else None
                self._report(session, item, following)
            if not ended and not self._orchestra.engine.has_work and unreported:
                self._give_up(unreported)

    def _report_rest(self, session: pytest.Session, batch: _Batch) -> None:
        for item, following in _with_next(batch.rest):
            self._skip_if_unmet(item, batch)
            self._report(session, item, following)
            if isinstance(item, ScenarioItem):
                batch.statuses[item.nodeid] = item.finished.status if item.finished else RunStatus.SKIPPED

    def _report_in_order(self, session: pytest.Session, batch: _Batch, items: Sequence[OrchestraItem]) -> None:
        """Report in the order of collection, however the scenarios complete."""
        rest = iter(batch.rest)
        ordered = [item if item.nodeid in batch.concurrent else next(rest) for item in items]
        for item, following in _with_next(ordered):
            if isinstance(item, ScenarioItem):
                self.await_outcome(item)
                self._skip_if_unmet(item, batch)
            self._report(session, item, following)
            if isinstance(item, ScenarioItem):
                batch.statuses[item.nodeid] = item.finished.status if item.finished else RunStatus.SKIPPED

    def _report_what_has_ended(self, batch: _Batch) -> None:
        """Report what ended before Ctrl-C: nothing that is known is lost."""
        if not self._orchestra.is_started:
            return
        ended = self._orchestra.engine.completed
        while ended:
            item = self._take(batch, ended)
            if item.finished is not None and item.finished.status is not RunStatus.CANCELLED:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=self._anchor)

    def await_outcome(self, item: ScenarioItem) -> None:
        """Let the loop run until an item's scenario has ended, if it has been submitted."""
        batch = self._batch
        assert batch is not None
        ended = self._orchestra.engine.completed
        while item.nodeid in batch.concurrent and item.outcome is None:
            if not ended and not self._orchestra.engine.has_work:
                self._give_up({item.nodeid: item})
            self._pump()
            while ended:
                self._take(batch, ended)

    def _take(self, batch: _Batch, ended: deque[RunOutcome]) -> ScenarioItem:
        outcome = ended.popleft()
        item = batch.by_run[outcome.finished.run.key]
        item.outcome = outcome
        batch.statuses[item.nodeid] = outcome.finished.status
        return item

    @staticmethod
    def _give_up(items: dict[str, ScenarioItem]) -> NoReturn:
        raise AssertionError(f"the engine has nothing left to do, but did not run {', '.join(items)}")

    def _pump(self) -> None:
        """Let the loop run until something has ended, keeping the line of progress up to date."""
        assert self._anchor is not None
        engine = self._orchestra.engine
        with self._router.routing(self._anchor):
            if engine.completed:
                self._orchestra.host.run(engine.breathe())
            while not engine.completed and engine.has_work:
                self._orchestra.host.run(engine.wait_completed(_LOOK_S))
                if self._progress is not None:
                    self._progress.show()

    # -- one item at a time --------------------------------------------------------------------------------------

    def _run_now(self, item: ScenarioItem) -> RunOutcome:
        """Carry out the scenario of an item while the item itself runs."""
        if self._start_fault is not None:
            raise self._start_fault
        request = self._builder.build(item)
        outcome = self._orchestra.host.run(self._orchestra.engine.run_alone(request))
        if self._rehearsing:
            self._rehearsing.rehearse([(item, request, outcome.finished)])
        return outcome

    def _skip_if_unmet(self, item: OrchestraItem, batch: _Batch) -> None:
        """Give an item that runs by itself the outcome 'skipped' if a prerequisite of its did not end as needed."""
        if not isinstance(item, ScenarioItem) or item.outcome is not None or item.fault is not None:
            return
        for need in batch.dependencies.prerequisites[item.nodeid]:
            reason = _unmet(need, batch.statuses.get(need.run_key))
            if reason is not None:
                item.skip_reason = reason
                return

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Under xdist, where items come one by one and in order, run the scenarios of the lane ahead of their items."""
        if isinstance(item, ScenarioItem) and worker_input(self._config):
            if self._batch is None:
                items = [each for each in item.session.items if isinstance(each, OrchestraItem)]
                # without a lane nobody knows which of them this worker will be asked for
                self._prepare(item.session, items, ahead=bool(worker_input(self._config).get("orchestra_lane")))
            self.await_outcome(item)
            self._skip_if_unmet(item, self._known_batch)
        result = yield
        if isinstance(item, ScenarioItem) and item.finished is not None:
            self._known_batch.statuses[item.nodeid] = item.finished.status
        return result

    @property
    def _known_batch(self) -> _Batch:
        assert self._batch is not None
        return self._batch

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Issue a scenario's warnings again where pytest attributes them to its item."""
        if isinstance(item, ScenarioItem) and item.finished is not None:
            self._router.replay_warnings(item.finished.run.id)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Give an item what its scenario wrote, as sections of its report."""
        if isinstance(item, ScenarioItem) and item.outcome is not None:
            for name, text in self._router.take(item.outcome.finished.run.id):
                item.add_report_section("call", name, text)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember whether the SuiteRun is to be called passed."""
        if report.failed:
            self._worst = SuiteRunStatus.FAILED

    # -- the terminal --------------------------------------------------------------------------------------------

    def _make_progress(self, total: int) -> LiveProgress:
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        is_shown = reporter is not None and not worker_input(self._config) and self._config.get_verbosity() >= 0
        is_shown = is_shown and not self._settings.step  # whoever steps sees more, and types where it would stand
        writes_live = is_shown and reporter.isatty and reporter.hasmarkup
        self._progress = LiveProgress(
            total=total,
            clock=time.monotonic,
            write_line=self._say,
            write=self._write_raw if writes_live else None,
            column=lambda: reporter._tw.width_of_current_line,  # noqa: SLF001  no public way to ask
            width=lambda: reporter._tw.fullwidth if reporter is not None else 80,  # noqa: SLF001
            heartbeat_s=self._settings.heartbeat if is_shown else float("inf"),
        )
        return self._progress

    def _write_raw(self, text: str) -> None:
        """Write to the terminal itself, past pytest's capturing and past its count of columns."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        with uncaptured(self._config):
            reporter._tw._file.write(text)  # noqa: SLF001  no public way past the writer's book-keeping
            reporter._tw._file.flush()  # noqa: SLF001

    def _erase_progress(self) -> None:
        if self._progress is not None:
            self._progress.erase()

    def _say(self, text: str) -> None:
        if worker_input(self._config):  # nobody sees a worker's terminal
            self._config.workeroutput.setdefault(SAID_IN_WORKER, []).append(text)  # type: ignore[attr-defined]
        else:
            say(self._config, text)


def _with_next(items: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items, [*items[1:], None], strict=False))


def _unmet(need: Prerequisite, status: RunStatus | None) -> str | None:
    if status is None:
        return f"it depends on '{need.run_key}', which is not part of this session"
    if need.is_met_by(status):
        return None
    return f"it depends on '{need.run_key}', which " + (
        "was skipped" if status is RunStatus.SKIPPED else f"ended as {status}"
    )
