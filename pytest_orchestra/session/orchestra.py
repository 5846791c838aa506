"""One session: settings in, a running engine out, and everything closed in the end."""

from __future__ import annotations

import uuid
from collections.abc import Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pytest_orchestra import __version__
from pytest_orchestra.engine.engine import Engine
from pytest_orchestra.engine.ports import Listener, ProtocolPlugin, RunStore, StoredRun
from pytest_orchestra.engine.settling import SettleBudget
from pytest_orchestra.engine.stepping import Stepper
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.run import CoverageReached, RunStatus, SuiteRun, SuiteRunStatus
from pytest_orchestra.session.definitions import DefinitionLoader
from pytest_orchestra.session.host import LoopHost
from pytest_orchestra.session.presence import WorkerPresence
from pytest_orchestra.session.protocols import collect_protocols
from pytest_orchestra.session.resumable import choose_unfinished
from pytest_orchestra.session.simulation import SessionSimulation
from pytest_orchestra.settings import Settings
from pytest_orchestra.store.opening import open_store

__all__ = ["OrchestraSession", "derived_id", "new_id"]

_SUITE_RUNS_LOOKED_AT: Final = 50

_T = TypeVar("_T")


def new_id() -> str:
    """Give a new identifier (UUID 4, hex with dashes)."""
    return str(uuid.uuid4())


