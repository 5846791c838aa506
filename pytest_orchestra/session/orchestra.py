"""One session: settings in, a running engine out, and everything closed in the end."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_orchestra import __version__
from pytest_orchestra.engine.engine import Engine
from pytest_orchestra.engine.ports import Listener, ProtocolPlugin, RunStore
from pytest_orchestra.model.definition import ChannelType
from pytest_orchestra.model.run import SuiteRun, SuiteRunStatus
from pytest_orchestra.session.definitions import DefinitionLoader
from pytest_orchestra.session.host import LoopHost
from pytest_orchestra.session.protocols import collect_protocols
from pytest_orchestra.settings import Settings
from pytest_orchestra.store.opening import open_store

__all__ = ["OrchestraSession", "new_id"]


def new_id() -> str:
    """Give a new identifier (UUID 4, hex with dashes)."""
    return str(uuid.uuid4())


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
    protocols: Mapping[ChannelType, ProtocolPlugin] = field(init=False)
    loader: DefinitionLoader = field(init=False)
    _host: LoopHost | None = None
    _store: RunStore | None = None
    _engine: Engine | None = None
    _suite_context: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.protocols = collect_protocols(self.hook, self.config)
        self.loader = DefinitionLoader(self.protocols, self.hook, self.config)

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

    def start(self, listeners: Sequence[Listener], *, concurrency: int | None = None) -> Engine:
        """Open the store and start the engine. Raises ``StoreError``, ``SettingsError``."""
        store = open_store(self.settings.store, tenant=self.settings.tenant, cache_folder=self.cache_folder)
        heard_by = [
            *listeners,
            *(each for more in self.hook.pytest_orchestra_listeners(config=self.config) for each in more),
        ]
        self._store = store
        self.host.run(store.open())
        engine = Engine(
            store=store,
            protocols=self.protocols,
            listeners=heard_by,
            owner=f"{socket.gethostname()}:{os.getpid()}",
            concurrency=concurrency or self.settings.concurrency,
        )
        suite_run = SuiteRun(new_id(), self.suite_run_key, self.settings.tenant, plugin_version=__version__)
        self.host.run(engine.start(suite_run))
        self._engine, self._suite_context = engine, engine.suite_context
        return engine

    def close(self, status: SuiteRunStatus) -> None:
        """Cancel what still runs and give back every connection; each is tried, whatever the others do.

        Raises ``StoreError``, and whatever a protocol raises.
        """
        host, self._host = self._host, None
        engine, self._engine = self._engine, None
        store, self._store = self._store, None
        if host is None:
            return
        with ExitStack() as closing:  # the last one first
            closing.callback(host.close)
            if store is not None:
                closing.callback(lambda: host.run(store.close()))
            for protocol in self.protocols.values():
                closing.callback(_close_protocol, host, protocol)
            if engine is not None:
                closing.callback(lambda: host.run(engine.close(status)))