def derived_id(*parts: str) -> str:
    """Give the identifier (UUID 5) that the same parts always have."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "orchestra:" + "\0".join(parts)))


async def _find_latest(store: RunStore, keys: AbstractSet[str], own: str) -> tuple[str, Mapping[str, RunStatus]] | None:
    await store.open()
    try:
        for suite_run, _ in await store.history(_SUITE_RUNS_LOOKED_AT):
            if suite_run.key != own:
                runs = [stored.run for stored in await store.list_runs(suite_run.id)]
                states = {run.key: run.status for run in runs}
                if not keys.isdisjoint(states):
                    return suite_run.key, states
        return None
    finally:
        await store.close()


async def _end_abandoned(store: RunStore, suite_run_id: str) -> None:
    await store.open()
    try:
        for suite_run, states in await store.history(_SUITE_RUNS_LOOKED_AT):
            has_ended = all(RunStatus(state).is_final and state != RunStatus.CANCELLED for state in states)
            if suite_run.id == suite_run_id and suite_run.status is SuiteRunStatus.IN_PROGRESS and has_ended:
                await store.end_suite_run(suite_run_id, SuiteRunStatus.PASSED)  # FAILED, if any of its runs has
    finally:
        await store.close()


def _close_protocol(host: LoopHost, protocol: ProtocolPlugin) -> None:
    host.run(protocol.close())


@dataclass
class OrchestraSession:
    """What one pytest session (or xdist worker) works with. Opened by :meth:`start`, closed by :meth:`close`."""

    settings: Settings
    cache_folder: Path
    hook: Any
    config: Any
    suite_run_key: str
    protocols: Mapping[str, ProtocolPlugin] = field(init=False)
    loader: DefinitionLoader = field(init=False)
    simulation: SessionSimulation = field(init=False)
    ended: SuiteRun | None = field(default=None, init=False)
    """The SuiteRun as this session left it; None where it had none, could not end it, or its store keeps none."""
    cut_off: int = field(default=0, init=False)
    """How many runs the end of the session cancelled, of which no item tells."""
    unfinished: SuiteRun | None = field(default=None, init=False)
    """The SuiteRun while it goes on and, where a second Ctrl-C kept this session from ending it, after that."""
    _host: LoopHost | None = None
    _store: RunStore | None = None
    _engine: Engine | None = None
    _presence: WorkerPresence | None = None
    _owes: bool = False
    _suite_context: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.protocols = collect_protocols(self.hook, self.config)
        self.loader = DefinitionLoader(self.protocols, self.hook, self.config)
        self.simulation = SessionSimulation(
            self.protocols,
            simulate=self.settings.simulate,
            distort=self.settings.distort,
            webhook_port=self.settings.webhook_port,
            rehearses=bool(self.settings.rehearsal),
        )

    @property
    def engine(self) -> Engine:
        """The engine, once started."""
        assert self._engine is not None, "start() comes first"
        return self._engine

    @property
    def is_started(self) -> bool:
        """Whether the engine runs."""
        return self._engine is not None

    @property
    def host(self) -> LoopHost:
        """The event loop, made when first asked for."""
        if self._host is None:
            self._host = LoopHost()
        return self._host

    @property
    def suite_context(self) -> Mapping[str, object]:
        """What scenarios have exported so far; empty before the first one."""
        return self._suite_context

    def start(
        self,
        listeners: Sequence[Listener],
        *,
        concurrency: int | None = None,
        versions: Mapping[str, str] | None = None,
        takes_over: bool = False,
        joins: bool = False,
        other_environments: AbstractSet[str] = frozenset(),
        stepper: Stepper | None = None,
    ) -> Engine:
        """Open the store and start the engine. Raises ``StoreError``, ``SettingsError``.

        ``versions`` are those of the scenarios by the keys of their runs, by which a SuiteRun to resume is found.
        ``takes_over`` goes on with the SuiteRun of the session's own key, whose worker died; with ``joins``, the one to
        resume may be one that another worker of the same session goes on with. It is none of ``other_environments``.
        ``stepper`` is asked before each step.
        """
        settings = self.settings
        self.simulation.check_names(self.loader.loaded)
        store = self._make_store()
        if settings.resume and not store.keeps_runs:
            raise SettingsError(
                f"--orchestra-resume: store '{settings.store}' keeps no runs",
                hint="resume with the store of the session",
            )
        heard_by = [
            *listeners,
            *(each for more in self.hook.pytest_orchestra_listeners(config=self.config) for each in more),
        ]
        self._store = store
        self.host.run(store.open())
        self._presence = presence = WorkerPresence(self.cache_folder)
        presence.announce()
        notes: Sequence[str] = ()
        if settings.resume and not settings.suite_run:
            choosing = choose_unfinished(
                store, versions or {}, presence, other_environments=other_environments, joins=joins
            )
            choice = self.host.run(choosing)
            self.suite_run_key = choice.key or self.suite_run_key
            notes = () if choice.note is None else (choice.note,)
        budget = None
        if settings.settle_budget:
            known = self.host.run(store.settling())
            budget = SettleBudget(settings.settle_budget, known)
        engine = Engine(
            store=store,
            protocols=self.protocols,
            listeners=heard_by,
            owner=presence.owner,
            concurrency=concurrency or settings.concurrency,
            lease_s=settings.lease,
            presence=presence,
            resumes=settings.resume or takes_over,
            budget=budget,
            timeout_s=settings.timeout or None,
            stepper=stepper,
        )
        engine.notes += notes
        suite_run = SuiteRun(
            new_id(),
            self.suite_run_key,
            settings.tenant,
            plugin_version=__version__,
            priority=settings.priority,
        )
        self.host.run(engine.start(suite_run))
        self._engine, self._suite_context = engine, engine.suite_context
        self.unfinished = engine.suite_run if store.keeps_runs else None
        return engine

    def earlier_runs(self, key: str) -> Sequence[StoredRun]:
        """Give the runs of a key that the store has, newest first. Raises ``StoreError``."""
        assert self._store is not None, "start() comes first"
        return [stored for stored in self.host.run(self._store.load(key)) if stored.run.key == key]

    def latest_states(self, keys: AbstractSet[str]) -> tuple[str, Mapping[str, RunStatus]] | None:
        """Give key and states of the newest SuiteRun but this session's own that has any of these runs, by run key.

        Opens the store for itself, before the session starts. Raises ``StoreError``, ``SettingsError``.
        """
        return self._beside(_find_latest(self._make_store(), keys, self.suite_run_key))

    def end_for_others(self, suite_run_id: str) -> None:
        """End a SuiteRun all of whose runs have ended, and whose last worker died before it said so.

        Opens the store for itself. Raises ``StoreError``, ``SettingsError``.
        """
        self._beside(_end_abandoned(self._make_store(), suite_run_id))

    def _make_store(self) -> RunStore:
        settings = self.settings
        return open_store(
            settings.store, tenant=settings.tenant, cache_folder=self.cache_folder, patience_s=settings.store_patience
        )

    @staticmethod
    def _beside(work: Coroutine[Any, Any, _T]) -> _T:
        """Do something in a loop of its own, beside that of the session."""
        with closing(LoopHost()) as host:
            return host.run(work)

    def close(self, status: SuiteRunStatus, coverage: tuple[CoverageReached, ...] = ()) -> None:
        """Cancel what still runs and give back every connection; each is tried, whatever the others do.

        Raises ``StoreError``, and whatever a protocol raises.
        """
        host, self._host = self._host, None
        engine, self._engine = self._engine, None
        store, self._store = self._store, None
        presence, self._presence = self._presence, None
        if host is None:
            return
        with ExitStack() as stack:  # the last one first
            if presence is not None:
                stack.callback(lambda: presence.leave(owes=self._owes))
            stack.callback(host.close)
            if store is not None:
                stack.callback(lambda: host.run(store.close()))
            for protocol in self.protocols.values():
                stack.callback(_close_protocol, host, protocol)
            stack.callback(lambda: host.run(self.simulation.close()))
            if engine is not None:
                keeps = store is not None and store.keeps_runs
                stack.callback(self._end, host, engine, status, coverage, keeps=keeps)

    def _end(
        self,
        host: LoopHost,
        engine: Engine,
        status: SuiteRunStatus,
        coverage: tuple[CoverageReached, ...],
        *,
        keeps: bool,
    ) -> None:
        self._owes = True
        host.run(engine.close(status, coverage))
        self._owes = False
        self.ended, self.unfinished = engine.suite_run if keeps else None, None
